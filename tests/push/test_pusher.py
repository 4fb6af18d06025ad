"""The sender against a push service that behaves in every way: what arrives, what is tried again, what is dropped."""

import json
import ssl

import trustme

from minijmap.jmap import dates
from minijmap.push import pusher as pushing
from minijmap.push import subscriptions
from minijmap.push.compose import STATES_TTL
from minijmap.store import accounts
from tests.push.sink import HANG, Device, Sink, drip, status
from tests.push.yard import ALICE, BOB, Yard

HOUR, DAY = 3600, 24 * 3600
FAIL = status(500)


def test_the_code_comes_at_once_and_nothing_else_before_it_is_given_back(yard, sink):
    """RFC 8620 §7.2: the first push is the PushVerification; changes wait for the code, and are not lost."""
    which = yard.create(sink.url())
    (push,) = sink.wait(1)
    assert push.json() == {
        "@type": "PushVerification",
        "pushSubscriptionId": which,
        "verificationCode": yard.row(which)["code"],
    }
    assert push.headers["urgency"] == "high"
    yard.deliver()
    yard.pass_time(HOUR)
    # Another's push comes, so that this one's would have come.
    yard.subscribe(sink, "/other")
    assert len(sink.to("/push")) == 1
    yard.verify(sink, which)
    change = sink.wait(2)[1].json()
    assert change["@type"] == "StateChange"
    assert change["changed"]["a1"]["Email"] == yard.state("Email")


def test_a_change_is_pushed_with_the_states_that_get_gives(yard, sink):
    """RFC 8620 §7.1: every type that changed, none that did not, each with the state of its /get."""
    yard.subscribe(sink)
    yard.deliver()
    change = sink.wait(2)[1].json()
    types = change["changed"].pop("a1")
    assert change == {"@type": "StateChange", "changed": {}}
    assert types.keys() >= {"Email", "EmailDelivery", "Mailbox", "Thread"}
    assert "Identity" not in types
    assert types.pop("EmailDelivery")
    assert types == {name: yard.state(name) for name in types}
    yard.pass_time(10)
    mailbox = yard.house.call("Mailbox/set", {"create": {"a": {"name": "More"}}})
    types = sink.wait(3)[2].json()["changed"]["a1"]
    assert types["Mailbox"] == mailbox["newState"]
    assert "Email" not in types


def test_the_header_fields_of_a_push(yard, sink, device):
    """RFC 8620 §7.2, RFC 8030 §5: content type, TTL, Urgency, Topic; RFC 8292: who sends."""
    yard.subscribe(sink, device=device, expires="2026-01-03T00:00:00Z")
    yard.deliver()
    verification, change = sink.wait(2)
    for push in (verification, change):
        claims, key = push.claims()
        assert claims["aud"] == sink.url("")
        assert yard.house.now < claims["exp"] <= yard.house.now + DAY
        assert key == yard.parts.announced.key.text
        assert push.json(device)
    assert "topic" not in verification.headers
    assert len(change.headers["topic"]) == 32
    # RFC 8620 §7.2: nothing is to reach the device after the end of its subscription.
    assert int(change.headers["ttl"]) == 2 * DAY < STATES_TTL
    assert change.headers["urgency"] == "normal"


def test_a_topic_is_shared_by_changes_that_replace_each_other(yard, sink):
    """RFC 8030 §5.4: the same types, the same topic; other types, or another subscription, another one."""
    yard.subscribe(sink, types=["Email", "Mailbox"])
    yard.subscribe(sink, "/other", types=["Email", "Mailbox"])
    topics = []
    for number, act in enumerate(
        [yard.deliver, yard.deliver, lambda: yard.house.call("Mailbox/set", {"create": {"a": {"name": "B"}}})]
    ):
        act()
        topics.append(sink.wait(number + 2)[-1].headers["topic"])
        yard.pass_time(100)
    assert topics[0] == topics[1] != topics[2]
    assert sink.wait(2, "/other")[1].headers["topic"] != topics[0]


def test_only_the_types_that_were_asked_for(yard, sink):
    """RFC 8620 §7.2, types: others are neither pushed nor named; with none nothing is pushed."""
    yard.subscribe(sink, types=["Thread", "EmailDelivery", "Todo"])
    yard.subscribe(sink, "/none", types=[])
    yard.subscribe(sink, "/all")
    yard.house.call("Mailbox/set", {"create": {"a": {"name": "B"}}})
    sink.wait(2, "/all")
    yard.pass_time(10)
    yard.deliver()
    assert set(sink.wait(2)[1].json()["changed"]["a1"]) == {"Thread", "EmailDelivery"}
    sink.wait(3, "/all")
    assert len(sink.to("/none")) == 1


