"""What contacts bring to the engine: their capabilities, types, methods and tables."""

from minijmap.contacts.addressbook import AddressBookType
from minijmap.contacts.capability import contacts_capability, parse_capability
from minijmap.contacts.card import ContactCardType
from minijmap.contacts.cardparse import CARD_PARSE
from minijmap.contacts.schema import CONTACTS_MIGRATIONS
from minijmap.jmap.methods import Family


def family() -> Family:
    """Return the family."""
    return Family(
        capabilities=(contacts_capability(), parse_capability()),
        types=(AddressBookType(), ContactCardType()),
        methods=(CARD_PARSE,),
        migrations=CONTACTS_MIGRATIONS,
    )
