"""What an operation needs to know of an account, and the method calls that most operations share (RFC 8620, RFC 8621)."""

from dataclasses import dataclass, field
from typing import Any

from tests.bench.client import Client, RefusedError

BATCH = 50
LANES = 4  # connections that write at once, each to messages of its own
NEWEST_FIRST = [{"property": "receivedAt", "isAscending": False}]


@dataclass
class Ground:
    """The facts of one account that operations are built from."""

    account: str
    mailbox: str
    elsewhere: str
    drafts: str
    messages: int = 0
    threads_in_mailbox: int = 0
    words: tuple[str, str] = ("", "")
    sender: str = ""
    emails: list[dict[str, Any]] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)


def survey(client: Client, mailbox: str | None, words: tuple[str, str] | None) -> Ground:
    """Look at the account: `mailbox` (else the Inbox), its newest messages and some threads worth opening."""
    account = client.account_id
    (mailboxes,) = client.ask(("Mailbox/get", {"accountId": account, "ids": None}))
    roles = {entry["role"]: entry["id"] for entry in mailboxes["list"] if entry["role"]}
    chosen = mailbox or roles["inbox"]
    entry = next(entry for entry in mailboxes["list"] if entry["id"] == chosen)
    others = [roles.get("archive"), *(other["id"] for other in mailboxes["list"])]
    ground = Ground(
        account=account,
        mailbox=chosen,
        elsewhere=next(other for other in others if other and other != chosen),
        drafts=roles.get("drafts", chosen),
        messages=entry["totalEmails"],
        threads_in_mailbox=entry["totalThreads"],
    )
    query = inbox_query(ground, collapseThreads=False, limit=BATCH * LANES)
    properties = ["threadId", "blobId", "keywords", "mailboxIds", "from", "subject"]
    _, got = client.ask(query, email_get(ground, "/ids", properties))
    ground.emails = got["list"]
    if len(ground.emails) < BATCH * LANES:
        raise RefusedError(f"only {len(ground.emails)} messages in the mailbox; {BATCH * LANES} are needed")
    threads = sorted({email["threadId"] for email in ground.emails})
    (got,) = client.ask(("Thread/get", {"accountId": account, "ids": threads}))
    ground.threads = [one["id"] for one in got["list"] if 2 <= len(one["emailIds"]) <= 20][:BATCH] or threads[:BATCH]
    subjects = sorted((word for email in ground.emails for word in (email["subject"] or "").split()), key=len)
    ground.words = words or (subjects[-1], subjects[-1])
    ground.sender = next(email["from"][0]["email"] for email in ground.emails if email["from"])
    return ground


def make_changes(client: Client, ground: Ground, *, writes: bool) -> None:
    """Remember the account's states, then mark and unmark 50 messages: what a client that was away has to catch up with.

    Without `writes` nothing is marked, and catching up means learning that nothing changed.
    """
    query = inbox_query(ground)
    names = ("Email", "Mailbox", "Thread")
    gets = [(f"{name}/get", {"accountId": ground.account, "ids": []}) for name in names]
    queried, *got = client.ask(query, *gets)
    ground.states = {name: answer["state"] for name, answer in zip(names, got, strict=True)}
    ground.states["query"] = queried["queryState"]
    for opposite in (True, False) if writes else ():
        client.ask(email_set(ground, marks(ground, 0, opposite=opposite)))


def hits(client: Client, ground: Ground) -> int:
    """How many messages of the mailbox have the common word."""
    where = {"inMailbox": ground.mailbox, "text": ground.words[0]}
    (found,) = client.ask(inbox_query(ground, filter=where, collapseThreads=False))
    total: int = found["total"]
    return total


def inbox_query(ground: Ground, **arguments: Any) -> tuple[str, dict[str, Any]]:
    """The Email/query of a mailbox view: newest first, collapsed, 50, with the total."""
    return "Email/query", {
        "accountId": ground.account,
        "filter": {"inMailbox": ground.mailbox},
        "sort": NEWEST_FIRST,
        "collapseThreads": True,
        "limit": BATCH,
        "calculateTotal": True,
        **arguments,
    }


def email_get(ground: Ground, path: str, properties: list[str], result_of: str = "0") -> tuple[str, dict[str, Any]]:
    """Email/get of the ids that an earlier call found (RFC 8620 §3.7)."""
    name = {"/ids": "Email/query", "/created": "Email/changes", "/updated": "Email/changes"}.get(path, "Thread/get")
    ids = {"resultOf": result_of, "name": name, "path": path}
    return "Email/get", {"accountId": ground.account, "#ids": ids, "properties": properties}


def email_set(ground: Ground, update: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Email/set of these patches."""
    return "Email/set", {"accountId": ground.account, "update": update}


def lane_of(ground: Ground, lane: int) -> list[dict[str, Any]]:
    """The 50 messages that belong to this connection."""
    return ground.emails[lane * BATCH : (lane + 1) * BATCH]


def marks(ground: Ground, lane: int, *, opposite: bool) -> dict[str, Any]:
    """Patches that turn `$seen` of 50 messages to the opposite of what it was, or back."""
    seen = {email["id"]: "$seen" in email["keywords"] for email in lane_of(ground, lane)}
    return {id_: {"keywords/$seen": True if was != opposite else None} for id_, was in seen.items()}
