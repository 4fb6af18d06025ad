"""The tests "date" and "currentdate" (RFC 5260), against datetime and email.utils as oracles of the calendar."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.sieve.datetests import PARTS, date_in, zone_of
from minijmap.sieve.host import AloneHost
from tests.sieve.trials import PLAIN, Case, agree, outcome

_R = 'require ["date", "index", "relational", "variables", "fileinto", "editheader", "comparator-i;ascii-numeric"];\n'


def _date(what: str, arguments: str, expect: str, message: bytes = PLAIN, alone: str = "") -> Case:
    return Case(what, f'{_R}if date :matches {arguments} "*" {{ fileinto "x${{0}}"; }}', expect, message, alone)


def _with(date: str) -> bytes:
    return PLAIN.replace(b"Tue, 5 Mar 2024 00:10:00 -0800", date.encode())


CASES = [
    _date("year", ':originalzone "date" "year"', "into x2024"),
    _date("month", ':originalzone "date" "month"', "into x03"),
    _date("day", ':originalzone "date" "day"', "into x05"),
    _date("date", ':originalzone "date" "date"', "into x2024-03-05"),
    _date("julian", ':originalzone "date" "julian"', "into x60374"),
    _date("hour", ':originalzone "date" "hour"', "into x00"),
    _date("minute", ':originalzone "date" "minute"', "into x10"),
    _date("second", ':originalzone "date" "second"', "into x00"),
    _date("time", ':originalzone "date" "time"', "into x00:10:00"),
    _date("iso8601", ':originalzone "date" "iso8601"', "into x2024-03-05T00:10:00-08:00"),
    _date("std11", ':originalzone "date" "std11"', "into xTue, 05 Mar 2024 00:10:00 -0800"),
    _date("zone", ':originalzone "date" "zone"', "into x-0800"),
    _date("weekday", ':originalzone "date" "weekday"', "into x2"),
    _date("part in any case", ':originalzone "DATE" "YeaR"', "into x2024"),
    _date("local zone", '"date" "hour"', "into x08"),
    _date("zone of the local zone", '"date" "zone"', "into x+0000"),
    _date("given zone", ':zone "+0530" "date" "time"', "into x13:40:00"),
    _date("given zone, other day", ':zone "-0900" "date" "date"', "into x2024-03-04"),
    _date("given zone as zone", ':zone "+0530" "date" "zone"', "into x+0530"),
    _date("julian of another zone", ':zone "-0900" "date" "julian"', "into x60373"),
    _date(
        "iso8601 of zero",
        ':zone "+0000" "date" "iso8601"',
        "into x2024-03-05T08:10:00Z",
    ),
    _date("after the last semicolon, first field", ':originalzone "received" "time"', "into x09:10:11"),
    _date(
        "second field", ':index 2 :originalzone "received" "time"', "into x03:10:05", alone="Pigeonhole takes the first"
    ),
    _date("last field", ':index 1 :last :originalzone "received" "time"', "into x03:10:05", alone="as above"),
    _date("no such instance", ':index 3 "received" "time"', "keep"),
    _date("no such field", '"resent-date" "time"', "keep"),
    _date("no date in it", '"subject" "time"', "keep"),
    _date(
        "30th of February",
        '"date" "time"',
        "keep",
        _with("Fri, 30 Feb 2024 00:10:00 -0800"),
    ),
    _date(
        "29th of February", ':originalzone "date" "date"', "into x2024-02-29", _with("Thu, 29 Feb 2024 00:10:00 -0800")
    ),
    _date("unknown zone is UTC", ':originalzone "date" "time"', "into x00:10:00", _with("29 Feb 2024 00:10:00 XYZ")),
    _date(
        "a comment after it",
        ':originalzone "date" "zone"',
        "into x-0800",
        _with("Tue, 5 Mar 2024 00:10:00 -0800 (PST)"),
    ),
    Case("count of one", _R + 'if date :count "eq" "date" "date" "1" { discard; }', "discard"),
    Case(
        "count of none",
        _R + 'if date :count "eq" "subject" "date" "0" { discard; }',
        "discard",
    ),
    Case("value", _R + 'if date :value "ge" :comparator "i;ascii-numeric" "date" "hour" "8" { discard; }', "discard"),
    Case(
        "unknown part",
        _R + 'if date "date" "century" "x" { discard; }',
        "refused",
        alone="Pigeonhole takes it as no match",
    ),
    Case(
        "bad zone", _R + 'if date :zone "UTC" "date" "hour" "x" { discard; }', "refused", alone="Pigeonhole takes UTC"
    ),
    Case(
        "bad zone at run time",
        _R + 'set "z" "UTC"; if date :zone "${z}" "date" "hour" "x" { discard; }',
        "error",
        alone="Pigeonhole takes UTC",
    ),
    Case("both zones", _R + 'if date :zone "+0100" :originalzone "date" "hour" "x" { discard; }', "refused"),
    Case(
        "no field name",
        _R + 'if date "a b" "hour" "x" { discard; }',
        "refused",
        alone="Pigeonhole takes it as no match",
    ),
    Case("currentdate has no original zone", _R + 'if currentdate :originalzone "hour" "x" { discard; }', "refused"),
    Case("currentdate has no index", _R + 'if currentdate :index 1 "hour" "x" { discard; }', "refused"),
    Case("currentdate counts one", _R + 'if currentdate :count "eq" "hour" "1" { discard; }', "discard"),
    Case(
        "of an added field",
        _R + 'addheader "X-Date" "Wed, 6 Mar 2024 00:00:00 +0000"; if date "x-date" "weekday" "3" { discard; }',
        "discard",
    ),
    Case("needs require", 'if currentdate "hour" "12" { discard; }', "refused"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_dates(case: Case):
    """What a part of a date is, is what the RFC says, and what Pigeonhole has."""
    agree(case)


def test_currentdate_is_one_moment_in_the_hosts_zone():
    """The clock is asked once, and its zone is the local one."""
    now = datetime(2026, 12, 31, 23, 30, 15, tzinfo=timezone(timedelta(hours=1)))
    script = _R + 'if currentdate :matches "iso8601" "*" { set "a" "${0}"; } if currentdate :zone "+0200" :matches'
    script += ' "iso8601" "*" { fileinto "${a} ${0}"; }'

    told = outcome(Case("", script, ""), AloneHost(now))

    assert told == "into 2026-12-31T23:30:15+01:00 2027-01-01T00:30:15+02:00"


_MOMENTS = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9990, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
_OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@settings(max_examples=200, deadline=None)
@given(_MOMENTS, _OFFSETS)
def test_a_written_date_is_read_as_it_was_meant(moment: datetime, minutes: int):
    """What email.utils writes is read as the same moment, alone and at the end of a Received field."""
    moment = moment.replace(microsecond=0).astimezone(timezone(timedelta(minutes=minutes)))
    text = format_datetime(moment)

    assert date_in(text) == moment
    assert date_in(f" from a.example (x; y) by b.example;\r\n\t{text} (really)") == moment


@settings(max_examples=200, deadline=None)
@given(_MOMENTS, _OFFSETS)
def test_parts_are_those_of_the_calendar(moment: datetime, minutes: int):
    """Every part is what datetime says of the moment in that zone; std11 is read back by email.utils."""
    moment = moment.replace(microsecond=0).astimezone(timezone(timedelta(minutes=minutes)))
    said = {name: part(moment) for name, part in PARTS.items()}

    assert datetime.fromisoformat(said["iso8601"]) == moment
    assert said["iso8601"].endswith("Z") == (minutes == 0)
    assert f"{said['date']}T{said['time']}" == said["iso8601"][:19]
    assert said["date"] == f"{said['year']}-{said['month']}-{said['day']}"
    assert said["time"] == f"{said['hour']}:{said['minute']}:{said['second']}"
    assert parsedate_to_datetime(said["std11"]) == moment
    assert zone_of(said["zone"]) == moment.tzinfo or minutes == 0
    assert int(said["weekday"]) == int(moment.strftime("%w"))
    assert datetime(1858, 11, 17) + timedelta(days=int(said["julian"])) == datetime.fromisoformat(said["date"])  # noqa: DTZ001


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_anything_else_is_no_date(text: str):
    """No text makes reading fail."""
    found = date_in(text)

    assert found is None or found.tzinfo is not None
