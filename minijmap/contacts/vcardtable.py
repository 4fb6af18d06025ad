"""Which property of vCard is which object of JSContact: one row each, for both directions (RFC 9555 §2.4 to §2.13).

Here are the properties whose value is one member of an object and whose parameters are the others. Names, addresses,
organizations and dates have forms of their own (`vcardparts`). Must not know how a card is walked through.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from minijmap.contacts import jscontact
from minijmap.contacts.vcarddates import stamp_of, utc_of
from minijmap.jmap.objects import TypedObject


class Form(Enum):
    """What the value of a property is. Under `EITHER` the parameter VALUE says it, and a URI is told by its form."""

    TEXT = "text"
    URI = "uri"
    EITHER = "either"
    LANGUAGE = "language-tag"


@dataclass(frozen=True)
class Parameter:
    """A parameter that is a member. `read` returns None for a value that can't be one, `write` likewise."""

    name: str
    member: str
    read: Callable[[str], Any] = str
    write: Callable[[Any], str | None] = str


def _pref(value: str) -> int | None:
    return int(value) if re.fullmatch(r"[1-9][0-9]?|100", value) else None


def _positive(value: str) -> int | None:
    return int(value) if re.fullmatch(r"[1-9][0-9]{0,8}", value) else None


# RFC 9555 §2.3.13
_LEVELS: Final = {"beginner": "low", "average": "medium", "expert": "high"}
_EXPERTISE: Final = {level: word for word, level in _LEVELS.items()}


def _level(value: str) -> str | None:
    return value.lower() if value.lower() in _EXPERTISE else None


PREF: Final = Parameter("pref", "pref", _pref)
MEDIATYPE: Final = Parameter("mediatype", "mediaType")
INDEX: Final = Parameter("index", "listAs", _positive)
LEVEL: Final = Parameter("level", "level", _level)
LEVEL_OF_EXPERTISE: Final = Parameter("level", "level", lambda value: _LEVELS.get(value.lower()), _EXPERTISE.get)
SERVICE_TYPE: Final = Parameter("service-type", "service")
USERNAME: Final = Parameter("username", "user")
CREATED: Final = Parameter("created", "created", utc_of, stamp_of)

# RFC 9555 §2.3.22, RFC 9554 §5; each value of TYPE is a key of a set
CONTEXTS: Final = {"home": ("contexts", "private"), "work": ("contexts", "work")}
ADDRESS_CONTEXTS: Final = {**CONTEXTS, "billing": ("contexts", "billing"), "delivery": ("contexts", "delivery")}
# RFC 9555 §2.7.6
FEATURES: Final = {
    **CONTEXTS,
    "cell": ("features", "mobile"),
    **{one: ("features", one) for one in ("fax", "main-number", "pager", "text", "textphone", "video", "voice")},
}


