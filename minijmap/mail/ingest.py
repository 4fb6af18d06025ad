"""Mail coming in: one parse, then one transaction.

`parse` does all the work that needs no transaction; `add` writes an Email's rows; `deliver` and `Email/import` use
both. The octets are kept exactly as they came. Must not know where a message comes from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from minijmap.jmap import dates
from minijmap.mail import (
    body,
    counts,
    headers,
    message,
    reportform,
    search,
    smimeform,
    smimestatus,
    text,
    threading,
)
from minijmap.mail.keywords import HAS, HAS_NOT, of_arrival
from minijmap.store import blobs, documents
from minijmap.store.blobs import PackedBlob
from minijmap.store.database import Database, Reader, Transaction
from minijmap.store.documents import Collection

EMAILS = Collection("email", "Email")
DELIVERIES = "EmailDelivery"
"""A type that is only pushed: its state changes when an Email comes, and with nothing else (RFC 8621 §1.5)."""
MOST_SORT_CHARACTERS = 255
MOST_ADDRESS_CHARACTERS = 50_000
"""Characters of one address field that go to the index of words."""


@dataclass(frozen=True, slots=True)
class ParsedEmail:
    """A message, read once: everything that its rows will hold."""

    blob: PackedBlob
    listed: Mapping[str, Any]
    """The properties that a list shows, but for those that its place in the account gives."""
    rest: str
    """All header fields and the body's structure, as JSON."""
    words: tuple[str, ...]
    """Its row of the index of words (see `search.indexed`)."""
    references: list[int]
    sort_keys: tuple[str, str, str]
    """From, To and base subject, as RFC 8621 §4.4.2 sorts by them."""
    sent_at: int | None
    arrived_at: int | None
    """When its newest Received field says that it arrived; both in milliseconds."""
    report: reportform.Report | None = None
    """What it tells about a message that was sent."""
    has_smime: bool = False
    """Whether there may be an S/MIME signature: by the types of its parts (see `smimeform`)."""


def parse(raw: bytes) -> ParsedEmail:
    """Read a message. Any octets are a message of some kind: nothing is refused here."""
    root = message.parse(raw)
    convenience = convenience_of(root.headers)
    stored = message.to_json(root)
    subject = text.base_subject(convenience["subject"] or "")
    own, parents = convenience["messageId"] or [], convenience["references"] or []
    nearest = [*own, *(convenience["inReplyTo"] or []), *reversed(parents)]
    return ParsedEmail(
        blob=blobs.pack(raw),
        listed={
            "size": len(raw),
            "hasAttachment": has_attachment(raw, root),
            **convenience,
            "preview": body.preview_of(raw, root),
        },
        rest=documents.dump({"headers": stored["h"], "structure": stored["p"]}),
        words=words_of(raw, root, convenience),
        references=threading.reference_hashes(nearest, subject),
        sort_keys=(_sort_name(convenience["from"]), _sort_name(convenience["to"]), subject[:MOST_SORT_CHARACTERS]),
        sent_at=_milliseconds(convenience["sentAt"]),
        arrived_at=_arrival(root.headers),
        report=reportform.read(raw, root),
        has_smime=smimeform.find(root) is not None,
    )


def convenience_of(fields: headers.Headers) -> dict[str, Any]:
    """Return the convenience properties of header fields (RFC 8621 §4.1.3)."""
    return {name: headers.parse_property(source).value(fields) for name, source in CONVENIENCE.items()}


