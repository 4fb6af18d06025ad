"""Encoded words: RFC 2047, the writing side.

Owns how a text becomes words of at most 75 characters. Must not know where in a field they stand, or how lines are
folded. `text.decode_words` reads them.
"""

import base64
import string
from collections.abc import Iterator
from typing import Final

LONGEST_WORD: Final = 75
"""Characters of an encoded word, delimiters included (RFC 2047 §2)."""

SHORTEST_ROOM: Final = 24
"""Characters in which any one character can be encoded."""

_FRAME: Final = len("=?utf-8?q?" + "?=")
_IN_PHRASE: Final = frozenset(string.ascii_letters + string.digits + "!*+-/")  # RFC 2047 §5
_IN_TEXT: Final = frozenset(string.ascii_letters + string.digits + string.punctuation) - set("=?_")


def encoded_words(text: str, room: int, *, phrase: bool) -> Iterator[str]:
    """Encode a text, in Q or B, whichever is shorter; no character is split.

    `room` is what the first word may have, in characters (at least SHORTEST_ROOM); every other may have 75. In a
    `phrase`, such as a display-name, fewer characters stand for themselves.
    """
    safe = _IN_PHRASE if phrase else _IN_TEXT
    quoted = [_quoted(character, safe) for character in text]
    in_q = sum(map(len, quoted)) <= _base64_size(len(text.encode()))
    payload = min(LONGEST_WORD, room) - _FRAME
    start = size = 0
    for index, character in enumerate(text):
        cost = len(quoted[index]) if in_q else len(character.encode())
        if index > start and (size + cost if in_q else _base64_size(size + cost)) > payload:
            yield _word(text, quoted, start, index, in_q)
            payload = LONGEST_WORD - _FRAME
            start, size = index, 0
        size += cost
    yield _word(text, quoted, start, len(text), in_q)


def _quoted(character: str, safe: frozenset[str]) -> str:
    if character in safe:
        return character
    return "_" if character == " " else "".join(f"={octet:02X}" for octet in character.encode())


def _base64_size(octets: int) -> int:
    return (octets + 2) // 3 * 4


def _word(text: str, quoted: list[str], start: int, stop: int, in_q: bool) -> str:
    if in_q:
        return f"=?utf-8?q?{''.join(quoted[start:stop])}?="
    return f"=?utf-8?b?{base64.b64encode(text[start:stop].encode()).decode()}?="
