"""Blob/upload: what blobs are made of, what is refused, and what may refer to them (RFC 9404 §4.1)."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.blob.sources import Range, read_upload
from minijmap.jmap.engine import Limits
from minijmap.jmap.errors import SetError
from minijmap.store import blobs as stored
from tests.conftest import CORE, MAIL

BLOB = "urn:ietf:params:jmap:blob"
FOX = "The quick brown fox"


def content(house, blob_id, user="alice@example.com"):
    """The octets that an account has under an id."""
    with house.database.read() as reader:
        return stored.open_blob(reader, house.users[user].account, blob_id)


@pytest.mark.parametrize(
    ("sources", "octets"),
    [
        ([], b""),
        ([{"data:asText": ""}], b""),
        ([{"data:asBase64": ""}], b""),
        ([{"data:asText": "é\u0000\U0001f600"}], "é\u0000\U0001f600".encode()),
        ([{"data:asBase64": "/+8="}, {"data:asText": "x"}, {"data:asBase64": "AA=="}], b"\xff\xefx\x00"),
        ([{"data:asText": "a", "data:asBase64": None, "blobId": None, "offset": None, "length": None}], b"a"),
    ],
)
def test_octets_are_put_together_in_order(house, blobs, sources, octets):
    """Text, base64 and nothing at all; null is as if it were not there."""
    made = blobs.upload(*sources)

    assert made == {"id": stored.pack(octets).blob_id, "type": "application/octet-stream", "size": len(octets)}
    assert content(house, made["id"]) == octets


@pytest.mark.parametrize(
    ("part", "octets"),
    [
        ({}, b"The quick brown fox"),
        ({"offset": None, "length": None}, b"The quick brown fox"),
        ({"offset": 4}, b"quick brown fox"),
        ({"length": 3}, b"The"),
        ({"offset": 4, "length": 5}, b"quick"),
        ({"offset": 0, "length": 0}, b""),
        ({"offset": 19}, b""),
        ({"offset": 19, "length": 0}, b""),
        ({"offset": 19, "length": 1}, None),
        ({"offset": 20}, None),
        ({"offset": 20, "length": 0}, None),
        ({"length": 20}, None),
        ({"offset": 2**53 - 1, "length": 2**53 - 1}, None),
    ],
)
def test_ranges_of_blobs(house, blobs, part, octets):
    """A range that can't be fully satisfied is refused: nothing is guessed."""
    made = blobs.upload({"blobId": blobs.text(FOX), **part})

    if octets is None:
        assert (made["type"], made["properties"]) == ("invalidProperties", ["data"])
        assert "past the end" in made["description"]
    else:
        assert content(house, made["id"]) == octets


@pytest.mark.parametrize(
    "source",
    [
        "text",
        None,
        {},
        {"data:asText": None},
        {"data:asText": "a", "data:asBase64": "YQ=="},
        {"data:asText": 1},
        {"data:asText": "a", "offset": 0},
        {"data:asBase64": "YQ==", "length": 1},
        {"data:asBase64": "YQ"},
        {"data:asBase64": "YQ="},
        {"data:asBase64": "YQ==="},
        {"data:asBase64": "YQ==YQ=="},
        {"data:asBase64": "Y Q=="},
        {"data:asBase64": "YQ==\n"},
        {"data:asBase64": "_-8="},
        {"data:asBase64": "é==="},
        {"data:asBase64": "="},
        {"data:asBase64": ["YQ=="]},
        {"data:asHex": "61"},
        {"data:asText": "a", "more": 1},
        {"blobId": "no id!"},
        {"blobId": 7},
        {"blobId": "b1", "offset": -1},
        {"blobId": "b1", "offset": "0"},
        {"blobId": "b1", "length": 1.5},
        {"blobId": "b1", "length": True},
    ],
)
def test_a_source_that_is_wrong_fails_its_blob_alone(blobs, source):
    """Whatever it is, the place is named and the sibling is made (RFC 9404 §4.1)."""
    create = {"bad": {"data": [{"data:asText": "a"}, source]}, "good": {"data": [{"data:asText": "good"}]}}
    answered = blobs.one("Blob/upload", create=create)

    assert list(answered["created"]) == ["good"]
    refused = answered["notCreated"]["bad"]
    assert (refused["type"], refused["properties"]) == ("invalidProperties", ["data"])
    assert "data/1" in refused["description"]


