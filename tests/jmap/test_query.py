"""Foo/query and Foo/queryChanges (RFC 8620 §5.5, §5.6) against a model in plain Python."""

from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.jmap import collation, query
from minijmap.jmap.filtering import DEEPEST_FILTER, MOST_COMPARATORS, MOST_CONDITIONS

# A model: what a filter and a sort mean, said once more


def matches(toy: dict[str, Any], condition: dict[str, Any] | None) -> bool:
    """Whether a Toy is in the results of a filter."""
    if condition is None:
        return True
    if "operator" in condition:
        found = [matches(toy, one) for one in condition["conditions"]]
        return {"AND": all(found), "OR": any(found), "NOT": not any(found)}[condition["operator"]]
    tests = {
        "name": lambda wanted: wanted in toy["name"],
        "label": lambda wanted: toy["label"] == wanted,
        "colour": lambda wanted: toy["colour"] == wanted,
        "minSize": lambda wanted: toy["size"] >= wanted,
        "parentId": lambda wanted: toy["parentId"] == wanted,
        "hasKeyword": lambda wanted: wanted in toy["keywords"],
    }
    return all(tests[name](wanted) for name, wanted in condition.items())


def key(toy: dict[str, Any], comparator: dict[str, Any]) -> Any:
    """What a comparator compares; null comes before everything."""
    if comparator["property"] == "isColour":
        return (1, toy["colour"] == comparator["colour"])
    value = toy[comparator["property"]]
    if isinstance(value, str):
        value = collation.COLLATIONS[comparator.get("collation") or collation.DEFAULT](value)
    return (0, 0) if value is None else (1, value)


def results(toys: list[dict[str, Any]], condition: Any, sort: Any) -> list[str]:
    """The ids of a query's results; what is alike in all comparators comes in the order of creation."""

    def compare(one: dict[str, Any], other: dict[str, Any]) -> int:
        for comparator in sort or ():
            left, right = key(one, comparator), key(other, comparator)
            if left != right:
                return (1 if left > right else -1) * (1 if comparator.get("isAscending", True) else -1)
        return int(one["id"][1:]) - int(other["id"][1:])

    found = [toy for toy in toys if matches(toy, condition)]
    return [toy["id"] for toy in sorted(found, key=cmp_to_key(compare))]


def window(ids: list[str], arguments: dict[str, Any]) -> tuple[int, list[str]] | None:
    """The position and the ids that a window of results has; None when the anchor is not there."""
    if arguments.get("anchor") is not None:
        if arguments["anchor"] not in ids:
            return None
        start = max(0, ids.index(arguments["anchor"]) + arguments.get("anchorOffset", 0))
    else:
        start = arguments.get("position", 0)
        start = max(0, start + len(ids)) if start < 0 else start
    limit = arguments.get("limit")
    return start, ids[start:] if limit is None else ids[start : start + limit]


TOYS = [
    {"name": "alpha", "size": 10, "label": "x", "colour": "red", "keywords": {"music": True}},
    {"name": "Beta", "size": 2, "label": None, "colour": None},
    {"name": "\u00e9tude 9", "size": 2, "label": "X", "colour": "green", "keywords": {"music": True, "video": True}},
    {"name": "Etude 10", "size": 7, "label": "10", "colour": "red"},
    {"name": "zebra", "size": 0, "label": "9", "colour": "blue", "keywords": {"video": True}},
    {"name": "Zebra", "size": 7, "label": None, "colour": "blue"},
    {"name": "10", "size": 7, "label": "\u00e9", "colour": "red"},
    {"name": "9", "size": 3, "label": "E\u0301", "colour": None},
]

CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["", "e", "Z", "9", "nothing"]),
        "label": st.sampled_from(["x", "9", ""]),
        "colour": st.sampled_from(["red", "blue", None]),
        "minSize": st.integers(0, 11),
        "parentId": st.sampled_from([None, "t1"]),
        "hasKeyword": st.sampled_from(["music", "video", "it's"]),
    },
)
FILTERS = st.one_of(
    st.none(),
    st.recursive(
        CONDITIONS,
        lambda inner: st.fixed_dictionaries(
            {"operator": st.sampled_from(["AND", "OR", "NOT"]), "conditions": st.lists(inner, max_size=3)}
        ),
        max_leaves=6,
    ),
)
COMPARATORS = st.one_of(
    st.fixed_dictionaries(
        {"property": st.sampled_from(["name", "label"])},
        optional={"isAscending": st.booleans(), "collation": st.sampled_from([*collation.COLLATIONS, None])},
    ),
    st.fixed_dictionaries({"property": st.just("size")}, optional={"isAscending": st.booleans()}),
    st.fixed_dictionaries(
        {"property": st.just("isColour"), "colour": st.sampled_from(["red", "blue"])},
        optional={"isAscending": st.booleans(), "foreign": st.just(1)},
    ),
)
SORTS = st.one_of(st.none(), st.lists(COMPARATORS, max_size=3))
WINDOWS = st.fixed_dictionaries(
    {},
    optional={
        "position": st.integers(-12, 12),
        "anchor": st.one_of(st.none(), st.integers(0, 9)),
        "anchorOffset": st.integers(-12, 12),
        "limit": st.one_of(st.none(), st.integers(0, 10)),
        "calculateTotal": st.booleans(),
    },
)
QUICK = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def toys(nursery):
    """The Toys above, as they are kept."""
    nursery.call("Toy/set", create={f"k{n}": toy for n, toy in enumerate(TOYS)})
    return sorted(nursery.call("Toy/get", ids=None)["list"], key=lambda toy: int(toy["id"][1:]))


@given(condition=FILTERS, sort=SORTS, asked=WINDOWS)
@QUICK
def test_query_answers_as_the_model_does(nursery, toys, condition, sort, asked):
    """Filters, sorts, collations; positions from either end and past it, anchors, limits, totals."""
    ids = results(toys, condition, sort)
    if asked.get("anchor") is not None:
        asked["anchor"] = [*(toy["id"] for toy in toys), "t9999", "x1"][asked["anchor"]]
    expected = window(ids, asked)
    if expected is None:
        assert nursery.fails("Toy/query", filter=condition, sort=sort, **asked)["type"] == "anchorNotFound"
        return

    answer = nursery.call("Toy/query", filter=condition, sort=sort, **asked)

    assert answer == {
        "accountId": nursery.own,
        "queryState": answer["queryState"],
        "canCalculateChanges": True,
        "position": expected[0],
        "ids": expected[1],
        **({"total": len(ids)} if asked.get("calculateTotal") else {}),
    }


# What is refused


@pytest.mark.parametrize(
    ("arguments", "error_type"),
    [
        ({"filter": []}, "invalidArguments"),
        ({"filter": "x"}, "invalidArguments"),
        ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "and", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND"}}, "invalidArguments"),
        ({"filter": {"operator": "AND", "conditions": {}}}, "invalidArguments"),
        ({"filter": {"operator": "AND", "conditions": [None]}}, "invalidArguments"),
        ({"filter": {"operator": [], "conditions": []}}, "invalidArguments"),
        ({"filter": {"minSize": -1}}, "invalidArguments"),
        ({"filter": {"name": None}}, "invalidArguments"),
        ({"filter": {"flavour": "sweet"}}, "unsupportedFilter"),
        ({"filter": {"operator": "NOT", "conditions": [{"flavour": "sweet"}]}}, "unsupportedFilter"),
        ({"sort": {}}, "invalidArguments"),
        ({"sort": ["name"]}, "invalidArguments"),
        ({"sort": [{}]}, "invalidArguments"),
        ({"sort": [{"property": 1}]}, "invalidArguments"),
        ({"sort": [{"property": "name", "isAscending": "yes"}]}, "invalidArguments"),
        ({"sort": [{"property": "name", "isAscending": None}]}, "invalidArguments"),
        ({"sort": [{"property": "name", "collation": 1}]}, "invalidArguments"),
        ({"sort": [{"property": "isColour"}]}, "invalidArguments"),
        ({"sort": [{"property": "flavour"}]}, "unsupportedSort"),
        ({"sort": [{"property": "name", "collation": "i;octet"}]}, "unsupportedSort"),
        ({"sort": [{"property": "name", "collation": "'); --"}]}, "unsupportedSort"),
        ({"position": "1"}, "invalidArguments"),
        ({"position": None}, "invalidArguments"),
        ({"position": 0.5}, "invalidArguments"),
        ({"limit": -1}, "invalidArguments"),
        ({"limit": 2**53}, "invalidArguments"),
        ({"anchor": 1}, "invalidArguments"),
        ({"anchorOffset": None}, "invalidArguments"),
        ({"calculateTotal": "yes"}, "invalidArguments"),
        ({"anchor": "t9999"}, "anchorNotFound"),
        ({"anchor": "t9999", "position": 1}, "anchorNotFound"),
    ],
)
def test_what_is_refused(nursery, arguments, error_type):
    """A query that is no query, or that can't be answered."""
    assert nursery.fails("Toy/query", **arguments)["type"] == error_type


