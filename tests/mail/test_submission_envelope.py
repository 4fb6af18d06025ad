"""Envelopes: derived from a message, checked, and held (RFC 8621 §7, RFC 4865 §4)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.errors import SetError
from minijmap.jmap.values import ValueProblem
from minijmap.mail.addressing import is_mailbox
from minijmap.mail.submissionenvelope import (
    ENVELOPE,
    MOST_RECIPIENTS,
    Written,
    check_message,
    derive,
    distinct,
    recipients_of,
    release_time,
)

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY = 24 * 3600
ME = "alice@example.com"


def written(*fields):
    """Read header fields given as (name, value)."""
    return Written.of((name, f" {value}") for name, value in fields)


def envelope(*recipients, sender=ME, **parameters):
    """Return an envelope in normal form."""
    return ENVELOPE.check(
        {
            "mailFrom": {"email": sender, "parameters": parameters or None},
            "rcptTo": [{"email": one} for one in recipients],
        }
    )


def refused(function, *arguments, **named):
    """Return the SetError that a call raises, as JSON."""
    with pytest.raises(SetError) as caught:
        function(*arguments, **named)
    return caught.value.json()


def addresses(derived):
    """Return an envelope's addresses: the sender's, and the recipients'."""
    return derived["mailFrom"]["email"], [one["email"] for one in derived["rcptTo"]]


# Derived from a message


def test_recipients_are_those_of_to_cc_and_bcc_without_duplicates():
    """In order of the fields, groups dissolved, an address once whatever its case, parameters null."""
    message = written(
        ("From", "Alice <alice@example.com>"),
        ("Cc", "c@example.org, Bob <BOB@example.org>"),
        ("To", "Bob <bob@example.org>, friends: a@example.org, b@example.org;"),
        ("To", "second@example.org"),
        ("Bcc", "secret@example.org, a@example.org"),
    )

    derived = derive(message, ME, lambda one: one == ME)

    assert addresses(derived) == (
        ME,
        [
            "bob@example.org",
            "a@example.org",
            "b@example.org",
            "second@example.org",
            "c@example.org",
            "secret@example.org",
        ],
    )
    assert {one["parameters"] for one in [derived["mailFrom"], *derived["rcptTo"]]} == {None}


def test_the_sender_comes_before_the_author():
    """The Sender field's address, if there is one (RFC 8621 §7)."""
    message = written(("From", "alice@example.com"), ("Sender", "Secretary <alice+s@example.com>"))

    assert addresses(derive(message, ME, lambda _: True))[0] == "alice+s@example.com"


def test_an_address_that_the_identity_does_not_allow_is_replaced_by_its_own():
    """The Identity's email must be used then; one for a whole domain has none, and the author's is."""
    message = written(("From", "alice@example.com"), ("Sender", "bob@example.com"))

    assert addresses(derive(message, ME, lambda one: one == ME))[0] == ME
    assert addresses(derive(message, "*@example.com", lambda one: one == ME))[0] == ME


@pytest.mark.parametrize(
    ("fields", "properties"),
    [
        ([], ["from"]),
        ([("From", "")], ["from"]),
        ([("From", "nobody in particular")], ["from"]),
        ([("From", "a@example.com, b@example.com")], ["from"]),
        ([("From", "a@example.com"), ("From", "a@example.com")], ["from"]),
        ([("From", "a@example.com"), ("Sender", "a@example.com, b@example.com")], ["sender"]),
        ([("From", "a@example.com"), ("Sender", "a@example.com"), ("Sender", "a@example.com")], ["sender"]),
        ([("Sender", "")], ["from", "sender"]),
    ],
)
def test_a_message_that_does_not_say_who_sends_it_is_invalid(fields, properties):
    """All the properties that are wrong are named (RFC 8621 §7.5, invalidEmail)."""
    error = refused(check_message, written(*fields), deriving=True)

    assert (error["type"], error["properties"]) == ("invalidEmail", properties)


