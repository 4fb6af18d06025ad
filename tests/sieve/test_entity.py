"""The tree of MIME entities: what is walked, and that replacing one leaves every other octet as it was."""

from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.mail.message import parse
from minijmap.sieve.entity import MOST_DEPTH, MOST_ENTITIES, Entity
from tests.sieve.test_bodytest import NESTED
from tests.sieve.trials import decide

_PIECES = [
    b"Content-Type: multipart/mixed; boundary=a\r\n",
    b"Content-Type: multipart/alternative; boundary=b\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/html; charset=x\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Subject: s\r\n",
    b"\r\n",
    b"\n",
    b"--a\r\n",
    b"--a--\r\n",
    b"--b\n",
    b"--b--\n",
    b"text\r\n",
    b"PGI+eDwvYj4=\r\n",
    b"=C3=A4 =\r\n",
    b"\xff\x00",
]
MESSAGES = st.lists(st.sampled_from(_PIECES), max_size=25).map(b"".join)


def test_the_walk():
    """Parts and enclosed messages, depth first, the root included."""
    types = [entity.type for entity in Entity.of_message(NESTED).walk()]

    assert types == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "message/rfc822",
        "text/plain",
    ]


def test_a_parsed_message_is_not_parsed_again():
    """The root part that ingest has made is taken as it is."""
    root = parse(NESTED)

    assert Entity.of_message(NESTED, root).part is root


def test_an_untouched_tree_is_the_message():
    """Nothing is copied anew where nothing changed."""
    entity = Entity.of_message(NESTED)
    list(entity.walk())

    assert entity.octets() == NESTED
    assert not entity.dirty


def test_depth_and_number_are_limited():
    """Messages in messages are opened to a depth, and entities are visited up to a number."""
    deep = b"Content-Type: message/rfc822\r\n\r\n" * (MOST_DEPTH + 5) + b"Subject: innermost\r\n\r\ntext"
    assert len(list(Entity.of_message(deep).walk())) == MOST_DEPTH + 1

    inner = b"Content-Type: multipart/mixed; boundary=i\r\n\r\n" + b"--i\r\n\r\nx\r\n" * 900 + b"--i--\r\n"
    part = b"--o\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    wide = b"Content-Type: multipart/mixed; boundary=o\r\n\r\n" + part * 5 + b"--o--\r\n"
    assert len(list(Entity.of_message(wide).walk())) == MOST_ENTITIES


def test_an_encoded_enclosed_message_is_encoded_again():
    """What was base64, against RFC 2046 §5.2.1, is base64 again after a change inside."""
    inner = "U3ViamVjdDogYQ0KDQpvbGQgdGV4dA0K"  # "Subject: a\r\n\r\nold text\r\n"
    message = f"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{inner}\r\n".encode()
    root = Entity.of_message(message)
    _, child = root.walk()
    child.put(b"Subject: b\r\n\r\nnew text\r\n")
    again = Entity.of_message(root.octets())

    assert again.part.encoding == "b"
    assert again.children[0].text()[0] == "new text\r\n"


@settings(max_examples=200, deadline=None)
@given(MESSAGES, st.integers(0, 30))
def test_replacing_one_leaves_the_others(raw: bytes, number: int):
    """Whatever the message: octets before and after a replaced entity are as they were, and it is what was put there."""
    root = Entity.of_message(raw)
    entities = [entity for entity in root.walk() if entity.source is raw][1:]
    if not entities:
        assert root.octets() == raw[root.start :]
        return
    entity = entities[number % len(entities)]
    start, end = entity.start, entity.end
    entity.put(b"X: y\r\n\r\nnew")

    assert root.octets() == raw[root.start : start] + b"X: y\r\n\r\nnew" + raw[end:]


@settings(max_examples=200, deadline=None)
@given(MESSAGES)
def test_no_message_makes_a_script_fail(raw: bytes):
    """Every test that looks into a message ends well on any octets."""
    script = """require ["mime", "foreverypart", "body", "extracttext", "variables", "date", "editheader", "replace", "enclose"];
    if anyof (header :mime :anychild :param "charset" "Content-Type" "q", header :mime :anychild :type "Subject" "q",
        address :mime :anychild "from" "q", exists :mime :anychild "x-q", body :raw :contains "qq", body :content "" "qq",
        body :text :matches "*qq*q?", body :content "multipart" :contains "qq", date "date" "year" "qq") { discard; }
    foreverypart { extracttext "t"; if header :mime :contenttype "Content-Type" "text/html" { replace "${t}r"; } }
    addheader "X-A" "ä"; deleteheader "Subject"; enclose "e"; foreverypart { set "n" "${n}."; }"""
    result = decide(script, raw)

    assert result.error is None
    assert parse(getattr(result.actions[0], "message", b"")).type == "multipart/mixed"
