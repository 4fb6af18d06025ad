"""Push subscriptions as rows: what is sent where, what each client knows already, and what becomes of failures.

Owns the table. What a client has been told is kept as states (and, for EmailPush, as the last Email that was judged),
so that nothing is lost by a restart, and what is pushed next is always the difference. Must not know HTTP, nor JMAP's
verbs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from minijmap.jmap.session import Login, login_of
from minijmap.push import p256, vapid
from minijmap.push.webpush import ClientKeys
from minijmap.store import accounts
from minijmap.store.database import Changes, Reader, Transaction

NEW, ASKED, VERIFIED = "new", "asked", "verified"
PREFIX = "P"
GIVE_UP_MILLISECONDS = 24 * 3600 * 1000
"""For how long a push service may fail before its subscription is dropped."""
TRANSITION_MILLISECONDS = 7 * 24 * 3600 * 1000
"""For how long subscriptions live on whose VAPID key was replaced (RFC 9749 §5)."""


@dataclass(frozen=True)
class Pushed:
    """What a client knows: states, and for each account the key of the last Email that was judged for EmailPush."""

    states: Changes = field(default_factory=dict)
    emails: dict[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> "Pushed":
        """Read what `dump` has written."""
        value = orjson.loads(text)
        return cls(
            {int(account): types for account, types in value["states"].items()},
            {int(account): key for account, key in value["emails"].items()},
        )

    def dump(self) -> str:
        """Return it as the column keeps it."""
        return orjson.dumps({"states": self.states, "emails": self.emails}, option=orjson.OPT_NON_STR_KEYS).decode()

    def joined(self, more: "Pushed") -> "Pushed":
        """Return what a client knows that knows both."""
        states = {account: dict(types) for account, types in self.states.items()}
        for account, types in more.states.items():
            known = states.setdefault(account, {})
            known.update({name: max(modseq, known.get(name, 0)) for name, modseq in types.items()})
        emails = dict(self.emails)
        for account, key in more.emails.items():
            emails[account] = max(key, emails.get(account, 0))
        return Pushed(states, emails)


@dataclass(frozen=True)
class Subscription:
    """A subscription as the sender sees it. Times are in milliseconds."""

    key: int
    user: int
    vapid: int
    url: str = field(repr=False)
    keys: ClientKeys | None = field(repr=False)
    code: str = field(repr=False)
    phase: str
    expires: int
    pushed: Pushed
    failures: int
    next_attempt: int
    types: frozenset[str] | None
    email_push: Mapping[str, Mapping[str, Any]]

    @property
    def subscription_id(self) -> str:
        """Return its id."""
        return f"{PREFIX}{self.key}"


def client_keys(value: Mapping[str, str] | None) -> ClientKeys | None:
    """Return a subscription's keys, from their checked form on the wire."""
    return None if value is None else ClientKeys(p256.decode(value["p256dh"]), p256.decode(value["auth"]))


def load(reader: Reader, key: int, now: int) -> Subscription | None:
    """Return a subscription that something may be sent to, or None."""
    row = reader.one(
        "SELECT user, vapid, url, keys, code, phase, expires, pushed, failures, next_attempt, doc "
        "FROM push_subscription WHERE key = ? AND expires > ? AND phase != ?",
        (key, now, ASKED),
    )
    if row is None:
        return None
    user, of_key, url, keys, code, phase, expires, pushed, failures, next_attempt, doc = row
    document = orjson.loads(doc)
    types = document["types"]
    return Subscription(
        key=key,
        user=user,
        vapid=of_key,
        url=url,
        keys=client_keys(None if keys is None else orjson.loads(keys)),
        code=code,
        phase=phase,
        expires=expires,
        pushed=Pushed.read(pushed),
        failures=failures,
        next_attempt=next_attempt,
        types=None if types is None else frozenset(types),
        email_push=document["emailPush"] or {},
    )


def logins(reader: Reader) -> list[Login]:
    """Return a login of everybody who has subscriptions."""
    found = [accounts.get_user(reader, user) for (user,) in reader.all("SELECT DISTINCT user FROM push_subscription")]
    return [login_of(user) for user in found if user is not None]


def of_user(reader: Reader, user: int, now: int) -> list[int]:
    """Return the keys of a user's subscriptions that something may be sent to."""
    rows = reader.all(
        "SELECT key FROM push_subscription WHERE user = ? AND expires > ? AND phase != ?", (user, now, ASKED)
    )
    return [key for (key,) in rows]


# What becomes of them