@pytest.mark.parametrize(
    ("upload", "properties"),
    [
        ({}, ["data"]),
        ({"data": None}, ["data"]),
        ({"data": {}}, ["data"]),
        ({"data": [], "type": 1}, ["type"]),
        ({"data": [], "type": "x" * 256}, ["type"]),
        ({"data": [], "name": "a"}, ["name"]),
        ({"data": [{"data:asText": ""}] * 65}, ["data"]),
        ({"data": [{"data:asText": ""}] * 9000}, ["data"]),
    ],
)
def test_an_upload_that_is_wrong(blobs, upload, properties):
    """The properties at fault are named; thousands of sources are one sentence."""
    refused = blobs.one("Blob/upload", create={"x": upload})["notCreated"]["x"]

    assert (refused["type"], refused["properties"]) == ("invalidProperties", properties)


def test_sixty_four_sources_are_taken(house, blobs):
    """As many as a server must take (RFC 9404 §3.1)."""
    made = blobs.upload(*[{"data:asText": str(number)} for number in range(64)])

    assert content(house, made["id"]) == "".join(map(str, range(64))).encode()


def test_blobs_that_are_not_there(house, blobs):
    """Unknown, another account's, a creation id of nothing: told by name."""
    foreign = blobs.text("bob's", user="bob@example.com")
    for blob_id in ("b" + "0" * 40, foreign, "#nothing"):
        refused = blobs.upload({"blobId": blob_id})
        assert (refused["type"], refused["notFound"]) == ("blobNotFound", [blob_id])
    assert content(house, foreign, "bob@example.com") == b"bob's"


def test_blobs_of_the_same_call_in_any_order(house, blobs):
    """Each is made after those that it is made of; what goes round in a circle is refused, and who waits for it."""
    create = {
        "c": {"data": [{"blobId": "#b"}, {"blobId": "#a", "length": 1}]},
        "b": {"data": [{"blobId": "#a"}, {"data:asText": "b"}]},
        "a": {"data": [{"data:asText": "aa"}]},
        "x": {"data": [{"blobId": "#y"}]},
        "y": {"data": [{"blobId": "#x"}]},
        "self": {"data": [{"blobId": "#self"}]},
        "bad": {"data": [{"data:asBase64": "?"}]},
        "on": {"data": [{"blobId": "#bad"}]},
    }
    answered = blobs.one("Blob/upload", create=create)

    assert {name: content(house, one["id"]) for name, one in answered["created"].items()} == {
        "c": b"aaba",
        "b": b"aab",
        "a": b"aa",
    }
    assert {name: one["type"] for name, one in answered["notCreated"].items()} == {
        "x": "blobNotFound",
        "y": "blobNotFound",
        "self": "blobNotFound",
        "bad": "invalidProperties",
        "on": "blobNotFound",
    }


def test_a_chain_as_long_as_a_call(blobs):
    """No depth of Python's own ends it."""
    create = {f"n{number}": {"data": [{"blobId": f"#n{number + 1}"}]} for number in range(999)}
    create["n999"] = {"data": [{"data:asText": "end"}]}
    answered = blobs.one("Blob/upload", create=create)

    assert answered["notCreated"] is None
    assert {one["size"] for one in answered["created"].values()} == {3}


def test_the_creation_id_is_known_to_later_calls(house, blobs):
    """Of the request, and in createdIds of the answer, asked for or not (RFC 9404 §4.1)."""
    mime = "Subject: from a blob\r\n\r\nhello\r\n"
    (_, made), (_, imported), (_, parsed), (_, got) = blobs.run(
        ("Blob/upload", {"create": {"B": {"data": [{"data:asText": mime}]}}}),
        ("Email/import", {"emails": {"E": {"blobId": "#B", "mailboxIds": {house.mailbox("inbox"): True}}}}),
        ("Email/parse", {"blobIds": ["#B"], "properties": ["subject"]}),
        ("Blob/get", {"ids": ["#B"]}),
    )
    blob_id = made["created"]["B"]["id"]
    assert imported["created"]["E"]["blobId"] == blob_id
    assert parsed["parsed"] == {blob_id: {"subject": "from a blob"}}
    assert got["list"][0]["data:asText"] == mime
    calls = [["Blob/upload", {"accountId": house.account(), "create": {"C": {"data": [{"data:asText": "c"}]}}}, "1"]]
    answered = house.answer({"using": [CORE, BLOB], "methodCalls": calls, "createdIds": {"B": blob_id}})
    assert answered["createdIds"] == {"B": blob_id, "C": stored.pack(b"c").blob_id}


