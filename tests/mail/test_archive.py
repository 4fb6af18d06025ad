"""Archives: what each kind of file and folder gives, and what becomes of files that are none of them."""

import mailbox
import os
import tracemalloc
from email.message import Message
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.mail.archive import ArchivedMessage, ArchiveFailure, count, iterate

FROM = b"From alice@example.com Tue Nov 24 10:11:12 2026\n"
MOMENT = 1_795_515_072_000


def mbox(tmp_path, *parts):
    """Write an mbox file from its parts."""
    path = tmp_path / "inbox.mbox"
    path.write_bytes(b"".join(parts))
    return path


def only(path, **options):
    """The one item of an archive."""
    (item,) = iterate(path, **options)
    return item


def raws(path):
    """The messages of an archive, which must all be well."""
    items = list(iterate(path))
    assert [item for item in items if isinstance(item, ArchiveFailure)] == []
    return [item.raw for item in items]


def test_an_eml_file_is_taken_octet_by_octet(tmp_path):
    """A single message file is its message; its date is for its own headers to tell."""
    path = tmp_path / "one.EML"
    path.write_bytes(b"Subject: a\n\n>From here\r\n\n")

    assert only(path) == ArchivedMessage(path.read_bytes(), None, frozenset(), None, str(path), 25)


def test_an_eml_file_may_keep_the_first_line_of_its_mbox(tmp_path):
    """Some programs save a message with its From_ line, which has the date and isn't the message's."""
    path = tmp_path / "one.eml"
    path.write_bytes(FROM + b"Subject: a\n\nFrom me\n")

    item = only(path)

    assert (item.raw, item.received_at) == (b"Subject: a\n\nFrom me\n", MOMENT)


def test_a_file_of_any_name_may_be_a_message(tmp_path):
    """A file named on the command line is read whatever its name."""
    path = tmp_path / "message"
    path.write_bytes(b"Subject: a\r\n\r\n")

    assert raws(path) == [b"Subject: a\r\n\r\n"]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "empty"),
        (b"\n \r\n", "empty"),
        (b"%PDF-1.7\n", "no message: it doesn't begin with a header field"),
        (b"just words\n", "no message: it doesn't begin with a header field"),
    ],
)
def test_a_file_that_is_no_message_is_a_failure(tmp_path, octets, reason):
    """What doesn't begin with a header field isn't filed as mail."""
    path = tmp_path / "one.eml"
    path.write_bytes(octets)

    assert only(path) == ArchiveFailure(str(path), reason, len(octets))


def test_a_message_beyond_the_limit_is_a_failure(tmp_path):
    """The limit is exact, for a file and within an mbox, and the next message is still read."""
    message = b"Subject: a\r\n\r\n" + b"x" * 100 + b"\r\n"
    eml = tmp_path / "one.eml"
    eml.write_bytes(message)
    path = mbox(tmp_path, FROM, message, b"\r\n", FROM, message, b"\r\n", FROM, b"Subject: b\r\n\r\n\r\n")

    assert isinstance(only(eml, limit=len(message)), ArchivedMessage)
    assert only(eml, limit=len(message) - 1).reason == "larger than 115 bytes"
    assert [type(item) for item in iterate(path, limit=len(message))] == [ArchivedMessage] * 3
    assert [getattr(item, "reason", None) for item in iterate(path, limit=115)] == ["larger than 115 bytes"] * 2 + [
        None
    ]


def test_a_huge_message_is_not_kept(tmp_path):
    """Memory stays at the limit, not at the size of what is skipped."""
    path = mbox(tmp_path, FROM, b"Subject: a\n\n", b"x" * 79 + b"\n", (b"y" * 79 + b"\n") * 100_000, b"z" * 4_000_000)
    tracemalloc.start()

    item = only(path, limit=10_000)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert item == ArchiveFailure(f"{path}: message 1", "larger than 10000 bytes", path.stat().st_size)
    assert peak < 1_000_000


def test_an_mbox_gives_its_messages_with_crlf(tmp_path):
    """Stored line feeds become CRLF again, and the blank line before the next message is the mbox's."""
    path = mbox(tmp_path, FROM, b"Subject: a\n\none\n\n\n", FROM, b"Subject: b\n\ntwo\n\n")

    first, second = iterate(path)

    assert first.raw == b"Subject: a\r\n\r\none\r\n\r\n"
    assert first.where == f"{path}: message 1"
    assert first.received_at == MOMENT
    assert second.raw == b"Subject: b\r\n\r\ntwo\r\n"
    assert second.where == f"{path}: message 2"
    assert first.octets + second.octets == path.stat().st_size == count(path)