def words_of(raw: bytes, root: message.Part, convenience: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a message's row of the index of words."""
    return search.indexed(
        (
            *(_address_words(convenience[name]) for name in ("from", "to", "cc", "bcc")),
            convenience["subject"] or "",
            body.search_text(raw, root),
            "\n".join(body.attachment_names(root)),
            search.header_words(root.headers),
        )
    )


def has_attachment(raw: bytes, root: message.Part) -> bool:
    """Return the property of that name (RFC 8621 §4.1.4)."""
    bodies = body.classify(root)
    return body.has_attachment(bodies, body.cited_cids(raw, bodies) if bodies.attachments else None)


CONVENIENCE = {name: f"header:{field}:{form}" for name, (field, form) in headers.CONVENIENCE.items()}
"""The convenience properties, and the header properties that they are short for (RFC 8621 §4.1.3)."""


def _address_words(addresses: list[dict[str, Any]] | None) -> str:
    words = "\n".join(f"{one['name'] or ''} {one['email']}" for one in addresses or ())
    return words[:MOST_ADDRESS_CHARACTERS]


def _sort_name(addresses: list[dict[str, Any]] | None) -> str:
    """Return the name, or else the address, of the first mailbox (RFC 8621 §4.4.2)."""
    if not addresses:
        return ""
    name: str = addresses[0]["name"] or addresses[0]["email"]
    return name[:MOST_SORT_CHARACTERS]


def _arrival(fields: headers.Headers) -> int | None:
    """Return the date of the first Received field, which is the newest (RFC 5321 §4.4), in milliseconds."""
    received = headers.find_all(fields, "Received")
    return _milliseconds(headers.as_date(received[0].rpartition(";")[2])) if received else None


def _milliseconds(date: str | None) -> int | None:
    try:
        return None if date is None else dates.parse_date(date)
    except ValueError:
        return None


@dataclass(frozen=True)
class Added:
    """An Email that was stored."""

    key: int
    thread: int


def add(
    tx: Transaction,
    account: int,
    parsed: ParsedEmail,
    *,
    mailboxes: Sequence[int],
    keywords: Iterable[str],
    received_at: int,
    enforced: bool = True,
    thread_of: threading.Choice = threading.find_or_create,
) -> Added:
    """Store an Email. The caller recounts its thread when it has stored all it has (see `counts.recount`).

    `mailboxes` are keys of the account's Mailboxes, at least one; `received_at` is in milliseconds. Raises OverQuota,
    for the caller to undo the Email, unless `enforced` is False: so comes what the server itself has to tell somebody.
    `thread_of` is for Emails that come with their Threads.
    """
    flags = dict.fromkeys(keywords, True)
    blob = blobs.store(tx, parsed.blob)
    thread = thread_of(tx, account, parsed.references)
    from_key, to_key, subject_key = parsed.sort_keys
    state = {"keywords": flags, "mailboxIds": {f"m{mailbox}": True for mailbox in mailboxes}}
    key = documents.insert(
        tx,
        EMAILS,
        account,
        state,
        {
            "thread": thread,
            "blob": blob,
            "received_at": received_at,
            "sent_at": parsed.sent_at,
            "size": parsed.listed["size"],
            "has_attachment": int(parsed.listed["hasAttachment"]),
            "from_key": from_key,
            "to_key": to_key,
            "subject_key": subject_key,
        },
    )
    placed = {
        "blobId": parsed.blob.blob_id,
        "threadId": f"t{thread}",
        "receivedAt": dates.format_utc_date(received_at),
    }
    tx.execute(
        "INSERT INTO email_content VALUES (?, ?, ?)", (key, documents.dump({**placed, **parsed.listed}), parsed.rest)
    )
    tx.many("INSERT INTO email_mailbox VALUES (?, ?, ?, ?)", [(one, received_at, key, thread) for one in mailboxes])
    tx.many("INSERT INTO email_keyword VALUES (?, ?, ?, ?)", [(account, one, received_at, key) for one in flags])
    search.insert(tx, key, parsed.words)
    if parsed.has_smime:
        smimestatus.note(tx, account, key, received_at)
    blobs.add_use(tx, blob, account, EMAILS.type_name, key, enforced=enforced)
    tx.touch(account, DELIVERIES, tx.state(account, EMAILS.type_name))
    return Added(key, thread)


def email_with_blob(reader: Reader, account: int, blob: PackedBlob) -> int | None:
    """Return the key of the account's Email that has just these octets, or None."""
    key = reader.value(
        "SELECT e.key FROM blob CROSS JOIN email AS e ON e.blob = blob.key WHERE blob.digest = ? AND e.account = ?",
        (blob.digest, account),
    )
    return None if key is None else int(key)


def emails_with_blob(reader: Reader, account: int, blob: PackedBlob) -> list[tuple[int, int]]:
    """Return (key, key of the Thread) of all Emails of the account that have just these octets, by age."""
    return [
        (int(key), int(thread))
        for key, thread in reader.all(
            "SELECT e.key, e.thread FROM blob CROSS JOIN email AS e ON e.blob = blob.key "
            "WHERE blob.digest = ? AND e.account = ? ORDER BY e.key",
            (blob.digest, account),
        )
    ]


def inbox(tx: Transaction, account: int) -> int:
    """Return the key of the Inbox; one is made if the user has none, for mail must go somewhere."""
    return _mailbox(tx, account, "inbox")


def _mailbox(tx: Transaction, account: int, role: str) -> int:
    """Return the key of the Mailbox with a role, which is also its name when it has to be made."""
    key = counts.mailbox_with_role(tx, account, role)
    if key is None:
        from minijmap.mail.mailbox import add_mailbox, free_name

        key = add_mailbox(tx, account, free_name(tx, account, role.capitalize()), role, 1 if role == "inbox" else 10)
    return key


def deliver(
    database: Database, raw: bytes, accounts: Sequence[int], received_at: int, *, is_junk: bool = False
) -> None:
    """Put a message that has arrived into the Inbox of each account, or into Junk. On disk when this returns.

    `received_at` is in milliseconds. All of the accounts get it, or (if this raises) none.
    """
    parsed = parse(raw)
    database.write(lambda tx: arrive(tx, parsed, accounts, received_at, is_junk=is_junk))


def arrive(
    tx: Transaction,
    parsed: ParsedEmail,
    accounts: Iterable[int],
    received_at: int,
    *,
    is_junk: bool = False,
    enforced: bool = True,
) -> None:
    """Put a message that has arrived into the Inbox of each account; `received_at` is in milliseconds.

    Junk goes to the Mailbox with that role instead, and has the keyword `$junk` (RFC 8621 §4.1.1). `enforced`: see
    `add`.
    """
    flags = ["$junk"] if is_junk else []
    for account in accounts:
        mailbox = place_for(tx, account, is_junk=is_junk)
        place(tx, account, parsed, mailboxes=[mailbox], keywords=flags, received_at=received_at, enforced=enforced)
        if not is_junk:
            note_report(tx, account, parsed)


def place_for(tx: Transaction, account: int, *, is_junk: bool = False) -> int:
    """Return the key of the Mailbox where mail arrives when nothing else is said: the Inbox, or that for junk."""
    return _mailbox(tx, account, "junk" if is_junk else "inbox")


def place(
    tx: Transaction,
    account: int,
    parsed: ParsedEmail,
    *,
    mailboxes: Sequence[int],
    keywords: Iterable[str],
    received_at: int,
    enforced: bool = True,
) -> Added:
    """Put a message that has arrived into Mailboxes; its keywords tell the truth about attachments (RFC 9979 §4).

    EmailPush tells of it: what is imported or written here is no news, and goes by `add`. `enforced`: see there.
    """
    wanted = [*(one for one in keywords if one not in (HAS, HAS_NOT)), of_arrival(parsed.listed["hasAttachment"])]
    added = add(tx, account, parsed, mailboxes=mailboxes, keywords=wanted, received_at=received_at, enforced=enforced)
    counts.recount(tx, account, [added.thread])
    tx.execute("INSERT INTO email_arrival VALUES (?, ?, ?)", (account, added.key, int(tx.clock() * 1000)))
    return added


def note_report(tx: Transaction, account: int, parsed: ParsedEmail) -> None:
    """Write down what a message reports, if it does, about one that the account has sent."""
    if parsed.report is not None:
        from minijmap.mail import reports

        reports.note(tx, account, parsed.report, blobs.store(tx, parsed.blob))


@dataclass(frozen=True)
class StoredEmail:
    """What is read of a stored Email to send it: keys of its Thread and its blob, octets, header fields in Raw form."""

    thread: int
    blob: int
    size: int
    headers: list[tuple[str, str]]


def stored(reader: Reader, account: int, key: int) -> StoredEmail | None:
    """Return an Email as it is stored, or None if the account has no such one."""
    row = reader.one(
        "SELECT e.thread, e.blob, e.size, c.rest ->> '$.headers' FROM email AS e "
        "CROSS JOIN email_content AS c ON c.email = e.key WHERE e.key = ? AND e.account = ?",
        (key, account),
    )
    if row is None:
        return None
    thread, blob, size, fields = row
    return StoredEmail(thread, blob, size, [(name, value) for name, value in orjson.loads(fields)])
