"""PatchObject: the rules of RFC 8620 §5.3."""

import copy
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.patch import PatchError, apply

CARD = {
    "id": "c1",
    "name": {"full": "Ann"},
    "keywords": {"$seen": True},
    "emails": [{"address": "ann@example.com"}],
    "alerts": {"1": {"offset": 5, "tags": {"a/b": 1, "m~n": 2}}},
    "note": None,
}


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({}, {}),
        ({"id": "c2"}, {"id": "c2"}),
        ({"new": [1]}, {"new": [1]}),
        ({"name": None, "never": None}, {"name": None, "never": None}),
        ({"a~1b": 1, "m~0n": 2, "~01": None}, {"a/b": 1, "m~n": 2, "~1": None}),
        ({"": 1}, {"": 1}),
        ({"emails": []}, {"emails": []}),
        ({"keywords/$flagged": True}, {"keywords": {"$seen": True, "$flagged": True}}),
        ({"keywords/$seen": None}, {"keywords": {}}),
        ({"keywords/$junk": None}, {"keywords": {"$seen": True}}),
        ({"keywords/$seen": None, "keywords/$draft": True, "id": None}, {"keywords": {"$draft": True}, "id": None}),
        ({"keywords/$seen": False}, {"keywords": {"$seen": False}}),
        ({"name/": 1}, {"name": {"full": "Ann", "": 1}}),
        ({"alerts/1/offset": 6, "alerts/2": {"offset": None}}, {"alerts": {"1": {**CARD["alerts"]["1"], "offset": 6}, "2": {"offset": None}}}),
        ({"alerts/1/tags/a~1b": None, "alerts/1/tags/m~0n": 3}, {"alerts": {"1": {"offset": 5, "tags": {"m~n": 3}}}}),
        ({"alerts/1": 1, "alerts/10": 2, "alertsX": 3}, {"alerts": {"1": 1, "10": 2}, "alertsX": 3}),
    ],
)  # fmt: skip
def test_a_patch_changes_what_it_points_to(patch, changed):
    """Values are set and added; null is kept at the top and removes deeper in."""
    assert apply(CARD, patch) == {**CARD, **changed}


def test_the_whole_object_is_a_patch():
    """An entire object is a valid PatchObject and changes nothing (RFC 8620 §5.3)."""
    assert apply(CARD, CARD) == CARD


@pytest.mark.parametrize(
    ("patch", "path", "words"),
    [
        ({"emails/0": {}}, "emails/0", "inside an array"),
        ({"emails/-": {}}, "emails/-", "inside an array"),
        ({"emails/0/address": None}, "emails/0/address", "inside an array"),
        ({"id": "c2", "phones/1": {}}, "phones/1", "does not have"),
        ({"phones/1": None}, "phones/1", "does not have"),
        ({"alerts/2/offset": 1}, "alerts/2/offset", "inside '2', which the object does not have"),
        ({"alerts/2/offset/x": None}, "alerts/2/offset/x", "inside '2', which the object does not have"),
        ({"note/x": 1}, "note/x", "not an object"),
        ({"id/x": None}, "id/x", "not an object"),
        ({"/id": 1}, "/id", "inside '', which the object does not have"),
        ({"name~": 1}, "name~", "neither"),
        ({"name/~2": 1}, "name/~2", "neither"),
        ({"alerts": {}, "alerts/1/offset": 1}, "alerts/1/offset", "same value"),
        ({"alerts/1/offset": 1, "alerts": None}, "alerts/1/offset", "same value"),
        ({"alerts/1/x": 1, "b": 1, "alerts/1": {}, "alerts/0": {}}, "alerts/1/x", "same value"),
        ({"alerts/3": {}, "alerts/3/x": 1}, "alerts/3/x", "same value"),
        ({"x" * 5000 + "/y": 1}, "x" * 5000 + "/y", "does not have"),
    ],
)
def test_an_invalid_patch_is_refused_with_its_path(patch, path, words):
    """Each rule of RFC 8620 §5.3 has its sentence."""
    with pytest.raises(PatchError) as caught:
        apply(CARD, patch)

    assert caught.value.path == path
    assert words in caught.value.sentence
    assert len(caught.value.sentence) < 250


def test_a_string_prefix_is_no_prefix():
    """Pointers are compared by their parts: "alerts!" and "alerts/1" are strangers, though "alerts" is not."""
    assert apply(CARD, {"alerts!": 1, "alerts/1": 2, "alerts0": 3}) == {
        **CARD,
        "alerts": {"1": 2},
        "alerts!": 1,
        "alerts0": 3,
    }
    with pytest.raises(PatchError, match="same value"):
        apply(CARD, {"alerts": {}, "alerts!": 1, "alerts/1": 2})


