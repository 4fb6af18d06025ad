"""Creation ids (RFC 8620 §3.3, §5.3): in any order, in chains, across calls and requests, wherever an Id may stand."""

import pytest

from minijmap.jmap.session import CORE
from tests.jmap.toy import BOX, TOY, ToyType


def ask(nursery, *calls, created_ids):
    """The whole Response to calls with createdIds."""
    whole = [[name, {"accountId": nursery.own, **given}, str(n)] for n, (name, given) in enumerate(calls)]
    return nursery.answer({"using": [CORE, TOY, BOX], "methodCalls": whole, "createdIds": created_ids})


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_creates_come_before_what_refers_to_them(nursery, order):
    """A is inside of b, b inside of c, and c has a and b for parts... in whatever order they stand."""
    create = {
        "a": {"name": "A", "parentId": "#b"},
        "b": {"name": "B", "parentId": "#c"},
        "c": {"name": "C"},
    }
    answer = nursery.call("Toy/set", create={name: create[name] for name in order})

    ids = {name: answer["created"][name]["id"] for name in "abc"}
    assert nursery.toy(ids["a"])["parentId"] == ids["b"]
    assert nursery.toy(ids["b"])["parentId"] == ids["c"]
    assert answer["created"]["a"]["parentId"] == ids["b"]


def test_a_chain_may_be_as_long_as_the_call(nursery, monkeypatch):
    """A thousand objects, each inside of the next, told first to last."""
    monkeypatch.setattr(ToyType, "constrained", False)  # walking up from each would take the time of the test
    create = {f"k{n}": {"name": f"Toy {n}", "parentId": f"#k{n + 1}"} for n in range(999)}
    answer = nursery.call("Toy/set", create={**create, "k999": {"name": "Top"}})

    assert answer["notCreated"] is None
    assert len(answer["created"]) == 1000


def test_a_chain_that_ends_in_a_failure_fails_as_far_as_it_hangs_on_it(nursery):
    """What refers to what was not created is not created either; the rest is."""
    answer = nursery.call(
        "Toy/set",
        create={
            "a": {"name": "A", "parentId": "#b"},
            "b": {"name": "B", "partIds": {"#c": True}},
            "c": {"name": ""},
            "d": {"name": "D"},
        },
    )

    assert list(answer["created"]) == ["d"]
    assert {name: error["properties"] for name, error in answer["notCreated"].items()} == {
        "a": ["parentId"],
        "b": ["partIds"],
        "c": ["name"],
    }


@pytest.mark.parametrize("fault", [{"name": "fail tooLarge"}, {"name": "X", "parentId": "t99"}, {"name": "A"}])
def test_what_a_failure_referred_to_stays(nursery, fault):
    """An object that was created first, because another refers to it, is there when that other one fails."""
    nursery.add("A")
    answer = nursery.call("Toy/set", create={"bad": {**fault, "partIds": {"#good": True}}, "good": {"name": "Good"}})

    assert list(answer["notCreated"]) == ["bad"]
    created = answer["created"]["good"]["id"]
    assert nursery.toy(created)["name"] == "Good"
    assert {one["name"] for one in nursery.call("Toy/get", ids=None)["list"]} == {"A", "Good"}


@pytest.mark.parametrize(
    "create",
    [
        {"a": {"name": "A", "parentId": "#a"}},
        {"a": {"name": "A", "parentId": "#b"}, "b": {"name": "B", "parentId": "#a"}},
        {
            "a": {"name": "A", "parentId": "#b"},
            "b": {"name": "B", "partIds": {"#c": True}},
            "c": {"name": "C", "parentId": "#a"},
        },
    ],
)
def test_a_cycle_is_refused(nursery, create):
    """Nothing can be first, so none of them is created; the call ends all the same."""
    answer = nursery.call("Toy/set", create={**create, "z": {"name": "Z"}})

    assert set(answer["notCreated"]) == set(create)
    assert {error["type"] for error in answer["notCreated"].values()} == {"invalidProperties"}
    assert list(answer["created"]) == ["z"]


