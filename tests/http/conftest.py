"""A running HTTP listener over a real database, with one user and no data types: all that the front door needs."""

import base64
import contextlib
import http.client
import socket
from dataclasses import dataclass

import orjson
import pytest

from minijmap.config import Settings
from minijmap.http.app import create_app
from minijmap.http.arrivals import Arrivals
from minijmap.http.cors import Cors
from minijmap.http.live import Live
from minijmap.http.serve import HttpServer
from minijmap.http.signin import SignIn
from minijmap.jmap.engine import Engine, Limits
from minijmap.push.bus import Bus
from minijmap.push.states import States
from minijmap.setting_kinds import Address
from minijmap.signin import Doorkeeper
from minijmap.store import accounts, schema
from minijmap.store.database import Database

ADDRESS, PASSWORD = "alice@example.com", "correct horse"


def basic(name=ADDRESS, password=PASSWORD):
    """Return a Basic Authorization value."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        """Return the body as JSON."""
        return orjson.loads(self.body)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1_750_000_000.0

    def __call__(self):
        """Return the time."""
        return self.now


@dataclass
class Site:
    """A running listener and what is behind it."""

    database: Database
    clock: Clock
    user: accounts.User
    engine: Engine
    server: HttpServer
    arrivals: Arrivals
    address: Address
    basic = staticmethod(basic)

    def ask(self, method, path, body=None, *, authorization=None, signed_in=True, **headers):
        """Make one request on a connection of its own; `_` in a header's name stands for `-`."""
        if authorization or signed_in:
            headers["Authorization"] = authorization or basic()
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def api(self, *calls, using=("urn:ietf:params:jmap:core",), **options):
        """Make an API request."""
        body = orjson.dumps({"using": using, "methodCalls": calls})
        return self.ask("POST", "/jmap/api", body, Content_Type="application/json", **options)

    @contextlib.contextmanager
    def raw(self, octets=b""):
        """Give a connected socket on which `octets` have been sent."""
        with socket.create_connection(self.address, timeout=20) as connection:
            connection.sendall(octets)
            yield connection


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
def database(tmp_path):
    """Give an empty database."""
    path = tmp_path / "minijmap.sqlite3"
    schema.migrate(path, schema.STORE_MIGRATIONS)
    with contextlib.closing(Database(path)) as opened:
        yield opened


@pytest.fixture
def open_site(database, clock):
    """Give a function that starts a listener with these settings and limits."""
    user = database.write(lambda tx: accounts.add_user(tx, ADDRESS, "Alice", PASSWORD, 0))
    with contextlib.ExitStack() as stack:

        def start(limits=None, **settings):
            engine = Engine(database, [], clock=clock, limits=limits or Limits())
            arrivals, cors = Arrivals(engine.limits), Cors(settings.get("cors_origins", ("*",)))
            live = Live(States(database, Bus(), ()))
            signin = SignIn(Doorkeeper(database, clock=clock))
            app = create_app(engine, Settings(**settings), signin, arrivals, cors, live)
            server = HttpServer(app, Address("127.0.0.1", 0), arrivals, cors, live)
            address = server.start()
            stack.callback(server.stop)
            return Site(database, clock, user, engine, server, arrivals, address)

        yield start


@pytest.fixture
def site(open_site):
    """Give a listener with default settings."""
    return open_site()
