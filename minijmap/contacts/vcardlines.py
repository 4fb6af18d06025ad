"""The content lines of vCard: RFC 6350 §3 and §4, parameters by RFC 6868, and what 2.1 and 3.0 leave behind.

A `Line` is a property as it is written: its value is still escaped. Here are the ways in and out of that form, and the
folding of what is written; `vcardfile` finds the lines of a file. Must not know any property.
"""

import contextlib
import quopri
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from minijmap.mail.text import codec_for, scrub

MOST_PARAMETERS: Final = 500
"""Values of parameters of a line."""
MOST_ITEMS: Final = 10_000
"""Components or values of a value; the last one has all the rest."""
FOLD_OCTETS: Final = 75
CRLF: Final = b"\r\n"
_FALLBACK: Final = "windows-1252"

_HEAD: Final = re.compile(rb"[ \t]*(?:([A-Za-z0-9_-]++)\.)?([A-Za-z0-9_/-]++)[ \t]*(?=[;:])")
_CUSTOM: Final = re.compile(rb"X-CUSTOM\(CHARSET=([^,()]*),ENCODING=QUOTED-PRINTABLE,([^,()]*)\)", re.IGNORECASE)
"""How Android writes a type that is not in ASCII."""
_PARAMETER: Final = re.compile(rb";[ \t]*(" + _CUSTOM.pattern + rb"|[^=;:]*+)(=)?", re.IGNORECASE)
_QUOTED_VALUE: Final = re.compile(rb'(?:"[^"]*"|[^",;:]++)*+')
_PLAIN_VALUE: Final = re.compile(rb"[^,;:]*+")
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_/-]")
_CARET: Final = re.compile(r"\^(.)")
_CARETS: Final = {"n": "\n", "^": "^", "'": '"'}
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "N": "\n", ":": ":", '"': '"'}
_COMPONENTS: Final = re.compile(r"(?:[^\\;]++|\\.|\\$)*+", re.DOTALL)
_VALUES: Final = re.compile(r"(?:[^\\,]++|\\.|\\$)*+", re.DOTALL)
_UNQUOTED: Final = re.compile(r"[^\x00-\x1f\":;,\x7f]*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_STRAY: Final = re.compile("[\udc80-\udcff]+")
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
    head = _HEAD.match(octets)
    if head is None:
        raise VCardError(number, "it is no property: a name and a colon are missing.")
    line = Line(head[2].decode().upper(), "", {}, (head[1] or b"").decode().lower(), number)
    at = head.end()
    if octets[at : at + 1] == b";":
        at = _all_parameters(octets, at, line)
    line.value = _value(line, octets[at + 1 :])
    return line


def decoded(octets: bytes, charset: str | None = None) -> str:
    """Return text in a charset if it is that, or else in UTF-8, without the control characters that no text has.

    What is no UTF-8 is read as old Windows programs mean it.
    """
    try:
        text = octets.decode() if charset is None or octets.isascii() else _in_charset(octets, charset)
    except UnicodeDecodeError:
        text = _mixed(octets)
    return text if text.isprintable() else scrub(_without_controls(text))


def _in_charset(octets: bytes, charset: str) -> str:
    codec = codec_for(charset)
    if codec is None or codec.startswith(("utf_16", "utf_32")):
        return octets.decode()
    # A file that somebody has made UTF-8 still says what it was.
    for name in ("utf-8", codec) if codec.startswith(("cp125", "iso8859")) else (codec,):
        with contextlib.suppress(ValueError):
            return octets.decode(name)
    return octets.decode()


def _mixed(octets: bytes) -> str:
    """Read what is UTF-8 only in part; where more is not than is, that part is an accident."""
    text = octets.decode("utf-8", "surrogateescape")
    stray = sum(map(len, _STRAY.findall(text)))
    if 2 * stray > len(text) - len(text.encode("ascii", "ignore")):
        text = octets.decode("ascii", "surrogateescape")
    return _STRAY.sub(_of_windows, text)


def _of_windows(found: re.Match[str]) -> str:
    octets = found[0].encode("utf-8", "surrogateescape")
    try:
        return octets.decode(_FALLBACK)
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _without_controls(text: str) -> str:
    # A vertical tab is how some programs break a line.
    return _CONTROL.sub("", text.replace("\v", "\n")) if _CONTROL.search(text) else text


def _all_parameters(octets: bytes, at: int, line: Line) -> int:
    """Read the parameters from a semicolon on; return where the colon is. Quotes that don't fit are nothing special."""
    for value in (_QUOTED_VALUE, _PLAIN_VALUE):
        line.params.clear()
        end = _parameters(octets, at, line, value)
        if end is not None:
            return end
    raise VCardError(line.number, f"the parameters of {line.name} don't end in a colon.")


def _parameters(octets: bytes, at: int, line: Line, pattern: re.Pattern[bytes]) -> int | None:
    count = 0
    while octets[at : at + 1] == b";":
        found = _PARAMETER.match(octets, at)
        if found is None:
            return None
        at = found.end()
        name = found[1].strip()
        if name and not found[4]:
            known, value = _bare(found)
            line.params.setdefault(known, []).append(value)
        elif name:
            values, at = _parameter_values(octets, at, pattern)
            line.params.setdefault(_NO_NAME.sub("-", decoded(name)).lower(), []).extend(values)
            count += len(values) - 1
        count += 1
        if count > MOST_PARAMETERS:
            raise VCardError(line.number, f"it has more than {MOST_PARAMETERS} parameters.")
    return at if octets[at : at + 1] == b":" else None


def _bare(found: re.Match[bytes]) -> tuple[str, str]:
    """Return a parameter without a name, with the name that it might have: a type, as vCard 2.1 writes it."""
    if found[3] is not None:
        return "x-custom", decoded(quopri.decodestring(found[3]), decoded(found[2]))
    value = decoded(found[1].strip())
    return _BARE.get(value.lower(), "type"), value


def _parameter_values(octets: bytes, at: int, pattern: re.Pattern[bytes]) -> tuple[list[str], int]:
    """Return the values of a parameter, or one more than there may be, and where they end."""
    values: list[str] = []
    while value := pattern.match(octets, at):
        at = value.end()
        plain = decoded(value[0]).strip()
        if '"' in plain:
            plain = plain[1:-1] if _is_quoted(plain) else plain.replace('"', "")
        values.append(_CARET.sub(_uncaret, plain) if "^" in plain else plain)
        if octets[at : at + 1] != b"," or len(values) > MOST_PARAMETERS:
            break
        at += 1
    return values, at


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"' and '"' not in value[1:-1]


def _uncaret(found: re.Match[str]) -> str:
    # RFC 6868 §3.2: any other is left as it is
    return _CARETS.get(found[1], found[0])


def _value(line: Line, octets: bytes) -> str:
    """Undo quoted-printable and the charset of vCard 2.1; base64 is left to whoever wants octets."""
    if "encoding" not in line.params and "charset" not in line.params:
        return decoded(octets)
    charset = line.params.pop("charset", [""])[0]
    encoding = (line.first("encoding") or "").lower()
    if encoding in ("quoted-printable", "8bit", "7bit"):
        del line.params["encoding"]
    if encoding != "quoted-printable":
        return decoded(octets, charset)
    plain = quopri.decodestring(octets).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return decoded(plain, charset).replace("\n", "\\n")


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
        return value.split(separator, MOST_ITEMS - 1)
    # Between two matches stands the separator; it gives an empty match where an item is empty.
    items: list[str] = []
    at = 0
    while len(items) < MOST_ITEMS - 1:
        found = item.match(value, at)
        at = found.end() if found else len(value)
        items.append(found[0] if found else "")
        if at >= len(value):
            return items
        at += 1
    return [*items, value[at:]]


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


# Names are the same in any case (RFC 6350 §3.3), but not every program knows that.
_SPELLED: Final = {"X-ABLABEL": "X-ABLabel", "X-ABSHOWAS": "X-ABShowAs"}


def written(line: Line) -> bytes:
    """Return a line as it is sent, folded (RFC 6350 §3.2)."""
    spelled = replace(line, name=_SPELLED[line.name]) if line.name in _SPELLED else line
    # A line end that nobody has escaped would end the line.
    return fold(text_of_line(spelled).replace("\n", "\\n").encode())


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
