"""A real server that judges what comes in, by a DNS of the test's own."""

import smtplib
import socket
import time

import pytest

from tests.smtp.dnsserver import DnsServer
from tests.wire.running import ALICE, Running, run

FORGED = "From: ceo@bank.example\r\nTo: alice@example.com\r\nSubject: urgent\r\n\r\nPay.\r\n"


@pytest.fixture
def dns():
    """Return a DNS in which bank.example asks for refusal."""
    with DnsServer({("_dmarc.bank.example", "TXT"): ["v=DMARC1; p=reject"]}) as server:
        yield server


def serve(folder, dns, **settings):
    """Start a server with Alice."""
    run("--data", folder, "user", "add", ALICE, "--password-stdin", text="secret\n")
    return Running("--data", folder, "serve", dns_server=dns.address, hostname="mx.example.com", **settings)


def test_a_forged_message_is_in_junk_and_says_why(tmp_path, dns):
    """A client sees the mailbox, the keyword, and the sentence."""
    server = serve(tmp_path / "data", dns, policy="junk")
    server.send(FORGED)
    wanted = ["mailboxIds", "keywords", "header:X-Minijmap-Policy:asText", "header:Authentication-Results:asText"]
    (_, boxes, _), (_, _, _), (_, emails, _) = server.request(
        ["Mailbox/get", {"accountId": "a1", "properties": ["role"]}, "m"],
        ["Email/query", {"accountId": "a1"}, "q"],
        [
            "Email/get",
            {"accountId": "a1", "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"}, "properties": wanted},
            "g",
        ],
    )
    (junk,) = [box["id"] for box in boxes["list"] if box["role"] == "junk"]
    (email,) = emails["list"]
    assert email["mailboxIds"] == {junk: True}
    assert email["keywords"]["$junk"] is True
    assert "claims to be from bank.example" in email["header:X-Minijmap-Policy:asText"]
    assert "dmarc=fail header.from=bank.example" in email["header:Authentication-Results:asText"]
    assert server.stop() == 0


def test_a_forged_message_is_refused(tmp_path, dns):
    """Under `reject` the sender hears it."""
    server = serve(tmp_path / "data", dns, policy="reject")
    with pytest.raises(smtplib.SMTPDataError, match=r"550.*5\.7\.1 bank\.example asks to refuse"):
        server.send(FORGED)
    assert server.subjects() == []
    assert server.stop() == 0


def test_it_stops_while_a_message_is_being_judged(tmp_path, dns):
    """A look-up that takes its time keeps nobody from stopping the server; the sender is told to come again."""
    dns.fail("_dmarc.bank.example", "timeout")
    server = serve(tmp_path / "data", dns, policy="reject")
    with socket.create_connection(("127.0.0.1", server.smtp_port), timeout=20) as client:
        replies = client.makefile("rb")
        for line in ("", "HELO c.example", "MAIL FROM:<a@bank.example>", f"RCPT TO:<{ALICE}>", "DATA"):
            client.sendall(f"{line}\r\n".encode() if line else b"")
            assert replies.readline()[:1] in b"23"
        client.sendall(FORGED.encode() + b".\r\n")
        dns.wait("_dmarc.bank.example")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5
        assert not replies.read().startswith(b"250")
