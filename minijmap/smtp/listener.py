"""The SMTP listener: the socket on which other servers hand mail over (RFC 5321 §3.1).

Owns the listening socket and the order in which everything stops. Must not know what is said over a connection: that is
the conversation's.
"""

import asyncio
import time
from collections.abc import Callable

from minijmap.aio import LoopThread
from minijmap.config import Settings
from minijmap.setting_kinds import Address
from minijmap.smtp.conversation import Conversation
from minijmap.smtp.inbound import Inbound
from minijmap.smtp.resolver import Resolver
from minijmap.smtp.role import Role
from minijmap.smtp.service import Limits, Service
from minijmap.store.database import Database

STOP_SECONDS = 3
"""How long a message being stored may keep the listener from stopping."""


class Listener:
    """Takes mail on an address: on `settings.smtp` for the users' addresses, unless another role is given."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float] = time.time,
        *,
        address: Address | None = None,
        role: Callable[[Service], Role] = Inbound,
        loop_thread: LoopThread | None = None,
        limits: Limits | None = None,
        resolver: Resolver | None = None,
        on_queued: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; nothing is opened yet. A `loop_thread` that is handed in is the caller's to start and stop.

        Without a `resolver`, `settings.dns_server` is asked. `on_queued` is called when a message that has arrived has
        put others into the queue. Raises CertificateError.
        """
        address = address or settings.smtp
        if address is None:
            raise ValueError("There is no address to listen on.")
        self._address = address
        self._service = Service(settings, database, clock, limits or Limits(), resolver, on_queued)
        self._role = role(self._service)
        self._owns_thread = loop_thread is None
        self._thread = loop_thread or LoopThread()
        self._conversations: set[Conversation] = set()
        self._server: asyncio.Server | None = None

    def start(self) -> tuple[str, int]:
        """Listen, and return the host and the port bound. Raises OSError when the address can't be had."""
        if self._owns_thread:
            self._thread.start()
        try:
            self._server = self._thread.call(self._open())
        except OSError:
            self.stop()
            raise
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    def stop(self) -> None:
        """Stop listening, let messages that are being stored finish, say goodbye to everybody."""
        if self._server is not None:
            self._thread.call(self._close(self._server))
            self._server = None
        self._service.close()
        if self._owns_thread:
            self._thread.stop()

    async def _open(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: Conversation(self._service, self._role, self._conversations, loop),
            self._address.host,
            self._address.port,
        )

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        conversations = list(self._conversations)
        for conversation in conversations:
            conversation.shut_down()
        await asyncio.gather(*(conversation.ended(STOP_SECONDS) for conversation in conversations))
        await asyncio.sleep(0)  # the loop tells every connection that it is lost
