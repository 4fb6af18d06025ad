"""External lists (RFC 6134): names, :list, redirect :list and valid_ext_list."""

import pytest

from minijmap.sieve.actions import Keep, RedirectList
from minijmap.sieve.extlists import DEFAULT_BOOK, list_name
from minijmap.sieve.host import AloneHost
from tests.sieve.trials import Case, decide, outcome

_R = 'require ["extlists", "envelope", "variables", "date", "fileinto", "copy"];\n'


@pytest.mark.parametrize(
    ("name", "expect"),
    [
        (":addrbook:default", DEFAULT_BOOK),
        (":ADDRBOOK:DEFAULT", DEFAULT_BOOK),
        (":aDdRbOOk:DeFauLt", DEFAULT_BOOK),
        (":AddrBook:%44%65%66ault", DEFAULT_BOOK),
        ("urn:ietf:params:sieve:addrbook:default", DEFAULT_BOOK),
        ("URN:IETF:params:sieve:addrbook:default", DEFAULT_BOOK),
        (":addrbook:Family", "urn:ietf:params:sieve:addrbook:Family"),
        (":addrbook:fam%20ily", "urn:ietf:params:sieve:addrbook:fam ily"),
        (":addrbook:personal?name.contains=fred", "urn:ietf:params:sieve:addrbook:personal?name.contains=fred"),
        ("tag:example.com,2011-01-01:localHolidays", "tag:example.com,2011-01-01:localHolidays"),
        (":addrbook", None),
        (":addrbook:", None),
        (":other:x", None),
        ("", None),
        ("friends", None),
        ("tag:with space", None),
        ("tag:%zz", None),
        ("tag:" + "x" * 3000, None),
    ],
)
def test_names(name: str, expect: str | None):
    """One list has one name, however it is written (RFC 6134 §2.5)."""
    assert list_name(name) == expect


class Listing(AloneHost):
    """A host with two lists."""

    LISTS = {DEFAULT_BOOK: {"sender@example.com"}, "tag:example.com,2011:days": {"2026-01-01"}}

    def valid_list(self, uri: str) -> bool:
        """Whether it is one of the two."""
        return uri in self.LISTS

    def in_list(self, uri: str, value: str) -> bool:
        """Whether the value is in it, whatever its case."""
        return value.lower() in self.LISTS[uri]


@pytest.mark.parametrize(
    ("test", "expect"),
    [
        ('address :list "from" ":addrbook:default"', True),
        ('address :list "to" ":addrbook:default"', False),
        ('address :list ["to", "from"] ["tag:example.com,2011:days", ":AddrBook:Default"]', True),
        ('envelope :list "from" ":addrbook:default"', True),
        ('header :list "subject" ":addrbook:default"', False),
        ('string :list "SENDER@example.com" ":addrbook:default"', True),
        ('currentdate :list "date" "tag:example.com,2011:days"', True),
        ('valid_ext_list ":addrbook:default"', True),
        ('valid_ext_list [":addrbook:DEFAULT", "tag:example.com,2011:days"]', True),
        ('valid_ext_list [":addrbook:default", ":addrbook:other"]', False),
        ('valid_ext_list "no URI"', False),
    ],
)
def test_members(test: str, expect: bool):
    """A test is true when a value is in one of the lists."""
    assert outcome(Case("", f"{_R}if {test} {{ discard; }}", ""), Listing()) == ("discard" if expect else "keep")


def test_the_match_variable_is_the_member():
    """${0} is the value that was found (RFC 6134 §2.2)."""
    script = _R + 'if address :list ["to", "from"] ":addrbook:default" { fileinto "${0}"; }'

    assert outcome(Case("", script, ""), Listing()) == "into sender@example.com"


@pytest.mark.parametrize(
    ("script", "expect"),
    [
        ('if header :list :comparator "i;octet" "subject" ":addrbook:default" {}', "refused"),
        ('if header :list "subject" "no URI" {}', "error"),
        ('if header :list "subject" ":addrbook:other" {}', "error"),
        ('redirect :list "no URI";', "error"),
        ('redirect :list ":addrbook:other";', "error"),
    ],
)
def test_what_is_wrong(script: str, expect: str):
    """A comparator excludes :list, and a list that isn't there is an error (RFC 6134 §2.2, §2.3)."""
    assert outcome(Case("", _R + script, ""), Listing()) == expect


def test_redirect_to_a_list():
    """The action names the list by its one name; :copy keeps."""
    assert decide(_R + 'redirect :list ":ADDRBOOK:default";', host=Listing()).actions == (RedirectList(DEFAULT_BOOK),)
    assert decide(_R + 'redirect :copy :list ":addrbook:default";', host=Listing()).actions == (
        RedirectList(DEFAULT_BOOK),
        Keep(implicit=True),
    )
