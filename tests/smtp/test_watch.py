"""Noticing what another process writes."""

import threading

from minijmap.server import open_database
from minijmap.smtp.watch import Watch


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


def test_it_ends_with_the_database(house):
    """Without a word."""
    watch = Watch(house.database, lambda: None, seconds=0.01)
    watch.start()
    house.database.close()
    watch._thread.join(20)
    assert not watch._thread.is_alive()
