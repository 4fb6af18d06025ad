"""RFC 5229, variables: set with its modifiers, and the test string.

Owns the modifiers and their precedence. References in strings are strings', match variables matching's.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from minijmap.sieve.matching import MATCH_TAGS, matching
from minijmap.sieve.state import Run
from minijmap.sieve.strings import variable
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, Tag, TestFunction

_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_WILDCARDS: Final = {ord(character): "\\" + character for character in "*?\\"}


def _encode_url(text: str) -> str:
    """RFC 5435 §6: every octet that is not unreserved in a URI as %XX."""
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


# RFC 5229 §4.1: by their precedence, those applied first in front; of each group, one. RFC 5435 §6 has one at 15.
MODIFIERS: Final[tuple[tuple[str, dict[str, Callable[[str], str]]], ...]] = (
    ("case", {"lower": lambda text: text.translate(_LOWER), "upper": lambda text: text.translate(_UPPER)}),
    (
        "first",
        {
            "lowerfirst": lambda text: text[:1].translate(_LOWER) + text[1:],
            "upperfirst": lambda text: text[:1].translate(_UPPER) + text[1:],
        },
    ),
    ("wildcards", {"quotewildcard": lambda text: text.translate(_WILDCARDS)}),
    ("url", {"encodeurl": _encode_url}),
    ("length", {"length": lambda text: str(len(text))}),
)


def modifiers(call: Call) -> Callable[[str], str]:
    """What the modifiers of a command do to a value, in their order."""
    steps = [functions[call.which(group)] for group, functions in MODIFIERS if call.has(group)]

    def modified(value: str) -> str:
        for step in steps:
            value = step(value)
        return value

    return modified


MODIFIER_TAGS: Final = tuple(
    Tag(name, (), ("enotify",) if name == "encodeurl" else (), group)
    for group, functions in MODIFIERS
    for name in functions
)
"""The tags of a command that stores a value in a variable; `modifiers` reads them."""


def _set(call: Call) -> CommandFunction:
    name, value = call.text("name"), call.text("value")
    target = variable(name.raw, call.scope)
    if target is None:
        raise call.error(f"“{name.raw[:60]}” is no name of a variable that can be set", name.position)
    if value.constant is not None and len(value.constant) > call.scope.limits.variable_length:
        # RFC 5229 §6: at compile time an error, when it runs cut.
        raise call.error(f"a variable holds at most {call.scope.limits.variable_length} characters", value.position)
    if not target.shared:
        call.scope.assigned.add(target.name)
    modified = modifiers(call)

    def execute(run: Run) -> None:
        new = modified(value.of(run, cut=True))
        run.set(target.name, new, shared=target.shared)
        run.note(f"{target.name} is now “{new[:200]}”", 1)

    return execute


def _string(call: Call) -> TestFunction:
    match, source = matching(call), call.texts("source")
    if match.counts:
        # RFC 5229 §5: an empty string does not count.
        return lambda run: match(run, [value for value in source.of(run) if value])
    return lambda run: match(run, source.of(run))


EXTENSIONS: Final = (
    Extension(
        "variables",
        (
            Row(
                "set",
                Sort.ACTION,
                _set,
                (Argument("name", Kind.STRING, constant=True), Argument("value", Kind.STRING)),
                MODIFIER_TAGS,
            ),
            Row(
                "string",
                Sort.TEST,
                _string,
                (Argument("source", Kind.STRINGS), Argument("keys", Kind.STRINGS)),
                MATCH_TAGS,
            ),
        ),
        static=True,
    ),
)
