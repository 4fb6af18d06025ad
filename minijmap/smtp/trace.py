"""The header fields that say how a message came here: Return-Path and Received (RFC 5321 §4.4).

Owns their text alone. A client chooses what it says in EHLO and in the envelope, so nothing of it may end a line or
open a field of its own; everything else must come from the connection.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}|\[[A-Za-z0-9.:]{1,255}\]")
MOST_HOST = 255


@dataclass(frozen=True)
class Arrival:
    """What is known about one message's way here. `recipient` is the only one, or None when there were several.

    `helo` is None for a message that was submitted on this server: it came from no other host.
    """

    sender: str
    recipient: str | None
    helo: str | None
    peer: str | None
    protocol: str
    hostname: str
    trace_id: str
    received_at: float


def protocol(*, extended: bool, tls: bool = False, utf8: bool = False, signed_in: bool = False) -> str:
    """Return the name of what was spoken (RFC 3848, RFC 6531 §4.3)."""
    if not extended:
        return "SMTP"
    return ("UTF8SMTP" if utf8 else "ESMTP") + ("S" if tls else "") + ("A" if signed_in else "")


def safe_host(name: str) -> str:
    """Return a name from EHLO in a form that a header field can carry: what a host name can't hold becomes `-`."""
    if _HOST.fullmatch(name):
        return name
    return re.sub(r"[^A-Za-z0-9._-]", "-", name[:MOST_HOST]) or "unknown"


def address_literal(peer: str | None) -> str:
    """Write an IP address as an address literal (RFC 5321 §4.1.3)."""
    try:
        address = ipaddress.ip_address((peer or "").partition("%")[0])
    except ValueError:
        return "[unknown]"
    mapped = getattr(address, "ipv4_mapped", None)
    return f"[IPv6:{address}]" if address.version == 6 and mapped is None else f"[{mapped or address}]"


def fields(arrival: Arrival, found: bytes = b"") -> bytes:
    """Return the two fields, each ended by CRLF: they go before the first octet of the message.

    `found` are fields that say what was found out about it. They are above Received (RFC 8601 §4), and below
    Return-Path, which comes first (RFC 5321 §4.4).
    """
    local_time = datetime.fromtimestamp(arrival.received_at, UTC).astimezone()
    path = "" if arrival.recipient is None else f"\r\n\tfor <{arrival.recipient}>"
    source = "" if arrival.helo is None else f"from {safe_host(arrival.helo)} ({address_literal(arrival.peer)})\r\n\t"
    path_field = f"Return-Path: <{arrival.sender}>\r\n"
    text = (
        f"Received: {source}by {safe_host(arrival.hostname)} with {arrival.protocol} id {arrival.trace_id}{path};\r\n"
        f"\t{format_datetime(local_time)}\r\n"
    )
    return path_field.encode() + found + text.encode()
