"""Checking a file: SQLite's own integrity, and what the store's tables promise each other.

Yields one sentence for each thing that is wrong, nothing for a clean file. Must not know what other families' tables
promise.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from minijmap.store import blobs, usage
from minijmap.store.database import Reader, connect

MOST_SHOWN = 20
"""Sentences about one kind of fault, at most."""


def problems(reader: Reader) -> Iterator[str]:
    """Yield what is wrong with the store's own tables."""
    for (message,) in reader.all(f"PRAGMA integrity_check({MOST_SHOWN})"):
        if message != "ok":
            yield f"SQLite: {message}"
    yield from _blobs(reader)
    yield from _orphans(reader)
    yield from _usage(reader)


def index_problems(reader: Reader, table: str, name: str) -> Iterator[str]:
    """Have FTS5 check the structure of an index of words; `name` is what a person calls it.

    That is written as an INSERT and changes nothing, but it needs the right to write: the reader's snapshot has not got
    it, and on the file of a running server could not get it any more.
    """
    path = Path(reader.value("SELECT file FROM pragma_database_list WHERE name = 'main'"))
    with contextlib.closing(connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            yield f"{name} is damaged: {error}."
        finally:
            connection.execute("ROLLBACK")


def _blobs(reader: Reader) -> Iterator[str]:
    """Read every blob, one at a time, and compare it with its digest."""
    for (key,) in reader.all("SELECT key FROM blob"):
        digest, size = reader.one("SELECT digest, size FROM blob WHERE key = ?", (key,)) or (b"", 0)
        try:
            octets = blobs.read(reader, key)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it can't be read
            yield f"Blob {digest.hex()} can't be read: {error}."
            continue
        if len(octets) != size or hashlib.sha256(octets).digest()[: blobs.DIGEST_OCTETS] != digest:
            yield f"Blob {digest.hex()} is not what was stored."


def _orphans(reader: Reader) -> Iterator[str]:
    for table in ("blob_use", "upload"):
        missing = reader.value(f"SELECT count(*) FROM {table} WHERE blob NOT IN (SELECT key FROM blob)")
        if missing:
            yield f"{missing} rows of {table} refer to blobs that are not there."
    for table, column, owner in (
        ("account", "user", "user"),
        ("credential", "user", "user"),
        ("state", "account", "account"),
    ):
        missing = reader.value(f"SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT key FROM {owner})")
        if missing:
            yield f"{missing} rows of {table} belong to a {owner} that is not there."
    late = reader.value(
        "SELECT count(*) FROM state JOIN account ON account.key = state.account WHERE state.modseq > account.modseq"
    )
    if late:
        yield f"{late} states are newer than their account's last change."


def _usage(reader: Reader) -> Iterator[str]:
    """Count anew what each account uses, and compare."""
    wrong = reader.value(
        "SELECT count(*) FROM upload AS p WHERE free = EXISTS "
        "(SELECT 1 FROM blob_use AS u WHERE u.blob = p.blob AND u.account = p.account)"
    )
    if wrong:
        yield f"{wrong} uploads are not known to be used, or to be unused."
    for resource, fresh in (
        (usage.OCTETS, used_octets(reader)),
        (usage.UPLOADS, unreferenced_octets(reader)),
    ):
        kept = dict(reader.all("SELECT account, used FROM usage WHERE resource = ?", (resource,)))
        for account in sorted(fresh.keys() | kept.keys()):
            if fresh.get(account, 0) != kept.get(account, 0):
                yield (
                    f"Account a{account} uses {fresh.get(account, 0)} octets of {resource}, "
                    f"and {kept.get(account, 0)} are noted."
                )


def used_octets(reader: Reader) -> dict[int, int]:
    """Count, by account, the octets of blobs that objects refer to."""
    rows = reader.all(
        "SELECT u.account, sum(b.size) FROM (SELECT DISTINCT account, blob FROM blob_use "
        f"WHERE type NOT IN ({', '.join('?' * len(blobs.INTERNAL))})) AS u JOIN blob AS b ON b.key = u.blob "
        "GROUP BY u.account",
        blobs.INTERNAL,
    )
    return dict(rows)


def unreferenced_octets(reader: Reader) -> dict[int, int]:
    """Count, by account, what is counted of uploads that nothing refers to."""
    rows = reader.all(
        "SELECT p.account, sum(b.size + ?) FROM upload AS p JOIN blob AS b ON b.key = p.blob WHERE NOT EXISTS "
        "(SELECT 1 FROM blob_use AS u WHERE u.blob = p.blob AND u.account = p.account) GROUP BY p.account",
        (blobs.UPLOAD_OVERHEAD,),
    )
    return dict(rows)
