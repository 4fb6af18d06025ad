"""Sign-in by HTTP: who a request's Authorization header speaks for (RFC 7617 Basic, RFC 6750 Bearer).

Owns the reading of the header, and what a refusal is over HTTP. Whether the credentials are right is the
`Doorkeeper`'s. Must not know routes.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from minijmap.http.problems import Busy, NotSignedIn
from minijmap.jmap.session import Login, login_of
from minijmap.signin import Doorkeeper, Proof, TooEarly, Wrong

HOW_TO = (
    "Sign in with your address and your password or an app password (Basic), or with an app password alone (Bearer)."
)


@dataclass(frozen=True)
class _Offer:
    """What an Authorization header offers. `name` is None for a Bearer token."""

    name: str | None
    secret: str


class SignIn:
    """The front door's sign-in. Safe to use from any thread."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    def login(self, authorization: str | None, client: Callable[[], str]) -> Login:
        """Return the login that a header's value proves. Raises as `prove` does."""
        return login_by(self.prove(authorization, client))

    def prove(self, authorization: str | None, client: Callable[[], str]) -> Proof:
        """Return who a header's value speaks for; `client` tells the address to slow down after a failure.

        Raises NotSignedIn, or Busy when it is too early to try again.
        """
        offer = _read_header(authorization)
        try:
            if offer.name is None:
                return self._doorkeeper.by_token(offer.secret)
            return self._doorkeeper.by_name(offer.name, offer.secret, client)
        except Wrong as error:
            raise NotSignedIn(str(error), invalid_token=offer.name is None) from None
        except TooEarly as error:
            raise Busy(429, str(error), error.seconds) from None

    def renew(self, proof: Proof) -> Login | None:
        """Return the login of a proof as it is now, or None when it proves nothing any more."""
        renewed = self._doorkeeper.renew(proof)
        return None if renewed is None else login_by(renewed)


def login_by(proof: Proof) -> Login:
    """Return what somebody may use who has proved who they are."""
    return login_of(proof.user, proof.credential.key)


def _read_header(authorization: str | None) -> _Offer:
    if not authorization:
        raise NotSignedIn(HOW_TO)
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        if not value:
            raise NotSignedIn("The Authorization header has no token after “Bearer”.", invalid_token=True)
        return _Offer(None, value)
    if scheme.lower() != "basic":
        raise NotSignedIn(f"The scheme of the Authorization header is not one of Basic and Bearer. {HOW_TO}")
    try:
        # RFC 7617 §2.1: we say charset="UTF-8"; older clients send Latin-1 whatever is said.
        octets = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise NotSignedIn("The Authorization header's Basic credentials are not base64.") from None
    name, colon, password = _text(octets).partition(":")
    if not colon:
        raise NotSignedIn("The Authorization header's Basic credentials have no colon between address and password.")
    return _Offer(name, password)


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
