"""How much an account may keep: the household's limit, and those of single accounts.

Owns who has which limit, and that a Quota (see `usage`) comes, changes and goes with it. The household's limit is a
setting; it is written down here so that commands beside the server go by the same one.
"""

from minijmap.store import documents, usage
from minijmap.store.database import Reader, Transaction
from minijmap.store.documents import Collection

QUOTAS = Collection("quota", usage.QUOTA)
HOUSEHOLD = 0
"""In the place of an account's key: the limit of all accounts that have none of their own."""


def set_household(tx: Transaction, octets: int) -> None:
    """Set how many octets each account may keep that has no limit of its own; 0 is no limit."""
    if _setting(tx, HOUSEHOLD) == octets:
        return
    _set(tx, HOUSEHOLD, octets)
    for (account,) in tx.all("SELECT key FROM account ORDER BY key"):
        apply(tx, account)


def set_own(tx: Transaction, account: int, octets: int | None) -> None:
    """Give an account a limit of its own, 0 for none; None leaves it to the household's again."""
    _set(tx, account, octets)
    apply(tx, account)


def own(reader: Reader, account: int) -> int | None:
    """Return an account's own limit in octets: 0 is no limit, None that the household's holds."""
    return _setting(reader, account)


def limit(reader: Reader, account: int) -> int | None:
    """Return how many octets an account may keep, None if any number."""
    octets = _setting(reader, account)
    return (_setting(reader, HOUSEHOLD) if octets is None else octets) or None


def apply(tx: Transaction, account: int) -> None:
    """Have the account's Quota say what limit it has now; without a limit there is no Quota."""
    wanted = limit(tx, account)
    row = tx.one("SELECT key, hard_limit FROM quota WHERE account = ? AND resource = ?", (account, usage.OCTETS))
    if wanted is not None:
        if row is None or row[1] != wanted:
            usage.put(tx, account, usage.OCTETS, wanted)
    elif row is not None:
        documents.destroy(tx, QUOTAS, account, row[0])


def _setting(reader: Reader, account: int) -> int | None:
    octets = reader.value("SELECT octets FROM quota_setting WHERE account = ?", (account,))
    return None if octets is None else int(octets)


def _set(tx: Transaction, account: int, octets: int | None) -> None:
    tx.execute("DELETE FROM quota_setting WHERE account = ?", (account,))
    if octets is not None:
        tx.execute("INSERT INTO quota_setting (account, octets) VALUES (?, ?)", (account, octets))
