"""Files as well-known programs export them, written here in each one's form, and the Cards that a client gets of them."""

import json
import re

import pytest

from minijmap.contacts import jscontact
from minijmap.contacts.vcardfile import cards_in
from minijmap.contacts.vcardtocard import card_of
from tests.contacts.vcards import GOLDEN, same

PROGRAMS = sorted(path.stem for path in (GOLDEN / "programs").glob("*.vcf"))
# What a Card says in other words: media types, dates in digits, names of types and of Apple's labels.
OTHER_WORDS = {
    *("ANNIVERSARY", "APPLE", "BDAY", "COMPANY", "GEO", "JSPROP", "KEY", "N", "PHOTO", "REV", "VERSION", "X-ABDATE"),
    *("CREATED", "X-ABADR", "X-ABLABEL", "X-ABSHOWAS", "X-MS-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY"),
    *("X-ANDROID-CUSTOM",),
}
WORD = re.compile(r"\w{3,}")


def octets(name):
    """The file of a program."""
    return (GOLDEN / "programs" / f"{name}.vcf").read_bytes()


def cards(name):
    """The Cards of a program's file."""
    return [card_of(raw.lines, raw.number) for raw in cards_in(octets(name))]


def test_every_program_has_both_files():
    """Eleven programs and versions, each with its Cards."""
    assert len(PROGRAMS) == 11
    assert sorted(path.stem for path in (GOLDEN / "programs").glob("*.json")) == PROGRAMS


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_programs_file_is_its_cards(name):
    """Each name, phone, address, date and photo is where a client of JSContact looks for it."""
    assert cards(name) == json.loads((GOLDEN / "programs" / f"{name}.json").read_text())


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_word_of_a_programs_file_is_lost(name):
    """Whatever a value says is in the Card, if only in vCardProps."""
    for raw in cards_in(octets(name)):
        said = json.dumps(card_of(raw.lines, raw.number), ensure_ascii=False).replace("\\n", " ").replace("\\\\,", ",")
        for line in raw.lines:
            if line.name not in OTHER_WORDS:
                value = re.sub(r"\\[nN]|urn:uuid:", " ", line.value)
                assert [word for word in WORD.findall(value) if word.lower() not in said.lower()] == [], line


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_programs_cards_come_back_from_vcard(name):
    """What was read goes to vCard 4.0 and comes back as it was."""
    for card in cards(name):
        same(card)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_programs_file_gives_the_same_cards_each_time(name):
    """Importing a file twice makes no second card: the uid is the same where the file has none."""
    assert [card["uid"] for card in cards(name)] == [card["uid"] for card in cards(name)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_programs_file_needs_no_particular_line_ends(name):
    """LF, CR and the CR CR LF that Windows makes of CRLF are all line ends."""
    wanted = cards(name)
    for end in (b"\n", b"\r", b"\r\r\n"):
        raws = cards_in(octets(name).replace(b"\r\n", end))
        assert [card_of(raw.lines) for raw in raws] == wanted


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "outlook-2.1"])
def test_a_programs_file_may_be_in_utf_16(name):
    """Somebody has saved the file anew, as Windows does by default."""
    text = octets(name).decode()
    for codec in ("utf-16", "utf-16-le", "utf-16-be"):
        assert [card_of(raw.lines) for raw in cards_in(text.encode(codec))] == cards(name)


def test_cards_of_programs_are_cards():
    """JSContact agrees with every one."""
    for name in PROGRAMS:
        for card in cards(name):
            assert jscontact.check_card(card) == card
