"""Importing an archive: repeatable, folder by folder, taking what it can and naming the rest."""

import unicodedata

import pytest

from minijmap.mail import archive, importing
from minijmap.mail.archive import ArchivedMessage, ArchiveFailure
from minijmap.mail.capability import DEEPEST_MAILBOX, LONGEST_MAILBOX_NAME
from tests.mail.mailmodel import START_MS, damage, get, make_mailbox, message, with_attachment


def item(number, folder=None, *, at=START_MS, keywords=(), raw=None):
    """A message of an archive."""
    octets = message(f"Number {number}", message_id=f"{number}@x") if raw is None else raw
    return ArchivedMessage(octets, at, frozenset(keywords), folder, f"file {number}", len(octets))


def bring(house, items, mailbox=None):
    """Import; (imported, already there, failures) summed over the batches."""
    batches = list(
        importing.import_archive(
            house.database, house.users["alice@example.com"].account, items, mailbox=mailbox, now=START_MS
        )
    )
    return (
        sum(one.imported for one in batches), sum(one.already_there for one in batches), [failure for one in batches for failure in one.failures],
    )  # fmt: skip


def paths(house):
    """The path of every Mailbox without a role → its number of Emails."""
    found = {one["id"]: one for one in house.call("Mailbox/get")["list"]}

    def path(one):
        above = f"{path(found[one['parentId']])}/" if one["parentId"] else ""
        return above + one["name"]

    return {path(one): one["totalEmails"] for one in found.values() if one["role"] is None}


def test_a_second_import_changes_nothing(house):
    """Octet for octet the same message is there already; no state moves."""
    items = [item(number, "Lists/Club", keywords=["$seen"]) for number in range(5)]

    assert bring(house, items) == (5, 0, [])
    state = house.call("Email/get", {"ids": []})["state"]
    assert bring(house, items) == (0, 5, [])
    assert house.call("Email/get", {"ids": []})["state"] == state
    assert bring(house, [*items, item(9), item(9)]) == (1, 6, [])
    assert damage(house) == []


def test_an_interrupted_import_is_taken_up(house):
    """What a batch has counted is on disk; the rest comes next time, and nothing twice."""

    def breaking():
        yield from (item(number) for number in range(150))
        raise OSError("the disk was pulled out")

    with pytest.raises(OSError, match="pulled"):
        bring(house, breaking())

    assert bring(house, [item(number) for number in range(150)]) == (50, 100, [])
    assert damage(house) == []


def test_folders_become_mailboxes(house):
    """A path level by level; what is there is used, an Inbox by any spelling; nothing is the Inbox too."""
    work = make_mailbox(house, "Work")
    items = [
        item(1, "Work/Old"),
        item(2, "Work"),
        item(3, "Work/Old/Older"),
        item(4, "INBOX"),
        item(5, None),
        item(6, "inbox/Sub"),
        item(7, "Sent"),
        item(8, "Büro"),
    ]

    assert bring(house, items) == (8, 0, [])

    assert paths(house) == {"Work": 1, "Work/Old": 1, "Work/Old/Older": 1, "Inbox/Sub": 1, "Büro": 1}
    counts = {one["id"]: one["totalEmails"] for one in house.call("Mailbox/get")["list"]}
    assert (counts[house.mailbox("inbox")], counts[house.mailbox("sent")], counts[work]) == (2, 1, 1)
    assert damage(house) == []


def test_names_are_put_in_nfc(house):
    """A file system's decomposed name and the user's own are one Mailbox (RFC 8621 §2, RFC 5198)."""
    make_mailbox(house, "Büro")

    assert bring(house, [item(1, unicodedata.normalize("NFD", "Büro"))]) == (1, 0, [])

    assert paths(house) == {"Büro": 1}


@pytest.mark.parametrize(
    "folder", ["x" * (LONGEST_MAILBOX_NAME + 1), "/".join("a" * (DEEPEST_MAILBOX + 1)), "a\nb", "ok/a\x07b"]
)
def test_a_folder_that_can_be_no_mailbox_is_named(house, folder):
    """Its messages fail one by one, with a sentence; nothing of the path is made, and the others are imported."""
    imported, there, failures = bring(house, [item(1, folder), item(2, "Good")])

    assert (imported, there) == (1, 0)
    ((where, reason),) = failures
    assert where == "file 1"
    assert "can't be a mailbox" in reason
    assert paths(house) == {"Good": 1}


