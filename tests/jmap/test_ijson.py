"""Reading I-JSON (RFC 7493): what is taken, what is refused, and that refusing is as quick as taking."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.ijson import MAX_DEPTH, NotIJson, loads

NONCHARACTERS = [*range(0xFDD0, 0xFDF0), *(plane << 16 | low for plane in range(17) for low in (0xFFFE, 0xFFFF))]

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(point) for point in NONCHARACTERS]),
    max_size=12,
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


def as_read(digits: str) -> int | float:
    """An integer of 64 bits is exact, a larger one is a double."""
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


def refusal(data: bytes) -> str:
    """The sentence with which `data` is refused."""
    with pytest.raises(NotIJson) as caught:
        loads(data)
    assert caught.value.sentence == str(caught.value)
    caught.value.sentence.encode()  # It can be sent.
    return caught.value.sentence


def integer(digits: str) -> int | float:
    """The number that an integer of these digits is here: a double beyond 64 bits."""
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


@settings(max_examples=200, deadline=None)
@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_every_valid_value_is_read_as_the_standard_library_reads_it(value, ensure_ascii, indent):
    """Strictness changes nothing about a valid message."""
    text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

    assert loads(text.encode()) == json.loads(text) == value


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(texts, values, min_size=1, max_size=5), st.data())
def test_repeating_any_member_is_refused(members, data):
    """A duplicate name is found wherever it stands and however it is escaped (RFC 7493 §2.3)."""
    name = data.draw(st.sampled_from(sorted(members)))
    spelled = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in name)
    parts = [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in members.items()]
    place = data.draw(st.integers(0, len(parts)))
    parts.insert(place, f'"{spelled}":{json.dumps(data.draw(values))}')

    assert "twice" in refusal(f'[{{"outer":{{{",".join(parts)}}}}}]'.encode())


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60)
    | st.text('[]{}",:\\u0123456789abcdefDEN.-+ \n\ud83d\ufffe', max_size=60).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    )
)
def test_any_octets_are_a_value_or_refused(data):
    """Nothing but NotIJson ever comes out, and what is taken the standard library takes as well."""
    try:
        value = loads(data)
    except NotIJson:
        return
    assert value == json.loads(data, parse_int=integer)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{} {}",
        b"[1,]",
        b'{"a":1,}',
        b"[1]x",
        b"'a'",
        b"{a:1}",
        b"[01]",
        b"[1.]",
        b"[+1]",
        b'"\t"',
        b'"\\x"',
        b'"\\u12"',
        b'"abc',
        b"[",
        b"nul",
        b"// c\n1",
        b"[}",
        b"]",
    ],
)
def test_what_is_not_json_is_refused_with_its_place(data):
    """A syntax fault names its line and column, and its offset is an attribute."""
    with pytest.raises(NotIJson, match=r"at line \d+, column \d+\.$") as caught:
        loads(data)

    assert caught.value.position is not None


def test_other_encodings_are_refused():
    """Only UTF-8 without a byte order mark is I-JSON (RFC 7493 §2.1)."""
    assert "byte order mark" in refusal(b"\xef\xbb\xbf{}")
    assert "octet 2" in refusal(b'["\xff"]')
    assert "Not UTF-8" in refusal(b'"\xc0\xaf"')
    refusal("{}".encode("utf-16"))
    refusal('["a"]'.encode("utf-16-le"))


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud800"',
        r'"\udead"',
        r'["\ud83d", "\ude00"]',
        r'{"\uDBFF": 1}',
        r'[{"a": {"b\ud800c": 1}}]',
        r'"\ud800\ud800\udc00"',
        r'"\udc00\ud800"',
        r'"\\\ud800"',
    ],
)
def test_unpaired_surrogates_are_refused_in_values_and_names(text):
    """An escape must not spell half a character (RFC 7493 §2.1)."""
    assert "unpaired surrogate U+D" in refusal(text.encode())


def test_surrogates_in_the_octets_are_refused():
    """Surrogates written in UTF-8 are not UTF-8, not even as a pair."""
    assert "Not UTF-8" in refusal(b'"\xed\xa0\x80"')
    assert "Not UTF-8" in refusal(b'"\xed\xa0\xbd\xed\xb8\x80"')


def test_paired_surrogates_and_escaped_backslashes_are_taken():
    """A pair of escapes is one character, and an escaped backslash starts no escape."""
    assert loads(rb'["\ud83d\ude00", "\\ud800", "\uD800\uDEAD"]') == ["😀", r"\ud800", "\U000102ad"]


@pytest.mark.parametrize("point", NONCHARACTERS)
def test_noncharacters_are_refused_escaped_or_not(point):
    """No string or name holds a noncharacter (RFC 7493 §2.1)."""
    character = chr(point)
    for ensure_ascii in (True, False):
        for value in ([character], {f"a{character}": 1}):
            data = json.dumps(value, ensure_ascii=ensure_ascii).encode()
            assert f"noncharacter U+{point:04X}" in refusal(data)


def test_the_neighbours_of_noncharacters_are_taken():
    """The search for noncharacters takes no character for one."""
    for point in (0xFDCF, 0xFDF0, 0xFFFD, 0x1FFFD, 0x20000, 0x3FFE, 0x3FFF, 0x1FFE, 0xFBFE, 0x1FBFF, 0x4FFBF):
        assert loads(json.dumps(chr(point), ensure_ascii=False).encode()) == chr(point)
        assert loads(json.dumps(chr(point)).encode()) == chr(point)


@pytest.mark.parametrize("data", [b"NaN", b"[Infinity]", b'{"a":-Infinity}'])
def test_what_is_no_number_is_refused(data):
    """The constants that the standard library adds to JSON are not JSON."""
    assert "is not a JSON value" in refusal(data)


LARGEST = int(1.7976931348623157e308)


@pytest.mark.parametrize(
    "number",
    [
        "1e400",
        "-1e400",
        "1" + "0" * 309,
        "-1" + "0" * 309,
        "9" * 309,
        "-" + "9" * 309,
        "9" * 5000,
        "9" * 400 + ".5",
        str(LARGEST + 2**970),
        "1e9999999999999999999",
    ],
)
def test_numbers_beyond_a_double_are_refused(number):
    """A magnitude that no double has is refused, however it is written (RFC 7493 §2.2)."""
    assert "larger than a double" in refusal(f'{{"a":[{number}]}}'.encode())


@pytest.mark.parametrize("number", [2**53 + 1, 2**64 - 1, -(2**63), 10**17, 0])
def test_integers_of_64_bits_are_exact(number):
    """Whether an integer is an Int is not decided here."""
    assert loads(str(number).encode()) == number


@pytest.mark.parametrize("number", [LARGEST, -LARGEST, 2**64, -(2**63) - 1, 10**300])
def test_larger_integers_are_doubles(number):
    """Nothing later can write more than 64 bits out as an integer; no I-JSON reader expects more than a double."""
    value = loads(str(number).encode())

    assert isinstance(value, float)
    assert value == float(number)


def test_numbers_are_integers_only_as_integers():
    """A fraction or an exponent makes a float, also of a whole number; too small is zero."""
    assert [repr(number) for number in loads(b"[1, 1.0, 1e2, -0, -0.0, 1e-400]")] == [
        "1",
        "1.0",
        "100.0",
        "0",
        "-0.0",
        "0.0",
    ]


def test_depth_is_limited_exactly():
    """The limit counts nesting, not openings, and brackets in strings don't count."""
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert loads(b"[" + b",".join([b"{}"] * 1000) + b"]") == [{}] * 1000
    assert loads(b'["' + b"[" * 1000 + rb"\"[\\" + b'"]') == ["[" * 1000 + '"[\\']
    assert loads(b'["' + rb"\\\"[" * 500 + rb"\\" + b'",[]]')[1] == []
    assert f"more than {MAX_DEPTH}" in refusal(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    assert "more than 128" in refusal(b'{"a":' * 129 + b"1" + b"}" * 129)
    assert "more than 128" in refusal(rb'["\\",' + b"[" * 128 + b"]" * 129)
    with pytest.raises(NotIJson, match="more than 2 "):
        loads(b"[[[]]]", max_depth=2)


def test_no_depth_is_a_recursion_error():
    """Not even a limit that the interpreter itself cannot keep."""
    with pytest.raises(NotIJson, match="nested"):
        loads(b"[" * 200_000, max_depth=1_000_000)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 1_000_000,
        b'[{"a":' * 500_000,
        b"[" * 200 + b'"' + b'\\"' * 1_000_000,
        b"[" * 200 + b'"' * 1_000_001,
        b"9" * 2_000_000,
        b"[" + b"9" * 2_000_000 + b".5]",
        b"0." + b"9" * 2_000_000 + b"e999",
        b"1e" + b"9" * 2_000_000,
        b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b',"0":1}',
        b'["\\ud800' + b"x" * 2_000_000 + b'"]',
        b" " * 2_000_000,
    ],
    ids=[
        "openings",
        "objects",
        "escapes",
        "quotes",
        "integer",
        "fraction",
        "digits",
        "exponent",
        "members",
        "surrogate",
        "blanks",
    ],
)
def test_hostile_megabytes_take_no_longer_than_honest_ones(data):
    """Every refusal is linear in the length of the message; a quadratic one would take minutes here."""
    start = time.process_time()

    assert len(refusal(data)) < 200
    assert time.process_time() - start < 5
