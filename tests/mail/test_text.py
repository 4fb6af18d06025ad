"""Charsets, encoded words, HTML to text, previews and base subjects."""

import html
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.mail import text as subject_matter
from minijmap.mail.text import base_subject, cut_html, decode_charset, decode_octets, html_to_text, preview, scrub


@pytest.mark.parametrize(
    ("data", "charset", "expected"),
    [
        (b"abc", None, ("abc", False)),
        (b"abc", "us-ascii", ("abc", False)),
        ("é".encode(), None, ("é", False)),
        (b"\xe9", None, ("é", True)),
        (b"\x81", None, ("\ufffd", True)),
        ("é".encode(), "us-ascii", ("é", True)),
        ("é".encode(), "UTF8", ("é", False)),
        (b"\xef\xbb\xbfa", "utf-8", ("a", False)),
        (b"a\xffb", "utf-8", ("a\ufffdb", True)),
        (b"\x80", "iso-8859-1", ("€", False)),
        (b"\x80", "Latin1", ("€", False)),
        (b"\x81", "windows-1252", ("\ufffd", True)),
        ("镕".encode("gb18030"), "gb2312", ("镕", False)),
        ("똠".encode("cp949"), "ks_c_5601-1987", ("똠", False)),
        ("똠".encode("cp949"), '"EUC-KR"', ("똠", False)),
        ("①".encode("cp932"), "Shift_JIS", ("①", False)),
        ("日本".encode("iso-2022-jp"), "iso-2022-jp", ("日本", False)),
        ("Ж".encode("koi8-r"), "KOI8-R", ("Ж", False)),
        ("שלום".encode("iso8859-8"), "iso-8859-8-i", ("שלום", False)),
        (b"abc", "x-unknown", ("abc", True)),
        ("é".encode(), "x-unknown", ("é", True)),
        (b"abc", "", ("abc", False)),
        (b"abc", "rot13", ("abc", True)),
        (b"abc", "zlib", ("abc", True)),
        (b"abc", "idna", ("abc", True)),
        (b"abc", "unicode_escape", ("abc", True)),
        (b"abc", "\x00" * 100, ("abc", True)),
        ("a\uffff\U0001fffeb".encode(), "utf-8", ("a\ufffd\ufffdb", False)),
    ],
)
def test_decode_charset(data, charset, expected):
    """Declared charsets under their names in mail, unknown and undeclared ones, malformed octets (RFC 8621 §4.1.4)."""
    assert decode_charset(data, charset) == expected


def test_no_lone_surrogate_comes_out_of_a_charset():
    """UTF-7 can spell a lone surrogate; JSON can't hold one."""
    assert "\ud800" not in decode_charset(b"+2AA-", "utf-7")[0]


@settings(deadline=None)
@given(
    st.binary(max_size=100),
    st.sampled_from([None, "utf-7", "utf-16", "utf-8", "gb2312", "hz", "iso-2022-jp", "big5", "x"]),
)
def test_any_octets_decode(data, charset):
    """Every charset takes any octets, and gives text that JSON can hold."""
    found, problem = decode_charset(data, charset)
    assert scrub(found) == found
    assert isinstance(problem, bool)
    found.encode()


@settings(deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cn")), max_size=50),
    st.sampled_from(["utf-8", "utf-16", "gb18030", "utf-32"]),
)
def test_charsets_round_trip(text, charset):
    """What a charset encodes decodes to itself (but for a byte order mark)."""
    if not text.startswith("\ufeff"):
        assert decode_charset(text.encode(charset), charset) == (text, False)


def test_octets_of_fields():
    """UTF-8, else windows-1252; NUL is dropped (RFC 8621 §4.1.2.1)."""
    assert decode_octets("ü\0".encode()) == "ü"
    assert decode_octets(b"\xfc") == "ü"


def test_known_names_are_text_codecs():
    """Every codec in the table exists and is a text encoding."""
    import codecs

    for codec in set(subject_matter._CHARSETS.values()):
        assert codecs.lookup(codec)._is_text_encoding, codec


# --- HTML -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("", ""),
        ("plain &amp; simple", "plain & simple"),
        ("a<b>b</b>c <i> d</i>e", "abc de"),
        ("<p>one</p><p>two<br>three</p>", "one\ntwo\nthree"),
        ("<ul><li>a<li>b</ul>", "a\nb"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("a\n  b&nbsp;c", "a b c"),
        ("<head><title>T</title></head><body>x</body>", "x"),
        ("<head><title>T</title><body>x", "x"),
        ("<style>p {}</style>x<SCRIPT>if (a</b) {}</SCRIPT >y", "xy"),
        ("<script>never closed", ""),
        ("a<!-- <p> -- > x -->b", "ab"),
        ("a<!-- never closed", "a"),
        ("<!DOCTYPE html><?xml version='1.0'?>x", "x"),
        ('<a title="a > b" href=x>y</a>', "y"),
        ("<a title='never>closed\">y", 'closed">y'),
        ("1 < 2 <3", "1 < 2 <3"),
        ("<p", ""),
        ("&lt;b&gt; &eacute; &#233; &#xe9; &nope;", "<b> é é é &nope;"),
        ("&#xD800;&#" + "9" * 5000 + ";", "\ufffd\ufffd"),
    ],
)
def test_html_to_text(markup, expected):
    """Blocks on lines, entities decoded, scripts and comments gone, broken markup read somehow."""
    assert html_to_text(markup, 10_000) == expected


def test_html_limit():
    """No more than limit characters come out."""
    assert html_to_text("<p>abc</p>" * 1000, 10) == "abc\nabc\nab"


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn")), max_size=80))
def test_html_of_escaped_text(text):
    """Escaped text in an element comes out as it was, white space collapsed."""
    assert html_to_text(f"<div><b>{html.escape(text)}</b></div>", 1000) == " ".join(text.split())


