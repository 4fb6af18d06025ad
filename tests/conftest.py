"""What tests share: a household in a temporary folder, spoken to through the real engine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minijmap import users
from minijmap.jmap.engine import Engine, Limits
from minijmap.jmap.session import login_of
from minijmap.mail import ingest
from minijmap.server import families, open_database
from minijmap.store import accounts, blobs

CORE, MAIL = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"
START = 1_767_225_600  # 2026-01-01T00:00:00Z


class House:
    """Alice and Bob, their real database, and an engine over it. Time stands still unless a test moves it."""

    def __init__(self, folder: Path) -> None:
        self.now = float(START)
        self.announced: list[dict[int, dict[str, int]]] = []
        self.database = open_database(folder, self.announced.append, lambda: self.now)
        self.users = {
            address: users.add_user(self.database, address, name, "secret", START * 1000)
            for address, name in (("alice@example.com", "Alice"), ("bob@example.com", "Bob"))
        }
        with self.database.read() as reader:
            found = {address: accounts.password_of(reader, user) for address, user in self.users.items()}
        self.credentials = {address: one.key for address, one in found.items() if one is not None}
        self.engine = self.make_engine()

    def make_engine(self, **options: Any) -> Engine:
        """Return an engine over the house's database, with limits and options of the test's own."""
        limits = options.pop("limits", None) or Limits()
        return Engine(self.database, families(), clock=lambda: self.now, limits=limits, **options)

    def account(self, user: str = "alice@example.com") -> str:
        """Return the id of a user's account."""
        return f"a{self.users[user].account}"

    def answer(self, request: Any, user: str = "alice@example.com") -> dict[str, Any]:
        """Answer a Request object (or the octets of one) as the engine does."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        answered: dict[str, Any] = json.loads(
            self.engine.handle(login_of(self.users[user], self.credentials.get(user, 0)), body)
        )
        return answered

    def request(
        self, *calls: Any, using: tuple[str, ...] = (CORE, MAIL), user: str = "alice@example.com", **more: Any
    ) -> list[Any]:
        """Answer method calls; return `methodResponses`. `created_ids` is given as createdIds."""
        request = {"using": list(using), "methodCalls": list(calls)}
        if "created_ids" in more:
            request["createdIds"] = more["created_ids"]
        responses: list[Any] = self.answer(request, user)["methodResponses"]
        return responses

    def call(
        self, name: str, arguments: dict[str, Any] | None = None, user: str = "alice@example.com"
    ) -> dict[str, Any]:
        """Make one call in the user's account; return the response's arguments (an error's too, with its type)."""
        given = {"accountId": self.account(user), **(arguments or {})}
        (answered,) = self.request([name, given, "c1"], user=user)
        arguments = answered[1]
        if answered[0] != "error":
            assert answered[0] == name
        return arguments

    def deliver(self, raw: bytes, user: str = "alice@example.com") -> str:
        """Have a message arrive in a user's Inbox now; return the id of the new Email."""
        ingest.deliver(self.database, raw, [self.users[user].account], int(self.now * 1000))
        with self.database.read() as reader:
            return f"e{reader.value('SELECT max(key) FROM email')}"

    def an_hour_later(self) -> None:
        """Let an hour pass: blobs that nothing refers to any more are collected (RFC 8620 §6)."""
        self.now += 3601
        self.database.write(lambda tx: blobs.collect(tx, int(self.now * 1000)))

    def mailbox(self, role: str, user: str = "alice@example.com") -> str:
        """Return the id of a user's Mailbox with a role."""
        found = self.call("Mailbox/query", {"filter": {"role": role}}, user)
        (one,) = found["ids"]
        return one


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A household, opened for one test."""
    house = House(tmp_path / "data")
    yield house
    house.database.close()
