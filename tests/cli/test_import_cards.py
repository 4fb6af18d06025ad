"""`minijmap import` of vCards, by the real command: what it says, beside a running server, killed, and how much memory it takes."""

import base64
import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import threading
import urllib.request

import pytest

from tests.contacts.household import PNG
from tests.contacts.vcards import vcard
from tests.wire.running import ALICE, MINIJMAP, Running, environment, run

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:contacts"]
JOE = vcard("UID:joe", "FN:Joe Bloggs", "EMAIL:joe@example.com", version="3.0")
MESSAGE = b"From: you@example.org\r\nSubject: %s\r\n\r\nHello\r\n"


@pytest.fixture
def place(tmp_path):
    """Give a data folder with Alice in it, whose password is “secret”."""
    folder = tmp_path / "data"
    run("--data", folder, "user", "add", ALICE, "--name", "Alice", "--password-stdin", text="secret\n")
    return folder


@pytest.fixture
def take(place, tmp_path):
    """A function that imports paths beneath the test's folder: (summary, lines on standard error, exit status)."""

    def take(*arguments):
        done = run("--data", place, "import", ALICE, *arguments, check=False)
        told = [line.replace(f"{tmp_path}/", "") for line in done.stderr.splitlines()]
        return (done.stdout.splitlines() or [""])[-1], told, done.returncode

    return take


@pytest.fixture
def server(place):
    """A server on Alice's folder."""
    running = Running("serve", "--data", place)
    yield running
    running.kill()


def call(server, name, **arguments):
    """Make one call of contacts; its answer."""
    body = {"using": USING, "methodCalls": [[name, {"accountId": "a1", **arguments}, "c"]]}
    return json.loads(server.post("/jmap/api", json.dumps(body).encode()))["methodResponses"][0][1]


def count(place):
    """How many cards are committed."""
    with contextlib.closing(sqlite3.connect(place / "minijmap.sqlite3")) as connection:
        return connection.execute("SELECT count(*) FROM contact_card").fetchone()[0]


def checked(place):
    """The last line of `minijmap check`, which must be content."""
    return run("--data", place, "check").stdout.splitlines()[-1]


