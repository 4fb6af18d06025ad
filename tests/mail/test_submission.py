"""EmailSubmission: what may be sent, what is answered, how it is undone (RFC 8621 §7)."""

from types import MappingProxyType

import pytest

from minijmap.config import Settings
from minijmap.jmap.engine import Engine
from minijmap.mail import queue, submission
from minijmap.server import families
from tests.mail.submitting import CORE, QUEUED, SUBMISSION, envelope, got, queued, raw, send, update


@pytest.fixture
def email(house):
    """The id of an Email from Alice to Bob in Alice's account."""
    return house.deliver(raw())


# Created


def test_a_submission_tells_all_that_the_client_has_not_said(house, email):
    """The derived envelope, the moment of release, that it can be undone, and that it waits for the recipient."""
    created = send(house, email)

    assert created == {
        "id": created["id"],
        "threadId": "t1",
        "envelope": {
            "mailFrom": {"email": "alice@example.com", "parameters": None},
            "rcptTo": [{"email": "bob@example.com", "parameters": None}],
        },
        "sendAt": "2026-01-01T00:00:00Z",
        "undoStatus": "pending",
        "deliveryStatus": {"bob@example.com": QUEUED},
        "dsnBlobIds": [],
        "mdnBlobIds": [],
    }
    assert got(house, created["id"]) == {"identityId": "i1", "emailId": email, **created}
    assert queued(house) == [("alice@example.com", "bob@example.com", house.now * 1000)]


def test_a_given_envelope_is_kept(house, email):
    """Recipients, parameters and a null path; the header does not matter then."""
    given = envelope("carol@example.org", "bob@example.com", sender="", RET="HDRS")
    given["rcptTo"][0]["parameters"] = {"NOTIFY": "NEVER", "X-FLAG": None}
    created = send(house, email, envelope=given)

    assert got(house, created["id"], "envelope")["envelope"] == {
        "mailFrom": given["mailFrom"],
        "rcptTo": [given["rcptTo"][0], {"email": "bob@example.com", "parameters": None}],
    }
    assert [row[:2] for row in queued(house)] == [("", "carol@example.org"), ("", "bob@example.com")]


def test_an_email_made_in_the_same_request_is_sent(house):
    """By its creation id, which may be the submission's too; the answer's ids can be used by later calls."""
    drafts = house.mailbox("drafts")
    draft = {
        "mailboxIds": {drafts: True},
        "from": [{"email": "alice@example.com"}],
        "to": [{"name": "Bob", "email": "bob@example.com"}],
        "subject": "Hi",
        "bodyStructure": {"type": "text/plain", "partId": "1"},
        "bodyValues": {"1": {"value": "Hi Bob"}},
    }
    account = house.account()
    made, sent, shown = house.request(
        ["Email/set", {"accountId": account, "create": {"k": draft}}, "a"],
        ["EmailSubmission/set", {"accountId": account, "create": {"k": {"emailId": "#k", "identityId": "i1"}}}, "b"],
        ["EmailSubmission/get", {"accountId": account, "ids": ["#k"], "properties": ["emailId"]}, "c"],
    )

    assert sent[1]["created"]["k"]["id"] == shown[1]["list"][0]["id"]
    assert shown[1]["list"][0]["emailId"] == made[1]["created"]["k"]["id"]


@pytest.mark.parametrize(
    ("wanted", "properties"),
    [
        ({"emailId": "e999"}, ["emailId"]),
        ({"emailId": "t1"}, ["emailId"]),
        ({"emailId": "#nothing"}, ["emailId"]),
        ({"identityId": "i999"}, ["identityId"]),
        ({"emailId": "e999", "identityId": "m1"}, ["emailId", "identityId"]),
        ({"emailId": None}, ["emailId"]),
        ({"envelope": {"mailFrom": {"email": "alice@example.com"}}}, ["envelope"]),
        ({"envelope": envelope("bob@example.com", HOLDFOR="0")}, ["envelope"]),
        ({"undoStatus": "final"}, ["undoStatus"]),
        ({"undoStatus": "pending"}, ["undoStatus"]),
        ({"sendAt": "2027-01-01T00:00:00Z"}, ["sendAt"]),
        ({"threadId": "t1"}, ["threadId"]),
        ({"deliveryStatus": {}}, ["deliveryStatus"]),
        ({"other": 1}, ["other"]),
    ],
)
def test_invalid_properties_are_named(house, email, wanted, properties):
    """What is not there, what is not of its kind, what the server sets."""
    error = send(
        house,
        **{
            "email_id": email,
            **{{"emailId": "email_id", "identityId": "identity"}.get(k, k): v for k, v in wanted.items()},
        },
    )

    assert (error["type"], error["properties"]) == ("invalidProperties", properties)
    assert queued(house) == []


