"""Strings of a script as they are evaluated: encoded characters (RFC 5228 §2.4.2.4) and variables (RFC 5229 §3).

Owns `Text` and `Texts`, which an argument becomes when the script is compiled: constant, or made of pieces that are
looked up at each evaluation. Octets that are no UTF-8 (from ${hex:…}) are lone surrogates, as PEP 383 has it.
"""

import re
from collections.abc import Iterator
from typing import Final

from minijmap.sieve.errors import ScriptError
from minijmap.sieve.scope import Scope
from minijmap.sieve.state import Run
from minijmap.sieve.syntax import Position, String, StringList

_BLANK: Final = r"(?:[ \t]|\r?\n)"
_ENCODED: Final = re.compile(
    rf"\$\{{(?:hex:{_BLANK}*+(?P<hex>[0-9a-f]{{1,2}}(?:{_BLANK}++[0-9a-f]{{1,2}})*+)"
    rf"|unicode:{_BLANK}*+(?P<unicode>[0-9a-f]++(?:{_BLANK}++[0-9a-f]++)*+)){_BLANK}*+\}}",
    re.IGNORECASE | re.ASCII,
)
IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+")
_REFERENCE: Final = re.compile(
    r"\$\{(?:(?P<space>[A-Za-z_][A-Za-z0-9_]*+)\.(?P<rest>(?:[A-Za-z_][A-Za-z0-9_]*+|[0-9]++)"
    r"(?:\.(?:[A-Za-z_][A-Za-z0-9_]*+|[0-9]++))*+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)|(?P<index>[0-9]++))\}"
)


class Variable:
    """A reference to a variable: of the script, of all scripts, or a match variable."""

    __slots__ = ("index", "name", "shared")

    def __init__(self, name: str, index: int | None = None, *, shared: bool = False) -> None:
        self.name = name
        self.index = index
        self.shared = shared

    def of(self, run: Run) -> str:
        """Its value, "" when it has none."""
        if self.index is not None:
            matched = run.frame.matched
            return matched[self.index] if self.index < len(matched) else ""
        return (run.globals if self.shared else run.frame.variables).get(self.name, "")


class Text:
    """A string argument."""

    __slots__ = ("constant", "pieces", "position", "raw")

    def __init__(self, raw: str, pieces: tuple[str | Variable, ...], position: Position) -> None:
        self.raw = raw
        """As it stands in the script, quoting undone and nothing else."""
        self.pieces = pieces
        self.position = position
        self.constant: str | None = None
        """Its value when no variable is in it, else None."""
        if all(isinstance(piece, str) for piece in pieces):
            self.constant = "".join(str(piece) for piece in pieces)

    def of(self, run: Run, *, cut: bool = False) -> str:
        """Its value now. What is longer than the limit is cut when `cut`, else a RunError."""
        if self.constant is not None:
            return self.constant
        values: list[str] = []
        left = run.limits.expansion
        for piece in self.pieces:
            value = piece if isinstance(piece, str) else piece.of(run)
            left -= len(value)
            if left < 0:
                if cut:
                    values.append(value[:left])
                    break
                raise run.error(f"a string grows beyond {run.limits.expansion} characters")
            values.append(value)
        return _together("".join(values))


