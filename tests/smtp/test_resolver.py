"""Look-ups over a real DNS server on loopback: answers, their cache, failures, lies, limits."""

import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.setting_kinds import Address
from minijmap.smtp import resolver as module
from minijmap.smtp.resolver import LookupFailed, Resolver
from tests.smtp.dnsserver import DnsServer

TIMEOUT = 0.6


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        """Return the time."""
        return self.now


@pytest.fixture(scope="module")
def shared():
    """Return a server for tests that only ask."""
    with DnsServer({("example.org", "A"): ["192.0.2.1"]}) as server:
        yield server


@pytest.fixture
def clock():
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def resolver(dns, clock):
    """Return a resolver that asks it."""
    return Resolver(dns.address, timeout=TIMEOUT, clock=clock)


def test_every_kind_of_record(dns, resolver):
    """Values come as plain Python, ordered where the protocol has an order."""
    dns.add("example.org", "TXT", "v=spf1 -all", 'quote " and \\ and é', "x" * 700)
    dns.add("example.org", "MX", "20 b.example.org.", "10 A.example.org.")
    dns.add("null.example.org", "MX", "0 .")
    dns.add("a.example.org", "A", "192.0.2.1", "192.0.2.2")
    dns.add("a.example.org", "AAAA", "2001:db8::1")
    dns.add("six.example.org", "AAAA", "2001:db8::2")
    dns.add("_jmap._tcp.example.org", "SRV", "1 5 443 two.example.org.", "0 5 443 one.example.org.")
    dns.add("alias.example.org", "CNAME", "a.example.org.")
    dns.add("1.2.0.192.in-addr.arpa", "PTR", "a.example.org.")

    assert sorted(resolver.txt("Example.ORG.")) == sorted(["v=spf1 -all", 'quote " and \\ and é', "x" * 700])
    assert resolver.mx("example.org") == [(10, "a.example.org"), (20, "b.example.org")]
    assert resolver.mx("null.example.org") == [(0, "")]
    found = resolver.addresses("a.example.org")
    assert sorted(found[:2]) == ["192.0.2.1", "192.0.2.2"]
    assert found[2:] == ["2001:db8::1"]
    assert resolver.addresses("six.example.org") == ["2001:db8::2"]
    assert resolver.srv("_jmap._tcp.example.org") == [(0, 5, 443, "one.example.org"), (1, 5, 443, "two.example.org")]
    assert resolver.cname("alias.example.org") == ["a.example.org"]
    assert sorted(resolver.addresses("alias.example.org")) == sorted(found)
    assert resolver.ptr("192.0.2.1") == ["a.example.org"]


def test_octets_that_are_no_text(dns, resolver):
    """A TXT record holds any octets; as text, what is not UTF-8 is replaced."""
    dns.add("bin.example", "TXT", b"a\xff\x00b")
    assert resolver.texts("bin.example") == [b"a\xff\x00b"]
    assert resolver.txt("bin.example") == ["a�\x00b"]


def test_what_does_not_exist(dns, resolver):
    """A missing name and a missing type are an empty answer."""
    dns.add("www.example.org", "A", "192.0.2.1")
    assert resolver.txt("www.example.org") == []
    assert resolver.txt("example.org") == []
    assert resolver.addresses("nowhere.example.org") == []


@pytest.mark.parametrize(
    "name", ["a..b", ".", "", "x" * 64 + ".example", "a." * 127 + "example", "bad\\", "\\999", "é" * 300, "xn--\udcff"]
)
def test_names_that_can_not_be(shared, name):
    """What is not a name has no records, and nobody is asked for long."""
    assert Resolver(shared.address, timeout=TIMEOUT).txt(name) == []


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_none(shared, name):
    """No text that a stranger sends as a domain does more than fail."""
    assert Resolver(shared.address, timeout=5.0).txt(name) == []


def test_answers_are_kept_for_their_ttl(dns, resolver, clock):
    """The server is asked once, and again when the time is over; the same holds for what does not exist."""
    dns.add("example.org", "TXT", "one", ttl=100)
    assert resolver.txt("example.org") == ["one"]
    dns.add("example.org", "TXT", "two")
    clock.now += 99
    assert resolver.txt("EXAMPLE.org") == ["one"]
    clock.now += 2
    assert resolver.txt("example.org") == ["two"]
    assert dns.count("example.org") == 2

    assert resolver.txt("later.example.org") == []
    dns.add("later.example.org", "TXT", "here")
    clock.now += 59  # the SOA's minimum is 60
    assert resolver.txt("later.example.org") == []
    clock.now += 2
    assert resolver.txt("later.example.org") == ["here"]


@pytest.mark.parametrize("ttl", [0, 2**31 - 1])
def test_extreme_ttls(dns, resolver, clock, ttl):
    """Nothing is asked for at every turn, nothing is kept for years."""
    dns.add("example.org", "TXT", "one", ttl=ttl)
    resolver.txt("example.org")
    clock.now += module.SHORTEST_TTL - 1
    resolver.txt("example.org")
    assert dns.count("example.org") == 1
    clock.now += module.LONGEST_TTL
    resolver.txt("example.org")
    assert dns.count("example.org") == 2


def test_the_cache_is_bounded(dns, resolver, monkeypatch):
    """What was not asked for longest is forgotten."""
    monkeypatch.setattr(module, "MOST_CACHED", 3)
    for name in ("a", "b", "c", "a", "d", "a", "b"):
        resolver.txt(f"{name}.example")
    assert [name for name, _ in dns.asked] == ["a.example", "b.example", "c.example", "d.example", "b.example"]


