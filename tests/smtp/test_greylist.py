"""Greylisting: who has to come back, when that is enough, and for how long it is remembered (RFC 6647 §4)."""

import contextlib

import pytest

from minijmap.config import Settings
from minijmap.server import open_database
from minijmap.setting_kinds import Address
from minijmap.smtp import greylist
from minijmap.smtp.greylist import Greylist
from minijmap.smtp.listener import Listener
from minijmap.users import add_user
from tests.smtp.conftest import NOW, Household

HOUR = 3600
DAY = 24 * HOUR
BOB = "bob@remote.example"
FIRST = "451 4.7.1 Come back in 60 seconds"


class Clock:
    """Time that passes when it is told to."""

    now = NOW

    def __call__(self):
        """Return the time."""
        return self.now


@pytest.fixture
def clock():
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def database(tmp_path, clock):
    """Return a real database with the whole schema."""
    with contextlib.closing(open_database(tmp_path / "data", clock=clock)) as database:
        yield database


@pytest.fixture
def grey(database, clock):
    """Return the list alone."""
    return Greylist(database, clock)


@pytest.fixture
def open_grey(database, clock, empty_dns):
    """Return a function that starts a listener; loopback is a stranger to it, unless told otherwise."""
    with contextlib.ExitStack() as stack:

        def start(*, exempt=False, **settings):
            users = {
                name: add_user(database, f"{name}@example.org", name.title(), "secret", int(NOW * 1000))
                for name in ("alice", "carol")
            }
            values = {"smtp": Address("127.0.0.1", 0), "hostname": "mx.example.org", "dns_server": empty_dns.address}
            listener = Listener(Settings(**values, **settings), database, clock)
            if not exempt:
                listener._service.abuse.is_exempt = lambda _address: False
            address = listener.start()
            stack.callback(listener.stop)
            return Household(database, users, address, listener)

        yield start


def greeted(client):
    """Say EHLO; return the client."""
    client.says("EHLO client.example", "250")
    return client


def tries(client, begins, recipient="alice@example.org", sender=BOB):
    """Try a recipient in a mail transaction of its own; check the reply."""
    client.says(f"MAIL FROM:<{sender}>", "250 ")
    client.says(f"RCPT TO:<{recipient}>", begins)
    client.says("RSET", "250 ")


def rows(database):
    """Return the table without the times."""
    with database.read() as reader:
        return reader.all("SELECT network, sender, account FROM greylist ORDER BY at, sender")


def test_off_by_default(open_grey, connect, database):
    """Nobody waits, and nothing is written down."""
    tries(greeted(connect(open_grey())), "250 2.1.5 ")
    assert rows(database) == []


