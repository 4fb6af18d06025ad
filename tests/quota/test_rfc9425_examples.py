"""The examples of RFC 9425, asked and answered."""

from tests.conftest import CORE, MAIL
from tests.quota.conftest import QUOTA, message


def test_fetching_quotas(house, quotas):
    """§5.1: all quotas of an account, with every property that the specification has."""
    quotas.limit(100_000)
    house.deliver(message(1, 1056))
    (answered,) = house.request(
        ["Quota/get", {"accountId": house.account(), "ids": None}, "0"], using=(CORE, MAIL, QUOTA)
    )
    assert answered[0] == "Quota/get"
    got = answered[1]
    assert (got["accountId"], got["notFound"]) == (house.account(), [])
    octets = next(one for one in got["list"] if one["resourceType"] == "octets")
    assert octets == {
        "id": octets["id"],
        "resourceType": "octets",
        "used": 1056,
        "warnLimit": 90_000,
        "softLimit": None,
        "hardLimit": 100_000,
        "scope": "account",
        "name": "Storage",
        "description": octets["description"],
        "types": ["Email"],
    }
    assert "mail that arrives is refused" in octets["description"]
    count = next(one for one in got["list"] if one["types"] == ["Mailbox"])
    assert count == {
        "id": count["id"],
        "resourceType": "count",
        "used": 6,
        "warnLimit": 9000,
        "softLimit": None,
        "hardLimit": 10_000,
        "scope": "account",
        "name": "Mailbox count",
        "description": "How many objects of this type the account may have.",
        "types": ["Mailbox"],
    }


def test_requesting_latest_quota_changes(house, quotas):
    """§5.2: what has changed, and of it no more than that, in one request."""
    quotas.limit(100_000)
    house.deliver(message(1, 1056))
    before = quotas.call("Quota/get", ids=[])["state"]
    house.deliver(message(2, 190))
    since = {"accountId": house.account(), "sinceState": before, "maxChanges": 20}
    follows = {
        "accountId": house.account(),
        "#ids": {"resultOf": "0", "name": "Quota/changes", "path": "/updated"},
        "#properties": {"resultOf": "0", "name": "Quota/changes", "path": "/updatedProperties"},
    }
    changes, got = house.request(["Quota/changes", since, "0"], ["Quota/get", follows, "1"], using=(CORE, MAIL, QUOTA))
    storage = quotas.storage()["id"]
    assert changes[1] == {
        "accountId": house.account(),
        "oldState": before,
        "newState": got[1]["state"],
        "hasMoreChanges": False,
        "updatedProperties": ["used"],
        "created": [],
        "updated": [storage],
        "destroyed": [],
    }
    assert got[1]["list"] == [{"id": storage, "used": 1246}]