def test_another_users_email_and_identity_are_not_there(house, email):
    """Bob can't send Alice's Email, nor by her Identity."""
    own = house.deliver(raw(sender="bob@example.com"), "bob@example.com")

    assert send(house, email, identity="i2", user="bob@example.com")["properties"] == ["emailId"]
    assert send(house, own, identity="i1", user="bob@example.com")["properties"] == ["identityId"]


def test_an_invalid_email_is_refused_with_what_is_wrong(house):
    """Its own properties are named (RFC 8621 §7.5)."""
    error = send(house, house.deliver(b"To: bob@example.com\r\nSender: a@b, c@d\r\n\r\nx"))

    assert (error["type"], error["properties"]) == ("invalidEmail", ["from", "sender"])


@pytest.mark.parametrize("author", ["bob@example.com", "alice@example.org", "alice@example.com, bob@example.com"])
def test_a_message_from_somebody_else_is_forbidden(house, author):
    """From must be what the Identity is for (RFC 8621 §9.6)."""
    email = house.deliver(raw(sender=author))

    assert send(house, email, envelope=envelope("bob@example.com"))["type"] == "forbiddenFrom"


def test_a_message_from_a_tagged_address_is_the_users_own(house):
    """It leaves under that address."""
    created = send(house, house.deliver(raw(sender="Alice <Alice+list@example.com>")))

    assert created["envelope"]["mailFrom"]["email"] == "Alice+list@example.com"


def test_aliases_and_catch_alls_send(house):
    """Each by an Identity that is for it, and by no other; a catch-all never for another user's address."""
    aliases = {"sales@example.com": "alice@example.com", "*@example.com": "alice@example.com"}
    house.engine = Engine(
        house.database, families(Settings(aliases=MappingProxyType(aliases))), clock=lambda: house.now
    )
    wanted = {"sales": {"email": "sales@example.com"}, "all": {"email": "*@example.com"}}
    made = {name: one["id"] for name, one in house.call("Identity/set", {"create": wanted})["created"].items()}
    sales, other, bobs = (house.deliver(raw(sender=f"{name}@example.com")) for name in ("sales", "other", "bob"))

    assert "id" in send(house, sales, identity=made["sales"])
    assert send(house, sales)["type"] == send(house, other, identity=made["sales"])["type"] == "forbiddenFrom"
    assert send(house, other, identity=made["all"])["envelope"]["mailFrom"]["email"] == "other@example.com"
    assert send(house, bobs, identity=made["all"])["type"] == "forbiddenFrom"


def test_an_identity_whose_alias_is_gone_sends_no_more(house):
    """What the settings say now counts."""
    aliased = families(Settings(aliases=MappingProxyType({"sales@example.com": "alice@example.com"})))
    plain, house.engine = house.engine, Engine(house.database, aliased, clock=lambda: house.now)
    made = house.call("Identity/set", {"create": {"k": {"email": "sales@example.com"}}})["created"]["k"]["id"]
    email = house.deliver(raw(sender="sales@example.com"))
    house.engine = plain

    assert send(house, email, identity=made)["type"] == "forbiddenFrom"


@pytest.mark.parametrize("sender", ["bob@example.com", "someone@example.org", "alice", "alice+\n@example.com"])
def test_an_envelope_from_somebody_else_is_forbidden(house, email, sender):
    """Nobody is to get the bounces of what they have not sent (RFC 8621 §9.6)."""
    assert send(house, email, envelope=envelope("bob@example.com", sender=sender))["type"] == "forbiddenMailFrom"


def test_recipients_are_checked(house, email):
    """The errors of recipients_of, from an envelope and from a header."""
    assert send(house, email, envelope=envelope())["type"] == "noRecipients"
    assert send(house, house.deliver(raw(to="undisclosed-recipients:;")))["type"] == "noRecipients"
    assert send(house, email, envelope=envelope("b"))["invalidRecipients"] == ["b"]
    assert send(house, house.deliver(raw(to="Bob")))["invalidRecipients"] == ["Bob"]
    assert send(house, email, envelope=envelope(*(f"r{n}@x.example" for n in range(1001))))["maxRecipients"] == 1000


