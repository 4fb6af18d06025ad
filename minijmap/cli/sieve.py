"""`minijmap sieve`: try a script before it touches anybody's mail."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from minijmap.sieve.actions import Action, Fcc, FileInto
    from minijmap.sieve.interpreter import Result
    from minijmap.sieve.program import Program

FILE = click.Path(dir_okay=False, path_type=Path)
SUFFIX = ".sieve"


class BadScript(Exception):
    """A script can't be accepted, or has failed on the message."""


@click.group(short_help="Filters: check a script, try it on a message.")
def command() -> None:
    """Check Sieve scripts, and try them on a message.

    Nothing is read or changed but the files that are named: no data folder, no server.
    """


@command.command("check", short_help="Say whether a script can be used.")
@click.argument("file", type=FILE)
def check(file: Path) -> None:
    """Say whether the script in FILE can be used, as SieveScript/validate does; if not, where and why."""
    from minijmap.jmap.errors import SetError
    from minijmap.sieve.script import check_content

    try:
        check_content(file.read_bytes())
    except SetError as error:
        raise BadScript(f"{file}: {error.description}") from None
    program = _compiled(file)
    needed = ", ".join(sorted(program.capabilities))
    click.echo(f"{file}: the script is valid" + (f", and requires {needed}." if needed else "."))


@command.command("test", short_help="Show what a script would do with a message.")
@click.argument("file", type=FILE)
@click.argument("message", type=FILE)
@click.option("--from", "sender", metavar="A", help="The envelope's sender.  [default: Return-Path, or From]")
@click.option("--to", "recipient", metavar="B", help="The envelope's recipient.  [default: the first address in To]")
def test(file: Path, message: Path, sender: str | None, recipient: str | None) -> None:
    """Show what the script in FILE would do with the message in MESSAGE, and why, line by line.

    Scripts that it includes are looked for beside it: `include "common"` is common.sieve. Of mailboxes there is the
    Inbox alone, no list has anybody, nobody was answered before. Nothing is sent.
    """
    from minijmap.sieve.compiler import compile_script
    from minijmap.sieve.host import AloneHost, Envelope
    from minijmap.sieve.interpreter import run
    from minijmap.sieve.localzone import LOCAL
    from minijmap.sieve.message import Message

    class Folder(AloneHost):
        """A host whose other scripts are the files of a folder."""

        def include(self, name: str, *, personal: bool) -> "Program | None":
            """Return the script in the file of that name."""
            path = file.parent / f"{name}{SUFFIX}"
            # A script's name is no path.
            if not personal or path.parent != file.parent or not path.is_file():
                return None
            return compile_script(path.read_bytes(), tracing=True)

    program = _compiled(file)
    raw = message.read_bytes()
    envelope = Envelope(*_envelope(raw, sender, recipient))
    result = run(program, Message(raw), envelope, Folder(datetime.now(LOCAL)))
    click.echo(f"From <{envelope.sender}> to <{envelope.recipient}>, {len(raw)} octets")
    for line in _lines(result):
        click.echo(line)
    if result.error is not None:
        raise BadScript(f"{file}: {result.error}. The message stays in the Inbox.")


def _compiled(file: Path) -> "Program":
    from minijmap.sieve.compiler import compile_script
    from minijmap.sieve.errors import ScriptError

    try:
        return compile_script(file.read_bytes(), tracing=True)
    except ScriptError as error:
        raise BadScript(f"{file}: {error}") from None


def _envelope(raw: bytes, sender: str | None, recipient: str | None) -> tuple[str, str]:
    """Return the envelope: what was given, or else what the message says."""
    from minijmap.mail import headers
    from minijmap.mail.message import parse

    fields = parse(raw).headers

    def first(name: str) -> str | None:
        found = headers.find(fields, name)
        addresses = headers.as_addresses(found or "")
        return None if found is None else (addresses[0]["email"] if addresses else "")

    if sender is None:
        path = first("Return-Path")
        sender = path if path is not None else first("From") or ""
    return sender.strip("<>"), (first("To") or "" if recipient is None else recipient).strip("<>")


def _lines(result: "Result") -> Iterator[str]:
    """Yield what was decided, and then what would be done."""
    for one in result.trace:
        script = f"{one.script}, " if one.script else ""
        yield f"  {script}line {one.line}: {'  ' * one.depth}{one.text}"
    yield "Result:"
    for action in result.actions:
        yield f"  {_told(action, is_all=len(result.actions) == 1)}"
    if not result.actions:
        yield "  nothing: the message is thrown away"
    for duplicate in result.duplicates:
        yield f"  remember for {_span(duplicate.seconds)} that this id was seen"


def _told(action: "Action", *, is_all: bool) -> str:
    """Return what an action does, in words; `is_all`: nothing else is done."""
    from minijmap.sieve import actions

    edited = ", as the script has changed it" if getattr(action, "message", None) is not None else ""
    match action:
        case actions.Keep():
            why = ", as no action has said otherwise" if action.implicit else ""
            return f"keep it in the Inbox{_flags(action.flags)}{why}{edited}"
        case actions.FileInto():
            return f"file it into {_place(action)}{edited}"
        case actions.Redirect():
            return f"send it on to {action.address}{edited}"
        case actions.RedirectList():
            return f"send it on to everybody in {action.uri}{edited}"
        case actions.Discard():
            return "throw it away" if is_all else "throw it away, but for what is said here besides"
        case actions.Reject():
            return f"refuse it: “{' '.join(action.reason.split())}”"
        case actions.Vacation():
            copy = "" if action.fcc is None else f", with a copy in {_place(action.fcc)}"
            return f"answer the sender{_seldom(action.seconds)}{copy}"
        case actions.Notify():
            return f"notify {action.method}"


def _seldom(seconds: int) -> str:
    return f", if that was not done in the last {_span(seconds)}" if seconds else ""


def _span(seconds: int) -> str:
    """Return a time in the largest unit that says it exactly."""
    unit, name = next(
        (size, name)
        for size, name in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
        if not seconds % size
    )
    count = seconds // unit
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _place(action: "FileInto | Fcc") -> str:
    made = ", made if it is not there" if action.create else ""
    others = [f"the mailbox with the id {action.mailbox_id}"] if action.mailbox_id else []
    others += [f"the mailbox for {action.special_use}"] if action.special_use else []
    otherwise = f" (first choice: {', then '.join(others)})" if others else ""
    return f"“{action.mailbox}”{otherwise}{made}{_flags(action.flags)}"


def _flags(flags: tuple[str, ...]) -> str:
    return f", with the flags {' '.join(flags)}" if flags else ""
