"""The sender, put together from the settings.

Owns which parts it has. What must not be reached for comes in here: the clock, the resolver and the way to open a
connection.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from minijmap.config import Settings
from minijmap.smtp.client import Connect, Timeouts
from minijmap.smtp.dkimkeys import Signers
from minijmap.smtp.letters import Letters
from minijmap.smtp.mtasts import Policies
from minijmap.smtp.outcome import Outcomes, Schedule
from minijmap.smtp.peer import Contexts, Opener
from minijmap.smtp.recipients import Recipients
from minijmap.smtp.resolver import Questions
from minijmap.smtp.route import ToMx, ToRelay
from minijmap.smtp.sender import Sender, Ways
from minijmap.smtp.trace import address_literal
from minijmap.store.database import Database


def connect(address: str, port: int, seconds: float) -> socket.socket:
    """Open a connection to the outside. Raises OSError."""
    connection = socket.create_connection((address, port), seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


@dataclass(frozen=True)
class Outside:
    """What sending needs of the world, and a test replaces."""

    resolver: Questions
    clock: Callable[[], float] = time.time
    connect: Connect = connect
    contexts: Contexts = field(default_factory=Contexts)
    timeouts: Timeouts = field(default_factory=Timeouts)


def make_sender(settings: Settings, database: Database, outside: Outside) -> Sender:
    """Return the sender that settings describe. Nothing is opened yet."""
    recipients = Recipients(settings.aliases)
    hostname = settings.hostname
    policies = Policies(outside.resolver, outside.connect, lambda: outside.contexts.get(verified=True))
    ways: Ways = (
        ToMx(outside.resolver, policies, hostname, settings.mx_port)
        if settings.relay is None
        else ToRelay(settings.relay, settings.relay_tls, outside.resolver)
    )
    signers = Signers(database, settings.dkim_selector, outside.clock)
    return Sender(
        database,
        ways,
        Opener(_introduction(hostname), outside.connect, outside.contexts, outside.timeouts),
        Letters(database, recipients, signers, hostname, outside.clock),
        Outcomes(database, recipients, hostname, Schedule(settings.retry_seconds, settings.give_up_after)),
        outside.clock,
    )


def _introduction(hostname: str) -> str:
    """Return what EHLO says: the name, or an address literal where it is an address (RFC 5321 §4.1.1.1)."""
    literal = address_literal(hostname)
    return hostname if literal == "[unknown]" else literal
