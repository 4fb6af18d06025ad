"""Identity: which addresses it may have, what it starts with, and the one that stays (RFC 8621 §6)."""

from types import MappingProxyType

import pytest

from minijmap import users
from minijmap.config import Settings
from minijmap.jmap.engine import Engine
from minijmap.mail.schema import MAIL_MIGRATIONS
from minijmap.server import families
from minijmap.store.database import connect
from minijmap.store.schema import STORE_MIGRATIONS, Migration, migrate

ALIASES = {
    "sales@example.com": "alice@example.com",
    "*@example.org": "alice@example.com",
    "*@example.net": "bob@example.com",
}


@pytest.fixture
def aliased(house):
    """The household, with aliases and catch-alls."""
    settings = Settings(aliases=MappingProxyType(ALIASES))
    house.engine = Engine(house.database, families(settings), clock=lambda: house.now)
    return house


def create(house, user="alice@example.com", **identity):
    """Create one Identity; return what was created, or the error."""
    answer = house.call("Identity/set", {"create": {"k": identity}}, user)
    return (answer["created"] or {}).get("k") or answer["notCreated"]["k"]


def test_a_new_user_has_one_identity_that_stays(house):
    """It has the user's name and address, and can be changed but not destroyed."""
    (identity,) = house.call("Identity/get")["list"]
    assert identity == {
        "id": identity["id"],
        "name": "Alice",
        "email": "alice@example.com",
        "replyTo": None,
        "bcc": None,
        "textSignature": "",
        "htmlSignature": "",
        "mayDelete": False,
    }

    answer = house.call("Identity/set", {"destroy": [identity["id"]], "update": {"x": {}}})

    assert answer["notDestroyed"][identity["id"]]["type"] == "forbidden"
    assert answer["notUpdated"]["x"]["type"] == "notFound"


def test_accounts_from_before_get_their_identity(tmp_path):
    """A file without Identities has one for each account once it is migrated."""
    path = tmp_path / "old.sqlite3"
    migrate(path, [*STORE_MIGRATIONS, MAIL_MIGRATIONS[0]])
    connection = connect(path)
    connection.execute("INSERT INTO user VALUES (1, 'carol@example.com', 'Carol', 0)")
    connection.execute("INSERT INTO account VALUES (1, 1, 'carol@example.com', 0)")
    connection.close()

    migrate(path, [*STORE_MIGRATIONS, *MAIL_MIGRATIONS, Migration("later", "")])

    connection = connect(path)
    shown = connection.execute(
        "SELECT doc ->> '$.email', doc ->> '$.name', doc -> '$.mayDelete' FROM identity"
    ).fetchall()
    connection.close()
    assert shown == [("carol@example.com", "Carol", "false")]


def test_what_is_left_out_has_its_default(house):
    """Only `email` must be given; the answer tells the rest."""
    created = create(house, email="alice+news@example.com")

    assert created == {
        "id": created["id"],
        "name": "",
        "replyTo": None,
        "bcc": None,
        "textSignature": "",
        "htmlSignature": "",
        "mayDelete": True,
    }


@pytest.mark.parametrize(
    "email",
    [
        "alice@example.com",
        "ALICE@Example.com",
        "alice+a+b@example.com",
        "sales@example.com",
        "any@example.org",
        "*@example.org",
    ],
)
def test_the_users_own_addresses_are_allowed(aliased, email):
    """The user's address in any case and with any tag, an alias, and what a catch-all catches."""
    assert "id" in create(aliased, email=email)


@pytest.mark.parametrize(
    "email",
    [
        "bob@example.com",
        "bob+x@example.com",
        "any@example.net",
        "*@example.net",
        "*@example.com",
        "alice@example.edu",
        "nobody@example.com",
    ],
)
def test_all_others_are_forbidden(aliased, email):
    """Another user's, their catch-all, and what is nobody's here."""
    assert create(aliased, email=email)["type"] == "forbiddenFrom"


