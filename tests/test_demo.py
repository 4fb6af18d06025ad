"""The demo mail: the same every time, well formed by the standard library's own parser, and of every sort."""

import email
import email.policy
import re
import time
import zlib
from collections import Counter
from functools import cache

from minijmap.contacts import media
from minijmap.contacts.jscontact import check_card
from minijmap.demo import DAY, DEMO_ACCOUNTS, demo_cards, demo_messages

NOW = 1_795_515_072_345


@cache
def messages():
    """The demo messages of the default seed."""
    return tuple(demo_messages(now_ms=NOW))


@cache
def parsed():
    """The same, read by the standard library."""
    return tuple(email.message_from_bytes(message.raw, policy=email.policy.default) for message in messages())


def parts(content_type):
    """Every part of a type in all messages."""
    return [part for message in parsed() for part in message.walk() if part.get_content_type() == content_type]


def test_the_same_seed_gives_the_same_octets():
    """Two runs at the same moment are equal; another seed isn't."""
    assert tuple(demo_messages(1, now_ms=NOW)) == messages()
    assert tuple(demo_messages(2, now_ms=NOW)) != messages()


def test_there_is_enough_in_every_folder():
    """Some three hundred messages lie in all the folders that have a role."""
    roles = Counter(message.folder_role for message in messages())

    assert 280 <= len(messages()) <= 330
    assert set(roles) == {"inbox", "sent", "drafts", "archive", "junk", "trash"}
    assert roles["inbox"] > 100


def test_they_arrived_in_the_last_half_year_in_order():
    """No message is from the future, the oldest is about half a year old, the newest of today, and each Date agrees."""
    moments = [message.received_at for message in messages()]

    assert moments == sorted(moments)
    assert NOW - 200 * DAY < moments[0] < NOW - 150 * DAY
    assert NOW - DAY < moments[-1] <= NOW
    assert [int(message["Date"].datetime.timestamp()) * 1000 for message in parsed()] == moments


def test_every_message_is_well_formed():
    """Headers are ASCII, lines are short and end with CRLF, and the standard library finds no defect."""
    for message in messages():
        head, _, _ = message.raw.partition(b"\r\n\r\n")
        assert head.isascii()
        assert max(map(len, message.raw.split(b"\r\n"))) <= 998
        assert b"\n" not in message.raw.replace(b"\r\n", b"")
    for message in parsed():
        assert [part.defects for part in message.walk() if part.defects] == []
        assert [name for name, value in message.items() if value.defects] == []


def test_only_example_domains_are_named():
    """No address, link or identifier belongs to anybody."""
    domains = set()
    for message in parsed():
        for part in message.walk():
            text = part.get_content() if part.get_content_maintype() == "text" else ""
            headers = " ".join(str(value) for name, value in part.items())
            domains.update(re.findall(r"(?:@|https?://)([\w.-]+)", f"{headers} {text}"))

    assert {".".join(domain.strip(".").split(".")[-2:]) for domain in domains} == {
        "example.com",
        "example.org",
        "example.net",
    }


def test_message_ids_are_distinct_and_references_known():
    """Every reference of a conversation leads to a message that is there."""
    known = [message["Message-ID"] for message in parsed()]
    referred = {identifier for message in parsed() for identifier in str(message["References"] or "").split()}

    assert len(set(known)) == len(known)
    assert referred <= set(known)


def test_there_is_a_long_conversation_and_many_short_ones():
    """One conversation has more than thirty messages, and a dozen have a few."""
    first = Counter(str(message["References"] or message["Message-ID"]).split()[0] for message in parsed())
    sizes = sorted(first.values())

    assert sizes[-1] == 36
    assert sum(3 <= size <= 7 for size in sizes) >= 20


def test_keywords_are_mixed():
    """There is read and unread, flagged and answered mail, and each draft is one."""
    keywords = Counter(keyword for message in messages() for keyword in message.keywords)
    drafts = [message for message in messages() if "$draft" in message.keywords]

    assert {"$seen", "$flagged", "$answered", "$draft", "$junk"} == set(keywords)
    assert 25 <= len(messages()) - keywords["$seen"] <= 120
    assert {message.folder_role for message in drafts} == {"drafts"}


