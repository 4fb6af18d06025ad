"""The octets that leave: a stored message as its recipients get it (RFC 8621 §7.5, RFC 6409 §8).

Owns what is taken out of the header and what is put into it; not an octet of the rest is touched. Pure functions.
"""

import re
from datetime import UTC, datetime
from email.utils import format_datetime

# RFC 8621 §7.5: Bcc “MUST” go; Resent-Bcc would tell of the same (RFC 5322 §3.6.6).
_SECRET = (b"bcc", b"resent-bcc")
# RFC 5321 §4.4: what says where a message came from once is written anew by the server that delivers it.
_LEFT_BEHIND = (*_SECRET, b"return-path")
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_MBOX = (b"From ", b">From ")
_LINE_END = re.compile(rb"\r\n|\r|\n")


def leaving(raw: bytes, *, sent_at: int, message_id: str) -> bytes:
    """Return a message without Bcc and Return-Path, and with a Date and a Message-ID if it has none.

    The Date is `sent_at`, in milliseconds; `message_id` is without its angle brackets. A line that some mbox file has
    left at the top goes too.
    """
    return _rewritten(raw, _LEFT_BEHIND, sent_at, message_id)


def completed(raw: bytes, *, sent_at: int, message_id: str) -> bytes:
    """Return a message as `leaving` does, but with nothing taken out: as whoever sends it keeps it (RFC 6409 §8)."""
    return _rewritten(raw, (), sent_at, message_id)


def _rewritten(raw: bytes, left_behind: tuple[bytes, ...], sent_at: int, message_id: str) -> bytes:
    kept: list[bytes] = []
    names: set[bytes] = set()
    position, dropping = 0, False
    while position < len(raw):
        end = raw.find(b"\n", position) + 1 or len(raw)
        line = raw[position:end]
        if line in (b"\r\n", b"\n"):
            break
        if line[:1] not in (b" ", b"\t"):  # it does not go on with the field before
            found = _NAME.match(line)
            name = found[1].lower() if found else b""
            dropping = name in left_behind or (position == 0 and line.startswith(_MBOX))
            names.add(name)
        if not dropping:
            kept.append(line)
        position = end
    added = []
    if b"date" not in names:
        added.append(f"Date: {format_datetime(datetime.fromtimestamp(sent_at / 1000, UTC))}\r\n".encode())
    if b"message-id" not in names:
        added.append(f"Message-ID: <{message_id}>\r\n".encode())
    return b"".join((*added, *kept, raw[position:]))


def with_crlf(octets: bytes) -> bytes:
    """Return a message with CRLF at the end of every line: SMTP knows no other, and no bare CR (RFC 5321 §2.3.8)."""
    return _LINE_END.sub(b"\r\n", octets)


def header_of(octets: bytes) -> bytes:
    """Return a message's header, the last line end included; the message has CRLF everywhere."""
    end = 0 if octets.startswith(b"\r\n") else octets.find(b"\r\n\r\n") + 2
    return octets[:end] if end > 1 or octets.startswith(b"\r\n") else octets


def message_id(queued_at: int, name: str, hostname: str) -> str:
    """Return the Message-ID that a message without one gets, the same whenever it is asked for."""
    return f"{queued_at}.{name}@{hostname}"
