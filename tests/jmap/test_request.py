"""A Request (RFC 8620 §3): its form, `using`, result references, and what becomes of errors, as transcripts."""

import json

import pytest

from minijmap.jmap.engine import Limits
from minijmap.jmap.errors import Forbidden, LimitExceeded, NotJSON, NotRequest, RequestError, UnknownCapability
from minijmap.jmap.session import CORE
from tests.jmap.toy import BOX, KEPT, TOY

ECHO = ["Core/echo", {}, "c"]
WELL = {"using": [CORE], "methodCalls": [ECHO]}


def refused(nursery, request) -> RequestError:
    """The error that refuses a whole request."""
    with pytest.raises(RequestError) as caught:
        nursery.answer(request)
    return caught.value


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b'{"using":[],"using":[],"methodCalls":[]}', b'"\\ud800"', b"\xff", b"[1]]"]
)
def test_what_is_no_i_json_is_not_json(nursery, body):
    """`notJSON` for a fault in the syntax, a name twice, a lone surrogate or bad UTF-8 (RFC 8620 §3.6.1)."""
    error = refused(nursery, body)

    assert isinstance(error, NotJSON)
    assert (error.problem()["type"], error.problem()["status"]) == ("urn:ietf:params:jmap:error:notJSON", 400)


@pytest.mark.parametrize(
    "request_object",
    [
        None,
        [],
        "x",
        {},
        {"foo": "bar"},
        {"using": [CORE]},
        {"methodCalls": []},
        {**WELL, "using": CORE},
        {**WELL, "using": [1]},
        {**WELL, "using": None},
        {**WELL, "methodCalls": {}},
        {**WELL, "methodCalls": None},
        {**WELL, "methodCalls": [["Core/echo", {}]]},
        {**WELL, "methodCalls": [["Core/echo", {}, "c", "d"]]},
        {**WELL, "methodCalls": [["Core/echo", [], "c"]]},
        {**WELL, "methodCalls": [["Core/echo", None, "c"]]},
        {**WELL, "methodCalls": [["Core/echo", {}, 1]]},
        {**WELL, "methodCalls": [[1, {}, "c"]]},
        {**WELL, "methodCalls": [ECHO, {"name": "Core/echo"}]},
        {**WELL, "createdIds": []},
        {**WELL, "createdIds": {"a": 1}},
        {**WELL, "createdIds": {"#a": "t1"}},
        {**WELL, "createdIds": {"a": "#b"}},
        {**WELL, "createdIds": {"": "t1"}},
        {**WELL, "createdIds": {"a": "t1\n"}},
    ],
)
def test_what_is_no_request_is_not_request(nursery, request_object):
    """`notRequest` for JSON of another shape, and no call of it is made."""
    error = refused(nursery, request_object)

    assert isinstance(error, NotRequest)
    assert error.problem()["type"] == "urn:ietf:params:jmap:error:notRequest"


def test_a_capability_that_is_not_known_refuses_the_request(nursery):
    """`unknownCapability` names it; the other calls are not made either."""
    error = refused(nursery, {**WELL, "using": [CORE, "https://example.com/apis/foobar"]})

    assert isinstance(error, UnknownCapability)
    assert error.problem() == {
        "type": "urn:ietf:params:jmap:error:unknownCapability",
        "status": 400,
        "detail": "This server has no capability “https://example.com/apis/foobar”.",
    }


def test_calls_in_a_request_are_limited_exactly(nursery):
    """MaxCallsInRequest calls are answered, one more is a `limit` error with its name."""
    nursery.engine = nursery.make_engine(limits=Limits(max_calls_in_request=3))

    assert len(nursery.answer({**WELL, "methodCalls": [ECHO] * 3})["methodResponses"]) == 3
    error = refused(nursery, {**WELL, "methodCalls": [ECHO] * 4})
    assert isinstance(error, LimitExceeded)
    assert error.problem() == {
        "type": "urn:ietf:params:jmap:error:limit",
        "status": 400,
        "detail": "A request may have 3 method calls, and this has 4.",
        "limit": "maxCallsInRequest",
    }


def test_members_that_are_not_known_are_ignored(nursery):
    """A later specification may add members to the Request (RFC 8620 §3.3); no calls are as well as some."""
    answer = nursery.answer({"using": [CORE], "methodCalls": [], "future": {"a": 1}})

    assert answer == {"methodResponses": [], "sessionState": nursery.engine.session_state(nursery.login)}


