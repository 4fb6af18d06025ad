"""Checking a file: SQLite's own integrity, and what the store's tables promise each other.

Yields one sentence for each thing that is wrong, nothing for a clean file. Must not know what other families' tables
promise.
"""

import hashlib
from collections.abc import Iterator

from minijmap.store import blobs
from minijmap.store.database import Reader

MOST_SHOWN = 20
"""Sentences about one kind of fault, at most."""


def problems(reader: Reader) -> Iterator[str]:
    """Yield what is wrong with the store's own tables."""
    for (message,) in reader.all(f"PRAGMA integrity_check({MOST_SHOWN})"):
        if message != "ok":
            yield f"SQLite: {message}"
    yield from _blobs(reader)
    yield from _orphans(reader)


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
