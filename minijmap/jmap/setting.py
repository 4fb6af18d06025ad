"""Foo/set, once, for every declared type (RFC 8620 §5.3).

Owns the order of things, creation ids, patches, the rules of each property, and when constraints between objects count.
A type adds its hooks (`DataType.create`, `update`, `destroy`, `check_constraints`, `finish`). Must not know any type.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import orjson

from minijmap.jmap import patch as patching
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.datatype import ABSENT, REQUIRED, DataType, Property, SetContext
from minijmap.jmap.errors import RequestTooLarge, SetError, StateMismatch, invalid_properties
from minijmap.jmap.standard import ACCOUNT, STATE, access_of, suited
from minijmap.jmap.values import Anything, Id, Kind, ListOf, MapOf, Nullable, String, ValueProblem
from minijmap.store.database import Transaction
from minijmap.store.usage import OverQuota

MOST_OBJECTS = 100_000


class CreationId(Id):
    """The Id that a client makes up for an object to be created: never a reference to another."""

    def check(self, value: Any) -> str:
        """Return it."""
        if isinstance(value, str) and value.startswith("#"):
            raise ValueProblem("must be a creation id without “#”")
        return super().check(value)


class LaterId(Id):
    """An Id, or `#` and a creation id, which may be one of the same call: it is resolved when that is created."""

    def map_ids(self, value: Any, resolve: Callable[[str], str]) -> Any:
        """Leave it: this call's creation ids come before those of earlier calls (RFC 8620 §5.3)."""
        _ = resolve
        return value


OBJECT = MapOf(String(), Anything())
SET_ARGUMENTS = {
    "accountId": ACCOUNT,
    "ifInState": STATE,
    "create": Argument(Nullable(MapOf(CreationId(), OBJECT, most=MOST_OBJECTS))),
    "update": Argument(Nullable(MapOf(LaterId(), OBJECT, most=MOST_OBJECTS))),
    "destroy": Argument(Nullable(ListOf(LaterId(), most=MOST_OBJECTS))),
}


class _FinalStateInvalid(Exception):
    """The objects, all changes made, don't go together: the changes are made again one by one."""


@dataclass
class Outcome:
    """What became of each object, in the members of the response."""

    created: dict[str, dict[str, Any]] = field(default_factory=dict)
    updated: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    destroyed: list[str] = field(default_factory=list)
    not_created: dict[str, SetError] = field(default_factory=dict)
    not_updated: dict[str, SetError] = field(default_factory=dict)
    not_destroyed: dict[str, SetError] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Say whether any create, update or destroy was refused."""
        return bool(self.not_created or self.not_updated or self.not_destroyed)

    def tell(self, object_id: str, values: Mapping[str, Any]) -> None:
        """Add what the server has changed of an object that this call created, or of any other (RFC 8620 §5.3)."""
        created = next((one for one in self.created.values() if one["id"] == object_id), None)
        if created is not None:
            created.update(values)
        else:
            self.updated[object_id] = {**(self.updated.get(object_id) or {}), **values}

    def members(self) -> dict[str, Any]:
        """Return the response's members, null when empty: clients want all six."""
        return {
            "created": self.created or None,
            "updated": self.updated or None,
            "destroyed": self.destroyed or None,
            "notCreated": _errors(self.not_created),
            "notUpdated": _errors(self.not_updated),
            "notDestroyed": _errors(self.not_destroyed),
        }


def _errors(errors: dict[str, SetError]) -> dict[str, Any] | None:
    return {name: error.json() for name, error in errors.items()} or None


def set_objects(call: Call, data_type: DataType) -> dict[str, Any]:
    """Answer Foo/set (RFC 8620 §5.3)."""
    extra = {name: Argument(kind) for name, kind in data_type.set_arguments.items()}
    arguments = call.arguments(suited({**SET_ARGUMENTS, **extra}, data_type))
    access = access_of(call, data_type, arguments, write=True)
    size = sum(len(arguments[name] or ()) for name in ("create", "update", "destroy"))
    limit = call.engine.limits.max_objects_in_set
    if size > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} objects, and this call has {size}.")
    prepared = data_type.prepare(call, access, arguments)

    def job(tx: Transaction) -> tuple[int, int, SetContext, Outcome]:
        before = tx.state(access.account, data_type.collection.type_name)
        check_state(arguments.get("ifInState"), before)
        context = SetContext(tx, access, call, arguments, prepared)
        outcome = SetRun(data_type, context).run()
        return before, tx.state(access.account, data_type.collection.type_name), context, outcome

    before, after, context, outcome = call.write(job)
    call.created_ids.update({creation_id: one["id"] for creation_id, one in outcome.created.items()})
    answer = {"accountId": access.account_id, "oldState": str(before), "newState": str(after), **outcome.members()}
    return {**suited(answer, data_type), **data_type.set_members(context, outcome)}


