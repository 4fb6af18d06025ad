"""The files of an exported folder: read with a limit, and stored as blobs of the account that gets them.

Must not know which objects refer to them.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from minijmap.portable.exporting import BLOBS
from minijmap.store import blobs
from minijmap.store.database import Database, Transaction

BLOB_ID: Final = "blobId"


class BadFile(Exception):
    """A file can't be read, or is not what it was. The text is a sentence."""


def read_file(path: Path, most_octets: int) -> bytes:
    """Return a file's octets. Raises BadFile."""
    try:
        with path.open("rb") as file:
            octets = file.read(most_octets + 1)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror or error}.") from None
    if len(octets) > most_octets:
        raise BadFile(f"{path}: it has more than {most_octets} octets.")
    return octets


class Blobs:
    """The folder's blobs, on their way into an account."""

    def __init__(self, database: Database, account: int, folder: Path, most_octets: int) -> None:
        self._database = database
        self._account = account
        self._folder = folder / BLOBS
        self._most_octets = most_octets

    def read(self, blob_id: str) -> bytes:
        """Return a blob's octets. Raises BadFile."""
        path = self._folder / blob_id
        octets = read_file(path, self._most_octets)
        if blobs.pack(octets).blob_id != blob_id:
            raise BadFile(f"{path}: these are not the octets that were exported.")
        return octets

    def upload(self, value: Any) -> None:
        """Store all blobs that an object refers to, as uploads: it can be created then. Raises BadFile."""
        packed = [blobs.pack(self.read(one)) for one in dict.fromkeys(_referred(value))]
        now = int(time.time() * 1000)

        def job(tx: Transaction) -> None:
            for one in packed:
                blobs.add_upload(tx, blobs.store(tx, one), self._account, now)

        if packed:
            self._database.write(job)


def _referred(value: Any) -> Iterator[str]:
    """Yield the ids of blobs in an object, however deep; a name may be the path of a patch that ends there."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            for name, inner in one.items():
                if name.rpartition("/")[2] == BLOB_ID and isinstance(inner, str) and blobs.digest_of(inner):
                    yield inner
                left.append(inner)
        elif isinstance(one, list):
            left.extend(one)
