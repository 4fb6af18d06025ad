"""Submission as a mail program meets it: from which addresses, to whom, and what becomes of a message (RFC 6409)."""

import re
import smtplib

import pytest

from minijmap.mail import queue
from minijmap.smtp.submitting import LIMITS
from minijmap.store import blobs
from tests.smtp.desk import ALICE, BOB, MESSAGE, OUTSIDE, PASSWORD, send, sign_in

# What becomes of a message


def test_a_message_is_queued_and_kept(desk, program):
    """The reply names the queue's entry; a copy is in Sent, read, with Bcc; an EmailSubmission tells of it."""
    sign_in(program)
    reply = send(program, recipients=(OUTSIDE, BOB))
    assert re.fullmatch(r"250 2\.0\.0 Queued as q[0-9]+", reply)

    assert desk.queued() == [(ALICE, {}, {OUTSIDE: {}, BOB: {}})]
    assert desk.octets() == [MESSAGE.encode()]
    (email,) = desk.emails()
    assert email["mailboxIds"] == {desk.house.mailbox("sent"): True}
    assert email["keywords"] == {"$seen": True}
    assert email["bcc"] == [{"name": None, "email": "hidden@remote.example"}]
    (submission,) = desk.submissions()
    assert submission["emailId"] == email["id"]
    assert submission["threadId"] == email["threadId"]
    assert submission["identityId"] == "i1"
    assert submission["undoStatus"] == "pending"
    assert submission["envelope"] == {
        "mailFrom": {"email": ALICE, "parameters": None},
        "rcptTo": [{"email": OUTSIDE, "parameters": None}, {"email": BOB, "parameters": None}],
    }
    assert set(submission["deliveryStatus"]) == {OUTSIDE, BOB}
    assert desk.emails(BOB) == desk.submissions(BOB) == []


def test_the_same_objects_as_by_jmap(desk, program):
    """An EmailSubmission made by SMTP has just the properties of one made by JMAP, and the same states move."""
    sign_in(program)
    send(program)
    email = desk.emails()[0]["id"]
    made = desk.house.call("EmailSubmission/set", {"create": {"s": {"identityId": "i1", "emailId": email}}})
    by_smtp, by_jmap = sorted(desk.submissions(), key=lambda one: one["id"])
    assert by_jmap["id"] == made["created"]["s"]["id"]
    assert set(by_smtp) == set(by_jmap)
    types = set().union(*(names for changes in desk.house.announced for names in changes.values()))
    assert {"Email", "EmailSubmission", "Mailbox", "Thread"} <= types


def test_standard_client(desk):
    """Python's own program signs in by itself and sends, with DSN parameters as it has them."""
    with smtplib.SMTP(*desk.address, timeout=20) as smtp:
        smtp.login(ALICE, PASSWORD)
        smtp.sendmail(ALICE, [OUTSIDE], MESSAGE, mail_options=["RET=hdrs"], rcpt_options=["NOTIFY=success,FAILURE"])
    assert desk.queued() == [(ALICE, {"RET": "HDRS"}, {OUTSIDE: {"NOTIFY": "SUCCESS,FAILURE"}})]


def test_date_and_message_id_are_added(desk, program):
    """RFC 6409 §8: both are in the copy and in what leaves, the same; nothing else is changed."""
    desk.house.now = 1_700_000_000.0
    sign_in(program)
    send(program, f"From: {ALICE}\r\nSubject: Bare\r\n\r\nHello.\r\n")
    (octets,) = desk.octets()
    found = re.fullmatch(
        rf"Date: Tue, 14 Nov 2023 22:13:20 \+0000\r\nMessage-ID: <([0-9a-f]{{32}}@mx\.example\.com)>\r\n"
        rf"From: {ALICE}\r\nSubject: Bare\r\n\r\nHello\.\r\n",
        octets.decode(),
    )
    assert desk.emails()[0]["messageId"] == [found[1]]


def test_a_client_that_keeps_its_own_copy(desk, program):
    """The octets are those that were handed in, so importing them is alreadyExists, whoever comes first."""
    sign_in(program)
    send(program)
    (email,) = desk.emails()
    sent = desk.house.mailbox("sent")
    wanted = {"emails": {"c": {"blobId": email["blobId"], "mailboxIds": {sent: True}}}}
    refused = desk.house.call("Email/import", wanted)["notCreated"]["c"]
    assert (refused["type"], refused["existingId"]) == ("alreadyExists", email["id"])

    send(program)
    assert [one["id"] for one in desk.emails()] == [email["id"]]
    assert {one["emailId"] for one in desk.submissions()} == {email["id"]}
    assert len(desk.queued()) == 2


