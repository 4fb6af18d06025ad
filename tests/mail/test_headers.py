"""Header forms (RFC 8621 §4.1.2), header:* properties (§4.1.3) and MIME fields (RFC 2045, 2183, 2231)."""

import email.utils
import time
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from minijmap.mail import headers
from minijmap.mail.addresses import MAX_ADDRESSES
from minijmap.mail.headers import (
    ALLOWED,
    FORMS,
    MAX_IDS,
    BadHeaderProperty,
    HeaderProperty,
    as_addresses,
    as_date,
    as_grouped_addresses,
    as_message_ids,
    as_raw,
    as_text,
    as_urls,
    parse_property,
)


def box(name, address):
    """An EmailAddress object."""
    return {"name": name, "email": address}


# --- Text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" plain", "plain"),
        ("  a  b ", "a  b "),
        (" a\r\n b\n\tc", "a b\tc"),
        (" =?utf-8?Q?caf=C3=A9_x?=", "café x"),
        (" =?UTF-8?b?Y2Fmw6k=?= tail", "café tail"),
        (" =?utf-8?q?a?= =?utf-8?q?b?=\r\n =?iso-8859-1?q?=E9?= c", "abé c"),
        (" =?utf-8?q?=C3?=\r\n =?utf-8?q?=A9?=", "é"),
        (" =?utf-8*de?q?gr=C3=BCn?=", "grün"),
        (" =?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (" e\u0301", "é"),
        (" =?utf-8?q?e=CC=81?=", "é"),
        (" =?utf-8?q?=ff=C3=A9?= x", "\ufffdé x"),
        (" =?utf-8?b?Y2Fmw6k?=", "café"),
        (" =?utf-8?q?a=00=0D=0Ab=7F?=", "ab"),
        # Not encoded words: placement, white space, syntax or an unknown charset (RFC 2047 §5, RFC 8621 §4.1.2.2).
        (" a=?utf-8?q?b?=", "a=?utf-8?q?b?="),
        (" =?utf-8?q?a?==?utf-8?q?b?=", "=?utf-8?q?a?==?utf-8?q?b?="),
        (" =?utf-8?q?a b?=", "=?utf-8?q?a b?="),
        (" =?utf-8?x?a?=", "=?utf-8?x?a?="),
        (" =?x-none?q?a?= =?utf-8?q?b?=", "=?x-none?q?a?= b"),
        (" =?rot13?q?a?=", "=?rot13?q?a?="),
        (" (=?utf-8?q?a?=)", "(=?utf-8?q?a?=)"),
    ],
)
def test_as_text(raw, expected):
    """Unfolded, decoded where RFC 2047 has an encoded word, NFC, without leading white space."""
    assert as_text(raw) == expected


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co")), min_size=1, max_size=80))
def test_text_round_trip(text):
    """What the standard library encodes reads as what it was, normalised."""
    import email.header
    import unicodedata

    encoded = email.header.Header(text, "utf-8", maxlinelen=60, header_name="Subject").encode()
    assert as_text(f" {encoded}") == unicodedata.normalize("NFC", text)


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", []),
        (" , ;", []),
        (" a@b.c", [box(None, "a@b.c")]),
        (" A B <a@b.c>", [box("A B", "a@b.c")]),
        (' "A, \\"B\\" " <a@b.c>', [box('A, "B"', "a@b.c")]),
        (" a@b.c (A (n) B)", [box("A (n) B", "a@b.c")]),
        (" (note) a@b.c", [box(None, "a@b.c")]),
        (" A (note) B <a@b.c> (other)", [box("A B", "a@b.c")]),
        (" <a@b.c> (A)", [box("A", "a@b.c")]),
        (" <a@b.c> A", [box("A", "a@b.c")]),
        (" a@b.c,d@e.f", [box(None, "a@b.c"), box(None, "d@e.f")]),
        (" a@b.c; D <d@e.f>", [box(None, "a@b.c"), box("D", "d@e.f")]),
        (" <a@b> <c@d>", [box(None, "a@b"), box(None, "c@d")]),
        (" A <a@b> B <c@d>", [box("A", "a@b"), box("B", "c@d")]),
        (" me", [box(None, "me")]),
        (" John Smith", [box(None, "John Smith")]),
        (' "John Smith"', [box("John Smith", "")]),
        (" =?utf-8?q?J=C3=B6rg?=", [box("Jörg", "")]),
        (" <>", []),
        (" Nobody <>", [box("Nobody", "")]),
        (" <@a,@b:c@d>", [box(None, "c@d")]),
        (' "a b"@c.d', [box(None, '"a b"@c.d')]),
        (' X <"a>b"@c.d>', [box("X", '"a>b"@c.d')]),
        (" a @ b . c", [box(None, "a@b.c")]),
        (" a@[IPv6:::1]", [box(None, "a@[IPv6:::1]")]),
        (" a@b@c", [box(None, "a@b@c")]),
        (" J. R. Doe <j.r@d.e>", [box("J. R. Doe", "j.r@d.e")]),
        (" [Team] X <x@y>", [box("[Team] X", "x@y")]),
        (" X <<x@y>>", [box("X", "x@y")]),
        (" X <x@y", [box("X", "x@y")]),
        (" <MAILTO:x@y>", [box(None, "x@y")]),
        (' "X <x@y>', [box("X", "x@y")]),
        (" x@y (open", [box("open", "x@y")]),
        (" =?utf-8?q?a?=<x@y>", [box("a", "x@y")]),
        (" =?utf-8?Q?Doe,_J?= <x@y>", [box("Doe, J", "x@y")]),
        (' "=?utf-8?q?a?=" <x@y>', [box("=?utf-8?q?a?=", "x@y")]),
        (" x@y (=?utf-8?q?=C3=A9?=)", [box("é", "x@y")]),
        (" müller@exämple.de", [box(None, "müller@exämple.de")]),
        (" A\r\n\tB\r\n <a@b>", [box("A B", "a@b")]),
    ],
)
def test_as_addresses(raw, expected):
    """Mailboxes of valid, obsolete and broken lists (RFC 5322 §3.4, §4.4; RFC 8621 §4.1.2.3)."""
    assert as_addresses(raw) == expected


