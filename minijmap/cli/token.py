"""`minijmap token`: app passwords."""

import time
from datetime import UTC, datetime

import click

from minijmap.cli.data import Place, data_option, opened

MOST_LABEL = 100


def _label(_: click.Context, __: click.Parameter, value: str) -> str:
    if not value.strip() or len(value) > MOST_LABEL or not value.isprintable():
        raise click.BadParameter(f"a label is one line of 1 to {MOST_LABEL} characters.")
    return value


@click.group(short_help="App passwords: one for each device or program.")
def command() -> None:
    """Add, list and revoke app passwords: one for each device or program, so that each can be revoked alone.

    An app password signs in by Basic, with the address, and by Bearer, alone. It is shown once.
    """


@command.command("add", short_help="Make an app password.")
@data_option
@click.argument("address")
@click.argument("label", callback=_label)
@click.pass_obj
def add(place: Place, address: str, label: str) -> None:
    """Make an app password for the person with the address ADDRESS, called LABEL.

    It is printed alone on the last line, this once.
    """
    from minijmap.store import accounts

    with opened(place) as database:
        token = database.write(
            lambda tx: accounts.add_token(tx, accounts.need_user(tx, address), label, int(time.time() * 1000))
        )
    click.echo(f"The app password “{label}”, shown this once:")
    click.echo(token)


@command.command("list", short_help="List a person's app passwords.")
@data_option
@click.argument("address")
@click.pass_obj
def list_tokens(place: Place, address: str) -> None:
    """List the app passwords of the person with the address ADDRESS: when each was made, and its label."""
    from minijmap.store import accounts

    with opened(place) as database, database.read() as reader:
        found = accounts.tokens(reader, accounts.need_user(reader, address))
    for label, created in found:
        click.echo(f"{datetime.fromtimestamp(created / 1000, UTC):%Y-%m-%d %H:%M}  {label}")


@command.command("revoke", short_help="Revoke an app password.")
@data_option
@click.argument("address")
@click.argument("label")
@click.pass_obj
def revoke(place: Place, address: str, label: str) -> None:
    """Revoke the app password called LABEL of the person with the address ADDRESS. It stops working at once."""
    from minijmap.store import accounts

    with opened(place) as database:
        database.write(lambda tx: accounts.revoke_token(tx, accounts.need_user(tx, address), label))
    click.echo(f"Revoked “{label}”.")
