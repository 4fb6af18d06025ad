"""From what a person looks for to an FTS5 query over the index of words (RFC 8621 §4.4.1).

Words are separated by white space and must all be there; a phrase in quotes must be there as it is; a `*` at the end
of a word stands for any ending. Diacritics and case don't matter; nothing is stemmed and no word is left out. A
header field is indexed under a word made of its name, but for the bulky ones that nobody looks for, which are read
message by message.
"""

import re
import sqlite3
from collections.abc import Sequence

import orjson

from minijmap.mail import headers

COLUMNS = {
    "text": '{"from" "to" cc bcc subject body attachments}',
    "from": '{"from"}',
    "to": '{"to"}',
    "cc": "{cc}",
    "bcc": "{bcc}",
    "subject": "{subject}",
    "body": "{body attachments}",
}
"""The filter conditions that search words, and the columns they look at."""
TERM = re.compile(r'"([^"]*)"?|(\S+)')
MOST_TERMS = 64
NOT_INDEXED = re.compile(
    r"(received|dkim-signature|arc-.*|authentication-results|x-ms-.*|x-google-.*|content-.*|mime-version|from|to|cc|bcc|"
    r"subject)\Z"
)
MOST_HEADER_CHARACTERS = 10_000
"""Characters of header fields in the index, for each message."""


def terms(text: str) -> list[tuple[str, bool]]:
    """Split what is looked for into (words, whether any ending will do)."""
    found = []
    for match in TERM.finditer(text):
        phrase, word = match[1], match[2]
        wanted = phrase if word is None else word
        prefix = word is not None and wanted.endswith("*")
        wanted = wanted.rstrip("*") if prefix else wanted
        if any(character.isalnum() for character in wanted):
            found.append((wanted, prefix))
    return found[:MOST_TERMS]


def match_query(condition: str, text: str) -> str | None:
    """Return the FTS5 query of a filter condition; None when the text has no word, and so matches nothing."""
    wanted = terms(text)
    if not wanted:
        return None
    return (
        f"{COLUMNS[condition]} : ({' AND '.join(_quoted(words) + ('*' if prefix else '') for words, prefix in wanted)})"
    )


def _quoted(words: str) -> str:
    return '"' + words.replace('"', '""').replace("\0", " ") + '"'


def header_words(fields: Sequence[tuple[str, str]]) -> str:
    """Return what the index gets of a message's header fields."""
    lines, length = [], 0
    for name, raw in fields:
        if length >= MOST_HEADER_CHARACTERS:
            break
        if not NOT_INDEXED.match(name.lower()):
            lines.append(f"{_name_word(name)} {headers.as_text(raw)}"[: MOST_HEADER_CHARACTERS - length])
            length += len(lines[-1])
    return "\n".join(lines)


def _name_word(name: str) -> str:
    return "hdr" + "".join(character for character in name.lower() if character.isalnum())


def header_query(name: str, text: str | None) -> str | None:
    """Return an FTS5 query that finds at least every message with such a field; None when only reading will tell."""
    if NOT_INDEXED.match(name.lower()):
        return None
    query = f"{{headers}} : {_quoted(_name_word(name))}"
    # The text may begin or end inside of a word: only what is whole is asked of the index.
    inner = re.findall(r"(?<=\W)\w+(?=\W)", text or "")
    return query + "".join(f" AND {{headers}} : {_quoted(word)}" for word in inner[:MOST_TERMS])


def _has_header(rest: str, name: str, text: str | None) -> int:
    """Say whether a message, by its stored `rest`, has a header field with a text in it."""
    wanted = None if text is None else text.casefold()
    for field, raw in orjson.loads(rest)["headers"]:
        if field.lower() == name and (wanted is None or wanted in headers.as_text(raw).casefold()):
            return 1
    return 0


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the SQL function `has_header(rest, name, text)`; the name in lower case."""
    connection.create_function("has_header", 3, _has_header, deterministic=True)
