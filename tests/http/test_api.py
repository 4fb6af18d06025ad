"""The API resource over real sockets: content types, compression, and the advertised limits, exactly."""

import gzip
import threading

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.http.front import wants_gzip
from minijmap.jmap.engine import Limits

CORE = "urn:ietf:params:jmap:core"
LIMIT = "urn:ietf:params:jmap:error:limit"
EMPTY = orjson.dumps({"using": [CORE], "methodCalls": []})


def test_echo(site):
    """A request and its answer."""
    answer = site.api(["Core/echo", {"hello": True}, "c1"])
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["methodResponses"] == [["Core/echo", {"hello": True}, "c1"]]


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_taken(site, media_type):
    """The content type, with parameters and in any case."""
    assert site.ask("POST", "/jmap/api", EMPTY, Content_Type=media_type).status == 200


@pytest.mark.parametrize("headers", [{}, {"Content_Type": "text/plain"}, {"Content_Type": "application/jmap+json"}])
def test_other_content_types_are_not_json(site, headers):
    """RFC 8620 §3.6.1: another content type is `notJSON`."""
    answer = site.ask("POST", "/jmap/api", EMPTY, **headers)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:ietf:params:jmap:error:notJSON"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "notJSON"),
        (b"{", "notJSON"),
        (b'{"foo":"bar"}', "notRequest"),
        (b"[]", "notRequest"),
        (b'{"using":["urn:x"],"methodCalls":[]}', "unknownCapability"),
    ],
)
def test_request_errors(site, body, kind):
    """RFC 8620 §3.6.1: what fails as a whole is a 400 with a problem document."""
    answer = site.ask("POST", "/jmap/api", body, Content_Type="application/json")
    assert answer.status == 400
    assert answer.json() == {
        "type": f"urn:ietf:params:jmap:error:{kind}",
        "status": 400,
        "detail": answer.json()["detail"],
    }


def test_large_answers_are_compressed_when_asked(site):
    """An answer over 4 kB is compressed when that is asked for, never unasked, and a small one never."""
    call = ["Core/echo", {"text": "x" * 10_000}, "c"]
    plain = site.api(call)
    packed = site.api(call, Accept_Encoding="br, gzip")
    assert plain.headers["Content-Encoding"] is None
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < 1000
    assert gzip.decompress(packed.body) == plain.body
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert site.api(["Core/echo", {}, "c"], Accept_Encoding="gzip").headers["Content-Encoding"] is None
    assert site.api(call, Accept_Encoding="gzip;q=0").headers["Content-Encoding"] is None


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5, br", True),
        ("*", True),
        ("gzip ; q=1", True),
        ("", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("identity", False),
        ("x-gzip2", False),
    ],
)
def test_accept_encoding(accepted, expected):
    """RFC 9110 §12.5.3."""
    assert wants_gzip(accepted) is expected


@given(st.text(alphabet="gzip*;q=0.1, \t", max_size=200))
def test_accept_encoding_never_hangs(text):
    """Any value is answered."""
    assert wants_gzip(text) in {True, False}


def padded(size):
    """Return a request of exactly `size` octets."""
    empty = orjson.dumps({"using": [CORE], "methodCalls": [["Core/echo", {"x": ""}, "c"]]})
    return empty.replace(b'"x":""', b'"x":"' + b"y" * (size - len(empty)) + b'"')


def chunked(octets, size=65_536):
    """Give the octets in pieces: http.client sends them chunked."""
    return (octets[at : at + size] for at in range(0, len(octets), size))


@pytest.mark.parametrize("send", [bytes, chunked])
def test_max_size_request_is_exact(site, send):
    """10,000,000 octets are taken, one more is refused with the limit's name: declared or chunked."""
    body = padded(10_000_000)
    taken = site.ask("POST", "/jmap/api", send(body), Content_Type="application/json")
    assert taken.status == 200
    refused = site.ask("POST", "/jmap/api", send(body + b" "), Content_Type="application/json")
    assert refused.status == 400
    assert (refused.json()["type"], refused.json()["limit"]) == (LIMIT, "maxSizeRequest")


def test_small_chunks_are_counted_by_content(open_site):
    """What chunking adds is not counted."""
    site = open_site(Limits(max_size_request=1000))
    body = padded(1000)
    assert site.ask("POST", "/jmap/api", chunked(body, 1), Content_Type="application/json").status == 200
    assert site.ask("POST", "/jmap/api", chunked(body + b" ", 1), Content_Type="application/json").status == 400


def test_refusal_leaves_the_connection_usable(site):
    """A refused body is read to its end: the answer arrives, and the next request on the connection is understood."""
    head = f"POST /jmap/api HTTP/1.1\r\nHost: x\r\nAuthorization: {site.basic()}\r\nContent-Type: application/json\r\n"
    with site.raw(f"{head}Content-Length: 10000001\r\n\r\n".encode()) as connection:
        connection.sendall(b" " * 10_000_001)
        first = read_answer(connection)
        assert first.startswith(b"HTTP/1.1 400")
        connection.sendall(f"{head}Content-Length: {len(EMPTY)}\r\n\r\n".encode() + EMPTY)
        assert read_answer(connection).startswith(b"HTTP/1.1 200")