@dataclass(frozen=True)
class Row:
    """A property of vCard and the object of JSContact that it is."""

    name: str
    place: tuple[str, ...]
    """Where in the Card the map of such objects is."""
    member: str
    kind: TypedObject
    prefix: str
    """What ids that are made here begin with."""
    form: Form = Form.TEXT
    params: tuple[Parameter, ...] = ()
    types: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Members by which such an object is told from others of the map."""
    text_member: str = ""
    """The member of a value that is no URI, where that is another."""
    is_list: bool = False

    def is_form_of(self, value: Mapping[str, Any]) -> bool:
        """Say whether an object is written as this property."""
        told = all(value.get(name, _DEFAULTS.get(name)) == one for name, one in self.fixed.items())
        return told and (self.member in value or (bool(self.text_member) and self.text_member in value))


_DEFAULTS: Final = {"kind": "title"}
"""What is meant where it is left out: RFC 9553 §2.2.5. All other maps with a kind demand one, but Link, which has none.
"""


def _resource(name: str, place: str, kind: TypedObject, prefix: str, fixed: str = "", *more: Parameter) -> Row:
    return Row(
        *(name, (place,), "uri", kind, prefix, Form.URI),
        params=(PREF, MEDIATYPE, *more),
        types=CONTEXTS,
        fixed={"kind": fixed} if fixed else {},
    )


def _personal(kind: str, level: Parameter = LEVEL) -> Row:
    return Row(
        *(kind.upper(), ("personalInfo",), "value", jscontact.PERSONAL_INFO, "PERSINFO"),
        params=(INDEX, level),
        fixed={"kind": kind},
    )


def _title(kind: str) -> Row:
    return Row(kind.upper(), ("titles",), "name", jscontact.TITLE, "TITLE", fixed={"kind": kind})


def _online(name: str, fixed: Mapping[str, str], text_member: str) -> Row:
    return Row(
        *(name, ("onlineServices",), "uri", jscontact.ONLINE_SERVICE, "OS"),
        *(Form.EITHER if text_member else Form.URI, (SERVICE_TYPE, USERNAME, PREF), CONTEXTS, fixed, text_member),
    )


ROWS: Final = (
    Row("EMAIL", ("emails",), "address", jscontact.EMAIL_ADDRESS, "EMAIL", params=(PREF,), types=CONTEXTS),
    Row("TEL", ("phones",), "number", jscontact.PHONE, "PHONE", Form.EITHER, (PREF,), FEATURES),
    _online("IMPP", {"vCardName": "impp"}, ""),
    _online("SOCIALPROFILE", {}, "user"),
    Row(
        *("LANG", ("preferredLanguages",), "language", jscontact.LANGUAGE_PREF, "LANG"),
        *(Form.LANGUAGE, (PREF,), CONTEXTS),
    ),
    Row(
        *("NICKNAME", ("nicknames",), "name", jscontact.NICKNAME, "NICK"),
        params=(PREF,),
        types=CONTEXTS,
        is_list=True,
    ),
    Row(
        "PRONOUNS", ("speakToAs", "pronouns"), "pronouns", jscontact.PRONOUNS, "PRONOUNS", Form.TEXT, (PREF,), CONTEXTS
    ),
    _title("title"),
    _title("role"),
    Row("NOTE", ("notes",), "note", jscontact.NOTE, "NOTE", params=(CREATED,)),
    _personal("expertise", LEVEL_OF_EXPERTISE),
    _personal("hobby"),
    _personal("interest"),
    _resource("PHOTO", "media", jscontact.MEDIA, "PHOTO", "photo"),
    _resource("LOGO", "media", jscontact.MEDIA, "LOGO", "logo"),
    _resource("SOUND", "media", jscontact.MEDIA, "SOUND", "sound"),
    _resource("CALURI", "calendars", jscontact.CALENDAR, "CAL", "calendar"),
    _resource("FBURL", "calendars", jscontact.CALENDAR, "FBURL", "freeBusy"),
    Row(
        *("CALADRURI", ("schedulingAddresses",), "uri", jscontact.SCHEDULING_ADDRESS, "SCHEDULING"),
        *(Form.URI, (PREF,), CONTEXTS),
    ),
    _resource("CONTACT-URI", "links", jscontact.LINK, "CONTACT", "contact"),
    _resource("URL", "links", jscontact.LINK, "LINK"),
    _resource("KEY", "cryptoKeys", jscontact.CRYPTO_KEY, "KEY"),
    _resource("SOURCE", "directories", jscontact.DIRECTORY, "ENTRY", "entry", INDEX),
    _resource("ORG-DIRECTORY", "directories", jscontact.DIRECTORY, "DIRECTORY", "directory", INDEX),
)
BY_NAME: Final = {row.name: row for row in ROWS}

WITH_LABEL: Final = frozenset(row.name for row in ROWS if "label" in row.kind.members)
"""Properties to which the X-ABLabel of their group gives a label (RFC 9555 §2.11.11)."""


def row_of(place: tuple[str, ...], value: Mapping[str, Any]) -> Row | None:
    """Return how an object of a map is written, or None."""
    return next((row for row in ROWS if row.place == place and row.is_form_of(value)), None)


PLACES: Final = tuple(dict.fromkeys(row.place for row in ROWS))
