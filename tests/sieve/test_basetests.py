"""The tests of RFC 5228 §5, relational, subaddress and comparators: scripts over messages, with Pigeonhole beside."""

import pytest

from minijmap.sieve.host import Envelope
from tests.sieve.trials import Case, agree, decide

MESSAGE = b"""\
From: "Coyote, Wile E." <Coyote+Plans@Desert.Example.ORG>
To: Roadrunner <roadrunner@acme.example.com>, "The Boss"
 <boss@example.net>
Cc: Friends: a@one.example, b@two.example;
Sender: not an address
Subject: [acme-users] [fwd] version 1.0 is out
X-Caffeine: C8H10N4O2
X-Empty:
X-Priority: 3
X-Star: 100* \\ sure?
X-Spaces:   padded value\t
X-Folded: one
 two
X-Utf8: =?utf-8?q?=C3=A9t=C3=A9?=
X-Latin: =?iso-8859-1?q?M=FCnchen?=
Received: one
Received: two
Received: three
List-ID: Announcements <announce.lists.example.org>

body
""".replace(b"\n", b"\r\n")


def yes(what, test, require="", **more):
    """A case whose test is true: the message goes to “yes”."""
    return _case(what, test, require, "into yes", **more)


def no(what, test, require="", **more):
    """A case whose test is false: the message is kept."""
    return _case(what, test, require, "keep", **more)


def _case(what, test, require, expect, message=MESSAGE, **more):
    capabilities = ", ".join(f'"{capability}"' for capability in ["fileinto", *require.split()])
    return Case(what, f'require [{capabilities}]; if {test} {{ fileinto "yes"; }}', expect, message, **more)


REGISTERED = "comparator-i;ascii-numeric"
UNICODE = "comparator-i;unicode-casemap"
NULL = Envelope("", "user+detail@example.org")
DETAILED = Envelope("Owner@Example.com", "user+detail+more@example.org")

