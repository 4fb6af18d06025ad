"""WebSocket frames that are well and that are not (RFC 6455), and how a connection ends."""

import json
import socket
import threading
import time
import zlib

import pytest

from minijmap.jmap import request as requests
from minijmap.push import websocket
from tests.push.listening import ECHO, ask, closed, enable, frame, request, wait_until

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


# Frames


def test_a_message_in_pieces(lively):
    """With pings between the pieces, which are answered at once; a piece may be empty, or half a character."""
    message = request(["Core/echo", {"text": "ä€😀"}, "c"]).replace("\\u00e4\\u20ac\\ud83d\\ude00", "ä€😀").encode()
    assert "😀".encode() in message
    with lively.raw_web_socket() as client:
        client.send(TEXT, b"", fin=False)
        for number, octet in enumerate(message):
            client.send(CONTINUATION, bytes([octet]), fin=False)
            if number % 40 == 0:
                client.send(PING, b"are you there")
                assert client.receive() == (PONG, b"are you there")
        client.send(CONTINUATION, b"")
        opcode, payload = client.receive()
        assert opcode == TEXT
        assert json.loads(payload)["methodResponses"][0][1]["text"] == "ä€😀"


MASKED_BADLY = b"\x81\x02{}"
BAD = [
    ("binary", lambda one: one.send(BINARY, b"{}"), 1003),
    ("binary in pieces", lambda one: one.send(BINARY, b"{", fin=False), 1003),
    ("no UTF-8", lambda one: one.send(TEXT, b'{"a":"\xff"}'), 1007),
    ("half a character", lambda one: one.send(TEXT, '"ä"'.encode()[:2]), 1007),
    ("a surrogate", lambda one: one.send(TEXT, b'"\xed\xa0\x80"'), 1007),
    ("not masked", lambda one: one.socket.sendall(MASKED_BADLY), 1002),
    ("reserved bit", lambda one: one.send(TEXT, b"{}", rsv1=True), 1002),
    ("unknown opcode", lambda one: one.send(3, b"{}"), 1002),
    ("control in pieces", lambda one: one.send(PING, b"", fin=False), 1002),
    ("large control", lambda one: one.send(PING, b"x" * 126), 1002),
    ("piece of nothing", lambda one: one.send(CONTINUATION, b"{}"), 1002),
    ("message in a message", lambda one: [one.send(TEXT, b"{", fin=False), one.send(TEXT, b"}")], 1002),
    ("bad close code", lambda one: one.send(CLOSE, b"\x00\x01"), 1002),
    ("too large", lambda one: one.socket.sendall(b"\x81\xff" + (10_000_001).to_bytes(8, "big")), 1009),
    ("far too large", lambda one: one.socket.sendall(b"\x81\xff" + b"\xff" * 8), 1009),
]


