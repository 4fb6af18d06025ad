"""DNS: the one place where names are looked up (RFC 1035; RFC 2308 for what does not exist).

Owns the way to the name server, the cache, and the limits: seconds for one look-up, seconds and look-ups for everything
that one decision needs (`Budget`), records in one answer. Every other module asks here, so that a test replaces DNS by
naming another server. Must not know what the records mean. Blocks: not to be called on the loop's thread.
"""

import ipaddress
import logging
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from minijmap.setting_kinds import Address

if TYPE_CHECKING:
    from dns.resolver import Answer
    from dns.resolver import Resolver as Asker

MOST_CACHED = 5000
MOST_RECORDS = 200
"""Records of one name and type; a longer answer is as good as none."""
LONGEST_TTL, SHORTEST_TTL = 86400.0, 5.0
NEGATIVE_TTL = 60.0
"""Seconds for which a name does not exist when the answer does not say for how long (RFC 2308 §5)."""
FAILURE_TTL = 15.0
"""Seconds for which a failure is remembered: a dead server costs one time-out, not one for each message."""
DEAD_SECONDS = 30.0
"""Seconds for which nothing is asked after the server itself did not answer."""
PROBE_SECONDS = 1.0
SYSTEM_SECONDS = 60.0
"""Seconds after which the system's own list of servers is read again: a laptop changes networks."""

log = logging.getLogger(__name__)


class LookupFailed(Exception):
    """A look-up had no answer, neither yes nor no: time-out, SERVFAIL, nonsense, or no budget for it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class Record(Protocol):
    """What is used of dnspython's record data."""

    strings: tuple[bytes, ...]
    address: str
    preference: int
    exchange: Any
    target: Any
    priority: int
    weight: int
    port: int


Records = tuple[Record, ...]


class Questions(ABC):
    """What can be asked. Each raises LookupFailed, and gives nothing for a name or a type that does not exist."""

    @abstractmethod
    def lookup(self, name: str, kind: str) -> Records:
        """Return the records of a name, CNAMEs followed, in the order in which they came."""

    def texts(self, name: str) -> list[bytes]:
        """Return TXT records, the strings of each joined (RFC 7208 §3.3)."""
        return [b"".join(record.strings) for record in self.lookup(name, "TXT")]

    def txt(self, name: str) -> list[str]:
        """Return TXT records as text; what is not UTF-8 is replaced."""
        return [octets.decode(errors="replace") for octets in self.texts(name)]

    def mx(self, name: str) -> list[tuple[int, str]]:
        """Return (preference, host), the most preferred first. The null MX has an empty host (RFC 7505 §3)."""
        return sorted((record.preference, _host(record.exchange)) for record in self.lookup(name, "MX"))

    def addresses(self, host: str) -> list[str]:
        """Return IPv4 addresses, then IPv6 ones. Fails only if no address is known and a look-up failed."""
        found: list[str] = []
        failure: LookupFailed | None = None
        for kind in ("A", "AAAA"):
            try:
                found += [record.address for record in self.lookup(host, kind)]
            except LookupFailed as failed:
                failure = failed
        if failure is not None and not found:
            raise failure
        return found

    def srv(self, name: str) -> list[tuple[int, int, int, str]]:
        """Return (priority, weight, port, host), the lowest priority first (RFC 2782)."""
        records = self.lookup(name, "SRV")
        return sorted((one.priority, one.weight, one.port, _host(one.target)) for one in records)

    def cname(self, name: str) -> list[str]:
        """Return the name that a name is an alias of, if it is one."""
        return [_host(record.target) for record in self.lookup(name, "CNAME")]

    def ptr(self, address: str) -> list[str]:
        """Return the names of an IP address. Raises ValueError if it is none."""
        return [_host(record.target) for record in self.lookup(ipaddress.ip_address(address).reverse_pointer, "PTR")]


def _host(name: Any) -> str:
    """Write a name without its last dot, in lower case."""
    return str(name.to_text(omit_final_dot=True)).lower().removesuffix(".")


@dataclass(frozen=True)
class _Known:
    until: float
    records: Records
    failure: str | None = None


