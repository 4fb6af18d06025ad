"""Mail that leaves: what is said to another server, what becomes of each answer, and that nothing is lost or doubled."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from minijmap.mail import queue
from minijmap.server import open_database
from minijmap.smtp.client import Reply
from tests.conftest import House
from tests.smtp.posting import Names, Post, message, relay_settings, submit
from tests.smtp.sink import DROP, Sink

CAROL, DAVE = "carol@example.net", "dave@example.net"


# What becomes of an answer


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "end"])
def test_not_now_means_later(post, sink, stage):
    """At every stage: the queue keeps it, the submission says why, and then it goes."""
    sink.answers = {stage: "451-4.3.0 Come\r\n451 4.3.0 again"}
    submission = submit(post.house, message())
    post.run()

    undo, status = post.status(submission)
    reply = "451 4.3.0 Come again"
    assert status == {"smtpReply": reply, "delivered": "queued", "displayed": "unknown"}
    assert undo == ("final" if stage == "end" else "pending")
    assert post.waiting() == [(CAROL, 60, 1, reply)]
    sink.answers = {}
    post.house.now += 59
    post.run()
    assert sink.taken == []
    post.house.now += 1
    post.run()
    assert post.status(submission)[1]["delivered"] == "unknown"
    assert len(sink.taken) == 1


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "end"])
def test_never_means_back_to_the_sender(post, sink, stage):
    """At every stage: struck off, "no", and a bounce that is both in the Inbox and at the submission."""
    sink.answers = {stage: "550-5.7.1 We do\r\n550 5.7.1 not like it"}
    if stage == "ehlo":  # a server without EHLO is asked with HELO, which the sink knows
        sink.answers = {"ehlo": "421 4.3.2 Closing"}
    submission = submit(post.house, message())
    post.run()

    undo, status = post.status(submission)
    if stage == "ehlo":
        assert (undo, status["delivered"]) == ("pending", "queued")
        return
    assert status == {"smtpReply": "550 5.7.1 We do not like it", "delivered": "no", "displayed": "unknown"}
    assert undo == "final"
    assert post.waiting() == []
    assert len(post.inbox()) == len(post.submission(submission)["dsnBlobIds"]) == 1


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "end"])
def test_a_broken_connection_means_later(post, sink, stage):
    """Whenever it breaks, nothing is lost."""
    sink.answers = {stage: DROP}
    submission = submit(post.house, message())
    post.run()
    assert post.status(submission)[1]["smtpReply"].startswith("451 4.4.2 ")
    assert post.status(submission)[1]["delivered"] == "queued"
    sink.answers = {}
    post.house.now += 60
    post.run()

    assert len(sink.taken) == 1


def test_each_recipient_has_an_answer_of_its_own(post, sink):
    """One is taken, one refused, one put off; only the last is tried again."""
    answers = {"a": None, "b": "550 5.1.1 Unknown", "c": "450 4.2.1 Busy"}
    sink.answers = {"rcpt": lambda line: answers[line.partition("<")[2][0]]}
    submission = submit(post.house, message(), "a@example.net", "b@example.net", "c@example.net")
    post.run()

    statuses = post.submission(submission)["deliveryStatus"]
    assert {one: (status["delivered"], status["smtpReply"]) for one, status in statuses.items()} == {
        "a@example.net": ("unknown", "250 2.1.5 Recipient ok"),
        "b@example.net": ("no", "550 5.1.1 Unknown"),
        "c@example.net": ("queued", "450 4.2.1 Busy"),
    }
    assert post.waiting() == [("c@example.net", 60, 1, "450 4.2.1 Busy")]
    answers["c"] = None
    post.house.now += 60
    post.run()
    assert [one.recipients for one in sink.taken] == [["a@example.net"], ["c@example.net"]]


def test_the_waits_grow_and_the_last_repeats_until_the_time_is_up(post, sink):
    """retry_seconds and give_up_after, which counts from release; in the end it comes back with 4.4.7."""
    post.settings = relay_settings(sink, retry_seconds=(10, 20), give_up_after=100)
    sink.answers = {"rcpt": "450 4.2.1 Busy"}
    submission = submit(post.house, message(), CAROL, HOLDFOR="1000")
    post.house.now += 1000
    waits = []
    post.run()
    while post.waiting():
        ((_, seconds, _, _),) = post.waiting()
        waits.append(seconds)
        post.house.now += seconds
        post.run()

    assert waits == [10, 20, 20, 20, 20, 10]
    assert post.status(submission) == (
        "final",
        {"smtpReply": "450 4.2.1 Busy", "delivered": "no", "displayed": "unknown"},
    )
    (bounce,) = post.inbox()
    assert b"\r\nStatus: 4.4.7\r\n" in bounce


def test_a_message_that_waits_can_still_be_called_back(post, sink):
    """Nothing of it was handed over; once it was, it can't."""
    sink.answers = {"mail": "451 4.3.0 Later"}
    submission = submit(post.house, message())
    post.run()
    canceled = {"update": {submission: {"undoStatus": "canceled"}}}
    assert post.house.call("EmailSubmission/set", canceled)["notUpdated"] is None
    post.house.now += 3600
    sink.answers = {"end": "451 4.3.0 Later"}
    second = submit(post.house, message(subject="second"))
    post.run()
    canceled = {"update": {second: {"undoStatus": "canceled"}}}
    assert post.house.call("EmailSubmission/set", canceled)["notUpdated"][second]["type"] == "cannotUnsend"
    assert post.status(submission)[0] == "canceled"


