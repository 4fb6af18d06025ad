"""The states that clients have heard of, or have yet to (RFC 8620 §7.1): one place for every way to push.

Owns the newest state of every type of every account, in memory, and from it which of the states that somebody announces
is news: of our own commits by the bus, of other processes' by looking into the file. Owns the StateChange object, and
the position: the string that encodes all of a login's states, as EventSource's event id and WebSocket's pushState. Must
not know who listens, nor how a change is sent.
"""

import re
import threading
from collections.abc import Callable, Container, Iterable
from typing import Any

from minijmap.jmap.session import Access
from minijmap.push.bus import Bus, Listener
from minijmap.store.database import Changes, Database

_POSITION = re.compile(r"[0-9]{1,18}:[0-9]{1,18}(?:,[0-9]{1,18}:[0-9]{1,18})*")
LONGEST_POSITION = 10_000
"""Characters of a position that are read; no login has so many accounts."""


class States:
    """What is new. Safe to use from any thread."""

    def __init__(self, database: Database, bus: Bus, types: Container[str]) -> None:
        """Begin to listen to the bus. `types` are the names that clients know; others are never told."""
        self._database = database
        self._bus = bus
        self._types = types
        self._lock = threading.Lock()
        self._newest: Changes = {}
        self._listeners = Bus()
        # In this order: a commit in between is told once too often, not once too seldom.
        self.close = bus.listen(self._hear)
        self._merge(self._stored())

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have a listener told of every new state from now on; call what is returned to end that.

        It is called on the thread that has committed, or that has looked into the file: it must not wait, nor write.
        """
        return self._listeners.listen(listener)

    def newest(self, accounts: Iterable[int] | None = None) -> Changes:
        """Return the states of accounts by their keys, or of all. An account without changes may be missing."""
        with self._lock:
            wanted = list(self._newest) if accounts is None else [one for one in accounts if one in self._newest]
            return {account: dict(self._newest[account]) for account in wanted}

    def look(self) -> None:
        """Look into the file for what another process has changed, and put it on the bus. Reads; waits for nobody."""
        stored = self._stored()
        with self._lock:
            news = _newer(stored, self._newest)
            gone = self._newest.keys() - stored.keys()
            for account in gone:
                del self._newest[account]
        if news:
            self._bus.publish(news)

    def _stored(self) -> Changes:
        states: Changes = {}
        with self._database.read() as reader:
            for account, name, modseq in reader.all("SELECT account, type, modseq FROM state"):
                if name in self._types:
                    states.setdefault(account, {})[name] = modseq
        return states

    def _hear(self, changes: Changes) -> None:
        news = self._merge(
            {
                account: {name: modseq for name, modseq in types.items() if name in self._types}
                for account, types in changes.items()
            }
        )
        if news:
            self._listeners.publish(news)

    def _merge(self, changes: Changes) -> Changes:
        with self._lock:
            return merge(self._newest, changes)


def merge(states: Changes, changes: Changes) -> Changes:
    """Put what is newer in `changes` into `states`, and return it."""
    news = _newer(changes, states)
    for account, types in news.items():
        states.setdefault(account, {}).update(types)
    return news


def _newer(changes: Changes, states: Changes) -> Changes:
    news: Changes = {}
    for account, types in changes.items():
        known = states.get(account, {})
        fresh = {name: modseq for name, modseq in types.items() if modseq > known.get(name, 0)}
        if fresh:
            news[account] = fresh
    return news


def state_change(
    accounts: Iterable[Access], changes: Changes, types: Container[str] | None = None
) -> dict[str, Any] | None:
    """Return the StateChange object (RFC 8620 §7.1) for a login with these accounts; None when it would be empty.

    `types` are the ones asked for, None for all. A state is the string that `Foo/get` returns.
    """
    changed = {}
    for access in accounts:
        states = {
            name: str(modseq)
            for name, modseq in changes.get(access.account, {}).items()
            if types is None or name in types
        }
        if states:
            changed[access.account_id] = states
    return {"@type": "StateChange", "changed": changed} if changed else None


def position(accounts: Iterable[Access], states: Changes) -> str:
    """Return a string that stands for all these states of the accounts.

    An account counts all its changes by one modseq, so that the highest stands for the states of all its types.
    """
    return ",".join(f"{access.account}:{_highest(states, access.account)}" for access in accounts)


def missed(told: str, accounts: Iterable[Access], states: Changes) -> Changes:
    """Return which of the states are newer than a position, for these accounts.

    Whoever comes with a position that we can't have given out, or has got an account since, has missed all of it.
    """
    known: dict[int, int] = {}
    if len(told) <= LONGEST_POSITION and _POSITION.fullmatch(told):
        known = {int(account): int(modseq) for account, _, modseq in (one.partition(":") for one in told.split(","))}
    changes: Changes = {}
    for access in accounts:
        since = known.get(access.account, 0)
        if since > _highest(states, access.account):
            # The file is older than the position: it has been replaced by a copy.
            since = 0
        newer = {name: modseq for name, modseq in states.get(access.account, {}).items() if modseq > since}
        if newer:
            changes[access.account] = newer
    return changes


def _highest(states: Changes, account: int) -> int:
    return max(states.get(account, {}).values(), default=0)
