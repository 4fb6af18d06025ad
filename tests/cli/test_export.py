"""`minijmap export` and its way back by `minijmap import`, by the real command, beside a running server and without one."""

import base64
import json
import urllib.request

import pytest

from tests.contacts.household import PNG
from tests.wire.running import ALICE, Running, run

BOB = "bob@example.com"
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:contacts"]
ROUND = f"""BEGIN:VCARD
VERSION:4.0
UID:joe
FN:Joe Bloggs
EMAIL;TYPE=work:joe@example.com
PHOTO:data:image/png;base64,{base64.b64encode(PNG).decode()}
X-ODD;A=b:kept\\, too
END:VCARD
"""


@pytest.fixture
def place(tmp_path):
    """Give a data folder with Alice, who has two messages and two cards, and Bob, who has nothing."""
    folder = tmp_path / "data"
    for address in (ALICE, BOB):
        run("--data", folder, "user", "add", address, "--password-stdin", text="secret\n")
    (tmp_path / "a.eml").write_bytes(b"From: joe@example.com\r\nSubject: one\r\n\r\nHello\r\n")
    (tmp_path / "b.eml").write_bytes(b"From: joe@example.com\r\nSubject: two\r\n\r\n\xff\x00bare\nlines")
    (tmp_path / "c.vcf").write_text(ROUND)
    (tmp_path / "d.vcf").write_text("BEGIN:VCARD\nVERSION:3.0\nUID:zoe\nFN:Zoë\nEND:VCARD\n")
    run("--data", folder, "import", ALICE, tmp_path / "a.eml", tmp_path / "c.vcf")
    run("--data", folder, "import", ALICE, tmp_path / "b.eml", "--mailbox", "Old/Löve: 1")
    run("--data", folder, "import", ALICE, tmp_path / "d.vcf", "--book", "Chess club")
    return folder


def objects(folder, name):
    """Return the objects of a type in an export."""
    return json.loads((folder / "account.json").read_text())["objects"][name]


def take(place, address, *arguments):
    """Import; the last line of standard output, standard error and the exit status."""
    done = run("--data", place, "import", address, *arguments, check=False)
    return (done.stdout.splitlines() or [""])[-1], done.stderr, done.returncode


def told(folder):
    """Return what two exports of the same account have in common: all but ids."""
    boxes = {one["id"]: one["name"] for one in objects(folder, "Mailbox")}
    books = {one["id"]: one["name"] for one in objects(folder, "AddressBook")}
    emails = [
        (one["blobId"], one["receivedAt"], sorted(one["keywords"]), sorted(boxes[box] for box in one["mailboxIds"]))
        for one in objects(folder, "Email")
    ]
    cards = [
        ({**one, "id": None, "addressBookIds": sorted(books[book] for book in one["addressBookIds"])})
        for one in objects(folder, "ContactCard")
    ]
    return sorted(boxes.values()), sorted(books.values()), sorted(emails), sorted(cards, key=lambda one: one["uid"])


def test_an_account_as_a_folder_and_back(place, tmp_path):
    """The folder has what DESIGN §7 says; in an empty account it is the same account, and again nothing is new."""
    out = run("--data", place, "export", ALICE, tmp_path / "out").stdout
    assert out.splitlines()[-1].endswith(f"objects exported to {tmp_path / 'out'}")
    files = {str(one.relative_to(tmp_path / "out")) for one in (tmp_path / "out").rglob("*") if one.is_file()}
    assert {"account.json", "contacts/Chess club.vcf"} < files
    messages = sorted(one.read_bytes() for one in (tmp_path / "out" / "mail").rglob("*.eml"))
    assert messages == sorted((tmp_path / name).read_bytes() for name in ("a.eml", "b.eml"))
    assert (tmp_path / "out" / "account.json").stat().st_mode & 0o077 == 0

    summary, failures, status = take(place, BOB, tmp_path / "out")
    assert (failures, status) == ("", 0)
    assert summary.endswith("already there, 0 failed")
    assert take(place, BOB, tmp_path / "out")[0].startswith("0 imported, ")
    run("--data", place, "export", BOB, tmp_path / "again")
    assert told(tmp_path / "again") == told(tmp_path / "out")
    assert run("--data", place, "check").returncode == 0


