"""Answers for users who are away: who has one, when, how often, and what it looks like (RFC 5230, RFC 3834, RFC 8621 §8)."""

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest

from minijmap.mail import vacation
from minijmap.sieve import vacationscript
from minijmap.sieve.actions import Vacation
from minijmap.sieve.compiler import compile_script
from minijmap.sieve.host import AloneHost, Envelope
from minijmap.sieve.interpreter import run
from minijmap.sieve.message import Message
from minijmap.store import blobs
from tests.sieve.inhouse import ALICE, BOB, STRANGER, Post, add_script, letter, only

DAY = 24 * 3600


def respond(post, **patch):
    """Enable the VacationResponse."""
    given = {"isEnabled": True, "textBody": "I am away.", **patch}
    assert post.house.call("VacationResponse/set", {"update": {"singleton": given}})["notUpdated"] is None


def answers(post):
    """Return the answers in the queue, read."""
    return [message_from_bytes(octets, policy=policy.default) for _, _, octets in post.queued()]


def text_of(part):
    """Return a part's text, without the line end at its end."""
    return part.get_content().replace("\r\n", "\n").strip()


# What it looks like (RFC 5230 §5, RFC 3834 §3)


def test_an_answer(post):
    """It is to the sender alone, from nobody, and says what it is."""
    respond(post)
    post.arrive(letter("References: <zero@remote.example>"))

    ((sender, recipient, octets),) = post.queued()
    (answer,) = answers(post)
    assert (sender, recipient) == ("", STRANGER)
    expected = {
        "Auto-Submitted": "auto-replied",
        "From": "Alice <alice@example.com>",
        "To": STRANGER,
        "Subject": "Auto: Hello",
        "In-Reply-To": "<one@remote.example>",
        "References": "<zero@remote.example> <one@remote.example>",
        "Date": "Thu, 01 Jan 2026 00:00:00 +0000",
    }
    assert {name: answer[name] for name in expected} == expected
    assert text_of(answer) == "I am away."
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert only(post) == (["Inbox"], [])
    with post.house.database.read() as reader:
        assert reader.value("SELECT parameters FROM queue_recipient") == '{"NOTIFY":"NEVER"}'


@pytest.mark.parametrize(
    ("patch", "subject", "expected"),
    [
        ({}, "", "Automated reply"),
        ({}, "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Auto: Grüße"),
        ({"subject": "Im Urlaub: ä"}, "Hello", "Im Urlaub: ä"),
        ({"subject": ""}, "Hello", ""),
    ],
)
def test_its_subject(post, patch, subject, expected):
    """As it is set, or made of the message's."""
    respond(post, **patch)
    post.arrive(letter(subject=subject))

    assert answers(post)[0]["Subject"] == expected


@pytest.mark.parametrize(
    ("patch", "types", "text"),
    [
        ({"textBody": "Weg. ä"}, ["text/plain"], "Weg. ä"),
        ({"textBody": None, "htmlBody": "<p>Weg,<br>weit</p>"}, ["text/plain", "text/html"], "Weg,\nweit"),
        ({"textBody": "Weg.", "htmlBody": "<b>Weg.</b>"}, ["text/plain", "text/html"], "Weg."),
        ({"textBody": None}, ["text/plain"], vacationscript.DEFAULT_TEXT),
    ],
)
def test_its_body(post, patch, types, text):
    """Text, HTML with the text made of it, or our own when nothing is set (RFC 8621 §8)."""
    respond(post, **patch)
    post.arrive(letter())

    (answer,) = answers(post)
    parts = list(answer.iter_parts()) if answer.is_multipart() else [answer]
    assert [part.get_content_type() for part in parts] == types
    assert text_of(parts[0]) == text
    assert answer.is_multipart() == (answer.get_content_type() == "multipart/alternative")


def test_it_comes_from_the_address_that_was_written_to(house):
    """With the name that its Identity has."""
    post = Post(house, {"sales@example.com": ALICE})
    house.engine = house.make_engine()
    respond(post)
    post.arrive(letter(to="Sales <sales@example.com>"), "sales@example.com")
    post.arrive(letter(to="x@elsewhere.example", subject="two"), ALICE, sender="second@remote.example")

    assert [answer["From"] for answer in answers(post)] == ["Alice <sales@example.com>"]


def test_a_script_answers(post):
    """With its own text, subject and sender, and a copy where it wants one; :mime is taken as it is."""
    script = (
        'require ["vacation", "fcc", "imap4flags", "fileinto"];\r\n'
        'vacation :fcc "Sent" :flags "\\\\Seen" :subject "Away" :from "Al <alice+work@example.com>" :mime text:\r\n'
        "Content-Type: text/html; charset=utf-8\r\n\r\n<b>Away</b>\r\n.\r\n;\r\n"
    )
    add_script(post.house, script)
    post.arrive(letter())

    (answer,) = answers(post)
    assert (answer["Subject"], answer["From"]) == ("Away", "Al <alice+work@example.com>")
    assert (answer.get_content_type(), answer.get_content().strip()) == ("text/html", "<b>Away</b>")
    assert post.octets()[0] == post.queued()[0][2] or post.octets()[1] == post.queued()[0][2]
    assert sorted(post.emails()) == [("Away", ["Sent"], ["$seen"]), ("Hello", ["Inbox"], [])]


