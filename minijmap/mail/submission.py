"""The EmailSubmission type (RFC 8621 §7): a message is sent by creating one, and it tells what became of it.

Owns the object, what must hold before a message may leave, and what an Email/set makes of success. The message goes
into the `queue` in the same transaction; how it is delivered is not known here, those who do it `report`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from minijmap.jmap import dates
from minijmap.jmap.datatype import Condition, DataType, Filter, Property, Scope, SetContext, Sort
from minijmap.jmap.errors import SetError, invalid_properties
from minijmap.jmap.setting import OBJECT
from minijmap.jmap.values import Anything, Id, Kind, ListOf, MapOf, Nullable, String, UTCDate
from minijmap.mail import ingest, queue
from minijmap.mail.addressing import Senders
from minijmap.mail.capability import SUBMISSION
from minijmap.mail.email import key_of_email
from minijmap.mail.identity import IdentityType, identity_email
from minijmap.mail.submissionenvelope import (
    ENVELOPE,
    Written,
    check_message,
    derive,
    recipients_of,
    release_time,
)
from minijmap.store import blobs, documents
from minijmap.store.database import Transaction
from minijmap.store.documents import Collection

if TYPE_CHECKING:
    from minijmap.jmap.setting import Outcome

SUBMISSIONS = Collection("email_submission", "EmailSubmission")
PENDING, FINAL, CANCELED = "pending", "final", "canceled"
UNDO_STATUS = String(choices=frozenset((PENDING, FINAL, CANCELED)))
KEEP_MS = 30 * 24 * 3600 * 1000
"""How long a submission is kept after it is sent, so that its `deliveryStatus` can be read."""
MOST_IDS = 100_000

QUEUED = {"smtpReply": "250 2.1.5 Queued", "delivered": "queued", "displayed": "unknown"}
STOPPED = {"smtpReply": "554 5.0.0 Canceled by the sender", "delivered": "no", "displayed": "unknown"}
DELIVERED = {"smtpReply": "250 2.1.5 Delivered to the mailbox", "delivered": "yes", "displayed": "unknown"}


class SubmissionId(Id):
    """The Id of an EmailSubmission, or its creation id in the same call, which nothing else may be taken for."""

    def map_ids(self, value: Any, resolve: Callable[[str], str]) -> Any:
        """Leave it as it is until the submissions are made (RFC 8621 §7.5)."""
        _ = resolve
        return value


def _any_of(column: str) -> Filter:
    return Filter(
        ListOf(Id(), most=MOST_IDS),
        lambda scope, ids: Condition(
            f"{scope.alias}.{column} IN (SELECT value FROM json_each(?))", (documents.dump(ids),)
        ),
    )


def _send_at(comparison: str) -> Filter:
    return Filter(
        UTCDate(),
        lambda scope, date: Condition(f"{scope.alias}.send_at {comparison} ?", (dates.parse_utc_date(date),)),
    )


def _by(column: str, *, collates: bool = False) -> Sort:
    def build(scope: Scope, arguments: Mapping[str, Any]) -> Condition:
        _ = arguments
        return Condition(f"{scope.alias}.{column}")

    return Sort(build, collates=collates)


def _set_by_server(kind: Kind) -> Property:
    return Property(kind, server_set=True, immutable=True)


class EmailSubmissionType(DataType):
    """EmailSubmission, as a table."""

    name = "EmailSubmission"
    capability = SUBMISSION
    prefix = "s"
    collection = SUBMISSIONS
    holds_blobs = True
    verbs = ("get", "changes", "set", "query", "queryChanges")
    properties = {
        "id": _set_by_server(Id()),
        "identityId": Property(Id(), immutable=True),
        "emailId": Property(Id(), immutable=True),
        "threadId": _set_by_server(Id()),
        "envelope": Property(Nullable(ENVELOPE), default=None, immutable=True),
        "sendAt": _set_by_server(UTCDate()),
        "undoStatus": Property(UNDO_STATUS, default=PENDING),
        "deliveryStatus": Property(Anything(), server_set=True),
        "dsnBlobIds": Property(ListOf(Id()), server_set=True),
        "mdnBlobIds": Property(ListOf(Id()), server_set=True),
    }
    set_arguments = {
        "onSuccessUpdateEmail": Nullable(MapOf(SubmissionId(), OBJECT)),
        "onSuccessDestroyEmail": Nullable(ListOf(SubmissionId())),
    }
    filters = {
        "identityIds": _any_of("identity"),
        "emailIds": _any_of("email"),
        "threadIds": _any_of("thread"),
        "undoStatus": Filter(UNDO_STATUS, lambda scope, status: Condition(f"{scope.alias}.undo_status = ?", (status,))),
        "before": _send_at("<"),
        "after": _send_at(">="),
    }
    sorts = {
        "emailId": _by("email", collates=True),
        "threadId": _by("thread", collates=True),
        "sentAt": _by("send_at"),  # RFC 8621 §7.3 says “sentAt”, and has no property of that name
        "sendAt": _by("send_at"),
    }

    def __init__(self, senders: Senders, max_message_size: int) -> None:
        """`max_message_size` in octets."""
        self._senders = senders
        self._max_message_size = max_message_size

    # /set (RFC 8621 §7.5)

    def may_create(self, name: str) -> bool:
        """Say whether a client may give this property on create: `undoStatus` is set by the server then (§7)."""
        return name != "undoStatus" and super().may_create(name)

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Check a message and put it into the queue. Raises SetError."""
        tx, account, now = context.tx, context.account, context.call.now()
        stored, address = self._referred(context, wanted)
        if stored.size > self._max_message_size:
            limit = self._max_message_size
            raise SetError(SetError.TOO_LARGE, f"A message may have {limit} octets.", maxSize=limit)
        envelope = self._envelope(context, wanted["envelope"], Written.of(stored.headers), address)
        key, _ = place(tx, account, {**wanted, "envelope": envelope}, stored.thread, stored.blob, now)
        self._note(context, key, wanted)
        return key, {}

    def _referred(self, context: SetContext, wanted: Mapping[str, Any]) -> tuple[ingest.StoredEmail, str]:
        """Return the Email and the Identity's address. Raises SetError for what is not there."""
        tx, account = context.tx, context.account
        email = key_of_email(wanted["emailId"])
        stored = None if email is None else ingest.stored(tx, account, email)
        identity = IdentityType(self._senders).key_of(wanted["identityId"])
        address = None if identity is None else identity_email(tx, account, identity)
        if stored is None or address is None:
            missing = [name for name, it in (("emailId", stored), ("identityId", address)) if it is None]
            raise invalid_properties(f"There is no such {missing[0].removesuffix('Id').title()}.", *missing)
        return stored, address

    def _envelope(
        self, context: SetContext, given: dict[str, Any] | None, written: Written, address: str
    ) -> dict[str, Any]:
        """Return the envelope, given or derived, of a message that may be sent. Raises SetError."""
        tx, account = context.tx, context.account
        check_message(written, deriving=given is None)

        def allowed(one: str) -> bool:
            return self._senders.allows(address, one) and self._senders.may_use(tx, account, one)

        for author in written.authors[0]:
            if not allowed(author):
                raise SetError("forbiddenFrom", f"“{author}” can't be the author of what the identity {address} sends.")
        envelope = derive(written, address, allowed) if given is None else given
        sender = envelope["mailFrom"]["email"]
        # RFC 8621 §7 lets it be empty: nobody is told when it can't be delivered.
        if sender and not self._senders.may_use(tx, account, sender):
            raise SetError("forbiddenMailFrom", f"“{sender[:60]}” is not yours to send from.")
        return envelope

    def columns(self, context: SetContext, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is queried and can't be read off the document."""
        _ = context
        return _columns(document)

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Cancel a submission: nothing else can be changed (RFC 8621 §7)."""
        if after["undoStatus"] != CANCELED:
            raise invalid_properties("All a client can do is to make it “canceled”.", "undoStatus")
        if before["undoStatus"] != PENDING or not queue.cancel(context.tx, key):
            raise SetError("cannotUnsend", "The message is on its way.")
        after["deliveryStatus"] = dict.fromkeys(before["deliveryStatus"], STOPPED)
        super().update(context, key, before, after)
        self._note(context, key, before)
        return {"deliveryStatus": after["deliveryStatus"]}

    def destroy(self, context: SetContext, key: int) -> None:
        """Remove the record of a submission; the message goes its way (RFC 8621 §7.5)."""
        document = documents.load(context.tx, SUBMISSIONS, context.account, key)
        if document is not None:
            _let_go(context.tx, context.account, key, document)
        super().destroy(context, key)
        self._note(context, key, document)

    def _note(self, context: SetContext, key: int, submission: Mapping[str, Any]) -> None:
        context.notes.setdefault("emails", {})[self.id_of(key)] = submission["emailId"]

    def set_members(self, context: SetContext, outcome: "Outcome") -> dict[str, Any]:
        """Have one Email/set follow, with what is asked for the Emails of all that has succeeded (RFC 8621 §7.5)."""
        changes = context.arguments["onSuccessUpdateEmail"] or {}
        doomed = context.arguments["onSuccessDestroyEmail"] or ()
        created = {f"#{creation_id}": one["id"] for creation_id, one in outcome.created.items()}
        succeeded = {*created.values(), *outcome.updated, *outcome.destroyed}
        emails: Mapping[str, str] = context.notes.get("emails", {})

        def email_of(reference: str) -> str | None:
            real = created.get(reference) or context.call.resolve_id(reference)
            return emails.get(real) if real in succeeded else None

        update: dict[str, dict[str, Any]] = {}
        for reference, patch in changes.items():
            email = email_of(reference)
            if email is not None:
                update[email] = {**update.get(email, {}), **patch}
        destroy = list(dict.fromkeys(email for one in doomed if (email := email_of(one)) is not None))
        if update or destroy:
            arguments = {"accountId": context.access.account_id, "update": update or None, "destroy": destroy or None}
            context.call.follow_with("Email/set", arguments)
        return {}


def _columns(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"send_at": dates.parse_utc_date(document["sendAt"])}


def place(
    tx: Transaction,
    account: int,
    wanted: Mapping[str, Any],
    thread: int,
    blob: int,
    now: int,
    protocol: str = "JMAP",
) -> tuple[int, int]:
    """Make the EmailSubmission of a message that may be sent, and queue it; return the keys of both. Raises SetError.

    `wanted` is what the client asks for, its envelope checked or derived; `now` in milliseconds. `thread` and `blob`
    are the Email's, `protocol` is how it was handed in.
    """
    envelope = wanted["envelope"]
    recipients = recipients_of(envelope)
    release_at = release_time(envelope, now)
    if queue.waiting(tx, account) >= queue.MOST_WAITING:
        raise SetError("forbiddenToSend", f"{queue.MOST_WAITING} messages wait to be sent already.")
    document = {
        **wanted,
        "threadId": f"t{thread}",
        "sendAt": dates.format_utc_date(release_at),
        "deliveryStatus": dict.fromkeys(recipients, QUEUED),
        "dsnBlobIds": [],
        "mdnBlobIds": [],
    }
    key = documents.insert(tx, SUBMISSIONS, account, document, _columns(document))
    sender = envelope["mailFrom"]
    queued = queue.put(
        tx, account, blob, sender, recipients, now=now, release_at=release_at, submission=key, protocol=protocol
    )
    return key, queued


def report(
    tx: Transaction, account: int, submission: int | None, statuses: Mapping[str, Mapping[str, Any]], *, final: bool
) -> None:
    """Write down what became of recipients: address → DeliveryStatus. `final`: it can't be called back any more.

    A submission that is no longer there does not mind.
    """
    document = None if submission is None else documents.load(tx, SUBMISSIONS, account, submission)
    if document is None or submission is None:
        return
    known = document["deliveryStatus"]
    # A report that was faster than the reply has told the end already.
    news = {
        one: status for one, status in statuses.items() if known.get(one, QUEUED)["delivered"] in ("queued", "unknown")
    }
    after = {**document, "deliveryStatus": {**known, **news}, "undoStatus": FINAL if final else document["undoStatus"]}
    if after != document:
        documents.update(tx, SUBMISSIONS, account, submission, after)


def take_back(tx: Transaction, account: int, submission: int | None, recipients: Iterable[str]) -> None:
    """Write down that whoever runs the server has taken recipients out of the queue."""
    document = None if submission is None else documents.load(tx, SUBMISSIONS, account, submission)
    if document is None or submission is None:
        return
    document["deliveryStatus"] = {**document["deliveryStatus"], **dict.fromkeys(recipients, STOPPED)}
    if tx.value("SELECT 1 FROM queue_message WHERE submission = ?", (submission,)) is None:
        document["undoStatus"] = CANCELED if document["undoStatus"] == PENDING else document["undoStatus"]
    documents.update(tx, SUBMISSIONS, account, submission, document)


def keep_blob(tx: Transaction, account: int, submission: int, blob: int) -> None:
    """Keep a report's blob while its submission is there."""
    blobs.add_use(tx, blob, account, SUBMISSIONS.type_name, submission, enforced=False)


def _let_go(tx: Transaction, account: int, submission: int, document: Mapping[str, Any]) -> None:
    for blob_id in (*document["dsnBlobIds"], *document["mdnBlobIds"]):
        blob = blobs.find(tx, account, blob_id)
        if blob is not None:
            blobs.remove_use(tx, blob, account, SUBMISSIONS.type_name, submission)


def remove_reports(tx: Transaction, account: int) -> None:
    """Let go of all reports about an account's submissions, which are about to be removed."""
    rows = tx.all(
        "SELECT key, doc FROM email_submission WHERE account = ? "
        "AND (doc ->> '$.dsnBlobIds' != '[]' OR doc ->> '$.mdnBlobIds' != '[]')",
        (account,),
    )
    for key, document in rows:
        _let_go(tx, account, key, orjson.loads(document))


def prune(tx: Transaction, now: int) -> int:
    """Forget submissions that were sent, or canceled, long ago. Returns how many went; `now` in milliseconds."""
    old = tx.all(
        "SELECT s.account, s.key FROM email_submission AS s WHERE s.send_at < ? "
        "AND NOT EXISTS (SELECT 1 FROM queue_message AS q WHERE q.submission = s.key)",
        (now - KEEP_MS,),
    )
    for account, key in old:
        _let_go(tx, account, key, documents.load(tx, SUBMISSIONS, account, key))
        documents.destroy(tx, SUBMISSIONS, account, key)
    return len(old)
