"""`minijmap import`: messages from files."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from minijmap.cli.data import Place, data_option, opened
from minijmap.mail import archive, importing
from minijmap.mail.archive import Item


@click.command("import", short_help="Import messages: .eml, mbox, Maildir.")
@data_option
@click.argument("address")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--mailbox", metavar="NAME", help="Put all messages there.  [default: as the folders are, else the Inbox]"
)
@click.pass_obj
def command(place: Place, address: str, paths: tuple[Path, ...], mailbox: str | None) -> None:
    """Import messages into the account of ADDRESS: .eml files, mbox files, Maildirs, and folders of these.

    It takes what it can and goes on; what fails is named. Importing the same files again is safe: a message that is
    there already is left alone. It works while the server runs and while it doesn't.
    """
    from minijmap.store import accounts

    imported = there = failed = 0
    with opened(place) as database:
        with database.read() as reader:
            user = accounts.need_user(reader, address)
        total = sum(archive.count(path) for path in paths)
        with click.progressbar(length=max(total, 1), label="Importing", file=sys.stderr, hidden=_quiet()) as bar:
            for progress in importing.import_archive(
                database, user.account, _items(paths), mailbox=mailbox, now=int(time.time() * 1000)
            ):
                imported += progress.imported
                there += progress.already_there
                failed += len(progress.failures)
                bar.update(progress.octets)
                for where, reason in progress.failures:
                    click.echo(f"{where}: {reason}", err=True)
    click.echo(f"{imported} imported, {there} already there, {failed} failed")
    if failed:
        sys.exit(1)


def _items(paths: tuple[Path, ...]) -> Iterator[Item]:
    for path in paths:
        yield from archive.iterate(path)


def _quiet() -> bool:
    """Say whether nobody watches: a progress bar is for a terminal."""
    return not sys.stderr.isatty()
