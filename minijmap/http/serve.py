"""The HTTP listener: waitress on one port, in a thread, started once and stopped once.

Owns the socket and the order of stopping: nothing new begins, what runs is finished, then all is closed. Must not
know the application behind it.
"""

import logging
import resource
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress.adjustments import Adjustments

from minijmap.http.arrivals import Arrivals
from minijmap.http.cors import Cors
from minijmap.http.live import Live
from minijmap.http.wire import WireServer
from minijmap.setting_kinds import Address

THREADS = 16
CONNECTIONS = 1000
DESCRIPTORS = 4096
HEADER_OCTETS = 64 * 1024
FINISH_SECONDS = 3.0
"""How long a stop waits for requests that run."""
POLL_SECONDS = 0.01


class HttpServer:
    """A listener that serves one WSGI application."""

    def __init__(
        self, application: Callable[..., Any], address: Address, arrivals: Arrivals, cors: Cors, live: Live
    ) -> None:
        self._application = application
        self._live = live
        self._wanted = address
        self._arrivals = arrivals
        self._cors = cors
        self._server: WireServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Address:
        """Listen and serve; return the address that is bound. Raises OSError when it cannot be."""
        # A full house is answered by waiting, not by a line in the log for each request.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        listener = _bound(self._wanted)
        adjustments = Adjustments(
            sockets=[listener],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_request_lookahead=0,
            asyncore_use_poll=True,
            ident="minijmap",
            max_request_header_size=HEADER_OCTETS,
            # The parser knows the limit of each kind of request; waitress's own must be out of its way.
            max_request_body_size=2**62,
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,
        )
        _allow_descriptors()
        server = WireServer(self._application, listener, adjustments, self._arrivals, self._cors, self._live)
        self._server = server
        self._live.start(server.add_task)
        self._thread = threading.Thread(target=server.run, name="minijmap-http", daemon=True)
        self._thread.start()
        host, port = listener.getsockname()[:2]
        return Address(host, port)

    def stop(self) -> None:
        """Take no more connections, finish the requests that run, and close. Within FINISH_SECONDS and little more."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        self._server = None
        deadline = time.monotonic() + FINISH_SECONDS
        server.draining = True
        server.pull_trigger_with(server.stop_listening)
        self._live.go_away()
        while time.monotonic() < deadline and (
            self._live.busy or any(channel.busy for channel in list(server.active_channels.values()))
        ):
            time.sleep(POLL_SECONDS)
        left = max(deadline - time.monotonic(), 0.1)
        server.task_dispatcher.shutdown(cancel_pending=True, timeout=left)
        server.pull_trigger_with(server.close_connections)
        self._live.stop()
        if server.task_dispatcher.threads:
            threading.Thread(target=_close_later, args=(server,), daemon=True).start()
        else:
            server.pull_trigger_with(server.trigger.close)
            thread.join(1.0)


def _allow_descriptors() -> None:
    """Have the system allow as many open files as there may be connections; many allow 1,024 unless asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _close_later(server: WireServer) -> None:
    """Close the trigger once the last request has ended that outlived the stop.

    It may still pull the trigger: had its pipe been closed, a file that got the same descriptor would be written to.
    """
    dispatcher = server.task_dispatcher
    with dispatcher.lock:
        while dispatcher.threads:
            dispatcher.thread_exit_cv.wait()
    server.pull_trigger_with(server.trigger.close)


def _bound(address: Address) -> socket.socket:
    """Return a socket bound to an address; of several addresses of a name, an IPv4 one first."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `[::]` takes IPv4 as well, as everybody expects of it.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener
