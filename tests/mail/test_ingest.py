"""Mail that arrives: one transaction for all its accounts, nothing by halves."""

import pytest

from minijmap.mail import ingest
from minijmap.store import blobs
from tests.mail.mailmodel import START_MS, damage, get, message, put

ALICE, BOB = "alice@example.com", "bob@example.com"


def keys(house):
    """Alice's and Bob's accounts."""
    return [house.users[one].account for one in (ALICE, BOB)]


def test_a_message_for_two_is_stored_once(house):
    """Each account has an Email of its own in its Inbox; the octets are kept once, as they came."""
    raw = message(message_id="a@x") + b"\xff\x00 odd \r octets \n"
    ingest.deliver(house.database, raw, keys(house), START_MS)

    for user, email in ((ALICE, "e1"), (BOB, "e2")):
        shown = get(house, email, "mailboxIds", "blobId", "size", "receivedAt", user=user)
        assert shown["mailboxIds"] == {house.mailbox("inbox", user): True}
        assert (shown["size"], shown["receivedAt"]) == (len(raw), "2026-01-01T00:00:00Z")
    with house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM blob") == 1
        assert blobs.open_blob(reader, keys(house)[0], shown["blobId"]) == raw
    assert damage(house) == []


def test_one_owner_leaves_and_the_other_keeps_the_message(house):
    """The octets stay while any Email refers to them."""
    ingest.deliver(house.database, message(), keys(house), START_MS)

    house.call("Email/set", {"destroy": ["e1"]})
    assert get(house, "e2", "preview", user=BOB) == "Good day."
    house.call("Email/set", {"destroy": ["e2"]}, BOB)
    house.an_hour_later()
    with house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM blob") == 0


def test_an_account_that_is_not_there_stops_all(house):
    """All of the accounts get it, or none: what fails for one leaves nothing behind."""
    house.database.write(
        lambda tx: tx.execute(
            "CREATE TRIGGER no BEFORE INSERT ON email WHEN new.account = 2 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    )
    states = [house.call("Email/get", {"ids": []}, user)["state"] for user in (ALICE, BOB)]

    with pytest.raises(Exception, match="no"):
        ingest.deliver(house.database, message(), keys(house), START_MS)

    assert [house.call("Email/get", {"ids": []}, user)["state"] for user in (ALICE, BOB)] == states
    with house.database.read() as reader:
        for table in ("email", "thread", "blob", "email_content", "email_mailbox", "thread_reference"):
            assert reader.value(f"SELECT count(*) FROM {table}") == 0, table
    assert damage(house) == []


def test_one_commit_announces_all_that_changed(house):
    """Email, Thread, Mailbox and EmailDelivery of each account, with the states that /get gives."""
    house.announced.clear()
    ingest.deliver(house.database, message(), keys(house), START_MS)

    (commit,) = house.announced
    assert set(commit) == set(keys(house))
    for user, types in zip((ALICE, BOB), commit.values(), strict=True):
        assert set(types) == {"Email", "Thread", "Mailbox", "EmailDelivery"}
        for name in ("Email", "Thread", "Mailbox"):
            assert house.call(f"{name}/get", {"ids": []}, user)["state"] == str(types[name])


def test_the_same_message_twice_is_two_emails(house):
    """Arrivals are never dropped: the second is an Email of its own in the same Thread."""
    one, two = house.deliver(message(message_id="a@x")), house.deliver(message(message_id="a@x"))

    assert one != two
    assert get(house, one, "threadId") == get(house, two, "threadId")
    assert house.call("Mailbox/get", {"ids": [house.mailbox("inbox")]})["list"][0]["totalEmails"] == 2
    assert damage(house) == []


@pytest.mark.parametrize("raw", [
    b"", b"\0", b"\r\n\r\n", b"Subject: \xff\xfe\r\n\r\n\xff", b"A" * 100_000, b"To: " + b"a " * 20_000 + b"\r\n\r\n", b"To: " + b"(" * 20_000 + b"\r\n\r\n",
    b"Subject: " + b"Re: " * 5_000 + b"x\r\n\r\n", b"References: " + b"<a@x> " * 10_000 + b"\r\nSubject: a\r\n\r\n",
    b"Date: Fri, 99 Foo 0000 99:99:99\r\n\r\n", b"Date: Thu, 01 Jan 0001 00:00:00 +2359\r\n\r\n", b"Date: Fri, 31 Dec 9999 23:59:59 -2359\r\n\r\n",
    b"Received: ; Fri, 31 Dec 9999 23:59:59 -2359\r\n\r\n", b"Subject: a\0b\r\nFrom: \0\r\n\r\na\0b",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 3_000,
    "Subject: \ud800".encode("utf-8", "surrogatepass"), b"Subject: =?utf-16?B?2AA=?=\r\nFrom: =?utf-16?B?2AA=?= <a@b>\r\n\r\n",
])  # fmt: skip
def test_whatever_arrives_is_stored_and_can_be_read(house, raw):
    """Nothing of a stranger's making stops an arrival, a list, a sort, a search or a check."""
    email = house.deliver(raw)

    assert "list" in house.call("Email/get", {"ids": [email], "fetchAllBodyValues": True})
    assert house.call(
        "Email/query",
        {"sort": [{"property": "sentAt"}, {"property": "from"}, {"property": "subject"}], "filter": {"maxSize": 10**6}},
    )["ids"] == [email]
    assert "ids" in house.call("Email/query", {"filter": {"text": "a"}})
    assert damage(house) == []


def test_arrivals_out_of_order_stand_by_their_date(house):
    """Lists are by receivedAt, not by the order of ids."""
    late, early = (
        put(house, message(message_id="a@x"), at=START_MS + 5),
        put(house, message(message_id="b@x"), at=START_MS),
    )

    assert house.call("Email/query", {"sort": [{"property": "receivedAt"}]})["ids"] == [early, late]
