"""Archives of mail as other programs leave them: .eml files, mbox, Maildir, and folders of these.

Holds the ways in which such archives name folders, keep flags and dates, and mark where a message ends; `minijmap
import` drives it. It must not know the store, JMAP, or what a message's own headers mean, but for those that mbox
programs add. Memory stays flat: one message at a time, and never more of it than the limit.

mbox has no standard that its writers follow; this reads mboxo and mboxrd from any of the usual programs. Messages in
mbox and Maildir that are stored with this machine's line ends get back the CRLF they travelled with (RFC 5322 §2.1); an
.eml file is taken octet by octet.
"""

import calendar
import os
import re
import stat
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

DEFAULT_LIMIT = 50_000_000
LINE_OCTETS = 64 * 1024


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """A message found in an archive.

    ``received_at`` is in milliseconds since the epoch, None where only the message's own headers can tell; ``folder``
    has its levels separated by "/", None at the top; ``where`` is for people; ``octets`` counts what was read of the
    archive since the item before.
    """

    raw: bytes
    received_at: int | None
    keywords: frozenset[str]
    folder: str | None
    where: str
    octets: int


@dataclass(frozen=True, slots=True)
class ArchiveFailure:
    """A message, file or folder that couldn't be read, and why; ``octets`` as in `ArchivedMessage`."""

    where: str
    reason: str
    octets: int


Item = ArchivedMessage | ArchiveFailure


def iterate(path: Path, *, limit: int = DEFAULT_LIMIT) -> Iterator[Item]:
    """Every message under a path: an .eml file, an mbox file, a Maildir, or a directory of these, in a stable order.

    Messages that their program has marked as deleted are left out: JMAP must not show them (RFC 8621 §4.1.1). A message
    of more than ``limit`` octets is a failure. Nothing is raised for what is on disk: it becomes an ArchiveFailure.
    """
    for source in _sources(path):
        if isinstance(source, ArchiveFailure):
            yield source
            continue
        try:
            yield from source.read(source, limit)
        except OSError as error:
            yield ArchiveFailure(_shown(source.path), error.strerror or str(error), 0)


def count(path: Path) -> int:
    """The octets that `iterate` will read: the length of a progress bar that each item's ``octets`` advance."""
    total = 0
    for source in _sources(path):
        if isinstance(source, _Source):
            try:
                total += source.path.stat().st_size
            except OSError:
                continue
    return total


# Finding files


@dataclass(frozen=True, slots=True)
class _Source:
    """A file to read: one message, or an mbox of many."""

    path: Path
    folder: str | None
    read: Callable[["_Source", int], Iterator[Item]]


def _sources(path: Path) -> Iterator[_Source | ArchiveFailure]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield ArchiveFailure(_shown(path), error.strerror or str(error), 0)
        return
    if stat.S_ISDIR(mode):
        yield from _walk(path)
    elif not stat.S_ISREG(mode):
        yield ArchiveFailure(_shown(path), "neither a file nor a directory", 0)
    else:
        yield _file_source(path, None) or _Source(path, None, _read_eml)


def _walk(top: Path) -> Iterator[_Source | ArchiveFailure]:
    failures: list[OSError] = []
    for root, directories, files in os.walk(top, onerror=failures.append):
        here = Path(root)
        directories.sort()
        parts = here.relative_to(top).parts
        if "cur" in directories:
            inner = [name for name in ("cur", "new") if name in directories]
            directories[:] = [name for name in directories if name not in {"cur", "new", "tmp"}]
            yield from _maildir_sources([here / name for name in inner], _folder(parts, maildir=True), failures)
        elif parts and parts[-1].startswith("."):  # Somebody's own business, such as .git.
            directories.clear()
        else:
            yield from _tree_sources(here, files, parts)
        while failures:
            error = failures.pop()
            yield ArchiveFailure(_shown(error.filename), error.strerror or str(error), 0)


def _maildir_sources(directories: list[Path], folder: str | None, failures: list[OSError]) -> Iterator[_Source]:
    for directory in directories:
        try:
            names = sorted(entry.name for entry in os.scandir(directory) if entry.is_file())
        except OSError as error:
            failures.append(error)
            continue
        yield from (_Source(directory / name, folder, _read_maildir) for name in names if not name.startswith("."))


