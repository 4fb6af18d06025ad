"""MIME structure: where the parts of a message are (RFC 5322 §2, RFC 2045, RFC 2046 §5.1), and what they decode to.

Owns the offset scanner, which reads the raw octets once and keeps offsets instead of copies, the storage form of its
result and the content transfer encodings. It raises on no input: past a limit, what is left becomes the content of one
opaque part. It knows header fields only as far as MIME needs them; which parts make a body is body.py's.

Line ends may be CRLF, LF or mixed. message/* parts are leaves: parse() again what they decode to (RFC 8621 §4.9).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from minijmap.mail.headers import content_id, content_language, content_location, content_type, disposition
from minijmap.mail.text import decode_octets
from minijmap.store import transfer
from minijmap.store.transfer import decoded_size

MAX_DEPTH: Final = 50
"""Multiparts inside of each other; a deeper one is an opaque leaf."""

MAX_PARTS: Final = 1000
"""Parts of one message, multiparts included; the last one takes the rest of the message."""

MAX_FIELDS: Final = 2000
"""Header fields kept of one part; later ones are passed over."""

MAX_HEADER_BYTES: Final = 1_000_000
"""Octets of one part's header fields that are kept; later ones are passed over."""

MAX_BOUNDARY: Final = 256
"""Octets of a boundary (RFC 2046 §5.1.1 allows 70); a multipart with a longer one is a plain-text leaf."""


@dataclass(slots=True)
class Part:
    """One MIME entity. Offsets count octets in the raw message; [body_start, body_end) is the encoded content."""

    part_id: str | None
    type: str
    headers: list[tuple[str, str]]
    header_start: int
    body_start: int
    body_end: int
    encoding: str = "n"
    """n none, q quoted-printable, b base64, u uuencode."""
    charset: str | None = None
    """As declared; None when it is not (see body.part_json for what RFC 8621 then implies)."""
    disposition: str | None = None
    cid: str | None = None
    name: str | None = None
    language: list[str] | None = None
    location: str | None = None
    parts: list["Part"] = field(default_factory=list)
    size: int = 0
    """Octets after decoding; 0 for a multipart."""
    unknown_encoding: bool = False
    """The Content-Transfer-Encoding is one that nobody here knows; the content is taken as it stands."""

    def leaves(self) -> Iterator["Part"]:
        """Every part that is not a multipart, depth first."""
        stack = [self]
        while stack:
            part = stack.pop()
            if part.part_id is None:
                stack.extend(reversed(part.parts))
            else:
                yield part


# --- scanner --------------------------------------------------------------------------------------------------------

_FIELD: Final = re.compile(rb"([!-9;-~]{1,998}+)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?")
_FIELD_START: Final = re.compile(rb"[!-9;-~]{1,998}+[ \t]*+:")
_BLANK: Final = re.compile(rb"\r?\n")
_BLANK_LATER: Final = re.compile(rb"\n\r?\n")
_DELIMITER: Final = re.compile(rb"--([^\r\n]{1,%d}+)[^\S\n]*+(?:\n|\Z)" % (MAX_BOUNDARY + 42))
_MBOX: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:>?From [^\n]*+\n)?")

_ENCODINGS: Final = {
    "": "n",
    "7bit": "n",
    "8bit": "n",
    "binary": "n",
    "quoted-printable": "q",
    "base64": "b",
    "x-uuencode": "u",
    "x-uue": "u",
    "uuencode": "u",
    "uue": "u",
}


@dataclass(slots=True)
class _Open:
    """A multipart whose closing delimiter has not been seen."""

    part: Part
    boundary: bytes
    shadowed: int | None  # the index of an outer multipart with the same boundary


