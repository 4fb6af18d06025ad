"""Which files hold vCards (RFC 6350 §10.1): by their name, or by how they begin; and those in a folder.

`minijmap import` drives it. It must not know what is in a card, nor the store.
"""

import codecs
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SUFFIXES: Final = frozenset((".vcf", ".vcard"))
"""RFC 6350 §10.1 has the first; the second is what Apple and others have written."""
MAIL_SUFFIX: Final = ".eml"
_HEAD: Final = 1024
_BEGIN: Final = "BEGIN:VCARD"
_MAILDIR: Final = frozenset(("cur", "new", "tmp"))


def card_files(path: Path) -> Iterator[Path]:
    """Yield the path itself if it is a file of vCards, or every such file in a folder, in a stable order.

    Hidden files and folders are left out, as are the messages of a Maildir, which have names of their own kind. What
    can't be read is left out too, unless its name says what it is: reading it then names the failure.
    """
    if path.is_file():
        if _is_card_file(path):
            yield path
        return
    for root, directories, files in os.walk(path):
        hidden = {name for name in directories if name.startswith(".")}
        left_out = hidden | (_MAILDIR if "cur" in directories else frozenset())
        directories[:] = sorted(name for name in directories if name not in left_out)
        for name in sorted(files):
            file = Path(root, name)
            if not name.startswith(".") and file.is_file() and _is_card_file(file):
                yield file


def _is_card_file(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return True
    if suffix == MAIL_SUFFIX:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    is_utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = head.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")
    return text.lstrip().upper().startswith(_BEGIN)
