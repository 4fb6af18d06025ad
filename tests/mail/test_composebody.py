"""Body parts written: content transfer encodings, boundaries, MIME fields (RFC 2045, RFC 2046, RFC 2231, RFC 2387)."""

import email
import re
from email import policy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minijmap.jmap.values import ValueProblem
from minijmap.mail.body import part_text
from minijmap.mail.composebody import BodyWriter, encode_message, encode_octets
from minijmap.mail.composeparts import PartPlan
from minijmap.mail.folding import Field
from minijmap.mail.message import MAX_DEPTH, MAX_FIELDS, MAX_HEADER_BYTES, decode_content, parse


def text(value, media_type="text/plain"):
    """A part with a text."""
    return PartPlan("textBody/0", media_type, value=value)


def blob(content, media_type="application/octet-stream", **more):
    """A part with the octets of a blob."""
    return PartPlan("attachments/0", media_type, blob_id="b1", content=content, **more)


def written(plan, tokens=("TOKEN",)):
    """The octets of a message that has only this."""
    stock = iter(tokens)
    out = BodyWriter(plan, lambda: next(stock)).write()
    return b"".join([b"MIME-Version: 1.0\r\n", *(field.octets for field in out.fields), b"\r\n", *out.body])


def content(raw, part):
    """The decoded octets of a part, by our parser."""
    octets, broken = decode_content(raw, part.body_start, part.body_end, part.encoding)
    assert not broken
    assert not part.unknown_encoding
    return octets


def leaves(raw):
    """Type and decoded content of every leaf, by the standard library."""
    message = email.message_from_bytes(raw, policy=policy.default)
    assert not any(part.defects for part in message.walk())
    return [
        (part.get_content_type(), part.get_payload(decode=True)) for part in message.walk() if not part.is_multipart()
    ]


def is_sendable(raw, *, eight_bit=False):
    """Whether RFC 5322 §2.1 holds: CRLF, no line over 998 octets, ASCII unless declared."""
    return (
        not re.search(rb"(?<!\r)\n|\r(?!\n)|\0|[^\r\n]{999}", raw) and (eight_bit or raw.isascii())
    )  # fmt: skip


# --- content transfer encodings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "encoding", "body"),
    [
        (b"", "7bit", b""),
        (b"plain\r\n", "7bit", b"plain\r\n"),
        (b"x" * 998 + b"\r\ntab\t", "7bit", b"x" * 998 + b"\r\ntab\t"),
        (b"x" * 999, "quoted-printable", (b"x" * 75 + b"=\r\n") * 13 + b"x" * 24),
        ("na\u00efve = \r\n".encode(), "quoted-printable", b"na=C3=AFve =3D=20\r\n"),
        (b"Dear,\r\nFrom here on\r\n", "quoted-printable", b"Dear,\r\nFrom=\r\n here on\r\n"),
        (b"From ", "quoted-printable", b"From=20"),
        (b".\r\n\x00", "quoted-printable", b"=2E\r\n=00"),
        ("\u65e5\u672c\u8a9e".encode(), "base64", b"5pel5pys6Kqe"),
        (b"unix\nlines", "base64", b"dW5peApsaW5lcw=="),
        (b"old\rmac", "base64", b"b2xkDW1hYw=="),
        (b"\xff" * 58, "base64", b"/" * 76 + b"\r\n/w=="),
    ],
)  # fmt: skip
def test_an_encoding_is_chosen_by_content(value, encoding, body):
    """7bit where every way leaves it alone, else quoted-printable, or base64 if that is clearly shorter (RFC 2045 §6)."""
    encoded = encode_octets(value)

    assert (encoded.encoding, encoded.body) == (encoding, body)


def test_a_large_content_is_encoded_in_one_run():
    """No line is short but the last."""
    octets = bytes(range(256)) * 5_000
    body = encode_octets(octets).body

    assert {len(line) for line in body.split(b"\r\n")[:-1]} == {76}
    assert decode_content(body, 0, len(body), "b") == (octets, False)


awkward = st.lists(
    st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("\t =.\0"), max_size=90)
    | st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", "From ", "x" * 75]),
    max_size=12,
).map("".join)


@settings(max_examples=200)
@given(awkward | st.binary(max_size=300).map(lambda octets: octets.decode("latin-1")), st.booleans())
@example("From " * 40, True)
@example("x" * 75 + " \r\nFrom " + "y" * 80, True)
@example("From \r\n \r\n.\r\n", False)
@example("\t\r\n \t", True)
def test_every_octet_comes_back(value, utf8):
    """Whatever is chosen, both readers get the octets back, and the lines are lawful."""
    octets = value.encode() if utf8 else value.encode("utf-16-le", "surrogatepass")
    encoded = encode_octets(octets)
    raw = b"Content-Transfer-Encoding: %s\r\n\r\n%s" % (encoded.encoding.encode(), encoded.body)

    assert is_sendable(raw)
    assert encoded.encoding == "7bit" or all(len(line) <= 76 for line in encoded.body.split(b"\r\n"))
    assert not re.search(rb"^From ", encoded.body, re.MULTILINE)
    assert content(raw, parse(raw)) == octets
    assert email.message_from_bytes(raw).get_payload(decode=True) == octets


