"""One SMTP connection: commands in, replies out (RFC 5321 §3, §4; RFC 1870, 2034, 2920, 6152, 6531).

Owns the state of a session and of a mail transaction, and every reply. aiosmtpd's protocol carries the connection
(streams, session, timer; its STARTTLS and AUTH are there for submission); the loop over commands and the commands
themselves are ours, because aiosmtpd takes a bare LF for the end of a command, reads data line by line, answers without
enhanced status codes and drops half-closed connections unanswered. Must not know how mail is stored, and relays none.
"""

import asyncio
import logging
import re
import secrets
from asyncio import IncompleteReadError, LimitOverrunError
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, Session

from minijmap.smtp import grammar, trace
from minijmap.smtp.data import TooMuch, receive
from minijmap.smtp.grammar import Refused
from minijmap.smtp.service import Full, Service, Spool

log = logging.getLogger(__name__)
logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's: it tells of every step at INFO

READER_OCTETS = 65536
TOO_BIG = "552 5.3.4 The message is larger than this server takes"
NOT_HERE = frozenset({"AUTH", "BDAT", "ETRN", "EXPN", "SAML", "SEND", "SOML", "STARTTLS", "TURN"})
"""Commands that are known and not offered: 502, where an unknown one gets 500 (RFC 5321 §4.2.4)."""