def test_a_message_that_is_too_large_is_refused_with_the_limit(house):
    """The exact limit is taken; one octet more is tooLarge."""
    house.engine = Engine(house.database, families(Settings(max_message_size=70_000)), clock=lambda: house.now)
    start = raw()
    good, bad = (house.deliver(start + b"x" * (size - len(start))) for size in (70_000, 70_001))

    assert "id" in send(house, good)
    error = send(house, bad)
    assert (error["type"], error["maxSize"]) == ("tooLarge", 70_000)


def test_a_full_queue_forbids_to_send(house, email):
    """Held messages of one account have an end (RFC 4865 §6)."""
    with house.database.read() as reader:
        blob = reader.value("SELECT blob FROM email")
    sender = {"email": "", "parameters": None}

    def fill(tx):
        for _ in range(queue.MOST_WAITING):
            queue.put(tx, 1, blob, sender, {"x@example.org": {}}, now=0, release_at=0)

    house.database.write(fill)
    assert send(house, email)["type"] == "forbiddenToSend"


# Held, and undone


def test_a_held_message_waits_for_its_time(house, email):
    """HOLDFOR counts from now; `sendAt` is the time of release."""
    created = send(house, email, envelope=envelope("bob@example.com", HOLDFOR="3600"))

    assert created["sendAt"] == "2026-01-01T01:00:00Z"
    assert queued(house) == [("alice@example.com", "bob@example.com", (house.now + 3600) * 1000)]


def test_a_pending_submission_is_canceled(house, email):
    """It leaves the queue, says so of every recipient, and is not canceled twice."""
    created = send(house, email)
    stopped = {"smtpReply": "554 5.0.0 Canceled by the sender", "delivered": "no", "displayed": "unknown"}

    assert update(house, created["id"], undoStatus="canceled") == {"deliveryStatus": {"bob@example.com": stopped}}
    assert queued(house) == []
    assert got(house, created["id"], "undoStatus")["undoStatus"] == "canceled"
    assert update(house, created["id"], undoStatus="canceled") is None
    assert update(house, created["id"], undoStatus="pending")["properties"] == ["undoStatus"]


def test_what_is_on_its_way_can_not_be_unsent(house, email):
    """`cannotUnsend`, once it is final."""
    created = send(house, email)
    house.database.write(lambda tx: submission.report(tx, 1, int(created["id"][1:]), {}, final=True))

    assert update(house, created["id"], undoStatus="canceled")["type"] == "cannotUnsend"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("undoStatus", "final"),
        ("undoStatus", None),
        ("undoStatus", "maybe"),
        ("emailId", "e9"),
        ("sendAt", "2027-01-01T00:00:00Z"),
        ("envelope", None),
    ],
)
def test_nothing_else_can_be_changed(house, email, name, value):
    """Every other change is refused; null for undoStatus is its default, and so no change."""
    created = send(house, email)
    answer = update(house, created["id"], **{name: value})

    assert answer is None if (name, value) == ("undoStatus", None) else answer["properties"] == [name]


def test_what_is_not_there_is_not_updated(house):
    """Nor is another account's."""
    mine = send(
        house, house.deliver(raw(sender="bob@example.com"), "bob@example.com"), identity="i2", user="bob@example.com"
    )

    assert update(house, "s99", undoStatus="canceled")["type"] == "notFound"
    assert update(house, mine["id"], undoStatus="canceled")["type"] == "notFound"
    assert len(queued(house)) == 1


def test_destroying_the_record_or_the_email_does_not_stop_it(house, email):
    """The message and the row in the queue stay (RFC 8621 §7.5)."""
    created = send(house, email)
    assert house.call("Email/set", {"destroy": [email]})["destroyed"] == [email]
    assert got(house, created["id"], "emailId")["emailId"] == email
    answer = house.call("EmailSubmission/set", {"destroy": [created["id"], "s99"]})

    assert (answer["destroyed"], answer["notDestroyed"]["s99"]["type"]) == ([created["id"]], "notFound")
    assert len(queued(house)) == 1
    with house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM blob") == 1


# On success


