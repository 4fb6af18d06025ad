"""Filters and sorts: from the wire to SQL over a type's declared conditions (RFC 8620 §5.5).

Owns FilterOperators, Comparators, collations and their limits. Must not know any type, nor in which order SQLite
visits rows.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from minijmap.jmap import collation
from minijmap.jmap.datatype import Condition, DataType, Scope
from minijmap.jmap.errors import InvalidArguments, UnsupportedFilter, UnsupportedSort
from minijmap.jmap.values import ValueProblem

DEEPEST_FILTER = 32
MOST_CONDITIONS = 500
MOST_COMPARATORS = 16
LONGEST_CHAIN = 50
MOST_STACK = 45
OPERATORS = ("AND", "OR", "NOT")


@dataclass(frozen=True)
class FilterCondition:
    """A leaf of a filter: property → checked value; all must hold."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class FilterOperator:
    """AND, OR or NOT over filters."""

    operator: str
    conditions: tuple["FilterNode", ...]


FilterNode = FilterCondition | FilterOperator


@dataclass(frozen=True)
class Comparator:
    """One key of a sort."""

    property: str
    ascending: bool
    collation: str
    arguments: Mapping[str, Any]


def parse_filter(data_type: DataType, value: Any, scope: Scope) -> FilterNode | None:
    """Return the filter in checked form; None matches everything. Raises InvalidArguments, UnsupportedFilter."""
    if value is None:
        return None
    counter = [0]
    return _parse_node(data_type, value, scope, 1, counter)


def _parse_node(data_type: DataType, value: Any, scope: Scope, depth: int, counter: list[int]) -> FilterNode:
    counter[0] += 1
    if depth > DEEPEST_FILTER or counter[0] > MOST_CONDITIONS:
        raise UnsupportedFilter(
            f"A filter may be {DEEPEST_FILTER} operators deep and hold {MOST_CONDITIONS} conditions."
        )
    if not isinstance(value, dict):
        raise InvalidArguments(
            "The argument “filter” must be a FilterOperator or a FilterCondition.", arguments=["filter"]
        )
    if "operator" not in value:
        return _parse_condition(data_type, value, scope)
    operator, conditions = value["operator"], value.get("conditions")
    if operator not in OPERATORS or not isinstance(conditions, list):
        raise InvalidArguments(
            "A FilterOperator needs “operator” (AND, OR or NOT) and an array “conditions”.", arguments=["filter"]
        )
    return FilterOperator(operator, tuple(_parse_node(data_type, one, scope, depth + 1, counter) for one in conditions))


def _parse_condition(data_type: DataType, value: dict[str, Any], scope: Scope) -> FilterCondition:
    values = {}
    for name, wanted in value.items():
        declared = data_type.filters.get(name)
        if declared is None or (declared.capability is not None and declared.capability not in scope.using):
            raise UnsupportedFilter(f"{data_type.name} can't be filtered by “{name}”.")
        try:
            values[name] = declared.kind.map_ids(declared.kind.check(wanted), scope.resolve)
        except ValueProblem as problem:
            path = problem.under(name).path
            raise InvalidArguments(f"The filter's “{path}” {problem.sentence}.", arguments=["filter"]) from None
    return FilterCondition(values)


def take(node: FilterNode | None, names: Container[str]) -> tuple[list[tuple[str, Any]], FilterNode | None]:
    """Take out of a filter the conditions of these names that every result must meet; return them, and what is left."""
    if isinstance(node, FilterCondition):
        taken = [(name, value) for name, value in node.values.items() if name in names]
        return taken, FilterCondition({name: value for name, value in node.values.items() if name not in names})
    if node is None or node.operator != "AND":
        return [], node
    split = [take(one, names) for one in node.conditions]
    left = tuple(rest for _, rest in split if rest is not None)
    return [one for taken, _ in split for one in taken], FilterOperator("AND", left)


def asks(node: FilterNode | None) -> bool:
    """Say whether a filter has any condition; an AND of nothing has none."""
    if isinstance(node, FilterCondition):
        return bool(node.values)
    return node is not None and (node.operator != "AND" or any(map(asks, node.conditions)))


def build_filter(data_type: DataType, node: FilterNode | None, scope: Scope) -> Condition:
    """Return a filter as SQL. An empty condition, and an AND of nothing, match everything. Raises UnsupportedFilter."""
    if node is None:
        return Condition("1")
    piece = _build(data_type, node, scope, negated=False)
    if piece.stack > MOST_STACK:
        raise UnsupportedFilter("The filter is too complicated.")
    return piece.condition


