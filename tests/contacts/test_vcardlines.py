"""The content lines of vCard: names, parameters, charsets and encodings, values and their parts, folding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.contacts import vcardlines
from minijmap.contacts.vcardlines import (
    MOST_ITEMS,
    MOST_PARAMETERS,
    Line,
    VCardError,
    decoded,
    escape,
    fold,
    parse_line,
    split_components,
    split_values,
    text_of_line,
    texts,
    unescape,
    written,
)

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")))


def parsed(text):
    """A line from text or octets."""
    return parse_line(text if isinstance(text, bytes) else text.encode(), 7)


def test_a_line_has_a_group_a_name_parameters_and_a_value():
    """RFC 6350 §3.3: names are the same in any case."""
    line = parsed('Item1.Tel;TYPE=home,"voice";Pref=1:tel:+1;ext=2')
    assert line == Line("TEL", "tel:+1;ext=2", {"type": ["home", "voice"], "pref": ["1"]}, "item1", 7)
    assert line.first("pref") == "1"
    assert line.first("altid") is None


def test_types_are_in_small_letters_and_a_quoted_list_is_a_list():
    """RFC 6350 §5.6."""
    assert parsed('TEL;TYPE="HOME,Cell",voice:1').types() == ["home", "cell", "voice"]
    assert parsed("TEL:1").types() == []


@pytest.mark.parametrize(
    "text", ["", "rubbish", ":x", "two words:x", "Übung:x", "TEL", "TEL;TYPE=home", 'TEL;TYPE="a:b']
)
def test_what_is_no_property_is_told_with_its_line(text):
    """There is no name, or no colon."""
    if text == 'TEL;TYPE="a:b':
        assert parsed(text).value == "b"
        return
    with pytest.raises(VCardError) as caught:
        parsed(text)
    assert caught.value.line == 7


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        (";TYPE=HOME;TYPE=WORK", {"type": ["HOME", "WORK"]}),
        (";HOME;CELL", {"type": ["HOME", "CELL"]}),
        (";;HOME;", {"type": ["HOME"]}),
        ("; TYPE = home ", {"type": ["home"]}),
        (";TYPE=", {"type": [""]}),
        (';X="a;b:c,d"', {"x": ["a;b:c,d"]}),
        (';X="a","b"', {"x": ["a", "b"]}),
        (";X=say ^'hi^'^nto ^^ and ^x", {"x": ['say "hi"\nto ^ and ^x']}),
        (';X="^^n"', {"x": ["^n"]}),
        (';TYPE="home', {"type": ["home"]}),
        (';TYPE=home"', {"type": ["home"]}),
        (';TYPE="a"b', {"type": ["ab"]}),
        (";odd name=x", {"odd-name": ["x"]}),
        (";X-CUSTOM(CHARSET=UTF-8,ENCODING=QUOTED-PRINTABLE,=C3=9Cb, x)", None),
        (";X-CUSTOM(CHARSET=UTF-8,ENCODING=QUOTED-PRINTABLE,=C3=9Cb=2C x)", {"x-custom": ["Üb, x"]}),
    ],
)
def test_parameters_are_read_as_they_are_written(parameters, found):
    """RFC 6350 §3.3, RFC 6868 §3.2, what 2.1 has without a name, and quotes that nobody has closed."""
    line = parsed(f"TEL{parameters}:1")
    if found is not None:
        assert line.params == found
    assert line.value == "1"


def test_a_line_has_so_many_parameters_and_no_more():
    """Whether they are parameters or values of one."""
    for one, start in ((";a=b", ""), (";b", ""), (",b", ";type=b")):
        count = MOST_PARAMETERS - bool(start)
        assert parsed("TEL" + start + one * count + ":1").value == "1"
        with pytest.raises(VCardError, match="more than 500 parameters"):
            parsed("TEL" + start + one * (count + 1) + ":1")


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        ("Müller".encode(), None, "Müller"),
        ("Müller".encode("latin-1"), None, "Müller"),
        ("„Ü“ €".encode("windows-1252"), None, "„Ü“ €"),
        ("Müller".encode() + b"\xfc", None, "Müllerü"),
        (b"a\x81b", None, "a\x81b"),
        ("Привет".encode("koi8-r"), "KOI8-R", "Привет"),
        ("日本".encode("shift-jis"), "Shift_JIS", "日本"),
        ("Müller".encode(), "windows-1252", "Müller"),
        ("Müller".encode("latin-1"), "ISO-8859-1", "Müller"),
        ("Müller".encode("latin-1"), "utf-8", "Müller"),
        ("Müller".encode(), "no such charset", "Müller"),
        ("Müller".encode(), "punycode", "Müller"),
        ("Müller".encode(), "utf-16", "Müller"),
        (b"abc", "utf-16", "abc"),
        (b"a\0b\x07c\td", None, "abc\td"),
        (b"one\x0btwo", None, "one\ntwo"),
        ("a\ufffeb".encode(), None, "a\ufffdb"),
    ],
)
def test_octets_are_text_in_the_charset_that_they_are_in(octets, charset, text):
    """As is said, or in UTF-8, or as old Windows programs have it; without what no text has."""
    assert decoded(octets, charset) == text


@given(st.binary(max_size=60), st.sampled_from((None, "utf-8", "big5", "idna", "utf-7", "koi8-r", "utf-16", "x")))
def test_any_octets_are_text(octets, charset):
    """Text that can be written."""
    decoded(octets, charset).encode()


@pytest.mark.parametrize(
    ("line", "value", "params"),
    [
        ("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:M=FCller=0D=0AZwei=0ADrei", "Müller\\nZwei\\nDrei", {}),
        ("NOTE;QUOTED-PRINTABLE;CHARSET=UTF-8:M=C3=BCller", "Müller", {}),
        ("NOTE;QUOTED-PRINTABLE:M=C3=BCller", "Müller", {}),
        ("NOTE;ENCODING=8BIT;TYPE=x:a=41", "a=41", {"type": ["x"]}),
        ("NOTE;ENCODING=QUOTED-PRINTABLE:100 =% sure =", "100 =% sure =", {}),
        ("PHOTO;BASE64;JPEG:AAAA", "AAAA", {"encoding": ["BASE64"], "type": ["JPEG"]}),
        ("PHOTO;ENCODING=b:AAAA", "AAAA", {"encoding": ["b"]}),
    ],
)
def test_the_encodings_of_old_versions_are_undone(line, value, params):
    """But for base64, which is left to whoever wants octets."""
    found = parsed(line)
    assert (found.value.removesuffix("="), found.params) == (value.removesuffix("="), params)


def test_a_charset_is_that_of_the_octets_of_the_value():
    """RFC 6350 §3.1 has only UTF-8; 2.1 has any."""
    assert parsed(b"N;CHARSET=windows-1251:" + "Иванов;Иван".encode("windows-1251")).value == "Иванов;Иван"
    quoted = b"N;ENCODING=QUOTED-PRINTABLE;CHARSET=windows-1252:M\xfcller;=DCbung"
    assert parsed(quoted).value == "Müller;Übung"


@pytest.mark.parametrize(
    ("value", "text"),
    [(r"a\nb\Nc", "a\nb\nc"), (r"\,\;\\\:", ",;\\:"), (r"a\xb", r"a\xb"), ("a\\", "a\\"), (r"\\n", r"\n")],
)
def test_values_are_unescaped(value, text):
    """RFC 6350 §3.4; what nobody has defined stays as it is."""
    assert unescape(value) == text


@given(TEXT)
def test_what_is_escaped_comes_back(text):
    """Any text without control characters."""
    assert unescape(escape(text)) == text
    assert texts(escape(text)) == [text]


@given(st.lists(TEXT, min_size=1, max_size=6))
def test_parts_of_a_value_come_back(parts):
    """Components and values, empty ones too."""
    escaped = [escape(one) for one in parts]
    assert split_components(";".join(escaped)) == escaped
    assert split_values(",".join(escaped)) == escaped


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("", [""]),
        (";", ["", ""]),
        (r"a\;b;c", [r"a\;b", "c"]),
        ("a;\\", ["a", "\\"]),
        (r"\\;b", [r"\\", "b"]),
        ("\\;", ["\\;"]),
    ],
)
def test_a_separator_that_is_escaped_is_none(value, parts):
    """Nor does a backslash at the end separate anything."""
    assert split_components(value) == parts


@pytest.mark.parametrize("item", ["a;", r"\,;", ";"])
def test_the_last_of_too_many_components_has_the_rest(item):
    """Nothing is lost, and nobody needs the memory of a million of them."""
    found = split_components(item * (MOST_ITEMS + 50))
    assert len(found) == MOST_ITEMS
    assert ";".join(found) == item * (MOST_ITEMS + 50)


def test_a_line_is_written_with_its_parameters_in_quotes_where_they_need_them():
    """RFC 6868 §3.1; RFC 9555 §3.3.1 wants JSCOMPS in quotes in any case."""
    line = Line("NOTE", "x", {"x": ['a "b"\nc', "d;e", "f^"], "jscomps": ["s"]}, "g")
    assert text_of_line(line) == 'g.NOTE;X=a ^\'b^\'^nc,"d;e",f^^;JSCOMPS="s":x'


@given(TEXT, st.lists(st.text(max_size=20), min_size=1, max_size=3))
def test_a_line_that_is_written_is_read(text, values):
    """Whatever its value and its parameters, but for blanks around those and control characters."""
    values = [vcardlines.clean(one.replace("\r", "")).strip() for one in values]
    line = Line("NOTE", escape(text), {"x": values})
    octets = written(line)
    assert all(len(one) <= 75 for one in octets.split(b"\r\n"))
    found = parse_line(octets.replace(b"\r\n ", b"").removesuffix(b"\r\n"), 0)
    assert unescape(found.value) == vcardlines.scrub(text)
    assert found.params == {"x": [vcardlines.scrub(one) for one in values]}


def test_a_line_end_in_a_value_ends_no_line():
    """A URI that somebody has put one into, for instance."""
    assert written(Line("MEMBER", "urn:a\nEND:VCARD")) == b"MEMBER:urn:a\\nEND:VCARD\r\n"


@pytest.mark.parametrize("length", [0, 1, 74, 75, 76, 149, 150, 1000])
@pytest.mark.parametrize("letter", ["a", "ü", "日", "😀"])
def test_a_line_is_folded_at_75_octets_and_never_inside_of_a_character(length, letter):
    """RFC 6350 §3.2."""
    text = letter * length
    lines = fold(text.encode()).split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) <= 75 for line in lines)
    assert "".join(line.decode() for line in lines).replace(" ", "") == text
