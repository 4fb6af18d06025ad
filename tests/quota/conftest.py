"""What tests of quotas share: limits, and calls that name their capabilities."""

import pytest

from minijmap.store import limits, usage
from tests.conftest import CORE, MAIL

QUOTA = "urn:ietf:params:jmap:quota"
SUBMISSION = "urn:ietf:params:jmap:submission"
ALICE, BOB = "alice@example.com", "bob@example.com"


class Quotas:
    """The house's quotas, as a client asks for them."""

    def __init__(self, house) -> None:
        self.house = house

    def limit(self, octets, user=ALICE):
        """Set what an account may keep."""
        account = self.house.users[user].account
        self.house.database.write(lambda tx: limits.set_own(tx, account, octets))

    def used(self, user=ALICE):
        """What an account keeps, as it is noted."""
        with self.house.database.read() as reader:
            return usage.used(reader, self.house.users[user].account, usage.OCTETS)

    def call(self, name, using=(CORE, MAIL, QUOTA), user=ALICE, **arguments):
        """Make one call; return its answer's arguments."""
        given = {"accountId": self.house.account(user), **arguments}
        (answered,) = self.house.request([name, given, "c"], using=using, user=user)
        return answered[1]

    def storage(self, user=ALICE):
        """The Quota of octets."""
        (found,) = [
            one for one in self.call("Quota/get", ids=None, user=user)["list"] if one["resourceType"] == "octets"
        ]
        return found


@pytest.fixture
def quotas(house):
    """The house's quotas."""
    return Quotas(house)


def message(number, size=1000):
    """Return a message of just so many octets."""
    head = f"From: zoe@example.org\r\nSubject: {number}\r\nMessage-ID: <{number}@x>\r\n\r\n".encode()
    return head + b"x" * (size - len(head) - 2) + b"\r\n"