def test_as_grouped_addresses():
    """Groups keep their name; consecutive mailboxes outside of groups share one without (RFC 8621 §4.1.2.4)."""
    raw = ' a@b, "C, D" <c@d>, "Fr, iends": e@f, G <g@h>; i@j; undisclosed-recipients:;'
    assert as_grouped_addresses(raw) == [
        {"name": None, "addresses": [box(None, "a@b"), box("C, D", "c@d")]},
        {"name": "Fr, iends", "addresses": [box(None, "e@f"), box("G", "g@h")]},
        {"name": None, "addresses": [box(None, "i@j")]},
        {"name": "undisclosed-recipients", "addresses": []},
    ]


def test_a_group_that_is_never_closed():
    """A group without its semicolon reaches to the end or to the next group."""
    assert as_grouped_addresses(" A: a@b, B: c@d") == [
        {"name": "A", "addresses": [box(None, "a@b")]},
        {"name": "B", "addresses": [box(None, "c@d")]},
    ]


ATOMS = st.text("abcdefghijklmnopqrstuvwxyz0123456789+-_", min_size=1, max_size=12)
ADDRESSES = st.builds(
    lambda local, domain: f"{local}@{domain}.example", st.lists(ATOMS, min_size=1).map(".".join), ATOMS
)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co", "Z")), max_size=20)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, ADDRESSES), max_size=6))
@example([('a"b\\c', "x@y.example"), ("a(b", "x@y.example")])
def test_addresses_round_trip(pairs):
    """What formataddr writes reads as it was, and as getaddresses reads it."""
    import unicodedata

    raw = " " + ", ".join(email.utils.formataddr(pair) for pair in pairs)
    assume("=?" not in "".join(name for name, _ in pairs))
    found = [(item["name"], item["email"]) for item in as_addresses(raw)]
    assert found == [(unicodedata.normalize("NFC", name) or None, address) for name, address in pairs]
    if pairs and all(name.isascii() for name, _ in pairs):
        assert [(name or "", address) for name, address in found] == email.utils.getaddresses([raw])


