"""Authentication-Results: the field's text, and the removal of forged ones (RFC 8601)."""

import authres
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.smtp import authresults
from minijmap.smtp.authresults import Result

OURS = "mx.example.org"


def test_the_field():
    """One result a line, each with what it is about."""
    results = (
        Result("spf", "pass", (("smtp.mailfrom", "remote.example"),)),
        Result("dkim", "fail", (("header.d", "remote.example"), ("header.b", "ab/c+d==")), "body hash mismatch"),
        Result("dmarc", "pass", (("header.from", "remote.example"), ("policy.dmarc", ""))),
    )
    assert authresults.field(OURS, results) == (
        b"Authentication-Results: mx.example.org;\r\n"
        b"\tspf=pass smtp.mailfrom=remote.example;\r\n"
        b'\tdkim=fail reason="body hash mismatch" header.d=remote.example header.b="ab/c+d==";\r\n'
        b"\tdmarc=pass header.from=remote.example\r\n"
    )
    assert authresults.field(OURS, ()) == b"Authentication-Results: mx.example.org;\r\n\tnone\r\n"


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_strangers_text_stays_in_its_place(value, reason):
    """Whatever a domain or a reason holds, it opens no field and no result, and another's parser reads it."""
    octets = authresults.field(OURS, (Result("spf", "fail", (("smtp.mailfrom", value),), reason),))
    lines = octets.decode("ascii").split("\r\n")
    assert len(lines) == 3
    assert all(line.replace("\t", "").isprintable() and len(line) < 998 for line in lines)
    read = authres.AuthenticationResultsHeader.parse(octets.decode())
    assert [(one.method, one.result) for one in read.results] == [("spf", "fail")]


@given(st.text(max_size=500))
def test_the_sentence_is_folded(reason):
    """Short lines, one field, whatever words there are."""
    lines = authresults.policy_field("junk", reason).decode("ascii").split("\r\n")
    assert lines[0].startswith("X-Minijmap-Policy: junk;")
    assert all(line.startswith("\t") and line.strip() for line in lines[1:-1])
    assert lines[-1] == ""
    assert "X" not in "".join(lines[1:]) or "X" in reason


FORGED = [
    b"Authentication-Results: mx.example.org; dmarc=pass\r\n",
    b"authentication-results:MX.Example.ORG; dmarc=pass\r\n",
    b"Authentication-Results : mx.example.org 1; dmarc=pass\r\n",
    b'Authentication-Results: "mx.example.org"; dmarc=pass\r\n',
    b'Authentication-Results: "mx.exa\\mple.org"; dmarc=pass\r\n',
    b"Authentication-Results: (hi (there)) mx.example.org (we) ; dmarc=pass\r\n",
    b"Authentication-Results:\r\n\tmx.example.org;\r\n\tdmarc=pass\r\n",
    b"Authentication-Results: mx.example.org.; dmarc=pass\r\n",
    b"Authentication-Results: mx.example.org\r\n",
    b"Authentication-Results: mx.example.org; dmarc=pass\n",
    b"Authentication-Results: elsewhere.example 2; dmarc=pass\r\n",
    b"X-Minijmap-Policy: accept; all is well\r\n",
    b"Authentication-Results: mx.example.org;" + b" " * 100_000 + b"\r\n",
]
KEPT = [
    b"Authentication-Results: elsewhere.example; dmarc=pass\r\n",
    b"Authentication-Results: elsewhere.example 1; dmarc=pass\r\n",
    b"Authentication-Results: mx.example.org.evil.example; dmarc=pass\r\n",
    b"Authentication-Results: (mx.example.org) elsewhere.example; dmarc=pass\r\n",
    b"Authentication-Results:\r\n",
    b"X-Authentication-Results: mx.example.org; dmarc=pass\r\n",
    b"ARC-Authentication-Results: i=1; mx.example.org; dmarc=pass\r\n",
    b"Subject: Authentication-Results: mx.example.org\r\n",
    b"Subject: x\r\n Authentication-Results: mx.example.org\r\n",
]
REST = b"From: bob@remote.example\r\n\r\nAuthentication-Results: mx.example.org; kept=pass\r\nbody\r\n"


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("before", [b"", b"Received: x\r\n", b"\xef\xbb\xbf", b"From bob Tue\n", b"X: y\n"])
def test_forged_fields_are_removed(forged, before):
    """However it is written; nothing else changes, nor does the body."""
    assert authresults.without_ours(before + forged + KEPT[0] + forged + REST, OURS) == before + KEPT[0] + REST


@pytest.mark.parametrize("kept", KEPT)
def test_what_others_say_is_kept(kept):
    """A field under another's name is theirs."""
    message = kept + REST
    assert authresults.without_ours(message, OURS) is message


def test_names_in_two_scripts():
    """The same host in A-labels and U-labels is the same (RFC 8601 §5)."""
    forged = "Authentication-Results: büro.example; dmarc=pass\r\n".encode()
    assert authresults.without_ours(forged + REST, "xn--bro-hoa.example") == REST


@given(st.lists(st.sampled_from([*FORGED[:4], *KEPT, b"junk\r\n", b" more\r\n"]), max_size=8))
def test_only_forged_fields_go(pieces):
    """What is left is what was there, without them and without their continuations."""
    message = b"".join(pieces) + REST
    left = authresults.without_ours(message, OURS)
    assert left.endswith(REST)
    assert authresults.without_ours(left, OURS) == left
    assert len(left) <= len(message)
