"""Open connections: whom a change is told, what a login gains and loses, and what the timer does."""

import asyncio
import math
import socket
from dataclasses import replace

import pytest

from minijmap.aio import LoopThread
from minijmap.jmap.methods import push_types
from minijmap.jmap.session import Access, login_of
from minijmap.push.bus import Bus
from minijmap.push.connections import TICK_SECONDS, Connection, Connections, TooManyConnections
from minijmap.push.states import States
from minijmap.server import families
from minijmap.store.accounts import User
from tests.push.listening import wait_until

TYPES = frozenset({"Email", "Mailbox"})
ALICE = login_of(User(1, "alice@example.com", "", 1), 10)
SHARED = Access(7, "a7", "Shop", is_personal=False, is_read_only=True)


class Note(Connection):
    """A connection that notes what it is told."""

    def __init__(self, hall, login, refresh=None):
        """Connect it to the hall."""
        self.heard, self.ticks = [], []
        super().__init__(hall.connections, hall.connections.admit(login, refresh or (lambda: login)))
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        hall.thread.call(hall.thread.loop.connect_accepted_socket(lambda: self, ours))

    def begin(self):
        """Say nothing."""

    def changed(self, told):
        """Note it."""
        self.heard.append(told.state_change(self.login, None)["changed"])

    def tick(self, now):
        """Note it."""
        self.ticks.append(now)

    def revoked(self):
        """End."""
        self.ending = True
        self.transport.close()

    go_away = revoked


class Hall:
    """Connections on a loop of their own, over states that a test makes up."""

    def __init__(self, database):
        """Start the loop."""
        self.bus = Bus()
        self.states = States(database, self.bus, TYPES)
        self.thread = LoopThread("hall")
        self.thread.start()
        self.connections = Connections(self.states, self.thread.loop)
        self.notes = []

    def note(self, *arguments):
        """Open a connection."""
        self.notes.append(Note(self, *arguments))
        return self.notes[-1]

    def stop(self):
        """End it all."""
        self.connections.close()
        self.connections.call(self.connections.abort)
        wait_until(lambda: self.connections.taken == 0)
        self.thread.stop()
        for note in self.notes:
            note.theirs.close()


@pytest.fixture
def hall(house):
    """Give an empty hall."""
    hall = Hall(house.database)
    yield hall
    hall.stop()


def test_the_hearers_of_an_account(hall):
    """An account may have several; whoever has two accounts is told once of both."""
    bob = replace(
        login_of(User(2, "bob@example.com", "", 2), 20), accounts=(*login_of(User(2, "", "", 2)).accounts, SHARED)
    )
    alice, other = hall.note(ALICE), hall.note(bob)
    hall.bus.publish({1: {"Email": 1001}, 7: {"Email": 1001}, 2: {"Mailbox": 1001, "Secret": 1002}})
    wait_until(lambda: alice.heard and other.heard)
    assert alice.heard == [{"a1": {"Email": "1001"}}]
    assert other.heard == [{"a2": {"Mailbox": "1001"}, "a7": {"Email": "1001"}}]


def test_an_account_more_and_one_less(hall):
    """All of an account that a login gains is news; it hears no more of one that it has lost."""
    now = [ALICE]
    note = hall.note(ALICE, lambda: now[0])
    hall.bus.publish({7: {"Email": 1003}})
    wait_until(lambda: hall.connections.told.get(7) == {"Email": 1003})
    assert note.heard == []
    now[0] = replace(ALICE, accounts=(*ALICE.accounts, SHARED))
    hall.connections.recheck()
    wait_until(lambda: note.heard)
    hall.bus.publish({7: {"Mailbox": 1004}})
    wait_until(lambda: len(note.heard) == 2)
    assert note.heard == [{"a7": {"Email": "1003"}}, {"a7": {"Mailbox": "1004"}}]
    now[0] = ALICE
    hall.connections.recheck()
    wait_until(lambda: len(note.login.accounts) == 1)
    hall.bus.publish({7: {"Email": 1005}})
    hall.bus.publish({1: {"Email": 1006}})
    wait_until(lambda: len(note.heard) == 3)
    assert note.heard[2] == {"a1": {"Email": "1006"}}


def test_each_credential_is_asked_for_once(hall):
    """However many connections it has opened; when it is gone, they end, and no others."""
    asked = []

    def gone():
        asked.append("gone")

    notes = [hall.note(ALICE, gone) for _ in range(3)]
    other = hall.note(replace(ALICE, credential=11))
    hall.connections.recheck()
    wait_until(lambda: hall.connections.taken == 1)
    assert asked == ["gone"]
    assert [note.ending for note in (*notes, other)] == [True, True, True, False]


def test_places_are_counted(house):
    """Of each user and of all; giving one back twice changes nothing."""
    loop = asyncio.new_event_loop()
    connections = Connections(States(house.database, Bus(), TYPES), loop, most=3, most_of_user=2)
    bob = login_of(User(2, "bob@example.com", "", 2))
    first, _ = (connections.admit(ALICE, lambda: ALICE) for _ in range(2))
    with pytest.raises(TooManyConnections, match="You have 2"):
        connections.admit(ALICE, lambda: ALICE)
    connections.admit(bob, lambda: bob)
    with pytest.raises(TooManyConnections, match="There are 3"):
        connections.admit(bob, lambda: bob)
    connections.leave(first)
    connections.leave(first)
    assert connections.taken == 2
    connections.admit(bob, lambda: bob)
    loop.close()


def test_one_timer_for_all(hall):
    """Each is called when it is due and not again; nobody is due, nothing is planned."""
    early, late, never = hall.note(ALICE), hall.note(ALICE), hall.note(ALICE)
    call = hall.connections.call
    start = hall.connections.time()
    call(late.wake_at, start + 0.5)
    call(early.wake_at, start + 0.2)
    call(early.wake_at, start + 0.3)
    wait_until(lambda: late.ticks)
    assert early.ticks[0] >= start + 0.3
    assert late.ticks[0] >= start + 0.5
    assert len(early.ticks) == len(late.ticks) == 1
    assert never.ticks == []
    wait_until(lambda: hall.connections._timer is None)
    assert early.due == math.inf
    assert TICK_SECONDS <= 0.25


def test_who_comes_while_the_server_stops(hall):
    """Is sent away at once."""
    hall.connections.call(hall.connections.go_away)
    note = hall.note(ALICE)
    wait_until(lambda: hall.connections.taken == 0)
    assert note.ending


def test_the_types_are_those_of_the_families():
    """What these tests make up is what clients know."""
    assert push_types(families()) >= TYPES | {"EmailDelivery", "Thread"}
