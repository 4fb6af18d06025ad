"""`minijmap check`: whether everything in the file is as it should be."""

import contextlib
import sys
from functools import partial
from pathlib import Path

import click

from minijmap.cli.data import Place, data_option


@click.command(short_help="Check the file: integrity, counts, index.")
@data_option
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def command(place: Place, file: Path | None) -> None:
    """Check FILE, or the file of the data folder: integrity of the file, of every message, of counts and index.

    All that is kept to be fast is made anew and compared. Nothing is changed; it works while the server runs. Each
    problem is one line, and the exit status is 1 if there is any.
    """
    import sqlite_utils

    from minijmap.contacts import check as contacts_check
    from minijmap.mail import check as mail_check
    from minijmap.quota import check as quota_check
    from minijmap.server import FILE_NAME, families, open_checked
    from minijmap.store import check as store_check
    from minijmap.store.database import Reader

    path = file or place.folder / FILE_NAME
    if not path.exists():
        raise click.UsageError(f"There is no {path}.")
    found = 0
    with contextlib.closing(open_checked(path)) as connection:
        reader = Reader(connection)
        connection.execute("BEGIN")
        types = [one for family in families() for one in family.types]
        checks = (
            ("store", store_check.problems),
            ("mail", mail_check.problems),
            ("contacts", contacts_check.problems),
            ("quotas", partial(quota_check.problems, types=types)),
        )
        for part, problems in checks:
            click.echo(f"Checking {part} …", err=True)
            for problem in problems(reader):
                found += 1
                click.echo(problem)
        tables = sqlite_utils.Database(connection)
        emails, blobs = tables["email"].count, tables["blob"].count
        connection.execute("ROLLBACK")
    click.echo(f"{path}: {emails} Emails, {blobs} blobs, {found or 'no'} problem{'' if found == 1 else 's'}.")
    if found:
        sys.exit(1)
