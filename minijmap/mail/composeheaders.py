"""Header fields of a created Email: the forms of RFC 8621 §4.1.2, written (RFC 5322 §3, RFC 2047, RFC 2369).

Owns the way from a value in one of the forms to a header field: what is taken, quoting, encoding. What it writes,
`headers` reads back. A line break or a NUL in a value is refused, so that no value can begin a field of its own. It
knows no message and no body.

What a field can't hold in ASCII (an addr-spec, a message id or a Raw value that isn't) stands in UTF-8 (RFC 6532);
everything else comes out as ASCII.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

from minijmap.jmap.values import Date, Kind, ListOf, Nullable, Record, String, ValueProblem
from minijmap.mail.folding import GAP, LONGEST_LINE, Field, Folder, field_of_lines, quoted_string
from minijmap.mail.headers import BadHeaderProperty, parse_property

_LONGEST_WORD: Final = 900
"""Characters of a word of text that still stands in plain sight; a longer one is encoded so that it can be folded."""

_ONCE: Final = frozenset(
    (
        *("date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references"),
        *("subject", "return-path", "mime-version"),
        *("list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive"),
    )
)
"""Fields that a header has at most once (RFC 5322 §3.6, RFC 2369 §3); beside them, every Content-* field."""

# --- kinds ----------------------------------------------------------------------------------------------------------

_BREAKS: Final = re.compile(r"[\r\n\0]")
_CONTROLS: Final = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_UNRAW: Final = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_RAW_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")
_MESSAGE_ID: Final = re.compile(r"[^\s<>\x00-\x20\x7f-\x9f]+")
_URI_SAFE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("<", "").replace(">", "")


class Text(String):
    """A String of Unicode text: no lone surrogates."""

    def check(self, value: Any) -> str:
        """Return it."""
        try:
            return super().check(value)
        except UnicodeEncodeError:
            raise ValueProblem("must not have a lone surrogate") from None


class OneLine(Text):
    """A String that can't end the header field it is written in."""

    def check(self, value: Any) -> str:
        """Return it without the control characters that readers drop anyway (RFC 8621 §4.1.2.2), TAB as a space."""
        text = super().check(value)
        if _BREAKS.search(text):
            raise ValueProblem("must not have a line break or a NUL")
        return _CONTROLS.sub("", text.replace("\t", " "))


class RawValue(Text):
    """A value in Raw form: one line, or several where each further one begins with white space."""

    def check(self, value: Any) -> str:
        """Return it as it is."""
        text = super().check(value)
        flat = _RAW_FOLD.sub("", text)
        if _BREAKS.search(flat):
            raise ValueProblem("must not have a NUL, or a line break that no white space follows")
        if _UNRAW.search(flat):
            raise ValueProblem("must not have control characters")
        if not all(line.strip(" \t\r") for line in text.split("\n")[1:]):
            raise ValueProblem("must not have a line of white space alone")
        return text


class MessageId(OneLine):
    """A msg-id (RFC 5322 §3.6.4), or a Content-Id (RFC 2045 §7), without its angle brackets."""

    def check(self, value: Any) -> str:
        """Return it as it is written, in brackets; those it is given with are no other ones."""
        text = super().check(value)
        inner = text[1:-1] if text[:1] == "<" and text[-1:] == ">" else text
        if not _MESSAGE_ID.fullmatch(inner):
            raise ValueProblem("must be an id without white space and angle brackets")
        return f"<{inner}>"


class Uri(OneLine):
    """A URI."""

    def check(self, value: Any) -> str:
        """Return it in ASCII, what it may not hold percent-encoded (RFC 3986 §2.1)."""
        text = quote(super().check(value).strip(" "), safe=_URI_SAFE)
        if not text:
            raise ValueProblem("must not be empty")
        return text


_ADDRESS: Final = Record(
    {"name": Nullable(OneLine()), "email": OneLine()}, required=frozenset(("email",)), name="an EmailAddress"
)
_GROUP: Final = Record(
    {"name": Nullable(OneLine()), "addresses": ListOf(_ADDRESS)},
    required=frozenset(("addresses",)),
    name="an EmailAddressGroup",
)

# --- Raw, Text ------------------------------------------------------------------------------------------------------


