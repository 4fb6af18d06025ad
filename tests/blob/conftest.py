"""What tests of blobs share: calls that name their capabilities."""

import pytest

from tests.conftest import CORE, MAIL

BLOB = "urn:ietf:params:jmap:blob"


class Blobs:
    """The house's blobs, as a client asks for them."""

    def __init__(self, house) -> None:
        self.house = house

    def run(self, *calls, using=(CORE, MAIL, BLOB), user="alice@example.com", **more):
        """Answer calls in one request; each gets the user's accountId."""
        named = [
            [name, {"accountId": self.house.account(user), **arguments}, f"c{number}"]
            for number, (name, arguments) in enumerate(calls)
        ]
        return [
            (name if name == "error" else None, arguments)
            for name, arguments, _ in self.house.request(*named, using=using, user=user, **more)
        ]

    def one(self, name, using=(CORE, MAIL, BLOB), user="alice@example.com", **arguments):
        """Answer one call; return its arguments."""
        ((_, answered),) = self.run((name, arguments), using=using, user=user)
        return answered

    def upload(self, *sources, user="alice@example.com", **more):
        """Upload one blob; return what is created, or the SetError."""
        answered = self.one("Blob/upload", create={"x": {"data": list(sources), **more}}, user=user)
        return (answered["created"] or answered["notCreated"])["x"]

    def text(self, text, user="alice@example.com"):
        """Upload a text; return its blobId."""
        return self.upload({"data:asText": text}, user=user)["id"]


@pytest.fixture
def blobs(house):
    """The house's blobs."""
    return Blobs(house)
