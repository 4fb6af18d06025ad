"""What empties the queue: the delivery to people here, and the sender, which is there once something goes outside.

Owns in which order they start and stop, and who of them looks when. The sender with all it takes to speak to other
servers is made, and loaded, when the first message is for one of them. Must not know how either works.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from minijmap.config import Settings
from minijmap.mail import queue
from minijmap.smtp.delivery import Delivery
from minijmap.smtp.recipients import Recipients
from minijmap.smtp.resolver import Resolver
from minijmap.store.database import Changes, Database

if TYPE_CHECKING:
    from minijmap.smtp.sender import Sender


class Outgoing:
    """Everything that empties the queue. Has threads from `start` to `stop`."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        resolver: Resolver,
        clock: Callable[[], float],
        *,
        capturing: bool = False,
    ) -> None:
        """`clock` gives seconds since the epoch; with `capturing` nothing leaves the machine."""
        self._settings, self._database, self._resolver, self._clock = settings, database, resolver, clock
        self._capturing = capturing
        self._lock = threading.Lock()
        """Guards everything below."""
        self._sender: Sender | None = None
        self._stopping = False
        self._delivery = Delivery(
            database, Recipients(settings.aliases), settings.hostname, clock, on_outside=self._send, capturing=capturing
        )

    def look(self) -> None:
        """Look into the queue: another process may have written there. Does not wait for what is found."""
        self._delivery.wake()
        self._send()

    def hear(self, changes: Changes) -> None:
        """Look into the queue when submissions have changed. Called after each commit; does not wait."""
        self._delivery.hear(changes)

    def start(self) -> None:
        """Begin, with what an earlier run has left in the queue."""
        self._send()
        self._delivery.start()

    def stop(self) -> None:
        """Stop all of it. May be called again."""
        self._delivery.stop()
        with self._lock:
            self._stopping = True
            sender = self._sender
        if sender is not None:
            sender.stop()

    def _send(self) -> None:
        """Have the sender look into the queue, and have one once there is something for it."""
        with self._lock:
            if self._sender is None and not self._stopping and not self._capturing and self._has_outside():
                from minijmap.smtp.sending import Outside, make_sender

                sender = make_sender(self._settings, self._database, Outside(self._resolver, self._clock))
                sender.start()
                self._sender = sender
            if self._sender is not None:
                self._sender.wake()

    def _has_outside(self) -> bool:
        with self._database.read() as reader:
            return queue.has_outside(reader)
