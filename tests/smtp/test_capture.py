"""A server to try things on keeps what would leave."""

from minijmap.mail import check, queue
from minijmap.smtp.capture import MAILBOX
from minijmap.smtp.delivery import Delivery
from minijmap.smtp.recipients import Recipients
from tests.smtp.posting import ALICE, message, submit


def captured(house):
    """Return (subject, X-Envelope-From, all X-Envelope-To) of what was kept."""
    ((box,),) = [house.call("Mailbox/query", {"filter": {"name": MAILBOX}})["ids"]]
    ids = house.call("Email/query", {"filter": {"inMailbox": box}})["ids"]
    names = ["subject", "header:X-Envelope-From", "header:X-Envelope-To:all"]
    got = house.call("Email/get", {"ids": ids, "properties": names})["list"]
    return [tuple(one[name] for name in names) for one in got]


def worker(house):
    """Return a worker that lets nothing out."""
    return Delivery(house.database, Recipients({}), "mail.example.com", lambda: house.now, capturing=True)


def test_what_would_leave_is_kept_with_its_envelope(house):
    """One Email a message, without Bcc, delivered; those who live here get it as ever."""
    recipient = ("carol@example.net", {"NOTIFY": "NEVER"})
    raw = message("Bcc: x@example.net")
    submission = submit(house, raw, recipient, "dave@example.net", "bob@example.com", RET="HDRS")
    worker(house).run_due()

    assert captured(house) == [
        ("Hello", f' <{ALICE}> {{"RET":"HDRS"}}', [' <carol@example.net> {"NOTIFY":"NEVER"}', " <dave@example.net>"])
    ]
    (one,) = house.call("EmailSubmission/get", {"ids": [submission]})["list"]
    assert (one["undoStatus"], {status["delivered"] for status in one["deliveryStatus"].values()}) == ("final", {"yes"})
    with house.database.read() as reader:
        assert list(check.problems(reader)) == []
        assert queue.lines(reader) == []
    assert len(house.call("Email/get", {"ids": None}, "bob@example.com")["list"]) == 1


def test_what_an_earlier_server_was_to_send_is_kept_too(house):
    """A folder that was served for real before."""
    submit(house, message())
    Delivery(house.database, Recipients({}), "mail.example.com", lambda: house.now).run_due()
    house.database.write(queue.look_again)
    worker(house).run_due()

    assert len(captured(house)) == 1
