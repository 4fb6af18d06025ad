"""What an attempt to send means: recipients struck off or tried later, the submission, and what the sender is told.

Owns all that is written once a server has answered, in one transaction: so the end of an attempt is known wholly or not
at all (see `mail.queue`). Must not know how a server is spoken to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from minijmap.mail import ingest, outgoing, queue, reports, submission
from minijmap.mail.queue import Queued, Recipient
from minijmap.smtp import bounces
from minijmap.smtp.bounces import FAILED, RELAYED, Notice, Verdict
from minijmap.smtp.client import Reply
from minijmap.smtp.recipients import Recipients
from minijmap.store import blobs, documents
from minijmap.store.database import Database, Transaction

EXPIRED = "4.4.7"  # RFC 3463 §3.5
"""The status of a recipient for whom the time is up."""


@dataclass(frozen=True)
class Schedule:
    """When a recipient is tried again: after these seconds, the last of them repeating, until this many have passed."""

    retry_seconds: tuple[int, ...]
    give_up_after: int

    def next_attempt(self, attempts: int, release_at: int, now: int) -> int | None:
        """Return when to try again after so many attempts, or None: the time is up. All in milliseconds."""
        end = release_at + self.give_up_after * 1000
        if now >= end:
            return None
        wait = self.retry_seconds[min(attempts, len(self.retry_seconds) - 1)]
        return min(now + wait * 1000, end)


@dataclass(frozen=True)
class Answers:
    """What a server has answered: a reply for each recipient's key. `server` is its name, "" when there was none."""

    replies: Mapping[int, Reply]
    server: str
    has_dsn: bool


class _Changed(Exception):
    """Somebody has taken a recipient out meanwhile."""


class Outcomes:
    """Writes down how attempts ended."""

    def __init__(self, database: Database, recipients: Recipients, hostname: str, schedule: Schedule) -> None:
        self._database = database
        self._recipients = recipients
        self._hostname = hostname
        self._schedule = schedule

    def settle(self, message: Queued, answers: Answers, now: int) -> None:
        """Write down what became of the recipients that were answered for. `now` in milliseconds."""
        while True:
            with self._database.read() as reader:
                there = queue.still_there(reader, message.recipients)
            answered = [one for one in message.recipients if one.key in answers.replies and one.key in there]
            if not answered:
                return
            result = self._result(message, answered, answers, now)
            notice = self._notice(message, result, now)
            try:
                self._database.write(lambda tx: self._write(tx, message, result, notice, now))  # noqa: B023 - at once
            except _Changed:
                continue
            return

    def _result(self, message: Queued, answered: Sequence[Recipient], answers: Answers, now: int) -> "_Result":
        result = _Result([], [], [], [])
        for one in answered:
            reply = answers.replies[one.key]
            if reply.kind == 2:
                result.relayed.append((one, reply))
                continue
            until = None if reply.kind == 5 else self._schedule.next_attempt(one.attempts, message.release_at, now)
            if until is not None:
                result.later.append((one, reply, until))
                continue
            result.failed.append((one, reply))
            status = reply.status if reply.kind == 5 else EXPIRED
            if bounces.wanted(one, FAILED):
                result.verdicts.append(Verdict(one, FAILED, status, reply.text, answers.server))
        if not answers.has_dsn:  # RFC 3461 §5.2.2: nobody else will tell
            result.verdicts.extend(
                Verdict(one, RELAYED, reply.status, reply.text, answers.server)
                for one, reply in result.relayed
                if bounces.wanted(one, RELAYED)
            )
        return result

    def _notice(self, message: Queued, result: "_Result", now: int) -> ingest.ParsedEmail | None:
        """Return what the sender is told, or None: nothing, or nobody is to be told (RFC 5321 §4.5.5)."""
        if not message.sender or not result.verdicts:
            return None
        with self._database.read() as reader:
            raw = blobs.read(reader, message.blob)
        return notification(message, result.verdicts, raw, self._hostname, now)

    def _write(
        self, tx: Transaction, message: Queued, result: "_Result", notice: ingest.ParsedEmail | None, now: int
    ) -> None:
        every = result.every
        if len(queue.still_there(tx, every)) != len(every):
            raise _Changed
        for one, reply, until in result.later:
            queue.postpone(tx, [one], until, reply.text)
        gone = [one for one, _ in (*result.relayed, *result.failed)]
        if gone:
            queue.done(tx, message, gone)
        over = tx.value("SELECT 1 FROM queue_message WHERE key = ?", (message.key,)) is None
        submission.report(
            tx, message.account, message.submission, result.statuses(), final=bool(result.relayed) or over
        )
        if notice is not None:
            tell(tx, self._recipients, message, notice, now)


def notification(
    message: Queued, verdicts: Sequence[Verdict], raw: bytes, hostname: str, now: int
) -> ingest.ParsedEmail:
    """Return what the sender of a message is told; `raw` is the message as it was stored."""
    own_id = outgoing.message_id(message.queued_at, f"q{message.key}", hostname)
    left = outgoing.with_crlf(outgoing.leaving(raw, sent_at=message.release_at, message_id=own_id))
    notice = Notice(message.sender, message.parameters, verdicts, left, hostname, message.queued_at, now)
    return ingest.parse(bounces.compose(notice))


def tell(tx: Transaction, recipients: Recipients, message: Queued, notice: ingest.ParsedEmail, now: int) -> None:
    """Bring a notification to the sender: into the Inbox and to the submission, or on its way elsewhere."""
    user = recipients.find(tx, message.sender)
    blob = blobs.store(tx, notice.blob)
    if user is None:
        queue.put(tx, message.account, blob, _NOBODY, {message.sender: {}}, now=now, release_at=now)
        return
    # Who has no room left is told all the same that their letter did not arrive.
    ingest.arrive(tx, notice, [user.account], now, enforced=False)
    key = message.submission
    document = None if key is None else documents.load(tx, submission.SUBMISSIONS, message.account, key)
    if key is None or document is None or user.account != message.account:
        return
    if reports.attach(tx, message.account, key, document, "dsnBlobIds", blob):
        documents.update(tx, submission.SUBMISSIONS, message.account, key, document)


_NOBODY = {"email": "", "parameters": None}


@dataclass(frozen=True)
class _Result:
    relayed: list[tuple[Recipient, Reply]]
    failed: list[tuple[Recipient, Reply]]
    later: list[tuple[Recipient, Reply, int]]
    verdicts: list[Verdict]

    @property
    def every(self) -> list[Recipient]:
        """Return all recipients that something became of."""
        return [each[0] for group in (self.relayed, self.failed, self.later) for each in group]

    def statuses(self) -> dict[str, dict[str, str]]:
        """Return address → DeliveryStatus (RFC 8621 §7)."""
        groups = (
            (self.relayed, "unknown"),
            (self.failed, "no"),
            ([(one, reply) for one, reply, _ in self.later], "queued"),
        )
        return {
            one.address: {"smtpReply": reply.text, "delivered": delivered, "displayed": "unknown"}
            for group, delivered in groups
            for one, reply in group
        }
