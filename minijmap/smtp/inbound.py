"""The role of the inbound listener: mail from other servers, for people here and for nobody else (RFC 5321 §3.1).

Owns who may be a recipient, the trace that a message gets, and that a 250 follows its commit. Relays none.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from minijmap.smtp import authresults, grammar, trace
from minijmap.smtp.grammar import Recipient, Refused
from minijmap.smtp.role import Command, Envelope, MailTransaction
from minijmap.smtp.service import Service

if TYPE_CHECKING:
    from minijmap.sieve.arrival import Arriving
    from minijmap.smtp.conversation import Conversation
    from minijmap.smtp.policy import Verdict

log = logging.getLogger(__name__)


class Inbound:
    """Takes mail for the users' addresses."""

    commands: ClassVar[Mapping[str, Command]] = {}
    mail_parameters: ClassVar[Mapping[str, grammar.Check]] = {}
    rcpt_parameters: ClassVar[Mapping[str, grammar.Check]] = {}

    def __init__(self, service: Service) -> None:
        self._service = service

    def extensions(self, _conversation: "Conversation") -> Sequence[str]:
        """Offer nothing more."""
        return ()

    async def admit_sender(self, conversation: "Conversation", asked: grammar.Mail) -> None:
        """Take mail from anybody, within reason."""
        if not self._service.abuse.sends(conversation.peer, asked.sender):
            raise Refused("451 4.7.1 Too many messages of this sender, try again later")

    async def admit_recipient(
        self, conversation: "Conversation", transaction: MailTransaction, asked: Recipient
    ) -> None:
        """Add a recipient: one of ours, since nothing is relayed (RFC 5321 §4.1.1.3). Strangers may have to wait."""
        user, is_full = await self._service.find(asked.address)
        if user is None:
            raise Refused("550 5.1.1 Nobody here has this address")
        if is_full:
            raise Refused("452 4.2.2 The mailbox is full, try again later")
        if seconds := await self._service.wait(conversation.peer, transaction.sender, user.account):
            raise Refused(f"451 4.7.1 Come back in {seconds} seconds")
        transaction.recipients.append(asked)
        transaction.accounts[asked.address] = user.account

    async def take(self, conversation: "Conversation", transaction: MailTransaction, message: bytes) -> str:
        """Store a message for all its recipients at once. Only a commit on disk is answered with 250."""
        received_at = self._service.clock()
        trace_id = secrets.token_hex(8)
        verdict = await self._judge(conversation, transaction, message)
        if verdict is not None and verdict.action == "reject":
            log.info("Message %s from %s refused: %s", trace_id, conversation.peer, verdict.sentence)
            raise Refused(verdict.refusal())
        found = b"" if verdict is None else verdict.fields(self._service.hostname)
        is_junk = verdict is not None and verdict.is_junk
        raw = self._trace(conversation, transaction, trace_id, received_at, found)
        raw += authresults.without_ours(message, self._service.hostname)
        try:
            arriving = _arriving(conversation, transaction, raw, received_at, is_junk=is_junk)
            refused = await self._service.deliver(arriving)
        except Exception:
            log.exception("Message %s could not be stored", trace_id)
            return "451 4.3.0 The message could not be stored, try again later"
        if refused:
            log.info("Message %s from %s refused by its recipients: %s", trace_id, conversation.peer, refused)
            raise Refused(refused, is_offence=False)
        log.info("Message %s of %d octets from %s accepted", trace_id, len(message), conversation.peer)
        return f"250 2.6.0 Message accepted as {trace_id}"

    async def _judge(
        self, conversation: "Conversation", transaction: MailTransaction, message: bytes
    ) -> "Verdict | None":
        envelope = Envelope(conversation.peer, conversation.helo_name, transaction.sender)
        try:
            return await self._service.judge(envelope, message)
        except Exception:
            # What we can't judge is mail all the same.
            log.exception("A message from %s could not be judged", conversation.peer)
            return None

    def _trace(
        self,
        conversation: "Conversation",
        transaction: MailTransaction,
        trace_id: str,
        received_at: float,
        found: bytes,
    ) -> bytes:
        return trace.fields(
            trace.Arrival(
                sender=transaction.sender,
                # RFC 5321 §7.2: naming several would tell each of them about the others.
                recipient=transaction.recipients[0].address if len(transaction.recipients) == 1 else None,
                helo=conversation.helo_name,
                peer=conversation.peer,
                protocol=trace.protocol(
                    extended=conversation.is_extended, tls=conversation.is_secure, utf8=transaction.utf8
                ),
                hostname=self._service.hostname,
                trace_id=trace_id,
                received_at=received_at,
            ),
            found,
        )


def _arriving(
    conversation: "Conversation", transaction: MailTransaction, raw: bytes, received_at: float, *, is_junk: bool
) -> "Arriving":
    from minijmap.sieve import arrival

    recipients = dict.fromkeys(
        arrival.Recipient(transaction.accounts[one.address], one.address) for one in transaction.recipients
    )
    return arrival.Arriving(
        raw,
        transaction.sender,
        tuple(recipients),
        int(received_at * 1000),
        is_junk=is_junk,
        peer=conversation.peer,
        helo=conversation.helo_name,
    )
