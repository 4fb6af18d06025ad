"""What a client can not use up: sizes, recipients, errors, time, connections, room (RFC 5321 §4.5.3, RFC 1870)."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from minijmap.config import Settings
from minijmap.smtp.service import Full, Limits, Service, Spool

MESSAGE = b"Subject: x\r\n\r\nx\r\n"
MOST = 70_000
YOU_TOOK_TOO_LONG = "421 4.4.2 You took too long\r\n"


def sized(octets, filler=b"x" * 70):
    """Return a message of exactly so many octets, in lines."""
    message = b"Subject: x\r\n\r\n"
    while octets - len(message) > 200:
        message += filler + b"\r\n"
    return message + b"y" * (octets - len(message) - 2) + b"\r\n"


def trickle(client):
    """Send an octet now and then until the server has something to say; return all it says to the end."""
    client.socket.settimeout(0.02)
    said = b""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            octets = client.socket.recv(1000)
        except TimeoutError:
            octets = None
        except ConnectionResetError:
            # An octet crossed the server's close: TCP then may drop the reply that was on its way.
            return said.decode() or YOU_TOOK_TOO_LONG
        if octets == b"":
            return said.decode()
        said += octets or b""
        with contextlib.suppress(ConnectionError):
            client.send(b"x")
    raise AssertionError("The server lets itself be kept for ever.")


def test_sizes(open_household, connect):
    """The limit is exact, at SIZE= and after DATA, counts no transparency dots, and the session goes on after it."""
    household = open_household(max_message_size=MOST)
    client = connect(household)
    assert f"250-SIZE {MOST}\n" in client.says("EHLO client.example", "250")
    client.says(f"MAIL FROM:<bob@remote.example> SIZE={MOST + 1}", "552 5.3.4 ")
    client.says(f"MAIL FROM:<bob@remote.example> SIZE={10**19}", "552 5.3.4 ")
    client.says("RCPT TO:<alice@example.org>", "503 5.5.1 ")
    client.says(f"MAIL FROM:<bob@remote.example> SIZE={MOST}", "250 2.1.0 ")
    client.says("RSET", "250 2.0.0 ")
    dots = b"." * 30
    for octets, filler, reply in (
        (MOST, b"x" * 70, "250 2.6.0 "),
        (MOST + 1, b"x" * 70, "552 5.3.4 "),
        (MOST, dots, "250 2.6.0 "),
        (MOST + 1, dots, "552 5.3.4 "),
        (MOST, b".", "250 2.6.0 "),
        (10 * MOST, b"x" * 70, "552 5.3.4 "),
    ):
        message = sized(octets, filler)
        client.says("MAIL FROM:<bob@remote.example> SIZE=10", "250 2.1.0 ")
        client.says("RCPT TO:<alice@example.org>", "250 2.1.5 ")
        client.says("DATA", "354 ")
        client.send(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert client.reply().startswith(reply)
        if reply.startswith("250"):
            assert household.bodies()[-1] == message
    assert len(household.stored()) == 3
    client.says("NOOP", "250 2.0.0 ")


def test_endless_data(open_household, connect):
    """A message that goes on and on after it is too big is refused and the connection ended."""
    household = open_household(Limits(overrun=300_000), max_message_size=MOST)
    client = connect(household)
    client.begin()
    with contextlib.suppress(ConnectionError):
        for _ in range(1000):
            client.send(b"x" * 10_000)
    assert client.rest() in {"", "552 5.3.4 The message is larger than this server takes\r\n"}
    assert household.stored() == []


def test_a_thousand_recipients(household, client):
    """A hundred are taken, the rest is told to come later (RFC 5321 §4.5.3.1.10), and the message goes out."""
    client.says("EHLO client.example", "250")
    client.says("MAIL FROM:<bob@remote.example>", "250 2.1.0 ")
    client.send(b"".join(b"RCPT TO:<alice+%d@example.org>\r\n" % number for number in range(1000)))
    replies = [client.reply()[:10] for _ in range(1000)]
    assert replies == ["250 2.1.5 "] * 100 + ["452 4.5.3 "] * 900
    client.says("DATA", "354 ")
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    assert household.bodies() == [MESSAGE]


def test_too_many_errors(client):
    """Garbage, and guessing addresses, end after a number of errors."""
    client.says("EHLO client.example", "250")
    client.says("MAIL FROM:<bob@remote.example>", "250 2.1.0 ")
    client.send(b"".join(b"RCPT TO:<guess%d@example.org>\r\n" % number for number in range(10)) + b"\x00\xff\r\n" * 30)
    replies = [client.reply()[:10] for _ in range(21)]
    assert replies == ["550 5.1.1 "] * 10 + ["500 5.5.2 "] * 10 + ["421 4.7.0 "]
    assert client.rest() == ""


def test_too_many_commands(open_household, connect):
    """Commands that lead to no message end some time; a message starts the count anew."""
    household = open_household(Limits(commands=10))
    client = connect(household)
    client.begin()
    client.send(MESSAGE + b".\r\n")
    assert client.reply().startswith("250 2.6.0 ")
    for _ in range(8):
        client.says("NOOP", "250 2.0.0 ")
    client.says("NOOP", "250 2.0.0 ")
    assert client.reply().startswith("421 4.7.0 ")


def test_long_command_lines(client):
    """A line that is too long is refused; one without an end ends the connection."""
    client.says("NOOP " + "x" * 2000, "250 2.0.0 ")
    client.says("NOOP " + "x" * 3000, "500 5.5.2 ")
    client.says("NOOP", "250 2.0.0 ")
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            client.send(b"x" * 10_000)
    assert client.rest() in {"", "421 4.5.2 Command line too long\r\n"}


def test_a_silent_client(open_household, connect):
    """A client that says nothing is told so and let go (RFC 5321 §4.5.3.2.7)."""
    household = open_household(Limits(command_seconds=0.1))
    assert connect(household).rest() == YOU_TOOK_TOO_LONG


def test_a_trickle_of_a_command(open_household, connect):
    """Single octets do not prolong the time for a command."""
    household = open_household(Limits(command_seconds=0.3))
    assert trickle(connect(household)) == YOU_TOOK_TOO_LONG


def test_a_trickle_of_data(open_household, connect):
    """Single octets do not prolong the time for a message; what came of it is dropped."""
    household = open_household(Limits(data_seconds=0.3))
    client = connect(household)
    client.begin()
    assert trickle(client) == YOU_TOOK_TOO_LONG
    assert household.stored() == []


def test_a_client_that_reads_nothing(open_household, connect):
    """Replies that nobody takes do not keep the connection: it is cut."""
    household = open_household(Limits(command_seconds=0.3, linger_seconds=0.1, commands=10**9))
    client = connect(household)

    def flood():
        for _ in range(100_000):
            client.send(b"NOOP\r\n" * 1000)

    with pytest.raises(ConnectionError):
        flood()


def test_too_many_connections(open_household, connect):
    """Over the limit a connection is refused with 421, and taken again when another has ended."""
    household = open_household(Limits(connections=2, connections_per_address=1))
    first, _second = connect(household), connect(household)
    assert connect(household, greeting="421 4.7.0 ").rest() == ""
    first.says("QUIT", "221 2.0.0 ")
    assert first.rest() == ""
    connect(household).says("NOOP", "250 2.0.0 ")


def service(**limits):
    """Return the shared half of a listener that has no store."""
    return Service(Settings(max_message_size=1000), None, time.time, Limits(**limits))


def test_connections_from_one_address():
    """An address has a limit of its own; loopback has none, since a local proxy's clients all come from there."""
    shared = service(connections=10, connections_per_address=2)
    with contextlib.ExitStack() as stack:
        for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2", *["127.0.0.1", "::1"] * 3):
            stack.enter_context(shared.admitted(address))
        with pytest.raises(Full):
            stack.enter_context(shared.admitted("192.0.2.1"))
        stack.enter_context(shared.admitted("unknown"))
        with pytest.raises(Full):
            stack.enter_context(shared.admitted("192.0.2.3"))
    with shared.admitted("192.0.2.1"):
        assert dict(shared._addresses) == {"192.0.2.1": 1}
    assert dict(shared._addresses) == {}
    shared.close()


