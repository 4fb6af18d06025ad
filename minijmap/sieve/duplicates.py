"""The test "duplicate": RFC 7352.

Owns what identifies a message, and the key under which that is remembered; the host remembers. What was seen is only
noted once the script has ended well (§3), so that all tests of one run give the same answer.
"""

import hashlib
from typing import Final

from minijmap.sieve.actions import Duplicate
from minijmap.sieve.headerblock import FIELD_NAME
from minijmap.sieve.state import Run
from minijmap.sieve.table import Call, Extension, Kind, Row, Sort, Tag, TestFunction

DEFAULT_SECONDS: Final = 7 * 86_400
MOST_SECONDS: Final = 90 * 86_400
"""What :seconds goes up to; more is taken for this (RFC 7352 §3.3)."""

MOST_IDS: Final = 50
"""Ids that one run has remembered."""


def key_of(handle: str, unique_id: str) -> str:
    """The key of an id: the source of the id is no part of it, the handle is (RFC 7352 §3.2)."""
    octets = handle.encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"%d:" % len(octets) + octets + unique_id.encode("utf-8", "surrogatepass")).hexdigest()


def _build(call: Call) -> TestFunction:
    handle, given = call.maybe_text("handle"), call.maybe_text("id")
    from_header = call.which("id", "header") == "header"
    seconds = min(call.number("seconds", DEFAULT_SECONDS), MOST_SECONDS)
    last = call.has("last")

    def duplicate(run: Run) -> bool:
        unique_id = "" if given is None else given.of(run)
        if from_header:
            found = _header_id(run, unique_id if given is not None else "Message-ID")
            if found is None:
                return False
            unique_id = found
        if seconds == 0:
            return False
        key = key_of("" if handle is None else "+" + handle.of(run), unique_id)
        seen = run.host.seen(key)
        if last or not seen:
            _remember(run, Duplicate(key, seconds))
        run.note(f"“{unique_id[:100]}” was {'' if seen else 'not '}seen before", 1)
        return seen

    return duplicate


def _header_id(run: Run, name: str) -> str | None:
    """The first field's value; None when there is none. A name that none can have is no error (RFC 7352 §3.1)."""
    values = run.message.fields.values(name) if FIELD_NAME.fullmatch(name) else []
    return values[0] if values else None


def _remember(run: Run, entry: Duplicate) -> None:
    others = [other for other in run.duplicates if other.key != entry.key]
    if len(others) >= MOST_IDS:
        raise run.error(f"the script looks for more than {MOST_IDS} duplicates")
    # RFC 7352 §3.3: of several tests of the same id, the last one's arguments are taken.
    run.duplicates[:] = [*others, entry]


_STRING: Final = (Kind.STRING,)

EXTENSIONS: Final = (
    Extension(
        "duplicate",
        rows=(
            Row(
                "duplicate",
                Sort.TEST,
                _build,
                (),
                (
                    Tag("handle", _STRING),
                    Tag("header", _STRING, group="id"),
                    Tag("uniqueid", _STRING, group="id"),
                    Tag("seconds", (Kind.NUMBER,)),
                    Tag("last"),
                ),
            ),
        ),
    ),
)
