"""Body parts in octets: content transfer encodings, boundaries, MIME fields (RFC 2045, RFC 2046, RFC 2183, RFC 2387).

Owns how checked parts become the body of a message. A part's content comes back from the message octet for octet,
but for the line ends of text and of attached messages, which are CRLF. Knows no creation object.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

from minijmap.jmap.values import ValueProblem
from minijmap.mail.composeparts import PartPlan
from minijmap.mail.folding import Field, field_of_lines, mime_field, parameter
from minijmap.mail.headers import content_type
from minijmap.mail.message import MAX_FIELDS, MAX_HEADER_BYTES

# --- content transfer encodings -------------------------------------------------------------------------------------

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_STRAY: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_LONG_LINE: Final = re.compile(rb"[^\r\n]{999}")  # RFC 2045 §2.7
_UNPLAIN: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f-\xff]|^From ", re.MULTILINE)
_FROM: Final = re.compile(rb"^From ", re.MULTILINE)
_QUOTED_AS_IS: Final = bytes(set(range(32, 127)) - set(b"=")) + b"\t\r\n"
_WINDOW: Final = 57 * 10_000  # octets of whole lines
_BINARY: Final = re.compile(rb"^content-transfer-encoding:\s*binary", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A content as it is written."""

    encoding: str
    body: bytes
    opaque: bool = False
    """It can't be written under its own type, but only as application/octet-stream."""


def _base64(content: bytes) -> Encoded:
    """RFC 2045 §6.8, in windows: a list of all lines of a large attachment would take more memory than the lines."""
    return Encoded("base64", b"\r\n".join(_base64_windows(content)))


def _base64_windows(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _WINDOW):
        packed = binascii.b2a_base64(content[start : start + _WINDOW], newline=False)
        yield b"\r\n".join([packed[at : at + 76] for at in range(0, len(packed), 76)])


def _quoted_printable(content: bytes) -> Encoded:
    """RFC 2045 §6.7, for content whose line ends are all CRLF."""
    body = _BARE_LF.sub(b"\r\n", binascii.b2a_qp(content))
    return Encoded("quoted-printable", _FROM.sub(b"From=\r\n ", body))  # "From " at the start is altered on many ways


def encode_octets(content: bytes) -> Encoded:
    """7bit if every way leaves that alone, else the better of quoted-printable and base64; every octet is kept."""
    if _STRAY.search(content):
        return _base64(content)
    if not _UNPLAIN.search(content) and not _LONG_LINE.search(content):
        return Encoded("7bit", content)
    escaped = len(content.translate(None, _QUOTED_AS_IS))
    in_q = (len(content) + 2 * escaped) * 78 // 75
    in_b = (len(content) + 2) // 3 * 4 * 78 // 76
    # Mostly ASCII stays readable, even if base64 would be a little shorter.
    return _quoted_printable(content) if in_q * 4 <= in_b * 5 else _base64(content)


def encode_message(content: bytes, media_type: str) -> Encoded:
    """An attached message: as it is, never encoded (RFC 2046 §5.2.1), its line ends CRLF.

    One that no mail transport would carry so becomes opaque base64; a message/global may be encoded (RFC 6532 §3.7).
    """
    if media_type.startswith("message/global"):
        plain = encode_octets(content)
        return plain if plain.encoding == "7bit" else _base64(content)
    body = _BARE_LF.sub(b"\r\n", content)
    if b"\0" in body or _STRAY.search(body) or _LONG_LINE.search(body) or _BINARY.search(body):
        encoded = _base64(content)
        return Encoded(encoded.encoding, encoded.body, opaque=True)
    return Encoded("7bit" if body.isascii() else "8bit", body)


def encode(plan: PartPlan) -> Encoded:
    """The content of a leaf."""
    content = plan.content
    if plan.value is not None:
        # RFC 2046 §4.1.1: the line end of text is CRLF
        content = (_LINE_END.sub("\r\n", plan.value) if plan.is_text() else plan.value).encode()
    if plan.type.startswith("message/"):
        return encode_message(content, plan.type)
    if plan.is_text() or plan.value is not None:
        return encode_octets(content)
    return _base64(content)


# --- MIME fields ----------------------------------------------------------------------------------------------------


def _extended(given: Field, parameters: Mapping[str, str | None]) -> Field:
    """A Content-Type as it was given, with those parameters that it lacks."""
    present = content_type(given.raw)[1]
    units = [
        unit
        for name, value in parameters.items()
        if value is not None and name not in present
        for unit in parameter(name, value)
    ]
    if not units:
        return given
    whole = ";\r\n ".join((given.raw.rstrip(" \t;"), *units))
    return field_of_lines(given.name, f"{given.name}:{whole}".split("\r\n"))


def _type_field(plan: PartPlan, parameters: Mapping[str, str | None]) -> Field:
    given = plan.given("content-type")
    return _extended(given, parameters) if given else mime_field("Content-Type", plan.type, parameters)


def _disposition_field(plan: PartPlan) -> Field | None:
    if plan.given("content-disposition") or plan.disposition is None:
        return None
    return mime_field("Content-Disposition", plan.disposition, {"filename": plan.name})


