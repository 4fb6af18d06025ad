"""The queue: messages on their way out, and who has yet to get them.

Owns the rows alone. They are written in the transaction of whatever is sent, and a recipient's row goes in the
transaction in which the message arrives: so nothing is lost, and nothing comes twice. Who delivers, and how, is not
known here. A recipient begins without a route; whoever looks first delivers to a mailbox here, or sends it outside.

What goes outside is handed to somebody who can't be asked later whether they have it. So an attempt has two ends in
here: `begin` is written before the first octet that can't be taken back, and its end (`done` or `postpone`) right after
the answer. A recipient that is found between the two was under way when the process died: it is sent again, for
nothing may be lost. It arrives twice only if the other side had taken it and its answer was not yet written down.
"""

from collections.abc import Iterable, Mapping, Sequence
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
MOST_REPLY = 1000
"""Characters of a reply that are kept."""


@dataclass(frozen=True)
class Recipient:
    """Who has yet to get a message."""

    key: int
    address: str
    parameters: Mapping[str, Any]
    attempts: int


@dataclass(frozen=True)
class Due:
    """A recipient outside whose time has come: its key, its message's, and the domain that mail for it goes to."""

    key: int
    message: int
    domain: str


@dataclass(frozen=True)
class Line:
    """A recipient that waits, as whoever runs the server sees it. Times in milliseconds."""

    message: int
    key: int
    address: str
    next_attempt: int
    attempts: int
    reply: str
    under_way: int
    """1 while it is handed over."""

    @property
    def name(self) -> str:
        """Return by what name it is retried or canceled."""
        return f"q{self.message}-{self.key}"


@dataclass(frozen=True)
class Queued:
    """A message, and those of its recipients that are asked for. Times in milliseconds; `sender` may be empty.

    `signature` is what was put before the message when it was first sent outside: header fields, or None before that.
    `protocol` is by what it was handed in, as a Received field names it.
    """

    key: int
    account: int
    submission: int | None
    blob: int
    sender: str
    parameters: Mapping[str, Any]
    queued_at: int
    release_at: int
    recipients: tuple[Recipient, ...]
    signature: bytes | None = None
    protocol: str = "JMAP"


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
    protocol: str = "JMAP",
) -> int:
    """Queue a stored message; return the key. `sender` is an Address object, `recipients` address → parameters."""
    key = tx.execute(
        "INSERT INTO queue_message (account, submission, blob, sender, parameters, queued_at, release_at, protocol) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account,
            submission,
            blob,
            sender["email"],
            documents.dump(sender["parameters"] or {}),
            now,
            release_at,
            protocol,
        ),
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
    return _load(reader, key, "route IS NULL AND next_attempt <= ?", now)


def load_outside(reader: Reader, key: int, recipients: Iterable[int]) -> Queued | None:
    """Return a message with those of some recipients (keys) that still wait to go outside, or None if it is gone."""
    return _load(
        reader,
        key,
        f"route = '{OUTSIDE}' AND key IN (SELECT value FROM json_each(?))",
        documents.dump(list(recipients)),
    )


def _load(reader: Reader, key: int, condition: str, parameter: Any) -> Queued | None:
    row = reader.one(
        "SELECT account, submission, blob, sender, parameters, queued_at, release_at, signature, "
        "protocol FROM queue_message WHERE key = ?",
        (key,),
    )
    if row is None:
        return None
    account, submission, blob, sender, parameters, queued_at, release_at, signature, protocol = row
    recipients = tuple(
        Recipient(one, address, orjson.loads(its_parameters), attempts)
        for one, address, its_parameters, attempts in reader.all(
            "SELECT key, address, parameters, attempts FROM queue_recipient "
            f"WHERE message = ? AND {condition} ORDER BY key",
            (key, parameter),
        )
    )
    its = orjson.loads(parameters)
    return Queued(key, account, submission, blob, sender, its, queued_at, release_at, recipients, signature, protocol)


def send_outside(tx: Transaction, recipients: Iterable[Recipient]) -> None:
    """Give recipients the way to other servers: they have no mailbox here."""
    tx.many(
        "UPDATE queue_recipient SET route = ?, domain = ? WHERE key = ?",
        [(OUTSIDE, one.address.rpartition("@")[2].lower(), one.key) for one in recipients],
    )


def outside_due(reader: Reader, now: int, most: int, without: Iterable[str] = ()) -> list[Due]:
    """Return recipients that are due to go outside, the longest due first, but for those of some domains."""
    rows = reader.all(
        "SELECT key, message, domain FROM queue_recipient WHERE route = ? AND next_attempt <= ? AND begun IS NULL "
        "AND domain NOT IN (SELECT value FROM json_each(?)) ORDER BY next_attempt, key LIMIT ?",
        (OUTSIDE, now, documents.dump(list(without)), most),
    )
    return [Due(*row) for row in rows]


def has_outside(reader: Reader) -> bool:
    """Say whether any recipient goes outside, now or later."""
    return bool(reader.value("SELECT EXISTS (SELECT 1 FROM queue_recipient WHERE route = ?)", (OUTSIDE,)))


