"""JSContact (RFC 9553): every type and property of version 1.0, once, and the check of a whole Card.

The tables are in the order of the RFC; RFC 9555 §2.15 adds what vCard leaves, RFC 9610 §3 the `blobId` of a Media
object. Rules that hold between the members of an object are functions beside its table (see `jscontactrules`). Must not
know where a Card is kept, nor what an address book is.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from minijmap.contacts import jscontactrules as rules
from minijmap.jmap.objects import (
    TYPE,
    Enumerated,
    Format,
    Member,
    OneOf,
    Pattern,
    TypedObject,
    UTCDateTime,
    patched,
    patches,
    set_of,
)
from minijmap.jmap.values import Boolean, Id, Int, Kind, ListOf, MapOf, String, ValueProblem, token

VERSION: Final = "1.0"
MOST_COMPONENTS: Final = 500
MOST_UNITS: Final = 100
MOST_LANGUAGES: Final = 50
MOST_PATCHES: Final = 1000
"""Patches in all localizations of a Card."""
MOST_URI_OCTETS: Final = 40_000_000
"""A `data:` URI may hold a photo of 20 MB in base64."""

# Common data types (RFC 9553 §1.4)

ID: Final = Pattern(re.compile(r"[A-Za-z0-9_-]{1,255}"), "an Id")
TEXT: Final = String()
DATE_TIME: Final = UTCDateTime()
URI: Final = Pattern(
    re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]++|%[0-9A-Fa-f]{2})*+"),
    "a URI (RFC 3986)",
    MOST_URI_OCTETS,
)
LANGUAGE: Final = Pattern(re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,15}"), "a language tag (RFC 5646)")
MEDIA_TYPE: Final = Pattern(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:\s*;[^\x00-\x1f]*)?"),
    "a media type (RFC 2046)",
    1000,
)
SCRIPT: Final = Pattern(re.compile(r"[A-Za-z]{4}"), "a script subtag (RFC 5646) such as Latn")

# Common properties (RFC 9553 §1.5)

CONTEXTS: Final = Member(MapOf(Enumerated("private", "work"), Boolean()))
LABEL: Final = Member(TEXT)
PREF: Final = Member(Int(1, 100))
PHONETIC: Final = Member(TEXT)
PHONETIC_SCRIPT: Final = Member(SCRIPT)
PHONETIC_SYSTEM: Final = Member(Enumerated("ipa", "jyut", "piny"))

# RFC 9555 §2.15
_PARAMETERS: Final = MapOf(TEXT, rules.StringOrStrings(), 1000)
_VCARD_NAME: Final = Pattern(re.compile(r"[A-Za-z0-9-]{1,255}"), "the name of a vCard property or parameter")

FORMAT: Final = Format(
    everywhere={"vCardName": Member(_VCARD_NAME), "vCardParams": Member(_PARAMETERS)},
    reserved=frozenset(("extra",)),
    guarded=frozenset(("contexts", "label", "pref", "phonetic", "phoneticScript", "phoneticSystem")),
)


def _resource(**own: Member) -> dict[str, Member]:
    """Return the properties that every Resource has (RFC 9553 §1.4.4), with a type's own."""
    resource = {"uri": Member(URI, mandatory=True), "mediaType": Member(MEDIA_TYPE), "label": LABEL}
    return {"kind": Member(TEXT), **resource, "contexts": CONTEXTS, "pref": PREF, **own}


def _required(kind: Kind) -> Member:
    return Member(kind, mandatory=True)


# Metadata (RFC 9553 §2.1)

KIND: Final = Enumerated("individual", "group", "org", "location", "device", "application")
RELATION_KIND: Final = Enumerated(
    *("acquaintance", "agent", "child", "co-resident", "co-worker", "colleague", "contact", "crush", "date"),
    *("emergency", "friend", "kin", "me", "met", "muse", "neighbor", "parent", "sibling", "spouse", "sweetheart"),
)
RELATION: Final = TypedObject("Relation", FORMAT, {"relation": Member(set_of(RELATION_KIND), default={})})

