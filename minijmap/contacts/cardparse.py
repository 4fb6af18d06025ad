"""ContactCard/parse: blobs looked at as vCards, without becoming ContactCards. An extension of our own.

It is CalendarEvent/parse (draft-ietf-jmap-calendars-26 §5.13) for contacts: same arguments, same answer. A Card in
`parsed` is what ContactCard/set takes once it has `addressBookIds`; `id` and `addressBookIds` are null where somebody
asks for them, and else not there. Its photo is as RFC 9610 §3 has it, a `blobId`: the part of the vCard's blob in which
it stands, to be downloaded for a preview, or given to ContactCard/set, which keeps it as a blob of its own. Where the
file has it in a form of which no part can be a blob (such as UTF-16), it stays the `data:` URI that vCard has.

A file is parsable if one card in it is. Besides the draft's members the answer has `brokenCards`: for each blob with
something that is no card, the `line` and a `description` of each, the first hundred of them.

Owns what that may cost. Must not know vCard, which is imported when somebody asks for the first time.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from minijmap.contacts.capability import PARSE
from minijmap.contacts.card import ContactCardType
from minijmap.jmap.blobreading import BlobReader
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.errors import InvalidArguments, RequestTooLarge
from minijmap.jmap.methods import Method
from minijmap.jmap.standard import ACCOUNT
from minijmap.jmap.values import Id, ListOf, Nullable, String

if TYPE_CHECKING:
    from minijmap.contacts.vcardfile import RawCard

# What all calls of a request may have together: some seconds of work.
MOST_CARDS: Final = 10_000
"""Cards, broken ones too."""
MOST_LINES: Final = 200_000
"""Lines of cards, each a property."""
MOST_OCTETS: Final = 60_000_000
"""Octets of files, the photos too."""
MOST_ANSWERED: Final = 50_000_000
"""Octets of the Cards in the answer."""
MOST_TOLD: Final = 100
"""Broken cards of a file that are told of."""
METADATA: Final = ("id", "addressBookIds")
"""What a ContactCard has beside a Card (RFC 9610 §3): null, since it is none yet."""

PARSE_ARGUMENTS: Final = {
    "accountId": ACCOUNT,
    "blobIds": Argument(ListOf(Id()), required=True),
    "properties": Argument(Nullable(ListOf(String(), most=1000))),
}


def parse_cards(call: Call) -> dict[str, Any]:
    """Answer ContactCard/parse. Raises RequestTooLarge for more than a request may have parsed."""
    arguments = call.arguments(PARSE_ARGUMENTS)
    access = call.access(arguments["accountId"])
    names = _names(arguments["properties"])
    blob_ids = list(dict.fromkeys(arguments["blobIds"]))
    limit = call.engine.limits.max_objects_in_get
    if len(blob_ids) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} blobs.")
    reader = BlobReader(call, access)
    parsed, broken, not_parsable, not_found = {}, {}, [], []
    for blob_id in blob_ids:
        octets = reader.octets(blob_id)
        if octets is None:
            not_found.append(blob_id)
            continue
        found = _read(call, blob_id, octets, names)
        if found.cards:
            parsed[blob_id] = orjson.Fragment(b"[" + b",".join(found.cards) + b"]")
        else:
            not_parsable.append(blob_id)
        if found.broken:
            broken[blob_id] = found.broken
    return {
        "accountId": access.account_id,
        "parsed": parsed or None,
        "notParsable": not_parsable or None,
        "notFound": not_found or None,
        "brokenCards": broken or None,
    }


def _names(asked: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the properties that are asked for; None for all that there are. Raises InvalidArguments."""
    if asked is None:
        return None
    wrong = ContactCardType().check_properties(asked)
    if wrong is not None:
        raise InvalidArguments(f"ContactCard has no property “{wrong}”.", arguments=["properties"])
    return tuple(dict.fromkeys(asked))


@dataclass
class _Found:
    """What is in a file: Cards as JSON, which is smaller than what Python makes of it, and what is no card."""

    cards: list[bytes] = field(default_factory=list)
    broken: list[dict[str, Any]] = field(default_factory=list)

    def add_broken(self, line: int, sentence: str) -> None:
        """Tell of what is no card."""
        if len(self.broken) < MOST_TOLD:
            self.broken.append({"line": line, "description": sentence[:1].upper() + sentence[1:]})


def _read(call: Call, blob_id: str, octets: bytes, names: Sequence[str] | None) -> _Found:
    """Read a file, one card after the other. Raises RequestTooLarge."""
    from minijmap.contacts.vcardfile import BrokenCard, read_cards
    from minijmap.contacts.vcardlines import VCardError
    from minijmap.contacts.vcardmedia import MediaPlaces

    found, places = _Found(), MediaPlaces(blob_id, octets)
    _spend(call, "octets", len(octets), MOST_OCTETS)
    for raw in read_cards(io.BytesIO(octets)):
        _spend(call, "cards", 1, MOST_CARDS)
        if isinstance(raw, BrokenCard):
            found.add_broken(raw.number, raw.sentence)
            continue
        try:
            shown = _shown(call, raw, places, names)
        except VCardError as error:
            found.add_broken(error.line, error.sentence)
        else:
            found.cards.append(shown)
    return found


def _shown(call: Call, raw: "RawCard", places: Any, names: Sequence[str] | None) -> bytes:
    """Return a Card as the answer has it. Raises VCardError or RequestTooLarge."""
    from minijmap.contacts.vcardtocard import card_of

    _spend(call, "lines", len(raw.lines), MOST_LINES)
    card = card_of(raw.lines, raw.number)
    if names is None or "media" in names:
        card = places.with_blobs(card, raw.lines)
    if names is not None:
        card = {name: card.get(name) for name in names if name in card or name in METADATA}
    shown = orjson.dumps(card)
    _spend(call, "octets of cards", len(shown), MOST_ANSWERED)
    return shown


def _spend(call: Call, what: str, count: int, most: int) -> None:
    """Count what a request has parsed. Raises RequestTooLarge."""
    name = f"{call.name}: {what}"
    call.spent[name] += count
    if call.spent[name] > most:
        raise RequestTooLarge(f"A request may have at most {most} {what} parsed by {call.name}.")


CARD_PARSE: Final = Method("ContactCard/parse", PARSE, parse_cards)
