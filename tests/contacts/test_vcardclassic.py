"""vCard 3.0 as the programs of Apple, Google and Microsoft read it, and back to the same Card.

The pairs are written by hand from what those programs write themselves. A Card comes back whole: what 3.0 can't say is
JSPROP, which they pass over; so no member is lost, and there is no list of such.
"""

import base64
import json
import re
import time

import pytest
from hypothesis import Phase, assume, given, settings

from minijmap.contacts.carddifferences import plain
from minijmap.contacts.cardtovcard import vcard_of
from minijmap.contacts.vcardclassic import classic
from minijmap.contacts.vcardfile import BrokenCard, cards_in
from minijmap.contacts.vcardlines import Line, text_of_line
from minijmap.contacts.vcardtocard import card_of
from tests.contacts.cardstrategies import NONCHARACTERS, cards
from tests.contacts.vcards import GOLDEN, raw, vcard

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
FIGURES = sorted(path for path in GOLDEN.glob("rfc95*/*.json"))
PROGRAMS = sorted(GOLDEN.glob("programs/*.vcf"))
# RFC 2426 §4: contentline, with no value of a parameter in quotes but those of JSPROP
CONTENT_LINE = re.compile(
    r'(?:[A-Za-z0-9-]+\.)?[A-Za-z0-9-]+(?:;[A-Za-z0-9-]+=[^";:\x00-\x1f]*)*:[^\x00-\x08\x0a-\x1f]*'
)


def whole(card):
    """A piece of a Card as a Card."""
    return {"@type": "Card", "version": "1.0", "uid": "urn:uuid:1", **card}


def unfolded(card):
    """The lines of a Card in vCard 3.0, as they are written, without BEGIN and END."""
    lines = vcard_of(whole(card), "3.0").decode().replace("\r\n ", "").split("\r\n")
    assert (lines[0], lines[1], lines[-2:]) == ("BEGIN:VCARD", "VERSION:3.0", ["END:VCARD", ""])
    return lines[2:-2]


def made(*lines):
    """What becomes of lines of 4.0, without the name that every card of 3.0 has."""
    found = [text_of_line(line) for line in classic(raw(vcard(*lines)))]
    return [line for line in found if not line.startswith(("VERSION:", "N;DERIVED=true:"))]


def comes_back(card):
    """Assert that a Card comes back from vCard 3.0 as it was, but for what says nothing."""
    assert plain(card_of(raw(vcard_of(card, "3.0")))) == plain(card)


