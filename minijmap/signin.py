"""Sign-in: whom an address and a password, or an app password, speak for, whatever the protocol they came by.

Owns the memory of passwords that were right a moment ago, how many passwords are hashed at once, and the slowing down
of mistakes. A password is remembered as a keyed digest of itself together with the stored secret it was checked
against: the row is read every time, so a revoked app password or a changed password stops at once, while the slow hash
runs once in minutes. App passwords need no memory: their digest is fast. Must not know how they arrive (HTTP, SMTP).
"""

import base64
import hmac
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

from minijmap.slowdown import Slowdown
from minijmap.store import accounts
from minijmap.store.accounts import SCRYPT_N, SCRYPT_P, SCRYPT_R, TOKEN_PREFIX, Credential, User
from minijmap.store.database import Database, Reader

REMEMBER_SECONDS = 300.0
MOST_REMEMBERED = 1000
HASHES_AT_ONCE = 2
MOST_HASHES_WAITING = 12
"""Different passwords in the hash or waiting for it, fewer than there are workers; one sent twice counts once."""

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


class Wrong(Exception):
    """The credentials prove nothing. The text is a sentence, the same for an unknown name and a wrong password."""


class TooEarly(Exception):
    """The credentials were not looked at: another attempt may be made in so many seconds."""

    def __init__(self, sentence: str, seconds: int) -> None:
        super().__init__(sentence)
        self.seconds = seconds


@dataclass(frozen=True)
class Proof:
    """Who somebody is, and the stored credential that has proved it."""

    user: User
    credential: Credential

    def holds(self, reader: Reader) -> bool:
        """Say whether it would still be one: not after the credential is changed, revoked or removed."""
        return accounts.get_credential(reader, self.credential.key) == self.credential


@dataclass(frozen=True)
class _Candidate:
    """Whose password it would have to be, and where that is kept; nothing when nobody has the name."""

    proof: Proof | None

    @property
    def secret(self) -> str:
        return NOBODY if self.proof is None else self.proof.credential.secret


class Doorkeeper:
    """The one who checks credentials for a whole server. Safe to use from any thread."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._slowdown = Slowdown(clock)
        self._memory = _Memory(clock)

    def by_token(self, token: str) -> Proof:
        """Return who has an app password. Raises Wrong. No guess finds 160 random bits: nothing is slowed down."""
        with self._database.read() as reader:
            proof = _by_token(reader, None, token)
        if proof is None:
            raise Wrong("This app password is not known: it may have been revoked.")
        return proof

    def by_name(self, name: str, password: str, client: Callable[[], str]) -> Proof:
        """Return whose address and password (or app password) these are.

        `client` tells the address to slow down after a failure (see `client_of`). Raises Wrong or TooEarly.
        """
        with self._database.read() as reader:
            proof = _by_token(reader, name, password)
            candidate = _Candidate(None) if proof else _by_name(reader, name)
        if proof is not None:
            return proof
        digest = self._memory.digest(password, candidate.secret)
        if candidate.proof is not None and self._memory.has(digest):
            return candidate.proof
        who = (client(), accounts.normal_address(name))
        wait = self._slowdown.wait(who)
        if wait > 0:
            raise TooEarly("Too many failed attempts to sign in: wait before the next one.", math.ceil(wait))
        right = self._memory.check(digest, password, candidate.secret)
        if candidate.proof is None or not right:
            self._slowdown.failed(who)
            raise Wrong("The address or the password is wrong.")
        self._slowdown.succeeded(who)
        return candidate.proof

    def renew(self, proof: Proof) -> Proof | None:
        """Return the proof as it is now, or None once its credential is changed or revoked, or its user removed."""
        with self._database.read() as reader:
            user = accounts.get_user(reader, proof.user.key)
            holds = proof.holds(reader)
        return None if user is None or not holds else Proof(user, proof.credential)


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
        """Hash the password, or wait for whoever hashes it already. Raises TooEarly when too many others wait."""
        with self._lock:
            if self.has(digest):
                return True
            check = self._checks.get(digest)
            first = check is None
            if check is None:
                if len(self._checks) >= MOST_HASHES_WAITING:
                    raise TooEarly("Too many people sign in at this moment: try again in a second.", 1)
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


def client_of(address: str) -> str:
    """Return an IP address as the slow-down counts it: an IPv6 client has its whole /64 to choose from."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or IPv6Network((int(ip) >> 64 << 64, 64)))
    return str(ip)


def _by_token(reader: Reader, name: str | None, secret: str) -> Proof | None:
    """Take the secret as an app password: alone, or with the address of the user whose it is."""
    if name is not None and not secret.startswith(TOKEN_PREFIX):
        return None
    credential = accounts.find_token(reader, secret)
    user = None if credential is None else accounts.get_user(reader, credential.user)
    if credential is None or user is None or (name is not None and accounts.normal_address(name) != user.address):
        return None
    return Proof(user, credential)


def _by_name(reader: Reader, name: str) -> _Candidate:
    """Find whose password it would have to be."""
    user = accounts.find_user(reader, name)
    credential = None if user is None else accounts.password_of(reader, user)
    return _Candidate(None if user is None or credential is None else Proof(user, credential))