def test_room_for_messages():
    """All messages being received share their room, and give it back."""
    shared = service(spool=2500)
    first, second = Spool(shared), Spool(shared)
    assert first.take(1300)
    assert second.take(1200)
    assert not second.take(100)
    assert not second.too_big
    assert not first.take(100)
    assert first.too_big
    first.release()
    first.release()
    assert second.take(100)
    second.release()
    assert shared._spooled == 0
    shared.close()


def test_no_room_for_a_message(open_household, connect):
    """A message there is no room for is refused for now, and nothing but its session hears of it."""
    household = open_household(Limits(spool=0, commands=10**9), max_message_size=400_000)
    shared, other = household.listener._service, connect(household)
    holders = [connect(household) for _ in range(2)]
    for count, holder in enumerate(holders, 1):
        holder.begin()
        holder.send(sized(390_000))
        while shared._spooled < count * 300_000:
            other.says("NOOP", "250 2.0.0 ")
    other.begin()
    other.send(sized(390_000) + b".\r\n")
    assert other.reply().startswith("452 4.3.1 ")
    for holder in holders:
        holder.send(b".\r\n")
        assert holder.reply().startswith("250 2.6.0 ")
    other.envelope()
    other.send(sized(390_000) + b".\r\n")
    assert other.reply().startswith("250 2.6.0 ")
    assert shared._spooled == 0


