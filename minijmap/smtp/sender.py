"""The sender: takes what is due to go outside from the queue and hands it to other servers.

Owns the threads, what each of them works on, and the sessions they keep for the next message to the same server.
An attempt is written down before the first octet that can't be taken back, the dot that ends a message, and its end
right after the answer (see `mail.queue`): a process that dies in between sends again. Nothing is lost then, and a
message arrives twice only where the other server has taken it and its 250 was not yet on disk here, which no sender can
rule out (RFC 5321 §4.1.1.4 asks servers to keep that time short). Such a message has the same Message-ID both times.
"""

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from minijmap.mail import queue, reports, submission
from minijmap.mail.queue import Queued, Recipient
from minijmap.smtp.client import Lost, Reply
from minijmap.smtp.letters import Letters
from minijmap.smtp.outcome import Answers, Outcomes
from minijmap.smtp.peer import NoSession, Opener, Session
from minijmap.smtp.route import NoRoute, Route
from minijmap.smtp.transaction import MOST_RECIPIENTS, Letter, hand_over
from minijmap.store.database import Database, StoreClosed, Transaction

WORKERS = 8
"""Threads, and so connections, in all."""
WORKERS_PER_GROUP = 4
PATIENCE_SECONDS = 1.0
"""How long mail waits for one worker before its group gets more. A server that is fast needs no more, and of every
worker's message it may not be known, after a crash, whether it has arrived."""
MOST_TAKEN = 200
"""Recipients of one group that are in memory at a time."""
MOST_TAKEN_IN_ALL = 2000
KEEP_SECONDS = 5.0
"""How long a session is kept for the next message."""
SETTLE_AGAIN = (1, 5, 30, 60)
"""Seconds to wait when the end of an attempt can't be written down."""
LONGEST_WAIT = 60.0
AFTER_FAILURE = 30.0
FINISH_SECONDS, STOP_SECONDS = 2.5, 1.0
"""How long the message at hand may take when the server stops, and then its thread."""

log = logging.getLogger(__name__)


class Ways(Protocol):
    """The way outside: see `route`."""

    def group(self, domain: str) -> str:
        """Return what recipients of a domain are sent together by."""

    def find(self, group: str, *, lax: bool = False) -> Route:
        """Return the servers of a group. Raises NoRoute."""


@dataclass(frozen=True)
class Job:
    """Recipients of one message, for one transaction."""

    message: int
    recipients: tuple[int, ...]
    since: float
    """When it was taken from the queue, by the monotonic clock."""


@dataclass
class Lane:
    """What waits for the servers of one group."""

    jobs: deque[Job] = field(default_factory=deque)
    workers: int = 0
    taken: int = 0

    @property
    def wants(self) -> int:
        """Return how many workers it should have."""
        is_late = bool(self.jobs) and time.monotonic() - self.jobs[0].since >= PATIENCE_SECONDS
        return min(WORKERS_PER_GROUP if is_late else 1, len(self.jobs) + self.workers)


