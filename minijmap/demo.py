"""The mail that `minijmap dev` starts with: some 300 friendly, varied messages of the last half year.

Holds how each sort of message is put together; the words are in minijmap.demo_texts. The same seed and the same moment
give the same octets. It must not know the store or JMAP, and takes well under 0.3 s, because every start waits for it.
"""

import base64
import email.policy
import itertools
import random
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, NamedTuple

from minijmap import demo_texts as texts
from minijmap.demo_texts import ALICE, BOB, CAROL, Person

DAY = 86_400_000
SEEN = "$seen"


class DemoAccount(NamedTuple):
    """Somebody who can sign in to a development server."""

    address: str
    name: str

    @property
    def password(self) -> str:
        """The local part of the address, so that nobody has to look it up."""
        return self.address.partition("@")[0]


DEMO_ACCOUNTS = tuple(DemoAccount(person.address, person.name) for person in (ALICE, BOB, CAROL))


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """A message of the first account: octets, the role of its mailbox, arrival in ms since the epoch, keywords."""

    raw: bytes
    folder_role: str
    received_at: int
    keywords: frozenset[str]


def demo_messages(seed: int = 1, *, now_ms: int) -> Iterator[DemoMessage]:
    """Every demo message, oldest first, none of them later than ``now_ms`` (ms since the epoch)."""
    writer = _Writer(random.Random(seed), now_ms)  # noqa: S311 (nothing here is secret)
    sorts = (
        writer.long_thread(),
        writer.threads(),
        writer.scripts(),
        writer.newsletters(),
        writer.mailing_lists(),
        writer.notices(),
        writer.photos(),
        writer.invitations(),
        writer.forwards(),
        writer.drafts(),
        writer.junk_and_trash(),
    )
    yield from sorted(itertools.chain(*sorts), key=lambda message: message.received_at)


def demo_cards(seed: int = 1) -> Iterator[dict[str, Any]]:
    """The first account's contacts as Cards (RFC 9553 §2), one with a photo, and a group of some of them."""
    writer = _Writer(random.Random(seed), 0)  # noqa: S311 (nothing here is secret)
    people = (*texts.FRIENDS, texts.OMAR, texts.NOA)
    uids = {person: f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, 'mailto:' + person.address)}" for person in people}
    card = {"@type": "Card", "version": "1.0"}
    for number, person in enumerate(people, 1):
        given, _, surname = person.name.partition(" ")
        parts = [{"kind": "given", "value": given}, {"kind": "surname", "value": surname}]
        yield {
            **card,
            "uid": uids[person],
            "name": {"full": person.name} if "," in person.name else {"components": parts, "isOrdered": True},
            "emails": {"e1": {"address": person.address, "contexts": {"private": True}}},
            "phones": {"p1": {"number": f"tel:+1-555-0100-{number:02}", "features": {"mobile": True}}},
            "anniversaries": {"b": {"kind": "birth", "date": {"month": number % 12 + 1, "day": number}}},
        } | ({"media": {"m": writer.photo()}} if person == BOB else {})
    family = {uids[person]: True for person in (BOB, CAROL, texts.ZOE)}
    uid = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, 'group:gardeners')}"
    yield {**card, "uid": uid, "kind": "group", "name": {"full": "Gardeners"}, "members": family}


class _Composed(email.policy.EmailPolicy):
    """Header values are set as they go out: the default policy parses and folds each, in five times the time."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        return name, value

    def header_fetch_parse(self, name: str, value: str) -> Any:  # noqa: ARG002 (the base class's signature)
        return value

    def fold(self, name: str, value: str) -> str:
        return f"{name}: {value}{self.linesep}"

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii")


_POLICY = _Composed(linesep="\r\n")


def _header_text(text: str) -> str:
    """Unstructured text as a header carries it: folded, and encoded where it isn't ASCII (RFC 2047 §2)."""
    if text.isascii() and len(text) <= 66:
        return text
    return Header(text, None if text.isascii() else "utf-8", maxlinelen=74, header_name="Subject").encode(
        linesep="\r\n"
    )


def _mailbox(person: Person) -> str:
    if not person.name.isascii():
        return f"{_header_text(person.name)} <{person.address}>"
    name = (
        person.name if all(character.isalpha() or character == " " for character in person.name) else f'"{person.name}"'
    )
    return f"{name} <{person.address}>"


