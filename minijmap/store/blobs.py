"""Blobs: octets exactly as they came, stored once by content, kept while something refers to them.

Owns compression, digests, who in which account refers to what, and how long an upload stays that nothing refers to
(RFC 8620 §6). Must not know what the octets mean: the part of a message is a range of its blob, which the mail family
reads itself.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass

from minijmap.store import transfer, usage
from minijmap.store.database import Reader, Transaction

DIGEST_OCTETS = 20
NO_CODEC, ZLIB = 0, 1
RANGE = re.compile(r"(0|[1-9][0-9]{0,11})-(0|[1-9][0-9]{0,11})-([nqbu])(?:\Z|-(?=[0-9]))")
SMALLEST_COMPRESSED = 512
"""Below this many octets compression is not worth its time."""
KEEP_UPLOADS_MS = 24 * 3600 * 1000
"""An upload that nothing refers to is kept this long, and may be counted on (RFC 8620 §6, RFC 9404 §4.1)."""
KEEP_RELEASED_MS = 3600 * 1000
"""So long is a blob kept at least that something referred to until now; among uploads it counts as an old one."""
MOST_UNREFERENCED = 500_000_000
"""Octets of uploads that nothing of an account refers to (RFC 8620 §6): ten times what one message may hold."""
UPLOAD_OVERHEAD = 1000
"""Octets that each of them counts beside its size, so that empty ones are not without number."""
INTERNAL = ("Queue",)
"""Names under which the server itself refers to blobs; no client knows such an object, and no quota counts it."""


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

    def octets(self) -> bytes:
        """Return the blob's octets."""
        return _unpacked(self.codec, self.stored)


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


def add_use(
    tx: Transaction, blob: int, account: int, type_name: str, object_key: int, *, enforced: bool = True
) -> None:
    """Note that an object refers to a blob: the blob stays as long as it does.

    Raises OverQuota, with nothing written, when the account may not keep so much; `enforced`: see `usage.add`.
    """
    counted = _counted(tx, blob, account)
    if not counted and type_name not in INTERNAL:
        usage.add(tx, account, usage.OCTETS, size(tx, blob), enforced=enforced)
    if counted is None and _set_free(tx, account, blob, free=False):
        usage.add(tx, account, usage.UPLOADS, -_charge(tx, blob))
    tx.execute("INSERT OR IGNORE INTO blob_use VALUES (?, ?, ?, ?)", (blob, account, type_name, object_key))


def remove_use(tx: Transaction, blob: int, account: int, type_name: str, object_key: int) -> None:
    """Note that an object refers to a blob no longer.

    A blob that nothing of the account refers to any more stays for its day if it was uploaded, and for an hour anyhow:
    what the same call creates, or the next one, may refer to it (RFC 8620 §6).
    """
    gone = tx.execute(
        "DELETE FROM blob_use WHERE blob = ? AND account = ? AND type = ? AND object = ?",
        (blob, account, type_name, object_key),
    ).rowcount
    if not gone:
        return
    counted = _counted(tx, blob, account)
    if not counted and type_name not in INTERNAL:
        usage.add(tx, account, usage.OCTETS, -size(tx, blob))
    if counted is None:
        tx.execute(
            "INSERT INTO upload (account, blob, at, free) VALUES (?, ?, ?, 1) "
            "ON CONFLICT DO UPDATE SET at = max(at, excluded.at), free = 1",
            (account, blob, int(tx.clock() * 1000) - KEEP_UPLOADS_MS + KEEP_RELEASED_MS),
        )
        usage.add(tx, account, usage.UPLOADS, _charge(tx, blob))


def add_upload(tx: Transaction, blob: int, account: int, at: int, most: int = MOST_UNREFERENCED) -> None:
    """Note that an account has uploaded (or copied) a blob, at a time in milliseconds.

    What would be more than `most` octets of uploads that nothing refers to goes, the oldest first (RFC 8620 §6).
    """
    is_new = tx.value("SELECT 1 FROM upload WHERE account = ? AND blob = ?", (account, blob)) is None
    free = _counted(tx, blob, account) is None
    tx.execute(
        "INSERT INTO upload (account, blob, at, free) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
        (account, blob, at, int(free)),
    )
    if is_new and free:
        usage.add(tx, account, usage.UPLOADS, _charge(tx, blob))
    while usage.used(tx, account, usage.UPLOADS) > most:
        oldest = tx.value(
            "SELECT blob FROM upload WHERE account = ? AND free = 1 AND blob <> ? ORDER BY at, blob LIMIT 1",
            (account, blob),
        )
        if oldest is None:
            return
        _forget_upload(tx, account, oldest)


def holders(reader: Reader, account: int, blob_id: str, type_name: str) -> list[int]:
    """Return the keys of the objects of a type that refer to a blob."""
    key = find(reader, account, blob_id)
    rows = reader.all(
        "SELECT object FROM blob_use WHERE blob = ? AND account = ? AND type = ? ORDER BY object",
        (key, account, type_name),
    )
    return [row[0] for row in rows]