# --- ids, dates, URLs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" <a@b>", ["a@b"]),
        ("<a@b><c@d>\r\n\t<e@f>", ["a@b", "c@d", "e@f"]),
        (" (x <n@o>) < a@b > (y)", ["a@b"]),
        (' "phrase" <a@b>', ["a@b"]),
        (" <[1]-[2]@b>", ["[1]-[2]@b"]),
        (" <no-at>", ["no-at"]),
        (" a@b c@d", ["a@b", "c@d"]),
        (" <a(b)@c>", ["a(b)@c"]),
        ("", None),
        (" <>", None),
        (" words only", None),
        (" <a@b", None),
    ],
)
def test_as_message_ids(raw, expected):
    """Ids without brackets and comments; null when nothing is one (RFC 8621 §4.1.2.5)."""
    assert as_message_ids(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" Tue, 24 Nov 2026 10:00:00 +0100", "2026-11-24T10:00:00+01:00"),
        (" Tue, 24 Nov 2026 10:00:00 -0330 (x (y))", "2026-11-24T10:00:00-03:30"),
        (" 24 Nov 2026 10:00 +0000", "2026-11-24T10:00:00Z"),
        (" 24 Nov 2026 10:00:00 -0000", "2026-11-24T10:00:00Z"),
        (" Tue,  3\r\n Nov 2026 1:02:03 GMT", "2026-11-03T01:02:03Z"),
        (" 24 nov 26 10:00 EDT", "2026-11-24T10:00:00-04:00"),
        (" 24 Nov 99 10:00 Z", "1999-11-24T10:00:00Z"),
        (" 24 Nov 126 10:00 XYZ", "2026-11-24T10:00:00Z"),
        (" Tuesday, 24-November-2026 10:00:00.123 +01:00", "2026-11-24T10:00:00+01:00"),
        (" Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T09:55:06-06:00"),
        (" Tue Nov 24 10:00:00 2026", "2026-11-24T10:00:00Z"),
        (" Tue Nov 24 10:00:00 EST 2026", "2026-11-24T10:00:00-05:00"),
        (" 31 Dec 2026 23:59:60 +0000", "2026-12-31T23:59:59Z"),
        (" 24 Nov 2026 10:00:00", "2026-11-24T10:00:00Z"),
        ("", None),
        (" yesterday", None),
        (" 31 Feb 2026 10:00 Z", None),
        (" 24 Xyz 2026 10:00 Z", None),
        (" 24 Nov 2026 25:00 Z", None),
        (" 24 Nov 2026 10:00:61 Z", None),
        (" 24 Nov 2026 10:00 +9900", None),
        (" 01 Jan 0001 00:00 +0100", None),
        (" 2026-11-24T10:00:00Z", None),
        (" ٢٤ Nov 2026 10:00 Z", None),
    ],
)
def test_as_date(raw, expected):
    """RFC 3339 with the offset as given, of current and obsolete date-times; null when it is none."""
    assert as_date(raw) == expected


@settings(deadline=None)
@given(st.datetimes(datetime(1900, 1, 2), datetime(9999, 12, 30)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001
def test_dates_agree_with_the_standard_library(moment, offset):
    """A date that the email package writes is the same moment here, at the same offset."""
    from datetime import timedelta, timezone

    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    found = datetime.fromisoformat(as_date(" " + email.utils.format_datetime(aware)))
    assert found == aware
    assert found.utcoffset() == aware.utcoffset()
    assert found.astimezone(UTC)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" <mailto:a@b?subject=x>", ["mailto:a@b?subject=x"]),
        (" (c) <http://a/(x)> (d <e>),\r\n <http://\r\n b>", ["http://a/(x)", "http://b"]),
        (" http://a/b", ["http://a/b"]),
        (" NO (really)", None),
        ("", None),
    ],
)
def test_as_urls(raw, expected):
    """URLs without brackets and comments; null when there is none (RFC 8621 §4.1.2.7)."""
    assert as_urls(raw) == expected


