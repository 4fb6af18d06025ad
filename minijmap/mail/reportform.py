"""The form of reports about a message (RFC 6522): of delivery (RFC 3464, RFC 6533), of disposition (RFC 8098).

Pure functions over a parsed message: what a report says, in the terms of a submission. Whose submission that is,
`reports` knows. A report comes from anybody and may say anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from minijmap.mail import headers, message
from minijmap.mail.message import Part

DSN, MDN = "dsn", "mdn"
MOST_OCTETS = 512 * 1024
"""Octets of the part for machines that are read."""
MOST_RECIPIENTS = 1000
MOST_TEXT = 1000
_STATUS_TYPES = {
    "message/delivery-status": DSN,
    "message/global-delivery-status": DSN,
    "message/disposition-notification": MDN,
    "message/global-disposition-notification": MDN,
}
_ORIGINAL_TYPES = ("text/rfc822-headers", "message/rfc822", "message/global-headers", "message/global")
_TYPED = re.compile(r"[A-Za-z0-9-]{1,40};\s*(.*)", re.DOTALL)
_REPLY = re.compile(r"[245][0-9]{2}(?: .*)?", re.DOTALL)
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


@dataclass(frozen=True)
class Told:
    """What is told about one recipient. `delivered`: yes, no, or "" when that is not told; `displayed`: it was seen."""

    addresses: tuple[str, ...]
    """The address as it was sent to, if the report knows it, and where it ended up; in lower case."""
    delivered: str = ""
    displayed: bool = False
    reply: str = ""
    """In the form of smtpReply (RFC 8621 §7)."""


@dataclass(frozen=True)
class Report:
    """A report about a message."""

    kind: str
    envid: str
    message_id: str
    told: tuple[Told, ...]


def read(raw: bytes, root: Part) -> Report | None:
    """Return what a message reports, or None if it is no report."""
    if root.type != "multipart/report":
        return None
    status = next((part for part in root.parts if part.type in _STATUS_TYPES), None)
    if status is None:
        return None
    groups = list(_groups(_content(raw, status)))
    if not groups:
        return None
    original = next((part for part in root.parts if part.type in _ORIGINAL_TYPES), None)
    message_id = "" if original is None else _message_id(_content(raw, original))
    if _STATUS_TYPES[status.type] == DSN:
        told = tuple(_delivery(group) for group in groups[1 : MOST_RECIPIENTS + 1])
        return Report(DSN, groups[0].get("original-envelope-id", ""), message_id, told)
    its_id = headers.as_message_ids(groups[0].get("original-message-id", "")) or [message_id]
    return Report(MDN, "", its_id[0], (_disposition(groups[0]),))


def _content(raw: bytes, part: Part) -> bytes:
    end = min(part.body_end, part.body_start + MOST_OCTETS)
    return message.decode_content(raw, part.body_start, end, part.encoding)[0]


def _message_id(header: bytes) -> str:
    found = headers.find(message.parse(header).headers, "Message-ID")
    identifiers = headers.as_message_ids(found or "") or [""]
    return identifiers[0]


def _groups(octets: bytes) -> Iterator[dict[str, str]]:
    """Yield the groups of fields that blank lines set apart, names in lower case (RFC 3464 §2.1)."""
    for text in re.split(r"(?:\r?\n){2,}", octets.decode("utf-8", "replace").strip()):
        unfolded = re.sub(r"\r?\n[ \t]+", " ", text)
        pairs = (line.partition(":") for line in unfolded.splitlines())
        group = {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
        if group:
            yield group


def _addresses(group: dict[str, str]) -> tuple[str, ...]:
    found = (_TYPED.fullmatch(group.get(name, "")) for name in ("original-recipient", "final-recipient"))
    return tuple(one[1].strip().strip("<>").lower() for one in found if one)


def _delivery(group: dict[str, str]) -> Told:
    """Read a per-recipient group (RFC 3464 §2.3)."""
    delivered = {"failed": "no", "delivered": "yes"}.get(group.get("action", "").lower(), "")
    return Told(_addresses(group), delivered, reply=_reply(group, delivered))


def _reply(group: dict[str, str], delivered: str) -> str:
    """Return the reply that is told, or one made of the status (RFC 8621 §7, smtpReply)."""
    kind, _, diagnostic = group.get("diagnostic-code", "").partition(";")
    diagnostic = " ".join(diagnostic.split())[:MOST_TEXT]
    if kind.strip().lower() == "smtp" and _REPLY.fullmatch(diagnostic):
        return diagnostic
    status = _STATUS.search(group.get("status", ""))
    words = diagnostic or {"yes": "Delivered", "no": "Not delivered"}.get(delivered, "")
    code, unknown = ("550", "5.0.0") if delivered == "no" else ("250", "2.0.0")
    return f"{code} {status[0] if status else unknown} {words}".strip()


def _disposition(group: dict[str, str]) -> Told:
    """Read a disposition (RFC 8098 §3.2.6)."""
    kind = re.split(r"[/,\s]", group.get("disposition", "").partition(";")[2].strip(), maxsplit=1)[0]
    return Told(_addresses(group), displayed=kind.lower() == "displayed")
