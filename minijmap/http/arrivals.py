"""Requests on their way in: how large each may be, how many at once, how much is held for all of them.

Owns the limits of RFC 8620 §2 that hold before a request is complete (maxSizeRequest, maxSizeUpload,
maxConcurrentRequests, maxConcurrentUpload): waitress receives bodies without asking the application, so a body that
will be refused must not be kept. A refusal is noted here and raised by the application once the user is signed in.
Must not know sockets or Flask.
"""

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass
from enum import Enum

from minijmap.http.gate import too_many
from minijmap.http.problems import Busy, Problem, TooLarge
from minijmap.http.urls import API, UPLOAD
from minijmap.jmap.engine import Limits
from minijmap.jmap.errors import LimitExceeded, RequestError

Refusal = RequestError | Problem

ENVIRON_KEY = "minijmap.arrival"
SMALL_BODY = 64 * 1024
"""Bodies of requests that should have none."""
MEMORY_FACTOR = 2
"""So many users may fill all their concurrent uploads at the same time before others are asked to wait."""


class Kind(Enum):
    """What a request is for, as far as limits go."""

    API = "api"
    UPLOAD = "upload"
    OTHER = "other"


@dataclass(eq=False)
class Arrival:
    """One request that is being received or answered. `refusal`: what its user, once signed in, will be told."""

    kind: Kind
    limit: int
    keep: bool
    refusal: Refusal | None
    sender: bytes
    held: int
    released: bool = False


class Arrivals:
    """Every request that is under way in one server. Safe to use from any thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._counts: Counter[tuple[Kind, bytes]] = Counter()
        self._held = 0
        self._most_held = MEMORY_FACTOR * (
            limits.max_size_upload * limits.max_concurrent_upload
            + limits.max_size_request * limits.max_concurrent_requests
        )
        self._lock = threading.Lock()

    def begin(self, path: str, authorization: str, length: int | None) -> Arrival:
        """Note a request whose header is complete. `length` is the body's declared size, None when it is chunked."""
        kind = _kind(path)
        limit = self._size_limit(kind)
        held = limit if length is None else length
        # The same credentials, right or wrong: whose they are is known only after sign-in.
        sender = hashlib.sha256(authorization.encode(errors="replace")).digest()
        arrival = Arrival(kind, limit, bool(authorization), None, sender, 0)
        with self._lock:
            self._counts[kind, sender] += 1
            if length is not None and length > limit:
                arrival.refusal = self.too_large(kind)
            elif authorization and kind is not Kind.OTHER and self._counts[kind, sender] > self._most(kind):
                arrival.refusal = too_many(*self._concurrency(kind))
            elif arrival.keep and self._held + held > self._most_held:
                arrival.refusal = Busy(503, "Too much is being uploaded at this moment: try again.", 5)
            if arrival.refusal is not None:
                arrival.keep = False
            if arrival.keep:
                arrival.held = held
                self._held += held
        return arrival

    def end(self, arrival: Arrival) -> None:
        """Forget a request; doing it again changes nothing."""
        with self._lock:
            if arrival.released:
                return
            arrival.released = True
            self._held -= arrival.held
            key = (arrival.kind, arrival.sender)
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]

    def reserve(self, octets: int) -> bool:
        """Hold so many octets more (fewer, if negative) of messages of a WebSocket; False when there is no room."""
        with self._lock:
            if octets > 0 and self._held + octets > self._most_held:
                return False
            self._held += octets
            return True

    def too_large(self, kind: Kind) -> Refusal:
        """Return the refusal of a body beyond the limit of its kind."""
        if kind is Kind.API:
            # RFC 8620 §3.6.1.1 shows this very problem, with status 400.
            return LimitExceeded(
                "maxSizeRequest",
                f"The request is larger than the {self._limits.max_size_request} octets that are allowed.",
            )
        if kind is Kind.UPLOAD:
            return TooLarge(
                "maxSizeUpload", f"The file is larger than the {self._limits.max_size_upload} octets that are allowed."
            )
        return Problem(413, f"A request to this URL has no body of more than {SMALL_BODY} octets.")

    def _size_limit(self, kind: Kind) -> int:
        return {
            Kind.API: self._limits.max_size_request,
            Kind.UPLOAD: self._limits.max_size_upload,
            Kind.OTHER: SMALL_BODY,
        }[kind]

    def _concurrency(self, kind: Kind) -> tuple[str, int]:
        if kind is Kind.API:
            return "maxConcurrentRequests", self._limits.max_concurrent_requests
        return "maxConcurrentUpload", self._limits.max_concurrent_upload

    def _most(self, kind: Kind) -> int:
        return self._concurrency(kind)[1]


def _kind(path: str) -> Kind:
    if path == API:
        return Kind.API
    return Kind.UPLOAD if path.startswith(UPLOAD + "/") else Kind.OTHER
