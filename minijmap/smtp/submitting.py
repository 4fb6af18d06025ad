"""The role of the submission listener: mail from people here, for anybody (RFC 6409).

Owns who may hand mail in (nobody who has not signed in), from which addresses and to whom, and the reply to each
refusal. What becomes of a message is `mail.handingin`'s, how somebody signs in `auth`'s.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, TypeVarTuple

from minijmap.aio import LoopThread
from minijmap.config import Settings
from minijmap.jmap import dates
from minijmap.jmap.errors import SetError
from minijmap.mail import handingin
from minijmap.mail.addressing import Senders
from minijmap.mail.capability import LONGEST_HOLD
from minijmap.mail.submissionenvelope import MOST_RECIPIENTS, release_time
from minijmap.setting_kinds import Address
from minijmap.signin import Doorkeeper, Proof, TooEarly, Wrong, client_of
from minijmap.smtp import auth, grammar, parameters, trace
from minijmap.smtp.grammar import Recipient, Refused
from minijmap.smtp.listener import Listener
from minijmap.smtp.recipients import POSTMASTER
from minijmap.smtp.role import Command, MailTransaction
from minijmap.smtp.service import Limits, Service, is_loopback
from minijmap.store.database import Database, Reader, Transaction
from minijmap.store.usage import OverQuota

if TYPE_CHECKING:
    from minijmap.smtp.conversation import Conversation

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
LIMITS = Limits(recipients=MOST_RECIPIENTS, errors=10)
SIGN_INS_AT_ONCE = 2
"""Passwords that may be hashed for this listener: its other threads stay free for those who have signed in."""
SIGN_IN_FIRST = "530 5.7.0 Sign in first, with AUTH"
TLS_FIRST = "530 5.7.0 Issue a STARTTLS command first"

log = logging.getLogger(__name__)

REPLIES = {
    "forbiddenFrom": "550 5.7.1",
    "forbiddenMailFrom": "550 5.7.1",
    "forbiddenToSend": "452 4.3.1",
    "invalidEmail": "550 5.6.0",
    "invalidProperties": "501 5.5.4",
    "invalidRecipients": "553 5.1.3",
    "overQuota": "552 5.2.2",
    "tooLarge": "552 5.3.4",
    "tooManyRecipients": "452 4.5.3",
}
"""The codes for what a JMAP client is told as a SetError of this type (RFC 8621 §7.5)."""


class Stale(Refused):
    """What somebody has signed in with was changed or revoked since."""

    def __init__(self) -> None:
        super().__init__("530 5.7.0 What you have signed in with is no longer valid: sign in again")


class Submission:
    """Takes mail from users, to be sent."""

    mail_parameters: ClassVar[Mapping[str, grammar.Check]] = parameters.MAIL
    rcpt_parameters: ClassVar[Mapping[str, grammar.Check]] = parameters.RCPT

    def __init__(self, service: Service, database: Database, doorkeeper: Doorkeeper) -> None:
        self._service = service
        self._database = database
        self._doorkeeper = doorkeeper
        self._senders = Senders(service.recipients)
        self._signing_in = asyncio.Semaphore(SIGN_INS_AT_ONCE)
        self.commands: Mapping[str, Command] = {"AUTH": self.sign_in}

    def extensions(self, conversation: "Conversation") -> Sequence[str]:
        """Offer what the queue can do, and AUTH where a password may be said aloud (RFC 4954 §3, RFC 4865 §3)."""
        latest = dates.format_utc_date((int(self._service.clock()) + LONGEST_HOLD) * 1000)
        offers = ["DSN", f"FUTURERELEASE {LONGEST_HOLD} {latest}"]
        if conversation.is_secure:
            offers.append("REQUIRETLS")  # RFC 8689 §2: under TLS alone
        return [*offers, f"AUTH {' '.join(auth.MECHANISMS)}"] if _is_private(conversation) else offers

    # Who

    async def sign_in(self, conversation: "Conversation", argument: str) -> str:
        """Find out who the client is (RFC 4954 §4)."""
        if not conversation.is_extended:
            raise Refused("503 5.5.1 EHLO comes first")
        if conversation.proof is not None:
            raise Refused("503 5.5.1 You have signed in already")
        if conversation.in_transaction:
            raise Refused("503 5.5.1 A mail transaction is open already")
        if not _is_private(conversation):
            raise Refused("538 5.7.11 Not without TLS: issue a STARTTLS command first")
        given = await auth.credentials(conversation, argument)
        client = client_of(conversation.peer)
        try:
            async with self._signing_in:
                proof = await self._service.run(self._doorkeeper.by_name, *given, lambda: client)
        except Wrong as error:
            log.warning("A sign-in from %s by SMTP failed", conversation.peer)
            raise Refused(f"535 5.7.8 {error}") from None
        except TooEarly as error:
            raise Refused(f"454 4.7.0 {error}") from None
        conversation.proof = proof
        return "235 2.7.0 Signed in"

    async def admit_sender(self, conversation: "Conversation", asked: grammar.Mail) -> None:
        """Let users send, from their own addresses (RFC 6409 §6.1). Raises Refused."""
        if "REQUIRETLS" in asked.parameters and not conversation.is_secure:
            raise Refused("555 5.5.4 REQUIRETLS is for sessions under TLS")
        await self._for_user(conversation, self._check_sender, asked)

    def _check_sender(self, proof: Proof, asked: grammar.Mail) -> None:
        with self._database.read() as reader:
            _check_proof(reader, proof)
            try:
                handingin.check_sender(reader, self._senders, proof.user.account, asked.sender)
                release_time(_envelope(asked.sender, asked.parameters, ()), self._now())
            except SetError as error:
                raise _refused(error) from None

    async def admit_recipient(
        self, conversation: "Conversation", transaction: MailTransaction, asked: Recipient
    ) -> None:
        """Add a recipient: anybody elsewhere, and whoever there is here. Raises Refused."""
        transaction.recipients.append(await self._for_user(conversation, self._recipient, asked))

    def _recipient(self, proof: Proof, asked: Recipient) -> Recipient:
        recipients = self._service.recipients
        with self._database.read() as reader:
            _check_proof(reader, proof)
            user = recipients.find(reader, asked.address)
            if user is None and recipients.is_ours(reader, asked.address):
                raise Refused("550 5.1.1 Nobody here has this address")
        if user is not None and "@" not in asked.address:
            # RFC 5321 §4.5.1: postmaster may come without a domain, and the queue has none without.
            return Recipient(f"{POSTMASTER}@{user.address.rpartition('@')[2]}", asked.parameters)
        return asked

    async def _for_user(
        self,
        conversation: "Conversation",
        job: Callable[[Proof, *Arguments], T],
        *arguments: *Arguments,
    ) -> T:
        """Do something for whoever has signed in: the one way to do anything here. Raises Refused."""
        proof = conversation.proof
        if proof is None:
            raise Refused(SIGN_IN_FIRST if _is_private(conversation) else TLS_FIRST)
        try:
            return await self._service.run(job, proof, *arguments)
        except Stale:
            conversation.proof = None
            raise

    # What

    async def take(self, conversation: "Conversation", transaction: MailTransaction, message: bytes) -> str:
        """Put a message into Sent and into the queue. Raises Refused."""
        protocol = trace.protocol(
            extended=True, tls=conversation.is_secure, utf8=transaction.utf8, signed_in=conversation.proof is not None
        )
        key = await self._for_user(conversation, self._send, transaction, message, protocol)
        log.info("Message q%d of %d octets submitted by SMTP", key, len(message))
        return f"250 2.0.0 Queued as q{key}"

    def _send(self, proof: Proof, transaction: MailTransaction, message: bytes, protocol: str) -> int:
        now = self._now()
        read = handingin.read(message, now=now, message_id=f"{secrets.token_hex(16)}@{self._service.hostname}")
        envelope = _envelope(transaction.sender, transaction.parameters, transaction.recipients)

        def job(tx: Transaction) -> int:
            _check_proof(tx, proof)
            return handingin.send(tx, self._senders, proof.user.account, read, envelope, now, protocol)

        try:
            return self._database.write(job)
        except SetError as error:
            raise _refused(error) from None
        except OverQuota as error:
            # The copy in Sent is the user's: without room for it nothing is sent.
            raise _refused(SetError(SetError.OVER_QUOTA, str(error))) from None

    def _now(self) -> int:
        return int(self._service.clock() * 1000)


def submission_listener(
    settings: Settings,
    database: Database,
    doorkeeper: Doorkeeper,
    address: Address,
    clock: Callable[[], float] = time.time,
    *,
    limits: Limits = LIMITS,
    loop_thread: LoopThread | None = None,
) -> Listener:
    """Return a listener in this role; nothing is opened yet."""
    if settings.tls_certificate is None and address.host != "localhost" and not is_loopback(address.host):
        log.warning("Nobody elsewhere can sign in for submission on %s: set tls_certificate.", address)
    return Listener(
        settings,
        database,
        clock,
        address=address,
        role=lambda service: Submission(service, database, doorkeeper),
        limits=limits,
        loop_thread=loop_thread,
    )


def _is_private(conversation: "Conversation") -> bool:
    """Say whether nobody in between can read along."""
    return conversation.is_secure or is_loopback(conversation.peer)


def _check_proof(reader: Reader, proof: Proof) -> None:
    """Raise Stale if what somebody has signed in with is no longer good for it."""
    if not proof.holds(reader):
        raise Stale


def _envelope(
    sender: str, sender_parameters: Mapping[str, str | None], recipients: Sequence[Recipient]
) -> dict[str, Any]:
    """Return an Envelope (RFC 8621 §7)."""
    return {
        "mailFrom": {"email": sender, "parameters": parameters.in_envelope(sender_parameters)},
        "rcptTo": [{"email": one.address, "parameters": parameters.in_envelope(one.parameters)} for one in recipients],
    }


def _refused(error: SetError) -> Refused:
    """Return the refusal that says by SMTP what a SetError says by JMAP; a reply is ASCII (RFC 5321 §4.2)."""
    sentence = (error.description or "This can't be done.").translate({0x201C: '"', 0x201D: '"'})
    return Refused(f"{REPLIES.get(error.error_type, '554 5.0.0')} {sentence.encode('ascii', 'replace').decode()}")
