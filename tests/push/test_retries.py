"""What becomes of a push that was not taken: when it is tried again, and when its subscription is dropped."""

import pytest

from minijmap.push import pusher as pushing
from tests.push.sink import status

HOUR, DAY = 3600, 24 * 3600
FAIL = status(500)


def test_a_failure_is_tried_again_later_and_later(yard, sink):
    """From 5 s, doubled to an hour; when it succeeds at last, with the newest states, all is forgotten."""
    which = yard.subscribe(sink)
    sink.answers["/push"] = [FAIL]
    yard.deliver()
    waits = []
    for number in range(1, 13):
        sink.wait(1 + number)
        yard.settled(which, "failures", number)
        waits.append(yard.row(which)["next_attempt"] / 1000 - yard.house.now)
        yard.pass_time(waits[-1])
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    sink.wait(14)
    yard.settled(which, "failures", 13)
    sink.answers["/push"] = [status(201)]
    yard.deliver()
    yard.pass_time(3600)
    assert sink.wait(15)[14].json()["changed"]["a1"]["Email"] == yard.state("Email")
    yard.settled(which, "failures", 0)
    assert yard.row(which)["failing_since"] is None


def test_a_change_does_not_hasten_a_retry(yard, sink):
    """While a push service is left alone, it is left alone."""
    which = yard.subscribe(sink)
    sink.answers["/push"] = [FAIL]
    yard.deliver()
    sink.wait(2)
    yard.settled(which, "failures", 1)
    yard.deliver()
    yard.pass_time(4)
    yard.subscribe(sink, "/other")
    assert len(sink.to("/push")) == 2


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (status(429, "Retry-After: 300"), 300),
        (status(503, "Retry-After: 2"), 5),
        (status(429, "Retry-After: 99999999999999999999"), DAY),
        (status(503, "Retry-After: Thu, 01 Jan 2026 01:00:00 GMT"), HOUR),
        (status(503, "Retry-After: Thu, 01 Jan 1970 01:00:00 GMT"), 5),
        (status(429, "Retry-After: soon"), 5),
        (status(429, "Retry-After: -5"), 5),
        (status(429, "Retry-After: Thu, 99 Foo 2026"), 5),
        (status(301, "Location: /elsewhere"), 5),
        (status(307, "Location: /elsewhere"), 5),
        (status(400), 5),
        (status(403), 5),
        (b"nonsense\r\n\r\n", 5),
    ],
)
def test_what_an_answer_asks_for_is_respected(yard, sink, answer, seconds):
    """Retry-After in both forms and within reason; a redirect is not followed."""
    which = yard.subscribe(sink)
    sink.answers["/push"] = [answer]
    yard.deliver()
    sink.wait(2)
    yard.settled(which, "failures", 1)
    assert yard.row(which)["next_attempt"] / 1000 == yard.house.now + seconds
    assert sink.to("/elsewhere") == []


def test_a_push_service_that_has_had_too_much_gets_less(yard, sink):
    """RFC 8620 §7.2: after a 429 pushes are rarer, not just later."""
    which = yard.subscribe(sink)
    sink.answers["/push"] = [status(429), status(201)]
    yard.deliver()
    sink.wait(2)
    yard.settled(which, "failures", 1)
    yard.pass_time(5)
    sink.wait(3)
    yard.settled(which, "failures", 0)
    assert yard.row(which)["next_attempt"] / 1000 == yard.house.now + pushing.TOLD_TO_SLOW_DOWN / 1000


@pytest.mark.parametrize("code", [404, 410])
def test_a_subscription_that_is_gone_is_dropped(yard, sink, code):
    """RFC 8030 §7.3: the push service says that nobody is there; URL and keys are erased."""
    which = yard.subscribe(sink)
    sink.answers["/push"] = [status(code)]
    yard.deliver()
    sink.wait(2)
    yard.settled(which, None, None)
    yard.pass_time(DAY)
    assert yard.call("PushSubscription/get")["list"] == []


def test_a_day_of_failures_is_the_end(yard, sink):
    """Nobody is pushed to for ever who does not answer."""
    which = yard.subscribe(sink)
    sink.answers["/push"] = [FAIL]
    yard.deliver()
    sink.wait(2)
    yard.settled(which, "failures", 1)
    yard.pass_time(DAY - 1)
    sink.wait(3)
    yard.settled(which, "failures", 2)
    yard.pass_time(HOUR)
    sink.wait(4)
    yard.settled(which, None, None)


def test_a_verification_is_sent_once(yard, sink):
    """RFC 9749 §6: when it fails it is not sent again, and nothing else is sent; a 404 drops the subscription."""
    sink.answers["/push"] = [status(403)]
    sink.answers["/gone"] = [status(410)]
    which, gone = yard.create(sink.url()), yard.create(sink.url("/gone"))
    sink.wait(1)
    sink.wait(1, "/gone")
    yard.settled(gone, None, None)
    assert yard.row(which)["phase"] == "asked"
    yard.stop()
    yard.start()
    yard.pass_time(DAY)
    yard.subscribe(sink, "/other")
    assert len(sink.to("/push")) == 1
    # Whoever has got the code by some way may give it back all the same.
    yard.call("PushSubscription/set", {"update": {which: {"verificationCode": yard.row(which)["code"]}}})
    sink.answers["/push"] = [status(201)]
    yard.deliver()
    assert [push.json()["@type"] for push in sink.wait(2)] == ["PushVerification", "StateChange"]
