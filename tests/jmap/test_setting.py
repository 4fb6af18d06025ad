"""Foo/set (RFC 8620 §5.3): what is created, updated and destroyed, and what is refused, as transcripts."""

import pytest

from minijmap.jmap.engine import Limits
from tests.jmap.toy import MADE_AT, ToyType

WHOLE = {
    "name": "Ball",
    "serial": "none",
    "size": 0,
    "label": None,
    "colour": "red",
    "parentId": None,
    "partIds": {},
    "sockets": None,
    "keywords": {},
    "tags": None,
    "extra": None,
    "madeAt": MADE_AT,
    "weight": 4,
    "edits": 0,
}


def test_a_create_answers_with_all_that_was_not_said(nursery):
    """`created` has the server-set properties and the defaults, and leaves out what the client sent."""
    state = nursery.state()
    answer = nursery.call("Toy/set", create={"k": {"name": "Ball", "label": None, "size": 0}})

    toy_id = answer["created"]["k"]["id"]
    said = {name: value for name, value in WHOLE.items() if name not in ("name", "label", "size")}
    assert answer == {
        "accountId": nursery.own,
        "oldState": state,
        "newState": nursery.state(),
        "created": {"k": {"id": toy_id, **said}},
        "updated": None,
        "destroyed": None,
        "notCreated": None,
        "notUpdated": None,
        "notDestroyed": None,
    }
    assert nursery.toy(toy_id) == {"id": toy_id, **WHOLE}


def test_nothing_to_do_changes_nothing(nursery):
    """A /set of nothing answers with six nulls and the same state; null and an empty map are alike."""
    state = nursery.state()
    for nothing in ({}, {"create": None, "update": None, "destroy": None}, {"create": {}, "update": {}, "destroy": []}):
        answer = nursery.call("Toy/set", **nothing)
        assert (answer["oldState"], answer["newState"]) == (state, state)
        assert [answer[name] for name in answer if name not in ("accountId", "oldState", "newState")] == [None] * 6


def test_null_is_the_default_unless_it_is_a_value(nursery):
    """On create, null stands for a property's default; a nullable property with another default is null."""
    answer = nursery.call(
        "Toy/set", create={"k": {"name": "Ball", "size": None, "partIds": None, "colour": None, "label": None}}
    )

    created = answer["created"]["k"]
    assert (created["size"], created["partIds"]) == (0, {})
    assert "colour" not in created
    assert nursery.toy(created["id"])["colour"] is None


def test_null_for_a_required_property_is_missing(nursery):
    """There is no default to fall back to."""
    error = nursery.call("Toy/set", create={"k": {"name": None}})["notCreated"]["k"]

    assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])


@pytest.mark.parametrize(
    ("given", "at_fault"),
    [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "x" * 41}, ["name"]),
        ({"name": "a\u0007"}, ["name"]),
        ({"name": "a", "nothing": 1}, ["nothing"]),
        ({"name": "a", "id": "t1"}, ["id"]),
        ({"name": "a", "weight": 1}, ["weight"]),
        ({"name": "a", "nothing": 1, "edits": 2}, ["nothing", "edits"]),
        ({"size": 1001, "label": 3}, ["size", "label", "name"]),
        ({"name": "a", "size": -1}, ["size"]),
        ({"name": "a", "size": 1.5}, ["size"]),
        ({"name": "a", "size": "1"}, ["size"]),
        ({"name": "a", "size": True}, ["size"]),
        ({"name": "a", "keywords": {"x": False}}, ["keywords"]),
        ({"name": "a", "parentId": "t999"}, ["parentId"]),
        ({"name": "a", "parentId": "no id"}, ["parentId"]),
        ({"name": "a", "partIds": {"t999": True}}, ["partIds"]),
        ({"name": "a", "parentId": "#nobody"}, ["parentId"]),
    ],
)
def test_invalid_properties_are_all_named(nursery, given, at_fault):
    """`invalidProperties` lists every property at fault, and nothing is created."""
    state = nursery.state()
    answer = nursery.call("Toy/set", create={"k": given})

    assert answer["notCreated"]["k"]["type"] == "invalidProperties"
    assert answer["notCreated"]["k"]["properties"] == at_fault
    assert answer["created"] is None
    assert nursery.state() == state


def test_limits_of_a_property_are_exact(nursery):
    """The longest name and the greatest size are taken."""
    (toy_id,) = nursery.add("x" * 40, size=1000)

    assert nursery.toy(toy_id)["weight"] == 1040


