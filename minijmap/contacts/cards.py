"""Cards in the store: what is kept beside each (see `schema`), and the public functions for everybody else.

`knows`, `find_card` and `cards` read; `add_card` and `update_card` write a whole Card, as an import does, with all that
ContactCard/set demands. The caller of an import decides what becomes of a card that is there already. Must not know a
JMAP request, nor vCard.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from minijmap.contacts import cardsearch, jscontact, media
from minijmap.contacts.addressbook import BOOKS, book_id, book_key, book_keys
from minijmap.contacts.capability import MOST_BOOKS_PER_CARD, MOST_CARD_OCTETS
from minijmap.jmap import collation, dates
from minijmap.jmap.errors import SetError, invalid_properties
from minijmap.jmap.values import ValueProblem, token
from minijmap.store import blobs, documents
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import Collection

CARDS: Final = Collection("contact_card", "ContactCard")
PAGE: Final = 100
"""Cards in memory at once while all are read."""
OWN: Final = ("addressBookIds",)
"""What a ContactCard has beside a Card (RFC 9610 §3); the id is not in the document."""
SORT_KINDS: Final = ("given", "surname", "surname2")
INDEX_COLUMNS: Final = (
    *("key", "account", "uid", "kind", "created_at", "updated_at"),
    *SORT_KINDS,
    *(f"{kind}_key" for kind in SORT_KINDS),
)


@dataclass(frozen=True)
class StoredCard:
    """A card: its key, the Card itself, and the keys of its AddressBooks."""

    key: int
    card: dict[str, Any]
    books: tuple[int, ...]


# Reading


def normal_address(address: str) -> str:
    """Return the form in which addresses of mail are compared."""
    return address.strip().casefold()


def knows(reader: Reader, account: int, address: str) -> bool:
    """Say whether any card of an account has this address of mail, in whatever case."""
    return bool(
        reader.value(
            "SELECT EXISTS (SELECT 1 FROM card_email WHERE account = ? AND address = ?)",
            (account, normal_address(address)),
        )
    )


def find_card(reader: Reader, account: int, uid: str) -> int | None:
    """Return the key of the card with this uid, or None."""
    key = reader.value("SELECT key FROM card_index WHERE account = ? AND uid = ?", (account, uid))
    return None if key is None else int(key)


def cards(reader: Reader, account: int, book: int | None = None) -> Iterator[StoredCard]:
    """Yield the cards of an account, or of one of its AddressBooks, by age. Few are in memory at any time."""
    chosen = "SELECT key FROM card_index WHERE account = ?1 AND key > ?2"
    if book is not None:
        chosen = "SELECT card AS key FROM card_book WHERE book = ?3 AND card > ?2"
    last = 0
    while True:
        rows = reader.all(
            f"SELECT t.key, t.doc FROM ({chosen} ORDER BY key LIMIT {PAGE}) AS c CROSS JOIN contact_card AS t "
            "ON t.key = c.key WHERE t.account = ?1 ORDER BY t.key",
            (account, last) if book is None else (account, last, book),
        )
        for key, text in rows:
            document = orjson.loads(text)
            own = book_keys(document["addressBookIds"])
            yield StoredCard(key, {name: value for name, value in document.items() if name not in OWN}, own)
        if len(rows) < PAGE:
            return
        last = rows[-1][0]


# Writing a whole card


def add_card(
    tx: Transaction,
    account: int,
    card: Mapping[str, Any],
    books: Sequence[int],
    now: int,
    packed: media.Packed | None = None,
    *,
    is_checked: bool = False,
) -> int:
    """Add a Card to AddressBooks, and return its key. `now` is in milliseconds.

    `data:` URIs of media become blobs; `packed` has them made ready, outside of the transaction. `is_checked`: the Card
    is what `jscontact.check_card` has returned, and that is a quarter of the time. Raises OverQuota (see
    `store.usage`) and SetError: `alreadyExists` with `existingId` for a uid that is there, `invalidProperties`,
    `tooLarge`. What was written by then is undone by the caller's savepoint.
    """
    stamp = dates.format_utc_date(now // 1000 * 1000)
    whole = {"created": stamp, "updated": stamp, **card}
    whole = whole if is_checked else _checked(whole)
    existing = find_card(tx, account, whole["uid"])
    if existing is not None:
        raise duplicate(whole["uid"], existing)
    document = {"addressBookIds": {book_id(book): True for book in books}, **whole}
    return store(tx, (account,), None, document, {}, packed or media.Packed())


def update_card(
    tx: Transaction,
    account: int,
    key: int,
    card: Mapping[str, Any],
    now: int,
    packed: media.Packed | None = None,
    *,
    is_checked: bool = False,
) -> None:
    """Replace a card by another Card of the same uid; it stays in its AddressBooks. Otherwise as `add_card`."""
    before = documents.load(tx, CARDS, account, key)
    stamp = dates.format_utc_date(now // 1000 * 1000)
    whole = {"created": before["created"], "updated": stamp, **card}
    whole = whole if is_checked else _checked(whole)
    existing = find_card(tx, account, whole["uid"])
    if existing not in (None, key):
        raise duplicate(whole["uid"], existing or 0)
    document = {"addressBookIds": before["addressBookIds"], **whole}
    store(tx, (account,), key, document, before, packed or media.Packed())


def _checked(card: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return jscontact.CARD.check(card)
    except ValueProblem as problem:
        raise refused(problem) from None


def card_id(key: int) -> str:
    """Return a card's id."""
    return f"c{key}"


