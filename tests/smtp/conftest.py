"""A real listener over a real database, and a client that says exactly what it is told to."""

import contextlib
import socket
from dataclasses import dataclass

import pytest

from minijmap.config import Settings
from minijmap.server import migrations, prepare_connection
from minijmap.setting_kinds import Address
from minijmap.signin import Doorkeeper
from minijmap.smtp.listener import Listener
from minijmap.smtp.service import Limits
from minijmap.smtp.submitting import LIMITS, submission_listener
from minijmap.store import blobs
from minijmap.store.database import Database
from minijmap.store.schema import migrate
from minijmap.users import add_user
from tests.smtp.desk import ALIASES, Desk
from tests.smtp.dnsserver import DnsServer
from tests.smtp.posting import Names, Post, relay_settings
from tests.smtp.sink import Sink

NOW = 1_700_000_000.0
TIMEOUT = 20


class Client:
    """A raw connection. A test fails rather than hangs when a reply does not come."""

    def __init__(self, address, source=None):
        self.socket = socket.create_connection(address, TIMEOUT, source_address=source)
        self._replies = self.socket.makefile("rb")

    def send(self, octets):
        """Send octets as they are."""
        self.socket.sendall(octets)

    def reply(self):
        """Read one reply, all its lines; empty at the end of the connection."""
        lines = []
        while line := self._replies.readline():
            lines.append(line.decode("ascii").removesuffix("\r\n"))
            if lines[-1][3:4] != "-":
                break
        return "\n".join(lines)

    def says(self, command, begins):
        """Send a command and check how the reply begins; return the reply."""
        self.send(command.encode() + b"\r\n")
        reply = self.reply()
        assert reply.startswith(begins), f"{command[:200]!r} got {reply!r}"
        return reply

    def begin(self, recipient="alice@example.org", sender="bob@remote.example"):
        """Go from EHLO to the 354 of DATA."""
        self.says("EHLO client.example", "250")
        self.envelope(recipient, sender)

    def envelope(self, recipient="alice@example.org", sender="bob@remote.example"):
        """Go from MAIL to the 354 of DATA."""
        self.says(f"MAIL FROM:<{sender}>", "250 2.1.0 ")
        self.says(f"RCPT TO:<{recipient}>", "250 2.1.5 ")
        self.says("DATA", "354 ")

    def rest(self):
        """Read everything up to the end of the connection."""
        try:
            return self._replies.read().decode("ascii")
        except ConnectionResetError:
            return ""

    def close(self):
        """End the connection."""
        self._replies.close()
        self.socket.close()


@dataclass
class Household:
    """Users, their database and its listener."""

    database: Database
    users: dict
    address: tuple
    listener: Listener

    def stored(self, name="alice"):
        """Return every message of a user, oldest first, octet for octet."""
        with self.database.read() as reader:
            rows = reader.all(
                "SELECT blob FROM blob_use WHERE account = ? AND type = 'Email' ORDER BY object",
                (self.users[name].account,),
            )
            return [blobs.read(reader, blob) for (blob,) in rows]

    def bodies(self, name="alice"):
        """Return the messages without the two header fields that the listener put before them."""
        return [without_trace(raw) for raw in self.stored(name)]


def without_trace(raw):
    """Take Return-Path, Authentication-Results, X-Minijmap-Policy and Received off a message, each folded as it is."""
    lines = raw.split(b"\r\n")
    assert lines[0].startswith(b"Return-Path: <")
    end = 1
    while not lines[end].startswith(b"Received: from "):
        assert lines[end].startswith((b"Authentication-Results: mx.example.org;", b"X-Minijmap-Policy: ", b"\t"))
        end += 1
    end += 1
    while lines[end].startswith(b"\t"):
        end += 1
    return b"\r\n".join(lines[end:])


@pytest.fixture(scope="session")
def empty_dns():
    """Return a DNS server that knows of nothing."""
    with DnsServer() as server:
        yield server


@pytest.fixture
def dns():
    """Return a DNS server of a test's own."""
    with DnsServer() as server:
        yield server


@pytest.fixture
def open_household(tmp_path, empty_dns):
    """Return a function that starts a listener for alice and carol, with settings and limits."""
    with contextlib.ExitStack() as stack:

        def start(limits=None, **settings):
            path = tmp_path / "minijmap.sqlite3"
            migrate(path, migrations())
            database = Database(path, prepare=prepare_connection)
            stack.callback(database.close)
            users = {
                name: add_user(database, f"{name}@{domain}", name.title(), "secret", int(NOW * 1000))
                for name, domain in (("alice", "example.org"), ("carol", "example.net"))
            }
            values = {"smtp": Address("127.0.0.1", 0), "hostname": "mx.example.org", "dns_server": empty_dns.address}
            values |= settings
            listener = Listener(Settings(**values), database, lambda: NOW, limits=limits or Limits())
            address = listener.start()
            stack.callback(listener.stop)
            return Household(database, users, address, listener)

        yield start


@pytest.fixture
def household(open_household):
    """Return a household with ordinary settings."""
    return open_household()


@pytest.fixture
def connect():
    """Return a function that opens a raw connection and reads the greeting."""
    with contextlib.ExitStack() as stack:

        def connect(household, *, greeting="220 ", source=None):
            client = Client(household.address, source)
            stack.callback(client.close)
            assert client.reply().startswith(greeting)
            return client

        yield connect


@pytest.fixture
def client(household, connect):
    """Return a raw connection to an ordinary household."""
    return connect(household)


@pytest.fixture
def open_desk(house):
    """Return a function that starts a listener on Alice's and Bob's house."""
    with contextlib.ExitStack() as stack:

        def start(host="127.0.0.1", limits=LIMITS, **settings):
            values = {"hostname": "mx.example.com", "aliases": ALIASES} | settings
            doorkeeper = Doorkeeper(house.database, clock=lambda: house.now)
            listener = submission_listener(
                Settings(**values), house.database, doorkeeper, Address(host, 0), lambda: house.now, limits=limits
            )
            address = listener.start()
            stack.callback(listener.stop)
            return Desk(house, address)

        yield start


@pytest.fixture
def desk(open_desk):
    """Return a house with an ordinary submission listener."""
    return open_desk()


@pytest.fixture
def join():
    """Return a function that opens a raw connection, after EHLO."""
    with contextlib.ExitStack() as stack:

        def join(desk, ehlo="EHLO client.example"):
            program = Client(desk.address)
            stack.callback(program.close)
            assert program.reply().startswith("220 ")
            if ehlo:
                program.says(ehlo, "250")
            return program

        yield join


@pytest.fixture
def program(desk, join):
    """Return a raw connection to an ordinary desk, after EHLO."""
    return join(desk)


@pytest.fixture
def sink():
    """A server that takes everything."""
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def post(house, sink):
    """Alice's household, whose relay the sink is."""
    return Post(house, Names(), relay_settings(sink))


@pytest.fixture
def serving():
    """Start sinks of the test's own."""
    with contextlib.ExitStack() as stack:

        def start(**options):
            made = Sink(**options)
            stack.callback(made.close)
            return made

        yield start
