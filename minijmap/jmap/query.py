"""Foo/query and Foo/queryChanges, once, for every declared type (RFC 8620 §5.5, §5.6).

Owns positions, anchors, limits, totals and what a change does to a list of results. How the rows are found is a
`QueryPlan`: `SqlPlan` suits most types, a type with special indexes brings its own. Must not know any type.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from minijmap.jmap.call import Argument, Call
from minijmap.jmap.datatype import Condition, DataType, Scope
from minijmap.jmap.errors import AnchorNotFound, CannotCalculateChanges, TooManyChanges
from minijmap.jmap.filtering import FilterNode, build_filter, build_sort, parse_filter, parse_sort
from minijmap.jmap.standard import ACCOUNT, parse_state
from minijmap.jmap.values import Anything, Boolean, Id, Int, Nullable, String, unsigned_int
from minijmap.store import documents

MOST_RESULTS = 100_000
"""Ids in one answer; a query that would give more says so by `limit` (RFC 8620 §5.5)."""
UNLIMITED = 1 << 60

FILTER_AND_SORT = {
    "accountId": ACCOUNT,
    "filter": Argument(Anything()),
    "sort": Argument(Anything()),
    "calculateTotal": Argument(Boolean(), default=False),
}
QUERY_ARGUMENTS = {
    **FILTER_AND_SORT,
    "position": Argument(Int(), default=0),
    "anchor": Argument(Nullable(Id())),
    "anchorOffset": Argument(Int(), default=0),
    "limit": Argument(Nullable(unsigned_int())),
}
QUERY_CHANGES_ARGUMENTS = {
    **FILTER_AND_SORT,
    "sinceQueryState": Argument(String(most_octets=255), required=True),
    "maxChanges": Argument(Nullable(unsigned_int())),
    "upToId": Argument(Nullable(Id())),
}


class QueryPlan(Protocol):
    """The results of a query, as yet unread."""

    def keys(self, offset: int, limit: int) -> list[int]:
        """Return the keys from an index on."""

    def total(self) -> int:
        """Return how many results there are."""

    def index_of(self, key: int) -> int | None:
        """Return the index of a key in the results, or None."""

    def places(self, keys: list[int]) -> list[tuple[int, int]]:
        """Return (index, key), lowest first, of those keys that are in the results."""


@dataclass(frozen=True)
class Walk:
    """Where a plan starts when not at the type's table: FROM with a row `t` of key and account, and what is left."""

    source: Condition
    left: FilterNode | None


class SqlPlan:
    """A plan in one SQL statement over the type's table: every condition, then every sort key, then the key."""

    def __init__(
        self, data_type: DataType, scope: Scope, arguments: Mapping[str, Any], walk: Walk | None = None
    ) -> None:
        self._reader = scope.reader
        if walk is None:
            source = Condition(f"{data_type.collection.table} AS t")
            walk = Walk(source, parse_filter(data_type, arguments["filter"], scope))
        where = build_filter(data_type, walk.left, scope)
        order = build_sort(data_type, parse_sort(data_type, arguments["sort"]), scope)
        by = ", ".join(f"{key.condition.sql} {'ASC' if key.ascending else 'DESC'}" for key in order)
        self._source = f"FROM {walk.source.sql} WHERE t.account = ? AND {where.sql}"
        self._bound = (*walk.source.parameters, scope.account, *where.parameters)
        self._order = f"ORDER BY {by}{', ' if by else ''}t.key"
        self._order_bound = tuple(value for key in order for value in key.condition.parameters)

    def keys(self, offset: int, limit: int) -> list[int]:
        """Return the keys from an index on."""
        found: list[int] = orjson.loads(
            self._reader.value(
                f"SELECT json_group_array(key) FROM (SELECT t.key {self._source} {self._order} LIMIT ? OFFSET ?)",
                (*self._bound, *self._order_bound, limit, offset),
            )
        )
        return found

    def total(self) -> int:
        """Return how many results there are."""
        return int(self._reader.value(f"SELECT count(*) {self._source}", self._bound))

    def index_of(self, key: int) -> int | None:
        """Return the index of a key in the results, or None."""
        return index_in(self.keys(0, UNLIMITED), key)

    def places(self, keys: list[int]) -> list[tuple[int, int]]:
        """Return (index, key), lowest first, of those keys that are in the results."""
        return places_in(self.keys(0, UNLIMITED), keys)


