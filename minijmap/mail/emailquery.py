"""Email/query: its filters and sorts as tables, and where a query starts walking (RFC 8621 §4.4).

SQLite's planner is told where to start: the words, else what is signed (if that is little), else the Mailbox, else the
keyword, else the account by date. A query by date then reads just the rows that it shows, collapsed or not. Must not
know how an Email is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from minijmap.jmap import dates
from minijmap.jmap.datatype import Condition, DataType, Filter, Scope, Sort, Touched
from minijmap.jmap.errors import UnsupportedFilter
from minijmap.jmap.filtering import (
    Comparator,
    FilterCondition,
    FilterNode,
    FilterOperator,
    build_filter,
    build_sort,
    parse_filter,
    parse_sort,
)
from minijmap.jmap.query import UNLIMITED, places_in
from minijmap.jmap.values import Boolean, Id, ListOf, String, UTCDate, unsigned_int
from minijmap.mail import search, smimestatus
from minijmap.mail.threading import THREADS
from minijmap.store import documents
from minijmap.store.database import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_TERMS = 256
"""Words and phrases in all the conditions of a filter: each is looked up in the index."""
MOST_COUNTED = 2000
"""Signed Emails that are counted to find out where a walk starts best."""
THREAD_NAMES = frozenset(("allInThreadHaveKeyword", "someInThreadHaveKeyword", "noneInThreadHaveKeyword"))


# Conditions (RFC 8621 §4.4.1)


def _in_mailbox(scope: Scope, mailbox_id: str) -> Condition:
    e = scope.alias
    return Condition(
        f"EXISTS (SELECT 1 FROM email_mailbox AS m WHERE m.mailbox = ? AND m.received_at = {e}.received_at "
        f"AND m.email = {e}.key)",
        (_key(mailbox_id),),
    )


def _in_other_mailbox(scope: Scope, mailbox_ids: list[str]) -> Condition:
    return Condition(
        f"EXISTS (SELECT 1 FROM email_mailbox AS m WHERE m.email = {scope.alias}.key AND m.mailbox NOT IN "
        "(SELECT value FROM json_each(?)))",
        (documents.dump([_key(one) for one in mailbox_ids]),),
    )


def _key(mailbox_id: str) -> int:
    """Return a Mailbox's key; 0, which nobody has, for an id that names none."""
    digits = mailbox_id[1:]
    named = mailbox_id[0] == "m" and digits.isdecimal() and digits[0] != "0" and len(digits) < 19
    return int(digits) if named else 0


def _compare(column: str, operator: str) -> "Callable[[Scope, Any], Condition]":
    return lambda scope, value: Condition(f"{scope.alias}.{column} {operator} ?", (value,))


def _date(operator: str) -> "Callable[[Scope, Any], Condition]":
    return lambda scope, value: Condition(f"{scope.alias}.received_at {operator} ?", (dates.parse_utc_date(value),))


def _keyword(e: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM email_keyword AS k WHERE k.account = {e}.account AND k.keyword = ? "
        f"AND k.received_at = {e}.received_at AND k.email = {e}.key)"
    )


def _has_keyword(scope: Scope, keyword: str) -> Condition:
    return Condition(_keyword(scope.alias), (keyword.lower(),))


def _not_keyword(scope: Scope, keyword: str) -> Condition:
    return Condition(f"NOT {_keyword(scope.alias)}", (keyword.lower(),))


def _in_thread(scope: Scope, keyword: str, quantifier: str) -> Condition:
    """Say something of a whole Thread: `some` has the keyword, `none` has, `all` have."""
    wanted = f"{'NOT ' if quantifier == 'all' else ''}{_keyword('other')}"
    found = f"EXISTS (SELECT 1 FROM email AS other WHERE other.thread = {scope.alias}.thread AND {wanted})"
    return Condition(found if quantifier == "some" else f"NOT {found}", (keyword.lower(),))


def _words(condition: str) -> "Callable[[Scope, Any], Condition]":
    def build(scope: Scope, text: str) -> Condition:
        query = search.match_query(condition, text)
        if query is None:
            return Condition("0")
        return Condition(f"{scope.alias}.key IN (SELECT rowid FROM email_search WHERE email_search MATCH ?)", (query,))

    return build


def _header(scope: Scope, value: list[str]) -> Condition:
    name, text = value[0].lower(), value[1] if len(value) > 1 else None
    read = f"(SELECT has_header(c.rest, ?, ?) FROM email_content AS c WHERE c.email = {scope.alias}.key)"
    query = search.header_query(name, text)
    if query is None:
        return Condition(read, (name, text))
    found = f"{scope.alias}.key IN (SELECT rowid FROM email_search WHERE email_search MATCH ?)"
    return Condition(f"({found} AND {read})", (query, name, text))


