"""Header fields written: the forms of RFC 8621 §4.1.2, read back by our parser and by the standard library."""

import email
import re
import unicodedata
from email import policy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minijmap.jmap.values import ValueProblem
from minijmap.mail import headers
from minijmap.mail.composeheaders import field_name, write, write_property
from minijmap.mail.folding import LONGEST_LINE


def octets(name, form, value):
    """The one field that a value becomes."""
    (field,) = write(name, form, value)
    return field.octets


def ours(field, form):
    """The value as our parser reads it."""
    return headers.FORMS[form](field.decode().partition(":")[2].removesuffix("\r\n"))


def theirs(field):
    """The header as the standard library reads it."""
    message = email.message_from_bytes(field + b"\r\n", policy=policy.default)
    assert not message.defects
    return message[field.decode().partition(":")[0]]


def is_well_folded(field):
    """Whether no line is longer than it may be, none is blank, and only white space begins a further one."""
    lines = field.split(b"\r\n")
    assert lines.pop() == b""
    assert b"\n" not in b"".join(lines)
    assert b"\r" not in b"".join(lines)
    return all(len(line) <= LONGEST_LINE and line.strip() for line in lines) and all(
        line[:1] in b" \t" for line in lines[1:]
    )


# --- Text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", b"Subject:\r\n"),
        ("plain words", b"Subject: plain words\r\n"),
        ("two  spaces", b"Subject: two  spaces\r\n"),
        ("caf\u00e9", b"Subject: =?utf-8?b?Y2Fmw6k=?=\r\n"),
        ("un caf\u00e9 noir", b"Subject: un =?utf-8?b?Y2Fmw6k=?= noir\r\n"),
        ("\u00e9t\u00e9 \u00e0 deux", b"Subject: =?utf-8?b?w6l0w6kgw6A=?= deux\r\n"),
        ("\u65e5\u672c\u8a9e", b"Subject: =?utf-8?b?5pel5pys6Kqe?=\r\n"),
        (" edges ", b"Subject: =?utf-8?q?_edges_?=\r\n"),
        ("  ", b"Subject: =?utf-8?q?__?=\r\n"),
        ("=?utf-8?q?x?= literally", b"Subject: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?= literally\r\n"),
        ("tab\tand\x07 bell", b"Subject: tab and bell\r\n"),
        (
            "a subject that is so long that it has to be folded once, and then, for good measure, once again before it ends",
            b"Subject: a subject that is so long that it has to be folded once, and then,\r\n for good measure, once again before it ends\r\n",
        ),
        (
            "Die \u00dcbergr\u00f6\u00dfentr\u00e4gerverl\u00e4ngerungsst\u00fccke sind alle ausverkauft",
            b"Subject: Die =?utf-8?b?w5xiZXJncsO2w59lbnRyw6RnZXJ2ZXJsw6RuZ2VydW5nc3N0w7xj?=\r\n =?utf-8?b?a2U=?= sind alle ausverkauft\r\n",
        ),
    ],
)  # fmt: skip
def test_text_is_written(value, expected):
    """Plain words stay plain, others are encoded in Q or B, and no white space is lost."""
    written = octets("Subject", "asText", value)

    assert written == expected
    shown = value.replace("\t", " ").replace("\x07", "")
    assert ours(written, "asText") == shown
    assert is_well_folded(written)
    assert all(len(line) <= 78 for line in written.split(b"\r\n"))


@pytest.mark.parametrize("value", ["a\nBcc: x@y.z", "a\rb", "a\r\n b", "nul\0", "\n"])
@pytest.mark.parametrize("form", ["asText", "asAddresses", "asGroupedAddresses", "asMessageIds", "asURLs"])
def test_no_value_begins_another_field(form, value):
    """A line break or NUL is refused wherever a string can stand."""
    wrapped = {
        "asText": [value],
        "asAddresses": [[{"name": value, "email": "a@b.c"}], [{"name": None, "email": value}]],
        "asGroupedAddresses": [
            [{"name": value, "addresses": []}],
            [{"name": None, "addresses": [{"email": value}]}],
        ],
        "asMessageIds": [[value], ["ok@x", f"<{value}>"]],
        "asURLs": [[value]],
    }
    for one in wrapped[form]:
        with pytest.raises(ValueProblem, match="line break or a NUL"):
            write("X-Field", form, one)


texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from(' ="?<>,@\\'), max_size=300)


@settings(max_examples=200)
@given(texts)
@example("=?")
@example(" ")
@example("x" * 3000)
@example("\U0001f600" * 100)
@example("a " * 200)
@example("\u2028\u00a0 \u3000")
def test_text_is_read_back(value):
    """Any text comes back from our parser in NFC, and from the standard library as it was."""
    written = octets("Subject", "asText", value)

    assert is_well_folded(written)
    assert written.isascii()
    assert ours(written, "asText") == unicodedata.normalize("NFC", value)
    assert str(theirs(written)) == value


# --- Raw ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" 1", b"X-Raw: 1\r\n"),
        ("1", b"X-Raw:1\r\n"),
        ("", b"X-Raw:\r\n"),
        ("\r\n <a@b>\r\n\t<c@d>", b"X-Raw:\r\n <a@b>\r\n\t<c@d>\r\n"),
        (" a\n b", b"X-Raw: a\r\n b\r\n"),
        (" \u00e9", b"X-Raw: \xc3\xa9\r\n"),
        (" " + "x" * 900, b"X-Raw: " + b"x" * 900 + b"\r\n"),
    ],
)  # fmt: skip
def test_a_raw_value_is_written_as_it_is(value, expected):
    """Folds and octets are the client's, unless a line is longer than any may be."""
    written = octets("X-Raw", "asRaw", value)

    assert written == expected
    assert is_well_folded(written)
    assert ours(written, "asRaw") == re.sub(r"\r?\n", "\r\n", value)


def test_a_raw_value_is_folded_if_it_must_be():
    """A line that is longer than any may be is broken at white space."""
    written = octets("X-Raw", "asRaw", " " + "word " * 250)

    assert is_well_folded(written)
    assert all(len(line) <= 78 for line in written.split(b"\r\n"))
    assert ours(written, "asText") == "word " * 249 + "word"


@pytest.mark.parametrize(
    "value",
    ["a\nb", "a\r\nBcc: x", "a\rb", "a\0", "a\r\n \r\n b", "a\n\t", "a\x0bb", "a\x7f", "x" * 1000, "\ud800"],
)
def test_a_raw_value_stays_inside_of_its_field(value):
    """Line breaks that end the field, blank lines, controls and what fits into no line are refused."""
    with pytest.raises(ValueProblem):
        write("X-Raw", "asRaw", value)


# --- Addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"name": None, "email": "jane@example.com"}], b"To: jane@example.com\r\n"),
        ([{"email": "jane@example.com"}], b"To: jane@example.com\r\n"),
        ([{"name": "", "email": "jane@example.com"}], b"To: jane@example.com\r\n"),
        ([{"name": "James Smythe", "email": "james@example.com"}], b"To: James Smythe <james@example.com>\r\n"),
        ([{"name": "Smythe, J.", "email": "j@example.com"}], b'To: "Smythe, J." <j@example.com>\r\n'),
        ([{"name": 'The "\\" man', "email": "j@example.com"}], b'To: "The \\"\\\\\\" man" <j@example.com>\r\n'),
        ([{"name": "John Sm\u00eeth", "email": "j@example.com"}], b"To: =?utf-8?q?John_Sm=C3=AEth?= <j@example.com>\r\n"),
        ([{"name": "\u00c9, X.", "email": "j@example.com"}], b"To: =?utf-8?b?w4ksIFgu?= <j@example.com>\r\n"),
        ([{"name": "=?utf-8?q?x?=", "email": "j@x.y"}], b"To: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <j@x.y>\r\n"),
        ([{"name": None, "email": "a@b.c"}, {"name": "D E", "email": "d@e.f"}], b"To: a@b.c, D E <d@e.f>\r\n"),
        ([{"name": None, "email": '"a b"@c.d'}], b'To: <"a b"@c.d>\r\n'),
        ([{"name": None, "email": "a@[192.0.2.1]"}], b"To: <a@[192.0.2.1]>\r\n"),
        ([{"name": None, "email": "j\u00f5e@example.com"}], "To: <j\u00f5e@example.com>\r\n".encode()),
    ],
)  # fmt: skip
def test_addresses_are_written(value, expected):
    """Names are atoms, quoted or encoded as they need; the readers agree."""
    written = octets("To", "asAddresses", value)

    assert written == expected
    assert ours(written, "asAddresses") == [{"name": one.get("name") or None, "email": one["email"]} for one in value]
    if written.isascii():
        assert [(a.display_name, a.addr_spec) for a in theirs(written).addresses] == [
            (one.get("name") or "", one["email"]) for one in value
        ]


