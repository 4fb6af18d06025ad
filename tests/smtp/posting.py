"""Sending, as tests do it: a household whose mail goes to sinks, and a resolver of what the test says."""

import ssl
from dataclasses import dataclass, field

import trustme

from minijmap.config import Settings
from minijmap.mail import check, counts, ingest
from minijmap.setting_kinds import Relay
from minijmap.smtp.client import Timeouts
from minijmap.smtp.delivery import Delivery
from minijmap.smtp.peer import Contexts
from minijmap.smtp.recipients import Recipients
from minijmap.smtp.resolver import Questions
from minijmap.smtp.sending import Outside, connect, make_sender
from minijmap.store import blobs

QUICK = Timeouts(5, 5, 5, 5, 5, 5)
ALICE = "alice@example.com"


@dataclass
class Names(Questions):
    """A resolver that knows what it was told: (name, type) → records of an object with what dnspython's have."""

    mxs: dict = field(default_factory=dict)
    hosts: dict = field(default_factory=dict)
    texts_of: dict = field(default_factory=dict)

    def lookup(self, name, kind):
        """Not asked here: the questions below are."""
        raise AssertionError((name, kind))

    def mx(self, name):
        """Return (preference, host)."""
        return self._of(self.mxs, name)

    def addresses(self, host):
        """Return addresses."""
        return self._of(self.hosts, host)

    def txt(self, name):
        """Return texts."""
        return self._of(self.texts_of, name)

    def texts(self, name):
        """Return texts as octets."""
        return [text.encode() for text in self.txt(name)]

    def _of(self, table, name):
        found = table.get(name, [])
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Post:
    """A household and the way its mail goes out."""

    house: object
    names: Names
    settings: Settings
    cafile: str | None = None
    connect: object = connect

    def sender(self):
        """Return a sender that has done nothing yet."""
        outside = Outside(self.names, lambda: self.house.now, self.connect, Contexts(self.cafile), QUICK)
        return make_sender(self.settings, self.house.database, outside)

    def run(self):
        """Deliver what is due, here and outside, and return when that is done."""
        aliases = Recipients(self.settings.aliases)
        Delivery(self.house.database, aliases, self.settings.hostname, lambda: self.house.now).run_due()
        sender = self.sender()
        sender.run_due()
        sender.stop()

    def status(self, submission, address=None):
        """Return (undoStatus, DeliveryStatus of a recipient)."""
        (one,) = self.house.call("EmailSubmission/get", {"ids": [submission]})["list"]
        statuses = one["deliveryStatus"]
        return one["undoStatus"], statuses[address or next(iter(statuses))]

    def submission(self, submission):
        """Return a submission."""
        (one,) = self.house.call("EmailSubmission/get", {"ids": [submission]})["list"]
        return one

    def waiting(self):
        """Return (address, seconds until the next attempt, attempts, reply) of all that waits; nothing may be wrong."""
        with self.house.database.read() as reader:
            assert list(check.problems(reader)) == []
            rows = reader.all("SELECT address, next_attempt, attempts, reply FROM queue_recipient ORDER BY key")
        return [(address, at / 1000 - self.house.now, *more) for address, at, *more in rows]

    def inbox(self, user=ALICE):
        """Return what is in a user's Inbox, octet for octet, oldest first."""
        with self.house.database.read() as reader:
            rows = reader.all(
                "SELECT e.blob FROM email AS e JOIN email_mailbox AS p ON p.email = e.key "
                "JOIN mailbox AS m ON m.key = p.mailbox WHERE e.account = ? AND m.role = 'inbox' ORDER BY e.key",
                (self.house.users[user].account,),
            )
            return [blobs.read(reader, row[0]) for row in rows]


def relay_settings(sink, **more):
    """Return settings with a sink as the relay."""
    values = {"relay": Relay(sink.host, sink.port, "", "", sink.implicit), "hostname": "mail.example.com"}
    return Settings(**(values | more))


def message(*fields, to="carol@example.net", subject="Hello", body="Text\r\n"):
    """Return a message of Alice's."""
    lines = [f"From: Alice <{ALICE}>", f"To: {to}", f"Subject: {subject}", "Date: Thu, 1 Jan 2026 00:00:00 +0000"]
    lines += ["Message-ID: <1@example.com>", *fields, "", body]
    return "\r\n".join(lines).encode()


def draft(house, raw):
    """Put a message into Alice's Drafts; return the Email's id."""
    account = house.users[ALICE].account
    parsed = ingest.parse(raw)

    def job(tx):
        place = counts.mailbox_with_role(tx, account, "drafts")
        added = ingest.add(
            tx, account, parsed, mailboxes=[place], keywords=["$draft"], received_at=int(house.now * 1000)
        )
        counts.recount(tx, account, [added.thread])
        return added.key

    return f"e{house.database.write(job)}"


def submit(house, raw, *recipients, sender=ALICE, **parameters):
    """Have Alice send a message; a recipient may be (address, parameters). Return the submission's id."""
    envelope = None
    if recipients:
        pairs = [(one, None) if isinstance(one, str) else one for one in recipients]
        envelope = {
            "mailFrom": {"email": sender, "parameters": parameters or None},
            "rcptTo": [{"email": address, "parameters": given} for address, given in pairs],
        }
    wanted = {"emailId": draft(house, raw), "identityId": "i1", "envelope": envelope}
    answer = house.call("EmailSubmission/set", {"create": {"k": wanted}})
    assert answer["notCreated"] is None, answer["notCreated"]
    return answer["created"]["k"]["id"]


def authority(tmp_path, *names, not_after=None):
    """Return the file of a certificate authority, and a server's context with a certificate for names."""
    made = trustme.CA()
    cafile = tmp_path / "ca.pem"
    made.cert_pem.write_to_path(str(cafile))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert(*names, not_after=not_after).configure_cert(context)
    return str(cafile), context
