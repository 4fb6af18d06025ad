"""addheader and deleteheader (RFC 5293): what later tests see, what is stored, what no script may do."""

import unicodedata
from email import message_from_bytes, policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.sieve import message as limits
from minijmap.sieve.actions import FileInto, Keep, Redirect
from minijmap.sieve.headerblock import EditProblem, HeaderBlock, write_field
from minijmap.sieve.message import Message
from tests.sieve.trials import PLAIN, SIEVE_TEST, Case, agree, decide, stored

_R = 'require ["editheader", "fileinto", "variables", "index", "relational", "copy", "body"];\n'

CASES = [
    Case("seen at once", _R + 'addheader "X-New" "World"; if header "x-new" "World" { discard; }', "discard"),
    Case("not affecting the keep", _R + 'addheader "X-New" "World";', "keep"),
    Case(
        "first by default", _R + 'addheader "X-Twice" "new"; if header :index 1 "x-twice" "new" { discard; }', "discard"
    ),
    Case(
        "last if told",
        _R + 'addheader :last "X-Twice" "new"; if header :index 4 "x-twice" "new" { discard; }',
        "discard",
    ),
    Case("deleted at once", _R + 'deleteheader "Subject"; if exists "subject" { discard; }', "keep"),
    Case("all of a name", _R + 'deleteheader "X-Twice"; if exists "x-twice" { discard; }', "keep"),
    Case(
        "one instance",
        _R + 'deleteheader :index 2 "X-Twice"; if header :index 2 "x-twice" "third" { discard; }',
        "discard",
    ),
    Case(
        "one from the end",
        _R + 'deleteheader :index 1 :last "X-Twice"; if header :count "eq" "x-twice" "2" { discard; }',
        "discard",
    ),
    Case(
        "counting goes on with what is left (RFC 5293 §7)",
        _R
        + 'deleteheader :index 1 "X-Twice"; deleteheader :index 2 "X-Twice"; if header "x-twice" "second" {discard;}',
        "discard",
    ),
    Case(
        "matching a value",
        _R + 'deleteheader :contains "X-Twice" ["econ", "hir"]; if header :index 1 "x-twice" "first" { discard; }',
        "discard",
    ),
    Case(
        "counting before matching",
        _R + 'deleteheader :index 1 :contains "X-Twice" "second"; if header :index 2 "x-twice" "second" { discard; }',
        "discard",
    ),
    Case("name in any case", _R + 'deleteheader "x-tWICE"; if exists "x-twice" { discard; }', "keep"),
    Case(
        "Received stays",
        _R + 'deleteheader "Received"; if header :index 2 :contains "received" "c.example" { discard; }',
        "discard",
    ),
    Case(
        "Auto-Submitted stays",
        _R
        + 'addheader "Auto-Submitted" "auto-replied"; deleteheader "auto-submitted"; if exists "auto-submitted" { discard; }',
        "discard",
    ),
    Case(
        "added and deleted",
        _R + 'addheader "X-H" "W"; deleteheader :index 1 "X-H"; if exists "x-h" { discard; }',
        "keep",
    ),
    Case("nothing there to delete", _R + 'deleteheader :index 7 "X-H"; deleteheader "X-Nothing";', "keep"),
    Case(
        "value is trimmed",
        _R + 'addheader "X-H" "  a  "; if header "x-h" "a" { discard; }',
        "discard",
        alone="Pigeonhole keeps the spaces",
    ),
    Case(
        "not ASCII", _R + 'addheader "X-H" "grüße aus Köln"; if header "x-h" "grüße aus Köln" { discard; }', "discard"
    ),
    Case("spaces inside stay", _R + 'addheader "X-H" "a   b"; if header "x-h" "a   b" { discard; }', "discard"),
    Case("empty value", _R + 'addheader "X-H" ""; if header "x-h" "" { discard; }', "discard"),
    Case(
        "a line end is white space",
        _R + 'addheader "X-H" "a\r\nInjected: b"; if exists "injected" { discard; }',
        "keep",
    ),
    Case("bad name", _R + 'addheader "X H" "a";', "refused"),
    Case("bad name with a colon", _R + 'addheader "X-H:" "a";', "refused"),
    Case("bad name to delete", _R + 'deleteheader "X H";', "refused"),
    Case("bad name at run time", _R + 'set "n" "X H"; addheader "${n}" "a";', "error"),
    Case(
        ":last needs :index",
        _R + 'deleteheader :last "X-H";',
        "refused",
        alone="Pigeonhole lets it be, RFC 5293 §5 has a MUST",
    ),
    Case("needs require", 'addheader "X-H" "a";', "refused"),
    Case(
        "body tests go on",
        _R + 'deleteheader "Content-Type"; addheader "X-A" "b"; if body :contains "Hello there" { discard; }',
        "discard",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_edits(case: Case):
    """What later tests see is what the RFC says, and what they see under Pigeonhole."""
    agree(case)


STORED = [
    'addheader "X-New" "World";',
    'addheader :last "X-New" "World";',
    'deleteheader "Subject";',
    'deleteheader :index 1 :last "X-Twice"; addheader "X-A" "1"; addheader "X-B" "2"; addheader :last "X-C" "3";',
    'deleteheader "Received"; deleteheader "X-Nothing";',
    'deleteheader :matches "X-Twice" "*ir*"; addheader "Subject" "other";',
]


@pytest.mark.skipif(not SIEVE_TEST, reason="Pigeonhole's sieve-test is not installed")
@pytest.mark.parametrize("script", STORED)
def test_what_is_stored_is_what_pigeonhole_stores(script: str):
    """The edited message is octet for octet the one that Pigeonhole writes."""
    ours = decide('require "editheader";\n' + script).actions[0]
    theirs = stored('require "editheader";\n' + script, PLAIN)

    assert isinstance(ours, Keep)
    assert [(PLAIN if ours.message is None else ours.message).replace(b"\r\n", b"\n")] == theirs


def test_nothing_is_edited_without_an_edit():
    """A message that no command changed is not copied."""
    for script in ("keep;", 'require "editheader"; deleteheader "X-Nothing"; deleteheader "Received";'):
        (action,) = decide(script).actions

        assert isinstance(action, Keep)
        assert action.message is None


def test_each_action_has_the_message_of_its_moment():
    """Storing and sending take the header as it was then, the implicit keep as it is at the end (RFC 5293 §7)."""
    script = _R + 'fileinto :copy "A"; addheader "X-A" "1"; redirect :copy "b@example.org"; addheader "X-A" "2";'
    first, second, third = decide(script).actions

    assert isinstance(first, FileInto)
    assert first.message is None
    assert isinstance(second, Redirect)
    assert second.message == b"X-A: 1\r\n" + PLAIN
    assert isinstance(third, Keep)
    assert third.message == b"X-A: 2\r\nX-A: 1\r\n" + PLAIN


def test_an_edited_message_is_the_same_message():
    """What goes to one place twice is stored there once, whatever was edited between (RFC 5293 §7)."""
    twice = 'addheader "X-Flavor" "vanilla";'
    for action in ("keep;", 'fileinto "A";'):
        (stored_once,) = decide(f"{_R}{action} {twice} {action}").actions

        assert isinstance(stored_once, Keep | FileInto)
        assert stored_once.message == b"X-Flavor: vanilla\r\n" + PLAIN


def test_after_an_error_the_message_is_as_it_came():
    """An error keeps the message with its original header (RFC 5293 §7)."""
    result = decide(_R + 'addheader "X-A" "1"; redirect "${x}";')

    assert result.error is not None
    assert result.actions == (Keep(implicit=True),)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ('set "x" "y"; ' + 'addheader "A" "b";\n' * (limits.MOST_EDITS + 1), "more than 500 times"),
        (f'addheader "A" "{"b" * 900} {"c" * 900} {"d" * 20000}";', "fit into a line"),
        (f'addheader "A" "{"b " * 12000}";', "more than 16384 octets"),
        ('addheader "A" "b${hex:00}c";', "control characters"),
        ("".join(f'addheader "A" "{n}"; fileinto "{n}";' for n in range(11)), "more than 10 states"),
    ],
)
def test_limits(script: str, error: str):
    """Past a limit the script fails and the message is kept."""
    result = decide('require ["encoded-character", "fileinto", "variables", "editheader"];\n' + script)

    assert result.error is not None
    assert error in str(result.error)
    assert result.actions == (Keep(implicit=True),)


