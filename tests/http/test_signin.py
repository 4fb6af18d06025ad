"""Sign-in: which credentials are taken, what a refusal says, how fast they stop, and how mistakes are slowed down."""

import base64
import contextlib
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap import signin as module
from minijmap.http.problems import Busy, NotSignedIn
from minijmap.http.signin import SignIn, _read_header
from minijmap.signin import Doorkeeper
from minijmap.slowdown import MOST_ENTRIES, Slowdown
from minijmap.store import accounts
from minijmap.store.accounts import add_token, add_user, remove_user, revoke_token, set_password

ADDRESS, PASSWORD = "alice@example.com", "correct horse"


def basic(name=ADDRESS, password=PASSWORD):
    """Return a Basic Authorization value."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def user(database):
    """Give a user."""
    return database.write(lambda tx: add_user(tx, ADDRESS, "Alice", PASSWORD, 0))


@pytest.fixture
def door(database, clock, user):  # noqa: ARG001 - the user is there
    """Give the sign-in of a database with one user."""
    return SignIn(Doorkeeper(database, clock=clock))


def enter(door, authorization, client="192.0.2.1"):
    """Sign in, and return who that is."""
    return door.login(authorization, lambda: client).user.address


def refused(door, authorization, client="192.0.2.1"):
    """Fail to sign in, and return what is said."""
    with pytest.raises(NotSignedIn) as caught:
        enter(door, authorization, client)
    return caught.value.detail


@pytest.fixture
def hashes(monkeypatch):
    """Count how often a password is hashed; the hash itself is the real one."""
    counted = []
    check = accounts.check_password

    def counting(password, secret):
        counted.append(password)
        return check(password, secret)

    monkeypatch.setattr(accounts, "check_password", counting)
    return counted


def test_password_by_basic(door):
    """The password, with the address in any case."""
    assert enter(door, basic()) == ADDRESS
    assert enter(door, basic("Alice@Example.COM")) == ADDRESS
    assert enter(door, basic().replace("Basic", "bASIC")) == ADDRESS


def test_app_password_by_basic_and_bearer(door, database, user):
    """One app password works in both schemes, but by Basic only with its own user's address."""
    token = database.write(lambda tx: add_token(tx, user, "phone", 0))
    database.write(lambda tx: add_user(tx, "bob@example.com", "Bob", "other", 0))
    assert enter(door, f"Bearer {token}") == ADDRESS
    assert enter(door, f"bearer  {token} ") == ADDRESS
    assert enter(door, basic(ADDRESS, token)) == ADDRESS
    refused(door, basic("bob@example.com", token))


def test_password_is_no_bearer_token(door):
    """A Bearer token is an app password, never the password itself."""
    assert "revoked" in refused(door, f"Bearer {PASSWORD}")


def test_credentials_in_utf8_and_latin1(door, database):
    """RFC 7617 §2.1: credentials are UTF-8, and a colon belongs to the password; Latin-1 of older clients is understood."""
    database.write(lambda tx: add_user(tx, "zoë@example.com", "Zoë", "pâss:wörd", 0))
    assert enter(door, basic("zoë@example.com", "pâss:wörd")) == "zoë@example.com"
    latin = base64.b64encode("zoë@example.com:pâss:wörd".encode("latin-1")).decode()
    assert enter(door, f"Basic {latin}") == "zoë@example.com"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, "Sign in with"),
        ("", "Sign in with"),
        ("Digest username=x", "not one of Basic and Bearer"),
        ("Basic", "no colon"),
        ("Basic !!!", "not base64"),
        ("Basic " + base64.b64encode(b"no colon").decode(), "no colon"),
        ("Bearer", "no token"),
        (basic(ADDRESS, "wrong"), "is wrong"),
        (basic("nobody@example.com", PASSWORD), "is wrong"),
        (basic(ADDRESS, "x" * 5000), "is wrong"),
        (basic(ADDRESS, ""), "is wrong"),
        (basic("", ""), "is wrong"),
    ],
)
def test_refusals_say_what_is_wrong(door, header, said):
    """Each way to be refused has its sentence; an unknown name and a wrong password have the same one."""
    assert said in refused(door, header)


def test_hash_runs_once_in_minutes(door, hashes, clock):
    """A right password is hashed once and then remembered for five minutes."""
    for _ in range(5):
        enter(door, basic())
    assert len(hashes) == 1
    clock.now += 301
    enter(door, basic())
    assert len(hashes) == 2


def test_clock_set_back_forgets(door, hashes, clock):
    """A clock that is set back an hour does not lengthen a memory."""
    enter(door, basic())
    clock.now -= 3600
    enter(door, basic())
    assert len(hashes) == 2


def test_changed_password_stops_at_once(door, database, user):
    """A remembered password does not outlive its change, and one refused before is taken after it."""
    enter(door, basic())
    refused(door, basic(ADDRESS, "new"))
    database.write(lambda tx: set_password(tx, user, "new"))
    refused(door, basic())
    assert enter(door, basic(ADDRESS, "new")) == ADDRESS


def test_revoked_token_and_removed_user_stop_at_once(door, database, user):
    """Neither an app password nor a password outlives what it belongs to."""
    token = database.write(lambda tx: add_token(tx, user, "phone", 0))
    enter(door, f"Bearer {token}")
    database.write(lambda tx: revoke_token(tx, user, "phone"))
    refused(door, f"Bearer {token}")
    refused(door, basic(ADDRESS, token))
    enter(door, basic())
    database.write(lambda tx: remove_user(tx, user))
    refused(door, basic())


