"""The schema's history: named migrations, each applied once, and the tables that belong to the store itself.

Owns how a file comes into being and how an older one becomes a newer one. The families of types (mail, contacts, …)
bring their own migrations; `server` puts them in order. Must not know what another family's tables hold.
"""

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from minijmap.store.database import BUSY_SECONDS, connect


class NewerFile(Exception):
    """The file was written by a newer minijmap; opening it could lose what that version knows."""


class OlderFile(Exception):
    """The file was written by an older minijmap, and has not been brought up to date."""


class NotOurFile(Exception):
    """The file is a SQLite database, or something else, that minijmap did not make."""


@dataclass(frozen=True)
class Migration:
    """One step of the schema. Never edited after a release: a later step corrects an earlier one."""

    name: str
    sql: str


STORE_MIGRATIONS = (
    Migration(
        "store-1",
        """
        CREATE TABLE user (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            address TEXT NOT NULL UNIQUE,       -- lower case: the login name and the first address
            name TEXT NOT NULL,
            created_at INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE credential (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            user INTEGER NOT NULL,
            label TEXT,                         -- NULL: the password; else an app password's name
            secret TEXT NOT NULL,               -- scrypt$… for a password, sha256$… for an app password
            created_at INTEGER NOT NULL,
            UNIQUE (user, label)
        ) STRICT;
        CREATE INDEX credential_secret ON credential (secret) WHERE label IS NOT NULL;
        CREATE TABLE account (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            user INTEGER NOT NULL,
            name TEXT NOT NULL,
            modseq INTEGER NOT NULL DEFAULT 0   -- the last one given to a change
        ) STRICT;
        CREATE INDEX account_user ON account (user);
        CREATE TABLE state (
            account INTEGER NOT NULL,
            type TEXT NOT NULL,
            modseq INTEGER NOT NULL,            -- of the type's last change
            pruned INTEGER NOT NULL DEFAULT 0,  -- tombstones up to this modseq are gone
            PRIMARY KEY (account, type)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE tombstone (
            account INTEGER NOT NULL,
            type TEXT NOT NULL,
            destroyed INTEGER NOT NULL,
            created INTEGER NOT NULL,
            key INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (account, type, destroyed)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE blob (
            key INTEGER PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,        -- the first 20 octets of the SHA-256
            size INTEGER NOT NULL,              -- octets as received
            codec INTEGER NOT NULL,             -- 0 none, 1 zlib
            stored BLOB NOT NULL
        ) STRICT;
        CREATE TABLE blob_use (
            blob INTEGER NOT NULL,
            account INTEGER NOT NULL,
            type TEXT NOT NULL,
            object INTEGER NOT NULL,
            PRIMARY KEY (blob, account, type, object)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE upload (
            account INTEGER NOT NULL,
            blob INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (account, blob)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX upload_blob ON upload (blob);
        """,
    ),
    Migration(
        "store-2",
        """
        ALTER TABLE upload ADD COLUMN free INTEGER NOT NULL DEFAULT 1;     -- 1: no object of the account refers to it
        UPDATE upload SET free = NOT EXISTS (
            SELECT 1 FROM blob_use AS u WHERE u.blob = upload.blob AND u.account = upload.account);
        CREATE INDEX upload_free ON upload (account, at) WHERE free = 1;
        CREATE INDEX upload_at ON upload (at);
        CREATE TABLE usage (                -- see usage
            account INTEGER NOT NULL,
            resource TEXT NOT NULL,
            used INTEGER NOT NULL,
            PRIMARY KEY (account, resource)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO usage
            SELECT u.account, 'octets', sum(b.size)
            FROM (SELECT DISTINCT account, blob FROM blob_use WHERE type <> 'Queue') AS u
            JOIN blob AS b ON b.key = u.blob GROUP BY u.account;
        INSERT INTO usage
            SELECT u.account, 'uploads', sum(b.size + 1000)
            FROM upload AS u JOIN blob AS b ON b.key = u.blob WHERE u.free = 1 GROUP BY u.account;
        CREATE TABLE quota (                -- a row for each limit that an account has: Quota objects (RFC 9425)
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            reshaped INTEGER NOT NULL,      -- the last change of anything but what is used
            doc TEXT NOT NULL DEFAULT '{}',
            resource TEXT NOT NULL,
            hard_limit INTEGER NOT NULL,
            UNIQUE (account, resource)
        ) STRICT;
        CREATE INDEX quota_created ON quota (account, created);
        CREATE INDEX quota_changed ON quota (account, changed);
        CREATE TABLE quota_setting (        -- see limits
            account INTEGER PRIMARY KEY,    -- 0: the whole household
            octets INTEGER NOT NULL         -- 0: no limit
        ) STRICT;
        """,
    ),
)


