"""The tests of RFC 5228 §5 that look at a message or its envelope: address, envelope, exists, header and size.

Owns what each compares; how strings are compared is matching's, where values of header fields come from fieldsource's.
With RFC 6009 §2, the envelope parts of a DSN request, as far as the host knows them.
"""

from collections.abc import Callable, Iterator
from typing import Final

from minijmap.sieve import fieldsource
from minijmap.sieve.matching import ADDRESS_PART_TAGS, MATCH_TAGS, address_part, matching
from minijmap.sieve.state import Run
from minijmap.sieve.strings import Texts
from minijmap.sieve.table import Argument, Call, Extension, Kind, Row, Sort, Tag, TestFunction

_ADDRESS_FIELDS: Final = """
from to cc bcc sender reply-to resent-from resent-to resent-cc resent-bcc resent-sender resent-reply-to return-path
delivered-to envelope-to original-recipient original-sender x-original-to apparently-to apparently-from errors-to
disposition-notification-to return-receipt-to read-receipt-to x-confirm-reading-to mail-followup-to mail-reply-to
mail-copies-to followup-to abuse-reports-to x-envelope-to x-envelope-from envelope-from approved for-approval
for-handling for-comment x-forwarded-to x-forwarded-for x-sender x-delivered-to x-rcpt-to x-real-to x-resent-from
x-resent-to list-owner
"""
ADDRESS_FIELDS: Final = frozenset(_ADDRESS_FIELDS.split())
"""Header fields with addresses in them (RFC 5228 §5.1: the address test is restricted to such)."""

_SMTP_PARTS: Final = ("from", "to")
_DSN_PARTS: Final = ("notify", "orcpt", "ret", "envid")


def _header(call: Call) -> TestFunction:
    match = matching(call)
    values, names = fieldsource.header_values(call), call.texts("header names")
    return lambda run: match(run, values(run, names.of(run)))


def _address(call: Call) -> TestFunction:
    match, part = matching(call), address_part(call)
    fields, names = fieldsource.address_values(call), call.texts("header names")
    anywhere = call.has("mime")  # RFC 5703 §4.2: any field is read as if it were one with addresses
    for text in names:
        if not anywhere and text.constant is not None and text.constant.lower() not in ADDRESS_FIELDS:
            raise call.error(f"“{text.constant[:60]}” is no header field with addresses in it", text.position)

    def values(run: Run) -> Iterator[str]:
        wanted = [name for name in names.of(run) if anywhere or name.lower() in ADDRESS_FIELDS]
        for addresses in fields(run, wanted):
            for address in addresses:
                value = part(address["email"])
                if value is not None:
                    yield value

    return lambda run: match(run, values(run))


def _exists(call: Call) -> TestFunction:
    exists, names = fieldsource.exists(call), call.texts("header names")
    return lambda run: all(exists(run, name) for name in names.of(run))


def _size(call: Call) -> TestFunction:
    if not call.has("limit"):
        raise call.error("“size” needs “:over” or “:under”")
    limit = call.number("octets")
    if call.which("limit") == "over":
        return lambda run: run.message.size > limit
    return lambda run: run.message.size < limit


# --- envelope ---------------------------------------------------------------------------------------------------------


def _envelope(call: Call) -> TestFunction:
    match, part, names = matching(call), address_part(call), call.texts("envelope parts")
    _check_envelope_parts(call, names)

    def values(run: Run) -> Iterator[str]:
        for name in names.of(run):
            yield from _envelope_values(run, name.lower(), part, counts=match.counts)

    return lambda run: match(run, values(run))


def _check_envelope_parts(call: Call, names: Texts) -> None:
    for text in names:
        name = (text.constant or "from").lower()
        if name in _DSN_PARTS:
            call.require("envelope-dsn", f"the envelope part “{name}”", text.position)
            if call.has("part"):  # RFC 6009 §2.1: these are no addresses
                position = call.tags["part"].position
                raise call.error(f"“:{call.which('part')}” can't be used with the envelope part “{name}”", position)
        elif name not in _SMTP_PARTS:
            raise call.error(f"unknown envelope part “{name[:40]}”; there are “from” and “to”", text.position)


def _envelope_values(run: Run, name: str, part: Callable[[str], str | None], *, counts: bool) -> Iterator[str]:
    if name in _DSN_PARTS and "envelope-dsn" in run.frame.capabilities:
        found = run.envelope.dsn.get(name)
        if found is not None:
            # RFC 6009 §2.1: each of the conditions that NOTIFY asks for is one value.
            yield from found.split(",") if name == "notify" else (found,)
    elif name == "from" and not run.envelope.sender:
        # RFC 5228 §5.4: whatever part is asked for; RFC 5231 §4.2: it does not count.
        yield from () if counts else ("",)
    elif name in _SMTP_PARTS:
        value = part(_without_route(run.envelope.sender if name == "from" else run.envelope.recipient))
        if value is not None:
            yield value
    else:
        raise run.error(f"unknown envelope part “{name[:40]}”")


def _without_route(address: str) -> str:
    """RFC 5228 §5.4: source routes are dropped."""
    return address.partition(":")[2] if address.startswith("@") and ":" in address else address


_KEYS: Final = Argument("keys", Kind.STRINGS)
_NAMES: Final = Argument("header names", Kind.STRINGS)

EXTENSIONS: Final = (
    Extension(
        "",
        (
            Row("header", Sort.TEST, _header, (_NAMES, _KEYS), MATCH_TAGS),
            Row("address", Sort.TEST, _address, (_NAMES, _KEYS), (*MATCH_TAGS, *ADDRESS_PART_TAGS)),
            Row("exists", Sort.TEST, _exists, (_NAMES,)),
            Row(
                "size",
                Sort.TEST,
                _size,
                (Argument("octets", Kind.NUMBER),),
                (Tag("over", group="limit"), Tag("under", group="limit")),
            ),
        ),
    ),
    Extension(
        "envelope",
        (
            Row(
                "envelope",
                Sort.TEST,
                _envelope,
                (Argument("envelope parts", Kind.STRINGS), _KEYS),
                (*MATCH_TAGS, *ADDRESS_PART_TAGS),
            ),
        ),
    ),
    Extension("envelope-dsn"),
)
