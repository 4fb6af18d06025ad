"""Text out of octets and markup: charsets, RFC 2047 encoded words, HTML to text, previews, base subjects.

Owns RFC 2047 (decoding), RFC 5256 §2.1 (base subject) and the charset rules of RFC 8621 §4.1.4. Everything here is a
pure function over one string, linear in its length, and raises on no input. It knows neither header fields nor MIME
structure.
"""

import html as html_entities
import re
import unicodedata
from encodings.aliases import aliases
from typing import Final

from minijmap.store.transfer import base64_octets

PREVIEW_LENGTH: Final = 256
"""Longest preview, in UTF-16 code units (RFC 8621 §4.1.4 says characters; clients count in either way)."""

MAX_SUBJECT: Final = 1000
"""Characters of a subject that take part in its base subject."""

REPLACEMENT: Final = "\ufffd"

# --- charsets -------------------------------------------------------------------------------------------------------

# Text codecs only, by name: Python's registry also has codecs that inflate, run quadratically or produce lone
# surrogates, and remembers every unknown name it is asked for.
_CODECS_NAMES: Final = """
ascii utf_8 utf_7 utf_16 utf_16_le utf_16_be utf_32 utf_32_le utf_32_be big5 big5hkscs cp950 gb2312 gbk gb18030
hz euc_jp euc_jis_2004 euc_jisx0213 shift_jis shift_jis_2004 shift_jisx0213 cp932 iso2022_jp iso2022_jp_1
iso2022_jp_2 iso2022_jp_3 iso2022_jp_2004 iso2022_jp_ext euc_kr cp949 johab iso2022_kr tis_620 koi8_r koi8_u
koi8_t kz1048 ptcp154 latin_1 iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9
iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16 cp037 cp424 cp437 cp500 cp720 cp737 cp775
cp850 cp852 cp855 cp856 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 cp874 cp875 cp1006 cp1026
cp1125 cp1140 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 hp_roman8 mac_cyrillic mac_greek
mac_iceland mac_latin2 mac_roman mac_turkish
"""
_CODECS: Final = frozenset(_CODECS_NAMES.split())

# What mail means by a name is often the superset that its writer's system had.
_SUPERSETS: Final = {
    "latin_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso2022_jp": "iso2022_jp_ext",
}

_MORE_NAMES: Final = {
    "ksc56011987": "cp949",
    "ksc5601": "cp949",
    "windows949": "cp949",
    "xwindows949": "cp949",
    "windows31j": "cp932",
    "mswindows31j": "cp932",
    "xsjis": "cp932",
    "xgbk": "gb18030",
    "gb23121980": "gb18030",
    "cp936": "gb18030",
    "windows936": "gb18030",
    "xeucjp": "euc_jp",
    "xbig5": "big5hkscs",
    "windows950": "cp950",
    "windows874": "cp874",
    "xmacroman": "mac_roman",
    "macintosh": "mac_roman",
    "xmaccyrillic": "mac_cyrillic",
    "unicode11utf8": "utf_8",
    "xutf8": "utf_8",
    "utf8mb4": "utf_8",
    "iso88598i": "iso8859_8",
    "iso88598e": "iso8859_8",
    "iso88596i": "iso8859_6",
    "iso88596e": "iso8859_6",
}

_UNUSUAL: Final = re.compile(r"[^a-z0-9]+")
_META: Final = re.compile(rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?([a-z0-9_:.-]{1,40})", re.IGNORECASE)

# RFC 7493 §2.1: neither lone surrogates nor noncharacters may be in a JSON text.
_FORBIDDEN: Final = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(chr(plane * 0x10000 + 0xFFFE + low) for plane in range(1, 17) for low in (0, 1))
    + "]"
)


def _squash(name: str) -> str:
    return _UNUSUAL.sub("", name.lower())


def _charset_table() -> dict[str, str]:
    table = {_squash(codec): codec for codec in _CODECS}
    table.update({_squash(alias): codec for alias, codec in aliases.items() if codec in _CODECS})
    table = {name: _SUPERSETS.get(codec, codec) for name, codec in table.items()}
    return table | _MORE_NAMES


