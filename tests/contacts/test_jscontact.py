"""JSContact (RFC 9553): every example of the RFC, and what is refused, by the exact path of what is wrong."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.contacts.jscontact import CARD, FORMAT, MOST_LANGUAGES, MOST_PATCHES, check_card, localized
from minijmap.jmap.values import ValueProblem
from tests.contacts.household import MINIMAL, add, change, create, get, named, refused

GOLDEN = sorted((Path(__file__).parent / "golden" / "rfc9553").glob("*.json"))


def problem(card):
    """The path of what is wrong with a Card, and why."""
    with pytest.raises(ValueProblem) as caught:
        check_card({**MINIMAL, **card})
    return caught.value.path, caught.value.sentence


def test_all_figures_are_there():
    """42 of the 44 figures of RFC 9553 are JSON; the other two are grammar."""
    assert len(GOLDEN) == 42


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_an_example_of_the_rfc_is_accepted_and_returned_equal(house, path):
    """Each is a Card or a part of one; it comes back from the server as it was sent, byte for byte."""
    example = json.loads(path.read_text())
    assert check_card({**MINIMAL, **example}) == {**MINIMAL, **example}

    card_id = add(house, example)
    shown = get(house, card_id)
    assert json.dumps({name: shown[name] for name in example}) == json.dumps(example)


@pytest.mark.parametrize(
    ("card", "path"),
    [
        # RFC 9553 §1.3.4: @type
        ({"@type": "card"}, "@type"),
        ({"@type": "Name"}, "@type"),
        ({"name": {"@type": "name", "full": "A"}}, "name/@type"),
        ({"emails": {"e": {"@type": "Email", "address": "a@b"}}}, "emails/e/@type"),
        ({"anniversaries": {"a": {"kind": "birth", "date": {"@type": "Date", "year": 1}}}}, "anniversaries/a/date/@type"),
        ({"anniversaries": {"a": {"kind": "birth", "date": {"utc": "2000-01-01T00:00:00Z"}}}}, "anniversaries/a/date"),
        # RFC 9553 §1.4.1: Id
        ({"emails": {"a b": {"address": "a@b"}}}, "emails/a b"),
        ({"emails": {"": {"address": "a@b"}}}, "emails"),
        ({"emails": {"x" * 256: {"address": "a@b"}}}, "emails/" + "x" * 256),
        ({"titles": {"t": {"name": "x", "organizationId": "o/1"}}}, "titles/t/organizationId"),
        # RFC 9553 §1.4.5: UTCDateTime
        ({"created": "2010-10-10T10:10:10.000Z"}, "created"),
        ({"created": "2010-10-10T10:10:10.10Z"}, "created"),
        ({"updated": "2010-10-10t10:10:10Z"}, "updated"),
        ({"created": "2010-10-10T10:10:10+00:00"}, "created"),
        ({"created": "2010-02-30T10:10:10Z"}, "created"),
        ({"created": 5}, "created"),
        # RFC 9553 §1.5
        ({"phones": {"p": {"number": "1", "pref": 0}}}, "phones/p/pref"),
        ({"phones": {"p": {"number": "1", "pref": 101}}}, "phones/p/pref"),
        ({"phones": {"p": {"number": "1", "contexts": {"home": True}}}}, "phones/p/contexts/home"),
        ({"nicknames": {"n": {"name": "J", "label": "x"}}}, "nicknames/n/label"),
        ({"titles": {"n": {"name": "J", "contexts": {}}}}, "titles/n/contexts"),
        ({"name": {"components": [{"kind": "given", "value": "J", "phonetic": "x"}]}}, "name/components/0/phonetic"),
        ({"name": {"full": "x", "phoneticSystem": "IPA"}}, "name/phoneticSystem"),
        # RFC 9553 §1.7: case, reserved, syntax
        ({"Emails": {}}, "Emails"),
        ({"EMAILS": {}}, "EMAILS"),
        ({"emails": {"e": {"Address": "a@b", "address": "a@b"}}}, "emails/e/Address"),
        ({"kind": "Individual"}, "kind"),
        ({"kind": "person"}, "kind"),
        ({"name": {"components": [{"kind": "Given", "value": "x"}]}}, "name/components/0/kind"),
        ({"extra": 1}, "extra"),
        ({"name": {"full": "x", "extra": None}}, "name/extra"),
        ({"id": "c1"}, "id"),
        ({"addressBookIds": {}}, "addressBookIds"),
        ({"addressbookIds": {}}, "addressbookIds"),
        ({"iD": "c1"}, "iD"),
        ({"name": {"full": "x", "eXtra": 1}}, "name/eXtra"),
        ({"some-thing": 1}, "some-thing"),
        ({"Something": 1}, "Something"),
        ({"": 1}, ""),
        ({":x": 1}, ":x"),
        ({"-a.com:x": 1}, "-a.com:x"),
        ({"a.com:": 1}, "a.com:"),
        ({'a.com:"': 1}, 'a.com:"'),
        # RFC 9553 §2.1
        ({"version": "2.0"}, "version"),
        ({"version": 1.0}, "version"),
        ({"uid": ""}, "uid"),
        ({"prodId": ""}, "prodId"),
        ({"language": "not a tag"}, "language"),
        ({"members": {"x": True}}, "members"),
        ({"kind": "group", "members": {"x": False}}, "members/x"),
        ({"relatedTo": {"http://x/y~z": {"relation": {"Friend": True}}}}, "relatedTo/http:~1~1x~1y~0z/relation/Friend"),
        # RFC 9553 §2.2
        ({"name": {}}, "name"),
        ({"name": {"components": []}}, "name/components"),
        ({"name": {"components": [{"kind": "separator", "value": "-"}], "isOrdered": True}}, "name/components"),
        ({"name": {"components": [{"value": "x"}]}}, "name/components/0/kind"),
        ({"name": {"components": [{"kind": "given"}]}}, "name/components/0/value"),
        ({"name": {"full": "x", "defaultSeparator": " "}}, "name/defaultSeparator"),
        ({"name": {"components": [{"kind": "given", "value": "x"}], "defaultSeparator": " "}}, "name/defaultSeparator"),
        (
            {"name": {"components": [{"kind": "given", "value": "x"}, {"kind": "separator", "value": "-"}]}},
            "name/components/1",
        ),
        (
            {
                "name": {
                    "isOrdered": True,
                    "components": [
                        {"kind": "given", "value": "x"},
                        {"kind": "separator", "value": "-"},
                        {"kind": "separator", "value": "-"},
                    ],
                }
            },
            "name/components/2",
        ),
        ({"name": {"full": "x", "sortAs": {"given": "x"}}}, "name/sortAs"),
        ({"name": {**named("a", "b"), "sortAs": {"given2": "x"}}}, "name/sortAs/given2"),
        ({"organizations": {"o": {"sortAs": "x"}}}, "organizations/o"),
        ({"organizations": {"o": {"units": []}}}, "organizations/o/units"),
        ({"speakToAs": {"@type": "SpeakToAs"}}, "speakToAs"),
        # RFC 9553 §2.3
        ({"emails": {"e": {}}}, "emails/e/address"),
        ({"emails": {"e": {"address": "nobody"}}}, "emails/e/address"),
        ({"emails": []}, "emails"),
        ({"onlineServices": {"o": {"service": "x"}}}, "onlineServices/o"),
        ({"onlineServices": {"o": {"uri": "www.example.com"}}}, "onlineServices/o/uri"),
        ({"phones": {"p": {"number": "1", "features": {"cell": True}}}}, "phones/p/features/cell"),
        ({"phones": {"p": {"number": "1", "features": {"voice": False}}}}, "phones/p/features/voice"),
        # RFC 9553 §2.4 to §2.6
        ({"calendars": {"c": {"uri": "https://x"}}}, "calendars/c/kind"),
        ({"links": {"l": {"kind": "website", "uri": "https://x"}}}, "links/l/kind"),
        ({"links": {"l": {"uri": "https://exämple.org/"}}}, "links/l/uri"),
        ({"links": {"l": {"uri": "https://x/%zz"}}}, "links/l/uri"),
        ({"links": {"l": {"uri": "https://x/", "mediaType": "html"}}}, "links/l/mediaType"),
        ({"addresses": {"a": {"isOrdered": True}}}, "addresses/a"),
        ({"addresses": {"a": {"countryCode": "USA"}}}, "addresses/a/countryCode"),
        ({"addresses": {"a": {"coordinates": "52,13"}}}, "addresses/a/coordinates"),
        ({"addresses": {"a": {"timeZone": "Mars/Olympus"}}}, "addresses/a/timeZone"),
        ({"addresses": {"a": {"timeZone": "posix/Europe/Vienna"}}}, "addresses/a/timeZone"),
        ({"addresses": {"a": {"timeZone": "right/UTC"}}}, "addresses/a/timeZone"),
        ({"addresses": {"a": {"timeZone": "posixrules"}}}, "addresses/a/timeZone"),
        ({"addresses": {"a": {"timeZone": "localtime"}}}, "addresses/a/timeZone"),
        ({"addresses": {"a": {"full": "x", "contexts": {"billing": False}}}}, "addresses/a/contexts/billing"),
        ({"directories": {"d": {"kind": "entry", "uri": "x:y", "listAs": 0}}}, "directories/d/listAs"),
        ({"media": {"m": {"kind": "photo"}}}, "media/m"),
        # RFC 9553 §2.8
        ({"anniversaries": {"a": {"kind": "birth", "date": {}}}}, "anniversaries/a/date"),
        ({"anniversaries": {"a": {"kind": "birth", "date": {"month": 4}}}}, "anniversaries/a/date/month"),
        ({"anniversaries": {"a": {"kind": "birth", "date": {"day": 4}}}}, "anniversaries/a/date/day"),
        ({"anniversaries": {"a": {"kind": "birth", "date": {"month": 2, "day": 30}}}}, "anniversaries/a/date/day"),
        (
            {"anniversaries": {"a": {"kind": "birth", "date": {"year": 2023, "month": 2, "day": 29}}}},
            "anniversaries/a/date/day",
        ),
        ({"anniversaries": {"a": {"kind": "birth", "date": {"month": 13, "day": 1}}}}, "anniversaries/a/date/month"),
        (
            {"anniversaries": {"a": {"kind": "birth", "date": {"year": 1, "calendarScale": "Hebrew"}}}},
            "anniversaries/a/date/calendarScale",
        ),
        ({"anniversaries": {"a": {"kind": "birth", "date": {"year": 1}, "place": {}}}}, "anniversaries/a/place"),
        ({"keywords": {"x": 1}}, "keywords/x"),
        ({"notes": {"n": {"note": "x", "author": {"@type": "Author"}}}}, "notes/n/author"),
        ({"personalInfo": {"p": {"kind": "hobby", "value": "x", "level": "HIGH"}}}, "personalInfo/p/level"),
        # RFC 9555 §2.15
        ({"vCardProps": [["x-foo", {}, "text"]]}, "vCardProps/0"),
        ({"vCardProps": [["x-foo", {"a": 1}, "text", "v"]]}, "vCardProps/0/1/a"),
        ({"emails": {"e": {"address": "a@b", "vCardParams": {"x": [1]}}}}, "emails/e/vCardParams/x/0"),
        ({"vCardName": "a b"}, "vCardName"),
    ],
)  # fmt: skip
def test_what_the_rfc_does_not_allow_is_refused_by_its_path(house, card, path):
    """The path is a JSON Pointer to the very value, or to the member that is missing."""
    assert problem(card)[0] == path
    if not {"id", "addressBookIds"} & card.keys():
        error = refused(house, card)
        assert (error["type"], error["properties"]) == ("invalidProperties", [path])


@pytest.mark.parametrize(
    "card",
    [
        {"futureProperty": {"any": [1, None, {"thing": 1.5}]}},
        {"example.com:foo": None, "münchen.example:b c": {"Emails": {"extra": 1}}},
        {"name": {"full": "x", "example.com:Full": 1, "newProperty": [[]]}},
        {"kind": "example.com:robot"},
        {"emails": {"e": {"address": "a@b", "contexts": {"example.com:boat": True}, "vCardName": "email"}}},
        {"phones": {"p": {"number": "tel:+1", "contexts": {"work": False}}}},
        {"emails": {"e": {"address": "jürgen@exämple.org"}}},
        {"anniversaries": {"a": {"kind": "birth", "date": {"month": 2, "day": 29}}}},
        {"anniversaries": {"a": {"kind": "birth", "date": {"@type": "PartialDate", "year": 0, "calendarScale": "hebrew"}}}},
        {"addresses": {"a": {"timeZone": "Europe/Berlin", "coordinates": "geo:52.5,13.4;u=10", "countryCode": "DE"}}},
        {"kind": "group"},
        {"vCardProps": [["x-foo", {"x-bar": "Hello", "group": "item1"}, "unknown", "World!"]]},
        {"created": "2010-10-10T10:10:10.0031Z"},
        {"name": {"components": [{"kind": "surname", "value": "孫"}, {"kind": "separator", "value": ""}, {"kind": "given", "value": "中山"}], "isOrdered": True, "defaultSeparator": ""}},
    ],
)  # fmt: skip
def test_what_the_rfc_allows_comes_back_as_it_was(house, card):
    """Unknown and vendors' members, at any depth, are kept with their values."""
    assert check_card({**MINIMAL, **card}) == {**MINIMAL, **card}
    shown = get(house, add(house, card))
    assert json.dumps({name: shown[name] for name in card}) == json.dumps(card)


