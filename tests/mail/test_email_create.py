"""Email/set create over the engine (RFC 8621 §4.6): what is stored is what was asked for, and each refusal has its name.

The rules of composing themselves are in test_compose*.py.
"""

import email
import email.policy

from minijmap.store import blobs


def draft(house, **properties):
    """Return the Email object of a small draft, with more properties or others."""
    return {
        "mailboxIds": {house.mailbox("drafts"): True},
        "keywords": {"$draft": True, "$seen": True},
        "from": [{"name": "Alice", "email": "alice@example.com"}],
        "to": [{"name": "Zoë", "email": "zoe@example.org"}],
        "subject": "Grüße",
        "textBody": [{"partId": "text", "type": "text/plain"}],
        "bodyValues": {"text": {"value": "Hallo Zoë,\nbis morgen!\n"}},
        **properties,
    }


def create(house, **emails):
    """Create Emails; return the response."""
    return house.call("Email/set", {"create": emails})


def refused(house, wanted):
    """Return the SetError of one Email that is refused, as a whole."""
    answer = create(house, bad=wanted)
    assert answer["created"] is None
    assert answer["oldState"] == answer["newState"]
    return answer["notCreated"]["bad"]


def test_a_draft_is_stored_and_read_back_equal(house):
    """The answer has id, blobId, threadId and size, and Email/get shows what was asked for."""
    answer = create(house, d=draft(house))
    made = answer["created"]["d"]
    assert made.keys() == {"id", "blobId", "threadId", "size"}
    got = house.call("Email/get", {"ids": [made["id"]], "fetchTextBodyValues": True})["list"][0]
    assert {name: got[name] for name in ("blobId", "threadId", "size")} == {
        name: made[name] for name in ("blobId", "threadId", "size")
    }
    for name in ("mailboxIds", "keywords", "from", "to", "subject"):
        assert got[name] == draft(house)[name]
    assert [value["value"] for value in got["bodyValues"].values()] == ["Hallo Zoë,\nbis morgen!\n"]
    assert got["receivedAt"] == got["sentAt"] == "2026-01-01T00:00:00Z"
    assert got["messageId"][0].endswith("@example.com")


def test_the_message_is_one_for_other_programs(house):
    """The standard library reads the same out of the blob."""
    made = create(house, d=draft(house, **{"header:X-Colour:asText": "blå"}))["created"]["d"]
    with house.database.read() as reader:
        octets = blobs.open_blob(reader, house.users["alice@example.com"].account, made["blobId"])
    read = email.message_from_bytes(octets, policy=email.policy.default)
    assert read["subject"] == "Grüße"
    assert str(read["to"]) == "Zoë <zoe@example.org>"
    assert read["x-colour"] == "blå"
    assert read.get_content().replace("\r\n", "\n") == "Hallo Zoë,\nbis morgen!\n"
    assert len(octets) == made["size"]


def test_mailboxes_made_in_the_same_request_can_be_named(house):
    """A creation id stands for the Mailbox (RFC 8620 §5.3), in `mailboxIds` too."""
    account = house.account()
    mailbox, emails = house.request(
        ["Mailbox/set", {"accountId": account, "create": {"box": {"name": "Letters"}}}, "m"],
        ["Email/set", {"accountId": account, "create": {"d": draft(house, mailboxIds={"#box": True})}}, "e"],
    )
    made = mailbox[1]["created"]["box"]["id"]
    got = house.call("Email/get", {"ids": [emails[1]["created"]["d"]["id"]], "properties": ["mailboxIds"]})
    assert got["list"][0]["mailboxIds"] == {made: True}


def test_an_uploaded_file_and_an_attached_message_are_kept_octet_for_octet(house):
    """Attachments by blobId, one of them a stored message, download as they went in."""
    inner = b"From: in@example.org\r\nSubject: Inner\r\n\r\nhello\r\n"
    account = house.users["alice@example.com"].account
    picture = bytes(range(256)) * 7

    def upload(tx):
        blob = blobs.pack(picture)
        blobs.add_upload(tx, blobs.store(tx, blob), account, 0)
        return blob.blob_id

    uploaded = house.database.write(upload)
    message = house.call("Email/get", {"ids": [house.deliver(inner)], "properties": ["blobId"]})["list"][0]["blobId"]
    wanted = draft(
        house,
        attachments=[
            {"blobId": uploaded, "type": "image/png", "name": "Bild ü.png", "disposition": "attachment"},
            {"blobId": message, "type": "message/rfc822"},
        ],
    )
    made = create(house, d=wanted)["created"]["d"]
    got = house.call("Email/get", {"ids": [made["id"]], "properties": ["attachments", "hasAttachment"]})["list"][0]
    assert got["hasAttachment"] is True
    first, second = got["attachments"]
    assert (first["name"], first["type"], first["size"]) == ("Bild ü.png", "image/png", len(picture))
    assert second["type"] == "message/rfc822"
    with house.database.read() as reader:
        assert blobs.open_blob(reader, account, first["blobId"]) == picture
        assert blobs.open_blob(reader, account, second["blobId"]) == inner


