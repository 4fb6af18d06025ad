"""Foo/copy and Blob/copy (RFC 8620 §5.4, §6.3), as transcripts."""

import pytest

from minijmap.jmap.engine import Limits
from minijmap.jmap.session import CORE
from minijmap.store import blobs
from tests.jmap.toy import BOX, TOY


def copy(nursery, **arguments):
    """Copy from Tom's own account to the second; return the answer."""
    return nursery.call("Toy/copy", fromAccountId=nursery.own, accountId=nursery.second, **arguments)


def in_second(nursery, toy_id):
    """A Toy of the second account."""
    return nursery.toy(toy_id, nursery.second)


def test_a_copy_has_the_originals_properties(nursery):
    """What is set by the server is new, what the client gives stands instead of the original's (RFC 8620 §5.4)."""
    (original,) = nursery.add("Ball", size=3, label="x", serial="77", keywords={"a": True})
    before = nursery.call("Toy/get", accountId=nursery.second, ids=[])["state"]
    nursery.now += 60
    answer = copy(nursery, create={"k": {"id": original, "label": None, "size": 5}})

    created = answer["created"]["k"]["id"]
    assert answer == {
        "fromAccountId": nursery.own,
        "accountId": nursery.second,
        "oldState": before,
        "newState": nursery.call("Toy/get", accountId=nursery.second, ids=[])["state"],
        "created": {"k": {"id": created, "madeAt": "2026-01-01T00:01:00Z", "weight": 9, "edits": 0}},
        "notCreated": None,
    }
    mine = nursery.toy(original)
    assert in_second(nursery, created) == {
        **mine,
        "id": created,
        "label": None,
        "size": 5,
        "madeAt": "2026-01-01T00:01:00Z",
        "weight": 9,
    }


def test_the_original_goes_in_a_call_of_its_own(nursery):
    """An implicit /set, right after the copy, under the same call id; then the next call."""
    first, second = nursery.add("A", "B")
    create = {"x": {"id": first}, "y": {"id": "t99"}, "z": {"id": second, "name": ""}, "w": {"id": first, "name": "C"}}
    arguments = {
        "fromAccountId": nursery.own,
        "accountId": nursery.second,
        "create": create,
        "onSuccessDestroyOriginal": True,
    }
    answer = nursery.request(["Toy/copy", arguments, "0"], ["Toy/get", {"ids": [first, second]}, "1"])

    assert [(name, call_id) for name, _, call_id in answer] == [("Toy/copy", "0"), ("Toy/set", "0"), ("Toy/get", "1")]
    assert list(answer[0][1]["created"]) == ["x", "w"]
    assert answer[0][1]["notCreated"]["y"]["type"] == "notFound"
    assert answer[0][1]["notCreated"]["z"]["properties"] == ["name"]
    implicit = answer[1][1]
    assert (implicit["accountId"], implicit["destroyed"], implicit["notDestroyed"]) == (nursery.own, [first], None)
    assert ([one["id"] for one in answer[2][1]["list"]], answer[2][1]["notFound"]) == ([second], [first])


def test_an_original_that_can_not_go(nursery):
    """The copy stays when the original does too: the two are not one action."""
    (glued,) = nursery.add("glued")
    arguments = {"fromAccountId": nursery.own, "accountId": nursery.second, "create": {"k": {"id": glued}}}
    copied, destroyed = nursery.request(["Toy/copy", {**arguments, "onSuccessDestroyOriginal": True}, "0"])

    assert in_second(nursery, copied[1]["created"]["k"]["id"])
    assert destroyed[1]["notDestroyed"][glued]["type"] == "forbidden"


def test_the_state_for_the_destruction(nursery):
    """`destroyFromIfInState` is the implicit call's ifInState: its error has the same call id."""
    first, second = nursery.add("A", "B")
    state = nursery.state()
    arguments = {"fromAccountId": nursery.own, "accountId": nursery.second, "onSuccessDestroyOriginal": True}
    wrong = {**arguments, "create": {"k": {"id": first}}, "destroyFromIfInState": "0"}
    right = {**arguments, "create": {"k": {"id": second}}, "destroyFromIfInState": state}
    answer = nursery.request(["Toy/copy", wrong, "0"], ["Toy/copy", right, "1"])

    assert [(name, result.get("type"), call_id) for name, result, call_id in answer] == [
        ("Toy/copy", None, "0"),
        ("error", "stateMismatch", "0"),
        ("Toy/copy", None, "1"),
        ("Toy/set", None, "1"),
    ]
    assert nursery.toy(first)
    assert nursery.toy(second) is None


