"""Blob/upload: blobs made inside of a request, of texts, base64 and ranges of other blobs (RFC 9404 §4.1).

Must not know what the octets mean: the type is the client's word, repeated.
"""

from collections.abc import Mapping
from typing import Any

from minijmap.blob.capability import BLOB
from minijmap.blob.sources import Range, Upload, read_upload
from minijmap.jmap.blobreading import BlobReader, TooMuchToRead
from minijmap.jmap.blobs import take_room
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.errors import RequestTooLarge, SetError, invalid_properties
from minijmap.jmap.methods import Method
from minijmap.jmap.session import Access
from minijmap.jmap.setting import MOST_OBJECTS, OBJECT, CreationId
from minijmap.jmap.standard import ACCOUNT
from minijmap.jmap.values import MapOf
from minijmap.store import blobs
from minijmap.store.database import Transaction

DEFAULT_TYPE = "application/octet-stream"
UPLOAD_ARGUMENTS = {
    "accountId": ACCOUNT,
    "create": Argument(MapOf(CreationId(), OBJECT, most=MOST_OBJECTS), required=True),
}


class Assembly:
    """The blobs of one call, put together in an order in which each comes after those that it is made of."""

    def __init__(self, call: Call, access: Access, max_size: int) -> None:
        self._call = call
        self._reader = BlobReader(call, access)
        self._max_size = max_size
        self._wanted: Mapping[str, Any] = {}
        self._uploads: dict[str, Upload] = {}
        self.made: dict[str, blobs.PackedBlob] = {}
        self.failed: dict[str, SetError] = {}

    def make(self, wanted: Mapping[str, dict[str, Any]]) -> None:
        """Put every blob together, or say why it can't be."""
        self._wanted = wanted
        for creation_id, one in wanted.items():
            try:
                self._uploads[creation_id] = read_upload(one)
            except SetError as error:
                self.failed[creation_id] = error
        for creation_id in self._uploads:
            self._make_after_its_sources(creation_id)

    def type_of(self, creation_id: str) -> str:
        """Return the media type to answer with."""
        return self._uploads[creation_id].type or DEFAULT_TYPE

    def _make_after_its_sources(self, creation_id: str) -> None:
        """Make a blob after those that it refers to; a chain may be as long as the call, so it is not on the stack."""
        waiting, begun = [creation_id], set[str]()
        while waiting:
            now = waiting[-1]
            others = [] if self._is_over(now) else [one for one in self._siblings(now) if not self._is_over(one)]
            if others and now not in begun:
                begun.add(now)
                waiting += others
                continue
            waiting.pop()
            if not self._is_over(now):
                try:
                    # What is not there by now waits for this one in turn, and is not found.
                    self.made[now] = self._put_together(now)
                except SetError as error:
                    self.failed[now] = error

    def _is_over(self, creation_id: str) -> bool:
        return creation_id in self.made or creation_id in self.failed

    def _siblings(self, creation_id: str) -> list[str]:
        """Return the creation ids of this call that a blob refers to."""
        names = (one.blob_id[1:] for one in self._uploads[creation_id].sources if isinstance(one, Range))
        return [name for name in dict.fromkeys(names) if name in self._uploads]

    def _put_together(self, creation_id: str) -> blobs.PackedBlob:
        upload = self._uploads[creation_id]
        pieces, size = [], 0
        for index, source in enumerate(upload.sources):
            piece = source if isinstance(source, bytes) else self._range(source, index)
            size += len(piece)
            if size > self._max_size:
                raise SetError(SetError.TOO_LARGE, f"A blob may have {self._max_size} octets.")  # maxSizeBlobSet
            pieces.append(piece)
        take_room(self._call, size)
        return blobs.pack(b"".join(pieces))

    def _range(self, source: Range, index: int) -> bytes:
        try:
            octets = self._octets(source.blob_id)
        except TooMuchToRead as error:
            raise SetError(SetError.RATE_LIMIT, str(error)) from None
        if octets is None:
            raise SetError("blobNotFound", f"There is no blob “{source.blob_id}”.", notFound=[source.blob_id])
        piece = source.of(octets)
        if piece is None:
            # RFC 9404 §4.1: a range that can't be fully satisfied is invalid
            raise invalid_properties(f"“data/{index}” goes past the end of its blob of {len(octets)} octets.", "data")
        return piece

    def _octets(self, blob_id: str) -> bytes | None:
        """Return the octets of a blob of the account or of this call, whose creation ids come before earlier ones."""
        if blob_id.startswith("#"):
            if blob_id[1:] in self._wanted:
                sibling = self.made.get(blob_id[1:])
                self._reader.spend(sibling.size if sibling else 0)
                return sibling.octets() if sibling else None
            blob_id = self._call.resolve_id(blob_id)
        return self._reader.octets(blob_id)


def upload_method(max_size: int) -> Method:
    """Return the method Blob/upload, for blobs of at most `max_size` octets."""

    def upload(call: Call) -> dict[str, Any]:
        """Answer Blob/upload."""
        arguments = call.arguments(UPLOAD_ARGUMENTS)
        access = call.access(arguments["accountId"], write=True)
        limit = call.engine.limits.max_objects_in_set
        if len(arguments["create"]) > limit:
            raise RequestTooLarge(f"{call.name} makes at most {limit} blobs.")
        assembly = Assembly(call, access, max_size)
        assembly.make(arguments["create"])

        def job(tx: Transaction) -> None:
            for blob in assembly.made.values():
                blobs.add_upload(tx, blobs.store(tx, blob), access.account, call.now())

        if assembly.made:
            call.write(job)
        made = {name: assembly.made[name] for name in arguments["create"] if name in assembly.made}
        failed = {name: assembly.failed[name].json() for name in arguments["create"] if name in assembly.failed}
        # RFC 9404 §4.1: later calls of the request may refer to them
        call.created_ids.update({creation_id: blob.blob_id for creation_id, blob in made.items()})
        created = {
            creation_id: {"id": blob.blob_id, "type": assembly.type_of(creation_id), "size": blob.size}
            for creation_id, blob in made.items()
        }
        return {"accountId": access.account_id, "created": created or None, "notCreated": failed or None}

    return Method("Blob/upload", BLOB, upload)
