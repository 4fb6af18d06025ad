"""Blob/lookup: who refers to a blob, for every type that can (RFC 9404 §4.3)."""

import base64

import pytest

from minijmap.jmap.datatype import DataType
from minijmap.mail.submission import keep_blob
from minijmap.store import blobs as stored
from tests.blob.conftest import BLOB
from tests.conftest import CORE, MAIL

SUBMISSION = "urn:ietf:params:jmap:submission"
RAW = (
    b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nbody\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode(b"attached")
    + b"\r\n--b--\r\n"
)


def looked_up(blobs, blob_id, *types, using=(CORE, MAIL, BLOB), **more):
    """What refers to one blob."""
    answered = blobs.one("Blob/lookup", using=using, typeNames=list(types), ids=[blob_id], **more)
    (found,) = answered["list"]
    assert found["id"] == blob_id
    return found["matchedIds"]


def shown(house, email, user="alice@example.com"):
    """An Email's ids and blobs."""
    names = ["blobId", "threadId", "mailboxIds", "attachments", "textBody"]
    (found,) = house.call("Email/get", {"ids": [email], "properties": names}, user)["list"]
    return found


def test_a_message_and_its_parts(house, blobs):
    """The Email, its Thread and its Mailboxes; a range of the message that is no part of it is nobody's."""
    email = house.deliver(RAW)
    archive = house.mailbox("archive")
    house.call("Email/set", {"update": {email: {f"mailboxIds/{archive}": True}}})
    one = shown(house, email)
    expected = {
        "Email": [email],
        "Thread": [one["threadId"]],
        "Mailbox": sorted(one["mailboxIds"], key=lambda mailbox: int(mailbox[1:])),
    }
    assert len(expected["Mailbox"]) == 2
    for blob_id in (one["blobId"], one["attachments"][0]["blobId"], one["textBody"][0]["blobId"]):
        assert looked_up(blobs, blob_id, "Email", "Thread", "Mailbox") == expected
    nobody = {"Email": [], "Thread": [], "Mailbox": []}
    assert looked_up(blobs, f"{one['blobId']}-0-7-n", "Email", "Thread", "Mailbox") == nobody
    uploaded = blobs.text("attached")  # the same octets as the attachment's, under an id that no Email shows
    assert looked_up(blobs, uploaded, "Email", "Thread", "Mailbox") == nobody


def test_other_emails_of_the_same_place_do_not_count(house, blobs):
    """A Mailbox has many; only who shows the blob is named."""
    first, second = house.deliver(RAW), house.deliver(b"Subject: other\r\n\r\nx\r\n")
    assert looked_up(blobs, shown(house, first)["blobId"], "Email") == {"Email": [first]}
    assert looked_up(blobs, shown(house, second)["blobId"], "Email") == {"Email": [second]}
    house.call("Email/set", {"destroy": [first]})
    assert looked_up(blobs, stored.pack(RAW).blob_id, "Email", "Mailbox") == {"Email": [], "Mailbox": []}


def test_reports_of_a_submission(house, blobs):
    """An EmailSubmission shows the reports about it (RFC 8621 §7)."""
    report = blobs.text("a report")
    account = house.users["alice@example.com"].account
    house.database.write(lambda tx: keep_blob(tx, account, 5, stored.find(tx, account, report)))
    using = (CORE, MAIL, BLOB, SUBMISSION)
    assert looked_up(blobs, report, "EmailSubmission", using=using) == {"EmailSubmission": ["s5"]}


def test_another_accounts_objects_stay_hidden(house, blobs):
    """Whether somebody else has the same octets can't be seen (RFC 9404 §5)."""
    theirs = house.deliver(RAW, "bob@example.com")
    blob_id = shown(house, theirs, "bob@example.com")["blobId"]
    answered = blobs.one("Blob/lookup", typeNames=["Email"], ids=[blob_id])
    assert answered["list"] == [{"id": blob_id, "matchedIds": {"Email": []}}]
    unknown = blobs.one("Blob/lookup", typeNames=["Email"], ids=["b" + "1" * 40])
    assert [len(unknown[name]) for name in ("list", "notFound")] == [len(answered["list"]), len(answered["notFound"])]
    mine = house.deliver(RAW)
    assert looked_up(blobs, blob_id, "Email") == {"Email": [mine]}
    assert looked_up(blobs, blob_id, "Email", user="bob@example.com") == {"Email": [theirs]}


@pytest.mark.parametrize(
    ("names", "using"),
    [
        (["Email", "Foo"], (CORE, MAIL, BLOB)),
        (["Identity"], (CORE, MAIL, BLOB, SUBMISSION)),
        (["Queue"], (CORE, MAIL, BLOB)),
        (["email"], (CORE, MAIL, BLOB)),
        (["Core"], (CORE, MAIL, BLOB)),
        (["EmailSubmission"], (CORE, MAIL, BLOB)),
        (["Mailbox"], (CORE, BLOB)),
    ],
)
def test_types_that_can_not_be_looked_up(blobs, names, using):
    """Unknown, without blobs, or of a capability that the request does not name."""
    assert blobs.one("Blob/lookup", using=using, typeNames=names, ids=[])["type"] == "unknownDataType"


def test_every_type_that_is_announced_can_be_looked_up(house, blobs):
    """The capability is true: each name is taken, and each type that keeps blobs is named."""
    described = house.engine.capabilities[BLOB].account(None)["supportedTypeNames"]
    using = tuple(house.engine.capabilities)
    blob_id = blobs.text("nobody's")
    assert looked_up(blobs, blob_id, *described, using=using) == {name: [] for name in described}
    keeping = {one.name for one in house.engine.types.values() if one.holds_blobs}
    assert keeping <= set(described)
    assert all(isinstance(house.engine.types[name], DataType) for name in described)


@pytest.mark.parametrize("arguments", [{}, {"ids": []}, {"typeNames": []}, {"typeNames": "Email", "ids": []}])
def test_arguments_that_are_wrong(blobs, arguments):
    """Both lists are needed."""
    assert blobs.one("Blob/lookup", **arguments)["type"] == "invalidArguments"


def test_too_many_ids(blobs):
    """More than maxObjectsInGet."""
    ids = [f"b{n}" for n in range(1001)]
    assert blobs.one("Blob/lookup", typeNames=[], ids=ids)["type"] == "requestTooLarge"