class _HeaderFilter(ListOf):
    """`[name]` or `[name, text]`."""

    def check(self, value: Any) -> list[Any]:
        """Return it."""
        from minijmap.jmap.values import ValueProblem

        checked = super().check(value)
        if not 1 <= len(checked) <= 2:
            raise ValueProblem("must have one or two items: a header field's name, and a text to look for")
        return checked


FILTERS = {
    "inMailbox": Filter(Id(), _in_mailbox),
    "inMailboxOtherThan": Filter(ListOf(Id(), most=1000), _in_other_mailbox),
    "before": Filter(UTCDate(), _date("<")),
    "after": Filter(UTCDate(), _date(">=")),
    "minSize": Filter(unsigned_int(), _compare("size", ">=")),
    "maxSize": Filter(unsigned_int(), _compare("size", "<")),
    "allInThreadHaveKeyword": Filter(String(1, 255), lambda scope, value: _in_thread(scope, value, "all")),
    "someInThreadHaveKeyword": Filter(String(1, 255), lambda scope, value: _in_thread(scope, value, "some")),
    "noneInThreadHaveKeyword": Filter(String(1, 255), lambda scope, value: _in_thread(scope, value, "none")),
    "hasKeyword": Filter(String(1, 255), _has_keyword),
    "notKeyword": Filter(String(1, 255), _not_keyword),
    "hasAttachment": Filter(Boolean(), lambda scope, value: _compare("has_attachment", "=")(scope, int(value))),
    **{name: Filter(String(most_octets=10_000), _words(name)) for name in search.COLUMNS},
    "header": Filter(_HeaderFilter(String(1, 10_000)), _header),
    **smimestatus.FILTERS,
}

# Sorts (RFC 8621 §4.4.2)


def _column(name: str) -> "Callable[[Scope, Mapping[str, Any]], Condition]":
    return lambda scope, _: Condition(f"{scope.alias}.{name}")


KEYWORD_ARGUMENT = {"keyword": String(1, 255)}
SORTS = {
    "receivedAt": Sort(_column("received_at")),
    "sentAt": Sort(_column("sent_at")),
    "size": Sort(_column("size")),
    "from": Sort(_column("from_key"), collates=True),
    "to": Sort(_column("to_key"), collates=True),
    "subject": Sort(_column("subject_key"), collates=True),
    "hasKeyword": Sort(lambda scope, its: _has_keyword(scope, its["keyword"]), arguments=KEYWORD_ARGUMENT),
    "allInThreadHaveKeyword": Sort(
        lambda scope, its: _in_thread(scope, its["keyword"], "all"), arguments=KEYWORD_ARGUMENT
    ),
    "someInThreadHaveKeyword": Sort(
        lambda scope, its: _in_thread(scope, its["keyword"], "some"), arguments=KEYWORD_ARGUMENT
    ),
}

# Where a query starts


@dataclass(frozen=True)
class Start:
    """Where a query starts walking: a table of (email, received_at), and the rows of it."""

    source: str
    where: Condition
    email: str
    received_at: str
    collapsed: bool = False
    """Whether the rows are one for each Thread already."""


def _conjuncts(node: FilterNode | None) -> "Iterator[tuple[str, Any]]":
    """Yield the conditions that every result must meet by themselves."""
    if isinstance(node, FilterCondition):
        yield from node.values.items()
    elif isinstance(node, FilterOperator) and node.operator == "AND":
        for one in node.conditions:
            yield from _conjuncts(one)
    elif isinstance(node, FilterOperator):
        yield node.operator, node


def _match(node: FilterNode | None) -> str | None:
    """Return a filter of words alone as one FTS5 query; None for any other, and where a text has no word."""
    if isinstance(node, FilterCondition):
        word = "AND"
        queries = [search.match_query(name, text) for name, text in node.values.items() if name in search.COLUMNS]
        queries += [None] * (len(node.values) - len(queries))
    elif node is not None and node.operator != "NOT":
        word = node.operator
        queries = [_match(one) for one in node.conditions]
    else:
        return None
    return f" {word} ".join(f"({query})" for query in queries) if queries and None not in queries else None


