"""The examples of RFC 9404, asked and answered: ids are ours, all else is as printed.

Where the RFC's text and its examples differ, the text is followed: a `data:asText` that was asked for is null, not left
out, when the octets are no text (§4.2); an unknown blob is in `list` too (§4.3).
"""

from tests.conftest import CORE, MAIL

BLOB = "urn:ietf:params:jmap:blob"
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQMAAAAl21bKAAAAA1BMVEX/AAAZ4gk3AAAAAXRSTlN/gFy0ywAAAApJRE"
    "FUeJxjYgAAAAYAAzY3fKgAAAAASUVORK5CYII="
)
FOX = "The quick brown fox jumped over the lazy dog."
BROKEN = "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wZWQgb3ZlciB0aGUggYEgZG9nLg=="


def transcript(house, *calls):
    """Make the calls of an example in one request, with the account's id; return the answers' arguments."""
    given = [[name, {"accountId": house.account(), **arguments}, call_id] for name, arguments, call_id in calls]
    answers = house.request(*given, using=(CORE, MAIL, BLOB))
    assert [(one[0], one[2]) for one in answers] == [(one[0], one[2]) for one in calls]
    return [{name: value for name, value in one[1].items() if name != "accountId"} for one in answers]


def test_the_capability(house):
    """§3.1.1: an empty object in the Session, the limits in the account."""
    found = house.engine.capabilities[BLOB]
    assert found.session == {}
    described = found.account(None)
    assert described == {
        "maxSizeBlobSet": 50000000,
        "maxDataSources": 64,
        "supportedTypeNames": described["supportedTypeNames"],
        "supportedDigestAlgorithms": ["sha-256", "sha-512", "sha"],
    }
    assert {"Mailbox", "Thread", "Email"} <= set(described["supportedTypeNames"])


def test_upload_simple(house):
    """§4.1.1."""
    (answered,) = transcript(
        house, ["Blob/upload", {"create": {"1": {"data": [{"data:asBase64": PNG}], "type": "image/png"}}}, "R1"]
    )
    blob_id = answered["created"]["1"]["id"]
    assert answered == {"created": {"1": {"id": blob_id, "type": "image/png", "size": 95}}, "notCreated": None}


def test_upload_complex(house):
    """§4.1.2: one blob is made of pieces of another, and read in the same request."""
    sources = [
        {"data:asText": "How"},
        {"blobId": "#b4", "length": 7, "offset": 3},
        {"data:asText": "was t"},
        {"blobId": "#b4", "length": 1, "offset": 1},
        {"data:asBase64": "YXQ/"},
    ]
    first, second, third = transcript(
        house,
        ["Blob/upload", {"create": {"b4": {"data": [{"data:asText": FOX}]}}}, "S4"],
        ["Blob/upload", {"create": {"cat": {"data": sources}}}, "CAT"],
        ["Blob/get", {"properties": ["data:asText", "size"], "ids": ["#cat"]}, "G4"],
    )
    kind = "application/octet-stream"
    fox, cat = first["created"]["b4"]["id"], second["created"]["cat"]["id"]
    assert first == {"created": {"b4": {"id": fox, "size": 45, "type": kind}}, "notCreated": None}
    assert second == {"created": {"cat": {"id": cat, "size": 19, "type": kind}}, "notCreated": None}
    assert third == {"list": [{"id": cat, "data:asText": "How quick was that?", "size": 19}], "notFound": []}


