"""The tagged argument ":fcc" of actions that write a message: RFC 8580.

Owns where the copy goes, with what the extensions of "fileinto" add to it (§3.1, RFC 9042 §5). Which actions take it,
they say themselves.
"""

from collections.abc import Callable
from typing import Final

from minijmap.sieve.actions import Fcc
from minijmap.sieve.baseactions import LONGEST_MAILBOX, mailbox_name, special_use
from minijmap.sieve.flags import flag_list
from minijmap.sieve.state import Run
from minijmap.sieve.table import Call, Extension, Kind, Tag

FCC_TAGS: Final = (
    Tag("fcc", (Kind.STRING,), ("fcc",)),
    Tag("create", (), ("fcc", "mailbox"), group="fcc create"),
    Tag("flags", (Kind.STRINGS,), ("fcc", "imap4flags"), group="fcc flags"),
    Tag("specialuse", (Kind.STRING,), ("fcc", "special-use"), group="fcc place"),
    # RFC 9042 §5: one of :mailboxid and :specialuse.
    Tag("mailboxid", (Kind.STRING,), ("fcc", "mailboxid"), group="fcc place"),
)

EXTENSIONS: Final = (Extension("fcc"),)


def fcc_of(call: Call) -> Callable[[Run], Fcc] | None:
    """Where a copy goes, None when there is none. Raises ScriptError."""
    if not call.has("fcc"):
        for slot in ("fcc create", "fcc flags", "fcc place"):
            if call.has(slot):
                given = call.tags[slot]
                raise call.error(f"“:{given.name}” needs “:fcc”", given.position)
        return None
    mailbox, create = call.text("fcc"), call.has("fcc create")
    flags = call.texts("fcc flags") if call.has("fcc flags") else None
    place, kind = call.maybe_text("fcc place"), call.which("fcc place")

    def fcc(run: Run) -> Fcc:
        where = None if place is None else place.of(run)
        return Fcc(
            mailbox_name(run, mailbox.of(run)),
            () if flags is None else flag_list(flags.of(run), run.limits.flags),
            create,
            where[:LONGEST_MAILBOX] if where is not None and kind == "mailboxid" else None,
            special_use(run, where) if where is not None and kind == "specialuse" else None,
        )

    return fcc
