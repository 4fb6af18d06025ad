"""Body selection, hasAttachment, body values, index text and EmailBodyPart objects (RFC 8621 §4.1.4, §4.2)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.mail import body, message
from minijmap.mail.headers import BadHeaderProperty
from minijmap.mail.message import Part


def leaf(kind, disposition=None, name=None, cid=None):
    """A part of that type, without content."""
    return Part("?", kind, [], 0, 0, 0, disposition=disposition, name=name, cid=cid)


def multi(subtype, *parts):
    """A multipart of that subtype."""
    return Part(None, f"multipart/{subtype}", [], 0, 0, 0, parts=list(parts))


def number(root):
    """Give leaves ids in order and return them."""
    leaves = list(root.leaves())
    for index, part in enumerate(leaves, start=1):
        part.part_id = str(index)
    return leaves


def lists(root):
    """The ids in textBody, htmlBody and attachments."""
    number(root)
    bodies = body.classify(root)
    return tuple(
        " ".join(part.part_id for part in found) for found in (bodies.text_body, bodies.html_body, bodies.attachments)
    )


TEXT, HTML, IMAGE, PDF = "text/plain", "text/html", "image/png", "application/pdf"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (leaf(TEXT), ("1", "1", "")),
        (leaf(TEXT, "attachment"), ("", "", "1")),
        (leaf(PDF), ("", "", "1")),
        (leaf(IMAGE), ("1", "1", "")),
        (leaf(TEXT, name="a.txt"), ("1", "1", "")),
        (multi("mixed"), ("", "", "")),
        (multi("alternative", leaf(TEXT), leaf(HTML)), ("1", "2", "")),
        (multi("alternative", leaf(TEXT)), ("1", "1", "")),
        (multi("alternative", leaf(HTML)), ("1", "1", "")),
        (multi("alternative", leaf(TEXT), leaf(HTML), leaf("text/calendar")), ("1", "2", "3")),
        (multi("mixed", leaf(TEXT), leaf(TEXT), leaf(TEXT, name="a")), ("1 2", "1 2", "3")),
        (multi("mixed", leaf(TEXT), leaf(IMAGE, name="a")), ("1 2", "1 2", "")),
        (multi("related", leaf(HTML), leaf(IMAGE), leaf(TEXT)), ("1", "1", "2 3")),
        (multi("alternative", leaf(TEXT), multi("related", leaf(HTML), leaf(IMAGE))), ("1", "2", "3")),
        (multi("alternative", leaf(TEXT), multi("mixed", leaf(HTML), leaf(IMAGE))), ("1", "2 3", "3")),
        (multi("mixed", multi("alternative", leaf(TEXT), leaf(HTML)), leaf(PDF)), ("1", "2", "3")),
        (multi("alternative", multi("mixed", leaf(TEXT), leaf(HTML))), ("1", "1", "2")),
        # Beyond what the algorithm of the RFC thought of: a list given up further out is not there for an inner part.
        (
            multi("alternative", multi("mixed", leaf(HTML), multi("alternative", leaf(TEXT), leaf(HTML)))),
            ("1 3", "1 3", "2"),
        ),
    ],
    ids=str,
)
def test_classify(root, expected):
    """The three lists of the RFC's algorithm."""
    assert lists(root) == expected


