"""EmailPush: a phone shows a notification without a second request (draft-ietf-jmap-emailpush-03)."""

import json

import orjson
import pytest

from minijmap.jmap.session import CORE, login_of
from minijmap.mail import counts, emailpush, ingest
from minijmap.push.webpush import MOST_PLAINTEXT
from tests.push.sink import status
from tests.push.yard import ALICE, MESSAGE

DAY = 24 * 3600


def pushes(sink, device, count, path="/push"):
    """Wait for so many EmailPush objects; return them all."""

    def found():
        return [one for push in sink.to(path) if (one := push.json(device))["@type"] == "EmailPush"]

    sink.wait(count + 1, path)
    return found()


def subscribe(yard, sink, device, path="/push", **config):
    """Subscribe to mail alone; return the subscription's id."""
    config = {"properties": ["from", "subject", "id"], **config}
    return yard.subscribe(sink, path, device, types=[], emailPush={"a1": config})


def test_the_example_of_the_draft(yard, sink, device):
    """Draft §5: mail in the Inbox, or with a keyword; its properties come in the order asked for."""
    inbox = yard.house.mailbox("inbox")
    subscribe(
        yard,
        sink,
        device,
        filter={"operator": "OR", "conditions": [{"inMailbox": inbox}, {"hasKeyword": "$notify"}]},
    )
    email = yard.deliver(b"Surprise birthday party for Jane tonight")
    (push,) = pushes(sink, device, 1)
    assert push == {
        "@type": "EmailPush",
        "accountId": "a1",
        "emails": [
            {
                "from": [{"name": "Carol", "email": "carol@example.org"}],
                "subject": "Surprise birthday party for Jane tonight",
                "id": email,
            }
        ],
        "state": yard.state("Email"),
    }
    assert list(push["emails"][0]) == ["from", "subject", "id"]


def test_only_the_properties_that_were_asked_for(yard, sink, device):
    """Draft §3: `id` is one like the others; header forms and body parts are what Email/get gives."""
    names = ["preview", "header:Subject:asText", "mailboxIds", "textBody", "receivedAt"]
    subscribe(yard, sink, device, properties=names)
    subscribe(yard, sink, device, "/none", properties=[])
    email = yard.deliver(b"Hello")
    (shown,) = pushes(sink, device, 1)[0]["emails"]
    assert list(shown) == names
    (expected,) = yard.house.call("Email/get", {"ids": [email], "properties": names})["list"]
    assert {**shown, "id": email} == expected
    assert pushes(sink, device, 1, "/none")[0]["emails"] == [{}]


def test_the_filter_decides(yard, sink, device):
    """Draft §4: a message that it does not match is not pushed, whatever else it is."""
    subscribe(yard, sink, device, filter={"subject": "important"})
    yard.deliver(b"Nothing of note")
    wanted = yard.deliver(b"Something important")
    yard.deliver(b"More of the same")
    yard.rest()
    (push,) = pushes(sink, device, 1)
    assert [one["id"] for one in push["emails"]] == [wanted]


def test_mail_that_matches_only_later_is_no_news(yard, sink, device):
    """Draft §4: “when a new message arrives”: not when its reader moves it, or flags it, even after a restart."""
    house = yard.house
    archive = house.mailbox("archive")
    subscribe(yard, sink, device, filter={"inMailbox": archive})
    subscribe(yard, sink, device, "/flagged", filter={"hasKeyword": "$flagged"})
    email = yard.deliver(b"Nothing of note")
    yard.rest()
    house.call("Email/set", {"update": {email: {"mailboxIds": {archive: True}}}})
    yard.rest()
    yard.stop()
    house.call("Email/set", {"update": {email: {"keywords/$flagged": True}}})
    yard.start()
    yard.rest()
    assert len(sink.pushes) == 2


