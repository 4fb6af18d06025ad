"""Email/set create: every rule of RFC 8621 §4.6, and what the message is that comes out."""

import itertools

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from minijmap.mail.compose import AttachmentsTooLarge, BlobsNotFound, ComposeProblem, compose
from minijmap.mail.message import MAX_HEADER_BYTES, parse

NOW = 1_414_649_520_000
BLOBS = {
    "bpng": b"\x89PNG\r\n\x1a\n\0",
    "bcsv": "a;b\n\u00e9".encode(),
    "bmsg": b"Subject: inner\r\n\r\nhi\r\n",
}


def made(given, **more):
    """The message of an Email object, with a fixed time and countable tokens."""
    numbers = itertools.count(1)
    return compose(
        given,
        open_blob=BLOBS.get,
        now_ms=NOW,
        hostname="mx.example.com",
        random_token=lambda: f"T{next(numbers)}",
        **more,
    )


def refused(given):
    """The sentence and the properties with which an Email object is refused."""
    with pytest.raises(ComposeProblem) as caught:
        made(given)
    return caught.value.description, caught.value.properties


def plain(value="Hi", **more):
    """An Email object with a text."""
    return {"textBody": [{"partId": "t", "type": "text/plain"}], "bodyValues": {"t": {"value": value}}, **more}


def structure(part, values=None, **more):
    """An Email object with a bodyStructure."""
    return {
        "bodyStructure": part,
        "bodyValues": {key: {"value": value} for key, value in (values or {}).items()},
        **more,
    }


# --- the message ----------------------------------------------------------------------------------------------------


def test_a_draft_as_clients_send_it():
    """A transcript: header in order, what belongs to the mail store left out."""
    raw = made(
        plain(
            "Hello,\n\nworld\n",
            mailboxIds={"m1": True},
            keywords={"$draft": True},
            receivedAt="2014-10-30T06:12:00Z",
            subject="World domination",
            **{"from": [{"name": "Joe Bloggs", "email": "joe@example.com"}]},
            to=[{"name": None, "email": "jane@example.com"}],
            cc=[],
            bcc=None,
            replyTo=[{"name": "Joe, at home", "email": "joe@home.example"}],
            sender=[{"email": "sec@example.com"}],
            inReplyTo=["one@example.com"],
            references=["zero@example.com", "one@example.com"],
            messageId=["two@example.com"],
            sentAt="2014-10-30T14:12:00+08:00",
            **{"header:X-Mailer:asText": "caf\u00e9"},
        )
    )

    assert raw.decode().split("\r\n") == (
        [
            "Date: Thu, 30 Oct 2014 14:12:00 +0800",
            "From: Joe Bloggs <joe@example.com>",
            "Sender: sec@example.com",
            'Reply-To: "Joe, at home" <joe@home.example>',
            "To: jane@example.com",
            "Message-ID: <two@example.com>",
            "In-Reply-To: <one@example.com>",
            "References: <zero@example.com> <one@example.com>",
            "Subject: World domination",
            "X-Mailer: =?utf-8?b?Y2Fmw6k=?=",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 7bit",
            "",
            "Hello,",
            "",
            "world",
            "",
        ]
    )


def test_nothing_is_enough():
    """Message-ID and Date are generated (RFC 8621 §4.6), and an Email without a body has an empty one."""
    raw = made({"mailboxIds": {"m1": True}, "messageId": [], "sentAt": None, "attachments": []})

    assert raw.decode().split("\r\n") == [
        "Date: Thu, 30 Oct 2014 06:12:00 +0000",
        "Message-ID: <T1@mx.example.com>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        "",
    ]


def test_what_is_given_as_header_is_not_generated():
    """Date, Message-ID and MIME-Version in any form and case; trace fields come first (RFC 5322 §3.6.7)."""
    raw = made(
        plain(
            **{
                "header:date": " Thu, 30 Oct 2014 06:12:00 +0000",
                "header:MESSAGE-ID:asMessageIds": ["a@b"],
                "header:Mime-Version": " 1.0 (mine)",
                "header:Received:all": [" second", " first"],
                "header:Resent-To:asAddresses": [{"email": "r@example.com"}],
            }
        )
    )

    assert raw.partition(b"\r\nContent-Type")[0].decode().split("\r\n") == [
        "Received: second",
        "Received: first",
        "Resent-To: r@example.com",
        "date: Thu, 30 Oct 2014 06:12:00 +0000",
        "MESSAGE-ID: <a@b>",
        "Mime-Version: 1.0 (mine)",
    ]


