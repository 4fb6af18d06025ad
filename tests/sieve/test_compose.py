"""Entities that scripts write: any text in lines that mail can carry, read again by Python's own email module."""

import re
from email import message_from_bytes, policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.sieve.compose import check_entity, mime_entity, text_entity, transfer_encoding
from minijmap.sieve.headerblock import EditProblem

_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=400) | st.lists(
    st.sampled_from(["ä" * 60, "x" * 200, "x" * 1100, "\r\n", "\n", "\r", " ", "\t", ".", "=", "--b", "--b--"]),
    max_size=12,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(_TEXTS)
def test_any_text(text: str):
    """It comes back as it was but for its line ends; lines are short and end with CRLF; no line is a delimiter."""
    octets = text_entity(text, [b"b"])
    parsed = message_from_bytes(octets, policy=policy.compat32)
    content = parsed.get_payload(decode=True)
    assert isinstance(content, bytes)

    assert content.decode() == re.sub(r"\r\n|\r|\n", "\r\n", text)
    assert octets.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert b"\n--b" not in octets


@pytest.mark.parametrize(
    ("octets", "encoding"),
    [
        (b"", "7bit"),
        (b"plain\r\n", "7bit"),
        (b"plain\n", "7bit"),
        (b"x" * 998 + b"\r\n", "7bit"),
        (b"x" * 998, "7bit"),
        (b"x" * 999, "binary"),
        (b"x" * 999 + b"\r\n", "binary"),
        ("ä\r\n".encode(), "8bit"),
        (b"a\rb", "binary"),
        (b"\0", "binary"),
    ],
)
def test_what_octets_are(octets: bytes, encoding: str):
    """7bit, 8bit or binary, by RFC 2045 §2.7 to §2.9."""
    assert transfer_encoding(octets) == encoding


@pytest.mark.parametrize("text", ["Content-Type: a/b\r\n\r\nx", "\r\nx", "\nx", "A: b\n c\n\n", "A: b\r\n"])
def test_an_entity(text: str):
    """A header, maybe empty, and an empty line."""
    check_entity(text)

    assert mime_entity(text).endswith(re.sub(r"\r?\n", "\r\n", text).encode())


@pytest.mark.parametrize("text", ["x", "no header\r\n\r\nx", "A: ä\r\n\r\nx", "A b: c\r\n\r\n", "A: b\r\nx\r\n\r\n"])
def test_no_entity(text: str):
    """What begins otherwise, and a header that is not ASCII."""
    with pytest.raises(EditProblem):
        mime_entity(text)


def test_an_entity_says_that_it_is_8bit():
    """The body's encoding is declared where it must be (RFC 2045 §6.1)."""
    assert mime_entity("Content-Type: text/plain\r\n\r\nä").startswith(b"Content-Transfer-Encoding: 8bit\r\n")
    assert mime_entity("Content-Transfer-Encoding: binary\r\n\r\nä").count(b"Content-Transfer-Encoding") == 1
    assert b"Content-Transfer-Encoding" not in mime_entity("Content-Type: text/plain\r\n\r\na")