PAIRS = {
    "types are in capitals": (["TEL;TYPE=cell,home:+1"], ["TEL;TYPE=CELL,HOME:+1"]),
    "an unknown type stays": (["TEL;TYPE=car:+1"], ["TEL;TYPE=car:+1"]),
    "the main number": (["TEL;TYPE=main-number:+1"], ["TEL;TYPE=MAIN:+1"]),
    "an address of the internet": (["EMAIL;TYPE=work:a@b.c"], ["EMAIL;TYPE=INTERNET,WORK:a@b.c"]),
    "PREF=1": (["TEL;PREF=1:+1", "TEL;PREF=2:+2"], ["TEL;TYPE=PREF:+1", "TEL;PREF=2:+2"]),
    "the best of all": (["TEL;PREF=7:+1", "TEL;PREF=9:+2"], ["TEL;TYPE=PREF;PREF=7:+1", "TEL;PREF=9:+2"]),
    "no type where there is none": (["NICKNAME;PREF=1:Jo"], ["NICKNAME;PREF=1:Jo"]),
    "a photo": ([f"PHOTO:data:image/png;base64,{PNG}"], [f"PHOTO;ENCODING=b;TYPE=PNG:{PNG}"]),
    "a key": (["KEY:data:application/pgp-keys;base64,QUJD"], ["KEY;ENCODING=b;TYPE=PGP:QUJD"]),
    "octets of which 3.0 has no name": (["KEY:data:text/plain,x"], ["KEY;VALUE=uri:data:text/plain,x"]),
    "no base64": (["KEY:data:application/pgp-keys;base64,%2B"], ["KEY;VALUE=uri:data:application/pgp-keys;base64,%2B"]),
    "a photo elsewhere": (["PHOTO:https://a.example/b.gif"], ["PHOTO;VALUE=uri:https://a.example/b.gif"]),
    "a birthday": (["BDAY:19850412"], ["BDAY:1985-04-12"]),
    "a birthday without a year": (["BDAY:--0229"], ["BDAY;X-APPLE-OMIT-YEAR=1604:1604-02-29"]),
    "a birthday with a time": (["BDAY;VALUE=timestamp:19531015T231000Z"], ["BDAY:1953-10-15"]),
    "a year alone": (["BDAY:1985", "BIRTHPLACE:Ulm"], []),
    "another calendar": (["BDAY;CALSCALE=japanese:19850412"], []),
    "an anniversary": (
        ["ANNIVERSARY:20090808"],
        [
            *("item1.X-ABDATE:2009-08-08", "item1.X-ABLABEL:_$!<Anniversary>!$_", "X-ANNIVERSARY:2009-08-08"),
            *("X-MS-ANNIVERSARY:20090808", "X-EVOLUTION-ANNIVERSARY:2009-08-08"),
        ],
    ),
    "an anniversary without a year": (
        ["ANNIVERSARY:--0808"],
        ["item1.X-ABDATE;X-APPLE-OMIT-YEAR=1604:1604-08-08", "item1.X-ABLABEL:_$!<Anniversary>!$_"],
    ),
    "a day of death": (["DEATHDATE:19960415"], ["item1.X-ABDATE:1996-04-15", "item1.X-ABLABEL:Death"]),
    "a spouse": (
        ["RELATED;TYPE=spouse;VALUE=text:Jo"],
        [
            *("item1.X-ABRELATEDNAMES:Jo", "item1.X-ABLABEL:_$!<Spouse>!$_"),
            *("X-SPOUSE:Jo", "X-MS-SPOUSE:Jo", "X-EVOLUTION-SPOUSE:Jo"),
        ],
    ),
    "a mother": (
        ["RELATED;TYPE=parent;VALUE=text;X-ABLABEL=mother:Jo"],
        ["item1.X-ABRELATEDNAMES:Jo", "item1.X-ABLABEL:_$!<Mother>!$_"],
    ),
    "a neighbor": (
        ["RELATED;TYPE=neighbor;VALUE=text:Jo"],
        ["item1.X-ABRELATEDNAMES:Jo", "item1.X-ABLABEL:Neighbor"],
    ),
    "a relative's card": (["RELATED;TYPE=friend:urn:uuid:2"], ["RELATED;TYPE=friend:urn:uuid:2"]),
    "a group that is taken": (
        ["item1.TEL:+1", "item1.X-ABLABEL:Boat", "RELATED;TYPE=friend;VALUE=text:Jo"],
        [
            *("item1.TEL:+1", "item1.X-ABLABEL:Boat"),
            *("item2.X-ABRELATEDNAMES:Jo", "item2.X-ABLABEL:_$!<Friend>!$_"),
        ],
    ),
    "a group of cards": (
        ["UID:urn:uuid:1", "KIND:group", "MEMBER:urn:uuid:2", "MEMBER:3", "MEMBER:mailto:a@b.c"],
        [
            *("UID:urn:uuid:1", "X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:2"),
            *("X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:3", "MEMBER:mailto:a@b.c"),
        ],
    ),
    "a company": (["KIND:org", "ORG:Acme"], ["X-ABSHOWAS:COMPANY", "ORG:Acme"]),
    "a UID that is text": (["UID;VALUE=text:a"], ["UID:a"]),
    "a messenger": (
        ["IMPP;SERVICE-TYPE=Jabber:xmpp:a@b.c"],
        ["IMPP;X-SERVICE-TYPE=Jabber:xmpp:a@b.c"],
    ),
    "a messenger among services": (
        ["SOCIALPROFILE;SERVICE-TYPE=Jabber:xmpp:a@b.c"],
        ["IMPP;X-SERVICE-TYPE=Jabber:xmpp:a@b.c"],
    ),
    "a service": (
        ["SOCIALPROFILE;SERVICE-TYPE=Mastodon;USERNAME=jo;TYPE=home:https://m.example/@jo"],
        ["X-SOCIALPROFILE;TYPE=Mastodon,HOME;X-USER=jo:https://m.example/@jo"],
    ),
    "a name at a service": (
        ["SOCIALPROFILE;SERVICE-TYPE=Twitter;VALUE=text:jo b"],
        ["X-SOCIALPROFILE;TYPE=Twitter;X-USER=jo b:x-apple:jo%20b"],
    ),
    "a service that has a property": (["SOCIALPROFILE;SERVICE-TYPE=Skype;VALUE=text:jo"], ["X-SKYPE:jo"]),
    "a service that nobody names": (["SOCIALPROFILE;VALUE=text:jo"], ["X-MS-IMADDRESS:jo"]),
    "a tel: URI": (["TEL;VALUE=uri:tel:+1-555;ext=5"], ["TEL:+1-555 ext. 5"]),
    "a place on earth": (["GEO:geo:37.38,-122.08;u=35"], ["GEO:37.38;-122.08"]),
    "where an address is": (
        ['ADR;GEO="geo:1,2";CC=AT:;;Ring 1;Wien;;1010;Austria'],
        ["item1.ADR:;;Ring 1;Wien;;1010;Austria", "item1.X-ABADR:at", "GEO:1;2"],
    ),
    "two addresses": (['ADR;GEO="geo:1,2":;;A 1;;;;', "ADR:;;B 2;;;;"], ["ADR:;;A 1;;;;", "ADR:;;B 2;;;;"]),
    "a newer address": (
        ["ADR:;Floor 3;5 Oak St;Reston;VA;20190;USA;;;3;5;Oak St;;;;;;"],
        ["ADR:;;5 Oak St\\nFloor 3;Reston;VA;20190;USA"],
    ),
    "the text of an address": (
        ['ADR;TYPE=home;LABEL="5 Oak St\\nReston":;;5 Oak St;Reston;;;'],
        ["ADR;TYPE=HOME:;;5 Oak St;Reston;;;", "LABEL;TYPE=HOME:5 Oak St\\nReston"],
    ),
    "nothing but the text of an address": (["ADR;LABEL=5 Oak St:;;;;;;"], ["ADR:;;5 Oak St;;;;"]),
    "a newer name": (
        ["N:García,Márquez;Gabriel;José,María;Dr.;Jr.,M.D.;Márquez;Jr."],
        ["N:García Márquez;Gabriel;José María;Dr.;Jr. M.D."],
    ),
    "what a name is sorted by": (
        ['N;SORT-AS="Harten,Rene":van der Harten;Rene;;;'],
        ["N:van der Harten;Rene;;;", "SORT-STRING:Harten"],
    ),
    "how a name is spoken": (
        ["N;ALTID=1:山田;太郎;;;", "N;ALTID=1;PHONETIC=script;SCRIPT=Hira:やまだ;たろう;;;"],
        ["N:山田;太郎;;;", "X-PHONETIC-LAST-NAME:やまだ", "X-PHONETIC-FIRST-NAME:たろう"],
    ),
    "another language": (
        ["LANGUAGE:en", "TITLE;ALTID=1:Boss", "TITLE;ALTID=1;LANGUAGE=fr:Patron"],
        ["LANGUAGE:en", "TITLE:Boss"],
    ),
    "an organization and its title": (["item1.ORG:A", "item1.TITLE:B"], ["ORG:A", "TITLE:B"]),
    "a parameter that 3.0 can't write": (
        ['NOTE;X-A=a^nb;X-B=c^\'d;X-C="e;f";X-D=g h:x'],
        ["NOTE;X-D=g h:x"],
    ),
    "a name that 3.0 can't have": (["X_FOO:bar"], []),
    "ids that are made up again": (
        ["TEL;PROP-ID=PHONE-1:+1", "TEL;PROP-ID=p:+2", "TEL;PROP-ID=PHONE-2:+3"],
        ["TEL:+1", "TEL;PROP-ID=p:+2", "TEL:+3"],
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_property_is_written_as_programs_read_it(name):
    """Each rule of the table, by a pair of 4.0 and 3.0."""
    modern, old = PAIRS[name]

    assert made(*modern) == old


def test_the_lines_given_stay_as_they_are():
    """What is made of lines is new."""
    lines = raw(vcard(*(line for modern, _ in PAIRS.values() for line in modern)))
    before = [text_of_line(line) for line in lines]

    classic(lines)

    assert [text_of_line(line) for line in lines] == before


@pytest.mark.parametrize(
    ("card", "fn", "n"),
    [
        ({"name": {"full": "Jane Q. Doe, Esq."}}, "FN:Jane Q. Doe\\, Esq.", "N;DERIVED=true:;Jane Q. Doe\\, Esq.;;;"),
        ({"kind": "group", "name": {"full": "Family"}}, "FN:Family", "N;DERIVED=true:Family;;;;"),
        ({"kind": "org", "name": {"full": "Acme"}}, "FN:Acme", "N;DERIVED=true:;;;;"),
        ({"organizations": {"o": {"name": "Acme"}}}, "FN;DERIVED=true:Acme", "N;DERIVED=true:;;;;"),
        ({"emails": {"e": {"address": "a@b.c"}}}, "FN;DERIVED=true:a@b.c", "N;DERIVED=true:;;;;"),
        ({}, "FN:", "N;DERIVED=true:;;;;"),
    ],
)
def test_every_card_has_both_names(card, fn, n):
    """RFC 2426 §3.1.1, §3.1.2: FN and N are there; what is made up for that isn't read again."""
    found = unfolded(card)

    assert fn in found
    assert n in found
    comes_back(whole(card))


def test_names_are_spelled_as_apple_does():
    """Names are the same in any case, but not every program knows that."""
    found = unfolded({"kind": "org", "phones": {"PHONE-1": {"number": "+1", "label": "Boat"}}})

    assert {"X-ABShowAs:COMPANY", "item1.TEL:+1", "item1.X-ABLabel:Boat"} <= set(found)
    assert not any(line.startswith("JSPROP") for line in found)


def test_an_ordinary_card_needs_no_jsprop():
    """What people have in their address books is said in the words of 3.0 alone."""
    card = {
        "name": {
            "full": "Dr. Anna Maria Winter",
            "components": [
                {"kind": "surname", "value": "Winter"},
                {"kind": "given", "value": "Anna"},
                {"kind": "given2", "value": "Maria"},
                {"kind": "title", "value": "Dr."},
            ],
        },
        "nicknames": {"NICK-1": {"name": "Anni"}},
        "organizations": {"ORG-1": {"name": "Klinik", "units": [{"name": "Chirurgie"}]}},
        "emails": {"EMAIL-1": {"address": "anna@winter.example", "contexts": {"private": True}, "pref": 1}},
        "phones": {"PHONE-1": {"number": "+49 170", "features": {"mobile": True}}},
        "addresses": {
            "ADDR-1": {
                "components": [{"kind": "name", "value": "Seestr. 5"}, {"kind": "locality", "value": "Berlin"}],
                "countryCode": "DE",
                "coordinates": "geo:52.5,13.4",
                "full": "Seestr. 5\nBerlin",
            }
        },
        "anniversaries": {
            "ANNIVERSARY-1": {"kind": "birth", "date": {"month": 3, "day": 12}},
            "ANNIVERSARY-2": {"kind": "wedding", "date": {"year": 2004, "month": 6, "day": 12}},
        },
        "relatedTo": {"Karl": {"relation": {"spouse": True}}},
        "media": {"PHOTO-1": {"kind": "photo", "uri": f"data:image/png;base64,{PNG}"}},
        "notes": {"NOTE-1": {"note": "Nüsse; nie,\nSekt gern"}},
        "keywords": {"Familie": True},
    }

    assert not [line for line in unfolded(card) if line.startswith("JSPROP")]
    comes_back(whole(card))


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_figures_card_comes_back(path):
    """The Cards of RFC 9553 and RFC 9555 go to vCard 3.0 and back without loss."""
    comes_back(whole(json.loads(path.read_text())))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_programs_cards_come_back(path):
    """What a program has written is written as 3.0 and read again without loss."""
    read = [one for one in cards_in(path.read_bytes()) if not isinstance(one, BrokenCard)]

    for one in read:
        comes_back(card_of(one.lines))
    assert read


@pytest.mark.parametrize("version", ["3.0", "4.0"])
def test_a_translation_deep_inside_of_an_address_without_components_comes_back(version):
    """A patch inside of an address says nothing of how it is spoken where there are no components."""
    address = {"full": "Ring 1", "contexts": {"private": True}}
    card = whole({"addresses": {"a": address}, "localizations": {"de": {"addresses/a/contexts/work": True}}})

    assert plain(card_of(raw(vcard_of(card, version)))) == plain(card)


# Shrinking such a Card takes minutes; the first one that fails tells enough.
@settings(max_examples=100, phases=[Phase.explicit, Phase.generate], deadline=None)
@given(cards())
def test_any_card_comes_back(card):
    """Whatever a Card has, it comes back, and every line but JSPROP is one of RFC 2426."""
    text = json.dumps(card, ensure_ascii=False)
    assume(not any(one in text for one in NONCHARACTERS))

    comes_back(card)

    for line in vcard_of(card, "3.0").decode().replace("\r\n ", "").split("\r\n")[:-1]:
        assert line.startswith("JSPROP;") or CONTENT_LINE.fullmatch(line), line


def test_a_large_photo_is_written_in_linear_time():
    """A photo of 20 MB goes there and back in seconds, and stands in the file once."""
    octets = base64.b64decode(PNG) + bytes(20_000_000)
    card = whole(
        {"media": {"PHOTO-1": {"kind": "photo", "uri": f"data:image/png;base64,{base64.b64encode(octets).decode()}"}}}
    )
    start = time.process_time()

    written = vcard_of(card, "3.0")

    assert time.process_time() - start < 10
    assert len(written) < 28_000_000
    comes_back(card)


def test_many_lines_are_rewritten_in_linear_time():
    """Ten thousand lines of what needs groups take no longer than their number says."""
    lines = [Line("RELATED", str(number), {"value": ["text"], "type": ["spouse"]}) for number in range(10_000)]
    start = time.process_time()

    found = classic([Line("VERSION", "4.0"), Line("FN", "x"), *lines])

    assert time.process_time() - start < 5
    assert found[-1].name.endswith("SPOUSE")
