"""Parameters of MAIL and RCPT that are for those who sign in: what is taken, and how an Envelope has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.smtp import parameters

VISIBLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))


def xtext(text):
    """Encode a text as RFC 3461 §4 asks for."""
    return "".join(one if "!" <= one <= "~" and one not in "+=" else f"+{ord(one):02X}" for one in text)


@given(VISIBLE)
def test_xtext_makes_the_round_trip(text):
    """What was encoded is read as it was."""
    assert parameters.plain_xtext(xtext(text)) == text


@given(st.text())
def test_any_text_is_read_or_refused(text):
    """No value makes a check fail, and what passes one can be written in an Envelope as text without controls."""
    for checks in (parameters.MAIL, parameters.RCPT):
        taken = {name: text for name, check in checks.items() if check(text)}
        for value in (parameters.in_envelope(taken) or {}).values():
            assert value is None or value.isprintable()


@pytest.mark.parametrize("text", ["a+2", "a+2b", "a+", "é", "a=b", "+0A", "+7F", "+C3+BC"])
def test_no_xtext(text):
    """What is not encoded well, or stands for no printable ASCII, is refused."""
    assert parameters.plain_xtext(text) is None


def test_an_envelope_without_parameters():
    """It has null, as by JMAP; AUTH is not kept."""
    assert parameters.in_envelope({}) is None
    assert parameters.in_envelope({"AUTH": "<>"}) is None
    assert parameters.in_envelope({"RET": "full", "REQUIRETLS": None}) == {"RET": "FULL", "REQUIRETLS": None}
