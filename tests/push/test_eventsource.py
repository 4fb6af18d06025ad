"""The event source resource (RFC 8620 §7.3), over real sockets."""

import json
import re
import socket
import threading
import time

import pytest

from minijmap import users
from minijmap.push import connections, eventsource
from minijmap.push.eventsource import BadParameter, Wanted, wanted
from minijmap.store import accounts
from tests.push.listening import ALICE, BOB, wait_until

ALL = "types=*&closeafter=no&ping=0"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"types": "*", "closeafter": "no", "ping": "300"}, Wanted(None, False, 300)),
        (
            {"types": "Email,Mailbox", "closeafter": "state", "ping": "0"},
            Wanted(frozenset({"Email", "Mailbox"}), True, 0),
        ),
        ({"types": "", "closeafter": "", "ping": ""}, Wanted(None, False, 300)),
        ({}, Wanted(None, False, 300)),
        ({"ping": "1"}, Wanted(None, False, 1)),
        ({"ping": "86400"}, Wanted(None, False, 3600)),
        ({"types": "Email, Thread"}, Wanted(frozenset({"Email", "Thread"}), False, 300)),
    ],
)
def test_what_a_url_asks_for(given, expected):
    """The ping is within bounds that are no narrower than RFC 8620 §7.3 has them."""
    assert wanted(given) == expected
    assert eventsource.SHORTEST_PING <= 30
    assert eventsource.LONGEST_PING >= 300


@pytest.mark.parametrize(
    "given",
    [
        {"closeafter": "State"},
        {"ping": "-1"},
        {"ping": "1.5"},
        {"ping": "٣"},
        {"ping": "9" * 19},
        {"types": "Email,"},
        {"types": ",".join(["x"] * 101)},
        {"types": "x" * 256},
    ],
)
def test_what_no_url_may_ask_for(given):
    """Each names the variable."""
    with pytest.raises(BadParameter, match=next(iter(given))):
        wanted(given)


def test_a_change_is_told(lively):
    """As a `state` event with an id, for the account and the types that changed, with the states that /get returns."""
    with lively.listen(ALL, Origin="https://page.example") as stream:
        assert stream.status == 200
        assert stream.head["Content-Type"] == "text/event-stream"
        assert stream.head["Cache-Control"] == "no-store"
        assert stream.head["Access-Control-Allow-Origin"] == "*"
        assert stream.head["Connection"] == "close"
        assert not {"Content-Length", "Transfer-Encoding"} & set(stream.head)
        lively.deliver()
        event, position, data = stream.event()
        assert (event, data["@type"]) == ("state", "StateChange")
        (told,) = data["changed"].values()
        assert list(data["changed"]) == [lively.account()]
        states = lively.states()
        assert told.pop("EmailDelivery") == states["Email"]
        assert {name: told[name] for name in states} == states
        assert re.fullmatch(r"[0-9:,]+", position)


def test_nobody_hears_of_others(lively):
    """Bob's stream tells of Bob's account alone."""
    with lively.listen(user=BOB) as stream:
        lively.deliver(ALICE)
        lively.deliver(BOB)
        assert list(stream.event()[2]["changed"]) == [lively.account(BOB)]


def test_only_the_types_asked_for_are_told(lively):
    """What else changes is no event at all."""
    with lively.listen("types=Identity,EmailDelivery&closeafter=no&ping=0") as stream:
        lively.api(["Mailbox/set", {"accountId": lively.account(), "create": {"m": {"name": "New"}}}, "c"])
        lively.deliver()
        (told,) = stream.event()[2]["changed"].values()
        assert list(told) == ["EmailDelivery"]


def test_it_closes_after_a_state(lively):
    """If that is asked for: after an event, or at once with what was missed."""
    with lively.listen("types=*&closeafter=state&ping=0") as stream:
        lively.deliver()
        event, position, _ = stream.event()
        assert event == "state"
        assert stream.event() is None
    with lively.listen("types=*&closeafter=state&ping=0", Last_Event_ID=position) as stream:
        lively.deliver()
        assert stream.event()[0] == "state"
        assert stream.event() is None
    with lively.listen("types=*&closeafter=state&ping=0", Last_Event_ID=position) as stream:
        assert stream.event()[0] == "state"
        assert stream.event() is None


