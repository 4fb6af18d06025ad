"""One POST to a push service (RFC 8030 §5): a connection, a request, the head of an answer, and no more.

Owns the bounds of what a stranger's server may do: time in all, octets of an answer. The body of an answer is never
read, a redirect never followed. Runs on a loop, so that a server that hangs keeps nobody else waiting. Must not know
what is pushed, nor what becomes of a failure.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from minijmap.aio import run_apart
from minijmap.push import endpoint as endpoints
from minijmap.push.endpoint import Endpoint, LookUp

SECONDS, CONNECT_SECONDS = 30.0, 8.0
"""For everything that one push takes, look-up included; for one address."""
MOST_HEAD = 16 * 1024
MOST_INTERIM = 4
"""Answers of the 100 class that may come before the answer (RFC 9110 §15.2)."""
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9][0-9])(?: |\r?\n)")
_RETRY_AFTER = re.compile(rb"\nretry-after:[ \t]*([^\r\n]{1,100})", re.IGNORECASE)


class NoAnswer(Exception):
    """There was no answer, or none of HTTP. The text says why, without the URL."""


@dataclass(frozen=True)
class Answer:
    """The status of an answer, and its Retry-After as it came."""

    status: int
    retry_after: str | None = None


@dataclass(frozen=True)
class Poster:
    """How to send. `context` gives what TLS is checked by, and is called by the first push over TLS."""

    look_up: LookUp
    private: bool = False
    context: Callable[[], ssl.SSLContext] = ssl.create_default_context
    seconds: float = SECONDS

    async def send(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST a body. Raises NoAnswer."""
        try:
            async with asyncio.timeout(self.seconds):
                found = await run_apart(self._addresses, endpoint)
                reader, writer = await self._connect(endpoint, found)
                try:
                    writer.write(_head(endpoint, headers, len(body)) + body)
                    await writer.drain()
                    return await _read_answer(reader)
                finally:
                    # What it may still say is of no interest; a polite goodbye could take for ever.
                    writer.transport.abort()
        except TimeoutError:
            raise NoAnswer(f"no answer within {self.seconds:g} seconds") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error

    def _addresses(self, endpoint: Endpoint) -> list[str]:
        return endpoints.addresses(endpoint, self.look_up, private=self.private)

    async def _connect(
        self, endpoint: Endpoint, addresses: Sequence[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to one of the addresses that were looked at, whatever the name may resolve to by now."""
        context = self.context() if endpoint.secure else None
        name = endpoint.host if endpoint.secure else None
        failure: OSError | None = None
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(
                        address, endpoint.port, ssl=context, server_hostname=name, limit=MOST_HEAD
                    )
            except OSError as error:  # TimeoutError is one
                failure = error
        raise failure or OSError("no address")


def _head(endpoint: Endpoint, headers: Mapping[str, str], length: int) -> bytes:
    usual = 443 if endpoint.secure else 80
    host = endpoint.authority if endpoint.port == usual else f"{endpoint.authority}:{endpoint.port}"
    fields = {"Host": host, "User-Agent": "minijmap", "Connection": "close", **headers, "Content-Length": str(length)}
    lines = [f"POST {endpoint.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("ascii")


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read the head of the answer. Raises NoAnswer."""
    for _ in range(MOST_INTERIM + 1):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise NoAnswer(f"an answer whose head is longer than {MOST_HEAD} octets") from None
        found = _STATUS.match(head)
        if found is None:
            raise NoAnswer("an answer that is not HTTP/1.1")
        status = int(found[1])
        if status >= 200:
            after = _RETRY_AFTER.search(head)
            return Answer(status, None if after is None else after[1].decode("latin-1").strip())
    raise NoAnswer("no end of interim answers")
