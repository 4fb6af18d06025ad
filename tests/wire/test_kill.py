"""A power cut: what was acknowledged is there, nothing is half there, and `minijmap check` has no word to say."""

import json
import subprocess

from tests.wire.running import ALICE, MINIJMAP, environment, run


def message(number):
    """Return a message of its own, in threads of three."""
    root = number - number % 3
    return (
        f"From: you@example.org\r\nTo: {ALICE}\r\nSubject: Message {root}\r\nMessage-ID: <{number}@example.org>\r\n"
        f"References: <{root}@example.org>\r\nX-Number: {number}\r\n\r\n{'word ' * 400}{number}\r\n"
    ).encode()


def checked(folder):
    """Return the last line of `minijmap check`, which must be content."""
    return run("--data", folder, "check").stdout.splitlines()[-1]


def test_everything_acknowledged_by_smtp_survives_a_kill(start, folder):
    """Killed right after the 250 of the last message: all of them are there."""
    server = start()
    for number in range(25):
        server.send(message(number))
    server.kill()

    assert checked(folder).endswith("25 Emails, 25 blobs, no problems.")
    assert len(start().subjects()) == 25


def test_a_change_that_was_answered_survives_a_kill(start, folder):
    """Killed right after the answer of Email/set: the keyword is there."""
    server = start()
    server.send(message(0))
    (query,) = server.request(["Email/query", {"accountId": "a1"}, "q"])
    (email,) = query[1]["ids"]
    (answer,) = server.request(["Email/set", {"accountId": "a1", "update": {email: {"keywords/$flagged": True}}}, "s"])
    server.kill()
    assert answer[1]["updated"] == {email: None}

    (got,) = start().request(["Email/get", {"accountId": "a1", "ids": [email], "properties": ["keywords"]}, "g"])
    assert got[1]["list"] == [{"id": email, "keywords": {"$flagged": True, "$hasnoattachment": True}}]
    assert checked(folder).endswith("no problems.")


def test_an_import_that_was_killed_is_taken_up_again(folder, tmp_path):
    """Killed in the middle: whole messages only, and the second import brings the rest and nothing twice."""
    count = 1500
    archive = tmp_path / "old.mbox"
    archive.write_bytes(
        b"".join(
            b"From x Thu Jan  1 00:00:00 2026\n" + message(n).replace(b"\r\n", b"\n") + b"\n" for n in range(count)
        )
    )
    arguments = [*MINIJMAP, "--data", str(folder), "import", ALICE, str(archive)]
    with subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    ) as process:
        while process.poll() is None and emails(folder) == 0:
            pass
        process.kill()
    there = emails(folder)
    assert 0 < there < count
    assert checked(folder).endswith("no problems.")

    again = run("--data", folder, "import", ALICE, archive)

    assert again.stdout.splitlines()[-1] == f"{count - there} imported, {there} already there, 0 failed"
    assert checked(folder).endswith(f"{count} Emails, {count} blobs, no problems.")


def emails(folder):
    """Return how many Emails are committed."""
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(folder / "minijmap.sqlite3")) as connection:
        return connection.execute("SELECT count(*) FROM email").fetchone()[0]


def test_a_concurrent_client_never_sees_half_a_change(start):
    """While mail arrives, the counts of every answer agree with its query."""
    server = start()
    for number in range(9):
        server.send(message(number))
        counts, query = server.request(
            ["Mailbox/get", {"accountId": "a1", "ids": ["m1"]}, "m"],
            [
                "Email/query",
                {"accountId": "a1", "filter": {"inMailbox": "m1"}, "calculateTotal": True, "collapseThreads": True},
                "q",
            ],
        )
        (inbox,) = counts[1]["list"]
        assert inbox["totalThreads"] == query[1]["total"] == len(query[1]["ids"]), json.dumps(inbox)
        assert inbox["totalEmails"] == number + 1