def test_several_authors_are_well_when_the_client_says_who_sends():
    """With an envelope given, From may have several addresses, as RFC 5322 lets it."""
    message = written(("From", "a@example.com, b@example.com"), ("Sender", "a@example.com"))

    check_message(message, deriving=False)

    assert refused(check_message, message, deriving=True)["properties"] == ["from"]


# Its recipients


def test_nobody_is_too_few():
    """An envelope without recipients, given or derived."""
    assert refused(recipients_of, envelope())["type"] == "noRecipients"
    assert refused(recipients_of, derive(written(("From", ME)), ME, lambda _: True))["type"] == "noRecipients"


def test_the_most_recipients_are_told():
    """As many as that are taken; one more is refused with the number."""
    many = [f"r{number}@example.org" for number in range(MOST_RECIPIENTS + 1)]
    assert len(recipients_of(envelope(*many[1:]))) == MOST_RECIPIENTS

    error = refused(recipients_of, envelope(*many))

    assert (error["type"], error["maxRecipients"]) == ("tooManyRecipients", MOST_RECIPIENTS)


def test_invalid_recipients_are_listed():
    """Each once, and no valid one."""
    error = refused(recipients_of, envelope("a@example.org", "no address", "", "x@", "no address", "a@b c"))

    assert (error["type"], error["invalidRecipients"]) == ("invalidRecipients", ["no address", "", "x@", "a@b c"])


def test_a_recipient_named_twice_is_one():
    """The first spelling and its parameters count."""
    given_twice = envelope("A@example.org", "b@example.org", "a@EXAMPLE.org")
    given_twice["rcptTo"][0]["parameters"] = {"NOTIFY": "NEVER"}

    assert recipients_of(given_twice) == {"A@example.org": {"NOTIFY": "NEVER"}, "b@example.org": {}}


@given(st.lists(st.sampled_from(["a@x", "A@x", "b@x", "B@X", "c@x"]), max_size=12))
def test_distinct_keeps_the_first_of_each(some):
    """As the plainest program would do it."""
    wanted = []
    for address in some:
        if address.lower() not in [one.lower() for one in wanted]:
            wanted.append(address)

    assert distinct(some) == wanted


# Its form


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([], ""),
        ({"mailFrom": {"email": ME}}, ""),
        ({"mailFrom": None, "rcptTo": []}, "mailFrom"),
        ({"mailFrom": {"email": ME}, "rcptTo": {}}, "rcptTo"),
        ({"mailFrom": {"email": ME}, "rcptTo": [], "more": 1}, ""),
        ({"mailFrom": {}, "rcptTo": []}, "mailFrom"),
        ({"mailFrom": {"email": ME, "name": "A"}, "rcptTo": []}, "mailFrom"),
        ({"mailFrom": {"email": ME, "parameters": []}, "rcptTo": []}, "mailFrom/parameters"),
        ({"mailFrom": {"email": ME, "parameters": {"HOLDFOR": 5}}, "rcptTo": []}, "mailFrom/parameters/HOLDFOR"),
        ({"mailFrom": {"email": ME, "parameters": {"A B": "5"}}, "rcptTo": []}, "mailFrom/parameters/A B"),
        ({"mailFrom": {"email": ME, "parameters": {"X": "a\r\nDATA"}}, "rcptTo": []}, "mailFrom/parameters/X"),
        (
            {"mailFrom": {"email": ME, "parameters": {"Ret": "FULL", "RET": "HDRS"}}, "rcptTo": []},
            "mailFrom/parameters",
        ),
        ({"mailFrom": {"email": ME}, "rcptTo": [{"email": 1}]}, "rcptTo/0/email"),
    ],
)
def test_what_is_wrong_with_an_envelope_is_named(value, path):
    """The path leads to the place."""
    with pytest.raises(ValueProblem) as caught:
        ENVELOPE.check(value)

    assert caught.value.path == path