def test_the_deepest_path_and_the_longest_name_are_well(house):
    """The limits themselves are inside."""
    assert bring(house, [item(1, "/".join("a" * DEEPEST_MAILBOX)), item(2, "x" * LONGEST_MAILBOX_NAME)]) == (2, 0, [])


def test_one_mailbox_for_all(house):
    """`--mailbox` puts every message there, whatever its folder."""
    assert bring(house, [item(1, "A"), item(2, None), item(3, "B/C")], mailbox="Old mail/2025") == (3, 0, [])

    assert paths(house) == {"Old mail": 0, "Old mail/2025": 3}


def test_failures_of_the_archive_are_handed_on(house):
    """In their batch, by place and reason; they stop nothing."""
    items = [item(1), ArchiveFailure("box.mbox: message 2", "too large", 9), item(3)]

    assert bring(house, items) == (2, 0, [("box.mbox: message 2", "too large")])


def test_dates_and_keywords_come_along(house):
    """The archive's date, or the newest Received, or now; never the future; keywords without lies about attachments."""
    raw = message(message_id="r@x", fields=["Received: by a; Tue, 1 Jul 2025 12:00:00 +0000"])
    items = [item(1, at=START_MS - 1000, keywords=["$seen", "work"]), item(2, at=None, raw=raw), item(3, at=None), item(4, at=START_MS + 10**9),
             item(5, raw=with_attachment(), keywords=["$hasnoattachment"])]  # fmt: skip

    assert bring(house, items) == (5, 0, [])

    shown = house.call("Email/get", {"ids": None, "properties": ["receivedAt", "keywords"]})["list"]
    assert [one["receivedAt"] for one in shown] == [
        "2025-12-31T23:59:59Z",
        "2025-07-01T12:00:00Z",
        *["2026-01-01T00:00:00Z"] * 3,
    ]
    assert shown[0]["keywords"] == {"$seen": True, "work": True}
    assert shown[4]["keywords"] == {"$hasattachment": True}
    assert damage(house) == []


def test_batches_are_cut_by_number_and_by_size(house, monkeypatch):
    """Each is one transaction; the sums are those of the whole, octets included."""
    monkeypatch.setattr(importing, "BATCH_MESSAGES", 3)
    monkeypatch.setattr(importing, "BATCH_OCTETS", 600)
    items = [item(number) for number in range(7)]
    account = house.users["alice@example.com"].account

    batches = list(importing.import_archive(house.database, account, items, mailbox=None, now=START_MS))

    assert len(batches) >= 3
    assert sum(one.octets for one in batches) == sum(one.octets for one in items)
    assert sum(one.imported for one in batches) == 7


def test_from_files_to_mailboxes(house, tmp_path):
    """A Maildir with a folder, an mbox and a lone message, through the reader of archives; threads come together."""
    for part in ("cur", "new", "tmp", ".Lists.Club/cur", ".Lists.Club/new", ".Lists.Club/tmp"):
        (tmp_path / "Maildir" / part).mkdir(parents=True)
    (tmp_path / "Maildir/cur/1.a:2,SF").write_bytes(message("Lunch", message_id="a@x"))
    (tmp_path / "Maildir/.Lists.Club/new/2.a").write_bytes(message("Club", message_id="c@x"))
    (tmp_path / "reply.eml").write_bytes(message("Re: Lunch", message_id="b@x", references=["a@x"]))

    imported, there, failures = bring(
        house, [*archive.iterate(tmp_path / "Maildir"), *archive.iterate(tmp_path / "reply.eml")]
    )

    assert (imported, there, failures) == (3, 0, [])
    first = house.call("Email/query", {"filter": {"hasKeyword": "$flagged"}})["ids"][0]
    assert get(house, first, "keywords") == {"$seen": True, "$flagged": True}
    assert "Lists/Club" in paths(house)
    (thread,) = house.call("Thread/get", {"ids": [get(house, first, "threadId")]})["list"]
    assert len(thread["emailIds"]) == 2
    assert damage(house) == []
