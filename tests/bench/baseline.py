"""The rows of an open inbox by bare SQL, straight from minijmap's file: what the server's own cost is held against.

The one part of the benchmark that knows the schema (minijmap/mail/schema.py). Reads only, beside the running server.
"""

import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

from tests.bench.ground import BATCH, Ground

ROUNDS = 200
WALK = "SELECT email, thread FROM email_mailbox WHERE mailbox = ? ORDER BY received_at DESC, email DESC"
ROWS = (
    "SELECT group_concat(email.doc || content.list) FROM json_each(?) AS wanted"
    " JOIN email ON email.key = wanted.value JOIN email_content AS content ON content.email = email.key"
)
THREADS = (
    "SELECT group_concat(emails) FROM (SELECT json_group_array(email.key) AS emails FROM json_each(?) AS wanted"
    " JOIN email ON email.thread = wanted.value GROUP BY email.thread)"
)


def bare_sql(path: Path, ground: Ground) -> float:
    """Milliseconds (median) for the newest 50 threads of the mailbox, what a list shows of them, and their emails' keys."""
    mailbox = int(ground.mailbox[1:])  # a prefix letter and the integer key
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        samples = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            open_inbox(database, mailbox)
            samples.append((time.perf_counter() - started) * 1000)
    return statistics.median(samples)


def open_inbox(database: sqlite3.Connection, mailbox: int) -> tuple[str, str]:
    """The list documents and the threads' keys, both as text and unparsed."""
    newest: dict[int, int] = {}
    with closing(database.execute(WALK, (mailbox,))) as walk:
        for email, thread in walk:
            newest.setdefault(thread, email)
            if len(newest) == BATCH:
                break
    (rows,) = database.execute(ROWS, (str([*newest.values()]),)).fetchone()
    (threads,) = database.execute(THREADS, (str([*newest]),)).fetchone()
    return rows, threads
