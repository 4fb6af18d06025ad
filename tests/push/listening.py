"""A whole server in this process, listened to over real sockets: event streams as octets, WebSockets by a library or raw."""

import base64
import contextlib
import http.client
import json
import socket
import struct
import threading
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from minijmap import users
from minijmap.config import Settings
from minijmap.mail import ingest
from minijmap.server import Server
from minijmap.setting_kinds import Address
from minijmap.store import accounts

ALICE, BOB = "alice@example.com", "bob@example.com"
MESSAGE = b"From: x@example.org\nSubject: News\n\nHello.\n"
CORE = "urn:ietf:params:jmap:core"
SECONDS = 20


class Lively:
    """Alice's and Bob's server, and clients of it."""

    def __init__(self, folder, **settings):
        """Start it."""
        self.server = Server(
            Settings(http=Address("127.0.0.1", 0), smtp=None, submission=None, policy="off", **settings),
            folder,
            prepare=self._add_users,
        )
        self.address = self.server.start()["http"]

    def _add_users(self, database):
        self.database = database
        self.users = {one: users.add_user(database, one, one[:3], "secret", 0) for one in (ALICE, BOB)}
        self.tokens = {one: self.token(one, "test") for one in (ALICE, BOB)}

    def token(self, user, label):
        """Return a new app password."""
        return self.database.write(lambda tx: accounts.add_token(tx, self.users[user], label, 0))

    def authorization(self, user=ALICE):
        """Return an Authorization value."""
        return f"Bearer {self.tokens[user]}"

    def deliver(self, user=ALICE, subject="News"):
        """Have a message arrive."""
        raw = MESSAGE.replace(b"News", subject.encode())
        ingest.deliver(self.database, raw, [self.users[user].account], 0)

    def states(self, user=ALICE):
        """Return the states of the types that a new message changes, as /get tells them."""
        names = ("Email", "Mailbox", "Thread")
        account = self.account(user)
        calls = [[f"{name}/get", {"accountId": account, "ids": []}, name] for name in names]
        answered = self.api(*calls, user=user)["methodResponses"]
        return {name: arguments["state"] for _, arguments, name in answered}

    def account(self, user=ALICE):
        """Return the id of a user's account."""
        return f"a{self.users[user].account}"

    def api(self, *calls, user=ALICE):
        """Make an API request; return the Response object."""
        body = json.dumps({"using": [CORE, "urn:ietf:params:jmap:mail"], "methodCalls": calls})
        status, _, answer = self.ask("POST", "/jmap/api", body, user, **{"Content-Type": "application/json"})
        assert status == 200, answer
        return json.loads(answer)

    def ask(self, method, path, body=None, user=ALICE, **headers):
        """Make a request; return status, header and body."""
        if user:
            headers["Authorization"] = self.authorization(user)
        with contextlib.closing(http.client.HTTPConnection(*self.address, timeout=SECONDS)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def ticket(self, user=ALICE):
        """Return a new ticket."""
        status, _, body = self.ask("POST", "/jmap/ticket", user=user)
        assert status == 200
        return json.loads(body)["ticket"]

    def listen(self, query="types=*&closeafter=no&ping=0", user=ALICE, **headers):
        """Open an event stream."""
        if user:
            headers["Authorization"] = self.authorization(user)
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        return Stream(self.address, f"GET /jmap/events?{query} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())

    def web_socket(self, user=ALICE, query="", **options):
        """Open a WebSocket with a client that nobody here wrote."""
        headers = {"Authorization": self.authorization(user)} if user else {}
        options.setdefault("subprotocols", ["jmap"])
        return connect(
            f"ws://{self.address.host}:{self.address.port}/jmap/ws{query}",
            additional_headers=headers | options.pop("headers", {}),
            open_timeout=SECONDS,
            close_timeout=SECONDS,
            **options,
        )

    def raw_web_socket(self, extra=""):
        """Open a WebSocket by hand."""
        return RawSocket(self.address, self.authorization(), extra)

    @property
    def connections(self):
        """What is open."""
        return self.live.connections

    @property
    def live(self):
        """What holds the connections."""
        return self.server.live

    @property
    def arrivals(self):
        """What is held of what has come."""
        return self.server.arrivals

    def settle(self, count):
        """Wait until so many connections are open."""
        wait_until(lambda: self.connections.taken == count)

    def stop(self):
        """Stop it."""
        self.server.stop()


def wait_until(condition):
    """Wait until something is so, for what has no end that could be waited for."""
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, "it has not come to that"
        threading.Event().wait(0.005)


class Stream:
    """An event stream, octet for octet."""

    def __init__(self, address, request):
        """Connect, ask, and read the head of the answer."""
        self.socket = socket.create_connection(address, timeout=SECONDS)
        self.socket.sendall(request)
        self._octets = b""
        head = self._until(b"\r\n\r\n").decode()
        self.status = int(head.split(" ", 2)[1]) if head else None
        self.head = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)

    def _until(self, end):
        while end not in self._octets:
            more = self.socket.recv(65536)
            if not more:
                rest, self._octets = self._octets, b""
                return rest
            self._octets += more
        found, _, self._octets = self._octets.partition(end)
        return found

    def body(self):
        """Read to the end."""
        while more := self.socket.recv(65536):
            self._octets += more
        return self._octets

    def event(self):
        """Return the next event as (event, id, data); None at the end."""
        octets = self._until(b"\n\n")
        if not octets:
            return None
        assert b"\r" not in octets
        fields = dict(line.split(": ", 1) for line in octets.decode().split("\n"))
        return fields.pop("event"), fields.pop("id", None), json.loads(fields.pop("data")), *fields

    def __enter__(self):
        """Give it."""
        return self

    def __exit__(self, *_):
        """Close it."""
        self.socket.close()


class RawSocket:
    """A WebSocket whose frames are made by hand (RFC 6455 §5.2)."""

    def __init__(self, address, authorization, extra):
        """Connect, and read the head of the answer."""
        self.socket = socket.create_connection(address, timeout=SECONDS)
        request = (
            "GET /jmap/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: jmap\r\nAuthorization: {authorization}\r\n{extra}\r\n"
        )
        self.socket.sendall(request.encode())
        self._octets = b""
        while b"\r\n\r\n" not in self._octets:
            more = self.socket.recv(65536)
            assert more, "it was closed"
            self._octets += more
        self.head, _, self._octets = self._octets.partition(b"\r\n\r\n")

    def send(self, opcode, payload=b"", *, fin=True, rsv1=False):
        """Send a frame."""
        self.socket.sendall(frame(opcode, payload, fin=fin, rsv1=rsv1))

    def receive(self):
        """Return the next frame as (opcode, payload); None at the end."""
        if len(header := self._exactly(2)) < 2:
            return None
        length = header[1]
        if length == 126:
            length = struct.unpack("!H", self._exactly(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self._exactly(8))[0]
        return header[0] & 15, self._exactly(length)

    def close_code(self):
        """Return the code of the close frame that comes next, once the connection has ended."""
        opcode, payload = self.receive()
        assert opcode == 8, payload
        assert self.receive() is None
        return struct.unpack("!H", payload[:2])[0]

    def _exactly(self, size):
        while len(self._octets) < size:
            more = self.socket.recv(65536)
            if not more:
                break
            self._octets += more
        found, self._octets = self._octets[:size], self._octets[size:]
        return found

    def __enter__(self):
        """Give it."""
        return self

    def __exit__(self, *_):
        """Close it."""
        self.socket.close()


def frame(opcode, payload=b"", *, fin=True, rsv1=False):
    """Return a client's frame; its mask leaves the octets as they are."""
    first = opcode | (128 if fin else 0) | (64 if rsv1 else 0)
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 128 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 254, size)
    else:
        head = struct.pack("!BBQ", first, 255, size)
    return head + bytes(4) + payload


def base64url(text):
    """Return unpadded base64url."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def request(*calls, **members):
    """Return a Request object for a WebSocket."""
    return json.dumps({"@type": "Request", "using": [CORE], "methodCalls": calls, **members})


ECHO = request(["Core/echo", {"hello": True, "high": 5}, "b3ff"], id="R1")
"""A request that is quickly answered (RFC 8887 §4.4)."""


def enable(types=None, **more):
    """Return a WebSocketPushEnable object."""
    return json.dumps({"@type": "WebSocketPushEnable", "dataTypes": types, **more})


def ask(client, message):
    """Send a message by a WebSocket of the library's; return the answer."""
    client.send(message if isinstance(message, str) else json.dumps(message))
    return json.loads(client.recv(timeout=SECONDS))


def closed(client):
    """Return the code and the reason with which such a WebSocket has been closed."""
    try:
        client.recv(timeout=SECONDS)
    except ConnectionClosed as error:
        return error.rcvd.code, error.rcvd.reason
    raise AssertionError("it is open, and something came")
