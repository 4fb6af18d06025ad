"""The database: group commit, snapshots, savepoints, and what is on disk when."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minijmap.store.database import Database, StoreClosed, Transaction

ROOT = Path(__file__).resolve().parents[2]


def add(number: int) -> Callable[[Transaction], int]:
    """A job that adds a note and says so for account 1."""

    def job(tx: Transaction) -> int:
        tx.execute("INSERT INTO note VALUES (?)", (number,))
        tx.touch(1, "Note", tx.next_modseq(1))
        return number

    return job


def notes(database: Database) -> list[int]:
    """All notes, as a new snapshot has them."""
    with database.read() as reader:
        return [number for (number,) in reader.all("SELECT number FROM note ORDER BY number")]


class Gate:
    """A job that holds the writer until it is let go, so that others queue up behind it."""

    def __init__(self, database: Database) -> None:
        self._entered, self._open = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(database,))
        self._thread.start()
        assert self._entered.wait(10)

    def _run(self, database: Database) -> None:
        # It shares the fate of the group that it holds open.
        with contextlib.suppress(sqlite3.Error):
            database.write(self._job)

    def _job(self, tx: Transaction) -> None:
        _ = tx
        self._entered.set()
        assert self._open.wait(10)

    def let_go(self) -> None:
        """Let the writer go on."""
        self._open.set()
        self._thread.join(10)


def queued(database: Database, *jobs: Callable[[Transaction], object]) -> list[object]:
    """Run jobs that all wait at once; return each one's result, or what it raised."""
    gate = Gate(database)
    with ThreadPoolExecutor(len(jobs)) as pool:
        waiting = []
        for job in jobs:
            waiting.append(pool.submit(database.write, job))
            while database._jobs.qsize() < len(waiting):
                os.sched_yield()
        gate.let_go()
    return [one.exception() or one.result() for one in waiting]


def test_a_write_returns_what_its_job_returns(database):
    """And what it wrote is there for whoever reads next."""
    assert database.write(add(7)) == 7
    assert notes(database) == [7]


def test_many_threads_write(make):
    """All is kept, once, and each change has a modseq of its own."""
    announced: list[dict[int, dict[str, int]]] = []
    database = make(on_commit=announced.append)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda number: database.write(add(number)), range(400))) == list(range(400))

    assert notes(database) == list(range(400))
    with database.read() as reader:
        assert reader.state(1, "Note") == 400
        assert reader.value("SELECT modseq FROM account WHERE key = 1") == 400
    heard = [one[1]["Note"] for one in announced]
    assert heard == sorted(set(heard))
    assert heard[-1] == 400


def test_the_log_is_emptied_unless_somebody_reads_in_it(database):
    """A snapshot that is being read stays whole, and nobody waits for its end."""
    log = database.path.with_name(database.path.name + "-wal")
    database.write(add(1))
    with database.read() as reader:
        assert reader.value("SELECT count(*) FROM note") == 1
        database.write(add(2))
        database.empty_log()
        assert log.stat().st_size > 0
        assert reader.value("SELECT count(*) FROM note") == 1
    database.empty_log()
    assert log.stat().st_size == 0
    assert notes(database) == [1, 2]


def test_jobs_that_wait_share_a_commit(make):
    """One announcement for the whole group, with the last modseq of each type."""
    announced: list[dict[int, dict[str, int]]] = []
    database = make(on_commit=announced.append)

    def second_account(tx: Transaction) -> None:
        tx.touch(2, "Other", tx.next_modseq(2))

    assert queued(database, add(1), second_account, add(2)) == [1, None, 2]
    assert announced == [{1: {"Note": 2}, 2: {"Other": 1}}]


def test_a_job_that_fails_hurts_no_other(make):
    """Its writes and its announcements are undone; those before and after it in the same commit are kept."""
    announced: list[dict[int, dict[str, int]]] = []
    database = make(on_commit=announced.append)

    def fails(tx: Transaction) -> None:
        tx.execute("INSERT INTO note VALUES (99)")
        tx.touch(2, "Note", tx.next_modseq(2))
        tx.touch(1, "Failed", tx.next_modseq(1))
        raise KeyError("no")

    first, failed, second, again = queued(database, add(1), fails, add(2), add(1))
    assert (first, second) == (1, 2)
    assert isinstance(failed, KeyError)
    assert isinstance(again, sqlite3.IntegrityError)
    assert notes(database) == [1, 2]
    assert announced == [{1: {"Note": 2}}]
    with database.read() as reader:
        assert (reader.state(1, "Failed"), reader.state(2, "Note")) == (0, 0)


