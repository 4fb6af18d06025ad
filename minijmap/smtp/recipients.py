"""Whose an address is: the users' own, with any `+tag`, the aliases, the catch-alls and postmaster (RFC 5321 §4.5.1).

Owns the order in which those are tried. Must not know how an address arrives: it is handed the mailbox as text, and
asks the store for users alone.
"""

import unicodedata
from collections.abc import Iterator, Mapping

from minijmap.store import accounts
from minijmap.store.accounts import User
from minijmap.store.database import Reader

MOST_STEPS = 8
"""Aliases that may lead to one another before the last is taken for nobody's: more is a circle, or as good as one."""
MOST_TAGS = 4
"""Places where an address is cut at a `+`, from the right: `a+b+c@` may be `a+b@`'s or `a@`'s."""
POSTMASTER = "postmaster"


class Recipients:
    """The addresses of a household: what the store's users are called, and the `aliases` setting."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self._aliases = {canonical(alias): target for alias, target in aliases.items()}

    def find(self, reader: Reader, address: str) -> User | None:
        """Return the user whose mailbox an address is, or None when nobody here has it.

        A user's own address comes first, so that no alias takes mail away from a user; then an alias of exactly this
        address; then the same two without the tag; then postmaster, and last the domain's catch-all.
        """
        for _ in range(MOST_STEPS):
            found = self._step(reader, canonical(address))
            if found is None or isinstance(found, User):
                return found
            address = found
        return None

    def forms(self, address: str) -> list[str]:
        """Return an address in the form that addresses are compared in, then what it is without its tag."""
        return list(_without_tags(canonical(address)))

    def is_ours(self, reader: Reader, address: str) -> bool:
        """Say whether mail for the domain of an address comes here, so that nobody else can have the address."""
        domain = canonical(address).rpartition("@")[2]
        return domain in self._domains(reader)

    def _step(self, reader: Reader, address: str) -> User | str | None:
        """Return the user, or the address to go on with, or None."""
        for candidate in _without_tags(address):
            user = self._user(reader, candidate)
            if user is not None:
                return user
            if candidate in self._aliases:
                return self._aliases[candidate]
        local, _, domain = address.rpartition("@")
        # RFC 5321 §4.5.1: at each of our domains, and without one.
        if (local or domain).partition("+")[0] == POSTMASTER and (not local or domain in self._domains(reader)):
            return next(iter(accounts.users(reader)), None)
        return self._aliases.get(f"*@{domain}")

    def _user(self, reader: Reader, address: str) -> User | None:
        """Find a user by an address in canonical form, however the domain was spelt when the user was added."""
        user = accounts.find_user(reader, address)
        unicode_form = _unicode_domain(address)
        return accounts.find_user(reader, unicode_form) if user is None and unicode_form != address else user

    def _domains(self, reader: Reader) -> set[str]:
        """Return every domain this server has mail for."""
        addresses = [*self._aliases, *(canonical(user.address) for user in accounts.users(reader))]
        return {address.rpartition("@")[2] for address in addresses}


def canonical(address: str) -> str:
    """Return the form addresses are compared in: lower case, unquoted, composed characters, the domain in A-labels.

    RFC 5321 §4.1.2: all quoted forms of a local part are equivalent. RFC 6531 §3.2: a domain may come in either form.
    """
    local, at, domain = accounts.normal_address(address).rpartition("@")
    if len(local) >= 2 and local[0] == local[-1] == '"':
        local = _unquoted(local[1:-1])
    local = unicodedata.normalize("NFC", local)
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode()
        except UnicodeError:
            return f"{local}{at}{domain}"  # no domain of ours can look like this
    return f"{local}{at}{domain}"


def _unquoted(text: str) -> str:
    """Take the backslash off each quoted pair."""
    characters = iter(text)
    return "".join(next(characters, "") if character == "\\" else character for character in characters)


def _unicode_domain(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    try:
        return local + at + domain.encode().decode("idna")
    except UnicodeError:
        return address


def _without_tags(address: str) -> Iterator[str]:
    """Give the address, then what is left when it is cut at a `+`."""
    yield address
    local, at, domain = address.rpartition("@")
    for _ in range(MOST_TAGS):
        local, plus, _tag = local.rpartition("+")
        if not plus or not local:
            return
        yield local + at + domain
