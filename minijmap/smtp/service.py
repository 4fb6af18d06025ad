"""What all SMTP conversations of a listener share: limits, who is connected, room for messages, the way to the store.

Owns the counting and the threads in which the store is asked, so that the loop never waits for a disk. Must not know
the protocol's words: a refusal here is a fact (`Full`, False), its reply is the conversation's.
"""

import asyncio
import contextlib
import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from minijmap.aio import run_apart
from minijmap.config import Settings
from minijmap.smtp.abuse import Abuse
from minijmap.smtp.certificate import Certificate, CertificateError
from minijmap.smtp.greylist import Greylist
from minijmap.smtp.recipients import Recipients
from minijmap.smtp.resolver import Resolver
from minijmap.store import usage
from minijmap.store.accounts import User
from minijmap.store.database import Database

if TYPE_CHECKING:
    from minijmap.sieve.arrival import Arriving
    from minijmap.smtp.policy import Judge, Verdict
    from minijmap.smtp.reception import Reception
    from minijmap.smtp.role import Envelope

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
THREADS = 4
JUDGES = 32
"""Messages that are judged at once, more than the connections that one address may have."""
JUDGE_SECONDS = 20.0
MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one client, and all of them together, may use. Times in seconds, sizes in octets."""

    connections: int = 200
    connections_per_address: int = 20  # not of loopback: everything behind a local proxy comes from there
    recipients: int = 100  # RFC 5321 §4.5.3.1.8 allows no fewer
    errors: int = 20  # 5yz replies in a session
    commands: int = 5000  # without a message among them
    handshake_seconds: float = 30  # for TLS to begin
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

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float],
        limits: Limits,
        resolver: Resolver | None = None,
        on_queued: Callable[[], None] = lambda: None,
    ) -> None:
        self.hostname = settings.hostname
        self.max_message_size = settings.max_message_size
        self.clock = clock
        self.limits = limits
        self._database = database
        self.recipients = Recipients(settings.aliases)
        self._on_queued = on_queued
        self._reception_made: Reception | None = None
        self._settings = settings
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="minijmap-smtp")
        self._judges = asyncio.Semaphore(JUDGES)
        self.abuse = Abuse(settings.trusted_proxies, clock)
        self.certificate = _certificate(settings, clock)
        self._judge_made: Judge | None = None
        self.resolver = resolver or Resolver(settings.dns_server)
        self._greylist = Greylist(database, clock) if settings.greylisting else None
        self._connected = 0
        self._addresses: Counter[str] = Counter()
        self._spooled = 0

    @contextlib.contextmanager
    def admitted(self, address: str) -> Iterator[None]:
        """Count a connection while it lasts. Raises Full."""
        counted = not self.abuse.is_exempt(address)
        if self._connected >= self.limits.connections or not self.abuse.connects(address):
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

    async def run(self, job: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Do something that may wait, away from the loop; return or raise what it does."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, job, *arguments)

    async def find(self, address: str) -> tuple[User | None, bool]:
        """Return the user an address belongs to, or None, and whether there is no more room for their mail."""
        return await self.run(self._find, address)

    def _find(self, address: str) -> tuple[User | None, bool]:
        with self._database.read() as reader:
            user = self.recipients.find(reader, address)
            return user, user is not None and usage.is_full(reader, user.account)

    async def wait(self, peer: str, sender: str, account: int) -> int:
        """Return after how many seconds a stranger is to come back with mail for an account, 0 for everybody else.

        Bounces are never put off (their sender is null): they answer what we sent.
        """
        if self._greylist is None or not sender or self.abuse.is_exempt(peer):
            return 0
        return await self.run(self._greylist.wait, peer, sender, account)

    async def judge(self, envelope: "Envelope", message: bytes) -> "Verdict | None":
        """Return the verdict on a message, or None when the setting `policy` is "off". Takes up to 20 seconds.

        It has threads of its own: who waits for a stranger's DNS keeps nobody from storing. Time in the queue counts.
        """
        if self._settings.policy == "off":
            return None
        deadline = time.monotonic() + JUDGE_SECONDS
        async with self._judges:
            return await run_apart(self._judge, envelope, message, deadline)

    def _judge(self, envelope: "Envelope", message: bytes, deadline: float) -> "Verdict":
        # Half of the memory of an idle server would be DNS, SPF and DKIM.
        from minijmap.smtp.policy import Judge

        if self._judge_made is None:
            self._judge_made = Judge(self.resolver, self.hostname, self._settings.policy, self.clock)
        return self._judge_made.judge(envelope, message, deadline)

    async def deliver(self, arriving: "Arriving") -> str:
        """Deliver a message; return the reply that refuses it for all recipients, or "" when it was taken.

        Returns once it is on disk; raises what the store raises.
        """
        return await self.run(self._deliver, arriving)

    def _deliver(self, arriving: "Arriving") -> str:
        # How mail is read and filed is a third of the code: a server that gets none does not load it.
        from minijmap.smtp.reception import Reception

        if self._reception_made is None:
            self._reception_made = Reception(self._database, self.recipients, self.hostname, self._on_queued)
        return self._reception_made.take(arriving)

    def close(self) -> None:
        """Wait for what the threads still do, and end them."""
        self._threads.shutdown()


def _certificate(settings: Settings, clock: Callable[[], float]) -> Certificate | None:
    """Return what STARTTLS is offered with, None when it is not. Raises CertificateError."""
    if settings.tls_certificate is None:
        if settings.tls_key is not None:
            raise CertificateError("There is a tls_key without its tls_certificate.")
        return None
    return Certificate(settings.tls_certificate, settings.tls_key, clock=clock)


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


def is_loopback(address: str) -> bool:
    """Say whether an IP address is this machine's own."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)
