"""Mail that arrives: each recipient's script decides, and what it decides is done, in one transaction.

Every way by which mail arrives ends here: SMTP from other servers, and what people here send to each other. Owns the
order of things: a script is run once for each recipient in the envelope; the outcomes of an account's recipients are
united, so that an account has a message once, in all Mailboxes that were asked for; a VacationResponse answers what was
delivered. What an action means is `effects`'.

What is never to happen is that a message is accepted and lost. So a message stays in the Inbox when a script can't be
read or fails (and the user is told, once a day), when its Mailbox is missing and was not to be made, and when it could
not be sent on. A message that was judged to be junk goes to the Mailbox for junk by the implicit keep alone: a script
that files or keeps it is obeyed.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from minijmap.mail import ingest
from minijmap.mail.addressing import Addresses
from minijmap.sieve import effects, letters, records, scripts
from minijmap.sieve.actions import Action, Duplicate, Keep
from minijmap.sieve.case import Arriving, Case, Read, Recipient
from minijmap.sieve.effects import Refusal, Sheet
from minijmap.sieve.errors import ScriptError
from minijmap.sieve.host import Envelope
from minijmap.sieve.house import HouseHost, program_of
from minijmap.sieve.interpreter import run
from minijmap.sieve.limits import LIMITS
from minijmap.sieve.message import Message
from minijmap.sieve.programs import Programs
from minijmap.sieve.scripts import VACATION
from minijmap.store import accounts, blobs
from minijmap.store.accounts import User
from minijmap.store.database import Database, Transaction
from minijmap.store.usage import OverQuota

__all__ = ["Arrivals", "Arriving", "Outcome", "Read", "Recipient", "Refusal", "Settled"]

NOBODY: Final = Refusal("5.1.1", "Nobody here has this address")
FULL: Final = Refusal("5.2.2", "The mailbox is full")
KEPT: Final[tuple[Action, ...]] = (Keep(implicit=True),)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a message at a recipient: it was taken, or refused."""

    recipient: Recipient
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Settled:
    """What became of a message. `queued`: something was put into the queue, which somebody should look into."""

    outcomes: tuple[Outcome, ...]
    queued: bool = False


