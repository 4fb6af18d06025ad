"""The tokens of a script (RFC 5228 §8.1): from octets to tokens with their positions.

Owns white space, comments, identifiers, tags, numbers, quoted and multi-line strings. One pass, linear in the script;
what is no token is a ScriptError. Line ends may be LF as well as CRLF; strings have CRLF afterwards, as the messages do
that they are compared with and made into. It knows no grammar.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from minijmap.sieve.errors import ScriptError
from minijmap.sieve.limits import Limits
from minijmap.sieve.syntax import Position

LARGEST_NUMBER: Final = 2**63 - 1
"""RFC 5228 §2.4.1 asks for 2**31 - 1."""

_SPACE: Final = re.compile(r"(?:[ \t\r\n]++|\#[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/)++")
_TOKEN: Final = re.compile(
    r"""(?P<multiline>text:[ \t]*+(?:\#[^\n]*+)?\n)
      | (?P<identifier>[A-Za-z_][A-Za-z0-9_]*+)
      | (?P<tag>:[A-Za-z_][A-Za-z0-9_]*+)
      | (?P<number>[0-9]++[KMGkmg]?)(?![A-Za-z0-9_])
      | (?P<string>"(?:[^"\\]++|\\.)*+")
      | (?P<mark>[][(){},;])""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_LAST_LINE: Final = re.compile(r"^\.(?:\n|\Z)", re.MULTILINE)
_STUFFED: Final = re.compile(r"^\.\.", re.MULTILINE)
_DIGITS: Final = 20
_QUANTIFIERS: Final = {"K": 2**10, "M": 2**20, "G": 2**30}


class What(Enum):
    """The kinds of tokens; the value says it in words."""

    IDENTIFIER = "a name"
    TAG = "a tag"
    NUMBER = "a number"
    STRING = "a string"
    MARK = "a mark"
    END = "the end of the script"


@dataclass(frozen=True, slots=True)
class Token:
    """One token. `text` is the name in lower case, the string's value, the mark; `number` is a number's value."""

    what: What
    text: str
    offset: int
    number: int = 0

    def shown(self) -> str:
        """The token as an error names it."""
        if self.what is What.END:
            return str(self.what.value)
        text = self.text if len(self.text) <= 40 else f"{self.text[:40]}…"
        if self.what is What.STRING:
            return f'the string "{text}"'
        if self.what is What.NUMBER:
            return f"the number {text}"
        return f"“{':' if self.what is What.TAG else ''}{text}”"


class Lexer:
    """The tokens of one script, and where an offset in it is."""

    def __init__(self, source: bytes, limits: Limits) -> None:
        """Take the octets. Raises ScriptError when they are too many or no text."""
        self.text = _decoded(source, limits)

    def tokens(self) -> Iterator[Token]:
        """Every token, END at last. Raises ScriptError."""
        text = self.text
        position = 0
        while True:
            if space := _SPACE.match(text, position):
                position = space.end()
            if position >= len(text):
                yield Token(What.END, "", len(text))
                return
            found = _TOKEN.match(text, position)
            if not found:
                raise self._no_token(position)
            token, position = self._token(found)
            yield token

    def position(self, offset: int) -> Position:
        """Line and column of an offset."""
        before = self.text.count("\n", 0, offset)
        return Position(before + 1, offset - self.text.rfind("\n", 0, offset))

    def error(self, sentence: str, offset: int) -> ScriptError:
        """The error to raise about what stands at an offset."""
        position = self.position(offset)
        return ScriptError(sentence, position.line, position.column)

    def _token(self, found: re.Match[str]) -> tuple[Token, int]:
        kind, text, start, end = found.lastgroup, found[0], found.start(), found.end()
        if kind == "identifier":
            return Token(What.IDENTIFIER, text.lower(), start), end
        if kind == "tag":
            return Token(What.TAG, text[1:].lower(), start), end
        if kind == "mark":
            return Token(What.MARK, text, start), end
        if kind == "number":
            return Token(What.NUMBER, text, start, self._number(text, start)), end
        if kind == "string":
            value = _QUOTED_PAIR.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]
            return Token(What.STRING, value.replace("\n", "\r\n"), start), end
        last = _LAST_LINE.search(self.text, end)
        if not last:
            raise self.error("the text that begins here has no end: a line with a single dot is expected", start)
        # RFC 5228 §8.1, multiline-dotstart: one dot is taken away where two begin a line.
        value = _STUFFED.sub(".", self.text[end : last.start()]).replace("\n", "\r\n")
        return Token(What.STRING, value, start), last.end()

    def _number(self, text: str, start: int) -> int:
        digits = text.rstrip("KMGkmg")
        factor = _QUANTIFIERS.get(text[len(digits) :].upper(), 1)
        number = int(digits.lstrip("0")[:_DIGITS] or "0") * factor
        if number > LARGEST_NUMBER:
            raise self.error(f"the number {text[:40]} is too large; {LARGEST_NUMBER} is the largest", start)
        return number

    def _no_token(self, offset: int) -> ScriptError:
        """What is wrong where no token begins."""
        rest = self.text[offset : offset + 2]
        if rest[0] == '"':
            return self.error("the string that begins here has no end: a closing quotation mark is expected", offset)
        if rest == "/*":
            return self.error("the comment that begins here has no end: “*/” is expected", offset)
        if rest[0] == ":":
            return self.error("found “:” alone, expected the name of a tag right after it", offset)
        if rest[0].isdigit() and rest[0].isascii():
            return self.error("found a number with letters after it; only K, M or G may follow", offset)
        return self.error(f"found “{rest[0]}”, which begins nothing in this language", offset)


def _decoded(source: bytes, limits: Limits) -> str:
    """The script with LF line ends. Raises ScriptError."""
    if len(source) > limits.script_size:
        sentence = f"the script has {len(source)} octets; {limits.script_size} is the most"
        raise ScriptError(sentence, 1, 1)
    source = source.removeprefix(b"\xef\xbb\xbf")
    try:
        text = source.decode()
    except UnicodeDecodeError as problem:
        raise _at(source, problem.start, "found an octet that is not UTF-8") from None
    if "\0" in text:
        raise _at(source, source.index(b"\0"), "found a NUL character, which no script may have")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _at(source: bytes, offset: int, sentence: str) -> ScriptError:
    before = source[:offset].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return ScriptError(sentence, before.count("\n") + 1, len(before) - before.rfind("\n"))