def next_outside(reader: Reader, after: int) -> int | None:
    """Return when, later than a time, the next recipient is due to go outside; in milliseconds."""
    at = reader.value(
        "SELECT min(next_attempt) FROM queue_recipient WHERE route = ? AND next_attempt > ?", (OUTSIDE, after)
    )
    return None if at is None else int(at)


def begin(tx: Transaction, message: Queued, recipients: Sequence[Recipient], now: int, signature: bytes) -> bool:
    """Write down that a message is about to be handed over; False (and nothing) if a recipient was taken out meanwhile.

    From here on nobody can call it back. `signature` is kept for the attempts to come.
    """
    keys = documents.dump([one.key for one in recipients])
    there = tx.value(
        "SELECT count(*) FROM queue_recipient WHERE key IN (SELECT value FROM json_each(?)) AND begun IS NULL", (keys,)
    )
    if there != len(recipients):
        return False
    tx.execute("UPDATE queue_recipient SET begun = ? WHERE key IN (SELECT value FROM json_each(?))", (now, keys))
    if message.signature is None:
        tx.execute("UPDATE queue_message SET signature = ? WHERE key = ?", (signature, message.key))
    return True


def recover(tx: Transaction) -> list[str]:
    """Have what was under way when an earlier process died sent again; return whose that is."""
    lost = tx.all("SELECT 'q' || message || '-' || key FROM queue_recipient WHERE begun IS NOT NULL")
    tx.execute("UPDATE queue_recipient SET begun = NULL, attempts = attempts + 1 WHERE begun IS NOT NULL")
    return [row[0] for row in lost]


def look_again(tx: Transaction) -> None:
    """Forget the way of those that were to go outside, so that whoever looks first decides anew."""
    tx.execute("UPDATE queue_recipient SET route = NULL WHERE route = ? AND begun IS NULL", (OUTSIDE,))


def postpone(tx: Transaction, recipients: Iterable[Recipient], until: int, reply: str) -> None:
    """Try recipients again later, at a time in milliseconds; `reply` says why."""
    tx.many(
        "UPDATE queue_recipient SET next_attempt = ?, attempts = attempts + 1, reply = ?, begun = NULL WHERE key = ?",
        [(until, reply[:MOST_REPLY], one.key) for one in recipients],
    )


def still_there(reader: Reader, recipients: Iterable[Recipient]) -> set[int]:
    """Return which of some recipients are still in the queue, by key."""
    keys = documents.dump([one.key for one in recipients])
    rows = reader.all("SELECT key FROM queue_recipient WHERE key IN (SELECT value FROM json_each(?))", (keys,))
    return {row[0] for row in rows}


def done(tx: Transaction, message: Queued, recipients: Iterable[Recipient]) -> None:
    """Strike recipients off; a message that nobody waits for any longer goes."""
    tx.many("DELETE FROM queue_recipient WHERE key = ?", [(one.key,) for one in recipients])
    if tx.value("SELECT 1 FROM queue_recipient WHERE message = ?", (message.key,)) is None:
        _drop(tx, message.account, message.key, message.blob)


def cancel(tx: Transaction, submission: int) -> bool:
    """Take a submission's message out of the queue. False when it is not there, or is just being handed over."""
    row = tx.one("SELECT account, key, blob FROM queue_message WHERE submission = ?", (submission,))
    if row is None or tx.value("SELECT 1 FROM queue_recipient WHERE message = ? AND begun IS NOT NULL", (row[1],)):
        return False
    _drop(tx, *row)
    return True


def remove_account(tx: Transaction, account: int) -> None:
    """Take out everything that an account has in the queue."""
    for row in tx.all("SELECT account, key, blob FROM queue_message WHERE account = ?", (account,)):
        _drop(tx, *row)


# For whoever runs the server


def lines(reader: Reader, message: int | None = None, key: int | None = None) -> list[Line]:
    """Return the recipients that wait, the next first: all, those of a message, or one of them."""
    rows = reader.all(
        "SELECT message, key, address, next_attempt, attempts, reply, begun IS NOT NULL FROM queue_recipient "
        "WHERE (?1 IS NULL OR message = ?1) AND (?2 IS NULL OR key = ?2) ORDER BY next_attempt, key",
        (message, key),
    )
    return [Line(*row) for row in rows]


def whole(reader: Reader, key: int) -> Queued | None:
    """Return a message with all its recipients, or None if it is not there."""
    return _load(reader, key, "? IS NULL", None)


def hasten(tx: Transaction, waiting_ones: Iterable[Line], now: int) -> None:
    """Make recipients due now, a time in milliseconds, even those that are held."""
    tx.many("UPDATE queue_recipient SET next_attempt = ? WHERE key = ?", [(now, one.key) for one in waiting_ones])


def _drop(tx: Transaction, account: int, key: int, blob: int) -> None:
    tx.execute("DELETE FROM queue_recipient WHERE message = ?", (key,))
    tx.execute("DELETE FROM queue_message WHERE key = ?", (key,))
    blobs.remove_use(tx, blob, account, QUEUE, key)
