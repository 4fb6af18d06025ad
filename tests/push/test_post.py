"""One POST, to servers that behave in every way that a stranger's server may."""

import asyncio
import socket
import ssl
import time

import pytest
import trustme

from minijmap.push import post
from minijmap.push.endpoint import parse
from minijmap.push.post import Answer, NoAnswer, Poster
from tests.push.sink import HANG, Sink, drip, status


def send(url, body=b"{}", seconds=5.0, addresses=("127.0.0.1",), headers=None, **options):
    """Send one push to a host that has these addresses."""
    poster = Poster(lambda _: list(addresses), options.pop("private", True), seconds=seconds, **options)
    return asyncio.run(poster.send(parse(url, private=True), headers or {"TTL": "60"}, body))


def test_a_push_is_a_post_with_its_fields(sink):
    """The request as the push service gets it."""
    answer = send(sink.url("/a?b=c", "push.example"), b'{"a": 1}', headers={"TTL": "60", "Topic": "t"})
    (push,) = sink.wait(1, "/a?b=c")
    assert answer == Answer(201)
    assert push.body == b'{"a": 1}'
    assert push.headers == {
        "host": f"push.example:{sink.port}",
        "user-agent": "minijmap",
        "connection": "close",
        "ttl": "60",
        "topic": "t",
        "content-length": "8",
    }


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (status(200), Answer(200)),
        (status(404, "X: y"), Answer(404)),
        (status(429, "Retry-After: 120"), Answer(429, "120")),
        (status(503, "retry-after:Fri, 31 Dec 1999 23:59:59 GMT "), Answer(503, "Fri, 31 Dec 1999 23:59:59 GMT")),
        (b"HTTP/1.0 202\r\n\r\n", Answer(202)),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\n\r\n",
            Answer(201),
        ),
        (status(302, "Location: http://127.0.0.1:1/elsewhere"), Answer(302)),
    ],
)
def test_answers_are_read(sink, octets, answer):
    """The status and Retry-After; a redirect is an answer like any other."""
    sink.answers["/push"] = [octets]
    assert send(sink.url()) == answer
    assert len(sink.pushes) == 1


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"HTTP/1.1 201 Created\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 Odd\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nX: " + b"x" * 1_000_000,
        b"x" * 1_000_000,
        b"\xff\x00" * 1000,
        b"HTTP/1.1 102 Processing\r\n\r\n" * 100,
    ],
)
def test_nonsense_is_no_answer(sink, octets):
    """Nothing, half a head, another protocol, megabytes without an end, interim answers for ever."""
    sink.answers["/push"] = [octets]
    with pytest.raises(NoAnswer):
        send(sink.url())


def test_a_body_is_never_read(sink):
    """An answer of 50 MB costs its head."""
    sink.answers["/push"] = [b"HTTP/1.1 201 Created\r\n\r\n" + bytes(50_000_000)]
    assert send(sink.url()) == Answer(201)


@pytest.mark.parametrize("answer", [HANG, drip(b"HTTP/1.1 201 Created\r\nX: " + b"x" * 10_000)])
def test_a_push_has_so_much_time_and_no_more(sink, answer):
    """Silence, and an octet now and then: both end at the same time."""
    sink.answers["/push"] = [answer]
    began = time.monotonic()
    with pytest.raises(NoAnswer, match=r"0\.5 seconds"):
        send(sink.url(), seconds=0.5)
    assert time.monotonic() - began < 10


def test_a_name_server_that_hangs_takes_no_more_time_either():
    """The look-up is within the push's time."""

    def look_up(_):
        time.sleep(0.7)
        return ["127.0.0.1"]

    with pytest.raises(NoAnswer, match="seconds"):
        asyncio.run(Poster(look_up, private=True, seconds=0.2).send(parse("http://a.example/", private=True), {}, b""))


def test_the_next_address_is_tried(sink):
    """One address that refuses is no failure while there is another."""
    with socket.create_server(("127.0.0.2", 0)) as other:
        closed = other.getsockname()
    assert closed[1] != sink.port
    assert send(sink.url(host="push.example"), addresses=["127.0.0.2", "127.0.0.1"]) == Answer(201)


def test_nobody_there_is_no_answer():
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NoAnswer, match=r"[Cc]onnect"):
        send(f"http://push.example:{port}/")


def test_a_private_address_is_not_connected_to(sink):
    """Whatever the URL was when it was given: the address counts, at this moment."""
    for url in (sink.url(host="push.example"), sink.url(host="127.0.0.1"), sink.url(host="[::ffff:127.0.0.1]")):
        with pytest.raises(NoAnswer, match="private"):
            send(url, private=False)
    assert sink.pushes == []


@pytest.fixture(scope="module")
def authority():
    """Give a certificate authority."""
    return trustme.CA()


@pytest.fixture
def trusting(authority):
    """Give what makes a context that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return lambda: context


def secure(authority, *names):
    """Return a push service that speaks https under these names."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return Sink(context)


def test_https_is_spoken_with_the_name_and_to_the_address(authority, trusting):
    """The name of the URL is what the certificate is checked by; the address is the one that was looked at."""
    with secure(authority, "push.example") as sink:
        assert send(sink.url(host="push.example"), context=trusting) == Answer(201)
    with secure(authority, "127.0.0.1") as sink:
        assert send(sink.url(), context=trusting) == Answer(201)


def test_another_s_certificate_is_no_answer(authority, trusting):
    """Nothing is sent to a server that can't show who it is."""
    with secure(authority, "other.example") as sink:
        with pytest.raises(NoAnswer, match="CERTIFICATE"):
            send(sink.url(host="push.example"), context=trusting)
        with pytest.raises(NoAnswer, match="CERTIFICATE"):
            send(sink.url(host="other.example"))
        assert sink.pushes == []


def test_https_to_a_server_that_speaks_none(sink):
    """The handshake fails, and within its time."""
    with pytest.raises(NoAnswer):
        send(f"https://push.example:{sink.port}/", seconds=1.0)


def test_the_bounds_are_sane():
    """A push takes half a minute at most, and an answer's head 16 kB."""
    assert post.SECONDS <= 30
    assert post.CONNECT_SECONDS < post.SECONDS
    assert post.MOST_HEAD <= 65536