def nested(depth: int) -> dict[str, Any]:
    """A filter of this many levels that matches everything."""
    condition: dict[str, Any] = {"minSize": 0}
    for _ in range(depth - 1):
        condition = {"operator": "AND", "conditions": [condition]}
    return condition


@pytest.mark.parametrize("operator", ["AND", "OR", "NOT"])
def test_the_size_of_a_filter_is_limited_exactly(nursery, operator):
    """So deep and so many, and one past is `unsupportedFilter`; many comparators likewise."""
    (toy_id,) = nursery.add("A")

    def wide(count: int) -> dict[str, Any]:
        return {"operator": operator, "conditions": [{"minSize": 0, "name": "A"}] * count}

    assert nursery.call("Toy/query", filter=nested(DEEPEST_FILTER))["ids"] == [toy_id]
    assert nursery.fails("Toy/query", filter=nested(DEEPEST_FILTER + 1))["type"] == "unsupportedFilter"
    expected = [] if operator == "NOT" else [toy_id]
    assert nursery.call("Toy/query", filter=wide(MOST_CONDITIONS - 1))["ids"] == expected
    assert nursery.fails("Toy/query", filter=wide(MOST_CONDITIONS))["type"] == "unsupportedFilter"
    sort = [{"property": "name"}, {"property": "isColour", "colour": "red"}] * (MOST_COMPARATORS // 2)
    assert nursery.call("Toy/query", sort=sort)["ids"] == [toy_id]
    assert nursery.fails("Toy/query", sort=[*sort, sort[0]])["type"] == "unsupportedSort"


def test_greatest_numbers(nursery):
    """A position, an offset and a limit as large as an Int may be."""
    (toy_id,) = nursery.add("A")
    most = 2**53 - 1

    assert nursery.call("Toy/query", position=most)["ids"] == []
    assert nursery.call("Toy/query", position=-most)["ids"] == [toy_id]
    assert nursery.call("Toy/query", anchor=toy_id, anchorOffset=most)["ids"] == []
    assert nursery.call("Toy/query", anchor=toy_id, anchorOffset=-most, position=5)["ids"] == [toy_id]


def test_a_limit_of_our_own_is_told(nursery, monkeypatch):
    """`limit` is in the answer when it is not the one that was asked for."""
    monkeypatch.setattr(query, "MOST_RESULTS", 2)
    ids = nursery.add("A", "B", "C")

    for asked, told in ((None, 2), (3, 2), (2, None), (1, None)):
        answer = nursery.call("Toy/query", limit=asked)
        assert answer["ids"] == ids[: asked or 2][:2]
        assert answer.get("limit") == told


# /queryChanges

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "update", "destroy"]),
        st.integers(0, 7),
        st.fixed_dictionaries(
            {},
            optional={
                "size": st.integers(0, 11),
                "colour": st.sampled_from(["red", "blue", None]),
                "label": st.sampled_from(["x", "9", None]),
            },
        ),
    ),
    max_size=6,
)


def spliced(cached: list[str | None], answer: dict[str, Any]) -> list[str | None]:
    """What a client makes of its list (RFC 8620 §5.6 with its errata): null is an id that it has not got."""
    missing = [one for one in answer["removed"] if one not in cached]
    ids = [one for one in cached if one not in answer["removed"]]
    if missing and None in ids:
        gap = ids.index(None)
        ids[gap:] = [None] * len(ids[gap:])
    for item in answer["added"]:
        if item["index"] > len(ids):
            ids += [None] * (item["index"] - len(ids))
        ids.insert(item["index"], item["id"])
    total = answer["total"]
    return [*ids, *[None] * (total - len(ids))][:total]


def change(nursery, living: list[str], step: tuple[str, int, dict[str, Any]], number: int) -> list[str]:
    """Make a change; return the ids that are there after it."""
    verb, which, values = step
    if verb == "create":
        return [*living, *nursery.add(f"new {number}", **values)]
    if not living:
        return living
    one = living[which % len(living)]
    if verb == "update":
        nursery.call("Toy/set", update={one: values})
        return living
    nursery.call("Toy/set", destroy=[one])
    return [other for other in living if other != one]


