"""The match type :matches: against a naive oracle that goes back, on long and hostile values, and by characters."""

import time
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.collation import ascii_casemap, octet
from minijmap.sieve.wildcard import Pattern, by_character


def naive(pattern, value):
    """What the wildcards of a pattern stand for, each "*" as short as it can be, by trying everything; else None."""
    elements = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            elements.append(("is", next(characters, "\\")))
        else:
            elements.append(
                ("any", "") if character == "?" else ("star", "") if character == "*" else ("is", character)
            )

    @lru_cache(None)
    def rest(index, at):
        if index == len(elements):
            return () if at == len(value) else None
        kind, character = elements[index]
        if kind == "star":
            for end in range(at, len(value) + 1):
                found = rest(index + 1, end)
                if found is not None:
                    return (value[at:end], *found)
            return None
        if at == len(value) or (kind == "is" and value[at] != character):
            return None
        found = rest(index + 1, at + 1)
        return found if found is None or kind == "is" else (value[at], *found)

    found = rest(0, 0)
    return None if found is None else (value, *found)


@settings(max_examples=200, deadline=None)
@given(st.text("ab*?\\", max_size=12), st.text("ab*", max_size=20))
def test_as_an_oracle_that_goes_back(pattern, value):
    """The first place for each segment gives the very match that trying everything shortest first gives."""
    assert Pattern(pattern, octet, by_octet=True).match(value) == naive(pattern, value)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab?", min_size=1, max_size=6), max_size=4), st.integers(0, 300), st.text("ab", max_size=12))
def test_many_places_are_tested_at_once(segments, length, tail):
    """Where a segment with "?" fits in too many places to try, the answer is the same."""
    pattern, value = "*".join(["", *segments, ""]), "a" * length + tail

    assert Pattern(pattern, octet, by_octet=True).match(value) == naive(pattern, value)


@settings(max_examples=100, deadline=None)
@given(st.text("aBé?*ß1½", max_size=8), st.text("Abéß½", max_size=10))
def test_wildcards_are_pieces_of_the_value(pattern, value):
    """Whatever the comparator makes of characters, what matched is cut out of the value, in order and without overlap."""
    for fold, by_octet in ((ascii_casemap, True), (by_character, False)):
        found = Pattern(pattern, fold, by_octet=by_octet).match(value)
        if found is not None and not by_octet:
            assert found[0] == value
            position = 0
            for piece in found[1:]:
                position = value.index(piece, position) + len(piece)


@pytest.mark.parametrize(
    ("pattern", "value", "found"),
    [
        ("?", "é", ("é", "é")),
        ("??", "é", None),
        ("É*", "été", ("été", "té")),
        ("*ß?", "Straße", ("Straße", "Stra", "e")),
        ("*1*", "a½b", ("a½b", "a", "b")),
        ("ΣΊ?", "σίς", ("σίς", "ς")),
    ],
)
def test_characters(pattern, value, found):
    """RFC 5228 §2.7.1: under a Unicode comparator "?" is one character, and letters match whatever their case."""
    assert Pattern(pattern, by_character, by_octet=False).match(value) == found


def test_octets_are_put_together_again():
    """Under i;octet "?" is one octet of several; a "*" has whole characters."""
    assert Pattern("?*", octet, by_octet=True).match("éa") == ("éa", "\udcc3", "\udca9a")
    assert Pattern("*a*", octet, by_octet=True).match("éaü") == ("éaü", "é", "ü")


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 200 + "*b",
        "*" * 1000 + "b",
        "*a?b" * 200,
        "*" + "a?" * 300 + "b*",
        "?*" * 500 + "b",
        "*" + "aa?" * 300 + "c*",
    ],
)
def test_no_pattern_is_slow(pattern):
    """RFC 5228 has no bound on wildcards: a value of a million characters takes well under a second."""
    started = time.monotonic()

    assert Pattern(pattern, ascii_casemap, by_octet=True).match("a" * 1_000_000) is None
    assert time.monotonic() - started < 2
