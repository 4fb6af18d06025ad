"""One SMTP connection: commands in, replies out (RFC 5321 §3, §4; RFC 1870, 2034, 2920, 6152, 6531).

Owns the state of a session and of a mail transaction, and every reply. aiosmtpd's protocol carries the connection
(streams, session, timer); the loop over commands and the commands themselves, STARTTLS too (RFC 3207), are ours: for
aiosmtpd takes a bare LF for the end of a command, reads data line by line, answers without enhanced status codes and
drops half-closed connections unanswered. Must not know whom mail is taken from and for, nor
what becomes of it: that is its role's.
"""

import asyncio
import logging
import re
from asyncio import IncompleteReadError, LimitOverrunError

from aiosmtpd.smtp import SMTP, Session

from minijmap.signin import Proof
from minijmap.smtp import grammar
from minijmap.smtp.data import TooMuch, receive
from minijmap.smtp.grammar import Refused
from minijmap.smtp.role import Command, MailTransaction, Role
from minijmap.smtp.service import Full, Service, Spool

log = logging.getLogger(__name__)
logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's: it tells of every step at INFO

READER_OCTETS = 65536
TOO_BIG = "552 5.3.4 The message is larger than this server takes"
NOT_HERE = frozenset({"AUTH", "BDAT", "ETRN", "EXPN", "SAML", "SEND", "SOML", "TURN"})
"""Commands that are known and not offered: 502, where an unknown one gets 500 (RFC 5321 §4.2.4)."""


