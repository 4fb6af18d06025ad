"""The Envelope of a submission (RFC 8621 §7): its form, how it is derived from a message, when it is released.

Pure functions over envelopes and header fields. Whose an address is, is `addressing`'s; must not know the store.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from minijmap.jmap import dates
from minijmap.jmap.errors import SetError, invalid_properties
from minijmap.jmap.values import Kind, ListOf, MapOf, Nullable, Record, String, ValueProblem
from minijmap.mail import headers
from minijmap.mail.addressing import ANY, is_mailbox
from minijmap.mail.capability import LONGEST_HOLD

MOST_RECIPIENTS = 1000
MOST_SHOWN = 100
"""Invalid recipients that an error lists."""
MOST_PARAMETERS = 32
HOLD_FOR, HOLD_UNTIL = "HOLDFOR", "HOLDUNTIL"
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_INTERVAL = re.compile(r"[1-9][0-9]{0,8}")  # RFC 4865 §3


class ParameterName(Kind):
    """An esmtp-keyword (RFC 5321 §4.1.2)."""

    name = "the name of an SMTP parameter"

    def check(self, value: Any) -> str:
        """Return it."""
        if not isinstance(value, str) or not _KEYWORD.fullmatch(value):
            raise ValueProblem("must be the name of an SMTP parameter")
        return value


PARAMETERS = MapOf(ParameterName(), Nullable(String(most_octets=512, net_unicode=True)), most=MOST_PARAMETERS)


class Address(Kind):
    """An Address object (RFC 8621 §7); `parameters` left out are null."""

    name = "an Address"
    record: ClassVar[Record] = Record(
        {"email": String(most_octets=2000), "parameters": Nullable(PARAMETERS)},
        required=frozenset(("email",)),
        name=name,
    )

    def check(self, value: Any) -> dict[str, Any]:
        """Return it with both members."""
        address = self.record.check(value)
        parameters = address.get("parameters")
        if len({name.upper() for name in parameters or ()}) < len(parameters or ()):
            raise ValueProblem("must not have a parameter twice", "parameters")
        return {"email": address["email"], "parameters": parameters}


ENVELOPE = Record(
    {"mailFrom": Address(), "rcptTo": ListOf(Address())},
    required=frozenset(("mailFrom", "rcptTo")),
    name="an Envelope",
)


@dataclass(frozen=True)
class Written:
    """The addresses that a message's own fields have: one list for each From and each Sender, all recipients in one."""

    authors: tuple[tuple[str, ...], ...]
    senders: tuple[tuple[str, ...], ...]
    recipients: tuple[str, ...]

    @classmethod
    def of(cls, fields: headers.Headers) -> "Written":
        """Read header fields in Raw form."""
        fields = list(fields)

        def addresses(name: str) -> tuple[tuple[str, ...], ...]:
            raws = headers.find_all(fields, name)
            return tuple(tuple(one["email"] for one in headers.as_addresses(raw)) for raw in raws)

        recipients = (one for name in ("To", "Cc", "Bcc") for field in addresses(name) for one in field)
        return cls(addresses("From"), addresses("Sender"), tuple(dict.fromkeys(recipients)))


def check_message(written: Written, *, deriving: bool) -> None:
    """Raise SetError unless a message says well who sends it (RFC 8621 §7, RFC 5322 §3.6).

    With several authors only the client can say who sends: an envelope can't be derived then.
    """
    wrong = []
    if not _well(written.authors, several=not deriving):
        wrong.append("from")
    if written.senders and not _well(written.senders, several=False):
        wrong.append("sender")
    if wrong:
        named = " and ".join(f"“{name}”" for name in wrong)
        raise SetError("invalidEmail", f"The Email needs one valid address in {named}.", properties=wrong)


def _well(fields: tuple[tuple[str, ...], ...], *, several: bool) -> bool:
    if len(fields) != 1 or not fields[0] or (len(fields[0]) > 1 and not several):
        return False
    return all(is_mailbox(address) for address in fields[0])


def derive(written: Written, identity_email: str, allowed: Callable[[str], bool]) -> dict[str, Any]:
    """Return the envelope of a message for which the client gives none (RFC 8621 §7).

    `allowed` says whether the Identity allows an address; the message has passed `check_message`.
    """
    author = written.authors[0][0]
    sender = written.senders[0][0] if written.senders else author
    if not allowed(sender):
        # An Identity for a whole domain has no address of its own, and the author is one that it allows.
        sender = author if identity_email.startswith(ANY) else identity_email
    return {
        "mailFrom": {"email": sender, "parameters": None},
        "rcptTo": [{"email": address, "parameters": None} for address in distinct(written.recipients)],
    }


def distinct(addresses: tuple[str, ...] | list[str]) -> list[str]:
    """Return addresses in order, each once whatever its case, as it is spelt first."""
    found: dict[str, str] = {}
    for address in addresses:
        found.setdefault(address.lower(), address)
    return list(found.values())


def recipients_of(envelope: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return to whom an envelope goes: address → parameters, each address once. Raises SetError (RFC 8621 §7.5)."""
    if not envelope["rcptTo"]:
        raise SetError("noRecipients", "There is nobody to send it to.")
    if len(envelope["rcptTo"]) > MOST_RECIPIENTS:
        raise SetError(
            "tooManyRecipients", f"A message may have {MOST_RECIPIENTS} recipients.", maxRecipients=MOST_RECIPIENTS
        )
    addresses = [one["email"] for one in envelope["rcptTo"]]
    invalid = [address for address in dict.fromkeys(addresses) if not is_mailbox(address)]
    if invalid:
        raise SetError(
            "invalidRecipients",
            f"“{invalid[0][:60]}” is not an address that mail can be sent to.",
            invalidRecipients=invalid[:MOST_SHOWN],
        )
    parameters = {one["email"]: one["parameters"] or {} for one in reversed(envelope["rcptTo"])}
    return {address: parameters[address] for address in distinct(addresses)}


def release_time(envelope: Mapping[str, Any], now: int) -> int:
    """Return when a message is released, in milliseconds: now, or as asked (RFC 4865 §4.2). Raises SetError."""
    for recipient in envelope["rcptTo"]:
        if not _holds(recipient).keys().isdisjoint((HOLD_FOR, HOLD_UNTIL)):
            raise invalid_properties("A message is held as a whole: that is a parameter of “mailFrom”.", "envelope")
    holds = _holds(envelope["mailFrom"])
    if len(holds) > 1:
        raise invalid_properties(f"There may be {HOLD_FOR} or {HOLD_UNTIL}, not both.", "envelope")
    release_at = now
    for name, value in holds.items():
        release_at = now + _interval(value) if name == HOLD_FOR else max(now, _moment(value))
    if release_at > now + LONGEST_HOLD * 1000:
        raise invalid_properties(f"A message may be held for {LONGEST_HOLD} seconds.", "envelope")
    return release_at


def _holds(address: Mapping[str, Any]) -> dict[str, str | None]:
    parameters = {name.upper(): value for name, value in (address["parameters"] or {}).items()}
    return {name: value for name, value in parameters.items() if name in (HOLD_FOR, HOLD_UNTIL)}


def _interval(value: str | None) -> int:
    if value is None or not _INTERVAL.fullmatch(value):
        raise invalid_properties(f"{HOLD_FOR} is a String with a number of seconds, 1 or more.", "envelope")
    return int(value) * 1000


def _moment(value: str | None) -> int:
    try:
        return dates.parse_utc_date(value or "")
    except dates.InvalidDate as error:
        raise invalid_properties(f"{HOLD_UNTIL}: {error.sentence}", "envelope") from None