def _raw_field(name: str, value: str) -> Field:
    """A Raw value as it is, folds included; only what no line can hold is folded anew."""
    lines = f"{name}:{value}".replace("\r\n", "\n").split("\n")
    if all(len(line.encode()) <= LONGEST_LINE for line in lines):
        return field_of_lines(name, lines)
    folder = Folder(name)
    for word in GAP.split(_RAW_FOLD.sub("", value).strip(" \t")):
        folder.add(word)
    return folder.field()


def _needs_encoding(word: str) -> bool:
    return not word.isascii() or "=?" in word or len(word) > _LONGEST_WORD


def _write_text(folder: Folder, value: str) -> None:
    """Words in plain sight where they can be; encoded ones take the white space between them along."""
    if not value:
        return
    words = GAP.split(value)
    encode = [_needs_encoding(word) for word in words]
    # White space at either end would be lost: it is encoded together with the word beside it.
    if not words[0].strip(" "):
        encode[:2] = [True] * len(encode[:2])
    if not words[-1].strip(" "):
        encode[-2:] = [True] * len(encode[-2:])
    for encoded, run in groupby(zip(encode, words, strict=True), key=lambda pair: pair[0]):
        if encoded:
            folder.add_words(" ".join(word for _, word in run), phrase=False)
            continue
        for _, word in run:
            folder.add(word)


# --- Addresses, GroupedAddresses ------------------------------------------------------------------------------------

# By what is not in it: a set with all of Unicode in it takes `re` 3 ms to compile.
_ATEXT: Final = r"[^\x00-\x20\"(),.:;<>@\[\\\]\x7f-\x9f]"
_DOT_ATOM: Final = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
_ATOM: Final = re.compile(r"[!#-'*+\-/-9=?A-Z^-~]+")
_SIMPLE_ADDRESS: Final = re.compile(r"[!#-'*+\-/-9=?A-Z^-~.]+@[A-Za-z0-9.-]+")
_ADDR_SPEC: Final = re.compile(rf'(?:{_DOT_ATOM}|"(?:[^"\\]|\\[ -~])*")@(?:{_DOT_ATOM}|\[[^\[\]\\\s]*\])')
_BRACKETABLE: Final = re.compile(r"[^\s\"()<>\\]+")
_STRANGE_SPACE: Final = re.compile(r"[^\S ]")
_OBSOLETE: Final = re.compile(r"@[^:]*:|mailto:", re.IGNORECASE)


def _add_phrase(folder: Folder, name: str, end: str = "") -> None:
    """A display-name (RFC 5322 §3.4): atoms, a quoted string or encoded words; `end` follows it."""
    words = GAP.split(name)
    if any(_needs_encoding(word) for word in words):
        folder.add_words(name, phrase=True)
        if end:  # RFC 2047 §5: white space stands between an encoded word and a special
            folder.add(end)
        return
    if not all(_ATOM.fullmatch(word) for word in words):
        words = GAP.split(quoted_string(name))
    for word in words[:-1]:
        folder.add(word)
    folder.add(words[-1] + end)


def _can_be_bracketed(email: str) -> bool:
    """Say whether <…> holds exactly this for every reader; half an address may, too (RFC 8621 §4.6)."""
    if _ADDR_SPEC.fullmatch(email):
        return not _STRANGE_SPACE.search(email)
    return bool(_BRACKETABLE.fullmatch(email)) and not _OBSOLETE.match(email)


def _add_mailbox(folder: Folder, address: tuple[str, str], end: str) -> None:
    name, email = address
    if email and not _can_be_bracketed(email):
        # RFC 8621 §4.6: a draft may have any text for an address. As a name it is kept, and can't pass for another.
        name, email = f"{name} {email}".strip(" "), ""
    if name:
        _add_phrase(folder, name)
    folder.add(f"{email}{end}" if not name and _SIMPLE_ADDRESS.fullmatch(email) else f"<{email}>{end}")


