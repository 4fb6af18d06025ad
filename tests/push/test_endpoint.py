"""Which URLs a client may give, and which addresses may be behind them (RFC 8620 §8.6)."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.push import endpoint
from minijmap.push.endpoint import Endpoint, Unfit, Unreachable

GOOD = {
    "https://push.example.net/abc?x=1": Endpoint(True, "push.example.net", 443, "/abc?x=1"),
    "https://push.example.net": Endpoint(True, "push.example.net", 443, "/"),
    "HTTPS://Push.Example.NET:8443/A": Endpoint(True, "push.example.net", 8443, "/A"),
    "https://push.example.net./a": Endpoint(True, "push.example.net", 443, "/a"),
    "https://9.9.9.9/a": Endpoint(True, "9.9.9.9", 443, "/a"),
    "https://[2620:fe::FE]:444/a": Endpoint(True, "2620:fe::fe", 444, "/a"),
    "https://a_b.example.net/?": Endpoint(True, "a_b.example.net", 443, "/"),
    "https://push.example.net/a#part": Endpoint(True, "push.example.net", 443, "/a"),
}
NEVER = [
    "", "/push", "push.example.net", "ftp://push.example.net/", "file:///etc/passwd", "https:", "https://", "https:///a",
    "https://user@push.example.net/", "https://u:p@push.example.net/", "https://push.example.net:0/",
    "https://push.example.net:65536/", "https://push.example.net:x/", "https://push .example.net/", "https://push.example.net/a b",
    "https://push.example.net/\r\nX: y", "https://push.example.net/é", "https://pu%73h.example.net/", "https://[::1/", "https://[fe80::1%25eth0]/",
    "https://-a.example.net/", "https://a..example.net/", "https://" + "a" * 64 + ".example/", "https://1.2.3/",
    "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://a.0x7f/",
    "https://push.example.net\\@127.0.0.1/", "https://push.example.net/" + "a" * 4096,
]  # fmt: skip
PRIVATE_HOSTS = [
    "localhost", "a.localhost", "router", "nas.local", "db.internal", "pi.home.arpa", "x.lan", "127.0.0.1", "127.8.8.8",
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
    "255.255.255.255", "198.18.0.1", "192.0.2.1", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd00::1]", "[ff02::1]",
    "[::ffff:127.0.0.1]", "[::ffff:192.168.1.1]", "[::127.0.0.1]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::1]", "[2002:7f00:1::]",
    "[2001:0:1::1]", "[2001:db8::1]", "[3fff::1]",
]  # fmt: skip
PUBLIC_ADDRESSES = [
    "9.9.9.9",
    "172.15.0.1",
    "172.32.0.1",
    "100.128.0.1",
    "2620:fe::fe",
    "64:ff9b::909:909",
    "::ffff:9.9.9.9",
]


@pytest.mark.parametrize(("url", "taken"), GOOD.items())
def test_good_urls_are_taken_apart(url, taken):
    """Scheme, host, port, path and query."""
    assert endpoint.parse(url, private=False) == taken


@pytest.mark.parametrize("url", NEVER)
@pytest.mark.parametrize("private", [False, True])
def test_what_is_no_url_of_ours_is_never_taken(url, private):
    """Not even where private networks are allowed."""
    with pytest.raises(Unfit):
        endpoint.parse(url, private=private)


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_private_hosts_are_taken_only_where_that_is_allowed(host):
    """Names that only a network of one's own knows, and addresses of every kind that is not public."""
    with pytest.raises(Unfit):
        endpoint.parse(f"https://{host}/a", private=False)
    assert endpoint.parse(f"https://{host}/a", private=True).target == "/a"