class _Scanner:
    """One pass over a message: delimiter lines open and close parts, everything between is content."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.count = 0
        self.stack: list[_Open] = []
        self.boundary = b""  # of the part read last
        self.active: dict[bytes, int] = {}  # boundary -> index in stack of the innermost multipart that has it

    def scan(self) -> Part:
        raw = self.raw
        skipped = _MBOX.match(raw)
        root = self.read_part(skipped.end() if skipped else 0, "text/plain")
        leaf: Part | None = self.open_multipart(root)
        # The line end before a first delimiter is that of the header's blank line.
        position = max(root.body_start - 1, 0)
        while self.stack and self.count < MAX_PARTS:
            position = raw.find(b"\n--", position)
            if position < 0:
                break
            index, closing, after = self.match_delimiter(position + 1)
            if index < 0:
                position += 3
                continue
            if leaf is not None and leaf.header_start > position:
                self.stack[-1].part.parts.pop()  # a delimiter said twice leaves no part between
                self.count -= 1
            self.end_part(leaf, index, position)
            leaf = None
            if closing:
                self.pop(index, after, closing=True)
            else:
                owner = self.stack[index].part
                part = self.read_part(after, "message/rfc822" if owner.type == "multipart/digest" else "text/plain")
                owner.parts.append(part)
                leaf = self.open_multipart(part)
                after = part.body_start
            position = after - 1
        while self.stack:
            self.pop(len(self.stack) - 1, len(raw), closing=False)
        return root

    def match_delimiter(self, start: int) -> tuple[int, bool, int]:
        """The stack index a delimiter line belongs to (-1: none), whether it closes, and the offset after the line."""
        found = _DELIMITER.match(self.raw, start)
        if not found:
            return -1, False, start
        text = found[1].rstrip()
        opens = self.active.get(text, -1)
        closes = self.active.get(text[:-2], -1) if text.endswith(b"--") else -1
        return (closes, True, found.end()) if closes > opens else (opens, False, found.end())

    def end_part(self, leaf: Part | None, index: int, newline: int) -> None:
        """End what is open inside of the multipart at index."""
        # RFC 2046 §5.1.1: the line end before a delimiter belongs to the delimiter.
        end = newline - 1 if newline and self.raw[newline - 1] == 13 else newline
        if leaf is not None:
            leaf.body_end = max(leaf.body_start, end)
        while len(self.stack) > index + 1:
            self.pop(len(self.stack) - 1, end, closing=False)

    def pop(self, index: int, end: int, *, closing: bool) -> None:
        """Take the innermost multipart (the one at index) off the stack; its content ends at end."""
        closed = self.stack.pop(index)
        closed.part.body_end = max(closed.part.body_start, end)
        if closed.shadowed is None:
            del self.active[closed.boundary]
        else:
            self.active[closed.boundary] = closed.shadowed
        if not closed.part.parts and not closing:
            # Its delimiters never came: what is there is shown as text rather than lost.
            closed.part.type = "text/plain"

    def open_multipart(self, part: Part) -> Part | None:
        """Put a multipart on the stack and return None; anything else is the leaf whose content begins now."""
        if not part.type.startswith("multipart/"):
            return part
        boundary = self.boundary.rstrip(b" \t")
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            part.type = "text/plain"
            return part
        if len(self.stack) >= MAX_DEPTH:
            part.type = "application/octet-stream"
            return part
        self.stack.append(_Open(part, boundary, self.active.get(boundary)))
        self.active[boundary] = len(self.stack) - 1
        return None

    def read_part(self, start: int, default_type: str) -> Part:
        """The part whose header begins at start; its content provisionally reaches to the end of the message."""
        self.count += 1
        headers, body_start = self.read_fields(start)
        part = Part(None, default_type, headers, start, body_start, len(self.raw))
        mime: dict[str, str] = {}
        for name, value in headers:
            if name[:8].lower() == "content-":
                mime.setdefault(name[8:].lower(), value)
        self.boundary = b""
        if mime:
            self.read_mime(part, mime)
        return part

    def read_mime(self, part: Part, mime: dict[str, str]) -> None:
        """Fill in what Content-* fields say (RFC 8621 §4.1.4); of repeated ones the first counts."""
        if (raw := mime.get("type")) is not None:
            part.type, parameters = content_type(raw)
            part.charset = parameters.get("charset") or None
            part.name = parameters.get("name") or None
            self.boundary = parameters.get("boundary", "").encode("utf-8", "replace")
        if (raw := mime.get("disposition")) is not None:
            part.disposition, parameters = disposition(raw)
            part.name = parameters.get("filename") or part.name
        if (raw := mime.get("id")) is not None:
            part.cid = content_id(raw)
        if (raw := mime.get("language")) is not None:
            part.language = content_language(raw)
        if (raw := mime.get("location")) is not None:
            part.location = content_location(raw)
        # RFC 2045 §6.4: a multipart has no encoding of its own.
        if (raw := mime.get("transfer-encoding")) is not None and not part.type.startswith("multipart/"):
            token = raw[:200].partition("(")[0].partition(";")[0].strip().strip('"').lower()
            part.encoding = _ENCODINGS.get(token, "n")
            part.unknown_encoding = token not in _ENCODINGS

    def read_fields(self, position: int) -> tuple[list[tuple[str, str]], int]:
        """Header fields in Raw form and the offset where the content begins."""
        raw = self.raw
        fields: list[tuple[str, str]] = []
        budget = MAX_HEADER_BYTES
        while True:
            found = _FIELD.match(raw, position)
            if raw.startswith(b"--", position) and self.match_delimiter(position)[0] >= 0:
                return fields, position  # a part that ends before its header did
            if not found:
                position, ended = self.after_junk(position, bool(fields))
                if ended:
                    return fields, position
                continue
            if len(fields) == MAX_FIELDS or budget <= 0:
                blank = _BLANK_LATER.search(raw, position)
                return fields, blank.end() if blank else len(raw)
            name, value = found.groups()
            if value[-1:] == b"\r":
                value = value[:-1]
            fields.append((name.decode("ascii"), decode_octets(value[:budget])))
            budget -= found.end() - position
            position = found.end()

    def after_junk(self, position: int, inside: bool) -> tuple[int, bool]:
        """What to do where no field begins: the offset to go on at, and whether the content begins there."""
        blank = _BLANK.match(self.raw, position)
        if blank:
            return blank.end(), True
        # A line that is no field is passed over when a field follows it (a Subject broken by hand), else it is content.
        newline = self.raw.find(b"\n", position)
        if inside and newline >= 0 and _FIELD_START.match(self.raw, newline + 1):
            return newline + 1, False
        return position, True


def _number(root: Part) -> None:
    """Give every leaf its part id: the path of positions from the root, as IMAP numbers parts (RFC 3501 §6.4.5)."""
    if not _is_multipart(root):
        root.part_id = "1"
    stack = [(root, "")]
    while stack:
        part, path = stack.pop()
        for index, child in enumerate(part.parts, start=1):
            if _is_multipart(child):
                stack.append((child, f"{path}{index}."))
            else:
                child.part_id = f"{path}{index}"


def _is_multipart(part: Part) -> bool:
    return part.type.startswith("multipart/")


def parse(raw: bytes) -> Part:
    """The root part of a message given as octets. Raises nothing; any octets are a message of some kind."""
    root = _Scanner(raw).scan()
    _number(root)
    for leaf in root.leaves():
        leaf.size = decoded_size(raw, leaf.body_start, leaf.body_end, leaf.encoding)
    return root


# --- content transfer encodings: the store's, for a part is a blob ------------------------------------------------


def decode_content(raw: bytes, start: int, end: int, encoding: str) -> tuple[bytes, bool]:
    """The decoded octets of raw[start:end] and whether the encoding was broken (then decoded as well as it can be).

    encoding is one of n, q, b, u as in Part.encoding; an unknown letter counts as n.
    """
    return transfer.decode(raw[start:end], encoding)


# --- storage --------------------------------------------------------------------------------------------------------

_KEYS: Final = {
    "i": "part_id",
    "e": "encoding",
    "c": "charset",
    "d": "disposition",
    "g": "cid",
    "n": "name",
    "l": "language",
    "u": "location",
    "s": "size",
    "x": "unknown_encoding",
}
_DEFAULTS: Final = {"encoding": "n", "size": 0, "unknown_encoding": False}


def to_json(part: Part) -> dict[str, Any]:
    """The storage form of a root part: {"h": its header fields, "p": the structure}, to be stored together or apart.

    "h" is [[name, raw value], …]. "p" has "t" the type, "o" [header_start, body_start, body_end], the attributes of
    _KEYS that are not at their default, "p" the parts inside, each with an "h" of its own.
    """
    return {"h": [list(pair) for pair in part.headers], "p": _structure(part)}


def _structure(part: Part) -> dict[str, Any]:
    result: dict[str, Any] = {"t": part.type, "o": [part.header_start, part.body_start, part.body_end]}
    for key, attribute in _KEYS.items():
        value = getattr(part, attribute)
        if value != _DEFAULTS.get(attribute):
            result[key] = value
    if part.parts:
        result["p"] = [_structure(child) | {"h": [list(pair) for pair in child.headers]} for child in part.parts]
    return result


def from_json(stored: dict[str, Any]) -> Part:
    """The part that to_json() made this of. Without "h" the root has no header fields."""
    return _from_structure(stored["p"], stored.get("h", []))


def _from_structure(stored: dict[str, Any], headers: list[list[str]]) -> Part:
    values = {attribute: stored[key] for key, attribute in _KEYS.items() if key in stored}
    part_id = values.pop("part_id", None)
    parts = [_from_structure(child, child["h"]) for child in stored.get("p", [])]
    pairs = [(name, value) for name, value in headers]
    header_start, body_start, body_end = stored["o"]
    return Part(part_id, stored["t"], pairs, header_start, body_start, body_end, parts=parts, **values)
