"""What we add to waitress: limits while a request is received, and problem documents for unreadable ones.

Owns the subclasses of waitress's server, channel, parser and tasks, and all that relies on their insides (waitress
3.0). Must not know routes, users or Flask.
"""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest

from minijmap.http import problems
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
    """Answers a request through the application, which is told about its arrival."""

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment."""
        environ: dict[str, Any] = super().get_environment()
        environ[ENVIRON_KEY] = self.request.arrival
        return environ

    def set_close_on_finish(self) -> None:
        """Have the connection closed after the answer, if that is needed: waitress would do it for each 204 and 304."""
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

    def __init__(self, server: "WireServer", sock: Any, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002
        self.parser_class = partial(Parser, arrivals=server.arrivals)
        super().__init__(server, sock, addr, adj, map=map)

    def readable(self) -> bool:
        """Say whether more may be read: no request begins while the server stops."""
        return bool(super().readable()) and not self.server.draining

    def handle_close(self) -> None:
        """Close the connection; a request that was coming in is forgotten."""
        coming, self.request = self.request, None
        if coming is not None:
            coming.close()
        super().handle_close()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or its answer is still being sent."""
        return bool(self.requests) or (self.connected and self.total_outbufs_len > 0)


class WireServer(TcpWSGIServer):  # type: ignore[misc]
    """waitress's server, on a socket that is bound already."""

    channel_class = Channel
    draining = False

    def __init__(self, application: Any, sock: Any, adj: Any, arrivals: Arrivals, cors: Cors) -> None:
        self.arrivals = arrivals
        self.cors = cors
        sockinfo = (sock.family, sock.type, sock.proto, sock.getsockname())
        super().__init__(application, {}, True, sock, adj=adj, bind_socket=False, sockinfo=sockinfo)

    def pull_trigger_with(self, thunk: Callable[[], None]) -> None:
        """Run a function on the thread of the loop, soon."""
        self.trigger.pull_trigger(thunk)

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
