"""DKIM signatures on what comes in: dkimpy signs, a real DNS has the keys, each result has its cases (RFC 6376)."""

import base64
import hashlib
import time

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.smtp import dkimcheck
from tests.smtp.dnsserver import DnsServer
from tests.smtp.signing import LETTER, checked, public_key, publish, signed, values

# RFC 8463 §A
FOOTBALL = """\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace("\n", "\r\n").encode()
FOOTBALL_KEYS = {
    "brisbane": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test": (
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
        "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
        "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
        "Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
    ),
}


@pytest.fixture(scope="module")
def world():
    """Return a DNS with the key of remote.example under s1."""
    with DnsServer() as dns:
        publish(dns)
        yield dns


def test_the_example_of_the_specification(dns):
    """RSA and Ed25519, each on its own; with one octet changed, both are bad."""
    for selector, record in FOOTBALL_KEYS.items():
        dns.add(f"{selector}._domainkey.football.example.com", "TXT", record)
    assert values(dns, FOOTBALL) == ["pass", "pass"]
    assert values(dns, FOOTBALL.replace(b"dinner", b"supper")) == ["fail", "fail"]
    assert values(dns, FOOTBALL.replace(b"hungry", b"thirsty")) == ["fail", "fail"]


@pytest.mark.parametrize("form", ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"])
def test_what_is_signed_and_what_is_not(world, form):
    """Every canonical form: as sent it passes; the body, a signed field or another From make it fail."""
    mail = signed(form=form)
    assert checked(world, mail) == [("remote.example", "pass", "")]
    assert checked(world, mail.replace(b"how\tare", b"who\tare")) == [("remote.example", "fail", "body hash mismatch")]
    assert checked(world, mail.replace(b"A letter", b"A better")) == [("remote.example", "fail", "bad signature")]
    assert values(world, mail + b"more\r\n") == ["fail"]
    assert values(world, b"From: Eve <eve@evil.example>\r\n" + mail) == ["fail"]
    assert values(world, mail + b"\r\n\r\n") == ["pass"]  # empty lines at the end do not count
    assert values(world, b"Received: from here\r\n" + mail) == ["pass"]


def test_what_relaxed_forgives(world):
    """White space and the case of names may change on the way in relaxed form alone."""
    for form, value in (("relaxed/relaxed", "pass"), ("simple/simple", "fail")):
        mail = signed(form=form)
        assert values(world, mail.replace(b"Subject: A letter,\r\n\t", b"SUBJECT:   A letter, ")) == [value]
        assert values(world, mail.replace(b"Dear  Alice, \r\n", b"Dear Alice,\r\n")) == [value]


def test_no_signature(world):
    """Nothing was signed: nothing is found."""
    assert checked(world, LETTER) == []


def test_several_signatures(world):
    """Each has its result, in the order of the message; a strange one takes nothing from a good one."""
    publish(world, "list.example", "s2")
    mail = signed(signed(), "list.example", "s2")
    mail = b"DKIM-Signature: nonsense\r\n" + mail
    assert checked(world, mail) == [
        ("", "neutral", "the signature is malformed"),
        ("list.example", "pass", ""),
        ("remote.example", "pass", ""),
    ]


def test_the_wanted_domain_comes_first(world):
    """Of many signatures, those that matter are looked at."""
    mail = b"DKIM-Signature: v=1; d=evil.example; s=x\r\n" * 50 + signed()
    found = checked(world, mail, first=lambda domain: domain == "remote.example")
    assert len(found) == dkimcheck.MOST_SIGNATURES
    assert found[0] == ("remote.example", "pass", "")


def test_a_thousand_signatures(world):
    """They cost what ten do."""
    one = signed()[: -len(LETTER)]
    began = time.monotonic()
    assert len(values(world, one * 1000 + LETTER)) == 10
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("record", "value", "reason"),
    [
        (None, "permerror", "no key is published"),
        ("v=DKIM1; p=", "permerror", "the key is revoked"),
        ("v=DKIM2; p=KEY", "permerror", "the key record has another version"),
        ("p=KEY", "pass", ""),
        ("k=rsa; v=DKIM1; p=KEY", "permerror", "the key record has another version"),
        ("v=DKIM1; k=ed25519; p=KEY", "permerror", "the key is malformed"),
        ("v=DKIM1; k=dsa; p=KEY", "permerror", "the key has an unknown type"),
        ("v=DKIM1; p=AAAA", "permerror", "the key is malformed"),
        ("v=DKIM1; p=?", "neutral", "malformed base64"),
        ("v=DKIM1; s=tlsrpt; p=KEY", "permerror", "the key is not for mail"),
        ("v=DKIM1; s=other:email; p=KEY", "pass", ""),
        ("v=DKIM1; h=sha1; p=KEY", "permerror", "the key is not for this signature"),
        ("v=DKIM1; h=sha1:sha256; p=KEY", "pass", ""),
        ("v=DKIM1; t=y; p=KEY", "policy", "the key is for tests"),
        ("v=DKIM1; t=s; p=KEY", "pass", ""),
        ("no tags at all", "permerror", "the key record is malformed"),
    ],
)
def test_keys(dns, record, value, reason):
    """What a key record says decides (RFC 6376 §3.6.1)."""
    if record is not None:
        dns.add("s1._domainkey.remote.example", "TXT", record.replace("KEY", public_key(2048)))
    assert checked(dns, signed()) == [("remote.example", value, reason)]


def test_a_key_for_the_domain_alone(dns):
    """With t=s a signature in the name of a sub-domain is none."""
    publish(dns, tags="v=DKIM1; t=s; ")
    assert values(dns, signed(identity=b"@sub.remote.example")) == ["permerror"]
    assert values(dns, signed(identity=b"bob@remote.example")) == ["pass"]


def test_short_keys(dns):
    """RFC 8301: 1024 bits are the least."""
    publish(dns, bits=1024, selector="s1024")
    assert values(dns, signed(bits=1024, selector="s1024")) == ["pass"]
    short = (
        "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALY0wRdbFHE2YwGFbGqN0kIxLGxlHVxq0XKJGoSHPs0b8oDCLm0mFkjVdgpG0sSpFbJjJqyRDYWN"
    )
    short += "0Ai8oVtK4H8CAwEAAQ=="
    dns.add("s1._domainkey.remote.example", "TXT", f"p={short}")
    assert checked(dns, signed()) == [("remote.example", "permerror", "the key has 512 bits")]


def retagged(mail, old, new):
    """Change a tag of the signature; its own signature then no longer fits, but that is not what is looked at."""
    head, body = mail[: -len(LETTER)], mail[-len(LETTER) :]
    assert old in head
    return head.replace(old, new) + body


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        (b"v=1", b"v=2", "neutral"),
        (b"a=rsa-sha256", b"a=rsa-sha1", "policy"),
        (b"a=rsa-sha256", b"a=rsa-md5", "neutral"),
        (b"c=relaxed/relaxed", b"c=odd/relaxed", "neutral"),
        (b"remote.example", b"remote..example", "permerror"),
        (b"d=remote.example", b"d=other.example", "neutral"),
        (b"s=s1", b"s=s1/../x", "permerror"),
        (b"i=@remote.example", b"i=@other.example", "neutral"),
        (b"q=dns/txt", b"q=http", "neutral"),
        (b"t=", b"x=1000000000; t=", "neutral"),
        (b"t=", b"x=1999999999; t=", "fail"),
        (b"t=", b"x=soon; t=", "neutral"),
        (b"t=", b"l=3; t=", "policy"),
        (b"t=", b"l=99999; t=", "policy"),
        (b"t=", b"v=1; t=", "neutral"),
        (b"bh=", b"hb=", "neutral"),
        (b"from", b"form", "permerror"),
        (b"s=s1", b"s=s2", "permerror"),
    ],
)
def test_tags(world, old, new, value):
    """A signature that says it is something else, or nothing that can be understood."""
    assert values(world, retagged(signed(), old, new)) == [value]


def test_a_body_signed_in_part(world):
    """`l` that covers all is as good as none; what was appended is not covered, and that is not accepted."""
    mail = signed(length=True)
    assert values(world, mail) == ["pass"]
    assert values(world, mail + b"Buy this!\r\n") == ["policy"]


@pytest.mark.parametrize("mode", ["servfail", "timeout", "lie", "garbage"])
def test_keys_that_can_not_be_looked_up(dns, mode):
    """A temporary error is one, and no failure."""
    publish(dns)
    dns.fail("s1._domainkey.remote.example", mode)
    assert values(dns, signed()) == ["temperror"]


def test_a_first_field_that_is_none():
    """A header that is none is not verified, nor one that is larger than any."""
    assert dkimcheck.split(b"no field\r\n" + LETTER) is None
    assert dkimcheck.split(b" folded\r\n" + LETTER) is None
    assert dkimcheck.split(b"X: y\r\n" * (dkimcheck.MOST_FIELDS + 1) + b"\r\n") is None
    assert dkimcheck.split(b"X: " + b"y" * dkimcheck.MOST_HEADER + b"\r\n\r\n") is None
    assert dkimcheck.split(b"X: y\r\n\r\nbody") == dkimcheck.Message([(b"X", b" y\r\n")], b"body")
    assert dkimcheck.split(b"X : y\n z\n\nbody") == dkimcheck.Message([(b"X ", b" y\r\n z\r\n")], b"body")
    assert dkimcheck.split(b"X: y\r\n") == dkimcheck.Message([(b"X", b" y\r\n")], b"")
    assert dkimcheck.split(b"") == dkimcheck.Message([], b"")


@pytest.mark.parametrize(
    "value",
    [
        b" v=1; a=rsa-sha256; b=" + b" " * 8000 + b"!; bh=A; d=a.example; s=s; h=from",
        b" v=1; a=rsa-sha256; b=" + b"A " * 4000 + b"!; bh=A; d=a.example; s=s; h=from",
        b" v=1; a=rsa-sha256; b=" + (b"A" + b" " * 99) * 70 + b"!; bh=A; d=a.example; s=s; h=from",
        b" v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=a.example; s=s; h=" + b"from:" * 1500,
        b";" * 8000,
        b" v=1;" * 1500,
        b"=" * 8000,
        b" v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=a.example; s=s; h=from; x=" + b"9" * 7000,
        b" v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=a.example; s=s; h=from; l=" + b"9" * 76,
        b" v=1; a=rsa-sha256; b=\xff\xfe; bh=AAAA; d=\xff; s=s; h=from",
        b" v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=; s=; h=",
    ],
)
def test_hostile_signatures_cost_little(world, value):
    """Ten of the worst take no noticeable time, and none passes."""
    mail = (b"DKIM-Signature:" + value + b"\r\n") * 10 + LETTER
    began = time.monotonic()
    assert "pass" not in values(world, mail)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("octets", [b" ", b"\t", b" \r\n", b"\r\n", b"\n", b"\r", b"x", b" x", b"\r\r\n"])
def test_hostile_bodies_cost_little(octets):
    """Both forms of a body of one repeated piece take time in proportion to its size."""
    body = octets * (4_000_000 // len(octets))
    began = time.monotonic()
    dkimcheck.relaxed_body(body)
    dkimcheck.simple_body(body)
    assert time.monotonic() - began < 2


BODIES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\n", b"\r", b"  ", b"\r\n\r\n", b"b c"]), max_size=30)


@settings(max_examples=200)
@given(BODIES)
def test_bodies_are_as_dkimpy_has_them(pieces):
    """The canonical forms are those of the library, where it goes by the specification."""
    body = b"".join(pieces)
    whole = body if body.endswith(b"\r\n") else body + b"\r\n"
    assert dkimcheck.simple_body(whole) == dkim.canonicalization.Simple.canonicalize_body(whole)
    assert dkimcheck.relaxed_body(whole) == dkim.canonicalization.Relaxed.canonicalize_body(whole)
    # RFC 6376 §3.4.3, §3.4.4: a last line without its end gets one.
    assert dkimcheck.simple_body(body) == dkimcheck.simple_body(whole)
    assert dkimcheck.relaxed_body(body) == dkimcheck.relaxed_body(whole)


@given(BODIES)
def test_a_body_in_pieces(pieces):
    """Where a body is cut to be worked on makes no difference."""
    body = b"".join(pieces)
    whole = dkimcheck.relaxed_body(body)
    for piece in (0, 1, 2, 7):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dkimcheck, "PIECE", piece)
            assert dkimcheck.relaxed_body(body) == whole


def test_the_empty_body():
    """Simple makes it one line end, relaxed nothing (RFC 6376 §3.4.3, §3.4.4)."""
    assert dkimcheck.simple_body(b"") == b"\r\n"
    assert dkimcheck.relaxed_body(b"") == dkimcheck.relaxed_body(b" \r\n\r\n") == b""
    assert base64.b64encode(hashlib.sha256(dkimcheck.relaxed_body(b"")).digest()) == (
        b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    )


@given(st.binary(max_size=300))
def test_any_octets_are_split_and_checked(world, octets):
    """Nothing that arrives does more than not to be verified."""
    parts = dkimcheck.split(octets)
    assert parts is None or isinstance(parts.body, bytes)
    mail = dkimcheck.split(b"DKIM-Signature: " + octets.replace(b"\n", b"") + b"\r\n" + LETTER)
    if mail is not None:
        from minijmap.smtp.resolver import Resolver

        found = dkimcheck.check(mail, Resolver(world.address, timeout=0.3), lambda _domain: False, 0)
        assert all(one.result.value != "pass" for one in found)
