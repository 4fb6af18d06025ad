"""A desk at which mail is handed in: a house with a submission listener, and what a mail program says there."""

import base64
from dataclasses import dataclass

from minijmap.mail import queue
from minijmap.store import blobs

ALICE, BOB, OUTSIDE = "alice@example.com", "bob@example.com", "somebody@remote.example"
PASSWORD = "secret"
MESSAGE = (
    f"From: Alice <{ALICE}>\r\nTo: {OUTSIDE}\r\nBcc: hidden@remote.example\r\nSubject: Hello\r\n"
    "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <one@example.com>\r\n\r\nHello.\r\n"
)
ALIASES = {"sales@example.com": ALICE, "info@example.com": BOB, "*@shop.example": ALICE}


@dataclass
class Desk:
    """A house with a submission listener."""

    house: object
    address: tuple

    def queued(self):
        """Return the queued messages: (sender, sender's parameters, recipients with theirs)."""
        with self.house.database.read() as reader:
            keys = [row[0] for row in reader.all("SELECT key FROM queue_message ORDER BY key")]
            found = [queue.load(reader, key, 2**60) for key in keys]
        return [
            (one.sender, one.parameters, {each.address: each.parameters for each in one.recipients}) for one in found
        ]

    def octets(self):
        """Return the octets of what is queued."""
        with self.house.database.read() as reader:
            return [blobs.read(reader, row[0]) for row in reader.all("SELECT blob FROM queue_message ORDER BY key")]

    def emails(self, user=ALICE):
        """Return a user's Emails."""
        properties = ["mailboxIds", "keywords", "subject", "bcc", "messageId", "sentAt", "blobId", "threadId"]
        query = self.house.call("Email/query", {}, user)
        return self.house.call("Email/get", {"ids": query["ids"], "properties": properties}, user)["list"]

    def submissions(self, user=ALICE):
        """Return a user's EmailSubmissions."""
        return self.house.call("EmailSubmission/get", {"ids": None}, user)["list"]


def plain(name=ALICE, password=PASSWORD, acting_for=""):
    """Return a PLAIN message in base64."""
    return base64.b64encode(f"{acting_for}\0{name}\0{password}".encode()).decode()


def encoded(text):
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()


def sign_in(program, name=ALICE, password=PASSWORD):
    """Sign in by PLAIN."""
    program.says(f"AUTH PLAIN {plain(name, password)}", "235 2.7.0 ")


def send(program, message=MESSAGE, recipients=(OUTSIDE,), sender=ALICE, parameters=""):
    """Hand a message in; return the reply to its end."""
    program.says(f"MAIL FROM:<{sender}>{parameters}", "250 2.1.0 ")
    for one in recipients:
        program.says(f"RCPT TO:<{one}>", "250 2.1.5 ")
    program.says("DATA", "354 ")
    program.send(message.encode() + b".\r\n")
    return program.reply()
