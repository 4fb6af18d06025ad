"""SearchSnippet/get: where a filter's words stand in the subject and the body of Emails (RFC 8621 §5).

Words are marked as the index finds them: folded by `words`, split by `search.terms`. Snippets are read from the stored
messages. Must not change anything, nor know how a query is answered.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from minijmap.jmap.call import Argument, Call
from minijmap.jmap.datatype import Scope
from minijmap.jmap.errors import RequestTooLarge
from minijmap.jmap.filtering import FilterCondition, FilterNode, parse_filter
from minijmap.jmap.standard import ACCOUNT, MOST_IDS
from minijmap.jmap.values import Anything, Id, ListOf
from minijmap.mail import body, message, search, words
from minijmap.mail.email import EmailType
from minijmap.mail.search import Term
from minijmap.store import blobs
from minijmap.store.database import Reader

MOST_OCTETS = 255
"""Of a preview (RFC 8621 §5)."""
CUT = "…"
"""Where a preview leaves something out."""
OPEN, CLOSE = "<mark>", "</mark>"
MARK_OCTETS = len(OPEN) + len(CLOSE)
REACH = MOST_OCTETS + 1
"""Characters before and after a match that a preview can possibly show."""
WORD_REACH = 24
"""Characters that may be left out so that a preview begins and ends between words."""
MOST_MARKED = 64
"""Words and phrases of a filter that are marked."""
MOST_READ = 32_000_000
"""Octets of messages that one call reads; Emails after that get no preview."""
BLOCK = 256

SUBJECT, BODY = frozenset(("text", "subject")), frozenset(("text", "body"))
"""The filter conditions whose words are looked for in each."""
SNIPPET_ARGUMENTS = {
    "accountId": ACCOUNT,
    "filter": Argument(Anything()),
    "emailIds": Argument(ListOf(Id(), most=MOST_IDS), required=True),
}
EMAIL = EmailType()


def get_snippets(call: Call) -> dict[str, Any]:
    """Answer SearchSnippet/get (RFC 8621 §5.1)."""
    arguments = call.arguments(SNIPPET_ARGUMENTS)
    access = call.access(arguments["accountId"])
    limit = call.engine.limits.max_objects_in_get
    email_ids = list(dict.fromkeys(arguments["emailIds"]))
    if len(email_ids) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} Emails.")
    reader = call.reader()
    scope = Scope(reader, access.account, resolve=call.resolve_id, using=call.using)
    node = parse_filter(EMAIL, arguments["filter"], scope)
    source = _Source(reader, access.account, node)
    found, not_found = [], []
    for email_id in email_ids:
        snippet = source.snippet(email_id)
        if snippet is None:
            not_found.append(email_id)
        else:
            found.append({"emailId": email_id, **snippet})
    return {"accountId": access.account_id, "list": found, "notFound": not_found or None}


class _Source:
    """An account's Emails, read for one filter."""

    def __init__(self, reader: Reader, account: int, node: FilterNode | None) -> None:
        self._reader, self._account = reader, account
        self._subject = [pattern for term in wanted(node, SUBJECT) for pattern in _patterns(term, parts=True)]
        self._body = [pattern for term in wanted(node, BODY) for pattern in _patterns(term, parts=False)]
        self._left = MOST_READ

    def snippet(self, email_id: str) -> dict[str, Any] | None:
        """Return an Email's subject and preview; None when there is no such Email."""
        row = self._reader.one(
            "SELECT e.blob, e.size, c.list ->> '$.subject', c.rest FROM email AS e "
            "CROSS JOIN email_content AS c ON c.email = e.key WHERE e.key = ? AND e.account = ?",
            (EMAIL.key_of(email_id), self._account),
        )
        if row is None:
            return None
        blob, size, subject, rest = row
        return {
            "subject": marked(subject or "", self._subject),
            "preview": self._preview(blob, size, rest) if self._body else None,
        }

    def _preview(self, blob: int, size: int, rest: str) -> str | None:
        self._left -= size
        if self._left < 0:
            return None
        stored = orjson.loads(rest)
        root = message.from_json({"h": stored["headers"], "p": stored["structure"]})
        return preview(body.search_text(blobs.read(self._reader, blob), root), self._body)


