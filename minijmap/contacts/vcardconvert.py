"""One line of a vCard as a piece of a Card, seen by itself (RFC 9555 §2.4 to §2.13).

Most properties are rows of `vcardtable`; those whose value has a form of its own are here. Must not know the other
lines of the card.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from minijmap.contacts import jscontact, media, vcardparts
from minijmap.contacts.vcarddates import date_of, utc_of
from minijmap.contacts.vcardlines import Line, split_components, texts, unescape
from minijmap.contacts.vcardparts import Structured
from minijmap.contacts.vcardtable import ADDRESS_CONTEXTS, BY_NAME, CONTEXTS, PREF, Form, Parameter, Row
from minijmap.jmap.objects import TypedObject

_NO_PARAMETERS: Final = frozenset(("value", "prop-id", "derived"))
"""Parameters that are read elsewhere, or that the value itself tells again."""


class Unfit(Exception):
    """The line is nothing in JSContact: it is kept as it is."""


@dataclass
class Piece:
    """What a line is: an object of a map (with a `prefix` for its id), or some members of the object at `place`."""

    place: tuple[str, ...]
    prefix: str
    value: dict[str, Any]
    rest: dict[str, list[str]] = field(default_factory=dict)
    """The parameters that are no members."""
    structured: Structured | None = None
    key: str = ""
    """The id that the object got in the card."""

    @property
    def path(self) -> tuple[str, ...]:
        """Where in the card it is."""
        return (*self.place, self.key) if self.prefix else self.place


def pieces(line: Line) -> list[Piece]:
    """Return what a line is; nothing for one that says nothing. Raises Unfit or ValueProblem."""
    converter = CONVERTERS.get(line.name)
    if converter is not None:
        return converter(line)
    row = BY_NAME.get(line.name)
    if row is None:
        raise Unfit
    return _of_row(line, row) if line.value else []


def text_of(line: Line) -> str:
    """Return the value of a line as text."""
    return unescape(line.value)


def uri_of(line: Line) -> str:
    """Return the value of a line as a URI; some programs escape it like text."""
    return unescape(line.value).strip()


def _of_row(line: Line, row: Row) -> list[Piece]:
    said = (line.first("value") or "").lower()
    is_text = said == "text" or (not said and row.form is not Form.EITHER and row.form is not Form.URI)
    if said not in ("", row.form.value) and not (row.form is Form.EITHER and said in ("text", "uri")):
        raise Unfit
    member = row.text_member if is_text and row.text_member else row.member
    if row.is_list:
        values = [one for one in texts(line.value) if one]
    else:
        values = [text_of(line) if is_text or row.name == "TEL" else uri_of(line)]
    return [_object(line, row, member, value) for value in values]


def _object(line: Line, row: Row, member: str, value: Any) -> Piece:
    rest = {name: values for name, values in line.params.items() if name not in _NO_PARAMETERS}
    made = {name: one for name, one in row.fixed.items() if one != "title"}
    made[member] = value
    for parameter in row.params:
        _read_parameter(parameter, rest, made)
    _read_types(line, row.types, rest, made)
    if row.name == "NOTE":
        _read_author(rest, made)
    row.kind.check(made)
    if row.kind is jscontact.MEDIA:
        _check_file(made)
    return Piece(row.place, row.prefix, made, rest)


def _check_file(made: dict[str, Any]) -> None:
    # RFC 9610 §3.5: a card is refused whose photo is no image
    data = media.parse_data(made["uri"])
    if data is not None and media.type_of_data(data, made) is None:
        raise Unfit


def _read_parameter(parameter: Parameter, rest: dict[str, list[str]], made: dict[str, Any]) -> None:
    values = rest.get(parameter.name, ())
    if len(values) == 1 and parameter.member not in made:
        value = parameter.read(values[0])
        if value is not None:
            made[parameter.member] = value
            del rest[parameter.name]


def _read_types(
    line: Line, known: Mapping[str, tuple[str, str]], rest: dict[str, list[str]], made: dict[str, Any]
) -> None:
    """Read TYPE, each value of which may be a key of a set; the others are left."""
    if "type" not in rest or not known:
        return
    left = []
    for one in [part.strip() for value in rest.pop("type") for part in value.split(",")]:
        place = known.get(one.lower())
        if place is not None:
            made.setdefault(place[0], {})[place[1]] = True
        elif one:
            left.append(one)
    if left:
        rest["type"] = left
    _ = line


def _read_author(rest: dict[str, list[str]], made: dict[str, Any]) -> None:
    # RFC 9555 §2.3.2, §2.3.3
    author = {
        member: rest.pop(name)[0] for name, member in (("author-name", "name"), ("author", "uri")) if rest.get(name)
    }
    if author:
        made["author"] = author


# Forms of their own


def _rest(line: Line) -> dict[str, list[str]]:
    return {name: values for name, values in line.params.items() if name not in _NO_PARAMETERS}


def _only(line: Line, *types: str) -> None:
    if (line.first("value") or types[0]).lower() not in types:
        raise Unfit


def _full_name(line: Line) -> list[Piece]:
    _only(line, "text")
    text = text_of(line)
    return [Piece(("name",), "", {"full": text}, _rest(line))] if text else []


def _name(line: Line) -> list[Piece]:
    _only(line, "text")
    rest = _rest(line)
    structured = vcardparts.read(vcardparts.NAME, line.value, next(iter(rest.pop("jscomps", ())), None))
    made = structured.members()
    kinds = {one["kind"] for one in structured.components}
    sort_as = vcardparts.sort_as_of_name(vcardparts.read_sort_as(rest.get("sort-as", ())))
    if sort_as and sort_as.keys() <= kinds:
        made["sortAs"] = sort_as
        del rest["sort-as"]
    return _checked(Piece(("name",), "", made, rest, structured), jscontact.NAME)


def _address(line: Line) -> list[Piece]:
    _only(line, "text")
    rest = _rest(line)
    structured = vcardparts.read(vcardparts.ADDRESS, line.value, next(iter(rest.pop("jscomps", ())), None))
    made = structured.members()
    for parameter in ADDRESS_PARAMETERS:
        _read_parameter(parameter, rest, made)
    _read_types(line, ADDRESS_CONTEXTS, rest, made)
    if not made.keys() - {"contexts", "pref"}:
        return []
    return _checked(Piece(("addresses",), "ADDR", made, rest, structured), jscontact.ADDRESS)


def _label(value: str) -> str:
    """Return the text of LABEL, in which RFC 6350 §6.3.1 writes line ends as in a value."""
    return unescape(value)


def _zone(value: str) -> str:
    return zone_of(value) or value


ADDRESS_PARAMETERS: Final = (
    Parameter("label", "full", _label),
    Parameter("geo", "coordinates"),
    Parameter("tz", "timeZone", _zone),
    Parameter("cc", "countryCode"),
    PREF,
)


def zone_of(value: str) -> str | None:
    """Return the zone of an offset in whole hours (RFC 9555 §2.8.2), or None."""
    sign, digits = value[:1], value[1:].replace(":", "")
    if sign not in ("+", "-") or not digits.isdecimal() or len(digits) not in (2, 4) or digits[2:] not in ("", "00"):
        return None
    hours = int(sign + digits[:2])
    if not -12 <= hours <= 14:
        return None
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/UTC"


def _organization(line: Line) -> list[Piece]:
    _only(line, "text")
    rest = _rest(line)
    name, *units = (unescape(one) for one in split_components(line.value))
    while units and not units[-1]:
        units.pop()
    made: dict[str, Any] = {"name": name} if name else {}
    if units:
        made["units"] = [{"name": unit} for unit in units]
    if not made:
        return []
    items = vcardparts.read_sort_as(rest.get("sort-as", ()))
    if items and len(items) <= 1 + len(units):
        del rest["sort-as"]
        for owner, text in zip((made, *made.get("units", ())), items, strict=False):
            if text:
                owner["sortAs"] = text
    _read_types(line, CONTEXTS, rest, made)
    return _checked(Piece(("organizations",), "ORG", made, rest), jscontact.ORGANIZATION)


def _anniversary(line: Line) -> list[Piece]:
    if not line.value:
        return []
    rest = _rest(line)
    scale = rest.get("calscale")
    date = date_of(line.value, scale[0] if scale else None)
    if date is None or (line.first("value") or "").lower() == "text":
        raise Unfit
    if scale and "@type" not in date:
        del rest["calscale"]
    made = {"kind": KINDS_OF_DATES[line.name], "date": date}
    return _checked(Piece(("anniversaries",), "ANNIVERSARY", made, rest), jscontact.ANNIVERSARY)


KINDS_OF_DATES: Final = {"BDAY": "birth", "DEATHDATE": "death", "ANNIVERSARY": "wedding"}


def _gender(line: Line) -> list[Piece]:
    piece = Piece(("speakToAs",), "", {"grammaticalGender": text_of(line).lower()}, _rest(line))
    return _checked(piece, jscontact.SPEAK_TO_AS)


def _checked(piece: Piece, kind: TypedObject) -> list[Piece]:
    """Check a piece; one without any member says nothing, but for parameters that would be lost."""
    if not piece.value:
        return []
    kind.check(piece.value)
    return [piece]


CONVERTERS: Final[Mapping[str, Callable[[Line], list[Piece]]]] = {
    "FN": _full_name,
    "N": _name,
    "ADR": _address,
    "ORG": _organization,
    "GRAMGENDER": _gender,
    **dict.fromkeys(KINDS_OF_DATES, _anniversary),
}


# Properties of the Card itself: each returns whether the line is told by the Card then


def _once(member: str, read: Callable[[Line], Any]) -> Callable[[dict[str, Any], Line], bool]:
    def put(card: dict[str, Any], line: Line) -> bool:
        if not line.value:
            return True
        value = read(line)
        if value is None or member in card:
            return False
        card[member] = jscontact.check_property(member, value)
        return True

    return put


def _categories(card: dict[str, Any], line: Line) -> bool:
    words = [one for one in texts(line.value) if one]
    if words:
        card.setdefault("keywords", {}).update(dict.fromkeys(words, True))
    return True


def _member(card: dict[str, Any], line: Line) -> bool:
    value = uri_of(line)
    if value:
        jscontact.check_property("members", {value: True})
        card.setdefault("members", {})[value] = True
    return True


def _related(card: dict[str, Any], line: Line) -> bool:
    value = text_of(line) if (line.first("value") or "").lower() == "text" else uri_of(line)
    rest = _rest(line)
    made: dict[str, Any] = {"relation": {}}
    known = {one: ("relation", one) for one in RELATIONS}
    _read_types(line, known, rest, made)
    if not value or rest.keys() & {"language"}:
        return not value
    if rest:
        made["vCardParams"] = {name: values[0] if len(values) == 1 else values for name, values in rest.items()}
    there = card.setdefault("relatedTo", {})
    if value in there and ("vCardParams" in made or "vCardParams" in there[value]):
        return False
    jscontact.check_property("relatedTo", {value: made})
    made["relation"] = {**there.get(value, made)["relation"], **made["relation"]}
    there[value] = made
    return True


RELATIONS: Final = (
    *("acquaintance", "agent", "child", "co-resident", "co-worker", "colleague", "contact", "crush", "date"),
    *("emergency", "friend", "kin", "me", "met", "muse", "neighbor", "parent", "sibling", "spouse", "sweetheart"),
)
SINGLE: Final[Mapping[str, Callable[[dict[str, Any], Line], bool]]] = {
    "UID": _once("uid", uri_of),
    "KIND": _once("kind", lambda line: text_of(line).lower()),
    "PRODID": _once("prodId", text_of),
    "REV": _once("updated", lambda line: utc_of(line.value)),
    "CREATED": _once("created", lambda line: utc_of(line.value)),
    "LANGUAGE": _once("language", lambda line: line.value.strip()),
    "CATEGORIES": _categories,
    "MEMBER": _member,
    "RELATED": _related,
}
SCALAR: Final = frozenset(("UID", "KIND", "PRODID", "REV", "CREATED", "LANGUAGE", "CATEGORIES", "MEMBER"))
"""Properties that become a value without an object around it, in which `vCardParams` could be."""


def says_more(line: Line) -> bool:
    """Say whether a property of `SCALAR` has parameters or a group, which its value in the Card doesn't tell."""
    return bool(line.group or line.params.keys() - {"value"})