def on_success(house, arguments, using=(CORE, SUBMISSION), engine=None):
    """Make one EmailSubmission/set; return all its responses."""
    house.engine = engine or house.engine
    return house.request(["EmailSubmission/set", {"accountId": house.account(), **arguments}, "c7"], using=using)


def test_success_moves_the_email(house, email):
    """The implicit Email/set answers under the same call id, though `using` does not name mail."""
    inbox, sent = house.mailbox("inbox"), house.mailbox("sent")
    strict = house.make_engine(strict_using=True)
    first, second = on_success(
        house,
        {
            "create": {"k": {"emailId": email, "identityId": "i1"}},
            "onSuccessUpdateEmail": {
                "#k": {f"mailboxIds/{inbox}": None, f"mailboxIds/{sent}": True, "keywords/$seen": True}
            },
        },
        engine=strict,
    )

    assert [(one[0], one[2]) for one in (first, second)] == [("EmailSubmission/set", "c7"), ("Email/set", "c7")]
    assert second[1]["updated"] == {email: None}
    house.engine = house.make_engine()
    (shown,) = house.call("Email/get", {"ids": [email], "properties": ["mailboxIds"]})["list"]
    assert shown["mailboxIds"] == {sent: True}


def test_success_destroys_the_email(house, email):
    """And the message is sent all the same."""
    _, second = on_success(
        house, {"create": {"k": {"emailId": email, "identityId": "i1"}}, "onSuccessDestroyEmail": ["#k"]}
    )

    assert second[1]["destroyed"] == [email]
    assert len(queued(house)) == 1


def test_failure_changes_no_email(house, email):
    """A submission that is refused leaves its Email where it is; there is nothing to answer."""
    other = house.deliver(raw(sender="bob@example.com"))
    (answer,) = on_success(
        house,
        {
            "create": {"k": {"emailId": other, "identityId": "i1"}},
            "onSuccessUpdateEmail": {"#k": {"keywords/$seen": True}, "s99": {"keywords/$seen": True}, "#x": {}},
            "onSuccessDestroyEmail": ["#k"],
        },
    )

    assert answer[1]["notCreated"]["k"]["type"] == "forbiddenFrom"
    assert {one["id"] for one in house.call("Email/get", {"properties": ["id"]})["list"]} == {email, other}


def test_one_email_set_follows_for_all(house, email):
    """Created, updated and destroyed submissions of one call; those that fail are left out."""
    emails = [email, *(house.deliver(raw(f"X: {n}")) for n in range(3))]
    canceled, gone, untouched = (send(house, one)["id"] for one in emails[1:])
    _, answer = on_success(
        house,
        {
            "create": {"k": {"emailId": email, "identityId": "i1"}, "bad": {"emailId": emails[3], "identityId": "i9"}},
            "update": {canceled: {"undoStatus": "canceled"}},
            "destroy": [gone],
            "onSuccessUpdateEmail": {one: {"keywords/x": True} for one in ("#k", "#bad", canceled, untouched)},
            "onSuccessDestroyEmail": [gone, "#bad"],
        },
    )

    assert answer[1]["updated"] == {email: None, emails[1]: None}
    assert answer[1]["destroyed"] == [emails[2]]


def test_what_fails_in_the_email_set_is_told(house, email):
    """Its own errors are in its own response."""
    _, answer = on_success(
        house,
        {
            "create": {"k": {"emailId": email, "identityId": "i1"}},
            "onSuccessUpdateEmail": {"#k": {"mailboxIds": {"m99": True}}},
        },
    )

    assert answer[1]["notUpdated"][email]["properties"] == ["mailboxIds"]


def test_arguments_of_the_wrong_kind_are_refused(house):
    """Before anything is sent."""
    (answer,) = on_success(house, {"onSuccessUpdateEmail": {"#k": 1}})

    assert answer[1] == {**answer[1], "type": "invalidArguments", "arguments": ["onSuccessUpdateEmail"]}


def test_the_capability_tells_what_works(house):
    """Thirty days, by FUTURERELEASE; the exact size of what may be sent."""
    capability = house.engine.capabilities[SUBMISSION]

    assert capability.session == {}
    assert capability.account(None) == {
        "maxDelayedSend": 2_592_000,
        "submissionExtensions": {"DSN": [], "FUTURERELEASE": ["2592000"], "REQUIRETLS": [], "SIZE": ["50000000"]},
    }
