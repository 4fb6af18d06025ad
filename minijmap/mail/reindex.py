"""Making the index of words anew from the stored messages.

A destroyed Email leaves its words behind (FTS5 without content can't take them out), which costs space and
nothing else. When they are many, a new index is filled beside the old one, a batch a transaction so that mail goes on
coming in, and then takes its place. It may stop at any time: what is half done is begun again.
"""

from collections.abc import Callable

from minijmap.mail import ingest, message, search
from minijmap.mail.schema import SEARCH_TABLE
from minijmap.store import blobs
from minijmap.store.database import Database, Reader, Transaction

NEW = "email_search_new"
BATCH_ROWS = 100
BATCH_CHARACTERS = 2_000_000
FEWEST_GHOSTS = 1000
"""So few rows without an Email are never worth it."""
GHOST_SHARE = 0.25

Rows = list[tuple[int, tuple[str, ...]]]


def _never() -> bool:
    return False


def upkeep(database: Database, stopped: Callable[[], bool] = _never) -> bool:
    """Make the index anew if too much of it is of Emails that are gone; say whether it was."""
    with database.read() as reader:
        due = is_due(reader)
    return due and rebuild(database, stopped)


def is_due(reader: Reader) -> bool:
    """Say whether too many rows of the index are of Emails that are gone."""
    rows = reader.value("SELECT count(*) FROM email_search_docsize")
    ghosts = rows - reader.value("SELECT count(*) FROM email")
    return bool(ghosts >= FEWEST_GHOSTS and ghosts > rows * GHOST_SHARE)


def rebuild(database: Database, stopped: Callable[[], bool] = _never) -> bool:
    """Make the index anew, in bounded memory. False: it was stopped, and the old one goes on serving."""
    database.write(_begin)
    last, done = 0, False
    while not done:
        if stopped():
            return False
        with database.read() as reader:
            rows = _read(reader, last)
        last = rows[-1][0] if rows else last
        done = database.write(lambda tx, rows=rows, last=last: _add(tx, rows, last))  # type: ignore[misc]
    return True


def _begin(tx: Transaction) -> None:
    tx.execute(f"DROP TABLE IF EXISTS {NEW}")
    tx.execute(SEARCH_TABLE.format(name=NEW))


def _read(reader: Reader, last: int) -> Rows:
    """Read the rows of some Emails after the last key: they never change, so that this needs no transaction."""
    rows: Rows = []
    characters = 0
    for key, blob in reader.all("SELECT key, blob FROM email WHERE key > ? ORDER BY key LIMIT ?", (last, BATCH_ROWS)):
        raw = blobs.read(reader, blob)
        root = message.parse(raw)
        rows.append((key, ingest.words_of(raw, root, ingest.convenience_of(root.headers))))
        characters += sum(map(len, rows[-1][1]))
        if characters > BATCH_CHARACTERS:
            break
    return rows


def _add(tx: Transaction, rows: Rows, last: int) -> bool:
    """Put rows into the new index. When they were the last ones, it takes the old one's place."""
    for key, row in rows:
        search.insert(tx, key, row, NEW)
    if tx.value("SELECT 1 FROM email WHERE key > ? LIMIT 1", (last,)):
        return False
    tx.execute("DROP TABLE email_search")
    tx.execute(f"ALTER TABLE {NEW} RENAME TO email_search")
    return True