def index_in(keys: list[int], key: int) -> int | None:
    """Return the index of a key in a list, or None."""
    try:
        return keys.index(key)
    except ValueError:
        return None


def places_in(results: list[int], keys: list[int]) -> list[tuple[int, int]]:
    """Return (index, key), lowest first, of those keys that are in a list of results."""
    wanted = set(keys)
    return [(index, key) for index, key in enumerate(results) if key in wanted]


def query(call: Call, data_type: DataType) -> dict[str, Any]:
    """Answer Foo/query (RFC 8620 §5.5)."""
    extra = {name: Argument(kind, data_type.query_defaults[name]) for name, kind in data_type.query_arguments.items()}
    arguments = call.arguments({**QUERY_ARGUMENTS, **extra})
    access = call.access(arguments["accountId"])
    data_type.prepare_query(call, access, arguments)
    reader = call.reader()
    plan = data_type.plan(Scope(reader, access.account, resolve=call.resolve_id, using=call.using), arguments)
    total = plan.total() if arguments["calculateTotal"] or arguments["position"] < 0 else None
    position = _position(data_type, plan, arguments, total)
    asked = arguments["limit"]
    limit = MOST_RESULTS if asked is None else min(asked, MOST_RESULTS)
    keys = plan.keys(position, limit) if limit else []
    answer = {
        "accountId": access.account_id,
        "queryState": str(reader.state(access.account, data_type.collection.type_name)),
        "canCalculateChanges": True,
        "position": position,
        "ids": [data_type.id_of(key) for key in keys],
    }
    if arguments["calculateTotal"]:
        answer["total"] = total
    if (asked is not None and asked > limit) or (asked is None and len(keys) == MOST_RESULTS):
        answer["limit"] = limit
    return answer


def _position(data_type: DataType, plan: QueryPlan, arguments: Mapping[str, Any], total: int | None) -> int:
    """Return the index of the first result wanted: an anchor's place overrides `position` (RFC 8620 §5.5)."""
    if arguments["anchor"] is not None:
        key = data_type.key_of(arguments["anchor"])
        index = None if key is None else plan.index_of(key)
        if index is None:
            raise AnchorNotFound(f"“{arguments['anchor']}” is not in the results.")
        return max(0, index + int(arguments["anchorOffset"]))
    position = int(arguments["position"])
    return position if position >= 0 else max(0, (total or 0) + position)


def query_changes(call: Call, data_type: DataType) -> dict[str, Any]:
    """Answer Foo/queryChanges (RFC 8620 §5.6)."""
    extra = {name: Argument(kind, data_type.query_defaults[name]) for name, kind in data_type.query_arguments.items()}
    arguments = call.arguments({**QUERY_CHANGES_ARGUMENTS, **extra})
    access = call.access(arguments["accountId"])
    data_type.prepare_query(call, access, arguments)
    reader = call.reader()
    since = parse_state(arguments["sinceQueryState"])
    plan = data_type.plan(Scope(reader, access.account, resolve=call.resolve_id, using=call.using), arguments)
    try:
        touched = data_type.touched(reader, access.account, since, arguments)
    except documents.CannotCalculate as error:
        raise CannotCalculateChanges(str(error)) from None
    if not touched.complete:
        raise CannotCalculateChanges("There are too many changes since that state.")
    added, removed = plan.places(touched.new), list(dict.fromkeys(touched.old))
    up_to = arguments["upToId"] and data_type.key_of(arguments["upToId"])
    # One that may have moved itself marks no end: what was cached before it may come after it now.
    last = plan.index_of(up_to) if up_to and up_to not in removed else None
    if last is not None:
        added = [(index, key) for index, key in added if index <= last]
    most = arguments["maxChanges"]
    if most is not None and len(removed) + len(added) > most:
        raise TooManyChanges(f"There are more than {most} changes.")
    answer = {
        "accountId": access.account_id,
        "oldQueryState": arguments["sinceQueryState"],
        "newQueryState": str(reader.state(access.account, data_type.collection.type_name)),
        "removed": [data_type.id_of(key) for key in removed],
        "added": [{"id": data_type.id_of(key), "index": index} for index, key in added],
    }
    if arguments["calculateTotal"]:
        answer["total"] = plan.total()
    return answer
