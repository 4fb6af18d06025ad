"""MDN/parse: receipts as real mail programs write them (RFC 9007 §2.2, RFC 8098, RFC 2298)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.jmap import blobreading
from minijmap.jmap.engine import Limits
from minijmap.mail import mdnform, message

CORE, MAIL, MDN = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:mdn"
NOTHING = {
    "mdnGateway": None,
    "originalRecipient": None,
    "error": None,
    "extensionFields": None,
    "includeOriginalMessage": False,
}
DISPLAYED = {"actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed"}


def report(*fields, text="It was shown.", kind="text/plain; charset=utf-8", more=(), name="disposition-notification"):
    """Return an MDN with these fields."""
    pieces = [
        "From: bob@example.net",
        "To: alice@example.com",
        "Subject: Read: Hello",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"',
        "",
        "--b",
        f"Content-Type: {kind}",
        "",
        text,
        "--b",
        f"Content-Type: message/{name}",
        "",
        *fields,
        "",
        *more,
        "--b--",
        "",
    ]
    return "\r\n".join(pieces).encode()


def read(raw):
    """Return what a message tells as an MDN."""
    return mdnform.read(raw, message.parse(raw))


def disposition(value):
    """Return the Disposition that a field's value tells."""
    found = read(report("Final-Recipient: rfc822; bob@example.net", f"Disposition: {value}"))
    return found and found["disposition"]


# As they come from programs; the addresses are made up.
THUNDERBIRD = """\
Message-ID: <5b0e6b2c@example.net>
Date: Mon, 5 Jan 2026 10:00:00 +0100
From: Bob Example <bob@example.net>
To: alice@example.com
Subject: Return Receipt (displayed) - Hello
References: <1@example.com>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification;
 boundary="------mdn040803050903010409060500"

--------mdn040803050903010409060500
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit

This is a Return Receipt for the mail that you sent to bob@example.net.

Note: This Return Receipt only acknowledges that the message was displayed on the recipient's computer.
--------mdn040803050903010409060500
Content-Type: message/disposition-notification; name="MDNPart2.txt"
Content-Disposition: inline
Content-Transfer-Encoding: 7bit

Reporting-UA: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.5.0
Final-Recipient: rfc822;bob@example.net
Original-Message-ID: <1@example.com>
Disposition: manual-action/MDN-sent-manually; displayed

--------mdn040803050903010409060500
Content-Type: text/rfc822-headers; name="MDNPart3.txt"
Content-Disposition: inline
Content-Transfer-Encoding: 7bit

Message-ID: <1@example.com>
Subject: Hello

--------mdn040803050903010409060500--
"""
EXCHANGE = """\
From: Bob Example <bob@example.net>
To: Alice Example <alice@example.com>
Subject: Read: Hello
Thread-Topic: Read: Hello
Message-ID: <abc@EX01.example.net>
Content-Type: multipart/report;
\tboundary="_000_EX01examplene_";
\treport-type=disposition-notification
MIME-Version: 1.0

--_000_EX01examplene_
Content-Type: multipart/alternative; boundary="alt"

--alt
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Your message=20

   To: B=F6b
   Subject: Hello

--alt
Content-Type: text/html; charset="iso-8859-1"

<p>Your message</p>
--alt--

--_000_EX01examplene_
Content-Type: message/disposition-notification

Reporting-UA: EX01.example.net; Microsoft Exchange Server
Final-recipient: RFC822; bob@example.net
Disposition: automatic-action/MDN-sent-automatically; displayed
X-MSExch-Correlation-Key: kKfPRhdLIUKcY5MBpFQPbA==
Original-Message-ID: <1@example.com>
X-Display-Name: Bob Example


--_000_EX01examplene_--
"""
NOTES = """\
From: bob@example.net
To: alice@example.com
Subject: Read: Hello
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; Boundary="0__=4EBBF2"

--0__=4EBBF2
Content-type: text/html; charset=US-ASCII

<html><body><p>Return Receipt<br>Your document: <b>Hello</b></p></body></html>
--0__=4EBBF2
Content-type: message/disposition-notification

Final-Recipient: rfc822;bob@example.net

Reporting-UA: Lotus Notes (r); Release 8.5.3 September 15, 2011

Disposition: manual-action/MDN-sent-manually; DISPLAYED

--0__=4EBBF2
Content-type: message/rfc822

Message-ID: <1@example.com>
Subject: Hello

hi
--0__=4EBBF2--
"""
GATEWAY = """\
From: bob@example.net
Subject: Unread
Content-Type: multipart/report; report-type="disposition-notification"; boundary=g

--g

Nobody has read it.
--g
Content-Type: message/disposition-notification
Content-Transfer-Encoding: base64

UmVwb3J0aW5nLVVBOiBtYWlsYm94LmV4YW1wbGUubmV0ICh2b2ljZSkNCk1ETi1HYXRld2F5
OiBkbnM7IGd3LmV4YW1wbGUubmV0DQpPcmlnaW5hbC1SZWNpcGllbnQ6IHJmYzgyMjthbGxA
ZXhhbXBsZS5uZXQNCkZpbmFsLVJlY2lwaWVudDogcmZjODIyO2JvYkBleGFtcGxlLm5ldA0K
RGlzcG9zaXRpb246IGF1dG9tYXRpYy1hY3Rpb24vTUROLXNlbnQtYXV0b21hdGljYWxseTsN
CiBkZWxldGVkL2Vycm9yICh0aGUgYm94IHdhcyBmdWxsKQ0KRXJyb3I6IGJveCBmdWxsDQpF
cnJvcjogdHdpY2UNCg==
--g--
"""


