"""Email/import: uploaded messages become Emails, each by itself (RFC 8621 §4.8)."""

import pytest

from minijmap.store import blobs
from tests.mail.mailmodel import damage, get, make_mailbox, message

NOW = 1_767_225_600_000


def upload(house, raw, user="alice@example.com"):
    """Put octets where an upload does; their blobId."""
    packed = blobs.pack(raw)
    account = house.users[user].account
    house.database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed), account, NOW))
    return packed.blob_id


def bring(house, user="alice@example.com", **emails):
    """Call Email/import; one that names no Mailbox goes to the Inbox."""
    inbox = {house.mailbox("inbox", user): True}
    return house.call(
        "Email/import", {"emails": {name: {"mailboxIds": inbox, **one} for name, one in emails.items()}}, user
    )


def test_an_upload_becomes_an_email(house):
    """With its Mailboxes, keywords and date; the answer has the four properties and both states."""
    raw = message("Imported", message_id="a@x")
    box = make_mailbox(house, "A")
    state = house.call("Email/get", {"ids": []})["state"]

    answer = bring(
        house,
        k={
            "blobId": upload(house, raw),
            "mailboxIds": {box: True},
            "keywords": {"$Seen": True},
            "receivedAt": "2020-02-02T02:02:02Z",
        },
    )

    created = answer["created"]["k"]
    assert created == {"id": "e1", "blobId": blobs.pack(raw).blob_id, "threadId": "t1", "size": len(raw)}
    assert (answer["oldState"], answer["notCreated"]) == (state, None)
    assert answer["newState"] == house.call("Email/get", {"ids": []})["state"]
    assert get(house, "e1", "mailboxIds", "keywords", "receivedAt", "subject") == {
        "id": "e1", "mailboxIds": {box: True}, "keywords": {"$seen": True}, "receivedAt": "2020-02-02T02:02:02Z", "subject": "Imported",
    }  # fmt: skip
    assert damage(house) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((), "2026-01-01T00:00:00Z"),
        (
            ["Received: by a; Tue, 1 Jul 2025 12:00:00 +0200", "Received: by b; Mon, 30 Jun 2025 12:00:00 +0000"],
            "2025-07-01T10:00:00Z",
        ),
        (["Received: from x (y; z) by a; Tue, 1 Jul 2025 12:00:00 +0200 (CEST)"], "2025-07-01T10:00:00Z"),
        (["Received: by a; nonsense"], "2026-01-01T00:00:00Z"),
        (["Received: by a; Tue, 1 Jul 2036 12:00:00 +0000"], "2026-01-01T00:00:00Z"),
        (["Received: nothing"], "2026-01-01T00:00:00Z"),
    ],
)
def test_the_date_is_that_of_the_newest_received_field(house, fields, expected):
    """The default of receivedAt: the most recent Received, or else now; never the future."""
    answer = bring(house, k={"blobId": upload(house, message(fields=fields)), "receivedAt": None})

    assert get(house, answer["created"]["k"]["id"], "receivedAt") == expected


def test_the_same_octets_are_one_email(house):
    """AlreadyExists names the Email that is there, also within one call, also when it came by SMTP."""
    one = house.deliver(message(message_id="a@x"))
    blob, other = upload(house, message(message_id="a@x")), upload(house, message(message_id="b@x"))

    answer = bring(house, a={"blobId": blob}, b={"blobId": other}, c={"blobId": other})

    assert answer["notCreated"]["a"]["type"] == answer["notCreated"]["c"]["type"] == "alreadyExists"
    assert answer["notCreated"]["a"]["existingId"] == one
    assert answer["notCreated"]["c"]["existingId"] == answer["created"]["b"]["id"]
    house.call("Email/set", {"destroy": [one]})
    assert bring(house, a={"blobId": blob})["created"]["a"]["id"] != one
    assert damage(house) == []


WRONG = [
    ({"blobId": "b" + "0" * 40}, "blobId"), ({"blobId": "nonsense"}, "blobId"), ({"blobId": None}, "blobId"), ({"blobId": 7}, "blobId"),
    ({"mailboxIds": {}}, "mailboxIds"), ({"mailboxIds": None}, "mailboxIds"), ({"mailboxIds": {"m999": True}}, "mailboxIds"),
    ({"mailboxIds": {"m1": False}}, "mailboxIds"), ({"mailboxIds": ["m1"]}, "mailboxIds"), ({"keywords": {"a b": True}}, "keywords"),
    ({"keywords": {"a": 1}}, "keywords"), ({"keywords": []}, "keywords"), ({"receivedAt": "yesterday"}, "receivedAt"),
    ({"receivedAt": "2020-01-01T00:00:00+01:00"}, "receivedAt"), ({"subject": "x"}, "subject"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "name"), WRONG)