def duplicate(uid: str, existing: int) -> SetError:
    """Return the error for a uid that another card has (RFC 9610 §3, RFC 8620 §5.4)."""
    return SetError(
        SetError.ALREADY_EXISTS, f"There is a card with the uid “{uid[:64]}” already.", existingId=card_id(existing)
    )


# What every change of a card goes through


def store(
    tx: Transaction,
    accounts: Sequence[int],
    key: int | None,
    document: dict[str, Any],
    before: Mapping[str, Any],
    packed: media.Packed,
) -> int:
    """Store a new or changed card whose properties are checked each by itself, and return its key.

    `accounts` are those in which its blobs may be, its own first. Raises SetError. `document` gets its final form.
    """
    account = accounts[0]
    _check_books(tx, account, document["addressBookIds"])
    settled = media.settle(tx, accounts, document, before, packed)
    if settled.media:
        document["media"] = settled.media
    used = {*settled.keys.values(), *_blobs_in_languages(tx, accounts, document)}
    if len(documents.dump(document)) > MOST_CARD_OCTETS:
        raise SetError(SetError.TOO_LARGE, f"A card may have at most {MOST_CARD_OCTETS} octets without its media.")
    if key is None:
        key = documents.insert(tx, CARDS, account, document, {})
        unused: set[int] = set()
    else:
        documents.update(tx, CARDS, account, key, document)
        unused = blobs_used(tx, account, key) - used
        _forget(tx, key)
    _keep(tx, account, key, document)
    for blob in unused:
        blobs.remove_use(tx, blob, account, CARDS.type_name, key)
    for blob in used:
        blobs.add_use(tx, blob, account, CARDS.type_name, key)
    return key


def _check_books(tx: Reader, account: int, ids: Mapping[str, bool]) -> None:
    """Check where a card is to be (RFC 9610 §3): in AddressBooks that are there, one at least."""
    name = "addressBookIds"
    if not 1 <= len(ids) <= MOST_BOOKS_PER_CARD:
        raise invalid_properties(f"A card belongs to 1 to {MOST_BOOKS_PER_CARD} address books.", name)
    keys = {one: book_key(one) for one in ids}
    there = documents.existing(tx, BOOKS, account, [key for key in keys.values() if key])
    missing = next((one for one, key in keys.items() if key not in there), None)
    if missing is not None:
        raise invalid_properties(f"There is no address book “{missing[:64]}”.", f"{name}/{missing}")


def _blobs_in_languages(tx: Transaction, accounts: Sequence[int], document: Mapping[str, Any]) -> set[int]:
    """Check a card's localizations, and return the keys of the blobs that they refer to. Raises SetError."""
    try:
        variants = jscontact.localized({name: one for name, one in document.items() if name not in OWN})
    except ValueProblem as problem:
        raise refused(problem) from None
    plain = document.get("media") or {}
    keys = set()
    for language, variant in variants.items():
        for name, one in (variant.get("media") or {}).items():
            if one is not plain.get(name):
                keys.add(media.look(tx, accounts, one, _patch_of(document, language, f"media/{name}/")))
    return {key for key in keys if key is not None}


