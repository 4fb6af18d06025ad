"""Blob/get: properties, ranges, digests, and what a response may hold (RFC 9404 §4.2)."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.blob.getting import Wanted, _shown
from minijmap.jmap import blobreading
from minijmap.jmap.engine import Limits

TEXT = "Grüße 😀"
OCTETS = TEXT.encode()


@pytest.fixture
def blob_id(blobs):
    """A text with characters of two and of four octets."""
    return blobs.text(TEXT)


def got(blobs, blob_id, **arguments):
    """What is shown of one blob, without its id."""
    answered = blobs.one("Blob/get", ids=[blob_id], **arguments)
    (shown,) = answered["list"]
    assert answered["notFound"] == []
    assert shown.pop("id") == blob_id
    return shown


def test_the_defaults(blobs, blob_id):
    """Data and size, whole."""
    assert got(blobs, blob_id) == {"data:asText": TEXT, "size": 12}
    assert got(blobs, blob_id, properties=None, offset=None, length=None) == {"data:asText": TEXT, "size": 12}


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([], {}),
        (["id"], {}),
        (["size", "size"], {"size": 12}),
        (["data"], {"data:asText": TEXT}),
        (["data", "data:asText"], {"data:asText": TEXT}),
        (["data:asBase64"], {"data:asBase64": base64.b64encode(OCTETS).decode()}),
        (["data", "data:asBase64"], {"data:asText": TEXT, "data:asBase64": base64.b64encode(OCTETS).decode()}),
        (["digest:sha-512"], {"digest:sha-512": base64.b64encode(hashlib.sha512(OCTETS).digest()).decode()}),
    ],
)
def test_each_property_by_itself(blobs, blob_id, names, shown):
    """Just what was asked for."""
    assert got(blobs, blob_id, properties=names) == shown


@pytest.mark.parametrize(
    ("offset", "length", "shown"),
    [
        (0, 2, {"data:asText": "Gr"}),
        (0, 3, {"data:asText": None, "isEncodingProblem": True}),
        (3, 1, {"data:asText": None, "isEncodingProblem": True}),
        (2, 2, {"data:asText": "ü"}),
        (8, 4, {"data:asText": "😀"}),
        (8, 3, {"data:asText": None, "isEncodingProblem": True}),
        (8, 5, {"data:asText": "😀", "isTruncated": True}),
        (9, 9, {"data:asText": None, "isEncodingProblem": True, "isTruncated": True}),
        (12, None, {"data:asText": ""}),
        (12, 0, {"data:asText": ""}),
        (12, 1, {"data:asText": "", "isTruncated": True}),
        (13, None, {"data:asText": "", "isTruncated": True}),
        (13, 0, {"data:asText": "", "isTruncated": True}),
        (None, 0, {"data:asText": ""}),
        (2**53 - 1, 2**53 - 1, {"data:asText": "", "isTruncated": True}),
    ],
)
def test_ranges_of_text(blobs, blob_id, offset, length, shown):
    """A character cut in two is no text; what goes past the end is what there is of it, and said so."""
    assert got(blobs, blob_id, properties=["data:asText"], offset=offset, length=length) == shown
    whole = got(blobs, blob_id, properties=["size", "data:asText"], offset=offset, length=length)
    assert whole["size"] == 12


@pytest.mark.parametrize("names", [["size"], ["id"], ["digest:sha"], []])
def test_a_range_past_the_end_is_told_whatever_is_asked_for(blobs, names):
    """`isTruncated` says that the range is not there in full, even where no octets are shown (RFC 9404 §4.2)."""
    blob_id = blobs.text("hello")
    for offset, length in ((2, 4), (6, None)):
        assert got(blobs, blob_id, properties=names, offset=offset, length=length)["isTruncated"] is True
    assert "isTruncated" not in got(blobs, blob_id, properties=names, offset=2, length=3)


def test_octets_that_are_no_text(blobs):
    """`data` is base64 then; a digest needs no text."""
    blob_id = blobs.upload({"data:asBase64": "gYE="})["id"]
    assert got(blobs, blob_id, properties=["data"]) == {"data:asBase64": "gYE=", "isEncodingProblem": True}
    assert got(blobs, blob_id, properties=["data:asBase64"]) == {"data:asBase64": "gYE="}
    assert got(blobs, blob_id, properties=["digest:sha"], offset=1) == {
        "digest:sha": base64.b64encode(hashlib.sha1(b"\x81").digest()).decode()  # noqa: S324 - the RFC's own name
    }


@pytest.mark.parametrize(
    "names", [["digest:md5"], ["digest:SHA"], ["digest:"], ["text"], ["isTruncated"], ["data:astext"], ["size", ""]]
)
def test_properties_that_are_not_there(blobs, blob_id, names):
    """The call is refused (RFC 8620 §5.1)."""
    answered = blobs.one("Blob/get", ids=[blob_id], properties=names)
    assert (answered["type"], answered["arguments"]) == ("invalidArguments", ["properties"])


@pytest.mark.parametrize("arguments", [{}, {"ids": None}, {"ids": ["b"], "offset": -1}, {"ids": ["b"], "length": "1"}])
def test_arguments_that_are_wrong(blobs, arguments):
    """Blobs can't be listed; a range has no sign."""
    assert blobs.one("Blob/get", **arguments)["type"] == "invalidArguments"


