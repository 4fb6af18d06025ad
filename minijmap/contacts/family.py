"""What contacts bring to the engine: their capability, types and tables."""

from minijmap.contacts.addressbook import AddressBookType
from minijmap.contacts.capability import contacts_capability
from minijmap.contacts.card import ContactCardType
from minijmap.contacts.schema import CONTACTS_MIGRATIONS
from minijmap.jmap.methods import Family


def family() -> Family:
    """Return the family."""
    return Family(
        capabilities=(contacts_capability(),),
        types=(AddressBookType(), ContactCardType()),
        migrations=CONTACTS_MIGRATIONS,
    )