def test_long_headers_are_counted_whole():
    """In a header with more fields than a parsed message keeps, the last is still the last."""
    message = b"".join(b"X-Many: %d\r\n" % number for number in range(3000)) + b"\r\nbody\r\n"
    (action,) = decide('require "editheader"; deleteheader :index 1 :last "X-Many";', message).actions

    assert isinstance(action, Keep)
    assert action.message == message.replace(b"X-Many: 2999\r\n", b"")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\r\n",
        b"A: b",
        b"A: b\r\n",
        b"A: b\nB: c\r\n continued\r\n\r\n",
        b"no field\r\nA: b\r\n\r\n",
        b"A: b\r\nno field\r\nB:c\n\n",
        b"A : b\r\n: x\r\n\r\n",
        b" leading\r\nA: b\r\n\r\n",
    ],
)
def test_untouched_octets_stay(head: bytes):
    """A header is written as it was read; fields put at its ends are there, and taken out again leave it as it was."""
    block = HeaderBlock(head)
    assert block.octets() == head

    block.add("X", b"X: y\r\n")
    block.add("Z", b"Z: y\r\n", last=True)
    assert [block.pairs()[0], block.pairs()[-1]] == [("X", " y"), ("Z", " y")]

    for name in "XZ":
        block.remove(block.named(name)[0])
    assert block.octets() in {head, head + b"\r\n"}


