"""Signing: what a verifier that nobody here wrote says, which fields are signed, and whose turn a key has."""

import base64
import re
import time

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.mail import outgoing
from minijmap.smtp import dkimcheck, dkimkeys
from minijmap.smtp.dkimkeys import ACTIVE, ED25519, NEXT, RETIRED, RSA, Signers
from minijmap.smtp.dkimsign import relaxed_body, relaxed_field, sign
from tests.smtp.posting import Names, Post, message, relay_settings, submit
from tests.smtp.sink import Sink

DOMAIN = "example.com"
NOW = 1_767_225_600


@pytest.fixture
def signers(house):
    """The keys of a household."""
    return Signers(house.database, "sel", lambda: house.now)


def records(house):
    """Return name → record of all keys that are published."""
    with house.database.read() as reader:
        return {key.record_name: key.record for key in dkimkeys.keys(reader)}


def verified_rsa(octets, zone, index=0):
    """Ask dkimpy's verifier about a signature."""
    try:
        return dkim.DKIM(octets).verify(index, dnsfunc=lambda name, **_: zone[name.decode().rstrip(".")].encode())
    except dkim.ValidationError:
        return False


def verified_ed25519(octets, zone):
    """Verify the second signature with dkimpy's canonicalisation and cryptography's Ed25519 (RFC 8463 §3).

    dkimpy needs another library for this algorithm.
    """
    headers, body = dkim.rfc822_parse(octets)
    found = [(name, value) for name, value in headers if name.lower() == b"dkim-signature" and b"ed25519" in value]
    ((name, value),) = found
    tags = dkim.parse_tag_value(value)
    relaxed = dkim.CanonicalizationPolicy.from_c_value(tags[b"c"])
    if dkim.hashlib.sha256(relaxed.canonicalize_body(body)).digest() != base64.b64decode(tags[b"bh"]):
        return False
    rest = [one for one in headers if one[0].lower() != b"dkim-signature"]
    include = [re.sub(rb"\s", b"", one).lower() for one in tags[b"h"].split(b":")]
    hasher = dkim.HashThrough(dkim.hashlib.sha256())
    dkim.hash_headers(hasher, relaxed, relaxed.canonicalize_headers(rest), include, (name, value), tags)
    record = zone[f"{tags[b's'].decode()}._domainkey.{tags[b'd'].decode()}"]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(record.rpartition("p=")[2]))
    try:
        key.verify(base64.b64decode(re.sub(rb"\s", b"", tags[b"b"])), hasher.digest())
    except InvalidSignature:
        return False
    return True


def signed(signers, octets):
    """Return a message with its signatures."""
    return sign(octets, DOMAIN, signers.of(DOMAIN), NOW) + octets


def test_what_leaves_verifies(house):
    """By RSA and by Ed25519, as it arrives at the relay; From is named once more than it is there."""
    sink = Sink()
    post = Post(house, Names(), relay_settings(sink, dkim_selector="mail2026"))
    submit(house, message("List-Unsubscribe: <mailto:x@example.com>", "X-Other: 1", body="Grüße   \r\n\r\n\r\n"))
    post.run()
    sink.close()

    (taken,) = sink.taken
    assert verified_rsa(taken.octets, records(house))
    assert verified_ed25519(taken.octets, records(house))
    assert sorted(records(house)) == ["mail2026-ed25519._domainkey.example.com", "mail2026._domainkey.example.com"]
    named = re.findall(rb"\th=([^;]*);", taken.octets)
    names = re.sub(rb"\s", b"", named[0]).split(b":")
    assert names == [b"from", b"from", b"subject", b"date", b"to", b"list-unsubscribe", b"message-id"]
    assert all(len(line) < 79 for line in taken.octets.partition(b"From:")[0].splitlines())


def test_our_own_verifier_agrees(house, signers):
    """What comes in is checked by other code than what goes out is signed by."""
    octets = signed(signers, message(body="Text  \r\n\r\n"))
    zone = records(house)
    names = Names(texts_of={name: [record] for name, record in zone.items()})
    for changed, result in ((octets, "pass"), (octets.replace(b"Hello", b"Hullo"), "fail")):
        found = dkimcheck.check(dkimcheck.split(changed), names, lambda _: True, NOW)
        assert [(one.domain, one.result.value) for one in found] == [(DOMAIN, result)] * 2


