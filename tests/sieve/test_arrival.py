"""Mail that arrives: what the active script decides is what happens, and no message is ever lost."""

import time
from email import message_from_bytes, policy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.sieve import effects, records
from minijmap.sieve.limits import LIMITS
from minijmap.store import blobs
from tests.sieve.inhouse import ALICE, BOB, STRANGER, Post, add_script, letter, only, scripts, set_scripts, upload

OUTSIDE = "friend@remote.example"


def test_without_a_script_mail_goes_to_the_inbox(post):
    """And what is junk to the Mailbox for that, with its keyword; the push of deliveries is as it was."""
    post.arrive(letter())
    post.arrive(letter(subject="Cheap"), is_junk=True)

    assert post.emails() == [("Hello", ["Inbox"], []), ("Cheap", ["Junk"], ["$junk"])]
    announced = post.house.announced[-1][post.house.users[ALICE].account]
    assert {"Email", "EmailDelivery", "Mailbox", "Thread"} <= set(announced)


def test_a_script_that_is_not_active_does_nothing(post):
    """It is only stored; deactivated it does nothing again."""
    script = add_script(post.house, "discard;", active=False)
    post.arrive(letter(subject="one"))
    set_scripts(post.house, onSuccessActivateScript=script)
    post.arrive(letter(subject="two"))
    set_scripts(post.house, onSuccessDeactivateScript=True)
    post.arrive(letter(subject="three"))

    assert [subject for subject, *_ in post.emails()] == ["one", "three"]


def test_each_has_their_own_script(post):
    """One message for two people is judged by each one's script, and is one blob."""
    add_script(post.house, 'require "fileinto"; fileinto "Archive";')
    post.arrive(letter(), ALICE, BOB)

    assert (only(post), only(post, BOB)) == ((["Archive"], []), (["Inbox"], []))


@pytest.mark.parametrize(
    ("script", "places", "keywords"),
    [
        ("keep;", ["Inbox"], []),
        ('require "fileinto"; fileinto "INBOX";', ["Inbox"], []),
        ('require "fileinto"; fileinto "inbox";', ["Inbox"], []),
        ('require "fileinto"; fileinto "Inbox";', ["Inbox"], []),
        ('require "fileinto"; fileinto "Archive"; keep;', ["Archive", "Inbox"], []),
        ('require ["fileinto", "copy"]; fileinto :copy "Archive";', ["Archive", "Inbox"], []),
        ('require "fileinto"; fileinto "Archive"; fileinto "Trash";', ["Archive", "Trash"], []),
        ('require ["fileinto", "mailbox"]; fileinto :create "Work/Büro/2026";', ["Work/Büro/2026"], []),
        ('require ["fileinto", "mailbox"]; fileinto :create "INBOX/Work";', ["Inbox/Work"], []),
        ('require "fileinto"; fileinto "Not there";', ["Inbox"], []),
        ('require "fileinto"; fileinto "Archive/Not there";', ["Inbox"], []),
        ('require ["fileinto", "mailbox"]; fileinto :create "%s";' % ("x/" * 30 + "y"), ["Inbox"], []),
        ('require ["fileinto", "mailbox"]; fileinto :create "%s";' % ("x" * 300), ["Inbox"], []),
        ('require ["fileinto", "mailbox"]; fileinto :create "/";', ["Inbox"], []),
        ('require ["fileinto", "special-use"]; fileinto :specialuse "\\\\Archive" "Elsewhere";', ["Archive"], []),
        ('require ["fileinto", "special-use"]; fileinto :specialuse "\\\\Flagged" "Trash";', ["Trash"], []),
        ('require ["fileinto", "mailboxid"]; fileinto :mailboxid "m4" "Trash";', ["Archive"], []),
        ('require ["fileinto", "mailboxid"]; fileinto :mailboxid "m999" "Trash";', ["Trash"], []),
        ('require "imap4flags"; keep :flags ["\\\\Seen", "\\\\FLAGGED", "\\\\Deleted", "Work"];', ["Inbox"],
         ["$flagged", "$seen", "work"]),
        ('require "imap4flags"; addflag "\\\\Answered"; keep;', ["Inbox"], ["$answered"]),
        ('require ["fileinto", "imap4flags"]; fileinto :flags "$Forwarded" "Archive";', ["Archive"], ["$forwarded"]),
        ('require ["fileinto", "imap4flags"]; fileinto :flags "a" "Archive"; keep :flags "b";', ["Archive", "Inbox"],
         ["a", "b"]),
    ],
)  # fmt: skip
def test_where_a_message_goes(post, script, places, keywords):
    """Mailboxes by path, id and special use; made if that is asked for; flags are keywords."""
    add_script(post.house, script)
    post.arrive(letter())

    assert only(post) == (places, keywords)


