"""Bodies: which parts a message shows, what they say, and EmailBodyPart objects (RFC 8621 §4.1.4, §4.2).

Owns the decomposition into textBody, htmlBody and attachments, hasAttachment, body values with their truncation, the
preview and the text for the search index. Pure functions over a parsed message and its raw octets; knows no store and
no methods.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from minijmap.mail.headers import parse_property
from minijmap.mail.message import Part, decode_content
from minijmap.mail.text import cut_html, decode_charset, html_charset, html_to_text, preview

DEFAULT_BODY_PROPERTIES: Final = (
    "partId",
    "blobId",
    "size",
    "name",
    "type",
    "charset",
    "disposition",
    "cid",
    "language",
    "location",
)
"""bodyProperties when the argument is omitted (RFC 8621 §4.2)."""

BODY_PROPERTIES: Final = frozenset((*DEFAULT_BODY_PROPERTIES, "headers", "subParts"))
"""Every property of an EmailBodyPart but the header:* ones."""

_PREVIEW_OCTETS: Final = 65_536
"""Encoded octets of a text part that a preview looks at; of an HTML part it is four times as many."""

_PREVIEW_TEXT: Final = 2_000
"""Characters of an HTML part's text that a preview looks at."""


class UnknownBodyProperty(ValueError):
    """A property that no EmailBodyPart has."""


@dataclass(slots=True)
class Bodies:
    """The three lists of RFC 8621 §4.1.4; a part may be in more than one."""

    text_body: list[Part] = field(default_factory=list)
    html_body: list[Part] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)


def _is_media(part: Part) -> bool:
    return part.type.startswith(("image/", "audio/", "video/"))


def classify(root: Part) -> Bodies:
    """Decompose a message by the algorithm that RFC 8621 §4.1.4 suggests."""
    bodies = Bodies()
    _classify([root], "mixed", False, bodies.html_body, bodies.text_body, bodies.attachments)
    # Of an alternative inside of an alternative, or one of text and HTML in a row, the algorithm drops parts. By the
    # definition of attachments, what is in neither body is one.
    shown = {id(part) for part in (*bodies.text_body, *bodies.html_body)}
    attached = {id(part) for part in bodies.attachments}
    bodies.attachments = [part for part in root.leaves() if id(part) in attached or id(part) not in shown]
    return bodies


def _is_body(part: Part, index: int, multipart_type: str) -> bool:
    """Whether a part is shown in its place rather than offered (the RFC's isInline)."""
    return (
        part.disposition != "attachment"
        and (part.type in {"text/plain", "text/html"} or _is_media(part))
        # Of a multipart/related only the first is shown; a later text with a file name is taken for an attachment.
        and (index == 0 or (multipart_type != "related" and (_is_media(part) or not part.name)))
    )


def _classify(
    parts: list[Part],
    multipart_type: str,
    in_alternative: bool,
    html_body: list[Part] | None,
    text_body: list[Part] | None,
    attachments: list[Part],
) -> None:
    """The RFC's parseStructure; depth is bounded by message.MAX_DEPTH."""
    text_length = len(text_body) if text_body is not None else -1
    html_length = len(html_body) if html_body is not None else -1
    for index, part in enumerate(parts):
        if part.part_id is None:
            subtype = part.type.partition("/")[2]
            alternative = in_alternative or subtype == "alternative"
            _classify(part.parts, subtype, alternative, html_body, text_body, attachments)
        elif not _is_body(part, index, multipart_type):
            attachments.append(part)
        elif multipart_type == "alternative":
            target = {"text/plain": text_body, "text/html": html_body}.get(part.type, attachments)
            if target is not None:
                target.append(part)
        else:
            if in_alternative and part.type == "text/plain":
                html_body = None
            if in_alternative and part.type == "text/html":
                text_body = None
            for body in (text_body, html_body):
                if body is not None:
                    body.append(part)
            if (text_body is None or html_body is None) and _is_media(part):
                attachments.append(part)
    if multipart_type == "alternative" and text_body is not None and html_body is not None:
        if text_length == len(text_body) and html_length != len(html_body):  # only HTML was found
            text_body.extend(html_body[html_length:])
        if html_length == len(html_body) and text_length != len(text_body):  # only plain text was found
            html_body.extend(text_body[text_length:])


