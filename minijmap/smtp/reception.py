"""Taking in what arrives by SMTP: delivered, refused by all recipients in the reply, or by some in a message.

Owns that a refusal and the message that tells of it are one transaction with the delivery to the others. What
recipients decide is `sieve.arrival`'s, how a refusal is said `refusing`'s.
"""

import logging
from collections.abc import Callable

from minijmap.mail import queue
from minijmap.sieve.arrival import Arrivals, Arriving, Outcome
from minijmap.smtp import refusing
from minijmap.smtp.recipients import Recipients
from minijmap.store import blobs
from minijmap.store.database import Database, Transaction

NOBODY = {"email": "", "parameters": None}

log = logging.getLogger(__name__)


class Reception:
    """Takes messages. Safe to use from any thread."""

    def __init__(
        self, database: Database, recipients: Recipients, hostname: str, on_queued: Callable[[], None] = lambda: None
    ) -> None:
        """`on_queued` is called when there is something new in the queue."""
        self._database = database
        self._arrivals = Arrivals(recipients, hostname)
        self._hostname = hostname
        self._on_queued = on_queued

    def take(self, arriving: Arriving) -> str:
        """Deliver a message; return the reply that refuses it for all recipients, or "" when it was taken.

        What it means is on disk when this returns; raises what the store raises.
        """
        read = self._arrivals.read(arriving)
        self._arrivals.warm(self._database, read)

        def job(tx: Transaction) -> tuple[str, bool]:
            settled = self._arrivals.settle(tx, read)
            if refusing.is_by_protocol(settled.outcomes):
                return refusing.reply(settled.outcomes), settled.queued
            return "", self._tell(tx, arriving, settled.outcomes) or settled.queued

        refused, queued = self._database.write(job)
        if queued:
            self._on_queued()
        return refused

    def _tell(self, tx: Transaction, arriving: Arriving, outcomes: tuple[Outcome, ...]) -> bool:
        """Tell the sender who has refused; say whether anything was queued."""
        refused = [one for one in outcomes if one.refusal is not None]
        if refused and not arriving.sender:
            log.info("Nobody is told that %s refused a message: it has no sender", refused[0].recipient.address)
        letters = refusing.letters(arriving, refused, self._hostname)
        now = int(tx.clock() * 1000)
        for letter in letters:
            blob = blobs.store(tx, blobs.pack(letter.octets))
            account = refused[0].recipient.account
            queue.put(tx, account, blob, NOBODY, {letter.to: {"NOTIFY": "NEVER"}}, now=now, release_at=now)
        return bool(letters)
