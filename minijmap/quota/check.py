"""Checking counts of objects: each is made anew and compared. What blobs use is checked with the store's own tables.

Yields one sentence for each thing that is wrong.
"""

from collections.abc import Iterable, Iterator

from minijmap.jmap.datatype import DataType
from minijmap.store.database import Reader


def problems(reader: Reader, types: Iterable[DataType]) -> Iterator[str]:
    """Yield what is wrong with the counts of types whose objects are limited in number."""
    for one in types:
        place = one.collection
        if place.most is None:
            continue
        fresh = dict(reader.all(f"SELECT account, count(*) FROM {place.table} GROUP BY account"))
        kept = dict(reader.all("SELECT account, used FROM usage WHERE resource = ?", (place.type_name,)))
        for account in sorted(fresh.keys() | kept.keys()):
            if fresh.get(account, 0) != kept.get(account, 0):
                yield (
                    f"Account a{account} has {fresh.get(account, 0)} objects of the type {place.type_name}, "
                    f"and {kept.get(account, 0)} are noted."
                )
