"""Encoded words, written: RFC 2047 §2, §4, §5."""

import re
from email.header import decode_header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.mail.wordencoding import SHORTEST_ROOM, encoded_words


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("a, \u00e9 b", False, ["=?utf-8?q?a,_=C3=A9_b?="]),
        ("a, \u00e9 b", True, ["=?utf-8?b?YSwgw6kgYg==?="]),
        ("a_b?=\u00e9 and more words", False, ["=?utf-8?q?a=5Fb=3F=3D=C3=A9_and_more_words?="]),
        ("\u65e5\u672c", False, ["=?utf-8?b?5pel5pys?="]),
        ("\u65e5" * 20, False, ["=?utf-8?b?" + "5pel" * 15 + "?=", "=?utf-8?b?" + "5pel" * 5 + "?="]),
        ("x" * 64, False, ["=?utf-8?q?" + "x" * 63 + "?=", "=?utf-8?q?x?="]),
    ],
)
def test_q_or_b_whichever_is_shorter(text, phrase, expected):
    """In a phrase fewer characters stand for themselves (RFC 2047 §5), which can make B the shorter one."""
    assert list(encoded_words(text, 75, phrase=phrase)) == expected


@settings(max_examples=200)
@given(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=200),
    st.integers(SHORTEST_ROOM, 75),
    st.booleans(),
)
def test_encoded_words_are_short_and_whole(value, room, phrase):
    """A word has at most 75 characters, the first what there is room for, and each one decodes alone."""
    words = list(encoded_words(value, room, phrase=phrase))

    assert len(words[0]) <= room
    assert all(len(word) <= 75 and re.fullmatch(r"=\?utf-8\?[qb]\?[!-~]+\?=", word) for word in words)
    decoded = [decode_header(word)[0][0].decode() for word in words]
    assert "".join(decoded) == value
