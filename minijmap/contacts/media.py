"""The media of a card: blobs (RFC 9610 §3), whichever way a client sends them.

Owns `data:` URIs (RFC 2397) and parts of blobs, which become blobs, what type a file has by its first octets, and that
a photo is an image. Must not know how a card is stored.
"""

import base64
import binascii
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from minijmap.contacts import jscontact
from minijmap.contacts.capability import MOST_MEDIA_OCTETS
from minijmap.jmap.errors import RequestTooLarge, SetError, invalid_properties
from minijmap.store import blobs
from minijmap.store.blobs import PackedBlob
from minijmap.store.database import Reader, Transaction

SCHEME: Final = "data:"
HEAD: Final = 1024
UNKNOWN: Final = "application/octet-stream"
PLAIN: Final = "text/plain"
"""What a `data:` URI is that does not say it (RFC 2397 §2)."""
IMAGES: Final = frozenset(("photo", "logo"))
"""The kinds of media that must be images."""
MOST_PARTS_OCTETS: Final = 100_000_000
"""Octets of the parts of blobs that one call makes blobs of: they are in memory together."""

_SIGNATURES: Final = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
    (4, b"ftyphei", "image/heic"),
    (4, b"ftyphev", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypmsf1", "image/heif"),
    (0, b"\xff\x0a", "image/jxl"),
    (4, b"JXL \r\n\x87\n", "image/jxl"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"BM", "image/bmp"),
    (0, b"\0\0\1\0", "image/vnd.microsoft.icon"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypM4A", "audio/mp4"),
    (0, b"#!AMR", "audio/AMR"),
    (0, b".snd", "audio/basic"),
)


def sniff(head: bytes) -> str | None:
    """Return the media type that a file's first octets tell, or None."""
    for offset, signature, media_type in _SIGNATURES:
        if head.startswith(signature, offset):
            return media_type
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text):
        return "image/svg+xml"
    return None


@dataclass(frozen=True)
class Data:
    """What a `data:` URI holds."""

    media_type: str
    octets: bytes


def parse_data(uri: str) -> Data | None:
    """Read a `data:` URI; None for one that is damaged."""
    if not is_data(uri):
        return None
    head, comma, body = uri[len(SCHEME) :].partition(",")
    media_type, semicolon, last = head.rpartition(";")
    try:
        octets = urllib.parse.unquote_to_bytes(body)
        if semicolon and last.strip().lower() == "base64":
            octets = binascii.a2b_base64(octets + b"=" * (-len(octets) % 4), strict_mode=True)
        else:
            media_type = head
    except (binascii.Error, ValueError):
        return None
    return Data(_said_type(media_type.strip()), octets) if comma else None


def _said_type(text: str) -> str:
    """Return the media type in a `data:` URI, in a form that a Card may have."""
    media_type = f"{PLAIN}{text}" if text.startswith(";") else text or f"{PLAIN};charset=US-ASCII"
    return media_type if jscontact.MEDIA_TYPE.pattern.fullmatch(media_type) else UNKNOWN


def is_data(uri: Any) -> bool:
    """Say whether a value is a `data:` URI, damaged or not."""
    return isinstance(uri, str) and uri[: len(SCHEME)].lower() == SCHEME


@dataclass
class Packed:
    """The contents of `data:` URIs and of parts of blobs made ready to be stored, outside of the writer thread."""

    by_uri: dict[str, tuple[str, PackedBlob] | None] = field(default_factory=dict)
    by_part: dict[str, PackedBlob] = field(default_factory=dict)
    room: int = field(default_factory=lambda: MOST_PARTS_OCTETS)
    """Octets that are left for parts."""

    def add(self, value: Any, read: Callable[[str], bytes | None]) -> None:
        """Make ready all that any media in a value that a client has sent consists of.

        `read` returns what a blobId names, or None. Raises RequestTooLarge, and what `read` raises.
        """
        for name, one in _strings(value):
            if is_data(one):
                self.get(one)
            elif name == "blobId" and "-" in one and one not in self.by_part:
                octets = read(one)
                if octets is not None:
                    self.keep_part(one, octets)

    def get(self, uri: str) -> tuple[str, PackedBlob] | None:
        """Return the media type and the blob of a URI; None for one that is damaged."""
        if uri not in self.by_uri:
            data = parse_data(uri)
            self.by_uri[uri] = None if data is None else (data.media_type, blobs.pack(data.octets))
        return self.by_uri[uri]

    def keep_part(self, blob_id: str, octets: bytes) -> PackedBlob:
        """Return a part as a blob of its own. Raises RequestTooLarge."""
        self.spend(len(octets))
        self.by_part[blob_id] = blobs.pack(octets)
        return self.by_part[blob_id]

    def spend(self, octets: int) -> None:
        """Count octets of parts. Raises RequestTooLarge."""
        self.room -= octets
        if self.room < 0:
            raise RequestTooLarge(f"The parts of blobs in a call may have {MOST_PARTS_OCTETS} octets in all.")


