"""Types whose objects are documents of a format of their own (`DataType.open`), and what else a type may say of itself."""

import json

import pytest

from minijmap.jmap.datatype import ABSENT, Condition, DataType, Filter, Property, Scope, Sort
from minijmap.jmap.engine import Engine
from minijmap.jmap.errors import invalid_properties
from minijmap.jmap.filtering import FilterCondition, FilterOperator, asks, take
from minijmap.jmap.methods import Family
from minijmap.jmap.query import SqlPlan, Walk
from minijmap.jmap.session import Capability
from minijmap.jmap.values import Id, MapOf, String
from minijmap.store.documents import Collection
from tests.jmap.toy import BOX, TOY

TABLE = """
CREATE TABLE leaf (
    key INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, created INTEGER NOT NULL,
    changed INTEGER NOT NULL, doc TEXT NOT NULL, tree TEXT AS (doc ->> '$.tree'), tree_key TEXT AS (upper(doc ->> '$.tree'))
)
"""


class LeafType(DataType):
    """Leaf: a tree that must be said, parts that may be, and whatever starts with x-."""

    name = "Leaf"
    capability = TOY
    prefix = "l"
    collection = Collection("leaf", "Leaf")
    open = True
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "tree": Property(String(1)),
        "shape": Property(String(), default="oval"),
        "parts": Property(MapOf(String(), MapOf(String(), String())), default=ABSENT),
        "note": Property(String(), default=ABSENT),
    }
    filters = {"tree": Filter(String(), lambda scope, value: Condition(f"{scope.alias}.tree = ?", (value,)))}
    sorts = {
        "tree": Sort(
            lambda scope, _: Condition(f"{scope.alias}.tree"),
            collates=True,
            folded=lambda scope: Condition(f"{scope.alias}.tree_key"),
        )
    }

    def may_create(self, name):
        """All but the id."""
        return name != "id"

    def check_properties(self, names):
        """Return the first that can't be."""
        return next((one for one in names if one not in self.properties and not one.startswith("x-")), None)

    def extra_properties(self, given):
        """Return those that start with x-."""
        more = {name: value for name, value in given.items() if name not in self.properties}
        wrong = self.check_properties(list(more))
        if wrong is not None:
            raise invalid_properties(f"“{wrong}” is unheard of.", wrong)
        return more

    def plan(self, scope: Scope, arguments):
        """Start at rows of the plan's own choice."""
        node = self.parsed(scope, arguments)
        return SqlPlan(self, scope, arguments, Walk(Condition("(SELECT * FROM leaf WHERE key > ?) AS t", (0,)), node))

    def parsed(self, scope, arguments):
        """The filter."""
        from minijmap.jmap.filtering import parse_filter

        return parse_filter(self, arguments["filter"], scope)


@pytest.fixture
def leaves(nursery):
    """A nursery in which there are leaves."""
    nursery.database.write(lambda tx: tx.execute(TABLE))
    capabilities = (Capability(TOY, {}, lambda _: {}), Capability(BOX, {}, lambda _: {}))
    nursery.engine = Engine(nursery.database, [Family(capabilities, types=(LeafType(),))], clock=lambda: nursery.now)
    return nursery


def add(leaves, **leaf):
    """Create a leaf; what the answer says of it."""
    answer = leaves.call("Leaf/set", create={"k": leaf})
    return (answer["created"] or answer["notCreated"])["k"]


def change(leaves, leaf, **patch):
    """Patch a leaf; what the answer says of it."""
    answer = leaves.call("Leaf/set", update={leaf: patch})
    return (answer["updated"] or answer["notUpdated"])[leaf]


def test_what_is_not_said_is_not_there(leaves):
    """A default is filled in and told; a property without one is absent, in the document and in every answer."""
    made = add(leaves, tree="oak", note=None)
    assert made == {"id": "l1", "shape": "oval"}
    (shown,) = leaves.call("Leaf/get")["list"]
    assert shown == {"id": "l1", "tree": "oak", "shape": "oval"}
    (some,) = leaves.call("Leaf/get", properties=["tree", "note", "x-no"])["list"]
    assert some == {"id": "l1", "tree": "oak"}
    assert leaves.fails("Leaf/get", properties=["y"])["type"] == "invalidArguments"


