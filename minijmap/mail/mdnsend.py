"""MDN/send: a receipt for a message that was received (RFC 9007 §2.1, RFC 8098 §2.1, §3).

Owns who gets one and who may send it, and that each message has at most one: the MDN goes into the queue and its Email
gets `$mdnsent` in one transaction, or nothing happens. The form of an MDN is `mdnform`'s.

Decided here, where the specification leaves room:
- An `onSuccessUpdateEmail` that does not set `$mdnsent` for every MDN is a wrong argument: the call is refused.
- `sent` holds every property that the client has not given as it is now, defaults too.
- A receipt that the user has not confirmed (`mdn-sent-automatically`) goes to whoever has sent the message alone: that
  is `forbidden` where RFC 8098 §2.1 asks for a confirmation. So is one whose request has options that nobody knows.
- `extension`, as the specification's own example has it, is taken for `extensionFields`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from minijmap.jmap.blobs import take_room
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.datatype import DataType, SetContext
from minijmap.jmap.errors import (
    AccountNotFound,
    InvalidArguments,
    RequestTooLarge,
    SetError,
    UnknownMethod,
    invalid_properties,
)
from minijmap.jmap.session import Access
from minijmap.jmap.setting import MOST_OBJECTS, OBJECT, CreationId, Outcome, SetRun, one_object
from minijmap.jmap.standard import ACCOUNT
from minijmap.jmap.values import Boolean, Id, Kind, MapOf, Nullable, Record, String, ValueProblem
from minijmap.mail import headers, ingest, mdnform, queue
from minijmap.mail.addressing import ANY, Senders, is_mailbox
from minijmap.mail.capability import MAIL
from minijmap.mail.composeheaders import OneLine
from minijmap.mail.email import key_of_email
from minijmap.mail.identity import IDENTITIES, IdentityType
from minijmap.mail.ingest import EMAILS
from minijmap.store import blobs, documents
from minijmap.store.blobs import PackedBlob
from minijmap.store.database import Reader, Transaction

MDN_SENT: Final = "$mdnsent"
MOST_RECIPIENTS: Final = 10
"""Addresses that one message may ask receipts to be sent to: more is mail that others are made to send (§2.1)."""
MOST_IN_AN_HOUR: Final = 200
HOUR_MS: Final = 3600 * 1000
MOST_TEXT: Final = 100_000
MOST_FIELD: Final = 900
_TYPED: Final = re.compile(r"(?:(rfc822|utf-8)\s*;)?\s*(\S.*)", re.IGNORECASE)
_ORIGINAL_RECIPIENT: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+\s*;\s*\S.*")
_FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,77}")
_REQUIRED: Final = re.compile(r"=\s*required\b", re.IGNORECASE)


class FieldName(Kind):
    """The name of an extension field (RFC 8098 §3.3)."""

    name = "the name of a field that an MDN has not got already"

    def check(self, value: Any) -> str:
        """Return it."""
        if not isinstance(value, str) or not _FIELD_NAME.fullmatch(value) or value.lower() in mdnform.KNOWN:
            raise ValueProblem(f"must be {self.name}")
        return value


class FieldValue(OneLine):
    """What stands in a field of a report."""

    def check(self, value: Any) -> str:
        """Return it without white space at its ends."""
        text = super().check(value).strip()
        if not text:
            raise ValueProblem("must not be empty")
        return text


DISPOSITION: Final = Record(
    {
        "actionMode": String(choices=mdnform.ACTIONS),
        "sendingMode": String(choices=mdnform.SENDINGS),
        "type": String(choices=frozenset(mdnform.TYPES)),
    },
    required=frozenset(("actionMode", "sendingMode", "type")),
    name="a Disposition",
)
PROPERTIES: Final[Mapping[str, tuple[Kind, Any]]] = {
    "forEmailId": (Id(), ...),
    "subject": (Nullable(OneLine(most_octets=MOST_FIELD)), None),
    "textBody": (Nullable(String(most_octets=MOST_TEXT)), None),
    "includeOriginalMessage": (Boolean(), False),
    "reportingUA": (Nullable(FieldValue(most_octets=MOST_FIELD)), None),
    "disposition": (DISPOSITION, ...),
    "finalRecipient": (Nullable(FieldValue(most_octets=MOST_FIELD)), None),
    "extensionFields": (Nullable(MapOf(FieldName(), FieldValue(most_octets=MOST_FIELD), most=100)), None),
}
"""What a client may give of an MDN: kind, and default (... for none)."""
SET_BY_SERVER: Final = ("mdnGateway", "originalRecipient", "originalMessageId", "error")
SEND_ARGUMENTS: Final = {
    "accountId": ACCOUNT,
    "identityId": Argument(Id(), required=True),
    "send": Argument(MapOf(CreationId(), OBJECT, most=MOST_OBJECTS), required=True),
    "onSuccessUpdateEmail": Argument(Nullable(MapOf(String(), OBJECT, most=MOST_OBJECTS))),
}


@dataclass(frozen=True)
class Ready:
    """An MDN that may be sent: composed, with all of its properties, and what its Email is to become."""

    email_id: str
    blob: PackedBlob
    recipients: tuple[str, ...]
    shown: Mapping[str, Any]
    patch: dict[str, Any]


@dataclass(frozen=True)
class Original:
    """The message that an MDN is for."""

    email_id: str
    blob: int
    fields: list[tuple[str, str]]

    def one(self, name: str) -> str | None:
        """Return a field's value, unfolded; None unless it stands there exactly once."""
        found = headers.find_all(self.fields, name)
        return headers.unfold(found[0]).strip() if len(found) == 1 else None


