"""The words of a card, for the filters of ContactCard/query (RFC 9610 §3.3.1).

Owns which text of a card goes into which column of `card_search`. How words are folded, cut and looked for is the same
as in mail (see `mail.search`). The rows are kept with their texts, because cards change. `places` has a word for the
account and one for each AddressBook: the index alone then knows which cards are found, and how many (10,000 hits are
counted in 2 ms, where a look at each card's row took 5). Must not know what a query is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from minijmap.mail import search

INDEXED: Final = (
    *("name", "given", "surname", "surname2", "nickname", "organization", "email", "phone", "online", "address"),
    *("note", "other", "places"),
)
"""The columns of the index, in order."""
COLUMNS: Final[Mapping[str, str]] = {
    "text": "{name nickname organization email phone online address note other}",
    "name": "{name}",
    "name/given": "{given}",
    "name/surname": "{surname}",
    "name/surname2": "{surname2}",
    "nickname": "{nickname}",
    "organization": "{organization}",
    "email": "{email}",
    "phone": "{phone}",
    "onlineService": "{online}",
    "address": "{address}",
    "note": "{note}",
}
"""The filter conditions that search words, and the columns they look at."""
WHOLE_WORDS: Final = frozenset(("note", "other"))
"""The columns that are not searched inside of words."""
MOST_CHARACTERS: Final = 50_000
"""Characters of a column in the index."""

_APART: Final = " \ue0ff "
"""Stands between texts that have nothing to do with each other: a word nobody types, so that no phrase spans it."""
_ACCOUNT: Final = "account{}"
_BOOK: Final = "book{}"
_NOT_DIGITS: Final = re.compile(r"[^0-9]+")


def row(card: Mapping[str, Any], account: int, books: Iterable[int]) -> tuple[str, ...]:
    """Return the row of the index for a card, in the order of INDEXED."""
    texts = _texts(card)
    entries = [
        search.entry(_APART.join(texts[column])[:MOST_CHARACTERS], in_parts=column not in WHOLE_WORDS)
        for column in INDEXED[:-1]
    ]
    return (*entries, " ".join([_ACCOUNT.format(account), *map(_BOOK.format, books)]))


def match_query(condition: str, text: str) -> str | None:
    """Return the FTS5 query of a filter condition; None when the text has no word, and so matches nothing."""
    return search.columns_query(COLUMNS[condition], text)


def place_query(account: int, books: Iterable[int]) -> str:
    """Return the FTS5 query of the cards of an account that are in all of these AddressBooks."""
    return f"{{places}} : ({' AND '.join([_ACCOUNT.format(account), *map(_BOOK.format, books)])})"


def first_component(card: Mapping[str, Any], kind: str) -> str | None:
    """Return the value of the first NameComponent of a kind (RFC 9610 §3.3.2)."""
    return next(iter(_components(card.get("name") or {}, kind)), None)


def _texts(card: Mapping[str, Any]) -> dict[str, list[str]]:
    name = card.get("name") or {}
    return {
        "name": _whole(name),
        "given": list(_components(name, "given")),
        "surname": list(_components(name, "surname")),
        "surname2": list(_components(name, "surname2")),
        "nickname": _members(card, "nicknames", "name"),
        "organization": _members(card, "organizations", "name"),
        "email": _members(card, "emails", "address", "label"),
        "phone": _phones(card),
        "online": _members(card, "onlineServices", "service", "uri", "user", "label"),
        "address": [text for address in _values(card, "addresses") for text in _whole(address)],
        "note": _members(card, "notes", "note"),
        "other": list(_other(card)),
    }


def _values(card: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    values: Mapping[str, Mapping[str, Any]] = card.get(name) or {}
    return values.values()


def _members(card: Mapping[str, Any], name: str, *members: str) -> list[str]:
    return [value[member] for value in _values(card, name) for member in members if member in value]


def _components(named: Mapping[str, Any], kind: str) -> Iterator[str]:
    yield from (part["value"] for part in named.get("components") or () if part["kind"] == kind)


def _whole(named: Mapping[str, Any]) -> list[str]:
    """Return the text of a Name or an Address: as one string, and its components in their order."""
    parts = " ".join(part["value"] for part in named.get("components") or ())
    return [text for text in (named.get("full"), parts) if text]


def _phones(card: Mapping[str, Any]) -> list[str]:
    """Return numbers as they are written, and without what people put between digits."""
    texts = []
    for phone in _values(card, "phones"):
        number = phone["number"].removeprefix("tel:")
        texts += [number, _NOT_DIGITS.sub("", number), phone.get("label", "")]
    return texts


def _other(card: Mapping[str, Any]) -> Iterator[str]:
    """Yield what only `text` looks at."""
    yield from _members(card, "titles", "name")
    for organization in _values(card, "organizations"):
        yield from (unit["name"] for unit in organization.get("units") or ())
    yield from card.get("keywords") or ()
    yield from _members(card, "personalInfo", "value", "label")
    yield from _members(card, "links", "uri", "label")
    yield from _members(card, "schedulingAddresses", "uri", "label")
    yield from _members({"its": (card.get("speakToAs") or {}).get("pronouns")}, "its", "pronouns")
    for anniversary in _values(card, "anniversaries"):
        yield from _whole(anniversary.get("place") or {})
    for patch in _values(card, "localizations"):
        yield from _strings(patch)


def _strings(value: Any) -> Iterator[str]:
    """Yield the strings of a localization: it may patch anything."""
    left, characters = [value], 0
    while left and characters < MOST_CHARACTERS:
        one = left.pop()
        if isinstance(one, str):
            characters += len(one)
            yield one
        elif isinstance(one, dict):
            left.extend(reversed(one.values()))
        elif isinstance(one, list):
            left.extend(reversed(one))