class Hangup(Exception):
    """The connection ends after this reply."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass
class MailTransaction:
    """What MAIL and RCPT have said so far (RFC 5321 §3.3)."""

    sender: str
    utf8: bool
    recipients: list[str] = field(default_factory=list)
    accounts: list[int] = field(default_factory=list)


class Conversation(SMTP):
    """The server's side of one connection. Lives on the loop's thread."""

    line_length_limit = READER_OCTETS  # of aiosmtpd's stream reader: it reads in pieces of this size

    def __init__(self, service: Service, conversations: "set[Conversation]", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            object(), hostname=service.hostname, enable_SMTPUTF8=True, timeout=service.limits.command_seconds, loop=loop
        )
        self._service = service
        self._conversations = conversations
        self._transaction: MailTransaction | None = None
        self._errors = self._commands = 0
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
            with self._service.admitted(self._peer()):
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
            log.debug("The SMTP client at %s went away", self._peer())
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
            self._errors += reply[0] == "5"
            self._commands += 1
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

    def _peer(self) -> str:
        address = self.session.peer if self.session is not None else None
        return str(address[0]) if isinstance(address, tuple) else "unknown"

    def _set_rset_state(self) -> None:
        """Forget the mail transaction, here and when aiosmtpd begins a session anew (RFC 3207 §4.2)."""
        super()._set_rset_state()  # type: ignore[no-untyped-call]
        self._transaction = None

    # Commands

    async def _read_line(self) -> bytes:
        """Read a command line, without its CRLF. Nothing else ends one (RFC 5321 §2.3.8)."""
        try:
            return (await self._reader.readuntil(b"\r\n"))[:-2]
        except LimitOverrunError:
            raise Hangup("421 4.5.2 Command line too long") from None

    async def _answer(self, line: bytes) -> str:
        """Do what a line says, and return the reply. Raises Hangup, and what a lost connection raises."""
        try:
            method, argument = self._command_in(line)
            return await method(self, argument)
        except Refused as refusal:
            return refusal.reply
        except (Hangup, ConnectionError, IncompleteReadError):
            raise
        except Exception:
            log.exception("An SMTP command failed")
            return "451 4.3.0 Local error in processing"

    def _command_in(self, line: bytes) -> tuple["Command", str]:
        if len(line) + 2 > self._service.limits.line:
            raise Refused("500 5.5.2 Line too long")
        if re.search(rb"[\r\n]", line):
            raise Refused("500 5.5.2 A bare CR or LF does not end a line")
        try:
            command, _, argument = line.decode().partition(" ")
        except UnicodeDecodeError:
            raise Refused("500 5.5.2 A line is ASCII or UTF-8") from None
        name = command.upper()
        if name not in COMMANDS:
            raise Refused(f"{502 if name in NOT_HERE else 500} 5.5.1 This command is not offered")
        return COMMANDS[name], argument.strip(" \t")

    async def ehlo(self, argument: str) -> str:
        """Begin a session, and say which extensions there are (RFC 5321 §4.1.1.1)."""
        self._greeted(argument, extended=True)
        return "\r\n".join(
            (
                f"250-{self.hostname}",
                f"250-SIZE {self._service.max_message_size}",
                "250-8BITMIME",
                "250-SMTPUTF8",
                "250-PIPELINING",
                "250 ENHANCEDSTATUSCODES",
            )
        )

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

    async def mail(self, argument: str) -> str:
        """Begin a mail transaction (RFC 5321 §4.1.1.2)."""
        session = self._session()
        if not session.host_name:
            raise Refused("503 5.5.1 EHLO comes first")
        if self._transaction is not None:
            raise Refused("503 5.5.1 A mail transaction is open already")
        asked = grammar.mail(argument, extended=session.extended_smtp)
        if asked.size > self._service.max_message_size:
            raise Refused(TOO_BIG)  # RFC 1870 §6.1
        self._transaction = MailTransaction(asked.sender, asked.utf8)
        return "250 2.1.0 Sender accepted"

    async def rcpt(self, argument: str) -> str:
        """Add a recipient: one of ours, since nothing is relayed (RFC 5321 §4.1.1.3)."""
        transaction = self._transaction
        if transaction is None:
            raise Refused("503 5.5.1 MAIL comes first")
        address = grammar.recipient(argument, extended=self._session().extended_smtp, utf8=transaction.utf8)
        if len(transaction.recipients) >= self._service.limits.recipients:
            raise Refused("452 4.5.3 Too many recipients")  # RFC 5321 §4.5.3.1.10
        user = await self._service.find(address)
        if user is None:
            raise Refused("550 5.1.1 Nobody here has this address")
        transaction.recipients.append(address)
        if user.account not in transaction.accounts:
            transaction.accounts.append(user.account)
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
            return await self._deliver(transaction, message)
        except TooMuch:
            raise Hangup(TOO_BIG) from None
        finally:
            spool.release()

    async def _deliver(self, transaction: MailTransaction, message: bytes) -> str:
        """Store a message for all its recipients at once. Only a commit on disk is answered with 250 (DESIGN §3)."""
        received_at = self._service.clock()
        trace_id = secrets.token_hex(8)
        raw = self._trace(transaction, trace_id, received_at) + message
        self._delivering = True
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        try:
            await self._service.deliver(raw, transaction.accounts, int(received_at * 1000))
        except Exception:
            log.exception("Message %s could not be stored", trace_id)
            return "451 4.3.0 The message could not be stored, try again later"
        finally:
            self._delivering = False
            self._reset_timeout()
        log.info("Message %s of %d octets from %s accepted", trace_id, len(message), self._peer())
        self._commands = 0
        return f"250 2.6.0 Message accepted as {trace_id}"

    def _trace(self, transaction: MailTransaction, trace_id: str, received_at: float) -> bytes:
        session = self._session()
        return trace.fields(
            trace.Arrival(
                sender=transaction.sender,
                # RFC 5321 §7.2: naming several would tell each of them about the others.
                recipient=transaction.recipients[0] if len(transaction.recipients) == 1 else None,
                helo=session.host_name or "",
                peer=self._peer(),
                protocol=trace.protocol(
                    extended=session.extended_smtp, tls=session.ssl is not None, utf8=transaction.utf8
                ),
                hostname=self.hostname,
                trace_id=trace_id,
                received_at=received_at,
            )
        )

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
        return f"214 2.0.0 {' '.join(COMMANDS)}"

    async def quit(self, argument: str) -> str:
        """End the conversation (RFC 5321 §4.1.1.10)."""
        _no_argument(argument)
        raise Hangup("221 2.0.0 Bye")


Command = Callable[[Conversation, str], Awaitable[str]]
COMMANDS: dict[str, Command] = {
    "EHLO": Conversation.ehlo,
    "HELO": Conversation.helo,
    "MAIL": Conversation.mail,
    "RCPT": Conversation.rcpt,
    "DATA": Conversation.data,
    "RSET": Conversation.rset,
    "NOOP": Conversation.noop,
    "QUIT": Conversation.quit,
    "VRFY": Conversation.vrfy,
    "HELP": Conversation.help,
}
"""Every command there is (RFC 5321 §4.5.1, and HELP)."""


def _no_argument(argument: str) -> None:
    if argument:
        raise Refused("501 5.5.4 This command takes no argument")  # RFC 5321 §4.3.2
