"""The upload resource (RFC 8620 §6.1): octets in, a blobId out.

Must not know what the octets mean; their type is what the client says, never guessed.
"""

import threading

import orjson
from flask import Response, request

from minijmap.http.arrivals import Kind
from minijmap.http.front import Front, account_of, json_answer
from minijmap.http.problems import Problem
from minijmap.store import blobs
from minijmap.store.database import Transaction

DEFAULT_TYPE = "application/octet-stream"
LARGE = 4 * 1024 * 1024
# Each large upload is held twice while it is compressed: on a small machine few may be so at a time.
_packing_large = threading.Semaphore(2)


def post_upload(front: Front, account_id: str) -> Response:
    """Answer POST with the blob's accountId, blobId, type and size."""
    login = front.login()
    with front.body(Kind.UPLOAD) as octets, front.uploads.enter(login.user.key):
        access = account_of(login, account_id)
        if access.is_read_only:
            raise Problem(403, "This account can't be changed by you.")
        blob = _packed(octets)
        size = len(octets)
        now = int(front.engine.clock() * 1000)

        def keep(tx: Transaction) -> None:
            blobs.add_upload(tx, blobs.store(tx, blob), access.account, now)

        front.engine.database.write(keep)
    media_type = request.headers.get("Content-Type", "").strip() or DEFAULT_TYPE
    answer = {"accountId": access.account_id, "blobId": blob.blob_id, "type": media_type, "size": size}
    return json_answer(orjson.dumps(answer), 201)


def _packed(octets: bytes) -> blobs.PackedBlob:
    if len(octets) < LARGE:
        return blobs.pack(octets)
    with _packing_large:
        return blobs.pack(octets)