# Names and organizations (RFC 9553 §2.2)

NAME_KIND: Final = Enumerated(
    "title", "given", "given2", "surname", "surname2", "credential", "generation", "separator"
)
NAME_COMPONENT: Final = TypedObject(
    "NameComponent", FORMAT, {"value": _required(TEXT), "kind": _required(NAME_KIND), "phonetic": PHONETIC}
)
NAME: Final = TypedObject(
    "Name",
    FORMAT,
    {
        "components": Member(ListOf(NAME_COMPONENT, MOST_COMPONENTS)),
        "isOrdered": Member(Boolean(), default=False),
        "defaultSeparator": Member(TEXT),
        "full": Member(TEXT),
        "sortAs": Member(MapOf(NAME_KIND, TEXT)),
        "phoneticScript": PHONETIC_SCRIPT,
        "phoneticSystem": PHONETIC_SYSTEM,
    },
    any_of=("components", "full"),
    rules=(rules.components, rules.sort_as),
)
NICKNAME: Final = TypedObject("Nickname", FORMAT, {"name": _required(TEXT), "contexts": CONTEXTS, "pref": PREF})
ORG_UNIT: Final = TypedObject("OrgUnit", FORMAT, {"name": _required(TEXT), "sortAs": Member(TEXT)})
ORGANIZATION: Final = TypedObject(
    "Organization",
    FORMAT,
    {
        "name": Member(TEXT),
        "units": Member(rules.NotEmpty(ListOf(ORG_UNIT, MOST_UNITS))),
        "sortAs": Member(TEXT),
        "contexts": CONTEXTS,
    },
    any_of=("name", "units"),
)
PRONOUNS: Final = TypedObject("Pronouns", FORMAT, {"pronouns": _required(TEXT), "contexts": CONTEXTS, "pref": PREF})
SPEAK_TO_AS: Final = TypedObject(
    "SpeakToAs",
    FORMAT,
    {
        "grammaticalGender": Member(Enumerated("animate", "common", "feminine", "inanimate", "masculine", "neuter")),
        "pronouns": Member(MapOf(ID, PRONOUNS)),
    },
    any_of=("grammaticalGender", "pronouns"),
)
TITLE: Final = TypedObject(
    "Title",
    FORMAT,
    {
        "name": _required(TEXT),
        "kind": Member(Enumerated("title", "role"), default="title"),
        "organizationId": Member(ID),
    },
)

# Contact (RFC 9553 §2.3)

EMAIL_ADDRESS: Final = TypedObject(
    "EmailAddress",
    FORMAT,
    {"address": _required(rules.AddrSpec()), "contexts": CONTEXTS, "pref": PREF, "label": LABEL},
)
ONLINE_SERVICE: Final = TypedObject(
    "OnlineService",
    FORMAT,
    {
        "service": Member(TEXT),
        "uri": Member(URI),
        "user": Member(TEXT),
        "contexts": CONTEXTS,
        "pref": PREF,
        "label": LABEL,
    },
    any_of=("uri", "user"),
)
PHONE: Final = TypedObject(
    "Phone",
    FORMAT,
    {
        "number": _required(TEXT),
        "features": Member(
            set_of(Enumerated("mobile", "voice", "text", "video", "main-number", "textphone", "fax", "pager"))
        ),
        "contexts": CONTEXTS,
        "pref": PREF,
        "label": LABEL,
    },
)
LANGUAGE_PREF: Final = TypedObject(
    "LanguagePref", FORMAT, {"language": _required(LANGUAGE), "contexts": CONTEXTS, "pref": PREF}
)

# Calendaring (RFC 9553 §2.4)

CALENDAR: Final = TypedObject("Calendar", FORMAT, _resource(kind=_required(Enumerated("calendar", "freeBusy"))))
SCHEDULING_ADDRESS: Final = TypedObject(
    "SchedulingAddress", FORMAT, {"uri": _required(URI), "contexts": CONTEXTS, "pref": PREF, "label": LABEL}
)