def test_nothing_is_announced_for_nothing(make):
    """Neither for a job that changed no type, nor for one that failed."""
    announced: list[dict[int, dict[str, int]]] = []
    database = make(on_commit=announced.append)
    database.write(lambda tx: tx.execute("INSERT INTO note VALUES (1)"))
    with pytest.raises(sqlite3.IntegrityError):
        database.write(add(1))

    assert announced == []


def test_what_is_announced_can_be_read(make):
    """By the time a listener hears of a commit it is on disk, and in every new snapshot."""
    seen: list[list[int]] = []
    box: list[Database] = []
    database = make(on_commit=lambda _: seen.append(notes(box[0])))
    box.append(database)
    database.write(add(1))
    database.write(add(2))

    assert seen == [[1], [1, 2]]


def test_a_listener_that_fails_stops_nothing(make, caplog):
    """Its fault is logged; the job is answered and the writer lives on."""

    def fails(changes: object) -> None:
        raise ZeroDivisionError(changes)

    database = make(on_commit=fails)

    assert [database.write(add(1)), database.write(add(2))] == [1, 2]
    assert notes(database) == [1, 2]
    assert "ZeroDivisionError" in caplog.text


def test_a_job_can_not_wait_for_another(database):
    """It would wait for itself; it is told so instead."""
    with pytest.raises(RuntimeError, match="it is the writer"):
        database.write(lambda tx: (add(1)(tx), database.write(add(2))))

    assert notes(database) == []


def test_a_commit_that_fails_fails_for_all_that_share_it(make):
    """Nobody is told that anything was kept, nothing is announced, and the writer goes on."""
    announced: list[dict[int, dict[str, int]]] = []
    database = make(
        prepare=lambda connection: connection.execute("PRAGMA foreign_keys = ON"), on_commit=announced.append
    )

    def breaks(tx: Transaction) -> None:
        tx.execute("INSERT INTO owned VALUES (404)")  # checked by COMMIT, not before

    results = queued(database, add(1), breaks, add(2))
    assert [type(one) for one in results] == [sqlite3.IntegrityError] * 3
    assert (notes(database), announced) == ([], [])
    assert database.write(add(3)) == 3
    assert (notes(database), announced) == ([3], [{1: {"Note": 1}}])


def test_a_rollback_by_sqlite_itself_fails_the_group(make):
    """SQLite may give up the whole transaction inside of a job; then nothing of the group counts."""
    announced: list[dict[int, dict[str, int]]] = []
    database = make(on_commit=announced.append)
    database.write(add(1))
    announced.clear()

    def gives_up(tx: Transaction) -> None:
        tx.execute("INSERT OR ROLLBACK INTO note VALUES (1)")

    def gives_up_inside(tx: Transaction) -> None:
        with tx.savepoint():
            tx.execute("INSERT OR ROLLBACK INTO note VALUES (1)")

    for job in (gives_up, gives_up_inside):
        results = queued(database, add(2), job)
        assert all(isinstance(one, sqlite3.OperationalError) for one in results)
        assert (notes(database), announced) == ([1], [])
    assert database.write(add(3)) == 3
    assert notes(database) == [1, 3]


