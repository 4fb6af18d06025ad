"""What a MAIL or RCPT command says (RFC 5321 §4.1.2, RFC 1870 §6, RFC 6152 §2, RFC 6531 §3.3, §3.4).

Owns the grammar of paths and parameters, and the refusals that follow from it alone. Must not know whether an address
exists, nor in what state the session is. Every pattern takes time in proportion to the line's length.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from minijmap.mail.addressing import DOMAIN, MAILBOX
from minijmap.mail.addressing import MOST_ADDRESS as MOST_PATH

_ROUTE = rf"@{DOMAIN}(?:,@{DOMAIN})*:"
# A space after the colon is wrong (RFC 5321 §3.3) and harmless.
_PATH = re.compile(rf" *<(?:(?:{_ROUTE})?(?P<mailbox>{MAILBOX})|(?P<other>(?i:postmaster)|))>(?P<rest> .*)?")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")


class Refused(Exception):
    """A command is answered with this reply, and changes nothing.

    `is_offence`: whether it is held against the client; what a user's own filter refuses is not.
    """

    def __init__(self, reply: str, *, is_offence: bool = True) -> None:
        super().__init__(reply)
        self.reply = reply
        self.is_offence = is_offence


Check = Callable[[str | None], bool]
"""Says whether a parameter may have a value; None: the keyword stands alone."""
NO_MORE: Mapping[str, Check] = MappingProxyType({})


@dataclass(frozen=True)
class Mail:
    """A MAIL command: the reverse-path (empty: the null path), the declared size in octets (0: none), SMTPUTF8."""

    sender: str
    size: int
    utf8: bool
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    """Those beyond the three of every listener, the keywords in upper case."""


@dataclass(frozen=True)
class Recipient:
    """A RCPT command: the mailbox, and the parameters with their keywords in upper case."""

    address: str
    parameters: Mapping[str, str | None] = field(default_factory=dict)


def mail(argument: str, *, extended: bool, also: Mapping[str, Check] = NO_MORE) -> Mail:
    """Read what follows MAIL. `extended`: the client said EHLO; `also`: further parameters. Raises Refused."""
    if argument[:5].upper() != "FROM:":
        raise Refused("501 5.5.4 Syntax: MAIL FROM:<address>")
    sender, rest = _path(argument[5:], "501 5.1.7 Bad sender address syntax")
    if sender.lower() == "postmaster":
        raise Refused("501 5.1.7 A sender address needs a domain")
    parameters = _parameters(rest, extended=extended)
    size = parameters.pop("SIZE", "0")
    if size is None or not _SIZE.fullmatch(size):
        raise Refused("501 5.5.4 Syntax: SIZE=octets")
    body = parameters.pop("BODY", "7BIT")
    if body is None or body.upper() not in {"7BIT", "8BITMIME"}:
        raise Refused("501 5.5.4 BODY is 7BIT or 8BITMIME")
    utf8 = "SMTPUTF8" in parameters
    if parameters.pop("SMTPUTF8", None) is not None:
        raise Refused("501 5.5.4 SMTPUTF8 takes no value")
    _check_more(parameters, also)
    if not utf8 and not sender.isascii():
        raise Refused("550 5.6.7 A non-ASCII sender address needs SMTPUTF8")  # RFC 6531 §3.5
    return Mail(sender, int(size), utf8, parameters)


def recipient(argument: str, *, extended: bool, utf8: bool, also: Mapping[str, Check] = NO_MORE) -> Recipient:
    """Read what follows RCPT. `utf8`: the transaction began with SMTPUTF8. Raises Refused."""
    if argument[:3].upper() != "TO:":
        raise Refused("501 5.5.4 Syntax: RCPT TO:<address>")
    mailbox, rest = _path(argument[3:], "501 5.1.3 Bad recipient address syntax")
    if not mailbox:
        raise Refused("501 5.1.3 A recipient address can't be empty")
    parameters = _parameters(rest, extended=extended)
    _check_more(parameters, also)
    if not utf8 and not mailbox.isascii():
        raise Refused("553 5.6.7 A non-ASCII recipient address needs SMTPUTF8")  # RFC 6531 §3.5
    return Recipient(mailbox, parameters)


def _path(text: str, refusal: str) -> tuple[str, str]:
    """Return the mailbox in a path, without its source route, and what follows the path."""
    found = _PATH.fullmatch(text)
    if found is None:
        raise Refused(refusal)
    mailbox = found["mailbox"] or found["other"] or ""
    if len(mailbox.encode()) > MOST_PATH:
        raise Refused(f"{refusal}: more than {MOST_PATH} octets")
    return mailbox, (found["rest"] or "").strip(" ")


def _parameters(text: str, *, extended: bool) -> dict[str, str | None]:
    """Read `KEYWORD=value` and `KEYWORD` parameters, the keywords in upper case."""
    if text and not extended:
        raise Refused("501 5.5.4 Parameters need EHLO")
    parameters: dict[str, str | None] = {}
    for word in text.split():
        found = _PARAMETER.fullmatch(word)
        if found is None or found[1].upper() in parameters:
            raise Refused("501 5.5.4 Bad or repeated parameter")
        parameters[found[1].upper()] = found[2]
    return parameters


def _check_more(parameters: Mapping[str, str | None], known: Mapping[str, Check]) -> None:
    for name, value in parameters.items():
        # RFC 5321 §4.1.1.11
        if name not in known:
            raise Refused(f"555 5.5.4 Parameter {name[:40]} is not known here")
        if not known[name](value):
            raise Refused(f"501 5.5.4 Parameter {name} can't have this value")