CASES = [
    yes("true", "true"),
    no("false", "false"),
    yes("not", "not false"),
    yes("not not", "not not true"),
    yes("allof", "allof (true, true)"),
    no("allof, one false", "allof (true, false, true)"),
    yes("anyof", "anyof (false, true)"),
    no("anyof, none", "anyof (false, false)"),
    yes("anyof of one", "anyof (true)"),
    yes("nested", "allof (not allof (true, false), anyof (false, not false))"),
    # header, RFC 5228 §5.7
    no("header is, not empty", 'header :is "X-Caffeine" ""'),
    yes("header contains the empty key", 'header :contains "X-Caffeine" ""'),
    no("a missing header matches nothing", 'header :contains "X-Nothing" ""'),
    yes("the empty header is empty", 'header :is "X-Empty" ""'),
    yes("header names in any case", 'header :is "x-CAFFEINE" "C8H10N4O2"'),
    yes("is by default", 'header "X-Caffeine" "c8h10n4o2"'),
    no("octets differ by case", 'header :comparator "i;octet" "X-Caffeine" "c8h10n4o2"'),
    yes("one of several names", 'header ["Nope", "X-Caffeine"] ["x", "c8h10n4o2"]'),
    yes("spaces around are ignored", 'header :is "X-Spaces" "padded value"'),
    yes("a folded field", 'header :is "X-Folded" "one two"'),
    yes("encoded words are decoded", 'header :is "X-Utf8" "été"'),
    yes("other charsets", 'header :contains "X-Latin" "ünchen"'),
    no("ascii-casemap leaves É alone", 'header :is "X-Utf8" "ÉTÉ"'),
    yes("unicode-casemap doesn't", 'header :is :comparator "i;unicode-casemap" "X-Utf8" "ÉTÉ"', UNICODE, alone="not in 0.5.19"),
    yes("contains", 'header :contains "Subject" "VERSION"'),
    no("contains not", 'header :contains "Subject" "versions"'),
    no("a name with a colon is no name", 'header :contains "Subject:" ""'),
    no("nor is an empty one", 'header :contains "" ""'),
    # matches
    yes("matches all", 'header :matches "Subject" "*"'),
    no("matches the whole value", 'header :matches "Subject" "version"'),
    yes("question marks", 'header :matches "X-Caffeine" "c?h10n4?2"'),
    no("each is one", 'header :matches "X-Caffeine" "C8H10N4O2?"'),
    yes("star may be empty", 'header :matches "X-Caffeine" "*C8H10N4O2*"'),
    yes("quoted star", r'header :matches "X-Star" "*\\* *"'),
    no("quoted star is no wildcard", r'header :matches "X-Caffeine" "C8\\*"'),
    yes("quoted backslash", r'header :matches "X-Star" "100\\* \\\\ sure\\?"'),
    yes("a last star and an overlap", 'header :matches "X-Caffeine" "*8*O2"'),
    no("parts must not overlap", 'header :matches "X-Caffeine" "C8H10*0N4O2"'),
    yes("absent or empty", 'not header :matches ["X-Empty", "Nope"] "?*"'),
    yes("two octets for é", 'header :matches "X-Utf8" "??t??"'),
    no("and not one", 'header :matches "X-Utf8" "?t?"'),
    yes("one character under unicode", 'header :matches :comparator "i;unicode-casemap" "X-Utf8" "?T?"', UNICODE, alone="not in 0.5.19"),
    # address, RFC 5228 §5.1
    yes("all", 'address :all "from" "coyote+plans@desert.example.org"'),
    yes("localpart", 'address :localpart "from" "coyote+plans"'),
    yes("domain", 'address :domain "from" "desert.example.org"'),
    no("never the name", 'address :contains "from" "wile"'),
    yes("in a folded list", 'address :is "to" "boss@example.net"'),
    yes("inside of a group", 'address :domain :is "cc" "two.example"'),
    no("never the group's name", 'address :contains "cc" "friends"'),
    no("what is no address has no domain", 'address :domain :contains "sender" ""'),
    yes("user", 'address :user "from" "coyote"', "subaddress"),
    yes("detail", 'address :detail "from" "plans"', "subaddress"),
    no("no detail matches nothing", 'address :detail :contains "to" ""', "subaddress"),
    yes("user without detail", 'address :user "to" "boss"', "subaddress"),
    no("a group in the resent fields that isn't there", 'address :contains "resent-to" ""'),
    # envelope, RFC 5228 §5.4
    yes("envelope from", 'envelope "FROM" "owner@example.com"', "envelope", envelope=DETAILED),
    yes("envelope to", 'envelope :localpart "to" "user+detail+more"', "envelope", envelope=DETAILED),
    yes("detail from the first separator on", 'envelope :detail "to" "detail+more"', "envelope subaddress", envelope=DETAILED),
    yes("the null path is empty", 'envelope :is "from" ""', "envelope", envelope=NULL, alone="sieve-test takes no null path"),
    yes("whatever part is asked for", 'envelope :domain :is "from" ""', "envelope", envelope=NULL, alone="sieve-test takes no null path"),
    yes("a source route is dropped", 'envelope :is "from" "a@b.example"', "envelope", envelope=Envelope("@x,@y:a@b.example", "u@example.org"), alone="sieve-test takes no route"),
    # exists and size
    yes("exists", 'exists ["From", "x-empty"]'),
    no("all of them", 'exists ["From", "X-Nothing"]'),
    yes("size over", f"size :over {len(MESSAGE) - 1}"),
    no("size exactly is not over", f"size :over {len(MESSAGE)}"),
    no("nor under", f"size :under {len(MESSAGE)}"),
    yes("size under", f"size :under {len(MESSAGE) + 1}"),
    no("kibi", "size :over 1K"),
    yes("mebi", "size :under 1m"),
    # relational, RFC 5231
    yes("count", 'header :count "eq" :comparator "i;ascii-numeric" "received" "3"', f"relational {REGISTERED}"),
    yes("counts are added", 'header :count "ge" :comparator "i;ascii-numeric" ["received", "subject"] "4"', f"relational {REGISTERED}"),
    yes("count of none", 'header :count "lt" :comparator "i;ascii-numeric" "nope" "1"', f"relational {REGISTERED}"),
    yes("addresses", 'address :count "eq" :comparator "i;ascii-numeric" ["to", "cc"] ["4"]', f"relational {REGISTERED}"),
    no("as text 3 is more than 20", 'header :count "lt" "received" "20"', "relational"),
    yes("value", 'header :value "lt" :comparator "i;ascii-numeric" "x-priority" "20"', f"relational {REGISTERED}"),
    yes("value as text", 'header :value "gt" "x-priority" "20"', "relational"),
    yes("from after M", 'address :value "lt" :all :comparator "i;ascii-casemap" "from" "M"', "relational"),
    yes("what is no number is the largest", 'header :value "gt" :comparator "i;ascii-numeric" "subject" "999999"', f"relational {REGISTERED}"),
    yes("numbers of any size", 'header :value "gt" :comparator "i;ascii-numeric" "x-large" "18446744073709551616"', f"relational {REGISTERED}", message=b"X-Large: 18446744073709551617\r\n\r\n"),
    yes("numeric equality", 'header :is :comparator "i;ascii-numeric" "x-priority" "003"', REGISTERED),
    yes("ne", 'header :value "ne" "x-priority" "4"', "relational"),
    yes("envelope counts", 'envelope :count "eq" :comparator "i;ascii-numeric" ["from", "to"] "2"', f"envelope relational {REGISTERED}", envelope=DETAILED),
    yes("the null path doesn't", 'envelope :count "eq" :comparator "i;ascii-numeric" "from" "0"', f"envelope relational {REGISTERED}", envelope=NULL, alone="sieve-test takes no null path"),
    # environment, RFC 5183
    yes("name", 'environment :matches "name" "*"', "environment"),
    no("unknown item", 'environment :contains "vnd.nobody.thing" ""', "environment"),
    # regex
    yes("regex", r'header :regex "subject" "^\\[[a-z-]+\\] "', "regex"),
    no("regex at the end", r'header :regex "subject" "version$"', "regex"),
    yes("regex folds case", 'header :regex "x-caffeine" "^(c8|h10)+.*o2$"', "regex"),
    no("regex by octet", 'header :regex :comparator "i;octet" "x-caffeine" "c8"', "regex"),
]  # fmt: skip