def test_types_asked_for_later_begin_with_their_next_change(yard, sink):
    """What had changed before was not asked for."""
    which = yard.subscribe(sink, types=["Mailbox"])
    yard.deliver()
    sink.wait(2)
    yard.call("PushSubscription/set", {"update": {which: {"types": ["Mailbox", "Thread"]}}})
    yard.pass_time(10)
    yard.house.call("Mailbox/set", {"create": {"a": {"name": "B"}}})
    assert set(sink.wait(3)[2].json()["changed"]["a1"]) == {"Mailbox"}
    yard.pass_time(10)
    yard.deliver()
    assert set(sink.wait(4)[3].json()["changed"]["a1"]) == {"Mailbox", "Thread"}


def test_others_hear_nothing(yard, sink):
    """Bob's phone is not told of Alice's mail."""
    which = yard.create(sink.url("/bob"), BOB)
    sink.wait(1, "/bob")
    yard.call("PushSubscription/set", {"update": {which: {"verificationCode": yard.row(which)["code"]}}}, BOB)
    yard.subscribe(sink)
    yard.deliver()
    sink.wait(2)
    yard.pass_time(10)
    yard.deliver(user=BOB)
    assert list(sink.wait(2, "/bob")[1].json()["changed"]) == [yard.house.account(BOB)]
    assert len(sink.to("/bob")) == 2


def test_changes_are_coalesced(yard, sink):
    """RFC 8620 §7.2: whatever changes while a push is under way, or soon after it, is one push."""
    yard.subscribe(sink)
    sink.answers["/push"] = [drip(b"HTTP/1.1 201 C\r\n\r\n", 0.02), status(201)]
    for _ in range(20):
        yard.deliver()
    sink.wait(2)
    yard.deliver()
    yard.pass_time(2)
    last = sink.wait(3)[2].json()
    assert last["changed"]["a1"]["Email"] == yard.state("Email")
    assert len(sink.pushes) == 3


def test_an_account_that_never_rests_is_pushed_less_and_less_often(yard, sink):
    """The gap between two pushes grows while changes keep waiting for its end, and is short again after a rest."""
    which = yard.subscribe(sink)

    def gap():
        yard.rest()
        return yard.row(which)["next_attempt"] / 1000 - yard.house.now

    yard.deliver()
    sink.wait(2)
    gaps = [gap()]
    for number in range(6):
        yard.deliver()  # has to wait
        yard.pass_time(gaps[-1])
        sink.wait(3 + number)
        gaps.append(gap())
    assert gaps == [1, 2, 4, 8, 16, 16, 16]
    yard.pass_time(60)
    yard.deliver()
    sink.wait(9)
    assert gap() == 1


def test_an_expired_subscription_is_pushed_to_no_more(yard, sink):
    """RFC 8620 §7.2: after this time there MUST NOT be further requests."""
    yard.subscribe(sink, expires="2026-01-03T00:00:00Z")
    yard.pass_time(2 * DAY)
    yard.deliver()
    yard.subscribe(sink, "/other")
    assert len(sink.to("/push")) == 1


def test_a_destroyed_or_revoked_subscription_is_pushed_to_no_more(yard, sink):
    """By its client, or with the app password that made it."""
    which = yard.subscribe(sink)
    phone = yard.token()
    yard.create(sink.url("/phone"), credential=phone)
    sink.wait(1, "/phone")
    yard.call("PushSubscription/set", {"destroy": [which]})
    user = yard.house.users[ALICE]
    yard.house.database.write(lambda tx: accounts.revoke_token(tx, user, "phone"))
    yard.deliver()
    yard.subscribe(sink, "/other")
    assert len(sink.to("/push")) == len(sink.to("/phone")) == 1


def test_a_restart_loses_nothing(yard, sink):
    """What was not delivered is known by state: after the restart it is pushed, and what was is not."""
    yard.subscribe(sink)
    yard.deliver()
    sink.wait(2)
    yard.rest()
    yard.stop()
    yard.deliver()
    yard.start()
    yard.pass_time(10)
    assert sink.wait(3)[2].json()["changed"]["a1"]["Email"] == yard.state("Email")
    yard.rest()
    yard.stop()
    yard.start()
    yard.pass_time(10)
    yard.subscribe(sink, "/other")
    assert len(sink.to("/push")) == 3


