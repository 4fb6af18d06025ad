"""Blob/get: octets of blobs, or ranges of them, inside of a response (RFC 9404 §4.2)."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minijmap.blob.capability import BLOB, DIGESTS
from minijmap.jmap.blobreading import BlobReader
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.errors import InvalidArguments, RequestTooLarge
from minijmap.jmap.methods import Method
from minijmap.jmap.standard import ACCOUNT, MOST_IDS
from minijmap.jmap.values import Id, ListOf, Nullable, String, unsigned_int

DATA, TEXT, BASE64, SIZE = "data", "data:asText", "data:asBase64", "size"
DEFAULT_PROPERTIES = (DATA, SIZE)
DIGEST = "digest:"
SHOWN = "octets shown"
GET_ARGUMENTS = {
    "accountId": ACCOUNT,
    "ids": Argument(Nullable(ListOf(Id(), most=MOST_IDS))),
    "properties": Argument(Nullable(ListOf(String(), most=1000))),
    "offset": Argument(Nullable(unsigned_int())),
    "length": Argument(Nullable(unsigned_int())),
}


@dataclass(frozen=True)
class Wanted:
    """What is asked of each blob: properties, and which octets; `length` is None for all that are left."""

    names: tuple[str, ...]
    offset: int
    length: int | None

    @property
    def times(self) -> int:
        """Return how often the octets are shown."""
        return len({DATA, TEXT, BASE64} & set(self.names))

    @property
    def digests(self) -> int:
        """Return how often the octets are digested."""
        return sum(name.startswith(DIGEST) for name in self.names)

    def range_of(self, size: int) -> tuple[int, int, bool]:
        """Return where the octets begin and end in a blob, and whether there are fewer than were asked for."""
        start = min(self.offset, size)
        if self.length is None:
            return start, size, self.offset > size
        end = self.offset + self.length
        return start, min(end, size), end > size


def get_blobs(call: Call) -> dict[str, Any]:
    """Answer Blob/get. Blobs have no state."""
    arguments = call.arguments(GET_ARGUMENTS)
    access = call.access(arguments["accountId"])
    if arguments["ids"] is None:
        # RFC 8620 §5.1: all of them, if that is supported for a type; a blob's id is known from what refers to it
        raise InvalidArguments(f"{call.name} needs “ids”: blobs can't be listed.", arguments=["ids"])
    ids = list(dict.fromkeys(arguments["ids"]))
    limit = call.engine.limits.max_objects_in_get
    if len(ids) > limit:
        raise RequestTooLarge(f"{call.name} answers with at most {limit} blobs.")
    wanted = Wanted(_names(arguments["properties"]), arguments["offset"] or 0, arguments["length"])
    reader = BlobReader(call, access)
    found = {blob_id: _blob(call, reader, blob_id, wanted) for blob_id in ids}
    return {
        "accountId": access.account_id,
        "list": [blob for blob in found.values() if blob is not None],
        "notFound": [blob_id for blob_id, blob in found.items() if blob is None],
    }


def _names(asked: Sequence[str] | None) -> tuple[str, ...]:
    if asked is None:
        return DEFAULT_PROPERTIES
    known = {"id", DATA, TEXT, BASE64, SIZE, *(DIGEST + name for name in DIGESTS)}
    unknown = next((name for name in asked if name not in known), None)
    if unknown is not None:
        raise InvalidArguments(f"A blob has no property “{unknown[:64]}”.", arguments=["properties"])
    return tuple(dict.fromkeys(asked))


def _blob(call: Call, reader: BlobReader, blob_id: str, wanted: Wanted) -> dict[str, Any] | None:
    """Return what is asked of one blob, or None if there is none."""
    size = reader.size(blob_id)
    if size is None:
        return None
    blob: dict[str, Any] = {"id": blob_id}
    start, end, truncated = wanted.range_of(size)
    if wanted.times or wanted.digests:
        blob |= _shown(_octets(call, reader, blob_id, wanted, (start, end)), wanted.names)
    if truncated:
        # RFC 9404 §4.2: it MUST be told, whichever properties are asked for
        blob["isTruncated"] = True
    if SIZE in wanted.names:
        blob[SIZE] = size  # of the whole blob, whatever the range
    return blob


def _octets(call: Call, reader: BlobReader, blob_id: str, wanted: Wanted, place: tuple[int, int]) -> bytes:
    """Return the octets of a range, if the response has room for them. Raises RequestTooLarge."""
    start, end = place
    most = call.engine.limits.max_size_upload
    call.spent[SHOWN] += (end - start) * wanted.times
    if call.spent[SHOWN] > most:
        raise RequestTooLarge(f"A response shows {most} octets of blobs: ask for fewer, or for a range, or download.")
    reader.spend((end - start) * wanted.digests)
    return (reader.octets(blob_id) or b"")[start:end] if end > start else b""


def _shown(octets: bytes, names: Sequence[str]) -> dict[str, Any]:
    """Return the properties that are made of the octets."""
    shown: dict[str, Any] = {}
    text = _text(octets) if DATA in names or TEXT in names else ""
    if text is None:
        shown["isEncodingProblem"] = True
    if TEXT in names or (DATA in names and text is not None):
        shown[TEXT] = text
    if BASE64 in names or (DATA in names and text is None):
        shown[BASE64] = base64.b64encode(octets).decode()
    for name in names:
        if name.startswith(DIGEST):
            digest = DIGESTS[name.removeprefix(DIGEST)](octets, usedforsecurity=False).digest()
            shown[name] = base64.b64encode(digest).decode()
    return shown


def _text(octets: bytes) -> str | None:
    """Return octets as text; a sequence that is cut in the middle is none (RFC 9404 §4.2)."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


BLOB_GET = Method("Blob/get", BLOB, get_blobs)