def crlf(sample):
    """Return a sample as it is sent."""
    return sample.replace("\n", "\r\n").encode()


def test_thunderbird():
    """A receipt with the header of the original."""
    shown = read(crlf(THUNDERBIRD))

    assert shown.pop("textBody").startswith(
        "This is a Return Receipt for the mail that you sent to bob@example.net.\n\n"
    )
    assert shown == {
        **NOTHING,
        "subject": "Return Receipt (displayed) - Hello",
        "reportingUA": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.5.0",
        "finalRecipient": "rfc822;bob@example.net",
        "originalMessageId": "<1@example.com>",
        "disposition": DISPLAYED,
    }


def test_exchange():
    """The text is an alternative; fields in other cases, and some of their own."""
    shown = read(crlf(EXCHANGE))

    assert shown["textBody"] == "Your message \n\n   To: Böb\n   Subject: Hello\n"
    assert shown["disposition"] == {
        "actionMode": "automatic-action",
        "sendingMode": "mdn-sent-automatically",
        "type": "displayed",
    }
    assert shown["finalRecipient"] == "RFC822; bob@example.net"
    assert shown["extensionFields"] == {
        "X-MSExch-Correlation-Key": "kKfPRhdLIUKcY5MBpFQPbA==",
        "X-Display-Name": "Bob Example",
    }


def test_notes():
    """Blank lines between the fields, HTML for people, the Message-ID only in what is given back."""
    shown = read(crlf(NOTES))

    assert shown["textBody"].split() == ["Return", "Receipt", "Your", "document:", "Hello"]
    assert (shown["originalMessageId"], shown["includeOriginalMessage"]) == ("<1@example.com>", True)
    assert (shown["disposition"], shown["finalRecipient"]) == (DISPLAYED, "rfc822;bob@example.net")


def test_a_gateway():
    """Encoded, folded, with comments, errors and a gateway."""
    shown = read(crlf(GATEWAY))

    assert shown["mdnGateway"] == "dns; gw.example.net"
    assert shown["originalRecipient"] == "rfc822;all@example.net"
    assert shown["disposition"]["type"] == "deleted"
    assert shown["error"] == ["box full", "twice"]
    assert shown["originalMessageId"] is None


