"""Email/get: which properties, which header forms, which body values (RFC 8621 §4.1, §4.2)."""

import pytest

from tests.mail.mailmodel import START_MS, get, message, put, utc, with_attachment

DEFAULT = [
    "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "messageId", "inReplyTo", "references", "sender", "from",
    "to", "cc", "bcc", "replyTo", "subject", "sentAt", "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments",
]  # fmt: skip
PART = ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location"]
HTML = (
    b"From: Ann <ann@example.org>\r\nSubject: Two ways\r\nMessage-ID: <a@x>\r\nMIME-Version: 1.0\r\n"
    b"X-Note: one\r\nx-note: =?utf-8?q?zw=C3=B6lf?=\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain gr\xc3\xbc\xc3\x9fe\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Language: de\r\n\r\n<p>h\xc3\xb6flich</p>\r\n--b--\r\n"
)


@pytest.fixture
def email(house):
    """A plain message in the Inbox."""
    return put(
        house, message("Hello  there", message_id="a@x", fields=["Cc: x@y", "Reply-To: r@y"]), keywords=["$seen"]
    )


def fetch(house, ids, **arguments):
    """The list of Email/get."""
    return house.call("Email/get", {"ids": ids, **arguments})["list"]


def test_the_default_properties_are_those_of_the_rfc(house, email):
    """Not all properties but the list of §4.2; every one is there, null included."""
    for properties in ({}, {"properties": None}):
        (shown,) = fetch(house, [email], **properties)
        assert sorted(shown) == sorted(DEFAULT)
    assert shown == {
        **dict.fromkeys(("inReplyTo", "references", "sender", "bcc")),
        "id": email, "blobId": shown["blobId"], "threadId": "t1", "mailboxIds": {house.mailbox("inbox"): True}, "keywords": {"$seen": True},
        "size": shown["size"], "receivedAt": utc(START_MS), "messageId": ["a@x"], "from": [{"name": "Ann Example", "email": "ann@example.org"}],
        "to": [{"name": "Alice", "email": "alice@example.com"}], "cc": [{"name": None, "email": "x@y"}],
        "replyTo": [{"name": None, "email": "r@y"}], "subject": "Hello  there", "sentAt": "2026-01-01T00:00:00Z", "hasAttachment": False,
        "preview": "Good day.", "bodyValues": {}, "textBody": shown["textBody"], "htmlBody": shown["textBody"], "attachments": [],
    }  # fmt: skip
    assert list(shown["textBody"][0]) == PART


@pytest.mark.parametrize("names", [[], ["id"], ["threadId"], ["id", "threadId", "keywords", "mailboxIds"], ["keywords"], ["subject", "from"],
                                   DEFAULT[:20], ["headers"], ["header:Subject"], ["bodyStructure", "preview"], ["textBody", "keywords"]])  # fmt: skip
def test_just_what_was_asked_for_and_always_the_id(house, email, names):
    """Each way of reading a row gives the same (clarification Q8); a name asked twice is there once."""
    whole = {
        **fetch(house, [email])[0],
        **fetch(house, [email], properties=["headers", "header:Subject", "bodyStructure"])[0],
    }

    (shown,) = fetch(house, [email], properties=[*names, *names[:1]])

    assert shown == {name: whole[name] for name in {*names, "id"}}


def test_ids_null_empty_doubled_and_unknown(house, email):
    """Null is everything, [] is nothing (Q7), a doubled id is one, an unknown one is in notFound."""
    other = put(house, message(message_id="b@x"))

    answer = house.call("Email/get", {"ids": None, "properties": ["id"]})
    assert (answer["list"], answer["notFound"]) == ([{"id": email}, {"id": other}], [])
    assert fetch(house, []) == []
    answer = house.call("Email/get", {"ids": [other, email, other, "e999", "m1", "e01"], "properties": ["id"]})
    assert answer["list"] == [{"id": other}, {"id": email}]
    assert answer["notFound"] == ["e999", "m1", "e01"]
    answer = house.call("Email/get", {"ids": [email]}, "bob@example.com")
    assert (answer["list"], answer["notFound"]) == ([], [email])


def test_header_forms_are_answered_under_the_very_name_asked(house):
    """Last or all, raw or parsed, in the capitalisation of the request (§4.1.3)."""
    email = put(house, HTML)
    names = {
        "header:X-Note": " =?utf-8?q?zw=C3=B6lf?=", "header:x-NOTE:asText": "zwölf", "header:X-Note:all": [" one", " =?utf-8?q?zw=C3=B6lf?="],
        "header:X-Note:asText:all": ["one", "zwölf"], "header:From:asAddresses": [{"name": "Ann", "email": "ann@example.org"}],
        "header:From:asGroupedAddresses": [{"name": None, "addresses": [{"name": "Ann", "email": "ann@example.org"}]}],
        "header:message-id:asMessageIds": ["a@x"], "header:Date:asDate": None, "header:Nothing": None, "header:Nothing:all": [],
        "header:List-Post:asURLs": None, "header:Subject:asText": "Two ways",
    }  # fmt: skip

    (shown,) = fetch(house, [email], properties=list(names))

    assert shown == {"id": email, **names}


@pytest.mark.parametrize("name", ["header:From:asDate", "header:Subject:asAddresses", "header:Date:asText", "header:From:asURLs", "header:X:all:asText",
                                  "header:X:asNothing", "header:", "header:a b", "headers:X", "nothing", "stored", "Subject", "header:X:ALL", "header:X:asText:x"])  # fmt: skip
