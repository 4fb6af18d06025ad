"""The main job, end to end: a message arrives by SMTP and a JMAP client reads it."""

import hashlib
import json

from tests.wire.running import ALICE, run

MESSAGE = (
    b"From: =?utf-8?Q?Zo=C3=AB?= <zoe@example.org>\r\nTo: alice@example.com\r\nSubject: Caf\xc3\xa9?\r\n"
    b"Message-ID: <1@example.org>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nTomorrow at ten \xe2\x98\x95\r\n.dot\r\n"
)


def test_a_message_by_smtp_is_read_by_jmap_and_downloaded_octet_for_octet(start):
    """SMTP in, JMAP out: the query finds it, the get reads it, the download gives the octets that were sent."""
    server = start()
    server.send(MESSAGE)

    query, get, mailbox = server.request(
        ["Email/query", {"accountId": "a1", "filter": {"text": "café"}}, "q"],
        [
            "Email/get",
            {
                "accountId": "a1",
                "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"},
                "properties": [
                    "blobId",
                    "from",
                    "subject",
                    "preview",
                    "keywords",
                    "bodyValues",
                    "textBody",
                    "header:Return-Path",
                ],
                "fetchTextBodyValues": True,
            },
            "g",
        ],
        [
            "Mailbox/get",
            {"accountId": "a1", "ids": ["m1"], "properties": ["name", "role", "totalEmails", "unreadEmails"]},
            "m",
        ],
    )

    assert len(query[1]["ids"]) == 1
    (email,) = get[1]["list"]
    assert email["from"] == [{"name": "Zoë", "email": "zoe@example.org"}]
    assert email["subject"] == "Café?"
    assert email["keywords"] == {"$hasnoattachment": True}
    assert email["header:Return-Path"] == " <you@example.org>"
    assert [value["value"] for value in email["bodyValues"].values()] == ["Tomorrow at ten ☕\n.dot\n"]
    assert mailbox[1]["list"] == [{"id": "m1", "name": "Inbox", "role": "inbox", "totalEmails": 1, "unreadEmails": 1}]
    octets = server.get(f"/jmap/download/a1/{email['blobId']}/message.eml?type=message/rfc822")
    assert octets.endswith(MESSAGE)
    assert email["blobId"] == "b" + hashlib.sha256(octets).hexdigest()[:40]
    assert server.stop() == 0


def test_an_upload_becomes_an_email(start):
    """Upload, Email/import with a creation id, and the Email is there under the id that the answer gives."""
    server = start()
    uploaded = json.loads(server.post("/jmap/upload/a1", MESSAGE, kind="message/rfc822"))
    assert uploaded["size"] == len(MESSAGE)
    assert uploaded["type"] == "message/rfc822"

    imported, got = server.request(
        [
            "Email/import",
            {
                "accountId": "a1",
                "emails": {
                    "new": {"blobId": uploaded["blobId"], "mailboxIds": {"m4": True}, "keywords": {"$seen": True}}
                },
            },
            "i",
        ],
        ["Email/get", {"accountId": "a1", "ids": ["#new"], "properties": ["mailboxIds", "keywords", "subject"]}, "g"],
    )

    created = imported[1]["created"]["new"]
    assert created["blobId"] == uploaded["blobId"]
    assert got[1]["list"] == [
        {"id": created["id"], "mailboxIds": {"m4": True}, "keywords": {"$seen": True}, "subject": "Café?"}
    ]


def test_what_the_command_line_does_is_seen_by_a_running_server(start, folder):
    """Users, app passwords and imports work while the server runs."""
    server = start()
    run("--data", folder, "user", "add", "bob@example.com", "--password-stdin", text="builder\n")
    token = run("--data", folder, "token", "add", ALICE, "laptop").stdout.splitlines()[-1]
    archive = folder / "one.eml"
    archive.write_bytes(MESSAGE)
    assert (
        run("--data", folder, "import", ALICE, archive).stdout.splitlines()[-1]
        == "1 imported, 0 already there, 0 failed"
    )

    server.send(MESSAGE, ("bob+lists@example.com",))
    (answer,) = server.request(["Email/query", {"accountId": "a2"}, "q"], user="bob@example.com", password="builder")
    assert len(answer[1]["ids"]) == 1
    assert server.subjects() == ["Café?"]
    assert json.loads(server.get("/.well-known/jmap", password=token))["username"] == ALICE

    again = run("--data", folder, "import", ALICE, archive)
    assert again.stdout.splitlines()[-1] == "0 imported, 1 already there, 0 failed"
