"""The Identity type (RFC 8621 §6): the addresses a user sends from, and what a client puts into such mail.

Owns which addresses an Identity may have: those that `Senders` says are the account's own. Must not know what is sent.
"""

from typing import Any, ClassVar

import orjson

from minijmap.jmap.datatype import DataType, Property, SetContext
from minijmap.jmap.errors import SetError, invalid_properties
from minijmap.jmap.values import Boolean, Id, Kind, ListOf, Nullable, Record, String, ValueProblem
from minijmap.mail.addressing import Senders, is_mailbox
from minijmap.mail.capability import SUBMISSION
from minijmap.store import documents
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import Collection

MOST_IDENTITIES = 1000
IDENTITIES = Collection("identity", "Identity", most=MOST_IDENTITIES)
MOST_NAME = 998
MOST_EMAIL_ADDRESSES = 100
MOST_SIGNATURE = 100_000


class EmailAddress(Kind):
    """An EmailAddress (RFC 8621 §4.1.2.3) that mail can be sent to; a `name` left out is null."""

    name = "an EmailAddress"
    record: ClassVar[Record] = Record(
        {"name": Nullable(String(most_octets=MOST_NAME, net_unicode=True)), "email": String()},
        required=frozenset(("email",)),
        name=name,
    )

    def check(self, value: Any) -> dict[str, Any]:
        """Return it with both members."""
        address = self.record.check(value)
        if not is_mailbox(address["email"]):
            raise ValueProblem(f"must be a mail address, and is “{address['email'][:60]}”", "email")
        return {"name": address.get("name"), "email": address["email"]}


def default_identity(name: str, email: str, *, may_delete: bool) -> dict[str, Any]:
    """Return the document of an Identity of which nothing but the name is said."""
    return {
        "name": name,
        "email": email,
        "replyTo": None,
        "bcc": None,
        "textSignature": "",
        "htmlSignature": "",
        "mayDelete": may_delete,
    }


def add_identity(tx: Transaction, account: int, name: str, email: str) -> int:
    """Give a new account the Identity of its own address, which stays; return its key."""
    return documents.insert(tx, IDENTITIES, account, default_identity(name, email, may_delete=False), {})


def identity_email(reader: Reader, account: int, key: int) -> str | None:
    """Return the `email` of an Identity, or None if the account has none with this key."""
    document = documents.load(reader, IDENTITIES, account, key)
    return None if document is None else str(document["email"])


def identities(reader: Reader, account: int) -> list[dict[str, Any]]:
    """Return the documents of an account's Identities, the account's own first."""
    rows = reader.all("SELECT doc FROM identity WHERE account = ? ORDER BY key", (account,))
    return [orjson.loads(row[0]) for row in rows]


class IdentityType(DataType):
    """Identity, as a table."""

    name = "Identity"
    capability = SUBMISSION
    prefix = "i"
    collection = IDENTITIES
    verbs = ("get", "changes", "set")
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "name": Property(String(most_octets=MOST_NAME, net_unicode=True), default=""),
        "email": Property(String(), immutable=True),
        "replyTo": Property(Nullable(ListOf(EmailAddress(), most=MOST_EMAIL_ADDRESSES)), default=None),
        "bcc": Property(Nullable(ListOf(EmailAddress(), most=MOST_EMAIL_ADDRESSES)), default=None),
        "textSignature": Property(String(most_octets=MOST_SIGNATURE), default=""),
        "htmlSignature": Property(String(most_octets=MOST_SIGNATURE), default=""),
        "mayDelete": Property(Boolean(), server_set=True),
    }

    def __init__(self, senders: Senders) -> None:
        self._senders = senders

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store a new Identity, if its address is one of the account's own (RFC 8621 §6.3)."""
        tx, account, email = context.tx, context.account, wanted["email"]
        if not is_mailbox(email):
            raise invalid_properties(f"“{email[:60]}” is not a mail address.", "email")
        if not self._senders.may_use(tx, account, email):
            raise SetError("forbiddenFrom", f"“{email}” is not yours to send from.")
        return super().create(context, {**wanted, "mayDelete": True})

    def destroy(self, context: SetContext, key: int) -> None:
        """Remove an Identity, but not the one of the account's own address (RFC 8621 §6, mayDelete)."""
        document = documents.load(context.tx, IDENTITIES, context.account, key)
        if document is not None and not document["mayDelete"]:
            raise SetError(SetError.FORBIDDEN, "This is the identity of the account's own address; it stays.")
        super().destroy(context, key)
