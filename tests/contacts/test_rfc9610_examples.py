"""The examples of RFC 9610 §4 as transcripts: the same calls, and the answers but for ids, states and sharing."""

from tests.contacts.household import add, default_book, make_book

JOE = {
    "name": {
        "components": [{"kind": "given", "value": "Joe"}, {"kind": "surname", "value": "Bloggs"}],
        "isOrdered": True,
    },
    "emails": {"0": {"contexts": {"private": True}, "address": "joe.bloggs@example.com"}},
}


def test_fetching_initial_data(house):
    """RFC 9610 §4.1."""
    personal = default_book(house)
    house.call("AddressBook/set", {"update": {personal: {"name": "Personal"}}})
    autosaved = make_book(house, "Autosaved", sortOrder=1)
    card = add(house, JOE)
    account = house.account()

    books, cards = house.request(
        ["AddressBook/get", {"accountId": account}, "0"], ["ContactCard/get", {"accountId": account}, "1"]
    )

    rights = {"mayRead": True, "mayWrite": True, "mayShare": False, "mayDelete": True}
    common = {"description": None, "isSubscribed": True, "shareWith": None, "myRights": rights}
    assert books[0::2] == ["AddressBook/get", "0"]
    assert books[1].keys() == {"accountId", "list", "notFound", "state"}
    assert books[1]["notFound"] == []
    assert books[1]["list"] == [
        {"id": personal, "name": "Personal", "sortOrder": 0, "isDefault": True, **common},
        {"id": autosaved, "name": "Autosaved", "sortOrder": 1, "isDefault": False, **common},
    ]
    (shown,) = cards[1]["list"]
    made_by_server = {name: shown[name] for name in ("@type", "version", "uid", "created", "updated")}
    assert shown == {"id": card, "addressBookIds": {personal: True}, **JOE, **made_by_server}


def test_changing_the_default_address_book(house):
    """RFC 9610 §4.2."""
    personal, autosaved = default_book(house), make_book(house, "Autosaved", sortOrder=1)
    before = house.call("AddressBook/get", {"ids": []})["state"]

    answer = house.call("AddressBook/set", {"onSuccessSetIsDefault": autosaved})

    assert answer["updated"] == {autosaved: {"isDefault": True}, personal: {"isDefault": False}}
    assert answer["oldState"] == before
    assert answer["newState"] == house.call("AddressBook/get", {"ids": []})["state"] != before
