"""Authentication-Results: what was found out about a message, said in one header field (RFC 8601).

Owns the result of one check (`Result`), the field's text, and the removal of fields that only this server may write and
that a stranger wrote. Must not know how a check is done. Everything that came from outside is quoted or left out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from minijmap.mail.addresses import unfold, without_comments

POLICY_FIELD = "X-Minijmap-Policy"
MOST_VALUE = 200
"""Characters of a property; what is longer is cut: it is a stranger's text."""
_WIDTH = 78
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
_PRINTABLE = re.compile(r"[^\x21-\x7e]")
_FIELD = re.compile(rb"([!-9;-~]{1,998}+)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?")
_ID = re.compile(r'\s*(?:"((?:[^"\\]++|\\.)*+)"|([^\s;"]++))\s*+([^\s;]*+)', re.DOTALL)


@dataclass(frozen=True)
class Result:
    """What one method found: its name, a result word of that method (RFC 8601 §2.7), what it is about, and why."""

    method: str
    value: str
    properties: tuple[tuple[str, str], ...] = ()
    """Pairs such as ("header.d", "example.org")."""
    reason: str = ""

    def text(self) -> str:
        """Return it as a resinfo (RFC 8601 §2.2)."""
        parts = [f"{self.method}={self.value}"]
        if self.reason:
            parts.append(f"reason={_quoted(self.reason)}")
        return " ".join(parts + [f"{name}={_value(value)}" for name, value in self.properties if value])


def field(authserv_id: str, results: Iterable[Result]) -> bytes:
    """Return the field, ended by CRLF, one result a line."""
    texts = [result.text() for result in results] or ["none"]
    return (
        "".join(f"Authentication-Results: {authserv_id}" + "".join(f";\r\n\t{text}" for text in texts)).encode()
        + b"\r\n"
    )


def policy_field(action: str, reason: str) -> bytes:
    """Return the field that says in a sentence what became of a message and why, ended by CRLF."""
    lines, line = [], f"{POLICY_FIELD}: {action};"
    for word in re.sub(r"[^\x20-\x7e]", "?", reason).split():
        if len(line) + len(word) >= _WIDTH:
            lines.append(line)
            line = "\t" + word
        else:
            line += " " + word
    return "\r\n".join([*lines, line]).encode() + b"\r\n"


def without_ours(message: bytes, authserv_id: str) -> bytes:
    """Return a message without the fields in it that claim to be this server's: all other octets are as they came.

    Those are Authentication-Results under our name or of an unknown version (RFC 8601 §5), and the policy field.
    """
    ours = _comparable(authserv_id)
    kept, start = [], 0
    for begin, end, name, value in _fields(message):
        if name == b"x-minijmap-policy" or (name == b"authentication-results" and _is_forged(value, ours)):
            kept.append(message[start:begin])
            start = end
    return b"".join([*kept, message[start:]]) if kept else message


def _fields(message: bytes) -> Iterable[tuple[int, int, bytes, bytes]]:
    """Give begin, end, name and value of everything that any reader may take for a header field."""
    position = 3 if message.startswith(b"\xef\xbb\xbf") else 0
    while position < len(message):
        found = _FIELD.match(message, position)
        if found is not None:
            yield position, found.end(), found[1].lower(), found[2]
            position = found.end()
            continue
        line_end = message.find(b"\n", position)
        if line_end < 0 or message[position:line_end] in (b"", b"\r"):
            return
        position = line_end + 1


def _is_forged(value: bytes, ours: str) -> bool:
    found = _ID.match(without_comments(unfold(value.decode("utf-8", "replace"))))
    if found is None:
        return False
    version = found[3]
    name = re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]
    return _comparable(name) == ours or (bool(version) and version.isdigit() and version.lstrip("0") != "1")


def _comparable(name: str) -> str:
    """Return an authserv-id in the form in which A-labels and U-labels are the same (RFC 8601 §5)."""
    name = name.strip().lower().removesuffix(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


def _value(text: str) -> str:
    """Write a property's value: as it is when it is an address or a token, else quoted."""
    text = text[:MOST_VALUE]
    local, at, domain = text.rpartition("@")
    bare = _TOKEN.fullmatch(domain) and (not at or not local or _TOKEN.fullmatch(local))
    return text if bare else _quoted(text)


def _quoted(text: str) -> str:
    safe = re.sub(r"[^\x20-\x7e]", "?", text[:MOST_VALUE])
    return '"' + re.sub(r'(["\\])', r"\\\1", safe) + '"'
