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
        run.act(Reject(reason.of(run), ereject=name == "ereject"))

    return reject


EXTENSIONS: Final = tuple(
    Extension(name, rows=(Row(name, Sort.ACTION, _build, (Argument("reason", Kind.STRING),)),))
    for name in ("reject", "ereject")
)