MARKUP = st.lists(
    st.sampled_from(
        [
            "<",
            ">",
            "<a ",
            "</",
            "<!--",
            "-->",
            '"',
            "'",
            "<style>",
            "</style>",
            "<head>",
            "<p>",
            "&",
            "&#",
            "x",
            " ",
            "=",
            "<!",
        ]
    ),
    max_size=40,
).map("".join)


@settings(deadline=None)
@given(MARKUP, st.integers(0, 50))
def test_html_cut_is_before_or_at_the_length(markup, length):
    """A cut is never behind what was asked for, and what is cut off an inner text is nothing but a tag."""
    length = min(length, len(markup))
    cut = cut_html(markup, length)
    assert 0 <= cut <= length
    if cut < length:
        assert markup[cut] == "<"
    html_to_text(markup, 1000)


@pytest.mark.parametrize(
    ("markup", "length", "expected"),
    [
        ("<p>abc</p>", 4, 4),
        ("<p>abc</p>", 8, 6),
        ("<p>abc</p>", 2, 0),
        ("<p>abc</p>", 10, 10),
        ('x<a title=">">y', 12, 1),
        ('x<a title=">">y', 14, 14),
        ("1 < 2 and more", 5, 5),
        ("a<!-- > -->b", 8, 1),
    ],
)
def test_cut_html(markup, length, expected):
    """A tag is left out whole when the length falls inside of it (RFC 8621 §4.2)."""
    assert cut_html(markup, length) == expected


HOSTILE = [
    "<" * 500_000,
    '<a "' * 125_000,
    '<a ">"' * 80_000,
    "<!--" * 125_000,
    "<!-- -->" * 60_000,
    "<head>" * 80_000,
    "<script>" * 60_000,
    "<style></style>" * 30_000,
    "&#" + "9" * 500_000 + ";",
    "&" * 500_000,
    "&#x" * 150_000,
    "<a '>\"'>" * 60_000,
    " " * 500_000,
    "\n " * 250_000,
    "</head " * 70_000,
    "[a] " * 120_000,
    "re: " * 120_000,
    "(fwd)" * 100_000,
    "[fwd: " * 80_000 + "]" * 80_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:9]))
def test_hostile_text_takes_linear_time(text):
    """Half a megabyte made to be slow takes a fraction of a second in every function."""
    started = time.perf_counter()
    html_to_text(text, 1_000_000)
    cut_html(text, len(text) - 1)
    base_subject(text)
    preview(text)
    subject_matter.decode_words(text)
    subject_matter.html_charset(text.encode())
    assert time.perf_counter() - started < 3


# --- previews and subjects ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("  a\n\tb  c\n", "a b c"),
        ("> quoted\nanswer", "answer"),
        ("> only quoted", "> only quoted"),
        ("a\u200c\u00a0\u034f\u00a0b", "a b"),
        ("x" * 300, "x" * 256),
        ("😀" * 200, "😀" * 128),
    ],
)
def test_preview(text, expected):
    """White space collapsed, quoted lines and invisible padding left out, 256 characters however one counts them."""
    assert preview(text) == expected


@settings(deadline=None)
@given(st.text())
def test_preview_length(text):
    """A preview never has more than 256 UTF-16 code units."""
    assert len(preview(text).encode("utf-16-le", "surrogatepass")) <= 512


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Hello", "Hello"),
        ("Re: Hello", "Hello"),
        ("RE:re: Fwd: fw : Hello", "Hello"),
        ("Re[2]: Hello", "Hello"),
        ("re [x] : Hello", "Hello"),
        ("[list] Re: [list] Hello", "Hello"),
        ("Hello (fwd) (FWD) ", "Hello"),
        ("[fwd: Re: Hello (fwd)]", "Hello"),
        ("Re: [Fwd: [fwd: Hello]]", "Hello"),
        ("[only]", "[only]"),
        ("Re: [only]", "[only]"),
        ("[a] [b]", "[b]"),
        ("Re:", ""),
        ("", ""),
        ("  Re:\t a   b ", "a b"),
        ("Regarding: x", "Regarding: x"),
        ("Hello [fwd: x]", "Hello [fwd: x]"),
        ("AW: Hello", "AW: Hello"),
        ("[a[b] Re: x", "[a[b] Re: x"),
    ],
)
def test_base_subject(subject, expected):
    """The examples one can think of for RFC 5256 §2.1."""
    assert base_subject(subject) == expected


def naive_base_subject(subject):
    """RFC 5256 §2.1 step by step with the ABNF of §5, on strings that are copied at each step."""
    blob = r"\[[^\[\]]*\] *"
    text = re.sub(r"\s+", " ", subject)
    while True:
        while found := re.search(r"(\(fwd\)| )\Z", text, re.IGNORECASE):
            text = text[: found.start()]
        while True:
            before = text
            text = re.sub(rf"\A((?:{blob})*(?:re|fwd?) *(?:{blob})?:| )", "", text, count=1, flags=re.IGNORECASE)
            without = re.sub(rf"\A{blob}", "", text, count=1)
            if without and text == before:
                text = without
            if text == before:
                break
        if text[:5].lower() == "[fwd:" and text.endswith("]"):
            text = text[5:-1]
            continue
        return text


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["re", "Fwd", "fw", ":", " ", "[", "]", "[x]", "(fwd)", "[fwd:", "a", "RE:"]), max_size=14
    ).map("".join)
)
def test_base_subject_is_the_naive_one(subject):
    """The linear algorithm gives what the steps of the RFC give."""
    assert base_subject(subject) == naive_base_subject(subject)
