"""Objects of the formats that JMAP carries: what JSContact (RFC 9553 §1.3 to §1.8) and JSCalendar have in common.

A `Format` has names of its own; its types are `TypedObject`s, tables of `Member`s over the kinds of `values`. Names
that no table has are kept with their values as they are, unless they only look like a known one. `patched` applies a
PatchObject that is part of an object (RFC 9553 §1.4.3) and checks each patch where it lands, at a cost that hangs on
the patch and not on the object. Must not know any format.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from minijmap.jmap import dates
from minijmap.jmap import patch as patching
from minijmap.jmap.values import MOST_STRING, Anything, Kind, MapOf, TrueOnly, ValueProblem, shown, token

DEEPEST_KEPT: Final = 64
"""Arrays and objects inside one another that a value may have whose kind is not known."""
MOST_NAME: Final = 255
"""Characters of a name."""
TYPE: Final = "@type"

_REGISTERED: Final = re.compile(r"[a-z0-9@][A-Za-z0-9@]*")
# A letter, a digit or anything beyond ASCII; by what is not in it, which `re` compiles in a hundredth of the time.
_NO_ALNUM: Final = r"\x00-,./:-@\[-`{-\x7f"
_LABEL: Final = re.compile(rf"[^{_NO_ALNUM}-](?:[^{_NO_ALNUM}]*[^{_NO_ALNUM}-])?")
_VENDOR_NAME: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\"\x7f]+")
_DATE_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*[1-9])?Z")

Rule = Callable[[Mapping[str, Any]], None]
"""Raises ValueProblem where the members of an object, each good by itself, don't go together."""


def is_vendors(name: str) -> bool:
    """Say whether a name is a vendor's own, such as `example.com:foo` (RFC 9553 §1.8.1).

    A `/` or `~` after the prefix is let pass: RFC 9555 §3.2.1 has one in an example.
    """
    prefix, colon, own = name.partition(":")
    if not colon or len(name) > MOST_NAME or not _VENDOR_NAME.fullmatch(own):
        return False
    return all(_LABEL.fullmatch(label) for label in prefix.split("."))


class Kept(Anything):
    """A value of a kind that nobody here knows: it stays as it is, if it is not deeper than can be handled."""

    def check(self, value: Any) -> Any:
        """Return it."""
        level, depth = [value], 0
        while level:
            depth += 1
            if depth > DEEPEST_KEPT:
                raise ValueProblem(f"must not be more than {DEEPEST_KEPT} levels deep")
            level = [one for outer in level for one in _items(outer) if isinstance(one, dict | list)]
        return value


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


KEPT: Final = Kept()


@dataclass(frozen=True)
class Pattern(Kind):
    """A string of a certain form. `pattern` must take time in proportion to the length."""

    pattern: re.Pattern[str]
    name: str = "a String"
    most_octets: int = MOST_STRING

    def check(self, value: Any) -> str:
        """Return it."""
        if not isinstance(value, str) or len(value) > self.most_octets or not self.pattern.fullmatch(value):
            raise ValueProblem(f"must be {self.name}, and is {shown(value)}")
        return value


class UTCDateTime(Kind):
    """A date-time in UTC, in the only form that it may have (RFC 9553 §1.4.5). Unlike UTCDate it is never put right."""

    name = "a UTCDateTime such as 2010-10-10T10:10:10Z"

    def check(self, value: Any) -> str:
        """Return it."""
        try:
            if isinstance(value, str) and len(value) < 64 and _DATE_TIME.fullmatch(value):
                dates.parse_utc_date(value)
                return value
        except dates.InvalidDate:
            pass
        raise ValueProblem(f"must be {self.name}, and is {shown(value)}")


class Enumerated(Kind):
    """One of a format's values, or a vendor's own (RFC 9553 §1.7.5, §1.8.2)."""

    def __init__(self, *values: str) -> None:
        self.values = frozenset(values)
        self._lower = {value.lower(): value for value in values}
        self.name = f"one of {', '.join(values)}"

    def check(self, value: Any) -> str:
        """Return it."""
        if isinstance(value, str) and (value in self.values or is_vendors(value)):
            return value
        meant = self._lower.get(value.lower()) if isinstance(value, str) else None
        if meant is not None:
            # RFC 9553 §1.7.1
            raise ValueProblem(f"must be written “{meant}”, and is {shown(value)}")
        raise ValueProblem(f"must be {self.name} or a vendor's own, and is {shown(value)}")


