"""The tables of SMTP: the keys that sign mail (see `dkimkeys`). The queue's are mail's (see `mail.schema`)."""

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
)
