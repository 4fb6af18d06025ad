"""Blobs as method calls read them: each once, and in a request no more octets than there is a bound for.

A blob id may name the decoded range of a blob, so that a single octet can cost the reading of a large message. Owns
what that costs. Must not know what a blob is read for.
"""

from minijmap.jmap.call import Call
from minijmap.jmap.errors import RequestTooLarge
from minijmap.jmap.session import Access
from minijmap.store import blobs

MOST_READ = 1_000_000_000
"""Octets that the calls of one request may have read, decoded and digested: some seconds of work."""
MOST_KEPT = 100_000_000
"""Octets of blobs that a call keeps at hand."""
READ = "octets read"


class TooMuchToRead(RequestTooLarge):
    """The request has read as much as one may."""


class BlobReader:
    """Reads blobs of an account for one call. Raises TooMuchToRead."""

    def __init__(self, call: Call, access: Access) -> None:
        self._call = call
        self._account = access.account
        self._kept: dict[int, bytes] = {}
        self._kept_octets = 0
        self._last: tuple[str, bytes | None] = ("", None)
        """The last range that was decoded."""

    def spend(self, octets: int) -> None:
        """Count octets that are about to be looked at."""
        self._call.spent[READ] += octets
        if self._call.spent[READ] > MOST_READ:
            raise TooMuchToRead(f"A request may have {MOST_READ} octets of blobs read.")

    def key(self, blob_id: str) -> int | None:
        """Return the key of a blob that is no range of another, or None."""
        return blobs.find(self._call.reader(), self._account, blob_id)

    def size(self, blob_id: str) -> int | None:
        """Return a blob's size in octets, without reading it where that can be; None if there is no such blob."""
        key = self.key(blob_id)
        if key is not None:
            return blobs.size(self._call.reader(), key)
        octets = self.octets(blob_id)
        return None if octets is None else len(octets)

    def octets(self, blob_id: str) -> bytes | None:
        """Return a blob's octets; None if there is no such blob."""
        found = blobs.whole_of(self._call.reader(), self._account, blob_id)
        if found is None:
            return None
        key, inner = found
        whole = self._whole(key)
        if not inner:
            return whole
        if self._last[0] != blob_id:
            self.spend(min(blobs.range_octets(inner), len(whole) * inner.count("-")))
            self._last = (blob_id, blobs.decoded_range(whole, inner))
        return self._last[1]

    def _whole(self, key: int) -> bytes:
        if key not in self._kept:
            reader = self._call.reader()
            size = blobs.size(reader, key)
            self.spend(size)
            if self._kept_octets + size > MOST_KEPT:
                self._kept.clear()
                self._kept_octets = 0
            self._kept[key] = blobs.read(reader, key)
            self._kept_octets += size
        return self._kept[key]
