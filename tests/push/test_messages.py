"""The messages of RFC 8887: what is said, and what is answered."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.http.gate import too_many
from minijmap.jmap.session import login_of
from minijmap.push.messages import PushDisable, PushEnable, readable_id, reply
from tests.conftest import CORE


def ask(house, message, refusal=None):
    """Have a message answered; JSON as an object."""
    octets = message if isinstance(message, bytes) else json.dumps(message).encode()
    found = reply(house.engine, login_of(house.users["alice@example.com"]), octets, refusal)
    return json.loads(found) if isinstance(found, bytes) else found


def echo(**members):
    """A Request."""
    return {"@type": "Request", "using": [CORE], "methodCalls": [["Core/echo", {"hello": True}, "b3ff"]], **members}


def test_a_response_echoes_the_id(house):
    """RFC 8887 §4.4's example, and a request without `id`."""
    answered = ask(house, echo(id="R1"))
    assert list(answered)[:2] == ["@type", "requestId"]
    assert answered.pop("sessionState")
    assert answered == {
        "@type": "Response",
        "requestId": "R1",
        "methodResponses": [["Core/echo", {"hello": True}, "b3ff"]],
    }
    assert "requestId" not in ask(house, echo())


def test_created_ids_are_as_over_http(house):
    """They come back when they are given."""
    answered = ask(
        house,
        {
            "@type": "Request",
            "using": [CORE, "urn:ietf:params:jmap:mail"],
            "methodCalls": [
                ["Mailbox/set", {"accountId": house.account(), "create": {"m": {"name": "New"}}}, "c"],
                ["Mailbox/get", {"accountId": house.account(), "ids": ["#m"]}, "g"],
            ],
            "createdIds": {"other": "m1"},
        },
    )
    created = answered["methodResponses"][0][1]["created"]["m"]["id"]
    assert answered["createdIds"] == {"other": "m1", "m": created}


@pytest.mark.parametrize(
    ("message", "kind", "request_id"),
    [
        (b"The quick brown fox jumps\n over the lazy dog.", "notJSON", None),
        (b"", "notJSON", None),
        (b"[]", "notRequest", None),
        (b'{"@type":"Request","id":"R1","using":[', "notJSON", "R1"),
        (b'{"@type":"Request","id":"R1","using":[],"using":[],"methodCalls":[]}', "notJSON", "R1"),
        (b'{"id":"R2","@type":"Request","using":[],"methodCalls":["\\ud800"]}', "notJSON", "R2"),
        (b'{"id":"\\ud800"}', "notJSON", None),
        (b'{"id":5}', "notRequest", None),
        (b'{"id":"R3"}', "notRequest", "R3"),
        (b'{"id":"R3","@type":"request","using":[],"methodCalls":[]}', "notRequest", "R3"),
        (b'{"id":7,"@type":"Request","using":[],"methodCalls":[]}', "notRequest", None),
        (b'{"id":"R4","@type":"Request","using":[]}', "notRequest", "R4"),
        (b'{"id":"R5","@type":"Request","using":["urn:x"],"methodCalls":[]}', "unknownCapability", "R5"),
        (b'{"id":"R6","@type":"WebSocketPushEnable","dataTypes":"Email"}', "notRequest", "R6"),
        (b'{"@type":"WebSocketPushEnable","dataTypes":[1]}', "notRequest", None),
        (b'{"@type":"WebSocketPushEnable","dataTypes":null,"pushState":1}', "notRequest", None),
        (b'{"@type":"WebSocketPushEnable","dataTypes":' + json.dumps(["x"] * 101).encode() + b"}", "notRequest", None),
    ],
)
def test_a_request_error_says_which_request_it_was(house, message, kind, request_id):
    """As far as it can be read (RFC 8887 §4.3.4)."""
    answered = ask(house, message)
    assert answered.pop("detail")
    assert answered == {
        "@type": "RequestError",
        "requestId": request_id,
        "type": f"urn:ietf:params:jmap:error:{kind}",
        "status": 400,
    }


def test_a_limit_is_a_request_error(house):
    """Of concurrency, which a Request meets and other messages don't; of calls."""
    refusal = too_many("maxConcurrentRequests", 16)
    answered = ask(house, echo(id="R1"), refusal)
    assert (answered["type"], answered["limit"]) == ("urn:ietf:params:jmap:error:limit", "maxConcurrentRequests")
    assert (answered["requestId"], answered["status"]) == ("R1", 429)
    assert ask(house, {"@type": "WebSocketPushDisable"}, refusal) == PushDisable()
    answered = ask(house, {**echo(id="R2"), "methodCalls": [["Core/echo", {}, "c"]] * 65})
    assert (answered["limit"], answered["requestId"]) == ("maxCallsInRequest", "R2")


def test_a_failure_is_told_of(house, monkeypatch, caplog):
    """What nobody has foreseen is in the log, and answered."""
    monkeypatch.setattr(house.engine, "answer", lambda *_: 1 / 0)
    answered = ask(house, echo(id="R1"))
    assert (answered["@type"], answered["requestId"], answered["status"]) == ("RequestError", "R1", 500)
    assert "ZeroDivisionError" in caplog.text


def test_push_is_asked_for(house):
    """All types, or some; from a state on (RFC 8887 §4.3.5.2)."""
    assert ask(house, {"@type": "WebSocketPushEnable", "dataTypes": None}) == PushEnable(None, None)
    assert ask(house, {"@type": "WebSocketPushEnable"}) == PushEnable(None, None)
    wish = {"@type": "WebSocketPushEnable", "dataTypes": ["Mailbox", "Email"], "pushState": "aaa"}
    assert ask(house, wish) == PushEnable(frozenset({"Mailbox", "Email"}), "aaa")


@settings(max_examples=200)
@given(st.binary() | st.text().map(str.encode))
def test_reading_an_id_never_fails(octets):
    """Whatever comes."""
    readable_id(octets)
    readable_id(b'{"id":"x",' + octets)


@settings(max_examples=200)
@given(st.dictionaries(st.text(), st.recursive(st.none() | st.text(), st.lists)), st.text(), st.integers(0, 40))
def test_an_id_is_found_before_a_fault(members, request_id, cut):
    """Where it comes before whatever is wrong."""
    members.pop("id", None)
    whole = json.dumps({**members, "id": request_id})[:-1] + ', "x": '
    expected = request_id if request_id == request_id.encode(errors="replace").decode() else None
    assert readable_id(whole.encode() + b"[" * cut) == expected


def test_depth_does_no_harm():
    """Nor does length."""
    assert readable_id(b'{"x":' + b"[" * 1_000_000) is None
    assert readable_id(b'{"x":' + b"[" * 100 + b"]" * 100 + b', "id": "a", ') == "a"
