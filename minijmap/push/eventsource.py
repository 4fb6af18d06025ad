"""The event source resource (RFC 8620 §7.3): a stream of `state` and `ping` events, as the EventSource standard has it.

Owns the parameters of its URL and the octets of its events. Must not know who may listen, nor HTTP's head.
"""

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from minijmap.push.connections import UNSENT_OCTETS, Connection, Connections, Told, Visitor
from minijmap.push.states import missed

# RFC 8620 §7.3: no minimum above 30, no maximum below 300.
SHORTEST_PING, LONGEST_PING = 1, 3600
USUAL_PING = 300
"""Seconds between pings for a client that doesn't say."""
MOST_TYPES = 100
LONGEST_TYPE = 255
KERNEL_OCTETS = 32 * 1024
"""How much the kernel keeps for a stream that is not read: what is beyond it counts as unsent."""


class BadParameter(Exception):
    """The URL asks for what there is not. The text is a sentence."""


@dataclass(frozen=True)
class Wanted:
    """What the URL asks for. `types` is None for all; `ping` is in seconds, 0 for never."""

    types: frozenset[str] | None
    close_after_state: bool
    ping: int


def wanted(parameters: Mapping[str, str]) -> Wanted:
    """Read the URL's variables (RFC 8620 §7.3). Raises BadParameter; one that is empty or missing is as usual."""
    close_after = parameters.get("closeafter") or "no"
    if close_after not in {"no", "state"}:
        raise BadParameter("“closeafter” of the URL must be “state” or “no”.")
    ping = parameters.get("ping") or str(USUAL_PING)
    if not ping.isascii() or not ping.isdecimal() or len(ping) > 18:
        raise BadParameter("“ping” of the URL must be a number of seconds, or 0.")
    seconds = int(ping) and min(max(int(ping), SHORTEST_PING), LONGEST_PING)
    return Wanted(_types(parameters.get("types") or "*"), close_after == "state", seconds)


def _types(value: str) -> frozenset[str] | None:
    if value == "*":
        return None
    names = [name.strip() for name in value.split(",", MOST_TYPES)]
    if len(names) > MOST_TYPES or any(not name or len(name) > LONGEST_TYPE for name in names):
        raise BadParameter(
            f"“types” of the URL must be “*” or at most {MOST_TYPES} names of types, with commas between."
        )
    return frozenset(names)


class EventStream(Connection):
    """One client that listens."""

    def __init__(
        self, connections: Connections, visitor: Visitor, wish: Wanted, head: bytes, last_event_id: str | None
    ) -> None:
        """Prepare. `head` is sent first; `last_event_id` is where a client goes on that was here before."""
        super().__init__(connections, visitor)
        self._wish = wish
        self._head = head
        self._last_event_id = last_event_id

    def begin(self) -> None:
        """Send the head, and what was missed since the last time."""
        with contextlib.suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_OCTETS)
        self._write(self._head)
        self._head = b""
        told, self._last_event_id = self._last_event_id, None
        if told:
            states = self.connections.told
            self.changed(Told(missed(told, self.login.accounts, states), states))
        if not self.ending and self._wish.ping:
            self.wake_at(self._next_ping())

    def changed(self, told: Told) -> None:
        """Send a `state` event, whose id is the position."""
        data = told.octets(self.login, self._wish.types)
        if data is None:
            return
        self._write(b"event: state\nid: %b\ndata: %b\n\n" % (told.position(self.login).encode(), data))
        if self._wish.close_after_state:
            self._end()
        elif self._wish.ping:
            self.due = self._next_ping()

    def tick(self, now: float) -> None:  # noqa: ARG002 - the base class's signature
        """Send a `ping` event, which sets no id."""
        if self.ending:
            self.transport.abort()
            return
        self._write(b"event: ping\ndata: %b\n\n" % orjson.dumps({"interval": self._wish.ping}))
        self.wake_at(self._next_ping())

    def data_received(self, data: bytes) -> None:
        """End it: a request behind this one would never be answered."""
        if data.strip():
            self._end()

    def revoked(self) -> None:
        """End: reconnecting, the client will learn that it has to sign in."""
        self._end()

    def go_away(self) -> None:
        """End: the server stops."""
        self._end()

    def _next_ping(self) -> float:
        return self.connections.time() + self._wish.ping

    def _write(self, octets: bytes) -> None:
        if self.ending:
            return
        self.transport.write(octets)
        if self.transport.get_write_buffer_size() > UNSENT_OCTETS:
            # It does not read. When it comes back, its last id tells what it has missed.
            self.ending = True
            self.transport.abort()

    def _end(self) -> None:
        if not self.ending:
            self.ending = True
            self.transport.close()
            self.wake_at(self.connections.end_by())