@pytest.mark.parametrize("value", [[], [{"name": "", "email": ""}], [{"name": None, "email": " "}]])
def test_no_address_is_no_field(value):
    """An empty list says nothing, and a field of nothing is malformed (RFC 5322 §3.6.3)."""
    assert write("Cc", "asAddresses", value) == []
    assert write("Cc", "asGroupedAddresses", [{"name": None, "addresses": value}]) == []
    assert write("Cc", "asAddresses", None) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"name": "Bob", "email": ""}, {"name": "Bob", "email": ""}),
        ({"name": None, "email": "jan"}, {"name": None, "email": "jan"}),
        ({"name": "Jan", "email": "jan@"}, {"name": "Jan", "email": "jan@"}),
        ({"name": None, "email": "a..b@docomo.example"}, {"name": None, "email": "a..b@docomo.example"}),
        ({"name": None, "email": "a@b, c@d"}, {"name": "a@b, c@d", "email": ""}),
        ({"name": None, "email": "x>, <evil@example.com"}, {"name": "x>, <evil@example.com", "email": ""}),
        ({"name": "Bob", "email": "<bob@example"}, {"name": "Bob <bob@example", "email": ""}),
        ({"name": None, "email": "mailto:a@b.c"}, {"name": "mailto:a@b.c", "email": ""}),
        ({"name": None, "email": "(c)a@b.c"}, {"name": "(c)a@b.c", "email": ""}),
    ],
)  # fmt: skip
def test_half_an_address_is_kept(value, shown):
    """A draft may have any text for an address (RFC 8621 §4.6); it never becomes another address."""
    written = octets("To", "asAddresses", [{"name": None, "email": "first@example.com"}, value])

    assert ours(written, "asAddresses") == [{"name": None, "email": "first@example.com"}, shown]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"name": "Undisclosed", "addresses": []}], b"To: Undisclosed:;\r\n"),
        (
            [
                {"name": None, "addresses": [{"name": "James Smythe", "email": "james@example.com"}]},
                {"name": "Friends", "addresses": [{"email": "jane@example.com"}, {"name": "J", "email": "j@example.com"}]},
                {"name": None, "addresses": [{"email": "z@example.com"}]},
            ],
            b"To: James Smythe <james@example.com>, Friends: jane@example.com, J\r\n <j@example.com>;, z@example.com\r\n",
        ),
        ([{"name": "Fr\u00ebunde", "addresses": [{"email": "a@b.c"}]}], b"To: =?utf-8?q?Fr=C3=ABunde?= : a@b.c;\r\n"),
        ([{"name": "A: B", "addresses": [{"email": "a@b.c"}]}], b'To: "A: B": a@b.c;\r\n'),
    ],
)  # fmt: skip
def test_groups_are_written(value, expected):
    """Groups keep their names and members (RFC 8621 §4.1.2.4)."""
    written = octets("To", "asGroupedAddresses", value)

    assert written == expected
    full = [
        {"name": group["name"], "addresses": [{"name": a.get("name"), "email": a["email"]} for a in group["addresses"]]}
        for group in value
    ]
    assert ours(written, "asGroupedAddresses") == full