_CHARSETS: Final = _charset_table()


def codec_for(charset: str) -> str | None:
    """The Python codec to read a declared charset with, None when the charset is not known."""
    return _CHARSETS.get(_squash(charset[:64]))


# Octets without which none of them can be in a UTF-8 text: looking for these is some hundred times faster.
_FORBIDDEN_HINTS: Final = (b"\xed", b"\xef\xb7", b"\xbf\xbe", b"\xbf\xbf")


def scrub(text: str) -> str:
    """The text with lone surrogates and noncharacters replaced by U+FFFD, so that it can stand in I-JSON."""
    return text if text.isascii() else _scrub(text, text.encode("utf-8", "surrogatepass"))


def _scrub(text: str, octets: bytes) -> str:
    hinted = any(hint in octets for hint in _FORBIDDEN_HINTS)
    return _FORBIDDEN.sub(REPLACEMENT, text) if hinted else text


def decode_charset(data: bytes, charset: str | None) -> tuple[str, bool]:
    """Decode octets by a declared charset.

    Returns the text and whether it is an encoding problem in the sense of RFC 8621 §4.1.4: the charset is unknown or
    some octets are malformed in it. Without a declared charset (None), UTF-8 is no problem, windows-1252 is.
    """
    codec = codec_for(charset) if charset else None
    unknown = bool(charset) and codec is None
    if codec is None or codec == "ascii":
        if data.isascii():
            return data.decode("ascii"), unknown
        text, guessed = _guess(data)
        return text, unknown or guessed or codec == "ascii"
    try:
        return scrub(data.decode(codec)).removeprefix("\ufeff"), False
    except (UnicodeError, ValueError):
        return scrub(data.decode(codec, "replace")).removeprefix("\ufeff"), True


def _guess(data: bytes) -> tuple[str, bool]:
    """UTF-8, else windows-1252; the flag says that it was not UTF-8."""
    try:
        return _scrub(data.decode(), data).removeprefix("\ufeff"), False
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), True


def html_charset(data: bytes) -> str | None:
    """The charset that an HTML document names in a <meta> of its first 2,048 octets, None if none."""
    found = _META.search(data, 0, 2048)
    return found[1].decode("ascii") if found else None


def decode_octets(data: bytes) -> str:
    """The octets of a header field value as text: UTF-8, else windows-1252; NUL is dropped (RFC 8621 §4.1.2.1)."""
    text = data.decode("ascii") if data.isascii() else _guess(data)[0]
    return text.replace("\0", "") if "\0" in text else text


# --- RFC 2047 -------------------------------------------------------------------------------------------------------

# RFC 2047 §2, §5: an encoded word stands between white space or the ends.
# RFC 2231 §5: its charset may carry a language.
_WORD: Final = re.compile(r"(?<!\S)=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?\s]*)\?=(?!\S)")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_QUOTED_OCTET: Final = re.compile(rb"=([0-9A-Fa-f]{2})")


