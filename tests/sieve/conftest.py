"""What the tests of Sieve in the house share."""

import pytest

from tests.sieve.inhouse import Post


@pytest.fixture
def post(house):
    """The way by which mail arrives."""
    return Post(house)
