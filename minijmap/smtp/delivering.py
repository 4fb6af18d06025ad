"""Delivering a message of the queue to the mailboxes here, and showing its other recipients their way.

Owns what makes it happen exactly once: the Emails of all recipients, their rows in the queue and what the submission
says of them change in one transaction. A recipient without a mailbox here is left in the queue, to be sent outside, or
is captured (see `capture`). Must not know when it happens: that is `delivery`'s. Loaded with the first message.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from minijmap.mail import outgoing, queue, reports, submission
from minijmap.mail.queue import Queued, Recipient
from minijmap.sieve import arrival
from minijmap.sieve.arrival import Arrivals, Arriving, Read, Refusal
from minijmap.smtp import bounces, capture, outcome, refusing, trace
from minijmap.smtp.bounces import Verdict
from minijmap.smtp.recipients import Recipients
from minijmap.store import blobs
from minijmap.store.database import Database, Reader, Transaction

_DSN: Final = frozenset(("NOTIFY", "ORCPT", "RET", "ENVID"))


@dataclass(frozen=True)
class Plan:
    """A message that is due, and where each of its recipients is: the account here, or None."""

    message: Queued
    places: tuple[tuple[Recipient, int | None], ...]

    @property
    def here(self) -> tuple[Recipient, ...]:
        """Return the recipients that have a mailbox here."""
        return tuple(recipient for recipient, account in self.places if account is not None)

    @property
    def outside(self) -> tuple[Recipient, ...]:
        """Return the recipients that have none."""
        return tuple(recipient for recipient, account in self.places if account is None)

    @property
    def arrivals(self) -> tuple[arrival.Recipient, ...]:
        """Return the recipients here as their mail arrives: by account and address."""
        return tuple(
            arrival.Recipient(account, one.address, _dsn({**self.message.parameters, **one.parameters}))
            for one, account in self.places
            if account is not None
        )


def _dsn(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return what the sender of a message asked about notifications (RFC 3461 §4), by names in lower case."""
    return {name.lower(): str(value) for name, value in parameters.items() if name.upper() in _DSN and value}


class Deliverer:
    """Delivers one message at a time."""

    def __init__(
        self,
        database: Database,
        recipients: Recipients,
        hostname: str,
        clock: Callable[[], float],
        *,
        capturing: bool = False,
    ) -> None:
        """`hostname` is what the trace says; `clock` gives seconds since the epoch, as `time.time` does.

        With `capturing` nothing is ever sent outside.
        """
        self._database = database
        self._recipients = recipients
        self._arrivals = Arrivals(recipients, hostname)
        self._hostname = hostname
        self._clock = clock
        self._capturing = capturing

    def deliver(self, key: int, now: int) -> bool:
        """Deliver one message to all its recipients here, and give the others their way.

        `now` is in milliseconds: what is due later is left alone. Says whether anything is to be sent outside now.
        """
        with self._database.read() as reader:
            plan = self._plan(reader, key, now)
            if plan is None:
                return False
            raw = blobs.read(reader, plan.message.blob) if plan.here or self._capturing else b""
        # Reading the message takes time, and needs no transaction.
        read = self._read(plan, raw) if plan.here else None
        captured = capture.parse(plan.message, plan.outside, raw, self._hostname) if self._capturing else None

        def job(tx: Transaction) -> bool:
            # Canceled meanwhile, or a user has come or gone: if anything is left to do, it is still due.
            if self._plan(tx, key, now) != plan:
                return False
            at = int(self._clock() * 1000)
            if captured is not None:
                capture.store(tx, plan.message, plan.outside, captured, at)
            else:
                queue.send_outside(tx, plan.outside)
            if read is not None:
                refused = self._settle(tx, plan, read)
                self._tell(tx, plan, refused, raw, at)
            return bool(plan.outside) and captured is None

        return self._database.write(job)

    def _plan(self, reader: Reader, key: int, now: int) -> Plan | None:
        message = queue.load(reader, key, now)
        if message is None or not message.recipients:
            return None
        places = []
        for recipient in message.recipients:
            user = self._recipients.find(reader, recipient.address)
            places.append((recipient, None if user is None else user.account))
        return Plan(message, tuple(places))

    def _read(self, plan: Plan, raw: bytes) -> Read:
        """Read the message as the mailboxes here get it."""
        message = plan.message
        arriving = Arriving(self._arriving(plan, raw), message.sender, plan.arrivals, int(self._clock() * 1000))
        read = self._arrivals.read(arriving)
        self._arrivals.warm(self._database, read)
        return read

    def _settle(self, tx: Transaction, plan: Plan, read: Read) -> dict[str, Refusal]:
        """Write everything that delivering to the mailboxes here means; return who refuses it, and why."""
        message = plan.message
        settled = self._arrivals.settle(tx, read)
        refused = {one.recipient.address: one.refusal for one in settled.outcomes if one.refusal is not None}
        own_id = (read.parsed.listed["messageId"] or [""])[0]
        reports.remember(tx, message.account, message.submission, message_id=own_id)
        statuses = {one.address: submission.DELIVERED for one in plan.here if one.address not in refused}
        statuses |= {
            address: {"smtpReply": refusing.line(refusal), "delivered": "no", "displayed": "unknown"}
            for address, refusal in refused.items()
        }
        submission.report(tx, message.account, message.submission, statuses, final=True)
        queue.done(tx, message, plan.here)
        return refused

    def _tell(self, tx: Transaction, plan: Plan, refused: Mapping[str, Refusal], raw: bytes, now: int) -> None:
        """Tell the sender who has refused it, and who has it, as far as the sender wants to know (RFC 3461 §5.2)."""
        verdicts = []
        for one in plan.here if plan.message.sender else ():
            refusal = refused.get(one.address)
            if refusal is None and bounces.wanted(one, bounces.DELIVERED):
                verdicts.append(Verdict(one, bounces.DELIVERED, "2.1.5", submission.DELIVERED["smtpReply"], ""))
            elif refusal is not None and bounces.wanted(one, bounces.FAILED):
                verdicts.append(Verdict(one, bounces.FAILED, refusal.status, refusing.line(refusal), ""))
        if verdicts:
            notice = outcome.notification(plan.message, verdicts, raw, self._hostname, now)
            outcome.tell(tx, self._recipients, plan.message, notice, now)

    def _arriving(self, plan: Plan, raw: bytes) -> bytes:
        """Return the message as the mailboxes here get it: with its trace, without Bcc (RFC 5321 §4.4)."""
        message, name = plan.message, f"q{plan.message.key}"
        arrival = trace.Arrival(
            sender=message.sender,
            # RFC 5321 §7.2: naming several would tell each of them about the others.
            recipient=plan.here[0].address if len(plan.here) == 1 else None,
            helo=None,
            peer=None,
            protocol=message.protocol,
            hostname=self._hostname,
            trace_id=name,
            received_at=self._clock(),
        )
        message_id = outgoing.message_id(message.queued_at, name, self._hostname)
        return trace.fields(arrival) + outgoing.leaving(raw, sent_at=message.release_at, message_id=message_id)
