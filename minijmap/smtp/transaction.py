"""One message handed to one server: MAIL, RCPT, DATA, and what may be said in them (RFC 5321 §3.3, §4.1.1).

Owns what a message needs of a server (8BITMIME, SMTPUTF8, SIZE, REQUIRETLS: RFC 6152, 6531, 1870, 8689) and which of an
envelope's parameters are passed on (RFC 3461 §4, §5.2.2). Must not know the queue: the caller is asked before the first
octet that can't be taken back.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minijmap.mail.queue import Recipient
from minijmap.smtp.client import Client, Lost, Reply
from minijmap.smtp.peer import Session
from minijmap.smtp.route import NoRoute, a_labels

MOST_RECIPIENTS = 100
"""Recipients of one transaction: RFC 5321 §4.5.3.1.8 lets a server refuse more."""
MOST_ENVID = 100  # RFC 3461 §4.4
_VALUE = re.compile(r"[\x21-\x3c\x3e-\x7e]{1,512}")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}", re.IGNORECASE)
_ORCPT = re.compile(r"([A-Za-z0-9-]{1,30});(.{1,500})")
_HERE = frozenset(("SIZE", "BODY", "SMTPUTF8", "REQUIRETLS", "HOLDFOR", "HOLDUNTIL", "AUTH", "RET", "ENVID"))
"""Parameters of MAIL that are ours to say, or that concern nobody but us."""
_OFFERED_AS = {"BY": "DELIVERBY"}
"""Parameters whose extension has another name (RFC 2852 §3)."""


@dataclass(frozen=True)
class Letter:
    """A message as it leaves, and its envelope."""

    octets: bytes
    signature: bytes
    """What they begin with: the header fields that were put before the message."""
    sender: str
    parameters: Mapping[str, Any]
    """Of MAIL, their names in upper case."""
    envid: str
    message_id: str
    is_eight_bit: bool
    has_utf8_header: bool

    @property
    def requires_tls(self) -> bool:
        """Say whether it may only go where it is protected all the way (RFC 8689 §2)."""
        return "REQUIRETLS" in self.parameters


class Lacking(Exception):
    """The server lacks what the message, or one recipient, needs."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.reply = Reply.made(code, text)


def hand_over(
    session: Session, letter: Letter, recipients: Sequence[Recipient], begin: Callable[[list[Recipient]], bool]
) -> dict[int, Reply]:
    """Hand a message to a server, in one transaction; return the reply for each recipient's key.

    `begin` is called before what can't be taken back, which is the dot that ends the message, with those who are about
    to get it; if it says no, nobody gets it and they have no reply. Nor has a recipient that was too many for this
    transaction. Raises Lost when the connection breaks before `begin`.
    """
    client = session.client
    utf8 = any(not one.address.isascii() for one in recipients)
    try:
        mail = mail_command(letter, client.extensions, verified=session.verified, utf8=utf8)
    except Lacking as lacking:
        return {one.key: lacking.reply for one in recipients}
    replies: dict[int, Reply] = {}
    asked: list[tuple[Recipient, str]] = []
    for one in recipients:
        try:
            asked.append((one, rcpt_command(one, client.extensions)))
        except Lacking as lacking:
            replies[one.key] = lacking.reply
    if not asked:
        return replies
    first, *rest = client.commands([mail, *(command for _, command in asked)])
    if first.kind != 2:
        _reset(client)
        return replies | {one.key: _refusal(first) for one, _ in asked}
    answers = [(one, _too_many(reply)) for (one, _), reply in zip(asked, rest, strict=True)]
    accepted = [(one, reply) for one, reply in answers if reply.kind == 2]
    # RFC 5321 §4.5.3.1.10: those that were too many get a transaction of their own, if anybody gets this one.
    replies |= {
        one.key: _refusal(reply) for one, reply in answers if reply.kind != 2 and not (accepted and reply.code == 452)
    }
    if not accepted:
        _reset(client)
        return replies
    reply = client.command("DATA", client.timeouts.data)
    if reply.kind != 3:
        _reset(client)
        return replies | {one.key: _refusal(reply) for one, _ in accepted}
    client.message(letter.octets)
    if not begin([one for one, _ in accepted]):
        client.close()
        return replies
    end = _end(client)
    session.used = True
    # RFC 8621 §7 wants RCPT's reply, unless the message as a whole was refused.
    return replies | {one.key: reply if end.kind == 2 else end for one, reply in accepted}


def _end(client: Client) -> Reply:
    """End the message; return what was said to that, whatever happens."""
    try:
        return _refusal(client.end())
    except Lost as error:
        client.close()
        return Reply.made(451, f"4.4.2 {error}, before it said whether it has the message")


def _reset(client: Client) -> None:
    """Take back what was said; a server that is gone has forgotten it anyway."""
    try:
        client.command("RSET")
    except Lost:
        client.close()


def _refusal(reply: Reply) -> Reply:
    """Return a reply that is a yes or a no: what is neither means that the server is confused."""
    return reply if reply.kind in (2, 4, 5) else Reply.made(451, f"4.5.0 Unexpected: {reply.text}")


