"""MDN/send: who gets a receipt, at most one, and what it looks like (RFC 9007 §2.1, RFC 8098)."""

import email
import email.policy
from dataclasses import replace
from functools import partial

import pytest

from minijmap.jmap.engine import Limits
from minijmap.mail import check, mdnsend, queue
from minijmap.smtp.delivery import Delivery
from minijmap.smtp.recipients import Recipients
from minijmap.store import blobs

CORE, MAIL, MDN = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:mdn"
ALICE, BOB = "alice@example.com", "bob@example.com"
DISPLAYED = {"actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed"}
AUTOMATIC = {**DISPLAYED, "sendingMode": "mdn-sent-automatically"}
SETS = {"keywords/$mdnsent": True}


def asking(*fields, sender=BOB, to=ALICE, asks=(BOB,), message_id="1@example.com", body="Will you come?"):
    """Return a message that asks for an MDN."""
    lines = [f"Return-Path: <{sender}>", f"From: Bob <{sender}>", f"To: {to}", "Subject: World domination"]
    lines += [f"Disposition-Notification-To: {one}" for one in asks]
    lines += [f"Message-ID: <{message_id}>"] if message_id else []
    return "\r\n".join([*lines, *fields, "", body, ""]).encode()


def mdn(email_id, **more):
    """Return an MDN object."""
    return {"forEmailId": email_id, "disposition": DISPLAYED, **more}


def send(house, *, user=ALICE, using=(CORE, MAIL, MDN), patches=None, identity="i1", **mdns):
    """Send MDNs by creation id; return all responses, without their call ids."""
    arguments = {
        "accountId": house.account(user),
        "identityId": identity,
        "send": mdns,
        "onSuccessUpdateEmail": {f"#{one}": SETS for one in mdns} if patches is None else patches,
    }
    return [(name, answer) for name, answer, _ in house.request(["MDN/send", arguments, "0"], using=using, user=user)]


def sent(house, email_id, **more):
    """Send one MDN; return what was sent, or the error."""
    first, *_ = send(house, k=mdn(email_id, **more))
    return (first[1]["sent"] or {}).get("k") or first[1]["notSent"]["k"]


def queued(house):
    """Return the messages in the queue: envelope sender, recipients, the message."""
    with house.database.read() as reader:
        assert list(check.problems(reader)) == []
        found = []
        for key, blob in reader.all("SELECT key, blob FROM queue_message ORDER BY key"):
            message = queue.whole(reader, key)
            recipients = [one.address for one in message.recipients]
            found.append((message.sender, recipients, blobs.read(reader, blob)))
        return found


def parts(octets):
    """Read a message with Python's own parser; return it and its parts."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    return message, list(message.iter_parts())


def keywords(house, email_id):
    """Return an Email's keywords."""
    (one,) = house.call("Email/get", {"ids": [email_id], "properties": ["keywords"]})["list"]
    return one["keywords"]


