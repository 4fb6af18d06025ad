"""reject and ereject (RFC 5429): what they go together with."""

import pytest

from minijmap.sieve.actions import Reject
from tests.sieve.trials import Case, agree, decide

_R = 'require ["reject", "ereject", "fileinto", "vacation", "fcc", "copy", "enotify"];\n'
_E = 'require ["reject", "fileinto", "vacation", "copy", "enotify"];\n'

CASES = [
    Case("reject", _E + 'reject "no";', "reject no"),
    Case("ereject", _R + 'ereject "no";', "reject no", alone="sieve-test has no ereject"),
    Case("twice", _E + 'reject "no"; reject "no";', "error"),
    Case("both", _R + 'reject "no"; ereject "never";', "error", alone="as above"),
    Case("with keep", _E + 'reject "no"; keep;', "error"),
    Case("after keep", _E + 'keep; reject "no";', "error"),
    Case("with fileinto", _E + 'reject "no"; fileinto "A";', "error"),
    Case("with redirect", _E + 'redirect "a@b.example"; reject "no";', "error"),
    Case("with a copy", _R + 'redirect :copy "a@b.example"; ereject "no";', "error", alone="as above"),
    Case("with discard", _E + 'discard; reject "no";', "discard; reject no"),
    Case("with notify", _E + 'reject "no"; notify :message "m" "mailto:a@b.example";', "reject no; notify m"),
    Case("no copy of it", _R + 'reject :fcc "A" "no";', "refused"),
    Case("no reason", _E + "reject;", "refused"),
    Case("reject needs require", 'require "ereject"; reject "no";', "refused"),
    Case("ereject needs require", 'require "reject"; ereject "no";', "refused"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reject(case: Case):
    """What is decided is what the RFC says, and what Pigeonhole decides."""
    agree(case)


@pytest.mark.parametrize("name", ["reject", "ereject"])
def test_the_two_are_told_apart(name: str):
    """The action says which it was, and the reason as it is written."""
    (action,) = decide(f'{_R}{name} "Nein,\r\nnöte.";').actions

    assert action == Reject("Nein,\r\nnöte.", ereject=name == "ereject")