def test_get_simple(house):
    """§4.2.1: digests of a blob, and of a range of it."""
    (made,) = transcript(house, ["Blob/upload", {"create": {"a": {"data": [{"data:asText": FOX}]}}}, "S"])
    fox = made["created"]["a"]["id"]
    some, every = ["data:asText", "digest:sha", "size"], ["data:asText", "digest:sha", "digest:sha-256", "size"]
    first, second = transcript(
        house,
        ["Blob/get", {"ids": [fox, "not-a-blob"], "properties": some}, "R1"],
        ["Blob/get", {"ids": [fox], "properties": every, "offset": 4, "length": 9}, "R2"],
    )
    assert first == {
        "list": [{"id": fox, "data:asText": FOX, "digest:sha": "wIVPufsDxBzOOALLDSIFKebu+U4=", "size": 45}],
        "notFound": ["not-a-blob"],
    }
    assert second["list"] == [
        {
            "id": fox,
            "data:asText": "quick bro",
            "digest:sha": "QiRAPtfyX8K6tm1iOAtZ87Xj3Ww=",
            "digest:sha-256": "gdg9INW7lwHK6OQ9u0dwDz2ZY/gubi0En0xlFpKt0OA=",
            "size": 45,
        }
    ]


def test_get_with_range_and_encoding_errors(house):
    """§4.2.2."""
    create = {
        "b1": {"data": [{"data:asBase64": BROKEN}]},
        "b2": {"data": [{"data:asText": "hello world"}], "type": "text/plain"},
    }
    ids = ["#b1", "#b2"]
    made, *answers = transcript(
        house,
        ["Blob/upload", {"create": create}, "S1"],
        ["Blob/get", {"ids": ids}, "G1"],
        ["Blob/get", {"ids": ids, "properties": ["data:asText", "size"]}, "G2"],
        ["Blob/get", {"ids": ids, "properties": ["data:asBase64", "size"]}, "G3"],
        ["Blob/get", {"offset": 0, "length": 5, "ids": ids}, "G4"],
        ["Blob/get", {"offset": 20, "length": 100, "ids": ids}, "G5"],
    )
    b1, b2 = made["created"]["b1"]["id"], made["created"]["b2"]["id"]
    assert made["created"] == {
        "b1": {"id": b1, "size": 43, "type": "application/octet-stream"},
        "b2": {"id": b2, "size": 11, "type": "text/plain"},
    }
    assert [one["list"] for one in answers] == [
        [
            {"id": b1, "isEncodingProblem": True, "data:asBase64": BROKEN, "size": 43},
            {"id": b2, "data:asText": "hello world", "size": 11},
        ],
        [
            {"id": b1, "isEncodingProblem": True, "data:asText": None, "size": 43},
            {"id": b2, "data:asText": "hello world", "size": 11},
        ],
        [
            {"id": b1, "data:asBase64": BROKEN, "size": 43},
            {"id": b2, "data:asBase64": "aGVsbG8gd29ybGQ=", "size": 11},
        ],
        [{"id": b1, "data:asText": "The q", "size": 43}, {"id": b2, "data:asText": "hello", "size": 11}],
        [
            {
                "id": b1,
                "isTruncated": True,
                "isEncodingProblem": True,
                "data:asBase64": "anVtcGVkIG92ZXIgdGhlIIGBIGRvZy4=",
                "size": 43,
            },
            {"id": b2, "isTruncated": True, "data:asText": "", "size": 11},
        ],
    ]


def test_lookup(house):
    """§4.3.1."""
    email = house.deliver(b"Subject: a\r\n\r\nb\r\n")
    (shown,) = house.call("Email/get", {"ids": [email], "properties": ["blobId", "threadId", "mailboxIds"]})["list"]
    (answered,) = transcript(
        house,
        ["Blob/lookup", {"typeNames": ["Mailbox", "Thread", "Email"], "ids": [shown["blobId"], "not-a-blob"]}, "R1"],
    )
    assert answered == {
        "list": [
            {
                "id": shown["blobId"],
                "matchedIds": {
                    "Mailbox": list(shown["mailboxIds"]),
                    "Thread": [shown["threadId"]],
                    "Email": [email],
                },
            },
            {"id": "not-a-blob", "matchedIds": {"Mailbox": [], "Thread": [], "Email": []}},
        ],
        "notFound": ["not-a-blob"],
    }