def test_what_was_missed_is_told_at_once(lively):
    """And nothing, when nothing was; the id is of all types, whatever types are asked for."""
    with lively.listen() as stream:
        lively.deliver()
        _, position, _ = stream.event()
    lively.api(["Mailbox/set", {"accountId": lively.account(), "create": {"m": {"name": "New"}}}, "c"])
    with lively.listen("types=Email&closeafter=no&ping=1", Last_Event_ID=position) as stream:
        assert stream.event() == ("ping", None, {"interval": 1})
    with lively.listen(Last_Event_ID=position) as stream:
        _, later, data = stream.event()
        (told,) = data["changed"].values()
        assert told["Mailbox"] == lively.states()["Mailbox"]
        assert not {"Email", "EmailDelivery", "Thread"} & set(told)
    with lively.listen("types=*&closeafter=no&ping=1", Last_Event_ID=later) as stream:
        assert stream.event()[0] == "ping"
    with lively.listen(Last_Event_ID="never heard of it") as stream:
        assert lively.states().items() <= stream.event()[2]["changed"][lively.account()].items()


def test_nothing_is_missed_between_two_connections(lively):
    """While messages arrive without a pause, a client that comes and goes hears of the last one."""
    stop = threading.Event()

    def arrive():
        while not stop.is_set():
            lively.deliver()

    arriving = threading.Thread(target=arrive)
    arriving.start()
    position, states = None, {}
    for _ in range(12):
        headers = {} if position is None else {"Last_Event_ID": position}
        with lively.listen("types=*&closeafter=no&ping=0", **headers) as stream:
            for _ in range(2):
                _, position, data = stream.event()
                states |= data["changed"][lively.account()]
    stop.set()
    arriving.join()
    last = lively.states()
    while not last.items() <= states.items():
        with lively.listen("types=*&closeafter=state&ping=0", Last_Event_ID=position) as stream:
            _, position, data = stream.event()
            states |= data["changed"][lively.account()]


def test_pings_come_at_their_interval(lively):
    """In seconds since the last event, without an id (RFC 8620 §7.3); 0 is never."""
    with lively.listen("types=*&closeafter=no&ping=1") as stream, lively.listen(ALL) as silent:
        begun = time.monotonic()
        for _ in range(2):
            assert stream.event() == ("ping", None, {"interval": 1})
        assert 1.9 < time.monotonic() - begun < 10
        lively.deliver()
        assert stream.event()[0] == "state"
        assert silent.event()[0] == "state"
        silent.socket.settimeout(1.2)
        with pytest.raises(TimeoutError):
            silent.socket.recv(1)


def test_many_changes_are_told_together(lively, monkeypatch):
    """A listener hears of the newest state soon, not of every one."""
    monkeypatch.setattr(connections, "COALESCE_SECONDS", 1.0)
    with lively.listen() as stream:
        for _ in range(50):
            lively.deliver()
        last, events = lively.states(), 0
        while True:
            _, _, data = stream.event()
            events += 1
            if last.items() <= data["changed"][lively.account()].items():
                break
        assert events < 25


def test_a_ticket_opens_one_stream(lively):
    """Once; with a cross-origin page's answer carrying CORS, the refusal's too."""
    ticket = lively.ticket()
    with lively.listen(f"{ALL}&ticket={ticket}", user=None) as stream:
        assert stream.status == 200
        lively.deliver()
        assert stream.event()[0] == "state"
    with lively.listen(f"{ALL}&ticket={ticket}", user=None, Origin="https://page.example") as stream:
        assert stream.status == 401
        assert stream.head["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("query", "user", "status"),
    [(ALL, None, 401), ("types=*&closeafter=x&ping=0", ALICE, 400), (f"{ALL}&ticket=x", None, 401)],
)
def test_refusals_are_problem_documents(lively, query, user, status):
    """As everywhere, and the connection stays an HTTP connection."""
    answered, headers, body = lively.ask("GET", f"/jmap/events?{query}", user=user)
    assert answered == status
    assert headers["Content-Type"] == "application/problem+json"
    assert json.loads(body)["status"] == status


def test_head_and_post(lively):
    """HEAD tells the header fields and ends; POST is no method of a stream."""
    status, headers, body = lively.ask("HEAD", f"/jmap/events?{ALL}")
    assert (status, headers["Content-Type"], body) == (200, "text/event-stream", b"")
    assert lively.ask("POST", f"/jmap/events?{ALL}")[0] == 405
    assert lively.connections.taken == 0


def test_a_revoked_app_password_ends_its_stream(lively):
    """Within seconds, also by another process; other streams of the user go on."""
    token = lively.token(ALICE, "phone")
    with lively.listen(Authorization=f"Bearer {token}", user=None) as phone, lively.listen() as other:
        assert (phone.status, other.status) == (200, 200)
        lively.database.write(lambda tx: accounts.revoke_token(tx, lively.users[ALICE], "phone"))
        assert phone.event() is None
        lively.deliver()
        assert other.event()[0] == "state"
    with lively.listen(Authorization=f"Bearer {token}", user=None) as phone:
        assert phone.status == 401


