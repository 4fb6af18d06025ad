"""Sending, over real sockets: a draft becomes a message in somebody's Inbox, and a power cut neither loses nor doubles it."""

import contextlib
import sqlite3
import time

import pytest

from tests.wire.running import ALICE, run

BOB = "bob@example.com"
PATIENCE = 20


@pytest.fixture
def bobs_too(folder):
    """A data folder with Alice and Bob in it."""
    run("--data", folder, "user", "add", BOB, "--name", "Bob", "--password-stdin", text="secret\n")
    # Nothing of this leaves the machine: nobody listens there.
    (folder / "minijmap.toml").write_text('relay = "smtp://127.0.0.1:1"')
    return folder


def draft(number, mailbox):
    """Return an Email to create: from Alice to Bob."""
    return {
        "mailboxIds": {mailbox: True},
        "keywords": {"$draft": True},
        "from": [{"name": "Alice", "email": ALICE}],
        "to": [{"name": "Bob", "email": BOB}],
        "bcc": [{"email": "secret@example.net"}],
        "subject": f"Number {number}",
        "bodyStructure": {"type": "text/plain", "partId": "1"},
        "bodyValues": {"1": {"value": f"This is number {number}."}},
    }


def send(server, numbers):
    """Write and send one message for each number, in one request; return the responses."""
    (roles,) = server.request(["Mailbox/get", {"accountId": "a1", "properties": ["role"]}, "m"])
    box = {one["role"]: one["id"] for one in roles[1]["list"]}
    moved = {f"mailboxIds/{box['drafts']}": None, f"mailboxIds/{box['sent']}": True, "keywords/$draft": None}
    return server.request(
        ["Email/set", {"accountId": "a1", "create": {f"e{n}": draft(n, box["drafts"]) for n in numbers}}, "1"],
        [
            "EmailSubmission/set",
            {
                "accountId": "a1",
                "create": {f"s{n}": {"identityId": "i1", "emailId": f"#e{n}"} for n in numbers},
                "onSuccessUpdateEmail": {f"#s{n}": moved for n in numbers},
            },
            "2",
        ],
    )


def subjects(server, user, account):
    """Return the subjects of everything a user has."""
    (got,) = server.request(
        ["Email/get", {"accountId": account, "ids": None, "properties": ["subject", "bcc"]}, "g"], user=user
    )
    assert user == ALICE or all(one["bcc"] is None for one in got[1]["list"])
    return sorted(one["subject"] for one in got[1]["list"])


def eventually(condition):
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline


def test_a_message_is_written_sent_and_there(bobs_too, start):
    """Bob has it, without Bcc; Alice's copy is in Sent; the submission says so."""
    server = start("serve", "--data", bobs_too)
    made, sent, moved = send(server, [1])
    assert (made[0], sent[0], moved[0], sent[2], moved[2]) == (
        "Email/set",
        "EmailSubmission/set",
        "Email/set",
        "2",
        "2",
    )
    assert sent[1]["notCreated"] is moved[1]["notUpdated"] is None

    eventually(lambda: subjects(server, BOB, "a2") == ["Number 1"])

    (got,) = server.request(["EmailSubmission/get", {"accountId": "a1", "ids": None}, "g"])
    (submission,) = got[1]["list"]
    delivered = {address: status["delivered"] for address, status in submission["deliveryStatus"].items()}
    assert (submission["undoStatus"], delivered) == ("final", {BOB: "yes", "secret@example.net": "queued"})


def test_a_power_cut_at_any_moment(bobs_too, start):
    """Killed a little later each time, also in the middle of delivering: all arrives, and nothing twice."""
    count = 0
    for number in range(6):
        server = start("serve", "--data", bobs_too)
        numbers = range(count, count + 20)
        answers = send(server, numbers)
        assert len(answers[1][1]["created"]) == 20
        count += 20
        goal = count - 20 + number * 3
        eventually(lambda: arrived(bobs_too) >= goal)  # noqa: B023 - it is called in this turn alone
        server.kill()

    server = start("serve", "--data", bobs_too)
    wanted = sorted(f"Number {n}" for n in range(count))
    eventually(lambda: arrived(bobs_too) >= count)

    assert subjects(server, BOB, "a2") == subjects(server, ALICE, "a1") == wanted
    assert server.stop() == 0
    assert run("--data", bobs_too, "check").stdout.splitlines()[-1].endswith("no problems.")


def arrived(folder):
    """Return how many messages Bob has."""
    with contextlib.closing(sqlite3.connect(folder / "minijmap.sqlite3")) as connection:
        return connection.execute("SELECT count(*) FROM email WHERE account = 2").fetchone()[0]