def test_a_restart_in_the_middle_of_a_push_pushes_again(yard, sink):
    """A push that had no answer yet when the server ended counts as not delivered."""
    yard.subscribe(sink)
    sink.answers["/push"] = [HANG, status(201)]
    yard.deliver()
    sink.wait(2)
    yard.stop()
    yard.start()
    yard.pass_time(10)
    third = sink.wait(3)[2].json()
    assert third["changed"]["a1"]["Email"] == yard.state("Email")


def test_a_subscription_made_while_nobody_sends_is_verified_after_the_start(house, sink):
    """The code is not lost when the server ends right after the answer."""
    yard = Yard(house)
    which = yard.create(sink.url())
    yard.start()
    assert sink.wait(1)[0].json()["pushSubscriptionId"] == which
    yard.stop()


def test_a_push_service_that_hangs_delays_nobody(open_yard, sink):
    """More hanging subscriptions than one host is given at a time, and another host's is pushed to at once."""
    yard = open_yard(seconds=60.0)
    hanging = [yard.subscribe(sink, f"/h{number}") for number in range(pushing.MOST_TO_HOST + 4)]
    for number in range(len(hanging)):
        sink.answers[f"/h{number}"] = [HANG]
    with Sink() as other:
        yard.subscribe(other, "/quick")
        yard.deliver()
        other.wait(2, "/quick", seconds=20)
    came = sum(len(sink.to(f"/h{number}")) - 1 for number in range(len(hanging)))
    assert came <= pushing.MOST_TO_HOST


def test_one_user_s_push_services_delay_no_other_user(open_yard, sink):
    """However many hosts of Alice's hang, each by a name of its own, Bob's push is on its way at once."""
    yard = open_yard(seconds=60.0)
    yard.stop()
    number = pushing.MOST_UNDER_WAY + 4
    given = {
        f"c{one}": {"deviceClientId": "x", "url": sink.url("/hanging", host=f"h{one}.example")} for one in range(number)
    }
    assert len(yard.call("PushSubscription/set", {"create": given})["created"]) == number
    yard.create(sink.url("/bob"), BOB)
    yard.house.database.write(lambda tx: tx.execute("UPDATE push_subscription SET phase = 'verified'"))
    sink.answers["/hanging"] = [HANG]
    yard.start()
    yard.deliver()
    sink.wait(pushing.MOST_OF_USER, "/hanging")
    yard.deliver(user=BOB)
    sink.wait(1, "/bob", seconds=20)
    assert len(sink.to("/hanging")) == pushing.MOST_OF_USER


def test_when_a_host_is_quick_again_all_of_its_subscriptions_are_served(yard, sink):
    """More than may be under way at a time: each has its turn."""
    paths = [f"/s{number}" for number in range(3 * pushing.MOST_TO_HOST)]
    for path in paths:
        yard.subscribe(sink, path)
    yard.deliver()
    for path in paths:
        sink.wait(2, path)


def test_a_name_is_looked_up_for_each_push(open_yard, sink):
    """The address counts at the time of the connection: a name that has become private is not connected to."""
    address = ["127.0.0.1"]
    yard = open_yard(look_up=lambda _: address)
    which = yard.create(sink.url(host="push.example"))
    yard.verify(sink, which)
    address[0] = "127.0.0.9"  # nobody listens there
    yard.deliver()
    yard.settled(which, "failures", 1)
    address[0] = "127.0.0.1"
    yard.pass_time(10)
    sink.wait(2)
    assert yard.asked == ["push.example"] * 3


def test_a_private_address_fails_like_any_that_can_t_be_reached(open_yard, sink):
    """No octet is sent, the verification is not repeated, and a verified subscription is dropped after a day."""
    yard = open_yard(private=False, look_up=lambda _: ["10.0.0.1", "127.0.0.1", "::ffff:127.0.0.1"])
    which = yard.create(f"https://push.example:{sink.port}/push")
    yard.settled(which, "phase", "asked")
    yard.call("PushSubscription/set", {"update": {which: {"verificationCode": yard.row(which)["code"]}}})
    yard.deliver()
    yard.settled(which, "failures", 1)
    yard.pass_time(DAY)
    yard.settled(which, None, None)
    assert sink.pushes == []