def _word_octets(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "bB":
        return base64_octets(data)
    return _QUOTED_OCTET.sub(lambda found: bytes((int(found[1], 16),)), data.replace(b"_", b" "))


def decode_words(text: str) -> str:
    """Decode the RFC 2047 encoded words of an unfolded text and normalise it to NFC (RFC 8621 §4.1.2.2).

    Words of an unknown charset stay as they are; control characters inside of words are dropped.
    """
    if "=?" not in text:
        return text if text.isascii() else unicodedata.normalize("NFC", text)
    pieces: list[str] = []
    run: list[tuple[str, bytes]] = []  # adjacent words: (codec, octets)
    position = 0
    for found in _WORD.finditer(text):
        codec = codec_for(found[1])
        if codec is None:
            continue
        between = text[position : found.start()]
        if run and between.strip():
            pieces.append(_decode_run(run))
            run = []
        # RFC 2047 §6.2: white space between adjacent encoded words is not displayed.
        if not run:
            pieces.append(between)
        run.append((codec, _word_octets(found[2], found[3])))
        position = found.end()
    pieces.append(_decode_run(run))
    pieces.append(text[position:])
    return unicodedata.normalize("NFC", "".join(pieces))


def _decode_run(run: list[tuple[str, bytes]]) -> str:
    """The text of adjacent words; a character may be split between words of one charset."""
    pieces: list[str] = []
    start = 0
    while start < len(run):
        codec = run[start][0]
        stop = start
        while stop < len(run) and run[stop][0] == codec:
            stop += 1
        pieces.append(_decode_words_of(codec, [octets for _, octets in run[start:stop]]))
        start = stop
    return _CONTROLS.sub("", scrub("".join(pieces)))


def _decode_words_of(codec: str, words: list[bytes]) -> str:
    try:
        return b"".join(words).decode("utf_8" if codec == "ascii" else codec)
    except (UnicodeError, ValueError):
        # One broken word should not spoil its neighbours.
        return "".join(decode_charset(word, codec)[0] for word in words)


# --- HTML -----------------------------------------------------------------------------------------------------------

_BLOCKS_NAMES: Final = """
address article aside blockquote br caption center dd div dl dt fieldset figcaption figure footer form h1 h2 h3
h4 h5 h6 header hr li main nav ol option p pre section table tbody tfoot thead tr ul body html
"""
_BLOCKS: Final = frozenset(_BLOCKS_NAMES.split())
_CELLS: Final = frozenset(("td", "th"))
_SKIPPED: Final = {
    name: re.compile(rf"</{name}(?![a-z0-9])[^>]*+>?" + ("|(?=<body)" if name == "head" else ""), re.IGNORECASE)
    for name in ("head", "script", "style", "title", "template", "textarea", "select")
}
_TAG_NAME: Final = re.compile(r"<(/?)([A-Za-z][^\s/>]{0,40})")
_TAG_REST: Final = re.compile(r"(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
_WHOLE_TAG: Final = re.compile(_TAG_NAME.pattern + _TAG_REST.pattern)
_LONG_NUMBER: Final = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
_TELLING: Final = re.compile(r"\s(?:alt|title)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')", re.IGNORECASE)
_WHITE: Final = re.compile(r"\s{2,}+|[^\S ]")  # a single space, by far the most common white space, needs no work
_SPACES: Final = re.compile(r"[^\S\n]{2,}+|[^\S\n ]")
_LINES: Final = re.compile(r" ?\n\s*")  # what _SPACES has left
_PATIENCE: Final = 16
"""Tags that may stay open to the end of the text before quotes stop being believed: keeps the scan linear."""


class _Tags:
    """Finds where tags end: quoted attribute values may hold ">", unless the quotes lead nowhere."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.patience = _PATIENCE

    def end(self, start: int) -> int:
        """The offset after the tag, comment or declaration at start; len(html) when it never ends."""
        html = self.html
        if html.startswith("<!--", start):
            stop = html.find("-->", start + 4)
            return len(html) if stop < 0 else stop + 3
        if self.patience:
            found = _TAG_REST.match(html, start + 1)
            if found:
                return found.end()
            self.patience -= 1
        stop = html.find(">", start)
        return len(html) if stop < 0 else stop + 1


def _is_markup(html: str, start: int) -> bool:
    follower = html[start + 1 : start + 2]
    return follower in {"/", "!", "?"} or (follower.isascii() and follower.isalpha())


def cut_html(html: str, length: int) -> int:
    """The largest cut <= length that does not fall inside a tag of the HTML (RFC 8621 §4.2)."""
    tags = _Tags(html)
    start = html.find("<", 0, length)
    while 0 <= start < length:
        stop = start + 1
        if _is_markup(html, start):
            stop = tags.end(start)
            if stop > length:
                return start
        start = html.find("<", stop, length)
    return length


def _plain(markup: str) -> str:
    if "&" in markup:
        markup = scrub(html_entities.unescape(_LONG_NUMBER.sub(REPLACEMENT, markup)))
    return " " if markup.isspace() else _WHITE.sub(" ", markup)


def _told(tag: str) -> str:
    """What a tag's alt and title attributes tell, between spaces; usually nothing."""
    if not ("alt" in tag or "title" in tag or "ALT" in tag or "TITLE" in tag):
        return ""
    return "".join(f" {_plain(found[1] or found[2] or '')} " for found in _TELLING.finditer(tag))


def html_to_text(html: str, limit: int, *, told: bool = False) -> str:
    """The text an HTML document shows: blocks on lines of their own, entities decoded, scripts and styles left out.

    limit is in characters of the result; reading stops there. told: with what alt and title attributes tell.
    """
    tags = _Tags(html)
    endless: set[str] = set()  # skipped elements known to have no end tag any more
    pieces: list[str] = []
    size = position = 0
    while size < limit and position < len(html):
        start = html.find("<", position)
        if start < 0:
            start = len(html)
        if start > position:
            piece = _plain(html[position : min(start, position + 4 * limit + 64)])
            pieces.append(piece)
            size += len(piece)
        if start >= len(html):
            break
        named = _WHOLE_TAG.match(html, start) if tags.patience else None  # most tags are well-formed
        if named:
            position = named.end()
        elif _is_markup(html, start):
            position = tags.end(start)
            named = _TAG_NAME.match(html, start)
        else:
            pieces.append("<")
            position = start + 1
        if not named:
            continue
        name = named[2].lower()
        if told and (piece := _told(html[start:position])):
            pieces.append(piece)
            size += len(piece)
        if name in _SKIPPED and not named[1] and name not in endless:
            position = _skip(html, name, position, endless)
        elif name in _BLOCKS:
            pieces.append("\n")
        elif name in _CELLS:
            pieces.append(" ")
    text = _LINES.sub("\n", _SPACES.sub(" ", "".join(pieces))).strip()
    return text[:limit]


def _skip(html: str, name: str, position: int, endless: set[str]) -> int:
    found = _SKIPPED[name].search(html, position)
    if found:
        return found.end()
    endless.add(name)
    # A browser takes an unclosed script or style to the end of the document; other elements are left open.
    return len(html) if name in {"script", "style"} else position


# --- previews and subjects ------------------------------------------------------------------------------------------

_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u2064\ufeff\x00-\x08\x0e-\x1f]"
)


