"""The actions "replace" and "enclose": RFC 5703 §5 and §6.

Owns what their arguments mean; `compose` writes the entities, the message view puts them in place.
"""

from email.utils import format_datetime
from typing import Final

from minijmap.sieve.addresslist import check_sender, sender_of
from minijmap.sieve.compose import check_entity, mime_entity, text_entity
from minijmap.sieve.entity import Entity
from minijmap.sieve.headerblock import FIELD_NAME, EditProblem
from minijmap.sieve.message import message_of
from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, Tag


def _replace(call: Call) -> CommandFunction:
    text, subject, sender = call.text("replacement"), call.maybe_text("subject"), check_sender(call, "from")
    mime = call.has("mime")
    if mime and (subject or sender):
        raise call.error("with “:mime”, the replacement says its own subject and sender")  # RFC 5703 §5
    if mime and text.constant is not None:
        try:
            check_entity(text.constant)
        except EditProblem as problem:
            raise call.error(f"the replacement {problem}", text.position) from None

    def replace(run: Run) -> None:
        message = message_of(run)
        entity = message.part or message.root
        whole = entity is message.root
        try:
            write = mime_entity if mime else text_entity
            content = write(text.of(run), () if whole else _boundaries_around(entity))
        except EditProblem as problem:
            raise run.error(f"the replacement {problem}") from None
        if not whole:
            message.replace_part(entity, content)
        else:
            message.replace_whole(content, subject.of(run) if subject else None, sender_of(run, sender))
        run.note("replace the whole message" if whole else "replace this part")

    return replace


def _boundaries_around(entity: Entity) -> list[bytes]:
    boundaries: list[bytes] = []
    outer = entity.parent
    while outer is not None:
        boundaries.append(outer.boundary())
        outer = outer.parent
    return [boundary for boundary in boundaries if boundary]


def _enclose(call: Call) -> CommandFunction:
    text, subject = call.text("text"), call.maybe_text("subject")
    names = call.texts("headers") if call.has("headers") else None
    for name in names or ():
        if name.constant is not None and not FIELD_NAME.fullmatch(name.constant):
            raise call.error(f"“{name.constant[:40]}” can't be the name of a header field", name.position)

    def enclose(run: Run) -> None:
        message = message_of(run)
        wanted = list(names.of(run)) if names is not None else []
        # RFC 5703 §6: Date and From are of now and of the user, the subject that of the enclosed message.
        written = {"Date": format_datetime(run.now.replace(microsecond=0)), "From": f"<{run.host.owner()}>"}
        if subject is None:
            wanted.append("subject")
        message.enclose(text.of(run), subject.of(run) if subject else None, wanted, written)
        run.note("enclose the message in a new one")

    return enclose


_STRING: Final = (Kind.STRING,)

EXTENSIONS: Final = (
    Extension(
        "replace",
        rows=(
            Row(
                "replace",
                Sort.ACTION,
                _replace,
                (Argument("replacement", Kind.STRING),),
                (Tag("mime"), Tag("subject", _STRING), Tag("from", _STRING)),
            ),
        ),
    ),
    Extension(
        "enclose",
        rows=(
            Row(
                "enclose",
                Sort.ACTION,
                _enclose,
                (Argument("text", Kind.STRING),),
                (Tag("subject", _STRING), Tag("headers", (Kind.STRINGS,))),
            ),
        ),
    ),
)
