"""Return-Path and Received (RFC 5321 §4.4)."""

import re
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.smtp import trace
from minijmap.smtp.trace import Arrival

ARRIVAL = {
    "sender": "bob@remote.example",
    "recipient": "alice@example.org",
    "helo": "client.example",
    "peer": "192.0.2.7",
    "protocol": "ESMTP",
    "hostname": "mx.example.org",
    "trace_id": "0123456789abcdef",
    "received_at": 1_700_000_000.75,
}


def test_the_two_fields():
    """The fields hold what is known about the way, folded, each line ended by CRLF."""
    octets = trace.fields(Arrival(**ARRIVAL))
    assert re.fullmatch(
        rb"Return-Path: <bob@remote\.example>\r\n"
        rb"Received: from client\.example \(\[192\.0\.2\.7\]\)\r\n"
        rb"\tby mx\.example\.org with ESMTP id 0123456789abcdef\r\n"
        rb"\tfor <alice@example\.org>;\r\n"
        rb"\t[A-Z][a-z]{2}, 1[45] Nov 2023 \d\d:\d\d:20 [+-]\d{4}\r\n",
        octets,
    )
    received = message_from_bytes(octets, policy=policy.compat32)["Received"]
    assert parsedate_to_datetime(received.rpartition(";")[2].strip()).timestamp() == 1_700_000_000


def test_several_recipients_are_not_named():
    """RFC 5321 §7.2: no `for` when there is more than one recipient; the null path is an empty Return-Path."""
    octets = trace.fields(Arrival(**ARRIVAL | {"recipient": None, "sender": ""}))
    assert b"for <" not in octets
    assert octets.startswith(b"Return-Path: <>\r\n")


@given(st.text(max_size=400))
def test_a_name_can_not_open_a_field(name):
    """Whatever a client calls itself, the fields stay two, and their lines short."""
    octets = trace.fields(Arrival(**ARRIVAL | {"helo": name}))
    lines = octets.decode("ascii").split("\r\n")
    assert len(lines) == 6
    assert lines[1].startswith("Received: from ")
    assert all(len(line) < 998 and line.isprintable() for line in (part.strip("\t") for part in lines))


@pytest.mark.parametrize(
    ("peer", "literal"),
    [
        ("192.0.2.7", "[192.0.2.7]"),
        ("::1", "[IPv6:::1]"),
        ("::ffff:192.0.2.7", "[192.0.2.7]"),
        ("fe80::1%eth0", "[IPv6:fe80::1]"),
        ("unknown", "[unknown]"),
        (None, "[unknown]"),
    ],
)
def test_address_literals(peer, literal):
    """An IPv6 address has its tag, unless it is an IPv4 address in disguise (RFC 5321 §4.1.3)."""
    assert trace.address_literal(peer) == literal


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("client.example", "client.example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:::1]", "[IPv6:::1]"),
        ("my_pc", "my_pc"),
        ("a(b)c", "a-b-c"),
        ("", "unknown"),
    ],
)
def test_safe_hosts(name, safe):
    """A proper name stays, anything else is made harmless."""
    assert trace.safe_host(name) == safe


@pytest.mark.parametrize(
    ("spoken", "name"),
    [
        ({"extended": False}, "SMTP"),
        ({"extended": True}, "ESMTP"),
        ({"extended": True, "tls": True}, "ESMTPS"),
        ({"extended": True, "utf8": True}, "UTF8SMTP"),
        ({"extended": True, "utf8": True, "tls": True}, "UTF8SMTPS"),
        ({"extended": True, "signed_in": True}, "ESMTPA"),
        ({"extended": True, "tls": True, "signed_in": True}, "ESMTPSA"),
    ],
)
def test_protocol_names(spoken, name):
    """The protocol is named for the extensions in use (RFC 3848, RFC 6531 §4.3)."""
    assert trace.protocol(**spoken) == name


def test_what_was_submitted_here_came_from_no_host():
    """The Received field begins with `by` then; nothing is said of the client."""
    octets = trace.fields(Arrival(**{**ARRIVAL, "helo": None, "peer": None, "protocol": "JMAP"}))

    assert b"\r\nReceived: by mx.example.org with JMAP id 0123456789abcdef\r\n\tfor <alice@example.org>;\r\n" in octets
    assert b"from" not in octets
