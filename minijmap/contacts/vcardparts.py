"""Names and addresses: structured values of vCard and components of JSContact, in both directions.

Owns RFC 9555 §2.5.5 and §2.6.1, the order that JSCOMPS keeps (§3.3.1), and what stands twice in a value for old readers
(RFC 9554 §2). Must not know a card.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from minijmap.contacts.vcardlines import split_components, split_values, texts, unescape

SEPARATOR: Final = "separator"
MOST_COMPONENTS: Final = 100
"""Components of a structured value; what comes after has no meaning."""

Position = tuple[int, int]
"""A component of a structured value, and a value of that component."""


@dataclass(frozen=True)
class Shape:
    """The kinds of the components of a structured value, by their place in it; None for what has no kind of its own.

    `old` is how many there were before RFC 9554.
    """

    kinds: Sequence[str | None]
    old: int
    combined: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Places that hold, for old readers, the values of these kinds again."""

    def place(self, kind: str) -> int | None:
        """Return where values of a kind are."""
        return self.kinds.index(kind) if kind in self.kinds else None

    def rank(self, position: Position) -> tuple[int, int, int]:
        """Return by what positions are sorted: what is combined in a place comes in that place (RFC 9555 figure 15)."""
        place, index = position
        kind = self.kinds[place]
        return next((at for at, kinds in self.combined.items() if kind in kinds), place), place, index


NAME: Final = Shape(("surname", "given", "given2", "title", "credential", "surname2", "generation"), 5)
_EXTENDED: Final = ("room", "floor", "apartment", "building")
_STREET: Final = ("number", "name", "block", "direction", "landmark", "subdistrict", "district")
ADDRESS: Final = Shape(
    (
        *("postOfficeBox", None, None, "locality", "region", "postcode", "country", "room", "apartment", "floor"),
        *("number", "name", "building", "block", "subdistrict", "district", "landmark", "direction"),
    ),
    7,
    {1: _EXTENDED, 2: _STREET},
)
# What the two places without a kind stand for where nothing newer is said (RFC 9555 §2.6.1).
_OLD_ADDRESS: Final = {1: "apartment", 2: "name"}


@dataclass
class Structured:
    """A structured value, read: its components in their order, and the position from which each came."""

    components: list[dict[str, Any]] = field(default_factory=list)
    positions: list[Position | None] = field(default_factory=list)
    is_ordered: bool = False
    default_separator: str | None = None

    def members(self) -> dict[str, Any]:
        """Return the members of a Name or an Address."""
        if not self.components:
            return {}
        members: dict[str, Any] = {"components": self.components}
        if self.is_ordered:
            members["isOrdered"] = True
        if self.default_separator is not None:
            members["defaultSeparator"] = self.default_separator
        return members


# From vCard


def read(shape: Shape, value: str, jscomps: str | None) -> Structured:
    """Read a structured value."""
    values = [texts(one) for one in split_components(value)[:MOST_COMPONENTS]]
    there = _without_doubles(shape, values)
    ordered = None if jscomps is None else _ordered(there, jscomps)
    if ordered is not None:
        return ordered
    result = Structured()
    for position, (kind, text) in there.items():
        result.components.append({"kind": kind, "value": text})
        result.positions.append(position)
    return result


def _without_doubles(shape: Shape, values: list[list[str]]) -> dict[Position, tuple[str, str]]:
    """Return (kind, text) by position, from left to right, without what only old readers need."""
    filled = {
        (place, index): text
        for place, texts_ in enumerate(values[: len(shape.kinds)])
        for index, text in enumerate(texts_)
        if text
    }
    if shape is NAME:
        _drop_doubles(filled, 0, 5, from_end=True)
        _drop_doubles(filled, 4, 6, from_end=False)
    kinds: dict[int, str] = {}
    for place, kind in enumerate(shape.kinds):
        if kind is not None:
            kinds[place] = kind
        # RFC 9554 §2.1
        elif not _has_newer(shape, filled, place):
            kinds[place] = _OLD_ADDRESS[place]
    in_order = sorted(filled.items(), key=lambda item: shape.rank(item[0]))
    return {position: (kinds[position[0]], text) for position, text in in_order if position[0] in kinds}


def _has_newer(shape: Shape, filled: Mapping[Position, str], place: int) -> bool:
    return any(shape.kinds[at] in shape.combined[place] for at, _ in filled if at >= shape.old)


def _drop_doubles(filled: dict[Position, str], old: int, new: int, *, from_end: bool) -> None:
    """Take each value of a new component once out of the old one (RFC 9554 §2.2)."""
    for text in [one for (place, _), one in filled.items() if place == new]:
        doubles = [position for position, one in filled.items() if position[0] == old and one == text]
        if doubles:
            del filled[doubles[-1] if from_end else doubles[0]]


_POSITION: Final = re.compile(r"([0-9]{1,3})(?:,([0-9]{1,4}))?")


