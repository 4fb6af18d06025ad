"""AUTH: signing in over SMTP (RFC 4954), by the mechanisms PLAIN (RFC 4616) and LOGIN.

Owns the exchange: challenges, base64, its limits. Whether the credentials are right is the `Doorkeeper`'s. What a
client says in here is in no reply and in no log.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from minijmap.smtp.grammar import Refused

if TYPE_CHECKING:
    from minijmap.smtp.conversation import Conversation

LONGEST_LINE = 12_288  # RFC 4954 §4
CANCEL = b"*"


class Credentials(NamedTuple):
    """Who somebody says they are, and the password."""

    name: str
    password: str


async def plain(conversation: "Conversation", initial: str | None) -> Credentials:
    """Carry out PLAIN: one message with three parts (RFC 4616 §2). Raises Refused."""
    octets = await _message(conversation, initial, "")
    parts = _text(octets).split("\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise Refused("501 5.5.2 A PLAIN message has three parts: nothing, the address, the password")
    acting_for, name, password = parts
    # RFC 4616 §2: it is the server's to decide who may act for whom. Here everybody acts for themselves.
    if acting_for and acting_for.strip().lower() != name.strip().lower():
        raise Refused("535 5.7.8 Nobody may act for somebody else here")
    return Credentials(name, password)


async def login(conversation: "Conversation", initial: str | None) -> Credentials:
    """Carry out LOGIN: the address, then the password. No specification has it, every mail program does it."""
    name = await _message(conversation, initial, "Username:")
    password = await _message(conversation, None, "Password:")
    if not name or not password:
        raise Refused("501 5.5.2 LOGIN takes an address and a password")
    return Credentials(_text(name), _text(password))


MECHANISMS: dict[str, Callable[["Conversation", str | None], Awaitable[Credentials]]] = {"PLAIN": plain, "LOGIN": login}


async def credentials(conversation: "Conversation", argument: str) -> Credentials:
    """Carry out the exchange that an AUTH command begins. Raises Refused."""
    name, _, initial = argument.partition(" ")
    mechanism = MECHANISMS.get(name.upper())
    if not name:
        raise Refused("501 5.5.4 Syntax: AUTH mechanism")
    if mechanism is None:
        raise Refused(f"504 5.5.4 The mechanisms are {' and '.join(MECHANISMS)}")
    return await mechanism(conversation, initial.strip(" ") or None)


async def _message(conversation: "Conversation", initial: str | None, challenge: str) -> bytes:
    """Return what the client answers to a challenge, or has said at once (RFC 4954 §4)."""
    if initial is None:
        line = await conversation.ask(base64.b64encode(challenge.encode()).decode(), LONGEST_LINE)
        if line == CANCEL:
            raise Refused("501 5.7.0 Authentication is canceled")
    else:
        line = b"" if initial == "=" else initial.encode()
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("501 5.5.2 This is not base64") from None


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")  # older programs, as by HTTP
