"""Removing all the mail of an account at once."""

from minijmap.mail import queue, submission
from minijmap.mail.ingest import EMAILS
from minijmap.store import blobs
from minijmap.store.database import Transaction


def remove_account(tx: Transaction, account: int) -> None:
    """Remove every row of mail that an account has; blobs go unless another account refers to them."""
    queue.remove_account(tx, account)
    submission.remove_reports(tx, account)
    for key, blob in tx.all("SELECT key, blob FROM email WHERE account = ?", (account,)):
        blobs.remove_use(tx, blob, account, EMAILS.type_name, key)
    mine = "(SELECT key FROM {} WHERE account = ?)"
    for table, column, owner in (
        ("email_content", "email", "email"),
        ("email_mailbox", "email", "email"),
        ("email_smime", "email", "email"),
        ("mailbox_thread", "thread", "thread"),
    ):
        tx.execute(f"DELETE FROM {table} WHERE {column} IN {mine.format(owner)}", (account,))
    emptied = ("email_keyword", "email_arrival", "thread_reference", "email", "thread", "mailbox")
    for table in (*emptied, "identity", "email_submission", "sent_message", "mdn_sent", "vacation_response"):
        tx.execute(f"DELETE FROM {table} WHERE account = ?", (account,))
