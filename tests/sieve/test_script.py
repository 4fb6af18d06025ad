"""SieveScript: stored, named, switched and found, as RFC 9661 says; its examples as transcripts."""

import pytest

from minijmap import users
from minijmap.sieve.capability import MOST_SCRIPTS
from minijmap.sieve.limits import LIMITS
from minijmap.store import blobs
from tests.sieve.inhouse import ALICE, BOB, CORE, SIEVE, add_script, scripts, set_scripts, upload

KEEP = "keep;\r\n"


def state(house):
    """Return the state of SieveScripts."""
    return house.call("SieveScript/get")["state"]


def create(house, script=KEEP, **properties):
    """Create one script; return what was created, or the error."""
    answer = set_scripts(house, create={"k": {"blobId": upload(house, script), **properties}})
    return (answer["created"] or {}).get("k") or answer["notCreated"]["k"]


def update(house, script_id, **patch):
    """Update one script; return what was updated, or the error."""
    answer = set_scripts(house, update={script_id: patch})
    return answer["notUpdated"][script_id] if answer["notUpdated"] else answer["updated"][script_id]


def destroy(house, script_id):
    """Destroy one script; return None, or the error."""
    return (set_scripts(house, destroy=[script_id])["notDestroyed"] or {}).get(script_id)


# RFC 9661 §2.4.1, and §2.3.1


def test_the_examples_of_the_specification(house):
    """Create and activate, change the content and the name, deactivate, activate again, destroy."""
    before = add_script(house, KEEP, "before")
    content = 'require "imap4flags";\r\n\r\nif address :is ["To", "Cc"] "jmap@ietf.org" {\r\n  setflag "\\\\Flagged";\r\n}\r\n'
    blob = upload(house, content)
    old = state(house)

    first = set_scripts(house, create={"A": {"name": None, "blobId": blob}}, onSuccessActivateScript="#A")

    made = first["created"]["A"]
    script = made["id"]
    assert made == {"id": script, "name": "script-20260101T000000", "blobId": blob, "isActive": True}
    assert first == {
        "accountId": house.account(),
        "oldState": old,
        "newState": state(house),
        "created": {"A": made},
        "updated": {before: {"isActive": False}},
        **dict.fromkeys(("destroyed", "notCreated", "notUpdated", "notDestroyed")),
    }

    second = set_scripts(house, update={script: {"blobId": upload(house, 'redirect "ken@example.com"\r\n;')}})
    third = set_scripts(house, update={script: {"name": "myscript"}}, onSuccessDeactivateScript=True)
    fourth = set_scripts(house, onSuccessActivateScript=script)
    fifth = set_scripts(house, onSuccessDeactivateScript=True)
    sixth = set_scripts(house, destroy=[script])

    assert second["updated"] == {script: None}
    assert third["updated"] == fifth["updated"] == {script: {"isActive": False}}
    assert fourth["updated"] == {script: {"isActive": True}}
    assert sixth["destroyed"] == [script]
    states = [first, second, third, fourth, fifth, sixth]
    assert [one["oldState"] for one in states[1:]] == [one["newState"] for one in states[:-1]]
    assert len({one["newState"] for one in states}) == 6


def test_all_scripts_are_listed(house):
    """With all their properties, when no ids are asked for."""
    script = add_script(house, 'require ["fileinto"];\r\nfileinto "INBOX.target";\r\n', "test1")
    got = house.call("SieveScript/get")

    blob = upload(house, 'require ["fileinto"];\r\nfileinto "INBOX.target";\r\n')
    assert got["list"] == [{"id": script, "name": "test1", "isActive": True, "blobId": blob}]
    assert got["notFound"] == []


def test_the_example_with_blob_upload_and_get(house):
    """A content is uploaded, used by its creation id and read again in calls of JMAP alone (RFC 9404)."""
    script, account = add_script(house, KEEP, "mine"), house.account()
    data = {"data": [{"data:asText": 'redirect "ken@example.com"\r\n;'}], "type": "application/sieve"}
    result = {"resultOf": "3", "name": "SieveScript/get", "path": "/list/*/blobId"}
    responses = house.request(
        ["Blob/upload", {"accountId": account, "create": {"B": data}}, "1"],
        ["SieveScript/set", {"accountId": account, "update": {script: {"blobId": "#B"}}}, "2"],
        ["SieveScript/get", {"accountId": account}, "3"],
        ["Blob/get", {"accountId": account, "#ids": result, "properties": ["data:asText", "size"]}, "4"],
        ["Blob/lookup", {"accountId": account, "typeNames": ["SieveScript"], "#ids": result}, "5"],
        using=(CORE, SIEVE, "urn:ietf:params:jmap:blob"),
    )
    uploaded, changed, got, read, looked = (arguments for _, arguments, _ in responses)

    blob = uploaded["created"]["B"]["id"]
    assert changed["updated"] == {script: None}
    assert got["list"] == [{"id": script, "name": "mine", "blobId": blob, "isActive": True}]
    assert read["list"] == [{"id": blob, "data:asText": 'redirect "ken@example.com"\r\n;', "size": 29}]
    assert looked["list"] == [{"id": blob, "matchedIds": {"SieveScript": [script]}}]


