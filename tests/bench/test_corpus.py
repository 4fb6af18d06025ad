"""The benchmark's corpus: the same everywhere, of the promised size, and real mail."""

import email
import mailbox
import statistics
from collections import Counter
from email.message import Message as Parsed
from itertools import islice

import pytest

from tests.bench.corpus import LIST_ID, LIST_INTERVAL, MARKS, Corpus, Message, encoded_word, person, write_mbox

COUNT = 3000


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    """The first messages of the stream."""
    return list(islice(Corpus(), COUNT))


@pytest.fixture(scope="module")
def parsed(messages: list[Message]) -> list[Parsed]:
    """The same, read by the standard library."""
    return [email.message_from_bytes(message.raw) for message in messages]


def text_of(message: Parsed) -> str:
    """The decoded text/plain part."""
    part = next(part for part in message.walk() if part.get_content_type() == "text/plain")
    return part.get_payload(decode=True).decode(part.get_content_charset())


def test_same_seed_same_messages(messages: list[Message]) -> None:
    """Two streams of one seed are equal, and how many are taken at once makes no difference."""
    again = Corpus()
    assert list(islice(again, 10)) + list(islice(again, 40)) == messages[:50]


def test_seeds_differ(messages: list[Message]) -> None:
    """Another seed gives other mail."""
    assert next(Corpus(seed=2)).raw != messages[0].raw


def test_sizes(messages: list[Message]) -> None:
    """16 kB in the mean, within a tenth; half are below 8 kB and the longest has hundreds."""
    sizes = [len(message.raw) for message in messages]
    assert 14_700 <= statistics.mean(sizes) <= 18_000
    assert statistics.median(sizes) < 8000
    assert max(sizes) > 300_000


def test_mbox_reads_back(messages: list[Message], tmp_path) -> None:
    """The standard library finds every message in the mbox file, octet for octet, and no line needed quoting."""
    path = tmp_path / "corpus.mbox"
    assert write_mbox(path, messages) == sum(len(message.raw) for message in messages)
    with path.open("rb") as file:
        assert sum(line.startswith(b"From ") for line in file) == COUNT
    box = mailbox.mbox(path, create=False)
    assert [box.get_bytes(key) for key in box.iterkeys()] == [message.raw for message in messages]
    box.close()


def test_parses_without_defects(parsed: list[Parsed]) -> None:
    """Every entity is well formed to the standard library and decodes in its charset."""
    for message in parsed:
        assert not [defect for part in message.walk() for defect in part.defects]
        assert text_of(message)


def test_lines_are_short(messages: list[Message]) -> None:
    """No line has more than 998 octets (RFC 5322 §2.1.1), and CRLF line ends are the same message."""
    assert max(len(line) for message in messages for line in message.raw.split(b"\n")) <= 998
    assert messages[0].crlf().replace(b"\r\n", b"\n") == messages[0].raw


def test_planted_words(parsed: list[Parsed]) -> None:
    """A planted word is in exactly one message of so many, so a search has a known number of hits."""
    words = [set(text_of(message).split()) for message in parsed]
    for word, interval in MARKS.items():
        assert sum(word in one for one in words) == COUNT // interval
    assert sum(LIST_ID in (message["List-Id"] or "") for message in parsed) == COUNT // LIST_INTERVAL


def test_threads(parsed: list[Parsed]) -> None:
    """References name earlier messages, and a thread has two to three messages in the mean."""
    known: set[str] = set()
    for message in parsed:
        references = (message["References"] or "").split()
        assert known.issuperset(references)
        assert (message["In-Reply-To"] or "") == (references[-1] if references else "")
        known.add(message["Message-ID"])
    starts = sum(message["References"] is None for message in parsed)
    assert len(known) == COUNT
    assert 2 <= COUNT / starts <= 3


def test_shape(parsed: list[Parsed], messages: list[Message]) -> None:
    """A tenth has attachments, most have HTML too, several charsets occur, and correspondents are as many as promised."""
    kinds = Counter(message.get_content_type() for message in parsed)
    assert 0.08 <= kinds["multipart/mixed"] / COUNT <= 0.12
    html = sum(any(part.get_content_type() == "text/html" for part in message.walk()) for message in parsed)
    assert 0.55 <= html / COUNT <= 0.65
    charsets = {part.get_content_charset() for message in parsed for part in message.walk()} - {None}
    assert charsets == {"us-ascii", "utf-8", "iso-8859-1", "iso-2022-jp"}
    assert 30 <= len({message.sender for message in messages}) * 1000 / COUNT <= 50


def test_words_follow_zipf(parsed: list[Parsed]) -> None:
    """The hundredth commonest word is at least five times as rare as the tenth."""
    counts = Counter(word.strip(".").lower() for message in parsed for word in text_of(message).split())
    common = [count for _, count in counts.most_common(100)]
    assert common[9] >= 5 * common[99]


def test_encoded_words_are_short() -> None:
    """An encoded word has at most 75 characters (RFC 2047 §2) and reads back."""
    lines = encoded_word("Größe " * 12).split("\n ")
    assert max(map(len, lines)) <= 75
    header = email.header.make_header(email.header.decode_header(encoded_word("Grüße Ø")))
    assert str(header) == "Grüße Ø"
    assert person(7).address == person(7).address