def test_the_same_tokens_give_the_same_message():
    """Nothing but what is passed in goes into a message."""
    given = plain(attachments=[{"blobId": "bpng", "type": "image/png"}])

    assert made(given) == made(given)


# --- the rules for the object ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["headers", "id", "blobId", "threadId", "size", "hasAttachment", "preview", "Subject", "foo"]
)
def test_properties_that_no_client_sets_are_refused(name):
    """`headers` (RFC 8621 §4.6), what the server sets, and what nobody knows."""
    sentence, properties = refused(plain(**{name: None}))

    assert name in sentence
    assert properties == (name,)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"from": [{"email": "a@b"}]}, {"header:from": " a@b"}),
        ({"subject": "x"}, {"header:SUBJECT:asText": "x"}),
        ({"sentAt": None}, {"header:Date:asDate": None}),
        ({"header:X-A": " 1"}, {"header:x-a:asText": "1"}),
        ({"header:X-A": " 1"}, {"header:X-A:all": [" 2"]}),
        ({"replyTo": []}, {"header:Reply-To:asGroupedAddresses": []}),
    ],
)
def test_a_field_has_one_property(one, other):
    """Two properties that represent the same header field are refused, in whatever form and case (RFC 8621 §4.6)."""
    sentence, properties = refused(plain(**one, **other))

    assert "same header field" in sentence
    assert set(properties) == {*one, *other}


@pytest.mark.parametrize("name", ["header:Content-Type", "header:content-transfer-encoding", "header:Content-X:asText"])
def test_mime_fields_belong_to_body_parts(name):
    """Header fields beginning with "Content-" are refused on the Email (RFC 8621 §4.6)."""
    sentence, properties = refused(plain(**{name: "x"}))

    assert "only on its body parts" in sentence
    assert properties == (name,)


@pytest.mark.parametrize(
    "name",
    [
        "header:From:asText",
        "header:Subject:asAddresses",
        "header:Date:asMessageIds",
        "header:Received:asText",
        "header:X:asFoo",
        "header:a b",
    ],
)
def test_forbidden_forms_are_refused(name):
    """A field is set only in a form that it may have (RFC 8621 §4.1.2)."""
    sentence, properties = refused(plain(**{name: "x"}))

    assert name in sentence
    assert properties == (name,)


@pytest.mark.parametrize("flat", ["textBody", "htmlBody", "attachments"])
def test_a_body_structure_excludes_the_flat_lists(flat):
    """RFC 8621 §4.6; null is as good as nothing."""
    sentence, properties = refused(structure({"partId": "1"}, {"1": "x"}, **{flat: []}))

    assert "exclude each other" in sentence
    assert properties == ("bodyStructure", flat)
    assert made(structure({"partId": "1"}, {"1": "x"}, **{flat: None}))


@pytest.mark.parametrize(
    ("name", "value", "place", "words"),
    [
        ("to", "a@b.c", "to", "must be an array"),
        ("to", [{"name": "x"}], "to/0", "must have email"),
        ("to", [{"email": "a@b"}, {"email": "a\r\nb"}], "to/1/email", "line break"),
        ("from", [{"name": 1, "email": "a@b"}], "from/0/name", "must be a String or null"),
        ("from", [{"email": "a@b", "mail": "x"}], "from/0", "has no member"),
        ("subject", 7, "subject", "must be a String or null"),
        ("subject", "a\nBcc: b@c", "subject", "line break"),
        ("sentAt", "yesterday", "sentAt", "must be a Date"),
        ("messageId", ["a@b", "c@d"], "messageId", "one message id"),
        ("messageId", "a@b", "messageId", "must be an array"),
        ("inReplyTo", ["a b"], "inReplyTo/0", "without white space"),
        ("header:To/X:asAddresses", [{"email": 1}], "header:To/X:asAddresses/0/email", "must be a String"),
        ("header:X-A", "a\r\nX-B: c", "header:X-A", "line break"),
        ("header:X-A:asGroupedAddresses", [{"name": None, "addresses": [{}]}], "header:X-A:asGroupedAddresses/0/addresses/0", "must have email"),
    ],
)  # fmt: skip
def test_values_are_checked_and_their_place_named(name, value, place, words):
    """The sentence says where and what, the property is the top-level one."""
    sentence, properties = refused(plain(**{name: value}))

    assert sentence.startswith(f"“{place}” ")
    assert words in sentence
    assert sentence.endswith(".")
    assert properties == (name,)