def test_names_that_no_table_has(leaves):
    """Are kept with their values, null too; patched, and taken away."""
    leaf = add(leaves, **{"tree": "oak", "x-a": {"b": [None]}, "x-null": None})["id"]
    (shown,) = leaves.call("Leaf/get")["list"]
    assert json.dumps(shown["x-a"]) == '{"b": [null]}'
    assert shown["x-null"] is None
    assert change(leaves, leaf, **{"x-a/b": 1, "x-new": 2, "x-null": None}) is None
    (shown,) = leaves.call("Leaf/get")["list"]
    assert (shown["x-a"], shown["x-new"]) == ({"b": 1}, 2)
    assert "x-null" not in shown
    assert add(leaves, tree="oak", y=1)["properties"] == ["y"]
    assert change(leaves, leaf, y=1)["properties"] == ["y"]
    assert change(leaves, leaf, **{"x-a/c/d": 1})["type"] == "invalidPatch"


def test_null_takes_a_property_away(leaves):
    """Or brings its default back; one that must be there has none."""
    leaf = add(leaves, tree="oak", note="n", shape="round", parts={"a": {}})["id"]
    assert change(leaves, leaf, note=None, shape=None) == {"shape": "oval"}
    (shown,) = leaves.call("Leaf/get")["list"]
    assert shown == {"id": leaf, "tree": "oak", "shape": "oval", "parts": {"a": {}}}
    assert change(leaves, leaf, tree=None)["properties"] == ["tree"]
    state = leaves.state("Leaf")
    assert change(leaves, leaf, note=None) is None
    assert leaves.state("Leaf") == state


def test_a_problem_is_told_by_its_whole_path(leaves):
    """In a create and in an update."""
    assert add(leaves, tree="oak", parts={"a/b": {"c": 1}})["properties"] == ["parts/a~1b/c"]
    leaf = add(leaves, tree="oak", parts={"a": {"c": "d"}})["id"]
    assert change(leaves, leaf, **{"parts/a/c": 1})["properties"] == ["parts/a/c"]


def test_a_plan_may_start_elsewhere_and_sort_by_a_kept_key(leaves):
    """The default collation takes the column that is kept for it, another one the text."""
    ids = [add(leaves, tree=tree)["id"] for tree in ("oak", "Ash", "Élm")]
    by = {"sort": [{"property": "tree"}]}
    assert leaves.call("Leaf/query", **by, calculateTotal=True)["total"] == 3
    assert leaves.call("Leaf/query", **by)["ids"] == [ids[1], ids[0], ids[2]]
    assert leaves.call("Leaf/query", sort=[{"property": "tree", "collation": "i;ascii-casemap"}])["ids"] == [
        ids[1],
        ids[0],
        ids[2],
    ]
    assert leaves.call("Leaf/query", filter={"tree": "oak"})["ids"] == [ids[0]]


A, B = FilterCondition({"a": 1, "b": 2}), FilterCondition({"b": 3})


@pytest.mark.parametrize(
    ("node", "taken", "left", "more"),
    [
        (None, [], None, False),
        (A, [("a", 1)], FilterCondition({"b": 2}), True),
        (FilterCondition({"a": 1}), [("a", 1)], FilterCondition({}), False),
        (FilterOperator("AND", (FilterCondition({"a": 1}), FilterOperator("AND", (A,)))), [("a", 1), ("a", 1)], FilterOperator("AND", (FilterCondition({}), FilterOperator("AND", (FilterCondition({"b": 2}),)))), True),
        (FilterOperator("OR", (A,)), [], FilterOperator("OR", (A,)), True),
        (FilterOperator("NOT", (A,)), [], FilterOperator("NOT", (A,)), True),
        (FilterOperator("AND", ()), [], FilterOperator("AND", ()), False),
        (FilterOperator("OR", ()), [], FilterOperator("OR", ()), True),
        (B, [], B, True),
    ],
)  # fmt: skip
def test_taking_conditions_out_of_a_filter(node, taken, left, more):
    """Those that every result must meet; an OR of nothing is still a condition."""
    assert take(node, {"a"}) == (taken, left)
    assert asks(left) is more
