"""The examples of RFC 9007 §3, as transcripts: the ids are ours, all else is the specification's."""

import pytest

CORE, MAIL, MDN = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:mdn"
USING = (CORE, MAIL, MDN)
BOB = "bob@example.com"
TEXT = (
    "This receipt shows that the email has been displayed on your recipient's computer.  There is no guarantee it has "
    "been read or understood."
)


@pytest.fixture
def asked(house):
    """The id of a message of Alice's in which Bob asks for a receipt."""
    return house.deliver(
        b"Return-Path: <bob@example.com>\r\nFrom: Bob <bob@example.com>\r\nTo: alice@example.com\r\n"
        b"Subject: World domination\r\nDisposition-Notification-To: bob@example.com\r\n"
        b"Message-ID: <199509192301.23456@example.org>\r\n\r\nMwahaha\r\n"
    )


def sending(house, email_id):
    """Return the request of RFC 9007 §3.1."""
    return [
        "MDN/send",
        {
            "accountId": house.account(),
            "identityId": "i1",
            "send": {
                "k1546": {
                    "forEmailId": email_id,
                    "subject": "Read receipt for: World domination",
                    "textBody": TEXT,
                    "reportingUA": "joes-pc.cs.example.com; Foomail 97.1",
                    "disposition": {
                        "actionMode": "manual-action",
                        "sendingMode": "mdn-sent-manually",
                        "type": "displayed",
                    },
                    "extension": {"EXTENSION-EXAMPLE": "example.com"},
                }
            },
            "onSuccessUpdateEmail": {"#k1546": {"keywords/$mdnsent": True}},
        },
        "0",
    ]


def test_sending_an_mdn(house, asked):
    """RFC 9007 §3.1: the server's properties, and the Email/set that follows under the same id."""
    (name, answer, call_id), (other, updated, other_id) = house.request(sending(house, asked), using=USING)

    assert (name, call_id, other, other_id) == ("MDN/send", "0", "Email/set", "0")
    shown = answer["sent"]["k1546"]
    assert shown["finalRecipient"] == "rfc822; alice@example.com"
    assert shown["originalMessageId"] == "<199509192301.23456@example.org>"
    assert not {"subject", "textBody", "reportingUA", "disposition", "forEmailId"} & shown.keys()
    assert updated["updated"] == {asked: None}


def test_an_mdn_that_was_sent_already(house, asked):
    """RFC 9007 §3.1: the keyword is there, so there is no second one."""
    house.call("Email/set", {"update": {asked: {"keywords/$mdnsent": True}}})
    ((name, answer, _),) = house.request(sending(house, asked), using=USING)

    assert name == "MDN/send"
    assert answer["notSent"]["k1546"]["type"] == "mdnAlreadySent"


def test_asking_for_an_mdn(house):
    """RFC 9007 §3.2: a header field of a created Email."""
    created = house.call(
        "Email/set",
        {
            "create": {
                "k2657": {
                    "mailboxIds": {house.mailbox("drafts"): True},
                    "keywords": {"$seen": True, "$draft": True},
                    "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}],
                    "to": [{"name": "John", "email": "john@example.com"}],
                    "header:Disposition-Notification-To:asText": "joe@example.com",
                    "subject": "World domination",
                }
            }
        },
    )["created"]["k2657"]

    name = "header:Disposition-Notification-To:asAddresses"
    (shown,) = house.call("Email/get", {"ids": [created["id"]], "properties": [name]})["list"]
    assert shown[name] == [{"name": None, "email": "joe@example.com"}]


def test_parsing_an_mdn(house, asked):
    """RFC 9007 §3.3: what was sent in §3.1 comes back as it was written."""
    house.request(sending(house, asked), using=USING)
    with house.database.read() as reader:
        from minijmap.store import blobs

        octets = blobs.read(reader, reader.value("SELECT blob FROM queue_message"))
    original = house.deliver(b"Message-ID: <199509192301.23456@example.org>\r\nSubject: x\r\n\r\nsent", BOB)
    receipt = house.deliver(octets, BOB)
    blob = house.call("Email/get", {"ids": [receipt], "properties": ["blobId"]}, BOB)["list"][0]["blobId"]
    arguments = {"accountId": house.account(BOB), "blobIds": [blob]}
    ((_, answer, _),) = house.request(["MDN/parse", arguments, "0"], using=USING, user=BOB)

    assert answer == {
        "accountId": house.account(BOB),
        "parsed": {
            blob: {
                "forEmailId": original,
                "subject": "Read receipt for: World domination",
                "textBody": TEXT,
                "includeOriginalMessage": False,
                "reportingUA": "joes-pc.cs.example.com; Foomail 97.1",
                "disposition": {
                    "actionMode": "manual-action",
                    "sendingMode": "mdn-sent-manually",
                    "type": "displayed",
                },
                "mdnGateway": None,
                "originalRecipient": None,
                "finalRecipient": "rfc822; alice@example.com",
                "originalMessageId": "<199509192301.23456@example.org>",
                "error": None,
                "extensionFields": {"EXTENSION-EXAMPLE": "example.com"},
            }
        },
        "notParsable": None,
        "notFound": None,
    }


def test_blobs_that_are_none(house):
    """RFC 9007 §3.3: not found, or not to be parsed."""
    plain = house.deliver(b"Subject: no receipt\r\n\r\nhi")
    blob = house.call("Email/get", {"ids": [plain], "properties": ["blobId"]})["list"][0]["blobId"]
    unknown = "0f9f65ab-dc7b-4146-850f-6e4881093965"
    arguments = {"accountId": house.account(), "blobIds": [unknown, blob]}
    ((_, answer, _),) = house.request(["MDN/parse", arguments, "0"], using=USING)

    assert (answer["parsed"], answer["notFound"], answer["notParsable"]) == (None, [unknown], [blob])
