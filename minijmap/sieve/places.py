"""Mailboxes as scripts name them, and flags as keywords (RFC 5228 §4.1, RFC 5232, RFC 5490, RFC 8579, RFC 9042).

A name is the path from the top, its parts joined by “/”: `Work/Reports`. `INBOX`, in any case, is the Inbox. Owns that
reading, and how a missing Mailbox is made. Must not know what a script does.
"""

import unicodedata
from collections.abc import Iterable
from typing import Final

from minijmap.mail import counts, mailbox
from minijmap.mail.capability import DEEPEST_MAILBOX, LONGEST_MAILBOX_NAME, MOST_KEYWORDS_PER_EMAIL
from minijmap.mail.keywords import SYNTAX
from minijmap.mail.mailbox import MOST_MAILBOXES, ROLES
from minijmap.store.database import Reader, Transaction
from minijmap.store.usage import OverQuota

INBOX: Final = "INBOX"
SEPARATOR: Final = "/"
NEW_SORT_ORDER: Final = 10
_SYSTEM: Final = {"\\seen": "$seen", "\\answered": "$answered", "\\flagged": "$flagged", "\\draft": "$draft"}
"""RFC 8621 §4.1.1; the flags Deleted and Recent have no keyword."""


def find(reader: Reader, account: int, name: str) -> int | None:
    """Return the key of the Mailbox with a path, or None. A name that has “/” in it is found too."""
    return _below(reader, account, None, _parts(name))


def _parts(name: str) -> list[str]:
    parts = [part for part in unicodedata.normalize("NFC", name).split(SEPARATOR) if part]
    return parts[: 2 * DEEPEST_MAILBOX]


def _below(reader: Reader, account: int, parent: int | None, parts: list[str]) -> int | None:
    if not parts:
        return parent
    for length in range(1, len(parts) + 1):
        here = _child(reader, account, parent, SEPARATOR.join(parts[:length]))
        found = None if here is None else _below(reader, account, here, parts[length:])
        if found is not None:
            return found
    return None


def _child(reader: Reader, account: int, parent: int | None, name: str) -> int | None:
    if parent is None and name.upper() == INBOX:
        return counts.mailbox_with_role(reader, account, "inbox")
    return mailbox.find_child(reader, account, name, parent)


def with_id(reader: Reader, account: int, mailbox_id: str) -> int | None:
    """Return the key of the Mailbox with a JMAP id (RFC 9042 §4), or None."""
    digits = mailbox_id[1:]
    if mailbox_id[:1] != "m" or not digits.isdecimal() or not digits.isascii() or len(digits) > 18:
        return None
    key = reader.value("SELECT key FROM mailbox WHERE key = ? AND account = ?", (int(digits), account))
    return None if key is None or f"m{key}" != mailbox_id else int(key)


def with_use(reader: Reader, account: int, use: str) -> int | None:
    """Return the key of the Mailbox with a special use, as IMAP writes it (RFC 8579 §3), or None."""
    role = _role(use)
    return None if role is None else counts.mailbox_with_role(reader, account, role)


def use_of(reader: Reader, key: int) -> str | None:
    """Return the special use of a Mailbox as IMAP writes it (RFC 6154 §2), or None."""
    role = reader.value("SELECT role FROM mailbox WHERE key = ?", (key,))
    return f"\\{role.capitalize()}" if role and role != "inbox" else None


def _role(use: str) -> str | None:
    role = use.removeprefix("\\").lower()
    return role if use.startswith("\\") and role in ROLES else None


def create(tx: Transaction, account: int, name: str, use: str | None = None) -> int | None:
    """Return the key of the Mailbox with a path, made now as far as it is missing; None when it can't be.

    It gets the special use, if that is given and no Mailbox has it (RFC 8579 §4.1).
    """
    found = find(tx, account, name)
    if found is not None:
        return found
    parts = _parts(name)
    if not parts or len(parts) > DEEPEST_MAILBOX or not all(_is_name(part) for part in parts):
        return None
    parent: int | None = None
    try:
        with tx.savepoint():
            for number, part in enumerate(parts, 1):
                there = _child(tx, account, parent, part)
                role = _role(use) if use and number == len(parts) else None
                parent = _make(tx, account, part, role, parent) if there is None else there
    except OverQuota:
        return None
    return parent


def _make(tx: Transaction, account: int, name: str, role: str | None, parent: int | None) -> int:
    if role is not None and counts.mailbox_with_role(tx, account, role) is not None:
        role = None
    count = tx.value("SELECT count(*) FROM mailbox WHERE account = ?", (account,))
    if count >= MOST_MAILBOXES:
        raise OverQuota(f"An account may have {MOST_MAILBOXES} mailboxes.")
    return mailbox.add_mailbox(tx, account, name, role, NEW_SORT_ORDER, parent)


def _is_name(part: str) -> bool:
    """Say whether a Mailbox may have a name (RFC 8621 §2)."""
    if len(part.encode("utf-8", "surrogatepass")) > LONGEST_MAILBOX_NAME:
        return False
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in part)


def keywords(flags: Iterable[str]) -> list[str]:
    """Return the keywords that IMAP flags stand for, each once; those that JMAP has no word for are left out."""
    found: dict[str, None] = {}
    for flag in flags:
        keyword = _SYSTEM.get(flag.lower()) if flag.startswith("\\") else flag.lower()
        if keyword is not None and SYNTAX.match(keyword):
            found[keyword] = None
    return list(found)[:MOST_KEYWORDS_PER_EMAIL]