def _ordered(there: Mapping[Position, tuple[str, str]], jscomps: str) -> Structured | None:
    """Return the components in the order of JSCOMPS; None where that is not valid."""
    first, *entries = split_components(jscomps)
    result = Structured(is_ordered=True, default_separator=_separator(first))
    if first and result.default_separator is None:
        return None
    for entry in entries:
        text = _separator(entry)
        if text is not None:
            result.components.append({"kind": SEPARATOR, "value": text})
            result.positions.append(None)
            continue
        found = _POSITION.fullmatch(entry)
        position = (int(found[1]), int(found[2] or 0)) if found else None
        if position is None or position not in there:
            return None
        kind, text = there[position]
        result.components.append({"kind": kind, "value": text})
        result.positions.append(position)
    named = [position for position in result.positions if position is not None]
    return result if len(named) == len(set(named)) == len(there) else None


def _separator(entry: str) -> str | None:
    return unescape(entry[2:]) if entry.startswith("s,") else None


# To vCard


@dataclass
class Laid:
    """Components laid out in a structured value, and what JSCOMPS says of their order."""

    values: list[list[str]]
    positions: list[Position | None]
    jscomps: str | None = None


def lay_out(shape: Shape, owner: Mapping[str, Any]) -> Laid | None:
    """Lay out the components of a Name or an Address; None where one has no place in a vCard."""
    components = owner.get("components") or ()
    values: list[list[str]] = [[] for _ in shape.kinds]
    positions: list[Position | None] = []
    for component in components:
        place = shape.place(component["kind"])
        if place is None and component["kind"] != SEPARATOR:
            return None
        if place is None:
            positions.append(None)
            continue
        positions.append((place, len(values[place])))
        values[place].append(component["value"])
    if shape is NAME:
        # RFC 9554 §2.2: second surnames come after the surnames, generations before the credentials
        values[0] += values[5]
        generations = len(values[6])
        values[4] = values[6] + values[4]
        positions = [(4, one[1] + generations) if one and one[0] == 4 else one for one in positions]
    for place, kinds in shape.combined.items():
        text = _combined(owner, kinds)
        values[place] = [text] if text else []
    return Laid(values, positions, _jscomps(owner, positions) if components and owner.get("isOrdered") else None)


def _jscomps(owner: Mapping[str, Any], positions: Sequence[Position | None]) -> str:
    default = owner.get("defaultSeparator")
    entries = ["" if default is None else _written_separator(default)]
    for component, position in zip(owner["components"], positions, strict=True):
        if position is None:
            entries.append(_written_separator(component["value"]))
        else:
            entries.append(f"{position[0]},{position[1]}" if position[1] else str(position[0]))
    return ";".join(entries)


def _written_separator(text: str) -> str:
    escaped = re.sub(r"([\\,;])", r"\\\1", text).replace("\n", "\\n")
    return f"s,{escaped}"


def _combined(owner: Mapping[str, Any], kinds: Sequence[str]) -> str:
    """Return the values of some kinds as one text: in their order and with their separators, if they have one."""
    components = owner.get("components") or ()
    if not owner.get("isOrdered"):
        order = {kind: place for place, kind in enumerate(kinds)}
        chosen = sorted((one for one in components if one["kind"] in order), key=lambda one: order[one["kind"]])
        return " ".join(one["value"] for one in chosen)
    text, between = "", ""
    for component in components:
        if component["kind"] in kinds:
            text += (between or " ") + component["value"] if text else component["value"]
            between = ""
        else:
            between = component["value"] if component["kind"] == SEPARATOR else ""
    return text


def full_text(owner: Mapping[str, Any]) -> str:
    """Return the full name that the components of a Name make (RFC 9553 §2.2.1.1, RFC 9555 §3.1)."""
    components = owner.get("components") or ()
    if not owner.get("isOrdered"):
        order = ("title", "given", "given2", "surname", "surname2", "generation", "credential")
        known = [one for one in components if one["kind"] in order]
        return " ".join(one["value"] for one in sorted(known, key=lambda one: order.index(one["kind"])))
    default = owner.get("defaultSeparator", " ")
    text = ""
    between: str | None = ""
    for component in components:
        if component["kind"] == SEPARATOR:
            text, between = text + component["value"], ""
        else:
            text, between = text + (between or "") + component["value"], default
    return text


# SORT-AS


def read_sort_as(values: Sequence[str]) -> list[str]:
    """Return the items of SORT-AS: one quoted list is a list too (RFC 6350 §5.9)."""
    return [one for value in values for one in split_values(value)] if len(values) == 1 else list(values)


def sort_as_of_name(items: Sequence[str]) -> dict[str, str]:
    """Return the `sortAs` of a Name: what each kind of component is sorted by."""
    return {str(kind): text for kind, text in zip(NAME.kinds, items, strict=False) if text}


def write_sort_as(items: Sequence[str]) -> list[str]:
    """Return the values of SORT-AS."""
    kept = list(items)
    while kept and not kept[-1]:
        kept.pop()
    return kept
