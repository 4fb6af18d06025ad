"""AddressBook (RFC 9610 §2): get, changes, set, and that exactly one is the default whatever happens."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.contacts import addressbook
from tests.contacts.household import (
    ALICE,
    CONTACTS,
    add,
    create,
    damage,
    default_book,
    drop_account,
    get,
    make_book,
    new_account,
    query,
    set_card,
)

NUMBERS = itertools.count(1)
RIGHTS = {"mayRead": True, "mayWrite": True, "mayShare": False, "mayDelete": True}


def books(house, user=ALICE):
    """Every AddressBook, by id."""
    return {one["id"]: one for one in house.call("AddressBook/get", {}, user)["list"]}


def set_book(house, **arguments):
    """Call AddressBook/set."""
    return house.call("AddressBook/set", arguments)


def error(house, **arguments):
    """The one SetError of a call."""
    answer = set_book(house, **arguments)
    (one,) = [one for name in ("notCreated", "notUpdated", "notDestroyed") for one in (answer[name] or {}).values()]
    return one


def test_a_new_account_has_one(house):
    """It is the default, it is subscribed, and it can't be deleted because it is the only one."""
    (one,) = books(house).values()
    assert one == {
        "id": one["id"], "name": "Contacts", "description": None, "sortOrder": 0, "isDefault": True,
        "isSubscribed": True, "shareWith": None, "myRights": {**RIGHTS, "mayDelete": False},
    }  # fmt: skip
    assert set(one["myRights"]) == set(addressbook.RIGHTS)


def test_the_capability_says_what_is_enforced(house):
    """RFC 9610 §1.4.1: an empty object in the Session, two members in the account."""
    capability = house.engine.capabilities[CONTACTS]
    (access,) = house_login(house)
    assert capability.session == {}
    assert capability.account(access) == {"maxAddressBooksPerCard": 100, "mayCreateAddressBook": True}

    made = [make_book(house, f"Book {number}") for number in range(101)]
    assert create(house, {}, *made[:100])["created"]
    refused = create(house, {}, *made)["notCreated"]["k"]
    assert (refused["type"], refused["properties"]) == ("invalidProperties", ["addressBookIds"])


def house_login(house):
    """Alice's accounts."""
    from minijmap.jmap.session import login_of

    return login_of(house.users[ALICE]).accounts


def test_a_created_one_has_the_defaults(house):
    """Name is all that must be said; what the server says is told."""
    answer = set_book(house, create={"b": {"name": "Club"}})
    made = answer["created"]["b"]
    assert made == {
        "id": made["id"], "description": None, "sortOrder": 0, "isDefault": False, "isSubscribed": True,
        "shareWith": None, "myRights": RIGHTS,
    }  # fmt: skip
    assert books(house)[made["id"]] == {**made, "name": "Club"}
    assert books(house)[default_book(house)]["myRights"]["mayDelete"] is True


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "é" * 128}, ["name"]),
        ({"name": "a\tb"}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": "x", "sortOrder": -1}, ["sortOrder"]),
        ({"name": "x", "sortOrder": 2**31}, ["sortOrder"]),
        ({"name": "x", "sortOrder": 1.5}, ["sortOrder"]),
        ({"name": "x", "isSubscribed": "yes"}, ["isSubscribed"]),
        ({"name": "x", "description": 1}, ["description"]),
        ({"name": "x", "description": "x" * 10_001}, ["description"]),
        ({"name": "x", "isDefault": True}, ["isDefault"]),
        ({"name": "x", "myRights": RIGHTS}, ["myRights"]),
        ({"name": "x", "shareWith": {"p1": {"mayFly": True}}}, ["shareWith"]),
        ({"name": "x", "colour": "red"}, ["colour"]),
    ],
)
def test_what_is_wrong_is_named(house, wanted, names):
    """RFC 9610 §2."""
    refused = error(house, create={"b": wanted})
    assert (refused["type"], refused["properties"]) == ("invalidProperties", names)


def test_names_have_255_octets_at_most(house):
    """Exactly that many are fine, and two may have the same."""
    assert make_book(house, "é" * 127 + "x") != make_book(house, "é" * 127 + "x")


