"""DKIM signatures (RFC 6376 §3, §5; RFC 8463): what is signed, and the header field that says so.

Pure functions over octets: keys come as functions that sign. Written here and not by dkimpy, whose RSA in Python takes
12 ms a message (a tenth of that is wanted), and whose Ed25519 needs another library; dkimpy's verifier is the judge in
the tests. Relaxed canonicalisation of header and body alone: what travels is refolded on its way.
"""

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SIGNED = (
    "from",
    "reply-to",
    "subject",
    "date",
    "to",
    "cc",
    "resent-date",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "in-reply-to",
    "references",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",  # RFC 8058 §4
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
    "sender",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
)
"""Header fields that are signed when they are there (RFC 6376 §5.4.1), and what says how a body is to be read."""
MOST_FIELDS = 100
"""Fields that one signature names: more than that is no letter, and From comes first."""
_FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:([^\n]*+\n(?:[ \t][^\n]*+\n)*+)", re.MULTILINE)
_WIDTH = 72


@dataclass(frozen=True)
class SigningKey:
    """A key: under which name it is published, and what it does. `algorithm` is rsa-sha256 or ed25519-sha256."""

    selector: str
    algorithm: str
    sign: Callable[[bytes], bytes]


def sign(octets: bytes, domain: str, keys: Sequence[SigningKey], now: int) -> bytes:
    """Return a DKIM-Signature field for each key, to be put before a message; `now` in seconds.

    The message has CRLF at the end of every line; `domain` is in A-labels.
    """
    header, _, body = octets.partition(b"\r\n\r\n")
    found = _FIELD.findall(header + b"\r\n")
    names, canonical = _chosen(found)
    body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
    return b"".join(_field(key, domain, now, names, canonical, body_hash) for key in keys)


def _chosen(fields: Sequence[tuple[bytes, bytes]]) -> tuple[list[str], bytes]:
    """Return the names to sign, and the signed fields as they are hashed (RFC 6376 §5.4.2: the last one first)."""
    there: dict[str, list[bytes]] = defaultdict(list)
    for field_name, value in fields:
        there[field_name.decode().lower()].append(value)
    names: list[str] = []
    lines: list[bytes] = []
    for name in SIGNED:
        for value in reversed(there[name]):
            if len(names) < MOST_FIELDS:
                names.append(name)
                lines.append(relaxed_field(name, value))
        if name == "from":
            # RFC 6376 §8.15: named once more than it is there, so that no second From can be put before it.
            names.append(name)
    return names, b"".join(lines)


def _field(key: SigningKey, domain: str, now: int, names: Sequence[str], canonical: bytes, body_hash: str) -> bytes:
    start = (
        f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain};\r\n"
        f"\ts={key.selector}; t={now};\r\n"
        f"\th={_folded(names)};\r\n"
        f"\tbh={body_hash};\r\n"
        "\tb="
    ).encode()
    # RFC 6376 §3.7: the field itself comes last, with an empty b= and without its line end.
    own = relaxed_field("dkim-signature", start.partition(b":")[2]).removesuffix(b"\r\n")
    signature = base64.b64encode(key.sign(canonical + own)).decode()
    pieces = [signature[at : at + _WIDTH] for at in range(0, len(signature), _WIDTH)]
    return start + "\r\n\t".join(pieces).encode() + b"\r\n"


def _folded(names: Sequence[str]) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > _WIDTH:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n\t".join(lines).removesuffix(":")


def relaxed_field(name: str, value: bytes) -> bytes:
    """Return a field as it is hashed (RFC 6376 §3.4.2)."""
    unfolded = value.replace(b"\r\n", b"")
    return name.encode() + b":" + re.sub(rb"[ \t]+", b" ", unfolded).strip(b" ") + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """Return a body as it is hashed (RFC 6376 §3.4.4). Takes time in proportion to its length."""
    text = re.sub(rb"[ \t]+", b" ", body).replace(b" \r\n", b"\r\n")
    if not text.endswith(b"\r\n"):
        text = text.removesuffix(b" ") + b"\r\n"
    end = len(text)
    while end >= 2 and text[end - 2 : end] == b"\r\n":
        end -= 2
    # What is left keeps one line end; an empty body has none.
    return text[:end] + b"\r\n" if end else b""
