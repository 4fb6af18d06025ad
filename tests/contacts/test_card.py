"""ContactCard/get, /changes, /set and /copy (RFC 9610 §3)."""

import pytest

from minijmap import users
from minijmap.jmap.engine import Limits
from tests.contacts.household import (
    ALICE,
    BOB,
    PNG,
    PNG_URI,
    add,
    as_both,
    change,
    create,
    damage,
    default_book,
    download,
    get,
    make_book,
    named,
    query,
    refused,
    set_card,
    upload,
)

UID = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
START = "2026-01-01T00:00:00Z"


def test_the_server_fills_in_what_a_card_must_have(house):
    """@type, version, uid, created and updated are told, and nothing else."""
    house.now += 0.25
    answer = create(house, {"name": named("Joe", "Bloggs")})
    made = answer["created"]["k"]
    assert made == {
        "id": made["id"], "@type": "Card", "version": "1.0", "uid": made["uid"], "created": START, "updated": START,
    }  # fmt: skip
    assert made["uid"].startswith("urn:uuid:")
    assert get(house, made["id"]) == {
        **made, "addressBookIds": {default_book(house): True}, "name": named("Joe", "Bloggs"),
    }  # fmt: skip
    assert add(house) != add(house)


def test_what_the_client_says_stands(house):
    """An import keeps its uid and its dates, even a fraction of a second that we would not write."""
    card = {
        "@type": "Card",
        "version": "1.0",
        "uid": UID,
        "created": "1999-01-01T00:00:00.0001Z",
        "updated": "2000-01-01T00:00:00Z",
    }
    answer = create(house, card)
    assert answer["created"]["k"].keys() == {"id"}
    assert {name: get(house, answer["created"]["k"]["id"])[name] for name in card} == card


def test_only_what_is_there_is_shown(house):
    """Optional properties are absent, not null; asking for one that is absent is no error, for one that can't be is."""
    card = add(house, {"uid": UID, "example.com:x": 1, "later": [2]})
    asked = {"ids": [card], "properties": ["uid", "emails", "example.com:x", "later"]}
    assert house.call("ContactCard/get", asked)["list"] == [{"id": card, "uid": UID, "example.com:x": 1, "later": [2]}]
    for wrong in ("Emails", "extra", "a b", ""):
        assert house.call("ContactCard/get", {"properties": [wrong]})["type"] == "invalidArguments"
    assert house.call("ContactCard/get", {"ids": ["c999", "x"]})["notFound"] == ["c999", "x"]


@pytest.mark.parametrize(
    ("places", "path"),
    [
        (None, "addressBookIds"),
        ({}, "addressBookIds"),
        ({"ab999": True}, "addressBookIds/ab999"),
        ({"nonsense": True}, "addressBookIds/nonsense"),
        ({"ab1": False}, "addressBookIds/ab1"),
        ([], "addressBookIds"),
        ("bob", "addressBookIds/{}"),
    ],
)
def test_a_card_is_in_an_address_book_that_is_there(house, places, path):
    """One at least, and of the same account (RFC 9610 §3)."""
    if places == "bob":
        theirs = default_book(house, BOB)
        places, path = {theirs: True}, path.format(theirs)
    error = set_card(house, create={"k": {"addressBookIds": places}})["notCreated"]["k"]
    assert (error["type"], error["properties"]) == ("invalidProperties", [path])
    card, book = add(house), default_book(house)
    assert change(house, card, {"addressBookIds": {}})["properties"] == ["addressBookIds"]
    assert change(house, card, {f"addressBookIds/{book}": None})["properties"] == ["addressBookIds"]
    assert change(house, card, {"addressBookIds": None})["type"] == "invalidProperties"
    assert set_card(house, create={"k": {}})["notCreated"]["k"]["properties"] == ["addressBookIds"]


