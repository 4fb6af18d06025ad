"""An address book of 10,000 cards in a store of its own: how fast it is filled and asked (RFC 9610).

Each number is over HTTP with one connection, so that it holds an empty request too.
"""

import random
import time
from collections.abc import Iterator
from itertools import islice
from statistics import median
from typing import Any

from tests.bench.client import Client, refuse
from tests.bench.mail import fresh
from tests.bench.report import CARDS_BY_NAME, CARDS_BY_TEXT, CARDS_MADE

CARDS, AT_ONCE, SHOWN, RUNS = 10_000, 500, 50, 100
SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "ra", "se", "to", "vi", "za", "jo", "ha", "an", "el", "is", "or")
BY_NAME = [{"property": "name/surname"}, {"property": "name/given"}]


def cards(book: str) -> Iterator[dict[str, Any]]:
    """Cards of about 800 octets, the same every time."""
    chance = random.Random(1)

    def word(syllables: int) -> str:
        return "".join(chance.choices(SYLLABLES, k=syllables)).capitalize()

    while True:
        given, surname = word(2), word(3)
        parts = [{"kind": "given", "value": given}, {"kind": "surname", "value": surname}]
        street = [{"kind": "name", "value": f"{word(3)} Street"}, {"kind": "locality", "value": word(2)}]
        yield {
            "addressBookIds": {book: True},
            "name": {"components": parts, "isOrdered": True},
            "emails": {
                "e1": {"address": f"{given}.{surname}@example.com"},
                "e2": {"address": f"{given}@{surname}.example"},
            },
            "phones": {"p1": {"number": f"tel:+1-555-{chance.randrange(10**7):07}"}},
            "addresses": {"a1": {"components": street, "isOrdered": True}},
            "organizations": {"o1": {"name": f"{word(2)} Ltd", "units": [{"name": "Sales"}]}},
            "notes": {"n1": {"note": " ".join(word(2) for _ in range(12))}},
        }


def asked() -> dict[str, float]:
    """Cards made per second, and the median of a list of 50 by part of a name and by a word that every card has."""
    with fresh(policy="off") as (_, client):
        (books,) = client.ask(("AddressBook/get", {"accountId": client.account_id}))
        stream = cards(books["list"][0]["id"])
        started = time.perf_counter()
        for _ in range(CARDS // AT_ONCE):
            create = {f"k{number}": card for number, card in enumerate(islice(stream, AT_ONCE))}
            client.ask(("ContactCard/set", {"accountId": client.account_id, "create": create}))
        made = CARDS / (time.perf_counter() - started)
        lists = {CARDS_BY_NAME: {"name": "Bake"}, CARDS_BY_TEXT: {"text": "example"}}
        return {CARDS_MADE: made, **{name: listed(client, condition) for name, condition in lists.items()}}


def listed(client: Client, condition: dict[str, Any]) -> float:
    """Milliseconds of a query with its total and the cards it finds."""
    account = {"accountId": client.account_id}
    query = {**account, "filter": condition, "sort": BY_NAME, "limit": SHOWN, "calculateTotal": True}
    ids = {"resultOf": "0", "name": "ContactCard/query", "path": "/ids"}
    call = client.request(("ContactCard/query", query), ("ContactCard/get", {**account, "#ids": ids}))
    samples = []
    for _ in range(RUNS):
        started = time.perf_counter()
        answer = client.send(call)
        samples.append((time.perf_counter() - started) * 1000)
        refuse(answer)
    return median(samples)
