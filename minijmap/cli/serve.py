"""`minijmap serve`: the server of a household."""

import os
from pathlib import Path

import click

from minijmap.cli.data import Place, data_option
from minijmap.cli.running import listener_options, read_settings, run
from minijmap.store import accounts
from minijmap.store.database import Database


@click.command(short_help="Run the server.")
@data_option
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The settings.  [default: minijmap.toml in the data folder, if there is one]",
)
@listener_options
@click.pass_obj
def command(place: Place, /, config_file: Path | None, **flags: str | None) -> None:
    """Run the server until it is told to stop.

    It prints a line for each listener and then “ready”. SIGTERM or Ctrl-C stops it within five seconds; whatever it
    has acknowledged is on disk.

    Settings come from flags, then from environment variables (MINIJMAP_HTTP, MINIJMAP_PUBLIC_URL, …), then from the
    file minijmap.toml in the data folder. People are added with: minijmap user add ADDRESS
    """
    settings = read_settings(place.folder, config_file, os.environ, flags)
    run(settings, place.folder, prepare=_hint)


def _hint(database: Database) -> None:
    """Tell whoever starts for the first time what comes next."""
    with database.read() as reader:
        if not accounts.users(reader):
            click.echo("Nobody can sign in yet. Add somebody: minijmap user add ADDRESS", err=True)