def set_of(kind: Kind) -> MapOf:
    """Return the kind of a set: an object whose members are all `true`."""
    return MapOf(kind, TrueOnly())


@dataclass(frozen=True)
class Member:
    """A property of an object type, in the words of the format's own tables."""

    kind: Kind
    mandatory: bool = False
    default: Any = None
    """What is meant when it is left out."""


@dataclass
class Format:
    """The names of a format. Its types register theirs as they are declared."""

    everywhere: Mapping[str, Member] = field(default_factory=dict)
    """Properties that every object may have."""
    reserved: frozenset[str] = frozenset()
    """Names that no object may ever have (RFC 9553 §1.7.3)."""
    guarded: frozenset[str] = frozenset()
    """Names that an object has only if its type has them (RFC 9553 §1.5)."""
    names: dict[str, str] = field(default_factory=dict)
    """Each known name of a property, by the same in lower case."""
    types: "dict[str, TypedObject]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reserved names are known ones too."""
        self.names.update({name.lower(): name for name in self.reserved})

    def check_name(self, owner: "TypedObject", name: str) -> None:
        """Check a name that no table has for the object in which it stands. Raises ValueProblem."""
        meant = self.names.get(name.lower())
        if meant in self.reserved or name in owner.reserved:
            raise ValueProblem("is reserved and must not be set", token(name))
        if len(name) <= MOST_NAME and is_vendors(name):
            return
        if meant is not None and meant != name:
            # RFC 9553 §1.7.1
            raise ValueProblem(f"must be written “{meant}”", token(name))
        if name in self.guarded:
            raise ValueProblem(f"is not for {owner.name}", token(name))
        if len(name) > MOST_NAME or not _REGISTERED.fullmatch(name):
            raise ValueProblem("is neither a name that a standard can have nor a vendor's own", token(name[:MOST_NAME]))


class TypedObject(Kind):
    """An object of a type that the format names: `@type` may say so, and must not say anything else."""

    def __init__(
        self,
        name_of_type: str,
        form: Format,
        members: Mapping[str, Member],
        *,
        any_of: Sequence[str] = (),
        reserved: frozenset[str] = frozenset(),
        rules: Sequence[Rule] = (),
    ) -> None:
        """Of `any_of` at least one must be there; `reserved` names are never in an object of this type."""
        self.name = f"{'an' if name_of_type[0] in 'AEIO' else 'a'} {name_of_type}"
        self.name_of_type = name_of_type
        self.form = form
        type_member = {TYPE: Member(Pattern(re.compile(re.escape(name_of_type)), f"“{name_of_type}”"))}
        self.members = {**type_member, **form.everywhere, **members}
        self.mandatory = tuple(name for name, member in self.members.items() if member.mandatory)
        self.any_of = any_of
        self.reserved = reserved
        self.rules = rules
        self._with_ids = tuple(name for name, member in self.members.items() if member.kind.holds_ids())
        form.types[name_of_type] = self
        form.names.update({name.lower(): name for name in (*self.members, *reserved)})

    def check(self, value: Any) -> dict[str, Any]:
        """Return it, its members in their order."""
        if not isinstance(value, dict):
            raise ValueProblem(f"must be {self.name}, and is {shown(value)}")
        checked = {name: self.check_member(name, item) for name, item in value.items()}
        self.check_whole(checked)
        return checked

    def check_member(self, name: str, value: Any) -> Any:
        """Return the value of a property in its normal form."""
        kind = self.inside(name, value)
        try:
            return kind.check(value)
        except ValueProblem as problem:
            raise problem.under(token(name)) from None

    def inside(self, name: str, value: Any) -> Kind:
        """Return the kind of a property, known or not."""
        _ = value
        member = self.members.get(name)
        if member is not None:
            return member.kind
        self.form.check_name(self, name)
        return KEPT

    def check_whole(self, value: Any) -> None:
        """Check what properties must be there, and what they demand of each other."""
        for name in self.mandatory:
            if name not in value:
                raise ValueProblem(f"is missing, and {self.name} must have it", name)
        if self.any_of and not any(name in value for name in self.any_of):
            raise ValueProblem(f"must have {' or '.join(self.any_of)}")
        for rule in self.rules:
            rule(value)

    def holds_ids(self) -> bool:
        """Say whether a property does."""
        return bool(self._with_ids)

    def map_ids(self, value: Any, resolve: Callable[[str], str]) -> Any:
        """Replace creation ids in the properties that may have them."""
        there = {
            name: self.members[name].kind.map_ids(value[name], resolve) for name in self._with_ids if name in value
        }
        return {**value, **there} if there else value


