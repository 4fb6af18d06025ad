"""What tests of the store share: a database with the store's own tables, a plain table and a collection."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minijmap.store import schema
from minijmap.store.database import Database
from tests.store.samples import MIGRATIONS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with the newest schema."""
    path = tmp_path / "store.sqlite3"
    schema.migrate(path, MIGRATIONS)
    return path


@pytest.fixture
def make(path: Path) -> Iterator[Callable[..., Database]]:
    """Open the file as often as is wanted, with the test's own options; all is closed at the end."""
    opened: list[Database] = []

    def make(**options: Any) -> Database:
        opened.append(Database(path, **options))
        return opened[-1]

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def database(make: Callable[..., Database]) -> Database:
    """The file, opened."""
    return make()
