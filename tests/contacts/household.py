"""What the tests of contacts share: short ways to make, read and check cards through the real engine."""

import base64
import json
import struct
import zlib

from minijmap.contacts import addressbook, cards
from minijmap.contacts.check import problems
from minijmap.jmap.session import Access, Login, account_id
from minijmap.store import accounts, blobs
from minijmap.store.accounts import User
from tests.conftest import CORE

CONTACTS = "urn:ietf:params:jmap:contacts"
ALICE, BOB = "alice@example.com", "bob@example.com"
MINIMAL = {"@type": "Card", "version": "1.0", "uid": "urn:uuid:03a0e51f-d1aa-4385-8a53-e29025acd8af"}


def _chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    + _chunk(b"IEND", b"")
)
PNG_URI = "data:image/png;base64," + base64.b64encode(PNG).decode()


def named(given, surname):
    """A Name of two components."""
    parts = [{"kind": "given", "value": given}, {"kind": "surname", "value": surname}]
    return {"components": parts, "isOrdered": True}


def default_book(house, user=ALICE):
    """The id of a user's default AddressBook."""
    (one,) = [book["id"] for book in house.call("AddressBook/get", {}, user)["list"] if book["isDefault"]]
    return one


def make_book(house, name="Work", user=ALICE, **more):
    """Create an AddressBook; its id."""
    return house.call("AddressBook/set", {"create": {"b": {"name": name, **more}}}, user)["created"]["b"]["id"]


def set_card(house, *, user=ALICE, **arguments):
    """Call ContactCard/set."""
    return house.call("ContactCard/set", arguments, user)


def create(house, card, *books, user=ALICE):
    """Try to create a card, in the default AddressBook unless told otherwise; the answer."""
    places = dict.fromkeys(books or [default_book(house, user)], True)
    return set_card(house, user=user, create={"k": {"addressBookIds": places, **card}})


def add(house, card=None, *books, user=ALICE):
    """Create a card; its id."""
    answer = create(house, card or {}, *books, user=user)
    assert answer["notCreated"] is None, answer
    return answer["created"]["k"]["id"]


def refused(house, card):
    """The SetError of a create that must fail."""
    return create(house, card)["notCreated"]["k"]


def change(house, card_id, patch, user=ALICE):
    """Patch a card; what the server says of it, or the SetError."""
    answer = set_card(house, user=user, update={card_id: patch})
    return (answer["notUpdated"] or answer["updated"])[card_id]


def get(house, card_id, user=ALICE):
    """A card as it is."""
    (one,) = house.call("ContactCard/get", {"ids": [card_id]}, user)["list"]
    return one


def query(house, condition=None, *, user=ALICE, sort=None, **more):
    """The ids that a query finds."""
    answer = house.call("ContactCard/query", {"filter": condition, "sort": sort, **more}, user)
    return answer.get("ids", answer)


def upload(house, octets, user=ALICE):
    """Upload octets; the blobId."""
    blob = blobs.pack(octets)
    account, now = house.users[user].account, int(house.now * 1000)
    house.database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, blob), account, now))
    return blob.blob_id


def download(house, blob_id, user=ALICE):
    """The octets of a blob, or None."""
    with house.database.read() as reader:
        return blobs.open_blob(reader, house.users[user].account, blob_id)


def as_both(house):
    """A function to ask as Alice, who may also use Bob's account."""
    alice, bob = house.users[ALICE], house.users[BOB]
    own = [
        Access(one.account, account_id(one.account), one.address, one is alice, is_read_only=False)
        for one in (alice, bob)
    ]
    login = Login(alice, tuple(own))

    def request(*calls):
        body = json.dumps({"using": [CORE, CONTACTS], "methodCalls": calls}).encode()
        return json.loads(house.engine.handle(login, body))["methodResponses"]

    return request


def damage(house):
    """What `minijmap check` finds wrong with contacts."""
    with house.database.read() as reader:
        return list(problems(reader))


def new_account(house, address):
    """A user with an empty address book, without the slow digest of a password: for tests that want hundreds."""

    def job(tx):
        key = tx.execute("INSERT INTO user (address, name, created_at) VALUES (?, 'Model', 0)", (address,)).lastrowid
        account = tx.execute("INSERT INTO account (user, name) VALUES (?, ?)", (key, address)).lastrowid
        addressbook.add_book(tx, account, is_default=True)
        return User(key, address, "Model", account)

    house.users[address] = house.database.write(job)
    return address


def drop_account(house, address):
    """Forget such a user and all their cards."""
    user = house.users.pop(address)

    def job(tx):
        cards.remove_account(tx, user.account)
        accounts.remove_user(tx, user)

    house.database.write(job)
