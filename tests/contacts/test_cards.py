"""The public functions of contacts, and `minijmap check` on what is kept beside a card."""

import tracemalloc

import pytest

from minijmap.contacts import addressbook, cards
from minijmap.jmap.errors import SetError
from tests.contacts.household import (
    ALICE,
    BOB,
    MINIMAL,
    PNG_URI,
    add,
    change,
    damage,
    default_book,
    get,
    make_book,
    named,
    query,
    set_card,
)

NOW = 1_767_225_600_500


@pytest.fixture
def account(house):
    """The key of Alice's account."""
    return house.users[ALICE].account


def put(house, account, card):
    """Add a Card to the default book as an import does; its key."""
    return house.database.write(
        lambda tx: cards.add_card(tx, account, {**MINIMAL, **card}, [addressbook.default_book(tx, account)], NOW)
    )


def knows(house, account, address):
    """Whether a card has the address."""
    with house.database.read() as reader:
        return cards.knows(reader, account, address)


def test_knows_any_address_of_any_card(house, account):
    """In whatever case, as long as the card has it, in that account alone."""
    card = add(house, {"emails": {"a": {"address": "Joe.Bloggs@Example.COM"}, "b": {"address": "jürgen@exämple.org"}}})
    assert knows(house, account, "joe.bloggs@example.com")
    assert knows(house, account, " JÜRGEN@exämple.ORG ")
    assert not knows(house, account, "bloggs@example.com")
    assert not knows(house, account, "")
    assert not knows(house, house.users[BOB].account, "joe.bloggs@example.com")
    change(house, card, {"emails/a": None})
    assert not knows(house, account, "joe.bloggs@example.com")
    set_card(house, destroy=[card])
    assert not knows(house, account, "jürgen@exämple.org")


def test_an_import_adds_by_uid(house, account):
    """What is there already is told with its key's id, and the caller decides."""
    house.announced.clear()
    key = put(house, account, {"name": named("Joe", "Bloggs"), "media": {"m": {"kind": "photo", "uri": PNG_URI}}})
    shown = get(house, f"c{key}")
    assert shown["media"]["m"].keys() == {"kind", "blobId", "mediaType"}
    assert (shown["created"], shown["updated"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")
    assert house.announced[0][account].keys() == {"ContactCard"}
    with pytest.raises(SetError) as caught:
        put(house, account, {})
    assert caught.value.json()["existingId"] == f"c{key}"
    with house.database.read() as reader:
        assert cards.find_card(reader, account, MINIMAL["uid"]) == key
        assert cards.find_card(reader, account, "other") is None

    again = {**MINIMAL, "name": named("Jo", "Bloggs"), "example.com:x": [None]}
    house.database.write(lambda tx: cards.update_card(tx, account, key, again, NOW + 60_000))
    assert get(house, f"c{key}") == {
        "id": f"c{key}", "addressBookIds": {default_book(house): True}, **again,
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:01:00Z",
    }  # fmt: skip
    assert query(house, {"name": "jo"}) == [f"c{key}"]
    assert damage(house) == []


@pytest.mark.parametrize(
    ("card", "books", "path"),
    [
        ({"version": "3.0"}, None, "version"),
        ({"name": {"full": 1}}, None, "name/full"),
        ({"localizations": {"de": {"name/full": "x"}}}, None, "localizations/de/name~1full"),
        ({}, [], "addressBookIds"),
        ({}, [999], "addressBookIds/ab999"),
        ({"media": {"m": {"kind": "photo", "uri": "data:,x"}}}, None, "media/m/uri"),
    ],
)
def test_an_import_is_no_back_door(house, account, card, books, path):
    """It demands what ContactCard/set demands."""
    with pytest.raises(SetError) as caught:
        house.database.write(
            lambda tx: cards.add_card(
                tx,
                account,
                {**MINIMAL, **card},
                [addressbook.default_book(tx, account)] if books is None else books,
                NOW,
            )
        )
    assert caught.value.json()["properties"] == [path]
    assert damage(house) == []


def test_another_cards_uid_can_not_be_taken(house, account):
    """By an update either."""
    put(house, account, {})
    other = put(house, account, {"uid": "other"})
    with pytest.raises(SetError) as caught:
        house.database.write(lambda tx: cards.update_card(tx, account, other, MINIMAL, NOW))
    assert caught.value.error_type == "alreadyExists"


def test_all_cards_are_read_in_flat_memory(house, account):
    """Of an account or of one book, each with where it is, none twice."""
    work = addressbook.book_key(make_book(house))

    def fill(tx):
        home = addressbook.default_book(tx, account)
        for number in range(450):
            note = {"n": {"note": "x" * 10_000}}
            cards.add_card(
                tx,
                account,
                {**MINIMAL, "uid": f"u{number}", "notes": note},
                [work] if number % 3 else [home, work],
                NOW,
            )

    house.database.write(fill)
    add(house, {"uid": "theirs"}, user=BOB)
    with house.database.read() as reader:
        tracemalloc.start()
        uids = [one.card["uid"] for one in cards.cards(reader, account)]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert uids == [f"u{number}" for number in range(450)]
        assert peak < 3_500_000
        home = addressbook.default_book(reader, account)
        some = list(cards.cards(reader, account, home))
    assert [one.card["uid"] for one in some] == [f"u{number}" for number in range(0, 450, 3)]
    assert {one.books for one in some} == {(home, work)}
    assert not {"id", "addressBookIds"} & some[0].card.keys()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE address_book SET is_default = 0 WHERE key = 1", "default AddressBook: a1"),
        ("DELETE FROM card_book WHERE card = 1", "c1 is not as kept in card_book"),
        ("DELETE FROM card_member WHERE card = 2", "c2 is not as kept in card_member"),
        ("UPDATE card_email SET address = 'x' WHERE card = 1", "c1 is not as kept in card_email"),
        ("UPDATE card_index SET surname_key = 'x' WHERE key = 1", "c1 is not as kept for queries"),
        ("DELETE FROM card_index WHERE key = 1", "c1 is not as kept for queries"),
        ("UPDATE card_search SET name = 'x' WHERE rowid = 1", "c1 is not found by its words"),
        ("DELETE FROM blob_use WHERE type = 'ContactCard'", "c1 has other blobs"),
        ("DELETE FROM contact_card WHERE key = 2", "not there and kept for queries: c2"),
        ("UPDATE contact_card SET doc = json_set(doc, '$.version', '9')", "c1 is no Card: “version”"),
        ("UPDATE contact_card SET doc = json_set(doc, '$.addressBookIds', json('{}')) WHERE key = 2", "c2"),
        ("UPDATE card_index SET uid = 'same'", "uid of another: c2"),
        ("DELETE FROM address_book WHERE key = 1", "in an AddressBook that is not there: c1, c2"),
        ("DELETE FROM account WHERE key = 1", "of an account that is not there"),
    ],
)
def test_damage_is_found(house, statement, told):
    """Each kind, made by hand, is told by name; a clean file says nothing."""
    media = {"m": {"kind": "photo", "uri": PNG_URI}}
    add(house, {"name": named("Joe", "Bloggs"), "emails": {"e": {"address": "a@b"}}, "media": media})
    add(house, {"kind": "group", "members": {"x": True}})
    assert damage(house) == []

    house.database.write(lambda tx: tx.execute(statement))
    assert any(told in one for one in damage(house)), damage(house)
