"""Reports that come back: to which submission they belong, and what it shows then (RFC 8621 §7)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.mail import message as mime
from minijmap.mail import reports
from minijmap.mail.reportform import MOST_RECIPIENTS, read
from tests.smtp.posting import Names, Post, message, relay_settings, submit
from tests.smtp.sink import Sink

CAROL, DAVE = "carol@example.net", "dave@example.net"


@pytest.fixture
def post(house):
    """Alice's household, after her mail has left."""
    sink = Sink()
    yield Post(house, Names(), relay_settings(sink))
    sink.close()


def report(*lines, envid="", kind="delivery-status", original="Message-ID: <1@example.com>\r\n"):
    """Return a report as another server sends it."""
    first = (f"Original-Envelope-Id: {envid}",) if envid else ()
    first = ("Reporting-MTA: dns; mx.example.net", *first, "") if kind == "delivery-status" else ()
    status = "\r\n".join([*first, *lines, ""])
    return (
        "From: <>\r\nTo: alice@example.com\r\nSubject: Report\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type={kind}; boundary="b"\r\n\r\n'
        "--b\r\n\r\nSee below.\r\n"
        f"--b\r\nContent-Type: message/{kind}\r\n\r\n{status}"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{original}\r\n--b--\r\n"
    ).encode()


def group(address, action, *more):
    """Return the lines about a recipient."""
    return (f"Final-Recipient: rfc822; {address}", f"Action: {action}", "Status: 5.0.0", *more, "")


def sent(post, *recipients):
    """Send a message; return the submission's id and the envelope id it left with."""
    submission = submit(post.house, message(), *(recipients or (CAROL,)))
    post.run()
    with post.house.database.read() as reader:
        return submission, reader.value("SELECT envid FROM sent_message ORDER BY submission DESC")


def blob_of(post, email_id):
    """Return an Email's blobId."""
    return post.house.call("Email/get", {"ids": [email_id], "properties": ["blobId"]})["list"][0]["blobId"]


def test_a_failure_far_away(post):
    """“no”, with what was said there; the report is an Email and is kept at the submission."""
    submission, envid = sent(post)
    said = "Diagnostic-Code: smtp; 550 5.1.1\r\n  Nobody   here"
    arrived = post.house.deliver(report(*group(CAROL, "failed", said), envid=envid, original=""))

    shown = post.submission(submission)
    assert shown["deliveryStatus"][CAROL] == {
        "smtpReply": "550 5.1.1 Nobody here",
        "delivered": "no",
        "displayed": "unknown",
    }
    assert (shown["dsnBlobIds"], shown["mdnBlobIds"]) == ([blob_of(post, arrived)], [])
    assert post.waiting() == []


@pytest.mark.parametrize(
    ("action", "more", "delivered", "reply"),
    [
        ("Delivered", (), "yes", "250 5.0.0 Delivered"),
        ("failed", ("Diagnostic-Code: x-unix; full",), "no", "550 5.0.0 full"),
        ("delayed", (), "unknown", "250 2.1.5 Recipient ok"),
        ("relayed", (), "unknown", "250 2.1.5 Recipient ok"),
        ("expanded", (), "unknown", "250 2.1.5 Recipient ok"),
        ("", (), "unknown", "250 2.1.5 Recipient ok"),
    ],
)
def test_actions(post, action, more, delivered, reply):
    """Only “delivered” and “failed” are an end (RFC 8621 §7); each is kept."""
    submission, envid = sent(post)
    post.house.deliver(report(*group(CAROL, action, *more), envid=envid))

    status = post.status(submission)[1]
    assert (status["delivered"], status["smtpReply"]) == (delivered, reply)
    assert len(post.submission(submission)["dsnBlobIds"]) == 1


def test_by_the_message_id_and_the_original_recipient(post):
    """Without an envelope id; the address as it was sent to counts, in any case."""
    submission, _ = sent(post, CAROL, DAVE)
    lines = ("Original-Recipient: rfc822;CAROL@example.net", *group("c17@elsewhere.example", "delivered"))
    post.house.deliver(report(*lines))

    statuses = post.submission(submission)["deliveryStatus"]
    assert {one: status["delivered"] for one, status in statuses.items()} == {CAROL: "yes", DAVE: "unknown"}