def wait_until(condition):
    """Wait for another thread to come to a point."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline


def test_stop_waits_for_a_message_being_stored(household, connect):
    """A message whose data has ended is stored and answered before the 421 of the stop."""
    client, gate = connect(household), threading.Event()
    blocker = threading.Thread(target=household.database.write, args=(lambda _: gate.wait(20),))
    blocker.start()
    client.begin()
    client.send(MESSAGE + b".\r\n")
    (conversation,) = household.listener._conversations
    wait_until(lambda: conversation._delivering)
    stopper = threading.Thread(target=household.listener.stop)
    stopper.start()
    wait_until(lambda: conversation._farewell is not None)
    gate.set()
    assert client.reply().startswith("250 2.6.0 ")
    assert client.reply().startswith("421 4.3.2 ")
    blocker.join()
    stopper.join()
    assert household.bodies() == [MESSAGE]


def test_a_message_being_stored_outlives_its_connection(household, connect):
    """A client that vanishes while its message is being stored does no harm: it is stored once, others are served."""
    client, gate = connect(household), threading.Event()
    blocker = threading.Thread(target=household.database.write, args=(lambda _: gate.wait(20),))
    blocker.start()
    client.begin()
    client.send(MESSAGE + b".\r\n")
    wait_until(household.database._jobs.qsize)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    client.close()
    wait_until(lambda: not household.listener._conversations)
    gate.set()
    blocker.join()
    connect(household).says("NOOP", "250 2.0.0 ")
    household.listener.stop()
    assert household.bodies() == [MESSAGE]


def test_what_aiosmtpd_has():
    """The parts of aiosmtpd and asyncio below the conversation that are not public: a new version may move them."""
    from aiosmtpd.smtp import SMTP

    for name in ("_handle_client", "_timeout_cb", "_reset_timeout", "_set_rset_state", "push", "line_length_limit"):
        assert hasattr(SMTP, name)
    reader = asyncio.StreamReader(limit=10, loop=asyncio.new_event_loop())
    reader.feed_data(b"b")
    reader._buffer[:0] = b"a"
    assert bytes(reader._buffer) == b"ab"
    reader._loop.close()
