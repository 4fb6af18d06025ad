"""People: users, their accounts, their passwords and app passwords.

Owns the rows and how a secret is kept: scrypt for a password that a person chose, SHA-256 for an app password that we
made ourselves from 160 random bits. Must not know how a secret arrives (HTTP, SMTP) nor what an account holds.
"""

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass

from minijmap.store import limits, usage
from minijmap.store.database import Reader, Transaction

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 1
TOKEN_OCTETS = 20
TOKEN_PREFIX = "mj-"  # noqa: S105 - the public beginning of every app password, not a secret
MOST_SECRET_OCTETS = 1024
"""A longer password is refused before it is hashed."""


class NameTaken(Exception):
    """The address or the label is in use already."""


class UnknownName(Exception):
    """Nobody has the address, or the user has no app password of that label."""


@dataclass(frozen=True)
class User:
    """A person of the household: keys into the store, the address to sign in with, and a name."""

    key: int
    address: str
    name: str
    account: int


@dataclass(frozen=True)
class Credential:
    """A secret a user may sign in with. `label` is None for the password."""

    key: int
    user: int
    label: str | None
    secret: str


def normal_address(address: str) -> str:
    """Return the form addresses are compared in: lower case, without surrounding space."""
    return address.strip().lower()


def add_user(tx: Transaction, address: str, name: str, password: str, now: int) -> User:
    """Add a user with one account. Raises NameTaken. What the account starts with is the caller's."""
    address = normal_address(address)
    if tx.value("SELECT 1 FROM user WHERE address = ?", (address,)):
        raise NameTaken(f"There is a user {address} already.")
    tx.execute("INSERT INTO user (address, name, created_at) VALUES (?, ?, ?)", (address, name, now))
    user = int(tx.value("SELECT last_insert_rowid()"))
    tx.execute("INSERT INTO account (user, name) VALUES (?, ?)", (user, address))
    account = int(tx.value("SELECT last_insert_rowid()"))
    limits.apply(tx, account)
    tx.execute(
        "INSERT INTO credential (user, label, secret, created_at) VALUES (?, NULL, ?, ?)",
        (user, hash_password(password), now),
    )
    return User(user, address, name, account)


def users(reader: Reader) -> list[User]:
    """Return every user, in the order they were added."""
    rows = reader.all(
        "SELECT user.key, user.address, user.name, account.key FROM user JOIN account ON account.user = user.key "
        "ORDER BY user.key"
    )
    return [User(*row) for row in rows]


def find_user(reader: Reader, address: str) -> User | None:
    """Return the user who signs in with this address, or None."""
    row = reader.one(
        "SELECT user.key, user.address, user.name, account.key FROM user JOIN account ON account.user = user.key "
        "WHERE user.address = ?",
        (normal_address(address),),
    )
    return None if row is None else User(*row)


def user_of(reader: Reader, account: int) -> User | None:
    """Return the user whose account has this key, or None."""
    key = reader.value("SELECT user FROM account WHERE key = ?", (account,))
    return None if key is None else get_user(reader, key)


def get_user(reader: Reader, key: int) -> User | None:
    """Return the user with this key, or None."""
    address = reader.value("SELECT address FROM user WHERE key = ?", (key,))
    return None if address is None else find_user(reader, address)


def need_user(reader: Reader, address: str) -> User:
    """Return the user, or raise UnknownName with a sentence."""
    user = find_user(reader, address)
    if user is None:
        raise UnknownName(f"There is no user {normal_address(address)}.")
    return user


def remove_user(tx: Transaction, user: User) -> None:
    """Remove a user's own rows and the store's rows of the account. The types' rows are the caller's."""
    tx.execute("DELETE FROM credential WHERE user = ?", (user.key,))
    for table in ("state", "tombstone", "upload", "blob_use"):
        tx.execute(f"DELETE FROM {table} WHERE account = ?", (user.account,))
    usage.forget(tx, user.account)
    tx.execute("DELETE FROM account WHERE key = ?", (user.account,))
    tx.execute("DELETE FROM user WHERE key = ?", (user.key,))