def test_what_must_be_there_is_named():
    """A Card without @type, version or uid is none."""
    for name in MINIMAL:
        with pytest.raises(ValueProblem) as caught:
            check_card({other: value for other, value in MINIMAL.items() if other != name})
        assert caught.value.path == name


NAMED = {"name": named("Ann", "Lee"), "titles": {"t1": {"name": "novelist"}}, "keywords": {"a/b": True}}


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"titles/t9/name": "x"}, "titles~1t9~1name"),
        ({"nicknames/n/name": "x"}, "nicknames~1n~1name"),
        ({"titles/t1/name": 5}, "titles~1t1~1name"),
        ({"titles/t1/name": None}, "titles~1t1~1name"),
        ({"titles/t1/Name": "x"}, "titles~1t1~1Name"),
        ({"titles/t1/contexts": {}}, "titles~1t1~1contexts"),
        ({"titles/t 2": {"name": "x"}}, "titles~1t 2"),
        ({"titles/t2": {"kind": "role"}}, "titles~1t2"),
        ({"name/components/2/value": "x"}, "name~1components~12~1value"),
        ({"name/components/-": {"kind": "given", "value": "x"}}, "name~1components~1-"),
        ({"name/components/2": {"kind": "given", "value": "x"}}, "name~1components~12"),
        ({"name/components/0": None}, "name~1components~10"),
        ({"name/components/01/value": "x"}, "name~1components~101~1value"),
        ({"name/components/0/phonetic": "x"}, "name~1components~10~1phonetic"),
        ({"name/full/x": "x"}, "name~1full~1x"),
        ({"name": {"full": "x"}, "name/full": "y"}, "name~1full"),
        ({"name": None, "name/full": "y"}, "name~1full"),
        ({"uid": None}, "uid"),
        ({"localizations/fr/name": None}, "localizations~1fr~1name"),
        ({"localizations": {}}, "localizations"),
        ({"Name": {"full": "x"}}, "Name"),
        ({"addressBookIds": {"ab1": True}}, "addressBookIds"),
        ({"keywords/a~b": True}, "keywords~1a~0b"),
        ({"": 1}, ""),
        ({"name/components/0/kind/x": "x"}, "name~1components~10~1kind~1x"),
    ],
)
def test_a_localization_that_leads_nowhere_is_refused_by_its_path(house, patch, path):
    """It is applied and checked where it lands (RFC 9553 §1.4.3, §2.7.1); none of it is kept when a patch is wrong."""
    whole = f"localizations/de/{path}".rstrip("/") if path else "localizations/de/"
    assert problem({**NAMED, "localizations": {"fr": {"name/full": "ok"}, "de": patch}})[0].rstrip("/") == whole.rstrip(
        "/"
    )
    error = refused(house, {**NAMED, "localizations": {"de": patch}})
    assert error["type"] == "invalidProperties"
    assert error["properties"][0].rstrip("/") == whole.rstrip("/")


