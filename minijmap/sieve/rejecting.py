"""The actions "reject" and "ereject": RFC 5429.

Owns that there is one of them at most; with which other actions one goes together, the run knows.
"""

from typing import Final

from minijmap.sieve.actions import Reject
from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort


def _build(call: Call) -> CommandFunction:
    reason = call.text("reason")
    name = call.row.name

    def reject(run: Run) -> None:
        if any(isinstance(action, Reject) for action in run.actions):
            raise run.error(f"“{name}” is executed after the message was rejected already")  # RFC 5429 §2.4
        run.act(Reject(reason.of(run), ereject=name == "ereject"))
        run.note(f"reject: {reason.of(run)[:200]}")

    return reject


EXTENSIONS: Final = tuple(
    Extension(name, rows=(Row(name, Sort.ACTION, _build, (Argument("reason", Kind.STRING),)),))
    for name in ("reject", "ereject")
)
