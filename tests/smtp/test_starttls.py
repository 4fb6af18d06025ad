"""STARTTLS on the listener: offered with a certificate, begins anew, is read again when the files change (RFC 3207)."""

import logging
import smtplib
import socket
import ssl
from datetime import UTC, datetime

import pytest
import trustme

from minijmap.config import Settings
from minijmap.setting_kinds import Address
from minijmap.smtp.certificate import Certificate, CertificateError
from minijmap.smtp.listener import Listener
from minijmap.smtp.service import Limits

MESSAGE = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def authority():
    """Return an authority of the tests' own."""
    return trustme.CA()


class Files:
    """A certificate and its key in two files, as a renewing program leaves them."""

    def __init__(self, folder, authority):
        self.chain, self.key = folder / "chain.pem", folder / "key.pem"
        self.authority = authority
        self.renew()

    def renew(self, not_after=None):
        """Write a new certificate over the old one."""
        made = self.authority.issue_cert("mx.example.org", not_after=not_after)
        self.put(self.chain, b"".join(blob.bytes() for blob in made.cert_chain_pems))
        self.put(self.key, made.private_key_pem.bytes())

    @staticmethod
    def put(path, octets):
        """Replace a file in one step, so that it differs whatever the clock's grain."""
        new = path.with_suffix(".new")
        new.write_bytes(octets)
        new.replace(path)

    @property
    def settings(self):
        """The two settings."""
        return {"tls_certificate": str(self.chain), "tls_key": str(self.key)}


@pytest.fixture
def files(tmp_path, authority):
    """Return a certificate's files."""
    return Files(tmp_path, authority)


@pytest.fixture
def trusting(authority):
    """Return a client's context that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def secure(open_household, files):
    """Return a household whose listener has a certificate."""
    return open_household(**files.settings)


def upgraded(client, context):
    """Go on under TLS on a raw connection."""
    client.says("STARTTLS", "220 2.0.0 ")
    client.socket = context.wrap_socket(client.socket, server_hostname="mx.example.org")
    client._replies = client.socket.makefile("rb")
    return client


def serial(household, context):
    """Return the serial number of the certificate that is shown."""
    with smtplib.SMTP(*household.address, timeout=20) as smtp:
        smtp._host = "mx.example.org"
        smtp.starttls(context=context)
        return smtp.sock.getpeercert()["serialNumber"]


def test_a_message_under_tls(secure, trusting):
    """The standard library's client upgrades and sends; Received says so."""
    with smtplib.SMTP(*secure.address, local_hostname="client.example", timeout=20) as smtp:
        smtp._host = "mx.example.org"
        smtp.ehlo()
        assert smtp.has_extn("starttls")
        smtp.starttls(context=trusting)
        smtp.ehlo()
        assert not smtp.has_extn("starttls")
        smtp.sendmail("bob@remote.example", ["alice@example.org"], MESSAGE)
    (raw,) = secure.stored()
    assert b"by mx.example.org with ESMTPS id" in raw
    assert secure.bodies() == [MESSAGE]


def test_not_offered_without_a_certificate(client):
    """No keyword, no command."""
    assert "STARTTLS" not in client.says("EHLO client.example", "250")
    client.says("STARTTLS", "502 5.5.1 ")


def test_the_session_begins_anew(secure, connect, trusting):
    """What was said in the clear counts no longer: neither the name nor the sender (RFC 3207 §4.2)."""
    client = connect(secure)
    client.says("EHLO client.example", "250")
    client.says("MAIL FROM:<bob@remote.example>", "250 ")
    upgraded(client, trusting)
    client.says("RCPT TO:<alice@example.org>", "503 5.5.1 ")
    client.says("MAIL FROM:<bob@remote.example>", "503 5.5.1 EHLO comes first")
    client.says("EHLO client.example", "250")
    client.says("STARTTLS", "503 5.5.1 ")
    client.envelope()
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")


@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"EHLO evil.example\r\nMAIL FROM:<eve@evil.example>\r\n", b"NO"])
def test_what_is_injected_is_dropped(secure, connect, trusting, injected):
    """Commands sent along with STARTTLS are not answered under TLS, nor do they begin a command (RFC 3207 §6)."""
    client = connect(secure)
    client.says("EHLO client.example", "250")
    client.send(b"STARTTLS\r\n" + injected)
    assert client.reply().startswith("220 2.0.0 ")
    client.socket = trusting.wrap_socket(client.socket, server_hostname="mx.example.org")
    client._replies = client.socket.makefile("rb")
    client.says("OOPS", "500 5.5.1 ")
    client.says("MAIL FROM:<bob@remote.example>", "503 5.5.1 EHLO comes first")


def test_arguments(secure, connect):
    """STARTTLS takes none."""
    client = connect(secure)
    client.says("EHLO client.example", "250")
    client.says("STARTTLS now", "501 5.5.4 ")
    client.says("NOOP", "250 ")


@pytest.mark.parametrize("nonsense", [b"QUIT\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00" * 2000])
def test_a_failed_handshake_ends_the_connection(secure, connect, nonsense):
    """What is no TLS after the 220 is the end, and the listener forgets the connection."""
    client = connect(secure)
    client.says("EHLO client.example", "250")
    client.says("STARTTLS", "220 2.0.0 ")
    client.send(nonsense)
    assert b"250" not in read_to_end(client.socket)
    other = connect(secure)
    other.says("NOOP", "250 ")
    assert len(secure.listener._conversations) == 1


