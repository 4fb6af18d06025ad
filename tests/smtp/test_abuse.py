"""Slowing down abusers: what is counted, what runs off, and who is never held up (RFC 5321 §7.8)."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.config import Settings
from minijmap.smtp import abuse
from minijmap.smtp.abuse import Abuse, Buckets, Rate
from minijmap.smtp.service import Full, Limits, Service

STRANGER = "192.0.2.1"
EXEMPT = [
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "::ffff:127.0.0.1",
    "10.1.2.3",
    "::ffff:10.1.2.3",
    "2001:db8:1::5",
    "unknown",
]


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self):
        """Return the time."""
        return self.now


@pytest.fixture
def clock():
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def counts(clock):
    """Return the counts of a listener behind a proxy in 10.0.0.0/8."""
    return Abuse((ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")), clock)


def test_connections(counts, clock):
    """So many at once, then one a second."""
    burst = int(abuse.CONNECTIONS.burst)
    assert [counts.connects(STRANGER) for _ in range(burst + 2)] == [True] * burst + [False] * 2
    assert counts.connects("192.0.2.2")
    clock.now += 1 / abuse.CONNECTIONS.per_second
    assert [counts.connects(STRANGER) for _ in range(2)] == [True, False]


def test_refusals_slow_down(counts, clock):
    """A few cost nothing, then each makes replies slower, to a limit; it runs off with time."""
    for _ in range(int(abuse.REFUSALS.burst)):
        counts.refused(STRANGER)
    assert counts.delay(STRANGER) == 0
    counts.refused(STRANGER)
    assert counts.delay(STRANGER) == 0.5
    for _ in range(1000):
        counts.refused(STRANGER)
    assert counts.delay(STRANGER) == abuse.LONGEST_DELAY
    assert counts.delay("192.0.2.2") == 0
    clock.now += abuse.REFUSALS.burst / abuse.REFUSALS.per_second
    assert counts.delay(STRANGER) == 0


def test_messages_of_a_sender(counts):
    """Each sender at each address has a rate of its own."""
    burst = int(abuse.MESSAGES.burst)
    assert all(counts.sends(STRANGER, "eve@evil.example") for _ in range(burst))
    assert not counts.sends(STRANGER, "EVE@evil.example")
    assert counts.sends(STRANGER, "bob@remote.example")
    assert counts.sends("192.0.2.2", "eve@evil.example")


def test_an_ipv6_network_is_one_client(counts):
    """Who has 2^64 addresses is counted once."""
    for number in range(int(abuse.CONNECTIONS.burst)):
        counts.connects(f"2001:db8:2::{number:x}")
    assert not counts.connects("2001:db8:2::ffff")
    assert counts.connects("2001:db8:2:1::1")


@pytest.mark.parametrize("address", EXEMPT)
def test_never_held_up(counts, address):
    """Loopback and trusted proxies: whatever comes from there, there is no limit."""
    for _ in range(1000):
        counts.refused(address)
        assert counts.connects(address)
        assert counts.sends(address, "eve@evil.example")
    assert counts.delay(address) == 0


def test_a_clock_set_back(counts, clock):
    """Nothing runs off, nothing is held for longer."""
    for _ in range(100):
        counts.refused(STRANGER)
    before = counts.delay(STRANGER)
    clock.now -= 100_000
    assert counts.delay(STRANGER) == before


def test_the_table_is_bounded(clock, monkeypatch):
    """What was not counted for longest is forgotten."""
    monkeypatch.setattr(abuse, "MOST_ENTRIES", 2)
    buckets = Buckets(Rate(1, 0), clock)
    assert all(buckets.add(name) for name in "abc")
    assert [buckets.over(name) for name in "abc"] == [0, 0, 0]
    assert buckets.add("a")
    assert not buckets.add("c")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 100)), max_size=60))
def test_no_more_than_the_rate(steps):
    """Over any time, a key gets the burst and what the time allows, and no more."""
    clock = Clock()
    buckets = Buckets(Rate(5, 0.1), clock)
    began, taken = clock.now, 0
    for key, seconds in steps:
        clock.now += seconds
        taken += key == "a" and buckets.add(key)
    assert taken <= 5 + 0.1 * (clock.now - began) + 1e-6


def test_connections_of_a_listener(household, clock):
    """The rate is kept where connections are admitted."""
    settings = Settings(hostname="mx.example.org", trusted_proxies=(ip_network("10.0.0.0/8"),))
    service = Service(settings, household.database, clock, Limits(connections_per_address=2))
    for _ in range(int(abuse.CONNECTIONS.burst)):
        with service.admitted(STRANGER):
            pass
    with pytest.raises(Full), service.admitted(STRANGER):
        pass
    with service.admitted("10.0.0.1"), service.admitted("10.0.0.1"), service.admitted("10.0.0.1"):
        pass  # a proxy's connections are its clients'
    service.close()


@pytest.fixture
def noted(household):
    """Let the listener take loopback for a stranger; return its counts."""
    counts = household.listener._service.abuse
    counts.is_exempt = lambda _address: False
    return counts


def test_refusals_of_a_connection(household, connect, noted):
    """What is refused is counted; what is accepted is not."""
    client = connect(household)
    client.says("EHLO client.example", "250")
    client.says("MAIL FROM:<bob@remote.example>", "250 ")
    for number in range(3):
        client.says(f"RCPT TO:<guess{number}@example.org>", "550 5.1.1 ")
    assert noted._refusals._levels["127.0.0.1"][0] == 3


def test_too_many_messages_of_a_sender(household, connect, noted):
    """MAIL is answered with “later”, and other senders go on."""
    for _ in range(int(abuse.MESSAGES.burst)):
        noted.sends("127.0.0.1", "eve@evil.example")
    client = connect(household)
    client.says("EHLO client.example", "250")
    client.says("MAIL FROM:<eve@evil.example>", "451 4.7.1 ")
    client.says("MAIL FROM:<bob@remote.example>", "250 ")
