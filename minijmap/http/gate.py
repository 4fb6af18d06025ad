"""How many requests of one user run at once (RFC 8620 §2: maxConcurrentRequests, maxConcurrentUpload).

Owns the counts. Must not know what the requests do.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from minijmap.http.problems import TooMany


class Gate:
    """Lets `most` requests of each user through at a time; `limit` is the limit's name in the Session."""

    def __init__(self, limit: str, most: int) -> None:
        self._limit = limit
        self._most = most
        self._running: Counter[int] = Counter()
        self._lock = threading.Lock()

    @property
    def most(self) -> int:
        """How many may run at once."""
        return self._most

    @contextlib.contextmanager
    def enter(self, user: int) -> Iterator[None]:
        """Count a request while the block runs. Raises TooMany, which is not counted."""
        self.take(user)
        try:
            yield
        finally:
            self.leave(user)

    def take(self, user: int) -> None:
        """Count a request from now until `leave`. Raises TooMany, which is not counted."""
        with self._lock:
            if self._running[user] >= self._most:
                raise too_many(self._limit, self._most)
            self._running[user] += 1

    def leave(self, user: int) -> None:
        """Count one request less."""
        with self._lock:
            self._running[user] -= 1
            if not self._running[user]:
                del self._running[user]


def too_many(limit: str, most: int) -> TooMany:
    """Return the refusal of a request beyond a limit on concurrency."""
    return TooMany(limit, f"More than {most} requests at once: wait until one of them is answered.")
