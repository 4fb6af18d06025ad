"""vCard 2.1 and 3.0, and the ways of Apple, Google and others, made those of vCard 4.0 before a card is read.

Each row of the table takes a property and returns lines of vCard 4.0 that say the same, or None to leave it as it is.
What needs several lines to be understood comes before, in `vcardgroups`. Must not know JSContact.
"""

import base64
import binascii
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from minijmap.contacts.media import IMAGES, sniff
from minijmap.contacts.vcardgroups import together
from minijmap.contacts.vcardlines import Line, escape, split_components, unescape
from minijmap.contacts.vcardnames import ALSO_DATES, ALSO_RELATED, MEDIA_TYPES, RELATED, RELATION_LABELS, SERVICES

Rewrite = Callable[[Line], list[Line] | None]

_HOST: Final = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}(?::\d+)?(?:[/?#].*)?")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_APPLES_SCHEME: Final = "x-apple:"
_URI_SAFE: Final = ":/?#[]@!$&'()*+,;=-._~%"
_ARMOR: Final = "-----BEGIN PGP"
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*+=*")
_NO_BASE64: Final = re.compile(r"\\.|\s")
_MEDIA_TYPE: Final = re.compile(r"(?:application|audio|image|video)/[a-z0-9.+-]+")
_SNIFFED: Final = 1368
"""Characters of base64 in which a file's type can be seen."""

_FILES: Final = {"PHOTO": "photo", "LOGO": "logo", "SOUND": "sound", "KEY": "key"}
_TYPES: Final = {"mobile": "cell", "main": "main-number"}


def modernized(lines: Sequence[Line]) -> list[Line]:
    """Return the lines as vCard 4.0 has them. The lines given stay as they are."""
    result: list[Line] = []
    for line in together(lines):
        rewrite = _TABLE.get(line.name)
        made = rewrite(line) if rewrite is not None else None
        for one in [line] if made is None else made:
            result += [_common(one) if one.params else one]
    return _said_once(result)


def _said_once(lines: list[Line]) -> list[Line]:
    """Leave out dates and relatives that a card says again, as another program has them."""
    kept, said = [], set()
    for line in lines:
        if line.name in ("ANNIVERSARY", "RELATED"):
            what = line.name, line.value.replace("-", ""), *sorted(line.types())
            labelled = *what, *line.params.get("x-ablabel", ())
            if labelled in said and line.params.keys() <= {"type", "value", "x-ablabel"}:
                continue
            said |= {what, labelled}
        kept.append(line)
    return kept


def _common(line: Line) -> Line:
    """Rewrite what every property may have: `TYPE=pref` and other values of TYPE that have other names now."""
    if "type" not in line.params and "encoding" not in line.params:
        return line
    types = [one for value in line.params.get("type", ()) for one in value.split(",")]
    lower = [one.strip().lower() for one in types]
    if not {"pref", *_TYPES}.intersection(lower) and not (line.name == "EMAIL" and "internet" in lower):
        return line
    params = dict(line.params)
    dropped = {"pref", "internet"} if line.name == "EMAIL" else {"pref"}
    kept = [_TYPES.get(low, one) if line.name == "TEL" else one for one, low in zip(types, lower, strict=True)]
    params["type"] = [one for one, low in zip(kept, lower, strict=True) if low not in dropped]
    if not params["type"]:
        del params["type"]
    if "pref" in lower:
        params.setdefault("pref", ["1"])
    return replace(line, params=params)


def _without(line: Line, *names: str) -> dict[str, list[str]]:
    return {name: values for name, values in line.params.items() if name not in names}


def _like(line: Line, name: str, value: str, params: Mapping[str, str] | None = None) -> Line:
    """Return a line of another property in the same group and place."""
    return Line(name, value, {key: [one] for key, one in (params or {}).items()}, line.group, line.number)


# Values


def _file(line: Line) -> list[Line] | None:
    """Make embedded octets a data: URI, and TYPE a media type (RFC 2426 §3.1.4, §3.7.2)."""
    if not line.value.strip():
        return []
    types, media_type = _media_type(line)
    if (line.first("encoding") or "").lower() not in ("b", "base64"):
        return _linked_file(line, types, media_type)
    text = line.value if _BASE64.fullmatch(line.value) else _NO_BASE64.sub("", line.value)
    try:
        head = base64.b64decode(text[:_SNIFFED] + "=" * (-len(text[:_SNIFFED]) % 4))
        padding = "=" * (-len(text) % 4)
        binascii.a2b_base64(text + padding if padding else text, strict_mode=True)
    except ValueError:
        return None
    seen = sniff(head)
    if _FILES[line.name] in IMAGES and not (seen or "").startswith("image/"):
        return None
    params = _without(line, "encoding", "type", "value")
    if types:
        params["type"] = types
    uri = f"data:{media_type or seen or 'application/octet-stream'};base64,{text}"
    return [replace(line, value=uri, params=params)]


def _media_type(line: Line) -> tuple[list[str], str | None]:
    """Return the types of a file that say nothing of what it is, and its media type where one does."""
    types, media_type = [], None
    for one in line.types():
        found = MEDIA_TYPES.get(one) or (one if _MEDIA_TYPE.fullmatch(one) else None)
        media_type = media_type or found
        if found is None and one != "x-evolution-unknown":
            types.append(one)
    return types, media_type


def _linked_file(line: Line, types: list[str], media_type: str | None) -> list[Line] | None:
    if line.name == "KEY" and line.value.startswith(_ARMOR):
        key = urllib.parse.quote(unescape(line.value), safe="")
        params = _without(line, "type", "value", "encoding") | ({"type": types} if types else {})
        return [replace(line, value=f"data:{MEDIA_TYPES['pgp']},{key}", params=params)]
    if media_type is None or (line.first("value") or "uri").lower() not in ("uri", "url"):
        return _uri(line)
    params = _without(line, "type", "value") | ({"type": types} if types else {})
    if not line.value.startswith("data:"):
        params.setdefault("mediatype", [media_type])
    return _uri(replace(line, params=params))


def _uri(line: Line) -> list[Line] | None:
    """Mend a URI: give one its scheme, and encode what it can't have."""
    value = unescape(line.value).strip()
    if (line.first("value") or "").lower() == "url":
        line = replace(line, params=_without(line, "value"))
    if _HOST.fullmatch(value):
        value = f"http://{value}"
    if not _SCHEME.match(value):
        return [line]
    if not value.startswith("data:"):
        value = urllib.parse.quote(value, safe=_URI_SAFE, errors="replace")
    return [replace(line, value=value)]


def _email(line: Line) -> list[Line]:
    value = re.sub(r"^(?i:mailto:)", "", unescape(line.value).strip())
    return [replace(line, value=escape(value))]


def _geo(line: Line) -> list[Line] | None:
    """Write two numbers as a geo: URI (RFC 2426 §3.4.2)."""
    found = re.fullmatch(r"\s*(-?[0-9.]+)\s*[;,]\s*(-?[0-9.]+)\s*", line.value.replace("\\", ""))
    return [replace(line, value=f"geo:{found[1]},{found[2]}")] if found else None


def _date(line: Line) -> list[Line] | None:
    """Write a date as vCard 4.0 does: without the year that Apple makes up, without a time that is none."""
    value = line.value.strip()
    omitted = line.first("x-apple-omit-year")
    params = _without(line, "x-apple-omit-year")
    if (line.first("value") or "").lower() == "date":
        params.pop("value")
    # No year is the year 0 in Fastmail's.
    for year in (omitted, "0000"):
        if year and value.startswith(year):
            value = "--" + value[len(year) :].lstrip("-")
    found = re.fullmatch(r"(\d{4}-?\d\d-?\d\d)T00:?00:?00(?:\.0+)?Z?", value)
    return [replace(line, value=found[1] if found else value, params=params)]


# Properties under other names


def _renamed(name: str) -> Rewrite:
    def rewrite(line: Line) -> list[Line]:
        return [replace(line, name=name)]

    return rewrite


def _online(service: str) -> Rewrite:
    """Take what a service has a property of its own for: who somebody is there."""

    def rewrite(line: Line) -> list[Line]:
        if not line.value.strip():
            return []
        params = {**line.params, "service-type": [service], "value": ["text"]}
        return [replace(line, name="SOCIALPROFILE", params=params)]

    return rewrite


def _service_in(types: Iterable[str]) -> str | None:
    """Return what in a TYPE is the name of a service."""
    return next((one for one in types if one.lower() not in _NO_SERVICE), None)


def _social_profile(line: Line) -> list[Line]:
    """Read Apple's X-SOCIALPROFILE: its type is the service, `x-user` who somebody is there."""
    types = [one for value in line.params.get("type", ()) for one in value.split(",")]
    service = _service_in(types)
    params = _without(line, "type", "x-user", "x-displayname" if "x-user" not in line.params else "")
    user = line.first("x-user") or line.first("x-displayname")
    kept = [one for one in types if one != service]
    params |= {"type": kept} if kept else {}
    params |= {"service-type": [service]} if service else {}
    value = unescape(line.value).strip()
    if _SCHEME.match(value) and not value.lower().startswith(_APPLES_SCHEME):
        params |= {"username": [user]} if user else {}
        return _uri(replace(line, name="SOCIALPROFILE", params=params)) or []
    text = user or _who(value)
    return [replace(line, name="SOCIALPROFILE", value=escape(text), params={**params, "value": ["text"]})]


def _who(value: str) -> str:
    """Return who somebody is of a value that is no URI, or one that only Apple's programs understand."""
    if value.lower().startswith(_APPLES_SCHEME):
        return urllib.parse.unquote(value[len(_APPLES_SCHEME) :])
    return value


# RFC 2426 §3.3.1, RFC 4770 §1
_NO_SERVICE: Final = frozenset(("pref", "home", "work", "other", "internet", "personal", "business", "mobile", "cell"))
_KNOWN_SERVICES: Final = {service.lower(): service for service in SERVICES.values()}


def _impp(line: Line) -> list[Line] | None:
    """Take the service of a messenger by its new name (RFC 9554 §4.9); who is no URI is a profile there."""
    types = [one for value in line.params.get("type", ()) for one in value.split(",")]
    named = line.params.get("service-type") or line.params.get("x-service-type")
    service = _service_in(types) if named is None else None
    if named is None and service is not None:
        named = [_KNOWN_SERVICES.get(service.lower(), service)]
        types.remove(service)
    params = {"service-type": named} if named else {}
    params |= {"type": types} if types else {}
    line = replace(line, params=params | _without(line, "type", "service-type", "x-service-type"))
    value = unescape(line.value).strip()
    if _SCHEME.match(value) and not value.lower().startswith(_APPLES_SCHEME):
        return _uri(line)
    if not value:
        return [line]
    return [replace(line, name="SOCIALPROFILE", value=escape(_who(value)), params={**line.params, "value": ["text"]})]


def _internet_phone(line: Line) -> list[Line] | None:
    """Read Android's and Evolution's X-SIP as what a messenger is."""
    value = unescape(line.value).strip()
    return _uri(replace(line, name="IMPP", value=value if _SCHEME.match(value) else f"sip:{value}")) if value else []


def _messenger(line: Line) -> list[Line]:
    """Read who somebody is on a service that nobody names."""
    value = escape(unescape(line.value))
    return [replace(line, name="SOCIALPROFILE", params={**line.params, "value": ["text"]}, value=value)]


def _page(label: str) -> Rewrite:
    """Take a URL that has a property of its own."""

    def rewrite(line: Line) -> list[Line]:
        group = line.group or line.name.lower()
        made = replace(line, name="URL", group=group)
        return [*(_uri(made) or [made]), Line("X-ABLABEL", label, group=group, number=line.number)]

    return rewrite


def _stamp(line: Line) -> list[Line] | None:
    """Take a time without the count that Evolution writes after it."""
    found = re.fullmatch(r"(.*)\(\d+\)", line.value.strip())
    return [replace(line, value=found[1])] if found else None


def _date_as(name: str) -> Rewrite:
    def rewrite(line: Line) -> list[Line] | None:
        return _date(replace(line, name=name))

    return rewrite


def _relation(name: str) -> dict[str, str]:
    return {"type": name, "value": "text"} if name else {"value": "text"}


def _related_as(label: str) -> Rewrite:
    """Take a relative; for some, as whose work somebody does, RELATED has no type."""
    relation = RELATED.get(label, "")
    params = _relation(relation) | ({} if RELATION_LABELS[relation] == label else {"x-ablabel": label})

    def rewrite(line: Line) -> list[Line]:
        text = escape(unescape(line.value))
        return [_like(line, "RELATED", text, params)] if text else []

    return rewrite


_ANDROID_EVENTS: Final = {"1": "ANNIVERSARY", "3": "BDAY"}
# By the numbers of Android's ContactsContract.CommonDataKinds.Relation; those that are missing have no type.
_ANDROID_RELATIONS: Final = {
    "1": "agent",
    **dict.fromkeys(("2", "13"), "sibling"),
    "3": "child",
    **dict.fromkeys(("4", "10"), "sweetheart"),
    **dict.fromkeys(("5", "8", "9"), "parent"),
    "6": "friend",
    "12": "kin",
    "14": "spouse",
}
_ANDROID_LABELS: Final = {
    "2": "brother",
    "4": "domestic partner",
    "5": "father",
    "7": "manager",
    "8": "mother",
    "11": "referred by",
    "13": "sister",
}


def _android(line: Line) -> list[Line] | None:
    """Read what Android keeps of its own (`vnd.android.cursor.item/nickname;Joe;1;…`)."""
    kind, value, number, label, *_ = [*split_components(line.value), "", "", ""]
    kind = kind.rpartition("/")[2]
    if not value:
        return None
    if kind == "nickname":
        return [_like(line, "NICKNAME", value)]
    if kind == "contact_event" and number in _ANDROID_EVENTS:
        return _date(_like(line, _ANDROID_EVENTS[number], value))
    if kind == "relation":
        made = _like(line, "RELATED", value, _relation(_ANDROID_RELATIONS.get(number, "")))
        label = unescape(label) or _ANDROID_LABELS.get(number, "")
        return [replace(made, params={**made.params, "x-ablabel": [label]}) if label else made]
    return None


def _shown_as(line: Line) -> list[Line]:
    """Read that a card is of a company."""
    return [_like(line, "KIND", "org")] if line.value.upper() == "COMPANY" else [line]


_TABLE: Final[Mapping[str, Rewrite]] = {
    **dict.fromkeys(_FILES, _file),
    **dict.fromkeys(("URL", "SOURCE", "CALURI", "FBURL", "CALADRURI", "CONTACT-URI", "ORG-DIRECTORY"), _uri),
    **dict.fromkeys(("BDAY", "ANNIVERSARY", "DEATHDATE"), _date),
    **{name: _online(service) for name, service in SERVICES.items()},
    "EMAIL": _email,
    "GEO": _geo,
    "IMPP": _impp,
    "REV": _stamp,
    **dict.fromkeys(("X-SOCIALPROFILE", "X-SOCIAL-PROFILE"), _social_profile),
    "X-SIP": _internet_phone,
    "X-MS-IMADDRESS": _messenger,
    "X-MS-TEL": _renamed("TEL"),
    "X-EVOLUTION-BLOG-URL": _page("Blog"),
    "X-EVOLUTION-VIDEO-URL": _page("Video"),
    **{name: _date_as(known) for name, known in ALSO_DATES.items()},
    **{name: _related_as(label) for name, label in ALSO_RELATED.items()},
    "X-ADDRESSBOOKSERVER-KIND": _renamed("KIND"),
    "X-ANDROID-CUSTOM": _android,
    "X-ABSHOWAS": _shown_as,
}
