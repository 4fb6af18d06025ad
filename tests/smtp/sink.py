"""A server that takes mail and does with it what a test says: refuse at any stage, drop, wait, offer more or less.

The network's edge, and so the only thing that is not real in tests of sending. Plain sockets and threads.
"""

import base64
import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field

EXTENSIONS = ("PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
DROP = "drop"
TIMEOUT = 20


@dataclass
class Taken:
    """A message that was answered with 250: the commands of its envelope, and its octets."""

    mail: str
    rcpts: list
    octets: bytes
    secured: bool
    login: tuple | None
    connection: int

    @property
    def recipients(self):
        """Return the addresses of the RCPT commands."""
        return [one.partition("<")[2].partition(">")[0] for one in self.rcpts]


class _Gone(Exception):
    """The connection is over."""


@dataclass
class Sink:
    """Listens on loopback. `answers` maps a stage to a reply, or to a function of the command that returns one.

    The stages: connect, ehlo, starttls, auth, mail, rcpt, data, end. `DROP` closes the connection; None is the
    ordinary reply.
    """

    extensions: tuple = EXTENSIONS
    answers: dict = field(default_factory=dict)
    context: ssl.SSLContext | None = None
    implicit: bool = False
    host: str = "127.0.0.1"
    taken: list = field(default_factory=list)
    commands: list = field(default_factory=list)
    connections: int = 0

    def __post_init__(self):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.listener = socket.create_server((self.host, 0), family=family, backlog=100)
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self._open = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self):
        """Close every socket and wait for the threads."""
        for one in (self.listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(TIMEOUT)

    def wait(self, count):
        """Wait until so many messages are there; return them."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.taken) >= count, TIMEOUT), f"{len(self.taken)} of {count}"
        return self.taken

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection, number):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, _Gone, ValueError):
            _Conversation(self, connection, number).run()
        self._open.discard(connection)
        connection.close()


class _Conversation:
    def __init__(self, sink, connection, number):
        self.sink, self.connection, self.number = sink, connection, number
        self.login, self.secured, self.mail, self.rcpts = None, False, None, []
        if sink.implicit:
            self.secure()
        self.lines = self.connection.makefile("rb")

    def run(self):
        try:
            self.say("connect", "", "220 sink.example ESMTP")
            while line := self.lines.readline():
                self.handle(line.decode().rstrip("\r\n"))
        finally:
            self.lines.close()
            with contextlib.suppress(OSError):
                self.connection.close()

    def secure(self):
        self.connection = self.sink.context.wrap_socket(self.connection, server_side=True)
        self.sink._open.add(self.connection)
        self.secured = True

    def say(self, stage, line, ordinary):
        """Send the reply of a stage; return it."""
        answer = self.sink.answers.get(stage)
        answer = (answer(line) if callable(answer) else answer) or ordinary
        if answer == DROP:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            raise _Gone
        self.connection.sendall(answer.encode() + b"\r\n")
        return answer

    def handle(self, line):
        self.sink.commands.append(line)
        verb = line[:4].upper()
        if verb == "EHLO":
            offers = [*self.sink.extensions, *(["STARTTLS"] if self.sink.context and not self.secured else [])]
            lines = ["sink.example", *offers]
            whole = "".join(f"250-{one}\r\n" for one in lines[:-1]) + f"250 {lines[-1]}"
            self.say("ehlo", line, whole)
        elif verb == "STAR":
            if self.say("starttls", line, "220 2.0.0 Go on")[0] == "2":
                self.lines.close()
                self.secure()
                self.lines = self.connection.makefile("rb")
        elif verb == "AUTH":
            self.auth(line)
        elif verb == "MAIL":
            self.rcpts = []
            self.mail = line if self.say("mail", line, "250 2.1.0 Sender ok")[0] == "2" else None
        elif verb == "RCPT":
            if self.mail is None:
                self.connection.sendall(b"503 5.5.1 MAIL first\r\n")
            elif self.say("rcpt", line, "250 2.1.5 Recipient ok")[0] == "2":
                self.rcpts.append(line)
        elif verb == "DATA":
            if self.say("data", line, "354 Go on")[0] == "3":
                self.data()
        elif verb == "QUIT":
            raise _Gone
        else:
            self.connection.sendall(b"250 2.0.0 Ok\r\n")

    def auth(self, line):
        if line.upper().startswith("AUTH PLAIN"):
            self.login = tuple(base64.b64decode(line.split()[2]).decode().split("\0")[1:])
        else:
            words = []
            for prompt in (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"):
                self.connection.sendall(prompt)
                words.append(base64.b64decode(self.lines.readline()).decode())
            self.login = tuple(words)
        self.say("auth", line, "235 2.7.0 In")

    def data(self):
        octets = []
        while (line := self.lines.readline()) != b".\r\n":
            if not line:
                raise _Gone
            octets.append(line.removeprefix(b"."))
        taken = Taken(self.mail, self.rcpts, b"".join(octets), self.secured, self.login, self.number)
        reply = self.say("end", self.mail, "250 2.6.0 Taken")
        if reply[0] == "2":
            with self.sink.changed:
                self.sink.taken.append(taken)
                self.sink.changed.notify_all()
        self.mail, self.rcpts = None, []
