"""A family declared for tests: what the engine promises any type is shown with types that have every kind of property.

Toy has them all: required, with a default, immutable, server-set, nullable, a reference to another Toy, a map of such,
a name that no two may share. Box is the other extreme: all of it is in columns, its document is `{}`.
"""

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from minijmap.jmap import collation, dates
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.datatype import Condition, DataType, Filter, Property, Scope, SetContext, Sort
from minijmap.jmap.engine import Engine, Limits
from minijmap.jmap.errors import MethodError, SetError, invalid_properties
from minijmap.jmap.methods import Family, Method
from minijmap.jmap.session import CORE, Access, Capability, Login, account_id
from minijmap.jmap.values import (
    Anything,
    Boolean,
    Id,
    Int,
    MapOf,
    Nullable,
    String,
    TrueOnly,
    UTCDate,
    unsigned_int,
)
from minijmap.store import documents, schema
from minijmap.store.accounts import User
from minijmap.store.database import Database, Reader, Transaction
from minijmap.store.documents import Collection

TOY, BOX = "urn:example:toy", "urn:example:box"
START = 1_767_225_600  # 2026-01-01T00:00:00Z
MADE_AT = "2026-01-01T00:00:00Z"
MOST_TOYS_IN_NURSERY = 3

MIGRATION = schema.Migration(
    "toy-1",
    """
    CREATE TABLE toy (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        account INTEGER NOT NULL,
        created INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        doc TEXT NOT NULL,
        edits INTEGER NOT NULL DEFAULT 0,
        name TEXT AS (doc ->> '$.name') VIRTUAL,
        label TEXT AS (doc ->> '$.label') VIRTUAL,
        colour TEXT AS (doc ->> '$.colour') VIRTUAL,
        size INTEGER AS (doc ->> '$.size') VIRTUAL,
        parent TEXT AS (doc ->> '$.parentId') VIRTUAL
    ) STRICT;
    CREATE INDEX toy_created ON toy (account, created);
    CREATE INDEX toy_changed ON toy (account, changed);
    CREATE TABLE box (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        account INTEGER NOT NULL,
        created INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        doc TEXT NOT NULL,
        label TEXT,
        lids INTEGER NOT NULL
    ) STRICT;
    """,
)


def _column(name: str) -> Callable[[Scope, Any], Condition]:
    return lambda scope, _: Condition(f"{scope.alias}.{name}")


def _compared(name: str, operator: str) -> Callable[[Scope, Any], Condition]:
    return lambda scope, value: Condition(f"{scope.alias}.{name} {operator} ?", (value,))


