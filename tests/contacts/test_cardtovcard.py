"""JSContact to vCard 4.0 and back without loss (RFC 9555 §3): tables, the Cards of RFC 9553, and properties."""

import json

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from minijmap.contacts.cardtovcard import vcard_of
from minijmap.contacts.jscontact import check_card
from minijmap.contacts.vcardtocard import card_of
from tests.contacts.cardstrategies import AWKWARD, NONCHARACTERS, cards
from tests.contacts.vcards import GOLDEN, raw, read, same, vcard, written

CARDS = sorted((GOLDEN / "rfc9553").glob("*.json"))
NAMES = (
    *(
        "FN",
        "N",
        "NICKNAME",
        "PHOTO",
        "BDAY",
        "ANNIVERSARY",
        "GENDER",
        "ADR",
        "TEL",
        "EMAIL",
        "IMPP",
        "LANG",
        "TZ",
        "GEO",
    ),
    *(
        "TITLE",
        "ROLE",
        "LOGO",
        "ORG",
        "MEMBER",
        "RELATED",
        "CATEGORIES",
        "NOTE",
        "PRODID",
        "REV",
        "SOUND",
        "UID",
        "URL",
    ),
    *(
        "KEY",
        "FBURL",
        "CALADRURI",
        "CALURI",
        "KIND",
        "XML",
        "SOURCE",
        "HOBBY",
        "EXPERTISE",
        "INTEREST",
        "ORG-DIRECTORY",
    ),
    *("BIRTHPLACE", "DEATHPLACE", "DEATHDATE", "CONTACT-URI", "CREATED", "GRAMGENDER", "LANGUAGE", "PRONOUNS"),
    *("SOCIALPROFILE", "JSPROP", "X-FOO", "X-ABLABEL", "CLIENTPIDMAP"),
)
PARAMETERS = (
    *(
        "TYPE=work",
        "TYPE=home,cell",
        "PREF=1",
        "ALTID=1",
        "LANGUAGE=de",
        "VALUE=text",
        "VALUE=uri",
        "PROP-ID=A",
        "X-P=q",
    ),
    *("SORT-AS=a", 'LABEL="a^nb"', "DERIVED=true", "PHONETIC=ipa", "SCRIPT=Latn", "LEVEL=high", "INDEX=1", "PID=1.1"),
    *("MEDIATYPE=image/png", "CALSCALE=gregorian", "CREATED=20200101T000000Z", "SERVICE-TYPE=x", "USERNAME=u", "CC=AT"),
    *("TZ=Europe/Vienna", 'GEO="geo:1,2"', "AUTHOR-NAME=me", "JSPTR=titles/x", 'JSCOMPS=";0;1"'),
)
VALUES = (
    *("Joe", "a;b;c", "a,b", "urn:uuid:1", "https://example.com/", "geo:1,2", "20000102", "--0102", "tel:+1-555", "M"),
    *("data:image/png;base64,iVBORw0KGgo=", "Europe/Vienna", "1;urn:x", '"json"', "", "\\n\\,\\;\\\\", "en", "group"),
    *("20200101T000000Z", ";;Ring 1;Wien;;1010;Austria", "neuter", "mailto:a@example.com"),
)
LINES = st.builds(
    lambda group, name, params, value: f"{group}{';'.join((name, *params))}:{value}",
    st.sampled_from(("", "", "", "item1.", "g.")),
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(PARAMETERS), max_size=3, unique=True),
    st.sampled_from(VALUES) | st.sampled_from([one for one in AWKWARD if one.isprintable()]),
)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_the_cards_of_rfc_9553_come_back(path):
    """Whatever the RFC shows in JSON goes to vCard and back."""
    piece = json.loads(path.read_text())
    same(check_card({"@type": "Card", "version": "1.0", "uid": "urn:uuid:1", **piece}))


@pytest.mark.parametrize(
    "line",
    [
        "UID;X-A=b:urn:uuid:1",
        "KIND;X-A=b:individual",
        "REV;X-A=b:20200101T000000Z",
        "CREATED;X-A=b:20200101T000000Z",
        "PRODID;X-A=b:me",
        "LANGUAGE;X-A=b:de",
        "g.CATEGORIES:a",
        "CATEGORIES;PREF=1;TYPE=work:one,two",
        "MEMBER;PREF=1:urn:uuid:2",
    ],
)
def test_parameters_of_a_plain_value_are_kept(line):
    """RFC 9555 §2.15.2 has no object to put them in: the line is kept as well, and written once."""
    name = line.split(";")[0].split(":")[0].removeprefix("g.")
    kind = ("KIND:group",) if name == "MEMBER" else ()
    card = read("FN:Joe", *kind, line)

    lines = written({"@type": "Card", "version": "1.0", **card})

    assert [one for one in lines if name in one] == [line]
    assert not [one for one in lines if one.startswith("JSPROP")]
    same({"@type": "Card", "version": "1.0", **card})


def test_a_keyword_more_than_the_kept_line_says_is_written_too():
    """What a client adds to such a Card is not lost."""
    card = read("UID:urn:uuid:1", "FN:Joe", "CATEGORIES;PREF=1:one")
    card["keywords"]["two, three"] = True

    lines = written(card)

    assert {one for one in lines if one.startswith("CATEGORIES")} == {
        "CATEGORIES;PREF=1:one",
        r"CATEGORIES:two\, three",
    }
    same({"@type": "Card", "version": "1.0", **card})


# Shrinking such a Card takes minutes; the first one that fails tells enough.
@settings(max_examples=100, phases=[Phase.explicit, Phase.generate], deadline=None)
@given(cards())
def test_any_card_comes_back(card):
    """Every member of every type that the tables declare, with text that vCard must escape, and localizations."""
    text = json.dumps(card, ensure_ascii=False)
    assume(not any(one in text for one in NONCHARACTERS))
    same(card)


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, max_size=8))
def test_any_vcard_becomes_a_card_that_comes_back(lines):
    """What was read is written so that it is read the same, and written the same again."""
    card = card_of(raw(vcard("UID:urn:uuid:1", *lines)))
    same(card)
    octets = vcard_of(card)
    assert vcard_of(card_of(raw(octets))) == octets
