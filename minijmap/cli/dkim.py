"""`minijmap dkim`: the keys that sign mail."""

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from minijmap.cli.data import Place, data_option, opened

if TYPE_CHECKING:
    from minijmap.smtp.dkimkeys import Key


class NotADomain(click.BadParameter):
    """What was given is not the name of a domain."""


def _domain(_: click.Context, __: click.Parameter, value: str) -> str:
    from minijmap.setting_kinds import host_name

    try:
        return host_name(value.lower().rstrip(".").encode("idna").decode())
    except ValueError:
        raise NotADomain(f"“{value}” is not the name of a domain.") from None


@click.group(short_help="The keys that sign mail: list, show, rotate.")
def command() -> None:
    """List, show and replace the keys that sign mail (DKIM).

    A domain gets two keys, RSA and Ed25519, when they are first needed or shown. Receivers find them in the DNS.
    """


@command.command("list", short_help="List the keys.")
@data_option
@click.argument("domain", callback=_domain)
@click.pass_obj
def list_keys(place: Place, domain: str) -> None:
    """List the keys of DOMAIN, the oldest first: selector, algorithm, state, and since when.

    An active key signs; a next one will after the next `rotate`; a retired one did.
    """
    from minijmap.smtp import dkimkeys

    with opened(place) as database, database.read() as reader:
        found = dkimkeys.keys(reader, domain)
    for key in found:
        click.echo(
            f"{key.selector}  {key.algorithm}  {key.state}  {datetime.fromtimestamp(key.at / 1000, UTC):%Y-%m-%d}"
        )


@command.command("show", short_help="Show what to publish.")
@data_option
@click.argument("domain", callback=_domain)
@click.pass_obj
def show(place: Place, domain: str) -> None:
    """Show the TXT records to publish for DOMAIN, as lines of a zone file. The keys are made if there are none."""
    from minijmap.smtp import dkimkeys

    with opened(place) as database:
        dkimkeys.ensure(database, domain, _selector(place), int(time.time() * 1000))
        with database.read() as reader:
            found = dkimkeys.keys(reader, domain)
    _print(found)


@command.command("rotate", short_help="Sign with new keys.")
@data_option
@click.argument("domain", callback=_domain)
@click.option("--prepare", is_flag=True, help="Make the new keys, and go on signing with the old ones.")
@click.pass_obj
def rotate(place: Place, domain: str, prepare: bool) -> None:
    """Sign the mail of DOMAIN with new keys from now on, and show the TXT records.

    Receivers must find a key before it signs: run it with --prepare, publish the new records, and run it without the
    day after. The old records should stay for a week. A running server takes the new keys at once.
    """
    from minijmap.smtp import dkimkeys

    change = dkimkeys.prepare if prepare else dkimkeys.rotate
    with opened(place) as database:
        change(database, domain, _selector(place), int(time.time() * 1000))
        with database.read() as reader:
            found = dkimkeys.keys(reader, domain)
    _print(found)


def _selector(place: Place) -> str:
    """Return what new keys are called: the setting of the folder."""
    from minijmap import config

    return config.load(place.folder, environ=os.environ).dkim_selector


def _print(found: "list[Key]") -> None:
    for key in found:
        click.echo(key.zone_line)
