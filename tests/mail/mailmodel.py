"""What the mail tests share: messages in one line, and an account as naive Python straight from RFC 8621.

The model keeps plain lists and looks at all of them for every question; it knows no SQL and none of our modules but
what it needs to put a message into the store.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from unicodedata import normalize

from minijmap.mail import counts, ingest, mailbox, removal
from minijmap.mail.check import problems
from minijmap.store import accounts
from minijmap.store.accounts import User

START_MS = 1_767_225_600_000
INBOX_ROLES = ("inbox", "drafts", "sent", "archive", "junk", "trash")


def message(
    subject="Hello",
    *,
    message_id=None,
    references=(),
    sender="Ann Example <ann@example.org>",
    to="Alice <alice@example.com>",
    body="Good day.",
    fields=(),
    sent="Thu, 01 Jan 2026 00:00:00 +0000",
):
    """The octets of a message. `references` are message ids without brackets, `fields` more header lines."""
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}"]
    lines += [f"Date: {sent}"] if sent else []
    lines += [f"Message-ID: <{message_id}>"] if message_id else []
    lines += ["References: " + " ".join(f"<{one}>" for one in references)] if references else []
    return "\r\n".join([*lines, *fields, "", body, ""]).encode()


def with_attachment(subject="Hello", *, name="plan.pdf", body="See the file."):
    """The octets of a message with a file."""
    parts = (
        f"--b1\r\nContent-Type: text/plain\r\n\r\n{body}\r\n"
        f'--b1\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="{name}"\r\n\r\n%PDF\r\n--b1--\r\n'
    )
    head = f"From: Ann <ann@example.org>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    return f"{head}Content-Type: multipart/mixed; boundary=b1\r\n\r\n{parts}".encode()


def put(house, raw, mailboxes=(), keywords=(), at=START_MS, user="alice@example.com"):
    """Store a message as an arrival of a moment in milliseconds; in the Inbox unless told otherwise. The Email's id."""
    account = house.users[user].account
    parsed = ingest.parse(raw)

    def job(tx):
        places = [int(one[1:]) for one in mailboxes] or [ingest.inbox(tx, account)]
        added = ingest.add(tx, account, parsed, mailboxes=places, keywords=keywords, received_at=at)
        counts.recount(tx, account, [added.thread])
        return f"e{added.key}"

    return house.database.write(job)


def get(house, email_id, *names, user="alice@example.com"):
    """One property of an Email, or a dict of several."""
    (email,) = house.call("Email/get", {"ids": [email_id], "properties": list(names)}, user)["list"]
    return email[names[0]] if len(names) == 1 else email


def make_mailbox(house, name, user="alice@example.com", **more):
    """Create a Mailbox and return its id."""
    answer = house.call("Mailbox/set", {"create": {"new": {"name": name, **more}}}, user)
    assert answer["notCreated"] is None, answer
    return answer["created"]["new"]["id"]


def set_email(house, email_id, patch, user="alice@example.com"):
    """Patch one Email; None if that went well, else the SetError."""
    answer = house.call("Email/set", {"update": {email_id: patch}}, user)
    return None if answer["notUpdated"] is None else answer["notUpdated"][email_id]


