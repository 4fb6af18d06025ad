"""How a type is declared: its properties, filters and sorts as tables, and hooks for what a table can't say.

A `DataType` is read by the standard verbs (`standard`, `setting`, `copying`, `query`), which exist once. A type's own
module fills in the tables and overrides the few hooks it needs. Must not know any particular type.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from minijmap.jmap.errors import SetError
from minijmap.jmap.values import Kind
from minijmap.store import blobs, documents
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import ChangedKeys, Collection

if TYPE_CHECKING:
    from minijmap.jmap.call import Call
    from minijmap.jmap.query import QueryPlan
    from minijmap.jmap.session import Access
    from minijmap.jmap.setting import Outcome

STANDARD_VERBS = ("get", "changes", "set", "copy", "query", "queryChanges")
GREATEST_KEY_DIGITS = 18
SINGLETON_KEY = 1


class _Required:
    """The default of a property that has none: it must be given on create."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


class _Absent:
    """The default of a property that an object of an `open` type may be without."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __deepcopy__(self, memo: Any) -> "_Absent":
        return self


ABSENT: Any = _Absent()


@dataclass(frozen=True)
class Property:
    """One property of a type, in the words of the specifications' own tables."""

    kind: Kind
    default: Any = REQUIRED
    immutable: bool = False
    server_set: bool = False
    column: str | None = None
    """A SQL expression over the row `t` that gives the value as JSON text, for what is not in the document."""
    capability: str | None = None
    """The capability that adds the property to its type: without it in `using`, there is none (RFC 8620 §1.8)."""

    def settable(self) -> bool:
        """Say whether a client may ever give it a value."""
        return not self.server_set


@dataclass(frozen=True)
class Condition:
    """A piece of SQL that is true or false of a row, with its bound values."""

    sql: str
    parameters: tuple[Any, ...] = ()


def _itself(object_id: str) -> str:
    return object_id


@dataclass(frozen=True)
class Scope:
    """Where a filter or sort is compiled: which account, the name of the row in the SQL, what creation ids are.

    `using` are the capabilities that the request names.
    """

    reader: Reader
    account: int
    alias: str = "t"
    resolve: Callable[[str], str] = _itself
    using: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Filter:
    """One property of a FilterCondition: the kind of its value, and the SQL it becomes."""

    kind: Kind
    build: Callable[[Scope, Any], Condition]
    capability: str | None = None
    """As that of a `Property`."""


@dataclass(frozen=True)
class Sort:
    """One property a Comparator may name. `build` gets the comparator, for the arguments some sorts have."""

    build: Callable[[Scope, Mapping[str, Any]], Condition]
    collates: bool = False
    """Whether the expression is a string to be compared under a collation (RFC 8620 §5.5)."""
    folded: Callable[[Scope], Condition] | None = None
    """The same expression as a key of the default collation, where a column keeps that for an index to walk."""
    arguments: Mapping[str, Kind] = field(default_factory=dict)


@dataclass(frozen=True)
class Fetched:
    """Objects as JSON, each ready for the answer (a dict or a spliced fragment), and the keys they have."""

    objects: list[Any]
    keys: list[int]


