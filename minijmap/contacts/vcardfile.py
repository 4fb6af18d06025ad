"""The vCards of a file, one after the other in flat memory (RFC 6350 §3.2, §6.1.1): unfolding, BEGIN and END.

A card that can't be read is told of with the number of its line, and the next one is read. Every limit is in `Limits`.
Must not know any property but BEGIN, END, the AGENT of 2.1, which has a card inside, and those in which programs leave
line ends as they are.
"""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from minijmap.contacts.vcardlines import Line, VCardError, decoded, escape, parse_line

CHUNK: Final = 256 * 1024
MOST_MARK: Final = 24
"""Octets of BEGIN:VCARD and END:VCARD, with blanks after them."""
_BEGIN: Final = b"BEGIN:VCARD"
_END: Final = b"END:VCARD"
_FREE_TEXT: Final = frozenset(("ADR", "LABEL", "NOTE"))
"""Properties whose value some programs write over several lines without a word."""
_AGENT: Final = re.compile(rb"(?:[A-Z0-9-]{1,60}\.)?AGENT(?:;[^:]*)?:[ \t]*", re.IGNORECASE)
_MOST_AGENT: Final = 200
_SAID_IN: Final = 500
"""Octets at the start of a line in which its encoding is said."""
_QUOTED: Final = re.compile(rb";[ \t]*(?:(?:X-CUSTOM\(CHARSET=[^,]*,)?ENCODING=\"?)?QUOTED-PRINTABLE[ \t]*(?=[;,\"]|$)")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=]+[ \t]*")
_INDENTS: Final = (b" ", b"\t")
_SPACES: Final = b" \t"
_UTF16: Final = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    **dict.fromkeys((b"B\0", b"b\0"), "utf-16-le"),
    **dict.fromkeys((b"\0B", b"\0b"), "utf-16-be"),
}
"""What a file in UTF-16 begins with: the mark of its octets' order, or else BEGIN."""


@dataclass(frozen=True)
class Limits:
    """What a file may have, in octets and counts."""

    line: int = 40_000_000
    """A line, unfolded: a photo of 25 MB in base64 and some more."""
    card: int = 80_000_000
    lines: int = 10_000
    depth: int = 4
    """Cards inside of one another."""


LIMITS: Final = Limits()


@dataclass(frozen=True)
class RawCard:
    """A card's lines, without BEGIN and END. `number` is the first line's, `octets` what was read since before."""

    lines: list[Line]
    number: int
    octets: int


@dataclass(frozen=True)
class BrokenCard:
    """What can't be read, and at which line; `octets` as in `RawCard`."""

    number: int
    sentence: str
    octets: int


def read_cards(file: BinaryIO, limits: Limits = LIMITS) -> Iterator[RawCard | BrokenCard]:
    """Yield each vCard of a file, or why it is none."""
    open_card: _OpenCard | None = None
    source = _Source(file, limits)
    junk = False
    for number, octets in source.lines():
        mark = _mark(octets)
        if mark == _BEGIN and not (open_card and open_card.takes_inside):
            if open_card is not None:
                yield BrokenCard(open_card.number, _NO_END, source.spent())
            open_card, junk = _OpenCard(number, limits), False
        elif open_card is None:
            if octets != b"" and not junk:
                yield BrokenCard(number, "it is outside of any vCard.", source.spent())
                junk = True
            # What has lost its BEGIN is a card of its own.
            junk = junk and mark != _END
        elif open_card.add(number, octets, mark):
            yield open_card.result(source.spent())
            open_card = None
    if open_card is not None:
        yield BrokenCard(open_card.number, _NO_END, source.spent())


_NO_END: Final = "the vCard has no END:VCARD."


def _mark(octets: bytes | None) -> bytes:
    """Return BEGIN:VCARD or END:VCARD where a line is that; files put one after the other have BOMs before it."""
    if octets is None or len(octets) > MOST_MARK + len(codecs.BOM_UTF8):
        return b""
    mark = octets.removeprefix(codecs.BOM_UTF8).strip().upper()
    return mark if mark in (_BEGIN, _END) else b""


def cards_in(octets: bytes) -> list[RawCard | BrokenCard]:
    """Return the vCards of a whole file in memory."""
    return list(read_cards(io.BytesIO(octets)))