def check_state(wanted: str | None, current: int) -> None:
    """Raise StateMismatch unless the state is the one that the client expects (RFC 8620 §5.3)."""
    if wanted is not None and wanted != str(current):
        raise StateMismatch(f"The state is {current}, not {wanted[:64]}.")


@contextlib.contextmanager
def one_object(tx: Transaction) -> Iterator[None]:
    """Undo all that was written for one object when it fails. More than the account may have is `overQuota` (§5.3)."""
    try:
        with tx.savepoint():
            yield
    except OverQuota as error:
        raise SetError(SetError.OVER_QUOTA, str(error)) from None


class SetRun:
    """The creates, updates and destroys of one call, inside one transaction."""

    def __init__(self, data_type: DataType, context: SetContext) -> None:
        self.type = data_type
        self.context = context
        self.outcome = Outcome()
        self._constraints_later = False
        self._creating: set[str] = set()
        self._awaited: list[str] = []
        self._touched: list[int] = []
        context.real_id = self._real_id

    def run(self) -> Outcome:
        """Make the changes.

        The final state must be valid, states on the way need not be (RFC 8620 §5.3: A → B and B → A in one call). So
        types with constraints are first changed without looking; if the end is invalid, all is undone and done again
        with every object judged by the state that it meets.
        """
        arguments = self.context.arguments
        size = sum(len(arguments[name] or ()) for name in ("create", "update", "destroy"))
        if self.type.constrained and size > 1:
            try:
                with self.context.tx.savepoint():
                    self._all(constraints_later=True)
            except _FinalStateInvalid:
                self.outcome = Outcome()
                self.context.notes.clear()
            else:
                return self._concluded()
        self._all(constraints_later=False)
        return self._concluded()

    def _concluded(self) -> Outcome:
        self.type.conclude(self.context, self.outcome)
        return self.outcome

    def _all(self, *, constraints_later: bool) -> None:
        self._constraints_later = constraints_later
        self._touched = []
        arguments = self.context.arguments
        for creation_id in arguments["create"] or {}:
            self.create(creation_id)
        # A singleton can't be destroyed, so that its update counts.
        doomed = {self._real_id(one) for one in arguments["destroy"] or () if self.type.singleton is None}
        for object_id, patch in (arguments["update"] or {}).items():
            self._update(object_id, patch, doomed)
        for object_id in dict.fromkeys(self._real_id(one) for one in arguments["destroy"] or ()):
            self._destroy(object_id)
        if self.outcome.destroyed:
            self._create_in_room_made()
        if constraints_later:
            self._check_all()
        self.type.finish(self.context)

    def _create_in_room_made(self) -> None:
        """Create what found no room before others were destroyed: in a full account, a draft saved again (§5.3)."""
        for creation_id, error in list(self.outcome.not_created.items()):
            if error.error_type == SetError.OVER_QUOTA:
                del self.outcome.not_created[creation_id]
                self.create(creation_id)

    def _check_all(self) -> None:
        for key in dict.fromkeys(self._touched):
            try:
                self.type.check_constraints(self.context, key)
            except SetError:
                raise _FinalStateInvalid from None

    def _constrain(self, key: int) -> None:
        if not self.type.constrained:
            return
        if self._constraints_later:
            self._touched.append(key)
        else:
            self.type.check_constraints(self.context, key)

    # Creation ids

    def _real_id(self, object_id: str) -> str:
        """Return the id behind a creation id of this or an earlier call (errata to RFC 8620 §5.3)."""
        if not object_id.startswith("#"):
            return object_id
        here = self.outcome.created.get(object_id[1:])
        return here["id"] if here is not None else self.context.call.created_ids.get(object_id[1:], object_id)

    def _untried(self, creation_id: str) -> bool:
        """Say whether an object of this call is yet to be created, and that has not begun either."""
        return (
            creation_id in (self.context.arguments["create"] or {})
            and creation_id not in self.outcome.created
            and creation_id not in self.outcome.not_created
            and creation_id not in self._creating
        )

    def _resolver(self, name: str) -> Callable[[str], str]:
        def resolve(reference: str) -> str:
            if self._untried(reference[1:]):
                self._awaited.append(reference[1:])  # whatever order they stand in (RFC 8620 §5.3)
                return reference
            real = self._real_id(reference)
            if real.startswith("#"):
                raise invalid_properties(f"“{reference}” in “{name}” names nothing that was created.", name)
            return real

        return resolve

    # One object

    def create(self, creation_id: str) -> None:
        """Create one object, unless that was done or tried before; what it refers to is created first.

        A chain may be as long as the call: the objects that wait for others are kept here, not on Python's stack.
        """
        waiting = [creation_id]
        while waiting:
            now = waiting[-1]
            if now not in self._creating and not self._untried(now):
                waiting.pop()
                continue
            self._creating.add(now)
            self._awaited = []
            self._create(now)
            if self._awaited:
                waiting += reversed(dict.fromkeys(self._awaited))
            else:
                self._creating.discard(now)
                waiting.pop()

    def _create(self, creation_id: str) -> None:
        """Create one object, or note in `_awaited` which others must be created before it."""
        if self.type.singleton is not None:
            error = SetError(SetError.SINGLETON, f"There is always exactly one {self.type.name}.")
            self.outcome.not_created[creation_id] = error
            return
        try:
            given = self.context.arguments["create"][creation_id]
            wanted = self.checked(given)
            if self._awaited:
                return
            self.context.creation_id = creation_id
            # Only what is this object's own is in its savepoint: others that it needs stay when it fails.
            with one_object(self.context.tx):
                key, more = self.type.create(self.context, wanted)
                self._constrain(key)
                said = self._unsaid(key, given)
            self.outcome.created[creation_id] = {**said, **more}
        except SetError as error:
            self._awaited = []
            self.outcome.not_created[creation_id] = error

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new object's properties in normal form, defaults filled in. Raises SetError."""
        declared = self.type.properties
        unknown = [name for name in given if not self.type.may_create(name)]
        if unknown:
            raise invalid_properties(_not_settable(declared, unknown[0], self.type.name), *unknown)
        wanted, missing, wrong = {}, [], []
        for name, prop in declared.items():
            if name in given and not (given[name] is None and _null_means_default(prop)):
                try:
                    wanted[name] = self._checked_value(name, prop, given[name])
                except SetError as error:
                    wrong.append(error)
            elif prop.server_set or prop.default is ABSENT:
                continue
            elif prop.default is REQUIRED:
                missing.append(name)
            else:
                wanted[name] = deepcopy(prop.default)
        if missing:
            wrong.append(invalid_properties(f"{self.type.name} needs {', '.join(missing)}.", *missing))
        if wrong:
            raise _all_of(wrong)
        return {**wanted, **self.type.extra_properties(given)}

    def _checked_value(self, name: str, prop: Property, value: Any) -> Any:
        try:
            return prop.kind.map_ids(prop.kind.check(value), self._resolver(name))
        except ValueProblem as problem:
            path = problem.under(name).path
            raise invalid_properties(f"“{path}” {problem.sentence}.", path if self.type.open else name) from None

    def _unsaid(self, key: int, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a created object's id, and each property that the client has not given as it now is."""
        names = self.type.created_properties()
        whole = self.type.load(self.context.tx, self.context.account, key) if len(names) > 1 else {}
        return {
            "id": self.type.id_of(key),
            **{
                name: whole[name] for name in names if whole and name in whole and whole[name] != given.get(name, whole)
            },
        }

    def _update(self, object_id: str, patch: Mapping[str, Any], doomed: set[str]) -> None:
        real = self._real_id(object_id)
        if real in doomed:
            self.outcome.not_updated[real] = SetError(SetError.WILL_DESTROY, "The same call destroys it.")
            return
        try:
            with one_object(self.context.tx):
                self.outcome.updated[real] = self._patched(real, patch)
        except SetError as error:
            self.outcome.not_updated[real] = error

    def _patched(self, object_id: str, patch: Mapping[str, Any]) -> dict[str, Any] | None:
        key = self.type.key_of(object_id)
        named = {_first_name(path) for path in patch}
        before = None if key is None else self.type.load_for(self.context.tx, self.context.account, key, named)
        if before is None or key is None:
            raise SetError(SetError.NOT_FOUND)
        patch = self._with_real_ids(self.type.normal_patch(patch, before))
        try:
            after = patching.apply(before, dict(patch))
        except patching.PatchError as error:
            raise SetError(SetError.INVALID_PATCH, str(error)) from None
        names = dict.fromkeys(_first_name(path) for path in patch)
        self._check_changed(names, before, after)
        changed = {name for name in names if not _same(after.get(name, ABSENT), before.get(name, ABSENT))}
        more = {}
        if changed:
            more = self.type.update(self.context, key, before, after)
            self._constrain(key)
        # What is not as it was sent: in another form, or back at its default.
        unlike = {
            name: after[name]
            for name in names
            if name in patch
            and name in after
            and self._meant(name, patch[name]) != after[name]
            and (name in changed or patch[name] is not None)
        }
        return {**unlike, **more} or None

    def _meant(self, name: str, value: Any) -> Any:
        """Return what a client has sent, or the id that it stands for: `#B` and what it names are the same."""
        prop = self.type.properties.get(name)
        return prop.kind.map_ids(value, self._real_id) if prop is not None and isinstance(value, str) else value

    def _with_real_ids(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Return a patch in which no path names a member of an `Id[…]` by its creation id (RFC 8620 §5.3)."""
        real: dict[str, Any] = {}
        for path, value in patch.items():
            name, _, member = path.partition("/")
            prop = self.type.properties.get(name)
            if prop is not None and member.startswith("#") and _has_ids_for_names(prop.kind):
                reference, *deeper = member.split("/")
                path = "/".join([name, self._resolver(name)(reference), *deeper])  # noqa: PLW2901 - the same path
            if path in real:
                raise SetError(SetError.INVALID_PATCH, f"“{path[:255]}” is patched twice.")
            real[path] = value
        return real

    def _check_changed(self, names: Iterable[str], before: Mapping[str, Any], after: dict[str, Any]) -> None:
        """Check the properties that a patch touches, and put them in normal form."""
        wrong = []
        for name in names:
            try:
                self._check_one(name, before, after)
            except SetError as error:
                wrong.append(error)
        if wrong:
            raise _all_of(wrong)

    def _check_one(self, name: str, before: Mapping[str, Any], after: dict[str, Any]) -> None:
        """Check one property that a patch touches; a client may repeat what can't change, if it is the same (§5.3)."""
        prop = self.type.properties.get(name)
        if self.type.open and after.get(name) is None and (prop is None or prop.default is ABSENT):
            after.pop(name, None)
            return
        if self.type.open and prop is None:
            after.update(self.type.extra_properties({name: after[name]}))
            return
        if prop is None and name not in before:
            raise invalid_properties(f"{self.type.name} has no property “{name}”.", name)
        value = after.get(name)
        if prop is None or prop.server_set or prop.immutable:
            if value != before.get(name):
                kind = "fixed at creation" if prop and prop.immutable and not prop.server_set else "set by the server"
                raise invalid_properties(f"“{name}” is {kind} and can't be changed.", name)
            return
        if value is None and _null_means_default(prop):
            if prop.default is REQUIRED:
                raise invalid_properties(f"“{name}” has no default to go back to.", name)
            after[name] = deepcopy(prop.default)
            return
        after[name] = self._checked_value(name, prop, value)

    def _destroy(self, real: str) -> None:
        key = self.type.key_of(real)
        if key is None:
            self.outcome.not_destroyed[real] = SetError(SetError.NOT_FOUND)
            return
        try:
            with one_object(self.context.tx):
                self.type.destroy(self.context, key)
                self._constrain(key)
            self.outcome.destroyed.append(real)
        except SetError as error:
            self.outcome.not_destroyed[real] = error


def _all_of(errors: list[SetError]) -> SetError:
    """Return one error for all of an object's properties at fault (RFC 8620 §5.3); another kind of error stands."""
    other = next((error for error in errors if error.error_type != SetError.INVALID_PROPERTIES), None)
    if other is not None:
        return other
    names = dict.fromkeys(name for error in errors for name in error.members["properties"])
    return invalid_properties(" ".join(str(error) for error in errors), *names)


def _same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same; to Python, true is 1 and a float is an integer."""
    return one is other or (
        one == other
        and orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    )


def _has_ids_for_names(kind: Kind) -> bool:
    inner = kind.kind if isinstance(kind, Nullable) else kind
    return isinstance(inner, MapOf) and isinstance(inner.key, Id)


def _null_means_default(prop: Property) -> bool:
    """Say whether null stands for the default: it does unless null is a value of the property's own (§5.3)."""
    return not isinstance(prop.kind, Nullable | Anything)


def _first_name(path: str) -> str:
    return path.split("/", 1)[0].replace("~1", "/").replace("~0", "~")


def _not_settable(declared: Mapping[str, Property], name: str, type_name: str) -> str:
    if name in declared:
        return f"“{name}” is set by the server."
    return f"{type_name} has no property “{name}”."
