"""MIME structure, offsets and transfer encodings (RFC 5322, 2045, 2046), and the golden messages of the whole layer."""

import base64
import binascii
import email
import email.message
import email.policy
import json
import quopri
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minijmap.mail import body, headers, message

GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(path.parent for path in GOLDEN.glob("*/message.eml"))


def slim(part):
    """An EmailBodyPart as expected.json writes it: without nulls and blob ids."""
    kept = {key: value for key, value in part.items() if value is not None and key != "blobId"}
    if "subParts" in kept:
        kept["subParts"] = [slim(child) for child in kept["subParts"]]
    return kept


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_golden_message(folder):
    """Every golden message gives the header forms, structure, bodies and values that its expected.json says."""
    raw = (folder / "message.eml").read_bytes()
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    root = message.parse(raw)
    bodies = body.classify(root)
    limit = expected.get("maxBodyValueBytes", 0)
    found = {
        "headers": {name: headers.parse_property(name).value(root.headers) for name in expected["headers"]},
        "bodyStructure": slim(body.part_json(root, lambda _: "b", [*body.DEFAULT_BODY_PROPERTIES, "subParts"])),
        "textBody": [part.part_id for part in bodies.text_body],
        "htmlBody": [part.part_id for part in bodies.html_body],
        "attachments": [part.part_id for part in bodies.attachments],
        "hasAttachment": body.has_attachment(bodies),
        "preview": body.preview_of(raw, root),
        "bodyValues": {
            part.part_id: body.body_value(raw, part, limit) for part in root.leaves() if part.type.startswith("text/")
        },
    }
    assert found == {key: expected[key] for key in found}
    assert message.from_json(json.loads(json.dumps(message.to_json(root)))) == root


def test_golden_folders_are_there():
    """The glob finds the golden messages, so that a moved folder can't make their test empty."""
    assert len(FOLDERS) >= 25


# --- structure ------------------------------------------------------------------------------------------------------

MIXED = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"


def shape(part):
    """Part ids and types as nested lists."""
    return [part.part_id, part.type, *(shape(child) for child in part.parts)]


def content(raw, part):
    """The encoded content of a part."""
    return raw[part.body_start : part.body_end]


def test_offsets_of_a_plain_message():
    """The header begins at 0, the body behind the blank line."""
    raw = b"Subject: a\r\n\r\nbody\r\n"
    root = message.parse(raw)
    assert (root.part_id, root.header_start, root.body_start, root.body_end, root.size) == ("1", 0, 14, 20, 6)
    assert root.headers == [("Subject", " a")]