def test_a_stranger_comes_back(open_grey, connect, clock):
    """Put off, put off again when too early, then taken; from then on known to every recipient."""
    household = open_grey(greylisting=True)
    client = greeted(connect(household))
    tries(client, FIRST)
    clock.now += 59.5
    tries(client, "451 4.7.1 Come back in 1 seconds")
    clock.now += 0.5
    client.envelope("alice@example.org", BOB.upper())
    client.send(b"Subject: x\r\n\r\nHello\r\n.\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    assert household.bodies() == [b"Subject: x\r\n\r\nHello\r\n"]
    tries(client, "250 2.1.5 ", "carol@example.org")
    tries(client, FIRST, sender="eve@remote.example")


def test_each_recipient_waits_by_itself(open_grey, connect, clock):
    """Who was put off for one has not waited for another."""
    client = greeted(connect(open_grey(greylisting=True)))
    tries(client, FIRST)
    clock.now += 60
    tries(client, FIRST, "carol@example.org")


def test_an_unknown_recipient_is_refused_at_once(open_grey, connect, database):
    """Nobody is asked to come back for nothing."""
    tries(greeted(connect(open_grey(greylisting=True))), "550 5.1.1 ", "nobody@example.org")
    assert rows(database) == []


def test_bounces_never_wait(open_grey, connect, database):
    """The null sender is let in."""
    tries(greeted(connect(open_grey(greylisting=True))), "250 2.1.5 ", sender="")
    assert rows(database) == []


def test_loopback_never_waits(open_grey, connect, database):
    """What comes from this machine is taken at once."""
    tries(greeted(connect(open_grey(greylisting=True, exempt=True))), "250 2.1.5 ")
    assert rows(database) == []


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "::ffff:192.0.2.9", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8::1", "2001:db8::ffff:0:0:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_a_neighbour_may_come_back(grey, clock, first, second, is_same):
    """The network counts, not the address."""
    assert grey.wait(first, BOB, 1) == 60
    clock.now += 60
    assert (grey.wait(second, BOB, 1) == 0) is is_same


def test_too_late(grey, clock):
    """After a day the first time is a first time again."""
    assert grey.wait("192.0.2.1", BOB, 1) == 60
    clock.now += DAY
    assert grey.wait("192.0.2.1", BOB, 1) == 60
    clock.now += DAY - 1
    assert grey.wait("192.0.2.1", BOB, 1) == 0


def test_a_clock_set_back(grey, clock):
    """Nobody waits for longer than a minute."""
    grey.wait("192.0.2.1", BOB, 1)
    clock.now -= HOUR
    assert grey.wait("192.0.2.1", BOB, 1) == 60
    clock.now += 60
    assert grey.wait("192.0.2.1", BOB, 1) == 0
    clock.now -= HOUR
    assert grey.wait("192.0.2.1", BOB, 1) == 0


def test_known_while_it_is_used(grey, clock):
    """Each use begins the 35 days anew; without one they end."""
    grey.wait("192.0.2.1", BOB, 1)
    clock.now += 60
    assert grey.wait("192.0.2.1", BOB, 1) == 0
    for _ in range(3):
        clock.now += 34 * DAY
        assert grey.wait("192.0.2.1", BOB, 2) == 0
    clock.now += 35 * DAY
    assert grey.wait("192.0.2.1", BOB, 1) == 60


def test_what_is_over_is_forgotten(grey, clock, database):
    """The upkeep drops who stayed away, and keeps whoever still counts."""
    grey.wait("192.0.2.1", "known@remote.example", 1)
    clock.now += 60
    grey.wait("192.0.2.1", "known@remote.example", 1)
    grey.wait("192.0.2.1", BOB, 1)
    database.write(greylist.forget_old)
    assert len(rows(database)) == 2
    clock.now += DAY
    database.write(greylist.forget_old)
    assert rows(database) == [("192.0.2.0/24", "known@remote.example", 0)]
    clock.now += 34 * DAY
    database.write(greylist.forget_old)
    assert rows(database) == []


@pytest.mark.parametrize("limit", ["MOST_ROWS", "MOST_OF_A_NETWORK"])
def test_the_table_is_bounded(grey, clock, database, monkeypatch, limit):
    """The oldest of those who wait go first, and whoever is known stays known."""
    monkeypatch.setattr(greylist, limit, 2)
    grey.wait("192.0.2.1", "known@remote.example", 1)
    clock.now += 60
    grey.wait("192.0.2.1", "known@remote.example", 1)
    for name in "abcd":
        clock.now += 1
        assert grey.wait("192.0.2.1", name, 1) == 60
    assert [sender for _, sender, _ in rows(database)] == ["known@remote.example", "c", "d"]


def test_the_known_are_bounded_and_keep_nobody_out(grey, clock, database, monkeypatch):
    """The oldest of those go too, and a stranger still gets through."""
    monkeypatch.setattr(greylist, "MOST_ROWS", 2)
    for name in "abcd":
        assert grey.wait("192.0.2.1", name, 1) == 60
        clock.now += 60
        assert grey.wait("192.0.2.1", name, 1) == 0
    assert [sender for _, sender, _ in rows(database)] == ["c", "d"]


def test_a_network_crowds_out_its_own_alone(grey, clock, monkeypatch):
    """Made-up senders from elsewhere cost nobody their place."""
    monkeypatch.setattr(greylist, "MOST_OF_A_NETWORK", 2)
    grey.wait("198.51.100.1", BOB, 1)
    for name in "abcd":
        grey.wait("192.0.2.1", name, 1)
    clock.now += 60
    assert grey.wait("198.51.100.1", BOB, 1) == 0
