"""Blob/lookup: which objects refer to a blob (RFC 9404 §4.3).

What it means to refer is each type's own (`DataType.holders`).
"""

from typing import Any

from minijmap.blob.capability import BLOB, can_refer
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.datatype import DataType
from minijmap.jmap.errors import RequestTooLarge, UnknownDataType
from minijmap.jmap.methods import Method
from minijmap.jmap.standard import ACCOUNT, MOST_IDS
from minijmap.jmap.values import Id, ListOf, String
from minijmap.store import blobs

LOOKUP_ARGUMENTS = {
    "accountId": ACCOUNT,
    "typeNames": Argument(ListOf(String(), most=1000), required=True),
    "ids": Argument(ListOf(Id(), most=MOST_IDS), required=True),
}


def look_up(call: Call) -> dict[str, Any]:
    """Answer Blob/lookup.

    A blob that the account has not got is in `list` with nothing that refers to it, as the RFC's text asks for, and in
    `notFound` too, as its example has it.
    """
    arguments = call.arguments(LOOKUP_ARGUMENTS)
    access = call.access(arguments["accountId"])
    types = [_type(call, name) for name in dict.fromkeys(arguments["typeNames"])]
    ids = list(dict.fromkeys(arguments["ids"]))
    limit = call.engine.limits.max_objects_in_get
    if len(ids) > limit:
        raise RequestTooLarge(f"{call.name} answers for at most {limit} blobs.")
    reader, account = call.reader(), access.account
    found, missing = [], []
    for blob_id in ids:
        there = blobs.whole_of(reader, account, blob_id) is not None
        matched = {
            one.name: [one.id_of(key) for key in one.holders(reader, account, blob_id)] if there else []
            for one in types
        }
        found.append({"id": blob_id, "matchedIds": matched})
        if not there:
            missing.append(blob_id)
    return {"accountId": access.account_id, "list": found, "notFound": missing}


def _type(call: Call, name: str) -> DataType:
    """Return a type that can refer to blobs. Its capability must be named, without leniency (RFC 9404 §4.3)."""
    data_type = call.engine.types.get(name)
    if data_type is None or not can_refer(data_type):
        raise UnknownDataType(f"“{name[:64]}” is no type whose objects refer to blobs.")
    if data_type.capability not in call.using:
        raise UnknownDataType(f"“{name}” needs “{data_type.capability}” in “using”.")
    return data_type


BLOB_LOOKUP = Method("Blob/lookup", BLOB, look_up)