# --- attachments ----------------------------------------------------------------------------------------------------

_AUTOMATIC: Final = frozenset(
    ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
)
_MESSAGES: Final = frozenset(("message/rfc822", "message/global"))
_CID: Final = re.compile(r"cid:([^\s\"'<>()]{1,998})", re.IGNORECASE)


def has_attachment(bodies: Bodies, cited: Collection[str] | None = None) -> bool:
    """Whether a client should offer something to download: hasAttachment (RFC 8621 §4.1.4).

    cited, from cited_cids(), are the Content-Ids that the HTML shows; without it every image with a Content-Id beside
    an HTML body counts as shown.
    """
    html = any(part.type == "text/html" for part in bodies.html_body)
    return any(_is_offered(part, html, cited) for part in bodies.attachments)


def _is_offered(part: Part, html: bool, cited: Collection[str] | None) -> bool:
    if part.type in _AUTOMATIC:
        return False
    if part.disposition == "attachment":
        return True
    if part.disposition == "inline":
        # Some clients mark whatever was put into the text as inline, documents and messages too: no body shows those.
        return not _is_media(part) and not part.type.startswith("text/") and bool(part.name or part.type in _MESSAGES)
    if html and _is_media(part) and part.cid:
        return cited is not None and part.cid not in cited
    # An invitation's data beside its text is for calendars to read; as a file it has a name.
    return part.type != "text/calendar" or bool(part.name)


def cited_cids(raw: bytes, bodies: Bodies) -> set[str]:
    """The Content-Ids that HTML bodies refer to by cid: URLs (RFC 2392)."""
    cids: set[str] = set()
    for part in bodies.html_body:
        if part.type == "text/html":
            cids.update(unquote(found) for found in _CID.findall(part_text(raw, part)[0]))
    return cids


def attachment_names(root: Part) -> list[str]:
    """The names of all parts that have one, in order."""
    return [part.name for part in root.leaves() if part.name]


# --- values ---------------------------------------------------------------------------------------------------------


def part_text(raw: bytes, part: Part, limit: int | None = None) -> tuple[str, bool]:
    """The decoded text of a part and whether decoding it met a problem; limit is in encoded octets."""
    end = part.body_end if limit is None else min(part.body_end, part.body_start + limit)
    content, broken = decode_content(raw, part.body_start, end, part.encoding)
    charset = part.charset
    if charset is None and part.type == "text/html":
        charset = _charset_of_html(content)
    text, problem = decode_charset(content, charset)
    return text, problem or broken or part.unknown_encoding


