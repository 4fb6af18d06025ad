"""An MDN as a message and as JMAP shows it (RFC 8098 §3, RFC 6533 §4, RFC 9007 §2).

Owns both ways between the two. Composes strictly, reads what real mail programs write: the grammar of RFC 2298 too,
fields that are missing, blank lines between them. Pure functions: time and randomness are passed in, the store is not
known.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from minijmap.jmap.dates import format_utc_date
from minijmap.mail import body, headers, message, text
from minijmap.mail.addresses import without_comments
from minijmap.mail.composebody import Encoded, encode_message, encode_octets
from minijmap.mail.composeheaders import write
from minijmap.mail.folding import Field
from minijmap.mail.message import Part
from minijmap.mail.outgoing import header_of, with_crlf

MANUAL, AUTOMATIC = "manual-action", "automatic-action"
SENT_MANUALLY, SENT_AUTOMATICALLY = "mdn-sent-manually", "mdn-sent-automatically"
ACTIONS: Final = frozenset((MANUAL, AUTOMATIC))
SENDINGS: Final = frozenset((SENT_MANUALLY, SENT_AUTOMATICALLY))
TYPES: Final = {
    "displayed": ("Read", "was displayed to its recipient. There is no guarantee that it was read or understood"),
    "deleted": ("Deleted", "was deleted. Its recipient may or may not have seen it"),
    "dispatched": ("Dispatched", "was sent on somewhere. Its recipient may or may not see it later"),
    "processed": ("Processed", "was processed without being displayed. Its recipient may or may not see it later"),
}
"""The disposition types (RFC 8098 §3.2.6.2), each with the words of a subject and of a text that nobody has given."""
_OBSOLETE: Final = {"failed": "processed", "denied": "processed"}
"""Types that RFC 2298 had beside them: both say that nothing is said of the message's being seen."""
FIELDS: Final = {
    "reportingUA": "Reporting-UA",
    "mdnGateway": "MDN-Gateway",
    "originalRecipient": "Original-Recipient",
    "finalRecipient": "Final-Recipient",
    "originalMessageId": "Original-Message-ID",
}
"""The properties that are fields of the report, in the order of RFC 8098 §3.1."""
KNOWN: Final = frozenset((*(one.lower() for one in FIELDS.values()), "disposition", "error", "failure"))
MOST_OCTETS: Final = 512 * 1024
"""Octets of the report, and of its text, that are read."""
MOST_FIELDS: Final = 200
"""Error fields, and extension fields, that are shown."""
MOST_TEXT: Final = 256 * 1024
_REPORTS: Final = ("message/disposition-notification", "message/global-disposition-notification")
_ORIGINALS: Final = ("message/rfc822", "message/global")
_ORIGINAL_HEADERS: Final = ("text/rfc822-headers", "message/global-headers")
_BLANKS: Final = re.compile(rb"(?:\r?\n[ \t]*){2,}(?=\S)")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


# --- composing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Letter:
    """What the message around an MDN is made of. `original` is the message that is given back, None: it is not."""

    sender: Mapping[str, Any]
    recipients: Sequence[str]
    original: bytes | None
    now_ms: int
    hostname: str
    token: Callable[[], str]
    """Gives letters, digits, - and _ that nobody can guess."""


