"""What is pushed next: the difference between what there is and what the client knows, in pieces that fit."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.session import Access
from minijmap.push.compose import compose
from minijmap.push.subscriptions import VERIFIED, Pushed, Subscription
from minijmap.push.webpush import MOST_BODY, MOST_PLAINTEXT, ClientKeys

ACCOUNTS = tuple(Access(number, f"a{number}", "x", is_personal=True, is_read_only=False) for number in range(1, 4))
STATES = st.dictionaries(
    st.integers(1, 4),
    st.dictionaries(st.text("abcXYZ", min_size=1, max_size=40), st.integers(1, 10**9), max_size=60),
    max_size=4,
)


def subscription(pushed=None, types=None, keys=None):
    """Return a verified subscription whose client knows this."""
    return Subscription(
        key=1,
        user=1,
        vapid=1,
        url="https://push.example.net/",
        keys=keys,
        code="code",
        phase=VERIFIED,
        expires=10**13,
        pushed=pushed or Pushed(),
        failures=0,
        next_attempt=0,
        types=types,
        email_push={},
    )


def everything(newest, most, **options):
    """Compose until nothing is left; return what was told, as the client sees it."""
    told, pushed = {}, options.pop("pushed", Pushed())
    for _ in range(1000):
        message = compose(None, None, subscription(pushed, **options), ACCOUNTS, newest).message
        if message is None:
            return told
        assert len(message.body) <= most
        change = json.loads(message.body)
        assert change["@type"] == "StateChange"
        for account, types in change["changed"].items():
            assert types
            told.setdefault(account, {}).update(types)
        pushed = pushed.joined(message.told)
    raise AssertionError(told)


@settings(max_examples=100, deadline=None)
@given(STATES)
def test_everything_is_told_in_pieces_that_fit(newest):
    """However many accounts and types there are: every state once, none of an account that is not one's own."""
    expected = {
        f"a{account}": {name: str(modseq) for name, modseq in types.items()}
        for account, types in newest.items()
        if types and account < 4
    }
    assert everything(newest, MOST_BODY) == expected
    assert everything(newest, MOST_PLAINTEXT, keys=ClientKeys(b"", b"")) == expected


@settings(max_examples=50, deadline=None)
@given(STATES, STATES)
def test_only_what_is_newer_is_told(known, newest):
    """What the client knows already, or better, is left out."""
    told = everything(newest, MOST_BODY, pushed=Pushed(states=known))
    for access in ACCOUNTS:
        newer = {
            name: str(modseq)
            for name, modseq in newest.get(access.account, {}).items()
            if modseq > known.get(access.account, {}).get(name, 0)
        }
        assert told.get(access.account_id, {}) == newer


@settings(max_examples=50, deadline=None)
@given(STATES, st.dictionaries(st.integers(1, 4), st.integers(0, 10**9)))
def test_what_a_client_knows_is_kept_as_it_is(states, emails):
    """Written to a column and read again; two halves joined are the whole, in any order."""
    pushed = Pushed(states, emails)
    assert Pushed.read(pushed.dump()) == pushed
    assert Pushed().joined(pushed) == pushed.joined(Pushed()) == pushed.joined(pushed) == pushed


def test_nothing_to_say_is_no_message():
    """No types asked for, or nothing new."""
    newest = {1: {"Email": 5}}
    assert compose(None, None, subscription(types=frozenset()), ACCOUNTS, newest).message is None
    assert compose(None, None, subscription(Pushed({1: {"Email": 5}})), ACCOUNTS, newest).message is None
    assert compose(None, None, subscription(), (), newest).message is None


def test_secrets_are_not_shown_by_what_describes_a_subscription():
    """A traceback or a log tells neither URL, keys nor code."""
    shown = repr(subscription(keys=ClientKeys(b"public", b"auth")))
    for secret in ("push.example", "public", "auth=", "code"):
        assert secret not in shown