def test_many_references_in_one_object(nursery):
    """An object may wait for many at once, some of which wait themselves."""
    create = {f"k{n}": {"name": f"Toy {n}", "parentId": f"#k{n + 1}" if n % 2 else None} for n in range(20)}
    answer = nursery.call(
        "Toy/set",
        create={"all": {"name": "All", "partIds": {f"#k{n}": True for n in range(20)}}, **create, "k20": {"name": "x"}},
    )

    assert answer["notCreated"] is None
    parts = nursery.toy(answer["created"]["all"]["id"])["partIds"]
    assert set(parts) == {answer["created"][f"k{n}"]["id"] for n in range(20)}


def test_a_creation_id_may_be_updated_and_destroyed(nursery):
    """In the same call and in a later one (errata to RFC 8620 §5.3); the answer has the real id."""
    answer = nursery.request(
        ["Toy/set", {"create": {"k": {"name": "K"}, "l": {"name": "L"}}, "update": {"#k": {"size": 2}}}, "0"],
        ["Toy/set", {"update": {"#k": {"size": 3}}, "destroy": ["#l"]}, "1"],
        ["Toy/get", {"ids": ["#k", "#l", "#m"], "properties": ["size"]}, "2"],
    )

    first, second = (answer[0][1]["created"][name]["id"] for name in "kl")
    assert answer[0][1]["updated"] == {first: {"weight": 3, "edits": 1}}
    assert answer[1][1]["updated"] == {first: {"weight": 4, "edits": 2}}
    assert answer[1][1]["destroyed"] == [second]
    assert answer[2][1]["list"] == [{"id": first, "size": 3}]
    assert answer[2][1]["notFound"] == [second, "#m"]


def test_a_creation_id_in_an_update(nursery):
    """As a value, as a name in a map, in a path, and as what a path removes."""
    (toy_id,) = nursery.add("Ball")
    answer = nursery.call(
        "Toy/set",
        create={"k": {"name": "K"}, "l": {"name": "L"}},
        update={toy_id: {"parentId": "#k", "partIds": {"#l": True}, "sockets": {"#k": {"x": 1}}}},
    )
    first, second = (answer["created"][name]["id"] for name in "kl")
    toy = nursery.toy(toy_id)
    assert (toy["parentId"], toy["partIds"], toy["sockets"]) == (first, {second: True}, {first: {"x": 1}})

    made = {"k": first, "l": second}
    patch = {"partIds/#k": True, "partIds/#l": None, "sockets/#k/x": 2, "sockets/#l": {}}
    answer = ask(nursery, ("Toy/set", {"update": {toy_id: patch}}), created_ids=made)
    assert answer["methodResponses"][0][1]["notUpdated"] is None
    toy = nursery.toy(toy_id)
    assert (toy["partIds"], toy["sockets"]) == ({first: True}, {first: {"x": 2}, second: {}})


def test_a_reference_is_no_other_form_of_what_it_names(nursery):
    """The answer to an update does not tell the client what it has said itself (RFC 8620 §5.3)."""
    (toy_id,) = nursery.add("Ball")
    answer = nursery.call("Toy/set", create={"k": {"name": "K"}}, update={toy_id: {"parentId": "#k"}})

    assert "parentId" not in (answer["updated"][toy_id] or {})
    assert nursery.toy(toy_id)["parentId"] == answer["created"]["k"]["id"]


def test_a_path_under_both_names_is_an_invalid_patch(nursery):
    """One member can't be patched twice, once by its id and once by its creation id."""
    toy_id, part = nursery.add("Ball", "Part")
    patch = {"partIds/#k": True, f"partIds/{part}": None}
    answer = ask(nursery, ("Toy/set", {"update": {toy_id: patch}}), created_ids={"k": part})

    assert answer["methodResponses"][0][1]["notUpdated"][toy_id]["type"] == "invalidPatch"


def test_an_object_under_both_names_gets_both_patches(nursery):
    """An update by id and one by creation id of the same object are two updates; none is lost."""
    (toy_id,) = nursery.add("Ball")
    update = {"#k": {"size": 5}, toy_id: {"label": "x"}}
    ask(nursery, ("Toy/set", {"update": update}), created_ids={"k": toy_id})

    assert (nursery.toy(toy_id)["size"], nursery.toy(toy_id)["label"]) == (5, "x")


