"""Accounts of before contacts get their address book when the file is brought up to date."""

from minijmap import users
from minijmap.contacts import addressbook
from minijmap.contacts.schema import CONTACTS_MIGRATIONS
from minijmap.server import FILE_NAME, migrations
from minijmap.store import schema
from minijmap.store.database import connect
from tests.contacts.household import add, damage, default_book


def test_an_older_file_gets_a_default_address_book(house, tmp_path):
    """As if the account had been made today: one, the default, of the name that new ones have."""
    house.database.close()
    path = tmp_path / "data" / FILE_NAME
    connection = connect(path)
    tables = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'card_*' AND name NOT GLOB 'card_search_*'"
        )
    ]
    for table in (*tables, "address_book", "contact_card"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("DELETE FROM migration WHERE name = ?", (CONTACTS_MIGRATIONS[0].name,))
    connection.close()

    assert schema.migrate(path, migrations()) is not None
    again = type(house)(tmp_path / "other")
    try:
        fresh = again.call("AddressBook/get")["list"]
    finally:
        again.database.close()
    house.database = again.database = reopened(path, house)
    house.engine = house.make_engine()
    try:
        assert house.call("AddressBook/get")["list"] == fresh
        assert add(house, {}, default_book(house))
        assert damage(house) == []
        users.add_user(house.database, "carol@example.com", "Carol", "secret", 0)
        assert damage(house) == []
    finally:
        house.database.close()


def reopened(path, house):
    """The house's file, opened again."""
    from minijmap.server import open_database

    return open_database(path.parent, house.announced.append, lambda: house.now)


def test_a_second_default_is_impossible(house):
    """The table itself refuses it."""
    import sqlite3

    account = next(iter(house.users.values())).account
    try:
        house.database.write(lambda tx: addressbook.add_book(tx, account, "Second", is_default=True))
    except sqlite3.IntegrityError:
        pass
    else:
        raise AssertionError("There are two defaults.")
