"""The Thread type (RFC 8621 §3): read only, its Emails oldest first. How Emails come together is `threading`'s."""

from minijmap.jmap.datatype import DataType, Property
from minijmap.jmap.values import Id, ListOf
from minijmap.mail.capability import MAIL
from minijmap.mail.threading import THREADS

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
    verbs = ("get", "changes")
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "emailIds": Property(ListOf(Id()), server_set=True, column=EMAIL_IDS),
    }