@pytest.mark.parametrize(
    ("patch", "name", "value"),
    [
        ({"titles/t1/name": "escritora"}, "titles", {"t1": {"name": "escritora"}}),
        ({"titles/t1": None}, "titles", {}),
        ({"titles": None}, "titles", None),
        ({"keywords/a~1b": None, "keywords/c": True}, "keywords", {"c": True}),
        ({"name/components/0": {"kind": "given", "value": "Ana"}, "name/components/1/value": "Le"}, "name", named("Ana", "Le")),
        ({"example.com:x": 1}, "example.com:x", 1),
        ({"nicknames": {"n": {"name": "Nan"}}}, "nicknames", {"n": {"name": "Nan"}}),
        ({}, "titles", {"t1": {"name": "novelist"}}),
    ],
)  # fmt: skip
def test_a_localization_makes_a_card_in_another_language(patch, name, value):
    """The original is not touched."""
    card = {**MINIMAL, **NAMED, "localizations": {"es": patch}}
    before = json.dumps(card)
    assert localized(card)["es"].get(name) == value
    assert json.dumps(card) == before


def test_what_a_localization_hangs_on_can_not_go(house):
    """A patch that leaves a localization dangling is refused; together with it, it is fine."""
    card = add(house, {**NAMED, "localizations": {"es": {"titles/t1/name": "escritora"}}})

    error = change(house, card, {"titles": None})
    assert (error["type"], error["properties"]) == ("invalidProperties", ["localizations/es/titles~1t1~1name"])
    assert change(house, card, {"titles": None, "localizations/es": None}) is None
    assert "titles" not in get(house, card)