@pytest.mark.parametrize("error_type", ["forbidden", "overQuota", "tooLarge", "rateLimit", "singleton", "ownError"])
def test_a_type_may_refuse_with_any_error(nursery, error_type):
    """A SetError that a hook raises is told for that object alone, with its description."""
    (toy_id,) = nursery.add("Ball")
    answer = nursery.call(
        "Toy/set",
        create={"bad": {"name": f"fail {error_type}"}, "good": {"name": "Good"}},
        update={toy_id: {"name": f"fail {error_type}"}},
    )

    refused = {"type": error_type, "description": "As was asked."}
    assert answer["notCreated"] == {"bad": refused}
    assert answer["notUpdated"] == {toy_id: refused}
    assert list(answer["created"]) == ["good"]


def test_a_limit_on_objects_counts_those_of_the_same_call(nursery):
    """`overQuota` for the one too many, not for those that fit."""
    create = {f"k{n}": {"name": f"nursery {n}"} for n in range(4)}
    answer = nursery.call("Toy/set", create=create)

    assert list(answer["created"]) == ["k0", "k1", "k2"]
    assert answer["notCreated"]["k3"]["type"] == "overQuota"


def test_what_is_not_there_can_not_be_changed(nursery):
    """`notFound` for ids that are gone, never were, are another account's or no ids of the type."""
    (gone,) = nursery.add("Gone")
    nursery.call("Toy/set", destroy=[gone])
    theirs = nursery.call("Toy/set", accountId=nursery.second, create={"k": {"name": "Theirs"}})["created"]["k"]["id"]
    ids = [gone, theirs, "t0", "t01", "t99999999999999999999", "x1", "t", "T1", "#nobody"]
    state = nursery.state()
    updates = nursery.call("Toy/set", update={one: {"size": 1} for one in ids})
    destroys = nursery.call("Toy/set", destroy=ids)

    assert updates["notUpdated"] == {one: {"type": "notFound"} for one in ids}
    assert destroys["notDestroyed"] == {one: {"type": "notFound"} for one in ids}
    assert nursery.state() == state
    assert nursery.toy(theirs, nursery.second)["size"] == 0


def test_an_update_answers_with_what_was_not_asked_for(nursery):
    """`updated` has the properties that the server changed beside, or another form of what was sent."""
    (toy_id,) = nursery.add("Ball")

    answer = nursery.call("Toy/set", update={toy_id: {"size": 3}})
    assert answer["updated"] == {toy_id: {"weight": 7, "edits": 1}}
    answer = nursery.call("Toy/set", update={toy_id: {"name": "e\u0301"}})
    assert answer["updated"] == {toy_id: {"name": "\u00e9", "weight": 4, "edits": 2}}
    answer = nursery.call("Toy/set", update={toy_id: {"name": "e\u0301"}})
    assert answer["updated"] == {toy_id: {"name": "\u00e9"}}
    answer = nursery.call("Toy/set", update={toy_id: {"size": None}})
    assert answer["updated"] == {toy_id: {"size": 0, "weight": 1, "edits": 3}}


def test_a_patch_of_nothing_is_an_update_that_changes_nothing(nursery):
    """The object is in `updated` with null, and the state stays."""
    (toy_id,) = nursery.add("Ball")
    state = nursery.state()

    for patch in ({}, {"name": "Ball"}, {"size": None}, {"keywords/x": None}, {"label": None}, {"size": 0.0}):
        answer = nursery.call("Toy/set", update={toy_id: patch})
        assert answer["updated"] == {toy_id: None}
        assert answer["newState"] == state


def test_true_is_not_one(nursery):
    """A value that Python takes for equal is a change all the same."""
    (toy_id,) = nursery.add("Ball", extra={"on": 1})
    nursery.call("Toy/set", update={toy_id: {"extra": {"on": True}}})

    assert nursery.toy(toy_id)["extra"]["on"] is True


def test_a_whole_object_is_a_patch(nursery):
    """What /get gives can be sent back: server-set and immutable properties are accepted when they are the same."""
    (toy_id,) = nursery.add("Ball", keywords={"a": True}, serial="77")
    whole = nursery.toy(toy_id)
    answer = nursery.call("Toy/set", update={toy_id: {**whole, "size": 5}})

    assert answer["updated"] == {toy_id: {"weight": 9, "edits": 1}}
    assert nursery.toy(toy_id) == {**whole, "size": 5, "weight": 9, "edits": 1}


