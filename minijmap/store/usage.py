"""What an account uses of what it may use: counters that are kept in the transaction of whatever changes them.

Owns the numbers (`usage`), and that they stay below the limits that the account has (`quota`, whose rows are Quota
objects, RFC 9425; who sets them is `limits`). `minijmap check` makes the numbers anew and compares. Must not know what
an object means: a resource is octets, or objects of a type whose number is limited.
"""

from minijmap.store.database import Reader, Transaction

QUOTA = "Quota"
"""The type under which a change of a number is announced."""
OCTETS = "octets"
"""The resource: octets of blobs that objects of the account refer to, each blob once."""
UPLOADS = "uploads"
"""What is counted of uploads that nothing of the account refers to (see `blobs`); it is no Quota."""


class OverQuota(Exception):
    """An account would use more than it may. The text is a sentence."""


def used(reader: Reader, account: int, resource: str) -> int:
    """Return how much of a resource an account uses."""
    return int(
        reader.value("SELECT used FROM usage WHERE account = ? AND resource = ?", (account, resource)) or 0,
    )


def add(tx: Transaction, account: int, resource: str, amount: int, *, enforced: bool = True) -> None:
    """Note that an account uses more of a resource, or less (`amount` < 0). Raises OverQuota, with nothing written.

    With `enforced=False` the limit may be passed: it is for what the server itself has to tell somebody.
    """
    if not amount:
        return
    row = tx.one(
        "SELECT q.key, q.hard_limit, coalesce(u.used, 0) FROM quota AS q "
        "LEFT JOIN usage AS u ON u.account = q.account AND u.resource = q.resource "
        "WHERE q.account = ? AND q.resource = ?",
        (account, resource),
    )
    if row is not None:
        key, limit, before = row
        # RFC 9425 §4.1: objects may not be created or updated if the hard limit is reached.
        if enforced and amount > 0 and before + amount > limit:
            raise OverQuota(_sentence(resource, amount, before, limit))
        mark(tx, account, key)
    tx.execute(
        "INSERT INTO usage (account, resource, used) VALUES (?, ?, ?) "
        "ON CONFLICT (account, resource) DO UPDATE SET used = used + excluded.used",
        (account, resource, amount),
    )


def count(tx: Transaction, account: int, resource: str, most: int) -> None:
    """Note one object more of a type of which an account may have `most`. Raises OverQuota."""
    if tx.value("SELECT hard_limit FROM quota WHERE account = ? AND resource = ?", (account, resource)) != most:
        put(tx, account, resource, most)
    add(tx, account, resource, 1)


def put(tx: Transaction, account: int, resource: str, limit: int) -> None:
    """Give an account a limit for a resource, in place of the one that it has."""
    modseq = tx.next_modseq(account)
    tx.execute(
        "INSERT INTO quota (account, created, changed, reshaped, resource, hard_limit) VALUES (?1, ?2, ?2, ?2, ?3, ?4) "
        "ON CONFLICT (account, resource) DO UPDATE SET changed = ?2, reshaped = ?2, hard_limit = ?4",
        (account, modseq, resource, limit),
    )
    tx.touch(account, QUOTA, modseq)


def mark(tx: Transaction, account: int, key: int) -> None:
    """Note that what a Quota shows as used has changed: that is all /changes tells of it (RFC 9425 §4.3)."""
    modseq = tx.next_modseq(account)
    tx.execute("UPDATE quota SET changed = ? WHERE key = ?", (modseq, key))
    tx.touch(account, QUOTA, modseq)


def is_full(reader: Reader, account: int) -> bool:
    """Say whether an account has no room for a single octet more."""
    return bool(
        reader.value(
            "SELECT u.used >= q.hard_limit FROM quota AS q JOIN usage AS u "
            "ON u.account = q.account AND u.resource = q.resource WHERE q.account = ? AND q.resource = ?",
            (account, OCTETS),
        )
    )


def forget(tx: Transaction, account: int) -> None:
    """Remove the numbers and limits of an account that is about to be removed; nobody is told."""
    for table in ("quota", "usage", "quota_setting"):
        tx.execute(f"DELETE FROM {table} WHERE account = ?", (account,))


def _sentence(resource: str, amount: int, before: int, limit: int) -> str:
    if resource == OCTETS:
        return f"The account may use {limit} octets: it uses {before}, and this would add {amount}."
    return f"An account may have {limit} objects of the type {resource}."