def test_a_change_breaks_it_and_a_second_from_too(house, signers):
    """Of body and header; folding and spaces do not (RFC 6376 §3.4.2, §3.4.4, §8.15)."""
    octets = signed(signers, message("To-Be: 1", to="carol@example.net,\r\n dave@example.net", body="A  b\t c \r\n"))
    zone = records(house)
    assert verified_rsa(octets, zone)
    for before, after, holds in (
        (b"Subject: Hello", b"Subject: Hullo", False),
        (b"A  b", b"A  c", False),
        (b"From: Alice", b"From: Mallory <m@example.net>\r\nFrom: Alice", False),
        (b"Subject: Hello", b"SUBJECT:\r\n  Hello  ", True),
        (b"A  b\t c \r\n", b"A b c\r\n\r\n\r\n", True),
        (b"To-Be: 1", b"To-Be: 2", True),
    ):
        changed = octets.replace(before, after)
        assert changed != octets
        assert verified_rsa(changed, zone) is holds, after
        assert verified_ed25519(changed, zone) is holds, after


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["From", "To", "SUBJECT", "subject", "X-Y", "List-Id", "Reply-To", "Cc"]),
            st.text(st.sampled_from("ab \tü:;=\r\n"), max_size=30),
        ),
        max_size=12,
    ),
    st.text(st.sampled_from("ab \t.\r\nü"), max_size=60),
)
@settings(max_examples=100, deadline=None)
def test_any_message_verifies(fields, body):
    """However often fields are there, and however they are folded."""
    folded = [(name, re.sub("[\r\n]+", "\r\n ", value)) for name, value in fields]
    lines = [*(f"{name}: {value}x" for name, value in folded), "From: a@example.com"]
    octets = outgoing.with_crlf("\r\n".join([*lines, "", body, ""]).encode())
    whole = sign(octets, DOMAIN, KEYS, NOW) + octets

    assert verified_rsa(whole, ZONE), whole
    assert verified_ed25519(whole, ZONE), whole


def _fixed_keys():
    """Make keys once for all examples."""
    pair = dkimkeys._make_pair()
    keys = [dkimkeys._signing_key(f"k{number}", one[0], one[1]) for number, one in enumerate(pair)]
    kinds = ("rsa", "ed25519")
    return keys, {f"k{n}._domainkey.{DOMAIN}": f"v=DKIM1; k={kinds[n]}; p={one[2]}" for n, one in enumerate(pair)}


KEYS, ZONE = _fixed_keys()


def test_canonical_forms():
    """RFC 6376 §3.4.5: its own examples."""
    assert relaxed_field("a", b" X\r\n") + relaxed_field("b", b" Y\t\r\n\tZ  \r\n") == b"a:X\r\nb:Y Z\r\n"
    assert relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"
    assert relaxed_body(b"") == relaxed_body(b"\r\n\r\n") == b""
    assert relaxed_body(b"no end") == b"no end\r\n"


def test_hostile_spaces_cost_no_time():
    """A megabyte of blanks, or of a header without a colon, is a matter of milliseconds."""
    begin = time.monotonic()
    sign(b"From: a@example.com\r\nSubject: " + b" \t" * 500_000 + b"\r\n\r\n" + b" " * 1_000_000, DOMAIN, KEYS, NOW)
    sign(b"From: a@example.com\r\n" + b"x" * 1_000_000 + b"\r\n\r\n", DOMAIN, KEYS, NOW)
    assert time.monotonic() - begin < 5


def test_mail_of_somebody_else_is_not_signed(house):
    """Only our own domains' names are ours to vouch for."""
    sink = Sink()
    post = Post(house, Names(), relay_settings(sink))
    submit(house, message())
    house.database.write(
        lambda tx: tx.execute("UPDATE user SET address = replace(address, 'example.com', 'example.org')")
    )
    post.run()
    sink.close()

    assert b"DKIM-Signature" not in sink.taken[0].octets
    assert records(house) == {}


def test_keys_are_made_once(house, signers):
    """On first use, for each domain; they stay over a restart."""
    first = [key.selector for key in signers.of(DOMAIN)]
    again = [key.selector for key in Signers(house.database, "other", lambda: house.now).of(DOMAIN)]
    signers.of("example.org")

    assert first == again == ["sel", "sel-ed25519"]
    assert len(records(house)) == 4
    with house.database.read() as reader:
        algorithms = [key.algorithm for key in dkimkeys.keys(reader, DOMAIN)]
    assert algorithms == [RSA, ED25519]


def test_rotation(house, signers):
    """The next keys are published first; then they sign, and the old ones are kept for what is on its way."""
    signers.of(DOMAIN)
    prepared = dkimkeys.prepare(house.database, DOMAIN, "sel", NOW)
    assert [(key.selector, key.state) for key in prepared] == [("sel-2", NEXT), ("sel-2-ed25519", NEXT)]
    assert dkimkeys.prepare(house.database, DOMAIN, "sel", NOW) == prepared
    assert [key.selector for key in signers.of(DOMAIN)] == ["sel", "sel-ed25519"]
    dkimkeys.rotate(house.database, DOMAIN, "sel", NOW)
    assert [key.selector for key in signers.of(DOMAIN)] == ["sel-2", "sel-2-ed25519"]
    rotated = dkimkeys.rotate(house.database, DOMAIN, "sel", NOW)
    assert [key.selector for key in rotated] == ["sel-3", "sel-3-ed25519"]

    with house.database.read() as reader:
        states = [key.state for key in dkimkeys.keys(reader, DOMAIN)]
    assert states == [RETIRED] * 4 + [ACTIVE] * 2
    octets = signed(signers, message())
    assert verified_rsa(octets, records(house))
