"""Kinds of values: what RFC 8620 §1.1–§1.4 writes as `Id`, `UnsignedInt|null`, `String[]`, `Id[Boolean]`.

A kind checks a JSON value and returns it in its normal form. Arguments of methods and properties of types are declared
with the same kinds. Must not know any type or method; says what is wrong in a sentence that names the place.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from minijmap.jmap import dates

ID = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")
GREATEST_INT = 2**53 - 1
MOST_STRING = 1 << 20
MOST_MEMBERS = 10_000


class ValueProblem(Exception):
    """A value is not of its kind. `path` leads to it: a JSON Pointer (RFC 6901) without the first slash."""

    def __init__(self, sentence: str, path: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.path = path

    def under(self, name: str) -> "ValueProblem":
        """Return the same problem further out: `name` is a path itself, its names as `token` has them."""
        return ValueProblem(self.sentence, f"{name}/{self.path}" if self.path else name)


def token(name: str) -> str:
    """Return any name as it stands in a path (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")


class Kind:
    """What a value may be."""

    name = "anything"

    def check(self, value: Any) -> Any:
        """Return the value in its normal form, or raise ValueProblem."""
        return value

    def check_items(self, values: list[Any]) -> list[Any]:
        """Return the items of an array, each in its normal form, or raise ValueProblem."""
        return [_checked(self, item, str(index)) for index, item in enumerate(values)]

    def map_ids(self, value: Any, resolve: Callable[[str], str]) -> Any:
        """Replace creation ids (`#…`) wherever this kind has an Id (RFC 8620 §5.3)."""
        _ = resolve
        return value

    def holds_ids(self) -> bool:
        """Say whether `map_ids` can ever change a value of this kind."""
        return False

    def inside(self, name: str, value: Any) -> "Kind":
        """Return the kind of a value's member or item, for a patch that goes there. Raises ValueProblem for none."""
        _ = value
        raise ValueProblem(f"must not name “{name[:60]}” inside of {self.name}")

    def check_whole(self, value: Any) -> None:
        """Check of a value whose members are checked what they demand of each other. Raises ValueProblem."""


class Anything(Kind):
    """Any JSON value."""

    def inside(self, name: str, value: Any) -> Kind:
        """Return the same: inside of anything is anything."""
        _ = (name, value)
        return self


class Boolean(Kind):
    """`true` or `false`."""

    name = "a Boolean"

    def check(self, value: Any) -> bool:
        """Return it."""
        if not isinstance(value, bool):
            raise _wrong(self, value)
        return value


@dataclass(frozen=True)
class Int(Kind):
    """An integer of at most 53 bits (RFC 8620 §1.3)."""

    least: int = -GREATEST_INT
    most: int = GREATEST_INT

    @property
    def name(self) -> str:  # type: ignore[override]
        """Return the kind's name with its bounds, when they are narrower than the RFC's."""
        if (self.least, self.most) == (0, GREATEST_INT):
            return "an UnsignedInt"
        if (self.least, self.most) == (-GREATEST_INT, GREATEST_INT):
            return "an Int"
        return f"an integer from {self.least} to {self.most}"

    def check(self, value: Any) -> int:
        """Return it; a float without a fraction, such as 1.0, is the same number."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise _wrong(self, value)
        return value


def unsigned_int(most: int = GREATEST_INT) -> Int:
    """Return the kind `UnsignedInt`."""
    return Int(0, most)


@dataclass(frozen=True)
class String(Kind):
    """A string, bounded in characters or octets. `net_unicode`: NFC and no control characters (RFC 5198)."""

    least: int = 0
    most_octets: int = MOST_STRING
    choices: frozenset[str] | None = None
    net_unicode: bool = False
    name: str = "a String"

    def check(self, value: Any) -> str:
        """Return it, in NFC where that is asked for."""
        if not isinstance(value, str):
            raise _wrong(self, value)
        if self.choices is not None and value not in self.choices:
            raise ValueProblem(f"must be one of {', '.join(sorted(self.choices))}, and is {shown(value)}")
        if self.net_unicode:
            value = unicodedata.normalize("NFC", value)
            if any(unicodedata.category(character) == "Cc" for character in value):
                raise ValueProblem("must not have control characters")
        if len(value) < self.least:
            raise ValueProblem(f"must have at least {self.least} character{'s' if self.least > 1 else ''}")
        if len(value) > self.most_octets or len(value.encode()) > self.most_octets:
            raise ValueProblem(f"must have at most {self.most_octets} octets of UTF-8")
        text: str = value
        return text


class Id(Kind):
    """An Id (RFC 8620 §1.2). `#` and a creation id also, where one may stand for it."""

    name = "an Id"

    def check(self, value: Any) -> str:
        """Return it."""
        if not isinstance(value, str) or not ID.match(value.removeprefix("#")):
            raise _wrong(self, value)
        return value

    def check_items(self, values: list[Any]) -> list[Any]:
        """Return them. Clients send ids by the thousand: the usual case is one expression."""
        if all(isinstance(value, str) and ID.match(value) for value in values):
            return values
        return super().check_items(values)

    def holds_ids(self) -> bool:
        """It is one."""
        return True

    def map_ids(self, value: Any, resolve: Callable[[str], str]) -> Any:
        """Replace a creation id."""
        return resolve(value) if isinstance(value, str) and value.startswith("#") else value


class UTCDate(Kind):
    """An RFC 3339 date-time in UTC (RFC 8620 §1.4)."""

    name = "a UTCDate such as 2014-10-30T06:12:00Z"

    def check(self, value: Any) -> str:
        """Return it in the one form that equal instants share."""
        if not isinstance(value, str):
            raise _wrong(self, value)
        try:
            return dates.format_utc_date(dates.parse_utc_date(value))
        except ValueError as error:
            raise _wrong(self, value) from error


class Date(Kind):
    """An RFC 3339 date-time with any offset (RFC 8620 §1.4)."""

    name = "a Date such as 2014-10-30T14:12:00+08:00"

    def check(self, value: Any) -> str:
        """Return it as it is: the offset is part of the value."""
        if not isinstance(value, str):
            raise _wrong(self, value)
        try:
            dates.parse_date(value)
        except ValueError as error:
            raise _wrong(self, value) from error
        return value


@dataclass(frozen=True)
class Nullable(Kind):
    """A kind, or null."""

    kind: Kind

    @property
    def name(self) -> str:  # type: ignore[override]
        """Return the kind's name."""
        return f"{self.kind.name} or null"

    def check(self, value: Any) -> Any:
        """Return it."""
        if value is None:
            return None
        try:
            return self.kind.check(value)
        except ValueProblem as problem:
            if problem.path or not problem.sentence.startswith(f"must be {self.kind.name},"):
                raise
            raise _wrong(self, value) from None

    def holds_ids(self) -> bool:
        """Say whether the kind does."""
        return self.kind.holds_ids()

    def map_ids(self, value: Any, resolve: Callable[[str], str]) -> Any:
        """Replace creation ids inside."""
        return None if value is None else self.kind.map_ids(value, resolve)

    def inside(self, name: str, value: Any) -> Kind:
        """Return what the kind has there."""
        return self.kind.inside(name, value)

    def check_whole(self, value: Any) -> None:
        """Check what the kind does."""
        if value is not None:
            self.kind.check_whole(value)


@dataclass(frozen=True)
class ListOf(Kind):
    """An array of one kind."""

    kind: Kind
    most: int = MOST_MEMBERS

    @property
    def name(self) -> str:  # type: ignore[override]
        """Return the kind's name."""
        return f"an array, each item {self.kind.name}"

    def check(self, value: Any) -> list[Any]:
        """Return it."""
        if not isinstance(value, list):
            raise _wrong(self, value)
        if len(value) > self.most:
            raise ValueProblem(f"must have at most {self.most} items")
        return self.kind.check_items(value)

    def holds_ids(self) -> bool:
        """Say whether the items do."""
        return self.kind.holds_ids()

    def map_ids(self, value: Any, resolve: Callable[[str], str]) -> Any:
        """Replace creation ids inside."""
        return [self.kind.map_ids(item, resolve) for item in value]

    def inside(self, name: str, value: Any) -> Kind:
        """Return the items' kind."""
        _ = (name, value)
        return self.kind


@dataclass(frozen=True)
class MapOf(Kind):
    """An object with any names of one kind, and values of one kind: `Id[Boolean]`, `String[Foo]`."""

    key: Kind
    value: Kind
    most: int = MOST_MEMBERS

    @property
    def name(self) -> str:  # type: ignore[override]
        """Return the kind's name."""
        return f"an object, each value {self.value.name}"

    def check(self, value: Any) -> dict[str, Any]:
        """Return it."""
        if not isinstance(value, dict):
            raise _wrong(self, value)
        if len(value) > self.most:
            raise ValueProblem(f"must have at most {self.most} members")
        return {_checked(self.key, name, name): _checked(self.value, item, name) for name, item in value.items()}

    def holds_ids(self) -> bool:
        """Say whether names or values do."""
        return self.key.holds_ids() or self.value.holds_ids()

    def inside(self, name: str, value: Any) -> Kind:
        """Return the values' kind, if the name may be one."""
        _ = value
        _checked(self.key, name, name)
        return self.value

    def check_whole(self, value: Any) -> None:
        """Check how many there are."""
        if len(value) > self.most:
            raise ValueProblem(f"must have at most {self.most} members")

    def map_ids(self, value: Any, resolve: Callable[[str], str]) -> Any:
        """Replace creation ids inside, in names too."""
        return {self.key.map_ids(name, resolve): self.value.map_ids(item, resolve) for name, item in value.items()}


class TrueOnly(Kind):
    """The value `true`, the only one a set written as `Id[Boolean]` may have (e.g. RFC 8621 §4.1.1)."""

    name = "true"

    def check(self, value: Any) -> bool:
        """Return it."""
        if value is not True:
            raise _wrong(self, value)
        return True


@dataclass(frozen=True)
class Record(Kind):
    """An object with declared members. `required` names must be there; others may stay away."""

    members: Mapping[str, Kind]
    required: frozenset[str] = field(default_factory=frozenset)
    closed: bool = True
    name: str = "an object"

    def check(self, value: Any) -> dict[str, Any]:
        """Return it."""
        if not isinstance(value, dict):
            raise _wrong(self, value)
        missing = sorted(self.required - value.keys())
        if missing:
            raise ValueProblem(f"must have {', '.join(missing)}")
        result = {}
        for name, item in value.items():
            kind = self.members.get(name)
            if kind is None:
                if self.closed:
                    raise ValueProblem(f"has no member {shown(name)}; it may have {', '.join(self.members)}")
                continue
            result[name] = _checked(kind, item, name)
        return result

    def map_ids(self, value: Any, resolve: Callable[[str], str]) -> Any:
        """Replace creation ids inside."""
        return {name: self.members[name].map_ids(item, resolve) for name, item in value.items()}


def _checked(kind: Kind, value: Any, name: str) -> Any:
    try:
        return kind.check(value)
    except ValueProblem as problem:
        raise problem.under(token(name)) from None


def _wrong(kind: Kind, value: Any) -> ValueProblem:
    return ValueProblem(f"must be {kind.name}, and is {shown(value)}")


def shown(value: Any) -> str:
    """Show a value in a sentence, shortened."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    text = str(value)
    return f"“{text[:60]}{'…' if len(text) > 60 else ''}”" if isinstance(value, str) else text[:60]
