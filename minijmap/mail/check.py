"""Checking mail: everything that is kept beside an Email is made anew and compared (see `schema`).

Yields one sentence for each thing that is wrong.
"""

from collections import defaultdict
from collections.abc import Iterator

from minijmap.mail import counts
from minijmap.store.check import index_problems
from minijmap.store.database import Reader

MOST_SHOWN = 20

# Each statement finds rows that can't be: (what is wrong, SQL giving one text a row).
RULES = (
    (
        "Emails whose place in a Mailbox is not as kept for queries",
        """
        WITH told AS (SELECT e.key AS email, CAST(substr(m.key, 2) AS INTEGER) AS mailbox, e.received_at, e.thread
                      FROM email AS e, json_each(e.doc, '$.mailboxIds') AS m)
        SELECT 'e' || email FROM (
            SELECT email, mailbox, received_at, thread FROM told
            EXCEPT SELECT email, mailbox, received_at, thread FROM email_mailbox)
        UNION SELECT 'e' || email FROM (
            SELECT email, mailbox, received_at, thread FROM email_mailbox
            EXCEPT SELECT email, mailbox, received_at, thread FROM told)
        """,
    ),
    (
        "Emails whose keywords are not as kept for queries",
        """
        WITH told AS (SELECT e.account, k.key AS keyword, e.received_at, e.key AS email
                      FROM email AS e, json_each(e.doc, '$.keywords') AS k)
        SELECT 'e' || email FROM (
            SELECT account, keyword, received_at, email FROM told
            EXCEPT SELECT account, keyword, received_at, email FROM email_keyword)
        UNION SELECT 'e' || email FROM (
            SELECT account, keyword, received_at, email FROM email_keyword
            EXCEPT SELECT account, keyword, received_at, email FROM told)
        """,
    ),
    (
        "Emails in a Mailbox that is not there",
        (
            "SELECT 'e' || e.key FROM email_mailbox AS x CROSS JOIN email AS e ON e.key = x.email "
            "WHERE NOT EXISTS (SELECT 1 FROM mailbox AS m WHERE m.key = x.mailbox AND m.account = e.account)"
        ),
    ),
    (
        "Mailboxes inside of one that is not there",
        (
            "SELECT 'm' || key FROM mailbox AS m WHERE parent IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM mailbox AS p WHERE p.account = m.account AND 'm' || p.key = m.parent)"
        ),
    ),
    (
        "Mailboxes inside of themselves",
        """
        WITH RECURSIVE hung(id) AS (
            SELECT 'm' || key FROM mailbox AS m WHERE parent IS NULL OR parent NOT IN (SELECT 'm' || key FROM mailbox)
            UNION SELECT 'm' || m.key FROM hung CROSS JOIN mailbox AS m ON m.parent = hung.id)
        SELECT 'm' || key FROM mailbox WHERE 'm' || key NOT IN (SELECT id FROM hung) ORDER BY key
        """,
    ),
    (
        "Mailboxes with the name of another at the same place",
        "SELECT 'm' || max(key) FROM mailbox GROUP BY account, parent, name HAVING count(*) > 1",
    ),
    (
        "Mailboxes with the role of another",
        "SELECT 'm' || max(key) FROM mailbox WHERE role IS NOT NULL GROUP BY account, role HAVING count(*) > 1",
    ),
    (
        "Emails of an account that is not there",
        "SELECT 'e' || key FROM email WHERE account NOT IN (SELECT key FROM account)",
    ),
    ("Emails without content", "SELECT 'e' || key FROM email WHERE key NOT IN (SELECT email FROM email_content)"),
    ("Contents without an Email", "SELECT 'e' || email FROM email_content WHERE email NOT IN (SELECT key FROM email)"),
    ("Emails without their message", "SELECT 'e' || key FROM email WHERE blob NOT IN (SELECT key FROM blob)"),
    (
        "Emails whose message is not kept for them",
        """
        SELECT 'e' || key FROM email AS e WHERE NOT EXISTS (
            SELECT 1 FROM blob_use AS u
            WHERE u.blob = e.blob AND u.account = e.account AND u.type = 'Email' AND u.object = e.key)
        """,
    ),
    (
        "Emails without a Thread",
        (
            "SELECT 'e' || key FROM email AS e WHERE NOT EXISTS "
            "(SELECT 1 FROM thread AS t WHERE t.key = e.thread AND t.account = e.account)"
        ),
    ),
    (
        "Counts kept for a Thread that is not there",
        "SELECT DISTINCT 't' || thread FROM mailbox_thread WHERE thread NOT IN (SELECT key FROM thread)",
    ),
    (
        "Message ids known for a Thread that is not there",
        "SELECT DISTINCT 't' || thread FROM thread_reference WHERE thread NOT IN (SELECT key FROM thread)",
    ),
    ("Threads without an Email", "SELECT 't' || key FROM thread WHERE key NOT IN (SELECT thread FROM email)"),
    (
        "Emails that no search can find",
        "SELECT 'e' || key FROM email WHERE key NOT IN (SELECT id FROM email_search_docsize)",
    ),
    (
        "Emails whose S/MIME status is not as kept for queries",
        """
        SELECT 'e' || s.email FROM email_smime AS s WHERE NOT EXISTS (
            SELECT 1 FROM email AS e WHERE e.key = s.email AND e.account = s.account AND e.received_at = s.received_at)
        """,
    ),
    (
        "Messages in the queue that are for nobody",
        "SELECT 'q' || key FROM queue_message WHERE key NOT IN (SELECT message FROM queue_recipient)",
    ),
    (
        "Recipients in the queue without a message",
        "SELECT address FROM queue_recipient WHERE message NOT IN (SELECT key FROM queue_message)",
    ),
    (
        "Messages in the queue that are not kept for it",
        """
        SELECT 'q' || key FROM queue_message AS q WHERE NOT EXISTS (
            SELECT 1 FROM blob_use AS u
            WHERE u.blob = q.blob AND u.account = q.account AND u.type = 'Queue' AND u.object = q.key)
        """,
    ),
    (
        "EmailSubmissions that are not in the queue and wait, or that are in it and were canceled",
        """
        SELECT 's' || key FROM email_submission AS s WHERE
            CASE (SELECT count(*) FROM queue_message AS q WHERE q.submission = s.key)
            WHEN 0 THEN undo_status = 'pending' ELSE undo_status = 'canceled' END
        """,
    ),
    (
        "EmailSubmissions whose reports are not kept",
        """
        SELECT 's' || s.key FROM email_submission AS s, json_each(json_array(
            json_extract(s.doc, '$.dsnBlobIds'), json_extract(s.doc, '$.mdnBlobIds'))) AS lists,
            json_each(lists.value) AS told
        WHERE NOT EXISTS (
            SELECT 1 FROM blob_use AS u JOIN blob AS b ON b.key = u.blob
            WHERE u.account = s.account AND u.type = 'EmailSubmission' AND u.object = s.key
            AND 'b' || lower(hex(b.digest)) = told.value)
        """,
    ),
)


