"""What is news, and what a login is told of it (RFC 8620 §7.1)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap import users
from minijmap.jmap.methods import push_types
from minijmap.jmap.session import Access
from minijmap.push.bus import Bus
from minijmap.push.states import States, merge, missed, position, state_change
from minijmap.server import families, open_database
from minijmap.store.accounts import Credential

TYPES = push_types(families())


def access(key):
    """An account of somebody's."""
    return Access(key, f"a{key}", f"{key}@example.com", is_personal=True, is_read_only=False)


@pytest.fixture
def told(house):
    """Have states over the house; give a list of all that they tell, with the states themselves as `told.states`."""

    class Told(list):
        states: States

    bus = Bus()
    house.database.on_commit = bus.publish
    told = Told()
    told.states = States(house.database, bus, TYPES)
    told.states.listen(told.append)
    return told


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_state_told_is_the_state_that_get_returns(house, told, name):
    """For every type there is that has a state (RFC 8620 §7.1)."""
    account = house.users["alice@example.com"].account
    house.database.write(lambda tx: tx.touch(account, name, tx.next_modseq(account)))
    (changes,) = told
    (change,) = state_change([access(account)], changes)["changed"].values()
    if f"{name}/get" not in house.engine.methods:
        assert name == "EmailDelivery"
        return
    answered = house.request(
        [f"{name}/get", {} if name == "PushSubscription" else {"accountId": house.account(), "ids": []}, "c"],
        using=tuple(house.engine.capabilities),
    )[0][1]
    if name == "PushSubscription":
        assert "state" not in answered  # RFC 8620 §7.2.1
    else:
        assert change == {name: answered["state"]}


def test_only_types_that_changed_are_named(house, told):
    """A keyword changes the Email and the counts of its Mailbox, not Threads, nor what was delivered."""
    email = house.deliver(b"Subject: x\n\ny")
    arrived = {name for changes in told for types in changes.values() for name in types}
    assert arrived >= {"Email", "EmailDelivery", "Mailbox", "Thread"}
    told.clear()
    house.call("Email/set", {"update": {email: {"keywords/$seen": True}}})
    account = house.users["alice@example.com"].account
    assert [set(changes[account]) for changes in told] == [{"Email", "Mailbox"}]


def test_news_is_told_once(house, told):
    """Whoever announces it again, or something older."""
    house.deliver(b"Subject: x\n\ny")
    (changes,) = told
    house.database.on_commit(changes)
    house.database.on_commit({account: {"Email": 1} for account in changes})
    told.states.look()
    assert told == [changes]


def test_what_clients_do_not_know_is_not_told(house, told):
    """A state of a name that is no type."""
    house.database.on_commit({1: {"Secret": 99}})
    assert told == []
    assert "Secret" not in told.states.newest([1]).get(1, {})


def test_another_process_is_noticed(house, told):
    """Its changes are told at the next look, and put on the bus; a removed account is forgotten."""
    other = open_database(house.database.path.parent)
    account = house.users["alice@example.com"].account
    modseq = other.write(lambda tx: (tx.next_modseq(account), tx.touch(account, "Email", tx.next_modseq(account)))[0])
    assert told == []
    told.states.look()
    assert told == [{account: {"Email": modseq + 1}}]
    users.remove_user(other, "alice@example.com")
    other.close()
    told.states.look()
    assert account not in told.states.newest()
    assert len(told) == 1


def test_states_begin_with_what_is_stored(house, told):
    """A server that starts anew tells nothing of what was before."""
    house.deliver(b"Subject: x\n\ny")
    bus, again = Bus(), []
    states = States(house.database, bus, TYPES)
    states.listen(again.append)
    assert states.newest() == told.states.newest()
    bus.publish(told[0])
    assert again == []
    states.close()
    bus.publish({1: {"Email": 10**6}})
    assert again == []


def test_a_state_change_names_what_was_asked_for():
    """Accounts of the login, types that it wants; nothing is None."""
    changes = {1: {"Email": 5, "Mailbox": 6}, 2: {"Email": 7}}
    assert state_change([access(1)], changes, {"Email", "Thread"}) == {
        "@type": "StateChange",
        "changed": {"a1": {"Email": "5"}},
    }
    assert state_change([access(1), access(2)], changes)["changed"] == {
        "a1": {"Email": "5", "Mailbox": "6"},
        "a2": {"Email": "7"},
    }
    assert state_change([access(1)], changes, {"Thread"}) is None
    assert state_change([access(3)], changes) is None


@settings(max_examples=200)
@given(st.data())
def test_from_a_position_exactly_what_was_missed_is_found(data):
    """Whatever changed between, for a login with any accounts."""
    names = st.sampled_from(["Email", "Mailbox", "Thread"])
    modseqs = {1: 0, 2: 0, 3: 0}
    states, between = {}, {}

    def change(into):
        account = data.draw(st.sampled_from([1, 2, 3]))
        modseqs[account] += 1
        into.setdefault(account, {})[data.draw(names)] = modseqs[account]

    for _ in range(data.draw(st.integers(0, 6))):
        change(states)
    accounts = [access(key) for key in data.draw(st.lists(st.sampled_from([1, 2, 3]), unique=True, min_size=1))]
    before = position(accounts, states)
    for _ in range(data.draw(st.integers(0, 6))):
        change(between)
    merge(states, between)
    mine = {one.account for one in accounts}
    assert missed(before, accounts, states) == {key: types for key, types in between.items() if key in mine}


@pytest.mark.parametrize(
    "told", ["x", "1", "1:", ":2", "1:2,", "1:2;2:3", "-1:2", "1:" + "9" * 19, "٣:٤", "1:2," * 5000]
)
def test_a_position_that_is_none_of_ours_has_missed_all(told):
    """So the client compares every state with what it has."""
    states = {1: {"Email": 5, "Mailbox": 6}, 2: {"Email": 1}}
    assert missed(told, [access(1)], states) == {1: {"Email": 5, "Mailbox": 6}}


def test_a_position_from_the_future_has_missed_all():
    """The file was replaced by an older copy; and of an account that is new for the login all is news."""
    states = {1: {"Email": 5}, 2: {"Email": 7}}
    assert missed("1:6", [access(1)], states) == {1: {"Email": 5}}
    assert missed("1:5", [access(1), access(2)], states) == {2: {"Email": 7}}


def test_a_credential_belongs_to_the_login(house):
    """Its key, by which a list of subscriptions is kept apart from another."""
    from minijmap.http.signin import login_by
    from minijmap.signin import Proof

    proof = Proof(house.users["alice@example.com"], Credential(17, 1, None, "s"))
    assert login_by(proof).credential == 17
