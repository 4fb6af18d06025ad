"""ARC chains: sealed by dkimpy as forwarders do, checked as they come in (RFC 8617)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.smtp import dkimcheck
from minijmap.smtp.resolver import Resolver
from tests.smtp.dnsserver import DnsServer
from tests.smtp.signing import LETTER, public_key, publish, sealed, signed

FOUND = b"Authentication-Results: list.example; spf=pass smtp.mailfrom=remote.example; dmarc=pass header.from=remote.example\r\n"
AGAIN = b"Authentication-Results: second.example; arc=pass; dmarc=fail header.from=remote.example\r\n"


@pytest.fixture(scope="module")
def world():
    """Return a DNS with the keys of a sender and two forwarders."""
    with DnsServer() as dns:
        for domain in ("remote.example", "list.example", "second.example"):
            publish(dns, domain)
        yield dns


def chain(dns, message):
    """Return what became of the chain."""
    return dkimcheck.check_chain(dkimcheck.split(message), Resolver(dns.address, timeout=0.3).budget(5, 200))


def once():
    """Return a message that one forwarder has sealed."""
    return sealed(FOUND + signed())


def twice():
    """Return a message that went through two, the second of which changed it."""
    return sealed(
        AGAIN + once().replace(b"Subject: A", b"Subject: [list] A"), "second.example", srv_id="second.example"
    )


def test_no_chain(world):
    """There is none, and that is no failure."""
    assert chain(world, signed()) == dkimcheck.Chain(dkimcheck.Result("arc", "none"))


def test_one_forwarder(world):
    """The chain is good; the first set says what DMARC found there."""
    found = chain(world, once())
    assert (found.result.value, found.first_dmarc) == ("pass", "pass")
    assert dict(found.result.properties) == {"header.oldest-pass": "0", "header.d": "list.example"}


def test_two_forwarders(world):
    """The second changed the message: the chain is good still, and the first signature is not."""
    found = chain(world, twice())
    assert (found.result.value, found.first_dmarc) == ("pass", "pass")
    assert dict(found.result.properties) == {"header.oldest-pass": "2", "header.d": "second.example"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda mail: mail.replace(b"Dear", b"Fear"),
        lambda mail: mail.replace(b"Subject: A", b"Subject: The"),
        lambda mail: mail.replace(b"dmarc=pass", b"dmarc=fail"),
        lambda mail: mail.replace(b"cv=none", b"cv=pass"),
        lambda mail: mail.replace(b"cv=none", b"cv=fail"),
        lambda mail: mail.replace(b"cv=none", b"cv=good"),
        lambda mail: mail.replace(b"i=1;", b"i=2;"),
        lambda mail: mail.replace(b"i=1;", b"i=60;"),
        lambda mail: mail.replace(b"i=1;", b"i=;"),
        lambda mail: mail.replace(b"ARC-Seal: i=1", b"ARC-Seal: i=0"),
        lambda mail: mail.replace(b"ARC-Seal", b"ARC-Deal"),
        lambda mail: mail.replace(b"ARC-Authentication-Results", b"ARC-Authentication-Resolves"),
        lambda mail: mail[: mail.index(b"ARC-Message")] + mail,
        lambda mail: mail.replace(b"list.example;", b"other.example;"),
    ],
)
def test_broken_chains(world, damage):
    """Whatever is not as it was sealed, or is not whole, makes the chain a failure."""
    mail = damage(once())
    assert mail != once()
    found = chain(world, mail)
    assert found.result.value == "fail"
    assert found.result.reason
    assert found.first_dmarc == ""


@pytest.mark.parametrize("mode", ["servfail", "timeout", "garbage"])
def test_keys_that_can_not_be_looked_up(dns, mode):
    """RFC 8617 §5.2.1: every failure is final, those of the DNS too."""
    publish(dns, "list.example")
    dns.fail("s1._domainkey.list.example", mode)
    assert chain(dns, once()).result.value == "fail"


def test_a_key_for_the_domain_alone_seals(dns):
    """The flag t=s is about addresses, which a seal has none of."""
    dns.add("s1._domainkey.list.example", "TXT", f"v=DKIM1; t=s; p={public_key(2048)}")
    assert chain(dns, once()).result.value == "pass"


def test_a_signature_folded_in_another_way(world):
    """Where the instance stands on a line does not matter in relaxed form."""
    mail = once().replace(b"ARC-Message-Signature: i=1;", b"ARC-Message-Signature:\r\n\ti=1;")
    assert chain(world, mail).result.value == "pass"


@pytest.mark.parametrize(
    "fields",
    [
        b"".join(
            b"ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=a.example; s=s; b=AAAA\r\n"
            b"ARC-Message-Signature: i=%d; a=rsa-sha256; d=a.example; s=s; h=from; bh=AAAA; b=AAAA\r\n"
            b"ARC-Authentication-Results: i=%d; a.example; none\r\n" % (n, n, n)
            for n in range(1, 60)
        ),
        b"ARC-Seal: i=999999999; cv=pass\r\n" * 1000,
        b"ARC-Authentication-Results: i=" + b"9" * 5000 + b";\r\n",
        b"ARC-Seal: " + b"i=" * 4000 + b"\r\n",
        b"ARC-Authentication-Results: " + b" " * 500_000 + b"i=1\r\n",
        b"ARC-Message-Signature: i=1\r\n",
    ],
)
def test_hostile_chains_cost_little(world, fields):
    """The worst end soon, and badly."""
    began = time.monotonic()
    assert chain(world, fields + LETTER).result.value == "fail"
    assert time.monotonic() - began < 2


@given(st.lists(st.sampled_from([b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])), st.data())
def test_any_fields_are_checked(world, names, data):
    """No field raises."""
    text = st.text("i=1;2 cvpassnodhbABf:.\x00é", max_size=60).map(str.encode)
    mail = b"".join(name + b": " + data.draw(text) + b"\r\n" for name in names) + LETTER
    assert chain(world, mail).result.value in {"none", "fail"}
