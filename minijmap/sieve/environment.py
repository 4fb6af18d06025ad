"""RFC 5183, environment: a test of where and how the script is running. What is known, the host says."""

from typing import Final

from minijmap.sieve.matching import MATCH_TAGS, matching
from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, Extension, Kind, Row, Sort, TestFunction


def _environment(call: Call) -> TestFunction:
    match, name = matching(call), call.text("name")

    def environment(run: Run) -> bool:
        value = run.host.environment(name.of(run).lower())
        if value is None:
            return False  # RFC 5183 §4: an unknown item fails, whatever is asked of it
        return match(run, [value] if value or not match.counts else [])

    return environment


EXTENSIONS: Final = (
    Extension(
        "environment",
        (
            Row(
                "environment",
                Sort.TEST,
                _environment,
                (Argument("name", Kind.STRING), Argument("keys", Kind.STRINGS)),
                MATCH_TAGS,
            ),
        ),
    ),
)
