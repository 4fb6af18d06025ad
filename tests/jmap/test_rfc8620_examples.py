"""RFC 8620's own examples, played with Toys: only the type's and the properties' names are another's.

A Todo's title is a Toy's name, its subTodoIds are partIds, its neuralNetworkTimeEstimation is the weight.
"""

import pytest

from minijmap.jmap.errors import RequestError
from minijmap.jmap.session import CORE
from tests.jmap.toy import BOX, TOY

MUSIC_OR_VIDEO = {"operator": "OR", "conditions": [{"hasKeyword": "music"}, {"hasKeyword": "video"}]}
PIANO = {"music": True, "beethoven": True, "mozart": True, "liszt": True, "rachmaninov": True}
BY_NAME = [{"property": "name"}]


@pytest.fixture
def todos(nursery):
    """The ids of the two Toys of RFC 8620 §5.7, and of one with no keyword."""
    create = {
        "a": {"name": "Practise Piano", "keywords": PIANO},
        "b": {"name": "Watch Daft Punk music video", "keywords": {"music": True, "video": True, "trance": True}},
        "c": {"name": "Sleep"},
    }
    created = nursery.call("Toy/set", create=create)["created"]
    return {name: one["id"] for name, one in created.items()}


def test_request_and_response(nursery):
    """RFC 8620 §3.3.1 and §3.4.1: three calls, one with two responses, one unknown; ids are echoed, in order."""
    (original,) = nursery.add("A")
    answer = nursery.answer(
        {
            "using": [CORE, TOY],
            "methodCalls": [
                ["Core/echo", {"arg1": "arg1data", "arg2": "arg2data"}, "c1"],
                [
                    "Toy/copy",
                    {
                        "fromAccountId": nursery.own,
                        "accountId": nursery.second,
                        "create": {"k": {"id": original}},
                        "onSuccessDestroyOriginal": True,
                    },
                    "c2",
                ],
                ["method3", {}, "c3"],
            ],
        }
    )

    assert list(answer) == ["methodResponses", "sessionState"]
    assert [(name, call_id) for name, _, call_id in answer["methodResponses"]] == [
        ("Core/echo", "c1"),
        ("Toy/copy", "c2"),
        ("Toy/set", "c2"),
        ("error", "c3"),
    ]
    assert answer["methodResponses"][3][1]["type"] == "unknownMethod"


def test_a_request_level_error(nursery):
    """RFC 8620 §3.6.1.1: the problem document of a capability that is not known."""
    with pytest.raises(RequestError) as caught:
        nursery.answer({"using": [CORE, "https://example.com/apis/foobar"], "methodCalls": []})

    problem = caught.value.problem()
    assert (problem["type"], problem["status"]) == ("urn:ietf:params:jmap:error:unknownCapability", 400)
    assert "https://example.com/apis/foobar" in problem["detail"]


def test_a_method_level_error(nursery):
    """RFC 8620 §3.6.2: an error under the call's id."""
    ((name, result, call_id),) = nursery.request(["Foo/bar", {}, "call-id"])

    assert (name, result["type"], call_id) == ("error", "unknownMethod", "call-id")


def test_a_reference_to_what_was_created(nursery):
    """RFC 8620 §3.7, the simple example: /changes, then /get of `/created`."""
    since = nursery.state()
    created = nursery.add("f1", "f4")
    answer = nursery.request(
        ["Toy/changes", {"sinceState": since}, "t0"],
        ["Toy/get", {"#ids": {"resultOf": "t0", "name": "Toy/changes", "path": "/created"}}, "t1"],
    )

    assert answer[0] == [
        "Toy/changes",
        {
            "accountId": nursery.own,
            "oldState": since,
            "newState": nursery.state(),
            "hasMoreChanges": False,
            "created": created,
            "updated": [],
            "destroyed": [],
        },
        "t0",
    ]
    assert [one["id"] for one in answer[1][1]["list"]] == created