def test_another_persons_address_is_not_taken(post):
    """:from is the user's own or it is ignored (RFC 5230 §4.3)."""
    add_script(post.house, f'require "vacation"; vacation :from "{BOB}" "Away";')
    post.arrive(letter())

    assert answers(post)[0]["From"] == "Alice <alice@example.com>"


# Whom it never answers (RFC 5230 §4.5, §4.6, RFC 3834 §2)


@pytest.mark.parametrize(
    "fields",
    [
        ["List-Id: <list.remote.example>"],
        ["List-Unsubscribe: <mailto:leave@remote.example>"],
        ["List-Help: <x:y>"],
        ["List-Post: NO"],
        ["Precedence: bulk"],
        ["Precedence: List"],
        ["Precedence: junk"],
        ["Auto-Submitted: auto-replied"],
        ["Auto-Submitted: auto-generated; x=y"],
        ["X-Auto-Response-Suppress: DR, OOF"],
        ["Content-Type: multipart/report; boundary=b"],
    ],
)
def test_what_programs_and_lists_send(post, fields):
    """It is kept, and nobody is answered; neither by the settings nor by a script."""
    respond(post)
    post.arrive(letter(*fields))
    add_script(post.house, 'require "vacation"; vacation "Away";')
    post.arrive(letter(*fields))

    assert post.queued() == []
    assert len(post.emails()) == 2


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "MAILER-DAEMON@remote.example",
        "owner-list@remote.example",
        "list-request@remote.example",
        "list-bounces@remote.example",
        "list-bounces+alice=example.com@remote.example",
        "majordomo@remote.example",
        "LISTSERV@remote.example",
        "no-reply@remote.example",
        "noreply@remote.example",
        ALICE,
        "alice+tag@example.com",
        '"a b',
    ],
)
def test_senders_that_are_not_answered(post, sender):
    """Nobody, daemons, lists, and the user."""
    respond(post)
    post.arrive(letter(), sender=sender)

    assert post.queued() == []


@pytest.mark.parametrize(
    "fields", [["Auto-Submitted: no"], ["auto-submitted: No (really)"], ["Precedence: first-class"]]
)
def test_fields_that_do_not_matter(post, fields):
    """A message that says it is a person's is answered, and postmasters are people."""
    respond(post)
    post.arrive(letter(*fields))
    post.arrive(letter(*fields), sender="postmaster@remote.example")

    assert [recipient for _, recipient, _ in post.queued()] == [STRANGER, "postmaster@remote.example"]


@pytest.mark.parametrize(
    ("to", "fields", "answered"),
    [
        ("somebody@remote.example", [], False),
        ("undisclosed-recipients:;", [], False),
        ("somebody@remote.example", [f"Cc: {ALICE}"], True),
        ("somebody@remote.example", ["Bcc: Alice <ALICE@Example.com>"], True),
        ("somebody@remote.example", ["Resent-To: alice+tag@example.com"], True),
        ("somebody@remote.example", ["X-To: alice@example.com"], False),
        (", ".join(f"p{n}@remote.example" for n in range(300)) + f", {ALICE}", [], True),
    ],
)
def test_what_is_not_addressed_to_the_user(post, to, fields, answered):
    """Only a message with one of the user's addresses in it is answered."""
    respond(post)
    post.arrive(letter(*fields, to=to))

    assert bool(post.queued()) == answered


def test_more_addresses_of_the_user(post):
    """A script may name addresses elsewhere (RFC 5230 §4.5)."""
    add_script(post.house, 'require "vacation"; vacation :addresses "Alice@Old.example" "Away";')
    post.arrive(letter(to="alice@old.example"))

    assert len(post.queued()) == 1


def test_junk_is_not_answered(post):
    """Neither what was judged so, nor what a script puts away."""
    respond(post)
    post.arrive(letter(), is_junk=True)
    for place in ("Junk", "Trash"):
        add_script(post.house, f'require "fileinto"; fileinto "{place}";')
        post.arrive(letter())
    add_script(post.house, "discard;")
    post.arrive(letter())
    assert post.queued() == []

    add_script(post.house, 'require "fileinto"; fileinto "Archive";')
    post.arrive(letter())
    assert len(post.queued()) == 1


# When, and how often


