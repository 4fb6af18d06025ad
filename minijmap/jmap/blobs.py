"""Blob/copy (RFC 8620 §6.3). Must not know what a blob holds."""

from typing import Any

from minijmap.jmap.call import Argument, Call
from minijmap.jmap.copying import two_accounts
from minijmap.jmap.errors import RequestTooLarge, SetError
from minijmap.jmap.methods import Method
from minijmap.jmap.session import CORE
from minijmap.jmap.setting import MOST_OBJECTS
from minijmap.jmap.standard import ACCOUNT
from minijmap.jmap.values import Id, ListOf
from minijmap.store import blobs
from minijmap.store.database import Transaction

COPY_ARGUMENTS = {
    "fromAccountId": ACCOUNT,
    "accountId": ACCOUNT,
    "blobIds": Argument(ListOf(Id(), most=MOST_OBJECTS), required=True),
}


def copy_blobs(call: Call) -> dict[str, Any]:
    """Answer Blob/copy: the same octets have the same id in every account."""
    arguments = call.arguments(COPY_ARGUMENTS)
    source, target = two_accounts(call, arguments["fromAccountId"], arguments["accountId"])
    wanted = list(dict.fromkeys(arguments["blobIds"]))
    limit = call.engine.limits.max_objects_in_set
    if len(wanted) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} blobs.")
    octets = {one: blobs.open_blob(call.reader(), source.account, one) for one in wanted}
    packed = {one: blobs.pack(content) for one, content in octets.items() if content is not None}

    def job(tx: Transaction) -> None:
        for blob in packed.values():
            blobs.add_upload(tx, blobs.store(tx, blob), target.account, call.now())

    if packed:
        call.write(job)
    missing = SetError(SetError.NOT_FOUND, "The account to copy from has no such blob.").json()
    return {
        "fromAccountId": source.account_id,
        "accountId": target.account_id,
        "copied": {one: blob.blob_id for one, blob in packed.items()} or None,
        "notCopied": {one: missing for one in wanted if one not in packed} or None,
    }


BLOB_COPY = Method("Blob/copy", CORE, copy_blobs)
