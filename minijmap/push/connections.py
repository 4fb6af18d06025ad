"""Connections that stay open: how many there may be, who among them hears of a change, when each is heard of again.

Owns the limits, one timer for all, and the order in which they end. Everything but `admit`, `recheck` and what a change
calls runs on one asyncio loop. What a connection says is its subclass's: EventSource or WebSocket. Must not know HTTP.
"""

import asyncio
import contextlib
import math
import socket
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import orjson

from minijmap.jmap.session import Access, Login
from minijmap.push.states import States, merge, position, state_change
from minijmap.store.database import Changes

MOST = 1000
MOST_OF_USER = 400
COALESCE_SECONDS = 0.03
"""After some changes were told, those of so long a time are told together."""
TICK_SECONDS = 0.1
"""The timer's resolution: however many connections there are, it is not busy more often."""
CLOSE_SECONDS, LAST_SECONDS = 3.0, 1.0
"""How long the other side may take to see the end, before the connection is cut; and when the server stops."""
UNSENT_OCTETS = 64 * 1024
"""So much may wait to be sent to a reader that is slow."""
KEEP_IDLE_SECONDS, KEEP_PROBE_SECONDS, KEEP_PROBES = 120, 30, 4
"""How TCP itself finds out that a silent peer is gone: for those who want no pings."""
UNACKNOWLEDGED_MILLISECONDS = 90_000


_Wish = tuple[tuple[Access, ...], frozenset[str] | None]


class TooManyConnections(Exception):
    """A user, or all of them together, have as many open connections as there may be. The text is a sentence."""


@dataclass(eq=False)
class Visitor:
    """Whoever holds a place among the connections: the login, and how to ask whether it still is one.

    `refresh` returns the login as it is now, or None once its credential is revoked; it reads the database.
    """

    login: Login
    refresh: Callable[[], Login | None]
    placed: bool = True


class Told:
    """Changes that are told to many at once: what is the same for several is put into words once."""

    def __init__(self, changes: Changes, states: Changes) -> None:
        """`states` are all the states that will have been told when these changes are."""
        self.changes = changes
        self._states = states
        self._objects: dict[_Wish, dict[str, Any] | None] = {}
        self._octets: dict[_Wish, bytes | None] = {}
        self._positions: dict[tuple[Access, ...], str] = {}

    def state_change(self, login: Login, types: frozenset[str] | None) -> dict[str, Any] | None:
        """Return the StateChange object for a login and the types it wants, or None."""
        key = (login.accounts, types)
        if key not in self._objects:
            self._objects[key] = state_change(login.accounts, self.changes, types)
        return self._objects[key]

    def octets(self, login: Login, types: frozenset[str] | None) -> bytes | None:
        """Return the same as JSON."""
        key = (login.accounts, types)
        if key not in self._octets:
            found = self.state_change(login, types)
            self._octets[key] = None if found is None else orjson.dumps(found)
        return self._octets[key]

    def position(self, login: Login) -> str:
        """Return the position of a login that has been told of this."""
        if login.accounts not in self._positions:
            self._positions[login.accounts] = position(login.accounts, self._states)
        return self._positions[login.accounts]


class Connection(asyncio.Protocol, ABC):
    """One open connection. Lives on the loop."""

    transport: asyncio.Transport
    due: float = math.inf
    """When `tick` is to be called, by the loop's clock."""
    ending = False
    """Whether it has been asked to end: it is told nothing more."""

    def __init__(self, connections: "Connections", visitor: Visitor) -> None:
        self.connections = connections
        self.visitor = visitor

    @property
    def login(self) -> Login:
        """Who it is."""
        return self.visitor.login

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(UNSENT_OCTETS)
        _keep_alive(transport.get_extra_info("socket"))
        self.connections.add(self)
        if not self.ending:
            self.begin()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Let go of it."""
        self.connections.remove(self)

    def wake_at(self, due: float) -> None:
        """Have `tick` called at a time of the loop's clock."""
        self.due = due
        self.connections.wake_at(due)

    @abstractmethod
    def begin(self) -> None:
        """Say the first words."""

    @abstractmethod
    def changed(self, told: Told) -> None:
        """Hear that something has changed in an account of the login's."""

    @abstractmethod
    def tick(self, now: float) -> None:
        """Do what was due; set `due` anew."""

    @abstractmethod
    def revoked(self) -> None:
        """End: the credential is gone."""

    @abstractmethod
    def go_away(self) -> None:
        """End: the server stops. What is being answered may be finished."""