def _without(node: FilterNode | None, gone: frozenset[str]) -> FilterNode | None:
    """Return the filter without its top conditions of these names: the start has seen to them."""
    if isinstance(node, FilterCondition):
        return FilterCondition({name: value for name, value in node.values.items() if name not in gone})
    if isinstance(node, FilterOperator) and node.operator == "AND":
        return FilterOperator("AND", tuple(one for sub in node.conditions if (one := _without(sub, gone)) is not None))
    if isinstance(node, FilterOperator) and node.operator in gone and _match(node) is not None:
        return None
    return node


COLLAPSED_INBOX = Start("mailbox_thread AS d", Condition("d.mailbox = ?"), "d.newest", "d.newest_at", collapsed=True)


def _start(node: FilterNode | None, scope: Scope) -> tuple[Start, FilterNode | None]:
    """Choose the start, and return what is left of the filter."""
    account = scope.account
    top: dict[str, list[Any]] = {}
    for name, value in _conjuncts(node):
        top.setdefault(name, []).append(value)
    words = [(name, text) for name in search.COLUMNS for text in top.get(name, ())]
    queries = [search.match_query(name, text) for name, text in words]
    queries += [query for one in top.get("OR", ()) if (query := _match(one)) is not None]
    if queries and None not in queries:
        match = " AND ".join(f"({query})" for query in queries)
        hits = "(SELECT rowid AS email FROM email_search WHERE email_search MATCH ?) AS d"
        source = f"{hits} CROSS JOIN email AS e ON e.key = d.email"
        start = Start(source, Condition("e.account = ?", (match, account)), "e.key", "e.received_at")
        return start, _without(node, frozenset((*search.COLUMNS, "OR")))
    signed = next((name for name in smimestatus.WALKS if top.get(name) == [True]), None)
    if signed is not None and _are_fewer(scope, signed, top.get("inMailbox", [])):
        start = Start("email_smime AS d", _signed(account, signed), "d.email", "d.received_at")
        return start, _without(node, frozenset((signed,)))
    if len(top.get("inMailbox", ())) == 1:
        where = Condition("d.mailbox = ?", (_own_mailbox(scope, top["inMailbox"][0]),))
        start = Start("email_mailbox AS d", where, "d.email", "d.received_at")
        return start, _without(node, frozenset(("inMailbox",)))
    if len(top.get("hasKeyword", ())) == 1:
        where = Condition("d.account = ? AND d.keyword = ?", (account, top["hasKeyword"][0].lower()))
        start = Start("email_keyword AS d", where, "d.email", "d.received_at")
        return start, _without(node, frozenset(("hasKeyword",)))
    return Start("email AS e", Condition("e.account = ?", (account,)), "e.key", "e.received_at"), node


def _signed(account: int, name: str) -> Condition:
    return Condition(f"d.account = ?{smimestatus.WALKS[name]}", (account,))


def _are_fewer(scope: Scope, name: str, mailbox_ids: list[str]) -> bool:
    """Say whether there are fewer Emails with such a signature than in the Mailbox: the walk starts at the fewest.

    Of those that are many, a walk through the Mailbox soon meets enough: they need not be counted to the end.
    """
    if len(mailbox_ids) != 1:
        return True
    where = _signed(scope.account, name)
    total = scope.reader.value("SELECT total_emails FROM mailbox WHERE key = ?", (_own_mailbox(scope, mailbox_ids[0]),))
    counted = f"SELECT count(*) FROM (SELECT 1 FROM email_smime AS d WHERE {where.sql} LIMIT ?)"
    limit = min(total or 0, MOST_COUNTED)
    return bool(scope.reader.value(counted, (*where.parameters, limit)) < limit)


def _own_mailbox(scope: Scope, mailbox_id: str) -> int:
    """Return a Mailbox's key; 0, which nobody has, if it is not the account's."""
    key = scope.reader.value("SELECT key FROM mailbox WHERE key = ? AND account = ?", (_key(mailbox_id), scope.account))
    return int(key or 0)


def _is_empty(node: FilterNode | None) -> bool:
    if node is None:
        return True
    if isinstance(node, FilterCondition):
        return not node.values
    return node.operator == "AND" and all(_is_empty(one) for one in node.conditions)


def _count_terms(node: FilterNode | None) -> int:
    if isinstance(node, FilterCondition):
        return sum(len(search.terms(text)) for name, text in node.values.items() if name in search.COLUMNS)
    return 0 if node is None else sum(map(_count_terms, node.conditions))