def test_unknown_name_is_hashed_too(door, hashes):
    """An unknown name takes as long as a known one: who is there can't be found out by the clock."""
    refused(door, basic("nobody@example.com", "x"))
    refused(door, basic(ADDRESS, "x"))
    assert len(hashes) == 2


def test_failures_slow_down(door, clock, hashes):
    """Six mistakes are free; then each doubles the wait, up to a minute, and no hash is made while one waits."""
    for _ in range(7):
        refused(door, basic(ADDRESS, "wrong"))
    waits = []
    for _ in range(8):
        with pytest.raises(Busy) as caught:
            enter(door, basic(ADDRESS, "wrong"))
        assert caught.value.status == 429
        waits.append(int(caught.value.headers["Retry-After"]))
        clock.now += waits[-1]
        refused(door, basic(ADDRESS, "wrong"))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len(hashes) == 15


def test_slow_down_hits_nobody_else(door, database):
    """Another user of the same address, and the same user at another address, sign in as ever; a token does even here."""
    bob = database.write(lambda tx: add_user(tx, "bob@example.com", "Bob", "secret", 0))
    token = database.write(lambda tx: add_token(tx, bob, "phone", 0))
    for _ in range(7):
        refused(door, basic("bob@example.com", "wrong"))
    with pytest.raises(Busy):
        enter(door, basic("bob@example.com", "secret"))
    assert enter(door, f"Bearer {token}") == "bob@example.com"
    assert enter(door, basic("bob@example.com", token)) == "bob@example.com"
    assert enter(door, basic()) == ADDRESS
    assert enter(door, basic("bob@example.com", "secret"), client="192.0.2.2") == "bob@example.com"
    # From there the password is remembered now: whoever knows it is nobody to slow down.
    assert enter(door, basic("bob@example.com", "secret")) == "bob@example.com"


def test_success_forgets_failures(door):
    """Who gets it right at last starts afresh."""
    for _ in range(6):
        refused(door, basic(ADDRESS, "wrong"))
    enter(door, basic())
    for _ in range(6):
        refused(door, basic(ADDRESS, "wrong"))


def test_revoked_token_is_never_slowed(door):
    """A client with a revoked app password keeps being told so."""
    for _ in range(50):
        refused(door, "Bearer mj-revoked")


def test_same_password_shares_one_hash(door, monkeypatch):
    """Many first requests at once, of one client, cost one hash and are all let in."""
    check, started, go, calls = accounts.check_password, threading.Event(), threading.Event(), []

    def slow(password, secret):
        calls.append(password)
        started.set()
        assert go.wait(10)
        return check(password, secret)

    monkeypatch.setattr(accounts, "check_password", slow)
    names = []
    threads = [threading.Thread(target=lambda: names.append(enter(door, basic()))) for _ in range(16)]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    go.set()
    for thread in threads:
        thread.join()
    assert names == [ADDRESS] * 16
    assert len(calls) == 1


def test_hashes_that_wait_are_bounded(door, monkeypatch):
    """When many different passwords wait for the hash, the next is asked to come later instead of holding a worker."""
    go, threads = threading.Event(), []
    arrived = threading.Semaphore(0)

    def slow(*_):
        arrived.release()
        assert go.wait(10)
        return False

    monkeypatch.setattr(accounts, "check_password", slow)
    for number in range(module.MOST_HASHES_WAITING):
        threads.append(threading.Thread(target=refused, args=(door, basic(f"{number}@example.com", f"x{number}"))))
        threads[-1].start()
    assert all(arrived.acquire(timeout=10) for _ in range(module.HASHES_AT_ONCE))
    while len(door._doorkeeper._memory._checks) < module.MOST_HASHES_WAITING:
        threading.Event().wait(0.001)
    with pytest.raises(Busy):
        enter(door, basic("one-more@example.com", "x"))
    go.set()
    for thread in threads:
        thread.join()
    assert not door._doorkeeper._memory._checks


def test_failing_hash_is_not_remembered(door, monkeypatch):
    """When the hash itself fails, its waiters fail with it, and the next request tries again."""

    def broken(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(accounts, "check_password", broken)
        with pytest.raises(MemoryError):
            enter(door, basic())
    assert enter(door, basic()) == ADDRESS


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda octets: "Basic " + base64.b64encode(octets).decode()))
@settings(max_examples=200)
def test_any_header_is_refused_or_offered(header):
    """Whatever the header says, it is read or refused; nothing else happens."""
    offer = None
    with contextlib.suppress(NotSignedIn):
        offer = _read_header(header)
    assert offer is None or offer.name is not None or offer.secret


def test_slowdown_is_bounded(clock):
    """The table of failures never grows beyond its bound: the oldest go."""
    slowdown = Slowdown(clock)
    for number in range(MOST_ENTRIES + 10):
        slowdown.failed((str(number), "x"))
    assert len(slowdown._table) == MOST_ENTRIES
    assert ("0", "x") not in slowdown._table


def test_failures_are_forgotten_after_a_while(door, clock):
    """A quarter of an hour without a mistake makes the next ones free again."""
    for _ in range(7):
        refused(door, basic(ADDRESS, "wrong"))
    clock.now += 1000
    for _ in range(6):
        refused(door, basic(ADDRESS, "wrong"))
