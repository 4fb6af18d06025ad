"""Taking mail out of the queue for whoever runs the server: the queue's rows, and what the submission says then."""

from minijmap.mail import queue, submission
from minijmap.mail.queue import Recipient
from minijmap.store.database import Transaction


def cancel(tx: Transaction, message: int, recipient: int | None) -> tuple[int, int]:
    """Take out a message, or one recipient of it; return how many recipients that were, and how many are under way."""
    found = queue.lines(tx, message, recipient)
    waiting = [line for line in found if not line.under_way]
    queued = queue.whole(tx, message)
    if queued is not None and waiting:
        queue.done(tx, queued, [Recipient(line.key, line.address, {}, line.attempts) for line in waiting])
        submission.take_back(tx, queued.account, queued.submission, [line.address for line in waiting])
    return len(waiting), len(found) - len(waiting)
