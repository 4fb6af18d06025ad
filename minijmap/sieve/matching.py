"""How tests compare strings: match types, comparators and address parts.

Owns RFC 5228 §2.7 (:is, :contains, :matches), RFC 5231 (:count, :value), RFC 6134 §2.2 (:list) and the regex match
type, each under the comparators of RFC 4790 and RFC 5051; RFC 5228 §2.7.4 and RFC 5233, parts of addresses; and match
variables (RFC 5229 §3.2). It knows no test and not where values come from.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from minijmap.jmap.collation import ascii_casemap, ascii_numeric, octet, unicode_casemap
from minijmap.sieve.extlists import list_of
from minijmap.sieve.regex import Regex, RegexProblem
from minijmap.sieve.state import Run
from minijmap.sieve.strings import Text, Texts, Words
from minijmap.sieve.table import Call, Extension, Kind, Tag
from minijmap.sieve.wildcard import Fold, Pattern, by_character

DEFAULT_COMPARATOR: Final = "i;ascii-casemap"
SEPARATOR: Final = "+"
"""What stands before the detail of an address (RFC 5233 §4), the first one of the local part, as in our addresses."""

_LONG: Final = 4_096
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Comparator:
    """A comparator: equal and ordered as its keys are, and found in each other as they are when `substring`."""

    key: Callable[[str], str]
    substring: bool = True
    fold: Fold = octet
    """What it does to the characters of a pattern and its value."""
    by_octet: bool = True
    """A character is an octet (RFC 5228 §2.7.1)."""
    variants: Callable[[str], str] = octet
    """All characters that it has for equal to one."""


def _ascii_variants(character: str) -> str:
    return character.lower() + character.upper() if character.isascii() else character


def _unicode_variants(character: str) -> str:
    return "".join({one for one in (character, character.lower(), character.upper()) if len(one) == 1})


COMPARATORS: Final = {
    "i;octet": Comparator(octet),
    "i;ascii-casemap": Comparator(ascii_casemap, fold=ascii_casemap, variants=_ascii_variants),
    "i;ascii-numeric": Comparator(ascii_numeric, substring=False),
    "i;unicode-casemap": Comparator(unicode_casemap, fold=by_character, by_octet=False, variants=_unicode_variants),
}
_FREE: Final = frozenset(("i;octet", "i;ascii-casemap"))  # RFC 5228 §2.7.3: these need no require

MATCH_TAGS: Final = (
    Tag("is", group="match"),
    Tag("contains", group="match"),
    Tag("matches", group="match"),
    Tag("count", (Kind.STRING,), ("relational",), group="match"),
    Tag("value", (Kind.STRING,), ("relational",), group="match"),
    Tag("regex", (), ("regex",), group="match"),
    Tag("list", (), ("extlists",), group="match"),
    Tag("comparator", (Kind.STRING,), constant=True),
)
"""The tags of every test that compares."""

ADDRESS_PART_TAGS: Final = (
    Tag("all", group="part"),
    Tag("localpart", group="part"),
    Tag("domain", group="part"),
    Tag("user", (), ("subaddress",), group="part"),
    Tag("detail", (), ("subaddress",), group="part"),
)
"""The tags of every test that compares addresses."""

EXTENSIONS: Final = (
    Extension("relational"),
    Extension("subaddress"),
    Extension("regex"),
    *(Extension(f"comparator-{name}") for name in COMPARATORS),
)

_RELATIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}

Matcher = Callable[[str, Run], tuple[str, ...] | None]
"""Whether a value matches, as the match variables it leaves (the whole value first); None when it doesn't."""


class Matching:
    """A comparison as a test declares it: call it with the run and the values."""

    __slots__ = ("_decide", "_depth", "counts")

    def __init__(self, decide: Callable[[Run, Iterable[str]], bool], *, counts: bool, depth: int | None) -> None:
        self._decide = decide
        self._depth = depth  # at which to tell of the values; None: they are not told of
        self.counts = counts
        """The values are counted and not looked at (RFC 5231 §4.2): a test may leave out what doesn't count."""

    def __call__(self, run: Run, values: Iterable[str]) -> bool:
        """Whether any value matches any key. Sets the match variables when there are some."""
        run.check_time()
        if self._depth is None:
            return self._decide(run, values)
        seen = list(values)
        shown = ", ".join(f"“{value[:_SHOWN]}{'…' if len(value) > _SHOWN else ''}”" for value in seen[:5])
        more = f" and {len(seen) - 5} more" if len(seen) > 5 else ""
        run.note((f"{len(seen)} values: " if self.counts else "value: ") + (shown or "none") + more, self._depth)
        return self._decide(run, seen)


