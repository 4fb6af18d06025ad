"""The grammar of RFC 5228 §8.2: from tokens to commands, tests and arguments.

Owns the shape of a script and its limits; which commands there are, and what they take, is the compiler's to check. An
error names what was found and what was expected.
"""

from minijmap.sieve.errors import ScriptError
from minijmap.sieve.lexer import Lexer, Token, What
from minijmap.sieve.limits import LIMITS, Limits
from minijmap.sieve.syntax import Argument, Command, Number, Position, Script, String, StringList, TagName, Test


def parse(source: bytes, limits: Limits = LIMITS) -> Script:
    """The form of a script given as octets. Raises ScriptError."""
    return _Parser(source, limits).script()


class _Parser:
    """One token of look-ahead; recursion is bounded by Limits.nesting."""

    def __init__(self, source: bytes, limits: Limits) -> None:
        self.lexer = Lexer(source, limits)
        self.limits = limits
        self.tokens = self.lexer.tokens()
        self.token = next(self.tokens)
        self.strings = self.elements = 0
        self.line, self.line_start, self.counted = 1, 0, 0

    # --- tokens -----------------------------------------------------------------------------------------------------

    def advance(self) -> Token:
        """Go on to the next token; return the one left behind."""
        token = self.token
        if token.what is not What.END:
            self.token = next(self.tokens)
        return token

    def at(self, mark: str) -> bool:
        return self.token.what is What.MARK and self.token.text == mark

    def position(self, token: Token) -> Position:
        """Line and column; tokens are asked about in order, so the text is counted once."""
        text = self.lexer.text
        if breaks := text.count("\n", self.counted, token.offset):
            self.line += breaks
            self.line_start = text.rfind("\n", self.counted, token.offset) + 1
        self.counted = token.offset
        return Position(self.line, token.offset - self.line_start + 1)

    def error(self, sentence: str, token: Token) -> ScriptError:
        return self.lexer.error(sentence, token.offset)

    def unexpected(self, expected: str) -> ScriptError:
        return self.error(f"found {self.token.shown()}, expected {expected}", self.token)

    def count(self, token: Token) -> None:
        self.elements += 1
        if self.elements > self.limits.commands:
            raise self.error(f"the script has more than {self.limits.commands} commands and tests", token)

    # --- grammar ----------------------------------------------------------------------------------------------------

    def script(self) -> Script:
        commands = self.commands(0)
        if self.token.what is not What.END:
            raise self.unexpected("a command")
        return Script(commands)

    def commands(self, depth: int) -> tuple[Command, ...]:
        commands: list[Command] = []
        while self.token.what is What.IDENTIFIER:
            commands.append(self.command(depth))
        return tuple(commands)

    def command(self, depth: int) -> Command:
        name = self.advance()
        self.count(name)
        position = self.position(name)
        arguments = self.arguments(name.text)
        tests, listed = self.tests(0)
        if self.at(";"):
            self.advance()
            return Command(name.text, position, arguments, tests, listed)
        if not self.at("{"):
            expected = "a block in braces, or “;”," if tests else "“;”"
            if not tests and name.text in {"if", "elsif"}:
                expected = "a test"
            raise self.unexpected(f"{expected} after “{name.text[:40]}”")
        opening = self.advance()
        line = self.position(opening).line
        if depth >= self.limits.nesting:
            raise self.error(f"more than {self.limits.nesting} blocks are inside of each other", opening)
        block = self.commands(depth + 1)
        if not self.at("}"):
            raise self.unexpected(f"a command, or the “}}” of the block that begins in line {line}")
        self.advance()
        return Command(name.text, position, arguments, tests, listed, block)

    def tests(self, depth: int) -> tuple[tuple[Test, ...], bool]:
        """The tests after the arguments, and whether they stand in parentheses."""
        if self.token.what is What.IDENTIFIER:
            return (self.test(depth),), False
        if not self.at("("):
            return (), False
        self.advance()
        tests = [self.test(depth)]
        while self.at(","):
            self.advance()
            tests.append(self.test(depth))
        if not self.at(")"):
            raise self.unexpected("“,” and another test, or the “)” of the list of tests")
        self.advance()
        return tuple(tests), True

    def test(self, depth: int) -> Test:
        if self.token.what is not What.IDENTIFIER:
            raise self.unexpected("a test")
        name = self.advance()
        self.count(name)
        if depth >= self.limits.nesting:
            raise self.error(f"more than {self.limits.nesting} tests are inside of each other", name)
        position = self.position(name)
        arguments = self.arguments(name.text)
        tests, listed = self.tests(depth + 1)
        return Test(name.text, position, arguments, tests, listed)

    def arguments(self, name: str) -> tuple[Argument, ...]:
        arguments: list[Argument] = []
        while True:
            token = self.token
            if token.what is What.STRING:
                arguments.append(self.string())
            elif token.what is What.NUMBER:
                arguments.append(Number(token.number, self.position(token)))
                self.advance()
            elif token.what is What.TAG:
                arguments.append(TagName(token.text, self.position(token)))
                self.advance()
            elif self.at("["):
                arguments.append(self.string_list())
            else:
                return tuple(arguments)
            if len(arguments) > self.limits.arguments:
                raise self.error(f"“{name[:40]}” has more than {self.limits.arguments} arguments", token)

    def string(self) -> String:
        token = self.token
        if token.what is not What.STRING:
            raise self.unexpected("a string")
        self.strings += 1
        if self.strings > self.limits.strings:
            raise self.error(f"the script has more than {self.limits.strings} strings", token)
        position = self.position(token)
        self.advance()
        return String(token.text, position)

    def string_list(self) -> StringList:
        opening = self.position(self.advance())
        strings = [self.string()]
        while self.at(","):
            self.advance()
            strings.append(self.string())
        if not self.at("]"):
            raise self.unexpected("“,” and another string, or the “]” of the list")
        self.advance()
        return StringList(tuple(strings), opening)