def utc(milliseconds):
    """A moment as UTCDate."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_account(house, address):
    """A user with a fresh account, without the slow digest of a password: for tests that want hundreds."""

    def job(tx):
        key = tx.execute(
            "INSERT INTO user (address, name, created_at) VALUES (?, 'Model', ?)", (address, START_MS)
        ).lastrowid
        account = tx.execute("INSERT INTO account (user, name) VALUES (?, ?)", (key, address)).lastrowid
        mailbox.add_role_mailboxes(tx, account)
        return User(key, address, "Model", account)

    house.users[address] = house.database.write(job)
    return address


def drop_account(house, address):
    """Forget such a user and all their mail."""
    user = house.users.pop(address)

    def job(tx):
        removal.remove_account(tx, user.account)
        accounts.remove_user(tx, user)

    house.database.write(job)


def damage(house):
    """What `minijmap check` finds wrong with mail."""
    with house.database.read() as reader:
        return list(problems(reader))


@dataclass
class ModelEmail:
    """An Email as far as queries and counts care."""

    id: str
    thread: str
    mailboxes: set[str]
    keywords: set[str]
    received_at: int
    size: int = 0
    sent_at: int | None = None
    sender: str = ""
    subject: str = ""
    has_attachment: bool = False
    words: dict[str, set[str]] = field(default_factory=dict)

    @property
    def key(self):
        """The number in the id."""
        return int(self.id[1:])

    @property
    def unread(self):
        """Neither $seen nor $draft (RFC 8621 §2)."""
        return not self.keywords & {"$seen", "$draft"}


def model_counts(emails, mailbox_id, trash):
    """totalEmails, unreadEmails, totalThreads, unreadThreads of a Mailbox, as RFC 8621 §2 says it."""
    here = [one for one in emails if mailbox_id in one.mailboxes]
    threads = {one.thread for one in here}
    unread_threads = 0
    for thread in threads:
        shown = [one for one in emails if one.thread == thread]
        if mailbox_id == trash:
            shown = [one for one in shown if trash in one.mailboxes]
        else:
            shown = [one for one in shown if one.mailboxes != {trash}]
        unread_threads += any(one.unread for one in shown)
    return {
        "totalEmails": len(here),
        "unreadEmails": sum(one.unread for one in here),
        "totalThreads": len(threads),
        "unreadThreads": unread_threads,
    }


def model_matches(node, email, emails):
    """Whether an Email meets a filter (RFC 8620 §5.5, RFC 8621 §4.4.1)."""
    if node is None:
        return True
    if "operator" in node:
        found = [model_matches(one, email, emails) for one in node["conditions"]]
        return {"AND": all(found), "OR": any(found), "NOT": not any(found)}[node["operator"]]
    return all(_condition(name, value, email, emails) for name, value in node.items())


def _condition(name, value, email, emails):
    mates = [one for one in emails if one.thread == email.thread]
    simple = {
        "inMailbox": lambda: value in email.mailboxes,
        "inMailboxOtherThan": lambda: bool(email.mailboxes - set(value)),
        "before": lambda: utc(email.received_at) < value,
        "after": lambda: utc(email.received_at) >= value,
        "minSize": lambda: email.size >= value,
        "maxSize": lambda: email.size < value,
        "allInThreadHaveKeyword": lambda: all(value in one.keywords for one in mates),
        "someInThreadHaveKeyword": lambda: any(value in one.keywords for one in mates),
        "noneInThreadHaveKeyword": lambda: not any(value in one.keywords for one in mates),
        "hasKeyword": lambda: value in email.keywords,
        "notKeyword": lambda: value not in email.keywords,
        "hasAttachment": lambda: email.has_attachment == value,
    }
    if name in simple:
        return simple[name]()
    everywhere = set().union(*email.words.values()) if name == "text" else email.words.get(name, set())
    return set(value.lower().split()) <= everywhere


def model_query(emails, filter_, sort, *, collapse):
    """The ids of the results. Where the RFC leaves the order to the server, it is ours: newest first."""
    found = [one for one in emails if model_matches(filter_, one, emails)]
    ascending_alone = len(sort or ()) == 1 and sort[0]["property"] == "receivedAt" and sort[0].get("isAscending", True)
    found.sort(key=lambda one: (one.received_at, one.key), reverse=not ascending_alone)
    for comparator in reversed(sort or ()):
        found.sort(
            key=lambda one, by=comparator: _sort_value(by, one, emails), reverse=not comparator.get("isAscending", True)
        )
    seen = set()
    kept = []
    for one in found:
        if not collapse or one.thread not in seen:
            kept.append(one.id)
        seen.add(one.thread)
    return kept


def _sort_value(comparator, email, emails):
    mates = [one for one in emails if one.thread == email.thread]
    keyword = comparator.get("keyword")
    return {
        "receivedAt": lambda: email.received_at,
        "sentAt": lambda: (email.sent_at is not None, email.sent_at or 0),
        "size": lambda: email.size,
        "from": lambda: normalize("NFKD", email.sender.upper()),
        "subject": email.subject.upper,
        "hasKeyword": lambda: keyword in email.keywords,
        "allInThreadHaveKeyword": lambda: all(keyword in one.keywords for one in mates),
        "someInThreadHaveKeyword": lambda: any(keyword in one.keywords for one in mates),
    }[comparator["property"]]()


def splice(cached, answer, total):
    """A client's list of ids (None where it knows nothing) after a /queryChanges (RFC 8620 §5.6, with errata)."""
    result = list(cached)
    removed = set(answer["removed"])
    unknown = removed - set(result)
    if unknown and None in result:
        gap = result.index(None)
        result = result[:gap] + [None] * (len(result) - gap)
    result = [one for one in result if one not in removed]
    for item in answer["added"]:
        result += [None] * (item["index"] - len(result))
        result.insert(item["index"], item["id"])
    return (result + [None] * total)[:total]