def take_new(tx: Transaction, keys: Iterable[int]) -> set[int]:
    """Note that the code is being sent, and return to which: it is sent once, whatever happens (RFC 9749 §6)."""
    return {
        key
        for key in keys
        if tx.execute("UPDATE push_subscription SET phase = ? WHERE key = ? AND phase = ?", (ASKED, key, NEW)).rowcount
    }


def judged(tx: Transaction, key: int, emails: Mapping[int, int]) -> None:
    """Note up to which Email of each account mail has been looked at that the client does not want to hear of."""
    text = tx.value("SELECT pushed FROM push_subscription WHERE key = ?", (key,))
    if text is not None:
        known = Pushed.read(text).joined(Pushed(emails=dict(emails)))
        tx.execute("UPDATE push_subscription SET pushed = ? WHERE key = ?", (known.dump(), key))


def delivered(tx: Transaction, key: int, told: Pushed, next_attempt: int) -> None:
    """Note that a push was taken. The client may have changed the subscription meanwhile, or destroyed it."""
    text = tx.value("SELECT pushed FROM push_subscription WHERE key = ?", (key,))
    if text is not None:
        tx.execute(
            "UPDATE push_subscription SET pushed = ?, failing_since = NULL, failures = 0, next_attempt = ? "
            "WHERE key = ?",
            (Pushed.read(text).joined(told).dump(), next_attempt, key),
        )


def failed(tx: Transaction, key: int, now: int, next_attempt: int) -> bool:
    """Note that a push was not taken. After a day of that the subscription is dropped: then the answer is True."""
    since = tx.value("SELECT coalesce(failing_since, ?) FROM push_subscription WHERE key = ?", (now, key))
    if since is None:
        return False
    if now - since >= GIVE_UP_MILLISECONDS:
        destroy(tx, [key])
        return True
    tx.execute(
        "UPDATE push_subscription SET failing_since = ?, failures = failures + 1, next_attempt = ? WHERE key = ?",
        (since, next_attempt, key),
    )
    return False


def destroy(tx: Transaction, keys: Iterable[int]) -> int:
    """Remove subscriptions for good; return how many there were. What is deleted is overwritten (RFC 8620 §7.2)."""
    return sum(tx.execute("DELETE FROM push_subscription WHERE key = ?", (key,)).rowcount for key in keys)


def rotate(tx: Transaction, *, at_once: bool = False) -> int:
    """Make a new VAPID key; return how many subscriptions are destroyed for it (RFC 9749 §5).

    Subscriptions that were made under the old key get their pushes under it for a week, unless it is to go `at_once`.
    """
    new = vapid.make(tx)
    if not at_once:
        return 0
    gone = tx.execute("DELETE FROM push_subscription WHERE vapid != ?", (new.number,)).rowcount
    tx.execute("DELETE FROM vapid_key WHERE key != ?", (new.number,))
    return gone


def upkeep(tx: Transaction) -> None:
    """Destroy what has expired, and the subscriptions of VAPID keys that were replaced a week ago, and such keys."""
    now = int(tx.clock() * 1000)
    tx.execute("DELETE FROM push_subscription WHERE expires <= ?", (now,))
    tx.execute(
        "DELETE FROM push_subscription WHERE vapid IN (SELECT key FROM vapid_key WHERE retired_at <= ?)",
        (now - TRANSITION_MILLISECONDS,),
    )
    tx.execute(
        "DELETE FROM vapid_key WHERE retired_at IS NOT NULL AND key NOT IN (SELECT vapid FROM push_subscription)"
    )


# For whoever runs the server


@dataclass(frozen=True)
class Line:
    """A subscription in a list. Of its URL only the origin is told; the times are in milliseconds."""

    key: int
    address: str
    label: str | None
    device: str
    url: str = field(repr=False)
    phase: str
    expires: int
    failing_since: int | None

    @property
    def subscription_id(self) -> str:
        """Return its id."""
        return f"{PREFIX}{self.key}"


def count_under(reader: Reader, key: vapid.Key) -> int:
    """Return how many subscriptions are made under a VAPID key."""
    return int(reader.value("SELECT count(*) FROM push_subscription WHERE vapid = ?", (key.number,)))


def lines(reader: Reader, address: str | None = None) -> list[Line]:
    """Return everybody's subscriptions, or those of one user."""
    rows = reader.all(
        "SELECT p.key, u.address, c.label, p.doc ->> '$.deviceClientId', p.url, p.phase, p.expires, p.failing_since "
        "FROM push_subscription AS p JOIN user AS u ON u.key = p.user JOIN credential AS c ON c.key = p.credential "
        "WHERE ?1 IS NULL OR u.address = ?1 ORDER BY u.address, p.key",
        (None if address is None else accounts.normal_address(address),),
    )
    return [Line(*row) for row in rows]
