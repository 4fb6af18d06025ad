"""Policy: what arrives over a real connection is judged by a real DNS, and filed, or refused."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.mail import counts
from minijmap.smtp import policy
from minijmap.smtp.policy import Envelope, Judge
from minijmap.smtp.resolver import Resolver
from minijmap.store import documents
from tests.smtp.signing import LETTER, publish, sealed, signed

HERE = "v=spf1 ip4:127.0.0.1 -all"
ELSEWHERE = "v=spf1 ip4:192.0.2.1 -all"
FOUND = b"Authentication-Results: list.example; dmarc=pass header.from=remote.example\r\n"


@pytest.fixture
def world(dns):
    """Return a DNS in which remote.example has a key, an SPF record for elsewhere, and asks for refusal."""
    dns.add("remote.example", "TXT", ELSEWHERE)
    dns.add("_dmarc.remote.example", "TXT", "v=DMARC1; p=reject")
    publish(dns)
    return dns


@pytest.fixture
def arrive(open_household, connect):
    """Return a function that hands in a message under a policy, and returns the reply and where it went."""
    households = {}

    def send(dns, setting, message, sender="bob@remote.example"):
        if setting not in households:
            households[setting] = open_household(dns_server=dns.address, policy=setting)
        household = households[setting]
        client = connect(household)
        client.begin(sender=sender)
        client.send(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        reply = client.reply()
        return reply, *filed(household)

    return send


def filed(household):
    """Return the role of the newest message's mailbox, its keywords, and its octets."""
    with household.database.read() as reader:
        rows = reader.all(
            "SELECT m.role, e.email FROM email_mailbox AS e JOIN mailbox AS m ON m.key = e.mailbox "
            "WHERE m.account = ? ORDER BY e.email DESC LIMIT 1",
            (household.users["alice"].account,),
        )
        if not rows:
            return None, set(), b""
        ((role, email),) = rows
        keywords = {word for (word,) in reader.all("SELECT keyword FROM email_keyword WHERE email = ?", (email,))}
    return role, keywords, household.stored()[-1]


def unfolded(raw, name):
    """Return the values of a field in a message, unfolded."""
    head = re.sub(rb"\r\n[ \t]+", b" ", raw[: raw.index(b"\r\n\r\n") + 2]).decode()
    return re.findall(rf"^{name}: (.*)\r\n", head, re.MULTILINE)


@pytest.mark.parametrize("setting", ["report", "junk", "reject"])
def test_good_mail(arrive, world, setting):
    """Signed by its own domain: into the Inbox, and the field says why."""
    reply, role, keywords, raw = arrive(world, setting, signed())
    assert reply.startswith("250 2.6.0 ")
    assert (role, keywords & {"$junk"}) == ("inbox", set())
    (found,) = unfolded(raw, "Authentication-Results")
    assert re.fullmatch(
        r"mx\.example\.org; spf=fail smtp\.mailfrom=remote\.example;"
        r" dkim=pass header\.d=remote\.example header\.s=s1 header\.a=rsa-sha256 header\.b=\S+;"
        r" dmarc=pass header\.from=remote\.example policy\.dmarc=reject",
        found,
    )
    assert unfolded(raw, "X-Minijmap-Policy") == []
    assert raw.endswith(signed()[-len(LETTER) :])


@pytest.mark.parametrize(
    ("asked", "setting", "code", "role"),
    [
        ("none", "report", "250 2.6.0 ", "inbox"),
        ("none", "junk", "250 2.6.0 ", "inbox"),
        ("none", "reject", "250 2.6.0 ", "inbox"),
        ("quarantine", "report", "250 2.6.0 ", "inbox"),
        ("quarantine", "junk", "250 2.6.0 ", "junk"),
        ("quarantine", "reject", "250 2.6.0 ", "junk"),
        ("reject", "report", "250 2.6.0 ", "inbox"),
        ("reject", "junk", "250 2.6.0 ", "junk"),
        ("reject", "reject", "550 5.7.1 ", None),
    ],
)
def test_what_a_failure_does(arrive, world, asked, setting, code, role):
    """p=none changes nothing, quarantine is Junk unless only reported, reject is refused under reject."""
    world.add("_dmarc.remote.example", "TXT", f"v=DMARC1; p={asked}")
    reply, place, keywords, raw = arrive(world, setting, LETTER)
    assert reply.startswith(code)
    assert place == role
    assert ("$junk" in keywords) == (role == "junk")
    if role is None:
        assert "remote.example asks to refuse" in reply
        return
    (found,) = unfolded(raw, "Authentication-Results")
    assert f"dmarc=fail header.from=remote.example policy.dmarc={asked}" in found
    (said,) = unfolded(raw, "X-Minijmap-Policy")
    assert said.startswith("junk; " if role == "junk" else "accept; ")
    assert "neither SPF nor DKIM vouches for it" in said
    assert raw.endswith(LETTER)


