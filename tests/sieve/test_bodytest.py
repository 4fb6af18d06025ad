"""The test "body" (RFC 5173)."""

import pytest

from tests.sieve.trials import Case, agree, decide

# RFC 5173 §5.2, the example.
NESTED = b"""\
From: Whomever
To: Someone
Date: Tue, 5 Mar 2024 00:10:00 -0800
Subject: whatever
Content-Type: multipart/mixed; boundary=outer

This is a multi-part message in MIME format.

--outer
Content-Type: multipart/alternative; boundary=inner

This is a nested multi-part message in MIME format.

--inner
Content-Type: text/plain; charset="us-ascii"

Hello

--inner
Content-Type: text/html; charset="us-ascii"

<html><body>Hello <b>bold</b></body></html>

--inner--

This is the end of the inner MIME multipart.

--outer
Content-Type: message/rfc822

From: Someone Else
Subject: hello request

Please say Hello

--outer--

This is the end of the outer MIME multipart.
""".replace(b"\n", b"\r\n")

CODED = """\
From: a@example.com
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

na=EFve ca=
f=E9
--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

Z3LDvMOfZQBudWxs
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<p title="x">mark<b>up</b> &amp; more</p><script>hidden</script>
--b
Content-Type: audio/mp3
Content-Transfer-Encoding: base64

AAEC
--b--
""".replace("\n", "\r\n").encode()
HEADER_ALONE = b"From: a@example.com\r\nSubject: nothing\r\n"

_R = 'require ["body", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];\n'


def _body(what: str, test: str, expect: str = "into yes", message: bytes = NESTED, alone: str = "") -> Case:
    return Case(what, f'{_R}if {test} {{ fileinto "yes"; }}', expect, message, alone)


CASES = [
    # --- :raw
    _body("raw has the structure", 'body :raw :contains "--inner--"'),
    _body("raw has inner headers", 'body :raw :contains "Subject: hello"'),
    _body("raw has no outer header", 'body :raw :contains "whatever"', "keep"),
    _body("raw is not decoded", 'body :raw :contains "na=EFve"', message=CODED),
    _body("raw is one string", 'body :raw :matches "This is a multi*outer MIME multipart.*"'),
    _body("default is :is of all", 'body :raw "Hello"', "keep"),
    # --- :content
    _body("multipart prologue", 'body :content "multipart" :contains "nested multi-part message"'),
    _body(
        "multipart epilogue",
        'body :content "multipart" :contains "end of the inner"',
    ),
    _body("outer epilogue", 'body :content "multipart/mixed" :contains "end of the outer"'),
    _body("multipart has no parts", 'body :content "multipart" :contains "Hello"', "keep"),
    _body("prologue and epilogue are two", 'body :content "multipart/mixed" :contains "format.*end"', "keep"),
    _body("plain", 'body :content "text/plain" :contains "Please say"'),
    _body("plain alone", 'body :content "text/plain" :contains "<html>"', "keep"),
    _body("html", 'body :content "text/html" :contains "<b>bold</b>"'),
    _body("any text", 'body :content "text" :contains "<html>"'),
    _body(
        "enclosed header",
        'body :content "message/rfc822" :contains "Subject: hello request"',
    ),
    _body("enclosed header has no body", 'body :content "message/rfc822" :contains "Please"', "keep"),
    _body("every type", 'body :content "" :contains "Please"'),
    _body("a slash too much", 'body :content "text/plain/x" :contains "Hello"', "keep"),
    _body("slash at the end", 'body :content "text/" :contains "Hello"', "keep"),
    _body("slash at the start", 'body :content "/plain" :contains "Hello"', "keep"),
    _body("several types", 'body :content ["x", "text/html"] :contains "bold"'),
    _body("types in any case", 'body :content "TEXT/HTML" :contains "bold"'),
    _body("existence", 'body :content "audio/mp3" :contains ""', message=CODED),
    _body("no existence", 'body :content "video" :contains ""', "keep", CODED),
    _body("quoted-printable and latin-1", 'body :content "text" :contains "naïve café"', message=CODED),
    _body("base64, across a NUL", 'body :content "text" :contains "null"', message=CODED),
    _body("base64", 'body :content "text" :contains "grüße"', message=CODED),
    _body("not across parts", 'body :content "text" :matches "*café*grüße*"', "keep", CODED),
    # --- :text
    _body("text is the default", 'body :contains "Please say Hello"'),
    _body("text of html", 'body :text :contains "Hello bold"'),
    _body("no markup", 'body :text :contains "<b>"', "keep"),
    _body("entities", 'body :text :contains "markup & more"', message=CODED, alone="Pigeonhole parts words at tags"),
    _body("no scripts", 'body :text :contains "hidden"', "keep", CODED),
    _body("no other media", 'body :text :matches "*\\\\0*"', "keep", CODED),
    # --- nothing there
    _body(
        "a header alone has no body",
        'body :raw :contains ""',
        "keep",
        HEADER_ALONE,
    ),
    _body("an empty body is one", 'body :raw ""', message=HEADER_ALONE + b"\r\n", alone="Pigeonhole sees none"),
    # --- match types
    _body("count of parts", 'body :content "text" :count "eq" "3"', message=NESTED),
    _body("value", 'body :raw :value "ge" :comparator "i;ascii-numeric" "41"', message=HEADER_ALONE + b"\r\n42"),
    Case(
        "no match variables",
        _R + 'if string :matches "abc" "a*" {} if body :raw :matches "This*" { fileinto "x${1}"; }',
        "into xbc",
        NESTED,
    ),
    Case(
        "of the edited message",
        'require ["body", "replace"]; replace "other"; if body :contains "other" { keep; }',
        "keep",
        NESTED,
        "Pigeonhole has no replace",
    ),
    _body("one transform", 'body :raw :text "x"', "refused"),
    Case("needs require", 'if body "x" { keep; }', "refused"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_body(case: Case):
    """What a transform takes is what the RFC says, and what Pigeonhole takes."""
    agree(case)


def test_epilogue_of_the_last_part():
    """A multipart that is the last part ends where its parent's last delimiter is."""
    message = NESTED.replace(
        b"--outer\r\nContent-Type: message/rfc822\r\n\r\nFrom: Someone Else\r\nSubject: hello request\r\n\r\nPlease say Hello\r\n\r\n",
        b"",
    )
    script = 'require ["body", "variables", "fileinto", "foreverypart"];\n'
    for text, there in (("This is the end of the inner MIME multipart.\r\n", True), ("the outer", False)):
        result = decide(script + f'if body :content "multipart/alternative" :contains "{text}" {{ discard; }}', message)

        assert bool([one for one in result.actions if type(one).__name__ == "Discard"]) is there


def test_texts_are_made_once():
    """Fifty tests read a body once: the second reading costs next to nothing."""
    body = b"".join(b"line %d of a long text\r\n" % number for number in range(20_000))
    message = b"Content-Type: text/html\r\n\r\n" + body
    script = 'require "body";\n' + "".join(f'if body :text :contains "nothing{n}" {{ discard; }}\n' for n in range(50))

    assert decide(script, message).error is None
