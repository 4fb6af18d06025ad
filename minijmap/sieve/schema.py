"""The tables of Sieve in the house: the scripts of each account, and what scripts remember between messages.

`sieve_script` has the SieveScripts of RFC 9661; one row of an account may be the VacationResponse shown as a script
(see `vacationscript`). `sieve_record` is what a script that has run wants to know later, each with an end: whom it has
answered (RFC 5230 §4.2), which ids it has seen (RFC 7352), of what the user was told; `sieve_sent` counts the messages
that scripts have sent on a day.
"""

from minijmap.store.schema import Migration

SIEVE_MIGRATIONS = (
    Migration(
        "sieve-1",
        """
        CREATE TABLE sieve_script (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            blob INTEGER NOT NULL,
            kind TEXT NOT NULL,                     -- 'user', or 'vacation': made from the VacationResponse
            chosen INTEGER NOT NULL DEFAULT 0,      -- 1: the VacationResponse was enabled by activating its script
            doc TEXT NOT NULL,
            name TEXT GENERATED ALWAYS AS (doc ->> '$.name') VIRTUAL,
            is_active INTEGER GENERATED ALWAYS AS (doc ->> '$.isActive') VIRTUAL
        ) STRICT;
        CREATE INDEX sieve_script_created ON sieve_script (account, created);
        CREATE INDEX sieve_script_changed ON sieve_script (account, changed);
        CREATE INDEX sieve_script_name ON sieve_script (account, name);
        CREATE TABLE sieve_record (
            account INTEGER NOT NULL,
            kind TEXT NOT NULL,                     -- see sieve.records
            id BLOB NOT NULL,                       -- a digest
            expires_at INTEGER NOT NULL,            -- milliseconds
            PRIMARY KEY (account, kind, id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX sieve_record_expires ON sieve_record (expires_at);
        CREATE TABLE sieve_sent (
            account INTEGER NOT NULL,
            day INTEGER NOT NULL,                   -- since the epoch
            count INTEGER NOT NULL,
            PRIMARY KEY (account, day)
        ) STRICT, WITHOUT ROWID;
        """,
    ),
)
