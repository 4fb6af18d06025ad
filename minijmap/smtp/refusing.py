"""Saying that recipients refuse a message: in the reply to it, or by a message to its sender (RFC 5429).

Owns when which of the two is right, and their form: a multi-line reply (RFC 5321 §4.2.1) with an enhanced status code
(RFC 2034), a notification of failure (RFC 3464), a notice of disposition (RFC 8098). Composes; must not know why
somebody refuses, nor the store.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from minijmap.mail import headers
from minijmap.mail import message as mime
from minijmap.mail.outgoing import header_of, with_crlf
from minijmap.mail.queue import Recipient
from minijmap.sieve.arrival import Arriving, Outcome, Refusal
from minijmap.sieve.effects import REFUSED
from minijmap.smtp import bounces
from minijmap.smtp.bounces import FAILED, Notice, Verdict

MOST_LINE: Final = 450
"""Octets of a line of a reply, code and line end included: RFC 5321 §4.5.3.1.5 has 512."""
MOST_LINES: Final = 20
MOST_TEXT: Final = 1000
MAILBOX_FULL: Final = "5.2.2"
FILTERED: Final = "The message was refused by the recipient's mail filtering program."
_UNPRINTABLE: Final = re.compile(r"[^\t\x20-\x7e]+")


def is_by_protocol(outcomes: Sequence[Outcome]) -> bool:
    """Say whether the reply to a message can refuse it: everybody does, and the reasons may be said there.

    RFC 5429 §2.2: the reason of a reject must come to the sender as it is, and a reply is ASCII; §2.1.1: that of an
    ereject need not.
    """
    refusals = [one.refusal for one in outcomes]
    return bool(refusals) and all(one is not None and not (one.exact and not one.reason.isascii()) for one in refusals)


def reply(outcomes: Sequence[Outcome]) -> str:
    """Return the reply that refuses a message, its lines joined by CRLF."""
    refusals = list(dict.fromkeys(one.refusal for one in outcomes if one.refusal is not None))
    status = refusals[0].status
    code = _code(status)
    lines = [line for one in refusals for line in _lines(one.reason)][:MOST_LINES]
    return "\r\n".join([*(f"{code}-{status} {line}" for line in lines[:-1]), f"{code} {status} {lines[-1]}"])


def line(refusal: Refusal) -> str:
    """Return a refusal in one line, its reason as it is: for a report, which need not be ASCII."""
    # RFC 5429 §2.1.2: the sender is to know that it was a filter.
    who = "The recipient's mail filter has refused the message: " if refusal.status == REFUSED else ""
    return f"{_code(refusal.status)} {refusal.status} {who}{' '.join(refusal.reason.split())}"[:MOST_TEXT]


def _code(status: str) -> str:
    return "552" if status == MAILBOX_FULL else "550"  # RFC 5321 §4.2.3


def _lines(reason: str) -> list[str]:
    """Return a reason in lines that a reply can have."""
    if not reason.isascii():  # RFC 5429 §2.1.1: another text, in ASCII alone
        return ["Refused by the recipient's mail filter"]
    lines = [_UNPRINTABLE.sub(" ", line).rstrip() for line in reason.splitlines()]
    cut = [line[at : at + MOST_LINE] for line in lines for at in range(0, max(len(line), 1), MOST_LINE)]
    while cut and not cut[-1]:
        cut.pop()
    return cut or ["Refused by the recipient"]


@dataclass(frozen=True)
class Letter:
    """A message that tells the sender of refusals; it goes to `to`, and comes from nobody."""

    to: str
    octets: bytes


def letters(arriving: Arriving, outcomes: Sequence[Outcome], hostname: str) -> list[Letter]:
    """Return what the sender of a message is told when not everybody has taken it; nothing when there is none.

    RFC 5429 §2.1.2: an ereject, as any other failure, becomes a DSN; §2.2.1: a reject becomes an MDN.
    """
    if not arriving.sender:
        return []
    refused = [one for one in outcomes if one.refusal is not None]
    found = [
        Letter(arriving.sender, _disposition(arriving, one, hostname))
        for one in refused
        if one.refusal is not None and one.refusal.exact
    ]
    verdicts = [
        Verdict(Recipient(0, one.recipient.address, {}, 0), FAILED, one.refusal.status, line(one.refusal), "")
        for one in refused
        if one.refusal is not None and not one.refusal.exact
    ]
    if verdicts:
        raw = with_crlf(arriving.raw)
        notice = Notice(arriving.sender, {}, verdicts, raw, hostname, arriving.received_at, arriving.received_at)
        found.append(Letter(arriving.sender, bounces.compose(notice)))
    return found


def _disposition(arriving: Arriving, outcome: Outcome, hostname: str) -> bytes:
    """Return the MDN of a message that was rejected (RFC 5429 §2.2.1, RFC 8098 §3)."""
    address = outcome.recipient.address
    header = header_of(with_crlf(arriving.raw))
    fields = mime.parse(header).headers
    own_id = next(iter(headers.as_message_ids(headers.find(fields, "Message-ID") or "") or ()), None)
    reason = "" if outcome.refusal is None else "\r\n".join(outcome.refusal.reason.splitlines())
    text = f"{FILTERED}\r\nThe reason given was as follows:\r\n\r\n{reason}\r\n".encode("utf-8", "replace")
    kind = "rfc822" if address.isascii() else "utf-8"
    lines = [f"Reporting-UA: {hostname}; minijmap", f"Final-Recipient: {kind}; {address}"]
    lines += [f"Original-Message-ID: <{own_id}>"] if own_id else []
    lines.append("Disposition: automatic-action/MDN-sent-automatically; deleted")
    boundary = f"={secrets.token_hex(16)}="
    returned = "text/rfc822-headers" if header.isascii() else "message/global-headers"
    parts = [
        bounces.part(boundary, "text/plain; charset=utf-8", text),
        bounces.part(boundary, "message/disposition-notification", "\r\n".join([*lines, ""]).encode()),
        bounces.part(boundary, returned, bounces.shortened(header)),
    ]
    body = b"".join(parts)
    references = f"In-Reply-To: <{own_id}>\r\nReferences: <{own_id}>\r\n" if own_id else ""
    top = (
        f"From: <{address}>\r\n"
        f"To: <{arriving.sender}>\r\n"
        "Subject: Your message was rejected\r\n"
        f"Date: {format_datetime(datetime.fromtimestamp(arriving.received_at / 1000, UTC))}\r\n"
        f"Message-ID: <{arriving.received_at}.{secrets.token_hex(8)}@{hostname}>\r\n"
        f"{references}"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type=disposition-notification;\r\n\tboundary="{boundary}"\r\n'
        f"Content-Transfer-Encoding: {bounces.encoding(body)}\r\n\r\n"
    )
    return top.encode() + body + f"--{boundary}--\r\n".encode()
