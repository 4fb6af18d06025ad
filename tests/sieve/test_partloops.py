"""Loops over parts and their text: foreverypart, break, extracttext (RFC 5703 §3, §7)."""

import pytest

from minijmap.sieve.partloops import MOST_LOOPS
from tests.sieve.test_bodytest import CODED, NESTED
from tests.sieve.trials import Case, agree, decide, outcome

_R = 'require ["foreverypart", "mime", "variables", "extracttext", "fileinto", "include"];\n'
_TYPE = 'if header :mime :contenttype :matches "Content-Type" "*" { set "t" "${t} ${1}"; }'
_DONE = ' fileinto "x${t}";'
_ORDER = "multipart/mixed multipart/alternative text/plain text/html message/rfc822"

CASES = [
    Case("every part, depth first", f"{_R}foreverypart {{ {_TYPE} }}{_DONE}", f"into x {_ORDER}", NESTED),
    Case("a message of one part", f'{_R}foreverypart {{ set "t" "${{t}} one"; }}{_DONE}', "into x one"),
    Case(
        "break",
        f'{_R}foreverypart {{ {_TYPE} if header :mime :subtype "Content-Type" "plain" {{ break; }} }}{_DONE}',
        "into x multipart/mixed multipart/alternative text/plain",
        NESTED,
    ),
    Case(
        "an inner loop visits what is inside of the part",
        f'{_R}foreverypart {{ if header :mime :subtype "Content-Type" "alternative" {{ foreverypart {{ {_TYPE} }} }} }}{_DONE}',
        "into x text/plain text/html",
        NESTED,
        "Pigeonhole 0.5.19 aborts on it",
    ),
    Case(
        "an inner loop over a terminal part does nothing",
        f'{_R}foreverypart {{ if header :mime :type "Content-Type" "text" {{ foreverypart {{ {_TYPE} }} }} }}{_DONE}',
        "into x",
        NESTED,
        "Pigeonhole 0.5.19 aborts on it",
    ),
    Case(
        "after an inner loop the outer part is the current one again",
        f"{_R}foreverypart {{ foreverypart {{ }} {_TYPE} }}{_DONE}",
        f"into x {_ORDER}",
        NESTED,
        "Pigeonhole 0.5.19 aborts on it",
    ),
    Case(
        "break of the inner loop alone",
        f"{_R}foreverypart {{ {_TYPE} foreverypart {{ break; }} }}{_DONE}",
        f"into x {_ORDER}",
        NESTED,
    ),
    Case(
        "break by name",
        f'{_R}foreverypart :name "a" {{ {_TYPE} foreverypart :name "b" {{ break :name "a"; }} }}{_DONE}',
        "into x multipart/mixed",
        NESTED,
    ),
    Case(
        "an inner name hides an outer one",
        f'{_R}foreverypart :name "a" {{ {_TYPE} foreverypart :name "a" {{ break :name "a"; }} }}{_DONE}',
        f"into x {_ORDER}",
        NESTED,
    ),
    Case("stop ends it all", f"{_R}foreverypart {{ discard; stop; }}{_DONE}", "discard", NESTED),
    Case("break without a loop", _R + "break;", "refused"),
    Case("break of a loop that isn't around", _R + 'foreverypart :name "a" { break :name "b"; }', "refused"),
    Case("no block", _R + "foreverypart;", "refused"),
    Case("needs require", "foreverypart { keep; }", "refused"),
    # --- extracttext
    Case(
        "decoded text",
        _R + 'foreverypart { if header :mime :param "charset" "Content-Type" "iso-8859-1"'
        ' { extracttext "t"; } } if string :matches "${t}" "na*ve*caf*" { fileinto "x"; }',
        "into x",
        CODED,
    ),
    Case(
        "the first characters",
        _R
        + 'foreverypart { if header :mime :type "Content-Type" "text" { extracttext :first 5 "t"; break; } }'
        + _DONE,
        "into xnaïve",
        CODED,
        "Pigeonhole counts octets",
    ),
    Case(
        "modifiers",
        _R
        + 'foreverypart { if header :mime :type "Content-Type" "text" { extracttext :upper :first 4 "t"; break; } }'
        + _DONE,
        "into xNAïV",
        CODED,
        "Pigeonhole counts octets",
    ),
    Case(
        "length",
        _R + 'foreverypart { if header :mime :type "Content-Type" "text" { extracttext :length "t"; break; } }' + _DONE,
        "into x10",
        CODED,
    ),
    Case("a multipart has none", _R + 'foreverypart { extracttext "t"; break; } ' + _DONE, "into x", NESTED),
    Case(
        "HTML as it is",
        _R + 'foreverypart { if header :mime :subtype "Content-Type" "html" { extracttext "t"; } }' + _DONE,
        "into x<b>a</b>",
        b"Content-Type: text/html\r\n\r\n<b>a</b>",
        "Pigeonhole takes the markup out; RFC 5703 §7 has the content transcoded",
    ),
    Case(
        "an unknown charset",
        _R + 'set "t" "y"; foreverypart { extracttext "t"; }' + _DONE,
        "into x",
        b"Content-Type: text/plain; charset=x-unknown\r\n\r\n\xe1bc",
        "Pigeonhole guesses",
    ),
    Case(
        "an unknown encoding",
        _R + 'set "t" "y"; foreverypart { extracttext "t"; }' + _DONE,
        "into x",
        b"Content-Transfer-Encoding: x-unknown\r\n\r\nabc",
    ),
    Case("outside of a loop", _R + 'extracttext "t";', "refused"),
    Case("no variable", _R + 'foreverypart { extracttext "1"; }', "refused"),
    Case("needs variables", 'require ["foreverypart", "extracttext"]; foreverypart { extracttext "t"; }', "refused"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_loops(case: Case):
    """A loop visits what the RFC says, and what it visits under Pigeonhole."""
    agree(case)


def test_loops_inside_of_each_other_are_limited():
    """One loop more than is allowed is refused."""
    deepest = "foreverypart { " * MOST_LOOPS + "}" * MOST_LOOPS

    assert outcome(Case("", _R + deepest, "")) == "keep"
    assert outcome(Case("", _R + f"foreverypart {{ {deepest} }}", "")) == "refused"


def test_a_bomb_of_enclosed_messages_ends():
    """Messages inside of each other, thousands deep or wide, end the walk and not the server."""
    deep = b"Content-Type: message/rfc822\r\n\r\n" * 3000 + b"\r\ntext"
    wide = b"".join([b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", *(b"--b\r\n\r\nx\r\n" for _ in range(5000))])
    for message in (deep, wide):
        result = decide(_R + 'foreverypart { set "n" "${n}x"; } fileinto "a";', message)

        assert result.error is None or "seconds" in str(result.error)


def test_the_work_of_nested_loops_is_limited():
    """Loops over each other's parts are stopped by the limit of steps."""
    wide = b"".join([b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", *(b"--b\r\n\r\nx\r\n" for _ in range(900))])
    message = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + wide + b"--b--\r\n--a--\r\n"
    script = _R + 'foreverypart { foreverypart { if header :mime :anychild :contains "x" "y" { stop; } } }'
    script = script.replace("foreverypart { foreverypart", "foreverypart { foreverypart { foreverypart").replace(
        "} } }", "} } } }"
    )

    result = decide(script, message)

    assert result.error is None or "more than" in str(result.error)
