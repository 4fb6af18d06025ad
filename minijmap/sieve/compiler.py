"""From the form of a script to a function: every command, test, tag and argument checked by the table of `registry`.

Owns what RFC 5228 §2.6 says of arguments, §2.10.5 of require, and RFC 5463 §4 of what `ihave` puts off until the script
runs. Knows no single command. Everything that can be known before a message comes is a ScriptError here.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from minijmap.sieve.errors import ScriptError
from minijmap.sieve.limits import LIMITS, Limits
from minijmap.sieve.parser import parse
from minijmap.sieve.program import Program
from minijmap.sieve.registry import BY_CAPABILITY, ENTRIES, Entry
from minijmap.sieve.scope import Scope
from minijmap.sieve.state import Run
from minijmap.sieve.strings import text_of, texts_of
from minijmap.sieve.syntax import Argument as Written
from minijmap.sieve.syntax import Command, Number, Position, String, StringList, TagName, Test
from minijmap.sieve.table import Argument, Call, CommandFunction, Given, Inside, Kind, Sort, Tag, TestFunction
from minijmap.sieve.tracing import described, traced_command, traced_test

_FOUND: Final = {String: "a string", StringList: "a list of strings", Number: "a number", TagName: "a tag"}
_FITS: Final = {Kind.STRING: (String,), Kind.STRINGS: (String, StringList), Kind.NUMBER: (Number,)}

Link = tuple[int, Callable[[Run], Any]]


def compile_script(source: bytes, limits: Limits = LIMITS, *, tracing: bool = False) -> Program:
    """Check a script given as octets and make it ready to run. Raises ScriptError.

    `tracing` makes a Program whose runs tell what they decide; it is slower.
    """
    script = parse(source, limits)
    scope = Scope(limits, BY_CAPABILITY, tracing=tracing)
    body = _Compiler(scope).commands(script.commands)
    return Program(frozenset(scope.capabilities), body, tracing)


class _Unknown(Exception):
    """Something that no extension here has: an error, or with `ihave` one when the script gets there."""

    def __init__(self, error: ScriptError) -> None:
        super().__init__(str(error))
        self.error = error


class _Compiler:
    """Compiles one script."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    # --- commands ---------------------------------------------------------------------------------------------------

    def commands(self, commands: Iterable[Command]) -> CommandFunction:
        """The commands of a block as one function."""
        chains: list[list[Link]] = []
        before = ""
        for command in commands:
            entry = ENTRIES.get(command.name)
            if command.name != "require":
                self.scope.started = True
            link = (command.position.line, self.command(command))
            follows = entry.row.follows if entry else None
            if follows:
                if before not in follows:
                    names = " or ".join(f"“{name}”" for name in follows)
                    raise _error(f"“{command.name}” must come right after {names}", command.position)
                chains[-1].append(link)
            else:
                chains.append([link])
            before = command.name
        return _sequence(chains)

    def command(self, command: Command) -> CommandFunction:
        """One command as a function."""
        try:
            call = self.call(command, Sort.ACTION)
        except _Unknown as unknown:
            return _failing(self.unknown(unknown))
        function: CommandFunction = _guarded(call, call.row.build(call))
        if self.scope.tracing and call.row.sort is Sort.ACTION:
            function = traced_command(function, described(command))
        return function

    def test(self, test: Test) -> TestFunction:
        """One test as a function."""
        depth = self.scope.depth
        self.scope.depth += 1
        try:
            call = self.call(test, Sort.TEST)
            function: TestFunction = _guarded(call, call.row.build(call))
        except _Unknown as unknown:
            function = _failing(self.unknown(unknown))
        finally:
            self.scope.depth = depth
        return traced_test(function, described(test), depth) if self.scope.tracing else function

    def unknown(self, unknown: _Unknown) -> ScriptError:
        """The error, for when the script runs, if that may be (RFC 5463 §4)."""
        if not self.scope.runtime:
            raise unknown.error
        return unknown.error

    # --- one use of a row -------------------------------------------------------------------------------------------

    def call(self, node: Command | Test, sort: Sort) -> Call:
        """One use of a row, checked. Raises ScriptError, and _Unknown."""
        entry = self.entry(node, sort)
        row = entry.row
        call = Call(row, node.position, self.scope, {}, {})
        if entry.capability:
            call.require(entry.capability, f"“{row.name}”")
        self.take_arguments(call, entry, node)
        self.check_shape(call, node)
        call.tests = tuple(self.test(test) for test in node.tests)
        if isinstance(node, Command) and node.block is not None:
            if row.loop:
                name = call.maybe_text("name")
                self.scope.loops.append(name.constant if name else None)
            call.block = self.commands(node.block)
            if row.loop:
                self.scope.loops.pop()
        return call

    def entry(self, node: Command | Test, sort: Sort) -> Entry:
        entry = ENTRIES.get(node.name)
        word = "test" if sort is Sort.TEST else "command"
        if entry is None:
            raise _Unknown(_error(f"unknown {word} “{node.name[:40]}”", node.position))
        if (entry.row.sort is Sort.TEST) != (sort is Sort.TEST):
            sentence = f"“{node.name}” is a {entry.row.sort.value}; a {word} is expected here"
            raise _error(sentence.replace("a action", "an action"), node.position)
        return entry

    def check_shape(self, call: Call, node: Command | Test) -> None:
        """Whether the tests and the block that the row takes are there, and no others."""
        row = call.row
        wants = row.tests
        right = {
            Inside.NONE: not node.tests and not node.listed,
            Inside.ONE: len(node.tests) == 1 and not node.listed,
            Inside.MANY: node.listed,
        }
        if wants is Inside.NONE and node.tests and not node.listed:
            end = "“;”" if row.sort is not Sort.TEST else "the end of the test"
            raise call.error(f"found “{node.tests[0].name[:40]}”, expected {end}", node.tests[0].position)
        if not right[wants]:
            found = "a list of tests in parentheses" if node.listed else f"{len(node.tests) or 'no'} test"
            raise call.error(f"“{row.name}” takes {wants.value}, found {found}")
        block = isinstance(node, Command) and node.block is not None
        if block != row.block:
            wanted = "a block in braces" if row.block else "“;” and no block"
            raise call.error(f"“{row.name}” ends with {wanted}")

    # --- arguments --------------------------------------------------------------------------------------------------

    def take_arguments(self, call: Call, entry: Entry, node: Command | Test) -> None:
        """Sort what is written into tags and positional arguments (RFC 5228 §2.6)."""
        written = list(node.arguments)
        index = 0
        while index < len(written) and isinstance(tag_name := written[index], TagName):
            tag = self.tag(call, entry, tag_name)
            values = written[index + 1 : index + 1 + len(tag.takes)]
            call.tags[tag.slot] = self.given(call, tag, tag_name, values)
            index += 1 + len(tag.takes)
        rest = written[index:]
        for argument in rest:
            if isinstance(argument, TagName):
                raise call.error(f"“:{argument.name[:40]}” must stand before the other arguments", argument.position)
        self.take_positional(call, rest)

    def tag(self, call: Call, entry: Entry, written: TagName) -> Tag:
        tag = entry.tags.get(written.name)
        if tag is None:
            raise _Unknown(_error(f"“{call.row.name}” has no tag “:{written.name[:40]}”", written.position))
        for capability in tag.requires:
            call.require(capability, f"“:{tag.name}”", written.position)
        before = call.tags.get(tag.slot)
        if before is not None:
            same = before.name == tag.name
            sentence = (
                f"“:{tag.name}” is given twice" if same else f"“:{before.name}” and “:{tag.name}” exclude each other"
            )
            raise call.error(sentence, written.position)
        return tag

    def given(self, call: Call, tag: Tag, written: TagName, values: list[Written]) -> Given:
        if len(values) < len(tag.takes):
            missing = tag.takes[len(values)].value
            raise call.error(f"“:{tag.name}” needs {missing} after it, found nothing", written.position)
        made = []
        for wanted, value in zip(tag.takes, values, strict=True):
            if not isinstance(value, _FITS[wanted]):
                raise call.error(f"“:{tag.name}” needs {wanted.value}, found {_FOUND[type(value)]}", value.position)
            made.append(self.made(call, Argument(f":{tag.name}", wanted, constant=tag.constant), value))
        return Given(tag.name, tuple(made), written.position)

    def take_positional(self, call: Call, written: list[Written]) -> None:
        wanted = call.row.arguments
        spare = len(written) - sum(not argument.optional for argument in wanted)
        names = ", ".join(f"{argument.name} ({argument.kind.value})" for argument in wanted)
        position = 0
        for argument in wanted:
            if argument.optional:
                if spare <= 0:
                    continue
                spare -= 1
            if position == len(written):
                raise call.error(f"“{call.row.name}” needs {names}, found {len(written)} of them")
            value = written[position]
            if not isinstance(value, _FITS[argument.kind]):
                sentence = f"“{call.row.name}” needs {argument.kind.value} for {argument.name}"
                raise call.error(f"{sentence}, found {_FOUND[type(value)]}", value.position)
            call.arguments[argument.name] = self.made(call, argument, value)
            position += 1
        if position < len(written):
            takes = names or "no arguments"
            raise call.error(
                f"“{call.row.name}” takes {takes}, found {_FOUND[type(written[position])]} more",
                written[position].position,
            )

    def made(self, call: Call, argument: Argument, value: Written) -> Any:
        """The value of an argument as `build` gets it."""
        if isinstance(value, Number):
            return value.value
        if argument.kind is Kind.STRING and isinstance(value, String):
            text = text_of(value, self.scope, raw=argument.raw)
            constant = text.constant is not None
            made: Any = text
        elif isinstance(value, String | StringList):
            made = texts_of(value, self.scope, raw=argument.raw)
            constant = made.constant is not None
        if argument.constant and not constant:
            raise call.error(f"{argument.name} of “{call.row.name}” can't have variables in it", value.position)
        return made


