"""Email/query: every filter, sort and window, against naive Python (RFC 8621 §4.4, RFC 8620 §5.5)."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mail.mailmodel import (
    START_MS,
    drop_account,
    make_mailbox,
    message,
    model_matches,
    model_query,
    new_account,
    put,
    set_email,
    utc,
)
from tests.mail.querymodel import FILTERS, SORTS, Mail, mail_steps

NUMBERS = itertools.count(1)


def query(house, filter_=None, sort=None, user="alice@example.com", **more):
    """The ids that Email/query answers."""
    return house.call("Email/query", {"filter": filter_, "sort": sort, **more}, user)["ids"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mail_steps(), st.lists(st.tuples(FILTERS, SORTS, st.booleans()), min_size=1, max_size=8), st.data())
def test_queries_answer_as_naive_python_does(house, steps, asked, data):
    """Ids, totals, positions from both ends and anchors: all as a list of all Emails says."""
    user = new_account(house, f"query{next(NUMBERS)}@example.com")
    try:
        mail = Mail(house, user)
        mail.run(steps)
        for draft, sort, collapse in asked:
            filter_ = mail.filled(draft)
            expected = model_query(mail.emails, filter_, sort, collapse=collapse)
            whole = {"filter": filter_, "sort": sort, "collapseThreads": collapse, "calculateTotal": True}
            answer = house.call("Email/query", whole, user)
            assert (answer["ids"], answer["total"], answer["position"]) == (expected, len(expected), 0), (filter_, sort)
            position = data.draw(st.integers(-len(expected) - 2, len(expected) + 2))
            limit = data.draw(st.integers(0, 5))
            answer = house.call("Email/query", {**whole, "position": position, "limit": limit}, user)
            start = max(0, position + len(expected)) if position < 0 else position
            assert (answer["ids"], answer["total"]) == (expected[start : start + limit], len(expected))
            assert answer["position"] == start or not answer["ids"]
            check_anchor(house, user, whole, expected, data)
    finally:
        drop_account(house, user)


def check_anchor(house, user, whole, expected, data):
    """An anchor and an offset stand for a position; one that is not in the results is an error."""
    offset = data.draw(st.integers(-4, 4))
    for index in range(0, len(expected), 3):
        answer = house.call(
            "Email/query",
            {**whole, "anchor": expected[index], "anchorOffset": offset, "position": 99, "limit": 4},
            user,
        )
        start = max(0, index + offset)
        assert answer["ids"] == expected[start : start + 4]
    for anchor in {f"e{number}" for number in range(1, 4)} - set(expected):
        assert house.call("Email/query", {**whole, "anchor": anchor}, user)["type"] == "anchorNotFound"


def test_a_page_ends_where_the_list_ends(house):
    """A position past the end is no error; an anchorOffset without anchor is ignored; a negative limit is refused."""
    email = put(house, message())

    answer = house.call("Email/query", {"position": 5, "calculateTotal": True})
    assert (answer["ids"], answer["total"]) == ([], 1)
    assert query(house, anchorOffset=7) == [email]
    assert house.call("Email/query", {"limit": -1})["type"] == "invalidArguments"
    assert "total" not in house.call("Email/query", {})
    assert "limit" not in house.call("Email/query", {"limit": 5})


def test_totals_are_the_counts_of_the_mailbox(house):
    """Clarification Q24: inMailbox alone, collapsed or not, agrees with totalEmails and totalThreads."""
    box = make_mailbox(house, "A")
    for number in range(7):
        put(
            house,
            message(f"T{number % 3}", message_id=f"{number}@x", references=[f"r{number % 3}@x"]),
            [box],
            at=START_MS + number,
        )
    (counts,) = house.call("Mailbox/get", {"ids": [box]})["list"]

    for collapse, name in ((False, "totalEmails"), (True, "totalThreads")):
        answer = house.call(
            "Email/query", {"filter": {"inMailbox": box}, "collapseThreads": collapse, "calculateTotal": True}
        )
        assert answer["total"] == counts[name] == len(answer["ids"])


@pytest.mark.parametrize("collapse", [False, True])
@pytest.mark.parametrize("more", [{}, {"hasKeyword": "k"}, {"text": "hello"}, {"minSize": 1}])
def test_somebody_elses_mailbox_is_empty(house, collapse, more):
    """The id of another account's Mailbox finds nothing, whatever stands beside it."""
    email = put(house, message(), keywords=["k"], user="bob@example.com")
    box = house.mailbox("inbox", "bob@example.com")

    answer = house.call(
        "Email/query", {"filter": {"inMailbox": box, **more}, "collapseThreads": collapse, "calculateTotal": True}
    )
    assert (answer["ids"], answer["total"]) == ([], 0)
    answer = house.call("Email/query", {"filter": {"inMailbox": box}, "anchor": email, "collapseThreads": collapse})
    assert answer["type"] == "anchorNotFound"
    for filter_ in (
        more,
        {"operator": "NOT", "conditions": [{"inMailbox": box}]},
        {"operator": "OR", "conditions": [more]},
    ):
        assert query(house, filter_, collapseThreads=collapse) == []


