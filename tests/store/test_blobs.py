"""Blobs: the same octets once, for those who refer to them, as long as they do, and a day for what was uploaded."""

import base64
import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.store import blobs, check, usage
from minijmap.store.database import Database

DAY = 24 * 3600 * 1000
HOUR = 3600 * 1000
TEXT = b"".join(b"line %d of a text that is worth its compression\r\n" % n for n in range(200))


def keep(database: Database, octets: bytes, account: int = 1, number: int = 1) -> tuple[int, str]:
    """Store octets as a Thing's; return the blob's key and id."""
    packed = blobs.pack(octets)

    def job(tx) -> int:
        key = blobs.store(tx, packed)
        blobs.add_use(tx, key, account, "Thing", number)
        return key

    return database.write(job), packed.blob_id


def opened(database: Database, blob_id: str, account: int = 1) -> bytes | None:
    """What an account sees of a blob."""
    with database.read() as reader:
        return blobs.open_blob(reader, account, blob_id)


def count(database: Database) -> int:
    """How many blobs there are."""
    with database.read() as reader:
        return reader.value("SELECT count(*) FROM blob")


def collect(database: Database, now: int) -> int:
    """Collect what nothing refers to."""
    return database.write(lambda tx: blobs.collect(tx, now))


@pytest.mark.parametrize("octets", [b"", b"x", b"\x00" * 511, b"\x00" * 512, TEXT, os.urandom(5000)])
def test_octets_come_back_as_they_were(database, octets):
    """Compressed or not, with their size, under an id made of their digest."""
    key, blob_id = keep(database, octets)

    assert blob_id == "b" + hashlib.sha256(octets).hexdigest()[:40]
    assert opened(database, blob_id) == octets
    with database.read() as reader:
        assert blobs.find(reader, 1, blob_id) == key
        assert blobs.size(reader, key) == len(octets)
        assert blobs.read(reader, key) == octets


def test_compression_must_pay():
    """Short or random octets are stored as they are; a text becomes smaller."""
    assert blobs.pack(b"a" * 511).codec == blobs.NO_CODEC
    assert blobs.pack(os.urandom(5000)).codec == blobs.NO_CODEC
    packed = blobs.pack(TEXT)
    assert (packed.codec, packed.size) == (blobs.ZLIB, len(TEXT))
    assert len(packed.stored) < len(TEXT) / 2


def test_the_same_octets_are_stored_once(database):
    """For any number of objects of any account."""
    first, blob_id = keep(database, TEXT)
    second, _ = keep(database, TEXT, number=2)
    third, _ = keep(database, TEXT, account=2)
    keep(database, TEXT)

    assert first == second == third
    assert count(database) == 1
    assert opened(database, blob_id, 2) == TEXT


def test_a_blob_is_for_those_who_have_it(database):
    """Another account that guesses the id gets nothing, until it uploads the same."""
    key, blob_id = keep(database, TEXT)
    assert opened(database, blob_id, 2) is None
    database.write(lambda tx: blobs.add_upload(tx, key, 2, 0))
    assert opened(database, blob_id, 2) == TEXT


def let_go(database: Database, key: int, account: int = 1, number: int = 1) -> None:
    """Have a Thing refer to a blob no longer."""
    database.write(lambda tx: blobs.remove_use(tx, key, account, "Thing", number))


def test_a_blob_stays_as_long_as_something_refers_to_it(make):
    """The last use of an account leaves it for an hour (RFC 8620 §6), and takes nothing from another account."""
    database = make(clock=lambda: 1000.0)
    key, blob_id = keep(database, TEXT)
    keep(database, TEXT, number=2)
    keep(database, TEXT, account=2)

    for account, number in ((1, 1), (1, 99), (2, 1)):
        let_go(database, key, account, number)
    assert collect(database, 1_000_000 + HOUR) == 0
    assert opened(database, blob_id, 2) == TEXT
    assert collect(database, 1_000_001 + HOUR) == 0
    assert opened(database, blob_id, 2) is None
    assert opened(database, blob_id) == TEXT
    let_go(database, key, number=2)
    assert opened(database, blob_id) == TEXT
    assert collect(database, 1_000_000 + HOUR) == 0
    assert collect(database, 1_000_001 + HOUR) == 1
    assert (opened(database, blob_id), count(database)) == (None, 0)