# --- attached messages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "encoding", "body"),
    [
        (b"Subject: x\r\n\r\nhi\r\n", "7bit", b"Subject: x\r\n\r\nhi\r\n"),
        (b"Subject: x\n\nhi\r\n", "7bit", b"Subject: x\r\n\r\nhi\r\n"),
        (b"Subject: x\r\n\r\n\xe9\r\n", "8bit", b"Subject: x\r\n\r\n\xe9\r\n"),
    ],
)
def test_an_attached_message_is_never_encoded(value, encoding, body):
    """RFC 2046 §5.2.1: 7bit or 8bit; its line ends become CRLF."""
    encoded = encode_message(value, "message/rfc822")

    assert (encoded.encoding, encoded.body, encoded.opaque) == (encoding, body, False)


@pytest.mark.parametrize(
    "value",
    [
        b"Subject: x\r\n\r\n" + b"y" * 999,
        b"Subject: x\r\n\r\n\0",
        b"Subject: x\r\n\r\na\rb",
        b"Subject: x\r\nContent-Transfer-Encoding: BINARY\r\n\r\na\nb",
    ],
)
def test_a_message_that_no_transport_carries_is_attached_as_octets(value):
    """Encoded it can't be a message/rfc822, so it is a file, and nothing of it is lost."""
    raw = written(
        PartPlan(
            "attachments", "multipart/mixed", [text("see"), blob(value, "message/rfc822", disposition="attachment")]
        )
    )
    part = parse(raw).parts[1]

    assert is_sendable(raw)
    assert (part.type, part.name, part.encoding) == ("application/octet-stream", "message.eml", "b")
    assert content(raw, part) == value


@pytest.mark.parametrize(
    ("value", "encoding"), [(b"a: b\r\n", "7bit"), (b"a: \xc3\xa9\r\n", "base64"), (b"a\n", "base64")]
)
def test_a_global_message_may_be_encoded(value, encoding):
    """RFC 6532 §3.7 permits any encoding of message/global."""
    assert encode_message(value, "message/global").encoding == encoding


def test_eight_bit_parts_are_declared_all_the_way_up():
    """RFC 2045 §6.4: a multipart with 8bit inside is 8bit itself."""
    inner = PartPlan("x", "multipart/mixed", [blob(b"A: b\r\n\r\n\xe9", "message/rfc822")])
    raw = written(PartPlan("x", "multipart/mixed", [text("a"), inner]))

    assert raw.count(b"Content-Transfer-Encoding: 8bit\r\n") == 3
    assert is_sendable(raw, eight_bit=True)
    root = parse(raw)
    assert content(raw, root.parts[1].parts[0]) == b"A: b\r\n\r\n\xe9"


# --- parts ----------------------------------------------------------------------------------------------------------


def test_a_text_alone_is_the_message():
    """No multipart around a single part; the charset is UTF-8, line ends are CRLF."""
    assert written(text("Hi,\nthere")) == (
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Hi,\r\nthere"
    )


def test_a_tree_is_written():
    """A transcript of a multipart with everything a part can say."""
    picture = blob(b"\x89PNG", "image/png", name="na\u00efve.png", disposition="inline")
    picture.fields.append(Field("Content-ID", b"Content-ID: <p@x>\r\n"))
    related = PartPlan("htmlBody", "multipart/related", [text("<img src=cid:p@x>", "text/html"), picture])
    plan = PartPlan(
        "a", "multipart/mixed", [related, blob(b"a;b\n", "text/csv", name="a b.csv", disposition="attachment")]
    )

    assert written(plan).decode().split("\r\n") == (
        [
            "MIME-Version: 1.0",
            'Content-Type: multipart/mixed; boundary="=_1_TOKEN"',
            "",
            "--=_1_TOKEN",
            'Content-Type: multipart/related; boundary="=_2_TOKEN"; type="text/html"',
            "",
            "--=_2_TOKEN",
            "Content-Type: text/html; charset=utf-8",
            "Content-Transfer-Encoding: 7bit",
            "",
            "<img src=cid:p@x>",
            "--=_2_TOKEN",
            "Content-Type: image/png",
            "Content-Transfer-Encoding: base64",
            "Content-Disposition: inline; filename*=utf-8''na%C3%AFve.png",
            "Content-ID: <p@x>",
            "",
            "iVBORw==",
            "--=_2_TOKEN--",
            "--=_1_TOKEN",
            'Content-Type: text/csv; name="a b.csv"',
            "Content-Transfer-Encoding: base64",
            'Content-Disposition: attachment; filename="a b.csv"',
            "",
            "YTtiCg==",
            "--=_1_TOKEN--",
            "",
        ]
    )