def test_properties_change_and_changes_tells(house):
    """A patch answers null, and the state names the one that has changed."""
    book = make_book(house)
    state = house.call("AddressBook/get", {"ids": []})["state"]
    patch = {"name": "Café", "description": "All", "sortOrder": 3, "isSubscribed": False, "shareWith": None}

    assert set_book(house, update={book: patch})["updated"] == {book: None}
    assert {name: books(house)[book][name] for name in patch} == patch
    changes = house.call("AddressBook/changes", {"sinceState": state})
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [book], [])
    assert error(house, update={book: {"isDefault": True}})["properties"] == ["isDefault"]
    assert set_book(house, update={book: {"isDefault": False}})["updated"] == {book: None}


@pytest.mark.parametrize(
    ("patch", "refused"),
    [
        ({"shareWith": None}, None),
        ({"shareWith/p1": None}, None),
        ({"shareWith/p1/mayRead": None}, None),
        ({"shareWith": {}}, "forbidden"),
        ({"shareWith": {"p1": {"mayRead": True}}}, "forbidden"),
        ({"shareWith/p1": {"mayRead": True}}, "forbidden"),
        ({"shareWith/p1/mayRead": True}, "forbidden"),
    ],
)
def test_sharing_nothing_is_fine_and_sharing_is_refused(house, patch, refused):
    """`shareWith` is null: what takes away is nothing, what gives is told to be impossible."""
    book = default_book(house)
    answer = set_book(house, update={book: {"sortOrder": 7, **patch}})
    if refused is None:
        assert answer["updated"] == {book: None}
    else:
        assert answer["notUpdated"][book]["type"] == refused
        assert "shared" in answer["notUpdated"][book]["description"]
    assert books(house)[book]["shareWith"] is None


def test_a_book_with_cards_is_not_destroyed_by_accident(house):
    """Without onDestroyRemoveContents it is refused (RFC 9610 §2.3)."""
    book = make_book(house)
    card = add(house, {}, book)

    assert error(house, destroy=[book])["type"] == "addressBookHasContents"
    assert error(house, destroy=[book], onDestroyRemoveContents=False)["type"] == "addressBookHasContents"
    assert get(house, card)["addressBookIds"] == {book: True}


def test_contents_go_with_it_or_stay_elsewhere(house):
    """A card that is in another book too stays there, its `updated` as it was; one that isn't is destroyed."""
    book, other = make_book(house), default_book(house)
    lost, kept = add(house, {"name": {"full": "Lost"}}, book), add(house, {"name": {"full": "Kept"}}, book, other)
    state = house.call("ContactCard/get", {"ids": []})["state"]
    house.now += 60

    assert set_book(house, destroy=[book], onDestroyRemoveContents=True)["destroyed"] == [book]
    shown = get(house, kept)
    assert (shown["addressBookIds"], shown["updated"]) == ({other: True}, "2026-01-01T00:00:00Z")
    changes = house.call("ContactCard/changes", {"sinceState": state})
    assert (changes["updated"], changes["destroyed"]) == ([kept], [lost])
    assert query(house, {"inAddressBook": other, "text": "kept"}) == [kept]
    assert query(house, {"inAddressBook": book}) == []
    assert damage(house) == []


def test_another_is_made_the_default(house):
    """Both books that have changed are told (RFC 9610 §2.3, §4.2)."""
    was, book = default_book(house), make_book(house)
    answer = set_book(house, onSuccessSetIsDefault=book)

    assert answer["updated"] == {was: {"isDefault": False}, book: {"isDefault": True}}
    assert answer["oldState"] != answer["newState"]
    assert default_book(house) == book
    again = set_book(house, onSuccessSetIsDefault=book)
    assert (again["updated"], again["oldState"]) == (None, again["newState"])


def test_a_new_one_is_made_the_default(house):
    """By its creation id; the answer to the create has it, and that to an update too."""
    was = default_book(house)
    answer = set_book(house, create={"n": {"name": "New"}}, update={was: {"name": "Old"}}, onSuccessSetIsDefault="#n")

    assert answer["created"]["n"]["isDefault"] is True
    assert answer["updated"] == {was: {"isDefault": False}}
    assert default_book(house) == answer["created"]["n"]["id"]
    (first, second) = house.request(
        ["AddressBook/set", {"accountId": house.account(), "create": {"m": {"name": "M"}}}, "0"],
        ["AddressBook/set", {"accountId": house.account(), "onSuccessSetIsDefault": "#m"}, "1"],
    )
    assert second[1]["updated"][first[1]["created"]["m"]["id"]] == {"isDefault": True}


