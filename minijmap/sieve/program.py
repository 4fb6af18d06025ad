"""A compiled script: what `compiler.compile_script` makes, `interpreter.run` runs, and caches keep.

Holds an immutable record of functions; knows neither syntax nor commands.
"""

from collections.abc import Callable
from dataclasses import dataclass

from minijmap.sieve.state import Run


@dataclass(frozen=True, slots=True)
class Program:
    """A script whose every command is checked. It may be run in several threads at once."""

    capabilities: frozenset[str]
    """What it requires."""
    body: Callable[[Run], None]
    tracing: bool = False
    """It was compiled to tell what it decides, into Result.trace."""
