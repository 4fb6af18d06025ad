"""VacationResponse: the one object that every account has (RFC 8621 §8)."""

import pytest

from minijmap import users

DEFAULTS = {
    "id": "singleton",
    "isEnabled": False,
    "fromDate": None,
    "toDate": None,
    "subject": None,
    "textBody": None,
    "htmlBody": None,
}


def update(house, patch, object_id="singleton"):
    """Patch the object; return the response."""
    return house.call("VacationResponse/set", {"update": {object_id: patch}})


@pytest.mark.parametrize("ids", [None, ["singleton"]])
def test_it_is_there_before_anybody_has_touched_it(house, ids):
    """With its defaults, by its id and without."""
    got = house.call("VacationResponse/get", {"ids": ids})

    assert (got["list"], got["notFound"]) == ([DEFAULTS], [])


def test_there_is_no_other(house):
    """Other ids are not found, nor are keys of the store."""
    got = house.call("VacationResponse/get", {"ids": ["1", "v1", "Singleton"]})

    assert (got["list"], got["notFound"]) == ([], ["1", "v1", "Singleton"])


def test_only_the_asked_properties_are_shown(house):
    """Before the first update and after it."""
    wanted = {"id": "singleton", "subject": None}
    assert house.call("VacationResponse/get", {"properties": ["subject"]})["list"] == [wanted]
    update(house, {"subject": "Away"})

    assert house.call("VacationResponse/get", {"properties": ["subject"]})["list"] == [{**wanted, "subject": "Away"}]


def test_it_is_updated_again_and_again(house):
    """Each update has a state of its own, and leaves what it does not name."""
    before = house.call("VacationResponse/get")["state"]
    first = update(house, {"isEnabled": True, "fromDate": "2026-01-01T00:00:00.000Z", "subject": "Away"})
    assert (first["oldState"], first["updated"]) == (before, {"singleton": {"fromDate": "2026-01-01T00:00:00Z"}})
    second = update(house, {"subject": None, "textBody": "Back soon"})

    assert second["oldState"] == first["newState"] != second["newState"]
    got = house.call("VacationResponse/get")
    assert got["state"] == second["newState"]
    assert got["list"] == [{**DEFAULTS, "isEnabled": True, "fromDate": "2026-01-01T00:00:00Z", "textBody": "Back soon"}]


def test_each_account_has_its_own(house):
    """What Alice says is not what Bob says."""
    update(house, {"subject": "Alice is away"})

    assert house.call("VacationResponse/get", {}, "bob@example.com")["list"] == [DEFAULTS]


def test_it_is_never_created_nor_destroyed(house):
    """Both are refused as `singleton`, an id that is not there as notFound; an update beside them counts."""
    answer = house.call(
        "VacationResponse/set",
        {"create": {"k": {"nonsense": 1}}, "update": {"singleton": {"isEnabled": True}}, "destroy": ["singleton", "x"]},
    )

    assert answer["notCreated"]["k"]["type"] == "singleton"
    assert {name: error["type"] for name, error in answer["notDestroyed"].items()} == {
        "singleton": "singleton",
        "x": "notFound",
    }
    assert answer["updated"] == {"singleton": None}
    assert answer["created"] is answer["destroyed"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("isEnabled", "yes"),
        ("fromDate", "tomorrow"),
        ("toDate", "2026-01-01T00:00:00+01:00"),
        ("subject", "a\r\nBcc: b"),
        ("id", "x"),
        ("y", 1),
    ],
)
def test_a_wrong_value_is_named(house, name, value):
    """Nothing is changed, and the property is named."""
    answer = update(house, {name: value})

    assert answer["notUpdated"]["singleton"]["properties"] == [name]
    assert answer["oldState"] == answer["newState"]


def test_what_is_not_there_is_not_updated(house):
    """An update of any other id is notFound."""
    assert update(house, {"isEnabled": True}, "s1")["notUpdated"]["s1"]["type"] == "notFound"


def test_a_state_that_is_not_the_expected_stops_it(house):
    """From the first update on, `ifInState` is honoured."""
    answer = house.call("VacationResponse/set", {"ifInState": "7", "update": {"singleton": {"isEnabled": True}}})

    assert answer["type"] == "stateMismatch"


def test_it_has_no_other_methods(house):
    """RFC 8621 §8 has /get and /set alone."""
    assert house.call("VacationResponse/changes", {"sinceState": "0"})["type"] == "unknownMethod"


def test_it_goes_with_its_account(house):
    """Removing the user removes the row."""
    update(house, {"isEnabled": True})
    users.remove_user(house.database, "alice@example.com")

    with house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM vacation_response") == 0
