"""Where in a message S/MIME is, and what octets a signature is about (RFC 8551 §3.4, §3.5, §3.10, RFC 1847 §2.1).

Owns the MIME side of it. Pure functions over a parsed message; what is in a CMS object, `smimecms` reads. A message
without S/MIME is told by the types of its parts alone: that is all it ever costs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from minijmap.mail import headers, message
from minijmap.mail.message import Part

DETACHED, OPAQUE, FOREIGN = "detached", "opaque", "foreign"
_SIGNATURES: Final = ("application/pkcs7-signature", "application/x-pkcs7-signature")
_OPAQUE: Final = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_SUFFIXES: Final = (".p7m", ".p7s", ".p7c", ".p7z")
_LINE_END: Final = re.compile(rb"\r?\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


@dataclass(frozen=True)
class Place:
    """The outermost entity of S/MIME (or of another way to sign) in a message."""

    part: Part
    form: str
    """DETACHED: multipart/signed; OPAQUE: application/pkcs7-mime; FOREIGN: multipart/signed by another protocol."""
    is_whole: bool
    """Whether it is the whole message; else it is only a part of it."""


def find(root: Part) -> Place | None:
    """Return where a message is signed or encrypted, or None. A message in the message is another message."""
    form = _form(root, outermost=True)
    if form is not None:
        return Place(root, form, is_whole=True)
    inner = [(part, its_form) for part in _below(root) if (its_form := _form(part)) is not None]
    if not inner:
        return None
    # Signed by S/MIME goes before signed by others.
    part, its_form = min(inner, key=lambda one: one[1] == FOREIGN)
    return Place(part, its_form, is_whole=False)


def _below(root: Part) -> Iterator[Part]:
    stack = list(reversed(root.parts))
    while stack:
        part = stack.pop()
        yield part
        stack.extend(reversed(part.parts))


def _form(part: Part, *, outermost: bool = False) -> str | None:
    if part.type == "multipart/signed":
        return DETACHED if _protocol(part) in _SIGNATURES else FOREIGN
    if part.type in _OPAQUE:
        return OPAQUE
    # RFC 8551 §3.10: an octet-stream by its file's name; inside of a message that is somebody's attachment.
    if outermost and part.type == "application/octet-stream" and (part.name or "").lower().endswith(_SUFFIXES):
        return OPAQUE
    return None


def _protocol(part: Part) -> str:
    """Return by what a multipart/signed is signed; one that does not say is known by its second part."""
    protocol = _parameters(part).get("protocol", "").strip().lower()
    return protocol or (part.parts[1].type if len(part.parts) == 2 else "")


def _parameters(part: Part) -> dict[str, str]:
    fields = headers.find_all(part.headers, "Content-Type")
    return headers.content_type(fields[0])[1] if fields else {}


def smime_type(part: Part) -> str:
    """Return what an application/pkcs7-mime says it holds, in lower case (RFC 8551 §3.2.2)."""
    return _parameters(part).get("smime-type", "").strip().lower()


def object_of(raw: bytes, part: Part) -> bytes:
    """Return the CMS object in a part, decoded from its transfer encoding."""
    return message.decode_content(raw, part.body_start, part.body_end, part.encoding)[0]


def signed_entity(raw: bytes, part: Part) -> bytes | None:
    """Return the octets that a multipart/signed is the signature of, None if it has not its two parts.

    That is all between the first two delimiter lines, in canonical form: every line ends in CRLF (RFC 8551 §3.1.1).
    """
    if len(part.parts) != 2:
        return None
    start, second = part.parts[0].header_start, part.parts[1].header_start
    line = raw.rfind(b"\n", 0, max(second - 1, 0))
    # RFC 2046 §5.1.1: the line end before a delimiter belongs to the delimiter.
    end = line - 1 if line > 0 and raw[line - 1] == 13 else line
    entity = raw[start : max(start, end)]
    return _LINE_END.sub(b"\r\n", entity) if _BARE_LF.search(entity) else entity
