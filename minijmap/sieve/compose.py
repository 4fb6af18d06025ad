"""MIME entities that scripts put into a message: replacements and enclosures (RFC 5703 §5, §6, RFC 2045, RFC 2046).

Owns how a text of a script becomes a body part, and the header of a message whose content is another. Pure functions
over octets; it knows no message view and no commands. Line ends are the message's own.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Final

from minijmap.mail.message import parse
from minijmap.sieve.headerblock import EditProblem, HeaderBlock

_LONGEST_LINE: Final = 998
"""Octets of a line (RFC 5322 §2.1.1)."""

_BREAKS: Final = re.compile(r"\r\n|\r|\n")
_HEADER: Final = re.compile(r"(?:[!-9;-~]{1,998}[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*(?:\r?\n|\Z)")
_STRUCTURAL: Final = re.compile(r"content-|mime-version\Z", re.IGNORECASE)


def _crlf(text: str) -> str:
    return _BREAKS.sub("\r\n", text)


def _clashes(body: bytes, boundaries: Collection[bytes]) -> bool:
    """Whether a line of the body would be read as a delimiter of a multipart around it (RFC 2046 §5.1.1)."""
    return any(body.startswith(b"--" + one) or b"\n--" + one in body for one in boundaries)


def transfer_encoding(octets: bytes) -> str:
    """The domain of octets that are not encoded: 7bit, 8bit or binary (RFC 2045 §2.7 to §2.9); LF counts as CRLF."""
    lines = octets.replace(b"\r\n", b"\n")
    if b"\0" in lines or b"\r" in lines or max(map(len, lines.split(b"\n"))) > _LONGEST_LINE:
        return "binary"
    return "7bit" if octets.isascii() else "8bit"


def text_entity(text: str, boundaries: Collection[bytes] = ()) -> bytes:
    """A text/plain entity in UTF-8 with CRLF line ends, encoded where it could not stand as it is.

    boundaries are those of the multiparts around it.
    """
    body = _crlf(text).encode("utf-8", "replace")
    encoding = transfer_encoding(body)
    if encoding != "7bit" or _clashes(body, boundaries):
        strange = sum(octet > 126 for octet in body)
        if encoding == "8bit" and 3 * strange < len(body) and not _clashes(body, boundaries):
            encoding, body = "quoted-printable", _quoted(body)
        else:
            encoding, body = "base64", base64.encodebytes(body).replace(b"\n", b"\r\n")
    header = f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return header.encode() + body


def _quoted(body: bytes) -> bytes:
    """RFC 2045 §6.7. The encoder's line ends are those of the first line, so there must be one."""
    return binascii.b2a_qp(body + b"\r\n", istext=True)[:-2]


def mime_entity(text: str, boundaries: Collection[bytes] = ()) -> bytes:
    """The entity that a script wrote out with its header (RFC 2045 §2.4), with CRLF line ends.

    Raises EditProblem when it has no header or one that is not ASCII, or would end a multipart around it.
    """
    check_entity(text)
    octets = _crlf(text).encode("utf-8", "replace")
    root = parse(octets)
    body = octets[root.body_start :]
    if _clashes(body, boundaries):
        raise EditProblem("has a line that is a delimiter of the multipart around it")
    if not body.isascii() and not any(name.lower() == "content-transfer-encoding" for name, _ in root.headers):
        # RFC 2045 §6.1: without the field it would be 7bit.
        octets = b"Content-Transfer-Encoding: 8bit\r\n" + octets
    return octets


def check_entity(text: str) -> None:
    """Raise EditProblem, to be read after a name, unless a text is a MIME entity with an ASCII header."""
    header = _HEADER.match(text.replace("\r\n", "\n"))
    if not header:
        raise EditProblem("does not begin with MIME header fields and an empty line")
    if not header[0].isascii():
        raise EditProblem("has a MIME header that is not ASCII")


def header_of_whole(header: HeaderBlock, content: bytes, written: Mapping[str, bytes]) -> bytes:
    """Change a header for other content, an entity, and return it with that content.

    written are new fields by name (Subject, From); what they replace stays as Original-Subject and Original-From.
    """
    # RFC 5703 §5: all other header fields stay, but for those of the MIME structure.
    for field in list(header.fields):
        if _STRUCTURAL.match(field.name):
            header.remove(field)
    for name, octets in written.items():
        header.replace(name, octets, keep_as=f"Original-{name}")
    header.add("MIME-Version", b"MIME-Version: 1.0\r\n", last=True)
    body_start = parse(content).body_start
    for field in HeaderBlock(content[:body_start]).fields:
        if field.name.lower().startswith("content-"):  # RFC 2045 §3: no other field of an entity has a meaning
            octets = field.octets if field.octets.endswith(b"\n") else field.octets + b"\r\n"
            header.add(field.name, octets, last=True)
    header.tail = header.newline
    return header.octets() + content[body_start:].replace(b"\r\n", header.newline)


def enclosure(header: HeaderBlock, message: bytes, text: str, names: list[str], written: Mapping[str, bytes]) -> bytes:
    """A multipart/mixed message of a text and the message whose header is given (RFC 5703 §6).

    names are copied from the old header; written, by name, are put there unless they were copied.
    """
    wanted = {name.lower() for name in names if not _STRUCTURAL.match(name)}
    copied = [field for field in header.fields if field.name.lower() in wanted]
    pieces = [field.octets if field.octets.endswith(b"\n") else field.octets + header.newline for field in copied]
    known = {field.name.lower() for field in copied}
    pieces += [octets.replace(b"\r\n", header.newline) for name, octets in written.items() if name.lower() not in known]
    boundary = _boundary(message, text)
    # RFC 2046 §5.2.1: an enclosed message has no encoding; RFC 2045 §6.4: its domain is that of what is around it.
    domain = transfer_encoding(message)
    declared = "" if domain == "7bit" else f"Content-Transfer-Encoding: {domain}\r\n"
    top = f'MIME-Version: 1.0\r\n{declared}Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
    middle = f"\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n{declared}\r\n"
    own = [top.encode(), text_entity(text), middle.encode()]
    pieces += [octets.replace(b"\r\n", header.newline) for octets in own]
    # RFC 5703 §11: octet for octet, so that a signature inside stays valid.
    return b"".join(pieces) + message + header.newline + f"--{boundary}--".encode() + header.newline


def _boundary(message: bytes, text: str) -> str:
    """A boundary that the message does not have, the same each time."""
    digest = hashlib.sha256(message + text.encode("utf-8", "replace"))
    while (boundary := f"=_{digest.hexdigest()[:40]}").encode() in message:
        digest.update(b".")
    return boundary
