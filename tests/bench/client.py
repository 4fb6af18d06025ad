"""A JMAP client that costs next to nothing: keep-alive HTTP/1.1 over one socket with TCP_NODELAY (RFC 9112, RFC 8620 §3).

A `Call` is one HTTP request, ready to be sent; `Client.send` gives its answer. Nothing is parsed that was not asked for, so
that a sample holds the server's time and not ours. Knows no mail and no minijmap.
"""

import base64
import io
import json
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

CORE, MAIL = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"
SUBMISSION = "urn:ietf:params:jmap:submission"
CONTACTS = "urn:ietf:params:jmap:contacts"
REDIRECTS = 5
LINE_LIMIT, HEADER_LIMIT = 65_536, 200


class RefusedError(Exception):
    """The server answered with an error: an HTTP status, a method error's type or a SetError's type."""


class Answer(NamedTuple):
    """What came back: status, header fields by lower-case name, content."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)


@dataclass(frozen=True)
class Call:
    """One HTTP request. Without content it is a GET, otherwise a POST."""

    url: str
    content: bytes | None = None
    content_type: str = "application/json"


class Connection:
    """One kept-open connection to one origin."""

    def __init__(self, origin: SplitResult, authorization: str, timeout: float) -> None:
        self._origin, self._timeout = origin, timeout
        self._fields = f"Host: {origin.netloc}\r\nAuthorization: {authorization}\r\nAccept: */*\r\n"
        self._socket: socket.socket | None = None
        self._file: BinaryIO = io.BytesIO()

    def send(self, call: Call) -> Answer:
        """Send and read the whole answer; a connection that the server closed meanwhile is opened again once."""
        parts = urlsplit(call.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = f"{'GET' if call.content is None else 'POST'} {target} HTTP/1.1\r\n{self._fields}"
        if call.content is not None:
            head += f"Content-Type: {call.content_type}\r\nContent-Length: {len(call.content)}\r\n"
        octets = head.encode() + b"\r\n" + (call.content or b"")
        if self._socket is not None:
            with suppress(ConnectionError):
                return self._exchange(octets)
        return self._exchange(octets)

    def _exchange(self, octets: bytes) -> Answer:
        try:
            return self._send_and_read(octets)
        except BaseException:
            self.close()  # what is left of a broken exchange must not be taken for the next answer
            raise

    def _send_and_read(self, octets: bytes) -> Answer:
        if self._socket is None:
            self._open()
        assert self._socket is not None
        self._socket.sendall(octets)
        status = int(self._line().split(b" ", 2)[1])
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
            if len(headers) > HEADER_LIMIT:
                raise RefusedError("too many header fields")
        answer = Answer(status, headers, self._content(headers))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def _open(self) -> None:
        secure = self._origin.scheme == "https"
        address = (self._origin.hostname or "", self._origin.port or (443 if secure else 80))
        plain = socket.create_connection(address, timeout=self._timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.create_default_context() if secure else None
        self._socket = context.wrap_socket(plain, server_hostname=address[0]) if context else plain
        self._file = self._socket.makefile("rb")

    def _line(self) -> bytes:
        line = self._file.readline(LINE_LIMIT)
        if not line.endswith(b"\n"):
            raise ConnectionError("the server closed the connection")
        return line.rstrip(b"\r\n")

    def _content(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self._exactly(int(headers["content-length"])) if "content-length" in headers else self._file.read()
        chunks = []
        while size := int(self._line().partition(b";")[0], 16):
            chunks.append(self._exactly(size))
            self._line()
        while self._line():
            pass
        return b"".join(chunks)

    def _exactly(self, size: int) -> bytes:
        octets = self._file.read(size)
        if len(octets) < size:
            raise ConnectionError("the server closed the connection")
        return octets

    def close(self) -> None:
        """Close; the next `send` opens again."""
        if self._socket is not None:
            self._file.close()
            self._socket.close()
            self._socket = None


class Client:
    """A signed-in user's view of one JMAP server; one thread's property."""

    def __init__(self, url: str, user: str, password: str, timeout: float = 120.0) -> None:
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._timeout = timeout
        self._connections: dict[str, Connection] = {}
        # RFC 8620 §2.2: without a path of its own the URL is an origin, and the Session is at the well-known place.
        self.session_url = url if urlsplit(url).path.strip("/") else urljoin(url, "/.well-known/jmap")
        for _ in range(REDIRECTS):
            answer = self.send(Call(self.session_url))
            if answer.status not in {301, 302, 307, 308}:
                break
            self.session_url = urljoin(self.session_url, answer.headers["location"])
        if answer.status != 200:
            raise RefusedError(f"HTTP {answer.status} for {self.session_url}")
        self.session = answer.json()
        self.account_id: str = self.session["primaryAccounts"][MAIL]

    def send(self, call: Call) -> Answer:
        """One request, one answer, whatever its status."""
        parts = urlsplit(call.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._connections:
            self._connections[origin] = Connection(urlsplit(origin), self._authorization, self._timeout)
        return self._connections[origin].send(call)

    def request(self, *calls: tuple[str, dict[str, Any]]) -> Call:
        """A request of these method calls, named "0", "1", … (RFC 8620 §3.3)."""
        known = [uri for uri in (CORE, MAIL, SUBMISSION, CONTACTS) if uri in self.session["capabilities"]]
        invocations = [[name, arguments, str(number)] for number, (name, arguments) in enumerate(calls)]
        content = json.dumps({"using": known, "methodCalls": invocations}, separators=(",", ":")).encode()
        return Call(urljoin(self.session_url, self.session["apiUrl"]), content)

    def ask(self, *calls: tuple[str, dict[str, Any]], strict: bool = True) -> list[dict[str, Any]]:
        """The arguments of each response; an error is raised as `RefusedError` (a SetError only if `strict`)."""
        answer = self.send(self.request(*calls))
        refuse(answer, strict=strict)
        return [arguments for _, arguments, _ in answer.json()["methodResponses"]]

    def upload(self, content: bytes) -> Call:
        """A request that uploads (RFC 8620 §6.1)."""
        url = self.session["uploadUrl"].replace("{accountId}", quote(self.account_id, safe=""))
        return Call(urljoin(self.session_url, url), content, "message/rfc822")

    def download(self, blob_id: str) -> Call:
        """A request that downloads a blob (RFC 8620 §6.2)."""
        values = {"accountId": self.account_id, "blobId": blob_id, "name": "message.eml", "type": "message/rfc822"}
        url = self.session["downloadUrl"]
        for name, value in values.items():
            url = url.replace(f"{{{name}}}", quote(value, safe=""))
        return Call(urljoin(self.session_url, url))

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.close()


def refuse(answer: Answer, *, strict: bool = True) -> None:
    """Raise `RefusedError` for anything but plain success; only an answer that may hold an error is parsed."""
    if answer.status not in {200, 201}:
        raise RefusedError(f"HTTP {answer.status}")
    suspect = b'"error"' in answer.content or b'"notUpdated"' in answer.content
    if not suspect or not answer.headers.get("content-type", "").startswith("application/json"):
        return
    for name, arguments, _ in answer.json()["methodResponses"]:
        if name == "error":
            raise RefusedError(arguments["type"])
        for failed in ("notCreated", "notUpdated", "notDestroyed") if strict else ():
            for error in (arguments.get(failed) or {}).values():
                raise RefusedError(f"{failed}: {error['type']}")
