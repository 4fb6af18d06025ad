"""The state of a running script: what its commands and tests read and change.

Owns the implicit keep (RFC 5228 §2.10.2), which actions go together (§2.10.1, RFC 5429 §2.4), variables (RFC 5229) with
their scopes (RFC 6609 §3.4), and the limits on what a run may use. Knows no single command.
"""

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from minijmap.sieve.actions import (
    Action,
    Discard,
    Duplicate,
    FileInto,
    Keep,
    Notify,
    Redirect,
    RedirectList,
    Reject,
    Vacation,
)
from minijmap.sieve.errors import RunError
from minijmap.sieve.host import Envelope, Host
from minijmap.sieve.limits import Limits

if TYPE_CHECKING:
    from datetime import datetime

    from minijmap.sieve.headerblock import Fields


class View(Protocol):
    """What the language asks of a message; message.py has the class."""

    @property
    def size(self) -> int:
        """Octets of the message (RFC 5228 §5.9)."""

    @property
    def fields(self) -> "Fields":
        """The header as it is now, after the script's edits."""

    def edited(self) -> bytes | None:
        """The octets of the whole message as they are now; None when nothing was edited."""

    def for_redirect(self) -> bytes | None:
        """The same for sending on: what RFC 5703 §6 encloses is left out of it."""


class Stop(Exception):
    """The script ends well (RFC 5228 §3.3)."""


class Return(Exception):
    """The script in which it stands ends well (RFC 6609 §3.3)."""


