"""An SMTP client's connection: commands out, replies in (RFC 5321 §4.2, §4.3.2, RFC 2034, RFC 2920).

Owns the socket, what ends a reply, and the limits on it: a server that sends endless lines, or one octet a minute,
costs no more than the timeout of one reply. Must not know messages, queues or where a host was found.
"""

import base64
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

MOST_LINE = 4096
"""Octets of a reply's line: eight times what RFC 5321 §4.5.3.1.5 asks a client to take."""
MOST_LINES = 200
MOST_TEXT = 2000
"""Characters of one reply that are kept."""
CHUNK = 65536
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_STATUS = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |\Z)")

Connect = Callable[[str, int, float], socket.socket]
"""The outbound transport: address, port and seconds → a connected socket. Raises OSError."""


class Lost(Exception):
    """The connection broke, or the server spoke something that is not SMTP; the sentence says what."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds to wait for the server (RFC 5321 §4.5.3.2)."""

    connect: float = 30
    greeting: float = 300
    command: float = 300
    data: float = 120
    block: float = 180
    end: float = 600


@dataclass(frozen=True)
class Reply:
    """A server's reply, or one made here in its form (RFC 8621 §7)."""

    code: int
    lines: tuple[str, ...]

    @classmethod
    def made(cls, code: int, text: str) -> "Reply":
        """Make a reply of our own; `text` begins with an enhanced status code."""
        return cls(code, (text,))

    @property
    def kind(self) -> int:
        """Return the first digit: 2 done, 3 go on, 4 not now, 5 never (RFC 5321 §4.2.1)."""
        return self.code // 100

    @property
    def status(self) -> str:
        """Return the enhanced status code, or the one that says nothing but the reply's class (RFC 3463 §2)."""
        found = _STATUS.match(self.lines[0])
        return found[1] if found and int(found[1][0]) == self.kind else f"{self.kind}.0.0"

    @property
    def text(self) -> str:
        """Return it as one line (RFC 8621 §7, smtpReply)."""
        first, *more = self.lines
        found = _STATUS.match(first)
        common = found[0] if found else ""
        rest = (line.removeprefix(common) for line in more)
        return " ".join((str(self.code), first, *rest)).strip()[:MOST_TEXT]


