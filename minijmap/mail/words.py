"""Text as the index of words has it: one folding for what is indexed, looked for and marked (RFC 8621 §4.4.1).

`fold` takes away what people don't type: case, diacritics, points and tatweel of Hebrew and Arabic, full width, soft
hyphens; ß is ss, ø is o, digits are ASCII's. `cut` sets apart each character of what is written without spaces (Han,
kana, Thai, …, and Hangul, whose particles stick to the word); `parts` gives the pieces of three characters inside of
words. Pure functions over strings; must not know FTS5's syntax, nor what a message is.
"""

import re
import unicodedata
from typing import Final

MARKS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f"
    "\ufe20-\ufe2f"
)
KEPT_MARKS: Final = "\u0900-\u0963\u0966-\u0dff\u0f18-\u0f3f\u0f71-\u0fc6"
"""Where scripts of India and their neighbours have marks that words can't do without."""
INVISIBLE: Final = "\u00ad\u0640\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_DROPPED: Final = re.compile(f"[{MARKS}{INVISIBLE}]")
_SHORT_I: Final = "\u0438\u0306"
"""The letter й, which is not an и with something on it."""

# What no decomposition gives: strokes and ligatures, the letters of Persian that look like Arabic's, and the
# apostrophes and hyphens that programs put for the typed ones.
_LETTERS: Final = {
    **dict(zip("ıøłđħŧðªº’ʼ‐", "ioldhtdao''-", strict=True)),
    "þ": "th",
    "æ": "ae",
    "œ": "oe",
    **dict(zip("یىکہۀة", "ييكههه", strict=True)),
}

RUN: Final = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0eb9\u0ebb-\u0ec6\u0ec8-\u0ecd\u1000-\u103f\u1050-\u108f\u1100-\u11ff"
    "\u1780-\u17d3\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u3105-\u312d\u3131-\u318e\u31a0-\u31ba\u31f0-\u31ff\u3400-\u4db5\u4e00-\u9fcc\ua960-\ua97c"
    "\uac00-\ud7a3\ud7b0-\ud7c6\ud7cb-\ud7fb\ufa0e-\ufa29\U00020000-\U0002a6d6\U0002a700-\U0002b81d"
)
"""The characters of scripts whose words run together, for a character class."""

MOST_PART_CHARACTERS: Final = 10_000
"""Characters of a field in which a text is found inside of words."""
MOST_WANTED_CHARACTERS: Final = 64
"""Characters of a word that is looked for inside of words."""
MOST_REMEMBERED: Final = 20_000

RUNS: Final = re.compile(f"[{RUN}]+")
_HALF_WIDTH: Final = re.compile("[\uff66-\uff9f]+")
_INNER: Final = "@.-_+/:'&=#~!%"
_CHUNKS: Final = re.compile(rf"[^\W_]+(?:[{re.escape(_INNER)}]+[^\W_]+)*+")
_PIECE: Final = "\ue000"
"""Begins what is a piece of a word: a character that no text has, and that FTS5 takes for a letter."""
_AS_LETTERS: Final = {ord(one): chr(0xE001 + number) for number, one in enumerate(_INNER)}


class _Table(dict[int, str]):
    """What each character folds to, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = _fold_character(chr(code))
        if len(self) < MOST_REMEMBERED:
            self[code] = folded
        return folded


def _fold_character(character: str) -> str:
    pieces = []
    for one in unicodedata.normalize("NFKC", character).casefold():
        split = unicodedata.normalize("NFD", one)
        letter = one if split == _SHORT_I else unicodedata.normalize("NFC", _DROPPED.sub("", split))
        pieces.append(str(unicodedata.decimal(letter)) if letter.isdecimal() else _LETTERS.get(letter, letter))
    return "".join(pieces)


_TABLE: Final = _Table()


def normal(text: str) -> str:
    """The text in NFC and with half-width kana made full: from here on, each character folds by itself."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFC", text)
    return _HALF_WIDTH.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)


def fold(text: str) -> str:
    """A normal text without what people don't type. What two texts fold to, their sum folds to."""
    return text.lower() if text.isascii() else text.translate(_TABLE)


def cut(folded: str) -> str:
    """Set each character of a run apart: 日本語 becomes `日 本 語`, a phrase that is found in whole or in part."""
    return folded if folded.isascii() else RUNS.sub(lambda run: f" {' '.join(run[0])} ", folded)


# --- parts of words -------------------------------------------------------------------------------------------------


def parts(folded: str) -> str:
    """The pieces of three characters of each word; a word may have dots, hyphens and the like inside."""
    folded = folded[:MOST_PART_CHARACTERS]
    if not folded.isascii():
        folded = RUNS.sub(" ", folded)
    # A word of three characters or less is found as what it is.
    return f" {_PIECE} ".join([_pieces(chunk) for chunk in _CHUNKS.findall(folded) if len(chunk) > 3])


def part(folded: str) -> str | None:
    """What is looked for inside of words; None when it is too short for it, or not of one word."""
    if len(folded) < 3 or RUNS.search(folded):
        return None
    chunks: list[str] = _CHUNKS.findall(folded)
    return chunks[0][:MOST_WANTED_CHARACTERS] if len(chunks) == 1 and len(chunks[0]) >= 3 else None


def parts_wanted(folded: str) -> str | None:
    """The pieces by which `part` of a text is found, or None."""
    chunk = part(folded)
    return chunk and _pieces(chunk)


def _pieces(chunk: str) -> str:
    chunk = chunk.translate(_AS_LETTERS)
    return " ".join([f"{_PIECE}{chunk[at : at + 3]}" for at in range(len(chunk) - 2)])