def test_echo_gives_back_what_it_was_given(nursery):
    """The same arguments, call ids of any form, the same id twice (RFC 8620 §4)."""
    given = {"hello": True, "high": 5, "deep": [{"a": None, "é😀": [1.5, -3]}], "": ""}
    calls = [["Core/echo", given, "b3ff"], ["Core/echo", {}, ""], ["Core/echo", {"n": 1}, "b3ff"]]

    assert nursery.answer({"using": [CORE], "methodCalls": calls})["methodResponses"] == calls


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**300])
def test_numbers_larger_than_64_bits_come_back(nursery, number):
    """They are doubles, as I-JSON has all numbers, and not the end of the request (RFC 7493 §2.2)."""
    body = json.dumps({"using": [CORE], "methodCalls": [["Core/echo", {"n": number}, "c"]]}).encode()

    assert nursery.answer(body)["methodResponses"][0][1]["n"] == float(number)


@pytest.mark.parametrize(
    ("using", "strict", "runs"),
    [
        ([CORE, TOY], False, True),
        ([CORE], False, True),
        ([TOY], False, True),
        ([BOX], False, False),
        ([], False, False),
        ([CORE, TOY], True, True),
        ([CORE], True, False),
        ([TOY], True, False),
        ([CORE, BOX], True, False),
        ([], True, False),
    ],
)
def test_a_method_needs_its_capability(nursery, using, strict, runs):
    """Leniently core alone will do; strictly core and the method's own are needed, else it is `unknownMethod`."""
    nursery.engine = nursery.make_engine(strict_using=strict)
    ((name, result, _),) = nursery.request(["Toy/get", {"ids": []}, "c"], using=tuple(using))

    assert (name, result.get("type")) == (("Toy/get", None) if runs else ("error", "unknownMethod"))


@pytest.mark.parametrize("strict", [True, False])
def test_echo_needs_core(nursery, strict):
    """With no core in `using`, not even Core/echo is known."""
    nursery.engine = nursery.make_engine(strict_using=strict)

    assert nursery.request(ECHO, using=())[0][1]["type"] == "unknownMethod"
    assert nursery.request(ECHO, using=(TOY,))[0][1]["type"] == "unknownMethod"
    assert nursery.request(ECHO, using=(CORE,))[0][0] == "Core/echo"


def test_a_method_that_is_not_known(nursery):
    """`unknownMethod`, under the call's id, and the calls after it are made; verbs that a type has not are unknown."""
    answer = nursery.request(["Toy/fly", {}, "1"], ["Box/query", {}, "2"], ["toy/get", {}, "3"], ["Toy/get", {}, "4"])

    assert [(name, result.get("type"), call_id) for name, result, call_id in answer] == [
        ("error", "unknownMethod", "1"),
        ("error", "unknownMethod", "2"),
        ("error", "unknownMethod", "3"),
        ("Toy/get", None, "4"),
    ]


@pytest.mark.parametrize(
    "error_type",
    [
        "serverUnavailable",
        "serverFail",
        "serverPartialFail",
        "unknownMethod",
        "invalidArguments",
        "invalidResultReference",
        "forbidden",
        "accountNotFound",
        "accountNotSupportedByMethod",
        "accountReadOnly",
        "requestTooLarge",
        "stateMismatch",
        "cannotCalculateChanges",
        "fromAccountNotFound",
        "fromAccountNotSupportedByMethod",
        "anchorNotFound",
        "unsupportedSort",
        "unsupportedFilter",
        "tooManyChanges",
    ],
)
def test_each_method_error_has_its_response(nursery, error_type):
    """An `error` response with the type, a description and the call's id; what follows is answered (RFC 8620 §3.6.2)."""
    answer = nursery.request(["Toy/raise", {"type": error_type}, "x"], ["Core/echo", {}, "y"])

    assert answer[0] == ["error", {"type": error_type, "description": "As was asked."}, "x"]
    assert answer[1][0] == "Core/echo"


def test_an_error_without_a_description_has_none():
    """Only the type is sure to be there."""
    assert Forbidden().arguments() == {"type": "forbidden"}