def test_moving_is_no_change_of_the_card(house):
    """Books come and go by patch, by `false`, and by creation id; `updated` stays."""
    old, new, card = default_book(house), make_book(house), add(house)
    house.now += 60
    assert change(house, card, {f"addressBookIds/{new}": True, f"addressBookIds/{old}": False}) is None
    assert get(house, card)["addressBookIds"] == {new: True}
    account = house.account()
    made, moved = house.request(
        ["AddressBook/set", {"accountId": account, "create": {"n": {"name": "New"}}}, "0"],
        ["ContactCard/set", {"accountId": account, "update": {card: {"addressBookIds/#n": True}}}, "1"],
    )
    book = made[1]["created"]["n"]["id"]
    assert moved[1]["notUpdated"] is None
    assert get(house, card)["addressBookIds"] == {new: True, book: True}
    assert get(house, card)["updated"] == START
    assert query(house, {"inAddressBook": book}) == [card]


def test_patches_go_deep(house):
    """Into any object of the card; `updated` is now, unless the client says when."""
    card = add(house, {"emails": {"e1": {"address": "a@example.com"}}, "example.com:x": {"y": [1]}})
    house.now += 60
    patch = {
        "emails/e1/address": "b@example.com",
        "emails/e2": {"address": "c@example.com"},
        "example.com:x/z": None,
        "example.com:x/y": 2,
    }
    assert change(house, card, patch) == {"updated": "2026-01-01T00:01:00Z"}
    shown = get(house, card)
    assert shown["emails"] == {"e1": {"address": "b@example.com"}, "e2": {"address": "c@example.com"}}
    assert shown["example.com:x"] == {"y": 2}
    assert query(house, {"email": "b@example.com"}) == [card]
    assert query(house, {"email": "a@example.com"}) == []

    assert change(house, card, {"emails": None, "example.com:x": None, "updated": "2020-01-01T00:00:00Z"}) is None
    assert get(house, card).keys() == {"id", "addressBookIds", "@type", "version", "uid", "created", "updated"}
    assert get(house, card)["updated"] == "2020-01-01T00:00:00Z"


def test_nothing_changed_is_no_change(house):
    """Setting what is there, or removing what isn't, leaves state and `updated` alone."""
    card = add(house, {"name": named("A", "B")})
    state = house.call("ContactCard/get", {"ids": []})["state"]
    house.now += 60
    for patch in ({"name": named("A", "B")}, {"emails": None}, {"example.com:x": None}, {"created": START}):
        assert change(house, card, patch) is None
    assert house.call("ContactCard/get", {"ids": []})["state"] == state
    assert get(house, card)["updated"] == START


@pytest.mark.parametrize(
    ("patch", "kind", "path"),
    [
        ({"id": "c9"}, "invalidProperties", "id"),
        ({"uid": None}, "invalidProperties", "uid"),
        ({"version": "1.1"}, "invalidProperties", "version"),
        ({"emails/e1/address": None}, "invalidProperties", "emails/e1/address"),
        ({"emails/e1/Label": "x"}, "invalidProperties", "emails/e1/Label"),
        ({"extra": 1}, "invalidProperties", "extra"),
        ({"Emails": 1}, "invalidProperties", "Emails"),
        ({"members": {"x": True}}, "invalidProperties", "members"),
        ({"emails/e9/address": "x@y"}, "invalidPatch", None),
        ({"emails": {}, "emails/e1": None}, "invalidPatch", None),
        ({"name/components/0/value": "x"}, "invalidPatch", None),
    ],
)
def test_a_patch_that_makes_no_card_is_refused(house, patch, kind, path):
    """Nothing of it is kept."""
    card = add(house, {"emails": {"e1": {"address": "a@example.com"}}, "name": named("A", "B")})
    before = get(house, card)
    error = change(house, card, {"keywords": {"new": True}, **patch})
    assert error["type"] == kind
    if path:
        assert error["properties"] == [path]
    assert get(house, card) == before


def test_defaults_come_back(house):
    """Null for what a card must have and there is no choice of is the only value."""
    card = add(house)
    assert change(house, card, {"@type": None, "version": None}) is None
    assert (get(house, card)["@type"], get(house, card)["version"]) == ("Card", "1.0")
    assert change(house, card, {"created": None, "updated": None}) == {"created": START, "updated": START}


