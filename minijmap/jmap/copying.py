"""Foo/copy, once, for every declared type (RFC 8620 §5.4).

Reads an object in one account and creates it, with the properties that the client overrides, in another. Must not
know any type: what a copy of an Email means is a hook of that type.
"""

from typing import Any

from minijmap.jmap.call import Argument, Call
from minijmap.jmap.datatype import DataType, SetContext
from minijmap.jmap.errors import (
    AccountNotFound,
    FromAccountNotFound,
    InvalidArguments,
    RequestTooLarge,
    SetError,
    invalid_properties,
)
from minijmap.jmap.session import Access
from minijmap.jmap.setting import MOST_OBJECTS, OBJECT, CreationId, SetRun, check_state
from minijmap.jmap.standard import ACCOUNT, STATE
from minijmap.jmap.values import Boolean, MapOf
from minijmap.store.database import Reader, Transaction

COPY_ARGUMENTS = {
    "fromAccountId": ACCOUNT,
    "ifFromInState": STATE,
    "accountId": ACCOUNT,
    "ifInState": STATE,
    "create": Argument(MapOf(CreationId(), OBJECT, most=MOST_OBJECTS), required=True),
    "onSuccessDestroyOriginal": Argument(Boolean(), default=False),
    "destroyFromIfInState": STATE,
}


def two_accounts(call: Call, from_account_id: str, account_id: str) -> tuple[Access, Access]:
    """Return the account to copy from and the one to copy to. Raises a MethodError (RFC 8620 §5.4)."""
    try:
        source = call.access(from_account_id)
    except AccountNotFound as error:
        raise FromAccountNotFound(error.description) from None
    target = call.access(account_id, write=True)
    if source.account == target.account:
        raise InvalidArguments("“fromAccountId” and “accountId” must be two accounts.", arguments=["fromAccountId"])
    return source, target


def copy(call: Call, data_type: DataType) -> dict[str, Any]:
    """Answer Foo/copy."""
    arguments = call.arguments(COPY_ARGUMENTS)
    source, target = two_accounts(call, arguments["fromAccountId"], arguments["accountId"])
    limit = call.engine.limits.max_objects_in_set
    if len(arguments["create"]) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} objects.")
    type_name = data_type.collection.type_name
    # Now, for a copy may take over the creation id of its own original.
    arguments["create"] = {name: _with_real_id(call, given) for name, given in arguments["create"].items()}

    def job(tx: Transaction) -> tuple[int, int, SetRun]:
        check_state(arguments["ifFromInState"], tx.state(source.account, type_name))
        before = tx.state(target.account, type_name)
        check_state(arguments["ifInState"], before)
        context = SetContext(tx, target, call, {**arguments, "update": None, "destroy": None}, source=source)
        run = SetRun(data_type, context)
        _copy_all(run, source, tx)
        return before, tx.state(target.account, type_name), run

    before, after, run = call.write(job)
    members = run.outcome.members()
    call.created_ids.update({creation_id: one["id"] for creation_id, one in run.outcome.created.items()})
    if arguments["onSuccessDestroyOriginal"] and run.outcome.created:
        call.follow_with(
            f"{data_type.name}/set",
            {
                "accountId": source.account_id,
                "destroy": [arguments["create"][creation_id]["id"] for creation_id in run.outcome.created],
                "ifInState": arguments["destroyFromIfInState"],
            },
        )
    return {
        "fromAccountId": source.account_id,
        "accountId": target.account_id,
        "oldState": str(before),
        "newState": str(after),
        "created": members["created"],
        "notCreated": members["notCreated"],
    }


def _copy_all(run: SetRun, source: Access, tx: Reader) -> None:
    context, data_type = run.context, run.type
    whole: dict[str, dict[str, Any]] = {}
    for creation_id, given in context.arguments["create"].items():
        try:
            whole[creation_id] = _with_original(data_type, source, tx, given)
        except SetError as error:
            run.outcome.not_created[creation_id] = error
    context.arguments = {**context.arguments, "create": whole}
    for creation_id in whole:
        run.create(creation_id)
    data_type.finish(context)


def _with_real_id(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """Return what is wanted of a copy, its original named by its id and not by a creation id (RFC 8620 §5.3)."""
    object_id = given.get("id")
    if isinstance(object_id, str) and object_id.startswith("#"):
        return {**given, "id": call.resolve_id(object_id)}
    return given


def _with_original(data_type: DataType, source: Access, reader: Reader, given: dict[str, Any]) -> dict[str, Any]:
    """Return the original's properties under those that the client gives; `id` names the original (§5.4)."""
    object_id = given.get("id")
    if not isinstance(object_id, str):
        raise invalid_properties("“id” must name the object to copy.", "id")
    key = data_type.key_of(object_id)
    found = None if key is None else data_type.read(reader, source.account, [key], tuple(data_type.properties))
    if found is None or not found.keys:
        raise SetError(SetError.NOT_FOUND, f"The account to copy from has no “{object_id[:64]}”.")
    original = data_type.plain(found)[0]
    copied = {name: value for name, value in original.items() if data_type.may_create(name)}
    return {**copied, **{name: value for name, value in given.items() if name != "id"}}
