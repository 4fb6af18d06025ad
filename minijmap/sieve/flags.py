"""RFC 5232, imap4flags: setflag, addflag, removeflag and hasflag, and the flags that keep and fileinto set.

Owns flag lists: what a flag may look like, that each is there once whatever its case, the internal variable. How flags
become keywords of an Email is the house's.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from minijmap.sieve.matching import MATCH_TAGS, matching
from minijmap.sieve.state import Run
from minijmap.sieve.strings import Variable, variable
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, TestFunction

# RFC 3501 §9: a keyword is an atom; of those with a backslash, RFC 5232 §2 has what can be set.
_FLAG: Final = re.compile(
    r"\\(?:answered|flagged|deleted|seen|draft)|[!#$&'+,./0-9:;<=>?@A-Z^_`a-z|}~-]{1,255}", re.IGNORECASE
)


def flag_list(texts: Iterable[str], limit: int) -> tuple[str, ...]:
    """The valid flags in some strings, each once (RFC 5232 §2)."""
    flags: dict[str, str] = {}
    for text in texts:
        for flag in text.split(" "):
            if len(flags) == limit:
                return tuple(flags.values())
            if _FLAG.fullmatch(flag):
                flags.setdefault(flag.lower(), flag)
    return tuple(flags.values())


def flags_of(call: Call, tag: str) -> Callable[[Run], tuple[str, ...]]:
    """The flags of a keep or fileinto: those after the tag, or those of the internal variable (RFC 5232 §5)."""
    if not call.has(tag):
        return lambda run: run.flags
    texts = call.texts(tag)
    return lambda run: flag_list(texts.of(run), run.limits.flags)


def _flag_variable(call: Call) -> Variable | None:
    """The variable that an action is about, None for the internal one. Raises ScriptError."""
    name = call.maybe_text("variable name")
    if name is None:
        return None
    call.require("variables", "a variable with flags", name.position)
    if name.constant is None or (found := variable(name.constant, call.scope)) is None:
        raise call.error(f"“{name.raw[:40]}” is no name of a variable that can be set", name.position)
    if not found.shared:
        call.scope.assigned.add(found.name)
    return found


def _changing(
    change: Callable[[tuple[str, ...], tuple[str, ...], int], tuple[str, ...]],
) -> Callable[[Call], CommandFunction]:
    """The build function of an action that changes a list of flags by another."""

    def build(call: Call) -> CommandFunction:
        texts, target = call.texts("flags"), _flag_variable(call)

        def execute(run: Run) -> None:
            most = run.limits.flags
            given = flag_list(texts.of(run), most)
            if target is None:
                run.flags = change(run.flags, given, most)
                return
            before = flag_list([target.of(run)], most)
            run.set(target.name, " ".join(change(before, given, most)), shared=target.shared)

        return execute

    return build


def _set(before: tuple[str, ...], given: tuple[str, ...], most: int) -> tuple[str, ...]:
    del before, most
    return given


def _added(before: tuple[str, ...], given: tuple[str, ...], most: int) -> tuple[str, ...]:
    return flag_list([*before, *given], most)


def _removed(before: tuple[str, ...], given: tuple[str, ...], most: int) -> tuple[str, ...]:
    del most
    gone = {flag.lower() for flag in given}
    return tuple(flag for flag in before if flag.lower() not in gone)


def _hasflag(call: Call) -> TestFunction:
    match = matching(call, "flags", words=True)
    names = call.texts("variable names") if call.has("variable names") else None
    variables: list[Variable] = []
    if names is not None:
        call.require("variables", "a variable with flags", names.position)
        for text in names:
            if text.constant is None or (found := variable(text.constant, call.scope)) is None:
                raise call.error(f"“{text.raw[:40]}” is no name of a variable", text.position)
            variables.append(found)

    def values(run: Run) -> Iterable[str]:
        if names is None:
            return run.flags
        return [flag for one in variables for flag in flag_list([one.of(run)], run.limits.flags)]

    return lambda run: match(run, values(run))


_ARGUMENTS: Final = (Argument("variable name", Kind.STRING, optional=True), Argument("flags", Kind.STRINGS))

EXTENSIONS: Final = (
    Extension(
        "imap4flags",
        (
            Row("setflag", Sort.ACTION, _changing(_set), _ARGUMENTS),
            Row("addflag", Sort.ACTION, _changing(_added), _ARGUMENTS),
            Row("removeflag", Sort.ACTION, _changing(_removed), _ARGUMENTS),
            Row(
                "hasflag",
                Sort.TEST,
                _hasflag,
                (Argument("variable names", Kind.STRINGS, optional=True), Argument("flags", Kind.STRINGS)),
                MATCH_TAGS,
            ),
        ),
    ),
)
