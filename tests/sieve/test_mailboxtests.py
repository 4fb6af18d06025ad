"""Tests about mailboxes and the server (RFC 5490, RFC 8579, RFC 9042), asked of a host that has some."""

import pytest

from minijmap.sieve.actions import FileInto
from minijmap.sieve.host import AloneHost
from tests.sieve.trials import Case, agree, decide, outcome

_R = 'require ["mailbox", "mboxmetadata", "servermetadata", "special-use", "variables", "fileinto", "relational"];\n'
_I = 'require ["mailboxid", "mailbox", "special-use", "fileinto", "variables"];\n'

CASES = [
    Case(
        "the Inbox is there",
        _R + 'if mailboxexists "INBOX" { discard; }',
        "discard",
        alone="sieve-test has no mailboxes unless it executes",
    ),
    Case("no other is", _R + 'if mailboxexists ["INBOX", "No"] { discard; }', "keep"),
    Case("no special use", _R + 'if specialuse_exists "\\\\Junk" { discard; }', "keep"),
    Case("no special use of it", _R + 'if specialuse_exists "INBOX" "\\\\Junk" { discard; }', "keep"),
    Case(
        "no annotation",
        _R + 'if metadata "INBOX" "/private/comment" "" { discard; }',
        "keep",
        alone="Pigeonhole fails without a metadata store",
    ),
    Case(
        "no annotation is there",
        _R + 'if metadataexists "INBOX" ["/private/comment"] { discard; }',
        "keep",
        alone="Pigeonhole fails without a metadata store",
    ),
    Case(
        "no server annotation",
        _R + 'if servermetadata :matches "/private/comment" "*" { discard; }',
        "keep",
        alone="Pigeonhole fails without a metadata store",
    ),
    Case(
        "no server annotation is there",
        _R + 'if servermetadataexists "/private/comment" { discard; }',
        "keep",
        alone="Pigeonhole fails without a metadata store",
    ),
    Case("metadata has three arguments", _R + 'if metadata "INBOX" "/private/comment" { discard; }', "refused"),
    Case("mailboxexists needs require", 'if mailboxexists "INBOX" { discard; }', "refused"),
    Case("metadata needs require", 'require "servermetadata"; if metadata "a" "b" "c" { discard; }', "refused"),
    Case("specialuse_exists needs require", 'if specialuse_exists "x" { discard; }', "refused"),
    Case("mailboxidexists needs require", 'if mailboxidexists "x" { discard; }', "refused"),
    Case("mailbox id or special use", _I + 'fileinto :mailboxid "M1" :specialuse "\\\\Junk" "A";', "refused"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forms(case: Case):
    """What is decided is what the RFC says, and what Pigeonhole decides."""
    agree(case)


class Furnished(AloneHost):
    """A host with mailboxes, uses, ids and annotations."""

    MAILBOXES = {"INBOX": (), "Spam": ("\\Junk",), "Old/Mail": ("\\Archive", "\\All")}
    ANNOTATIONS = {("INBOX", "/private/comment"): "mine", (None, "/shared/admin"): "mailto:a@b.example"}

    def mailbox_exists(self, name: str) -> bool:
        """Whether it is one of the three."""
        return name in self.MAILBOXES

    def mailbox_id_exists(self, mailbox_id: str) -> bool:
        """There are two ids."""
        return mailbox_id in {"M1", "M2"}

    def special_use_exists(self, use: str, mailbox: str | None) -> bool:
        """Whether the mailbox, or any, has the use."""
        return any(use in uses for name, uses in self.MAILBOXES.items() if mailbox in {None, name})

    def metadata(self, mailbox: str | None, name: str) -> str | None:
        """One annotation of a mailbox and one of the server."""
        return self.ANNOTATIONS.get((mailbox, name))


@pytest.mark.parametrize(
    ("test", "expect"),
    [
        ('mailboxexists ["INBOX", "Old/Mail"]', True),
        ('mailboxexists ["INBOX", "Older"]', False),
        ('mailboxexists "${n}"', True),
        ('mailboxidexists ["M1", "M2"]', True),
        ('mailboxidexists ["M1", "M3"]', False),
        ('specialuse_exists "\\\\Junk"', True),
        ('specialuse_exists ["\\\\Junk", "\\\\Archive"]', True),
        ('specialuse_exists ["\\\\Junk", "\\\\Sent"]', False),
        ('specialuse_exists "Spam" "\\\\Junk"', True),
        ('specialuse_exists "Spam" ["\\\\Junk", "\\\\Archive"]', False),
        ('specialuse_exists "Old/Mail" ["\\\\All", "\\\\Archive"]', True),
        ('specialuse_exists "Nowhere" "\\\\Junk"', False),
        ('metadata "INBOX" "/private/comment" ["other", "MINE"]', True),
        ('metadata :contains "INBOX" "/private/comment" "ine"', True),
        ('metadata "Spam" "/private/comment" "mine"', False),
        ('metadata :count "eq" "INBOX" "/private/comment" "1"', True),
        ('metadataexists "INBOX" "/private/comment"', True),
        ('metadataexists "INBOX" ["/private/comment", "/private/x"]', False),
        ('servermetadata :matches "/shared/admin" "mailto:*"', True),
        ('servermetadata "/private/comment" "mine"', False),
        ('servermetadataexists ["/shared/admin"]', True),
        ('servermetadataexists ["/shared/admin", "/shared/x"]', False),
    ],
)
def test_what_the_host_has(test: str, expect: bool):
    """Every test asks the host, and all names must be there."""
    require = (
        'require ["mailbox", "mboxmetadata", "servermetadata", "special-use", "mailboxid", "variables", "relational"];'
    )
    script = f'{require} set "n" "Spam"; if {test} {{ discard; }}'

    assert outcome(Case("", script, ""), Furnished()) == ("discard" if expect else "keep")


def test_a_mailbox_is_made_when_either_asks_for_it():
    """Of two fileinto with one mailbox, one is left, and it makes the mailbox if one of them said so (RFC 5490 §3.2)."""
    for first, second in ((":create", ""), ("", ":create")):
        (action,) = decide(f'{_R}fileinto {first} "A"; fileinto {second} "A";').actions

        assert action == FileInto("A", create=True)