@given(condition=FILTERS, sort=SORTS, steps=STEPS, cut=st.integers(0, 8))
@settings(QUICK, max_examples=120)
def test_changes_to_a_query_lead_to_the_new_results(nursery, condition, sort, steps, cut):
    """The old list with the change spliced in is the new list; a list cached in part has nothing wrong in it."""
    nursery.fresh()
    made = nursery.call("Toy/set", create={f"k{n}": toy for n, toy in enumerate(TOYS)})["created"]
    living = [one["id"] for one in made.values()]
    before = nursery.call("Toy/query", filter=condition, sort=sort)
    for number, step in enumerate(steps):
        living = change(nursery, living, step, number)
    after = nursery.call("Toy/query", filter=condition, sort=sort)["ids"]
    asked = {"filter": condition, "sort": sort, "sinceQueryState": before["queryState"], "calculateTotal": True}

    answer = nursery.call("Toy/queryChanges", **asked)
    assert spliced(before["ids"], answer) == after
    assert answer["total"] == len(after)
    assert [one["index"] for one in answer["added"]] == sorted(one["index"] for one in answer["added"])
    count = len(answer["removed"]) + len(answer["added"])
    if count:
        assert nursery.call("Toy/queryChanges", maxChanges=count, **asked) == answer
    if count > 1:
        assert nursery.fails("Toy/queryChanges", maxChanges=count - 1, **asked)["type"] == "tooManyChanges"

    cached: list[str | None] = [one if n < cut else None for n, one in enumerate(before["ids"])]
    known = [one for one in cached if one is not None]
    up_to = nursery.call("Toy/queryChanges", upToId=known[-1] if known else None, **asked)
    for mine, real in zip(spliced(cached, up_to), after, strict=True):
        assert mine in (real, None)


def test_an_end_spares_what_comes_after_it(nursery):
    """With `upToId`, what was added after it is not told; if it is not there, or has moved itself, everything is."""
    first, second, third = nursery.add("B", "D", "F")
    sort = [{"property": "name"}]
    state = nursery.call("Toy/query", sort=sort)["queryState"]
    early, late = nursery.add("C", "E")

    def added(up_to: str | None) -> list[tuple[int, str]]:
        answer = nursery.call("Toy/queryChanges", sort=sort, sinceQueryState=state, upToId=up_to)
        assert answer["removed"] == [one for one in (first, third) if moved]
        return [(one["index"], one["id"]) for one in answer["added"]]

    moved = False
    assert added(first) == []
    assert added(second) == [(1, early)]
    assert added(None) == added("nobody") == added("t9999") == [(1, early), (3, late)]
    nursery.call("Toy/set", update={first: {"label": "same place"}, third: {"name": "A"}})
    moved = True
    assert added(second) == [(0, third), (1, first), (2, early)]
    assert added(third) == [(0, third), (1, first), (2, early), (4, late)]


def test_nothing_has_changed(nursery):
    """From the state of a query to itself there is nothing, and no total that was not asked for."""
    nursery.add("A")
    state = nursery.call("Toy/query")["queryState"]

    assert nursery.call("Toy/queryChanges", sinceQueryState=state) == {
        "accountId": nursery.own,
        "oldQueryState": state,
        "newQueryState": state,
        "removed": [],
        "added": [],
    }


@pytest.mark.parametrize(
    ("arguments", "error_type"),
    [
        ({}, "invalidArguments"),
        ({"sinceQueryState": None}, "invalidArguments"),
        ({"sinceQueryState": "0", "maxChanges": -1}, "invalidArguments"),
        ({"sinceQueryState": "0", "upToId": 1}, "invalidArguments"),
        ({"sinceQueryState": "0", "filter": {"flavour": "sweet"}}, "unsupportedFilter"),
        ({"sinceQueryState": "0", "sort": [{"property": "flavour"}]}, "unsupportedSort"),
        ({"sinceQueryState": "99"}, "cannotCalculateChanges"),
    ],
)
def test_what_changes_to_a_query_refuse(nursery, arguments, error_type):
    """The errors of /query and of /changes are those of /queryChanges too."""
    assert nursery.fails("Toy/queryChanges", **arguments)["type"] == error_type
