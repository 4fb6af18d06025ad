"""RFC 5228 §3: if, elsif, else, require and stop; and the tests that are made of tests (§5.2, §5.3, §5.6, §5.8, §5.10).

Owns their rows; that elsif and else come right after an if is declared by the rows and checked by the compiler.
"""

from typing import Final, cast

from minijmap.sieve.state import Run, Stop
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Inside, Kind, Row, Sort, TestFunction


def _require(call: Call) -> CommandFunction:
    """Enable capabilities; all is done while the script is read (RFC 5228 §3.2)."""
    if call.scope.started:
        raise call.error("“require” must stand before every other command")
    for text in call.texts("capabilities"):
        name = text.raw
        if not call.scope.supports(name):
            raise call.error(f"the extension “{name[:60]}” is not supported", text.position)
        call.scope.capabilities |= call.scope.enabled_by(name)
    call.scope.runtime = call.scope.has("ihave")
    return lambda _: None


def _branch(call: Call) -> TestFunction:
    """A branch of an if chain: it says whether it was taken."""
    block = cast("CommandFunction", call.block)
    test = call.tests[0] if call.tests else None

    def branch(run: Run) -> bool:
        if test is not None and not test(run):
            return False
        block(run)
        return True

    return branch


def _stop(call: Call) -> CommandFunction:
    del call

    def stop(run: Run) -> None:
        del run
        raise Stop

    return stop


def _allof(call: Call) -> TestFunction:
    tests = call.tests

    def allof(run: Run) -> bool:
        return all(test(run) for test in tests)

    return allof


def _anyof(call: Call) -> TestFunction:
    tests = call.tests

    def anyof(run: Run) -> bool:
        return any(test(run) for test in tests)

    return anyof


def _not(call: Call) -> TestFunction:
    test = call.tests[0]
    return lambda run: not test(run)


EXTENSIONS: Final = (
    Extension(
        "",
        (
            Row("require", Sort.CONTROL, _require, (Argument("capabilities", Kind.STRINGS, raw=True),)),
            Row("if", Sort.CONTROL, _branch, tests=Inside.ONE, block=True, follows=()),
            Row("elsif", Sort.CONTROL, _branch, tests=Inside.ONE, block=True, follows=("if", "elsif")),
            Row("else", Sort.CONTROL, _branch, block=True, follows=("if", "elsif")),
            Row("stop", Sort.CONTROL, _stop),
            Row("allof", Sort.TEST, _allof, tests=Inside.MANY),
            Row("anyof", Sort.TEST, _anyof, tests=Inside.MANY),
            Row("not", Sort.TEST, _not, tests=Inside.ONE),
            Row("true", Sort.TEST, lambda _: lambda _: True),
            Row("false", Sort.TEST, lambda _: lambda _: False),
        ),
    ),
    Extension("encoded-character", static=True),
)
