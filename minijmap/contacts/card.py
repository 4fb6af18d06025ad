"""The ContactCard type (RFC 9610 §3): a Card of JSContact with an id, in AddressBooks.

Its properties are those of `jscontact.CARD`, declared there; what it has besides is kept too. `created` and `updated`
are the server's where a client does not say them; being put into another AddressBook is no change of the Card. Must not
know the tables beside a card (see `cards`), nor how a query walks (see `cardquery`).
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from minijmap.contacts import cardquery, cards, jscontact
from minijmap.contacts.capability import CONTACTS
from minijmap.contacts.cards import CARDS
from minijmap.contacts.media import Packed
from minijmap.jmap import dates
from minijmap.jmap.blobreading import BlobReader
from minijmap.jmap.datatype import ABSENT, DataType, Property, Scope, SetContext
from minijmap.jmap.errors import SetError
from minijmap.jmap.objects import TYPE
from minijmap.jmap.query import QueryPlan
from minijmap.jmap.values import Id, MapOf, TrueOnly, ValueProblem

if TYPE_CHECKING:
    from minijmap.jmap.call import Call
    from minijmap.jmap.session import Access

SAID_BY_SERVER: Final = {TYPE: "Card", "version": jscontact.VERSION}
"""What a Card must have (RFC 9553 §2.1), and there is no choice: a client may leave it out."""


class ContactCardType(DataType):
    """ContactCard, as a table."""

    name = "ContactCard"
    capability = CONTACTS
    prefix = "c"
    collection = CARDS
    constrained = True
    open = True
    holds_blobs = True
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "addressBookIds": Property(MapOf(Id(), TrueOnly())),
        **{
            name: Property(member.kind, default=SAID_BY_SERVER.get(name, ABSENT))
            for name, member in jscontact.CARD.members.items()
        },
    }
    filters = cardquery.FILTERS
    sorts = cardquery.SORTS

    # Names that no table has (RFC 9553 §1.7.4, §1.8.1)

    def check_properties(self, names: Sequence[str]) -> str | None:
        """Return the first name that no Card can have."""
        for name in names:
            try:
                if name not in self.properties:
                    jscontact.CARD.form.check_name(jscontact.CARD, name)
            except ValueProblem:
                return name
        return None

    def may_create(self, name: str) -> bool:
        """Say whether a client may give a property on create; what no Card can have, `extra_properties` refuses."""
        return name != "id"

    def extra_properties(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties that are unknown here or a vendor's own, as they are."""
        try:
            more = {name: value for name, value in given.items() if name not in self.properties}
            return {name: jscontact.check_property(name, value) for name, value in more.items()}
        except ValueProblem as problem:
            raise cards.refused(problem) from None

    # /set (RFC 9610 §3.5)

    def prepare(self, call: "Call", access: "Access", arguments: Mapping[str, Any]) -> Packed:
        """Decode the `data:` URIs of media and the parts of blobs, and pack what is in them."""
        packed, reader = Packed(), BlobReader(call, access)
        for given in (arguments["create"] or {}).values():
            packed.add(given.get("media"), reader.octets)
        for patch in (arguments["update"] or {}).values():
            for path, value in patch.items():
                if path.partition("/")[0] == "media":
                    packed.add({path: value}, reader.octets)
        return packed

    def normal_patch(self, patch: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take `addressBookIds/x: false` for a removal."""
        _ = before
        return {
            path: None if value is False and path.startswith("addressBookIds/") else value
            for path, value in patch.items()
        }

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store a new card."""
        now = _now(context)
        document = {"uid": _new_uid(context), "created": now, "updated": now, **wanted}
        _check_whole(document)
        return self._store(context, None, document, {}), {}

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Store a changed card, and return what has changed besides what the client asked for."""
        document = {name: value for name, value in after.items() if name != "id"}
        card_changed = any(
            document.get(name, ABSENT) != before.get(name, ABSENT)
            for name in document.keys() | before.keys() - {"id"}
            if name not in cards.OWN
        )
        for name in ("created", "updated"):
            if name not in document or (name == "updated" and card_changed and document[name] == before[name]):
                document[name] = _now(context) if name == "updated" else before[name]
        _check_whole(document)
        self._store(context, key, document, before)
        more = ("created", "updated", "media")
        return {name: document[name] for name in more if name in document and document[name] != after.get(name)}

    def _store(self, context: SetContext, key: int | None, document: dict[str, Any], before: Mapping[str, Any]) -> int:
        accounts = [context.account, *([context.source.account] if context.source is not None else [])]
        if context.prepared is None:  # a copy
            context.prepared = Packed()
        return cards.store(context.tx, accounts, key, document, before, context.prepared)

    def destroy(self, context: SetContext, key: int) -> None:
        """Remove a card and what is kept beside it."""
        if not cards.destroy(context.tx, context.account, key):
            raise SetError(SetError.NOT_FOUND)

    def check_constraints(self, context: SetContext, key: int) -> None:
        """Check that no other card of the account has the uid (RFC 9610 §3)."""
        tx, account = context.tx, context.account
        row = tx.one(
            "SELECT t.uid, other.key FROM card_index AS t CROSS JOIN card_index AS other ON other.account = t.account "
            "AND other.uid = t.uid WHERE t.key = ? AND t.account = ? AND other.key <> t.key LIMIT 1",
            (key, account),
        )
        if row is not None:
            raise cards.duplicate(*row)

    # /query (RFC 9610 §3.3)

    def plan(self, scope: Scope, arguments: Mapping[str, Any]) -> QueryPlan:
        """Return the plan of a query."""
        return cardquery.plan(self, scope, arguments)


def _check_whole(document: Mapping[str, Any]) -> None:
    """Check what the properties of a Card demand of each other, each good by itself."""
    try:
        jscontact.CARD.check_whole(document)
    except ValueProblem as problem:
        raise cards.refused(problem) from None


def _now(context: SetContext) -> str:
    """Return the time in seconds: nobody needs to see more of when a card was changed."""
    return dates.format_utc_date(context.call.now() // 1000 * 1000)


def _new_uid(context: SetContext) -> str:
    """Return a random uid (RFC 9553 §2.1.9)."""
    digest = hashlib.sha256(context.call.engine.token().encode()).digest()
    return f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"
