"""The match type :regex: POSIX extended regular expressions, as the Sieve draft of that name has them.

Owns the language (ERE without collating elements; what POSIX leaves undefined is refused), its compilation to a small
automaton, and two ways to run that, neither of which ever goes back in the text: with sets of states as the states of a
lazily built DFA, to say whether there is a match, and thread by thread, to say what the groups matched. The match
is the leftmost, and of those the longest. A character is a Unicode character under every comparator.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

Variants = Callable[[str], str]

MOST_GROUPS: Final = 99
MOST_REPEATS: Final = 255  # RE_DUP_MAX of POSIX
DEEPEST: Final = 50
"""Parentheses inside of each other."""
_MOST_KNOWN: Final = 50_000
"""States of the expression in all known states of its DFA, and edges between those; more are forgotten."""
_SPECIAL: Final = frozenset("^.[$()|*+?{\\")
_BOUND: Final = re.compile(r"\{([0-9]{1,5})(,([0-9]{1,5})?)?\}")
_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "alpha": str.isalpha,
    "digit": lambda character: "0" <= character <= "9",
    "alnum": lambda character: character.isalpha() or "0" <= character <= "9",
    "upper": str.isupper,
    "lower": str.islower,
    "space": str.isspace,
    "blank": lambda character: character in " \t",
    "punct": lambda character: character.isprintable() and not character.isalnum() and not character.isspace(),
    "print": str.isprintable,
    "graph": lambda character: character.isprintable() and not character.isspace(),
    "cntrl": lambda character: ord(character) < 32 or 127 <= ord(character) < 160,
    "xdigit": lambda character: character in "0123456789abcdefABCDEF",
}


class RegexProblem(ValueError):
    """The expression can't be used; the text says why, for a person."""


# --- the parts of an expression ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Set:
    """One character out of a set; `ranges` are closed."""

    ranges: tuple[tuple[str, str], ...] = ()
    classes: tuple[Callable[[str], bool], ...] = ()
    negated: bool = False

    def has(self, characters: str) -> bool:
        """Whether a character is in it, given with everything that it is equal to."""
        inside = any(
            any(low <= character <= high for low, high in self.ranges) or any(one(character) for one in self.classes)
            for character in characters
        )
        return inside is not self.negated


@dataclass(frozen=True, slots=True)
class _Edge:
    """The beginning or the end of the value."""

    at_end: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """One after the other."""

    parts: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Either:
    """One of several."""

    parts: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    """From `least` to `most` times, without an end when None."""

    part: "_Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class _Group:
    """A group in parentheses, numbered from 1."""

    number: int
    part: "_Node"


_Node = _Set | _Edge | _Row | _Either | _Repeat | _Group
_ANY: Final = _Set(negated=True)