@dataclass
class _OpenCard:
    """A card whose END has not come yet."""

    number: int
    limits: Limits
    lines: list[Line] = field(default_factory=list)
    count: int = 0
    octets: int = 0
    problem: VCardError | None = None
    more: list[str] = field(default_factory=list)
    """What belongs to the value of the last line."""
    depth: int = 0
    takes_inside: bool = False
    """Whether a card may begin here that is the value of AGENT (vCard 2.1)."""

    def add(self, number: int, octets: bytes | None, mark: bytes) -> bool:
        """Take a line; True when that is the END. The first thing that is wrong is remembered."""
        if mark == _END and not self.depth:
            return True
        was_inside = self.depth > 0
        self.depth += {_BEGIN: 1, _END: -1}.get(mark, 0)
        if octets != b"":
            said = octets is not None and len(octets) < _MOST_AGENT and _AGENT.fullmatch(octets)
            self.takes_inside = bool(said)
        try:
            self._add(number, octets, is_inside=was_inside or self.depth > 0)
        except VCardError as problem:
            self.problem = self.problem or problem
            self.lines.clear()
            self.more.clear()
        return False

    def _add(self, number: int, octets: bytes | None, *, is_inside: bool) -> None:
        if octets is None:
            raise VCardError(number, f"the line has more than {self.limits.line} octets.")
        self.octets += len(octets)
        if self.octets > self.limits.card:
            raise VCardError(self.number, f"the vCard has more than {self.limits.card} octets.")
        if self.depth > self.limits.depth:
            raise VCardError(number, f"there are more than {self.limits.depth} vCards inside of one another.")
        if self.problem is not None or not octets.strip():
            return
        self.count += 1
        if self.count > self.limits.lines:
            raise VCardError(number, f"the vCard has more than {self.limits.lines} lines.")
        if is_inside:
            self.more.append(decoded(octets))
        else:
            self._add_line(number, octets)

    def _add_line(self, number: int, octets: bytes) -> None:
        try:
            line = parse_line(octets, number)
        except VCardError:
            if not self.lines or self.lines[-1].name not in _FREE_TEXT:
                raise
            self.more.append(decoded(octets))
            return
        self._finish_line()
        self.lines.append(line)

    def _finish_line(self) -> None:
        """Give the last line what came after it."""
        if self.more:
            last = self.lines[-1]
            more = escape("\n".join(self.more)) if last.name == "AGENT" else "\\n".join((last.value, *self.more))
            last.value = more
            self.more.clear()

    def result(self, octets: int) -> RawCard | BrokenCard:
        """Return the card."""
        if self.problem is not None:
            return BrokenCard(self.problem.line, self.problem.sentence, octets)
        self._finish_line()
        return RawCard(self.lines, self.number, octets)


class _Source:
    """The lines of a file, unfolded, and how much of it was read."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._read = 0

    def spent(self) -> int:
        """Return the octets read since this was asked before."""
        spent, self._read = self._read, 0
        return spent

    def lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield (number of its first physical line, octets) for each line; None for one that is too long."""
        pieces: list[bytes] = []
        start = size = 0
        for number, (piece, octets) in enumerate(self._physical(), 1):
            self._read += octets
            is_soft = _is_soft(pieces, piece)
            if is_soft or _continues(pieces, piece):
                size += octets
                if size <= self._limits.line:
                    pieces[-1] = pieces[-1].rstrip(_SPACES)[:-1] if is_soft else pieces[-1]
                    pieces.append(piece[1:] if not is_soft and piece[:1] in _INDENTS else piece)
                continue
            if pieces:
                yield start, None if size > self._limits.line else _joined(pieces)
            pieces, start, size = [piece.lstrip(_SPACES)], number, octets
        if pieces:
            yield start, None if size > self._limits.line else _joined(pieces)

    def _physical(self) -> Iterator[tuple[bytes, int]]:
        """Yield each line as it stands, without its end (CRLF, LF or CR), and how many octets it has with it.

        Of a line that is too long only a part is there.
        """
        pieces: list[bytes] = []
        size = 0
        for chunk in self._chunks():
            for line in chunk.splitlines(keepends=True):
                size += len(line)
                if size <= self._limits.line + CHUNK:
                    pieces.append(line)
                if line[-1:] in (b"\n", b"\r"):
                    yield (b"".join(pieces) if len(pieces) > 1 else line).rstrip(b"\r\n"), size
                    pieces, size = [], 0
        if pieces:
            yield b"".join(pieces), size

    def _chunks(self) -> Iterator[bytes]:
        """Yield the file in UTF-8, or whatever it is that is no UTF-16, never cut inside of CRLF.

        CR CR LF, which Windows makes of CRLF, is one end of a line.
        """
        chunk = self._file.read(CHUNK)
        codec = _UTF16.get(chunk[:2])
        decoder = codecs.getincrementaldecoder(codec)("replace") if codec else None
        chunk = chunk.removeprefix(codecs.BOM_UTF8)
        kept = b""
        while chunk:
            chunk = kept + (chunk if decoder is None else decoder.decode(chunk).encode("utf-8", "replace"))
            cut = max(len(chunk.rstrip(b"\r")), len(chunk) - 2)
            yield chunk[:cut].replace(b"\r\r\n", b"\r\n")
            kept = chunk[cut:]
            chunk = self._file.read(CHUNK)
        yield kept


def _joined(pieces: list[bytes]) -> bytes:
    """Return a line whole; a photo is not kept twice while it is read."""
    line = b"".join(pieces)
    pieces.clear()
    return line


def _is_soft(pieces: list[bytes], piece: bytes) -> bool:
    """Say whether a line goes on by a soft break of quoted-printable (vCard 2.1); after the last one comes END."""
    if not pieces or pieces[-1][-1:] not in (b"=", *_INDENTS) or not pieces[-1].rstrip(_SPACES).endswith(b"="):
        return False
    said = _said(pieces)
    found = _QUOTED.search(said)
    return found is not None and not said.count(b'"', 0, found.start()) % 2 and _mark(piece) != _END


def _said(pieces: list[bytes]) -> bytes:
    return pieces[0][:_SAID_IN].partition(b":")[0].upper()


def _continues(pieces: list[bytes], piece: bytes) -> bool:
    """Say whether a line goes on in the next: that is indented, or one of 2.1's encodings goes on without."""
    if not pieces or not pieces[0]:
        return False
    if piece[:1] in _INDENTS:
        return True
    if not _BASE64.fullmatch(piece):
        return False
    said = _said(pieces)
    return (b"BASE64" in said or b"ENCODING=B" in said) and b":" in pieces[0]
