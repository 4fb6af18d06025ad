"""The worker over the queue: who gets a message, what it looks like then, and that it comes exactly once."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from email.utils import format_datetime

from minijmap import users
from minijmap.mail import check, queue
from minijmap.server import open_database
from minijmap.smtp.delivery import FIRST_RETRY, Delivery
from minijmap.smtp.recipients import Recipients
from minijmap.store import blobs
from tests.conftest import House
from tests.sieve.inhouse import BOB, add_script

ALIASES = {"sales@example.com": "bob@example.com", "*@example.org": "bob@example.com"}
PATIENCE = 20


def worker(house, aliases=ALIASES):
    """Return a worker over a household."""
    return Delivery(house.database, Recipients(aliases), "mail.example.com", lambda: house.now)


def message(*fields, to="bob@example.com", subject="Hello"):
    """Return a message of Alice's."""
    lines = ["From: alice@example.com", f"To: {to}", f"Subject: {subject}", "Date: Thu, 1 Jan 2026 00:00:00 +0000"]
    return "\r\n".join([*lines, "Message-ID: <1@example.com>", *fields, "", "Text", ""]).encode()


def submit(house, raw, *recipients, **parameters):
    """Have Alice send a message; return the submission's id."""
    envelope = None
    if recipients:
        sender = {"email": "alice@example.com", "parameters": parameters or None}
        envelope = {"mailFrom": sender, "rcptTo": [{"email": one} for one in recipients]}
    wanted = {"emailId": house.deliver(raw), "identityId": "i1", "envelope": envelope}
    return house.call("EmailSubmission/set", {"create": {"k": wanted}})["created"]["k"]["id"]


def inbox(house, user="bob@example.com"):
    """Return what a user has, octet for octet, oldest first; nothing may be wrong in the whole file."""
    with house.database.read() as reader:
        assert list(check.problems(reader)) == []
        rows = reader.all("SELECT blob FROM email WHERE account = ? ORDER BY key", (house.users[user].account,))
        return [blobs.read(reader, row[0]) for row in rows]


def statuses(house, submission):
    """Return undoStatus, and `delivered` of each recipient."""
    (one,) = house.call("EmailSubmission/get", {"ids": [submission]})["list"]
    return one["undoStatus"], {address: status["delivered"] for address, status in one["deliveryStatus"].items()}


def waiting(house):
    """Return (address, route, next attempt) of everything in the queue."""
    with house.database.read() as reader:
        return reader.all("SELECT address, route, next_attempt FROM queue_recipient ORDER BY key")


def test_a_message_arrives_with_its_trace_and_without_bcc(house):
    """Return-Path and Received stand before it (RFC 5321 §4.4); who else gets it is not told."""
    submission = submit(house, message("Bcc: alice@example.com,", " carol@example.net"))
    before = house.call("Email/get", {"properties": ["id"]}, "bob@example.com")["state"]

    worker(house).run_due()

    here = format_datetime(datetime.fromtimestamp(house.now, UTC).astimezone())
    trace = f"Return-Path: <alice@example.com>\r\nReceived: by mail.example.com with JMAP id q1;\r\n\t{here}\r\n"
    assert inbox(house) == [trace.encode() + message()]
    (email,) = house.call("Email/get", {"properties": ["mailboxIds", "receivedAt", "keywords"]}, "bob@example.com")[
        "list"
    ]
    assert email["mailboxIds"] == {house.mailbox("inbox", "bob@example.com"): True}
    assert (email["receivedAt"], email["keywords"]) == ("2026-01-01T00:00:00Z", {"$hasnoattachment": True})
    assert house.call("Email/changes", {"sinceState": before}, "bob@example.com")["created"] == [email["id"]]
    assert statuses(house, submission) == (
        "final",
        {"bob@example.com": "yes", "alice@example.com": "yes", "carol@example.net": "queued"},
    )
    assert len(inbox(house, "alice@example.com")) == 2


def test_a_single_recipient_is_named_in_the_trace(house):
    """As the envelope has it."""
    submit(house, message(), "Bob+list@example.com")
    worker(house).run_due()

    assert b"with JMAP id q1\r\n\tfor <Bob+list@example.com>;\r\n" in inbox(house)[0]


