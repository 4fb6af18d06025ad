"""Header fields in octets: folding (RFC 5322 §2.2.3) and parameters (RFC 2231)."""

import email
import unicodedata
from email import policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap.values import ValueProblem
from minijmap.mail import headers
from minijmap.mail.folding import Folder, mime_field, parameter


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("report.pdf", ["filename=report.pdf"]),
        ("my report.pdf", ['filename="my report.pdf"']),
        ('a"b\\c', ['filename="a\\"b\\\\c"']),
        ("na\u00efve.txt", ["filename*=utf-8''na%C3%AFve.txt"]),
        ("=?utf-8?q?x?=", ["filename*=utf-8''%3D%3Futf-8%3Fq%3Fx%3F%3D"]),
        (" edges ", ["filename*=utf-8''%20edges%20"]),
        ("%41'*", ["filename=\"%41'*\""]),
        ("\u65e5" * 20, ["filename*0*=utf-8''" + "%E6%97%A5" * 5, "filename*1*=" + "%E6%97%A5" * 6, "filename*2*=" + "%E6%97%A5" * 6, "filename*3*=" + "%E6%97%A5" * 3]),
    ],
)  # fmt: skip
def test_parameters_are_written(value, expected):
    """As simple as they can be without being misread (RFC 2231)."""
    assert parameter("filename", value) == expected


@settings(max_examples=200)
@given(
    st.text(
        st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from(" \"'%*=?\\;"), min_size=1, max_size=255
    )
)
def test_parameters_are_read_back(value):
    """Any file name comes back from both readers."""
    field = mime_field("Content-Disposition", "attachment", {"filename": value})

    assert all(line.strip() for line in field.octets.split(b"\r\n")[:-1])
    assert all(len(line) <= 78 for line in field.octets.split(b"\r\n"))
    assert headers.disposition(field.raw) == ("attachment", {"filename": unicodedata.normalize("NFC", value)})
    assert email.message_from_bytes(field.octets + b"\r\n", policy=policy.default).get_filename() == value.strip()


def test_a_unit_that_no_line_holds_is_refused():
    """RFC 5322 §2.1.1: 998 octets are the end."""
    folder = Folder("X")
    folder.add("y" * 997)
    folder.field()
    folder.add("y" * 998)
    with pytest.raises(ValueProblem, match="998 octets"):
        folder.field()
