"""Collations: RFC 4790 §9 and RFC 5051, by which the `collation` of a Comparator (RFC 8620 §5.5) orders strings.

Holds, for each collation, a function from a string to its sort key, and the SQL function of the same effect. Two
strings are equal under a collation when their keys are, and ordered as their keys are: by code points, which is the
order of Python's str, of SQLite's TEXT and of UTF-8 octets alike. It must not know what is being sorted.

Keys of i;unicode-casemap follow the Unicode version of the running Python (`unicodedata.unidata_version`).
"""

import re
import sqlite3
import unicodedata
from collections.abc import Callable
from typing import Any

DEFAULT = "i;unicode-casemap"
"""The collation of a Comparator that names none: Unicode-aware and case-insensitive, as RFC 8620 §5.5 requires."""

_DIGITS = re.compile(r"[0-9]*")
_INFINITY = ":"  # The character after "9": greater than the key of any number.
_MAX_CACHED = 16_384  # More than any household's scripts; bounds what hostile text can make us keep.


class _CaseMap(dict[int, str]):
    """Preparation of one code point by RFC 5051 §2 step 2, made when first met."""

    def __missing__(self, codepoint: int) -> str:
        character = chr(codepoint)
        # str.title() applies SpecialCasing.txt as well, where "ß" becomes "Ss". A mapping to several characters is
        # never from UnicodeData.txt, and no character with such a one has a titlecase property there.
        title = character.title()
        prepared = unicodedata.normalize("NFKD", title if len(title) == 1 else character)
        if len(self) < _MAX_CACHED:
            self[codepoint] = prepared
        return prepared


_CASE_MAP = _CaseMap()


def ascii_casemap(text: str) -> str:
    """The key of i;ascii-casemap: a to z as A to Z, all else as it is (RFC 4790 §9.2)."""
    if text.isascii():
        return text.upper()
    # The upper() of octets knows ASCII alone.
    return text.encode("utf-8", "surrogatepass").upper().decode("utf-8", "surrogatepass")


def ascii_numeric(text: str) -> str:
    """The key of i;ascii-numeric: the number `text` starts with; without one, infinity (RFC 4790 §9.1).

    It is a count of digits of fixed width, then the digits without leading zeroes: numbers of any size in order.
    """
    found = _DIGITS.match(text)
    digits = found[0] if found else ""
    if not digits:
        return _INFINITY
    significant = digits.lstrip("0")
    return f"{len(significant):010d}{significant}"


def octet(text: str) -> str:
    """The key of i;octet: the string itself (RFC 4790 §9.3)."""
    return text


def unicode_casemap(text: str) -> str:
    """The key of i;unicode-casemap: each code point in titlecase, then decomposed (RFC 5051 §2).

    Marks are not put in canonical order, which RFC 5051 §4 leaves open: it takes quadratic time on hostile text.
    A key is at most 18 times as long as its text.
    """
    if text.isascii():
        return text.upper()
    return text.translate(_CASE_MAP)


COLLATIONS: dict[str, Callable[[str], str]] = {
    "i;ascii-casemap": ascii_casemap,
    "i;ascii-numeric": ascii_numeric,
    "i;unicode-casemap": unicode_casemap,
}
"""The sort key of each collation that a client may name, by its registered name.

Not i;octet: a protocol must allow that one explicitly (RFC 4790 §9.3), and JMAP does not."""


def register(connection: sqlite3.Connection) -> None:
    """Give `connection` the SQL function collate_key(collation, text), for ORDER BY and comparisons.

    NULL, and any value that is not text, stays as it is (RFC 8620 §5.5: collation is ignored for other types). An
    unknown collation fails the statement with sqlite3.OperationalError: its name is checked before SQL is written.
    """
    connection.create_function("collate_key", 2, _collate_key, deterministic=True)


def _collate_key(collation: str, value: Any) -> Any:
    return COLLATIONS[collation](value) if isinstance(value, str) else value
