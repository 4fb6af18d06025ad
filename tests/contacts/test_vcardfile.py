"""The vCards of a file: line ends, folding, encodings, what is broken, and what somebody hostile sends."""

import base64
import contextlib
import io
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.contacts.vcardfile import CHUNK, BrokenCard, Limits, RawCard, cards_in, read_cards
from minijmap.contacts.vcardlines import VCardError
from minijmap.contacts.vcardtocard import card_of
from tests.contacts.vcards import GOLDEN, vcard

SMALL = Limits(line=1000, card=3000, lines=20, depth=2)
FILES = [path.read_bytes() for path in sorted((GOLDEN / "programs").glob("*.vcf"))]
PHOTO = base64.b64encode(b"\xff\xd8\xff" + bytes(range(256)) * 4)


def said(octets, limits=None):
    """What a file has: for each card its names and values, or its line and sentence."""
    found = read_cards(io.BytesIO(octets), limits) if limits else cards_in(octets)
    return [
        (one.number, one.sentence)
        if isinstance(one, BrokenCard)
        else [(line.name, line.value) for line in one.lines if line.name != "VERSION"]
        for one in found
    ]


def file(*lines, end="\r\n"):
    """A file of these lines."""
    return end.join((*lines, "")).encode()


ADA = [("FN", "Ada")]
BOB = [("FN", "Bob")]


# What is fine


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\r\r\n"])
def test_any_line_end_is_one(end):
    """CRLF, those of Unix and of old Macs, and what Windows makes of CRLF."""
    octets = file("BEGIN:VCARD", "FN:A", " da", "END:VCARD", end=end)
    assert said(octets * 2) == [ADA, ADA]


@pytest.mark.parametrize(
    "octets",
    [
        b"BEGIN:VCARD\nFN:Ada\nEND:VCARD",
        b"\xef\xbb\xbfBEGIN:VCARD\nFN:Ada\nEND:VCARD\n",
        b"\n\n  \n\nBEGIN:VCARD\n\n\nFN:Ada\n\nEND:VCARD\n\n\n",
        b"begin:vcard\nfn:Ada\nend:vcard\n",
        b"BEGIN:VCARD  \nFN:Ada\nEND:VCARD\t\n",
        b"BEGIN:VCARD\nFN:\0Ada\0\nEND:VCARD\n",
        "BEGIN:VCARD\r\nFN:Ada\r\nEND:VCARD\r\n".encode("utf-16"),
        "BEGIN:VCARD\r\nFN:Ada\r\nEND:VCARD\r\n".encode("utf-16-le"),
        "begin:vcard\nFN:Ada\nEND:VCARD\n".encode("utf-16-be"),
    ],
)
def test_a_file_may_begin_and_end_in_many_ways(octets):
    """No line end at the end, marks of the octets' order, empty lines, small letters, NULs, UTF-16."""
    assert said(octets) == [ADA]


def test_files_put_one_after_the_other_have_marks_between():
    """Somebody has joined files that begin with the mark of UTF-8."""
    one = b"\xef\xbb\xbf" + vcard("FN:Ada", version="3.0")
    assert said(one * 3) == [ADA] * 3


def test_an_empty_file_has_no_card():
    """Nor has one of empty lines."""
    assert said(b"") == said(b"\r\n\r\n") == said(b"\xef\xbb\xbf") == []


def test_a_line_is_unfolded_even_inside_of_a_character():
    """RFC 6350 §3.2: octets are folded by old programs, not characters."""
    octets = "BEGIN:VCARD\r\nNOTE:Müller und Söhne\r\nEND:VCARD\r\n".encode()
    at = octets.index("ü".encode()) + 1
    folded = octets[:at] + b"\r\n " + octets[at:]
    assert said(folded) == [[("NOTE", "Müller und Söhne")]]


def test_one_blank_of_a_folded_line_is_the_fold():
    """What comes after it is text."""
    assert said(file("BEGIN:VCARD", "NOTE:one", "  two", "\t three", "END:VCARD")) == [[("NOTE", "one two three")]]


