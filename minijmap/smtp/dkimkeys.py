"""The keys that sign mail (RFC 6376 §3.6, RFC 8463): two for each domain, made when they are first needed.

Owns their rows, their names and their turns. A key is `active` while it signs; a `next` one is published before it
does; a `retired` one stays published while mail that it signed may still be on its way. Must not know what is signed.
"""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from minijmap.smtp.dkimsign import SigningKey
from minijmap.store.database import Database, Reader, Transaction

RSA, ED25519 = "rsa-sha256", "ed25519-sha256"
RSA_BITS = 2048  # RFC 8301 §3.2
NEXT, ACTIVE, RETIRED = "next", "active", "retired"
ED25519_SUFFIX = "-ed25519"
MOST_GENERATIONS = 10_000
MOST_STRING = 250


class NoKeys(Exception):
    """A domain has no keys; the sentence says how it gets some."""


@dataclass(frozen=True)
class Key:
    """A key, but for what is secret of it. `at` in milliseconds."""

    selector: str
    domain: str
    algorithm: str
    public: str
    state: str
    at: int

    @property
    def record_name(self) -> str:
        """Return where its record is (RFC 6376 §3.6.2.1), without the last dot."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """Return what its TXT record says (RFC 6376 §3.6.1, RFC 8463 §4)."""
        return f"v=DKIM1; k={'rsa' if self.algorithm == RSA else 'ed25519'}; p={self.public}"

    @property
    def zone_line(self) -> str:
        """Return the record as a line of a zone file, its text in strings that are short enough (RFC 1035 §3.3)."""
        pieces = [self.record[at : at + MOST_STRING] for at in range(0, len(self.record), MOST_STRING)]
        words = " ".join(f'"{piece}"' for piece in pieces)
        return f"{self.record_name}. IN TXT {words} ; {self.state}"


def keys(reader: Reader, domain: str | None = None) -> list[Key]:
    """Return the keys of a domain (in A-labels), or all of them, the oldest first."""
    rows = reader.all(
        "SELECT selector, domain, algorithm, public, state, at FROM dkim_key WHERE ?1 IS NULL OR domain = ?1 "
        "ORDER BY domain, key",
        (domain,),
    )
    return [Key(*row) for row in rows]


def ensure(database: Database, domain: str, selector: str, now: int) -> list[Key]:
    """Return a domain's active keys, made now if there are none. `now` in milliseconds."""
    with database.read() as reader:
        found = [one for one in keys(reader, domain) if one.state == ACTIVE]
    if found:
        return found
    pair = _make_pair()

    def job(tx: Transaction) -> list[Key]:
        if not _active(tx, domain):  # somebody else may have been faster
            _insert(tx, domain, _free(tx, domain, selector), pair, ACTIVE, now)
        return [one for one in keys(tx, domain) if one.state == ACTIVE]

    return database.write(job)


def prepare(database: Database, domain: str, selector: str, now: int) -> list[Key]:
    """Make the keys that come next, unless there are some; return them."""
    pair = _make_pair()

    def job(tx: Transaction) -> list[Key]:
        if not any(one.state == NEXT for one in keys(tx, domain)):
            _insert(tx, domain, _free(tx, domain, selector), pair, NEXT, now)
        return [one for one in keys(tx, domain) if one.state == NEXT]

    return database.write(job)


def rotate(database: Database, domain: str, selector: str, now: int) -> list[Key]:
    """Have the next keys sign from now on, and retire those that did; return the active ones."""
    prepare(database, domain, selector, now)

    def job(tx: Transaction) -> list[Key]:
        tx.execute(
            "UPDATE dkim_key SET at = ?, state = CASE state WHEN ? THEN ? ELSE ? END WHERE domain = ? AND state != ?",
            (now, NEXT, ACTIVE, RETIRED, domain, RETIRED),
        )
        return [one for one in keys(tx, domain) if one.state == ACTIVE]

    return database.write(job)


class Signers:
    """The active keys of each domain, ready to sign."""

    def __init__(self, database: Database, selector: str, clock: Callable[[], float]) -> None:
        """`selector` is what the first keys of a domain are called; `clock` gives seconds."""
        self._database = database
        self._selector = selector
        self._clock = clock
        self._loaded: dict[int, SigningKey] = {}

    def of(self, domain: str) -> list[SigningKey]:
        """Return what signs for a domain (in A-labels), made if it is the first time."""
        with self._database.read() as reader:
            numbers = _active(reader, domain)
        if not numbers:
            ensure(self._database, domain, self._selector, int(self._clock() * 1000))
            with self._database.read() as reader:
                numbers = _active(reader, domain)
        missing = [number for number in numbers if number not in self._loaded]
        if missing:
            with self._database.read() as reader:
                rows = [
                    (number, reader.one("SELECT selector, algorithm, secret FROM dkim_key WHERE key = ?", (number,)))
                    for number in missing
                ]
            self._loaded.update({number: _signing_key(*row) for number, row in rows if row is not None})
        return [self._loaded[number] for number in numbers if number in self._loaded]


def _active(reader: Reader, domain: str) -> list[int]:
    rows = reader.all("SELECT key FROM dkim_key WHERE domain = ? AND state = ? ORDER BY key", (domain, ACTIVE))
    return [row[0] for row in rows]


def _free(reader: Reader, domain: str, selector: str) -> str:
    """Return the selector, or with a number after it, so that it was never a key's before."""
    used = {one.selector for one in keys(reader, domain)}
    names = (selector if turn == 1 else f"{selector}-{turn}" for turn in range(1, MOST_GENERATIONS))
    return next(name for name in names if name not in used)


def _insert(
    tx: Transaction, domain: str, selector: str, pair: Iterable[tuple[str, bytes, str]], state: str, now: int
) -> None:
    for algorithm, secret, public in pair:
        name = selector if algorithm == RSA else selector + ED25519_SUFFIX
        tx.execute(
            "INSERT INTO dkim_key (domain, selector, algorithm, secret, public, state, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (domain, name, algorithm, secret, public, state, now),
        )


def _make_pair() -> list[tuple[str, bytes, str]]:
    """Make two keys: (algorithm, secret, public) each. Takes a good part of a second on a small machine."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    first = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    first_public = first.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    second = ed25519.Ed25519PrivateKey.generate()
    # RFC 8463 §4: the key's octets as they are, in no structure.
    second_public = second.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return [(RSA, _secret(first), _base64(first_public)), (ED25519, _secret(second), _base64(second_public))]


def _secret(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def _signing_key(selector: str, algorithm: str, secret: bytes) -> SigningKey:
    import hashlib

    from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    key = load_der_private_key(secret, None)
    if isinstance(key, rsa.RSAPrivateKey):
        return SigningKey(selector, algorithm, lambda octets: key.sign(octets, padding.PKCS1v15(), SHA256()))
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise NoKeys(f"The key {selector} is of no kind that signs mail.")
    # RFC 8463 §3: Ed25519 signs the hash.
    return SigningKey(selector, algorithm, lambda octets: key.sign(hashlib.sha256(octets).digest()))


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
