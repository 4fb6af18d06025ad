"""The worker that takes messages out of the queue and delivers those for mailboxes here.

Owns when that happens, and when it is tried again; how one is delivered is `delivering`'s. Must not know who submits,
nor how mail leaves this server.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from minijmap.mail import queue, submission
from minijmap.mail.ingest import EMAILS
from minijmap.smtp.recipients import Recipients
from minijmap.store.database import Changes, Database, StoreClosed, Transaction

if TYPE_CHECKING:
    from minijmap.smtp.delivering import Deliverer

LONGEST_WAIT = 60.0
"""Seconds to sleep at most while something is held: a clock may be set, a computer may have slept."""
FIRST_RETRY, LONGEST_RETRY = 60, 3600
"""Seconds after which something that has failed is tried again; each time after twice as long."""
BATCH = 100
STOP_SECONDS = 4.0

_SENDING = frozenset((submission.SUBMISSIONS.type_name, EMAILS.type_name))

log = logging.getLogger(__name__)


class Delivery:
    """The worker. Has a thread of its own from `start` to `stop`; `run_due` does the work, and may be called alone."""

    def __init__(
        self,
        database: Database,
        recipients: Recipients,
        hostname: str,
        clock: Callable[[], float] = time.time,
        *,
        on_outside: Callable[[], None] = lambda: None,
        capturing: bool = False,
    ) -> None:
        """`hostname` is what the trace says; `clock` gives seconds since the epoch, as `time.time` does.

        `on_outside` is called when there is something to be sent outside; with `capturing` nothing ever is.
        """
        self._database = database
        self._recipients = recipients
        self._deliverer: Deliverer | None = None
        self._hostname = hostname
        self._clock = clock
        self._on_outside = on_outside
        self._capturing = capturing
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="minijmap-delivery", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier run has left in the queue."""
        if self._capturing:
            self._database.write(queue.look_again)
        self._thread.start()

    def wake(self) -> None:
        """Look into the queue now. Does not wait."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the message at hand and end."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def hear(self, changes: Changes) -> None:
        """Look into the queue when something may have come into it. Called after each commit; does not wait.

        What is sent has an EmailSubmission that changes; or, if it is an MDN, the Email that it is for (RFC 9007 §2.1).
        """
        if any(not _SENDING.isdisjoint(types) for types in changes.values()):
            self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self.run_due()
                seconds = self._seconds_to_wait()
            except StoreClosed:
                return
            except Exception:
                log.exception("The queue could not be worked on; it is tried again.")
                seconds = FIRST_RETRY
            self._wake.wait(seconds)

    def _seconds_to_wait(self) -> float | None:
        """Return how long there is nothing to do, or None: until somebody submits something."""
        with self._database.read() as reader:
            at = queue.next_due(reader)
        return None if at is None else min(max(at / 1000 - self._clock(), 0), LONGEST_WAIT)

    def run_due(self) -> None:
        """Deliver everything whose time has come."""
        while not self._stopping:
            now = int(self._clock() * 1000)
            with self._database.read() as reader:
                due = queue.due(reader, now, BATCH)
            if not due:
                return
            for key in due:
                if self._stopping:
                    return
                self._try(key, now)

    def _try(self, key: int, now: int) -> None:
        try:
            self._deliver(key, now)
        except StoreClosed:
            raise
        except Exception:
            log.exception("Message q%d could not be delivered; it is tried again later.", key)
            self._database.write(lambda tx: _postpone(tx, key, now))

    def _deliver(self, key: int, now: int) -> None:
        # It has all of Sieve behind it: where nobody gets mail, it is not loaded.
        from minijmap.smtp.delivering import Deliverer

        if self._deliverer is None:
            self._deliverer = Deliverer(
                self._database, self._recipients, self._hostname, self._clock, capturing=self._capturing
            )
        if self._deliverer.deliver(key, now):
            self._on_outside()


def _postpone(tx: Transaction, key: int, now: int) -> None:
    message = queue.load(tx, key, now)
    if message is None or not message.recipients:
        return
    seconds = min(FIRST_RETRY * 2 ** min(message.recipients[0].attempts, 16), LONGEST_RETRY)
    queue.postpone(tx, message.recipients, now + seconds * 1000, "451 4.3.0 Local error in processing")
