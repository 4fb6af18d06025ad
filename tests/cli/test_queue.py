"""`minijmap queue` and `minijmap dkim`: what they print, and that a running server notices."""

import re
import time

import pytest

from tests.smtp.sink import Sink
from tests.wire.running import ALICE, Running, run
from tests.wire.test_sending import CAROL, eventually, query, send


@pytest.fixture
def sink():
    """A relay that is busy."""
    made = Sink(answers={"rcpt": "450 4.2.1 Busy"})
    yield made
    made.close()


@pytest.fixture
def place(tmp_path, sink):
    """A data folder with Alice in it, whose relay the sink is."""
    folder = tmp_path / "data"
    run("--data", folder, "user", "add", ALICE, "--name", "Alice", "--password-stdin", text="secret\n")
    (folder / "minijmap.toml").write_text(f'relay = "smtp://127.0.0.1:{sink.port}"\nretry_seconds = [3600]')
    return folder


@pytest.fixture
def server(place):
    """A server on it."""
    running = Running("serve", "--data", place)
    yield running
    running.stop()


def lines(place):
    """Return what `queue list` prints."""
    return run("--data", place, "queue", "list").stdout.splitlines()


def test_list_retry_and_cancel_while_the_server_runs(place, server, sink):
    """A line a recipient; a retry leaves within seconds; what is canceled is not sent, and the submission says so."""
    assert lines(place) == []
    first, second = send(server, ["First"]) + send(server, ["Second"], to="dave@example.net")
    eventually(lambda: len(lines(place)) == 2 and all("450" in line for line in lines(place)))
    listed = [line.split("  ") for line in lines(place)]
    assert [line[0] for line in listed] == ["q1-1", "q2-2"]
    assert [line[1] for line in listed] == [CAROL, "dave@example.net"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line[2]) for line in listed)
    assert [line[3] for line in listed] == ["450 4.2.1 Busy"] * 2

    assert run("--data", place, "queue", "cancel", "q2-2").stdout == "Canceled: 1 recipient.\n"
    sink.answers = {}
    begin = time.monotonic()
    assert run("--data", place, "queue", "retry", "q1").stdout == "Due now: 1 recipient.\n"
    sink.wait(1)
    assert time.monotonic() - begin < 10
    eventually(lambda: lines(place) == [])
    (got,) = server.request(["EmailSubmission/get", {"accountId": "a1", "ids": [first, second]}, "g"])
    states = [(one["undoStatus"], *(s["delivered"] for s in one["deliveryStatus"].values())) for one in got[1]["list"]]
    assert states == [("final", "unknown"), ("canceled", "no")]


def test_without_a_server_too(place, server, sink):
    """What it does is found at the next start."""
    send(server, ["First"])
    eventually(lambda: "450" in "".join(lines(place)))
    server.stop()
    run("--data", place, "queue", "retry", "q1-1")
    sink.answers = {}
    again = Running("serve", "--data", place)
    sink.wait(1)
    again.stop()
    assert query(place, "SELECT * FROM queue_recipient") == []


def test_failures(place):
    """What is not there, what is under way, what is no id."""
    for verb in ("retry", "cancel"):
        done = run("--data", place, "queue", verb, "q7-7", check=False)
        assert (done.returncode, done.stderr) == (1, "minijmap: Nothing of this id waits.\n")
        done = run("--data", place, "queue", verb, "7x", check=False)
        assert done.returncode == 2
        assert "not an id of the queue" in done.stderr


def test_keys(place):
    """`show` makes them, `list` tells their state, `rotate` changes who signs."""
    assert run("--data", place, "dkim", "list", "example.com").stdout == ""
    shown = run("--data", place, "dkim", "show", "Example.com").stdout.splitlines()
    assert len(shown) == 2
    assert shown[0].startswith('minijmap._domainkey.example.com. IN TXT "v=DKIM1; k=rsa; p=MII')
    assert shown[1].startswith('minijmap-ed25519._domainkey.example.com. IN TXT "v=DKIM1; k=ed25519; p=')
    assert run("--data", place, "dkim", "show", "example.com").stdout.splitlines() == shown
    prepared = run("--data", place, "dkim", "rotate", "example.com", "--prepare").stdout.splitlines()
    assert [line.rpartition("; ")[2] for line in prepared] == ["active", "active", "next", "next"]
    run("--data", place, "dkim", "rotate", "example.com")
    listed = [line.split("  ")[:3] for line in run("--data", place, "dkim", "list", "example.com").stdout.splitlines()]
    assert listed == [
        ["minijmap", "rsa-sha256", "retired"],
        ["minijmap-ed25519", "ed25519-sha256", "retired"],
        ["minijmap-2", "rsa-sha256", "active"],
        ["minijmap-2-ed25519", "ed25519-sha256", "active"],
    ]
    done = run("--data", place, "dkim", "show", "not a domain", check=False)
    assert done.returncode == 2
    assert "not the name of a domain" in done.stderr
