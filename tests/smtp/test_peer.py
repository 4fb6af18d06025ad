"""Sessions with other servers: what TLS is good enough, and signing in."""

from datetime import UTC, datetime

import pytest

from minijmap.setting_kinds import Relay
from tests.smtp.posting import Names, Post, authority, message, relay_settings, submit
from tests.smtp.sink import EXTENSIONS

CAROL = "carol@example.net"


def test_tls_with_whatever_certificate(house, serving, tmp_path):
    """Opportunistic: better than none."""
    _, context = authority(tmp_path, "other.example")
    sink = serving(context=context)
    post = Post(house, Names(), relay_settings(sink))
    submit(house, message())
    post.run()

    assert sink.taken[0].secured
    assert sink.commands.count("EHLO mail.example.com") == 2


def test_broken_tls_is_no_reason_not_to_send(house, serving):
    """Opportunistic: in clear, over a new connection, if TLS was offered and refused."""
    sink = serving(extensions=(*EXTENSIONS, "STARTTLS"), answers={"starttls": "454 4.7.0 Not now"})
    post = Post(house, Names(), relay_settings(sink))
    submit(house, message())
    post.run()

    assert (len(sink.taken), sink.taken[0].secured, sink.connections) == (1, False, 2)


def test_required_tls(house, serving, tmp_path):
    """Not in clear, not with a certificate for another name; with the right one it goes."""
    cafile, good = authority(tmp_path, "127.0.0.1")
    _, bad = authority(tmp_path / "..", "127.0.0.1")
    submission = submit(house, message())
    for context, reason in ((None, "offers no TLS"), (bad, "certificate")):
        sink = serving(context=context)
        post = Post(house, Names(), relay_settings(sink, relay_tls="required"), cafile)
        post.run()
        assert sink.taken == []
        undo, status = post.status(submission)
        assert (undo, status["delivered"]) == ("pending", "queued")
        assert status["smtpReply"].startswith("454 4.7.5 TLS is required")
        assert reason in status["smtpReply"]
        house.now += 3600
    sink = serving(context=good)
    Post(house, Names(), relay_settings(sink, relay_tls="required"), cafile).run()

    assert sink.taken[0].secured


@pytest.mark.parametrize(("relay_tls", "taken"), [("required", 0), ("opportunistic", 1)])
def test_an_expired_certificate(house, serving, tmp_path, relay_tls, taken):
    """Not good enough where TLS is required: the message waits, and its status says why. Else better than none."""
    cafile, context = authority(tmp_path, "127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    sink = serving(context=context)
    submission = submit(house, message())
    post = Post(house, Names(), relay_settings(sink, relay_tls=relay_tls), cafile)
    post.run()

    assert len(sink.taken) == taken
    if not taken:
        _, status = post.status(submission)
        assert status["delivered"] == "queued"
        assert status["smtpReply"].startswith("454 4.7.5 TLS is required")
        assert "expired" in status["smtpReply"]


@pytest.mark.parametrize("ways", ["AUTH PLAIN LOGIN", "AUTH LOGIN"])
def test_the_relay_signs_us_in(house, serving, tmp_path, ways):
    """By TLS from the first octet (smtps) here."""
    _, context = authority(tmp_path, "127.0.0.1")
    sink = serving(context=context, implicit=True, extensions=(*EXTENSIONS, ways))
    relay = Relay("127.0.0.1", sink.port, "alice@relay", "pass:word ü", implicit=True)
    post = Post(house, Names(), relay_settings(sink, relay=relay))
    submit(house, message())
    post.run()

    assert (sink.taken[0].login, sink.taken[0].secured) == (("alice@relay", "pass:word ü"), True)


def test_a_wrong_password_does_not_return_all_mail(house, serving):
    """It may be put right; the password is in no reply."""
    sink = serving(extensions=("AUTH PLAIN",), answers={"auth": "535 5.7.8 No"})
    post = Post(
        house, Names(), relay_settings(sink, relay=Relay("127.0.0.1", sink.port, "u", "secret", implicit=False))
    )
    submission = submit(house, message())
    post.run()

    reply = "454 4.7.8 127.0.0.1 does not let us in: 535 5.7.8 No"
    assert post.waiting() == [(CAROL, 60, 1, reply)]
    assert post.status(submission) == ("pending", {"smtpReply": reply, "delivered": "queued", "displayed": "unknown"})


def test_a_password_does_not_go_in_clear(house, serving):
    """Elsewhere than on this machine, TLS is required with a password unless the user says none."""
    sink = serving(extensions=("AUTH PLAIN",))
    relay = Relay("relay.example", sink.port, "u", "secret", implicit=False)
    post = Post(house, Names(hosts={"relay.example": ["127.0.0.1"]}), relay_settings(sink, relay=relay))
    submit(house, message())
    post.run()
    assert sink.commands == ["EHLO mail.example.com"]
    house.now += 60
    post.settings = relay_settings(sink, relay=relay, relay_tls="none")
    post.run()

    assert sink.taken[0].login == ("u", "secret")


def test_a_message_that_requires_tls_all_the_way(house, serving, tmp_path):
    """Only to a server with a good certificate that promises to do the same (RFC 8689 §4.2.1)."""
    cafile, context = authority(tmp_path, "127.0.0.1")
    without = serving(context=context)
    post = Post(house, Names(), relay_settings(without), cafile)
    submission = submit(house, message(), CAROL, REQUIRETLS=None)
    post.run()
    assert post.status(submission)[1]["smtpReply"].startswith("550 5.7.30 REQUIRETLS support required")
    assert without.taken == []

    sink = serving(context=context, extensions=(*EXTENSIONS, "REQUIRETLS"))
    post = Post(house, Names(), relay_settings(sink), cafile)
    submit(house, message(), CAROL, REQUIRETLS=None)
    post.run()
    assert "REQUIRETLS" in sink.taken[0].mail.split()