def test_the_line_ends_of_crlf_are_never_torn_apart():
    """Wherever the file is cut into pieces while it is read, the lines have the same numbers."""
    for size in range(CHUNK - 60, CHUNK - 20):
        octets = b"BEGIN:VCARD\r\nNOTE:" + b"x" * size + b"\r\r\nFN:Ada\r\nEND:VCARD\r\nrubbish\r\n"
        assert said(octets)[1] == (5, "it is outside of any vCard.")


def test_what_was_read_is_told_in_octets():
    """Together they are the file, so that progress can be shown."""
    octets = vcard("FN:Ada") + b"rubbish\n" + vcard("FN:Bob")
    found = cards_in(octets)
    assert [type(one) for one in found] == [RawCard, BrokenCard, RawCard]
    assert sum(one.octets for one in found) == len(octets)


# vCard 2.1


def test_a_fold_after_an_equals_sign_is_no_soft_break():
    """Quoted-printable is what an encoding is, not what a parameter speaks of."""
    for parameter in ("X-WAS=QUOTED-PRINTABLE", 'X-WAS="2;ENCODING=QUOTED-PRINTABLE"', "ENCODING=QUOTED-PRINTABLE="):
        octets = file("BEGIN:VCARD", f"NOTE;{parameter}:a=", " b", "END:VCARD")
        assert said(octets) == [[("NOTE", "a=b")]]


@pytest.mark.parametrize("indent", ["", " "])
def test_base64_goes_on_to_an_empty_line(indent):
    """Whether or not its lines are indented."""
    lines = [indent + PHOTO[at : at + 70].decode() for at in range(0, len(PHOTO), 70)]
    octets = file("BEGIN:VCARD", "PHOTO;JPEG;ENCODING=BASE64:", *lines, "", "FN:Ada", "END:VCARD")
    assert said(octets) == [[("PHOTO", PHOTO.decode()), *ADA]]


def test_quoted_printable_goes_on_after_a_soft_break():
    """In the next line, whatever that looks like; blanks after the equals sign are nothing."""
    octets = file(
        "BEGIN:VCARD", "NOTE;ENCODING=QUOTED-PRINTABLE:a=", "FN:b=20= ", " c=0D=0A=", "", "FN:Ada", "END:VCARD"
    )
    assert said(octets) == [[("NOTE", "aFN:b  c\\n"), *ADA]]


def test_a_soft_break_at_the_end_of_a_card_is_none():
    """Programs that cut a text off leave one there."""
    octets = file("BEGIN:VCARD", "FN:Ada", "NOTE;ENCODING=QUOTED-PRINTABLE:a=", "END:VCARD")
    assert said(octets + vcard("FN:Bob")) == [[*ADA, ("NOTE", "a")], BOB]


def test_a_value_may_end_in_an_equals_sign():
    """Only quoted-printable goes on after one."""
    assert said(file("BEGIN:VCARD", "NOTE:1+1=", "FN:Ada", "END:VCARD")) == [[("NOTE", "1+1="), *ADA]]


def test_the_agent_has_a_card_inside():
    """RFC 2426 §3.5.4: its text is the value."""
    agent = ("AGENT:", "BEGIN:VCARD", "FN:Eve", "END:VCARD")
    octets = file("BEGIN:VCARD", "FN:Ada", *agent, "NOTE:x", "END:VCARD")
    assert said(octets) == [[*ADA, ("AGENT", "BEGIN:VCARD\\nFN:Eve\\nEND:VCARD"), ("NOTE", "x")]]


def test_agents_are_inside_of_one_another_as_deep_as_is_allowed():
    """Beyond that the whole card is broken, and the next one is read."""
    deep = file("BEGIN:VCARD", "FN:x", *("AGENT:", "BEGIN:VCARD") * 2, *("END:VCARD",) * 3)
    assert [type(one) for one in read_cards(io.BytesIO(deep), SMALL)] == [RawCard]
    deep = file("BEGIN:VCARD", "FN:x", *("AGENT:", "BEGIN:VCARD") * 3, *("END:VCARD",) * 4)
    sentence = "there are more than 2 vCards inside of one another."
    assert said(deep + vcard("FN:Ada"), SMALL) == [(8, sentence), ADA]