@pytest.mark.parametrize(("send", "code"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
def test_frames_that_are_not_well(lively, send, code):
    """Each ends its connection with its close code (RFC 6455 §7.4.1), and no other."""
    with lively.web_socket() as other, lively.raw_web_socket() as client:
        send(client)
        if code == 1009:
            assert too_large(client)
        assert client.close_code() == code
        assert ask(other, ECHO)["@type"] == "Response"
    lively.settle(0)


def too_large(client):
    """Say whether the next message tells which limit it was (RFC 8887 §4.3.1)."""
    error = json.loads(client.receive()[1])
    return (error["@type"], error["limit"], error["requestId"]) == ("RequestError", "maxSizeRequest", None)


def test_pieces_that_are_too_large_together(lively):
    """The limit is of the whole message."""
    with lively.raw_web_socket() as client:
        client.send(TEXT, b" " * 9_999_999, fin=False)
        client.send(CONTINUATION, b"xx")
        assert too_large(client)
        assert client.close_code() == 1009
    lively.settle(0)


def test_the_largest_message_is_taken(lively):
    """As over HTTP."""
    with lively.raw_web_socket() as client:
        client.send(TEXT, ECHO.encode().ljust(10_000_000))
        assert json.loads(client.receive()[1])["@type"] == "Response"


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_bomb_is_not_inflated(lively, pieces):
    """What is small on the wire and beyond the limit when inflated is refused as too large."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -12)
    octets = deflate.compress(bytes(100_000_000)) + deflate.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert len(octets) < 200_000
    with lively.raw_web_socket("Sec-WebSocket-Extensions: permessage-deflate\r\n") as client:
        assert b"permessage-deflate; server_no_context_takeover; client_no_context_takeover" in client.head
        size = len(octets) // pieces + 1
        with_errors = []
        for number in range(pieces):
            try:
                client.send(
                    TEXT if number == 0 else CONTINUATION,
                    octets[number * size : (number + 1) * size],
                    fin=number == pieces - 1,
                    rsv1=number == 0,
                )
            except OSError as error:
                with_errors.append(error)
        assert with_errors == []
        assert too_large(client)
        assert client.close_code() == 1009


def test_compressed_octets_that_are_none(lively):
    """A protocol error."""
    with lively.raw_web_socket("Sec-WebSocket-Extensions: permessage-deflate\r\n") as client:
        client.send(TEXT, b"\xff\xff\xff\xff", rsv1=True)
        assert client.close_code() == 1002


def test_memory_for_messages_is_bounded(lively, monkeypatch):
    """When all clients together send more than there is room for, one is asked to come back; it is given back."""
    arrivals = lively.arrivals
    monkeypatch.setattr(arrivals, "_most_held", 1_000_000)
    with lively.raw_web_socket() as first, lively.raw_web_socket() as second:
        first.send(TEXT, b" " * 600_000, fin=False)
        wait_until(lambda: arrivals._held >= 600_000)
        second.socket.sendall(b"\x81\xff" + (5_000_000).to_bytes(8, "big") + bytes(4) + b" " * 600_000)
        assert second.close_code() == 1013
        first.send(CONTINUATION, ECHO.encode())
        assert json.loads(first.receive()[1])["@type"] == "Response"
        wait_until(lambda: arrivals._held == 0)
        first.send(TEXT, b" " * 600_000, fin=False)
        wait_until(lambda: arrivals._held >= 600_000)
    wait_until(lambda: arrivals._held == 0)
    lively.settle(0)


# The end


def test_a_client_says_goodbye(lively):
    """Its code comes back; without a code too; and a client that just goes is forgotten."""
    with lively.raw_web_socket() as client:
        client.send(CLOSE, (1000).to_bytes(2, "big") + b"bye")
        assert client.receive() == (CLOSE, b"\x03\xe8bye")
        assert client.receive() is None
    with lively.raw_web_socket() as client:
        client.send(CLOSE)
        assert client.receive() == (CLOSE, b"")
    with lively.raw_web_socket() as client:
        client.send(TEXT, ECHO.encode()[:20], fin=False)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive() is None
    with lively.raw_web_socket():
        lively.settle(1)
    lively.settle(0)


def test_a_client_that_is_gone_without_a_word(lively, monkeypatch):
    """It is asked for a sign of life; one that gives none is given up, one that does stays."""
    monkeypatch.setattr(websocket, "PING_SECONDS", 1.0)
    with lively.web_socket() as alive, lively.raw_web_socket() as dead:
        assert dead.receive() == (PING, b"")
        assert dead.receive() is None
        assert ask(alive, ECHO)["@type"] == "Response"
        assert lively.connections.taken == 1


def test_a_client_that_does_not_read(lively, monkeypatch):
    """Nothing new is taken from it, changes are kept for it; when it takes nothing for long, it is given up."""
    monkeypatch.setattr(websocket, "STALL_SECONDS", 1.0)
    with lively.web_socket() as other, lively.raw_web_socket() as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.send(TEXT, enable().encode())
        slow.send(TEXT, request(["Core/echo", {"text": "x" * 9_000_000}, "c"]).encode())
        connection = next(one for one in lively.connections._open if one._running or one._blocked or one._push)
        wait_until(lambda: connection._blocked)
        waiting = connection.transport.get_write_buffer_size()
        for _ in range(100):
            lively.deliver()
        assert connection.transport.get_write_buffer_size() <= waiting
        assert ask(other, ECHO)["@type"] == "Response"
        lively.settle(1)


def test_a_client_that_reads_slowly_hears_all(lively, monkeypatch):
    """The answer whole, and after it the changes that came meanwhile, together."""
    monkeypatch.setattr(websocket, "STALL_SECONDS", 20.0)
    with lively.raw_web_socket() as slow:
        slow.send(TEXT, enable().encode())
        slow.send(TEXT, request(["Core/echo", {"text": "x" * 9_000_000}, "c"]).encode())
        (connection,) = lively.connections._open
        wait_until(lambda: connection._blocked and connection._push)
        for _ in range(20):
            lively.deliver()
        states = lively.states()
        assert len(slow.receive()[1]) > 9_000_000
        told = {}
        while not states.items() <= told.items():
            told |= json.loads(slow.receive()[1])["changed"][lively.account()]


def test_a_stop_says_goodbye(lively, monkeypatch):
    """What is being answered is finished first."""
    go, inside = threading.Event(), threading.Event()
    answer = requests.answer

    def slow(engine, login, value):
        inside.set()
        assert go.wait(20)
        return answer(engine, login, value)

    monkeypatch.setattr(requests, "answer", slow)
    with lively.web_socket() as busy, lively.web_socket() as idle, lively.raw_web_socket() as deaf:
        busy.send(ECHO)
        assert inside.wait(20)
        stopping = threading.Thread(target=lively.stop)
        begun = time.monotonic()
        stopping.start()
        assert closed(idle) == (1001, "The server stops.")
        go.set()
        assert json.loads(busy.recv(timeout=20))["requestId"] == "R1"
        assert closed(busy)[0] == 1001
        stopping.join()
        assert time.monotonic() - begun < 5
        assert deaf.close_code() == 1001


def test_octets_behind_the_handshake_are_refused(lively):
    """A client has to wait for the answer (RFC 6455 §4.1)."""
    request_head = (
        "GET /jmap/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: jmap\r\nAuthorization: {lively.authorization()}\r\n\r\n"
    )
    with socket.create_connection(lively.address, timeout=20) as connection:
        connection.sendall(request_head.encode() + frame(TEXT, ECHO.encode()))
        answer = b""
        while more := connection.recv(65536):
            answer += more
        assert answer.startswith(b"HTTP/1.1 400 ")
    lively.settle(0)
