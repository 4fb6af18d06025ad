"""One message handed to one server: what is said, and what a message needs of a server."""

import pytest

from tests.smtp.posting import ALICE, Names, Post, message, relay_settings, submit
from tests.smtp.sink import EXTENSIONS

CAROL = "carol@example.net"


def test_a_message_leaves_by_the_relay(post, sink):
    """The conversation, word for word; RCPT's reply is the recipient's (RFC 8621 §7); the queue is empty then."""
    submission = submit(post.house, message("Bcc: dave@example.net"), CAROL)
    post.run()

    (taken,) = sink.taken
    size = len(taken.octets)
    assert sink.commands[0] == "EHLO mail.example.com"
    assert sink.commands[1].startswith(f"MAIL FROM:<{ALICE}> SIZE={size} ENVID=s1-")
    assert sink.commands[2:4] == [f"RCPT TO:<{CAROL}>", "DATA"]
    assert taken.octets.endswith(b"\r\n" + message())
    assert b"dave" not in taken.octets
    relayed = {"smtpReply": "250 2.1.5 Recipient ok", "delivered": "unknown", "displayed": "unknown"}
    assert post.status(submission) == ("final", relayed)
    assert post.waiting() == []


def test_recipients_of_a_message_share_a_transaction(post, sink):
    """One copy for all, whatever their domains, with a relay; those who live here are not among them."""
    submission = submit(post.house, message(), CAROL, "bob@example.com", "erin@example.org")
    post.run()

    assert [one.recipients for one in sink.taken] == [[CAROL, "erin@example.org"]]
    delivered = {one: status["delivered"] for one, status in post.submission(submission)["deliveryStatus"].items()}
    assert delivered == {CAROL: "unknown", "bob@example.com": "yes", "erin@example.org": "unknown"}


def test_a_session_is_used_again(post, sink):
    """Messages to the same server go over few connections."""
    for number in range(20):
        submit(post.house, message(subject=str(number)), CAROL)
    post.run()

    assert len(sink.taken) == 20
    assert sink.connections <= 4


def test_many_recipients_go_in_transactions_of_a_hundred(post, sink):
    """RFC 5321 §4.5.3.1.8; each of them once."""
    everybody = [f"r{number}@example.net" for number in range(250)]
    submit(post.house, message(), *everybody)
    post.run()

    assert sorted(len(one.rcpts) for one in sink.taken) == [50, 100, 100]
    assert sorted(address for one in sink.taken for address in one.recipients) == sorted(everybody)


def test_those_who_are_too_many_get_the_next_transaction(post, sink):
    """RFC 5321 §4.5.3.1.10: 452 (and 552) after others were accepted is no failure."""
    seen = []

    def limit(line):
        if "MAIL" in line:
            seen.clear()
            return None
        seen.append(line)
        return None if len(seen) <= 2 else ("452 4.5.3 Too many", "552 Too many recipients")[len(seen) % 2]

    sink.answers = {"rcpt": limit, "mail": limit}
    submit(post.house, message(), *(f"r{number}@example.net" for number in range(7)))
    post.run()

    assert [len(one.rcpts) for one in sink.taken] == [2, 2, 2, 1]
    assert post.waiting() == []


def test_parameters_are_passed_on(post, sink):
    """RET, ENVID, NOTIFY, ORCPT in xtext, BODY; what is about holding a message is ours alone (RFC 3461 §4)."""
    recipient = (CAROL, {"NOTIFY": "SUCCESS,DELAY", "orcpt": "rfc822;c+a=b@example.net"})
    submit(post.house, message(body="Grüße\r\n"), recipient, RET="HDRS", envid="my id+1", HOLDFOR="10")
    post.run()
    assert sink.taken == []
    post.house.now += 10
    post.run()

    (taken,) = sink.taken
    assert taken.mail.split()[3:] == ["BODY=8BITMIME", "RET=HDRS", "ENVID=my+20id+2B1"]
    assert taken.rcpts == [f"RCPT TO:<{CAROL}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c+2Ba+3Db@example.net"]


def test_an_old_server_gets_what_it_understands(house, serving):
    """HELO after a refused EHLO, no parameters, one command at a time."""
    sink = serving(extensions=(), answers={"ehlo": "502 What"})
    post = Post(house, Names(), relay_settings(sink))
    submit(house, message(), (CAROL, {"NOTIFY": "FAILURE"}), RET="FULL")
    post.run()

    assert sink.commands[:4] == [
        "EHLO mail.example.com",
        "HELO mail.example.com",
        f"MAIL FROM:<{ALICE}>",
        f"RCPT TO:<{CAROL}>",
    ]
    assert len(sink.taken) == 1


def test_dots_and_line_ends(post, sink):
    """Dots at the beginning of lines come through; bare CR and LF do not (RFC 5321 §2.3.8, §4.5.2)."""
    body = ".\r\n..two\r\nbare\nline\rends\n.\r\n.QUIT"
    submit(post.house, message(body=body), CAROL)
    post.run()

    (taken,) = sink.taken
    assert taken.octets.endswith(b"\r\n\r\n.\r\n..two\r\nbare\r\nline\r\nends\r\n.\r\n.QUIT\r\n")


@pytest.mark.parametrize(
    ("missing", "raw", "recipient", "parameters", "code"),
    [
        ("8BITMIME", message(body="Grüße"), CAROL, {}, "554 5.6.3"),
        ("SMTPUTF8", message("X-Note: Grüße"), CAROL, {}, "550 5.6.7"),
        ("SMTPUTF8", message(), "jürgen@example.net", {}, "553 5.6.7"),
        ("SIZE 1000000", message(body="x" * 2000), CAROL, {}, "552 5.3.4"),
        ("", message(), CAROL, {"REQUIRETLS": None}, "550 5.7.10"),
        ("", message(), CAROL, {"BY": "120;R"}, "555 5.5.4"),
        ("", message(), CAROL, {"X-STRANGE": "1"}, "555 5.5.4"),
    ],
)
def test_what_a_server_lacks_fails_by_name(house, serving, missing, raw, recipient, parameters, code):
    """A message that the server can't take is not sent in part; it comes back with the reason."""
    offers = tuple(one for one in EXTENSIONS if one != missing)
    sink = serving(extensions=offers if missing != "SIZE 1000000" else (*offers, "SIZE 1500"))
    post = Post(house, Names(), relay_settings(sink))
    submission = submit(house, raw, recipient, **parameters)
    post.run()

    undo, status = post.status(submission)
    assert status["smtpReply"].startswith(code)
    assert (undo, status["delivered"]) == ("final", "no")
    assert sink.taken == []
    assert len(post.inbox()) == 1


def test_a_domain_beyond_ascii_needs_no_extension(house, serving):
    """Its A-labels do (RFC 6531 §3.2)."""
    sink = serving(extensions=("8BITMIME",))
    post = Post(house, Names(), relay_settings(sink))
    submit(house, message(), "carol@bücher.example")
    post.run()

    assert sink.taken[0].recipients == ["carol@xn--bcher-kva.example"]


def test_addresses_beyond_ascii(post, sink):
    """SMTPUTF8 is said when it is needed."""
    submit(post.house, message(), "jürgen@bücher.example", "carol@example.net")
    post.run()

    (taken,) = sink.taken
    assert taken.mail.split()[-2] == "SMTPUTF8"
    assert taken.recipients == ["jürgen@bücher.example", CAROL]
