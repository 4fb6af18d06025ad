"""What tests of the engine share: a nursery of toys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jmap.toy import Nursery


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    """A database with toys in it, opened for one test."""
    nursery = Nursery(tmp_path)
    yield nursery
    nursery.database.close()
