"""DMARC: records, the tree walk and its examples, alignment, what is asked for (dmarcbis; RFC 7489)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.smtp import dmarc
from minijmap.smtp.dmarc import Identifier, Record
from minijmap.smtp.resolver import LookupFailed, Resolver

DEEP = "a.b.c.d.e.f.g.h.i.j.k.example.com"


@pytest.fixture
def ask(dns):
    """Return a function that publishes {domain: record} and asks for the policy of a domain."""
    resolver = Resolver(dns.address, timeout=0.3)

    def discover(domain, records):
        for name, text in records.items():
            dns.add(f"_dmarc.{name}", "TXT", *([text] if isinstance(text, str) else text))
        return dmarc.discover(resolver, domain)

    discover.questions = resolver
    return discover


def outcome(ask, domain, records, *identifiers):
    """Return what DMARC says, given (method, domain, result) of what was found."""
    policy = ask(domain, records)
    return dmarc.evaluate(ask.questions, domain, policy, [Identifier(*one) for one in identifiers])


@pytest.mark.parametrize(
    ("texts", "record"),
    [
        (["v=DMARC1; p=reject"], Record(p="reject")),
        (["v=DMARC1;p=none"], Record()),
        (["v = DMARC1 ; p = Quarantine ; "], Record(p="quarantine")),
        (["v=DMARC1; p=reject; sp=none; np=quarantine"], Record(p="reject", sp="none", np="quarantine")),
        (["v=DMARC1; p=none; adkim=s; aspf=s"], Record(strict_dkim=True, strict_spf=True)),
        (["v=DMARC1; p=none; adkim=x; aspf=r"], Record()),
        (["v=DMARC1; p=none; psd=y; t=y"], Record(psd="y", testing=True)),
        (["v=DMARC1; p=none; psd=n"], Record(psd="n")),
        (["v=DMARC1; p=reject; pct=0"], Record(p="reject")),
        (["v=DMARC1; p=reject; p=none"], Record(p="reject")),
        (["v=DMARC1; p=block"], Record(is_usable=False)),
        (["v=DMARC1"], Record(is_usable=False)),
        (["v=DMARC1; p=reject; sp=block"], Record(is_usable=False)),
        (["v=DMARC1; p=block; rua=mailto:a@example.org"], Record()),
        (["v=DMARC1; rua=mailto:a@example.org!10m, mailto:b@example.org"], Record()),
        (["v=DMARC1; rua=nobody"], Record(is_usable=False)),
        (["v=dmarc1; p=reject"], None),
        (["p=reject; v=DMARC1"], None),
        (["v=DMARC12; p=reject"], None),
        (["v=spf1 -all", "v=DMARC1; p=reject"], Record(p="reject")),
        (["v=DMARC1; p=reject", "v=DMARC1; p=none"], None),
        ([], None),
        ([b"v=DMARC1; p=reject; x=\xff"], Record(p="reject")),
    ],
)
def test_records(texts, record):
    """What a record says; what it says wrongly; when there is none."""
    assert dmarc.read_record([one if isinstance(one, bytes) else one.encode() for one in texts]) == record


def test_the_names_of_a_walk():
    """Dmarcbis 4.10, its example: eight names, the longest and then the seven shortest."""
    assert dmarc.walked("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    assert dmarc.walked("a.example.com") == ["a.example.com", "example.com", "com"]
    assert dmarc.walked("com") == ["com"]


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=130).map(".".join))
def test_a_walk_is_short(domain):
    """Never more than eight names, each the end of the one before."""
    names = dmarc.walked(domain)
    assert len(names) <= 8
    assert len(set(names)) == len(names)
    assert all(longer.endswith("." + shorter) for longer, shorter in itertools.pairwise(names))


@pytest.mark.parametrize(
    ("domain", "records", "organisation"),
    [
        # dmarcbis 4.10.2
        (
            "a.mail.example.com",
            {"mail.example.com": "v=DMARC1; p=none", "example.com": "v=DMARC1; p=none"},
            "example.com",
        ),
        (
            "a.mail.example.com",
            {"mail.example.com": "v=DMARC1; p=none; psd=n", "example.com": "v=DMARC1; p=none"},
            "mail.example.com",
        ),
        ("a.mail.example.com", {"com": "v=DMARC1; p=none; psd=y"}, "example.com"),
        # B.4.1
        (
            "signing.example.com",
            {"signing.example.com": "v=DMARC1; p=none", "example.com": "v=DMARC1; p=none"},
            "example.com",
        ),
        # B.4.2
        (DEEP, {"example.com": "v=DMARC1; p=none"}, "example.com"),
        (DEEP, {"c.d.e.f.g.h.i.j.k.example.com": "v=DMARC1; p=none; psd=n"}, DEEP),
        # B.4.3
        (
            "giant.bank.example",
            {"bank.example": "v=DMARC1; p=none; psd=y", "giant.bank.example": "v=DMARC1; p=none"},
            "giant.bank.example",
        ),
        (
            "mail.giant.bank.example",
            {"bank.example": "v=DMARC1; p=none; psd=y", "giant.bank.example": "v=DMARC1; p=none"},
            "giant.bank.example",
        ),
        ("mail.mega.bank.example", {"bank.example": "v=DMARC1; p=none; psd=y"}, "mega.bank.example"),
        ("bank.example", {"bank.example": "v=DMARC1; p=none; psd=y"}, "bank.example"),
        # no record at all
        ("mail.example.com", {}, "mail.example.com"),
        # a public suffix is one, whether it says so or not
        ("mail.firm.co.uk", {"co.uk": "v=DMARC1; p=none"}, "firm.co.uk"),
        ("firm.co.uk", {"co.uk": "v=DMARC1; p=none", "firm.co.uk": "v=DMARC1; p=none"}, "firm.co.uk"),
        ("mail.firm.co.uk", {"firm.co.uk": "v=DMARC1; p=none"}, "firm.co.uk"),
        ("me.github.io", {"github.io": "v=DMARC1; p=reject"}, "me.github.io"),
        ("a.b.city.kawasaki.jp", {"city.kawasaki.jp": "v=DMARC1; p=none"}, "city.kawasaki.jp"),
    ],
)
def test_organisational_domains(ask, domain, records, organisation):
    """The examples of the specification, and names under which anybody can register."""
    ask(domain, records)
    assert dmarc.organisation(dmarc.walk(ask.questions, domain), domain) == organisation


@pytest.mark.parametrize(
    ("domain", "records", "asks"),
    [
        ("example.com", {"example.com": "v=DMARC1; p=reject; sp=none"}, "reject"),
        ("mail.example.com", {"example.com": "v=DMARC1; p=reject; sp=none"}, "none"),
        ("mail.example.com", {"example.com": "v=DMARC1; p=quarantine"}, "quarantine"),
        ("mail.example.com", {"mail.example.com": "v=DMARC1; p=none", "example.com": "v=DMARC1; p=reject"}, "none"),
        ("gone.example.com", {"example.com": "v=DMARC1; p=none; sp=quarantine; np=reject"}, "reject"),
        ("mail.example.com", {"example.com": "v=DMARC1; p=none; sp=quarantine; np=reject"}, "quarantine"),
        ("gone.example.com", {"example.com": "v=DMARC1; p=quarantine"}, "quarantine"),
        ("example.com", {"example.com": "v=DMARC1; p=reject; t=y"}, "quarantine"),
        ("example.com", {"example.com": "v=DMARC1; p=quarantine; t=y"}, "none"),
        ("example.com", {"example.com": "v=DMARC1; p=none; t=y"}, "none"),
        ("example.com", {"example.com": "v=DMARC1; p=reject; pct=0"}, "reject"),
        ("firm.bank.example", {"bank.example": "v=DMARC1; p=none; psd=y"}, "none"),
        ("mail.bank.example", {"bank.example": "v=DMARC1; p=none; sp=quarantine; np=reject; psd=y"}, "quarantine"),
        ("gone.bank.example", {"bank.example": "v=DMARC1; p=none; sp=quarantine; np=reject; psd=y"}, "reject"),
        ("firm.co.uk", {"co.uk": "v=DMARC1; p=reject"}, None),
        ("example.com", {}, None),
        ("example.com", {"example.com": ["v=DMARC1; p=reject", "v=DMARC1; p=none"]}, None),
    ],
)
def test_what_a_domain_asks_for(ask, dns, domain, records, asks):
    """The domain's record, else its organisation's for sub-domains that exist or do not, else a public suffix's."""
    for name in ("mail.example.com", "mail.bank.example"):
        dns.add(name, "A", "192.0.2.1")
    policy = ask(domain, records)
    assert (policy and policy.asks) == asks


