"""The Quota type: what is shown to whom, found how, and when it has changed (RFC 9425)."""

import pytest

from minijmap.store import limits, usage
from tests.conftest import CORE, MAIL
from tests.quota.conftest import ALICE, BOB, QUOTA, SUBMISSION, message

EVERYTHING = (CORE, MAIL, SUBMISSION, QUOTA)


def test_the_capability(house):
    """Empty objects, in the Session and in the account (§2.1)."""
    found = house.engine.capabilities[QUOTA]
    assert (found.session, found.account(None)) == ({}, {})


def test_without_a_limit_there_is_no_quota_of_octets(quotas):
    """A Quota must have a hard limit (§4.1)."""
    assert {one["resourceType"] for one in quotas.call("Quota/get", ids=None)["list"]} == {"count"}
    quotas.limit(0)
    assert {one["resourceType"] for one in quotas.call("Quota/get", ids=None)["list"]} == {"count"}


def test_a_client_sees_what_it_speaks_of(quotas):
    """Types of capabilities that the request does not name are left out, and Quotas without a type (§4.1)."""
    quotas.limit(1000)

    def shown(*using):
        return [one["types"] for one in quotas.call("Quota/get", using=using, ids=None)["list"]]

    assert shown(CORE, QUOTA) == []
    assert sorted(shown(CORE, MAIL, QUOTA)) == [["Email"], ["Mailbox"]]
    assert sorted(shown(CORE, SUBMISSION, QUOTA)) == [["EmailSubmission"], ["Identity"]]
    assert sorted(shown(*EVERYTHING)) == [["Email", "EmailSubmission"], ["Identity"], ["Mailbox"]]
    every = quotas.call("Quota/get", using=EVERYTHING, ids=None)["list"]
    identity = next(one["id"] for one in every if one["types"] == ["Identity"])
    hidden = quotas.call("Quota/get", ids=[identity, "q999", "x"])
    assert (hidden["list"], hidden["notFound"]) == ([], [identity, "q999", "x"])
    assert quotas.call("Quota/get", using=EVERYTHING, ids=[identity], properties=["types"])["list"] == [
        {"id": identity, "types": ["Identity"]}
    ]
    assert identity not in quotas.call("Quota/query")["ids"]
    assert identity in quotas.call("Quota/query", using=EVERYTHING)["ids"]
    assert [one["types"] for one in quotas.call("Quota/get", using=EVERYTHING, ids=None, user=BOB)["list"]] != []
    assert identity in quotas.call("Quota/get", using=EVERYTHING, ids=[identity], user=BOB)["notFound"]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (None, ["Identity count", "Mailbox count", "Storage"]),
        ({}, ["Identity count", "Mailbox count", "Storage"]),
        ({"name": "count"}, ["Identity count", "Mailbox count"]),
        ({"name": "stor"}, ["Storage"]),
        ({"name": "%"}, []),
        ({"scope": "account"}, ["Identity count", "Mailbox count", "Storage"]),
        ({"scope": "domain"}, []),
        ({"resourceType": "octets"}, ["Storage"]),
        ({"resourceType": "count"}, ["Identity count", "Mailbox count"]),
        ({"resourceType": "Octets"}, []),
        ({"type": "Email"}, ["Storage"]),
        ({"type": "EmailSubmission"}, ["Storage"]),
        ({"type": "Mailbox"}, ["Mailbox count"]),
        ({"type": "Nothing"}, []),
        ({"type": "Mailbox", "resourceType": "octets"}, []),
        ({"operator": "NOT", "conditions": [{"type": "Mailbox"}]}, ["Identity count", "Storage"]),
        ({"operator": "OR", "conditions": [{"type": "Mailbox"}, {"name": "S"}]}, ["Mailbox count", "Storage"]),
    ],
)
def test_filters(quotas, condition, found):
    """Each by itself and together (§4.4)."""
    quotas.limit(1000)
    answered = quotas.call("Quota/query", using=EVERYTHING, filter=condition, sort=[{"property": "name"}])
    got = quotas.call("Quota/get", using=EVERYTHING, ids=answered["ids"], properties=["name"])["list"]
    names = {one["id"]: one["name"] for one in got}

    assert [names[one] for one in answered["ids"]] == found


def test_sorts(house, quotas):
    """By name, and by what is used."""
    quotas.limit(10_000)
    house.deliver(message(1))
    by_used = quotas.call("Quota/query", using=EVERYTHING, sort=[{"property": "used", "isAscending": False}])["ids"]
    got = quotas.call("Quota/get", using=EVERYTHING, ids=by_used, properties=["used"])["list"]
    assert [one["used"] for one in got] == [1000, 6, 1]
    assert quotas.call("Quota/query", sort=[{"property": "hardLimit"}])["type"] == "unsupportedSort"
    assert quotas.call("Quota/query", filter={"used": 1})["type"] == "unsupportedFilter"


