"""Properties of vCard as jCard has them (RFC 7095 §3.3 to §5): what `vCardProps` and `vCardParams` hold.

A property of which nobody knows the type of its value is kept as it is written. Must not know JSContact.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from minijmap.contacts.vcardlines import (
    Line,
    clean,
    escape,
    join_structured,
    split_components,
    split_values,
    texts,
    unescape,
)

UNKNOWN: Final = "unknown"
DATES: Final = frozenset(("date", "time", "date-time", "date-and-or-time", "timestamp", "utc-offset"))

# RFC 6350 §6, RFC 6474 §2, RFC 6715 §2, RFC 8605 §2, RFC 9554 §3, RFC 9555 §3.2; the last line is vCard 3.0's
DEFAULT_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            *("ADR", "BIRTHPLACE", "CATEGORIES", "CLIENTPIDMAP", "DEATHPLACE", "EMAIL", "EXPERTISE", "FN", "GENDER"),
            *("GRAMGENDER", "HOBBY", "INTEREST", "JSPROP", "KIND", "N", "NICKNAME", "NOTE", "ORG", "PRODID"),
            *("PRONOUNS", "ROLE", "TEL", "TITLE", "TZ", "VERSION", "XML"),
            *("AGENT", "CLASS", "LABEL", "MAILER", "NAME", "PROFILE", "SORT-STRING"),
        ),
        "text",
    ),
    **dict.fromkeys(
        (
            *("CALADRURI", "CALURI", "CONTACT-URI", "FBURL", "GEO", "IMPP", "KEY", "LOGO", "MEMBER", "ORG-DIRECTORY"),
            *("PHOTO", "RELATED", "SOCIALPROFILE", "SOUND", "SOURCE", "UID", "URL"),
        ),
        "uri",
    ),
    **dict.fromkeys(("ANNIVERSARY", "BDAY", "DEATHDATE"), "date-and-or-time"),
    **dict.fromkeys(("CREATED", "REV"), "timestamp"),
    **dict.fromkeys(("LANG", "LANGUAGE"), "language-tag"),
}
STRUCTURED: Final = frozenset(("ADR", "CLIENTPIDMAP", "GENDER", "N", "ORG"))
LISTS: Final = frozenset(("CATEGORIES", "NICKNAME"))
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NAME: Final = re.compile(r"[A-Za-z0-9_/-]+")

_DATE: Final = re.compile(r"(\d{4}|--)(\d\d)(\d\d)")
_ZONE: Final = re.compile(r"([+-]\d\d)(\d\d)")
_TIME: Final = re.compile(r"(\d\d|-)(\d\d)(\d\d)?(Z|[+-]\d\d(?::?\d\d)?)?")


def value_type(line: Line) -> str:
    """Return the type of a line's value (RFC 7095 §3.4.1)."""
    return (line.first("value") or DEFAULT_TYPES.get(line.name, UNKNOWN)).lower()


def of_line(line: Line, *, group: bool = True) -> list[Any]:
    """Return a line as a jCard property; with its group unless that stands for nothing."""
    kind = value_type(line)
    params = params_of(line.params)
    if group and line.group:
        params["group"] = line.group
    return [line.name.lower(), params, kind, *_values(line, kind)]


def params_of(params: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return parameters as jCard has them (RFC 7095 §3.4); the type of the value is not one of them."""
    found: dict[str, Any] = {}
    for name, values in params.items():
        each = [one for value in values for one in value.split(",")] if name == "type" else list(values)
        if name != "value":
            found[name] = each[0] if len(each) == 1 else each
    return found


def _values(line: Line, kind: str) -> list[Any]:
    value = line.value
    if kind == "text":
        if line.name in STRUCTURED:
            parts = [one[0] if len(one) == 1 else one for one in map(texts, split_components(value))]
            return [parts if len(parts) > 1 else parts[0]]
        return texts(value) if line.name in LISTS else [unescape(value)]
    if kind in DATES:
        return [extended(value)]
    if kind == "integer":
        return [int(one) if _INTEGER.fullmatch(one) else one for one in split_values(value)]
    if kind == "boolean" and value.lower() in ("true", "false"):
        return [value.lower() == "true"]
    return [value]


def to_line(jcard: list[Any]) -> Line | None:
    """Return a jCard property as a line, or None where it is nothing that a vCard can say."""
    name, params, kind, *values = jcard
    if not _NAME.fullmatch(name) or not values:
        return None
    line = Line(name.upper(), "")
    set_params(line, params)
    kind = kind.lower()
    line.value = clean(_written(kind, values)).replace("\n", "\\n").replace("\r", "")
    if kind not in (UNKNOWN, DEFAULT_TYPES.get(line.name)):
        line.params = {"value": [kind], **line.params}
    return line


def set_params(line: Line, params: Mapping[str, Any]) -> None:
    """Add jCard's parameters to a line; those that it has already stay as they are, but for TYPE, which grows."""
    for name, value in params.items():
        values = [value] if isinstance(value, str) else [one for one in value if isinstance(one, str)]
        if name == "group":
            if values and re.fullmatch(r"[A-Za-z0-9-]+", values[0]):
                line.group = values[0].lower()
        elif not _NAME.fullmatch(name) or name == "value" or not values:
            continue
        elif name.lower() == "type":
            there = line.params.setdefault("type", [])
            there += [one for one in values if one not in there]
        else:
            line.params.setdefault(name.lower(), values)


def _written(kind: str, values: list[Any]) -> str:
    if kind == "text":
        return ",".join(_written_text(value) for value in values)
    texts_ = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    return ",".join(map(basic, texts_) if kind in DATES else texts_)


def _written_text(value: Any) -> str:
    if isinstance(value, list):
        return join_structured([str(one) for one in part] if isinstance(part, list) else [str(part)] for part in value)
    return escape(str(value))


# Dates (RFC 7095 §3.5.3 to §3.5.7): jCard has the extended format where vCard has the basic one


def extended(value: str) -> str:
    """Return a date, time or offset of vCard as jCard has it; one that is no such thing stays as it is."""
    zone = _ZONE.fullmatch(value)
    if zone:
        return f"{zone[1]}:{zone[2]}"
    date, mark, time = value.partition("T")
    found = _DATE.fullmatch(date)
    date = f"{found[1]}{'' if found[1] == '--' else '-'}{found[2]}-{found[3]}" if found else date
    return f"{date}T{_extended_time(time)}" if mark else date


def _extended_time(time: str) -> str:
    found = _TIME.fullmatch(time)
    if found is None:
        return time
    hour, minute, second, zone = found.groups()
    offset = _ZONE.fullmatch(zone or "")
    clock = f"-{minute}" if hour == "-" else f"{hour}:{minute}"
    return f"{clock}{f':{second}' if second else ''}{f'{offset[1]}:{offset[2]}' if offset else zone or ''}"


def basic(value: str) -> str:
    """Return a date, time or offset of jCard as vCard has it."""
    date, mark, time = value.partition("T")
    found = re.fullmatch(r"(\d{4}|-)-(\d\d)-(\d\d)", date)
    if found:
        date = f"{'--' if found[1] == '-' else found[1]}{found[2]}{found[3]}"
    elif re.fullmatch(r"[+-]\d\d:\d\d", date):
        date = date.replace(":", "")
    return f"{date}T{time.replace(':', '')}" if mark else date
