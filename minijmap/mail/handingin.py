"""A finished message that is handed in to be sent becomes what sending by JMAP leaves behind (RFC 6409, RFC 8621 §7).

Owns that: the copy in Sent, its EmailSubmission and its place in the queue, all in one transaction, and whose addresses
may be in the message and in the envelope. Must not know how it is handed in, nor what is answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from minijmap.jmap.errors import SetError
from minijmap.mail import counts, ingest, mailbox, outgoing, submission
from minijmap.mail.addressing import Senders
from minijmap.mail.identity import IDENTITIES
from minijmap.mail.ingest import ParsedEmail
from minijmap.mail.submissionenvelope import Written, check_message
from minijmap.store.database import Reader, Transaction

SEEN = "$seen"


@dataclass(frozen=True)
class HandedIn:
    """A message, read once, and the addresses in its fields."""

    parsed: ParsedEmail
    written: Written


def read(raw: bytes, *, now: int, message_id: str) -> HandedIn:
    """Read a message, given a Date and a Message-ID if it has none; with both, not an octet of it is changed.

    `now` in milliseconds; `message_id` without its angle brackets.
    """
    parsed = ingest.parse(outgoing.completed(raw, sent_at=now, message_id=message_id))
    fields = [(name, value) for name, value in orjson.loads(parsed.rest)["headers"]]
    return HandedIn(parsed, Written.of(fields))


def check_sender(reader: Reader, senders: Senders, account: int, sender: str) -> None:
    """Raise SetError unless an envelope may have a sender; an empty one is nobody, who is told of no failure."""
    if sender and not senders.may_use(reader, account, sender):
        raise SetError("forbiddenMailFrom", f"“{sender[:60]}” is not yours to send from.")


def send(
    tx: Transaction,
    senders: Senders,
    account: int,
    message: HandedIn,
    envelope: Mapping[str, Any],
    now: int,
    protocol: str,
) -> int:
    """Put a message into Sent and into the queue, and return its key there. Raises SetError.

    `now` in milliseconds; `protocol` is how it was handed in, as a Received field names it.
    """
    written = message.written
    check_message(written, deriving=False)
    for address in (*written.authors[0], *(one for field in written.senders for one in field)):
        if not senders.may_use(tx, account, address):
            raise SetError("forbiddenFrom", f"“{address[:60]}” is not yours to write from.")
    check_sender(tx, senders, account, envelope["mailFrom"]["email"])
    email, thread = _copy(tx, account, message.parsed, now)
    wanted = {
        "identityId": f"i{_identity(tx, senders, account, written.authors[0][0])}",
        "emailId": f"e{email}",
        "envelope": envelope,
        "undoStatus": submission.PENDING,
    }
    blob = tx.value("SELECT blob FROM email WHERE key = ?", (email,))
    return submission.place(tx, account, wanted, thread, int(blob), now, protocol)[1]


def _copy(tx: Transaction, account: int, parsed: ParsedEmail, now: int) -> tuple[int, int]:
    """Return the keys of the Email in Sent with these octets, and of its Thread: a new one unless it is there."""
    sent = _sent(tx, account)
    there = tx.one(
        "SELECT e.key, e.thread FROM blob CROSS JOIN email AS e ON e.blob = blob.key "
        "CROSS JOIN email_mailbox AS m ON m.email = e.key "
        "WHERE blob.digest = ? AND e.account = ? AND m.mailbox = ?",
        (parsed.blob.digest, account, sent),
    )
    if there is not None:
        return there[0], there[1]
    added = ingest.add(tx, account, parsed, mailboxes=[sent], keywords=[SEEN], received_at=now)
    counts.recount(tx, account, [added.thread])
    return added.key, added.thread


def _sent(tx: Transaction, account: int) -> int:
    """Return the key of Sent; one is made if the user has none, for the copy must go somewhere."""
    key = counts.mailbox_with_role(tx, account, "sent")
    return mailbox.add_mailbox(tx, account, mailbox.free_name(tx, account, "Sent"), "sent", 3) if key is None else key


def _identity(reader: Reader, senders: Senders, account: int, author: str) -> int:
    """Return the key of the Identity that an author writes as: the nearest, and at last the account's own.

    An address may be the user's, by an alias, without an Identity that is for it.
    """
    rows = reader.all(
        f"SELECT key, doc ->> '$.email' FROM {IDENTITIES.table} WHERE account = ? ORDER BY key", (account,)
    )
    exact = [key for key, email in rows if email.lower() == author.lower()]
    near = [key for key, email in rows if senders.allows(email, author)]
    return int((exact or near or [key for key, _ in rows])[0])