def test_a_receipt(house):
    """The message that leaves, as RFC 8098 §3 has it, and the answers to the client (RFC 9007 §3.1)."""
    original = house.deliver(asking())
    given = {"subject": "Read receipt", "textBody": "It was shown.\n—", "reportingUA": "joes-pc; Foomail 97.1"}
    (name, answer), (other, updated) = send(house, k=mdn(original, **given, extensionFields={"X-Extra": "1"}))

    assert name == "MDN/send"
    assert answer == {
        "accountId": house.account(),
        "sent": {
            "k": {
                "includeOriginalMessage": False,
                "mdnGateway": None,
                "originalRecipient": None,
                "finalRecipient": "rfc822; alice@example.com",
                "originalMessageId": "<1@example.com>",
                "error": None,
            }
        },
        "notSent": None,
    }
    assert other == "Email/set"
    assert updated["updated"] == {original: None}
    assert int(updated["newState"]) > int(updated["oldState"])
    assert keywords(house, original)["$mdnsent"] is True
    ((sender, recipients, octets),) = queued(house)
    assert (sender, recipients) == ("", [BOB])
    message, (text, report) = parts(octets)
    assert message["From"] == "Alice <alice@example.com>"
    assert (message["To"], message["Subject"]) == (BOB, "Read receipt")
    assert message["In-Reply-To"] == message["References"] == "<1@example.com>"
    assert message["Message-ID"] != "<1@example.com>"
    assert message["Disposition-Notification-To"] is message["Auto-Submitted"] is None
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "disposition-notification"
    assert text.get_content().splitlines() == ["It was shown.", "—"]
    assert report.get_content_type() == "message/disposition-notification"
    fields = octets.partition(b"message/disposition-notification")[2].partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
    assert fields.decode().splitlines() == [
        "Reporting-UA: joes-pc; Foomail 97.1",
        "Final-Recipient: rfc822; alice@example.com",
        "Original-Message-ID: <1@example.com>",
        "Disposition: manual-action/MDN-sent-manually; displayed",
        "X-Extra: 1",
    ]


def test_what_nobody_has_written(house):
    """Without subject and text both say what has become of the message."""
    shown = sent(house, house.deliver(asking()), disposition={**DISPLAYED, "type": "deleted"})

    assert shown["subject"] == "Deleted: World domination"
    assert shown["textBody"].startswith(
        "The message “World domination” that you sent to alice@example.com was deleted."
    )
    bare = house.deliver(asking(message_id="").replace(b"Subject: World domination\r\n", b""))
    shown = sent(house, bare)
    assert (shown["subject"], shown["originalMessageId"]) == ("Read: (no subject)", None)


@pytest.mark.parametrize("body", ["plain", "größer"])
def test_the_original_message(house, body):
    """It is given back octet for octet as the third part, if that is wanted."""
    raw = asking("Content-Type: text/plain; charset=utf-8", body=body)
    sent(house, house.deliver(raw), includeOriginalMessage=True)

    ((_, _, octets),) = queued(house)
    message, (_, _, third) = parts(octets)
    assert third.get_content_type() == "message/rfc822"
    assert raw.rstrip(b"\r\n") in octets
    assert message["Content-Transfer-Encoding"] == ("7bit" if body == "plain" else "8bit")


def test_beyond_ascii(house):
    """A report that ASCII can't hold has the media type for that (RFC 6533 §4)."""
    sent(house, house.deliver(asking()), reportingUA="Grüße 1.0", subject="Größe")

    _, (_, report) = parts(queued(house)[0][2])
    assert report.get_content_type() == "message/global-disposition-notification"


def test_original_recipient(house):
    """It is told if the message tells one, and one alone (RFC 8098 §3.2.3)."""
    told = "Original-Recipient: rfc822;sales@example.com"

    assert sent(house, house.deliver(asking(told)))["originalRecipient"] == "rfc822;sales@example.com"
    assert sent(house, house.deliver(asking(told, told, message_id="2@x")))["originalRecipient"] is None
    assert sent(house, house.deliver(asking("Original-Recipient: ?", message_id="3@x")))["originalRecipient"] is None


def test_only_one_for_a_message(house):
    """Neither twice in a call nor in two calls (RFC 8098 §2.1, mdnAlreadySent)."""
    original = house.deliver(asking())
    (_, answer), _ = send(house, a=mdn(original), b=mdn(original))
    assert list(answer["sent"]) == ["a"]
    assert answer["notSent"]["b"]["type"] == "mdnAlreadySent"
    assert [name for name, _ in send(house, c=mdn(original))] == ["MDN/send"]

    assert len(queued(house)) == 1


