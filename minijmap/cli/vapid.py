"""`minijmap vapid`: the key by which push services know this server."""

from datetime import UTC, datetime

import click

from minijmap.cli.data import Place, data_option, opened


@click.group(short_help="The key that push services know the server by: show, rotate.")
def command() -> None:
    """Show or replace the key by which push services know this server (VAPID).

    It is made when the server first starts, and clients get it with their Session. Both commands work while the server
    runs, which notices within seconds, and while it doesn't.
    """


@command.command("show", short_help="Show the key.")
@data_option
@click.pass_obj
def show(place: Place) -> None:
    """Show the keys, the newest first: the public key, since when, and how many push subscriptions are made under it.

    Only the first one is told to clients. An older one serves until its push subscriptions are gone.
    """
    from minijmap.push import subscriptions, vapid

    with opened(place) as database:
        vapid.ensure(database)
        with database.read() as reader:
            found = [(key, subscriptions.count_under(reader, key)) for key in vapid.keys(reader)]
    for key, count in found:
        state = "announced" if key.retired_at is None else "retired"
        made = f"{datetime.fromtimestamp(key.made_at / 1000, UTC):%Y-%m-%d}"
        click.echo(f"{key.text}  {state}  {made}  {_subscriptions(count)}")


@command.command("rotate", short_help="Replace the key.")
@data_option
@click.option("--now", is_flag=True, help="End the push subscriptions made under the old key at once.")
@click.pass_obj
def rotate(place: Place, now: bool) -> None:
    """Replace the key, and show the new one.

    Clients see the new key in their Session, and make their push subscriptions anew. Those made under the old key are
    served for seven days more, then they end; with --now they end at once, which is right when the old key has come to
    wrong hands: no device hears of anything until its program has been opened again.
    """
    from minijmap.push import subscriptions, vapid

    with opened(place) as database:
        vapid.ensure(database)
        gone = database.write(lambda tx: subscriptions.rotate(tx, at_once=now))
        with database.read() as reader:
            new, *old = vapid.keys(reader)
            left = sum(subscriptions.count_under(reader, key) for key in old)
    if now:
        click.echo(f"Ended: {_subscriptions(gone)}.")
    else:
        click.echo(f"Made under an older key, and ending in seven days at the latest: {_subscriptions(left)}.")
    click.echo(new.text)


def _subscriptions(count: int) -> str:
    return f"{count} push subscription{'' if count == 1 else 's'}"