def test_a_uid_is_one_cards_alone(house):
    """In an account; the error names the other (RFC 9610 §3). Another account may have the same."""
    first, second = add(house, {"uid": UID}), add(house, {"uid": "b"})
    error = refused(house, {"uid": UID})
    assert (error["type"], error["existingId"]) == ("alreadyExists", first)
    assert change(house, second, {"uid": UID})["existingId"] == first
    assert change(house, second, {"uid": "c"}) is None
    assert add(house, {"uid": UID}, user=BOB)
    both = {"addressBookIds": {default_book(house): True}, "uid": "d"}
    answer = set_card(house, create={"k1": both, "k2": both})
    assert answer["created"].keys() == {"k1"}
    assert answer["notCreated"]["k2"]["existingId"] == answer["created"]["k1"]["id"]


def test_uids_may_change_hands_in_one_call(house):
    """The end of a call counts, not its middle: a swap, and a new card in the place of one that goes."""
    first, second = add(house, {"uid": "a"}), add(house, {"uid": "b"})
    assert set_card(house, update={first: {"uid": "b"}, second: {"uid": "a"}})["notUpdated"] is None
    assert (get(house, first)["uid"], get(house, second)["uid"]) == ("b", "a")
    new = {"uid": "a", "addressBookIds": {default_book(house): True}}
    answer = set_card(house, create={"k": new}, destroy=[second])
    assert (answer["notCreated"], answer["destroyed"]) == (None, [second])
    assert query(house, {"uid": "a"}) == [answer["created"]["k"]["id"]]
    assert damage(house) == []


def test_groups_may_go_in_circles(house):
    """Members are uids, of cards anywhere or nowhere; nobody walks along them."""
    add(house, {"uid": "g1", "kind": "group", "members": {"g2": True, "g1": True, "elsewhere/~": True}})
    second = add(house, {"uid": "g2", "kind": "group", "members": {"g1": True}})
    assert len(query(house, {"hasMember": "g1"})) == 2
    assert change(house, second, {"members/g1": None, "members/elsewhere~1~0": True}) is None
    assert query(house, {"hasMember": "elsewhere/~"}) == query(house, {"kind": "group"})
    assert change(house, second, {"kind": "org"})["properties"] == ["members"]
    assert change(house, second, {"kind": "org", "members": None}) is None


def test_what_is_destroyed_is_gone(house):
    """From queries and from all tables; /changes tells it."""
    card = add(house, {"name": named("Joe", "Bloggs"), "emails": {"e": {"address": "joe@example.com"}}})
    state = house.call("ContactCard/get", {"ids": []})["state"]
    answer = set_card(house, destroy=[card, "c999"])
    assert (answer["destroyed"], answer["notDestroyed"]["c999"]["type"]) == ([card], "notFound")
    assert query(house, {"text": "joe"}) == query(house) == []
    assert house.call("ContactCard/changes", {"sinceState": state})["destroyed"] == [card]
    assert set_card(house, update={card: {"kind": "org"}})["notUpdated"][card]["type"] == "notFound"
    assert damage(house) == []


def test_another_accounts_cards_are_not_there(house):
    """Neither to read nor to write."""
    card = add(house, {"name": {"full": "Zanzibar"}})
    assert house.call("ContactCard/get", {"ids": [card]}, BOB)["notFound"] == [card]
    assert change(house, card, {"kind": "org"}, BOB)["type"] == "notFound"
    assert set_card(house, user=BOB, destroy=[card])["notDestroyed"][card]["type"] == "notFound"
    assert query(house, {"text": "zanzibar"}, user=BOB) == []
    assert query(house, {"inAddressBook": default_book(house)}, user=BOB) == []
    assert query(house, {"inAddressBook": default_book(house), "text": "zanzibar"}, user=BOB) == []


def copy(house, ask, wanted, **more):
    """Copy cards from Alice to Bob."""
    account = {"fromAccountId": house.account(), "accountId": house.account(BOB)}
    return ask(["ContactCard/copy", {**account, "create": wanted, **more}, "c"])


