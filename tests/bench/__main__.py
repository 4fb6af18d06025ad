"""`make bench`: measures a JMAP server at several sizes of mailbox and holds it against minijmap's budgets.

Without `--url` it starts minijmap itself, imports its own corpus and lets the store grow from size to size; with `--url` it
measures any JMAP server as it is, or with the corpus in a mailbox of its own (`--fill`).
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median

from tests.bench import baseline, cards, fill, listeners, mail, rules, server
from tests.bench.client import Client, RefusedError
from tests.bench.corpus import MARKS, Corpus, write_mbox
from tests.bench.ground import BATCH, LANES, Ground, hits, make_changes, survey
from tests.bench.measure import deliver, measure
from tests.bench.operations import OPERATIONS
from tests.bench.report import JUDGED, RELAYED, SIEVE, Level, as_json, render

WORDS = (min(MARKS, key=MARKS.__getitem__), max(MARKS, key=MARKS.__getitem__))
LISTS = [operation.name for operation in OPERATIONS if operation.lists]
STARTS = 3  # how often a start is timed
BATCHES, DELIVERIES = 3, 200  # SMTP: the median of so many batches


def numbers(text: str) -> list[int]:
    """Ascending numbers from `2000,20000`."""
    return sorted({int(part) for part in text.split(",")})


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m tests.bench", description=__doc__.partition("\n")[0] if __doc__ else None
    )
    parser.add_argument(
        "--sizes",
        type=numbers,
        metavar="N,N",
        default=[2000, 20_000, 100_000],
        help="messages in the Inbox, one after the other (default 2000,20000,100000: some ten minutes, most of it import, and"
        " 4 GB in TMPDIR; 2000 alone takes one minute)",
    )
    parser.add_argument(
        "--connections",
        type=numbers,
        metavar="N,N",
        default=[1, 4],
        help=f"kept-open connections at once (default 1,4; at most {LANES})",
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each operation is repeated (default 1)")
    parser.add_argument(
        "--most", type=int, default=300, help="samples of an operation and connection at most (default 300)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    other = parser.add_argument_group("another server")
    other.add_argument("--url", help="the Session's URL, or an origin with /.well-known/jmap; nothing is started")
    other.add_argument("--user", default=server.ADDRESS)
    other.add_argument("--password", default=server.PASSWORD)
    other.add_argument(
        "--fill", type=int, metavar="N", help=f"measure in a mailbox “{fill.NAME}” with N messages, imported if missing"
    )
    other.add_argument("--empty", action="store_true", help="remove that mailbox and its messages afterwards")
    other.add_argument(
        "--writes", action="store_true", help="without --fill: also mark, move and draft in the Inbox (each undone)"
    )
    options = parser.parse_args(given)
    if not 1 <= min(options.connections) <= max(options.connections) <= LANES:
        parser.error(f"--connections: 1 to {LANES}")
    if min(*options.sizes, options.fill or BATCH * LANES) < BATCH * LANES:
        parser.error(f"--sizes, --fill: at least {BATCH * LANES} messages")
    return options


def progress(text: str) -> None:
    """Say on standard error what is being done."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def sample(level: Level, ground: Ground, clients: list[Client], options: argparse.Namespace, *, writes: bool) -> None:
    """Every operation at every number of connections; what a server refuses is noted and left out."""
    make_changes(clients[0], ground, writes=writes)
    for operation in OPERATIONS:
        if operation.writes and not writes:
            continue
        progress(f"{level.messages:,} messages: {operation.name}")
        timings = level.timings.setdefault(operation.name, {})
        for count in options.connections:
            try:
                timings[count] = measure(operation, ground, clients[:count], options.seconds, options.most)
            except (RefusedError, OSError) as error:
                level.refused[operation.name] = str(error)
                break