def test_a_mailbox_with_a_slash_in_its_name(post):
    """It is found by that name, although a path is written so."""
    answer = post.house.call("Mailbox/set", {"create": {"k": {"name": "A/B"}}})
    child = {"name": "C", "parentId": answer["created"]["k"]["id"]}
    post.house.call("Mailbox/set", {"create": {"k": child}})
    add_script(post.house, 'require "fileinto"; fileinto "A/B/C";')
    post.arrive(letter())

    assert only(post) == (["A/B/C"], [])


def test_a_mailbox_with_a_special_use_is_made(post):
    """With :create and :specialuse (RFC 8579 §4.1)."""
    add_script(
        post.house,
        'require ["fileinto", "special-use", "mailbox"]; fileinto :specialuse "\\\\Important" :create "Matters";',
    )
    post.arrive(letter())

    assert only(post) == (["Matters"], [])
    assert post.house.mailbox("important")


def test_a_message_that_is_thrown_away(post):
    """It is nowhere, and nobody is told."""
    add_script(post.house, "discard;")

    assert post.arrive(letter()) == {}
    assert (post.emails(), post.queued()) == ([], [])


def test_two_addresses_of_one_account(post):
    """The script is run for each, with its envelope; the outcomes make one Email."""
    script = 'require ["envelope", "fileinto", "subaddress", "mailbox", "variables"];\r\n'
    script += 'if envelope :detail :matches "to" "*" { fileinto :create "${1}"; }'
    add_script(post.house, script)
    post.arrive(letter(), "alice+one@example.com", "alice+two@example.com", ALICE)

    assert only(post) == (["Inbox", "one", "two"], [])


def test_an_alias_has_its_owners_script(house):
    """And the envelope says which address it was."""
    post = Post(house, {"sales@example.com": ALICE})
    add_script(house, 'require ["envelope", "fileinto"]; if envelope "to" "sales@example.com" { fileinto "Archive"; }')
    post.arrive(letter(), "sales@example.com")

    assert only(post) == (["Archive"], [])


def test_edits_are_stored(post):
    """What a script has edited is stored so; each form is an Email of its own (RFC 5293 §7)."""
    script = 'require ["editheader", "fileinto", "copy"];\r\nfileinto :copy "Archive";\r\naddheader "X-New" "yes";'
    add_script(post.house, script)
    post.arrive(letter())

    assert [places for _, places, _ in post.emails()] == [["Archive"], ["Inbox"]]
    assert [b"X-New: yes\r\n" in octets for octets in post.octets()] == [False, True]


def test_the_implicit_keep_bows_to_the_judgement(post):
    """Junk goes to Junk; a script that files or keeps it is obeyed."""
    for script in ("stop;", "keep;", 'require "fileinto"; fileinto "Archive";'):
        add_script(post.house, script)
        post.arrive(letter(), is_junk=True)

    assert [found[1:] for found in post.emails()] == [(["Junk"], ["$junk"]), (["Inbox"], []), (["Archive"], [])]


# What a script asks of the house


def test_what_a_script_finds_out_about_mailboxes(post):
    """Which there are, their ids and uses, and their annotations."""
    tests = [
        'mailboxexists ["Archive", "INBOX"]',
        'not mailboxexists "Nowhere"',
        'mailboxidexists "m1"',
        'not mailboxidexists "m999"',
        'specialuse_exists "\\\\Junk"',
        'specialuse_exists "Junk" "\\\\Junk"',
        'not specialuse_exists "Archive" "\\\\Junk"',
        'metadata "Junk" "/private/specialuse" "\\\\Junk"',
        'metadata "INBOX" "/shared/vendor/minijmap/mailboxid" "m1"',
        'not metadataexists "INBOX" "/private/comment"',
        'servermetadata "/shared/admin" "mailto:postmaster@example.com"',
    ]
    needed = '"fileinto", "mailbox", "mailboxid", "special-use", "mboxmetadata", "servermetadata"'
    add_script(post.house, f'require [{needed}];\r\nif allof({", ".join(tests)}) {{ fileinto "Archive"; }}')
    post.arrive(letter())

    assert only(post) == (["Archive"], [])


def test_what_a_script_finds_out_about_the_server(post):
    """Name, host, domain and where the message came from (RFC 5183 §4.1)."""
    items = {"name": "minijmap", "host": "mx.example.com", "domain": "example.com", "location": "MDA"}
    items |= {"phase": "during", "remote-ip": "192.0.2.1", "remote-host": "mail.remote.example"}
    tests = ", ".join(f'environment "{item}" "{value}"' for item, value in items.items())
    add_script(post.house, f'require ["environment", "fileinto"]; if allof({tests}) {{ fileinto "Archive"; }}')
    post.arrive(letter(), peer="192.0.2.1", helo="mail.remote.example")

    assert only(post) == (["Archive"], [])


