"""Recipients whose scripts refuse a message: in the reply when all of them do, by a message when some do (RFC 5429)."""

from email import message_from_bytes, policy

import pytest

from minijmap.mail import queue, submission
from minijmap.sieve import activity, scripts
from minijmap.smtp.delivery import Delivery
from minijmap.smtp.recipients import Recipients
from minijmap.smtp.service import Limits
from minijmap.store import blobs
from tests.mail.submitting import got, send
from tests.sieve.inhouse import BOB, add_script, set_scripts

ALICE, CAROL, STRANGER = "alice@example.org", "carol@example.net", "bob@remote.example"
MESSAGE = b"From: bob@remote.example\r\nSubject: Hello\r\nMessage-ID: <one@remote.example>\r\n\r\nGood day.\r\n"


def activate(household, name, script):
    """Give a user an active script."""
    account = household.users[name].account

    def job(tx):
        key = scripts.add(tx, account, f"{name}'s", blobs.pack(script.encode()), scripts.USER)
        assert activity.activate(tx, account, key)

    household.database.write(job)


def hand_over(client, *recipients, sender=STRANGER, message=MESSAGE):
    """Send a message; return the whole reply to its end."""
    client.says("EHLO remote.example", "250")
    client.says(f"MAIL FROM:<{sender}>", "250 2.1.0 ")
    for one in recipients:
        client.says(f"RCPT TO:<{one}>", "250 2.1.5 ")
    client.says("DATA", "354 ")
    client.send(message + b".\r\n")
    return client.reply()


def queued(household):
    """Return (sender, recipient, message) of what is in the queue, the messages read."""
    with household.database.read() as reader:
        keys = [row[0] for row in reader.all("SELECT key FROM queue_message ORDER BY key")]
        found = [queue.whole(reader, key) for key in keys]
        return [
            (one.sender, each.address, message_from_bytes(blobs.read(reader, one.blob), policy=policy.default))
            for one in found
            for each in one.recipients
        ]


@pytest.mark.parametrize(
    ("script", "reply"),
    [
        ('require "reject"; reject "Not from you.";', "550 5.7.1 Not from you."),
        ('require "ereject"; ereject "Not from you.";', "550 5.7.1 Not from you."),
        (
            'require "ereject"; ereject text:\r\nSpam, we think.\r\nRefused.\r\n\r\n.\r\n;',
            "550-5.7.1 Spam, we think.\n550 5.7.1 Refused.",
        ),
        ('require "ereject"; ereject "Für Sie nicht.";', "550 5.7.1 Refused by the recipient's mail filter"),
        ('require "ereject"; ereject "";', "550 5.7.1 Refused by the recipient"),
        ('require "ereject"; ereject "a\tb";', "550 5.7.1 a\tb"),
        ('require "ereject"; ereject "%s";' % ("x" * 1000), "550-5.7.1 " + "x" * 450),
    ],
)
def test_everybody_refuses(household, connect, script, reply):
    """The reply to the message says so, on as many lines as it needs; nothing is stored, nothing is sent."""
    activate(household, "alice", script)
    said = hand_over(connect(household), ALICE)

    assert said.startswith(reply)
    assert all(len(line) <= 510 for line in said.split("\n"))
    assert (household.stored(), queued(household)) == ([], [])


def test_two_with_different_reasons(household, connect):
    """Both are in the reply."""
    activate(household, "alice", 'require "reject"; reject "No.";')
    activate(household, "carol", 'require "ereject"; ereject "Never.";')

    assert hand_over(connect(household), ALICE, CAROL) == "550-5.7.1 No.\n550 5.7.1 Never."


def test_the_conversation_goes_on(household, connect):
    """A refusal is the end of a message, not of the session."""
    activate(household, "alice", 'require "reject"; reject "No.";')
    client = connect(household)
    hand_over(client, ALICE)

    assert hand_over(client, CAROL).startswith("250 2.6.0 ")


def test_it_is_no_offence(household, connect):
    """Whoever sends what a user does not want has broken no rule: no error is counted, however often that is."""
    activate(household, "alice", 'require "reject"; reject "No.";')
    client = connect(household)

    for _ in range(Limits().errors + 1):
        assert hand_over(client, ALICE) == "550 5.7.1 No."


def test_one_of_two_refuses(household, connect):
    """The message is taken, and the sender is told who has not got it (RFC 5429 §2.1.2)."""
    activate(household, "alice", 'require "ereject"; ereject "Nicht für Sie.";')
    assert hand_over(connect(household), ALICE, CAROL).startswith("250 2.6.0 ")

    assert (household.stored(), len(household.stored("carol"))) == ([], 1)
    ((sender, recipient, report),) = queued(household)
    assert (sender, recipient) == ("", STRANGER)
    text, status, _ = report.iter_parts()
    assert report["Auto-Submitted"] == "auto-replied"
    assert report.get_param("report-type") == "delivery-status"
    assert "Nicht für Sie." in text.get_content()
    assert status.get_content_type() == "message/global-delivery-status"  # for the reason is no ASCII
    lines = status.as_bytes().decode().splitlines()
    assert {f"Final-Recipient: rfc822; {ALICE}", "Action: failed", "Status: 5.7.1"} <= set(lines)


