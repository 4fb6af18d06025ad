"""Running a script over a message: RFC 5228 §2.10.

Owns the beginning and the end of a run: the implicit keep, and that an error undoes every decision and keeps the
message as it arrived (§2.10.6). Raises nothing, whatever the script and the message.
"""

from dataclasses import dataclass

from minijmap.sieve.actions import Action, Duplicate, Keep
from minijmap.sieve.errors import RunError, ScriptError
from minijmap.sieve.host import Envelope, Host
from minijmap.sieve.limits import LIMITS, Limits
from minijmap.sieve.program import Program
from minijmap.sieve.state import Frame, Return, Run, Stop, TraceLine, View


@dataclass(frozen=True, slots=True)
class Result:
    """What a script decided."""

    actions: tuple[Action, ...]
    """In order; with the implicit keep last, when it was not cancelled. Never empty but for a message that is thrown
    away. After an error, the implicit keep alone."""
    duplicates: tuple[Duplicate, ...] = ()
    """Ids to remember (RFC 7352)."""
    error: RunError | None = None
    trace: tuple[TraceLine, ...] = ()
    """What was decided and why, in order; empty unless the script was compiled for it."""


def run(
    program: Program,
    message: View,
    envelope: Envelope,
    host: Host,
    limits: Limits = LIMITS,
    *,
    seconds: float | None = None,
) -> Result:
    """Run a script over a message; `message` is used up by that.

    `seconds`: what is left of `limits.seconds`, when other runs have used up a part of them; None: all.
    """
    left = limits.seconds if seconds is None else seconds
    state = Run(message, envelope, host, limits, Frame("", set(program.capabilities)), left)
    if program.tracing:
        state.trace = []
    error: RunError | None = None
    actions: tuple[Action, ...] = ()
    try:
        try:
            program.body(state)
        except (Stop, Return):
            state.note("stop")
        actions = state.outcome()
    except RunError as problem:
        error = problem if problem.line else state.error(problem.sentence)
    except ScriptError as problem:  # an included script
        error = state.error(str(problem))
    if error is not None:
        state.note(f"error, the message is kept: {error.sentence}")
        actions = (Keep(implicit=True),)
    return Result(actions, () if error else tuple(state.duplicates), error, tuple(state.trace or ()))
