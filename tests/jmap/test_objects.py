"""Objects of a format: names, types, and patches that are part of an object, shown with a format made up for it."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.objects import (
    DEEPEST_KEPT,
    KEPT,
    Enumerated,
    Format,
    Member,
    OneOf,
    Pattern,
    TypedObject,
    UTCDateTime,
    is_vendors,
    patched,
    patches,
    set_of,
)
from minijmap.jmap.values import Anything, Id, Int, Kind, ListOf, MapOf, Nullable, String, ValueProblem


def _even(value):
    if value.get("x", 0) % 2 and value.get("y", 0) % 2:
        raise ValueProblem("must be even when x is odd", "y")


FORM = Format(everywhere={"note": Member(String())}, reserved=frozenset(["extra"]), guarded=frozenset(["weight"]))
POINT = TypedObject("Point", FORM, {"x": Member(Int()), "y": Member(Int())}, any_of=("x", "y"), rules=(_even,))
CIRCLE = TypedObject(
    "Circle", FORM, {"r": Member(Int(0), mandatory=True), "at": Member(Nullable(POINT)), "weight": Member(Int())}
)
DRAWING = TypedObject(
    "Drawing",
    FORM,
    {
        "title": Member(String(), mandatory=True),
        "shapes": Member(MapOf(Pattern(re.compile("[a-z]+"), "a word"), OneOf(CIRCLE, POINT), most=3)),
        "path": Member(ListOf(POINT, 10)),
        "colour": Member(Enumerated("red", "darkBlue"), default="red"),
        "tags": Member(set_of(String())),
        "imageId": Member(Id()),
        "variants": Member(patches(String(), 10)),
    },
    reserved=frozenset(["id"]),
)
WHOLE = {
    "@type": "Drawing", "title": "House", "note": "n", "colour": "darkBlue", "tags": {"a/b": True},
    "shapes": {"roof": {"@type": "Circle", "r": 1, "at": {"x": 1, "y": 2}}, "door": {"@type": "Point", "x": 1}},
    "path": [{"x": 1}, {"x": 2, "y": 3}], "example.org:own": {"extra": None}, "future": [],
}  # fmt: skip


def problem(kind, value):
    """The path and the sentence of what is wrong."""
    with pytest.raises(ValueProblem) as caught:
        kind.check(value)
    return caught.value.path, caught.value.sentence


def test_what_is_declared_and_what_is_not_stays_as_it_is():
    """In order, with unknown and vendors' names."""
    assert list(DRAWING.check(WHOLE).items()) == list(WHOLE.items())