def test_address_books_alone_are_vcards(place, tmp_path):
    """Each file of contacts/ is vCard 4.0 with the photo inside, and gives the same cards to somebody else."""
    run("--data", place, "export", ALICE, tmp_path / "out")
    books = sorted((tmp_path / "out" / "contacts").iterdir())
    whole = b"".join(book.read_bytes() for book in books)
    assert whole.count(b"VERSION:4.0\r\n") == 2
    assert b"data:image/png;base64," in whole
    assert take(place, BOB, *books) == ("2 imported, 0 already there, 0 failed", "", 0)
    assert take(place, ALICE, *books) == ("0 imported, 2 already there, 0 failed", "", 0)
    run("--data", place, "export", BOB, tmp_path / "bob")
    own = {"addressBookIds", "id", "created", "updated"}
    cards = [
        [
            {name: one[name] for name in one.keys() - own}
            for one in sorted(objects(folder, "ContactCard"), key=lambda c: c["uid"])
        ]
        for folder in (tmp_path / "out", tmp_path / "bob")
    ]
    assert cards[0] == cards[1]


def test_old_programs_get_vcard_3(place, tmp_path):
    """`--vcard 3.0` writes the address books as Apple, Google and Outlook read them best; back they are the same cards."""
    run("--data", place, "export", ALICE, tmp_path / "out", "--vcard", "3.0")
    books = sorted((tmp_path / "out" / "contacts").iterdir())
    whole = b"".join(book.read_bytes() for book in books)
    assert whole.count(b"VERSION:3.0\r\n") == 2
    assert b"VERSION:4.0" not in whole
    assert b"data:image" not in whole
    assert b"PHOTO;" in whole
    assert take(place, ALICE, *books) == ("0 imported, 2 already there, 0 failed", "", 0)


def test_beside_a_running_server(place, tmp_path):
    """Both ways work while the server runs, and its clients see what came."""
    server = Running("serve", "--data", place)
    try:
        run("--data", place, "export", ALICE, tmp_path / "out")
        assert take(place, BOB, tmp_path / "out")[2] == 0
        request = urllib.request.Request(
            f"{server.url}/jmap/api",
            json.dumps({"using": USING, "methodCalls": [["ContactCard/query", {"accountId": "a2"}, "c"]]}).encode(),
            {
                "Content-Type": "application/json",
                "Authorization": "Basic " + base64.b64encode(f"{BOB}:secret".encode()).decode(),
            },
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert len(json.load(answer)["methodResponses"][0][1]["ids"]) == 2
    finally:
        server.kill()


def test_what_is_no_use(place, tmp_path):
    """A folder that is full, one that can't be written, somebody who isn't there: one sentence each, and nothing is written."""
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    failed = run("--data", place, "export", ALICE, full, check=False)
    assert (failed.returncode, [one.name for one in full.iterdir()]) == (1, ["mine"])
    assert failed.stderr == f"minijmap: {full} is not empty: name a folder that is, or one that is not there yet.\n"
    beneath = run("--data", place, "export", ALICE, full / "mine" / "x", check=False)
    assert (beneath.returncode, beneath.stderr) == (1, f"minijmap: {full / 'mine' / 'x'}: Not a directory.\n")
    nobody = run("--data", place, "export", "nobody@example.com", tmp_path / "new", check=False)
    assert nobody.returncode == 1
    assert not (tmp_path / "new").exists()


def test_an_export_with_damage(place, tmp_path):
    """What is missing, changed or pretended is named and left out, the rest comes; a broken-off export is refused."""
    out = tmp_path / "out"
    run("--data", place, "export", ALICE, out)
    one, two = sorted((out / "mail").rglob("*.eml"))
    one.unlink()
    two.write_bytes(b"Subject: another\r\n\r\n")
    summary, failures, status = take(place, BOB, out)
    assert status == 1
    assert summary.endswith("2 failed")
    assert str(one) in failures
    assert f"{two}: these are not the octets that were exported." in failures
    run("--data", place, "export", BOB, tmp_path / "bob")
    assert len(objects(tmp_path / "bob", "ContactCard")) == 2
    assert objects(tmp_path / "bob", "Email") == []
    (out / "account.json").rename(out / "account.json.part")
    summary, failures, status = take(place, BOB, out)
    assert (summary, status) == ("0 imported, 0 already there, 1 failed", 1)
    assert "broken off" in failures


def test_paths_that_lead_outside_are_not_followed(place, tmp_path):
    """The folder that account.json names for a Mailbox is one of the export, or it is none."""
    out = tmp_path / "out"
    run("--data", place, "export", ALICE, out)
    (tmp_path / "secret").mkdir()
    for file in (out / "mail").rglob("*.eml"):
        file.rename(tmp_path / "secret" / file.name)
    account = json.loads((out / "account.json").read_text())
    account["folders"] = dict.fromkeys(account["folders"], "../../secret")
    (out / "account.json").write_text(json.dumps(account))
    assert take(place, BOB, out)[0].endswith("2 failed")
    run("--data", place, "export", BOB, tmp_path / "bob")
    assert objects(tmp_path / "bob", "Email") == []