TREES = st.recursive(
    st.builds(
        leaf,
        st.sampled_from([TEXT, HTML, IMAGE, PDF, "text/calendar"]),
        st.sampled_from([None, "inline", "attachment"]),
        st.sampled_from([None, "n"]),
    ),
    lambda children: st.builds(
        lambda subtype, parts: multi(subtype, *parts),
        st.sampled_from(["mixed", "alternative", "related"]),
        st.lists(children, max_size=4),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(TREES)
def test_attachments_are_what_the_definition_says(root):
    """RFC 8621 §4.1.4: leaves in no body are attachments, and so are media that are not in both; all in order, once."""
    leaves = number(root)
    bodies = body.classify(root)
    text, html, attached = (
        [part.part_id for part in found] for found in (bodies.text_body, bodies.html_body, bodies.attachments)
    )
    for found in (text, html, attached):
        assert len(set(found)) == len(found)
    assert attached == sorted(attached, key=int)
    for part in leaves:
        in_bodies = (part.part_id in text) + (part.part_id in html)
        media = part.type == IMAGE
        if in_bodies == 0 or (media and in_bodies == 1):
            assert part.part_id in attached
        # The algorithm also lists media of an alternative that has nothing but HTML.
        assert part.part_id not in attached or in_bodies == 0 or media


# --- hasAttachment --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (leaf(PDF), True),
        (leaf(PDF, "attachment"), True),
        (leaf(PDF, "inline"), False),
        (leaf(PDF, "inline", "a.pdf"), True),
        (leaf("message/rfc822", "inline"), True),
        (leaf(IMAGE, "attachment", "a.png", "c@d"), True),
        (leaf(IMAGE, "inline", "a.png", "c@d"), False),
        (leaf(IMAGE, None, "a.png", "c@d"), False),
        (leaf(IMAGE, None, "a.png"), True),
        (leaf(TEXT, "attachment"), True),
        (leaf(TEXT, None, "a.txt"), True),
        (leaf("text/calendar"), False),
        (leaf("text/calendar", None, "a.ics"), True),
        (leaf("text/calendar", "attachment"), True),
        (leaf("application/pkcs7-signature", "attachment", "smime.p7s"), False),
    ],
    ids=str,
)
def test_has_attachment(part, expected):
    """Beside an HTML body: files count; images that the HTML shows, signatures and an invitation's data don't."""
    root = multi("related", leaf(HTML), part)
    number(root)
    assert body.has_attachment(body.classify(root)) is expected


def test_has_attachment_without_html():
    """A Content-Id hides an image only where there is HTML to show it."""
    root = multi("related", leaf(TEXT), leaf(IMAGE, cid="a@b"))
    number(root)
    assert body.has_attachment(body.classify(root))


def test_has_attachment_with_citations():
    """When it is known what the HTML cites, an image with an uncited Content-Id counts."""
    raw = (
        b"Content-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html\n\n<img src='CID:a%40b'>\n"
        b"--x\nContent-Type: image/png\nContent-Id: <a@b>\n\n1\n--x\nContent-Type: image/png\nContent-Id: <c@d>\n\n2\n--x--\n"
    )
    root = message.parse(raw)
    bodies = body.classify(root)
    cited = body.cited_cids(raw, bodies)
    assert cited == {"a@b"}
    assert body.has_attachment(bodies, cited)
    assert not body.has_attachment(bodies, {"a@b", "c@d"})
    assert not body.has_attachment(bodies)


# --- values ---------------------------------------------------------------------------------------------------------


def value(content, header=b"", limit=0):
    """The EmailBodyValue of a message with that header and content."""
    raw = header + b"\r\n" + content
    return body.body_value(raw, message.parse(raw), limit)


def test_value_line_ends():
    """CRLF becomes LF, a lone CR stays (RFC 8621 §4.1.4)."""
    assert value(b"a\r\nb\nc\rd") == {"value": "a\nb\nc\rd", "isEncodingProblem": False, "isTruncated": False}


@pytest.mark.parametrize(
    ("header", "content", "expected", "problem"),
    [
        (b"", "é".encode(), "é", False),
        (b"", b"\xe9", "é", True),
        (b"Content-Type: text/plain; charset=x-none\r\n", b"a", "a", True),
        (b"Content-Type: text/plain; charset=utf-8\r\n", b"a\xff", "a\ufffd", True),
        (b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n", b"YQ", "a", True),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n", b"a", "a", True),
        (b"Content-Type: text/html\r\n", b"<meta charset=koi8-r>\xd6", "<meta charset=koi8-r>ж", False),
        (b"Content-Type: text/html\r\n", "<meta charset=koi8-r>é".encode(), "<meta charset=koi8-r>é", False),
    ],
)
def test_value_problems(header, content, expected, problem):
    """Malformed or unknown charsets and transfer encodings are an isEncodingProblem."""
    assert value(content, header) == {"value": expected, "isEncodingProblem": problem, "isTruncated": False}


@settings(deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cn", "Cc")), max_size=30),
    st.integers(0, 60),
    st.booleans(),
)
def test_truncation(text, limit, html):
    """A value is a prefix that fits; text is cut as late as its characters allow; only what was cut is called so."""
    kind = b"html" if html else b"plain"
    found = value(b"." + text.encode(), b"Content-Type: text/" + kind + b"; charset=utf-8\r\n", limit)
    whole = "." + text
    assert whole.startswith(found["value"])
    assert found["isTruncated"] == (0 < limit < len(whole.encode()))
    assert found["isTruncated"] or found["value"] == whole
    if found["isTruncated"]:
        size = len(found["value"].encode())
        assert size <= limit
        if not html:
            assert size + len(whole[len(found["value"])].encode()) > limit


