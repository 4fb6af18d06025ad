"""How a run tells what it decides: the functions of a script, wrapped (for `minijmap sieve test`).

Used only when a script is compiled for it, so that a script that isn't costs nothing. Knows no single command.
"""

from typing import Final

from minijmap.sieve.state import Run, TraceLine
from minijmap.sieve.syntax import Argument, Command, Number, String, TagName, Test
from minijmap.sieve.table import CommandFunction, TestFunction

_LONGEST: Final = 200


def described(node: Command | Test) -> str:
    """A command or test on one line, shortened, as it could be written."""
    words = [node.name, *map(_argument, node.arguments)]
    if node.listed:
        words.append("(…)")
    elif node.tests:
        words.append(node.tests[0].name + " …")
    text = " ".join(words)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _argument(argument: Argument) -> str:
    if isinstance(argument, TagName):
        return f":{argument.name}"
    if isinstance(argument, Number):
        return str(argument.value)
    if isinstance(argument, String):
        return _quoted(argument.value)
    return "[" + ", ".join(_quoted(string.value) for string in argument.strings[:10]) + "]"


def _quoted(text: str) -> str:
    text = text[:_LONGEST].replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\r\n", " ") + '"'


def traced_test(test: TestFunction, text: str, depth: int) -> TestFunction:
    """A test that tells how it came out, before the lines of the tests inside of it."""

    def traced(run: Run) -> bool:
        trace = run.trace if run.trace is not None else []
        place, line, script = len(trace), run.line, run.frame.name
        result = test(run)
        if place < run.limits.trace:
            trace.insert(place, TraceLine(script, line, depth + 1, f"{text} → {'true' if result else 'false'}"))
        return result

    return traced


def traced_command(command: CommandFunction, text: str) -> CommandFunction:
    """An action that tells that it is executed."""

    def traced(run: Run) -> None:
        run.note(text)
        command(run)

    return traced