def test_an_agent_that_never_ends_is_one_broken_card():
    """The next card, which follows no AGENT, is none of it."""
    octets = file("BEGIN:VCARD", "FN:x", "AGENT:", "BEGIN:VCARD", "FN:Eve", "END:VCARD")
    assert said(octets + vcard("FN:Ada")) == [(1, "the vCard has no END:VCARD."), ADA]
    octets = file("BEGIN:VCARD", "FN:x", "AGENT:", "BEGIN:VCARD", "FN:Eve")
    assert said(octets + vcard("FN:Ada")) == [(1, "the vCard has no END:VCARD."), ADA]


def test_the_agent_of_a_broken_card_is_no_card():
    """It goes with it."""
    octets = file("BEGIN:VCARD", "rubbish", "AGENT:", "BEGIN:VCARD", "FN:Eve", "END:VCARD", "END:VCARD")
    assert [one[0] for one in said(octets)] == [2]


# What is broken


@pytest.mark.parametrize(
    ("lines", "line", "sentence"),
    [
        (("BEGIN:VCARD", "FN:x", ""), 1, "the vCard has no END:VCARD."),
        (("FN:x", "TEL:1", "END:VCARD"), 1, "it is outside of any vCard."),
        (("rubbish",), 1, "it is outside of any vCard."),
        (("BEGIN:VCARD", "FN:x", "no property", "END:VCARD"), 3, "it is no property: a name and a colon are missing."),
        (("BEGIN:VCARD", "FN;TYPE=home", "END:VCARD"), 2, "the parameters of FN don't end in a colon."),
        (("BEGIN:VCARD", "N;" + "a;" * 600 + ":x", "END:VCARD"), 2, "it has more than 500 parameters."),
    ],
)
def test_a_broken_card_is_told_with_its_line_and_the_others_are_read(lines, line, sentence):
    """The card before and the card after are there."""
    first = vcard("FN:Ada")
    found = said(first + file(*lines) + vcard("FN:Bob"))
    assert found == [ADA, (first.count(b"\n") + line, sentence), BOB]


def test_the_first_thing_that_is_wrong_is_told():
    """Once for each card."""
    octets = file("BEGIN:VCARD", "rubbish", "more rubbish", "FN:x", "still more", "END:VCARD")
    assert [one[0] for one in said(octets * 2)] == [2, 8]


def test_what_is_outside_of_cards_is_told_once():
    """A file that is none of vCards has one thing wrong; each END ends what has lost its BEGIN."""
    assert [one[0] for one in said(b"some text\n" * 1000)] == [1]
    lost = file("FN:x", "END:VCARD")
    assert [one[0] for one in said(lost + lost + vcard("FN:Ada"))[:2]] == [1, 3]


@pytest.mark.parametrize("name", ["NOTE", "ADR;TYPE=home", "item1.LABEL"])
def test_line_ends_that_a_program_forgot_to_escape_belong_to_the_text(name):
    """What is no property goes on with the free text before it."""
    octets = file("BEGIN:VCARD", f"{name}:one", "two, no property", "three", "FN:Ada", "END:VCARD")
    assert said(octets)[0][0][1] == "one\\ntwo, no property\\nthree"
    assert said(octets)[0][1:] == ADA


def test_after_anything_else_what_is_no_property_is_wrong():
    """A telephone number has no second line."""
    assert said(file("BEGIN:VCARD", "TEL:1", "two", "END:VCARD"))[0][0] == 3


# Limits


def test_a_line_that_is_too_long_breaks_its_card():
    """Folded or not, and at the same length."""
    for fold in (b"", b"\r\n "):
        line = b"NOTE:" + fold + b"x" * 1100
        octets = b"BEGIN:VCARD\r\n" + line + b"\r\nEND:VCARD\r\n" + vcard("FN:Ada")
        assert said(octets, SMALL) == [(2, "the line has more than 1000 octets."), ADA]


def test_a_card_that_is_too_long_is_told_so():
    """Its END is found even so."""
    octets = file("BEGIN:VCARD", *["NOTE:" + "x" * 900] * 4, "END:VCARD")
    assert said(octets + vcard("FN:Ada"), SMALL) == [(1, "the vCard has more than 3000 octets."), ADA]


