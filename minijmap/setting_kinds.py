"""The kinds of value that a setting may have: what is expected, and how TOML's value or plain text is read.

A kind is one object, shared by every setting of its kind; an error's sentence is built from its `expected`. This module
must not know any setting by name, nor file or environment: minijmap.config does.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from types import MappingProxyType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

MAX_ITEMS = 1000
LONGEST_SECONDS = 30 * 24 * 3600


class Address(NamedTuple):
    """Where a listener listens: a host name or IP address (IPv6 without brackets) and a port, 0 for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``HOST:PORT`` or ``[IPV6]:PORT``. Raises ValueError for anything else."""
        found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):([0-9]{1,5})", text)
        if found is None or int(found[3]) > 65535:
            raise ValueError(text)
        host = str(IPv6Address(found[1])) if found[1] else host_name(found[2])
        return cls(host, int(found[3]))


class Relay(NamedTuple):
    """The server that all mail for elsewhere is handed to. `user` is empty without credentials."""

    host: str
    port: int
    user: str
    password: str
    implicit: bool
    """TLS begins with the connection: `smtps`."""


class UnfitError(ValueError):
    """A value that its kind doesn't take: all of it, one item of a list, or the entry ``key`` of a table."""

    def __init__(self, value: object, key: str | None = None) -> None:
        super().__init__(value)
        self.value = value
        self.key = key


@dataclass(frozen=True)
class Kind:
    """A kind of value: what is expected (it completes "must be …"), and its two readers.

    ``read`` takes TOML's value and raises ValueError or TypeError for one it doesn't take; ``from_text`` makes TOML's
    value of plain text (from the environment or a flag) and never fails: what it can't read it hands on as it is.
    """

    expected: str
    read: Callable[[Any], object]
    from_text: Callable[[str], object] = str.strip


# Kinds of value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def host_name(value: object) -> str:
    """Take a host name or an IPv4 address, at most 253 characters. Raises ValueError or TypeError."""
    text = _text(value)
    label = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
    if len(text) > 253 or not re.fullmatch(rf"{label}(?:\.{label})*", text):
        raise UnfitError(value)
    return text


def _listener(value: object) -> Address | None:
    text = _text(value)
    return Address.parse(text) if text else None


def _public_url(value: object) -> str | None:
    text = _text(value)
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"[?#@\s\\]", text):
        raise UnfitError(value)
    # Reading the port checks it.
    _ = parts.port
    return text.rstrip("/")


def _relay(value: object) -> Relay | None:
    text = _text(value).strip()
    if not text:
        return None
    # What an error shows must not be a password.
    shown = re.sub(r"//[^@]*@", "//…@", text)
    found = re.fullmatch(
        r"(smtps?)://(?:([^:@/?#\s]+):([^:@/?#\s]*)@)?(?:\[([0-9A-Fa-f:.]+)\]|([^:@/?#\[\]\s]+))(?::([0-9]{1,5}))?/?",
        text,
        re.IGNORECASE,
    )
    if found is None or not 0 < int(found[6] or 1) <= 65535:
        raise UnfitError(shown)
    scheme = found[1].lower()
    try:
        host = str(IPv6Address(found[4])) if found[4] else host_name(found[5])
        user, password = (unquote(part or "", errors="strict") for part in (found[2], found[3]))
    except ValueError:
        raise UnfitError(shown) from None
    if not (user + password).isprintable():
        raise UnfitError(shown)
    port = int(found[6]) if found[6] else {"smtp": 587, "smtps": 465}[scheme]
    return Relay(host, port, user, password, scheme == "smtps")


def _one_of(*words: str) -> Kind:
    def read(value: object) -> str:
        text = _text(value)
        if text not in words:
            raise UnfitError(value)
        return text

    return Kind(f"one of {', '.join(words[:-1])} and {words[-1]}", read)


def _number(least: int, most: int, what: str) -> Kind:
    number = _integer(least, most)
    return Kind(f"{what} from {least} to {most}", number.read, number.from_text)


def _seconds_list(value: object) -> tuple[int, ...]:
    one = _integer(1, LONGEST_SECONDS)
    found = tuple(int(str(item)) for item in _list_of(one.read)(value))
    if not found:
        raise UnfitError(value)
    return found


def _seconds_text(text: str) -> object:
    items = re.split(r"[,\s]+", text.strip().strip("[]").strip())
    return [int(item) for item in items] if all(re.fullmatch("[0-9]{1,9}", item) for item in items) else text


def _selector(value: object) -> str:
    text = _text(value)
    # RFC 6376 §3.1: sub-domains; a rotation adds a number and an algorithm.
    if len(text) > 40 or "_" in text:
        raise UnfitError(value)
    return host_name(text).lower()