def preview(text: str) -> str:
    """At most 256 characters of a body's text: white space collapsed, invisible padding and quoted lines left out."""
    head = _INVISIBLE.sub("", text[:8192])
    lines = [line for line in head.splitlines() if not line.lstrip().startswith(">")]
    words = " ".join(lines).split() or head.split()
    short = " ".join(words)[:PREVIEW_LENGTH]
    while len(short) + sum(character > "\uffff" for character in short) > PREVIEW_LENGTH:
        short = short[:-1]
    return short.rstrip()


_TRAILER: Final = "(fwd)"
_BLOB: Final = re.compile(r"\[[^\[\]]*+\]\s*+")
_LEADER: Final = re.compile(r"(?:\[[^\[\]]*+\]\s*+)*+(?:re|fwd?)\s*+(?:\[[^\[\]]*+\]\s*+)?:|\s++", re.IGNORECASE)
_FORWARD_HEADER: Final = "[fwd:"


def base_subject(subject: str) -> str:
    """The base subject of RFC 5256 §2.1, in the case it was written (compare it casefolded)."""
    text = " ".join(subject[:MAX_SUBJECT].split())  # step 1; the words are decoded already
    start, end = 0, len(text)
    while True:
        end = _without_trailers(text, start, end)  # step 2
        start = _without_leaders(text, start, end)  # steps 3 to 5
        # Step 6: a forward wrapped in brackets starts again inside.
        if text[start : start + 5].lower() == _FORWARD_HEADER and end > start + 5 and text[end - 1] == "]":
            start, end = start + 5, end - 1
            continue
        return text[start:end]


def _without_trailers(text: str, start: int, end: int) -> int:
    while end > start:
        if text[end - 1] == " ":
            end -= 1
        elif end - 5 >= start and text[end - 5 : end].lower() == _TRAILER:
            end -= 5
        else:
            break
    return end


def _without_leaders(text: str, start: int, end: int) -> int:
    while start < end:
        leader = _LEADER.match(text, start, end)
        if leader:
            start = leader.end()
            continue
        blob = _BLOB.match(text, start, end)
        if not blob or blob.end() >= end:
            break
        start = blob.end()
    return start
