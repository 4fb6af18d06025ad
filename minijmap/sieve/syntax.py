"""The form of a script after reading (RFC 5228 §8.2): commands, tests and arguments, each with its position.

Holds immutable data alone; knows neither what a command means nor which ones there are. Names and tags are in lower
case (RFC 5228 §2.1), strings as they were written, with quoting and dot-stuffing undone and nothing else.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """Where something begins: line and column count from 1, the column in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class String:
    """A quoted or multi-line string."""

    value: str
    position: Position


@dataclass(frozen=True, slots=True)
class StringList:
    """A list in brackets. A single string without brackets is a String."""

    strings: tuple[String, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its quantifier multiplied in."""

    value: int
    position: Position


@dataclass(frozen=True, slots=True)
class TagName:
    """A tag without its colon."""

    name: str
    position: Position


Argument = String | StringList | Number | TagName


@dataclass(frozen=True, slots=True)
class Test:
    """A test with its arguments and the tests inside of it."""

    name: str
    position: Position
    arguments: tuple[Argument, ...] = ()
    tests: tuple["Test", ...] = ()
    listed: bool = False
    """The tests stand in parentheses."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command; `block` is None when it ends with a semicolon."""

    name: str
    position: Position
    arguments: tuple[Argument, ...] = ()
    tests: tuple[Test, ...] = ()
    listed: bool = False
    block: tuple["Command", ...] | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script."""

    commands: tuple[Command, ...]
