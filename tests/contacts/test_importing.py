"""Importing vCards: repeatable, by uid, taking what it can and naming the rest by its line."""

import base64
import json

import pytest

from minijmap.contacts import cards, importing, media
from minijmap.contacts.cardtovcard import vcard_of
from minijmap.contacts.importing import Wish, import_cards, shown
from minijmap.store import limits
from tests.contacts.household import (
    ALICE,
    PNG,
    add,
    change,
    damage,
    default_book,
    download,
    make_book,
    named,
    new_account,
    query,
    set_card,
)
from tests.contacts.vcards import GOLDEN, vcard

JOE = ("UID:joe", "FN:Joe Bloggs", "EMAIL:joe@example.com")
PHOTO = f"PHOTO:data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.fixture
def bring(house, tmp_path):
    """A function that imports octets as Alice: (imported, already there, failures, notes), places without the path."""
    path = tmp_path / "book.vcf"

    def bring(*octets, **wish):
        path.write_bytes(b"".join(octets))
        done = list(import_cards(house.database, house.users[ALICE].account, path, Wish(**wish), int(house.now * 1000)))
        assert sum(one.octets for one in done) == path.stat().st_size

        def short(told):
            return [(where.removeprefix(f"{path}:"), sentence) for where, sentence in told]

        return (
            sum(one.imported for one in done), sum(one.already_there for one in done),
            [one for progress in done for one in short(progress.failures)],
            [one for progress in done for one in short(progress.notes)],
        )  # fmt: skip

    yield bring
    assert damage(house) == []


def everything(house, user=ALICE):
    """Every card of a user, by uid."""
    return {one["uid"]: one for one in house.call("ContactCard/get", {}, user)["list"]}


def state(house):
    """The state of Alice's cards."""
    return house.call("ContactCard/get", {"ids": []})["state"]


# Once and again


