"""What one Card says that another does not: a PatchObject (RFC 9553 §1.4.3), as JSPROP carries it (RFC 9555 §3.2.1).

Must not know vCard.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from minijmap.contacts import jscontact
from minijmap.jmap.objects import TYPE, is_vendors

_POINTABLE: Final = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]+")
"""A name that a parameter of vCard can have inside; another is told with what is around it."""
_CLEAR: Final = frozenset(jscontact.FORMAT.types) - {"Card", "Timestamp"}
"""Values of `@type` that say nothing: there is only one that an object can be."""


def plain(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Card without what means nothing: an `@type` that is clear anyway, null, and defaults written out."""
    made = {name: _plain(name, value) for name, value in card.items() if value is not None}
    for title in (made.get("titles") or {}).values():
        if title.get("kind") == "title":
            del title["kind"]
    for relation in (made.get("relatedTo") or {}).values():
        relation.setdefault("relation", {})
    for owner in (made.get("name"), *(made.get("addresses") or {}).values()):
        if owner is not None and owner.get("isOrdered") is False:
            del owner["isOrdered"]
    return made


def _plain(name: str, value: Any) -> Any:
    """Return a property's value without any clear `@type`, where it is of JSContact and not somebody's own."""
    if name == "vCardProps" or is_vendors(name):
        return value
    if isinstance(value, dict):
        return {inner: _plain(inner, one) for inner, one in value.items() if inner != TYPE or one not in _CLEAR}
    return [_plain("", one) for one in value] if isinstance(value, list) else value


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch that makes the Card `new` of `old`."""
    patch: dict[str, Any] = {}
    for name in [*new, *(name for name in old if name not in new)]:
        if not _POINTABLE.fullmatch(name):
            continue
        token = name.replace("~", "~0").replace("/", "~1")
        inner = _differ(token, old.get(name), new.get(name), name in old)
        patch |= {token: new.get(name)} if inner is None else inner
    return patch


def _differ(path: str, old: Any, new: Any, is_there: bool) -> dict[str, Any] | None:
    """Return the patch at and under a path; None where only the whole value at the path can tell."""
    if is_there and _same(old, new):
        return {}
    if not is_there or not isinstance(old, dict) or not isinstance(new, dict):
        return {path: new}
    patch: dict[str, Any] = {}
    for name in [*new, *(name for name in old if name not in new)]:
        if not _POINTABLE.fullmatch(name) or (name in new and new[name] is None):
            return None
        token = name.replace("~", "~0").replace("/", "~1")
        inner = _differ(f"{path}/{token}", old.get(name), new.get(name), name in old)
        patch |= {f"{path}/{token}": new[name]} if inner is None else inner
    return patch


def _same(one: Any, other: Any) -> bool:
    """Say whether two values of JSON are the same, of which 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