def test_a_removed_user_hears_no_more(lively):
    """All their streams end."""
    with lively.listen(user=BOB) as stream:
        users.remove_user(lively.database, BOB)
        assert stream.event() is None
    wait_until(lambda: lively.connections.taken == 0)


def test_a_reader_that_does_not_read_is_cut(lively, monkeypatch):
    """When its backlog is too long, and nobody else notices; it goes on from its last id."""
    monkeypatch.setattr(eventsource, "UNSENT_OCTETS", 2000)
    monkeypatch.setattr(connections, "COALESCE_SECONDS", 0.0)
    with lively.listen() as slow, lively.listen() as other:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        account = lively.users[ALICE].account
        count = 0
        while lively.connections.taken == 2:
            count += 1
            lively.server.bus.publish({account: {"Email": 10_000 + count}})
            assert other.event()[0] == "state"
        assert lively.connections.taken == 1
        events = slow.body().split(b"\n\n")[:-1]  # the last of them may be cut
    assert len(events) < count
    position = re.search(rb"id: (.+)", events[-1])[1].decode()
    with lively.listen(Last_Event_ID=position) as again:
        assert again.event()[2]["changed"][lively.account()] == {"Email": str(10_000 + count)}


def test_a_request_behind_it_is_refused(lively):
    """It would never be answered: neither at once, nor later on the stream."""
    request = f"GET /jmap/events?{ALL} HTTP/1.1\r\nHost: x\r\nAuthorization: {lively.authorization()}\r\n\r\n"
    for behind in ("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /hea"):
        with socket.create_connection(lively.address, timeout=20) as connection:
            connection.sendall((request + behind).encode())
            answer = b""
            while more := connection.recv(65536):
                answer += more
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"Connection: close" in answer
    wait_until(lambda: lively.connections.taken == 0)
    with lively.listen() as stream:
        stream.socket.sendall(b"\r\n")  # some clients end a request so
        lively.deliver()
        assert stream.event()[0] == "state"
        stream.socket.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert stream.event() is None


def test_a_request_before_it_is_answered_first(lively):
    """A connection that has been used for requests may become a stream."""
    head = f"HTTP/1.1\r\nHost: x\r\nAuthorization: {lively.authorization()}\r\n\r\n"
    with socket.create_connection(lively.address, timeout=20) as connection:
        for _ in range(2):
            connection.sendall(f"GET /healthz {head}".encode())
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += connection.recv(65536)
        connection.sendall(f"GET /jmap/events?{ALL} {head}".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65536)
        lively.deliver()
        while b"event: state" not in answer:
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 OK")


def test_there_are_limits(lively, monkeypatch):
    """Of one user, and of all; whoever goes makes room."""
    monkeypatch.setattr(lively.connections, "_most_of_user", 2)
    monkeypatch.setattr(lively.connections, "_most", 3)
    with lively.listen(), lively.listen() as second:
        status, headers, _ = lively.ask("GET", f"/jmap/events?{ALL}")
        assert (status, headers["Retry-After"]) == (429, "30")
        with lively.listen(user=BOB) as bob:
            assert bob.status == 200
            assert lively.ask("GET", f"/jmap/events?{ALL}", user=BOB)[0] == 429
        second.socket.close()
        lively.settle(1)
        with lively.listen() as again:
            assert again.status == 200


def test_a_stop_ends_all(lively):
    """At once, however many there are; the port is free again, and no descriptor is left."""
    streams = [lively.listen() for _ in range(100)]
    begun = time.monotonic()
    lively.stop()
    assert time.monotonic() - begun < 5
    for stream in streams:
        assert stream.event() is None
        stream.socket.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(lively.address, timeout=5)


def test_a_stop_does_not_wait_for_a_reader_that_does_not_read(lively, monkeypatch):
    """What can't be sent is cut."""
    with lively.listen() as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        account = lively.users[ALICE].account
        monkeypatch.setattr(eventsource, "UNSENT_OCTETS", 10**9)
        monkeypatch.setattr(connections, "COALESCE_SECONDS", 0.0)
        (stream,) = lively.connections._open
        count = 0
        while stream.transport.get_write_buffer_size() < 1000:
            count += 1
            lively.server.bus.publish({account: {"Email": 10_000 + count}})
        begun = time.monotonic()
        lively.stop()
        assert time.monotonic() - begun < 5


def test_requests_go_on(lively):
    """However many streams are open: none of them has a worker."""
    streams = [lively.listen() for _ in range(60)]
    assert lively.ask("GET", "/healthz", user=None)[0] == 200
    lively.deliver()
    for stream in streams:
        assert stream.event()[0] == "state"
        stream.socket.close()
    lively.settle(0)
