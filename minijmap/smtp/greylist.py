"""Greylisting: a stranger's first message is put off for a minute, for who sends junk seldom comes back (RFC 6647 §4).

Owns who was put off when, and whom that made known. A stranger is a triplet: the network of the client, the sender,
and the account of the recipient. Must not know who is never asked to wait, nor a reply.
"""

import ipaddress
from collections.abc import Callable

from minijmap.store.database import Database, Transaction

WAIT_MS = 60_000
KEEP_WAITING_MS = 24 * 3600 * 1000
"""How long who was put off may take to come back."""
KEEP_KNOWN_MS = 35 * 24 * 3600 * 1000
"""Longer than what comes once a month takes."""
RENEW_MS = 24 * 3600 * 1000
"""A use is written down once a day, so that not every message of somebody known costs a commit."""
MOST_ROWS = 50_000
"""Of those who wait, and as many of those who are known: neither can crowd out the other."""
MOST_OF_A_NETWORK = 1_000
"""Likewise for each; a client that makes up senders crowds out its own alone."""
V4_PREFIX = 24
V6_PREFIX = 64
EVERYBODY = 0
"""In the place of an account: known to all of them."""


class Greylist:
    """Who has to come back, and who has done so. Its methods wait for the disk."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """`clock` in seconds since the epoch."""
        self._database = database
        self._clock = clock

    def wait(self, peer: str, sender: str, account: int) -> int:
        """Return after how many seconds a client is to come back with a sender's mail for an account; 0: it is taken.

        `peer` is an IP address. Raises ValueError when it is none, and what the store raises.
        """
        key = (network(peer), sender.lower())
        now = int(self._clock() * 1000)
        with self._database.read() as reader:
            at = reader.value(f"{_AT} AND account = {EVERYBODY}", key)
        if at is not None and 0 <= now - at < RENEW_MS:
            return 0
        return self._database.write(lambda tx: _meet(tx, key, account, now))


_AT = "SELECT at FROM greylist WHERE network = ? AND sender = ?"


def _meet(tx: Transaction, key: tuple[str, str], account: int, now: int) -> int:
    known = tx.value(f"{_AT} AND account = {EVERYBODY}", key)
    if known is not None and now - known < KEEP_KNOWN_MS:
        _note(tx, key, EVERYBODY, now)
        return 0
    began: int | None = tx.value(f"{_AT} AND account = ?", (*key, account))
    # The wall clock may be set back: then the wait begins anew.
    if began is None or not 0 <= now - began < KEEP_WAITING_MS:
        _note(tx, key, account, now)
        began = now
    left = began + WAIT_MS - now
    if left > 0:
        return -(-left // 1000)
    tx.execute("DELETE FROM greylist WHERE network = ? AND sender = ? AND account = ?", (*key, account))
    _note(tx, key, EVERYBODY, now)
    return 0


def _note(tx: Transaction, key: tuple[str, str], account: int, now: int) -> None:
    tx.execute(
        "INSERT OR REPLACE INTO greylist (network, sender, account, at) VALUES (?, ?, ?, ?)", (*key, account, now)
    )
    is_waiting = account != EVERYBODY
    _make_room(tx, "(account > 0) = ?", (is_waiting,), MOST_ROWS)
    _make_room(tx, "(account > 0) = ? AND network = ?", (is_waiting, key[0]), MOST_OF_A_NETWORK)


def _make_room(tx: Transaction, where: str, values: tuple[object, ...], most: int) -> None:
    """Forget the oldest of some rows, until there are no more than `most`."""
    excess = tx.value(f"SELECT count(*) FROM greylist WHERE {where}", values) - most
    if excess > 0:
        tx.execute(
            "DELETE FROM greylist WHERE (network, sender, account) IN "
            f"(SELECT network, sender, account FROM greylist WHERE {where} ORDER BY at LIMIT ?)",
            (*values, excess),
        )


def forget_old(tx: Transaction) -> None:
    """Forget who did not come back in time, and who was not heard of for long."""
    now = int(tx.clock() * 1000)
    tx.execute("DELETE FROM greylist WHERE (account > 0) = 1 AND at <= ?", (now - KEEP_WAITING_MS,))
    tx.execute("DELETE FROM greylist WHERE (account > 0) = 0 AND at <= ?", (now - KEEP_KNOWN_MS,))


def network(address: str) -> str:
    """Return the network of an IP address: large senders try again from a neighbour. Raises ValueError."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 6:
        ip = ip.ipv4_mapped or ip
    return str(ipaddress.ip_network((ip, V4_PREFIX if ip.version == 4 else V6_PREFIX), strict=False))