def _charset_of_html(content: bytes) -> str | None:
    """What an HTML part without a charset says of itself, unless it is UTF-8 whatever it says."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return html_charset(content)
    return None


def body_value(raw: bytes, part: Part, max_bytes: int = 0) -> dict[str, Any]:
    """The EmailBodyValue of a text part; max_bytes is maxBodyValueBytes in octets of UTF-8, 0 for no limit."""
    text, problem = part_text(raw, part)
    text = text.replace("\r\n", "\n")
    truncated = False
    if max_bytes > 0 and (len(text) > max_bytes or len(octets := text.encode()) > max_bytes):
        # A character has at least one octet: what lies behind max_bytes characters can't be in the result.
        octets = text[:max_bytes].encode()
        cut = len(octets[:max_bytes].decode("utf-8", "ignore"))
        text = text[: cut_html(text, cut) if part.type == "text/html" else cut]
        truncated = True
    return {"value": text, "isEncodingProblem": problem, "isTruncated": truncated}


def _shown_text(raw: bytes, part: Part, limit: int, octets: int | None, *, told: bool = False) -> str:
    """The text a part shows, limit in characters; octets limits what is read of it (see `html_to_text` for told)."""
    if part.type == "text/html":
        return html_to_text(part_text(raw, part, octets and 4 * octets)[0], limit, told=told)
    return part_text(raw, part, octets)[0][:limit]


def _text_parts(parts: Iterable[Part]) -> list[Part]:
    return [part for part in parts if part.type.startswith("text/")]


def preview_of(raw: bytes, root: Part) -> str:
    """The preview property: the beginning of the first text body that has one (at most 256 characters)."""
    bodies = classify(root)
    for part in _text_parts([*bodies.text_body, *bodies.html_body])[:10]:
        text = preview(_shown_text(raw, part, _PREVIEW_TEXT, _PREVIEW_OCTETS))
        if text:
            return text
    return ""


def search_text(raw: bytes, root: Part, limit: int = 1_000_000) -> str:
    """What the text bodies say, alt and title included (RFC 8621 §4.4.1), for the index; limit is in characters.

    Of an HTML body beside a plain one only the lines with words that the plain one lacks are taken.
    """
    bodies = classify(root)
    pieces: list[str] = []
    left = limit
    for part in _text_parts(bodies.text_body):
        pieces.append(_shown_text(raw, part, left, None, told=True))
        left -= len(pieces[-1]) + 1
        if left <= 0:
            break
    taken = {id(part) for part in bodies.text_body}
    others = [part for part in _text_parts(bodies.html_body) if id(part) not in taken]
    words = set("\n".join(pieces).casefold().split()) if others else set()
    for part in others:
        if left <= 0:
            break
        lines = _shown_text(raw, part, left, None, told=True).splitlines()
        new = "\n".join(line for line in lines if not words.issuperset(line.casefold().split()))
        if new:
            pieces.append(new)
            left -= len(new) + 1
    return "\n".join(pieces)[:limit]


# --- EmailBodyPart --------------------------------------------------------------------------------------------------


def _charset_property(part: Part) -> str | None:
    """The charset, or what RFC 8621 §4.1.4 implies when it isn't declared."""
    if part.charset is not None:
        return part.charset
    if part.type.startswith("text/") or not any(name.lower() == "content-type" for name, _ in part.headers):
        return "us-ascii"
    return None


_READERS: Final[dict[str, Callable[[Part], Any]]] = {
    "partId": lambda part: part.part_id,
    "size": lambda part: part.size,
    "name": lambda part: part.name,
    "type": lambda part: part.type,
    "charset": _charset_property,
    "disposition": lambda part: part.disposition,
    "cid": lambda part: part.cid,
    "language": lambda part: part.language,
    "location": lambda part: part.location,
    "headers": lambda part: [{"name": name, "value": value} for name, value in part.headers],
}


def part_json(part: Part, blob_id_of: Callable[[Part], str], properties: Iterable[str]) -> dict[str, Any]:
    """An EmailBodyPart with the properties asked for, header:* ones included (RFC 8621 §4.1.4).

    blob_id_of is asked for leaves only. Raises UnknownBodyProperty, or headers.BadHeaderProperty, for a property that
    no part has.
    """
    names = list(properties)
    result: dict[str, Any] = {}
    for name in names:
        reader = _READERS.get(name)
        if reader:
            result[name] = reader(part)
        elif name == "blobId":
            result[name] = None if part.part_id is None else blob_id_of(part)
        elif name == "subParts":
            multipart = part.part_id is None
            result[name] = [part_json(child, blob_id_of, names) for child in part.parts] if multipart else None
        elif name.startswith("header:"):
            result[name] = parse_property(name).value(part.headers)
        else:
            raise UnknownBodyProperty(f"An EmailBodyPart has no property {name[:200]!r}.")
    return result
