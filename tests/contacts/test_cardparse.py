"""ContactCard/parse: vCards in blobs, as Cards that ContactCard/set takes (an extension of our own)."""

import base64
import json
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minijmap.contacts import cardparse
from minijmap.contacts.capability import PARSE
from minijmap.jmap.engine import Limits
from minijmap.jmap.session import login_of, session_object
from minijmap.store import blobs
from tests.conftest import CORE, MAIL, House
from tests.contacts.household import ALICE, CONTACTS, PNG, PNG_URI, create, damage, download, get, upload
from tests.contacts.vcards import GOLDEN, vcard
from tests.wire.running import Running

BASE64 = base64.b64encode(PNG).decode()
PASSWORD = "alice"
FILES = sorted(GOLDEN.glob("*/*.vcf"))


def ask(house, *blob_ids, using=(CORE, PARSE), **more):
    """Call ContactCard/parse; the answer, or the error."""
    arguments = {"accountId": house.account(), "blobIds": list(blob_ids), **more}
    return house.request(["ContactCard/parse", arguments, "p"], using=using)[0][1]


def cards(house, octets, **more):
    """The Cards of a file."""
    blob_id = upload(house, octets)
    answer = ask(house, blob_id, **more)
    assert answer["notParsable"] is answer["notFound"] is None
    return answer["parsed"][blob_id]


def strict(house, using):
    """The answer to a call under `strict_using`."""
    request = {"using": using, "methodCalls": [["ContactCard/parse", {"accountId": "a1", "blobIds": []}, "p"]]}
    engine = house.make_engine(strict_using=True)
    answered = json.loads(engine.handle(login_of(house.users[ALICE]), json.dumps(request).encode()))
    return answered["methodResponses"][0][1]


def folded(text):
    """A line in pieces of 60."""
    return "\r\n ".join(text[at : at + 60] for at in range(0, len(text), 60))


# Transcripts


def test_a_file_becomes_cards(house):
    """All of its cards, in order; the members of the answer are the draft's and one of our own."""
    ada = vcard("UID:urn:uuid:1", "FN:Ada Lovelace", "EMAIL;PREF=1:ada@example.com")
    blob_id = upload(house, ada + vcard("UID:urn:uuid:2", "FN:Bob"))
    assert ask(house, blob_id) == {
        "accountId": house.account(),
        "parsed": {
            blob_id: [
                {
                    "@type": "Card",
                    "version": "1.0",
                    "uid": "urn:uuid:1",
                    "name": {"full": "Ada Lovelace"},
                    "emails": {"EMAIL-1": {"address": "ada@example.com", "pref": 1}},
                },
                {"@type": "Card", "version": "1.0", "uid": "urn:uuid:2", "name": {"full": "Bob"}},
            ]
        },
        "notParsable": None,
        "notFound": None,
        "brokenCards": None,
    }


def test_properties(house):
    """Only those asked for; what a ContactCard has beside a Card is null, what this Card does not have is not there."""
    octets = vcard("UID:urn:uuid:1", "FN:Ada", "TEL:1")
    assert cards(house, octets, properties=["id", "addressBookIds", "name", "emails", "example.com:x"]) == [
        {"id": None, "addressBookIds": None, "name": {"full": "Ada"}}
    ]
    assert cards(house, octets, properties=[]) == [{}]
    assert cards(house, octets, properties=None)[0].keys() == {"@type", "version", "uid", "name", "phones"}


def test_what_is_there_and_what_is_not(house):
    """Each blob is in one place; one named twice is looked at once."""
    good, text, empty = upload(house, vcard("FN:x")), upload(house, b"Hello, world"), upload(house, b"")
    photo, theirs, unknown = upload(house, PNG), upload(house, vcard("FN:y"), "bob@example.com"), "b" + "0" * 40
    answer = ask(house, good, text, theirs, empty, unknown, good, photo, "nonsense")
    assert list(answer["parsed"]) == [good]
    assert answer["notParsable"] == [text, empty, photo]
    assert answer["notFound"] == [theirs, unknown, "nonsense"]
    nothing = ask(house)
    assert [nothing[name] for name in ("parsed", "notParsable", "notFound", "brokenCards")] == [None] * 4


