"""Running whole scripts: the examples of the RFCs over several messages, with Pigeonhole beside, and what a run tells."""

import pytest

from minijmap.sieve.compiler import compile_script
from minijmap.sieve.host import AloneHost, Envelope
from minijmap.sieve.interpreter import run
from minijmap.sieve.limits import Limits
from minijmap.sieve.message import Message
from tests.sieve.trials import PLAIN, Case, agree, decide

A = b"""\
Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)
From: coyote@desert.example.org
To: roadrunner@acme.example.com
Subject: I have a present for you

Look, I'm sorry about the whole anvil thing, and I really
didn't mean to try and drop it on you from the top of the
cliff.
""".replace(b"\n", b"\r\n")

B = b"""\
From: youcouldberich!@reply-by-postal-mail.invalid
Sender: b1ff@de.res.example.com
To: rube@landru.example.com
Date:  Mon, 31 Mar 1997 18:26:10 -0800
Subject: $$$ YOU, TOO, CAN BE A MILLIONAIRE! $$$

YOU MAY HAVE ALREADY WON TEN MILLION DOLLARS, BUT I DOUBT
IT!
""".replace(b"\n", b"\r\n")

LIST = b"Sender: owner-ietf-mta-filters@imc.org\r\nSubject: x\r\n\r\n"
MONEY = b"To: me@example.com\r\nSubject: make a lot of money very fast today\r\n\r\n"
OTHER = b"To: me@example.com\r\nSubject: lunch\r\n\r\n"
COMPANY = b"From: boss@example.com\r\nTo: staff@example.org\r\nSubject: x\r\n\r\n"

EXTENDED = """\
require ["fileinto"];
if header :is "Sender" "owner-ietf-mta-filters@imc.org"
        {
        fileinto "filter";  # move to "filter" mailbox
        }
elsif address :DOMAIN :is ["From", "To"] "example.com"
        {
        keep;               # keep in "In" mailbox
        }
elsif anyof (NOT address :all :contains
               ["To", "Cc", "Bcc"] "me@example.com",
             header :matches "subject"
               ["*make*money*fast*", "*university*dipl*mas*"])
        {
        fileinto "spam";   # move to "spam" mailbox
        }
else
        {
        fileinto "personal";
        }
"""
TO_ME = EXTENDED.replace('["From", "To"] "example.com"', '"From" "example.com"')
FLAGS = """\
require ["fileinto", "imap4flags", "variables"];
if size :over 100
        {
        addflag "MyFlags" "Big";
        if header :is "From" "coyote@desert.example.org"
                   {
                   addflag "MyFlags" "\\\\Flagged";
                   }
        fileinto :flags "${MyFlags}" "Big messages";
        }
if header :is "From" "grandma@example.net"
        {
        addflag "MyFlags" ["\\\\Answered", "$MDNSent"];
        fileinto :flags "${MyFlags}" "GrandMa";
        }
"""

CASES = [
    # RFC 5228 §3.1
    *(
        Case(
            f"the first example of if, {name}",
            'require "fileinto"; if header :contains "from" "coyote" { discard; }\n'
            'elsif header :contains ["subject"] ["$$$"] { discard; } else { fileinto "INBOX.x"; }',
            expect,
            message,
        )
        for name, message, expect in [("A", A, "discard"), ("B", B, "discard"), ("another", OTHER, "into INBOX.x")]
    ),
    *(
        Case(
            f"the second example of if, {name}",
            'if header :contains ["From"] ["coyote"] { redirect "acm@example.com"; }\n'
            'elsif header :contains "Subject" "$$$" { redirect "postmaster@example.com"; }\n'
            'else { redirect "field@example.com"; }',
            f"redirect {who}@example.com",
            message,
        )
        for name, message, who in [("A", A, "acm"), ("B", B, "postmaster"), ("another", OTHER, "field")]
    ),
    # RFC 5228 §9
    Case("the extended example, a list", EXTENDED, "into filter", LIST),
    Case("the extended example, the company", EXTENDED, "keep", COMPANY),
    Case("the extended example, not to me", EXTENDED, "into spam", B),
    Case("the extended example, money", TO_ME, "into spam", MONEY),
    Case("the extended example, to me", TO_ME, "into personal", OTHER),
    # RFC 5232 §9
    Case("flags, big and flagged", FLAGS, r"into Big messages [\flagged big]", A),
    Case("flags, big", FLAGS, "into Big messages [big]", B),
    Case("flags, small", FLAGS, r"into GrandMa [$mdnsent \answered]", b"From: grandma@example.net\r\n\r\n"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_examples_of_the_rfcs(case):
    """The long examples do what the RFCs say they do."""
    agree(case)


def told(script, message=PLAIN):
    """What a run tells, line by line, deeper things further to the right."""
    return [f"{line.line} {'  ' * line.depth}{line.text}" for line in decide(script, message).trace]


def test_a_run_tells_what_it_decides_and_why():
    """Each test with the values it looked at and how it came out, each action, in their order."""
    script = (
        'require "fileinto";\n'
        'if allof (header :contains "subject" "from", not exists "X-None") {\n'
        '    fileinto "Work";\n'
        "}\n"
        "stop;\n"
    )

    assert told(script) == [
        "2   allof (…) → true",
        '2     header :contains "subject" "from" → true',
        "2       value: “Grüße from here”",
        "2     not exists … → true",
        '2       exists "X-None" → false',
        '3 fileinto "Work"',
        "5 stop",
    ]


def test_a_run_tells_of_its_error():
    """The line at which it failed, and what follows from that."""
    lines = told('require "ihave";\nerror "so";')

    assert lines == ["2 error, the message is kept: so"]


def test_a_script_that_is_not_asked_tells_nothing():
    """Tracing belongs to the compiled script; without it a run keeps no lines."""
    program = compile_script(b'if header "subject" "x" { discard; }')

    assert run(program, Message(PLAIN), Envelope(), AloneHost()).trace == ()


def test_what_is_told_has_an_end():
    """A long run tells the beginning."""
    program = compile_script(b"keep;" * 100, tracing=True)

    assert len(run(program, Message(PLAIN), Envelope(), AloneHost(), Limits(trace=10)).trace) == 10
