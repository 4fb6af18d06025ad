"""Documents: what is kept, what has changed since when, and what is no longer known."""

import contextlib
import random
import time

import pytest

from minijmap.store import documents
from minijmap.store.database import Transaction
from minijmap.store.documents import CannotCalculate, ChangedKeys, Collection
from tests.store.samples import THINGS


def insert(database, document=None, account=1, **columns) -> int:
    """Add a document in a transaction of its own."""
    return database.write(lambda tx: documents.insert(tx, THINGS, account, document or {}, columns))


def changes(database, since: int, most: int | None = None, account: int = 1) -> ChangedKeys:
    """What has changed, as a new snapshot has it."""
    with database.read() as reader:
        return documents.changes(reader, THINGS, account, since, most)


def state(database, account: int = 1) -> int:
    """The collection's state."""
    with database.read() as reader:
        return reader.state(account, THINGS.type_name)


def test_a_document_is_kept_as_it_is(database):
    """With its account, its columns and the modseq of its creation."""
    document = {"a": [1, None, "é😀", {"b": 1.5}], "quote": '"\\'}
    key = insert(database, document, mark=7)

    with database.read() as reader:
        assert documents.load(reader, THINGS, 1, key) == document
        assert documents.load(reader, THINGS, 2, key) is None
        assert documents.load(reader, THINGS, 1, key + 1) is None
        assert reader.one("SELECT created, changed, mark FROM thing WHERE key = ?", (key,)) == (1, 1, 7)


def test_only_the_accounts_own_is_changed(database):
    """Updating or destroying through another account changes nothing of the document."""
    key = insert(database, {"a": 1})
    database.write(lambda tx: documents.update(tx, THINGS, 2, key, {"a": 2}))

    assert database.write(lambda tx: documents.destroy(tx, THINGS, 2, key)) is False
    with database.read() as reader:
        assert documents.load(reader, THINGS, 1, key) == {"a": 1}
        assert documents.existing(reader, THINGS, 1, [key, key + 1]) == {key}
        assert documents.existing(reader, THINGS, 2, [key]) == set()
        assert documents.existing(reader, THINGS, 1, []) == set()


def test_each_change_has_a_modseq_of_its_own(database):
    """One counter for the account; the state is the last one; another account has its own."""

    def job(tx: Transaction) -> list[int]:
        first = documents.insert(tx, THINGS, 1, {}, {})
        second = documents.insert(tx, THINGS, 1, {}, {})
        documents.update(tx, THINGS, 1, first, {"a": 1}, {"mark": 3})
        documents.mark_changed(tx, THINGS, 1, second)
        other = documents.insert(tx, THINGS, 2, {}, {})
        return [first, second, other]

    first, second, other = database.write(job)
    with database.read() as reader:
        rows = {key: rest for key, *rest in reader.all("SELECT key, created, changed, mark FROM thing")}
    assert rows == {first: [1, 3, 3], second: [2, 4, 0], other: [1, 1, 0]}
    assert (state(database), state(database, 2)) == (4, 1)


def test_a_key_is_never_used_again(database):
    """Not even after the newest row was destroyed: an old id must not come to mean another object."""
    key = insert(database)
    assert database.write(lambda tx: documents.destroy(tx, THINGS, 1, key)) is True

    assert insert(database) > key


def test_what_has_changed(database):
    """Each object at one place, in the order of its modseq there."""
    kept, changed, gone = (insert(database) for _ in range(3))
    since = state(database)
    fresh = insert(database)

    def job(tx: Transaction) -> None:
        documents.update(tx, THINGS, 1, fresh, {"a": 1})
        documents.update(tx, THINGS, 1, changed, {"a": 1})
        documents.update(tx, THINGS, 1, gone, {"a": 1})
        documents.destroy(tx, THINGS, 1, gone)
        documents.destroy(tx, THINGS, 1, documents.insert(tx, THINGS, 1, {}, {}))

    database.write(job)
    assert changes(database, since) == ChangedKeys([fresh], [changed], [gone], state(database), more=False)
    assert changes(database, 0) == ChangedKeys([kept, changed, fresh], [], [], state(database), more=False)
    assert changes(database, state(database)) == ChangedKeys([], [], [], state(database), more=False)
    assert changes(database, 0, account=2) == ChangedKeys([], [], [], 0, more=False)


