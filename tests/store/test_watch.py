"""Noticing what another process writes."""

import threading

from minijmap.server import open_database
from minijmap.store.watch import Watch


def test_a_commit_of_another_process_is_noticed(house):
    """Once, and not when nothing has happened; the end does not wait."""
    called = threading.Semaphore(0)
    watch = Watch(house.database, called.release, seconds=0.01)
    watch.start()
    assert called.acquire(timeout=20)  # the first look always is news
    other = open_database(house.database.path.parent)
    other.write(lambda tx: tx.execute("UPDATE user SET name = 'A'"))
    other.close()
    assert called.acquire(timeout=20)
    watch.stop()


def test_one_who_fails_does_not_keep_the_others(house, caplog):
    """All are called, in their order, and the failure is in the log."""
    called = threading.Event()
    watch = Watch(house.database, lambda: 1 / 0, seconds=0.01)
    watch.tell(called.set)
    watch.start()
    assert called.wait(20)
    watch.stop()
    assert "ZeroDivisionError" in caplog.text


def test_it_ends_with_the_database(house):
    """Without a word."""
    watch = Watch(house.database, lambda: None, seconds=0.01)
    watch.start()
    house.database.close()
    watch._thread.join(20)
    assert not watch._thread.is_alive()


def test_it_ends_before_it_begins(house):
    """A server that could not start stops what it has not started."""
    Watch(house.database).stop()