def test_broken_cards_are_told_of(house):
    """By the line at which they are wrong; those around them come. Where none is left the file is not parsable."""
    octets = vcard("FN:Ada") + vcard("FN:Bob", "nonsense") + vcard("FN:Cy")
    blob_id, other = upload(house, octets), upload(house, b"BEGIN:VCARD\r\nFN:x\r\n")
    answer = ask(house, blob_id, other)
    assert [card["name"]["full"] for card in answer["parsed"][blob_id]] == ["Ada", "Cy"]
    assert answer["notParsable"] == [other]
    assert answer["brokenCards"] == {
        blob_id: [{"line": 8, "description": "It is no property: a name and a colon are missing."}],
        other: [{"line": 1, "description": "The vCard has no END:VCARD."}],
    }


def test_what_can_be_no_card_is_broken_too(house):
    """Lines that can be read, of which JSContact can't be made."""
    titles = [f"TITLE;ALTID=1;LANGUAGE={a}{b}:y" for a in "abcdefgh" for b in "abcdefgh"]
    blob_id = upload(house, vcard("FN:Ada") + vcard("FN:Bob", "LANGUAGE:en", "TITLE;ALTID=1:x", *titles))
    answer = ask(house, blob_id)
    assert len(answer["parsed"][blob_id]) == 1
    (one,) = answer["brokenCards"][blob_id]
    assert (one["line"], one["description"][:18]) == (5, "It can't be a card")


def test_only_the_first_hundred_broken_cards_are_told(house):
    """Nobody reads more, and the answer stays small."""
    blob_id = upload(house, b"BEGIN:VCARD\n" * 500 + vcard("FN:x"))
    answer = ask(house, blob_id)
    assert len(answer["parsed"][blob_id]) == 1
    assert len(answer["brokenCards"][blob_id]) == cardparse.MOST_TOLD


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (vcard("FN:Zoë"), "Zoë"),
        ("\ufeff".encode() + vcard("FN:Zoë"), "Zoë"),
        (vcard("FN:Zoë").decode().encode("utf-16"), "Zoë"),
        (vcard("FN:Zoë", version="3.0").decode().encode("windows-1252"), "Zoë"),
        (vcard("FN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:Zo=EB", version="2.1"), "Zoë"),
        (vcard("FN;CHARSET=ISO-8859-15:Zoë €", version="2.1").decode().encode("iso-8859-15"), "Zoë €"),
    ],
)
def test_charsets(house, octets, name):
    """As the programs of thirty years have written them."""
    assert cards(house, octets)[0]["name"]["full"] == name


def test_an_attachment_of_a_message(house):
    """From the Email to its attachment's card in one request: a part of a message is a blob, and so is a part of that."""
    attached = vcard("UID:urn:uuid:1", "FN:Zoë", folded(f"PHOTO;ENCODING=b;TYPE=PNG:{BASE64}"), version="3.0")
    email_id = house.deliver(
        b"From: zoe@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\n\r\nMy card\r\n--x\r\nContent-Type: text/vcard; charset=utf-8; name=zoe.vcf\r\n"
        b"Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(attached)
        + b"--x--\r\n"
    )
    account = house.account()
    _, (_, answer, _) = house.request(
        ["Email/get", {"accountId": account, "ids": [email_id], "properties": ["attachments"]}, "e"],
        [
            "ContactCard/parse",
            {
                "accountId": account,
                "#blobIds": {"resultOf": "e", "name": "Email/get", "path": "/list/0/attachments/*/blobId"},
            },
            "p",
        ],
        using=(CORE, MAIL, PARSE),
    )
    ((card,),) = answer["parsed"].values()
    assert card["name"] == {"full": "Zoë"}
    assert download(house, card["media"]["PHOTO-1"]["blobId"]) == PNG
    card_id = create(house, card)["created"]["k"]["id"]
    assert get(house, card_id)["media"]["PHOTO-1"]["blobId"] == blobs.pack(PNG).blob_id
    assert damage(house) == []


