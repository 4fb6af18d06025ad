"""JMAP over WebSocket (RFC 8887), by the client of the `websockets` library and by hand."""

import base64
import json
import threading

import pytest
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from minijmap import users
from minijmap.jmap import request as requests
from minijmap.store import accounts
from tests.push.listening import ALICE, BOB, CORE, ECHO, Lively, ask, base64url, closed, enable, request, wait_until

TEXT = 1
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n"


# Requests


def test_the_example_of_the_specification(lively):
    """RFC 8887 §4.4: a request, something that is none, and the end."""
    with lively.web_socket() as client:
        assert client.subprotocol == "jmap"
        answered = ask(client, ECHO)
        assert answered.pop("sessionState")
        assert answered == {
            "@type": "Response",
            "requestId": "R1",
            "methodResponses": [["Core/echo", {"hello": True, "high": 5}, "b3ff"]],
        }
        answered = ask(client, "The quick brown fox jumps\n over the lazy dog.")
        assert (answered["@type"], answered["requestId"]) == ("RequestError", None)
        assert answered["type"] == "urn:ietf:params:jmap:error:notJSON"
    lively.settle(0)


def test_answers_are_those_of_http(lively):
    """With the same session state."""
    calls = ["Mailbox/get", {"accountId": lively.account(), "ids": None}, "0"]
    using = [CORE, "urn:ietf:params:jmap:mail"]
    with lively.web_socket() as client:
        answered = ask(client, {"@type": "Request", "using": using, "methodCalls": [calls]})
    assert answered.pop("@type") == "Response"
    assert answered == lively.api(calls)


def test_requests_are_answered_side_by_side(lively):
    """Each answer has its request's id, in whatever order they come."""
    with lively.web_socket() as client:
        for number in range(12):
            client.send(request(["Core/echo", {"n": number}, "c"], id=str(number)))
        answers = [json.loads(client.recv(timeout=20)) for _ in range(12)]
    assert {one["requestId"]: one["methodResponses"][0][1]["n"] for one in answers} == {str(n): n for n in range(12)}


def test_the_limit_of_concurrency_is_one_for_all_ways(lively, monkeypatch):
    """The count of maxConcurrentRequests is of requests by HTTP and by every WebSocket of the user."""
    go, inside = threading.Event(), threading.Semaphore(0)
    answer = requests.answer

    def slow(engine, login, value):
        if value.get("id") != "quick":
            inside.release()
            assert go.wait(20)
        return answer(engine, login, value)

    monkeypatch.setattr(requests, "answer", slow)
    with lively.web_socket() as first, lively.web_socket() as second, lively.web_socket(BOB) as bob:
        for client, count in ((first, 8), (second, 7)):
            for number in range(count):
                client.send(request(["Core/echo", {}, "c"], id=str(number)))
        for _ in range(15):
            assert inside.acquire(timeout=20)
        assert ask(bob, request(["Core/echo", {}, "c"], id="quick"))["@type"] == "Response"
        held = threading.Thread(target=lambda: lively.api(["Core/echo", {}, "c"]))
        held.start()
        assert inside.acquire(timeout=20)
        refused = ask(first, request(["Core/echo", {}, "c"], id="R17"))
        assert (refused["@type"], refused["requestId"], refused["status"]) == ("RequestError", "R17", 429)
        assert refused["limit"] == "maxConcurrentRequests"
        first.send(enable(["Email"]))  # no request: it is not counted
        go.set()
        held.join()
        assert {json.loads(first.recv(timeout=20))["requestId"] for _ in range(8)} == set("01234567")
        assert {json.loads(second.recv(timeout=20))["requestId"] for _ in range(7)} == set("0123456")
        assert ask(first, ECHO)["@type"] == "Response"


def test_thousands_of_messages_at_once(lively):
    """All are answered, some of them that there are too many; reading pauses meanwhile."""
    with lively.raw_web_socket() as client:
        sending = threading.Thread(target=lambda: [client.send(TEXT, ECHO.encode()) for _ in range(3000)])
        sending.start()
        kinds = [json.loads(client.receive()[1])["@type"] for _ in range(3000)]
        sending.join()
    assert set(kinds) <= {"Response", "RequestError"}
    assert kinds.count("Response") > 16


def test_large_answers_come_whole(lively):
    """With compression and without."""
    text = "".join(map(chr, range(0x4E00, 0x5E00))) * 100
    for compression in ("deflate", None):
        with lively.web_socket(compression=compression, max_size=None) as client:
            answered = ask(client, request(["Core/echo", {"text": text}, "c"]))
            assert answered["methodResponses"][0][1]["text"] == text


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
        {"server_max_window_bits": 9},
        {"client_max_window_bits": 9},
        {"server_max_window_bits": 10, "client_max_window_bits": 15},
    ],
)
def test_compression_is_negotiated(lively, options):
    """Whatever a client asks for, no context is kept from message to message (RFC 7692 §7.1.1)."""
    with lively.web_socket(compression=None, extensions=[ClientPerMessageDeflateFactory(**options)]) as client:
        (deflate,) = client.protocol.extensions
        assert deflate.remote_no_context_takeover
        assert deflate.local_no_context_takeover
        for size in (10, 2000, 200_000):
            answered = ask(client, request(["Core/echo", {"text": "ab" * size}, "c"]))
            assert len(answered["methodResponses"][0][1]["text"]) == 2 * size