@pytest.mark.parametrize(
    ("patch", "at_fault"),
    [
        ({"id": "t9"}, ["id"]),
        ({"weight": 99}, ["weight"]),
        ({"weight": None}, ["weight"]),
        ({"madeAt": "2025-01-01T00:00:00Z"}, ["madeAt"]),
        ({"serial": "78"}, ["serial"]),
        ({"serial": None}, ["serial"]),
        ({"edits": 0, "weight": 0, "size": "big"}, ["weight", "size"]),
        ({"name": None}, ["name"]),
        ({"nothing": 1}, ["nothing"]),
        ({"nothing": None}, ["nothing"]),
        ({"": 1}, [""]),
        ({"keywords/a": False}, ["keywords"]),
        ({"partIds/t99": True}, ["partIds"]),
        ({"partIds/#nobody": True}, ["partIds"]),
        ({"parentId": "#nobody"}, ["parentId"]),
        ({"colour": "mauve"}, ["colour"]),
    ],
)
def test_invalid_changes_are_refused_whole(nursery, patch, at_fault):
    """`invalidProperties` for what may not change or is no value; nothing else of the patch is applied."""
    (toy_id,) = nursery.add("Ball", serial="77")
    before = nursery.toy(toy_id)
    answer = nursery.call("Toy/set", update={toy_id: {"label": "new", **patch}})

    assert answer["updated"] is None
    assert answer["notUpdated"][toy_id]["type"] == "invalidProperties"
    assert answer["notUpdated"][toy_id]["properties"] == at_fault
    assert nursery.toy(toy_id) == before


@pytest.mark.parametrize(
    "patch",
    [
        {"tags/x": True},  # null is nothing to set a member of
        {"keywords/a/b": True},
        {"name/x": "y"},
        {"nothing/x": 1},
        {"extra/list/0": 1},
        {"extra/list/-": 1},
        {"extra/no/x": 1},
        {"extra": {}, "extra/list": []},
        {"extra/list": [], "extra/list/0": 1},
        {"extra/~2": 1},
        {"extra/~": None},
    ],
)
def test_invalid_patches_are_refused(nursery, patch):
    """`invalidPatch`: inside of an array, under what is not there, or one path under another."""
    (toy_id,) = nursery.add("Ball", keywords={"a": True}, extra={"list": [1, 2]})
    before = nursery.toy(toy_id)
    answer = nursery.call("Toy/set", update={toy_id: patch})

    assert answer["notUpdated"][toy_id]["type"] == "invalidPatch"
    assert nursery.toy(toy_id) == before


def test_a_patch_reaches_inside(nursery):
    """Members are added, replaced and removed alone; what is not there is removed as well as not."""
    (toy_id,) = nursery.add("Ball", extra={"a": {"b": 1, "c/d": 2}, "~": 3}, keywords={"x": True})
    patch = {"extra/a/b": None, "extra/a/c~1d": 4, "extra/~0": None, "keywords/y": True, "keywords/z": None}
    answer = nursery.call("Toy/set", update={toy_id: patch})

    assert answer["updated"] == {toy_id: {"edits": 1}}
    toy = nursery.toy(toy_id)
    assert (toy["extra"], toy["keywords"]) == ({"a": {"c/d": 4}}, {"x": True, "y": True})


def test_defaults_are_each_objects_own(nursery):
    """A default that is a map is not shared by the objects that have it."""
    first, second = nursery.add("One", "Two")
    nursery.call("Toy/set", update={first: {"keywords/a": True}})
    (marked,) = nursery.add("marked by its own type")
    (third,) = nursery.add("Three")

    assert [nursery.toy(one)["keywords"] for one in (first, second, third)] == [{"a": True}, {}, {}]
    assert nursery.toy(marked)["keywords"] == {"marked": True}
    assert ToyType.properties["keywords"].default == {}


def test_an_update_of_what_the_call_destroys_is_not_made(nursery):
    """`willDestroy`, also under a creation id."""
    (toy_id,) = nursery.add("Ball")
    answer = nursery.call(
        "Toy/set",
        create={"k": {"name": "Kite"}},
        update={toy_id: {"size": 1}, "#k": {"size": 2}},
        destroy=[toy_id, "#k"],
    )

    created = answer["created"]["k"]["id"]
    assert {name: error["type"] for name, error in answer["notUpdated"].items()} == {
        toy_id: "willDestroy",
        created: "willDestroy",
    }
    assert answer["destroyed"] == [toy_id, created]
    assert nursery.call("Toy/get", ids=None)["list"] == []


