"""mailto URIs (RFC 6068) as a way to notify somebody: what RFC 5436 §2 takes of them.

Owns their syntax, what is ignored because it is not the script's to say (§2.7), and their limits. The message that
comes of one is not written here.
"""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from minijmap.mail.addressing import is_mailbox

MOST_RECIPIENTS: Final = 10
"""Addresses of one notification."""

MOST_FIELDS: Final = 50
"""Header fields of one URI."""

MOST_OCTETS: Final = 20_000
"""Characters of one URI."""

_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 6068 §2; RFC 3986 has no characters beyond ASCII, scripts do.
_CHARACTERS: Final = re.compile(r"[^\x00-\x20\x7f-\xa0]*")
_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,76}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# RFC 5436 §2.7 and RFC 6068 §4: what says where a message comes from, or how it is read, is not for a URI to say.
_IGNORED: Final = frozenset(
    (
        "from",
        "auto-submitted",
        "received",
        "message-id",
        "date",
        "sender",
        "return-path",
        "reply-to",
        "bcc",
        "apparently-to",
        "mime-version",
        "dkim-signature",
        "authentication-results",
        "x-minijmap-policy",
        "in-reply-to",
        "references",
        "list-id",
    )
)
_IGNORED_STARTS: Final = ("content-", "resent-", "arc-", "x-spam", "x-virus")


class MailtoProblem(ValueError):
    """A text is no mailto URI that can be used; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Mailto:
    """What a mailto URI says."""

    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    subject: str | None = None
    body: str | None = None
    """Lines end with CRLF."""
    fields: tuple[tuple[str, str], ...] = field(default=())
    """Other header fields, in order, each value on one line."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Where it goes, each address once (RFC 5436 §2.7)."""
        return tuple({address.lower(): address for address in (*self.to, *self.cc)}.values())


def scheme_of(uri: str) -> str:
    """The scheme of a URI in lower case, "" when it has none (RFC 3986 §3.1)."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", uri[:100])
    return found[1].lower() if found else ""


def parse(uri: str) -> Mailto:
    """Read a URI. Raises MailtoProblem when it is malformed, has no recipients, or is beyond a limit."""
    if scheme_of(uri) != "mailto":
        raise MailtoProblem("is no mailto URI")
    if len(uri) > MOST_OCTETS:
        raise MailtoProblem(f"has more than {MOST_OCTETS} characters")
    if not _CHARACTERS.fullmatch(uri) or _PERCENT.search(uri) or "#" in uri:
        raise MailtoProblem("has characters that must be percent-encoded")
    path, _, query = uri[len("mailto:") :].partition("?")
    to = list(_addresses(path))
    cc: list[str] = []
    single: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for name, value in _headers(query):
        key = name.lower()
        if key in {"to", "cc"}:
            (to if key == "to" else cc).extend(_addresses(value))
        elif key in {"subject", "body"}:
            single.setdefault(key, _decoded(value))
        elif key not in _IGNORED and not key.startswith(_IGNORED_STARTS):
            others.append((name[:1].upper() + name[1:], " ".join(_decoded(value).split())))
    subject = single.get("subject")
    result = Mailto(
        tuple(to),
        tuple(cc),
        None if subject is None else " ".join(subject.split()),
        None if "body" not in single else re.sub(r"\r\n|\r|\n", "\r\n", single["body"]),
        tuple(others),
    )
    if not result.recipients:
        raise MailtoProblem("names no recipient")
    if len(result.recipients) > MOST_RECIPIENTS:
        raise MailtoProblem(f"names more than {MOST_RECIPIENTS} recipients")
    return result


def _headers(query: str) -> list[tuple[str, str]]:
    """The pairs after "?" (RFC 6068 §2: hfields), values still encoded."""
    if not query:
        return []
    pairs = query.split("&")
    if len(pairs) > MOST_FIELDS:
        raise MailtoProblem(f"has more than {MOST_FIELDS} header fields")
    result: list[tuple[str, str]] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = unquote(name)
        if not equals or not _FIELD_NAME.fullmatch(name):
            raise MailtoProblem(f"has “{pair[:40]}” where a header field like “subject=…” belongs")
        result.append((name, value))
    return result


def _addresses(text: str) -> list[str]:
    """RFC 6068 §2: addr-spec with percent-encoding, between commas that are not encoded."""
    addresses = [_decoded(one).strip() for one in text.split(",")] if text else []
    for address in addresses:
        if not is_mailbox(address):
            raise MailtoProblem(f"has “{address[:80]}” where an address belongs")
    return addresses


def _decoded(value: str) -> str:
    try:
        text = unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise MailtoProblem("has percent-encoded octets that are not UTF-8") from None
    if _CONTROL.search(text):
        raise MailtoProblem("has control characters")
    return text