def test_who_has_a_blob_sees_it(house, blobs, blob_id):
    """Unknown ones and other people's are not found; one is shown once."""
    foreign = blobs.text("bob's", user="bob@example.com")
    answered = blobs.one("Blob/get", ids=[foreign, blob_id, "none", blob_id], properties=["size"])
    assert answered == {
        "accountId": house.account(),
        "list": [{"id": blob_id, "size": 12}],
        "notFound": [foreign, "none"],
    }


def test_the_part_of_a_message(house, blobs):
    """Its size is that of the decoded content."""
    raw = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"decoded") + b"\r\n"
    email = house.deliver(raw)
    (shown,) = house.call("Email/get", {"ids": [email], "properties": ["textBody"]})["list"]
    part = shown["textBody"][0]["blobId"]
    assert got(blobs, part, offset=2) == {"data:asText": "coded", "size": 7}


def test_a_response_has_room_for_one_largest_blob(house, blobs):
    """And no more in one request; sizes cost nothing."""
    house.engine.limits = Limits(max_size_upload=24)
    blob_id = blobs.text(TEXT)
    other = blobs.text("x" * 13)
    fits, too_much = (["data:asText", "data:asBase64"], ["data:asText"])
    (_, first), (_, second), (_, third) = blobs.run(
        ("Blob/get", {"ids": [blob_id], "properties": fits}),
        ("Blob/get", {"ids": [other], "properties": too_much, "length": 1}),
        ("Blob/get", {"ids": [blob_id, other], "properties": ["size"]}),
    )
    assert len(first["list"]) == 1
    assert second["type"] == "requestTooLarge"
    assert len(third["list"]) == 2


def test_too_many_ids(blobs):
    """More than maxObjectsInGet."""
    assert blobs.one("Blob/get", ids=[f"b{n}" for n in range(1001)])["type"] == "requestTooLarge"


def test_what_a_request_has_read_is_counted(house, blob_id):
    """Octets that are read, decoded and digested; each blob is read once in a call."""
    from collections import Counter

    from minijmap.jmap.call import Call, snapshot_of
    from minijmap.jmap.session import login_of

    login = login_of(house.users["alice@example.com"])
    with snapshot_of(house.database) as snapshot:
        call = Call(house.engine, login, snapshot, {}, "Blob/get", {}, "c", frozenset(), Counter())
        reader = blobreading.BlobReader(call, login.accounts[0])
        assert reader.size(blob_id) == 12
        assert call.spent[blobreading.READ] == 0
        assert [reader.octets(blob_id), reader.octets(blob_id)] == [OCTETS, OCTETS]
        assert call.spent[blobreading.READ] == 12
        nested = f"{blob_id}-0-7-n-0-4-b"
        assert [reader.size(nested), reader.octets(nested)] == [1, b"\x1a"]
        assert call.spent[blobreading.READ] == 12 + 11
        call.spent[blobreading.READ] = blobreading.MOST_READ
        with pytest.raises(blobreading.TooMuchToRead):
            reader.octets(f"{blob_id}-0-1-n")
        assert reader.octets("none") is None


@given(octets=st.binary(max_size=12), offset=st.integers(0, 14), length=st.one_of(st.none(), st.integers(0, 14)))
@settings(max_examples=200, deadline=None)
def test_a_range_is_a_slice(octets, offset, length):
    """What is shown is Python's slice, as text if it is UTF-8; what could not be satisfied is said."""
    wanted = Wanted(("data", "data:asText", "data:asBase64", "digest:sha-256"), offset, length)
    start, end, truncated = wanted.range_of(len(octets))
    piece = octets[offset:] if length is None else octets[offset : offset + length]
    shown = _shown(octets[start:end], wanted.names)

    assert base64.b64decode(shown["data:asBase64"]) == piece
    assert base64.b64decode(shown["digest:sha-256"]) == hashlib.sha256(piece).digest()
    assert truncated == (offset + (length or 0) > len(octets))
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        text = None
    assert shown["data:asText"] == text
    assert shown.get("isEncodingProblem", False) == (text is None)
