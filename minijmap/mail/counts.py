"""The counts of a Mailbox, kept and not counted (RFC 8621 §2, DESIGN §4).

Each thread's share in each Mailbox is a row of `mailbox_thread`. When Emails of a thread change, its shares are made
anew and the difference goes to the Mailbox's four columns, in the same transaction. `count_all` makes everything
anew: for a change of the trash role, and for `minijmap check` to compare with.
"""

from collections import defaultdict
from collections.abc import Iterable

import orjson

from minijmap.store import documents
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import Collection

MAILBOXES = Collection("mailbox", "Mailbox")

# Emails in the trash are treated as though they were in a separate Thread (RFC 8621 §2, unreadThreads).
SHARES = """
    WITH touched(thread) AS MATERIALIZED ({threads}),
    place AS MATERIALIZED (
        SELECT e.thread, m.mailbox, e.unread, m.mailbox IS :trash AS in_trash
        FROM touched CROSS JOIN email AS e ON e.thread = touched.thread
        CROSS JOIN email_mailbox AS m ON m.email = e.key),
    unread AS MATERIALIZED (
        SELECT thread, in_trash, max(unread) AS unread FROM place GROUP BY thread, in_trash)
    SELECT json_group_array(json_array(thread, mailbox, emails, unread_emails, unread)) FROM (
        SELECT place.thread, place.mailbox, count(*) AS emails, sum(place.unread) AS unread_emails, unread.unread
        FROM place JOIN unread ON unread.thread = place.thread AND unread.in_trash = place.in_trash
        GROUP BY place.thread, place.mailbox)
"""
KEPT = """
    SELECT json_group_array(json_array(s.thread, s.mailbox, s.emails, s.unread_emails, s.unread))
    FROM ({threads}) AS touched CROSS JOIN mailbox_thread AS s ON s.thread = touched.thread
"""
GIVEN_THREADS = "SELECT value AS thread FROM json_each(:threads)"
ALL_THREADS = "SELECT key AS thread FROM thread WHERE account = :account"

Share = tuple[int, int, int]
"""Emails, unread Emails, and 1 if the Thread counts as unread."""


def recount(tx: Transaction, account: int, threads: Iterable[int]) -> None:
    """Bring the counts up to date after Emails of these threads have changed."""
    asked = documents.dump(sorted(set(threads)))
    if asked != "[]":
        _apply(
            tx,
            account,
            _shares(tx, SHARES, GIVEN_THREADS, account, asked),
            _shares(tx, KEPT, GIVEN_THREADS, account, asked),
        )


def recount_all(tx: Transaction, account: int) -> None:
    """Make every count of an account anew: another Mailbox is the trash now."""
    _apply(tx, account, count_all(tx, account), kept(tx, account))


def count_all(reader: Reader, account: int) -> dict[tuple[int, int], Share]:
    """Count every thread's shares from the Emails themselves: (thread, mailbox) → share."""
    return _shares(reader, SHARES, ALL_THREADS, account, "[]")


def kept(reader: Reader, account: int) -> dict[tuple[int, int], Share]:
    """Return every share as it is kept: (thread, mailbox) → share."""
    return _shares(reader, KEPT, ALL_THREADS, account, "[]")


def _shares(reader: Reader, sql: str, threads: str, account: int, asked: str) -> dict[tuple[int, int], Share]:
    bound = {"threads": asked, "account": account, "trash": mailbox_with_role(reader, account, "trash")}
    rows = orjson.loads(reader.value(sql.format(threads=threads), bound))
    return {
        (thread, mailbox): (emails, unread_emails, unread) for thread, mailbox, emails, unread_emails, unread in rows
    }


def mailbox_with_role(reader: Reader, account: int, role: str) -> int | None:
    """Return the key of the account's Mailbox with a role, or None."""
    key = reader.value("SELECT key FROM mailbox WHERE account = ? AND role = ?", (account, role))
    return None if key is None else int(key)


def _apply(
    tx: Transaction, account: int, now: dict[tuple[int, int], Share], before: dict[tuple[int, int], Share]
) -> None:
    """Write the shares that differ, and what that means for each Mailbox."""
    deltas: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    gone = [pair for pair in before if pair not in now]
    new = {pair: share for pair, share in now.items() if before.get(pair) != share}
    for pair in (*gone, *new):
        old, share = before.get(pair), now.get(pair)
        delta = deltas[pair[1]]
        for sign, part in ((-1, old), (1, share)):
            if part is not None:
                emails, unread_emails, unread = part
                for index, amount in enumerate((emails, unread_emails, 1, unread)):
                    delta[index] += sign * amount
    tx.many("DELETE FROM mailbox_thread WHERE thread = ? AND mailbox = ?", gone)
    tx.many(
        "INSERT OR REPLACE INTO mailbox_thread (thread, mailbox, emails, unread_emails, unread) VALUES (?, ?, ?, ?, ?)",
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