def test_a_body_without_a_blank_line_stays_a_body():
    """A field that is added does not swallow a body that nothing separates from the header."""
    (action,) = decide('require "editheader"; addheader "A" "b";', b" not a header\r\n").actions

    assert isinstance(action, Keep)
    assert action.message == b"A: b\r\n\r\n not a header\r\n"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"A: b\r\n", b"A: b\n", b"B:\r\n c\r\n", b"junk\r\n", b"\r\n", b"\n", b" x\r\n", b"\x00\xff:\r\n", b"A:"]
        )
    ).map(b"".join)
)
def test_every_message_is_put_together_again(raw: bytes):
    """Whatever the octets: an edited header without edits is the header, and edits can be undone."""
    message = Message(raw)
    message.add_field("X-Edit", "one")
    assert message.current().replace(b"\r\n", b"\n").startswith(b"X-Edit: one\n")

    message.remove_field(message.named("X-Edit")[0])
    assert message.current() == raw


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Co", "Zl", "Zp")), max_size=300))
def test_what_is_written_is_read_again(value: str):
    """A value comes back from the header field as it was given, and lines are short enough."""
    try:
        octets = write_field("X-Test", value)
    except EditProblem:
        assert max(map(len, value.split(" "))) > 900
        return
    message = Message(octets + b"\r\n")

    assert message.fields.values("x-test") == [unicodedata.normalize("NFC", value.strip()).strip()]
    assert all(len(line) <= 998 for line in octets.splitlines())
    assert octets.isascii()


def test_a_name_in_quotes_stays_an_address():
    """In an address field a quoted name that is not ASCII becomes encoded words outside of quotes (RFC 2047 §5)."""
    octets = write_field("From", '"Jürgen Groß" <j@example.com>')
    parsed = message_from_bytes(octets + b"\r\n", policy=policy.default)["From"].addresses[0]

    assert (parsed.display_name, parsed.addr_spec) == ("Jürgen Groß", "j@example.com")
