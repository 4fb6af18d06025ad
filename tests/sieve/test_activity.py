"""The active script and the VacationResponse: side by side, each seen from the other (RFC 9661 §4)."""

import pytest

from minijmap import users
from tests.sieve.inhouse import ALICE, BOB, add_script, scripts, set_scripts, upload

KEEP = "keep;\r\n"
NAME = "Vacation response"


def respond(house, **patch):
    """Change the VacationResponse; return the response."""
    answer = house.call("VacationResponse/set", {"update": {"singleton": patch}})
    assert answer["notUpdated"] is None
    return answer


def is_enabled(house):
    """Return whether the VacationResponse is."""
    return house.call("VacationResponse/get")["list"][0]["isEnabled"]


def active(house):
    """Return the names of the scripts that are shown as active."""
    return [name for name, script in scripts(house).items() if script["isActive"]]


def shown(house):
    """Return the script that shows the VacationResponse."""
    return scripts(house)[NAME]


def test_it_is_shown_once_it_was_set_up(house):
    """With a name, a content that is Sieve, and whether it is enabled."""
    assert scripts(house) == {}
    respond(house, subject="Away")
    assert shown(house)["isActive"] is False
    respond(house, isEnabled=True)

    assert active(house) == [NAME]
    verdict = house.call("SieveScript/validate", {"blobId": shown(house)["blobId"]})
    assert verdict["error"] is None


def test_its_name_may_be_taken(house):
    """Then it gets another; once it is there, nobody else gets it."""
    add_script(house, KEEP, NAME)
    respond(house, isEnabled=True)
    assert set(scripts(house)) == {NAME, f"{NAME} 2"}

    answer = set_scripts(house, create={"k": {"name": f"{NAME} 2", "blobId": upload(house, KEEP)}})
    error = answer["notCreated"]["k"]
    assert (error["type"], error["existingId"]) == ("alreadyExists", scripts(house)[f"{NAME} 2"]["id"])


def test_it_is_neither_changed_nor_destroyed(house):
    """Not its content, not its name (RFC 9661 §4), active or not."""
    respond(house, subject="Away")
    script = shown(house)
    for _ in range(2):
        for patch in ({"blobId": upload(house, KEEP)}, {"name": "mine"}):
            error = set_scripts(house, update={script["id"]: patch})["notUpdated"][script["id"]]
            assert (error["type"], "VacationResponse/set" in error["description"]) == ("forbidden", True)
        assert set_scripts(house, destroy=[script["id"]])["notDestroyed"][script["id"]]["type"] == "forbidden"
        respond(house, isEnabled=True)


def test_its_content_follows_the_settings(house):
    """Every change is seen in the list of scripts, and its old content is let go."""
    respond(house, textBody="one")
    before, state = shown(house)["blobId"], house.call("SieveScript/get")["state"]
    respond(house, textBody="two")

    assert shown(house)["blobId"] != before
    assert house.call("SieveScript/changes", {"sinceState": state})["updated"] == [shown(house)["id"]]
    assert "SieveScript" in house.announced[-1][house.users[ALICE].account]


def test_enabling_it_leaves_the_users_script(house):
    """The filters go on; the one active script is theirs."""
    script = add_script(house, KEEP, "mine")
    respond(house, isEnabled=True)
    assert active(house) == ["mine"]

    answer = set_scripts(house, onSuccessDeactivateScript=True)
    assert answer["updated"] == {script: {"isActive": False}, shown(house)["id"]: {"isActive": True}}
    assert (active(house), is_enabled(house)) == ([NAME], True)


def test_activating_a_script_leaves_it_enabled(house):
    """When it was enabled as a VacationResponse: it is only not shown as the active script any more."""
    respond(house, isEnabled=True)
    script = add_script(house, KEEP, "mine", active=False)
    answer = set_scripts(house, onSuccessActivateScript=script)

    assert answer["updated"] == {script: {"isActive": True}, shown(house)["id"]: {"isActive": False}}
    assert (active(house), is_enabled(house)) == (["mine"], True)


def test_it_is_activated_as_a_script(house):
    """That enables it, and deactivates the user's."""
    script = add_script(house, KEEP, "mine")
    respond(house, subject="Away")
    vacation = shown(house)["id"]
    answer = set_scripts(house, onSuccessActivateScript=vacation)

    assert answer["updated"] == {script: {"isActive": False}, vacation: {"isActive": True}}
    assert (active(house), is_enabled(house)) == ([NAME], True)
    assert "VacationResponse" in house.announced[-1][house.users[ALICE].account]


def test_what_was_activated_as_a_script_is_deactivated_as_one(house):
    """By activating another, which disables it."""
    script = add_script(house, KEEP, "mine", active=False)
    respond(house, subject="Away")
    set_scripts(house, onSuccessActivateScript=shown(house)["id"])
    answer = set_scripts(house, onSuccessActivateScript=script)

    assert answer["updated"] == {script: {"isActive": True}, shown(house)["id"]: {"isActive": False}}
    assert (active(house), is_enabled(house)) == (["mine"], False)


@pytest.mark.parametrize("as_script", [True, False])
def test_it_is_deactivated(house, as_script):
    """However it was enabled, when it is the active script."""
    respond(house, isEnabled=not as_script, subject="Away")
    if as_script:
        set_scripts(house, onSuccessActivateScript=shown(house)["id"])
    answer = set_scripts(house, onSuccessDeactivateScript=True)

    assert answer["updated"] == {shown(house)["id"]: {"isActive": False}}
    assert (active(house), is_enabled(house)) == ([], False)


def test_disabling_it_forgets_how_it_was_enabled(house):
    """Enabled again by VacationResponse/set, it stays whatever script is activated."""
    respond(house, subject="Away")
    set_scripts(house, onSuccessActivateScript=shown(house)["id"])
    respond(house, isEnabled=False)
    assert active(house) == []
    respond(house, isEnabled=True)
    add_script(house, KEEP, "mine")

    assert is_enabled(house)


def test_each_account_has_its_own(house):
    """Nobody else's scripts or answers change."""
    add_script(house, KEEP, "theirs", BOB)
    respond(house, isEnabled=True)

    assert list(scripts(house, BOB)) == ["theirs"]
    users.remove_user(house.database, ALICE)
    assert [one["isActive"] for one in scripts(house, BOB).values()] == [True]