def problems(reader: Reader) -> Iterator[str]:
    """Yield what is wrong with mail."""
    for what, sql in RULES:
        found = [row[0] for row in reader.all(f"SELECT * FROM ({sql}) LIMIT ?", (MOST_SHOWN + 1,))]
        if found:
            more = ", …" if len(found) > MOST_SHOWN else ""
            yield f"{what}: {', '.join(found[:MOST_SHOWN])}{more}."
    for (account,) in reader.all("SELECT key FROM account"):
        yield from _counts(reader, account)
    yield from index_problems(reader, "email_search", "The index of words")


def _counts(reader: Reader, account: int) -> Iterator[str]:
    """Count every Mailbox anew and compare."""
    fresh, kept = counts.count_all(reader, account), counts.kept(reader, account)
    wrong = sorted(pair for pair in fresh.keys() | kept.keys() if fresh.get(pair) != kept.get(pair))
    for thread, mailbox in wrong[:MOST_SHOWN]:
        yield f"Account a{account}: the share of Thread t{thread} in Mailbox m{mailbox} is not as kept."
    totals: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for (_, mailbox), share in fresh.items():
        more = (share.emails, share.unread_emails, 1, share.unread)
        totals[mailbox] = [a + b for a, b in zip(totals[mailbox], more, strict=True)]
    for mailbox, *shown in reader.all(
        "SELECT key, total_emails, unread_emails, total_threads, unread_threads FROM mailbox WHERE account = ?",
        (account,),
    ):
        if shown != totals[mailbox]:
            yield f"Mailbox m{mailbox} shows the counts {shown}, and they are {totals[mailbox]}."