def test_beyond_ascii():
    """RFC 6533 §4."""
    shown = read(
        report(
            "Final-Recipient: utf-8; jörg@exämple.com",
            "Disposition: manual-action/MDN-sent-manually; processed",
            name="global-disposition-notification",
        )
    )

    assert (shown["finalRecipient"], shown["disposition"]["type"]) == ("utf-8; jörg@exämple.com", "processed")


def test_inside_of_what_a_list_has_added():
    """A report in a multipart is still one."""
    inner = report("Disposition: manual-action/MDN-sent-manually; displayed").split(b"MIME-Version: 1.0\r\n", 1)[1]
    raw = (
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
        + inner
        + b"\r\n--o\r\n\r\nfooter\r\n--o--\r\n"
    )

    assert read(raw)["disposition"] == DISPLAYED
    assert read(raw)["finalRecipient"] is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("manual-action/MDN-sent-manually; displayed", ("manual-action", "mdn-sent-manually", "displayed")),
        ("Manual-Action / mdn-SENT-manually ;\r\n Displayed", ("manual-action", "mdn-sent-manually", "displayed")),
        ("manual-action/MDN-sent-automatically; dispatched", ("manual-action", "mdn-sent-automatically", "dispatched")),
        (
            "automatic-action/MDN-sent-manually; processed/error,x-y",
            ("automatic-action", "mdn-sent-manually", "processed"),
        ),
        (
            "manual-action (he said so)/MDN-sent-manually; deleted (gone)",
            ("manual-action", "mdn-sent-manually", "deleted"),
        ),
        # RFC 2298 §3.2.6
        (
            "automatic-action/MDN-sent-automatically; failed",
            ("automatic-action", "mdn-sent-automatically", "processed"),
        ),
        ("manual-action/MDN-sent-manually; denied", ("manual-action", "mdn-sent-manually", "processed")),
        ("manual-action/MDN-sent-manually; displayed/warning", ("manual-action", "mdn-sent-manually", "displayed")),
        # Half of it
        ("automatic-action; displayed", ("automatic-action", "mdn-sent-automatically", "displayed")),
        ("; displayed", ("manual-action", "mdn-sent-manually", "displayed")),
        ("displayed", ("manual-action", "mdn-sent-manually", "displayed")),
        ("x/y; displayed", ("manual-action", "mdn-sent-manually", "displayed")),
        # None
        ("manual-action/MDN-sent-manually; read", None),
        ("manual-action/MDN-sent-manually;", None),
        ("", None),
    ],
)
def test_dispositions(value, expected):
    """Whatever the case and the spaces; new and old words; what is missing is what RFC 8098 §3.2.6.1 takes for granted."""
    found = disposition(value)

    assert (found and (found["actionMode"], found["sendingMode"], found["type"])) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: hello\r\n\r\nhi",
        report("Final-Recipient: rfc822; bob@example.net"),
        report("Disposition: manual-action/MDN-sent-manually; displayed").replace(
            b"multipart/report", b"multipart/mixed"
        ),
        report("Action: failed", name="delivery-status"),
        b"",
        b"\xff\xfe\x00",
    ],
)
def test_no_mdn(raw):
    """What is none is not made one."""
    assert read(raw) is None


