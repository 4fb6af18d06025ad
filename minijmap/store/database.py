"""Connections to the one SQLite file: one writer with group commit, a read snapshot for everybody else.

Owns threads, connections, pragmas, transactions and the order of commits. A job handed to :meth:`Database.write` runs
on the writer thread; whoever waits for it is answered only after the commit is on disk (`synchronous=FULL`), and
several jobs that wait at the same time share one commit. Must not know what the tables hold: only that an account
counts its changes by a modseq, and that each type of an account has a state.
"""

import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Parameters = tuple[Any, ...] | Mapping[str, Any]
Changes = dict[int, dict[str, int]]
"""Account key → type name → the type's new modseq: all that a commit announces."""

PAGE_SIZE = 8192
BUSY_SECONDS = 30
EMPTY_LOG_MILLISECONDS = 100
GROUP_SECONDS = 0.05
"""A group of jobs takes no new member after this long, so that the first of them is not kept waiting."""
READER_CACHE_KIB = 2048
WRITER_CACHE_KIB = 8192

log = logging.getLogger(__name__)


class StoreClosed(RuntimeError):
    """The database was closed before the job could run; nothing of it was written."""


class Reader:
    """Reads over one connection, inside one snapshot."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        row: tuple[Any, ...] | None = self.connection.execute(sql, parameters).fetchone()
        return row

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.connection.execute(sql, parameters).fetchone()
        return None if row is None else row[0]

    def all(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Return every row. On a hot path aggregate in SQL instead: each row gives the GIL away once."""
        return self.connection.execute(sql, parameters).fetchall()

    def state(self, account: int, type_name: str) -> int:
        """Return the modseq of the last change to a type of an account; 0 when it never changed."""
        return int(self.value("SELECT modseq FROM state WHERE account = ? AND type = ?", (account, type_name)) or 0)


class Transaction(Reader):
    """One job's writes. Lives on the writer thread, for the length of the job."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        super().__init__(connection)
        self.clock = clock
        self.changes: Changes = {}
        self._modseqs: dict[int, int] = {}

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self.connection.execute(sql, parameters)

    def many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        """Run one statement for each row."""
        self.connection.executemany(sql, rows)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block wrote, and what it would have announced, if it raises."""
        before = {account: dict(types) for account, types in self.changes.items()}
        self.connection.execute("SAVEPOINT inner_step")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK TO inner_step")
            self.connection.execute("RELEASE inner_step")
            self.changes = before
            raise
        self.connection.execute("RELEASE inner_step")

    def next_modseq(self, account: int) -> int:
        """Return the account's next modseq. Every change of every object has one of its own."""
        modseq = self._modseqs.get(account)
        if modseq is None:
            modseq = int(self.value("SELECT modseq FROM account WHERE key = ?", (account,)) or 0)
        self._modseqs[account] = modseq + 1
        return modseq + 1

    def touch(self, account: int, type_name: str, modseq: int) -> None:
        """Note that a type of an account has changed: it is announced after the commit."""
        self.changes.setdefault(account, {})[type_name] = modseq

    def state(self, account: int, type_name: str) -> int:
        """Return the type's modseq, with what this job has changed so far."""
        modseq = self.changes.get(account, {}).get(type_name)
        return super().state(account, type_name) if modseq is None else modseq

    def flush(self) -> None:
        """Write the modseqs and states that were kept in memory during the job."""
        for account, modseq in self._modseqs.items():
            self.execute("UPDATE account SET modseq = ? WHERE key = ?", (modseq, account))
        for account, types in self.changes.items():
            for type_name, modseq in types.items():
                self.execute(
                    "INSERT INTO state (account, type, modseq) VALUES (?, ?, ?) "
                    "ON CONFLICT (account, type) DO UPDATE SET modseq = excluded.modseq",
                    (account, type_name, modseq),
                )