def test_an_attachment_by_creation_id(house, blobs):
    """A draft is made of a blob that the call before it has made."""
    draft = {
        "mailboxIds": {house.mailbox("drafts"): True},
        "subject": "with a picture",
        "attachments": [{"blobId": "#B", "type": "image/png", "name": "a.png"}],
    }
    (_, made), (_, created), (_, refused) = blobs.run(
        ("Blob/upload", {"create": {"B": {"data": [{"data:asBase64": "iVBORw=="}]}}}),
        ("Email/set", {"create": {"E": draft}}),
        ("Email/set", {"create": {"F": {**draft, "attachments": [{"blobId": "#N", "type": "image/png"}]}}}),
    )
    email = created["created"]["E"]["id"]
    (shown,) = house.call("Email/get", {"ids": [email], "properties": ["attachments"]})["list"]
    assert content(house, shown["attachments"][0]["blobId"]) == content(house, made["created"]["B"]["id"])
    assert refused["notCreated"]["F"]["type"] == "blobNotFound"


def test_a_script_and_a_picture_by_creation_id(house, blobs):
    """Any Id of any type that refers to a blob: RFC 9661 §2.4's own example, and a card's picture."""
    sieve, contacts = "urn:ietf:params:jmap:sieve", "urn:ietf:params:jmap:contacts"
    card = {"name": {"full": "Ann"}, "media": {"p": {"@type": "Media", "kind": "photo", "blobId": "#P"}}}
    create = {"B": {"data": [{"data:asText": "keep;"}]}, "P": {"data": [{"data:asBase64": "iVBORw0KGgo="}]}}
    (_, made), (_, scripts), (_, cards) = blobs.run(
        ("Blob/upload", {"create": create}),
        ("SieveScript/set", {"create": {"A": {"name": "x", "blobId": "#B"}}, "onSuccessActivateScript": "#A"}),
        ("ContactCard/set", {"create": {"C": {"addressBookIds": {book(house): True}, **card}}}),
        using=(CORE, BLOB, sieve, contacts),
    )
    assert scripts["created"]["A"]["isActive"] is True
    assert cards["notCreated"] is None
    using = (CORE, BLOB, sieve, contacts)
    for name, kind, one in (("B", "SieveScript", scripts["created"]["A"]), ("P", "ContactCard", cards["created"]["C"])):
        found = blobs.one("Blob/lookup", using=using, typeNames=[kind], ids=[made["created"][name]["id"]])
        assert found["list"][0]["matchedIds"] == {kind: [one["id"]]}


def book(house):
    """The default address book."""
    using = (CORE, "urn:ietf:params:jmap:contacts")
    (answered,) = house.request(["AddressBook/get", {"accountId": house.account(), "ids": None}, "b"], using=using)
    return answered[1]["list"][0]["id"]


def test_the_part_of_a_message_is_a_source(house, blobs):
    """A blob is a blob, whether it was uploaded or is the decoded range of another."""
    raw = (
        b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"decoded text") + b"\r\n"
    )
    email = house.deliver(raw)
    (shown,) = house.call("Email/get", {"ids": [email], "properties": ["textBody", "blobId"]})["list"]
    made = blobs.upload(
        {"blobId": shown["textBody"][0]["blobId"], "offset": 8}, {"blobId": shown["blobId"], "length": 4}
    )

    assert content(house, made["id"]) == b"textMIME"


def test_sizes_have_a_limit(house, blobs):
    """A blob too large is tooLarge, and a request that makes too much of them is told so; the siblings are made."""
    from minijmap.blob.family import family

    house.engine.methods |= {one.name: one for one in family([], 100).methods}
    house.engine.limits = Limits(max_size_upload=100)
    fifty = blobs.text("x" * 50)
    create = {
        "fits": {"data": [{"blobId": fifty}] * 2},
        "larger": {"data": [{"blobId": fifty}] * 2 + [{"data:asText": "y"}]},
        "again": {"data": [{"blobId": fifty}, {"data:asText": "z" * 50}]},
        "toomuch": {"data": [{"data:asText": "a"}]},
        "empty": {"data": []},
    }
    answered = blobs.one("Blob/upload", create=create)

    assert list(answered["created"]) == ["fits", "again", "empty"]
    assert {name: one["type"] for name, one in answered["notCreated"].items()} == {
        "larger": "tooLarge",
        "toomuch": "rateLimit",
    }


