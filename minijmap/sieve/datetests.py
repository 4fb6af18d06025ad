"""The tests "date" and "currentdate": RFC 5260 §4 and §5.

Owns the reading of a date out of a header field and the parts of a date as strings. Which of several fields is meant
(:index) is `fieldsource`'s; the current moment and the local zone are the host's.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Final

from minijmap.mail.addresses import unfold, without_comments
from minijmap.mail.headers import as_date
from minijmap.sieve.fieldsource import index_of
from minijmap.sieve.headerblock import FIELD_NAME
from minijmap.sieve.matching import MATCH_TAGS, matching
from minijmap.sieve.state import Run
from minijmap.sieve.strings import Text
from minijmap.sieve.table import Argument, Call, Extension, Kind, Row, Sort, Tag, TestFunction

_ZONE: Final = re.compile(r"([+-])(\d{2})(\d{2})", re.ASCII)
_MJD_EPOCH: Final = date(1858, 11, 17).toordinal()


def _zone_text(moment: datetime) -> str:
    """RFC 5260 §4.2: an offset of 0 always has a positive sign."""
    return moment.strftime("%z")[:5] or "+0000"


def _iso8601(moment: datetime) -> str:
    """RFC 3339 §5.6 with "Z" for an offset of zero."""
    text = moment.replace(microsecond=0).isoformat()
    return text.removesuffix("+00:00") + "Z" if not moment.utcoffset() else text


PARTS: Final[dict[str, Callable[[datetime], str]]] = {
    "year": lambda moment: f"{moment.year:04}",
    "month": lambda moment: f"{moment.month:02}",
    "day": lambda moment: f"{moment.day:02}",
    "date": lambda moment: moment.date().isoformat(),
    "julian": lambda moment: str(moment.date().toordinal() - _MJD_EPOCH),
    "hour": lambda moment: f"{moment.hour:02}",
    "minute": lambda moment: f"{moment.minute:02}",
    "second": lambda moment: f"{moment.second:02}",
    "time": lambda moment: moment.strftime("%H:%M:%S"),
    "iso8601": _iso8601,
    "std11": lambda moment: format_datetime(moment.replace(microsecond=0)),
    "zone": _zone_text,
    "weekday": lambda moment: str(moment.isoweekday() % 7),
}
"""What each date-part says of a moment with a zone (RFC 5260 §4.2)."""


def zone_of(text: str) -> timezone | None:
    """The zone that an offset like +0100 names (RFC 5260 §4.1), None when it is none."""
    found = _ZONE.fullmatch(text)
    if not found or int(found[2]) > 23 or int(found[3]) > 59:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)


def date_in(raw: str) -> datetime | None:
    """The date of a field: the whole value, or what follows its last semicolon (RFC 5260 §4)."""
    text = without_comments(unfold(raw[-4_000:]))
    found = as_date(text.rpartition(";")[2]) or as_date(text)
    return None if found is None else datetime.fromisoformat(found)


# --- tests ----------------------------------------------------------------------------------------------------------


def _shift(call: Call) -> Callable[[Run, datetime], datetime | None]:
    """How a moment is moved to the zone that is asked for; None when the calendar ends there."""
    if call.which("zone") == "originalzone":
        return lambda _, moment: moment
    given = call.maybe_text("zone") if call.which("zone") == "zone" else None
    if given is not None and given.constant is not None and zone_of(given.constant) is None:
        raise call.error(f"“{given.constant[:40]}” is no offset like “+0100”", given.position)

    def shift(run: Run, moment: datetime) -> datetime | None:
        zone = run.now.tzinfo if given is None else zone_of(given.of(run))
        if given is not None and zone is None:
            raise run.error(f"“{given.of(run)[:40]}” is no offset like “+0100”")
        try:
            return moment.astimezone(zone)
        except (OverflowError, ValueError, OSError):
            return None

    return shift


def _part(call: Call) -> Callable[[Run], Callable[[datetime], str]]:
    given = call.text("date-part")
    if given.constant is not None and given.constant.lower() not in PARTS:
        raise call.error(f"“{given.constant[:40]}” is no part of a date: there are {', '.join(PARTS)}", given.position)

    def part(run: Run) -> Callable[[datetime], str]:
        name = given.of(run)
        if name.lower() not in PARTS:
            raise run.error(f"“{name[:40]}” is no part of a date")
        return PARTS[name.lower()]

    return part


def _date(call: Call) -> TestFunction:
    shift, part, choose = _shift(call), _part(call), index_of(call)
    match = matching(call, "keys")
    name = call.text("header-name")
    _check_name(call, name)
    indexed = call.has("index")

    def test(run: Run) -> bool:
        raws = run.message.fields.raws(name.of(run))
        # RFC 5260 §4: of several fields of the name the first.
        chosen = choose(raws) if indexed else raws[:1]
        moments = [moment for moment in map(date_in, chosen) if moment is not None]
        shifted = [moved for moment in moments if (moved := shift(run, moment)) is not None]
        return match(run, map(part(run), shifted))

    return test


def _check_name(call: Call, name: Text) -> None:
    if name.constant is not None and not FIELD_NAME.fullmatch(name.constant):
        raise call.error(f"“{name.constant[:40]}” can't be the name of a header field", name.position)


def _currentdate(call: Call) -> TestFunction:
    shift, part = _shift(call), _part(call)
    match = matching(call, "keys")

    def test(run: Run) -> bool:
        moment = shift(run, run.now)
        return match(run, () if moment is None else (part(run)(moment),))

    return test


_KEYS: Final = (Argument("date-part", Kind.STRING), Argument("keys", Kind.STRINGS))
_AT_ZONE: Final = Tag("zone", (Kind.STRING,), group="zone")

EXTENSIONS: Final = (
    Extension(
        "date",
        rows=(
            Row(
                "date",
                Sort.TEST,
                _date,
                (Argument("header-name", Kind.STRING), *_KEYS),
                (*MATCH_TAGS, _AT_ZONE, Tag("originalzone", group="zone")),
            ),
            Row("currentdate", Sort.TEST, _currentdate, _KEYS, (*MATCH_TAGS, _AT_ZONE)),
        ),
    ),
)
