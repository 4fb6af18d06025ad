"""Parameters of those who sign in: DSN, FUTURERELEASE, AUTH, REQUIRETLS (RFC 3461, RFC 4865, RFC 4954 §5, RFC 8689).

Owns their grammar, and how they are written in an Envelope, where the encoding that SMTP needs is taken off (RFC 8621
§7). Must not know what they ask for, nor whether it can be done.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from minijmap.smtp.grammar import Check

MOST_ENVID: Final = 100
MOST_ORCPT: Final = 500
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX: Final = re.compile(r"\+([0-9A-F]{2})")
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_ORCPT: Final = re.compile(r"([A-Za-z0-9-]{1,40});(.+)")
_NOTIFY: Final = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}", re.IGNORECASE)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_INTERVAL: Final = re.compile(r"[0-9]{1,9}")


def _matching(pattern: re.Pattern[str]) -> Check:
    return lambda value: value is not None and pattern.fullmatch(value) is not None


def _ret(value: str | None) -> bool:
    return value is not None and value.upper() in {"FULL", "HDRS"}


def _envid(value: str | None) -> bool:
    return value is not None and len(value) <= MOST_ENVID and bool(plain_xtext(value))


def _orcpt(value: str | None) -> bool:
    return value is not None and len(value) <= MOST_ORCPT and _plain_orcpt(value) is not None


def _auth(value: str | None) -> bool:
    return value is not None and (value == "<>" or plain_xtext(value) is not None)


MAIL: Final[Mapping[str, Check]] = {
    "RET": _ret,
    "ENVID": _envid,
    "HOLDFOR": _matching(_INTERVAL),
    "HOLDUNTIL": _matching(_MOMENT),
    "AUTH": _auth,
    "REQUIRETLS": lambda value: value is None,
}
RCPT: Final[Mapping[str, Check]] = {"NOTIFY": _matching(_NOTIFY), "ORCPT": _orcpt}


def in_envelope(parameters: Mapping[str, str | None]) -> dict[str, Any] | None:
    """Return the parameters of an Address object for those of a command; null when there are none (RFC 8621 §7)."""
    kept: dict[str, Any] = {}
    for name, value in parameters.items():
        if name == "AUTH":
            continue  # RFC 4954 §5: who has signed in is known, and nobody else is believed
        if name == "ENVID":
            value = plain_xtext(value or "")  # noqa: PLW2901 - the same value, as it is written elsewhere
        elif name == "ORCPT":
            value = _plain_orcpt(value or "")  # noqa: PLW2901
        elif name in {"RET", "NOTIFY"}:
            value = (value or "").upper()  # noqa: PLW2901
        kept[name] = value
    return kept or None


def plain_xtext(text: str) -> str | None:
    """Return what xtext stands for, printable ASCII, or None when it is not that (RFC 3461 §4)."""
    if not _XTEXT.fullmatch(text):
        return None
    plain = _HEX.sub(lambda found: chr(int(found[1], 16)), text)
    return plain if plain.isascii() and plain.isprintable() else None


def _plain_orcpt(text: str) -> str | None:
    """Return an original recipient with its type, or None (RFC 3461 §4.2, RFC 6533 §3)."""
    found = _ORCPT.fullmatch(text)
    if found is None:
        return None
    kind, address = found.groups()
    if kind.lower() != "utf-8":
        plain = plain_xtext(address)
    else:
        plain = _EMBEDDED.sub(_character, address)
        plain = plain if plain.isprintable() else None
    return f"{kind};{plain}" if plain else None


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    # A surrogate is no character, and what is no character is not printable.
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else "\0"
