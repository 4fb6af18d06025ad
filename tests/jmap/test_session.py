"""The Session object (RFC 8620 §2): its members, its accounts, and when its state changes."""

import json
from dataclasses import replace

import pytest

from minijmap.jmap.engine import Limits
from minijmap.jmap.session import CORE, TICKET, WEB_SOCKET, Access, Login, Urls, login_of
from minijmap.store.accounts import User
from tests.jmap.toy import BOX, TOY

URLS = Urls(
    api="https://example.com/jmap/api",
    download="https://example.com/jmap/download/{accountId}/{blobId}/{name}?type={type}",
    upload="https://example.com/jmap/upload/{accountId}",
    event_source="https://example.com/jmap/events?types={types}&closeafter={closeafter}&ping={ping}",
    web_socket="wss://example.com/jmap/ws",
    ticket="https://example.com/jmap/ticket",
)


def session(nursery, login=None, urls=URLS):
    """The Session object of a login."""
    return json.loads(nursery.engine.session(login or nursery.login, urls))


def test_the_whole_session(nursery):
    """Every member that RFC 8620 §2 lists, and nothing else."""
    window, tom, club = nursery.shared, nursery.own, nursery.second

    def account(name: str, *, personal: bool = False, read_only: bool = False) -> dict:
        capabilities = {TOY: {"mayPlay": not read_only}, BOX: {"name": name}}
        return {"name": name, "isPersonal": personal, "isReadOnly": read_only, "accountCapabilities": capabilities}

    assert session(nursery) == {
        "capabilities": {
            CORE: {
                "maxSizeUpload": 50_000_000,
                "maxConcurrentUpload": 8,
                "maxSizeRequest": 10_000_000,
                "maxConcurrentRequests": 16,
                "maxCallsInRequest": 64,
                "maxObjectsInGet": 1000,
                "maxObjectsInSet": 1000,
                "collationAlgorithms": ["i;ascii-casemap", "i;ascii-numeric", "i;unicode-casemap"],
            },
            WEB_SOCKET: {"url": "wss://example.com/jmap/ws", "supportsPush": True},
            TICKET: {"ticketUrl": "https://example.com/jmap/ticket"},
            TOY: {"maxToys": 7},
            BOX: {},
        },
        "accounts": {
            tom: account("tom@example.com", personal=True),
            club: account("Club"),
            window: account("Shop window", read_only=True),
        },
        "primaryAccounts": {TOY: tom, BOX: tom},
        "username": "tom@example.com",
        "apiUrl": URLS.api,
        "downloadUrl": URLS.download,
        "uploadUrl": URLS.upload,
        "eventSourceUrl": URLS.event_source,
        "state": nursery.engine.session_state(nursery.login),
    }


def test_the_limits_are_those_that_are_enforced(nursery):
    """What the engine was given is what it advertises."""
    limits = Limits(1, 2, 3, 4, 5, 6, 7)
    nursery.engine = nursery.make_engine(limits=limits)
    core = session(nursery)["capabilities"][CORE]

    assert {name: core[name] for name in core if name.startswith("max")} == {
        "maxSizeUpload": 1,
        "maxConcurrentUpload": 2,
        "maxSizeRequest": 3,
        "maxConcurrentRequests": 4,
        "maxCallsInRequest": 5,
        "maxObjectsInGet": 6,
        "maxObjectsInSet": 7,
    }


def test_the_state_changes_with_what_is_told(nursery):
    """Another name, another account or another limit is another state; data is not, and neither is the URL."""
    state = nursery.engine.session_state(nursery.login)
    nursery.add("A")
    assert nursery.engine.session_state(nursery.login) == state
    assert session(nursery, urls=replace(URLS, api="https://other.example/"))["state"] == state
    assert nursery.make_engine().session_state(nursery.login) == state

    fewer = Login(nursery.user, nursery.login.accounts[:2])
    renamed = Login(replace(nursery.user, address="thomas@example.com"), nursery.login.accounts)
    states = {state, *(nursery.engine.session_state(login) for login in (fewer, renamed))}
    states.add(nursery.make_engine(limits=Limits(max_objects_in_get=7)).session_state(nursery.login))
    assert len(states) == 4


def test_the_state_is_that_of_whoever_asks(nursery):
    """Two users of one engine have Sessions of their own."""
    bob = login_of(User(2, "bob@example.com", "Bob", 9))
    assert nursery.engine.session_state(bob) != nursery.engine.session_state(nursery.login)

    described = session(nursery, bob)
    assert (described["username"], list(described["accounts"])) == ("bob@example.com", ["a9"])
    assert described["accounts"]["a9"]["isPersonal"] is True
    assert described["accounts"]["a9"]["isReadOnly"] is False


@pytest.mark.parametrize("account_id", ["a1", "a2", "a3"])
def test_an_account_is_found_by_its_id(nursery, account_id):
    """Exactly by it."""
    access = nursery.login.find(account_id)

    assert isinstance(access, Access)
    assert access.account_id == account_id
    assert nursery.login.find(account_id.upper()) is None
    assert nursery.login.find(account_id + " ") is None