# --- the rules for parts --------------------------------------------------------------------------------------------

LEAF = {"partId": "1", "type": "text/plain"}


@pytest.mark.parametrize(
    ("part", "place", "words"),
    [
        ("x", "", "must be an EmailBodyPart"),
        ({**LEAF, "headers": []}, "/headers", "must not be given"),
        ({**LEAF, "foo": 1}, "/foo", "no property of an EmailBodyPart"),
        ({**LEAF, "blobId": "bpng"}, "", "both a partId and a blobId"),
        ({"type": "text/plain"}, "", "a partId or a blobId"),
        ({"partId": "9"}, "/partId", "not in bodyValues"),
        ({"partId": 1}, "/partId", "must be a String"),
        ({"blobId": "b/d"}, "/blobId", "must be an Id"),
        ({**LEAF, "charset": "utf-8"}, "/charset", "together with a partId"),
        ({**LEAF, "size": 2}, "/size", "together with a partId"),
        ({"blobId": "bpng", "size": -1}, "/size", "UnsignedInt"),
        ({**LEAF, "header:Content-Transfer-Encoding": " 7bit"}, "/header:Content-Transfer-Encoding", "server chooses"),
        ({**LEAF, "header:content-transfer-encoding:asText": None}, "/header:content-transfer-encoding:asText", "server chooses"),
        ({**LEAF, "header:Content-Type": " text/plain"}, "/header:Content-Type", "same header field as “type”"),
        ({**LEAF, "name": "x", "header:Content-Disposition": " inline"}, "/header:Content-Disposition", "as “name”"),
        ({**LEAF, "disposition": "x", "header:Content-Disposition:asText": "inline"}, "/header:Content-Disposition:asText", "as “disposition”"),
        ({**LEAF, "cid": "x", "header:Content-Id": " <y>"}, "/header:Content-Id", "as “cid”"),
        ({**LEAF, "language": ["de"], "header:Content-Language": " en"}, "/header:Content-Language", "as “language”"),
        ({**LEAF, "location": "x", "header:Content-Location": " y"}, "/header:Content-Location", "as “location”"),
        ({"blobId": "bcsv", "charset": "utf-8", "header:Content-Type": " text/csv"}, "/header:Content-Type", "as “charset”"),
        ({**LEAF, "header:X": " 1", "header:x": " 2"}, "/header:x", "as “header:X”"),
        ({**LEAF, "header:Subject:asDate": "x"}, "/header:Subject:asDate", "is no property"),
        ({**LEAF, "header:X": "a\nb"}, "/header:X", "line break"),
        ({"partId": "1", "header:Content-Type": " text"}, "/header:Content-Type", "media type"),
        ({"partId": "1", "header:Content-Type": " text/plain; charset=latin1"}, "/header:Content-Type", "charset but utf-8"),
        ({"partId": "1", "type": "text/plain; charset=utf-8"}, "/type", "without parameters"),
        ({"partId": "1", "type": "text"}, "/type", "media type"),
        ({**LEAF, "disposition": "attachment; x"}, "/disposition", "without parameters"),
        ({**LEAF, "name": "a\r\nX: y"}, "/name", "line break"),
        ({**LEAF, "name": "x" * 2001}, "/name", "2000 octets"),
        ({**LEAF, "cid": "a b"}, "/cid", "without white space"),
        ({**LEAF, "cid": "x" * 1000}, "/cid", "998 octets"),
        ({**LEAF, "language": "de"}, "/language", "array"),
        ({**LEAF, "language": ["de,en"]}, "/language/0", "language tag"),
        ({**LEAF, "location": "a\nb"}, "/location", "line break"),
        ({**LEAF, "subParts": []}, "/subParts", "must not be given for text/plain"),
        ({"type": "multipart/mixed"}, "/subParts", "at least one part"),
        ({"subParts": []}, "/subParts", "at least one part"),
        ({"subParts": [LEAF], "blobId": "bpng"}, "/blobId", "must not be given for multipart/mixed"),
        ({"subParts": [LEAF], "partId": "1"}, "/partId", "must not be given for multipart/mixed"),
        ({"subParts": [LEAF], "charset": "utf-8"}, "/charset", "must not be given for multipart/mixed"),
        ({"subParts": [LEAF, {"type": "x"}]}, "/subParts/1/type", "media type"),
        ({"subParts": [{"subParts": [{"partId": "3"}]}]}, "/subParts/0/subParts/0/partId", "not in bodyValues"),
        ({"subParts": [LEAF, LEAF]}, "/subParts/1/partId", "another part"),
        ({"subParts": [LEAF], "header:Content-Type": ' multipart/mixed; boundary="x"'}, "/header:Content-Type", "server chooses"),
    ],
)  # fmt: skip
def test_parts_are_checked_and_their_place_named(part, place, words):
    """Each rule for an EmailBodyPart (RFC 8621 §4.6), with the path to what breaks it."""
    sentence, properties = refused(structure(part, {"1": "x"}))

    assert sentence.startswith(f"“bodyStructure{place}” ")
    assert words in sentence
    assert properties == ("bodyStructure",)


