"""The handover: what it relies on in waitress and in websockets, and what comes of it when something goes wrong."""

import inspect
import resource
import socket
import subprocess
import sys
import threading
import time

import pytest
import waitress.channel
import waitress.server
import waitress.task
import waitress.trigger
from waitress import wasyncore
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.server import ServerProtocol

from minijmap.http import serve
from minijmap.http.live import ENVIRON_KEY, Start
from tests.push.listening import wait_until


def test_what_waitress_promises():
    """The insides of waitress that the handover overrides, reads and calls are there, and do what it counts on."""
    channel, task, server = waitress.channel.HTTPChannel, waitress.task, waitress.server.TcpWSGIServer
    made = inspect.getsource(channel)
    assert (channel.task_class, server.channel_class) == (task.WSGITask, channel)
    for name in ("requests", "request", "requests_lock", "total_outbufs_len", "outbufs", "connected"):
        assert hasattr(channel, name) or f"self.{name} =" in made
    for name in ("will_close", "close_when_flushed", "service", "readable", "writable", "del_channel", "handle_close"):
        assert hasattr(channel, name)
    # A worker may have a request before `request` is None again: both happen under the lock.
    received = inspect.getsource(channel.received)
    assert "with self.requests_lock:" in received
    assert received.index("self.server.add_task(self)") < received.rindex("self.request = None")
    # A request stays in `requests` while it is answered; as long as it does, nothing more is read.
    assert "len(self.requests) > self.adj.channel_request_lookahead" in inspect.getsource(channel.readable)
    assert "self.requests.pop(0)" in inspect.getsource(channel.service)
    for name in ("get_environment", "write", "finish", "build_response_header", "set_close_on_finish", "status"):
        assert hasattr(task.WSGITask, name)
    service = inspect.getsource(task.WSGITask.service)
    assert service.index("self.execute()") < service.index("self.finish()")
    # What is in the map with neither wish is not polled: the socket can be taken out between two polls.
    assert "if flags:" in inspect.getsource(wasyncore.poll2)
    assert list(inspect.signature(wasyncore.dispatcher.del_channel).parameters) == ["self", "map"]
    assert hasattr(wasyncore.dispatcher, "set_socket")
    trigger = inspect.getsource(waitress.trigger._triggerbase)
    assert "self.lock = threading.Lock()" in trigger
    assert "self.thunks.append(thunk)" in trigger
    assert "self._physical_pull()" in trigger
    assert list(inspect.signature(server.add_task).parameters) == ["self", "task"]
    dispatcher = inspect.getsource(task.ThreadedTaskDispatcher)
    assert "task.service()" in dispatcher
    assert "task.cancel()" in dispatcher


def test_what_websockets_promises():
    """The parts without input and output that are used, beside what is documented: the reader's buffer."""
    protocol = ServerProtocol()
    assert len(protocol.reader.buffer) == 0
    for name in ("receive_data", "receive_eof", "events_received", "data_to_send", "close_expected", "fail"):
        assert callable(getattr(protocol, name))
    assert list(inspect.signature(PerMessageDeflate.__init__).parameters)[1:] == [
        "remote_no_context_takeover",
        "local_no_context_takeover",
        "remote_max_window_bits",
        "local_max_window_bits",
        "compress_settings",
    ]
    assert "extensions" in inspect.signature(Frame.serialize).parameters


def test_websockets_is_imported_with_the_first_web_socket():
    """It is large, and many a server never has one."""
    code = "import sys, minijmap.server, minijmap.http.app, minijmap.http.serve; sys.exit('websockets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _taking_over(site, status, seen):
    """An application that takes the connection over and then answers with this status."""

    def application(environ, start_response):
        start = Start(lambda head: pytest.fail(f"it was made, with {head!r}"), lambda: seen.append("given up"))
        seen.append(environ[ENVIRON_KEY](start))
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    site.server._server.application = application


def test_a_worker_that_is_faster_than_the_loop(site, monkeypatch):
    """The loop gives a request to a worker before it has put it away: that is no request behind the request."""
    seen, begun = [], threading.Event()
    server = site.server._server
    offer, add_task = server.channel_class.task_class._offer, server.add_task

    def offered(task, start):
        begun.set()
        return offer(task, start)

    def add(task):
        add_task(task)
        assert begun.wait(20)
        time.sleep(0.1)  # the worker looks now

    monkeypatch.setattr(server.channel_class.task_class, "_offer", offered)
    _taking_over(site, "500 Internal Server Error", seen)
    monkeypatch.setattr(server, "add_task", add)
    assert site.ask("GET", "/").status == 500
    assert seen == [True, "given up"]


def test_an_answer_that_is_an_error_after_all_is_sent(site):
    """The view has taken the connection over, and what came after it failed."""
    seen = []
    _taking_over(site, "500 Internal Server Error", seen)
    answer = site.ask("GET", "/")
    assert (answer.status, answer.body) == (500, b"ok")
    assert seen == [True, "given up"]


def test_a_client_that_is_gone_before_the_handover(site, monkeypatch):
    """Its place is given back."""
    seen = []
    _taking_over(site, "200 OK", seen)
    server = site.server._server
    hand_over = server.channel_class._hand_over

    def lost(channel):
        channel.handle_close()
        hand_over(channel)

    monkeypatch.setattr(server.channel_class, "_hand_over", lost)
    with site.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        assert client.recv(1) == b""
        wait_until(lambda: seen == [True, "given up"])


def test_nothing_is_taken_over_after_the_end(site):
    """A socket that comes when the loop has stopped is closed."""
    ours, theirs = socket.socketpair()
    seen = []
    site.server.stop()
    site.server._live.begin(ours, Start(lambda _: pytest.fail("it was made"), lambda: seen.append("given up")), b"")
    assert theirs.recv(1) == b""
    assert seen == ["given up"]
    theirs.close()


def test_a_view_needs_our_listener(site):
    """Where no connection can be taken over, the view says so."""
    client = site.server._application.test_client()
    answer = client.get("/jmap/events", headers={"Authorization": site.basic()})
    assert answer.status_code == 400
    assert site.server._live.connections.taken == 0


def test_as_many_descriptors_as_connections(monkeypatch):
    """The soft limit is raised as far as the hard one allows, and never lowered."""
    limits, asked = {"now": (1024, 2048)}, []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: asked.append(both))
    serve._allow_descriptors()
    limits["now"] = (1024, resource.RLIM_INFINITY)
    serve._allow_descriptors()
    limits["now"] = (8192, resource.RLIM_INFINITY)
    serve._allow_descriptors()
    limits["now"] = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    serve._allow_descriptors()
    assert asked == [(2048, 2048), (serve.DESCRIPTORS, resource.RLIM_INFINITY)]
