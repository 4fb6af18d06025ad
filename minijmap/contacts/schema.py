"""The tables of contacts, and what they promise each other.

`address_book` and `contact_card` are documents. Beside a card, kept in the same transaction: `card_index` is the narrow
row that queries walk and sort, `card_book` and `card_member` where it belongs and who belongs to it, `card_email` by
what addresses it is known, `card_search` its words. `minijmap check` makes all of them anew and compares.
"""

from typing import Final

from minijmap.store.schema import Migration

DEFAULT_BOOK: Final = "Contacts"

CONTACTS_MIGRATIONS: Final = (
    Migration(
        "contacts-1",
        f"""
        CREATE TABLE address_book (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            is_default INTEGER NOT NULL DEFAULT 0,
            doc TEXT NOT NULL
        ) STRICT;
        CREATE INDEX address_book_created ON address_book (account, created);
        CREATE INDEX address_book_changed ON address_book (account, changed);
        CREATE UNIQUE INDEX address_book_default ON address_book (account) WHERE is_default = 1;
        INSERT INTO address_book (account, created, changed, is_default, doc)   -- accounts of before get theirs
            SELECT key, 0, 0, 1, json_object('name', '{DEFAULT_BOOK}', 'description', NULL, 'sortOrder', 0,
                'isSubscribed', json('true'), 'shareWith', NULL)
            FROM account;
        CREATE TABLE contact_card (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            account INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            doc TEXT NOT NULL
        ) STRICT;
        CREATE INDEX contact_card_created ON contact_card (account, created);
        CREATE INDEX contact_card_changed ON contact_card (account, changed);
        CREATE TABLE card_index (
            key INTEGER PRIMARY KEY,                -- the card's
            account INTEGER NOT NULL,
            uid TEXT NOT NULL,
            kind TEXT NOT NULL,
            created_at INTEGER NOT NULL,            -- milliseconds
            updated_at INTEGER NOT NULL,            -- milliseconds
            given TEXT,                             -- the first component of the name of this kind
            surname TEXT,
            surname2 TEXT,
            given_key TEXT,                         -- the same as i;unicode-casemap has it
            surname_key TEXT,
            surname2_key TEXT
        ) STRICT;
        CREATE INDEX card_index_uid ON card_index (account, uid);
        CREATE INDEX card_index_created ON card_index (account, created_at, key);
        CREATE INDEX card_index_updated ON card_index (account, updated_at, key);
        CREATE INDEX card_index_given ON card_index (account, given_key, surname_key, key);
        CREATE INDEX card_index_surname ON card_index (account, surname_key, given_key, key);
        CREATE INDEX card_index_surname2 ON card_index (account, surname2_key, key);
        CREATE TABLE card_book (
            book INTEGER NOT NULL,
            card INTEGER NOT NULL,
            PRIMARY KEY (book, card)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX card_book_card ON card_book (card);
        CREATE TABLE card_member (
            account INTEGER NOT NULL,
            member TEXT NOT NULL,                   -- the uid of a card, here or anywhere
            card INTEGER NOT NULL,
            PRIMARY KEY (account, member, card)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX card_member_card ON card_member (card);
        CREATE TABLE card_email (
            account INTEGER NOT NULL,
            address TEXT NOT NULL,                  -- in the form in which addresses are compared
            card INTEGER NOT NULL,
            PRIMARY KEY (account, address, card)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX card_email_card ON card_email (card);
        CREATE VIRTUAL TABLE card_search USING fts5 (
            name, given, surname, surname2, nickname, organization, email, phone, online, address, note, other, places,
            tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
        );
        """,
    ),
)
