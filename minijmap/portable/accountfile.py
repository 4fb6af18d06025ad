"""account.json: every object of an account as JMAP shows it, written and read one object at a time.

Owns the file's form: an object with a few members about the export, then “objects”, in which each type has an array.
The large types come last, since they refer to the others. A file that other programs have laid out anew is read all the
same, and one that ends too early up to there. Must not know any type.
"""

import codecs
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from minijmap.jmap import ijson

NAME: Final = "account.json"
UNFINISHED: Final = "account.json.part"
"""What the file is called until the export is whole: one that was broken off is known by it."""
FORMAT: Final = "minijmap export"
VERSION: Final = 1
LARGE: Final = ("Thread", "Email", "ContactCard")
CHUNK: Final = 64 * 1024
MOST_CHARACTERS: Final = 32 * 1024 * 1024
"""Of one object."""


class BrokenFile(Exception):
    """The file isn't what an export writes, or ends too early. The text is a sentence that names the line."""


# Writing


class Writer:
    """Writes the file; it gets its name when `finish` is called."""

    def __init__(self, folder: Path, members: Mapping[str, Any]) -> None:
        """`members` tell about the export. Raises OSError."""
        self._folder = folder
        # What is in there is somebody's mail.
        handle = os.open(folder / UNFINISHED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb")
        head = {"format": FORMAT, "version": VERSION, **members}
        lines = [orjson.dumps(name) + b": " + orjson.dumps(value) for name, value in head.items()]
        self._file.write(b"{\n" + b",\n".join([*lines, b'"objects": {']))
        self._between = b"\n"

    def write(self, type_name: str, objects: Iterable[Mapping[str, Any]]) -> None:
        """Write all objects of a type, as they come."""
        self._file.write(self._between + orjson.dumps(type_name) + b": [")
        between = b"\n"
        for one in objects:
            self._file.write(between + orjson.dumps(one))
            between = b",\n"
        self._file.write(b"\n]")
        self._between = b",\n"

    def finish(self) -> None:
        """Give the file its name: all of it is on disk."""
        self._file.write(b"\n}\n}\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()
        (self._folder / UNFINISHED).rename(self._folder / NAME)

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()


# Reading


@dataclass(frozen=True)
class Item:
    """An object of a type, or why it is none. `octets` counts what was read of the file since the item before."""

    type_name: str
    line: int
    value: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    octets: int = 0


class AccountFile:
    """Reads the file: `members` tell about the export, once `items` has come to the first object."""

    def __init__(self, file: BinaryIO) -> None:
        self._text = _Text(file)
        self.members: dict[str, Any] = {}

    def items(self) -> Iterator[Item]:
        """Yield every object. Raises BrokenFile where the file can be read no further."""
        text = self._text
        for name in text.members():
            if name != "objects":
                self.members[name] = _value(text)
                continue
            self._check()
            for type_name in text.members():
                for line, octets in text.elements():
                    yield _item(type_name, line, octets, text.spent())
        self._check()

    def _check(self) -> None:
        if self.members.get("format") != FORMAT:
            raise BrokenFile("it was not written by minijmap export.")
        version = self.members.get("version")
        if not isinstance(version, int) or version > VERSION:
            raise BrokenFile("it was written by a newer minijmap.")


def _value(text: "_Text") -> Any:
    """Return the next value. Raises BrokenFile."""
    try:
        return ijson.loads(text.value())
    except ijson.NotIJson as error:
        raise BrokenFile(f"line {text.line}: {error.sentence}") from None


def _item(type_name: str, line: int, octets: bytes, spent: int) -> Item:
    try:
        value = ijson.loads(octets)
    except ijson.NotIJson as error:
        return Item(type_name, line, problem=error.sentence, octets=spent)
    if not isinstance(value, dict):
        return Item(type_name, line, problem="it is not an object.", octets=spent)
    return Item(type_name, line, value, octets=spent)


class _Text:
    """A large JSON text, of which a little is in memory at any time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        # It finds where a value ends; what the value is, is read by `ijson`.
        self._scan = json.JSONDecoder(parse_int=float).raw_decode
        self._buffer = ""
        self._at = 0
        self._ended = False
        self._spent = 0
        self.line = 1

    def spent(self) -> int:
        """Return the octets read since this was asked before."""
        spent, self._spent = self._spent, 0
        return spent

    def members(self) -> Iterator[str]:
        """Yield the name of each member of an object, whose value is to be read before the next."""
        for _ in self._between("{", "}"):
            name = _value(self)
            if not isinstance(name, str):
                raise self._wrong("a name")
            self._take(":")
            yield name

    def elements(self) -> Iterator[tuple[int, bytes]]:
        """Yield the line and the octets of each element of an array."""
        for _ in self._between("[", "]"):
            self._peek()
            yield self.line, self.value()

    def value(self) -> bytes:
        """Return the octets of the next value. Raises BrokenFile."""
        self._peek()
        wanted = CHUNK
        while True:
            try:
                end = self._scan(self._buffer, self._at)[1]
                if end < len(self._buffer) or self._ended:
                    break
            except json.JSONDecodeError as error:
                if self._ended or len(self._buffer) - self._at > MOST_CHARACTERS:
                    raise self._wrong("a value", f" ({error.msg})") from None
            except RecursionError:
                raise self._wrong("a value", " (it is nested too deep)") from None
            self._more(wanted)
            # Each attempt begins anew: with twice as much they cost as much as the last one.
            wanted *= 2
        found = self._buffer[self._at : end]
        self.line += found.count("\n")
        self._at = end
        return found.encode()

    def _between(self, opening: str, closing: str) -> Iterator[None]:
        """Yield for each thing inside of brackets, commas between them."""
        self._take(opening)
        if self._peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self._peek() == closing:
                self._at += 1
                return
            self._take(",")

    def _take(self, character: str) -> None:
        if self._peek() != character:
            raise self._wrong(f"“{character}”")
        self._at += 1

    def _peek(self) -> str:
        """Return the next character that is no white space. Raises BrokenFile at the end."""
        while True:
            while self._at < len(self._buffer):
                character = self._buffer[self._at]
                if character not in " \t\r\n":
                    return character
                self.line += character == "\n"
                self._at += 1
            if self._ended:
                raise self._wrong("more")
            self._more(CHUNK)

    def _more(self, octets: int) -> None:
        chunk = self._file.read(octets)
        self._spent += len(chunk)
        self._ended = not chunk
        try:
            self._buffer = self._buffer[self._at :] + self._decode(chunk, self._ended)
        except UnicodeDecodeError:
            raise BrokenFile(f"line {self.line}: it is not UTF-8.") from None
        self._at = 0

    def _wrong(self, expected: str, why: str = "") -> BrokenFile:
        if self._ended and not self._buffer[self._at :].strip():
            return BrokenFile(f"line {self.line}: it ends too early: the export is not whole.")
        return BrokenFile(f"line {self.line}: {expected} was expected{why}.")
