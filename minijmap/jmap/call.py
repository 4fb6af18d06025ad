"""One method call: its arguments, its reads and its writes.

Owns how a handler reaches the store. A request reads one snapshot until one of its calls writes; a write is one job
for the store's writer and ends the snapshot, so that later calls see it. Must not know what any method does.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from minijmap.jmap.errors import AccountNotFound, AccountReadOnly, Forbidden, InvalidArguments
from minijmap.jmap.session import Access, Login
from minijmap.jmap.values import Kind, ValueProblem
from minijmap.store.database import Database, Reader, Transaction

if TYPE_CHECKING:
    from minijmap.jmap.engine import Engine

T = TypeVar("T")


@dataclass(frozen=True)
class Argument:
    """An argument of a method. Without a default it must be given."""

    kind: Kind
    default: Any = None
    required: bool = False


class Snapshot:
    """The read transaction of a request, begun when first used and ended by a write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stack = contextlib.ExitStack()
        self._reader: Reader | None = None

    def reader(self) -> Reader:
        """Return the snapshot's reader."""
        if self._reader is None:
            self._reader = self._stack.enter_context(self._database.read())
        return self._reader

    def end(self) -> None:
        """Let the snapshot go: what is read next sees what is committed by then."""
        self._reader = None
        self._stack.close()


@dataclass
class Call:
    """A method call under way."""

    engine: "Engine"
    login: Login
    snapshot: Snapshot
    created_ids: dict[str, str]
    name: str
    raw: Mapping[str, Any]
    call_id: str
    using: frozenset[str] = frozenset()
    """The capabilities that the request names (RFC 8620 §3.3)."""
    spent: Counter[str] = field(default_factory=Counter)
    """What all calls of the request together have used of what has a bound for a request, by the methods' own names."""
    followers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answered: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def reader(self) -> Reader:
        """Return a reader of the request's snapshot."""
        return self.snapshot.reader()

    def write(self, job: Callable[[Transaction], T]) -> T:
        """Run a job in the store's writer. It is on disk when this returns."""
        self.snapshot.end()
        return self.engine.database.write(job)

    def now(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return int(self.engine.clock() * 1000)

    def follow_with(self, name: str, arguments: dict[str, Any]) -> None:
        """Have another method called, implicitly, right after this one and under its id (RFC 8620 §5.4)."""
        self.followers.append((name, arguments))

    def answer_too(self, name: str, answer: dict[str, Any]) -> None:
        """Have the answer of another method come after this one's, under its id: what it tells is done already.

        That is for what must happen together with this call or not at all (RFC 9007 §2.1).
        """
        self.answered.append((name, answer))

    def arguments(self, declared: Mapping[str, Argument]) -> dict[str, Any]:
        """Return the arguments in their normal form. Raises InvalidArguments with a sentence that names the place."""
        values = {}
        for name, argument in declared.items():
            if name not in self.raw:
                if argument.required:
                    raise InvalidArguments(f"{self.name} needs the argument “{name}”.", arguments=[name])
                values[name] = deepcopy(argument.default)
                continue
            try:
                values[name] = argument.kind.map_ids(argument.kind.check(self.raw[name]), self.resolve_id)
            except ValueProblem as problem:
                path = problem.under(name).path
                raise InvalidArguments(f"The argument “{path}” {problem.sentence}.", arguments=[name]) from None
        if self.engine.strict_using:
            unknown = [name for name in self.raw if name not in declared]
            if unknown:
                raise InvalidArguments(f"{self.name} has no argument “{unknown[0]}”.", arguments=unknown)
        return values

    def resolve_id(self, object_id: str) -> str:
        """Return what a creation id stands for; one that is not known stays as it is, and is then not found."""
        return self.created_ids.get(object_id[1:], object_id)

    def own_access(self) -> Access:
        """Return what stands for an account where objects belong to the credential that made them (RFC 8620 §7.2).

        Raises Forbidden when nothing is known of how somebody signed in.
        """
        if not self.login.credential:
            raise Forbidden(f"{self.name} is for those who have signed in with a password or an app password.")
        return Access(self.login.credential, "", self.login.user.address, is_personal=True, is_read_only=False)

    def access(self, account_id: str, *, write: bool = False) -> Access:
        """Return the account of the call. Raises AccountNotFound, AccountReadOnly (RFC 8620 §3.6.2)."""
        access = self.login.find(account_id)
        if access is None:
            raise AccountNotFound(f"You have no account “{account_id[:64]}”.")
        if write and access.is_read_only:
            raise AccountReadOnly(f"The account “{account_id}” can be read only.")
        return access


@contextlib.contextmanager
def snapshot_of(database: Database) -> Iterator[Snapshot]:
    """Give a request its snapshot, and end it whatever happens."""
    snapshot = Snapshot(database)
    try:
        yield snapshot
    finally:
        snapshot.end()