class OneOf(Kind):
    """An object of one of several types: `@type` says which, or nothing for the first (RFC 9553 §1.3.4)."""

    def __init__(self, *types: TypedObject) -> None:
        self.types = {one.name_of_type: one for one in types}
        self.default = types[0]
        self.name = " or ".join(one.name for one in types)

    def _type_of(self, value: Any) -> TypedObject:
        if not isinstance(value, dict):
            raise ValueProblem(f"must be {self.name}, and is {shown(value)}")
        named = value.get(TYPE, self.default.name_of_type)
        chosen = self.types.get(named) if isinstance(named, str) else None
        if chosen is None:
            raise ValueProblem(f"must be one of {', '.join(self.types)}, and is {shown(named)}", TYPE)
        return chosen

    def check(self, value: Any) -> dict[str, Any]:
        """Return it."""
        return self._type_of(value).check(value)

    def inside(self, name: str, value: Any) -> Kind:
        """Return the kind of a property."""
        return self._type_of(value).inside(name, value)

    def check_whole(self, value: Any) -> None:
        """Check what its type demands."""
        self._type_of(value).check_whole(value)


# Patches that are part of an object


def patched(
    kind: TypedObject, original: dict[str, Any], patch: Mapping[str, Any], *, into_arrays: bool
) -> dict[str, Any]:
    """Return an object as a PatchObject makes it. A ValueProblem's path is the patch at fault."""
    try:
        result = patching.apply(original, dict(patch), into_arrays=into_arrays)
    except patching.PatchError as error:
        raise ValueProblem(f"can't be applied: {error.sentence.rstrip('.')}").under(token(error.path)) from None
    for path, value in patch.items():
        if value is None and "/" not in path:
            result.pop(_tokens(path)[0], None)
    touched: dict[int, tuple[str, Kind, Any]] = {id(result): (next(iter(patch), ""), kind, result)}
    for path, value in patch.items():
        with _blaming(path):
            _land(kind, result, path, value, touched)
    # Inner ones first: what is around one relies on what it must have.
    for path, its_kind, container in reversed(touched.values()):
        with _blaming(path):
            its_kind.check_whole(container)
    return result


@contextlib.contextmanager
def _blaming(path: str) -> Iterator[None]:
    """Have a problem told of the patch, with where it is inside of what the patch sets."""
    try:
        yield
    except ValueProblem as problem:
        inside = f"{problem.path}: " if problem.path else ""
        raise ValueProblem(f"can't be applied: {inside}{problem.sentence}").under(token(path)) from None


def _land(kind: Kind, result: dict[str, Any], path: str, value: Any, touched: dict[int, tuple[str, Kind, Any]]) -> None:
    """Check a patch's value by the kind of the place where it lands, and note what is around it."""
    *outer, last = _tokens(path)
    container: Any = result
    for name in outer:
        kind = kind.inside(name, container)
        container = container[int(name)] if isinstance(container, list) else container[name]
        touched.setdefault(id(container), (path, kind, container))
    inner = kind.inside(last, container)
    if value is not None:
        inner.check(value)


def _tokens(path: str) -> list[str]:
    return [one.replace("~1", "/").replace("~0", "~") for one in path.split("/")]


def patches(languages: Kind, most: int) -> MapOf:
    """Return the kind of a map of PatchObjects, such as `localizations`; `patched` checks what is in them."""
    return MapOf(languages, MapOf(Pattern(re.compile(r".+", re.DOTALL), "a path", 4096), Anything(), most), most)
