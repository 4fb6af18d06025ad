"""What `serve` and `dev` share: the listeners' options, the lines that scripts wait for, and the end by a signal.

Must not know what is served.
"""

import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from minijmap import config, heap
from minijmap.config import SettingError, Settings
from minijmap.setting_kinds import Address
from minijmap.store.database import Database

Command = TypeVar("Command", bound=Callable[..., Any])
STOPPING = (signal.SIGTERM, signal.SIGINT)
SWITCH_SECONDS = 0.0005
"""A thread that parses mail must not keep the others waiting for 5 ms at each turn."""


def listener_options(command: Command) -> Command:
    """Give a command the options of the listeners."""
    for name in ("submission", "smtp", "http"):
        row = config.SETTINGS[name]
        command = click.option(f"--{name}", metavar="HOST:PORT", help=f"{row.help}  [default: {row.default_text}]")(
            command
        )
    return command


def read_settings(
    folder: Path | None,
    config_file: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    defaults: Mapping[str, object] | None = None,
) -> Settings:
    """Read the settings. A flag that can't be read is wrong use; anything else raises SettingError.

    Whoever asks for a free port by HTTP or SMTP gets one for submission too, unless that is told where to listen.
    """
    try:
        config.load(None, environ={}, flags=flags)
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    settings = config.load(folder, config_file, environ=environ, flags=flags, defaults=defaults)
    if any(address is not None and address.port == 0 for address in (settings.http, settings.smtp)):
        free = {**(defaults or {}), "submission": Address("127.0.0.1", 0)}
        settings = config.load(folder, config_file, environ=environ, flags=flags, defaults=free)
    return settings


def run(
    settings: Settings,
    folder: Path,
    *,
    prepare: Callable[[Database], None] | None = None,
    lines: Sequence[str] = (),
    capturing: bool = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C. `prepare` gets the database first; `lines` are printed before the listeners'.

    With `capturing` no mail leaves the machine.
    """
    from minijmap.server import Server

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.setswitchinterval(SWITCH_SECONDS)
    heap.give_back()
    for number in STOPPING:
        # Some shells start background jobs with SIGINT ignored, and then it would never be seen.
        signal.signal(number, lambda *_: None)
    # Blocked here and in every thread to come: the signal waits until it is waited for, and interrupts nothing.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    server = Server(settings, folder, prepare=prepare, capturing=capturing)
    bound = server.start()
    try:
        for line in lines:
            click.echo(line)
        for name, address in bound.items():
            click.echo(f"{name}  {'http://' if name == 'http' else ''}{address}")
        click.echo("ready")
        sys.stdout.flush()
        signal.sigwait(STOPPING)
    finally:
        # A second signal ends it at once.
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        server.stop()
