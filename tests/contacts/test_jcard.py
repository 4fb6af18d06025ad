"""Properties as jCard has them, in both directions (RFC 7095 §3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.contacts.jcard import basic, extended, of_line, set_params, to_line
from minijmap.contacts.vcardlines import Line, escape, parse_line, text_of_line

EXAMPLES = [
    ("FN:A\\, B", ["fn", {}, "text", "A, B"]),
    ("X-FOO;A=b:c\\,d", ["x-foo", {"a": "b"}, "unknown", "c\\,d"]),
    ("G.NOTE;TYPE=home,work;X=a,b:x\\ny", ["note", {"type": ["home", "work"], "x": ["a", "b"], "group": "g"}, "text", "x\ny"]),
    ("N:Doe;J,K;;;", ["n", {}, "text", ["Doe", ["J", "K"], "", "", ""]]),
    ("ORG:A", ["org", {}, "text", "A"]),
    ("CATEGORIES:a,b\\,c", ["categories", {}, "text", "a", "b,c"]),
    ("URL:http://a.example/,;", ["url", {}, "uri", "http://a.example/,;"]),
    ("BDAY:--0412", ["bday", {}, "date-and-or-time", "--04-12"]),
    ("REV:20240102T030405Z", ["rev", {}, "timestamp", "2024-01-02T03:04:05Z"]),
    ("X-N;VALUE=integer:1,-2", ["x-n", {}, "integer", 1, -2]),
    ("X-B;VALUE=boolean:true", ["x-b", {}, "boolean", True]),
    ("TZ;VALUE=utc-offset:-0500", ["tz", {}, "utc-offset", "-05:00"]),
    ("LANG:de-CH", ["lang", {}, "language-tag", "de-CH"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "jcard"), EXAMPLES)
def test_a_line_is_a_jcard_property(text, jcard):
    """Name and type in small letters, parameters without VALUE, values in their own JSON types."""
    assert of_line(parse_line(text.encode(), 0)) == jcard


@pytest.mark.parametrize("jcard", [jcard for _, jcard in EXAMPLES])
def test_a_jcard_property_comes_back(jcard):
    """As a line that is the same property again."""
    line = to_line(jcard)
    assert of_line(line) == jcard
    assert of_line(parse_line(text_of_line(line).encode(), 0)) == jcard


@pytest.mark.parametrize("jcard", [["no name", {}, "text", "x"], ["", {}, "text", "x"], ["fn", {}, "text"]])
def test_what_a_vcard_cannot_say_is_no_line(jcard):
    """It has no name, or no value."""
    assert to_line(jcard) is None


def test_a_property_cannot_break_out_of_its_line():
    """Whatever a client has sent: line ends are escaped, names and groups are checked."""
    line = to_line(["x-a", {"group": "a b", "b:": "x", "c": "y\r\nEND:VCARD"}, "unknown", "x\r\nEND:VCARD"])
    assert line.group == ""
    assert set(line.params) == {"c"}
    assert "\n" not in text_of_line(line)


def test_parameters_that_are_there_stay_and_types_are_added():
    """RFC 9555 §2.15.2: what a member says counts, not what is left over."""
    line = Line("TEL", "1", {"type": ["home"], "pref": ["1"]})
    set_params(line, {"type": ["home", "X"], "PREF": "2", "group": "G1", "x": ["a", 1], "value": "uri", "y": []})
    assert (line.params, line.group) == ({"type": ["home", "X"], "pref": ["1"], "x": ["a"]}, "g1")


DATES = [
    *(("19700512", "1970-05-12"), ("--0512", "--05-12"), ("1970", "1970"), ("---12", "---12"), ("1970-05", "1970-05")),
    *(("19700512T030405Z", "1970-05-12T03:04:05Z"), ("T0304", "T03:04")),
    *(("19700512T030405-0500", "1970-05-12T03:04:05-05:00"), ("+0100", "+01:00"), ("some day", "some day")),
]


@pytest.mark.parametrize(("vcard", "jcard"), DATES)
def test_dates_have_the_extended_format(vcard, jcard):
    """RFC 7095 §3.5.3 to §3.5.7; what is no date stays as it is."""
    assert extended(vcard) == jcard
    assert basic(jcard) == vcard


@given(st.text(max_size=30))
def test_anything_may_stand_where_a_date_should(text):
    """Never an exception."""
    extended(text)
    basic(text)


@given(st.text(max_size=30), st.sampled_from(("FN", "N", "NICKNAME", "X-A", "URL", "BDAY", "REV")))
def test_any_value_is_a_property_and_a_line_again(text, name):
    """However odd."""
    jcard = of_line(Line(name, escape(text)))
    assert of_line(to_line(jcard)) == jcard