def _strings(value: Any) -> Iterator[tuple[str, str]]:
    """Yield each string in a value, with the last name of the path to it."""
    left = [("", value)]
    while left:
        name, one = left.pop()
        if isinstance(one, dict):
            left.extend((path.rpartition("/")[2], inner) for path, inner in one.items())
        elif isinstance(one, str):
            yield name, one


@dataclass
class Settled:
    """A card's media as they are kept, and the keys of their blobs by id."""

    media: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)


def settle(
    tx: Transaction, accounts: Sequence[int], card: Mapping[str, Any], before: Mapping[str, Any], packed: Packed
) -> Settled:
    """Make `data:` URIs of a card's media blobs, and find each blob and see that it is of a type that will do.

    `accounts` are those in which a blob may be, the card's own first; what is as `before` is not looked at again.
    A URI that a localization replaces stays one, or the patch would not fit any more. Raises SetError.
    """
    settled = Settled()
    media, old_media = card.get("media") or {}, before.get("media") or {}
    patched = {path for patch in (card.get("localizations") or {}).values() for path in patch}
    for name, one in media.items():
        old = old_media.get(name) or {}
        kept, place = one, f"media/{name}"
        if f"{place}/uri" in patched and "uri" in one:
            look(tx, accounts, one, f"{place}/uri")
        elif one != old or "uri" in one:
            is_other = (one.get("blobId"), one.get("uri")) != (old.get("blobId"), old.get("uri"))
            kept = _settle_one(tx, accounts, place, one, old.get("mediaType") if is_other else None, packed)
        settled.media[name] = kept
        if "blobId" in kept:
            settled.keys[kept["blobId"]] = stored_key(tx, kept["blobId"])
    return settled


def stored_key(tx: Transaction, blob_id: str) -> int:
    """Return the key of a blob that is there, whosever it is."""
    return int(tx.value("SELECT key FROM blob WHERE digest = ?", (blobs.digest_of(blob_id),)))


def look(tx: Transaction, accounts: Sequence[int], one: Mapping[str, Any], path: str) -> int | None:
    """Check a Media object that stays as it is, and return the key of its blob. `path` is told in a SetError."""
    if "blobId" in one:
        blob_id = one["blobId"]
        key = next((key for account in accounts if (key := blobs.find(tx, account, blob_id)) is not None), None)
        if key is None and any(blobs.whole_of(tx, account, blob_id) for account in accounts):
            raise invalid_properties(f"“{path}”: a part of a blob can't stay one: upload it.", path)
        if key is None:
            raise _no_blob(blob_id, path)
        _type_of(_file(tx, key), one, path, path)
        return key
    data = parse_data(one["uri"])
    if data is not None:
        _type_of(_File(len(data.octets), data.octets[:HEAD], data.media_type), one, path, path)
    return None


def _no_blob(blob_id: str, path: str) -> SetError:
    return invalid_properties(f"“{path}”: there is no blob “{blob_id[:64]}”.", path)


