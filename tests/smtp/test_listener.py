"""The listener as a client meets it: transcripts over real sockets (RFC 5321, 1870, 2034, 2920, 6152, 6531)."""

import re
import smtplib
import socket
from email.message import EmailMessage

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.aio import LoopThread
from minijmap.config import Settings
from minijmap.setting_kinds import Address
from minijmap.smtp.listener import Listener

MESSAGE = b"From: Bob <bob@remote.example>\r\nTo: alice@example.org\r\nSubject: Hello\r\n\r\nHello, Alice.\r\n"
ENHANCED = re.compile(r"([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} ")


@pytest.fixture
def smtp(household):
    """Return the standard library's own client, after EHLO."""
    with smtplib.SMTP(*household.address, local_hostname="client.example", timeout=20) as smtp:
        smtp.ehlo()
        yield smtp


def send(client, message, recipient="alice@example.org"):
    """Send a message in a session that has begun, dots doubled; return the reply."""
    client.envelope(recipient)
    lines = message.split(b"\r\n")
    client.send(b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n")
    return client.reply()


def test_greeting_and_extensions(client):
    """The greeting names the server; EHLO lists what works and nothing else."""
    assert client.says("EHLO client.example", "250").split("\n") == [
        "250-mx.example.org",
        "250-SIZE 50000000",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-PIPELINING",
        "250 ENHANCEDSTATUSCODES",
    ]
    assert client.says("HELO client.example", "250 ") == "250 mx.example.org"
    assert client.says("ehlo [127.0.0.1] more about me", "250").startswith("250-mx.example.org\n")
    assert client.says("QUIT", "221 2.0.0 ")
    assert client.rest() == ""


def test_a_message_goes_in(household, smtp):
    """What the standard library's client sends is stored, with the three fields in front."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "bob@remote.example", "alice@example.org", "Hello"
    message.set_content("Hello, Alice.\n.\n..dots\n")
    smtp.send_message(message)
    (raw,) = household.stored()
    head = raw[: raw.index(b"From: ")].decode()
    assert re.fullmatch(
        r"Return-Path: <bob@remote\.example>\r\n"
        r"Authentication-Results: mx\.example\.org;\r\n"
        r"\tspf=none smtp\.mailfrom=remote\.example;\r\n"
        r"\tdkim=none;\r\n"
        r"\tdmarc=none header\.from=remote\.example\r\n"
        r"Received: from client\.example \(\[127\.0\.0\.1\]\)\r\n"
        r"\tby mx\.example\.org with ESMTP id [0-9a-f]{16}\r\n"
        r"\tfor <alice@example\.org>;\r\n"
        r"\t[A-Z][a-z]{2}, 1[45] Nov 2023 \d\d:\d\d:20 [+-]\d{4}\r\n",
        head,
    )
    assert raw.endswith(b"\r\nHello, Alice.\r\n.\r\n..dots\r\n")
    assert household.stored("carol") == []


def test_the_reply_comes_after_the_commit(household, client):
    """A 250 names the message by its trace id, and the message is there when it arrives."""
    client.says("EHLO client.example", "250")
    for count in range(1, 6):
        reply = send(client, MESSAGE)
        assert reply.startswith("250 2.6.0 ")
        assert len(household.stored()) == count
        assert f" id {reply.split()[-1]}\r\n".encode() in household.stored()[-1]


def test_several_recipients(household, smtp):
    """Everybody gets the same octets, once, and nobody is named; an unknown recipient among them is refused alone."""
    recipients = ["alice@example.org", "ALICE+x@example.org", "nobody@example.org", "carol@example.net", "x@y.example"]
    refused = smtp.sendmail("bob@remote.example", recipients, MESSAGE)
    assert {address: code for address, (code, _) in refused.items()} == {"nobody@example.org": 550, "x@y.example": 550}
    assert all(text.startswith(b"5.1.1 ") for _, text in refused.values())
    assert household.bodies("alice") == household.bodies("carol") == [MESSAGE]
    assert household.stored("alice") == household.stored("carol")
    assert b"for <" not in household.stored()[0]


def test_nothing_is_relayed(smtp):
    """A recipient elsewhere is refused, in every spelling that has been used to get mail relayed."""
    smtp.mail("alice@example.org")
    for path in ("<x@remote.example>", "<@example.org:x@remote.example>", '<"x@remote.example"@example.org>'):
        assert smtp.docmd(f"RCPT TO:{path}")[0] == 550
    assert smtp.docmd("RCPT TO:<x%remote.example@example.org>")[0] == 550
    assert smtp.docmd("RCPT TO:<remote.example!x@example.org>")[0] == 550
    assert smtp.docmd("DATA")[0] == 554


def test_aliases_catch_all_and_postmaster(open_household, connect):
    """Aliases, catch-alls and postmaster lead to their users, source routes are ignored."""
    household = open_household(
        aliases={"sales@example.org": "carol@example.net", "*@shop.example": "carol@example.net"}
    )
    client = connect(household)
    client.says("EHLO client.example", "250")
    for address in ("sales+x@example.org", "what.ever@shop.example", "@a.example,@b.example:carol@example.net"):
        assert send(client, MESSAGE, address).startswith("250 2.6.0 ")
    for address in ("Postmaster", "postmaster@EXAMPLE.NET", "postmaster@shop.example"):
        assert send(client, MESSAGE, address).startswith("250 2.6.0 ")
    assert [len(household.stored(name)) for name in ("carol", "alice")] == [3, 3]
    client.says("MAIL FROM:<>", "250 2.1.0 ")
    client.says("RCPT TO:<postmaster@remote.example>", "550 5.1.1 ")


def test_the_null_path(household, client):
    """RFC 5321 §4.5.5: a bounce has an empty sender, and is delivered like any message."""
    client.says("EHLO client.example", "250")
    client.envelope(sender="")
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    assert household.stored()[0].startswith(b"Return-Path: <>\r\n")


def test_replies(household, client):
    """Every command in every order it may come in gets the reply the specification has for it."""
    for command, reply in (
        ("MAIL FROM:<bob@remote.example>", "503 5.5.1 "),
        ("RCPT TO:<alice@example.org>", "503 5.5.1 "),
        ("DATA", "503 5.5.1 "),
        ("NOOP", "250 2.0.0 "),
        ("NOOP whatever", "250 2.0.0 "),
        ("VRFY alice", "252 2.5.0 "),
        ("HELP", "214 2.0.0 "),
        ("RSET", "250 2.0.0 "),
        ("EHLO", "501 5.5.4 "),
        ("EHLO ünïcode", "501 5.5.4 "),
        ("HELO client.example", "250 mx.example.org"),
        ("MAIL FROM:<bob@remote.example> SIZE=1", "501 5.5.4 "),
        ("EHLO client.example", "250-mx.example.org"),
        ("RCPT TO:<alice@example.org>", "503 5.5.1 "),
        ("MAIL", "501 5.5.4 "),
        ("MAIL FROM:<bob@remote.example> FOO=BAR", "555 5.5.4 "),
        ("mail from:<bob@remote.example> size=100 body=8BITMIME  ", "250 2.1.0 "),
        ("MAIL FROM:<bob@remote.example>", "503 5.5.1 "),
        ("DATA", "554 5.5.1 "),
        ("RCPT TO:<alice@example.org> NOTIFY=NEVER", "555 5.5.4 "),
        ("Rcpt To:<alice@example.org>", "250 2.1.5 "),
        ("DATA now", "501 5.5.4 "),
        ("RSET now", "501 5.5.4 "),
        ("DATA", "354 "),
    ):
        client.says(command, reply)
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    client.says("DATA", "503 5.5.1 ")
    assert len(household.stored()) == 1


def test_commands_that_are_not_offered(client):
    """Known commands get 502, unknown ones 500 (RFC 5321 §4.2.4), and the conversation goes on."""
    for command in ("EXPN list", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "STARTTLS", "BDAT 3 LAST", "ETRN x"):
        client.says(command, "502 5.5.1 ")
    for command in ("", " ", "FOO", "MAIL\tFROM:<a@b>", "GET / HTTP/1.1", "ŁÓDŹ"):
        client.says(command, "500 5.5.1 ")
    client.says("VRFY", "501 5.5.4 ")
    client.says("QUIT now", "501 5.5.4 ")
    client.says("QUIT", "221 2.0.0 ")


def test_every_reply_has_an_enhanced_status_code(client):
    """RFC 2034 §4: all but the greeting, those to EHLO and HELO, and 354."""
    client.says("EHLO client.example", "250")
    for command in (
        *("NOOP", "RSET", "HELP", "VRFY x", "EXPN x", "FOO", "MAIL", "MAIL FROM:<a@b> X=1", "MAIL FROM:<a@b>", "DATA"),
        *(
            "RCPT",
            "RCPT TO:<>",
            "RCPT TO:<x@y>",
            "RCPT TO:<alice@example.org>",
            "EHLO",
            "x" * 3000,
            "NOOP a\rb",
            "QUIT",
        ),
    ):
        assert ENHANCED.match(client.says(command, ""))


def test_rset_and_ehlo_give_up_a_transaction(household, client):
    """RFC 5321 §4.1.4: after RSET or EHLO nothing of the envelope is left."""
    for command in ("RSET", "EHLO client.example", "HELO client.example"):
        client.says("EHLO client.example", "250")
        client.says("MAIL FROM:<bob@remote.example>", "250 2.1.0 ")
        client.says("RCPT TO:<alice@example.org>", "250 2.1.5 ")
        client.says(command, "250")
        client.says("DATA", "503 5.5.1 ")
    assert household.stored() == []


def test_quit_and_a_lost_connection_give_up_a_transaction(household, connect):
    """RFC 5321 §4.1.1.10: data that did not end is no message."""
    client = connect(household)
    client.begin()
    client.send(MESSAGE + b"QUIT\r\n")
    client.close()
    client = connect(household)
    client.says("EHLO client.example", "250")
    client.says("MAIL FROM:<bob@remote.example>", "250 2.1.0 ")
    client.says("RCPT TO:<alice@example.org>", "250 2.1.5 ")
    client.says("QUIT", "221 2.0.0 ")
    assert client.rest() == ""
    assert household.stored() == []


def test_pipelining(household, client):
    """RFC 2920: a whole session may come in one piece, the next message right after the end of the one before."""
    envelope = (
        b"MAIL FROM:<bob@remote.example>\r\nRCPT TO:<nobody@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"
    )
    client.send(b"EHLO client.example\r\n" + (envelope + MESSAGE + b".\r\n") * 3 + b"NOOP\r\nQUIT\r\n")
    replies = [client.reply()[:9] for _ in range(18)]
    assert replies[1:] == ["250 2.1.0", "550 5.1.1", "250 2.1.5", "354 End d", "250 2.6.0"] * 3 + [
        "250 2.0.0",
        "221 2.0.0",
    ]
    assert household.bodies() == [MESSAGE] * 3


def test_a_half_closed_connection_is_answered(household, client):
    """A client that sends everything and closes its half still gets every reply, and its mail is stored."""
    client.send(
        b"EHLO client.example\r\nMAIL FROM:<bob@remote.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"
        + MESSAGE
        + b".\r\n"
    )
    client.socket.shutdown(socket.SHUT_WR)
    assert "\r\n250 2.6.0 " in client.rest()
    assert household.bodies() == [MESSAGE]


SMUGGLED = b"MAIL FROM:<evil@remote.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\n"


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\r\n.\n\n"])
def test_no_message_is_smuggled_in_another(household, client, end):
    """Nothing but CRLF.CRLF ends data; the look-alike and what follows it are kept in the one message (§4.1.1.4)."""
    client.says("EHLO client.example", "250")
    client.envelope()
    client.send(b"Subject: outer\r\n\r\nbefore" + end + SMUGGLED + b"after\r\n.\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    client.says("NOOP", "250 2.0.0 ")
    expected = b"Subject: outer\r\n\r\nbefore" + end.replace(b"\r\n.", b"\r\n") + SMUGGLED + b"after\r\n"
    assert household.bodies() == [expected]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\n\r", b"\r\r"])
def test_no_command_is_smuggled_in_another(client, end):
    """A bare LF or CR ends no command: the whole line up to CRLF is refused, and nothing in it is done (§2.3.8)."""
    client.says("EHLO client.example", "250")
    client.send(b"NOOP" + end + b"MAIL FROM:<bob@remote.example>\r\n")
    assert client.reply().startswith("500 5.5.2 ")
    client.says("RCPT TO:<alice@example.org>", "503 5.5.1 ")
    client.says("MAIL FROM:<bob@remote.example>", "250 2.1.0 ")
    client.send(b"RCPT TO:<nobody@example.org>" + end + b"RCPT TO:<alice@example.org>\r\n")
    assert client.reply().startswith("500 5.5.2 ")
    client.says("DATA", "554 5.5.1 ")


def test_an_envelope_can_not_carry_header_fields(household, client):
    """Control characters in an address or a name are refused before they could reach a header field."""
    client.send(b"EHLO a\rX-Evil: 1\r\n")
    assert client.reply().startswith("500 5.5.2 ")
    client.says("EHLO a\x0bX-Evil:1", "501 5.5.4 ")
    client.says("EHLO a(b)<c>;X-Evil:1", "250")
    client.send(b"MAIL FROM:<a\nX-Evil: 1@b>\r\n")
    assert client.reply().startswith("500 5.5.2 ")
    client.says("MAIL FROM:<a\x00@b>", "501 5.1.7 ")
    client.envelope()
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    assert b"Received: from a-b--c--X-Evil-1 ([127.0.0.1])\r\n" in household.stored()[0]


def test_octets_stay_as_they_are(household, client):
    """8-bit, UTF-8, NUL and every other octet are stored as sent (RFC 6152; RFC 5321 §4.5.2)."""
    message = b"Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\n" + bytes(range(256)) * 5 + b"\xff\xfe\x80\r\n"
    client.says("EHLO client.example", "250")
    assert send(client, message).startswith("250 2.6.0 ")
    assert household.bodies() == [message]


def test_long_lines_are_taken(household, client):
    """A line of more than 1,000 octets is no reason to refuse a message."""
    message = b"Subject: long\r\n\r\n" + b"x" * 1_000_000 + b"\r\n" + b"." * 100_000 + b"\r\n"
    client.says("EHLO client.example", "250")
    assert send(client, message).startswith("250 2.6.0 ")
    assert household.bodies() == [message]


def test_a_message_without_content(household, client):
    """A dot right after DATA is an empty message, and is stored as one: our own fields are all it has."""
    client.says("EHLO client.example", "250")
    client.envelope()
    client.send(b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    assert household.bodies() == [b""]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b".", b"..", b"\r", b"\n", b"\r\n", b"\r\n.", b"a", b"\xc3\xbc"]), max_size=30))
def test_dots_make_the_round_trip(household, client, parts):
    """Whatever dots and line ends a message has, it is stored as the client meant it."""
    client.says("EHLO client.example", "250")
    message = b"Subject: dots\r\n\r\n" + b"".join(parts) + b"\r\n"
    assert send(client, message).startswith("250 2.6.0 ")
    assert household.bodies()[-1] == message


def test_internationalised_addresses(open_household, connect):
    """RFC 6531: UTF-8 addresses need SMTPUTF8, are found, and stand in the trace fields; replies stay ASCII."""
    household = open_household(aliases={"jörg@bücher.example": "alice@example.org"})
    client = connect(household)
    client.says("EHLO client.example", "250")
    client.says("MAIL FROM:<übung@remote.example>", "550 5.6.7 ")
    client.says("MAIL FROM:<bob@remote.example>", "250 2.1.0 ")
    client.says("RCPT TO:<jörg@bücher.example>", "553 5.6.7 ")
    client.says("RSET", "250 2.0.0 ")
    client.says("MAIL FROM:<übung@remote.example> SMTPUTF8", "250 2.1.0 ")
    client.says("RCPT TO:<müller@bücher.example>", "550 5.1.1 ")
    client.says("RCPT TO:<jörg@xn--bcher-kva.example>", "250 2.1.5 ")
    client.says("DATA", "354 ")
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    head = household.stored()[0].decode()
    assert head.startswith("Return-Path: <übung@remote.example>\r\n")
    assert " with UTF8SMTP id " in head
    assert "\tfor <jörg@xn--bcher-kva.example>;\r\n" in head
    client.send(b"MAIL FROM:<\xff@remote.example> SMTPUTF8\r\n")
    assert client.reply().startswith("500 5.5.2 ")


def test_helo_is_plain_smtp(household, client):
    """A client that says HELO speaks SMTP, and the Received field says so."""
    client.says("HELO client.example", "250 ")
    client.envelope()
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    assert b" with SMTP id " in household.stored()[0]


def test_a_failing_store_refuses_for_now(household, client):
    """When nothing can be stored the client is told to come back, and keeps the message."""
    client.begin()
    household.database.close()
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("451 4.3.0 ")
    client.says("MAIL FROM:<bob@remote.example>", "250 2.1.0 ")
    client.says("QUIT", "221 2.0.0 ")


def test_a_failing_store_stores_nothing(household, client):
    """A delivery that fails half-way leaves nothing for anybody, and the next one is well."""
    client.says("EHLO client.example", "250")
    account = household.users["carol"].account
    trigger = f"BEFORE INSERT ON blob_use WHEN NEW.account = {account} BEGIN SELECT RAISE(ABORT, 'no'); END"
    household.database.write(lambda tx: tx.execute(f"CREATE TRIGGER fail {trigger}"))
    client.says("MAIL FROM:<bob@remote.example>", "250 2.1.0 ")
    client.says("RCPT TO:<alice@example.org>", "250 2.1.5 ")
    client.says("RCPT TO:<carol@example.net>", "250 2.1.5 ")
    client.says("DATA", "354 ")
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("451 4.3.0 ")
    assert household.stored("alice") == household.stored("carol") == []
    household.database.write(lambda tx: tx.execute("DROP TRIGGER fail"))
    assert send(client, MESSAGE).startswith("250 2.6.0 ")


def test_stop_says_goodbye(household, connect):
    """RFC 5321 §3.8: a client that waits hears 421 when the server stops, and nobody can connect any more."""
    clients = [connect(household) for _ in range(3)]
    clients[0].begin()
    clients[0].send(b"Subject: half")
    household.listener.stop()
    assert [client.reply()[:10] for client in clients] == ["421 4.3.2 "] * 3
    assert household.stored() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(household.address, 5)
    household.listener.stop()


def test_a_taken_port(household):
    """Listening where somebody listens already raises OSError, and leaves nothing behind."""
    listener = Listener(Settings(smtp=Address(*household.address)), household.database)
    with pytest.raises(OSError, match=r"already in use"):
        listener.start()


def test_no_address():
    """A listener without an address is a mistake of whoever makes it."""
    with pytest.raises(ValueError, match="no address"):
        Listener(Settings(smtp=None), None)


def test_a_shared_loop(household, connect):
    """A loop that is handed in is used, and goes on when the listener has stopped."""
    thread = LoopThread()
    thread.start()
    listener = Listener(Settings(smtp=Address("127.0.0.1", 0)), household.database, loop_thread=thread)
    household.address = listener.start()
    client = connect(household)
    listener.stop()
    assert client.reply().startswith("421 4.3.2 ")
    assert thread.loop.is_running()
    thread.stop()
