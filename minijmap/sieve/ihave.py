"""RFC 5463, ihave: the test whether an extension is there, which enables it, and the control error.

What a script may then use is checked when it runs: the compiler puts a guard before it.
"""

from typing import Final

from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, TestFunction


def _ihave(call: Call) -> TestFunction:
    scope, names = call.scope, call.texts("capabilities")
    wanted = names.constant or ()
    # RFC 5463 §4: never one that changes how scripts are read, unless it is required anyway.
    there = all(scope.has(name) or (scope.supports(name) and not scope.extensions[name].static) for name in wanted)
    enabled = {capability for name in wanted for capability in scope.enabled_by(name)} if there else set()

    def ihave(run: Run) -> bool:
        run.frame.capabilities |= enabled
        return there

    return ihave


def _error(call: Call) -> CommandFunction:
    message = call.text("message")

    def error(run: Run) -> None:
        raise run.error(message.of(run)[:2000])

    return error


EXTENSIONS: Final = (
    Extension(
        "ihave",
        (
            Row("ihave", Sort.TEST, _ihave, (Argument("capabilities", Kind.STRINGS, constant=True),)),
            Row("error", Sort.CONTROL, _error, (Argument("message", Kind.STRING),)),
        ),
    ),
)