def test_a_draft_with_the_same_octets_stays_a_draft(desk, program):
    """A draft that its program will remove by itself does not become the only copy."""
    packed = blobs.pack(MESSAGE.encode())
    account = desk.house.users[ALICE].account
    desk.house.database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed), account, 0))
    drafts = desk.house.mailbox("drafts")
    email = {"blobId": packed.blob_id, "mailboxIds": {drafts: True}, "keywords": {"$draft": True}}
    desk.house.call("Email/import", {"emails": {"c": email}})
    sign_in(program)
    send(program)
    assert sorted(list(one["mailboxIds"]) for one in desk.emails()) == sorted([[drafts], [desk.house.mailbox("sent")]])


def test_sent_is_made_when_there_is_none(desk, program):
    """A user may have removed the Mailbox; the copy still has a place."""
    desk.house.call("Mailbox/set", {"destroy": [desk.house.mailbox("sent")]})
    sign_in(program)
    assert send(program).startswith("250 2.0.0 ")
    assert desk.emails()[0]["mailboxIds"] == {desk.house.mailbox("sent"): True}


def test_a_message_can_be_held(desk, program):
    """RFC 4865: HOLDFOR and HOLDUNTIL are what they are by JMAP; EHLO says how long at most."""
    desk.house.now = 1_700_000_000.0
    assert "250-FUTURERELEASE 2592000 2023-12-14T22:13:20Z\n" in program.says("EHLO client.example", "250")
    sign_in(program)
    send(program, parameters=" HOLDFOR=3600")
    send(program, parameters=" HOLDUNTIL=2023-11-15T00:00:00Z")
    assert [one["sendAt"] for one in desk.submissions()] == ["2023-11-14T23:13:20Z", "2023-11-15T00:00:00Z"]
    for bad in (
        "HOLDFOR=0",
        "HOLDFOR=2592001",
        "HOLDFOR=soon",
        "HOLDFOR",
        "HOLDUNTIL=2024-11-15T00:00:00Z",
        "HOLDUNTIL=2023-02-30T00:00:00Z",
        "HOLDUNTIL=2023-11-15T00:00:00+01:00",
        "HOLDFOR=1 HOLDUNTIL=2023-11-15T00:00:00Z",
        "HOLDFOR=1 HOLDFOR=1",
    ):
        program.says(f"MAIL FROM:<{ALICE}> {bad}", "501 5.5.4 ")
    program.says(f"MAIL FROM:<{ALICE}>", "250 2.1.0 ")
    program.says(f"RCPT TO:<{OUTSIDE}> HOLDFOR=1", "555 5.5.4 ")


def test_parameters_are_decoded(desk, program):
    """RFC 8621 §7: an envelope has no xtext; RFC 4954 §5: what AUTH= says of the author is taken and not believed."""
    sign_in(program)
    program.says(f"MAIL FROM:<{ALICE}> RET=FULL ENVID=QQ+2B314 AUTH=e+3Dmc2@example.com", "250 2.1.0 ")
    program.says(f"RCPT TO:<{OUTSIDE}> ORCPT=rfc822;Some+2Bbody@remote.example NOTIFY=NEVER", "250 2.1.5 ")
    program.says("RCPT TO:<two@remote.example> ORCPT=utf-8;j\\x{F6}rg@remote.example", "250 2.1.5 ")
    program.says("DATA", "354 ")
    program.send(MESSAGE.encode() + b".\r\n")
    assert program.reply().startswith("250 2.0.0 ")
    assert desk.queued() == [
        (
            ALICE,
            {"RET": "FULL", "ENVID": "QQ+314"},
            {
                OUTSIDE: {"ORCPT": "rfc822;Some+body@remote.example", "NOTIFY": "NEVER"},
                "two@remote.example": {"ORCPT": "utf-8;jörg@remote.example"},
            },
        )
    ]