def test_something_unexpected_is_server_fail(nursery, caplog):
    """A fault of ours is told as `serverFail`, logged with the method's name, and the next call is made."""
    failed, echoed = nursery.request(["Toy/raise", {"type": "bug"}, "x"], ["Core/echo", {}, "y"])

    assert (failed[0], failed[1]["type"], failed[2]) == ("error", "serverFail", "x")
    assert failed[1]["description"]
    assert echoed[0] == "Core/echo"
    assert "Toy/raise failed" in caplog.text


def test_arguments_that_are_not_known(nursery):
    """They are ignored, but under `strict_using` refused by name."""
    assert nursery.call("Toy/get", ids=[], colour="red")["list"] == []
    nursery.engine = nursery.make_engine(strict_using=True)
    error = nursery.fails("Toy/get", ids=[], colour="red", size=1)
    assert error == {
        "type": "invalidArguments",
        "description": "Toy/get has no argument “colour”.",
        "arguments": ["colour", "size"],
    }


@pytest.mark.parametrize("method", ["get", "changes", "set", "copy", "query", "queryChanges"])
def test_the_account_must_be_given_and_known(nursery, method):
    """No accountId, or null, is `invalidArguments`; one that is not the user's is `accountNotFound`."""
    given = {
        "changes": {"sinceState": "0"},
        "queryChanges": {"sinceQueryState": "0"},
        "copy": {"fromAccountId": nursery.second, "create": {}},
    }.get(method, {})

    def answer(**account):
        request = {"using": [CORE, TOY], "methodCalls": [[f"Toy/{method}", {**given, **account}, "c"]]}
        return nursery.answer(request)["methodResponses"][0][1]

    assert answer()["type"] == "invalidArguments"
    for wrong in (None, 1, "", "not an id", "a" * 256):
        assert answer(accountId=wrong)["type"] == "invalidArguments"
    for unknown in ("a999", "b1", "a" * 255):
        assert answer(accountId=unknown)["type"] == "accountNotFound"
    assert "type" not in answer(accountId=nursery.own)


def test_the_default_of_an_argument_is_each_calls_own(nursery):
    """A method that changes a default it got changes it for nobody else."""
    answers = nursery.request(["Toy/keep", {}, "1"], ["Toy/keep", {}, "2"])

    assert [result for _, result, _ in answers] == [{"things": {"1": True}}, {"things": {"2": True}}]
    assert KEPT == {}


def test_the_state_of_the_session_is_told(nursery):
    """`sessionState` is the Session's `state`, also when every call fails."""
    state = nursery.engine.session_state(nursery.login)

    assert nursery.answer(WELL)["sessionState"] == state
    assert nursery.answer({"using": [], "methodCalls": [["No/thing", {}, "c"]]})["sessionState"] == state


# Result references (RFC 8620 §3.7)


def refer(of: str, name: str, path: str) -> dict:
    """A ResultReference."""
    return {"resultOf": of, "name": name, "path": path}


def test_a_reference_takes_the_result_of_an_earlier_call(nursery):
    """`/list/*/parentId` maps through spliced JSON, `/created/k/id` into an answer to /set."""
    parent, other = nursery.add("Parent", "Other")
    answer = nursery.request(
        [
            "Toy/set",
            {"create": {"k": {"name": "Kid", "parentId": parent}, "l": {"name": "Lid", "parentId": other}}},
            "0",
        ],
        [
            "Toy/query",
            {"filter": {"operator": "NOT", "conditions": [{"parentId": None}]}, "sort": [{"property": "name"}]},
            "1",
        ],
        ["Toy/get", {"#ids": refer("1", "Toy/query", "/ids")}, "2"],
        ["Toy/get", {"#ids": refer("2", "Toy/get", "/list/*/parentId"), "properties": ["name"]}, "3"],
        [
            "Toy/get",
            {"#ids": refer("2", "Toy/get", "/list/*/parentId"), "#properties": refer("1", "Toy/query", "")},
            "4",
        ],
        [
            "Core/echo",
            {"#new": refer("0", "Toy/set", "/created/k/id"), "#none": refer("3", "Toy/get", "/notFound")},
            "5",
        ],
    )

    assert [name for name, _, _ in answer][1:] == ["Toy/query", "Toy/get", "Toy/get", "error", "Core/echo"]
    assert {one["name"] for one in answer[3][1]["list"]} == {"Parent", "Other"}
    assert answer[4][1]["arguments"] == ["properties"]
    assert answer[5][1]["new"] == answer[0][1]["created"]["k"]["id"]
    assert answer[5][1]["none"] == []