@dataclass(frozen=True)
class _Piece:
    """SQL that may stand anywhere, and how many places of SQLite's parser (it has 100) its nesting takes."""

    condition: Condition
    stack: int = 0


def _build(data_type: DataType, node: FilterNode, scope: Scope, *, negated: bool) -> _Piece:
    """Build a filter, or its negation: NOT is pushed down to the conditions, where it costs no nesting."""
    if isinstance(node, FilterCondition):
        built = [data_type.filters[name].build(scope, value) for name, value in node.values.items()]
        # What has no value matches no condition: in SQL it is neither true nor false.
        shown = "(({}) IS NOT TRUE)" if negated else "({})"
        parts = [_Piece(Condition(shown.format(one.sql), one.parameters)) for one in built]
        return _join(parts, all_of=not negated)
    if node.operator == "NOT":
        negated = not negated
    parts = [_build(data_type, one, scope, negated=negated) for one in node.conditions]
    return _join(parts, all_of=(node.operator == "AND") != negated)


def _join(parts: list[_Piece], *, all_of: bool) -> _Piece:
    """Join with AND or OR: the deepest first, where it costs least, and in groups, for a chain is as high as long."""
    if not parts:
        return _Piece(Condition("1" if all_of else "0"))
    if len(parts) == 1:
        return parts[0]
    if len(parts) > LONGEST_CHAIN:
        groups = [parts[start : start + LONGEST_CHAIN] for start in range(0, len(parts), LONGEST_CHAIN)]
        return _join([_join(group, all_of=all_of) for group in groups], all_of=all_of)
    first, *others = sorted(parts, key=lambda part: -part.stack)
    sql = (" AND " if all_of else " OR ").join(part.condition.sql for part in (first, *others))
    bound = tuple(value for part in (first, *others) for value in part.condition.parameters)
    return _Piece(Condition(f"({sql})", bound), max(first.stack + 1, others[0].stack + 3))


def parse_sort(data_type: DataType, value: Any) -> tuple[Comparator, ...]:
    """Return the comparators in checked form. Raises InvalidArguments, UnsupportedSort."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InvalidArguments("The argument “sort” must be an array of Comparators or null.", arguments=["sort"])
    if len(value) > MOST_COMPARATORS:
        raise UnsupportedSort(f"A sort may have at most {MOST_COMPARATORS} comparators.")
    return tuple(_parse_comparator(data_type, one) for one in value)


def _parse_comparator(data_type: DataType, value: Any) -> Comparator:
    if not isinstance(value, dict) or not isinstance(value.get("property"), str):
        raise InvalidArguments("A Comparator must be an object with a “property”.", arguments=["sort"])
    name, ascending = value["property"], value.get("isAscending", True)
    chosen = value.get("collation")
    if not isinstance(ascending, bool) or not isinstance(chosen, str | None):
        raise InvalidArguments("“isAscending” is a Boolean and “collation” a String.", arguments=["sort"])
    declared = data_type.sorts.get(name)
    if declared is None:
        raise UnsupportedSort(f"{data_type.name} can't be sorted by “{name}”.")
    if chosen is not None and chosen not in collation.COLLATIONS:
        raise UnsupportedSort(f"There is no collation “{chosen}”; there are {', '.join(collation.COLLATIONS)}.")
    arguments = {}
    for argument, kind in declared.arguments.items():
        try:
            arguments[argument] = kind.check(value.get(argument))
        except ValueProblem as problem:
            raise InvalidArguments(
                f"The sort by “{name}” needs “{argument}”: it {problem.sentence}.", arguments=["sort"]
            ) from None
    return Comparator(name, ascending, chosen or collation.DEFAULT, arguments)


@dataclass(frozen=True)
class SortKey:
    """One expression of an ORDER BY."""

    condition: Condition
    ascending: bool


def build_sort(data_type: DataType, comparators: tuple[Comparator, ...], scope: Scope) -> list[SortKey]:
    """Return the sort as SQL expressions. The caller adds a last one that no two rows share."""
    keys = []
    for comparator in comparators:
        declared = data_type.sorts[comparator.property]
        built = declared.build(scope, comparator.arguments)
        if declared.folded is not None and comparator.collation == collation.DEFAULT:
            built = declared.folded(scope)
        elif declared.collates:
            built = Condition(f"collate_key('{comparator.collation}', {built.sql})", built.parameters)
        keys.append(SortKey(built, comparator.ascending))
    return keys