def test_part_ids_are_paths():
    """Leaves are numbered by position, nested ones by path; multiparts have no id."""
    inner = b"Content-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\na\r\n--y\r\n\r\nb\r\n--y--\r\n"
    root = message.parse(MIXED + b"--x\r\n\r\n1\r\n--x\r\n" + inner + b"--x\r\n\r\n3\r\n--x--\r\n")
    assert shape(root) == [
        None,
        "multipart/mixed",
        ["1", "text/plain"],
        [None, "multipart/alternative", ["2.1", "text/plain"], ["2.2", "text/plain"]],
        ["3", "text/plain"],
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_do_not_change_the_structure(end):
    """LF and CRLF give the same parts with the same lines."""
    raw = (MIXED + b"--x\r\n\r\none\r\ntwo\r\n--x\r\nX-A: b\r\n\r\n\r\n--x--\r\n").replace(b"\r\n", end)
    first, second = message.parse(raw).parts
    assert content(raw, first) == b"one" + end + b"two"
    assert content(raw, second) == b""
    assert second.headers == [("X-A", " b")]


def test_header_values_keep_their_folds_and_lose_nul():
    """Raw form: everything behind the colon but the last line end; NUL is dropped (RFC 8621 §4.1.2.1)."""
    root = message.parse(b"A:b\r\nC: d\r\n\te\r\nD: \xff\x00\r\nE : f\r\n\r\n")
    assert root.headers == [("A", "b"), ("C", " d\r\n\te"), ("D", " \xff"), ("E", " f")]


def test_the_first_content_type_counts():
    """Of repeated MIME fields the first is used."""
    assert message.parse(b"Content-Type: text/html\r\nContent-Type: image/png\r\n\r\n").type == "text/html"


def test_a_body_begins_where_no_field_is():
    """Text without any header is a body from its first octet; so is the line that ends a header without a blank one."""
    assert message.parse(b"Hello world\nmore\n").body_start == 0
    root = message.parse(b"Subject: a\nHello world\n\nmore\n")
    assert (root.headers, root.body_start) == ([("Subject", " a")], 11)


def test_delimiters_said_twice_leave_no_part():
    """Two delimiter lines with nothing between, not even a blank line, are one."""
    raw = MIXED + b"--x\r\n--x\r\n\r\na\r\n--x\r\n--x--\r\n"
    assert [content(raw, part) for part in message.parse(raw).parts] == [b"a"]


def test_a_multipart_without_its_delimiters_is_text():
    """What is there is shown as text rather than lost, also inside of another multipart."""
    raw = MIXED + b"--x\r\nContent-Type: multipart/related; boundary=never\r\n\r\ntext\r\n--x--\r\n"
    assert shape(message.parse(raw)) == [None, "multipart/mixed", ["1", "text/plain"]]
    assert shape(message.parse(MIXED + b"nothing")) == ["1", "text/plain"]


def test_an_empty_multipart_stays_one():
    """A multipart that only closes has no parts and no id."""
    assert shape(message.parse(MIXED + b"--x--\r\n")) == [None, "multipart/mixed"]


def test_depth_limit():
    """A multipart deeper than MAX_DEPTH is an opaque leaf."""
    levels = message.MAX_DEPTH + 5
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(levels)) + b"\nend"
    part = message.parse(raw)
    depth = 0
    while part.parts:
        part = part.parts[0]
        depth += 1
    assert (depth, part.type) == (message.MAX_DEPTH, "application/octet-stream")
    assert part.body_end == len(raw)


def test_part_limit():
    """The part at MAX_PARTS takes the rest of the message."""
    raw = MIXED + b"--x\r\n\r\na\r\n" * (message.MAX_PARTS + 50) + b"--x--\r\n"
    parts = message.parse(raw).parts
    assert len(parts) == message.MAX_PARTS - 1
    assert parts[-1].body_end == len(raw)


def test_field_limits():
    """Past MAX_FIELDS or MAX_HEADER_BYTES fields are passed over, and the body is still found."""
    many = message.parse(b"A: b\r\n" * (message.MAX_FIELDS + 10) + b"\r\nbody")
    assert (len(many.headers), many.size) == (message.MAX_FIELDS, 4)
    long = message.parse(b"A: " + b"b" * (message.MAX_HEADER_BYTES + 10) + b"\r\nC: d\r\n\r\nbody")
    assert (len(long.headers), len(long.headers[0][1]), long.size) == (1, message.MAX_HEADER_BYTES, 4)


def test_storage_form_can_be_split():
    """The structure can be stored without the root's header fields; those of inner parts stay with it."""
    root = message.parse(MIXED + b"--x\r\nContent-Id: <a>\r\n\r\n1\r\n--x--\r\n")
    stored = message.to_json(root)
    alone = message.from_json({"p": stored["p"]})
    assert alone.headers == []
    assert alone.parts == root.parts
    assert message.from_json(stored) == root


def test_mime_fields_of_a_part():
    """Every attribute that RFC 8621 §4.1.4 derives from a field."""
    root = message.parse(
        b'Content-Type: Text/HTML; Charset="UTF-8"; name=a.html\r\nContent-Transfer-Encoding: Quoted-Printable\r\n'
        b"Content-Disposition: INLINE (so to say); filename=b.html\r\nContent-ID: (id) < a@b >\r\n"
        b"Content-Language: de (German), en\r\nContent-Location: http://a/\r\n b\r\n\r\n"
    )
    assert (root.type, root.charset, root.name, root.encoding) == ("text/html", "UTF-8", "b.html", "q")
    assert (root.disposition, root.cid, root.language) == ("inline", "a@b", ["de", "en"])
    assert root.location == "http://a/b"


