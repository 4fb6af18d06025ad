"""What leaves: a message without Bcc, and everything else of it (RFC 8621 §7.5)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.mail import message
from minijmap.mail.outgoing import completed, leaving

AT = 1_767_225_600_000
WHOLE = b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <a@b>\r\n"


def left(raw):
    """Return what leaves of a message."""
    return leaving(raw, sent_at=AT, message_id="made@example.com")


def test_a_message_without_bcc_leaves_as_it_is():
    """Octet for octet, whatever they are."""
    raw = WHOLE + b"From: \xff\xfe\r\nX-Odd :  y \r\n\r\n\x00binary\xff\r\nBcc: not a field\r\n"

    assert left(raw) == raw


def test_every_bcc_goes_with_all_its_lines():
    """Folded, in any case, with space before the colon, resent, twice, and the last of the header."""
    raw = (
        WHOLE
        + b"Bcc: a@example.org,\r\n b@example.org,\r\n\tc@example.org\r\nSubject: x\r\n folded\r\nbCC : d@example.org\r\n"
        b"Resent-Bcc: e@example.org\r\nX-Bcc: stays\r\nBCC:\r\n\r\nbody\r\n"
    )

    assert left(raw) == WHOLE + b"Subject: x\r\n folded\r\nX-Bcc: stays\r\n\r\nbody\r\n"


def test_return_path_stays_behind():
    """Wherever it stands: the last server writes it, and nobody else (RFC 5321 §4.4)."""
    raw = b"Return-Path: <a@example.org>\r\n" + WHOLE + b"RETURN-PATH:\r\n <b@example.org>\r\nTo: c\r\n\r\nbody\r\n"

    assert left(raw) == WHOLE + b"To: c\r\n\r\nbody\r\n"


def test_lines_that_end_in_lf_alone():
    """They are lines too."""
    raw = WHOLE.replace(b"\r", b"") + b"Bcc: a\n b\nTo: c\n\nBcc: body\n"

    assert left(raw) == WHOLE.replace(b"\r", b"") + b"To: c\n\nBcc: body\n"


def test_a_line_of_carriage_returns_does_not_end_the_header():
    """A field after it is a field for whoever reads the message, so a Bcc goes."""
    assert left(WHOLE + b"\r\r\nBcc: a@example.org\r\n\r\nbody") == WHOLE + b"\r\r\n\r\nbody"


def test_a_header_alone():
    """A message may end with its header."""
    assert left(WHOLE + b"Bcc: a@example.org") == WHOLE


def test_what_is_missing_is_added_in_front():
    """A Date and a Message-ID (RFC 6409 §8)."""
    assert left(b"From: a@b\r\n\r\nx") == (
        b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <made@example.com>\r\nFrom: a@b\r\n\r\nx"
    )


def test_the_line_of_an_mbox_goes():
    """It would end the header, where trace fields are put before it."""
    assert left(b"From a@b Thu Jan  1 00:00:00 2026\n" + WHOLE + b"\r\nx") == WHOLE + b"\r\nx"


FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["Bcc", "BCC", "bcc ", "Resent-Bcc", "To", "Subject", "X-Bcc", "Bccc"]),
        st.sampled_from([" a@example.org", " a,\r\n b", "", "\r\n\tb", " Bcc: c", " x\n y"]),
    ),
    max_size=8,
)


@settings(max_examples=200)
@given(FIELDS, st.sampled_from([b"\r\n", b"\n"]), st.binary(max_size=40))
def test_the_scanner_finds_no_bcc_and_everything_else(fields, newline, body):
    """The fields that JMAP sees are the same but for Bcc, and so is the body."""
    raw = WHOLE + b"".join(f"{name}:{value}".encode() + newline for name, value in fields) + newline + body
    before, after = message.parse(raw), message.parse(left(raw))

    kept = [(name, value) for name, value in before.headers if name.lower() not in ("bcc", "resent-bcc")]
    assert after.headers == kept
    assert left(raw).endswith(newline + body)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_octets_leave_in_some_form(raw):
    """Nothing raises, nothing begins with Bcc, and what leaves twice leaves the same."""
    once = left(b"X: y\r\n" + raw)

    assert not any(name.lower() == "bcc" for name, _ in message.parse(once).headers)
    assert left(once) == once


def test_what_its_sender_keeps():
    """A copy gets the same Date and Message-ID, and keeps Bcc; what has both is not changed at all."""
    raw = b"From: a@example.com\r\nBcc: b@example.com\r\n\r\nBcc: in the body\r\n"
    added = completed(raw, sent_at=AT, message_id="made@example.com")
    assert added.endswith(raw)
    assert added.count(b"\r\nMessage-ID: <made@example.com>\r\n") == added.count(b"Date: ") == 1
    assert completed(added, sent_at=0, message_id="other@example.com") == added
