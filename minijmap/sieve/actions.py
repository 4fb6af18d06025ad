"""What a script decides about a message: the actions of RFC 5228 §4 and of its extensions, as data.

Holds immutable records whose strings are fully expanded; performing them is the house's work. Knows neither mailboxes
nor queues. An action that stores or sends the message carries, in `message`, the octets as they were at that moment
when the script had edited them (RFC 5293, RFC 5703 §6), and None when it is the message as it arrived.
"""

from dataclasses import dataclass, field

from minijmap.sieve.headerblock import Fields


@dataclass(frozen=True, slots=True)
class Keep:
    """Store in the Inbox (RFC 5228 §4.3). `implicit` when no script command asked for it (§2.10.2)."""

    flags: tuple[str, ...] = ()
    """IMAP flags as the script wrote them, each once, checked against IMAP's grammar (RFC 5232)."""
    message: bytes | None = None
    implicit: bool = False


@dataclass(frozen=True, slots=True)
class FileInto:
    """Store in a mailbox (RFC 5228 §4.1).

    `mailbox_id` (RFC 9042) goes before `special_use` (RFC 8579), and that before `mailbox`, each when it exists.
    """

    mailbox: str
    flags: tuple[str, ...] = ()
    create: bool = False
    """Make the mailbox when it is missing (RFC 5490 §3.2)."""
    mailbox_id: str | None = None
    special_use: str | None = None
    message: bytes | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send on to another address (RFC 5228 §4.2), an addr-spec."""

    address: str
    message: bytes | None = None


@dataclass(frozen=True, slots=True)
class RedirectList:
    """Send on to every member of a list (RFC 6134 §2.3), named by its URI."""

    uri: str
    message: bytes | None = None


@dataclass(frozen=True, slots=True)
class Discard:
    """Throw away what no other action stores (RFC 5228 §4.4)."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the message (RFC 5429), with ereject at the protocol level alone."""

    reason: str
    ereject: bool = False


@dataclass(frozen=True, slots=True)
class Fcc:
    """Where a copy of a generated message is stored (RFC 8580)."""

    mailbox: str
    flags: tuple[str, ...] = ()
    create: bool = False
    mailbox_id: str | None = None
    special_use: str | None = None


@dataclass(frozen=True, slots=True)
class Vacation:
    """Answer the sender (RFC 5230), unless that sender had an answer within `seconds` under the same `handle`."""

    reason: str
    seconds: int
    handle: str
    subject: str | None = None
    sender: str | None = None
    """The argument of :from."""
    addresses: tuple[str, ...] = ()
    mime: bool = False
    fcc: Fcc | None = None
    header: Fields | None = field(default=None, compare=False)
    """The header as the script had edited it (RFC 5293 §7); None when it is as it arrived."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the user by another way (RFC 5435); `method` is a URI."""

    method: str
    importance: int = 2
    """1 high, 2 normal, 3 low."""
    message: str | None = None
    sender: str | None = None
    options: tuple[str, ...] = ()
    fcc: Fcc | None = None
    header: Fields | None = field(default=None, compare=False)
    """The header as the script had edited it (RFC 5293 §7); None when it is as it arrived."""


Action = Keep | FileInto | Redirect | RedirectList | Discard | Reject | Vacation | Notify


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An id to remember once the script has ended well (RFC 7352 §3.1): `key` for `seconds` from now."""

    key: str
    seconds: int