# Addresses (RFC 9553 §2.5)

ADDRESS_KIND: Final = Enumerated(
    *("room", "apartment", "floor", "building", "number", "name", "block", "subdistrict", "district", "locality"),
    *("region", "postcode", "country", "direction", "landmark", "postOfficeBox", "separator"),
)
ADDRESS_COMPONENT: Final = TypedObject(
    "AddressComponent", FORMAT, {"value": _required(TEXT), "kind": _required(ADDRESS_KIND), "phonetic": PHONETIC}
)
ADDRESS: Final = TypedObject(
    "Address",
    FORMAT,
    {
        "components": Member(ListOf(ADDRESS_COMPONENT, MOST_COMPONENTS)),
        "isOrdered": Member(Boolean(), default=False),
        "countryCode": Member(Pattern(re.compile(r"[A-Za-z]{2}"), "a country code of two letters (ISO 3166-1)")),
        "coordinates": Member(rules.GEO),
        "timeZone": Member(rules.TimeZone()),
        "contexts": Member(set_of(Enumerated("private", "work", "billing", "delivery"))),
        "full": Member(TEXT),
        "defaultSeparator": Member(TEXT),
        "pref": PREF,
        "phoneticScript": PHONETIC_SCRIPT,
        "phoneticSystem": PHONETIC_SYSTEM,
    },
    any_of=("components", "coordinates", "countryCode", "full", "timeZone"),
    rules=(rules.components,),
)

# Resources (RFC 9553 §2.6)

LIST_AS: Final = Member(Int(1))
CRYPTO_KEY: Final = TypedObject("CryptoKey", FORMAT, _resource())
DIRECTORY: Final = TypedObject(
    "Directory", FORMAT, _resource(kind=_required(Enumerated("directory", "entry")), listAs=LIST_AS)
)
LINK: Final = TypedObject("Link", FORMAT, _resource(kind=Member(Enumerated("contact"))))
MEDIA: Final = TypedObject(
    "Media",
    FORMAT,
    # RFC 9610 §3: `blobId` instead of `uri`
    _resource(kind=_required(Enumerated("photo", "sound", "logo")), uri=Member(URI), blobId=Member(Id())),
    any_of=("uri", "blobId"),
    rules=(rules.one_content,),
)

# Additional properties (RFC 9553 §2.8)

PARTIAL_DATE: Final = TypedObject(
    "PartialDate",
    FORMAT,
    {
        "year": Member(Int(0)),
        "month": Member(Int(1, 12)),
        "day": Member(Int(1, 31)),
        "calendarScale": Member(rules.CalendarScale()),
    },
    any_of=("year", "month", "day"),
    rules=(rules.partial_date,),
)
TIMESTAMP: Final = TypedObject("Timestamp", FORMAT, {"utc": _required(DATE_TIME)})
ANNIVERSARY: Final = TypedObject(
    "Anniversary",
    FORMAT,
    {
        "kind": _required(Enumerated("birth", "death", "wedding")),
        "date": _required(OneOf(PARTIAL_DATE, TIMESTAMP)),
        "place": Member(ADDRESS),
    },
)
AUTHOR: Final = TypedObject("Author", FORMAT, {"name": Member(TEXT), "uri": Member(URI)}, rules=(rules.says_something,))
NOTE: Final = TypedObject(
    "Note", FORMAT, {"note": _required(TEXT), "created": Member(DATE_TIME), "author": Member(AUTHOR)}
)
PERSONAL_INFO: Final = TypedObject(
    "PersonalInfo",
    FORMAT,
    {
        "kind": _required(Enumerated("expertise", "hobby", "interest")),
        "value": _required(TEXT),
        "level": Member(Enumerated("high", "medium", "low")),
        "listAs": LIST_AS,
        "label": LABEL,
    },
)

# The Card (RFC 9553 §2)