class Hangup(Exception):
    """The connection ends after this reply."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


class Conversation(SMTP):
    """The server's side of one connection. Lives on the loop's thread."""

    line_length_limit = READER_OCTETS  # of aiosmtpd's stream reader: it reads in pieces of this size

    def __init__(
        self,
        service: Service,
        role: Role,
        conversations: "set[Conversation]",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(
            object(), hostname=service.hostname, enable_SMTPUTF8=True, timeout=service.limits.command_seconds, loop=loop
        )
        self._service = service
        self._role = role
        self._conversations = conversations
        self._transaction: MailTransaction | None = None
        self._errors = self._commands = 0
        self._is_offence = True
        self._delivering = False
        self._farewell: str | None = None

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the conversation (called by the loop)."""
        super().connection_made(transport)
        self._conversations.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection (called by the loop)."""
        super().connection_lost(error)
        self._conversations.discard(self)

    async def _handle_client(self) -> None:
        """Carry the conversation from greeting to end. Runs as the connection's own task."""
        farewell = None
        try:
            with self._service.admitted(self.peer):
                await self._converse()
        except Full:
            farewell = "421 4.7.0 Too many connections, try again later"
        except Hangup as hangup:
            farewell = hangup.reply
        except asyncio.CancelledError:
            if self._farewell is None:  # the connection is lost: nobody to talk to
                raise
            farewell = self._farewell
        except (ConnectionError, IncompleteReadError):
            log.debug("The SMTP client at %s went away", self.peer)
        except Exception:
            log.exception("An SMTP conversation failed")
            farewell = "421 4.3.0 Internal error"
        finally:
            self._hang_up(farewell)

    async def _converse(self) -> None:
        await self.push(f"220 {self.hostname} ESMTP minijmap")
        limits = self._service.limits
        while self._farewell is None:
            self._reset_timeout()
            reply = await self._answer(await self._read_line())
            self._commands += 1
            if reply.startswith("5") and self._is_offence:
                self._errors += 1
                self._service.abuse.refused(self.peer)
            if delay := self._service.abuse.delay(self.peer):
                await asyncio.sleep(delay)
            if reply:
                await self.push(reply)
            await asyncio.sleep(0)  # a client that pipelines leaves the others their turn
            if self._errors >= limits.errors:
                raise Hangup("421 4.7.0 Too many errors")
            if self._commands >= limits.commands:
                raise Hangup("421 4.7.0 Too many commands without a message")
        raise Hangup(self._farewell)

    def shut_down(self) -> None:
        """End the conversation with 421, now or, while a message is being stored, after its reply (RFC 5321 §3.8)."""
        self._end_with("421 4.3.2 The server is shutting down")

    def _timeout_cb(self) -> None:
        self._end_with("421 4.4.2 You took too long")  # RFC 5321 §4.5.3.2.7

    def _end_with(self, farewell: str) -> None:
        self._farewell = farewell
        if not self._delivering and self._handler_coroutine is not None:
            self._handler_coroutine.cancel()

    def eof_received(self) -> bool | None:
        """Let the client close its half: what it sent before is still answered (aiosmtpd would drop it)."""
        return super(SMTP, self).eof_received()

    def _hang_up(self, farewell: str | None) -> None:
        transport = self._writer.transport
        if farewell is not None and not transport.is_closing():
            self._writer.write(f"{farewell}\r\n".encode())
        transport.close()
        if transport.get_write_buffer_size():
            self.loop.call_later(self._service.limits.linger_seconds, transport.abort)

    async def ended(self, seconds: float) -> None:
        """Wait for the end of the conversation, and cut the connection if it does not come, or is not read."""
        if self._handler_coroutine is not None:
            await asyncio.wait([self._handler_coroutine], timeout=seconds)
        self._writer.transport.abort()

    def _session(self) -> Session:
        if self.session is None:
            raise RuntimeError("A command came before its connection.")
        return self.session

    # aiosmtpd looks at every attribute before there is a session, so these must not need one.

    @property
    def peer(self) -> str:
        """The client's IP address."""
        address = self.session.peer if self.session is not None else None
        return str(address[0]) if isinstance(address, tuple) else "unknown"

    @property
    def helo_name(self) -> str:
        """What the client calls itself."""
        return "" if self.session is None else self.session.host_name or ""

    @property
    def is_extended(self) -> bool:
        """Whether the client said EHLO."""
        return self.session is not None and self.session.extended_smtp

    @property
    def is_secure(self) -> bool:
        """Whether the session is under TLS."""
        return self.session is not None and self.session.ssl is not None

    def _set_rset_state(self) -> None:
        """Forget the mail transaction, here and when aiosmtpd begins a session anew (RFC 3207 §4.2)."""
        super()._set_rset_state()  # type: ignore[no-untyped-call]
        self._transaction = None

    @property
    def proof(self) -> Proof | None:
        """Who has signed in. STARTTLS begins a new session, in which nobody has (RFC 3207 §4.2)."""
        return None if self.session is None else self.session.auth_data

    @proof.setter
    def proof(self, proof: Proof | None) -> None:
        session = self._session()
        session.auth_data = proof  # type: ignore[assignment]  # aiosmtpd: “can contain anything”
        session.authenticated = proof is not None

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL was accepted, and nothing has ended that."""
        return self._transaction is not None

    async def ask(self, challenge: str, longest: int) -> bytes:
        """Send a challenge and return the line that answers it, of `longest` octets (RFC 4954 §4). Raises Refused."""
        await self.push(f"334 {challenge}")
        self._reset_timeout()
        line = await self._read_line()
        if len(line) + 2 > longest:
            raise Refused("500 5.5.6 Authentication exchange line is too long")
        return line

    # Commands

    async def _read_line(self) -> bytes:
        """Read a command line, without its CRLF. Nothing else ends one (RFC 5321 §2.3.8)."""
        try:
            return (await self._reader.readuntil(b"\r\n"))[:-2]
        except LimitOverrunError:
            raise Hangup("421 4.5.2 Command line too long") from None

    async def _answer(self, line: bytes) -> str:
        """Do what a line says, and return the reply. Raises Hangup, and what a lost connection raises."""
        self._is_offence = True
        try:
            method, argument = self._command_in(line)
            return await method(self, argument)
        except Refused as refusal:
            self._is_offence = refusal.is_offence
            return refusal.reply
        except (Hangup, ConnectionError, IncompleteReadError):
            raise
        except Exception:
            log.exception("An SMTP command failed")
            return "451 4.3.0 Local error in processing"

    def _command_in(self, line: bytes) -> tuple[Command, str]:
        if len(line) + 2 > self._service.limits.line:
            raise Refused("500 5.5.2 Line too long")
        if re.search(rb"[\r\n]", line):
            raise Refused("500 5.5.2 A bare CR or LF does not end a line")
        try:
            command, _, argument = line.decode().partition(" ")
        except UnicodeDecodeError:
            raise Refused("500 5.5.2 A line is ASCII or UTF-8") from None
        name = command.upper()
        method = COMMANDS.get(name) or self._role.commands.get(name)
        if method is None:
            raise Refused(f"{502 if name in NOT_HERE else 500} 5.5.1 This command is not offered")
        return method, argument.strip(" \t")

    async def ehlo(self, argument: str) -> str:
        """Begin a session, and say which extensions there are (RFC 5321 §4.1.1.1)."""
        self._greeted(argument, extended=True)
        offers = [
            f"SIZE {self._service.max_message_size}",
            "8BITMIME",
            "SMTPUTF8",
            "PIPELINING",
            *(["STARTTLS"] if self._service.certificate is not None and not self.is_secure else []),
            *self._role.extensions(self),
            "ENHANCEDSTATUSCODES",
        ]
        return "\r\n".join([f"250-{self.hostname}", *(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}"])

    async def helo(self, argument: str) -> str:
        """Begin a session without extensions."""
        self._greeted(argument, extended=False)
        return f"250 {self.hostname}"

    def _greeted(self, argument: str, *, extended: bool) -> None:
        if not argument or not argument.isascii() or not argument.isprintable():
            raise Refused("501 5.5.4 A host name or an address literal is needed")
        self._set_rset_state()
        session = self._session()
        # RFC 5321 §4.1.1.1: some clients say more about themselves after the name.
        session.host_name = argument.split(maxsplit=1)[0]
        session.extended_smtp = extended

    async def starttls(self, argument: str) -> str:
        """Go on under TLS, as if nothing had been said before (RFC 3207 §4). There is no reply after the 220."""
        certificate = self._service.certificate
        if certificate is None:
            raise Refused("502 5.5.1 This command is not offered")
        _no_argument(argument)
        if self.is_secure:
            raise Refused("503 5.5.1 TLS is active already")
        context = await self._service.run(certificate.context)
        transport = self._writer.transport
        # What came with the command, and what still comes in the clear, was put there by somebody between us and the
        # client (RFC 3207 §6): the one is dropped here, the other is no TLS and ends the handshake.
        transport.pause_reading()  # type: ignore[attr-defined]
        self._reader._buffer.clear()  # type: ignore[attr-defined]  # noqa: SLF001
        await self.push("220 2.0.0 Ready to start TLS")
        try:
            secure = await self.loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._service.limits.handshake_seconds,
            )
        except OSError as error:
            # The transport has forgotten this protocol: nobody else says so.
            self.loop.call_soon(self.connection_lost, None)
            raise ConnectionAbortedError("The TLS handshake failed") from error
        self._go_on(secure)
        return ""

    def _go_on(self, secure: asyncio.Transport | None) -> None:
        """Begin a new session over a connection that is now under TLS."""
        if secure is None:
            raise ConnectionAbortedError("The connection was lost in the TLS handshake")
        self.transport = secure
        self._reader._transport = secure  # type: ignore[attr-defined]  # noqa: SLF001
        self._writer = asyncio.StreamWriter(secure, self, self._reader, self.loop)
        self._over_ssl = True
        session = self._create_session()
        session.peer = self._session().peer
        session.ssl = {"cipher": secure.get_extra_info("cipher")}
        self.session = session
        self._set_rset_state()

    async def mail(self, argument: str) -> str:
        """Begin a mail transaction (RFC 5321 §4.1.1.2)."""
        session = self._session()
        if not session.host_name:
            raise Refused("503 5.5.1 EHLO comes first")
        if self._transaction is not None:
            raise Refused("503 5.5.1 A mail transaction is open already")
        asked = grammar.mail(argument, extended=session.extended_smtp, also=self._role.mail_parameters)
        if asked.size > self._service.max_message_size:
            raise Refused(TOO_BIG)  # RFC 1870 §6.1
        await self._role.admit_sender(self, asked)
        self._transaction = MailTransaction(asked.sender, asked.utf8, asked.parameters)
        return "250 2.1.0 Sender accepted"

    async def rcpt(self, argument: str) -> str:
        """Add a recipient, if the role agrees (RFC 5321 §4.1.1.3)."""
        transaction = self._transaction
        if transaction is None:
            raise Refused("503 5.5.1 MAIL comes first")
        asked = grammar.recipient(
            argument, extended=self.is_extended, utf8=transaction.utf8, also=self._role.rcpt_parameters
        )
        if len(transaction.recipients) >= self._service.limits.recipients:
            raise Refused("452 4.5.3 Too many recipients")  # RFC 5321 §4.5.3.1.10
        await self._role.admit_recipient(self, transaction, asked)
        return "250 2.1.5 Recipient accepted"

    async def data(self, argument: str) -> str:
        """Receive the message and store it: the transaction is over whatever becomes of it (RFC 5321 §4.1.1.4)."""
        _no_argument(argument)
        transaction = self._transaction
        if transaction is None:
            raise Refused("503 5.5.1 MAIL comes first")
        if not transaction.recipients:
            raise Refused("554 5.5.1 No valid recipients")
        self._transaction = None
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        self._reset_timeout(self._service.limits.data_seconds)
        spool = Spool(self._service)
        try:
            message = await receive(self._reader, spool.take, self._service.limits.overrun)
            if message is None:
                return TOO_BIG if spool.too_big else "452 4.3.1 No room for a message just now"
            if len(message) > self._service.max_message_size:
                return TOO_BIG
            return await self._take(transaction, message)
        except TooMuch:
            raise Hangup(TOO_BIG) from None
        finally:
            spool.release()

    async def _take(self, transaction: MailTransaction, message: bytes) -> str:
        """Have the role take a message. Nothing interrupts it: what is answered is what has happened."""
        self._delivering = True
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        try:
            reply = await self._role.take(self, transaction, message)
        finally:
            self._delivering = False
            self._reset_timeout()
        if reply.startswith("2"):
            self._commands = 0
        return reply

    async def rset(self, argument: str) -> str:
        """Give up the mail transaction (RFC 5321 §4.1.1.5)."""
        _no_argument(argument)
        self._set_rset_state()
        return "250 2.0.0 Ok"

    async def noop(self, _argument: str) -> str:
        """Do nothing (RFC 5321 §4.1.1.9)."""
        return "250 2.0.0 Ok"

    async def vrfy(self, argument: str) -> str:
        """Tell nobody who lives here (RFC 5321 §3.5.3, §7.3)."""
        if not argument:
            raise Refused("501 5.5.4 Syntax: VRFY address")
        return "252 2.5.0 Addresses are not verified; RCPT says whether mail is taken"

    async def help(self, _argument: str) -> str:
        """Name the commands (RFC 5321 §4.1.1.8)."""
        return f"214 2.0.0 {' '.join([*COMMANDS, *self._role.commands])}"

    async def quit(self, argument: str) -> str:
        """End the conversation (RFC 5321 §4.1.1.10)."""
        _no_argument(argument)
        raise Hangup("221 2.0.0 Bye")


COMMANDS: dict[str, Command] = {
    "EHLO": Conversation.ehlo,
    "HELO": Conversation.helo,
    "STARTTLS": Conversation.starttls,
    "MAIL": Conversation.mail,
    "RCPT": Conversation.rcpt,
    "DATA": Conversation.data,
    "RSET": Conversation.rset,
    "NOOP": Conversation.noop,
    "QUIT": Conversation.quit,
    "VRFY": Conversation.vrfy,
    "HELP": Conversation.help,
}
"""The commands that every conversation has (RFC 5321 §4.5.1, and HELP)."""


def _no_argument(argument: str) -> None:
    if argument:
        raise Refused("501 5.5.4 This command takes no argument")  # RFC 5321 §4.3.2
