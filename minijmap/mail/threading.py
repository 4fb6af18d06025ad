"""Which Thread an Email belongs to (RFC 8621 §3).

Two Emails are in one Thread when they share a message id, as their own or by reference, and have the same base
subject. The pairs are kept as 64-bit hashes. A Thread is chosen on arrival and never changed: `threadId` is
immutable.
"""

import hashlib
from collections.abc import Callable, Iterable

from minijmap.store import documents
from minijmap.store.database import Transaction
from minijmap.store.documents import Collection

THREADS = Collection("thread", "Thread")
MOST_REFERENCES = 200
"""Message ids of one message that are looked at: the first is its own, then the nearest ancestors."""


def reference_hashes(message_ids: Iterable[str], subject: str) -> list[int]:
    """Return what an Email is known by: a hash for each message id together with the base subject.

    Of the subject neither case nor white space matters (RFC 8621 §3, RFC 5256 §2.1).
    """
    subject = "".join(subject.casefold().split())
    ids = list(dict.fromkeys(message_ids))[:MOST_REFERENCES]
    return [
        int.from_bytes(
            hashlib.blake2b(f"{one}\0{subject}".encode(errors="replace"), digest_size=8).digest(), "big", signed=True
        )
        for one in ids
    ]


Choice = Callable[[Transaction, int, list[int]], int]
"""Gives the key of the Thread of an Email that is stored in an account, by what `reference_hashes` says of it."""


def find_or_create(tx: Transaction, account: int, hashes: list[int]) -> int:
    """Return the Thread of an arriving Email, the oldest if several fit, and note that the Email is in it."""
    return join(tx, account, find(tx, account, hashes), hashes)


def find(tx: Transaction, account: int, hashes: list[int]) -> int | None:
    """Return the oldest Thread that an Email fits in, or None."""
    thread = tx.value(
        "SELECT min(r.thread) FROM json_each(?) AS asked CROSS JOIN thread_reference AS r "
        "ON r.account = ? AND r.hash = asked.value",
        (documents.dump(hashes), account),
    )
    return None if thread is None else int(thread)


def join(tx: Transaction, account: int, thread: int | None, hashes: list[int]) -> int:
    """Note that an Email is in a Thread, or in a new one if that is None; return its key."""
    if thread is None:
        thread = documents.insert(tx, THREADS, account, {}, {})
    else:
        documents.mark_changed(tx, THREADS, account, thread)
    tx.many("INSERT OR IGNORE INTO thread_reference VALUES (?, ?, ?)", [(account, one, thread) for one in hashes])
    return thread


def email_left(tx: Transaction, account: int, thread: int) -> None:
    """Note that an Email of a Thread was destroyed: the last one takes the Thread with it."""
    if tx.value("SELECT 1 FROM email WHERE thread = ? LIMIT 1", (thread,)):
        documents.mark_changed(tx, THREADS, account, thread)
        return
    tx.execute("DELETE FROM thread_reference WHERE thread = ?", (thread,))
    documents.destroy(tx, THREADS, account, thread)
