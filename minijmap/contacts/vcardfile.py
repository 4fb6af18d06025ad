"""The vCards of a file, one after the other in flat memory (RFC 6350 §3.2, §6.1.1): unfolding, BEGIN and END.

A card that can't be read is told of with the number of its line, and the next one is read. Every limit is in `Limits`.
Must not know any property but BEGIN, END and the AGENT of 2.1, which has a card inside.
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
_SAID_IN: Final = 500
"""Octets at the start of a line in which its encoding is said."""
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=]+[ \t]*")
_INDENTS: Final = (b" ", b"\t")
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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
        mark = octets.strip().upper() if octets is not None and len(octets) < MOST_MARK else b""
        if mark == b"BEGIN:VCARD" and not (open_card and open_card.takes_inside()):
            if open_card is not None:
                yield BrokenCard(open_card.number, "the vCard has no END:VCARD.", source.spent())
            open_card, junk = _OpenCard(number, limits), False
        elif open_card is None:
            if octets != b"" and not junk:
                junk = True
                yield BrokenCard(number, "it is outside of any vCard.", source.spent())
        elif open_card.add(number, octets, mark):
            yield open_card.result(source.spent())
            open_card = None
    if open_card is not None:
        yield BrokenCard(open_card.number, "the vCard has no END:VCARD.", source.spent())


def cards_in(octets: bytes) -> list[RawCard | BrokenCard]:
    """Return the vCards of a whole file in memory."""
    return list(read_cards(io.BytesIO(octets)))


@dataclass
class _OpenCard:
    """A card whose END has not come yet."""

    number: int
    limits: Limits
    lines: list[Line] = field(default_factory=list)
    octets: int = 0
    problem: VCardError | None = None
    inside: list[str] = field(default_factory=list)
    depth: int = 0

    def takes_inside(self) -> bool:
        """Say whether a card may begin here that is the value of AGENT (vCard 2.1)."""
        return self.depth > 0 or bool(self.lines and self.lines[-1].name == "AGENT" and not self.lines[-1].value)

    def add(self, number: int, octets: bytes | None, mark: bytes) -> bool:
        """Take a line; True when that is the END. The first thing that is wrong is remembered."""
        try:
            return self._add(number, octets, mark)
        except VCardError as problem:
            self.problem = self.problem or problem
            self.lines.clear()
        return False

    def _add(self, number: int, octets: bytes | None, mark: bytes) -> bool:
        if octets is None:
            raise VCardError(number, f"the line has more than {self.limits.line} octets.")
        self.octets += len(octets)
        if self.octets > self.limits.card:
            raise VCardError(self.number, f"the vCard has more than {self.limits.card} octets.")
        if mark == b"BEGIN:VCARD" or self.depth:
            self._add_inside(number, octets, mark)
        elif mark == b"END:VCARD":
            return True
        elif octets.strip() and self.problem is None:
            if len(self.lines) >= self.limits.lines:
                raise VCardError(number, f"the vCard has more than {self.limits.lines} lines.")
            self.lines.append(parse_line(octets, number))
        return False

    def _add_inside(self, number: int, octets: bytes, mark: bytes) -> None:
        self.depth += {b"BEGIN:VCARD": 1, b"END:VCARD": -1}.get(mark, 0)
        if self.depth > self.limits.depth:
            raise VCardError(number, f"there are more than {self.limits.depth} vCards inside of one another.")
        self.inside.append(decoded(octets))
        if not self.depth and self.lines:
            self.lines[-1].value = escape("\n".join(self.inside))
            self.inside.clear()

    def result(self, octets: int) -> RawCard | BrokenCard:
        """Return the card."""
        if self.problem is not None:
            return BrokenCard(self.problem.line, self.problem.sentence, octets)
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
            is_soft = _is_soft(pieces)
            if pieces and (is_soft or _continues(pieces, piece)):
                size += octets
                if size <= self._limits.line:
                    pieces[-1] = pieces[-1].removesuffix(b"=") if is_soft else pieces[-1]
                    pieces.append(piece[1:] if not is_soft and piece[:1] in _INDENTS else piece)
                continue
            if pieces:
                yield start, None if size > self._limits.line else b"".join(pieces)
            pieces, start, size = [piece.lstrip(b" \t")], number, octets
        if pieces:
            yield start, None if size > self._limits.line else b"".join(pieces)

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
        """Yield the file in UTF-8, or whatever it is that is no UTF-16, never cut inside of CRLF."""
        chunk = self._file.read(CHUNK)
        decoder = codecs.getincrementaldecoder("utf-16")("replace") if chunk[:2] in _UTF16 else None
        chunk = chunk.removeprefix(codecs.BOM_UTF8)
        while chunk:
            if chunk.endswith(b"\r"):
                chunk += self._file.read(1)
            yield chunk if decoder is None else decoder.decode(chunk).encode("utf-8", "replace")
            chunk = self._file.read(CHUNK)


def _is_soft(pieces: list[bytes]) -> bool:
    """Say whether a line goes on by a soft break of quoted-printable (vCard 2.1)."""
    return bool(pieces) and pieces[-1].endswith(b"=") and b"QUOTED-PRINTABLE" in _said(pieces)


def _said(pieces: list[bytes]) -> bytes:
    return pieces[0][:_SAID_IN].partition(b":")[0].upper()


def _continues(pieces: list[bytes], piece: bytes) -> bool:
    """Say whether a line goes on in the next: that is indented, or one of 2.1's encodings goes on without."""
    if piece[:1] in _INDENTS:
        return True
    said = _said(pieces)
    is_base64 = b"BASE64" in said or b"ENCODING=B" in said
    return is_base64 and b":" in pieces[0] and _BASE64.fullmatch(piece) is not None
