"""Date and UTCDate: RFC 8620 §1.4 over RFC 3339."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.dates import (
    MAX_MILLISECONDS,
    MIN_MILLISECONDS,
    InvalidDate,
    format_utc_date,
    parse_date,
    parse_utc_date,
)

moments = st.integers(MIN_MILLISECONDS, MAX_MILLISECONDS) | st.integers(-10_000, 10_000)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2014-10-30T06:12:00Z", 1_414_649_520_000),
        ("2014-10-30T06:12:00.5Z", 1_414_649_520_500),
        ("2014-10-30T06:12:00.03Z", 1_414_649_520_030),
        ("2014-10-30T06:12:00.999999999999Z", 1_414_649_520_999),
        ("2014-10-30T06:12:00.000Z", 1_414_649_520_000),
        ("1969-12-31T23:59:59.75Z", -250),
        ("2000-02-29T00:00:00Z", 951_782_400_000),
        ("0001-01-01T00:00:00Z", MIN_MILLISECONDS),
        ("9999-12-31T23:59:59.999Z", MAX_MILLISECONDS),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2016-12-31T23:59:60.5Z", 1_483_228_800_500),
        ("2015-06-30T23:59:60Z", 1_435_708_800_000),
    ],
)
def test_a_utcdate_is_milliseconds(text, ms):
    """Fractions are cut to milliseconds; a leap second is the second after it, as in POSIX."""
    assert parse_utc_date(text) == parse_date(text) == ms


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2014-10-30T14:12:00+08:00", "2014-10-30T06:12:00Z"),
        ("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:60Z"),
        ("2017-01-01T05:29:60+05:30", "2016-12-31T23:59:60Z"),
        ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.87Z"),
        ("2014-10-30T06:12:00+00:00", "2014-10-30T06:12:00Z"),
        ("2014-10-30T06:12:00-00:00", "2014-10-30T06:12:00Z"),
        ("9999-12-31T23:59:59+23:59", "9999-12-31T00:00:59Z"),
    ],
)
def test_a_date_is_moved_to_utc(text, same):
    """Among them the examples of RFC 8620 §1.4 and RFC 3339 §5.8."""
    assert parse_date(text) == parse_utc_date(same)
    with pytest.raises(InvalidDate, match="does not end in 'Z'"):
        parse_utc_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "Z", "2014-10-30", "2014-10-30T06:12Z", "2014-10-30T06:12:00", "2014-10-30t06:12:00Z", "2014-10-30T06:12:00z", "2014-10-30 06:12:00Z", "2014-10-30T06:12:00.Z",
        "2014-10-30T06:12:00,5Z", " 2014-10-30T06:12:00Z", "2014-10-30T06:12:00Z\n", "20141030T061200Z", "2014-10-30T06:12:00+0800", "2014-10-30T06:12:00+08", "2014-W44-4T06:12:00Z",
        "２014-10-30T06:12:00Z", "12014-10-30T06:12:00Z", "-2014-10-30T06:12:00Z", "2014-1-30T06:12:00Z", "2014-10-30T06:12:00ZZ", "2014-10-30T06:12:00+08:00Z", "2014-10-30T06:12:00-08:00:00",
        "0000-01-01T00:00:00Z", "2014-00-30T06:12:00Z", "2014-13-30T06:12:00Z", "2014-10-00T06:12:00Z", "2014-02-29T06:12:00Z", "1900-02-29T06:12:00Z", "2014-10-30T24:00:00Z",
        "2014-10-30T06:60:00Z", "2014-10-30T06:12:61Z", "2014-10-30T06:12:00+24:00", "2014-10-30T06:12:00+08:60",
        "2014-10-30T06:12:60Z", "2014-10-30T23:59:60Z", "2016-12-31T23:59:60+01:00", "2016-12-31T22:59:60Z", "2016-02-30T23:59:60Z",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60Z", "0001-01-01T00:59:60+02:00", "x" * 10_000, "2" * 10_000 + "Z",
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(text):
    """Other forms, dates that do not exist, leap seconds that cannot be, and years nobody can write."""
    with pytest.raises(InvalidDate) as caught:
        parse_date(text)
    assert len(caught.value.sentence) < 200
    with pytest.raises(InvalidDate):
        parse_utc_date(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1500, "1970-01-01T00:00:01.5Z"),
        (10_000, "1970-01-01T00:00:10Z"),
        (MIN_MILLISECONDS, "0001-01-01T00:00:00Z"),
        (MAX_MILLISECONDS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_written_with_the_fewest_digits(ms, text):
    """A fraction of zero is omitted (RFC 8620 §1.4)."""
    assert format_utc_date(ms) == text


@pytest.mark.parametrize("ms", [MIN_MILLISECONDS - 1, MAX_MILLISECONDS + 1, 10**30, -(10**30)])
def test_a_moment_outside_the_years_has_no_utcdate(ms):
    """The bounds of reading are the bounds of writing."""
    with pytest.raises(InvalidDate):
        format_utc_date(ms)


@settings(max_examples=200, deadline=None)
@given(moments)
def test_what_is_written_is_read_back(ms):
    """Every moment survives, in its one form."""
    text = format_utc_date(ms)

    assert parse_utc_date(text) == ms
    assert not text.endswith("0Z") or "." not in text


@settings(max_examples=200, deadline=None)
@given(moments, st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_an_offset_never_moves_the_moment(ms, minutes):
    """The standard library writes the moment in any zone; we read the same moment."""
    try:
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).astimezone(
            timezone(timedelta(minutes=minutes))
        )
    except OverflowError:
        return
    assert parse_date(local.isoformat(timespec="milliseconds")) == ms


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30) | st.text("0123456789-:TZ.+", min_size=15, max_size=30))
def test_any_text_is_a_date_or_refused(text):
    """Nothing but InvalidDate ever comes out."""
    try:
        ms = parse_date(text)
    except InvalidDate:
        return
    assert MIN_MILLISECONDS <= ms <= MAX_MILLISECONDS
