"""The match type :matches: patterns with "*" and "?" (RFC 5228 §2.7.1), and what they matched (RFC 5229 §3.2).

Owns `Pattern`. Between two "*" a pattern has a fixed length, so taking the first place where each such segment fits
leaves the most room for the next ones: no step is ever taken back, and every "*" is as short as it can be. Segments
without "?" are found by str.find; for the others, when a few tries fail, all places are tested at once by the bits of
large integers. It knows no comparators but what a fold does to characters.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Final

from minijmap.jmap.collation import unicode_casemap

_ELEMENT: Final = re.compile(r"\\?.|\\", re.DOTALL)
_TRIES: Final = 32
"""Places tried one by one before all of them are tested at once."""
_WINDOW: Final = 8_192
"""Characters tested at once, at least."""

Fold = Callable[[str], str]


class _Composed(dict[int, str]):
    """What a code point becomes under i;unicode-casemap when it stays one character where it can."""

    def __missing__(self, codepoint: int) -> str:
        folded = unicodedata.normalize("NFC", unicode_casemap(chr(codepoint)))
        if len(self) < 16_384:
            self[codepoint] = folded
        return folded


_COMPOSED: Final = _Composed()


def by_character(text: str) -> str:
    """The fold of i;unicode-casemap for patterns: RFC 5051 §2, but "é" stays the one character that "?" stands for."""
    return text.upper() if text.isascii() else text.translate(_COMPOSED)


def octets(text: str) -> str:
    """The octets of a text, as characters: "?" stands for one octet under i;octet and i;ascii-casemap."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def from_octets(text: str) -> str:
    """The text of some octets."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogateescape")


class _Segment:
    """What stands between two "*": characters, and holes for "?"."""

    __slots__ = ("holes", "length", "runs", "seed")

    def __init__(self, elements: list[str | None]) -> None:
        """Take folded characters, None for "?"."""
        self.length = len(elements)
        self.holes = tuple(index for index, element in enumerate(elements) if element is None)
        runs: list[tuple[int, str]] = []
        for index, element in enumerate(elements):
            if element is None:
                continue
            if runs and runs[-1][0] + len(runs[-1][1]) == index:
                runs[-1] = (runs[-1][0], runs[-1][1] + element)
            else:
                runs.append((index, element))
        self.runs = tuple(runs)
        """Characters without a hole between them, each with its offset."""
        self.seed = max(runs, key=lambda run: len(run[1]), default=(0, ""))

    def fits(self, text: str, start: int) -> bool:
        """Whether it is what stands at `start`."""
        return all(text.startswith(run, start + offset) for offset, run in self.runs)

    def find(self, text: str, start: int, end: int) -> int:
        """The first place from `start` on where it fits and ends by `end`; -1 when there is none."""
        if end - start < self.length:
            return -1
        if not self.holes or not self.runs:
            return text.find(self.seed[1], start, end)
        offset, run = self.seed
        last = end - self.length
        for _ in range(_TRIES):
            place = text.find(run, start + offset, last + offset + len(run)) - offset
            if place < start:
                return -1
            if self.fits(text, place):
                return place
            start = place + 1
        return self._find_at_once(text, start, end)

    def _find_at_once(self, text: str, start: int, end: int) -> int:
        """The same, in windows, each in time length × size / word size."""
        size = max(_WINDOW, 4 * self.length)
        while end - start >= self.length:
            place = self._first_bit(text[start : min(end, start + size)])
            if place >= 0:
                return start + place
            start += size - self.length + 1
        return -1

    def _first_bit(self, text: str) -> int:
        places: dict[str, int] = {}
        fitting = (1 << (len(text) - self.length + 1)) - 1  # bit i: it may still fit at place i
        for offset, run in self.runs:
            for index, character in enumerate(run, offset):
                if character not in places:
                    places[character] = _bits(text, character)
                fitting &= places[character] >> index
                if not fitting:
                    return -1
        return (fitting & -fitting).bit_length() - 1


def _bits(text: str, character: str) -> int:
    """An integer with bit i set where the character stands at i."""
    gaps = text[::-1].split(character)
    return int("1".join(["0" * len(gap) for gap in gaps]) or "0", 2)


class Pattern:
    """A pattern under a comparator."""

    __slots__ = ("_by_octet", "_fold", "_segments", "_source")

    def __init__(self, pattern: str, fold: Fold, *, by_octet: bool) -> None:
        """Take the pattern, what the comparator does to characters, and whether its characters are octets."""
        self._source = pattern
        self._fold = fold
        self._by_octet = by_octet
        self._segments: list[_Segment] = []
        elements: list[str | None] = []
        for found in _ELEMENT.finditer(octets(pattern) if by_octet else pattern):
            element = found[0]
            if element == "*":
                self._segments.append(_Segment(elements))
                elements = []
            elif element == "?":
                elements.append(None)
            else:
                elements += fold(element[-1])  # RFC 5228 §2.7.1: a backslash makes what follows literal
        self._segments.append(_Segment(elements))

    def match(self, value: str) -> tuple[str, ...] | None:
        """What "?" and "*" stand for, after the whole value (RFC 5229 §3.2); None when it doesn't match."""
        text = octets(value) if self._by_octet else value
        folded = self._fold(text)
        spans = self._spans(folded)
        if spans is None:
            return None
        if len(folded) != len(text):
            spans = _unfolded(spans, text, self._fold)
        pieces = [text[start:end] for start, end in spans]
        return (value, *(map(from_octets, pieces) if self._by_octet else pieces))

    def _spans(self, text: str) -> list[tuple[int, int]] | None:
        """Where each wildcard's part begins and ends, in the folded value."""
        first, last = self._segments[0], self._segments[-1]
        if len(self._segments) == 1:
            if len(text) != first.length or not first.fits(text, 0):
                return None
            return [(hole, hole + 1) for hole in first.holes]
        end = len(text) - last.length
        if first.length > end or not first.fits(text, 0) or not last.fits(text, end):
            return None
        spans = [(hole, hole + 1) for hole in first.holes]
        position = first.length
        for segment in self._segments[1:-1]:
            place = segment.find(text, position, end)
            if place < 0:
                return None
            spans.append((position, place))
            spans += ((place + hole, place + hole + 1) for hole in segment.holes)
            position = place + segment.length
        spans.append((position, end))
        spans += ((end + hole, end + hole + 1) for hole in last.holes)
        return spans


def _unfolded(spans: list[tuple[int, int]], text: str, fold: Fold) -> list[tuple[int, int]]:
    """Spans of a folded text as spans of the text; what became several characters belongs where the first one is."""
    starts = list(accumulate((len(fold(character)) for character in text), initial=0))
    # Where a character became nothing, starts has doubles: the last of them is meant.
    return [(_source_index(starts, start), _source_index(starts, end)) for start, end in spans]


def _source_index(starts: list[int], offset: int) -> int:
    index = bisect_right(starts, offset) - 1
    return index if starts[index] == offset else index + 1