def migrate(path: Path, migrations: Sequence[Migration]) -> Path | None:
    """Bring the file at `path` to the newest schema, making it if it is not there.

    All pending steps run in one transaction, after an online copy of a file that already holds something. Returns the
    copy's path, or None when none was needed. Raises NewerFile or NotOurFile, with the file untouched.
    """
    with contextlib.closing(_open(path)) as connection:
        applied = _applied(connection, path)
        pending = _pending(path, applied, migrations)
        if not pending:
            return None
        copy = _copy(connection, path, pending[0].name) if applied else None
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been faster: `user add` while `serve` starts.
            pending = _pending(path, _applied(connection, path), migrations)
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT"
            )
            for migration in pending:
                _apply(connection, migration)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has rolled back already
                connection.execute("ROLLBACK")
            raise
        return copy


def open_current(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """Open a file that must have the newest schema already. Raises OlderFile, NewerFile or NotOurFile."""
    with contextlib.closing(_open(path)) as connection:
        pending = _pending(path, _applied(connection, path), migrations)
    if pending:
        raise OlderFile(
            f"{path} was written by an older minijmap (it lacks the schema step “{pending[0].name}”): "
            "`minijmap serve` brings it up to date, after making a copy."
        )
    return _open(path)


def _pending(path: Path, applied: Sequence[str], migrations: Sequence[Migration]) -> list[Migration]:
    known = {migration.name for migration in migrations}
    unknown = [name for name in applied if name not in known]
    if unknown:
        raise NewerFile(
            f"{path} was written by a newer minijmap (it has the schema step “{unknown[0]}”, which this version does "
            "not know): start it with that version, or take a copy made before the upgrade."
        )
    return [migration for migration in migrations if migration.name not in applied]


def _open(path: Path) -> sqlite3.Connection:
    try:
        # A look comes first: the pragmas of the house would turn another program's file into a WAL file.
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as look:
            _applied(look, path)
        return connect(path)
    except sqlite3.DatabaseError as error:
        raise NotOurFile(f"{path} cannot be opened as a minijmap file: {error}.") from error


def _applied(connection: sqlite3.Connection, path: Path) -> list[str]:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if "migration" in tables:
        return [row[0] for row in connection.execute("SELECT name FROM migration ORDER BY rowid")]
    if tables:
        raise NotOurFile(f"{path} is a SQLite file of another program: name another data folder.")
    return []


def _copy(connection: sqlite3.Connection, path: Path, step: str) -> Path:
    target = path.with_name(f"{path.stem}.before-{step}.sqlite3")
    os.close(os.open(target, os.O_RDWR | os.O_CREAT, 0o600))  # it holds the same mail as the file
    with contextlib.closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
    return target


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    for statement in _statements(migration.sql):
        connection.execute(statement)
    connection.execute("INSERT INTO migration VALUES (?, ?)", (migration.name, int(time.time() * 1000)))


def _statements(sql: str) -> Iterator[str]:
    """Split a script: `executescript` would commit, and all steps share one transaction."""
    statement = ""
    for piece in re.split("(?<=;)", sql):
        statement += piece
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