def test_siblings_are_not_affected(house):
    """What can't be sent says why; the others are sent."""
    good, silent = house.deliver(asking()), house.deliver(asking(asks=()))
    (_, answer), (_, updated) = send(house, bad=mdn(silent), good=mdn(good), odd={"forEmailId": good}, gone=mdn("e99"))

    assert list(answer["sent"]) == ["good"]
    assert {name: one["type"] for name, one in answer["notSent"].items()} == {
        "bad": "notFound",
        "odd": "invalidProperties",
        "gone": "notFound",
    }
    assert list(updated["updated"]) == [good]


@pytest.mark.parametrize(
    "patches",
    [
        None,
        {},
        {"#k": {}},
        {"#k": {"keywords/$mdnsent": None}},
        {"#k": {"keywords/$seen": True}},
        {"#k": {"keywords": {"$seen": True}}},
        {"#k": SETS, "#other": SETS},
        {"k": SETS},
        {"#k": SETS, "e1": SETS},
    ],
)
def test_the_keyword_must_be_set(house, patches):
    """`onSuccessUpdateEmail` sets `$mdnsent` for just the MDNs of the call, or nothing is sent (RFC 9007 §2.1)."""
    original = house.deliver(asking())
    arguments = {"accountId": house.account(), "identityId": "i1", "send": {"k": mdn(original)}}
    answers = house.request(["MDN/send", {**arguments, "onSuccessUpdateEmail": patches}, "0"], using=(CORE, MAIL, MDN))

    assert [(name, answer["type"], answer["arguments"]) for name, answer, _ in answers] == [
        ("error", "invalidArguments", ["onSuccessUpdateEmail"])
    ]
    assert queued(house) == []
    assert "$mdnsent" not in keywords(house, original)


def test_the_update_is_an_email_set_like_any_other(house):
    """It may change more; when it can't be made, the MDN is not sent."""
    original, inbox, trash = house.deliver(asking()), house.mailbox("inbox"), house.mailbox("trash")
    more = {"#k": {"keywords/$mdnSent": True, f"mailboxIds/{inbox}": None, f"mailboxIds/{trash}": True}}
    bad = {"#k": {**SETS, f"mailboxIds/{inbox}": None}}

    ((_, answer),) = send(house, patches=bad, k=mdn(original))
    assert answer["notSent"]["k"]["type"] == "invalidProperties"
    assert (queued(house), keywords(house, original).get("$mdnsent")) == ([], None)
    ((_, answer),) = send(house, patches={"#k": {**SETS, "nothing/here": 1}}, k=mdn(original))
    assert answer["notSent"]["k"]["type"] == "invalidPatch"
    _, (name, updated) = send(house, patches=more, k=mdn(original))
    assert (name, updated["updated"]) == ("Email/set", {original: None})
    shown = house.call("Email/get", {"ids": [original], "properties": ["mailboxIds"]})["list"][0]
    assert shown["mailboxIds"] == {trash: True}


@pytest.mark.parametrize(
    ("changes", "properties"),
    [
        ({"disposition": {**DISPLAYED, "type": "read"}}, ["disposition"]),
        ({"disposition": {**DISPLAYED, "type": "Displayed"}}, ["disposition"]),
        ({"disposition": {"type": "displayed"}}, ["disposition"]),
        ({"disposition": None}, ["disposition"]),
        ({"forEmailId": None}, ["forEmailId"]),
        ({"subject": "a\r\nBcc: x@example.net"}, ["subject"]),
        ({"reportingUA": "a\nDisposition: x"}, ["reportingUA"]),
        ({"reportingUA": "x" * 2000}, ["reportingUA"]),
        ({"extensionFields": {"X": "1\n2"}}, ["extensionFields"]),
        ({"extensionFields": {"Final-Recipient": "x"}}, ["extensionFields"]),
        ({"extensionFields": {"a b": "x"}}, ["extensionFields"]),
        ({"finalRecipient": "rfc822"}, ["finalRecipient"]),
        ({"finalRecipient": "x400; c=fr"}, ["finalRecipient"]),
        ({"mdnGateway": "dns; x"}, ["mdnGateway"]),
        ({"originalMessageId": "<x@y>"}, ["originalMessageId"]),
        ({"error": ["x"], "color": 1}, ["error", "color"]),
        ({"includeOriginalMessage": "yes"}, ["includeOriginalMessage"]),
        ({"textBody": 5, "subject": 5}, ["subject", "textBody"]),
    ],
)
def test_invalid_properties(house, changes, properties):
    """All that is wrong with an MDN is named."""
    error = sent(house, house.deliver(asking()), **changes)

    assert (error["type"], error["properties"]) == ("invalidProperties", properties)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "rfc822; alice@example.com"),
        ("rfc822;alice+tag@example.com", "rfc822; alice+tag@example.com"),
        ("RFC822 ; Alice@Example.COM", "rfc822; Alice@Example.COM"),
        ("alice@example.com", "rfc822; alice@example.com"),
    ],
)
def test_final_recipients(house, given, shown):
    """The identity's address, or another one of the user's own (RFC 8098 §3.2.4)."""
    answer = sent(house, house.deliver(asking()), finalRecipient=given)

    assert answer["finalRecipient"] == shown


