"""Collations: RFC 4790 §9 and RFC 5051."""

import sqlite3
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.collation import COLLATIONS, DEFAULT, ascii_casemap, ascii_numeric, octet, register, unicode_casemap

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text("aAbBzZ019éÉßﬁǄǅǆ \x00", max_size=6)


@pytest.fixture
def connection():
    """A database in memory that knows the collations."""
    opened = sqlite3.connect(":memory:")
    register(opened)
    yield opened
    opened.close()


def test_the_registered_names_are_known_and_the_default_is_one():
    """The names are those of the collation registry."""
    assert sorted(COLLATIONS) == ["i;ascii-casemap", "i;ascii-numeric", "i;unicode-casemap"]
    assert DEFAULT in COLLATIONS


def test_the_example_of_unicode_casemap():
    """RFC 5051 §2: U+01C4 becomes U+0044 U+007A U+030C, as do its titlecase and lowercase forms."""
    assert [unicode_casemap(text) for text in "ǄǅǆDž"[:3]] == ["\u0044\u007a\u030c"] * 3


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Straße", "STRAßE"), ("ﬁ", "fi"), ("é", "E\u0301"), ("e\u0301", "E\u0301"), ("ÿ", "Y\u0308"), ("İ", "I\u0307"), ("ı", "I"), ("µ", "Μ"), ("ς", "Σ"), ("σ", "Σ"),
        ("½", "1\u20442"), ("Å", "A\u030a"), ("ᾳ", "Α\u0345"), ("ŉ", "ʼn"), ("ა", "ა"), ("가", "\u1100\u1161"), ("𐐨", "𐐀"), ("㎒", "MHz"), ("", ""),
    ],
)  # fmt: skip
def test_unicode_casemap_uses_the_simple_mapping(text, key):
    """Titlecase and decomposition are those of UnicodeData.txt: "ß" is not "SS" (RFC 5051 §2)."""
    assert unicode_casemap(text) == key


def test_german_umlauts_sort_with_their_vowels():
    """RFC 5051 §2: characters with diacritics collate with those without."""
    words = ["Zebra", "Österreich", "oslo", "Ostern", "Äpfel", "apfelsine", "Apfel"]

    assert sorted(words, key=unicode_casemap) == [
        "Apfel",
        "apfelsine",
        "Äpfel",
        "oslo",
        "Ostern",
        "Österreich",
        "Zebra",
    ]


def test_the_examples_of_ascii_numeric():
    """RFC 4790 §9.1.1, each sentence."""
    assert ascii_numeric("0") < ascii_numeric("1") < ascii_numeric("4294967298")
    assert ascii_numeric("4294967298") == ascii_numeric("04294967298") == ascii_numeric("4294967298b")
    assert ascii_numeric("04294967298") < ascii_numeric("") == ascii_numeric("x") == ascii_numeric("y")
    assert ascii_numeric("٣") == ascii_numeric("-1") == ascii_numeric("")
    assert ascii_numeric("000") == ascii_numeric("0")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**40), st.integers(0, 10**40), st.integers(0, 3), st.sampled_from(["", "x", " 1", "é9"]))
def test_numbers_of_any_size_are_in_order(first, second, zeroes, tail):
    """Keys compare as the integers do."""
    one, other = ascii_numeric("0" * zeroes + str(first) + tail), ascii_numeric(str(second))

    assert ((one > other) - (one < other)) == ((first > second) - (first < second))
    assert one < ascii_numeric("x")


@settings(max_examples=200, deadline=None)
@given(texts, texts)
def test_octets_and_ascii_casemap_order_as_octets_do(first, second):
    """The order of keys is the order of the (upper-cased) UTF-8 octets (RFC 4790 §9.2, §9.3)."""
    assert (octet(first) < octet(second)) == (first.encode() < second.encode())
    assert (ascii_casemap(first) < ascii_casemap(second)) == (first.encode().upper() < second.encode().upper())
    assert ascii_casemap(first).encode() == first.encode().upper()


@settings(max_examples=200, deadline=None)
@given(texts, texts)
def test_unicode_casemap_maps_one_code_point_after_the_other(first, second):
    """A key is the join of its code points' keys, so that equality and substring are those of the text."""
    assert unicode_casemap(first + second) == unicode_casemap(first) + unicode_casemap(second)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_unicode_casemap_ignores_composition_and_ascii_case(text):
    """Composed and decomposed forms are equal, as are the cases of ASCII letters; nothing is left to decompose."""
    key = unicode_casemap(text)

    assert unicodedata.normalize("NFKD", key) == unicodedata.normalize(
        "NFKD", unicode_casemap(unicodedata.normalize("NFC", text))
    )
    assert ascii_casemap(key) == ascii_casemap(unicode_casemap(ascii_casemap(text)))
    assert all(unicodedata.normalize("NFKD", character) == character for character in key)


@settings(max_examples=50, deadline=None)
@given(st.lists(texts, max_size=12), st.sampled_from(sorted(COLLATIONS)))
def test_sql_orders_as_python_does(strings, name):
    """collate_key gives SQLite the same order and the same equality as the key function gives Python."""
    connection = sqlite3.connect(":memory:")
    register(connection)
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", enumerate(strings))
    found = [n for (n,) in connection.execute("SELECT n FROM t ORDER BY collate_key(?, s), n", (name,))]
    distinct = connection.execute("SELECT count(DISTINCT collate_key(?, s)) FROM t", (name,)).fetchone()[0]
    connection.close()

    assert found == sorted(range(len(strings)), key=lambda n: (COLLATIONS[name](strings[n]), n))
    assert distinct == len({COLLATIONS[name](string) for string in strings})


def test_sql_leaves_null_and_other_types_alone(connection):
    """NULL stays NULL, and what is not text is not collated (RFC 8620 §5.5)."""
    row = connection.execute(
        "SELECT collate_key('i;octet', NULL), collate_key('i;unicode-casemap', 7), collate_key('i;unicode-casemap', 'é')"
    ).fetchone()

    assert row == (None, 7, "E\u0301")


def test_the_sql_function_is_deterministic(connection):
    """An index may be built on it."""
    connection.execute("CREATE TABLE t (s TEXT)")
    connection.execute("CREATE INDEX t_s ON t (collate_key('i;unicode-casemap', s))")
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT s FROM t ORDER BY collate_key('i;unicode-casemap', s)"
    ).fetchall()

    assert "t_s" in plan[0][3]


def test_an_unknown_collation_fails_the_statement(connection):
    """A name that was not checked before does not sort silently."""
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT collate_key('i;basic', 'x')").fetchone()


def test_hostile_text_takes_linear_time_and_bounded_memory():
    """Neither a run of marks out of order nor every code point there is costs more than its length."""
    start = time.process_time()
    unicode_casemap("\u0301\u0316" * 200_000)
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    assert unicode_casemap(everything) == unicode_casemap(everything)
    assert time.process_time() - start < 20
    assert max(len(unicode_casemap(character)) for character in everything) == len(unicode_casemap("\ufdfa")) == 18
