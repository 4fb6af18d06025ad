"""Notifications: their form (RFC 3464, RFC 6522), who gets one, and what it gives back."""

import email
import email.policy

import pytest

from minijmap import users
from minijmap.mail.queue import Recipient
from minijmap.smtp.bounces import FAILED, MOST_HEADER, RELAYED, Notice, Verdict, compose, wanted
from tests.smtp.posting import ALICE, Names, Post, message, relay_settings, submit
from tests.smtp.sink import EXTENSIONS, Sink

CAROL = "carol@example.net"


@pytest.fixture
def refusing():
    """A server that knows nobody."""
    made = Sink(answers={"rcpt": "550 5.1.1 Nobody of this name"})
    yield made
    made.close()


@pytest.fixture
def post(house, refusing):
    """Alice's household, whose relay knows nobody."""
    return Post(house, Names(), relay_settings(refusing))


def parts(raw):
    """Return a notification as the standard library reads it, and its three parts."""
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert read.get_content_type() == "multipart/report"
    assert read.get_param("report-type") == "delivery-status"
    assert not read.defects
    return read, *read.iter_parts()


def groups(part):
    """Return the groups of fields of the part for machines."""
    return [dict(group.items()) for group in part.get_payload()]


def test_a_bounce(post):
    """From nobody, in the Inbox and at the submission; a person reads why, a machine too; the header comes back."""
    submission = submit(post.house, message("Bcc: x@example.net"), CAROL, "dave@example.net")
    post.run()

    (raw,) = post.inbox()
    read, text, status, returned = parts(raw)
    assert raw.startswith(b"Return-Path: <>\r\n")
    assert (read["From"], read["To"]) == ("Mail Delivery <postmaster@example.com>", ALICE)
    assert (read["Subject"], read["Auto-Submitted"]) == ("Your message could not be delivered", "auto-replied")
    said = text.get_content()
    for line in (CAROL, "dave@example.net", "550 5.1.1 Nobody of this name, said 127.0.0.1"):
        assert line in said
    first, *recipients = groups(status)
    assert first == {"Reporting-MTA": "dns; mail.example.com", "Arrival-Date": "Thu, 01 Jan 2026 00:00:00 +0000"}
    assert recipients == [
        {
            "Final-Recipient": f"rfc822; {address}",
            "Action": "failed",
            "Status": "5.1.1",
            "Remote-MTA": "dns; 127.0.0.1",
            "Diagnostic-Code": "smtp; 550 5.1.1 Nobody of this name",
        }
        for address in (CAROL, "dave@example.net")
    ]
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload().encode() == message().partition(b"\r\n\r\n")[0]
    shown = post.submission(submission)
    (got,) = post.house.call("Email/get", {"properties": ["blobId"], "ids": shown_ids(post)})["list"]
    assert shown["dsnBlobIds"] == [got["blobId"]]


def shown_ids(post):
    """Return the ids of what is in the Inbox."""
    return post.house.call("Email/query", {"filter": {"inMailbox": post.house.mailbox("inbox")}})["ids"]


def test_the_whole_message_comes_back_if_it_was_asked_for(post):
    """RET=FULL; the envelope's id and the original recipient are named (RFC 3461 §4)."""
    recipient = (CAROL, {"ORCPT": "rfc822;Carol@example.net"})
    submit(post.house, message(body="Grüße\r\n.\r\n"), recipient, RET="FULL", ENVID="mine")
    post.run()

    _, _, status, returned = parts(post.inbox()[0])
    first, second = groups(status)
    assert first["Original-Envelope-Id"] == "mine"
    assert second["Original-Recipient"] == "rfc822; Carol@example.net"
    assert returned.get_content_type() == "message/rfc822"
    assert message(body="Grüße\r\n.\r\n") in post.inbox()[0]


def test_nobody_is_told_who_does_not_want_to_know(post):
    """NOTIFY=NEVER, or of success alone; and never for a message that came from nobody."""
    for recipients, sender in (
        ([(CAROL, {"NOTIFY": "NEVER"})], ALICE),
        ([(CAROL, {"NOTIFY": "SUCCESS"})], ALICE),
        ([CAROL], ""),
    ):
        submission = submit(post.house, message(), *recipients, sender=sender)
        post.run()
        assert post.status(submission)[1]["delivered"] == "no"
        assert post.submission(submission)["dsnBlobIds"] == []
    assert post.inbox() == []


def test_a_server_without_dsn_is_spoken_for(house):
    """Whoever asks for SUCCESS hears that it was passed on (RFC 3461 §5.2.2); with DSN the server tells."""
    for offers, count in ((EXTENSIONS, 0), (tuple(one for one in EXTENSIONS if one != "DSN"), 1)):
        sink = Sink(extensions=offers)
        post = Post(house, Names(), relay_settings(sink))
        submission = submit(house, message(), (CAROL, {"NOTIFY": "SUCCESS,FAILURE"}), "dave@example.net")
        post.run()
        sink.close()
        assert len(post.inbox()) == count
    _, _, status, _ = parts(post.inbox()[0])
    _, *recipients = groups(status)
    assert [(one["Final-Recipient"], one["Action"], one["Status"]) for one in recipients] == [
        (f"rfc822; {CAROL}", "relayed", "2.1.5")
    ]
    # RFC 8621 §7: only “delivered” and “failed” change it.
    assert post.status(submission, CAROL)[1]["delivered"] == "unknown"


