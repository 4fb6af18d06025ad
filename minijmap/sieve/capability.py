"""The capability of Sieve: what the implementation is, what it can do, and its limits (RFC 9661 §1.2.1).

The limits are read off those of the language. The names of the extensions are written down, and a test holds them
against the table: to read them off it would load the whole language with the first Session, 1.5 MB and 40 ms.
"""

from typing import Final

from minijmap import __version__
from minijmap.jmap.session import Capability
from minijmap.sieve.limits import LIMITS
from minijmap.sieve.lists import SCHEMES

SIEVE: Final = "urn:ietf:params:jmap:sieve"
LONGEST_NAME: Final = 512
"""Octets of a script's name: what ManageSieve asks for (RFC 5804 §1.6)."""
MOST_SCRIPTS: Final = 100
NOTIFICATION_METHODS: Final = ("mailto",)
EXTENSIONS: Final = (
    "body",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;octet",
    "comparator-i;unicode-casemap",
    "copy",
    "date",
    "duplicate",
    "editheader",
    "enclose",
    "encoded-character",
    "enotify",
    "envelope",
    "envelope-dsn",
    "environment",
    "ereject",
    "extlists",
    "extracttext",
    "fcc",
    "fileinto",
    "foreverypart",
    "ihave",
    "imap4flags",
    "include",
    "index",
    "mailbox",
    "mailboxid",
    "mboxmetadata",
    "mime",
    "regex",
    "reject",
    "relational",
    "replace",
    "servermetadata",
    "spamtest",
    "spamtestplus",
    "special-use",
    "subaddress",
    "vacation",
    "vacation-seconds",
    "variables",
    "virustest",
)
"""What a script may require: `registry.EXTENSIONS`."""


def sieve_capability() -> Capability:
    """Return the capability."""
    account = {
        "maxSizeScriptName": LONGEST_NAME,
        "maxSizeScript": LIMITS.script_size,
        "maxNumberScripts": MOST_SCRIPTS,
        "maxNumberRedirects": LIMITS.redirects,
        "sieveExtensions": list(EXTENSIONS),
        "notificationMethods": list(NOTIFICATION_METHODS),
        "externalLists": list(SCHEMES),
    }
    return Capability(SIEVE, {"implementation": f"minijmap {__version__}"}, lambda _: account)
