"""Foo/get and Foo/changes (RFC 8620 §5.1, §5.2), the latter against a model that remembers every state."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.jmap.engine import Limits
from minijmap.store import documents

# /get


def test_get_answers_with_what_was_asked_for(nursery):
    """Each id once, in `list` or in `notFound`, whatever it looks like."""
    first, second, gone = nursery.add("A", "B", "C")
    nursery.call("Toy/set", destroy=[gone])
    answer = nursery.call("Toy/get", ids=[second, "nobody", first, gone, second, "nobody"], properties=["name"])

    assert answer == {
        "accountId": nursery.own,
        "state": nursery.state(),
        "list": [{"id": second, "name": "B"}, {"id": first, "name": "A"}],
        "notFound": ["nobody", gone],
    }


def test_no_ids_and_all_ids(nursery):
    """An empty array asks for nothing, null for everything; `notFound` is empty both times."""
    ids = nursery.add("A", "B")

    assert nursery.call("Toy/get", ids=[])["list"] == []
    everything = nursery.call("Toy/get", ids=None)
    assert ({one["id"] for one in everything["list"]}, everything["notFound"]) == (set(ids), [])
    assert nursery.call("Toy/get") == everything


def test_ids_of_another_account_are_not_found(nursery):
    """Each account is its own world."""
    (mine,) = nursery.add("A")

    assert nursery.call("Toy/get", accountId=nursery.second, ids=[mine])["notFound"] == [mine]
    assert nursery.call("Toy/get", accountId=nursery.second, ids=None)["list"] == []


@pytest.mark.parametrize(
    "names", [[], ["id"], ["name", "id"], ["edits"], ["weight", "label", "weight"], ["partIds", "extra"]]
)
def test_just_the_properties_that_are_asked_for(nursery, names):
    """And the id always; a name twice is a name."""
    (toy_id,) = nursery.add("Ball")
    whole = nursery.toy(toy_id)
    answer = nursery.call("Toy/get", ids=[toy_id], properties=names)

    assert answer["list"] == [{"id": toy_id, **{name: whole[name] for name in names}}]


def test_all_properties_by_name_and_by_null(nursery):
    """The whole object, spliced or not, is the same."""
    (toy_id,) = nursery.add("Ball", extra={"a": [1, {"b": 'quote " and \\ é'}]})
    whole = nursery.toy(toy_id)

    assert nursery.call("Toy/get", ids=[toy_id], properties=None)["list"] == [whole]
    assert nursery.call("Toy/get", ids=[toy_id], properties=list(reversed(whole)))["list"] == [whole]
    assert nursery.call("Toy/get", ids=[toy_id], properties=[name for name in whole if name != "id"])["list"] == [whole]


@pytest.mark.parametrize(
    "arguments",
    [
        {"properties": ["nothing"]},
        {"properties": ["name", ""]},
        {"properties": "name"},
        {"properties": [1]},
        {"ids": "t1"},
        {"ids": [None]},
        {"ids": ["not an id"]},
        {"ids": ["x" * 256]},
        {"ids": {"t1": True}},
    ],
)
def test_invalid_arguments_of_get(nursery, arguments):
    """A property that the type has not, and anything of another type."""
    error = nursery.fails("Toy/get", **arguments)

    assert (error["type"], error["arguments"]) == ("invalidArguments", list(arguments))


def test_objects_in_a_get_are_limited_exactly(nursery):
    """MaxObjectsInGet counts different ids, found or not; null counts what there is."""
    nursery.engine = nursery.make_engine(limits=Limits(max_objects_in_get=3))
    ids = nursery.add("A", "B", "C")

    assert len(nursery.call("Toy/get", ids=[*ids, ids[0]])["list"]) == 3
    assert len(nursery.call("Toy/get", ids=None)["list"]) == 3
    assert nursery.fails("Toy/get", ids=[*ids, "nobody"])["type"] == "requestTooLarge"
    nursery.add("D")
    assert nursery.fails("Toy/get", ids=None)["type"] == "requestTooLarge"


def test_the_state_is_of_the_type_and_the_account(nursery):
    """It moves with the type's own changes and with no other's, and not for what was refused."""
    toys, boxes = nursery.state(), nursery.state("Box")
    elsewhere = nursery.call("Toy/get", accountId=nursery.second, ids=[])["state"]
    nursery.call("Box/set", create={"k": {}})
    assert nursery.state() == toys
    assert nursery.state("Box") != boxes
    nursery.call("Toy/set", create={"k": {"name": ""}}, destroy=["t99"])
    assert nursery.state() == toys
    nursery.add("A")
    assert nursery.state() != toys
    assert nursery.call("Toy/get", accountId=nursery.second, ids=[])["state"] == elsewhere


# /changes


def test_the_state_of_an_empty_account_can_be_used(nursery):
    """And when nothing happened, the new state is the old one, and the one that /get gives."""
    state = nursery.state()

    assert nursery.call("Toy/changes", sinceState=state) == {
        "accountId": nursery.own,
        "oldState": state,
        "newState": state,
        "hasMoreChanges": False,
        "created": [],
        "updated": [],
        "destroyed": [],
    }


def test_each_object_is_told_at_one_place(nursery):
    """Created and updated: created. Updated and destroyed: destroyed. Created and destroyed: left out."""
    kept, changed, gone, changed_and_gone = nursery.add("A", "B", "C", "D")
    since = nursery.state()
    fresh, brief = nursery.add("E", "F")
    nursery.call("Toy/set", update={changed: {"size": 1}, changed_and_gone: {"size": 1}, fresh: {"size": 1}})
    nursery.call("Toy/set", update={changed: {"size": 2}}, destroy=[brief, gone, changed_and_gone])
    answer = nursery.call("Toy/changes", sinceState=since)

    assert (answer["oldState"], answer["newState"], answer["hasMoreChanges"]) == (since, nursery.state(), False)
    assert (answer["created"], answer["updated"]) == ([fresh], [changed])
    assert answer["destroyed"] == [gone, changed_and_gone]
    assert kept not in str(answer)


@pytest.mark.parametrize("most", [0, -1, 1.5, "1", True, 2**53])
def test_max_changes_is_a_positive_integer(nursery, most):
    """Anything else is `invalidArguments`; null is no limit."""
    assert nursery.fails("Toy/changes", sinceState="0", maxChanges=most)["type"] == "invalidArguments"


@pytest.mark.parametrize("state", ["", "x", "-1", "01", "1.0", "999999", "9" * 19, "9" * 255, "\u0663", " 0"])
def test_a_state_that_was_never_given_out(nursery, state):
    """`cannotCalculateChanges`, so that the client starts afresh."""
    assert nursery.fails("Toy/changes", sinceState=state)["type"] == "cannotCalculateChanges"
    assert nursery.fails("Toy/queryChanges", sinceQueryState=state)["type"] == "cannotCalculateChanges"


@pytest.mark.parametrize("arguments", [{}, {"sinceState": None}, {"sinceState": 0}, {"sinceState": "9" * 256}])
def test_the_state_must_be_given(nursery, arguments):
    """As a String of a sensible length."""
    error = nursery.fails("Toy/changes", **arguments)

    assert (error["type"], error["arguments"]) == ("invalidArguments", ["sinceState"])


def test_what_is_too_old_is_said_to_be(nursery):
    """Once tombstones are pruned, older states are refused, and newer ones work."""
    first, second, third = nursery.add("A", "B", "C")
    old = nursery.state()
    nursery.call("Toy/set", destroy=[first])
    just = nursery.state()
    nursery.database.write(lambda tx: documents.prune_tombstones(tx, 2**40))
    nursery.call("Toy/set", destroy=[second], update={third: {"size": 1}})

    for state in ("0", old):
        assert nursery.fails("Toy/changes", sinceState=state)["type"] == "cannotCalculateChanges"
        assert nursery.fails("Toy/queryChanges", sinceQueryState=state)["type"] == "cannotCalculateChanges"
    answer = nursery.call("Toy/changes", sinceState=just)
    assert (answer["updated"], answer["destroyed"]) == ([third], [second])


def test_a_list_of_changes_has_an_end_of_our_own(nursery, monkeypatch):
    """Without maxChanges, or with a great one, there are at most MOST_CHANGES, and more to be had."""
    monkeypatch.setattr(documents, "MOST_CHANGES", 3)
    ids = nursery.add("A", "B", "C", "D")
    for most in (None, 1000):
        answer = nursery.call("Toy/changes", sinceState="0", maxChanges=most)
        assert (answer["created"], answer["hasMoreChanges"]) == (ids[:3], True)
    rest = nursery.call("Toy/changes", sinceState=answer["newState"])
    assert (rest["created"], rest["hasMoreChanges"]) == (ids[3:], False)
    assert nursery.fails("Toy/queryChanges", sinceQueryState="0")["type"] == "cannotCalculateChanges"


def test_more_changes_than_fit_come_in_pages_that_move(nursery):
    """Just as many as maxChanges are the end; with one more there is another page."""
    ids = nursery.add("A", "B", "C")

    exact = nursery.call("Toy/changes", sinceState="0", maxChanges=3)
    assert (exact["created"], exact["hasMoreChanges"], exact["newState"]) == (ids, False, nursery.state())
    first = nursery.call("Toy/changes", sinceState="0", maxChanges=2)
    assert (first["created"], first["hasMoreChanges"]) == (ids[:2], True)
    assert first["newState"] not in ("0", nursery.state())


STEPS = st.lists(
    st.tuples(st.sampled_from(["create", "update", "destroy"]), st.integers(0, 5), st.integers(1, 3)),
    min_size=1,
    max_size=12,
)


class Model:
    """What a client that saw every state would know: state → id → version."""

    def __init__(self, nursery) -> None:
        self.nursery = nursery
        self.now: dict[str, int] = {}
        self.states: dict[str, dict[str, int]] = {nursery.state(): {}}
        self._version = 0

    def step(self, verb: str, which: int, count: int) -> None:
        """Make one call to /set, with several objects in it."""
        self._version += 1
        living = sorted(self.now)
        chosen = [living[(which + n) % len(living)] for n in range(min(count, len(living)))]
        if verb == "create":
            names = [f"Toy {self._version} {n}" for n in range(count)]
            self.now |= dict.fromkeys(self.nursery.add(*names), self._version)
        elif verb == "update":
            self.nursery.call("Toy/set", update={one: {"size": self._version} for one in chosen})
            self.now |= dict.fromkeys(chosen, self._version)
        else:
            self.nursery.call("Toy/set", destroy=chosen)
            self.now = {one: version for one, version in self.now.items() if one not in chosen}
        self.states[self.nursery.state()] = dict(self.now)


@given(steps=STEPS, most=st.one_of(st.none(), st.integers(1, 4)))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changes_lead_from_every_state_to_the_newest(nursery, steps, most):
    """In pages of any size: each page moves on and keeps its limit, and all together tell exactly what has changed."""
    nursery.fresh()
    model = Model(nursery)
    for step in steps:
        model.step(*step)
    for since, then in model.states.items():
        created, updated, destroyed = follow(nursery, since, most)

        assert created == model.now.keys() - then.keys()
        assert destroyed & then.keys() == then.keys() - model.now.keys()
        assert {one for one in updated & then.keys() if one in model.now} == {
            one for one, version in then.items() if model.now.get(one, version) != version
        }
        if most is None:
            assert destroyed <= then.keys()
            assert not updated & (created | destroyed)


def follow(nursery, since: str, most: int | None) -> tuple[set[str], set[str], set[str]]:
    """Page from a state to the newest as a client does; return ids that came, that changed and that went."""
    created: set[str] = set()
    updated: set[str] = set()
    destroyed: set[str] = set()
    more = True
    while more:
        page = nursery.call("Toy/changes", sinceState=since, maxChanges=most)
        told = [*page["created"], *page["updated"], *page["destroyed"]]
        assert len(told) == len(set(told)) <= (most or 1000)
        assert page["oldState"] == since
        more = page["hasMoreChanges"]
        assert not more or page["newState"] != since
        # RFC 8620 §5.2: never created after it was told as updated or destroyed, nor anything after destroyed.
        assert not set(page["created"]) & (created | updated | destroyed)
        assert not set(page["updated"]) & destroyed
        assert not set(page["destroyed"]) & destroyed
        created |= set(page["created"])
        updated |= set(page["updated"]) - created
        destroyed |= set(page["destroyed"])
        created -= set(page["destroyed"])
        since = page["newState"]
    assert since == nursery.state()
    return created, updated - destroyed, destroyed


def test_changes_go_on_while_things_change(nursery):
    """A client that pages while others write arrives where they are, having seen nothing wrong."""
    ids = nursery.add(*(f"Toy {n}" for n in range(6)))
    page = nursery.call("Toy/changes", sinceState="0", maxChanges=2)
    known = set(page["created"])
    nursery.call("Toy/set", update={ids[0]: {"size": 1}, ids[5]: {"size": 1}}, destroy=[ids[1], ids[4]])
    created, updated, destroyed = follow(nursery, page["newState"], 2)

    assert known == {ids[0], ids[1]}
    assert created == {ids[2], ids[3], ids[5]}
    assert updated & known == {ids[0]}
    assert destroyed & known == {ids[1]}