def test_the_capability_tells_what_there_is(house):
    """Every member that RFC 9661 §1.2.1 demands, true to the table of extensions and the limits."""
    capabilities = house.engine.capabilities[SIEVE]
    account = capabilities.account(None)

    assert capabilities.described()["implementation"].startswith("minijmap ")
    assert account["maxSizeScriptName"] >= 512
    assert account["maxSizeScript"] == LIMITS.script_size
    assert account["maxNumberScripts"] == MOST_SCRIPTS
    assert account["maxNumberRedirects"] == LIMITS.redirects
    assert {"fileinto", "vacation", "include", "enotify", "reject"} <= set(account["sieveExtensions"])
    assert account["notificationMethods"] == ["mailto"]
    assert set(account) == {
        *("maxSizeScriptName", "maxSizeScript", "maxNumberScripts", "maxNumberRedirects"),
        *("sieveExtensions", "notificationMethods", "externalLists"),
    }


def test_it_needs_its_capability(house):
    """Without it in `using` the methods are not there, where that is strict."""
    house.engine = house.make_engine(strict_using=True)
    call = ["SieveScript/get", {"accountId": house.account()}, "c"]

    assert house.request(call, using=(CORE,))[0][1]["type"] == "unknownMethod"
    assert house.request(call, using=(CORE, SIEVE))[0][0] == "SieveScript/get"


# Names (§2.1)


@pytest.mark.parametrize(
    "name", ["", "a\x00b", "a\nb", "\x1f", "\x7f", "\x9f", "a\u2028b", "a\u2029b", "n" * 513, "ü" * 257]
)
def test_names_that_are_refused(house, name):
    """Empty, too long in octets, with control characters or line separators."""
    error = create(house, name=name)

    assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])


@pytest.mark.parametrize("name", ["a", "n" * 512, "ü" * 256, "Arbeit / Büro 🎉", "a/b", " "])
def test_names_that_are_taken(house, name):
    """Anything else, up to 512 octets."""
    assert create(house, name=name)["isActive"] is False
    assert list(scripts(house)) == [name]


def test_names_are_kept_in_net_unicode(house):
    """Composed (RFC 5198), and the answer says so."""
    assert create(house, name="u\u0308")["name"] == "ü"


def test_no_two_have_the_same_name(house):
    """On create and on update, with the id of the other."""
    first = create(house, name="one")["id"]
    second = create(house, name="two")["id"]

    for error in (create(house, name="one"), update(house, second, name="one")):
        assert (error["type"], error["existingId"]) == ("alreadyExists", first)
    assert update(house, first, name="one") is None


def test_names_may_be_swapped_in_one_call(house):
    """The end of a call counts (RFC 8620 §5.3)."""
    first, second = create(house, name="one")["id"], create(house, name="two")["id"]
    answer = set_scripts(house, update={first: {"name": "two"}, second: {"name": "one"}})

    assert answer["updated"] == {first: None, second: None}


def test_a_script_without_a_name_is_given_one(house):
    """One that no other has, on create and when it is taken away."""
    names = [create(house)["name"] for _ in range(2)]
    script = create(house, name="mine")["id"]
    names.append(update(house, script, name=None)["name"])

    assert len(set(names)) == 3
    assert set(scripts(house)) == set(names)


# Contents (§2.2, §2.4)


@pytest.mark.parametrize(
    ("script", "place"),
    [
        ("keep", "line 1"),
        ("keep;\r\nkepp;\r\n", "line 2"),
        ('require "no-such-thing";', "line 1"),
        ('require "imapflags";\r\n', "line 1"),
        ('fileinto "x";', "line 1"),
        (b"keep; # \xff", "line 1"),
        ("", "line 1"),
    ],
)
def test_what_is_no_script_is_refused_with_its_line(house, script, place):
    """Grammar, unknown commands, what is not required or not there, octets that are no UTF-8, nothing at all."""
    error = create(house, script)

    assert error["type"] == "invalidSieve"
    assert place in error["description"]
    assert scripts(house) == {}


