"""Content-transfer encodings (RFC 2045 §6): whole content comes back, broken content as well as it can."""

import base64
import binascii
import quopri
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.store.transfer import BASE64, IDENTITY, QUOTED_PRINTABLE, UUENCODE, decode, decoded_size


def uuencoded(octets: bytes) -> bytes:
    """Octets as uuencode writes them."""
    lines = [binascii.b2a_uu(octets[start : start + 45]) for start in range(0, len(octets), 45)]
    return b"begin 644 a file.bin\n" + b"".join(lines) + b"`\nend\n"


@given(octets=st.binary(max_size=300), ending=st.sampled_from([b"\n", b"\r\n"]))
@settings(max_examples=100, deadline=None)
def test_what_was_encoded_comes_back(octets, ending):
    """By an encoder of the standard library, with either end of line; and it is not called broken."""
    for encoding, encoded in (
        (IDENTITY, octets),
        (BASE64, base64.encodebytes(octets).replace(b"\n", ending)),
        (UUENCODE, uuencoded(octets).replace(b"\n", ending)),
    ):
        assert decode(encoded, encoding) == (octets, False)
        assert decoded_size(encoded, 0, len(encoded), encoding) == len(octets)


@given(octets=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_quoted_printable_comes_back(octets):
    """Ends of lines are the text's own here."""
    text = octets.replace(b"\r", b"")

    assert decode(quopri.encodestring(text, quotetabs=True), QUOTED_PRINTABLE) == (text, False)


@given(octets=st.binary(max_size=200), encoding=st.sampled_from("nqbux"))
@settings(max_examples=200, deadline=None)
def test_any_octets_are_decoded_somehow(octets, encoding):
    """Nothing is raised, and nothing grows."""
    content, _ = decode(octets, encoding)

    assert len(content) <= len(octets)
    assert decoded_size(octets, 0, len(octets), encoding) == len(content)


@pytest.mark.parametrize(
    ("encoding", "octets", "content", "broken"),
    [
        (BASE64, b"", b"", False),
        (BASE64, b"YWJj", b"abc", False),
        (BASE64, b" YW\r\n Jj \t", b"abc", False),
        (BASE64, b"YWI", b"ab", True),
        (BASE64, b"Y*W#J-j", b"abc", True),
        (BASE64, b"YWJjY", b"abc", True),
        (BASE64, b"YWI=YWJj", b"ababc", True),
        (QUOTED_PRINTABLE, b"a=3D=\r\nb", b"a=b", False),
        (QUOTED_PRINTABLE, b"a  \r\nb=  \r\nc", b"a\r\nbc", False),
        (QUOTED_PRINTABLE, b"a=ZZb", b"a=ZZb", True),
        (QUOTED_PRINTABLE, b"a=3", b"a=3", True),
        (QUOTED_PRINTABLE, b"=c3=a9", "é".encode(), False),
        (UUENCODE, b"begin 644 a\n#86)C\n\n`\nend\n", b"abc", False),
        (UUENCODE, b"begin 644 a\n#86)C\n", b"abc", True),
        (UUENCODE, b"words before\nbegin 600 a b\n#86)C\n \nend\nand after", b"abc", False),
        (IDENTITY, b"=3D\x00\xff", b"=3D\x00\xff", False),
    ],
)
def test_how_content_is_read(encoding, octets, content, broken):
    """What each encoding makes of good and of broken octets, and whether it says so."""
    assert decode(octets, encoding) == (content, broken)


@pytest.mark.parametrize("encoding", [BASE64, QUOTED_PRINTABLE, UUENCODE])
@pytest.mark.parametrize("piece", [b" ", b"=", b"=\n", b"a=", b" \t", b"begin ", b"begin 6 ", b"M", b"=3"])
def test_hostile_octets_take_no_long_time(encoding, piece):
    """A megabyte of what an encoding stumbles over: linear time, with much room for a slow machine."""
    octets = piece * (1_000_000 // len(piece))
    started = time.process_time()
    decode(octets, encoding)

    assert time.process_time() - started < 2