def test_mailbox_ids_that_are_none(house):
    """An id of the wrong kind matches nothing; inMailboxOtherThan with it leaves everything."""
    email = put(house, message())
    for wrong in ("m999", "e1", "x", "m01", "m" + "9" * 30, "0"):
        assert query(house, {"inMailbox": wrong}) == []
        assert query(house, {"inMailboxOtherThan": [wrong]}) == [email]
    assert query(house, {"inMailboxOtherThan": []}) == [email]
    assert query(house, {"inMailboxOtherThan": [house.mailbox("inbox")]}) == []


def test_before_and_after_meet_at_the_instant(house):
    """`before` is before, `after` is the same or after."""
    email = put(house, message(), at=START_MS)

    assert query(house, {"before": utc(START_MS)}) == []
    assert query(house, {"after": utc(START_MS)}) == [email]
    assert query(house, {"before": utc(START_MS + 1000), "after": utc(START_MS)}) == [email]
    assert house.call("Email/query", {"filter": {"before": "2026-01-01T00:00:00+00:00"}})["type"] == "invalidArguments"


def test_sorting_names_and_subjects_by_collation(house):
    """From and To by name or else address, without case; the subject is the base subject; a collation can be named."""
    rows = [
        ("Zoe <a@x>", "Re: apple"),
        ("<bert@x>", "Banana"),
        ("anna <z@x>", "[list] Cherry"),
        ("Émile <e@x>", "date"),
    ]
    ids = [
        put(house, message(subject, sender=sender, to=sender), at=START_MS + n)
        for n, (sender, subject) in enumerate(rows)
    ]
    zoe, bert, anna, emile = ids

    for by in ("from", "to"):
        assert query(house, None, [{"property": by}]) == [anna, bert, emile, zoe]
    assert query(house, None, [{"property": "subject"}]) == [zoe, bert, anna, emile]
    assert query(house, None, [{"property": "subject", "isAscending": False, "collation": "i;ascii-casemap"}]) == [
        emile,
        anna,
        bert,
        zoe,
    ]
    assert (
        house.call("Email/query", {"sort": [{"property": "subject", "collation": "i;nothing"}]})["type"]
        == "unsupportedSort"
    )