class Resolver(Questions):
    """Asks `dns_server`, or the system's servers when it is None. Safe to use from several threads."""

    def __init__(
        self, dns_server: Address | None = None, *, timeout: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`timeout`: seconds for one look-up, retries included. `clock`: seconds, for what is cached. Asks nothing."""
        self._server = dns_server
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._asker: Asker | None = None
        self._asker_made = 0.0
        self._dead_until = float("-inf")

    def lookup(self, name: str, kind: str) -> Records:
        """Return the records of a name (see Questions)."""
        return self.lookup_within(name, kind, self._timeout)

    def lookup_within(self, name: str, kind: str, seconds: float) -> Records:
        """Return the records of a name, in at most so many seconds."""
        key = (name.lower().removesuffix("."), kind)
        known = self._recall(key)
        if known is None:
            known = self._ask(key[0], kind, min(seconds, self._timeout))
            self._remember(key, known)
        if known.failure is not None:
            raise LookupFailed(name, known.failure)
        return known.records

    def budget(self, seconds: float, lookups: int) -> "Budget":
        """Return a view of this resolver that answers for so long and so often, and no more."""
        return Budget(self, seconds, lookups)

    def _recall(self, key: tuple[str, str]) -> _Known | None:
        with self._lock:
            known = self._cache.get(key)
            if known is None or known.until <= self._clock():
                return None
            self._cache.move_to_end(key)
            return known

    def _remember(self, key: tuple[str, str], known: _Known) -> None:
        with self._lock:
            self._cache[key] = known
            self._cache.move_to_end(key)
            while len(self._cache) > MOST_CACHED:
                self._cache.popitem(last=False)

    def _ask(self, name: str, kind: str, seconds: float) -> _Known:
        """Ask the server. Whatever dnspython says, or a stranger's answer makes of it, is a `_Known`."""
        from dns import exception, resolver

        reason = "failed"
        if self._clock() < self._dead_until:
            return _Known(self._dead_until, (), "the name server does not answer")
        try:
            answer = self._asking().resolve(
                f"{name}.", kind, lifetime=max(seconds, 0.001), raise_on_no_answer=False, search=False
            )
            return self._known(answer)
        except resolver.NXDOMAIN as missing:
            return _Known(self._clock() + _negative_ttl(missing), ())
        except (resolver.NoMetaqueries, exception.SyntaxError, ValueError):
            return _Known(self._clock() + NEGATIVE_TTL, ())  # not a name that the DNS could hold (RFC 1035 §2.3.4)
        except exception.Timeout:
            reason = "no answer in time"
            self._probe()
        except resolver.NoNameservers:
            reason = "the name server has no proper answer"
        except resolver.NoResolverConfiguration:
            reason = "no name server is known"
        except exception.DNSException as error:
            if _is_bad_name(error):
                return _Known(self._clock() + NEGATIVE_TTL, ())
            reason = f"no proper answer ({type(error).__name__})"
        except OSError as error:
            reason = f"the name server can't be reached ({error.strerror or error})"
        except Exception:
            log.exception("An answer of the DNS could not be read: %s %s", name[:253], kind)
        return _Known(self._clock() + FAILURE_TTL, (), reason)

    def _probe(self) -> None:
        """Find out whether it was the server that did not answer, or the servers of some name that it had to ask.

        The root is what every server knows, so nobody can make others fail by names that never answer.
        """
        from dns import exception

        try:
            self._asking().resolve(".", "NS", lifetime=PROBE_SECONDS, raise_on_no_answer=False, search=False)
        except exception.Timeout:
            self._dead_until = self._clock() + DEAD_SECONDS
        except (exception.DNSException, OSError):
            return  # it has something to say

    def _known(self, answer: "Answer") -> _Known:
        records = () if answer.rrset is None else tuple(answer.rrset)
        if len(records) > MOST_RECORDS:
            return _Known(self._clock() + FAILURE_TTL, (), f"more than {MOST_RECORDS} records")
        if answer.response.answer and not records and not answer.chaining_result.cnames:
            return _Known(self._clock() + FAILURE_TTL, (), "the answer is about another name")
        ttl = answer.chaining_result.minimum_ttl if records or _has_authority(answer.response) else NEGATIVE_TTL
        return _Known(self._clock() + min(max(ttl, SHORTEST_TTL), LONGEST_TTL), records)

    def _asking(self) -> "Asker":
        """Return dnspython's resolver, made on first use and, for the system's servers, now and then anew."""
        from dns import nameserver, resolver

        with self._lock:
            now = self._clock()
            old = self._server is None and not 0 <= now - self._asker_made < SYSTEM_SECONDS
            if self._asker is None or old:
                asker = resolver.Resolver(configure=self._server is None)
                if self._server is not None:
                    asker.nameservers = [
                        nameserver.Do53Nameserver(ip, self._server.port) for ip in _ip(self._server.host)
                    ]
                asker.timeout = min(asker.timeout, max(self._timeout / 2, 0.05))
                self._asker, self._asker_made = asker, now
            return self._asker


class Budget(Questions):
    """A resolver for one decision: after so many seconds or look-ups everything fails. For one thread."""

    def __init__(self, resolver: Resolver, seconds: float, lookups: int) -> None:
        self._resolver = resolver
        self._deadline = time.monotonic() + seconds
        self._left = lookups

    def lookup(self, name: str, kind: str) -> Records:
        """Return the records of a name (see Questions)."""
        self._left -= 1
        seconds = self._deadline - time.monotonic()
        if self._left < 0:
            raise LookupFailed(name, "too many look-ups")
        if seconds <= 0:
            raise LookupFailed(name, "no time is left")
        return self._resolver.lookup_within(name, kind, seconds)

    @property
    def seconds_left(self) -> float:
        """Return how much time there is, 0 when there is none."""
        return max(self._deadline - time.monotonic(), 0)


def _ip(host: str) -> list[str]:
    """Return the addresses of a configured name server. A name, such as a container's, is the system's to know."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return [str(where[0]) for *_, where in socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)]


def _has_authority(response: Any) -> bool:
    return any(rrset.rdtype.name == "SOA" for rrset in response.authority)


def _negative_ttl(missing: Any) -> float:
    """Return for how long a name does not exist: what the zone's SOA says (RFC 2308 §5)."""
    for response in missing.responses().values():
        if _has_authority(response):
            return min(max(float(response.resolve_chaining().minimum_ttl), SHORTEST_TTL), LONGEST_TTL)
    return NEGATIVE_TTL


def _is_bad_name(error: Exception) -> bool:
    from dns import name

    return isinstance(
        error, name.EmptyLabel | name.LabelTooLong | name.NameTooLong | name.BadEscape | name.IDNAException
    )
