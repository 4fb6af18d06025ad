"""Email/import: messages that were uploaded become Emails (RFC 8621 §4.8).

The same octets are one Email of an account: importing them again is `alreadyExists`, so that a client may repeat an
import.
"""

from dataclasses import dataclass
from typing import Any

from minijmap.jmap import dates
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.errors import RequestTooLarge, SetError, invalid_properties
from minijmap.jmap.methods import Method
from minijmap.jmap.session import Access
from minijmap.jmap.setting import MOST_OBJECTS, OBJECT, check_state
from minijmap.jmap.standard import ACCOUNT, STATE
from minijmap.jmap.values import Id, Kind, MapOf, Nullable, UTCDate, ValueProblem
from minijmap.mail import counts, ingest
from minijmap.mail.capability import MAIL
from minijmap.mail.email import KEYWORDS, MAILBOX_IDS, check_limits, mailbox_keys
from minijmap.mail.ingest import EMAILS, ParsedEmail
from minijmap.store import blobs
from minijmap.store.database import Transaction

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
class Import:
    """An EmailImport, checked, with its message read."""

    parsed: ParsedEmail
    mailbox_ids: dict[str, bool]
    keywords: dict[str, bool]
    received_at: int


def import_emails(call: Call) -> dict[str, Any]:
    """Answer Email/import."""
    arguments = call.arguments(IMPORT_ARGUMENTS)
    access = call.access(arguments["accountId"], write=True)
    limit = call.engine.limits.max_objects_in_set
    if len(arguments["emails"]) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} Emails.")
    ready: dict[str, Import] = {}
    failed: dict[str, SetError] = {}
    for creation_id, wanted in arguments["emails"].items():
        try:
            ready[creation_id] = _prepare(call, access, wanted)
        except SetError as error:
            failed[creation_id] = error
    created: dict[str, dict[str, Any]] = {}

    def job(tx: Transaction) -> tuple[int, int]:
        before = tx.state(access.account, EMAILS.type_name)
        check_state(arguments["ifInState"], before)
        threads = []
        for creation_id, one in ready.items():
            try:
                with tx.savepoint():
                    added = _import(tx, access.account, one)
            except SetError as error:
                failed[creation_id] = error
                continue
            threads.append(added.thread)
            created[creation_id] = {
                "id": f"e{added.key}",
                "blobId": one.parsed.blob.blob_id,
                "threadId": f"t{added.thread}",
                "size": one.parsed.blob.size,
            }
        counts.recount(tx, access.account, threads)
        return before, tx.state(access.account, EMAILS.type_name)

    before, after = call.write(job)
    call.created_ids.update({creation_id: one["id"] for creation_id, one in created.items()})
    return {
        "accountId": access.account_id,
        "oldState": str(before),
        "newState": str(after),
        "created": created or None,
        "notCreated": {one: failed[one].json() for one in arguments["emails"] if one in failed} or None,
    }


def _prepare(call: Call, access: Access, wanted: dict[str, Any]) -> Import:
    """Check an EmailImport and read its message, outside of the transaction."""
    unknown = [name for name in wanted if name not in IMPORTED]
    if unknown:
        raise invalid_properties(f"An EmailImport has no property “{unknown[0]}”.", *unknown)
    values = {}
    for name, (kind, default) in IMPORTED.items():
        if name not in wanted and default is ...:
            raise invalid_properties(f"An EmailImport needs “{name}”.", name)
        try:
            values[name] = kind.map_ids(kind.check(wanted.get(name, default)), call.resolve_id)
        except ValueProblem as problem:
            raise invalid_properties(f"“{problem.under(name).path}” {problem.sentence}.", name) from None
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
    return Import(parsed, values["mailboxIds"], values["keywords"], received_at)


def _import(tx: Transaction, account: int, one: Import) -> ingest.Added:
    there = ingest.email_with_blob(tx, account, one.parsed.blob)
    if there is not None:
        raise SetError(SetError.ALREADY_EXISTS, "This message is there already.", existingId=f"e{there}")
    mailboxes = mailbox_keys(tx, account, one.mailbox_ids)
    return ingest.add(tx, account, one.parsed, mailboxes=mailboxes, keywords=one.keywords, received_at=one.received_at)


EMAIL_IMPORT = Method("Email/import", MAIL, import_emails)