def plan(data_type: DataType, scope: Scope, arguments: Mapping[str, Any]) -> "EmailPlan":
    """Return the plan of a query."""
    node = parse_filter(data_type, arguments["filter"], scope)
    if _count_terms(node) > MOST_TERMS:
        raise UnsupportedFilter(f"A filter may look for {MOST_TERMS} words and phrases.")
    comparators = parse_sort(data_type, arguments["sort"])
    return EmailPlan(data_type, scope, node, comparators, collapse=bool(arguments["collapseThreads"]))


class EmailPlan:
    """The results of an Email/query, as yet unread. By date it is a walk along an index; else all are sorted."""

    def __init__(
        self,
        data_type: DataType,
        scope: Scope,
        node: FilterNode | None,
        comparators: tuple[Comparator, ...],
        *,
        collapse: bool,
    ) -> None:
        self._reader, self._account, self._collapse = scope.reader, scope.account, collapse
        self._start, left = _start(node, scope)
        self._unfiltered = _is_empty(left)
        self._whole_mailbox = self._unfiltered and self._start.source == "email_mailbox AS d"
        email_scope = Scope(scope.reader, scope.account, "e", scope.resolve)
        self._left = build_filter(data_type, left, email_scope)
        self._other = build_filter(data_type, node, Scope(scope.reader, scope.account, "other", scope.resolve))
        self._order = build_sort(data_type, comparators, email_scope)
        # Without a sort the newest comes first.
        self._by_date = not comparators or (len(comparators) == 1 and comparators[0].property == "receivedAt")
        self._ascending = bool(comparators) and comparators[0].ascending
        self._backwards = "DESC" if self._ascending else "ASC"
        self._all: list[int] | None = None
        if self._whole_mailbox and collapse and self._by_date and not self._ascending:
            # What a Mailbox shows, collapsed, newest first, is kept with its counts.
            self._start = replace(
                COLLAPSED_INBOX, where=replace(COLLAPSED_INBOX.where, parameters=self._start.where.parameters)
            )

    # The statement's parts

    def _from(self, *, joined: bool) -> str:
        if not joined or self._start.source.endswith("e.key = d.email") or self._start.source == "email AS e":
            return self._start.source
        return f"{self._start.source} CROSS JOIN email AS e ON e.key = d.email"

    def _where(self) -> Condition:
        start = self._start.where
        if self._unfiltered:
            return start
        return Condition(f"{start.sql} AND {self._left.sql}", (*start.parameters, *self._left.parameters))

    def _first_of_thread(self) -> Condition:
        """Say that no result of the same Thread comes before this one (RFC 8621 §4.4.3), along the order of dates."""
        before = "<" if self._ascending else ">"
        place = f"({self._start.received_at}, {self._start.email})"
        if self._whole_mailbox:
            return Condition(
                "NOT EXISTS (SELECT 1 FROM email_mailbox AS other WHERE other.mailbox = d.mailbox "
                f"AND other.thread = d.thread AND (other.received_at, other.email) {before} {place})"
            )
        return Condition(
            "NOT EXISTS (SELECT 1 FROM email AS other WHERE other.thread = e.thread "
            f"AND (other.received_at, other.key) {before} {place} AND {self._other.sql})",
            self._other.parameters,
        )

    def _walk(self, extra: Condition | None = None) -> tuple[str, tuple[Any, ...]]:
        """Return FROM and WHERE of the results by date, and their bound values."""
        conditions = [self._where()]
        if self._collapse and not self._start.collapsed:
            conditions.append(self._first_of_thread())
        if extra is not None:
            conditions.append(extra)
        joined = not self._unfiltered or (self._collapse and not self._whole_mailbox)
        sql = f"FROM {self._from(joined=joined)} WHERE {' AND '.join(one.sql for one in conditions)}"
        return sql, tuple(value for one in conditions for value in one.parameters)

    # What /query asks

    def keys(self, offset: int, limit: int) -> list[int]:
        """Return the keys from an index on."""
        return self._in_order(None, limit, offset) if self._by_date else self._sorted()[offset : offset + limit]

    def _in_order(self, extra: Condition | None, limit: int, offset: int) -> list[int]:
        """Walk along the order of dates."""
        walk, bound = self._walk(extra)
        direction = "ASC" if self._ascending else "DESC"
        start = self._start
        found: list[int] = orjson.loads(
            self._reader.value(
                f"SELECT json_group_array(key) FROM (SELECT {start.email} AS key {walk} "
                f"ORDER BY {start.received_at} {direction}, {start.email} {direction} LIMIT ? OFFSET ?)",
                (*bound, limit, offset),
            )
        )
        return found

    def _sorted(self) -> list[int]:
        """Return all the keys in the order of a sort that no index has."""
        if self._all is None:
            where = self._where()
            by = "".join(f"{key.condition.sql} {'ASC' if key.ascending else 'DESC'}, " for key in self._order)
            bound = tuple(value for key in self._order for value in key.condition.parameters)
            rows = orjson.loads(
                self._reader.value(
                    f"SELECT json_group_array(json_array(key, thread)) FROM (SELECT e.key, e.thread "
                    f"FROM {self._from(joined=True)} WHERE {where.sql} ORDER BY {by}e.received_at DESC, e.key DESC)",
                    (*where.parameters, *bound),
                )
            )
            self._all = _collapsed(rows) if self._collapse else [key for key, _ in rows]
        return self._all

    def total(self) -> int:
        """Return how many results there are. A Mailbox keeps its own counts."""
        kept = "total_threads" if self._collapse else "total_emails"
        if self._whole_mailbox:
            sql = f"SELECT {kept} FROM mailbox WHERE key = ? AND account = ?"
            return int(self._reader.value(sql, (*self._start.where.parameters, self._account)) or 0)
        where = self._where()
        counted = "count(DISTINCT e.thread)" if self._collapse else "count(*)"
        joined = self._collapse or not self._unfiltered
        return int(
            self._reader.value(f"SELECT {counted} FROM {self._from(joined=joined)} WHERE {where.sql}", where.parameters)
        )

    def index_of(self, key: int) -> int | None:
        """Return the index of a key in the results, or None."""
        return {one: index for index, one in self.places([key])}.get(key)

    def places(self, keys: list[int]) -> list[tuple[int, int]]:
        """Return (index, key), lowest first, of those keys that are in the results.

        By date, the results are read only as far as the last of the keys can be.
        """
        if not self._by_date:
            return places_in(self._sorted(), keys)
        last = self._reader.one(
            f"SELECT e.received_at, e.key FROM json_each(?) AS asked CROSS JOIN email AS e ON e.key = asked.value "
            f"ORDER BY e.received_at {self._backwards}, e.key {self._backwards} LIMIT 1",
            (documents.dump(keys),),
        )
        if last is None:
            return []
        upto = f"({self._start.received_at}, {self._start.email}) {'<=' if self._ascending else '>='} (?, ?)"
        return places_in(self._in_order(Condition(upto, last), UNLIMITED, 0), keys)