class Sender:
    """The worker. Has threads from `start` to `stop`; `run_due` does what is due and may be called alone."""

    def __init__(
        self,
        database: Database,
        ways: Ways,
        opener: Opener,
        letters: Letters,
        outcomes: Outcomes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds since the epoch."""
        self._database = database
        self._ways = ways
        self._opener = opener
        self._letters = letters
        self._outcomes = outcomes
        self._clock = clock
        self._wake = threading.Event()
        self._stopping = False
        self._changed = threading.Condition()
        """Guards everything below."""
        self._lanes: dict[str, Lane] = defaultdict(Lane)
        self._taken: set[int] = set()
        self._workers: set[threading.Thread] = set()
        self._sessions: set[Session] = set()
        self._thread = threading.Thread(target=self._run, name="minijmap-sender", daemon=True)

    # Life

    def start(self) -> None:
        """Begin, with what an earlier run has left in the queue."""
        self.recover()
        self._thread.start()

    def recover(self) -> None:
        """Have what an earlier run was just sending sent again."""
        for name in self._database.write(queue.recover):
            log.warning("%s was being sent when the server died. It is sent again, and may arrive twice.", name)

    def wake(self) -> None:
        """Look into the queue now. Does not wait."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the messages at hand, if that is soon, and end."""
        self._stopping = True
        self._wake.set()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._workers, FINISH_SECONDS)
            sessions, workers = list(self._sessions), list(self._workers)
        for session in sessions:
            session.client.close()
        for thread in (*workers, self._thread):
            if thread.is_alive():
                thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                now = self._now()
                self._dispatch(now)
                seconds = self._seconds_to_wait(now)
            except StoreClosed:
                return
            except Exception:
                log.exception("The queue could not be looked at; it is tried again.")
                seconds = AFTER_FAILURE
            self._wake.wait(seconds)

    def _seconds_to_wait(self, now: int) -> float | None:
        """Return how long there is nothing to do after what was due `now`, or None: until something is queued."""
        with self._changed:
            if any(lane.jobs for lane in self._lanes.values()):
                return PATIENCE_SECONDS
        with self._database.read() as reader:
            at = queue.next_outside(reader, now)
        return None if at is None else min((at - now) / 1000, LONGEST_WAIT)

    def run_due(self) -> None:
        """Send everything whose time has come, and return when that is done."""
        while not self._stopping:
            self._dispatch(self._now())
            with self._changed:
                if not self._taken:
                    return
                self._changed.wait_for(lambda: not self._taken or self._stopping)

    # Who does what

    def _dispatch(self, now: int) -> None:
        """Give what is due to the lanes, and workers to the lanes. `now` in milliseconds."""
        with self._changed:
            full = [name for name, lane in self._lanes.items() if lane.taken >= MOST_TAKEN]
            taken = set(self._taken)
        due: list[queue.Due] = []
        if len(taken) < MOST_TAKEN_IN_ALL and self._ways.group("") not in full:
            with self._database.read() as reader:
                due = queue.outside_due(reader, now, MOST_TAKEN + len(taken), full)
        found: dict[tuple[str, int], list[int]] = defaultdict(list)
        for one in due:
            if one.key not in taken:
                found[self._ways.group(one.domain), one.message].append(one.key)
        with self._changed:
            for (name, message), keys in found.items():
                lane, since = self._lanes[name], time.monotonic()
                lane.jobs += (
                    Job(message, tuple(keys[start : start + MOST_RECIPIENTS]), since)
                    for start in range(0, len(keys), MOST_RECIPIENTS)
                )
                lane.taken += len(keys)
                self._taken.update(keys)
            self._man_lanes()
            self._changed.notify_all()

    def _man_lanes(self) -> None:
        """Start workers where there is work. The caller has the lock."""
        for name, lane in self._lanes.items():
            while len(self._workers) < WORKERS and lane.workers < lane.wants:
                lane.workers += 1
                thread = threading.Thread(target=self._work, args=(name, lane), name="minijmap-send", daemon=True)
                self._workers.add(thread)
                thread.start()

    def _work(self, name: str, lane: Lane) -> None:
        """Do what waits in a lane, over one session as long as it lasts."""
        session: Session | None = None
        try:
            while (job := self._next(lane)) is not None:
                try:
                    session = self._attempt(name, lane, job, session)
                finally:
                    self._give_back(lane, [job])
        except StoreClosed:
            pass
        except Exception:
            log.exception("A sending thread has failed.")
        finally:
            self._part(session)
            with self._changed:
                lane.workers -= 1
                self._workers.discard(threading.current_thread())
                if not lane.workers and not lane.taken:
                    self._lanes.pop(name, None)
                if not self._stopping:
                    self._man_lanes()
                self._changed.notify_all()

    def _next(self, lane: Lane) -> Job | None:
        """Return the next job of a lane, waited for a little, unless others need the thread more."""

        def ready() -> bool:
            others = any(one.jobs and not one.workers for one in self._lanes.values())
            return bool(lane.jobs) or self._stopping or (others and len(self._workers) >= WORKERS)

        with self._changed:
            self._changed.wait_for(ready, KEEP_SECONDS)
            return None if self._stopping or not lane.jobs else lane.jobs.popleft()

    def _give_back(self, lane: Lane, jobs: Sequence[Job]) -> None:
        """Note that jobs are done, one way or another; what of them is still due is looked at anew."""
        with self._changed:
            for job in jobs:
                lane.taken -= len(job.recipients)
                self._taken.difference_update(job.recipients)
            low = len(self._taken) < MOST_TAKEN_IN_ALL and lane.taken <= MOST_TAKEN // 2
            self._changed.notify_all()
        if low:
            self._wake.set()

    # One message

    def _attempt(self, name: str, lane: Lane, job: Job, session: Session | None) -> Session | None:
        """Do a job; return the session for the next one, or None."""
        message = self._load(job)
        if message is None:
            return session
        try:
            letter, lax = self._letters.write(message)
            if letter.requires_tls and session is not None and not session.verified:
                self._part(session)
                session = None
            if session is None:
                session = self._open(name, letter, lax=lax)
            return self._send(name, message, letter, session, lax=lax)
        except (NoRoute, NoSession) as failure:
            self._fail(message, failure.reply)
            if not letter.requires_tls:
                self._fail_rest(lane, failure.reply)
        except StoreClosed:
            raise
        except Exception:
            log.exception("Message q%d could not be sent; it is tried again later.", message.key)
            self._fail(message, Reply.made(451, "4.3.0 Local error in processing"))
            self._part(session)
        return None

    def _load(self, job: Job) -> Queued | None:
        with self._database.read() as reader:
            message = queue.load_outside(reader, job.message, job.recipients)
        return message if message is not None and message.recipients else None

    def _send(self, name: str, message: Queued, letter: Letter, session: Session, *, lax: bool) -> Session | None:
        """Send over a session, or over a new one if it turns out to be an old one that was closed meanwhile."""
        was_used = session.used
        begun = False

        def begin(recipients: list[Recipient]) -> bool:
            nonlocal begun
            begun = self._begin(message, letter, recipients)
            return begun

        try:
            replies = hand_over(session, letter, message.recipients, begin)
            closing = any(reply.code == 421 for reply in replies.values())
        except Lost as error:
            replies = {one.key: Reply.made(451, f"4.4.2 {error}") for one in message.recipients}
            closing = True
        if closing and was_used and not begun:
            self._part(session)
            return self._send(name, message, letter, self._open(name, letter, lax=lax), lax=lax)
        self._settle(message, Answers(replies, session.host.name, "DSN" in session.client.extensions))
        if closing or session.client.connection.fileno() < 0:
            self._part(session)
            return None
        return session

    def _open(self, name: str, letter: Letter, *, lax: bool) -> Session:
        """Open a session. Raises NoRoute or NoSession."""
        session = self._opener.open(self._ways.find(name, lax=lax), strict=letter.requires_tls)
        with self._changed:
            self._sessions.add(session)
        return session

    def _part(self, session: Session | None) -> None:
        """End a session."""
        if session is not None:
            with self._changed:
                self._sessions.discard(session)
            session.client.quit()

    def _begin(self, message: Queued, letter: Letter, recipients: Sequence[Recipient]) -> bool:
        """Write down that a message is about to be handed over, unless somebody was faster to take it back."""
        if self._stopping:
            return False
        now = self._now()

        def job(tx: Transaction) -> bool:
            if not queue.begin(tx, message, recipients, now, letter.signature):
                return False
            account, key = message.account, message.submission
            submission.report(tx, account, key, {}, final=True)
            reports.remember(tx, account, key, message_id=letter.message_id, envid=letter.envid)
            return True

        return self._database.write(job)

    def _fail(self, message: Queued, reply: Reply) -> None:
        """Write down that there was nobody to take a message."""
        self._settle(message, Answers({one.key: reply for one in message.recipients}, "", has_dsn=True))

    def _settle(self, message: Queued, answers: Answers) -> None:
        """Write down how an attempt ended. A disk that is full for a moment must not make a message arrive twice."""
        for seconds in SETTLE_AGAIN:
            try:
                self._outcomes.settle(message, answers, self._now())
            except StoreClosed:
                raise
            except Exception:
                log.exception("What became of message q%d could not be written down; it is tried again.", message.key)
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, seconds)
            else:
                return
        log.error(
            "What became of message q%d is not known in the queue: it is sent again after a restart.", message.key
        )

    def _fail_rest(self, lane: Lane, reply: Reply) -> None:
        """Have everything that waits for the same servers fail with the same reply: nobody is there to take it."""
        with self._changed:
            jobs = list(lane.jobs)
            lane.jobs.clear()
        for job in jobs:
            try:
                message = self._load(job)
                if message is not None:
                    self._fail(message, reply)
            finally:
                self._give_back(lane, [job])

    def _now(self) -> int:
        return int(self._clock() * 1000)
