"""PatchObject: RFC 8620 §5.3, the changes that `update` of a /set call makes to one object.

Holds the rules that every patch of every type obeys. It must not know a type's properties: what a default value is,
what may be set, and any leniency about values belong to the type, which judges the result of `apply`.
"""

import re
from itertools import pairwise
from typing import Any

_SHOWN = 60  # Characters of foreign text repeated in a sentence.
_BAD_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_ABSENT = object()


class PatchError(ValueError):
    """The patch is an `invalidPatch`: `path` is the offending key as given, `sentence` says why, for a person."""

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(sentence)
        self.path = path
        self.sentence = sentence


def apply(original: dict[str, Any], patch: dict[str, Any], *, into_arrays: bool = False) -> dict[str, Any]:
    """A new object: `original` with `patch` applied; neither argument is changed, both share structure with it.

    A property set to null is None in the result: whether that means its default, its removal or the value null is
    known to the type alone. Deeper in, null removes the member, and is nothing where there is none.
    With `into_arrays` a token may be the index of an item that an array has, which null can't remove (RFC 9553 §1.4.3).
    Raises PatchError where RFC 8620 §5.3 has `invalidPatch`.
    """
    if not any("/" in path or "~" in path for path in patch):
        return {**original, **patch}
    pointers = {path: _tokens(path) for path in patch}
    if len(pointers) > 1:
        _check_prefixes(pointers)
    result = dict(original)
    copies: set[int] = set()
    for path, value in patch.items():
        tokens = pointers[path]
        parent = _parent(result, path, tokens, copies, into_arrays=into_arrays)
        if isinstance(parent, list):
            if value is None:
                raise PatchError(path, f"{path[:_SHOWN]!r} can't remove an item of an array.")
            parent[_index(parent, path, tokens[-1])] = value
        elif value is None and len(tokens) > 1:
            parent.pop(tokens[-1], None)
        else:
            parent[tokens[-1]] = value
    return result


def _tokens(path: str) -> list[str]:
    """The unescaped reference tokens of a patch's key, whose leading "/" is implied (RFC 6901 §3, §4)."""
    if "~" not in path:
        return path.split("/")
    if _BAD_ESCAPE.search(path):
        raise PatchError(path, f"{path[:_SHOWN]!r} has a '~' that is neither '~0' nor '~1'.")
    # In this order, or "~01" would become "/".
    return [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")]


def _check_prefixes(pointers: dict[str, list[str]]) -> None:
    """Refuse a pointer that is a prefix of another: in order, it stands right before one that it begins."""
    ordered = sorted(pointers.items(), key=lambda item: item[1])
    for (path, shorter), (other, longer) in pairwise(ordered):
        if longer[: len(shorter)] == shorter:
            raise PatchError(other, f"{path[:_SHOWN]!r} and {other[:_SHOWN]!r} patch the same value.")


def _parent(
    result: dict[str, Any], path: str, tokens: list[str], copies: set[int], *, into_arrays: bool
) -> dict[str, Any] | list[Any]:
    """The object or array that holds the last of `tokens`, once all on the way to it are `result`'s own copies.

    `copies` has the identities of the copies made so far. They live as long as `result` does, for only a patch whose
    pointer is a prefix of another's could drop one.
    """
    parent: Any = result
    for token in tokens[:-1]:
        place: Any = _index(parent, path, token) if isinstance(parent, list) else token
        child = parent[place] if isinstance(parent, list) else parent.get(token, _ABSENT)
        if not isinstance(child, dict) and not (into_arrays and isinstance(child, list)):
            raise PatchError(path, _no_parent(child, path, token))
        if id(child) not in copies:
            child = child.copy()
            copies.add(id(child))
            parent[place] = child
        parent = child
    container: dict[str, Any] | list[Any] = parent
    return container


def _index(array: list[Any], path: str, token: str) -> int:
    """The index of an item that an array has."""
    if not _INDEX.fullmatch(token) or int(token) >= len(array):
        raise PatchError(path, f"{path[:_SHOWN]!r} is inside an array, which has no item {token[:_SHOWN]!r}.")
    return int(token)


def _no_parent(child: Any, path: str, token: str) -> str:
    """Why nothing can be set inside `child`, which `token` selects."""
    if child is _ABSENT:
        return f"{path[:_SHOWN]!r} is inside {token[:_SHOWN]!r}, which the object does not have."
    if isinstance(child, list):
        return f"{path[:_SHOWN]!r} is inside an array, which can only be replaced as a whole."
    return f"{path[:_SHOWN]!r} is inside {token[:_SHOWN]!r}, which is not an object."
