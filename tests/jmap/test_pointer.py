"""JSON Pointer (RFC 6901) with the `*` of RFC 8620 §3.7."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.pointer import PointerError, resolve

# RFC 6901 §5.
DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_the_specification_resolve(path, value):
    """RFC 6901 §5, each line."""
    assert resolve(DOCUMENT, path) == value


def test_escapes_are_undone_in_the_right_order():
    """The token "~01" means "~1", not "/" (RFC 6901 §4)."""
    assert resolve({"~1": "tilde", "/": "slash"}, "/~01") == "tilde"
    assert resolve({"~1": "tilde", "/": "slash"}, "/~1") == "slash"


def test_a_thread_reference_is_flattened():
    """The example of RFC 8620 §3.7: the emailIds of every Thread in one array."""
    threads = {
        "list": [
            {"id": "trd194", "emailIds": ["msg1020", "msg1021", "msg1023"]},
            {"id": "trd114", "emailIds": ["msg201", "msg223"]},
        ]
    }

    assert resolve(threads, "/list/*/id") == ["trd194", "trd114"]
    assert resolve(threads, "/list/*/emailIds") == ["msg1020", "msg1021", "msg1023", "msg201", "msg223"]


def test_flattening_is_one_level_deep():
    """Arrays within the arrays that are flattened stay, with one `*` and with two."""
    assert resolve([[1, [2]], 3, []], "/*") == [1, [2], 3]
    assert resolve([[[1, [2]], 3]], "/*/*") == [1, [2], 3]
    assert resolve({"a": [{"b": [{"c": [1, [2]]}, {"c": 3}]}, {"b": []}]}, "/a/*/b/*/c") == [1, [2], 3]


def test_a_star_maps_arrays_alone():
    """An empty array maps to an empty array; of an object, `*` is a member like any other."""
    assert resolve({"list": []}, "/list/*/id/deeper") == []
    assert resolve({"*": [1]}, "/*") == [1]
    assert resolve([{"*": [1, 2]}, [3]], "/*/*") == [1, 2, 3]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("foo", "start with '/'"), ("*", "start with '/'"), ("/m~n", "neither"), ("/m~2", "neither"), ("/foo/0/~", "neither"),
        ("/nothing", "no member"), ("/foo/2", "has 2 items"), ("/foo/-", "not an index"), ("/foo/00", "not an index"), ("/foo/01", "not an index"),
        ("/foo/-1", "not an index"), ("/foo/+1", "not an index"), ("/foo/1.0", "not an index"), ("/foo/", "not an index"), ("/foo/٠", "not an index"), ("/foo/0\n", "not an index"),
        ("/foo/" + "9" * 10_000, "none with the index"), ("/foo/0/0", "neither an object nor an array"), ("/foo/0/*", "neither an object nor"),
        ("/foo/*/x", "neither an object nor"), ("/*", "no member"), ("/~1" * 10_000, "no member"),
    ],
)  # fmt: skip
def test_what_does_not_resolve_says_why(path, words):
    """Every failure is a PointerError with a sentence of modest length."""
    with pytest.raises(PointerError) as caught:
        resolve(DOCUMENT, path)

    assert words in caught.value.sentence
    assert len(caught.value.sentence) < 200


def test_one_item_without_the_member_fails_the_whole():
    """A mapped pointer resolves for every item or not at all."""
    with pytest.raises(PointerError, match="no member 'id'"):
        resolve({"list": [{"id": 1}, {}]}, "/list/*/id")


def test_the_count_of_results_is_limited():
    """The limit counts what is gathered, before and after flattening; an array that nothing maps is not counted."""
    assert resolve([1, 2, 3], "", max_results=2) == [1, 2, 3]
    assert resolve([1, 2], "/*", max_results=2) == [1, 2]
    assert resolve([[1], [2]], "/*/*", max_results=2) == [1, 2]
    for document, path in (([1, 2, 3], "/*"), ([[1, 2], [3]], "/*"), ([[1, 2], [3]], "/*/*"), ([[], [], []], "/*/*")):
        with pytest.raises(PointerError, match="more than 2 values"):
            resolve(document, path, max_results=2)


def oracle(value, tokens):
    """RFC 6901 §4 and RFC 8620 §3.7 read aloud."""
    if not tokens:
        return value
    token, rest = tokens[0], tokens[1:]
    if isinstance(value, list) and token == "*":
        output = []
        for item in value:
            result = oracle(item, rest)
            output += result if isinstance(result, list) else [result]
        return output
    if isinstance(value, list):
        if token != "0" and (not token or token[0] not in "123456789" or any(c not in "0123456789" for c in token)):
            raise LookupError
        return oracle(value[int(token)], rest)
    if isinstance(value, dict):
        return oracle(value[token], rest)
    raise LookupError


names = st.sampled_from(["a", "b", "*", "~", "/", "~1", "0", "1", "01", ""])
documents = st.recursive(
    st.integers(0, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=15,
)


@st.composite
def questions(draw):
    """A document and tokens that mostly lead somewhere in it."""
    document = value = draw(documents)
    tokens = []
    for _ in range(draw(st.integers(0, 5))):
        known = (
            ["*", *map(str, range(len(value)))]
            if isinstance(value, list)
            else list(value)
            if isinstance(value, dict)
            else []
        )
        tokens.append(draw(st.sampled_from(known) if known and draw(st.integers(0, 9)) else names))
        try:
            value = value[0] if isinstance(value, list) and tokens[-1] == "*" else oracle(value, tokens[-1:])
        except LookupError:
            value = None
    return document, tokens


@settings(max_examples=200, deadline=None)
@given(questions())
def test_every_pointer_resolves_as_the_specification_reads(question):
    """The evaluation agrees with the recursive definition, in value and in failure."""
    document, tokens = question
    path = "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
    try:
        expected = oracle(document, tokens)
    except LookupError:
        with pytest.raises(PointerError):
            resolve(document, path)
    else:
        assert resolve(document, path) == expected
