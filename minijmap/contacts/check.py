"""Checking contacts: everything that is kept beside a card is made anew and compared (see `schema`).

Yields one sentence for each thing that is wrong.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from minijmap.contacts import cards, cardsearch, jscontact, media
from minijmap.jmap.values import ValueProblem
from minijmap.store import blobs
from minijmap.store.check import index_problems
from minijmap.store.database import Reader

MOST_SHOWN: Final = 20

# Each statement finds rows that can't be: (what is wrong, SQL giving one text a row).
RULES: Final = (
    (
        "Accounts without exactly one default AddressBook",
        """
        SELECT 'a' || key FROM account AS a
        WHERE (SELECT count(*) FROM address_book AS b WHERE b.account = a.key AND b.is_default = 1) <> 1
        """,
    ),
    (
        "AddressBooks of an account that is not there",
        "SELECT 'ab' || key FROM address_book WHERE account NOT IN (SELECT key FROM account)",
    ),
    (
        "ContactCards of an account that is not there",
        "SELECT 'c' || key FROM contact_card WHERE account NOT IN (SELECT key FROM account)",
    ),
    (
        "ContactCards in an AddressBook that is not there",
        """
        SELECT 'c' || c.key FROM card_book AS x CROSS JOIN contact_card AS c ON c.key = x.card
        WHERE NOT EXISTS (SELECT 1 FROM address_book AS b WHERE b.key = x.book AND b.account = c.account)
        """,
    ),
    (
        "ContactCards with the uid of another",
        "SELECT 'c' || max(key) FROM card_index GROUP BY account, uid HAVING count(*) > 1",
    ),
    (
        "ContactCards that are not there and kept for queries",
        """
        SELECT 'c' || key FROM (SELECT key FROM card_index UNION SELECT card FROM card_book
            UNION SELECT card FROM card_member UNION SELECT card FROM card_email UNION SELECT rowid FROM card_search)
        WHERE key NOT IN (SELECT key FROM contact_card)
        """,
    ),
)


def problems(reader: Reader) -> Iterator[str]:
    """Yield what is wrong with contacts."""
    for what, sql in RULES:
        found = [row[0] for row in reader.all(f"SELECT * FROM ({sql}) LIMIT ?", (MOST_SHOWN + 1,))]
        if found:
            more = ", …" if len(found) > MOST_SHOWN else ""
            yield f"{what}: {', '.join(found[:MOST_SHOWN])}{more}."
    shown = 0
    for (account,) in reader.all("SELECT DISTINCT account FROM contact_card"):
        for (key,) in reader.all("SELECT key FROM contact_card WHERE account = ?", (account,)):
            wrong = next(_card(reader, account, key), None)
            if wrong is not None and shown < MOST_SHOWN:
                shown += 1
                yield f"ContactCard c{key} {wrong}."
    yield from index_problems(reader, "card_search", "The index of cards' words")


def _card(reader: Reader, account: int, key: int) -> Iterator[str]:
    """Say what is wrong with one card."""
    document = orjson.loads(reader.value("SELECT doc FROM contact_card WHERE key = ?", (key,)))
    card = {name: value for name, value in document.items() if name not in cards.OWN}
    try:
        jscontact.check_card(card)
    except ValueProblem as problem:
        yield f"is no Card: “{problem.path}” {problem.sentence}"
        return
    columns = ", ".join(cards.INDEX_COLUMNS)
    if reader.one(f"SELECT {columns} FROM card_index WHERE key = ?", (key,)) != cards.index_row(key, account, document):
        yield "is not as kept for queries"
    for table, rows in cards.rows_beside(key, account, document).items():
        if sorted(reader.all(f"SELECT * FROM {table} WHERE card = ?", (key,))) != sorted(rows):
            yield f"is not as kept in {table}"
    if not document["addressBookIds"]:
        yield "is in no AddressBook"
    columns = ", ".join(cardsearch.INDEXED)
    if reader.one(f"SELECT {columns} FROM card_search WHERE rowid = ?", (key,)) != cards.search_row(account, document):
        yield "is not found by its words"
    if cards.blobs_used(reader, account, key) != _blobs(reader, card):
        yield "has other blobs than are kept for it"


def _blobs(reader: Reader, card: dict[str, Any]) -> set[int | None]:
    variants = jscontact.localized(card).values()
    ids = media.blob_ids([card, *variants])
    return {reader.value("SELECT key FROM blob WHERE digest = ?", (blobs.digest_of(one),)) for one in ids}
