"""The AddressBook type (RFC 9610 §2), of which every account has one at least and exactly one is the default.

The default may be destroyed while there is another, to which its role then passes; the last one stays. Nothing is
shared with anybody: `shareWith` is null, and a client that sets it is told so. Must not know how a card is stored, but
for asking which are in an AddressBook.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from minijmap.contacts.capability import CONTACTS, LONGEST_BOOK_NAME, LONGEST_DESCRIPTION, MOST_BOOKS
from minijmap.contacts.schema import DEFAULT_BOOK
from minijmap.jmap.datatype import DataType, Property, SetContext
from minijmap.jmap.errors import SetError
from minijmap.jmap.setting import LaterId
from minijmap.jmap.values import Boolean, Id, MapOf, Nullable, Record, String, unsigned_int
from minijmap.store import documents
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import Collection

if TYPE_CHECKING:
    from minijmap.jmap.setting import Outcome

BOOKS: Final = Collection("address_book", "AddressBook")
PREFIX: Final = "ab"
RIGHTS: Final = ("mayRead", "mayWrite", "mayShare", "mayDelete")
ADDRESS_BOOK_RIGHTS: Final = Record(dict.fromkeys(RIGHTS, Boolean()), name="AddressBookRights")
_IS_LAST: Final = (
    "NOT EXISTS (SELECT 1 FROM address_book AS other WHERE other.account = t.account AND other.key <> t.key)"
)
_MY_RIGHTS: Final = '{"mayRead":true,"mayWrite":true,"mayShare":false,"mayDelete":%s}'
_NO_SHARING: Final = "Address books can't be shared on this server: shareWith is always null."


# Public functions


def add_book(tx: Transaction, account: int, name: str = DEFAULT_BOOK, *, is_default: bool = False) -> int:
    """Add an AddressBook and return its key. A new account gets its default by this; there may be only one."""
    document = {"name": name, "description": None, "sortOrder": 0, "isSubscribed": True, "shareWith": None}
    return documents.insert(tx, BOOKS, account, document, {"is_default": int(is_default)})


def default_book(reader: Reader, account: int) -> int:
    """Return the key of an account's default AddressBook."""
    return int(reader.value("SELECT key FROM address_book WHERE account = ? AND is_default = 1", (account,)))


def books(reader: Reader, account: int) -> list[tuple[int, str]]:
    """Return (key, name) of the AddressBooks of an account, in the order in which they are shown."""
    rows = reader.all(
        "SELECT key, doc ->> '$.name' FROM address_book WHERE account = ? ORDER BY doc ->> '$.sortOrder', 2, key",
        (account,),
    )
    return [(int(key), str(name)) for key, name in rows]


def find_book(reader: Reader, account: int, name: str) -> int | None:
    """Return the key of the first AddressBook that has a name, in the order of `books`, or None."""
    key = reader.value(
        "SELECT key FROM address_book WHERE account = ? AND doc ->> '$.name' = ? "
        "ORDER BY doc ->> '$.sortOrder', key LIMIT 1",
        (account, name),
    )
    return None if key is None else int(key)


def make_book(tx: Transaction, account: int, name: str) -> int:
    """Add an AddressBook beside those that are there, and return its key. Raises SetError when there are too many."""
    others = _others_with_room(tx, account)
    key = add_book(tx, account, name)
    _retell_last(tx, account, others)
    return key


def normal_name(name: str) -> str:
    """Return a name in the form that an AddressBook's has. Raises ValueProblem for one that it can't have."""
    checked: str = AddressBookType.properties["name"].kind.check(name)
    return checked


def book_id(key: int) -> str:
    """Return an AddressBook's id."""
    return f"{PREFIX}{key}"


def book_key(object_id: str) -> int | None:
    """Return the key that an AddressBook's id names, or None."""
    return AddressBookType().key_of(object_id)


def book_keys(ids: Iterable[str]) -> tuple[int, ...]:
    """Return the keys of AddressBooks that are there."""
    return tuple(int(one[len(PREFIX) :]) for one in ids)