PAIR = {"example.com": "v=DMARC1; p=reject"}
STRICT = {"example.com": "v=DMARC1; p=reject; adkim=s; aspf=s"}


@pytest.mark.parametrize(
    ("records", "identifiers", "value", "aligned"),
    [
        (PAIR, [("spf", "example.com", "pass")], "pass", ("spf",)),
        (PAIR, [("spf", "bounce.example.com", "pass")], "pass", ("spf",)),
        (PAIR, [("dkim", "mail.example.com", "pass")], "pass", ("dkim",)),
        (PAIR, [("spf", "example.com", "pass"), ("dkim", "example.com", "pass")], "pass", ("spf", "dkim")),
        (PAIR, [("spf", "example.com", "fail"), ("dkim", "example.com", "pass")], "pass", ("dkim",)),
        (PAIR, [("spf", "example.com", "softfail")], "fail", ()),
        (PAIR, [("spf", "example.com", "neutral")], "fail", ()),
        (PAIR, [("dkim", "example.com", "policy")], "fail", ()),
        (PAIR, [("spf", "evil.example", "pass"), ("dkim", "evil.example", "pass")], "fail", ()),
        (PAIR, [("dkim", "notexample.com", "pass")], "fail", ()),
        (PAIR, [("dkim", "com", "pass")], "fail", ()),
        (PAIR, [("spf", "", "none")], "fail", ()),
        (PAIR, [], "fail", ()),
        (STRICT, [("spf", "bounce.example.com", "pass"), ("dkim", "mail.example.com", "pass")], "fail", ()),
        (STRICT, [("spf", "example.com", "pass")], "pass", ("spf",)),
        (PAIR, [("spf", "example.com", "temperror")], "temperror", ()),
        (PAIR, [("dkim", "sub.example.com", "temperror")], "temperror", ()),
        (PAIR, [("spf", "evil.example", "temperror"), ("dkim", "evil.example", "temperror")], "fail", ()),
        (PAIR, [("spf", "example.com", "temperror"), ("dkim", "example.com", "pass")], "pass", ("dkim",)),
        (STRICT, [("dkim", "sub.example.com", "temperror")], "fail", ()),
        (PAIR, [("spf", "example.com", "permerror")], "fail", ()),
    ],
)
def test_alignment(ask, records, identifiers, value, aligned):
    """Relaxed and strict; what is not known counts only where it could have made a difference."""
    found = outcome(ask, "example.com", records, *identifiers)
    assert (found.value, found.aligned, found.policy) == (value, aligned, "reject")


