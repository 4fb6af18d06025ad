"""The listener: free ports, taken ports, a stop that finishes what runs, and what it relies on in waitress."""

import inspect
import socket
import threading
import time

import pytest
import waitress.channel
import waitress.parser
import waitress.server
import waitress.task

from minijmap.http.live import Live
from minijmap.http.serve import HttpServer
from minijmap.setting_kinds import Address


def test_port_zero_takes_a_free_one(site):
    """The address that is bound is told."""
    assert site.address.host == "127.0.0.1"
    assert site.address.port > 0


def test_taken_port_is_an_error(site):
    """A second listener on the same port fails at its start, and leaves nothing open."""
    second = HttpServer(lambda *_: [], site.address, site.arrivals, site.server._cors, site.server._live)
    with pytest.raises(OSError, match="in use"):
        second.start()
    second.stop()


def test_stop_refuses_and_closes(site):
    """After a stop nobody listens, idle connections are closed, and a second stop changes nothing."""
    with site.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as idle:
        answer = b""
        while not answer.endswith(b"ok\n"):
            answer += idle.recv(65536)
        site.server.stop()
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(site.address, timeout=5)
    site.server.stop()


def test_stop_finishes_what_runs(site, monkeypatch):
    """A request that has begun is answered in full; one that comes after is not begun."""
    handle, inside, go = site.engine.handle, threading.Event(), threading.Event()

    def slow(login, body):
        inside.set()
        assert go.wait(10)
        return handle(login, body)

    monkeypatch.setattr(site.engine, "handle", slow)
    answers = []
    client = threading.Thread(target=lambda: answers.append(site.api(["Core/echo", {"x": "y" * 100_000}, "c"])))
    client.start()
    assert inside.wait(10)
    stopping = threading.Thread(target=site.server.stop)
    stopping.start()
    while site.server._server is not None:
        threading.Event().wait(0.001)
    go.set()
    stopping.join()
    client.join()
    assert answers[0].status == 200
    assert len(answers[0].json()["methodResponses"][0][1]["x"]) == 100_000


def test_stop_does_not_wait_for_ever(site, monkeypatch):
    """A request that never ends does not keep the server from stopping within its time."""
    inside, go = threading.Event(), threading.Event()

    def endless(*_):
        inside.set()
        go.wait(30)
        return b"{}"

    monkeypatch.setattr(site.engine, "handle", endless)
    monkeypatch.setattr("minijmap.http.serve.FINISH_SECONDS", 0.2)

    def ask():
        with pytest.raises((OSError, EOFError)):
            site.api()

    client = threading.Thread(target=ask)
    client.start()
    assert inside.wait(10)
    begun = time.monotonic()
    site.server.stop()
    assert time.monotonic() - begun < 2
    client.join(10)
    assert not client.is_alive()
    go.set()


def test_ipv6(site):
    """An IPv6 address is bound and told as one."""
    live = Live(site.server._live._states)
    server = HttpServer(lambda *_: [], Address("::1", 0), site.arrivals, site.server._cors, live)
    try:
        address = server.start()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server.stop()
    assert str(address).startswith("[::1]:")


def test_what_waitress_promises():
    """The insides of waitress that `minijmap.http.wire` overrides and reads are there, with the arguments it gives them."""
    channel, parser = waitress.channel.HTTPChannel, waitress.parser.HTTPRequestParser
    for name in ("readable", "handle_close", "received", "service", "requests", "total_outbufs_len", "parser_class"):
        assert hasattr(channel, name) or f"self.{name} =" in inspect.getsource(channel)
    for name in (
        "parse_header",
        "received",
        "close",
        "expect_continue",
        "completed",
        "content_length",
        "body_rcv",
        "error",
    ):
        assert hasattr(parser, name)
    assert list(inspect.signature(channel.__init__).parameters)[1:] == ["server", "sock", "addr", "adj", "map"]
    assert list(inspect.signature(parser.__init__).parameters)[1:] == ["adj"]
    assert {"application", "map", "_start", "_sock", "adj", "sockinfo", "bind_socket"} <= set(
        inspect.signature(waitress.server.TcpWSGIServer.__init__).parameters
    )
    assert "request.close()" in inspect.getsource(channel.service)
    for name in ("get_environment", "set_close_on_finish", "has_body"):
        assert hasattr(waitress.task.WSGITask, name)
    for name in ("control_line", "trailer"):
        assert hasattr(waitress.parser.ChunkedReceiver, name)


def test_the_trigger_is_pulled_before_anything_runs(site, monkeypatch):
    """However busy the loop is with earlier pulls: what closes the trigger must not come before the pull's last step."""
    server = site.server._server
    pull, order, done = server.trigger._physical_pull, [], threading.Event()

    def slow():
        threading.Event().wait(0.05)  # time enough for the loop, which an earlier pull has woken
        order.append("pulled")
        pull()

    def run():
        order.append("run")
        done.set()

    monkeypatch.setattr(server.trigger, "_physical_pull", slow)
    pull()
    server.pull_trigger_with(run)
    assert done.wait(10)
    assert order == ["pulled", "run"]