def test_http_is_for_private_networks():
    """RFC 8620 §7.2: a URL begins with https."""
    with pytest.raises(Unfit, match="https"):
        endpoint.parse("http://push.example.net/", private=False)
    assert endpoint.parse("http://push.example.net/", private=True) == Endpoint(False, "push.example.net", 80, "/")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://push.example.net/a", "https://push.example.net"),
        ("https://Push.example.net:443/a", "https://push.example.net"),
        ("https://push.example.net:8443/a", "https://push.example.net:8443"),
        ("http://push.example.net:80/a", "http://push.example.net"),
        ("https://[2620:fe::fe]:444/", "https://[2620:fe::fe]:444"),
    ],
)
def test_origins(url, origin):
    """RFC 6454 §6.1, as the audience of a token needs it."""
    assert endpoint.parse(url, private=True).origin == origin


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_public_addresses_are_public(address):
    """Those beside private networks, and IPv4 as an IPv6-only network reaches it."""
    assert endpoint.is_public(ip_address(address))


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1))
def test_no_ipv4_address_is_public_that_python_calls_private(number):
    """Python's own table is the oracle for what must be refused; so is the address inside an IPv6 one."""
    address = IPv4Address(number)
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not endpoint.is_public(address)
    for prefix in (0xFFFF << 32, 0x64FF9B << 96):
        assert endpoint.is_public(IPv6Address(prefix | number)) == endpoint.is_public(address)


@settings(max_examples=200)
@given(st.integers(0, 2**128 - 1))
def test_no_ipv6_address_is_public_that_python_calls_private(number):
    """As above."""
    address = IPv6Address(number)
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_site_local:
        assert not endpoint.is_public(address) or address in endpoint._NAT64


def found(*addresses, host="push.example.net", private=False):
    """Return what may be connected to when a host has these addresses."""
    return endpoint.addresses(Endpoint(True, host, 443, "/"), lambda _: list(addresses), private=private)


def test_only_public_addresses_are_connected_to():
    """A name with both kinds is reached by the public ones alone."""
    assert found("10.0.0.1", "9.9.9.9", "::1", "2620:fe::fe") == ["9.9.9.9", "2620:fe::fe"]
    with pytest.raises(Unreachable, match="private"):
        found("10.0.0.1", "::ffff:127.0.0.1")
    assert found("10.0.0.1", private=True) == ["10.0.0.1"]


def test_an_address_is_not_looked_up():
    """Nor is `localhost`, where it is allowed."""

    def look_up(_):
        raise AssertionError

    assert endpoint.addresses(Endpoint(True, "9.9.9.9", 443, "/"), look_up, private=False) == ["9.9.9.9"]
    assert endpoint.addresses(Endpoint(True, "localhost", 443, "/"), look_up, private=True) == ["127.0.0.1", "::1"]
    with pytest.raises(Unreachable):
        endpoint.addresses(Endpoint(True, "127.0.0.1", 443, "/"), look_up, private=False)


def test_a_host_without_addresses_is_unreachable():
    """Whether the DNS says no, or nothing."""

    def fails(_):
        raise OSError("no answer")

    with pytest.raises(Unreachable):
        found()
    with pytest.raises(OSError, match="no answer"):
        endpoint.addresses(Endpoint(True, "push.example.net", 443, "/"), fails, private=False)
    with pytest.raises(OSError, match="no answer"):
        endpoint.addresses(Endpoint(True, "no-such-host.invalid", 443, "/"), fails, private=True)


def test_only_a_few_addresses_are_tried():
    """A name with a hundred addresses is no way to keep a push busy for long."""
    assert len(found(*(f"9.9.9.{number}" for number in range(100)))) == endpoint.MOST_ADDRESSES


@settings(max_examples=200)
@given(
    st.text(max_size=80)
    | st.from_regex(r"https?://[\w.:\[\]@%/\\?#-]{0,40}", fullmatch=True)
    | st.builds(
        lambda host: f"https://{host}/a",
        st.ip_addresses().map(str) | st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True),
    )
)
def test_whatever_is_taken_makes_one_request_to_a_public_place(url):
    """No text breaks the check; what passes has no space or line end for the request, and no private address."""
    try:
        taken = endpoint.parse(url, private=False)
    except Unfit:
        return
    assert taken.secure
    assert 0 < taken.port < 65536
    assert not set(taken.target + taken.authority) & set(" \r\n\t\0")
    assert taken.target.startswith("/")
    try:
        address = ip_address(taken.host)
    except ValueError:
        assert "." in taken.host
    else:
        assert endpoint.is_public(address)
