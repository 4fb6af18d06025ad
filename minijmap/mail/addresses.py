"""Address lists: RFC 5322 §3.4 with the obsolete syntax of §4.4, RFC 6532 (UTF-8) and RFC 6854 (groups in From).

Owns the Addresses and GroupedAddresses forms of RFC 8621 §4.1.2.3 and §4.1.2.4, and what every structured field
needs: unfolding and comments. Linear in the length of the field, without recursion, raises on no input. It knows no
other field.
"""

import re
import unicodedata
from itertools import groupby
from typing import Any, Final

from minijmap.mail.text import decode_words

MAX_ADDRESSES: Final = 20_000
"""Mailboxes and groups read from one field; the rest is left out."""

_FOLD: Final = re.compile(r"\r?\n")
SPACE: Final = re.compile(r"\s+")
PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_COMMENT_START: Final = re.compile(r'\\.|"(?:[^"\\]++|\\.)*+"|<[^<>]*+>|\(', re.DOTALL)
_COMMENT_INSIDE: Final = re.compile(r"\\.|[()]", re.DOTALL)


def unfold(raw: str) -> str:
    """The field value on one line (RFC 5322 §2.2.3)."""
    return _FOLD.sub("", raw) if "\n" in raw else raw


def _comment_end(text: str, start: int) -> int:
    """The offset after the comment whose "(" is at start, -1 when it never ends."""
    depth = 0
    for found in _COMMENT_INSIDE.finditer(text, start):
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth -= 1
            if not depth:
                return found.end()
    return -1


def without_comments(text: str) -> str:
    """The text with comments replaced by a space; a comment that never ends reaches to the end."""
    if "(" not in text:
        return text
    pieces: list[str] = []
    position = search = 0
    while found := _COMMENT_START.search(text, search):
        search = found.end()
        if found[0] == "(":
            pieces += (text[position : found.start()], " ")
            position = search = _comment_end(text, found.start())
            if position < 0:
                return "".join(pieces)
    pieces.append(text[position:])
    return "".join(pieces)


_ADDRESS_TOKEN: Final = re.compile(
    r"""(?P<run>(?:[^"(),:;<>@\[\]\\]++|\\.)++)
      | (?P<quoted>"(?:[^"\\]++|\\.)*+")
      | (?P<angle><(?:[^<>"\\]++|"(?:[^"\\]++|\\.)*+"|\\.)*+>)
      | (?P<literal>\[[^\[\]]*+\])
      | (?P<special>.)""",
    re.DOTALL | re.VERBOSE,
)
_PHRASE_WORD: Final = re.compile(r'(?<!["\S])=\?[^?\s]+\?[qQ]\?[^?\s]*\?=')
_PHRASE_SPECIAL: Final = re.compile(r'["(),:;<>@\[\]\\]')
_SPACED_DOT_LOCAL: Final = re.compile(r"(?<!\s)\s+\.\s*")
_SPACED_DOT: Final = re.compile(r"(?<!\s)\s*\.\s*")

_Item = tuple[str, str]  # kind (run, quoted, literal, special) and text


def _escape_word(found: re.Match[str]) -> str:
    """An encoded word whose raw specials (Exchange writes commas) can't be taken for the list's own."""
    head, _, rest = found[0][:-2].rpartition("?")
    return f"{head}?{_PHRASE_SPECIAL.sub(lambda special: f'={ord(special[0]):02X}', rest)}?="


def _phrase(items: list[_Item]) -> str:
    """The display text of words: quoted strings as they are, the others RFC 2047 decoded."""
    pieces: list[str] = []
    for quoted, group in groupby(items, key=lambda item: item[0] == "quoted"):
        texts = [text for _, text in group]
        if quoted:
            # RFC 2047 §5: no encoded word is in a quoted string, so none is decoded there (RFC 8621 §4.1.2.2).
            pieces += (PAIR.sub(r"\1", text[1:-1]) for text in texts)
        else:
            pieces.append(decode_words(PAIR.sub(r"\1", SPACE.sub(" ", "".join(texts)))))
    return unicodedata.normalize("NFC", "".join(pieces).strip())


def _angle_address(text: str) -> str:
    """The addr-spec inside of <…>: without comments, white space and an obsolete route (RFC 5322 §4.4)."""
    inner = text[1:-1]
    if '"' not in inner:
        inner = SPACE.sub("", without_comments(inner))
        if inner.startswith("@") and ":" in inner:
            inner = inner.partition(":")[2]
        if inner[:7].lower() == "mailto:":
            inner = inner[7:]
    return unicodedata.normalize("NFC", inner.strip())