def held(reader: Reader, account: int, besides: str) -> list[str]:
    """Return the ids of the blobs that objects of an account refer to, but for those that only one type refers to."""
    rows = reader.all(
        "SELECT digest FROM blob WHERE key IN (SELECT blob FROM blob_use WHERE account = ? AND type NOT IN "
        f"(?, {', '.join('?' * len(INTERNAL))})) ORDER BY key",
        (account, besides, *INTERNAL),
    )
    return [f"b{digest.hex()}" for (digest,) in rows]


def _counted(reader: Reader, blob: int, account: int) -> int | None:
    """Return 1 if an object that a client knows refers to a blob, 0 if only the server does, None if nobody does."""
    value: int | None = reader.value(
        f"SELECT max(type NOT IN ({', '.join('?' * len(INTERNAL))})) FROM blob_use WHERE blob = ? AND account = ?",
        (*INTERNAL, blob, account),
    )
    return value


def _set_free(tx: Transaction, account: int, blob: int, *, free: bool) -> bool:
    """Note whether nothing of an account refers to its upload; say whether that is new."""
    changed = tx.execute(
        "UPDATE upload SET free = ?1 WHERE account = ?2 AND blob = ?3 AND free <> ?1", (int(free), account, blob)
    )
    return changed.rowcount > 0


def _charge(reader: Reader, blob: int) -> int:
    return size(reader, blob) + UPLOAD_OVERHEAD


def _forget_upload(tx: Transaction, account: int, blob: int) -> None:
    """Drop an upload that nothing of the account refers to, and the blob if nobody else has it."""
    tx.execute("DELETE FROM upload WHERE account = ? AND blob = ?", (account, blob))
    usage.add(tx, account, usage.UPLOADS, -_charge(tx, blob))
    tx.execute(
        "DELETE FROM blob WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM blob_use WHERE blob = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM upload WHERE blob = ?1)",
        (blob,),
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
    return _unpacked(*row)


def _unpacked(codec: int, stored: bytes) -> bytes:
    return zlib.decompress(stored) if codec == ZLIB else bytes(stored)


def head(reader: Reader, key: int, length: int) -> bytes:
    """Return a blob's first octets, without reading all of it."""
    # Compressed octets are never so much longer than what they stand for; of no octets substr makes NULL.
    most = 2 * length + 64
    row = reader.one("SELECT codec, coalesce(substr(stored, 1, ?), x'') FROM blob WHERE key = ?", (most, key))
    codec, stored = row or (NO_CODEC, b"")
    return zlib.decompressobj().decompress(stored, length) if codec == ZLIB else bytes(stored[:length])


def size(reader: Reader, key: int) -> int:
    """Return a blob's size in octets."""
    return int(reader.value("SELECT size FROM blob WHERE key = ?", (key,)))


def collect(tx: Transaction, now: int) -> int:
    """Drop uploads older than a day, and blobs that nothing refers to. Returns how many blobs went."""
    before = now - KEEP_UPLOADS_MS
    for account, octets in tx.all(
        "SELECT u.account, sum(b.size + ?) FROM upload AS u JOIN blob AS b ON b.key = u.blob "
        "WHERE u.at < ? AND u.free = 1 GROUP BY u.account",
        (UPLOAD_OVERHEAD, before),
    ):
        usage.add(tx, account, usage.UPLOADS, -octets)
    tx.execute("DELETE FROM upload WHERE at < ?", (before,))
    return sweep(tx)


def sweep(tx: Transaction) -> int:
    """Drop blobs that nobody has. Returns how many went."""
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
    found = whole_of(reader, account, blob_id)
    return None if found is None else decoded_range(read(reader, found[0]), found[1])


def whole_of(reader: Reader, account: int, blob_id: str) -> tuple[int, str] | None:
    """Return the key of the blob that an id is a range of, or names, and the ranges; None if the account has none."""
    whole, dash, inner = blob_id.partition("-")
    key = find(reader, account, whole)
    return None if key is None or (dash and not inner) else (key, inner)


def range_octets(inner: str) -> int:
    """Return how many octets are read to decode ranges: what `decoded_range` costs at most, for any blob."""
    return sum(int(length) for _, length, _ in RANGE.findall(inner))


def decoded_range(octets: bytes, inner: str) -> bytes | None:
    """Return the octets of ranges of a blob, each a decoded range of the one before; None if there is no such range."""
    while inner:
        match = RANGE.match(inner)
        if match is None:
            return None
        start, length, inner = int(match[1]), int(match[2]), inner[match.end() :]
        if start + length > len(octets):
            return None
        octets = transfer.decode(octets[start : start + length], match[3])[0]
    return octets
