"""`minijmap import`: messages and cards from files, and accounts from their export."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minijmap import heap
from minijmap.cli.data import Place, data_option, engine_of, opened
from minijmap.mail import archive

if TYPE_CHECKING:
    from minijmap.contacts.importing import Wish
    from minijmap.mail.importing import Progress
    from minijmap.store.accounts import User
    from minijmap.store.database import Database

TO_REPLACE = "--replace takes the file's."


@click.command("import", short_help="Import messages and cards: .eml, mbox, Maildir, .vcf.")
@data_option
@click.argument("address")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--mailbox", metavar="NAME", help="Put all messages there.  [default: as the folders are, else the Inbox]"
)
@click.option(
    "--book", metavar="NAME", help="Put new cards into that address book, made if need be.  [default: the default one]"
)
@click.option("--replace", is_flag=True, help="Have cards of the files replace those that are there, newer or not.")
@click.pass_obj
def command(
    place: Place, address: str, paths: tuple[Path, ...], mailbox: str | None, book: str | None, replace: bool
) -> None:
    """Import messages and cards into the account of ADDRESS.

    \b
    Messages: .eml files, mbox files, Maildirs.
    Cards:    .vcf files (vCard).
    Both:     folders of these; a folder that `minijmap export` has written.

    It takes what it can and goes on; what fails is named. Importing the same files again is safe: what is there already
    is left alone. A card is known by its UID: one that is there with other content is replaced if the file says that
    its own is newer (REV), and named if not. It works while the server runs and while it doesn't.
    """  # noqa: D301 - click's mark for lines that stay as they are
    from minijmap.store import accounts

    heap.give_back()  # ten photos of 20 MB: 227 MB at most, where it was 318
    found = _Found()
    for path in paths:
        found.add(path)
    _check_use(found, mailbox=mailbox is not None, book=book is not None, replace=replace)
    wish = _wish(book, replace=replace) if found.cards else None
    imported = there = failed = 0
    with opened(place) as database:
        with database.read() as reader:
            user = accounts.need_user(reader, address)
        with click.progressbar(length=max(found.octets, 1), label="Importing", file=sys.stderr, hidden=_quiet()) as bar:
            for progress in _import(place, database, user, found, mailbox, wish):
                imported += progress.imported
                there += progress.already_there
                failed += len(progress.failures)
                bar.update(progress.octets)
                for where, reason in progress.failures:
                    _tell(f"{where}: {reason}")
                for where, reason in progress.notes:
                    _tell(f"{where}: {reason} {TO_REPLACE}")
    click.echo(f"{imported} imported, {there} already there, {failed} failed")
    if failed:
        sys.exit(1)


@dataclass
class _Found:
    """What there is to import, by kind. A folder is among `mail` whatever is in it."""

    exports: list[Path] = field(default_factory=list)
    mail: list[Path] = field(default_factory=list)
    cards: list[Path] = field(default_factory=list)
    octets: int = 0
    """How many all of the progress will tell of."""

    def add(self, path: Path) -> None:
        """Take a path of the command line."""
        from minijmap.contacts.cardfiles import card_files

        if path.is_dir() and self._add_export(path):
            return
        cards = list(card_files(path))
        self.cards += cards
        self.octets += sum(file.stat().st_size for file in cards)
        if cards != [path]:
            self.mail.append(path)
            self.octets += archive.count(path)

    def _add_export(self, path: Path) -> bool:
        from minijmap.portable import restoring

        if not restoring.is_export(path):
            return False
        self.exports.append(path)
        self.octets += restoring.size(path)
        return True


def _check_use(found: _Found, **options: bool) -> None:
    """Raise UsageError for an option that is given and can't mean anything."""
    for option in (name for name, is_given in options.items() if is_given):
        kind, there = ("messages", found.mail) if option == "mailbox" else ("cards", found.cards)
        if found.exports:
            raise click.UsageError(f"--{option} can't be used with {found.exports[0]}: an export says what goes where.")
        if not there:
            raise click.UsageError(f"--{option} is for {kind}, and nothing that is named here can have any.")


def _wish(book: str | None, *, replace: bool) -> "Wish":
    """Return what is asked for cards. Raises UsageError for a name that no address book can have."""
    from minijmap.contacts import addressbook
    from minijmap.contacts.importing import Wish
    from minijmap.jmap.values import ValueProblem

    try:
        return Wish(None if book is None else addressbook.normal_name(book), replace)
    except ValueProblem as problem:
        raise click.UsageError(f"--book: the name of an address book {problem.sentence}.") from None


def _import(
    place: Place, database: "Database", user: "User", found: _Found, mailbox: str | None, wish: "Wish | None"
) -> Iterator["Progress"]:
    now = int(time.time() * 1000)
    if found.exports:
        from minijmap.portable import restoring

        engine = engine_of(place, database)
        for folder in found.exports:
            yield from restoring.restore(engine, user, folder, archive.DEFAULT_LIMIT)
    if found.mail:
        from minijmap.mail import importing as mail

        items = (item for path in found.mail for item in archive.iterate(path))
        yield from mail.import_archive(database, user.account, items, mailbox=mailbox, now=now)
    if wish is not None:
        from minijmap.contacts import importing as contacts

        for file in found.cards:
            yield from contacts.import_cards(database, user.account, file, wish, now)


def _tell(line: str) -> None:
    """Write a line to standard error: what comes from files does nothing to the terminal."""
    click.echo("".join(one if one.isprintable() else "\ufffd" for one in line), err=True)


def _quiet() -> bool:
    """Say whether nobody watches: a progress bar is for a terminal."""
    return not sys.stderr.isatty()
