"""The world as a script sees it here: the Host of the language, over one account inside of a transaction.

Owns what a script may ask of this house: its Mailboxes, what it remembers, other scripts of the user, a few items about
the server. Reads alone; what a script decides is carried out by `arrival`.
"""

import ipaddress
from collections.abc import Callable
from datetime import datetime
from typing import Final

from minijmap import __version__
from minijmap.sieve import lists, places, records, scripts
from minijmap.sieve.case import Case
from minijmap.sieve.localzone import LOCAL
from minijmap.sieve.program import Program
from minijmap.sieve.programs import Programs
from minijmap.sieve.scripts import Stored
from minijmap.store import blobs

_OURS: Final = ("authentication-results", "x-minijmap-policy")
"""Fields that are cut out of what arrives when somebody else claims to be this server."""
_NEAR: Final = tuple(
    ipaddress.ip_network(one)
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)
"""Networks that no packet comes from outside of (RFC 1918, RFC 3927, RFC 4193, RFC 4291)."""


def program_of(case: Case, programs: Programs, script: Stored) -> Program:
    """Return a stored script made ready to run. Raises ScriptError."""
    return programs.get(script.digest, lambda: blobs.read(case.tx, script.blob))


class HouseHost:
    """Answers the questions of one script about one account."""

    def __init__(self, case: Case, programs: Programs) -> None:
        self._case = case
        self._programs = programs

    def now(self) -> datetime:
        """The present moment in the server's own zone: a household lives in one."""
        return datetime.fromtimestamp(self._case.now / 1000, LOCAL)

    def owner(self) -> str:
        """The user's own address."""
        return self._case.user.address

    def trusts(self, field: str) -> bool:
        """Whether a field was written by a filter of this house (RFC 5235 §4): one in front of it, or itself."""
        return field in _OURS or _is_near(self._case.read.arriving.peer)

    def include(self, name: str, *, personal: bool) -> Program | None:
        """The user's script of that name; there are no global ones (RFC 6609 §3.2). Raises ScriptError."""
        script = scripts.named(self._case.tx, self._case.account, name) if personal else None
        return None if script is None else program_of(self._case, self._programs, script)

    def environment(self, item: str) -> str | None:
        """An item of RFC 5183 §4.1."""
        found = _ENVIRONMENT.get(item)
        return None if found is None else found(self._case)

    def mailbox_exists(self, name: str) -> bool:
        """Whether there is a Mailbox with that path."""
        return places.find(self._case.tx, self._case.account, name) is not None

    def mailbox_id_exists(self, mailbox_id: str) -> bool:
        """Whether the account has the Mailbox with that id."""
        return places.with_id(self._case.tx, self._case.account, mailbox_id) is not None

    def special_use_exists(self, use: str, mailbox: str | None) -> bool:
        """Whether a Mailbox, the named one or any, has a special use."""
        tx, account = self._case.tx, self._case.account
        found = places.with_use(tx, account, use)
        return found is not None and (mailbox is None or places.find(tx, account, mailbox) == found)

    def metadata(self, mailbox: str | None, name: str) -> str | None:
        """An annotation (RFC 5490 §3, §4): of a Mailbox its special use and its id, of the server whom to write to."""
        tx, account = self._case.tx, self._case.account
        name = name.lower()
        if mailbox is None:
            domain = self._case.user.address.rpartition("@")[2]
            return f"mailto:postmaster@{domain}" if name == "/shared/admin" else None
        key = places.find(tx, account, mailbox)
        if key is None:
            return None
        if name == "/private/specialuse":  # RFC 6154 §4
            return places.use_of(tx, key)
        return f"m{key}" if name == "/shared/vendor/minijmap/mailboxid" else None

    def seen(self, key: str) -> bool:
        """Whether an id was remembered and has not expired (RFC 7352 §3)."""
        return records.is_there(self._case.tx, self._case.account, records.SEEN, key, now=self._case.now)

    def valid_list(self, uri: str) -> bool:
        """Whether there is a list of that name (RFC 6134 §2.7)."""
        return lists.is_list(uri)

    def in_list(self, uri: str, value: str) -> bool:
        """Whether an address is a member of a list (RFC 6134 §2.2)."""
        return lists.is_member(self._case.tx, self._case.account, uri, value)


def _is_near(peer: str | None) -> bool:
    """Say whether a message came from this machine or this network, or was handed in here."""
    if peer is None:
        return True
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or any(address in network for network in _NEAR if network.version == address.version)


_ENVIRONMENT: Final[dict[str, Callable[[Case], str]]] = {
    "name": lambda _: "minijmap",
    "version": lambda _: __version__,
    "host": lambda case: case.hostname,
    "domain": lambda case: case.user.address.rpartition("@")[2],
    "location": lambda _: "MDA",
    "phase": lambda _: "during",
    "remote-ip": lambda case: case.read.arriving.peer or "",
    "remote-host": lambda case: case.read.arriving.helo or "",
}
"""The items of RFC 5183 §4.1. `remote-host` is what the other server calls itself."""
