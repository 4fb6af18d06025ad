"""MDN/parse: what a blob tells as an MDN (RFC 9007 §2.2). How one looks is `mdnform`'s."""

from typing import Any

import orjson

from minijmap.jmap.blobreading import BlobReader
from minijmap.jmap.call import Argument, Call
from minijmap.jmap.errors import RequestTooLarge
from minijmap.jmap.standard import ACCOUNT
from minijmap.jmap.values import Id, ListOf
from minijmap.mail import headers, mdnform, message, reports, search
from minijmap.mail.mdnsend import access_of
from minijmap.store.database import Reader

PARSE_ARGUMENTS = {"accountId": ACCOUNT, "blobIds": Argument(ListOf(Id()), required=True)}


def parse_mdns(call: Call) -> dict[str, Any]:
    """Answer MDN/parse."""
    arguments = call.arguments(PARSE_ARGUMENTS)
    access = access_of(call, arguments["accountId"])
    blob_ids = list(dict.fromkeys(arguments["blobIds"]))
    limit = call.engine.limits.max_objects_in_get
    if len(blob_ids) > limit:
        raise RequestTooLarge(f"{call.name} takes at most {limit} blobs.")
    reader = BlobReader(call, access)
    parsed, not_parsable, not_found = {}, [], []
    for blob_id in blob_ids:
        raw = reader.octets(blob_id)
        if raw is None:
            not_found.append(blob_id)
            continue
        mdn = mdnform.read(raw, message.parse(raw))
        if mdn is None:
            not_parsable.append(blob_id)
        else:
            parsed[blob_id] = {"forEmailId": _email(call.reader(), access.account, mdn["originalMessageId"]), **mdn}
    return {
        "accountId": access.account_id,
        "parsed": parsed or None,
        "notParsable": not_parsable or None,
        "notFound": not_found or None,
    }


def _email(reader: Reader, account: int, message_id: str | None) -> str | None:
    """Return the id of the Email that an MDN is for: what was sent by it, else the one with the Message-ID, or None."""
    identifier = headers.as_message_ids(message_id or "")
    if not identifier or len(identifier[0]) > search.MOST_TERM_CHARACTERS - 2:
        return None
    sent = reports.sent_email(reader, account, identifier[0])
    if sent is not None:
        return sent
    query = search.header_query("message-id", f" <{identifier[0]}> ")
    found = orjson.loads(
        reader.value(
            "SELECT json_group_array(key) FROM (SELECT e.key FROM "
            "(SELECT rowid AS email FROM email_search WHERE email_search MATCH ?) AS d "
            "CROSS JOIN email AS e ON e.key = d.email CROSS JOIN email_content AS c ON c.email = e.key "
            "WHERE e.account = ? AND c.list ->> '$.messageId[0]' = ? LIMIT 2)",
            (query, account, identifier[0]),
        )
    )
    # RFC 9007 §2.2: several may have it, and then nobody can tell.
    return f"e{found[0]}" if len(found) == 1 else None