class AddressBookType(DataType):
    """AddressBook, as a table."""

    name = "AddressBook"
    capability = CONTACTS
    prefix = PREFIX
    collection = BOOKS
    verbs = ("get", "changes", "set")
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "name": Property(String(1, LONGEST_BOOK_NAME, net_unicode=True)),
        "description": Property(Nullable(String(most_octets=LONGEST_DESCRIPTION)), default=None),
        "sortOrder": Property(unsigned_int(2**31 - 1), default=0),
        "isDefault": Property(
            Boolean(), server_set=True, column="CASE t.is_default WHEN 1 THEN 'true' ELSE 'false' END"
        ),
        "isSubscribed": Property(Boolean(), default=True),
        "shareWith": Property(Nullable(MapOf(Id(), ADDRESS_BOOK_RIGHTS)), default=None),
        "myRights": Property(
            ADDRESS_BOOK_RIGHTS,
            server_set=True,
            column=f"CASE WHEN {_IS_LAST} THEN '{_MY_RIGHTS % 'false'}' ELSE '{_MY_RIGHTS % 'true'}' END",
        ),
    }
    set_arguments = {
        "onDestroyRemoveContents": Nullable(Boolean()),
        "onSuccessSetIsDefault": Nullable(LaterId()),
    }

    # /set (RFC 9610 §2.3)

    def normal_patch(self, patch: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take away a share that is not there, which is nothing; any other is refused."""
        inside = [path for path in patch if path.startswith("shareWith/")]
        if any(patch[path] is not None for path in inside):
            raise SetError(SetError.FORBIDDEN, _NO_SHARING)
        _ = before
        return {path: value for path, value in patch.items() if path not in inside}

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store a new AddressBook."""
        _check_not_shared(wanted)
        others = _others_with_room(context.tx, context.account)
        key, more = super().create(context, wanted)
        _retell_last(context.tx, context.account, others)
        return key, more

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Store a changed AddressBook."""
        _check_not_shared(after)
        return super().update(context, key, before, after)

    def destroy(self, context: SetContext, key: int) -> None:
        """Remove an AddressBook, and what is in it if that is asked for."""
        from minijmap.contacts.cards import leave_book

        tx, account = context.tx, context.account
        others = [one for one in _keys(tx, account) if one != key]
        if not documents.existing(tx, BOOKS, account, [key]):
            raise SetError(SetError.NOT_FOUND)
        if not others:
            raise SetError(SetError.FORBIDDEN, "An account keeps one address book at least.")
        if tx.value("SELECT EXISTS (SELECT 1 FROM card_book WHERE book = ?)", (key,)):
            if not context.arguments["onDestroyRemoveContents"]:
                raise SetError("addressBookHasContents", "There are cards in it.")
            leave_book(tx, account, key)
        super().destroy(context, key)
        _retell_last(tx, account, others)

    def conclude(self, context: SetContext, outcome: "Outcome") -> None:
        """Choose the default: the one that is asked for if all has succeeded, or another if it has gone."""
        tx, account = context.tx, context.account
        asked = context.arguments["onSuccessSetIsDefault"]
        key = self.key_of(context.real_id(asked)) if asked and not outcome.failed else None
        # RFC 9610 §2.3: one that is not found is ignored.
        if key is not None and documents.existing(tx, BOOKS, account, [key]):
            self._make_default(context, key, outcome)
        elif not tx.value("SELECT EXISTS (SELECT 1 FROM address_book WHERE account = ? AND is_default)", (account,)):
            self._make_default(context, books(tx, account)[0][0], outcome)

    def _make_default(self, context: SetContext, key: int, outcome: "Outcome") -> None:
        tx, account = context.tx, context.account
        was = tx.value("SELECT key FROM address_book WHERE account = ? AND is_default = 1", (account,))
        if was == key:
            return
        for one, is_default in ((was, False), (key, True)):
            if one is not None:
                tx.execute("UPDATE address_book SET is_default = ? WHERE key = ?", (int(is_default), one))
                documents.mark_changed(tx, BOOKS, account, one)
                outcome.tell(self.id_of(one), {"isDefault": is_default})


def _check_not_shared(values: Mapping[str, Any]) -> None:
    if values["shareWith"] is not None:
        raise SetError(SetError.FORBIDDEN, _NO_SHARING)


def _others_with_room(tx: Reader, account: int) -> list[int]:
    """Return the keys of the AddressBooks that are there, if there may be another."""
    others = _keys(tx, account)
    if len(others) >= MOST_BOOKS:
        raise SetError(SetError.OVER_QUOTA, f"An account may have {MOST_BOOKS} address books.")
    return others


def _retell_last(tx: Transaction, account: int, others: list[int]) -> None:
    """Mark the only other AddressBook as changed: whether it may be deleted has."""
    if len(others) == 1:
        documents.mark_changed(tx, BOOKS, account, others[0])


def _keys(tx: Reader, account: int) -> list[int]:
    return [row[0] for row in tx.all("SELECT key FROM address_book WHERE account = ?", (account,))]
