"""Content-transfer encodings (RFC 2045 §6, and uuencode): from the octets in a message to the content they stand for.

A blob may be a decoded range of another (see `blobs`), so this lives beside them. Best effort on any input, in linear
time; says when the encoding was broken.
"""

import binascii
import re

IDENTITY, QUOTED_PRINTABLE, BASE64, UUENCODE = "n", "q", "b", "u"
NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\r\n]*\r?\n", re.MULTILINE)


def decode(octets: bytes, encoding: str) -> tuple[bytes, bool]:
    """Return the content and whether the encoding was broken. `encoding` is one of the four letters above."""
    if encoding == BASE64:
        return _base64(octets)
    if encoding == QUOTED_PRINTABLE:
        return binascii.a2b_qp(octets), False
    if encoding == UUENCODE:
        return _uuencode(octets)
    return octets, False


def _base64(octets: bytes) -> tuple[bytes, bool]:
    body, _, after = octets.partition(b"=")
    digits = NOT_BASE64.sub(b"", body)
    broken = bool(after.strip(b"=\r\n\t ")) or bool(NOT_BASE64.sub(b"", body).__len__() != len(b"".join(body.split())))
    if len(digits) % 4 == 1:
        digits, broken = digits[:-1], True
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4)), broken


def _uuencode(octets: bytes) -> tuple[bytes, bool]:
    begin = UU_BEGIN.search(octets)
    lines = octets[begin.end() if begin else 0 :].splitlines()
    content, broken = [], begin is None
    for line in lines:
        if line.strip() == b"end":
            break
        try:
            content.append(binascii.a2b_uu(line))
        except binascii.Error:
            broken = True
    return b"".join(content), broken