def test_a_creation_id_used_again_means_the_newest(nursery):
    """Also within the call that creates it anew (RFC 8620 §5.3)."""
    answer = nursery.request(
        ["Toy/set", {"create": {"k": {"name": "Old"}}}, "0"],
        ["Toy/set", {"create": {"k": {"name": "New"}}, "update": {"#k": {"size": 9}}}, "1"],
        ["Toy/set", {"create": {"l": {"name": "Last", "parentId": "#k"}}}, "2"],
    )

    old, new = (answer[n][1]["created"]["k"]["id"] for n in (0, 1))
    assert list(answer[1][1]["updated"]) == [new]
    assert nursery.toy(old)["size"] == 0
    assert nursery.toy(answer[2][1]["created"]["l"]["id"])["parentId"] == new


def test_created_ids_go_in_and_out(nursery):
    """The map starts with what was given, gains what is created, of every type, and is answered only if it was given."""
    (toy_id,) = nursery.add("Ball")
    create = {"new": {"name": "New", "parentId": "#given"}, "bad": {"name": ""}}
    calls = [
        ("Toy/set", {"create": create}),
        ("Box/set", {"create": {"box": {}}}),
        ("Toy/set", {"destroy": ["#given"]}),
    ]
    answer = ask(nursery, *calls, created_ids={"given": toy_id, "other": "zz9"})

    made = answer["methodResponses"]
    assert answer["createdIds"] == {
        "given": toy_id,
        "other": "zz9",
        "new": made[0][1]["created"]["new"]["id"],
        "box": made[1][1]["created"]["box"]["id"],
    }
    assert ask(nursery, created_ids={})["createdIds"] == {}
    assert "createdIds" not in nursery.answer({"using": [CORE], "methodCalls": []})


def test_one_map_for_all_types(nursery):
    """A Box's creation id where a Toy's is wanted is an id of something else, and so not found."""
    answer = nursery.request(
        ["Box/set", {"create": {"k": {}}}, "0"],
        ["Toy/set", {"create": {"l": {"name": "L", "parentId": "#k"}}, "update": {"#k": {}}}, "1"],
    )

    box = answer[0][1]["created"]["k"]["id"]
    assert answer[1][1]["notCreated"]["l"]["properties"] == ["parentId"]
    assert answer[1][1]["notUpdated"] == {box: {"type": "notFound"}}


@pytest.mark.parametrize("creation_id", ["", "#k", "a b", "é", "x" * 256])
def test_a_creation_id_is_an_id(nursery, creation_id):
    """Anything else refuses the call."""
    assert nursery.fails("Toy/set", create={creation_id: {"name": "A"}})["type"] == "invalidArguments"


def test_a_failed_call_leaves_no_creation_ids(nursery, caplog):
    """What was undone with its call is not in the map."""
    calls = [
        ("Toy/set", {"create": {"a": {"name": "A"}, "b": {"name": "fail badly"}}}),
        ("Toy/set", {"create": {"c": {"name": "C", "parentId": "#a"}}}),
    ]
    answer = ask(nursery, *calls, created_ids={})

    assert answer["createdIds"] == {}
    assert answer["methodResponses"][1][1]["notCreated"]["c"]["properties"] == ["parentId"]
    assert caplog.records


def test_a_creation_id_in_a_filter(nursery):
    """A filter may name what was created in an earlier call."""
    answer = nursery.request(
        ["Toy/set", {"create": {"p": {"name": "P"}, "q": {"name": "Q", "parentId": "#p"}}}, "0"],
        ["Toy/query", {"filter": {"parentId": "#p"}}, "1"],
        ["Toy/query", {"anchor": "#q", "sort": [{"property": "name"}]}, "2"],
    )

    inside = answer[0][1]["created"]["q"]["id"]
    assert answer[1][1]["ids"] == [inside]
    assert (answer[2][1]["ids"], answer[2][1]["position"]) == ([inside], 1)
