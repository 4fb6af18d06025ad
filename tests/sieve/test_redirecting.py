"""Messages that scripts send: what has arrived sent on, notifications; and the address book as a list."""

import pytest

from minijmap.sieve import records, redirecting
from tests.sieve.inhouse import ALICE, STRANGER, add_script, letter, only

OUTSIDE = "friend@remote.example"


def test_sending_on(post):
    """The sender in the envelope stays; a mark is put before it."""
    add_script(post.house, f'redirect "{OUTSIDE}";')
    raw = b"Received: by mx.example.com; Thu, 1 Jan 2026 00:00:00 +0000\r\n" + letter()
    post.arrive(raw)

    ((sender, recipient, octets),) = post.queued()
    assert (sender, recipient) == (STRANGER, OUTSIDE)
    assert octets == f"{redirecting.MARK}: {ALICE}\r\n".encode() + raw
    assert post.emails() == []
    assert post.woken == 1


def test_nobody_stays_nobody(post):
    """A message from the null sender is sent on from it (RFC 5228 §4.2)."""
    add_script(post.house, f'require "copy"; redirect :copy "{OUTSIDE}";')
    post.arrive(letter(), sender="")

    assert [one[:2] for one in post.queued()] == [("", OUTSIDE)]
    assert only(post) == (["Inbox"], [])


def test_one_address_gets_it_once(post):
    """Whatever the number of the account's addresses, and of commands."""
    add_script(post.house, f'redirect "{OUTSIDE}"; redirect "FRIEND@remote.example";')
    post.arrive(letter(), ALICE, "alice+x@example.com")

    assert len(post.queued()) == 1


@pytest.mark.parametrize(
    "fields",
    [
        [f"{redirecting.MARK}: {ALICE}"],
        ["Received: by somewhere; Thu, 1 Jan 2026 00:00:00 +0000"] * (redirecting.MOST_HOPS + 1),
    ],
)
def test_loops_end_here(post, fields):
    """What comes back, or has come too far, is kept: not even a script that hides the mark gets it going."""
    add_script(post.house, f'require "editheader"; deleteheader "{redirecting.MARK}"; redirect "{OUTSIDE}";')
    post.arrive(letter(*fields))

    assert post.queued() == []
    assert only(post) == (["Inbox"], [])


@pytest.mark.parametrize("own", [ALICE, "alice+x@example.com", "Alice@EXAMPLE.com", "postmaster@example.com"])
def test_sending_on_to_oneself(post, own):
    """It stays where it is, once."""
    add_script(post.house, f'redirect "{own}";')
    post.arrive(letter())

    assert post.queued() == []
    assert only(post) == (["Inbox"], [])


def test_what_may_not_be_sent_any_more_is_kept(post, monkeypatch):
    """After the number for a day; the day after it goes on."""
    monkeypatch.setattr(records, "MOST_SENT_A_DAY", 2)
    add_script(post.house, f'redirect "{OUTSIDE}";')
    for number in range(3):
        post.arrive(letter(subject=f"{number}"))
    assert (len(post.queued()), post.emails()) == (2, [("2", ["Inbox"], [])])

    post.house.now += 24 * 3600
    post.arrive(letter())
    assert len(post.queued()) == 3


def test_a_queue_that_is_full_keeps_the_message(post, monkeypatch):
    """No message is lost for it."""
    monkeypatch.setattr("minijmap.mail.queue.MOST_WAITING", 0)
    add_script(post.house, f'redirect "{OUTSIDE}";')
    post.arrive(letter())

    assert only(post) == (["Inbox"], [])


# Notifications (RFC 5436)


def test_a_notification(post):
    """It goes where the URI says, says who has written, and can't make a loop."""
    add_script(
        post.house, 'require "enotify"; notify :message "New mail" :importance "1" "mailto:pager@remote.example";'
    )
    post.arrive(letter())

    ((sender, recipient, octets),) = post.queued()
    text = octets.decode()
    assert (sender, recipient) == (ALICE, "pager@remote.example")
    assert text.startswith(f'Auto-Submitted: auto-notified; owner-email="{ALICE}"\r\n')
    for line in (
        "From: Alice <alice@example.com>",
        "Subject: New mail",
        "To: pager@remote.example",
        "Importance: high",
    ):
        assert f"\r\n{line}\r\n" in text
    assert only(post) == (["Inbox"], [])


def test_one_notification_for_all_addresses(post):
    """Whatever the number of the account's addresses; other words are another notification."""
    script = 'require ["enotify", "envelope", "subaddress"]; notify "mailto:pager@remote.example";\r\n'
    script += 'if envelope :detail "to" "b" { notify :message "b" "mailto:pager@remote.example"; }'
    add_script(post.house, script)
    post.arrive(letter(), "alice+a@example.com", "alice+b@example.com", "alice+c@example.com")

    assert len(post.queued()) == 2


def test_notifications_of_what_nobody_sent(post):
    """The null sender's have it too (RFC 5436 §2.7); those of programs there are none."""
    add_script(post.house, 'require "enotify"; notify "mailto:pager@remote.example?subject=Ding&body=Dong";')
    post.arrive(letter(), sender="")
    post.arrive(letter("Auto-Submitted: auto-replied"))

    ((sender, _, octets),) = post.queued()
    assert sender == ""
    assert b"Subject: Ding\r\n" in octets
    assert octets.endswith(b"\r\n\r\nDong\r\n")


def test_a_copy_of_a_notification(post):
    """It is filed where :fcc says (RFC 8580)."""
    add_script(
        post.house,
        'require ["enotify", "fcc", "imap4flags"];\r\n'
        'notify :fcc "Sent" :flags "\\\\Seen" :message "Ding" "mailto:pager@remote.example";',
    )
    post.arrive(letter())

    assert sorted(post.emails()) == [("Ding", ["Sent"], ["$seen"]), ("Hello", ["Inbox"], [])]


# The address book (RFC 6134)


def know(house, *addresses):
    """Put cards with addresses into Alice's address book."""
    books = house.call("AddressBook/get", {"properties": ["id"]})["list"]
    cards = {
        f"k{n}": {"addressBookIds": {books[0]["id"]: True}, "emails": {"e": {"address": one}}}
        for n, one in enumerate(addresses)
    }
    assert house.call("ContactCard/set", {"create": cards})["notCreated"] is None


@pytest.mark.parametrize("name", [":addrbook:default", "urn:ietf:params:sieve:addrbook:default"])
def test_whom_the_user_knows(post, name):
    """The address book is a list that scripts can ask (RFC 6134)."""
    know(post.house, STRANGER.upper())
    script = f'require ["extlists", "fileinto"];\r\nif address :list "from" "{name}" {{ fileinto "Archive"; }}'
    add_script(post.house, script)
    post.arrive(letter())
    post.arrive(letter(sender="other@remote.example"))

    assert [places for _, places, _ in post.emails()] == [["Archive"], ["Inbox"]]


def test_sending_on_to_whom_the_user_knows(post):
    """To everybody on the list, once each; with nobody there the message is kept."""
    add_script(post.house, 'require "extlists"; redirect :list ":addrbook:default";')
    post.arrive(letter())
    know(post.house, "a@remote.example", "b@remote.example", "A@remote.example")
    post.arrive(letter(subject="second"))

    assert post.emails() == [("Hello", ["Inbox"], [])]
    assert [address for _, address, _ in post.queued()] == ["a@remote.example", "b@remote.example"]
