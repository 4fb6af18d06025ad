"""The parts that a blob is put together of: UploadObject and DataSourceObject (RFC 9404 §4.1).

Owns their form: nothing is guessed, and what is wrong is said by its place. Pure functions.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minijmap.blob.capability import MOST_SOURCES
from minijmap.jmap.errors import SetError, invalid_properties
from minijmap.jmap.values import Id, Nullable, String, ValueProblem, unsigned_int

MEMBERS = ("data:asText", "data:asBase64", "blobId", "offset", "length")
KINDS = MEMBERS[:3]
TYPE = Nullable(String(most_octets=255))
POSITION = Nullable(unsigned_int())


@dataclass(frozen=True)
class Range:
    """Octets of another blob; `length` is None for all that is left of it."""

    blob_id: str
    offset: int
    length: int | None

    def of(self, octets: bytes) -> bytes | None:
        """Return them, or None if the blob has not got them all."""
        end = len(octets) if self.length is None else self.offset + self.length
        return octets[self.offset : end] if self.offset <= end <= len(octets) else None


@dataclass(frozen=True)
class Upload:
    """A blob to be made: its sources in order, and the type that the client gives."""

    sources: tuple[bytes | Range, ...]
    type: str | None


def read_upload(wanted: Mapping[str, Any]) -> Upload:
    """Check an UploadObject. Raises SetError."""
    unknown = [name for name in wanted if name not in ("data", "type")]
    if unknown:
        raise invalid_properties(f"An UploadObject has no property “{unknown[0][:64]}”.", *unknown)
    data = wanted.get("data")
    if not isinstance(data, list):
        raise invalid_properties("“data” must be an array of DataSourceObjects.", "data")
    if len(data) > MOST_SOURCES:
        raise invalid_properties(f"A blob may have {MOST_SOURCES} sources, and this has {len(data)}.", "data")
    try:
        media_type = TYPE.check(wanted.get("type"))
    except ValueProblem as problem:
        raise invalid_properties(f"“type” {problem.sentence}.", "type") from None
    return Upload(tuple(_source(one, f"data/{index}") for index, one in enumerate(data)), media_type)


def _source(value: Any, place: str) -> bytes | Range:
    if not isinstance(value, dict):
        raise _wrong(place, "must be an object")
    unknown = [name for name in value if name not in MEMBERS]
    if unknown:
        raise _wrong(place, f"has no member “{unknown[0][:64]}”")
    said = {name: one for name, one in value.items() if one is not None}
    given = [name for name in KINDS if name in said]
    if len(given) != 1:
        raise _wrong(place, f"must have exactly one of {', '.join(KINDS)}")
    if given == ["blobId"]:
        return _range(said, place)
    if len(said) > 1:
        raise _wrong(place, "may have offset and length only together with a blobId")
    text = said[given[0]]
    if not isinstance(text, str):
        raise _wrong(f"{place}/{given[0]}", "must be a String")
    return _text(text, place) if given == ["data:asText"] else _base64(text, place)


def _range(said: Mapping[str, Any], place: str) -> Range:
    name = "blobId"
    try:
        blob_id = Id().check(said["blobId"])
        name = "offset"
        offset = POSITION.check(said.get("offset"))
        name = "length"
        length = POSITION.check(said.get("length"))
    except ValueProblem as problem:
        raise _wrong(f"{place}/{name}", problem.sentence) from None
    return Range(blob_id, offset or 0, length)


def _text(text: str, place: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _wrong(f"{place}/data:asText", "is not valid UTF-8") from None


def _base64(text: str, place: str) -> bytes:
    """Decode base64 with its padding and nothing else between (RFC 4648 §3.2, §3.3)."""
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise _wrong(f"{place}/data:asBase64", "is not base64 with padding (RFC 4648 §4)") from None


def _wrong(place: str, sentence: str) -> SetError:
    return invalid_properties(f"“{place}” {sentence}.", "data")
