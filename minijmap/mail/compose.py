"""Composing: the Email object of a creation becomes the octets of a message (RFC 8621 §4.6).

Owns the rules for the whole object: which properties there may be, which exclude each other, what is added. Parts are
`composeparts`' and `composebody`'s, header fields `composeheaders`'. A pure function: blobs, time and randomness are
passed in; it must not know the store.

A message may be unfinished, such as a draft without a recipient; EmailSubmission asks for more. `Message-ID`, `Date`
and `MIME-Version` are always there.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from minijmap.jmap.dates import format_utc_date
from minijmap.jmap.values import ValueProblem
from minijmap.mail.capability import MOST_ATTACHMENT_OCTETS
from minijmap.mail.composebody import BodyWriter, check_header
from minijmap.mail.composeheaders import write, write_property
from minijmap.mail.composeparts import PartChecker, PartPlan, arrange, body_values, clash, field_names
from minijmap.mail.folding import Field
from minijmap.mail.headers import CONVENIENCE

FLAT: Final = ("textBody", "htmlBody", "attachments")
IGNORED: Final = frozenset(("keywords", "mailboxIds", "receivedAt"))
"""Properties of a created Email that aren't in the message."""

_KNOWN: Final = frozenset((*CONVENIENCE, *FLAT, "bodyStructure", "bodyValues")) | IGNORED
_TRACE: Final = ("return-path", "received")
_ORDER: Final = (
    "date",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "message-id",
    "in-reply-to",
    "references",
    "subject",
)


class ComposeProblem(Exception):
    """The object breaks a rule; for the caller's invalidProperties."""

    def __init__(self, description: str, properties: tuple[str, ...]) -> None:
        super().__init__(description)
        self.description = description
        self.properties = properties
        """Top-level properties of the Email."""


class BlobsNotFound(Exception):
    """Parts refer to blobs that aren't there; for the caller's blobNotFound."""

    def __init__(self, blob_ids: tuple[str, ...]) -> None:
        super().__init__(f"There is no blob {', '.join(blob_ids)}.")
        self.blob_ids = blob_ids


