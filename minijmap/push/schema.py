"""The tables of push: subscriptions (`subscriptions`) and the keys that speak for the server (`vapid`).

A subscription belongs to the credential that made it. Whatever removes or changes a credential, in whatever process,
destroys what it has made (RFC 8620 §7.2): that is said here, where nobody can forget it.
"""

from minijmap.store.schema import Migration

PUSH_MIGRATIONS = (
    Migration(
        "push-1",
        """
        CREATE TABLE vapid_key (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            secret BLOB NOT NULL,               -- 32 octets
            public BLOB NOT NULL,               -- an uncompressed point
            made_at INTEGER NOT NULL,           -- milliseconds
            retired_at INTEGER                  -- NULL: it is the one that is announced
        ) STRICT;
        CREATE TABLE push_subscription (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            credential INTEGER NOT NULL,
            user INTEGER NOT NULL,
            vapid INTEGER NOT NULL,             -- the key that was announced when it was made
            url TEXT NOT NULL,
            keys TEXT,                          -- JSON, as the client gave them
            code TEXT NOT NULL,
            phase TEXT NOT NULL,                -- 'new'; 'asked': the code was sent, once; 'verified'
            expires INTEGER NOT NULL,           -- milliseconds
            pushed TEXT NOT NULL,               -- what its client knows: see subscriptions.Pushed
            failing_since INTEGER,              -- milliseconds
            failures INTEGER NOT NULL DEFAULT 0,
            next_attempt INTEGER NOT NULL DEFAULT 0,
            doc TEXT NOT NULL
        ) STRICT;
        CREATE INDEX push_subscription_credential ON push_subscription (credential);
        CREATE INDEX push_subscription_user ON push_subscription (user);
        CREATE TRIGGER push_subscription_revoked AFTER DELETE ON credential BEGIN
            DELETE FROM push_subscription WHERE credential = old.key;
        END;
        CREATE TRIGGER push_subscription_changed AFTER UPDATE OF secret ON credential
        WHEN new.secret IS NOT old.secret BEGIN
            DELETE FROM push_subscription WHERE credential = old.key;
        END;
        """,
    ),
)
