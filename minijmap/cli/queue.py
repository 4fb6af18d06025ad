"""`minijmap queue`: mail on its way out, as whoever runs the server sees it."""

import re
import time
from datetime import UTC, datetime

import click

from minijmap.cli.data import Place, data_option, opened

_ID = re.compile(r"q([1-9][0-9]{0,17})(?:-([1-9][0-9]{0,17}))?")


class NotWaiting(Exception):
    """Nothing of this name is in the queue, or it can't be taken out of it."""


def _id(_: click.Context, __: click.Parameter, value: str) -> tuple[int, int | None]:
    found = _ID.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"“{value}” is not an id of the queue, such as q12-34, or q12 for a whole message.")
    return int(found[1]), None if found[2] is None else int(found[2])


@click.group(short_help="Mail on its way out: list, retry, cancel.")
def command() -> None:
    """List what waits to be sent, have it tried at once, or take it out.

    All of it works while the server runs, which notices within seconds, and while it doesn't. An id is that of a
    recipient (q12-34), as `list` shows it, or of a whole message (q12).
    """


@command.command("list", short_help="List the recipients that wait.")
@data_option
@click.pass_obj
def list_queue(place: Place) -> None:
    """List the recipients that have yet to get a message, a line each: id, recipient, next attempt, last reply."""
    from minijmap.mail import queue

    with opened(place) as database, database.read() as reader:
        found = queue.lines(reader)
    for line in found:
        when = (
            "now" if line.under_way else f"{datetime.fromtimestamp(line.next_attempt / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        )
        click.echo(f"{line.name}  {line.address}  {when}  {line.reply or '-'}")


@command.command("retry", short_help="Try a recipient or a message now.")
@data_option
@click.argument("which", metavar="ID", callback=_id)
@click.pass_obj
def retry(place: Place, which: tuple[int, int | None]) -> None:
    """Have the recipient or the message ID tried now, even if it is held for later."""
    from minijmap.mail import queue
    from minijmap.store.database import Transaction

    def job(tx: Transaction) -> int:
        found = [line for line in queue.lines(tx, *which) if not line.under_way]
        queue.hasten(tx, found, int(time.time() * 1000))
        return len(found)

    with opened(place) as database:
        count = database.write(job)
    if not count:
        raise NotWaiting("Nothing of this id waits.")
    click.echo(f"Due now: {_recipients(count)}.")


@command.command("cancel", short_help="Take a recipient or a message out.")
@data_option
@click.argument("which", metavar="ID", callback=_id)
@click.pass_obj
def cancel(place: Place, which: tuple[int, int | None]) -> None:
    """Take the recipient or the message ID out of the queue. It is not sent, and nobody gets a message about that."""
    from minijmap.mail import canceling
    from minijmap.store.database import Transaction

    def job(tx: Transaction) -> tuple[int, int]:
        return canceling.cancel(tx, *which)

    with opened(place) as database:
        count, busy = database.write(job)
    if not count and busy:
        raise NotWaiting("It is being handed to another server at this moment (or was when the server died).")
    if not count:
        raise NotWaiting("Nothing of this id waits.")
    click.echo(f"Canceled: {_recipients(count)}.")


def _recipients(count: int) -> str:
    return f"{count} recipient{'' if count == 1 else 's'}"
