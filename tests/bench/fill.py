"""Puts the corpus into any JMAP server by upload and Email/import (RFC 8621 §4.8), into a mailbox of its own."""

import time
from itertools import islice

from tests.bench.client import Client, RefusedError, refuse
from tests.bench.corpus import Corpus
from tests.bench.ground import BATCH

NAME = "minijmap bench"


def bench_mailbox(client: Client) -> tuple[str, int]:
    """The id of the benchmark's mailbox, created if need be, and how many messages it has."""
    account = client.account_id
    (got,) = client.ask(("Mailbox/get", {"accountId": account, "ids": None}))
    for entry in got["list"]:
        if entry["name"] == NAME:
            return entry["id"], entry["totalEmails"]
    (made,) = client.ask(("Mailbox/set", {"accountId": account, "create": {"bench": {"name": NAME}}}))
    if not made["created"]:
        raise RefusedError(f"no mailbox of our own: {made['notCreated']}")
    return made["created"]["bench"]["id"], 0


def fill(client: Client, mailbox: str, present: int, wanted: int) -> float:
    """Bring the mailbox to the first `wanted` messages of the corpus; messages per second over one connection (0: none)."""
    corpus = islice(Corpus(), present, max(present, wanted))
    started = time.perf_counter()
    while batch := list(islice(corpus, BATCH)):
        emails = {}
        for number, message in enumerate(batch):
            answer = client.send(client.upload(message.crlf()))
            refuse(answer)
            received = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(message.received))
            blob = answer.json()["blobId"]
            emails[f"k{number}"] = {"blobId": blob, "mailboxIds": {mailbox: True}, "receivedAt": received}
        (result,) = client.ask(("Email/import", {"accountId": client.account_id, "emails": emails}), strict=False)
        for error in (result.get("notCreated") or {}).values():
            if error["type"] != "alreadyExists":
                raise RefusedError(f"Email/import: {error}")
    return max(0, wanted - present) / (time.perf_counter() - started)


def empty(client: Client, mailbox: str) -> None:
    """Remove the benchmark's mailbox with everything in it (RFC 8621 §2.5)."""
    arguments = {"accountId": client.account_id, "destroy": [mailbox], "onDestroyRemoveEmails": True}
    client.ask(("Mailbox/set", arguments))