def compose(mdn: Mapping[str, Any], letter: Letter) -> bytes:
    """Return the message for an MDN, all of its properties given. Raises ValueProblem for what no field can hold."""
    boundary = f"=_{letter.token()}"
    parts = [
        _part("text/plain; charset=utf-8", encode_octets(_lines(mdn["textBody"]))),
        _part(*_report(mdn)),
    ]
    if letter.original is not None:
        kind = "message/rfc822" if header_of(with_crlf(letter.original)).isascii() else "message/global"
        original = encode_message(letter.original, kind)
        parts.append(_part("application/octet-stream; name=message.eml" if original.opaque else kind, original))
    content = b"".join(f"--{boundary}\r\n".encode() + one + b"\r\n" for one in parts)
    encoding = "7bit" if content.isascii() else "8bit"
    mime = (
        f'Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary="{boundary}"\r\n'
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    header = b"".join(one.octets for one in _header(mdn, letter))
    return header + mime.encode() + content + f"--{boundary}--\r\n".encode()


def _header(mdn: Mapping[str, Any], letter: Letter) -> Iterator[Field]:
    yield from write("Date", "asDate", format_utc_date(letter.now_ms))
    yield from write("From", "asAddresses", [letter.sender])
    yield from write("To", "asAddresses", [{"name": None, "email": one} for one in letter.recipients])
    # RFC 8098 §3: its own, and not that of the message.
    yield from write("Message-ID", "asMessageIds", [f"{letter.token()}@{letter.hostname}"])
    original = headers.as_message_ids(mdn["originalMessageId"] or "")
    yield from write("In-Reply-To", "asMessageIds", original)
    yield from write("References", "asMessageIds", original)
    yield from write("Subject", "asText", mdn["subject"])
    if mdn["disposition"]["sendingMode"] == SENT_AUTOMATICALLY:
        yield from write("Auto-Submitted", "asRaw", " auto-replied")  # RFC 3834 §5
    yield from write("MIME-Version", "asRaw", " 1.0")


def _lines(value: str) -> bytes:
    """Return a text with CRLF between its lines."""
    return _LINE_END.sub("\r\n", value).encode()


def _part(kind: str, content: Encoded) -> bytes:
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {content.encoding}\r\n\r\n"
    return head.encode() + content.body


def _report(mdn: Mapping[str, Any]) -> tuple[str, Encoded]:
    """Return the part for machines and its media type: another one for what is not ASCII (RFC 6533 §4)."""
    disposition = mdn["disposition"]
    fields = [(field, mdn[name]) for name, field in FIELDS.items() if mdn[name] is not None]
    sending = disposition["sendingMode"].replace("mdn", "MDN", 1)
    fields.append(("Disposition", f"{disposition['actionMode']}/{sending}; {disposition['type']}"))
    fields += (mdn["extensionFields"] or {}).items()
    octets = b"".join(one.octets for name, value in fields for one in write(name, "asRaw", f" {value}"))
    plain = octets.isascii()
    return _REPORTS[0 if plain else 1], Encoded("7bit" if plain else "8bit", octets)


def default_subject(disposition: Mapping[str, str], original: str | None) -> str:
    """Return the subject of an MDN to which none is given."""
    return f"{TYPES[disposition['type']][0]}: {original or '(no subject)'}"


def default_text(disposition: Mapping[str, str], recipient: str, original: str | None) -> str:
    """Return the text of an MDN to which none is given: it says what the report does (RFC 8098 §3)."""
    named = f"“{original}”" if original else "without a subject"
    return f"The message {named} that you sent to {recipient} {TYPES[disposition['type']][1]}."


# --- reading --------------------------------------------------------------------------------------------------------


def read(raw: bytes, root: Part) -> dict[str, Any] | None:
    """Return an MDN as JMAP shows it, but for `forEmailId`; None if the message is none."""
    report = _find_report(root)
    if report is None:
        return None
    around, part = report
    fields = _fields(_content(raw, part))
    disposition = _disposition(headers.find(fields, "Disposition"))
    if disposition is None:
        return None
    subject = headers.find(root.headers, "Subject")
    original, is_whole = _original(raw, around)
    shown = {name: _value(headers.find(fields, field)) for name, field in FIELDS.items()}
    identifiers = headers.as_message_ids(shown["originalMessageId"] or original)
    errors = [value for name in ("Error", "Failure") for value in map(_value, headers.find_all(fields, name)) if value]
    return {
        "subject": None if subject is None else headers.as_text(subject),
        "textBody": _text(raw, around, part),
        "includeOriginalMessage": is_whole,
        **shown,
        "originalMessageId": f"<{identifiers[0]}>" if identifiers else None,
        "disposition": disposition,
        "error": errors[:MOST_FIELDS] or None,
        "extensionFields": _extensions(fields) or None,
    }


def _find_report(root: Part) -> tuple[Part, Part] | None:
    """Return the multipart/report and its part for machines; something on the way may have put it in a multipart."""
    stack = [root]
    while stack:
        part = stack.pop()
        found = next((one for one in part.parts if one.type in _REPORTS), None)
        if found is not None and part.type == "multipart/report":
            return part, found
        stack.extend(reversed(part.parts))
    return None


def _content(raw: bytes, part: Part) -> bytes:
    end = min(part.body_end, part.body_start + MOST_OCTETS)
    return message.decode_content(raw, part.body_start, end, part.encoding)[0]


def _fields(octets: bytes) -> list[tuple[str, str]]:
    """Return the fields of a report; some programs have blank lines between them."""
    return message.parse(_BLANKS.sub(b"\r\n", octets.strip()) + b"\r\n").headers


def _value(raw: str | None) -> str | None:
    """Return a field's value on one line, None if it is empty."""
    return None if raw is None else " ".join(headers.unfold(raw).split()) or None


def _disposition(raw: str | None) -> dict[str, str] | None:
    """Read a Disposition field (RFC 8098 §3.2.6, RFC 2298 §3.2.6); None if it tells none that there is."""
    modes, semicolon, rest = without_comments(headers.unfold(raw or "")).lower().partition(";")
    action, _, sending = ("".join(one.split()) for one in modes.partition("/"))
    kind = re.split(r"[/,\s]", (rest if semicolon else modes).strip(), maxsplit=1)[0]
    kind = _OBSOLETE.get(kind, kind)
    if kind not in TYPES:
        return None
    if action not in ACTIONS:
        action = MANUAL  # RFC 8098 §3.2.6.1: that is the default
    if sending not in SENDINGS:
        sending = SENT_AUTOMATICALLY if action == AUTOMATIC else SENT_MANUALLY
    return {"actionMode": action, "sendingMode": sending, "type": kind}


def _extensions(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the fields that nobody here knows, each once, by the name they have there (RFC 8098 §3.3)."""
    found: dict[str, str] = {}
    for name, raw in fields:
        if name.lower() not in KNOWN and len(found) < MOST_FIELDS:
            found.setdefault(name, _value(raw) or "")
    return found


def _original(raw: bytes, around: Part) -> tuple[str, bool]:
    """Return the Message-ID of the message that is given back, as far as it is, and whether all of it is."""
    for part in around.parts[1:]:
        if part.type in (*_ORIGINALS, *_ORIGINAL_HEADERS):
            fields = message.parse(_content(raw, part)).headers
            return headers.find(fields, "Message-ID") or "", part.type in _ORIGINALS
    return "", False


def _text(raw: bytes, around: Part, report: Part) -> str | None:
    """Return what the report says to people: its first part, as plain text (RFC 6522 §3)."""
    first = around.parts[0]
    if first is report:
        return None
    leaves = [one for one in first.leaves() if one.type in ("text/plain", "text/html")]
    chosen = min(leaves, key=lambda one: one.type != "text/plain", default=None)
    if chosen is None:
        return None
    found = body.part_text(raw, chosen, MOST_TEXT)[0]
    return text.html_to_text(found, MOST_TEXT) if chosen.type == "text/html" else found.replace("\r\n", "\n")
