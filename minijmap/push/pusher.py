"""The pusher: finds out which subscriptions have something to hear, sends it, and notes what became of it.

Owns the thread that reads and writes, and the loop on which requests are under way: many at once, few to one host, each
within its time, so that a push service that hangs delays nobody else. Everything that must outlive a restart is in the
subscriptions' rows; what is here in memory is keys and times. Must not know HTTP, nor what the messages say.
"""

import asyncio
import contextlib
import email.utils
import logging
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from minijmap.jmap.session import Access
from minijmap.push import endpoint as endpoints
from minijmap.push import subscriptions, vapid, webpush
from minijmap.push.compose import Message, compose
from minijmap.push.endpoint import Endpoint, LookUp, Unfit
from minijmap.push.parts import PushParts
from minijmap.push.post import SECONDS, Answer, NoAnswer, Poster
from minijmap.push.states import States
from minijmap.push.subscriptions import Subscription
from minijmap.store.database import Changes, Database, Reader, StoreClosed, Transaction

if TYPE_CHECKING:
    from concurrent.futures import Future

MOST_UNDER_WAY, MOST_OF_USER, MOST_TO_HOST = 64, 16, 4
"""Pushes at a time: in all, for one user, to one host."""
FIRST_RETRY, LAST_RETRY = 5_000, 3_600_000
"""Milliseconds until a failed push is tried again: doubled each time."""
LONGEST_RETRY_AFTER = 24 * 3_600_000
FIRST_GAP, LAST_GAP, TOLD_TO_SLOW_DOWN = 1_000, 16_000, 60_000
"""Milliseconds from one StateChange to the next: twice as long each time that one has waited for it meanwhile."""
LONGEST_WAIT = 60.0
AFTER_FAILURE = 30.0
STOP_SECONDS = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outside:
    """What pushing needs of the world, and a test replaces. `contact` is a mailto: or https: URI, or None."""

    look_up: LookUp
    clock: Callable[[], float] = time.time
    contact: str | None = None
    context: Callable[[], ssl.SSLContext] = ssl.create_default_context
    seconds: float = SECONDS


@dataclass(frozen=True)
class Flight:
    """A push that is under way."""

    subscription: Subscription
    message: Message
    host: str


class UnderWay:
    """How many pushes are under way: in all, for each user, to each host."""

    def __init__(self, flights: Iterable[Flight]) -> None:
        self._count, self._users, self._hosts = 0, Counter[int](), Counter[str]()
        for flight in flights:
            self.add(flight)

    def add(self, flight: Flight) -> None:
        """Count one more."""
        self._count += 1
        self._users[flight.subscription.user] += 1
        self._hosts[flight.host] += 1

    @property
    def is_full(self) -> bool:
        """Whether there may be no more of any."""
        return self._count >= MOST_UNDER_WAY

    def is_full_for(self, user: int, host: str) -> bool:
        """Say whether there may be no more of a user's to a host."""
        return self._users[user] >= MOST_OF_USER or self._hosts[host] >= MOST_TO_HOST


@dataclass(frozen=True)
class Look:
    """One look for what to send, by one snapshot at one time, in milliseconds. `accounts` are those of each user."""

    reader: Reader
    now: int
    accounts: Mapping[int, tuple[Access, ...]]
    under_way: UnderWay
    judged: dict[int, Mapping[int, int]] = field(default_factory=dict)
    """By subscription: see `compose.Composed`."""


@dataclass
class Waiting:
    """Which subscriptions are to be looked at: now, in order, with user and host where they are known, or at a time."""

    now: dict[int, tuple[int, str] | None] = field(default_factory=dict)
    later: dict[int, int] = field(default_factory=dict)

    def add(self, keys: Iterable[int]) -> None:
        """Have some looked at as soon as may be."""
        for key in keys:
            self.now.setdefault(key, None)

    def come(self, now: int) -> None:
        """Have those looked at whose time has come; in milliseconds."""
        due = [key for key, at in self.later.items() if at <= now]
        for key in due:
            del self.later[key]
        self.add(due)

    def forget(self, key: int) -> None:
        """Look at one no more, until there is news."""
        self.now.pop(key, None)
        self.later.pop(key, None)


