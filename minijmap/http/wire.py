"""What we add to waitress: limits while a request is received, problem documents, and letting a connection go.

Owns the subclasses of waitress's server, channel, parser and tasks, and all that relies on their insides (waitress
3.0). Must not know routes, users or Flask.
"""

import contextlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, build_http_date

from minijmap.http import live, problems
from minijmap.http.arrivals import ENVIRON_KEY, Arrival, Arrivals
from minijmap.http.cors import Cors

MOST_DRAINED = 128 * 1024 * 1024
"""A body that is not kept is read all the same, up to here, so that the client comes to read its refusal."""
LONGEST_CONTROL_LINE = 1024
LONGEST_TRAILER = 16 * 1024


class _Nowhere:
    """In place of the buffer of a body that is not kept."""

    def append(self, octets: bytes) -> None:
        """Drop the octets."""

    def __len__(self) -> int:
        return 0

    def getfile(self) -> BytesIO:
        """Return an empty body."""
        return BytesIO()

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Receives one request, under the limits of its kind."""

    arrival: Arrival | None = None
    error: Any = None
    body_rcv: Any = None

    def __init__(self, adj: Any, arrivals: Arrivals) -> None:
        super().__init__(adj)
        self._arrivals = arrivals

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header, and decide whether the body is kept, dropped or not even waited for."""
        super().parse_header(header_plus)
        length = None if self.chunked else self.content_length
        self.arrival = self._arrivals.begin(self.path, self.headers.get("AUTHORIZATION", ""), length)
        if self.body_rcv is None or self.arrival.keep:
            return
        self._drop_body()
        if self.expect_continue or (length is not None and length > MOST_DRAINED):
            self._answer_now()

    def received(self, data: bytes) -> int:
        """Take octets from the connection, and return how many were of this request."""
        consumed: int = super().received(data)
        body, arrival = self.body_rcv, self.arrival
        if self.chunked and body is not None and arrival is not None and not self.error:
            if len(body.control_line) > LONGEST_CONTROL_LINE or len(body.trailer) > LONGEST_TRAILER:
                self.error = BadRequest("A chunk's header or the trailer is too long.")
                self.completed = True
            if len(body) > arrival.limit and arrival.keep:
                arrival.keep = False
                arrival.refusal = self._arrivals.too_large(arrival.kind)
                body.getbuf().close()
                self._drop_body()
                if self.completed:
                    self.headers["CONTENT_LENGTH"] = "0"
            if not arrival.keep and not self.completed and self.body_bytes_received > MOST_DRAINED:
                self._answer_now()
        return consumed

    def close(self) -> None:
        """Let go of the body and of the place among the arrivals."""
        super().close()
        if self.arrival is not None:
            self._arrivals.end(self.arrival)

    def _drop_body(self) -> None:
        self.body_rcv.buf = _Nowhere()

    def _answer_now(self) -> None:
        """Answer although the body has not come: what follows on the connection can't be read as a request any more."""
        self.expect_continue = False
        self.body_rcv = None
        self.content_length = 0
        self.headers["CONTENT_LENGTH"] = "0"
        self.headers["CONNECTION"] = "close"
        self.completed = True


class Task(WSGITask):  # type: ignore[misc]
    """Answers a request through the application, which is told about its arrival, and may take the connection over."""

    _start: live.Start | None = None

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment."""
        environ: dict[str, Any] = super().get_environment()
        environ[ENVIRON_KEY] = self.request.arrival
        environ[live.ENVIRON_KEY] = self._offer
        return environ

    def _offer(self, start: live.Start) -> bool:
        """Take note that the connection is to go on as something else; False when more has come on it already."""
        if self.channel.has_more:
            self.set_close_on_finish()
            return False
        self._start = start
        return True

    @property
    def is_taken_over(self) -> bool:
        """Whether the application's answer has stayed what it was when the connection was taken over."""
        return self._start is not None and self.status.startswith("200 ")

    def write(self, data: bytes) -> None:
        """Send a piece of the answer, unless whoever takes the connection over will."""
        if not self.is_taken_over:
            super().write(data)

    def finish(self) -> None:
        """End the answer, or let the connection go."""
        if self._start is None:
            super().finish()
        elif self.is_taken_over:
            self.channel.let_go(self._start, self._head())
        else:
            self._start.give_up()
            super().finish()

    def _head(self) -> bytes:
        """Return the head of an answer whose end is the connection's (RFC 9112 §6.3)."""
        ident = self.channel.server.adj.ident
        own = [("Server", ident), ("Date", build_http_date(self.start_time)), ("Connection", "close")]
        lines = [f"{name}: {value}" for name, value in [*self.response_headers, *own] if name != "Content-Length"]
        return "\r\n".join([f"HTTP/1.1 {self.status}", *lines, "", ""]).encode("latin-1")

    def build_response_header(self) -> bytes:
        """Return the head of an answer; an application may not say itself what one of status 426 must say."""
        if self.status.startswith("426 "):
            # RFC 9110 §15.5.22
            self.response_headers.append(("Upgrade", "websocket"))
        head: bytes = super().build_response_header()
        return head

    def set_close_on_finish(self) -> None:
        """Have the connection closed after the answer, if that is needed: waitress would do it for each 204 and 304."""
        if self.is_taken_over:
            return
        asked = self.version == "1.0" or self.request.headers.get("CONNECTION", "").lower() == "close"
        if asked or self.has_body:
            super().set_close_on_finish()


