"""The tree that a created Email becomes (RFC 8621 §4.1.4, §4.6), and what readers find in it."""

import email
import unicodedata
from email import policy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minijmap.mail import headers
from minijmap.mail.body import classify, has_attachment, part_text
from minijmap.mail.compose import ComposeProblem, compose
from minijmap.mail.composeparts import MOST_PARTS
from minijmap.mail.message import MAX_DEPTH, decode_content, parse

BLOBS = {
    "bpng": b"\x89PNG\r\n\x1a\n\0",
    "bcsv": "a;b\n\u00e9".encode(),
    "bmsg": b"Subject: inner\r\n\r\nhi\r\n",
    "bhtml": "<img src='CID:p%40x&amp;y'>\u00e9".encode("utf-16"),
}
PNG = {"blobId": "bpng", "type": "image/png"}


def made(given, blobs=BLOBS):
    """The message of an Email object."""
    return compose(given, open_blob=blobs.get, now_ms=0, hostname="mx.example.com", random_token=lambda: "T")


def flat(text=None, html=None, attachments=()):
    """An Email object with these bodies."""
    given = {"attachments": list(attachments), "bodyValues": {"t": {"value": text or ""}, "h": {"value": html or ""}}}
    if text is not None:
        given["textBody"] = [{"partId": "t", "type": "text/plain"}]
    if html is not None:
        given["htmlBody"] = [{"partId": "h", "type": "text/html"}]
    return given


def shape(part):
    """The types of a parsed tree."""
    return [part.type, *map(shape, part.parts)] if part.parts else part.type


def decoded(raw, part):
    """The octets of a parsed part."""
    return decode_content(raw, part.body_start, part.body_end, part.encoding)[0]


TEXT, HTML, IMAGE = "text/plain", "text/html", "image/png"
CITED = {**PNG, "cid": "p@x"}
IMG = '<img src="cid:p@x">'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (flat(), TEXT),
        (flat("a"), TEXT),
        (flat(None, "a"), HTML),
        (flat("a", "b"), ["multipart/alternative", TEXT, HTML]),
        (flat("a", None, [PNG]), ["multipart/mixed", TEXT, IMAGE]),
        (flat(None, None, [PNG]), ["multipart/mixed", IMAGE]),
        (flat("a", "b", [PNG]), ["multipart/mixed", ["multipart/alternative", TEXT, HTML], IMAGE]),
        (flat(None, IMG, [CITED]), ["multipart/related", HTML, IMAGE]),
        (flat("a", IMG, [CITED]), ["multipart/alternative", TEXT, ["multipart/related", HTML, IMAGE]]),
        (
            flat("a", IMG, [PNG, {**CITED, "disposition": "inline"}, PNG]),
            ["multipart/mixed", ["multipart/alternative", TEXT, ["multipart/related", HTML, IMAGE]], IMAGE, IMAGE],
        ),
        # Offered on purpose, not cited, or nothing there to cite it.
        (flat(None, IMG, [{**CITED, "disposition": "Attachment"}]), ["multipart/mixed", HTML, IMAGE]),
        (flat(None, "b", [CITED]), ["multipart/mixed", HTML, IMAGE]),
        (flat(IMG, None, [CITED]), ["multipart/mixed", TEXT, IMAGE]),
    ],
)
def test_the_tree_has_the_levels_it_needs(given, expected):
    """Mixed around alternative around related, each only if there is something for it."""
    raw = made(given)

    assert shape(parse(raw)) == expected
    assert not email.message_from_bytes(raw, policy=policy.default).defects


def test_the_lists_are_read_as_they_were_given():
    """What was a body is one, what was an attachment is one, whatever its type (RFC 8621 §4.1.4)."""
    attachments = [
        {"blobId": "bcsv", "type": "text/plain", "name": "n\u00f6tes.txt"},
        {"blobId": "bcsv", "type": "text/html"},
        {"blobId": "bmsg", "type": "message/rfc822"},
        PNG,
        {**CITED, "name": "p.png"},
        {"blobId": "bpng"},
    ]
    raw = made(flat("text", IMG, attachments))
    bodies = classify(parse(raw))

    assert [part_text(raw, part)[0] for part in bodies.text_body] == ["text"]
    assert [part_text(raw, part)[0] for part in bodies.html_body] == [IMG]
    found = {(part.type, part.disposition, part.name, part.cid, decoded(raw, part)) for part in bodies.attachments}
    assert found == {
        (TEXT, "attachment", "n\u00f6tes.txt", None, BLOBS["bcsv"]),
        (HTML, "attachment", None, None, BLOBS["bcsv"]),
        ("message/rfc822", "attachment", None, None, BLOBS["bmsg"]),
        (IMAGE, "attachment", None, None, BLOBS["bpng"]),
        (IMAGE, "inline", "p.png", "p@x", BLOBS["bpng"]),
        ("application/octet-stream", "attachment", None, None, BLOBS["bpng"]),
    }
    assert has_attachment(bodies)
    assert not has_attachment(classify(parse(made(flat("text", IMG, [CITED])))))


def test_a_body_may_be_a_blob():
    """Citations are found in it by its charset, percent-decoded and with entities (RFC 2392)."""
    given = {
        "htmlBody": [{"blobId": "bhtml", "type": "text/html", "charset": "utf-16"}],
        "attachments": [{**PNG, "cid": "<p@x&y>"}],
    }
    raw = made(given)

    assert shape(parse(raw)) == ["multipart/related", HTML, IMAGE]
    assert decoded(raw, parse(raw).parts[0]) == BLOBS["bhtml"]
    assert parse(raw).parts[1].cid == "p@x&y"


