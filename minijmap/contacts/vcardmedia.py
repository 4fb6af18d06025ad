"""Where in a file the photos, logos and sounds of its vCards stand: each is a part of the file's blob (RFC 9610 §3).

What is found is checked octet for octet, so that an unusual form of the file costs no more than the `data:` URI that
the Card has anyway. Must not know a request, nor how a card is stored.
"""

import bisect
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

from minijmap.contacts import media
from minijmap.contacts.vcardlines import Line
from minijmap.store import blobs

MOST_ID: Final = 255
"""Characters of an Id (RFC 8620 §1.2)."""
BASE64: Final = "b"
"""The encoding of a part (see `blobs.range_id`)."""
NAMES: Final = frozenset(("PHOTO", "LOGO", "SOUND"))
_DATA: Final = re.compile(r"data:[^,]*;base64,([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_WHITE: Final = b" \t\r\n"
_SMALL: Final = 256
_WINDOW: Final = 1 << 16
_HEAD: Final = 10_000
"""Octets that the name and the parameters of a line may have, and its folds besides."""


class MediaPlaces:
    """The media of one file. `octets` are those of the blob `blob_id`."""

    def __init__(self, blob_id: str, octets: bytes) -> None:
        self._blob_id = blob_id
        self._octets = octets

    def with_blobs(self, card: dict[str, Any], lines: Sequence[Line]) -> dict[str, Any]:
        """Return a Card of the file with a `blobId` in place of each `data:` URI that can be a part of the blob.

        `lines` are those that the Card was made of. A URI that a localization replaces stays one, as everywhere.
        """
        there: Mapping[str, Any] = card.get("media") or {}
        if not any(media.is_data(one.get("uri")) for one in there.values()):
            return card
        patched = {path for patch in (card.get("localizations") or {}).values() for path in patch}
        numbers = {_content(line): line.number for line in lines if line.name in NAMES}
        made = {
            name: one if f"media/{name}/uri" in patched else self._with_blob(one, numbers)
            for name, one in there.items()
        }
        return {**card, "media": made}

    def _with_blob(self, one: dict[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
        found = _DATA.fullmatch(one.get("uri", ""))
        data = media.parse_data(found[0]) if found and found[1] in numbers else None
        media_type = media.type_of_data(data, one) if data else None
        place = self._place(numbers[found[1]], found[1].encode()) if found and media_type else None
        if place is None:
            return one
        blob_id = blobs.range_id(self._blob_id, place[0], place[1] - place[0], BASE64)
        if len(blob_id) > MOST_ID:
            return one
        kept = {("blobId" if member == "uri" else member): value for member, value in one.items()}
        return {**kept, "blobId": blob_id, "mediaType": media_type}

    def _place(self, number: int, content: bytes) -> tuple[int, int] | None:
        """Return where base64 begins and ends, folded as it may be, in the line that begins with this number."""
        if number > len(self._starts):
            return None
        start = self._starts[number - 1]
        region = self._octets[start : start + 2 * len(content) + _HEAD].translate(None, _WHITE)
        at = region.find(content)
        if at < 0:
            return None
        first = self._index(start, at)
        return first, self._index(first, len(content) - 1) + 1

    def _index(self, start: int, count: int) -> int:
        """Return where, from an index on, that octet is before which `count` others are, of those that are no white."""
        while True:
            window = self._octets[start : start + min(2 * count + _SMALL, _WINDOW)]
            dark = len(window.translate(None, _WHITE))
            if count < dark:
                break
            count, start = count - dark, start + len(window)

        def seen(end: int) -> int:
            return len(window[:end].translate(None, _WHITE))

        return start + bisect.bisect_right(range(len(window) + 1), count, key=seen) - 1

    @cached_property
    def _starts(self) -> list[int]:
        """Where each line as it stands begins."""
        return [0, *accumulate(map(len, self._octets.splitlines(keepends=True)))]


def _content(line: Line) -> str:
    """Return the base64 that a line has, if it has any."""
    return "".join(line.value.rpartition(",")[2].split())