def test_parameters_are_kept_as_they_are():
    """Null values and the case of names too; parameters left out are null."""
    given_so = {
        "mailFrom": {"email": "", "parameters": {"Ret": "HDRS", "SMTPUTF8": None}},
        "rcptTo": [{"email": "b@x.example"}],
    }

    checked = ENVELOPE.check(given_so)

    assert checked["mailFrom"] == given_so["mailFrom"]
    assert checked["rcptTo"] == [{"email": "b@x.example", "parameters": None}]


# Held


def test_without_a_hold_it_is_released_at_once():
    """The time of release is now."""
    assert release_time(envelope("b@example.org"), NOW) == NOW
    assert release_time(envelope("b@example.org", RET="HDRS"), NOW) == NOW


@pytest.mark.parametrize(
    ("name", "value", "milliseconds"),
    [
        ("HOLDFOR", "1", 1000),
        ("holdfor", "3600", 3_600_000),
        ("HOLDFOR", str(30 * DAY), 30 * DAY * 1000),
        ("HOLDUNTIL", "2026-01-01T00:00:00Z", 0),
        ("HOLDUNTIL", "2026-01-02T00:00:00Z", DAY * 1000),
        ("HOLDUNTIL", "2026-01-31T00:00:00Z", 30 * DAY * 1000),
        ("HOLDUNTIL", "2020-01-01T00:00:00Z", 0),
    ],
)
def test_a_hold_says_when_it_is_released(name, value, milliseconds):
    """By an interval or by a moment; a moment that is over is now."""
    assert release_time(envelope("b@example.org", **{name: value}), NOW) == NOW + milliseconds


@pytest.mark.parametrize(
    "parameters",
    [
        {"HOLDFOR": "0"},
        {"HOLDFOR": "-1"},
        {"HOLDFOR": "1.5"},
        {"HOLDFOR": ""},
        {"HOLDFOR": "٣"},
        {"HOLDFOR": None},
        {"HOLDFOR": str(30 * DAY + 1)},
        {"HOLDFOR": "9" * 20},
        {"HOLDUNTIL": None},
        {"HOLDUNTIL": "tomorrow"},
        {"HOLDUNTIL": "2026-01-02T00:00:00+00:00"},
        {"HOLDUNTIL": "2026-01-31T00:00:01Z"},
        {"HOLDFOR": "1", "holduntil": "2026-01-02T00:00:00Z"},
    ],
)
def test_a_hold_that_makes_no_sense_is_refused(parameters):
    """Not an interval of 1 second to 30 days, not a UTC date-time, both at once (RFC 4865 §4.2)."""
    error = refused(release_time, envelope("b@example.org", **parameters), NOW)

    assert (error["type"], error["properties"]) == ("invalidProperties", ["envelope"])


def test_a_hold_is_not_for_one_recipient():
    """It is a parameter of MAIL FROM (RFC 4865 §3)."""
    held = envelope("b@example.org")
    held["rcptTo"][0]["parameters"] = {"HoldFor": "5"}

    assert refused(release_time, held, NOW)["properties"] == ["envelope"]


# Addresses


@pytest.mark.parametrize(
    "text",
    [
        "a@b",
        "a.b+c@example.com",
        '"a b"@example.com',
        "a@[192.0.2.1]",
        "käse@example.com",
        "a@bücher.example",
        "*@example.com",
    ],
)
def test_these_are_addresses(text):
    """Dot-atoms, quoted strings, literals, and what RFC 6531 adds."""
    assert is_mailbox(text)


@pytest.mark.parametrize(
    "text",
    ["", "a", "@b", "a@", "a@b@c", "a b@c", "<a@b>", "a@b\n", "a@b,c@d", "a@-b", "\ud800@b", "a" * 600 + "@b", "a@b>"],
)
def test_these_are_none(text):
    """Nothing that could end a command, and nothing that is too long."""
    assert not is_mailbox(text)


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_an_address_never_ends_a_command_or_a_path(text):
    """Whatever is taken has no control character, and no angle bracket outside of quotes."""
    if is_mailbox(text):
        assert all(character >= " " and character != "\x7f" for character in text)
        assert '"' in text or not {"<", ">", " "} & set(text)
