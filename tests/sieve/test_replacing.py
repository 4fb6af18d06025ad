"""replace and enclose (RFC 5703 §5, §6): what comes of a message, read by Python's own email module."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.sieve.actions import FileInto, Keep, Redirect
from minijmap.sieve.entity import Entity
from tests.sieve.test_bodytest import NESTED
from tests.sieve.trials import PLAIN, Case, decide, outcome

_R = 'require ["replace", "enclose", "foreverypart", "mime", "variables", "editheader", "fileinto", "copy", "body"];\n'


def kept(script: str, message: bytes = PLAIN) -> bytes:
    """The message that a script keeps, changed."""
    result = decide(_R + script, message)
    assert result.error is None, result.error
    action = result.actions[-1]
    assert isinstance(action, Keep)
    assert action.message is not None
    return action.message


def parsed(octets: bytes) -> Any:
    """What the standard library makes of it, with nothing to complain about."""
    message = message_from_bytes(octets, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert [defect for part in message.walk() for defect in part.defects] == []
    return message


# --- replace --------------------------------------------------------------------------------------------------------


def test_replace_the_whole_message():
    """The text is the content; every other header field stays as it was."""
    message = parsed(octets := kept('replace "Gone, naïvely.";'))

    assert message.get_content().rstrip("\n") == "Gone, naïvely."
    assert message["content-type"] == 'text/plain; charset="utf-8"' or message.get_content_charset() == "utf-8"
    assert octets.startswith(PLAIN[: PLAIN.index(b"\r\n\r\n")])
    assert message["subject"] == "Grüße from here"


def test_replace_says_what_the_subject_and_the_sender_were():
    """New Subject and From, the old ones as Original-Subject and Original-From (RFC 5703 §5)."""
    message = parsed(kept('replace :subject "Neu: für dich" :from "\\"Ä\\" <user@example.org>" "x";'))

    assert message["subject"] == "Neu: für dich"
    assert message["original-subject"] == "Grüße from here"
    assert message["from"].addresses[0].display_name == "Ä"
    assert message["original-from"] == '"A. Sender" <sender@example.com>'
    assert message.keys().count("From") == message.keys().count("Subject") == 1


def test_original_fields_stay():
    """What replace has kept, no deleteheader takes away (RFC 5703 §5)."""
    message = parsed(kept('replace :subject "new" "x"; deleteheader "Original-Subject"; deleteheader "Subject";'))

    assert message["original-subject"] == "Grüße from here"
    assert message["subject"] is None


def test_replace_by_a_mime_entity():
    """With :mime the string has its own MIME header; other fields in it mean nothing."""
    text = "text:\r\nContent-Type: text/html; charset=utf-8\r\nX-Other: y\r\n\r\n<p>ö</p>\r\n.\r\n"
    message = parsed(kept(f"replace :mime {text};", NESTED))

    assert message.get_content_type() == "text/html"
    assert message["content-transfer-encoding"] == "8bit"
    assert message["x-other"] is None
    assert "<p>ö</p>" in message.get_content()
    assert message["subject"] == "whatever"


def test_replace_a_part():
    """Inside of a loop the current part is replaced; all other octets stay."""
    octets = kept(
        'foreverypart { if header :mime :contenttype "Content-Type" "text/html" { replace "no HTML here"; } }', NESTED
    )
    old = NESTED[NESTED.index(b"Content-Type: text/html") : NESTED.index(b"\r\n--inner--")]
    before, after = NESTED.split(old)

    assert octets.startswith(before)
    assert octets.endswith(after)
    assert [part.get_content_type() for part in parsed(octets).walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/plain",
        "message/rfc822",
        "text/plain",
    ]


def test_replace_a_multipart():
    """All parts of a replaced multipart go with it, and the loop does not visit them (RFC 5703 §5)."""
    octets = kept(
        'foreverypart { if header :mime :subtype "Content-Type" "alternative" { replace "one"; }'
        ' if header :mime :contenttype "Content-Type" "text/html" { addheader "X-Seen" "html"; } }',
        NESTED,
    )

    assert [part.get_content_type() for part in parsed(octets).walk()] == [
        "multipart/mixed",
        "text/plain",
        "message/rfc822",
        "text/plain",
    ]
    assert b"X-Seen" not in octets


def test_replace_inside_of_an_enclosed_message():
    """A part of an enclosed message is replaced in its place."""
    octets = kept('foreverypart { if header :mime "Subject" "hello request" { replace "say nothing"; } }', NESTED)

    assert b"Subject: hello request\r\nMIME" not in octets
    assert b"say nothing" in octets
    assert b"Please say Hello" not in octets
    assert octets.startswith(NESTED[: NESTED.index(b"Content-Type: message/rfc822")])


def test_later_tests_see_the_replacement():
    """Tests after it, and loops after it, see what is there now."""
    script = 'foreverypart { if header :mime :type "Content-Type" "text" { replace "42"; } }'
    script += ' foreverypart { if header :mime :param "charset" "Content-Type" "utf-8" { addheader "X-N" "1"; } }'
    script += ' if body :contains "42" { addheader "X-Body" "yes"; }'
    message = parsed(kept(script, NESTED))

    assert message.get_all("X-N") == ["1", "1"]
    assert message["X-Body"] == "yes"


@pytest.mark.parametrize(
    ("script", "expect"),
    [
        ('replace :mime :subject "x" "Content-Type: text/plain\r\n\r\nx";', "refused"),
        ('replace :mime :from "a@b.example" "Content-Type: text/plain\r\n\r\nx";', "refused"),
        ('replace :mime "no header";', "refused"),
        ('replace :mime "Content-Type: text/plain; name=ä\r\n\r\nx";', "refused"),
        ('set "x" "no header"; replace :mime "${x}";', "error"),
        ('replace :from "nobody" "x";', "refused"),
        ('set "x" "nobody"; replace :from "${x}" "y";', "error"),
        ('foreverypart { replace :mime "Content-Type: text/plain\r\n\r\n--outer\r\n"; break; }', "keep"),
        ('foreverypart { foreverypart { replace :mime "Content-Type: text/plain\r\n\r\n--outer\r\n"; } }', "error"),
        ('enclose :headers "a b" "x";', "refused"),
    ],
)
def test_wrong_replacements(script: str, expect: str):
    """What can't be put into a message is refused when it is constant, and an error when it is not."""
    assert outcome(Case("", _R + script, "", NESTED)) == expect


_TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cn"), exclude_characters="\0"), max_size=300
) | st.lists(
    st.sampled_from(["--inner", "--outer--", "\r\n", "\n", "--", "x" * 1100, "ä", ".", " ", "From "]), max_size=8
).map("".join)


@settings(max_examples=200, deadline=None)
@given(_TEXTS)
def test_any_text_comes_back(text: str):
    """Whatever the text, a part that it replaces says it, and the structure around it is as it was."""
    literal = re.sub(r'(["\\])', r"\\\1", text).replace("${", "$ {")
    octets = kept(
        f'foreverypart {{ if header :mime :subtype "Content-Type" "html" {{ replace "{literal}"; }} }}', NESTED
    )
    parts = list(Entity.of_message(octets).walk())

    assert [part.type for part in parts[:4]] == ["multipart/mixed", "multipart/alternative", "text/plain", "text/plain"]
    lines = re.split(r"\r\n|\r|\n", text.replace("${", "$ {").replace("\ufeff", ""))
    assert re.split(r"\r\n", parts[3].text()[0].replace("\ufeff", "")) == lines
    parsed(octets)


# --- enclose --------------------------------------------------------------------------------------------------------


def test_enclose():
    """A text and the old message, octet for octet, are the parts of a new message from the user, of now."""
    message = parsed(octets := kept('enclose :subject "Wärnung" "Take care.";', NESTED))

    assert message.get_content_type() == "multipart/mixed"
    assert message["subject"] == "Wärnung"
    assert message["from"].addresses[0].addr_spec == "user@localhost"
    assert message["date"].datetime.isoformat() == "2026-01-01T12:00:00+00:00"
    text, inner = message.iter_parts()
    assert text.get_content() == "Take care."
    assert inner.get_content_type() == "message/rfc822"
    assert b"\r\n\r\n" + NESTED + b"\r\n--=_" in octets