def test_counts_are_limited():
    """One field gives at most MAX_ADDRESSES mailboxes and MAX_IDS ids."""
    assert len(as_addresses("a," * (MAX_ADDRESSES + 100))) == MAX_ADDRESSES
    assert len(as_message_ids("<a>" * (MAX_IDS + 100))) == MAX_IDS
    assert len(as_message_ids("a@b " * (MAX_IDS + 100))) == MAX_IDS


# --- hostile values -------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *list("\"\\()<>,;:@[]=?*' \t\r\n.-%a0é"),
        "=?utf-8?q?",
        "=?utf-8?b?",
        "?=",
        "name*0*=",
        "\r\n ",
        "24 Nov 2026 10:00 ",
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=60))
def test_no_value_raises(raw):
    """Every reader takes any text, and gives what can be written as UTF-8 JSON."""
    import json

    assume(not any("\ud800" <= character <= "\udfff" for character in raw))
    results = [read(raw) for read in FORMS.values()]
    results += [headers.content_type(raw), headers.disposition(raw), headers.content_id(raw)]
    results += [headers.content_language(raw), headers.content_location(raw)]
    json.dumps(results, ensure_ascii=False).encode()


HOSTILE = [
    "a " * 50_000,
    "(" * 20_000,
    "(a) " * 25_000,
    "<" * 100_000,
    '"' * 99_999,
    '"' + '\\"' * 50_000,
    "a@" * 50_000,
    "a," * 50_000,
    '<"' * 50_000,
    "[" * 100_000,
    "a:" * 50_000,
    "<a> " * 30_000,
    "@" * 100_000,
    "\\" * 100_001,
    "=?a?q?" * 20_000,
    "=?utf-8?q?a?= " * 8_000,
    "a@b" + " " * 100_000 + ".x",
    " ." * 50_000 + "@x",
    " " * 100_000 + "x",
    'a/b;a="' * 15_000,
    ";a" * 50_000,
    "a/b;x=" + "(" * 100_000,
    "%" * 100_000,
]


@pytest.mark.parametrize("raw", HOSTILE, ids=lambda raw: repr(raw[:8]))
def test_hostile_values_take_linear_time(raw):
    """100 kB made to be slow (12 s and a RecursionError elsewhere) take milliseconds in every form."""
    started = time.perf_counter()
    for read in [*FORMS.values(), headers.content_type, headers.disposition, headers.content_id]:
        read(raw)
    assert time.perf_counter() - started < 2


# --- MIME fields ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" text/plain", ("text/plain", {})),
        (" Text / HTML ; Charset = UTF-8", ("text/html", {"charset": "UTF-8"})),
        (" text/plain (c; d) ; charset=us-ascii (e)", ("text/plain", {"charset": "us-ascii"})),
        (' a/b; x="y; z=1\\"" ; w=2;', ("a/b", {"x": 'y; z=1"', "w": "2"})),
        (" a/b;;x=1;y;=z", ("a/b", {"x": "1"})),
        (" a/b; x=1; X=2", ("a/b", {"x": "1"})),
        (" text", ("text/plain", {})),
        ("", ("text/plain", {})),
        (' a/b; x="open', ("a/b", {"x": "open"})),
        (" a/b; n*0=a; n*1=b; n*3=d", ("a/b", {"n": "ab"})),
        (" a/b; n*1=b; n*0*=utf-8'de'%C3%A4", ("a/b", {"n": "äb"})),
        (" a/b; n*=utf-8''%C3%A4; n=x", ("a/b", {"n": "ä"})),
        (" a/b; n*=iso-8859-1'en'%E4", ("a/b", {"n": "ä"})),
        (" a/b; n*=x-none''%C3%A4", ("a/b", {"n": "ä"})),
        (" a/b; n*=%C3%A4", ("a/b", {"n": "ä"})),
        (" a/b; n*1=b", ("a/b", {})),
        (' a/b; name="=?utf-8?q?=C3=A4?="', ("a/b", {"name": "ä"})),
        (" a/b; name=a b (1).txt; x=c", ("a/b", {"name": "a b (1).txt", "x": "c"})),
    ],
)
def test_content_type(raw, expected):
    """The type in lower case and parameters with RFC 2231 and, for names, RFC 2047 decoded."""
    assert headers.content_type(raw) == expected


