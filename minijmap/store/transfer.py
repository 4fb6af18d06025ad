"""Content-transfer encodings (RFC 2045 §6, and uuencode): from the octets in a message to the content they stand for.

A blob may be a decoded range of another (see `blobs`), so this lives beside them. Best effort on any input, in linear
time; says when the encoding was broken.
"""

import binascii
import re
from typing import Final

IDENTITY, QUOTED_PRINTABLE, BASE64, UUENCODE = "n", "q", "b", "u"

MAX_BASE64_RESTARTS: Final = 10_000
"""Paddings inside of one base64 content after which decoding starts anew."""

NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_BASE64_WHITE: Final = b" \t\r\n"
_BAD_QUOTED: Final = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*+(?:\r?\n|\Z))")
_TRAILING_WHITE: Final = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_UU_BEGIN: Final = re.compile(rb"^begin(?:-base64)? [0-7]{1,6} [^\n]*+\n", re.MULTILINE)
_WINDOW: Final = 1 << 20


def decode(data: bytes, encoding: str) -> tuple[bytes, bool]:
    """Return the content, and whether the encoding was broken: then it is decoded as well as it can be.

    `encoding` is one of the four letters above; an unknown one counts as n.
    """
    if encoding == BASE64:
        return _decode_base64(data)
    if encoding == QUOTED_PRINTABLE:
        return _decode_quoted(data)
    if encoding == UUENCODE:
        return _decode_uu(data)
    return data, False


def decoded_size(raw: bytes, start: int, end: int, encoding: str) -> int:
    """Return how many octets raw[start:end] decodes to; for large base64 without a decoded copy."""
    if encoding == IDENTITY:
        return max(0, end - start)
    padding = raw.find(b"=", start, end) if encoding == BASE64 else start
    if encoding != BASE64 or (padding >= 0 and raw[padding:end].strip(b"= \t\r\n")):
        return len(decode(raw[start:end], encoding)[0])
    stop = end if padding < 0 else padding
    characters = 0
    for window in range(start, stop, _WINDOW):
        characters += len(raw[window : min(window + _WINDOW, stop)].translate(None, NOT_BASE64))
    return characters * 3 // 4


def _decode_base64(data: bytes) -> tuple[bytes, bool]:
    """RFC 2045 §6.8; characters outside of the alphabet are passed over, padding in the middle starts anew."""
    packed = data.translate(None, _BASE64_WHITE)
    try:
        return binascii.a2b_base64(packed, strict_mode=True), False
    except binascii.Error:
        pieces = packed.split(b"=", MAX_BASE64_RESTARTS)
        return b"".join(base64_octets(piece) for piece in pieces), True


def _decode_quoted(data: bytes) -> tuple[bytes, bool]:
    """RFC 2045 §6.7; white space at the end of a line was added on the way, an "=" that says nothing stays."""
    problem = _BAD_QUOTED.search(data) is not None
    return binascii.a2b_qp(_TRAILING_WHITE.sub(b"", data)), problem


def _decode_uu(data: bytes) -> tuple[bytes, bool]:
    begin = _UU_BEGIN.search(data)
    if not begin:
        return data, True
    pieces: list[bytes] = []
    problem = False
    for line in data[begin.end() :].split(b"\n"):
        text = line.rstrip(b"\r")
        if text.rstrip() == b"end":
            return b"".join(pieces), problem
        octets, broken = _decode_uu_line(text)
        problem = problem or broken
        pieces.append(octets)
    return b"".join(pieces), True


def _decode_uu_line(line: bytes) -> tuple[bytes, bool]:
    """One line: its first character says how many octets follow; some encoders write one character too many."""
    if not line:
        return b"", False
    length = ((((line[0] - 32) & 63) + 2) // 3) * 4 + 1
    try:
        return binascii.a2b_uu(line[:length]), False
    except binascii.Error:
        return b"", True


def base64_octets(data: bytes) -> bytes:
    """Best effort: what the base64 alphabet's characters in the data say, padding or not."""
    kept = data.translate(None, NOT_BASE64)
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))
