"""Giving an account its Emails back: octets, Mailboxes, keywords and time of arrival as they were, and the Threads.

Safe to repeat: a message that is there, octet for octet, is left alone, once for each time that it was there. Each
batch is one transaction. Must not know where the Emails are kept meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minijmap.jmap import dates
from minijmap.jmap.errors import SetError
from minijmap.jmap.values import Kind, UTCDate, ValueProblem
from minijmap.mail import counts, ingest, threading
from minijmap.mail.email import MAILBOX_IDS, check_limits, mailbox_keys
from minijmap.mail.importing import Progress
from minijmap.mail.ingest import ParsedEmail
from minijmap.mail.keywords import KEYWORDS, aligned
from minijmap.store.database import Database, Transaction
from minijmap.store.usage import OverQuota

_KEPT: Mapping[str, Kind] = {"mailboxIds": MAILBOX_IDS, "keywords": KEYWORDS, "receivedAt": UTCDate()}


@dataclass(frozen=True, slots=True)
class KeptEmail:
    """An Email as it was: `mailbox_ids` are those of the account that gets it, `thread` is any name of its Thread."""

    where: str
    parsed: ParsedEmail
    mailbox_ids: dict[str, bool]
    keywords: dict[str, bool]
    received_at: int
    thread: str


def kept(where: str, email: Mapping[str, Any], raw: bytes) -> KeptEmail:
    """Return an Email that JMAP has shown, with its message read. Raises SetError for what can't be one."""
    values = {}
    for name, kind in _KEPT.items():
        try:
            values[name] = kind.check(email.get(name))
        except ValueProblem as problem:
            raise SetError(SetError.INVALID_PROPERTIES, f"“{problem.under(name).path}” {problem.sentence}.") from None
    check_limits(values)
    if not raw.strip():
        raise SetError("invalidEmail", "its message is empty.")
    received_at = dates.parse_utc_date(values["receivedAt"])
    thread = str(email.get("threadId"))
    return KeptEmail(where, ingest.parse(raw), values["mailboxIds"], values["keywords"], received_at, thread)


class Restorer:
    """Stores the Emails of one account in the order in which they had come into it."""

    def __init__(self, database: Database, account: int) -> None:
        self._database = database
        self._account = account
        self._threads: dict[str, int] = {}
        """Where the Threads are now that are back already."""
        self._taken: set[int] = set()
        """Those places."""
        self._back: set[int] = set()
        """The keys of the Emails that stand for one of those that were kept."""

    def store(self, batch: Sequence[KeptEmail]) -> Progress:
        """Store some Emails. They are on disk when this returns."""
        return self._database.write(lambda tx: self._store(tx, batch))

    def _store(self, tx: Transaction, batch: Sequence[KeptEmail]) -> Progress:
        touched, there, failures = [], 0, []
        for one in batch:
            same = ingest.emails_with_blob(tx, self._account, one.parsed.blob)
            known = next((found for found in same if found[0] not in self._back), None)
            try:
                if known is None:
                    with tx.savepoint():
                        added = self._add(tx, one)
                    touched.append(added.thread)
                    known = (added.key, added.thread)
                else:
                    there += 1
            except OverQuota as error:
                failures.append((one.where, f"there is no room for it. {error}"))
                continue
            except SetError as error:
                failures.append((one.where, str(error)))
                continue
            self._back.add(known[0])
            self._taken.add(self._threads.setdefault(one.thread, known[1]))
        counts.recount(tx, self._account, touched)
        return Progress(len(touched), there, failures, 0)

    def _add(self, tx: Transaction, one: KeptEmail) -> ingest.Added:
        return ingest.add(
            tx,
            self._account,
            one.parsed,
            mailboxes=mailbox_keys(tx, self._account, one.mailbox_ids),
            keywords=aligned(one.keywords, one.parsed.listed["hasAttachment"]),
            received_at=one.received_at,
            thread_of=lambda tx, account, hashes: self._thread_of(tx, account, one.thread, hashes),
        )

    def _thread_of(self, tx: Transaction, account: int, name: str, hashes: list[int]) -> int:
        """Return the Thread that an Email was in; for the first of a Thread, one that it fits in or a new one."""
        thread = self._threads.get(name)
        if thread is None:
            thread = threading.find(tx, account, hashes)
            # What were two Threads stay two, even if they would be one by now.
            if thread in self._taken:
                thread = None
        return threading.join(tx, account, thread, hashes)
