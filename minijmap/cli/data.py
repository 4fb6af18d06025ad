"""The data folder, as every command takes it: `--data` before or after the command, MINIJMAP_DATA, or ./data.

Owns that option and the opening of the file for commands that need it. Must not know any command.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from minijmap.jmap.engine import Engine
    from minijmap.store.database import Database

Command = TypeVar("Command", bound=Callable[..., Any])
VARIABLE = "MINIJMAP_DATA"
MOST_OBJECTS_IN_SET = 20_000
"""More Mailboxes than an account may have: all of them are set at once, or none."""
DEFAULT = Path("data")


@dataclass
class Place:
    """What the options said: the folder of the last `--data`, if there was one."""

    named: Path | None = None

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.named or Path(os.environ.get(VARIABLE) or DEFAULT)


def _note(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    place = ctx.ensure_object(Place)
    if value is not None:
        place.named = value


def data_option(command: Command) -> Command:
    """Give a command the option `--data DIR`; what it says is in the context's `Place`."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        expose_value=False,
        callback=_note,
        help="The folder that holds everything.  [default: $MINIJMAP_DATA, or ./data]",
    )(command)


@contextlib.contextmanager
def opened(place: Place) -> "Iterator[Database]":
    """Give the database of the data folder, whether a server runs on it or not."""
    from minijmap.server import open_database

    with contextlib.closing(open_database(place.folder)) as database:
        yield database


def engine_of(place: Place, database: "Database") -> "Engine":
    """Return an engine over the database, with the settings of the data folder. Raises SettingError."""
    from minijmap import config
    from minijmap.jmap.engine import Engine, Limits
    from minijmap.server import families

    settings = config.load(place.folder, environ=os.environ)
    return Engine(database, families(settings), limits=Limits(max_objects_in_set=MOST_OBJECTS_IN_SET))