@pytest.mark.parametrize(
    "parameter",
    [
        "RET=ALL",
        "RET",
        "ENVID=",
        "ENVID=a+2",
        "ENVID=+07",
        f"ENVID={'x' * 101}",
        "AUTH=a+b",
        "AUTH",
        "SIZE=x",
        "BODY=x",
    ],
)
def test_bad_parameters_of_mail(program, parameter):
    """Each that is malformed is refused, and the connection goes on."""
    sign_in(program)
    program.says(f"MAIL FROM:<{ALICE}> {parameter}", "501 5.5.4 ")
    program.says(f"MAIL FROM:<{ALICE}> MT-PRIORITY=3", "555 5.5.4 ")
    program.says(f"MAIL FROM:<{ALICE}> SIZE=100 BODY=8BITMIME SMTPUTF8", "250 2.1.0 ")


@pytest.mark.parametrize(
    "parameter",
    [
        "NOTIFY=NEVER,DELAY",
        "NOTIFY=",
        "NOTIFY",
        "ORCPT=nobody",
        "ORCPT=rfc822;",
        "ORCPT=rfc822;a+2",
        "ORCPT=utf-8;\\x{D800}",
    ],
)
def test_bad_parameters_of_rcpt(program, parameter):
    """Each that is malformed is refused."""
    sign_in(program)
    program.says(f"MAIL FROM:<{ALICE}>", "250 2.1.0 ")
    program.says(f"RCPT TO:<{OUTSIDE}> {parameter}", "501 5.5.4 ")


# From whom, to whom


@pytest.mark.parametrize(
    ("sender", "identity"),
    [
        (ALICE, "i1"),
        ("Alice@EXAMPLE.com", "i1"),
        ("alice+news@example.com", "i1"),
        ("sales@example.com", "i1"),
        ("any.thing@shop.example", "i1"),
    ],
)
def test_a_users_own_addresses(desk, program, sender, identity):
    """Their own with any tag, an alias, a catch-all: in the envelope and in From."""
    sign_in(program)
    assert send(program, MESSAGE.replace(ALICE, sender), sender=sender).startswith("250 2.0.0 ")
    assert desk.submissions()[0]["identityId"] == identity


def test_the_nearest_identity(desk, program):
    """With an Identity for the author's very address, that is the submission's."""
    made = desk.house.call("Identity/set", {"create": {"i": {"name": "News", "email": "alice+news@example.com"}}})
    sign_in(program)
    send(program, MESSAGE.replace(ALICE, "alice+news@example.com"))
    assert desk.submissions()[0]["identityId"] == made["created"]["i"]["id"]


@pytest.mark.parametrize("sender", [BOB, "info@example.com", OUTSIDE, "nobody@example.com", "alice@remote.example"])
def test_foreign_senders(desk, program, sender):
    """Neither in the envelope nor in From or Sender is anybody else's address taken."""
    sign_in(program)
    assert "yours" in program.says(f"MAIL FROM:<{sender}>", "550 5.7.1 ")
    for forged in (
        MESSAGE.replace(ALICE, sender),
        MESSAGE.replace(f"<{ALICE}>", f"<{ALICE}>, {sender}"),
        f"Sender: {sender}\r\n{MESSAGE}",
    ):
        reply = send(program, forged)
        assert reply.startswith("550 5.7.1 ")
        assert sender in reply
    assert desk.queued() == desk.submissions() == desk.emails() == []


@pytest.mark.parametrize(
    "message",
    [
        "Subject: no From\r\n\r\nHello.\r\n",
        f"From: {ALICE}\r\nFrom: {BOB}\r\n\r\nHello.\r\n",
        "From: nobody\r\n\r\nHello.\r\n",
        "From:\r\n\r\nHello.\r\n",
        f"\r\nFrom: {ALICE}\r\n\r\nHello.\r\n",
        f"From: {ALICE}\r\nSender: one@example.com, two@example.com\r\n\r\nHello.\r\n",
        "",
    ],
)
def test_a_message_says_who_it_is_from(desk, program, message):
    """One From with addresses, as by JMAP: else it is refused, and nothing is kept."""
    sign_in(program)
    assert send(program, message).startswith("550 5.6.0 ")
    assert desk.queued() == desk.submissions() == desk.emails() == []