def test_the_outermost_part_names_no_field_again():
    """Its header is the message's (RFC 8621 §4.6); a part inside has its own."""
    given = structure({**LEAF, "header:subject:asText": "x"}, {"1": "x"}, subject="y")
    sentence, properties = refused(given)

    assert "same header field as “subject”" in sentence
    assert properties == ("bodyStructure", "subject")
    inside = structure({"subParts": [{**LEAF, "header:Subject": " x"}]}, {"1": "x"}, subject="y")
    assert made(inside).count(b"Subject: ") == 2
    assert made(structure({**LEAF, "header:Date": " x", "header:X": " y"}, {"1": "x"})).count(b"Date: ") == 1


@pytest.mark.parametrize(
    ("given", "place", "words"),
    [
        ({"textBody": []}, "textBody", "exactly one part"),
        ({"textBody": [{"partId": "1"}, {"partId": "2"}]}, "textBody", "exactly one part"),
        ({"textBody": {"partId": "1"}}, "textBody", "exactly one part"),
        ({"textBody": [{"partId": "1", "type": "text/html"}]}, "textBody/0/type", "must be text/plain"),
        ({"htmlBody": []}, "htmlBody", "exactly one part"),
        ({"htmlBody": [{"partId": "1", "type": "text/plain"}]}, "htmlBody/0/type", "must be text/html"),
        ({"htmlBody": [{"partId": "1", "header:Content-Type": " text/plain"}]}, "htmlBody/0/type", "must be text/html"),
        ({"attachments": {}}, "attachments", "must be an array"),
        ({"attachments": [{"blobId": "bpng"}, {"subParts": [{"blobId": "bpng"}]}]}, "attachments/1", "must not be a multipart"),
        ({"bodyValues": []}, "bodyValues", "must be an object"),
        ({"bodyValues": {"1": "x"}}, "bodyValues/1", "must be an EmailBodyValue"),
        ({"bodyValues": {"1": {}}}, "bodyValues/1", "must have value"),
        ({"bodyValues": {"1": {"value": 3}}}, "bodyValues/1/value", "must be a String"),
        ({"bodyValues": {"1": {"value": "\ud800"}}}, "bodyValues/1/value", "surrogate"),
        ({"bodyValues": {"1": {"value": "x", "isTruncated": True}}}, "bodyValues/1/isTruncated", "must be false"),
        ({"bodyValues": {"1": {"value": "x", "isEncodingProblem": True}}}, "bodyValues/1/isEncodingProblem", "must be false"),
        ({"bodyValues": {"1": {"value": "x", "isTruncated": None}}}, "bodyValues/1/isTruncated", "must be a Boolean"),
    ],
)  # fmt: skip
def test_bodies_and_values_are_checked(given, place, words):
    """The rules for the flat lists and for bodyValues (RFC 8621 §4.6)."""
    sentence, properties = refused({"bodyValues": {"1": {"value": "x"}, "2": {"value": "y"}}, **given})

    assert sentence.startswith(f"“{place}” ")
    assert words in sentence
    assert properties == (place.partition("/")[0],)


