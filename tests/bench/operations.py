"""What is measured: each operation of a mail client named and built in one place (RFC 8620, RFC 8621).

An operation that writes undoes itself with a second, untimed request, so that the account is the same after a run. Knows JMAP and no server in particular.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.bench.client import Answer, Call, Client
from tests.bench.corpus import LIST_ID
from tests.bench.ground import BATCH, Ground, email_get, email_set, inbox_query, lane_of, marks

LIST_PROPERTIES = [
    "id",
    "threadId",
    "mailboxIds",
    "keywords",
    "hasAttachment",
    "from",
    "to",
    "subject",
    "receivedAt",
    "size",
    "preview",
]


class Turn(NamedTuple):
    """Which connection asks, and for the how manieth time."""

    lane: int
    number: int


@dataclass(frozen=True)
class Operation:
    """One named request. `lists`: bound by the budget for list operations."""

    name: str
    call: Callable[[Client, Ground, Turn], Call]
    undo: Callable[[Client, Ground, Turn, Answer], Call] | None = None
    lists: bool = False
    writes: bool = False


def open_inbox(client: Client, ground: Ground, _: Turn) -> Call:
    """Query 50 collapsed, what a list shows of them, and their threads, in one request."""
    threads = {"resultOf": "1", "name": "Email/get", "path": "/list/*/threadId"}
    thread_get = ("Thread/get", {"accountId": ground.account, "#ids": threads})
    return client.request(inbox_query(ground), email_get(ground, "/ids", LIST_PROPERTIES), thread_get)


def page(client: Client, ground: Ground, position: int) -> Call:
    """Another page of the same list."""
    query = inbox_query(ground, position=position, calculateTotal=False)
    return client.request(query, email_get(ground, "/ids", LIST_PROPERTIES))


def search(client: Client, ground: Ground, condition: dict[str, Any]) -> Call:
    """50 hits in the mailbox with what a list shows of them."""
    where = {"operator": "AND", "conditions": [{"inMailbox": ground.mailbox}, condition]}
    query = inbox_query(ground, filter=where, collapseThreads=False, calculateTotal=False)
    return client.request(query, email_get(ground, "/ids", LIST_PROPERTIES))


def open_thread(client: Client, ground: Ground, turn: Turn) -> Call:
    """A conversation with every body, as a reading pane asks for it."""
    thread = ground.threads[(turn.lane + turn.number) % len(ground.threads)]
    bodies = ["bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments", "messageId", "cc", "replyTo"]
    name, arguments = email_get(ground, "/list/*/emailIds", [*LIST_PROPERTIES, *bodies])
    arguments |= {"fetchTextBodyValues": True, "fetchHTMLBodyValues": True, "maxBodyValueBytes": 262_144}
    return client.request(("Thread/get", {"accountId": ground.account, "ids": [thread]}), (name, arguments))


def mark(client: Client, ground: Ground, turn: Turn, *, opposite: bool = True) -> Call:
    """Mark 50 messages read or unread in one Email/set."""
    return client.request(email_set(ground, marks(ground, turn.lane, opposite=opposite)))


def move(client: Client, ground: Ground, turn: Turn, *, back: bool = False) -> Call:
    """Move 50 messages to another mailbox in one Email/set, or back to where they were."""
    elsewhere = {ground.elsewhere: True}
    mine = lane_of(ground, turn.lane)
    update = {email["id"]: {"mailboxIds": email["mailboxIds"] if back else elsewhere} for email in mine}
    return client.request(email_set(ground, update))


def delta_sync(client: Client, ground: Ground, _: Turn) -> Call:
    """What changed since the states we knew: mailboxes with counts, threads, and the changed messages' state."""
    since = {name: {"accountId": ground.account, "sinceState": state} for name, state in ground.states.items()}
    updated = {"resultOf": "0", "name": "Mailbox/changes", "path": "/updated"}
    return client.request(
        ("Mailbox/changes", since["Mailbox"]),
        ("Mailbox/get", {"accountId": ground.account, "#ids": updated}),
        ("Thread/changes", since["Thread"]),
        ("Email/changes", since["Email"]),
        email_get(ground, "/created", LIST_PROPERTIES, "3"),
        email_get(ground, "/updated", ["id", "keywords", "mailboxIds"], "3"),
    )


def query_changes(client: Client, ground: Ground, _: Turn) -> Call:
    """How the open inbox's list changed."""
    kept = {name: value for name, value in inbox_query(ground)[1].items() if name != "limit"}
    return client.request(("Email/queryChanges", kept | {"sinceQueryState": ground.states["query"]}))


def upload(client: Client, _: Ground, turn: Turn) -> Call:
    """16 kB nobody has uploaded before; nothing refers to them, so they go by themselves (RFC 8620 §6)."""
    text = random.Random().randbytes(8000).hex().encode()
    return client.upload(f"Subject: upload {turn.lane} {turn.number}\r\n\r\n".encode() + text)


def create_draft(client: Client, ground: Ground, turn: Turn) -> Call:
    """What a composer saves."""
    draft = {
        "mailboxIds": {ground.drafts: True},
        "keywords": {"$draft": True, "$seen": True},
        "from": [{"name": None, "email": ground.sender}],
        "to": [{"name": "Someone", "email": ground.sender}],
        "subject": f"Draft {turn.lane} {turn.number}",
        "textBody": [{"partId": "text", "type": "text/plain"}],
        "bodyValues": {"text": {"value": "A line of a letter.\n" * 40}},
    }
    return client.request(("Email/set", {"accountId": ground.account, "create": {"draft": draft}}))


def destroy_draft(client: Client, ground: Ground, _: Turn, answer: Answer) -> Call:
    """Undo `create_draft`."""
    created = answer.json()["methodResponses"][0][1]["created"]["draft"]["id"]
    return client.request(("Email/set", {"accountId": ground.account, "destroy": [created]}))


OPERATIONS = (
    Operation("session", lambda client, _, __: Call(client.session_url)),
    Operation("echo", lambda client, _, __: client.request(("Core/echo", {}))),
    Operation(
        "mailboxes", lambda c, g, _: c.request(("Mailbox/get", {"accountId": g.account, "ids": None})), lists=True
    ),
    Operation("open inbox", open_inbox, lists=True),
    Operation("deep page (500)", lambda c, g, _: page(c, g, min(500, g.threads_in_mailbox - BATCH)), lists=True),
    Operation("page in the middle", lambda c, g, _: page(c, g, g.threads_in_mailbox // 2)),
    Operation("open thread, bodies", open_thread),
    Operation("text search, common", lambda c, g, _: search(c, g, {"text": g.words[0]})),
    Operation("text search, rare", lambda c, g, _: search(c, g, {"text": g.words[1]})),
    Operation("sender search", lambda c, g, _: search(c, g, {"from": g.sender})),
    Operation("header search", lambda c, g, _: search(c, g, {"header": ["List-Id", LIST_ID]})),
    Operation("delta sync", delta_sync),
    Operation("queryChanges", query_changes),
    Operation("mark 50", mark, lambda c, g, t, _: mark(c, g, t, opposite=False), writes=True),
    Operation("move 50", move, lambda c, g, t, _: move(c, g, t, back=True), writes=True),
    Operation("draft", create_draft, destroy_draft, writes=True),
    Operation("upload 16 kB", upload, writes=True),
    Operation("download", lambda c, g, t: c.download(g.emails[(t.lane + t.number) % len(g.emails)]["blobId"])),
)