def test_an_mbox_with_crlf_is_left_so(tmp_path):
    """An mbox from Windows isn't given a second carriage return, and a bare line feed in it isn't touched."""
    path = mbox(tmp_path, FROM.replace(b"\n", b"\r\n"), b"Subject: a\r\n\r\none\ntwo\r\n\r\n")

    assert raws(path) == [b"Subject: a\r\n\r\none\ntwo\r\n"]


def test_a_message_may_end_without_a_line_end(tmp_path):
    """A file that breaks off still gives its last message."""
    path = mbox(tmp_path, FROM, b"Subject: a\n\none")

    assert raws(path) == [b"Subject: a\r\n\r\none"]


def test_quoted_from_lines_are_unquoted(tmp_path):
    """One ">" is taken away before From_, however many there are (mboxrd), and nowhere else."""
    path = mbox(tmp_path, FROM, b"Subject: a\n\n>From you\n>>From me\n> From us\n->From\n\n")

    assert raws(path) == [b"Subject: a\r\n\r\nFrom you\r\n>From me\r\n> From us\r\n->From\r\n"]


def test_an_unquoted_from_in_a_text_does_not_end_a_message(tmp_path):
    """A sentence that begins with From is no boundary, even after a blank line, unless a header follows."""
    path = mbox(tmp_path, FROM, b"Subject: a\n\nhello\nFrom now on: no\n\nFrom the desk\nof Bob\n\n")

    assert raws(path) == [b"Subject: a\r\n\r\nhello\r\nFrom now on: no\r\n\r\nFrom the desk\r\nof Bob\r\n"]


def test_from_lines_without_date_or_blank_line_are_boundaries(tmp_path):
    """A bare From_ line after a blank line and before a header begins a message; a dated one needs no blank line."""
    path = mbox(tmp_path, b"From \nSubject: a\n\none\n\nFrom \nSubject: b\n\ntwo\n", FROM, b"Subject: c\n\nthree\n")

    assert [raw[9:10] for raw in raws(path)] == [b"a", b"b", b"c"]
    assert [item.received_at for item in iterate(path)] == [None, None, MOMENT]


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        (b"From - Tue Nov 24 10:11:12 2026", MOMENT),
        (b"From alice@example.com  Tue Nov  3 10:11 2026", MOMENT - 21 * 86_400_000 - 12_000),
        (b"From 123@xxx Tue Nov 24 10:11:12 +0000 2026", MOMENT),
        (b"From a Tue Nov 24 10:11:12 2026 +0130", MOMENT - 5_400_000),
        (b"From a Tue Nov 24 10:11:12 2026 -0130", MOMENT + 5_400_000),
        (b"From a Tue Nov 24 10:11:12 UTC 2026", MOMENT),
        (b"From MAILER-DAEMON", None),
    ],
)
def test_from_lines_tell_when_a_message_arrived(tmp_path, line, moment):
    """The date of a From_ line is understood in the forms that programs write."""
    assert only(mbox(tmp_path, line, b"\nSubject: a\n\n")).received_at == moment


@pytest.mark.parametrize(
    ("fields", "keywords"),
    [
        (b"Status: RO\nX-Status: AF\n", {"$seen", "$answered", "$flagged"}),
        (b"Status: O\nX-Status: T\n", {"$draft"}),
        (b"X-Mozilla-Status: 1007\nX-Mozilla-Status2: 00800000\n", {"$seen", "$answered", "$flagged", "$forwarded"}),
        (b"X-Mozilla-Status: 0000\nX-Mozilla-Keys: $label1 Work (no)      \n", {"$label1", "work"}),
        (b"X-UID: 7\nX-Keywords: NonJunk\n", {"nonjunk"}),
    ],
)
def test_flags_of_an_mbox_are_keywords(tmp_path, fields, keywords):
    """What a program noted in fields of its own becomes keywords, and the fields go: they are not the message's."""
    item = only(mbox(tmp_path, FROM, b"Subject: a\n", fields, b"To: b\n\nStatus: R\n\n"))

    assert item.keywords == keywords
    assert item.raw == b"Subject: a\r\nTo: b\r\n\r\nStatus: R\r\n"