@pytest.mark.parametrize(
    ("value", "path", "word"),
    [
        ({}, "title", "missing"),
        ([], "", "Drawing"),
        ({"@type": "drawing", "title": ""}, "@type", "Drawing"),
        ({"title": "", "Shapes": {}}, "Shapes", "written “shapes”"),
        ({"title": "", "R": 1}, "R", "written “r”"),
        ({"title": "", "extra": 1}, "extra", "reserved"),
        ({"title": "", "id": 1}, "id", "reserved"),
        ({"title": "", "weight": 1}, "weight", "not for a Drawing"),
        ({"title": "", "no name": 1}, "no name", "neither"),
        ({"title": "", "x" * 256: 1}, "x" * 255, "neither"),
        ({"title": "", "colour": "Red"}, "colour", "written “red”"),
        ({"title": "", "colour": "green"}, "colour", "one of red, darkBlue"),
        ({"title": "", "colour": 1}, "colour", "one of"),
        ({"title": "", "tags": {"a/b~": False}}, "tags/a~1b~0", "true"),
        ({"title": "", "shapes": {"roof": {}}}, "shapes/roof/r", "missing"),
        ({"title": "", "shapes": {"roof": 1}}, "shapes/roof", "Circle"),
        ({"title": "", "shapes": {"roof": {"@type": "Square"}}}, "shapes/roof/@type", "Circle, Point"),
        ({"title": "", "shapes": {"roof": {"@type": ["x"]}}}, "shapes/roof/@type", "Circle, Point"),
        ({"title": "", "shapes": {"roof": {"@type": "Point"}}}, "shapes/roof", "x or y"),
        ({"title": "", "path": [{"x": 1}, {"x": 1, "y": 1}]}, "path/1/y", "even"),
        ({"title": "", "note": 1}, "note", "String"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(value, path, word):
    """A JSON Pointer without the first slash, and a word of why."""
    found, sentence = problem(DRAWING, value)
    assert found == path
    assert word in sentence


@pytest.mark.parametrize("name", ["a.com:x", "a:b", "münchen.de:x y", "a-b.c:d:e", "x.y:a/b~c", "1.2:!"])
def test_vendors_names(name):
    """A domain, a colon, and anything printable."""
    assert is_vendors(name)


@pytest.mark.parametrize(
    "name", ["", "a", ":", "a:", ":a", "-a:b", "a-:b", "a..b:c", "a b:c", 'a:"', "a:\n", "a:" + "x" * 300]
)
def test_what_is_no_vendors_name(name):
    """The prefix is labels, and there is something after the colon."""
    assert not is_vendors(name)


def test_names_are_judged_in_linear_time():
    """However long a label is that ends wrongly."""
    start = time.process_time()
    for length in (100_000, 200_000):
        is_vendors("a" * length + "-:x")
        problem(UTCDateTime(), "2" * length)
    assert time.process_time() - start < 1


def test_unknown_values_are_bounded_in_depth():
    """A level more is refused."""
    value = 1
    for _ in range(DEEPEST_KEPT):
        value = {"a": [value]} if _ % 2 else [value]
    assert "levels" in problem(KEPT, value)[1]
    assert KEPT.check([[1]] * 1000) == [[1]] * 1000


@pytest.mark.parametrize("text", ["2010-10-10T10:10:10Z", "2010-10-10T10:10:10.003Z", "2010-10-10T10:10:10.123456Z"])
def test_a_utc_date_time_in_its_only_form(text):
    """RFC 9553 §1.4.5."""
    assert UTCDateTime().check(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "2010-10-10T10:10:10.000Z",
        "2010-10-10T10:10:10.10Z",
        "2010-10-10t10:10:10z",
        "2010-10-10",
        "2010-13-10T10:10:10Z",
        None,
    ],
)
def test_other_forms_are_none(text):
    """None is put right."""
    assert "UTCDateTime" in problem(UTCDateTime(), text)[1]


def test_creation_ids_are_resolved_where_they_may_be():
    """And the rest is the same object."""
    assert DRAWING.map_ids({"title": "#x", "imageId": "#x"}, str.upper) == {"title": "#x", "imageId": "#X"}
    assert DRAWING.map_ids(WHOLE, str.upper) is WHOLE
    assert not POINT.holds_ids()
    assert ListOf(Nullable(DRAWING)).holds_ids()
    assert MapOf(Id(), String()).holds_ids()


def test_kinds_without_an_inside_say_so():
    """A patch can't go into a string."""
    with pytest.raises(ValueProblem):
        String().inside("x", "y")
    assert isinstance(Anything().inside("x", 1), Kind)


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({"title": "Home"}, {"title": "Home"}),
        ({"colour": None}, {"colour": ...}),
        ({"shapes/roof/r": 2}, {"shapes": {**WHOLE["shapes"], "roof": {**WHOLE["shapes"]["roof"], "r": 2}}}),
        ({"shapes/roof/at/y": None}, {"shapes": {**WHOLE["shapes"], "roof": {**WHOLE["shapes"]["roof"], "at": {"x": 1}}}}),
        ({"shapes/tree": {"r": 5}}, {"shapes": {**WHOLE["shapes"], "tree": {"r": 5}}}),
        ({"path/1/y": 5, "path/0": {"y": 9}}, {"path": [{"y": 9}, {"x": 2, "y": 5}]}),
        ({"path/1/y": None}, {"path": [{"x": 1}, {"x": 2}]}),
        ({"tags/a~1b": None, "tags/c": True}, {"tags": {"c": True}}),
        ({"example.org:own/extra": 5}, {"example.org:own": {"extra": 5}}),
        ({"path/0/x": 3, "path/0/y": 2}, {"path": [{"x": 3, "y": 2}, {"x": 2, "y": 3}]}),
        ({}, {}),
    ],
)  # fmt: skip
def test_patches_are_applied(patch, changed):
    """To a copy; null removes."""
    before = repr(WHOLE)
    result = patched(DRAWING, WHOLE, patch, into_arrays=True)
    assert result == {name: value for name, value in {**WHOLE, **changed}.items() if value is not ...}
    assert repr(WHOLE) == before


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"title": None}, "title"),
        ({"title": 1}, "title"),
        ({"shapes/roof/r": None}, "shapes~1roof~1r"),
        ({"shapes/roof/R": 1}, "shapes~1roof~1R"),
        ({"shapes/roof/@type": "Point"}, "shapes~1roof~1@type"),
        ({"shapes/door/x": None}, "shapes~1door~1x"),
        ({"shapes/door/y": 1}, "shapes~1door~1y"),
        ({"shapes/UP": {"r": 1}}, "shapes~1UP"),
        ({"shapes/a": {"r": 1}, "shapes/b": {"r": 1}}, "shapes~1a"),
        ({"shapes/gone/r": 1}, "shapes~1gone~1r"),
        ({"path/2": {"x": 1}}, "path~12"),
        ({"path/-": {"x": 1}}, "path~1-"),
        ({"path/00": {"x": 1}}, "path~100"),
        ({"path/0": None}, "path~10"),
        ({"title/x": 1}, "title~1x"),
        ({"tags/a": True, "tags": {}}, "tags~1a"),
        ({"~": 1}, "~0"),
    ],
)
def test_a_patch_that_makes_no_such_object_is_refused(patch, path):
    """By the key of the patch."""
    with pytest.raises(ValueProblem) as caught:
        patched(DRAWING, WHOLE, patch, into_arrays=True)
    assert caught.value.path == path


def test_arrays_are_whole_where_the_format_says_so():
    """As RFC 8620 §5.3 has it."""
    with pytest.raises(ValueProblem) as caught:
        patched(DRAWING, WHOLE, {"path/1/y": 5}, into_arrays=False)
    assert "array" in caught.value.sentence


PATHS = st.sampled_from(
    ["title", "shapes", "path", "roof", "door", "r", "x", "0", "1", "@type", "at", "tags", "a~1b", "n"]
)
VALUES = st.sampled_from([None, 1, 3, "s", {}, {"r": 1}, {"x": 1}, [], [{"x": 1}], {"@type": "Point", "y": 2}, True])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.lists(PATHS, min_size=1, max_size=4).map("/".join), VALUES, max_size=3))
def test_what_is_made_by_patches_passes_the_whole_check(patch):
    """Looking only where patches land finds everything that a look at all of the result finds."""
    try:
        result = patched(DRAWING, WHOLE, patch, into_arrays=True)
    except ValueProblem:
        return
    assert DRAWING.check(result) == result