class Break(Exception):
    """A loop ends (RFC 5703 §3): the one of that name, or the innermost when None."""

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One thing that was decided."""

    script: str
    """The name of the included script, "" for the one that was run."""
    line: int
    depth: int
    """How deep in tests it is: 0 for a command."""
    text: str


@dataclass(slots=True)
class Frame:
    """What belongs to one script of a run alone (RFC 6609 §3.2, §3.4)."""

    name: str
    capabilities: set[str]
    """What is enabled: what it requires, and what `ihave` found (RFC 5463 §4)."""
    variables: dict[str, str] = field(default_factory=dict)
    matched: tuple[str, ...] = ()
    """The match variables, ${0} first (RFC 5229 §3.2)."""


_DELIVERS = (Keep, FileInto, Redirect, RedirectList)


class Run:
    """One run of a script over one message."""

    __slots__ = (
        "_implicit_keep",
        "_redirects",
        "actions",
        "deadline",
        "duplicates",
        "envelope",
        "extra",
        "flags",
        "frame",
        "globals",
        "host",
        "included",
        "limits",
        "line",
        "message",
        "now",
        "steps",
        "trace",
    )

    def __init__(
        self, message: View, envelope: Envelope, host: Host, limits: Limits, frame: Frame, seconds: float
    ) -> None:
        """Begin; the clock is asked once, so that one run sees one moment. `seconds` are what it may take."""
        self.message = message
        """What tests look at now: the message, or a part of it inside of foreverypart."""
        self.envelope = envelope
        self.host = host
        self.limits = limits
        self.frame = frame
        self.now: datetime = host.now()
        self.actions: list[Action] = []
        self.duplicates: list[Duplicate] = []
        self.flags: tuple[str, ...] = ()
        """The internal variable of RFC 5232 §3."""
        self.globals: dict[str, str] = {}
        self.included: list[tuple[bool, str]] = []
        """Every script included so far, as (personal, name)."""
        self.line = 0
        """Where the script is now."""
        self.steps = limits.steps
        self.deadline = time.monotonic() + seconds
        self.trace: list[TraceLine] | None = None
        self.extra: dict[str, Any] = {}
        """What an extension keeps for the length of the run, by a name of its own."""
        self._implicit_keep = True
        self._redirects: set[str] = set()

    # --- limits -----------------------------------------------------------------------------------------------------

    def step(self, line: int) -> None:
        """Count a command, and look at the clock."""
        self.line = line
        self.steps -= 1
        if self.steps < 0:
            raise self.error(f"the script executes more than {self.limits.steps} commands")
        self.check_time()

    def check_time(self) -> None:
        """Raise RunError when the time is over; for whoever does much in one command."""
        if time.monotonic() > self.deadline:
            raise self.error(f"the script runs for more than {self.limits.seconds:g} seconds")

    def error(self, sentence: str) -> RunError:
        """The error to raise about the command that is being executed."""
        name = self.frame.name
        return RunError(f"in the included script “{name}”: {sentence}" if name else sentence, self.line)

    def note(self, text: str, depth: int = 0) -> None:
        """Tell what was decided, on one line; only when tracing."""
        if self.trace is not None and len(self.trace) < self.limits.trace:
            self.trace.append(TraceLine(self.frame.name, self.line, depth, " ".join(text.splitlines())))

    # --- actions ----------------------------------------------------------------------------------------------------

    def act(self, action: Action, *, keep: bool = False) -> None:
        """Decide on an action. It cancels the implicit keep, unless `keep` (RFC 5228 §2.10.2, :copy of RFC 3894)."""
        self._check_company(action)
        if not keep and not isinstance(action, Vacation | Notify):
            self._implicit_keep = False
        if isinstance(action, Redirect | RedirectList):
            self._redirects.add(action.address.lower() if isinstance(action, Redirect) else action.uri)
            if len(self._redirects) > self.limits.redirects:
                raise self.error(f"the script redirects to more than {self.limits.redirects} addresses")
        same = next((index for index, other in enumerate(self.actions) if _same_target(other, action)), None)
        if same is not None:
            # RFC 5228 §2.10.3: once into a mailbox; RFC 5232 §3: the last list of flags wins.
            before = self.actions[same]
            if isinstance(action, FileInto) and isinstance(before, FileInto) and before.create:
                action = replace(action, create=True)
            self.actions[same] = action
            return
        self.actions.append(action)
        if len(self.actions) > self.limits.actions:
            raise self.error(f"the script decides on more than {self.limits.actions} actions")

    def _check_company(self, action: Action) -> None:
        """Raise when the action can't go together with one before it."""
        for other in self.actions:
            if isinstance(action, Vacation) and isinstance(other, Vacation):
                raise self.error("“vacation” is executed twice")  # RFC 5230 §4.7
            if not isinstance(action, Reject) and not isinstance(other, Reject):
                continue
            # RFC 5429 §2.4
            company = action if isinstance(other, Reject) else other
            if isinstance(company, Reject):
                raise self.error("a message can't be rejected twice")
            if isinstance(company, (*_DELIVERS, Vacation)):
                raise self.error(f"a message can't be both rejected and {_done(company)}")

    def outcome(self) -> tuple[Action, ...]:
        """The actions in order, with the implicit keep when nothing cancelled it."""
        if self._implicit_keep:
            self.act(Keep(self.flags, self.message.edited(), implicit=True))
        return tuple(self.actions)

    # --- variables --------------------------------------------------------------------------------------------------

    def get(self, name: str) -> str:
        """The value of a variable of this script by its name in lower case; "" when it has none."""
        if name.isdigit():
            index = int(name)
            return self.frame.matched[index] if index < len(self.frame.matched) else ""
        return self.frame.variables.get(name, "")

    def set(self, name: str, value: str, *, shared: bool = False) -> None:
        """Give a variable a value, cut to the limit (RFC 5229 §6); `shared` when it is a global one (RFC 6609 §3.4)."""
        variables = self.globals if shared else self.frame.variables
        if name not in variables and len(variables) >= self.limits.variables:
            raise self.error(f"the script has more than {self.limits.variables} variables")
        variables[name] = value[: self.limits.variable_length]


def _done(action: Action) -> str:
    if isinstance(action, Redirect | RedirectList):
        return "redirected"
    return "answered by “vacation”" if isinstance(action, Vacation) else "stored"


def _same_target(one: Action, other: Action) -> bool:
    """Whether two actions put the same message to the same place."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Keep) and isinstance(other, Keep):
        return True  # RFC 5293 §7: whatever edits were between them
    if isinstance(one, FileInto) and isinstance(other, FileInto):
        place = (one.mailbox, one.mailbox_id, one.special_use)
        return place == (other.mailbox, other.mailbox_id, other.special_use)
    if isinstance(one, Redirect) and isinstance(other, Redirect):
        return one.address.lower() == other.address.lower()
    if isinstance(one, Notify):
        return False
    return one == other or isinstance(one, Discard)