def test_a_list_may_be_cut_anywhere(database):
    """From any state, by any limit: the pages joined tell what the whole tells, and each of them moves on."""
    chance = random.Random(8620)
    living: list[int] = []
    for _ in range(120):
        verb = chance.choice("iiuud")
        if verb == "i" or not living:
            living.append(insert(database))
        elif verb == "u":
            key = chance.choice(living)
            database.write(lambda tx, key=key: documents.update(tx, THINGS, 1, key, {}))
        else:
            key = living.pop(chance.randrange(len(living)))
            database.write(lambda tx, key=key: documents.destroy(tx, THINGS, 1, key))
    newest = state(database)
    for since in range(0, newest + 1, 7):
        whole = changes(database, since)
        for most in (1, 2, 5, 1000):
            created, updated, destroyed, at = [], [], [], since
            more = True
            while more:
                page = changes(database, at, most)
                assert len(page.created) + len(page.updated) + len(page.destroyed) <= most
                assert page.upto > at or not page.more
                at, more = page.upto, page.more
                created += page.created
                updated += page.updated
                destroyed += page.destroyed
            assert at == newest
            assert sorted(set(created) - set(destroyed)) == sorted(whole.created)
            assert set(whole.destroyed) <= set(destroyed)
            assert set(whole.updated) == set(updated) - set(created) - set(destroyed)


def test_states_that_can_not_be_used(database):
    """One that was never given out, and one older than what is known of the destroyed."""
    keys = [insert(database) for _ in range(3)]
    with pytest.raises(CannotCalculate):
        changes(database, 4)
    with pytest.raises(CannotCalculate):
        changes(database, 1, account=2)

    for key in keys[:2]:
        database.write(lambda tx, key=key: documents.destroy(tx, THINGS, 1, key))
    assert database.write(lambda tx: documents.prune_tombstones(tx, int(time.time()) + 60)) == 2
    with pytest.raises(CannotCalculate):
        changes(database, 4)
    assert changes(database, 5) == ChangedKeys([], [], [], 5, more=False)
    with database.read() as reader:
        assert reader.value("SELECT count(*) FROM tombstone") == 0


def test_only_old_tombstones_are_pruned(database):
    """Those of each account and type by their own time; what is newer stays usable."""
    first, second = insert(database), insert(database)
    other = insert(database, account=2)
    database.write(lambda tx: documents.destroy(tx, THINGS, 1, first))
    database.write(lambda tx: tx.execute("UPDATE tombstone SET at = 1000"))
    since = state(database)
    database.write(lambda tx: documents.destroy(tx, THINGS, 1, second))
    database.write(lambda tx: documents.destroy(tx, THINGS, 2, other))

    assert database.write(lambda tx: documents.prune_tombstones(tx, 1000)) == 0
    assert database.write(lambda tx: documents.prune_tombstones(tx, 1001)) == 1
    assert database.write(lambda tx: documents.prune_tombstones(tx, 1001)) == 0
    assert changes(database, since).destroyed == [second]
    assert changes(database, 1, account=2).destroyed == [other]
    with pytest.raises(CannotCalculate):
        changes(database, since - 1)


def test_types_do_not_meet(database):
    """The tombstones of one collection are not another's."""
    key = insert(database)
    others = Collection("thing", "Other")
    database.write(lambda tx: documents.destroy(tx, others, 1, key))

    assert changes(database, 1).destroyed == []


def test_what_is_undone_leaves_no_trace(database):
    """A rolled-back creation, change and destruction: no row, no tombstone, no state."""
    key = insert(database, {"a": 1})

    def job(tx: Transaction) -> None:
        with contextlib.suppress(KeyError), tx.savepoint():
            documents.insert(tx, THINGS, 1, {}, {})
            documents.update(tx, THINGS, 1, key, {"a": 2})
            documents.destroy(tx, THINGS, 1, key)
            raise KeyError
        assert tx.state(1, THINGS.type_name) == 1

    database.write(job)
    with database.read() as reader:
        assert documents.load(reader, THINGS, 1, key) == {"a": 1}
        assert reader.value("SELECT count(*) FROM thing") == 1
        assert reader.value("SELECT count(*) FROM tombstone") == 0
    assert state(database) == 1
    assert changes(database, 1) == ChangedKeys([], [], [], 1, more=False)
