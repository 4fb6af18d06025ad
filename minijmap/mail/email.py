"""The Email type (RFC 8621 §4): its properties, and what changes: keywords, Mailboxes, existence.

How an Email is shown is `emailget`'s, how it is found `emailquery`'s, how it comes in `ingest`'s. The rows that are
kept beside an Email change here, in the same transaction.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import orjson

from minijmap.jmap.datatype import DataType, Fetched, Property, Scope, SetContext, Touched
from minijmap.jmap.errors import InvalidArguments, SetError, invalid_properties
from minijmap.jmap.query import QueryPlan
from minijmap.jmap.values import (
    Anything,
    Boolean,
    Id,
    Kind,
    ListOf,
    MapOf,
    Nullable,
    String,
    TrueOnly,
    UTCDate,
    unsigned_int,
)
from minijmap.mail import counts, emailget, emailquery, smimestatus, threading
from minijmap.mail.capability import MAIL, MOST_KEYWORDS_PER_EMAIL, MOST_MAILBOXES_PER_EMAIL, SMIME
from minijmap.mail.ingest import EMAILS
from minijmap.mail.keywords import KEYWORDS, check_truth
from minijmap.store import blobs, documents
from minijmap.store.database import Reader, Transaction

if TYPE_CHECKING:
    from minijmap.jmap.call import Call
    from minijmap.jmap.session import Access

SERVER_MADE = frozenset(("id", "blobId", "threadId", "size", "hasAttachment", "preview", *smimestatus.PROPERTIES))
CHANGEABLE = ("id", "keywords", "mailboxIds")
MAILBOX_IDS = MapOf(Id(), TrueOnly())


def _fixed(kind: Kind | None = None, capability: str | None = None) -> Property:
    return Property(kind or Anything(), immutable=True, server_set=True, capability=capability)


class EmailType(DataType):
    """Email, as a table."""

    name = "Email"
    capability = MAIL
    prefix = "e"
    collection = EMAILS
    holds_blobs = True
    verbs = ("get", "changes", "set", "query", "queryChanges")
    properties = {
        "id": _fixed(Id()),
        "blobId": _fixed(Id()),
        "threadId": _fixed(Id()),
        "mailboxIds": Property(MAILBOX_IDS),
        "keywords": Property(KEYWORDS, default={}),
        "size": _fixed(unsigned_int()),
        "receivedAt": Property(UTCDate(), default=None, immutable=True),
        **{name: _fixed() for name in (*emailget.HEADER_PROPERTIES, "headers", "hasAttachment", "preview")},
        **{name: _fixed() for name in emailget.BODY_PROPERTIES},
        **{name: _fixed(capability=SMIME) for name in smimestatus.PROPERTIES},
    }
    get_arguments = {
        "bodyProperties": Nullable(ListOf(String(), most=1000)),
        "fetchTextBodyValues": Boolean(),
        "fetchHTMLBodyValues": Boolean(),
        "fetchAllBodyValues": Boolean(),
        "maxBodyValueBytes": unsigned_int(),
    }
    query_arguments = {"collapseThreads": Boolean()}
    query_defaults = {"collapseThreads": False}
    filters = emailquery.FILTERS
    sorts = emailquery.SORTS

    def __init__(self, statuses: smimestatus.Statuses | None = None) -> None:
        """`statuses` finds what S/MIME signatures are worth; without it they are as they are known."""
        self._statuses = statuses

    # Reading

    def default_properties(self) -> Sequence[str]:
        """Return what Email/get answers when `properties` is null (RFC 8621 §4.2)."""
        return emailget.DEFAULT_PROPERTIES

    def check_properties(self, names: Sequence[str]) -> str | None:
        """Return the first name that is no property of an Email; `header:…` is one (RFC 8621 §4.1.3)."""
        for name in names:
            if name not in self.properties and not emailget.is_header_property(name):
                return name
        return None

    def fetch(
        self,
        call: "Call",
        access: "Access",
        keys: Sequence[int] | None,
        names: Sequence[str],
        arguments: Mapping[str, Any],
    ) -> Fetched:
        """Read Emails (RFC 8621 §4.2)."""
        wrong = emailget.wrong_body_property(arguments["bodyProperties"])
        if wrong is not None:
            raise InvalidArguments(f"An EmailBodyPart has no property “{wrong}”.", arguments=["bodyProperties"])
        reader = call.reader()
        if keys is None:
            keys = [row[0] for row in reader.all("SELECT key FROM email WHERE account = ?", (access.account,))]
        if self._statuses is not None and not smimestatus.FINDING.isdisjoint(names):
            self._statuses.find_for(smimestatus.store_of(call), access.account, keys, call.now())
        return self._read(call.reader(), access.account, keys, names, emailget.BodyArguments.of(arguments))

    def read(self, reader: Reader, account: int, keys: Sequence[int] | None, names: Sequence[str]) -> Fetched:
        """Read Emails without body values."""
        return self._read(reader, account, list(keys or ()), names, emailget.BodyArguments())

    def _read(
        self,
        reader: Reader,
        account: int,
        keys: Sequence[int],
        names: Sequence[str],
        arguments: emailget.BodyArguments,
    ) -> Fetched:
        """Read Emails; what RFC 9219 adds is beside them, for it changes."""
        beside = [name for name in names if name in smimestatus.PROPERTIES]
        own = [name for name in names if name not in smimestatus.PROPERTIES]
        fetched = emailget.fetch(reader, account, keys, own, arguments)
        if not beside:
            return fetched
        known = smimestatus.values(reader, fetched.keys)
        emails = self.plain(fetched)
        for key, one in zip(fetched.keys, emails, strict=True):
            one |= {name: known[key][name] for name in beside}
        return Fetched(emails, fetched.keys)

    def holders(self, reader: Reader, account: int, blob_id: str) -> list[int]:
        """Return the keys of the Emails that have a message or a part with a blobId (RFC 9404 §4.3)."""
        return emailget.holders(reader, account, blob_id)

    # /set (RFC 8621 §4.6)

    def may_create(self, name: str) -> bool:
        """Say whether a client may give a property on create: any but what the server makes (RFC 8621 §4.6)."""
        return name not in SERVER_MADE

    def created_properties(self) -> Sequence[str]:
        """Return none: `create` answers with what RFC 8621 §4.6 asks for."""
        return ("id",)

    def prepare(self, call: "Call", access: "Access", arguments: Mapping[str, Any]) -> Any:
        """Compose the messages of the Emails to be created."""
        from minijmap.mail.emailcreate import compose_all

        return compose_all(call, access, arguments["create"] or {})

    def create(self, context: SetContext, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Store an Email that was composed."""
        from minijmap.mail import emailcreate, emailimport

        check_limits(wanted)
        composed = context.prepared[context.creation_id]
        added = emailcreate.store_composed(context, composed, wanted)
        context.notes.setdefault("threads", set()).add(added.thread)
        return added.key, emailimport.shown(added, composed)

    def load(self, tx: Transaction, account: int, key: int) -> dict[str, Any] | None:
        """Return what can change of an Email."""
        document = documents.load(tx, EMAILS, account, key)
        return None if document is None else {"id": self.id_of(key), **document}

    def load_for(self, tx: Transaction, account: int, key: int, names: AbstractSet[str]) -> dict[str, Any] | None:
        """Return that, and what else a patch names: a client may repeat what can't change (RFC 8620 §5.3)."""
        fixed = [name for name in names if name not in CHANGEABLE and self.check_properties([name]) is None]
        if not fixed:
            return self.load(tx, account, key)
        found = self.plain(self.read(tx, account, [key], (*CHANGEABLE, *fixed)))
        return found[0] if found else None

    def normal_patch(self, patch: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take `keywords/x: false` for a removal, and any case of a keyword (RFC 8621 §4.1.1)."""
        _ = before
        return {
            (path.lower() if path.startswith("keywords/") else path): (
                None if value is False and path.startswith(("keywords/", "mailboxIds/")) else value
            )
            for path, value in patch.items()
        }

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Store changed keywords and Mailboxes."""
        tx, account = context.tx, context.account
        check_limits(after)
        keywords, mailbox_ids = after["keywords"], after["mailboxIds"]
        row = tx.one("SELECT received_at, thread, has_attachment FROM email WHERE key = ?", (key,))
        received_at, thread, has_attachment = row or (0, 0, 0)
        if keywords != before["keywords"]:
            check_truth(keywords, bool(has_attachment))
        _change_keywords(tx, account, key, received_at, before["keywords"], keywords)
        if before["mailboxIds"].keys() != mailbox_ids.keys():
            old = {int(one[1:]) for one in before["mailboxIds"]}
            new = set(mailbox_keys(tx, account, mailbox_ids))
            _change_mailboxes(tx, (key, received_at, thread), old, new)
        documents.update(tx, EMAILS, account, key, {"keywords": keywords, "mailboxIds": mailbox_ids})
        context.notes.setdefault("threads", set()).add(thread)
        return {}

    def destroy(self, context: SetContext, key: int) -> None:
        """Remove an Email from everywhere."""
        thread = destroy_email(context.tx, context.account, key)
        if thread is None:
            raise SetError(SetError.NOT_FOUND)
        context.notes.setdefault("threads", set()).add(thread)

    def finish(self, context: SetContext) -> None:
        """Bring the Mailboxes' counts up to date, once for all that has changed."""
        counts.recount(context.tx, context.account, context.notes.get("threads", ()))

    # /query (RFC 8621 §4.4)

    def prepare_query(self, call: "Call", access: "Access", arguments: Mapping[str, Any]) -> None:
        """Find the statuses of S/MIME signatures if the filter looks at them (RFC 9219 §4.2)."""
        if self._statuses is not None and smimestatus.names_smime(arguments["filter"]):
            self._statuses.find_for_query(smimestatus.store_of(call), access.account, call.now())

    def plan(self, scope: Scope, arguments: Mapping[str, Any]) -> QueryPlan:
        """Return the plan of a query."""
        return emailquery.plan(self, scope, arguments)

    def touched(self, reader: Reader, account: int, since: int, arguments: Mapping[str, Any]) -> Touched:
        """Return whose place in a query's results may have changed."""
        own = super().touched(reader, account, since, arguments)
        if not emailquery.looks_at_threads(arguments):
            return own
        return emailquery.with_threads(reader, account, since, own)


def key_of_email(email_id: str) -> int | None:
    """Return the key that an Email's id names, or None."""
    return EmailType().key_of(email_id)


def check_limits(email: Mapping[str, Any]) -> None:
    """Check what an Email may have at most, and must have at least (RFC 8621 §4.6)."""
    if not email["mailboxIds"]:
        raise invalid_properties("An Email must be in at least one Mailbox.", "mailboxIds")
    if len(email["mailboxIds"]) > MOST_MAILBOXES_PER_EMAIL:
        raise SetError("tooManyMailboxes", f"An Email may be in {MOST_MAILBOXES_PER_EMAIL} Mailboxes.")
    if len(email["keywords"]) > MOST_KEYWORDS_PER_EMAIL:
        raise SetError("tooManyKeywords", f"An Email may have {MOST_KEYWORDS_PER_EMAIL} keywords.")


def mailbox_keys(reader: Reader, account: int, mailbox_ids: Mapping[str, Any]) -> list[int]:
    """Return the keys of Mailboxes. Raises SetError for one that is not there."""
    digits = {
        one: int(one[1:]) if one[0] == "m" and one[1:].isdecimal() and len(one) < 19 else 0 for one in mailbox_ids
    }
    there = documents.existing(reader, counts.MAILBOXES, account, digits.values())
    missing = [one for one, key in digits.items() if key not in there or one != f"m{key}"]
    if missing:
        raise invalid_properties(f"There is no Mailbox “{missing[0]}”.", "mailboxIds")
    return list(digits.values())


def _change_keywords(
    tx: Transaction, account: int, key: int, received_at: int, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    rows = [(account, one, received_at, key) for one in before.keys() - after.keys()]
    tx.many("DELETE FROM email_keyword WHERE account = ? AND keyword = ? AND received_at = ? AND email = ?", rows)
    tx.many(
        "INSERT INTO email_keyword VALUES (?, ?, ?, ?)",
        [(account, one, received_at, key) for one in after.keys() - before.keys()],
    )


def _change_mailboxes(tx: Transaction, email: tuple[int, int, int], old: set[int], new: set[int]) -> None:
    key, received_at, thread = email
    tx.many(
        "DELETE FROM email_mailbox WHERE mailbox = ? AND received_at = ? AND email = ?",
        [(one, received_at, key) for one in old - new],
    )
    tx.many("INSERT INTO email_mailbox VALUES (?, ?, ?, ?)", [(one, received_at, key, thread) for one in new - old])


def destroy_email(tx: Transaction, account: int, key: int) -> int | None:
    """Remove an Email and its rows; return its thread's key for the recount, or None if there was no such Email.

    Its words stay in the index until that is rebuilt: keys are never used again, and every search joins.
    """
    row = tx.one("SELECT thread, blob, received_at, doc FROM email WHERE key = ? AND account = ?", (key, account))
    if row is None:
        return None
    thread, blob, received_at, text = row
    document = orjson.loads(text)
    _change_keywords(tx, account, key, received_at, document["keywords"], {})
    tx.execute("DELETE FROM email_mailbox WHERE email = ?", (key,))
    tx.execute("DELETE FROM email_content WHERE email = ?", (key,))
    smimestatus.forget(tx, key)
    documents.destroy(tx, EMAILS, account, key)
    blobs.remove_use(tx, blob, account, EMAILS.type_name, key)
    threading.email_left(tx, account, thread)
    return int(thread)


def leave_mailbox(tx: Transaction, account: int, mailbox: int) -> None:
    """Take every Email out of a Mailbox; one that is nowhere else is destroyed (RFC 8621 §2.5)."""
    threads = set()
    for key, thread, received_at, text in tx.all(
        "SELECT e.key, e.thread, e.received_at, e.doc FROM email_mailbox AS m CROSS JOIN email AS e ON e.key = m.email "
        "WHERE m.mailbox = ?",
        (mailbox,),
    ):
        threads.add(thread)
        document = orjson.loads(text)
        if len(document["mailboxIds"]) == 1:
            destroy_email(tx, account, key)
            continue
        del document["mailboxIds"][f"m{mailbox}"]
        _change_mailboxes(tx, (key, received_at, thread), {mailbox}, set())
        documents.update(tx, EMAILS, account, key, document)
    counts.recount(tx, account, threads)