def set_password(tx: Transaction, user: User, password: str) -> None:
    """Replace a user's password. What signed in with the old one stops working at once."""
    tx.execute("UPDATE credential SET secret = ? WHERE user = ? AND label IS NULL", (hash_password(password), user.key))


def add_token(tx: Transaction, user: User, label: str, now: int) -> str:
    """Make an app password and return it: it is kept as a digest only, so this is the one time it can be seen."""
    if tx.value("SELECT 1 FROM credential WHERE user = ? AND label = ?", (user.key, label)):
        raise NameTaken(
            f"{user.address} has an app password “{label}” already: revoke it first, or choose another label."
        )
    token = TOKEN_PREFIX + base64.b32encode(secrets.token_bytes(TOKEN_OCTETS)).decode().lower()
    tx.execute(
        "INSERT INTO credential (user, label, secret, created_at) VALUES (?, ?, ?, ?)",
        (user.key, label, hash_token(token), now),
    )
    return token


def tokens(reader: Reader, user: User) -> list[tuple[str, int]]:
    """Return (label, created_at in milliseconds) of a user's app passwords."""
    return [
        (label, created)
        for label, created in reader.all(
            "SELECT label, created_at FROM credential WHERE user = ? AND label IS NOT NULL ORDER BY key", (user.key,)
        )
    ]


def revoke_token(tx: Transaction, user: User, label: str) -> None:
    """Remove an app password. Raises UnknownName."""
    if not tx.execute("DELETE FROM credential WHERE user = ? AND label = ?", (user.key, label)).rowcount:
        raise UnknownName(f"{user.address} has no app password “{label}”.")


def password_of(reader: Reader, user: User) -> Credential | None:
    """Return the credential that holds a user's password."""
    row = reader.one("SELECT key, user, label, secret FROM credential WHERE user = ? AND label IS NULL", (user.key,))
    return None if row is None else Credential(*row)


def credentials(reader: Reader, user: User) -> list[int]:
    """Return the keys of all that a user may sign in with: the password and the app passwords."""
    return [row[0] for row in reader.all("SELECT key FROM credential WHERE user = ? ORDER BY key", (user.key,))]


def find_token(reader: Reader, token: str) -> Credential | None:
    """Return the credential of an app password, whoever's it is."""
    row = reader.one(
        "SELECT key, user, label, secret FROM credential WHERE secret = ? AND label IS NOT NULL", (hash_token(token),)
    )
    return None if row is None else Credential(*row)


def get_credential(reader: Reader, key: int) -> Credential | None:
    """Return a credential by its key: None once it is revoked."""
    row = reader.one("SELECT key, user, label, secret FROM credential WHERE key = ?", (key,))
    return None if row is None else Credential(*row)


def hash_password(password: str) -> str:
    """Hash a password for keeping: `scrypt$n$r$p$salt$hash`, the last two in base64."""
    salt = os.urandom(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
    encoded = (base64.b64encode(octets).decode() for octets in (salt, digest))
    return f"scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${'$'.join(encoded)}"


def check_password(password: str, secret: str) -> bool:
    """Say whether a password is the one that was hashed. Slow on purpose."""
    if len(password.encode(errors="replace")) > MOST_SECRET_OCTETS:
        return False
    kind, *fields = secret.split("$")
    if kind != "scrypt" or len(fields) != 5:
        return False
    n, r, p = (int(field) for field in fields[:3])
    salt, expected = (base64.b64decode(field) for field in fields[3:])
    found = hashlib.scrypt(password.encode(errors="replace"), salt=salt, n=n, r=r, p=p)
    return hmac.compare_digest(found, expected)


def hash_token(token: str) -> str:
    """Digest an app password: it is random, so no slow hash is needed."""
    return "sha256$" + hashlib.sha256(token.strip().encode(errors="replace")).hexdigest()
