"""Importing vCards into an account: in batches, safe to repeat, in flat memory.

The uid says whether a card is there. One that is there and says the same is left alone; one that says something else is
replaced where the file's is newer, or where the caller wants that. Each batch is one transaction, so whatever was
counted as imported is on disk. Must not know how a vCard is written (`vcardfile`, `vcardtocard`), nor how progress is
shown.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from minijmap.contacts import addressbook, cards, media
from minijmap.contacts.carddifferences import plain
from minijmap.contacts.vcardfile import BrokenCard, RawCard, read_cards
from minijmap.contacts.vcardlines import VCardError
from minijmap.contacts.vcardtocard import card_of
from minijmap.jmap import dates
from minijmap.jmap.errors import RequestTooLarge, SetError
from minijmap.mail.importing import Progress
from minijmap.store import documents
from minijmap.store.database import Database, Transaction
from minijmap.store.usage import OverQuota

BATCH_CARDS: Final = 100
BATCH_OCTETS: Final = 4_000_000
LONGEST_SHOWN: Final = 64
NOT_CONTENT: Final = frozenset((*cards.OWN, "updated", "prodId"))
"""What may differ between cards that say the same: when, and by which program, they were written."""


@dataclass(frozen=True)
class Wish:
    """What becomes of the cards of a file."""

    book: str | None = None
    """The name of the AddressBook for new ones, made if it is not there; None is the default one."""
    replace: bool = False
    """Whether a card that is there is replaced even if the file's is not newer."""


def import_cards(database: Database, account: int, path: Path, wish: Wish, now: int) -> Iterator[Progress]:
    """Import the vCards of a file batch by batch. `now` is in milliseconds.

    Nothing is raised for what is in the file, nor for one that can't be read: it becomes a failure, with the number of
    its line.
    """
    for batch in _batches(path):
        done = database.write(_storing(account, batch, wish, now)) if batch.items else _Done()
        progress = Progress(
            done.imported, done.already_there, [*batch.failures, *done.failures], batch.octets, done.notes
        )
        del batch  # it may have photos in it, and the next is read before it would be let go
        yield progress


# Reading


@dataclass(frozen=True)
class _Item:
    """A card of a file, checked, and where it stands."""

    where: str
    card: dict[str, Any]


@dataclass
class _Batch:
    """What was read and is not stored yet."""

    items: list[_Item] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    packed: media.Packed = field(default_factory=media.Packed)
    octets: int = 0

    def add(self, path: Path, raw: RawCard | BrokenCard) -> None:
        """Take a card, or tell why it is none."""
        self.octets += raw.octets
        if isinstance(raw, BrokenCard):
            self.failures.append((f"{path}:{raw.number}", raw.sentence))
            return
        try:
            card = card_of(raw.lines, raw.number)
            raw.lines.clear()  # a photo's is larger than the photo
        except VCardError as error:
            self.failures.append((f"{path}:{error.line}", error.sentence))
            return
        for one in (card.get("media") or {}).values():
            if media.is_data(one.get("uri")):
                self.packed.get(one["uri"])
        self.items.append(_Item(f"{path}:{raw.number}", card))

    def is_full(self) -> bool:
        """Say whether it is time to store it."""
        return len(self.items) + len(self.failures) >= BATCH_CARDS or self.octets >= BATCH_OCTETS


def _batches(path: Path) -> Iterator[_Batch]:
    batch = _Batch()
    try:
        with path.open("rb") as file:
            for raw in read_cards(file):
                batch.add(path, raw)
                if batch.is_full():
                    yield batch
                    batch = _Batch()
    except OSError as error:
        batch.failures.append((str(path), f"{error.strerror or error}."))
    if batch.octets or batch.failures:
        yield batch


# Storing


@dataclass
class _Done:
    """What became of the cards of a batch."""

    imported: int = 0
    already_there: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


class _Refused(Exception):
    """A card can't be stored. The text is a sentence."""


