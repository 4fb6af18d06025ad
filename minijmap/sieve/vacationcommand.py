"""The action "vacation": RFC 5230 and RFC 6131.

Owns its arguments, their limits, and by what answers are told apart (§4.2). Whether the sender gets one, and how it is
written, is the house's.
"""

import hashlib
from typing import Final

from minijmap.sieve.actions import Vacation
from minijmap.sieve.addresslist import check_sender, sender_of
from minijmap.sieve.compose import check_entity
from minijmap.sieve.fcc import FCC_TAGS, fcc_of
from minijmap.sieve.headerblock import EditProblem
from minijmap.sieve.message import message_of
from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, Tag

DAY: Final = 86_400
DEFAULT_DAYS: Final = 7
MOST_DAYS: Final = 365
"""Days for which an answer is remembered (RFC 5230 §4.1); more is taken for this."""

_MOST_SECONDS: Final = 2**31


def _seconds(call: Call) -> int:
    """For how long a sender gets no second answer."""
    if call.which("period") == "seconds":
        seconds = call.number("period")
        if seconds > _MOST_SECONDS:  # RFC 6131 §2
            raise call.error("“:seconds” goes up to 2147483648", call.tags["period"].position)
        return min(seconds, MOST_DAYS * DAY)
    # RFC 5230 §4.1: less than the minimum is the minimum.
    return max(1, min(call.number("period", DEFAULT_DAYS), MOST_DAYS)) * DAY


def _handle(call: Call) -> str:
    """By what an answer without a :handle is known: its arguments as they are written (RFC 5230 §4.2)."""
    digest = hashlib.sha256(b"mime" if call.has("mime") else b"text")
    for name in ("subject", "from", "reason"):
        text = call.maybe_text(name)
        octets = b"-" if text is None else b"+" + text.raw.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(octets) + octets)
    return f"reply {digest.hexdigest()}"


def _build(call: Call) -> CommandFunction:
    reason, subject, handle = call.text("reason"), call.maybe_text("subject"), call.maybe_text("handle")
    addresses = call.texts("addresses") if call.has("addresses") else None
    sender, fcc = check_sender(call, "from"), fcc_of(call)
    mime, seconds, written = call.has("mime"), _seconds(call), _handle(call)
    if mime and reason.constant is not None:
        try:
            check_entity(reason.constant)  # RFC 5230 §5
        except EditProblem as problem:
            raise call.error(f"the answer {problem}", reason.position) from None

    def vacation(run: Run) -> None:
        text = reason.of(run)
        if mime:
            try:
                check_entity(text)
            except EditProblem as problem:
                raise run.error(f"the answer {problem}") from None
        action = Vacation(
            text,
            seconds,
            written if handle is None else f"handle {handle.of(run)}",
            None if subject is None else subject.of(run),
            sender_of(run, sender),
            () if addresses is None else addresses.of(run),
            mime,
            None if fcc is None else fcc(run),
            message_of(run).changed_fields(),
        )
        run.act(action)

    return vacation


_STRING: Final = (Kind.STRING,)
_TAGS: Final = (
    Tag("days", (Kind.NUMBER,), group="period"),
    Tag("seconds", (Kind.NUMBER,), ("vacation-seconds",), group="period"),  # RFC 6131 §2: one of the two
    Tag("subject", _STRING),
    Tag("from", _STRING),
    Tag("addresses", (Kind.STRINGS,)),
    Tag("mime"),
    Tag("handle", _STRING),
    *FCC_TAGS,
)

EXTENSIONS: Final = (
    Extension("vacation", rows=(Row("vacation", Sort.ACTION, _build, (Argument("reason", Kind.STRING),), _TAGS),)),
    Extension("vacation-seconds", implies=("vacation",)),
)
