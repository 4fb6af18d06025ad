"""Email/copy between two accounts of one login (RFC 8621 §4.7, RFC 8620 §5.4)."""

import json

import pytest

from minijmap.jmap.session import Access, Login, account_id
from tests.conftest import CORE, MAIL

RAW = b"From: zoe@example.org\r\nSubject: Copy me\r\n\r\nhello\r\n"


@pytest.fixture
def both(house):
    """Ask as Alice, who may also use Bob's account."""
    alice, bob = house.users.values()
    accesses = tuple(
        Access(one.account, account_id(one.account), one.address, one is alice, is_read_only=False)
        for one in (alice, bob)
    )
    login = Login(alice, accesses)

    def request(*calls):
        body = json.dumps({"using": [CORE, MAIL], "methodCalls": calls}).encode()
        return json.loads(house.engine.handle(login, body))["methodResponses"]

    return request


def copy(house, both, create, **arguments):
    """Copy Emails from Alice's account to Bob's; return all responses."""
    bob = house.account("bob@example.com")
    return both(
        ["Email/copy", {"fromAccountId": house.account(), "accountId": bob, "create": create, **arguments}, "c"]
    )


def test_a_copy_keeps_the_message_and_takes_what_is_given(house, both):
    """Keywords and receivedAt are the original's unless they are given; the octets are the same."""
    original = house.deliver(RAW)
    house.call("Email/set", {"update": {original: {"keywords/$flagged": True}}})
    inbox = house.mailbox("inbox", "bob@example.com")
    house.now += 3600
    ((_, answer, _),) = copy(house, both, {"k": {"id": original, "mailboxIds": {inbox: True}}})
    made = answer["created"]["k"]
    assert made.keys() == {"id", "blobId", "threadId", "size"}
    got = house.call("Email/get", {"ids": [made["id"]]}, "bob@example.com")["list"][0]
    assert got["keywords"] == {"$flagged": True, "$hasnoattachment": True}
    assert got["receivedAt"] == "2026-01-01T00:00:00Z"
    assert (got["subject"], got["mailboxIds"]) == ("Copy me", {inbox: True})
    (there,) = house.call("Email/get", {"ids": [original], "properties": ["blobId"]})["list"]
    assert there["blobId"] == made["blobId"]

    ((_, again, _),) = copy(house, both, {"k": {"id": original, "mailboxIds": {inbox: True}}})
    assert again["notCreated"]["k"]["type"] == "alreadyExists"
    assert again["notCreated"]["k"]["existingId"] == made["id"]


def test_on_success_the_originals_that_were_copied_are_destroyed(house, both):
    """The implicit Email/set answers under the same call id, and only what was copied goes."""
    first, second = house.deliver(RAW), house.deliver(RAW + b"2")
    inbox = house.mailbox("inbox", "bob@example.com")
    wanted = {
        "a": {"id": first, "mailboxIds": {inbox: True}, "keywords": {}},
        "b": {"id": second, "mailboxIds": {"m999": True}},
    }
    copied, destroyed = copy(house, both, wanted, onSuccessDestroyOriginal=True)
    assert list(copied[1]["created"]) == ["a"]
    assert copied[1]["notCreated"]["b"]["type"] == "invalidProperties"
    assert (destroyed[0], destroyed[2]) == ("Email/set", "c")
    assert destroyed[1]["accountId"] == house.account()
    assert destroyed[1]["destroyed"] == [first]
    assert house.call("Email/query")["ids"] == [second]


def test_refusals(house, both):
    """Not found, properties that can't be set, the same account, an unknown account, states that don't match."""
    original = house.deliver(RAW)
    inbox = house.mailbox("inbox", "bob@example.com")
    ((_, answer, _),) = copy(
        house,
        both,
        {
            "none": {"id": "e999", "mailboxIds": {inbox: True}},
            "subject": {"id": original, "mailboxIds": {inbox: True}, "subject": "x"},
            "nowhere": {"id": original, "mailboxIds": {}},
        },
    )
    errors = {name: (error["type"], error.get("properties")) for name, error in answer["notCreated"].items()}
    assert errors == {
        "none": ("notFound", None),
        "subject": ("invalidProperties", ["subject"]),
        "nowhere": ("invalidProperties", ["mailboxIds"]),
    }
    same = {"fromAccountId": house.account(), "accountId": house.account(), "create": {}}
    unknown = {"fromAccountId": "a999", "accountId": house.account(), "create": {}}
    answers = both(["Email/copy", same, "1"], ["Email/copy", unknown, "2"])
    assert [answer[1]["type"] for answer in answers] == ["invalidArguments", "fromAccountNotFound"]
    for name in ("ifInState", "ifFromInState"):
        ((_, answer, _),) = copy(house, both, {"k": {"id": original, "mailboxIds": {inbox: True}}}, **{name: "0x"})
        assert answer["type"] == "stateMismatch"
