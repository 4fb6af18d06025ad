"""The actions "addheader" and "deleteheader": RFC 5293.

Owns which fields are meant; the message view has the edits, their limits and what no script may take away (§6).
"""

from typing import Final

from minijmap.sieve.fieldsource import INDEX_TAGS, index_of
from minijmap.sieve.headerblock import FIELD_NAME
from minijmap.sieve.matching import MATCH_TAGS, matching
from minijmap.sieve.message import message_of
from minijmap.sieve.state import Run
from minijmap.sieve.strings import Text
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, Tag


def _check(call: Call, name: Text) -> None:
    # RFC 5293 §4, §5: a name that RFC 5322 does not permit is an error.
    if name.constant is not None and not FIELD_NAME.fullmatch(name.constant):
        raise call.error(f"“{name.constant[:40]}” can't be the name of a header field", name.position)


def _name(run: Run, name: Text) -> str:
    text = name.of(run)
    if not FIELD_NAME.fullmatch(text):
        raise run.error(f"“{text[:40]}” can't be the name of a header field")
    return text


def _add(call: Call) -> CommandFunction:
    name, value = call.text("field-name"), call.text("value")
    last = call.has("last")
    _check(call, name)

    def add(run: Run) -> None:
        message_of(run).add_field(_name(run, name), value.of(run), last=last)
        run.note(f"add the header field “{name.of(run)}: {value.of(run)[:200]}”")

    return add


def _delete(call: Call) -> CommandFunction:
    name, choose = call.text("field-name"), index_of(call)
    # RFC 5293 §5: without patterns the comparator and the match type are ignored.
    match = matching(call, "value-patterns") if call.has("value-patterns") else None
    _check(call, name)

    def delete(run: Run) -> None:
        message = message_of(run)
        if _name(run, name) not in message.fields:
            return
        fields = list(choose(message.named(name.of(run))))  # RFC 5293 §5: counting happens before matching
        if match is not None:
            fields = [field for field in fields if match(run, (field.value,))]
        removed = sum(message.remove_field(field) for field in fields)
        run.note(f"remove {removed} of {len(fields)} header fields “{name.of(run)}”")

    return delete


EXTENSIONS: Final = (
    Extension(
        "editheader",
        rows=(
            Row(
                "addheader",
                Sort.ACTION,
                _add,
                (Argument("field-name", Kind.STRING), Argument("value", Kind.STRING)),
                (Tag("last"),),
            ),
            Row(
                "deleteheader",
                Sort.ACTION,
                _delete,
                (Argument("field-name", Kind.STRING), Argument("value-patterns", Kind.STRINGS, optional=True)),
                (*MATCH_TAGS, *INDEX_TAGS),
            ),
        ),
    ),
)
