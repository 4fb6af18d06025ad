"""Submission over real sockets: a mail program hands in, somebody reads it by JMAP, and a power cut loses nothing."""

import smtplib
import time

import pytest

from tests.wire.running import ALICE, run

BOB = "bob@example.com"
PATIENCE = 20


@pytest.fixture
def bobs_too(folder):
    """A data folder with Alice and Bob in it."""
    run("--data", folder, "user", "add", BOB, "--name", "Bob", "--password-stdin", text="secret\n")
    return folder


def message(number):
    """Return a message from Alice to Bob."""
    return f"From: {ALICE}\r\nTo: {BOB}\r\nBcc: carol@example.net\r\nSubject: Number {number}\r\n\r\nHello.\r\n"


def submit(server, numbers, password="secret"):
    """Hand messages in over one connection."""
    with smtplib.SMTP("127.0.0.1", server.submission_port, timeout=30) as smtp:
        smtp.login(ALICE, password)
        for number in numbers:
            smtp.sendmail(ALICE, [BOB], message(number))


def emails(server, user, account):
    """Return everything a user has."""
    properties = ["subject", "bcc", "messageId", "mailboxIds", "keywords", "header:Received"]
    arguments = {"accountId": account, "ids": None, "properties": properties}
    (got,) = server.request(["Email/get", arguments, "g"], user=user)
    return got[1]["list"]


def eventually(condition):
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline


def test_a_mail_program_sends_and_the_recipient_reads_by_jmap(bobs_too, start):
    """The third line says where; Bob has it without Bcc; the copy is in Sent, and the submission is final."""
    server = start("serve", "--data", bobs_too)
    assert [line.split()[0] for line in server.lines] == ["http", "smtp", "submission"]
    submit(server, [1])
    eventually(lambda: len(emails(server, BOB, "a2")) == 1)

    (got,) = emails(server, BOB, "a2")
    (copy,) = emails(server, ALICE, "a1")
    (roles,) = server.request(["Mailbox/get", {"accountId": "a1", "properties": ["role"]}, "m"])
    sent = next(one["id"] for one in roles[1]["list"] if one["role"] == "sent")
    assert (got["subject"], got["bcc"]) == ("Number 1", None)
    assert copy["bcc"] == [{"name": None, "email": "carol@example.net"}]
    assert got["messageId"] == copy["messageId"]
    assert len(copy["messageId"]) == 1
    assert " with ESMTPA id q1" in got["header:Received"]
    assert copy["header:Received"] is None
    assert (copy["mailboxIds"], copy["keywords"]) == ({sent: True}, {"$seen": True})
    (answer,) = server.request(["EmailSubmission/get", {"accountId": "a1", "ids": None}, "s"])
    (submission,) = answer[1]["list"]
    assert (submission["emailId"], submission["undoStatus"]) == (copy["id"], "final")
    assert submission["deliveryStatus"][BOB]["delivered"] == "yes"
    assert server.stop() == 0


def test_an_app_password_works_and_a_wrong_one_does_not(bobs_too, start):
    """As it does by HTTP; nothing was sent with the wrong one."""
    token = run("--data", bobs_too, "token", "add", ALICE, "laptop").stdout.splitlines()[-1]
    server = start("serve", "--data", bobs_too)
    submit(server, [1], token)
    with pytest.raises(smtplib.SMTPAuthenticationError, match=r"5\.7\.8"):
        submit(server, [2], "wrong")
    run("--data", bobs_too, "token", "revoke", ALICE, "laptop")
    with pytest.raises(smtplib.SMTPAuthenticationError, match=r"5\.7\.8"):
        submit(server, [3], token)
    eventually(lambda: len(emails(server, BOB, "a2")) == 1)


def test_what_was_acknowledged_survives_a_power_cut(bobs_too, start):
    """Killed right after the last 250: copies and deliveries are all there, once each."""
    server = start("serve", "--data", bobs_too)
    submit(server, range(20))
    server.kill()
    server = start("serve", "--data", bobs_too)
    wanted = sorted(f"Number {number}" for number in range(20))
    eventually(lambda: len(emails(server, BOB, "a2")) >= 20)
    for user, account in ((BOB, "a2"), (ALICE, "a1")):
        assert sorted(one["subject"] for one in emails(server, user, account)) == wanted
    assert server.stop() == 0
    assert run("--data", bobs_too, "check").stdout.splitlines()[-1].endswith("no problems.")


def test_it_can_be_turned_off(bobs_too, start):
    """Empty: there is no such listener, and no line for one."""
    server = start("serve", "--data", bobs_too, "--submission", "")
    assert [line.split()[0] for line in server.lines] == ["http", "smtp"]
    assert server.submission_port is None
    assert server.stop() == 0