class ToyType(DataType):
    """Toy, as a table."""

    name = "Toy"
    capability = TOY
    prefix = "t"
    collection = Collection("toy", "Toy")
    constrained = True
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "name": Property(String(1, 40, net_unicode=True)),
        "serial": Property(String(), default="none", immutable=True),
        "size": Property(Int(0, 1000), default=0),
        "label": Property(Nullable(String()), default=None),
        "colour": Property(Nullable(String(choices=frozenset(["red", "green", "blue"]))), default="red"),
        "parentId": Property(Nullable(Id()), default=None),
        "partIds": Property(MapOf(Id(), TrueOnly()), default={}),
        "sockets": Property(Nullable(MapOf(Id(), MapOf(String(), Anything()))), default=None),
        "keywords": Property(MapOf(String(), TrueOnly()), default={}),
        "tags": Property(Nullable(MapOf(String(), Boolean())), default=None),
        "extra": Property(Anything(), default=None),
        "madeAt": Property(UTCDate(), server_set=True, immutable=True),
        "weight": Property(unsigned_int(), server_set=True),
        "edits": Property(unsigned_int(), server_set=True, column="t.edits"),
    }
    filters = {
        "name": Filter(String(), lambda scope, value: Condition(f"instr({scope.alias}.name, ?) > 0", (value,))),
        "label": Filter(String(), _compared("label", "=")),
        "colour": Filter(Nullable(String()), _compared("colour", "IS")),
        "minSize": Filter(unsigned_int(), _compared("size", ">=")),
        "parentId": Filter(Nullable(Id()), _compared("parent", "IS")),
        "hasKeyword": Filter(
            String(),
            lambda scope, value: Condition(
                f"EXISTS (SELECT 1 FROM json_each({scope.alias}.doc, '$.keywords') WHERE key = ?)", (value,)
            ),
        ),
    }
    sorts = {
        "name": Sort(_column("name"), collates=True),
        "label": Sort(_column("label"), collates=True),
        "size": Sort(_column("size")),
        "isColour": Sort(
            lambda scope, given: Condition(f"({scope.alias}.colour IS ?)", (given["colour"],)),
            arguments={"colour": String()},
        ),
    }
    set_arguments = {"note": Nullable(String())}

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store a new Toy; names that start with `fail ` fail as they say, `marked` ones get a keyword."""
        self._fail(wanted["name"])
        if wanted["name"].startswith("nursery"):
            count = context.tx.value("SELECT count(*) FROM toy WHERE account = ?", (context.account,))
            if count >= MOST_TOYS_IN_NURSERY:
                raise SetError(SetError.OVER_QUOTA, "The nursery is full.")
        if wanted["name"].startswith("marked"):
            wanted["keywords"]["marked"] = True
        context.notes["made"] = context.notes.get("made", 0) + 1
        whole = {**wanted, "madeAt": dates.format_utc_date(context.call.now()), "weight": _weight(wanted)}
        return super().create(context, whole)

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Store a changed Toy."""
        self._fail(after["name"])
        after = {**after, "weight": _weight(after)}
        super().update(context, key, before, after)
        context.tx.execute("UPDATE toy SET edits = edits + 1 WHERE key = ?", (key,))
        weighed = {} if after["weight"] == before["weight"] else {"weight": after["weight"]}
        return {**weighed, "edits": before["edits"] + 1}

    def destroy(self, context: SetContext, key: int) -> None:
        """Remove a Toy, unless it is glued on."""
        toy = self.load(context.tx, context.account, key)
        if toy is not None and toy["name"].startswith("glued"):
            raise SetError(SetError.FORBIDDEN, "It is glued on.")
        super().destroy(context, key)

    def _fail(self, name: str) -> None:
        if name == "fail badly":
            raise ZeroDivisionError(name)
        if name.startswith("fail "):
            raise SetError(name.removeprefix("fail "), "As was asked.")

    def check_constraints(self, context: SetContext, key: int) -> None:
        """No two names alike; what is referred to is there; nothing is inside of itself, or of nothing."""
        tx, account = context.tx, context.account
        toy = documents.load(tx, self.collection, account, key)
        if toy is None:
            if tx.value("SELECT 1 FROM toy WHERE account = ? AND parent = ?", (account, self.id_of(key))):
                raise SetError("toyHasChild", "Another toy is inside of it.")
            return
        other = tx.value("SELECT key FROM toy WHERE account = ? AND name = ? AND key <> ?", (account, toy["name"], key))
        if other is not None:
            raise SetError(SetError.ALREADY_EXISTS, "The name is taken.", existingId=self.id_of(other))
        for name, references in (("parentId", [toy["parentId"]]), ("partIds", toy["partIds"])):
            keys = [self.key_of(one) or 0 for one in references if one is not None]
            if len(documents.existing(tx, self.collection, account, keys)) != len(keys):
                raise invalid_properties(f"“{name}” names no toy.", name)
        self._check_ancestors(tx, account, toy)

    def _check_ancestors(self, tx: Reader, account: int, toy: Mapping[str, Any]) -> None:
        seen: set[str] = set()
        parent = toy["parentId"]
        while parent is not None:
            if parent in seen:
                raise invalid_properties("A toy can't be inside of itself.", "parentId")
            seen.add(parent)
            parent = documents.load(tx, self.collection, account, self.key_of(parent) or 0)["parentId"]

    def finish(self, context: SetContext) -> None:
        """Note what was asked to be noted."""
        context.notes["noted"] = context.arguments.get("note")

    def set_members(self, context: SetContext, outcome: Any) -> dict[str, Any]:
        """Answer with the note, if there is one, and how often something was made."""
        _ = outcome
        noted = context.notes["noted"]
        return {"note": noted, "made": context.notes.get("made", 0)} if noted else {}


def _weight(toy: Mapping[str, Any]) -> int:
    return len(toy["name"]) + int(toy["size"])


class BoxType(DataType):
    """Box: every property is in a column, one of them NULL at times."""

    name = "Box"
    capability = BOX
    prefix = "x"
    collection = Collection("box", "Box")
    verbs = ("get", "changes", "set")
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "label": Property(Nullable(String()), default=None, column="json_quote(t.label)"),
        "lids": Property(unsigned_int(), default=1, column="t.lids"),
        "shelf": Property(Nullable(String()), server_set=True, column="NULL"),
    }

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store a new Box, whose document is empty."""
        columns = {"label": wanted["label"], "lids": wanted["lids"]}
        return documents.insert(context.tx, self.collection, context.account, {}, columns), {}

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Store a changed Box."""
        _ = before
        columns = {"label": after["label"], "lids": after["lids"]}
        documents.update(context.tx, self.collection, context.account, key, {}, columns)
        return {}


def _raise(call: Call) -> dict[str, Any]:
    """Answer Toy/raise with the error whose type is asked for, to show the shape of those that nothing here raises."""
    wanted = call.arguments({"type": Argument(String(), required=True)})["type"]
    if wanted == "bug":
        raise ZeroDivisionError
    raise next(error for error in MethodError.__subclasses__() if error.type == wanted)("As was asked.")