@pytest.mark.parametrize(
    "email", ["", "alice", "alice@", "Alice <alice@example.com>", "alice+\r\nBcc: x@example.com", "alice+ @example.com"]
)
def test_what_is_no_address_is_invalid(house, email):
    """The property is named; a line break can't be smuggled in by a tag."""
    error = create(house, email=email)

    assert (error["type"], error["properties"]) == ("invalidProperties", ["email"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "two\nlines"),
        ("name", 7),
        ("replyTo", [{"name": "No address"}]),
        ("replyTo", [{"email": "not an address"}]),
        ("bcc", {"email": "alice@example.com"}),
        ("bcc", [{"email": "a@example.com", "other": 1}]),
        ("textSignature", "x" * 100_001),
        ("mayDelete", True),
        ("unheardOf", 1),
    ],
)
def test_a_wrong_value_is_named(house, name, value):
    """Every property is checked on create."""
    error = create(house, email="alice@example.com", **{name: value})

    assert (error["type"], error["properties"]) == ("invalidProperties", [name])


def test_update_changes_all_but_the_address(house):
    """`email` and `mayDelete` are refused unless they are the same; addresses come back with a name."""
    (identity,) = house.call("Identity/get")["list"]
    good = {
        "name": "Alice B",
        "replyTo": [{"email": "alice+r@example.com"}],
        "email": "alice@example.com",
        "mayDelete": False,
    }
    answer = house.call("Identity/set", {"update": {identity["id"]: good}})
    assert answer["updated"] == {identity["id"]: {"replyTo": [{"name": None, "email": "alice+r@example.com"}]}}

    for wrong in ({"email": "alice+x@example.com"}, {"mayDelete": True}):
        answer = house.call("Identity/set", {"update": {identity["id"]: wrong}})
        assert answer["notUpdated"][identity["id"]]["properties"] == list(wrong)


def test_null_brings_a_default_back(house):
    """A signature set to null is empty; replyTo set to null is null."""
    created = create(
        house, email="alice@example.com", textSignature="-- \nA", bcc=[{"name": "B", "email": "b@example.com"}]
    )
    assert (
        house.call("Identity/set", {"update": {created["id"]: {"textSignature": None, "bcc": None}}})["notUpdated"]
        is None
    )

    (shown,) = house.call("Identity/get", {"ids": [created["id"]], "properties": ["textSignature", "bcc"]})["list"]
    assert shown == {"id": created["id"], "textSignature": "", "bcc": None}


def test_changes_tell_what_happened(house):
    """Created, updated and destroyed Identities are in /changes; it echoes the state."""
    first = house.call("Identity/get")["state"]
    gone = create(house, email="alice@example.com")["id"]
    state = house.call("Identity/get")["state"]
    house.call("Identity/set", {"destroy": [gone], "update": {"i1": {"name": "A"}}})

    changes = house.call("Identity/changes", {"sinceState": state})
    assert (changes["oldState"], changes["created"], changes["updated"], changes["destroyed"]) == (
        state,
        [],
        ["i1"],
        [gone],
    )
    assert house.call("Identity/changes", {"sinceState": first})["destroyed"] == []


def test_removing_a_user_removes_the_identities(house):
    """Nothing of the account is left."""
    users.remove_user(house.database, "alice@example.com")

    with house.database.read() as reader:
        left = reader.value("SELECT json_group_array(doc ->> '$.email') FROM identity")
    assert left == '["bob@example.com"]'


def test_an_account_has_an_end(house):
    """The thousand and first Identity is overQuota."""
    wanted = {f"k{number}": {"email": "alice@example.com"} for number in range(1000)}

    answer = house.call("Identity/set", {"create": wanted})

    assert len(answer["created"]) == 999
    assert {name: error["type"] for name, error in answer["notCreated"].items()} == {"k999": "overQuota"}