def test_a_thread_stands_where_its_first_email_is(house):
    """Collapsing comes after sorting and filtering (§4.4.3)."""
    old = put(house, message("A", message_id="1@x"), at=START_MS)
    other = put(house, message("B", message_id="2@x"), at=START_MS + 1)
    new = put(house, message("Re: A", message_id="3@x", references=["1@x"]), keywords=["k"], at=START_MS + 2)

    assert query(house, collapseThreads=True) == [new, other]
    assert query(house, None, [{"property": "receivedAt"}], collapseThreads=True) == [old, other]
    assert query(house, {"notKeyword": "k"}, collapseThreads=True) == [other, old]
    assert query(house, None, [{"property": "size"}], collapseThreads=True)[0] in (old, other)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filter": {"nothing": 1}}, "unsupportedFilter"), ({"filter": {"inMailbox": None}}, "invalidArguments"),
        ({"filter": []}, "invalidArguments"), ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND"}}, "invalidArguments"), ({"filter": {"hasKeyword": 1}}, "invalidArguments"),
        ({"filter": {"minSize": -1}}, "invalidArguments"), ({"filter": {"header": []}}, "invalidArguments"),
        ({"filter": {"header": ["a", "b", "c"]}}, "invalidArguments"), ({"sort": [{"property": "nothing"}]}, "unsupportedSort"),
        ({"sort": [{"property": "hasKeyword"}]}, "invalidArguments"), ({"sort": [{}]}, "invalidArguments"),
        ({"sort": [{"property": "size", "isAscending": 1}]}, "invalidArguments"), ({"sort": {}}, "invalidArguments"),
        ({"collapseThreads": "yes"}, "invalidArguments"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(house, arguments, error):
    """Each wrong question has its own error, for /query and /queryChanges alike."""
    assert house.call("Email/query", arguments)["type"] == error
    assert house.call("Email/queryChanges", {**arguments, "sinceQueryState": "0"})["type"] == error


def test_empty_filters_match_everything(house):
    """No properties are true; an AND of nothing is true, an OR of nothing isn't, a NOT of nothing is (RFC 8620 §5.5)."""
    email = put(house, message())
    for node in ({}, {"operator": "AND", "conditions": []}, {"operator": "NOT", "conditions": []},
                 {"operator": "OR", "conditions": [{}]}, {"operator": "AND", "conditions": [{}, {}]}):  # fmt: skip
        assert query(house, node) == [email], node
    assert query(house, {"operator": "OR", "conditions": []}) == []
    assert query(house, {"operator": "NOT", "conditions": [{}]}) == []


@pytest.mark.parametrize("operator", ["AND", "OR", "NOT"])
@pytest.mark.parametrize("collapse", [False, True])
@pytest.mark.parametrize("deep_first", [False, True])
def test_deep_filters_are_answered(house, operator, collapse, deep_first):
    """A filter as deep as is allowed works, whatever it is made of; one level more is unsupportedFilter."""
    put(house, message())
    node = {"hasAttachment": True}
    for _ in range(31):
        both = [node, {"inMailboxOtherThan": ["m999"]}]
        node = {"operator": operator, "conditions": both if deep_first else both[::-1]}

    assert "ids" in house.call("Email/query", {"filter": node, "collapseThreads": collapse, "calculateTotal": True})
    deeper = {"operator": "NOT", "conditions": [node]}
    assert house.call("Email/query", {"filter": deeper})["type"] == "unsupportedFilter"


def test_wide_filters_are_answered(house):
    """Some hundred conditions work, collapsed too."""
    email = put(house, message(), keywords=["k7"])
    conditions = [{"hasKeyword": f"k{number}", "minSize": 1, "someInThreadHaveKeyword": "k7"} for number in range(490)]

    for collapse in (False, True):
        assert query(house, {"operator": "OR", "conditions": conditions}, collapseThreads=collapse) == [email]
        assert query(house, {"operator": "NOT", "conditions": conditions}, collapseThreads=collapse) == []


def test_a_query_state_changes_with_the_results(house):
    """It moves when an Email comes or changes, and stays while nothing happens."""
    states = [house.call("Email/query", {})["queryState"]]
    email = put(house, message())
    states.append(house.call("Email/query", {})["queryState"])
    set_email(house, email, {"keywords/a": True})
    states.append(house.call("Email/query", {})["queryState"])

    assert len(set(states)) == 3
    answer = house.call("Email/query", {})
    assert (answer["queryState"], answer["canCalculateChanges"]) == (states[-1], True)


def test_the_model_itself_is_right_about_the_example_of_the_rfc():
    """RFC 8620 §5.5: NOT means none of the conditions, not the opposite of all."""
    both = {"operator": "NOT", "conditions": [{"minSize": 5}, {"maxSize": 1}]}
    from tests.mail.mailmodel import ModelEmail

    assert [model_matches(both, ModelEmail("e1", "t1", set(), set(), 0, size), []) for size in (0, 3, 5)] == [
        False,
        True,
        False,
    ]
