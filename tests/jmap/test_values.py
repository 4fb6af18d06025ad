"""Kinds of values (RFC 8620 §1.1 to §1.4): what each takes, in which form, and how it says what is wrong."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.values import (
    GREATEST_INT,
    Anything,
    Boolean,
    Date,
    Id,
    Int,
    ListOf,
    MapOf,
    Nullable,
    Record,
    String,
    TrueOnly,
    UTCDate,
    ValueProblem,
    unsigned_int,
)

COLOUR = String(choices=frozenset(["red", "blue"]))
POINT = Record({"x": Int(), "label": Nullable(String()), "of": Id()}, frozenset(["x"]), name="a Point")
OPEN = Record({"x": Int()}, closed=False)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Boolean(), True),
        (Boolean(), False),
        (TrueOnly(), True),
        (Int(), 0),
        (Int(), -GREATEST_INT),
        (Int(), GREATEST_INT),
        (unsigned_int(), 0),
        (Int(1, 3), 3),
        (String(), ""),
        (String(1), "x"),
        (String(most_octets=4), "éé"),
        (String(), "a\x00b"),
        (COLOUR, "red"),
        (String(net_unicode=True), "é 日本"),
        (Id(), "a"),
        (Id(), "A-z_09"),
        (Id(), "#k1"),
        (Id(), "x" * 255),
        (UTCDate(), "2014-10-30T06:12:00Z"),
        (UTCDate(), "2014-10-30T06:12:00.12Z"),
        (Date(), "2014-10-30T14:12:00+08:00"),
        (Nullable(Int()), None),
        (Nullable(Int()), 1),
        (ListOf(Int()), []),
        (ListOf(Id()), ["a", "#b"]),
        (ListOf(Int(), most=2), [1, 2]),
        (MapOf(Id(), Boolean()), {"a": True, "#b": False}),
        (MapOf(String(), ListOf(Int())), {"": [], "x/y": [1]}),
        (MapOf(String(), Int(), most=1), {"a": 1}),
        (POINT, {"x": 1}),
        (POINT, {"label": None, "x": 1, "of": "#k"}),
        (Anything(), {"a": [None, 1.5, {}]}),
        (Anything(), None),
    ],
)
def test_what_a_kind_takes(kind, value):
    """Values that are in their normal form come back as they are."""
    assert json.dumps(kind.check(value)) == json.dumps(value)


@pytest.mark.parametrize(
    ("kind", "value", "normal"),
    [
        (Int(), 5.0, 5),
        (Int(), -0.0, 0),
        (unsigned_int(), 1e15, 10**15),
        (String(net_unicode=True), "e\u0301", "\u00e9"),
        (UTCDate(), "2014-10-30T06:12:00.000Z", "2014-10-30T06:12:00Z"),
        (UTCDate(), "2014-10-30T06:12:00.100Z", "2014-10-30T06:12:00.1Z"),
        (ListOf(Int()), [1.0], [1]),
        (MapOf(String(net_unicode=True), Int()), {"e\u0301": 1.0}, {"\u00e9": 1}),
        (OPEN, {"x": 1, "foreign": 2}, {"x": 1}),
    ],
)
def test_the_form_a_value_gets(kind, value, normal):
    """Equal values have one form, that of the RFC."""
    assert json.dumps(kind.check(value)) == json.dumps(normal)


@pytest.mark.parametrize(
    ("kind", "value", "path", "sentence"),
    [
        (Boolean(), 1, "", "must be a Boolean, and is 1"),
        (Boolean(), "true", "", "must be a Boolean, and is “true”"),
        (Boolean(), None, "", "must be a Boolean, and is null"),
        (TrueOnly(), False, "", "must be true, and is false"),
        (TrueOnly(), 1, "", "must be true, and is 1"),
        (Int(), True, "", "must be an Int, and is true"),
        (Int(), "1", "", "must be an Int, and is “1”"),
        (Int(), 1.5, "", "must be an Int, and is 1.5"),
        (Int(), 2**53, "", "must be an Int, and is 9007199254740992"),
        (Int(), -(2**53), "", "must be an Int, and is -9007199254740992"),
        (Int(), 1e300, "", "must be an Int"),
        (unsigned_int(), -1, "", "must be an UnsignedInt, and is -1"),
        (Int(1, 3), 4, "", "must be an integer from 1 to 3, and is 4"),
        (String(), 1, "", "must be a String, and is 1"),
        (String(1), "", "", "must have at least 1 character"),
        (String(2), "x", "", "must have at least 2 characters"),
        (String(most_octets=4), "éé.", "", "must have at most 4 octets of UTF-8"),
        (String(most_octets=4), "abcde", "", "must have at most 4 octets of UTF-8"),
        (String(net_unicode=True), "a\nb", "", "must not have control characters"),
        (String(net_unicode=True), "a\u0085b", "", "must not have control characters"),
        (COLOUR, "green", "", "must be one of blue, red, and is “green”"),
        (COLOUR, [], "", "must be a String, and is an array"),
        (Id(), "", "", "must be an Id, and is “”"),
        (Id(), "#", "", "must be an Id, and is “#”"),
        (Id(), "##a", "", "must be an Id"),
        (Id(), "a b", "", "must be an Id"),
        (Id(), "a\n", "", "must be an Id"),
        (Id(), "é", "", "must be an Id"),
        (Id(), "x" * 256, "", "must be an Id, and is “" + "x" * 60 + "…”"),
        (Id(), {}, "", "must be an Id, and is an object"),
        (UTCDate(), "2014-10-30T06:12:00+00:00", "", "must be a UTCDate such as 2014-10-30T06:12:00Z, and is"),
        (UTCDate(), "2014-10-30t06:12:00z", "", "must be a UTCDate"),
        (UTCDate(), 1414649520, "", "must be a UTCDate"),
        (UTCDate(), "2014-02-30T06:12:00Z", "", "must be a UTCDate"),
        (Date(), "2014-10-30", "", "must be a Date"),
        (Date(), None, "", "must be a Date"),
        (Nullable(Int()), "x", "", "must be an Int or null, and is “x”"),
        (Nullable(ListOf(Int())), ["x"], "0", "must be an Int, and is “x”"),
        (Nullable(String(1)), "", "", "must have at least 1 character"),
        (ListOf(Int()), {}, "", "must be an array, each item an Int, and is an object"),
        (ListOf(Int(), most=2), [1, 2, 3], "", "must have at most 2 items"),
        (ListOf(Id()), ["a", 1], "1", "must be an Id, and is 1"),
        (ListOf(ListOf(Int())), [[1], [2, None]], "1/1", "must be an Int, and is null"),
        (MapOf(Id(), Boolean()), [], "", "must be an object, each value a Boolean, and is an array"),
        (MapOf(Id(), Boolean()), {"a b": True}, "a b", "must be an Id"),
        (MapOf(Id(), Boolean()), {"a": None}, "a", "must be a Boolean, and is null"),
        (MapOf(Id(), Boolean(), most=1), {"a": True, "b": True}, "", "must have at most 1 members"),
        (POINT, {}, "", "must have x"),
        (POINT, {"x": 1, "y": 2}, "", "has no member “y”; it may have x, label, of"),
        (POINT, {"x": None}, "x", "must be an Int, and is null"),
        (POINT, [], "", "must be a Point, and is an array"),
        (MapOf(String(), ListOf(POINT)), {"k": [{"x": 1}, {"x": "1"}]}, "k/1/x", "must be an Int, and is “1”"),
    ],
)
def test_what_a_kind_refuses(kind, value, path, sentence):
    """The problem names the place and says in a sentence what is wanted and what was found, shortened."""
    with pytest.raises(ValueProblem) as caught:
        kind.check(value)

    assert caught.value.path == path
    assert caught.value.sentence.startswith(sentence)
    assert len(caught.value.sentence) < 200


def resolve(reference: str) -> str:
    """A creation id made an id that can be seen."""
    return f"real-{reference[1:]}"


@pytest.mark.parametrize(
    ("kind", "value", "resolved"),
    [
        (Id(), "#k", "real-k"),
        (Id(), "k", "k"),
        (Nullable(Id()), None, None),
        (Nullable(Id()), "#k", "real-k"),
        (ListOf(Id()), ["#a", "b"], ["real-a", "b"]),
        (MapOf(Id(), TrueOnly()), {"#a": True, "b": True}, {"real-a": True, "b": True}),
        (MapOf(String(), Id()), {"#a": "#b"}, {"#a": "real-b"}),
        (MapOf(Id(), MapOf(Id(), ListOf(Id()))), {"#a": {"#b": ["#c"]}}, {"real-a": {"real-b": ["real-c"]}}),
        (POINT, {"x": 1, "label": "#k", "of": "#k"}, {"x": 1, "label": "#k", "of": "real-k"}),
        (String(), "#k", "#k"),
        (Anything(), ["#k", {"#k": "#k"}], ["#k", {"#k": "#k"}]),
    ],
)
def test_creation_ids_are_resolved_where_ids_are(kind, value, resolved):
    """Wherever the kind has an Id, in names as well, and nowhere else."""
    assert kind.map_ids(kind.check(value), resolve) == resolved


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.recursive(
    st.sampled_from(
        [Boolean(), Int(), unsigned_int(), String(), String(1, 5, net_unicode=True), Id(), UTCDate(), POINT, OPEN]
    ),
    lambda inner: st.one_of(
        st.builds(Nullable, inner),
        st.builds(ListOf, inner),
        st.builds(MapOf, st.sampled_from([Id(), String()]), inner),
    ),
    max_leaves=3,
)


@given(kind=KINDS, value=JSON)
@settings(max_examples=200, deadline=None)
def test_any_value_is_taken_or_refused(kind, value):
    """Nothing but ValueProblem is ever raised; what is taken is in its normal form, and the given is not changed."""
    before = json.dumps(value)
    try:
        normal = kind.check(value)
    except ValueProblem:
        return
    finally:
        assert json.dumps(value) == before
    assert kind.check(normal) == normal
    assert kind.map_ids(normal, lambda reference: reference) == normal