class Connections:
    """All open connections of one server."""

    def __init__(
        self,
        states: States,
        loop: asyncio.AbstractEventLoop,
        *,
        most: int = MOST,
        most_of_user: int = MOST_OF_USER,
    ) -> None:
        self._loop = loop
        self._most, self._most_of_user = most, most_of_user
        self._lock = threading.Lock()
        self._placed: Counter[int] = Counter()
        self._open: set[Connection] = set()
        self._by_account: dict[int, set[Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._pending: Changes = {}
        self._waking = False
        self._told_at = -math.inf
        self.closing = False
        self.close = states.listen(self._hear)
        self.told = states.newest()
        """The states that everybody has been told of who wanted to know."""

    # From any thread

    def admit(self, login: Login, refresh: Callable[[], Login | None]) -> Visitor:
        """Give a place to a login: to be left, or handed to a Connection. Raises TooManyConnections."""
        with self._lock:
            if self._placed[login.user.key] >= self._most_of_user:
                raise TooManyConnections(f"You have {self._most_of_user} connections open: close one of them.")
            if self._placed.total() >= self._most:
                raise TooManyConnections(f"There are {self._most} connections open: try again later.")
            self._placed[login.user.key] += 1
        return Visitor(login, refresh)

    def leave(self, visitor: Visitor) -> None:
        """Give a place back; doing it again changes nothing."""
        with self._lock:
            if visitor.placed:
                visitor.placed = False
                self._placed[visitor.login.user.key] -= 1
                if not self._placed[visitor.login.user.key]:
                    del self._placed[visitor.login.user.key]

    @property
    def taken(self) -> int:
        """How many places are taken."""
        with self._lock:
            return self._placed.total()

    def recheck(self) -> None:
        """Ask for every credential whether it still is one: end what it had opened, if not. Reads the database."""
        asked: dict[int, Login | None] = {}
        for connection in list(self._open):
            key = connection.login.credential
            if key not in asked:
                asked[key] = connection.visitor.refresh()
        if asked:
            self.call(self._rechecked, asked)

    def _hear(self, changes: Changes) -> None:
        """Note changes, and have the loop look at them soon. Called by whoever has committed: it is kept short."""
        with self._lock:
            merge(self._pending, changes)
            waking, self._waking = self._waking, True
        if not waking:
            self.call(self._wake)

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Have the loop call something soon."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(function, *arguments)

    # On the loop

    def add(self, connection: Connection) -> None:
        """Take a connection in. One that comes while the server stops is ended at once."""
        self._open.add(connection)
        self._note_accounts(connection)
        if self.closing:
            connection.go_away()

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._forget_accounts(connection)
        self.leave(connection.visitor)

    def time(self) -> float:
        """Return the loop's clock."""
        return self._loop.time()

    def end_by(self) -> float:
        """Return when a connection that ends now is to be cut, by that clock."""
        return self.time() + (LAST_SECONDS if self.closing else CLOSE_SECONDS)

    def wake_at(self, due: float) -> None:
        """Have the timer go off at a time of the loop's clock, or before."""
        due = max(due, self._loop.time() + TICK_SECONDS)
        if due < math.inf and (self._timer is None or due < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._tick)

    def go_away(self) -> None:
        """End all connections, now and later."""
        self.closing = True
        for connection in list(self._open):
            connection.go_away()

    def abort(self) -> None:
        """Cut what has not ended by itself."""
        for connection in list(self._open):
            connection.transport.abort()

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        for connection in [one for one in self._open if one.due <= now]:
            connection.due = math.inf
            connection.tick(now)
        self.wake_at(min((one.due for one in self._open), default=math.inf))

    def _wake(self) -> None:
        """Tell what is pending: at once after a pause, else when it is over."""
        wait = self._told_at + COALESCE_SECONDS - self._loop.time()
        if wait > 0:
            self._loop.call_later(wait, self._tell)
        else:
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            pending, self._pending, self._waking = self._pending, {}, False
        self._told_at = self._loop.time()
        told = Told(merge(self.told, pending), self.told)
        hearers = {one for account in told.changes for one in self._by_account.get(account, ())}
        for connection in hearers:
            if not connection.ending:
                connection.changed(told)

    def _rechecked(self, logins: dict[int, Login | None]) -> None:
        for connection in list(self._open):
            key = connection.login.credential
            if connection.ending or key not in logins:
                continue
            login = logins[key]
            if login is None:
                connection.revoked()
            elif login != connection.login:
                self._change_login(connection, login)

    def _change_login(self, connection: Connection, login: Login) -> None:
        """Go on with the accounts that the login has now; all is news of one that it did not have."""
        before = {access.account for access in connection.login.accounts}
        self._forget_accounts(connection)
        connection.visitor.login = login
        self._note_accounts(connection)
        gained = {
            access.account: self.told[access.account]
            for access in login.accounts
            if access.account not in before and access.account in self.told
        }
        if gained:
            connection.changed(Told(gained, self.told))

    def _note_accounts(self, connection: Connection) -> None:
        for access in connection.login.accounts:
            self._by_account.setdefault(access.account, set()).add(connection)

    def _forget_accounts(self, connection: Connection) -> None:
        for access in connection.login.accounts:
            hearers = self._by_account.get(access.account, set())
            hearers.discard(connection)
            if not hearers:
                self._by_account.pop(access.account, None)


def _keep_alive(connection: socket.socket) -> None:
    """Have TCP find out about a peer that is gone without a word."""
    options = (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", KEEP_IDLE_SECONDS),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", KEEP_PROBE_SECONDS),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", KEEP_PROBES),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", UNACKNOWLEDGED_MILLISECONDS),
    )
    for level, name, value in options:
        number = getattr(socket, name, None)
        if number is not None:
            with contextlib.suppress(OSError):  # not every system has each
                connection.setsockopt(level, number, value)