def test_an_id_twice_is_destroyed_once(nursery):
    """The same id, or its creation id beside it, is told once, where it belongs."""
    answer = nursery.call("Toy/set", create={"k": {"name": "Kite"}}, destroy=["#k", "#k", "t99", "t99"])
    created = answer["created"]["k"]["id"]

    assert (answer["destroyed"], answer["notDestroyed"]) == ([created], {"t99": {"type": "notFound"}})


def test_names_are_exchanged_in_one_call(nursery):
    """Only the final state must be valid: A becomes B and B becomes A."""
    first, second = nursery.add("A", "B")
    answer = nursery.call("Toy/set", update={first: {"name": "B"}, second: {"name": "A"}})

    assert answer["notUpdated"] is None
    assert [nursery.toy(one)["name"] for one in (first, second)] == ["B", "A"]


def test_a_name_is_taken_over_from_one_destroyed(nursery):
    """A create may have the name of what the same call destroys, though it is made first."""
    (first,) = nursery.add("A")
    answer = nursery.call("Toy/set", create={"k": {"name": "A"}}, destroy=[first])

    assert answer["notCreated"] is None
    assert answer["destroyed"] == [first]


@pytest.mark.parametrize("parent_first", [True, False])
def test_parent_and_child_go_together(nursery, parent_first):
    """In whatever order they are destroyed."""
    (parent,) = nursery.add("Parent")
    (child,) = nursery.add("Child", parentId=parent)

    ids = [parent, child] if parent_first else [child, parent]
    assert nursery.call("Toy/set", destroy=ids)["destroyed"] == ids


def test_a_parent_alone_stays(nursery):
    """The constraint's own error, and nothing changed."""
    (parent,) = nursery.add("Parent")
    nursery.add("Child", parentId=parent)
    state = nursery.state()
    answer = nursery.call("Toy/set", destroy=[parent])

    assert answer["notDestroyed"][parent]["type"] == "toyHasChild"
    assert nursery.state() == state


def test_when_the_end_is_invalid_each_change_is_judged_alone(nursery):
    """What fails is told by the state it met, and what fits is kept; the trial before leaves no trace."""
    first, second = nursery.add("A", "B")
    nursery.announced.clear()
    state = int(nursery.state())
    answer = nursery.call(
        "Toy/set",
        create={"x": {"name": "A"}, "y": {"name": "C"}, "z": {"name": "D", "parentId": "#x"}},
        update={first: {"name": "B"}, second: {"label": "fine"}},
        note="kept",
    )

    assert (answer["note"], answer["made"]) == ("kept", 2)

    assert answer["notCreated"]["x"] == {
        "type": "alreadyExists",
        "description": "The name is taken.",
        "existingId": first,
    }
    assert answer["notCreated"]["z"]["properties"] == ["parentId"]
    assert list(answer["created"]) == ["y"]
    assert answer["notUpdated"][first]["existingId"] == second
    assert answer["updated"] == {second: {"edits": 1}}
    assert sorted(toy["name"] for toy in nursery.call("Toy/get", ids=None)["list"]) == ["A", "B", "C"]
    changed = nursery.call("Toy/changes", sinceState=str(state))
    assert (changed["created"], changed["updated"], changed["destroyed"]) == (
        [answer["created"]["y"]["id"]],
        [second],
        [],
    )
    assert [list(types) for one in nursery.announced for types in one.values()] == [["Toy"]]


def test_a_cycle_of_parents_is_refused(nursery):
    """Each alone would do, together they don't; one of them is kept."""
    first, second = nursery.add("A", "B")
    answer = nursery.call("Toy/set", update={first: {"parentId": second}, second: {"parentId": first}})

    assert list(answer["updated"]) == [first]
    assert answer["notUpdated"][second]["properties"] == ["parentId"]


