"""Tickets: what a browser puts into the URL of an EventSource or a WebSocket, for which it can't send Authorization.

A ticket is good for one connection within a minute, so that it is worth nothing in a log. Owns those that are out, in
memory. Must not know what they are used for.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from flask import Response

from minijmap.http.front import Front, json_answer
from minijmap.http.problems import Busy
from minijmap.jmap import dates
from minijmap.signin import Proof

GOOD_SECONDS = 60
MOST_OF_USER = 200


@dataclass(frozen=True)
class _Ticket:
    proof: Proof
    until: float


class Tickets:
    """All that are out. Safe to use from any thread."""

    def __init__(self, clock: Callable[[], float], token: Callable[[], str]) -> None:
        """`clock` gives seconds since the epoch, `token` text that nobody can guess and a URL can have."""
        self._clock = clock
        self._token = token
        self._lock = threading.Lock()
        self._out: dict[bytes, _Ticket] = {}

    def issue(self, proof: Proof) -> tuple[str, float]:
        """Return a new ticket, and until when it is good. Raises Busy when its user has too many."""
        ticket = self._token()
        with self._lock:
            now = self._clock()
            self._out = {key: one for key, one in self._out.items() if now < one.until}
            if Counter(one.proof.user.key for one in self._out.values())[proof.user.key] >= MOST_OF_USER:
                raise Busy(429, f"You have {MOST_OF_USER} tickets that were not used: wait a minute.", GOOD_SECONDS)
            until = now + GOOD_SECONDS
            self._out[_digest(ticket)] = _Ticket(proof, until)
        return ticket, until

    def redeem(self, ticket: str) -> Proof | None:
        """Return whose ticket this is, once."""
        with self._lock:
            found = self._out.pop(_digest(ticket), None)
        return None if found is None or self._clock() >= found.until else found.proof


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode(errors="replace")).digest()


def post_ticket(front: Front) -> Response:
    """Answer POST with a ticket and when it expires."""
    ticket, until = front.tickets.issue(front.prove())
    expires = dates.format_utc_date(int(until * 1000))
    return json_answer(orjson.dumps({"ticket": ticket, "expires": expires}))