def test_groups_next_to_each_other_stay_apart():
    """A comma follows the semicolon of a group, also of an empty one."""
    groups = [{"name": name, "addresses": []} for name in ("A", "B\u00e9", "C")]
    written = octets("To", "asGroupedAddresses", groups)

    assert ours(written, "asGroupedAddresses") == groups
    assert [group.display_name for group in theirs(written).groups] == ["A", "B\u00e9", "C"]


names = texts.map(lambda text: text.strip()).map(lambda text: unicodedata.normalize("NFC", text))
addresses = st.lists(
    st.fixed_dictionaries(
        {"name": names, "email": st.from_regex(r"[a-z0-9.+-]{1,40}@[a-z0-9-]{1,40}\.example", fullmatch=True)}
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200)
@given(addresses)
@example([{"name": "a  b", "email": "a@b.example"}])
@example([{"name": "a  \u00e9 , b", "email": "a@b.example"}])
@example([{"name": '"', "email": "a@b.example"}])
@example([{"name": "a" * 2000, "email": "a@b.example"}] * 2)
def test_addresses_are_read_back(value):
    """Any names come back from our parser."""
    written = octets("Reply-To", "asAddresses", value)

    assert is_well_folded(written)
    assert written.isascii()
    read = ours(written, "asAddresses")
    assert [one["email"] for one in read] == [one["email"] for one in value]
    for one, other in zip(read, value, strict=True):
        assert (one["name"] or "") == other["name"].strip()


@settings(max_examples=150)
@given(
    st.lists(st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=5), min_size=1, max_size=2)
)
def test_names_are_read_back_by_the_standard_library(words):
    """Names of words with single spaces come back from the standard library, too.

    Short ones, for it puts a space between two encoded words of a phrase, against RFC 2047 §6.2.
    """
    value = [{"name": " ".join(words), "email": "a@b.example"}, {"name": "Last", "email": "c@d.example"}]
    found = theirs(octets("To", "asAddresses", value)).addresses

    assert [(one.display_name, one.addr_spec) for one in found] == [(one["name"], one["email"]) for one in value]


@settings(max_examples=150)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from(' "<>(),:;@\\[].'), max_size=60))
def test_no_address_becomes_two(text):
    """Whatever stands for an address is one, and its neighbours are what they were."""
    written = octets("To", "asAddresses", [{"email": "a@b.c"}, {"name": "N", "email": text}, {"email": "d@e.f"}])
    read = ours(written, "asAddresses")

    assert len(read) == 3
    assert (read[0]["email"], read[2]["email"]) == ("a@b.c", "d@e.f")
    assert unicodedata.normalize("NFC", text.strip()) in {
        read[1]["email"],
        (read[1]["name"] or "").removeprefix("N").strip(),
    }


# --- MessageIds, Date, URLs -----------------------------------------------------------------------------------------


def test_message_ids_are_written():
    """One space between them, a fold where needed; brackets given are not doubled."""
    ids = [f"{'x' * 30}{number}@example.com" for number in range(4)]
    written = octets("References", "asMessageIds", [*ids[:3], f"<{ids[3]}>"])

    assert written == (f"References: <{ids[0]}>\r\n <{ids[1]}>\r\n <{ids[2]}>\r\n <{ids[3]}>\r\n".encode())
    assert ours(written, "asMessageIds") == ids


@pytest.mark.parametrize("value", ["", "a b@c", "a<b", "<>", "a@b>", "<<a@b>>", "x" * 999])
def test_what_is_no_message_id_is_refused(value):
    """White space and brackets would make it another one, or several."""
    with pytest.raises(ValueProblem):
        write("References", "asMessageIds", ["ok@example.com", value])


def test_a_message_has_one_message_id():
    """RFC 5322 §3.6.4 has several in In-Reply-To and References alone."""
    with pytest.raises(ValueProblem, match="one message id"):
        write("Message-ID", "asMessageIds", ["a@b", "c@d"])


