"""Importing an archive into an account: in batches, safe to repeat, in flat memory.

A message that the account has already, octet for octet, is left alone. Folders of the archive become Mailboxes of the
same path. Each batch is one transaction, so whatever was counted as imported is on disk. Must not know archive
formats (`archive`), nor how progress is shown.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from minijmap.jmap.values import ValueProblem
from minijmap.mail import counts, ingest
from minijmap.mail.archive import ArchivedMessage, ArchiveFailure, Item
from minijmap.mail.capability import DEEPEST_MAILBOX
from minijmap.mail.ingest import ParsedEmail
from minijmap.mail.keywords import aligned
from minijmap.mail.mailbox import MailboxType, add_mailbox, find_child
from minijmap.store.database import Database, Transaction
from minijmap.store.usage import OverQuota

BATCH_MESSAGES = 100
BATCH_OCTETS = 4_000_000
NEW_SORT_ORDER = 10


@dataclass(frozen=True)
class Progress:
    """What a batch came to. `octets` counts what was read of the archive, `failures` are (where, reason).

    `notes` are (where, sentence) of what counts as already there and yet is not the same.
    """

    imported: int
    already_there: int
    failures: list[tuple[str, str]]
    octets: int
    notes: list[tuple[str, str]] = field(default_factory=list)


def import_archive(
    database: Database, account: int, items: Iterable[Item], *, mailbox: str | None, now: int
) -> Iterator[Progress]:
    """Import items batch by batch. `mailbox` is a path for all of them, None for the archive's own folders.

    `now`, in milliseconds, is when a message arrived of which neither the archive nor a Received field tells.
    """
    batch: list[tuple[ArchivedMessage, ParsedEmail]] = []
    failures: list[tuple[str, str]] = []
    octets = size = 0
    for item in items:
        octets += item.octets
        if isinstance(item, ArchiveFailure):
            failures.append((item.where, item.reason))
        else:
            batch.append((item, ingest.parse(item.raw)))
            size += len(item.raw)
        if len(batch) + len(failures) >= BATCH_MESSAGES or size >= BATCH_OCTETS:
            yield _store(database, account, batch, failures, octets, mailbox, now)
            batch, failures, octets, size = [], [], 0, 0
    if batch or failures or octets:
        yield _store(database, account, batch, failures, octets, mailbox, now)


def _store(
    database: Database,
    account: int,
    batch: list[tuple[ArchivedMessage, ParsedEmail]],
    failures: list[tuple[str, str]],
    octets: int,
    mailbox: str | None,
    now: int,
) -> Progress:
    def job(tx: Transaction) -> tuple[int, int, list[tuple[str, str]]]:
        threads, there, refused = [], 0, []
        for item, parsed in batch:
            if ingest.email_with_blob(tx, account, parsed.blob) is not None:
                there += 1
                continue
            try:
                with tx.savepoint():
                    threads.append(_add(tx, account, item, parsed, mailbox, now))
            except _BadFolder as error:
                refused.append((item.where, str(error)))
            except OverQuota as error:
                refused.append((item.where, f"there is no room for it. {error}"))
        counts.recount(tx, account, threads)
        return len(threads), there, refused

    imported, there, refused = database.write(job) if batch else (0, 0, [])
    return Progress(imported, there, [*failures, *refused], octets)


def _add(
    tx: Transaction, account: int, item: ArchivedMessage, parsed: ParsedEmail, mailbox: str | None, now: int
) -> int:
    """Store one message where it belongs; return its Thread's key. Raises _BadFolder or OverQuota."""
    target = _target(tx, account, mailbox or item.folder)
    known = item.received_at if item.received_at is not None else parsed.arrived_at
    received_at = now if known is None else min(known, now)
    keywords = aligned(sorted(item.keywords), parsed.listed["hasAttachment"])
    return ingest.add(tx, account, parsed, mailboxes=[target], keywords=keywords, received_at=received_at).thread


class _BadFolder(Exception):
    """A folder of the archive can't be a Mailbox."""


def _target(tx: Transaction, account: int, path: str | None) -> int:
    """Return the Mailbox of a path, made if it is not there; None is the Inbox, as is any spelling of it at the top."""
    levels = [level for level in (path or "").split("/") if level]
    if len(levels) > DEEPEST_MAILBOX:
        raise _BadFolder(f"its folder can't be a mailbox: a path may have {DEEPEST_MAILBOX} levels.")
    try:
        levels = [MailboxType.properties["name"].kind.check(level) for level in levels]
    except ValueProblem as problem:
        raise _BadFolder(f"its folder can't be a mailbox: a name {problem.sentence}.") from None
    parent: int | None = None
    if not levels or levels[0].lower() == "inbox":
        parent = ingest.inbox(tx, account)
        del levels[:1]
    for level in levels:
        key = find_child(tx, account, level, parent)
        if key is None:
            key = add_mailbox(tx, account, level, None, NEW_SORT_ORDER, parent)
        parent = key
    return parent or 0
