"""Loops over the parts of a message, and their text: "foreverypart", "break" (RFC 5703 §3) and "extracttext" (§7).

Owns where a loop stands and what it visits next; the tests that look at the current part are `fieldsource`'s.
"""

from typing import Final

from minijmap.sieve.message import message_of
from minijmap.sieve.state import Break, Run
from minijmap.sieve.strings import variable
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, Tag
from minijmap.sieve.variables import MODIFIER_TAGS, modifiers

MOST_LOOPS: Final = 4
"""Loops inside of each other; RFC 5703 §3 asks for two."""


def _foreverypart(call: Call) -> CommandFunction:
    block = call.block
    name = call.text("name").constant if call.has("name") else None
    if block is None:
        raise call.error("“foreverypart” needs a block")
    if len(call.scope.loops) >= MOST_LOOPS:
        raise call.error(f"loops may stand inside of each other {MOST_LOOPS} times")

    def loop(run: Run) -> None:
        message = message_of(run)
        outer = message.part
        entities = message.root.walk() if outer is None else outer.walk()
        if outer is not None:
            next(entities)  # RFC 5703 §3: an inner loop visits what is inside of the part where the outer one stands
        try:
            for entity in entities:
                run.step(call.position.line)
                message.part = entity
                run.note(f"foreverypart: at {entity.type}")
                block(run)
        except Break as ended:
            if ended.name is not None and ended.name != name:
                raise
        finally:
            message.part = outer

    return loop


def _break(call: Call) -> CommandFunction:
    name = call.text("name").constant if call.has("name") else None
    loops = call.scope.loops
    if not loops:
        raise call.error("“break” stands in no loop")
    if name is not None and name not in loops:
        raise call.error(f"no loop around this is named “{name[:40]}”", call.tags["name"].position)

    def leave(_: Run) -> None:
        raise Break(name)

    return leave


def _extracttext(call: Call) -> CommandFunction:
    call.require("variables", "“extracttext”")
    if not call.scope.loops:
        raise call.error("“extracttext” works only inside of “foreverypart”")  # RFC 5703 §7
    name = call.text("varname")
    target = variable(name.constant or "", call.scope)
    if target is None:
        raise call.error(f"“{name.raw[:60]}” is no name of a variable that can be set", name.position)
    if not target.shared:
        call.scope.assigned.add(target.name)
    modified = modifiers(call)
    first = call.number("first characters", -1)

    def extract(run: Run) -> None:
        text = _text_of_part(run)
        if first >= 0:
            text = text[:first]
        run.set(target.name, modified(text[: run.limits.expansion]), shared=target.shared)

    return extract


def _text_of_part(run: Run) -> str:
    """The transcoded text of the part where the loop stands; "" where it can't be decoded (RFC 5703 §7)."""
    entity = message_of(run).part
    if entity is None or entity.is_multipart or entity.is_message:
        return ""
    run.check_time()
    text, problem = entity.text()
    return "" if problem else text


_NAME: Final = (Tag("name", (Kind.STRING,), constant=True),)

EXTENSIONS: Final = (
    Extension(
        "foreverypart",
        rows=(
            Row("foreverypart", Sort.CONTROL, _foreverypart, tags=_NAME, block=True, loop=True),
            Row("break", Sort.CONTROL, _break, tags=_NAME),
        ),
    ),
    Extension(
        "extracttext",
        rows=(
            Row(
                "extracttext",
                Sort.ACTION,
                _extracttext,
                (Argument("varname", Kind.STRING, constant=True),),
                (*MODIFIER_TAGS, Tag("first", (Kind.NUMBER,), group="first characters")),
            ),
        ),
    ),
)
