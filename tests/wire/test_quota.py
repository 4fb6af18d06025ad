"""Quotas of a real server: the setting, the command beside it, mail refused and taken again, a client that is told."""

import json
import smtplib

import pytest

from tests.wire.running import ALICE, Running, run

LETTER = b"Subject: hello\r\n\r\n" + b"x" * 2000 + b"\r\n"
USING = [f"urn:ietf:params:jmap:{name}" for name in ("core", "mail", "quota", "blob")]


def quota(server):
    """The Quota of octets, as a client sees it; None without a limit."""
    calls = [["Quota/get", {"accountId": "a1", "ids": None}, "q"]]
    answered = json.loads(server.post("/jmap/api", json.dumps({"using": USING, "methodCalls": calls}).encode()))
    listed = answered["methodResponses"][0][1]["list"]
    return next((one for one in listed if one["resourceType"] == "octets"), None)


def test_the_setting_and_the_command(tmp_path):
    """A server with a quota fills up; whoever runs it makes room while it runs; the next start keeps that."""
    place = tmp_path / "data"
    run("--data", place, "user", "add", ALICE, "--password-stdin", text="secret\n")
    assert run("--data", place, "user", "quota", ALICE).stdout == f"{ALICE}  0 bytes of any number (the default)\n"
    server = Running("--data", place, "serve", quota=5000)
    try:
        assert (quota(server)["hardLimit"], quota(server)["used"]) == (5000, 0)
        server.send(LETTER)
        server.send(LETTER)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            server.send(LETTER)
        assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (552, b"5.2.2")
        shown = run("--data", place, "user", "quota", ALICE, "5k").stdout
        used = quota(server)["used"]
        assert shown == f"{ALICE}  {used} bytes of 5000 (set for this account)\n"
        run("--data", place, "user", "quota", ALICE, "0.01M")
        assert quota(server)["hardLimit"] == 10_000
        server.send(LETTER)
        run("--data", place, "user", "quota", ALICE, str(quota(server)["used"]))
        with pytest.raises(smtplib.SMTPRecipientsRefused) as full:
            server.send(LETTER)
        assert full.value.recipients[ALICE][0] == 452
        assert server.stop() == 0
        server = Running("--data", place, "serve", quota=7000)
        assert quota(server)["hardLimit"] == quota(server)["used"]
        run("--data", place, "user", "quota", ALICE, "default")
        assert quota(server)["hardLimit"] == 7000
        run("--data", place, "user", "quota", ALICE, "none")
        assert quota(server) is None
        server.send(LETTER)
        assert run("--data", place, "check").stdout.endswith("no problems.\n")
    finally:
        server.stop()


@pytest.mark.parametrize("size", ["-1", "5X", "lots", "1.2.3", "9999999T", ""])
def test_sizes_that_are_none(tmp_path, size):
    """Wrong use, with a word on what is right."""
    done = run("--data", tmp_path / "data", "user", "quota", "--", ALICE, size, check=False)
    assert done.returncode == 2
    assert "is not a size such as 500M" in done.stderr


def test_an_archive_that_is_too_large(tmp_path):
    """`minijmap import` says of each message that it has no room for why it is not there, and fails."""
    place = tmp_path / "data"
    run("--data", place, "user", "add", ALICE, "--password-stdin", text="secret\n")
    run("--data", place, "user", "quota", ALICE, "4500")
    (tmp_path / "letters").mkdir()
    for number in range(3):
        (tmp_path / "letters" / f"{number}.eml").write_bytes(LETTER.replace(b"hello", str(number).encode()))
    done = run("--data", place, "import", ALICE, tmp_path / "letters", check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "2 imported, 0 already there, 1 failed")
    assert "there is no room for it. The account may use 4500 octets" in done.stderr
