"""What a running script asks of the world: the seam between the language and the house.

Holds the protocol `Host`, the envelope a message came in, and `AloneHost`, which answers as a server with nothing in
it does. Knows no store; every answer is given by whoever runs the script.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from minijmap.sieve.program import Program


@dataclass(frozen=True, slots=True)
class Envelope:
    """How the message came (RFC 5228 §5.4). `sender` is "" for the null reverse-path; both without angle brackets."""

    sender: str = ""
    recipient: str = ""
    dsn: Mapping[str, str] = field(default_factory=dict)
    """The parameters of RFC 3461 that came with MAIL and RCPT, of those the server keeps: "notify", "orcpt", "ret" and
    "envid" (RFC 6009 §2), as they were given; one that was not given is not there."""


class Host(Protocol):
    """The world as a script sees it. No method raises; names and ids that nobody knows are simply not there."""

    def now(self) -> datetime:
        """The present moment, with the zone in which the user lives."""

    def owner(self) -> str:
        """The user's own address, for what the script writes in the user's name (RFC 5703 §6)."""

    def trusts(self, field: str) -> bool:
        """Whether a header field of that name (in lower case) comes from a filter that this house trusts.

        A sender must not be able to make one up (RFC 5235 §4).
        """

    def include(self, name: str, *, personal: bool) -> "Program | None":
        """The script of that name (RFC 6609 §3.2), None when there is none. May raise ScriptError."""

    def environment(self, item: str) -> str | None:
        """An item of RFC 5183 §4.1 in lower case; None when it is unknown, "" when it is not available."""

    def mailbox_exists(self, name: str) -> bool:
        """Whether messages can be put into a mailbox of that name (RFC 5490 §3.1)."""

    def mailbox_id_exists(self, mailbox_id: str) -> bool:
        """Whether there is a mailbox with that id (RFC 9042 §6)."""

    def special_use_exists(self, use: str, mailbox: str | None) -> bool:
        r"""Whether a mailbox (the named one, or any) has that special use, as "\Archive" (RFC 8579 §3)."""

    def metadata(self, mailbox: str | None, name: str) -> str | None:
        """An annotation of a mailbox, or of the server when None (RFC 5490 §3 and §4); None when there is none."""

    def seen(self, key: str) -> bool:
        """Whether that id was remembered by an earlier message (RFC 7352 §3) and has not expired."""

    def valid_list(self, uri: str) -> bool:
        """Whether there is a list of that name (RFC 6134 §2.7)."""

    def in_list(self, uri: str, value: str) -> bool:
        """Whether the value is a member of the list (RFC 6134 §2.2)."""


class AloneHost:
    """A Host without a server: one mailbox, no other scripts, no lists. The clock is passed in."""

    def __init__(self, now: datetime | None = None, scripts: "Mapping[str, Program] | None" = None) -> None:
        self._now = now or datetime(2026, 1, 1, 12, tzinfo=UTC)
        self._scripts = scripts or {}

    def now(self) -> datetime:
        """The moment it was made with."""
        return self._now

    def owner(self) -> str:
        """Somebody."""
        return "user@localhost"

    def trusts(self, field: str) -> bool:
        """Every field is taken for what it says."""
        del field
        return True

    def include(self, name: str, *, personal: bool) -> "Program | None":
        """One of the scripts it was made with, whether personal or not."""
        del personal
        return self._scripts.get(name)

    def environment(self, item: str) -> str | None:
        """What is true of any run of this interpreter."""
        return {"name": "minijmap", "location": "MDA", "phase": "during", "remote-host": "", "remote-ip": ""}.get(item)

    def mailbox_exists(self, name: str) -> bool:
        """There is the Inbox."""
        return name.upper() == "INBOX"

    def mailbox_id_exists(self, mailbox_id: str) -> bool:
        """No mailbox has an id."""
        del mailbox_id
        return False

    def special_use_exists(self, use: str, mailbox: str | None) -> bool:
        """No mailbox has a special use."""
        del use, mailbox
        return False

    def metadata(self, mailbox: str | None, name: str) -> str | None:
        """There are no annotations."""
        del mailbox, name
        return None

    def seen(self, key: str) -> bool:
        """Nothing came before."""
        del key
        return False

    def valid_list(self, uri: str) -> bool:
        """There are no lists."""
        del uri
        return False

    def in_list(self, uri: str, value: str) -> bool:
        """There are no lists."""
        del uri, value
        return False
