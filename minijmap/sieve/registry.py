"""The one visible table of Sieve: every command, test, tag and capability that this server has.

Holds what the modules of the language contribute, joined; a capability that isn't here is not offered. It has no logic
but the joining.
"""

from dataclasses import dataclass
from typing import Final

from minijmap.sieve import (
    baseactions,
    basetests,
    bodytest,
    control,
    datetests,
    duplicates,
    editheader,
    environment,
    extlists,
    fcc,
    fieldsource,
    flags,
    ihave,
    include,
    mailboxtests,
    matching,
    notifying,
    partloops,
    rejecting,
    replacing,
    spamtests,
    vacationcommand,
    variables,
)
from minijmap.sieve.table import Extension, Row, Tag

MODULES: Final = (
    control,
    basetests,
    baseactions,
    matching,
    variables,
    flags,
    environment,
    extlists,
    ihave,
    include,
    fieldsource,
    bodytest,
    datetests,
    duplicates,
    editheader,
    fcc,
    mailboxtests,
    notifying,
    partloops,
    rejecting,
    replacing,
    spamtests,
    vacationcommand,
)
"""Every module with rows, tags or capabilities."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row with the capability that it needs, "" when none, and every tag it takes."""

    row: Row
    capability: str
    tags: dict[str, Tag]


def _joined(extensions: list[Extension]) -> dict[str, Entry]:
    entries = {
        row.name: Entry(row, extension.capability, {tag.name: tag for tag in row.tags})
        for extension in extensions
        for row in extension.rows
    }
    for extension in extensions:
        for name, tags in extension.tags.items():
            for tag in tags:
                needs = tuple(dict.fromkeys((extension.capability, *tag.requires)))
                entries[name].tags[tag.name] = Tag(tag.name, tag.takes, needs, tag.group, tag.constant)
    return entries


_ALL: Final = [extension for module in MODULES for extension in module.EXTENSIONS]

ENTRIES: Final = _joined(_ALL)
"""By the name of a command or test."""

BY_CAPABILITY: Final = {extension.capability: extension for extension in _ALL if extension.capability}
"""By the capability."""

EXTENSIONS: Final = tuple(sorted(BY_CAPABILITY))
"""Every capability string, as a server lists them (RFC 9661 §1.2.1)."""
