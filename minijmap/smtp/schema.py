"""The tables of SMTP: the keys that sign mail (`dkimkeys`), and who was put off (`greylist`).

The queue's are mail's (see `mail.schema`).
"""

from minijmap.store.schema import Migration

SMTP_MIGRATIONS = (
    Migration(
        "smtp-dkim-1",
        """
        CREATE TABLE dkim_key (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            domain TEXT NOT NULL,               -- in A-labels
            selector TEXT NOT NULL,
            algorithm TEXT NOT NULL,            -- 'rsa-sha256' or 'ed25519-sha256'
            secret BLOB NOT NULL,               -- PKCS #8, DER
            public TEXT NOT NULL,               -- the p= of the record, base64
            state TEXT NOT NULL,                -- 'next', 'active' or 'retired'
            at INTEGER NOT NULL,                -- since when, in milliseconds
            UNIQUE (domain, selector)
        ) STRICT;
        """,
    ),
    Migration(
        "smtp-greylist-1",
        """
        CREATE TABLE greylist (
            network TEXT NOT NULL,              -- of the client, in CIDR notation
            sender TEXT NOT NULL,               -- the reverse-path, in lower case
            account INTEGER NOT NULL,           -- the recipient's, who waits for it; 0: known to everybody
            at INTEGER NOT NULL,                -- first seen, or last used when known, in milliseconds
            PRIMARY KEY (network, sender, account)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX greylist_at ON greylist ((account > 0), at);
        CREATE INDEX greylist_network ON greylist ((account > 0), network, at);
        """,
    ),
)