def _mailboxes(addresses: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Names and addresses, those left out of which there is nothing to write."""
    pairs = (((one.get("name") or "").strip(" "), one["email"].strip(" ")) for one in addresses)
    return [pair for pair in pairs if any(pair)]


def _add_mailboxes(folder: Folder, mailboxes: list[tuple[str, str]], end: str) -> None:
    for place, mailbox in enumerate(mailboxes, start=1):
        _add_mailbox(folder, mailbox, "," if place < len(mailboxes) else end)


def _write_addresses(folder: Folder, value: list[Mapping[str, Any]]) -> None:
    _add_mailboxes(folder, _mailboxes(value), "")


def _write_groups(folder: Folder, value: list[Mapping[str, Any]]) -> None:
    groups = [((group.get("name") or "").strip(" "), _mailboxes(group["addresses"])) for group in value]
    groups = [group for group in groups if any(group)]
    for place, (name, members) in enumerate(groups, start=1):
        comma = "," if place < len(groups) else ""
        if name:
            _add_phrase(folder, name, ":" if members else f":;{comma}")
        _add_mailboxes(folder, members, f";{comma}" if name else comma)


# --- MessageIds, Date, URLs -----------------------------------------------------------------------------------------

_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|([+-]\d\d):(\d\d))", re.ASCII)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _write_message_ids(folder: Folder, value: list[str]) -> None:
    if folder.name.lower() in {"message-id", "resent-message-id"} and len(value) > 1:
        raise ValueProblem("must have one message id")  # RFC 5322 §3.6.4
    for one in value:
        folder.add(one)


def _write_date(folder: Folder, value: str) -> None:
    """The date-time of RFC 5322 §3.3, in the offset that was given; a fraction of a second is cut off."""
    found = _DATE.fullmatch(value)
    if not found:
        raise ValueProblem(f"must be {Date.name}")
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    weekday = _DAYS[date(year, month, day).weekday()]
    zone = f"{found[5]}{found[6]}" if found[5] else "+0000"
    folder.add(f"{weekday}, {day} {_MONTHS[month - 1]} {year:04d} {found[4]} {zone}")


def _write_urls(folder: Folder, value: list[str]) -> None:
    for place, one in enumerate(value, start=1):
        folder.add(f"<{one}>" + ("," if place < len(value) else ""))


# --- properties -----------------------------------------------------------------------------------------------------

_KINDS: Final[dict[str, Kind]] = {
    "asRaw": RawValue(),
    "asText": OneLine(),
    "asAddresses": ListOf(_ADDRESS),
    "asGroupedAddresses": ListOf(_GROUP),
    "asMessageIds": ListOf(MessageId()),
    "asDate": Date(),
    "asURLs": ListOf(Uri()),
}
_WRITERS: Final[dict[str, Callable[[Folder, Any], None]]] = {
    "asText": _write_text,
    "asAddresses": _write_addresses,
    "asGroupedAddresses": _write_groups,
    "asMessageIds": _write_message_ids,
    "asDate": _write_date,
    "asURLs": _write_urls,
}


def write(name: str, form: str, value: Any) -> list[Field]:
    """The field of that name with a value in one of the forms; none for null, and for a list of nothing.

    The value is checked first. Raises ValueProblem.
    """
    value = Nullable(_KINDS[form]).check(value)
    if value is None:
        return []
    if form == "asRaw":
        return [_raw_field(name, value)]
    folder = Folder(name)
    _WRITERS[form](folder, value)
    return [] if folder.is_empty() and isinstance(value, list) else [folder.field()]


def field_name(text: str) -> str:
    """The name, in lower case, of the field that a header:* property means.

    Raises ValueProblem when the property is malformed, or its form is none of that field's (RFC 8621 §4.6).
    """
    try:
        return parse_property(text).name.lower()
    except BadHeaderProperty as problem:
        raise ValueProblem(f"is no property: {problem}".removesuffix(".")) from None


def write_property(text: str, value: Any) -> list[Field]:
    """The fields that a well-formed header:* property stands for (RFC 8621 §4.1.3). Raises ValueProblem."""
    wanted = parse_property(text)
    if not wanted.all:
        return write(wanted.name, wanted.form, value)
    Nullable(ListOf(_KINDS[wanted.form])).check(value)
    values = value or []
    key = wanted.name.lower()
    if len(values) > 1 and (key in _ONCE or key.startswith("content-")):
        raise ValueProblem("must have one item, for the field may occur once")
    return [field for item in values for field in write(wanted.name, wanted.form, item)]
