"""The VacationResponse type (RFC 8621 §8): what an account answers while its user is away.

Owns the settings alone; who is answered, and how often, is the business of whoever delivers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from minijmap.jmap import dates
from minijmap.jmap.datatype import SINGLETON_KEY, DataType, Property, SetContext
from minijmap.jmap.values import Boolean, Id, Nullable, String, UTCDate
from minijmap.mail.capability import VACATION
from minijmap.store import documents
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import Collection

RESPONSES = Collection("vacation_response", "VacationResponse")
MOST_SUBJECT = 998
MOST_BODY = 1 << 20
DEFAULTS: Mapping[str, Any] = {
    "isEnabled": False,
    "fromDate": None,
    "toDate": None,
    "subject": None,
    "textBody": None,
    "htmlBody": None,
}


@dataclass(frozen=True)
class VacationResponse:
    """The settings of an account. Times in milliseconds."""

    is_enabled: bool
    from_date: int | None
    to_date: int | None
    subject: str | None
    text_body: str | None
    html_body: str | None
    version: int
    """Another number after every change."""

    def is_due(self, at: int) -> bool:
        """Say whether a message that arrives at a time is to be answered (RFC 8621 §8)."""
        after = self.from_date is None or at >= self.from_date
        return self.is_enabled and after and (self.to_date is None or at < self.to_date)


def current(reader: Reader, account: int) -> VacationResponse:
    """Return the settings of an account."""
    row = reader.one("SELECT doc, changed FROM vacation_response WHERE account = ?", (account,))
    document, version = (DEFAULTS, 0) if row is None else (orjson.loads(row[0]), row[1])
    return VacationResponse(
        document["isEnabled"],
        _milliseconds(document["fromDate"]),
        _milliseconds(document["toDate"]),
        document["subject"],
        document["textBody"],
        document["htmlBody"],
        version,
    )


def enable(tx: Transaction, account: int, *, is_enabled: bool) -> None:
    """Turn the response on or off, and leave all else."""
    document = documents.load(tx, RESPONSES, account, SINGLETON_KEY)
    if document is None:
        documents.insert(tx, RESPONSES, account, {**DEFAULTS, "isEnabled": is_enabled}, {"created": 0})
    elif document["isEnabled"] != is_enabled:
        documents.update(tx, RESPONSES, account, SINGLETON_KEY, {**document, "isEnabled": is_enabled})


def _milliseconds(date: str | None) -> int | None:
    return None if date is None else dates.parse_utc_date(date)


def tell_nobody(tx: Transaction, account: int) -> None:
    """Do nothing: nobody else is to know of a change."""
    _ = (tx, account)


class VacationResponseType(DataType):
    """VacationResponse, as a table. There is one in every account (RFC 8621 §8.1)."""

    name = "VacationResponse"
    capability = VACATION
    prefix = ""
    collection = RESPONSES
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

    def __init__(self, changed: Callable[[Transaction, int], None] = tell_nobody) -> None:
        """`changed` is called with the account when its settings have changed, inside the transaction."""
        self._changed = changed

    def update(self, context: SetContext, key: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        """Store changed settings."""
        more = super().update(context, key, before, after)
        self._changed(context.tx, context.account)
        return more