def test_a_structure_is_written_as_it_is_given():
    """Every property of every part comes back, and nothing is made up."""
    leaf = {
        "partId": "1",
        "type": "Text/Calendar",
        "name": "\u00e4.ics",
        "disposition": "inline",
        "cid": "c@x",
        "language": ["de", "en-GB"],
        "location": "https://example.com/a b",
        "size": None,
        "charset": None,
        "header:X-Part:asText": "\u00fc",
    }
    described = {
        "blobId": "bpng",
        "size": 1,
        "header:Content-Type": ' image/png; x="y"',
        "header:Content-Description": " d",
    }
    given = {
        "bodyStructure": {
            "type": "multipart/x-own",
            "partId": None,
            "header:X-Top": " 1",
            "subParts": [leaf, described, {"subParts": [{"partId": "2"}]}, {"partId": "3", "type": "application/json"}],
        },
        "bodyValues": {"1": {"value": "BEGIN\n"}, "2": {"value": ""}, "3": {"value": "{}\r\n"}},
        "subject": "s",
    }
    raw = made(given)
    root = parse(raw)
    first, second, third, fourth = root.parts

    assert shape(root) == ["multipart/x-own", "text/calendar", IMAGE, ["multipart/mixed", TEXT], "application/json"]
    assert headers.find(root.headers, "x-top") == " 1"
    assert (first.name, first.disposition, first.cid, first.charset) == ("\u00e4.ics", "inline", "c@x", "utf-8")
    assert (first.language, first.location) == (["de", "en-GB"], "https://example.com/a%20b")
    assert headers.as_text(headers.find(first.headers, "X-Part")) == "\u00fc"
    assert decoded(raw, first) == b"BEGIN\r\n"
    assert headers.content_type(headers.find(second.headers, "content-type")) == (IMAGE, {"x": "y"})
    assert headers.find(second.headers, "content-description") == " d"
    assert second.disposition is None
    assert third.parts[0].size == 0
    assert (fourth.charset, decoded(raw, fourth)) == (None, b"{}\r\n")


def test_a_given_disposition_counts():
    """header:Content-Disposition says whether a cited attachment is to be offered."""
    offered = {**CITED, "header:Content-Disposition": " attachment; filename=x.png"}
    raw = made(flat(None, IMG, [offered]))

    assert shape(parse(raw)) == ["multipart/mixed", HTML, IMAGE]
    assert parse(raw).parts[1].name == "x.png"
    assert raw.count(b"Content-Disposition") == 1


def test_parts_have_a_depth_and_a_number():
    """No more than the parser reads: one more is refused."""
    deepest = {"partId": "t"}
    for _ in range(MAX_DEPTH):
        deepest = {"subParts": [deepest]}
    values = {"bodyValues": {"t": {"value": "deep"}}}
    raw = made({"bodyStructure": deepest, **values})
    assert [decoded(raw, part) for part in parse(raw).leaves()] == [b"deep"]
    with pytest.raises(ComposeProblem, match="deeper"):
        made({"bodyStructure": {"subParts": [deepest]}, **values})

    raw = made({"bodyStructure": {"subParts": [{"blobId": "bcsv"}] * (MOST_PARTS - 1)}})
    assert [decoded(raw, part) for part in parse(raw).leaves()] == [BLOBS["bcsv"]] * (MOST_PARTS - 1)
    with pytest.raises(ComposeProblem, match="one part too many"):
        made({"bodyStructure": {"subParts": [{"blobId": "bcsv"}] * MOST_PARTS}})


# --- round trips ----------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from(' "=?<>,'), max_size=80)
values = st.text(st.characters(exclude_categories=("Cs", "Cn")) | st.sampled_from("\r\n\n\t =."), max_size=200)
file_names = st.none() | texts.filter(lambda name: name == name.strip() != "")


def lines(value):
    """A body value as it is read: every line end is LF, NFC is not touched."""
    return value.replace("\r\n", "\n").replace("\r", "\n")


@settings(max_examples=150)
@given(texts, values, values, st.lists(st.tuples(file_names, st.binary(max_size=80)), max_size=4))
@example("", "From me\n", ".\n", [(None, b"")])
@example("=?utf-8?q?x?=", "--=_1_T", "\r", [("a" * 300, b"--=_1_T--")])
def test_a_message_is_read_back(subject, text, html, files):
    """Subject, bodies, names and contents come back from both readers."""
    blobs = {f"b{index}": content for index, (_, content) in enumerate(files)}
    attachments = [{"blobId": f"b{index}", "name": name, "type": "x/y"} for index, (name, _) in enumerate(files)]
    raw = made({**flat(text, html, attachments), "subject": subject}, blobs)

    root = parse(raw)
    found = classify(root)
    assert headers.as_text(headers.find(root.headers, "Subject")) == unicodedata.normalize("NFC", subject)
    assert decoded(raw, found.text_body[0]).decode() == lines(text).replace("\n", "\r\n")
    assert decoded(raw, found.html_body[0]).decode() == lines(html).replace("\n", "\r\n")
    assert [(part.name, decoded(raw, part)) for part in found.attachments] == [
        (name and unicodedata.normalize("NFC", name), content) for name, content in files
    ]

    message = email.message_from_bytes(raw, policy=policy.default)
    parts = [part for part in message.walk() if not part.is_multipart()]
    assert not any(part.defects for part in message.walk())
    assert str(message["subject"]) == subject
    assert [part.get_payload(decode=True).decode() for part in parts[:2]] == [
        lines(text).replace("\n", "\r\n"),
        lines(html).replace("\n", "\r\n"),
    ]
    assert [(part.get_filename(), part.get_payload(decode=True)) for part in parts[2:]] == files
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii()
