"""notify and the tests on its methods (RFC 5435, RFC 5436)."""

import pytest

from minijmap.sieve.actions import Fcc, Keep, Notify
from tests.sieve.trials import PLAIN, Case, agree, decide

_R = 'require ["enotify", "variables", "relational", "comparator-i;ascii-numeric", "fileinto", "editheader"];\n'
_M = '"mailto:a@b.example"'


def _test(what: str, test: str, expect: str, alone: str = "") -> Case:
    return Case(what, f"{_R}if {test} {{ discard; }}", expect, alone=alone)


CASES = [
    Case("notify keeps", _R + f'notify :message "m" {_M};', "notify m; keep"),
    Case(
        "several",
        _R + f'notify :message "m" {_M}; notify :message "n" "mailto:c@d.example";',
        "notify m; notify n; keep",
    ),
    Case("with fileinto", _R + f'notify :message "m" {_M}; fileinto "A";', "notify m; into A"),
    Case(
        "unsupported method",
        _R + 'notify "xmpp:tim@example.com";',
        "error",
        alone="Pigeonhole refuses it when it is stored",
    ),
    Case(
        "an unsupported method that is not reached",
        _R + 'if valid_notify_method "tel:+1" { notify "tel:+1"; }',
        "keep",
        alone="as above",
    ),
    Case("bad URI", _R + 'notify "mailto:nobody?x";', "error", alone="as above"),
    Case("bad URI at run time", _R + 'set "x" "mailto:"; notify "${x}";', "error", alone="Pigeonhole notifies nobody"),
    Case("importance", _R + f'notify :importance "1" :message "m" {_M};', "notify m; keep"),
    Case(
        "importance is 1 to 3",
        _R + f'notify :importance "4" :message "m" {_M};',
        "refused",
        alone="Pigeonhole takes it as 3",
    ),
    Case(
        "importance at run time",
        _R + f'set "i" "high"; notify :importance "${{i}}" {_M};',
        "error",
        alone="Pigeonhole refuses it when it is stored",
    ),
    Case("options", _R + f'notify :options ["a=b", "c.d-e_f="] :message "m" {_M};', "notify m; keep"),
    Case("bad option", _R + f'notify :options "a" :message "m" {_M};', "refused"),
    Case("bad :from", _R + f'notify :from "nobody" :message "m" {_M};', "refused"),
    Case("needs require", f"notify {_M};", "refused"),
    # --- valid_notify_method
    _test("valid", f"valid_notify_method {_M}", "discard"),
    _test("all of them", f'valid_notify_method [{_M}, "http://gw.example.net/notify?test"]', "keep"),
    _test("another scheme", 'valid_notify_method "xmpp:tim@example.com"', "keep"),
    _test(
        "not valid", 'valid_notify_method "mailto:a@b.example?x"', "keep", "Pigeonhole takes a header without a value"
    ),
    _test("a header", 'valid_notify_method "mailto:a@b.example?subject=x&body=y"', "discard"),
    # --- notify_method_capability
    _test("online", f'notify_method_capability {_M} "online" "maybe"', "discard"),
    _test("in any case", f'notify_method_capability {_M} "ONLINE" "MAYBE"', "discard"),
    _test("not online", f'notify_method_capability {_M} "online" ["yes", "no"]', "keep"),
    _test("unknown capability", f'notify_method_capability :matches {_M} "loud" "*"', "keep"),
    _test("unknown method", 'notify_method_capability :matches "xmpp:tim@example.com" "online" "*"', "keep"),
    _test("count", f'notify_method_capability :count "eq" {_M} "online" "1"', "discard"),
    _test("fcc", 'notify_method_capability "mailto:" "fcc" "yes"', "discard", "Pigeonhole has no fcc"),
    _test("no fcc", 'notify_method_capability "xmpp:" "fcc" ["yes", "no"]', "keep", "as above"),
    # --- :encodeurl
    Case(
        "encodeurl",
        _R
        + 'set :encodeurl "b" "Safe body&evil=evilbody é"; if string "${b}" "Safe%20body%26evil%3Devilbody%20%C3%A9" { discard; }',
        "discard",
    ),
    Case(
        "encodeurl comes before length",
        _R + 'set :length :encodeurl "b" "& "; if string "${b}" "6" { discard; }',
        "discard",
    ),
    Case("encodeurl needs enotify", 'require "variables"; set :encodeurl "b" "x";', "refused"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_notify(case: Case):
    """What is decided is what the RFC says, and what Pigeonhole decides."""
    agree(case)


def test_everything_is_resolved():
    """All arguments arrive, variables expanded."""
    script = """require ["enotify", "variables", "fcc", "mailboxid"]; set "u" "a@b.example";
    notify :fcc "Sent" :mailboxid "M1" :from "<user@example.org>" :importance "3" :options "x=${u}" :message "to ${u}"
           "mailto:${u}?subject=x";"""
    notify, keep = decide(script).actions

    assert notify == Notify(
        "mailto:a@b.example?subject=x",
        3,
        "to a@b.example",
        "<user@example.org>",
        ("x=a@b.example",),
        Fcc("Sent", mailbox_id="M1"),
    )
    assert keep == Keep(implicit=True)


@pytest.mark.parametrize(
    ("value", "told"), [("no", True), ("No (really)", True), ("auto-replied", False), ("auto-generated; x=y", False)]
)
def test_programs_cause_no_notification(value: str, told: bool):
    """A message that a program sent is told of to nobody (RFC 5436 §2.7)."""
    message = f"Auto-Submitted: {value}\r\n".encode() + PLAIN

    assert any(isinstance(action, Notify) for action in decide(_R + f"notify {_M};", message).actions) is told


def test_the_edited_header_goes_along():
    """A notification is about the header as it stands (RFC 5293 §7)."""
    notify, _ = decide(_R + f'deleteheader "Subject"; addheader "Subject" "other"; notify {_M};').actions

    assert isinstance(notify, Notify)
    assert notify.header is not None
    assert notify.header.values("subject") == ["other"]
