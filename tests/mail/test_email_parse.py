"""Email/parse: blobs shown as messages without being Emails (RFC 8621 §4.9)."""

import base64

import pytest

from minijmap.jmap import blobreading

INNER = (
    b"From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>\r\nSubject: Inner\r\nMessage-ID: <inner@example.org>\r\n"
    b"Date: Thu, 1 Jan 2026 01:00:00 +0100\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n"
    b"--q\r\n\r\nhi there\r\n--q\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=a.png\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--q--\r\n"
)


def attached(inner, encoding="7bit"):
    """Return a message that has another attached."""
    content = base64.encodebytes(inner).replace(b"\n", b"\r\n") if encoding == "base64" else inner
    return (
        b"From: out@example.org\r\nSubject: Outer\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\n--z\r\n\r\nhello\r\n"
        b"--z\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: "
        + encoding.encode()
        + b"\r\n\r\n"
        + content
        + b"\r\n--z--\r\n"
    )


def attachment_of(house, raw):
    """Deliver a message; return the blobId of its one attachment."""
    got = house.call("Email/get", {"ids": [house.deliver(raw)], "properties": ["attachments"]})
    return got["list"][0]["attachments"][0]["blobId"]


@pytest.mark.parametrize("encoding", ["7bit", "base64"])
def test_an_attached_message_is_shown_and_its_attachment_downloads(house, encoding):
    """A message in a message: its own parts have blob ids that open, however deep they were encoded."""
    blob_id = attachment_of(house, attached(INNER, encoding))
    answer = house.call("Email/parse", {"blobIds": [blob_id], "fetchTextBodyValues": True})
    assert answer["notFound"] is answer["notParsable"] is None
    shown = answer["parsed"][blob_id]
    assert shown["from"] == [{"name": "Zoë", "email": "zoe@example.org"}]
    assert (shown["subject"], shown["messageId"], shown["hasAttachment"]) == ("Inner", ["inner@example.org"], True)
    assert shown["preview"] == "hi there"
    assert [value["value"] for value in shown["bodyValues"].values()] == ["hi there"]
    assert "id" not in shown
    picture = shown["attachments"][0]
    assert (picture["name"], picture["size"]) == ("a.png", 4)

    from minijmap.store import blobs

    with house.database.read() as reader:
        account = house.users["alice@example.com"].account
        assert blobs.open_blob(reader, account, picture["blobId"]) == b"\0\1\2\3"
        assert len(blobs.open_blob(reader, account, blob_id)) == len(INNER)


def test_only_what_is_asked_for_comes_and_stored_properties_are_null(house):
    """`id`, `mailboxIds`, `keywords`, `receivedAt` and `threadId` are null; header forms work as in Email/get."""
    blob_id = attachment_of(house, attached(INNER))
    names = [
        "id",
        "mailboxIds",
        "keywords",
        "receivedAt",
        "threadId",
        "blobId",
        "size",
        "header:SUBJECT",
        "header:x-no:all",
    ]
    shown = house.call("Email/parse", {"blobIds": [blob_id], "properties": names})["parsed"][blob_id]
    assert shown == {
        **dict.fromkeys(("id", "mailboxIds", "keywords", "receivedAt", "threadId")),
        "blobId": blob_id,
        "size": len(INNER),
        "header:SUBJECT": " Inner",
        "header:x-no:all": [],
    }


def test_what_is_not_there_or_no_message_is_named(house):
    """`notFound` and `notParsable` list their ids, and the rest is shown."""
    no_message = attachment_of(
        house, attached(INNER).replace(b"message/rfc822", b"text/x-odd").replace(INNER, b"\x00\x01 no header")
    )
    fine = attachment_of(house, attached(INNER))
    answer = house.call("Email/parse", {"blobIds": [no_message, "bnope", fine], "properties": ["subject"]})
    assert answer["parsed"] == {fine: {"subject": "Inner"}}
    assert answer["notParsable"] == [no_message]
    assert answer["notFound"] == ["bnope"]


def test_what_is_read_has_a_bound(house, monkeypatch):
    """Ranges of one blob are each read and parsed: a request has only so much of that."""
    blob_id = house.call("Email/get", {"ids": [house.deliver(INNER)], "properties": ["blobId"]})["list"][0]["blobId"]
    monkeypatch.setattr(blobreading, "MOST_READ", 4 * len(INNER) + 100)
    ranges = [f"{blob_id}-0-{len(INNER) - cut}-n" for cut in range(4)]

    assert len(house.call("Email/parse", {"blobIds": ranges[:3]})["parsed"]) == 3
    assert house.call("Email/parse", {"blobIds": ranges})["type"] == "requestTooLarge"


@pytest.mark.parametrize(
    "arguments",
    [
        {"properties": ["header:From:asDate"]},
        {"properties": ["colour"]},
        {"bodyProperties": ["colour"]},
        {"blobIds": "b1"},
        {"maxBodyValueBytes": -1},
    ],
)
def test_wrong_arguments_are_refused(house, arguments):
    """A forbidden form, unknown properties and wrong types are `invalidArguments` (RFC 8621 §4.9)."""
    answer = house.call("Email/parse", {"blobIds": [], **arguments})
    assert answer["type"] == "invalidArguments"
