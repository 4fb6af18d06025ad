"""Foo/get and Foo/changes, once, for every declared type (RFC 8620 §5.1, §5.2).

Reads declarations; must not know any type.
"""

from typing import Any

from minijmap.jmap.call import Argument, Call
from minijmap.jmap.datatype import DataType
from minijmap.jmap.errors import CannotCalculateChanges, InvalidArguments, RequestTooLarge
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


def get(call: Call, data_type: DataType) -> dict[str, Any]:
    """Answer Foo/get (RFC 8620 §5.1)."""
    extra = {name: Argument(kind) for name, kind in data_type.get_arguments.items()}
    arguments = call.arguments({**GET_ARGUMENTS, **extra})
    access = call.access(arguments["accountId"])
    names = _names(data_type, arguments["properties"])
    limit = call.engine.limits.max_objects_in_get
    reader = call.reader()
    ids = arguments["ids"]
    keys = None if ids is None else {one: data_type.key_of(one) for one in ids}
    if (_count(reader, data_type, access.account, limit) if keys is None else len(keys)) > limit:
        raise RequestTooLarge(f"{call.name} answers with at most {limit} objects.")  # maxObjectsInGet
    wanted = None if keys is None else [key for key in keys.values() if key is not None]
    fetched = data_type.fetch(call, access, wanted, names, arguments)
    found = set(fetched.keys)
    return {
        "accountId": access.account_id,
        "state": str(reader.state(access.account, data_type.collection.type_name)),
        "list": fetched.objects,
        "notFound": [one for one, key in (keys or {}).items() if key not in found],
    }


def _names(data_type: DataType, asked: list[str] | None) -> tuple[str, ...]:
    if asked is None:
        return tuple(data_type.default_properties())
    names = dict.fromkeys(asked)
    unknown = data_type.check_properties(list(names))
    if unknown is not None:
        raise InvalidArguments(f"{data_type.name} has no property “{unknown}”.", arguments=["properties"])
    return tuple(names if "id" in names else ["id", *names])


def _count(reader: Reader, data_type: DataType, account: int, limit: int) -> int:
    """Count a type's objects, no further than one past the limit."""
    return int(
        reader.value(
            f"SELECT count(*) FROM (SELECT 1 FROM {data_type.collection.table} WHERE account = ? LIMIT ?)",
            (account, limit + 1),
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
