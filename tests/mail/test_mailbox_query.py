"""Mailbox/query and /queryChanges: filters, sorts and trees (RFC 8621 §2.3, §2.4)."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mail.mailmodel import drop_account, make_mailbox, message, new_account, put, splice

NUMBERS = itertools.count(1)
BY_NAME = [{"property": "name"}]


def query(house, filter_=None, sort=None, **more):
    """The ids of Mailbox/query."""
    return house.call("Mailbox/query", {"filter": filter_, "sort": sort, **more})["ids"]


def names(house, ids):
    """Their names, in this order."""
    found = {one["id"]: one["name"] for one in house.call("Mailbox/get", {"properties": ["name"]})["list"]}
    return [found[one] for one in ids]


def test_filters_one_by_one(house):
    """parentId, name, role, hasAnyRole and isSubscribed, each exactly as the RFC says."""
    work = make_mailbox(house, "Work")
    inner = make_mailbox(house, "Old work", parentId=work, isSubscribed=False)
    roles = {role: house.mailbox(role) for role in ("inbox", "drafts", "sent", "archive", "junk", "trash")}

    assert query(house, {"parentId": work}) == [inner]
    assert set(query(house, {"parentId": None})) == {*roles.values(), work}
    assert set(query(house, {"name": "WORK"})) == {work, inner}
    assert query(house, {"role": "junk"}) == [roles["junk"]]
    assert set(query(house, {"role": None})) == {work, inner}
    assert set(query(house, {"hasAnyRole": True})) == set(roles.values())
    assert set(query(house, {"hasAnyRole": False})) == {work, inner}
    assert query(house, {"isSubscribed": False}) == [inner]
    assert query(house, {"parentId": None, "hasAnyRole": False}) == [work]
    assert len(query(house, {})) == 8
    for wrong in ({"totalEmails": 1}, {"id": work}):
        assert house.call("Mailbox/query", {"filter": wrong})["type"] == "unsupportedFilter"
    for wrong in ({"isSubscribed": 1}, {"hasAnyRole": None}, {"name": None}):
        assert house.call("Mailbox/query", {"filter": wrong})["type"] == "invalidArguments"


@pytest.mark.parametrize("operator", ["AND", "OR", "NOT"])
def test_operators_know_mailboxes_without_parent_and_role(house, operator):
    """A null is a value like others: NOT of a role has what has no role."""
    box = make_mailbox(house, "A", parentId=house.mailbox("inbox"))
    conditions = [{"role": "inbox"}, {"parentId": house.mailbox("inbox")}]
    expected = {"AND": set(), "OR": {box, house.mailbox("inbox")}}
    everything = set(query(house))

    found = set(query(house, {"operator": operator, "conditions": conditions}))

    assert found == expected.get(operator, everything - expected["OR"])


def test_sorting_by_order_then_name(house):
    """SortOrder and name, both ways; names without case, by the collation asked for."""
    for name, order in (("beta", 2), ("Alpha", 2), ("gamma", 1), ("Älter", 2)):
        make_mailbox(house, name, sortOrder=order, role=None)
    free = {"hasAnyRole": False}

    found = query(house, free, [{"property": "sortOrder"}, {"property": "name"}])
    assert names(house, found) == ["gamma", "Alpha", "Älter", "beta"]
    found = query(
        house, free, [{"property": "sortOrder", "isAscending": False}, {"property": "name", "isAscending": False}]
    )
    assert names(house, found) == ["beta", "Älter", "Alpha", "gamma"]
    found = query(house, free, [{"property": "name", "collation": "i;ascii-casemap"}])
    assert names(house, found) == ["Alpha", "beta", "gamma", "Älter"]
    assert house.call("Mailbox/query", {"sort": [{"property": "unreadEmails"}]})["type"] == "unsupportedSort"


def test_as_a_tree_each_comes_before_its_children(house):
    """sortAsTree: siblings by the sort, each followed by all that is inside of it."""
    a, c = make_mailbox(house, "a"), make_mailbox(house, "c")
    b = make_mailbox(house, "b")
    az = make_mailbox(house, "z", parentId=a)
    make_mailbox(house, "y", parentId=a)
    make_mailbox(house, "0", parentId=c)
    make_mailbox(house, "x", parentId=az)

    free = {"hasAnyRole": False}
    assert names(house, query(house, free, BY_NAME, sortAsTree=True)) == ["a", "y", "z", "x", "b", "c", "0"]
    down = [{"property": "name", "isAscending": False}]
    assert names(house, query(house, free, down, sortAsTree=True)) == ["c", "0", "b", "a", "z", "x", "y"]
    # An ancestor that doesn't match still gives its children their place.
    odd = {"operator": "NOT", "conditions": [{"name": "a"}, {"hasAnyRole": True}]}
    assert names(house, query(house, odd, BY_NAME, sortAsTree=True)) == ["y", "z", "x", "b", "c", "0"]
    assert query(house, {"name": "b", **free}) == [b]


def test_filtered_as_a_tree_no_one_stands_without_its_ancestors(house):
    """filterAsTree: a match under something that doesn't match is not shown; positions and totals follow."""
    work = make_mailbox(house, "work")
    other = make_mailbox(house, "other", parentId=work)
    deep = make_mailbox(house, "work deep", parentId=other)
    inner = make_mailbox(house, "work inner", parentId=work)

    assert query(house, {"name": "work"}, BY_NAME, filterAsTree=True) == [work, inner]
    assert query(house, {"name": "work"}, BY_NAME) == [work, deep, inner]
    answer = house.call(
        "Mailbox/query",
        {"filter": {"name": "work"}, "filterAsTree": True, "calculateTotal": True, "position": 1, "sort": BY_NAME},
    )
    assert (answer["ids"], answer["total"], answer["position"]) == ([inner], 2, 1)
    asked = {"filter": {"name": "work"}, "filterAsTree": True, "sortAsTree": True, "sort": BY_NAME}
    assert house.call("Mailbox/query", {**asked, "anchor": inner, "anchorOffset": -1})["ids"] == [work, inner]
    assert house.call("Mailbox/query", {**asked, "anchor": deep})["type"] == "anchorNotFound"