class _Parser:
    """Recursive descent over an expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = 0

    def whole(self) -> _Node:
        node = self.either(0)
        if self.at < len(self.text):
            raise RegexProblem("“)” without “(”")
        return node

    def either(self, depth: int) -> _Node:
        if depth > DEEPEST:
            raise RegexProblem(f"more than {DEEPEST} groups are inside of each other")
        parts = [self.row(depth)]
        while self.text.startswith("|", self.at):
            self.at += 1
            parts.append(self.row(depth))
        return parts[0] if len(parts) == 1 else _Either(tuple(parts))

    def row(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.repeated(depth))
        return parts[0] if len(parts) == 1 else _Row(tuple(parts))

    def repeated(self, depth: int) -> _Node:
        node = self.atom(depth)
        times = 0
        while self.at < len(self.text) and self.text[self.at] in "*+?{":
            times += 1
            least, most = self.bounds()
            if times > 3:
                raise RegexProblem("a repetition is repeated again and again")
            node = _Repeat(node, least, most)
        return node

    def bounds(self) -> tuple[int, int | None]:
        sign = self.text[self.at]
        if sign != "{":
            self.at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        found = _BOUND.match(self.text, self.at)
        if not found:
            raise RegexProblem("“{” must be followed by one or two numbers and “}”")
        self.at = found.end()
        least = int(found[1])
        most = int(found[3]) if found[3] else (None if found[2] else least)
        if least > MOST_REPEATS or (most is not None and not least <= most <= MOST_REPEATS):
            raise RegexProblem(f"“{found[0]}” must have numbers up to {MOST_REPEATS}, the smaller one first")
        return least, most

    def atom(self, depth: int) -> _Node:
        sign = self.text[self.at]
        self.at += 1
        if sign == "(":
            self.groups += 1
            number = self.groups
            if number > MOST_GROUPS:
                raise RegexProblem(f"there are more than {MOST_GROUPS} groups")
            node = self.either(depth + 1)
            if not self.text.startswith(")", self.at):
                raise RegexProblem("“(” without “)”")
            self.at += 1
            return _Group(number, node)
        if sign == "[":
            return self.bracket()
        if sign in "^$":
            return _Edge(sign == "$")
        if sign == ".":
            return _ANY
        if sign in "*+?{":
            raise RegexProblem(f"“{sign}” has nothing before it to repeat")
        return self.escaped() if sign == "\\" else _Set(((sign, sign),))

    def escaped(self) -> _Node:
        sign = self.text[self.at : self.at + 1]
        self.at += 1
        if not sign:
            raise RegexProblem("nothing follows the last backslash")
        if sign.isalnum():
            raise RegexProblem(f"“\\{sign}” has no meaning in POSIX; classes are written as in “[[:digit:]]”")
        return _Set(((sign, sign),))

    def bracket(self) -> _Node:
        negated = self.text.startswith("^", self.at)
        self.at += negated
        ranges: list[tuple[str, str]] = []
        classes: list[Callable[[str], bool]] = []
        first = True
        while first or not self.text.startswith("]", self.at):
            first = False
            if self.text.startswith("[:", self.at):
                end = self.text.find(":]", self.at)
                name = self.text[self.at + 2 : end] if end > 0 else ""
                if name not in _CLASSES:
                    raise RegexProblem("“[:” must be followed by the name of a class and “:]”")
                classes.append(_CLASSES[name])
                self.at = end + 2
                continue
            ranges.append(self.range())
        self.at += 1
        return _Set(tuple(ranges), tuple(classes), negated)

    def range(self) -> tuple[str, str]:
        low = self.member()
        if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
            self.at += 1
            high = self.member()
            if high < low:
                raise RegexProblem(f"the range “{low}-{high}” is empty")
            return low, high
        return low, low

    def member(self) -> str:
        if self.text.startswith(("[.", "[=", "[:"), self.at):
            raise RegexProblem("collating elements are not supported, and a class is no end of a range")
        sign = self.text[self.at : self.at + 1]
        if not sign:
            raise RegexProblem("“[” without “]”")
        self.at += 1
        return sign


# --- the automaton ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Step:
    """One state: what to do there (`set` reads a character, `edge` looks, `save` notes) and where to go on."""

    goes: tuple[int, ...] = ()
    """The next states, the preferred one first; none for the end of the expression."""
    reads: _Set | None = None
    edge: _Edge | None = None
    save: int | None = None


class _Builder:
    """States for the parts of an expression, made from its end to its beginning."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.steps: list[_Step] = [_Step()]

    def add(self, step: _Step) -> int:
        if len(self.steps) >= self.limit:
            raise RegexProblem(f"it is too large: it needs more than {self.limit} states")
        self.steps.append(step)
        return len(self.steps) - 1

    def build(self, node: _Node, then: int) -> int:
        """The first state of a part after which `then` comes."""
        match node:
            case _Set():
                return self.add(_Step((then,), reads=node))
            case _Edge():
                return self.add(_Step((then,), edge=node))
            case _Row():
                for part in reversed(node.parts):
                    then = self.build(part, then)
                return then
            case _Either():
                return self.add(_Step(tuple([self.build(part, then) for part in node.parts])))
            case _Group():
                end = self.add(_Step((then,), save=2 * node.number + 1))
                return self.add(_Step((self.build(node.part, end),), save=2 * node.number))
            case _Repeat():
                return self.build_repeat(node, then)

    def build_repeat(self, node: _Repeat, then: int) -> int:
        if node.most is None:
            loop = self.add(_Step())
            self.steps[loop].goes = (self.build(node.part, loop), then)
            then = loop
        else:
            end = then
            for _ in range(node.most - node.least):
                then = self.add(_Step((self.build(node.part, then), end)))
        for _ in range(node.least):
            then = self.build(node.part, then)
        return then


@dataclass(slots=True, eq=False)
class _Known:
    """A state of the DFA: the reading states that are active, and whether the expression has ended here."""

    reading: tuple[int, ...]
    ended: bool
    ended_at_end: bool
    edges: "dict[str, _Known]" = field(default_factory=dict)


