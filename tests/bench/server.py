"""A real `minijmap serve` in a process of its own, driven only through the contract of its command line.

Starts it on free ports, waits for `ready`, reads its memory from /proc, stops it with SIGTERM; imports a file on one core.
Knows no JMAP.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import NamedTuple

ADDRESS, PASSWORD = "bench@bench.example", "correct horse battery staple"
START_LIMIT, STOP_LIMIT = 60.0, 30.0  # seconds
SUMMARY = re.compile(r"(\d+) imported, (\d+) already there, (\d+) failed")


class ServerError(Exception):
    """The program did not do what its command line promises."""


class Memory(NamedTuple):
    """Resident memory in MB: now, and the most it ever was."""

    now: float
    peak: float


def run(data: Path, *arguments: str, stdin: str = "") -> str:
    """Run one command to its end; its standard output."""
    done = subprocess.run(
        command(*arguments), check=False, env=environment(data), input=stdin, capture_output=True, text=True
    )
    if done.returncode:
        raise ServerError(f"minijmap {arguments[0]} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def command(*arguments: str) -> list[str]:
    """The command line of this Python's minijmap."""
    return [sys.executable, "-m", "minijmap", *arguments]


def environment(data: Path, **settings: object) -> dict[str, str]:
    """Our environment with the folder of the data and the settings in it. Unless one says so, nothing asks the DNS."""
    given = {"data": data, "policy": "off"} | settings
    return os.environ | {f"MINIJMAP_{name.upper()}": str(value) for name, value in given.items()}


def import_file(data: Path, file: Path, count: int) -> float:
    """Import on one core; seconds taken, the program's start included."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})  # inherited by the child: the budget is for one core
    try:
        started = time.perf_counter()
        output = run(data, "import", ADDRESS, str(file))
        taken = time.perf_counter() - started
    finally:
        os.sched_setaffinity(0, cores)
    summary = SUMMARY.search(output.strip().rpartition("\n")[2])
    if not summary or int(summary[1]) != count:
        raise ServerError(f"import of {count} ended with: {output.strip()[-500:]}")
    return taken


class Server:
    """A running server: where it listens, how long it took to be ready (seconds), and how much memory it has."""

    def __init__(self, data: Path, **settings: object) -> None:
        listeners = ("--http", "127.0.0.1:0", "--smtp", "127.0.0.1:0", "--submission", "")
        self._log = data / "serve.log"
        started = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command("serve", *listeners),
                env=environment(data, **settings),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.started = started
        printed = dict(self._lines_until_ready())
        self.ready_after = time.perf_counter() - started
        self.url = printed["http"]
        host, _, port = printed["smtp"].rpartition(":")
        self.smtp = (host, int(port))

    def _lines_until_ready(self) -> Iterator[tuple[str, str]]:
        """The listeners as printed: `http  http://127.0.0.1:8080`."""
        assert self._process.stdout
        limit = Timer(START_LIMIT, self._process.kill)
        limit.start()
        try:
            for line in self._process.stdout:
                name, _, where = line.strip().partition(" ")
                if name == "ready":
                    return
                yield name, where.strip()
        finally:
            limit.cancel()
        raise ServerError(f"serve ended before `ready`: {self._log.read_text(errors='replace')[-2000:]}")

    def memory(self) -> Memory:
        """Resident memory of the process (proc(5): VmRSS, VmHWM)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        values = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Vm")}
        return Memory(int(values["VmRSS"]) / 1024, int(values["VmHWM"]) / 1024)

    def stop(self) -> None:
        """SIGTERM, and wait for a clean end."""
        self._process.terminate()
        try:
            status = self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise ServerError(f"serve did not stop within {STOP_LIMIT} s") from None
        finally:
            if self._process.stdout:
                self._process.stdout.close()
        if status:
            raise ServerError(f"serve ended with status {status}")


@contextmanager
def serving(data: Path, **settings: object) -> Iterator[Server]:
    """A server for as long as the block lasts, with these settings by their names."""
    server = Server(data, **settings)
    try:
        yield server
    finally:
        server.stop()
