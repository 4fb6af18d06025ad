"""Where the tests "header", "address" and "exists" find their values: RFC 5703 §4 (mime), RFC 5260 §6 (index).

Owns :mime and :anychild with what they look at, the elements of MIME fields, and :index with :last. `basetests` has the
tests themselves and matches; it asks here for values by the name of a field.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from minijmap.mail.headers import content_type, disposition
from minijmap.sieve.entity import Entity
from minijmap.sieve.headerblock import Fields
from minijmap.sieve.message import message_of
from minijmap.sieve.state import Run
from minijmap.sieve.table import Call, Extension, Kind, Tag

_MIME: Final = (Tag("mime"), Tag("anychild"))
_OPTIONS: Final = (
    Tag("type", group="mime option"),
    Tag("subtype", group="mime option"),
    Tag("contenttype", group="mime option"),
    Tag("param", (Kind.STRINGS,), group="mime option"),
)
INDEX_TAGS: Final = (Tag("index", (Kind.NUMBER,)), Tag("last"))
"""For a row that is not RFC 5228's, with `index_of`; `requires` "index" through the extension."""

EXTENSIONS: Final = (
    Extension("mime", tags={"header": (*_MIME, *_OPTIONS), "address": _MIME, "exists": _MIME}),
    Extension("index", tags={"header": INDEX_TAGS, "address": INDEX_TAGS, "date": INDEX_TAGS}),
)

T = TypeVar("T")
Looked = Callable[[Run, Sequence[str]], list[T]]


# --- :index and :last -----------------------------------------------------------------------------------------------


def index_of(call: Call) -> Callable[[Sequence[T]], Sequence[T]]:
    """The choice that :index and :last make among the instances of a field. Raises ScriptError."""
    if not call.has("index"):
        if call.has("last"):  # RFC 5260 §6, RFC 5293 §5
            raise call.error("“:last” needs “:index”", call.tags["last"].position)
        return lambda values: values
    number = call.number("index")
    if number < 1:
        raise call.error("“:index” counts from 1", call.tags["index"].position)
    if call.has("last"):
        return lambda values: values[-number : len(values) - number + 1] if number <= len(values) else values[:0]
    return lambda values: values[number - 1 : number]


# --- :mime and :anychild --------------------------------------------------------------------------------------------


def _scope(call: Call) -> Callable[[Run], Iterator[Fields]]:
    """The headers that a test looks at. Raises ScriptError."""
    if not call.has("mime"):
        # RFC 5703 §4.1: these modify :mime.
        for slot in ("anychild", "mime option"):
            if call.has(slot):
                given = call.tags[slot]
                raise call.error(f"“:{given.name}” needs “:mime”", given.position)
        return _top
    return _with_children if call.has("anychild") else _current


def _top(run: Run) -> Iterator[Fields]:
    yield run.message.fields


def _entity(run: Run) -> Entity:
    message = message_of(run)
    return message.part or message.root


def _current(run: Run) -> Iterator[Fields]:
    yield _entity(run).fields


def _with_children(run: Run) -> Iterator[Fields]:
    for entity in _entity(run).walk():
        run.check_time()
        yield entity.fields


# --- what the tests ask ---------------------------------------------------------------------------------------------


def header_values(call: Call) -> Looked[str]:
    """What "header" matches: values of the fields of some names, or elements of them. Raises ScriptError."""
    scope, choose = _scope(call), index_of(call)
    element = _element(call)
    if element is None:
        if scope is _top and not call.has("index"):
            return _plain_values
        return lambda run, names: [
            value for fields in scope(run) for value in choose([text for name in names for text in fields.values(name)])
        ]

    def values(run: Run, names: Sequence[str]) -> list[str]:
        found: list[str] = []
        for fields in scope(run):
            pairs = choose([(name.lower(), raw) for name in names for raw in fields.raws(name)])
            found.extend(value for name, raw in pairs for value in element(run, name, raw))
        return found

    return values


def _plain_values(run: Run, names: Sequence[str]) -> list[str]:
    fields = run.message.fields
    return [value for name in names for value in fields.values(name)]


def address_values(call: Call) -> Looked[list[dict[str, Any]]]:
    """What "address" takes addresses from: EmailAddress objects of each field. Raises ScriptError."""
    scope, choose = _scope(call), index_of(call)
    return lambda run, names: [
        one for fields in scope(run) for one in choose([each for name in names for each in fields.addresses(name)])
    ]


def exists(call: Call) -> Callable[[Run, str], bool]:
    """What "exists" asks about one name. Raises ScriptError."""
    scope = _scope(call)
    return lambda run, name: any(name in fields for fields in scope(run))


# --- elements of MIME fields ----------------------------------------------------------------------------------------


def _element(call: Call) -> Callable[[Run, str, str], list[str]] | None:
    """What is taken of a field's Raw value instead of the whole (RFC 5703 §4.1)."""
    kind = call.which("mime option")
    if not kind:
        return None
    if kind != "param":
        return lambda _, name, raw: _type_element(kind, name, raw)
    wanted = call.texts("mime option")

    def parameters(run: Run, name: str, raw: str) -> list[str]:
        given = _parameters(name, raw)
        return [given[key] for key in dict.fromkeys(one.lower() for one in wanted.of(run)) if key in given]

    return parameters


def _type_element(kind: str, name: str, raw: str) -> list[str]:
    """What :type, :subtype and :contenttype take; a field that can't be parsed counts as nothing."""
    if name == "content-type":
        whole = _written_type(raw)
        if whole is None:
            return []
        return [{"type": whole.partition("/")[0], "subtype": whole.partition("/")[2]}.get(kind, whole)]
    if name == "content-disposition" and kind != "subtype":
        value = disposition(raw)[0]
        return [] if value is None else [value]
    return [""]  # RFC 5703 §4.1: "uses a blank string for the test"


def _written_type(raw: str) -> str | None:
    """The media type; None where content_type falls back to text/plain because there is none (RFC 2045 §5.2)."""
    value = content_type(raw)[0]
    return value if value != "text/plain" or "plain" in raw.lower() else None


def _parameters(name: str, raw: str) -> dict[str, str]:
    """The parameters of a MIME field by lower-case name, RFC 2231 and RFC 2047 decoded."""
    return content_type(raw)[1] if name == "content-type" else disposition(raw)[1]