def test_an_upload_stays_for_a_day(database):
    """Exactly, from the last time it came; then it goes unless something refers to it."""
    packed = blobs.pack(TEXT)
    database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed), 1, 1000))

    assert collect(database, 1000 + DAY) == 0
    database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed), 1, 2000))
    assert collect(database, 1001 + DAY) == 0
    assert opened(database, packed.blob_id) == TEXT
    assert collect(database, 2001 + DAY) == 1
    assert (opened(database, packed.blob_id), count(database)) == (None, 0)


def test_an_upload_that_is_used_stays(make):
    """And one that is used no more stays for the rest of its day, or an hour at least (RFC 8620 §6)."""
    now = [1.0]
    database = make(clock=lambda: now[0])
    key, blob_id = keep(database, TEXT)
    database.write(lambda tx: blobs.add_upload(tx, key, 1, 1000))

    let_go(database, key)
    assert collect(database, 1000 + DAY) == 0
    assert opened(database, blob_id) == TEXT
    keep(database, TEXT)
    assert collect(database, 1001 + 2 * DAY) == 0
    assert opened(database, blob_id) == TEXT
    now[0] = (1001 + 2 * DAY) / 1000
    let_go(database, key)
    assert collect(database, 1001 + 2 * DAY + HOUR) == 0
    assert opened(database, blob_id) == TEXT
    assert collect(database, 1002 + 2 * DAY + HOUR) == 1


def test_uploads_have_a_quota_of_their_own(database):
    """What is too much makes the oldest go that nothing refers to, until there is room (RFC 8620 §6)."""
    sizes = (3000, 4000, 5000, 6000)
    packed = [blobs.pack(bytes([n]) * size) for n, size in enumerate(sizes)]
    most = sum(sizes[:3]) + 3 * blobs.UPLOAD_OVERHEAD

    def upload(number: int, at: int, account: int = 1) -> None:
        database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed[number]), account, at, most))

    for number, at in ((1, 10), (0, 20), (2, 30)):
        upload(number, at)
    assert [opened(database, one.blob_id) is not None for one in packed] == [True, True, True, False]
    keep(database, bytes([1]) * 4000)  # in use now: it neither goes nor counts
    upload(3, 40)
    assert [opened(database, one.blob_id) is not None for one in packed] == [False, True, True, True]
    upload(0, 5)  # older than the others, but the one for which there must be room
    assert [opened(database, one.blob_id) is not None for one in packed] == [True, True, False, True]
    upload(2, 50, account=2)
    assert opened(database, packed[2].blob_id, 2) is not None
    with database.read() as reader:
        assert usage.used(reader, 1, usage.UPLOADS) == 3000 + 6000 + 2 * blobs.UPLOAD_OVERHEAD
        assert list(check._usage(reader)) == []


def test_one_that_was_in_use_goes_before_uploads(make):
    """Throwing away much mail does not take the files that a letter is being written with."""
    database = make(clock=lambda: 1_000_000.0)
    key, old = keep(database, b"o" * 5000)
    upload = blobs.pack(b"u" * 5000)
    most = 2 * (5000 + blobs.UPLOAD_OVERHEAD)
    database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, upload), 1, 1_000_000_000 - HOUR, most))
    let_go(database, key)
    newest = blobs.pack(b"n" * 5000)
    database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, newest), 1, 1_000_000_000, most))

    assert opened(database, old) is None
    assert opened(database, upload.blob_id) is not None


def test_who_refers_to_a_blob(database):
    """Objects of one type and account, by the id of the blob."""
    _, blob_id = keep(database, TEXT)
    keep(database, TEXT, number=2)
    keep(database, TEXT, account=2, number=3)
    with database.read() as reader:
        assert blobs.holders(reader, 1, blob_id, "Thing") == [1, 2]
        assert blobs.holders(reader, 2, blob_id, "Thing") == [3]
        assert blobs.holders(reader, 1, blob_id, "Picture") == []
        assert blobs.holders(reader, 1, "b" + "0" * 40, "Thing") == []


