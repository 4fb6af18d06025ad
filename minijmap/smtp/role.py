"""What a listener is for: a conversation speaks the protocol, its role decides (RFC 5321 §3.3, RFC 6409 §3).

Owns the seam alone: the mail transaction as both sides see it, and the questions a conversation asks. The roles are
`inbound` (mail from other servers, for people here) and `submitting` (mail from people here, for anybody).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from minijmap.smtp import grammar
from minijmap.smtp.grammar import Recipient

if TYPE_CHECKING:
    from minijmap.smtp.conversation import Conversation

Command = Callable[["Conversation", str], Awaitable[str]]
"""Does what a command says, given what follows its name, and returns the reply. Raises Refused or Hangup."""


@dataclass
class MailTransaction:
    """What MAIL and RCPT have said so far (RFC 5321 §3.3)."""

    sender: str
    utf8: bool
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    """Those of MAIL that are kept: see `Role.mail_parameters`."""
    recipients: list[Recipient] = field(default_factory=list)
    accounts: dict[str, int] = field(default_factory=dict)
    """Whose the recipients are, by their address, where they are people here."""


@dataclass(frozen=True)
class Envelope:
    """What is known of a message from its connection: the client's IP address and name, and the reverse-path."""

    peer: str
    helo: str
    sender: str


class Role(Protocol):
    """What a listener offers, whom it takes mail from and for, and what becomes of it."""

    @property
    def commands(self) -> Mapping[str, Command]:
        """Commands besides those that every conversation has."""

    @property
    def mail_parameters(self) -> Mapping[str, grammar.Check]:
        """Parameters of MAIL besides SIZE, BODY and SMTPUTF8, and how their values are checked."""

    @property
    def rcpt_parameters(self) -> Mapping[str, grammar.Check]:
        """Parameters of RCPT, and how their values are checked."""

    def extensions(self, conversation: "Conversation") -> Sequence[str]:
        """Return what EHLO offers besides what every conversation does."""

    async def admit_sender(self, conversation: "Conversation", asked: grammar.Mail) -> None:
        """Let a mail transaction begin. Raises Refused."""

    async def admit_recipient(
        self, conversation: "Conversation", transaction: MailTransaction, asked: Recipient
    ) -> None:
        """Add a recipient to a transaction. Raises Refused."""

    async def take(self, conversation: "Conversation", transaction: MailTransaction, message: bytes) -> str:
        """Take responsibility for a message: once a positive reply is returned, it is on disk. Raises Refused."""