def test_a_result_reference_reaches_into_a_card(house):
    """What is spliced into an answer is there for later calls of the request."""
    account, blob_id = house.account(), upload(house, vcard("FN:x", f"TITLE:{'b' * 41}"))
    (_, parsed, _), (_, found, _) = house.request(
        ["ContactCard/parse", {"accountId": account, "blobIds": [blob_id]}, "p"],
        [
            "ContactCard/parse",
            {
                "accountId": account,
                "#blobIds": {
                    "resultOf": "p",
                    "name": "ContactCard/parse",
                    "path": f"/parsed/{blob_id}/*/titles/TITLE-1/name",
                },
            },
            "q",
        ],
        using=(CORE, PARSE),
    )
    assert parsed["parsed"]
    assert found["notFound"] == ["b" * 41]


# Media


@pytest.mark.parametrize("name", ["PHOTO", "LOGO"])
@pytest.mark.parametrize(
    "form",
    [
        "{};ENCODING=b;TYPE=PNG:{}", "{};ENCODING=BASE64;PNG:{}", "{}:data:image/png;base64,{}",
        "{}:data:image/png\\;base64\\,{}", "{};ENCODING=b:{}", 'item1.{};VALUE=uri;X-A="a, b: c":data:;base64,{}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_photo_is_a_part_of_the_file(house, name, form, end):
    """To be downloaded, and to be given to ContactCard/set, which keeps it whole (RFC 9610 §3)."""
    lines = [form.format(name, BASE64), folded(form.format(name, BASE64)), folded(form.format(name, BASE64)) + "\r\n "]
    octets = vcard("FN:Zoë", *lines, "X-END:1").replace(b"\r\n", end.encode())
    (card,) = cards(house, octets)
    assert len(card["media"]) == 3
    for one in card["media"].values():
        assert one["mediaType"] == "image/png"
        assert "uri" not in one
        assert one["blobId"].startswith(upload(house, octets))
        assert download(house, one["blobId"]) == PNG
    answer = create(house, card)
    assert {one["blobId"] for one in answer["created"]["k"]["media"].values()} == {blobs.pack(PNG).blob_id}


def test_the_photos_of_many_cards(house):
    """Each has its own; two that are the same are two."""
    photos = [PNG + bytes([number]) for number in range(20)] + [PNG, PNG]
    uris = ["data:image/png;base64," + base64.b64encode(one).decode() for one in photos]
    found = cards(house, b"".join(vcard(f"FN:{number}", folded(f"PHOTO:{uri}")) for number, uri in enumerate(uris)))
    assert [download(house, card["media"]["PHOTO-1"]["blobId"]) for card in found] == photos


@pytest.mark.parametrize(
    ("line", "uri"),
    [
        ("PHOTO:https://example.com/a.png", "https://example.com/a.png"),
        ("PHOTO:data:image/jpeg;base64,/9j/4AAQ/4...", "data:image/jpeg;base64,/9j/4AAQ/4..."),
        ("SOUND:data:text/plain,hello", "data:text/plain,hello"),
        ("SOUND:data:audio/ogg;base64,T2d%6EUw", "data:audio/ogg;base64,T2d%6EUw"),
    ],
)
def test_other_media_stay_uris(house, line, uri):
    """What is elsewhere, what is damaged, and what is no base64 as it stands."""
    (card,) = cards(house, vcard("FN:x", line))
    ((one),) = card["media"].values()
    assert one["uri"] == uri
    assert create(house, card)["created"]


@pytest.mark.parametrize(
    "line",
    [
        "PHOTO:data:image/jpeg;base64,aGVsbG8=",
        "LOGO:data:,abc",
        "PHOTO;ENCODING=b:aGVsbG8=",
        f"PHOTO;MEDIATYPE=text/plain:{PNG_URI}",
    ],
)
def test_what_is_no_image_is_kept_aside(house, line):
    """As a property of vCard: as a photo it would have the whole card refused (RFC 9610 §3.5)."""
    (card,) = cards(house, vcard("FN:x", line))
    assert "media" not in card
    assert len(card["vCardProps"]) == 1
    assert create(house, card)["created"]


def test_a_photo_in_utf_16_stays_a_data_uri(house):
    """No part of such a blob is the photo."""
    (card,) = cards(house, vcard("FN:x", f"PHOTO:{PNG_URI}").decode().encode("utf-16"))
    assert card["media"] == {"PHOTO-1": {"kind": "photo", "uri": PNG_URI}}
    assert create(house, card)["created"]["k"]["media"]["PHOTO-1"]["blobId"] == blobs.pack(PNG).blob_id


def test_without_media_nothing_is_looked_for(house):
    """Where a client does not ask for them."""
    octets = vcard("FN:x", f"PHOTO:{PNG_URI}")
    assert cards(house, octets, properties=["name"]) == [{"name": {"full": "x"}}]
    assert cards(house, octets, properties=["media"])[0]["media"]["PHOTO-1"]["blobId"]


def test_a_photo_of_20_mb(house):
    """The answer is small, and the card can be kept, in seconds."""
    octets = PNG + bytes(range(256)) * 80_000
    text = base64.encodebytes(octets).replace(b"\n", b"\r\n ")
    file = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:x\r\nPHOTO;ENCODING=b;TYPE=PNG:" + text + b"\r\nEND:VCARD\r\n"
    started = time.perf_counter()
    (card,) = cards(house, file)
    assert len(json.dumps(card)) < 1000
    blob_id = create(house, card)["created"]["k"]["media"]["PHOTO-1"]["blobId"]
    assert time.perf_counter() - started < 20
    assert download(house, blob_id) == octets


# Errors and bounds


def test_the_capability_is_needed(house):
    """In `using`, where that is taken strictly; that of contacts is another."""
    assert strict(house, [CORE, CONTACTS])["type"] == "unknownMethod"
    assert strict(house, [PARSE])["type"] == "unknownMethod"
    assert strict(house, [CORE, PARSE])["parsed"] is None


def test_the_capability_is_announced(house):
    """As that of CalendarEvent/parse is: an empty object, in the Session and in an account."""
    session = session_object(login_of(house.users[ALICE]), house.engine.capabilities)
    assert session["capabilities"][PARSE] == {}
    assert session["accounts"][house.account()]["accountCapabilities"][PARSE] == {}
    assert session["primaryAccounts"][PARSE] == house.account()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"accountId": "a99"}, "accountNotFound"),
        ({"blobIds": None}, "invalidArguments"),
        ({"blobIds": "b"}, "invalidArguments"),
        ({"blobIds": [5]}, "invalidArguments"),
        ({"properties": "name"}, "invalidArguments"),
        ({"properties": ["name", "Name"]}, "invalidArguments"),
        ({"properties": ["extra"]}, "invalidArguments"),
        ({"properties": [5]}, "invalidArguments"),
    ],
)
def test_wrong_arguments(house, arguments, error):
    """Each by its name."""
    given = {"accountId": house.account(), "blobIds": [], **arguments}
    answer = house.request(["ContactCard/parse", given, "p"], using=(CORE, PARSE))[0][1]
    assert answer["type"] == error
    if error == "invalidArguments":
        assert answer["arguments"] == list(arguments)


