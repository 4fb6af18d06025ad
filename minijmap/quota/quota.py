"""The Quota type (RFC 9425): read only, one object for each limit that an account has.

Owns how limits look to a client: to which types they apply, and that a client sees only those of types that it speaks
of. There is one for octets, if the household or the account has a limit (setting `quota`), and one for each type of
which an account may have so many objects. `warnLimit` is at nine tenths; `softLimit` is null, since nothing is refused
before the hard limit is reached.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minijmap.jmap import collation
from minijmap.jmap.datatype import Condition, DataType, Fetched, Filter, Property, Scope, Sort
from minijmap.jmap.filtering import parse_filter
from minijmap.jmap.query import QueryPlan, SqlPlan, Walk
from minijmap.jmap.session import Capability
from minijmap.jmap.values import Id, Kind, ListOf, Nullable, String, unsigned_int
from minijmap.store import documents, limits, usage
from minijmap.store.database import Reader
from minijmap.store.documents import ChangedKeys

if TYPE_CHECKING:
    from minijmap.jmap.call import Call
    from minijmap.jmap.session import Access

QUOTA = "urn:ietf:params:jmap:quota"
CAPABILITY = Capability(QUOTA, {}, lambda _: {})

IS_OCTETS = f"{{0}}.resource = '{usage.OCTETS}'"
NAME = f"CASE WHEN {IS_OCTETS} THEN 'Storage' ELSE {{0}}.resource || ' count' END"
RESOURCE_TYPE = f"CASE WHEN {IS_OCTETS} THEN 'octets' ELSE 'count' END"
SCOPE = "'account'"
USED = "coalesce((SELECT u.used FROM usage AS u WHERE u.account = {0}.account AND u.resource = {0}.resource), 0)"
DESCRIPTION = (
    f"CASE WHEN {IS_OCTETS} THEN 'The octets of messages, and of files that anything in the account refers to. "
    "At the limit nothing more can be stored, and mail that arrives is refused.' "
    "ELSE 'How many objects of this type the account may have.' END"
)


def _shown(kind: Kind, sql: str, *, is_text: bool = False) -> Property:
    column = sql.format("t")
    return Property(kind, server_set=True, column=f"json_quote({column})" if is_text else column)


def _is(sql: str) -> Callable[[Scope, Any], Condition]:
    return lambda scope, value: Condition(f"{sql.format(scope.alias)} = ?", (value,))


def _name_contains(scope: Scope, value: str) -> Condition:
    inside = f"collate_key('{collation.DEFAULT}', {NAME.format(scope.alias)})"
    return Condition(f"instr({inside}, collate_key('{collation.DEFAULT}', ?)) > 0", (value,))


class Scopes:
    """Which types the limit of a resource applies to: the one that is counted, or those whose blobs are."""

    def __init__(self, types: Iterable[DataType]) -> None:
        self._types = list(types)

    def types_of(self, resource: str, using: frozenset[str]) -> list[str]:
        """Return their names, as far as a request names their capabilities (RFC 9425 §4.1)."""
        return [
            one.name
            for one in self._types
            if one.capability in using and (one.holds_blobs if resource == usage.OCTETS else one.name == resource)
        ]

    def visible(self, using: frozenset[str], type_name: str | None = None) -> str:
        """Return, as JSON, the resources with a type that a request speaks of, or with that very type."""
        resources = (usage.OCTETS, *(one.name for one in self._types))
        found = {one: self.types_of(one, using) for one in resources}
        return documents.dump(
            [one for one, names in found.items() if names and (type_name is None or type_name in names)]
        )


class QuotaType(DataType):
    """Quota, as a table. `quota_type` adds the one filter that has to know the other types."""

    name = "Quota"
    capability = QUOTA
    prefix = "q"
    collection = limits.QUOTAS
    verbs = ("get", "changes", "query", "queryChanges")
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "resourceType": _shown(String(), RESOURCE_TYPE, is_text=True),
        "used": _shown(unsigned_int(), USED),
        "hardLimit": _shown(unsigned_int(), "{0}.hard_limit"),
        "scope": _shown(String(), SCOPE, is_text=True),
        "name": _shown(String(), NAME, is_text=True),
        "types": _shown(ListOf(String()), "'[]'"),
        "warnLimit": _shown(Nullable(unsigned_int()), "{0}.hard_limit * 9 / 10"),
        "softLimit": _shown(Nullable(unsigned_int()), "'null'"),
        "description": _shown(Nullable(String()), DESCRIPTION, is_text=True),
    }
    filters = {
        "name": Filter(String(), _name_contains),
        "scope": Filter(String(), _is(SCOPE)),
        "resourceType": Filter(String(), _is(RESOURCE_TYPE)),
    }
    sorts = {
        "name": Sort(lambda scope, _: Condition(NAME.format(scope.alias)), collates=True),
        "used": Sort(lambda scope, _: Condition(USED.format(scope.alias))),
    }

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes

    def fetch(
        self,
        call: "Call",
        access: "Access",
        keys: Sequence[int] | None,
        names: Sequence[str],
        arguments: Mapping[str, Any],
    ) -> Fetched:
        """Read Quotas, but those of no type that the client knows of (RFC 9425 §4.1)."""
        _ = arguments
        reader = call.reader()
        types = {
            key: self._scopes.types_of(resource, call.using)
            for key, resource in reader.all(
                "SELECT key, resource FROM quota WHERE account = ? ORDER BY key", (access.account,)
            )
        }
        shown = [key for key in (types if keys is None else keys) if types.get(key)]
        fetched = self.read(reader, access.account, shown, names)
        objects = self.plain(fetched)
        if "types" in names:
            for key, one in zip(fetched.keys, objects, strict=True):
                one["types"] = types[key]
        return Fetched(objects, fetched.keys)

    def changes_members(self, reader: Reader, account: int, since: int, found: ChangedKeys) -> dict[str, Any]:
        """Say so when only what is used has changed (RFC 9425 §4.3)."""
        reshaped = reader.value(
            "SELECT max(q.reshaped) FROM json_each(?) AS asked CROSS JOIN quota AS q ON q.key = asked.value "
            "WHERE q.account = ?",
            (documents.dump(found.updated), account),
        )
        only_used = found.updated and (reshaped or 0) <= since
        return {"updatedProperties": ["used"] if only_used else None}

    def plan(self, scope: Scope, arguments: Mapping[str, Any]) -> QueryPlan:
        """Return the plan of a query, over those that the client may see."""
        source = Condition(
            "(SELECT * FROM quota WHERE resource IN (SELECT value FROM json_each(?))) AS t",
            (self._scopes.visible(scope.using),),
        )
        return SqlPlan(self, scope, arguments, Walk(source, parse_filter(self, arguments["filter"], scope)))


def quota_type(types: Iterable[DataType]) -> QuotaType:
    """Return the type; `types` are all those that there are."""
    scopes = Scopes(types)

    def of_type(scope: Scope, value: str) -> Condition:
        listed = "SELECT value FROM json_each(?)"
        return Condition(f"{scope.alias}.resource IN ({listed})", (scopes.visible(scope.using, value),))

    class WithTypes(QuotaType):
        """Quota with all its filters."""

        filters = {**QuotaType.filters, "type": Filter(String(), of_type)}

    return WithTypes(scopes)