def test_the_state_that_is_expected(nursery):
    """`ifInState` lets the call through when it is the state, and nothing is done when it isn't."""
    state = nursery.state()
    assert nursery.call("Toy/set", ifInState=state, create={"k": {"name": "A"}})["created"]
    for wrong in (state, "", "nonsense", "9" * 255):
        error = nursery.fails("Toy/set", ifInState=wrong, create={"k": {"name": "B"}})
        assert error["type"] == "stateMismatch"
    assert nursery.call("Toy/set", ifInState=None, create={"k": {"name": "C"}})["created"]
    assert sorted(toy["name"] for toy in nursery.call("Toy/get", ids=None)["list"]) == ["A", "C"]


def test_objects_in_a_set_are_limited_exactly(nursery):
    """MaxObjectsInSet counts creates, updates and destroys together."""
    nursery.engine = nursery.make_engine(limits=Limits(max_objects_in_set=3))
    first, second = nursery.add("A", "B")
    calls = {"update": {first: {"size": 1}}, "destroy": [second]}

    assert (
        nursery.fails("Toy/set", create={"x": {"name": "X"}, "y": {"name": "Y"}}, **calls)["type"] == "requestTooLarge"
    )
    assert nursery.toy(first)["size"] == 0
    assert nursery.call("Toy/set", create={"x": {"name": "X"}}, **calls)["destroyed"] == [second]


def test_an_account_that_may_only_be_read(nursery):
    """`accountReadOnly` for /set, while /get answers."""
    error = nursery.fails("Toy/set", accountId=nursery.shared, create={"k": {"name": "A"}})

    assert error["type"] == "accountReadOnly"
    assert nursery.call("Toy/get", accountId=nursery.shared, ids=None)["list"] == []


def test_something_unexpected_changes_nothing(nursery, caplog):
    """`serverFail`: what was made in the same call before is undone, and the next call works."""
    state = nursery.state()
    failed, after = nursery.request(
        ["Toy/set", {"create": {"a": {"name": "A"}, "b": {"name": "fail badly"}}}, "1"], ["Toy/get", {"ids": None}, "2"]
    )

    assert (failed[0], failed[1]["type"], failed[2]) == ("error", "serverFail", "1")
    assert (after[1]["list"], after[1]["state"]) == ([], state)
    assert "ZeroDivisionError" in caplog.text


def test_arguments_of_a_types_own(nursery):
    """A type's own argument reaches its hooks, and its own member the answer; it is refused when it is wrong."""
    assert nursery.call("Toy/set", note="hello")["note"] == "hello"
    assert "note" not in nursery.call("Toy/set", note=None)
    assert nursery.fails("Toy/set", note=5) == {
        "type": "invalidArguments",
        "description": "The argument “note” must be a String or null, and is 5.",
        "arguments": ["note"],
    }


def test_the_end_of_a_call_sees_what_became_of_it(nursery, monkeypatch):
    """Once, inside the transaction, however often the changes were made; what it says in the outcome is answered."""
    seen = []

    def conclude(_, context, outcome):
        seen.append((len(outcome.created), sorted(outcome.not_created)))
        context.tx.execute("UPDATE toy SET edits = 7")
        for one in outcome.created.values():
            one["edits"] = 7

    monkeypatch.setattr(ToyType, "conclude", conclude)
    # Two that must not have the same name: the first try ends in an invalid state, the second makes one of them.
    answer = nursery.call("Toy/set", create={"k": {"name": "Same"}, "l": {"name": "Same"}})

    assert seen == [(1, ["l"])]
    assert answer["created"]["k"]["edits"] == nursery.toy(answer["created"]["k"]["id"])["edits"] == 7


def test_a_type_whose_document_is_empty(nursery):
    """Create, read and change objects that are all columns; a column that is NULL is null."""
    answer = nursery.call("Box/set", create={"k": {}, "l": {"label": 'a "b"', "lids": 2}})
    first, second = (answer["created"][name]["id"] for name in "kl")
    assert answer["created"]["k"] == {"id": first, "label": None, "lids": 1, "shelf": None}
    assert answer["created"]["l"] == {"id": second, "shelf": None}
    assert nursery.call("Box/set", update={first: {"lids": 3}})["updated"] == {first: None}
    whole = [
        {"id": first, "label": None, "lids": 3, "shelf": None},
        {"id": second, "label": 'a "b"', "lids": 2, "shelf": None},
    ]
    assert nursery.call("Box/get", ids=None)["list"] == whole
    assert nursery.call("Box/get", ids=None, properties=["lids"])["list"] == [
        {"id": first, "lids": 3},
        {"id": second, "lids": 2},
    ]