def test_a_copy_takes_its_blobs_along(house):
    """The photo is Bob's from then on; what is given replaces what the original has."""
    ask, book = as_both(house), default_book(house, BOB)
    media = {"m": {"kind": "photo", "blobId": upload(house, PNG)}}
    card = add(house, {"uid": UID, "name": named("Joe", "Bloggs"), "media": media, "example.com:x": [1]})
    blob_id = get(house, card)["media"]["m"]["blobId"]
    assert download(house, blob_id, BOB) is None

    ((_, answer, _),) = copy(house, ask, {"k": {"id": card, "addressBookIds": {book: True}, "name": named("Jo", "B")}})
    made = answer["created"]["k"]["id"]
    shown = get(house, made, BOB)
    assert shown == {**get(house, card), "id": made, "addressBookIds": {book: True}, "name": named("Jo", "B")}
    set_card(house, destroy=[card])
    assert download(house, blob_id, BOB) == PNG
    assert damage(house) == []


def test_a_copy_may_be_refused(house):
    """For the uid that is there, for address books of the other account, for an original that isn't."""
    ask, book = as_both(house), default_book(house, BOB)
    card = add(house, {"uid": UID})
    there = add(house, {"uid": UID}, user=BOB)
    wanted = {
        "uid": {"id": card, "addressBookIds": {book: True}},
        "book": {"id": card, "uid": "other"},
        "none": {"id": "c999", "addressBookIds": {book: True}},
        "data": {
            "id": card,
            "uid": "third",
            "addressBookIds": {book: True},
            "media": {"m": {"kind": "photo", "uri": PNG_URI}},
        },
    }
    ((_, answer, _),) = copy(house, ask, wanted)
    errors = answer["notCreated"]
    assert (errors["uid"]["type"], errors["uid"]["existingId"]) == ("alreadyExists", there)
    assert errors["book"]["properties"] == [f"addressBookIds/{default_book(house)}"]
    assert errors["none"]["type"] == "notFound"
    assert get(house, answer["created"]["data"]["id"], BOB)["media"]["m"]["mediaType"] == "image/png"


def test_a_copied_original_may_be_destroyed(house):
    """By an implicit ContactCard/set (RFC 8620 §5.4)."""
    card, book = add(house), default_book(house, BOB)
    wanted = {"k": {"id": card, "addressBookIds": {book: True}}}
    answers = copy(house, as_both(house), wanted, onSuccessDestroyOriginal=True)
    assert [name for name, _, _ in answers] == ["ContactCard/copy", "ContactCard/set"]
    assert answers[1][1]["destroyed"] == [card]
    assert query(house) == []


def test_limits_of_a_call(house):
    """As many objects as the core capability says."""
    engine = house.make_engine(limits=Limits(max_objects_in_get=2, max_objects_in_set=2))
    for _ in range(3):
        add(house)
    house.engine = engine
    assert house.call("ContactCard/get")["type"] == "requestTooLarge"
    assert set_card(house, destroy=["c1", "c2", "c3"])["type"] == "requestTooLarge"


def test_a_user_leaves_nothing_behind(house):
    """Removing a user takes every row of their contacts; the others keep theirs."""
    media = {"m": {"kind": "photo", "uri": PNG_URI}}
    for user in (ALICE, BOB):
        add(house, {"name": named("J", "B"), "emails": {"e": {"address": "a@b"}}, "media": media}, user=user)
        add(house, {"kind": "group", "members": {"x": True}}, user=user)
    users.remove_user(house.database, ALICE)
    assert damage(house) == []
    with house.database.read() as reader:
        counts = {
            table: reader.value(f"SELECT count(*) FROM {table}")
            for table in (
                "contact_card",
                "address_book",
                "card_index",
                "card_book",
                "card_email",
                "card_member",
                "card_search",
            )
        }
    assert counts == {
        "contact_card": 2,
        "address_book": 1,
        "card_index": 2,
        "card_book": 2,
        "card_email": 1,
        "card_member": 1,
        "card_search": 2,
    }
