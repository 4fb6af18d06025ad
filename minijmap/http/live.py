"""The handover: a connection that was accepted for HTTP goes on as one that stays open, on the asyncio loop.

waitress has a thread for each request that is being answered, and would have one for each stream. Instead the view
signs the user in, offers to take the connection over and returns; when its worker is done, waitress's loop lets go of
the socket and the asyncio loop takes it. Owns that way, and how what is open ends with the server. Must not know what
is said over the connections, nor waitress's insides: those are `wire`'s.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from minijmap.aio import LoopThread
from minijmap.http.problems import Problem, TooManyOpen
from minijmap.jmap.session import Login
from minijmap.push.connections import Connection, Connections, TooManyConnections, Visitor
from minijmap.push.states import States

ENVIRON_KEY = "minijmap.takeover"


@dataclass(frozen=True)
class Start:
    """How a connection goes on: `make` is given the head of the answer; else `give_up` is called."""

    make: Callable[[bytes], Connection]
    give_up: Callable[[], None]


class Job(Protocol):
    """Work for one of waitress's workers."""

    def service(self) -> None:
        """Do it."""

    def cancel(self) -> None:
        """Hear that it will not be done: the server has stopped."""


class Live:
    """The connections of one server that stay open. Started once, stopped once."""

    connections: Connections

    def __init__(self, states: States, loop_thread: LoopThread | None = None) -> None:
        """Nothing runs yet. A `loop_thread` that is handed in is the caller's to start and stop."""
        self._states = states
        self._given = loop_thread
        self._thread: LoopThread | None = None
        self._add_task: Callable[[Job], None] = lambda job: job.cancel()

    def start(self, add_task: Callable[[Job], None]) -> None:
        """Begin; `add_task` gives a job to a worker."""
        self._add_task = add_task
        self._thread = self._given or LoopThread("minijmap-live")
        if self._given is None:
            self._thread.start()
        self.connections = Connections(self._states, self._thread.loop)

    def run(self, job: Job) -> None:
        """Have a worker do a job."""
        self._add_task(job)

    def recheck(self) -> None:
        """End what was opened with credentials that are gone. Reads the database."""
        if self._thread is not None:
            self.connections.recheck()

    # For a view

    def admit(self, login: Login, refresh: Callable[[], Login | None]) -> Visitor:
        """Give a place to a login. Raises TooManyOpen."""
        try:
            return self.connections.admit(login, refresh)
        except TooManyConnections as error:
            raise TooManyOpen(str(error)) from None

    def take_over(self, environ: Mapping[str, Any], visitor: Visitor, make: Callable[[bytes], Connection]) -> None:
        """Have the current request's connection go on, once its view has returned. Raises Problem."""
        start = Start(make, partial(self.connections.leave, visitor))
        offer: Callable[[Start], bool] | None = environ.get(ENVIRON_KEY)
        if offer is None or not offer(start):
            start.give_up()
            # What came behind would be lost, or taken for what it is not.
            raise Problem(400, "Nothing may be sent behind this request before it is answered.")

    # For the listener

    def begin(self, connection: socket.socket, start: Start, head: bytes) -> None:
        """Take a socket over from waitress."""
        if self._thread is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                asyncio.run_coroutine_threadsafe(self._accept(connection, start, head), self._thread.loop)
                return
        connection.close()
        start.give_up()

    async def _accept(self, connection: socket.socket, start: Start, head: bytes) -> None:
        going = False
        try:
            with contextlib.suppress(OSError):  # the client is gone
                await asyncio.get_running_loop().connect_accepted_socket(partial(start.make, head), connection)
                going = True
        finally:
            if not going:
                connection.close()
                start.give_up()

    def go_away(self) -> None:
        """Ask everything to end."""
        if self._thread is not None:
            self.connections.call(self.connections.go_away)

    @property
    def busy(self) -> bool:
        """Whether something is still open."""
        return self._thread is not None and self.connections.taken > 0

    def stop(self) -> None:
        """Cut what has not ended, and end the loop unless it is somebody else's."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.connections.close()
        self.connections.call(self.connections.abort)
        if self._given is None:
            thread.stop()
