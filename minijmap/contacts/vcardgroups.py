"""What several lines of a vCard say together in the ways of Apple, Google and others, and in vCard 2.1 and 3.0.

Labels and countries beside what they belong to, formatted and spoken forms of an address and a name, lists of
Evolution's. `vcardquirks` reads each line by itself afterwards. Must not know JSContact.
"""

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from minijmap.contacts.vcardlines import Line, escape, split_components, texts, unescape
from minijmap.contacts.vcardnames import DATES, PHONETIC, RELATED, RELATION_LABELS, SERVICES

_APPLE_LABEL: Final = re.compile(r"_\$!<(.*)>!\$_")
_INNER_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MEMBER: Final = "X-ADDRESSBOOKSERVER-MEMBER"
_LIST_MEMBER: Final = "x-evolution-dest-contact-uid"
_SPECIAL: Final = frozenset((*PHONETIC, _MEMBER, "LABEL", "SORT-STRING", "X-ABRELATEDNAMES", "X-EVOLUTION-LIST"))
_UUID: Final = "urn:uuid:"

# Labels of Apple's that are types (RFC 2426 §3.3.1)
_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "home": ("home",),
    "work": ("work",),
    "mobile": ("cell",),
    "main": ("main",),
    "pager": ("pager",),
    "home fax": ("home", "fax"),
    "work fax": ("work", "fax"),
}
_OF_PHONES: Final = frozenset(("mobile", "main", "pager", "home fax", "work fax"))
_TYPED: Final = frozenset(("ADR", "EMAIL", "IMPP", "TEL", "URL", "X-SOCIALPROFILE", *SERVICES))


def together(lines: Sequence[Line]) -> Sequence[Line]:
    """Return the lines with what they say together said by each. The lines given stay as they are."""
    is_old = any(line.name == "VERSION" and line.value.strip().startswith("2") for line in lines)
    if not is_old and not any(line.group or line.name in _SPECIAL for line in lines):
        return lines
    for step in (_from_old, _countries, _labels) if is_old else (_countries, _labels):
        changes = _Changes()
        step(lines, changes)
        lines = changes.applied(lines)
    for step in (_formatted_addresses, _pronounced, _sorted_by, _members, _listed):
        changes = _Changes()
        step(lines, changes)
        lines = changes.applied(lines)
    return lines


class _Changes:
    """What comes in the place of some lines."""

    def __init__(self) -> None:
        self._new: dict[int, tuple[Line, ...]] = {}

    def swap(self, old: Line, *new: Line) -> None:
        """Put other lines in the place of one."""
        self._new[id(old)] = new

    def applied(self, lines: Sequence[Line]) -> Sequence[Line]:
        """Return all lines, changed."""
        if not self._new:
            return lines
        return [one for line in lines for one in self._new.get(id(line), (line,))]


def _groups(lines: Iterable[Line]) -> Iterable[list[Line]]:
    by_group: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.group:
            by_group[line.group].append(line)
    return by_group.values()


# vCard 2.1


def _from_old(lines: Sequence[Line], changes: _Changes) -> None:
    """Read what 2.1 writes otherwise: commas, which are nothing special there, and types that are labels."""
    for number, line in enumerate(lines, 1):
        made = line
        if line.name in ("ADR", "N", "ORG") and "," in line.value:
            made = replace(line, value=re.sub(r"(?<!\\),", r"\\,", line.value))
        label = _old_label(line)
        if label is not None:
            group = line.group or f"label{number}"
            types = [one for one in line.params.get("type", ()) if not one.lower().startswith("x-")]
            params = {name: values for name, values in line.params.items() if name not in ("type", "x-custom")}
            params |= {"type": types} if types else {}
            changes.swap(line, replace(made, params=params, group=group), Line("X-ABLABEL", escape(label), group=group))
        elif made is not line:
            changes.swap(line, made)


def _old_label(line: Line) -> str | None:
    """Return the label that Android has written as a type, where there is one and nothing else may be it."""
    said = [*line.params.get("x-custom", ())]
    said += [one[2:] for one in line.params.get("type", ()) if one.lower().startswith("x-")]
    return said[0] if len(said) == 1 and line.name in ("ADR", "EMAIL", "TEL") and said[0] else None