def test_what_can_not_be_is_refused_by_name_and_its_siblings_are_made(house):
    """Each refusal names the properties at fault; a good Email in the same call is created all the same."""
    bad = {
        "nowhere": (draft(house, mailboxIds={}), "invalidProperties", ["mailboxIds"]),
        "unknown box": (draft(house, mailboxIds={"m999": True}), "invalidProperties", ["mailboxIds"]),
        "no box": ({"subject": "x"}, "invalidProperties", ["mailboxIds"]),
        "keyword": (draft(house, keywords={"a b": True}), "invalidProperties", ["keywords"]),
        "false": (draft(house, keywords={"$seen": False}), "invalidProperties", ["keywords"]),
        "server set": (draft(house, size=5), "invalidProperties", ["size"]),
        "headers": (draft(house, headers=[]), "invalidProperties", ["headers"]),
        "twice": (
            draft(house, **{"header:Subject:asText": "x"}),
            "invalidProperties",
            ["subject", "header:Subject:asText"],
        ),
        "unknown": (draft(house, colour="red"), "invalidProperties", ["colour"]),
        "date": (draft(house, receivedAt="yesterday"), "invalidProperties", ["receivedAt"]),
    }
    answer = house.call(
        "Email/set",
        {"create": {**{name.replace(" ", "-"): wanted for name, (wanted, _, _) in bad.items()}, "good": draft(house)}},
    )
    assert list(answer["created"]) == ["good"]
    for name, (_, error_type, properties) in bad.items():
        error = answer["notCreated"][name.replace(" ", "-")]
        assert error["type"] == error_type, (name, error)
        assert sorted(error["properties"]) == sorted(properties), (name, error)
        assert error["description"].endswith(".")


def test_missing_blobs_are_all_named(house):
    """`blobNotFound` lists every blob that is not there (RFC 8621 §4.6), another account's among them."""
    bobs = house.deliver(b"Subject: x\r\n\r\nBob's\r\n", "bob@example.com")
    (got,) = house.call("Email/get", {"ids": [bobs], "properties": ["blobId"]}, "bob@example.com")["list"]
    error = refused(
        house,
        draft(
            house,
            attachments=[{"blobId": "bnope", "type": "image/png"}, {"blobId": got["blobId"], "type": "text/plain"}],
        ),
    )
    assert error["type"] == "blobNotFound"
    assert sorted(error["notFound"]) == sorted(["bnope", got["blobId"]])


def test_too_many_keywords_and_mailboxes_have_their_own_names(house):
    """RFC 8621 §4.6: tooManyKeywords, tooManyMailboxes."""
    assert refused(house, draft(house, keywords={f"k{n}": True for n in range(501)}))["type"] == "tooManyKeywords"
    assert (
        refused(house, draft(house, mailboxIds={f"m{n}": True for n in range(1, 1002)}))["type"] == "tooManyMailboxes"
    )


def test_keywords_never_contradict_the_message(house):
    """`$hasattachment` on a message without one is refused (RFC 9979), and `$hasnoattachment` is fine."""
    error = refused(house, draft(house, keywords={"$hasattachment": True}))
    assert (error["type"], error["properties"]) == ("invalidProperties", ["keywords"])
    assert create(house, d=draft(house, keywords={"$hasnoattachment": True}))["created"]


def test_the_same_octets_are_one_email(house):
    """A client that repeats a create with fixed Message-ID and date is told which Email it made."""
    wanted = draft(house, messageId=["fixed@example.com"], sentAt="2026-01-01T00:00:00Z")
    made = create(house, d=wanted)["created"]["d"]
    error = refused(house, wanted)
    assert (error["type"], error["existingId"]) == ("alreadyExists", made["id"])


def test_a_draft_may_be_replaced_in_one_call(house):
    """Create the new version and destroy the old one, as every composer does; counts follow."""
    old = create(house, d=draft(house))["created"]["d"]["id"]
    answer = house.call("Email/set", {"create": {"n": draft(house, subject="Neu")}, "destroy": [old]})
    assert answer["destroyed"] == [old]
    drafts = house.call("Mailbox/get", {"ids": [house.mailbox("drafts")]})["list"][0]
    assert (drafts["totalEmails"], drafts["unreadEmails"], drafts["totalThreads"]) == (1, 0, 1)
    assert house.call("Email/get", {"ids": [old]})["notFound"] == [old]
