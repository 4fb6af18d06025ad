"""Submission: who may hand mail in (RFC 4954), and that nobody else gets anything past it."""

import contextlib
import logging
import re
import smtplib
import socket
import ssl

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.store import accounts
from tests.smtp.conftest import Client
from tests.smtp.desk import ALICE, BOB, MESSAGE, OUTSIDE, PASSWORD, encoded, plain, send, sign_in


def test_what_is_offered(program):
    """AUTH is among the extensions on loopback, whatever the case of EHLO; HELO has none."""
    assert program.says("ehlo client.example", "250").split("\n")[1:] == [
        "250-SIZE 50000000",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-PIPELINING",
        "250-DSN",
        "250-FUTURERELEASE 2592000 2026-01-31T00:00:00Z",
        "250-AUTH PLAIN LOGIN",
        "250 ENHANCEDSTATUSCODES",
    ]
    assert "AUTH" in program.says("HELP", "214 2.0.0 ")


@pytest.mark.parametrize(
    ("lines", "replies"),
    [
        ([f"AUTH PLAIN {plain()}"], ["235 2.7.0 "]),
        ([f"auth plain {plain()}"], ["235 2.7.0 "]),
        (["AUTH PLAIN", plain()], ["334 ", "235 2.7.0 "]),
        ([f"AUTH PLAIN {plain('ALICE@example.com')}"], ["235 2.7.0 "]),
        ([f"AUTH PLAIN {plain(acting_for=ALICE)}"], ["235 2.7.0 "]),
        (["AUTH LOGIN", encoded(ALICE), encoded(PASSWORD)], ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0 "]),
        ([f"AUTH LOGIN {encoded(ALICE)}", encoded(PASSWORD)], ["334 UGFzc3dvcmQ6", "235 2.7.0 "]),
        ([f"AUTH PLAIN {plain(password='wrong')}"], ["535 5.7.8 "]),
        ([f"AUTH PLAIN {plain(name='nobody@example.com')}"], ["535 5.7.8 "]),
        ([f"AUTH PLAIN {plain(name='alice')}"], ["535 5.7.8 "]),
        ([f"AUTH PLAIN {plain(name='sales@example.com')}"], ["535 5.7.8 "]),
        ([f"AUTH PLAIN {plain(acting_for=BOB)}"], ["535 5.7.8 "]),
        (["AUTH LOGIN", encoded(ALICE), encoded("wrong")], ["334 ", "334 ", "535 5.7.8 "]),
        (["AUTH LOGIN", "*"], ["334 ", "501 5.7.0 "]),
        (["AUTH LOGIN", encoded(ALICE), "*"], ["334 ", "334 ", "501 5.7.0 "]),
        (["AUTH PLAIN", "*"], ["334 ", "501 5.7.0 "]),
        (["AUTH PLAIN", ""], ["334 ", "501 5.5.2 "]),
        (["AUTH PLAIN ="], ["501 5.5.2 "]),
        (["AUTH PLAIN !!!"], ["501 5.5.2 "]),
        (["AUTH PLAIN é"], ["501 5.5.2 "]),
        ([f"AUTH PLAIN {encoded(ALICE)}"], ["501 5.5.2 "]),
        ([f"AUTH PLAIN {plain(password='')}"], ["501 5.5.2 "]),
        ([f"AUTH PLAIN {plain(name='')}"], ["501 5.5.2 "]),
        (["AUTH LOGIN", "", encoded(PASSWORD)], ["334 ", "334 ", "501 5.5.2 "]),
        (["AUTH PLAIN", "A" * 13_000], ["334 ", "500 5.5.6 "]),
        (["AUTH PLAIN", plain(password="x" * 5000)], ["334 ", "535 5.7.8 "]),
        (["AUTH"], ["501 5.5.4 "]),
        (["AUTH CRAM-MD5"], ["504 5.5.4 "]),
        (["AUTH XOAUTH2 abc"], ["504 5.5.4 "]),
    ],
)
def test_auth(program, lines, replies):
    """Each way to sign in, and each way not to; the connection goes on after every one."""
    for line, reply in zip(lines, replies, strict=True):
        program.says(line, reply)
    program.says(f"MAIL FROM:<{ALICE}>", "250 2.1.0 " if replies[-1].startswith("235") else "530 5.7.0 ")


def test_auth_at_the_wrong_moment(desk, join):
    """Before EHLO, twice, in a mail transaction: each is out of sequence (RFC 4954 §4)."""
    for ehlo in ("", "HELO client.example"):
        join(desk, ehlo).says(f"AUTH PLAIN {plain()}", "503 5.5.1 ")
    program = join(desk)
    sign_in(program)
    program.says(f"AUTH PLAIN {plain()}", "503 5.5.1 ")
    program.says(f"MAIL FROM:<{ALICE}>", "250 2.1.0 ")
    program.says(f"AUTH PLAIN {plain()}", "503 5.5.1 ")
    program.says("EHLO again.example", "250")
    program.says(f"MAIL FROM:<{ALICE}>", "250 2.1.0 ")


def test_app_passwords(desk, join):
    """One signs in with its user's address, and stops the moment it is revoked, also in a session that used it."""
    database, alice = desk.house.database, desk.house.users[ALICE]
    token = database.write(lambda tx: accounts.add_token(tx, alice, "laptop", 0))
    join(desk).says(f"AUTH PLAIN {plain(BOB, token)}", "535 5.7.8 ")
    program, other = join(desk), join(desk)
    sign_in(program, password=token)
    sign_in(other, password=token)
    assert send(program).startswith("250 2.0.0 ")
    other.says(f"MAIL FROM:<{ALICE}>", "250 2.1.0 ")
    other.says(f"RCPT TO:<{OUTSIDE}>", "250 2.1.5 ")
    other.says("DATA", "354 ")
    database.write(lambda tx: accounts.revoke_token(tx, alice, "laptop"))
    program.says(f"MAIL FROM:<{ALICE}>", "530 5.7.0 ")
    other.send(MESSAGE.encode() + b".\r\n")
    assert other.reply().startswith("530 5.7.0 ")
    assert len(desk.queued()) == 1
    program.says(f"AUTH PLAIN {plain(password=token)}", "535 5.7.8 ")
    sign_in(program)


def test_a_changed_password_ends_sessions(desk, program):
    """What was signed in with the old one may no longer send."""
    sign_in(program)
    alice = desk.house.users[ALICE]
    desk.house.database.write(lambda tx: accounts.set_password(tx, alice, "new"))
    program.says(f"MAIL FROM:<{ALICE}>", "530 5.7.0 ")
    sign_in(program, password="new")


def test_guessing_is_slowed_down(desk, join):
    """From the seventh failure on there is a wait, for that name alone, over connections and for the right password too."""
    for _ in range(7):
        join(desk).says(f"AUTH PLAIN {plain(password='wrong')}", "535 5.7.8 ")
    program = join(desk)
    program.says(f"AUTH PLAIN {plain()}", "454 4.7.0 ")
    sign_in(join(desk), BOB)
    desk.house.now += 2
    sign_in(program)


def test_nothing_secret_is_logged(program, caplog):
    """Neither a password nor what it is written as is in any log, at any level."""
    caplog.set_level(logging.DEBUG)
    program.says(f"AUTH PLAIN {plain(password='hunter2-wrong')}", "535 5.7.8 ")
    program.says(f"AUTH PLAIN {plain()}", "235 2.7.0 ")
    for secret in ("hunter2-wrong", plain(password="hunter2-wrong"), plain()):
        assert secret not in caplog.text
    assert "127.0.0.1" in caplog.text


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Give the files of a certificate for this machine, and a client's context that trusts it."""
    authority, folder = trustme.CA(), tmp_path_factory.mktemp("tls")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    certificate = authority.issue_cert("mx.example.com")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    return {"tls_certificate": str(folder / "both.pem")}, context


@contextlib.contextmanager
def standard_client(desk):
    """Give the standard library's client, which checks that the certificate is for the server's name."""
    with smtplib.SMTP(local_hostname="client.example", timeout=20) as smtp:
        smtp.connect(*desk.address)
        smtp._host = "mx.example.com"
        yield smtp


def test_under_tls(open_desk, authority):
    """From anywhere: AUTH is offered once TLS is on, and REQUIRETLS with it; the message is taken."""
    files, context = authority
    desk = open_desk(host=own_address() or "127.0.0.1", **files)
    with standard_client(desk) as smtp:
        smtp.ehlo()
        assert smtp.has_extn("STARTTLS")
        assert not smtp.has_extn("REQUIRETLS")
        smtp.starttls(context=context)
        smtp.ehlo()
        assert smtp.has_extn("AUTH")
        assert not smtp.has_extn("STARTTLS")
        smtp.login(ALICE, PASSWORD)
        smtp.sendmail(ALICE, [OUTSIDE], MESSAGE, mail_options=["REQUIRETLS"])
    assert desk.queued() == [(ALICE, {"REQUIRETLS": None}, {OUTSIDE: {}})]


def test_tls_begins_a_new_session(open_desk, authority):
    """RFC 3207 §4.2: who signed in before STARTTLS has not signed in after it."""
    files, context = authority
    with standard_client(open_desk(**files)) as smtp:
        smtp.login(ALICE, PASSWORD)
        assert smtp.docmd("MAIL", f"FROM:<{ALICE}> REQUIRETLS") == (555, b"5.5.4 REQUIRETLS is for sessions under TLS")
        smtp.starttls(context=context)
        smtp.ehlo()
        assert smtp.mail(ALICE)[0] == 530
        smtp.login(ALICE, PASSWORD)
        assert smtp.mail(ALICE)[0] == 250


def own_address():
    """Return an address of this machine that is not loopback, or None. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        found = probe.getsockname()[0]
    return None if found.startswith("127.") else found


def test_no_password_in_clear_from_elsewhere(open_desk, join, caplog):
    """AUTH is neither offered nor taken without TLS unless the program is on this machine."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    desk = open_desk(host=address)
    assert "set tls_certificate" in caplog.text
    program = join(desk)
    assert "AUTH" not in program.says("EHLO client.example", "250")
    program.says(f"AUTH PLAIN {plain()}", "538 5.7.11 ")
    program.says("AUTH LOGIN", "538 5.7.11 ")
    program.says(f"MAIL FROM:<{ALICE}>", "530 5.7.0 ")
    program.says(f"RCPT TO:<{BOB}>", "503 5.5.1 ")


# No open relay


NOT_SIGNED_IN = {
    "nothing": [],
    "HELO": ["HELO client.example"],
    "EHLO": ["EHLO client.example"],
    "a wrong password": ["EHLO client.example", f"AUTH PLAIN {plain(password='wrong')}"],
    "an unknown name": ["EHLO client.example", f"AUTH PLAIN {plain(OUTSIDE)}"],
    "canceled": ["EHLO client.example", "AUTH PLAIN", "*"],
    "half": ["EHLO client.example", "AUTH LOGIN", encoded(ALICE), "*"],
    "for somebody else": ["EHLO client.example", f"AUTH PLAIN {plain(BOB, 'wrong', ALICE)}"],
    "no mechanism": ["EHLO client.example", "AUTH ANONYMOUS"],
    "AUTH= in MAIL": ["EHLO client.example", f"MAIL FROM:<{ALICE}> AUTH={ALICE}"],
}
RECIPIENTS = (OUTSIDE, BOB, ALICE, "postmaster@example.com", f"@example.com:{OUTSIDE}", "x%remote.example@example.com")


@pytest.mark.parametrize("way", NOT_SIGNED_IN)
@pytest.mark.parametrize("sender", [ALICE, OUTSIDE, "", "postmaster@example.com"])
def test_nobody_sends_without_signing_in(desk, join, way, sender):
    """Whatever was tried before, for any sender and any recipient: nothing gets past MAIL, and nothing is queued."""
    program = join(desk, "")
    for line in NOT_SIGNED_IN[way]:
        program.says(line, "")
    refusal = "530 5.7.0 " if way != "nothing" else "503 5.5.1 "
    program.says(f"MAIL FROM:<{sender}>", refusal)
    for recipient in RECIPIENTS:
        program.says(f"RCPT TO:<{recipient}>", "503 5.5.1 ")
    program.says("DATA", "503 5.5.1 ")
    assert desk.queued() == desk.emails() == desk.emails(BOB) == []


@pytest.mark.parametrize("sender", [BOB, OUTSIDE, "info@example.com"])
def test_nobody_sends_as_somebody_else(desk, program, sender):
    """Signed in, and still from one's own addresses alone, pipelined or not."""
    sign_in(program)
    program.send(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{OUTSIDE}>\r\nDATA\r\n".encode())
    assert [program.reply()[:4] for _ in range(3)] == ["550 ", "503 ", "503 "]
    assert desk.queued() == []


COMMANDS = (
    "EHLO x",
    "HELO x",
    "AUTH PLAIN",
    "AUTH LOGIN",
    f"AUTH PLAIN {plain()}",
    "*",
    encoded(ALICE),
    "RSET",
    "NOOP",
    "DATA",
    "STARTTLS",
)
PATHS = (
    f"MAIL FROM:<{BOB}>",
    "MAIL FROM:<>",
    f"RCPT TO:<{OUTSIDE}>",
    f"RCPT TO:<{BOB}>",
    ".",
    "\x00\xff",
    "From: x",
    "",
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from((*COMMANDS, *PATHS)), max_size=12))
def test_no_order_of_commands_lets_anything_past(desk, lines):
    """Whatever is said in whatever order, a message is taken from the user's own addresses alone, or not at all."""
    program = Client(desk.address)
    try:
        program.send("".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"QUIT\r\n.\r\nQUIT\r\n*\r\nQUIT\r\n")
        said = program.rest()
    finally:
        program.close()
    for reply in said.splitlines():
        assert re.match(r"[2-5][0-9]{2}[ -]", reply)
    assert said.splitlines()[-1].startswith(("221 ", "421 "))
    assert desk.queued() == []