def book(path, *octets):
    """Write a file; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(octets))
    return path


def test_a_book_and_again(place, take, tmp_path):
    """Bad cards between good ones are named by file and line, with exit status 1; the second time all is there."""
    good = [vcard(f"UID:{n}", f"FN:Number {n}", version="3.0") for n in range(3)]
    path = book(tmp_path / "book.VCF", good[0], b"BEGIN:VCARD\nnothing here\nEND:VCARD\n", good[1], b"junk\n", good[2])

    summary, told, status = take(path)

    assert (summary, status) == ("3 imported, 0 already there, 2 failed", 1)
    assert [line.split(": ")[0] for line in told] == ["book.VCF:7", "book.VCF:14"]
    assert told[0] == "book.VCF:7: it is no property: a name and a colon are missing."
    assert take(book(path, *good)) == ("0 imported, 3 already there, 0 failed", [], 0)
    assert checked(place).endswith("no problems.")


def test_a_card_that_differs(take, tmp_path):
    """It stays and is told of, as is the way to have it replaced."""
    take(book(tmp_path / "a.vcf", JOE))
    other = book(tmp_path / "b.vcf", vcard("UID:joe", "FN:Joseph\x1b[31m Bloggs", "REV:20200101T000000Z"))

    summary, told, status = take(other)

    assert (summary, status) == ("0 imported, 1 already there, 0 failed", 0)
    (line,) = told
    assert line.startswith("b.vcf:1: “Joseph")
    assert line.endswith("differs from the card that is there, which stays. --replace takes the file's.")
    assert "\x1b" not in line
    assert take("--replace", other) == ("1 imported, 0 already there, 0 failed", [], 0)
    newer = book(tmp_path / "c.vcf", vcard("UID:joe", "FN:Joe", "REV:20210101T000000Z"))
    assert take(newer) == ("1 imported, 0 already there, 0 failed", [], 0)


def test_cards_and_messages_together(place, take, tmp_path):
    """Folders of both, a book by its content, one by its name: `--mailbox` and `--book` each for its own."""
    old = tmp_path / "old"
    book(old / "letters" / "one.eml", MESSAGE % b"one")
    book(old / "letters" / "cards.vcf", JOE)
    book(old / "contacts", b"\xef\xbb\xbf\r\n", vcard("UID:ann", "FN:Ann"))
    book(old / "mail.mbox", b"From x Thu Jan  1 00:00:00 2026\n", MESSAGE % b"two")
    alone = book(tmp_path / "noname", vcard("UID:ben", "FN:Ben"))

    assert take(old, alone, "--mailbox", "Old", "--book", "Büro 1/2") == (
        "5 imported, 0 already there, 0 failed", [], 0,
    )  # fmt: skip
    assert take(old, alone) == ("0 imported, 5 already there, 0 failed", [], 0)
    assert checked(place).endswith(": 2 Emails, 2 blobs, no problems.")
    with contextlib.closing(sqlite3.connect(place / "minijmap.sqlite3")) as connection:
        names = connection.execute(
            "SELECT doc ->> '$.name', (SELECT count(*) FROM card_book WHERE book = key) FROM address_book"
        )
        assert dict(names.fetchall()) == {"Contacts": 0, "Büro 1/2": 3}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("book.vcf", "--mailbox", "X"), "--mailbox is for messages"),
        (("one.eml", "--book", "X"), "--book is for cards"),
        (("one.eml", "--replace"), "--replace is for cards"),
        (("mail", "--book", "X"), "--book is for cards"),
        (("book.vcf", "--book", ""), "--book: the name of an address book must have at least 1 character."),
        (("book.vcf", "--book", "x" * 256), "must have at most 255 octets"),
        (("book.vcf", "--book", "a\nb"), "must not have control characters"),
        (("export", "--book", "X"), "--book can't be used with"),
        (("export", "book.vcf", "--replace"), "--replace can't be used with"),
        (("export", "one.eml", "--mailbox", "X"), "--mailbox can't be used with"),
    ],
)
def test_what_can_mean_nothing_is_wrong_use(tmp_path, arguments, words):
    """Exit status 2 and a sentence, before anything is done."""
    there = {
        "book.vcf": book(tmp_path / "book.vcf", JOE),
        "one.eml": book(tmp_path / "one.eml", MESSAGE % b"one"),
        "mail": book(tmp_path / "mail" / "one.eml", MESSAGE % b"one").parent,
        "export": book(tmp_path / "export" / "account.json", b"{}").parent,
    }
    place = tmp_path / "data"

    done = run("--data", place, "import", ALICE, *(there.get(one, one) for one in arguments), check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert not place.exists()


def test_a_folder_may_have_mail_only(take, tmp_path):
    """`--mailbox` with a folder of cards alone can mean something: there might have been mail."""
    book(tmp_path / "old" / "book.vcf", JOE)
    assert take(tmp_path / "old", "--mailbox", "X") == ("1 imported, 0 already there, 0 failed", [], 0)


def test_a_full_account(place, take, tmp_path):
    """What has no room is named with its name; the rest is there."""
    run("--data", place, "user", "quota", ALICE, "50")
    photo = f"PHOTO:data:image/png;base64,{base64.b64encode(PNG).decode()}"
    path = book(tmp_path / "book.vcf", vcard("UID:a", "FN:Ann", photo), JOE)

    summary, told, status = take(path)

    assert (summary, status) == ("1 imported, 0 already there, 1 failed", 1)
    assert told[0].startswith("book.vcf:1: “Ann”: there is no room for it. The account may use 50 octets: it uses 0,")


def test_a_running_server_shows_them_at_once(server, take, tmp_path):
    """Whoever listens is told, and the next answer has the cards."""
    before = call(server, "ContactCard/get", ids=[])["state"]
    url = f"{server.url}/jmap/events?types=ContactCard&closeafter=state&ping=0"
    secret = base64.b64encode(f"{ALICE}:secret".encode()).decode()
    heard = []
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"Authorization": f"Basic {secret}"}), timeout=60
    ) as stream:  # open: whatever comes from now on is told
        listener = threading.Thread(target=lambda: heard.append(stream.read()))
        listener.start()
        assert take(book(tmp_path / "book.vcf", JOE)) == ("1 imported, 0 already there, 0 failed", [], 0)
        found = call(server, "ContactCard/query", filter={"email": "joe@example.com"})["ids"]
        listener.join(timeout=60)

    state = call(server, "ContactCard/get", ids=found)
    assert [one["name"] for one in state["list"]] == [{"full": "Joe Bloggs"}]
    assert state["state"] != before
    assert f'"ContactCard":"{state["state"]}"'.encode() in heard[0]


def test_an_import_that_was_killed_is_taken_up_again(place, tmp_path):
    """Killed in the middle: whole cards only, and the second import brings the rest and nothing twice."""
    many = 3000
    path = book(
        tmp_path / "book.vcf", *(vcard(f"UID:{n}", f"FN:Number {n}", "NOTE:" + "word " * 40) for n in range(many))
    )
    arguments = [*MINIJMAP, "--data", str(place), "import", ALICE, str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, env=environment()) as process:
        while process.poll() is None and count(place) == 0:
            pass
        process.kill()
    there = count(place)
    assert 0 < there < many
    assert checked(place).endswith("no problems.")

    again = run("--data", place, "import", ALICE, path)

    assert again.stdout.splitlines()[-1] == f"{many - there} imported, {there} already there, 0 failed"
    assert count(place) == many
    assert checked(place).endswith("no problems.")


# Memory


MEASURED = """
import sys
from minijmap.cli import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    print(status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
"""


def peak(place, path):
    """The memory that an import takes at most, in MB.

    The process tells it itself: what the kernel tells of a child includes the parent's, from before exec.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "--data", place, "import", ALICE, path],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
        timeout=300,
    )
    return int(done.stderr.split()[-1]) / 1024


def test_ten_thousand_cards_take_no_more_memory_than_a_thousand(place, tmp_path):
    """But for the caches of the store, which are bounded."""
    few = book(tmp_path / "few.vcf", *(vcard(f"UID:{n}", f"FN:Number {n}") for n in range(1000)))
    many = book(tmp_path / "many.vcf", *(vcard(f"UID:{n}", f"FN:Number {n}") for n in range(1000, 11_000)))
    least = peak(place, few)

    assert peak(place, many) < least + 20
    assert count(place) == 11_000


def test_photos_of_20_megabytes(place, tmp_path):
    """One, or three of them, come in whole; memory is that of one."""

    def photo(number):
        octets = b"\xff\xd8\xff\xe0" + random.Random(number).randbytes(20_000_000)
        text = base64.b64encode(octets)
        folded = b"\r\n ".join(text[at : at + 74] for at in range(0, len(text), 74))
        head = f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{number}\r\nFN:Photo\r\nPHOTO;ENCODING=b;TYPE=JPEG:\r\n "
        return head.encode() + folded + b"\r\nEND:VCARD\r\n"

    assert peak(place, book(tmp_path / "one.vcf", photo(1))) < 250
    assert peak(place, book(tmp_path / "more.vcf", photo(2), photo(3), photo(4))) < 320
    with contextlib.closing(sqlite3.connect(place / "minijmap.sqlite3")) as connection:
        assert connection.execute("SELECT size FROM blob").fetchall() == [(20_000_004,)] * 4
