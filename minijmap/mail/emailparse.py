"""Email/parse: blobs looked at as messages, without becoming Emails (RFC 8621 §4.9)."""

from typing import Any

from minijmap.jmap.call import Argument, Call
from minijmap.jmap.errors import InvalidArguments, RequestTooLarge
from minijmap.jmap.methods import Method
from minijmap.jmap.standard import ACCOUNT
from minijmap.jmap.values import Boolean, Id, ListOf, Nullable, String, unsigned_int
from minijmap.mail import body, emailget, headers, ingest, message
from minijmap.mail.capability import MAIL
from minijmap.mail.emailget import BodyArguments, View
from minijmap.store import blobs

DEFAULT_PROPERTIES = (
    *("messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt"),
    *("hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments"),
)
STORED_ONLY = ("id", "mailboxIds", "keywords", "receivedAt", "threadId")
"""Properties that are null, since the message is no Email."""
KNOWN = frozenset((*emailget.DEFAULT_PROPERTIES, *emailget.BODY_PROPERTIES, "headers"))
PARSE_ARGUMENTS = {
    "accountId": ACCOUNT,
    "blobIds": Argument(ListOf(Id()), required=True),
    "properties": Argument(Nullable(ListOf(String(), most=1000))),
    "bodyProperties": Argument(Nullable(ListOf(String(), most=1000))),
    "fetchTextBodyValues": Argument(Boolean(), default=False),
    "fetchHTMLBodyValues": Argument(Boolean(), default=False),
    "fetchAllBodyValues": Argument(Boolean(), default=False),
    "maxBodyValueBytes": Argument(unsigned_int(), default=0),
}


def parse_emails(call: Call) -> dict[str, Any]:
    """Answer Email/parse."""
    arguments = call.arguments(PARSE_ARGUMENTS)
    access = call.access(arguments["accountId"])
    names = tuple(dict.fromkeys(DEFAULT_PROPERTIES if arguments["properties"] is None else arguments["properties"]))
    for name in names:
        if name not in KNOWN and not emailget.is_header_property(name):
            raise InvalidArguments(f"Email has no property “{name}”.", arguments=["properties"])
    wrong = emailget.wrong_body_property(arguments["bodyProperties"])
    if wrong is not None:
        raise InvalidArguments(f"An EmailBodyPart has no property “{wrong}”.", arguments=["bodyProperties"])
    blob_ids = list(dict.fromkeys(arguments["blobIds"]))
    limit = call.engine.limits.max_objects_in_get
    if len(blob_ids) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} blobs.")
    parsed, not_parsable, not_found = {}, [], []
    for blob_id in blob_ids:
        raw = blobs.open_blob(call.reader(), access.account, blob_id)
        if raw is None:
            not_found.append(blob_id)
            continue
        shown = _show(raw, blob_id, names, BodyArguments.of(arguments))
        if shown is None:
            not_parsable.append(blob_id)
        else:
            parsed[blob_id] = shown
    return {
        "accountId": access.account_id,
        "parsed": parsed or None,
        "notParsable": not_parsable or None,
        "notFound": not_found or None,
    }


def _show(raw: bytes, blob_id: str, names: tuple[str, ...], arguments: BodyArguments) -> dict[str, Any] | None:
    """Show a message; None for octets that don't begin with a header field."""
    root = message.parse(raw)
    if not root.headers:
        return None
    view = View(root, blob_id, lambda: raw, arguments)
    shown: dict[str, Any] = {}
    for name in names:
        if name in STORED_ONLY:
            shown[name] = None
        elif name in ingest.CONVENIENCE:
            shown[name] = headers.parse_property(ingest.CONVENIENCE[name]).value(root.headers)
        elif name == "blobId":
            shown[name] = blob_id
        elif name == "size":
            shown[name] = len(raw)
        elif name == "hasAttachment":
            shown[name] = ingest.has_attachment(raw, root)
        elif name == "preview":
            shown[name] = body.preview_of(raw, root)
        else:
            shown[name] = view.value(name)
    return shown


EMAIL_PARSE = Method("Email/parse", MAIL, parse_emails)