@pytest.mark.parametrize("filter_as_tree", [False, True])
def test_what_is_inside_moves_with_its_parent(house, filter_as_tree):
    """In a tree a change of one Mailbox moves or hides others: the changes tell of them too."""
    a, b = make_mailbox(house, "a tree"), make_mailbox(house, "b tree")
    inner = make_mailbox(house, "c tree", parentId=a)
    asked = {
        "filter": {"name": "tree"},
        "sort": BY_NAME,
        "sortAsTree": not filter_as_tree,
        "filterAsTree": filter_as_tree,
    }
    was = house.call("Mailbox/query", asked)
    assert sorted(was["ids"]) == sorted([a, inner, b])
    house.call("Mailbox/set", {"update": {a: {"name": "hidden" if filter_as_tree else "z tree"}}})

    now = house.call("Mailbox/query", asked)
    change = house.call("Mailbox/queryChanges", {**asked, "sinceQueryState": was["queryState"]})

    assert now["ids"] == ([b] if filter_as_tree else [b, a, inner])
    assert splice(was["ids"], change, len(now["ids"])) == now["ids"]


FILTERS = st.sampled_from([
    None, {"name": "a"}, {"name": "b"}, {"hasAnyRole": False}, {"parentId": None}, {"isSubscribed": True},
    {"operator": "NOT", "conditions": [{"name": "a"}, {"hasAnyRole": True}]},
])  # fmt: skip
SORTS = st.sampled_from([
    None, BY_NAME, [{"property": "sortOrder"}, {"property": "name", "isAscending": False}], [{"property": "parentId"}],
])  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(["make", "make", "move", "name", "sub", "drop", "mail"]), *[st.integers(0, 20)] * 2),
    max_size=10,
)


class Boxes:
    """An account's Mailboxes, changed at random."""

    def __init__(self, house, user):
        self.house, self.user = house, user

    def run(self, steps):
        """Do what can be done; what the rules refuse is left."""
        for what, a, b in steps:
            ids = [one["id"] for one in self.house.call("Mailbox/get", {"properties": []}, self.user)["list"]]
            box, other = ids[a % len(ids)], ids[b % len(ids)]
            patch = {
                "move": {"parentId": other if b % 3 else None}, "name": {"name": "ab"[b % 2] + str(b % 5)},
                "sub": {"isSubscribed": b % 2 == 0, "sortOrder": b % 4},
            }.get(what)  # fmt: skip
            if patch is not None:
                self.house.call("Mailbox/set", {"update": {box: patch}}, self.user)
            elif what == "make":
                name = "ab"[a % 2] + str(next(NUMBERS))
                make_mailbox(self.house, name, self.user, parentId=other if b % 3 else None, sortOrder=a % 4)
            elif what == "drop":
                self.house.call("Mailbox/set", {"destroy": [box], "onDestroyRemoveEmails": True}, self.user)
            else:
                put(self.house, message(message_id=f"{next(NUMBERS)}@x"), [box], user=self.user)


def model(house, user, filter_, sort, *, sort_as_tree, filter_as_tree):
    """The results by RFC 8621 §2.3, from the flat queries and the parents alone."""
    flat = {"filter": filter_, "sort": sort}
    matching = set(house.call("Mailbox/query", flat, user)["ids"])
    order = house.call("Mailbox/query", {"sort": sort}, user)["ids"]
    parents = {
        one["id"]: one["parentId"] for one in house.call("Mailbox/get", {"properties": ["parentId"]}, user)["list"]
    }

    def path(one):
        return [] if one is None else [*path(parents[one]), one]

    if filter_as_tree:
        matching = {one for one in matching if set(path(one)) <= matching}
    if sort_as_tree:
        order = sorted(order, key=lambda one: [order.index(step) for step in path(one)])
    return [one for one in order if one in matching]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, STEPS, FILTERS, SORTS, st.booleans(), st.booleans())
def test_trees_and_their_changes(house, before, after, filter_, sort, sort_as_tree, filter_as_tree):
    """A query is as the RFC's words say, and the old list with the changes spliced in is the new one."""
    user = new_account(house, f"boxes{next(NUMBERS)}@example.com")
    asked = {
        "filter": filter_,
        "sort": sort,
        "sortAsTree": sort_as_tree,
        "filterAsTree": filter_as_tree,
        "calculateTotal": True,
    }
    try:
        boxes = Boxes(house, user)
        boxes.run(before)
        was = house.call("Mailbox/query", asked, user)
        assert was["ids"] == model(house, user, filter_, sort, sort_as_tree=sort_as_tree, filter_as_tree=filter_as_tree)
        boxes.run(after)
        now = house.call("Mailbox/query", asked, user)
        since = {**asked, "sinceQueryState": was["queryState"]}
        change = house.call("Mailbox/queryChanges", since, user)
        assert splice(was["ids"], change, now["total"]) == now["ids"]
        assert (change["newQueryState"], change["total"]) == (now["queryState"], now["total"])
        number = len(change["removed"]) + len(change["added"])
        assert house.call("Mailbox/queryChanges", {**since, "maxChanges": number}, user) == change
    finally:
        drop_account(house, user)