class AttachmentsTooLarge(Exception):
    """The blobs of all parts have more octets than an Email may; for the caller's tooLarge."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The attachments of an Email may have {limit} octets together.")
        self.limit = limit


def compose(
    email: Mapping[str, Any],
    *,
    open_blob: Callable[[str], bytes | None],
    now_ms: int,
    hostname: str,
    random_token: Callable[[], str],
    most_attachment_octets: int = MOST_ATTACHMENT_OCTETS,
) -> bytes:
    """The message that an Email object for creation describes.

    `open_blob` gives a blob's octets, None if the account has no such blob; `now_ms` (milliseconds since the epoch) is
    the Date if `sentAt` is not given; `random_token` gives some 20 unguessable letters, digits, "-" and "_", for a
    Message-ID at `hostname` and for boundaries, and the same tokens give the same message; `most_attachment_octets`
    is for all blobs together, unencoded.

    Raises ComposeProblem, BlobsNotFound, AttachmentsTooLarge.
    """
    _check_names(email)
    try:
        named = field_names(email, {name: field.lower() for name, (field, _) in CONVENIENCE.items()})
    except ValueProblem as problem:
        raise _problem(problem, problem.path) from None
    _check_fields(named)
    fields = _header_fields(email)
    try:
        root = _root(email, named, open_blob, most_attachment_octets)
        body = BodyWriter(root, random_token).write()
    except ValueProblem as problem:
        raise _problem(problem, problem.path.partition("/")[0]) from None
    fields = _complete([*fields, *body.fields], now_ms, hostname, random_token)
    try:
        check_header(fields, "")
    except ValueProblem as problem:
        raise ComposeProblem(
            f"The message {problem.sentence}.", tuple(name for name in email if name in _KNOWN)
        ) from None
    return b"".join([*(one.octets for one in fields), b"\r\n", *body.body])


def _problem(problem: ValueProblem, name: str) -> ComposeProblem:
    return ComposeProblem(f"“{problem.path}” {problem.sentence}.", (name,))


# --- the object -----------------------------------------------------------------------------------------------------


def _check_names(email: Mapping[str, Any]) -> None:
    """Check which properties there are (RFC 8621 §4.6)."""
    if "headers" in email:
        raise ComposeProblem("“headers” must not be given: each header field is a property of its own.", ("headers",))
    unknown = tuple(name for name in email if name not in _KNOWN and not name.startswith("header:"))
    if unknown:
        raise ComposeProblem(f"“{unknown[0][:200]}” is no property that a created Email may have.", unknown)
    flat = tuple(name for name in FLAT if email.get(name) is not None)
    if flat and email.get("bodyStructure") is not None:
        raise ComposeProblem(f"“bodyStructure” and “{flat[0]}” exclude each other.", ("bodyStructure", *flat))


def _check_fields(named: Mapping[str, list[str]]) -> None:
    """Check that no field is named twice, and that those of MIME are left to body parts (RFC 8621 §4.6)."""
    for key, names in named.items():
        if key.startswith("content-"):
            raise ComposeProblem(f"“{names[0]}” must not be given on the Email, only on its body parts.", tuple(names))
        if clash(names):
            raise ComposeProblem(f"“{names[0]}” and “{names[1]}” stand for the same header field.", tuple(names))


def _header_fields(email: Mapping[str, Any]) -> list[Field]:
    fields: list[Field] = []
    for name, value in email.items():
        try:
            if name in CONVENIENCE:
                fields += write(*CONVENIENCE[name], value)
            elif name.startswith("header:"):
                fields += write_property(name, value)
        except ValueProblem as problem:
            raise _problem(problem.under(name), name) from None
    return fields


def _root(
    email: Mapping[str, Any],
    named: Mapping[str, list[str]],
    open_blob: Callable[[str], bytes | None],
    most_octets: int,
) -> PartPlan:
    """The part that is the whole message, with the contents of all parts."""
    values = email.get("bodyValues")
    checker = PartChecker(body_values(values) if values is not None else {})
    structure = email.get("bodyStructure")
    if structure is not None:
        root = checker.part(structure, "bodyStructure")
        _check_root(root, named)
        _fill(root.walk(), open_blob, most_octets)
        return root
    text, html, attachments = (email.get(name) for name in FLAT)
    text_part = None if text is None else checker.one(text, "textBody", "text/plain")
    html_part = None if html is None else checker.one(html, "htmlBody", "text/html")
    offered = [] if attachments is None else checker.several(attachments, "attachments")
    tops = [part for part in (text_part, html_part, *offered) if part]
    _fill((part for top in tops for part in top.walk()), open_blob, most_octets)
    return arrange(text_part, html_part, offered)


def _check_root(root: PartPlan, named: Mapping[str, list[str]]) -> None:
    """Check that the outermost part, whose header is that of the message, names no field again (RFC 8621 §4.6)."""
    for field in root.fields:
        if field.key in named:
            name = named[field.key][0]
            raise ComposeProblem(
                f"“bodyStructure/header:{field.name}” stands for the same header field as “{name}”.",
                ("bodyStructure", name),
            )


def _fill(parts: Iterable[PartPlan], open_blob: Callable[[str], bytes | None], most_octets: int) -> None:
    """Give every part of a blob its octets; each blob is opened once."""
    opened: dict[str, bytes | None] = {}
    octets = 0
    for part in parts:
        if part.blob_id is None:
            continue
        if part.blob_id not in opened:
            opened[part.blob_id] = open_blob(part.blob_id)
        part.content = opened[part.blob_id] or b""
        octets += len(part.content)
        if octets > most_octets:
            raise AttachmentsTooLarge(most_octets)
    missing = tuple(blob_id for blob_id, content in opened.items() if content is None)
    if missing:
        raise BlobsNotFound(missing)


# --- the header -----------------------------------------------------------------------------------------------------


def _complete(fields: list[Field], now_ms: int, hostname: str, random_token: Callable[[], str]) -> list[Field]:
    """The header of the message, in order, with what was not given but must be there (RFC 8621 §4.6)."""
    there = {one.key for one in fields}
    if "date" not in there:
        fields += write("Date", "asDate", format_utc_date(now_ms))
    if "message-id" not in there:
        fields += write("Message-ID", "asMessageIds", [f"{random_token()}@{hostname}"])
    if "mime-version" not in there:
        fields += write("MIME-Version", "asRaw", " 1.0")
    return sorted(fields, key=_rank)


def _rank(field: Field) -> tuple[int, int]:
    """Where a field stands: trace (RFC 5322 §3.6.7), the known ones, others as they were given, MIME."""
    key = field.key
    if key in _TRACE or key.startswith("resent-"):
        return 0, 0
    if key in _ORDER:
        return 1, _ORDER.index(key)
    if key == "mime-version":
        return 3, 0
    return (4, 0) if key.startswith("content-") else (2, 0)