@dataclass
class Client:
    """A connection to a server. Every method raises Lost when it is over."""

    connection: socket.socket
    timeouts: Timeouts = field(default_factory=Timeouts)
    extensions: Mapping[str, str] = field(default_factory=dict)
    """What the server offers: keyword in upper case → its parameters."""
    _unread: bytes = b""

    @property
    def encrypted(self) -> bool:
        """Say whether the connection has TLS."""
        return isinstance(self.connection, ssl.SSLSocket)

    def greeting(self) -> Reply:
        """Read what the server says first."""
        return self._reply(self.timeouts.greeting)

    def ehlo(self, hostname: str) -> Reply:
        """Introduce ourselves, and learn the extensions; a server that knows no EHLO gets HELO (RFC 5321 §3.2)."""
        reply = self.command(f"EHLO {hostname}")
        self.extensions = {}
        if reply.kind == 2:
            words = (line.split(maxsplit=1) for line in reply.lines[1:])
            self.extensions = {word[0].upper(): "".join(word[1:]) for word in words if word}
        elif reply.kind == 5:
            reply = self.command(f"HELO {hostname}")
        return reply

    def start_tls(self, context: ssl.SSLContext, name: str, hostname: str) -> Reply:
        """Turn to TLS with the server `name`, and introduce ourselves again (RFC 3207 §4.2)."""
        reply = self.command("STARTTLS")
        if reply.kind != 2:
            return reply
        # What was sent in clear after the reply would be taken for a part of the protected session.
        if self._unread:
            raise Lost("The server sent more than its reply to STARTTLS")
        self.wrap(context, name)
        return self.ehlo(hostname)

    def wrap(self, context: ssl.SSLContext, name: str) -> None:
        """Begin TLS now."""
        self.connection.settimeout(self.timeouts.command)
        try:
            self.connection = context.wrap_socket(self.connection, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            raise Lost(f"The certificate of {name} does not do: {error.verify_message}") from error
        except (OSError, ValueError) as error:
            raise Lost(f"TLS with {name} failed: {_reason(error)}") from error

    def log_in(self, user: str, password: str) -> Reply:
        """Sign in (RFC 4954); without a way to do so, the reply is one of ours."""
        ways = self.extensions.get("AUTH", "").upper().split()
        if "PLAIN" in ways:
            return self.command("AUTH PLAIN " + _base64(f"\0{user}\0{password}"))
        if "LOGIN" in ways:
            reply = self.command("AUTH LOGIN")
            for secret in (user, password):
                if reply.code == 334:
                    reply = self.command(_base64(secret))
            return reply
        return Reply.made(454, "4.7.0 The relay offers no way to sign in that is known here")

    def command(self, line: str, seconds: float | None = None) -> Reply:
        """Say one command and read the reply."""
        return self.commands([line], seconds)[0]

    def commands(self, lines: Sequence[str], seconds: float | None = None) -> list[Reply]:
        """Say several commands and read their replies: all at once if the server lets us (RFC 2920 §3.1)."""
        wait = seconds or self.timeouts.command
        if "PIPELINING" in self.extensions:
            self._send("".join(f"{line}\r\n" for line in lines).encode(), wait)
            return [self._reply(wait) for _ in lines]
        replies = []
        for line in lines:
            self._send(f"{line}\r\n".encode(), wait)
            replies.append(self._reply(wait))
        return replies

    def message(self, octets: bytes) -> None:
        """Send a message after a 354, but for its end (RFC 5321 §4.5.2): until that comes, the server has nothing."""
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        if stuffed and not stuffed.endswith(b"\r\n"):
            stuffed += b"\r\n"
        for start in range(0, len(stuffed), CHUNK):
            self._send(stuffed[start : start + CHUNK], self.timeouts.block)

    def end(self) -> Reply:
        """Say that the message is complete, and read what the server says to it."""
        return self.command(".", self.timeouts.end)

    def quit(self) -> None:
        """Say goodbye, and do not wait for the answer."""
        try:
            self._send(b"QUIT\r\n", 1)
        except Lost:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection; whoever reads from it at the moment gets Lost."""
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            self.connection.close()

    def _send(self, octets: bytes, seconds: float) -> None:
        try:
            self.connection.settimeout(seconds)
            self.connection.sendall(octets)
        except (OSError, ValueError) as error:
            raise Lost(f"The connection broke: {_reason(error)}") from error

    def _reply(self, seconds: float) -> Reply:
        deadline = time.monotonic() + seconds
        lines: list[str] = []
        while len(lines) < MOST_LINES:
            line = self._line(deadline)
            found = _LINE.fullmatch(line)
            if found is None:
                raise Lost("The server spoke something that is not SMTP")
            lines.append(_printable(found[3] or b""))
            if found[2] != b"-":
                return Reply(int(found[1]), tuple(lines))
        raise Lost("The server's reply had no end")

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._unread:
            if len(self._unread) > MOST_LINE:
                raise Lost("The server's reply had a line without end")
            left = deadline - time.monotonic()
            try:
                self.connection.settimeout(max(left, 0.001))
                octets = self.connection.recv(MOST_LINE)
            except (OSError, ValueError) as error:
                reason = "no answer in time" if isinstance(error, TimeoutError) else _reason(error)
                raise Lost(f"The connection broke: {reason}") from error
            if not octets:
                raise Lost("The server closed the connection")
            self._unread += octets
        line, _, self._unread = self._unread.partition(b"\n")
        return line.removesuffix(b"\r")


def _printable(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text).strip()[:MOST_TEXT]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