# Apple's groups


def _countries(lines: Sequence[Line], changes: _Changes) -> None:
    """Take the country of an address that Apple says beside it."""
    for group in _groups(lines):
        address = [line for line in group if line.name == "ADR" and "cc" not in line.params]
        country = [line for line in group if line.name == "X-ABADR"]
        if len(address) == len(country) == 1 and re.fullmatch(r"[A-Za-z]{2}", country[0].value):
            params = {**address[0].params, "cc": [country[0].value.upper()]}
            name = "" if len(group) == len(("ADR", "X-ABADR")) else address[0].group
            changes.swap(address[0], replace(address[0], params=params, group=name))
            changes.swap(country[0])


def _labels(lines: Sequence[Line], changes: _Changes) -> None:
    for group in _groups(lines):
        labels = [line for line in group if line.name == "X-ABLABEL"]
        if len(labels) == 1:
            _labelled(labels[0], [line for line in group if line is not labels[0]], changes)
    for line in lines:
        if line.name == "X-ABRELATEDNAMES" and not line.group:
            changes.swap(line, _relative(line, ""))


def _labelled(label: Line, others: Sequence[Line], changes: _Changes) -> None:
    """Read what a label tells of a date, a relative or a type; one of Apple's own is written as Apple shows it."""
    said = unescape(label.value)
    found = _APPLE_LABEL.fullmatch(said)
    if found is not None:
        said = _INNER_CAPITAL.sub(" ", found[1]).lower()
    if len(others) == 1 and not label.params:
        made = _told(others[0], said, is_own=found is not None)
        if made is not None:
            changes.swap(others[0], replace(made, group=""))
            changes.swap(label)
            return
    if found is not None:
        changes.swap(label, replace(label, value=escape(said)))


def _told(line: Line, said: str, *, is_own: bool) -> Line | None:
    """Return a line with what its label says said otherwise, or None."""
    if line.name == "X-ABDATE":
        name = DATES.get(said.lower())
        return replace(line, name=name) if name else None
    if line.name == "X-ABRELATEDNAMES":
        return _relative(line, said)
    types = _TYPES.get(said) if is_own and line.name in _TYPED else None
    if types is None or (said in _OF_PHONES and line.name != "TEL"):
        return None
    return replace(line, params={**line.params, "type": [*line.params.get("type", ()), *types]})


def _relative(line: Line, said: str) -> Line:
    """Return a relative: the label is a type of RELATED, or stays as it is beside none."""
    relation = RELATED.get(said.lower(), "")
    params = {name: values for name, values in line.params.items() if name not in ("type", "value")}
    # RFC 6350 §5.3
    pref = {"pref": ["1"]} if "pref" in line.types() else {}
    kind = {"type": [relation]} if relation else {}
    label = {"x-ablabel": [said]} if said and said.lower() != RELATION_LABELS[relation] else {}
    return replace(line, name="RELATED", params={"value": ["text"], **kind, **pref, **params, **label})


# Formatted, spoken and sorted


def _formatted_addresses(lines: Sequence[Line], changes: _Changes) -> None:
    """Make LABEL part of the address of the same types (RFC 2426 §3.2.2), or an address of its own."""
    labels = [line for line in lines if line.name == "LABEL"]
    if not labels:
        return
    addresses: dict[frozenset[str], deque[Line]] = defaultdict(deque)
    for line in lines:
        if line.name == "ADR" and "label" not in line.params:
            addresses[_kinds(line)].append(line)
    for label in labels:
        mine = addresses[_kinds(label)]
        text = escape(unescape(label.value))
        if mine:
            address = mine.popleft()
            changes.swap(address, replace(address, params={**address.params, "label": [text]}))
            changes.swap(label)
        else:
            params = {**label.params, "label": [text]}
            changes.swap(label, replace(label, name="ADR", value=";" * 6, params=params))


def _kinds(line: Line) -> frozenset[str]:
    return frozenset(line.types()) - {"pref"}