def own_server(options: argparse.Namespace, data: Path) -> list[Level]:
    """Minijmap at every size, in one store that grows."""
    corpus, levels = Corpus(), list[Level]()
    server.run(data, "user", "add", server.ADDRESS, "--password-stdin", stdin=server.PASSWORD + "\n")
    octets = 0
    for size in options.sizes:
        level, more, mbox = Level(size), size - corpus.number, data / "corpus.mbox"
        progress(f"{size:,} messages: import of {more:,}")
        octets += write_mbox(mbox, islice(corpus, more))
        level.facts["import on one core, messages/s"] = more / server.import_file(data, mbox, more)
        mbox.unlink()
        level.facts["corpus, bytes/message"] = octets / size
        stored = sum(file.stat().st_size for file in data.glob("minijmap.sqlite3*"))
        level.facts["store, bytes/message"] = stored / size
        starts = [timed_start(data) for _ in range(STARTS)]
        level.facts["start to ready, s"] = median(ready for ready, _ in starts)
        level.facts["start to first answer, s"] = median(answered for _, answered in starts)
        with server.serving(data) as running:
            clients = [Client(running.url, server.ADDRESS, server.PASSWORD) for _ in range(max(options.connections))]
            level.facts["idle memory, MB"] = running.memory().now
            ground = survey(clients[0], None, WORDS)
            planted = sum(number % MARKS[WORDS[0]] == MARKS[WORDS[0]] // 2 for number in range(size))
            level.facts["text search, hits found / planted"] = hits(clients[0], ground) / planted
            level.facts["bare SQL, ms"] = baseline.bare_sql(data / "minijmap.sqlite3", ground)
            sample(level, ground, clients, options, writes=True)
            level.facts["memory after the run, MB"], level.facts["peak memory, MB"] = running.memory()
            if size == options.sizes[-1]:
                progress(f"{size:,} messages: SMTP delivery of {BATCHES} times {DELIVERIES}")
                batches = [islice(corpus, DELIVERIES) for _ in range(BATCHES)]
                try:
                    rates = [deliver(running.smtp, server.ADDRESS, batch) for batch in batches]
                    level.facts["SMTP delivery, messages/s"] = median(rates)
                except (RefusedError, OSError) as error:  # what was measured before is shown all the same
                    level.refused["SMTP delivery"] = str(error)
            for client in clients:
                client.close()
        levels.append(level)
    outside(levels[-1])
    progress(SIEVE.rpartition(",")[0])
    levels[-1].facts[SIEVE] = rules.fifty_rules()
    in_a_store_of_its_own(levels[-1], "10,000 cards", cards.asked)
    in_a_store_of_its_own(levels[-1], "import of 10,000 cards", cards.imported)
    in_a_store_of_its_own(levels[-1], "300 listeners", listeners.listened)
    return levels


def outside(level: Level) -> None:
    """Mail from and to elsewhere, each in a small store of its own."""
    for name, rate in ((JUDGED, mail.judged), (RELAYED, mail.relayed)):
        progress(name.partition(",")[0])
        try:
            level.facts[name] = rate()
        except (RefusedError, OSError) as error:  # what was measured before is shown all the same
            level.refused[name] = str(error)
            progress(f"not measured: {error}")


def in_a_store_of_its_own(level: Level, name: str, facts: Callable[[], dict[str, float]]) -> None:
    """What has nothing to do with the size of a mailbox: listeners, cards."""
    progress(name)
    try:
        level.facts |= facts()
    except (RefusedError, OSError) as error:  # what was measured before is shown all the same
        level.refused[name] = str(error)
        progress(f"not measured: {error}")


def timed_start(data: Path) -> tuple[float, float]:
    """Seconds from the start of the program to `ready`, and to the first answered request (the Session, signed in)."""
    with server.serving(data) as running:
        Client(running.url, server.ADDRESS, server.PASSWORD).close()
        return running.ready_after, time.perf_counter() - running.started


def other_server(options: argparse.Namespace) -> list[Level]:
    """Any JMAP server, at the size it has."""
    clients = [Client(options.url, options.user, options.password) for _ in range(max(options.connections))]
    mailbox, rate = None, 0.0
    if options.fill:
        mailbox, present = fill.bench_mailbox(clients[0])
        progress(f"import of {max(0, options.fill - present):,} messages")
        rate = fill.fill(clients[0], mailbox, present, options.fill)
    ground = survey(clients[0], mailbox, WORDS if options.fill else None)
    level = Level(ground.messages)
    if rate:
        level.facts["Email/import, messages/s"] = rate
    sample(level, ground, clients, options, writes=bool(options.fill or options.writes))
    if mailbox and options.empty:
        fill.empty(clients[0], mailbox)
    for client in clients:
        client.close()
    return [level]


def main() -> int:
    """Measure, print, write; 1 if a server cannot be measured at all."""
    options = arguments()
    try:
        if options.url:
            levels = other_server(options)
        else:
            with tempfile.TemporaryDirectory(prefix="minijmap-bench-") as folder:
                levels = own_server(options, Path(folder))
    except (RefusedError, server.ServerError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(render(levels, options.connections, LISTS))
    if options.json:
        options.json.write_text(json.dumps(as_json(levels, LISTS), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
