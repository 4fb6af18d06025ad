"""ContactCard/query: its filters and sorts as tables, and where a query starts walking (RFC 9610 §3.3).

A query walks `card_index`, whose indexes have the orders that lists are shown in, or starts at the words of a text.
Must not know how a card is shown.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from minijmap.contacts import cardsearch
from minijmap.contacts.addressbook import book_key
from minijmap.jmap import dates
from minijmap.jmap.datatype import Condition, DataType, Filter, Scope, Sort
from minijmap.jmap.errors import UnsupportedFilter
from minijmap.jmap.filtering import FilterCondition, FilterNode, asks, parse_filter, take
from minijmap.jmap.query import QueryPlan, SqlPlan, Walk
from minijmap.jmap.values import Id, String, UTCDate
from minijmap.mail import search

MOST_TERMS: Final = 256
"""Words and phrases in all the conditions of a filter: each is looked up in the index."""
LONGEST_TEXT: Final = 10_000
HITS: Final = "(SELECT rowid AS key FROM card_search WHERE card_search MATCH ?)"

Build = Callable[[Scope, Any], Condition]


def _is(column: str) -> Build:
    return lambda scope, value: Condition(f"{scope.alias}.{column} = ?", (value,))


def _date(column: str, operator: str) -> Build:
    return lambda scope, value: Condition(f"{scope.alias}.{column} {operator} ?", (dates.parse_utc_date(value),))


def _in_book(scope: Scope, book: str) -> Condition:
    inside = f"EXISTS (SELECT 1 FROM card_book AS b WHERE b.book = ? AND b.card = {scope.alias}.key)"
    return Condition(inside, (book_key(book) or 0,))


def _has_member(scope: Scope, uid: str) -> Condition:
    found = f"{scope.alias}.key IN (SELECT card FROM card_member WHERE account = ? AND member = ?)"
    return Condition(found, (scope.account, uid))


def _words(condition: str) -> Build:
    def build(scope: Scope, text: str) -> Condition:
        query = cardsearch.match_query(condition, text)
        if query is None:
            return Condition("0")
        return Condition(f"{scope.alias}.key IN (SELECT rowid FROM card_search WHERE card_search MATCH ?)", (query,))

    return build


FILTERS: Final = {
    "inAddressBook": Filter(Id(), _in_book),
    "uid": Filter(String(), _is("uid")),
    "hasMember": Filter(String(), _has_member),
    "kind": Filter(String(), _is("kind")),
    "createdBefore": Filter(UTCDate(), _date("created_at", "<")),
    "createdAfter": Filter(UTCDate(), _date("created_at", ">=")),
    "updatedBefore": Filter(UTCDate(), _date("updated_at", "<")),
    "updatedAfter": Filter(UTCDate(), _date("updated_at", ">=")),
    **{name: Filter(String(most_octets=LONGEST_TEXT), _words(name)) for name in cardsearch.COLUMNS},
}


def _column(name: str) -> Callable[[Scope, Mapping[str, Any]], Condition]:
    return lambda scope, _: Condition(f"{scope.alias}.{name}")


def _by_name(kind: str) -> Sort:
    return Sort(_column(kind), collates=True, folded=lambda scope: Condition(f"{scope.alias}.{kind}_key"))


SORTS: Final = {
    "created": Sort(_column("created_at")),
    "updated": Sort(_column("updated_at")),
    "name/given": _by_name("given"),
    "name/surname": _by_name("surname"),
    "name/surname2": _by_name("surname2"),
}


def plan(data_type: DataType, scope: Scope, arguments: Mapping[str, Any]) -> QueryPlan:
    """Return the plan of a query: from the words on where every result must have them, else along an index."""
    node = parse_filter(data_type, arguments["filter"], scope)
    if _count_terms(node) > MOST_TERMS:
        raise UnsupportedFilter(f"A filter may look for {MOST_TERMS} words and phrases.")
    texts, left = take(node, cardsearch.COLUMNS)
    if not texts:
        return SqlPlan(data_type, scope, arguments, Walk(Condition("card_index AS t"), node))
    queries = [cardsearch.match_query(name, text) for name, text in texts]
    if None in queries:
        return SqlPlan(data_type, scope, arguments, Walk(Condition("(SELECT * FROM card_index WHERE 0) AS t"), left))
    books, left = take(left, ("inAddressBook",))
    places = cardsearch.place_query(scope.account, [book_key(book) or 0 for _, book in books])
    match = " AND ".join([f"({query})" for query in (*queries, places)])
    return WordsPlan(data_type, scope, arguments, match, left)


class WordsPlan(SqlPlan):
    """A plan that starts at the words. Where nothing else is asked, the index of words counts by itself.

    Looking the words up takes most of the time when many cards have them: the total and the page that is asked for come
    of one look.
    """

    def __init__(
        self, data_type: DataType, scope: Scope, arguments: Mapping[str, Any], match: str, left: FilterNode | None
    ) -> None:
        source = Condition(f"{HITS} AS d CROSS JOIN card_index AS t ON t.key = d.key", (match,))
        super().__init__(data_type, scope, arguments, Walk(source, left))
        self._match = None if asks(left) else match
        self._asked = (arguments.get("position"), arguments.get("limit"))
        self._account = scope.account
        self._page: list[int] | None = None

    def total(self) -> int:
        """Return how many results there are."""
        if self._match is None:
            return super().total()
        position, limit = self._asked
        if position is None or position < 0 or limit is None:
            return int(self._reader.value(f"SELECT count(*) FROM {HITS}", (self._match,)))
        total, self._page = orjson.loads(
            self._reader.value(
                f"WITH hits AS MATERIALIZED (SELECT * FROM {HITS}) SELECT json_array((SELECT count(*) FROM hits), "
                "(SELECT json_group_array(key) FROM (SELECT t.key FROM hits AS d CROSS JOIN card_index AS t "
                f"ON t.key = d.key WHERE t.account = ? {self._order} LIMIT ? OFFSET ?)))",
                (self._match, self._account, *self._order_bound, limit, position),
            )
        )
        return int(total)

    def keys(self, offset: int, limit: int) -> list[int]:
        """Return the keys from an index on."""
        if self._page is not None and (offset, limit) == self._asked:
            return self._page
        return super().keys(offset, limit)


def _count_terms(node: FilterNode | None) -> int:
    if isinstance(node, FilterCondition):
        return sum(len(search.terms(text)) for name, text in node.values.items() if name in cardsearch.COLUMNS)
    return 0 if node is None else sum(map(_count_terms, node.conditions))