@dataclass
class _Notes:
    """What the runs for an account's recipients leave behind: (script, what went wrong), ids to remember, time."""

    seconds: float = LIMITS.seconds
    """What is left for the next run: a hundred recipients hold up the others no longer than one."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)


class Arrivals:
    """Takes mail for the people of the house. Safe to use from any thread."""

    def __init__(self, addresses: Addresses, hostname: str, on_queued: Callable[[], None] = lambda: None) -> None:
        """`on_queued` is called when `deliver` has put something into the queue."""
        self._addresses = addresses
        self._hostname = hostname
        self._on_queued = on_queued
        self._programs = Programs()

    def read(self, arriving: Arriving) -> Read:
        """Read a message: all the work that needs no transaction."""
        return Read(arriving, ingest.parse(arriving.raw))

    def deliver(self, database: Database, arriving: Arriving) -> Settled:
        """Deliver a message to all of its recipients. On disk when this returns; if it raises, nobody has it."""
        read = self.read(arriving)
        self.warm(database, read)
        settled = database.write(lambda tx: self.settle(tx, read))
        if settled.queued:
            self._on_queued()
        return settled

    def warm(self, database: Database, read: Read) -> None:
        """Have the recipients' scripts ready before the transaction in which they run: parsing one takes time."""
        with database.read() as reader:
            for account in dict.fromkeys(one.account for one in read.arriving.recipients):
                script = scripts.active(reader, account)
                if script is None or script.kind == VACATION:
                    continue
                try:
                    self._programs.get(script.digest, lambda blob=script.blob: blobs.read(reader, blob))  # type: ignore[misc]
                except ScriptError as error:  # said when the script is run
                    log.warning("The active script of account %d can't be run: %s", account, error)

    def settle(self, tx: Transaction, read: Read) -> Settled:
        """Do for a message what each recipient's script decides, inside the caller's transaction."""
        groups: dict[int, list[Recipient]] = {}
        for one in read.arriving.recipients:
            groups.setdefault(one.account, []).append(one)
        refusals: dict[Recipient, Refusal | None] = {}
        queued = False
        for account, recipients in groups.items():
            user = accounts.user_of(tx, account)
            if user is None:  # removed since the recipient was accepted
                refusals.update(dict.fromkeys(recipients, NOBODY))
                continue
            cases = [self._case(tx, read, user, one) for one in recipients]
            try:
                with tx.savepoint():
                    refusals.update(zip(recipients, self._settle(cases), strict=True))
                    queued = queued or any(case.queued for case in cases)
            except OverQuota:
                # All that was to be done for this account is undone: nothing is half stored.
                refusals.update(dict.fromkeys(recipients, FULL))
            except sqlite3.Error:
                raise
            except Exception:
                # Whatever is wrong with a script, or with us: the message is there.
                log.exception("The script of account %d could not be followed; the message is kept", account)
                refusals.update(dict.fromkeys(recipients, _keep(tx, account, read)))
        return Settled(tuple(Outcome(one, refusals.get(one)) for one in read.arriving.recipients), queued)

    def _case(self, tx: Transaction, read: Read, user: User, recipient: Recipient) -> Case:
        now = int(tx.clock() * 1000)
        return Case(tx, read, user, recipient.address, self._hostname, self._addresses, now, recipient.dsn)

    def _settle(self, cases: Sequence[Case]) -> list[Refusal | None]:
        """Run an account's script for each of its recipients, and do what it decides."""
        sheet, notes = Sheet(), _Notes()
        refusals = [effects.follow(case, self._decide(case, notes), sheet) for case in cases]
        first = cases[0]
        effects.store(first, sheet)
        if None in refusals and not first.read.arriving.is_junk:
            ingest.note_report(first.tx, first.account, first.read.parsed)
        effects.answer_by_settings(first, sheet)
        for one in notes.duplicates:  # only now: to its other recipients the message itself is no duplicate
            until = first.now + one.seconds * 1000
            records.remember(first.tx, first.account, records.SEEN, one.key, until=until)
        if notes.failures:
            _tell(first, *notes.failures[0])
        return refusals

    def _decide(self, case: Case, notes: "_Notes") -> tuple[Action, ...]:
        """Return what the active script decides. Without one, or when it fails, the message is kept."""
        script = scripts.active(case.tx, case.account)
        if script is None or script.kind == VACATION:
            return KEPT
        name = str(script.document["name"])
        try:
            program = program_of(case, self._programs, script)
        except ScriptError as error:  # it was accepted by another version of this server
            notes.failures.append((name, str(error)))
            return KEPT
        message = Message(case.read.arriving.raw, case.read.root)
        envelope = Envelope(case.sender, case.recipient, case.dsn)
        started = time.monotonic()
        result = run(program, message, envelope, HouseHost(case, self._programs), seconds=notes.seconds)
        notes.seconds -= time.monotonic() - started
        if result.error is not None:
            log.warning("The script of %s failed: %s", case.user.address, result.error)
            notes.failures.append((name, str(result.error)))
        notes.duplicates += result.duplicates
        return result.actions


def _keep(tx: Transaction, account: int, read: Read) -> Refusal | None:
    """Put a message where it goes without a script; return why it can't be there, or None."""
    arriving = read.arriving
    try:
        with tx.savepoint():
            ingest.arrive(tx, read.parsed, [account], arriving.received_at, is_junk=arriving.is_junk)
    except OverQuota:
        return FULL
    return None


def _tell(case: Case, script: str, sentence: str) -> None:
    """Tell the user that their script has failed: by a message, once a day."""
    if records.is_there(case.tx, case.account, records.TOLD, now=case.now):
        return
    records.remember(case.tx, case.account, records.TOLD, until=case.now + records.DAY_MS)
    user = {"name": case.user.name or None, "email": case.user.address}
    octets = letters.failure(user, script, sentence, case.listed, now=case.now, hostname=case.hostname)
    place = ingest.place_for(case.tx, case.account)
    notice = ingest.parse(octets)
    ingest.place(case.tx, case.account, notice, mailboxes=[place], keywords=[], received_at=case.now, enforced=False)