def connect(path: Path, *, read_only: bool = False, cache_kib: int = READER_CACHE_KIB) -> sqlite3.Connection:
    """Open a connection with the pragmas of the house. Autocommit: transactions are begun by name."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS, cached_statements=256
    )
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")  # NORMAL would lose mail that was acknowledged
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA temp_store = MEMORY")
    # What is deleted is overwritten (RFC 8620 §7.2 asks that of push URLs and keys); Debian's SQLite does so anyway.
    connection.execute("PRAGMA secure_delete = ON")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Have a write-ahead log. SQLite does not wait for another process that is about to do the same: we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


class _Job:
    """A function waiting for the writer, and the promise to whoever waits for it."""

    __slots__ = ("function", "promise")

    def __init__(self, function: Callable[[Transaction], Any]) -> None:
        self.function = function
        self.promise: Future[Any] = Future()


class Database:
    """The file of a household, opened. One per process; safe to use from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        prepare: Callable[[sqlite3.Connection], None] | None = None,
        on_commit: Callable[[Changes], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open `path`. `prepare` may register SQL functions on each connection; `on_commit` hears of every commit.

        `clock` gives seconds since the epoch, as `time.time` does.
        """
        self.path = path
        self._clock = clock
        self.on_commit = on_commit
        self._prepare = prepare
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._connection = self._open(read_only=False)
        self._writer = threading.Thread(target=self._run, name="minijmap-writer", daemon=True)
        self._writer.start()

    def _open(self, *, read_only: bool) -> sqlite3.Connection:
        cache = READER_CACHE_KIB if read_only else WRITER_CACHE_KIB
        connection = connect(self.path, read_only=read_only, cache_kib=cache)
        if self._prepare is not None:
            self._prepare(connection)
        return connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Reader]:
        """Give a reader of one snapshot, taken at its first statement. Not for nesting in one thread."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._open(read_only=True)
            with self._lock:
                if self._closed:
                    connection.close()
                    raise StoreClosed("The database is closed.")
                self._readers.append(connection)
            self._local.connection = connection
        try:
            connection.execute("BEGIN")
        except sqlite3.ProgrammingError:
            if not self._closed:
                raise
            raise StoreClosed("The database is closed.") from None
        try:
            yield Reader(connection)
        finally:
            with contextlib.suppress(sqlite3.ProgrammingError):  # closed meanwhile: the snapshot is gone already
                connection.execute("COMMIT")

    def write(self, function: Callable[[Transaction], T]) -> T:
        """Run `function` on the writer thread and return its result once it is on disk.

        Whatever it raises undoes all it wrote and is raised here; jobs that share its commit are not affected.
        """
        if threading.current_thread() is self._writer:
            raise RuntimeError("A job or a listener to commits can't wait for the writer: it is the writer.")
        job = _Job(function)
        with self._lock:
            if self._closed:
                raise StoreClosed("The database is closed.")
            self._jobs.put(job)
        result: T = job.promise.result()
        return result

    def empty_log(self) -> None:
        """Empty the write-ahead log, where what was deleted still stands, unless somebody reads or writes just now."""
        with contextlib.closing(connect(self.path)) as connection:
            # The writer would wait as long as this does for a reader.
            connection.execute(f"PRAGMA busy_timeout = {EMPTY_LOG_MILLISECONDS}")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Finish the jobs that wait, then close every connection."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._jobs.put(None)
        self._writer.join()
        for connection in self._readers:
            connection.close()

    def _run(self) -> None:
        going = True
        while going:
            job = self._jobs.get()
            if job is None:
                break
            going = self._commit_group(job)
        self._connection.close()

    def _commit_group(self, first: _Job) -> bool:
        """Run the first job and those that queue up meanwhile, then commit once. False: the last group."""
        answers: list[tuple[_Job, Any, BaseException | None]] = []
        announcements: Changes = {}
        going, job = True, first
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            deadline = time.monotonic() + GROUP_SECONDS
            while True:
                answers.append((job, *self._run_job(job, announcements)))
                if time.monotonic() > deadline:
                    break
                try:
                    waiting = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if waiting is None:
                    going = False
                    break
                job = waiting
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:  # a full or failing disk: nobody is told that anything was kept
            with contextlib.suppress(sqlite3.Error):  # it may fail too, and there is nothing more to undo
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            told = {id(answer[0]) for answer in answers}
            jobs = [answer[0] for answer in answers] + ([] if id(job) in told else [job])
            for waiter in jobs:
                waiter.promise.set_exception(error)
            return going
        self._announce(announcements)
        for job, result, problem in answers:
            if problem is None:
                job.promise.set_result(result)
            else:
                job.promise.set_exception(problem)
        return going

    def _announce(self, announcements: Changes) -> None:
        if not announcements or self.on_commit is None:
            return
        try:
            self.on_commit(announcements)
        except Exception:
            # What is on disk is on disk: a listener's fault is neither the jobs' nor the end of the writer.
            log.exception("A listener to commits failed")

    def _run_job(self, job: _Job, announcements: Changes) -> tuple[Any, BaseException | None]:
        transaction = Transaction(self._connection, self._clock)
        self._connection.execute("SAVEPOINT job")
        try:
            result = job.function(transaction)
            transaction.flush()
        except BaseException as problem:
            if not self._connection.in_transaction:
                # SQLite rolled everything back by itself (disk full, out of memory): the whole group has failed.
                raise sqlite3.OperationalError(str(problem)) from problem
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")
            return None, problem
        self._connection.execute("RELEASE job")
        for account, types in transaction.changes.items():
            announcements.setdefault(account, {}).update(types)
        return result, None
