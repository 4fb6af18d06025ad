"""How Sieve's commands and tests are declared: one row each, from which scripts are checked and compiled.

Owns the words of the declaration (arguments, tags, what must be required) and `Call`, one use of a row in a script with
its arguments checked, which a row's `build` turns into a function of the running script. It knows no single command;
`registry` has the table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from minijmap.sieve.errors import ScriptError
from minijmap.sieve.scope import Scope
from minijmap.sieve.state import Run
from minijmap.sieve.strings import Text, Texts
from minijmap.sieve.syntax import Position

TestFunction = Callable[[Run], bool]
CommandFunction = Callable[[Run], None]


class Kind(Enum):
    """What an argument may be; the value says it in words."""

    STRING = "a string"
    STRINGS = "a string or a list of strings"
    NUMBER = "a number"


class Sort(Enum):
    """The three kinds of commands (RFC 5228 §2.9)."""

    TEST = "test"
    ACTION = "action"
    CONTROL = "control command"


class Inside(Enum):
    """Which tests a row takes."""

    NONE = "no test"
    ONE = "one test"
    MANY = "a list of tests in parentheses"


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument. An `optional` one is given when there are enough arguments for it."""

    name: str
    kind: Kind
    optional: bool = False
    constant: bool = False
    """Variables in it are an error (RFC 5229 §3: constant strings)."""
    raw: bool = False
    """Variables in it are not looked at at all."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged argument. Of the tags of one `group` (by default its own name) a command takes one."""

    name: str
    takes: tuple[Kind, ...] = ()
    requires: tuple[str, ...] = ()
    """Capabilities that it needs, all of them."""
    group: str = ""
    constant: bool = False

    @property
    def slot(self) -> str:
        """The name under which a Call has it."""
        return self.group or self.name


@dataclass(frozen=True, slots=True)
class Row:
    """A command or a test: its arguments, and how a use of it becomes a function."""

    name: str
    sort: Sort
    build: Callable[["Call"], Callable[[Run], Any]]
    arguments: tuple[Argument, ...] = ()
    tags: tuple[Tag, ...] = ()
    tests: Inside = Inside.NONE
    block: bool = False
    loop: bool = False
    """The block is a loop: `break` is for it (RFC 5703 §3)."""
    follows: tuple[str, ...] | None = None
    """A link of a chain: which rows may stand right before it, none when it is the first link. Functions of such a row
    return whether they were the one, and then the rest of the chain is passed over."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A capability with the rows it brings, and the tags that it adds to rows of others."""

    capability: str
    """As in `require`; "" for RFC 5228's base."""
    rows: tuple[Row, ...] = ()
    tags: Mapping[str, tuple[Tag, ...]] = field(default_factory=dict)
    """By the name of the row they are for; each needs this capability too."""
    implies: tuple[str, ...] = ()
    """Other capabilities that requiring this one enables."""
    static: bool = False
    """It changes how scripts are read, so `ihave` can't enable it (RFC 5463 §4)."""


@dataclass(frozen=True, slots=True)
class Given:
    """A tag as it was used: which of its slot's names, and the values after it."""

    name: str
    values: tuple[Any, ...]
    position: Position


@dataclass(slots=True)
class Call:
    """One use of a row in a script: what `build` gets. Everything in it is checked against the row."""

    row: Row
    position: Position
    scope: Scope
    """What is known while the script is read: capabilities, variables declared global, limits."""
    arguments: dict[str, Any]
    tags: dict[str, Given]
    tests: tuple[TestFunction, ...] = ()
    block: CommandFunction | None = None
    """The commands of the block as one function; only for rows with a block."""
    needs: set[str] = field(default_factory=set)
    """Capabilities to look for when it is executed, because `ihave` may enable them (RFC 5463 §4)."""

    def has(self, name: str) -> bool:
        """Whether an argument or a tag (by its slot) is given."""
        return name in self.tags or name in self.arguments

    def which(self, slot: str, default: str = "") -> str:
        """The name of the tag that was used of a slot."""
        given = self.tags.get(slot)
        return given.name if given else default

    def value(self, name: str, index: int = 0) -> Any:
        """The value of a positional argument, or a value after a tag; None when it isn't given."""
        if name in self.tags:
            return self.tags[name].values[index]
        return self.arguments.get(name)

    def text(self, name: str) -> Text:
        """A string that is given: `text(name).of(run)` is its value, `.constant` what needs no run, else None."""
        value: Text = self.value(name)
        return value

    def maybe_text(self, name: str) -> Text | None:
        """A string that need not be given."""
        value: Text | None = self.value(name)
        return value

    def texts(self, name: str) -> Texts:
        """A list of strings that is given: `.of(run)` is a list of str, `.constant` a tuple or None, iterable."""
        value: Texts = self.value(name)
        return value

    def number(self, name: str, default: int = 0) -> int:
        """A number."""
        value: int | None = self.value(name)
        return default if value is None else value

    def require(self, capability: str, what: str, position: Position | None = None) -> None:
        """Refuse the script when a capability that `what` needs isn't required; with `ihave`, when it runs."""
        if self.scope.has(capability):
            return
        if not self.scope.runtime:
            raise self.error(f'{what} needs require "{capability}"', position)
        self.needs.add(capability)

    def error(self, sentence: str, position: Position | None = None) -> ScriptError:
        """The error to raise about this use (or about the argument at `position`)."""
        where = position or self.position
        return ScriptError(sentence, where.line, where.column)