def test_query_changes(house, quotas):
    """What has changed may have moved (§4.5)."""
    quotas.limit(10_000)
    arguments = {"sort": [{"property": "used", "isAscending": False}], "calculateTotal": True}
    before = quotas.call("Quota/query", **arguments)
    house.deliver(message(1))
    after = quotas.call("Quota/query", **arguments)
    changes = quotas.call("Quota/queryChanges", sinceQueryState=before["queryState"], **arguments)
    storage = quotas.storage()["id"]
    assert (before["ids"][-1], after["ids"][0]) == (storage, storage)
    assert changes["removed"] == [storage]
    assert changes["added"] == [{"id": storage, "index": 0}]
    assert (changes["total"], changes["newQueryState"]) == (2, after["queryState"])


def test_changes_say_when_only_used_has_changed(house, quotas):
    """And null when a limit has (§4.3); a limit that comes is created, one that goes is destroyed."""
    state = quotas.call("Quota/get", ids=[])["state"]

    def changes():
        nonlocal state
        answered = quotas.call("Quota/changes", sinceState=state)
        state = answered["newState"]
        return [answered[name] for name in ("created", "updated", "destroyed", "updatedProperties")]

    quotas.limit(10_000)
    storage = quotas.storage()["id"]
    assert changes() == [[storage], [], [], None]
    email = house.deliver(message(1))
    assert changes() == [[], [storage], [], ["used"]]
    house.call("Email/set", {"update": {email: {"keywords/$seen": True}}})
    assert changes() == [[], [], [], None]
    house.call("Email/set", {"destroy": [email]})
    assert changes() == [[], [storage], [], ["used"]]
    house.deliver(message(2))
    quotas.limit(20_000)
    assert changes() == [[], [storage], [], None]
    quotas.limit(0)
    assert changes() == [[], [], [storage], None]
    house.deliver(message(3))
    assert changes() == [[], [], [], None]
    quotas.limit(20_000)
    (made,), *_ = changes()
    assert (made != storage, quotas.storage()["used"]) == (True, 2000)


def test_it_is_pushed(house, quotas):
    """With each delivery, and not when nothing is used more or less (§6); the state is that of /get."""
    quotas.limit(10_000)
    house.announced.clear()
    email = house.deliver(message(1))
    account = house.users[ALICE].account
    (told,) = house.announced
    assert str(told[account]["Quota"]) == quotas.call("Quota/get", ids=[])["state"]
    house.call("Email/set", {"update": {email: {"keywords/$seen": True}}})
    assert "Quota" not in house.announced[-1][account]
    house.announced.clear()
    house.deliver(message(2), BOB)
    assert all("Quota" not in types for types in house.announced[-1].values())


def test_objects_that_are_counted(house, quotas):
    """Mailboxes and Identities: shown, and refused beyond the limit (RFC 8620 §5.3)."""
    using = EVERYTHING
    made = house.call("Mailbox/set", {"create": {name: {"name": name} for name in ("one", "two")}})
    counted = {one["name"]: one["used"] for one in quotas.call("Quota/get", using=using, ids=None)["list"]}
    assert counted == {"Mailbox count": 8, "Identity count": 1}
    house.call("Mailbox/set", {"destroy": [made["created"]["one"]["id"]]})
    account = house.users[ALICE].account
    house.database.write(lambda tx: usage.add(tx, account, "Mailbox", 9_992))
    full = house.call("Mailbox/set", {"create": {"a": {"name": "a"}, "b": {"name": "b"}}})
    assert (list(full["created"]), full["notCreated"]["b"]["type"]) == (["a"], "overQuota")
    assert full["notCreated"]["b"]["description"] == "An account may have 10000 objects of the type Mailbox."


def test_nothing_can_be_set(house):
    """Who may use how much is for whoever runs the server (§1)."""
    assert "Quota/set" not in house.engine.methods
    assert {name for name in house.engine.methods if name.startswith("Quota/")} == {
        "Quota/get",
        "Quota/changes",
        "Quota/query",
        "Quota/queryChanges",
    }


def test_a_new_user_has_the_households_limit(house):
    """Whatever it is when they come; who goes takes their numbers along."""
    from minijmap import users

    house.database.write(lambda tx: limits.set_household(tx, 5000))
    users.add_user(house.database, "new@example.com", "", "secret", 0)
    with house.database.read() as reader:
        key = reader.value("SELECT max(key) FROM account")
        assert limits.limit(reader, key) == 5000
        assert reader.value("SELECT hard_limit FROM quota WHERE account = ? AND resource = 'octets'", (key,)) == 5000
    users.remove_user(house.database, "new@example.com")
    with house.database.read() as reader:
        for table in ("quota", "usage", "quota_setting", "state", "upload", "blob_use"):
            assert reader.value(f"SELECT count(*) FROM {table} WHERE account = ?", (key,)) == 0, table


def test_removing_a_user_removes_what_only_they_had(house):
    """And leaves nothing wrong."""
    from minijmap import users
    from minijmap.store import check

    house.database.write(lambda tx: limits.set_household(tx, 50_000))
    house.deliver(message(1), BOB)
    house.deliver(message(2), BOB)
    house.deliver(message(2))
    users.remove_user(house.database, BOB)
    with house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM blob") == 1
        assert list(check.problems(reader)) == []