def test_forbidden_forms_and_unknown_names_fail_the_call(house, email, name):
    """InvalidArguments MUST be the answer (§4.2), whether a message has the field or not."""
    assert house.call("Email/get", {"ids": [email], "properties": [name]})["type"] == "invalidArguments"
    assert house.call("Email/get", {"ids": [], "properties": ["id", name]})["type"] == "invalidArguments"
    assert (
        house.call("Email/get", {"ids": [email], "properties": ["textBody"], "bodyProperties": [name]})["type"]
        == "invalidArguments"
    )


def test_body_values_are_those_that_are_asked_for(house):
    """Of the text body, of the HTML body, of all text parts; without an argument none (§4.2)."""
    email = put(house, HTML)

    def values(**arguments):
        (shown,) = fetch(house, [email], properties=["bodyValues"], **arguments)
        return {one["value"] for one in shown["bodyValues"].values()}

    assert values() == set()
    assert values(fetchTextBodyValues=True) == {"plain grüße"}
    assert values(fetchHTMLBodyValues=True) == {"<p>höflich</p>"}
    assert (
        values(fetchAllBodyValues=True)
        == values(fetchTextBodyValues=True, fetchHTMLBodyValues=True)
        == {"plain grüße", "<p>höflich</p>"}
    )


def test_body_values_are_cut_between_characters(house):
    """MaxBodyValueBytes counts octets, never cuts a character or a tag, and says that it cut; 0 is no limit."""
    email = put(house, HTML)
    for most in range(14):
        (shown,) = fetch(house, [email], properties=["bodyValues"], fetchAllBodyValues=True, maxBodyValueBytes=most)
        for value, whole in zip(shown["bodyValues"].values(), ("plain grüße", "<p>höflich</p>"), strict=True):
            assert whole.startswith(value["value"])
            assert most == 0 or len(value["value"].encode()) <= most
            assert value["isTruncated"] is (value["value"] != whole)
            assert value["isEncodingProblem"] is False
            assert value["value"].count("<") == value["value"].count(">")
    assert house.call("Email/get", {"ids": [email], "maxBodyValueBytes": -1})["type"] == "invalidArguments"


def test_body_properties_are_chosen_and_the_structure_keeps_its_tree(house):
    """Just the named ones; header fields of a part too; a multipart has neither partId nor blobId."""
    email = put(house, HTML)
    asked = {
        "properties": ["bodyStructure", "htmlBody"],
        "bodyProperties": ["partId", "type", "header:Content-Language:asText", "blobId"],
    }

    (shown,) = fetch(house, [email], **asked)

    (html,) = shown["htmlBody"]
    assert sorted(html) == sorted(asked["bodyProperties"])
    assert (html["type"], html["header:Content-Language:asText"]) == ("text/html", "de")
    root = shown["bodyStructure"]
    assert (root["type"], root["partId"], root["blobId"]) == ("multipart/alternative", None, None)
    assert [part["partId"] for part in root["subParts"]] == [
        fetch(house, [email], properties=["textBody"])[0]["textBody"][0]["partId"],
        html["partId"],
    ]
    (bare,) = fetch(house, [email], properties=["textBody"], bodyProperties=[])
    assert bare["textBody"] == [{}]


def test_a_parts_blob_is_its_decoded_content(house):
    """The blobId of a part opens to just `size` octets, which are its content."""
    from minijmap.store import blobs

    email = put(house, HTML)
    (text,) = get(house, email, "textBody")
    with house.database.read() as reader:
        account = house.users["alice@example.com"].account
        assert blobs.open_blob(reader, account, text["blobId"]) == "plain grüße".encode()
        assert blobs.open_blob(reader, account, get_blob(house, email)) == HTML
        assert blobs.open_blob(reader, account + 1, text["blobId"]) is None
    assert text["size"] == len("plain grüße".encode())


def get_blob(house, email):
    """The message's own blobId; its database must not be read here, for readers don't nest."""
    import hashlib

    _ = (house, email)
    return "b" + hashlib.sha256(HTML).hexdigest()[:40]


def test_attachments_and_has_attachment(house):
    """A file is an attachment; a picture that the HTML shows is none that a list should tell of (trap 7)."""
    file = put(house, with_attachment(name="Übersicht.pdf"))
    inline = put(
        house,
        b"Subject: x\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src='cid:p'>\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <p>\r\nContent-Disposition: inline\r\n\r\nx\r\n--b--\r\n",
    )
    shown = get(house, file, "attachments", "hasAttachment")
    assert (shown["hasAttachment"], [one["name"] for one in shown["attachments"]]) == (True, ["Übersicht.pdf"])
    shown = get(house, inline, "attachments", "hasAttachment")
    assert (shown["hasAttachment"], [one["cid"] for one in shown["attachments"]]) == (False, ["p"])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"\0\xff\xfe",
        b"no header at all",
        b"Subject: x",
        b": \r\n\r\n",
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"From: \r\nDate: never\r\n\r\n",
    ],
)
def test_any_octets_are_shown_somehow(house, raw):
    """What came in is an Email, whatever it is: every property has its type."""
    email = put(house, raw)

    (shown,) = fetch(house, [email], properties=[*DEFAULT, "headers", "bodyStructure"], fetchAllBodyValues=True)

    assert shown["size"] == len(raw)
    assert isinstance(shown["preview"], str)
    assert isinstance(shown["headers"], list)
    assert shown["bodyStructure"]["type"]


def test_more_than_the_limit_is_too_large(house):
    """maxObjectsInGet, for ids and for null."""
    from minijmap.jmap.engine import Limits

    ids = [put(house, message(message_id=f"{n}@x")) for n in range(3)]
    house.engine = house.make_engine(limits=Limits(max_objects_in_get=2))

    assert house.call("Email/get", {"ids": ids})["type"] == "requestTooLarge"
    assert house.call("Email/get", {"ids": None})["type"] == "requestTooLarge"
    assert len(fetch(house, ids[:2])) == 2