def _patch_of(document: Mapping[str, Any], language: str, place: str) -> str:
    """Return the path of the patch that makes something of a place, or in it, for a language."""
    patch = document["localizations"][language]
    found = next(path for path in patch if place.startswith(f"{path}/") or path.startswith(place))
    return f"localizations/{language}/{token(found)}"


def refused(problem: ValueProblem) -> SetError:
    """Return the error for a Card that is not one, with the whole path of what is wrong."""
    return invalid_properties(f"“{problem.path}” {problem.sentence}.", problem.path)


def blobs_used(tx: Reader, account: int, key: int) -> set[int]:
    """Return the keys of the blobs that are kept for a card."""
    rows = tx.all(
        "SELECT blob FROM blob_use WHERE account = ? AND type = ? AND object = ?", (account, CARDS.type_name, key)
    )
    return {row[0] for row in rows}


def destroy(tx: Transaction, account: int, key: int) -> bool:
    """Remove a card and all that is kept beside it. False when there was none."""
    used = blobs_used(tx, account, key)
    if not documents.destroy(tx, CARDS, account, key):
        return False
    _forget(tx, key)
    for blob in used:
        blobs.remove_use(tx, blob, account, CARDS.type_name, key)
    return True


def leave_book(tx: Transaction, account: int, book: int) -> None:
    """Take every card out of an AddressBook; one that is in no other is destroyed (RFC 9610 §2.3)."""
    for (key,) in tx.all("SELECT card FROM card_book WHERE book = ?", (book,)):
        document = documents.load(tx, CARDS, account, key)
        left = {one: True for one in document["addressBookIds"] if one != book_id(book)}
        if left:
            document["addressBookIds"] = left
            documents.update(tx, CARDS, account, key, document)
            _forget(tx, key)
            _keep(tx, account, key, document)
        else:
            destroy(tx, account, key)


# Beside a card


def index_row(key: int, account: int, document: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the row of `card_index`."""
    names = [cardsearch.first_component(document, kind) for kind in SORT_KINDS]
    return (
        *(key, account, document["uid"], document.get("kind", jscontact.CARD.members["kind"].default)),
        *(dates.parse_utc_date(document[name]) for name in ("created", "updated")),
        *names,
        *(None if name is None else collation.unicode_casemap(name) for name in names),
    )


def rows_beside(key: int, account: int, document: Mapping[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
    """Return, by table, the rows of where a card belongs and what it is known by."""
    addresses = {normal_address(one["address"]) for one in (document.get("emails") or {}).values()}
    return {
        "card_book": [(book, key) for book in book_keys(document["addressBookIds"])],
        "card_member": [(account, uid, key) for uid in document.get("members") or ()],
        "card_email": [(account, address, key) for address in sorted(addresses)],
    }


def _keep(tx: Transaction, account: int, key: int, document: Mapping[str, Any]) -> None:
    marks = ", ".join("?" * len(INDEX_COLUMNS))
    tx.execute(f"INSERT INTO card_index VALUES ({marks})", index_row(key, account, document))
    for table, rows in rows_beside(key, account, document).items():
        if rows:
            tx.many(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    words = search_row(account, document)
    columns = ", ".join(cardsearch.INDEXED)
    marks = ", ".join("?" * len(words))
    tx.execute(f"INSERT INTO card_search (rowid, {columns}) VALUES (?, {marks})", (key, *words))


def search_row(account: int, document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the row of `card_search`."""
    return cardsearch.row(document, account, book_keys(document["addressBookIds"]))


def _forget(tx: Transaction, key: int) -> None:
    tx.execute("DELETE FROM card_index WHERE key = ?", (key,))
    for table in ("card_book", "card_member", "card_email"):
        tx.execute(f"DELETE FROM {table} WHERE card = ?", (key,))
    tx.execute("DELETE FROM card_search WHERE rowid = ?", (key,))


def remove_account(tx: Transaction, account: int) -> None:
    """Remove every row of contacts that an account has; blobs go unless another account refers to them."""
    for (key,) in tx.all("SELECT key FROM card_index WHERE account = ?", (account,)):
        for blob in blobs_used(tx, account, key):
            blobs.remove_use(tx, blob, account, CARDS.type_name, key)
        _forget(tx, key)
    for table in ("contact_card", "address_book"):
        tx.execute(f"DELETE FROM {table} WHERE account = ?", (account,))