def test_every_sort_of_part_is_there():
    """Alternatives, pictures inside and beside, documents, tables, invitations and whole messages occur."""
    types = Counter(part.get_content_type() for message in parsed() for part in message.walk())
    expected = {
        "multipart/mixed", "multipart/alternative", "multipart/related", "text/plain", "text/html", "text/csv",
        "text/calendar", "image/png", "application/pdf", "application/ics", "message/rfc822",
    }  # fmt: skip

    assert set(types) == expected
    assert len([part for part in parts("image/png") if part["Content-ID"]]) >= 20
    assert parts("text/calendar")[0].get_param("method") == "REQUEST"


def test_texts_are_in_many_scripts_and_charsets():
    """Old character sets and every script survive the way through the message."""
    charsets = {part.get_content_charset() for part in parts("text/plain")}
    text = " ".join(part.get_content() for part in parts("text/plain")) + " ".join(
        str(message["Subject"]) for message in parsed()
    )

    assert charsets >= {"utf-8", "iso-2022-jp", "koi8-r", "windows-1251", "iso-8859-8", "iso-8859-1"}
    assert all(
        word in text for word in ("Καλημέρα", "お花見", "دعوة", "שלום", "Шахматы", "שלום", "Grüße", "🎂", "दीपावली")
    )


def test_names_of_people_and_files_survive():
    """Names with commas, and file names that aren't ASCII, are read back as they were."""
    names = {address.display_name for message in parsed() for address in message["From"].addresses}
    files = {part.get_filename() for message in parsed() for part in message.walk()}

    assert {"Hazel, Hugh (treasurer)", "桜井 ゆき", "Zoë Mühlbauer"} <= names
    assert {"Verbrauch für Alice.csv", "Foto №1.png", "invite.ics"} <= files


def test_pictures_and_documents_are_what_they_say():
    """A picture has the pixels its head announces, and a document's table points at its objects."""
    for part in parts("image/png"):
        octets = part.get_content()
        width, height = int.from_bytes(octets[16:20]), int.from_bytes(octets[20:24])
        size = int.from_bytes(octets[33:37])
        assert len(zlib.decompress(octets[41 : 41 + size])) == height * (1 + 3 * width)
    for part in parts("application/pdf"):
        octets = part.get_content()
        start = int(octets.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
        places = [int(line[:10]) for line in octets[start:].splitlines()[3:8]]
        assert [octets[place : place + 7] for place in places] == [b"%d 0 obj" % number for number in range(1, 6)]


def test_the_accounts_have_passwords_nobody_must_look_up():
    """Alice's password is alice."""
    assert [(account.address, account.password) for account in DEMO_ACCOUNTS] == [
        ("alice@example.com", "alice"),
        ("bob@example.com", "bob"),
        ("carol@example.com", "carol"),
    ]


def test_contacts_are_cards():
    """Each is one by JSContact's own rules; one has a photo, and the group's members are there."""
    cards = list(demo_cards())
    (group,) = [card for card in cards if card.get("kind") == "group"]
    (photo,) = [one for card in cards for one in card.get("media", {}).values()]

    assert [check_card(card) for card in cards] == cards == list(demo_cards())
    assert len(cards) == len({card["uid"] for card in cards}) == 11
    assert set(group["members"]) < {card["uid"] for card in cards}
    assert media.sniff(media.parse_data(photo["uri"]).octets) == "image/png"


def test_a_start_does_not_wait_for_it():
    """All of it is composed in a fraction of a second (0.1 s on a laptop; the limit leaves room for small machines)."""
    taken = []
    for seed in range(3):
        start = time.process_time()
        list(demo_messages(seed, now_ms=NOW))
        taken.append(time.process_time() - start)

    assert min(taken) < 1.0