def matching(call: Call, keys: str = "keys", *, variables: bool = True, words: bool = False) -> Matching:
    """The comparison that a test's match type and comparator tell, with the argument of that name as its keys.

    Without `variables` it leaves the match variables alone; with `words` each word of a string is a key. Raises
    ScriptError.
    """
    comparator = _comparator(call)
    kind = call.which("match", "is")
    texts = Words(call.texts(keys)) if words else call.texts(keys)
    if kind in {"contains", "matches", "regex"} and not comparator.substring:
        name = call.text("comparator").constant
        raise call.error(f"the comparator “{name}” can't be used with “:{kind}”", call.tags["comparator"].position)
    decide = _BUILDERS[kind](call, comparator, texts)
    if not variables:
        decide = _without_variables(decide)
    depth = call.scope.depth + 1 if call.scope.tracing else None
    return Matching(decide, counts=kind == "count", depth=depth)


def _without_variables(decide: "_Decide") -> "_Decide":
    def decide_alone(run: Run, values: Iterable[str]) -> bool:
        before = run.frame.matched
        result = decide(run, values)
        run.frame.matched = before
        return result

    return decide_alone


def _comparator(call: Call) -> Comparator:
    name = call.text("comparator").constant if call.has("comparator") else DEFAULT_COMPARATOR
    found = COMPARATORS.get(name or "")
    if found is None:
        known = ", ".join(f"“{known}”" for known in COMPARATORS)
        raise call.error(f"unknown comparator “{name}”; there are {known}", call.tags["comparator"].position)
    if name not in _FREE:
        call.require(f"comparator-{name}", f"the comparator “{name}”", call.tags["comparator"].position)
    return found


# --- match types ------------------------------------------------------------------------------------------------------

_Decide = Callable[[Run, Iterable[str]], bool]


def _is(call: Call, comparator: Comparator, texts: Texts) -> _Decide:
    del call
    key = comparator.key
    constant = frozenset(map(key, texts.constant)) if texts.constant is not None else None

    def decide(run: Run, values: Iterable[str]) -> bool:
        keys = constant if constant is not None else {key(text) for text in texts.of(run)}
        return any(key(value) in keys for value in values)

    return decide


def _contains(call: Call, comparator: Comparator, texts: Texts) -> _Decide:
    del call
    key = comparator.key
    constant = tuple(map(key, texts.constant)) if texts.constant is not None else None

    def decide(run: Run, values: Iterable[str]) -> bool:
        keys = constant if constant is not None else tuple(key(text) for text in texts.of(run))
        for value in values:
            run.check_time()
            folded = key(value)
            for text in keys:
                if text in folded:
                    return True
                if len(folded) > _LONG:
                    run.check_time()
        return False

    return decide


def _matches(call: Call, comparator: Comparator, texts: Texts) -> _Decide:
    remember = call.scope.has("variables")

    def compiled(keys: tuple[str, ...]) -> list[Pattern]:
        return [Pattern(key, comparator.fold, by_octet=comparator.by_octet) for key in keys]

    constant = compiled(texts.constant) if texts.constant is not None else None

    def decide(run: Run, values: Iterable[str]) -> bool:
        patterns = constant if constant is not None else compiled(texts.of(run))
        for value in values:
            for pattern in patterns:
                found = pattern.match(value)
                if found is not None:
                    if remember:
                        run.frame.matched = found
                    return True
                run.check_time()
        return False

    return decide


def _regex(call: Call, comparator: Comparator, texts: Texts) -> _Decide:
    remember = call.scope.has("variables")

    scope = call.scope

    def compiled(keys: tuple[str, ...], count: Callable[[Regex], None]) -> Iterator[Regex]:
        for key in keys:
            expression = Regex(key, comparator.variants, scope.limits.regex)
            count(expression)
            yield expression

    def count_states(expression: Regex) -> None:
        scope.states += expression.size
        if scope.states > scope.limits.expressions:
            raise RegexProblem("those of this script are too large together")

    try:
        constant = list(compiled(texts.constant, count_states)) if texts.constant is not None else None
    except RegexProblem as problem:
        raise call.error(f"in the regular expression: {problem}", texts.position) from None

    def decide(run: Run, values: Iterable[str]) -> bool:
        try:
            expressions = (
                constant if constant is not None else list(compiled(texts.of(run), lambda _: run.check_time()))
            )
        except RegexProblem as problem:
            raise run.error(f"in the regular expression: {problem}") from None
        for value in values:
            for expression in expressions:
                found = expression.search(value, run.check_time, groups=remember)
                if found is not None:
                    if remember:
                        run.frame.matched = found
                    return True
        return False

    return decide


