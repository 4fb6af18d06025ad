"""Who is signed in, which accounts they may use, and the Session object (RFC 8620 §2).

Must not know how somebody signed in, nor any capability's contents: families declare those.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from minijmap.store.accounts import User

CORE = "urn:ietf:params:jmap:core"
WEB_SOCKET = "urn:ietf:params:jmap:websocket"
TICKET = "urn:x-minijmap:ticket"
"""Tickets for browsers, which can't send an Authorization header with an EventSource or a WebSocket."""


@dataclass(frozen=True)
class Access:
    """An account that a user may use. `account` is its key in the store, `account_id` its id on the wire."""

    account: int
    account_id: str
    name: str
    is_personal: bool
    is_read_only: bool


@dataclass(frozen=True)
class Login:
    """A signed-in user and all the accounts they may use, their own first.

    `credential` is the key of the stored credential that signed them in, 0 where there is none.
    """

    user: User
    accounts: tuple[Access, ...]
    credential: int = 0

    def find(self, account_id: str) -> Access | None:
        """Return the account with this id, if the user may use it."""
        return next((access for access in self.accounts if access.account_id == account_id), None)


@dataclass(frozen=True)
class Urls:
    """The absolute URLs of this server as the client reached it.

    `download`, `upload` and `event_source` are RFC 6570 templates (§2); `web_socket` has the scheme ws or wss.
    """

    api: str
    download: str
    upload: str
    event_source: str
    web_socket: str
    ticket: str

    def capabilities(self) -> dict[str, dict[str, Any]]:
        """Return the objects of those capabilities that consist of URLs."""
        return {
            # RFC 8887 §3
            WEB_SOCKET: {"url": self.web_socket, "supportsPush": True},
            TICKET: {"ticketUrl": self.ticket},
        }


@dataclass(frozen=True)
class Capability:
    """A capability: its URI, its object in the Session, and its object in each account that has it.

    `account` is None for a capability without data, such as core.
    """

    uri: str
    session: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    """What it says, or what tells that at any time, where it may change while the server runs. That must not wait."""
    account: Callable[[Access], Mapping[str, Any]] | None = None

    def described(self) -> Mapping[str, Any]:
        """Return its object in the Session."""
        return self.session() if callable(self.session) else self.session


def account_id(key: int) -> str:
    """Return an account's id."""
    return f"a{key}"


def login_of(user: User, credential: int = 0) -> Login:
    """Return what a user may use who has signed in with the credential of this key."""
    own = Access(user.account, account_id(user.account), user.address, is_personal=True, is_read_only=False)
    return Login(user, (own,), credential)


def session_object(login: Login, capabilities: Mapping[str, Capability]) -> dict[str, Any]:
    """Return the Session object without its URLs and state (RFC 8620 §2)."""
    with_data = [(uri, capability.account) for uri, capability in capabilities.items() if capability.account]
    return {
        "capabilities": {uri: capability.described() for uri, capability in capabilities.items()},
        "accounts": {
            access.account_id: {
                "name": access.name,
                "isPersonal": access.is_personal,
                "isReadOnly": access.is_read_only,
                "accountCapabilities": {uri: describe(access) for uri, describe in with_data},
            }
            for access in login.accounts
        },
        "primaryAccounts": {uri: login.accounts[0].account_id for uri, _ in with_data},
        "username": login.user.address,
    }
