"""EmailSubmission: how it is found, forgotten and checked (RFC 8621 §7.2, §7.3, §7.4)."""

import pytest

from minijmap import users
from minijmap.mail import check, submission
from tests.mail.submitting import DAY, envelope, queued, raw, send, update


@pytest.fixture
def email(house):
    """The id of an Email from Alice to Bob in Alice's account."""
    return house.deliver(raw())


# Found


@pytest.fixture
def several(house):
    """Submissions s1 to s4: of two threads' Emails, by two Identities, one a day, the first canceled."""
    house.call("Identity/set", {"create": {"k": {"email": "alice@example.com"}}})
    other = house.call("Identity/get")["list"][1]["id"]
    emails = [house.deliver(raw(f"Message-ID: <{n}@x>", f"X: {n}").replace(b"Hello", b"%d" % n)) for n in (1, 2)]
    for number in range(4):
        created = send(house, emails[number % 2], identity=("i1", other)[number // 2])
        assert created["id"] == f"s{number + 1}"
        house.now += DAY
    update(house, "s1", undoStatus="canceled")
    return {"emails": emails, "other": other}


def found(house, condition, *sort):
    """Return the ids that a query gives."""
    comparators = [{"property": name.removeprefix("-"), "isAscending": name[0] != "-"} for name in sort]
    return house.call("EmailSubmission/query", {"filter": condition, "sort": comparators})["ids"]


def test_filters(house, several):
    """Each condition of RFC 8621 §7.3, and several at once."""
    first, second = several["emails"]

    assert found(house, None) == found(house, {}) == ["s1", "s2", "s3", "s4"]
    assert found(house, {"identityIds": ["i1", "i99"]}) == ["s1", "s2"]
    assert found(house, {"emailIds": [second]}) == ["s2", "s4"]
    assert found(house, {"emailIds": []}) == []
    assert found(house, {"threadIds": ["t1"], "identityIds": [several["other"]]}) == ["s3"]
    assert found(house, {"undoStatus": "canceled"}) == ["s1"]
    assert found(house, {"before": "2026-01-03T00:00:00Z"}) == ["s1", "s2"]
    assert found(house, {"after": "2026-01-03T00:00:00Z"}) == ["s3", "s4"]
    assert found(house, {"operator": "NOT", "conditions": [{"emailIds": [first]}]}) == ["s2", "s4"]


def test_sorts(house, several):
    """By emailId, threadId, and the time that the RFC calls sentAt; either way."""
    assert several
    assert found(house, None, "-sentAt") == found(house, None, "-sendAt") == ["s4", "s3", "s2", "s1"]
    assert found(house, None, "emailId", "-sentAt") == ["s3", "s1", "s4", "s2"]
    assert found(house, None, "-threadId", "sentAt") == ["s2", "s4", "s1", "s3"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filter": {"subject": "x"}}, "unsupportedFilter"),
        ({"filter": {"undoStatus": "gone"}}, "invalidArguments"),
        ({"filter": {"before": "yesterday"}}, "invalidArguments"),
        ({"sort": [{"property": "undoStatus"}]}, "unsupportedSort"),
    ],
)
def test_what_can_not_be_queried(house, arguments, error):
    """Other properties, and values of the wrong kind."""
    assert house.call("EmailSubmission/query", arguments)["type"] == error


def test_changes_and_query_changes(house, several):
    """What has happened since a state: a cancellation moves the object out of a query for pending ones."""
    assert several
    pending = {"undoStatus": "pending"}
    before = house.call("EmailSubmission/query", {"filter": pending})
    update(house, "s2", undoStatus="canceled")
    house.call("EmailSubmission/set", {"destroy": ["s3"]})

    changes = house.call("EmailSubmission/changes", {"sinceState": before["queryState"]})
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], ["s2"], ["s3"])
    moved = house.call("EmailSubmission/queryChanges", {"filter": pending, "sinceQueryState": before["queryState"]})
    assert (set(moved["removed"]), moved["added"]) == ({"s2", "s3"}, [])
    assert found(house, pending) == ["s4"]


# Forgotten


def test_old_submissions_are_forgotten_once_nothing_waits(house, email):
    """Thirty days after their release, unless they are still in the queue."""
    first, second, waiting = (send(house, email)["id"] for _ in range(3))
    update(house, first, undoStatus="canceled")
    update(house, second, undoStatus="canceled")
    late = send(house, email, envelope=envelope("bob@example.com", HOLDFOR="60"))
    update(house, late["id"], undoStatus="canceled")
    state = house.call("EmailSubmission/get")["state"]
    now = int(house.now * 1000)

    assert house.database.write(lambda tx: submission.prune(tx, now + submission.KEEP_MS)) == 0
    assert house.database.write(lambda tx: submission.prune(tx, now + submission.KEEP_MS + 1)) == 2
    assert found(house, None) == [waiting, late["id"]]
    assert set(house.call("EmailSubmission/changes", {"sinceState": state})["destroyed"]) == {first, second}


def test_removing_a_user_takes_everything_out(house, email):
    """Submissions, the queue's rows, and the message itself."""
    send(house, email)
    users.remove_user(house.database, "alice@example.com")

    assert queued(house) == []
    with house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM email_submission") == reader.value("SELECT count(*) FROM blob") == 0


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DELETE FROM queue_message", ["Recipients in the queue without a message", "EmailSubmissions that are not"]),
        ("DELETE FROM queue_recipient", ["Messages in the queue that are for nobody"]),
        ("DELETE FROM blob_use WHERE type = 'Queue'", ["Messages in the queue that are not kept"]),
        (
            """UPDATE email_submission SET doc = json_set(doc, '$.undoStatus', 'canceled')""",
            ["EmailSubmissions that are not"],
        ),
    ],
)
def test_check_finds_what_can_not_be(house, email, damage, told):
    """Each rule of the queue, broken once."""
    send(house, email)
    house.database.write(lambda tx: tx.execute(damage))

    with house.database.read() as reader:
        sentences = list(check.problems(reader))
    assert len(sentences) == len(told)
    assert all(sentence.startswith(begin) for sentence, begin in zip(sentences, told, strict=True))