class DataType:
    """A type. Class attributes are its table; methods are hooks with a default that suits most types."""

    name: ClassVar[str]
    capability: ClassVar[str]
    prefix: ClassVar[str]
    """The letter before an object's key in its id: ids never start with a digit (RFC 8620 §1.2)."""
    collection: ClassVar[Collection]
    properties: ClassVar[Mapping[str, Property]]
    verbs: ClassVar[Sequence[str]] = STANDARD_VERBS
    filters: ClassVar[Mapping[str, Filter]] = {}
    sorts: ClassVar[Mapping[str, Sort]] = {}
    get_arguments: ClassVar[Mapping[str, Kind]] = {}
    set_arguments: ClassVar[Mapping[str, Kind]] = {}
    query_arguments: ClassVar[Mapping[str, Kind]] = {}
    query_defaults: ClassVar[Mapping[str, Any]] = {}
    constrained: ClassVar[bool] = False
    """Whether objects constrain each other, so that the end of a /set counts and not its middle (RFC 8620 §5.3)."""
    singleton: ClassVar[str | None] = None
    """The id of the one object that each account has of this type: it is never created nor destroyed (RFC 8620 §5.3).

    Its key is always SINGLETON_KEY, and until its first update its properties are the defaults, without a row.
    """
    holds_blobs: ClassVar[bool] = False
    """Whether objects keep blobs, by `blobs.add_use` under the type's name: their octets count (RFC 9425)."""
    shows_blobs: ClassVar[bool] = False
    """Whether blobs can be discovered by way of objects that keep none (RFC 9404 §4.3): `holders` says how."""
    open: ClassVar[bool] = False
    """Whether objects are documents of a format of its own (JSContact, JSCalendar).

    A property whose default is ABSENT is left out while it has no value, and `extra_properties` may take some that no
    table lists; those are kept as they are. A problem deep inside is told by its whole path.
    """
    of_credential: ClassVar[bool] = False
    """Whether objects belong to the credential that made them, and to no account (RFC 8620 §7.2, PushSubscription).

    /get and /set then have no `accountId` and no states, and where a hook gets an account it gets the credential.
    """

    # Ids

    def id_of(self, key: int) -> str:
        """Return an object's id."""
        return self.singleton or f"{self.prefix}{key}"

    def key_of(self, object_id: str) -> int | None:
        """Return the key that an id names, or None when it can't be one of this type's."""
        if self.singleton is not None:
            return SINGLETON_KEY if object_id == self.singleton else None
        digits = object_id[len(self.prefix) :]
        if not object_id.startswith(self.prefix) or not digits.isdecimal() or not digits.isascii():
            return None
        if digits[0] == "0" or len(digits) > GREATEST_KEY_DIGITS:
            return None
        return int(digits)

    # Reading

    def default_properties(self) -> Sequence[str]:
        """Return what /get answers when `properties` is null."""
        return tuple(self.properties)

    def check_properties(self, names: Sequence[str]) -> str | None:
        """Return the first name that is not a property of this type, or None."""
        return next((name for name in names if name not in self.properties), None)

    def has_property(self, name: str, using: AbstractSet[str]) -> bool:
        """Say whether a property, if it is declared, is there with the capabilities that a request names."""
        declared = self.properties.get(name)
        return declared is None or declared.capability is None or declared.capability in using

    def fetch(
        self,
        call: "Call",
        access: "Access",
        keys: Sequence[int] | None,
        names: Sequence[str],
        arguments: Mapping[str, Any],
    ) -> Fetched:
        """Read objects (all of the account's when `keys` is None), with just the named properties."""
        _ = arguments
        return self.read(call.reader(), access.account, keys, names)

    def read(self, reader: Reader, account: int, keys: Sequence[int] | None, names: Sequence[str]) -> Fetched:
        """Read stored objects. One statement, one row: the JSON is joined inside SQLite and spliced."""
        beside = {name: prop.column for name, prop in self.properties.items() if prop.column}
        columns = "".join(f" || ',\"{name}\":' || coalesce({column}, 'null')" for name, column in beside.items())
        document = "CASE t.doc WHEN '{}' THEN '}' ELSE ',' || substr(t.doc, 2) END"
        object_id = f"'{self.singleton}'" if self.singleton else f"'{self.prefix}' || t.key"
        shown = f"'{{\"id\":\"' || {object_id} || '\"'{columns} || {document}"
        table = self.collection.table
        if keys is None:
            source = f"(SELECT * FROM {table} WHERE {self.collection.owner} = ?1 ORDER BY key) AS t"
        else:
            source = f"json_each(?2) AS asked CROSS JOIN {table} AS t ON t.key = asked.value"
        text, found = reader.one(
            f"SELECT group_concat({shown}, ','), json_group_array(t.key) FROM {source} "
            f"WHERE t.{self.collection.owner} = ?1",
            (account,) if keys is None else (account, documents.dump(list(keys))),
        ) or (None, "[]")
        found_keys = orjson.loads(found)
        if text is None:
            return self._untouched(keys, names)
        if set(names) == set(self.properties):
            return Fetched([orjson.Fragment(text)], found_keys)
        objects = orjson.loads(f"[{text}]")
        kept = [{name: one[name] for name in names if name in one or not self.open} for one in objects]
        return Fetched([{"id": one["id"], **had} for one, had in zip(objects, kept, strict=True)], found_keys)

    def _untouched(self, keys: Sequence[int] | None, names: Sequence[str]) -> Fetched:
        """Return what there is without a row: nothing, or a singleton as it is before its first update."""
        if self.singleton is None or (keys is not None and SINGLETON_KEY not in keys):
            return Fetched([], [])
        values = {name: prop.default for name, prop in self.properties.items()}
        return Fetched(
            [{"id": self.singleton, **{name: values[name] for name in names if name != "id"}}], [SINGLETON_KEY]
        )

    def changes_members(self, reader: Reader, account: int, since: int, found: ChangedKeys) -> dict[str, Any]:
        """Return what a type's /changes answers besides the standard members."""
        _ = (reader, account, since, found)
        return {}

    def holders(self, reader: Reader, account: int, blob_id: str) -> list[int]:
        """Return the keys of objects by which a blob can be discovered (RFC 9404 §4.3)."""
        return blobs.holders(reader, account, blob_id, self.name)

    def plain(self, fetched: Fetched) -> list[dict[str, Any]]:
        """Return fetched objects as Python values, whether they were spliced or not."""
        whole: list[dict[str, Any]] = orjson.loads(orjson.dumps(fetched.objects))
        return whole

    # Writing: hooks of /set, all inside one object's savepoint

    def prepare(self, call: "Call", access: "Access", arguments: Mapping[str, Any]) -> Any:
        """Do, before the transaction, the work that needs none; what it returns is `SetContext.prepared`."""
        _ = (call, access, arguments)

    def load(self, tx: Transaction, account: int, key: int) -> dict[str, Any] | None:
        """Return an object whole, as an update sees it, or None."""
        found = self.plain(self.read(tx, account, [key], tuple(self.properties)))
        return found[0] if found else None

    def load_for(self, tx: Transaction, account: int, key: int, names: AbstractSet[str]) -> dict[str, Any] | None:
        """Return an object as an update sees it, with at least the properties that its patch names; or None."""
        _ = names
        return self.load(tx, account, key)

    def may_create(self, name: str) -> bool:
        """Say whether a client may give this property on create."""
        prop = self.properties.get(name)
        return prop is not None and not prop.server_set

    def extra_properties(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return, checked, the given properties that no table can list (e.g. `header:…` of an Email).

        Called with all that a create gives, and for an `open` type with each such property that an update changes.
        """
        _ = given
        return {}

    def created_properties(self) -> Sequence[str]:
        """Return which properties the answer to a create may hold; those that the client gave are left out."""
        return tuple(self.properties)

    def normal_patch(self, patch: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a patch with what this type tolerates put in the form that the RFC asks for."""
        _ = before
        return patch

    def create(self, context: "SetContext", wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store a new object whose properties are checked, and return its key and what the client has not said.

        The default stores the document and answers with every property that the client left out.
        """
        document = self._document(wanted)
        key = documents.insert(context.tx, self.collection, context.account, document, self.columns(context, document))
        return key, {}

    def _document(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the column `doc` has of an object: all but its id and what has a column of its own."""
        beside = {"id", *(name for name, prop in self.properties.items() if prop.column)}
        return {name: value for name, value in values.items() if name not in beside}

    def columns(self, context: "SetContext", document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of the table's own columns for a document."""
        _ = (context, document)
        return {}

    def update(self, context: "SetContext", key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Store a changed object, and return what has changed besides what the client asked for."""
        _ = before
        document = self._document(after)
        columns = self.columns(context, document)
        if self.singleton is not None and not documents.existing(context.tx, self.collection, context.account, [key]):
            # It has been there all along: its first row is a change, and nobody sees it come into being.
            documents.insert(context.tx, self.collection, context.account, document, {**columns, "created": 0})
        else:
            documents.update(context.tx, self.collection, context.account, key, document, columns)
        return {}

    def destroy(self, context: "SetContext", key: int) -> None:
        """Remove an object. Raises SetError notFound when there is none."""
        if self.singleton is not None:
            raise SetError(SetError.SINGLETON, f"There is always exactly one {self.name}.")
        if not documents.destroy(context.tx, self.collection, context.account, key):
            raise SetError(SetError.NOT_FOUND)

    def check_constraints(self, context: "SetContext", key: int) -> None:
        """Raise SetError if this object and others can't be as they are now. Called for `constrained` types."""

    def finish(self, context: "SetContext") -> None:
        """Do what is done once at the end of a /set, inside its transaction."""

    def conclude(self, context: "SetContext", outcome: "Outcome") -> None:
        """Do what hangs on whether all has succeeded, inside the transaction, and say so in the outcome.

        Called once, after `finish` (RFC 9661 §2.4, onSuccessActivateScript; RFC 9610 §2.3, onSuccessSetIsDefault).
        """

    def set_members(self, context: "SetContext", outcome: "Outcome") -> dict[str, Any]:
        """Return what a type's /set answers besides the standard members, or have other calls follow.

        Called after the commit: the context's transaction is over, its `notes` are what the hooks have left there.
        """
        _ = (context, outcome)
        return {}

    # Querying

    def prepare_query(self, call: "Call", access: "Access", arguments: Mapping[str, Any]) -> None:
        """Bring up to date what a query looks at, before its snapshot is taken. It may write."""
        _ = (call, access, arguments)

    def plan(self, scope: Scope, arguments: Mapping[str, Any]) -> "QueryPlan":
        """Return the plan of a query."""
        from minijmap.jmap.query import SqlPlan

        return SqlPlan(self, scope, arguments)

    def touched(self, reader: Reader, account: int, since: int, arguments: Mapping[str, Any]) -> "Touched":
        """Return whose place in a query's results may have changed since a modseq. Raises CannotCalculate."""
        _ = arguments
        changed = documents.changes(reader, self.collection, account, since, None)
        return Touched([*changed.updated, *changed.destroyed], [*changed.created, *changed.updated], not changed.more)


@dataclass(frozen=True)
class Touched:
    """For /queryChanges: keys that may have been in the old results, keys that may be in the new ones."""

    old: list[int]
    new: list[int]
    complete: bool = True


@dataclass
class SetContext:
    """What the hooks of one /set share: the transaction, the account, the method's own arguments."""

    tx: Transaction
    access: "Access"
    call: "Call"
    arguments: Mapping[str, Any]
    prepared: Any = None
    creation_id: str = ""
    """Of the object that is being created."""
    notes: dict[str, Any] = field(default_factory=dict)
    """For the type's own use between hooks and `finish`."""
    source: "Access | None" = None
    """The account that a /copy copies from."""
    real_id: Callable[[str], str] = _itself
    """Gives the id behind a creation id of this or an earlier call (`#…`), or what it was given if there is none."""

    @property
    def account(self) -> int:
        """Return the account's key."""
        return self.access.account