def test_what_can_not_be_the_default_is_ignored(house):
    """An unknown id, another account's, one that goes in the same call, or a call in which anything fails."""
    was, book = default_book(house), make_book(house)
    theirs = default_book(house, "bob@example.com")
    for asked in ("ab999", "#nobody", "nonsense", theirs, None):
        assert set_book(house, onSuccessSetIsDefault=asked)["updated"] is None
    assert set_book(house, destroy=[book], onSuccessSetIsDefault=book)["destroyed"] == [book]
    book = make_book(house)
    set_book(house, create={"x": {"name": ""}}, onSuccessSetIsDefault=book)
    set_book(house, update={book: {"name": ""}}, onSuccessSetIsDefault=book)
    set_book(house, destroy=["ab999"], onSuccessSetIsDefault=book)
    assert default_book(house) == was


def test_the_default_passes_on(house):
    """When it is destroyed another takes its place, the first that is shown; the last one stays."""
    was = default_book(house)
    second, first = make_book(house, "A", sortOrder=2), make_book(house, "B", sortOrder=1)

    answer = set_book(house, destroy=[was])
    assert (answer["destroyed"], answer["updated"]) == ([was], {first: {"isDefault": True}})
    assert set_book(house, destroy=[first])["updated"] == {second: {"isDefault": True}}
    assert error(house, destroy=[second])["type"] == "forbidden"
    assert books(house)[second]["myRights"]["mayDelete"] is False
    answer = set_book(house, create={"n": {"name": "New"}}, destroy=[second])
    assert answer["created"]["n"]["isDefault"] is True


STEPS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "create": st.integers(1, 2),
            "destroy": st.lists(st.integers(0, 5), max_size=3),
            "onSuccessSetIsDefault": st.one_of(st.integers(0, 5), st.just("#n0"), st.none()),
            "onDestroyRemoveContents": st.booleans(),
            "card": st.integers(0, 5),
        },
    ),
    max_size=6,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_exactly_one_is_the_default_whatever_happens(house, steps):
    """And /changes names every book that reads otherwise than before."""
    user = new_account(house, f"books{next(NUMBERS)}@example.com")
    try:
        for step in steps:
            here = books(house, user)
            known = [*here, "ab999999"]
            if "card" in step:
                set_card(house, user=user, create={"c": {"addressBookIds": {known[step["card"] % len(known)]: True}}})
            asked = step.get("onSuccessSetIsDefault")
            state = house.call("AddressBook/get", {"ids": []}, user)["state"]
            house.call(
                "AddressBook/set",
                {
                    "create": {f"n{number}": {"name": f"N{number}"} for number in range(step.get("create", 0))},
                    "destroy": [known[one % len(known)] for one in step.get("destroy", ())],
                    "onSuccessSetIsDefault": known[asked % len(known)] if isinstance(asked, int) else asked,
                    "onDestroyRemoveContents": step.get("onDestroyRemoveContents"),
                },
                user,
            )
            now = books(house, user)
            assert [one["isDefault"] for one in now.values()].count(True) == 1
            changes = house.call("AddressBook/changes", {"sinceState": state}, user)
            assert {one for one in here.keys() & now.keys() if here[one] != now[one]} <= set(changes["updated"])
            assert (set(changes["created"]), set(changes["destroyed"])) == (
                now.keys() - here.keys(),
                here.keys() - now.keys(),
            )
        assert damage(house) == []
    finally:
        drop_account(house, user)


def test_the_public_functions(house):
    """For imports and exports: the default, and all by name."""
    account = house.users[ALICE].account
    make_book(house, "Zoo", sortOrder=1)
    make_book(house, "Ape", sortOrder=1)
    with house.database.read() as reader:
        assert [name for _, name in addressbook.books(reader, account)] == ["Contacts", "Ape", "Zoo"]
        found = addressbook.book_id(addressbook.default_book(reader, account))
    assert found == default_book(house)
    assert (addressbook.book_key("ab7"), addressbook.book_key("a7"), addressbook.book_key("ab07")) == (7, None, None)
