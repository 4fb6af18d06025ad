"""The message that a script looks at and edits: as it arrived, and as it stands now (RFC 5293 §7, RFC 5703 §5, §6).

Owns the edits of header fields, of parts and of the whole, their limits, and the octets that an action stores or
sends. Nothing is copied, and nothing is parsed twice, before a script edits something. It knows no Sieve commands; what
can't be done is a RunError.
"""

from typing import Final

from minijmap.mail.message import Part
from minijmap.sieve.compose import enclosure, header_of_whole
from minijmap.sieve.entity import Entity
from minijmap.sieve.errors import RunError
from minijmap.sieve.headerblock import EditProblem, Fields, HeaderField, write_field
from minijmap.sieve.state import Run

MOST_EDITS: Final = 500
"""Edits of one message by one run: header fields added or removed, parts replaced, enclosures."""

MOST_ENCLOSURES: Final = 10
"""Messages that a run wraps around a message, each one a copy of it."""

MOST_VERSIONS: Final = 10
"""States of a changed message that one run stores or sends, each one a copy of it."""

MOST_GROWTH: Final = 2_000_000
"""Octets that edits add to one message."""

MOST_FIELD: Final = 16_384
"""Octets of one added header field; RFC 5293 §4 asks for 998."""

UNDELETABLE: Final = frozenset(("received", "auto-submitted"))
"""Fields that no script may take away (RFC 5293 §6): loops are found by them."""


class Message:
    """One message while one script runs. Not for several threads."""

    def __init__(self, raw: bytes, root: Part | None = None) -> None:
        """Take the octets as they arrived, and what message.parse made of them if that was done already."""
        self.raw = raw
        self.root = Entity.of_message(raw, root)
        self.part: Entity | None = None
        """Where the innermost `foreverypart` stands (RFC 5703 §3)."""
        self._prefix = raw[: self.root.start]  # a line that an mbox put before the header
        self._octets: bytes | None = None
        self._unenclosed: bytes | None = None
        self._enclosures = 0
        self._versions: set[int] = set()  # the number of edits after which each was taken
        self._edits = 0
        self._growth = 0

    # --- as it stands -----------------------------------------------------------------------------------------------

    @property
    def fields(self) -> Fields:
        """The header fields."""
        return self.root.fields

    @property
    def size(self) -> int:
        """Octets of the message as it arrived (RFC 5228 §5.9)."""
        return len(self.raw)

    @property
    def version(self) -> int:
        """A number that grows with each change."""
        return self._edits

    @property
    def is_changed(self) -> bool:
        """Whether a script changed the message."""
        return self.root.dirty or self._enclosures > 0

    def changed_fields(self) -> Fields | None:
        """The header fields, None while no script changed the message."""
        return self.fields if self.is_changed else None

    def edited(self) -> bytes | None:
        """The octets to store; None while the message is as it arrived."""
        if not self.is_changed:
            return None
        self._versions.add(self._edits)
        if len(self._versions) > MOST_VERSIONS:
            raise RunError(f"the script stores or sends more than {MOST_VERSIONS} states of a message it changes")
        return self.current()

    def for_redirect(self) -> bytes | None:
        """The octets to send on: what `enclose` did has no effect on them (RFC 5703 §6)."""
        return self._unenclosed if self._enclosures else self.edited()

    def current(self) -> bytes:
        """The octets, edited or not."""
        if self._octets is None:
            self._octets = self._prefix + self.root.octets() if self.is_changed else self.raw
        return self._octets

    # --- header fields (RFC 5293) -----------------------------------------------------------------------------------

    def add_field(self, name: str, value: str, *, last: bool = False) -> None:
        """Put a field at the beginning or at the end of the header."""
        octets = self._written(name, value)
        self._count(len(octets))
        self.root.edit().add(name, octets, last=last)
        self._changed(self.root)

    def named(self, name: str) -> list[HeaderField]:
        """The fields of that name, in order, to be removed."""
        return self.root.edit().named(name)

    def remove_field(self, field: HeaderField) -> bool:
        """Take out a field; False when no script may (RFC 5293 §6, RFC 5703 §5)."""
        if field.protected or field.name.lower() in UNDELETABLE:
            return False
        self._count(0)
        self.root.edit().remove(field)
        self._changed(self.root)
        return True

    # --- parts (RFC 5703) -------------------------------------------------------------------------------------------

    def replace_part(self, entity: Entity, octets: bytes) -> None:
        """Let a whole MIME entity stand in the place of one that is not the message itself."""
        self._count(len(octets))
        entity.put(octets)
        self._changed(entity)

    def replace_whole(self, content: bytes, subject: str | None, sender: str | None) -> None:
        """Let a MIME entity be the content of the message, whose other header fields stay (RFC 5703 §5)."""
        self._count(len(content))
        root = self.root
        header = root.edit()
        new = {"Subject": subject, "From": sender}
        written = {name: self._written(name, value) for name, value in new.items() if value is not None}
        octets = header_of_whole(header, content, written)
        root.put(octets, header)
        self._changed(root)

    def enclose(self, text: str, subject: str | None, names: list[str], written: dict[str, str]) -> None:
        """Make the message an attachment of a new one that says a text (RFC 5703 §6).

        names are the fields copied from the old one; written are fields, by name, for those among them that are not.
        """
        self._count(len(text.encode()))
        old = self.root
        before = self.current()[len(self._prefix) :]
        if not self._enclosures:
            self._unenclosed = before if self.is_changed else None
        self._enclosures += 1
        if self._enclosures > MOST_ENCLOSURES:
            raise RunError(f"the script encloses a message more than {MOST_ENCLOSURES} times")
        if subject is not None:
            names = [name for name in names if name.lower() != "subject"]
            written = {**written, "Subject": subject}
        added = {name: self._written(name, value) for name, value in written.items()}
        self.root = Entity.of_message(enclosure(old.edit(), before, text, names, added))
        self.root.children[1].adopt(old)
        self._prefix = b""
        self._octets = None

    # --- limits -----------------------------------------------------------------------------------------------------

    def _written(self, name: str, value: str) -> bytes:
        try:
            octets = write_field(name, value[: 4 * MOST_FIELD])
        except EditProblem as problem:
            raise RunError(f"the header field “{name[:100]}” {problem}") from None
        if len(octets) > MOST_FIELD:
            raise RunError(f"the header field “{name[:100]}” would have more than {MOST_FIELD} octets")
        return octets

    def _count(self, growth: int) -> None:
        self._edits += 1
        self._growth += growth
        if self._edits > MOST_EDITS:
            raise RunError(f"the script changes a message more than {MOST_EDITS} times")
        if self._growth > MOST_GROWTH:
            raise RunError(f"the script makes a message more than {MOST_GROWTH} octets larger")

    def _changed(self, entity: Entity) -> None:
        entity.touch()
        self._octets = None


def message_of(run: Run) -> Message:
    """The message of a run, as the extensions need it."""
    message = run.message
    if not isinstance(message, Message):
        raise TypeError("a run of these extensions needs a minijmap.sieve.message.Message")
    return message
