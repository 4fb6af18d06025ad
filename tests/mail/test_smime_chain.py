"""From a signer's certificate to a trust anchor (RFC 5280 §6, RFC 8550): usage, names, length, time."""

import shutil

import pytest

from minijmap.mail import message, smime
from minijmap.mail.smimetrust import TrustStore
from tests.mail.smimekit import ALICE, CA, DAY_MS, LATER, MAIL, Workshop, errors, judged

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")
VERIFIED = ("signed/verified", None)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """Where certificates are made, once for all tests."""
    return Workshop(tmp_path_factory.mktemp("smime"))


@pytest.fixture(scope="session")
def trusted(workshop):
    """The file with the root that is trusted."""
    return workshop.anchors(workshop.root)


def test_nobody_stands_behind_the_certificate(workshop):
    """A root of one's own is no root to anybody else."""
    other = workshop.authority("other")
    raw = workshop.sign(workshop.person())

    assert errors(raw, workshop.anchors(other)) == ["No trusted authority stands behind the signer's certificate."]


def test_a_chain_that_comes_with_the_message(workshop, trusted):
    """Authorities between the signer and the root come along; without them nobody can tell."""
    middle = workshop.authority("middle", workshop.root)
    lower = workshop.authority("lower", middle)
    bob = workshop.person("chained", issuer=lower)
    spare = workshop.authority("spare")

    assert judged(workshop.sign(bob, chain=(spare, lower, middle)), trusted) == VERIFIED
    assert errors(workshop.sign(bob, chain=(lower,)), trusted) == [
        "No trusted authority stands behind the signer's certificate."
    ]
    assert judged(workshop.sign(bob, chain=(lower,)), workshop.anchors(middle)) == VERIFIED


def test_somebody_may_be_trusted_themselves(workshop):
    """A certificate that nobody has issued is believed where its owner is an anchor; even if it stays at home."""
    extensions = MAIL.format(ALICE)
    own = workshop.issue("self", "/CN=self", extensions, None)

    assert judged(workshop.sign(own), workshop.anchors(own)) == VERIFIED
    assert judged(workshop.sign(own, "-nocerts"), workshop.anchors(own)) == VERIFIED
    # But that makes no authority of them.
    friend = workshop.person("friend", issuer=own)
    assert errors(workshop.sign(friend, chain=(own,)), workshop.anchors(own)) == [
        "A certificate was issued with one that is for no authority."
    ]


def test_without_the_signers_certificate(workshop, trusted):
    """Nobody fetches one."""
    assert errors(workshop.sign(workshop.person(), "-nocerts"), trusted) == [
        "The signer's certificate did not come with the message.",
        "The address in From is not that of the signer's certificate.",
    ]


@pytest.mark.parametrize(
    ("extensions", "error"),
    [
        ("keyUsage=critical,keyEncipherment\nsubjectAltName=email:{}", "The signer's certificate is not for signing."),
        ("extendedKeyUsage=serverAuth\nsubjectAltName=email:{}", "The signer's certificate is not for mail."),
        (
            "1.2.3.4=critical,ASN1:NULL\nsubjectAltName=email:{}",
            "A certificate has a critical extension that is not known.",
        ),
        ("keyUsage=nonRepudiation\nextendedKeyUsage=anyExtendedKeyUsage\nsubjectAltName=email:{}", None),
        ("subjectAltName=email:{}", None),
    ],
)
def test_what_a_certificate_is_for(workshop, trusted, extensions, error):
    """Usage counts where it is stated (RFC 8550 §4.4)."""
    someone = workshop.person(f"use{abs(hash(extensions))}", extensions=extensions)
    found = judged(workshop.sign(someone), trusted)

    assert found == (VERIFIED if error is None else ("signed/failed", [error]))


@pytest.mark.parametrize(
    ("extensions", "error"),
    [
        ("basicConstraints=critical,CA:FALSE", "A certificate was issued with one that is for no authority."),
        (
            "basicConstraints=CA:TRUE\nkeyUsage=cRLSign",
            "A certificate was issued with one that is not for issuing any.",
        ),
        (CA + "\nextendedKeyUsage=serverAuth", "An authority may issue no certificates for mail."),
        (CA + "\nextendedKeyUsage=emailProtection", None),
        (
            CA + "\nnameConstraints=critical,permitted;email:example.org",
            "An authority has issued a certificate for a name that it is not for.",
        ),
        (
            CA + "\nnameConstraints=critical,excluded;email:.com",
            "An authority has issued a certificate for a name that it is not for.",
        ),
        (CA + "\nnameConstraints=critical,permitted;email:example.com", None),
        (CA + "\nnameConstraints=critical,permitted;email:alice@example.com,excluded;email:example.org", None),
        (CA + "\nnameConstraints=critical,permitted;DNS:example.org", None),
    ],
)
def test_what_an_authority_may_issue(workshop, trusted, extensions, error):
    """Not everybody who was certified may certify, nor for every name (RFC 5280 §4.2.1)."""
    name = f"ca{abs(hash(extensions))}"
    middle = workshop.authority(name, workshop.root, extensions)
    someone = workshop.person(f"{name}-alice", issuer=middle)
    found = judged(workshop.sign(someone, chain=(middle,)), trusted)

    assert found == (VERIFIED if error is None else ("signed/failed", [error]))


