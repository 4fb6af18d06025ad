"""The composition root: one data folder, opened; HTTP and SMTP over it, started and stopped in order.

Owns which families of types there are, how the file is opened, and what follows what. Must not know a method, a route
or a command, and prints nothing.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minijmap.aio import LoopThread
from minijmap.config import Settings
from minijmap.jmap import collation
from minijmap.jmap.engine import Engine, Limits
from minijmap.jmap.methods import Family, push_types
from minijmap.push.bus import Bus
from minijmap.push.states import States
from minijmap.setting_kinds import Address
from minijmap.signin import Doorkeeper
from minijmap.smtp.certificate import CertificateError
from minijmap.smtp.resolver import LookupFailed, Resolver
from minijmap.store import accounts, blobs, documents, limits, schema
from minijmap.store.database import Changes, Database
from minijmap.store.watch import Watch

if TYPE_CHECKING:
    from minijmap.http.serve import HttpServer
    from minijmap.mail.smimetrust import TrustStore
    from minijmap.push.parts import PushParts
    from minijmap.smtp.listener import Listener
    from minijmap.smtp.outgoing import Outgoing

FILE_NAME = "minijmap.sqlite3"
UPKEEP_SECONDS = 3600.0
KEEP_TOMBSTONES_SECONDS = 90 * 24 * 3600
STOP_SECONDS = 4.0
LOOK_UP_SECONDS = 8.0

log = logging.getLogger(__name__)


class StartError(Exception):
    """The server can't start; the sentence says why, and what to do."""


def families(
    settings: Settings | None = None, push: "PushParts | None" = None, trust: "TrustStore | None" = None
) -> Sequence[Family]:
    """Return every family of types, in the order of their migrations. Without settings there are no aliases.

    `push` is what a server's sender shares with the type that clients see; `trust`, what S/MIME is verified by, is
    shared likewise with the worker that does it.
    """
    from minijmap.blob.family import family as blob
    from minijmap.contacts.family import family as contacts
    from minijmap.mail.family import family as mail
    from minijmap.push.family import family as pushing
    from minijmap.quota.family import family as quota
    from minijmap.sieve.activity import follow_vacation
    from minijmap.sieve.family import family as sieve
    from minijmap.smtp.recipients import Recipients

    settings = settings or Settings()
    of_types = [
        mail(Recipients(settings.aliases), settings.max_message_size, follow_vacation, trust or trust_store(settings)),
        sieve(),
        contacts(),
    ]
    types = [one for family in of_types for one in family.types]
    return (*of_types, blob(types, Limits().max_size_upload), quota(types), pushing(push or push_parts(settings)))


def trust_store(settings: Settings) -> "TrustStore":
    """Return the trust anchors of S/MIME; nothing is read yet."""
    from minijmap.mail.smimetrust import TrustStore

    return TrustStore(settings.smime_trust_anchors)


def push_parts(settings: Settings) -> "PushParts":
    """Return what the types and the sender of push share."""
    from minijmap.mail.emailpush import EmailPushes
    from minijmap.push.parts import PushParts

    return PushParts(EmailPushes(), settings.push_to_private_networks)


def migrations() -> list[schema.Migration]:
    """Return every step of the schema, in order."""
    from minijmap.smtp.schema import SMTP_MIGRATIONS

    of_types = (step for family in families() for step in family.migrations)
    return [*schema.STORE_MIGRATIONS, *of_types, *SMTP_MIGRATIONS]


def prepare_connection(connection: sqlite3.Connection) -> None:
    """Register the SQL functions that queries use."""
    collation.register(connection)
    for family in families():
        if family.prepare is not None:
            family.prepare(connection)


