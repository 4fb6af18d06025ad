"""How a command gets a password: from standard input, from a person at a terminal, or made by us.

Must not know whose it is.
"""

import secrets
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from minijmap.store.accounts import MOST_SECRET_OCTETS

Command = TypeVar("Command", bound=Callable[..., Any])
GENERATED_OCTETS = 12


def stdin_option(command: Command) -> Command:
    """Give a command the option `--password-stdin`."""
    return click.option(
        "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
    )(command)


def ask(*, from_stdin: bool) -> tuple[str, bool]:
    """Return a password, and whether it was made here and has to be shown. Raises click.UsageError."""
    if from_stdin:
        password, made = sys.stdin.readline().rstrip("\r\n"), False
    elif sys.stdin.isatty():
        password, made = click.prompt("Password", hide_input=True, confirmation_prompt="The same again"), False
    else:
        password, made = secrets.token_urlsafe(GENERATED_OCTETS), True
    if not password.isprintable():
        raise click.UsageError("The password must be text in UTF-8, without control characters.")
    if not password:
        raise click.UsageError("The password is empty.")
    if len(password.encode()) > MOST_SECRET_OCTETS:
        raise click.UsageError(f"The password is longer than {MOST_SECRET_OCTETS} octets.")
    return password, made