def _relation(call: Call) -> Callable[[Run], Callable[[Any, Any], bool]]:
    """The operator that :count or :value names (RFC 5231 §4)."""
    given = call.tags["match"]
    text: Text = given.values[0]

    def relation(name: str) -> Callable[[Any, Any], bool] | None:
        return _RELATIONS.get(ascii_casemap(name).lower())

    wrong = f"“:{given.name}” needs one of {', '.join(f'“{name}”' for name in _RELATIONS)}"
    if text.constant is not None:
        constant = relation(text.constant)
        if constant is None:
            raise call.error(f"{wrong}, found “{text.constant[:40]}”", text.position)
        return lambda run: constant  # noqa: ARG005

    def current(run: Run) -> Callable[[Any, Any], bool]:
        found = relation(text.of(run))
        if found is None:
            raise run.error(wrong)
        return found

    return current


def _value(call: Call, comparator: Comparator, texts: Texts) -> _Decide:
    key = comparator.key
    relation = _relation(call)

    def decide(run: Run, values: Iterable[str]) -> bool:
        keys = {key(text) for text in texts.of(run)}
        holds = relation(run)
        for value in values:
            run.check_time()
            folded = key(value)
            if any(holds(folded, other) for other in keys):
                return True
        return False

    return decide


def _count(call: Call, comparator: Comparator, texts: Texts) -> _Decide:
    by_value = _value(call, comparator, texts)

    def decide(run: Run, values: Iterable[str]) -> bool:
        # RFC 5231 §4.2
        return by_value(run, [str(sum(1 for _ in values))])

    return decide


def _list(call: Call, comparator: Comparator, texts: Texts) -> _Decide:
    del comparator
    if call.has("comparator"):  # RFC 6134 §2.2
        raise call.error("“:comparator” can't be used with “:list”", call.tags["comparator"].position)

    def decide(run: Run, values: Iterable[str]) -> bool:
        # RFC 6134 §2.2: the keys are names of lists.
        uris = [list_of(run, name) for name in texts.of(run)]
        for value in values:
            run.check_time()
            if any(run.host.in_list(uri, value) for uri in uris):
                run.frame.matched = (value,)
                return True
        return False

    return decide


_BUILDERS: Final[dict[str, Callable[[Call, Comparator, Texts], _Decide]]] = {
    "is": _is,
    "contains": _contains,
    "matches": _matches,
    "regex": _regex,
    "value": _value,
    "count": _count,
    "list": _list,
}


# --- parts of addresses -----------------------------------------------------------------------------------------------


def address_part(call: Call) -> Callable[[str], str | None]:
    """The function from an addr-spec to the part that the test is about; None when the address has no such part."""
    return _PARTS[call.which("part", "all")]


def _split(address: str) -> tuple[str, str] | None:
    """Local part, unquoted, and domain; None when it is no address (RFC 5228 §2.7.4)."""
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain or any(character.isspace() for character in domain):
        return None
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = local[1:-1].replace("\\", "")
    return local, domain


def _localpart(address: str) -> str | None:
    parts = _split(address)
    return parts[0] if parts else None


def _domain(address: str) -> str | None:
    parts = _split(address)
    return parts[1] if parts else None


def _user(address: str) -> str | None:
    parts = _split(address)
    return parts[0].partition(SEPARATOR)[0] if parts else None


def _detail(address: str) -> str | None:
    # RFC 5233 §4: without a separator it matches nothing, not even "".
    parts = _split(address)
    _, separator, detail = parts[0].partition(SEPARATOR) if parts else ("", "", "")
    return detail if separator else None


_PARTS: Final[dict[str, Callable[[str], str | None]]] = {
    "all": lambda address: address,
    "localpart": _localpart,
    "domain": _domain,
    "user": _user,
    "detail": _detail,
}