def _error(sentence: str, position: Position) -> ScriptError:
    return ScriptError(sentence, position.line, position.column)


def _failing(error: ScriptError) -> Callable[[Run], Any]:
    """The function of what can't be executed."""

    def failing(run: Run) -> None:
        raise run.error(error.sentence)

    return failing


def _guarded(call: Call, function: Callable[[Run], Any]) -> Callable[[Run], Any]:
    """The function, executed only when `ihave` has enabled what it needs (RFC 5463 §4)."""
    if not call.needs:
        return function
    needs = sorted(call.needs)

    def guarded(run: Run) -> Any:
        for capability in needs:
            if capability not in run.frame.capabilities:
                raise run.error(f"“{call.row.name}” needs “{capability}”, which no “ihave” has found before")
        return function(run)

    return guarded


def _sequence(chains: list[list[Link]]) -> CommandFunction:
    """One function that executes commands in order; of a chain, links until one was the one."""
    commands = tuple((chain[0][0], chain[0][1] if len(chain) == 1 else _chain(chain)) for chain in chains)

    def sequence(run: Run) -> None:
        for line, command in commands:
            run.step(line)
            command(run)

    return sequence


def _chain(links: list[Link]) -> CommandFunction:
    def chain(run: Run) -> None:
        for line, link in links:
            run.line = line
            if link(run):
                return

    return chain
