"""The test "body": RFC 5173.

Owns what each body transform takes out of a message. Every text is made when a test asks for it and kept until a
script changes the message, so that fifty tests read a body once.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from minijmap.mail.text import html_to_text
from minijmap.sieve.entity import Entity
from minijmap.sieve.matching import MATCH_TAGS, matching
from minijmap.sieve.message import Message, message_of
from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, Extension, Kind, Row, Sort, Tag, TestFunction

MOST_TEXT: Final = 10_000_000
"""Characters of one part that are matched; what follows is not seen."""

MOST_KEPT: Final = 50_000_000
"""Characters of a message that are kept between tests."""


def _build(call: Call) -> TestFunction:
    transform = call.which("transform", "text")
    # RFC 5173 §6: wildcards here set no match variables.
    match = matching(call, "keys", variables=False)
    take: Callable[[Run], Iterator[str]]
    if transform == "content":
        types = call.texts("transform")
        take = lambda run: _content(run, types.of(run))  # noqa: E731
    else:
        take = _raw if transform == "raw" else _text

    def test(run: Run) -> bool:
        # RFC 5173 §4: a message that is a header alone has no body, not even an empty one.
        return message_of(run).root.header_is_ended() and match(run, take(run))

    return test


def _kept(run: Run, message: Message, key: tuple[str, int], make: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """What was made for a key since the message last changed."""
    kept: dict[tuple[str, int], tuple[str, ...]] = run.extra.setdefault("body", {})
    if run.extra.get("body of") != message.version:
        kept.clear()
        run.extra["body of"], run.extra["body room"] = message.version, MOST_KEPT
    if key not in kept:
        run.check_time()
        texts = make()
        run.extra["body room"] -= sum(map(len, texts))
        if run.extra["body room"] < 0:
            return texts
        kept[key] = texts
    return kept[key]


def _raw(run: Run) -> Iterator[str]:
    """RFC 5173 §5.1: everything after the header, undecoded."""
    message = message_of(run)
    yield from _kept(run, message, ("raw", 0), lambda: (_as_text(message.root.body()),))


def _as_text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")[:MOST_TEXT]


def _content(run: Run, types: tuple[str, ...]) -> Iterator[str]:
    """RFC 5173 §5.2: the parts of some media types, each by itself."""
    message = message_of(run)
    for number, entity in enumerate(message.root.walk()):
        run.check_time()
        if any(_is_wanted(entity.type, wanted) for wanted in types):
            yield from _kept(run, message, ("content", number), partial(_content_of, entity))


def _is_wanted(media_type: str, wanted: str) -> bool:
    wanted = wanted.lower()
    if not wanted:
        return True
    if wanted.startswith("/") or wanted.endswith("/") or wanted.count("/") > 1:
        return False
    return media_type == wanted or ("/" not in wanted and media_type.partition("/")[0] == wanted)


def _content_of(entity: Entity) -> tuple[str, ...]:
    if entity.is_multipart:
        return tuple(_as_text(octets) for octets in entity.prologue_and_epilogue())
    if entity.is_message:
        # Only the header, as one string; which types match the parts inside is a matter of their own.
        return tuple(_as_text(child.header_octets()) for child in entity.children)
    return (entity.text()[0][:MOST_TEXT],)


def _text(run: Run) -> Iterator[str]:
    """RFC 5173 §5.3: what the text parts say, HTML without its markup, enclosed messages included."""
    message = message_of(run)
    for number, entity in enumerate(message.root.walk()):
        run.check_time()
        if entity.type.startswith("text/") and not entity.is_multipart:
            yield from _kept(run, message, ("text", number), partial(_shown, entity))


def _shown(entity: Entity) -> tuple[str]:
    text = entity.text()[0]
    return (html_to_text(text, MOST_TEXT) if entity.type == "text/html" else text[:MOST_TEXT],)


_TRANSFORMS: Final = (
    Tag("raw", group="transform"),
    Tag("content", (Kind.STRINGS,), group="transform"),
    Tag("text", group="transform"),
)

EXTENSIONS: Final = (
    Extension(
        "body",
        rows=(Row("body", Sort.TEST, _build, (Argument("keys", Kind.STRINGS),), (*MATCH_TAGS, *_TRANSFORMS)),),
    ),
)
