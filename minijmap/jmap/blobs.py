"""Blob/copy (RFC 8620 §6.3). Must not know what a blob holds."""

from typing import Any

from minijmap.jmap.blobreading import BlobReader, TooMuchToRead
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.copying import two_accounts
from minijmap.jmap.errors import RequestTooLarge, SetError
from minijmap.jmap.methods import Method
from minijmap.jmap.session import CORE, Access
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
MADE = "octets made"


def copy_blobs(call: Call) -> dict[str, Any]:
    """Answer Blob/copy: the same octets have the same id in every account, but a range becomes a blob of its own."""
    arguments = call.arguments(COPY_ARGUMENTS)
    source, target = two_accounts(call, arguments["fromAccountId"], arguments["accountId"])
    wanted = list(dict.fromkeys(arguments["blobIds"]))
    limit = call.engine.limits.max_objects_in_set
    if len(wanted) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} blobs.")
    copies: dict[str, int | blobs.PackedBlob] = {}
    refused: dict[str, SetError] = {}
    reader = BlobReader(call, source)
    for one in wanted:
        try:
            copies[one] = _original(call, source, reader, one)
        except SetError as error:
            refused[one] = error

    def job(tx: Transaction) -> dict[str, str]:
        copied = {}
        for one, original in copies.items():
            key = original if isinstance(original, int) else blobs.store(tx, original)
            if isinstance(original, int) and blobs.find(tx, source.account, one) != key:
                refused[one] = _missing()  # it went meanwhile
                continue
            blobs.add_upload(tx, key, target.account, call.now())
            copied[one] = one if isinstance(original, int) else original.blob_id
        return copied

    copied = call.write(job) if copies else {}
    return {
        "fromAccountId": source.account_id,
        "accountId": target.account_id,
        "copied": copied or None,
        "notCopied": {one: error.json() for one, error in refused.items()} or None,
    }


def _original(call: Call, source: Access, reader: BlobReader, blob_id: str) -> int | blobs.PackedBlob:
    """Return the key of what is to be copied, or, of a range, its octets. Raises SetError."""
    key = blobs.find(call.reader(), source.account, blob_id)
    if key is not None:
        return key
    try:
        octets = reader.octets(blob_id)
    except TooMuchToRead as error:
        raise SetError(SetError.RATE_LIMIT, str(error)) from None
    if octets is None:
        raise _missing()
    take_room(call, len(octets))
    return blobs.pack(octets)


def take_room(call: Call, octets: int) -> None:
    """Count octets of blobs that a request makes, which wait in memory for the writer. Raises SetError."""
    most = 2 * call.engine.limits.max_size_upload
    if call.spent[MADE] + octets > most:
        raise SetError(SetError.RATE_LIMIT, f"A request may make blobs of {most} octets in all.")
    call.spent[MADE] += octets


def _missing() -> SetError:
    return SetError(SetError.NOT_FOUND, "The account to copy from has no such blob.")


BLOB_COPY = Method("Blob/copy", CORE, copy_blobs)
