"""Media of a card: blobs in, `data:` URIs made blobs, and what is no image is no photo (RFC 9610 §3, §3.5)."""

import base64
import json

import pytest

from minijmap.contacts import media
from minijmap.contacts.capability import MOST_MEDIA_OCTETS
from minijmap.store import blobs
from tests.contacts.household import (
    ALICE,
    BOB,
    PNG,
    PNG_URI,
    add,
    as_both,
    change,
    create,
    damage,
    default_book,
    download,
    get,
    refused,
    set_card,
    upload,
)

JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 60
SVG = b'<?xml version="1.0"?>\n<!-- mine -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'


def photo(**members):
    """A card with one photo."""
    return {"media": {"m": {"kind": "photo", **members}}}


def uses(house):
    """How many blobs are kept for cards."""
    with house.database.read() as reader:
        return reader.value("SELECT count(*) FROM blob_use WHERE type = 'ContactCard'")


def test_an_uploaded_photo_gets_its_type(house):
    """By its octets, where the client does not say; what it says stands."""
    blob_id = upload(house, PNG)
    answer = create(house, photo(blobId=blob_id))
    kept = {"m": {"kind": "photo", "blobId": blob_id, "mediaType": "image/png"}}
    assert answer["created"]["k"]["media"] == kept
    assert get(house, answer["created"]["k"]["id"])["media"] == kept
    answer = create(house, photo(blobId=blob_id, mediaType="image/x-png", label="Me"))
    assert "media" not in answer["created"]["k"]
    assert get(house, answer["created"]["k"]["id"])["media"]["m"]["mediaType"] == "image/x-png"


@pytest.mark.parametrize(
    "prefix", ["data:image/png;base64,", "DATA:image/png;BASE64,", "data:;base64,", "data:text/plain;base64,"]
)
def test_a_data_uri_becomes_a_blob(house, prefix):
    """In a create and in any sort of patch; the answer says so, and the octets are the same."""
    uri = prefix + base64.b64encode(PNG).decode()
    blob_id = blobs.pack(PNG).blob_id
    kept = {"kind": "photo", "blobId": blob_id, "mediaType": "image/png"}
    answer = create(house, photo(uri=uri))
    card = answer["created"]["k"]["id"]
    assert answer["created"]["k"]["media"] == {"m": kept}
    assert download(house, blob_id) == PNG
    for patch in ({"media": {"n": {"kind": "photo", "uri": uri}}}, {"media/n": {"kind": "photo", "uri": uri}}):
        assert change(house, card, patch)["media"]["n"] == kept
        assert get(house, card)["media"]["n"] == kept
    assert change(house, card, {"media/n/blobId": None, "media/n/uri": uri})["media"]["n"] == kept
    assert damage(house) == []


def test_other_data_stays(house):
    """A URI that is damaged, one elsewhere in the card, one of another scheme."""
    card = {
        "media": {
            "cut": {"kind": "photo", "uri": "data:image/jpeg;base64,/9j/4AAQ/4..."},
            "far": {"kind": "logo", "uri": "https://www.example.com/logo.jpg"},
            "cid": {"kind": "sound", "uri": "CID:part8@example.com"},
        },
        "cryptoKeys": {"k": {"uri": "data:application/pgp-keys;base64,QUJD"}},
    }
    shown = get(house, add(house, card))
    assert {name: shown[name] for name in card} == card
    assert uses(house) == 0