# What is looked for


def wanted(node: FilterNode | None, names: frozenset[str]) -> list[Term]:
    """Return the words that the named conditions of a filter look for; what is under a NOT is not to be there."""
    return list(dict.fromkeys(_wanted(node, names, positive=True)))[:MOST_MARKED]


def _wanted(node: FilterNode | None, names: frozenset[str], *, positive: bool) -> Iterator[Term]:
    if isinstance(node, FilterCondition):
        for name, text in node.values.items():
            if positive and name in names:
                yield from search.terms(text)
    elif node is not None:
        for one in node.conditions:
            yield from _wanted(one, names, positive=positive != (node.operator == "NOT"))


@dataclass(frozen=True)
class Pattern:
    """A word or phrase as a regular expression over folded text, and at which ends a word must begin and end there."""

    expression: re.Pattern[str]
    begins: bool = False
    ends: bool = False

    def first(self, folded: str, at: int = 0) -> tuple[int, int] | None:
        """Return where it stands, from an offset on."""
        while found := self.expression.search(folded, at):
            start, end = found.span()
            if not (self.begins and _is_letter(folded[start - 1 : start])) and not (
                self.ends and _is_letter(folded[end : end + 1])
            ):
                return start, end
            at = start + 1
        return None

    def all(self, folded: str) -> Iterator[tuple[int, int]]:
        """Yield everywhere it stands."""
        at = 0
        while (found := self.first(folded, at)) is not None:
            yield found
            at = found[1]


LETTERS = re.compile(rf"[{words.RUN}]|(?:(?![{words.RUN}])(?:[^\W_]|[{words.KEPT_MARKS}]))+")
"""A token, as the index has them."""


def _is_letter(character: str) -> bool:
    """Whether a word goes on with it."""
    found = LETTERS.match(character)
    return found is not None and words.RUNS.match(character) is None


def _patterns(term: Term, *, parts: bool) -> Iterator[Pattern]:
    """Return a term as patterns: of whole words, and of what is found inside of words."""
    tokens = LETTERS.findall(term.text)
    expression = re.escape(tokens[0])
    for before, token in pairwise(tokens):
        # Between two words there is something; a character of a run stands apart by itself.
        either = words.RUNS.match(before) or words.RUNS.match(token)
        expression += rf"[\W_]{'*' if either else '+'}{re.escape(token)}"
    begins, ends = (words.RUNS.match(tokens[end]) is None for end in (0, -1))
    yield Pattern(re.compile(expression), begins, ends and not term.any_ending)
    part = words.part(term.text) if parts and not term.is_phrase else None
    if part:
        yield Pattern(re.compile(re.escape(part)))


# What is shown


def marked(text: str, patterns: Iterable[Pattern]) -> str | None:
    """Return a whole text with its matches marked, as HTML; None when there is none."""
    text = words.normal(text)
    spans = _spans(text, patterns)
    return _html(text, spans, 0, len(text)) if spans else None


def preview(text: str, patterns: list[Pattern]) -> str | None:
    """Return the piece of a text around its first match, as HTML of at most 255 octets; None when there is none."""
    text = words.normal(" ".join(text.split()))
    folded = words.fold(text)
    starts = [found[0] for pattern in patterns if (found := pattern.first(folded)) is not None]
    if not starts:
        return None
    start = _unfolded(text, min(starts))
    low, high = max(0, start - REACH), start + REACH
    excerpt = text[low:high]
    # A match that only the excerpt's edges make is too far away to be shown.
    spans = _spans(excerpt, patterns)
    first = next((span for span in spans if span[1] > start - low), None)
    if first is None:  # it is longer than what can be shown
        first = (start - low, len(excerpt))
        spans = [first]
    begin, end = _window(excerpt, spans, first)
    opened = CUT if low + begin > 0 else ""
    closed = CUT if low + end < len(text) else ""
    return f"{opened}{_html(excerpt, spans, begin, end)}{closed}"