def test_cards_go_to_the_default_book(house, bring):
    """They are found at once; what the file does not say of when is the time of the import."""
    house.announced.clear()

    assert bring(vcard(*JOE), vcard("UID:ann", "FN:Ann", "REV:20240102T030405Z", PHOTO)) == (2, 0, [], [])

    found = everything(house)
    assert found["joe"]["addressBookIds"] == {default_book(house): True}
    assert (found["joe"]["created"], found["joe"]["updated"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")
    assert (found["ann"]["created"], found["ann"]["updated"]) == ("2026-01-01T00:00:00Z", "2024-01-02T03:04:05Z")
    (photo,) = found["ann"]["media"].values()
    assert download(house, photo["blobId"]) == PNG
    assert query(house, {"email": "joe@example.com"}) == [found["joe"]["id"]]
    (announced,) = house.announced
    assert announced[house.users[ALICE].account].keys() == {"ContactCard"}


def test_a_second_import_changes_nothing(house, bring):
    """The same content is there already, and no state moves; another program's name and date are no content."""
    first = vcard(*JOE, PHOTO, "PRODID:-//A//1//EN"), vcard("FN:Ann")
    assert bring(*first) == (2, 0, [], [])
    before = state(house)
    house.now += 60

    assert bring(*first) == (0, 2, [], [])
    assert bring(vcard(*JOE, PHOTO, "PRODID:-//A//2//EN", "REV:20300101T000000Z")) == (0, 1, [], [])
    assert bring(*first, replace=True) == (0, 2, [], [])
    assert bring(vcard("UID:new", "FN:New"), *first) == (1, 2, [], [])
    assert state(house) != before
    assert len(everything(house)) == 3


def test_cards_without_uid_are_known_by_their_content(house, bring):
    """Twice in a file is once; with other content it is somebody else (RFC 9555 §2.1.1)."""
    assert bring(vcard("FN:Ann"), vcard("FN:Ann"), vcard("FN:Ann", "NOTE:another")) == (2, 1, [], [])
    assert len(everything(house)) == 2


def test_an_export_of_the_account_is_there_already(house, bring):
    """Every card of RFC 9553 and RFC 9610 that a client has made, written as vCard and read again, is the same."""
    golden = sorted((GOLDEN / "rfc9553").glob("*.json"))
    made = [json.loads(file.read_bytes()) for file in golden]
    made += [
        {"name": named("Joe", "Bloggs"), "media": {"m": {"kind": "photo", "uri": PHOTO.removeprefix("PHOTO:")}}},
        {"kind": "group", "members": {"joe": True}, "name": {"full": "Club"}, "keywords": {"a": True}},
        {"name": {"full": "Z"}, "localizations": {"de": {"name/full": "Zett"}}, "example.com:x": [1, True, 1.5]},
    ]
    for number, card in enumerate(made):
        own = {name: value for name, value in card.items() if name not in ("id", "addressBookIds")}
        add(house, {**own, "uid": f"urn:x:{number}"})
    with house.database.read() as reader:
        account = house.users[ALICE].account
        octets = [vcard_of(media.inline(reader, account, one.card)) for one in cards.cards(reader, account)]

    assert bring(*octets) == (0, len(made), [], [])


# What is there and different


def test_a_newer_card_of_the_file_replaces(house, bring):
    """REV against `updated`: the card keeps its id, its address books and when it was made."""
    work = make_book(house)
    bring(vcard(*JOE))
    before = everything(house)["joe"]
    change(house, before["id"], {f"addressBookIds/{work}": True})

    assert bring(vcard("UID:joe", "FN:Joseph", "REV:20260101T000001Z")) == (1, 0, [], [])

    after = everything(house)["joe"]
    assert after["name"] == {"full": "Joseph"}
    assert "emails" not in after
    assert after["updated"] == "2026-01-01T00:00:01Z"
    assert (after["id"], after["created"]) == (before["id"], before["created"])
    assert after["addressBookIds"] == {default_book(house): True, work: True}


@pytest.mark.parametrize("rev", [(), ("REV:20260101T000000Z",), ("REV:20250101T000000Z",), ("REV:yesterday",)])
def test_a_card_that_is_not_newer_stays_out(house, bring, rev):
    """No REV, the same second or an older one: what is there stays, and is told with line and name."""
    bring(vcard(*JOE))
    before, since = everything(house), state(house)
    house.now += 60

    assert bring(vcard("FN:X", "UID:x"), vcard("UID:joe", "FN:Joseph", *rev)) == (
        1, 1, [], [("6", "“Joseph” differs from the card that is there, which stays.")],
    )  # fmt: skip
    assert everything(house)["joe"] == before["joe"]
    assert state(house) != since


def test_replace_takes_the_file(house, bring):
    """Whatever the dates say; what only the file's card has no more is gone, its blobs too."""
    bring(vcard(*JOE, PHOTO))
    (photo,) = everything(house)["joe"]["media"].values()

    assert bring(vcard("UID:joe", "FN:Joseph", "REV:20200101T000000Z"), replace=True) == (1, 0, [], [])

    joe = everything(house)["joe"]
    assert (joe["name"], joe["updated"]) == ({"full": "Joseph"}, "2020-01-01T00:00:00Z")
    assert joe.keys().isdisjoint(("media", "emails"))
    house.an_hour_later()
    assert download(house, photo["blobId"]) is None


def test_what_a_client_has_changed_stays(house, bring):
    """Importing the same file again does not undo what was done since."""
    joe = vcard(*JOE, "REV:20251231T000000Z")
    bring(joe)
    house.now += 60
    change(house, everything(house)["joe"]["id"], {"notes": {"n": {"note": "mine"}}})

    imported, there, failures, notes = bring(joe)

    assert (imported, there, failures, len(notes)) == (0, 1, [], 1)
    assert everything(house)["joe"]["notes"]["n"]["note"] == "mine"


def test_another_photo_is_another_content(bring):
    """Of the media the octets count, and what the file says of them."""
    other = f"PHOTO:data:image/png;base64,{base64.b64encode(PNG + b'x').decode()}"
    bring(vcard(*JOE, PHOTO))

    assert bring(vcard(*JOE, PHOTO)) == (0, 1, [], [])
    assert len(bring(vcard(*JOE, other))[3]) == 1
    assert len(bring(vcard(*JOE, PHOTO.replace("PHOTO", "PHOTO;PREF=1")))[3]) == 1
    assert len(bring(vcard(*JOE, "PHOTO:https://example.com/joe.png"))[3]) == 1


def test_one_file_may_have_a_card_twice(house, bring):
    """The newer one is kept, whichever comes first."""
    old, new = vcard("UID:a", "FN:Old", "REV:20240101T000000Z"), vcard("UID:a", "FN:New", "REV:20250101T000000Z")
    assert bring(old, new) == (2, 0, [], [])
    assert everything(house)["a"]["name"] == {"full": "New"}
    set_card(house, destroy=[everything(house)["a"]["id"]])
    assert bring(new, old)[:2] == (1, 1)
    assert everything(house)["a"]["name"] == {"full": "New"}


# Address books


def test_a_book_by_name(house, bring):
    """One that is there is used, one that is not is made with the first card that needs it, and only then."""
    work = make_book(house, "Work")

    assert bring(vcard(*JOE), book="Work") == (1, 0, [], [])
    assert bring(vcard(*JOE), book="Never") == (0, 1, [], [])
    assert bring(vcard("FN:Ann"), vcard("FN:Ben"), book="Büro – 1/2") == (2, 0, [], [])

    books = {one["name"]: one["id"] for one in house.call("AddressBook/get")["list"]}
    assert books.keys() == {"Contacts", "Work", "Büro – 1/2"}
    assert everything(house)["joe"]["addressBookIds"] == {work: True}
    assert len(query(house, {"inAddressBook": books["Büro – 1/2"]})) == 2


def test_a_made_book_is_told(house, bring):
    """/changes has it, and the only other one, which may be deleted from now on."""
    before = house.call("AddressBook/get", {"ids": []})["state"]
    bring(vcard(*JOE), book="New")
    changes = house.call("AddressBook/changes", {"sinceState": before})
    assert (len(changes["created"]), changes["updated"]) == (1, [default_book(house)])


def test_too_many_books_fail_card_by_card(bring, monkeypatch):
    """A limit is a sentence for each card that has no place."""
    monkeypatch.setattr("minijmap.contacts.addressbook.MOST_BOOKS", 1)
    imported, there, failures, _ = bring(vcard(*JOE), vcard("FN:Ann"), book="Work")
    assert (imported, there) == (0, 0)
    assert failures == [
        ("1", "“Joe Bloggs”: An account may have 1 address books."),
        ("7", "“Ann”: An account may have 1 address books."),
    ]


# What fails


def test_broken_cards_are_named_and_the_rest_goes_on(house, bring):
    """Between good ones: no END, no property, too many languages (RFC 9553 §2.7.1), text outside of any card."""
    good = [vcard(f"UID:{number}", f"FN:{number}") for number in range(4)]
    broken = b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:no end\r\n"
    junk = b"BEGIN:VCARD\r\nVERSION:4.0\r\nnothing\r\nEND:VCARD\r\n"
    tongues = vcard("LANGUAGE:en", "NOTE;ALTID=1:x", *(f"NOTE;ALTID=1;LANGUAGE=x-{one}:y" for one in range(51)))

    imported, there, failures, _ = bring(good[0], broken, good[1], junk, good[2], b"hello\r\n", tongues, good[3])

    assert (imported, there) == (4, 0)
    assert [where for where, _ in failures] == ["6", "16", "23", "24"]
    assert all(sentence.endswith(".") for _, sentence in failures)
    assert everything(house).keys() == set("0123")
    assert bring(*good) == (0, 4, [], [])


def test_what_the_store_refuses_is_named(house, bring):
    """Too large a card, told with its name; the others of the same batch are there, each once."""
    notes = [f"NOTE:{number}{'x' * 100_000}" for number in range(11)]

    imported, there, failures, _ = bring(
        vcard("UID:a", "FN:A"), vcard("UID:big", "FN:Big\\, very", *notes), vcard("UID:b", "FN:B", PHOTO)
    )

    assert (imported, there) == (2, 0)
    ((where, sentence),) = failures
    assert where == "6"
    assert sentence == "“Big, very”: A card may have at most 1000000 octets without its media."
    assert everything(house).keys() == {"a", "b"}


def test_a_blob_that_is_not_there_is_named(house, bring):
    """A vCard can name one (RFC 9555 §3.2.1), or a part of one; only the account's own are taken."""
    joe = vcard("UID:joe", "FN:Joe", PHOTO)
    bring(joe)
    (photo,) = everything(house)["joe"]["media"].values()

    def patch(blob):
        return f'JSPROP;JSPTR="media":{{"m":{{"kind":"photo"\\,"blobId":"{blob}"}}}}'

    imported, there, failures, _ = bring(
        *(vcard(f"UID:{n}", "FN:Ann", patch(f"b{40 * '0'}{part}")) for n, part in enumerate(("", "-0-10-n"))),
        vcard("UID:own", "FN:Own", patch(photo["blobId"])),
    )

    assert (imported, there) == (1, 0)
    assert [where for where, _ in failures] == ["1", "7"]
    assert all("there is no blob" in sentence for _, sentence in failures)
    assert everything(house)["own"]["media"]["m"]["blobId"] == photo["blobId"]


def test_a_full_account_takes_what_has_no_photo(house, bring):
    """Each photo that does not fit is a failure, and is taken when there is room."""
    account = house.users[ALICE].account
    house.database.write(lambda tx: limits.set_own(tx, account, len(PNG) + 10))
    octets = [vcard(f"UID:{n}", f"FN:Number {n}", PHOTO if n == 1 else "NOTE:x") for n in range(3)]
    more = vcard("UID:3", "FN:Number 3", f"PHOTO:data:image/png;base64,{base64.b64encode(PNG + b'more').decode()}")

    imported, there, failures, _ = bring(*octets, more)

    assert (imported, there) == (3, 0)
    ((where, sentence),) = failures
    assert where == "19"
    assert sentence.startswith("“Number 3”: there is no room for it. The account may use ")
    house.database.write(lambda tx: limits.set_own(tx, account, 10_000))
    assert bring(*octets, more) == (1, 3, [], [])


def test_a_file_that_cannot_be_read(house, tmp_path):
    """It is a failure, with what the system says."""
    account = house.users[ALICE].account
    (done,) = import_cards(house.database, account, tmp_path / "none.vcf", Wish(), 0)
    assert done.failures == [(str(tmp_path / "none.vcf"), "No such file or directory.")]


def test_an_interrupted_import_is_taken_up(house, bring, monkeypatch):
    """What a batch has counted is on disk; the rest comes next time, and nothing twice."""
    octets = [vcard(f"UID:{number}", f"FN:{number}") for number in range(150)]
    real = importing.card_of

    def breaking(lines, number):
        if number == 1 + 5 * 120:
            raise KeyboardInterrupt
        return real(lines, number)

    monkeypatch.setattr(importing, "card_of", breaking)
    with pytest.raises(KeyboardInterrupt):
        bring(*octets)
    assert len(everything(house)) == 100
    monkeypatch.undo()
    assert bring(*octets) == (50, 100, [], [])


# Batches


def test_batches_are_bounded_by_count_and_octets(house, tmp_path, monkeypatch):
    """Each is told of when it is on disk; the octets add up to the file."""
    monkeypatch.setattr(importing, "BATCH_CARDS", 3)
    monkeypatch.setattr(importing, "BATCH_OCTETS", 600)
    path = tmp_path / "book.vcf"
    path.write_bytes(b"".join([vcard("FN:x", f"NOTE:{'x' * (700 if n == 4 else n)}") for n in range(8)]) + b"\r\njunk")
    account = house.users[ALICE].account
    told = []
    for progress in import_cards(house.database, account, path, Wish(), 0):
        told.append((progress.imported, len(progress.failures)))
        assert len(everything(house)) == sum(imported for imported, _ in told)
    assert told == [(3, 0), (2, 0), (3, 0), (0, 1)]


def test_an_empty_file_has_no_cards(bring):
    """An address book that is empty is no failure."""
    assert bring(b"") == (0, 0, [], [])


def test_accounts_have_nothing_to_do_with_each_other(house, bring, tmp_path):
    """The same uid may be in both."""
    bring(vcard(*JOE))
    other = house.users[new_account(house, "eve@example.com")].account
    (done,) = import_cards(house.database, other, tmp_path / "book.vcf", Wish(), 0)
    assert (done.imported, done.already_there) == (1, 0)


@pytest.mark.parametrize(
    ("card", "text"),
    [
        ({"name": {"full": " Joe "}}, "“Joe”"),
        ({"name": named("Joe", "Bloggs")}, "“Joe Bloggs”"),
        ({"name": {"full": " "}, "organizations": {"o": {"units": []}, "p": {"name": "Acme"}}}, "“Acme”"),
        ({"emails": {"e": {"address": "a@b.example"}}}, "“a@b.example”"),
        ({"nicknames": {"n": {"name": "x" * 65}}}, f"“{'x' * 64}…”"),
        ({}, "“u”"),
    ],
)
def test_a_card_is_called_by_what_people_know(card, text):
    """Its name, or the next best thing that it has."""
    assert shown({"uid": "u", **card}) == text