def test_too_many_at_once(blobs):
    """More than maxObjectsInSet is refused whole."""
    create = {f"n{number}": {"data": []} for number in range(1001)}

    assert blobs.one("Blob/upload", create=create)["type"] == "requestTooLarge"


@pytest.mark.parametrize("create", [None, [], {"#a": {"data": []}}, {"a": "text"}, {"a b": {"data": []}}])
def test_what_is_no_map_of_uploads(blobs, create):
    """The call is refused."""
    assert blobs.one("Blob/upload", create=create)["type"] == "invalidArguments"


def test_the_account_must_be_ones_own(house):
    """And the capability be named, where that is asked for strictly."""
    (answered,) = house.request(["Blob/upload", {"accountId": "a99", "create": {}}, "1"], using=(CORE, BLOB))
    assert answered[1]["type"] == "accountNotFound"
    house.engine = house.make_engine(strict_using=True)
    (answered,) = house.request(["Blob/upload", {"accountId": house.account(), "create": {}}, "1"], using=(CORE, MAIL))
    assert answered[1]["type"] == "unknownMethod"


def test_it_is_kept_for_a_day_and_no_longer(house, blobs):
    """Unless something refers to it (RFC 9404 §4.1, RFC 8620 §6)."""
    free, used = blobs.text("nobody's"), blobs.text("Subject: mine\r\n\r\nx\r\n")
    emails = {"e": {"blobId": used, "mailboxIds": {house.mailbox("inbox"): True}}}
    assert house.call("Email/import", {"emails": emails})["created"]
    house.now += 24 * 3600
    house.database.write(lambda tx: stored.collect(tx, int(house.now * 1000)))
    assert content(house, free) is not None
    house.now += 1
    house.database.write(lambda tx: stored.collect(tx, int(house.now * 1000)))
    assert content(house, free) is None
    assert content(house, used) is not None


def test_a_blob_outlives_the_call_that_lets_it_go(house, blobs):
    """What one call destroys the next may still use (RFC 8620 §6)."""
    email = house.deliver(b"Subject: a\r\n\r\nthe body\r\n")
    (shown,) = house.call("Email/get", {"ids": [email], "properties": ["blobId", "textBody"]})["list"]
    place = {house.mailbox("drafts"): True}
    part = {"mailboxIds": place, "textBody": [{"blobId": shown["textBody"][0]["blobId"], "type": "text/plain"}]}
    (_, both), (_, imported) = blobs.run(
        ("Email/set", {"create": {"d": part}, "destroy": [email]}),
        ("Email/import", {"emails": {"e": {"blobId": shown["blobId"], "mailboxIds": place}}}),
    )
    assert both["destroyed"] == [email]
    assert both["created"]["d"]
    assert imported["created"]["e"]["blobId"] == shown["blobId"]


@given(
    sources=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "data:asText": st.one_of(st.none(), st.text(max_size=5)),
                "data:asBase64": st.one_of(st.none(), st.text("AZaz09+/=-_ \n", max_size=8)),
                "blobId": st.one_of(st.none(), st.sampled_from(("b1", "#b", "", "é"))),
                "offset": st.one_of(st.none(), st.integers(-1, 3)),
                "length": st.one_of(st.none(), st.integers(-1, 3)),
            },
        ),
        max_size=3,
    )
)
@settings(max_examples=200, deadline=None)
def test_every_source_is_read_or_refused(sources):
    """What is read is what an independent decoder reads."""
    try:
        upload = read_upload({"data": sources})
    except SetError as error:
        refused = (error.error_type, error.members)
    else:
        refused = None
    if refused is not None:
        assert refused == ("invalidProperties", {"properties": ["data"]})
        return
    for said, read in zip(sources, upload.sources, strict=True):
        if isinstance(read, Range):
            assert (read.blob_id, read.offset, read.length) == (
                said["blobId"],
                said.get("offset") or 0,
                said.get("length"),
            )
        elif said.get("data:asText") is not None:
            assert read == said["data:asText"].encode()
        else:
            assert read == base64.b64decode(said["data:asBase64"], validate=True)