def read_to_end(connection):
    """Read until the other side closes."""
    octets = b""
    try:
        while piece := connection.recv(4096):
            octets += piece
    except ConnectionError:
        pass
    return octets


def test_a_handshake_that_does_not_come(open_household, files, connect):
    """It is waited for so long, and no longer."""
    household = open_household(Limits(handshake_seconds=0.2), **files.settings)
    client = connect(household)
    client.says("EHLO client.example", "250")
    client.says("STARTTLS", "220 2.0.0 ")
    assert read_to_end(client.socket) == b""


def test_stopping_in_the_middle(open_household, files, connect, trusting):
    """A listener that stops says goodbye under TLS, and waits for no handshake."""
    household = open_household(**files.settings)
    talking, silent = connect(household), connect(household)
    upgraded(talking, trusting)
    silent.says("STARTTLS", "220 2.0.0 ")
    household.listener.stop()
    assert talking.reply().startswith("421 4.3.2 ")
    assert read_to_end(silent.socket) == b""


def test_a_client_that_half_closes(secure, connect, trusting):
    """What it sent before under TLS is answered as far as TLS allows, and nothing hangs."""
    client = upgraded(connect(secure), trusting)
    client.send(b"EHLO client.example\r\nQUIT\r\n")
    assert client.reply().startswith("250-")
    assert client.reply().startswith("221 ")
    assert client.rest() == ""


def test_old_tls_is_refused(secure, connect):
    """TLS 1.1 is over (RFC 8996)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert upgraded(connect(secure), context).socket.version() == "TLSv1.2"
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        upgraded(connect(secure), context)


def test_new_files_are_read(secure, files, trusting):
    """After a renewal the next connection sees the new certificate."""
    before = serial(secure, trusting)
    assert serial(secure, trusting) == before
    files.renew()
    assert serial(secure, trusting) != before


@pytest.mark.parametrize("damage", ["garbage", "gone", "other key", "empty"])
def test_broken_files_change_nothing(secure, files, trusting, caplog, damage):
    """The old certificate stays, the log says why, once; when the files are good again they are read."""
    before = serial(secure, trusting)
    key = files.key.read_bytes()
    if damage == "gone":
        files.key.unlink()
    elif damage == "other key":
        files.put(files.key, files.authority.issue_cert("x.example").private_key_pem.bytes())
    else:
        files.put(files.chain, b"" if damage == "empty" else b"garbage")
    with caplog.at_level(logging.WARNING):
        assert serial(secure, trusting) == before
        assert serial(secure, trusting) == before
    (record,) = [one for one in caplog.records if one.name == "minijmap.smtp.certificate"]
    assert record.getMessage().endswith("The certificate read before serves on.")
    files.put(files.key, key)
    files.renew()
    assert serial(secure, trusting) != before


def test_an_expired_certificate_is_told_of_once_and_serves_on(files, caplog):
    """When it is read, and when it expires while it is in use; a new one ends the matter."""
    now = [1_700_000_000.0]

    def told():
        found = [one for one in caplog.records if one.getMessage().endswith("and other servers may.")]
        return len(found)

    files.renew(datetime.fromtimestamp(now[0] - 1, UTC))
    certificate = Certificate(*files.settings.values(), clock=lambda: now[0])
    assert certificate.context() is certificate.context()
    assert told() == 1
    files.renew(datetime.fromtimestamp(now[0] + 100, UTC))
    certificate.context()
    assert told() == 1
    now[0] += 101
    certificate.context()
    certificate.context()
    assert told() == 2


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("chain", "key", "said"),
    [
        ("gone.pem", "key.pem", "gone.pem can't be read"),
        ("chain.pem", "gone.pem", "gone.pem can't be read"),
        ("key.pem", "key.pem", "can't be used"),
        ("chain.pem", None, "can't be used"),
        (".", "key.pem", "can't be read"),
        (None, "key.pem", "tls_key without its tls_certificate"),
    ],
)
def test_a_start_with_broken_files(tmp_path, household, chain, key, said):
    """The server does not start, and the sentence names the file."""
    paths = {"tls_certificate": chain and str(tmp_path / chain), "tls_key": key and str(tmp_path / key)}
    with pytest.raises(CertificateError, match=said):
        Listener(Settings(smtp=Address("127.0.0.1", 0), hostname="mx.example.org", **paths), household.database)


def test_both_in_one_file(tmp_path, files):
    """The key may be in the file of the certificate."""
    both = tmp_path / "both.pem"
    both.write_bytes(files.key.read_bytes() + files.chain.read_bytes())
    assert Certificate(str(both)).context()


def test_a_key_with_a_passphrase(tmp_path, files):
    """It is refused: nobody is there to be asked."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    form = serialization.PrivateFormat.PKCS8
    locked = key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"x"))
    (tmp_path / "locked.pem").write_bytes(locked)
    with pytest.raises(CertificateError, match="passphrase"):
        Certificate(str(files.chain), str(tmp_path / "locked.pem"))


def test_a_reset_during_the_handshake(secure, connect):
    """A client that is gone before TLS began leaves nothing behind."""
    client = connect(secure)
    client.says("STARTTLS", "220 2.0.0 ")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    client._replies.close()
    client.socket.close()
    other = connect(secure)
    other.says("NOOP", "250 ")