def test_blob_ids_must_be_given(house):
    """There is no default."""
    answer = house.call("ContactCard/parse", {})
    assert (answer["type"], answer["arguments"]) == ("invalidArguments", ["blobIds"])


def test_the_number_of_blobs(house):
    """`maxObjectsInGet` of them, each counted once."""
    house.engine = house.make_engine(limits=Limits(max_objects_in_get=2))
    assert ask(house, "b1", "b2", "b1")["notFound"] == ["b1", "b2"]
    assert ask(house, "b1", "b2", "b3")["type"] == "requestTooLarge"


@pytest.mark.parametrize("bound", ["MOST_CARDS", "MOST_LINES", "MOST_OCTETS", "MOST_ANSWERED"])
def test_what_a_request_may_have_parsed(house, monkeypatch, bound):
    """Exactly so much, in all calls of a request together."""
    octets = vcard("UID:urn:uuid:1", "FN:x")
    blob_id = upload(house, octets)
    shown = len(json.dumps(cards(house, octets)[0], separators=(",", ":")))
    of_one = {"MOST_CARDS": 1, "MOST_LINES": 3, "MOST_OCTETS": len(octets), "MOST_ANSWERED": shown}
    monkeypatch.setattr(cardparse, bound, 2 * of_one[bound])
    call = ["ContactCard/parse", {"accountId": house.account(), "blobIds": [blob_id]}, "p"]
    answers = house.request(call, call, call, using=(CORE, PARSE))
    assert [answer.get("type") for _, answer, _ in answers] == [None, None, "requestTooLarge"]