def _spans(text: str, patterns: Iterable[Pattern]) -> list[tuple[int, int]]:
    """Return where patterns stand in a normal text: in order, those that touch made one."""
    pieces = text.lower() if text.isascii() else [words.fold(character) for character in text]
    folded = "".join(pieces)
    owners = [at for at, piece in enumerate(pieces) for _ in piece]
    found = [(owners[start], owners[end - 1] + 1) for pattern in patterns for start, end in pattern.all(folded)]
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(found):
        end = stop
        while end < len(text) and unicodedata.category(text[end]) == "Mn" and not words.fold(text[end]):
            end += 1  # what is folded away belongs to the character before it
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _unfolded(text: str, offset: int) -> int:
    """Return which character of a normal text gave the one at an offset of the folded."""
    if text.isascii():
        return offset
    for at in range(0, len(text), BLOCK):
        size = len(words.fold(text[at : at + BLOCK]))
        if offset < size:
            break
        offset -= size
    while offset >= (size := len(words.fold(text[at]))):
        offset -= size
        at += 1
    return at


def _html(text: str, spans: list[tuple[int, int]], begin: int, end: int) -> str:
    """Return text[begin:end] as HTML, with the spans in it marked."""
    pieces, at = [], begin
    for whole_start, whole_stop in spans:
        start, stop = max(whole_start, begin), min(whole_stop, end)
        if start < stop:
            pieces += [_escaped(text[at:start]), OPEN, _escaped(text[start:stop]), CLOSE]
            at = stop
    return "".join([*pieces, _escaped(text[at:end])])


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


# Which piece is shown


def _window(text: str, spans: list[tuple[int, int]], first: tuple[int, int]) -> tuple[int, int]:
    """Return begin and end of the piece with the first match in its middle, as much as there is room for."""
    costs = [_octets(character) for character in text]
    room = MOST_OCTETS - 2 * len(CUT.encode()) - MARK_OCTETS
    begin = end = first[0]
    while end < first[1] and costs[end] <= room:
        room -= costs[end]
        end += 1
    if end == first[1]:
        begin, end = _widened(costs, spans, first, room)
    return _between_words(text, spans, first, begin, end)


def _octets(character: str) -> int:
    """Return how many octets a character has as HTML."""
    code = ord(character)
    if code < 0x80:
        return 5 if character == "&" else 4 if character in "<>" else 1
    return 2 if code < 0x800 else 3 if code < 0x10000 else 4


def _widened(costs: list[int], spans: list[tuple[int, int]], first: tuple[int, int], room: int) -> tuple[int, int]:
    """Take characters, or whole matches, from both sides in turn until there is no more room."""
    begin, end = first
    # From the end of a match on the left to its start, and the other way round on the right.
    jumps = (
        {stop: start for start, stop in spans if stop <= begin},
        {start: stop for start, stop in spans if start >= end},
    )
    going = [True, True]
    while any(going):
        for side in (0, 1):
            edge = end if side else begin
            going[side] = going[side] and edge != (len(costs) if side else 0)
            if not going[side]:
                continue
            low, high = (end, jumps[1].get(end, end + 1)) if side else (jumps[0].get(begin, begin - 1), begin)
            cost = sum(costs[low:high]) + (MARK_OCTETS if edge in jumps[side] else 0)
            going[side] = cost <= room
            if going[side]:
                room -= cost
                begin, end = (begin, high) if side else (low, end)
    return begin, end


def _between_words(
    text: str, spans: list[tuple[int, int]], first: tuple[int, int], begin: int, end: int
) -> tuple[int, int]:
    """Leave out the pieces of words at either end, and what belongs to a character that is not there."""
    space = text.find(" ", begin, min(first[0], begin + WORD_REACH)) + 1
    if begin and text[begin - 1] != " " and space and not any(start < space < stop for start, stop in spans):
        begin = space
    space = text.rfind(" ", max(first[1], end - WORD_REACH), end)
    if end < len(text) and text[end] != " " and space > 0 and not any(start < space < stop for start, stop in spans):
        end = space
    while begin < first[0] and unicodedata.category(text[begin])[0] == "M":
        begin += 1
    while first[0] + 1 < end < len(text) and unicodedata.category(text[end])[0] == "M":
        end -= 1
    while begin < first[0] and text[begin] == " ":
        begin += 1
    while end > first[1] and text[end - 1] == " ":
        end -= 1
    return begin, end
