"""What all SMTP conversations of a listener share: limits, who is connected, room for messages, the way to the store.

Owns the counting and the threads in which the store is asked, so that the loop never waits for a disk. Must not know
the protocol's words: a refusal here is a fact (`Full`, False), its reply is the conversation's.
"""

import asyncio
import contextlib
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from minijmap.config import Settings
from minijmap.mail import ingest
from minijmap.smtp.recipients import Recipients
from minijmap.store.accounts import User
from minijmap.store.database import Database

THREADS = 4
MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one client, and all of them together, may use. Times in seconds, sizes in octets."""

    connections: int = 200
    connections_per_address: int = 20  # not of loopback: everything behind a local proxy comes from there
    recipients: int = 100  # RFC 5321 §4.5.3.1.8 allows no fewer
    errors: int = 20  # 5yz replies in a session
    commands: int = 5000  # without a message among them
    line: int = 2048  # RFC 5321 §4.5.3.1.4 asks for 512, its extensions for a little more
    command_seconds: float = 300  # RFC 5321 §4.5.3.2.7; for the whole line, so a trickle does not prolong it
    data_seconds: float = 1800  # for a whole message: 50 MB at 28 kB/s
    linger_seconds: float = 10  # for a client to take the last reply
    spool: int = 256 * MIB  # messages being received, of all connections together
    overrun: int = 64 * MIB  # read of a message that is refused already, before the connection is given up


class Full(Exception):
    """There are as many connections as are allowed, in all or from this address."""


class Service:
    """The shared half of a listener. Its methods belong to the loop's thread."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float], limits: Limits) -> None:
        self.hostname = settings.hostname
        self.max_message_size = settings.max_message_size
        self.clock = clock
        self.limits = limits
        self._database = database
        self._recipients = Recipients(settings.aliases)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="minijmap-smtp")
        self._connected = 0
        self._addresses: Counter[str] = Counter()
        self._spooled = 0

    @contextlib.contextmanager
    def admitted(self, address: str) -> Iterator[None]:
        """Count a connection while it lasts. Raises Full."""
        counted = not _is_loopback(address)
        if self._connected >= self.limits.connections:
            raise Full
        if counted and self._addresses[address] >= self.limits.connections_per_address:
            raise Full
        self._connected += 1
        self._addresses[address] += counted
        try:
            yield
        finally:
            self._connected -= 1
            self._addresses[address] -= counted
            if not self._addresses[address]:
                del self._addresses[address]

    def reserve(self, octets: int) -> bool:
        """Take room for octets of a message being received, unless there is none. `octets` < 0 gives room back."""
        # One message always has room: on the wire the largest takes a third more, if every line begins with a dot.
        if octets > 0 and self._spooled + octets > max(self.limits.spool, 2 * self.max_message_size):
            return False
        self._spooled += octets
        return True

    async def find(self, address: str) -> User | None:
        """Return the user an address belongs to, or None."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._find, address)

    def _find(self, address: str) -> User | None:
        with self._database.read() as reader:
            return self._recipients.find(reader, address)

    async def deliver(self, raw: bytes, accounts: Sequence[int], received_at: int) -> None:
        """Store a message in accounts. Returns once it is on disk (DESIGN §3); raises what the store raises."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, ingest.deliver, self._database, raw, accounts, received_at)

    def close(self) -> None:
        """Wait for what the threads still do, and end them."""
        self._threads.shutdown()


class Spool:
    """The room one message takes while it is received, and why there was no more of it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._most = service.max_message_size * 4 // 3 + 16
        self._held = 0
        self.too_big = False

    def take(self, octets: int) -> bool:
        """Say whether a further piece may be kept."""
        self.too_big = self._held + octets > self._most
        if self.too_big or not self._service.reserve(octets):
            return False
        self._held += octets
        return True

    def release(self) -> None:
        """Give the room back."""
        self._service.reserve(-self._held)
        self._held = 0


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