def test_an_account_gets_one_copy_whatever_its_addresses(house):
    """Tags, aliases and catch-alls of one user; each recipient is answered for."""
    addresses = (
        "bob@example.com",
        "BOB+a@example.com",
        "sales@example.com",
        "any@example.org",
        "postmaster@example.com",
    )
    submission = submit(house, message(), *addresses)
    worker(house).run_due()

    assert len(inbox(house)) == 1
    assert len(inbox(house, "alice@example.com")) == 2  # postmaster is the first user
    assert statuses(house, submission) == ("final", dict.fromkeys(addresses, "yes"))
    assert waiting(house) == []


def test_a_script_sees_what_was_asked_about_notifications(house):
    """RFC 6009 §2: a recipient's script tests the parameters that came with what was handed in here."""
    add_script(house, 'require ["envelope", "envelope-dsn"]; if not envelope "envid" "QQ1" { discard; }', user=BOB)
    submit(house, message(subject="one"), "bob@example.com", ENVID="QQ1", RET="HDRS")
    submit(house, message(subject="two"), "bob@example.com", ENVID="QQ2")
    worker(house).run_due()

    (only,) = inbox(house)
    assert b"Subject: one" in only


def test_recipients_elsewhere_wait_in_the_queue(house):
    """They can still be called back; the worker does not look at them again."""
    submission = submit(house, message(to="carol@example.net"))
    delivery = worker(house)
    delivery.run_due()
    delivery.run_due()

    assert waiting(house) == [("carol@example.net", "outside", house.now * 1000)]
    assert statuses(house, submission) == ("pending", {"carol@example.net": "queued"})
    house.call("EmailSubmission/set", {"update": {submission: {"undoStatus": "canceled"}}})
    assert waiting(house) == []


def test_a_held_message_comes_at_its_time_and_not_before(house):
    """To the millisecond of the clock that is passed in."""
    submission = submit(house, message(), "bob@example.com", HOLDFOR="60")
    delivery = worker(house)
    house.now += 59.999
    delivery.run_due()
    assert inbox(house) == []
    assert statuses(house, submission)[0] == "pending"
    house.now += 0.001
    delivery.run_due()

    assert len(inbox(house)) == 1
    assert statuses(house, submission)[0] == "final"


def test_a_canceled_message_never_comes(house):
    """Although it was due."""
    submission = submit(house, message())
    house.call("EmailSubmission/set", {"update": {submission: {"undoStatus": "canceled"}}})
    worker(house).run_due()

    assert inbox(house) == []
    assert statuses(house, submission) == ("canceled", {"bob@example.com": "no"})


def test_without_its_email_and_its_record_it_comes_all_the_same(house):
    """The queue has what it needs, and lets go of it then (RFC 8621 §7.5)."""
    submission = submit(house, message())
    house.call("EmailSubmission/set", {"destroy": [submission]})
    house.call("Email/set", {"destroy": [one["id"] for one in house.call("Email/get", {"properties": ["id"]})["list"]]})
    worker(house).run_due()

    assert len(inbox(house)) == 1
    house.an_hour_later()
    with house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM blob") == 1


def test_a_recipient_who_is_removed_meanwhile_is_elsewhere(house):
    """The address is looked up when the message is delivered."""
    submit(house, message())
    users.remove_user(house.database, "bob@example.com")
    worker(house).run_due()

    assert [row[:2] for row in waiting(house)] == [("bob@example.com", "outside")]


def test_the_order_is_that_of_release(house):
    """What was due first comes first."""
    submit(house, message(subject="late"), "bob@example.com", HOLDFOR="20")
    submit(house, message(subject="early"), "bob@example.com", HOLDFOR="10")
    house.now += 30
    worker(house).run_due()

    assert [b"early" in one for one in inbox(house)] == [True, False]