def test_uploads_of_two_accounts(database):
    """The one that is over takes nothing from the other."""
    packed = blobs.pack(TEXT)
    for account, at in ((1, 0), (2, 5000)):
        database.write(lambda tx, a=account, t=at: blobs.add_upload(tx, blobs.store(tx, packed), a, t))

    assert collect(database, 1 + DAY) == 0
    assert opened(database, packed.blob_id) is None
    assert opened(database, packed.blob_id, 2) == TEXT


@pytest.mark.parametrize(
    "blob_id",
    [
        "",
        "b",
        "x" + "0" * 40,
        "b" + "0" * 39,
        "b" + "0" * 41,
        "b" + "g" * 40,
        "b" + "A" * 40,
        "b" + " " * 40,
        "b" + "\u0660" * 40,
        "b" + "0" * 40,
        "-",
        "-0-1-n",
    ],
)
def test_what_is_no_blob_id(database, blob_id):
    """Nothing is found, and nothing goes wrong."""
    keep(database, TEXT)

    assert opened(database, blob_id) is None


def test_upper_case_is_another_id(database):
    """A blob has one id."""
    _, blob_id = keep(database, TEXT)

    assert opened(database, "b" + blob_id[1:].upper()) is None


ENCODED = b"before " + base64.b64encode(b"content") + b" =C3=A9 after"


@pytest.mark.parametrize(
    ("inner", "octets"),
    [
        ("0-6-n", b"before"),
        ("0-0-n", b""),
        (f"{len(ENCODED)}-0-n", b""),
        (f"0-{len(ENCODED)}-n", ENCODED),
        ("7-12-b", b"content"),
        ("20-6-q", "é".encode()),
        ("7-12-n", base64.b64encode(b"content")),
        ("7-12-b-0-3-n", b"con"),
        ("7-12-b-0-8-n", None),
        ("", None),
        ("0-6", None),
        ("0-6-", None),
        ("0-6-x", None),
        ("0-6-N", None),
        ("0-6-n-", None),
        ("0-6-nn", None),
        ("0-6-n\n", None),
        (" 0-6-n", None),
        ("-1-6-n", None),
        ("0--6-n", None),
        ("00-6-n", None),
        ("0-06-n", None),
        ("\u0660-6-n", None),
        ("0-6-n-x", None),
        (f"0-{len(ENCODED) + 1}-n", None),
        (f"{len(ENCODED) + 1}-0-n", None),
        ("9999999999999-0-n", None),
        ("999999999999-999999999999-n", None),
    ],
)
def test_ranges_of_a_blob(database, inner, octets):
    """The decoded content of a range that is inside of the blob; anything else is not found."""
    _, blob_id = keep(database, ENCODED)

    assert opened(database, f"{blob_id}-{inner}") == octets
    assert opened(database, f"{blob_id}-{inner}", 2) is None


def test_the_id_of_a_range():
    """A range of a range is one of the whole where nothing needs decoding between."""
    assert blobs.range_id("b0", 3, 5, "q") == "b0-3-5-q"
    assert blobs.range_id("b0-10-20-n", 3, 5, "q") == "b0-13-5-q"
    assert blobs.range_id("b0-10-20-b", 3, 5, "n") == "b0-10-20-b-3-5-n"


@given(inner=st.text("0123456789-nqbu\n", max_size=20))
@settings(max_examples=200, deadline=None)
def test_no_range_does_harm(tmp_path_factory, inner):
    """Whatever the id, the answer is octets of the blob or nothing."""
    database = shared(tmp_path_factory)
    blob_id = blobs.pack(ENCODED).blob_id
    found = opened(database, f"{blob_id}-{inner}")

    assert found is None or len(found) <= len(ENCODED)


SHARED: list[Database] = []


def shared(tmp_path_factory) -> Database:
    """One database for all the examples of a property test."""
    from minijmap.store import schema
    from tests.store.samples import MIGRATIONS

    if not SHARED:
        path = tmp_path_factory.mktemp("blobs") / "shared.sqlite3"
        schema.migrate(path, MIGRATIONS)
        SHARED.append(Database(path))
        keep(SHARED[0], ENCODED)
    return SHARED[0]


@pytest.fixture(autouse=True, scope="module")
def closed():
    """Close it at the end."""
    yield
    for database in SHARED:
        database.close()
    SHARED.clear()
