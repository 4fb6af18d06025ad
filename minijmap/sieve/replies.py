"""Answering for users who are away: the action vacation (RFC 5230, RFC 6131) and the VacationResponse (RFC 8621 §8).

Owns who is never answered (RFC 3834 §2, RFC 5230 §4.5, §4.6), how often somebody is, and what the answer looks like.
When a script asks for an answer, and where its copy goes, is known elsewhere.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from minijmap.mail import headers, vacation
from minijmap.mail.addressing import is_mailbox
from minijmap.sieve import records, vacationscript
from minijmap.sieve.actions import Vacation
from minijmap.sieve.case import Case
from minijmap.sieve.compose import mime_entity, text_entity
from minijmap.sieve.letters import CannotWrite, Letter, compose

_DAEMONS: Final = re.compile(
    r"(?:mailer-daemon|listserv|majordomo|no-?reply|do-?not-?reply|bounces?|owner-.*|.*-owner|.*-request|.*-bounces?"
    r"|.*-bounces?[+=-].*)",
    re.IGNORECASE,
)
"""The local parts that nobody is behind (RFC 5230 §4.6)."""
_LIST_FIELDS: Final = tuple(
    f"List-{name}" for name in ("Id", "Help", "Subscribe", "Unsubscribe", "Post", "Owner", "Archive")
)
_PERSONAL_FIELDS: Final = ("To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc")
_BULK: Final = frozenset(("bulk", "list", "junk"))
_NEVER: Final = {"NOTIFY": "NEVER"}
"""RFC 5230 §5.1: nobody is told when an answer does not arrive."""
DAY_MS: Final = records.DAY_MS


@dataclass(frozen=True)
class Answer:
    """An answer that was sent, or why there was none."""

    octets: bytes | None
    reason: str = ""


@dataclass(frozen=True)
class _Response:
    """What is answered. `name` is what makes it another response than others (RFC 5230 §4.2)."""

    name: tuple[str, ...]
    period: int
    subject: str | None
    entity: bytes
    author: dict[str, Any] | None = None
    addresses: tuple[str, ...] = ()
    original: str | None = None
    """The subject of what is answered."""


def by_script(case: Case, action: Vacation) -> Answer:
    """Answer as a script asks for."""
    entity = mime_entity(action.reason) if action.mime else text_entity(action.reason)
    author = None
    if action.sender is not None:
        # RFC 5230 §4.3: an address that is not the user's is “simply ignored”.
        written = headers.as_addresses(action.sender)
        author = next((dict(one) for one in written if case.may_write_as(one["email"])), None)
    response = _Response(
        ("script", action.handle),
        action.seconds * 1000,
        action.subject,
        entity,
        author,
        action.addresses,
        case.subject(action.header),
    )
    return _answer(case, response)


def by_settings(case: Case) -> Answer:
    """Answer as the VacationResponse is set."""
    settings = vacation.current(case.tx, case.account)
    if not settings.is_due(case.read.arriving.received_at):
        return Answer(None, "there is no vacation response for now")
    # After every change it is another response.
    name, period = ("settings", str(settings.version)), vacationscript.DAYS * DAY_MS
    entity = vacationscript.entity(settings)
    return _answer(case, _Response(name, period, settings.subject, entity, original=case.subject()))


def _answer(case: Case, response: _Response) -> Answer:
    reason = why_not(case, response.addresses)
    if reason:
        return Answer(None, reason)
    words = (*response.name, case.sender.lower())
    if records.is_there(case.tx, case.account, records.ANSWERED, *words, now=case.now):
        return Answer(None, f"{case.sender} has had this answer already")
    try:
        octets = compose(_letter(case, response), now=case.now, hostname=case.hostname)
    except CannotWrite as error:
        return Answer(None, f"no answer to {case.sender} can be written: it {error}")
    if not case.send(octets, "", {case.sender: _NEVER}):
        return Answer(None, "too much has been sent today")
    if response.period:
        records.remember(case.tx, case.account, records.ANSWERED, *words, until=case.now + response.period)
    return Answer(octets)


def _letter(case: Case, response: _Response) -> Letter:
    subject = response.subject
    if subject is None:
        subject = f"Auto: {response.original}" if response.original else "Automated reply"  # RFC 5230 §5.3
    own_id = (case.listed["messageId"] or [None])[0]
    earlier = case.listed["references"] or case.listed["inReplyTo"] or []
    if case.listed["references"] is None and len(earlier) != 1:  # RFC 5322 §3.6.4
        earlier = []
    return Letter(
        author=response.author or case.author,
        to=[{"name": None, "email": case.sender}],
        subject=subject,
        auto_submitted="auto-replied",
        entity=response.entity,
        in_reply_to=own_id,
        references=[*earlier, own_id] if own_id else (),
    )


def why_not(case: Case, addresses: tuple[str, ...] = ()) -> str:
    """Return why a message is not to be answered, or "". `addresses` are the user's too (RFC 5230 §4.5)."""
    sender = case.sender
    if not sender or not is_mailbox(sender):
        return "there is nobody to answer"  # RFC 3834 §2
    if _DAEMONS.fullmatch(sender.rpartition("@")[0].strip('"')):
        return f"nobody reads mail to {sender}"
    if case.is_own(sender):
        return "the user has sent it"
    if case.read.arriving.is_junk:
        return "it is junk"
    return _why_not_by_fields(case) or ("" if _is_personal(case, addresses) else "it is not addressed to the user")


def _why_not_by_fields(case: Case) -> str:
    if any(case.field(name) for name in _LIST_FIELDS):
        return "it comes from a mailing list"
    if any(value.strip().lower() in _BULK for value in case.field("Precedence")):
        return "it was sent in bulk"
    if any(_word(value) != "no" for value in case.field("Auto-Submitted")):
        return "a program has sent it"
    suppressed = ",".join(case.field("X-Auto-Response-Suppress")).split(",")
    if any(_word(one) in ("all", "oof", "autoreply") for one in suppressed):
        return "its sender wants no automatic answer"
    if any(headers.content_type(value)[0] == "multipart/report" for value in case.field("Content-Type")):
        return "it is a report"
    return ""


def _word(value: str) -> str:
    """Return the first word of a field that may have parameters and comments (RFC 3834 §5)."""
    return value.partition(";")[0].partition("(")[0].strip().lower()


def _is_personal(case: Case, addresses: tuple[str, ...]) -> bool:
    """Say whether one of the user's addresses is in a field that recipients are in (RFC 5230 §4.5)."""
    if next(case.own_addresses_in(*_PERSONAL_FIELDS), None) is not None:
        return True
    given = {one.lower() for one in addresses}
    if not given:
        return False
    values = [value for name in _PERSONAL_FIELDS for value in case.field(name)]
    return any(one["email"].lower() in given for value in values for one in headers.as_addresses(value))
