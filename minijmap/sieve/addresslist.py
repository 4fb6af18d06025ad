"""Addresses that a script writes down: those of :from (RFC 5230 §4.3, RFC 5435 §3.3, RFC 5703 §5) and of mailto URIs.

Owns the check that they are ones mail can be sent from or to. Whose they are, it does not know.
"""

import re
from typing import Final

from minijmap.mail.addresses import as_addresses
from minijmap.mail.addressing import is_mailbox
from minijmap.sieve.state import Run
from minijmap.sieve.strings import Text
from minijmap.sieve.table import Call

_LINE: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,10000}")


def is_mailbox_list(text: str) -> bool:
    """Say whether a text is a mailbox-list of RFC 5322 §3.4, on one line."""
    if not _LINE.fullmatch(text):
        return False
    addresses = as_addresses(text)
    return bool(addresses) and all(is_mailbox(address["email"]) for address in addresses)


def check_sender(call: Call, name: str) -> Text | None:
    """The tag's value, if it is given; raises ScriptError when it is constant and no mailbox-list."""
    sender = call.maybe_text(name)
    if sender is not None and sender.constant is not None and not is_mailbox_list(sender.constant):
        raise call.error(f"“{sender.constant[:80]}” is no address to send from", sender.position)
    return sender


def sender_of(run: Run, sender: Text | None) -> str | None:
    """The value that check_sender gave, now; raises RunError when it is no mailbox-list."""
    if sender is None:
        return None
    text = sender.of(run)
    if not is_mailbox_list(text):
        raise run.error(f"“{text[:80]}” is no address to send from")
    return text