def open_database(
    data_dir: Path,
    on_commit: Callable[[Changes], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Database:
    """Open the file of a data folder, made or brought to the newest schema if need be.

    Raises NewerFile, NotOurFile or OSError.
    """
    # What is in there is somebody's mail: nobody else on the machine reads it.
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / FILE_NAME
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    schema.migrate(path, migrations())
    return Database(path, prepare=prepare_connection, on_commit=on_commit, clock=clock)


def open_checked(path: Path) -> sqlite3.Connection:
    """Open a file as it is, with no migration, for `minijmap check`. Raises NewerFile, OlderFile or NotOurFile."""
    connection = schema.open_current(path, migrations())
    prepare_connection(connection)
    return connection


class Server:
    """A household's server. Started once, stopped once."""

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        *,
        clock: Callable[[], float] = time.time,
        prepare: Callable[[Database], None] | None = None,
        capturing: bool = False,
    ) -> None:
        """Nothing is opened yet. `prepare` gets the opened database before anybody else does.

        With `capturing` no mail leaves the machine: see `smtp.capture`.
        """
        self._settings = settings
        self._prepare = prepare
        self._capturing = capturing
        self._data_dir = data_dir
        self._clock = clock
        self.bus = Bus()
        self._push = push_parts(settings)
        self._trust = trust_store(settings)
        self._stack = contextlib.ExitStack()
        self._stopping = threading.Event()
        self._on_queued: Callable[[], None] = lambda: None
        self._upkeep = threading.Thread(target=self._run_upkeep, name="minijmap-upkeep", daemon=True)

    def start(self) -> dict[str, Address]:
        """Open the store and listen; return the bound address of each listener that is on, by its setting's name.

        Raises StartError, or what `open_database` raises; then everything is closed again.
        """
        with self._stack as opened:
            database = open_database(self._data_dir, self.bus.publish, self._clock)
            self.database = opened.enter_context(contextlib.closing(database))
            if self._prepare is not None:
                self._prepare(self.database)
            self.database.write(lambda tx: limits.set_household(tx, self._settings.quota))
            opened.callback(self._end_upkeep)
            self._upkeep.start()
            self.watch = Watch(self.database)
            self._start_push(opened)
            # One for mail in both directions: what it has learnt serves both.
            resolver = Resolver(self._settings.dns_server)
            outgoing = self._start_sending(opened, resolver)
            self._start_pusher(opened, resolver)
            self._start_smime(opened)
            try:
                bound = self._start_listeners(opened, resolver, outgoing.stop)
            except CertificateError as error:
                raise StartError(str(error)) from error
            opened.callback(self.watch.stop)
            self.watch.start()
            self._stack = opened.pop_all()
        return bound

    def stop(self) -> None:
        """Finish what runs, and close everything, the database last. Within 5 seconds."""
        self._stack.close()

    def _start_push(self, opened: contextlib.ExitStack) -> None:
        self.states = States(self.database, self.bus, push_types(families(self._settings)))
        opened.callback(self.states.close)
        self.watch.tell(self.states.look)
        # One loop for everything that holds connections open: SMTP in both roles, and what hears of changes.
        self._loop_thread = LoopThread()
        opened.callback(self._loop_thread.stop)
        self._loop_thread.start()

    def _start_pusher(self, opened: contextlib.ExitStack, resolver: Resolver) -> None:
        from minijmap.push.pusher import Outside, Pusher

        outside = Outside(_addresses(resolver), self._clock, _contact(self._settings, self.database))
        pusher = Pusher(self.database, self.states, self._push, self._loop_thread.loop, outside)
        self._push.announced.open(self.database)
        self._push.on_change = pusher.wake
        opened.callback(pusher.stop)
        opened.callback(self.states.listen(pusher.hear))
        self.watch.tell(pusher.look)
        pusher.start()

    def _start_smime(self, opened: contextlib.ExitStack) -> None:
        from minijmap.mail.smimetrust import TrustProblem
        from minijmap.mail.smimeworker import SmimeWorker

        try:
            self._trust.check()
        except TrustProblem as problem:
            raise StartError(str(problem)) from problem
        worker = SmimeWorker(self.database, self._trust, self._clock)
        opened.callback(worker.stop)
        opened.callback(self.bus.listen(worker.hear))
        self.watch.tell(worker.look)
        worker.start()

    def _start_sending(self, opened: contextlib.ExitStack, resolver: Resolver) -> "Outgoing":
        from minijmap.smtp.outgoing import Outgoing

        outgoing = Outgoing(self._settings, self.database, resolver, self._clock, capturing=self._capturing)
        opened.callback(outgoing.stop)
        opened.callback(self.bus.listen(outgoing.hear))
        self.watch.tell(outgoing.look)
        outgoing.start()
        self._on_queued = outgoing.look
        return outgoing

    def _start_listeners(
        self, opened: contextlib.ExitStack, resolver: Resolver, *stops_too: Callable[[], None]
    ) -> dict[str, Address]:
        """Listen; return the bound addresses. `stops_too` is stopped together with the listeners."""
        settings = self._settings
        if settings.smtp is None and settings.http is None and settings.submission is None:
            raise StartError("There is nothing to serve: http, smtp and submission are all off.")
        # One for all listeners: who guesses passwords is slowed down whichever way they come.
        doorkeeper = Doorkeeper(self.database, clock=self._clock)
        stops: list[Callable[[], None]] = list(stops_too)
        opened.callback(_all_at_once, stops)
        bound: dict[str, Address] = {}
        if settings.smtp is not None:
            from minijmap.smtp.listener import Listener

            listener = Listener(
                settings,
                self.database,
                self._clock,
                resolver=resolver,
                loop_thread=self._loop_thread,
                on_queued=self._on_queued,
            )
            bound["smtp"] = _listening("smtp", settings.smtp, listener.start)
            stops.append(listener.stop)
        if settings.submission is not None:
            submission = self._submission(settings.submission, doorkeeper)
            bound["submission"] = _listening("submission", settings.submission, submission.start)
            stops.append(submission.stop)
        if settings.http is not None:
            # HTTP last: when /healthz answers, all the rest is ready.
            http = self._http(settings.http, doorkeeper)
            bound["http"] = _listening("http", settings.http, http.start)
            stops.append(http.stop)
        return {name: bound[name] for name in ("http", "smtp", "submission") if name in bound}

    def _submission(self, address: Address, doorkeeper: Doorkeeper) -> "Listener":
        from minijmap.smtp.submitting import submission_listener

        return submission_listener(
            self._settings, self.database, doorkeeper, address, self._clock, loop_thread=self._loop_thread
        )

    def _http(self, address: Address, doorkeeper: Doorkeeper) -> "HttpServer":
        from minijmap.http.app import create_app
        from minijmap.http.arrivals import Arrivals
        from minijmap.http.cors import Cors
        from minijmap.http.live import Live
        from minijmap.http.serve import HttpServer
        from minijmap.http.signin import SignIn

        settings = self._settings
        engine = Engine(
            self.database,
            families(settings, self._push, self._trust),
            clock=self._clock,
            strict_using=settings.strict_using,
        )
        arrivals, cors = Arrivals(engine.limits), Cors(settings.cors_origins)
        self.arrivals = arrivals
        live = self.live = Live(self.states, self._loop_thread)
        self.watch.tell(live.recheck)
        app = create_app(engine, settings, SignIn(doorkeeper), arrivals, cors, live)
        return HttpServer(app, address, arrivals, cors, live)

    def _run_upkeep(self) -> None:
        """Drop, now and then, what nothing refers to any longer, and what was sent long ago."""
        while not self._stopping.wait(UPKEEP_SECONDS):
            try:
                self._keep_up(self._clock())
            except Exception:
                log.exception("The hourly upkeep failed; it is tried again in an hour.")

    def _keep_up(self, now: float) -> None:
        from minijmap.mail import emailpush, reindex, reports, submission
        from minijmap.push import subscriptions
        from minijmap.sieve import records
        from minijmap.smtp import greylist

        self.database.write(lambda tx: blobs.collect(tx, int(now * 1000)))
        self.database.write(lambda tx: submission.prune(tx, int(now * 1000)))
        self.database.write(reports.forget_old)
        self.database.write(greylist.forget_old)
        self.database.write(emailpush.forget_old)
        self.database.write(subscriptions.upkeep)
        self.database.write(records.forget_old)
        self.database.write(lambda tx: documents.prune_tombstones(tx, int(now - KEEP_TOMBSTONES_SECONDS)))
        reindex.upkeep(self.database, self._stopping.is_set)
        # RFC 8620 §7.2: the URLs and keys of push subscriptions that are gone, above all.
        self.database.empty_log()

    def _end_upkeep(self) -> None:
        self._stopping.set()
        self._upkeep.join(STOP_SECONDS)


def _addresses(resolver: Resolver) -> Callable[[str], list[str]]:
    """Return what push looks hosts up by: at most some seconds, and an OSError where there is no answer."""

    def look_up(host: str) -> list[str]:
        try:
            return resolver.budget(LOOK_UP_SECONDS, 2).addresses(host)
        except LookupFailed as error:
            raise OSError(str(error)) from error

    return look_up


def _contact(settings: Settings, database: Database) -> str | None:
    """Return by what push services can reach whoever runs this (RFC 8292 §2.1): some take nothing without that."""
    if settings.public_url is not None and settings.public_url.startswith("https:"):
        return settings.public_url
    with database.read() as reader:
        found = accounts.users(reader)
    # The postmaster of every domain is the first user.
    return f"mailto:postmaster@{found[0].address.rpartition('@')[2]}" if found else None


def _listening(name: str, address: Address, start: Callable[[], tuple[str, int]]) -> Address:
    try:
        return Address(*start())
    except OSError as error:
        # asyncio words it in its own way, and a name that can't be looked up has a negative number.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
        raise StartError(
            f"Can't listen for {name} on {address}: {reason}. Another address: --{name} HOST:PORT."
        ) from error


def _all_at_once(stops: Sequence[Callable[[], None]]) -> None:
    """Stop the listeners side by side: each may need most of the time there is for what still runs."""
    threads = [threading.Thread(target=stop, name="minijmap-stop", daemon=True) for stop in stops]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + STOP_SECONDS
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