def test_only_what_is_touched_is_copied():
    """The copy is along the touched paths alone, and once for many patches under one parent."""
    original = {"keywords": {str(n): True for n in range(50)}, "alerts": {"1": {"x": 1}, "2": {"x": 2}}, "list": [1]}
    result = apply(original, {**{f"keywords/{n}": None for n in range(40)}, "alerts/1/x": 3})

    assert len(result["keywords"]) == 10
    assert result["list"] is original["list"]
    assert result["alerts"]["2"] is original["alerts"]["2"]
    assert result["alerts"] is not original["alerts"]
    assert original["alerts"]["1"] == {"x": 1}
    assert len(original["keywords"]) == 50


def test_many_patches_take_no_longer_than_their_number():
    """Neither many patches in one large object nor a path of a million parts takes quadratic time."""
    original = {"keywords": {str(n): True for n in range(30_000)}}
    start = time.process_time()

    assert apply(original, {f"keywords/{n}": None for n in range(30_000)}) == {"keywords": {}}
    with pytest.raises(PatchError):
        apply(original, {"keywords/0" + "/a" * 1_000_000: 1, "keywords/0" + "/a" * 999_999 + "/b": 1})
    assert time.process_time() - start < 5


def test_one_object_in_two_places_is_patched_in_one():
    """Sharing within the original is not sharing of what happens to it."""
    shared = {"x": {"y": 1}}

    assert apply({"a": shared, "b": shared}, {"a/x/y": 2}) == {"a": {"x": {"y": 2}}, "b": {"x": {"y": 1}}}
    assert apply({"a": shared, "b": shared}, {"a/x/y": 2, "b/x/y": 3}) == {"a": {"x": {"y": 2}}, "b": {"x": {"y": 3}}}


def oracle(original, patch):
    """RFC 8620 §5.3 read aloud, over a full copy; None when the patch is invalid."""
    pointers = []
    for key in patch:
        tokens = []
        for raw in key.split("/"):
            if any(part[:1] not in ("0", "1") for part in raw.split("~")[1:]):
                return None
            tokens.append(raw.replace("~1", "/").replace("~0", "~"))
        pointers.append(tokens)
    if any(a is not b and b[: len(a)] == a for a in pointers for b in pointers):
        return None
    result = copy.deepcopy(original)
    for tokens, value in zip(pointers, patch.values(), strict=True):
        before, parent = original, result
        for token in tokens[:-1]:
            if not isinstance(before, dict) or token not in before:
                return None
            before, parent = before[token], parent[token]
        if not isinstance(before, dict):
            return None
        if value is None and parent is not result:
            parent.pop(tokens[-1], None)
        else:
            parent[tokens[-1]] = copy.deepcopy(value)
    return result


names = st.sampled_from(["a", "b", "ab", "a/b", "~", "~1", "0", ""])
objects = st.recursive(
    st.dictionaries(
        names,
        st.none() | st.integers(0, 9) | st.lists(st.dictionaries(names, st.integers(0, 3), max_size=2), max_size=2),
        max_size=3,
    ),
    lambda inner: st.dictionaries(names, inner | st.integers(0, 9), max_size=4),
    max_leaves=8,
)


@st.composite
def patches(draw):
    """An object and a patch whose paths mostly lead somewhere in it."""
    original = draw(objects)
    patch = {}
    for _ in range(draw(st.integers(0, 4))):
        tokens, value = [], original
        while True:
            known = list(value) if isinstance(value, dict) else []
            token = draw(st.sampled_from(known) if known and draw(st.integers(0, 5)) else names)
            tokens.append(token)
            value = value.get(token) if isinstance(value, dict) else None
            if not draw(st.integers(0, 2)) or (value is None and draw(st.booleans())):
                break
        key = "/".join(token.replace("~", "~0").replace("/", "~1") for token in tokens)
        patch[key + draw(st.sampled_from([""] * 19 + ["~"]))] = draw(st.none() | st.integers(0, 9) | objects)
    return original, patch


@settings(max_examples=200, deadline=None)
@given(patches())
def test_every_patch_does_what_the_specification_reads(question):
    """Result and refusal agree with the naive reading, and neither the object nor the patch is changed."""
    original, patch = question
    before = copy.deepcopy(question)
    expected = oracle(original, patch)
    if expected is None:
        with pytest.raises(PatchError):
            apply(original, patch)
    else:
        assert apply(original, patch) == expected
    assert question == before
