"""`minijmap dev`: a server to try things on, with people and mail in it."""

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minijmap.cli.data import Place, data_option
from minijmap.cli.running import listener_options, read_settings, run
from minijmap.store import accounts
from minijmap.store.database import Database, Transaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from minijmap.demo import DemoMessage


@click.command(short_help="Try it: a throwaway server with demo accounts and messages.")
@data_option
@listener_options
@click.pass_obj
def command(place: Place, /, **flags: str | None) -> None:
    """Run a throwaway server with demo accounts and messages, for looking around and for writing clients.

    It prints the accounts' addresses and passwords, a line for each listener, and then “ready”. Nothing is kept after
    it has stopped, unless --data DIR names a folder (MINIJMAP_DATA is not used here: demo accounts, whose passwords
    everybody knows, must not come to real mail by accident). A folder that has people in it already is served as it is.

    Nothing leaves the machine: mail to anybody else is kept in the sender's mailbox “Sent to the outside”, with its
    envelope, and counts as delivered.

    It is strict: a request must name every capability it uses, and may have no unknown arguments.
    """
    settings = read_settings(place.named, None, os.environ, flags, {"strict_using": True, "policy": "off"})
    if settings.dns_server is not None:
        # Without one, mail is not judged: the world's DNS is not asked about mail that somebody plays with.
        settings = read_settings(place.named, None, os.environ, flags, {"strict_using": True})
    demo = _Demo()
    if place.named is not None:
        run(settings, place.named, prepare=demo.fill, lines=demo.lines, capturing=True)
        return
    with tempfile.TemporaryDirectory(prefix="minijmap-dev-") as folder:
        run(settings, Path(folder), prepare=demo.fill, lines=demo.lines, capturing=True)


class _Demo:
    """The demo accounts and messages; `lines` says who can sign in."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def fill(self, database: Database) -> None:
        """Add everything to an empty database."""
        from minijmap import users
        from minijmap.demo import DEMO_ACCOUNTS, demo_cards, demo_messages

        with database.read() as reader:
            there = {user.address for user in accounts.users(reader)}
        now = int(time.time() * 1000)
        if not there:
            first, *_ = [users.add_user(database, one.address, one.name, one.password, now) for one in DEMO_ACCOUNTS]
            _add_messages(database, first.account, demo_messages(now_ms=now))
            _add_cards(database, first.account, demo_cards(), now)
        self.lines += [
            f"account  {one.address}  password  {one.password}"
            for one in DEMO_ACCOUNTS
            if not there or one.address in there
        ]


def _add_messages(database: Database, account: int, messages: "Iterable[DemoMessage]") -> None:
    from minijmap.mail import counts, ingest

    def job(tx: Transaction) -> None:
        # Each is parsed here, not all of them before: nobody waits for the writer yet, and memory does not grow.
        added = [
            ingest.add(
                tx,
                account,
                ingest.parse(message.raw),
                mailboxes=[counts.mailbox_with_role(tx, account, message.folder_role) or ingest.inbox(tx, account)],
                keywords=message.keywords,
                received_at=message.received_at,
            )
            for message in messages
        ]
        counts.recount(tx, account, sorted({one.thread for one in added}))

    database.write(job)


def _add_cards(database: Database, account: int, demo_cards: "Iterable[dict[str, Any]]", now: int) -> None:
    from minijmap.contacts import addressbook, cards

    def job(tx: Transaction) -> None:
        book = addressbook.default_book(tx, account)
        for card in demo_cards:
            cards.add_card(tx, account, card, [book], now)

    database.write(job)