def _tree_sources(here: Path, files: list[str], parts: tuple[str, ...]) -> Iterator[_Source]:
    folder = _folder(parts)
    for name in sorted(files):
        if name.startswith("."):
            continue
        inner = _folder((*parts, name.removesuffix(".mbox").removesuffix(".mbx")))
        source = _file_source(here / name, inner)
        if source is not None:
            yield _Source(source.path, folder, source.read) if source.read is _read_eml else source


def _file_source(path: Path, folder: str | None) -> _Source | None:
    """How to read a file: by its name if that says .eml, or else as an mbox if it is one."""
    if not path.is_file():
        return None
    if path.suffix.lower() == ".eml":
        return _Source(path, folder, _read_eml)
    try:
        with path.open("rb") as file:
            first, second = file.readline(LINE_OCTETS), file.readline(LINE_OCTETS)
    except OSError:
        return _Source(path, folder, _read_mbox)  # Reading it names the failure.
    empty_mbox = not first and path.suffix.lower() in {".mbox", ".mbx", ""}
    return _Source(path, folder, _read_mbox) if empty_mbox or _begins(first, second, after_blank=True) else None


def _folder(parts: tuple[str, ...], *, maildir: bool = False) -> str | None:
    """The folder that nested directories stand for: `.A.B` of Maildir++ is A/B, and an mbox program's `A.sbd` is A."""
    names: list[str] = []
    for part in parts:
        if maildir and part.startswith("."):
            names += [_modified_utf7(name) for name in part.split(".") if name]
        else:
            names.append(_modified_utf7(part) if maildir else part.removesuffix(".sbd"))
    return "/".join(_shown(name) for name in names) or None


def _modified_utf7(name: str) -> str:
    """A name in IMAP's own encoding, in which Maildir servers write directory names; as it is if it isn't one."""

    def run(found: re.Match[str]) -> str:
        text = found[1].replace(",", "/")
        return b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-16-be") if text else "&"

    try:
        return re.sub(r"&([^-]*)-", run, name)
    except (Base64Error, UnicodeDecodeError, ValueError):
        return name


def _shown(path: Path | str | bytes) -> str:
    """A path for people and JSON: octets that aren't UTF-8 are replaced, as are control characters."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


# One message in a file

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


def _refused(raw: bytes) -> str | None:
    """Why octets aren't taken for a message: it must begin with a header field (RFC 5322 §2.2)."""
    if not raw.strip():
        return "empty"
    return None if _FIELD.match(raw) else "no message: it doesn't begin with a header field"


def _read_whole(path: Path, limit: int) -> tuple[bytes, os.stat_result] | ArchiveFailure:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        raw = file.read(limit + 1)
    if len(raw) > limit:
        return ArchiveFailure(_shown(path), _too_large(limit), status.st_size)
    return raw, status


def _too_large(limit: int) -> str:
    return f"larger than {limit} bytes"


def _read_eml(source: _Source, limit: int) -> Iterator[Item]:
    found = _read_whole(source.path, limit)
    if isinstance(found, ArchiveFailure):
        yield found
        return
    raw, status = found
    received_at = None
    if raw.startswith(b"From "):  # Saved from an mbox, with its first line.
        line, _, raw = raw.partition(b"\n")
        received_at = _from_date(line)
    yield _message(raw, received_at, frozenset(), source, _shown(source.path), status.st_size)


def _message(
    raw: bytes, received_at: int | None, keywords: frozenset[str], source: _Source, where: str, octets: int
) -> Item:
    reason = _refused(raw)
    if reason:
        return ArchiveFailure(where, reason, octets)
    return ArchivedMessage(raw, received_at, keywords, source.folder, where, octets)


def _crlf(raw: bytes) -> bytes:
    """Give a message stored with bare line feeds its CRLF; one that has CRLF after its first line is left alone."""
    first = raw.find(b"\n")
    if first < 0 or raw[first - 1 : first] == b"\r":
        return raw
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# Maildir

_MAILDIR_FLAGS = {"S": "$seen", "R": "$answered", "F": "$flagged", "D": "$draft", "P": "$forwarded"}
# A time before this comes from a machine without a clock, or from none at all.
_EARLIEST = 86_400 * 365


