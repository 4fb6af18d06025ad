"""The results as a table and the budgets as ratios. Pure: numbers in, text out."""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

EMPTY = "echo"  # the empty request every other is compared with
GROWTH = 1.5  # a list operation at the largest size against the smallest
OPEN_INBOX = "open inbox"
JUDGED = "SMTP in with SPF+DKIM+DMARC, messages/s"
RELAYED = "sent to a local relay, messages/s"
SIEVE = "Sieve, 50 rules over 20 kB, ms"
CARDS_BY_NAME = "50 of 10,000 cards by name, ms"
CARDS_BY_TEXT = "50 of 10,000 cards by text, ms"
CARDS_MADE = "ContactCard/set, cards/s"
CARDS_IMPORTED = "import of a .vcf on one core, cards/s"
HEARD = "change to 300 listeners, p95, ms"
SLOWER = "requests with 300 listeners / with none"
PER_STREAM = "memory of an event stream, kB"
PER_WEB_SOCKET = "memory of a WebSocket, kB"


class Timing(NamedTuple):
    """Milliseconds: the median, the 95th percentile, and of how many samples."""

    median: float
    p95: float
    samples: int


@dataclass
class Level:
    """Everything measured at one size of the mailbox.

    `timings` is by operation and number of connections; `refused` says why one of them could not be measured; `facts` are
    single numbers by name, units in the name.
    """

    messages: int
    timings: dict[str, dict[int, Timing]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)


class Budget(NamedTuple):
    """A promise: the value against its limit, which is a floor if `at_least`."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def ok(self) -> bool:
        """Whether it is kept."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{'ok  ' if self.ok else 'OVER'}  {self.name:<58} {self.value:>10.2f}  {sign} {self.limit:g}"


def median(level: Level, operation: str) -> float | None:
    """The median over one connection (or the fewest there were), in ms."""
    timings = level.timings.get(operation)
    return timings[min(timings)].median if timings else None


def growth(levels: list[Level], operation: str) -> float | None:
    """Cost at the largest size divided by the cost at the smallest; None if there is but one."""
    first, last = median(levels[0], operation), median(levels[-1], operation)
    return last / first if len(levels) > 1 and first and last else None


def budgets(levels: list[Level], list_operations: list[str]) -> list[Budget]:
    """Every budget that these results can answer for."""
    last, found = levels[-1], list[Budget]()
    inbox, empty, bare = median(last, OPEN_INBOX), median(last, EMPTY), last.facts.get("bare SQL, ms")
    if inbox and empty and bare:
        found.append(Budget("open inbox / (bare SQL + empty request)", inbox / (bare + empty), 4))
    for operation in list_operations:
        ratio = growth(levels, operation)
        if ratio:
            name = f"{operation}: {last.messages:,} / {levels[0].messages:,} messages"
            found.append(Budget(name, ratio, GROWTH))
    limits = (
        ("idle memory, MB", 50.0, False),
        ("start to ready, s", 0.6, False),
        ("start to first answer, s", 0.6, False),
        ("import on one core, messages/s", 300.0, True),
        ("SMTP delivery, messages/s", 200.0, True),
        (JUDGED, 50.0, True),
        (RELAYED, 100.0, True),
        (SIEVE, 2.0, False),
        (CARDS_BY_NAME, 10.0, False),
        (CARDS_BY_TEXT, 10.0, False),
        (CARDS_MADE, 500.0, True),
        (CARDS_IMPORTED, 1000.0, True),
        (HEARD, 100.0, False),
        (SLOWER, 1.2, False),
        (PER_STREAM, 5.0, False),
        (PER_WEB_SOCKET, 20.0, False),
    )
    for name, limit, at_least in limits:
        values = [level.facts[name] for level in levels if name in level.facts]
        if values:
            found.append(Budget(name, min(values) if at_least else max(values), limit, at_least))
    return found


def render(levels: list[Level], connections: list[int], list_operations: list[str]) -> str:
    """The whole report as text."""
    lines = [f"Milliseconds, median/p95, over {' and '.join(map(str, connections))} connection(s); "]
    lines[0] += f"x: the median against {EMPTY}; growth: largest size against smallest."
    head = "".join(f" | {f'{level.messages:,} messages':^{14 * len(connections) + 6}}" for level in levels)
    lines += ["", f"{'':22}{head}"]
    columns = "".join(f"{f'{count} conn':>14}" for count in connections) + f"{'x':>6}"
    lines.append(f"{'operation':22}" + f" | {columns}" * len(levels) + " | growth")
    for operation in dict.fromkeys(name for level in levels for name in level.timings):
        cells = "".join(f" | {cell(level, operation, connections)}" for level in levels)
        ratio = growth(levels, operation)
        lines.append(f"{operation:22}{cells} | {f'{ratio:6.2f}' if ratio else ''}".rstrip(" |"))
    lines.append("")
    for fact in dict.fromkeys(name for level in levels for name in level.facts):
        values = "".join(f"{level.facts[fact]:>14,.2f}" if fact in level.facts else f"{'':>14}" for level in levels)
        lines.append(f"{fact:42}{values}")
    kept = budgets(levels, list_operations)
    return "\n".join([*lines, *(["", "Budgets"] if kept else []), *map(str, kept)])


def cell(level: Level, operation: str, connections: list[int]) -> str:
    """One operation at one size."""
    width = 14 * len(connections) + 6
    if operation in level.refused:
        return f"{level.refused[operation][:width]:>{width}}"
    timings = level.timings.get(operation, {})
    shown = (
        f"{timings[count].median:.2f}/{timings[count].p95:.2f}" if count in timings else "" for count in connections
    )
    mine, empty = median(level, operation), median(level, EMPTY)
    times = f"{mine / empty:.1f}" if mine and empty else ""
    return "".join(f"{text:>14}" for text in shown) + f"{times:>6}"


def as_json(levels: list[Level], list_operations: list[str]) -> dict[str, Any]:
    """The results for machines."""
    kept = [budget._asdict() | {"ok": budget.ok} for budget in budgets(levels, list_operations)]
    return {"levels": [asdict(level) for level in levels], "budgets": kept}