def test_other_scripts_are_included_by_name(post):
    """The user's own; what is not there is an error, and the message is kept."""
    add_script(post.house, 'require "fileinto"; fileinto "Archive";', "common", active=False)
    add_script(post.house, 'require "include"; include :personal "common";', "main")
    post.arrive(letter())
    assert only(post) == (["Archive"], [])

    add_script(post.house, 'require "include"; include :global "common";')
    post.arrive(letter(subject="second"))
    assert ("second", ["Inbox"], []) in post.emails()


def test_duplicates_are_known_for_a_time(post):
    """By their Message-ID, until the time is over (RFC 7352)."""
    add_script(post.house, 'require ["duplicate", "fileinto"]; if duplicate :seconds 60 { fileinto "Trash"; }')
    for _ in range(2):
        post.arrive(letter())
    post.house.now += 61
    post.arrive(letter())

    assert [places for _, places, _ in post.emails()] == [["Inbox"], ["Trash"], ["Inbox"]]


def test_a_message_is_no_duplicate_of_itself(post):
    """To the other addresses of the account that it came for."""
    add_script(post.house, 'require ["duplicate", "fileinto"]; if duplicate { fileinto "Trash"; }')
    post.arrive(letter(), ALICE, "alice+x@example.com")

    assert only(post) == (["Inbox"], [])


def test_what_scripts_remember_is_forgotten_in_the_end(post):
    """Rows go when their time is over."""
    add_script(post.house, 'require "duplicate"; if duplicate :seconds 60 { discard; }')
    post.arrive(letter())
    post.house.now += 2 * 24 * 3600
    post.house.database.write(records.forget_old)

    with post.house.database.read() as reader:
        assert reader.value("SELECT count(*) FROM sieve_record") == 0


def test_which_filters_are_trusted(post):
    """A spam filter's field counts when it was written on this network, and not when anybody may have (RFC 5235 §4)."""
    script = 'require ["spamtestplus", "relational", "comparator-i;ascii-numeric", "fileinto"];\r\n'
    script += 'if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "50" { fileinto "Junk"; }'
    add_script(post.house, script)
    for peer in ("10.0.0.1", "198.51.100.1"):
        post.arrive(letter("X-Spam-Status: Yes, score=30.0 required=5.0"), peer=peer)

    assert [places for _, places, _ in post.emails()] == [["Junk"], ["Inbox"]]


# reject


def test_refusing(post):
    """Nothing is stored, and the reason is the caller's to tell."""
    add_script(post.house, 'require "reject"; reject "Not you.\r\nNever.";')
    refusals = post.arrive(letter(), ALICE, BOB)

    assert refusals == {ALICE: effects.Refusal("5.7.1", "Not you.\r\nNever.", exact=True)}
    assert (post.emails(), len(post.emails(BOB))) == ([], 1)


# What goes wrong


def test_a_script_that_fails_keeps_the_message(post):
    """As it arrived, whatever was decided before; the user is told by a message, once a day."""
    script = 'require ["fileinto", "vacation"];\r\nfileinto "Archive";\r\nvacation "a";\r\nvacation "b";\r\n'
    add_script(post.house, script, "mine")
    for subject in ("one", "two"):
        post.arrive(letter(subject=subject))

    notice = "Your mail filter has failed"
    assert post.emails() == [("one", ["Inbox"], []), (notice, ["Inbox"], []), ("two", ["Inbox"], [])]
    told = message_from_bytes(post.octets()[1], policy=policy.default)
    assert (told["To"], told["Auto-Submitted"]) == ("Alice <alice@example.com>", "auto-generated")
    for words in ("“mine”", "line 4", "“one” from stranger@remote.example"):
        assert words in told.get_content()
    post.house.now += 24 * 3600
    post.arrive(letter(subject="three"))
    assert [subject for subject, *_ in post.emails()].count(notice) == 2
    assert post.queued() == []


def test_junk_stays_junk_when_the_script_fails(post):
    """The implicit keep is all that is left."""
    add_script(post.house, 'require "vacation"; vacation "a"; vacation "b";')
    post.arrive(letter(), is_junk=True)

    assert ("Hello", ["Junk"], ["$junk"]) in post.emails()


