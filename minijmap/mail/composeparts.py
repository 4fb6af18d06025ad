"""EmailBodyPart and EmailBodyValue objects of a created Email (RFC 8621 §4.1.4, §4.6): checked, and put into a tree.

Owns what a body part may say, and the structure that textBody, htmlBody and attachments become. What it returns knows
its octets but for blobs, which the caller fills in. Must not know how a part is written.
"""

import html
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from minijmap.jmap.values import Anything, Boolean, Id, Kind, ListOf, MapOf, Record, ValueProblem
from minijmap.jmap.values import unsigned_int as size_kind
from minijmap.mail.composeheaders import MessageId, OneLine, Text, Uri, field_name, write_property
from minijmap.mail.folding import TOKEN, Field, Folder
from minijmap.mail.headers import content_type, disposition
from minijmap.mail.message import MAX_DEPTH, MAX_PARTS
from minijmap.mail.text import decode_charset

LONGEST_NAME: Final = 2_000
"""Octets of a part's name."""

MOST_PARTS: Final = MAX_PARTS - 1
"""Parts of a created message, multiparts included; the parser must find the end of the last one."""

LONGEST_VALUE: Final = 50_000_000
"""Octets of a body value."""


@dataclass(slots=True)
class PartPlan:
    """One part to be written."""

    path: str
    """Where it stands in the creation object, for sentences."""
    type: str
    """In lower case, without parameters."""
    parts: list["PartPlan"] = field(default_factory=list)
    value: str | None = None
    """The text of a part that has a partId."""
    blob_id: str | None = None
    content: bytes = b""
    """The octets of the blob, once it is opened."""
    charset: str | None = None
    name: str | None = None
    disposition: str | None = None
    cid: str | None = None
    fields: list[Field] = field(default_factory=list)
    """Every field that was given, or made from a property; Content-Type and Content-Disposition only if given."""

    def given(self, key: str) -> Field | None:
        """The field of that lower-case name, if it was given."""
        return next((one for one in self.fields if one.key == key), None)

    def walk(self) -> Iterator["PartPlan"]:
        """The part and all parts in it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def is_multipart(self) -> bool:
        """Say whether it consists of other parts."""
        return self.type.startswith("multipart/")

    def is_text(self) -> bool:
        """Say whether its content is text, with a charset."""
        return self.type.startswith("text/")


# --- kinds ----------------------------------------------------------------------------------------------------------


class Matching(Kind):
    """A string of a certain form."""

    def __init__(self, name: str, pattern: re.Pattern[str]) -> None:
        self.name = name
        self.pattern = pattern

    def check(self, value: Any) -> str:
        """Return it."""
        if not isinstance(value, str) or len(value) > 255 or not self.pattern.fullmatch(value):
            raise ValueProblem(f"must be {self.name}")
        return value


_TYPE: Final = re.compile(rf"{TOKEN.pattern}/{TOKEN.pattern}")
_WRITTEN_TYPE: Final = re.compile(rf"\s*{TOKEN.pattern}/{TOKEN.pattern}\s*(?:;|\(|\Z)")
_MEMBERS: Final[dict[str, Kind]] = {
    "partId": Text(most_octets=255),
    "blobId": Id(),
    "size": size_kind(),
    "name": OneLine(most_octets=LONGEST_NAME),
    "type": Matching("a media type such as text/plain, without parameters", _TYPE),
    "charset": Matching("a charset such as utf-8", TOKEN),
    "disposition": Matching("a disposition such as attachment, without parameters", TOKEN),
    "cid": MessageId(),
    "language": ListOf(Matching("a language tag such as en-GB", re.compile(r"[A-Za-z0-9_*-]+")), most=100),
    "location": Uri(),
    "subParts": ListOf(Anything()),
}
_FIELDS: Final = {
    "type": "content-type",
    "charset": "content-type",
    "name": "content-disposition",
    "disposition": "content-disposition",
    "cid": "content-id",
    "language": "content-language",
    "location": "content-location",
}
"""The field that a property of an EmailBodyPart stands for."""

_OWN_FIELD: Final = {"cid": "Content-ID", "language": "Content-Language", "location": "Content-Location"}

_VALUES: Final = MapOf(
    Text(),
    Record(
        {"value": Text(most_octets=LONGEST_VALUE), "isEncodingProblem": Boolean(), "isTruncated": Boolean()},
        required=frozenset(("value",)),
        name="an EmailBodyValue",
    ),
)


def body_values(given: Any) -> dict[str, str]:
    """The texts of bodyValues by partId. Raises ValueProblem."""
    try:
        values = _VALUES.check(given)
    except ValueProblem as problem:
        raise problem.under("bodyValues") from None
    for part_id, value in values.items():
        for flag in ("isEncodingProblem", "isTruncated"):
            if value.get(flag):
                # RFC 8621 §4.6: what was read with a loss must not be written as if it were whole.
                raise ValueProblem("must be false", f"bodyValues/{part_id}/{flag}")
    return {part_id: value["value"] for part_id, value in values.items()}


def field_names(given: Iterable[str], stand_for: Mapping[str, str]) -> dict[str, list[str]]:
    """The field names, in lower case, that properties stand for, each with these properties.

    `stand_for` has the fields of properties that aren't header:*. Raises ValueProblem for a malformed header:* one.
    """
    named: dict[str, list[str]] = {}
    for name in given:
        if name in stand_for:
            named.setdefault(stand_for[name], []).append(name)
        elif name.startswith("header:"):
            try:
                named.setdefault(field_name(name), []).append(name)
            except ValueProblem as problem:
                raise problem.under(name) from None
    return named


def clash(names: Sequence[str]) -> str | None:
    """Of the properties that stand for one field, the last that mustn't be beside the others (RFC 8621 §4.6)."""
    return next((name for name in reversed(names) if name.startswith("header:") and len(names) > 1), None)