CARD: Final = TypedObject(
    "Card",
    FORMAT,
    {
        TYPE: _required(Pattern(re.compile("Card"), "“Card”")),
        "version": _required(Pattern(re.compile(re.escape(VERSION)), f"“{VERSION}”, the version of JSContact here")),
        "uid": _required(String(1, 1024)),
        "kind": Member(KIND, default="individual"),
        "created": Member(DATE_TIME),
        "updated": Member(DATE_TIME),
        "prodId": Member(String(1)),
        "language": Member(LANGUAGE),
        "members": Member(set_of(String(1, 1024))),
        "relatedTo": Member(MapOf(String(1, 1024), RELATION)),
        "name": Member(NAME),
        "nicknames": Member(MapOf(ID, NICKNAME)),
        "organizations": Member(MapOf(ID, ORGANIZATION)),
        "speakToAs": Member(SPEAK_TO_AS),
        "titles": Member(MapOf(ID, TITLE)),
        "emails": Member(MapOf(ID, EMAIL_ADDRESS)),
        "onlineServices": Member(MapOf(ID, ONLINE_SERVICE)),
        "phones": Member(MapOf(ID, PHONE)),
        "preferredLanguages": Member(MapOf(ID, LANGUAGE_PREF)),
        "calendars": Member(MapOf(ID, CALENDAR)),
        "schedulingAddresses": Member(MapOf(ID, SCHEDULING_ADDRESS)),
        "addresses": Member(MapOf(ID, ADDRESS)),
        "cryptoKeys": Member(MapOf(ID, CRYPTO_KEY)),
        "directories": Member(MapOf(ID, DIRECTORY)),
        "links": Member(MapOf(ID, LINK)),
        "media": Member(MapOf(ID, MEDIA)),
        "localizations": Member(patches(LANGUAGE, MOST_PATCHES)),
        "anniversaries": Member(MapOf(ID, ANNIVERSARY)),
        "keywords": Member(set_of(TEXT)),
        "notes": Member(MapOf(ID, NOTE)),
        "personalInfo": Member(MapOf(ID, PERSONAL_INFO)),
        "vCardProps": Member(ListOf(rules.JCardProp(_PARAMETERS))),
    },
    # RFC 9610 §7.5: these are of ContactCard, not of Card
    reserved=frozenset(("id", "addressBookIds")),
    rules=(rules.members_of_groups,),
)


def check_card(card: Any) -> dict[str, Any]:
    """Return a whole Card in its normal form, which differs in nothing but numbers such as 1.0.

    Raises ValueProblem: `path` is a JSON Pointer without the first slash, `sentence` says what is wrong there.
    """
    checked = CARD.check(card)
    localized(checked)
    return checked


def check_property(name: str, value: Any) -> Any:
    """Return one property of a Card, checked by itself. Raises ValueProblem."""
    return CARD.check_member(name, value)


def localized(card: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the Card in each language of its `localizations` (RFC 9553 §2.7.1), whose other properties are checked.

    Raises ValueProblem where a patch leads to nothing or makes something that a Card can't be.
    """
    by_language = card.get("localizations") or {}
    if len(by_language) > MOST_LANGUAGES or sum(map(len, by_language.values())) > MOST_PATCHES:
        raise ValueProblem(f"must have at most {MOST_LANGUAGES} languages and {MOST_PATCHES} patches", "localizations")
    if not by_language:
        return {}
    original = {name: value for name, value in card.items() if name != "localizations"}
    variants = {}
    for language, patch in by_language.items():
        try:
            variants[language] = _localize(original, patch)
        except ValueProblem as problem:
            raise ValueProblem(problem.sentence, f"localizations/{language}/{problem.path}".rstrip("/")) from None
    return variants


def _localize(original: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    for path in patch:
        if path.split("/", 1)[0] == "localizations":
            raise ValueProblem("must not be a patch of localizations", token(path))
    return patched(CARD, original, patch, into_arrays=True)
