"""Header fields in the forms of RFC 8621 §4.1.2, and the header:* properties of §4.1.3.

Owns the reading of RFC 5322 structured fields (message ids, dates; addresses.py has the addresses), RFC 2369 lists of
URLs and MIME fields with parameters (RFC 2045 §5.1, RFC 2183, RFC 2231). Every reader takes a field value in Raw form,
takes time linear in its length, recurses nowhere and raises on no input: what is malformed is read as well as it can
be. It knows no message structure and no store.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from minijmap.mail.addresses import PAIR, SPACE, as_addresses, as_grouped_addresses, unfold, without_comments
from minijmap.mail.text import decode_charset, decode_words

__all__ = [
    "ALLOWED",
    "FORMS",
    "BadHeaderProperty",
    "HeaderProperty",
    "Headers",
    "as_addresses",
    "as_date",
    "as_grouped_addresses",
    "as_message_ids",
    "as_raw",
    "as_text",
    "as_urls",
    "content_id",
    "content_language",
    "content_location",
    "content_type",
    "disposition",
    "find",
    "find_all",
    "parse_property",
    "unfold",
]

Headers = Iterable[tuple[str, str]]
"""Header fields in order: the name as in the message, the value in Raw form."""

MAX_IDS: Final = 10_000
"""Message ids or URLs read from one field; the rest is left out."""

MAX_PARAMETERS: Final = 200
"""Parameters (and RFC 2231 pieces of them) read from one MIME field; the rest is left out."""

# --- Raw, Text ------------------------------------------------------------------------------------------------------


def as_raw(raw: str) -> str:
    """The value as it is (RFC 8621 §4.1.2.1)."""
    return raw


def as_text(raw: str) -> str:
    """Unfolded, RFC 2047 decoded, NFC, without leading white space (RFC 8621 §4.1.2.2)."""
    return decode_words(unfold(raw).lstrip(" \t"))


# --- MessageIds, Date, URLs -----------------------------------------------------------------------------------------

_ANGLED: Final = re.compile(r"<([^<>]*+)>")
_BARE_ID: Final = re.compile(r"[^\s,;<>\"]+@[^\s,;<>\"]+")
_BARE_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+:[^\s<>\"]+")


def _angled(text: str) -> list[str]:
    """What stands in angle brackets, white space removed; at most MAX_IDS of them."""
    values: list[str] = []
    for found in _ANGLED.finditer(text):
        value = SPACE.sub("", found[1])
        if value:
            values.append(value)
            if len(values) == MAX_IDS:
                break
    return values


def as_message_ids(raw: str) -> list[str] | None:
    """Message ids without their brackets, None when there is none (RFC 8621 §4.1.2.5).

    Phrases between ids are obsolete syntax (RFC 5322 §4.5.4) and are passed over; an id without brackets is taken.
    """
    text = without_comments(unfold(raw))
    ids = _angled(text)
    if not ids:
        words = text.replace(",", " ").split()[:MAX_IDS]
        if all(_BARE_ID.fullmatch(word) for word in words):
            ids = words
    return ids or None


def as_urls(raw: str) -> list[str] | None:
    """URLs of an RFC 2369 field without brackets and comments, None when there is none (RFC 8621 §4.1.2.7)."""
    text = without_comments(unfold(raw))
    urls = _angled(text)
    if not urls and _BARE_URL.fullmatch(text.strip()):
        urls = [text.strip()]
    return urls or None


_MONTHS: Final = {
    "janfebmaraprmayjunjulaugsepoctnovdec"[3 * number - 3 : 3 * number]: number for number in range(1, 13)
}
_ZONES: Final = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}
_TIME: Final = r"(?P<hour>\d{1,2})\s?[:.]\s?(?P<minute>\d{2})(?:\s?[:.]\s?(?P<second>\d{2})(?:[.,]\d{1,9})?)?"
_DATES: Final = (
    re.compile(
        r"(?:[A-Za-z]{2,9}\.?,? ?|, ?)?"
        r"(?P<day>\d{1,2})[ -](?P<month>[A-Za-z]{3})[A-Za-z]{0,6}\.?,?[ -](?P<year>\d{2,4}),? "
        + _TIME
        + r"(?: ?(?P<zone>[+-]\d{2}:?\d{2}|[A-Za-z]{1,5}(?![A-Za-z])))?(?P<rest>.*)",
        re.ASCII,
    ),
    # The order of asctime(3), as very old senders write it.
    re.compile(
        r"(?:[A-Za-z]{3},? )?(?P<month>[A-Za-z]{3}) (?P<day>\d{1,2}) "
        + _TIME
        + r" (?:(?P<zone>[A-Za-z]{1,5}) )?(?P<year>\d{4})(?P<rest>.*)",
        re.ASCII,
    ),
)


def _zone_minutes(zone: str | None) -> int | None:
    """Minutes east of UTC; an unknown name counts as -0000 (RFC 5322 §4.3); None when it is no zone."""
    if not zone or zone[0] not in "+-":
        return 60 * _ZONES.get((zone or "").lower(), 0)
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        return None
    return (60 * hours + minutes) * (-1 if zone[0] == "-" else 1)


def as_date(raw: str) -> str | None:
    """The date-time as an RFC 3339 string with the offset as it was given, "Z" for UTC; None when it is no date.

    RFC 8621 §4.1.2.6, RFC 5322 §3.3 and the obsolete forms of §4.3. A leap second becomes second 59.
    """
    text = " ".join(without_comments(unfold(raw[:1000])).split())
    found = _DATES[0].fullmatch(text) or _DATES[1].fullmatch(text)
    if not found:
        return None
    offset = _zone_minutes(found["zone"])
    year, month = int(found["year"]), _MONTHS.get(found["month"].lower())
    if offset is None or month is None:
        return None
    if len(found["year"]) < 4:  # RFC 5322 §4.3
        year += 2000 if len(found["year"]) == 2 and year < 50 else 1900
    second = min(int(found["second"] or 0), 59) if int(found["second"] or 0) <= 60 else 99
    zone = timezone(timedelta(minutes=offset))
    try:
        moment = datetime(year, month, int(found["day"]), int(found["hour"]), int(found["minute"]), second, tzinfo=zone)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.isoformat() if offset else moment.replace(tzinfo=None).isoformat() + "Z"


# --- MIME fields ----------------------------------------------------------------------------------------------------

_ATOM: Final = r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+"
_MEDIA_TYPE: Final = re.compile(rf"\s*({_ATOM})\s*/\s*({_ATOM})")
_VALUE_ATOM: Final = re.compile(rf"\s*({_ATOM})")
_PARAMETER: Final = re.compile(r';\s*+([^\s=;"()]++)\s*+=\s*+("(?:[^"\\]++|\\.)*+"|[^;]*+)', re.DOTALL)
_PARAMETER_NAME: Final = re.compile(r"([^*]+)(?:\*([0-9]{1,4}))?(\*)?")
_NAMES: Final = frozenset(("name", "filename"))


def content_type(raw: str) -> tuple[str, dict[str, str]]:
    """The media type in lower case and the decoded parameters; text/plain when malformed (RFC 2045 §5.2)."""
    head, parameters = _split_parameters(unfold(raw))
    found = _MEDIA_TYPE.match(head)
    return (f"{found[1]}/{found[2]}".lower() if found else "text/plain"), parameters


def disposition(raw: str) -> tuple[str | None, dict[str, str]]:
    """The disposition in lower case (None when malformed) and the decoded parameters (RFC 2183 §2)."""
    head, parameters = _split_parameters(unfold(raw))
    found = _VALUE_ATOM.match(head)
    return (found[1].lower() if found else None), parameters


def _split_parameters(text: str) -> tuple[str, dict[str, str]]:
    head, semicolon, _ = text.partition(";")
    if "(" in head:
        text = without_comments(text)
        head, semicolon, _ = text.partition(";")
    return head, _parameters(text[len(head) :]) if semicolon else {}


def _parameters(text: str) -> dict[str, str]:
    """Parameters by lower-case name; an RFC 2231 value goes before a plain one of the same name."""
    plain: dict[str, str] = {}
    extended: dict[str, dict[int, tuple[bool, str]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(text)):
        name = _PARAMETER_NAME.fullmatch(found[1].lower())
        if count == MAX_PARAMETERS or not name:
            break
        value = _parameter_value(name[1], found[2])
        if name[2] is None and not name[3]:
            plain.setdefault(name[1], decode_words(value) if name[1] in _NAMES else value)
        else:
            extended.setdefault(name[1], {}).setdefault(int(name[2] or 0), (bool(name[3]), value))
    for key, pieces in extended.items():
        if 0 in pieces:
            plain[key] = _join_pieces(pieces)
    return plain


def _parameter_value(name: str, text: str) -> str:
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return PAIR.sub(r"\1", text[1:-1])
    if name not in _NAMES:  # unquoted file names with parentheses are common, comments after them are not
        text = text.partition("(")[0]
    return text.strip().strip('"')


def _join_pieces(pieces: dict[int, tuple[bool, str]]) -> str:
    """The value of RFC 2231 §3 and §4 pieces, up to the first that is missing."""
    charset: str | None = None
    octets = b""
    for number in range(len(pieces)):
        if number not in pieces:
            break
        encoded, value = pieces[number]
        if number == 0 and encoded and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        octets += unquote_to_bytes(value) if encoded else value.encode("utf-8", "replace")
    return unicodedata.normalize("NFC", decode_charset(octets, charset or None)[0])


def content_id(raw: str) -> str | None:
    """A Content-Id without comments, white space and brackets, None when empty (RFC 8621 §4.1.4)."""
    text = SPACE.sub("", without_comments(unfold(raw)))
    return text.removeprefix("<").removesuffix(">") or None


def content_language(raw: str) -> list[str] | None:
    """Language tags (RFC 3282 §2), None when there is none."""
    tags = (tag.strip() for tag in without_comments(unfold(raw[:10_000])).split(","))
    return [tag for tag in tags if tag] or None


def content_location(raw: str) -> str | None:
    """The URI, with the white space of its folding removed (RFC 2557 §4.4), None when empty."""
    return SPACE.sub("", unfold(raw)) or None


# --- properties -----------------------------------------------------------------------------------------------------

FORMS: Final[dict[str, Callable[[str], Any]]] = {
    "asRaw": as_raw,
    "asText": as_text,
    "asAddresses": as_addresses,
    "asGroupedAddresses": as_grouped_addresses,
    "asMessageIds": as_message_ids,
    "asDate": as_date,
    "asURLs": as_urls,
}
"""The reader of each header form."""


def _allowed() -> dict[str, frozenset[str]]:
    addresses = (
        "from sender reply-to to cc bcc resent-from resent-sender resent-reply-to resent-to resent-cc resent-bcc"
    )
    table = {
        "asText": "subject comments keywords",
        "asAddresses": addresses,
        "asMessageIds": "message-id in-reply-to references resent-message-id",
        "asDate": "date resent-date",
        "asURLs": "list-help list-unsubscribe list-subscribe list-post list-owner list-archive",
        "asRaw": "return-path received",
    }
    allowed = {name: frozenset(("asRaw", form)) for form, names in table.items() for name in names.split()}
    return allowed | {name: frozenset(("asRaw", "asAddresses", "asGroupedAddresses")) for name in addresses.split()}


ALLOWED: Final[dict[str, frozenset[str]]] = _allowed()
"""The forms of each field that RFC 5322 or RFC 2369 defines, by lower-case name; any other field has them all."""

CONVENIENCE: Final[dict[str, tuple[str, str]]] = {
    "messageId": ("Message-ID", "asMessageIds"),
    "inReplyTo": ("In-Reply-To", "asMessageIds"),
    "references": ("References", "asMessageIds"),
    "sender": ("Sender", "asAddresses"),
    "from": ("From", "asAddresses"),
    "to": ("To", "asAddresses"),
    "cc": ("Cc", "asAddresses"),
    "bcc": ("Bcc", "asAddresses"),
    "replyTo": ("Reply-To", "asAddresses"),
    "subject": ("Subject", "asText"),
    "sentAt": ("Date", "asDate"),
}
"""The field and form that a convenience property stands for (RFC 8621 §4.1.3)."""

_PROPERTY: Final = re.compile(r"header:([!-9;-~]+)(?::(as[A-Za-z]+))?(:all)?")


class BadHeaderProperty(ValueError):
    """A header:* property that is malformed or asks for a form its field doesn't have (RFC 8621 §4.1.3)."""