@given(st.lists(st.text(max_size=40), max_size=8), st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_report(fields, octets):
    """Any fields, and octets in the middle of them, are read without a fault."""
    raw = report("Disposition: ;displayed", *[one.encode("utf-8", "replace").decode() for one in fields])
    read(raw)
    read(raw.replace(b"displayed", octets))


def test_many_fields():
    """What is shown has an end."""
    raw = report("Disposition: ;displayed", *(f"X-{number}: 1" for number in range(3000)), *(["Error: x"] * 500))
    shown = read(raw)

    assert len(shown["extensionFields"]) == mdnform.MOST_FIELDS
    assert shown["error"] is None or len(shown["error"]) <= mdnform.MOST_FIELDS


# The method


def upload(house, raw):
    """Give Alice a blob; return its id."""
    from minijmap.store import blobs

    packed = blobs.pack(raw)
    account = house.users["alice@example.com"].account
    house.database.write(lambda tx: blobs.add_upload(tx, blobs.store(tx, packed), account, int(house.now * 1000)))
    return packed.blob_id


def parse(house, *blob_ids, using=(CORE, MAIL, MDN)):
    """Call MDN/parse; return the answer."""
    arguments = {"accountId": house.account(), "blobIds": list(blob_ids)}
    ((_, answer, _),) = house.request(["MDN/parse", arguments, "0"], using=using)
    return answer


def test_the_answer(house):
    """Each blob is parsed, not parsable or not found; lists that are empty are null."""
    good, bad = upload(house, crlf(EXCHANGE)), upload(house, b"hello")
    gone = "b" + "0" * 40

    answer = parse(house, good, bad, gone, good)
    assert (list(answer["parsed"]), answer["notParsable"], answer["notFound"]) == ([good], [bad], [gone])
    assert parse(house, bad) == {"accountId": house.account(), "parsed": None, "notParsable": [bad], "notFound": None}
    assert parse(house)["parsed"] is None


def test_which_message_it_is_for(house):
    """The one Email with that Message-ID; none, or several, tell nothing (RFC 9007 §2.2)."""
    blob = upload(house, crlf(THUNDERBIRD))
    assert parse(house, blob)["parsed"][blob]["forEmailId"] is None
    house.deliver(b"Message-ID: <11@example.com>\r\nReferences: <1@example.com>\r\nSubject: Re: Hello\r\n\r\nhi")
    house.deliver(b"Message-ID: <1@example.com>\r\nSubject: Hello\r\n\r\nBob's", "bob@example.com")
    email = house.deliver(b"Message-ID: (c) <1@example.com>\r\nSubject: Hello\r\n\r\nhi")
    assert parse(house, blob)["parsed"][blob]["forEmailId"] == email
    house.deliver(b"Message-ID: <1@example.com>\r\nSubject: Hello\r\n\r\nhi again")
    assert parse(house, blob)["parsed"][blob]["forEmailId"] is None


def test_long_and_odd_message_ids(house):
    """They are looked for as far as that is quick."""
    for name in ("x" * 900, "a b", "=_=", "ü"):
        blob = upload(house, report("Disposition: ;displayed", f"Original-Message-ID: <{name}@example.com>"))
        assert parse(house, blob)["parsed"][blob]["forEmailId"] is None


def test_errors(house):
    """An unknown account, too many blobs, no capability."""
    arguments = {"accountId": "a99", "blobIds": []}
    ((name, answer, _),) = house.request(["MDN/parse", arguments, "0"], using=(CORE, MAIL, MDN))
    assert (name, answer["type"], answer["arguments"]) == ("error", "invalidArguments", ["accountId"])
    house.engine = house.make_engine(limits=Limits(max_objects_in_get=1), strict_using=True)
    assert parse(house, "b1", "b2")["type"] == "requestTooLarge"
    assert parse(house, "b1", using=(CORE, MAIL))["type"] == "unknownMethod"


def test_what_is_read_has_a_bound(house, monkeypatch):
    """Ranges of one blob are each read and looked at: a request has only so much of that."""
    raw = report("Final-Recipient: rfc822; bob@example.net", "Disposition: ;displayed")
    blob = upload(house, raw)
    monkeypatch.setattr(blobreading, "MOST_READ", 4 * len(raw))
    ranges = [f"{blob}-0-{len(raw) - cut}-n" for cut in range(4)]

    assert len(parse(house, *ranges[:3])["parsed"]) == 3
    assert parse(house, *ranges)["type"] == "requestTooLarge"


def test_the_capability(house):
    """An empty object in both places (RFC 9007 §1.3)."""
    from minijmap.jmap.session import login_of, session_object

    session = session_object(login_of(house.users["alice@example.com"]), house.engine.capabilities)
    assert session["capabilities"][MDN] == session["accounts"][house.account()]["accountCapabilities"][MDN] == {}
