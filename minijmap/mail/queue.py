"""The queue: messages on their way out, and who has yet to get them (DESIGN §3).

Owns the rows alone. They are written in the transaction of whatever is sent, and a recipient's row goes in the
transaction in which the message arrives: so nothing is lost, and nothing comes twice. Who delivers, and how, is not
known here. A recipient begins without a route; whoever looks first delivers to a mailbox here, or sends it outside.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from minijmap.store import blobs, documents
from minijmap.store.database import Reader, Transaction

QUEUE = "Queue"
"""The name under which the queue refers to blobs."""
OUTSIDE = "outside"
MOST_WAITING = 10_000
"""Messages of one account that may be in the queue."""


@dataclass(frozen=True)
class Recipient:
    """Who has yet to get a message."""

    key: int
    address: str
    parameters: Mapping[str, Any]
    attempts: int


@dataclass(frozen=True)
class Queued:
    """A message, and those of its recipients that are asked for. Times in milliseconds; `sender` may be empty."""

    key: int
    account: int
    submission: int | None
    blob: int
    sender: str
    parameters: Mapping[str, Any]
    queued_at: int
    release_at: int
    recipients: tuple[Recipient, ...]


def put(
    tx: Transaction,
    account: int,
    blob: int,
    sender: Mapping[str, Any],
    recipients: Mapping[str, Mapping[str, Any]],
    *,
    now: int,
    release_at: int,
    submission: int | None = None,
) -> int:
    """Queue a stored message; return the key. `sender` is an Address object, `recipients` address → parameters."""
    key = tx.execute(
        "INSERT INTO queue_message (account, submission, blob, sender, parameters, queued_at, release_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (account, submission, blob, sender["email"], documents.dump(sender["parameters"] or {}), now, release_at),
    ).lastrowid
    if key is None:  # pragma: no cover - SQLite gives every inserted row a rowid
        raise RuntimeError("An inserted row has no key.")
    tx.many(
        "INSERT INTO queue_recipient (message, address, parameters, next_attempt) VALUES (?, ?, ?, ?)",
        [(key, address, documents.dump(parameters), release_at) for address, parameters in recipients.items()],
    )
    blobs.add_use(tx, blob, account, QUEUE, key)
    return key


def waiting(reader: Reader, account: int) -> int:
    """Return how many messages of an account are in the queue."""
    return int(reader.value("SELECT count(*) FROM queue_message WHERE account = ?", (account,)))


def due(reader: Reader, now: int, most: int) -> list[int]:
    """Return the keys of messages that have a recipient without a route whose time has come, the longest due first."""
    rows = reader.all(
        "SELECT message FROM queue_recipient WHERE route IS NULL AND next_attempt <= ? "
        "GROUP BY message ORDER BY min(next_attempt), message LIMIT ?",
        (now, most),
    )
    return [row[0] for row in rows]


def next_due(reader: Reader) -> int | None:
    """Return when the next recipient without a route is due, in milliseconds, or None when there is none."""
    at = reader.value("SELECT min(next_attempt) FROM queue_recipient WHERE route IS NULL")
    return None if at is None else int(at)


def load(reader: Reader, key: int, now: int) -> Queued | None:
    """Return a message with its recipients that are due and have no route, or None if it is not there."""
    row = reader.one(
        "SELECT account, submission, blob, sender, parameters, queued_at, release_at FROM queue_message WHERE key = ?",
        (key,),
    )
    if row is None:
        return None
    account, submission, blob, sender, parameters, queued_at, release_at = row
    recipients = tuple(
        Recipient(one, address, orjson.loads(its_parameters), attempts)
        for one, address, its_parameters, attempts in reader.all(
            "SELECT key, address, parameters, attempts FROM queue_recipient "
            "WHERE message = ? AND route IS NULL AND next_attempt <= ? ORDER BY key",
            (key, now),
        )
    )
    return Queued(key, account, submission, blob, sender, orjson.loads(parameters), queued_at, release_at, recipients)


def send_outside(tx: Transaction, recipients: Iterable[Recipient]) -> None:
    """Give recipients the way to other servers: they have no mailbox here."""
    tx.many("UPDATE queue_recipient SET route = ? WHERE key = ?", [(OUTSIDE, one.key) for one in recipients])


def postpone(tx: Transaction, recipients: Iterable[Recipient], until: int, reply: str) -> None:
    """Try recipients again later, at a time in milliseconds; `reply` says why."""
    tx.many(
        "UPDATE queue_recipient SET next_attempt = ?, attempts = attempts + 1, reply = ? WHERE key = ?",
        [(until, reply, one.key) for one in recipients],
    )


def done(tx: Transaction, message: Queued, recipients: Iterable[Recipient]) -> None:
    """Strike recipients off; a message that nobody waits for any longer goes."""
    tx.many("DELETE FROM queue_recipient WHERE key = ?", [(one.key,) for one in recipients])
    if tx.value("SELECT 1 FROM queue_recipient WHERE message = ?", (message.key,)) is None:
        _drop(tx, message.account, message.key, message.blob)


def cancel(tx: Transaction, submission: int) -> bool:
    """Take a submission's message out of the queue. False when it is not there."""
    row = tx.one("SELECT account, key, blob FROM queue_message WHERE submission = ?", (submission,))
    if row is None:
        return False
    _drop(tx, *row)
    return True


def remove_account(tx: Transaction, account: int) -> None:
    """Take out everything that an account has in the queue."""
    for row in tx.all("SELECT account, key, blob FROM queue_message WHERE account = ?", (account,)):
        _drop(tx, *row)


def _drop(tx: Transaction, account: int, key: int, blob: int) -> None:
    tx.execute("DELETE FROM queue_recipient WHERE message = ?", (key,))
    tx.execute("DELETE FROM queue_message WHERE key = ?", (key,))
    blobs.remove_use(tx, blob, account, QUEUE, key)