def test_the_null_sender(desk, program):
    """A program may send what shall never come back, such as an MDN; From is still its user's."""
    sign_in(program)
    assert send(program, sender="").startswith("250 2.0.0 ")
    assert send(program, MESSAGE.replace(ALICE, BOB), sender="").startswith("550 5.7.1 ")
    assert [one[0] for one in desk.queued()] == [""]


def test_recipients(desk, program):
    """Anybody elsewhere; here whoever there is; nobody else in a domain of ours."""
    sign_in(program)
    program.says(f"MAIL FROM:<{ALICE}>", "250 2.1.0 ")
    for address in (OUTSIDE, BOB, "bob+x@example.com", "info@example.com", "any@shop.example", "a@[192.0.2.9]"):
        program.says(f"RCPT TO:<{address}>", "250 2.1.5 ")
    program.says("RCPT TO:<Postmaster>", "250 2.1.5 ")
    for address in ("nobody@example.com", "nobody@EXAMPLE.COM", "bobby@example.com"):
        program.says(f"RCPT TO:<{address}>", "550 5.1.1 ")
    for path in ("", "<>", "<@remote.example>", "<a b@remote.example>", "<x@remote..example>"):
        program.says(f"RCPT TO:{path}", "501 5.1.3 ")
    program.says("DATA", "354 ")
    program.send(MESSAGE.encode() + b".\r\n")
    assert program.reply().startswith("250 2.0.0 ")
    ((_, _, recipients),) = desk.queued()
    assert list(recipients) == [
        OUTSIDE,
        BOB,
        "bob+x@example.com",
        "info@example.com",
        "any@shop.example",
        "a@[192.0.2.9]",
        "postmaster@example.com",
    ]


def test_a_recipient_named_twice_is_one(desk, program):
    """In any case of its letters."""
    sign_in(program)
    send(program, recipients=(OUTSIDE, OUTSIDE.upper(), OUTSIDE))
    assert desk.queued() == [(ALICE, {}, {OUTSIDE: {}})]


def test_addresses_in_any_script(program):
    """RFC 6531: with SMTPUTF8, and only with it."""
    sign_in(program)
    program.says(f"MAIL FROM:<{ALICE}>", "250 2.1.0 ")
    program.says("RCPT TO:<jörg@remote.example>", "553 5.6.7 ")
    program.says("RSET", "250 2.0.0 ")
    assert send(program, recipients=("jörg@remote.example",), parameters=" SMTPUTF8").startswith("250 2.0.0 ")
    refused = send(program, MESSAGE.replace(ALICE, "jörg@remote.example"), parameters=" SMTPUTF8")
    assert refused.isascii()
    assert refused.startswith("550 5.7.1 ")


def test_limits(open_desk, join):
    """Too many recipients, too large a message, too many mistakes: each has its reply."""
    desk = open_desk(max_message_size=65_536)
    program = join(desk)
    sign_in(program)
    program.says(f"MAIL FROM:<{ALICE}> SIZE=70000", "552 5.3.4 ")
    assert send(program, MESSAGE + "x" * 998 + "\r\n").startswith("250 2.0.0 ")
    assert send(program, MESSAGE + ("x" * 998 + "\r\n") * 70).startswith("552 5.3.4 ")
    program.says(f"MAIL FROM:<{ALICE}>", "250 2.1.0 ")
    program.send(b"".join(b"RCPT TO:<r%d@remote.example>\r\n" % number for number in range(1001)))
    replies = [program.reply() for _ in range(1001)]
    assert {reply[:10] for reply in replies[:1000]} == {"250 2.1.5 "}
    assert replies[1000].startswith("452 4.5.3 ")
    program.says("DATA", "354 ")
    program.send(MESSAGE.encode() + b".\r\n")
    assert program.reply().startswith("250 2.0.0 ")
    assert len(desk.queued()[-1][2]) == 1000
    stranger = join(desk)
    for _ in range(LIMITS.errors):
        stranger.says("AUTH PLAIN =", "501 5.5.2 ")
    assert stranger.rest().startswith("421 4.7.0 ")


def test_a_full_queue(desk, program, monkeypatch):
    """A user who has as many messages waiting as are allowed is told to come later."""
    monkeypatch.setattr(queue, "MOST_WAITING", 1)
    sign_in(program)
    send(program)
    assert send(program).startswith("452 4.3.1 ")
    assert len(desk.queued()) == len(desk.submissions()) == 1