def _name_server(value: object) -> Address | None:
    text = _text(value)
    if not text:
        return None
    address = Address.parse(text)
    if address.port == 0:
        raise UnfitError(value)
    return address


def _file(value: object) -> str | None:
    text = _text(value)
    if "\0" in text:
        raise UnfitError(value)
    return text or None


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise UnfitError(value)
    return value


def _boolean_text(text: str) -> object:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    return words.get(text.strip().lower(), text)


def _integer(least: int, most: int) -> Kind:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise UnfitError(value)
        return value

    def from_text(text: str) -> object:
        digits = text.strip().replace("_", "")
        return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else text

    return Kind(f"a number of bytes from {least} to {most}", read, from_text)


def _list_of(item: Callable[[object], object]) -> Callable[[object], tuple[object, ...]]:
    def read(value: object) -> tuple[object, ...]:
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise UnfitError(value)
        return tuple(_item(item, one) for one in value)

    return read


def _item(read: Callable[[object], object], value: object, key: str | None = None) -> object:
    try:
        return read(value)
    except (ValueError, TypeError) as error:
        raise UnfitError(value, key) from error


def _list_text(text: str) -> object:
    return [item for item in re.split(r"[,\s]+", text) if item]


def _origin(value: object) -> str:
    text = _text(value).lower()
    if text != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@\s\\*]+", text):
        raise UnfitError(value)
    return text


def _network(value: object) -> IPv4Network | IPv6Network:
    return ip_network(_text(value), strict=False)


_LOCAL = r"[^\s@\"(),:;<>\[\\\]]{1,64}"


def _mail_address(value: object) -> str:
    text = _text(value).lower()
    local, at, domain = text.rpartition("@")
    if not at or not re.fullmatch(_LOCAL, local) or local == "*":
        raise UnfitError(value)
    # A domain may be in any script (RFC 6531 §3.3); a label's length is counted as the DNS counts it.
    host_name(domain.encode("idna").decode())
    return text


def _alias(value: object) -> str:
    text = _text(value).lower()
    _mail_address("any" + text[1:] if text.startswith("*@") else text)
    return text


def _aliases(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_ITEMS:
        raise UnfitError(value)
    aliases: dict[str, str] = {}
    for alias, target in value.items():
        name = str(_item(_alias, alias, alias))
        if name in aliases:
            raise UnfitError(alias, alias)
        aliases[name] = str(_item(_mail_address, target, alias))
    return MappingProxyType(aliases)


def _aliases_text(text: str) -> object:
    pairs = [item.split("=", 1) for item in re.split(r"[,\s]+", text) if item]
    return {pair[0]: pair[1] for pair in pairs} if all(len(pair) == 2 for pair in pairs) else text


PUBLIC_URL = Kind("an http or https URL without query, such as https://mail.example.com, or empty", _public_url)
LISTENER = Kind("HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, or empty for none", _listener)
RELAY = Kind("smtp://[USER:PASSWORD@]HOST:PORT or smtps://… (USER and PASSWORD percent-encoded), or empty", _relay)
HOST_NAME = Kind("a host name, such as mail.example.com", host_name)
BOOLEAN = Kind("true or false", _boolean, _boolean_text)
ORIGINS = Kind('a list of origins, such as "https://mail.example.com", or "*" for any', _list_of(_origin), _list_text)
NETWORKS = Kind(
    'a list of IP addresses or networks, such as "127.0.0.1" or "10.0.0.0/8"', _list_of(_network), _list_text
)
QUOTA = _integer(0, 2**53 - 1)
MESSAGE_SIZE = _integer(65_536, 1_000_000_000)  # RFC 5321 §4.5.3.1.7: no smaller; a value in SQLite can't be larger.
ALIASES = Kind(
    'a table of distinct addresses, "sales@example.com" or "*@example.com", to addresses', _aliases, _aliases_text
)
RELAY_TLS = _one_of("required", "opportunistic", "none")
PORT = _number(1, 65535, "a port")
SECONDS = _number(0, LONGEST_SECONDS, "a number of seconds")
SECONDS_LIST = Kind(f"a list of seconds from 1 to {LONGEST_SECONDS}", _seconds_list, _seconds_text)
SELECTOR = Kind("a DKIM selector: letters, digits and hyphens, at most 40", _selector)
POLICY = _one_of("off", "report", "junk", "reject")
NAME_SERVER = Kind("HOST:PORT of a name server, such as 192.0.2.53:53, or empty for the system's", _name_server)
FILE = Kind("the path of a file, or empty for none", _file)
