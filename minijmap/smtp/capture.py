"""What a server to try things on does with mail for elsewhere: it keeps it, and nothing leaves the machine.

Owns the Mailbox it goes to and how the envelope is kept: as header fields before the message. Which messages are
captured is `delivery`'s.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from minijmap.mail import counts, ingest, mailbox, outgoing, queue, submission
from minijmap.mail.ingest import ParsedEmail
from minijmap.mail.keywords import of_arrival
from minijmap.mail.queue import Queued, Recipient
from minijmap.store import documents
from minijmap.store.database import Transaction

MAILBOX = "Sent to the outside"
SORT_ORDER = 90
CAPTURED = {
    "smtpReply": f"250 2.1.5 Captured in the mailbox “{MAILBOX}”: nothing leaves this server",
    "delivered": "yes",
    "displayed": "unknown",
}


def parse(message: Queued, recipients: Sequence[Recipient], raw: bytes, hostname: str) -> ParsedEmail | None:
    """Return a message as it would have left, with its envelope before it; None without recipients."""
    if not recipients:
        return None
    own_id = outgoing.message_id(message.queued_at, f"q{message.key}", hostname)
    left = outgoing.leaving(raw, sent_at=message.release_at, message_id=own_id)
    lines = [_line("X-Envelope-From", message.sender, message.parameters)]
    lines += [_line("X-Envelope-To", one.address, one.parameters) for one in recipients]
    return ingest.parse("".join(lines).encode() + left)


def store(tx: Transaction, message: Queued, recipients: Sequence[Recipient], parsed: ParsedEmail, now: int) -> None:
    """Put a captured message into its Mailbox, and write down that it is delivered; `now` in milliseconds."""
    account = message.account
    place = mailbox.find_child(tx, account, MAILBOX, None)
    if place is None:
        place = mailbox.add_mailbox(tx, account, MAILBOX, None, SORT_ORDER)
    flags = [of_arrival(parsed.listed["hasAttachment"])]
    added = ingest.add(tx, account, parsed, mailboxes=[place], keywords=flags, received_at=now)
    counts.recount(tx, account, [added.thread])
    statuses = {one.address: CAPTURED for one in recipients}
    submission.report(tx, account, message.submission, statuses, final=True)
    queue.done(tx, message, recipients)


def _line(name: str, address: str, parameters: Mapping[str, Any]) -> str:
    """Return a field with a path and its parameters as JSON, where no octet can end the line."""
    text = f"<{address}>" + (f" {documents.dump(dict(parameters))}" if parameters else "")
    return f"{name}: {text}\r\n"
