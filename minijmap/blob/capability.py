"""The capability of blob management, and the limits that it announces (RFC 9404 §3.1)."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from minijmap.jmap.datatype import DataType
from minijmap.jmap.session import Capability

BLOB = "urn:ietf:params:jmap:blob"
MOST_SOURCES = 64
"""Sources of one blob: as many as a server must take at least."""
DIGESTS: dict[str, Callable[..., Any]] = {
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
    "sha": hashlib.sha1,
}
"""By their names in the registry of RFC 3230, in lower case; the better ones first, for clients prefer those."""


def can_refer(data_type: DataType) -> bool:
    """Say whether Blob/lookup takes a type's name: whether blobs can be discovered from its objects (RFC 9404 §4.3)."""
    return data_type.holds_blobs or data_type.shows_blobs


def blob_capability(types: Sequence[DataType], max_size: int) -> Capability:
    """Return the capability; `max_size` is the most octets of a blob."""
    account = {
        "maxSizeBlobSet": max_size,
        "maxDataSources": MOST_SOURCES,
        "supportedTypeNames": [one.name for one in types if can_refer(one)],
        "supportedDigestAlgorithms": list(DIGESTS),
    }
    return Capability(BLOB, {}, lambda _: account)
