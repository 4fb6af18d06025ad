"""The message view: what is kept, what is shared, and what costs nothing."""

from minijmap.mail.message import parse
from minijmap.sieve.message import Message
from tests.sieve.trials import PLAIN


def test_a_message_that_nobody_edits():
    """It has no octets of its own, for storing or for sending."""
    message = Message(PLAIN, parse(PLAIN))

    assert message.edited() is None
    assert message.for_redirect() is None
    assert message.changed_fields() is None
    assert message.current() is PLAIN
    assert message.size == len(PLAIN)


def test_fields_are_those_of_the_moment():
    """An edit shows in the fields, and the fields taken before stay as they were."""
    message = Message(PLAIN)
    before = message.fields
    message.add_field("X-Twice", "zeroth")

    assert before.values("x-twice") == ["first", "second", "third"]
    assert message.fields.values("X-TWICE") == ["zeroth", "first", "second", "third"]
    assert message.changed_fields() is message.fields


def test_octets_are_made_once_for_each_state():
    """Two actions in the same state share their octets."""
    message = Message(PLAIN)
    message.add_field("X", "y")

    assert message.edited() is message.edited()
    assert message.edited() == b"X: y\r\n" + PLAIN


def test_a_line_of_an_mbox_stays_before_the_header():
    """What an mbox put before the header stays the first line."""
    message = Message(b"From x@y Tue Mar  5 2024\n" + PLAIN)
    message.add_field("X", "y")

    assert message.current() == b"From x@y Tue Mar  5 2024\n" + b"X: y\r\n" + PLAIN


def test_size_is_that_of_the_message_that_came():
    """Edits do not change what :over and :under look at."""
    message = Message(PLAIN)
    message.add_field("X", "y" * 500)

    assert message.size == len(PLAIN)
