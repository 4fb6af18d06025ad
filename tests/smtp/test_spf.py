"""SPF over a real DNS: every result, and the limits (RFC 7208)."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.smtp import spfcheck
from minijmap.smtp.resolver import Resolver
from tests.smtp.dnsserver import DnsServer

HERE = "192.0.2.1"


def check(dns, sender="bob@remote.example", ip=HERE, helo="mail.remote.example"):
    """Return the result word and the domain."""
    result, domain = spfcheck.check(
        Resolver(dns.address, timeout=0.3).budget(5, 111), ip, sender, helo, "mx.example.org"
    )
    return result.value, domain


@pytest.fixture(scope="module")
def world():
    """Return a DNS with a well-kept domain."""
    with DnsServer() as dns:
        dns.add("remote.example", "MX", "10 mail.remote.example.", "20 backup.remote.example.")
        dns.add("remote.example", "A", "192.0.2.10")
        dns.add("mail.remote.example", "A", "192.0.2.1")
        dns.add("mail.remote.example", "AAAA", "2001:db8::1")
        dns.add("backup.remote.example", "A", "192.0.2.2")
        dns.add("1.2.0.192.in-addr.arpa", "PTR", "mail.remote.example.")
        dns.add("alias.example", "CNAME", "good.example.")
        dns.add("good.example", "TXT", "v=spf1 mx:remote.example -all")
        dns.add("bad.example", "TXT", "v=spf1 -all")
        dns.add("nothing.example", "TXT", "no policy")
        dns.add("two.example", "TXT", "v=spf1 -all", "v=spf1 +all")
        dns.add("192.0.2.1.exists.example", "A", "127.0.0.2")
        yield dns


@pytest.mark.parametrize(
    ("record", "value"),
    [
        ("v=spf1 ip4:192.0.2.1 -all", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 ip4:192.0.3.0/24 -all", "fail"),
        ("v=spf1 ip4:192.0.3.0/24 ~all", "softfail"),
        ("v=spf1 ip4:192.0.3.0/24 ?all", "neutral"),
        ("v=spf1 ip4:192.0.3.0/24", "neutral"),
        ("v=spf1 mx:remote.example -all", "pass"),
        ("v=spf1 a:remote.example -all", "fail"),
        ("v=spf1 a:remote.example/28 -all", "pass"),
        ("v=spf1 a:mail.remote.example -all", "pass"),
        ("v=spf1 ptr:remote.example -all", "pass"),
        ("v=spf1 exists:%{i}.exists.example -all", "pass"),
        ("v=spf1 include:good.example -all", "pass"),
        ("v=spf1 include:alias.example -all", "pass"),
        ("v=spf1 include:bad.example ~all", "softfail"),
        ("v=spf1 include:nothing.example ~all", "permerror"),
        ("v=spf1 include:two.example ~all", "permerror"),
        ("v=spf1 redirect=good.example", "pass"),
        ("v=spf1 redirect=nothing.example", "permerror"),
        ("V=SPF1 +ALL", "pass"),
        ("v=spf1 ipv4:192.0.2.1 -all", "permerror"),
        ("v=spf1 ip4:192.0.2.300 -all", "permerror"),
        ("v=spf1 a:%{q} -all", "permerror"),
        ("v=spf1  -all", "fail"),
        ("v=spf10 -all", "none"),
        ("spf2.0/mfrom -all", "none"),
        ("v=spf1 -all exp=why.example", "fail"),
    ],
)
def test_records(world, record, value):
    """A client at 192.0.2.1, for each kind of term."""
    world.add("test.example", "TXT", record)
    assert check(world, "bob@test.example") == (value, "test.example")


@pytest.mark.parametrize(
    ("record", "ip", "value"),
    [
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::1", "pass"),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db9::1", "fail"),
        ("v=spf1 mx:remote.example -all", "2001:db8::1", "pass"),
        ("v=spf1 ip4:192.0.2.1 -all", "::ffff:192.0.2.1", "pass"),
        ("v=spf1 ip4:127.0.0.1 -all", "127.0.0.1", "pass"),
        ("v=spf1 -all", "127.0.0.1", "fail"),
        ("v=spf1 -all", "::1", "fail"),
        ("v=spf1 ip6:fe80::/10 -all", "fe80::1%eth0", "pass"),
        ("v=spf1 +all", "unknown", "permerror"),
    ],
)
def test_clients(world, record, ip, value):
    """IPv6, IPv4 in disguise, and this machine, which is a client like any other."""
    world.add("test.example", "TXT", record)
    assert check(world, "bob@test.example", ip)[0] == value


@pytest.mark.parametrize(
    ("sender", "helo", "result"),
    [
        ("bob@remote.example", "x", ("none", "remote.example")),
        ("bob@good.example", "x", ("pass", "good.example")),
        ("bob@GOOD.example.", "x", ("pass", "good.example")),
        ('"a b@c"@good.example', "x", ("pass", "good.example")),
        ("bob@two.example", "x", ("permerror", "two.example")),
        ("bob@nowhere.example", "x", ("none", "nowhere.example")),
        ("bob@example", "x", ("none", "")),
        ("bob@[192.0.2.1]", "x", ("none", "")),
        ("bob@bücher.example", "x", ("pass", "xn--bcher-kva.example")),
        ("", "good.example", ("pass", "good.example")),
        ("", "bad.example", ("fail", "bad.example")),
        ("", "[192.0.2.1]", ("none", "")),
        ("", "localhost", ("none", "")),
        ("", "a..b", ("none", "")),
        ("bob@" + "x" * 64 + ".example", "x", ("none", "")),
    ],
)
def test_whom_it_is_about(world, sender, helo, result):
    """The domain of the sender, and with an empty sender the client's name (RFC 7208 §2.4)."""
    world.add("xn--bcher-kva.example", "TXT", "v=spf1 +all")
    assert check(world, sender, helo=helo) == result