class _AddressReader:
    """Reads an address-list (RFC 5322 §3.4, §4.4) token by token; never looks back further than one mailbox."""

    def __init__(self) -> None:
        self.groups: list[dict[str, Any]] = []
        self.count = 0
        self.open = False  # whether the last of groups may still take mailboxes
        self.named = False  # whether that is a real group
        self.clear()

    def clear(self) -> None:
        self.items: list[_Item] = []
        self.angle: str | None = None
        self.named_by = 0  # how many items stood before the angle address
        self.comment: str | None = None
        self.at = False

    def read(self, text: str) -> list[dict[str, Any]]:
        """Read a whole unfolded field value."""
        if "=?" in text:
            text = _PHRASE_WORD.sub(_escape_word, text)
        comments = "(" in text
        position = 0
        while self.count < MAX_ADDRESSES and (found := _ADDRESS_TOKEN.match(text, position)):
            kind, piece, position = str(found.lastgroup), found[0], found.end()
            if kind == "angle":
                self.take_angle(piece)
            elif kind != "special":
                self.items.append((kind, piece))
            elif piece == "(" and comments:
                stop = _comment_end(text, found.start())
                comments = stop >= 0  # a "(" that is never closed is noise, and so is every later one
                if comments:
                    self.take_comment(text[position : stop - 1])
                    position = stop
            else:
                self.take_special(piece)
        self.end_mailbox()
        return self.groups

    def take_angle(self, text: str) -> None:
        if self.angle is not None:  # a comma was forgotten: words since then belong to this one
            words = self.items[self.named_by :]
            del self.items[self.named_by :]
            self.end_mailbox()
            self.items = words
        self.angle = _angle_address(text)
        self.named_by = len(self.items)

    def take_comment(self, text: str) -> None:
        # RFC 8621 §4.1.2.3: a comment that follows the addr-spec may stand for the name.
        if self.at or self.angle is not None:
            self.comment = decode_words(PAIR.sub(r"\1", text)).strip()
        self.items.append(("run", " " if self.angle is not None or not self.at else ""))

    def take_special(self, piece: str) -> None:
        if piece == "@":
            self.at = True
            self.items.append(("special", piece))
        elif piece == ",":
            self.end_mailbox()
        elif piece == ";":
            self.end_mailbox()
            if self.named:
                self.open = self.named = False
        elif piece == ":":
            self.start_group()

    def start_group(self) -> None:
        if self.at or self.angle is not None:
            self.items.append(("run", ":"))
            return
        name = _phrase(self.items)
        self.clear()
        if name and name.lower() != "mailto":
            self.groups.append({"name": name, "addresses": []})
            self.count += 1
            self.open = self.named = True

    def end_mailbox(self) -> None:
        address = self.address()
        self.clear()
        if address is None:
            return
        if not self.open:
            self.groups.append({"name": None, "addresses": []})
            self.open = True
        self.groups[-1]["addresses"].append(address)
        self.count += 1

    def address(self) -> dict[str, Any] | None:
        """The EmailAddress of what was read since the last separator, None when that is nothing."""
        if self.angle is not None:
            name = _phrase(self.items) or self.comment or None
            return {"name": name, "email": self.angle} if name or self.angle else None
        if self.at:
            email, rest = _bare_address(self.items)
            return {"name": _phrase(rest) or self.comment or None, "email": email}
        text = _phrase(self.items)
        if not text:
            return None
        # No address at all: words in plain sight are all that can stand in its place, the rest can only be a name.
        plain = all(kind == "run" and "=?" not in item for kind, item in self.items)
        return {"name": None, "email": text} if plain else {"name": text, "email": ""}


def _bare_address(items: list[_Item]) -> tuple[str, list[_Item]]:
    """Split words around the last "@" into an addr-spec and what is left for a name."""
    at = max(index for index, (kind, _) in enumerate(items) if kind == "special")
    local: list[str] = []
    left = items[:at]
    while left:
        kind, text = left.pop()
        if kind != "run":
            local.append(text)
            continue
        if not local:
            text = text.rstrip()
        text = _SPACED_DOT_LOCAL.sub(".", text)
        head, word = _last_word(text)
        local.append(word)
        if head:
            left.append(("run", head))
            break
    right = items[at + 1 :]
    domain = ""
    if right and right[0][0] == "literal":
        domain = right.pop(0)[1]
    elif right:
        text = "".join(text for kind, text in right if kind == "run")
        others = [item for item in right if item[0] != "run"]
        domain, _, rest = _SPACED_DOT.sub(".", text.strip()).partition(" ")
        right = [("run", f" {rest}"), *others]
    email = f"{''.join(reversed(local))}@{domain}"
    return unicodedata.normalize("NFC", email), left + right


def _last_word(text: str) -> tuple[str, str]:
    """The text up to its last white space (with it) and the word after."""
    words = text.rsplit(None, 1)
    word = words[-1] if words and not text[-1:].isspace() else ""
    return text[: len(text) - len(word)], word


def as_grouped_addresses(raw: str) -> list[dict[str, Any]]:
    """EmailAddressGroup objects of an address list (RFC 8621 §4.1.2.4)."""
    return _AddressReader().read(unfold(raw))


def as_addresses(raw: str) -> list[dict[str, Any]]:
    """EmailAddress objects of an address list, groups dissolved (RFC 8621 §4.1.2.3)."""
    return [address for group in as_grouped_addresses(raw) for address in group["addresses"]]