@pytest.mark.parametrize("octets", [b"GIF89a....", JPEG, SVG, b"RIFF\0\0\0\0WEBPVP8 ", b"\0\0\0\x1cftypavif", b"BM.."])
def test_images_are_recognised(house, octets):
    """The formats that people have photos in."""
    assert add(house, photo(blobId=upload(house, octets)))


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"%PDF-1.7", "photo"), (b"<html></html>", "logo"), (b"", "photo"), (b"ID3\x03", "photo"), (b"MZ", "logo"),
        (b"<?xml version='1.0'?><rss/>", "photo"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_no_photo(house, octets, kind):
    """By blob or by URI, in a create or a patch; nothing is kept for it (RFC 9610 §3.5)."""
    one = {"kind": kind, "blobId": upload(house, octets)}
    assert refused(house, {"media": {"m": one}})["properties"] == ["media/m/blobId"]
    uri = "data:image/png;base64," + base64.b64encode(octets).decode()
    assert refused(house, {"media": {"m": {"kind": kind, "uri": uri}}})["properties"] == ["media/m/uri"]
    card = add(house)
    assert change(house, card, {"media": {"m": one}})["properties"] == ["media/m/blobId"]
    assert uses(house) == 0


def test_sounds_are_taken_as_they_are(house):
    """Whatever a phone has recorded; the type is what the octets tell, or what the client says."""
    for octets, media_type in ((b"OggS\0", "audio/ogg"), (b"who knows", "application/octet-stream")):
        card = add(house, {"media": {"m": {"kind": "sound", "blobId": upload(house, octets)}}})
        assert get(house, card)["media"]["m"]["mediaType"] == media_type
    card = add(house, {"media": {"m": {"kind": "sound", "uri": "data:,a%20b"}}})
    assert get(house, card)["media"]["m"]["mediaType"] == "text/plain;charset=US-ASCII"
    assert download(house, get(house, card)["media"]["m"]["blobId"]) == b"a b"


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"blobId": "b" + "0" * 40}, "media/m/blobId"),
        ({"blobId": "nonsense"}, "media/m/blobId"),
        ({"blobId": 5}, "media/m/blobId"),
        ({"uri": "https://x/", "blobId": "b" + "0" * 40}, "media/m/blobId"),
        ({"mediaType": "image/png"}, "media/m"),
        ({"uri": PNG_URI, "mediaType": "text/html"}, "media/m/mediaType"),
        ({"uri": PNG_URI, "BlobId": "b"}, "media/m/BlobId"),
    ],
)
def test_what_is_wrong_with_media_is_named(house, members, path):
    """By its whole path."""
    assert refused(house, photo(**members))["properties"] == [path]


def test_another_accounts_blob_is_not_there(house):
    """It must be uploaded by, or in use in, the same account."""
    theirs = upload(house, PNG, "bob@example.com")
    assert refused(house, photo(blobId=theirs))["properties"] == ["media/m/blobId"]


def test_blobs_are_kept_as_long_as_a_card_has_them(house):
    """A blob that two media of a card share is one; what is replaced is let go."""
    blob_id, other = upload(house, PNG), upload(house, JPEG)
    card = add(house, {"media": {"a": {"kind": "photo", "blobId": blob_id}, "b": {"kind": "logo", "blobId": blob_id}}})
    assert uses(house) == 1
    house.now += 3 * 86_400
    house.database.write(lambda tx: blobs.collect(tx, int(house.now * 1000)))
    assert (download(house, blob_id), download(house, other)) == (PNG, None)
    assert change(house, card, {"media/a": None})["updated"]
    assert uses(house) == 1
    other = upload(house, JPEG)
    assert (
        change(house, card, {"media/b/blobId": other, "media/b/mediaType": None})["media"]["b"]["mediaType"]
        == "image/jpeg"
    )
    assert uses(house) == 1
    set_card(house, destroy=[card])
    assert uses(house) == 0
    assert damage(house) == []


def test_a_part_of_a_blob_becomes_one(house):
    """Such as an attachment of a message: it does not hang on the message."""
    whole = upload(house, b"head " + PNG)
    part = blobs.range_id(whole, 5, len(PNG), "n")
    card = add(house, photo(blobId=part))
    assert get(house, card)["media"]["m"]["blobId"] == blobs.pack(PNG).blob_id