def test_somebody_elses_address(house):
    """`forbiddenFrom` (RFC 9007 §5)."""
    assert sent(house, house.deliver(asking()), finalRecipient="rfc822; bob@example.com")["type"] == "forbiddenFrom"


@pytest.mark.parametrize(
    "raw",
    [
        asking(asks=()),
        asking(asks=(BOB, BOB)),
        asking(asks=("nobody",)),
        asking(asks=(f"{BOB}, nobody",)),
        asking("Content-Type: multipart/report; report-type=disposition-notification; boundary=b"),
    ],
    ids=["none", "twice", "no address", "one of two", "itself an MDN"],
)
def test_no_valid_request(house, raw):
    """`notFound`, as there is nobody to send it to (RFC 9007 §2.1); an MDN is never answered (RFC 8098 §2.1)."""
    assert sent(house, house.deliver(raw))["type"] == "notFound"


@pytest.mark.parametrize(
    ("raw", "is_sent"),
    [
        (asking(), True),
        (asking(asks=('"Bob" <"bob"@EXAMPLE.com>',)), True),
        (asking(asks=("Bob@example.com",)), False),
        (asking(asks=("bob+mdn@example.com",)), False),
        (asking(asks=(f"{BOB}, carol@example.net",)), False),
        (asking().replace(b"Return-Path: <bob@example.com>\r\n", b""), False),
        (asking().replace(b"Return-Path: <bob@example.com>", b"Return-Path: <>"), False),
        (asking("Return-Path: <carol@example.net>"), True),
    ],
    ids=["same", "quoted", "another case", "tag", "two", "no path", "nobody's", "several paths"],
)
def test_what_the_user_must_confirm(house, raw, is_sent):
    """Automatically an MDN goes to the message's own sender alone (RFC 8098 §2.1); confirmed, to whoever asks."""
    original = house.deliver(raw)
    answer = sent(house, original, disposition=AUTOMATIC)

    assert (answer.get("type") is None) == is_sent
    if is_sent:
        assert b"\r\nAuto-Submitted: auto-replied\r\n" in queued(house)[0][2]
    else:
        assert answer["type"] == "forbidden"
        assert "type" not in sent(house, original)


def test_too_many_addresses(house):
    """A message does not make anybody send ten more."""
    raw = asking(asks=(", ".join(f"x{number}@example.net" for number in range(mdnsend.MOST_RECIPIENTS + 1)),))

    assert sent(house, house.deliver(raw))["type"] == "forbidden"


def test_options_that_are_required(house):
    """Nobody knows any; an optional one is passed over (RFC 8098 §2.2)."""
    options = "Disposition-Notification-Options: signed-receipt-protocol={},pkcs7-signature"

    assert sent(house, house.deliver(asking(options.format("required"))))["type"] == "forbidden"
    assert "type" not in sent(house, house.deliver(asking(options.format("optional"), message_id="2@x")))


