"""What MAIL and RCPT say (RFC 5321 §4.1.2, RFC 1870, RFC 6152, RFC 6531)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.smtp import grammar
from minijmap.smtp.grammar import Mail, Refused


@pytest.mark.parametrize(
    ("argument", "mail"),
    [
        ("FROM:<a@b>", Mail("a@b", 0, utf8=False)),
        ("from: <a@b>", Mail("a@b", 0, utf8=False)),
        ("FROM:<>", Mail("", 0, utf8=False)),
        ("FROM:<> SIZE=12", Mail("", 12, utf8=False)),
        ("FROM:<a@b> size=1 body=8bitmime SMTPUTF8", Mail("a@b", 1, utf8=True)),
        ("FROM:<a@b> BODY=7BIT", Mail("a@b", 0, utf8=False)),
        ("FROM:<@x.example,@y.example:a@b>", Mail("a@b", 0, utf8=False)),
        ('FROM:<"a b\\"@>"@b.example>', Mail('"a b\\"@>"@b.example', 0, utf8=False)),
        ("FROM:<a@[192.0.2.1]>", Mail("a@[192.0.2.1]", 0, utf8=False)),
        ("FROM:<a@[IPv6:2001:db8::1]>", Mail("a@[IPv6:2001:db8::1]", 0, utf8=False)),
        ("FROM:<a..b.@b.example>", Mail("a..b.@b.example", 0, utf8=False)),
        ("FROM:<jörg@bücher.example> SMTPUTF8", Mail("jörg@bücher.example", 0, utf8=True)),
    ],
)
def test_mail(argument, mail):
    """Paths, source routes, quoting, literals and parameters are read."""
    assert grammar.mail(argument, extended=True) == mail


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", "501 5.5.4"),
        ("<a@b>", "501 5.5.4"),
        ("TO:<a@b>", "501 5.5.4"),
        ("FROM:", "501 5.1.7"),
        ("FROM:a@b", "501 5.1.7"),
        ("FROM:<a@b", "501 5.1.7"),
        ("FROM:<a@b>>", "501 5.1.7"),
        ("FROM:<a@b>SIZE=1", "501 5.1.7"),
        ("FROM:<a>", "501 5.1.7"),
        ("FROM:<postmaster>", "501 5.1.7"),
        ("FROM:<@b>", "501 5.1.7"),
        ("FROM:<a@>", "501 5.1.7"),
        ("FROM:<a@b@c>", "501 5.1.7"),
        ("FROM:<a b@c>", "501 5.1.7"),
        ("FROM:<a@b_c>", "501 5.1.7"),
        ("FROM:<a@-b>", "501 5.1.7"),
        ("FROM:<a@b..c>", "501 5.1.7"),
        ('FROM:<"a@b>', "501 5.1.7"),
        ("FROM:<a\x00@b>", "501 5.1.7"),
        ("FROM:<a\x7f@b>", "501 5.1.7"),
        ("FROM:<a\x85@b> SMTPUTF8", "501 5.1.7"),
        ("FROM:<a\u2028@b> SMTPUTF8", "501 5.1.7"),
        ("FROM:<" + "a" * 600 + "@b>", "501 5.1.7"),
        ("FROM:<@a:>", "501 5.1.7"),
        ("FROM:<a@b> SIZE", "501 5.5.4"),
        ("FROM:<a@b> SIZE=", "501 5.5.4"),
        ("FROM:<a@b> SIZE=x", "501 5.5.4"),
        ("FROM:<a@b> SIZE=-1", "501 5.5.4"),
        ("FROM:<a@b> SIZE=" + "1" * 21, "501 5.5.4"),
        ("FROM:<a@b> SIZE=1 SIZE=1", "501 5.5.4"),
        ("FROM:<a@b> SIZE=\u0663", "501 5.5.4"),
        ("FROM:<a@b> BODY=BINARYMIME", "501 5.5.4"),
        ("FROM:<a@b> BODY", "501 5.5.4"),
        ("FROM:<a@b> SMTPUTF8=yes", "501 5.5.4"),
        ("FROM:<a@b> =x", "501 5.5.4"),
        ("FROM:<a@b> RET=FULL", "555 5.5.4"),
        ("FROM:<jörg@b>", "550 5.6.7"),
    ],
)
def test_refused_mail(argument, reply):
    """Whatever does not fit the grammar is refused with the reply its fault has."""
    with pytest.raises(Refused) as refused:
        grammar.mail(argument, extended=True)
    assert refused.value.reply.startswith(f"{reply} ")


def test_parameters_need_ehlo():
    """RFC 5321 §4.1.1.2: parameters belong to extensions, and those to EHLO."""
    with pytest.raises(Refused, match=r"^501 5\.5\.4 "):
        grammar.mail("FROM:<a@b> SIZE=1", extended=False)


@pytest.mark.parametrize(
    ("argument", "mailbox"),
    [
        ("TO:<a@b>", "a@b"),
        ("to: <@x,@y:a@b>", "a@b"),
        ("TO:<Postmaster>", "Postmaster"),
        ("TO:<jörg@b>", "jörg@b"),
    ],
)
def test_recipient(argument, mailbox):
    """A forward-path is a mailbox, or postmaster alone."""
    assert grammar.recipient(argument, extended=True, utf8=True) == grammar.Recipient(mailbox, {})


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", "501 5.5.4"),
        ("FROM:<a@b>", "501 5.5.4"),
        ("TO:<>", "501 5.1.3"),
        ("TO:<alice>", "501 5.1.3"),
        ("TO:<a@b> NOTIFY=NEVER", "555 5.5.4"),
        ("TO:<jörg@b>", "553 5.6.7"),
    ],
)
def test_refused_recipient(argument, reply):
    """Whatever does not fit the grammar is refused with the reply its fault has."""
    with pytest.raises(Refused) as refused:
        grammar.recipient(argument, extended=True, utf8=False)
    assert refused.value.reply.startswith(f"{reply} ")


@settings(max_examples=200)
@given(st.text(st.sampled_from('<>@.,:"\\[]+ \ta-ü\r\n\x00='), max_size=60))
def test_any_path_is_read_or_refused(text):
    """A hostile argument gives a clean mailbox or a refusal, whose reply is one line of ASCII."""
    reply = "250"
    try:
        sender = grammar.mail(f"FROM:<{text}> SMTPUTF8", extended=True).sender
    except Refused as refused:
        sender, reply = "", refused.reply
    assert reply.isascii()
    assert reply.isprintable()
    assert not set(sender) & set("\r\n\x00\t")