def test_what_is_reported(world):
    """RFC 8601 §2.7.2: which identity, without the local part; the reason where something is wrong."""
    questions = Resolver(world.address)
    result, _ = spfcheck.check(questions, HERE, "bob@good.example", "x.example", "mx.example.org")
    assert result.text() == "spf=pass smtp.mailfrom=good.example"
    result, _ = spfcheck.check(questions, HERE, "", "good.example", "mx.example.org")
    assert result.text() == "spf=pass smtp.helo=good.example"
    result, _ = spfcheck.check(questions, HERE, "bob@two.example", "x.example", "mx.example.org")
    assert result.text().startswith('spf=permerror reason="SPF Permanent Error: ')


def test_ten_lookups_and_no_more(dns):
    """RFC 7208 §4.6.4: ten terms that ask the DNS are fine, eleven are a permanent error."""
    for number in range(12):
        dns.add(f"n{number}.example", "A", "192.0.2.200")
    terms = [f"a:n{number}.example" for number in range(12)]
    dns.add("ten.example", "TXT", " ".join(["v=spf1", *terms[:10], "-all"]))
    dns.add("eleven.example", "TXT", " ".join(["v=spf1", *terms[:11], "-all"]))
    assert check(dns, "bob@ten.example")[0] == "fail"
    assert check(dns, "bob@eleven.example")[0] == "permerror"


def test_two_void_lookups_and_no_more(dns):
    """Names that do not exist: two may be asked for."""
    for count, value in ((2, "pass"), (3, "permerror")):
        terms = [f"a:missing{number}.example" for number in range(count)]
        dns.add("void.example", "TXT", " ".join(["v=spf1", *terms, "+all"]))
        assert check(dns, "bob@void.example")[0] == value


def test_mx_hosts_without_an_address_of_this_kind(dns):
    """They are no void terms: else a client with IPv6 would break every domain with three old servers."""
    dns.add("old.example", "MX", *(f"10 mx{number}.old.example." for number in range(5)))
    for number in range(5):
        dns.add(f"mx{number}.old.example", "A", "192.0.2.200")
    dns.add("old.example", "TXT", "v=spf1 mx ~all")
    assert check(dns, "bob@old.example", "2001:db8::1")[0] == "softfail"
    dns.add("old.example", "MX", *(f"10 mx{number}.old.example." for number in range(11)))
    assert check(dns, "bob@old.example")[0] == "permerror"


@pytest.mark.parametrize(
    "records",
    [
        {"loop.example": "v=spf1 include:loop.example -all"},
        {"loop.example": "v=spf1 include:b.example -all", "b.example": "v=spf1 include:loop.example -all"},
        {"loop.example": "v=spf1 redirect=loop.example"},
        {"loop.example": "v=spf1 redirect=b.example", "b.example": "v=spf1 redirect=loop.example"},
        {f"n{n}.example" if n else "loop.example": f"v=spf1 include:n{n + 1}.example -all" for n in range(40)},
        {
            "loop.example": "v=spf1 " + "include:b.example " * 500,
            "b.example": "v=spf1 " + "include:loop.example " * 500,
        },
    ],
)
def test_loops_end(dns, records):
    """Records that lead back to themselves are a permanent error, soon."""
    for name, text in records.items():
        dns.add(name, "TXT", text)
    began = time.monotonic()
    assert check(dns, "bob@loop.example")[0] == "permerror"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("mode", ["servfail", "timeout", "lie", "garbage"])
def test_the_dns_fails(dns, mode):
    """The record, or what it needs, can't be had: a temporary error."""
    dns.add("remote.example", "TXT", "v=spf1 a:broken.example -all")
    dns.fail("broken.example", mode)
    assert check(dns)[0] == "temperror"
    dns.fail("remote.example", mode)
    assert check(dns)[0] == "temperror"


def test_time_is_limited(dns):
    """Names that never answer cost no more than there is to spend."""
    terms = [f"exists:slow{number}.example" for number in range(10)]
    dns.add("slow.example", "TXT", " ".join(["v=spf1", *terms, "-all"]))
    for number in range(10):
        dns.fail(f"slow{number}.example", "timeout")
    began = time.monotonic()
    questions = Resolver(dns.address, timeout=0.3).budget(0.5, 111)
    assert spfcheck.check(questions, HERE, "bob@slow.example", "x.example", "mx")[0].value == "temperror"
    assert time.monotonic() - began < 2


TERMS = st.sampled_from(
    [
        "v=spf1",
        "a",
        "mx",
        "ptr",
        "-all",
        "include:test.example",
        "redirect=test.example",
        "%{",
        "%{ir}",
        "exp=%{l}",
        "ip4:",
    ]
)


@settings(max_examples=200)
@given(st.lists(st.one_of(TERMS, st.text("v=spf1a:/%{}+-?~.0x ", max_size=12)), max_size=12))
def test_any_record_has_a_result(world, terms):
    """No record raises."""
    world.add("test.example", "TXT", " ".join(["v=spf1", *terms]))
    assert check(world, "bob@test.example")[0] in spfcheck.RESULTS
