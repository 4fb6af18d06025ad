"""How an Email is shown: Email/get's properties out of what was stored on arrival (RFC 8621 §4.1, §4.2).

A list's properties are spliced or picked from stored JSON; header forms and bodies are read from the stored header
fields and structure; only body values open the message's blob. Must not change anything.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from minijmap.jmap.datatype import Fetched
from minijmap.mail import body, headers, message
from minijmap.mail.ingest import CONVENIENCE, EMAILS
from minijmap.mail.message import Part
from minijmap.store import blobs, documents
from minijmap.store.database import Reader

HEADER_PROPERTIES = tuple(CONVENIENCE)
BODY_PROPERTIES = ("bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments")
STATE_PROPERTIES = frozenset(("id", "mailboxIds", "keywords", "threadId"))
LIST_PROPERTIES = (
    "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", *HEADER_PROPERTIES, "hasAttachment",
    "preview",
)  # fmt: skip
DEFAULT_PROPERTIES = (*LIST_PROPERTIES, "bodyValues", "textBody", "htmlBody", "attachments")

STATE_JSON = '\'{"id":"e\' || e.key || \'","threadId":"t\' || e.thread || \'",\' || substr(e.doc, 2)'
LIST_JSON = "'{\"id\":\"e' || e.key || '\",' || substr(e.doc, 2, length(e.doc) - 2) || ',' || substr(c.list, 2)"
WHOLE_JSON = LIST_JSON.replace("'\",'", "'\",\"stored\":' || c.rest || ','")
NARROW = "email AS e ON e.key = asked.value"
WIDE = f"{NARROW} CROSS JOIN email_content AS c ON c.email = e.key"


@dataclass(frozen=True)
class BodyArguments:
    """What Email/get and Email/parse may be told about bodies (RFC 8621 §4.2)."""

    properties: tuple[str, ...] = body.DEFAULT_BODY_PROPERTIES
    text_values: bool = False
    html_values: bool = False
    all_values: bool = False
    max_bytes: int = 0

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "BodyArguments":
        """Return them from a call's arguments."""
        asked = arguments["bodyProperties"]
        return cls(
            body.DEFAULT_BODY_PROPERTIES if asked is None else tuple(dict.fromkeys(asked)),
            bool(arguments["fetchTextBodyValues"]),
            bool(arguments["fetchHTMLBodyValues"]),
            bool(arguments["fetchAllBodyValues"]),
            arguments["maxBodyValueBytes"] or 0,
        )


def is_header_property(name: str) -> bool:
    """Say whether a name is a well-formed `header:…` property (RFC 8621 §4.1.3)."""
    if not name.startswith("header:"):
        return False
    try:
        headers.parse_property(name)
    except headers.BadHeaderProperty:
        return False
    return True


def wrong_body_property(names: Iterable[str] | None) -> str | None:
    """Return the first name that is no property of an EmailBodyPart, or None."""
    return next((one for one in names or () if one not in body.BODY_PROPERTIES and not is_header_property(one)), None)


def fetch(reader: Reader, account: int, keys: Sequence[int], names: Sequence[str], arguments: BodyArguments) -> Fetched:
    """Read Emails with the named properties, in one statement that gives one row."""
    wanted = set(names)
    if wanted <= STATE_PROPERTIES:
        shown, source, stored = STATE_JSON, NARROW, STATE_PROPERTIES
    elif wanted.issubset(LIST_PROPERTIES):
        shown, source, stored = LIST_JSON, WIDE, frozenset(LIST_PROPERTIES)
    else:
        shown, source, stored = WHOLE_JSON, WIDE, frozenset()
    text, found = reader.one(
        f"SELECT group_concat({shown}, ','), json_group_array(e.key) FROM json_each(?1) AS asked CROSS JOIN {source} "
        "WHERE e.account = ?2",
        (documents.dump(list(keys)), account),
    ) or (None, "[]")
    if text is None:
        return Fetched([], [])
    found_keys = orjson.loads(found)
    if wanted == stored:
        return Fetched([orjson.Fragment(text)], found_keys)
    emails = orjson.loads(f"[{text}]")
    if stored:
        return Fetched([{name: one[name] for name in names} for one in emails], found_keys)
    return Fetched([_show(reader, account, one, names, arguments) for one in emails], found_keys)