def test_enclose_takes_the_subject_and_what_headers_name():
    """Without :subject it is the old one; fields that :headers names are copied, MIME's are not."""
    message = parsed(kept('enclose :headers ["From", "x-twice", "Content-Type"] "x";'))

    assert message["subject"] == "Grüße from here"
    assert message["from"] == '"A. Sender" <sender@example.com>'
    assert message.get_all("x-twice") == ["first", "second", "third"]
    assert message["to"] is None
    assert message.get_content_type() == "multipart/mixed"


def test_enclose_is_not_for_redirect():
    """What is sent on is the message without the enclosure, with the edits before it (RFC 5703 §6)."""
    script = _R + 'addheader "X-A" "1"; enclose "x"; redirect :copy "a@example.org"; fileinto :copy "F";'
    redirect, fileinto, keep = decide(script).actions

    assert isinstance(redirect, Redirect)
    assert redirect.message == b"X-A: 1\r\n" + PLAIN
    assert isinstance(fileinto, FileInto)
    assert fileinto.message is not None
    assert fileinto.message.count(PLAIN) == 1
    assert isinstance(keep, Keep)
    assert keep.message == fileinto.message

    unchanged, _ = decide(_R + 'enclose "x"; redirect :copy "a@example.org";').actions
    assert isinstance(unchanged, Redirect)
    assert unchanged.message is None


def test_enclose_twice():
    """Each enclosure is around the one before."""
    message = parsed(kept('enclose :subject "one" "1"; enclose :subject "two" "2";'))
    inner = list(message.iter_parts())[1].get_content()

    assert message["subject"] == "two"
    assert inner["subject"] == "one"
    assert list(inner.iter_parts())[1].get_content()["message-id"] == "<1@example.com>"


def test_enclose_inside_of_a_loop():
    """The loop goes on over the old parts, which are now inside; what it replaces is replaced there."""
    octets = kept(
        'foreverypart { if header :mime :subtype "Content-Type" "alternative" { enclose "x"; }'
        ' if header :mime :subtype "Content-Type" "html" { replace "replaced later"; } }',
        NESTED,
    )
    types = [part.get_content_type() for part in parsed(octets).walk()]

    assert types[:4] == ["multipart/mixed", "text/plain", "message/rfc822", "multipart/mixed"]
    assert b"replaced later" in octets
    assert b"<b>bold" not in octets


def test_headers_after_enclose_are_the_new_ones():
    """Tests and edits after it are about the new message."""
    script = (
        'enclose :subject "new" "x"; if header "subject" "new" { addheader "X-Yes" "1"; } if exists "to" { discard; }'
    )
    message = parsed(kept(script))

    assert message["x-yes"] == "1"


def test_enclose_says_what_octets_there_are():
    """An 8-bit message, and one with lines too long for mail, are declared as such (RFC 2045 §6.4)."""
    for body, encoding in ((b"plain", None), ("ä".encode(), "8bit"), (b"x" * 1200, "binary"), (b"\0", "binary")):
        message = message_from_bytes(
            kept('enclose "x";', b"Subject: a\r\n\r\n" + body + b"\r\n"), policy=policy.compat32
        )

        assert message["content-transfer-encoding"] == encoding


def test_line_ends_are_those_of_the_message():
    """A message with LF alone stays one."""
    octets = kept('enclose "x\r\ny";', NESTED.replace(b"\r\n", b"\n"))

    assert b"\r" not in octets
    assert parsed(octets)["from"].addresses[0].addr_spec == "user@localhost"


def test_too_many_enclosures():
    """The number of enclosures is limited."""
    assert outcome(Case("", _R + 'enclose "x";' * 11, "")) == "error"
    assert outcome(Case("", _R + 'enclose "x";' * 10, "")) == "keep"


def test_growth_is_limited():
    """Megabytes of replacements end the script."""
    loop = 'foreverypart { replace "' + "${x}" * 60 + '"; }'
    script = _R + f'set "x" "{"y" * 16000}"; ' + loop * 3

    assert outcome(Case("", script, "", PLAIN)) == "error"