def test_a_star_flattens_and_keeps_what_is_twice(nursery):
    """Arrays inside of the mapped array are joined; of members of objects there are as many as objects."""
    lists = [{"ids": ["a", "b"]}, {"ids": []}, {"ids": ["b", "c"]}]
    answer = nursery.request(
        ["Core/echo", {"lists": lists}, "0"],
        ["Core/echo", {"#ids": refer("0", "Core/echo", "/lists/*/ids"), "#all": refer("0", "Core/echo", "")}, "1"],
    )

    assert answer[1][1]["ids"] == ["a", "b", "b", "c"]
    assert answer[1][1]["all"]["lists"] == lists


@pytest.mark.parametrize(
    "reference",
    [
        refer("nobody", "Core/echo", "/a"),
        refer("later", "Core/echo", "/a"),
        refer("itself", "Core/echo", "/a"),
        refer("0", "Toy/get", "/a"),
        refer("0", "core/echo", "/a"),
        refer("bad", "Toy/get", "/list"),
        refer("0", "Core/echo", "/b"),
        refer("0", "Core/echo", "a"),
        refer("0", "Core/echo", "/a/*"),
        refer("0", "Core/echo", "/list/*/x"),
        refer("0", "Core/echo", "/list/2"),
        refer("0", "Core/echo", "/list/01"),
        refer("0", "Core/echo", "/~2"),
        {"resultOf": "0", "name": "Core/echo"},
        {"resultOf": 0, "name": "Core/echo", "path": "/a"},
        "/a",
        None,
        ["a"],
    ],
)
def test_a_reference_that_leads_nowhere(nursery, reference):
    """`invalidResultReference`: no such call before, another response, a path to nothing, or no ResultReference."""
    answer = nursery.request(
        ["Core/echo", {"a": 1, "list": [{"x": 1}, {"y": 2}]}, "0"],
        ["Toy/get", {"ids": "wrong"}, "bad"],
        ["Core/echo", {"#b": reference}, "itself"],
        ["Core/echo", {"a": 1}, "later"],
    )

    assert (answer[2][0], answer[2][1]["type"]) == ("error", "invalidResultReference")
    assert answer[3][0] == "Core/echo"


def test_an_argument_in_both_forms(nursery):
    """`ids` and `#ids` together are `invalidArguments`, whichever comes first."""
    reference = refer("0", "Core/echo", "/a")
    answer = nursery.request(
        ["Core/echo", {"a": ["t1"]}, "0"],
        ["Toy/get", {"ids": [], "#ids": reference}, "1"],
        ["Toy/get", {"#ids": reference, "ids": None}, "2"],
    )

    assert [(result["type"], result["arguments"]) for _, result, _ in answer[1:]] == [("invalidArguments", ["ids"])] * 2


def test_the_first_response_of_a_call_id_counts(nursery):
    """Two calls of one id, and the second response of a call that has two: both can't be referred to."""
    answer = nursery.request(
        ["Core/echo", {"a": 1}, "x"],
        ["Core/echo", {"a": 2}, "x"],
        ["Core/echo", {"#b": refer("x", "Core/echo", "/a")}, "y"],
    )

    assert answer[2][1]["b"] == 1


def test_a_reference_to_a_wrong_value_is_checked_as_an_argument(nursery):
    """What it resolves to is judged as though the client had sent it."""
    answer = nursery.request(["Core/echo", {"a": "t1"}, "0"], ["Toy/get", {"#ids": refer("0", "Core/echo", "/a")}, "1"])

    assert answer[1][1]["type"] == "invalidArguments"


def test_a_reference_inside_of_an_argument_is_none(nursery):
    """Only names of arguments are looked at: deeper a `#` is nothing special."""
    given = {"deep": {"#ids": refer("0", "Core/echo", "/a")}}

    assert nursery.request(["Core/echo", given, "0"])[0][1]["deep"] == given["deep"]


def test_what_was_referred_to_stays_as_it_was(nursery):
    """A call that gets another's result does not change what was answered."""
    answer = nursery.request(
        ["Core/echo", {"things": {"a": 1}}, "0"],
        ["Toy/keep", {"#things": refer("0", "Core/echo", "/things")}, "1"],
    )

    assert answer[1][1]["things"] == {"a": 1, "1": True}
    assert answer[0][1]["things"] == {"a": 1}