def test_the_parts_of_blobs_in_a_call(house, monkeypatch):
    """Each is decoded once, and all together have no more octets than there is a bound for."""
    whole, books = upload(house, PNG + b"more"), {default_book(house): True}
    parts = [blobs.range_id(whole, 0, len(PNG) + more, "n") for more in (0, 1, 2, 0, 1, 2)]
    wanted = {f"k{at}": {"addressBookIds": books, **photo(blobId=part)} for at, part in enumerate(parts)}
    monkeypatch.setattr(media, "MOST_PARTS_OCTETS", 3 * len(PNG) + 3)
    assert set_card(house, create=wanted)["notCreated"] is None
    wanted |= {"m": {"addressBookIds": books, **photo(blobId=blobs.range_id(whole, 0, len(PNG) + 3, "n"))}}
    assert set_card(house, create=wanted)["type"] == "requestTooLarge"
    patch = {"media/m/blobId": parts[1]}
    changed = change(house, add(house, photo(blobId=parts[0])), patch)["media"]["m"]["blobId"]
    assert changed == blobs.pack(PNG + b"m").blob_id


def test_the_parts_of_blobs_in_a_copy(house, monkeypatch):
    """Those of the other account's blobs too; what is read for them is bound as well."""
    ask, book, card = as_both(house), default_book(house, BOB), add(house)
    whole = upload(house, PNG + b"more")
    part = photo(blobId=blobs.range_id(whole, 0, len(PNG), "n"))
    own = {"fromAccountId": house.account(), "accountId": house.account(BOB)}
    wanted = {name: {"id": card, "uid": name, "addressBookIds": {book: True}, **part} for name in "ab"}
    monkeypatch.setattr(media, "MOST_PARTS_OCTETS", 2 * len(PNG) + 4)
    ((_, answer, _),) = ask(["ContactCard/copy", {**own, "create": wanted}, "c"])
    assert answer["created"].keys() == {"a", "b"}
    assert download(house, blobs.pack(PNG).blob_id, BOB) == PNG
    monkeypatch.setattr(media, "MOST_PARTS_OCTETS", 2 * len(PNG) + 3)
    wanted["c"] = {**wanted.pop("a"), "uid": "c"}
    ((_, answer, _),) = ask(["ContactCard/copy", {**own, "create": wanted}, "c"])
    assert answer["type"] == "requestTooLarge"
    assert damage(house) == []


def test_blobs_in_localizations_are_kept_too(house):
    """A photo for one language must be there, and stays."""
    blob_id, other = upload(house, PNG), upload(house, JPEG)
    patches = {"de": {"media/m/blobId": other}}
    add(house, {**photo(blobId=blob_id), "localizations": patches})
    assert uses(house) == 2
    assert damage(house) == []


@pytest.mark.parametrize(
    "patch",
    [
        {"media/m/blobId": "b" + "0" * 40},
        {"media/m/blobId": "text"},
        {"media/m/blobId": "part"},
        {"media/m": {"kind": "logo", "blobId": "text"}},
        {"media": {"m": {"kind": "photo", "blobId": "text"}, "n": {"kind": "photo", "blobId": "png"}}},
        {"media/n": {"kind": "photo", "uri": "data:image/png;base64,aGVsbG8="}},
        {"media/m/mediaType": "text/plain"},
    ],
)
def test_a_photo_for_one_language_is_an_image_too(house, patch):
    """And a whole file that is there (RFC 9610 §3.5); what is refused is told by the patch that brings it."""
    whole = upload(house, PNG + b"more")
    ids = {"png": upload(house, PNG), "text": upload(house, b"text"), "part": blobs.range_id(whole, 0, len(PNG), "n")}
    (path,) = patch
    text = json.dumps(patch)
    for name, blob_id in ids.items():
        text = text.replace(f'"{name}"', f'"{blob_id}"')
    error = refused(house, {**photo(uri=PNG_URI), "localizations": {"de": json.loads(text)}})
    assert error["properties"] == [f"localizations/de/{path.replace('/', '~1')}"]
    assert uses(house) == 0