# Push


def synced(client):
    """Wait until everything that was sent has been read: what comes before the answer is returned."""
    client.send(request(id="sync"))
    came = []
    while (message := json.loads(client.recv(timeout=20))).get("requestId") != "sync":
        came.append(message)
    return came


def test_changes_are_pushed_once_asked_for(lively):
    """All types or some, until it is disabled (RFC 8887 §4.3.5)."""
    with lively.web_socket() as client, lively.web_socket(BOB) as bob:
        bob.send(enable())
        assert synced(bob) == []
        lively.deliver()
        assert synced(client) == []
        client.send(enable(["Email", "Thread"]))
        assert synced(client) == []
        lively.deliver()
        pushed = json.loads(client.recv(timeout=20))
        states = lively.states()
        assert pushed.pop("pushState")
        assert pushed == {
            "@type": "StateChange",
            "changed": {lively.account(): {"Email": states["Email"], "Thread": states["Thread"]}},
        }
        client.send(enable())
        assert synced(client) == []
        lively.deliver()
        assert {"EmailDelivery", "Mailbox"} < set(json.loads(client.recv(timeout=20))["changed"][lively.account()])
        client.send(json.dumps({"@type": "WebSocketPushDisable"}))
        assert synced(client) == []
        lively.deliver()
        assert synced(client) == []
        lively.deliver(BOB)
        assert list(json.loads(bob.recv(timeout=20))["changed"]) == [lively.account(BOB)]


def test_push_goes_on_from_a_state(lively):
    """What was missed comes at once; nothing, when nothing was; an event id of a stream is the same state."""
    with lively.web_socket() as client:
        client.send(enable())
        synced(client)
        lively.deliver()
        position = json.loads(client.recv(timeout=20))["pushState"]
    lively.api(["Mailbox/set", {"accountId": lively.account(), "create": {"m": {"name": "New"}}}, "c"])
    with lively.web_socket() as client:
        missed = ask(client, enable(pushState=position))
        told = missed["changed"][lively.account()]
        assert told["Mailbox"] == lively.states()["Mailbox"]
        assert "Email" not in told
        client.send(enable(pushState=missed["pushState"]))
        assert synced(client) == []
        assert lively.states().items() <= ask(client, enable(pushState="aaa"))["changed"][lively.account()].items()
    with lively.listen(Last_Event_ID=position) as stream:
        assert stream.event()[:2] == ("state", missed["pushState"])


def test_the_last_wish_counts(lively):
    """Though each message may be read by another worker."""
    with lively.web_socket() as client:
        for _ in range(20):
            client.send(enable(["Email"]))
            client.send(enable(["Thread"]))
        client.send(enable(["Mailbox"]))
        assert synced(client) == []
        wait_until(lambda: all(one._running == 0 for one in lively.connections._open))
        lively.deliver()
        assert list(json.loads(client.recv(timeout=20))["changed"][lively.account()]) == ["Mailbox"]


# Signing in


def test_every_way_of_signing_in(lively):
    """A header, a ticket, or a second subprotocol; the answer is always `jmap`."""
    token = lively.tokens[ALICE]
    ways = [
        {"user": ALICE},
        {"user": None, "query": f"?ticket={lively.ticket()}"},
        {"user": None, "subprotocols": ["jmap", "jmapauth." + base64url(f"Bearer {token}")]},
        {"user": None, "subprotocols": ["jmapauth." + base64url("Basic " + basic(ALICE, "secret")), "jmap"]},
        {"user": None, "subprotocols": ["base64url.bearer.authorization.jmap." + base64url(token), "jmap"]},
    ]
    for way in ways:
        with lively.web_socket(**way) as client:
            assert client.subprotocol == "jmap"
            assert ask(client, ECHO)["@type"] == "Response"


def basic(name, password):
    """Return Basic credentials."""
    return base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("way", "status"),
    [
        ({"user": None}, 401),
        ({"user": None, "query": "?ticket=x"}, 401),
        ({"user": None, "subprotocols": ["jmap", "jmapauth.%%%"]}, 401),
        ({"user": None, "subprotocols": ["jmap", "jmapauth." + base64url("Bearer wrong")]}, 401),
        ({"user": None, "subprotocols": ["jmap", "jmapauth.A"]}, 401),
        ({"user": None, "subprotocols": ["jmap", "base64url.bearer.authorization.jmap." + base64url("wrong")]}, 401),
        ({"subprotocols": ["xmpp"]}, 400),
        ({"subprotocols": None}, 400),
    ],
)
def test_no_way_of_signing_in(lively, way, status):
    """A problem document, before anything is opened."""
    with pytest.raises(InvalidStatus) as refused, lively.web_socket(**way):
        pass
    response = refused.value.response
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert json.loads(response.body)["status"] == status
    assert lively.connections.taken == 0