def test_alignment_of_a_part_that_stands_alone(ask):
    """A sub-domain with psd=n is another organisation, in both directions."""
    records = {**PAIR, "dept.example.com": "v=DMARC1; p=quarantine; psd=n"}
    assert outcome(ask, "example.com", records, ("dkim", "dept.example.com", "pass")).value == "fail"
    assert outcome(ask, "dept.example.com", records, ("dkim", "example.com", "pass")).value == "fail"
    assert outcome(ask, "dept.example.com", records, ("dkim", "a.dept.example.com", "pass")).value == "pass"


def test_alignment_under_a_public_suffix(ask):
    """Neighbours under co.uk or github.io do not vouch for each other."""
    records = {"victim.co.uk": "v=DMARC1; p=reject", "co.uk": "v=DMARC1; p=none"}
    assert outcome(ask, "victim.co.uk", records, ("dkim", "evil.co.uk", "pass")).value == "fail"
    assert outcome(ask, "victim.co.uk", records, ("dkim", "co.uk", "pass")).value == "fail"
    assert outcome(ask, "victim.co.uk", records, ("dkim", "mail.victim.co.uk", "pass")).value == "pass"


def test_the_bank_of_the_specification(ask):
    """Dmarcbis B.4.3: SPF of a sub-domain is aligned, DKIM of the other bank is not."""
    records = {"bank.example": "v=DMARC1; p=reject; psd=y", "giant.bank.example": "v=DMARC1; p=quarantine"}
    spf, dkim = ("spf", "mail.giant.bank.example", "pass"), ("dkim", "mail.mega.bank.example", "pass")
    assert outcome(ask, "giant.bank.example", records, spf, dkim).aligned == ("spf",)
    assert outcome(ask, "giant.bank.example", records, dkim).policy == "quarantine"


def test_a_record_without_a_policy(ask):
    """It can't be applied."""
    assert outcome(ask, "example.com", {"example.com": "v=DMARC1"}, ("spf", "example.com", "pass")).value == "permerror"


@pytest.mark.parametrize("mode", ["servfail", "timeout", "lie", "garbage"])
def test_the_dns_fails(ask, dns, mode):
    """A record that can't be looked up is not one that is not there."""
    dns.fail("_dmarc.example.com", mode)
    with pytest.raises(LookupFailed):
        ask("example.com", {})
    with pytest.raises(LookupFailed):
        ask("mail.example.com", {})


def test_an_identifier_that_can_not_be_placed(ask, dns):
    """If its walk fails, a pass may have been missed: that is an error and no failure."""
    dns.fail("_dmarc.sub.example.com", "servfail")
    assert outcome(ask, "example.com", PAIR, ("dkim", "sub.example.com", "pass")).value == "temperror"


def test_strangers_cause_no_lookups(ask, dns):
    """What can't be aligned is not walked for."""
    outcome(ask, "example.com", PAIR, ("dkim", "evil.example", "pass"))
    assert dns.count("_dmarc.evil.example") == 0


@given(st.binary(max_size=80))
def test_any_record_is_read(octets):
    """No octets raise."""
    dmarc.read_record([b"v=DMARC1;" + octets])
