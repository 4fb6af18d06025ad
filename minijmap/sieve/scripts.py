"""The rows of SieveScripts: their contents, names, and the mark of the active one.

Owns how a script is stored and found. Which script is to be active, and what goes with that, is `activity`'s. Must not
know the language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from minijmap.store import blobs, documents
from minijmap.store.blobs import PackedBlob
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import Collection

SCRIPTS: Final = Collection("sieve_script", "SieveScript")
USER, VACATION = "user", "vacation"
"""The kinds of scripts: a user's own, and the one that shows the VacationResponse (RFC 9661 §4)."""


@dataclass(frozen=True)
class Stored:
    """A script as it is stored. `blob` is the key of its content, `digest` that blob's."""

    key: int
    kind: str
    blob: int
    digest: bytes
    chosen: bool
    document: Mapping[str, Any]

    @property
    def is_active(self) -> bool:
        """Whether it is shown as the active one."""
        return bool(self.document["isActive"])


def load(reader: Reader, account: int, key: int) -> Stored | None:
    """Return a script, or None if the account has no such one."""
    return _one(reader, "s.key = ? AND s.account = ?", (key, account))


def active(reader: Reader, account: int) -> Stored | None:
    """Return the script that is shown as active, or None."""
    return _one(reader, "s.account = ? AND s.is_active", (account,))


def named(reader: Reader, account: int, name: str) -> Stored | None:
    """Return the script with a name, or None."""
    return _one(reader, "s.account = ? AND s.name = ?", (account, name))


def of_vacation(reader: Reader, account: int) -> Stored | None:
    """Return the script that shows the VacationResponse, or None if that was never set up."""
    return _one(reader, "s.account = ? AND s.kind = 'vacation'", (account,))


def _one(reader: Reader, condition: str, parameters: tuple[Any, ...]) -> Stored | None:
    row = reader.one(
        "SELECT s.key, s.kind, s.blob, b.digest, s.chosen, s.doc FROM sieve_script AS s "
        f"JOIN blob AS b ON b.key = s.blob WHERE {condition} LIMIT 1",
        parameters,
    )
    if row is None:
        return None
    key, kind, blob, digest, chosen, document = row
    return Stored(key, kind, blob, digest, bool(chosen), orjson.loads(document))


def add(tx: Transaction, account: int, name: str, content: PackedBlob, kind: str) -> int:
    """Store a new script, not active, and return its key. The caller has seen to it that the name is free."""
    blob = blobs.store(tx, content)
    document = {"name": name, "blobId": content.blob_id, "isActive": False}
    key = documents.insert(tx, SCRIPTS, account, document, {"blob": blob, "kind": kind})
    _hold(tx, account, key, blob, kind)
    return key


def change(tx: Transaction, account: int, script: Stored, content: PackedBlob | None = None, **members: Any) -> None:
    """Store a script that has another content, or other properties."""
    document = {**script.document, **members}
    columns: dict[str, Any] = {}
    if content is not None:
        columns["blob"] = blobs.store(tx, content)
        document["blobId"] = content.blob_id
        blobs.remove_use(tx, script.blob, account, SCRIPTS.type_name, script.key)
        _hold(tx, account, script.key, columns["blob"], script.kind)
    documents.update(tx, SCRIPTS, account, script.key, document, columns)


def _hold(tx: Transaction, account: int, key: int, blob: int, kind: str) -> None:
    # The VacationResponse can be changed in a full account too.
    blobs.add_use(tx, blob, account, SCRIPTS.type_name, key, enforced=kind == USER)


def choose(tx: Transaction, account: int, *, chosen: bool) -> None:
    """Note whether the VacationResponse was enabled by activating its script."""
    tx.execute("UPDATE sieve_script SET chosen = ? WHERE account = ? AND kind = 'vacation'", (int(chosen), account))


def free_name(reader: Reader, account: int, name: str) -> str:
    """Return a name, or with a number after it, so that no script has it."""
    candidate, number = name, 1
    while reader.value("SELECT 1 FROM sieve_script WHERE account = ? AND name = ?", (account, candidate)):
        number += 1
        candidate = f"{name} {number}"
    return candidate


def flags(reader: Reader, account: int) -> dict[int, bool]:
    """Return which scripts are shown as active, by key."""
    rows = reader.all("SELECT key, is_active FROM sieve_script WHERE account = ?", (account,))
    return {key: bool(is_active) for key, is_active in rows}


def remove_account(tx: Transaction, account: int) -> None:
    """Remove all that an account has of Sieve."""
    for key, blob in tx.all("SELECT key, blob FROM sieve_script WHERE account = ?", (account,)):
        blobs.remove_use(tx, blob, account, SCRIPTS.type_name, key)
    for table in ("sieve_script", "sieve_record", "sieve_sent"):
        tx.execute(f"DELETE FROM {table} WHERE account = ?", (account,))
