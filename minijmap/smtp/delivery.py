"""The worker that takes messages out of the queue and delivers those for mailboxes here.

Owns when that happens, and what makes it happen exactly once: the Emails of all recipients, their rows in the queue
and what the submission says of them change in one transaction. A recipient without a mailbox here is left in the
queue, to be sent outside, or is captured (see `capture`). Must not know who submits, nor how mail leaves this server.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from minijmap.mail import ingest, outgoing, queue, reports, submission
from minijmap.mail.ingest import ParsedEmail
from minijmap.mail.queue import Queued, Recipient
from minijmap.smtp import bounces, capture, outcome, trace
from minijmap.smtp.bounces import Verdict
from minijmap.smtp.recipients import Recipients
from minijmap.store import blobs
from minijmap.store.database import Changes, Database, Reader, StoreClosed, Transaction

LONGEST_WAIT = 60.0
"""Seconds to sleep at most while something is held: a clock may be set, a computer may have slept."""
FIRST_RETRY, LONGEST_RETRY = 60, 3600
"""Seconds after which something that has failed is tried again; each time after twice as long."""
BATCH = 100
STOP_SECONDS = 4.0

log = logging.getLogger(__name__)


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
    def accounts(self) -> list[int]:
        """Return the accounts that get the message, each once whatever its addresses."""
        return list(dict.fromkeys(account for _, account in self.places if account is not None))


class Delivery:
    """The worker. Has a thread of its own from `start` to `stop`; `run_due` does the work, and may be called alone."""

    def __init__(
        self,
        database: Database,
        recipients: Recipients,
        hostname: str,
        clock: Callable[[], float] = time.time,
        *,
        on_outside: Callable[[], None] = lambda: None,
        capturing: bool = False,
    ) -> None:
        """`hostname` is what the trace says; `clock` gives seconds since the epoch, as `time.time` does.

        `on_outside` is called when there is something to be sent outside; with `capturing` nothing ever is.
        """
        self._database = database
        self._recipients = recipients
        self._hostname = hostname
        self._clock = clock
        self._on_outside = on_outside
        self._capturing = capturing
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="minijmap-delivery", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier run has left in the queue."""
        if self._capturing:
            self._database.write(queue.look_again)
        self._thread.start()

    def wake(self) -> None:
        """Look into the queue now. Does not wait."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the message at hand and end."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def hear(self, changes: Changes) -> None:
        """Look into the queue when submissions have changed. Called after each commit; does not wait."""
        if any(submission.SUBMISSIONS.type_name in types for types in changes.values()):
            self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self.run_due()
                seconds = self._seconds_to_wait()
            except StoreClosed:
                return
            except Exception:
                log.exception("The queue could not be worked on; it is tried again.")
                seconds = FIRST_RETRY
            self._wake.wait(seconds)

    def _seconds_to_wait(self) -> float | None:
        """Return how long there is nothing to do, or None: until somebody submits something."""
        with self._database.read() as reader:
            at = queue.next_due(reader)
        return None if at is None else min(max(at / 1000 - self._clock(), 0), LONGEST_WAIT)

    def run_due(self) -> None:
        """Deliver everything whose time has come."""
        while not self._stopping:
            now = int(self._clock() * 1000)
            with self._database.read() as reader:
                due = queue.due(reader, now, BATCH)
            if not due:
                return
            for key in due:
                if self._stopping:
                    return
                self._try(key, now)

    def _try(self, key: int, now: int) -> None:
        try:
            self._deliver(key, now)
        except StoreClosed:
            raise
        except Exception:
            log.exception("Message q%d could not be delivered; it is tried again later.", key)
            self._database.write(lambda tx: _postpone(tx, key, now))

    def _deliver(self, key: int, now: int) -> None:
        """Deliver one message to all its recipients here, and give the others their way."""
        with self._database.read() as reader:
            plan = self._plan(reader, key, now)
            if plan is None:
                return
            raw = blobs.read(reader, plan.message.blob) if plan.here or self._capturing else b""
        # Reading the message takes time, and needs no transaction.
        parsed = ingest.parse(self._arriving(plan, raw)) if plan.here else None
        captured = capture.parse(plan.message, plan.outside, raw, self._hostname) if self._capturing else None
        notice = self._notice(plan, raw, int(self._clock() * 1000))

        def job(tx: Transaction) -> bool:
            # Canceled meanwhile, or a user has come or gone: if anything is left to do, it is still due.
            if self._plan(tx, key, now) != plan:
                return False
            at = int(self._clock() * 1000)
            _settle(tx, plan, parsed, captured, at)
            if notice is not None:
                outcome.tell(tx, self._recipients, plan.message, notice, at)
            return bool(plan.outside) and captured is None

        if self._database.write(job):
            self._on_outside()

    def _plan(self, reader: Reader, key: int, now: int) -> Plan | None:
        message = queue.load(reader, key, now)
        if message is None or not message.recipients:
            return None
        places = []
        for recipient in message.recipients:
            user = self._recipients.find(reader, recipient.address)
            places.append((recipient, None if user is None else user.account))
        return Plan(message, tuple(places))

    def _notice(self, plan: Plan, raw: bytes, now: int) -> ParsedEmail | None:
        """Return what the sender is told who wants to know that it was delivered, or None (RFC 3461 §5.2.3)."""
        reply = submission.DELIVERED["smtpReply"]
        verdicts = [
            Verdict(recipient, bounces.DELIVERED, "2.1.5", reply, "")
            for recipient in plan.here
            if plan.message.sender and bounces.wanted(recipient, bounces.DELIVERED)
        ]
        return outcome.notification(plan.message, verdicts, raw, self._hostname, now) if verdicts else None

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


def _settle(tx: Transaction, plan: Plan, parsed: ParsedEmail | None, captured: ParsedEmail | None, now: int) -> None:
    """Write everything that delivering a message means, in one transaction."""
    message = plan.message
    if captured is not None:
        capture.store(tx, message, plan.outside, captured, now)
    else:
        queue.send_outside(tx, plan.outside)
    if parsed is None:
        return
    ingest.arrive(tx, parsed, plan.accounts, now)
    own_id = (parsed.listed["messageId"] or [""])[0]
    reports.remember(tx, message.account, message.submission, message_id=own_id)
    statuses = {recipient.address: submission.DELIVERED for recipient in plan.here}
    submission.report(tx, message.account, message.submission, statuses, final=True)
    queue.done(tx, message, plan.here)


def _postpone(tx: Transaction, key: int, now: int) -> None:
    message = queue.load(tx, key, now)
    if message is None or not message.recipients:
        return
    seconds = min(FIRST_RETRY * 2 ** min(message.recipients[0].attempts, 16), LONGEST_RETRY)
    queue.postpone(tx, message.recipients, now + seconds * 1000, "451 4.3.0 Local error in processing")