def _paragraph(text: str) -> str:
    return "<p>" + text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>") + "</p>"


class _Writer:
    """Writes each sort of message, with one source of chance and one idea of now."""

    def __init__(self, chance: random.Random, now_ms: int) -> None:
        self.chance = chance
        self.now_ms = now_ms
        self.serial = itertools.count(1)

    # What every message has

    def ago(self, days: float) -> int:
        """The moment so many days ago, whole seconds."""
        return max(0, self.now_ms - int(days * DAY)) // 1000 * 1000

    def message(self, sender: Person, to: Sequence[Person], subject: str, moment: int) -> EmailMessage:
        """A message with its address, date and identifying headers, still without content."""
        message = EmailMessage(_POLICY)
        date = datetime.fromtimestamp(moment / 1000, timezone(timedelta(hours=sender.ahead)))
        domain = sender.address.rpartition("@")[2]
        if sender != ALICE:
            address = f"192.0.2.{self.chance.randrange(1, 255)}"
            arrival = format_datetime(datetime.fromtimestamp(moment / 1000, UTC))
            message["Received"] = (
                f"from mail.{domain} (mail.{domain} [{address}])\r\n by mx.example.com with ESMTPS; {arrival}"
            )
        message["From"] = _mailbox(sender)
        if to:
            message["To"] = ",\r\n ".join(map(_mailbox, to))
        if subject:
            message["Subject"] = _header_text(subject)
        message["Date"] = format_datetime(date)
        message["Message-ID"] = f"<{next(self.serial)}.{self.chance.getrandbits(40):x}@{domain}>"
        return message

    def done(self, message: EmailMessage, role: str, moment: int, *keywords: str) -> DemoMessage:
        """The finished message; its boundaries come from our chance, not from the library's."""
        for part in message.walk():
            if part.is_multipart() and part.get_content_maintype() == "multipart":
                part.set_boundary(f"=_{self.chance.getrandbits(64):016x}")
        return DemoMessage(message.as_bytes(), role, moment, frozenset(keywords))

    def seen(self, moment: int) -> list[str]:
        """Keywords of a message that came in: what is older has mostly been read, and a few things are flagged."""
        age = (self.now_ms - moment) / DAY
        read = self.chance.random() < (0.3 if age < 4 else 0.7 if age < 14 else 0.93)
        return [SEEN] * read + ["$flagged"] * (self.chance.random() < 0.06)

    def text(self, pool: tuple[str, ...], sentences: int) -> str:
        """So many sentences, in paragraphs of two."""
        chosen = self.chance.sample(pool, min(sentences, len(pool)))
        return "\n\n".join(" ".join(chosen[at : at + 2]) for at in range(0, len(chosen), 2)) + "\n"

    def photo(self) -> dict[str, Any]:
        """A Media object of JSContact with a picture inside (RFC 9553 §2.6.4)."""
        data = base64.b64encode(self.picture(64, 64)).decode()
        return {"kind": "photo", "uri": f"data:image/png;base64,{data}"}

    # Conversations

    def long_thread(self) -> Iterator[DemoMessage]:
        """One conversation of 36 messages in three weeks."""
        people = (BOB, CAROL, texts.DIMITRA, texts.ZOE, texts.PRIYA, ALICE)
        yield from self.conversation(texts.GARDEN_SUBJECT, people, texts.GARDEN, 36, (21, 0.02))

    def threads(self) -> Iterator[DemoMessage]:
        """A dozen short conversations, two of them under very long subjects."""
        for number, subject in enumerate((*texts.SUBJECTS, texts.LONG_SUBJECT)):
            people = (*self.chance.sample(texts.FRIENDS, self.chance.randint(1, 3)), ALICE)
            first = self.chance.uniform(2, 170) if number else 1.5
            count = self.chance.randint(3, 7)
            yield from self.conversation(subject, people, texts.DAILY, count, (first, max(0.1, first - 6)))

    def conversation(
        self, subject: str, people: tuple[Person, ...], pool: tuple[str, ...], count: int, days: tuple[float, float]
    ) -> Iterator[DemoMessage]:
        """Messages that answer each other, from ``days[0]`` to ``days[1]`` days ago (RFC 5322 §3.6.4)."""
        written: list[tuple[EmailMessage, Person, str]] = []
        for number in range(count):
            moment = self.ago(days[0] + (days[1] - days[0]) * number / max(1, count - 1))
            parent = (
                written[-1 if self.chance.random() < 0.7 else self.chance.randrange(len(written))] if written else None
            )
            sender = self.chance.choice([person for person in people if parent is None or person != parent[1]])
            others = [person for person in people if person != sender]
            message = self.message(sender, others, f"Re: {subject}" if parent else subject, moment)
            text = self.text(pool, self.chance.randint(1, 4))
            quote = self.refer(message, parent) if parent else ""
            self.fill(message, text + quote)
            written.append((message, sender, text))
            mine = sender == ALICE
            answered = ["$answered"] if not mine and self.chance.random() < 0.3 else []
            keywords = [SEEN] if mine else [*self.seen(moment), *answered]
            yield self.done(message, "sent" if mine else "inbox", moment, *keywords)

    def refer(self, message: EmailMessage, parent: tuple[EmailMessage, Person, str]) -> str:
        """Make a message the answer to another; gives the quotation that follows its text."""
        earlier, author, text = parent
        identifiers = [*str(earlier.get("References", "")).split(), str(earlier["Message-ID"])]
        message["In-Reply-To"] = identifiers[-1]
        message["References"] = "\r\n ".join(identifiers)
        lines = "".join(f"> {line}".rstrip() + "\n" for line in text.splitlines())
        return f"\nOn {earlier['Date']}, {author.name} wrote:\n{lines}"

    def fill(self, message: EmailMessage, text: str) -> None:
        """Give a message its text, sometimes with HTML beside it."""
        message.set_content(text)
        if self.chance.random() < 0.4:
            html = "".join(_paragraph(paragraph) for paragraph in text.strip().split("\n\n"))
            message.add_alternative(f"<html><body>{html}</body></html>\n", subtype="html")

    # Sorts of single messages

    def scripts(self) -> Iterator[DemoMessage]:
        """Letters in many scripts and several character sets."""
        for sender, subject, text, charset in texts.SCRIPTS:
            moment = self.ago(self.chance.uniform(0.2, 60))
            message = self.message(sender, [ALICE], subject, moment)
            message.set_content(text, charset=charset)
            if charset == "utf-8":
                message.add_alternative(f'<div dir="auto">{_paragraph(text)}</div>\n', subtype="html")
            yield self.done(message, "inbox", moment, *self.seen(moment))

    def newsletters(self) -> Iterator[DemoMessage]:
        """Four newsletters in HTML with a picture inside, a dozen issues each."""
        for name, domain, colour, headlines in texts.NEWSLETTERS:
            for issue in range(1, 13):
                moment = self.ago((12 - issue) * 14 + self.chance.uniform(0.1, 5))
                headline = headlines[issue % 2]
                message = self.message(Person(name, f"news@{domain}"), [ALICE], f"{name} #{issue}: {headline}", moment)
                message["List-Id"] = f"{name.replace('&', 'and')} <news.{domain}>"
                message["List-Unsubscribe"] = f"<https://{domain}/leave/{issue}>, <mailto:leave@{domain}>"
                message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
                body = self.text(texts.DAILY, 6)
                message.set_content(f"{headline}\n\n{body}\nhttps://{domain}/{issue}\n")
                message.add_alternative(_newsletter(name, domain, colour, headline, body), subtype="html")
                html: Any = message.get_payload(1)
                html.add_related(self.picture(120, 24), "image", "png", cid=f"<banner@{domain}>")
                yield self.done(message, "inbox" if issue > 10 else "archive", moment, *self.seen(moment))

    def mailing_lists(self) -> Iterator[DemoMessage]:
        """Discussions on two mailing lists (RFC 2369 §3, RFC 2919 §3)."""
        writers = (texts.HUGH, texts.IVAN, texts.PRIYA, texts.ZOE, texts.OMAR)
        for name, domain, subjects in texts.LISTS:
            for subject in subjects:
                first = self.chance.uniform(3, 160)
                parent = None
                for number in range(self.chance.randint(3, 7)):
                    moment = self.ago(max(0.3, first - number * 0.6))
                    sender = self.chance.choice(writers)
                    title = f"[{name}] {subject}"
                    message = self.message(
                        sender, [Person(name, f"{name}@{domain}")], "Re: " * bool(parent) + title, moment
                    )
                    message["List-Id"] = f"<{name}.{domain}>"
                    message["List-Post"] = f"<mailto:{name}@{domain}>"
                    message["List-Archive"] = f"<https://{domain}/{name}/>"
                    message["Precedence"] = "list"
                    text = self.text(texts.GARDEN, 3)
                    message.set_content(
                        text + (self.refer(message, parent) if parent else "") + f"\n-- \n{name} list\n"
                    )
                    parent = (message, sender, text)
                    yield self.done(message, "archive", moment, *self.seen(moment))

    def notices(self) -> Iterator[DemoMessage]:
        """Notices of shops and offices, some with an invoice or a table."""
        for number in range(54):
            name, address, subject, text = texts.NOTICES[number % len(texts.NOTICES)]
            moment = self.ago(number * 3.3 + self.chance.uniform(0.1, 3))
            message = self.message(Person(name, address), [ALICE], f"{subject} (no. {1000 + number})", moment)
            message.set_content(f"Dear Alice,\n\n{text}\n\nKind regards,\n{name}\n")
            if name == "Water Works":
                message.add_attachment(
                    _pdf(f"Invoice {1000 + number}"), "application", "pdf", filename=f"invoice-{number}.pdf"
                )
                rows = "".join(f"{month},{self.chance.randint(2, 9)}\r\n" for month in ("January", "February", "March"))
                message.add_attachment(
                    "month,cubic metres\r\n" + rows, subtype="csv", filename="Verbrauch für Alice.csv"
                )
            yield self.done(message, "inbox" if number < 18 else "archive", moment, *self.seen(moment))

    def photos(self) -> Iterator[DemoMessage]:
        """Letters with pictures: shown in the text, or attached with a note."""
        for number in range(14):
            sender = self.chance.choice(texts.FRIENDS)
            moment = self.ago(self.chance.uniform(0.5, 150))
            message = self.message(sender, [ALICE, BOB], f"Photos from day {number + 1} 🌄", moment)
            message.set_content(self.text(texts.DAILY, 2))
            if number % 2:
                message.add_attachment(self.picture(200, 150), "image", "png", filename=f"Foto №{number}.png")
                message.add_attachment("Camera: a box with a hole.\n", filename="about.txt")
            else:
                html = f'<p>Look!</p><img src="cid:photo{number}@example.org" alt="the sea"><p>Isn\'t it?</p>\n'
                message.add_alternative(html, subtype="html")
                part: Any = message.get_payload(1)
                part.add_related(self.picture(200, 150), "image", "png", cid=f"<photo{number}@example.org>")
            yield self.done(message, "inbox", moment, *self.seen(moment))

    def invitations(self) -> Iterator[DemoMessage]:
        """Invitations to events of the days to come (RFC 6047 §2.4)."""
        for number, event in enumerate(texts.EVENTS):
            host = texts.FRIENDS[number]
            moment = self.ago(number + 0.4)
            message = self.message(host, [ALICE, CAROL], f"Invitation: {event}", moment)
            message.set_content(f"{event}\n\nWill you come?\n")
            calendar = _invitation(
                event, host, self.now_ms + (number * 3 + 2) * DAY, f"{number}.{self.chance.getrandbits(32):x}"
            )
            message.add_alternative(calendar, subtype="calendar", params={"method": "REQUEST"})
            message.add_attachment(calendar.encode(), "application", "ics", filename="invite.ics")
            yield self.done(message, "inbox", moment, *self.seen(moment))

    def forwards(self) -> Iterator[DemoMessage]:
        """Messages that carry another message whole."""
        for sender, author in ((BOB, texts.YUKI), (CAROL, texts.ZOE), (texts.HUGH, texts.OMAR), (ALICE, texts.NOA)):
            moment = self.ago(self.chance.uniform(1, 90))
            inner = self.message(author, [sender], "The original of it all", moment - 3 * DAY)
            inner.set_content(self.text(texts.DAILY, 3))
            inner.add_attachment(self.picture(32, 32), "image", "png", filename="tiny.png")
            message = self.message(sender, [CAROL if sender == ALICE else ALICE], "Fwd: The original of it all", moment)
            message.set_content("See below, it is worth reading.\n")
            message.add_attachment(inner)
            mine = sender == ALICE
            yield self.done(message, "sent" if mine else "inbox", moment, *([SEEN] if mine else self.seen(moment)))

    def drafts(self) -> Iterator[DemoMessage]:
        """Letters that Alice began, and some that she sent to nobody's answer."""
        for number, (subject, to) in enumerate(
            (("Dear Yuki", [texts.YUKI]), ("", []), ("Speech for the fair", [BOB]), ("Ideas", []))
        ):
            moment = self.ago(number * 2 + 0.1)
            message = self.message(ALICE, to, subject, moment)
            self.fill(message, self.text(texts.DAILY, number + 1))
            yield self.done(message, "drafts", moment, SEEN, "$draft")
        for number in range(16):
            moment = self.ago(number * 9 + 1.2)
            message = self.message(
                ALICE, [self.chance.choice(texts.FRIENDS)], f"Note {number + 1}: {texts.SUBJECTS[number % 12]}", moment
            )
            self.fill(message, self.text(texts.DAILY, 3))
            yield self.done(message, "sent", moment, SEEN)

    def junk_and_trash(self) -> Iterator[DemoMessage]:
        """What nobody ordered, and what was thrown away."""
        for number, subject in enumerate(texts.JUNK):
            moment = self.ago(number * 3 + 0.7)
            message = self.message(Person("Wonder Deals", f"deal{number}@wonder.example.net"), [ALICE], subject, moment)
            message.set_content(f"<html><body><h1>{subject}</h1>{'<p>Wow!</p>' * 5}</body></html>\n", subtype="html")
            yield self.done(message, "junk", moment, *(["$junk", SEEN] if number % 3 == 0 else ["$junk"]))
        for number in range(10):
            moment = self.ago(number * 5 + 0.9)
            message = self.message(self.chance.choice(texts.FRIENDS), [ALICE], f"Lost and found {number + 1}", moment)
            self.fill(message, self.text(texts.DAILY, 2))
            yield self.done(message, "trash", moment, SEEN)

    def picture(self, width: int, height: int) -> bytes:
        """A PNG whose colour runs from one to another, top to bottom."""
        top, bottom = ([self.chance.randrange(256) for _ in range(3)] for _ in range(2))
        rows = b"".join(
            b"\0" + bytes(a + (b - a) * y // height for a, b in zip(top, bottom, strict=True)) * width
            for y in range(height)
        )
        chunks = (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )


def _pdf(title: str) -> bytes:
    """A PDF of one small page that says its title."""
    drawn = f"BT /F1 18 Tf 40 90 Td ({title}) Tj ET"
    resources = "<< /Font << /F1 5 0 R >> >>"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 150] /Contents 4 0 R /Resources {resources} >>",
        f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    text = "%PDF-1.4\n"
    table = "0000000000 65535 f \n"
    for number, body in enumerate(objects, 1):
        table += f"{len(text):010d} 00000 n \n"
        text += f"{number} 0 obj\n{body}\nendobj\n"
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(text)}\n%%EOF\n"
    return f"{text}xref\n0 {len(objects) + 1}\n{table}{trailer}".encode("ascii")


