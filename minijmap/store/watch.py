"""Noticing that another process has changed the file: `minijmap queue retry` or `user remove`, while the server runs.

SQLite counts the commits of other connections, and asking for the number costs next to nothing. Our own commits count
too; whoever is called has to look for itself. Must not know what has changed.
"""

import logging
import threading
from collections.abc import Callable

from minijmap.store.database import Database, StoreClosed

LOOK_SECONDS = 1.0
STOP_SECONDS = 4.0

log = logging.getLogger(__name__)


class Watch:
    """Calls everybody who has asked for it, within LOOK_SECONDS after each commit and once at the beginning.

    Has a thread from `start` to `stop`, and the calls are made on it, one after the other.
    """

    def __init__(self, database: Database, *calls: Callable[[], None], seconds: float = LOOK_SECONDS) -> None:
        self._database = database
        self._calls = calls
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="minijmap-watch", daemon=True)

    def tell(self, call: Callable[[], None]) -> None:
        """Have somebody called from now on."""
        self._calls = (*self._calls, call)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End. May be called again, and before the beginning."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        version = None
        while not self._stopping.wait(self._seconds):
            try:
                with self._database.read() as reader:
                    now = reader.value("PRAGMA data_version")
            except StoreClosed:
                return
            except Exception:
                log.exception("The file could not be looked at; it is tried again.")
                continue
            if now != version:
                self._call_all()
            version = now

    def _call_all(self) -> None:
        for call in self._calls:
            try:
                call()
            except StoreClosed:
                return
            except Exception:
                # One that fails does not keep the others from being told.
                log.exception("Looking at a changed file failed; it is tried again at the next change.")
