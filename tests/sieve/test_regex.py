"""The match type :regex: its language, its leftmost longest match against brute force, and that no expression is slow."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.sieve.regex import Regex, RegexProblem


def search(pattern, value, variants=str, limit=4000):
    """The match of an expression in a value."""
    return Regex(pattern, variants, limit).search(value, lambda: None)


@pytest.mark.parametrize(
    ("pattern", "value", "found"),
    [
        ("b", "abc", ("b",)),
        ("", "abc", ("",)),
        ("a|ab", "xab", ("ab",)),
        ("^a.c$", "abc", ("abc",)),
        ("^b", "abc", None),
        ("^$", "", ("",)),
        ("(a)(b)?", "ac", ("a", "a", "")),
        ("(a*)+", "aab", ("aa", "aa")),
        ("[0-9]{2,4}", "a12345", ("1234",)),
        ("a{2}", "aaa", ("aa",)),
        ("a{2,}", "aaaa", ("aaaa",)),
        ("x(ab|cd){2}y", "xabcdy", ("xabcdy", "cd")),
        (r"\[(.*)\] (.*)", "x [foo] bar", ("[foo] bar", "foo", "bar")),
        ("[]a]+", "x]a", ("]a",)),
        ("[^]a]+", "]ax-", ("x-",)),
        ("[a-]+", "a-b", ("a-",)),
        ("[[:digit:][:blank:]x]+", "a1 x2", ("1 x2",)),
        ("[[:upper:]]", "aB", ("B",)),
        (r"\.\*\\", r"a.*\ ", (".*\\",)),
        ("ü.", "xüß", ("üß",)),
        ("()", "a", ("", "")),
    ],
)
def test_the_language(pattern, value, found):
    """POSIX extended regular expressions, the match leftmost and longest."""
    assert search(pattern, value) == found


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(a", "without “)”"),
        ("a)", "without “(”"),
        ("[a", "without “]”"),
        ("[b-a]", "empty"),
        ("[[:nobody:]]", "name of a class"),
        ("[[=a=]]", "collating"),
        ("*a", "nothing before it"),
        ("a|*", "nothing before it"),
        ("a{2", "numbers"),
        ("a{3,2}", "smaller one first"),
        ("a{1000}", "up to 255"),
        ("a\\", "last backslash"),
        (r"\d", "no meaning in POSIX"),
        (r"(a)\1", "no meaning in POSIX"),
        ("a****", "again and again"),
        ("(((a{255}){255}){255})", "states"),
        ("(" * 60 + ")" * 60, "inside of each other"),
        ("()" * 100, "groups"),
        ("a" * 4001, "characters"),
    ],
)
def test_what_is_refused(pattern, problem):
    """What POSIX leaves undefined, and what is too large, is refused with a reason."""
    with pytest.raises(RegexProblem, match=re.escape(problem)):
        search(pattern, "")


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", "ab"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({})".format, inner),
        st.builds("({})*".format, inner),
        st.builds("({})+".format, inner),
        st.builds("({})?".format, inner),
        st.builds("({}){{1,2}}".format, inner),
        st.builds("({}|{})".format, inner, inner),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS, st.text("abc", max_size=8))
def test_as_brute_force(pattern, value):
    """The whole match is the longest of the leftmost ones, of all that Python's own engine can make fit."""
    spans = [
        (start, end)
        for start in range(len(value) + 1)
        for end in range(len(value), start - 1, -1)
        if _fits(pattern, value, start, end)
    ]
    found = search(pattern, value)

    assert (found and found[0]) == (value[spans[0][0] : spans[0][1]] if spans else None)


def _fits(pattern, value, start, end):
    """Whether value[start:end] is a match where it stands, edges being the value's own."""
    ends = rf"(?<=\A[\s\S]{{{end}}})" if end else r"(?<![\s\S])"
    return re.compile(f"(?s)(?:{pattern.replace('$', chr(92) + 'Z')}){ends}").match(value, start) is not None


@pytest.mark.parametrize(
    "pattern", ["(x+x+)+y", "(a|a)*b", "((a*)*)*b", "(x|xx|xxx)*y", "x*x*x*x*x*x*x*x*y", "(.*)(.*)(.*)(.*)z"]
)
def test_no_expression_is_slow(pattern):
    """Expressions that make a backtracking engine hang take time in proportion to the value."""
    started = time.monotonic()

    assert search(pattern, "x" * 300_000) is None
    assert time.monotonic() - started < 3


def test_the_clock_is_asked():
    """A long search can be stopped from outside."""

    def stop():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        Regex("a(b*)c", str, 100).search("x" * 100_000, stop)
