"""Addresses: what one looks like (RFC 5321 §4.1.2, RFC 6531 §3.3), and which of them somebody may send from.

Owns the grammar of a Mailbox and the rules of RFC 8621 §9.6. Whose an address is, it asks the `Addresses` it is given:
users and aliases are not its business, nor are header fields.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

from minijmap.store.accounts import User
from minijmap.store.database import Reader

MOST_ADDRESS: Final = 512
"""Octets of an address: twice what RFC 5321 §4.5.3.1.3 asks for, and still less than a header line may hold."""

# RFC 6531 §3.3 allows all beyond ASCII; what some programs take for a control or a line end is refused. Sets are said
# by what is not in them: one with all of Unicode in it takes `re` 3 ms to compile.
_NEITHER: Final = r"\x7f-\xa0\u2028\u2029"
# Dots anywhere: some providers have handed out addresses with two in a row or one at the end.
_ATOMS: Final = rf"[^\x00-\x20\"(),:;<>@\[\\\]{_NEITHER}]+"
_QUOTED: Final = rf"\"(?:[^\x00-\x1f\"\\{_NEITHER}]|\\[\x20-\x7e])*\""
_LABEL: Final = rf"(?!-)[^\x00-,./:-@\[-`{{-~{_NEITHER}]+(?<!-)"
DOMAIN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[\x21-\x5a\x5e-\x7e]+\])"
MAILBOX: Final = rf"(?:{_ATOMS}|{_QUOTED})@{DOMAIN}"
"""The pattern of a Mailbox (RFC 5321 §4.1.2). It takes time in proportion to the text's length."""
_MAILBOX: Final = re.compile(MAILBOX)
ANY: Final = "*@"
"""How the `email` of an Identity for every address of a domain begins (RFC 8621 §6)."""


def is_mailbox(text: str) -> bool:
    """Say whether a text is an address that mail can be sent to or from."""
    try:
        return len(text.encode()) <= MOST_ADDRESS and _MAILBOX.fullmatch(text) is not None
    except UnicodeEncodeError:
        return False


class Addresses(Protocol):
    """Whose an address is."""

    def find(self, reader: Reader, address: str) -> User | None:
        """Return the user whose mailbox an address is (`*@domain`: who gets what nobody else has), or None."""

    def forms(self, address: str) -> Sequence[str]:
        """Return an address in the form that addresses are compared in, then what it is without its `+tag`."""


class Senders:
    """Who may send from which address."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses

    def may_use(self, reader: Reader, account: int, address: str) -> bool:
        """Say whether an address is an account's own: its user's, an alias or a catch-all of theirs."""
        if not is_mailbox(address):
            return False
        user = self._addresses.find(reader, address)
        return user is not None and user.account == account

    def allows(self, identity_email: str, address: str) -> bool:
        """Say whether an Identity is for an address: for that very one, but for a tag, or its domain (RFC 8621 §6)."""
        if not is_mailbox(address):
            return False
        forms, own = self._addresses.forms(address), self._addresses.forms(identity_email)[0]
        if own.startswith(ANY):
            return forms[0].rpartition("@")[2] == own.removeprefix(ANY)
        return own in forms