def test_a_field_that_only_looks_like_a_flag_stays(tmp_path):
    """A Status field with other words in it, or folded, came with the message."""
    fields = b"Status: open\nX-Status: RF\n folded\nSubject: a\n\n"

    item = only(mbox(tmp_path, FROM, fields, b"\n"))

    assert (item.raw, item.keywords) == (fields.replace(b"\n", b"\r\n"), frozenset())


@pytest.mark.parametrize("fields", [b"X-Status: D\n", b"X-Mozilla-Status: 0009\n", b"X-IMAP: 1700000000 0000000012\n"])
def test_deleted_messages_stay_away(tmp_path, fields):
    """Deleted messages, and the one in which a program keeps its numbers, aren't given; progress counts them."""
    path = mbox(tmp_path, FROM, fields, b"Subject: a\n\n\n", FROM, b"Subject: b\n\n\n")

    item = only(path)

    assert item.where == f"{path}: message 2"
    assert item.octets == count(path)


def test_an_empty_mbox_has_no_messages(tmp_path):
    """A folder that was emptied is no failure."""
    assert list(iterate(mbox(tmp_path))) == []


def test_a_message_without_anything_is_a_failure(tmp_path):
    """A From_ line with nothing after it is named, and the rest is read."""
    path = mbox(tmp_path, FROM, b"\n", FROM, b"Subject: b\n\n\n")

    failure, message = iterate(path)

    assert failure == ArchiveFailure(f"{path}: message 1", "empty", len(FROM) + 1)
    assert message.raw == b"Subject: b\r\n\r\n"


def test_a_maildir_gives_folders_flags_and_times(tmp_path):
    """The folders cur and new of the Maildir and of its subfolders are read in order; trashed messages and tmp aren't."""
    top = tmp_path / "Maildir"
    files = {
        "cur/1700000000.M1P1.host:2,FRS": b"Subject: a\n\n",
        "cur/1700000001.M1P1.host:2,ST": b"Subject: trashed\n\n",
        "new/1700000002.M1P1.host": b"Subject: b\r\n\r\n",
        "tmp/1700000003.M1P1.host": b"Subject: half\n",
        "dovecot.index": b"\0\0",
        ".Sent/cur/x:2,D": b"Subject: c\n\n",
        ".Sent.2&AOk-/cur/1700000004.host:2,PZ": b"Subject: d\n\n",
        ".Bad&name/cur/1700000005.host": b"Subject: e\n\n",
        "Lists/jmap/cur/1700000006.host": b"Subject: f\n\n",
    }
    for name, octets in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
        os.utime(path, (1_800_000_000, 1_800_000_000))
    os.utime(top / "new/1700000002.M1P1.host", (1_600_000_000, 1_600_000_000))

    found = {item.raw[9:10]: (item.folder, item.keywords, item.received_at) for item in iterate(top)}

    assert found == {
        b"a": (None, {"$flagged", "$answered", "$seen"}, 1_700_000_000_000),
        b"b": (None, frozenset(), 1_600_000_000_000),
        b"c": ("Sent", {"$draft"}, 1_800_000_000_000),
        b"d": ("Sent/2é", {"$forwarded"}, 1_700_000_004_000),
        b"e": ("Bad&name", frozenset(), 1_700_000_005_000),
        b"f": ("Lists/jmap", frozenset(), 1_700_000_006_000),
    }
    assert [item.raw for item in iterate(top)][:2] == [b"Subject: a\r\n\r\n", b"Subject: b\r\n\r\n"]


def test_a_tree_of_files_gives_its_folders(tmp_path):
    """Directories of .eml files and of mbox files become folders; other files are left alone."""
    files = {
        "a.eml": b"Subject: a\n\n",
        "2026/spring/b.eml": b"Subject: b\n\n",
        "Inbox": FROM + b"Subject: c\n\n\n",
        "Inbox.msf": b"// index",
        "Inbox.sbd/Work.mbox": FROM + b"Subject: d\n\n\n",
        "notes.txt": b"From here to there\nis far\n",
        ".git/e.eml": b"Subject: e\n\n",
        ".git/deep/e.eml": b"Subject: e\n\n",
        ".f.eml": b"Subject: f\n\n",
    }
    for name, octets in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)

    items = list(iterate(tmp_path))

    assert [(item.raw[9:10], item.folder) for item in items] == [
        (b"c", "Inbox"),
        (b"a", None),
        (b"b", "2026/spring"),
        (b"d", "Inbox/Work"),
    ]
    assert sum(item.octets for item in items) == count(tmp_path)