REFUSED = [
    ("address of a field without addresses", 'address "subject" "x"', ""),
    ("unknown envelope part", 'envelope "cc" "x"', "envelope"),
    ("contains with numbers", 'header :contains :comparator "i;ascii-numeric" "a" "1"', REGISTERED),
    ("comparator not required", 'header :comparator "i;ascii-numeric" "a" "1"', ""),
    ("unknown comparator", 'header :comparator "i;klingon" "a" "1"', ""),
    ("two match types", 'header :is :contains "a" "1"', ""),
    ("two address parts", 'address :all :domain "from" "1"', ""),
    ("unknown relation", 'header :count "more" "a" "1"', "relational"),
    ("size of neither kind", "size 100", ""),
    ("size of both kinds", "size :over :under 100", ""),
    ("a broken expression", 'header :regex "a" "(b"', "regex"),
    ("relational not required", 'header :count "eq" "a" "1"', ""),
    ("subaddress not required", 'address :user "from" "1"', ""),
    ("envelope not required", 'envelope "from" "1"', ""),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_outcomes(case):
    """Each test of a message comes out as the RFCs say."""
    agree(case)


@pytest.mark.parametrize(("what", "test", "require"), REFUSED)
def test_refused(what, test, require):
    """What can't be right in a test is found before any message comes."""
    agree(_case(what, test, require, "refused"))


def test_envelope_parts_of_a_dsn_request():
    """RFC 6009: with envelope-dsn, what the sender asked about notifications can be tested; else it is unknown."""
    envelope = Envelope("a@b.example", "u@example.org", {"notify": "SUCCESS,DELAY", "ret": "HDRS", "envid": "QQ314159"})
    script = 'require ["envelope", "envelope-dsn"]; if %s { discard; }'

    def true(test):
        return decide(script % test, MESSAGE, envelope=envelope).actions != decide("keep;", MESSAGE).actions and any(
            type(action).__name__ == "Discard" for action in decide(script % test, MESSAGE, envelope=envelope).actions
        )

    assert true('envelope "notify" "delay"')
    assert true('envelope "notify" "SUCCESS"')
    assert true('envelope "ret" "hdrs"')
    assert true('envelope :contains "envid" "314"')
    assert not true('envelope :contains "orcpt" ""')
