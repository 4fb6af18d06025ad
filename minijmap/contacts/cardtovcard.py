"""JSContact to vCard 4.0 (RFC 9555 §3), and by `vcardclassic` to 3.0: a Card becomes lines.

Whatever the lines don't say when they are read again is added as JSPROP (RFC 9555 §3.2.1): so nothing is lost, however
it came into the Card. Only what means nothing goes: an `@type` that is clear anyway, and defaults that are written out.
Must not know where a Card is kept: media must be inline.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import orjson

from minijmap.contacts import jcard, jscontact, vcardparts
from minijmap.contacts.carddifferences import differences, plain
from minijmap.contacts.vcardclassic import classic
from minijmap.contacts.vcardconvert import ADDRESS_PARAMETERS, KINDS_OF_DATES, SCALAR, says_more
from minijmap.contacts.vcarddates import stamp_of, written_date
from minijmap.contacts.vcardlines import (
    Line,
    clean,
    escape,
    join_structured,
    parse_line,
    split_values,
    text_of_line,
    written,
)
from minijmap.contacts.vcardtable import (
    ADDRESS_CONTEXTS,
    BY_NAME,
    CONTEXTS,
    PLACES,
    WITH_LABEL,
    Form,
    Parameter,
    Row,
    row_of,
)
from minijmap.contacts.vcardtocard import card_of
from minijmap.jmap.values import ValueProblem

_PLACES_OF_DATES: Final = {"birth": "BIRTHPLACE", "death": "DEATHPLACE"}
_DATES: Final = {kind: name for name, kind in KINDS_OF_DATES.items()}
_SCRIPTED: Final = ("phoneticSystem", "phoneticScript")


Version = Literal["3.0", "4.0"]


def vcard_of(card: Mapping[str, Any], version: Version = "4.0") -> bytes:
    """Return the vCard of a Card in UTF-8, from BEGIN to END. The Card must be one (`jscontact.check_card`)."""
    lines = lines_of(card, version)
    return b"".join((b"BEGIN:VCARD\r\n", *map(written, lines), b"END:VCARD\r\n"))


def lines_of(card: Mapping[str, Any], version: Version = "4.0") -> list[Line]:
    """Return the lines of a Card's vCard, without BEGIN and END."""
    wanted = plain(card)
    lines = _Writing(wanted).lines()
    if version == "3.0":
        lines = classic(lines)
    again = plain(card_of([parse_line(text_of_line(line).encode(), 0) for line in lines]))
    for pointer, value in differences(again, wanted).items():
        # JSON may have this one as it is, a vCard not
        text = orjson.dumps(value).decode().replace("\x7f", "\\u007f")
        lines.append(Line("JSPROP", escape(text), {"jsptr": [pointer]}))
    return lines


def is_uri(value: str) -> bool:
    """Say whether a text is a URI."""
    try:
        jscontact.URI.check(value)
    except ValueProblem:
        return False
    return True