def test_a_missing_path_is_a_failure(tmp_path):
    """A path that isn't there is named, not raised."""
    path = tmp_path / "none.mbox"

    assert list(iterate(path)) == [ArchiveFailure(str(path), "No such file or directory", 0)]
    assert count(path) == 0


def test_what_is_no_file_is_never_opened(tmp_path):
    """A pipe, which would wait for ever, is a failure by itself and left alone in a directory."""
    path = tmp_path / "pipe.eml"
    os.mkfifo(path)
    (tmp_path / "Maildir/cur").mkdir(parents=True)
    os.mkfifo(tmp_path / "Maildir/cur/pipe")

    assert list(iterate(path)) == [ArchiveFailure(str(path), "neither a file nor a directory", 0)]
    assert list(iterate(tmp_path)) == []


def test_a_dangling_link_in_a_tree_is_left_alone(tmp_path):
    """A link to nowhere is no message; a link to a directory isn't followed, so that none goes in circles."""
    (tmp_path / "gone.eml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)

    assert list(iterate(tmp_path)) == []


def test_a_name_that_is_not_text_can_be_shown(tmp_path):
    """A file name of any octets gives a place that can be printed."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.eml"))
    path.write_bytes(b"Subject: a\n\n")

    assert only(path).where == f"{tmp_path}/caf\ufffd\ufffd.eml"


LINES = st.lists(
    st.sampled_from(
        [b"From me", b">From me", b">>From me", b"", b"a: b", b"> quoted", b"From a Tue Nov 24 10:11:12 2026"]
    )
    | st.binary(max_size=20).map(lambda octets: octets.replace(b"\n", b"").replace(b"\r", b"")),
    max_size=8,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, min_size=1, max_size=4), st.sampled_from([b"\n", b"\r\n"]))
def test_what_is_written_as_mboxrd_is_read_again(tmp_path, bodies, line_end):
    """Whatever lines messages have, writing them by mboxrd's rule and reading the file gives them back."""
    messages = [b"Subject: x\r\n\r\n" + b"".join(line + b"\r\n" for line in body) for body in bodies]
    written = b""
    for message in messages:
        lines = message.replace(b"\r\n", b"\n").split(b"\n")[:-1]
        quoted = [b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in lines]
        written += FROM + b"".join(line + b"\n" for line in quoted) + b"\n"

    assert raws(mbox(tmp_path, written.replace(b"\n", line_end))) == messages


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from([FROM, b"From ", b">", b"a: b\n", b"X-Mozilla-Status: 0009\n", b"\n", b"\r"])
        | st.binary(max_size=9)
    )
)
def test_any_octets_at_all_end_in_items(tmp_path, pieces):
    """Whatever a file holds, reading it ends without an error, and progress never passes its size."""
    path = mbox(tmp_path, *pieces)

    for limit in (1, 20, 50_000_000):
        items = list(iterate(path, limit=limit))
        assert sum(item.octets for item in items) <= path.stat().st_size
        assert all(len(item.raw) <= limit for item in items if isinstance(item, ArchivedMessage))


def test_the_standard_library_writes_what_is_read(tmp_path):
    """An mbox and a Maildir written by Python's own module are read with their messages and flags."""
    message = mailbox.mboxMessage(Message())
    message["Subject"] = "a"
    message.set_payload("one\n\nFrom two\n")
    message.set_flags("ROF")
    box = mailbox.mbox(tmp_path / "box.mbox")
    box.add(message)
    box.add(message)
    box.close()
    maildir = mailbox.Maildir(tmp_path / "Maildir")
    maildir.add_folder("Sub.Folder").add(mailbox.MaildirMessage(message))

    first, second = iterate(tmp_path / "box.mbox")
    third = only(tmp_path / "Maildir")

    assert first.raw == second.raw == b"Subject: a\r\n\r\none\r\n\r\nFrom two\r\n"
    assert first.keywords == third.keywords == {"$seen", "$flagged"}
    assert third.folder == "Sub/Folder"