# --- one part -------------------------------------------------------------------------------------------------------


class PartChecker:
    """Checks the EmailBodyPart objects of one Email. Every method raises ValueProblem."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self.used: set[str] = set()
        self.count = 0

    def one(self, given: Any, path: str, media_type: str) -> PartPlan:
        """Check textBody or htmlBody (RFC 8621 §4.6)."""
        if not isinstance(given, list) or len(given) != 1:
            raise ValueProblem("must be an array of exactly one part", path)
        plan = self.part(given[0], f"{path}/0", media_type)
        if plan.type != media_type:
            raise ValueProblem(f"must be {media_type}", f"{path}/0/type")
        return plan

    def several(self, given: Any, path: str) -> list[PartPlan]:
        """Check a list of parts."""
        if not isinstance(given, list):
            raise ValueProblem("must be an array of parts", path)
        parts = [self.part(one, f"{path}/{index}") for index, one in enumerate(given)]
        for part in parts:
            if part.is_multipart():  # RFC 8621 §4.1.4
                raise ValueProblem("must not be a multipart", part.path)
        return parts

    def part(self, given: Any, path: str, default_type: str | None = None, depth: int = 0) -> PartPlan:
        """Check a part, and the parts in it."""
        self.count += 1
        if self.count > MOST_PARTS:
            raise ValueProblem(f"is one part too many: an Email may have {MOST_PARTS}", path)
        try:
            said = _said(given)
            _check_fields(said)
            plan = _plan(said, path, default_type)
        except ValueProblem as problem:
            raise problem.under(path) from None
        if plan.is_multipart():
            self.take_parts(plan, said, depth)
        else:
            self.take_content(plan, said)
        return plan

    def take_parts(self, plan: PartPlan, said: Mapping[str, Any], depth: int) -> None:
        """Check what only a multipart has and mustn't have."""
        for name in ("partId", "blobId", "charset"):
            if name in said:
                raise ValueProblem(f"must not be given for {plan.type}", f"{plan.path}/{name}")
        if not said.get("subParts"):
            raise ValueProblem(f"must have at least one part, for the type is {plan.type}", f"{plan.path}/subParts")
        if depth >= MAX_DEPTH:
            raise ValueProblem(f"is deeper than the {MAX_DEPTH} multiparts that may be inside of each other", plan.path)
        written = plan.given("content-type")
        if written and "boundary" in content_type(written.raw)[1]:
            raise ValueProblem("must not have a boundary: the server chooses it", f"{plan.path}/header:Content-Type")
        for index, one in enumerate(said["subParts"]):
            plan.parts.append(self.part(one, f"{plan.path}/subParts/{index}", depth=depth + 1))

    def take_content(self, plan: PartPlan, said: Mapping[str, Any]) -> None:
        """Check what only a leaf has and mustn't have."""
        path, part_id, plan.blob_id = plan.path, said.get("partId"), said.get("blobId")
        if "subParts" in said:
            raise ValueProblem(f"must not be given for {plan.type}", f"{path}/subParts")
        if part_id is None:
            if plan.blob_id is None:
                raise ValueProblem("must have a partId or a blobId", path)
            return
        if plan.blob_id is not None:
            raise ValueProblem("must not have both a partId and a blobId", path)
        for name in ("charset", "size"):
            if name in said:
                raise ValueProblem("must not be given together with a partId", f"{path}/{name}")
        if part_id not in self.values:
            raise ValueProblem("is not in bodyValues", f"{path}/partId")
        if part_id in self.used:  # RFC 8621 §4.1.4: it identifies one part
            raise ValueProblem("is the partId of another part, too", f"{path}/partId")
        self.used.add(part_id)
        plan.value = self.values[part_id]
        written = plan.given("content-type")
        if plan.is_text() and written and content_type(written.raw)[1].get("charset", "utf-8").lower() != "utf-8":
            raise ValueProblem("must not have a charset but utf-8 with a partId", f"{path}/header:Content-Type")