@dataclass(frozen=True)
class _Target:
    """Where cards go."""

    tx: Transaction
    account: int
    wish: Wish
    now: int

    def book(self) -> int:
        """Return the AddressBook for new cards. Raises SetError when there are too many."""
        if self.wish.book is None:
            return addressbook.default_book(self.tx, self.account)
        key = addressbook.find_book(self.tx, self.account, self.wish.book)
        return addressbook.make_book(self.tx, self.account, self.wish.book) if key is None else key

    def take(self, item: _Item, packed: media.Packed, done: _Done) -> None:
        """Store a card, unless what is there should stay. Raises _Refused and OverQuota."""
        card = item.card
        key = cards.find_card(self.tx, self.account, card["uid"])
        before = None if key is None else documents.load(self.tx, cards.CARDS, self.account, key)
        if before is not None and _says_the_same(card, before, packed):
            done.already_there += 1
        elif before is not None and not (self.wish.replace or _is_newer(card, before)):
            done.already_there += 1
            done.notes.append((item.where, f"{shown(card)} differs from the card that is there, which stays."))
        else:
            self._put(key, card, packed)
            done.imported += 1

    def _put(self, key: int | None, card: Mapping[str, Any], packed: media.Packed) -> None:
        tx, account, now = self.tx, self.account, self.now
        try:
            if key is None:
                cards.add_card(tx, account, card, [self.book()], now, packed, is_checked=True)
            else:
                cards.update_card(tx, account, key, card, now, packed, is_checked=True)
        except (SetError, RequestTooLarge) as error:
            raise _Refused(error.description or error.type) from None
        except OverQuota as error:
            raise _Refused(f"there is no room for it. {error}") from None


def _storing(account: int, batch: _Batch, wish: Wish, now: int) -> Callable[[Transaction], _Done]:
    """Return the job that stores a batch.

    FTS5 writes out what it has at each savepoint: with one for each card a batch took half as long again (408 µs a card
    against 278). So there is one for all, and one for each only where that failed.
    """

    def job(tx: Transaction) -> _Done:
        target, done = _Target(tx, account, wish, now), _Done()
        try:
            with tx.savepoint():
                for item in batch.items:
                    target.take(item, batch.packed, done)
        except _Refused:
            return one_by_one(tx)
        return done

    def one_by_one(tx: Transaction) -> _Done:
        target, done = _Target(tx, account, wish, now), _Done()
        for item in batch.items:
            try:
                with tx.savepoint():
                    target.take(item, batch.packed, done)
            except _Refused as refused:
                done.failures.append((item.where, f"{shown(item.card)}: {refused}"))
        return done

    return job


# Comparing


def _says_the_same(card: Mapping[str, Any], before: Mapping[str, Any], packed: media.Packed) -> bool:
    """Say whether a Card of a file is the one that is there."""
    ours = {name: value for name, value in before.items() if name in card or name != "created"}
    theirs = {**card, "media": _as_kept(card["media"], before.get("media") or {}, packed)} if "media" in card else card
    return _content(ours) == _content(theirs)


def _as_kept(
    theirs: Mapping[str, Mapping[str, Any]], ours: Mapping[str, Mapping[str, Any]], packed: media.Packed
) -> dict[str, Any]:
    """Return the media of a file's Card with the blobs that their `data:` URIs have become, where they are there."""
    return {name: _one_as_kept(one, ours.get(name) or {}, packed) for name, one in theirs.items()}


def _one_as_kept(theirs: Mapping[str, Any], ours: Mapping[str, Any], packed: media.Packed) -> Mapping[str, Any]:
    content = packed.get(theirs["uri"]) if "blobId" in ours and media.is_data(theirs.get("uri")) else None
    if content is None or content[1].blob_id != ours["blobId"]:
        return theirs
    told = {name: value for name, value in theirs.items() if name != "uri"}
    return {"mediaType": ours["mediaType"], **told, "blobId": ours["blobId"]}


def _content(card: Mapping[str, Any]) -> bytes:
    told = plain({name: value for name, value in card.items() if name not in NOT_CONTENT})
    # As octets, because 1 and true are not the same there.
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


def _is_newer(card: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    said = card.get("updated")
    return said is not None and dates.parse_utc_date(said) > dates.parse_utc_date(before["updated"])


def shown(card: Mapping[str, Any]) -> str:
    """Return what a person knows a card by, in quotes."""
    name = card.get("name") or {}
    parts = " ".join(part["value"] for part in name.get("components") or () if part["kind"] != "separator")
    others = (
        one.get(member, "")
        for place, member in (("organizations", "name"), ("nicknames", "name"), ("emails", "address"))
        for one in (card.get(place) or {}).values()
    )
    text = next((one for one in (name.get("full", ""), parts, *others) if one.strip()), card["uid"]).strip()
    return f"“{text[:LONGEST_SHOWN]}{'…' if len(text) > LONGEST_SHOWN else ''}”"
