"""The command line: the table of commands, and the form of every failure.

Each command lives in a module of its own, imported when it is called: `minijmap --help` and small commands stay fast.
A failure is one line on standard error and exit status 1; wrong use is exit status 2. Must not know what
a command does.
"""

import sqlite3
import sys
from importlib import import_module
from pathlib import Path

import click

from minijmap.cli.data import Place, data_option

COMMANDS = {
    "dev": ("minijmap.cli.dev", "Try it: a throwaway server with demo accounts and messages."),
    "serve": ("minijmap.cli.serve", "Run the server."),
    "user": ("minijmap.cli.user", "Add, list and remove people; set passwords and quotas."),
    "token": ("minijmap.cli.token", "App passwords: one for each device or program."),
    "import": ("minijmap.cli.importing", "Import messages and cards: .eml, mbox, Maildir, .vcf."),
    "export": ("minijmap.cli.exporting", "Write an account into a folder: mail, contacts, everything."),
    "check": ("minijmap.cli.check", "Check the file: integrity, counts, index."),
    "dns": ("minijmap.cli.dns", "What to publish in the DNS, and whether it is."),
    "dkim": ("minijmap.cli.dkim", "The keys that sign mail: list, show, rotate."),
    "queue": ("minijmap.cli.queue", "Mail on its way out: list, retry, cancel."),
    "sieve": ("minijmap.cli.sieve", "Filters: check a script, try it on a message."),
    "push": ("minijmap.cli.push", "Devices that are told of changes: list, revoke."),
    "vapid": ("minijmap.cli.vapid", "The key that push services know the server by: show, rotate."),
    "methods": ("minijmap.cli.methods", "Show the JMAP methods, capabilities and limits."),
}
"""Name → module, whose `command` it is, and the line that `--help` shows for it."""


class _Commands(click.Group):
    """The commands of the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="minijmap COMMAND --help tells more about each of them. To look around, start with: minijmap dev",
)
@data_option
@click.version_option(package_name="minijmap", message="minijmap %(version)s")
@click.pass_context
def minijmap(ctx: click.Context) -> None:
    """Run a JMAP server for one household: mail in one process and one file.

    Everything is kept in one folder: --data DIR, or the environment variable MINIJMAP_DATA, or else ./data.
    """
    ctx.ensure_object(Place)


def main() -> None:
    """Run the command line and leave the process with its exit status."""
    try:
        minijmap.main(prog_name="minijmap")
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        click.echo(f"minijmap: {_sentence(error)}", err=True)
        sys.exit(1)


def _sentence(error: Exception) -> str:
    """Return one line that says what has failed."""
    text = " ".join(str(error).split())
    if type(error).__module__.startswith("minijmap."):
        return text
    if isinstance(error, OSError) and error.strerror:
        where = f"{Path(str(error.filename))}: " if error.filename else ""
        return f"{where}{error.strerror}."
    if isinstance(error, sqlite3.Error):
        return f"The database failed: {text}."
    return f"Something unexpected went wrong ({type(error).__name__}: {text}); python -X dev -m minijmap … shows where."