def test_https_to_a_public_name(open_yard):
    """The whole way: a name, its address, TLS with the name, encryption."""
    authority, device = trustme.CA(), Device()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("push.example").configure_cert(served)
    yard = open_yard(context=lambda: trusting, contact="mailto:postmaster@example.com")
    with Sink(served, "push.example") as sink:
        yard.subscribe(sink, device=device)
        yard.deliver()
        change = sink.wait(2)[1]
        assert change.json(device)["@type"] == "StateChange"
        claims, _ = change.claims()
        assert claims["aud"] == sink.url("")
        assert claims["sub"] == "mailto:postmaster@example.com"


def test_after_a_new_vapid_key_old_subscriptions_are_signed_for_by_the_old_one(yard, sink):
    """RFC 9749 §4, §5: until they end; new ones by the new key, which the server notices by itself."""
    yard.subscribe(sink)
    yard.house.database.write(subscriptions.rotate)
    yard.pusher.look()
    yard.subscribe(sink, "/new")
    yard.deliver()
    old = {push.claims()[1] for push in sink.wait(2)}
    new = {push.claims()[1] for push in sink.wait(2, "/new")}
    assert len(old) == len(new) == 1
    assert old != new == {yard.parts.announced.key.text}


def test_what_can_no_longer_be_served_is_dropped(yard, sink):
    """A URL that was allowed once, when `push_to_private_networks` was on."""
    which = yard.subscribe(sink)
    yard.stop()
    yard.parts.private = False
    yard.start()
    yard.deliver()
    yard.settled(which, None, None)
    assert len(sink.pushes) == 1


def test_hundreds_of_subscriptions_are_served(house, sink, monkeypatch):
    """All of a user's three hundred: each gets its push; in memory there are as many messages as are under way."""
    from minijmap.push import subscription

    monkeypatch.setattr(subscription, "MOST_OF_CREDENTIAL", 300)
    monkeypatch.setattr(subscription, "MOST_CREATED", 300)
    yard = Yard(house)
    given = {f"c{number}": {"deviceClientId": "x", "url": sink.url(f"/{number}")} for number in range(300)}
    answer = yard.call("PushSubscription/set", {"create": given})
    assert len(answer["created"]) == 300
    house.database.write(lambda tx: tx.execute("UPDATE push_subscription SET phase = 'verified'"))
    yard.deliver()
    most = []
    yard.start()
    launch = yard.pusher._launch
    yard.pusher._launch = lambda *flight: (launch(*flight), most.append(len(yard.pusher._under_way)))
    for number in range(300):
        sink.wait(1, f"/{number}", seconds=30)
    yard.stop()
    assert max(most) <= pushing.MOST_UNDER_WAY


def test_a_subscription_in_disorder_harms_no_other(yard, sink, device, caplog):
    """A filter that is no longer understood, say: its subscription waits, the others are served."""
    config = {"a1": {"properties": ["id"]}}
    which = yard.subscribe(sink, "/odd", device, types=[], emailPush=config)
    yard.subscribe(sink)
    broken = """UPDATE push_subscription SET doc = json_set(doc, '$.emailPush.a1.filter', json('{"old": 1}')) WHERE key = ?"""
    yard.house.database.write(lambda tx: tx.execute(broken, (which[1:],)))
    yard.deliver()
    sink.wait(2)
    yard.rest()
    assert len(sink.to("/odd")) == 1
    assert f"to {which} could not" in caplog.text


def test_a_failing_store_does_not_end_the_sender(yard, sink, caplog):
    """What can't be read now is read later; a change is not forgotten."""
    yard.subscribe(sink)
    gather = yard.pusher._gather
    failed = []

    def broken(now):
        if not failed:
            failed.append(now)
            yard.pusher.wake()
            raise OSError("disk")
        gather(now)

    yard.pusher._gather = broken
    yard.deliver()
    sink.wait(2)
    assert failed
    assert "Pushing has failed" in caplog.text


def test_the_log_does_not_tell_urls(yard, sink, caplog):
    """A push URL is a secret: whoever knows it may push."""
    caplog.set_level("DEBUG", "minijmap")
    which = yard.subscribe(sink, "/very-secret")
    sink.answers["/very-secret"] = [FAIL, status(410)]
    yard.deliver()
    yard.settled(which, "failures", 1)
    yard.pass_time(10)
    yard.settled(which, None, None)
    assert which in caplog.text
    assert "very-secret" not in caplog.text


def test_times_are_told_as_utc_dates(yard):
    """The end of a subscription in the store is the one that was told."""
    which = yard.create("http://127.0.0.1:9/x", expires="2026-01-03T00:00:00Z")
    assert dates.format_utc_date(yard.row(which)["expires"]) == "2026-01-03T00:00:00Z"
    assert json.loads(yard.row(which)["pushed"])["emails"] == {}