def test_what_is_final_stays(post):
    """A second report is kept, and changes nothing."""
    submission, envid = sent(post)
    post.house.deliver(report(*group(CAROL, "delivered"), envid=envid))
    post.house.deliver(report(*group(CAROL, "failed"), envid=envid))
    shown = post.submission(submission)

    assert shown["deliveryStatus"][CAROL]["delivered"] == "yes"
    assert len(shown["dsnBlobIds"]) == 2


def test_a_report_that_is_faster_than_the_reply(post):
    """It comes while the server has not yet answered: it is not forgotten."""
    submission = submit(post.house, message(), CAROL)

    def early(_):
        with post.house.database.read() as reader:
            envid = reader.value("SELECT envid FROM sent_message")
        post.house.deliver(report(*group(CAROL, "failed"), envid=envid))

    sink = Sink(answers={"end": early})
    post.settings = relay_settings(sink)
    post.run()
    sink.close()

    assert post.status(submission)[1]["delivered"] == "no"


def test_a_report_about_nothing_of_ours(post):
    """Guessed ids, another's account, a message that merely looks like it: an Email, and no more."""
    submission, envid = sent(post)
    before = post.submission(submission)
    post.house.deliver(report(*group(CAROL, "failed"), envid="s1", original=""))
    post.house.deliver(report(*group(CAROL, "failed"), envid=envid), "bob@example.com")
    post.house.deliver(report(*group(CAROL, "failed"), envid=envid).replace(b"multipart/report", b"multipart/mixed"))
    unknown = report(*group("x@example.net", "failed"), envid=envid)

    assert post.submission(submission) == before
    post.house.deliver(unknown)
    # Its one recipient had the message forwarded.
    assert post.status(submission)[1]["delivered"] == "no"


def test_a_read_receipt(post):
    """“displayed” and mdnBlobIds, also of a message that stayed in the house (RFC 8098)."""
    submission, _ = sent(post, CAROL, "bob@example.com")
    for address, mode in ((CAROL, "deleted"), ("bob@example.com", "displayed/processed")):
        lines = (
            "Reporting-UA: x",
            f"Final-Recipient: rfc822;{address}",
            "Original-Message-ID: <1@example.com>",
            f"Disposition: manual-action/MDN-sent-manually; {mode}",
        )
        post.house.deliver(report(*lines, kind="disposition-notification", original=""))

    shown = post.submission(submission)
    statuses = shown["deliveryStatus"]
    assert {one: status["displayed"] for one, status in statuses.items()} == {
        CAROL: "unknown",
        "bob@example.com": "yes",
    }
    assert (len(shown["mdnBlobIds"]), shown["dsnBlobIds"]) == (2, [])


def test_what_was_known_is_forgotten_with_the_submission(post):
    """By the hourly upkeep."""
    submission, envid = sent(post)
    post.house.call("EmailSubmission/set", {"destroy": [submission]})
    post.house.deliver(report(*group(CAROL, "failed"), envid=envid))
    post.house.database.write(reports.forget_old)

    with post.house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM sent_message") == 0


def test_limits():
    """A report about a million recipients is read as far as the limit."""
    lines = [line for number in range(2 * MOST_RECIPIENTS) for line in group(f"r{number}@example.net", "failed")]
    raw = report(*lines)
    found = read(raw, mime.parse(raw))

    assert len(found.told) == MOST_RECIPIENTS


@given(
    st.lists(
        st.sampled_from([*group(CAROL, "failed"), "Disposition: ;;", "Final-Recipient: ;", ":", " x", "", "\x00ü"])
    )
)
@settings(max_examples=150)
def test_anything_is_a_report_or_none(lines):
    """Nothing in a report raises."""
    for kind in ("delivery-status", "disposition-notification"):
        raw = report(*lines, kind=kind)
        read(raw, mime.parse(raw))
