"""vCard 4.0 made vCard 3.0 (RFC 2426), as the programs of Apple, Google and Microsoft read it: `vcardquirks` backwards.

Each row of the table takes a property of 4.0 and returns the lines by which such programs show it in its place. What
they have no place for goes: `cardtovcard` adds as JSPROP whatever the lines don't say when they are read again, which
those programs pass over. Must not know a Card.
"""

import itertools
import re
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from minijmap.contacts.vcardconvert import KINDS_OF_DATES
from minijmap.contacts.vcardlanguages import Languages
from minijmap.contacts.vcardlines import Line, escape, split_components, texts, unescape
from minijmap.contacts.vcardnames import (
    ALSO_DATES,
    ALSO_RELATED,
    APPLES_LABELS,
    DATES,
    MEDIA_TYPES,
    PHONETIC,
    RELATION_LABELS,
    SERVICES,
)
from minijmap.contacts.vcardparts import read_sort_as
from minijmap.contacts.vcardquirks import modernized
from minijmap.contacts.vcardtable import ADDRESS_CONTEXTS, CONTEXTS, ROWS

Rewrite = Callable[[Line], list[Line]]

_OWN_GROUP: Final = "*"
"""The group of lines that get one of their own, together."""


def classic(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of a vCard 4.0 as those of a vCard 3.0. The lines given stay as they are."""
    used = {line.group for line in lines}
    groups = (name for name in map("item{}".format, itertools.count(1)) if name not in used)
    result: list[Line] = []
    for line in _prepared(lines):
        rewrite = _TABLE.get(line.name)
        made = [line] if rewrite is None else rewrite(line)
        if any(one.group == _OWN_GROUP for one in made):
            group = next(groups)
            made = [replace(one, group=group) if one.group == _OWN_GROUP else one for one in made]
        result += made
    return [_legal(line) for line in _named(result) if _TOKEN.fullmatch(line.name)]


# RFC 2426 §4: no parameter of 3.0 can say these (RFC 6868 came later). The colon, comma and semicolon could be in
# quotes, but there are programs that look for the first of them and know no quotes.
_SAFE: Final = re.compile(r"[^\x00-\x1f\x7f\":;,^]*")
_TOKEN: Final = re.compile(r"[A-Za-z0-9-]+")
_NEVER: Final = frozenset(("jscomps", "jsptr", "author"))
"""Parameters that are quoted in any case."""


def _legal(line: Line) -> Line:
    """Return a line without the parameters that 3.0 can't write."""
    params = {
        name: values
        for name, values in line.params.items()
        if name not in _NEVER and _TOKEN.fullmatch(name) and all(map(_is_safe, values))
    }
    return replace(line, params=params)


def _is_safe(value: str) -> bool:
    return bool(_SAFE.fullmatch(value)) and value == value.strip()


def _without(line: Line, *names: str) -> dict[str, list[str]]:
    return {name: values for name, values in line.params.items() if name not in names}


# The whole card, before its lines are rewritten

_PLACES: Final = {"BDAY": "BIRTHPLACE", "DEATHDATE": "DEATHPLACE"}
_PREFIXES: Final = {
    **{row.name: row.prefix for row in ROWS},
    **dict.fromkeys(KINDS_OF_DATES, "ANNIVERSARY"),
    "ADR": "ADDR",
    "ORG": "ORG",
}
"""What the ids begin with that are made up for a property without a PROP-ID."""
_KNOWN_TYPES: Final = {**{row.name: row.types for row in ROWS}, "ADR": ADDRESS_CONTEXTS, "ORG": CONTEXTS}
_OLD_TYPES: Final = {"main-number": "MAIN"}
_LEAST: Final = 101
"""The PREF of what has none."""
_WITH_PREFERRED: Final = frozenset(("ADR", "EMAIL", "IMPP", "SOCIALPROFILE", "TEL", "URL"))
"""Properties whose TYPE may be `pref` (RFC 2426 §3.2.1, §3.3.1), and those in which Apple has it too."""


def _prepared(lines: Sequence[Line]) -> list[Line]:
    """Return the lines that 3.0 has a place for: in one language, with ids, groups and types as it has them."""
    undated = {line.name for line in lines if line.name in KINDS_OF_DATES and _day(line) is None}
    undated |= {_PLACES[name] for name in undated if name in _PLACES}
    kept = list(_in_one_language([line for line in lines if line.name not in undated]))
    _leave_ids(kept)
    _leave_groups(kept)
    best: dict[str, int] = {}
    for line in kept:
        best[line.name] = min(_pref(line), best.get(line.name, _LEAST))
    return [*(_typed(line, best[line.name]) for line in kept), *_geography(kept)]


def _in_one_language(lines: Sequence[Line]) -> Iterator[Line]:
    """Leave out what is said in other words: a program of 3.0 would show it as a second name."""
    languages = Languages(lines)
    foreign = {id(line) for line in lines if languages.is_foreign(line)}
    tied = {(line.name, *line.params["altid"]) for line in lines if id(line) in foreign and "altid" in line.params}
    for line in lines:
        if id(line) in foreign:
            yield from _phonetic_names(line)
        else:
            alone = (line.name, *line.params.get("altid", ())) in tied
            yield replace(line, params=_without(line, "altid" if alone else ""))


def _phonetic_names(line: Line) -> Iterator[Line]:
    """Say how a name is pronounced as Apple and Google do."""
    components = split_components(line.value)
    if line.name == "N" and "phonetic" in line.params and "language" not in line.params:
        for name, place in PHONETIC.items():
            if place < len(components) and _joined(components[place]):
                yield Line(name, escape(_joined(components[place])))


def _leave_ids(lines: Iterable[Line]) -> None:
    """Leave out each PROP-ID that is made up again when the lines are read."""
    counts: Counter[str] = Counter()
    for line in lines:
        prefix = _PREFIXES.get(line.name, "")
        if line.first("prop-id") == f"{prefix}-{counts[prefix] + 1}":
            counts[prefix] += 1
            del line.params["prop-id"]


def _leave_groups(lines: Iterable[Line]) -> None:
    """Undo groups of an organization and its titles: there are programs that see nothing that is in a group."""
    names = defaultdict(set)
    for line in lines:
        names[line.group].add(line.name)
    for line in lines:
        if names[line.group] <= {"ORG", "TITLE", "ROLE"}:
            line.group = ""


def _pref(line: Line) -> int:
    said = line.first("pref") or ""
    return int(said) if said.isdecimal() else _LEAST


def _typed(line: Line, best: int) -> Line:
    """Write TYPE as 3.0 does, with `pref` for the best of a property."""
    known = _KNOWN_TYPES.get(line.name)
    if known is None:
        return line
    params = _without(line, "type")
    there = [one for one in line.params.get("type", ()) if _is_safe(one)]
    types = ["INTERNET"] if line.name == "EMAIL" else []
    types += [_OLD_TYPES.get(one.lower(), one.upper()) if one.lower() in known else one for one in there]
    if line.name in _WITH_PREFERRED and _pref(line) == best < _LEAST:
        types.append("PREF")
        if best == 1:
            del params["pref"]
    return replace(line, params={"type": types, **params} if types else params)


def _geography(lines: Iterable[Line]) -> list[Line]:
    """Say where the only address is."""
    addresses = [line for line in lines if line.name == "ADR"]
    place = addresses[0].first("geo") if len(addresses) == 1 else None
    return [] if place is None else [Line("GEO", place, group=addresses[0].group)]


# One property


def _version(line: Line) -> list[Line]:
    return [replace(line, value="3.0")]


def _uid(line: Line) -> list[Line]:
    return [replace(line, params=_without(line, "value"))]


def _joined(component: str) -> str:
    """Return the values of a component as one, because hardly any program knows of several."""
    return " ".join(one for one in texts(component) if one)


def _components(value: str, count: int) -> list[str]:
    """Return the components that 3.0 has; what is newer stands twice, also in these (RFC 9554 §2)."""
    found = [_joined(one) for one in split_components(value)[:count]]
    return found + [""] * (count - len(found))


def _structured(components: Iterable[str]) -> str:
    return ";".join(map(escape, components))


def _name(line: Line) -> list[Line]:
    sort_as = read_sort_as(line.params.get("sort-as") or [""])[0]
    made = replace(line, value=_structured(_components(line.value, 5)), params=_without(line, "sort-as"))
    return [made, Line("SORT-STRING", escape(sort_as))] if sort_as else [made]


def _address(line: Line) -> list[Line]:
    """Write an address in the components that all programs show, and its country and its text beside it."""
    box, extended, street, *rest = _components(line.value, 7)
    text = unescape(line.first("label") or "")
    # RFC 6350 §6.3.1: the extended address is best not used
    street = "\n".join(one for one in (street, extended) if one)
    is_bare = not any((box, street, *rest))
    value = _structured((box, "", text if is_bare else street, *rest))
    made = replace(line, value=value, params=_without(line, "label", "geo"))
    lines = [made]
    country = line.first("cc") or ""
    if re.fullmatch("[A-Za-z]{2}", country):
        made.group = made.group or _OWN_GROUP
        del made.params["cc"]
        lines.append(Line("X-ABADR", country.lower(), group=made.group))
    if text and not is_bare:
        lines.append(Line("LABEL", escape(text), {"type": line.params["type"]} if "type" in line.params else {}))
    return lines


# The name that TYPE has for a media type.
_FILE_TYPES: Final = {media_type: name.upper() for name, media_type in reversed(list(MEDIA_TYPES.items()))}
_DATA: Final = re.compile(r"data:([^;,]+);base64,")


def _file(line: Line) -> list[Line]:
    """Write octets as 3.0 does, if they come back the same; anything else is a link (RFC 2426 §3.1.4)."""
    head = _DATA.match(line.value)
    name = _FILE_TYPES.get(head[1]) if head else None
    rest = _without(line, "value", "type")
    types = line.params.get("type", [])
    if head and name:
        params = {"encoding": ["b"], "type": [name, *types], **rest}
        made = replace(line, value=line.value[head.end() :], params=params)
        if modernized([made])[0].value == line.value:
            return [made]
    return [replace(line, params={"value": ["uri"], **({"type": types} if types else {}), **rest})]


_DAY: Final = re.compile(r"(\d{4}|--)-?(\d\d)-?(\d\d)(?:T.*)?")
_NO_YEAR: Final = "1604"
"""The year of Apple's dates that have none."""


def _day(line: Line) -> str | None:
    """Return the day of a date, in Apple's year if it has none; None for one that 3.0 can't say."""
    found = _DAY.fullmatch(line.value)
    gregorian = (line.first("calscale") or "gregorian").lower() == "gregorian"
    if found is None or not gregorian or (line.first("value") or "").lower() == "text":
        return None
    return f"{_NO_YEAR if found[1] == '--' else found[1]}-{found[2]}-{found[3]}"


def _birthday(line: Line) -> list[Line]:
    params = _without(line, "value")
    if line.value.startswith("--"):
        params = {"x-apple-omit-year": [_NO_YEAR], **params}
    return [replace(line, value=_day(line) or "", params=params)]


def _labelled_date(line: Line) -> list[Line]:
    """Write a date as Apple and Google have it: a label tells what day it is."""
    label = next(label for label, name in DATES.items() if name == line.name)
    (date,) = _birthday(line)
    shown = replace(date, name="X-ABDATE", group=_OWN_GROUP)
    also = [name for name, known in ALSO_DATES.items() if known == line.name]
    if "x-apple-omit-year" in date.params:
        also = []
    basic = date.value.replace("-", "")
    return [shown, _label(label), *(Line(name, basic if "-MS-" in name else date.value) for name in also)]


def _label(label: str, said: str | None = None) -> Line:
    """Return the label of a date or a relative, which may be said otherwise.

    One of Apple's is marked, so that it is shown in the user's language.
    """
    text = said or label.capitalize()
    if (said or label) in APPLES_LABELS:
        text = f"_$!<{text.capitalize()}>!$_"
    return Line("X-ABLABEL", escape(text), group=_OWN_GROUP)


def _relative(line: Line) -> list[Line]:
    """Write the name of a relative; the card of one has no place in 3.0 and stays as it is."""
    if (line.first("value") or "").lower() != "text":
        return [line]
    known = RELATION_LABELS.get((line.types() or [""])[0], "other")
    said = line.first("x-ablabel")
    also = [Line(name, line.value) for name, one in ALSO_RELATED.items() if one in (said, known)]
    shown = replace(
        line, name="X-ABRELATEDNAMES", params=_without(line, "type", "value", "x-ablabel"), group=_OWN_GROUP
    )
    return [shown, _label(known, said), *also]


def _phone(line: Line) -> list[Line]:
    """Write the number of a tel: URI (RFC 3966)."""
    scheme, _, rest = line.value.partition(":")
    if scheme.lower() != "tel" or (line.first("value") or "").lower() != "uri":
        return [line]
    number, *params = urllib.parse.unquote(rest).split(";")
    extension = next((one.partition("=")[2] for one in params if one.lower().startswith("ext=")), "")
    text = f"{number} ext. {extension}" if extension else number
    return [replace(line, value=escape(text), params=_without(line, "value"))]


def _geo(line: Line) -> list[Line]:
    """Write latitude and longitude (RFC 2426 §3.4.2)."""
    found = re.fullmatch(r"(?i:geo):(-?[0-9.]+),(-?[0-9.]+)(?:[,;].*)?", line.value)
    return [replace(line, value=f"{found[1]};{found[2]}", params=_without(line, "value"))] if found else []


def _impp(line: Line) -> list[Line]:
    service = line.params.get("service-type")
    rest = _without(line, "service-type")
    return [replace(line, params={"x-service-type": service, **rest} if service else rest)]


# The property that a service has of its own. Apple's way for those that are no messengers is another.
_OF_SERVICE: Final = {
    "": "X-MS-IMADDRESS",
    **{service: name for name, service in reversed(list(SERVICES.items())) if service != "Twitter"},
}


_MESSENGERS: Final = frozenset(
    ("aim", "gtalk", "icq", "im", "irc", "ircs", "msnim", "pres", "sip", "sips", "skype", "xmpp", "ymsgr")
)
"""Schemes of URIs that Apple's programs have among messengers."""


def _social_profile(line: Line) -> list[Line]:
    """Write who somebody is at a service: as all programs do for messengers, as Apple's do for others."""
    service, user = line.first("service-type") or "", line.first("username") or ""
    is_text = (line.first("value") or "").lower() == "text"
    rest = _without(line, "service-type", "username", "value", "type")
    types = line.params.get("type", [])
    if not is_text and line.value.partition(":")[0].lower() in _MESSENGERS:
        return _impp(replace(line, name="IMPP"))
    if is_text and service in _OF_SERVICE:
        return [replace(line, name=_OF_SERVICE[service], params={"type": types, **rest} if types else rest)]
    user = unescape(line.value) if is_text else user
    params = {"type": [*([service] if _is_safe(service) and service else []), *types], "x-user": [user], **rest}
    made = replace(
        line, name="X-SOCIALPROFILE", params={name: values for name, values in params.items() if any(values)}
    )
    return [replace(made, value=f"x-apple:{urllib.parse.quote(user, safe='@:')}") if is_text else made]


def _kind(line: Line) -> list[Line]:
    """Write what Apple has words for."""
    if line.value.lower() == "org":
        return [Line("X-ABSHOWAS", "COMPANY")]
    return [replace(line, name="X-ADDRESSBOOKSERVER-KIND") if line.value.lower() == "group" else line]


def _member(line: Line) -> list[Line]:
    """Write the member of a group as Apple does: by its uid, as a URN."""
    if re.match(r"(?i)urn:uuid:", line.value):
        return [replace(line, name="X-ADDRESSBOOKSERVER-MEMBER")]
    if ":" in line.value:
        return [line]
    return [replace(line, name="X-ADDRESSBOOKSERVER-MEMBER", value=f"urn:uuid:{line.value}")]


_TABLE: Final[Mapping[str, Rewrite]] = {
    "VERSION": _version,
    "UID": _uid,
    "KIND": _kind,
    "MEMBER": _member,
    "N": _name,
    "ADR": _address,
    "TEL": _phone,
    "IMPP": _impp,
    "SOCIALPROFILE": _social_profile,
    "GEO": _geo,
    "RELATED": _relative,
    "BDAY": _birthday,
    **dict.fromkeys(DATES.values(), _labelled_date),
    **dict.fromkeys(("PHOTO", "LOGO", "SOUND", "KEY"), _file),
}

# The name that every card of 3.0 has (RFC 2426 §3.1.1, §3.1.2)

_INSTEAD_OF_NAME: Final = ("ORG", "NICKNAME", "EMAIL", "TEL")
_MADE_UP: Final = {"derived": ["true"]}
"""What tells that the line is there for others only (RFC 9554 §4.3)."""


def _named(lines: Sequence[Line]) -> list[Line]:
    """Return the lines with an FN that isn't empty, if anything can stand there, and with an N."""
    said = {line.name: line for line in reversed(lines) if line.value.strip(";")}
    result: list[Line] = []
    for line in lines:
        if line.name != "FN" or line.value:
            result.append(line)
            continue
        instead = next((_first_text(said[name].value) for name in _INSTEAD_OF_NAME if name in said), "")
        result.append(replace(line, value=escape(instead), params={**line.params, **_MADE_UP}) if instead else line)
    if any(line.name == "N" for line in lines):
        return result
    at = next((index for index, line in enumerate(result) if line.name == "FN"), 0)
    result.insert(at + 1, Line("N", _name_of(said), dict(_MADE_UP)))
    return result


def _first_text(value: str) -> str:
    return texts(split_components(value)[0])[0]


def _name_of(said: Mapping[str, Line]) -> str:
    """Return a name whose components nobody told: as one, that of a group as Apple has it."""
    full = unescape(said["FN"].value) if "FN" in said and "X-ABSHOWAS" not in said else ""
    return _structured((full, "", "", "", "") if "X-ADDRESSBOOKSERVER-KIND" in said else ("", full, "", "", ""))