@dataclass(frozen=True, slots=True)
class HeaderProperty:
    """A header:* property taken apart: field name as asked for, key of FORMS, whether all instances are meant."""

    name: str
    form: str
    all: bool

    def value(self, headers: Headers) -> Any:
        """The property's value in a message or part with these fields (RFC 8621 §4.1.3)."""
        read = FORMS[self.form]
        raws = find_all(headers, self.name)
        if self.all:
            return [read(raw) for raw in raws]
        return read(raws[-1]) if raws else None


@lru_cache(maxsize=512)
def parse_property(text: str) -> HeaderProperty:
    """Take a property such as "header:Subject:asText:all" apart; raises BadHeaderProperty with a sentence why not."""
    found = _PROPERTY.fullmatch(text)
    if not found:
        raise BadHeaderProperty(f"{text[:200]!r} is not of the form header:Name[:asForm][:all].")
    name, form = found[1], found[2] or "asRaw"
    if form not in FORMS:
        raise BadHeaderProperty(f"{text[:200]!r} names the header form {form[:50]!r}, which does not exist.")
    if form not in ALLOWED.get(name.lower(), FORMS):
        raise BadHeaderProperty(f"The field {name[:100]!r} can't be read in the form {form!r}.")
    return HeaderProperty(name, form, bool(found[3]))


def find_all(headers: Headers, name: str) -> list[str]:
    """The Raw values of every field of that name, in order; names are matched case-insensitively."""
    wanted = name.lower()
    return [value for key, value in headers if key.lower() == wanted]


def find(headers: Headers, name: str) -> str | None:
    """The Raw value of the last field of that name, None when there is none."""
    values = find_all(headers, name)
    return values[-1] if values else None