def test_only_what_arrives_is_told(yard, sink, device):
    """Drafts, imports and copies of one's own are no news; nor is mail that was there before."""
    house = yard.house
    yard.deliver(b"Before")
    subscribe(yard, sink, device)
    inbox = house.mailbox("inbox")
    house.call(
        "Email/set", {"create": {"d": {"mailboxIds": {inbox: True}, "subject": "Draft", "keywords": {"$draft": True}}}}
    )

    def copy(tx):
        parsed = ingest.parse(MESSAGE % b"Copy")
        added = ingest.add(tx, 1, parsed, mailboxes=[int(inbox[1:])], keywords=[], received_at=0)
        counts.recount(tx, 1, [added.thread])

    house.database.write(copy)
    email = yard.deliver(b"News")
    yard.rest()
    (push,) = pushes(sink, device, 1)
    assert [one["id"] for one in push["emails"]] == [email]
    assert len(sink.pushes) == 2


def test_mail_that_comes_together_is_told_together(yard, sink, device):
    """Draft §3: in one push, as many as fit, in the order in which they came, and none twice."""
    subscribe(yard, sink, device)
    yard.stop()
    emails = [yard.deliver(b"Number %d" % number) for number in range(30)]
    yard.start()
    told = pushes(sink, device, 2)
    assert [one["id"] for push in told for one in push["emails"]] == emails
    assert [len(push["emails"]) for push in told] == [emailpush.MOST_EMAILS, 10]
    yard.rest()
    assert len(sink.pushes) == 3


def test_what_does_not_fit_is_in_the_next_push(yard, sink, device):
    """Draft §3: the server takes care not to exceed the size of a push; a second Email is whole or not there."""
    subscribe(yard, sink, device)
    yard.stop()
    emails = [yard.deliver(b"x" * 1500) for _ in range(5)]
    yard.start()
    told = pushes(sink, device, 3)
    assert [one["id"] for push in told for one in push["emails"]] == emails
    assert [len(push["emails"]) for push in told] == [2, 2, 1]
    assert all(len(one) == 3 for push in told for one in push["emails"])


def test_a_property_that_does_not_fit_is_left_out(yard, sink, device):
    """Draft §3: properties are added in the client's order, and omitted if they exceed the limit."""
    subscribe(yard, sink, device, properties=["id", "subject", "from", "preview"])
    email = yard.deliver(b"s" * 10_000)
    (push,) = pushes(sink, device, 1)
    (shown,) = push["emails"]
    assert list(shown) == ["id", "from", "preview"]
    assert shown["id"] == email
    assert len(sink.pushes[-1].body) <= 4096


@pytest.mark.parametrize("size", [*range(3800, 3960, 7), MOST_PLAINTEXT])
def test_a_push_is_never_too_large(house, size):
    """Around the limit, octet by octet: what is made has the size that was asked for, or less."""
    source = emailpush.EmailPushes()
    house.deliver(MESSAGE % (b"s" * size))
    house.deliver(MESSAGE % b"second")
    login = house.users[ALICE]
    (access,) = login_of(login).accounts
    config = {"filter": None, "properties": ["id", "subject", "from"]}
    with house.database.read() as reader:
        push, upto = source.next(reader, access, 0, config, MOST_PLAINTEXT)
        assert len(orjson.dumps(push)) <= MOST_PLAINTEXT
        assert upto in (1, 2)
        assert source.next(reader, access, 2, config, MOST_PLAINTEXT) == (None, 2)


def test_urgency_and_order(yard, sink, device):
    """Draft §4, urgency; the notification comes before the StateChange, and has no topic that would replace it."""
    config = {"properties": ["id"], "urgency": "high"}
    yard.subscribe(sink, "/push", device, types=["Email"], emailPush={"a1": config})
    yard.deliver()
    _, first, second = sink.wait(3)
    assert [one.json(device)["@type"] for one in (first, second)] == ["EmailPush", "StateChange"]
    assert first.headers["urgency"] == "high"
    assert "topic" not in first.headers


