"""Filters, over real sockets: scripts by HTTP, mail by SMTP, what scripts send to a relay, a server that is killed."""

import json
import smtplib

import pytest

from tests.smtp.sink import Sink
from tests.wire.running import ALICE

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:sieve", "urn:ietf:params:jmap:vacationresponse"]
FRIEND = "friend@example.net"
MESSAGE = (
    f"From: you@example.org\r\nTo: {ALICE}\r\nSubject: Hello\r\nMessage-ID: <one@example.org>\r\n\r\nGood day.\r\n"
)


@pytest.fixture
def sink():
    """Where all mail goes."""
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def server(folder, sink, start):
    """A server with the sink as its relay."""
    (folder / "minijmap.toml").write_text(f'relay = "smtp://127.0.0.1:{sink.port}"\nhostname = "mail.example.com"')
    return start()


def call(server, name, **arguments):
    """Make one method call of Alice's; return the response's arguments."""
    body = json.dumps({"using": USING, "methodCalls": [[name, {"accountId": "a1", **arguments}, "c"]]})
    ((_, answer, _),) = json.loads(server.post("/jmap/api", body.encode()))["methodResponses"]
    return answer


def activate(server, script):
    """Upload a script, and make it the active one."""
    blob = json.loads(server.post("/jmap/upload/a1", script.encode(), kind="application/sieve"))["blobId"]
    answer = call(server, "SieveScript/set", create={"k": {"blobId": blob}}, onSuccessActivateScript="#k")
    assert answer["created"]["k"]["isActive"] is True
    return answer["created"]["k"]


def test_a_script_at_work(server, sink):
    """It is downloaded as it was uploaded; it refuses, sends on and files."""
    script = (
        'require ["fileinto", "mailbox", "reject"];\r\n'
        'if header :is "Subject" "Bad" { reject "Not\r\nhere."; }\r\n'
        f'elsif header :is "Subject" "Away" {{ redirect "{FRIEND}"; }}\r\n'
        'else { fileinto :create "Filed"; }\r\n'
    )
    made = activate(server, script)
    assert server.get(f"/jmap/download/a1/{made['blobId']}/my.siv?type=application/sieve") == script.encode()

    server.send(MESSAGE)
    server.send(MESSAGE.replace("Hello", "Away"))
    with pytest.raises(smtplib.SMTPDataError) as refused:
        server.send(MESSAGE.replace("Hello", "Bad"))
    sink.wait(1)

    assert (refused.value.smtp_code, refused.value.smtp_error) == (550, b"5.7.1 Not\n5.7.1 here.")
    assert server.subjects() == ["Hello"]
    assert (sink.taken[0].mail.split()[1], sink.taken[0].recipients) == ("FROM:<you@example.org>", [FRIEND])
    assert b"Subject: Away\r\n" in sink.taken[0].octets


def test_what_a_script_sends_survives_a_crash(server, sink, start):
    """Once the message is acknowledged, so is what follows from it: it leaves after the next start."""
    activate(server, f'redirect "{FRIEND}";')
    call(server, "VacationResponse/set", update={"singleton": {"isEnabled": True}})
    sink.answers = {"connect": "421 4.3.2 Come back later"}
    server.send(MESSAGE)
    server.kill()
    sink.answers = {}
    start()
    sink.wait(1)

    assert [one.recipients for one in sink.taken] == [[FRIEND]]


def test_an_answer_while_away(server, sink):
    """It leaves at once, signed, from nobody, and is not sent again."""
    call(server, "VacationResponse/set", update={"singleton": {"isEnabled": True, "textBody": "Away."}})
    server.send(MESSAGE)
    server.send(MESSAGE)
    sink.wait(1)

    (one,) = sink.taken
    assert (one.mail.split()[1], one.recipients) == ("FROM:<>", ["you@example.org"])
    assert one.octets.count(b"DKIM-Signature") == 2
    assert "NOTIFY=NEVER" in one.rcpts[0]
    assert len(server.subjects()) == 2
