"""The tagged argument :fcc (RFC 8580): where a copy goes, and what it goes together with."""

import pytest

from minijmap.sieve.actions import Fcc, Notify
from tests.sieve.trials import Case, decide, outcome

_R = 'require ["fcc", "enotify", "vacation", "mailbox", "imap4flags", "special-use", "mailboxid", "variables", "fileinto"];\n'


@pytest.mark.parametrize(
    ("tags", "expect"),
    [
        (':fcc "Sent"', Fcc("Sent")),
        (':create :fcc "Sent"', Fcc("Sent", create=True)),
        (':fcc "Sent" :flags ["\\\\Seen", "\\\\seen", "a b"]', Fcc("Sent", ("\\Seen", "a", "b"))),
        (':fcc "Sent" :specialuse "\\\\Sent"', Fcc("Sent", special_use="\\Sent")),
        (':mailboxid "M1" :fcc "Sent"', Fcc("Sent", mailbox_id="M1")),
        (':fcc "${box}"', Fcc("Box")),
    ],
)
def test_where_a_copy_goes(tags: str, expect: Fcc):
    """Every tag of fileinto's says of a copy what it says there; flags set before are not the copy's."""
    notify = decide(f'{_R}set "box" "Box"; setflag "x"; notify {tags} "mailto:a@b.example";').actions[0]

    assert isinstance(notify, Notify)
    assert notify.fcc == expect


@pytest.mark.parametrize(
    "script",
    [
        'vacation :create "x";',
        'vacation :flags "x" "y";',
        'notify :specialuse "\\\\Sent" "mailto:a@b.example";',
        'notify :fcc "A" :specialuse "\\\\Sent" :mailboxid "M1" "mailto:a@b.example";',
        'vacation :fcc "A" :fcc "B" "x";',
        'fileinto :fcc "A" "B";',
        'keep :fcc "A";',
        'redirect :fcc "A" "a@b.example";',
    ],
)
def test_what_a_copy_does_not_go_with(script: str):
    """Tags for a copy without one, two places at once, and actions that write no message (RFC 8580 §8)."""
    assert outcome(Case("", _R + script, "")) == "refused"


@pytest.mark.parametrize("missing", ["fcc", "mailbox", "imap4flags", "special-use"])
def test_each_tag_needs_its_extension(missing: str):
    """The extension of every tag must be required (RFC 8580 §3.1)."""
    script = 'vacation :fcc "A" :create :flags "b" :specialuse "\\\\Sent" "x";'

    assert outcome(Case("", _R + script, "")) == "vacation 604800; keep"
    assert outcome(Case("", _R.replace(f'"{missing}", ', "") + script, "")) == "refused"


@pytest.mark.parametrize("mailbox", ["", "a\\r", "x" * 2000])
def test_a_mailbox_must_have_a_name(mailbox: str):
    """What fileinto refuses, a copy refuses (RFC 8580 §3)."""
    script = f'set "box" "{mailbox}"; vacation :fcc "${{box}}" "x";'.replace("\\r", "\r\n")

    assert outcome(Case("", _R + script, "")) == "error"
