"""From the queue to what is sent: the octets of a message with its signature, and what they need of a server.

Owns who signs (the author's domain, if it is ours) and that a message is signed once: later attempts send the same
octets. Must not know how anything is sent.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from minijmap.mail import headers, outgoing, reports
from minijmap.mail import message as mime
from minijmap.mail.queue import Queued
from minijmap.smtp import dkimsign
from minijmap.smtp.dkimkeys import Signers
from minijmap.smtp.recipients import Recipients
from minijmap.smtp.route import NoRoute, a_labels
from minijmap.smtp.transaction import Letter
from minijmap.store import blobs
from minijmap.store.database import Database

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Letters:
    """Writes letters. `clock` gives seconds since the epoch."""

    database: Database
    recipients: Recipients
    signers: Signers
    hostname: str
    clock: Callable[[], float]

    def write(self, message: Queued) -> tuple[Letter, bool]:
        """Return the letter for a message, and whether it may go without TLS whatever anybody says (RFC 8689 §5)."""
        with self.database.read() as reader:
            raw = blobs.read(reader, message.blob)
            parameters = {name.upper(): value for name, value in message.parameters.items()}
            envid = str(parameters.get("ENVID") or "") or reports.envid_of(reader, message.submission)
        own_id = outgoing.message_id(message.queued_at, f"q{message.key}", self.hostname)
        left = outgoing.with_crlf(outgoing.leaving(raw, sent_at=message.release_at, message_id=own_id))
        header = outgoing.header_of(left)
        fields = mime.parse(header).headers
        signature = self._sign(left, fields) if message.signature is None else message.signature
        octets = signature + left
        lax = [value.strip().lower() for value in headers.find_all(fields, "TLS-Required")] == ["no"]
        return Letter(
            octets=octets,
            signature=signature,
            sender=message.sender,
            parameters=parameters,
            envid=_CONTROL.sub("", envid),
            message_id=(headers.as_message_ids(headers.find(fields, "Message-ID") or "") or [""])[0],
            is_eight_bit=not octets.isascii(),
            has_utf8_header=not header.isascii() and _is_utf8(header),
        ), lax and "REQUIRETLS" not in parameters

    def _sign(self, octets: bytes, fields: headers.Headers) -> bytes:
        """Return the signatures for a message, none if its author's domain is not ours."""
        authors = headers.as_addresses(headers.find(fields, "From") or "")
        if not authors:
            return b""
        address = authors[0]["email"]
        with self.database.read() as reader:
            if not self.recipients.is_ours(reader, address):
                return b""
        try:
            domain = a_labels(address.rpartition("@")[2])
        except NoRoute:
            return b""
        return dkimsign.sign(octets, domain, self.signers.of(domain), int(self.clock()))


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
