"""Slowing down whoever asks for it: too many connections, refusals or messages from one network (RFC 5321 §7.8).

Owns the counts, each of which runs off with time like water from a leaky bucket, so that nobody is banned and every
hold ends by itself. Loopback and trusted proxies are never counted: everybody behind them has the same address, the
owner too. Must not know what a command is; nothing here sleeps.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

MOST_ENTRIES = 10_000
V6_PREFIX = 64
"""Bits of an IPv6 address that are one client: everybody gets that many addresses at once."""


@dataclass(frozen=True)
class Rate:
    """How much at once, and how much more each second in the long run."""

    burst: float
    per_second: float


CONNECTIONS = Rate(60, 1.0)
REFUSALS = Rate(20, 1 / 60)
MESSAGES = Rate(200, 0.5)
LONGEST_DELAY = 10.0
"""Seconds before a reply; less than any client's patience (RFC 5321 §4.5.3.2)."""


class Buckets:
    """One leaky bucket for each key, the least used forgotten first."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._levels: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def over(self, key: object) -> float:
        """Return by how much a key's bucket is over its burst, 0 when it is not."""
        return max(self._level(key) - self._rate.burst, 0.0)

    def add(self, key: object) -> bool:
        """Count one more, unless there were too many already; say whether it was counted."""
        level = self._level(key)
        fits = level + 1 <= self._rate.burst
        if fits:
            self._set(key, level + 1)
        return fits

    def pour(self, key: object) -> None:
        """Count one more in any case, to twice the burst: what is over it takes its time to run off."""
        self._set(key, min(self._level(key) + 1, 2 * self._rate.burst))

    def _level(self, key: object) -> float:
        level, at = self._levels.get(key, (0.0, 0.0))
        # The wall clock may be set back.
        return max(level - max(self._clock() - at, 0.0) * self._rate.per_second, 0.0)

    def _set(self, key: object, level: float) -> None:
        self._levels[key] = (level, self._clock())
        self._levels.move_to_end(key)
        while len(self._levels) > MOST_ENTRIES:
            self._levels.popitem(last=False)


class Abuse:
    """What the clients of a listener have been up to. For the loop's thread alone."""

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network], clock: Callable[[], float]) -> None:
        """`trusted` are the networks of trusted proxies; `clock` in seconds."""
        self._trusted = trusted
        self._connections = Buckets(CONNECTIONS, clock)
        self._refusals = Buckets(REFUSALS, clock)
        self._messages = Buckets(MESSAGES, clock)

    def is_exempt(self, address: str) -> bool:
        """Say whether an address is this machine's or a trusted proxy's, or none at all."""
        ip = _ip(address)
        return ip is None or ip.is_loopback or any(ip in network for network in self._trusted)

    def connects(self, address: str) -> bool:
        """Count a connection; False: there were too many in a short time."""
        return self.is_exempt(address) or self._connections.add(_network(address))

    def refused(self, address: str) -> None:
        """Count a refusal: an address guessed, a command that is none, a message that was not wanted."""
        if not self.is_exempt(address):
            self._refusals.pour(_network(address))

    def delay(self, address: str) -> float:
        """Return for how many seconds the next reply is to be held back."""
        return 0.0 if self.is_exempt(address) else min(self._refusals.over(_network(address)) / 2, LONGEST_DELAY)

    def sends(self, address: str, sender: str) -> bool:
        """Count a message of a sender; False: there were too many in a short time."""
        return self.is_exempt(address) or self._messages.add((_network(address), sender.lower()))


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if ip.version == 6 else ip


def _network(address: str) -> str:
    """Return what an address is counted by: itself, or the network of an IPv6 address."""
    ip = _ip(address)
    if ip is None or ip.version == 4:
        return str(ip)
    return str(ipaddress.ip_network((ip, V6_PREFIX), strict=False))