@pytest.mark.parametrize(
    ("value", "expected", "read"),
    [
        ("2014-10-30T14:12:00+08:00", "Thu, 30 Oct 2014 14:12:00 +0800", "2014-10-30T14:12:00+08:00"),
        ("2014-10-30T06:12:00Z", "Thu, 30 Oct 2014 06:12:00 +0000", "2014-10-30T06:12:00Z"),
        ("2024-02-29T23:59:59.999-03:30", "Thu, 29 Feb 2024 23:59:59 -0330", "2024-02-29T23:59:59-03:30"),
        ("2014-10-03T06:12:00Z", "Fri, 3 Oct 2014 06:12:00 +0000", "2014-10-03T06:12:00Z"),
        ("2016-12-31T23:59:60Z", "Sat, 31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59Z"),
        ("0101-01-01T00:00:00Z", "Sat, 1 Jan 0101 00:00:00 +0000", "0101-01-01T00:00:00Z"),
    ],
)
def test_dates_are_written(value, expected, read):
    """The offset is kept, a fraction is not (RFC 5322 §3.3)."""
    written = octets("Date", "asDate", value)

    assert written == f"Date: {expected}\r\n".encode()
    assert ours(written, "asDate") == read


@pytest.mark.parametrize("value", ["", "2014-10-30", "2014-13-30T06:12:00Z", "Thu, 30 Oct 2014 06:12:00 +0000", 5])
def test_what_is_no_date_is_refused(value):
    """Only a Date of RFC 8620 §1.4 is one."""
    with pytest.raises(ValueProblem, match="must be a Date"):
        write("Date", "asDate", value)


def test_urls_are_written():
    """RFC 2369 §2: in brackets, commas between; what a URL can't have is percent-encoded."""
    written = octets("List-Post", "asURLs", ["mailto:a@b.c?subject=x y", "https://example.com/\u00e9<>"])

    assert written == b"List-Post: <mailto:a@b.c?subject=x%20y>, <https://example.com/%C3%A9%3C%3E>\r\n"
    assert ours(written, "asURLs") == ["mailto:a@b.c?subject=x%20y", "https://example.com/%C3%A9%3C%3E"]
    with pytest.raises(ValueProblem, match="empty"):
        write("List-Post", "asURLs", [""])


# --- properties -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("header:X-A", " b", [b"X-A: b\r\n"]),
        ("header:X-A", None, []),
        ("header:X-A:asText:all", ["b", "\u00e9"], [b"X-A: b\r\n", b"X-A: =?utf-8?b?w6k=?=\r\n"]),
        ("header:Resent-To:asAddresses:all", [[{"email": "a@b"}], []], [b"Resent-To: a@b\r\n"]),
        ("header:X-A:all", None, []),
        ("header:List-Id:asText", "L <l.example>", [b"List-Id: L <l.example>\r\n"]),
    ],
)
def test_properties_become_fields(name, value, expected):
    """A header:* property is one field, or with :all as many as the array has."""
    assert [field.octets for field in write_property(name, value)] == expected


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("header:Subject:asText:all", ["a", "b"], "one item"),
        ("header:X-A:all", "a", "must be an array"),
        ("header:X-A:asAddresses", "a@b.c", "must be an array"),
        ("header:X-A:asAddresses", [{"name": "x"}], "must have email"),
        ("header:X-A:asAddresses", [{"email": "a@b", "x": 1}], "no member"),
        ("header:X-A:asText", 1, "must be a String or null"),
        ("header:X-A:asText", "\ud800", "lone surrogate"),
    ],
)
def test_values_have_the_type_of_their_form(name, value, sentence):
    """A value of another type is refused with a sentence."""
    with pytest.raises(ValueProblem, match=sentence):
        write_property(name, value)


@pytest.mark.parametrize(
    "name",
    [
        "header:",
        "header:a b",
        "header:X:asFoo",
        "header:X:all:asText",
        "header:From:asText",
        "header:Subject:asAddresses",
    ],
)
def test_malformed_and_forbidden_properties_are_refused(name):
    """RFC 8621 §4.1.3 gives the form, §4.1.2 who may have which."""
    with pytest.raises(ValueProblem, match="is no property"):
        field_name(name)
