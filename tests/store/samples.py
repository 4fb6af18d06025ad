"""Tables for tests of the store: `note` holds one number a row, `thing` is a collection of documents."""

from minijmap.store import schema
from minijmap.store.documents import Collection

THINGS = Collection("thing", "Thing")
MIGRATIONS = [
    *schema.STORE_MIGRATIONS,
    schema.Migration(
        "sample-1",
        """
        CREATE TABLE note (number INTEGER PRIMARY KEY) STRICT;
        CREATE TABLE thing (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            doc TEXT NOT NULL,
            mark INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE TABLE owner (key INTEGER PRIMARY KEY) STRICT;
        CREATE TABLE owned (owner INTEGER NOT NULL REFERENCES owner (key) DEFERRABLE INITIALLY DEFERRED) STRICT;
        INSERT INTO account (user, name) VALUES (1001, 'first'), (1002, 'second');
        """,
    ),
]
