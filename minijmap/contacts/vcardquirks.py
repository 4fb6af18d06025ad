"""vCard 2.1 and 3.0, and the ways of Apple, Google and others, made those of vCard 4.0 before a card is read.

Each row of the table takes a property and returns lines of vCard 4.0 that say the same, or None to leave it as it is.
What needs several lines to be understood comes afterwards, group by group. Must not know JSContact.
"""

import base64
import binascii
import re
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from minijmap.contacts.media import IMAGES, sniff
from minijmap.contacts.vcardlines import Line, escape, split_components, texts, unescape

Rewrite = Callable[[Line], list[Line] | None]

_HOST: Final = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}(?::\d+)?(?:[/?#].*)?")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_URI_SAFE: Final = ":/?#[]@!$&'()*+,;=-._~%"
_APPLE_LABEL: Final = re.compile(r"_\$!<(.*)>!\$_")
_SNIFFED: Final = 1368
"""Characters of base64 in which a file's type can be seen."""

# What a TYPE of 3.0 says a file is.
_MEDIA_TYPES: Final = {
    **{name: f"image/{name}" for name in ("jpeg", "png", "gif", "webp", "heic", "avif", "tiff", "bmp")},
    "jpg": "image/jpeg",
    "svg": "image/svg+xml",
    "wave": "audio/wav",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "basic": "audio/basic",
    "aiff": "audio/aiff",
    "ogg": "audio/ogg",
    "pcm": "audio/pcm",
    "pgp": "application/pgp-keys",
    "x509": "application/pkix-cert",
}
_FILES: Final = {"PHOTO": "photo", "LOGO": "logo", "SOUND": "sound", "KEY": "key"}
_TYPES: Final = {"mobile": "cell", "main": "main-number"}


def modernized(lines: Iterable[Line]) -> list[Line]:
    """Return the lines as vCard 4.0 has them. The lines given stay as they are."""
    result: list[Line] = []
    special = False
    for line in lines:
        if line.name in _GROUPED or line.group:
            special = True
        rewrite = _TABLE.get(line.name)
        made = rewrite(line) if rewrite is not None else None
        for one in [line] if made is None else made:
            result += [_common(one) if one.params else one]
    return _together(result) if special else result


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
    types = [one for one in line.types() if one not in _MEDIA_TYPES]
    media_type = next((_MEDIA_TYPES[one] for one in line.types() if one in _MEDIA_TYPES), None)
    encoding = (line.first("encoding") or "").lower()
    if not line.value.strip():
        return []
    if encoding not in ("b", "base64"):
        return _linked_file(line, types, media_type)
    text = re.sub(r"\\.|\s", "", line.value)
    try:
        head = base64.b64decode(text[:_SNIFFED] + "=" * (-len(text[:_SNIFFED]) % 4))
        binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
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


def _linked_file(line: Line, types: list[str], media_type: str | None) -> list[Line] | None:
    if media_type is None or (line.first("value") or "uri").lower() not in ("uri", "url"):
        return _uri(line)
    params = _without(line, "type", "value")
    if types:
        params["type"] = types
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
    value = unescape(line.value).strip().removeprefix("mailto:")
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
    if omitted and value.startswith(omitted):
        value = "--" + value[len(omitted) :].lstrip("-")
    found = re.fullmatch(r"(\d{4}-?\d\d-?\d\d)T00:?00:?00(?:\.0+)?", value)
    return [replace(line, value=found[1] if found else value, params=params)]


# Properties under other names


def _renamed(name: str) -> Rewrite:
    def rewrite(line: Line) -> list[Line]:
        return [replace(line, name=name)]

    return rewrite


def _apple_member(line: Line) -> list[Line]:
    """Take the member of a group as Apple names it: by the uid of the card, which is bare there."""
    return [replace(line, name="MEMBER", value=re.sub(r"(?i)^urn:uuid:", "", unescape(line.value)))]


def _online(service: str) -> Rewrite:
    """Take what a service has a property of its own for: who somebody is there."""

    def rewrite(line: Line) -> list[Line]:
        if not line.value.strip():
            return []
        params = {**line.params, "service-type": [service], "value": ["text"]}
        return [replace(line, name="SOCIALPROFILE", params=params)]

    return rewrite


def _social_profile(line: Line) -> list[Line]:
    """Read Apple's X-SOCIALPROFILE: its type is the service, `x-user` who somebody is there."""
    types = [one for value in line.params.get("type", ()) for one in value.split(",")]
    service = next((one for one in types if one.lower() not in ("pref", "home", "work")), None)
    params = _without(line, "type", "x-user", "x-displayname" if "x-user" not in line.params else "")
    user = line.first("x-user") or line.first("x-displayname")
    kept = [one for one in types if one != service]
    params |= {"type": kept} if kept else {}
    params |= {"service-type": [service]} if service else {}
    value = unescape(line.value).strip()
    if _SCHEME.match(value) and not value.lower().startswith("x-apple:"):
        params |= {"username": [user]} if user else {}
        return _uri(replace(line, name="SOCIALPROFILE", params=params)) or []
    text = user or value.partition(":")[2] or value
    return [replace(line, name="SOCIALPROFILE", value=escape(text), params={**params, "value": ["text"]})]


def _impp(line: Line) -> list[Line] | None:
    """Take the service of a messenger by its new name (RFC 9554 §4.9)."""
    if "x-service-type" in line.params:
        params = {"service-type": line.params["x-service-type"], **_without(line, "x-service-type")}
        line = replace(line, params=params)
    return _uri(line)


def _relation(name: str) -> dict[str, str]:
    return {"type": name, "value": "text"}


def _spouse(line: Line) -> list[Line]:
    return [_like(line, "RELATED", escape(unescape(line.value)), _relation("spouse"))] if line.value else []


_ANDROID_EVENTS: Final = {"1": "ANNIVERSARY", "3": "BDAY"}


def _android(line: Line) -> list[Line] | None:
    """Read what Android keeps of its own (`vnd.android.cursor.item/nickname;Joe;1;…`)."""
    kind, value, *rest = [*split_components(line.value), "", ""]
    kind = kind.rpartition("/")[2]
    if kind == "nickname" and value:
        return [_like(line, "NICKNAME", value)]
    if kind == "contact_event" and rest[0] in _ANDROID_EVENTS:
        return _date(_like(line, _ANDROID_EVENTS[rest[0]], value))
    return None


def _shown_as(line: Line) -> list[Line]:
    """Read that a card is of a company; the line itself is kept for Apple's programs."""
    return [line, _like(line, "KIND", "org")] if line.value.upper() == "COMPANY" else [line]


def _label(line: Line) -> list[Line]:
    """Take a label that Apple's programs would translate by its plain name."""
    found = _APPLE_LABEL.fullmatch(unescape(line.value))
    return [replace(line, value=escape(found[1])) if found else line]


_SERVICES: Final = {
    "X-AIM": "AIM",
    "X-ICQ": "ICQ",
    "X-JABBER": "Jabber",
    "X-MSN": "MSN",
    "X-YAHOO": "Yahoo",
    "X-SKYPE": "Skype",
    "X-SKYPE-USERNAME": "Skype",
    "X-GOOGLE-TALK": "Google Talk",
    "X-GTALK": "Google Talk",
    "X-QQ": "QQ",
    "X-GADUGADU": "Gadu-Gadu",
    "X-GROUPWISE": "GroupWise",
    "X-TWITTER": "Twitter",
    "X-MATRIX": "Matrix",
    "X-TELEGRAM": "Telegram",
    "X-SIGNAL": "Signal",
}
_TABLE: Final[Mapping[str, Rewrite]] = {
    **dict.fromkeys(_FILES, _file),
    **dict.fromkeys(("URL", "SOURCE", "CALURI", "FBURL", "CALADRURI", "CONTACT-URI", "ORG-DIRECTORY"), _uri),
    **dict.fromkeys(("BDAY", "ANNIVERSARY", "DEATHDATE"), _date),
    **{name: _online(service) for name, service in _SERVICES.items()},
    "EMAIL": _email,
    "GEO": _geo,
    "IMPP": _impp,
    "X-SOCIALPROFILE": _social_profile,
    **dict.fromkeys(
        ("X-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY"), lambda line: _date(replace(line, name="ANNIVERSARY"))
    ),
    **dict.fromkeys(("X-SPOUSE", "X-EVOLUTION-SPOUSE"), _spouse),
    "X-ADDRESSBOOKSERVER-KIND": _renamed("KIND"),
    "X-ADDRESSBOOKSERVER-MEMBER": _apple_member,
    "X-ANDROID-CUSTOM": _android,
    "X-ABSHOWAS": _shown_as,
    "X-ABLABEL": _label,
}

# Several lines together

_PHONETIC: Final = {"X-PHONETIC-LAST-NAME": 0, "X-PHONETIC-FIRST-NAME": 1, "X-PHONETIC-MIDDLE-NAME": 2}
_GROUPED: Final = frozenset((*_PHONETIC, "LABEL", "SORT-STRING", "X-ABADR", "X-ABDATE", "X-ABRELATEDNAMES"))
_RELATED: Final = {
    **dict.fromkeys(("mother", "father", "parent"), "parent"),
    **dict.fromkeys(("brother", "sister", "sibling"), "sibling"),
    **dict.fromkeys(("child", "son", "daughter"), "child"),
    **dict.fromkeys(("spouse", "husband", "wife"), "spouse"),
    "friend": "friend",
    "partner": "sweetheart",
    "assistant": "agent",
    "colleague": "colleague",
}


def _together(lines: list[Line]) -> list[Line]:
    by_group: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.group:
            by_group[line.group].append(line)
    for members in by_group.values():
        _country(members, lines)
        _labelled(members, lines)
    _formatted_addresses(lines)
    _pronounced(lines)
    _sorted_by(lines)
    return lines


def _swap(lines: list[Line], old: Line, *new: Line) -> None:
    """Put other lines in the place of one."""
    at = next(index for index, line in enumerate(lines) if line is old)
    lines[at : at + 1] = new


def _country(group: Sequence[Line], lines: list[Line]) -> None:
    """Take the country of an address that Apple says beside it."""
    address = [line for line in group if line.name == "ADR" and "cc" not in line.params]
    country = [line for line in group if line.name == "X-ABADR"]
    if len(address) == len(country) == 1 and re.fullmatch(r"[A-Za-z]{2}", country[0].value):
        params = {**address[0].params, "cc": [country[0].value.upper()]}
        name = "" if len(group) == len(("ADR", "X-ABADR")) else address[0].group
        _swap(lines, address[0], replace(address[0], params=params, group=name))
        _swap(lines, country[0])


def _labelled(group: Sequence[Line], lines: list[Line]) -> None:
    """Read a date or a relative of Apple's, of which the label tells what it is."""
    label = [line for line in group if line.name == "X-ABLABEL"]
    what = [line for line in group if line.name in ("X-ABDATE", "X-ABRELATEDNAMES")]
    if len(label) != 1 or len(what) != 1:
        return
    said, line = unescape(label[0].value), what[0]
    if line.name == "X-ABDATE" and said.lower() == "anniversary":
        made = [replace(one, group="") for one in _date(replace(line, name="ANNIVERSARY")) or ()]
    elif line.name == "X-ABRELATEDNAMES" and said.lower() in _RELATED:
        relation = _RELATED[said.lower()]
        made = [replace(_like(line, "RELATED", line.value, _relation(relation)), group="")]
        if said.lower() != relation:
            made[0].params["x-ablabel"] = [said]
    else:
        return
    _swap(lines, label[0])
    _swap(lines, line, *made)


def _formatted_addresses(lines: list[Line]) -> None:
    """Make LABEL part of the address of the same types (RFC 2426 §3.2.2), or an address of its own."""
    for label in [line for line in lines if line.name == "LABEL"]:
        mine = {one for one in label.types() if one != "pref"}
        address = next(
            (
                line
                for line in lines
                if line.name == "ADR" and "label" not in line.params and {*line.types()} - {"pref"} == mine
            ),
            None,
        )
        text = escape(unescape(label.value))
        if address is None:
            made = replace(label, name="ADR", value=";" * 6, params={**label.params, "label": [text]})
            _swap(lines, label, made)
        else:
            _swap(lines, address, replace(address, params={**address.params, "label": [text]}))
            _swap(lines, label)


def _pronounced(lines: list[Line]) -> None:
    """Make Apple's and Google's phonetic names a pronunciation of N (RFC 9554 §4.6), if their script can be told."""
    sounds = [line for line in lines if line.name in _PHONETIC]
    names = [line for line in lines if line.name == "N"]
    if not sounds or len(names) != 1 or any(line.params for line in sounds):
        return
    script = _script("".join(line.value for line in sounds))
    there = [texts(one) for one in split_components(names[0].value)]
    places = [_PHONETIC[line.name] for line in sounds]
    if script is None or any(place >= len(there) or not there[place][0] for place in places):
        return
    values = {place: line.value for place, line in zip(places, sounds, strict=True)}
    altid = names[0].params.get("altid", ["1"])
    value = ";".join(values.get(place, "") for place in range(5))
    params = {"altid": altid, "phonetic": ["script"], "script": [script]}
    _swap(lines, names[0], replace(names[0], params={**names[0].params, "altid": altid}))
    for line in sounds[1:]:
        _swap(lines, line)
    _swap(lines, sounds[0], Line("N", value, params, number=sounds[0].number))


_SCRIPTS: Final = (("Hira", r"[\u3040-\u309f]"), ("Kana", r"[\u30a0-\u30ff]"), ("Bopo", r"[\u3100-\u312f]"))


def _script(text: str) -> str | None:
    """Return the script of a text by its letters, where that is easily told."""
    found = next((name for name, pattern in _SCRIPTS if re.search(pattern, text)), None)
    return found or ("Latn" if re.search(r"[A-Za-z\u00c0-\u024f]", text) else None)


def _sorted_by(lines: list[Line]) -> None:
    """Make SORT-STRING (RFC 2426 §3.6.5) what the family name is sorted by."""
    said = [line for line in lines if line.name == "SORT-STRING"]
    names = [line for line in lines if line.name == "N" and "phonetic" not in line.params]
    if len(said) != 1 or len(names) != 1 or "sort-as" in names[0].params or "," in said[0].value:
        return
    if split_components(names[0].value)[0]:
        _swap(lines, names[0], replace(names[0], params={**names[0].params, "sort-as": [unescape(said[0].value)]}))
        _swap(lines, said[0])
