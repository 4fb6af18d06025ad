"""A script of 50 rules over a message of 20 kB, in this process: what Sieve adds to a delivery."""

import time
from statistics import median

from minijmap.sieve.compiler import compile_script
from minijmap.sieve.host import AloneHost, Envelope
from minijmap.sieve.interpreter import run
from minijmap.sieve.message import Message

RULES, OCTETS, RUNS = 50, 20_000, 300
TESTS = (
    'address :is :all ["from", "sender"] ["user{n}@example.com", "other{n}@example.org"]',
    'header :contains "subject" ["offer {n}", "sale {n}"]',
    'header :matches ["list-id", "list-post"] "*<announce{n}.*>*"',
    'allof (address :domain "from" "d{n}.example", not header :contains ["to", "cc"] "me{n}@")',
    'anyof (size :over {n}1M, exists "X-Flag-{n}")',
)
HEADER = (
    b"Return-Path: <sender@somewhere.example>\r\n"
    + b"Received: from a.example by b.example (Postfix) with ESMTP id 4f9b2c1d7e\r\n for <me@example.org>;"
    b" Tue, 5 Mar 2024 09:10:11 +0100\r\n" * 6 + b"From: =?utf-8?q?J=C3=BCrgen?= <sender@somewhere.example>\r\n"
    b"To: Me <me@example.org>, You <you@example.org>,\r\n Them <them@example.net>\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus?= Berlin\r\n"
    b"List-ID: The list <list.example.org>\r\nDate: Tue, 5 Mar 2024 00:10:00 -0800\r\n\r\n"
)


def script() -> bytes:
    """Rules of every common kind, none of which is true, so that all of them are looked at."""
    rules = (
        f'if {TESTS[n % len(TESTS)].format(n=n)} {{ addflag "k{n}"; fileinto "Folder {n}"; stop; }}'
        for n in range(RULES)
    )
    return "\n".join(('require ["fileinto", "imap4flags"];', *rules)).encode()


def fifty_rules() -> float:
    """Milliseconds that the script takes over a message that nobody has parsed before, the median."""
    program, envelope, host = compile_script(script()), Envelope("a@b.example", "me@example.org"), AloneHost()
    raw = HEADER + b"Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy.\r\n" * (OCTETS // 75)
    took = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run(program, Message(raw), envelope, host)
        took.append(time.perf_counter() - started)
    return median(took) * 1000