def test_a_name_without_a_disposition_is_in_the_type():
    """No disposition is made up; the name then has only one place, whatever it needs."""
    raw = written(blob(b"x", "image/png", name="\u00e4.png"))

    assert b"Content-Type: image/png; name*=utf-8''%C3%A4.png\r\n" in raw
    assert (parse(raw).name, parse(raw).disposition) == ("\u00e4.png", None)


@pytest.mark.parametrize(
    ("octets", "charset", "declared"),
    [
        (b"abc", None, None),
        ("\u00e9".encode(), None, "utf-8"),
        (b"\xe9", None, None),
        (b"\xe9", "iso-8859-1", "iso-8859-1"),
    ],
)
def test_the_charset_of_a_blob(octets, charset, declared):
    """What is given, or UTF-8 if that is what the blob is; its octets stay as they are."""
    raw = written(blob(octets, "text/plain", charset=charset))

    assert parse(raw).charset == declared
    assert content(raw, parse(raw)) == octets


def test_a_given_content_type_keeps_its_parameters():
    """What it lacks is added after it: a charset, a boundary, the type of a multipart/related."""
    flowed = text("\u00e9")
    flowed.fields.append(Field("content-type", b"content-type: text/plain; format=flowed;\r\n"))
    related = PartPlan("x", "multipart/related", [flowed])
    related.fields.append(Field("Content-Type", b'Content-Type: multipart/related;\r\n start="<a@b>"\r\n'))
    raw = written(related)

    assert b"content-type: text/plain; format=flowed;\r\n charset=utf-8\r\n" in raw
    assert (
        b'Content-Type: multipart/related;\r\n start="<a@b>";\r\n boundary="=_1_TOKEN";\r\n type="text/plain"\r\n'
        in raw
    )
    assert part_text(raw, parse(raw).parts[0]) == ("\u00e9", False)


# --- boundaries -----------------------------------------------------------------------------------------------------


def test_a_boundary_is_in_no_content():
    """A token that occurs in what stands as it is, is drawn again."""
    plan = PartPlan(
        "x", "multipart/mixed", [text("--=_1_FIRST\n"), blob(b"X: y\r\n\r\n--=_1_SECOND1--\r\n", "message/rfc822")]
    )
    raw = written(plan, ("FIRST", "SECOND", "THIRD"))

    assert b'boundary="=_1_THIRD2"' in raw
    assert leaves(raw)[0] == ("text/plain", b"--=_1_FIRST\r\n")
    assert len(parse(raw).parts) == 2


def test_a_generator_that_repeats_itself_still_ends():
    """The number of the attempt makes a token new."""
    plan = PartPlan("x", "multipart/mixed", [text("_SAME and _SAME1")])
    raw = written(plan, ["SAME"] * 5)

    assert b"=_1_SAME2" in raw
    assert parse(raw).parts[0].size == len("_SAME and _SAME1")


def test_no_boundary_begins_with_another():
    """RFC 2046 §5.1.2 compares the beginning of a line."""
    plan = text("deep")
    for _ in range(MAX_DEPTH):
        plan = PartPlan("x", "multipart/mixed", [plan])
    raw = written(plan)
    boundaries = re.findall(rb'boundary="([^"]+)"', raw)

    assert len(set(boundaries)) == MAX_DEPTH
    assert not [1 for one in boundaries for other in boundaries if one != other and one.startswith(other)]
    assert leaves(raw) == [("text/plain", b"deep")]
    assert [part.size for part in parse(raw).leaves()] == [4]


trees = st.recursive(
    st.one_of(
        st.builds(text, st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n-=_"), max_size=60)),
        st.builds(blob, st.binary(max_size=60)),
        st.builds(blob, st.binary(max_size=60), st.just("text/html")),
    ),
    lambda inner: st.builds(PartPlan, st.just("p"), st.sampled_from(["multipart/mixed", "multipart/related"]), st.lists(inner, min_size=1, max_size=4)),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150)
@given(trees)
def test_any_tree_is_read_back(plan):
    """Types and contents come back from both readers, in order."""
    raw = written(plan, ["T"] * 3)
    expected = [
        (part.type, part.value.replace("\n", "\r\n").encode() if part.value is not None else part.content)
        for part in plan.walk()
        if not part.parts
    ]

    assert is_sendable(raw)
    assert leaves(raw) == expected
    assert [(part.type, content(raw, part)) for part in parse(raw).leaves()] == expected


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "size"), [(MAX_FIELDS, 0), (1020, 980)])
def test_a_header_has_limits(count, size):
    """More than the parser reads is not written."""
    assert count + 2 > MAX_FIELDS or count * size > MAX_HEADER_BYTES - 50_000
    plan = text("x")
    plan.fields = [Field("X", b"X: " + b"y" * size + b"\r\n")] * count
    with pytest.raises(ValueProblem, match="header fields"):
        written(plan)