def test_a_full_disk_is_survived(make):
    """What does not fit is refused and undone; what fits goes on being written."""
    limit = 40

    def small(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA max_page_count = {limit}")

    database = make(prepare=small)
    database.write(add(1))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        database.write(
            lambda tx: tx.execute(
                "INSERT INTO blob (digest, size, codec, stored) VALUES (x'00', 1, 0, zeroblob(1000000))"
            )
        )

    assert database.write(add(2)) == 2
    assert notes(database) == [1, 2]


def test_a_savepoint_undoes_writes_and_announcements(make):
    """Also nested, and what was announced before the block stays."""
    announced: list[dict[int, dict[str, int]]] = []
    database = make(on_commit=announced.append)

    def job(tx: Transaction) -> list[int]:
        states = []
        add(1)(tx)
        with tx.savepoint():
            add(2)(tx)
            with contextlib.suppress(KeyError), tx.savepoint():
                add(3)(tx)
                tx.touch(1, "Other", tx.next_modseq(1))
                states.append(tx.state(1, "Note"))
                raise KeyError
            states.append(tx.state(1, "Note"))
        with contextlib.suppress(KeyError), tx.savepoint():
            with tx.savepoint():
                add(4)(tx)
            raise KeyError
        states.append(tx.state(1, "Note"))
        return states

    assert database.write(job) == [3, 2, 2]
    assert notes(database) == [1, 2]
    assert announced == [{1: {"Note": 2}}]
    with database.read() as reader:
        assert (reader.state(1, "Note"), reader.state(1, "Other")) == (2, 0)
    later = database.write(lambda tx: tx.next_modseq(1))
    assert later > 2


def test_a_snapshot_is_of_one_moment(database):
    """A reader sees what was committed at its first statement, whatever is written meanwhile."""
    database.write(add(1))
    with database.read() as reader:
        assert reader.value("SELECT count(*) FROM note") == 1
        with ThreadPoolExecutor(1) as pool:
            pool.submit(database.write, add(2)).result(10)
            assert pool.submit(notes, database).result(10) == [1, 2]
        assert reader.value("SELECT count(*) FROM note") == 1
        assert reader.state(1, "Note") == 1
        assert database.write(add(3)) == 3
        assert reader.one("SELECT max(number) FROM note") == (1,)
        assert reader.one("SELECT number FROM note WHERE number > 1") is None
        assert reader.value("SELECT number FROM note WHERE number > 1") is None
    assert notes(database) == [1, 2, 3]


def test_readers_are_not_held_up_by_a_writer(database):
    """While a job is under way others read the state before it, and never half of it."""
    database.write(add(1))
    entered, read = threading.Event(), threading.Event()

    def job(tx: Transaction) -> None:
        add(2)(tx)
        entered.set()
        assert read.wait(10)
        add(3)(tx)

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(database.write, job)
        assert entered.wait(10)
        assert notes(database) == [1]
        read.set()
        written.result(10)
    assert notes(database) == [1, 2, 3]


def test_a_reader_can_not_write(database):
    """And what is read inside of a job is what the job has written."""
    with database.read() as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.connection.execute("INSERT INTO note VALUES (1)")

    assert database.write(lambda tx: (add(1)(tx), tx.value("SELECT count(*) FROM note"))[1]) == 1


def test_a_reader_is_let_go_after_a_fault(database):
    """An exception in the block ends the snapshot: the next one is new."""
    with contextlib.suppress(KeyError), database.read() as reader:
        assert reader.all("SELECT * FROM note") == []
        raise KeyError
    database.write(add(1))

    assert notes(database) == [1]


def test_closing_finishes_the_jobs_that_wait(path):
    """What was handed over before `close` is written; what comes after is refused, and nothing of it written."""
    database = Database(path)
    gate = Gate(database)
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(database.write, add(number)) for number in range(4)]
        while database._jobs.qsize() < 4:
            os.sched_yield()
        closing = pool.submit(database.close)
        while not database._closed:
            os.sched_yield()
        with pytest.raises(StoreClosed):
            database.write(add(9))
        gate.let_go()
        assert [one.result(10) for one in waiting] == [0, 1, 2, 3]
        closing.result(10)

    again = Database(path)
    assert notes(again) == [0, 1, 2, 3]
    again.close()


def test_after_the_end(path):
    """Reading and writing are refused by name, in threads that have read before and in others; closing twice is fine."""
    database = Database(path)
    notes(database)
    database.close()
    database.close()

    with pytest.raises(StoreClosed):
        notes(database)
    with pytest.raises(StoreClosed):
        database.write(add(1))
    with ThreadPoolExecutor(1) as pool, pytest.raises(StoreClosed):
        pool.submit(notes, database).result(10)


def test_closing_under_a_reader(path):
    """A reader that is still at work gets an error from SQLite, or nothing if it is done already."""
    database = Database(path)
    with database.read() as reader:
        assert reader.all("SELECT * FROM note") == []
        database.close()
        with pytest.raises(sqlite3.ProgrammingError):
            reader.all("SELECT * FROM note")


def test_each_connection_is_prepared(make):
    """SQL functions are there for the writer and for every thread's reader."""
    database = make(prepare=lambda connection: connection.create_function("twice", 1, lambda value: 2 * value))

    assert database.write(lambda tx: tx.value("SELECT twice(4)")) == 8
    with database.read() as reader:
        assert reader.value("SELECT twice(5)") == 10


def test_the_file_is_as_the_design_says(database):
    """Pages of 8 kB, a write-ahead log, and a sync at every commit."""
    pragmas = database.write(
        lambda tx: [tx.value(f"PRAGMA {name}") for name in ("page_size", "journal_mode", "synchronous")]
    )

    assert pragmas == [8192, "wal", 2]


CHILD = """
import sys
from pathlib import Path
from minijmap.store.database import Database
database = Database(Path(sys.argv[1]))
for number in range(10_000):
    database.write(lambda tx: tx.execute("INSERT INTO note VALUES (?)", (number,)))
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 40, 150])
def test_kill_9_loses_nothing_that_was_acknowledged(path, after):
    """Whatever `write` returned for before the process was killed is in the file, and the file is whole."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(after)]
        child.send_signal(signal.SIGKILL)
        told += [int(line) for line in child.stdout if line.endswith("\n")]
        child.wait(10)

    database = Database(path)
    kept = notes(database)
    with database.read() as reader:
        assert reader.value("PRAGMA integrity_check") == "ok"
    database.close()
    assert kept == list(range(len(kept)))
    assert set(told) <= set(kept)
    assert len(kept) <= len(told) + 1
