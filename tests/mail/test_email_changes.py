"""Email/changes: what a client that was away is told (RFC 8620 §5.2, RFC 8621 §4.3), and EmailDelivery (§1.5)."""

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mail.mailmodel import drop_account, message, new_account, put, set_email

NUMBERS = itertools.count(1)


def state_of(house, user="alice@example.com"):
    """The state of Email."""
    return house.call("Email/get", {"ids": []}, user)["state"]


def changes(house, since, user="alice@example.com", **more):
    """Email/changes, and its three lists."""
    return house.call("Email/changes", {"sinceState": since, **more}, user)


def test_each_kind_of_change_is_told_once(house):
    """Created, updated, destroyed; created and updated is created, created and destroyed is nothing."""
    kept, gone = put(house, message(message_id="a@x")), put(house, message(message_id="b@x"))
    since = state_of(house)
    new, brief = put(house, message(message_id="c@x")), put(house, message(message_id="d@x"))
    set_email(house, kept, {"keywords/a": True})
    set_email(house, new, {"keywords/a": True})
    house.call("Email/set", {"destroy": [gone, brief]})

    answer = changes(house, since)

    assert (answer["created"], answer["updated"], answer["destroyed"]) == ([new], [kept], [gone])
    assert (answer["oldState"], answer["newState"], answer["hasMoreChanges"]) == (since, state_of(house), False)
    assert changes(house, answer["newState"])["updated"] == []


def test_a_move_is_a_change_of_the_email(house):
    """MailboxIds and keywords are all that changes of an Email; a read changes nothing."""
    email = put(house, message())
    since = state_of(house)
    house.call("Email/get", {"ids": [email], "fetchAllBodyValues": True})
    assert changes(house, since)["updated"] == []
    set_email(house, email, {"mailboxIds": {house.mailbox("archive"): True}})
    assert changes(house, since)["updated"] == [email]


def test_states_that_were_never_given_out(house):
    """cannotCalculateChanges, however they look; maxChanges must be positive."""
    put(house, message())
    for state in ("", "x", "-1", "01", "99999", "1" * 300, "1.0", "٣"):
        assert changes(house, state)["type"] in ("cannotCalculateChanges", "invalidArguments"), state
    assert changes(house, "0", maxChanges=0)["type"] == "invalidArguments"


def test_the_state_of_email_delivery_moves_with_new_emails_alone(house):
    """EmailDelivery is announced when an Email comes, by whatever way, and for nothing else (RFC 8621 §1.5)."""
    account = house.users["alice@example.com"].account
    email = house.deliver(message())
    (first,) = [
        types["EmailDelivery"]
        for commit in house.announced
        for key, types in commit.items()
        if "EmailDelivery" in types and key == account
    ]
    house.announced.clear()
    set_email(house, email, {"keywords/$seen": True})
    assert all("EmailDelivery" not in types for commit in house.announced for types in commit.values())
    house.deliver(message(message_id="b@x"))
    assert house.announced[-1][account]["EmailDelivery"] > first


STEPS = st.lists(st.tuples(st.sampled_from(["new", "new", "touch", "gone"]), st.integers(0, 20)), max_size=14)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, STEPS, st.integers(1, 4))
def test_any_steps_can_be_followed_in_pieces(house, before, after, most):
    """A client that applies the pieces, however small, ends with what is there, and every piece moves on (trap 3)."""
    user = new_account(house, f"changes{next(NUMBERS)}@example.com")
    there = []
    try:
        run(house, user, there, before)
        known, since = set(there), state_of(house, user)
        run(house, user, there, after)
        for _ in range(50):
            answer = changes(house, since, user, maxChanges=most)
            told = [*answer["created"], *answer["updated"], *answer["destroyed"]]
            assert len(told) == len(set(told)) <= most
            assert answer["newState"] != since or not answer["hasMoreChanges"]
            known = (known | set(answer["created"])) - set(answer["destroyed"])
            since = answer["newState"]
            if not answer["hasMoreChanges"]:
                break
        assert known == set(there)
        assert since == state_of(house, user)
    finally:
        drop_account(house, user)


def run(house, user, there, steps):
    """Do the steps in the account, and in the list of what is there."""
    for what, number in steps:
        if what == "new":
            there.append(put(house, message(message_id=f"{next(NUMBERS)}@x"), user=user))
        elif there and what == "touch":
            set_email(house, there[number % len(there)], {f"keywords/k{next(NUMBERS)}": True}, user)
        elif there:
            house.call("Email/set", {"destroy": [there.pop(number % len(there))]}, user)