def _read_maildir(source: _Source, limit: int) -> Iterator[Item]:
    name = os.fsencode(source.path.name).decode("utf-8", "replace")
    found_flags = re.search(r"[:;!]2,([A-Za-z]*)$", name)
    flags = found_flags[1] if found_flags else ""
    if "T" in flags:  # Trashed: RFC 8621 §4.1.1.
        return
    found = _read_whole(source.path, limit)
    if isinstance(found, ArchiveFailure):
        yield found
        return
    raw, status = found
    keywords = frozenset(_MAILDIR_FLAGS[flag] for flag in flags if flag in _MAILDIR_FLAGS)
    yield _message(_crlf(raw), _maildir_time(name, status), keywords, source, _shown(source.path), status.st_size)


def _maildir_time(name: str, status: os.stat_result) -> int | None:
    """The earlier of the name's time and the file's: a copy loses the second, a move from another server the first."""
    stamp = re.match(r"(\d{1,11})\.", name)
    times = [int(status.st_mtime * 1000), *([int(stamp[1]) * 1000] if stamp else [])]
    return min((moment for moment in times if moment >= _EARLIEST * 1000), default=None)


# mbox


@dataclass(slots=True)
class _Slice:
    """What stands between two From_ lines: the lines of the header, and the body as it will be."""

    from_line: bytes
    octets: int
    header: list[bytes] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    in_body: bool = False
    too_large: bool = False

    def add(self, line: bytes, limit: int, *, at_start: bool) -> None:
        """Take the next line, or the next piece of a very long one."""
        self.octets += len(line)
        # Two octets more: the blank line after the message may be the mbox's.
        if (len(self.body) if self.in_body else self.octets - len(self.from_line)) > limit + 2:
            self.too_large = True
            self.header.clear()
            self.body.clear()
        if self.too_large:
            return
        if line.startswith(b">") and at_start and line.lstrip(b">").startswith(b"From "):
            line = line[1:]
        if self.in_body:
            self.body += line if line[-2:] == b"\r\n" or self.crlf else line.replace(b"\n", b"\r\n")
        else:
            self.header.append(line)
            self.in_body = at_start and line in _BLANK

    @property
    def crlf(self) -> bool:
        """Whether the message was stored with the line ends it travelled with."""
        return self.header[0].endswith(b"\r\n")


_BLANK = {b"\n", b"\r\n"}


def _read_mbox(source: _Source, limit: int) -> Iterator[Item]:
    where = _shown(source.path)
    skipped = 0
    with source.path.open("rb") as file:
        for number, slice_ in enumerate(_slices(file, limit), 1):
            item = _mbox_message(slice_, source, limit, f"{where}: message {number}", slice_.octets + skipped)
            skipped = 0 if item else skipped + slice_.octets
            if item:
                yield item


def _slices(file: BinaryIO, limit: int) -> Iterator[_Slice]:
    """Split an mbox at its From_ lines. What stands before the first is no message and is dropped."""
    current: _Slice | None = None
    after_blank, at_start = True, True
    line = file.readline(LINE_OCTETS)
    while line:
        following = file.readline(LINE_OCTETS)
        if at_start and line.startswith(b"From ") and _begins(line, following, after_blank=after_blank):
            if current:
                yield current
            current = _Slice(line, len(line))
        elif current:
            current.add(line, limit, at_start=at_start)
        after_blank = at_start and line in _BLANK
        at_start = line.endswith(b"\n")
        line = following
    if current:
        yield current


_DATE = re.compile(
    rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +(?P<day>\d{1,2}) +"
    rb"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
    rb"(?: +(?:[A-Z]{1,5}|(?P<before>[+-]\d{4})))? +(?P<year>\d{4})(?: +(?P<after>[+-]\d{4}))?\s*$"
)
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def _begins(line: bytes, following: bytes, *, after_blank: bool) -> bool:
    """Whether a line opens a message: a From_ line with its date, or any From_ line between a blank line and a header.

    Some programs write no date, some forget to quote "From " in a text, and some put no blank line before.
    """
    if not line.startswith(b"From "):
        return False
    return bool(_DATE.search(line[:500])) or (after_blank and bool(_FIELD.match(following)))


