"""Foo/get and Foo/changes, once, for every declared type (RFC 8620 §5.1, §5.2).

Reads declarations; must not know any type.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from minijmap.jmap.call import Argument, Call
from minijmap.jmap.datatype import DataType
from minijmap.jmap.errors import CannotCalculateChanges, InvalidArguments, RequestTooLarge
from minijmap.jmap.session import Access
from minijmap.jmap.values import Id, Int, ListOf, Nullable, String
from minijmap.store import documents
from minijmap.store.database import Reader

ACCOUNT = Argument(Id(), required=True)
STATE = Argument(Nullable(String(most_octets=255)))
MOST_IDS = 100_000

GET_ARGUMENTS = {
    "accountId": ACCOUNT,
    "ids": Argument(Nullable(ListOf(Id(), most=MOST_IDS))),
    "properties": Argument(Nullable(ListOf(String(), most=1000))),
}
CHANGES_ARGUMENTS = {
    "accountId": ACCOUNT,
    "sinceState": Argument(String(most_octets=255), required=True),
    "maxChanges": Argument(Nullable(Int(1))),
}


OF_ACCOUNTS = frozenset(("accountId", "ifInState", "state", "oldState", "newState"))
"""What a verb's arguments and answer do not have where objects belong to no account (RFC 8620 §7.2.1, §7.2.2)."""


def suited(members: Mapping[str, Any], data_type: DataType) -> dict[str, Any]:
    """Return the arguments, or the members of an answer, that a verb has for a type."""
    return {name: one for name, one in members.items() if not (data_type.of_credential and name in OF_ACCOUNTS)}


def access_of(call: Call, data_type: DataType, arguments: Mapping[str, Any], *, write: bool = False) -> Access:
    """Return whose objects a call is about. Raises AccountNotFound, AccountReadOnly or Forbidden."""
    return call.own_access() if data_type.of_credential else call.access(arguments["accountId"], write=write)


def get(call: Call, data_type: DataType) -> dict[str, Any]:
    """Answer Foo/get (RFC 8620 §5.1)."""
    extra = {name: Argument(kind) for name, kind in data_type.get_arguments.items()}
    arguments = call.arguments(suited({**GET_ARGUMENTS, **extra}, data_type))
    access = access_of(call, data_type, arguments)
    names = _names(data_type, arguments["properties"], call.using)
    limit = call.engine.limits.max_objects_in_get
    reader = call.reader()
    ids = arguments["ids"]
    keys = None if ids is None else {one: data_type.key_of(one) for one in ids}
    if (_count(reader, data_type, access.account, limit) if keys is None else len(keys)) > limit:
        raise RequestTooLarge(f"{call.name} answers with at most {limit} objects.")  # maxObjectsInGet
    wanted = None if keys is None else [key for key in keys.values() if key is not None]
    fetched = data_type.fetch(call, access, wanted, names, arguments)
    found = set(fetched.keys)
    answer = {
        "accountId": access.account_id,
        "state": str(reader.state(access.account, data_type.collection.type_name)),
        "list": fetched.objects,
        "notFound": [one for one, key in (keys or {}).items() if key not in found],
    }
    return suited(answer, data_type)


def _names(data_type: DataType, asked: list[str] | None, using: AbstractSet[str]) -> tuple[str, ...]:
    if asked is None:
        return tuple(name for name in data_type.default_properties() if data_type.has_property(name, using))
    names = dict.fromkeys(asked)
    unknown = data_type.check_properties(list(names))
    # What another specification adds is there for those who ask for that specification (RFC 8620 §1.8).
    if unknown is None:
        unknown = next((name for name in names if not data_type.has_property(name, using)), None)
    if unknown is not None:
        raise InvalidArguments(f"{data_type.name} has no property “{unknown}”.", arguments=["properties"])
    return tuple(names if "id" in names else ["id", *names])


def _count(reader: Reader, data_type: DataType, account: int, limit: int) -> int:
    """Count a type's objects, no further than one past the limit."""
    place = data_type.collection
    return int(
        reader.value(
            f"SELECT count(*) FROM (SELECT 1 FROM {place.table} WHERE {place.owner} = ? LIMIT ?)", (account, limit + 1)
        )
    )


def changes(call: Call, data_type: DataType) -> dict[str, Any]:
    """Answer Foo/changes (RFC 8620 §5.2)."""
    arguments = call.arguments(CHANGES_ARGUMENTS)
    access = call.access(arguments["accountId"])
    since = parse_state(arguments["sinceState"])
    try:
        found = documents.changes(call.reader(), data_type.collection, access.account, since, arguments["maxChanges"])
    except documents.CannotCalculate as error:
        raise CannotCalculateChanges(str(error)) from None
    return {
        "accountId": access.account_id,
        "oldState": arguments["sinceState"],
        "newState": str(found.upto),
        "hasMoreChanges": found.more,
        "created": [data_type.id_of(key) for key in found.created],
        "updated": [data_type.id_of(key) for key in found.updated],
        "destroyed": [data_type.id_of(key) for key in found.destroyed],
        **data_type.changes_members(call.reader(), access.account, since, found),
    }


def parse_state(state: str) -> int:
    """Return the modseq that a state stands for. Raises CannotCalculateChanges for what we never gave out."""
    if not state.isascii() or not state.isdecimal() or len(state) > 18 or str(int(state)) != state:
        raise CannotCalculateChanges(f"“{state[:64]}” is no state that this server has given out.")
    return int(state)