@pytest.mark.parametrize("create", [{}, {"k": {"id": "t99"}}])
def test_nothing_copied_is_nothing_destroyed(nursery, create):
    """Without a success there is no implicit call."""
    arguments = {"fromAccountId": nursery.own, "accountId": nursery.second, "create": create}
    answer = nursery.request(["Toy/copy", {**arguments, "onSuccessDestroyOriginal": True}, "0"])

    assert [name for name, _, _ in answer] == ["Toy/copy"]
    assert answer[0][1]["created"] is None


def test_from_an_account_that_may_only_be_read(nursery):
    """Copying from it works, destroying there is `accountReadOnly`; copying to it is that too."""
    shared = nursery.login.accounts[2].account
    (mine,) = nursery.add("A")
    nursery.database.write(
        lambda tx: tx.execute(
            "INSERT INTO toy (account, created, changed, doc) SELECT ?, 1, 1, doc FROM toy", (shared,)
        )
    )
    (theirs,) = (one["id"] for one in nursery.call("Toy/get", accountId=nursery.shared, ids=None)["list"])
    arguments = {"fromAccountId": nursery.shared, "accountId": nursery.second, "create": {"k": {"id": theirs}}}
    answer = nursery.request(["Toy/copy", {**arguments, "onSuccessDestroyOriginal": True}, "0"])

    assert [(name, result.get("type")) for name, result, _ in answer] == [
        ("Toy/copy", None),
        ("error", "accountReadOnly"),
    ]
    to_it = nursery.fails("Toy/copy", fromAccountId=nursery.own, accountId=nursery.shared, create={"k": {"id": mine}})
    assert to_it["type"] == "accountReadOnly"


def test_states_of_both_accounts(nursery):
    """`ifFromInState` and `ifInState`: either may be wrong, and then nothing is copied."""
    (original,) = nursery.add("A")
    mine, theirs = nursery.state(), nursery.call("Toy/get", accountId=nursery.second, ids=[])["state"]
    create = {"k": {"id": original}}
    both = {"fromAccountId": nursery.own, "accountId": nursery.second, "create": create}

    assert nursery.fails("Toy/copy", ifFromInState=theirs, ifInState=theirs, **both)["type"] == "stateMismatch"
    assert nursery.fails("Toy/copy", ifFromInState=mine, ifInState=mine, **both)["type"] == "stateMismatch"
    assert nursery.call("Toy/get", accountId=nursery.second, ids=None)["list"] == []
    assert copy(nursery, ifFromInState=mine, ifInState=theirs, create=create)["created"]


def test_the_two_accounts_must_be_two_and_known(nursery):
    """`fromAccountNotFound`, `accountNotFound`, and `invalidArguments` for the same one or none."""

    def error(**arguments):
        return nursery.fails("Toy/copy", **{"fromAccountId": nursery.own, "create": {}, **arguments})["type"]

    assert error(fromAccountId="a99", accountId=nursery.second) == "fromAccountNotFound"
    assert error(accountId="a99") == "accountNotFound"
    assert error(accountId=nursery.own) == "invalidArguments"
    assert error(fromAccountId=None, accountId=nursery.second) == "invalidArguments"
    assert error(accountId=nursery.second, create=None) == "invalidArguments"
    assert nursery.fails("Toy/copy", accountId=nursery.second, create={})["arguments"] == ["fromAccountId"]
    assert nursery.fails("Toy/copy", accountId=nursery.second, fromAccountId=nursery.own)["arguments"] == ["create"]


@pytest.mark.parametrize(
    ("given", "error_type"),
    [
        ({}, "invalidProperties"),
        ({"id": None}, "invalidProperties"),
        ({"id": 1}, "invalidProperties"),
        ({"id": "t99"}, "notFound"),
        ({"id": "#nobody"}, "notFound"),
        ({"id": "ORIGINAL", "weight": 3}, "invalidProperties"),
        ({"id": "ORIGINAL", "nothing": 3}, "invalidProperties"),
        ({"id": "ORIGINAL", "name": "fail overQuota"}, "overQuota"),
        ({"id": "ORIGINAL", "parentId": "t99"}, "invalidProperties"),
    ],
)
def test_a_copy_that_can_not_be_made(nursery, given, error_type):
    """The errors of a create, and `notFound` for an original that is not there."""
    (original,) = nursery.add("A")
    given = {name: original if value == "ORIGINAL" else value for name, value in given.items()}

    assert copy(nursery, create={"k": given})["notCreated"]["k"]["type"] == error_type


def test_a_copy_that_exists_already(nursery):
    """`alreadyExists` with the id of the one that is there."""
    first, second = nursery.add("A", "B")
    there = copy(nursery, create={"k": {"id": first}})["created"]["k"]["id"]
    answer = copy(nursery, create={"k": {"id": first}, "l": {"id": second}})

    assert answer["notCreated"]["k"] == {
        "type": "alreadyExists",
        "description": "The name is taken.",
        "existingId": there,
    }
    assert list(answer["created"]) == ["l"]


