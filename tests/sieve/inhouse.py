"""Sieve in the house, as tests do it: scripts are uploaded and switched by JMAP, messages arrive as by SMTP."""

from dataclasses import dataclass, field

from minijmap.mail import check
from minijmap.sieve.arrival import Arrivals, Arriving, Recipient
from minijmap.smtp.recipients import Recipients
from minijmap.store import blobs

CORE, MAIL, SIEVE = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:sieve"
ALICE, BOB, STRANGER = "alice@example.com", "bob@example.com", "stranger@remote.example"


def letter(*fields, sender=STRANGER, to=ALICE, subject="Hello", body="Good day.", own_id="one@remote.example"):
    """Return a message with further header fields."""
    lines = [
        f"From: Stranger <{sender}>",
        f"To: {to}",
        f"Subject: {subject}",
        "Date: Thu, 1 Jan 2026 00:00:00 +0000",
        f"Message-ID: <{own_id}>",
        *fields,
    ]
    return "\r\n".join([*lines, "", body, ""]).encode()


def upload(house, script, user=ALICE):
    """Have a user upload octets, as a POST to the upload URL does; return the blobId."""
    packed = blobs.pack(script if isinstance(script, bytes) else script.encode())
    account = house.users[user].account
    house.database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed), account, int(house.now * 1000)))
    return packed.blob_id


def set_scripts(house, user=ALICE, **arguments):
    """Call SieveScript/set; return the response."""
    return house.call("SieveScript/set", arguments, user)


def add_script(house, script, name=None, user=ALICE, *, active=True):
    """Store a script, active if not told otherwise; return its id."""
    arguments = {"create": {"k": {"name": name, "blobId": upload(house, script, user)}}}
    answer = set_scripts(house, user, **arguments, **({"onSuccessActivateScript": "#k"} if active else {}))
    assert answer["notCreated"] is None, answer["notCreated"]
    return answer["created"]["k"]["id"]


def scripts(house, user=ALICE):
    """Return the SieveScripts of a user, by name."""
    return {one["name"]: one for one in house.call("SieveScript/get", {}, user)["list"]}


@dataclass
class Post:
    """The way by which mail arrives at a house."""

    house: object
    aliases: dict = field(default_factory=dict)

    def __post_init__(self):
        """Begin with an empty cache."""
        self.woken = 0
        self.arrivals = Arrivals(Recipients(self.aliases), "mx.example.com", self._wake)

    def _wake(self):
        self.woken += 1

    def arrive(self, raw, *recipients, sender=STRANGER, **more):
        """Have a message arrive; return the refusals by recipient."""
        addresses = Recipients(self.aliases)
        with self.house.database.read() as reader:
            found = [Recipient(addresses.find(reader, one).account, one) for one in recipients or (ALICE,)]
        arriving = Arriving(raw, sender, tuple(found), int(self.house.now * 1000), **more)
        settled = self.arrivals.deliver(self.house.database, arriving)
        with self.house.database.read() as reader:
            assert list(check.problems(reader)) == []
        return {one.recipient.address: one.refusal for one in settled.outcomes if one.refusal}

    def emails(self, user=ALICE):
        """Return a user's Emails, oldest first: (subject, paths of their Mailboxes, keywords without $has…)."""
        listed = self.house.call("Mailbox/get", {}, user)["list"]
        parents = {one["id"]: (one["name"], one["parentId"]) for one in listed}
        got = self.house.call("Email/get", {"properties": ["subject", "mailboxIds", "keywords"]}, user)["list"]
        return [
            (
                one["subject"],
                sorted(path(parents, mailbox) for mailbox in one["mailboxIds"]),
                sorted(word for word in one["keywords"] if not word.startswith("$has")),
            )
            for one in sorted(got, key=lambda one: int(one["id"][1:]))
        ]

    def octets(self, user=ALICE):
        """Return the octets of a user's Emails, oldest first."""
        with self.house.database.read() as reader:
            rows = reader.all(
                "SELECT blob FROM email WHERE account = ? ORDER BY key", (self.house.users[user].account,)
            )
            return [blobs.read(reader, blob) for (blob,) in rows]

    def queued(self):
        """Return what is in the queue: (sender, recipient, octets)."""
        with self.house.database.read() as reader:
            rows = reader.all(
                "SELECT m.sender, r.address, m.blob FROM queue_recipient AS r JOIN queue_message AS m "
                "ON m.key = r.message ORDER BY r.key"
            )
            return [(sender, address, blobs.read(reader, blob)) for sender, address, blob in rows]


def path(parents, mailbox):
    """Return the path of a Mailbox."""
    name, parent = parents[mailbox]
    return name if parent is None else f"{path(parents, parent)}/{name}"


def only(post, user=ALICE):
    """Return the Mailboxes and keywords of the one Email that there is."""
    ((_, places, keywords),) = post.emails(user)
    return places, keywords
