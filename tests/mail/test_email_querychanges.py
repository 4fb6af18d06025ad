"""Email/queryChanges: the change spliced into the old list is the new list (RFC 8620 §5.6 with errata, RFC 8621 §4.5)."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mail.mailmodel import START_MS, drop_account, message, new_account, put, set_email, splice
from tests.mail.querymodel import FILTERS, SORTS, Mail, mail_steps

NUMBERS = itertools.count(1)
QUESTIONS = st.lists(st.tuples(FILTERS, SORTS, st.booleans()), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mail_steps(), mail_steps(most=6), QUESTIONS, st.integers(0, 20))
def test_a_spliced_list_is_the_new_list(house, before, after, asked, cut):
    """Whatever was asked and whatever has happened since; with upToId, all that the client still knows is right."""
    user = new_account(house, f"splice{next(NUMBERS)}@example.com")
    try:
        mail = Mail(house, user)
        mail.run(before)
        questions = [
            {"filter": mail.filled(draft), "sort": sort, "collapseThreads": collapse, "calculateTotal": True}
            for draft, sort, collapse in asked
        ]
        old = [house.call("Email/query", one, user) for one in questions]
        mail.run(after)
        for question, was in zip(questions, old, strict=True):
            check(house, user, question, was, cut)
    finally:
        drop_account(house, user)


def check(house, user, question, was, cut):
    """Bring one cached list up to date, whole and in part."""
    now = house.call("Email/query", question, user)
    since = {**question, "sinceQueryState": was["queryState"]}
    change = house.call("Email/queryChanges", since, user)
    assert (change["oldQueryState"], change["newQueryState"]) == (was["queryState"], now["queryState"])
    assert change["total"] == now["total"]
    assert len(change["removed"]) == len(set(change["removed"]))
    indexes = [item["index"] for item in change["added"]]
    assert indexes == sorted(set(indexes))
    assert splice(was["ids"], change, now["total"]) == now["ids"]
    number = len(change["removed"]) + len(change["added"])
    assert house.call("Email/queryChanges", {**since, "maxChanges": number}, user) == change
    if number:
        assert house.call("Email/queryChanges", {**since, "maxChanges": number - 1}, user)["type"] == "tooManyChanges"
    if not was["ids"]:
        return
    known = was["ids"][: cut % len(was["ids"]) + 1]
    partly = house.call("Email/queryChanges", {**since, "upToId": known[-1]}, user)
    spliced = splice([*known, *[None] * (was["total"] - len(known))], partly, now["total"])
    assert len(spliced) == len(now["ids"])
    assert all(mine in (None, there) for mine, there in zip(spliced, now["ids"], strict=True)), (
        known,
        partly,
        now["ids"],
    )
    if known[-1] in now["ids"] and known[-1] not in change["removed"]:
        last = now["ids"].index(known[-1])
        assert all(item["index"] <= last for item in partly["added"])


def test_nothing_happened_nothing_is_told(house):
    """The state of the query is the answer's, with empty lists and no total unless it is asked for."""
    put(house, message())
    state = house.call("Email/query", {})["queryState"]

    answer = house.call("Email/queryChanges", {"sinceQueryState": state})

    assert answer == {
        "accountId": house.account(), "oldQueryState": state, "newQueryState": state, "removed": [], "added": [],
    }  # fmt: skip
    assert house.call("Email/queryChanges", {"sinceQueryState": state, "maxChanges": 0}) == answer


def test_reading_a_mail_in_an_unread_view(house):
    """It leaves the results: removed, not added; the rest of the list is not told again."""
    ids = [put(house, message(message_id=f"{n}@x"), at=START_MS + n) for n in range(3)]
    asked = {"filter": {"notKeyword": "$seen"}}
    state = house.call("Email/query", asked)["queryState"]
    set_email(house, ids[1], {"keywords/$seen": True})

    answer = house.call("Email/queryChanges", {**asked, "sinceQueryState": state})

    assert (answer["removed"], answer["added"]) == ([ids[1]], [])


def test_a_new_reply_takes_the_place_of_its_thread(house):
    """Collapsed, the old Email of the Thread goes and the new one comes."""
    old = put(house, message(message_id="a@x"))
    asked = {"filter": {"inMailbox": house.mailbox("inbox")}, "collapseThreads": True}
    state = house.call("Email/query", asked)["queryState"]
    new = put(house, message("Re: Hello", message_id="b@x", references=["a@x"]), at=START_MS + 1)

    answer = house.call("Email/queryChanges", {**asked, "sinceQueryState": state})

    assert old in answer["removed"]
    assert answer["added"] == [{"id": new, "index": 0}]


@pytest.mark.parametrize("name", ["allInThreadHaveKeyword", "someInThreadHaveKeyword", "noneInThreadHaveKeyword"])
@pytest.mark.parametrize("place", ["filter", "inside", "sort"])
def test_a_keyword_of_one_moves_its_whole_thread(house, name, place):
    """A filter or sort on a Thread's keywords: every Email of a Thread whose member changed is told anew."""
    if place == "sort" and name.startswith("none"):
        return
    ids = [put(house, message("Re: Hello", message_id=f"{n}@x", references=["r@x"]), at=START_MS + n) for n in range(2)]
    other = put(house, message("Other", message_id="o@x"))
    asked = {
        "filter": {"filter": {name: "k"}}, "inside": {"filter": {"operator": "NOT", "conditions": [{name: "k"}]}},
        "sort": {"sort": [{"property": name, "keyword": "k", "isAscending": False}]},
    }[place]  # fmt: skip
    was = house.call("Email/query", asked)
    for one in ids:
        set_email(house, one, {"keywords/k": True})
    now = house.call("Email/query", {**asked, "calculateTotal": True})

    change = house.call("Email/queryChanges", {**asked, "sinceQueryState": was["queryState"]})

    assert other not in change["removed"]
    assert splice(was["ids"], change, now["total"]) == now["ids"] != was["ids"]


@pytest.mark.parametrize("state", ["", "x", "-1", "99999999", "00"])
def test_states_that_were_never_given_out(house, state):
    """cannotCalculateChanges: the client asks again from the beginning."""
    put(house, message())

    assert house.call("Email/queryChanges", {"sinceQueryState": state})["type"] == "cannotCalculateChanges"


def test_more_changes_than_are_remembered(house, monkeypatch):
    """Past the store's limit the honest answer is cannotCalculateChanges, not a part of the changes."""
    from minijmap.store import documents

    put(house, message())
    state = house.call("Email/query", {})["queryState"]
    for number in range(4):
        put(house, message(message_id=f"{number}@x"))
    monkeypatch.setattr(documents, "MOST_CHANGES", 3)

    for collapse in (False, True):
        answer = house.call("Email/queryChanges", {"sinceQueryState": state, "collapseThreads": collapse})
        assert answer["type"] == "cannotCalculateChanges"


def test_pruned_tombstones_are_too_old(house):
    """When the tombstones since a state are gone, the state is too old, for Email and for what hangs on Threads."""
    from minijmap.store import documents

    email = put(house, message())
    state = house.call("Email/query", {})["queryState"]
    house.call("Email/set", {"destroy": [email]})
    house.database.write(lambda tx: documents.prune_tombstones(tx, 1 << 40))

    for collapse in (False, True):
        answer = house.call("Email/queryChanges", {"sinceQueryState": state, "collapseThreads": collapse})
        assert answer["type"] == "cannotCalculateChanges"