def _settle_one(
    tx: Transaction,
    accounts: Sequence[int],
    place: str,
    one: dict[str, Any],
    old_type: str | None,
    packed: Packed,
) -> dict[str, Any]:
    types = f"{place}/mediaType"
    if "blobId" in one:
        path = f"{place}/blobId"
        found = next((found for account in accounts if (found := _find(tx, account, one["blobId"], packed))), None)
        if found is None:
            raise _no_blob(one["blobId"], path)
        key, blob_id = found
        return {**one, "blobId": blob_id, "mediaType": _type_of(_file(tx, key), one, path, types, old_type)}
    content = packed.get(one["uri"]) if is_data(one["uri"]) else None
    if content is None:
        return one
    said, blob = content
    file = _file(tx, blobs.store(tx, blob), said)
    kept = {("blobId" if member == "uri" else member): value for member, value in one.items()}
    media_type = _type_of(file, one, f"{place}/uri", types, old_type)
    return {**kept, "blobId": blob.blob_id, "mediaType": media_type}


def _find(tx: Transaction, account: int, blob_id: str, packed: Packed) -> tuple[int, str] | None:
    """Return a blob's key and id; the decoded range of a blob becomes a blob of its own. Raises RequestTooLarge."""
    key = blobs.find(tx, account, blob_id)
    if key is not None:
        return key, blob_id
    found = blobs.whole_of(tx, account, blob_id)
    if found is None:
        return None
    part = packed.by_part.get(blob_id)
    if part is None:
        packed.spend(blobs.size(tx, found[0]))
        octets = blobs.decoded_range(blobs.read(tx, found[0]), found[1])
        if octets is None:
            return None
        part = packed.keep_part(blob_id, octets)
    return blobs.store(tx, part), part.blob_id


@dataclass(frozen=True)
class _File:
    """What is to be seen of a file: its size, its first octets, and the type that its `data:` URI says."""

    size: int
    head: bytes
    said: str = UNKNOWN


def _file(tx: Transaction, key: int, said: str = UNKNOWN) -> _File:
    return _File(blobs.size(tx, key), blobs.head(tx, key, HEAD), said)


def _type_of(file: _File, one: Mapping[str, Any], path: str, type_path: str, old_type: str | None = None) -> str:
    """Return the media type of a file, if it will do for what it is to be (RFC 9610 §3.5).

    A `mediaType` that is still that of the file before counts only where the new one's octets tell nothing.
    """
    if file.size > MOST_MEDIA_OCTETS:
        raise SetError(SetError.TOO_LARGE, f"“{path}” may have at most {MOST_MEDIA_OCTETS} octets.")
    seen = sniff(file.head)
    given = one.get("mediaType")
    if given == old_type and seen is not None:
        given = None
    if one["kind"] in IMAGES:
        if seen is None or not _is_image(seen):
            raise invalid_properties(f"“{path}” is not of a type of image that is known here.", path)
        if not _is_image(given or seen):
            raise invalid_properties(f"“{type_path}” must be a type of image.", type_path)
        return str(given or (file.said if _is_image(file.said) else seen))
    return str(given or (file.said if file.said != UNKNOWN else seen or UNKNOWN))


def type_of_data(data: Data, one: Mapping[str, Any]) -> str | None:
    """Return the media type that what a `data:` URI holds is to have in a Media object; None if it won't do for one."""
    try:
        return _type_of(_File(len(data.octets), data.octets[:HEAD], data.media_type), one, "uri", "mediaType")
    except SetError:
        return None


def _is_image(media_type: str) -> bool:
    return media_type.lower().startswith("image/")


def blob_ids(cards: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the blobs that a card refers to, in all its languages."""
    return {one["blobId"] for card in cards for one in (card.get("media") or {}).values() if "blobId" in one}


def inline(reader: Reader, account: int, card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a card with `data:` URIs in the place of blobs, for a format that knows no blobs. Holds all of them."""
    media = card.get("media")
    if not media:
        return dict(card)
    return {**card, "media": {name: _inlined(reader, account, one) for name, one in media.items()}}


def _inlined(reader: Reader, account: int, one: dict[str, Any]) -> dict[str, Any]:
    octets = blobs.open_blob(reader, account, one["blobId"]) if "blobId" in one else None
    if octets is None:
        return one
    uri = f"data:{one.get('mediaType', UNKNOWN)};base64,{base64.b64encode(octets).decode()}"
    return {
        ("uri" if member == "blobId" else member): uri if member == "blobId" else value for member, value in one.items()
    }