def holders(reader: Reader, account: int, blob_id: str) -> list[int]:
    """Return the keys of the Emails by which a blob can be discovered: as their message or as one of its parts."""
    whole, is_part, _ = blob_id.partition("-")
    keys = blobs.holders(reader, account, whole, EMAILS.type_name)
    if not is_part or not keys:
        return keys
    # All of them are the same octets, and so have the same parts.
    stored = reader.value("SELECT rest -> '$.structure' FROM email_content WHERE email = ?", (keys[0],))
    structure = orjson.loads(stored)
    view = View(message.from_json({"h": [], "p": structure}), whole, lambda: b"", BodyArguments())
    return keys if view.has_part(blob_id) else []


def _show(
    reader: Reader, account: int, email: Mapping[str, Any], names: Sequence[str], arguments: BodyArguments
) -> dict[str, Any]:
    stored = email["stored"]
    root = message.from_json({"h": stored["headers"], "p": stored["structure"]})
    view = View(root, email["blobId"], lambda: blobs.open_blob(reader, account, email["blobId"]) or b"", arguments)
    return {name: email[name] if name in email else view.value(name) for name in names}


class View:
    """What a message shows of its header fields and its body. Serves stored Emails and parsed blobs alike."""

    def __init__(self, root: Part, blob_id: str, open_message: Callable[[], bytes], arguments: BodyArguments) -> None:
        """`open_message` gives the whole message, and is called only if a body value is wanted."""
        self._root = root
        self._blob_id = blob_id
        self._open = open_message
        self._arguments = arguments
        self._bodies = body.classify(root)

    def value(self, name: str) -> Any:
        """Return a property's value."""
        if name.startswith("header:"):
            return headers.parse_property(name).value(self._root.headers)
        readers: dict[str, Callable[[], Any]] = {
            "headers": lambda: [{"name": one, "value": value} for one, value in self._root.headers],
            "bodyStructure": lambda: self._part(self._root, tree=True),
            "bodyValues": self._values,
            "textBody": lambda: self._parts(self._bodies.text_body),
            "htmlBody": lambda: self._parts(self._bodies.html_body),
            "attachments": lambda: self._parts(self._bodies.attachments),
        }
        return readers[name]()

    def _parts(self, parts: list[Part]) -> list[dict[str, Any]]:
        return [self._part(part, tree=False) for part in parts]

    def _part(self, part: Part, *, tree: bool) -> dict[str, Any]:
        """Show a part; the structure always has `subParts`, or it would be none (RFC 8621 §4.2, bodyProperties)."""
        names = self._arguments.properties
        if tree and "subParts" not in names:
            names = (*names, "subParts")
        return body.part_json(part, self._part_blob_id, names)

    def _part_blob_id(self, part: Part) -> str:
        return blobs.range_id(self._blob_id, part.body_start, part.body_end - part.body_start, part.encoding)

    def has_part(self, blob_id: str) -> bool:
        """Say whether a part is shown with this blobId."""
        return any(self._part_blob_id(part) == blob_id for part in self._root.leaves())

    def _values(self) -> dict[str, Any]:
        """Return the body values that are asked for: of text parts only (RFC 8621 §4.1.4)."""
        arguments, wanted = self._arguments, []
        if arguments.all_values:
            wanted = list(self._root.leaves())
        else:
            wanted += self._bodies.text_body if arguments.text_values else ()
            wanted += self._bodies.html_body if arguments.html_values else ()
        texts = {part.part_id: part for part in wanted if part.type.startswith("text/") and part.part_id}
        if not texts:
            return {}
        raw = self._open()
        return {part_id: body.body_value(raw, part, arguments.max_bytes) for part_id, part in texts.items()}
