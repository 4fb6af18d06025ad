"""The benchmark's mail: an endless, deterministic stream of RFC 5322 messages, 16 kB in the mean with a long tail.

The n-th message never depends on how many are asked for, so a store can grow from 2,000 to 100,000 and stay comparable.
Words follow Zipf's law (rank r as often as 1/(r + 2.7)), so an index has a real mailbox's shape; the words of `MARKS` are
planted at exact intervals, so a search for one has a known number of hits. Knows nothing of JMAP.
"""

import binascii
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

MARKS = {"zanthovel": 10, "quillorex": 100, "brindlewick": 1000}  # the word is in one message of so many
LIST_ID = "harbour.lists.bench.example"
LIST_INTERVAL = 50  # every so manieth message came through the mailing list
EPOCH = 1_672_531_200  # 2023-01-01, the first message's date
INTERVAL = 600  # seconds between messages, in the mean
REPLIES = 0.6  # probability that a message answers an older one: threads of 2.5 messages in the mean
OPEN_THREADS = 400
DOMAINS = tuple(f"{name}.bench.example" for name in ("alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "oak"))
STYLE = "".join(f".c{n}{{margin:0 {n}px;padding:{n}px;font:1{n % 9}px/1.5 serif;color:#{n:03x}}}\n" for n in range(28))
PAGE = f"<html><head><style>\n{STYLE}</style></head><body>\n<p>"
ATTACHED = (("report.pdf", "application/pdf"), ("photo.jpg", "image/jpeg"), ("table.ods", "application/octet-stream"))
LATIN = "ba be bi bo da de di do fa fe ga ge ha hi ka ke la le li lo ma me mi mo na ne no pa pe ra re ri ro sa se si so ta te ti to"
KANJI = "日本国会人年大十二中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入選立開手米力学問高"


@dataclass(frozen=True)
class Language:
    """How one language is spelled and how its mail is usually encoded."""

    syllables: tuple[str, ...]
    share: int
    charset: str
    encoding: str
    space: str = " "
    words: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


def languages(rng: random.Random) -> list[Language]:
    """The six languages of the corpus, each with 12,000 words and 3,000 sentences drawn from them by Zipf's law."""
    latin = tuple(LATIN.split())
    spoken = [
        Language((*latin, "th", "ing", "er", "ly"), 55, "us-ascii", "7bit"),
        Language((*latin, "ä", "ö", "ü", "ß", "sch", "ung"), 15, "utf-8", "quoted-printable"),
        Language((*latin, "é", "è", "ç", "eau", "oi"), 10, "iso-8859-1", "quoted-printable"),
        Language((*latin, "ñ", "ción", "á", "ó"), 8, "utf-8", "8bit"),
        Language(tuple("бвгджзклмнопрстуаеиоуыяю"), 7, "utf-8", "base64"),
        Language(tuple(KANJI), 5, "iso-2022-jp", "7bit", ""),
    ]
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(1, 12_001)))
    for language in spoken:
        words: dict[str, None] = {}
        while len(words) < len(weights):
            words["".join(rng.choices(language.syllables, k=rng.choice((1, 2, 2, 3, 3, 4, 5))))] = None
        language.words.extend(sorted(words, key=len))  # frequent words are short
        for _ in range(3000):
            chosen = rng.choices(language.words, cum_weights=weights, k=rng.randint(5, 18))
            language.sentences.append(language.space.join(chosen).capitalize() + ".")
    return spoken


class Person(NamedTuple):
    """Someone who writes mail: the address and the header form with the name."""

    address: str
    mailbox: str


@cache
def person(number: int) -> Person:
    """The correspondent with this number; every eighth has a name that needs encoded words (RFC 2047)."""
    rng = random.Random(number)
    first, last = ("".join(rng.choices(LATIN.split(), k=k)).capitalize() for k in (2, 3))
    address = f"{first}.{last}.{number}@{rng.choice(DOMAINS)}".lower()
    shown = encoded_word(f"{first} Ø. {last}") if number % 8 == 0 else f"{first} {last}"
    return Person(address, f"{shown} <{address}>")


def encoded_word(text: str) -> str:
    """Text as encoded words of at most 75 characters (RFC 2047 §2), folded."""
    pieces = [text[at : at + 12].encode() for at in range(0, len(text), 12)]
    return "\n ".join(f"=?utf-8?B?{binascii.b2a_base64(piece, newline=False).decode()}?=" for piece in pieces)


class Message(NamedTuple):
    """A message with LF line ends, its envelope sender and when it arrived (seconds since the epoch)."""

    raw: bytes
    sender: str
    received: int

    def crlf(self) -> bytes:
        """The message as SMTP and Email/import want it."""
        return self.raw.replace(b"\n", b"\r\n")


@dataclass
class Conversation:
    """A thread in the making."""

    language: Language
    subject: str
    starter: Person
    message_ids: list[str] = field(default_factory=list)


