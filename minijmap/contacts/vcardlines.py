"""The content lines of vCard: RFC 6350 §3 and §4, parameters by RFC 6868, and what 2.1 and 3.0 leave behind.

A `Line` is a property as it is written: its value is still escaped. Here are the ways in and out of that form, and the
folding of what is written; `vcardfile` finds the lines of a file. Must not know any property.
"""

import contextlib
import quopri
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

MOST_PARAMETERS: Final = 500
"""Parameters of a line."""
FOLD_OCTETS: Final = 75
CRLF: Final = b"\r\n"
_FALLBACK: Final = "windows-1252"

_HEAD: Final = re.compile(r"[ \t]*(?:([A-Za-z0-9_-]+)\.)?([A-Za-z0-9_/-]+)[ \t]*(?=[;:])")
_PARAMETER: Final = re.compile(r";[ \t]*([A-Za-z0-9_/-]+)?[ \t]*(=)?")
_PARAMETER_VALUE: Final = re.compile(r'"([^"]*)"[ \t]*|([^",;:]*)')
_CARET: Final = re.compile(r"\^(.)")
_CARETS: Final = {"n": "\n", "^": "^", "'": '"'}
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "N": "\n", ":": ":", '"': '"'}
_COMPONENTS: Final = re.compile(r"(?:[^\\;]|\\.|\\$)*", re.DOTALL)
_VALUES: Final = re.compile(r"(?:[^\\,]|\\.|\\$)*", re.DOTALL)
_UNQUOTED: Final = re.compile(r"[^\x00-\x1f\":;,\x7f]*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# 2.1 has no name for these: "TEL;HOME;CELL:" (a bare value that is none of them is a type).
_BARE: Final = {"quoted-printable": "encoding", "base64": "encoding", "8bit": "encoding", "7bit": "encoding"}


class VCardError(Exception):
    """What is written is no vCard. `line` is the number of the line, counted from 1; `sentence` says what is wrong."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(f"line {line}: {sentence}")
        self.line = line
        self.sentence = sentence


@dataclass(slots=True)
class Line:
    """A property. `name` is in upper case, `group` and the names of parameters in lower case; `value` is escaped."""

    name: str
    value: str
    params: dict[str, list[str]] = field(default_factory=dict)
    group: str = ""
    number: int = 0

    def first(self, name: str) -> str | None:
        """Return the first value of a parameter, or None."""
        values = self.params.get(name)
        return values[0] if values else None

    def types(self) -> list[str]:
        """Return the values of TYPE in lower case; a quoted list is a list too (RFC 6350 §5.6)."""
        values = self.params.get("type")
        return [one.strip().lower() for value in values for one in value.split(",")] if values else []


# In


def parse_line(octets: bytes, number: int) -> Line:
    """Read a line, unfolded and without its end. Raises VCardError."""
    text = decoded(octets)
    head = _HEAD.match(text)
    if head is None:
        raise VCardError(number, "it is no property: a name and a colon are missing.")
    line = Line(head[2].upper(), "", {}, (head[1] or "").lower(), number)
    at = head.end()
    if text[at] == ";":
        at = _parameters(text, at, line)
    line.value = text[at + 1 :]
    if "encoding" in line.params or "charset" in line.params:
        _undo_encoding(line, octets)
    return line


def decoded(octets: bytes, charset: str | None = None) -> str:
    """Return text in a charset if it is that, or else in UTF-8, or else in that of old Windows programs."""
    for name in (charset, "utf-8", _FALLBACK):
        with contextlib.suppress(ValueError, LookupError):
            if name:
                return octets.decode(name)
    return octets.decode("latin-1")


def _parameters(text: str, at: int, line: Line) -> int:
    """Read the parameters from a semicolon on; return where the colon is."""
    while at < len(text) and text[at] == ";":
        if len(line.params) >= MOST_PARAMETERS:
            raise VCardError(line.number, f"it has more than {MOST_PARAMETERS} parameters.")
        found = _PARAMETER.match(text, at)
        if found is None:
            break
        at = found.end()
        if not found[1]:  # ";;" or ";:"
            continue
        name = found[1].lower()
        if not found[2]:
            line.params.setdefault(_BARE.get(name, "type"), []).append(found[1])
            continue
        values = line.params.setdefault(name, [])
        while True:
            value = _PARAMETER_VALUE.match(text, at)
            if value is None:
                break
            at = value.end()
            plain = value[2].strip() if value[1] is None else value[1]
            values.append(_CARET.sub(_uncaret, plain) if "^" in plain else plain)
            if at >= len(text) or text[at] != ",":
                break
            at += 1
    if at >= len(text) or text[at] != ":":
        raise VCardError(line.number, f"the parameters of {line.name} don't end in a colon.")
    return at


def _uncaret(found: re.Match[str]) -> str:
    # RFC 6868 §3.2: any other is left as it is
    return _CARETS.get(found[1], found[0])


def _undo_encoding(line: Line, octets: bytes) -> None:
    """Undo quoted-printable and the charset of vCard 2.1; base64 is left to whoever wants octets."""
    charset = line.params.pop("charset", [""])[0]
    encoding = (line.first("encoding") or "").lower()
    if encoding == "quoted-printable":
        text = decoded(quopri.decodestring(line.value.encode("utf-8", "surrogateescape")), charset)
        line.value = text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")
    elif not line.value.isascii():
        # As latin-1 a character is an octet, so that places are the same.
        text = octets.decode("latin-1")
        head = _HEAD.match(text)
        start = _parameters(text, head.end(), Line("", "", number=line.number)) + 1 if head else 0
        line.value = decoded(octets[start:], charset)
    if encoding in ("quoted-printable", "8bit", "7bit"):
        del line.params["encoding"]


def unescape(value: str) -> str:
    """Return the text that an escaped value stands for (RFC 6350 §3.4)."""
    return _ESCAPE.sub(_unescaped, value) if "\\" in value else value


def _unescaped(found: re.Match[str]) -> str:
    character = found[1]
    return _ESCAPES.get(character, character if character in "\\,;" else found[0])


def split_components(value: str) -> list[str]:
    """Return the components of a structured value, still escaped."""
    return _split(value, ";", _COMPONENTS)


def split_values(value: str) -> list[str]:
    """Return the values of a list, still escaped."""
    return _split(value, ",", _VALUES)


def _split(value: str, separator: str, item: re.Pattern[str]) -> list[str]:
    if "\\" not in value:
        return value.split(separator)
    # Between two matches stands the separator; it gives an empty match where an item is empty.
    items, at = [], 0
    while True:
        found = item.match(value, at)
        at = found.end() if found else len(value)
        items.append(found[0] if found else "")
        if at >= len(value):
            return items
        at += 1


def texts(value: str) -> list[str]:
    """Return the texts of a list."""
    return [unescape(one) for one in split_values(value)]


# Out


def escape(text: str) -> str:
    """Return text as a value (RFC 6350 §3.4). Control characters, which it can't have, are left out."""
    for plain, escaped in (("\\", "\\\\"), ("\r\n", "\n"), ("\r", "\n"), ("\n", "\\n"), (",", "\\,"), (";", "\\;")):
        if plain in text:
            text = text.replace(plain, escaped)
    return clean(text)


def clean(text: str) -> str:
    """Return text without the control characters and lone surrogates that no value can have."""
    text = _CONTROL.sub("", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def join_structured(components: Iterable[Sequence[str]]) -> str:
    """Return a structured value whose components are lists of texts."""
    return ";".join(",".join(map(escape, values)) for values in components)


def text_of_line(line: Line) -> str:
    """Return a line as text, not folded."""
    name = f"{line.group}.{line.name}" if line.group else line.name
    params = "".join(f";{name.upper()}={_written_values(name, values)}" for name, values in line.params.items())
    return f"{name}{params}:{line.value}"


def written(line: Line) -> bytes:
    """Return a line as it is sent, folded (RFC 6350 §3.2)."""
    return fold(text_of_line(line).encode())


# RFC 9555 §3.3.1, §3.3.2; RFC 9554 §4.1: these are quoted in any case
_ALWAYS_QUOTED: Final = frozenset(("jscomps", "jsptr", "author"))


def _written_values(name: str, values: Sequence[str]) -> str:
    return ",".join(_written_value(value, quoted=name in _ALWAYS_QUOTED) for value in values)


def _written_value(value: str, *, quoted: bool) -> str:
    # RFC 6868 §3.1
    value = clean(value.replace("^", "^^").replace("\r\n", "\n").replace("\r", "\n").replace("\n", "^n"))
    value = value.replace('"', "^'")
    plain = not quoted and _UNQUOTED.fullmatch(value) and value == value.strip()
    return value if plain else f'"{value}"'


def fold(octets: bytes) -> bytes:
    """Return a line folded at 75 octets, never inside a character, with its end."""
    if len(octets) <= FOLD_OCTETS:
        return octets + CRLF
    if octets.isascii():
        step = FOLD_OCTETS - 1
        rest = [octets[at : at + step] for at in range(FOLD_OCTETS, len(octets), step)]
        return b"\r\n ".join([octets[:FOLD_OCTETS], *rest]) + CRLF
    pieces, at, room = [], 0, FOLD_OCTETS
    while at < len(octets):
        end = min(at + room, len(octets))
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(octets[at:end])
        at, room = end, FOLD_OCTETS - 1
    return b"\r\n ".join(pieces) + CRLF
