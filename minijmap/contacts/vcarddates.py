"""Dates of vCard and JSContact (RFC 9555 §2.2.2): timestamps and partial dates, in both directions.

vCard 3.0 and many programs write the extended format; it is read too. Must not know any property.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from minijmap.jmap import dates

_STAMP: Final = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[Tt ](\d\d):?(\d\d):?(\d\d)?(\.\d{1,9}|,\d{1,9})?(?:([Zz])|([+-]\d\d)(?::?(\d\d))?)?"
)
_PARTIAL: Final = re.compile(r"(?:(\d{4})-?(\d\d)-?(\d\d)|(\d{4})-(\d\d)|(\d{4})|--(\d\d)-?(\d\d))")


def utc_of(value: str, *, local: bool = True) -> str | None:
    """Return the UTCDateTime of a timestamp, or None. One without a zone is in UTC if `local`; a date is its start."""
    found = _STAMP.fullmatch(value if "T" in value.upper() else f"{value}T000000Z")
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zulu, hours, minutes = found.groups()
    if not (zulu or hours or local):
        return None
    zone = f"{hours}:{minutes or '00'}" if hours else "Z"
    digits = (fraction or "").replace(",", ".")
    try:
        moment = dates.parse_date(f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{digits}{zone}")
        return dates.format_utc_date(moment)
    except dates.InvalidDate:
        return None


def stamp_of(utc: Any) -> str | None:
    """Return a UTCDateTime as a timestamp (RFC 6350 §4.3.5), which has no fractions."""
    found = re.fullmatch(r"(\d{4})-(\d\d)-(\d\dT\d\d):(\d\d):(\d\d)(?:\.\d+)?Z", utc) if isinstance(utc, str) else None
    return "".join(found.groups()) + "Z" if found else None


def date_of(value: str, scale: str | None) -> dict[str, Any] | None:
    """Return what an anniversary's date is: a PartialDate or a Timestamp; None for anything else.

    `scale` is the calendar of a PartialDate.
    """
    found = _PARTIAL.fullmatch(value)
    if found is not None:
        year = found[1] or found[4] or found[6]
        parts = {"year": year, "month": found[2] or found[5] or found[7], "day": found[3] or found[8]}
        date: dict[str, Any] = {name: int(part) for name, part in parts.items() if part is not None}
        return {**date, "calendarScale": scale.lower()} if scale and scale.lower() != "gregorian" else date
    utc = utc_of(value, local=False) if "T" in value.upper() and scale is None else None
    return None if utc is None else {"@type": "Timestamp", "utc": utc}


def written_date(date: Mapping[str, Any]) -> str | None:
    """Return an anniversary's date as vCard has it; None for one that it can't say."""
    if "utc" in date:
        return stamp_of(date["utc"])
    year, month, day = date.get("year"), date.get("month"), date.get("day")
    if year is not None and not 0 <= year <= 9999:
        return None
    if day is not None and month is not None:
        return f"{'--' if year is None else f'{year:04}'}{month:02}{day:02}"
    if year is None:
        return None
    return f"{year:04}" if month is None else f"{year:04}-{month:02}"