def test_creation_ids_in_a_copy(nursery):
    """The original may be named by one, so may what the copy refers to; the copy's own goes into the map."""
    calls = [
        ["Toy/set", {"accountId": nursery.own, "create": {"k": {"name": "K"}, "l": {"name": "L"}}}, "0"],
        [
            "Toy/copy",
            {
                "fromAccountId": nursery.own,
                "accountId": nursery.second,
                "create": {"k": {"id": "#k", "parentId": "#new"}, "new": {"id": "#l"}},
                "onSuccessDestroyOriginal": True,
            },
            "1",
        ],
    ]
    answer = nursery.answer({"using": [CORE, TOY, BOX], "methodCalls": calls, "createdIds": {}})

    made, copied, destroyed = (result for _, result, _ in answer["methodResponses"])
    ids = {name: copied["created"][name]["id"] for name in ("k", "new")}
    assert in_second(nursery, ids["k"])["parentId"] == ids["new"]
    assert set(destroyed["destroyed"]) == {made["created"]["k"]["id"], made["created"]["l"]["id"]}
    assert answer["createdIds"] == {**ids, "l": made["created"]["l"]["id"]}


def test_objects_in_a_copy_are_limited_exactly(nursery):
    """MaxObjectsInSet holds for /copy as well."""
    nursery.engine = nursery.make_engine(limits=Limits(max_objects_in_set=2))
    (original,) = nursery.add("A")
    create = {f"k{n}": {"id": original, "name": f"copy {n}"} for n in range(3)}
    both = {"fromAccountId": nursery.own, "accountId": nursery.second}

    assert nursery.fails("Toy/copy", create=create, **both)["type"] == "requestTooLarge"
    del create["k2"]
    assert len(copy(nursery, create=create)["created"]) == 2


# Blob/copy


def upload(nursery, octets: bytes) -> str:
    """Store octets as an upload to Tom's own account."""
    account = nursery.login.accounts[0].account
    packed = blobs.pack(octets)
    nursery.database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed), account, 0))
    return packed.blob_id


def opened(nursery, account: str, blob_id: str) -> bytes | None:
    """The octets of a blob, as an account sees it."""
    with nursery.database.read() as reader:
        return blobs.open_blob(reader, int(account[1:]), blob_id)


def test_blobs_are_copied_by_their_ids(nursery):
    """`copied` and `notCopied`; the other account has the octets then, and a range becomes a blob."""
    whole = upload(nursery, b"hello, world")
    part = f"{whole}-7-5-n"
    unknown = "b" + "0" * 40
    wanted = [whole, part, unknown, whole, "x", f"{whole}-8-5-n"]
    assert opened(nursery, nursery.second, whole) is None
    answer = nursery.call("Blob/copy", fromAccountId=nursery.own, accountId=nursery.second, blobIds=wanted)

    assert answer["copied"][whole] == whole
    assert {name: error["type"] for name, error in answer["notCopied"].items()} == {
        unknown: "notFound",
        "x": "notFound",
        f"{whole}-8-5-n": "notFound",
    }
    assert opened(nursery, nursery.second, whole) == b"hello, world"
    assert opened(nursery, nursery.second, answer["copied"][part]) == b"world"


def test_nulls_of_blob_copy(nursery):
    """`copied` and `notCopied` are null when there is nothing to tell."""
    blob_id = upload(nursery, b"x")
    both = {"fromAccountId": nursery.own, "accountId": nursery.second}

    assert nursery.call("Blob/copy", blobIds=[blob_id], **both)["notCopied"] is None
    assert nursery.call("Blob/copy", blobIds=["nobody"], **both)["copied"] is None
    assert nursery.call("Blob/copy", blobIds=[], **both) == {**both, "copied": None, "notCopied": None}


def test_errors_of_blob_copy(nursery):
    """Accounts as for /copy; the ids must be an array of Ids, and no more than maxObjectsInSet."""
    nursery.engine = nursery.make_engine(limits=Limits(max_objects_in_set=2))

    def error(**arguments):
        given = {"fromAccountId": nursery.own, "accountId": nursery.second, "blobIds": [], **arguments}
        return nursery.fails("Blob/copy", **given)["type"]

    assert error(fromAccountId="a99") == "fromAccountNotFound"
    assert error(accountId="a99") == "accountNotFound"
    assert error(accountId=nursery.own) == "invalidArguments"
    assert error(accountId=nursery.shared) == "accountReadOnly"
    assert error(blobIds=None) == "invalidArguments"
    assert error(blobIds="x") == "invalidArguments"
    assert error(blobIds=["a", "b", "c"]) == "requestTooLarge"
