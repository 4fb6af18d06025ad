"""JSON Pointer (RFC 6901) with the `*` of RFC 8620 §3.7, by which a result reference selects from a response.

Holds the evaluation alone: which response a reference means, and that a failure is `invalidResultReference`, is the
caller's knowledge. The document must be plain dicts and lists: stored JSON that was spliced in unparsed is opaque.
"""

import re
from collections.abc import Iterator
from typing import Any

MAX_RESULTS = 100_000
"""Values that a `*` may gather, unless `resolve` is told otherwise."""

_SHOWN = 60  # Characters of foreign text repeated in a sentence.
_EACH = "*"
_INDEX_DIGITS = 15  # More than any array has items; a longer number is not converted.
_INDEX = re.compile(r"0|[1-9][0-9]*")
_BAD_ESCAPE = re.compile(r"~(?![01])")


class PointerError(ValueError):
    """The pointer is malformed or leads to nothing; `sentence` says why, for a person."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def resolve(document: Any, path: str, max_results: int = MAX_RESULTS) -> Any:
    """The value `path` selects in `document`, sharing structure with it: it must not be changed.

    With a `*` that met an array the result is a new list. Raises PointerError for a malformed pointer, for one that
    resolves to nothing (also when only one item of a mapped array lacks the rest), and for more than `max_results`
    gathered values.
    """
    values = [document]
    mapped = False
    for token in _tokens(path):
        if token == _EACH and any(isinstance(value, list) for value in values):
            mapped = True
            values = _gather(values, max_results)
        else:
            values = [_member(value, token) for value in values]
    if not mapped:
        return values[0]
    # RFC 8620 §3.7: an array that the rest of the pointer yields is replaced by its items. However many `*` there
    # are, each result passes one such flattening: the inner one yields an array that the outer ones only join.
    results: list[Any] = []
    for value in values:
        if isinstance(value, list):
            results.extend(value)
        else:
            results.append(value)
        _check_count(len(results), max_results)
    return results


def _tokens(path: str) -> Iterator[str]:
    """The unescaped reference tokens of a pointer (RFC 6901 §3, §4)."""
    if not path:
        return iter(())
    if not path.startswith("/"):
        raise PointerError(f"The pointer {path[:_SHOWN]!r} does not start with '/'.")
    tokens = path[1:].split("/")
    if "~" not in path:
        return iter(tokens)
    if _BAD_ESCAPE.search(path):
        raise PointerError(f"The pointer {path[:_SHOWN]!r} has a '~' that is neither '~0' nor '~1'.")
    # In this order, or "~01" would become "/".
    return (token.replace("~1", "/").replace("~0", "~") for token in tokens)


def _gather(values: list[Any], max_results: int) -> list[Any]:
    """The items of the arrays among `values`; of an object, its member named `*`."""
    gathered: list[Any] = []
    for value in values:
        if isinstance(value, list):
            gathered.extend(value)
        else:
            gathered.append(_member(value, _EACH))
        _check_count(len(gathered), max_results)
    return gathered


def _check_count(count: int, max_results: int) -> None:
    if count > max_results:
        raise PointerError(f"The pointer selects more than {max_results} values.")


def _member(value: Any, token: str) -> Any:
    """What one reference token selects in `value` (RFC 6901 §4)."""
    if isinstance(value, dict):
        if token not in value:
            raise PointerError(f"There is no member {token[:_SHOWN]!r}.")
        return value[token]
    if not isinstance(value, list):
        raise PointerError(f"{token[:_SHOWN]!r} selects from a value that is neither an object nor an array.")
    if not _INDEX.fullmatch(token):
        raise PointerError(f"{token[:_SHOWN]!r} is not an index of an array.")
    if len(token) > _INDEX_DIGITS or int(token) >= len(value):
        raise PointerError(f"The array has {len(value)} items, none with the index {token[:_SHOWN]}.")
    return value[int(token)]
