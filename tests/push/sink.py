"""A push service on loopback: it keeps what is pushed, and answers each push as it is told to, or not at all.

What is pushed is read by programs that nobody here wrote: http_ece decrypts, py_vapid checks who has signed.
"""

import base64
import contextlib
import json
import socket
import ssl
import threading
from dataclasses import dataclass, field

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
HANG = object()
"""An answer that never comes."""


def status(code, *headers, body=b""):
    """Return an answer with a status and header fields."""
    lines = [f"HTTP/1.1 {code} Because", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def drip(octets, seconds=0.05):
    """Return an answer that comes octet by octet."""
    return (octets, seconds)


def base64url(octets):
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Device:
    """A client's side of the encryption."""

    def __init__(self):
        self._secret = ec.generate_private_key(ec.SECP256R1())
        public = self._secret.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self._auth = b"0123456789abcdef"
        self.keys = {"p256dh": base64url(public), "auth": base64url(self._auth)}

    def decrypt(self, body):
        """Return what a push says."""
        return http_ece.decrypt(body, private_key=self._secret, auth_secret=self._auth, version="aes128gcm")


@dataclass
class Push:
    """One request, as it came."""

    path: str
    headers: dict
    body: bytes

    def json(self, device=None):
        """Return the object that was pushed, decrypted by a device if it has keys."""
        assert self.headers["content-type"] == "application/json"
        assert len(self.body) <= 4096
        if device is None:
            assert "content-encoding" not in self.headers
            return json.loads(self.body)
        assert self.headers["content-encoding"] == "aes128gcm"
        return json.loads(device.decrypt(self.body))

    def claims(self):
        """Return the claims of the VAPID token and the key (RFC 8292), after its signature was checked."""
        value = self.headers["authorization"]
        assert Vapid02.verify(value)
        parameters = dict(one.split("=", 1) for one in value.removeprefix("vapid ").split(","))
        claims = parameters["t"].split(".")[1]
        return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))), parameters["k"]


@dataclass
class Sink:
    """The service. Started by `with`; `context` makes it https."""

    context: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    pushes: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)
    """Path → answers, one for each push, the last one for all that follow; without any it is 201."""

    def __enter__(self):
        """Listen on a free port."""
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        """End everything."""
        self._over.set()
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(5)

    def url(self, path="/push", host=None):
        """Return the URL of a path."""
        return f"{'https' if self.context else 'http'}://{host or self.host}:{self.port}{path}"

    def wait(self, count, path="/push", seconds=20):
        """Wait until so many pushes have come to a path; return them all."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.to(path)) >= count, seconds)
            found = self.to(path)
        assert came, f"{len(found)} pushes of {count} came to {path}"
        return found

    def to(self, path):
        """Return the pushes that have come to a path."""
        return [push for push in self.pushes if push.path == path]

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(connection.close)
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
                stack.callback(connection.close)
            with connection.makefile("rb") as stream:
                push = _read(stream)
            if push is None:
                return
            with self._changed:
                answers = self.answers.get(push.path, [CREATED])
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                self.pushes.append(push)
                self._changed.notify_all()
            self._answer(connection, answer)

    def _answer(self, connection, answer):
        if answer is HANG:
            self._over.wait(60)
        elif isinstance(answer, tuple):
            for octet in answer[0]:
                connection.sendall(bytes([octet]))
                if self._over.wait(answer[1]):
                    return
        else:
            connection.sendall(answer)


def _read(stream):
    line = stream.readline().decode("latin-1").split()
    if len(line) != 3 or line[0] != "POST":
        return None
    _, path, version = line
    assert version == "HTTP/1.1"
    headers = {}
    while (line := stream.readline().decode("ascii").rstrip("\r\n")) != "":
        name, _, value = line.partition(":")
        assert name.lower() not in headers
        headers[name.lower()] = value.strip()
    return Push(path, headers, stream.read(int(headers["content-length"])))