def test_several_addresses(house):
    """All of them get it, in one message (RFC 8098 §3)."""
    sent(house, house.deliver(asking(asks=(f"{BOB}, Carol <carol@example.net>, {BOB}",))))

    ((_, recipients, octets),) = queued(house)
    assert recipients == [BOB, "carol@example.net"]
    assert b"\r\nTo: bob@example.com, carol@example.net\r\n" in octets


def test_what_is_not_there(house):
    """An unknown account or Identity is a wrong argument (RFC 9007 §2.1)."""
    original = house.deliver(asking())
    ((name, answer),) = send(house, identity="i99", k=mdn(original))
    assert (name, answer["type"], answer["arguments"]) == ("error", "invalidArguments", ["identityId"])
    arguments = {"accountId": "a99", "identityId": "i1", "send": {}, "onSuccessUpdateEmail": {}}
    ((name, answer, _),) = house.request(["MDN/send", arguments, "0"], using=(CORE, MAIL, MDN))
    assert (name, answer["type"], answer["arguments"]) == ("error", "invalidArguments", ["accountId"])

    ((_, answer),) = send(house)
    assert (answer["sent"], answer["notSent"]) == (None, None)


def test_both_capabilities_are_needed(house):
    """Where `using` is taken strictly, mail must be named too (RFC 9007 §2.1)."""
    house.engine = house.make_engine(strict_using=True)
    original = house.deliver(asking())

    assert send(house, using=(CORE, MDN), k=mdn(original))[0][1]["type"] == "unknownMethod"
    assert send(house, using=(CORE, MAIL), k=mdn(original))[0][1]["type"] == "unknownMethod"
    assert send(house, k=mdn(original))[0][1]["notSent"] is None


def test_limits(house, monkeypatch):
    """`overQuota`, `rateLimit` for an hour, `tooLarge` with the size, `requestTooLarge`."""
    first, second = house.deliver(asking()), house.deliver(asking(message_id="2@x"))
    monkeypatch.setattr(queue, "MOST_WAITING", 0)
    assert sent(house, first)["type"] == "overQuota"
    monkeypatch.undo()
    monkeypatch.setattr(mdnsend, "MOST_IN_AN_HOUR", 1)
    assert "type" not in sent(house, first)
    assert sent(house, second)["type"] == "rateLimit"
    house.now += 3600
    assert "type" not in sent(house, second)
    monkeypatch.undo()
    large = house.deliver(asking(message_id="3@x", body="x" * 2000))
    method = house.engine.methods["MDN/send"]
    answer = partial(mdnsend.send_mdns, senders=_senders(), max_message_size=1500)
    house.engine.methods["MDN/send"] = replace(method, handler=answer)
    error = sent(house, large, includeOriginalMessage=True)
    assert (error["type"], error["maxSize"]) == ("tooLarge", 1500)
    house.engine.limits = replace(Limits(), max_objects_in_set=1)
    assert send(house, a=mdn(large), b=mdn(large))[0][1]["type"] == "requestTooLarge"


def test_originals_have_room_for_so_much(house):
    """MDNs that give large messages back wait in memory for the writer: a request has only so much of that."""
    first, second = (house.deliver(asking(message_id=f"{one}@x", body="x" * 5000)) for one in "12")
    house.engine.limits = replace(Limits(), max_size_upload=4000)

    ((_, answer), *_) = send(
        house, **{one: mdn(one_email, includeOriginalMessage=True) for one, one_email in (("a", first), ("b", second))}
    )
    assert list(answer["sent"]) == ["a"]
    assert answer["notSent"]["b"]["type"] == "rateLimit"
    assert "type" not in sent(house, second, includeOriginalMessage=True)


def _senders():
    from minijmap.mail.addressing import Senders

    return Senders(Recipients({}))


