"""What scripts remember from one message to the next, each for a time, and how much they may send on a day.

Owns those rows. An id is kept as a digest: it may be long, and is nobody's business. Must not know what an id means.
"""

import hashlib
from typing import Final

from minijmap.store.database import Reader, Transaction

ANSWERED: Final = "answered"
"""Who had which response, and when they may have it again (RFC 5230 §4.2)."""
SEEN: Final = "seen"
"""Ids of the duplicate test (RFC 7352 §3)."""
TOLD: Final = "told"
"""Of which of their scripts' failures a user was told."""
MOST_RECORDS: Final = 10_000
"""Of one kind in one account: RFC 5230 §4.2 asks for no fewer than 1000, and that the oldest go first."""
MOST_SENT_A_DAY: Final = 2000
"""Messages that the scripts of one account may send on a day."""
DAY_MS: Final = 24 * 3600 * 1000


def is_there(reader: Reader, account: int, kind: str, *words: str, now: int) -> bool:
    """Say whether an id, which the words make together, is remembered. `now` in milliseconds."""
    ends = reader.value(
        "SELECT expires_at FROM sieve_record WHERE account = ? AND kind = ? AND id = ?", (account, kind, _id(words))
    )
    return ends is not None and ends > now


def remember(tx: Transaction, account: int, kind: str, *words: str, until: int) -> None:
    """Remember an id until a time in milliseconds; the first to end makes room."""
    tx.execute(
        "INSERT INTO sieve_record VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at",
        (account, kind, _id(words), until),
    )
    count = tx.value("SELECT count(*) FROM sieve_record WHERE account = ? AND kind = ?", (account, kind))
    if count > MOST_RECORDS:
        tx.execute(
            "DELETE FROM sieve_record WHERE account = ?1 AND kind = ?2 AND id IN (SELECT id FROM sieve_record "
            "WHERE account = ?1 AND kind = ?2 ORDER BY expires_at LIMIT ?3)",
            (account, kind, MOST_RECORDS // 10),
        )


def may_send(tx: Transaction, account: int, now: int) -> bool:
    """Count one more message that a script sends, unless the day's number is reached. `now` in milliseconds."""
    day = now // DAY_MS
    sent = tx.value("SELECT count FROM sieve_sent WHERE account = ? AND day = ?", (account, day)) or 0
    if sent >= MOST_SENT_A_DAY:
        return False
    tx.execute(
        "INSERT INTO sieve_sent VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
        (account, day),
    )
    return True


def forget_old(tx: Transaction) -> None:
    """Forget what has ended by now."""
    now = int(tx.clock() * 1000)
    tx.execute("DELETE FROM sieve_record WHERE expires_at <= ?", (now,))
    tx.execute("DELETE FROM sieve_sent WHERE day < ?", (now // DAY_MS,))


def _id(words: tuple[str, ...]) -> bytes:
    """Digest words so that no two lists of them have the same (RFC 5230 §4.2, the note on hashes)."""
    digest = hashlib.blake2b(digest_size=16)
    for word in words:
        octets = word.encode("utf-8", "surrogatepass")
        digest.update(len(octets).to_bytes(8, "big") + octets)
    return digest.digest()
