"""The bus: a commit's changed states, told to whoever listens (RFC 8620 §7.1).

It holds no data and no history, only passes states on: a listener that missed some resynchronises by state. Must not
know what listens.
"""

import logging
import threading
from collections.abc import Callable

from minijmap.store.database import Changes

Listener = Callable[[Changes], None]

log = logging.getLogger(__name__)


class Bus:
    """Passes each commit's changes to every listener, on the thread that committed: a listener must not wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have a listener told of all changes from now on; call what is returned to end that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def leave() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return leave

    def publish(self, changes: Changes) -> None:
        """Tell every listener; one that fails does not keep the others, nor the writer, from going on."""
        for listener in self._listeners:
            try:
                listener(changes)
            except Exception:
                log.exception("A listener for changes failed.")