def _from_date(line: bytes) -> int | None:
    """The date of a From_ line, in milliseconds; UTC unless it says otherwise. None if there is none."""
    found = _DATE.search(line[:500])
    if found is None:
        return None
    clock = (int(found["hour"]), int(found["minute"]), int(found["second"] or 0))
    zone = found["before"] or found["after"] or b"+0000"
    offset = (int(zone[1:3]) * 60 + int(zone[3:5])) * (-60 if zone[:1] == b"-" else 60)
    date = (int(found["year"]), _MONTHS.index(found["month"]) + 1, int(found["day"]))
    try:
        seconds = calendar.timegm(time.struct_time((*date, *clock, 0, 1, 0)))
    except (ValueError, OverflowError):
        return None
    return (seconds - offset) * 1000


def _mbox_message(slice_: _Slice, source: _Source, limit: int, where: str, octets: int) -> Item | None:
    """The message of a slice; None for one that is marked as deleted or that its program keeps for itself."""
    if slice_.too_large:
        return ArchiveFailure(where, _too_large(limit), octets)
    own, keywords, deleted = _own_fields(slice_.header)
    if deleted:
        return None
    header = b"".join(line for number, line in enumerate(slice_.header) if number not in own)
    raw = _crlf(header) + slice_.body
    # The blank line before the next From_ line is the mbox's, not the message's.
    if raw.endswith(b"\r\n\r\n"):
        raw = raw[:-2]
    if len(raw) > limit:
        return ArchiveFailure(where, _too_large(limit), octets)
    return _message(raw, _from_date(slice_.from_line), keywords, source, where, octets)


_STATUS_LETTERS = {"R": "$seen", "A": "$answered", "F": "$flagged", "T": "$draft"}
_MOZILLA_BITS = {0x0001: "$seen", 0x0002: "$answered", 0x0004: "$flagged", 0x1000: "$forwarded"}
_MOZILLA_EXPUNGED = 0x0008
# The fields that mbox programs add to a message to keep what they know of it, each with the form that it has then.
_OWN_FIELDS = {
    "status": r"[RONU]*",
    "x-status": r"[AFTDR]*",
    "x-mozilla-status": r"[0-9A-Fa-f]{4}",
    "x-mozilla-status2": r"[0-9A-Fa-f]{8}",
    "x-mozilla-keys": r".*",
    "x-keywords": r".*",
    "x-uid": r"\d+",
    "x-imap": r"[\d ]+.*",
    "x-imapbase": r"[\d ]+.*",
}
# RFC 8621 §4.1.1
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,255}")


def _own_fields(lines: list[bytes]) -> tuple[set[int], frozenset[str], bool]:
    """Which lines are a program's own fields, the keywords they tell, and whether the message is deleted."""
    own: set[int] = set()
    keywords: set[str] = set()
    deleted = False
    for number, line in enumerate(lines):
        if not line.strip():
            break
        name, _, text = line.decode("latin-1").partition(":")
        name, value = name.strip().lower(), text.strip()
        folded = lines[number + 1 : number + 2] and lines[number + 1][:1] in {b" ", b"\t"}
        if not folded and name in _OWN_FIELDS and re.fullmatch(_OWN_FIELDS[name], value):
            own.add(number)
            deleted = deleted or _tells_deleted(name, value)
            keywords.update(_told_keywords(name, value))
    return own, frozenset(keywords), deleted


def _tells_deleted(name: str, value: str) -> bool:
    if name == "x-imap":  # A message that is no message: the UIDs of the folder.
        return True
    if name == "x-mozilla-status":
        return bool(int(value, 16) & _MOZILLA_EXPUNGED)
    return name == "x-status" and "D" in value


def _told_keywords(name: str, value: str) -> set[str]:
    if name in {"status", "x-status"}:
        return {_STATUS_LETTERS[letter] for letter in value if letter in _STATUS_LETTERS}
    if name == "x-mozilla-status":
        return {keyword for bit, keyword in _MOZILLA_BITS.items() if int(value, 16) & bit}
    if name in {"x-mozilla-keys", "x-keywords"}:
        return {word.lower() for word in value.split()[:100] if _KEYWORD.fullmatch(word)}
    return set()
