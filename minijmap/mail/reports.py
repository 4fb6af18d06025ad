"""Reports that come back about what was sent: to which submission they belong, and what it shows then (RFC 8621 §7).

Owns by what a submission is known outside: the envelope id it was sent with, which nobody can guess who has not got the
message, and its Message-ID. A report that fits none is a message like any other; one that fits is both. How a report
looks is `reportform`'s.
"""

import secrets

from minijmap.mail import submission
from minijmap.mail.reportform import DSN, Report, Told
from minijmap.store import documents
from minijmap.store.database import Reader, Transaction

MOST_REPORTS = 1000
"""Reports that one submission keeps."""


def envid_of(reader: Reader, key: int | None) -> str:
    """Return the envelope id that a submission was, or is to be, sent with (RFC 3461 §4.4); "" without a submission."""
    if key is None:
        return ""
    known = reader.value("SELECT envid FROM sent_message WHERE submission = ? AND envid != ''", (key,))
    return str(known) if known else f"s{key}-{secrets.token_hex(8)}"


def remember(tx: Transaction, account: int, key: int | None, *, message_id: str, envid: str = "") -> None:
    """Note by what reports about a submission will know it. What is known already stays."""
    if key is None:
        return
    tx.execute(
        "INSERT INTO sent_message (submission, account, envid, message_id) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (submission) DO UPDATE SET envid = excluded.envid WHERE envid = ''",
        (key, account, envid, message_id),
    )


def note(tx: Transaction, account: int, report: Report, blob: int) -> bool:
    """Write down what a report that has arrived in an account says; False if it is about no submission of the account.

    `blob` is the key of the whole message.
    """
    key = _find(tx, account, report)
    document = None if key is None else documents.load(tx, submission.SUBMISSIONS, account, key)
    if key is None or document is None:
        return False
    name = "dsnBlobIds" if report.kind == DSN else "mdnBlobIds"
    changed = attach(tx, account, key, document, name, blob)
    for told in report.told:
        address = _recipient(document, told)
        if address is not None:
            changed = _apply(document["deliveryStatus"][address], told) or changed
    if changed:
        documents.update(tx, submission.SUBMISSIONS, account, key, document)
    return True


def attach(tx: Transaction, account: int, key: int, document: dict[str, list[str]], name: str, blob: int) -> bool:
    """Put a report's blob into a submission's document; False if it is there. The caller writes the document."""
    digest = tx.value("SELECT digest FROM blob WHERE key = ?", (blob,))
    blob_id = f"b{digest.hex()}"
    if blob_id in document[name] or len(document[name]) >= MOST_REPORTS:
        return False
    document[name] = [*document[name], blob_id]
    submission.keep_blob(tx, account, key, blob)
    return True


def forget_old(tx: Transaction) -> None:
    """Forget by what submissions were known that are no more."""
    tx.execute("DELETE FROM sent_message WHERE submission NOT IN (SELECT key FROM email_submission)")


def sent_email(reader: Reader, account: int, message_id: str) -> str | None:
    """Return the id of the Email that was last sent with a Message-ID (without brackets), if it is still there."""
    key = _find(reader, account, Report("", "", message_id, ()))
    document = None if key is None else documents.load(reader, submission.SUBMISSIONS, account, key)
    email_id = "" if document is None else str(document["emailId"])
    there = reader.value("SELECT 1 FROM email WHERE key = ? AND account = ?", (email_id[1:] or 0, account))
    return email_id if there else None


def _find(reader: Reader, account: int, report: Report) -> int | None:
    """Return the key of the submission that a report is about, or None."""
    for column, value in (("envid", report.envid), ("message_id", report.message_id)):
        if value:
            # A message may have been sent several times: the last is meant, as far as anybody can tell.
            key = reader.value(
                f"SELECT max(m.submission) FROM sent_message AS m JOIN email_submission AS s ON s.key = m.submission "
                f"WHERE m.account = ? AND m.{column} = ?",
                (account, value),
            )
            if key is not None:
                return int(key)
    return None


def _recipient(document: dict[str, dict[str, object]], told: Told) -> str | None:
    """Return the recipient that is told of, as the submission spells it."""
    recipients = {address.lower(): address for address in document["deliveryStatus"]}
    for address in told.addresses:
        if address in recipients:
            return recipients[address]
    # It was forwarded, and the report knows only where to.
    return next(iter(recipients.values())) if len(recipients) == 1 else None


def _apply(status: dict[str, str], told: Told) -> bool:
    """Change a DeliveryStatus as a report tells; False if nothing changes. What is final stays (RFC 8621 §7)."""
    before = dict(status)
    if told.delivered and status["delivered"] not in ("yes", "no"):
        status["delivered"], status["smtpReply"] = told.delivered, told.reply
    if told.displayed:
        status["displayed"] = "yes"
    return status != before
