"""One message that has arrived, at one of its recipients: what all that follows from it has to know.

Holds data, and sends in the user's name: into the queue, within limits. Must not know why something is sent.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from minijmap.mail import counts, headers, ingest, message, queue
from minijmap.mail.addressing import Addresses, Senders
from minijmap.mail.headers import Headers
from minijmap.mail.identity import identities
from minijmap.mail.ingest import ParsedEmail
from minijmap.mail.message import Part
from minijmap.sieve import records
from minijmap.sieve.headerblock import Fields
from minijmap.store import blobs
from minijmap.store.accounts import User
from minijmap.store.database import Transaction
from minijmap.store.usage import OverQuota

MOST_OWN_LOOKED_UP: Final = 50
"""Addresses in a message's fields that are looked up to see whether they are the user's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipient:
    """A recipient here: the account, and the address in the envelope as the sender wrote it."""

    account: int
    address: str
    dsn: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What the sender asked about notifications, as a script's Envelope has it; only for what was handed in here."""


@dataclass(frozen=True)
class Arriving:
    """A message that arrives, with its trace, and its envelope. Times in milliseconds; the sender may be "".

    `peer` is the IP address it came from, None for one that was handed in here.
    """

    raw: bytes
    sender: str
    recipients: tuple[Recipient, ...]
    received_at: int
    is_junk: bool = False
    peer: str | None = None
    helo: str | None = None


@dataclass(frozen=True)
class Read:
    """A message that arrives, read once."""

    arriving: Arriving
    parsed: ParsedEmail

    @cached_property
    def root(self) -> Part:
        """Its structure."""
        return message.parse(self.arriving.raw)

    @property
    def fields(self) -> Headers:
        """Its header fields as they arrived, whatever a script makes of them."""
        return self.root.headers


@dataclass
class Case:
    """A message at one recipient. `now` in milliseconds."""

    tx: Transaction
    read: Read
    user: User
    recipient: str
    hostname: str
    addresses: Addresses
    now: int
    dsn: Mapping[str, str] = field(default_factory=dict)
    queued: bool = field(default=False)
    """Something was put into the queue."""

    @property
    def account(self) -> int:
        """The recipient's account."""
        return self.user.account

    @property
    def sender(self) -> str:
        """The sender in the envelope, "" for nobody."""
        return self.read.arriving.sender

    @property
    def listed(self) -> Mapping[str, Any]:
        """The message's convenience properties."""
        return self.read.parsed.listed

    def field(self, name: str) -> list[str]:
        """Return the values of all fields of a name, as they arrived."""
        return headers.find_all(self.read.fields, name)

    def subject(self, edited: Fields | None = None) -> str | None:
        """Return the subject, as the script has edited it if it has (RFC 5293 §7)."""
        if edited is None:
            subject: str | None = self.listed["subject"]
            return subject
        return next(iter(edited.values("Subject")), None)

    # Who the user is

    def is_own(self, address: str) -> bool:
        """Say whether an address is the user's: their own, an alias or a catch-all of theirs."""
        user = self.addresses.find(self.tx, address)
        return user is not None and user.account == self.account

    def may_write_as(self, address: str) -> bool:
        """Say whether the user may send from an address (RFC 8621 §9.6)."""
        return Senders(self.addresses).may_use(self.tx, self.account, address)

    def own_addresses_in(self, *names: str) -> Iterator[str]:
        """Yield the addresses in some fields that are the user's, as they are written there."""
        written = (one["email"] for name in names for value in self.field(name) for one in headers.as_addresses(value))
        mine = {form for own in (self.user.address, self.recipient) for form in self.addresses.forms(own)[:1]}
        for number, address in enumerate(dict.fromkeys(written)):
            forms = self.addresses.forms(address)
            if mine.intersection(forms) or (number < MOST_OWN_LOOKED_UP and self.is_own(address)):
                yield address

    @cached_property
    def author(self) -> dict[str, Any]:
        """As whom the user answers: the address that was written to, with the name of its Identity.

        An address in To or Cc goes before the envelope's, which the sender may never have seen.
        """
        written = next(self.own_addresses_in("To", "Cc"), None) or self.recipient
        address = written if self.may_write_as(written) else self.user.address
        known = identities(self.tx, self.account)
        names = {one["email"].lower(): one["name"] for one in known}
        name = names.get(address.lower()) or (known[0]["name"] if known else "") or self.user.name
        return {"name": name or None, "email": address}

    # Sending

    def send(self, octets: bytes, sender: str, recipients: Mapping[str, Mapping[str, Any]]) -> bool:
        """Queue a message in the user's name, unless too many were; `recipients` is address → parameters of RCPT."""
        tx, account = self.tx, self.account
        if not records.may_send(tx, account, self.now) or queue.waiting(tx, account) >= queue.MOST_WAITING:
            log.warning("The script of %s may not send any more for now", self.user.address)
            return False
        blob = blobs.store(tx, blobs.pack(octets))
        envelope = {"email": sender, "parameters": None}
        queue.put(tx, account, blob, envelope, recipients, now=self.now, release_at=self.now)
        self.queued = True
        return True

    def keep_copy(self, octets: bytes, mailbox: int, keywords: list[str]) -> None:
        """Put a copy of a message of ours into a Mailbox of the user, if there is room for it."""
        parsed = ingest.parse(octets)
        try:
            with self.tx.savepoint():
                added = ingest.add(
                    self.tx, self.account, parsed, mailboxes=[mailbox], keywords=keywords, received_at=self.now
                )
        except OverQuota as error:
            log.warning("There is no copy of a message that %s has sent: %s", self.user.address, error)
            return
        counts.recount(self.tx, self.account, [added.thread])
