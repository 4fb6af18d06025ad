"""Sign-in: who a request's Authorization header speaks for (RFC 7617 Basic, RFC 6750 Bearer).

Owns the reading of the header, the memory of passwords that were right a moment ago, and how many passwords are
hashed at once. A password is remembered as a keyed digest of itself together with the stored secret it was checked
against: the row is read at every request, so a revoked app password or a changed password stops at once, while the
slow hash runs once in minutes. App passwords need no memory: their digest is fast. Must not know routes.
"""

import base64
import binascii
import hmac
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from minijmap.http.problems import Busy, NotSignedIn
from minijmap.http.slowdown import Slowdown
from minijmap.jmap.session import Login, login_of
from minijmap.store import accounts
from minijmap.store.accounts import SCRYPT_N, SCRYPT_P, SCRYPT_R, TOKEN_PREFIX, User
from minijmap.store.database import Database, Reader

REMEMBER_SECONDS = 300.0
MOST_REMEMBERED = 1000
HASHES_AT_ONCE = 2
MOST_HASHES_WAITING = 12
"""Different passwords in the hash or waiting for it, fewer than there are workers; one sent twice counts once."""

HOW_TO = (
    "Sign in with your address and your password or an app password (Basic), or with an app password alone (Bearer)."
)
NOBODY = "$".join(
    [
        "scrypt",
        str(SCRYPT_N),
        str(SCRYPT_R),
        str(SCRYPT_P),
        *(base64.b64encode(bytes(size)).decode() for size in (16, 64)),
    ]
)
"""The secret that an unknown name's password is checked against: it takes as long, and no password fits."""


@dataclass(frozen=True)
class _Offer:
    """What an Authorization header offers. `name` is None for a Bearer token."""

    name: str | None
    secret: str


@dataclass(frozen=True)
class _Candidate:
    """A user, if the name is one's, and the stored secret of the password: None when an app password has proved it."""

    login: Login | None
    secret: str | None


class SignIn:
    """The doorkeeper of one server. Safe to use from any thread."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._slowdown = Slowdown(clock)
        self._memory = _Memory(clock)

    def login(self, authorization: str | None, client: Callable[[], str]) -> Login:
        """Return the login that a header's value proves; `client` tells the address to slow down after a failure.

        Raises NotSignedIn, or Busy when it is too early to try again.
        """
        offer = _read_header(authorization)
        with self._database.read() as reader:
            candidate = _by_token(reader, offer) or _by_name(reader, offer)
        if candidate.login is not None and candidate.secret is None:
            return candidate.login
        if offer.name is None:
            # No guess finds 160 random bits: there is nothing to slow down.
            raise NotSignedIn("This app password is not known: it may have been revoked.", invalid_token=True)
        digest = self._memory.digest(offer.secret, candidate.secret or NOBODY)
        if candidate.login is not None and self._memory.has(digest):
            return candidate.login
        return self._by_password(offer.name, offer.secret, candidate, digest, client())

    def _by_password(self, name: str, password: str, candidate: _Candidate, digest: bytes, client: str) -> Login:
        who = (client, accounts.normal_address(name))
        wait = self._slowdown.wait(who)
        if wait > 0:
            raise Busy(429, "Too many failed attempts to sign in: wait before the next one.", math.ceil(wait))
        right = self._memory.check(digest, password, candidate.secret or NOBODY)
        if candidate.login is None or not right:
            self._slowdown.failed(who)
            raise NotSignedIn("The address or the password is wrong.")
        self._slowdown.succeeded(who)
        return candidate.login


class _Memory:
    """Checks passwords, remembers right ones, and lets many requests with the same password share one hash."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = os.urandom(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._checks: dict[bytes, Future[bool]] = {}
        self._lock = threading.Lock()
        self._hashing = threading.Semaphore(HASHES_AT_ONCE)

    def digest(self, password: str, secret: str) -> bytes:
        """Return what a password and a stored secret are remembered as, for the life of this process."""
        return hmac.digest(self._key, f"{secret}\0{password}".encode(errors="surrogatepass"), "sha256")

    def has(self, digest: bytes) -> bool:
        """Say whether the password was right within the last minutes."""
        until = self._right.get(digest)
        return until is not None and 0 < until - self._clock() <= REMEMBER_SECONDS

    def check(self, digest: bytes, password: str, secret: str) -> bool:
        """Hash the password, or wait for whoever hashes it already. Raises Busy when too many others wait."""
        with self._lock:
            if self.has(digest):
                return True
            check = self._checks.get(digest)
            first = check is None
            if check is None:
                if len(self._checks) >= MOST_HASHES_WAITING:
                    raise Busy(429, "Too many people sign in at this moment: try again in a second.", 1)
                check = self._checks[digest] = Future()
        if first:
            self._hash(check, digest, password, secret)
        return check.result()

    def _hash(self, check: Future[bool], digest: bytes, password: str, secret: str) -> None:
        try:
            with self._hashing:
                right = accounts.check_password(password, secret)
        except BaseException as error:
            with self._lock:
                del self._checks[digest]
            check.set_exception(error)
            raise
        with self._lock:
            del self._checks[digest]
            if right:
                self._right.pop(digest, None)
                self._right[digest] = self._clock() + REMEMBER_SECONDS
                while len(self._right) > MOST_REMEMBERED:
                    self._right.popitem(last=False)
        check.set_result(right)


def _by_token(reader: Reader, offer: _Offer) -> _Candidate | None:
    """Take the secret as an app password: alone, or with the address of the user whose it is."""
    if offer.name is not None and not offer.secret.startswith(TOKEN_PREFIX):
        return None
    credential = accounts.find_token(reader, offer.secret)
    user = None if credential is None else accounts.get_user(reader, credential.user)
    if user is None or (offer.name is not None and accounts.normal_address(offer.name) != user.address):
        return None
    return _Candidate(login_of(user), None)


def _by_name(reader: Reader, offer: _Offer) -> _Candidate:
    """Find whose password it would have to be."""
    user: User | None = None if offer.name is None else accounts.find_user(reader, offer.name)
    credential = None if user is None else accounts.password_of(reader, user)
    if user is None or credential is None:
        return _Candidate(None, None)
    return _Candidate(login_of(user), credential.secret)


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
