"""Listeners: what 200 event streams and 100 WebSockets cost that wait for changes, and how soon they hear of one.

One user has them all, in a small store of its own. What is timed is held against its purpose: a listener that does not
hear of a change in time raises `RefusedError` instead of giving a number. Must import nothing that only tests have.
"""

import base64
import itertools
import json
import selectors
import socket
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from tests.bench import server
from tests.bench.client import Client, RefusedError
from tests.bench.corpus import Corpus
from tests.bench.mail import fresh
from tests.bench.measure import deliver
from tests.bench.report import HEARD, PER_STREAM, PER_WEB_SOCKET, SLOWER

STREAMS, WEB_SOCKETS = 200, 100
MESSAGES, CHANGES = 50, 8
ROUNDS, REQUESTS = 7, 150  # with listeners, between two without; of each kind of request
PAUSE = 0.1  # seconds between changes, so that each is heard of by itself
PATIENCE = 10.0
AUTHORIZATION = "Basic " + base64.b64encode(f"{server.ADDRESS}:{server.PASSWORD}".encode()).decode()
PUSH_ENABLE = b'{"@type":"WebSocketPushEnable","dataTypes":null}'


def listened() -> dict[str, float]:
    """Every fact about listeners, by the name that the report has for it."""
    without, among = list[dict[str, float]](), list[dict[str, float]]()
    late, per_stream, per_web_socket = list[float](), list[float](), list[float]()
    with fresh(policy="off") as (running, client):
        deliver(running.smtp, server.ADDRESS, [message for message, _ in zip(Corpus(), range(MESSAGES), strict=False)])
        _warm_up(running, client)
        for _ in range(ROUNDS):
            without.append(requests(client))
            with ExitStack() as opened:
                bare = running.memory().now
                streams = [opened.enter_context(event_stream(running.url)) for _ in range(STREAMS)]
                with_streams = running.memory().now
                sockets = [opened.enter_context(web_socket(running.url)) for _ in range(WEB_SOCKETS)]
                with_all = running.memory().now
                among.append(requests(client))
                late.append(statistics.quantiles(changes(client, [*streams, *sockets]), n=20)[-1])
            per_stream.append((with_streams - bare) * 1024 / STREAMS)
            per_web_socket.append((with_all - with_streams) * 1024 / WEB_SOCKETS)
        without.append(requests(client))
    return {
        # The 95th percentile of each round; a round that something else disturbed does not decide.
        HEARD: statistics.median(late) * 1000,
        SLOWER: max(slower([one[kind] for one in without], [one[kind] for one in among]) for kind in among[0]),
        # Later rounds take what the first one has left.
        PER_STREAM: max(per_stream),
        PER_WEB_SOCKET: max(per_web_socket),
    }


def slower(without: Sequence[float], among: Sequence[float]) -> float:
    """How much slower `among` is, each measured between two of `without`: of all rounds, the one in the middle.

    Held against the mean of both its neighbours, a round is not taken in by a machine that gets slower or faster.
    """
    between = [statistics.mean(pair) for pair in itertools.pairwise(without)]
    return statistics.median(one / other for one, other in zip(among, between, strict=True))


def _warm_up(running: server.Server, client: Client) -> None:
    """Have everything read, imported and made that is so once; the memory of the first of its kind is no listener's."""
    with ExitStack() as opened:
        few = [opened.enter_context(one(running.url)) for one in (event_stream, web_socket) for _ in range(5)]
        changes(client, few, 3)
    requests(client)


def requests(client: Client) -> dict[str, float]:
    """The seconds of some requests that read: of each kind the lower quartile, which a busy neighbour moves least."""
    account = {"accountId": client.account_id}
    kinds = {
        "echo": client.request(("Core/echo", {})),
        "list": client.request(("Mailbox/get", account), ("Email/query", account | {"limit": 20})),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(REQUESTS):
        for kind, call in kinds.items():
            started = time.perf_counter()
            client.send(call)
            taken[kind].append(time.perf_counter() - started)
    return {kind: statistics.quantiles(samples, n=4)[0] for kind, samples in taken.items()}


def changes(client: Client, listeners: list[socket.socket], count: int = CHANGES) -> list[float]:
    """Change something so often; the seconds from each request to every listener's having read of it."""
    account = {"accountId": client.account_id}
    queried, got = client.ask(
        ("Email/query", account | {"limit": 1}),
        (
            "Email/get",
            account | {"#ids": {"resultOf": "0", "name": "Email/query", "path": "/ids"}, "properties": ["keywords"]},
        ),
    )
    seen, heard = "$seen" in got["list"][0]["keywords"], list[float]()
    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            selector.register(listener, selectors.EVENT_READ)
        for _ in range(count):
            seen = not seen
            update: dict[str, Any] = {queried["ids"][0]: {"keywords/$seen": seen or None}}
            started = time.perf_counter()
            client.ask(("Email/set", account | {"update": update}))
            waiting = set(listeners)
            while waiting:
                ready = selector.select(PATIENCE)
                now = time.perf_counter()
                if not ready:
                    raise RefusedError(f"{len(waiting)} of {len(listeners)} listeners heard nothing")
                for key, _ in ready:
                    listener = key.fileobj
                    if isinstance(listener, socket.socket):
                        if not listener.recv(65536):
                            raise RefusedError("a listener was closed")
                        waiting.discard(listener)
                        heard.append(now - started)
            time.sleep(PAUSE)
    return heard


def event_stream(url: str) -> socket.socket:
    """An event stream that has begun (RFC 8620 §7.3)."""
    return _opened(url, "/jmap/events?types=*&closeafter=no&ping=0", "", b" 200 ")


def web_socket(url: str) -> socket.socket:
    """A WebSocket that has asked for changes of all types (RFC 8887 §4.3.5.2)."""
    fields = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: jmap\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    )
    connection = _opened(url, "/jmap/ws", fields, b" 101 ")
    echo = json.dumps({"@type": "Request", "using": [], "methodCalls": []}).encode()
    for message in (PUSH_ENABLE, echo):
        # RFC 6455 §5.2: text, masked by zeros.
        connection.sendall(bytes([0x81, 0x80 | len(message)]) + bytes(4) + message)
    if not connection.recv(65536):
        raise RefusedError("a WebSocket was closed")
    return connection


def _opened(url: str, target: str, fields: str, status: bytes) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=PATIENCE)
    connection.sendall(
        f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: {AUTHORIZATION}\r\n{fields}\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536)
        if not more:
            break
        head += more
    if status not in head.partition(b"\r\n")[0]:
        connection.close()
        raise RefusedError(f"{target}: {head[:100]!r}")
    return connection
