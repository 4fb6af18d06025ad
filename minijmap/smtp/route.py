"""The way outside: to which servers mail for a domain goes, and how safe the way must be (RFC 5321 §5, RFC 7505).

Owns MX order, null MX, what stands in for a missing MX, the relay, and what MTA-STS makes of it. Connects to nothing.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from minijmap.setting_kinds import Relay
from minijmap.smtp.client import Reply
from minijmap.smtp.mtasts import ENFORCE, Policies
from minijmap.smtp.resolver import LookupFailed, Questions

NONE, OPPORTUNISTIC, REQUIRED = "none", "opportunistic", "required"
MOST_HOSTS = 8
"""Servers of one domain that are tried."""
RELAY_DOMAIN = ""
"""The name under which everything waits that goes to the relay."""


@dataclass(frozen=True)
class Host:
    """A server to try. `tls` says what is asked of it; `implicit`: TLS begins at once (RFC 8314 §3.3)."""

    name: str
    addresses: tuple[str, ...]
    port: int
    tls: str = OPPORTUNISTIC
    implicit: bool = False
    credentials: tuple[str, str] | None = None


@dataclass(frozen=True)
class Route:
    """Servers in the order in which they are tried. `trusted`: nobody can have lied about their names (RFC 8689)."""

    hosts: tuple[Host, ...]
    trusted: bool


class NoRoute(Exception):
    """There is no server for a domain, now or at all: the reply says which."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class ToRelay:
    """Everything goes to one server, the relay."""

    def __init__(self, relay: Relay, tls: str, resolver: Questions) -> None:
        self._relay = relay
        self._resolver = resolver
        # A password never goes in clear, or to whoever answers, but where the user has said so.
        self._tls = REQUIRED if tls == OPPORTUNISTIC and relay.user and not _is_loopback(relay.host) else tls

    def group(self, _domain: str) -> str:
        """Return what recipients of a domain are sent together by."""
        return RELAY_DOMAIN

    def find(self, _group: str, *, lax: bool = False) -> Route:  # noqa: ARG002 - the user's word on the relay stands
        """Return the relay."""
        relay = self._relay
        try:
            addresses = self._resolver.addresses(relay.host) if _is_dns_name(relay.host) else []
        except LookupFailed:
            addresses = []
        # A name such as a container's is the system's to know.
        addresses = addresses or [relay.host]
        credentials = (relay.user, relay.password) if relay.user else None
        host = Host(relay.host, tuple(addresses), relay.port, self._tls, relay.implicit, credentials)
        return Route((host,), trusted=True)


class ToMx:
    """Each domain's mail goes to its own servers."""

    def __init__(self, resolver: Questions, policies: Policies, hostname: str, port: int) -> None:
        """`hostname` is our own name, to which nothing is sent; `port` is 25 everywhere in the world."""
        self._resolver = resolver
        self._policies = policies
        self._hostname = hostname.lower()
        self._port = port

    def group(self, domain: str) -> str:
        """Return what recipients of a domain are sent together by."""
        return domain

    def find(self, domain: str, *, lax: bool = False) -> Route:
        """Return the servers of a domain; `lax` leaves its policy aside (RFC 8689 §4.2.2). Raises NoRoute."""
        if domain.startswith("["):
            return Route((Host(domain, (_literal(domain),), self._port),), trusted=False)
        name = a_labels(domain)
        policy = None if lax else self._policies.of(name)
        enforced = policy is not None and policy.mode == ENFORCE
        hosts = []
        failure: NoRoute | None = None
        for exchange in self._exchanges(name)[:MOST_HOSTS]:
            if policy is not None and enforced and not policy.allows(exchange):
                failure = failure or NoRoute(Reply.made(451, f"4.7.5 {exchange} is not a server in {name}'s policy"))
                continue
            try:
                addresses = _addresses(self._resolver, exchange)
            except NoRoute as error:
                failure = failure or error
                continue
            if addresses:
                hosts.append(Host(exchange, tuple(addresses), self._port, REQUIRED if enforced else OPPORTUNISTIC))
        if not hosts:
            raise failure or NoRoute(Reply.made(550, f"5.4.4 No server of {name} has an address"))
        return Route(tuple(hosts), trusted=policy is not None and policy.mode != "none")

    def _exchanges(self, name: str) -> Sequence[str]:
        """Return the names of a domain's servers, the best first. Raises NoRoute."""
        try:
            records = self._resolver.mx(name)
        except LookupFailed as error:
            raise NoRoute(Reply.made(451, f"4.4.3 {name} could not be looked up: {error.reason}")) from error
        if not records:  # RFC 5321 §5.1: the implicit MX
            try:
                there = self._resolver.addresses(name)
            except LookupFailed as error:
                raise NoRoute(Reply.made(451, f"4.4.3 {name} could not be looked up: {error.reason}")) from error
            if not there:
                raise NoRoute(Reply.made(550, f"5.1.2 There is no mail server for {name}"))
            return [name]
        names = [(preference, exchange.rstrip(".").lower()) for preference, exchange in records]
        if all(not exchange for _, exchange in names):  # RFC 7505 §3
            raise NoRoute(Reply.made(556, f"5.1.10 {name} takes no mail"))
        # RFC 5321 §5.1: where we are a server ourselves, those that come after us would send it back.
        ours = min((preference for preference, exchange in names if exchange == self._hostname), default=None)
        kept = [exchange for preference, exchange in names if exchange and (ours is None or preference < ours)]
        if not kept:
            raise NoRoute(Reply.made(554, f"5.4.6 The mail of {name} comes here, and nobody here has this address"))
        return list(dict.fromkeys(kept))


def a_labels(domain: str) -> str:
    """Return a domain as the DNS has it (RFC 5890 §2.3.2.1). Raises NoRoute."""
    if domain.isascii():
        return domain.lower().rstrip(".")
    try:
        return domain.encode("idna").decode().lower().rstrip(".")
    except UnicodeError:
        raise NoRoute(Reply.made(553, "5.1.2 The domain can't be a name in the DNS")) from None


def _literal(domain: str) -> str:
    """Return the address in an address literal (RFC 5321 §4.1.3). Raises NoRoute."""
    text = domain.strip("[]")
    try:
        return str(ipaddress.ip_address(text[5:] if text[:5].upper() == "IPV6:" else text))
    except ValueError:
        raise NoRoute(Reply.made(553, "5.1.2 The address literal is none")) from None


def _addresses(resolver: Questions, host: str) -> list[str]:
    try:
        return resolver.addresses(host)
    except LookupFailed as error:
        raise NoRoute(Reply.made(451, f"4.4.3 {host} could not be looked up: {error.reason}")) from error


def _is_dns_name(host: str) -> bool:
    return "." in host and ":" not in host and not host.rpartition(".")[2].isdecimal()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
