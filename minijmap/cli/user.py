"""`minijmap user`: the people of the household."""

import re
import time
from dataclasses import dataclass

import click

from minijmap.cli import passwords
from minijmap.cli.data import Place, data_option, opened

MOST_NAME = 255
_ADDRESS = re.compile(r"[^\s@\"(),:;<>\[\\\]]{1,64}@[^\s@\"(),:;<>\[\\\]/]{1,253}")


def _address(_: click.Context, __: click.Parameter, value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise click.BadParameter(f"“{value}” is not a mail address such as alice@example.com.")
    return value


def _name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not value.isprintable() or len(value) > MOST_NAME:
        raise click.BadParameter(f"a name is one line of at most {MOST_NAME} characters.")
    return value


@dataclass(frozen=True)
class Size:
    """A limit as it was given: 0 is none, None the default."""

    octets: int | None


def _size(_: click.Context, __: click.Parameter, value: str | None) -> Size | None:
    if value is None:
        return None
    word = value.strip().lower()
    if word in ("none", "0", "default"):
        return Size(None if word == "default" else 0)
    found = re.fullmatch(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?([kmgt]?)b?", word)
    octets = 0
    if found is not None:
        factor = 1000 ** (" kmgt".index(found[3] or " "))
        octets = int(found[1]) * factor + int((found[2] or "").ljust(3, "0")) * factor // 1000
    if not 0 < octets < 2**53:
        raise click.BadParameter(f"“{value}” is not a size such as 500M or 2.5G, nor “none” or “default”.")
    return Size(octets)


@click.group(short_help="Add, list and remove people; set passwords and quotas.")
def command() -> None:
    """Add, list and remove people, and set their passwords and quotas.

    All of it works while the server runs and while it doesn't. The login name is the address.
    """


@command.command("add", short_help="Add a person.")
@data_option
@click.argument("address", callback=_address)
@click.option("--name", default="", callback=_name, help="The person's name, as mail shows it.")
@passwords.stdin_option
@click.pass_obj
def add(place: Place, address: str, name: str, password_stdin: bool) -> None:
    """Add a person with the mail address ADDRESS, and with Inbox, Drafts, Sent, Trash, Junk and Archive.

    The password is asked for at a terminal; with --password-stdin it is read; otherwise one is made, and printed alone
    on the last line.
    """
    from minijmap import users

    password, made = passwords.ask(from_stdin=password_stdin)
    with opened(place) as database:
        user = users.add_user(database, address, name, password, int(time.time() * 1000))
    click.echo(f"Added {user.address}.")
    if made:
        click.echo("The password, shown this once:")
        click.echo(password)


@command.command("list", short_help="List the people.")
@data_option
@click.pass_obj
def list_users(place: Place) -> None:
    """List the people: address, then name."""
    from minijmap.store import accounts

    with opened(place) as database, database.read() as reader:
        found = accounts.users(reader)
    for user in found:
        click.echo(f"{user.address}  {user.name}".rstrip())


@command.command("password", short_help="Set a person's password.")
@data_option
@click.argument("address")
@passwords.stdin_option
@click.pass_obj
def password(place: Place, address: str, password_stdin: bool) -> None:
    """Set the password of the person with the address ADDRESS. The old one stops working at once.

    The password is asked for at a terminal; with --password-stdin it is read; otherwise one is made, and printed alone
    on the last line.
    """
    from minijmap.store import accounts

    with opened(place) as database:
        with database.read() as reader:
            user = accounts.need_user(reader, address)
        chosen, made = passwords.ask(from_stdin=password_stdin)
        database.write(lambda tx: accounts.set_password(tx, user, chosen))
    click.echo(f"The password of {user.address} is changed.")
    if made:
        click.echo("The new one, shown this once:")
        click.echo(chosen)


@command.command("quota", short_help="Show or set how much a person may keep.")
@data_option
@click.argument("address")
@click.argument("size", required=False, callback=_size)
@click.pass_obj
def quota(place: Place, address: str, size: Size | None) -> None:
    """Show how much the person with the address ADDRESS keeps and may keep, or set the limit to SIZE.

    SIZE is a number of bytes, or one with k, M, G or T (2.5G is 2500000000 bytes); or "none", for no limit; or
    "default", for the limit that the setting `quota` gives everybody.
    """
    from minijmap.store import accounts, limits, usage

    with opened(place) as database:
        with database.read() as reader:
            user = accounts.need_user(reader, address)
        if size is not None:
            database.write(lambda tx: limits.set_own(tx, user.account, size.octets))
        with database.read() as reader:
            used = usage.used(reader, user.account, usage.OCTETS)
            limit, own = limits.limit(reader, user.account), limits.own(reader, user.account)
    whose = "the default" if own is None else "set for this account"
    click.echo(f"{user.address}  {used} bytes of {limit or 'any number'} ({whose})")


@command.command("remove", short_help="Remove a person, and all their mail.")
@data_option
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(place: Place, address: str, yes: bool) -> None:
    """Remove the person with the address ADDRESS, and all their mail, for good."""
    import sys

    from minijmap import users
    from minijmap.store import accounts

    with opened(place) as database:
        with database.read() as reader:
            user = accounts.need_user(reader, address)
        if not yes and sys.stdin.isatty():
            click.confirm(f"Remove {user.address} and all their mail?", abort=True)
        users.remove_user(database, user.address)
    click.echo(f"Removed {user.address}.")
