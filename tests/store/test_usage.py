"""What accounts use and may use: kept in the transaction of whatever changes it, and never past a limit."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.store import blobs, check, documents, limits, schema, usage
from minijmap.store.database import Database
from minijmap.store.documents import Collection
from minijmap.store.usage import OCTETS, OverQuota
from tests.store.samples import MIGRATIONS

FEW = Collection("thing", "Thing", most=3)


def use(database: Database, octets: bytes, number: int = 1, account: int = 1, type_name: str = "Thing", **more) -> int:
    """Have an object refer to octets; return the blob's key."""
    packed = blobs.pack(octets)

    def job(tx) -> int:
        key = blobs.store(tx, packed)
        blobs.add_use(tx, key, account, type_name, number, **more)
        return key

    return database.write(job)


def used(database: Database, account: int = 1, resource: str = OCTETS) -> int:
    """What an account uses."""
    with database.read() as reader:
        return usage.used(reader, account, resource)


def quotas(database: Database, account: int = 1) -> list[tuple]:
    """The rows of Quotas."""
    with database.read() as reader:
        return reader.all("SELECT resource, hard_limit FROM quota WHERE account = ?", (account,))


def test_a_blob_counts_once_for_an_account(database):
    """However many objects refer to it; what the server itself refers to does not count."""
    key = use(database, b"a" * 100)
    use(database, b"a" * 100, number=2)
    use(database, b"a" * 100, type_name="Queue")
    use(database, b"a" * 100, account=2)
    use(database, b"b" * 50, type_name="Queue")
    assert (used(database), used(database, 2)) == (100, 100)

    for type_name, number, left in (("Thing", 1, 100), ("Thing", 1, 100), ("Thing", 2, 0), ("Queue", 1, 0)):
        database.write(lambda tx, t=type_name, n=number: blobs.remove_use(tx, key, 1, t, n))
        assert used(database) == left


def test_a_limit_holds_exactly(database):
    """It may be reached and not passed; a refusal writes nothing; freeing makes room."""
    database.write(lambda tx: limits.set_own(tx, 1, 150))
    key = use(database, b"a" * 100)
    with pytest.raises(OverQuota, match="may use 150 octets: it uses 100, and this would add 51"):
        use(database, b"b" * 51)
    assert used(database) == 100
    use(database, b"c" * 50)
    with database.read() as reader:
        assert usage.is_full(reader, 1)
        assert not usage.is_full(reader, 2)
        assert reader.value("SELECT count(*) FROM blob") == 2
    use(database, b"", number=9)
    with pytest.raises(OverQuota):
        use(database, b"d")
    use(database, b"notice", enforced=False)
    assert used(database) == 156
    database.write(lambda tx: blobs.remove_use(tx, key, 1, "Thing", 1))
    use(database, b"e" * 94)
    assert used(database) == 150
    use(database, b"f" * 10_000, account=2)


def test_the_limits_of_a_household(database):
    """The household's holds for those without one of their own; a Quota comes, changes and goes with its limit."""
    database.write(lambda tx: limits.set_household(tx, 1000))
    assert (quotas(database), quotas(database, 2)) == ([(OCTETS, 1000)], [(OCTETS, 1000)])
    database.write(lambda tx: limits.set_own(tx, 1, 0))
    database.write(lambda tx: limits.set_own(tx, 2, 5))
    assert (quotas(database), quotas(database, 2)) == ([], [(OCTETS, 5)])
    database.write(lambda tx: limits.set_household(tx, 2000))
    assert (quotas(database), quotas(database, 2)) == ([], [(OCTETS, 5)])
    database.write(lambda tx: limits.set_own(tx, 1, None))
    database.write(lambda tx: limits.set_own(tx, 2, None))
    assert (quotas(database), quotas(database, 2)) == ([(OCTETS, 2000)], [(OCTETS, 2000)])
    with database.read() as reader:
        assert (limits.own(reader, 1), limits.limit(reader, 1)) == (None, 2000)
        before = reader.state(1, "Quota")
    database.write(lambda tx: limits.set_household(tx, 0))
    assert quotas(database) == []
    with database.read() as reader:
        gone = documents.changes(reader, limits.QUOTAS, 1, before, None)
        assert (gone.created, gone.updated, len(gone.destroyed)) == ([], [], 1)
        assert limits.limit(reader, 1) is None


def test_what_is_the_same_changes_nothing(database):
    """Starting again with the same setting moves no state."""
    database.write(lambda tx: limits.set_household(tx, 1000))
    with database.read() as reader:
        before = reader.state(1, "Quota")
    database.write(lambda tx: limits.set_household(tx, 1000))
    database.write(lambda tx: limits.apply(tx, 1))
    with database.read() as reader:
        assert reader.state(1, "Quota") == before > 0


def test_the_state_changes_when_what_is_used_changes(make):
    """And with nothing else: not with a second reference to the same octets, not for who has no limit."""
    told: list[dict] = []
    database = make(on_commit=told.append)
    use(database, b"a" * 10)
    assert told == []
    database.write(lambda tx: limits.set_own(tx, 1, 1000))
    use(database, b"a" * 10, number=2)
    assert [list(one[1]) for one in told] == [["Quota"]]
    use(database, b"b" * 10)
    use(database, b"b" * 10, account=2)
    assert [list(one) for one in told] == [[1], [1]]
    with database.read() as reader:
        assert reader.state(1, "Quota") == told[-1][1]["Quota"]


