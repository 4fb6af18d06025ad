"""RFC 6609, include: other scripts inside of a script, return, and global variables.

Owns which inclusions are refused (recursion, depth, number) and what an included script has of its own. Where scripts
are kept, the host knows.
"""

import unicodedata
from typing import Final

from minijmap.sieve.state import Frame, Return, Run
from minijmap.sieve.strings import IDENTIFIER
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, Tag

LONGEST_NAME: Final = 512
"""Octets of a script's name (RFC 5804 §1.6)."""


def is_script_name(name: str) -> bool:
    """Whether a script can have that name (RFC 5804 §1.6): no control characters, no line or paragraph separators."""
    if not name or any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        return False
    return len(name.encode()) <= LONGEST_NAME


def _include(call: Call) -> CommandFunction:
    name = call.text("name").raw
    if not is_script_name(name):
        raise call.error("this can't be the name of a script", call.text("name").position)
    key = (call.which("location", "personal") == "personal", name)
    once, optional = call.has("once"), call.has("optional")

    def include(run: Run) -> None:
        # RFC 6609 §3.2: with :once even what would be recursive is passed over.
        if once and key in run.included:
            return
        _enter(run, key, optional=optional)

    return include


def _enter(run: Run, key: tuple[bool, str], *, optional: bool) -> None:
    personal, name = key
    around: list[tuple[bool, str]] = run.extra.setdefault("include", [])
    if key in around:
        raise run.error(f"the script “{name[:60]}” includes itself")
    if len(around) + 2 > run.limits.include_depth:
        raise run.error(f"more than {run.limits.include_depth} scripts are inside of each other")
    if len(run.included) >= run.limits.includes:
        raise run.error(f"more than {run.limits.includes} scripts are included")
    program = run.host.include(name, personal=personal)
    if program is None:
        if optional:
            run.note(f"there is no script “{name[:60]}” to include, which is no error here")
            return
        raise run.error(f"there is no script “{name[:60]}” to include")
    run.note(f"include the script “{name[:60]}”")
    run.included.append(key)
    around.append(key)
    outer, line = run.frame, run.line
    run.frame = Frame(name, set(program.capabilities))
    try:
        program.body(run)
    except Return:
        run.note("return")
    run.frame, run.line = outer, line
    around.pop()


def _return(call: Call) -> CommandFunction:
    del call

    def execute(run: Run) -> None:
        del run
        raise Return

    return execute


def _global(call: Call) -> CommandFunction:
    """Declare variables as shared; all is done while the script is read."""
    call.require("variables", "“global”")
    for text in call.texts("names"):
        name = text.raw.lower()
        if not IDENTIFIER.fullmatch(name) or len(name) > call.scope.limits.variable_name:
            raise call.error(f"“{text.raw[:60]}” is no name of a variable", text.position)
        if name in call.scope.assigned:  # RFC 6609 §3.4.1
            raise call.error(f"the variable “{name}” has been set before it is declared global", text.position)
        call.scope.globals.add(name)
    return lambda _: None


EXTENSIONS: Final = (
    Extension(
        "include",
        (
            Row(
                "include",
                Sort.CONTROL,
                _include,
                (Argument("name", Kind.STRING, raw=True),),
                (Tag("personal", group="location"), Tag("global", group="location"), Tag("once"), Tag("optional")),
            ),
            Row("return", Sort.CONTROL, _return),
            Row("global", Sort.CONTROL, _global, (Argument("names", Kind.STRINGS, constant=True),)),
        ),
    ),
)
