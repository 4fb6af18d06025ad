"""MTA-STS (RFC 8461): what a domain says about its mail servers, so that nobody on the way can say otherwise.

Owns the policy's fetching, its form, and how long it is kept. A domain whose policy can't be had is treated as one
that has none, unless an earlier one is still in force (RFC 8461 §5.1). Blocks: it belongs to a sending thread.
"""

import http.client
import logging
import re
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from minijmap.smtp.client import Connect
from minijmap.smtp.resolver import LookupFailed, Questions

ENFORCE = "enforce"
MODES = (ENFORCE, "testing", "none")
MOST_OCTETS = 64 * 1024
MOST_PATTERNS = 100
MOST_KEPT = 1000
FETCH_SECONDS = 15.0
LONGEST_AGE = 31_557_600  # RFC 8461 §3.2
CHECK_SECONDS = 300.0
"""For how long the domain is not asked again whether its policy has changed, or has come to be."""
HTTPS = 443
_RECORD = re.compile(r"v=STSv1[ \t]*;[ \t]*(?:[^;]*;[ \t]*)*?id=([A-Za-z0-9]{1,32})[ \t]*(?:;.*)?", re.DOTALL)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """A policy in force."""

    mode: str
    patterns: tuple[str, ...]
    max_age: int

    @classmethod
    def parse(cls, text: str) -> "Policy | None":
        """Read a policy file (RFC 8461 §3.2); None for one that is not valid."""
        pairs = [line.partition(":") for line in text.splitlines() if line.strip()]
        fields: dict[str, str] = {}
        patterns: list[str] = []
        for name, _, value in ((one[0].strip(), one[1], one[2].strip()) for one in pairs):
            if name == "mx":
                patterns.append(value.lower())
            else:
                fields.setdefault(name, value)
        mode, age = fields.get("mode", ""), fields.get("max_age", "")
        if fields.get("version") != "STSv1" or mode not in MODES or not re.fullmatch("[0-9]{1,10}", age):
            return None
        if len(patterns) > MOST_PATTERNS or (not patterns and mode != "none"):
            return None
        return cls(mode, tuple(patterns), min(int(age), LONGEST_AGE))

    def allows(self, host: str) -> bool:
        """Say whether a server's name matches a pattern (RFC 8461 §4.1): `*.` stands for one label."""
        name = host.lower().rstrip(".")
        parent = name.partition(".")[2]
        return any(parent == one[2:] if one.startswith("*.") else name == one for one in self.patterns)


@dataclass
class _Kept:
    """What is known of a domain; times by the monotonic clock."""

    policy: Policy | None
    record_id: str
    until: float
    checked_at: float


class Policies:
    """The policies of the domains mail is sent to."""

    def __init__(
        self,
        resolver: Questions,
        connect: Connect,
        context: Callable[[], ssl.SSLContext],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`context` makes the TLS context that policy hosts are verified by; `clock` gives seconds."""
        self._resolver = resolver
        self._connect = connect
        self._context = context
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, domain: str) -> Policy | None:
        """Return the policy of a domain, in A-labels, or None when it has none that counts."""
        now = self._clock()
        with self._lock:
            kept = self._kept.get(domain)
        if kept is not None and now < kept.checked_at + CHECK_SECONDS:
            return kept.policy if kept.policy is not None and now < kept.until else None
        fresh = self._ask(domain, kept, now)
        with self._lock:
            self._kept[domain] = fresh
            self._kept.move_to_end(domain)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return fresh.policy

    def _ask(self, domain: str, kept: _Kept | None, now: float) -> _Kept:
        """Look whether the policy has changed, and fetch it then. An older one stays until it ends."""
        old = kept if kept is not None and kept.policy is not None and now < kept.until else None
        try:
            records = [one for one in self._resolver.txt(f"_mta-sts.{domain}") if one.startswith("v=STSv1")]
        except LookupFailed:
            records = []
        # RFC 8461 §3.1: several records are as good as none.
        found = _RECORD.fullmatch(records[0]) if len(records) == 1 else None
        if old is not None and (found is None or found[1] == old.record_id):
            return _Kept(old.policy, old.record_id, old.until, now)
        if found is None:
            return _Kept(None, "", now, now)
        policy = self._fetch(domain)
        if policy is None:
            return _Kept(old.policy, old.record_id, old.until, now) if old else _Kept(None, "", now, now)
        return _Kept(policy, found[1], now + policy.max_age, now)

    def _fetch(self, domain: str) -> Policy | None:
        """Fetch a policy file (RFC 8461 §3.3): verified TLS, 200 alone, no redirect, nothing large."""
        host = f"mta-sts.{domain}"
        try:
            text = self._get(host)
        except (OSError, LookupFailed, http.client.HTTPException, UnicodeError) as error:
            log.info("The MTA-STS policy of %s could not be fetched: %s", domain, error)
            return None
        return None if text is None else Policy.parse(text)

    def _get(self, host: str) -> str | None:
        deadline = time.monotonic() + FETCH_SECONDS
        addresses = self._resolver.addresses(host)
        if not addresses:
            return None
        with self._connect(addresses[0], HTTPS, FETCH_SECONDS) as plain:
            plain.settimeout(FETCH_SECONDS)
            with self._context().wrap_socket(plain, server_hostname=host) as secured:
                request = f"GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                secured.sendall(request.encode())
                octets = b""
                while len(octets) <= MOST_OCTETS and (left := deadline - time.monotonic()) > 0:
                    secured.settimeout(left)
                    piece = secured.recv(MOST_OCTETS)
                    if not piece:
                        return _content(octets)
                    octets += piece
        return None


def _content(answer: bytes) -> str | None:
    """Return what an answer of HTTP/1.0 brought, or None unless it is 200 and plain text (RFC 8461 §3.2)."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("ascii", "replace").split("\r\n")
    fields = {name.strip().lower(): value.strip().lower() for name, _, value in (x.partition(":") for x in lines[1:])}
    if not re.fullmatch(r"HTTP/1\.[01] 200(?: .*)?", lines[0]) or "transfer-encoding" in fields:
        return None
    if fields.get("content-type", "").partition(";")[0].strip() != "text/plain":
        return None
    if "content-length" in fields and fields["content-length"] != str(len(body)):
        return None
    return body.decode()
