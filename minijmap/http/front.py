"""What every resource of the front door needs: who asks, what came with it, how an answer is sent.

Must not know what a resource does.
"""

import contextlib
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flask import Response, request

from minijmap.http.arrivals import ENVIRON_KEY, Arrival, Arrivals, Kind
from minijmap.http.cors import Cors
from minijmap.http.gate import Gate
from minijmap.http.live import Live
from minijmap.http.problems import NotSignedIn, Problem
from minijmap.http.signin import SignIn, login_by
from minijmap.http.urls import Reach
from minijmap.jmap.engine import Engine
from minijmap.jmap.session import Access, Login
from minijmap.signin import Proof

if TYPE_CHECKING:
    from minijmap.http.tickets import Tickets

COMPRESS_FROM = 4096
"""Smaller answers go as they are: one packet more or less is not worth the work."""
JSON = "application/json"
_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q\s*=\s*(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?:,|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Front:
    """What the views of one server share."""

    engine: Engine
    signin: SignIn
    reach: Reach
    arrivals: Arrivals
    requests: Gate
    uploads: Gate
    cors: Cors
    live: Live
    tickets: "Tickets"

    def login(self) -> Login:
        """Return who makes the current request. Raises NotSignedIn or Busy."""
        return login_by(self.prove())

    def prove(self, authorization: str | None = None) -> Proof:
        """Return who makes the current request, by what stands in place of its Authorization header, or by that.

        Raises NotSignedIn or Busy.
        """
        given = authorization or request.headers.get("Authorization")
        return self.signin.prove(given, partial(self.reach.client, request.environ))

    def prove_by_ticket(self, authorization: str | None = None) -> Proof:
        """Return who makes the current request, where a `ticket` in the URL may stand in the header's place.

        Raises NotSignedIn or Busy.
        """
        ticket = request.args.get("ticket", "")
        if not ticket:
            return self.prove(authorization)
        proof = self.tickets.redeem(ticket)
        if proof is None or self.signin.renew(proof) is None:
            raise NotSignedIn("The ticket of the URL is not known: it is good once, for a minute.")
        return proof

    @contextlib.contextmanager
    def body(self, kind: Kind) -> Iterator[bytes]:
        """Give the current request's body, and count the request as answered when the block ends.

        Raises the refusal that its arrival met, if it met one.
        """
        arrival: Arrival | None = request.environ.get(ENVIRON_KEY)
        if arrival is None:
            # Not received by our own listener (an application test, say): the limits hold all the same.
            arrival = self.arrivals.begin(request.path, "-", request.content_length or 0)
        try:
            if arrival.refusal is not None:
                raise arrival.refusal
            octets = request.stream.read(arrival.limit + 1)
            if len(octets) > arrival.limit:
                raise self.arrivals.too_large(kind)
            yield octets
        finally:
            # Before the answer is sent: whoever has it may make the next request at once.
            self.arrivals.end(arrival)


def account_of(login: Login, account_id: str) -> Access:
    """Return an account of the user's by the id in the URL. Raises Problem 404."""
    access = login.find(account_id)
    if access is None:
        raise Problem(404, "You have no account with this id.")
    return access


def json_answer(octets: bytes, status: int = 200, cache: str = "no-store") -> Response:
    """Return JSON as an answer to the current request, compressed when that is asked for and worth it."""
    headers = [("Cache-Control", cache), ("X-Content-Type-Options", "nosniff"), ("Vary", "Origin, Accept-Encoding")]
    if len(octets) > COMPRESS_FROM and wants_gzip(request.environ.get("HTTP_ACCEPT_ENCODING", "")):
        octets = gzip.compress(octets, 1, mtime=0)
        headers.append(("Content-Encoding", "gzip"))
    return Response(octets, status, headers, content_type=JSON)


def wants_gzip(accepted: str) -> bool:
    """Say whether an Accept-Encoding value takes gzip (RFC 9110 §12.5.3)."""
    return _GZIP.search(accepted[:1000]) is not None
