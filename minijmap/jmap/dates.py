"""Date and UTCDate: RFC 8620 §1.4 over RFC 3339 §5.6, to and from whole milliseconds since the epoch, UTC.

Holds the conversion and the bounds, years 0001 to 9999 in UTC. It must not know a clock or a time zone's name.

Read more generously than written in one point: a fraction of zero (`.000Z`, what every browser's toISOString gives) is
taken. Fractions finer than a millisecond are cut off.
"""

import re
from datetime import datetime, timedelta

MIN_MILLISECONDS = -62_135_596_800_000
"""0001-01-01T00:00:00Z."""
MAX_MILLISECONDS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z."""

_SHOWN = 60  # Characters of foreign text repeated in a sentence.
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - everything here is UTC, and naive arithmetic is exact
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:)([0-9]{2})(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))",
)


class InvalidDate(ValueError):
    """The text is not a Date or UTCDate, or the moment is outside the years we know; `sentence` says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def parse_utc_date(text: str) -> int:
    """The milliseconds of a UTCDate, such as "2014-10-30T06:12:00Z". Raises InvalidDate."""
    if not text.endswith("Z"):
        raise InvalidDate(f"{text[:_SHOWN]!r} is not a UTCDate: it does not end in 'Z'.")
    return parse_date(text)


def parse_date(text: str) -> int:
    """The milliseconds of a Date, such as "2014-10-30T14:12:00+08:00". Raises InvalidDate."""
    found = _DATE.fullmatch(text)
    if not found:
        raise InvalidDate(f"{text[:_SHOWN]!r} is not a date-time such as '2014-10-30T06:12:00Z'.")
    minute, second, fraction, sign, hours, minutes = found.groups()
    leap = second == "60"
    try:
        moment = datetime.fromisoformat(minute + ("59" if leap else second))
    except ValueError:
        raise InvalidDate(f"{text[:_SHOWN]!r} is a date or a time that does not exist.") from None
    elapsed = moment - _EPOCH
    seconds = elapsed.days * 86_400 + elapsed.seconds + leap
    if sign:
        offset = _offset_seconds(text, hours, minutes)
        seconds += offset if sign == "-" else -offset
    # Before the epoch too, the fraction counts forwards.
    milliseconds = seconds * 1000 + (int(f"{fraction[:3]:0<3}") if fraction else 0)
    if not MIN_MILLISECONDS <= milliseconds <= MAX_MILLISECONDS:
        raise InvalidDate(f"{text[:_SHOWN]!r} is outside the years 0001 to 9999 in UTC.")
    if leap:
        _check_leap_second(text, seconds)
    return milliseconds


def format_utc_date(ms: int) -> str:
    """The UTCDate of `ms` milliseconds, with the fewest digits: none if the fraction is zero (RFC 8620 §1.4).

    Raises InvalidDate outside the years 0001 to 9999.
    """
    if not MIN_MILLISECONDS <= ms <= MAX_MILLISECONDS:
        raise InvalidDate("A moment outside the years 0001 to 9999 has no UTCDate.")
    seconds, fraction = divmod(ms, 1000)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    return f"{text}.{fraction:03d}".rstrip("0") + "Z" if fraction else f"{text}Z"


def _offset_seconds(text: str, hours: str, minutes: str) -> int:
    """The size of a time-offset, whose parts are those of a time of day (RFC 3339 §5.6)."""
    if int(hours) > 23 or int(minutes) > 59:
        raise InvalidDate(f"{text[:_SHOWN]!r} has an offset that does not exist.")
    return int(hours) * 3600 + int(minutes) * 60


def _check_leap_second(text: str, seconds: int) -> None:
    """Take second 60 only where a leap second can be: the end of a month in UTC (RFC 3339 §5.7, appendix D).

    Its time is that of POSIX, in which it is also the first second of the next month; `seconds` is that already.
    """
    after = _EPOCH + timedelta(seconds=seconds)
    if after.day != 1 or after.hour or after.minute or after.second:
        raise InvalidDate(f"{text[:_SHOWN]!r} has a leap second that is not at the end of a month in UTC.")