def read_answer(connection):
    """Read one answer with a Content-Length, head and body."""
    octets = b""
    while b"\r\n\r\n" not in octets:
        got = connection.recv(65536)
        assert got
        octets += got
    head, _, body = octets.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def test_expect_continue_is_refused_at_once(site):
    """A client that asks first is told before it sends anything; one that may send is told to."""
    head = f"POST /jmap/api HTTP/1.1\r\nHost: x\r\nAuthorization: {site.basic()}\r\nExpect: 100-continue\r\n"
    head += "Content-Type: application/json\r\n"
    with site.raw(f"{head}Content-Length: 10000001\r\n\r\n".encode()) as connection:
        answer = read_answer(connection)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"maxSizeRequest" in answer
        assert connection.recv(1) == b""
    with site.raw(f"{head}Content-Length: {len(EMPTY)}\r\n\r\n".encode()) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        connection.sendall(EMPTY)
        assert read_answer(connection).startswith(b"HTTP/1.1 200")


def test_endless_body_is_cut(site):
    """A body that is declared beyond all measure is answered and cut off, not read."""
    head = f"POST /jmap/api HTTP/1.1\r\nHost: x\r\nAuthorization: {site.basic()}\r\nContent-Length: 99999999999\r\n\r\n"
    with site.raw(head.encode()) as connection:
        assert b"maxSizeRequest" in read_answer(connection)


def test_nothing_is_kept_of_strangers_bodies(site):
    """Without credentials a body is dropped as it comes, and the answer is 401."""
    assert site.ask("POST", "/jmap/api", b"x" * 5_000_000, signed_in=False).status == 401
    assert site.ask("POST", "/jmap/upload/a1", chunked(b"x" * 5_000_000), signed_in=False).status == 401


def test_chunk_with_endless_header_is_refused(site):
    """A chunk's control line has a limit too."""
    head = f"POST /jmap/api HTTP/1.1\r\nHost: x\r\nAuthorization: {site.basic()}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with site.raw(head.encode() + b"1;" + b"a" * 10_000) as connection:
        assert read_answer(connection).startswith(b"HTTP/1.1 400")


def test_long_headers_are_refused(site):
    """Headers beyond 64 kB are a 431, in the form of every error."""
    with site.raw(b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n") as connection:
        octets = connection.recv(65536)
    assert b" 431 " in octets.split(b"\r\n")[0]
    assert b"application/problem+json" in octets


def test_concurrent_requests_are_counted_while_they_come(open_site):
    """Of three requests at once where two are allowed, the third is refused, and the two are not harmed."""
    site = open_site(Limits(max_concurrent_requests=2))
    head = f"POST /jmap/api HTTP/1.1\r\nHost: x\r\nAuthorization: {site.basic()}\r\nContent-Type: application/json\r\n"
    start = f"{head}Content-Length: {len(EMPTY)}\r\n\r\n".encode() + EMPTY[:-1]
    with site.raw(start) as one, site.raw(start) as two:
        refused = until(site.api, lambda answer: answer.status != 200)
        assert refused.status == 429
        assert (refused.json()["type"], refused.json()["limit"]) == (LIMIT, "maxConcurrentRequests")
        assert refused.headers["Retry-After"] == "1"
        # Another resource has its own count.
        assert site.ask("POST", "/jmap/upload/a1", b"x").status == 201
        for connection in (one, two):
            connection.sendall(EMPTY[-1:])
            assert read_answer(connection).startswith(b"HTTP/1.1 200")
        assert site.api().status == 200


def until(ask, done):
    """Ask again until the other connections have been noticed."""
    for _ in range(1000):
        answer = ask()
        if done(answer):
            return answer
    raise AssertionError(answer)


def test_lost_connection_gives_its_place_back(open_site):
    """A client that goes away in the middle of its body is not counted any longer."""
    site = open_site(Limits(max_concurrent_requests=1))
    head = f"POST /jmap/api HTTP/1.1\r\nHost: x\r\nAuthorization: {site.basic()}\r\nContent-Length: 100\r\n\r\n"
    with site.raw(head.encode()):
        until(site.api, lambda answer: answer.status == 429)
    until(site.api, lambda answer: answer.status == 200)


def test_concurrency_is_counted_per_user(open_site, monkeypatch):
    """Running requests of one user count together, whatever they signed in with."""
    from minijmap.store.accounts import add_token

    site = open_site(Limits(max_concurrent_requests=1))
    token = site.database.write(lambda tx: add_token(tx, site.user, "phone", 0))
    handle, inside, go = site.engine.handle, threading.Event(), threading.Event()

    def slow(login, body):
        inside.set()
        assert go.wait(10)
        return handle(login, body)

    monkeypatch.setattr(site.engine, "handle", slow)
    statuses = []
    running = threading.Thread(target=lambda: statuses.append(site.api().status))
    running.start()
    assert inside.wait(10)
    refused = site.api(authorization=f"Bearer {token}")
    go.set()
    running.join()
    assert (statuses, refused.status) == ([200], 429)
    assert site.api(authorization=f"Bearer {token}").status == 200


def test_as_many_as_advertised_at_once(site):
    """Sixteen clients, each with one request after the other, are never refused."""
    statuses = []

    def work():
        statuses.extend(site.api(["Core/echo", {}, "c"]).status for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(site.engine.limits.max_concurrent_requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 160