def test_disposition():
    """The disposition in lower case and the file name; filename* goes before filename."""
    assert headers.disposition(" ATTACHMENT; filename=a; filename*=utf-8''b") == ("attachment", {"filename": "b"})
    assert headers.disposition("; filename=a") == (None, {"filename": "a"})


def test_small_mime_fields():
    """Content-Id without brackets, languages as a list, a location without folds; null when empty."""
    assert headers.content_id(" (c) <a@b>\r\n ") == "a@b"
    assert headers.content_id(" <>") is None
    assert headers.content_language(" de , en-GB (x), ") == ["de", "en-GB"]
    assert headers.content_language(" ") is None
    assert headers.content_location(" ") is None


# --- properties -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("header:Subject", HeaderProperty("Subject", "asRaw", False)),
        ("header:subject:asText", HeaderProperty("subject", "asText", False)),
        ("header:X-Any:asDate:all", HeaderProperty("X-Any", "asDate", True)),
        ("header:To:all", HeaderProperty("To", "asRaw", True)),
        ("header:List-Id:asURLs", HeaderProperty("List-Id", "asURLs", False)),
        ("header:asText", HeaderProperty("asText", "asRaw", False)),
    ],
)
def test_parse_property(text, expected):
    """Name, form and :all of a header:* property (RFC 8621 §4.1.3)."""
    assert parse_property(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "header:",
        "header::asText",
        "Header:Subject",
        "header:Subject:astext",
        "header:Subject:asText:ALL",
        "header:Subject:all:asText",
        "header:Subject:asText:asText",
        "header:Subject:",
        "header:Sub ject",
        "header:Sübject",
        "header:Subject:asNothing",
        "header:From:asDate",
        "header:from:asText",
        "header:Subject:asAddresses",
        "header:Date:asText",
        "header:Received:asText",
        "header:Return-Path:asAddresses",
        "header:List-Post:asText",
        "header:Message-ID:asURLs",
        "header:Subject\n",
    ],
)
def test_bad_properties(text):
    """A malformed property, an unknown form and a form that the field doesn't have are refused with a sentence."""
    with pytest.raises(BadHeaderProperty, match=r"\w.*\.$"):
        parse_property(text)


def test_every_form_has_the_fields_of_its_section():
    """The table of RFC 8621 §4.1.2: fields of RFC 5322 and RFC 2369 have Raw and their own forms, no others."""
    assert ALLOWED["subject"] == {"asRaw", "asText"}
    assert ALLOWED["resent-bcc"] == {"asRaw", "asAddresses", "asGroupedAddresses"}
    assert ALLOWED["references"] == {"asRaw", "asMessageIds"}
    assert ALLOWED["list-archive"] == {"asRaw", "asURLs"}
    assert ALLOWED["received"] == {"asRaw"}
    assert "list-id" not in ALLOWED
    assert set().union(*ALLOWED.values()) == set(FORMS)


def test_property_values():
    """The last instance counts, names match in any case; absent fields are null or an empty list."""
    fields = [("Subject", " one"), ("SUBJECT", " two"), ("X", "y")]
    assert parse_property("header:subject").value(fields) == " two"
    assert parse_property("header:Subject:asText:all").value(fields) == ["one", "two"]
    assert parse_property("header:To:asAddresses").value(fields) is None
    assert parse_property("header:To:asAddresses:all").value(fields) == []
    assert headers.find(fields, "x") == "y"
    assert headers.find(fields, "z") is None
    assert as_raw(" a") == " a"
