"""Threads: which Emails come together, and how they are shown (RFC 8621 §3)."""

import pytest

from tests.mail.mailmodel import START_MS, damage, get, message, put


def thread_of(house, email_id, user="alice@example.com"):
    """The Thread of an Email."""
    return get(house, email_id, "threadId", user=user)


def test_a_reply_joins_in_order_of_arrival(house):
    """An identical message id and the same base subject make a Thread, oldest first."""
    later = put(house, message("Re: Lunch", message_id="b@x", references=["a@x"]), at=START_MS + 2000)
    earlier = put(house, message("Lunch", message_id="a@x"), at=START_MS)
    middle = put(house, message("Fwd: Lunch", message_id="c@x", fields=["In-Reply-To: <b@x>"]), at=START_MS + 1000)

    thread = thread_of(house, later)

    answer = house.call("Thread/get", {"ids": [thread]})
    assert answer["list"] == [{"id": thread, "emailIds": [earlier, middle, later]}]


def test_emails_of_one_moment_stand_in_the_order_of_their_ids(house):
    """The order is stable where the dates are equal."""
    ids = [put(house, message("x", message_id=f"{n}@x", references=["r@x"])) for n in range(12)]

    (thread,) = house.call("Thread/get", {"ids": [thread_of(house, ids[0])]})["list"]
    assert thread["emailIds"] == ids


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Lunch", "Re: Lunch"), ("Lunch", "RE: FW: lunch"), ("[list] Lunch", "Re: [list] Lunch"),
        ("A long  subject", "Re: A long\r\n subject"), ("Lunch", "Re: =?UTF-8?Q?Lunch?="), ("", "Re: "),
        ("Mittagessen am Montag", "Re: Mittag essen am Montag"),
    ],
)  # fmt: skip
def test_prefixes_case_and_white_space_of_subjects_do_not_matter(house, first, second):
    """The subjects are the same after stripping prefixes and ignoring white space (§3)."""
    a = put(house, message(first, message_id="a@x"))
    b = put(house, message(second, message_id="b@x", references=["a@x"]))

    assert thread_of(house, a) == thread_of(house, b)


def test_a_reply_under_a_new_subject_is_a_new_conversation(house):
    """An old message used to find the recipient starts a new Thread (trap 6)."""
    a = put(house, message("Lunch", message_id="a@x"))
    b = put(house, message("Holidays", message_id="b@x", references=["a@x"]))
    c = put(house, message("Re: Holidays", message_id="c@x", references=["a@x", "b@x"]))

    assert thread_of(house, a) != thread_of(house, b)
    assert thread_of(house, b) == thread_of(house, c)


def test_the_same_subject_alone_joins_nothing(house):
    """Without a message id in common two Emails are two Threads, and so are two without any message id."""
    ids = [put(house, message("Newsletter", message_id=f"{n}@x")) for n in range(2)]
    ids += [put(house, message("Newsletter", body=f"{n}")) for n in range(2)]

    assert len({thread_of(house, one) for one in ids}) == 4


def test_strangers_that_share_an_ancestor_come_together(house):
    """Two replies to a message that never came have a reference in common."""
    a = put(house, message("Re: Lunch", message_id="a@x", references=["gone@x"]))
    b = put(house, message("Re: Lunch", message_id="b@x", references=["gone@x"]))

    assert thread_of(house, a) == thread_of(house, b)


def test_a_late_ancestor_joins_the_older_thread_and_changes_no_thread_id(house):
    """ThreadId is immutable: a message that ties two Threads together goes to the older, and both stay."""
    a = put(house, message("Re: Lunch", message_id="a@x"))
    b = put(house, message("Re: Lunch", message_id="b@x"))
    before = [thread_of(house, one) for one in (a, b)]
    c = put(house, message("Re: Lunch", message_id="c@x", references=["a@x", "b@x"]))

    assert thread_of(house, c) == before[0]
    assert [thread_of(house, one) for one in (a, b)] == before


def test_each_account_has_threads_of_its_own(house):
    """The same message in two accounts is in two Threads, and neither sees the other's."""
    raw = message(message_id="a@x")
    mine, theirs = house.deliver(raw), house.deliver(raw, "bob@example.com")
    my_thread = thread_of(house, mine)
    their_thread = thread_of(house, theirs, "bob@example.com")

    assert my_thread != their_thread
    assert house.call("Thread/get", {"ids": [their_thread]})["notFound"] == [their_thread]


def test_changes_follow_the_emails(house):
    """A Thread is created with its first Email, updated by each next or lost one, destroyed with its last."""
    start = house.call("Thread/get", {"ids": []})["state"]
    a = put(house, message(message_id="a@x"))
    thread = thread_of(house, a)
    changes = house.call("Thread/changes", {"sinceState": start})
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([thread], [], [])

    one = changes["newState"]
    b = put(house, message("Re: Hello", message_id="b@x", references=["a@x"]))
    assert house.call("Thread/changes", {"sinceState": one})["updated"] == [thread]
    house.call("Email/set", {"update": {a: {"keywords/$seen": True}}, "destroy": [b]})
    assert house.call("Thread/changes", {"sinceState": one})["updated"] == [thread]
    house.call("Email/set", {"destroy": [a]})
    changes = house.call("Thread/changes", {"sinceState": one})
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [], [thread])
    changes = house.call("Thread/changes", {"sinceState": start})
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [], [])
    assert damage(house) == []


def test_a_thread_that_is_gone_is_never_joined_again(house):
    """The next message of the conversation starts a new Thread: ids are not used twice."""
    a = put(house, message(message_id="a@x"))
    thread = thread_of(house, a)
    house.call("Email/set", {"destroy": [a]})

    b = put(house, message("Re: Hello", message_id="b@x", references=["a@x"]))

    assert thread_of(house, b) != thread


def test_keywords_and_moves_leave_threads_alone(house):
    """A Thread is its list of Emails; nothing else changes its state."""
    a = put(house, message(message_id="a@x"))
    state = house.call("Thread/get", {"ids": []})["state"]

    house.call("Email/set", {"update": {a: {"keywords/$seen": True, "mailboxIds": {house.mailbox("trash"): True}}}})

    assert house.call("Thread/get", {"ids": []})["state"] == state


def test_thread_get_takes_null_ids_and_names_what_is_not_there(house):
    """All Threads for null; ids of no Thread in notFound; only asked properties, and always the id."""
    a, b = put(house, message(message_id="a@x")), put(house, message(message_id="b@x"))

    answer = house.call("Thread/get", {"ids": None, "properties": []})
    assert answer["list"] == [{"id": thread_of(house, one)} for one in (a, b)]
    assert house.call("Thread/get", {"ids": ["t999", "e1", "t01"]})["notFound"] == ["t999", "e1", "t01"]
    assert house.call("Thread/get", {"ids": [], "properties": ["subject"]})["type"] == "invalidArguments"
