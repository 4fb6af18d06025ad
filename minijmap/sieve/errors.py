"""The two ways in which a Sieve script fails (RFC 5228 §2.10.6).

    SieveError
    ├── ScriptError   the script itself is wrong: found when it is stored, with line, column and what was expected
    └── RunError      the script went wrong on one message: the message is kept, the user is told

Holds no logic but their shapes. Nothing else ever leaves the language part, whatever the script and the message.
"""


class SieveError(Exception):
    """A script failed. `sentence` is for the person who wrote it; `line` counts from 1, 0 when no line is to blame."""

    def __init__(self, sentence: str, line: int = 0) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.line = line


class ScriptError(SieveError):
    """The script can't be accepted. `column` counts characters from 1."""

    def __init__(self, sentence: str, line: int, column: int) -> None:
        super().__init__(sentence, line)
        self.column = column

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.sentence}"


class RunError(SieveError):
    """The script can't go on with this message."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.sentence}" if self.line else self.sentence
