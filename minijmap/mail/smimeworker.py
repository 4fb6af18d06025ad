"""The worker that finds out what S/MIME signatures are worth, as soon as mail has come (see `smimestatus`).

Owns when that happens: after mail was stored, when a certificate begins or ends to be valid, and once an hour for
trust anchors that have changed. So mail is taken in no slower for being signed, and a client finds the status there.
Where nobody ever gets signed mail, nothing of it is loaded.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from minijmap.mail.smimestatus import Statuses, Store
from minijmap.mail.smimetrust import TrustStore
from minijmap.store.database import Database, StoreClosed

LONGEST_WAIT = 3600.0
SHORTEST_WAIT = 1.0
RETRY_SECONDS = 60.0
STOP_SECONDS = 4.0
DELIVERIES = "EmailDelivery"

log = logging.getLogger(__name__)


class SmimeWorker:
    """The worker. Has a thread of its own from `start` to `stop`; `run_due` does the work, and may be called alone."""

    def __init__(self, database: Database, trust: TrustStore, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since the epoch, as `time.time` does."""
        self._store = Store(database.read, database.write)
        self._statuses = Statuses(trust)
        self._clock = clock
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="minijmap-smime", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier run has left."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is at hand and end."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def hear(self, changes: Mapping[int, Mapping[str, int]]) -> None:
        """Look for new mail when some has come. Called after each commit; does not wait."""
        if any(DELIVERIES in types for types in changes.values()):
            self._wake.set()

    def look(self) -> None:
        """Look for new mail now: another process may have brought some. Does not wait."""
        self._wake.set()

    def run_due(self) -> None:
        """Find every status that is to be found, after a look through mail of before."""
        while not self._stopping and self._statuses.scan(self._store):
            pass
        while not self._stopping and self._statuses.find_due(self._store, int(self._clock() * 1000)):
            pass

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self.run_due()
                seconds = self._seconds_to_wait()
            except StoreClosed:
                return
            except Exception:
                log.exception("S/MIME signatures could not be verified; it is tried again.")
                seconds = RETRY_SECONDS
            self._wake.wait(seconds)

    def _seconds_to_wait(self) -> float:
        """Return after how long a certificate begins or ends to be valid, or an hour."""
        with self._store.read() as reader:
            now = self._clock()
            due = reader.value("SELECT min(due) FROM email_smime WHERE due > ?", (int(now * 1000),))
        if due is None:
            return LONGEST_WAIT
        return float(min(max(due / 1000 - now, SHORTEST_WAIT), LONGEST_WAIT))
