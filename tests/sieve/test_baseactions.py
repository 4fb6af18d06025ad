"""Actions of RFC 5228 §4, the implicit keep, :copy (RFC 3894), control commands and flags (RFC 5232), with Pigeonhole beside."""

import pytest

from minijmap.sieve.actions import FileInto, Keep, RedirectList
from minijmap.sieve.host import AloneHost
from tests.sieve.trials import Case, agree, decide

F = 'require ["fileinto", "copy", "imap4flags", "variables", "relational", "comparator-i;ascii-numeric"];\n'
MERGES = "merges the flags of two stores in one mailbox another way"

CASES = [
    Case("nothing", "", "keep"),
    Case("a comment", "# nothing\r\n/* at\r\nall */", "keep"),
    Case("keep", "keep;", "keep"),
    Case("keep twice is once", "keep; keep;", "keep"),
    Case("discard", "discard;", "discard"),
    Case("discard and keep", "discard; keep;", "discard; keep"),
    Case("fileinto", F + 'fileinto "Work";', "into Work"),
    Case("fileinto twice the same", F + 'fileinto "Work"; fileinto "Work";', "into Work"),
    Case("fileinto two", F + 'fileinto "Work"; fileinto "Play";', "into Work; into Play"),
    Case("fileinto and keep", F + 'fileinto "Work"; keep;', "into Work; keep"),
    Case("fileinto a name in UTF-8", F + 'fileinto "Grüße";', "into Grüße"),
    Case("a mailbox without a name", F + 'fileinto "${nothing}";', "error", alone="files into a mailbox without a name"),
    Case("redirect", 'redirect "a@b.example";', "redirect a@b.example"),
    Case("redirect with a name", 'redirect "A. B <a@b.example>";', "redirect a@b.example"),
    Case("redirect twice the same", 'redirect "a@b.example"; redirect "a@b.example";', "redirect a@b.example"),
    Case("redirect and keep", 'redirect "a@b.example"; keep;', "redirect a@b.example; keep"),
    Case("redirect to no address", 'redirect "nobody";', "refused"),
    Case("redirect to several", 'redirect "a@b.example, c@d.example";', "refused"),
    Case("redirect to what turns out to be none", F + 'set "a" "x y"; redirect "${a}";', "error"),
    Case("redirect to a variable", F + 'set "a" "a@b.example"; redirect "${a}";', "redirect a@b.example"),
    Case("copy keeps", F + 'redirect :copy "a@b.example";', "redirect a@b.example; keep"),
    Case("copy into keeps", F + 'fileinto :copy "Work";', "into Work; keep"),
    Case("copy and discard", F + 'fileinto :copy "Work"; discard;', "into Work; discard"),
    Case("copy and another", F + 'redirect :copy "a@b.example"; fileinto "Work";', "redirect a@b.example; into Work"),
    Case("stop", "stop; discard;", "keep"),
    Case("stop inside", "if true { if true { stop; } } discard;", "keep"),
    Case("stop after an action", "discard; stop; keep;", "discard"),
    # if, elsif, else
    Case("if", "if true { discard; }", "discard"),
    Case("if not", "if false { discard; }", "keep"),
    Case("else", "if false { keep; } else { discard; }", "discard"),
    Case("elsif", F + 'if false { keep; } elsif true { discard; } else { fileinto "x"; }', "discard"),
    Case("the first of two", F + 'if true { fileinto "1"; } elsif true { fileinto "2"; }', "into 1"),
    Case("many elsif", F + 'if false {} elsif false {} elsif false {} elsif true { fileinto "4"; } else {}', "into 4"),
    Case("two chains", F + 'if true { fileinto "1"; } if true { fileinto "2"; } else { fileinto "3"; }', "into 1; into 2"),
    # text and quoting
    Case("a text", F + "fileinto text: # comment\r\nWork\r\n.\r\n;", "error", alone="takes the line end for part of the name"),
    Case("a quoted letter is itself", F + r'fileinto "W\o\rk";', "into Work"),
    Case("in any case", 'IF Header :CONTAINS "SUBJECT" "from" { DISCARD ; }', "discard"),
    # imap4flags, RFC 5232
    Case("flags of keep", F + r'keep :flags ["\\Seen", "$label1"];', r"keep [$label1 \seen]"),
    Case("flags of fileinto", F + r'fileinto :flags "\\Flagged \\Seen" "Work";', r"into Work [\flagged \seen]"),
    Case("setflag", F + r'setflag "\\Seen";', r"keep [\seen]"),
    Case("setflag replaces", F + r'setflag "\\Seen"; setflag "\\Flagged"; keep;', r"keep [\flagged]"),
    Case("addflag", F + r'addflag "\\Seen"; addflag ["\\Flagged", "\\SEEN"]; keep;', r"keep [\flagged \seen]"),
    Case("removeflag", F + r'addflag "a b c"; removeflag ["B", "x"]; keep;', "keep [a c]"),
    Case("spaces and empty strings", F + r'setflag ["", "  a   b  "]; keep;', "keep [a b]"),
    Case("what can't be set is left out", F + r'setflag ["\\Recent", "\\Odd", "a", "b(c", "ü"]; keep;', "keep [a]"),
    Case("flags given go before", F + r'setflag "x"; fileinto :flags "y" "Work";', "into Work [y]"),
    Case("no flags given", F + r'setflag "x"; fileinto :flags "" "Work";', "into Work"),
    Case("flags when it was executed", F + r'fileinto "Work"; setflag "x"; keep;', "into Work; keep [x]"),
    Case("the last flags win", F + r'keep :flags "a"; keep :flags "b";', "keep [b]", alone=MERGES),
    Case("a flag variable", F + r'setflag "v" "a"; addflag "v" "b A"; fileinto :flags "${v}" "Work";', "into Work [a b]"),
    Case("a variable set otherwise", F + r'set "v" "a b"; removeflag "v" "a"; keep :flags "${v}";', "keep [b]"),
    Case("hasflag", F + 'setflag "A B"; if hasflag :is "b A" { discard; }', "discard", alone="0.5.19 matches a list of keys only one by one"),
    Case("hasflag of a list", F + 'setflag "A B"; if hasflag ["x", "b"] { discard; }', "discard"),
    Case("hasflag not", F + 'setflag "A B"; if hasflag "c" { discard; }', "keep [a b]"),
    Case("hasflag of a variable", F + 'set "MyVar" "NonJunk Junk gnus-forward"; if hasflag :contains "MyVar" ["label", "forward"] { discard; }', "discard"),
    Case("hasflag of several", F + 'setflag "a" "x"; setflag "b" "y"; if hasflag ["a", "b"] "y" { discard; }', "discard"),
    Case("count of flags", F + 'setflag "v" "A B"; if hasflag :count "ge" :comparator "i;ascii-numeric" "v" "2" { discard; }', "discard"),
    Case("count of the internal variable", F + 'setflag "A B a"; if hasflag :count "eq" :comparator "i;ascii-numeric" "2" { discard; }', "discard"),
    # what is refused
    Case("fileinto not required", 'fileinto "Work";', "refused"),
    Case("copy not required", 'require "fileinto"; fileinto :copy "Work";', "refused"),
    Case("flags not required", 'keep :flags "a";', "refused"),
    Case("no argument", F + "fileinto;", "refused"),
    Case("one too many", F + 'fileinto "a" "b";', "refused"),
    Case("a list for a string", F + 'fileinto ["a"];', "refused"),
    Case("a number for a string", F + "fileinto 1;", "refused"),
    Case("a tag at the end", F + 'fileinto "a" :copy;', "refused"),
    Case("a tag twice", F + 'fileinto :copy :copy "a";', "refused"),
    Case("an unknown tag", F + 'fileinto :now "a";', "refused"),
    Case("else alone", "else { keep; }", "refused"),
    Case("elsif after else", "if true {} else {} elsif true {}", "refused"),
    Case("a command between", "if true {} keep; else {}", "refused"),
    Case("if without a test", "if { keep; }", "refused"),
    Case("if without a block", "if true;", "refused"),
    Case("keep with a block", "keep { keep; }", "refused"),
    Case("two tests for one", "if (true, false) { keep; }", "refused"),
    Case("not with a list", "if not (true) { keep; }", "refused"),
    Case("anyof without a list", "if anyof true { keep; }", "refused"),
    Case("a test with arguments too many", 'if true "a" { keep; }', "refused"),
    Case("a test for a command", 'header "a" "b";', "refused"),
    Case("a command for a test", "if keep { }", "refused"),
    Case("require too late", 'keep; require "fileinto";', "refused"),
    Case("require in a block", 'if true { require "fileinto"; }', "refused"),
    Case("require what is not there", 'require "vnd.example.nothing";', "refused"),
    Case("unknown command", "frobnicate;", "refused"),
    Case("no semicolon", "keep", "refused"),
    Case("an unknown variable of flags", 'require "imap4flags"; setflag "a" "b";', "refused"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_outcomes(case):
    """Each script decides what the RFCs say."""
    agree(case)


def test_implicit_keep_says_so():
    """RFC 5228 §2.10.2: the house can tell a keep that was asked for from one that was not."""
    assert decide("").actions == (Keep(implicit=True),)
    assert decide("keep;").actions == (Keep(),)


def test_implicit_keep_has_the_flags():
    """RFC 5232 §3: the internal variable also applies to the implicit keep."""
    assert decide(r'require "imap4flags"; setflag "\\Seen";').actions == (Keep(("\\Seen",), implicit=True),)


def test_where_fileinto_puts():
    """Create, mailbox id and special use reach the house as the script gave them."""
    script = r'require ["fileinto", "mailbox", "mailboxid", "special-use"];'

    assert decide(script + 'fileinto :create "a";').actions == (FileInto("a", create=True),)
    assert decide(script + 'fileinto :mailboxid "M1" :create "a";').actions == (
        FileInto("a", create=True, mailbox_id="M1"),
    )
    assert decide(script + r'fileinto :specialuse "\\Junk" "a";').actions == (FileInto("a", special_use="\\Junk"),)


def test_special_use_and_id_exclude_each_other():
    """RFC 9042 §4.2: both at once is an error."""
    script = r'require ["fileinto", "mailboxid", "special-use"]; fileinto :mailboxid "M1" :specialuse "\\Junk" "a";'

    agree(Case("both", script, "refused", alone="has no mailboxid"))


class Listing(AloneHost):
    """A host with one list."""

    def valid_list(self, uri):
        """There is that one."""
        return uri == "urn:ietf:params:sieve:addrbook:default"

    def in_list(self, uri, value):
        """It has one member."""
        return self.valid_list(uri) and value == "friend@example.com"


def test_redirect_to_a_list():
    """RFC 6134 §2.5: the members are the house's to find; a list that is not there is an error."""
    script = 'require ["extlists"]; redirect :list "%s";'

    found = decide(script % "urn:ietf:params:sieve:addrbook:default", host=Listing())
    assert found.actions == (RedirectList("urn:ietf:params:sieve:addrbook:default"),)
    assert decide(script % "tag:nobody").error is not None


def test_match_type_list():
    """RFC 6134 §2.3: a value matches when the list has it."""
    script = 'require ["extlists"]; if address :list "from" "urn:ietf:params:sieve:addrbook:default" { discard; }'

    assert decide(script, b"From: friend@example.com\r\n\r\n", host=Listing()).actions != (Keep(implicit=True),)
    assert decide(script, b"From: foe@example.com\r\n\r\n", host=Listing()).actions == (Keep(implicit=True),)