class Corpus(Iterator[Message]):
    """The stream. One seed, one stream; taking messages moves it on."""

    def __init__(self, seed: int = 1) -> None:
        self._rng = random.Random(seed)
        self._languages = languages(self._rng)
        self._shares = list(accumulate(language.share for language in self._languages))
        noise = binascii.b2a_base64(self._rng.randbytes(57 * 20_000), newline=False)
        self._noise = b"\n".join(noise[at : at + 76] for at in range(0, len(noise), 76)) + b"\n"
        self._open: list[Conversation] = []
        self.number = 0

    def __next__(self) -> Message:
        """The next message; 40 new correspondents join with every 1,000 messages, old ones stay the busiest."""
        rng, number = self._rng, self.number
        self.number += 1
        sender = person(int((40 + number // 25) * rng.random() ** 2))
        if self._open and rng.random() < REPLIES:
            thread = rng.choice(self._open)
        else:
            language = rng.choices(self._languages, cum_weights=self._shares)[0]
            subject = language.space.join(rng.choices(language.words, k=rng.randint(2, 7))).capitalize()
            thread = Conversation(language, subject if subject.isascii() else encoded_word(subject), sender)
            self._open.append(thread)
            if len(self._open) > OPEN_THREADS:
                self._open.pop(rng.randrange(OPEN_THREADS // 2))
        received = EPOCH + number * INTERVAL + rng.randrange(INTERVAL)
        head = self._head(thread, sender, number, received)
        return Message(head + self._content(thread.language, number), sender.address, received)

    def _head(self, thread: Conversation, sender: Person, number: int, received: int) -> bytes:
        """The header section without what describes the content; makes the message part of its thread."""
        rng = self._rng
        domain = sender.address.partition("@")[2]
        date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(received))
        signature = self._slice(5).decode()[:340].replace("\n", "\n\t")
        lines = [
            f"Received: from mx.{domain} ([192.0.2.{number % 250}])\n\tby in.bench.example with ESMTPS id {number:x}; {date}",
            f"DKIM-Signature: v=1; a=rsa-sha256; d={domain}; s=k1; h=from:to:subject;\n\tb={signature}",
            f"Date: {date}",
            f"From: {sender.mailbox}",
            f"To: {thread.starter.mailbox if thread.message_ids else person(rng.randrange(40)).mailbox}",
            f"Subject: {'Re: ' if thread.message_ids else ''}{thread.subject}",
            f"Message-ID: <{number}.{rng.getrandbits(48):012x}@{domain}>",
        ]
        if rng.random() < 0.2:
            lines.append("Cc: " + ",\n ".join(person(rng.randrange(40)).mailbox for _ in range(rng.randint(1, 6))))
        if thread.message_ids:
            lines += [f"In-Reply-To: {thread.message_ids[-1]}", "References: " + "\n ".join(thread.message_ids[-10:])]
        if number % LIST_INTERVAL == 0:
            lines.append(f"List-Id: Harbour <{LIST_ID}>")
        thread.message_ids.append(lines[6].partition(": ")[2])
        return "\n".join((*lines, "MIME-Version: 1.0\n")).encode()

    def _content(self, language: Language, number: int) -> bytes:
        """The content with its own header fields: text, mostly an HTML alternative too, sometimes attachments."""
        rng = self._rng
        lines = rng.choices(language.sentences, k=min(400, 3 + int(rng.lognormvariate(3.25, 0.9))))
        lines.append(language.space.join(rng.choices(language.words, k=8)) + f" #{number:07d}")
        lines += [word for word, interval in MARKS.items() if number % interval == interval // 2]
        content = text_part("plain", "\n".join(lines) + "\n", language)
        if rng.random() < 0.6:
            page = PAGE + "</p>\n<p>".join(lines) + "</p>\n</body></html>\n"
            content = multipart("alternative", f"=_alt_{number}", [content, text_part("html", page, language)])
        if rng.random() < 0.1:
            files = [self._attachment(number) for _ in range(rng.choice((1, 1, 1, 2)))]
            content = multipart("mixed", f"=_mix_{number}", [content, *files])
        return content

    def _attachment(self, number: int) -> bytes:
        name, kind = self._rng.choice(ATTACHED)
        size = min(15_000, 20 + int(self._rng.lognormvariate(6.35, 1.0)))
        head = f'Content-Type: {kind}; name="{number}-{name}"\nContent-Disposition: attachment; filename="{number}-{name}"\n'
        return head.encode() + b"Content-Transfer-Encoding: base64\n\n" + self._slice(size)

    def _slice(self, lines: int) -> bytes:
        """So many lines of base64 that no compression helps with."""
        start = 77 * self._rng.randrange(len(self._noise) // 77 - lines)
        return self._noise[start : start + 77 * lines]


def text_part(subtype: str, text: str, language: Language) -> bytes:
    """A text/* entity in the language's charset and transfer encoding."""
    octets = text.encode(language.charset)
    if language.encoding == "quoted-printable":
        octets = binascii.b2a_qp(octets)
    elif language.encoding == "base64":
        octets = b"".join(binascii.b2a_base64(octets[at : at + 57]) for at in range(0, len(octets), 57))
    head = f"Content-Type: text/{subtype}; charset={language.charset}\nContent-Transfer-Encoding: {language.encoding}"
    return head.encode() + b"\n\n" + octets


def multipart(subtype: str, boundary: str, parts: list[bytes]) -> bytes:
    """A multipart/* entity of finished entities (RFC 2046 §5.1)."""
    mark = f"\n--{boundary}".encode()
    head = f'Content-Type: multipart/{subtype}; boundary="{boundary}"\n'.encode()
    return head + b"".join(mark + b"\n" + part for part in parts) + mark + b"--\n"


def write_mbox(path: Path, messages: Iterable[Message]) -> int:
    """Write messages as an mbox file, one at a time; returns the octets of the messages alone.

    No line of the corpus begins with `From `, so nothing needs quoting (a test holds it).
    """
    octets = 0
    with path.open("wb") as out:
        for message in messages:
            out.write(f"From {message.sender} {time.asctime(time.gmtime(message.received))}\n".encode())
            out.write(message.raw)
            out.write(b"\n")
            octets += len(message.raw)
    return octets
