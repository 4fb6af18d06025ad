"""Scripts made ready to run, kept while they are in use: a script is parsed once, however many messages come.

Owns the cache, bounded, by what the script's octets are; a script that can't be accepted is remembered as that. Must
not know whose scripts they are.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from minijmap.sieve.errors import ScriptError
from minijmap.sieve.program import Program

MOST_PROGRAMS: Final = 64


class Programs:
    """Programs by the digest of their script. Safe to use from any thread."""

    def __init__(self, most: int = MOST_PROGRAMS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Program | ScriptError] = OrderedDict()

    def get(self, digest: bytes, read: Callable[[], bytes]) -> Program:
        """Return the program of a script; `read` gives its octets when they are needed. Raises ScriptError."""
        with self._lock:
            found = self._known.get(digest)
            if found is not None:
                self._known.move_to_end(digest)
        if found is None:
            found = _compiled(read())
            with self._lock:
                self._known[digest] = found
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
        if isinstance(found, ScriptError):
            # One that is raised again and again would drag every traceback along.
            raise ScriptError(found.sentence, found.line, found.column)
        return found


def _compiled(source: bytes) -> Program | ScriptError:
    # The language is in memory once somebody has a script, and not before.
    from minijmap.sieve.compiler import compile_script

    try:
        return compile_script(source)
    except ScriptError as error:
        return ScriptError(error.sentence, error.line, error.column)