class _Writing:
    """One Card while it is written."""

    def __init__(self, card: Mapping[str, Any]) -> None:
        self.card = card
        self.made: dict[tuple[str, ...], Line] = {}
        """The line of each object, by where it is in the Card."""
        self.altids: Counter[str] = Counter()
        self.groups = itertools.count(1)
        self.used_groups = {
            str(one[1]["group"]).lower() for one in card.get("vCardProps") or () if isinstance(one[1].get("group"), str)
        }

    def lines(self) -> list[Line]:
        """Return all lines."""
        lines = [Line("VERSION", "4.0"), *self._single(self._kept_values())]
        for one in (self._names(), self._objects(), self._organizations(), self._addresses(), self._anniversaries()):
            lines += one
        lines += self._localizations()
        self._link_titles()
        lines += self._labels()
        for prop in self.card.get("vCardProps") or ():
            line = jcard.to_line(prop)
            if line is not None and line.name not in ("VERSION", "BEGIN", "END", "JSPROP"):
                lines.append(line)
        return lines

    # Properties of the Card

    def _kept_values(self) -> dict[str, set[str]]:
        """Return what the Card's plain values are by those lines of `vCardProps` that have parameters besides."""
        kept: dict[str, set[str]] = {name: set() for name in SCALAR}
        for prop in self.card.get("vCardProps") or ():
            line = jcard.to_line(prop)
            if line is not None and line.name in kept and says_more(line):
                kept[line.name].update(split_values(line.value) if line.name == "CATEGORIES" else (line.value,))
        return kept

    def _single(self, kept: Mapping[str, set[str]]) -> Iterator[Line]:
        """Yield the lines of plain values, but for those that `vCardProps` has with their parameters."""
        card = self.card
        uid = card["uid"]
        lines = [Line("UID", clean(uid)) if is_uri(uid) else Line("UID", escape(uid), {"value": ["text"]})]
        for member, name in (("kind", "KIND"), ("prodId", "PRODID"), ("language", "LANGUAGE")):
            if member in card:
                lines.append(Line(name, escape(card[member])))
        for member, name in (("created", "CREATED"), ("updated", "REV")):
            if member in card:
                lines.append(Line(name, stamp_of(card[member]) or ""))
        lines += [Line("MEMBER", clean(uri)) for uri in card.get("members") or ()]
        yield from (line for line in lines if line.value not in kept[line.name])
        keywords = [one for one in map(escape, card.get("keywords") or ()) if one not in kept["CATEGORIES"]]
        if keywords:
            yield Line("CATEGORIES", ",".join(keywords))
        gender = (card.get("speakToAs") or {}).get("grammaticalGender")
        if gender is not None:
            yield self._remember(("speakToAs",), Line("GRAMGENDER", escape(gender)), card["speakToAs"])
        for uri, relation in (card.get("relatedTo") or {}).items():
            types = list(relation.get("relation") or ())
            line = Line("RELATED", clean(uri)) if is_uri(uri) else Line("RELATED", escape(uri), {"value": ["text"]})
            if types:
                line.params["type"] = types
            jcard.set_params(line, relation.get("vCardParams") or {})
            yield line

    def _names(self) -> Iterator[Line]:
        name = self.card.get("name") or {}
        full = name.get("full")
        laid = vcardparts.lay_out(vcardparts.NAME, name) if name.get("components") else None
        if full is None and laid is not None:
            # RFC 9555 §3.1
            yield Line("FN", escape(vcardparts.full_text(name)), {"derived": ["true"]})
        else:
            line = Line("FN", escape(full or ""))
            yield line if laid is not None else self._remember(("name",), line, name)
        if laid is None:
            return
        line = self._structured("N", laid, name)
        items = [(name.get("sortAs") or {}).get(kind, "") for kind in vcardparts.NAME.kinds]
        if any(items):
            line.params["sort-as"] = vcardparts.write_sort_as(items)
        yield self._remember(("name",), line, name)
        yield from self._pronounced(("name",), line, name, laid)

    def _structured(self, name: str, laid: vcardparts.Laid, owner: Mapping[str, Any]) -> Line:
        line = Line(name, join_structured(laid.values))
        if laid.jscomps is not None and owner.get("components"):
            line.params["jscomps"] = [laid.jscomps]
        return line

    def _remember(self, path: tuple[str, ...], line: Line, owner: Mapping[str, Any]) -> Line:
        """Finish the line of an object: its id, and the parameters that it came with."""
        if len(path) > 1:
            line.params["prop-id"] = [path[-1]]
        jcard.set_params(line, owner.get("vCardParams") or {})
        self.made[path] = line
        return line

    def _pronounced(
        self, path: tuple[str, ...], base: Line, owner: Mapping[str, Any], laid: vcardparts.Laid, language: str = ""
    ) -> Iterator[Line]:
        """Write how a name or an address is pronounced (RFC 9555 §2.3.15)."""
        values: list[list[str]] = [[""] * len(one) for one in laid.values]
        for component, position in zip(owner.get("components") or (), laid.positions, strict=True):
            if position is not None and "phonetic" in component:
                values[position[0]][position[1]] = component["phonetic"]
        if not any(map(any, values)):
            return
        while not any(values[-1]):
            values.pop()
        params = {"altid": self._altid(path, base), "phonetic": [owner.get("phoneticSystem", "script")]}
        if "phoneticScript" in owner:
            params["script"] = [owner["phoneticScript"]]
        if language:
            params["language"] = [language]
        yield Line(base.name, join_structured(values), params)

    def _altid(self, path: tuple[str, ...], base: Line) -> list[str]:
        """Return the ALTID of an object's line, by which others are tied to it."""
        _ = path
        if "altid" not in base.params:
            self.altids[base.name] += 1
            base.params["altid"] = [str(self.altids[base.name])]
        return base.params["altid"]

    # Objects of maps

    def _objects(self) -> Iterator[Line]:
        for place in PLACES:
            there: Any = self.card
            for name in place:
                there = (there or {}).get(name)
            for key, value in (there or {}).items():
                row = row_of(place, value)
                if row is not None:
                    yield self._remember((*place, key), _line(row, value), value)

    def _organizations(self) -> Iterator[Line]:
        for key, value in (self.card.get("organizations") or {}).items():
            yield self._remember(("organizations", key), _organization(value), value)

    def _addresses(self) -> Iterator[Line]:
        for key, value in (self.card.get("addresses") or {}).items():
            laid = vcardparts.lay_out(vcardparts.ADDRESS, value)
            if laid is None:
                continue
            line = self._remember(("addresses", key), _with_address(self._structured("ADR", laid, value), value), value)
            yield line
            yield from self._pronounced(("addresses", key), line, value, laid)

    def _anniversaries(self) -> Iterator[Line]:
        """Write dates: of each kind one, which is all that a vCard may have (RFC 6350 §6.2.5, §6.2.6)."""
        seen = set()
        for key, value in (self.card.get("anniversaries") or {}).items():
            name, text = _DATES.get(value["kind"]), written_date(value["date"])
            if name is None or text is None or name in seen:
                continue
            seen.add(name)
            line = Line(name, text)
            if "utc" in value["date"]:
                line.params["value"] = ["timestamp"]
            if "calendarScale" in value["date"]:
                line.params["calscale"] = [value["date"]["calendarScale"]]
            yield self._remember(("anniversaries", key), line, value)
            place = value.get("place") or {}
            where = _PLACES_OF_DATES.get(value["kind"])
            if where is not None and "full" in place:
                # Not by `_remember`: the place is a property, with no id that a PROP-ID could tell (RFC 9555 §3.3.1).
                line = self.made["anniversaries", key, "place"] = Line(where, escape(place["full"]))
                yield line
            elif where is not None and "coordinates" in place:
                yield Line(where, clean(place["coordinates"]), {"value": ["uri"]})

    # Groups

    def _group(self) -> str:
        """Return a name that no other group has."""
        return next(name for name in (f"item{number}" for number in self.groups) if name not in self.used_groups)

    def _labels(self) -> Iterator[Line]:
        self.used_groups |= {line.group for line in self.made.values()}
        for path, line in self.made.items():
            if line.name not in WITH_LABEL or path[0] == "localizations":
                continue
            owner: Any = self.card
            for name in path:
                owner = owner[name]
            if "label" in owner:
                line.group = line.group or self._group()
                yield Line("X-ABLABEL", escape(owner["label"]), group=line.group)

    def _link_titles(self) -> None:
        """Put an organization and its titles into one group (RFC 9555 §2.9.6)."""
        self.used_groups |= {line.group for line in self.made.values()}
        for key, title in (self.card.get("titles") or {}).items():
            organization = self.made.get(("organizations", str(title.get("organizationId"))))
            line = self.made.get(("titles", key))
            if organization is not None and line is not None:
                organization.group = organization.group or self._group()
                line.group = line.group or organization.group

    # Languages

    def _localizations(self) -> Iterator[Line]:
        """Write the patches of a language that are properties of vCard (RFC 9555 §2.3.11)."""
        for language, patch in (self.card.get("localizations") or {}).items():
            by_object: dict[tuple[str, ...], dict[str, Any]] = {}
            for pointer, value in patch.items():
                path = tuple(one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/"))
                owner = next((path[:end] for end in (3, 2, 1) if path[:end] in self.made and len(path) > end), None)
                if owner is not None:
                    by_object.setdefault(owner, {})["/".join(path[len(owner) :])] = value
                elif isinstance(value, dict):
                    yield from self._only_in(language, path, value)
            for path, members in by_object.items():
                yield from self._translated(language, path, members)

    def _only_in(self, language: str, path: tuple[str, ...], value: dict[str, Any]) -> Iterator[Line]:
        """Write an object that only a language has."""
        row = row_of(path[:-1], value)
        if row is not None:
            line = _line(row, value)
        elif path[:-1] == ("organizations",):
            line = _organization(value)
        else:
            return
        line.params |= {"language": [language], "prop-id": [path[-1]]}
        jcard.set_params(line, value.get("vCardParams") or {})
        yield line

    def _translated(self, language: str, path: tuple[str, ...], members: dict[str, Any]) -> Iterator[Line]:
        """Write an object of the Card as it is in another language."""
        base = self.made[path]
        owner: Any = self.card
        for name in path:
            owner = owner[name]
        if any("/" in name for name in members):
            yield from self._pronounced_in(language, path, members)
            return
        line: Line | None = None
        row = BY_NAME.get(base.name)
        if row is not None and row.member in members and row.member != "uri":
            line = _line(row, {**{name: one for name, one in owner.items() if name in row.fixed}, **members})
        elif path == ("name",) and "full" in members:
            yield Line("FN", escape(members.pop("full")), {"language": [language]})
        if path == ("name",) and "components" in members:
            laid = vcardparts.lay_out(vcardparts.NAME, members)
            line = None if laid is None else self._structured("N", laid, members)
        elif base.name == "ADR" and members.keys() & {"components", "full"}:
            laid = vcardparts.lay_out(vcardparts.ADDRESS, members)
            line = None if laid is None else _with_address(self._structured("ADR", laid, members), members)
        elif base.name == "ORG" and members.keys() & {"name", "units"}:
            line = _organization({"name": owner.get("name", ""), **members})
        elif base.name in ("BIRTHPLACE", "DEATHPLACE") and "full" in members:
            line = Line(base.name, escape(members["full"]))
        elif base.name == "GRAMGENDER" and "grammaticalGender" in members:
            line = Line(base.name, escape(members["grammaticalGender"]))
        if line is not None:
            line.params |= {"language": [language], "altid": self._altid(path, base)}
            jcard.set_params(line, members.get("vCardParams") or {})
            yield line

    def _pronounced_in(self, language: str, path: tuple[str, ...], members: dict[str, Any]) -> Iterator[Line]:
        """Write how a name or an address is pronounced in a language, if that is all that the patch says."""
        owner: Any = self.card
        for name in path:
            owner = owner[name]
        shape = {"N": vcardparts.NAME, "ADR": vcardparts.ADDRESS}.get(self.made[path].name)
        laid = None if shape is None or "components" not in owner else vcardparts.lay_out(shape, owner)
        if laid is None:
            return
        said = {name: one for name, one in owner.items() if name not in _SCRIPTED}
        said["components"] = [
            {name: one for name, one in component.items() if name != "phonetic"} for component in owner["components"]
        ]
        for name, value in members.items():
            if name in _SCRIPTED:
                said[name] = value
                continue
            first, _, rest = name.partition("/")
            index, _, last = rest.partition("/")
            if first == "components" and last == "phonetic" and index.isdecimal() and int(index) < len(laid.positions):
                said["components"][int(index)]["phonetic"] = value
        yield from self._pronounced(path, self.made[path], said, laid, language)


def _line(row: Row, value: Mapping[str, Any]) -> Line:
    """Write an object by its row."""
    line = Line(row.name, "")
    member = row.member if row.member in value else row.text_member
    text = value[member]
    if row.form is Form.EITHER:
        as_uri = is_uri(text)
        if row.text_member:
            as_uri = member == row.member
            if not as_uri:
                line.params["value"] = ["text"]
        elif as_uri:
            line.params["value"] = ["uri"]
        line.value = clean(text) if as_uri else escape(text)
    else:
        line.value = clean(text) if row.form is Form.URI else escape(text)
    for parameter in row.params:
        if parameter.member in value and parameter.member != member:
            _write_parameter(line, parameter, value[parameter.member])
    _write_types(line, row.types, value)
    author = value.get("author") or {} if row.name == "NOTE" else {}
    for name, one in (("author", "uri"), ("author-name", "name")):
        if one in author:
            line.params[name] = [author[one]]
    return line


def _write_parameter(line: Line, parameter: Parameter, value: Any) -> None:
    text = parameter.write(value)
    if text is not None:
        line.params[parameter.name] = [text]


def _write_types(line: Line, known: Mapping[str, tuple[str, str]], value: Mapping[str, Any]) -> None:
    types = [name for name, (member, key) in known.items() if (value.get(member) or {}).get(key)]
    if types:
        line.params["type"] = types


def _organization(value: Mapping[str, Any]) -> Line:
    units = value.get("units") or ()
    line = Line("ORG", ";".join(escape(one) for one in (value.get("name", ""), *(unit["name"] for unit in units))))
    items = [value.get("sortAs", ""), *(unit.get("sortAs", "") for unit in units)]
    if any(items):
        line.params["sort-as"] = vcardparts.write_sort_as(items)
    _write_types(line, CONTEXTS, value)
    return line


def _with_address(line: Line, value: Mapping[str, Any]) -> Line:
    for parameter in ADDRESS_PARAMETERS:
        if parameter.member in value:
            _write_parameter(line, parameter, value[parameter.member])
    _write_types(line, ADDRESS_CONTEXTS, value)
    return line
