"""`minijmap export`: an account as a folder of files."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minijmap.cli.data import Place, data_option, engine_of, opened

if TYPE_CHECKING:
    from minijmap.contacts.cardtovcard import Version


@click.command("export", short_help="Write an account into a folder: mail, contacts, everything.")
@data_option
@click.argument("address")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--vcard",
    "version",
    type=click.Choice(("3.0", "4.0")),
    default="4.0",
    show_default=True,
    help="The version of the address books; Apple, Google and Outlook read 3.0 best.",
)
@click.pass_obj
def command(place: Place, address: str, folder: Path, version: "Version") -> None:
    """Write the account of ADDRESS into the folder DIR, which must be empty or not there.

    \b
    mail/MAILBOX/ID.eml     each message, octet for octet
    contacts/BOOK.vcf       each address book as vCards
    blobs/ID                pictures of contacts, Sieve scripts and other files
    account.json            every object as JMAP shows it

    `minijmap import ADDRESS DIR` gives it back, to the same person or another. Told of, but not given back: what was
    sent (EmailSubmission), devices (PushSubscription), and what follows from the rest (Thread, Quota). Passwords are
    not in it.

    An export that was broken off has account.json.part in the place of account.json. It works while the server runs
    and while it doesn't.
    """  # noqa: D301 - click's mark for lines that stay as they are
    from minijmap.portable import exporting
    from minijmap.store import accounts

    with opened(place) as database:
        with database.read() as reader:
            user = accounts.need_user(reader, address)
        total = max(exporting.size(database, user), 1)
        engine = engine_of(place, database)
        quiet = not sys.stderr.isatty()
        with click.progressbar(length=total, label="Exporting", file=sys.stderr, hidden=quiet) as bar:
            count = exporting.export(engine, user, folder, bar.update, version)
    click.echo(f"{count} objects exported to {os.fspath(folder)}")
