"""vacation (RFC 5230, RFC 6131): its arguments, by what answers are told apart, what it goes together with."""

import pytest

from minijmap.sieve.actions import Fcc, Keep, Vacation
from tests.sieve.trials import Case, agree, decide

_R = 'require ["vacation", "vacation-seconds", "variables", "fileinto", "reject", "envelope", "editheader"];\n'

CASES = [
    Case("seven days and the keep", _R + 'vacation "away";', "vacation 604800; keep"),
    Case("days", _R + 'vacation :days 3 "away";', "vacation 259200; keep"),
    Case(
        "days are one at least",
        _R + 'vacation :days 0 "away";',
        "vacation 86400; keep",
        alone="the least is a setting there",
    ),
    Case(
        "a year at most",
        _R + 'vacation :days 1000 "away";',
        "vacation 31536000; keep",
        alone="the most is a setting there",
    ),
    Case("seconds", _R + 'vacation :seconds 1800 "away";', "vacation 1800; keep"),
    Case("no seconds", _R + 'vacation :seconds 0 "away";', "vacation 0; keep"),
    Case("vacation-seconds is enough", 'require "vacation-seconds"; vacation :seconds 60 "away";', "vacation 60; keep"),
    Case("seconds need it", 'require "vacation"; vacation :seconds 60 "away";', "refused"),
    Case("days or seconds", _R + 'vacation :days 1 :seconds 60 "away";', "refused"),
    Case("twice", _R + 'vacation "away"; vacation "gone";', "error"),
    Case(
        "twice in two branches", _R + 'if true { vacation "away"; } else { vacation "gone"; }', "vacation 604800; keep"
    ),
    Case("with discard", _R + 'vacation "away"; discard;', "vacation 604800; discard"),
    Case("with fileinto", _R + 'vacation "away"; fileinto "A";', "vacation 604800; into A"),
    Case("with reject", _R + 'vacation "away"; reject "no";', "error"),
    Case("after reject", _R + 'reject "no"; vacation "away";', "error"),
    Case("bad :from", _R + 'vacation :from "nobody" "away";', "refused"),
    Case(
        "bad :from at run time",
        _R + 'set "f" "nobody"; vacation :from "${f}" "away";',
        "error",
        alone="Pigeonhole leaves it out",
    ),
    Case(":mime without a header", _R + 'vacation :mime "away";', "refused", alone="Pigeonhole doesn't look"),
    Case(
        ":mime with 8-bit header",
        _R + 'vacation :mime "Content-Type: text/plain; x=ä\r\n\r\naway";',
        "refused",
        alone="as above",
    ),
    Case(":mime at run time", _R + 'set "t" "away"; vacation :mime "${t}";', "error", alone="as above"),
    Case("no reason", _R + "vacation;", "refused"),
    Case("needs require", 'vacation "away";', "refused"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_vacation(case: Case):
    """What is decided is what the RFC says, and what Pigeonhole decides."""
    agree(case)


def answer(script: str) -> Vacation:
    """The answer that a script decides on."""
    result = decide(script if "require" in script else _R + script)
    assert result.error is None, result.error
    (found,) = [action for action in result.actions if isinstance(action, Vacation)]
    return found


def test_everything_is_resolved():
    """All arguments arrive, variables expanded."""
    script = (
        'set "x" "ü"; vacation :subject "S${x}" :from "<user@example.org>" :addresses ["a@b.example", "${x}@c.example"]'
    )
    found = answer(script + ' :handle "h${x}" :mime "Content-Type: text/plain\r\n\r\n${x}";')

    assert found.subject == "Sü"
    assert found.sender == "<user@example.org>"
    assert found.addresses == ("a@b.example", "ü@c.example")
    assert found.handle == "handle hü"
    assert found.mime
    assert found.reason.endswith("\r\n\r\nü")
    assert found.header is None


def test_answers_are_told_apart_by_what_they_say():
    """Subject, sender, reason and :mime each make another answer; a value moved from one to another does too."""
    scripts = [
        'vacation "a";',
        'vacation "b";',
        'vacation :subject "a" "a";',
        'vacation :subject "" "a";',
        'vacation :from "a@b.example" "a";',
        'vacation :mime "\r\na";',
        'vacation "\r\na";',
        'vacation :handle "a" "a";',
        'vacation :handle "" "a";',
    ]
    handles = [answer(script).handle for script in scripts]

    assert len(set(handles)) == len(handles)


def test_what_does_not_tell_answers_apart():
    """Days and addresses don't; nor do variables, which count as they are written (RFC 5230 §4.2)."""
    assert answer('vacation :days 1 "a";').handle == answer('vacation :days 9 :addresses "x@y.example" "a";').handle
    one, two = (answer(f'set "s" "{text}"; vacation :subject "Re: ${{s}}" "a";') for text in ("lunch", "dinner"))

    assert one.subject != two.subject
    assert one.handle == two.handle
    assert answer('vacation :handle "h" "a";').handle == answer('vacation :handle "h" "b";').handle


def test_a_copy_of_the_answer():
    """:fcc with everything that says where (RFC 8580 §5, the example)."""
    script = """require ["vacation", "fcc", "mailbox", "special-use", "imap4flags"];
    vacation :days 7 :from "hemingway@example.com" :specialuse "\\\\Sent" :create
             :fcc "INBOX.Sent" :flags ["\\\\Seen"] "Gone Fishin'";"""

    assert answer(script).fcc == Fcc("INBOX.Sent", ("\\Seen",), create=True, special_use="\\Sent")


def test_the_edited_header_is_what_counts():
    """An answer is about the header as it stands (RFC 5293 §7)."""
    found = answer('deleteheader "Subject"; addheader "Subject" "other"; vacation "a";')

    assert found.header is not None
    assert found.header.values("subject") == ["other"]


def test_the_message_is_kept_after_a_failed_answer():
    """An error undoes the answer."""
    result = decide(_R + 'vacation "a"; vacation "b";')

    assert result.actions == (Keep(implicit=True),)
