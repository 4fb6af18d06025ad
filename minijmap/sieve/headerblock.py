"""The header of a message while a script edits it (RFC 5293), and header fields for tests to read.

Owns the octets of every field, so that what no script touched stays byte for byte, and how a value a script gave
becomes a field that RFC 5322 permits. It knows neither MIME structure nor Sieve commands.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from minijmap.jmap.values import ValueProblem
from minijmap.mail.folding import GAP, Folder
from minijmap.mail.headers import ALLOWED, as_addresses, as_text
from minijmap.mail.text import decode_octets

FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,998}")
"""field-name of RFC 5322 §2.2."""

_FIELD: Final = re.compile(rb"([!-9;-~]{1,998}+)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?")
_BLANK: Final = re.compile(rb"\r?\n")
_BREAK: Final = re.compile(r"[ \t]*(?:\r\n|\r|\n)[ \t]*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_QUOTED: Final = re.compile(r'"((?:[^"\\]++|\\.)*+)"')
_PAIR: Final = re.compile(r"\\(.)")


class EditProblem(ValueError):
    """An edit that can't be done; the text goes on from the name of what was to be written."""


class Fields:
    """Header fields to be read by name, in order, each decoded once. What it is made of must not change."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take (name, value in Raw form) pairs."""
        self._raws: dict[str, list[str]] = {}
        for name, raw in pairs:
            self._raws.setdefault(name.lower(), []).append(raw)
        self._values: dict[str, list[str]] = {}
        self._addresses: dict[str, list[list[dict[str, Any]]]] = {}

    def __contains__(self, name: str) -> bool:
        """Say whether there is a field of that name."""
        return name.lower() in self._raws

    def raws(self, name: str) -> list[str]:
        """Values of the fields of that name in Raw form."""
        return self._raws.get(name.lower(), [])

    def values(self, name: str) -> list[str]:
        """Values of the fields of that name: unfolded, decoded, trimmed (RFC 5228 §2.4.2.2, §5.7)."""
        key = name.lower()
        if key not in self._values:
            self._values[key] = [as_text(raw).strip() for raw in self.raws(key)]
        return self._values[key]

    def addresses(self, name: str) -> list[list[dict[str, Any]]]:
        """EmailAddress objects of each field of that name, groups dissolved (RFC 5228 §2.4.2.3)."""
        key = name.lower()
        if key not in self._addresses:
            self._addresses[key] = [as_addresses(raw) for raw in self.raws(key)]
        return self._addresses[key]


@dataclass(slots=True, eq=False)
class HeaderField:
    """One field of a header that is edited; a line that is no field has no name."""

    name: str
    raw: str
    octets: bytes
    """The whole field with its line end."""
    protected: bool = False
    """Written by us on behalf of a command: no script may take it away (RFC 5703 §5)."""
    added: bool = False
    """It was not there when the message came."""

    @property
    def value(self) -> str:
        """Unfolded, decoded, trimmed, as tests see it."""
        return as_text(self.raw).strip()


def _scan(head: bytes) -> Iterator[HeaderField]:
    """The fields of a header, as message.parse reads them, and the lines between; ends at the blank line."""
    position = 0
    while position < len(head) and not _BLANK.match(head, position):
        found = _FIELD.match(head, position)
        if found:
            yield HeaderField(found[1].decode("ascii"), decode_octets(found[2].removesuffix(b"\r")), found[0])
            position = found.end()
        else:
            end = head.find(b"\n", position) + 1 or len(head)
            yield HeaderField("", "", head[position:end])
            position = end


class HeaderBlock:
    """An edited header: its fields in order, and what ends it."""

    def __init__(self, head: bytes, *, body_follows: bool = False) -> None:
        """Take the octets of a header, with the blank line that ends it if there is one."""
        self.body_follows = body_follows
        self.fields = list(_scan(head))
        self.tail = head[sum(len(field.octets) for field in self.fields) :]
        self.newline = b"\n" if re.search(rb"(?<!\r)\n", head) else b"\r\n"

    def octets(self) -> bytes:
        """The header as it stands, blank line included."""
        tail = self.tail
        if not tail and self.body_follows and any(field.added for field in self.fields):
            tail = self.newline  # a body that begins without a blank line must not go on as a field that was added
        return b"".join(field.octets for field in self.fields) + tail

    def pairs(self) -> list[tuple[str, str]]:
        """Name and Raw value of each field."""
        return [(field.name, field.raw) for field in self.fields if field.name]

    def named(self, name: str) -> list[HeaderField]:
        """The fields of that name, in order."""
        key = name.lower()
        return [field for field in self.fields if field.name.lower() == key]

    def add(self, name: str, octets: bytes, *, last: bool = False, protected: bool = False) -> None:
        """Put a field, from `write_field`, at the beginning or at the end."""
        field = HeaderField(name, _raw_of(name, octets), octets.replace(b"\r\n", self.newline), protected, added=True)
        if not last:
            self.fields.insert(0, field)
            return
        if self.fields and not self.fields[-1].octets.endswith(b"\n"):
            self.fields[-1].octets += self.newline
        self.fields.append(field)

    def remove(self, field: HeaderField) -> None:
        """Take out one of `fields`."""
        self.fields.remove(field)

    def rename(self, field: HeaderField, name: str) -> None:
        """Give a field another name for good, its value untouched (RFC 5703 §5)."""
        field.octets = name.encode() + field.octets[len(field.name) :]
        field.name = name
        field.protected = True

    def replace(self, name: str, octets: bytes, *, keep_as: str) -> None:
        """Put a field where the first of its name was; those that were there stay under another name."""
        old = self.named(name)
        index = self.fields.index(old[0]) if old else None
        for field in old:
            self.rename(field, keep_as)
        self.add(name, octets, last=True)
        if index is not None:
            self.fields.insert(index, self.fields.pop())


def _raw_of(name: str, octets: bytes) -> str:
    return decode_octets(octets[len(name) + 1 :].removesuffix(b"\r\n"))


def _without_quotes(found: re.Match[str]) -> str:
    return found[0] if found[0].isascii() else _PAIR.sub(r"\1", found[1])


def write_field(name: str, value: str) -> bytes:
    """A field with that value: folded, what is not ASCII as RFC 2047 encoded words, ended by CRLF.

    Line breaks in the value become white space. Raises EditProblem when the value has control characters, or a word
    too long for any line.
    """
    text = value.encode("utf-8", "surrogateescape").decode(
        "utf-8", "replace"
    )  # ${hex:…} can make octets of no character
    text = _BREAK.sub(" ", text.strip())
    if _CONTROL.search(text):
        # RFC 5293 §4: what unstructured does not permit is an error, or encoded; nobody wants these encoded.
        raise EditProblem("has control characters")
    if '"' in text and not text.isascii() and "asAddresses" in ALLOWED.get(name.lower(), ()):
        text = _QUOTED.sub(_without_quotes, text)  # RFC 2047 §5: no encoded word is in a quoted string
    folder = Folder(name)
    strange: list[str] = []
    for unit in GAP.split(text) if text else []:
        if not unit.isascii():
            strange.append(unit)
            continue
        if strange:
            folder.add_words(" ".join(strange), phrase=True)
            strange = []
        folder.add(unit)
    if strange:
        folder.add_words(" ".join(strange), phrase=True)
    try:
        return folder.field().octets
    except ValueProblem as problem:
        raise EditProblem(str(problem)) from None