def _together(text: str) -> str:
    """The text, octets that make a character only now that they stand together put into one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return text


class Texts:
    """A string list argument."""

    __slots__ = ("constant", "items", "position")

    def __init__(self, items: tuple[Text, ...], position: Position) -> None:
        self.items = items
        self.position = position
        self.constant: tuple[str, ...] | None = None
        """The values when no variable is in them, else None."""
        constants = [item.constant for item in items if item.constant is not None]
        if len(constants) == len(items):
            self.constant = tuple(constants)

    def __iter__(self) -> Iterator[Text]:
        return iter(self.items)

    def of(self, run: Run) -> tuple[str, ...]:
        """The values now. Together they must not be longer than the limit, else a RunError."""
        if self.constant is not None:
            return self.constant
        values: list[str] = []
        left = run.limits.expansion
        for item in self.items:
            values.append(item.of(run))
            left -= 0 if item.constant is not None else len(values[-1])
            if left < 0:
                raise run.error(f"a list of strings grows beyond {run.limits.expansion} characters")
        return tuple(values)


class Words(Texts):
    """A string list whose strings are lists of words themselves, as RFC 5232 §2 has it for flags."""

    __slots__ = ()

    def __init__(self, texts: Texts) -> None:
        super().__init__(texts.items, texts.position)
        if self.constant is not None:
            self.constant = self._split(self.constant)

    def of(self, run: Run) -> tuple[str, ...]:
        """The words now."""
        return self.constant if self.constant is not None else self._split(super().of(run))

    @staticmethod
    def _split(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(word for value in values for word in value.split(" ") if word)


def text_of(string: String, scope: Scope, *, raw: bool = False) -> Text:
    """Make a string of a script ready for evaluation; `raw` leaves it as it is. Raises ScriptError."""
    value = string.value
    if "${" not in value or raw:
        return Text(value, (value,), string.position)
    if scope.has("encoded-character"):
        value = decode_encoded(value, string.position)
    pieces: tuple[str | Variable, ...] = (value,)
    if scope.has("variables"):
        pieces = tuple(_pieces(value, scope, string.position))
    return Text(string.value, pieces, string.position)


def texts_of(argument: String | StringList, scope: Scope, *, raw: bool = False) -> Texts:
    """Make a string list ready for evaluation. Raises ScriptError."""
    strings = argument.strings if isinstance(argument, StringList) else (argument,)
    return Texts(tuple(text_of(string, scope, raw=raw) for string in strings), argument.position)


def decode_encoded(value: str, position: Position) -> str:
    """Replace ${hex:…} and ${unicode:…} (RFC 5228 §2.4.2.4)."""

    def decoded(found: re.Match[str]) -> bytes:
        if found["hex"] is not None:
            return bytes(int(pair, 16) for pair in found["hex"].split())
        numbers = [int(number[-8:], 16) if not number[:-8].strip("0") else -1 for number in found["unicode"].split()]
        for number in numbers:
            if not (0 <= number < 0xD800 or 0xE000 <= number <= 0x10FFFF):
                sentence = f"“{found[0][:40]}” names a character that Unicode doesn't have"
                raise ScriptError(sentence, position.line, position.column)
        return "".join(map(chr, numbers)).encode()

    octets: list[bytes] = []
    last = 0
    for found in _ENCODED.finditer(value):
        octets += (value[last : found.start()].encode("utf-8", "surrogateescape"), decoded(found))
        last = found.end()
    if not last:
        return value
    octets.append(value[last:].encode("utf-8", "surrogateescape"))
    return b"".join(octets).decode("utf-8", "surrogateescape")


def variable(name: str, scope: Scope) -> Variable | None:
    """The variable that a name stands for, when it is one that can be set; None when it can't (RFC 5229 §4)."""
    space, dot, rest = name.rpartition(".")
    if not IDENTIFIER.fullmatch(rest) or len(rest) > scope.limits.variable_name:
        return None
    if not dot:
        return Variable(rest.lower(), shared=rest.lower() in scope.globals)
    # RFC 6609 §3.4.2
    return Variable(rest.lower(), shared=True) if space.lower() == "global" and scope.may_have("include") else None


def _pieces(value: str, scope: Scope, position: Position) -> Iterator[str | Variable]:
    last = 0
    for found in _REFERENCE.finditer(value):
        yield value[last : found.start()]
        yield _referred(found, scope, position)
        last = found.end()
    yield value[last:]


def _referred(found: re.Match[str], scope: Scope, position: Position) -> Variable:
    def wrong(sentence: str) -> ScriptError:
        return ScriptError(sentence, position.line, position.column)

    if found["index"] is not None:
        index = int(found["index"][-9:]) if not found["index"][:-9].strip("0") else scope.limits.match_variables + 1
        if index > scope.limits.match_variables:  # RFC 5229 §6
            raise wrong(f"“{found[0][:40]}”: match variables go up to ${{{scope.limits.match_variables}}}")
        return Variable("", index)
    if found["name"] is not None:
        name = found["name"].lower()
        if len(name) > scope.limits.variable_name:
            raise wrong(f"the variable name “{name[:40]}…” has more than {scope.limits.variable_name} characters")
        return Variable(name, shared=name in scope.globals)
    # RFC 5229 §3: a namespace needs its extension; RFC 6609 §3.4.2 has the only one.
    if found["space"].lower() != "global" or not scope.may_have("include") or not IDENTIFIER.fullmatch(found["rest"]):
        raise wrong(f"“{found[0][:60]}” is in a namespace of variables that no required extension has")
    return Variable(found["rest"].lower(), shared=True)
