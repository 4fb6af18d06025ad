"""Where mail data ends, and what its dots mean (RFC 5321 §4.1.1.4, §4.5.2)."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.smtp.data import TooMuch, receive

HOSTILE = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"..", b"a", b"\x00", b"\xff"]), max_size=40)


def stuffed(message):
    """What a client sends for a message: its lines, dots doubled at their beginning, then the end."""
    lines = message.split(b"\r\n")
    assert lines[-1] == b""
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines[:-1]) + b".\r\n"


async def run(pieces, take, overrun=10**9, limit=64):
    """Receive data that arrives in pieces; return the result and what is left for the next command."""
    reader = asyncio.StreamReader(limit=limit)
    task = asyncio.ensure_future(receive(reader, take, overrun))
    for piece in pieces:
        reader.feed_data(piece)
        await asyncio.sleep(0)
    reader.feed_eof()
    return await task, await reader.read()


@settings(max_examples=200, deadline=None)
@given(HOSTILE, st.integers(0, 2**32))
def test_what_is_sent_arrives_however_it_is_cut(parts, seed):
    """Any message comes back octet for octet, whatever pieces it travels in, and the next command is left alone."""
    message = b"".join(parts)
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    wire = stuffed(message) + b"QUIT\r\n"
    choose = random.Random(seed)
    pieces = []
    while wire:
        size = choose.choice([1, 1, 2, 3, 7, 100])
        pieces.append(wire[:size])
        wire = wire[size:]
    assert asyncio.run(run(pieces, lambda _: True, limit=choose.choice([8, 64]))) == (message, b"QUIT\r\n")


def test_no_data_at_all():
    """A dot right after DATA is an empty message."""
    assert asyncio.run(run([b".\r\nQUIT\r\n"], lambda _: True)) == (b"", b"QUIT\r\n")


def test_an_empty_line_is_a_message():
    """An empty line stays when the end follows it."""
    assert asyncio.run(run([b"\r\n.\r\n"], lambda _: True)) == (b"\r\n", b"")


@pytest.mark.parametrize(
    "sequence",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\n\r.\r\n",
        b"\r\r.\r\n",
        b"\r\n\x00.\r\n",
        b"\r\n.\x00\r\n",
        b"\r\n. \r\n",
        b"\r\n.\r\r\n",
    ],
)
def test_nothing_but_crlf_dot_crlf_ends_data(sequence):
    """Every look-alike of the end is part of the message."""
    smuggled = b"MAIL FROM:<evil@remote.example>\r\n"
    message, left = asyncio.run(
        run([b"Subject: x\r\n\r\nbefore", sequence, smuggled, b"after\r\n.\r\n"], lambda _: True)
    )
    assert message == b"Subject: x\r\n\r\nbefore" + sequence.replace(b"\r\n.", b"\r\n") + smuggled + b"after\r\n"
    assert left == b""


def test_refused_octets_are_read_and_dropped():
    """Once a piece is not taken nothing is kept, and the end is still found."""
    taken = []

    def take(octets):
        taken.append(octets)
        return sum(taken) < 1000

    pieces = [b"x" * 100 + b"\r\n"] * 200
    assert asyncio.run(run([*pieces, b".\r\nNOOP\r\n"], take)) == (None, b"NOOP\r\n")
    assert sum(taken) < 1300


def test_endless_refused_data():
    """Refused data that goes on and on is not read for ever."""
    with pytest.raises(TooMuch):
        asyncio.run(run([b"x" * 100] * 200, lambda _: False, overrun=5000))


def test_a_connection_that_ends_too_early():
    """Data without its end is no message."""
    with pytest.raises(asyncio.IncompleteReadError):
        asyncio.run(run([b"Subject: x\r\n\r\nhalf"], lambda _: True))


def test_many_empty_lines_cost_no_more_than_others():
    """A beginning that always looks like the end's is searched in bulk: it takes a handful of pieces."""
    pieces = []

    def take(octets):
        pieces.append(octets)
        return True

    message, _ = asyncio.run(run([b"\r\n" * 100_000 + b".\r\n"], take, limit=65536))
    assert message == b"\r\n" * 100_000
    assert len(pieces) < 10
