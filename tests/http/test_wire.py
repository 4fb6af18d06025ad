"""Hostile octets on the wire: whatever comes, the listener goes on, answers, and forgets what went away."""

import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /jmap/api HTTP/1.1\r\n",
        b"POST /jmap/upload/a1 HTTP/1.0\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"Authorization: Bearer x\r\n",
        b"Authorization: Basic eA==\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 99999999999\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Host: \xff\r\n",
        b"X-Forwarded-For: ,,,\r\n",
        b"\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"ffffffffffff\r\n",
        b"hello",
        b"\x00\n",
    ]
)


@given(st.lists(PIECES, max_size=15).map(b"".join))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_octets(site, octets):
    """No octets stop the listener, and no 5xx comes of them (but for a transfer coding we do not have)."""
    with site.raw(octets) as connection:
        connection.shutdown(1)
        answer = b""
        while got := _received(connection):
            answer += got
    assert not answer or answer.startswith(b"HTTP/1.")
    assert b" 500 " not in answer
    assert site.ask("GET", "/healthz").status == 200


def _received(connection):
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def test_nothing_is_remembered_of_lost_connections(site):
    """When all clients have gone, in whatever state, no request counts as under way."""
    head = b"POST /jmap/upload/a1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
    for octets in (head, head + b"Content-Length: 100\r\n\r\nabc", head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"):
        for _ in range(5):
            with site.raw(octets):
                pass
    deadline = time.monotonic() + 10
    while site.arrivals._counts and time.monotonic() < deadline:
        site.ask("GET", "/healthz", signed_in=False)
    assert not site.arrivals._counts
    assert site.arrivals._held == 0
