"""What no table can say of JSContact (RFC 9553): rules between the members of an object, and kinds of their own.

A rule takes an object whose members are good by themselves and raises ValueProblem. Must not know the tables.
"""

import re
import zoneinfo
from calendar import monthrange
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final

from minijmap.jmap.objects import KEPT, TYPE, Pattern, is_vendors
from minijmap.jmap.values import Kind, ListOf, MapOf, String, ValueProblem, token
from minijmap.mail.addressing import is_mailbox

SEPARATOR: Final = "separator"
LEAP_YEAR: Final = 2000

_NUMBER: Final = r"-?[0-9]{1,9}(?:\.[0-9]{1,32})?"
GEO: Final = Pattern(
    re.compile(rf"[Gg][Ee][Oo]:{_NUMBER},{_NUMBER}(?:,{_NUMBER})?(?:;[A-Za-z0-9-]+(?:=[^;\s\x00-\x1f]*)?)*"),
    "a “geo:” URI (RFC 5870)",
    1000,
)
_SCALE: Final = re.compile(r"[a-z0-9]{1,32}(?:-[a-z0-9]{1,32}){0,8}")
_ZONE: Final = re.compile(
    r"(?!posix/|right/|posixrules\Z|localtime\Z)[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,3}"
)
"""The form of a zone's name. What is excepted is beside the zones on many machines, and none."""


# Kinds


class AddrSpec(Kind):
    """An address of mail (RFC 9553 §2.3.1)."""

    name = "an email address (an addr-spec of RFC 5322)"

    def check(self, value: Any) -> str:
        """Return it."""
        if not isinstance(value, str) or not is_mailbox(value):
            raise ValueProblem(f"must be {self.name}")
        return value


class TimeZone(Kind):
    """A name of the IANA Time Zone Database (RFC 9553 §2.5.1.1)."""

    name = "a time zone of the IANA Time Zone Database"

    def check(self, value: Any) -> str:
        """Return it."""
        if not isinstance(value, str) or not _ZONE.fullmatch(value) or not _is_zone(value):
            raise ValueProblem(f"must be {self.name}")
        return value


@lru_cache(512)
def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        # Without any database (no tzdata on the machine) nothing can be told apart.
        return not _has_zones()
    return True


@cache
def _has_zones() -> bool:
    return bool(zoneinfo.available_timezones())


class CalendarScale(Kind):
    """A calendar system of CLDR, whose list grows: any name in lower case; or a vendor's own (RFC 9553 §2.8.1)."""

    name = "a calendar system in lower case"

    def check(self, value: Any) -> str:
        """Return it."""
        if not isinstance(value, str) or not (_SCALE.fullmatch(value) or is_vendors(value)):
            raise ValueProblem(f"must be {self.name}")
        return value


class StringOrStrings(Kind):
    """The value of a vCard parameter (RFC 9555 §2.15.2)."""

    name = "a String or an array of Strings"
    _one = String()
    _many = ListOf(String(), 1000)

    def check(self, value: Any) -> Any:
        """Return it."""
        return self._many.check(value) if isinstance(value, list) else self._one.check(value)

    def inside(self, name: str, value: Any) -> Kind:
        """Return the kind of an item."""
        return self._many.inside(name, value)


class NotEmpty(Kind):
    """An array with at least one item."""

    def __init__(self, kind: ListOf) -> None:
        self.kind = kind
        self.name = kind.name

    def check(self, value: Any) -> Any:
        """Return it."""
        if value == []:
            raise ValueProblem("must have at least one item")
        return self.kind.check(value)

    def inside(self, name: str, value: Any) -> Kind:
        """Return the items' kind."""
        return self.kind.inside(name, value)