def test_a_script_in_use_stays_when_its_new_content_is_refused(house):
    """Nothing of a failed update is kept."""
    script = add_script(house, KEEP, "mine")
    before = scripts(house)
    error = update(house, script, name="other", blobId=upload(house, "oops"))

    assert error["type"] == "invalidSieve"
    assert scripts(house) == before


def test_a_script_that_is_too_large(house):
    """It has an error of its own; one of just the size is taken."""
    size = LIMITS.script_size

    assert create(house, "#" * (size - 2) + "\r\n")["isActive"] is False
    assert create(house, "#" * (size - 1) + "\r\n")["type"] == "tooLarge"


@pytest.mark.parametrize("blob", ["b" + "0" * 40, "nonsense", "#nobody"])
def test_a_blob_that_is_not_there(house, blob):
    """Or is somebody else's, or nobody's creation id."""
    answer = set_scripts(house, create={"k": {"blobId": blob}})
    other = set_scripts(house, create={"k": {"blobId": upload(house, KEEP, BOB)}})

    for one in (answer, other):
        error = one["notCreated"]["k"]
        assert (error["type"], error["properties"]) == ("invalidProperties", ["blobId"])


def test_a_part_of_a_blob_can_be_a_script(house):
    """Such as an attachment: the script is then a blob of its own."""
    whole = upload(house, "noise keep; noise")
    made = set_scripts(house, create={"k": {"blobId": f"{whole}-6-5-n"}})["created"]["k"]

    assert made["blobId"] == upload(house, "keep;") != whole


def test_how_many_scripts_there_may_be(house):
    """One more is overQuota; the VacationResponse does not count."""
    house.call("VacationResponse/set", {"update": {"singleton": {"subject": "Away"}}})
    blob = upload(house, KEEP)
    answer = set_scripts(house, create={f"k{n}": {"blobId": blob} for n in range(MOST_SCRIPTS + 1)})

    assert len(answer["created"]) == MOST_SCRIPTS
    assert [one["type"] for one in answer["notCreated"].values()] == ["overQuota"]


def test_the_content_stays_as_long_as_the_script(house):
    """Uploads go after a day; what a script refers to does not."""
    script = create(house, "discard;", name="mine")
    blob = script["blobId"]
    house.now += 3 * 24 * 3600
    collect(house)
    assert octets(house, blob) == b"discard;"
    update(house, script["id"], blobId=upload(house, KEEP))
    house.now += 3 * 24 * 3600
    collect(house)

    assert octets(house, blob) is None
    assert octets(house, scripts(house)["mine"]["blobId"]) == KEEP.encode()


def collect(house):
    """Drop what nothing refers to."""
    house.database.write(lambda tx: blobs.collect(tx, int(house.now * 1000)))


def octets(house, blob_id):
    """Return a blob's octets as the user can download them."""
    with house.database.read() as reader:
        return blobs.open_blob(reader, house.users[ALICE].account, blob_id)


# Which one is active (§2.4)


def test_is_active_is_the_servers(house):
    """It can't be given, neither on create nor on update; what is so already may be repeated."""
    script = create(house, name="mine")["id"]

    assert create(house, isActive=True)["type"] == "invalidProperties"
    assert update(house, script, isActive=True)["type"] == "invalidProperties"
    assert update(house, script, isActive=False) is None


def test_the_active_script_is_not_destroyed(house):
    """Not even when the same call deactivates it: that takes a call of its own."""
    script = add_script(house, KEEP)

    assert destroy(house, script)["type"] == "sieveIsActive"
    together = set_scripts(house, destroy=[script], onSuccessDeactivateScript=True)
    assert together["notDestroyed"][script]["type"] == "sieveIsActive"
    assert together["updated"] is None
    assert set_scripts(house, onSuccessDeactivateScript=True)["updated"] == {script: {"isActive": False}}
    assert destroy(house, script) is None


@pytest.mark.parametrize("nobody", ["s999", "#nobody", "!!", "", "x" * 300, 5, None, ["s1"]])
def test_what_names_no_script_activates_none(house, nobody):
    """It is ignored, and the active one stays."""
    script = add_script(house, KEEP)
    answer = set_scripts(house, onSuccessActivateScript=nobody)

    assert answer["updated"] is None
    assert answer["oldState"] == answer["newState"]
    assert [one["id"] for one in scripts(house).values() if one["isActive"]] == [script]


def test_somebody_elses_script_is_nobodys(house):
    """An account's scripts are its own."""
    script = add_script(house, KEEP, user=BOB, active=False)
    set_scripts(house, onSuccessActivateScript=script)

    assert [one["isActive"] for one in scripts(house, BOB).values()] == [False]