def test_references_in_a_chain(nursery):
    """RFC 8620 §3.7, the longer example: query, get the "thread" of each, its "emails", and those."""
    first, second = nursery.add("trd194", "trd114")
    numbers = {"msg1020": 1000, "msg1021": 999, "msg201": 201, "msg223": 223}
    made = nursery.call(
        "Toy/set",
        create={
            name: {"name": name, "size": size, "parentId": first if size > 900 else second}
            for name, size in numbers.items()
        },
    )["created"]
    ids = {name: one["id"] for name, one in made.items()}
    nursery.call(
        "Toy/set",
        update={
            first: {"partIds": {ids["msg1020"]: True, ids["msg1021"]: True}, "extra": [ids["msg1020"], ids["msg1021"]]},
            second: {"partIds": {ids["msg201"]: True, ids["msg223"]: True}, "extra": [ids["msg201"], ids["msg223"]]},
        },
    )
    answer = nursery.request(
        [
            "Toy/query",
            {
                "filter": {"name": "msg"},
                "sort": [{"property": "size", "isAscending": False}],
                "position": 0,
                "limit": 3,
                "calculateTotal": True,
            },
            "t0",
        ],
        [
            "Toy/get",
            {"#ids": {"resultOf": "t0", "name": "Toy/query", "path": "/ids"}, "properties": ["parentId"]},
            "t1",
        ],
        ["Toy/get", {"#ids": {"resultOf": "t1", "name": "Toy/get", "path": "/list/*/parentId"}}, "t2"],
        [
            "Toy/get",
            {"#ids": {"resultOf": "t2", "name": "Toy/get", "path": "/list/*/extra"}, "properties": ["name"]},
            "t3",
        ],
    )

    assert (answer[0][1]["total"], len(answer[0][1]["ids"])) == (4, 3)
    assert [one["parentId"] for one in answer[1][1]["list"]] == [first, first, second]
    assert [one["id"] for one in answer[2][1]["list"]] == [first, second]
    assert [one["name"] for one in answer[3][1]["list"]] == ["msg1020", "msg1021", "msg201", "msg223"]


def test_echo(nursery):
    """RFC 8620 §4.1."""
    call = ["Core/echo", {"hello": True, "high": 5}, "b3ff"]

    assert nursery.answer({"using": [CORE], "methodCalls": [call]})["methodResponses"] == [call]


def test_query_then_get(nursery, todos):
    """RFC 8620 §5.7: those with either keyword, by title, and the whole of each."""
    answer = nursery.request(
        ["Toy/query", {"filter": MUSIC_OR_VIDEO, "sort": BY_NAME, "position": 0, "limit": 10}, "0"],
        ["Toy/get", {"#ids": {"resultOf": "0", "name": "Toy/query", "path": "/ids"}}, "1"],
    )

    query, get = answer[0][1], answer[1][1]
    assert query == {
        "accountId": nursery.own,
        "queryState": query["queryState"],
        "canCalculateChanges": True,
        "position": 0,
        "ids": [todos["a"], todos["b"]],
    }
    assert [(one["id"], one["name"], one["weight"]) for one in get["list"]] == [
        (todos["a"], "Practise Piano", 14),
        (todos["b"], "Watch Daft Punk music video", 27),
    ]
    assert get["list"][0]["keywords"] == PIANO


@pytest.mark.parametrize("whole", [True, False])
def test_the_whole_object_or_a_minimal_patch(nursery, todos, whole):
    """RFC 8620 §5.7: "the effect is exactly the same on the server in either case"."""
    toy, state = nursery.toy(todos["a"]), nursery.state()
    keywords = {"music": True, "beethoven": True, "chopin": True, "liszt": True, "rachmaninov": True}
    patch = {**toy, "keywords": keywords} if whole else {"keywords/chopin": True, "keywords/mozart": None}
    answer = nursery.call("Toy/set", ifInState=state, update={todos["a"]: patch})

    assert (answer["oldState"], answer["newState"]) == (state, nursery.state())
    assert answer["updated"] == {todos["a"]: {"edits": 1}}  # as the server changed it beside
    assert nursery.toy(todos["a"]) == {**toy, "keywords": keywords, "edits": 1}


