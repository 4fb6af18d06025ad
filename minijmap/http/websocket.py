"""The WebSocket resource (RFC 8887 §4.1, §4.2): who may have one, and the workers that answer its messages.

Owns sign-in without an Authorization header, which a browser's WebSocket can't send: a ticket in the URL, or a second
subprotocol that is offered. Cross-site hijacking (RFC 6455 §10.2) has nothing to ride on: there are no cookies, and the
password that a browser remembers from its own prompt (it does send that along) counts only for the server's own pages
and those that cors_origins names. A page of another site must have a secret of its own. Must not know frames.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Response, request

from minijmap.http.front import Front
from minijmap.http.problems import NotSignedIn, Problem, TooMany
from minijmap.http.signin import login_by
from minijmap.push import messages
from minijmap.push.connections import Connection, Visitor
from minijmap.push.messages import Reply
from minijmap.store.database import StoreClosed

SUBPROTOCOLS = "Sec-WebSocket-Protocol"
JMAP = "jmap"
AUTHORIZATION = "jmapauth."
"""Before the unpadded base64url of what an Authorization header would hold."""
BEARER = "base64url.bearer.authorization.jmap."
"""Before the unpadded base64url of a token."""
HANDSHAKE_FIELDS = ("Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions")

SMALL = 16 * 1024
"""A message of at most so many octets is read at once, only to be told that there are too many."""


def get_web_socket(front: Front) -> Response:
    """Answer GET: the connection goes on as a WebSocket, when this has returned."""
    from minijmap.push.websocket import Refused, WebSocket, handshake

    offered = [one.strip() for one in request.headers.get(SUBPROTOCOLS, "").split(",")]
    fields = [(name, request.headers[name]) for name in HANDSHAKE_FIELDS if name in request.headers]
    if JMAP in offered:
        # The others may be secrets: the answer names this one, whatever else was offered.
        fields.append((SUBPROTOCOLS, JMAP))
    try:
        protocol = handshake(fields, front.engine.limits.max_size_request)
    except Refused as error:
        raise Problem(error.status, str(error), error.headers) from None
    authorization = _offered_authorization(offered)
    _check_origin(front, explicit=authorization is not None or "ticket" in request.args)
    proof = front.prove_by_ticket(authorization)
    visitor = front.live.admit(login_by(proof), partial(front.signin.renew, proof))
    desk = Desk(front)

    def make(_: bytes) -> Connection:
        return WebSocket(front.live.connections, visitor, desk, protocol)

    front.live.take_over(request.environ, visitor, make)
    return Response(b"", 200)


def _check_origin(front: Front, *, explicit: bool) -> None:
    """Refuse the pages of sites that may not use the server: browsers don't ask by CORS for a WebSocket.

    `explicit` says that there are credentials which a page must have given itself. Raises Problem.
    """
    origin = request.headers.get("Origin")
    own = "/".join(front.reach.base(request.environ).lower().split("/")[:3])
    if origin is None or front.cors.names(origin) or origin.lower() == own:
        return
    if not front.cors.allows(origin):
        raise Problem(403, "Pages of this origin may not use the server: see the setting cors_origins.")
    if not explicit and request.headers.get("Authorization", "").strip().lower().startswith("basic"):
        raise Problem(
            403,
            "A browser may send a remembered password for a page of any site: sign in with a ticket, by a subprotocol, "
            "or with a Bearer token; or name the page's origin in the setting cors_origins.",
        )


def _offered_authorization(offered: list[str]) -> str | None:
    """Return what an Authorization header would hold, from the subprotocols. Raises NotSignedIn."""
    for name in offered:
        for prefix, scheme in ((AUTHORIZATION, ""), (BEARER, "Bearer ")):
            if name.startswith(prefix):
                return scheme + _decoded(name.removeprefix(prefix))
    return None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        raise NotSignedIn("The credentials among the subprotocols are not base64url.") from None


class Desk:
    """Has messages answered by waitress's workers, under the limits that HTTP requests have too."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self.most = front.requests.most

    def take(self, message: bytes, visitor: Visitor, done: Callable[[Reply | None], None]) -> None:
        """Have a message answered; `done` is called by the worker, with None if the credential is gone."""
        refusal: TooMany | None = None
        try:
            self._front.requests.take(visitor.login.user.key)
        except TooMany as error:
            refusal = error
            if len(message) <= SMALL:
                # Every worker may be busy: with this user's requests, above all.
                done(messages.reply(self._front.engine, visitor.login, message, refusal))
                return
        self._front.live.run(_Job(self._front, message, visitor, refusal, done))

    def reserve(self, octets: int) -> bool:
        """Hold so many octets more, or fewer; False when there is no room."""
        return self._front.arrivals.reserve(octets)


@dataclass(eq=False, repr=False)
class _Job:
    """One message for a worker."""

    front: Front
    message: bytes
    visitor: Visitor
    refusal: TooMany | None
    done: Callable[[Reply | None], None]

    def service(self) -> None:
        """Answer it."""
        try:
            # RFC 8887 §4.2: as with HTTP, a credential that is gone stops at once.
            login = self.visitor.refresh()
            reply = None if login is None else messages.reply(self.front.engine, login, self.message, self.refusal)
        except StoreClosed:
            reply = None
        finally:
            # Before the answer is sent: whoever has it may make the next request at once.
            self.cancel()
        self.done(reply)

    def cancel(self) -> None:
        """Leave the place among the user's requests."""
        if self.refusal is None:
            self.front.requests.leave(self.visitor.login.user.key)