class UnreadableTask(ErrorTask):  # type: ignore[misc]
    """Answers a request that could not be read, as every other error is answered: problem JSON, CORS headers."""

    def execute(self) -> None:
        """Write the answer and have the connection closed."""
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        body = problems.encoded(problems.plain(error.code, str(error.body)))
        self.response_headers.append(("Content-Type", problems.MEDIA_TYPE))
        self.response_headers += self.channel.server.cors.headers(self.request.headers.get("ORIGIN"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    task_class = Task
    error_task_class = UnreadableTask

    request: Any = None
    socket: Any
    _going: tuple[live.Start, bytes] | None = None

    def __init__(self, server: "WireServer", sock: Any, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002
        self.parser_class = partial(Parser, arrivals=server.arrivals)
        super().__init__(server, sock, addr, adj, map=map)

    def readable(self) -> bool:
        """Say whether more may be read: no request begins while the server stops."""
        return bool(super().readable()) and not self.server.draining and self._going is None

    def writable(self) -> bool:
        """Say whether there is anything to write, or to close."""
        return bool(super().writable()) and self._going is None

    @property
    def has_more(self) -> bool:
        """Whether octets came behind the request that is being answered, or an answer before it is not sent."""
        # The loop gives a request to a worker before it has put it away itself; it does both under this lock.
        with self.requests_lock:
            return len(self.requests) > 1 or self.request is not None or self.total_outbufs_len > 0

    def let_go(self, start: live.Start, head: bytes) -> None:
        """Have the connection go on elsewhere, once its worker is done with it."""
        self._going = (start, head)

    def service(self) -> None:
        """Answer the first request that waits. On a worker's thread."""
        super().service()
        if self._going is not None:
            self.server.pull_trigger_with(self._hand_over)

    def _hand_over(self) -> None:
        """Let waitress forget the connection. On the thread of the loop, which looks at its sockets in between."""
        going, self._going = self._going, None
        if going is None:
            return
        start, head = going
        connection = self.socket
        if connection is None:
            start.give_up()
            return
        self.del_channel()
        self.socket, self.connected = None, False
        for buffer in self.outbufs:
            with contextlib.suppress(Exception):  # as waitress closes them
                buffer.close()
        self.server.live.begin(connection, start, head)

    def handle_close(self) -> None:
        """Close the connection; a request that was coming in is forgotten."""
        coming, self.request = self.request, None
        if coming is not None:
            coming.close()
        super().handle_close()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or its answer is still being sent."""
        going = self._going is not None
        return going or bool(self.requests) or (self.connected and self.total_outbufs_len > 0)


class WireServer(TcpWSGIServer):  # type: ignore[misc]
    """waitress's server, on a socket that is bound already."""

    channel_class = Channel
    draining = False

    def __init__(
        self, application: Any, sock: Any, adj: Any, arrivals: Arrivals, cors: Cors, open_ones: live.Live
    ) -> None:
        self.arrivals = arrivals
        self.cors = cors
        self.live = open_ones
        sockinfo = (sock.family, sock.type, sock.proto, sock.getsockname())
        super().__init__(application, {}, True, sock, adj=adj, bind_socket=False, sockinfo=sockinfo)

    def pull_trigger_with(self, thunk: Callable[[], None]) -> None:
        """Run a function on the thread of the loop, soon."""
        # In one step: waitress has two, between which an earlier pull may run the function. Were it the one that closes
        # the trigger, the second step would write to whatever file has got the descriptor by then.
        with self.trigger.lock:
            self.trigger.thunks.append(thunk)
            self.trigger._physical_pull()  # noqa: SLF001 - named by the contract test

    def stop_listening(self) -> None:
        """Refuse new connections and close the idle ones. Only on the thread of the loop."""
        wasyncore.dispatcher.close(self)
        for channel in list(self.active_channels.values()):
            if not channel.busy:
                channel.handle_close()

    def close_connections(self) -> None:
        """Close all connections, whatever happens on them. Only on the thread of the loop."""
        for channel in list(self.active_channels.values()):
            channel.handle_close()