def test_without_its_submission_the_sender_hears_it_all_the_same(post):
    """The record may be gone."""
    submission = submit(post.house, message())
    post.house.call("EmailSubmission/set", {"destroy": [submission]})
    post.run()

    assert len(post.inbox()) == 1


def test_the_blob_lives_as_long_as_email_or_submission(post):
    """Deleted from the Inbox, it can still be read; then both are gone, and so is it."""
    submission = submit(post.house, message())
    post.run()
    (blob,) = post.submission(submission)["dsnBlobIds"]
    post.house.call("Email/set", {"destroy": shown_ids(post)})
    count = "SELECT count(*) FROM blob WHERE digest = ?"
    digest = (bytes.fromhex(blob[1:]),)
    with post.house.database.read() as reader:
        assert reader.value(count, digest) == 1
    post.house.call("EmailSubmission/set", {"destroy": [submission]})
    post.house.an_hour_later()
    with post.house.database.read() as reader:
        assert reader.value(count, digest) == 0
    assert post.waiting() == []


def test_delivery_in_the_house_is_told_to_whoever_asks(house, post):
    """NOTIFY=SUCCESS for a mailbox here: “delivered” (RFC 3461 §5.2.3)."""
    submission = submit(house, message(), ("bob@example.com", {"NOTIFY": "SUCCESS"}), (ALICE, {"NOTIFY": "FAILURE"}))
    post.run()

    told = [raw for raw in post.inbox() if b"multipart/report" in raw]
    _, _, status, _ = parts(told[0])
    _, *recipients = groups(status)
    assert [(one["Final-Recipient"], one["Action"]) for one in recipients] == [("rfc822; bob@example.com", "delivered")]
    assert len(told) == len(post.submission(submission)["dsnBlobIds"]) == 1


def test_with_the_user_all_of_it_goes(house, post):
    """Bounces, what is kept for submissions, and by what they were known."""
    submit(house, message())
    post.run()
    users.remove_user(house.database, ALICE)
    with house.database.read() as reader:
        assert reader.all("SELECT (SELECT count(*) FROM blob), (SELECT count(*) FROM sent_message)") == [(0, 0)]
    assert post.waiting() == []


def test_a_sender_elsewhere_is_told_by_mail(post):
    """A message that was sent on for somebody: the notification takes the queue, and itself never bounces."""
    submit(post.house, message())
    post.house.database.write(lambda tx: tx.execute("UPDATE queue_message SET sender = 'eve@example.org'"))
    post.run()

    assert post.inbox() == []
    with post.house.database.read() as reader:
        assert reader.all(
            "SELECT sender, address FROM queue_message JOIN queue_recipient ON message = queue_message.key"
        ) == [("", "eve@example.org")]
    post.run()
    assert post.waiting() == []


def notice(*verdicts, raw, **parameters):
    """Return what a notification is made of."""
    return Notice(ALICE, parameters, verdicts, raw, "mail.example.com", 0, 0)


def verdict(address, **parameters):
    """Return a failure."""
    return Verdict(Recipient(1, address, parameters, 0), FAILED, "5.1.1", "550 5.1.1 No", "")


def test_addresses_beyond_ascii():
    """The form for them (RFC 6533)."""
    raw = compose(notice(verdict("jürgen@example.net"), raw="Subject: Grüße\r\n\r\nText\r\n".encode()))

    assert b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n" in raw
    assert "Final-Recipient: utf-8; jürgen@example.net\r\n".encode() in raw
    assert b"Content-Type: message/global-headers\r\n" in raw


def test_what_is_given_back_has_a_limit():
    """Of the header a part, of a large message the header."""
    long = b"Subject: x\r\n" + b"X-Long: y\r\n" * 20_000 + b"\r\n" + b"z" * 2_000_000
    raw = compose(notice(verdict(CAROL), raw=long, RET="FULL"))

    assert MOST_HEADER < len(raw) < MOST_HEADER + 3000


def test_parameters_can_not_break_out():
    """A line end in a parameter opens no field."""
    one = verdict(CAROL, ORCPT="rfc822;x\r\nAction: delivered")
    raw = compose(notice(one, raw=b"\r\nText", ENVID="a\r\nX: y"))

    assert b"Action: delivered" not in raw
    assert b"\r\nX: y" not in raw


def test_who_wants_what():
    """RFC 3461 §4.1."""
    for notify, failure, success in (
        (None, True, False),
        ("NEVER", False, False),
        ("never", False, False),
        ("SUCCESS", False, True),
        ("SUCCESS,FAILURE", True, True),
        ("DELAY", False, False),
    ):
        recipient = Recipient(1, CAROL, {} if notify is None else {"Notify": notify}, 0)
        assert (wanted(recipient, FAILED), wanted(recipient, RELAYED)) == (failure, success), notify