def test_what_is_wrong_is_named(house, wrong, name):
    """InvalidProperties for what is missing, of the wrong type, or not found; the others in the call are imported."""
    good = {"blobId": upload(house, message())}

    answer = bring(house, bad={**good, **wrong}, good=good)

    assert (answer["notCreated"]["bad"]["type"], answer["notCreated"]["bad"]["properties"]) == (
        "invalidProperties",
        [name],
    )
    assert list(answer["created"]) == ["good"]


@pytest.mark.parametrize("missing", ["blobId", "mailboxIds"])
def test_what_is_missing_is_named(house, missing):
    """BlobId and mailboxIds have no default."""
    whole = {"blobId": upload(house, message()), "mailboxIds": {house.mailbox("inbox"): True}}
    del whole[missing]

    error = house.call("Email/import", {"emails": {"k": whole}})["notCreated"]["k"]

    assert (error["type"], error["properties"]) == ("invalidProperties", [missing])


@pytest.mark.parametrize("raw", [b"", b"\r\n", b" \n\t"])
def test_nothing_is_no_email(house, raw):
    """An empty blob is invalidEmail."""
    assert bring(house, k={"blobId": upload(house, raw)})["notCreated"]["k"]["type"] == "invalidEmail"


def test_another_accounts_blob_is_not_found(house):
    """A blob is seen by who uploaded it."""
    blob = upload(house, message(), "bob@example.com")

    assert bring(house, k={"blobId": blob})["notCreated"]["k"]["properties"] == ["blobId"]
    assert bring(house, "bob@example.com", k={"blobId": blob})["created"]


def test_an_attached_message_is_imported_from_its_part(house):
    """The blobId of a part is as good as one of an upload; the new Email has the part's own octets."""
    inner = message("Inner", message_id="inner@x")
    outer = (
        b"Subject: Outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        + inner
        + b"\r\n--b--\r\n"
    )
    (part,) = get(house, house.deliver(outer), "attachments")

    created = bring(house, k={"blobId": part["blobId"]})["created"]["k"]

    assert (created["size"], created["blobId"]) == (len(inner), blobs.pack(inner).blob_id)
    assert get(house, created["id"], "subject") == "Inner"


def test_creation_ids_work_across_the_calls_of_a_request(house):
    """A Mailbox created before is named by #id; the imported Email is named so after, and told in createdIds."""
    account = house.account()
    request = {
        "using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"], "createdIds": {},
        "methodCalls": [
            ["Mailbox/set", {"accountId": account, "create": {"box": {"name": "New"}}}, "0"],
            ["Email/import", {"accountId": account, "emails": {"mail": {"blobId": upload(house, message()), "mailboxIds": {"#box": True}}}}, "1"],
            ["Email/set", {"accountId": account, "update": {"#mail": {"keywords/a": True}}}, "2"],
            ["Email/get", {"accountId": account, "ids": ["#mail"], "properties": ["keywords", "mailboxIds"]}, "3"],
        ],
    }  # fmt: skip
    answer = house.answer(request)

    box, mail = (answer["createdIds"][name] for name in ("box", "mail"))
    assert answer["methodResponses"][2][1]["updated"] == {mail: None}
    assert answer["methodResponses"][3][1]["list"] == [{"id": mail, "keywords": {"a": True}, "mailboxIds": {box: True}}]


def test_states_and_limits_guard_the_call(house):
    """StateMismatch imports nothing; more than maxObjectsInSet is too large; `emails` must be there."""
    from minijmap.jmap.engine import Limits

    one = {"blobId": upload(house, message()), "mailboxIds": {house.mailbox("inbox"): True}}
    assert house.call("Email/import", {"emails": {"k": one}, "ifInState": "77"})["type"] == "stateMismatch"
    assert house.call("Email/import", {})["type"] == "invalidArguments"
    assert house.call("Email/query")["ids"] == []
    house.engine = house.make_engine(limits=Limits(max_objects_in_set=1))
    assert house.call("Email/import", {"emails": {"a": one, "b": one}})["type"] == "requestTooLarge"
    state = house.call("Email/get", {"ids": []})["state"]
    assert house.call("Email/import", {"emails": {"k": one}, "ifInState": state})["created"]


def test_international_headers_are_kept_and_shown(house):
    """RFC 6532: UTF-8 in header fields and addresses, octet for octet."""
    raw = "From: Жук <жук@пример.рф>\r\nSubject: Grüße 狐\r\n\r\nх\r\n".encode()

    created = bring(house, k={"blobId": upload(house, raw)})["created"]["k"]

    shown = get(house, created["id"], "from", "subject", "blobId")
    assert shown["from"] == [{"name": "Жук", "email": "жук@пример.рф"}]
    assert (shown["subject"], shown["blobId"]) == ("Grüße 狐", blobs.pack(raw).blob_id)
