"""The test "duplicate" (RFC 7352): what identifies a message, what is remembered."""

import pytest

from minijmap.sieve.actions import Discard, Duplicate
from minijmap.sieve.duplicates import DEFAULT_SECONDS, MOST_IDS, MOST_SECONDS, key_of
from minijmap.sieve.host import AloneHost
from tests.sieve.trials import PLAIN, Case, agree, decide

_R = 'require ["duplicate", "variables"];\n'
_ID = key_of("", "<1@example.com>")

CASES = [
    Case("nothing came before", _R + "if duplicate { discard; }", "keep"),
    Case("all arguments", _R + 'if duplicate :handle "h" :uniqueid "x" :seconds 60 :last { discard; }', "keep"),
    Case("header or id", _R + 'if duplicate :header "x" :uniqueid "y" { discard; }', "refused"),
    Case(
        "a header name that none can have",
        _R + 'if duplicate :header "a b" { discard; }',
        "keep",
        alone="Pigeonhole refuses it; RFC 7352 §3.1: MUST NOT",
    ),
    Case("no positional argument", _R + 'if duplicate "x" { discard; }', "refused"),
    Case("no match type", _R + "if duplicate :is { discard; }", "refused"),
    Case("needs require", "if duplicate { discard; }", "refused"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forms(case: Case):
    """What is a right script is what the RFC says, and what Pigeonhole takes."""
    agree(case)


class Remembering(AloneHost):
    """A host that has seen some ids."""

    def __init__(self, *keys: str) -> None:
        super().__init__()
        self.keys = keys

    def seen(self, key: str) -> bool:
        """Whether it was made with the id."""
        return key in self.keys


def noted(test: str, message: bytes = PLAIN, *, seen: str = "") -> tuple[bool, tuple[Duplicate, ...]]:
    """Whether it was a duplicate, and what is remembered then."""
    result = decide(_R + f"if duplicate {test} {{ discard; }}", message, host=Remembering(seen))
    assert result.error is None, result.error
    return result.actions == (Discard(),), result.duplicates


def test_the_message_id_is_the_id():
    """Without arguments it is the Message-ID, and a week."""
    assert noted("") == (False, (Duplicate(_ID, DEFAULT_SECONDS),))
    assert noted("", seen=_ID) == (True, ())


def test_the_source_of_an_id_does_not_matter():
    """Message-ID, :header and :uniqueid with the same value are one id; a handle makes another (RFC 7352 §3.2)."""
    assert noted(':header "message-id"', seen=_ID)[0]
    assert noted(':uniqueid "<1@example.com>"', seen=_ID)[0]
    assert not noted(':handle "h"', seen=_ID)[0]
    assert not noted(':handle ""', seen=_ID)[0]
    assert noted(':uniqueid "<1@EXAMPLE.com>"', seen=_ID)[0] is False


def test_a_header_is_unfolded_decoded_and_trimmed():
    """Of several fields the first counts; folding, encoding and spaces do not."""
    message = b"X-Key: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n  you \r\nX-Key: other\r\n\r\n"

    assert noted(':header "x-key"', message, seen=key_of("", "grüße  you"))[0]
    assert noted(':header "x-key"', message, seen=key_of("", "other"))[0] is False


def test_without_a_value_nothing_is_remembered():
    """No such field, a name that none can have, no time: it is no duplicate, and leaves no trace."""
    for test in (':header "X-None"', ':header "a b"', ":seconds 0", ':seconds 0 :last :uniqueid "x"'):
        assert noted(test, seen=_ID) == (False, ())
    assert noted("", b"Subject: no id\r\n\r\n", seen=_ID) == (False, ())


def test_how_long():
    """:seconds is what is remembered, up to the limit; :last remembers a duplicate anew (RFC 7352 §3.3)."""
    assert noted(":seconds 60")[1] == (Duplicate(_ID, 60),)
    assert noted(":seconds 2000000000")[1] == (Duplicate(_ID, MOST_SECONDS),)
    assert noted(":seconds 60 :last", seen=_ID) == (True, (Duplicate(_ID, 60),))


def test_one_run_gives_one_answer():
    """A test is not told of what the same run has seen; of the same id's arguments the last count (RFC 7352 §3)."""
    result = decide(_R + "if anyof (duplicate :seconds 5, duplicate :seconds 6) { discard; }")

    assert result.actions != (Discard(),)
    assert result.duplicates == (Duplicate(_ID, 6),)


def test_nothing_is_remembered_after_an_error():
    """Only a script that ends well remembers (RFC 7352 §3)."""
    result = decide(_R.replace('"dup', '"ihave", "dup') + 'if duplicate {} error "no";')

    assert result.error is not None
    assert result.duplicates == ()


def test_ids_of_one_run_are_limited():
    """One id more than is allowed is an error."""
    script = "".join(f'if duplicate :uniqueid "{number}" {{}}\n' for number in range(MOST_IDS + 1))

    assert "more than" in str(decide(_R + script).error)
