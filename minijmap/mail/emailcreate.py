"""Email/set create: a message is composed and stored as an Email (RFC 8621 §4.6).

The octets are made by `compose`, outside of the transaction; here its errors become SetErrors.
"""

from collections.abc import Mapping
from typing import Any

from minijmap.jmap import dates
from minijmap.jmap.call import Call
from minijmap.jmap.datatype import SetContext
from minijmap.jmap.errors import SetError, invalid_properties
from minijmap.jmap.session import Access
from minijmap.mail import compose, emailimport, ingest
from minijmap.mail.keywords import check_truth
from minijmap.store import blobs

Composed = Mapping[str, ingest.ParsedEmail | SetError]
"""What became of each creation id's message."""


def compose_all(call: Call, access: Access, wanted: Mapping[str, Any]) -> Composed:
    """Compose the message of every Email to be created."""
    return {creation_id: _compose(call, access, email) for creation_id, email in wanted.items()}


def _compose(call: Call, access: Access, email: Mapping[str, Any]) -> ingest.ParsedEmail | SetError:
    try:
        octets = compose.compose(
            email,
            open_blob=lambda blob_id: blobs.open_blob(call.reader(), access.account, call.resolve_id(blob_id)),
            now_ms=call.now(),
            hostname=access.name.rpartition("@")[2],
            random_token=call.engine.token,
        )
    except compose.ComposeProblem as problem:
        return invalid_properties(problem.description, *problem.properties)
    except compose.BlobsNotFound as problem:
        return SetError("blobNotFound", str(problem), notFound=list(problem.blob_ids))
    except compose.AttachmentsTooLarge as problem:
        return SetError(SetError.TOO_LARGE, str(problem), maxSize=problem.limit)
    return ingest.parse(octets)


def store_composed(
    context: SetContext, composed: ingest.ParsedEmail | SetError, wanted: Mapping[str, Any]
) -> ingest.Added:
    """Store one of them; `wanted` has the checked keywords, mailboxIds and receivedAt. Raises SetError."""
    if isinstance(composed, SetError):
        raise composed
    check_truth(wanted["keywords"], composed.listed["hasAttachment"])
    received_at = context.call.now() if wanted["receivedAt"] is None else dates.parse_utc_date(wanted["receivedAt"])
    incoming = emailimport.Incoming(composed, wanted["mailboxIds"], wanted["keywords"], received_at)
    return emailimport.store(context.tx, context.account, incoming)
