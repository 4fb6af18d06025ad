"""The server's own time zone, with its changes over the year (RFC 5260 §4.1: "the local time zone MUST be used").

Holds one tzinfo. `datetime.astimezone()` alone knows the offset of one moment; a date test asks about others.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final


class LocalZone(tzinfo):
    """The zone that the system is set to."""

    def utcoffset(self, moment: datetime | None, /) -> timedelta | None:
        """The offset at a moment of that zone."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None, /) -> timedelta | None:
        """Nobody asks how much of the offset is summer time."""
        del moment
        return None

    def tzname(self, moment: datetime | None, /) -> str | None:
        """The name of the zone at a moment."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: datetime, /) -> datetime:
        """The moment in that zone; the second time that the clock shows an hour has fold 1 (PEP 495)."""
        there = moment.replace(tzinfo=UTC).astimezone()
        first = there.replace(tzinfo=self, fold=0)
        return first if first.utcoffset() == there.utcoffset() else first.replace(fold=1)


LOCAL: Final = LocalZone()
