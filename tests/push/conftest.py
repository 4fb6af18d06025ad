"""What tests of push share: a household with a sender, and a push service."""

import pytest

from tests.push.listening import Lively
from tests.push.sink import Device, Sink
from tests.push.yard import Yard


@pytest.fixture
def open_yard(house):
    """Give a function that starts a sender in the house, with options of the test's own."""
    yards = []

    def start(**options):
        yards.append(Yard(house, **options).start())
        return yards[-1]

    yield start
    for one in yards:
        one.stop()


@pytest.fixture
def yard(open_yard):
    """Give a household whose sender may use http and loopback."""
    return open_yard()


@pytest.fixture
def lively(tmp_path):
    """Give a whole server that can be listened to."""
    lively = Lively(tmp_path / "data")
    yield lively
    lively.stop()


@pytest.fixture
def sink():
    """Give a push service."""
    with Sink() as sink:
        yield sink


@pytest.fixture
def device():
    """Give a client's keys."""
    return Device()
