"""External lists: the test "valid_ext_list" and the names of lists (RFC 6134 §2.5, §2.6, §2.7).

Owns the canonical form of a list's name. The match type :list is `matching`'s, "redirect :list" that action's; which
lists there are, and who is in them, the host knows.
"""

import re
from typing import Final
from urllib.parse import unquote

from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, Extension, Kind, Row, Sort, TestFunction

PREFIX: Final = "urn:ietf:params:sieve:"
DEFAULT_BOOK: Final = f"{PREFIX}addrbook:default"
"""The user's default address book (RFC 6134 §2.5)."""

_URI: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}|[^\x00-\xa0])+"
)
_SIEVE: Final = re.compile(r"urn:ietf:params:sieve:(addrbook):([^?/#]+)(\?[^#]*)?", re.IGNORECASE)


def list_name(text: str) -> str | None:
    """The URI that a script means by a list's name, in one spelling; None when it is no absolute URI.

    A leading ":" stands for urn:ietf:params:sieve:, names of address books are percent-decoded, and of those "default"
    is the same in any case.
    """
    uri = PREFIX + text[1:] if text.startswith(":") else text
    if len(uri) > 2_000 or not _URI.fullmatch(uri):
        return None
    found = _SIEVE.fullmatch(uri)
    if not found:
        return None if uri.lower().startswith(PREFIX) else uri
    book = unquote(found[2])
    return f"{PREFIX}addrbook:{'default' if book.lower() == 'default' else book}{found[3] or ''}"


def list_of(run: Run, name: str) -> str:
    """The URI of a list that is there, or a RunError (RFC 6134 §2.2, §2.3)."""
    uri = list_name(name)
    if uri is None or not run.host.valid_list(uri):
        raise run.error(f"there is no list “{name[:60]}”")
    return uri


def _valid(call: Call) -> TestFunction:
    names = call.texts("ext-list-names")

    def valid(run: Run) -> bool:
        uris = [list_name(name) for name in names.of(run)]
        return all(uri is not None and run.host.valid_list(uri) for uri in uris)

    return valid


EXTENSIONS: Final = (
    Extension(
        "extlists", rows=(Row("valid_ext_list", Sort.TEST, _valid, (Argument("ext-list-names", Kind.STRINGS),)),)
    ),
)