def test_a_server_set_property_that_is_not_the_current_one(nursery, todos):
    """The example's 360, where /get gave 3600, can't be meant: RFC 8620 §5.3 has it rejected."""
    toy = nursery.toy(todos["a"])
    answer = nursery.call("Toy/set", update={todos["a"]: {**toy, "weight": 360}})

    assert answer["notUpdated"][todos["a"]]["properties"] == ["weight"]


def test_a_sub_todo(nursery, todos):
    """RFC 8620 §5.7: a create, and an update that refers to it by its creation id."""
    answer = nursery.call(
        "Toy/set", create={"k15": {"name": "Warm up with scales"}}, update={todos["a"]: {"partIds": {"#k15": True}}}
    )

    created = answer["created"]["k15"]["id"]
    assert nursery.toy(todos["a"])["partIds"] == {created: True}


def test_changes_after_another_user_has_deleted_one(nursery, todos):
    """RFC 8620 §5.7: /changes and /queryChanges in one request."""
    state = nursery.state()
    query_state = nursery.call("Toy/query", filter=MUSIC_OR_VIDEO, sort=BY_NAME)["queryState"]
    nursery.call("Toy/set", destroy=[todos["b"]])
    since_query = {"filter": MUSIC_OR_VIDEO, "sort": BY_NAME, "sinceQueryState": query_state, "maxChanges": 50}
    answer = nursery.request(
        ["Toy/changes", {"sinceState": state, "maxChanges": 50}, "0"], ["Toy/queryChanges", since_query, "1"]
    )

    assert answer == [
        [
            "Toy/changes",
            {
                "accountId": nursery.own,
                "oldState": state,
                "newState": nursery.state(),
                "hasMoreChanges": False,
                "created": [],
                "updated": [],
                "destroyed": [todos["b"]],
            },
            "0",
        ],
        [
            "Toy/queryChanges",
            {
                "accountId": nursery.own,
                "oldQueryState": query_state,
                "newQueryState": answer[1][1]["newQueryState"],
                "removed": [todos["b"]],
                "added": [],
            },
            "1",
        ],
    ]


def test_moving_to_another_account(nursery, todos):
    """RFC 8620 §5.7: two responses to a single call, both with its id; the copy has an id of its own."""
    arguments = {
        "fromAccountId": nursery.own,
        "accountId": nursery.second,
        "create": {"k5122": {"id": todos["a"]}},
        "onSuccessDestroyOriginal": True,
    }
    (copied, destroyed) = nursery.request(["Toy/copy", arguments, "0"])

    assert (copied[0], copied[2], destroyed[0], destroyed[2]) == ("Toy/copy", "0", "Toy/set", "0")
    new = copied[1]["created"]["k5122"]["id"]
    assert new != todos["a"]
    assert destroyed[1]["accountId"] == nursery.own
    assert destroyed[1]["destroyed"] == [todos["a"]]
    assert nursery.toy(new, nursery.second)["keywords"] == PIANO


def test_a_name_that_is_exchanged(nursery):
    """RFC 8620 §5.3: "rename an object A => B and simultaneously rename another object B => A"."""
    first, second = nursery.add("A", "B")
    answer = nursery.call("Toy/set", update={first: {"name": "B"}, second: {"name": "A"}})

    assert list(answer["updated"]) == [first, second]


def test_a_proxy_that_splits_a_request(nursery):
    """RFC 8620 §5.8: createdIds go from each part of the request to the next."""
    parts = [
        ["Toy/set", {"create": {"k": {"name": "K"}}}],
        ["Toy/set", {"accountId": nursery.second, "create": {"l": {"name": "L"}}}],
        ["Toy/set", {"create": {"m": {"name": "M", "parentId": "#k"}}}],
    ]
    created_ids: dict[str, str] = {}
    for name, arguments in parts:
        call = [name, {"accountId": nursery.own, **arguments}, "0"]
        answer = nursery.answer({"using": [CORE, TOY, BOX], "methodCalls": [call], "createdIds": created_ids})
        created_ids = answer["createdIds"]

    assert set(created_ids) == {"k", "l", "m"}
    assert nursery.toy(created_ids["m"])["parentId"] == created_ids["k"]