def _newsletter(name: str, domain: str, colour: str, headline: str, body: str) -> str:
    paragraphs = "\n".join(_paragraph(paragraph) for paragraph in body.strip().split("\n\n"))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{headline}</title>
<style>body {{ font-family: Georgia, serif; color: #222 }} h1 {{ color: {colour} }}</style></head>
<body><table role="presentation" width="100%"><tr><td align="center">
<img src="cid:banner@{domain}" alt="{name.replace("&", "&amp;")}" width="600" height="120">
<table role="presentation" width="600"><tr><td><h1>{headline}</h1>
{paragraphs}
<p><a href="https://{domain}/read">Read on</a></p><hr>
<p><small>You get this because you like it. <a href="https://{domain}/leave">Leave</a></small></p>
</td></tr></table></td></tr></table></body></html>
"""


def _invitation(event: str, host: Person, start_ms: int, uid: str) -> str:
    start = datetime.fromtimestamp(start_ms / 1000, UTC).replace(minute=0, second=0)
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//example.com//minijmap demo//EN",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{uid}@example.com",
        f"DTSTAMP:{start - timedelta(days=9):%Y%m%dT%H%M%SZ}",
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        f"DTEND:{start + timedelta(hours=2):%Y%m%dT%H%M%SZ}",
        f"SUMMARY:{event}",
        f"ORGANIZER:mailto:{host.address}",
        f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{ALICE.address}",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "".join(line + "\r\n" for line in lines)
