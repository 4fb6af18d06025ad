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

from minijmap.config import Settings
from minijmap.jmap import collation
from minijmap.jmap.engine import Engine
from minijmap.jmap.methods import Family
from minijmap.push.bus import Bus
from minijmap.setting_kinds import Address
from minijmap.signin import Doorkeeper
from minijmap.smtp.certificate import CertificateError
from minijmap.smtp.resolver import Resolver
from minijmap.store import blobs, documents, schema
from minijmap.store.database import Changes, Database

if TYPE_CHECKING:
    from minijmap.http.serve import HttpServer
    from minijmap.smtp.listener import Listener
    from minijmap.smtp.sending import Outgoing

FILE_NAME = "minijmap.sqlite3"
UPKEEP_SECONDS = 3600.0
KEEP_TOMBSTONES_SECONDS = 90 * 24 * 3600
STOP_SECONDS = 4.0

log = logging.getLogger(__name__)


class StartError(Exception):
    """The server can't start; the sentence says why, and what to do."""


def families(settings: Settings | None = None) -> Sequence[Family]:
    """Return every family of types, in the order of their migrations. Without settings there are no aliases."""
    from minijmap.mail.family import family as mail
    from minijmap.smtp.recipients import Recipients

    settings = settings or Settings()
    return (mail(Recipients(settings.aliases), settings.max_message_size),)


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
        self._stack = contextlib.ExitStack()
        self._stopping = threading.Event()
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
            opened.callback(self._end_upkeep)
            self._upkeep.start()
            # One for mail in both directions: what it has learnt serves both.
            resolver = Resolver(self._settings.dns_server)
            outgoing = self._start_sending(opened, resolver)
            try:
                bound = self._start_listeners(opened, resolver, outgoing.stop)
            except CertificateError as error:
                raise StartError(str(error)) from error
            self._stack = opened.pop_all()
        return bound

    def stop(self) -> None:
        """Finish what runs, and close everything, the database last. Within 5 seconds."""
        self._stack.close()

    def _start_sending(self, opened: contextlib.ExitStack, resolver: Resolver) -> "Outgoing":
        from minijmap.smtp.sending import Outgoing, Outside

        settings = self._settings
        outside = Outside(resolver, self._clock)
        outgoing = Outgoing.make(settings, self.database, outside, capturing=self._capturing)
        opened.callback(outgoing.stop)
        opened.callback(self.bus.listen(outgoing.hear))
        outgoing.start()
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

            listener = Listener(settings, self.database, self._clock, resolver=resolver)
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

        return submission_listener(self._settings, self.database, doorkeeper, address, self._clock)

    def _http(self, address: Address, doorkeeper: Doorkeeper) -> "HttpServer":
        from minijmap.http.app import create_app
        from minijmap.http.arrivals import Arrivals
        from minijmap.http.cors import Cors
        from minijmap.http.serve import HttpServer
        from minijmap.http.signin import SignIn

        settings = self._settings
        engine = Engine(self.database, families(settings), clock=self._clock, strict_using=settings.strict_using)
        arrivals, cors = Arrivals(engine.limits), Cors(settings.cors_origins)
        app = create_app(engine, settings, SignIn(doorkeeper), arrivals, cors)
        return HttpServer(app, address, arrivals, cors)

    def _run_upkeep(self) -> None:
        """Drop, now and then, what nothing refers to any longer, and what was sent long ago."""
        from minijmap.mail import reindex, reports, submission
        from minijmap.smtp import greylist

        while not self._stopping.wait(UPKEEP_SECONDS):
            now = self._clock()
            try:
                self.database.write(lambda tx, now=now: blobs.collect(tx, int(now * 1000)))  # type: ignore[misc]
                self.database.write(lambda tx, now=now: submission.prune(tx, int(now * 1000)))  # type: ignore[misc]
                self.database.write(reports.forget_old)
                self.database.write(greylist.forget_old)
                self.database.write(
                    lambda tx, now=now: documents.prune_tombstones(tx, int(now - KEEP_TOMBSTONES_SECONDS))  # type: ignore[misc]
                )
                reindex.upkeep(self.database, self._stopping.is_set)
            except Exception:
                log.exception("The hourly upkeep failed; it is tried again in an hour.")

    def _end_upkeep(self) -> None:
        self._stopping.set()
        self._upkeep.join(STOP_SECONDS)


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
