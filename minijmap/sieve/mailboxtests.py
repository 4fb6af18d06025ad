"""Tests about mailboxes and the server: RFC 5490 (mailbox, mboxmetadata, servermetadata), RFC 8579 and RFC 9042.

Owns their rows; the host knows what there is. What these extensions add to "fileinto" stands with it.
"""

from collections.abc import Callable
from typing import Final

from minijmap.sieve.matching import MATCH_TAGS, matching
from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, Extension, Kind, Row, Sort, TestFunction


def _exists(call: Call) -> TestFunction:
    names = call.texts("mailbox-names")
    return lambda run: all(map(run.host.mailbox_exists, names.of(run)))


def _id_exists(call: Call) -> TestFunction:
    ids = call.texts("mailbox-objectids")
    return lambda run: all(map(run.host.mailbox_id_exists, ids.of(run)))


def _special_use_exists(call: Call) -> TestFunction:
    mailbox, uses = call.maybe_text("mailbox"), call.texts("special-use-attrs")

    def test(run: Run) -> bool:
        name = None if mailbox is None else mailbox.of(run)
        if name is not None and not run.host.mailbox_exists(name):
            return False
        return all(run.host.special_use_exists(use, name) for use in uses.of(run))

    return test


def _annotations(call: Call) -> Callable[[Run, str], str | None]:
    """What reads an annotation by its name: of the mailbox that is named, else of the server."""
    mailbox = call.maybe_text("mailbox")
    return lambda run, name: run.host.metadata(None if mailbox is None else mailbox.of(run), name)


def _metadata(call: Call) -> TestFunction:
    read, name, match = _annotations(call), call.text("annotation-name"), matching(call, "keys")

    def test(run: Run) -> bool:
        value = read(run, name.of(run))
        return match(run, () if value is None else (value,))

    return test


def _metadata_exists(call: Call) -> TestFunction:
    read, names = _annotations(call), call.texts("annotation-names")
    return lambda run: all(read(run, name) is not None for name in names.of(run))


_MAILBOX: Final = Argument("mailbox", Kind.STRING)
_VALUE: Final = (Argument("annotation-name", Kind.STRING), Argument("keys", Kind.STRINGS))
_NAMES: Final = Argument("annotation-names", Kind.STRINGS)

EXTENSIONS: Final = (
    Extension("mailbox", rows=(Row("mailboxexists", Sort.TEST, _exists, (Argument("mailbox-names", Kind.STRINGS),)),)),
    Extension(
        "mboxmetadata",
        rows=(
            Row("metadata", Sort.TEST, _metadata, (_MAILBOX, *_VALUE), MATCH_TAGS),
            Row("metadataexists", Sort.TEST, _metadata_exists, (_MAILBOX, _NAMES)),
        ),
    ),
    Extension(
        "servermetadata",
        rows=(
            Row("servermetadata", Sort.TEST, _metadata, _VALUE, MATCH_TAGS),
            Row("servermetadataexists", Sort.TEST, _metadata_exists, (_NAMES,)),
        ),
    ),
    Extension(
        "special-use",
        rows=(
            Row(
                "specialuse_exists",
                Sort.TEST,
                _special_use_exists,
                (Argument("mailbox", Kind.STRING, optional=True), Argument("special-use-attrs", Kind.STRINGS)),
            ),
        ),
    ),
    Extension(
        "mailboxid",
        rows=(Row("mailboxidexists", Sort.TEST, _id_exists, (Argument("mailbox-objectids", Kind.STRINGS),)),),
    ),
)