def test_nothing_is_told_twice_after_a_restart(yard, sink, device):
    """What has been pushed is known; what arrived meanwhile is pushed; what is old by then is not."""
    subscribe(yard, sink, device)
    first = yard.deliver()
    pushes(sink, device, 1)
    yard.rest()
    yard.stop()
    second = yard.deliver(b"Again")
    yard.start()
    told = pushes(sink, device, 2)
    assert [one["id"] for push in told for one in push["emails"]] == [first, second]
    yard.rest()
    yard.stop()
    yard.deliver(b"Old")
    yard.house.now += 3 * DAY
    yard.house.database.write(emailpush.forget_old)
    yard.start()
    third = yard.deliver(b"New")
    assert [one["id"] for one in pushes(sink, device, 3)[2]["emails"]] == [third]


def test_a_failed_push_is_tried_again_with_what_has_come_meanwhile(yard, sink, device):
    """One push with both."""
    which = subscribe(yard, sink, device)
    sink.answers["/push"] = [status(500), status(201)]
    emails = [yard.deliver(b"One")]
    yard.until(lambda: yard.row(which)["failures"] == 1)
    emails.append(yard.deliver(b"Two"))
    yard.pass_time(5)
    assert [one["id"] for one in pushes(sink, device, 2)[1]["emails"]] == emails


def test_email_push_asked_for_later_begins_then(yard, sink, device):
    """An account that is added hears of what arrives from then on; a new filter changes nothing about what was told."""
    which = yard.subscribe(sink, "/push", device, types=[])
    yard.deliver(b"Before")
    update = {"emailPush": {"a1": {"properties": ["id"]}}}
    yard.call("PushSubscription/set", {"update": {which: update}})
    first = yard.deliver(b"After")
    assert pushes(sink, device, 1)[0]["emails"] == [{"id": first}]
    yard.rest()
    yard.call("PushSubscription/set", {"update": {which: {"emailPush/a1/filter": {"subject": "x"}}}})
    yard.call("PushSubscription/set", {"update": {which: {"emailPush/a1/filter": None}}})
    second = yard.deliver(b"Then")
    assert pushes(sink, device, 2)[1]["emails"] == [{"id": second}]


def test_a_mailbox_of_the_same_request_may_be_named(yard, sink, device):
    """`#` and a creation id in a filter, as everywhere; it is kept as the id."""
    config = {"filter": {"inMailbox": "#box"}, "properties": ["id"]}
    given = {"deviceClientId": "x", "url": sink.url(), "keys": device.keys, "emailPush": {"a1": config}}
    calls = [
        ["Mailbox/set", {"accountId": "a1", "create": {"box": {"name": "Box"}}}, "a"],
        ["PushSubscription/set", {"create": {"s": given}}, "b"],
    ]
    login = login_of(yard.house.users[ALICE], yard.house.credentials[ALICE])
    body = json.dumps({"using": [CORE], "methodCalls": calls}).encode()
    (_, boxes, _), (_, answer, _) = json.loads(yard.house.engine.handle(login, body))["methodResponses"]
    assert answer["created"], answer
    (shown,) = yard.call("PushSubscription/get", {"properties": ["emailPush"]})["list"]
    assert shown["emailPush"]["a1"]["filter"] == {"inMailbox": boxes["created"]["box"]["id"]}


def test_an_email_that_is_gone_again_is_not_told(yard, sink, device):
    """A filter sees Emails as they are now: what was read away or destroyed meanwhile needs no notification."""
    subscribe(yard, sink, device, filter={"notKeyword": "$seen"})
    yard.stop()
    gone, seen, left = (yard.deliver(b"%d" % number) for number in range(3))
    yard.house.call("Email/set", {"destroy": [gone], "update": {seen: {"keywords/$seen": True}}})
    yard.start()
    (push,) = pushes(sink, device, 1)
    assert [one["id"] for one in push["emails"]] == [left]
