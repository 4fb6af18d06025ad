"""Which files hold vCards: by name and by content, alone and in folders that have mail too."""

import os

import pytest

from minijmap.contacts.cardfiles import card_files
from minijmap.mail import archive
from tests.contacts.vcards import vcard

CARD = vcard("FN:Ann")
MESSAGE = b"Subject: a\n\nhello\n"


def lay(folder, files):
    """Write files by their paths."""
    for name, octets in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)


@pytest.mark.parametrize("name", ["book.vcf", "BOOK.VCF", "a.vCard", ".vcf", "odd name – ü.vcf"])
def test_a_name_says_it(tmp_path, name):
    """In any case, whatever is inside: reading tells what is wrong with it."""
    path = tmp_path / (name if name != ".vcf" else "x.vcf")
    path.write_bytes(b"not at all")
    assert list(card_files(path)) == [path]


@pytest.mark.parametrize(
    "octets",
    [
        CARD,
        b"\xef\xbb\xbf" + CARD,
        b" \t\r\n\r\n" + CARD,
        b"\xef\xbb\xbf\r\n" + CARD.replace(b"BEGIN:VCARD", b"begin:vcard"),
        CARD.decode().encode("utf-16"),
        b"\xfe\xff" + CARD.decode().encode("utf-16-be"),
    ],
)
def test_its_beginning_says_it(tmp_path, octets):
    """The first octets that are no blanks, after a byte order mark."""
    path = tmp_path / "contacts.txt"
    path.write_bytes(octets)
    assert list(card_files(path)) == [path]


@pytest.mark.parametrize(
    "octets", [b"", b"BEGIN:VCALENDAR\r\n", MESSAGE, b"\xff\xfe\0", b"x" + CARD, b" " * 5000 + CARD]
)
def test_other_files_are_none(tmp_path, octets):
    """What begins with anything else is not, nor what begins with nothing for long."""
    path = tmp_path / "contacts.txt"
    path.write_bytes(octets)
    assert list(card_files(path)) == []


def test_folders_are_walked_in_order(tmp_path):
    """Nothing hidden, no message, nothing of a Maildir; and mail's own walk takes no cards."""
    lay(
        tmp_path,
        {
            "b.vcf": CARD, "a/z.vcf": CARD, "a/y": CARD, "a/letter.eml": MESSAGE, "a/odd.eml": CARD,
            ".hidden.vcf": CARD, ".git/x.vcf": CARD, "Maildir/cur/1.x:2,S": MESSAGE, "Maildir/cur/2.vcf": CARD,
            "Maildir/new/3.vcf": CARD, "Maildir/tmp/4.vcf": CARD, "Maildir/book.vcf": CARD, "empty.vcf": b"",
            "old.mbox": b"From x Thu Jan  1 00:00:00 2026\n" + MESSAGE,
        },
    )  # fmt: skip
    found = [str(path.relative_to(tmp_path)) for path in card_files(tmp_path)]
    assert found == ["b.vcf", "empty.vcf", "Maildir/book.vcf", "a/y", "a/z.vcf"]
    for path in found:
        assert not any(str(tmp_path / path) in item.where for item in archive.iterate(tmp_path))
    mail = ("Maildir/cur/1.x:2,S", "Maildir/cur/2.vcf", "Maildir/new/3.vcf", "a/letter.eml", "a/odd.eml", "old.mbox")
    assert archive.count(tmp_path) == sum((tmp_path / name).stat().st_size for name in mail)


def test_what_cannot_be_read_is_left_out(tmp_path):
    """A pipe, a dangling link, a socket's like: nothing waits for them."""
    os.mkfifo(tmp_path / "pipe.vcf")
    (tmp_path / "link.vcf").symlink_to("nowhere")
    assert list(card_files(tmp_path)) == []
    assert list(card_files(tmp_path / "pipe.vcf")) == []