def test_a_ticket_is_good_once(lively):
    """A second connection with it is refused."""
    query = f"?ticket={lively.ticket()}"
    with lively.web_socket(None, query):
        pass
    with pytest.raises(InvalidStatus), lively.web_socket(None, query):
        pass


@pytest.mark.parametrize(
    ("lines", "status", "header"),
    [
        ("", 426, ("Upgrade", "websocket")),
        ("Upgrade: websocket\r\n", 426, ("Upgrade", "websocket")),
        (UPGRADE, 400, ("Sec-WebSocket-Version", "13")),
        (
            UPGRADE + "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
            400,
            ("Sec-WebSocket-Version", "13"),
        ),
        (
            UPGRADE + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n",
            400,
            ("Sec-WebSocket-Version", "13"),
        ),
    ],
)
def test_what_is_no_handshake(lively, lines, status, header):
    """RFC 6455 §4.2.1, RFC 9110 §15.5.22."""
    fields = dict(line.split(": ", 1) for line in lines.split("\r\n") if line)
    answered, headers, body = lively.ask("GET", "/jmap/ws", **fields, **{"Sec-WebSocket-Protocol": "jmap"})
    assert answered == status, body
    assert headers[header[0]] == header[1]
    assert json.loads(body)["status"] == status
    assert lively.ask("POST", "/jmap/ws")[0] == 405


def test_other_urls_are_no_web_sockets(lively):
    """Though they are asked to be."""
    fields = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert lively.ask("GET", "/jmap/session", **fields)[0] == 400


def test_pages_of_other_sites(tmp_path):
    """Only those that cors_origins names, and the server's own; programs are no pages."""
    lively = Lively(tmp_path / "data", cors_origins=("https://mail.example",))
    own = f"http://{lively.address.host}:{lively.address.port}"
    try:
        for origin in ("https://mail.example", "https://MAIL.example", own, None):
            with lively.web_socket(origin=origin) as client:
                assert ask(client, ECHO)["@type"] == "Response"
        for origin in ("https://evil.example", "null", own[:-1], "http:"):
            with pytest.raises(InvalidStatus) as refused, lively.web_socket(origin=origin):
                pass
            assert refused.value.response.status_code == 403
    finally:
        lively.stop()


def test_a_remembered_password_is_not_for_pages_of_other_sites(lively, tmp_path):
    """Chromium sends it along with any page's WebSocket: what a page has to give itself is needed (RFC 6455 §10.2)."""
    remembered = {"Authorization": "Basic " + basic(ALICE, "secret")}
    own = f"http://{lively.address.host}:{lively.address.port}"
    with (
        pytest.raises(InvalidStatus) as refused,
        lively.web_socket(None, headers=remembered, origin="https://x.example"),
    ):
        pass
    assert refused.value.response.status_code == 403
    ways = (
        {"user": None, "headers": remembered},
        {"user": None, "headers": remembered, "origin": own},
        {"user": None, "headers": remembered, "origin": "https://x.example", "query": f"?ticket={lively.ticket()}"},
        {"user": ALICE, "origin": "https://x.example"},
    )
    for way in ways:
        with lively.web_socket(**way) as client:
            assert ask(client, ECHO)["@type"] == "Response"
    named = Lively(tmp_path / "named", cors_origins=("https://x.example",))
    with named.web_socket(None, headers=remembered, origin="https://x.example") as client:
        assert ask(client, ECHO)["@type"] == "Response"
    named.stop()


def test_credentials_that_are_gone(lively):
    """A request is not answered any more, and an idle connection ends within seconds (RFC 8887 §4.2)."""
    token = lively.token(ALICE, "phone")
    headers = {"Authorization": f"Bearer {token}"}
    with (
        lively.web_socket(None, headers=headers) as busy,
        lively.web_socket(None, headers=headers) as idle,
        lively.web_socket() as other,
        lively.web_socket(BOB) as bob,
    ):
        assert ask(busy, ECHO)["@type"] == "Response"
        lively.database.write(lambda tx: accounts.revoke_token(tx, lively.users[ALICE], "phone"))
        busy.send(ECHO)
        assert closed(busy) == (1008, "The credentials are not valid any more.")
        assert closed(idle)[0] == 1008
        assert ask(other, ECHO)["@type"] == "Response"
        users.remove_user(lively.database, BOB)
        assert closed(bob)[0] == 1008
    lively.settle(0)
