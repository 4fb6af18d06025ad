"""The capabilities of contacts, and the limits that they announce or stand for (RFC 9610 §1.4.1)."""

from collections.abc import Mapping
from typing import Any, Final

from minijmap.jmap.session import Access, Capability

CONTACTS: Final = "urn:ietf:params:jmap:contacts"
PARSE: Final = "urn:x-minijmap:contacts:parse"
"""ContactCard/parse, an extension of our own: what CalendarEvent/parse of JMAP Calendars is to iCalendar."""

MOST_BOOKS: Final = 1000
"""AddressBooks of an account."""
MOST_BOOKS_PER_CARD: Final = 100
LONGEST_BOOK_NAME: Final = 255
LONGEST_DESCRIPTION: Final = 10_000
MOST_CARD_OCTETS: Final = 1_000_000
"""Octets of a card as JSON, without its media, which are blobs."""
MOST_MEDIA_OCTETS: Final = 25_000_000
"""Octets of a photo, logo or sound."""


def contacts_capability() -> Capability:
    """Return the capability."""

    def describe(access: Access) -> Mapping[str, Any]:
        return {"maxAddressBooksPerCard": MOST_BOOKS_PER_CARD, "mayCreateAddressBook": not access.is_read_only}

    return Capability(CONTACTS, {}, describe)


def parse_capability() -> Capability:
    """Return the capability of ContactCard/parse, in the form of `urn:ietf:params:jmap:calendars:parse`."""
    return Capability(PARSE, {}, lambda _: {})
