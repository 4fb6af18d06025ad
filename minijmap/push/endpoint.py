"""Where pushes go: the URL that a client gives, and which addresses may be behind it (RFC 8620 §8.6).

A URL that is plainly private is refused when it is given; what its name resolves to is looked at each time, just before
the connection that goes to exactly that address. Networks are listed here, not asked of `ipaddress`: what that calls
global changes with Python's version, and hides IPv4 addresses in IPv6 ones. Must not know what is sent.
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

MOST_URL = 4096
MOST_ADDRESSES = 4
"""Addresses of one host that are tried."""
LookUp = Callable[[str], list[str]]
"""Returns the addresses of a host by the DNS. Raises OSError when there is no answer. Blocks."""

# The special-purpose registries of IANA, multicast, and what is not yet given to anybody; 6to4 and Teredo hide IPv4.
_PRIVATE_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_PRIVATE_IPV6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052 §2.1: how a network without IPv4 reaches it; the last 32 bits are the address that is meant."""
_PRIVATE_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa", "onion")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_CHARACTERS = re.compile(r"[\x21-\x7e]+")


class Unfit(ValueError):
    """A URL that is not taken. The text completes “The url …”."""


class Unreachable(OSError):
    """A host that has no address to connect to, or none that is allowed."""


@dataclass(frozen=True)
class Endpoint:
    """A URL, taken apart."""

    secure: bool
    host: str
    """A name in lower case without its last dot, or an IP address."""
    port: int
    target: str
    """Path and query."""

    @property
    def origin(self) -> str:
        """Return the origin (RFC 6454 §6.1): the audience of a token."""
        scheme, usual = ("https", 443) if self.secure else ("http", 80)
        return f"{scheme}://{self.authority}" + ("" if self.port == usual else f":{self.port}")

    @property
    def authority(self) -> str:
        """Return the host as URLs have it."""
        return f"[{self.host}]" if ":" in self.host else self.host


def parse(url: str, *, private: bool) -> Endpoint:
    """Take a client's URL apart. `private` allows http, and any host. Raises Unfit."""
    if len(url) > MOST_URL or not _CHARACTERS.fullmatch(url) or "\\" in url:
        raise Unfit(f"must have at most {MOST_URL} characters, all of them ASCII, without spaces or “\\”.")
    scheme = url.partition(":")[0].lower()
    if scheme != "https" and not (private and scheme == "http"):
        raise Unfit("must begin with “https://”.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Unfit("is not a URL.") from None
    if not parts.netloc or parts.username is not None or parts.password is not None or port == 0:
        raise Unfit("must have a host, may have a port, and no user name.")
    host = _host(host)
    if not private:
        _refuse_private(host)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    secure = scheme == "https"
    return Endpoint(secure, host, port or (443 if secure else 80), target)


def _host(host: str) -> str:
    """Return a host in normal form. Raises Unfit for what is neither an address nor a name."""
    try:
        address = ip_address(host)
    except ValueError:
        name = host.lower().removesuffix(".")
        last = name.rpartition(".")[2]
        # 127.1, 0x7f000001, 0177.0.0.1: to some programs these are addresses. They are no names either.
        if not _NAME.fullmatch(name) or len(name) > 253 or last.isdecimal() or last.startswith("0x"):
            raise Unfit("must have a host name, or an IP address in its usual form.") from None
        return name
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise Unfit("must not have an IPv6 zone.")
    return str(address)


def _refuse_private(host: str) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        if "." not in host or any(host.endswith("." + name) for name in _PRIVATE_NAMES):
            raise Unfit("must have a host that the whole internet knows.") from None
        return
    if not is_public(address):
        raise Unfit("must not have an address of a private network.")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Say whether an address is one of the public internet, and of one host."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        return address in _GLOBAL_IPV6 and not any(address in network for network in _PRIVATE_IPV6)
    return not any(address in network for network in _PRIVATE_IPV4)


def addresses(endpoint: Endpoint, look_up: LookUp, *, private: bool) -> list[str]:
    """Return the addresses to connect to, at most a few. Raises OSError when there is none that is allowed. Blocks."""
    try:
        found = [str(ip_address(endpoint.host))]
    except ValueError:
        found = _resolve(endpoint.host, look_up, private=private)
    if not found:
        raise Unreachable(f"{endpoint.host} has no address.")
    allowed = [one for one in found if private or is_public(ip_address(one))]
    if not allowed:
        raise Unreachable(f"{endpoint.host} has an address of a private network.")
    return allowed[:MOST_ADDRESSES]


def _resolve(host: str, look_up: LookUp, *, private: bool) -> list[str]:
    """Ask the DNS. The system knows more, such as the names of containers, but only where private hosts are allowed."""
    if private and (host == "localhost" or host.endswith(".localhost")):
        return ["127.0.0.1", "::1"]  # RFC 6761 §6.3
    failure: OSError | None = None
    try:
        found = look_up(host)
    except OSError as error:
        found, failure = [], error
    if not found and private:
        try:
            return [str(where[0]) for *_, where in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
        except OSError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return found
