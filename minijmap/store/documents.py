"""Documents: rows of (key, account, created, changed, doc), one table per type, and what has changed since when.

Owns modseqs of objects, tombstones and the answer to “what changed since”. Each change of each object has a modseq of
its own, so any list of changes can be cut anywhere and resumed from there. Must not know what a document means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import merge
from typing import Any

import orjson

from minijmap.store import usage
from minijmap.store.database import Reader, Transaction

MOST_CHANGES = 10_000
"""Rows that one list of changes holds at most, whatever the caller asks."""


@dataclass(frozen=True)
class Collection:
    """Where the documents of a type live: its table, the name its states go by, the column that says whose they are."""

    table: str
    type_name: str
    owner: str = "account"
    most: int | None = None
    """How many of them an account may have; None for any number."""


@dataclass(frozen=True)
class ChangedKeys:
    """What changed since a modseq. `upto` is the modseq to go on from; `more` says whether there is anything left."""

    created: list[int]
    updated: list[int]
    destroyed: list[int]
    upto: int
    more: bool


class CannotCalculate(Exception):
    """The modseq is not one of ours, or so old that its tombstones are gone."""


def dump(document: Any) -> str:
    """Serialise a document for its column."""
    return orjson.dumps(document).decode()


def insert(tx: Transaction, place: Collection, account: int, document: Any, columns: Mapping[str, Any]) -> int:
    """Add a document, with the values of the table's own columns, and return its key.

    Raises OverQuota, with nothing written, when the account has as many as it may have.
    """
    if place.most is not None:
        usage.count(tx, account, place.type_name, place.most)
    modseq = tx.next_modseq(account)
    values = {"account": account, "created": modseq, "changed": modseq, "doc": dump(document), **columns}
    cursor = tx.execute(
        f"INSERT INTO {place.table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    tx.touch(account, place.type_name, modseq)
    key = cursor.lastrowid
    if key is None:  # pragma: no cover - SQLite gives every inserted row a rowid
        raise RuntimeError("An inserted row has no key.")
    return key


def update(
    tx: Transaction,
    place: Collection,
    account: int,
    key: int,
    document: Any,
    columns: Mapping[str, Any] | None = None,
) -> None:
    """Replace a document, and any of the table's own columns."""
    modseq = tx.next_modseq(account)
    values = {"changed": modseq, "doc": dump(document), **(columns or {})}
    assignments = ", ".join(f"{column} = ?" for column in values)
    tx.execute(
        f"UPDATE {place.table} SET {assignments} WHERE key = ? AND account = ?", (*values.values(), key, account)
    )
    tx.touch(account, place.type_name, modseq)


def mark_changed(tx: Transaction, place: Collection, account: int, key: int) -> None:
    """Give an object a new modseq although its document stays: something that is shown with it has changed."""
    modseq = tx.next_modseq(account)
    tx.execute(f"UPDATE {place.table} SET changed = ? WHERE key = ?", (modseq, key))
    tx.touch(account, place.type_name, modseq)


def destroy(tx: Transaction, place: Collection, account: int, key: int) -> bool:
    """Remove a document and leave a tombstone. False when there was none."""
    created = tx.value(f"SELECT created FROM {place.table} WHERE key = ? AND account = ?", (key, account))
    if created is None:
        return False
    tx.execute(f"DELETE FROM {place.table} WHERE key = ?", (key,))
    if place.most is not None:
        usage.add(tx, account, place.type_name, -1)
    modseq = tx.next_modseq(account)
    tx.execute(
        "INSERT INTO tombstone (account, type, destroyed, created, key, at) VALUES (?, ?, ?, ?, ?, ?)",
        (account, place.type_name, modseq, created, key, int(tx.clock())),
    )
    tx.touch(account, place.type_name, modseq)
    return True


def keys_after(reader: Reader, place: Collection, owner: int, key: int, most: int) -> list[int]:
    """Return the keys of the next documents of an owner after one, in the order in which they were made."""
    # By the key alone: an index of the owner's would have all of them sorted for every few.
    rows = reader.all(
        f"SELECT key FROM {place.table} WHERE key > ? AND +{place.owner} = ? ORDER BY key LIMIT ?", (key, owner, most)
    )
    return [row[0] for row in rows]


