"""Notifications of our own about mail that was sent (RFC 3464 in a multipart/report, RFC 6522; RFC 6533).

Owns their text and form, and who asked for which (RFC 3461 §5.2, §6). Composes; must not know queue or network.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from minijmap.mail.outgoing import header_of
from minijmap.mail.queue import Recipient

FAILED, RELAYED, DELIVERED = "failed", "relayed", "delivered"
MOST_RETURNED = 1_000_000
"""Octets of a message that are returned whole; of a larger one comes the header."""
MOST_HEADER = 64 * 1024
_TITLES = {
    FAILED: ("Your message could not be delivered", "Your message could not be delivered to:"),
    RELAYED: (
        "Your message was passed on",
        "Your message was passed on to a server that will not tell whether it arrives, for:",
    ),
    DELIVERED: ("Your message was delivered", "Your message is in the mailbox of:"),
}


@dataclass(frozen=True)
class Verdict:
    """What became of a recipient: `reply` is what was said in the end, `server` who said it ("": nobody but us)."""

    recipient: Recipient
    action: str
    status: str
    reply: str
    server: str


@dataclass(frozen=True)
class Notice:
    """All that a notification is made of. Times in milliseconds."""

    sender: str
    parameters: Mapping[str, Any]
    verdicts: Sequence[Verdict]
    message: bytes
    """The message, with CRLF at the end of every line."""
    hostname: str
    queued_at: int
    now: int


def wanted(recipient: Recipient, action: str) -> bool:
    """Say whether somebody wants to be told (RFC 3461 §4.1): without NOTIFY, of failures."""
    parameters = {name.upper(): value for name, value in recipient.parameters.items()}
    asked = {word.strip() for word in str(parameters.get("NOTIFY") or "FAILURE").upper().split(",")}
    return "NEVER" not in asked and ("FAILURE" if action == FAILED else "SUCCESS") in asked


def compose(notice: Notice) -> bytes:
    """Return a notification to the sender of a message; its own sender is nobody (RFC 5321 §4.5.5)."""
    action = next((one for one in (FAILED, RELAYED) if any(each.action == one for each in notice.verdicts)), DELIVERED)
    title = _TITLES[action][0]
    domain = notice.sender.rpartition("@")[2] or notice.hostname
    boundary = f"={secrets.token_hex(16)}="
    returned, returned_type = _returned(notice, action)
    parts = [("text/plain; charset=utf-8", _text(notice)), (_kind(notice, "delivery-status"), _status(notice))]
    body = b"".join(part(boundary, kind, content) for kind, content in (*parts, (returned_type, returned)))
    top = (
        "Return-Path: <>\r\n"
        f"From: Mail Delivery <postmaster@{domain}>\r\n"
        f"To: {notice.sender}\r\n"
        f"Subject: {title}\r\n"
        f"Date: {format_datetime(datetime.fromtimestamp(notice.now / 1000, UTC))}\r\n"
        f"Message-ID: <{notice.now}.{secrets.token_hex(8)}@{notice.hostname}>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"\r\n'
        f"Content-Transfer-Encoding: {encoding(body)}\r\n\r\n"
    )
    return top.encode() + body + f"--{boundary}--\r\n".encode()


def part(boundary: str, kind: str, content: bytes) -> bytes:
    """Return a part of a multipart, its delimiter before it."""
    head = f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding(content)}\r\n\r\n"
    return head.encode() + content + (b"" if content.endswith(b"\r\n") else b"\r\n")


def encoding(content: bytes) -> str:
    """Return the transfer encoding of content that is not encoded (RFC 2045 §6.2)."""
    return "7bit" if content.isascii() else "8bit"


def _kind(notice: Notice, name: str) -> str:
    """Return a media type, in the form for what is beyond ASCII if there is any (RFC 6533 §4)."""
    plain = all(one.recipient.address.isascii() and one.reply.isascii() for one in notice.verdicts)
    return f"message/{name}" if plain else f"message/global-{name}"


def _text(notice: Notice) -> bytes:
    lines = [f"This is the mail server {notice.hostname}."]
    for action in _TITLES:
        group = [one for one in notice.verdicts if one.action == action]
        if group:
            lines += ["", _TITLES[action][1], ""]
        for one in group:
            said = f", said {one.server}" if one.server else ""
            lines.append(f"  {one.recipient.address}")
            lines.append(f"    {one.reply}{said}" if action == FAILED else f"    {one.reply}")
    if any(one.action == FAILED for one in notice.verdicts):
        lines += ["", "It will not be tried again. What you sent is below."]
    return "\r\n".join([*lines, ""]).encode()


def _status(notice: Notice) -> bytes:
    """Return the part for machines (RFC 3464 §2)."""
    lines = [f"Reporting-MTA: dns; {notice.hostname}"]
    envid = {name.upper(): value for name, value in notice.parameters.items()}.get("ENVID")
    if envid and str(envid).isprintable():
        lines.insert(0, f"Original-Envelope-Id: {envid}")
    lines.append(f"Arrival-Date: {format_datetime(datetime.fromtimestamp(notice.queued_at / 1000, UTC))}")
    for one in notice.verdicts:
        parameters = {name.upper(): value for name, value in one.recipient.parameters.items()}
        original = str(parameters.get("ORCPT") or "")
        lines.append("")
        if ";" in original and original.isprintable():
            lines.append(f"Original-Recipient: {original.replace(';', '; ', 1)}")
        kind = "rfc822" if one.recipient.address.isascii() else "utf-8"
        lines.append(f"Final-Recipient: {kind}; {one.recipient.address}")
        lines.append(f"Action: {one.action}")
        lines.append(f"Status: {one.status}")
        if one.server:
            lines.append(f"Remote-MTA: dns; {one.server}")
        lines.append(f"Diagnostic-Code: smtp; {one.reply}")
    return "\r\n".join([*lines, ""]).encode()


def _returned(notice: Notice, action: str) -> tuple[bytes, str]:
    """Return what is given back of the message, and its media type (RFC 3461 §4.3: RET is about failures)."""
    ret = {name.upper(): str(value).upper() for name, value in notice.parameters.items()}.get("RET", "")
    header = header_of(notice.message)
    if action == FAILED and ret == "FULL" and len(notice.message) <= MOST_RETURNED:
        return notice.message, "message/rfc822" if header.isascii() else "message/global"
    header = shortened(header)
    return header, "text/rfc822-headers" if header.isascii() else "message/global-headers"


def shortened(header: bytes) -> bytes:
    """Return as much of a header as is returned: whole lines."""
    return header if len(header) <= MOST_HEADER else header[: header.rfind(b"\r\n", 0, MOST_HEADER) + 2]