@pytest.mark.parametrize(
    ("patch", "answered"),
    [
        ({"fromDate": "2026-01-01T00:00:00Z"}, True),
        ({"fromDate": "2026-01-01T00:00:01Z"}, False),
        ({"toDate": "2026-01-01T00:00:00Z"}, False),
        ({"toDate": "2026-01-01T00:00:01Z"}, True),
        ({"fromDate": "2025-12-24T00:00:00Z", "toDate": "2026-01-07T00:00:00Z"}, True),
        ({"isEnabled": False}, False),
    ],
)
def test_its_dates(post, patch, answered):
    """On or after the first, before the second (RFC 8621 §8); its script would do the same."""
    respond(post, **patch)
    post.arrive(letter())
    assert bool(post.queued()) == answered

    (script,) = post.house.call("SieveScript/get")["list"]
    with post.house.database.read() as reader:
        source = blobs.open_blob(reader, post.house.users[ALICE].account, script["blobId"])
        assert vacationscript.source(vacation.current(reader, post.house.users[ALICE].account)) == source
    host = AloneHost(datetime.fromtimestamp(post.house.now, UTC))
    result = run(compile_script(source), Message(letter()), Envelope(STRANGER, ALICE), host)
    decided = any(isinstance(action, Vacation) for action in result.actions)
    assert (result.error, decided) == (None, answered or patch == {"isEnabled": False})


@pytest.mark.parametrize(
    "patch",
    [
        {"textBody": '.\r\n..\n"quoted" \\ ${x} ä\r\n.'},
        {"subject": 'A "quoted" \\ subject ä', "htmlBody": "<p>.</p>\n."},
        {"textBody": ""},
        {"textBody": "x" * 60_000},
    ],
)
def test_the_script_that_shows_it_says_the_same(post, patch):
    """Whatever is in the settings, its script can be read and has just that text."""
    respond(post, **patch)
    settings = {"textBody": "I am away.", **patch}
    with post.house.database.read() as reader:
        source = vacationscript.source(vacation.current(reader, post.house.users[ALICE].account))
    result = run(compile_script(source), Message(letter()), Envelope(STRANGER, ALICE), AloneHost())

    (answer,) = [action for action in result.actions if isinstance(action, Vacation)]
    assert answer.subject == settings.get("subject")
    assert answer.mime == ("htmlBody" in patch)
    if not answer.mime:
        assert answer.reason.replace("\r\n", "\n").rstrip("\n") == settings["textBody"].replace("\r\n", "\n").rstrip(
            "\n"
        )


def test_once_in_seven_days(post):
    """Each sender, in any case; others are answered meanwhile."""
    respond(post)
    for sender in (STRANGER, STRANGER.upper(), "other@remote.example"):
        post.arrive(letter(), sender=sender)
    assert len(post.queued()) == 2

    post.house.now += 7 * DAY - 1
    post.arrive(letter())
    assert len(post.queued()) == 2
    post.house.now += 1
    post.arrive(letter())
    assert len(post.queued()) == 3


def test_a_changed_response_is_another_one(post):
    """After every change, and when it is enabled again, everybody may have it anew."""
    respond(post)
    post.arrive(letter())
    respond(post, textBody="Still away.")
    post.arrive(letter())
    respond(post, isEnabled=False)
    respond(post, textBody="Still away.")
    post.arrive(letter())

    assert len(post.queued()) == 3


@pytest.mark.parametrize(
    ("period", "after", "count"), [(":days 2", 2 * DAY - 1, 1), (":days 2", 2 * DAY, 2), (":seconds 0", 0, 2)]
)
def test_the_period_of_a_script(post, period, after, count):
    """In days or seconds; none at all if it wants so (RFC 6131)."""
    add_script(post.house, f'require ["vacation", "vacation-seconds"]; vacation {period} "Away";')
    post.arrive(letter())
    post.house.now += after
    post.arrive(letter())

    assert len(post.queued()) == count


def test_which_answers_are_the_same(post):
    """By their arguments as written, or by their handle (RFC 5230 §4.2)."""
    script = (
        'require ["vacation", "variables"];\r\n'
        'if header :matches "subject" "same *" { vacation :subject "About ${1}" "Away"; }\r\n'
        'elsif header :contains "subject" "handle" { vacation :handle "h" "One"; }\r\n'
        'elsif header :contains "subject" "other" { vacation :handle "h" "Two"; }\r\n'
    )
    add_script(post.house, script)
    for subject in ("same 1", "same 2", "handle", "other"):
        post.arrive(letter(subject=subject))

    assert [answer["Subject"] for answer in answers(post)] == ["About 1", "Auto: handle"]


def test_a_scripts_answer_goes_before(post):
    """There is one answer to a message: the script's when it has one, else the VacationResponse's."""
    respond(post)
    add_script(post.house, 'require "vacation"; if header :is "subject" "mine" { vacation "By the script."; }')
    post.arrive(letter(subject="mine"))
    post.arrive(letter(subject="other"))

    assert [answer.get_content().strip() for answer in answers(post)] == ["By the script.", "I am away."]


def test_two_addresses_are_answered_once(post):
    """An account answers a message once."""
    respond(post)
    post.arrive(letter(), ALICE, "alice+tag@example.com")

    assert len(post.queued()) == 1


def test_a_refused_message_is_not_answered(post):
    """RFC 5230 §4.7."""
    respond(post)
    add_script(post.house, 'require "reject"; reject "No.";')
    post.arrive(letter())

    assert post.queued() == []


def test_a_failing_script_does_not_keep_the_answer(post):
    """The message was delivered all the same."""
    respond(post)
    add_script(post.house, 'require "include"; include "nobody";')
    post.arrive(letter())

    assert len(post.queued()) == 1
