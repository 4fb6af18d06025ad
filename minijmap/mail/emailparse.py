"""Email/parse: blobs looked at as messages, without becoming Emails (RFC 8621 §4.9)."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from minijmap.jmap.blobreading import BlobReader
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.errors import InvalidArguments, RequestTooLarge
from minijmap.jmap.standard import ACCOUNT
from minijmap.jmap.values import Boolean, Id, ListOf, Nullable, String, unsigned_int
from minijmap.mail import body, emailget, headers, ingest, message, smimestatus
from minijmap.mail.capability import SMIME
from minijmap.mail.emailget import BodyArguments, View
from minijmap.mail.smimetrust import TrustStore

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


def parse_emails(call: Call, trust: TrustStore) -> dict[str, Any]:
    """Answer Email/parse; `trust` is what S/MIME signatures are verified by."""
    arguments = call.arguments(PARSE_ARGUMENTS)
    access = call.access(arguments["accountId"])
    names = tuple(dict.fromkeys(DEFAULT_PROPERTIES if arguments["properties"] is None else arguments["properties"]))
    for name in names:
        if not _is_known(name, call.using):
            raise InvalidArguments(f"Email has no property “{name}”.", arguments=["properties"])
    wrong = emailget.wrong_body_property(arguments["bodyProperties"])
    if wrong is not None:
        raise InvalidArguments(f"An EmailBodyPart has no property “{wrong}”.", arguments=["bodyProperties"])
    blob_ids = list(dict.fromkeys(arguments["blobIds"]))
    limit = call.engine.limits.max_objects_in_get
    if len(blob_ids) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} blobs.")
    own = [name for name in names if name not in smimestatus.PROPERTIES]
    reader = BlobReader(call, access)
    parsed, not_parsable, not_found = {}, [], []
    for blob_id in blob_ids:
        raw = reader.octets(blob_id)
        if raw is None:
            not_found.append(blob_id)
            continue
        root = message.parse(raw)
        if not root.headers:  # octets that don't begin with a header field
            not_parsable.append(blob_id)
            continue
        shown = _show(raw, root, blob_id, own, BodyArguments.of(arguments))
        signed = smimestatus.parsed(raw, root, trust, call.now()) if len(own) < len(names) else {}
        parsed[blob_id] = {**shown, **{name: value for name, value in signed.items() if name in names}}
    return {
        "accountId": access.account_id,
        "parsed": parsed or None,
        "notParsable": not_parsable or None,
        "notFound": not_found or None,
    }


def _is_known(name: str, using: AbstractSet[str]) -> bool:
    if name in smimestatus.PROPERTIES:
        return SMIME in using
    return name in KNOWN or emailget.is_header_property(name)


def _show(
    raw: bytes, root: message.Part, blob_id: str, names: Sequence[str], arguments: BodyArguments
) -> dict[str, Any]:
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