class Regex:
    """A compiled expression. It may be used by several threads at once: what they learn is the same."""

    def __init__(self, pattern: str, variants: Variants, limit: int) -> None:
        """Take the expression, the characters that the comparator has for equal, and how many states there may be.

        Raises RegexProblem.
        """
        if len(pattern) > limit:
            raise RegexProblem(f"it has more than {limit} characters")
        parser = _Parser(pattern)
        builder = _Builder(limit)
        node = parser.whole()
        self._first = builder.build(node, 0)
        self._steps = builder.steps
        self._groups = parser.groups
        self._variants = variants
        self._known: dict[frozenset[int], _Known] = {}
        self._weight = 0

    @property
    def size(self) -> int:
        """How many states it has."""
        return len(self._steps)

    def search(self, value: str, check_time: Callable[[], None], *, groups: bool = True) -> tuple[str, ...] | None:
        """The part that matches and what each group matched, None without a match; () when `groups` aren't wanted.

        check_time is called now and then, and may raise.
        """
        if not self._found(value, check_time):
            return None
        return self._matched(value, check_time) if groups else ()

    # --- is there a match? ------------------------------------------------------------------------------------------

    def _found(self, value: str, check_time: Callable[[], None]) -> bool:
        state = self._state(frozenset((self._first,)), at_start=True)
        for count, character in enumerate(value):
            if state.ended:
                return True
            if not count & 0xFFFF:
                check_time()
            following = state.edges.get(character)
            if following is None:
                check_time()
                following = self._follow(state, character)
            state = following
        return state.ended or state.ended_at_end

    def _follow(self, state: _Known, character: str) -> _Known:
        same = self._variants(character)
        goes = {self._steps[index].goes[0] for index in state.reading if self._reads(index, same)}
        if self._weight > _MOST_KNOWN:
            self._known, self._weight = {}, 0
        following = self._state(frozenset((self._first, *goes)), at_start=False)
        self._weight += 1
        state.edges[character] = following
        return following

    def _reads(self, index: int, same: str) -> bool:
        reads = self._steps[index].reads
        return reads is not None and reads.has(same)

    def _state(self, kernel: frozenset[int], *, at_start: bool) -> _Known:
        known = None if at_start else self._known.get(kernel)
        if known is None:
            reached = self._reach(kernel, at_start=at_start, at_end=False)
            reading = tuple(index for index in reached if self._steps[index].reads)
            ended = 0 in reached
            known = _Known(reading, ended, ended or 0 in self._reach(kernel, at_start=at_start, at_end=True))
            if not at_start:
                self._known[kernel] = known
                self._weight += len(kernel) + len(reading)
        return known

    def _reach(self, kernel: Iterable[int], *, at_start: bool, at_end: bool) -> set[int]:
        """Every state that can be reached without reading."""
        reached: set[int] = set()
        stack = list(kernel)
        while stack:
            index = stack.pop()
            if index in reached:
                continue
            reached.add(index)
            step = self._steps[index]
            if step.reads or (step.edge and not (at_end if step.edge.at_end else at_start)):
                continue
            stack.extend(step.goes)
        return reached

    # --- what do the groups match? ----------------------------------------------------------------------------------

    def _matched(self, value: str, check_time: Callable[[], None]) -> tuple[str, ...]:
        """The leftmost longest match; of its groups, what the earlier alternatives and longer repetitions give."""
        best: tuple[int, ...] = ()
        threads: list[tuple[int, tuple[int, ...]]] = []
        empty = (-1,) * (2 * self._groups + 2)
        for position in range(len(value) + 1):
            if not position & 0xFF:
                check_time()
            if not best:
                threads.append((self._first, (position, *empty[1:])))
            elif not threads:
                break
            reading, ended = self._advance(threads, position, len(value))
            if ended and (not best or ended[0] <= best[0]):
                best = (ended[0], position, *ended[2:])
            same = self._variants(value[position : position + 1])
            threads = [
                (self._steps[index].goes[0], saved)
                for index, saved in reading
                if position < len(value) and self._reads(index, same) and (not best or saved[0] <= best[0])
            ]
        spans = zip(best[::2], best[1::2], strict=True)
        return tuple(value[start:end] if 0 <= start <= end else "" for start, end in spans)

    def _advance(
        self, threads: list[tuple[int, tuple[int, ...]]], position: int, length: int
    ) -> tuple[list[tuple[int, tuple[int, ...]]], tuple[int, ...]]:
        """The threads that wait for a character, the preferred ones first, and what was noted where one ended."""
        seen: set[int] = set()
        reading: list[tuple[int, tuple[int, ...]]] = []
        ended: tuple[int, ...] = ()
        stack = threads[::-1]
        while stack:
            index, saved = stack.pop()
            if index in seen:
                continue
            seen.add(index)
            step = self._steps[index]
            if step.reads:
                reading.append((index, saved))
            elif not step.goes:
                ended = ended or saved
            elif step.edge is None or position == (length if step.edge.at_end else 0):
                if step.save is not None:
                    saved = (*saved[: step.save], position, *saved[step.save + 1 :])
                stack.extend((index, saved) for index in reversed(step.goes))
        return reading, ended