def _too_many(reply: Reply) -> Reply:
    """RFC 5321 §4.5.3.1.10: 552 after RCPT was once said for too many recipients, and is to be taken as 452."""
    return Reply(452, reply.lines) if reply.code == 552 else reply


# What is said (RFC 5321 §4.1.2)


def mail_command(letter: Letter, extensions: Mapping[str, str], *, verified: bool, utf8: bool = False) -> str:
    """Return the MAIL command; `utf8`: a recipient needs SMTPUTF8 if it can be had. Raises Lacking."""
    size = len(letter.octets)
    limit = extensions.get("SIZE", "").strip()
    if limit.isdecimal() and 0 < int(limit) < size:
        raise Lacking(552, f"5.3.4 The message has {size} octets, and the server takes {limit}")
    words = [f"MAIL FROM:<{_address(letter.sender, extensions)}>"]
    if "SIZE" in extensions:
        words.append(f"SIZE={size}")
    if letter.is_eight_bit:
        if "8BITMIME" not in extensions:
            raise Lacking(554, "5.6.3 The message has octets beyond ASCII, and the server can't take them (8BITMIME)")
        words.append("BODY=8BITMIME")
    if letter.has_utf8_header and "SMTPUTF8" not in extensions:
        raise Lacking(550, "5.6.7 The message has header fields beyond ASCII, and the server can't take them")
    utf8 = utf8 or letter.has_utf8_header or "SMTPUTF8" in letter.parameters or not letter.sender.isascii()
    if utf8 and "SMTPUTF8" in extensions:
        words.append("SMTPUTF8")
    if letter.requires_tls:
        if not verified or "REQUIRETLS" not in extensions:
            raise Lacking(550, "5.7.30 REQUIRETLS support required")
        words.append("REQUIRETLS")
    return " ".join((*words, *_dsn_of_mail(letter, extensions), *_others(letter.parameters, extensions)))


def _dsn_of_mail(letter: Letter, extensions: Mapping[str, str]) -> list[str]:
    if "DSN" not in extensions:  # RFC 3461 §5.2.2
        return []
    words = []
    ret = str(letter.parameters.get("RET") or "").upper()
    if ret in ("FULL", "HDRS"):
        words.append(f"RET={ret}")
    if letter.envid:
        words.append(f"ENVID={xtext(letter.envid, MOST_ENVID)}")
    return words


def _others(parameters: Mapping[str, Any], extensions: Mapping[str, str]) -> list[str]:
    """Return the parameters that nobody here knows, if the server does."""
    words = []
    for name, value in parameters.items():
        if name in _HERE:
            continue
        if _OFFERED_AS.get(name, name) not in extensions:
            if name == "BY" and ";R" not in str(value).upper():
                continue  # RFC 2852 §4.1.4.2: only a deadline that must be kept is a reason to return it
            if name == "MT-PRIORITY":  # RFC 6710 §4.3
                continue
            raise Lacking(555, f"5.5.4 The server does not know the parameter {name}")
        if value is not None and not _VALUE.fullmatch(str(value)):
            raise Lacking(501, f"5.5.4 The parameter {name} has a value that can't be sent")
        words.append(name if value is None else f"{name}={value}")
    return words


def rcpt_command(recipient: Recipient, extensions: Mapping[str, str]) -> str:
    """Return the RCPT command for a recipient. Raises Lacking."""
    words = [f"RCPT TO:<{_address(recipient.address, extensions)}>"]
    parameters = {name.upper(): value for name, value in recipient.parameters.items()}
    if "DSN" in extensions:
        notify = str(parameters.get("NOTIFY") or "").upper()
        if _NOTIFY.fullmatch(notify):
            words.append(f"NOTIFY={notify}")
        original = _ORCPT.fullmatch(str(parameters.get("ORCPT") or ""))
        if original:
            words.append(f"ORCPT={original[1]};{xtext(original[2])}")
    mine = {name: value for name, value in parameters.items() if name not in ("NOTIFY", "ORCPT")}
    return " ".join((*words, *_others(mine, extensions)))


def _address(address: str, extensions: Mapping[str, str]) -> str:
    """Return an address as this server can take it (RFC 6531 §3.2). Raises Lacking."""
    if address.isascii() or "SMTPUTF8" in extensions:
        return address
    local, _, domain = address.rpartition("@")
    if local.isascii():
        try:
            return f"{local}@{a_labels(domain)}"
        except NoRoute as error:
            raise Lacking(553, error.reply.lines[0]) from error
    raise Lacking(553, f"5.6.7 The server can't take the address {address}")


def xtext(text: str, most: int = 500) -> str:
    """Encode a value (RFC 3461 §4), as much of it as `most` characters hold."""
    encoded = ""
    for one in text.encode():
        character = chr(one) if 33 <= one <= 126 and one not in b"+=" else f"+{one:02X}"
        if len(encoded) + len(character) > most:
            break
        encoded += character
    return encoded
