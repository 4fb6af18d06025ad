"""Sending on what has arrived: the action redirect (RFC 5228 §4.2, §10), and notifications by mail (RFC 5436).

Owns the guards against loops, and what is changed of a message that goes on: a mark is put before it, by which it is
known when it comes back. What could not be sent is said to the caller, who keeps the message.
"""

import string
from typing import Final
from urllib.parse import quote

from minijmap.mail import headers
from minijmap.mail.composeheaders import write
from minijmap.sieve import mailto
from minijmap.sieve.actions import Notify
from minijmap.sieve.case import Case
from minijmap.sieve.compose import text_entity
from minijmap.sieve.letters import CannotWrite, Letter, compose

MARK: Final = "X-Minijmap-Redirected-From"
MOST_HOPS: Final = 50
"""Received fields of a message that is still sent on; RFC 5321 §6.3 has servers count them."""
_IMPORTANCE: Final = {1: "high", 3: "low"}


def redirect(case: Case, address: str, octets: bytes | None) -> str:
    """Send the message on, as it is or as a script has made it; return why that was not done, or "".

    The sender in the envelope stays: who has sent it is told when it can't be delivered, and nobody is when the sender
    is null (RFC 5228 §4.2).
    """
    if case.is_own(address):
        return f"{address} is the user's own address"
    if len(case.field("Received")) > MOST_HOPS:
        return f"it has been through more than {MOST_HOPS} servers"
    mine = quote(case.user.address, safe=string.punctuation)  # ASCII, whatever the address
    if any(value.strip().lower() == mine for value in case.field(MARK)):
        return "it was sent on from here before"
    mark = write(MARK, "asRaw", f" {mine}")[0].octets
    sent = mark + (case.read.arriving.raw if octets is None else octets)
    return "" if case.send(sent, case.sender, {address: {}}) else "too much has been sent today"


def notify(case: Case, action: Notify) -> bytes | None:
    """Send the notification that a script asks for; return it, or None if none was sent (RFC 5436 §2.7)."""
    try:
        wanted = mailto.parse(action.method)
        octets = compose(_notification(case, action, wanted), now=case.now, hostname=case.hostname)
    except (CannotWrite, mailto.MailtoProblem):
        return None
    author = _author(case, action)
    # RFC 5436 §2.7: null for null, so that two servers don't tell each other for ever.
    sender = str(author["email"]) if case.sender else ""
    return octets if case.send(octets, sender, {one: {} for one in wanted.recipients}) else None


def _author(case: Case, action: Notify) -> dict[str, str | None]:
    """Return whose name it goes in: the address of :from if it is the user's (RFC 5436 §2.3)."""
    written = headers.as_addresses(action.sender or "")
    allowed = next((one for one in written if case.may_write_as(one["email"])), None)
    return dict(allowed) if allowed else case.author


def _notification(case: Case, action: Notify, wanted: mailto.Mailto) -> Letter:
    subject = action.message or wanted.subject or case.subject(action.header) or "New mail"
    own_id = (case.listed["messageId"] or [None])[0]
    importance = _IMPORTANCE.get(action.importance)
    owner = case.user.address.replace("\\", "\\\\").replace('"', '\\"')
    return Letter(
        author=_author(case, action),
        to=[{"name": None, "email": one} for one in wanted.to],
        cc=[{"name": None, "email": one} for one in wanted.cc],
        subject=subject,
        auto_submitted=f'auto-notified; owner-email="{owner}"',
        entity=text_entity(_text(case) if wanted.body is None else wanted.body),
        references=[own_id] if own_id else (),
        more=[*wanted.fields, *([("Importance", importance)] if importance else [])],
    )


def _text(case: Case) -> str:
    """Return what a notification says that was given no body: who has written, and how it begins."""
    senders = ", ".join(one["email"] for one in case.listed["from"] or ())
    return f"From: {senders}\r\nSubject: {case.listed['subject'] or ''}\r\n\r\n{case.listed['preview']}\r\n"
