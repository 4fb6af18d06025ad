"""What one specification adds to another's type or method: there for those alone who name its capability."""

import pytest

from minijmap.jmap.call import Call
from minijmap.jmap.datatype import Condition, Filter, Property
from minijmap.jmap.engine import Engine
from minijmap.jmap.errors import UnknownMethod
from minijmap.jmap.methods import Family, Method
from minijmap.jmap.session import CORE, Capability
from minijmap.jmap.values import Boolean, Nullable, String
from tests.jmap.toy import BOX, FAMILY, TOY, BoxType, ToyType

PAINT = "urn:example:paint"


class PaintedType(ToyType):
    """A Toy to which another specification has added a property and a condition."""

    properties = {
        **ToyType.properties,
        "paint": Property(Nullable(String()), server_set=True, column="json_quote('fresh')", capability=PAINT),
    }
    filters = {**ToyType.filters, "isPainted": Filter(Boolean(), lambda *_: Condition("1"), PAINT)}

    def prepare_query(self, call, access, arguments):
        """Note that a query begins, with the snapshot not yet taken."""
        call.write(lambda tx: tx.touch(access.account, "Brush", tx.next_modseq(access.account)))
        assert arguments["filter"] is None or arguments["filter"]


def _paint(call: Call):
    """Answer Toy/paint, and with what it has done in passing."""
    call.answer_too("Toy/dry", {"dried": 1})
    call.follow_with("Core/echo", {"implicit": True})
    if call.raw.get("fails"):
        raise UnknownMethod("No paint.")
    return {"painted": 2}


@pytest.fixture
def painted(nursery):
    """The nursery, with paint."""
    family = Family(
        capabilities=[*FAMILY.capabilities, Capability(PAINT, {})],
        types=[PaintedType(), BoxType()],
        methods=[Method("Toy/paint", PAINT, _paint)],
    )
    nursery.engine = Engine(nursery.database, [family], clock=lambda: nursery.now)
    return nursery


def test_a_property_that_is_added(painted):
    """Without the capability it is neither among the defaults nor known by name (RFC 8620 §1.8)."""
    (toy,) = painted.add("A")
    with_paint = (CORE, TOY, PAINT)

    ((_, answer, _),) = painted.request(["Toy/get", {"ids": [toy], "properties": ["paint"]}, "c"], using=with_paint)
    assert answer["list"] == [{"id": toy, "paint": "fresh"}]
    ((_, answer, _),) = painted.request(["Toy/get", {"ids": [toy]}, "c"], using=with_paint)
    assert answer["list"][0]["paint"] == "fresh"
    assert "paint" not in painted.call("Toy/get", ids=[toy])["list"][0]
    error = painted.fails("Toy/get", ids=[toy], properties=["name", "paint"])
    assert (error["type"], error["arguments"]) == ("invalidArguments", ["properties"])


def test_a_condition_that_is_added(painted):
    """Without the capability it is one that nobody knows."""
    (toy,) = painted.add("A")
    query = ["Toy/query", {"filter": {"isPainted": True}}, "c"]

    ((_, answer, _),) = painted.request(query, using=(CORE, TOY, PAINT))
    assert answer["ids"] == [toy]
    ((name, answer, _),) = painted.request(query, using=(CORE, TOY, BOX))
    assert (name, answer["type"]) == ("error", "unsupportedFilter")


def test_what_a_query_prepares(painted):
    """A type may write before a query's snapshot is taken; both /query and /queryChanges see it."""
    painted.announced.clear()
    since = painted.call("Toy/query")["queryState"]
    painted.call("Toy/queryChanges", sinceQueryState=since)

    assert sum("Brush" in types for one in painted.announced for types in one.values()) == 2


def test_an_answer_that_comes_along(painted):
    """What a call has done besides is answered right after it, before what it makes follow; not if it fails."""
    paint = (CORE, PAINT)

    assert painted.request(["Toy/paint", {}, "c"], using=paint) == [
        ["Toy/paint", {"painted": 2}, "c"],
        ["Toy/dry", {"dried": 1}, "c"],
        ["Core/echo", {"implicit": True}, "c"],
    ]
    assert [name for name, _, _ in painted.request(["Toy/paint", {"fails": True}, "c"], using=paint)] == ["error"]
