"""The VacationResponse type (RFC 8621 §8): what an account answers while its user is away.

Owns the settings alone; who is answered, and how often, is the business of whoever delivers.
"""

from minijmap.jmap.datatype import DataType, Property
from minijmap.jmap.values import Boolean, Id, Nullable, String, UTCDate
from minijmap.mail.capability import VACATION
from minijmap.store.documents import Collection

MOST_SUBJECT = 998
MOST_BODY = 1 << 20


class VacationResponseType(DataType):
    """VacationResponse, as a table. There is one in every account (RFC 8621 §8.1)."""

    name = "VacationResponse"
    capability = VACATION
    prefix = ""
    collection = Collection("vacation_response", "VacationResponse")
    verbs = ("get", "set")
    singleton = "singleton"
    properties = {
        "id": Property(Id(), immutable=True, server_set=True),
        "isEnabled": Property(Boolean(), default=False),
        "fromDate": Property(Nullable(UTCDate()), default=None),
        "toDate": Property(Nullable(UTCDate()), default=None),
        "subject": Property(Nullable(String(most_octets=MOST_SUBJECT, net_unicode=True)), default=None),
        "textBody": Property(Nullable(String(most_octets=MOST_BODY)), default=None),
        "htmlBody": Property(Nullable(String(most_octets=MOST_BODY)), default=None),
    }