def test_truncation_counts_octets_of_the_value():
    """The limit of maxBodyValueBytes is in octets of UTF-8 of the value, after CRLF became LF."""
    header = b"Content-Type: text/plain; charset=iso-8859-1\r\n"
    assert value(b"\xe9\xe9\xe9", header, 5)["value"] == "éé"
    assert value(b"a\r\nb", header, 3) == {"value": "a\nb", "isEncodingProblem": False, "isTruncated": False}


ALTERNATIVE = (
    b"Content-Type: multipart/alternative; boundary=x\n\n--x\n\n%s\n--x\nContent-Type: text/html\n\n%s\n--x--\n"
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ""),
        (b"\nplain  text", "plain text"),
        (ALTERNATIVE % (b"plain", b"<p>html"), "plain"),
        (ALTERNATIVE % (b" ", b"<p>html"), "html"),
        (b"Content-Type: text/html\n\n<style>x</style><p>a<p>b", "a b"),
        (b"Content-Type: application/pdf\n\n%PDF", ""),
    ],
)
def test_preview_of(raw, expected):
    """The first text body that says something."""
    assert body.preview_of(raw, message.parse(raw)) == expected


def test_search_text():
    """Plain text whole; of the HTML beside it only lines with words that the plain text lacks."""
    raw = ALTERNATIVE % (b"See our offer", b"<p>See our <b>offer</b></p><p>Terms apply</p>")
    assert body.search_text(raw, message.parse(raw)) == "See our offer\nTerms apply"
    assert body.search_text(raw, message.parse(raw), 5) == "See o"
    attached = b"Content-Type: text/plain\nContent-Disposition: attachment\n\nx"
    assert body.search_text(attached, message.parse(attached)) == ""


def test_attachment_names():
    """Names of all parts that have one, in order."""
    raw = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x\nContent-Type: a/b; name=c\n\n--x\nContent-Type: a/b; name=b\n\n"
    assert body.attachment_names(message.parse(raw)) == ["c", "b"]


# --- EmailBodyPart --------------------------------------------------------------------------------------------------


def test_part_json():
    """Every property, header:* ones included; blob ids are asked for leaves only."""
    raw = b"Subject: a\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/html; name=c\nX: y\n\nb\n--x--\n"
    root = message.parse(raw)
    names = [*body.DEFAULT_BODY_PROPERTIES, "headers", "subParts", "header:x:asText", "header:X:all"]
    found = body.part_json(root, lambda part: f"b-{part.body_start}-{part.size}", names)
    assert found == {
        "partId": None,
        "blobId": None,
        "size": 0,
        "name": None,
        "type": "multipart/mixed",
        "charset": None,
        "disposition": None,
        "cid": None,
        "language": None,
        "location": None,
        "headers": [
            {"name": "Subject", "value": " a"},
            {"name": "Content-Type", "value": " multipart/mixed; boundary=x"},
        ],
        "subParts": [
            {
                "partId": "1",
                "blobId": f"b-{raw.index(b'b' + bytes([10]) + b'--x--')}-1",
                "size": 1,
                "name": "c",
                "type": "text/html",
                "charset": "us-ascii",
                "disposition": None,
                "cid": None,
                "language": None,
                "location": None,
                "headers": [{"name": "Content-Type", "value": " text/html; name=c"}, {"name": "X", "value": " y"}],
                "subParts": None,
                "header:x:asText": "y",
                "header:X:all": [" y"],
            }
        ],
        "header:x:asText": None,
        "header:X:all": [],
    }


def test_implied_charset():
    """us-ascii for text without a charset and where there is no Content-Type, null for other types."""
    cases = {b"": "us-ascii", b"Content-Type: text/html\n": "us-ascii", b"Content-Type: image/png\n": None}
    for header, expected in cases.items():
        assert body.part_json(message.parse(header + b"\n"), lambda _: "", ["charset"]) == {"charset": expected}
    declared = message.parse(b"Content-Type: application/json; charset=utf-8\n\n")
    assert body.part_json(declared, lambda _: "", ["charset"]) == {"charset": "utf-8"}


def test_unknown_body_properties():
    """A property that no part has is refused by name, a header:* one with its reason."""
    root = message.parse(b"")
    with pytest.raises(body.UnknownBodyProperty, match="'subject'"):
        body.part_json(root, lambda _: "", ["subject"])
    with pytest.raises(BadHeaderProperty):
        body.part_json(root, lambda _: "", ["header:Date:asText"])
