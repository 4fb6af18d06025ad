"""Blobs: octets exactly as they came, stored once by content, kept while something refers to them.

Owns compression, digests, and who in which account refers to what. Must not know what the octets mean: the part of a
message is a range of its blob, which the mail family reads itself.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass

from minijmap.store import transfer
from minijmap.store.database import Reader, Transaction

DIGEST_OCTETS = 20
NO_CODEC, ZLIB = 0, 1
RANGE = re.compile(r"(0|[1-9][0-9]{0,11})-(0|[1-9][0-9]{0,11})-([nqbu])(?:\Z|-(?=[0-9]))")
SMALLEST_COMPRESSED = 512
"""Below this many octets compression is not worth its time."""
KEEP_UPLOADS_MS = 24 * 3600 * 1000
"""An upload that nothing refers to is kept at least this long (RFC 8620 §6.1, RFC 9404 §4)."""


@dataclass(frozen=True)
class PackedBlob:
    """A blob made ready for its row, outside of the writer thread."""

    digest: bytes
    size: int
    codec: int
    stored: bytes

    @property
    def blob_id(self) -> str:
        """Return the blob's id."""
        return f"b{self.digest.hex()}"


def pack(octets: bytes) -> PackedBlob:
    """Digest and compress: all the work that needs no transaction."""
    digest = hashlib.sha256(octets).digest()[:DIGEST_OCTETS]
    if len(octets) >= SMALLEST_COMPRESSED:
        packed = zlib.compress(octets, 1)
        if len(packed) < len(octets) * 0.9:
            return PackedBlob(digest, len(octets), ZLIB, packed)
    return PackedBlob(digest, len(octets), NO_CODEC, octets)


def digest_of(blob_id: str) -> bytes | None:
    """Return the digest that a blob id names, or None when it is no blob id of ours."""
    if len(blob_id) != 1 + 2 * DIGEST_OCTETS or blob_id[0] != "b" or blob_id.lower() != blob_id:
        return None
    try:
        return bytes.fromhex(blob_id[1:])
    except ValueError:
        return None


def store(tx: Transaction, blob: PackedBlob) -> int:
    """Store the octets unless they are there, and return the blob's key. The caller adds the use."""
    key = tx.value("SELECT key FROM blob WHERE digest = ?", (blob.digest,))
    if key is None:
        key = tx.execute(
            "INSERT INTO blob (digest, size, codec, stored) VALUES (?, ?, ?, ?)",
            (blob.digest, blob.size, blob.codec, blob.stored),
        ).lastrowid
    return int(key)


def add_use(tx: Transaction, blob: int, account: int, type_name: str, object_key: int) -> None:
    """Note that an object refers to a blob: the blob stays as long as it does."""
    tx.execute("INSERT OR IGNORE INTO blob_use VALUES (?, ?, ?, ?)", (blob, account, type_name, object_key))


def remove_use(tx: Transaction, blob: int, account: int, type_name: str, object_key: int) -> None:
    """Note that an object refers to a blob no longer, and drop a blob that nothing refers to.

    A blob that was also uploaded stays for its day (see `collect`).
    """
    tx.execute(
        "DELETE FROM blob_use WHERE blob = ? AND account = ? AND type = ? AND object = ?",
        (blob, account, type_name, object_key),
    )
    tx.execute(
        "DELETE FROM blob WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM blob_use WHERE blob = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM upload WHERE blob = ?1)",
        (blob,),
    )


def add_upload(tx: Transaction, blob: int, account: int, at: int) -> None:
    """Note that an account has uploaded (or copied) a blob, at a time in milliseconds."""
    tx.execute(
        "INSERT INTO upload (account, blob, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at",
        (account, blob, at),
    )


def find(reader: Reader, account: int, blob_id: str) -> int | None:
    """Return the key of a blob that the account may see: it has uploaded it or refers to it."""
    digest = digest_of(blob_id)
    if digest is None:
        return None
    key = reader.value(
        "SELECT key FROM blob WHERE digest = ?1 AND (EXISTS (SELECT 1 FROM blob_use WHERE blob = blob.key "
        "AND account = ?2) OR EXISTS (SELECT 1 FROM upload WHERE account = ?2 AND blob = blob.key))",
        (digest, account),
    )
    return None if key is None else int(key)


def read(reader: Reader, key: int) -> bytes:
    """Return a blob's octets as they were received."""
    row = reader.one("SELECT codec, stored FROM blob WHERE key = ?", (key,))
    if row is None:
        raise KeyError(f"No blob has the key {key}.")
    codec, stored = row
    return zlib.decompress(stored) if codec == ZLIB else bytes(stored)


def size(reader: Reader, key: int) -> int:
    """Return a blob's size in octets."""
    return int(reader.value("SELECT size FROM blob WHERE key = ?", (key,)))


def collect(tx: Transaction, now: int) -> int:
    """Drop uploads older than a day, and blobs that nothing refers to. Returns how many blobs went."""
    tx.execute("DELETE FROM upload WHERE at < ?", (now - KEEP_UPLOADS_MS,))
    return tx.execute(
        "DELETE FROM blob WHERE NOT EXISTS (SELECT 1 FROM blob_use WHERE blob = blob.key) "
        "AND NOT EXISTS (SELECT 1 FROM upload WHERE blob = blob.key)"
    ).rowcount


def range_id(blob_id: str, start: int, length: int, encoding: str) -> str:
    """Return the id of the decoded content of a range of a blob: `encoding` is n, q, b or u (see `transfer`).

    The blob may be a range itself, as a message in a message is. In one that needed no decoding the range is one of
    the outermost blob.
    """
    outer, _, inner = blob_id.rpartition("-")
    if inner == transfer.IDENTITY:
        whole, offset, _ = outer.rsplit("-", 2)
        return f"{whole}-{int(offset) + start}-{length}-{encoding}"
    return f"{blob_id}-{start}-{length}-{encoding}"


def open_blob(reader: Reader, account: int, blob_id: str) -> bytes | None:
    """Return the octets of a blob, or of a decoded range of one; None if the account has no such blob."""
    whole, dash, inner = blob_id.partition("-")
    key = find(reader, account, whole)
    if key is None or (dash and not inner):
        return None
    octets = read(reader, key)
    while inner:
        match = RANGE.match(inner)
        if match is None:
            return None
        start, length, inner = int(match[1]), int(match[2]), inner[match.end() :]
        if start + length > len(octets):
            return None
        octets = transfer.decode(octets[start : start + length], match[3])[0]
    return octets
