"""The Thread type (RFC 8621 §3): read only, its Emails oldest first. How Emails come together is `threading`'s."""

import orjson

from minijmap.jmap.datatype import DataType, Property
from minijmap.jmap.values import Id, ListOf
from minijmap.mail import emailget
from minijmap.mail.capability import MAIL
from minijmap.mail.threading import THREADS
from minijmap.store import documents
from minijmap.store.database import Reader

EMAIL_IDS = (
    "(SELECT json_group_array('e' || key) FROM "
    "(SELECT e.key FROM email AS e WHERE e.thread = t.key ORDER BY e.received_at, e.key))"
)


class ThreadType(DataType):
    """Thread, as a table."""

    name = "Thread"
    capability = MAIL
    prefix = "t"
    collection = THREADS
    shows_blobs = True
    verbs = ("get", "changes")
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "emailIds": Property(ListOf(Id()), server_set=True, column=EMAIL_IDS),
    }

    def holders(self, reader: Reader, account: int, blob_id: str) -> list[int]:
        """Return the keys of the Threads of the Emails that refer to a blob (RFC 9404 §4.3)."""
        emails = emailget.holders(reader, account, blob_id)
        found: list[int] = orjson.loads(
            reader.value(
                "SELECT json_group_array(thread) FROM (SELECT DISTINCT e.thread FROM json_each(?) AS asked "
                "CROSS JOIN email AS e ON e.key = asked.value ORDER BY e.thread)",
                (documents.dump(emails),),
            )
        )
        return found
