"""What a person looks for, as a query of FTS5 (RFC 8621 §4.4.1), and the rows of its index `email_search`.

Words are separated by white space and must all be there, each in any of the fields; a phrase in quotes must be there
as it is; a `*` at the end of a word stands for any ending. Nothing is stemmed and no word is left out. Beyond words
(see `words`) three characters or more are found inside of words of addresses, of the subject and of attachments'
names, and any part of what is written without spaces is found everywhere.

All of it is one table and one MATCH, so that the index drives every search. Measured at 20,000 messages with SQLite
3.40: pieces of words beside the words themselves cost 0.45 kB a message, as a trigram table of its own does, but
`zanthovel bench` took 0.8 ms against 10 ms for a UNION of two tables and an INTERSECT over words. Han and kana a
character a token against overlapping pairs: half the size (2.3 kB against 4.7 for messages of 900 characters), a
quarter of the time to insert, and at most 2 ms a query over 10,000 messages, where pairs take 0.1 ms for two
characters and 27 ms for one. Trigrams of whole bodies cost 7.9 kB.

A header field is indexed under a word made of its name, but for the bulky ones that nobody looks for, which are read
message by message.
"""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from minijmap.mail import headers, words
from minijmap.store.database import Transaction

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
INDEXED = ("from", "to", "cc", "bcc", "subject", "body", "attachments", "headers")
"""The columns of the index, in order."""
IN_PARTS = frozenset(("from", "to", "cc", "bcc", "subject", "attachments"))
"""The columns that are searched inside of words too."""
TERM = re.compile(r""""((?:[^"\\]|\\.)*)"|(?<!\S)'((?:[^'\\]|\\.)*)'(?!\S)|(\S+)""", re.DOTALL)
CURLY = str.maketrans("“”„", '"""')
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
MOST_TERMS = 64
MOST_TERM_CHARACTERS = 200
NOT_INDEXED = re.compile(
    r"(received|dkim-signature|arc-.*|authentication-results|x-ms-.*|x-google-.*|content-.*|mime-version|from|to|cc|bcc|"
    r"subject)\Z"
)
MOST_HEADER_CHARACTERS = 10_000
"""Characters of header fields in the index, for each message."""
MORE_HEADERS = "hdrmore"
"""The word under which a message is found that has more of them."""


# What is looked for


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase that must be there, folded."""

    text: str
    is_phrase: bool = False
    any_ending: bool = False


def terms(text: str) -> list[Term]:
    """Split what is looked for. Both kinds of quotes make phrases, inside which a backslash escapes."""
    # RFC 8621 §4.4.1
    found = []
    for match in TERM.finditer(text.translate(CURLY)):
        word = match[3]
        if word is None:
            term = Term(_folded(ESCAPED.sub(r"\1", match[1] or match[2] or "")), is_phrase=True)
        else:
            bare = word.rstrip("*")
            term = Term(_folded(bare), any_ending=bare != word)
        if len(term.text) > MOST_TERM_CHARACTERS:
            term = Term(term.text[:MOST_TERM_CHARACTERS], term.is_phrase, any_ending=True)
        if any(character.isalnum() for character in term.text):
            found.append(term)
    return found[:MOST_TERMS]


def _folded(text: str) -> str:
    return words.fold(words.normal(text))


def match_query(condition: str, text: str) -> str | None:
    """Return the FTS5 query of a filter condition; None when the text has no word, and so matches nothing."""
    return columns_query(COLUMNS[condition], text)


def columns_query(columns: str, text: str) -> str | None:
    """Return the query of a text in some columns of an index whose rows are made of `entry`."""
    wanted = " AND ".join([_term_query(term) for term in terms(text)])
    return f"{columns} : ({wanted})" if wanted else None


def _term_query(term: Term) -> str:
    word = _quoted(words.cut(term.text)) + ("*" if term.any_ending else "")
    parts = None if term.is_phrase else words.parts_wanted(term.text)
    return f"({word} OR {_quoted(parts)})" if parts else word


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""').replace("\0", " ") + '"'


# What is indexed


def indexed(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the row of the index for the texts of a message, in the order of INDEXED."""
    return tuple([entry(text, in_parts=column in IN_PARTS) for column, text in zip(INDEXED, texts, strict=True)])


def entry(text: str, *, in_parts: bool) -> str:
    """Return what a column of an index has for a text; `in_parts`: it is found inside of words too."""
    folded = _folded(text)
    return f"{words.cut(folded)} {words.parts(folded)}" if in_parts else words.cut(folded)


def insert(tx: Transaction, key: int, row: Sequence[str], table: str = "email_search") -> None:
    """Put a message's row into the index."""
    columns = ", ".join(f'"{one}"' for one in INDEXED)
    tx.execute(f"INSERT INTO {table} (rowid, {columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (key, *row))


# Header fields


def header_words(fields: Sequence[tuple[str, str]]) -> str:
    """Return what the index gets of a message's header fields."""
    lines, length = [], 0
    for name, raw in fields:
        if NOT_INDEXED.match(name.lower()):
            continue
        if length >= MOST_HEADER_CHARACTERS:
            lines.append(MORE_HEADERS)
            break
        lines.append(f"{_name_word(name)} {headers.as_text(raw)}")
        length += len(lines[-1])
        if length > MOST_HEADER_CHARACTERS:
            lines[-1] = lines[-1][: MOST_HEADER_CHARACTERS - length] + f" {MORE_HEADERS}"
    return "\n".join(lines)


def _name_word(name: str) -> str:
    return "hdr" + "".join(character for character in name.lower() if character.isalnum())


def header_query(name: str, text: str | None) -> str | None:
    """Return an FTS5 query that finds at least every message with such a field; None when only reading will tell."""
    if NOT_INDEXED.match(name.lower()):
        return None
    # The text may begin or end inside of a word: only what stands between white space is asked of the index.
    inner = [_folded(one) for one in re.findall(r"(?<=\s)\S+(?=\s)", text or "") if any(map(str.isalnum, one))]
    wanted = [_name_word(name), *(words.cut(one) for one in inner[:MOST_TERMS] if len(one) <= MOST_TERM_CHARACTERS)]
    return f"{{headers}} : (({' AND '.join(map(_quoted, wanted))}) OR {MORE_HEADERS})"


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
