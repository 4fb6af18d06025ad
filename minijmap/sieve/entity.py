"""The MIME entities of a message as a tree in which entities can be replaced (RFC 2045 §2.4, RFC 5703).

Owns the walk through multiparts and enclosed messages (RFC 2046 §5.1, §5.2.1), bounded, and the octets of the tree
after replacements: what was not replaced is copied as it is. It reads no header field but the few that structure
needs, and knows no Sieve commands.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

from minijmap.mail.body import part_text
from minijmap.mail.headers import content_type, find_all
from minijmap.mail.message import MAX_BOUNDARY, Part, decode_content, parse
from minijmap.sieve.headerblock import Fields, HeaderBlock

MOST_DEPTH: Final = 20
"""Messages inside of each other that are opened; a deeper one is opaque."""

MOST_ENTITIES: Final = 2_000
"""Entities of one message that a walk visits, those of enclosed messages included; later ones are passed over."""

_MESSAGES: Final = frozenset(("message/rfc822", "message/global"))
_ENDS_HEADER: Final = re.compile(rb"(?:\A|\n)\r?\n\Z")


class Entity:
    """One MIME entity: where it stands in which octets, its children, and what replaces it."""

    __slots__ = ("_children", "_fields", "depth", "dirty", "edited", "end", "parent", "part", "source", "start")

    def __init__(self, source: bytes, part: Part, parent: "Entity | None" = None, *, depth: int = 0) -> None:
        """Take a part and the octets that its offsets count; depth counts the messages around it."""
        self.source = source
        self.part = part
        self.start, self.end = part.header_start, part.body_end
        """Where the entity is in `source`."""
        self.parent = parent
        self.depth = depth
        self.dirty = False
        """It, or something inside, is not what `parent` has in its octets."""
        self.edited: HeaderBlock | None = None
        """The header as a script changed it."""
        self._children: list[Entity] | None = None
        self._fields: Fields | None = None

    @classmethod
    def of_message(cls, message: bytes, root: Part | None = None) -> "Entity":
        """The entity that a whole message is, root being what message.parse made of it, if that was done."""
        entity = cls(message, root or parse(message))
        entity.end = len(message)
        return entity

    @property
    def type(self) -> str:
        """The media type, in lower case."""
        return self.part.type

    @property
    def is_multipart(self) -> bool:
        """Whether it has parts of its own."""
        return self.part.part_id is None

    @property
    def is_message(self) -> bool:
        """Whether it encloses a message."""
        return self.part.type in _MESSAGES

    @property
    def fields(self) -> Fields:
        """Its header fields."""
        if self._fields is None:
            self._fields = Fields(self.part.headers if self.edited is None else self.edited.pairs())
        return self._fields

    @property
    def children(self) -> "list[Entity]":
        """The entities directly inside: parts, or the one message that is enclosed."""
        if self._children is None:
            if self.is_multipart:
                self._children = [Entity(self.source, part, self, depth=self.depth) for part in self.part.parts]
            elif self.is_message and self.depth < MOST_DEPTH:
                self._children = [Entity.of_message(self.content())]
                self._children[0].parent, self._children[0].depth = self, self.depth + 1
            else:
                self._children = []
        return self._children

    def walk(self) -> Iterator["Entity"]:
        """The entity and everything inside, depth first, as it stands when the walk comes there."""
        stack = [self]
        count = 0
        while stack and count < MOST_ENTITIES:
            entity = stack.pop()
            count += 1
            source = entity.source
            yield entity
            # RFC 5703 §3, §5: what was put there while the walk stood on it is not walked into.
            if entity.source is source:
                stack.extend(reversed(entity.children))

    # --- what it says -----------------------------------------------------------------------------------------------

    def content(self) -> bytes:
        """The decoded octets, as they came: of a multipart everything between its header and its end."""
        part = self.part
        return decode_content(self.source, part.body_start, part.body_end, part.encoding)[0]

    def text(self) -> tuple[str, bool]:
        """The content as text by its charset, and whether there was a problem with it."""
        return part_text(self.source, self.part)

    def header_octets(self) -> bytes:
        """The octets of its header, with the blank line."""
        return self.source[self.part.header_start : self.part.body_start]

    def header_is_ended(self) -> bool:
        """Whether a blank line ends the header, or a body follows it."""
        return self.part.body_end > self.part.body_start or bool(_ENDS_HEADER.search(self.header_octets()))

    def boundary(self) -> bytes:
        """The boundary of a multipart, as message.parse reads it; empty for anything else."""
        for raw in find_all(self.part.headers, "Content-Type")[:1]:
            value = content_type(raw)[1].get("boundary", "").encode("utf-8", "replace").rstrip(b" \t")
            return value if self.is_multipart and len(value) <= MAX_BOUNDARY else b""
        return b""

    def prologue_and_epilogue(self) -> tuple[bytes, bytes]:
        """What a multipart says before its first and after its last delimiter (RFC 2046 §5.1.1)."""
        part = self.part
        first = part.parts[0].header_start if part.parts else part.body_end
        start = _delimiter(self.source, self.boundary(), part.body_start, first)
        prologue = self.source[part.body_start : first if start < 0 else start]
        outer = self.parent
        if self.end > part.body_end or outer is None or outer.source is not self.source:
            return prologue, self.source[part.body_end : self.end]
        later = [one.header_start for one in outer.part.parts if one.header_start > part.header_start]
        limit = later[0] if later else outer.part.body_end
        end = _delimiter(self.source, outer.boundary(), max(part.body_end - 1, part.body_start), limit)
        return prologue, self.source[part.body_end : max(part.body_end, limit if end < 0 else end)]

    # --- replacing --------------------------------------------------------------------------------------------------

    def put(self, octets: bytes, edited: HeaderBlock | None = None) -> None:
        """Let other octets, a whole entity with header and content, stand in its place.

        edited is their header, if a script may go on editing it.
        """
        self.source = octets
        self.part = parse(octets)
        self.start, self.end = 0, len(octets)
        self.edited = edited
        self._children = None
        self.touch()

    def adopt(self, child: "Entity") -> None:
        """Let an entity that has the octets of the enclosed message already be that message."""
        child.parent, child.dirty = self, False
        self._children = [child]

    def touch(self) -> None:
        """Note that it changed."""
        self._fields = None
        entity: Entity | None = self
        while entity is not None:
            entity.dirty = True
            entity = entity.parent

    def edit(self) -> HeaderBlock:
        """Its header, to be changed; `touch` it afterwards."""
        if self.edited is None:
            self.edited = HeaderBlock(self.header_octets(), body_follows=self.end > self.part.body_start)
        return self.edited

    def octets(self) -> bytes:
        """Header and content as they stand."""
        header = self.source[self.start : self.part.body_start] if self.edited is None else self.edited.octets()
        return header + self.body()

    def body(self) -> bytes:
        """The content as it stands, in its transfer encoding."""
        part = self.part
        changed = [child for child in self._children or () if child.dirty]
        if not changed:
            return self.source[part.body_start : self.end]
        if self.is_message:
            return _encoded(changed[0].octets(), part.encoding)
        pieces: list[bytes] = []
        position = part.body_start
        for child, place in zip(self.children, part.parts, strict=True):
            if child.dirty:
                pieces += (self.source[position : place.header_start], child.octets())
                position = place.body_end
        return b"".join(pieces) + self.source[position : self.end]


def _delimiter(source: bytes, boundary: bytes, start: int, end: int) -> int:
    """The offset of the line end before a delimiter line, or of the line itself at start; -1 when there is none."""
    if not boundary:
        return -1
    if source.startswith(b"--" + boundary, start):
        return start
    found = source.find(b"\n--" + boundary, start, end)
    # RFC 2046 §5.1.1: the line end before a delimiter belongs to the delimiter.
    return found - 1 if found > start and source[found - 1] == 13 else found


def _encoded(octets: bytes, encoding: str) -> bytes:
    """The octets in the transfer encoding that their header names; RFC 2046 §5.2.1 allows a message none of these."""
    if encoding == "b":
        return base64.encodebytes(octets).rstrip(b"\n").replace(b"\n", b"\r\n")
    if encoding == "q":
        return binascii.b2a_qp(octets, istext=True)
    return octets
