"""The lists that scripts can ask (RFC 6134 §2.5): the user's address book.

`urn:ietf:params:sieve:addrbook:default` has the mail addresses of all cards: whoever is in any AddressBook is known.
Must not know how cards are kept.
"""

from collections.abc import Iterator
from typing import Final

from minijmap.contacts import cards
from minijmap.mail.addressing import is_mailbox
from minijmap.store.database import Reader

SCHEMES: Final = ("urn",)
"""The URI schemes of lists (RFC 9661 §1.2.1, externalLists)."""


def is_list(uri: str) -> bool:
    """Say whether there is a list of that name."""
    # The capability names the schemes alone, and is there without the language.
    from minijmap.sieve.extlists import DEFAULT_BOOK, list_name

    return list_name(uri) == DEFAULT_BOOK


def is_member(reader: Reader, account: int, uri: str, value: str) -> bool:
    """Say whether an address of mail is in a list."""
    return is_list(uri) and cards.knows(reader, account, value)


def members(reader: Reader, account: int, uri: str) -> Iterator[str]:
    """Yield the addresses in a list, each once."""
    known: set[str] = set()
    for stored in cards.cards(reader, account) if is_list(uri) else ():
        for email in stored.card.get("emails", {}).values():
            address = str(email.get("address", ""))
            if is_mailbox(address) and address.lower() not in known:
                known.add(address.lower())
                yield address