def test_canceled_in_the_last_moment(post, sink):
    """Before the dot that ends the message: the record of the attempt is what decides, and nothing is sent."""
    submission = submit(post.house, message())

    def cancel(_):
        post.house.call("EmailSubmission/set", {"update": {submission: {"undoStatus": "canceled"}}})

    sink.answers = {"data": cancel}
    post.run()

    assert (sink.taken, post.status(submission)[0], post.waiting()) == ([], "canceled", [])
    assert "." not in sink.commands


def test_once_the_attempt_is_recorded_it_is_too_late(post, sink):
    """While the message is on the wire nobody can say that it was called back."""
    submission = submit(post.house, message())
    answers = []

    def cancel(_):
        wish = {"update": {submission: {"undoStatus": "canceled"}}}
        answers.append(post.house.call("EmailSubmission/set", wish)["notUpdated"][submission]["type"])

    sink.answers = {"end": cancel}
    post.run()

    assert (answers, len(sink.taken)) == (["cannotUnsend"], 1)


def test_a_session_that_was_closed_meanwhile_is_opened_again(post, sink):
    """A server may have had enough of us between two messages: that is nobody's failure."""
    for number in range(6):
        submit(post.house, message(subject=str(number)))
    counts = {}

    def closing(_):
        # Every second MAIL finds the connection closed.
        counts["mail"] = counts.get("mail", 0) + 1
        return ("421 4.4.2 Idle for too long", DROP, None)[counts["mail"] % 3] if counts["mail"] > 4 else None

    sink.answers = {"mail": closing}
    post.run()
    while post.waiting():
        post.house.now += 60
        post.run()

    assert len(sink.taken) == 6


def test_nobody_there(house):
    """A relay that does not listen: later, and the next message knows it too."""
    sink = Sink()
    sink.close()
    post = Post(house, Names(), relay_settings(sink))
    for number in range(3):
        submit(house, message(subject=str(number)))
    post.run()

    assert [(seconds, attempts) for _, seconds, attempts, _ in post.waiting()] == [(60, 1)] * 3
    assert all(reply.startswith("451 4.4.1 No connection to 127.0.0.1") for *_, reply in post.waiting())


@pytest.mark.parametrize(
    "said", ["nonsense", "99 x", "250-" + "x" * 9000, "\r\n".join(["250-x"] * 300), "HTTP/1.1 400"]
)
def test_what_is_not_smtp(house, serving, said):
    """A server that speaks something else, or without end, is left: the message waits."""
    sink = serving(answers={"connect": said})
    post = Post(house, Names(), relay_settings(sink))
    submit(house, message())
    post.run()

    assert [attempts for _, _, attempts, _ in post.waiting()] == [1]


def test_replies_are_one_line():
    """RFC 8621 §7: its own example, and one without status codes."""
    lines = ("5.7.1 Our system has detected that this message is", "5.7.1 likely spam.")
    assert Reply(550, lines).text == "550 5.7.1 Our system has detected that this message is likely spam."
    assert Reply(250, ("Ok",)).text == "250 Ok"
    assert [Reply(550, (text,)).status for text in ("No", "2.1.1 No", "5.1.1 No", "5.1.1")] == [
        "5.0.0",
        "5.0.0",
        "5.1.1",
        "5.1.1",
    ]


# Once


def test_a_message_that_was_under_way_is_sent_again(post, sink, caplog):
    """Its end was not written down: rather twice than not at all. The octets are the same."""
    submit(post.house, message())
    post.run()
    (first,) = sink.taken
    submission = submit(post.house, message(subject="second"))
    sink.answers = {"rcpt": "450 4.2.1 Busy"}
    post.run()
    post.house.database.write(lambda tx: tx.execute("UPDATE queue_recipient SET begun = 1"))
    cancel = {"update": {submission: {"undoStatus": "canceled"}}}
    assert post.house.call("EmailSubmission/set", cancel)["notUpdated"][submission]["type"] == "cannotUnsend"
    sink.answers = {}
    post.house.now += 60
    sender = post.sender()
    sender.recover()
    sender.run_due()
    sender.stop()

    assert len(sink.taken) == 2
    assert "may arrive twice" in caplog.text
    assert first.octets != sink.taken[1].octets


