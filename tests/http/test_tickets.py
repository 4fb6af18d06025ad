"""Tickets for browsers: how they are got, and how long they are good."""

import re

import pytest

from minijmap.http.problems import Busy
from minijmap.http.tickets import MOST_OF_USER, Tickets
from minijmap.signin import Proof
from minijmap.store import accounts
from minijmap.store.accounts import Credential

EVENTS = "/jmap/events?types=*&closeafter=no&ping=0&ticket="


@pytest.fixture
def tickets(clock):
    """Give an empty set of tickets, numbered."""
    numbers = iter(range(10_000))
    return Tickets(clock, lambda: f"t{next(numbers)}")


def proof(user):
    """A proof of somebody's."""
    return Proof(accounts.User(user, f"{user}@example.com", "", user), Credential(user, user, None, "s"))


def test_a_ticket_is_asked_for(site):
    """By somebody who is signed in, at the URL that the Session names; it is good for a minute."""
    url = site.ask("GET", "/jmap/session").json()["capabilities"]["urn:x-minijmap:ticket"]["ticketUrl"]
    assert url == f"http://{site.address.host}:{site.address.port}/jmap/ticket"
    answer = site.ask("POST", "/jmap/ticket")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    found = answer.json()
    assert set(found) == {"ticket", "expires"}
    assert re.fullmatch(r"[A-Za-z0-9_-]{40,}", found["ticket"])
    assert found["expires"] == "2025-06-15T15:07:40Z"
    assert site.ask("POST", "/jmap/ticket", signed_in=False).status == 401
    assert site.ask("POST", "/jmap/ticket?ticket=" + found["ticket"], signed_in=False).status == 401
    assert site.ask("GET", "/jmap/ticket").status == 405


def test_a_ticket_is_good_once_and_for_a_minute(tickets, clock):
    """Then it is nobody's."""
    first, until = tickets.issue(proof(1))
    second, _ = tickets.issue(proof(2))
    assert until == clock.now + 60
    clock.now += 59.9
    assert tickets.redeem(first) == proof(1)
    assert tickets.redeem(first) is None
    clock.now += 0.1
    assert tickets.redeem(second) is None
    assert tickets.redeem("") is None
    assert tickets.redeem("\ud800") is None


def test_there_are_not_endlessly_many(tickets, clock):
    """Of one user; those that are too old don't count."""
    for _ in range(MOST_OF_USER):
        tickets.issue(proof(1))
    with pytest.raises(Busy):
        tickets.issue(proof(1))
    tickets.issue(proof(2))
    clock.now += 60
    tickets.issue(proof(1))
    assert len(tickets._out) == 1


def test_a_ticket_of_a_credential_that_is_gone(site):
    """It opens nothing."""
    token = site.database.write(lambda tx: accounts.add_token(tx, site.user, "phone", 0))
    ticket = site.ask("POST", "/jmap/ticket", authorization=f"Bearer {token}").json()["ticket"]
    site.database.write(lambda tx: accounts.revoke_token(tx, site.user, "phone"))
    assert site.ask("GET", EVENTS + ticket, signed_in=False).status == 401


def test_a_ticket_signs_in_nowhere_else(site):
    """It is for the two URLs alone that need one."""
    ticket = site.ask("POST", "/jmap/ticket").json()["ticket"]
    assert site.ask("GET", f"/jmap/session?ticket={ticket}", signed_in=False).status == 401
