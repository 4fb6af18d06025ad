"""VAPID: the key, the capability, the tokens, and what a new key does (RFC 8292, RFC 9749)."""

import base64
import json
import threading

import pytest
from py_vapid import Vapid02

from minijmap.jmap.session import Urls, login_of
from minijmap.push import p256, subscriptions, vapid
from minijmap.push.vapid import TOKEN_SECONDS, WEBPUSH_VAPID, Announced, Tokens
from minijmap.store import accounts
from tests.push.yard import ALICE, Yard

URLS = Urls("api", "download", "upload", "events", "ws", "ticket")
ORIGIN = "https://push.example.net"
DAY = 24 * 3600


def session(house):
    """Return the Session object."""
    return json.loads(house.engine.session(login_of(house.users[ALICE], house.credentials[ALICE]), URLS))


def announced(house):
    """Return the key that the Session tells."""
    return session(house)["capabilities"][WEBPUSH_VAPID]["applicationServerKey"]


def claims(value):
    """Return the claims of an Authorization value."""
    text = value.removeprefix("vapid t=").split(",")[0].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_the_session_tells_the_key(house):
    """RFC 9749 §3: an uncompressed point of P-256 in base64url, and the same each time."""
    key = announced(house)
    octets = p256.decode(key)
    assert p256.is_public_key(octets)
    assert p256.encode(octets) == key
    assert announced(house) == key


def test_the_key_is_made_once(house):
    """Another engine over the same file tells the same key; so do many that start at once."""
    key = announced(house)
    house.engine = house.make_engine()
    assert announced(house) == key
    house.database.write(lambda tx: tx.execute("DELETE FROM vapid_key"))
    made = []
    threads = [threading.Thread(target=lambda: made.append(vapid.ensure(house.database))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1


def test_the_private_key_is_not_shown(house):
    """Neither by what describes an object, nor in the Session."""
    key = vapid.ensure(house.database)
    assert "secret" not in repr(key)
    assert p256.encode(key.secret) not in json.dumps(session(house))


def test_a_new_key_changes_the_session_state(house):
    """RFC 9749 §5: clients see the change by `sessionState`, and find the new key in the Session."""
    yard = Yard(house)
    before, state = announced(house), session(house)["state"]
    house.database.write(subscriptions.rotate)
    with house.database.read() as reader:
        yard.parts.announced.refresh(reader)
    assert announced(house) != before
    after = session(house)["state"]
    assert after != state
    assert house.answer({"using": ["urn:ietf:params:jmap:core"], "methodCalls": []})["sessionState"] == after


def test_a_token_is_what_another_program_accepts(house):
    """RFC 8292 §2, §3: audience, expiry, contact, and a signature by the key beside it."""
    key = vapid.ensure(house.database)
    value = Tokens(lambda: 1000.0, "mailto:postmaster@example.com").authorization(key, ORIGIN)
    assert Vapid02.verify(value)
    assert value.endswith(f",k={key.text}")
    assert claims(value) == {"aud": ORIGIN, "exp": 1000 + TOKEN_SECONDS, "sub": "mailto:postmaster@example.com"}
    assert TOKEN_SECONDS <= DAY


def test_a_token_without_a_contact_has_no_sub(house):
    """RFC 8292 §2.1: it is optional."""
    value = Tokens(lambda: 1000.0, None).authorization(vapid.ensure(house.database), ORIGIN)
    assert set(claims(value)) == {"aud", "exp"}


def test_a_token_is_used_again_while_it_holds(house):
    """Signing is not done for each push; but no token is sent that is about to end, or is of another time."""
    now = [1000.0]
    key, tokens = vapid.ensure(house.database), Tokens(lambda: now[0], None)
    first = tokens.authorization(key, ORIGIN)
    assert tokens.authorization(key, ORIGIN) == first
    assert tokens.authorization(key, "https://other.example") != first
    now[0] += TOKEN_SECONDS - 10
    second = tokens.authorization(key, ORIGIN)
    assert claims(second)["exp"] == now[0] + TOKEN_SECONDS
    now[0] = 500.0  # the clock was wrong before: 24 hours from now are the limit
    assert claims(tokens.authorization(key, ORIGIN))["exp"] == 500 + TOKEN_SECONDS


def test_tokens_are_remembered_for_so_many_origins_only(house):
    """A thousand push services don't fill the memory."""
    key, tokens = vapid.ensure(house.database), Tokens(lambda: 1000.0, None)
    for number in range(vapid.MOST_TOKENS + 50):
        tokens.authorization(key, f"https://push{number}.example")
    assert len(tokens._known) == vapid.MOST_TOKENS


def test_a_replaced_key_serves_a_week_more(house):
    """RFC 9749 §5: a transitional period, at whose end the old subscriptions are destroyed, and then the key."""
    yard = Yard(house)
    old = yard.create("https://push.example.net/old")
    with house.database.read() as reader:
        first = vapid.keys(reader)[0]
    assert house.database.write(subscriptions.rotate) == 0
    with house.database.read() as reader:
        yard.parts.announced.refresh(reader)
    new = yard.create("https://push.example.net/new")
    assert yard.row(old)["vapid"] == first.number != yard.row(new)["vapid"]
    house.now += 7 * DAY - 1
    house.database.write(subscriptions.upkeep)
    assert yard.row(old) is not None
    house.now += 2
    house.database.write(subscriptions.upkeep)
    assert yard.row(old) is None
    assert yard.row(new) is not None
    with house.database.read() as reader:
        left = [key.number for key in vapid.keys(reader)]
    assert left == [yard.row(new)["vapid"]]


def test_a_key_that_came_to_wrong_hands_goes_at_once(house):
    """`vapid rotate --now` destroys what was made under it."""
    yard = Yard(house)
    old = yard.create("https://push.example.net/old")
    assert house.database.write(lambda tx: subscriptions.rotate(tx, at_once=True)) == 1
    assert yard.row(old) is None
    # The server has not noticed yet: the new subscription is made under a key that exists.
    new = yard.create("https://push.example.net/new")
    with house.database.read() as reader:
        left = [key.number for key in vapid.keys(reader)]
    assert left == [yard.row(new)["vapid"]]


def test_a_server_that_has_not_noticed_tells_the_old_key_and_uses_it(house):
    """RFC 9749 §4: the key of a subscription is the one that was told when it was made."""
    yard = Yard(house)
    told = announced(house)
    house.database.write(subscriptions.rotate)
    subscription = yard.create("https://push.example.net/late")
    with house.database.read() as reader:
        keys = {key.number: key.text for key in vapid.keys(reader)}
    assert keys[yard.row(subscription)["vapid"]] == told


def test_an_unopened_store_has_no_key():
    """A mistake in putting a server together is told, not papered over."""
    with pytest.raises(RuntimeError, match="opened"):
        _ = Announced().key


def test_removing_a_user_removes_what_was_pushed_to_them(house):
    """With the credentials goes what they have made."""
    from minijmap import users

    yard = Yard(house)
    mine, others = (
        yard.create("https://push.example.net/a"),
        yard.create("https://push.example.net/b", "bob@example.com"),
    )
    users.remove_user(house.database, ALICE)
    assert yard.row(mine) is None
    assert yard.row(others) is not None
    with house.database.read() as reader:
        assert accounts.find_user(reader, ALICE) is None