@pytest.mark.parametrize("mode", ["servfail", "refused", "timeout", "lie", "garbage"])
def test_failures(dns, resolver, clock, mode):
    """No answer, and no proper one, are a failure and no “no”; it is remembered for a moment only."""
    dns.add("example.org", "TXT", "truth")
    dns.fail("example.org", mode)
    began = time.monotonic()
    with pytest.raises(LookupFailed, match=r"^example\.org: "):
        resolver.txt("example.org")
    assert time.monotonic() - began < TIMEOUT + 1
    asked = dns.count("example.org")
    with pytest.raises(LookupFailed):
        resolver.txt("example.org")
    assert dns.count("example.org") == asked
    dns.fail("example.org", None)
    clock.now += module.FAILURE_TTL + 1
    assert resolver.txt("example.org") == ["truth"]


def test_a_record_of_another_name_is_no_answer(dns, resolver):
    """A liar's record never gets in, for whatever name it is."""
    dns.fail("victim.example", "lie")
    for kind in ("A", "AAAA", "MX", "TXT"):
        with pytest.raises(LookupFailed):
            resolver.lookup("victim.example", kind)
    assert resolver.addresses("evil.example") == []


def test_addresses_when_one_family_fails(dns, clock):
    """What is known is given; with nothing known a failure is one."""
    dns.add("example.org", "A", "192.0.2.1")
    resolver = Resolver(dns.address, timeout=TIMEOUT, clock=clock)
    resolver.lookup("example.org", "A")
    dns.fail("example.org", "servfail")
    assert resolver.addresses("example.org") == ["192.0.2.1"]
    dns.fail("other.example.org", "servfail")
    with pytest.raises(LookupFailed):
        resolver.addresses("other.example.org")


def test_truncated_answers_are_asked_for_again(dns, resolver):
    """Large answers come by TCP."""
    dns.fail("cut.example", "truncate")
    dns.add("cut.example", "TXT", "whole")
    dns.add("large.example", "TXT", "y" * 4000)
    assert resolver.txt("cut.example") == ["whole"]
    assert resolver.txt("large.example") == ["y" * 4000]


def test_alias_loops_end(dns, resolver):
    """A CNAME that leads back to itself has an end; so has a long chain."""
    dns.add("a.example", "CNAME", "b.example.")
    dns.add("b.example", "CNAME", "a.example.")
    for number in range(40):
        dns.add(f"c{number}.example", "CNAME", f"c{number + 1}.example.")
    for name in ("a.example", "c0.example"):
        try:
            assert resolver.txt(name) == []
        except LookupFailed:
            assert dns.count(name) < 5


def test_too_many_records(dns, resolver):
    """An answer beyond the limit is none."""
    dns.add("many.example", "A", *(f"10.0.{n // 250}.{n % 250}" for n in range(module.MOST_RECORDS + 1)))
    with pytest.raises(LookupFailed, match="more than"):
        resolver.addresses("many.example")


def test_a_budget_of_lookups(dns, resolver):
    """After so many questions each fails, known answers included; the resolver itself goes on."""
    dns.add("example.org", "TXT", "one")
    budget = resolver.budget(10, 2)
    assert budget.txt("example.org") == ["one"]
    assert budget.txt("none.example") == []
    with pytest.raises(LookupFailed, match="too many look-ups"):
        budget.txt("example.org")
    assert resolver.txt("example.org") == ["one"]


def test_a_budget_of_time(dns):
    """Time-outs add up to no more than was allowed."""
    for number in range(20):
        dns.fail(f"n{number}.example", "timeout")
    budget = Resolver(dns.address, timeout=0.2).budget(0.5, 100)
    began = time.monotonic()
    for number in range(20):
        with pytest.raises(LookupFailed):
            budget.txt(f"n{number}.example")
    assert time.monotonic() - began < 1.5
    assert budget.seconds_left == 0


def test_nobody_listens():
    """Without a DNS server every look-up fails soon, with a reason in words."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(LookupFailed) as failed:
        Resolver(Address("127.0.0.1", port), timeout=TIMEOUT).mx("example.org")
    assert failed.value.name == "example.org"
    assert failed.value.reason
    assert time.monotonic() - began < TIMEOUT + module.PROBE_SECONDS + 1


def test_a_server_that_never_answers(dns, clock, monkeypatch):
    """It is asked once; then nothing waits for it, until it gets another chance."""
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.2)
    dns.add("example.org", "TXT", "here")
    dns.fail_all("timeout")
    resolver = Resolver(dns.address, timeout=TIMEOUT, clock=clock)
    with pytest.raises(LookupFailed, match="no answer in time"):
        resolver.txt("one.example")
    began = time.monotonic()
    for name in ("two.example", "three.example", "example.org"):
        with pytest.raises(LookupFailed, match="does not answer"):
            resolver.txt(name)
    assert time.monotonic() - began < TIMEOUT / 2
    dns.fail_all(None)
    clock.now += module.DEAD_SECONDS + 1
    assert resolver.txt("example.org") == ["here"]


def test_a_name_that_never_answers_is_alone(dns, resolver):
    """A stranger's silent servers do not keep anybody else's names from being looked up."""
    dns.add("example.org", "TXT", "here")
    dns.fail("slow.example", "timeout")
    with pytest.raises(LookupFailed):
        resolver.txt("slow.example")
    assert resolver.txt("example.org") == ["here"]


def test_several_threads(dns, resolver):
    """Threads that ask at once all get their answers."""
    for number in range(20):
        dns.add(f"n{number}.example", "A", f"192.0.2.{number}")
    results = []

    def ask(number):
        results.append([resolver.addresses(f"n{(number + k) % 20}.example")[0][8:] for k in range(20)])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(sorted(result, key=int) == [str(n) for n in range(20)] for result in results)
