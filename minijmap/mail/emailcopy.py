"""Email/copy: an Email of one account becomes another's (RFC 8621 §4.7).

A standard /copy (RFC 8620 §5.4), but that a message is more than its properties: its octets go along.
"""

from typing import Any

import orjson

from minijmap.jmap import dates
from minijmap.jmap.call import Call
from minijmap.jmap.copying import COPY_ARGUMENTS, two_accounts
from minijmap.jmap.errors import RequestTooLarge, SetError
from minijmap.jmap.session import Access
from minijmap.jmap.values import Id, Kind, Nullable, UTCDate
from minijmap.mail import emailimport, ingest
from minijmap.mail.email import MAILBOX_IDS, check_limits, key_of_email
from minijmap.mail.emailimport import Incoming
from minijmap.mail.ingest import EMAILS
from minijmap.mail.keywords import KEYWORDS
from minijmap.store import blobs

COPIED: dict[str, tuple[Kind, Any]] = {
    "id": (Id(), ...),
    "mailboxIds": (MAILBOX_IDS, ...),
    "keywords": (Nullable(KEYWORDS), None),
    "receivedAt": (Nullable(UTCDate()), None),
}
"""What may be given of a copy; null, or nothing, keeps the original's value."""


def copy_emails(call: Call) -> dict[str, Any]:
    """Answer Email/copy."""
    arguments = call.arguments(COPY_ARGUMENTS)
    source, target = two_accounts(call, arguments["fromAccountId"], arguments["accountId"])
    wanted = arguments["create"]
    limit = call.engine.limits.max_objects_in_set
    if len(wanted) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} Emails.")
    states = [(EMAILS, source, arguments["ifFromInState"]), (EMAILS, target, arguments["ifInState"])]
    # Before the copies take over the creation ids of their originals.
    originals = {creation_id: call.resolve_id(str(one.get("id"))) for creation_id, one in wanted.items()}
    stored = emailimport.store_all(call, target, wanted, lambda one: _prepare(call, source, one), states)
    if arguments["onSuccessDestroyOriginal"] and stored.created:
        call.follow_with(
            "Email/set",
            {
                "accountId": source.account_id,
                "destroy": [originals[creation_id] for creation_id in stored.created],
                "ifInState": arguments["destroyFromIfInState"],
            },
        )
    return {"fromAccountId": source.account_id, "accountId": target.account_id, **stored.members()}


def _prepare(call: Call, source: Access, wanted: dict[str, Any]) -> Incoming:
    """Check what is wanted of a copy, and read the original's message."""
    values = emailimport.checked(call, COPIED, wanted, "A copy")
    key = key_of_email(values["id"])
    row = key and call.reader().one(
        "SELECT blob, doc, received_at FROM email WHERE key = ? AND account = ?", (key, source.account)
    )
    if not row:
        raise SetError(SetError.NOT_FOUND, f"The account to copy from has no Email “{values['id']}”.")
    blob, text, received_at = row
    keywords = orjson.loads(text)["keywords"] if values["keywords"] is None else values["keywords"]
    check_limits({"mailboxIds": values["mailboxIds"], "keywords": keywords})
    if values["receivedAt"] is not None:
        received_at = dates.parse_utc_date(values["receivedAt"])
    return Incoming(ingest.parse(blobs.read(call.reader(), blob)), values["mailboxIds"], keywords, received_at)