@pytest.mark.parametrize(
    "failing",
    [
        {"create": {"bad": {"blobId": "nonsense"}}},
        {"update": {"s999": {"name": "x"}}},
        {"destroy": ["s999"]},
    ],
)
def test_nothing_is_switched_when_anything_fails(house, failing):
    """All creations, updates and destructions must succeed."""
    active = add_script(house, KEEP, "active")
    other = add_script(house, KEEP, "other", active=False)
    before = scripts(house)
    answer = set_scripts(house, **failing, onSuccessActivateScript=other, onSuccessDeactivateScript=True)

    assert answer["updated"] is None
    assert scripts(house) == before
    assert before["active"]["id"] == active


def test_both_at_once(house):
    """Deactivated first, activated then: the other is active, and both are told."""
    first, second = add_script(house, KEEP, "one"), add_script(house, KEEP, "two", active=False)
    answer = set_scripts(house, onSuccessActivateScript=second, onSuccessDeactivateScript=True)

    assert answer["updated"] == {first: {"isActive": False}, second: {"isActive": True}}


def test_activating_the_active_one(house):
    """It is reported, and nothing has changed."""
    script = add_script(house, KEEP)
    answer = set_scripts(house, onSuccessActivateScript=script)

    assert answer["updated"] == {script: {"isActive": True}}
    assert answer["oldState"] == answer["newState"]


def test_a_creation_of_an_earlier_call(house):
    """Its creation id names it too."""
    blob = upload(house, KEEP)
    account = house.account()
    responses = house.request(
        ["SieveScript/set", {"accountId": account, "create": {"A": {"blobId": blob}}}, "0"],
        ["SieveScript/set", {"accountId": account, "onSuccessActivateScript": "#A"}, "1"],
        using=(CORE, SIEVE),
    )
    script = responses[0][1]["created"]["A"]["id"]

    assert responses[1][1]["updated"] == {script: {"isActive": True}}


def test_an_update_is_told_with_its_activation(house):
    """One entry holds both."""
    script = add_script(house, KEEP, active=False)
    answer = set_scripts(house, update={script: {"name": "e\u0301"}}, onSuccessActivateScript=script)

    assert answer["updated"] == {script: {"name": "é", "isActive": True}}


# Finding, changes (§2.5)


def test_finding_scripts(house):
    """By what their name contains in any case, and by whether they are active; sorted by both."""
    ids = {name: add_script(house, KEEP, name, active=False) for name in ("beta", "Alpha", "gamma")}
    set_scripts(house, onSuccessActivateScript=ids["gamma"])

    def query(**arguments):
        return house.call("SieveScript/query", arguments)["ids"]

    def by(name, **more):
        return [{"property": name, **more}]

    assert query(sort=by("name")) == [ids["Alpha"], ids["beta"], ids["gamma"]]
    assert query(sort=[*by("isActive", isAscending=False), *by("name")]) == [ids["gamma"], ids["Alpha"], ids["beta"]]
    assert query(filter={"name": "ALPH"}) == [ids["Alpha"]]
    assert query(filter={"isActive": True}) == [ids["gamma"]]
    assert query(filter={"isActive": False, "name": "a"}, sort=by("name")) == [ids["Alpha"], ids["beta"]]
    assert house.call("SieveScript/query", {"filter": {"blobId": "x"}})["type"] == "unsupportedFilter"
    assert house.call("SieveScript/query", {"sort": by("blobId")})["type"] == "unsupportedSort"


def test_changes_are_told(house):
    """Since a state, and to a list of results; whoever listens hears of them."""
    since = state(house)
    first = add_script(house, KEEP, "one")
    middle = state(house)
    second = add_script(house, KEEP, "two")

    assert house.call("SieveScript/changes", {"sinceState": since})["created"] == [first, second]
    later = house.call("SieveScript/changes", {"sinceState": middle})
    assert (later["created"], later["updated"]) == ([second], [first])
    found = house.call("SieveScript/queryChanges", {"sinceQueryState": middle, "filter": {"isActive": True}})
    assert (found["removed"], found["added"]) == ([first], [{"id": second, "index": 0}])
    assert str(house.announced[-1][house.users[ALICE].account]["SieveScript"]) == state(house)


def test_with_the_user_go_the_scripts(house):
    """Nothing of them is left."""
    add_script(house, KEEP, "one")
    users.remove_user(house.database, ALICE)

    with house.database.read() as reader:
        for table in ("sieve_script", "sieve_record", "sieve_sent", "blob_use"):
            assert reader.value(f"SELECT count(*) FROM {table}") == 0
