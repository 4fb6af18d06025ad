"""The URLs of the Session, and the client's address, behind all kinds of proxies."""

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.http.urls import Reach, urls_under


def environ(peer="10.0.0.1", **headers):
    """Return a WSGI environment of a request from `peer`."""
    base = {
        "wsgi.url_scheme": "http",
        "SERVER_NAME": "minijmap.invalid",
        "SERVER_PORT": "8080",
        "REMOTE_ADDR": peer,
        "HTTP_HOST": "inner:8080",
    }
    return {**base, **{f"HTTP_{name.upper()}": value for name, value in headers.items()}}


def reach(*trusted, public_url=None):
    """Return a Reach that trusts these networks."""
    return Reach(public_url, [ip_network(network) for network in trusted])


def test_urls_have_exactly_the_variables_of_the_rfc():
    """RFC 8620 §2: the templates' variables, and no others."""
    urls = urls_under("https://mail.example.com/jmap-server")
    assert urls.api == "https://mail.example.com/jmap-server/jmap/api"
    assert urls.upload.endswith("/jmap/upload/{accountId}")
    assert urls.download.endswith("/jmap/download/{accountId}/{blobId}/{name}?type={type}")
    assert urls.event_source.endswith("/jmap/events?types={types}&closeafter={closeafter}&ping={ping}")


@pytest.mark.parametrize(
    ("base", "web_socket"),
    [
        ("https://mail.example.com/jmap-server", "wss://mail.example.com/jmap-server/jmap/ws"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/jmap/ws"),
    ],
)
def test_a_web_socket_has_a_scheme_of_its_own(base, web_socket):
    """As safe as the base (RFC 6455 §3); the ticket's URL is an ordinary one."""
    assert urls_under(base).capabilities() == {
        "urn:ietf:params:jmap:websocket": {"url": web_socket, "supportsPush": True},
        "urn:x-minijmap:ticket": {"ticketUrl": base + "/jmap/ticket"},
    }


def test_from_the_request():
    """Without a proxy, the Host that the client named is the Host it gets."""
    assert reach().base(environ()) == "http://inner:8080"
    assert reach().base(environ(host="[2001:db8::1]:8080")) == "http://[2001:db8::1]:8080"


@pytest.mark.parametrize("host", ["", "a b", 'x"><script>', "evil.example/path", "a@b", "x:99999999", "x\r\ny"])
def test_malformed_host_gives_the_listener(host):
    """A Host that is none is not repeated in URLs."""
    assert reach().base(environ(host=host)) == "http://minijmap.invalid:8080"


def test_public_url_wins():
    """What the settings say is not overridden by anybody."""
    told = environ(x_forwarded_host="other", x_forwarded_proto="http")
    assert reach("10.0.0.1", public_url="https://mail.example.com").base(told) == "https://mail.example.com"


def test_untrusted_peer_is_not_believed():
    """Forwarded headers of anybody else change neither URLs nor addresses."""
    told = environ(
        peer="192.0.2.9", x_forwarded_host="evil", x_forwarded_for="1.2.3.4", forwarded="for=1.2.3.4;host=evil"
    )
    for one in (reach(), reach("10.0.0.0/8")):
        assert one.base(told) == "http://inner:8080"
        assert one.client(told) == "192.0.2.9"


@pytest.mark.parametrize(
    ("headers", "base", "client"),
    [
        ({}, "http://inner:8080", "10.0.0.1"),
        ({"x_forwarded_proto": "https"}, "https://inner:8080", "10.0.0.1"),
        (
            {"x_forwarded_proto": "https", "x_forwarded_host": "mail.example.com", "x_forwarded_for": "1.2.3.4"},
            "https://mail.example.com",
            "1.2.3.4",
        ),
        (
            {"x_forwarded_proto": "https", "x_forwarded_host": "h", "x_forwarded_port": "8443"},
            "https://h:8443",
            "10.0.0.1",
        ),
        (
            {"x_forwarded_proto": "https", "x_forwarded_host": "h", "x_forwarded_port": "443"},
            "https://h",
            "10.0.0.1",
        ),
        ({"x_forwarded_host": "h:81", "x_forwarded_port": "82"}, "http://h:81", "10.0.0.1"),
        ({"x_forwarded_host": "h", "x_forwarded_prefix": "/mail/"}, "http://h/mail", "10.0.0.1"),
        ({"x_forwarded_host": "h", "x_forwarded_prefix": '/"x'}, "http://h", "10.0.0.1"),
        ({"x_forwarded_host": "a b", "x_forwarded_proto": "gopher"}, "http://inner:8080", "10.0.0.1"),
        # The client wrote the first, the outer proxy the second and the inner one (10.0.0.1) the third.
        (
            {"x_forwarded_for": "6.6.6.6, 1.2.3.4, 10.0.0.2", "x_forwarded_proto": "gopher, https, http"},
            "https://inner:8080",
            "1.2.3.4",
        ),
        (
            {"forwarded": 'for=1.2.3.4;proto=https;host="mail.example.com:8443"'},
            "https://mail.example.com:8443",
            "1.2.3.4",
        ),
        ({"forwarded": 'For="[2001:db8:1:2:3::4]:567"'}, "http://inner:8080", "2001:db8:1:2::/64"),
        (
            {"forwarded": "for=6.6.6.6;host=evil, for=1.2.3.4;proto=https, for=10.0.0.2;host=mail"},
            "https://mail",
            "1.2.3.4",
        ),
        ({"forwarded": "for=unknown;proto=https"}, "https://inner:8080", "10.0.0.1"),
        ({"forwarded": "what is this"}, "http://inner:8080", "10.0.0.1"),
        ({"x_forwarded_for": "1.2.3.4:5678"}, "http://inner:8080", "1.2.3.4"),
    ],
)
def test_trusted_proxy(headers, base, client):
    """What proxies of each kind say, as far as it was a proxy of ours that said it."""
    one = reach("10.0.0.0/8")
    assert one.base(environ(**headers)) == base
    assert one.client(environ(**headers)) == client


def test_client_addresses():
    """IPv4 in IPv6 is IPv4; an IPv6 client is its /64; a socket without an address has none."""
    assert reach().client(environ(peer="::ffff:192.0.2.1")) == "192.0.2.1"
    assert reach().client(environ(peer="2001:db8::1")) == "2001:db8::/64"
    assert reach().client(environ(peer="localhost")) == "unknown"


TOKENS = st.sampled_from(
    ["for=", "host=", "proto=", "https", '"', "\\", ",", ";", "1.2.3.4", "[::1]", " ", "a", "=", "é"]
)


@given(st.lists(TOKENS, max_size=20).map("".join), st.lists(TOKENS, max_size=20).map("".join))
@settings(max_examples=200)
def test_any_header_gives_a_url_and_an_address(forwarded, other):
    """Whatever a proxy hands on of what strangers wrote, the base is a plain URL."""
    told = environ(forwarded=forwarded, x_forwarded_for=other, x_forwarded_host=other, x_forwarded_prefix=other)
    one = reach("10.0.0.0/8")
    assert one.base(told).startswith(("http://", "https://"))
    assert not set(one.base(told)) & set(' "\\<>\r\n')
    assert one.client(told)
