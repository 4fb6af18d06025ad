"""`minijmap push`: which devices are told of changes, as whoever runs the server sees it."""

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

import click

from minijmap.cli.data import Place, data_option, opened

_ID = re.compile(r"P([1-9][0-9]{0,17})")


class NoSuchSubscription(Exception):
    """There is no push subscription with this id."""


def _id(_: click.Context, __: click.Parameter, value: str) -> int:
    found = _ID.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"“{value}” is not the id of a push subscription, such as P12.")
    return int(found[1])


@click.group(short_help="Devices that are told of changes: list, revoke.")
def command() -> None:
    """List the devices and programs that have asked to be told of changes (push subscriptions), or revoke one.

    Both work while the server runs and while it doesn't.
    """


@command.command("list", short_help="List the push subscriptions.")
@data_option
@click.argument("address", required=False)
@click.pass_obj
def list_subscriptions(place: Place, address: str | None) -> None:
    """List the push subscriptions, or those of the person with the address ADDRESS, a line each.

    The line has: id, address, app password (or “password”) that made it, push service, end, state, and what the device
    calls itself. The state is “waiting” until the device has given back the code that it was sent, then “active”, or
    “failing” with the time since when the push service does not take anything.
    """
    from minijmap.push import subscriptions
    from minijmap.store import accounts

    with opened(place) as database, database.read() as reader:
        if address is not None:
            accounts.need_user(reader, address)
        found = subscriptions.lines(reader, address)
    for line in found:
        state = "active" if line.phase == subscriptions.VERIFIED else "waiting"
        if line.failing_since is not None:
            state = f"failing since {_time(line.failing_since)}"
        made_by = "password" if line.label is None else line.label
        host = urlsplit(line.url).netloc
        click.echo(
            f"{line.subscription_id}  {line.address}  {made_by}  {host}  until {_time(line.expires)}  {state}  "
            f"{_shown(line.device)}"
        )


@command.command("revoke", short_help="End a push subscription.")
@data_option
@click.argument("subscription", metavar="ID", callback=_id)
@click.pass_obj
def revoke(place: Place, subscription: int) -> None:
    """End the push subscription ID: nothing more is pushed to it, and its URL and keys are erased.

    A program that still wants to be told of changes will make a new one; to keep it out, revoke its app password.
    """
    from minijmap.push import subscriptions

    with opened(place) as database:
        count = database.write(lambda tx: subscriptions.destroy(tx, [subscription]))
    if not count:
        raise NoSuchSubscription(f"There is no push subscription {subscriptions.PREFIX}{subscription}.")
    click.echo(f"Revoked {subscriptions.PREFIX}{subscription}.")


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _shown(text: str) -> str:
    """Return what a client has made up, as one line of bounded length."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:80])