def _type_name(plan: PartPlan, disposition: Field | None) -> str | None:
    """The name parameter of Content-Type, for readers that look only there.

    Beside a filename it is left out unless it needs no encoding: what an old reader makes of RFC 2231 is no name.
    """
    if plan.name is None or (
        disposition and any("*" in unit.partition("=")[0] for unit in parameter("name", plan.name))
    ):
        return None
    return plan.name


def _charset(plan: PartPlan) -> str | None:
    """The charset that is declared; a blob's is what was given, or else UTF-8 if that is what it is."""
    if not plan.is_text() or plan.charset:
        return plan.charset
    if plan.value is not None:
        return "utf-8"
    try:
        plan.content.decode()
    except UnicodeDecodeError:
        return None
    return None if plan.content.isascii() else "utf-8"


# --- the tree -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """A part as it is written: its fields, those of MIME first, and the pieces of its body without a last line end."""

    fields: list[Field]
    body: list[bytes]

    def is_7bit(self) -> bool:
        """Say whether the whole part is ASCII in short lines."""
        return all(one.octets.isascii() for one in self.fields) and not any(
            one.key == "content-transfer-encoding" and b"8bit" in one.octets for one in self.fields
        )


class BodyWriter:
    """Writes the parts of one message. `random_token` gives the characters of boundaries: letters, digits, - and _."""

    def __init__(self, root: PartPlan, random_token: Callable[[], str]) -> None:
        self.root = root
        self.encoded = {id(plan): encode(plan) for plan in root.walk() if not plan.is_multipart()}
        self.token = self._unheard_of(random_token) if root.is_multipart() else ""
        self.number = 0

    def write(self) -> Written:
        """Write the body of the message. Raises ValueProblem for a header beyond the limits."""
        written = self._part(self.root)
        last = self.root.is_multipart() or self.encoded[id(self.root)].encoding == "base64"
        return Written(written.fields, [*written.body, b"\r\n"]) if last else written

    def _unheard_of(self, random_token: Callable[[], str]) -> str:
        """A token that is in no content that stands as it is; "=_" is in no content that is encoded."""
        bare = [one.body for one in self.encoded.values() if one.encoding in {"7bit", "8bit"}]
        for attempt in count():
            token = f"_{random_token()}{attempt or ''}"
            if not any(token.encode() in body for body in bare):
                return token
        raise AssertionError  # pragma: no cover - count() has no end

    def _boundary(self) -> str:
        self.number += 1
        # The number comes first: no boundary is the beginning of another one (RFC 2046 §5.1.2).
        return f"=_{self.number}{self.token}"

    def _part(self, plan: PartPlan) -> Written:
        written = self._multipart(plan) if plan.is_multipart() else self._leaf(plan)
        check_header(written.fields, plan.path)
        return written

    def _leaf(self, plan: PartPlan) -> Written:
        encoded = self.encoded[id(plan)]
        if encoded.opaque:
            plan.fields = [one for one in plan.fields if one.key != "content-type"]
            plan.type, plan.name = "application/octet-stream", plan.name or "message.eml"
        disposition = _disposition_field(plan)
        mime = [
            _type_field(plan, {"charset": _charset(plan), "name": _type_name(plan, disposition)}),
            mime_field("Content-Transfer-Encoding", encoded.encoding, {}),
        ]
        return Written([*mime, *_rest(plan, disposition)], [encoded.body])

    def _multipart(self, plan: PartPlan) -> Written:
        boundary = self._boundary()
        parts = [self._part(part) for part in plan.parts]
        disposition = _disposition_field(plan)
        root_type = plan.parts[0].type if plan.type == "multipart/related" else None  # RFC 2387 §3.1
        parameters = {"boundary": boundary, "type": root_type, "name": _type_name(plan, disposition)}
        mime = [_type_field(plan, parameters)]
        if not all(part.is_7bit() for part in parts):
            mime.append(mime_field("Content-Transfer-Encoding", "8bit", {}))  # RFC 2045 §6.4
        body: list[bytes] = []
        for part in parts:
            body += (f"--{boundary}\r\n".encode(), *(one.octets for one in part.fields), b"\r\n", *part.body, b"\r\n")
        body.append(f"--{boundary}--".encode())
        return Written([*mime, *_rest(plan, disposition)], body)


def _rest(plan: PartPlan, disposition: Field | None) -> Iterable[Field]:
    """The fields of a part after Content-Type and Content-Transfer-Encoding."""
    if disposition:
        yield disposition
    yield from (one for one in plan.fields if one.key != "content-type")


def check_header(fields: list[Field], path: str) -> None:
    """Keep a header within what the parser reads. Raises ValueProblem."""
    if len(fields) > MAX_FIELDS:
        raise ValueProblem(f"has more than {MAX_FIELDS} header fields", path)
    if sum(len(one.octets) for one in fields) > MAX_HEADER_BYTES:
        raise ValueProblem(f"has header fields of more than {MAX_HEADER_BYTES} octets", path)