@pytest.mark.parametrize(
    "octets",
    [
        b"BEGIN:VCARD\n" * 4_000_000,
        b"BEGIN:VCARD\nEND:VCARD\n" * 1_000_000,
        b"abc\n" * 3_000_000 + vcard("FN:x"),
        vcard(*["PHOTO:data:image/png;base64,R0lGODlh"] * 9000) * 20,
        vcard("FN:" + "\\," * 5_000_000),
        vcard("FN:x", *[f"X-{number}:1" for number in range(9990)]) * 30,
        b"BEGIN:VCARD\nAGENT:\n" * 100_000,
    ],
)
def test_hostile_files_end_soon(house, octets):
    """With an answer, or an error that has a name."""
    blob_id = upload(house, octets)
    started = time.perf_counter()
    answer = ask(house, blob_id)
    assert time.perf_counter() - started < 30
    assert answer.get("type", "requestTooLarge") == "requestTooLarge"


@pytest.fixture(scope="module")
def shared_house(tmp_path_factory):
    """A household for many examples."""
    house = House(tmp_path_factory.mktemp("parse") / "data")
    yield house
    house.database.close()


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                (vcard("FN:x"), b"BEGIN:VCARD\r\n", b"END:VCARD\n", b"PHOTO;ENCODING=b:" + BASE64.encode(), b"\r\n ")
            ),
        ),
        max_size=12,
    ).map(b"".join)
)
def test_any_octets_are_answered(shared_house, octets):
    """With Cards that are good, or with what is wrong, and never by a failure."""
    blob_id = upload(shared_house, octets)
    answer = ask(shared_house, blob_id)
    assert [blob_id] in ([*(answer["parsed"] or ())], answer["notParsable"])
    for card in (answer["parsed"] or {}).get(blob_id, ()):
        assert "id" not in card
        for one in card.get("media", {}).values():
            assert "blobId" not in one or download(shared_house, one["blobId"])


def test_vcard_is_read_by_those_who_ask(tmp_path):
    """A server that starts does not load what few ask for."""
    script = "import sys, minijmap.server as s; s.families(); print([m for m in sys.modules if 'vcard' in m])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"


# Over the wire


@pytest.fixture(scope="module")
def server():
    """A server for developers, with nobody's cards but the demo's."""
    running = Running("dev")
    yield running
    running.kill()


def over_http(server, *calls):
    """Make method calls of contacts; the answers' arguments."""
    body = json.dumps({"using": [CORE, CONTACTS, PARSE], "methodCalls": calls}).encode()
    answered = json.loads(server.post("/jmap/api", body, password=PASSWORD))
    return [answer for _, answer, _ in answered["methodResponses"]]


def photo_of(server, one):
    """The octets of a photo, by its URL."""
    return server.get(f"/jmap/download/a1/{one['blobId']}/photo?type={one['mediaType']}", password=PASSWORD)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_file_goes_through_a_client(server, file):
    """Uploaded, parsed, created as it is, and read again: the same card."""
    uploaded = server.post("/jmap/upload/a1", file.read_bytes(), password=PASSWORD, kind="text/vcard")
    blob_id = json.loads(uploaded)["blobId"]
    found, answer = over_http(
        server,
        ["AddressBook/get", {"accountId": "a1"}, "b"],
        ["ContactCard/parse", {"accountId": "a1", "blobIds": [blob_id]}, "p"],
    )
    books = {one["id"]: True for one in found["list"] if one["isDefault"]}
    assert answer["brokenCards"] is None
    wanted = {f"k{at}": {"addressBookIds": books, **card} for at, card in enumerate(answer["parsed"][blob_id])}
    (made,) = over_http(server, ["ContactCard/set", {"accountId": "a1", "create": wanted}, "s"])
    assert made["notCreated"] is None
    ids = {name: one["id"] for name, one in made["created"].items()}
    got, _ = over_http(
        server,
        ["ContactCard/get", {"accountId": "a1", "ids": list(ids.values())}, "g"],
        ["ContactCard/set", {"accountId": "a1", "destroy": list(ids.values())}, "d"],
    )
    kept = {one["id"]: one for one in got["list"]}
    for name, card in wanted.items():
        assert kept[ids[name]] == {**card, **made["created"][name]}
        for key, one in card.get("media", {}).items():
            if "blobId" in one:
                assert photo_of(server, one) == photo_of(server, kept[ids[name]]["media"][key])
