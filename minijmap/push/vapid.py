"""VAPID: the key by which push services know this server (RFC 8292), and what a client is told of it (RFC 9749).

Owns the key's rows, the capability and the tokens. The newest key is the one that is announced. A key that was replaced
signs on for the subscriptions that were made under it (RFC 9749 §4), until they are gone (see `subscriptions`). Must
not know what is sent.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from minijmap.jmap.session import Capability
from minijmap.push import p256
from minijmap.store.database import Database, Reader, Transaction

WEBPUSH_VAPID = "urn:ietf:params:jmap:webpush-vapid"
TOKEN_SECONDS = 12 * 3600
"""How long a token holds: at most 24 hours (RFC 8292 §2), even by the clock of a push service that is hours late."""
RENEW_SECONDS = 3600
MOST_TOKENS = 256


@dataclass(frozen=True)
class Key:
    """A key. `number` is its key in the store; the times are in milliseconds."""

    number: int
    secret: bytes = field(repr=False)
    public: bytes
    made_at: int
    retired_at: int | None

    @property
    def text(self) -> str:
        """Return the public key as clients and push services see it (RFC 9749 §3, RFC 8292 §3.2)."""
        return p256.encode(self.public)


def keys(reader: Reader) -> list[Key]:
    """Return all keys, the newest first."""
    rows = reader.all("SELECT key, secret, public, made_at, retired_at FROM vapid_key ORDER BY key DESC")
    return [Key(*row) for row in rows]


def ensure(database: Database) -> Key:
    """Return the newest key, made now if there is none."""
    with database.read() as reader:
        found = keys(reader)
    # Another process may have been faster, or is: the writer decides.
    return found[0] if found else database.write(lambda tx: next(iter(keys(tx)), None) or make(tx))


def make(tx: Transaction) -> Key:
    """Make a new key, and retire those there are."""
    secret, now = p256.make_secret(), int(tx.clock() * 1000)
    tx.execute("UPDATE vapid_key SET retired_at = ? WHERE retired_at IS NULL", (now,))
    tx.execute(
        "INSERT INTO vapid_key (secret, public, made_at) VALUES (?, ?, ?)", (secret, p256.public_of(secret), now)
    )
    return keys(tx)[0]


class Announced:
    """The key that clients are told, as the Session says it at this moment. Safe to use from any thread."""

    def __init__(self) -> None:
        self._key: Key | None = None

    @property
    def key(self) -> Key:
        """Return it. There is none before `open`."""
        if self._key is None:
            raise RuntimeError("The store has not been opened.")
        return self._key

    def open(self, database: Database) -> None:
        """Read the key, or make the first one."""
        self._key = ensure(database)

    def refresh(self, reader: Reader) -> None:
        """Read it again: another process may have replaced it."""
        found = keys(reader)
        if found:
            self._key = found[0]

    def key_for(self, tx: Transaction) -> Key:
        """Return the key for a new subscription: the one that its client was told (RFC 9749 §4), if it still exists."""
        if not tx.value("SELECT 1 FROM vapid_key WHERE key = ?", (self.key.number,)):
            self.refresh(tx)
        return self.key

    def capability(self) -> Capability:
        """Return the capability (RFC 9749 §3)."""
        return Capability(WEBPUSH_VAPID, self._describe)

    def _describe(self) -> Mapping[str, Any]:
        return {"applicationServerKey": self.key.text}


class Tokens:
    """Signs for push services: a token for each origin, used again while it holds. For any thread."""

    def __init__(self, clock: Callable[[], float], contact: str | None) -> None:
        """`clock` gives seconds since the epoch; `contact` is a mailto: or https: URI (RFC 8292 §2.1)."""
        self._clock = clock
        self._contact = contact
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int, str], tuple[float, str]] = OrderedDict()

    def authorization(self, key: Key, origin: str) -> str:
        """Return the value of the Authorization header for a request to an origin (RFC 8292 §3)."""
        now = self._clock()
        with self._lock:
            ends, value = self._known.get((key.number, origin), (0.0, ""))
            if not RENEW_SECONDS < ends - now <= TOKEN_SECONDS:
                ends = now + TOKEN_SECONDS
                value = f"vapid t={self._sign(key, origin, int(ends))},k={key.text}"
                self._known[key.number, origin] = (ends, value)
            self._known.move_to_end((key.number, origin))
            while len(self._known) > MOST_TOKENS:
                self._known.popitem(last=False)
        return value

    def _sign(self, key: Key, origin: str, ends: int) -> str:
        """Return a JWT (RFC 7519 §3.1) signed by ES256 (RFC 7518 §3.4)."""
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        claims: dict[str, Any] = {"aud": origin, "exp": ends}
        if self._contact is not None:
            claims["sub"] = self._contact
        signed = ".".join(p256.encode(orjson.dumps(part)) for part in ({"typ": "JWT", "alg": "ES256"}, claims))
        secret = ec.derive_private_key(int.from_bytes(key.secret, "big"), ec.SECP256R1())
        r, s = utils.decode_dss_signature(secret.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{p256.encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