def test_a_script_of_another_version(post):
    """One that can't be read any more keeps the mail, and the user is told."""
    script = add_script(post.house, "keep;", "old")
    gone = blobs.pack(b'require "of-another-version"; discard;')

    def replace(tx):
        blob = blobs.store(tx, gone)
        blobs.add_use(tx, blob, post.house.users[ALICE].account, "SieveScript", int(script[1:]))
        tx.execute("UPDATE sieve_script SET blob = ?", (blob,))

    post.house.database.write(replace)
    post.arrive(letter())

    assert [subject for subject, *_ in post.emails()] == ["Hello", "Your mail filter has failed"]


def test_a_fault_of_our_own_keeps_the_message(post, monkeypatch, caplog):
    """Whatever breaks while a script is followed, the message is in the Inbox, and nothing else was done."""

    def broken(case, _):
        case.send(b"half", "", {OUTSIDE: {}})
        raise ZeroDivisionError

    monkeypatch.setattr(effects, "store", broken)
    add_script(post.house, 'require "fileinto"; fileinto "Archive";')
    post.arrive(letter())

    assert only(post) == (["Inbox"], [])
    assert post.queued() == []
    assert "could not be followed" in caplog.text


@pytest.mark.parametrize(
    "script",
    [
        'require "include"; include "self";',
        'require "variables"; set "a" "xxxxxxxxxxxxxxxx"; %s' % ('set "a" "${a}${a}${a}${a}";' * 200),
        'if header :matches "subject" "%s" { discard; }' % ("*a" * 500 + "b"),
    ],
)  # fmt: skip
def test_hostile_scripts_cost_little(post, script):
    """Circles of scripts, growing values, patterns: stopped, and the message is kept."""
    add_script(post.house, script, "self")
    post.arrive(letter(subject="a" * 900))

    assert post.emails()[0][1] == ["Inbox"]


def test_recipients_share_the_time(post):
    """Many addresses of one account hold up everybody else no longer than one: the write lock is held meanwhile."""
    slow = "".join(f'if body :raw :regex "(a|aa|a?)*(a|b)*{i}(a.*){{20}}$" {{ discard; }}' for i in range(80))
    add_script(post.house, f'require ["regex", "body"]; {slow}')
    started = time.monotonic()
    post.arrive(letter(body="a" * 4_000_000), *(f"alice+{i}@example.com" for i in range(20)))

    assert time.monotonic() - started < 10 * LIMITS.seconds
    assert [place for _, place, _ in post.emails()] == [["Inbox"], ["Inbox"]]  # the message, and what went wrong


GREEDY = (
    'require ["fileinto", "mailbox", "variables", "vacation", "enotify", "editheader", "imap4flags", "copy"];\r\n'
    'if header :matches "subject" "*" { set "s" "${1}"; addheader "X-Subject" "${1}"; addflag "${1}";\r\n'
    'vacation :subject "Re: ${1}" "Away: ${1}"; }\r\n'
    f'notify :message "${{s}}" "mailto:{OUTSIDE}"; redirect :copy "{OUTSIDE}"; fileinto :create "Box/${{s}}";\r\n'
)
BEGINNINGS = st.sampled_from([b"", b"Subject: x\r\n\r\n", b"Subject: =?utf-8?q?", b"From: a@b\r\nSubject:", b"\r\n"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BEGINNINGS, st.binary(max_size=300), st.text(max_size=20), st.text(max_size=40))
def test_whatever_arrives_is_there(post, beginning, octets, sender, subject):
    """Any octets from any sender, by a script that uses them for all it can: the message is stored, once."""
    if "GREEDY" not in scripts(post.house):
        add_script(post.house, GREEDY, "GREEDY")
    before = len(post.emails())
    raw = beginning + subject.encode("utf-8", "replace") + octets
    post.arrive(raw, sender=sender)

    added = [places for found, places, _ in post.emails()[before:] if found != "Your mail filter has failed"]
    assert len(added) == 1


def test_a_user_who_is_gone(post):
    """A recipient whose account was removed after RCPT is refused, the others have their message."""
    from minijmap.sieve.arrival import Arriving, Recipient

    arriving = Arriving(letter(), STRANGER, (Recipient(999, "x@example.com"), Recipient(1, ALICE)), 0)
    settled = post.arrivals.deliver(post.house.database, arriving)

    assert [one.refusal and one.refusal.status for one in settled.outcomes] == ["5.1.1", None]
    assert only(post) == (["Inbox"], [])


def test_a_changed_script_is_obeyed_at_once(post):
    """The cache knows scripts by their contents."""
    script = add_script(post.house, "discard;", "mine")
    post.arrive(letter())
    set_scripts(post.house, update={script: {"blobId": upload(post.house, "keep;")}})
    post.arrive(letter())

    assert scripts(post.house)["mine"]["isActive"]
    assert only(post) == (["Inbox"], [])