class JCardProp(Kind):
    """A vCard property as jCard has it (RFC 7095 §3.3): name, parameters, type, values."""

    name = "a jCard property"

    def __init__(self, parameters: MapOf) -> None:
        self._parameters = parameters

    def check(self, value: Any) -> Any:
        """Return it."""
        if not isinstance(value, list) or len(value) < 4:
            raise ValueProblem("must be a jCard property: an array of name, parameters, type and value")
        for index in (0, 2):
            if not isinstance(value[index], str):
                raise ValueProblem("must be a String", str(index))
        try:
            self._parameters.check(value[1])
        except ValueProblem as problem:
            raise problem.under("1") from None
        return KEPT.check(value)

    def inside(self, name: str, value: Any) -> Kind:
        """Return anything: `check_whole` looks at all of it again."""
        _ = (name, value)
        return KEPT

    def check_whole(self, value: Any) -> None:
        """Check it."""
        self.check(value)


# Rules


def components(value: Mapping[str, Any]) -> None:
    """Check the components of a Name or an Address (RFC 9553 §2.2.1.1, §2.5.1.1)."""
    parts = value.get("components")
    if parts is None:
        if "defaultSeparator" in value:
            raise ValueProblem("must not be set without components", "defaultSeparator")
        return
    kinds = [part["kind"] for part in parts]
    if all(kind == SEPARATOR for kind in kinds):
        raise ValueProblem("must have at least one entry that is no separator", "components")
    if not value.get("isOrdered", False):
        if "defaultSeparator" in value:
            raise ValueProblem("must not be set unless isOrdered is true", "defaultSeparator")
        if SEPARATOR in kinds:
            raise ValueProblem(
                "must have no separator unless isOrdered is true", f"components/{kinds.index(SEPARATOR)}"
            )
    for index, (kind, before) in enumerate(zip(kinds[1:], kinds, strict=False), 1):
        if kind == before == SEPARATOR:
            raise ValueProblem("must not be a second separator in a row", f"components/{index}")
    # RFC 9553 §1.5.4
    if "phoneticSystem" not in value and "phoneticScript" not in value:
        for index, part in enumerate(parts):
            if "phonetic" in part:
                raise ValueProblem("needs phoneticSystem or phoneticScript", f"components/{index}/phonetic")


def sort_as(value: Mapping[str, Any]) -> None:
    """Check that each key of `sortAs` is the kind of a component (RFC 9553 §2.2.1.1)."""
    if "sortAs" not in value:
        return
    if "components" not in value:
        raise ValueProblem("must not be set without components", "sortAs")
    kinds = {part["kind"] for part in value["components"]}
    for kind in value["sortAs"]:
        if kind not in kinds:
            raise ValueProblem("must be the kind of one of the components").under(token(kind)).under("sortAs")


def one_content(value: Mapping[str, Any]) -> None:
    """Check that a Media object has either a `uri` or a `blobId` (RFC 9610 §3)."""
    if "uri" in value and "blobId" in value:
        raise ValueProblem("must not be set together with uri", "blobId")


def partial_date(value: Mapping[str, Any]) -> None:
    """Check which parts of a date there are, and that there is such a day (RFC 9553 §2.8.1)."""
    year, month, day = value.get("year"), value.get("month"), value.get("day")
    if month is not None and year is None and day is None:
        raise ValueProblem("must not be set without year or day", "month")
    if day is None:
        return
    if month is None:
        raise ValueProblem("must not be set without month", "day")
    # The Gregorian calendar repeats itself; without a year any day does that some year has.
    same = LEAP_YEAR if year is None else year % 400 + LEAP_YEAR
    if day > monthrange(same, month)[1]:
        raise ValueProblem("must be a day that the month has", "day")


def says_something(value: Mapping[str, Any]) -> None:
    """Check that an Author has any property besides @type (RFC 9553 §2.8.3)."""
    if not value.keys() - {TYPE}:
        raise ValueProblem("must have at least one property")


def members_of_groups(value: Mapping[str, Any]) -> None:
    """Check that only a group has members (RFC 9553 §2.1.6)."""
    if "members" in value and value.get("kind") != "group":
        raise ValueProblem("must not be set unless kind is “group”", "members")