class Pusher:
    """The worker. Has threads from `start` to `stop`."""

    def __init__(
        self, database: Database, states: States, parts: PushParts, loop: asyncio.AbstractEventLoop, outside: Outside
    ) -> None:
        """Nothing is sent before `start`. `loop` runs on a thread of its own, from before that until after `stop`."""
        self._database, self._states, self._parts, self._loop = database, states, parts, loop
        self._clock = outside.clock
        self._poster = Poster(outside.look_up, parts.private, _once(outside.context), outside.seconds)
        self._tokens = vapid.Tokens(outside.clock, outside.contact)
        self._wake = threading.Event()
        self._stopping = False
        self._lock = threading.Lock()
        self._changed: set[int] | None = None
        """Accounts in which something has changed since they were looked at; None: it may be all of them."""
        self._nobody = False
        """Whether there are no subscriptions at all: then the file is neither opened here nor looked at."""
        self._ended: deque[tuple[Flight, Future[Answer]]] = deque()
        self._waiting = Waiting()
        self._under_way: dict[int, Flight] = {}
        self._futures: set[Future[Answer]] = set()
        self._gaps: dict[int, int] = {}
        self._held: set[int] = set()
        """Those that have had something to hear, and have to wait for the end of their gap."""
        self._thread = threading.Thread(target=self._run, name="minijmap-pusher", daemon=True)

    # Life

    def start(self) -> None:
        """Begin, with what an earlier run has left."""
        with self._database.read() as reader:
            self._nobody = not subscriptions.logins(reader)
        if self._nobody:
            self._changed = set()
        self._thread.start()

    def hear(self, changes: Changes) -> None:
        """Note that something has changed. Called on the thread that has committed: does not wait."""
        with self._lock:
            if self._changed is not None:
                self._changed.update(changes)
        self._wake.set()

    def wake(self) -> None:
        """Look at all subscriptions: some are new, or changed. Does not wait."""
        with self._lock:
            self._changed = None
        self._wake.set()

    def look(self) -> None:
        """Notice that another process has replaced the VAPID key. Called after commits, some seconds later."""
        with self._database.read() as reader:
            self._parts.announced.refresh(reader)

    def stop(self) -> None:
        """End. What is under way is given up, and pushed again after the next start."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        for future in list(self._futures):
            future.cancel()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                seconds = self._turn()
            except StoreClosed:
                return
            except Exception:
                log.exception("Pushing has failed; it is tried again.")
                seconds = AFTER_FAILURE
            self._wake.wait(seconds)
        with contextlib.suppress(StoreClosed):
            self._settle()

    def _turn(self) -> float:
        """Do what there is to do now; return for how many seconds there is nothing."""
        self._settle()
        now = self._now()
        self._gather(now)
        self._send(now)
        until = min(self._waiting.later.values(), default=None)
        return LONGEST_WAIT if until is None else min(max((until - self._now()) / 1000, 0.0), LONGEST_WAIT)

    # Who has something to hear

    def _gather(self, now: int) -> None:
        """Note the subscriptions whose accounts have changed, and those whose time has come."""
        with self._lock:
            changed, self._changed = self._changed, set()
        self._waiting.come(now)
        if changed is not None and (self._nobody or not changed):
            return
        try:
            with self._database.read() as reader:
                logins = subscriptions.logins(reader)
                self._nobody = not logins
                for login in logins:
                    if changed is None or any(access.account in changed for access in login.accounts):
                        keys = subscriptions.of_user(reader, login.user.key, now)
                        # Those that wait for their time do so whatever happens meanwhile.
                        self._waiting.add(key for key in keys if changed is None or key not in self._waiting.later)
        except BaseException:
            self.wake()  # what has changed must not be forgotten
            raise

    def _send(self, now: int) -> None:
        """Send whatever may be sent at this moment."""
        if not self._waiting.now:
            return
        flights: list[Flight] = []
        with self._database.read() as reader:
            accounts = {login.user.key: login.accounts for login in subscriptions.logins(reader)}
            signers = {key.number: key for key in vapid.keys(reader)}
            look = Look(reader, now, accounts, UnderWay(self._under_way.values()))
            for key, known in list(self._waiting.now.items()):
                if look.under_way.is_full:
                    break
                if key in self._under_way:
                    del self._waiting.now[key]  # it is looked at again when that has ended
                elif known is None or not look.under_way.is_full_for(*known):
                    flight = self._prepared(key, look)
                    if flight is not None:
                        look.under_way.add(flight)
                        flights.append(flight)
        try:
            for flight in self._written_down(flights, look.judged):
                self._launch(flight, signers)
        except BaseException:
            self._waiting.add(flight.subscription.key for flight in flights)
            raise

    def _prepared(self, key: int, look: Look) -> Flight | None:
        """Return what to send to a subscription, if that can be found out: one that is in disorder harms no other."""
        try:
            return self._prepare(key, look)
        except StoreClosed:
            raise
        except Exception:
            log.exception("What to push to %s%d could not be found out.", subscriptions.PREFIX, key)
            self._waiting.forget(key)
            self._waiting.later[key] = look.now + LAST_RETRY
            return None

    def _prepare(self, key: int, look: Look) -> Flight | None:
        """Return what to send to a subscription, or None and have it wait, or be forgotten."""
        subscription = subscriptions.load(look.reader, key, look.now)
        if subscription is None or subscription.user not in look.accounts:
            self._forget(key)
            return None
        if subscription.next_attempt > look.now:
            self._postpone(subscription)
            return None
        user, host = subscription.user, _host(subscription.url)
        if look.under_way.is_full_for(user, host):
            self._waiting.now[key] = (user, host)
            return None
        mine = look.accounts[user]
        newest = self._states.newest(access.account for access in mine)
        composed = compose(look.reader, self._parts.emails, subscription, mine, newest)
        if composed.judged:
            look.judged[key] = composed.judged
        self._waiting.forget(key)
        if key in self._held:
            self._held.discard(key)
        elif not subscription.failures:
            self._gaps.pop(key, None)
        return None if composed.message is None else Flight(subscription, composed.message, host)

    def _postpone(self, subscription: Subscription) -> None:
        """Look at a subscription again when its time has come."""
        key = subscription.key
        if key not in self._held and not subscription.failures:
            self._held.add(key)
            gap = self._gaps.get(key, FIRST_GAP)
            self._gaps[key] = max(gap, min(2 * gap, LAST_GAP))
        self._waiting.forget(key)
        self._waiting.later[key] = subscription.next_attempt

    def _forget(self, key: int) -> None:
        self._waiting.forget(key)
        self._held.discard(key)
        self._gaps.pop(key, None)

    def _written_down(self, flights: list[Flight], judged: Mapping[int, Mapping[int, int]]) -> list[Flight]:
        """Write down that codes are being sent, and what mail was judged; return what to send, no code twice."""
        new = [flight.subscription.key for flight in flights if flight.message.is_verification]
        if not new and not judged:
            return flights

        def job(tx: Transaction) -> set[int]:
            for key, emails in judged.items():
                subscriptions.judged(tx, key, emails)
            return subscriptions.take_new(tx, new)

        taken = self._database.write(job)
        return [one for one in flights if not one.message.is_verification or one.subscription.key in taken]

    # Sending

    def _launch(self, flight: Flight, signers: dict[int, vapid.Key]) -> None:
        """Put a push on its way. Encrypting and signing are done here, so that the loop never waits for them."""
        subscription, message = flight.subscription, flight.message
        try:
            place = endpoints.parse(subscription.url, private=self._parts.private)
            request = self._request(place, subscription, message, signers[subscription.vapid])
        except (Unfit, KeyError, ValueError) as error:
            # The setting has changed since, or the key is gone: no push will ever be taken.
            log.warning("Push subscription %s can't be served: %s", subscription.subscription_id, type(error).__name__)
            self._database.write(lambda tx: subscriptions.destroy(tx, [subscription.key]))
            return
        if place.secure:
            self._poster.context()  # made here, not on the loop
        self._under_way[subscription.key] = flight
        future = asyncio.run_coroutine_threadsafe(self._poster.send(place, *request), self._loop)
        self._futures.add(future)
        future.add_done_callback(partial(self._end, flight))

    def _request(
        self, place: Endpoint, subscription: Subscription, message: Message, key: vapid.Key
    ) -> tuple[dict[str, str], bytes]:
        """Return header fields and body (RFC 8620 §7.2, RFC 8030 §5)."""
        left = (subscription.expires - self._now()) // 1000
        headers = {
            "TTL": str(max(min(message.ttl, left), 0)),
            "Urgency": message.urgency,
            "Authorization": self._tokens.authorization(key, place.origin),
            "Content-Type": "application/json",
        }
        if message.topic is not None:
            headers["Topic"] = message.topic
        body = message.body
        if subscription.keys is not None:
            headers["Content-Encoding"] = webpush.CONTENT_ENCODING
            body = webpush.encrypt(body, subscription.keys)
        return headers, body

    def _end(self, flight: Flight, future: "Future[Answer]") -> None:
        """Note that a push has ended. Called on the loop's thread."""
        self._ended.append((flight, future))
        self._wake.set()

    # What became of it

    def _settle(self) -> None:
        """Write down how pushes have ended, all in one transaction; then look at their subscriptions again."""
        ended = []
        while self._ended:
            ended.append(self._ended.popleft())
        if not ended:
            return
        now = self._now()
        steps = [step for flight, future in ended if (step := self._step(flight, future, now)) is not None]

        def job(tx: Transaction) -> None:
            for step in steps:
                step(tx)

        try:
            if steps:
                self._database.write(job)
        finally:
            for flight, future in ended:
                self._futures.discard(future)
                self._under_way.pop(flight.subscription.key, None)
                self._waiting.add([flight.subscription.key])

    def _step(self, flight: Flight, future: "Future[Answer]", now: int) -> Callable[[Transaction], object] | None:
        """Return what to write down about a push that has ended."""
        subscription, message, key = flight.subscription, flight.message, flight.subscription.key
        if future.cancelled():
            return None
        failure = future.exception()
        answer = Answer(0) if failure is not None else future.result()
        if answer.status in (404, 410):  # RFC 8030 §7.3
            log.info("Push subscription %s is gone at its push service.", subscription.subscription_id)
            return lambda tx: subscriptions.destroy(tx, [key])
        if 200 <= answer.status < 300:
            gap = self._gap(key, message)
            return lambda tx: subscriptions.delivered(tx, key, message.told, now + gap)
        if failure is not None and not isinstance(failure, NoAnswer):
            log.error("A push has failed.", exc_info=failure)
        reason = failure or f"status {answer.status}"
        log.info("Push to %s (%s) has failed: %s", flight.host, subscription.subscription_id, reason)
        if message.is_verification:
            return None  # RFC 9749 §6: it is not sent again
        if answer.status == 429:
            self._gaps[key] = TOLD_TO_SLOW_DOWN
        wait = min(FIRST_RETRY << min(subscription.failures, 20), LAST_RETRY)
        wait = max(wait, min(_retry_after(answer, now), LONGEST_RETRY_AFTER))
        return lambda tx: subscriptions.failed(tx, key, now, now + wait)

    def _gap(self, key: int, message: Message) -> int:
        """Return for how long, after this message, nothing more is pushed; in milliseconds.

        Mail is not kept waiting by mail, but where the push service wants less of all.
        """
        gap = self._gaps.get(key, FIRST_GAP)
        return gap if message.told.states or gap >= TOLD_TO_SLOW_DOWN else 0

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _host(url: str) -> str:
    """Return what of a URL says which server it is: requests to it are counted."""
    return url.partition("://")[2].partition("/")[0].lower()


def _retry_after(answer: Answer, now: int) -> int:
    """Return for how many milliseconds an answer asks to wait (RFC 9110 §10.2.3), 0 when it says nothing sensible."""
    text = answer.retry_after or ""
    if text.isascii() and text.isdecimal():
        return int(text[:12]) * 1000
    try:
        return max(int(email.utils.parsedate_to_datetime(text).timestamp() * 1000) - now, 0)
    except (ValueError, TypeError, OverflowError):
        return 0


def _once(make: Callable[[], ssl.SSLContext]) -> Callable[[], ssl.SSLContext]:
    """Return what makes a TLS context when it is first asked for: reading the world's certificates takes a while."""
    made: list[ssl.SSLContext] = []

    def get() -> ssl.SSLContext:
        if not made:
            made.append(make())
        return made[0]

    return get
