"""Header fields in octets: folding (RFC 5322 §2.2.3), parameters (RFC 2045 §5.1, RFC 2231), UTF-8 (RFC 6532).

Owns how units of text become lines, and the one place that keeps a field from ending early. Must not know which field
takes which form.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from minijmap.jmap.values import ValueProblem
from minijmap.mail.wordencoding import SHORTEST_ROOM, encoded_words

LINE: Final = 78
"""Octets of a line, without CRLF, that folding aims at (RFC 5322 §2.1.1)."""

LONGEST_LINE: Final = 998
"""Octets that a line may have at most, without CRLF (RFC 5322 §2.1.1)."""

GAP: Final = re.compile(r"(?<! ) ")
"""Where a line may be broken: the first of several spaces; the others stay with the word that follows."""


@dataclass(frozen=True, slots=True)
class Field:
    """One header field, ready to be sent."""

    name: str
    octets: bytes
    """The whole field with its name and its last CRLF."""

    @property
    def key(self) -> str:
        """The name that fields are compared by."""
        return self.name.lower()

    @property
    def raw(self) -> str:
        """The value in Raw form (RFC 8621 §4.1.2.1)."""
        return self.octets[len(self.name) + 1 : -2].decode()


def field_of_lines(name: str, lines: Iterable[str]) -> Field:
    """The field of finished lines, the first with the name. Raises ValueProblem when one is too long for any line."""
    octets = [line.encode() for line in lines]
    if any(len(line) > LONGEST_LINE for line in octets):
        raise ValueProblem(f"has a piece that does not fit into a line of {LONGEST_LINE} octets")
    return Field(name, b"\r\n".join(octets) + b"\r\n")


class Folder:
    """Builds a field of units that are kept whole, each with a space before it where the line may be broken.

    Units must not be empty and must not have line breaks.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self.line = f"{name}:"
        self.size = len(self.line)

    def room(self) -> int:
        """Octets that a unit may have to stand on this line."""
        return LINE - 1 - self.size

    def fold(self) -> None:
        """Go on in a new line."""
        self.lines.append(self.line)
        self.line, self.size = "", 0

    def add(self, unit: str) -> None:
        """Add a unit, in a new line if this one would grow too long."""
        size = len(unit.encode())
        if size > self.room() and self.line:
            self.fold()
        self.line += f" {unit}"
        self.size += 1 + size

    def add_words(self, text: str, *, phrase: bool) -> None:
        """Add a text as RFC 2047 encoded words."""
        if self.room() < SHORTEST_ROOM and self.line:
            self.fold()
        for word in encoded_words(text, self.room(), phrase=phrase):
            self.add(word)

    def is_empty(self) -> bool:
        """Say whether nothing was added."""
        return not self.lines and len(self.line) == len(self.name) + 1

    def field(self) -> Field:
        """The field. Raises ValueProblem when a unit is longer than any line may be."""
        return field_of_lines(self.name, [*self.lines, self.line])


# --- MIME fields ----------------------------------------------------------------------------------------------------

TOKEN: Final = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+")
"""A token of RFC 2045 §5.1."""

_SIMPLE_VALUE: Final = re.compile(r"[A-Za-z0-9._+-]+")
_PLAIN_VALUE: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
_PAIRED: Final = re.compile(r'(["\\])')
_ATTRIBUTE_SAFE: Final = "!#$&+-.^_`{|}~"


def quoted_string(text: str) -> str:
    """The text in double quotes (RFC 5322 §3.2.4)."""
    return '"' + _PAIRED.sub(r"\\\1", text) + '"'


def parameter(name: str, value: str) -> list[str]:
    """A parameter: bare or quoted; in the way of RFC 2231 when it is long, not ASCII, or could be misread.

    Returns one text, or several where RFC 2231 §3 needs continuations, without the ";" between them.
    """
    misread = "=?" in value  # RFC 2047 §5 forbids encoded words here, and yet they are read
    if _SIMPLE_VALUE.fullmatch(value) and len(name) + len(value) < LINE - 4:
        return [f"{name}={value}"]
    if _PLAIN_VALUE.fullmatch(value) and not misread:
        plain = f"{name}={quoted_string(value)}"
        if len(plain) < LINE - 2:
            return [plain]
    characters = [quote(character, safe=_ATTRIBUTE_SAFE) for character in value]
    whole = f"{name}*=utf-8''{''.join(characters)}"
    if len(whole) < LINE - 2:
        return [whole]
    pieces = ["utf-8''"]
    for character in characters:  # each stays in one piece
        if len(name) + len(pieces[-1]) + len(character) > LINE - 10:
            pieces.append("")
        pieces[-1] += character
    return [f"{name}*{number}*={piece}" for number, piece in enumerate(pieces)]


def mime_field(name: str, value: str, parameters: Mapping[str, str | None]) -> Field:
    """A MIME field with those of the parameters that have a value (RFC 2045 §5.1, RFC 2183 §2)."""
    units = [value]
    for key, text in parameters.items():
        if text is not None:
            units += parameter(key, text)
    folder = Folder(name)
    for unit in units[:-1]:
        folder.add(f"{unit};")
    folder.add(units[-1])
    return folder.field()