def test_a_uri_that_is_another_in_one_language_stays(house):
    """A blob in its place would leave the patch without what it replaces (RFC 9553 §2.7.1)."""
    patches = {"de": {"media/m/uri": "https://example.com/de.png"}}
    card = add(house, {**photo(uri=PNG_URI), "localizations": patches})
    assert get(house, card)["media"] == {"m": {"kind": "photo", "uri": PNG_URI}}
    text = photo(uri="data:image/png;base64,aGVsbG8=")
    assert refused(house, {**text, "localizations": patches})["properties"] == ["media/m/uri"]
    assert change(house, card, {"localizations": None})["media"]["m"]["blobId"] == blobs.pack(PNG).blob_id
    assert damage(house) == []


def test_another_file_gets_another_type(house):
    """Where the client puts a blob in the place of another and leaves the type as it was, which may be the server's."""
    card = add(house, photo(blobId=upload(house, PNG)))
    jpeg = upload(house, JPEG)
    kept = {"kind": "photo", "blobId": jpeg, "mediaType": "image/jpeg"}
    assert change(house, card, {"media/m/blobId": jpeg})["media"] == {"m": kept}
    assert (
        change(house, card, {"media/m/blobId": None, "media/m/uri": PNG_URI})["media"]["m"]["mediaType"] == "image/png"
    )
    own = add(house, photo(blobId=jpeg, mediaType="image/x-own"))
    assert change(house, own, {"media/m/label": "Me", "media/m/kind": "logo"}) is None
    sound = add(house, {"media": {"m": {"kind": "sound", "blobId": upload(house, b"1"), "mediaType": "audio/x-own"}}})
    assert change(house, sound, {"media/m/blobId": upload(house, b"2")}) is None


def test_a_photo_of_20_mb(house):
    """It is no part of the card's size; a larger file is too large."""
    blob_id = upload(house, PNG + b"\0" * 20_000_000)
    assert add(house, photo(blobId=blob_id))
    large = upload(house, PNG + b"\0" * MOST_MEDIA_OCTETS)
    assert refused(house, photo(blobId=large))["type"] == "tooLarge"


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("data:,x", ("text/plain;charset=US-ASCII", b"x")),
        ("data:text/html,%3Cb%3E", ("text/html", b"<b>")),
        ("data:image/gif;base64,R0lG", ("image/gif", b"GIF")),
        ("data:image/gif;base64,R0lGOA", ("image/gif", b"GIF8")),
        ("data:text/plain;charset=utf-8;base64,w6k=", ("text/plain;charset=utf-8", b"\xc3\xa9")),
        ("data:image/gif;base64,R0%6CG", ("image/gif", b"GIF")),
        ("data:;charset=utf-8,x", ("text/plain;charset=utf-8", b"x")),
        ("data:Audio/x-own;base64,eA", ("Audio/x-own", b"x")),
        ("data:foo,x", ("application/octet-stream", b"x")),
        ("data:audio/x%20y;base64,eA", ("application/octet-stream", b"x")),
        (f"data:{'a' * 200}/b,x", ("application/octet-stream", b"x")),
        ("data:image/gif;base64,R0l!", None),
        ("data:image/gif;base64", None),
        ("http://x", None),
    ],
)
def test_reading_data_uris(uri, found):
    """RFC 2397, with what RFC 3986 lets be percent-encoded."""
    data = media.parse_data(uri)
    assert (data and (data.media_type, data.octets)) == found


def test_inline_is_the_way_back(house):
    """For formats that know no blobs."""
    shown = get(house, add(house, {**photo(uri=PNG_URI), "name": {"full": "x"}}))
    with house.database.read() as reader:
        account = house.users[ALICE].account
        assert media.inline(reader, account, shown) == {
            **shown,
            "media": {"m": {"kind": "photo", "uri": PNG_URI, "mediaType": "image/png"}},
        }
        assert media.inline(reader, account, {"name": {}}) == {"name": {}}