def _said(given: Any) -> dict[str, Any]:
    """The properties that are not null, those but header:* in their normal form."""
    if not isinstance(given, dict):
        raise ValueProblem("must be an EmailBodyPart")
    said: dict[str, Any] = {}
    for name, value in given.items():
        if name == "headers":  # RFC 8621 §4.6
            raise ValueProblem("must not be given: each header field is a property of its own", name)
        if name.startswith("header:"):
            said[name] = value
        elif name not in _MEMBERS:
            raise ValueProblem("is no property of an EmailBodyPart", name[:200])
        elif value is not None:
            try:
                said[name] = _MEMBERS[name].check(value)
            except ValueProblem as problem:
                raise problem.under(name) from None
    return said


def _check_fields(said: Mapping[str, Any]) -> None:
    """Check which header fields a part names (RFC 8621 §4.6)."""
    named = field_names(said, _FIELDS)
    for name in named.get("content-transfer-encoding", ()):
        raise ValueProblem("must not be given: the server chooses the encoding", name)
    for names in named.values():
        if wrong := clash(names):
            other = next(name for name in names if name != wrong)
            raise ValueProblem(f"stands for the same header field as “{other}”", wrong)


def _plan(said: Mapping[str, Any], path: str, default_type: str | None) -> PartPlan:
    """A part with its type and fields, without content."""
    if default_type is None:
        # A lenient reading (RFC 8621 §4.6 asks for no type): what the content can be without one.
        default_type = "application/octet-stream" if "blobId" in said else "text/plain"
        default_type = "multipart/mixed" if "subParts" in said else default_type
    plan = PartPlan(path, said.get("type", default_type).lower())
    plan.charset, plan.name, plan.disposition = said.get("charset"), said.get("name") or None, said.get("disposition")
    plan.cid = said["cid"][1:-1] if "cid" in said else None
    for name, value in said.items():
        try:
            if name.startswith("header:"):
                plan.fields += write_property(name, value)
                _read_back(plan)
            elif name in _OWN_FIELD and value:
                plan.fields.append(_own_field(name, value))
        except ValueProblem as problem:
            raise problem.under(name) from None
    return plan


def _own_field(name: str, value: str | list[str]) -> Field:
    """The field that holds a property's value and nothing else."""
    folder = Folder(_OWN_FIELD[name])
    items = [value] if isinstance(value, str) else value
    for item in items[:-1]:
        folder.add(f"{item},")
    folder.add(items[-1])
    return folder.field()


def _read_back(plan: PartPlan) -> None:
    """Learn the type, disposition and id of a part from the field that was given last."""
    last = plan.fields[-1] if plan.fields else None
    if last is None:
        return
    if last.key == "content-type":
        if not _WRITTEN_TYPE.match(last.raw):
            raise ValueProblem("must begin with a media type such as text/plain")
        plan.type = content_type(last.raw)[0]
    elif last.key == "content-disposition":
        plan.disposition = disposition(last.raw)[0]


# --- the tree -------------------------------------------------------------------------------------------------------

_CID: Final = re.compile(r"cid:([^\s\"'<>()]{1,998})", re.IGNORECASE)


def cited(plan: PartPlan) -> set[str]:
    """The Content-Ids that an HTML part refers to by cid: URLs (RFC 2392)."""
    text = decode_charset(plan.content, plan.charset)[0] if plan.value is None else plan.value
    return {unquote(html.unescape(found)) for found in _CID.findall(text)}


def arrange(text: PartPlan | None, html_part: PartPlan | None, attachments: list[PartPlan]) -> PartPlan:
    """The message that shows these bodies and offers these attachments; no multipart that isn't needed.

    An attachment goes beside the HTML (multipart/related) when that cites its cid and it isn't to be offered; every
    other one goes into multipart/mixed. Blobs must have been opened.
    """
    cids: Collection[str] = cited(html_part) if html_part else ()
    related = [one for one in attachments if one.cid in cids and (one.disposition or "").lower() != "attachment"]
    beside = {id(one) for one in related}
    offered = [one for one in attachments if id(one) not in beside]
    for one in attachments:
        if one.given("content-disposition") is None and one.disposition is None:
            one.disposition = "inline" if id(one) in beside else "attachment"
    body = [part for part in (html_part,) if part]
    if related:
        body = [PartPlan("htmlBody", "multipart/related", [*body, *related])]
    if text:
        body = [PartPlan("textBody", "multipart/alternative", [text, *body])] if body else [text]
    if offered:
        return PartPlan("attachments", "multipart/mixed", [*body, *offered])
    return body[0] if body else PartPlan("textBody", "text/plain", value="")
