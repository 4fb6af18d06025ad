"""An address book of 10,000 cards in a store of its own: how fast it is filled, asked and imported (RFC 9610, RFC 6350).

Each number is over HTTP with one connection, so that it holds an empty request too; but for the import, which is the
command's, start and end included.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import server
from tests.bench.client import Client, refuse
from tests.bench.mail import fresh
from tests.bench.report import CARDS_BY_NAME, CARDS_BY_TEXT, CARDS_IMPORTED, CARDS_MADE

CARDS, AT_ONCE, SHOWN, RUNS = 10_000, 500, 50, 100
SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "ra", "se", "to", "vi", "za", "jo", "ha", "an", "el", "is", "or")
BY_NAME = [{"property": "name/surname"}, {"property": "name/given"}]


def name(chance: random.Random, syllables: int) -> str:
    """A word that might be a name."""
    return "".join(chance.choices(SYLLABLES, k=syllables)).capitalize()


def cards(book: str) -> Iterator[dict[str, Any]]:
    """Cards of about 800 octets, the same every time."""
    chance = random.Random(1)

    def word(syllables: int) -> str:
        return name(chance, syllables)

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


def vcards() -> Iterator[str]:
    """The same kind of people as a program on somebody's desk exports them: 20 lines of vCard 3.0, about 730 octets."""
    chance = random.Random(1)

    def word(syllables: int) -> str:
        return name(chance, syllables)

    while True:
        given, middle, surname = word(2), word(2), word(3)
        lines = (
            f"N:{surname};{given};{middle};;",
            f"FN:{given} {middle} {surname}",
            f"NICKNAME:{word(1)}",
            f"ORG:{word(2)} Ltd;Sales;",
            f"TITLE:{word(2)} manager",
            f"EMAIL;type=INTERNET;type=HOME;type=pref:{given}.{surname}@example.com",
            f"EMAIL;type=INTERNET;type=WORK:{given}@{surname}.example",
            f"TEL;type=CELL;type=VOICE;type=pref:+1 (555) {chance.randrange(1000):03}-{chance.randrange(10_000):04}",
            f"TEL;type=WORK;type=VOICE:+49 30 {chance.randrange(10**7):07}",
            f"item1.ADR;type=HOME;type=pref:;;{chance.randrange(200)} {word(3)} Street;{word(2)};{word(1)};12345;{word(2)}",
            "item1.X-ABADR:de",
            f"item2.URL;type=pref:https\\://{surname.lower()}.example/{given.lower()}",
            "item2.X-ABLabel:_$!<HomePage>!$_",
            f"BDAY:{chance.randrange(1940, 2010)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}",
            f"NOTE:{' '.join(word(2) for _ in range(12))}",
            "CATEGORIES:Friends,Club",
            f"REV:2024-{chance.randrange(1, 13):02}-11T10:11:12Z",
            f"UID:{chance.getrandbits(128):032X}:ABPerson",
        )
        head = ("BEGIN:VCARD", "VERSION:3.0", "PRODID:-//Somebody//A program 14.2//EN")
        yield "\r\n".join((*head, *lines, "END:VCARD", ""))


def imported() -> dict[str, float]:
    """Cards per second of `minijmap import`, into an account that has none."""
    with tempfile.TemporaryDirectory(prefix="minijmap-bench-cards-") as folder:
        data, file = Path(folder, "data"), Path(folder, "book.vcf")
        server.run(data, "user", "add", server.ADDRESS, "--password-stdin", stdin=server.PASSWORD + "\n")
        file.write_bytes("".join(islice(vcards(), CARDS)).encode())
        return {CARDS_IMPORTED: CARDS / server.import_file(data, file, CARDS)}


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
