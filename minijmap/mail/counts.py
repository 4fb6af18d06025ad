"""The counts of a Mailbox, kept and not counted (RFC 8621 §2).

Each thread's share in each Mailbox is a row of `mailbox_thread`. When Emails of a thread change, its shares are made
anew and the difference goes to the Mailbox's four columns, in the same transaction. `count_all` makes everything
anew: for a change of the trash role, and for `minijmap check` to compare with.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import orjson

from minijmap.store import documents
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import Collection

MOST_MAILBOXES = 10_000
"""Mailboxes that an account may have."""
MAILBOXES = Collection("mailbox", "Mailbox", most=MOST_MAILBOXES)

PLACES = """
    SELECT json_group_array(json_array(e.thread, m.mailbox, e.unread, e.received_at, e.key))
    FROM ({threads}) AS touched CROSS JOIN email AS e ON e.thread = touched.thread
    CROSS JOIN email_mailbox AS m ON m.email = e.key
"""
KEPT = """
    SELECT json_group_array(json_array(
        s.thread, s.mailbox, s.emails, s.unread_emails, s.unread, s.newest_at, s.newest))
    FROM ({threads}) AS touched CROSS JOIN mailbox_thread AS s ON s.thread = touched.thread
"""
GIVEN_THREADS = "SELECT value AS thread FROM json_each(:threads)"
ALL_THREADS = "SELECT key AS thread FROM thread WHERE account = :account"


class Share(NamedTuple):
    """What a Thread has in a Mailbox."""

    emails: int
    unread_emails: int
    unread: int
    """1 if the Thread counts as an unread one in this Mailbox."""
    newest_at: int
    """When the newest of the Emails was received, in milliseconds."""
    newest: int
    """The key of that Email: collapsed, the Mailbox shows it for the Thread."""


Shares = dict[tuple[int, int], Share]
"""(thread, mailbox) → share."""


def recount(tx: Transaction, account: int, threads: Iterable[int]) -> None:
    """Bring the counts up to date after Emails of these threads have changed."""
    asked = documents.dump(sorted(set(threads)))
    if asked != "[]":
        now = _count(tx, account, _rows(tx, PLACES, GIVEN_THREADS, account, asked))
        _apply(tx, account, now, _kept(_rows(tx, KEPT, GIVEN_THREADS, account, asked)))


def recount_all(tx: Transaction, account: int) -> None:
    """Make every count of an account anew: another Mailbox is the trash now."""
    _apply(tx, account, count_all(tx, account), kept(tx, account))


def count_all(reader: Reader, account: int) -> Shares:
    """Count every thread's shares from the Emails themselves."""
    return _count(reader, account, _rows(reader, PLACES, ALL_THREADS, account, "[]"))


def kept(reader: Reader, account: int) -> Shares:
    """Return every share as it is kept."""
    return _kept(_rows(reader, KEPT, ALL_THREADS, account, "[]"))


def _rows(reader: Reader, sql: str, threads: str, account: int, asked: str) -> list[list[int]]:
    bound = {"threads": asked, "account": account}
    rows: list[list[int]] = orjson.loads(reader.value(sql.format(threads=threads), bound))
    return rows


def _kept(rows: list[list[int]]) -> Shares:
    return {(thread, mailbox): Share(*share) for thread, mailbox, *share in rows}


def _count(reader: Reader, account: int, places: list[list[int]]) -> Shares:
    """Count the shares of threads whose Emails are all among the places (thread, mailbox, unread, received_at, key).

    Emails in the trash are treated as though they were in a separate Thread (RFC 8621 §2, unreadThreads).
    """
    trash = mailbox_with_role(reader, account, "trash")
    unread_threads = {(thread, mailbox == trash) for thread, mailbox, unread, _, _ in places if unread}
    found: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for thread, mailbox, unread, received_at, key in places:
        found[thread, mailbox].append((received_at, key, unread))
    return {
        (thread, mailbox): Share(
            emails=len(here),
            unread_emails=sum(unread for _, _, unread in here),
            unread=int((thread, mailbox == trash) in unread_threads),
            newest_at=max(here)[0],
            newest=max(here)[1],
        )
        for (thread, mailbox), here in found.items()
    }


def mailbox_with_role(reader: Reader, account: int, role: str) -> int | None:
    """Return the key of the account's Mailbox with a role, or None."""
    key = reader.value("SELECT key FROM mailbox WHERE account = ? AND role = ?", (account, role))
    return None if key is None else int(key)


def _apply(tx: Transaction, account: int, now: Shares, before: Shares) -> None:
    """Write the shares that differ, and what that means for each Mailbox."""
    deltas: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    gone = [pair for pair in before if pair not in now]
    new = {pair: share for pair, share in now.items() if before.get(pair) != share}
    for pair in (*gone, *new):
        old, share = before.get(pair), now.get(pair)
        delta = deltas[pair[1]]
        for sign, part in ((-1, old), (1, share)):
            if part is not None:
                for index, amount in enumerate((part.emails, part.unread_emails, 1, part.unread)):
                    delta[index] += sign * amount
    tx.many("DELETE FROM mailbox_thread WHERE thread = ? AND mailbox = ?", gone)
    tx.many(
        "INSERT OR REPLACE INTO mailbox_thread (thread, mailbox, emails, unread_emails, unread, newest_at, newest) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(*pair, *share) for pair, share in new.items()],
    )
    for mailbox, delta in deltas.items():
        if any(delta):
            _add(tx, account, mailbox, delta)


def _add(tx: Transaction, account: int, mailbox: int, delta: list[int]) -> None:
    tx.execute(
        "UPDATE mailbox SET total_emails = total_emails + ?, unread_emails = unread_emails + ?, "
        "total_threads = total_threads + ?, unread_threads = unread_threads + ? WHERE key = ?",
        (*delta, mailbox),
    )
    documents.mark_changed(tx, MAILBOXES, account, mailbox)
