"""Fixtures over real processes."""

from pathlib import Path

import pytest

from tests.wire.running import ALICE, Running, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with Alice in it."""
    place = tmp_path / "data"
    run("--data", place, "user", "add", ALICE, "--name", "Alice", "--password-stdin", text="secret\n")
    return place


@pytest.fixture
def start(folder):
    """Start servers on Alice's folder; those that still run at the end of the test are killed."""
    started = []

    def begin(*arguments):
        started.append(Running(*(arguments or ("serve", "--data", folder))))
        return started[-1]

    yield begin
    for server in started:
        server.kill()