def _pronounced(lines: Sequence[Line], changes: _Changes) -> None:
    """Make Apple's and Google's phonetic names a pronunciation of N (RFC 9554 §4.6), if their script can be told."""
    sounds = [line for line in lines if line.name in PHONETIC]
    names = [line for line in lines if line.name == "N"]
    if not sounds or len(names) != 1 or any(line.params for line in sounds):
        return
    script = _script("".join(line.value for line in sounds))
    there = [texts(one) for one in split_components(names[0].value)]
    places = [PHONETIC[line.name] for line in sounds]
    if script is None or any(place >= len(there) or not there[place][0] for place in places):
        return
    if len(set(places)) < len(places):
        return
    values = {place: line.value for place, line in zip(places, sounds, strict=True)}
    altid = names[0].params.get("altid", ["1"])
    value = ";".join(values.get(place, "") for place in range(5))
    params = {"altid": altid, "phonetic": ["script"], "script": [script]}
    changes.swap(names[0], replace(names[0], params={**names[0].params, "altid": altid}))
    changes.swap(sounds[0], Line("N", value, params, number=sounds[0].number))
    for line in sounds[1:]:
        changes.swap(line)


_SCRIPTS: Final = (
    ("Hira", re.compile(r"[\u3040-\u309f]")),
    ("Kana", re.compile(r"[\u30a0-\u30ff\uff66-\uff9f]")),
    ("Bopo", re.compile(r"[\u3100-\u312f]")),
    ("Hang", re.compile(r"[\uac00-\ud7a3]")),
    ("Cyrl", re.compile(r"[\u0400-\u052f]")),
    ("Grek", re.compile(r"[\u0370-\u03ff]")),
    ("Arab", re.compile(r"[\u0600-\u06ff]")),
    ("Hebr", re.compile(r"[\u0590-\u05ff]")),
    ("Latn", re.compile(r"[A-Za-z\u00c0-\u024f]")),
)


def _script(text: str) -> str | None:
    """Return the script of a text by its letters, where that is easily told."""
    return next((name for name, pattern in _SCRIPTS if pattern.search(text)), None)


def _sorted_by(lines: Sequence[Line], changes: _Changes) -> None:
    """Make SORT-STRING (RFC 2426 §3.6.5) what the family name is sorted by."""
    said = [line for line in lines if line.name == "SORT-STRING"]
    names = [line for line in lines if line.name == "N" and "phonetic" not in line.params]
    if len(said) != 1 or len(names) != 1 or "sort-as" in names[0].params or "," in said[0].value:
        return
    if split_components(names[0].value)[0]:
        params = {**names[0].params, "sort-as": [unescape(said[0].value)]}
        changes.swap(names[0], replace(names[0], params=params))
        changes.swap(said[0])


# Groups of cards


def _members(lines: Sequence[Line], changes: _Changes) -> None:
    """Take the members of a group as Apple names them: by the uid of the card, which is bare there."""
    members = [line for line in lines if line.name == _MEMBER]
    if not members:
        return
    is_bare = not any(line.name == "UID" and line.value.lower().startswith(_UUID) for line in lines)
    for line in members:
        value = unescape(line.value).strip()
        if is_bare and value.lower().startswith(_UUID):
            value = value[len(_UUID) :]
        changes.swap(line, replace(line, name="MEMBER", value=value))


def _listed(lines: Sequence[Line], changes: _Changes) -> None:
    """Read a list of Evolution's as a group: its addresses, which are kept, have the uid of a card each."""
    mark = next((line for line in lines if line.name == "X-EVOLUTION-LIST" and line.value.upper() == "TRUE"), None)
    if mark is None or any(line.name in ("KIND", "X-ADDRESSBOOKSERVER-KIND") for line in lines):
        return
    changes.swap(mark, mark, Line("KIND", "group", number=mark.number))
    for line in lines:
        uid = line.first(_LIST_MEMBER) if line.name == "EMAIL" else None
        if uid:
            changes.swap(line, Line("MEMBER", uid, number=line.number), line)