def test_how_long_a_chain_may_be(workshop):
    """An authority may say how many are below it (RFC 5280 §4.2.1.9)."""
    short = workshop.authority("short", extensions=CA.replace("TRUE", "TRUE,pathlen:0"))
    below = workshop.authority("below-short", short)
    direct, indirect = workshop.person("direct", issuer=short), workshop.person("indirect", issuer=below)

    assert judged(workshop.sign(direct), workshop.anchors(short)) == VERIFIED
    assert errors(workshop.sign(indirect, chain=(below,)), workshop.anchors(short)) == [
        "There are more authorities between the signer and the trusted one than that allows."
    ]


def test_time(workshop, trusted):
    """A certificate is good while it is valid: it may have been at delivery, and not be now (RFC 9219 §4.1)."""
    raw = workshop.sign(workshop.person())
    findings = smime.examine(raw, message.parse(raw), TrustStore(trusted).anchors())

    assert findings.judge(LATER + 1600 * DAY_MS) == ("signed/failed", ["The signer's certificate has expired."])
    assert "The signer's certificate is not valid yet." in findings.judge(LATER - 500 * DAY_MS)[1]
    change = findings.next_change(LATER)
    assert findings.judge(change - 1) == VERIFIED
    assert findings.judge(change) == ("signed/failed", ["The signer's certificate has expired."])


def test_an_authority_expires_before_its_people(workshop):
    """All of the chain has to be valid."""
    brief = workshop.authority("brief", until=300)
    raw = workshop.sign(workshop.person("brief-alice", issuer=brief))
    anchors = workshop.anchors(brief)

    assert judged(raw, anchors) == VERIFIED
    assert errors(raw, anchors, LATER + 400 * DAY_MS) == ["An authority's certificate has expired."]


def test_signed_when_the_certificate_was_not_valid(workshop, trusted):
    """The signing time lies within the time of the certificate, and not in the future."""
    early = workshop.person("early", since=-390, until=-100)
    raw = workshop.sign(early)
    at = LATER - 200 * DAY_MS

    assert errors(raw, trusted, at) == [
        "It was signed in the future.",
        "It was signed at a time when the signer's certificate was not valid.",
    ]


def test_weak_keys_and_weak_certificates(workshop, trusted):
    """RSA with 1024 bits (RFC 8551 §4.3), and a certificate that rests on SHA-1."""
    small = workshop.person("small", key=("rsa:1024",))
    old = workshop.person("old", md=("sha1",))

    assert errors(workshop.sign(small), trusted) == ["The signer's RSA key has 1024 bits; 2048 are the fewest."]
    assert errors(workshop.sign(old), trusted) == ["A certificate rests on SHA-1, which is not secure any more."]


def test_openssl_is_of_the_same_mind(workshop, trusted):
    """Where the `openssl` command says no, so do we, and the other way round; but that it looks at no address."""
    middle = workshop.authority("oracle-middle", workshop.root)
    narrow = workshop.authority(
        "oracle-narrow", workshop.root, CA + "\nnameConstraints=critical,permitted;email:example.org"
    )
    short = workshop.authority("oracle-short", workshop.root, CA.replace("TRUE", "TRUE,pathlen:0"))
    below = workshop.authority("oracle-below", short)
    no_authority = workshop.authority("oracle-none", workshop.root, "basicConstraints=critical,CA:FALSE")
    stranger = workshop.authority("oracle-stranger")
    for_servers = "extendedKeyUsage=serverAuth\nsubjectAltName=email:{}"
    people = [
        (workshop.person("oracle-1"), ()),
        (workshop.person("oracle-2", issuer=middle), (middle,)),
        (workshop.person("oracle-3", issuer=middle), ()),
        (workshop.person("oracle-4", issuer=narrow), (narrow,)),
        (workshop.person("oracle-5", issuer=short), (short,)),
        (workshop.person("oracle-6", issuer=below), (below, short)),
        (workshop.person("oracle-7", issuer=no_authority), (no_authority,)),
        (workshop.person("oracle-8", issuer=stranger), (stranger,)),
        (workshop.person("oracle-9", extensions=for_servers), ()),
        (workshop.person("oracle-10", since=-300, until=-10), ()),
        (workshop.person("oracle-11", extensions="keyUsage=keyAgreement\nsubjectAltName=email:{}"), ()),
    ]
    messages = [workshop.sign(who, chain=chain) for who, chain in people]
    messages += [raw.replace(b"noon", b"nine") for raw in messages]
    verdicts = [(judged(raw, trusted)[0] == "signed/verified", workshop.verifies(raw, trusted)) for raw in messages]

    assert [ours for ours, _ in verdicts] == [theirs for _, theirs in verdicts]
    assert [ours for ours, _ in verdicts].count(True) == 3