def test_what_fails_is_tried_again_later_and_does_not_stop_the_rest(house, caplog):
    """Later each time; when it works at last, it comes once."""
    submit(house, message(subject="first"))
    submit(house, message(subject="second"))
    delivery = worker(house)

    def hide(tx, away):
        # The message of the first is nowhere to be found, as on a failing disk.
        tx.execute("UPDATE queue_message SET blob = ? WHERE key = 1", (-1 if away else 1,))

    house.database.write(lambda tx: hide(tx, away=True))
    delivery.run_due()
    delivery.run_due()
    assert waiting(house) == [("bob@example.com", None, (house.now + FIRST_RETRY) * 1000)]
    house.now += FIRST_RETRY
    delivery.run_due()
    assert waiting(house) == [("bob@example.com", None, (house.now + 2 * FIRST_RETRY) * 1000)]
    house.now += 2 * FIRST_RETRY
    house.database.write(lambda tx: hide(tx, away=False))
    delivery.run_due()

    assert [b"first" in one for one in inbox(house)] == [False, True]
    assert [record.message.split(" ")[1] for record in caplog.records] == ["q1", "q1"]


def test_two_workers_deliver_once(house):
    """What one has read and the other has delivered meanwhile is not delivered again."""
    for number in range(30):
        submit(house, message(subject=str(number)))
    threads = [threading.Thread(target=worker(house).run_due) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(inbox(house)) == 30
    assert waiting(house) == []


def test_a_commit_wakes_the_worker(tmp_path):
    """Nobody polls: what is submitted is delivered at once, and the end does not wait."""
    house = House(tmp_path / "data")
    delivery = worker(house)
    arrived = threading.Event()

    def hear(changes):
        delivery.hear(changes)
        if "Email" in changes.get(house.users["bob@example.com"].account, {}):
            arrived.set()

    house.database.on_commit = hear
    delivery.start()
    submit(house, message())
    assert arrived.wait(PATIENCE)
    arrived.clear()
    submit(house, message("X: again"))
    assert arrived.wait(PATIENCE)
    start = time.monotonic()
    delivery.stop()
    assert time.monotonic() - start < PATIENCE / 4

    assert len(inbox(house)) == 2
    house.database.close()


def test_the_time_to_sleep_is_that_to_the_next_release(house):
    """None without anything to wait for; never longer than a minute, for clocks are set."""
    delivery = worker(house)
    assert delivery._seconds_to_wait() is None
    submit(house, message(), "bob@example.com", HOLDFOR="3600")
    assert delivery._seconds_to_wait() == 60
    house.now += 3590
    assert delivery._seconds_to_wait() == 10
    house.now += 11
    assert delivery._seconds_to_wait() == 0
    delivery.run_due()
    assert delivery._seconds_to_wait() is None


KILLED = """
import sys, time
from pathlib import Path
from minijmap.server import open_database
from minijmap.smtp.delivery import Delivery
from minijmap.smtp.recipients import Recipients
database = open_database(Path(sys.argv[1]))
print("begun", flush=True)
Delivery(database, Recipients({}), "mail.example.com", lambda: float(sys.argv[2])).run_due()
print("done", flush=True)
"""


def killed_after(folder, now, seconds):
    """Run a worker in a process of its own and kill it some time after it began; say whether it was done."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(now)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    with process, contextlib.closing(process.stdout):
        assert process.stdout.readline() == "begun\n"
        timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
        timer.start()
        done = process.stdout.readline() == "done\n"
        timer.cancel()
        process.kill()
        return done


def test_killed_at_any_moment_nothing_is_lost_and_nothing_doubled(tmp_path):
    """A worker that is killed again and again, a little later each time, delivers every message exactly once."""
    folder = tmp_path / "data"
    house = House(folder)
    count = 150
    for number in range(count):
        submit(house, message(subject=f"Number {number}", to="bob@example.com, alice+t@example.com, out@example.net"))
    house.database.close()

    seconds, rounds = 0.001, 0
    while not killed_after(folder, house.now, seconds):
        seconds *= 1.3
        rounds += 1

    assert rounds > 1
    house.database = open_database(folder)
    house.engine = house.make_engine()
    with contextlib.closing(house.database):
        numbers = [int(one.split(b"Number ")[1].split(b"\r")[0]) for one in inbox(house)]
        assert sorted(numbers) == list(range(count))
        assert len(inbox(house, "alice@example.com")) == 2 * count
        assert [row[:2] for row in waiting(house)] == [("out@example.net", queue.OUTSIDE)] * count
        final = house.call("EmailSubmission/query", {"filter": {"undoStatus": "final"}, "calculateTotal": True})
        assert final["total"] == count
