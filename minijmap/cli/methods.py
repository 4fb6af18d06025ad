"""`minijmap methods`: what this server speaks, read from the tables that answer."""

import contextlib
import json
import tempfile
from pathlib import Path

import click


@click.command(short_help="Show the JMAP methods, capabilities and limits.")
def command() -> None:
    """Show the JMAP methods with their capabilities, the capabilities with what they say, and the limits."""
    from minijmap.jmap.engine import Engine
    from minijmap.server import families, open_database

    with (
        tempfile.TemporaryDirectory(prefix="minijmap-") as folder,
        contextlib.closing(open_database(Path(folder))) as database,
    ):
        engine = Engine(database, families())
    width = max(map(len, engine.methods))
    click.echo("Methods")
    for name in sorted(engine.methods):
        click.echo(f"  {name:<{width}}  {engine.methods[name].capability}")
    click.echo("\nCapabilities")
    for uri in engine.capabilities:
        click.echo(f"  {uri}")
    limits = engine.limits.members()
    click.echo("\nLimits")
    for name, value in limits.items():
        click.echo(f"  {name:<{max(map(len, limits))}}  {json.dumps(value)}")