def existing(reader: Reader, place: Collection, account: int, keys: Iterable[int]) -> set[int]:
    """Return those of the keys that the account has."""
    found = reader.value(
        f"SELECT json_group_array(t.key) FROM json_each(?) AS asked CROSS JOIN {place.table} AS t "
        "ON t.key = asked.value WHERE t.account = ?",
        (dump(list(keys)), account),
    )
    return set(orjson.loads(found))


def load(reader: Reader, place: Collection, account: int, key: int) -> Any:
    """Return one document, or None."""
    text = reader.value(f"SELECT doc FROM {place.table} WHERE key = ? AND account = ?", (key, account))
    return None if text is None else orjson.loads(text)


def changes(reader: Reader, place: Collection, account: int, since: int, most: int | None) -> ChangedKeys:
    """Return the keys created, updated and destroyed since a modseq, at most `most` of them.

    An object counts at one place only: where it was created, if that is after `since`; else at its last change. What
    was created and destroyed since is left out (RFC 8620 §5.2). Raises CannotCalculate.
    """
    current = reader.state(account, place.type_name)
    check_since(reader, place, account, since, current)
    limit = min(most or MOST_CHANGES, MOST_CHANGES)
    since_rows = (account, since, limit + 1)
    created = _pairs(
        reader,
        f"SELECT created, key FROM {place.table} WHERE account = ? AND created > ? ORDER BY created LIMIT ?",
        since_rows,
    )
    updated = _pairs(
        reader,
        f"SELECT changed, key FROM {place.table} WHERE account = ?1 AND changed > ?2 AND created <= ?2 "
        "ORDER BY changed LIMIT ?3",
        since_rows,
    )
    destroyed = _pairs(
        reader,
        "SELECT destroyed, key FROM tombstone WHERE account = ?1 AND type = ?4 AND destroyed > ?2 AND created <= ?2 "
        "ORDER BY destroyed LIMIT ?3",
        (*since_rows, place.type_name),
    )
    in_order = list(
        merge(
            ((modseq, key, 0) for modseq, key in created),
            ((modseq, key, 1) for modseq, key in updated),
            ((modseq, key, 2) for modseq, key in destroyed),
        )
    )
    told, more = in_order[:limit], len(in_order) > limit
    groups: tuple[list[int], list[int], list[int]] = ([], [], [])
    for _, key, group in told:
        groups[group].append(key)
    return ChangedKeys(*groups, upto=told[-1][0] if more else current, more=more)


def check_since(reader: Reader, place: Collection, account: int, since: int, current: int) -> None:
    """Raise CannotCalculate for a state that was never given out, or whose tombstones are pruned."""
    pruned = reader.value("SELECT pruned FROM state WHERE account = ? AND type = ?", (account, place.type_name)) or 0
    if since > current:
        raise CannotCalculate(f"No state {since} of {place.type_name} has been given out: the newest is {current}.")
    if since < pruned:
        raise CannotCalculate(f"State {since} of {place.type_name} is too old; changes are known since {pruned}.")


def prune_tombstones(tx: Transaction, before: int) -> int:
    """Forget what was destroyed before `before` (seconds since the epoch). Returns how many tombstones went."""
    oldest = tx.all(
        "SELECT account, type, max(destroyed) FROM tombstone WHERE at < ? GROUP BY account, type", (before,)
    )
    gone = 0
    for account, type_name, upto in oldest:
        tx.execute("UPDATE state SET pruned = ? WHERE account = ? AND type = ?", (upto, account, type_name))
        gone += tx.execute(
            "DELETE FROM tombstone WHERE account = ? AND type = ? AND destroyed <= ?", (account, type_name, upto)
        ).rowcount
    return gone


def _pairs(reader: Reader, sql: str, parameters: tuple[Any, ...]) -> list[list[int]]:
    """Fetch (modseq, key) rows as one value: many rows would give the GIL away many times."""
    rows: list[list[int]] = orjson.loads(
        reader.value(
            f"WITH found(modseq, key) AS ({sql}) SELECT json_group_array(json_array(modseq, key)) FROM found",
            parameters,
        )
    )
    return rows
