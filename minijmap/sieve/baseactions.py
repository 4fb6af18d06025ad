"""The actions of RFC 5228 §4, keep, fileinto, redirect and discard, with every tag that extensions add to them.

Owns :copy (RFC 3894), :flags (RFC 5232 §5), :create (RFC 5490 §3.2), :mailboxid (RFC 9042 §4), :specialuse
(RFC 8579 §4) and redirect's :list (RFC 6134 §2.3). What an action then does is the house's.
"""

import re
from typing import Final

from minijmap.mail.addresses import as_addresses
from minijmap.mail.addressing import is_mailbox
from minijmap.sieve.actions import Discard, FileInto, Keep, Redirect, RedirectList
from minijmap.sieve.extlists import list_of
from minijmap.sieve.flags import flags_of
from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, Tag

_FLAGS: Final = Tag("flags", (Kind.STRINGS,), ("imap4flags",))
_COPY: Final = Tag("copy", (), ("copy",))
_SPECIAL_USE: Final = re.compile(r"\\[!#$&'+,./0-9:;<=>?@A-Z^_`a-z|}~-]+")
LONGEST_MAILBOX: Final = 1_024
"""Octets of a mailbox name with its parents; also a limit on what names a mailbox in other ways."""


def _keep(call: Call) -> CommandFunction:
    flags = flags_of(call, "flags")
    return lambda run: run.act(Keep(flags(run), run.message.edited()))


def mailbox_name(run: Run, name: str) -> str:
    """A mailbox name that a script gives, or a RunError (RFC 5228 §4.1)."""
    if not name.strip():
        raise run.error("a mailbox has no name")
    if any(ord(character) < 32 or character == "\x7f" for character in name) or _is_broken(name):
        raise run.error("the name of a mailbox has control characters, or is not UTF-8")
    if len(name.encode()) > LONGEST_MAILBOX:
        raise run.error(f"the name of a mailbox has more than {LONGEST_MAILBOX} octets")
    return name


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def special_use(run: Run, use: str) -> str:
    """A special-use flag that a script gives (RFC 8579 §4), or a RunError."""
    if not _SPECIAL_USE.fullmatch(use) or len(use) > LONGEST_MAILBOX:
        raise run.error(f"“{use[:60]}” is no special use")
    return use


def _fileinto(call: Call) -> CommandFunction:
    if call.has("mailboxid") and call.has("specialuse"):  # RFC 9042 §4.2
        raise call.error("“:mailboxid” and “:specialuse” exclude each other")
    flags, mailbox = flags_of(call, "flags"), call.text("mailbox")
    create, copy = call.has("create"), call.has("copy")
    mailbox_id, use = call.maybe_text("mailboxid"), call.maybe_text("specialuse")

    def fileinto(run: Run) -> None:
        action = FileInto(
            mailbox_name(run, mailbox.of(run)),
            flags(run),
            create,
            mailbox_id.of(run)[:LONGEST_MAILBOX] if mailbox_id else None,
            special_use(run, use.of(run)) if use else None,
            run.message.edited(),
        )
        run.act(action, keep=copy)

    return fileinto


def outbound_address(text: str) -> str | None:
    """The addr-spec of a sieve-address (RFC 5228 §2.4.2.3), None when it is none."""
    text = text.strip()
    if is_mailbox(text):
        return text
    found = as_addresses(text) if len(text) < LONGEST_MAILBOX and text.endswith(">") else []
    email = found[0]["email"] if len(found) == 1 else ""
    return email if is_mailbox(email) and text.endswith(f"<{email}>") else None


def _redirect(call: Call) -> CommandFunction:
    address, copy = call.text("address"), call.has("copy")
    if call.has("list"):
        # RFC 6134 §2.3
        def redirect_list(run: Run) -> None:
            run.act(RedirectList(list_of(run, address.of(run)), run.message.for_redirect()), keep=copy)

        return redirect_list
    if address.constant is not None and outbound_address(address.constant) is None:
        raise call.error(f"“{address.constant[:60]}” is no mail address", address.position)

    def redirect(run: Run) -> None:
        target = outbound_address(address.of(run))
        if target is None:
            raise run.error(f"“{address.of(run)[:60]}” is no mail address")
        run.act(Redirect(target, run.message.for_redirect()), keep=copy)

    return redirect


def _discard(call: Call) -> CommandFunction:
    del call
    return lambda run: run.act(Discard())


EXTENSIONS: Final = (
    Extension(
        "",
        (
            Row("keep", Sort.ACTION, _keep, tags=(_FLAGS,)),
            Row("discard", Sort.ACTION, _discard),
            Row(
                "redirect",
                Sort.ACTION,
                _redirect,
                (Argument("address", Kind.STRING),),
                (_COPY, Tag("list", (), ("extlists",))),
            ),
        ),
    ),
    Extension(
        "fileinto",
        (
            Row(
                "fileinto",
                Sort.ACTION,
                _fileinto,
                (Argument("mailbox", Kind.STRING),),
                (
                    _COPY,
                    _FLAGS,
                    Tag("create", (), ("mailbox",)),
                    Tag("mailboxid", (Kind.STRING,), ("mailboxid",)),
                    Tag("specialuse", (Kind.STRING,), ("special-use",)),
                ),
            ),
        ),
    ),
    Extension("copy"),
)