def _collapsed(rows: Sequence[Sequence[int]]) -> list[int]:
    """Return the first key of each thread, in order (RFC 8621 §4.4.3)."""
    first: dict[int, int] = {}
    for key, thread in rows:
        first.setdefault(thread, key)
    return list(first.values())


# What a change does to results (RFC 8621 §4.5)


def looks_at_threads(arguments: Mapping[str, Any]) -> bool:
    """Say whether an Email's place in the results may hang on others of its Thread."""
    if arguments["collapseThreads"]:
        return True
    sorted_by = {one.get("property") for one in arguments["sort"] or () if isinstance(one, dict)}
    return bool(sorted_by & THREAD_NAMES) or _names_threads(arguments["filter"])


def _names_threads(node: Any) -> bool:
    if not isinstance(node, dict):
        return False
    if "operator" in node:
        return any(_names_threads(one) for one in node.get("conditions") or ())
    return bool(node.keys() & THREAD_NAMES)


def with_threads(reader: Reader, account: int, since: int, own: Touched) -> Touched:
    """Return, for a query that looks at Threads, every Email of a Thread in which something has changed."""
    changed = documents.changes(reader, THREADS, account, since, None) if _known(reader, account, since) else None
    threads = [*changed.created, *changed.updated] if changed else []
    mates = orjson.loads(
        reader.value(
            "WITH touched(thread) AS (SELECT value FROM json_each(?1) UNION "
            "SELECT e.thread FROM json_each(?2) AS asked CROSS JOIN email AS e ON e.key = asked.value) "
            "SELECT json_group_array(e.key) FROM touched CROSS JOIN email AS e ON e.thread = touched.thread",
            (documents.dump(threads), documents.dump(own.new)),
        )
    )
    complete = own.complete and not (changed and changed.more)
    return Touched(list(dict.fromkeys((*own.old, *mates))), list(dict.fromkeys((*own.new, *mates))), complete)


def _known(reader: Reader, account: int, since: int) -> bool:
    """Say whether Threads have changed since: their state may be older than that of the Emails."""
    return since < reader.state(account, THREADS.type_name)
