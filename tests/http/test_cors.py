"""Cross-origin requests: preflights without sign-in everywhere, and the headers on every answer, errors included."""

import pytest

ORIGIN = "https://webmail.example.com"
PATHS = [
    "/.well-known/jmap",
    "/jmap/session",
    "/jmap/api",
    "/jmap/upload/a1",
    "/jmap/download/a1/b/c",
    "/healthz",
    "/",
    "/no",
]


@pytest.mark.parametrize("path", PATHS)
def test_preflight(site, path):
    """OPTIONS is answered without sign-in, for every URL."""
    answer = site.ask(
        "OPTIONS",
        path,
        signed_in=False,
        Origin=ORIGIN,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,content-type,x-mine",
    )
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "x-mine"))
    assert answer.headers["Access-Control-Max-Age"] == "86400"
    assert "Origin" in answer.headers["Vary"]
    assert answer.headers["Connection"] is None


def test_preflight_repeats_no_strange_headers(site):
    """What is asked for is repeated only when it looks like names of headers."""
    answer = site.ask("OPTIONS", "/jmap/api", signed_in=False, Origin=ORIGIN, Access_Control_Request_Headers='x"; y')
    assert '"' not in answer.headers["Access-Control-Allow-Headers"]


def test_private_network(site):
    """A page of the internet may reach a server of the home network, when its origin is allowed."""
    asked = {"signed_in": False, "Origin": ORIGIN, "Access_Control_Request_Private_Network": "true"}
    assert site.ask("OPTIONS", "/jmap/api", **asked).headers["Access-Control-Allow-Private-Network"] == "true"


def each_kind_of_answer(site, **headers):
    """Make a request of every sort: well answered, not signed in, unknown, wrong, too large."""
    yield site.ask("GET", "/jmap/session", **headers)
    yield site.ask("GET", "/jmap/session", signed_in=False, **headers)
    yield site.ask("GET", "/no", **headers)
    yield site.ask("GET", "/jmap/api", **headers)
    yield site.ask("POST", "/jmap/api", b"{", Content_Type="application/json", **headers)
    yield site.ask("POST", "/jmap/api", b"x" * 10_000_001, Content_Type="application/json", **headers)
    yield site.ask("POST", "/jmap/upload/a1", b"x", **headers)
    yield site.ask("GET", "/jmap/download/a1/b/c", **headers)


def test_every_answer_has_the_headers(site):
    """Any origin may read any answer, errors included."""
    statuses = []
    for answer in each_kind_of_answer(site, Origin=ORIGIN):
        statuses.append(answer.status)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        for name in ("WWW-Authenticate", "Retry-After", "ETag"):
            assert name in answer.headers["Access-Control-Expose-Headers"]
    assert statuses == [200, 401, 404, 405, 400, 400, 201, 404]


def test_failure_of_ours_has_them_too(site, monkeypatch, caplog):
    """A 500 is a problem document that a page may read; it tells no details, and the log has the traceback once."""
    monkeypatch.setattr(site.engine, "handle", lambda *_: 1 / 0)
    answer = site.api(["Core/echo", {}, "c"], Origin=ORIGIN)
    assert answer.status == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.json()["status"] == 500
    assert b"Zero" not in answer.body
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_unreadable_request_has_them_too(site):
    """A request that waitress can't read is answered in the same form."""
    with site.raw(b"GET / HTTP/1.1\r\nOrigin: https://x\r\nContent-Length: no\r\n\r\n") as connection:
        octets = b"".join(iter(lambda: connection.recv(65536), b""))
    assert octets.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b"Access-Control-Allow-Origin: *\r\n" in octets
    assert b"application/problem+json" in octets


def test_listed_origins_only(open_site):
    """With a list, an allowed origin is repeated and any other gets nothing."""
    site = open_site(cors_origins=(ORIGIN,))
    for answer in each_kind_of_answer(site, Origin=ORIGIN):
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in answer.headers["Vary"]
    for answer in each_kind_of_answer(site, Origin="https://other.example"):
        assert answer.headers["Access-Control-Allow-Origin"] is None
        assert "Origin" in answer.headers["Vary"]
    preflight = site.ask("OPTIONS", "/jmap/api", signed_in=False, Origin="https://other.example")
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Methods"] is None
    allowed = site.ask("OPTIONS", "/jmap/api", signed_in=False, Origin=ORIGIN)
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