def test_an_identity_for_a_domain(house):
    """Who the message was for is who sends the receipt; without such an address nobody is."""
    from minijmap.config import Settings
    from minijmap.jmap.engine import Engine
    from minijmap.server import families

    settings = Settings(aliases={"*@example.org": ALICE})
    house.engine = Engine(house.database, families(settings), clock=lambda: house.now)
    created = house.call("Identity/set", {"create": {"k": {"name": "All", "email": "*@example.org"}}})["created"]["k"]
    theirs = house.deliver(asking(to="someone@example.net, Sales <sales@example.org>"))
    (_, answer), _ = send(house, identity=created["id"], k=mdn(theirs))

    assert answer["sent"]["k"]["finalRecipient"] == "rfc822; sales@example.org"
    assert b"\r\nFrom: All <sales@example.org>\r\n" in queued(house)[0][2]
    ((_, answer),) = send(house, identity=created["id"], k=mdn(house.deliver(asking(message_id="2@x"))))
    assert answer["notSent"]["k"]["type"] == "forbiddenFrom"


def test_a_creation_id_for_the_email(house):
    """`forEmailId` may be that of an Email imported in the same request."""
    blob = house.call("Email/get", {"ids": [house.deliver(asking())], "properties": ["blobId"]})["list"][0]["blobId"]
    (found,) = house.call("Email/query", {})["ids"]
    house.call("Email/set", {"destroy": [found]})
    account = house.account()
    mailboxes = {house.mailbox("inbox"): True}
    answers = house.request(
        ["Email/import", {"accountId": account, "emails": {"m": {"blobId": blob, "mailboxIds": mailboxes}}}, "0"],
        [
            "MDN/send",
            {
                "accountId": account,
                "identityId": "i1",
                "send": {"k": mdn("#m")},
                "onSuccessUpdateEmail": {"#k": SETS},
            },
            "1",
        ],
        using=(CORE, MAIL, MDN),
    )

    assert answers[1][1]["sent"]["k"]["forEmailId"] == answers[0][1]["created"]["m"]["id"]
    assert [name for name, _, _ in answers] == ["Email/import", "MDN/send", "Email/set"]


def test_there_and_back(house):
    """Alice asks, Bob confirms: her submission shows it, and MDN/parse tells of her message (RFC 8621 §7)."""
    delivery = Delivery(house.database, Recipients({}), "mail.example.com", lambda: house.now)
    draft = house.deliver(asking(sender=ALICE, to=BOB, asks=(ALICE,)))
    wanted = {"k": {"emailId": draft, "identityId": "i1"}}
    submission = house.call("EmailSubmission/set", {"create": wanted})["created"]["k"]["id"]
    delivery.run_due()
    (theirs,) = house.call("Email/query", {}, BOB)["ids"]
    (_, answer), _ = send(house, user=BOB, identity="i2", k=mdn(theirs, disposition=AUTOMATIC))
    assert answer["notSent"] is None
    delivery.run_due()

    (shown,) = house.call("EmailSubmission/get", {"ids": [submission]})["list"]
    assert shown["deliveryStatus"][BOB]["displayed"] == "yes"
    ((_, parsed, _),) = house.request(
        ["MDN/parse", {"accountId": house.account(), "blobIds": shown["mdnBlobIds"]}, "0"], using=(CORE, MAIL, MDN)
    )
    (found,) = parsed["parsed"].values()
    assert found["forEmailId"] == draft
    assert (found["finalRecipient"], found["disposition"]) == ("rfc822; bob@example.com", AUTOMATIC)
    assert queued(house) == []


def test_the_worker_is_woken(house):
    """The commit of an MDN has the queue looked into: without an EmailSubmission nothing else tells of it."""
    delivery = Delivery(house.database, Recipients({}), "mail.example.com", lambda: house.now)
    original = house.deliver(asking())
    house.database.on_commit = delivery.hear
    sent(house, original)

    assert delivery._wake.is_set()