# --- transfer encodings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "data", "expected"),
    [
        ("n", b"a=\r\n", (b"a=\r\n", False)),
        ("?", b"a", (b"a", False)),
        ("b", b"", (b"", False)),
        ("b", b"YQ==\r\n", (b"a", False)),
        ("b", b" Y\tQ=\n=", (b"a", False)),
        ("b", b"YQ", (b"a", True)),
        ("b", b"Y", (b"", True)),
        ("b", b"YQ==YQ==", (b"aa", True)),
        ("b", b"Y-Q!=", (b"a", True)),
        ("q", b"a=3Db =\r\nc  \r\n", (b"a=b c\r\n", False)),
        ("q", b"a=3db= \t\nc", (b"a=bc", False)),
        ("q", b"a=zz=", (b"a=zz", True)),
        ("u", b"begin 644 a\n#0V%T\n`\nend\n", (b"Cat", False)),
        ("u", b"x\r\nbegin 644 a\r\n#0V%T  \r\n`\r\nend\r\n", (b"Cat", False)),
        ("u", b"begin 644 a\n#0V%T\n", (b"Cat", True)),
        ("u", b"nothing", (b"nothing", True)),
    ],
)
def test_decode_content(encoding, data, expected):
    """Content decodes as its encoding says, broken content as well as it can be and with the flag."""
    raw = b"<" + data + b">"
    assert message.decode_content(raw, 1, 1 + len(data), encoding) == expected
    assert message.decoded_size(raw, 1, 1 + len(data), encoding) == len(expected[0])


def test_unknown_encoding_is_content_as_it_stands():
    """RFC 8621 §4.1.4: an unknown transfer encoding is treated as none; the part remembers it."""
    root = message.parse(b"Content-Transfer-Encoding: x-zip\r\n\r\nabc")
    assert (root.encoding, root.unknown_encoding, root.size) == ("n", True, 3)


def test_a_multipart_has_no_encoding():
    """RFC 2045 §6.4: a transfer encoding on a multipart is ignored."""
    raw = b"Content-Transfer-Encoding: base64\r\n" + MIXED + b"--x\r\n\r\na\r\n--x--\r\n"
    root = message.parse(raw)
    assert (root.encoding, root.parts[0].size) == ("n", 1)


@settings(deadline=None)
@given(st.binary(max_size=500))
def test_encodings_round_trip(data):
    """What the standard library encodes decodes to itself without a problem, in every encoding."""
    encoded = base64.encodebytes(data)
    assert message.decode_content(encoded, 0, len(encoded), "b") == (data, False)
    encoded = quopri.encodestring(data, quotetabs=True)
    # The standard encoder leaves a CR at the end of a line as it is; in mail that is a line end.
    if b"\r" not in data:
        assert message.decode_content(encoded, 0, len(encoded), "q") == (data, False)
    lines = b"".join(binascii.b2a_uu(data[start : start + 45]) for start in range(0, len(data), 45))
    encoded = b"begin 644 x\n" + lines + b"`\nend\n"
    assert message.decode_content(encoded, 0, len(encoded), "u") == (data, False)


@settings(deadline=None)
@given(st.text(alphabet="ABab01+/= \r\n-!", max_size=60).map(str.encode), st.sampled_from("nbqu"))
def test_decoded_size_is_the_size_of_what_decodes(data, encoding):
    """The size that is computed without a copy is that of the copy, for broken content too."""
    decoded, _ = message.decode_content(data, 0, len(data), encoding)
    assert message.decoded_size(data, 0, len(data), encoding) == len(decoded)


# --- hostile input --------------------------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"--x",
        b"--x--",
        b"--y",
        b"--",
        b"Content-Type: multipart/mixed; boundary=x",
        b"Content-Type: multipart/digest; boundary=y",
        b"Content-Type: multipart/alternative; boundary=x--",
        b"Content-Type: message/rfc822",
        b"Content-Type: text/html; charset=utf-16",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Transfer-Encoding: x-uuencode",
        b"Content-Disposition: attachment; filename*0*=utf-8''%c3; filename*1=\"a",
        b"Content-Id: <a>",
        b"begin 644 a\n",
        b"Subject: =?utf-8?q?=c3?=",
        b" ",
        b":",
        b"<a href='x'>",
        b"\x00\xff\xc3\xa9",
        b"text",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAGMENTS | st.binary(max_size=20), max_size=60).map(b"".join))
