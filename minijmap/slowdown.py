"""Failed sign-ins slow down whoever makes them, and nobody else.

Owns the table of failures by client and name. A pair of client and name is slowed, never an address alone: behind a
proxy, or on the machine itself, everybody has the same one, and a ban of it would lock out the owner. Nothing here
sleeps: the caller is told how long to wait. Must not know how a sign-in works.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

Who = tuple[str, str]
"""The client's address, and the name it tried."""

FREE_FAILURES = 6
"""So many mistakes cost nothing: a person mistypes, a client asks at each of its addresses."""
LONGEST_SECONDS = 60.0
FORGET_SECONDS = 900.0
MOST_ENTRIES = 10_000


@dataclass
class _Failures:
    count: int
    last: float
    hold_until: float


class Slowdown:
    """Failures of each (client, name), the newest last. Safe to use from any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._table: OrderedDict[Who, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, who: Who) -> float:
        """Return how many seconds `who` has to wait before the next attempt; 0 when it may try now."""
        with self._lock:
            found = self._table.get(who)
            # The wall clock may be set back: nobody waits longer than the longest hold for that.
            return 0.0 if found is None else min(max(found.hold_until - self._clock(), 0.0), LONGEST_SECONDS)

    def failed(self, who: Who) -> None:
        """Note a failure: from the seventh on, each doubles the wait."""
        now = self._clock()
        with self._lock:
            found = self._table.pop(who, None)
            if found is None or now - found.last > FORGET_SECONDS:
                found = _Failures(0, now, now)
            found.count += 1
            found.last = now
            doublings = found.count - FREE_FAILURES - 1
            found.hold_until = now if doublings < 0 else now + min(2.0 ** min(doublings, 10), LONGEST_SECONDS)
            self._table[who] = found
            while len(self._table) > MOST_ENTRIES:
                self._table.popitem(last=False)

    def succeeded(self, who: Who) -> None:
        """Forget the failures of `who`."""
        with self._lock:
            self._table.pop(who, None)
