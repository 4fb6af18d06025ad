"""Email/import: messages that were uploaded become Emails (RFC 8621 §4.8).

The same octets are one Email of an account: importing them again is `alreadyExists`, so that a client may repeat an
import.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minijmap.jmap import dates
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.errors import RequestTooLarge, SetError, invalid_properties
from minijmap.jmap.session import Access
from minijmap.jmap.setting import MOST_OBJECTS, OBJECT, check_state, one_object
from minijmap.jmap.standard import ACCOUNT, STATE
from minijmap.jmap.values import Id, Kind, MapOf, Nullable, UTCDate, ValueProblem
from minijmap.mail import counts, ingest
from minijmap.mail.email import MAILBOX_IDS, check_limits, mailbox_keys
from minijmap.mail.ingest import EMAILS, ParsedEmail
from minijmap.mail.keywords import KEYWORDS, aligned
from minijmap.store import blobs
from minijmap.store.database import Transaction
from minijmap.store.documents import Collection

IMPORT_ARGUMENTS = {
    "accountId": ACCOUNT,
    "ifInState": STATE,
    "emails": Argument(MapOf(Id(), OBJECT, most=MOST_OBJECTS), required=True),
}
IMPORTED: dict[str, tuple[Kind, Any]] = {
    "blobId": (Id(), ...),
    "mailboxIds": (MAILBOX_IDS, ...),
    "keywords": (KEYWORDS, {}),
    "receivedAt": (Nullable(UTCDate()), None),
}
"""The members of an EmailImport: kind, and default (... for none)."""


@dataclass(frozen=True)
class Incoming:
    """An Email to be stored: checked, with its message read."""

    parsed: ParsedEmail
    mailbox_ids: dict[str, bool]
    keywords: dict[str, bool]
    received_at: int


@dataclass(frozen=True)
class Stored:
    """What became of the Emails of one call: the states around it, and each creation id's outcome."""

    before: int
    after: int
    created: dict[str, dict[str, Any]]
    failed: dict[str, SetError]

    def members(self) -> dict[str, Any]:
        """Return the members that Email/import and Email/copy answer with."""
        return {
            "oldState": str(self.before),
            "newState": str(self.after),
            "created": self.created or None,
            "notCreated": {one: error.json() for one, error in self.failed.items()} or None,
        }


def import_emails(call: Call) -> dict[str, Any]:
    """Answer Email/import."""
    arguments = call.arguments(IMPORT_ARGUMENTS)
    access = call.access(arguments["accountId"], write=True)
    limit = call.engine.limits.max_objects_in_set
    if len(arguments["emails"]) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} Emails.")
    stored = store_all(
        call,
        access,
        arguments["emails"],
        lambda wanted: _prepare(call, access, wanted),
        [(EMAILS, access, arguments["ifInState"])],
    )
    return {"accountId": access.account_id, **stored.members()}


def store_all(
    call: Call,
    access: Access,
    wanted: Mapping[str, dict[str, Any]],
    prepare: Callable[[dict[str, Any]], Incoming],
    states: Sequence[tuple[Collection, Access, str | None]],
) -> Stored:
    """Store what `prepare` makes of each creation id's object, each by itself, in one transaction.

    `states` are the states that must be current (RFC 8620 §5.3). Raises StateMismatch.
    """
    ready: dict[str, Incoming] = {}
    failed: dict[str, SetError] = {}
    for creation_id, one in wanted.items():
        try:
            ready[creation_id] = prepare(one)
        except SetError as error:
            failed[creation_id] = error

    def job(tx: Transaction) -> Stored:
        for place, account, state in states:
            check_state(state, tx.state(account.account, place.type_name))
        before = tx.state(access.account, EMAILS.type_name)
        created, refused, threads = {}, dict(failed), []
        for creation_id, one in ready.items():
            try:
                with one_object(tx):
                    added = store(tx, access.account, one)
            except SetError as error:
                refused[creation_id] = error
                continue
            threads.append(added.thread)
            created[creation_id] = shown(added, one.parsed)
        counts.recount(tx, access.account, threads)
        return Stored(before, tx.state(access.account, EMAILS.type_name), created, refused)

    stored = call.write(job)
    call.created_ids.update({creation_id: one["id"] for creation_id, one in stored.created.items()})
    return stored


def store(tx: Transaction, account: int, one: Incoming) -> ingest.Added:
    """Store one Email. The same octets are one Email of an account (RFC 8621 §4.8)."""
    there = ingest.email_with_blob(tx, account, one.parsed.blob)
    if there is not None:
        raise SetError(SetError.ALREADY_EXISTS, "This message is there already.", existingId=f"e{there}")
    return ingest.add(
        tx,
        account,
        one.parsed,
        mailboxes=mailbox_keys(tx, account, one.mailbox_ids),
        keywords=aligned(one.keywords, one.parsed.listed["hasAttachment"]),
        received_at=one.received_at,
    )


def shown(added: ingest.Added, parsed: ParsedEmail) -> dict[str, Any]:
    """Return what is answered of an Email that was stored (RFC 8621 §4.6, §4.7, §4.8)."""
    return {
        "id": f"e{added.key}",
        "blobId": parsed.blob.blob_id,
        "threadId": f"t{added.thread}",
        "size": parsed.blob.size,
    }


def checked(call: Call, kinds: Mapping[str, tuple[Kind, Any]], wanted: dict[str, Any], what: str) -> dict[str, Any]:
    """Return the members of an object in normal form, defaults filled in. Raises SetError."""
    unknown = [name for name in wanted if name not in kinds]
    if unknown:
        raise invalid_properties(f"{what} has no property “{unknown[0]}”.", *unknown)
    values = {}
    for name, (kind, default) in kinds.items():
        if name not in wanted and default is ...:
            raise invalid_properties(f"{what} needs “{name}”.", name)
        try:
            values[name] = kind.map_ids(kind.check(wanted.get(name, default)), call.resolve_id)
        except ValueProblem as problem:
            raise invalid_properties(f"“{problem.under(name).path}” {problem.sentence}.", name) from None
    return values


def _prepare(call: Call, access: Access, wanted: dict[str, Any]) -> Incoming:
    """Check an EmailImport and read its message, outside of the transaction."""
    values = checked(call, IMPORTED, wanted, "An EmailImport")
    check_limits(values)
    raw = blobs.open_blob(call.reader(), access.account, values["blobId"])
    if raw is None:
        raise invalid_properties(f"There is no blob “{values['blobId']}”.", "blobId")
    if not raw.strip():
        raise SetError("invalidEmail", "The blob is empty.")
    parsed = ingest.parse(raw)
    if values["receivedAt"] is not None:
        received_at = dates.parse_utc_date(values["receivedAt"])
    else:
        # The newest Received field tells, or else it is now (RFC 8621 §4.8); nothing arrived in the future.
        received_at = min(call.now() if parsed.arrived_at is None else parsed.arrived_at, call.now())
    return Incoming(parsed, values["mailboxIds"], values["keywords"], received_at)