def send_mdns(call: Call, senders: Senders, max_message_size: int) -> dict[str, Any]:
    """Answer MDN/send; the size is of what may be sent, in octets."""
    return Sending(call, senders, max_message_size).answer()


def access_of(call: Call, account_id: str, *, write: bool = False) -> Access:
    """Return the account of a call. Raises InvalidArguments, as RFC 9007 §2.1 and §2.2 have it, or AccountReadOnly."""
    try:
        return call.access(account_id, write=write)
    except AccountNotFound as error:
        raise InvalidArguments(error.description, arguments=["accountId"]) from None


def sets_keyword(patch: Mapping[str, Any]) -> bool:
    """Say whether a patch of an Email sets `$mdnsent`."""
    by_path = any(path.lower() == f"keywords/{MDN_SENT}" and value is True for path, value in patch.items())
    keywords = patch.get("keywords")
    whole = isinstance(keywords, dict) and any(
        name.lower() == MDN_SENT and value is True for name, value in keywords.items()
    )
    return by_path or whole


class Sending:
    """One call of MDN/send."""

    def __init__(self, call: Call, senders: Senders, max_message_size: int) -> None:
        self._call = call
        self._senders = senders
        self._max_message_size = max_message_size

    def answer(self) -> dict[str, Any]:
        """Answer the call."""
        call = self._call
        # RFC 9007 §2.1: both capabilities must be named; whether that is insisted on, is the house's `strict_using`.
        if call.engine.strict_using and MAIL not in call.using:
            raise UnknownMethod(f"{call.name} needs “{MAIL}” in “using”.")
        arguments = call.arguments(SEND_ARGUMENTS)
        access = access_of(call, arguments["accountId"], write=True)
        identity = self._identity(access.account, arguments["identityId"])
        wanted, limit = arguments["send"], call.engine.limits.max_objects_in_set
        if len(wanted) > limit:
            raise RequestTooLarge(f"{call.name} sends at most {limit} MDNs.")
        patches = _patches(wanted, arguments["onSuccessUpdateEmail"])
        ready: dict[str, Ready] = {}
        failed: dict[str, SetError] = {}
        for creation_id, given in wanted.items():
            try:
                ready[creation_id] = self._prepare(access, identity, given, patches[creation_id])
            except SetError as error:
                failed[creation_id] = error
        sent = self._send_all(access, ready, failed) if ready else {}
        return {
            "accountId": access.account_id,
            "sent": sent or None,
            "notSent": {one: failed[one].json() for one in wanted if one in failed} or None,
        }

    def _identity(self, account: int, identity_id: str) -> Mapping[str, Any]:
        key = IdentityType(self._senders).key_of(identity_id)
        found = None if key is None else documents.load(self._call.reader(), IDENTITIES, account, key)
        if found is None:
            raise InvalidArguments(f"There is no Identity “{identity_id[:64]}”.", arguments=["identityId"])
        identity: Mapping[str, Any] = found
        return identity

    # One MDN, outside of the transaction

    def _prepare(
        self, access: Access, identity: Mapping[str, Any], given: Mapping[str, Any], patch: dict[str, Any]
    ) -> Ready:
        """Check an MDN and compose its message. Raises SetError."""
        call, wanted = self._call, _checked(given)
        original = self._original(access.account, call.resolve_id(wanted["forEmailId"]))
        recipients = requested_by(original.fields)
        _check_request(original, recipients, wanted["disposition"])
        author = self._author(access.account, identity["email"], original)
        subject = headers.as_text(headers.find(original.fields, "Subject") or "") or None
        shown = {
            **wanted,
            "forEmailId": original.email_id,
            "subject": wanted["subject"] or mdnform.default_subject(wanted["disposition"], subject)[:MOST_FIELD],
            "textBody": wanted["textBody"] or mdnform.default_text(wanted["disposition"], author, subject),
            "mdnGateway": None,
            "originalRecipient": _original_recipient(original),
            "finalRecipient": self._final_recipient(access.account, wanted["finalRecipient"], author),
            "originalMessageId": _message_id(original),
            "error": None,
        }
        letter = mdnform.Letter(
            {"name": identity["name"] or None, "email": author},
            recipients,
            self._read(original) if wanted["includeOriginalMessage"] else None,
            call.now(),
            access.name.rpartition("@")[2],
            call.engine.token,
        )
        try:
            octets = mdnform.compose(shown, letter)
        except ValueProblem as problem:
            raise invalid_properties(f"The MDN {problem.sentence}.") from None
        if len(octets) > self._max_message_size:
            limit = self._max_message_size
            raise SetError(SetError.TOO_LARGE, f"An MDN may have {limit} octets.", maxSize=limit)
        unsaid = {name: value for name, value in shown.items() if name not in given or given[name] != value}
        return Ready(original.email_id, blobs.pack(octets), recipients, unsaid, patch)

    def _original(self, account: int, email_id: str) -> Original:
        key = key_of_email(email_id)
        stored = None if key is None else ingest.stored(self._call.reader(), account, key)
        if stored is None:
            raise SetError(SetError.NOT_FOUND, f"There is no Email “{email_id[:64]}”.")
        return Original(email_id, stored.blob, stored.headers)

    def _read(self, original: Original) -> bytes:
        """Return the message to give back; what is composed of it waits in memory. Raises SetError (rateLimit)."""
        take_room(self._call, blobs.size(self._call.reader(), original.blob))
        return blobs.read(self._call.reader(), original.blob)

    def _author(self, account: int, identity_email: str, original: Original) -> str:
        """Return the address of whom the MDN is issued for; one of an Identity for a domain got the message (§3)."""
        if not identity_email.startswith(ANY):
            return identity_email
        reader = self._call.reader()
        fields = (raw for name in ("To", "Cc") for raw in headers.find_all(original.fields, name))
        for address in (one["email"] for raw in fields for one in headers.as_addresses(raw)):
            if self._senders.allows(identity_email, address) and self._senders.may_use(reader, account, address):
                return str(address)
        raise SetError("forbiddenFrom", f"The message is for no address of the identity {identity_email}.")

    def _final_recipient(self, account: int, given: str | None, author: str) -> str:
        """Return the Final-Recipient: any address of the user's own may stand there (RFC 8098 §3.2.4)."""
        found = _TYPED.fullmatch(given or author)
        address = found[2].strip().removeprefix("<").removesuffix(">") if found else ""
        if not is_mailbox(address):
            raise invalid_properties("“finalRecipient” must be “rfc822; ” and a mail address.", "finalRecipient")
        if given is not None and not self._senders.may_use(self._call.reader(), account, address):
            raise SetError("forbiddenFrom", f"“{address[:60]}” is not yours to send receipts for.")
        return f"{'rfc822' if address.isascii() else 'utf-8'}; {address}"

    # All of them, in one transaction

    def _send_all(
        self, access: Access, ready: Mapping[str, Ready], failed: dict[str, SetError]
    ) -> dict[str, Mapping[str, Any]]:
        """Queue what is ready and update the Emails; note in `failed` what could not be sent."""
        email_type = self._call.engine.types[EMAILS.type_name]
        sent: dict[str, Mapping[str, Any]] = {}
        updated: dict[str, dict[str, Any] | None] = {}

        def job(tx: Transaction) -> tuple[int, int]:
            before = tx.state(access.account, EMAILS.type_name)
            for creation_id, one in ready.items():
                try:
                    with one_object(tx):
                        self._check_limits(tx, access.account)
                        changed = self._send(tx, access, one, email_type)
                except SetError as error:
                    failed[creation_id] = error
                    continue
                sent[creation_id] = one.shown
                updated.update(changed)
            return before, tx.state(access.account, EMAILS.type_name)

        before, after = self._call.write(job)
        if sent:
            states = {"accountId": access.account_id, "oldState": str(before), "newState": str(after)}
            self._call.answer_too(f"{EMAILS.type_name}/set", {**states, **Outcome(updated=updated).members()})
        return sent

    def _check_limits(self, tx: Transaction, account: int) -> None:
        if queue.waiting(tx, account) >= queue.MOST_WAITING:
            raise SetError(SetError.OVER_QUOTA, f"{queue.MOST_WAITING} messages wait to be sent already.")
        hour = self._call.now() - HOUR_MS
        tx.execute("DELETE FROM mdn_sent WHERE account = ? AND at <= ?", (account, hour))
        if tx.value("SELECT count(*) FROM mdn_sent WHERE account = ?", (account,)) >= MOST_IN_AN_HOUR:
            raise SetError(SetError.RATE_LIMIT, f"{MOST_IN_AN_HOUR} MDNs may be sent in an hour.")

    def _send(
        self, tx: Transaction, access: Access, one: Ready, email_type: DataType
    ) -> dict[str, dict[str, Any] | None]:
        """Queue one MDN and update its Email; return what the update answers. Raises SetError."""
        account, now = access.account, self._call.now()
        if MDN_SENT in _keywords(tx, account, one.email_id):
            raise SetError("mdnAlreadySent", f"The Email has the keyword {MDN_SENT} already.")
        arguments = {"create": None, "update": {one.email_id: one.patch}, "destroy": None}
        outcome = SetRun(email_type, SetContext(tx, access, self._call, arguments)).run()
        for error in outcome.not_updated.values():
            raise error
        if MDN_SENT not in _keywords(tx, account, one.email_id):
            raise invalid_properties(f"The Email would not get the keyword {MDN_SENT}.", "forEmailId")
        # RFC 8098 §3: the envelope's sender is nobody, so that no report can answer it.
        nobody = {"email": "", "parameters": None}
        recipients = {address: {"NOTIFY": "NEVER"} for address in one.recipients}
        queue.put(tx, account, blobs.store(tx, one.blob), nobody, recipients, now=now, release_at=now)
        tx.execute("INSERT INTO mdn_sent VALUES (?, ?)", (account, now))
        return outcome.updated


