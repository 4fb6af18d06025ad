"""JMAP over WebSocket (RFC 8887, RFC 6455): requests, their answers and pushed states over one connection.

Owns the handshake, the messages' way in and out, and how a connection ends; the frames are those of the `websockets`
library, without its own input and output. What a message means is `messages`' and the engine's. Answers are made
elsewhere, by workers: nothing here waits. Must not know HTTP's routes, nor how somebody has signed in. It is imported
when the first client comes: the library is large.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from websockets.exceptions import PayloadTooBig
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from minijmap.jmap.errors import LimitExceeded
from minijmap.push.connections import Connection, Connections, Told, Visitor
from minijmap.push.messages import PushDisable, PushEnable, Reply, push_message, request_error
from minijmap.push.states import merge, missed

if TYPE_CHECKING:
    from minijmap.store.database import Changes

SUBPROTOCOL = Subprotocol("jmap")
PING_SECONDS = 45.0
"""After so long a silence the other side is asked for a sign of life; after as long again it is given up."""
STALL_SECONDS = 30.0
"""A reader that takes nothing of what waits for it for so long is given up."""
COMPRESS_FROM = 1024
"""Smaller messages go as they are."""
COMPRESS_LEVEL = 1
MOST_WAITING = 2
"""Messages being answered, as multiples of the requests that may be: those beyond it are only told that it is full."""
AWAY, UNSUPPORTED, INVALID, POLICY, FULL = 1001, 1003, 1007, 1008, 1013
"""Close codes (RFC 6455 §7.4.1; 1013 from IANA's registry)."""


class Refused(Exception):
    """The handshake can't be made. The text is a sentence; `status` is HTTP's, with headers to go with it."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str]) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers


class Desk(Protocol):
    """What a connection needs of the front door to have its messages answered. Safe to use from any thread."""

    most: int
    """Requests of one user that may be answered at the same time."""

    def take(self, message: bytes, visitor: Visitor, done: Callable[[Reply | None], None]) -> None:
        """Have a message answered by a worker, which calls `done`: with None if the credential is gone."""

    def reserve(self, octets: int) -> bool:
        """Hold so many octets more (or fewer, when negative) of messages in memory; False when there is no room."""


def handshake(headers: Sequence[tuple[str, str]], most_octets: int) -> ServerProtocol:
    """Accept a client's opening handshake (RFC 6455 §4.2): the protocol's first octets to send are the answer.

    `headers` are those that speak of WebSocket, `most_octets` is the size of the largest message taken. Raises Refused.
    """
    # Without context takeover: a client would have 256 kB of ours for as long as it stays.
    deflate = ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=15,
        client_max_window_bits=12,
    )
    protocol = ServerProtocol(extensions=[deflate], subprotocols=[SUBPROTOCOL], max_size=most_octets)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    protocol.receive_data(f"GET / HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
    found = protocol.events_received()
    if not found or not isinstance(found[0], Request):
        raise Refused(400, "The WebSocket handshake can't be read.", {})
    response = protocol.accept(found[0])
    if response.status_code != 101:
        raise _refused(response.status_code, protocol.handshake_exc)
    protocol.send_response(response)
    return protocol


def _refused(status: int, error: Exception | None) -> Refused:
    if status == 426:
        return Refused(426, "This URL is for WebSocket connections alone.", {})
    headers = {"Sec-WebSocket-Version": "13"}  # RFC 6455 §4.2.2
    return Refused(status, f"The WebSocket handshake is not well: {error}.", headers)


class WebSocket(Connection):
    """One client. Lives on the loop."""

    def __init__(self, connections: Connections, visitor: Visitor, desk: Desk, protocol: ServerProtocol) -> None:
        super().__init__(connections, visitor)
        self._desk = desk
        self._protocol = protocol
        deflates = [one for one in protocol.extensions if isinstance(one, PerMessageDeflate)]
        self._window_bits = deflates[0].local_max_window_bits if deflates else 0
        self._message: bytearray | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_octets = 0
        self._running = 0
        self._running_octets = 0
        self._held = 0
        self._number = 0
        self._push: PushEnable | None = None
        self._push_number = 0
        self._unsent: Changes = {}
        self._written = 0
        self._taken = 0
        self._blocked = False
        self._pinged = False
        self._leaving = False

    # From the network

    def begin(self) -> None:
        """Send the handshake's answer."""
        self._flush()
        self.wake_at(self.connections.time() + PING_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Take octets: frames, or parts of them."""
        self._pinged = False
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            self._frame(frame)
        if isinstance(self._protocol.parser_exc, PayloadTooBig) and not self.ending:
            self._too_large()
        self._flush()
        self._account()

    def eof_received(self) -> bool:
        """Hear that nothing more will come; what waits to be sent is sent, then asyncio closes."""
        self._protocol.receive_eof()
        self._flush()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything that is held for the client."""
        self._drop()
        super().connection_lost(exc)
        self._account()

    def pause_writing(self) -> None:
        """Take nothing new from a client that is slow to read what it has asked for."""
        self._blocked = True
        self._taken = self._taken_by_now()
        self.wake_at(self.connections.time() + STALL_SECONDS)
        self._throttle()

    def resume_writing(self) -> None:
        """Go on, first of all with what it was not told meanwhile."""
        self._blocked = False
        self.wake_at(self.connections.time() + PING_SECONDS)
        unsent, self._unsent = self._unsent, {}
        if unsent and not self.ending:
            self.changed(Told(unsent, self.connections.told))
        self._throttle()

    def _frame(self, frame: object) -> None:
        if self.ending or not isinstance(frame, Frame):
            return
        if frame.opcode is Opcode.BINARY:
            # RFC 8887 §4.3.1
            self._fail(UNSUPPORTED, "JMAP's messages are text.")
        elif frame.opcode is Opcode.TEXT:
            self._message = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._message is not None:
            self._message += frame.data
        else:
            return
        if frame.fin and self._message is not None and not self.ending:
            message, self._message = bytes(self._message), None
            try:
                message.decode()
            except UnicodeDecodeError:
                # RFC 6455 §8.1
                self._fail(INVALID, "The message is not UTF-8.")
                return
            self._waiting.append(message)
            self._waiting_octets += len(message)
            self._serve()

    # Answers

    def _serve(self) -> None:
        """Give waiting messages to workers, as many as may be."""
        while self._waiting and not self.ending and not self._leaving and not self._is_full():
            message = self._waiting.popleft()
            self._waiting_octets -= len(message)
            self._running += 1
            self._running_octets += len(message)
            self._number += 1
            self._desk.take(message, self.visitor, _Answering(self, len(message), self._number))
        self._throttle()

    def _is_full(self) -> bool:
        return self._running >= MOST_WAITING * self._desk.most

    def answered(self, octets: int, number: int, reply: Reply | None, frame: bytes) -> None:
        """Take an answer back from a worker; `number` is the message's."""
        self._running -= 1
        self._running_octets -= octets
        if reply is None:
            self.revoked()
        elif not self.ending:
            if isinstance(reply, bytes):
                self._send(frame)
            elif number > self._push_number:
                # Two workers may have had two of these: the later one counts.
                self._push_number = number
                self._set_push(reply)
        self._serve()
        self._account()
        if self._leaving and not self._running:
            self._close(AWAY, "The server stops.")

    def frame_of(self, message: bytes) -> bytes:
        """Return a message as a frame. May be called on any thread: it changes nothing."""
        if not self._window_bits or len(message) < COMPRESS_FROM:
            return Frame(Opcode.TEXT, message).serialize(mask=False)
        # One of its own: without context takeover a message has nothing to do with those before it.
        deflate = PerMessageDeflate(True, True, 15, self._window_bits, {"level": COMPRESS_LEVEL})
        return Frame(Opcode.TEXT, message).serialize(mask=False, extensions=[deflate])

    # Push

    def _set_push(self, wish: PushEnable | PushDisable) -> None:
        self._push = wish if isinstance(wish, PushEnable) else None
        self._unsent = {}
        if isinstance(wish, PushEnable) and wish.push_state is not None:
            states = self.connections.told
            self.changed(Told(missed(wish.push_state, self.login.accounts, states), states))

    def changed(self, told: Told) -> None:
        """Send a StateChange object, or keep it while the client does not read."""
        if self._push is None or self._leaving:
            return
        if self._blocked:
            merge(self._unsent, told.changes)
            return
        found = told.state_change(self.login, self._push.types)
        if found is not None:
            self._send(self.frame_of(push_message(found, told.position(self.login))))

    # The end

    def tick(self, now: float) -> None:
        """Ask for a sign of life, or give up a client that gives none."""
        if self.ending or self._pinged:
            self.transport.abort()
        elif self._blocked:
            before, self._taken = self._taken, self._taken_by_now()
            if self._taken == before:
                self.transport.abort()
            else:
                self.wake_at(now + STALL_SECONDS)
        else:
            self._pinged = True
            self._protocol.send_ping(b"")
            self._flush()
            self.wake_at(now + PING_SECONDS)

    def revoked(self) -> None:
        """End: who signed in with a credential that is gone has to sign in anew (RFC 8887 §4.2)."""
        self._close(POLICY, "The credentials are not valid any more.")

    def go_away(self) -> None:
        """End, when what is being answered has been."""
        self._leaving = True
        if not self._running:
            self._close(AWAY, "The server stops.")

    def _close(self, code: int, reason: str) -> None:
        if not self.ending:
            self._drop()
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(code, reason)
            self._flush()

    def _fail(self, code: int, reason: str) -> None:
        """End at once: what it has sent can't be taken (RFC 6455 §7.1.7)."""
        if not self.ending:
            self._drop()
            self._protocol.fail(code, reason)

    def _drop(self) -> None:
        """Forget what has come and was not begun, and take nothing more."""
        self.ending = True
        self._message = None
        self._waiting.clear()
        self._waiting_octets = 0

    def _too_large(self) -> None:
        """Say which limit it was, before the close frame that waits to be sent (RFC 8887 §4.3.1)."""
        most = self._protocol.max_message_size
        error = LimitExceeded("maxSizeRequest", f"The request is larger than the {most} octets that are allowed.")
        self._write(self.frame_of(request_error(error.problem(), None)))

    # To the network

    def _send(self, frame: bytes) -> None:
        if self._protocol.state is State.OPEN:
            self._write(frame)

    def _write(self, octets: bytes) -> None:
        if not self.transport.is_closing():
            self._written += len(octets)
            self.transport.write(octets)

    def _taken_by_now(self) -> int:
        """Return how many octets the other side, or its kernel and ours, have taken since the beginning."""
        return self._written - self.transport.get_write_buffer_size()

    def _flush(self) -> None:
        """Send what the protocol has to say; an empty piece is the end of our half."""
        for octets in self._protocol.data_to_send():
            if octets:
                self._write(octets)
            elif not self.transport.is_closing():
                with contextlib.suppress(OSError):  # the other side is gone
                    self.transport.write_eof()
        if self._protocol.close_expected() and not self.transport.is_closing():
            self._drop()
            # What still comes is read and dropped: closed at once, TCP would take back what was said last.
            self.transport.resume_reading()
            self.wake_at(self.connections.end_by())

    def _throttle(self) -> None:
        """Read on, or not."""
        if self.ending or self.transport.is_closing():
            return
        if self._blocked or self._waiting:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _account(self) -> None:
        """Reserve memory for what has been received and not been answered; without any, the client has to come back."""
        held = self._waiting_octets + len(self._message or b"") + self._running_octets
        if not self.ending:
            held += len(self._protocol.reader.buffer)
        more, self._held = held - self._held, held
        if more and not self._desk.reserve(more):
            self._held -= more
            self._fail(FULL, "Too much is being sent to the server at this moment.")
            self._flush()


@dataclass
class _Answering:
    """Brings an answer from its worker to the loop."""

    connection: WebSocket
    octets: int
    number: int

    def __call__(self, reply: Reply | None) -> None:
        frame = self.connection.frame_of(reply) if isinstance(reply, bytes) else b""
        self.connection.connections.call(self.connection.answered, self.octets, self.number, reply, frame)
