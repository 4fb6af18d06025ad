"""Messages of our own that follow from one that has arrived: answers, notifications, notices of a failed script.

Owns their header fields and form (RFC 3834 §3, RFC 5230 §5, RFC 5436 §2.7). Pure functions; who gets one, and when, is
not known here.
"""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from minijmap.jmap.dates import format_utc_date
from minijmap.jmap.values import ValueProblem
from minijmap.mail.composeheaders import write
from minijmap.mail.folding import Field
from minijmap.sieve.compose import text_entity

MOST_SUBJECT: Final = 500
MOST_REFERENCES: Final = 50
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

Address = Mapping[str, Any]
"""An EmailAddress: `name`, which may be null, and `email`."""


class CannotWrite(Exception):
    """Something can't be put into a header field, such as an address that none may have."""


@dataclass(frozen=True)
class Letter:
    """What a message of ours says. Message ids are without their angle brackets; `entity` is what MIME calls that."""

    author: Address
    to: Sequence[Address]
    subject: str
    auto_submitted: str
    """The value of that field (RFC 3834 §5)."""
    entity: bytes
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    cc: Sequence[Address] = ()
    more: Iterable[tuple[str, str]] = ()
    """Further fields: name and text."""


def compose(letter: Letter, *, now: int, hostname: str) -> bytes:
    """Return a message; `now` in milliseconds. Raises CannotWrite."""
    try:
        fields = _fields(letter, now, hostname)
    except ValueProblem as problem:
        raise CannotWrite(problem.sentence) from None
    end = b"" if letter.entity.endswith(b"\r\n") else b"\r\n"
    return b"".join([*(field.octets for field in fields), letter.entity, end])


def _fields(letter: Letter, now: int, hostname: str) -> list[Field]:
    references = [*letter.references][-MOST_REFERENCES:]
    return [
        # RFC 5436 §2.7.1: above all that might be taken over from elsewhere.
        *write("Auto-Submitted", "asRaw", f" {letter.auto_submitted}"),
        *write("Date", "asDate", format_utc_date(now)),
        *write("From", "asAddresses", [letter.author]),
        *write("To", "asAddresses", list(letter.to)),
        *write("Cc", "asAddresses", list(letter.cc)),
        *write("Message-ID", "asMessageIds", [f"{secrets.token_hex(16)}@{hostname}"]),
        *write("In-Reply-To", "asMessageIds", [letter.in_reply_to] if letter.in_reply_to else None),
        *write("References", "asMessageIds", references or None),
        *write("Subject", "asText", one_line(letter.subject)),
        *(field for name, value in letter.more for field in write(name, "asText", one_line(value))),
        *write("MIME-Version", "asRaw", " 1.0"),
    ]


def one_line(text: str) -> str:
    """Return a text that fits into a header field."""
    return _UNPRINTABLE.sub(" ", text).strip()[:MOST_SUBJECT]


def failure(user: Address, script: str, sentence: str, about: Mapping[str, Any], *, now: int, hostname: str) -> bytes:
    """Return the message that tells users that their script has failed; `about` are properties of what arrived."""
    author = {"name": "Mail filter", "email": f"postmaster@{user['email'].rpartition('@')[2]}"}
    senders = ", ".join(one["email"] for one in about["from"] or ())
    lines = [
        f"Your Sieve script “{script}” failed on a message, which is in your Inbox.",
        "",
        f"What went wrong: {sentence}",
        f"The message: “{about['subject'] or ''}” from {senders or 'nobody'}",
        "",
        "Other messages may be there too: you are told of this once a day at most.",
    ]
    letter = Letter(
        author=author,
        to=[user],
        subject="Your mail filter has failed",
        auto_submitted="auto-generated",
        entity=text_entity("\n".join([one_line(line) if line else "" for line in lines]) + "\n"),
    )
    return compose(letter, now=now, hostname=hostname)