@pytest.mark.parametrize("member", ["kind", "value"])
def test_a_localization_that_takes_away_what_must_be_there_is_refused(member):
    """Before anything that relies on it looks."""
    name = {"components": [{"kind": "given", "value": "Joe"}], "sortAs": {"given": "joe"}, "isOrdered": True}
    path, sentence = problem({"name": name, "localizations": {"de": {f"name/components/0/{member}": None}}})
    assert path == f"localizations/de/name~1components~10~1{member}"
    assert "must have it" in sentence


def test_hostile_localizations_are_bounded():
    """Many languages and patches are refused, and what is allowed is checked in a moment even over large maps."""
    emails = {f"e{number}": {"address": f"a{number}@example.com"} for number in range(10_000)}
    many = {f"x-{number}": {"emails/e1/label": "x"} for number in range(MOST_LANGUAGES)}
    start = time.process_time()
    check_card({**MINIMAL, "emails": emails, "localizations": many})
    assert time.process_time() - start < 3

    assert problem({"emails": emails, "localizations": {**many, "de": {}}})[0] == "localizations"
    patches = {f"keywords/{number}": True for number in range(MOST_PATCHES + 1)}
    assert problem({"keywords": {}, "localizations": {"de": patches}})[0].startswith("localizations")


def test_depth_and_counts_are_bounded(house):
    """A value of an unknown kind may be 64 levels deep, a name has 500 components, a map 10,000 members."""
    deep = 1
    for _ in range(70):
        deep = [deep]
    assert problem({"example.com:x": deep})[0] == "example.com:x"
    assert problem({"name": {"components": [{"kind": "given", "value": "x"}] * 501}})[0] == "name/components"
    assert problem({"keywords": {str(number): True for number in range(10_001)}})[0] == "keywords"
    assert refused(house, {"notes": {"n": {"note": "x" * 1_000_100}}})["type"] == "tooLarge"
    assert create(house, {"notes": {"n": {"note": "x" * 900_000}}})["created"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*CARD.members, "extra", "Name", "x"]) | st.text(max_size=5)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(NAMES, JSON, max_size=4),
    st.dictionaries(st.sampled_from(["name", "titles/t1/name", "a/b/c", "~"]) | st.text(max_size=6), JSON, max_size=3),
)
def test_anything_is_either_a_card_or_refused(card, patch):
    """No value makes the check fall over, and what it takes is JSON that it takes again."""
    whole = {**MINIMAL, **NAMED, **card}
    if "localizations" not in card:
        whole["localizations"] = {"de": patch}
    try:
        checked = check_card(whole)
    except ValueProblem:
        return
    else:
        assert check_card(json.loads(json.dumps(checked))) == checked


def test_every_type_of_the_registry_is_declared():
    """The object types of RFC 9553 §3.6.2; the others there are kinds of values."""
    assert set(FORMAT.types) == {
        *("Address", "AddressComponent", "Anniversary", "Author", "Calendar", "Card", "CryptoKey", "Directory"),
        *(
            "EmailAddress",
            "LanguagePref",
            "Link",
            "Media",
            "Name",
            "NameComponent",
            "Nickname",
            "Note",
            "OnlineService",
        ),
        *(
            "Organization",
            "OrgUnit",
            "PartialDate",
            "PersonalInfo",
            "Phone",
            "Pronouns",
            "Relation",
            "SchedulingAddress",
        ),
        *("SpeakToAs", "Timestamp", "Title"),
    }