@example(b"Content-Type: multipart/mixed; boundary=x\n\n--x")
@example(b"Content-Type: multipart/mixed; boundary=x\n--x\n--x--")
def test_any_octets_are_a_message(raw):
    """Whatever comes in, offsets stay ordered and in range, sizes are right and every reader of the body works."""
    root = message.parse(raw)
    stack = [root]
    while stack:
        part = stack.pop()
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(raw)
        assert (part.part_id is None) == part.type.startswith("multipart/")
        for child in part.parts:
            assert part.body_start <= child.header_start
            assert child.body_end <= part.body_end
        stack.extend(part.parts)
    leaves = list(root.leaves())
    assert len({part.part_id for part in leaves}) == len(leaves)
    for part in leaves:
        assert part.size == len(message.decode_content(raw, part.body_start, part.body_end, part.encoding)[0])
        body.body_value(raw, part, 7)["value"].encode()
    bodies = body.classify(root)
    listed = {part.part_id for part in bodies.text_body + bodies.html_body + bodies.attachments}
    assert listed == {part.part_id for part in leaves}
    assert len(body.preview_of(raw, root)) <= 256
    body.search_text(raw, root).encode()
    assert message.from_json(json.loads(json.dumps(message.to_json(root)))) == root


HOSTILE = {
    "delimiters": MIXED + b"--x\n" * 300_000,
    "foreign delimiters": MIXED + b"\n--y" * 300_000,
    "parts": MIXED + b"--x\n\n\n" * 200_000,
    "nesting": b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(30_000)),
    "one boundary nested": (MIXED + b"--x\n") * 30_000,
    "fields": b"a:\n" * 300_000,
    "folds": b"a:" + b"\n b" * 300_000,
    "junk lines": b"a:\n" + b"b\nc:\n" * 200_000,
    "no colon": b"a" * 1_000_000,
    "base64 paddings": b"Content-Transfer-Encoding: base64\n\n" + b"A=" * 500_000,
    "equals": b"Content-Transfer-Encoding: quoted-printable\n\n" + b"= " * 500_000,
    "spaces": b"Content-Transfer-Encoding: quoted-printable\n\n" + b" " * 1_000_000 + b"x",
    "uu lines": b"Content-Transfer-Encoding: uuencode\n\nbegin 644 x\n" + b"\n" * 500_000,
    "parameters": b"Content-Type: a/b" + b";a*1=b" * 150_000 + b"\n\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_take_linear_time(name):
    """A megabyte made to be slow takes milliseconds; the bound is generous because test machines are busy."""
    started = time.perf_counter()
    root = message.parse(HOSTILE[name])
    body.classify(root)
    assert time.perf_counter() - started < 2
    assert sum(1 for _ in root.leaves()) <= message.MAX_PARTS


# --- the standard library as oracle ---------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp")), max_size=60)
LEAVES = st.tuples(
    TEXTS,
    st.sampled_from(["plain", "html", "x-other"]),
    st.sampled_from(["utf-8"]),
    st.sampled_from(["base64", "quoted-printable", "8bit"]),
)


def build(tree):
    """A message of the standard library from a tree of (text, subtype, charset, encoding) leaves and lists."""
    made = email.message.EmailMessage(policy=email.policy.SMTP)
    if isinstance(tree, tuple):
        text, subtype, charset, encoding = tree
        made.set_content(text + "\n", subtype=subtype, charset=charset, cte=encoding)
    else:
        made["Content-Type"] = "multipart/mixed"
        for child in tree:
            made.attach(build(child))
    return made


def compare(raw, part, oracle):
    """Assert that both readings of a part are one."""
    assert part.type == oracle.get_content_type()
    assert [name for name, _ in part.headers] == oracle.keys()
    if oracle.get_content_maintype() == "multipart":
        payload = oracle.get_payload()
        assert len(part.parts) == len(payload)
        for ours, theirs in zip(part.parts, payload, strict=True):
            compare(raw, ours, theirs)
    else:
        decoded, problem = message.decode_content(raw, part.body_start, part.body_end, part.encoding)
        assert decoded == oracle.get_payload(decode=True)
        assert not problem


@settings(max_examples=100, deadline=None)
@given(st.recursive(LEAVES, lambda children: st.lists(children, min_size=1, max_size=4), max_leaves=10))
def test_reads_what_the_standard_library_writes(tree):
    """Structure, types and decoded octets of generated messages are those that the email package reads."""
    raw = build(tree).as_bytes()
    compare(raw, message.parse(raw), email.message_from_bytes(raw))
