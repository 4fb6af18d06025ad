"""Names of mailboxes and address books as names of files that every system takes.

Nobody reads a name back out of a file's: what belongs where is in account.json. Must not know what a name stands for.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

MOST_OCTETS: Final = 100
"""Of a name, in UTF-8: twenty of them in one another are still a path that every system takes."""
_UNSAFE: Final = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f]')
_FORMATS: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_RESERVED: Final = re.compile(
    # Devices of Windows, the folders that make a Maildir, and what would be taken for a file of ours or of an archive.
    r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?|cur|new|tmp|.*\.(?:eml|sbd|mbox|mbx)",
    re.IGNORECASE | re.DOTALL,
)


def file_names(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return, by id, a file name for each (id, name): no two are the same on a disk that knows no case."""
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    for object_id, name in names:
        safe, number = _safe(name), 1
        candidate = safe
        while _folded(candidate) in taken:
            number += 1
            candidate = f"{safe}~{number}"
        taken.add(_folded(candidate))
        chosen[object_id] = candidate
    return chosen


def folders(mailboxes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return, by id, the folder of each Mailbox as a path with slashes: the tree of Mailboxes is one of folders."""
    children: dict[str | None, list[tuple[str, str]]] = {}
    for one in mailboxes:
        children.setdefault(one["parentId"], []).append((one["id"], one["name"]))
    paths: dict[str, str] = {}
    left: list[tuple[str | None, str]] = [(None, "")]
    while left:
        parent, above = left.pop()
        for object_id, name in file_names(children.get(parent, ())).items():
            paths[object_id] = f"{above}{name}"
            left.append((object_id, f"{above}{name}/"))
    return paths


def is_safe(path: str) -> bool:
    """Say whether a path with slashes leads to something inside of where it begins."""
    return all(level not in ("", ".", "..") and not _UNSAFE.search(level) for level in path.split("/"))


def _safe(name: str) -> str:
    text = unicodedata.normalize("NFC", _UNSAFE.sub("_", name))
    text = "".join("_" if unicodedata.category(one) in _FORMATS else one for one in text)
    text = text.encode("utf-8", "replace")[:MOST_OCTETS].decode("utf-8", "ignore")
    text = text.rstrip(". ").lstrip(" ")
    if text.startswith("."):
        text = f"_{text[1:]}"
    return f"{text}_" if not text or _RESERVED.fullmatch(text) else text


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
