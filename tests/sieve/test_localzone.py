"""The local zone, against zoneinfo as the oracle."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.sieve.host import AloneHost
from minijmap.sieve.localzone import LOCAL
from tests.sieve.trials import PLAIN, Case, outcome


@pytest.fixture(scope="module", autouse=True)
def berlin() -> Iterator[None]:
    """Let the system live in Berlin while these tests run."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    patch.undo()
    time.tzset()


@settings(max_examples=200, deadline=None)
@given(st.datetimes(datetime(1985, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_moment_is_what_the_zone_says(moment: datetime):
    """The local time and its offset are those of the zone's rules, and lead back to the moment."""
    local = moment.astimezone(LOCAL)
    expected = moment.astimezone(ZoneInfo("Europe/Berlin"))

    assert local.isoformat() == expected.isoformat()
    assert local.astimezone(UTC) == moment


def test_the_hour_that_comes_twice():
    """When the clock is put back, both hours have their own offset."""
    first = datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    shown = [(first + timedelta(hours=hour)).astimezone(LOCAL).isoformat() for hour in (0, 1)]

    assert shown == ["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00"]


def test_a_date_in_another_season():
    """A date test in summer about a message of winter has winter's offset."""
    script = 'require ["date", "variables", "fileinto"]; if date :matches "date" "time" "*" { set "t" "${0}"; }'
    script += ' if currentdate :matches "zone" "*" { fileinto "${t} ${0}"; }'
    host = AloneHost(datetime(2026, 7, 1, 12, tzinfo=LOCAL))

    assert outcome(Case("", script, "", PLAIN), host) == "into 09:10:00 +0200"


def test_the_ends_of_the_calendar():
    """A date that no zone can be told of is no date."""
    message = PLAIN.replace(b"Tue, 5 Mar 2024 00:10:00 -0800", b"31 Dec 9999 23:59:00 +0000")
    script = 'require "date"; if date :matches "date" "time" "*" { discard; }'

    assert outcome(Case("", script, "", message), AloneHost(datetime(2026, 7, 1, 12, tzinfo=LOCAL))) == "keep"