def test_a_card_of_too_many_lines_is_told_so():
    """Those of a text that goes on, and those of an agent, count too."""
    sentence = "the vCard has more than 20 lines."
    for lines in (["TEL:1"] * 21, ["NOTE:", *["rubbish"] * 20], ["AGENT:", "BEGIN:VCARD", *["X:1"] * 20, "END:VCARD"]):
        octets = file("BEGIN:VCARD", *lines, "END:VCARD")
        assert said(octets + vcard("FN:Ada"), SMALL)[0][1] == sentence
        assert said(octets + vcard("FN:Ada"), SMALL)[1] == ADA


# Hostile files


class Endless(io.RawIOBase):
    """A file that is made while it is read."""

    def __init__(self, card, count):
        self.card, self.left = card, card * 100
        self.count = count // 100

    def read(self, size=-1):
        """Some octets."""
        while len(self.left) < size and self.count > 1:
            self.count -= 1
            self.left += self.card * 100
        piece, self.left = self.left[:size], self.left[size:]
        return piece


def peak(read):
    """The most octets that were in use at once."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ten_thousand_cards_need_the_memory_of_a_few():
    """However many there are."""
    card = vcard("FN:Ada", "NOTE:" + "x" * 300, version="3.0")
    counts = []

    def read():
        counts.append(sum(1 for _ in read_cards(Endless(card, 10_000))))

    assert peak(read) < 8 * CHUNK
    assert counts == [10_000]


@pytest.mark.parametrize("folded", [False, True])
def test_a_large_photo_needs_a_few_times_its_size(folded):
    """Of 2 MB, from the file to the Card."""
    photo = base64.b64encode(b"\xff\xd8\xff" + bytes(2_000_000))
    photo = b"\r\n ".join(photo[at : at + 72] for at in range(0, len(photo), 72)) if folded else photo
    octets = vcard("FN:Ada", "UID:1").replace(b"UID:1", b"UID:1\r\nPHOTO;ENCODING=b;TYPE=JPEG:" + photo)
    used = peak(lambda: [card_of(raw.lines) for raw in read_cards(io.BytesIO(octets))])
    assert used < 6 * len(octets)


def seconds(octets):
    """How long it takes to read a file and make Cards of it, at best."""
    found = []
    for _ in range(3):
        start = time.perf_counter()
        for raw in cards_in(octets):
            if isinstance(raw, RawCard):
                with contextlib.suppress(VCardError):
                    card_of(raw.lines, raw.number)
        found.append(time.perf_counter() - start)
    return min(found)


HOSTILE = {
    "empty lines": lambda n: b"\r\n" * n * 50,
    "only CR": lambda n: b"\r" * n * 50,
    "BEGIN": lambda n: b"BEGIN:VCARD\n" * n,
    "BEGIN in AGENT": lambda n: b"AGENT:\nBEGIN:VCARD\n" * n,
    "END": lambda n: b"END:VCARD\n" * n,
    "indents": lambda n: b"BEGIN:VCARD\nNOTE:" + b"\n " * n * 30,
    "a line of letters": lambda n: vcard("A" * n * 500),
    "a line of dots": lambda n: vcard("A." * n * 300),
    "blanks": lambda n: vcard("NOTE" + " " * n * 500),
    "quotes": lambda n: vcard("TEL;TYPE=" + '"a' * n * 100 + ":1"),
    "soft breaks": lambda n: b"BEGIN:VCARD\nNOTE;ENCODING=QUOTED-PRINTABLE:" + b"=20=\n" * n * 10,
    "text without end": lambda n: file("BEGIN:VCARD", "NOTE:a", *["x" * 30] * n, "END:VCARD"),
    "labels and addresses": lambda n: vcard(*["LABEL;TYPE=home:a", "ADR;TYPE=work:;;a"] * (n // 3), version="3.0"),
    "groups": lambda n: vcard(*(f"g{i}.X-ABDATE:20000101\r\ng{i}.X-ABLABEL:x" for i in range(n // 3)), version="3.0"),
    "members": lambda n: vcard("KIND:group", *(f"MEMBER:urn:uuid:{i}" for i in range(n // 2))),
    "backslashes": lambda n: vcard("N:" + "\\" * n * 200),
    "components": lambda n: vcard("N:" + "\\,;" * n * 100),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_four_times_as_much_takes_about_four_times_as_long(name):
    """Nothing that a file can hold takes time by its square."""
    make = HOSTILE[name]
    seconds(make(100))
    short, long = seconds(make(1_500)), seconds(make(6_000))
    assert long < max(9 * short, 0.1)


def test_groups_that_are_members_of_each_other_are_read():
    """Nobody follows them."""
    octets = vcard("KIND:group", "UID:urn:uuid:a", "MEMBER:urn:uuid:b") + vcard(
        "KIND:group", "UID:urn:uuid:b", "MEMBER:urn:uuid:a", "MEMBER:urn:uuid:b"
    )
    cards = [card_of(raw.lines) for raw in cards_in(octets)]
    assert [sorted(card["members"]) for card in cards] == [["urn:uuid:b"], ["urn:uuid:a", "urn:uuid:b"]]


def read_all(octets):
    """Read a file and make Cards of it: the only exception is VCardError, and every broken card has a line."""
    lines = octets.count(b"\n") + octets.count(b"\r") + 1
    for raw in cards_in(octets):
        assert 1 <= raw.number <= lines
        if isinstance(raw, RawCard):
            with contextlib.suppress(VCardError):
                card_of(raw.lines, raw.number)


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_octets_that_are_anything_are_read_or_broken(octets):
    """Alone and as the lines of a card."""
    read_all(octets)
    read_all(b"BEGIN:VCARD\n" + octets + b"\nEND:VCARD\n")


PIECES = (
    *(
        "BEGIN:VCARD",
        "END:VCARD",
        "AGENT:",
        "item1.",
        "TEL",
        "N",
        "ADR",
        "PHOTO",
        "BDAY",
        "X-ABLABEL",
        "X-ABDATE",
        "ORG",
    ),
    *(
        "LABEL",
        "JSPROP",
        "RELATED",
        "MEMBER",
        "KIND:group",
        "VERSION:2.1",
        "X-ANDROID-CUSTOM",
        "IMPP",
        "X-SOCIALPROFILE",
    ),
    *(
        ":",
        ";",
        ",",
        "=",
        '"',
        "\\",
        "^n",
        "\r\n",
        "\n ",
        "TYPE=",
        "ENCODING=b",
        "CHARSET=",
        "QUOTED-PRINTABLE",
        "VALUE=",
    ),
    *(
        "utf-16",
        "windows-1252",
        "date",
        "uri",
        "home",
        "pref",
        "1604",
        "--0229",
        "urn:uuid:1",
        "data:,x",
        "ä",
        "\0",
        "\ufeff",
    ),
    *(
        "_$!<Home>!$_",
        "x-apple:",
        "X-CUSTOM(CHARSET=UTF-8,ENCODING=QUOTED-PRINTABLE,=41)",
        "LANGUAGE=de",
        "ALTID=1",
        "JSPTR=",
    ),
)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_pieces_of_vcards_in_any_order_are_read_or_broken(pieces):
    """What a grammar would never make."""
    read_all(b"BEGIN:VCARD\n" + "".join(pieces).encode() + b"\nEND:VCARD\n")


@settings(max_examples=200)
@given(st.sampled_from(FILES), st.data())
def test_a_programs_file_that_is_damaged_is_read_or_broken(octets, data):
    """Some octets are lost, others come twice, a few are anything."""
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(octets)))
        end = min(len(octets), at + data.draw(st.sampled_from((0, 1, 2, 20, 300))))
        octets = (
            octets[:at]
            + data.draw(st.sampled_from((b"", octets[at:end] * 2, b"\xff", b'"', b"\r\n", b";")))
            + octets[end:]
        )
    read_all(octets)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from("NX"), st.text(max_size=100)), max_size=8),
    st.sampled_from((b"\r\n", b"\n", b"\r")),
    st.integers(1, 80),
)
def test_folding_at_any_octet_changes_nothing(texts, end, width):
    """Whatever is folded is found again, if no value has a line end."""
    lines = [f"{name}:{''.join(text.split())}".encode() for name, text in texts]
    plain = b"BEGIN:VCARD\r\n" + b"".join(line + b"\r\n" for line in lines) + b"END:VCARD\r\n"
    folded = b"BEGIN:VCARD" + end
    for line in lines:
        folded += (end + b" ").join(line[at : at + width] for at in range(0, len(line), width)) + end
    assert said(folded + b"END:VCARD" + end) == said(plain)