def test_flags_that_are_false_and_values_that_nobody_uses_are_taken():
    """As Email/get gives them."""
    values = {"t": {"value": "a", "isTruncated": False, "isEncodingProblem": False}, "u": {"value": "b"}}

    assert made({"textBody": [{"partId": "t"}], "bodyValues": values}).endswith(b"\r\n\r\na")


# --- blobs and limits -----------------------------------------------------------------------------------------------


def test_every_missing_blob_is_named():
    """RFC 8621 §4.6: notFound has every blobId that isn't there, once; other mistakes come first."""
    given = plain(attachments=[{"blobId": name} for name in ("b1", "bpng", "b2", "b1")])
    with pytest.raises(BlobsNotFound) as caught:
        made(given)

    assert caught.value.blob_ids == ("b1", "b2")
    given["attachments"].append({"type": "x"})
    assert refused(given)[1] == ("attachments",)


def test_each_blob_is_opened_once():
    """Two parts of one blob cost one look-up."""
    asked = []

    def open_blob(blob_id):
        asked.append(blob_id)
        return BLOBS[blob_id]

    given = plain(attachments=[{"blobId": "bpng"}, {"blobId": "bmsg"}, {"blobId": "bpng"}])
    raw = compose(given, open_blob=open_blob, now_ms=NOW, hostname="h", random_token=lambda: "T")

    assert asked == ["bpng", "bmsg"]
    assert len(parse(raw).parts) == 4


def test_attachments_have_a_limit():
    """Blobs are counted once for each part, unencoded (RFC 8621 §1.3.1); texts are not."""
    given = plain("x" * 100, attachments=[{"blobId": "bpng"}, {"blobId": "bpng"}])
    size = 2 * len(BLOBS["bpng"])

    assert made(given, most_attachment_octets=size)
    with pytest.raises(AttachmentsTooLarge, match=str(size - 1)) as caught:
        made(given, most_attachment_octets=size - 1)
    assert caught.value.limit == size - 1


def test_a_header_has_a_limit():
    """What the parser would pass over is not written."""
    sentence, _ = refused(plain(**{f"header:X-{number}": " x" * 490 for number in range(MAX_HEADER_BYTES // 900)}))

    assert sentence.startswith("The message has header fields of more than")


scraps = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=8) | st.sampled_from(["1", "bpng", "text/plain", "multipart/mixed", "a@b", "\ud800", "x\r\ny"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["email", "name", "addresses", "value", "partId", "blobId", "type", "subParts", "cid", "1", "header:X", "header:Content-Type", "disposition", "language"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
properties = st.sampled_from(
    ["subject", "from", "messageId", "sentAt", "textBody", "attachments", "bodyStructure", "bodyValues", "header:X:asURLs:all", "header:Y"]
)  # fmt: skip


@settings(max_examples=200)
@hypothesis_given(st.dictionaries(properties, scraps, max_size=4))
def test_any_object_is_a_message_or_refused(given):
    """Nothing but the three documented errors comes out, and a message always has its end of header."""
    try:
        raw = made(given)
    except (ComposeProblem, BlobsNotFound, AttachmentsTooLarge):
        return

    assert b"\r\n\r\n" in raw
    assert {name.lower() for name, _ in parse(raw).headers} >= {"date", "message-id", "mime-version", "content-type"}
