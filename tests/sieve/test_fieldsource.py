"""Where header, address and exists look: :mime, :anychild and their options (RFC 5703 §4), :index and :last (RFC 5260 §6)."""

import pytest

from tests.sieve.trials import Case, agree

MIXED = b"""\
From: a@example.com
To: b@example.org
Subject: outer
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=o
Content-From: outer@example.com

--o
Content-Type: text/plain; charset=utf-8
Content-Disposition: inline

hello
--o
Content-Type: application/pdf; name*=utf-8''%e2%82%ac%20rates.pdf
Content-Disposition: attachment; filename="=?utf-8?q?=E2=82=AC?= important.pdf"
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-From: part@example.com

x
--o
Content-Type: message/rfc822

From: inner@example.com
Subject: inner
Content-Type: text/html

<b>x</b>
--o--
"""

_R = 'require ["mime", "foreverypart", "fileinto", "variables", "relational", "comparator-i;ascii-numeric", "index"];\n'


def _mime(what: str, test: str, expect: str = "into yes", message: bytes = MIXED, alone: str = "") -> Case:
    return Case(what, f'{_R}if {test} {{ fileinto "yes"; }}', expect, message, alone)


CASES = [
    _mime("type of the top", 'header :mime :type "Content-Type" "multipart"'),
    _mime("the top alone", 'header :mime :contenttype "Content-Type" "text/html"', "keep"),
    _mime("any child", 'header :mime :anychild :contenttype "Content-Type" "text/html"'),
    _mime("any child has the top too", 'header :mime :anychild :contenttype "Content-Type" "multipart/mixed"'),
    _mime("subtype", 'header :mime :anychild :subtype "Content-Type" "pdf"'),
    _mime("type is lower-cased by the comparator", 'header :mime :anychild :type "CONTENT-TYPE" "APPLICATION"'),
    _mime("disposition as type", 'header :mime :anychild :type "Content-Disposition" "attachment"'),
    _mime("disposition as contenttype", 'header :mime :anychild :contenttype "Content-Disposition" "attachment"'),
    _mime("disposition has no subtype", 'header :mime :anychild :subtype "Content-Disposition" "attachment"', "keep"),
    _mime("another field is blank", 'header :mime :anychild :type "Content-MD5" ""'),
    _mime("parameter", 'header :mime :anychild :param "charset" "Content-Type" "utf-8"'),
    _mime("parameter of a list", 'header :mime :anychild :param ["no", "CHARSET"] "Content-Type" "utf-8"'),
    _mime("RFC 2231 parameter", 'header :mime :anychild :param "name" "Content-Type" "€ rates.pdf"'),
    _mime(
        "RFC 2047 in a parameter",
        'header :mime :anychild :param "filename" "Content-Disposition" "€ important.pdf"',
    ),
    _mime("no such parameter", 'header :mime :anychild :param "x" "Content-Type" "*"', "keep"),
    _mime("count of types", 'header :mime :anychild :type :count "eq" "Content-Type" "5"'),
    _mime(
        "count of parameters",
        'header :mime :anychild :param "filename" :count "eq" "Content-Disposition" "1"',
        alone="Pigeonhole counts fields without the parameter, RFC 5703 §4.1 parameters that were found",
    ),
    _mime("whole value of a part", 'header :mime :anychild "Content-MD5" "Q2hlY2sgSW50ZWdyaXR5IQ=="'),
    _mime("enclosed header", 'header :mime :anychild "Subject" "inner"'),
    _mime("without :mime the top alone", 'header "Content-MD5" "Q2hlY2sgSW50ZWdyaXR5IQ=="', "keep"),
    _mime("address in a part", 'address :mime :anychild "from" "inner@example.com"'),
    _mime("address of the top", 'address :mime "from" "a@example.com"'),
    _mime("address not in the top", 'address :mime "from" "inner@example.com"', "keep"),
    _mime(
        "any field may have addresses",
        'address :mime "content-from" "outer@example.com"',
        alone="Pigeonhole refuses it; RFC 5703 §4.2 has it as its example",
    ),
    _mime("exists in a part", 'exists :mime :anychild "content-md5"'),
    _mime("not at the top", 'exists :mime "content-md5"', "keep"),
    _mime("exists, all of them somewhere", 'exists :mime :anychild ["content-md5", "content-disposition"]'),
    _mime(":anychild needs :mime", 'header :anychild "x" "y"', "refused"),
    _mime(":type needs :mime", 'header :type "x" "y"', "refused"),
    _mime("one option at a time", 'header :mime :type :subtype "x" "y"', "refused"),
    _mime("no options for exists", 'exists :mime :type "x"', "refused"),
    Case(
        "inside a loop, without :mime, the top",
        _R + 'foreverypart { if header "Subject" "inner" { fileinto "no"; } }',
        "keep",
        MIXED,
    ),
    Case(
        "inside a loop, :mime is the current part",
        _R
        + 'foreverypart { if header :mime :contenttype :matches "Content-Type" "*"'
        + ' { set "t" "${t} ${1}"; } } fileinto "x${t}";',
        "into x multipart/mixed text/plain application/pdf message/rfc822 text/html",
        MIXED,
    ),
    Case(
        "inside a loop, :anychild is what is inside of the part",
        _R
        + 'foreverypart { if header :mime :type "Content-Type" "message" {'
        + ' if header :mime :anychild :contenttype "Content-Type" "text/html" { set "a" "html"; }'
        + ' if header :mime :anychild :contenttype "Content-Type" "text/plain" { set "b" "plain"; } } }'
        + ' fileinto "x ${a}.${b}";',
        "into x html.",
        MIXED,
    ),
    Case(
        "size inside of a loop is the message's",
        _R + 'foreverypart { if size :over 300 { set "s" "${s}o"; } } fileinto "x${s}";',
        "into xooooo",
        MIXED,
    ),
    # --- index
    Case("second field", _R + 'if header :index 2 "x-twice" "second" { fileinto "yes"; }', "into yes"),
    Case("not another", _R + 'if header :index 2 "x-twice" "first" { fileinto "yes"; }', "keep"),
    Case("from the end", _R + 'if header :index 1 :last "x-twice" "third" { fileinto "yes"; }', "into yes"),
    Case("second from the end", _R + 'if header :last :index 2 "x-twice" "second" { fileinto "yes"; }', "into yes"),
    Case("beyond", _R + 'if header :index 4 :matches "x-twice" "*" { fileinto "yes"; }', "keep"),
    Case("beyond, from the end", _R + 'if header :index 4 :last :matches "x-twice" "*" { fileinto "yes"; }', "keep"),
    Case(
        "over several names, in their order",
        _R + 'if header :index 2 ["message-id", "x-twice"] "first" { fileinto "yes"; }',
        "into yes",
    ),
    Case(
        "addresses of the second field",
        _R + 'if address :index 2 ["to", "cc"] "third@example.net" { fileinto "yes"; }',
        "into yes",
    ),
    Case(
        "a field's address list is one field",
        _R + 'if address :index 1 "to" "other@example.net" { fileinto "yes"; }',
        "into yes",
    ),
    Case("count of one", _R + 'if header :index 2 :count "eq" "x-twice" "1" { fileinto "yes"; }', "into yes"),
    Case(":last needs :index", _R + 'if header :last "x-twice" "third" { keep; }', "refused"),
    Case(
        "from one",
        _R + 'if header :index 0 "x-twice" "third" { keep; }',
        "refused",
    ),
    Case("needs require", 'if header :index 1 "x-twice" "third" { keep; }', "refused"),
    Case("exists has no index", _R + 'if exists :index 1 "x-twice" { keep; }', "refused"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values(case: Case):
    """What a test finds is what the RFC says, and what Pigeonhole finds."""
    agree(case)