def test_later_attempts_send_the_same_octets(post, sink):
    """A message is signed once."""
    seen = []
    sink.answers = {"end": lambda _: seen.append(1) or ("451 4.3.0 Later" if len(seen) < 3 else None)}
    submit(post.house, message())
    with post.house.database.read() as reader:
        assert reader.value("SELECT signature FROM queue_message") is None
    post.run()
    with post.house.database.read() as reader:
        signature = reader.value("SELECT signature FROM queue_message")
    for _ in range(2):
        post.house.now += 3600
        post.run()

    (taken,) = sink.taken
    assert taken.octets.startswith(signature)
    assert b"t=1767225600;" in signature


def test_a_slow_server_gets_more_connections(tmp_path, sink):
    """After a second of waiting; a fast one is spoken to over one, of whose message alone nobody knows after a crash."""
    house = House(tmp_path / "data")
    post = Post(house, Names(), relay_settings(sink))
    together = threading.Barrier(3)
    sink.answers = {"end": lambda _: together.wait(20) and None}
    for number in range(6):
        submit(house, message(subject=str(number)))
    house.database.write(lambda tx: tx.execute("UPDATE queue_recipient SET route = 'outside', domain = 'example.net'"))
    sender = post.sender()
    sender.start()
    sink.wait(6)
    sender.stop()

    assert 3 <= sink.connections <= 4
    house.database.close()


def test_a_commit_wakes_the_sender(tmp_path, sink):
    """Nobody polls, and the end does not wait."""
    house = House(tmp_path / "data")
    post = Post(house, Names(), relay_settings(sink))
    sender = post.sender()
    sender.start()
    for number in range(3):
        submit(house, message(subject=str(number)))
        house.database.write(
            lambda tx: tx.execute("UPDATE queue_recipient SET route = 'outside', domain = 'example.net'")
        )
        sender.wake()
        sink.wait(number + 1)
    start = time.monotonic()
    sender.stop()
    assert time.monotonic() - start < 3

    assert sink.connections == 1
    assert len(sink.taken) == 3
    house.database.close()


def test_stopping_does_not_wait_for_a_server_that_does_not_answer(tmp_path, sink):
    """What was begun is sent again by the next run, which is told."""
    house = House(tmp_path / "data")
    post = Post(house, Names(), relay_settings(sink))
    stuck, release = threading.Event(), threading.Event()

    def wait(_):
        stuck.set()
        release.wait(20)
        return DROP

    sink.answers = {"end": wait}
    submission = submit(house, message())
    house.database.write(lambda tx: tx.execute("UPDATE queue_recipient SET route = 'outside', domain = 'example.net'"))
    sender = post.sender()
    sender.start()
    assert stuck.wait(20)
    start = time.monotonic()
    sender.stop()
    assert time.monotonic() - start < 4.5
    release.set()
    sink.answers = {}
    house.now += 3600
    sender = post.sender()
    sender.recover()
    sender.run_due()
    sender.stop()

    assert len(sink.taken) == 1
    assert post.status(submission)[1]["delivered"] == "unknown"
    house.database.close()


KILLED = """
import sys
from pathlib import Path
from minijmap.server import open_database
from minijmap.smtp.delivery import Delivery
from minijmap.smtp.recipients import Recipients
from tests.smtp.posting import Names, relay_settings, Post
database = open_database(Path(sys.argv[1]))
class House: pass
class Sink: host, port, implicit = "127.0.0.1", int(sys.argv[3]), False
house = House()
house.database, house.now = database, float(sys.argv[2])
post = Post(house, Names(), relay_settings(Sink))
print("begun", flush=True)
Delivery(database, Recipients({}), "mail.example.com", lambda: house.now).run_due()
sender = post.sender()
sender.recover()
sender.run_due()
print("done", flush=True)
"""


def killed_after(folder, now, port, seconds):
    """Send in a process of its own and kill it some time after it began; say whether it was done."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(now), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    with process, contextlib.closing(process.stdout):
        assert process.stdout.readline() == "begun\n"
        timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
        timer.start()
        done = process.stdout.readline() == "done\n"
        timer.cancel()
        process.kill()
        return done


def test_killed_at_any_moment_nothing_is_lost_and_doubles_are_those_that_were_under_way(tmp_path, sink):
    """Killed again and again: everything arrives; twice only what had been begun and not ended when it died."""
    folder = tmp_path / "data"
    house = House(folder)
    count = 120
    for number in range(count):
        submit(house, message(subject=f"Number {number}"))
    house.database.close()

    under_way, seconds = set(), 0.05
    while not killed_after(folder, house.now, sink.port, seconds):
        house.database = open_database(folder)
        with house.database.read() as reader:
            under_way |= {row[0] for row in reader.all("SELECT message FROM queue_recipient WHERE begun IS NOT NULL")}
        house.database.close()
        seconds *= 1.25

    arrived = [int(one.octets.split(b"Number ")[1].split(b"\r")[0]) for one in sink.taken]
    assert set(arrived) == set(range(count))
    doubled = {number + 1 for number in arrived if arrived.count(number) > 1}
    assert doubled <= under_way
    house.database = open_database(folder)
    with contextlib.closing(house.database), house.database.read() as reader:
        assert queue.lines(reader) == []