def _keywords(reader: Reader, account: int, email_id: str) -> Mapping[str, Any]:
    document = documents.load(reader, EMAILS, account, key_of_email(email_id) or 0)
    if document is None:
        raise SetError(SetError.NOT_FOUND, f"There is no Email “{email_id[:64]}”.")
    keywords: Mapping[str, Any] = document["keywords"]
    return keywords


def _patches(wanted: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the patch of each MDN's Email. Raises InvalidArguments unless each sets `$mdnsent` (RFC 9007 §2.1)."""
    patches = dict(given or {})
    unknown = [name for name in patches if not name.startswith("#") or name[1:] not in wanted]
    if unknown:
        raise InvalidArguments(
            f"“onSuccessUpdateEmail” names “{unknown[0][:64]}”, which is no MDN of this call.",
            arguments=["onSuccessUpdateEmail"],
        )
    for creation_id in wanted:
        if not sets_keyword(patches.get(f"#{creation_id}", {})):
            raise InvalidArguments(
                f"“onSuccessUpdateEmail” must set keywords/{MDN_SENT} for “#{creation_id[:64]}”.",
                arguments=["onSuccessUpdateEmail"],
            )
    return {creation_id: patches[f"#{creation_id}"] for creation_id in wanted}


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an MDN's properties in normal form, defaults filled in. Raises SetError with all that is wrong."""
    if "extension" in given and "extensionFields" not in given:
        given = {("extensionFields" if name == "extension" else name): value for name, value in given.items()}
    values, wrong, sentences = {}, [], []
    for name, value in given.items():
        if name in SET_BY_SERVER and value is not None:
            wrong.append(name)
            sentences.append(f"“{name}” is set by the server.")
        elif name not in PROPERTIES and name not in SET_BY_SERVER:
            wrong.append(name)
            sentences.append(f"An MDN has no property “{name[:64]}”.")
    for name, (kind, default) in PROPERTIES.items():
        if default is not ... and (name not in given or (given[name] is None and default is not None)):
            values[name] = default
            continue
        try:
            values[name] = kind.check(given.get(name))
        except ValueProblem as problem:
            wrong.append(name)
            sentences.append(f"“{problem.under(name).path}” {problem.sentence}.")
    if wrong:
        raise invalid_properties(" ".join(sentences), *wrong)
    return values


# --- what the message asks for (RFC 8098 §2) ------------------------------------------------------------------------


def requested_by(fields: list[tuple[str, str]]) -> tuple[str, ...]:
    """Return to whom a message asks MDNs to be sent; nobody, unless it does so in the one form that is valid."""
    asked = headers.find_all(fields, "Disposition-Notification-To")
    addresses = [one["email"] for one in headers.as_addresses(asked[0])] if len(asked) == 1 else []
    if not all(map(is_mailbox, addresses)):
        return ()
    return tuple(dict.fromkeys(addresses))


def _check_request(original: Original, recipients: tuple[str, ...], disposition: Mapping[str, str]) -> None:
    """Raise SetError unless an MDN may be sent at all, and in this way (RFC 8098 §2.1, §2.2)."""
    kind, parameters = headers.content_type(headers.find(original.fields, "Content-Type") or "")
    is_mdn = kind == "multipart/report" and parameters.get("report-type", "").lower() == "disposition-notification"
    if not recipients or is_mdn:  # an MDN asks for none, whatever it says
        raise SetError(SetError.NOT_FOUND, "The message asks for no MDN in a valid Disposition-Notification-To.")
    if len(recipients) > MOST_RECIPIENTS:
        raise SetError(SetError.FORBIDDEN, f"The message asks for MDNs to more than {MOST_RECIPIENTS} addresses.")
    options = " ".join(headers.find_all(original.fields, "Disposition-Notification-Options"))
    if _REQUIRED.search(options):
        raise SetError(SetError.FORBIDDEN, "The message asks for an MDN of a kind that is not known here.")
    if disposition["sendingMode"] == mdnform.SENT_AUTOMATICALLY and not _is_senders(original, recipients):
        raise SetError(
            SetError.FORBIDDEN, "The user must confirm an MDN that goes to somebody else than the message's sender."
        )


def _is_senders(original: Original, recipients: tuple[str, ...]) -> bool:
    """Say whether the one address that MDNs are asked to be sent to is that of the message's sender (RFC 8098 §2.1)."""
    paths = headers.find_all(original.fields, "Return-Path")
    # The first is the one that was put there last, by the server that has delivered the message.
    sender = headers.as_addresses(paths[0]) if paths else []
    return len(recipients) == 1 and len(sender) == 1 and _same(recipients[0], sender[0]["email"])


def _same(one: str, other: str) -> bool:
    """Compare two addresses: the local part letter by letter, without its quotes, and the domain whatever its case."""

    def canonical(address: str) -> tuple[str, str]:
        local, _, domain = address.rpartition("@")
        if local[:1] == local[-1:] == '"':
            local = re.sub(r"\\(.)", r"\1", local[1:-1])
        return local, domain.lower()

    return canonical(one) == canonical(other)


def _original_recipient(original: Original) -> str | None:
    """Return the original recipient, if the message tells just one (RFC 8098 §3.2.3)."""
    value = original.one("Original-Recipient")
    return value if value and _ORIGINAL_RECIPIENT.fullmatch(value) and value.isprintable() else None


def _message_id(original: Original) -> str | None:
    """Return the message's own Message-ID, in brackets (RFC 8098 §3.2.5)."""
    found = headers.as_message_ids(headers.find(original.fields, "Message-ID") or "")
    return f"<{found[0]}>" if found else None