def test_a_reason_that_a_reply_can_not_say(household, connect):
    """That of a reject comes to the sender as it is, in an MDN; the message was taken (RFC 5429 §2.2)."""
    activate(household, "alice", 'require "reject"; reject "Für Sie nicht.\r\nNie.";')
    assert hand_over(connect(household), ALICE).startswith("250 2.6.0 ")

    assert household.stored() == []
    ((sender, recipient, report),) = queued(household)
    assert (sender, recipient, report["To"]) == ("", STRANGER, STRANGER)
    text, disposition, returned = report.iter_parts()
    assert "Für Sie nicht.\nNie." in text.get_content().replace("\r\n", "\n")
    assert report.get_param("report-type") == "disposition-notification"
    assert report["In-Reply-To"] == "<one@remote.example>"
    fields = message_from_bytes(disposition.get_payload(decode=True) or disposition.get_payload()[0].as_bytes())
    assert fields["Disposition"] == "automatic-action/MDN-sent-automatically; deleted"
    assert (fields["Final-Recipient"], fields["Original-Message-ID"]) == (f"rfc822; {ALICE}", "<one@remote.example>")
    assert "Subject: Hello" in returned.get_content()


def test_nobody_is_told_of_what_nobody_sent(household, connect):
    """A message from the null sender is refused in the reply, or without a word (RFC 5429 §2.1.2, §2.2.1)."""
    activate(household, "alice", 'require "reject"; reject "ä";')
    assert hand_over(connect(household), ALICE, sender="").startswith("250 2.6.0 ")
    activate(household, "alice", 'require "reject"; reject "a";')
    assert hand_over(connect(household), ALICE, sender="").startswith("550 5.7.1 ")

    assert (household.stored(), queued(household)) == ([], [])


def test_a_message_filed_by_smtp(household, connect):
    """The script sees who has sent it, to which address, from where."""
    tests = [
        'envelope "from" "bob@remote.example"',
        'envelope :detail "to" "tag"',
        'environment "remote-ip" "127.0.0.1"',
    ]
    tests.append('environment "remote-host" "remote.example"')
    needed = 'require ["envelope", "subaddress", "environment", "fileinto"];'
    activate(household, "alice", f"{needed}\r\nif not allof({', '.join(tests)}) {{ discard; }}")
    assert hand_over(connect(household), "alice+tag@example.org").startswith("250 2.6.0 ")

    assert household.bodies() == [MESSAGE]


# What people here send to each other


def worker(house):
    """Return the worker that delivers."""
    return Delivery(house.database, Recipients({}), "mail.example.com", lambda: house.now)


def hand_in(house, **fields):
    """Have Alice send a message to Bob; return the submission's id."""
    draft = {
        "mailboxIds": {house.mailbox("drafts"): True},
        "from": [{"email": "alice@example.com"}],
        "to": [{"email": BOB}],
        "subject": "Hello",
        **fields,
    }
    made = house.call("Email/set", {"create": {"d": draft}})["created"]["d"]["id"]
    return send(house, made)["id"]


def subjects(house, role, user="alice@example.com"):
    """Return the subjects of a Mailbox."""
    found = house.call("Email/query", {"filter": {"inMailbox": house.mailbox(role, user)}}, user)["ids"]
    return [one["subject"] for one in house.call("Email/get", {"ids": found, "properties": ["subject"]}, user)["list"]]


def test_local_mail_meets_the_script_too(house):
    """It is filed as mail from elsewhere would be, and the submission says that it was delivered."""
    add_script(house, 'require "fileinto"; fileinto "Archive";', user=BOB)
    sent = hand_in(house)
    worker(house).run_due()

    assert (subjects(house, "archive", BOB), subjects(house, "inbox", BOB)) == (["Hello"], [])
    assert got(house, sent)["deliveryStatus"][BOB] == submission.DELIVERED


def test_local_mail_that_is_refused(house):
    """The submission says so, with the reason as it is, and the sender is told in the Inbox."""
    add_script(house, 'require "reject"; reject "Für dich\r\nnicht.";', user=BOB)
    sent = hand_in(house)
    worker(house).run_due()

    status = got(house, sent)["deliveryStatus"][BOB]
    assert status == {
        "smtpReply": "550 5.7.1 The recipient's mail filter has refused the message: Für dich nicht.",
        "delivered": "no",
        "displayed": "unknown",
    }
    assert len(got(house, sent)["dsnBlobIds"]) == 1
    assert (subjects(house, "inbox", BOB), subjects(house, "inbox")) == ([], ["Your message could not be delivered"])
    with house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM queue_message") == 0


def test_scripts_that_send_to_each_other(house):
    """A circle of two ends where it began, and the message is there."""
    add_script(house, f'redirect "{BOB}";')
    add_script(house, 'redirect "alice@example.com";', user=BOB)
    hand_in(house)
    worker(house).run_due()

    assert (subjects(house, "inbox"), subjects(house, "inbox", BOB)) == ([], ["Hello"])
    set_scripts(house, BOB, onSuccessDeactivateScript=True)


def test_two_who_are_away(house):
    """Each answer is delivered, and is not answered."""
    for user in ("alice@example.com", BOB):
        house.call("VacationResponse/set", {"update": {"singleton": {"isEnabled": True}}}, user)
    hand_in(house)
    worker(house).run_due()

    assert (subjects(house, "inbox"), subjects(house, "inbox", BOB)) == (["Auto: Hello"], ["Hello"])
