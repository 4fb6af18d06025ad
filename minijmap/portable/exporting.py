"""Writing an account into a folder: its messages, address books, files, and account.json, which tells of all of it.

All is read in one snapshot, whatever happens to the account meanwhile. account.json gets its name last: a folder
without it is an export that was broken off. Must not know how progress is shown.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from minijmap.jmap import dates
from minijmap.jmap.call import Snapshot, snapshot_of
from minijmap.jmap.datatype import DataType
from minijmap.jmap.engine import Engine
from minijmap.jmap.session import Login, login_of
from minijmap.portable import filenames, verbs
from minijmap.portable.accountfile import LARGE, Writer
from minijmap.store import accounts, blobs, usage
from minijmap.store.accounts import User
from minijmap.store.database import Database

if TYPE_CHECKING:
    from minijmap.contacts.cardtovcard import Version

MAIL: Final = "mail"
CONTACTS: Final = "contacts"
BLOBS: Final = "blobs"
EMAIL: Final = "Email"


class CannotExport(Exception):
    """The folder won't do. The text is a sentence."""


def size(database: Database, user: User) -> int:
    """Return how many octets `export` will about tell of."""
    with database.read() as reader:
        return usage.used(reader, user.account, usage.OCTETS)


def export(
    engine: Engine, user: User, folder: Path, progress: Callable[[int], None], version: "Version" = "4.0"
) -> int:
    """Write the account of a user into a folder that is empty or not there, and return how many objects it has.

    `version` is that of the vCards in which the address books are told to other programs.

    `progress` is told the octets of messages and other blobs as they are written. Raises CannotExport and OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CannotExport(f"{folder} is not empty: name a folder that is, or one that is not there yet.")
    with snapshot_of(engine.database) as snapshot:
        return _Export(engine, user, folder, snapshot, progress, version).run()


def email_file(folders: Mapping[str, str], email: Mapping[str, Any]) -> str | None:
    """Return the path of an Email's message, in the folder of its first Mailbox; None if no Mailbox has one."""
    inside = next((folders[one] for one in email["mailboxIds"] if one in folders), None)
    return None if inside is None else f"{MAIL}/{inside}/{email['id']}.eml"


class _Export:
    """One export under way."""

    def __init__(
        self,
        engine: Engine,
        user: User,
        folder: Path,
        snapshot: Snapshot,
        progress: Callable[[int], None],
        version: "Version",
    ) -> None:
        self._engine = engine
        self._user = user
        self._folder = folder
        self._snapshot = snapshot
        self._progress = progress
        self._version = version
        self._folders = filenames.folders(self._objects(engine.types["Mailbox"]))
        self._count = 0

    def run(self) -> int:
        """Write everything; return the number of objects."""
        for path in (*sorted(f"{MAIL}/{one}" for one in self._folders.values()), CONTACTS, BLOBS):
            (self._folder / path).mkdir(parents=True, exist_ok=True)
        writer = Writer(self._folder, self._members())
        try:
            # Large types come last, and each after those that it refers to.
            for data_type in sorted(self._engine.types.values(), key=lambda one: one.name in LARGE):
                if "get" in data_type.verbs:
                    writer.write(data_type.name, self._told(data_type))
            self._write_books()
            for blob_id in blobs.held(self._snapshot.reader(), self._user.account, besides=EMAIL):
                self._write_blob(f"{BLOBS}/{blob_id}", blob_id)
            writer.finish()
        finally:
            writer.close()
        return self._count

    def _members(self) -> Mapping[str, Any]:
        """Return what account.json tells about the export."""
        return {
            "address": self._user.address,
            "name": self._user.name,
            "exportedAt": dates.format_utc_date(int(self._engine.clock()) * 1000),
            "folders": self._folders,
        }

    def _told(self, data_type: DataType) -> Iterator[dict[str, Any]]:
        """Yield the objects of a type; the message of an Email is written when its turn comes."""
        for one in self._objects(data_type):
            if data_type.name == EMAIL:
                path = email_file(self._folders, one)
                if path is not None:
                    self._write_blob(path, one["blobId"])
            self._count += 1
            yield one

    def _objects(self, data_type: DataType) -> Iterator[dict[str, Any]]:
        for login in self._logins() if data_type.of_credential else [login_of(self._user)]:
            for page in verbs.objects(self._engine, login, self._snapshot, data_type):
                yield from page

    def _logins(self) -> list[Login]:
        """Return all that the user may be signed in by: some objects belong to that (RFC 8620 §7.2)."""
        keys = accounts.credentials(self._snapshot.reader(), self._user)
        return [replace(login_of(self._user), credential=key) for key in keys]

    def _write_blob(self, path: str, blob_id: str) -> None:
        octets = blobs.open_blob(self._snapshot.reader(), self._user.account, blob_id)
        if octets is not None:
            (self._folder / path).write_bytes(octets)
            self._progress(len(octets))

    def _write_books(self) -> None:
        """Write each AddressBook as vCards, for other programs."""
        from minijmap.contacts import addressbook, cards, media
        from minijmap.contacts.cardtovcard import vcard_of

        reader, account = self._snapshot.reader(), self._user.account
        books = addressbook.books(reader, account)
        names = filenames.file_names((str(key), name) for key, name in books)
        for key, _ in books:
            with (self._folder / CONTACTS / f"{names[str(key)]}.vcf").open("wb") as file:
                for stored in cards.cards(reader, account, key):
                    file.write(vcard_of(media.inline(reader, account, stored.card), self._version))
