"""The capability of Sieve: what the implementation is, what it can do, and its limits (RFC 9661 §1.2.1).

Everything in it is read off what runs: the table of extensions and the limits of the language.
"""

from functools import cache
from importlib import metadata
from typing import Any, Final

from minijmap.jmap.session import Access, Capability
from minijmap.sieve.limits import LIMITS
from minijmap.sieve.lists import SCHEMES

SIEVE: Final = "urn:ietf:params:jmap:sieve"
LONGEST_NAME: Final = 512
"""Octets of a script's name: what ManageSieve asks for (RFC 5804 §1.6)."""
MOST_SCRIPTS: Final = 100
NOTIFICATION_METHODS: Final = ("mailto",)


def sieve_capability() -> Capability:
    """Return the capability."""
    return Capability(SIEVE, {"implementation": f"minijmap {metadata.version('minijmap')}"}, _of_account)


def _of_account(_: Access) -> dict[str, Any]:
    return _limits_and_extensions()


@cache
def _limits_and_extensions() -> dict[str, Any]:
    # With the first Session, not with the server: the table of extensions is the whole language.
    from minijmap.sieve.registry import EXTENSIONS

    return {
        "maxSizeScriptName": LONGEST_NAME,
        "maxSizeScript": LIMITS.script_size,
        "maxNumberScripts": MOST_SCRIPTS,
        "maxNumberRedirects": LIMITS.redirects,
        "sieveExtensions": list(EXTENSIONS),
        "notificationMethods": list(NOTIFICATION_METHODS) if "enotify" in EXTENSIONS else None,
        "externalLists": list(SCHEMES) if "extlists" in EXTENSIONS else None,
    }