def test_a_type_whose_objects_are_limited_in_number(database):
    """The limit is kept with the collection; its Quota comes with the first object."""

    def insert() -> int:
        return database.write(lambda tx: documents.insert(tx, FEW, 1, {}, {}))

    keys = [insert() for _ in range(3)]
    with pytest.raises(OverQuota, match="may have 3 objects of the type Thing"):
        insert()
    assert (used(database, resource="Thing"), quotas(database)) == (3, [("Thing", 3)])
    database.write(lambda tx: documents.destroy(tx, FEW, 1, keys[0]))
    database.write(lambda tx: documents.destroy(tx, FEW, 1, keys[0]))
    assert used(database, resource="Thing") == 2
    insert()
    more = Collection("thing", "Thing", most=4)
    database.write(lambda tx: documents.insert(tx, more, 1, {}, {}))
    assert (used(database, resource="Thing"), quotas(database)) == (4, [("Thing", 4)])


def test_what_is_undone_was_never_used(database):
    """A savepoint that is rolled back takes its numbers along."""
    database.write(lambda tx: limits.set_own(tx, 1, 1000))
    packed = blobs.pack(b"x" * 400)

    def in_vain(tx, number: int) -> None:
        with tx.savepoint():
            other = blobs.store(tx, blobs.pack(bytes([number]) * 500))
            blobs.add_use(tx, other, 1, "Thing", number)
            _ = 1 / 0

    def job(tx) -> None:
        for number in range(3):
            with tx.savepoint():
                key = blobs.store(tx, packed)
                blobs.add_use(tx, key, 1, "Thing", number)
            with pytest.raises(ZeroDivisionError):
                in_vain(tx, number)

    database.write(job)
    assert used(database) == 400


def test_a_file_from_before_is_counted_when_it_is_brought_up_to_date(tmp_path):
    """What its accounts use, and their uploads that nothing refers to."""
    path = tmp_path / "old.sqlite3"
    schema.migrate(path, [MIGRATIONS[0]])
    database = Database(path)

    def fill(tx) -> None:
        tx.execute("INSERT INTO account (user, name) VALUES (1, 'a')")
        for number, size in enumerate((100, 200, 300, 400), 1):
            packed = blobs.pack(bytes([number]) * size)
            blobs.store(tx, packed)
        for blob, type_name, number in ((1, "Email", 1), (1, "Email", 2), (2, "Queue", 1), (3, "Email", 3)):
            tx.execute("INSERT INTO blob_use VALUES (?, 1, ?, ?)", (blob, type_name, number))
        for blob in (1, 4):
            tx.execute("INSERT INTO upload (account, blob, at) VALUES (1, ?, 5)", (blob,))

    database.write(fill)
    database.close()
    schema.migrate(path, MIGRATIONS)
    database = Database(path)
    with database.read() as reader:
        assert usage.used(reader, 1, OCTETS) == 400
        assert usage.used(reader, 1, usage.UPLOADS) == 400 + blobs.UPLOAD_OVERHEAD
    database.close()


def test_a_number_that_is_wrong_is_found(database):
    """`minijmap check` counts anew."""
    key = use(database, b"a" * 10)
    database.write(lambda tx: blobs.add_upload(tx, key, 1, 5))
    database.write(lambda tx: tx.execute("UPDATE usage SET used = 11"))
    database.write(lambda tx: tx.execute("UPDATE upload SET free = 1"))
    with database.read() as reader:
        found = list(check._usage(reader))
    assert "Account a1 uses 10 octets of octets, and 11 are noted." in found
    assert "1 uploads are not known to be used, or to be unused." in found


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(("use", "queue", "unuse", "unqueue", "upload", "collect", "limit")),
        st.integers(0, 3),
        st.integers(1, 2),
        st.integers(1, 3),
    ),
    max_size=30,
)


@given(operations=OPERATIONS)
@settings(max_examples=60, deadline=None)
def test_the_numbers_are_those_that_sql_counts(tmp_path_factory, operations):
    """Whatever happens in whatever order, what is kept is what counting finds, and no limit is passed."""
    folder = tmp_path_factory.mktemp("usage")
    path, now = folder / "one.sqlite3", [1_000_000.0]
    if not EMPTY:
        schema.migrate(folder / "empty.sqlite3", MIGRATIONS)
        EMPTY.append(folder / "empty.sqlite3")
    shutil.copy(EMPTY[0], path)
    database = Database(path, clock=lambda: now[0])
    try:
        for name, octets, account, number in operations:
            now[0] += 3600 * octets
            run(database, name, bytes([octets]) * (10 + 10 * octets), account, number, int(now[0] * 1000))
        with database.read() as reader:
            assert list(check._usage(reader)) == []
            for account in (1, 2):
                limit = limits.limit(reader, account)
                assert limit is None or usage.used(reader, account, OCTETS) <= limit
    finally:
        database.close()


EMPTY: list = []


def run(database: Database, name: str, octets: bytes, account: int, number: int, now: int) -> None:
    """Do one thing of the property test."""
    packed = blobs.pack(octets)
    type_name = "Queue" if "queue" in name else "Thing"

    def job(tx) -> None:
        key = tx.value("SELECT key FROM blob WHERE digest = ?", (packed.digest,))
        if name in ("use", "queue"):
            blobs.add_use(tx, blobs.store(tx, packed), account, type_name, number)
        elif name in ("unuse", "unqueue") and key is not None:
            blobs.remove_use(tx, key, account, type_name, number)
        elif name == "upload":
            blobs.add_upload(tx, blobs.store(tx, packed), account, now, 2100)
        elif name == "collect":
            blobs.collect(tx, now)
        elif name == "limit" and usage.used(tx, account, OCTETS) <= number * 25:
            limits.set_own(tx, account, number * 25)

    try:
        database.write(job)
    except OverQuota:
        database.write(blobs.sweep)