def test_junk_is_made_when_it_is_not_there(open_household, connect, world):
    """A user who has removed the mailbox for junk gets one."""
    household = open_household(dns_server=world.address)
    account = household.users["alice"].account

    def remove(tx):
        key = counts.mailbox_with_role(tx, account, "junk")
        documents.destroy(tx, counts.MAILBOXES, account, key)

    household.database.write(remove)
    client = connect(household)
    client.begin()
    client.send(LETTER + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    assert filed(household)[0] == "junk"


def test_spf_alone_is_enough(arrive, world):
    """The client's address vouches for the sender's domain, and that is From's."""
    world.add("remote.example", "TXT", HERE)
    _, role, _, raw = arrive(world, "reject", LETTER)
    assert role == "inbox"
    assert "spf=pass smtp.mailfrom=remote.example; dkim=none; dmarc=pass" in unfolded(raw, "Authentication-Results")[0]


def test_somebody_elses_spf_and_dkim(arrive, world):
    """A pass for another domain is worth nothing."""
    world.add("evil.example", "TXT", HERE)
    publish(world, "evil.example")
    reply, *_ = arrive(world, "reject", signed(domain="evil.example"), sender="eve@evil.example")
    assert reply.startswith("550 5.7.1 ")


def test_a_bounce(arrive, world):
    """With an empty sender the client's name is checked, and can vouch (RFC 7208 §2.4)."""
    world.add("client.example", "TXT", HERE)
    world.add("_dmarc.client.example", "TXT", "v=DMARC1; p=reject")
    message = LETTER.replace(b"bob@remote.example", b"mailer-daemon@client.example")
    _, role, _, raw = arrive(world, "reject", message, sender="")
    assert role == "inbox"
    assert "spf=pass smtp.helo=client.example" in unfolded(raw, "Authentication-Results")[0]


def test_forwarded_with_a_chain(arrive, world):
    """A list that broke the signature and seals what it found: in Junk, said so, and not refused; a broken seal is none."""
    publish(world, "list.example")
    forwarded = sealed(FOUND + signed().replace(b"Subject: A", b"Subject: [list] A"))
    reply, role, _, raw = arrive(world, "reject", forwarded, sender="list-bounces@list.example")
    assert (reply[:3], role) == ("250", "junk")
    found, _ = unfolded(raw, "Authentication-Results")
    assert "dmarc=fail" in found
    assert "arc=pass header.oldest-pass=0 header.d=list.example" in found
    assert "an ARC chain says that it was good before" in unfolded(raw, "X-Minijmap-Policy")[0]

    reply, *_ = arrive(world, "reject", forwarded.replace(b"Dear", b"Fear"))
    assert reply.startswith("550 5.7.1 ")
    reply, *_ = arrive(world, "reject", sealed(FOUND.replace(b"pass", b"fail") + LETTER))
    assert reply.startswith("550 5.7.1 ")


def test_forwarded_unchanged(arrive, world):
    """DKIM outlives a forwarder whose address SPF does not know."""
    world.add("forwarder.example", "TXT", HERE)
    _, role, _, _ = arrive(world, "reject", signed(), sender="srs0@forwarder.example")
    assert role == "inbox"


def test_forged_results_are_removed(arrive, world):
    """What claims to be from here goes, what is another's stays, and DKIM is checked on what came."""
    forged = b"Authentication-Results: mx.example.org; dmarc=pass\r\nX-Minijmap-Policy: accept; fine\r\n"
    others = b"Authentication-Results: other.example; dmarc=pass\r\n"
    _, _, _, raw = arrive(world, "junk", forged + others + forged + LETTER)
    ours, theirs = unfolded(raw, "Authentication-Results")
    assert "dmarc=fail" in ours
    assert theirs == "other.example; dmarc=pass"
    assert raw.endswith(others + LETTER)
    assert len(unfolded(raw, "X-Minijmap-Policy")) == 1


def test_policy_off(arrive, world):
    """Nothing is looked up or said; forged results go all the same."""
    forged = b"Authentication-Results: mx.example.org; dmarc=pass\r\n"
    _, role, _, raw = arrive(world, "off", forged + LETTER)
    assert role == "inbox"
    assert unfolded(raw, "Authentication-Results") == []
    assert raw.endswith(LETTER)
    assert world.asked == []


@pytest.mark.parametrize("mode", ["servfail", "garbage", "lie"])
def test_the_dns_fails(open_household, connect, dns, mode):
    """Nothing is known: nothing is refused, and the field says so."""
    dns.fail_all(mode)
    household = open_household(dns_server=dns.address, policy="reject")
    household.listener._service.resolver._timeout = 0.2
    client = connect(household)
    client.begin()
    client.send(signed() + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    role, _, raw = filed(household)
    assert role == "inbox"
    (found,) = unfolded(raw, "Authentication-Results")
    assert found.count("temperror") == 3
    assert unfolded(raw, "X-Minijmap-Policy")[0].startswith("accept; Whether remote.example vouches")


def judged(dns, message, setting="reject", sender="bob@remote.example", timeout=0.3, **more):
    """Return the verdict of a judge of the test's own."""
    judge = Judge(Resolver(dns.address, timeout=timeout), "mx.example.org", setting, lambda: 1_700_000_000.0)
    return judge.judge(Envelope("127.0.0.1", "client.example", sender), message, **more)


def test_a_strangers_slow_names_do_not_help_him(world):
    """Whatever the sender's own domain does to take time, From's policy is known and decides."""
    terms = " ".join(f"exists:slow{number}.evil.example" for number in range(10))
    world.add("evil.example", "TXT", f"v=spf1 {terms} -all")
    for number in range(10):
        world.fail(f"slow{number}.evil.example", "timeout")
        world.fail(f"s{number}._domainkey.evil.example", "timeout")
    fields = b"".join(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=evil.example; s=s%d; h=from; bh=AAAA; b=AAAA\r\n" % number
        for number in range(10)
    )
    verdict = judged(world, fields + LETTER, sender="eve@evil.example")
    assert verdict.dmarc.value == "fail"
    assert verdict.action == "reject"


def test_time_is_limited(monkeypatch, dns):
    """All together takes no longer than it may, and then nothing is known."""
    monkeypatch.setattr(policy, "SHARES", dict.fromkeys(policy.SHARES, 0.3))
    dns.fail_all("timeout")
    began = time.monotonic()
    verdict = judged(dns, signed(), timeout=5.0)
    assert time.monotonic() - began < 4
    assert verdict.action == "accept"
    assert {result.value for result in verdict.results} == {"temperror"}


def test_a_deadline_that_is_over(world):
    """A message that waited too long for its turn is taken, and nothing is known of it."""
    verdict = judged(world, signed(), deadline=time.monotonic() - 1)
    assert verdict.action == "accept"
    assert verdict.dmarc.value == "temperror"
    assert world.asked == []


@pytest.mark.parametrize(
    ("field", "domains"),
    [
        (b"From: bob@remote.example\r\n", ["remote.example"]),
        (b"From: Bob <BOB@Remote.Example.>\r\n", ["remote.example"]),
        (b'From: "ceo@bank.example" <eve@evil.example>\r\n', ["evil.example"]),
        (b"From: a@one.example, b@two.example\r\n", ["one.example", "two.example"]),
        (b"From: a@one.example\r\nFrom: b@two.example\r\n", ["one.example", "two.example"]),
        (b"From: a@one.example\nFrom: b@two.example\n", ["one.example", "two.example"]),
        (b"from:a@one.example, b@one.example\r\n", ["one.example"]),
        (b"From: Group: a@one.example;\r\n", ["one.example"]),
        ("From: bob@bücher.example\r\n".encode(), ["xn--bcher-kva.example"]),
        (b"From: bob@[192.0.2.1]\r\n", []),
        (b"From: bob\r\n", []),
        (b"From:\r\n", []),
        (b"Subject: x\r\n", []),
        (b"From: " + b", ".join(b"a@n%d.example" % n for n in range(9)) + b"\r\n", [f"n{n}.example" for n in range(4)]),
    ],
)
def test_the_domains_of_from(field, domains):
    """Every domain that a reader may be shown, in the form that the DNS has it."""
    assert policy.author_domains(b"To: x@y\r\n" + field + b"\r\nFrom: body@body.example\r\n") == domains


def test_the_worst_of_several_authors_counts(world):
    """A second address in From does not get round the policy of the first, nor of the second."""
    for value in (b"bob@remote.example, eve@evil.example", b"eve@evil.example, bob@remote.example"):
        assert judged(world, b"From: " + value + b"\r\n\r\n", sender="eve@evil.example").action == "reject"
    two = b"From: eve@evil.example\r\nFrom: bob@remote.example\r\n\r\n"
    assert judged(world, two, sender="eve@evil.example").action == "reject"
    hidden = b"From: eve@evil.example\nFrom: bob@remote.example\r\n\r\n"
    assert judged(world, hidden, sender="eve@evil.example").action == "reject"


def test_no_author(world):
    """Without a domain in From there is no policy to apply."""
    verdict = judged(world, b"Subject: x\r\n\r\n")
    assert (verdict.dmarc.value, verdict.action) == ("none", "accept")


def test_huge_headers(world):
    """A header beyond all measure is not verified; it is judged all the same, soon."""
    huge = b"X: y\r\n" * 50_000
    began = time.monotonic()
    verdict = judged(world, huge + signed())
    assert time.monotonic() - began < 3
    assert 'dkim=permerror reason="the header is malformed or too large"' in verdict.fields("mx").decode()
    assert (
        judged(world, signed(LETTER.replace(b"\r\n\r\n", b"\r\nX: " + b"y " * 100_000 + b"\r\n\r\n", 1))).dmarc.value
        == "pass"
    )


@given(st.binary(max_size=400))
def test_any_octets_are_judged(empty_dns, octets):
    """No message makes it raise."""
    for message in (octets, b"From: " + octets, signed() + octets):
        verdict = judged(empty_dns, message)
        assert verdict.action == "accept"
        assert verdict.fields("mx.example.org").endswith(b"\r\n")
