"""mailto URIs as notification methods (RFC 6068, RFC 5436 §2.7)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.sieve.mailto import MOST_RECIPIENTS, Mailto, MailtoProblem, parse


@pytest.mark.parametrize(
    ("uri", "expect"),
    [
        ("mailto:a@b.example", Mailto(("a@b.example",))),
        ("MAILTO:a@b.example", Mailto(("a@b.example",))),
        ("mailto:a@b.example,c@d.example", Mailto(("a@b.example", "c@d.example"))),
        ("mailto:?to=a@b.example", Mailto(("a@b.example",))),
        (
            "mailto:0123456789@sms.example.net?to=backup@example.com",
            Mailto(("0123456789@sms.example.net", "backup@example.com")),
        ),
        ("mailto:a@b.example?cc=c@d.example", Mailto(("a@b.example",), ("c@d.example",))),
        ("mailto:a%2Cb@c.example", None),
        ("mailto:%22not%40me%22@example.org", Mailto(('"not@me"@example.org',))),
        ("mailto:a+tag@b.example?subject=a+b", Mailto(("a+tag@b.example",), subject="a+b")),
        (
            "mailto:a@b.example?subject=caf%C3%A9&body=l1%0D%0Al2%0Al3",
            Mailto(("a@b.example",), subject="café", body="l1\r\nl2\r\nl3"),
        ),
        ("mailto:a@b.example?subject=one&Subject=two", Mailto(("a@b.example",), subject="one")),
        (
            "mailto:a@b.example?subject=x%0D%0ABcc:%20evil@d.example",
            Mailto(("a@b.example",), subject="x Bcc: evil@d.example"),
        ),
        (
            "mailto:a@b.example?x-priority=1&keywords=a,%20b",
            Mailto(("a@b.example",), fields=(("X-priority", "1"), ("Keywords", "a, b"))),
        ),
        (
            "mailto:a@b.example?from=x@y.example&auto-submitted=no&received=x&date=x&message-id=x&bcc=z@y.example",
            Mailto(("a@b.example",)),
        ),
        ("mailto:a@b.example?Content-Type=text/html&Resent-To=x@y.example", Mailto(("a@b.example",))),
        ("mailto:gr%C3%BC%C3%9Fe@b.example", Mailto(("grüße@b.example",))),
    ],
)
def test_what_a_uri_says(uri: str, expect: Mailto | None):
    """Recipients, subject, body and other fields; what is not the script's to say is left out (RFC 5436 §2.7)."""
    if expect is None:
        with pytest.raises(MailtoProblem):
            parse(uri)
    else:
        assert parse(uri) == expect


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "mailto",
        "mailto:",
        "mailto:?subject=x",
        "mailto:nobody",
        "mailto:a@b.example,",
        "mailto:a@b.example?",
        "mailto:a@b.example?subject",
        "mailto:a@b.example?sub ject=x",
        "mailto:a@b.example?=x",
        "mailto:a@b.example?subject=100%",
        "mailto:a@b.example?subject=%zz",
        "mailto:a@b.example?subject=%FF",
        "mailto:a@b.example?subject=%00",
        "mailto:a@b.example#x",
        "mailto:a@b.example ",
        "mailto:a@b.example?to=nobody",
        "mailto:a@b.example?body=x\r\ny",
        "xmpp:a@b.example",
        "mailto:" + ",".join(f"a{number}@b.example" for number in range(MOST_RECIPIENTS + 1)),
        "mailto:a@b.example?" + "&".join(f"x{number}=y" for number in range(60)),
        "mailto:a@b.example?body=" + "x" * 20_000,
    ],
)
def test_what_is_no_uri_to_use(uri: str):
    """A malformed URI, one without a recipient and one beyond a limit is refused, all but an empty query."""
    if uri == "mailto:a@b.example?":
        assert parse(uri) == Mailto(("a@b.example",))
        return
    with pytest.raises(MailtoProblem):
        parse(uri)


def test_each_recipient_once():
    """An address that is said twice, in any case, is one recipient."""
    assert parse("mailto:a@b.example?to=A@B.example&cc=c@d.example").recipients == ("A@B.example", "c@d.example")


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('mailto:?&=%@,abc.0DA\r\n"<> é#'), max_size=60))
def test_anything_else_is_refused_or_read(text: str):
    """No text makes it fail otherwise, and nothing that comes of one can end a header field."""
    try:
        found = parse("mailto:" + text)
    except MailtoProblem:
        return
    values = [*found.recipients, found.subject or "", *(part for pair in found.fields for part in pair)]

    assert found.recipients
    assert not any(character in value for value in values for character in "\r\n\0")