def _keep(call: Call) -> dict[str, Any]:
    """Answer Toy/keep with its argument, after changing it: a default is each call's own."""
    declared: dict[str, Argument] = {"things": Argument(MapOf(String(), Anything()), default=KEPT)}
    things = call.arguments(declared)["things"]
    things[call.call_id] = True
    return {"things": things}


KEPT: dict[str, Any] = {}

FAMILY = Family(
    capabilities=(
        Capability(TOY, {"maxToys": 7}, lambda access: {"mayPlay": not access.is_read_only}),
        Capability(BOX, {}, lambda access: {"name": access.name}),
    ),
    types=(ToyType(), BoxType()),
    methods=(Method("Toy/raise", TOY, _raise), Method("Toy/keep", TOY, _keep)),
    migrations=(MIGRATION,),
)


class Nursery:
    """A database with toys, an engine over it, and Tom, who may use two accounts and look into a third."""

    def __init__(self, folder: Path) -> None:
        self.now = float(START)
        self.announced: list[dict[int, dict[str, int]]] = []
        path = folder / "toys.sqlite3"
        schema.migrate(path, [*schema.STORE_MIGRATIONS, MIGRATION])
        self.database = Database(path, prepare=collation.register, on_commit=self.announced.append)
        self._names = itertools.count()
        own, second, shared = (self.new_account() for _ in range(3))
        self.user = User(1, "tom@example.com", "Tom", own)
        self.login = Login(
            self.user,
            (
                Access(own, account_id(own), "tom@example.com", is_personal=True, is_read_only=False),
                Access(second, account_id(second), "Club", is_personal=False, is_read_only=False),
                Access(shared, account_id(shared), "Shop window", is_personal=False, is_read_only=True),
            ),
        )
        self.own, self.second, self.shared = (access.account_id for access in self.login.accounts)
        self.engine = self.make_engine()

    def make_engine(self, **options: Any) -> Engine:
        """Return an engine over the same database, with limits and options of the test's own."""
        limits = options.pop("limits", Limits())
        return Engine(self.database, [FAMILY], clock=lambda: self.now, limits=limits, **options)

    def new_account(self) -> int:
        """Add an account and return its key. Nobody signs in, so that no password need be hashed."""
        name = f"account {next(self._names)}"

        def job(tx: Transaction) -> int:
            return int(tx.execute("INSERT INTO account (user, name) VALUES (1, ?)", (name,)).lastrowid or 0)

        return self.database.write(job)

    def fresh(self) -> None:
        """Let Tom's own account be a new and empty one: for the next example of a property test."""
        key = self.new_account()
        own = Access(key, account_id(key), "tom@example.com", is_personal=True, is_read_only=False)
        self.login = Login(self.user, (own, *self.login.accounts[1:]))
        self.own = own.account_id

    def answer(self, request: Any) -> dict[str, Any]:
        """Answer a Request object, or the octets of one."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        answered: dict[str, Any] = json.loads(self.engine.handle(self.login, body))
        return answered

    def request(self, *calls: Any, using: tuple[str, ...] = (CORE, TOY, BOX), **more: Any) -> list[Any]:
        """Answer method calls, each in Tom's own account if it says nothing else; return `methodResponses`."""
        whole = [[name, {"accountId": self.own, **given}, call_id] for name, given, call_id in calls]
        responses: list[Any] = self.answer({"using": list(using), "methodCalls": whole, **more})["methodResponses"]
        return responses

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Make one call; return the arguments of its response, which must not be an error."""
        ((answered, result, _),) = self.request([name, arguments, "c"])
        assert answered == name, result
        return result  # type: ignore[no-any-return]

    def fails(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Make one call that must fail; return the error."""
        ((answered, result, _),) = self.request([name, arguments, "c"])
        assert answered == "error", result
        return result  # type: ignore[no-any-return]

    def add(self, *names: str, **properties: Any) -> list[str]:
        """Create Toys with these names; return their ids."""
        created = self.call("Toy/set", create={f"k{n}": {"name": name, **properties} for n, name in enumerate(names)})
        assert created["notCreated"] is None, created
        return [created["created"][f"k{n}"]["id"] for n in range(len(names))]

    def toy(self, toy_id: str, account: str | None = None) -> dict[str, Any] | None:
        """Return a Toy as it is now, or None."""
        found = self.call("Toy/get", accountId=account or self.own, ids=[toy_id])["list"]
        return found[0] if found else None

    def state(self, type_name: str = "Toy") -> str:
        """Return the state of a type in Tom's own account."""
        state: str = self.call(f"{type_name}/get", ids=[])["state"]
        return state
