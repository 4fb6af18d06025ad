"""The action "notify" and the tests on its methods: RFC 5435, with mailto as the one method (RFC 5436).

Owns the arguments and their checks. A method is only checked when the script runs, since a script may ask first
whether there is such a method (RFC 5435 §3.2). The modifier :encodeurl of "set" (§6) is with the other modifiers.
"""

import re
from typing import Final

from minijmap.sieve.actions import Notify
from minijmap.sieve.addresslist import check_sender, sender_of
from minijmap.sieve.fcc import FCC_TAGS, fcc_of
from minijmap.sieve.mailto import MailtoProblem, parse, scheme_of
from minijmap.sieve.matching import MATCH_TAGS, matching
from minijmap.sieve.message import message_of
from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, CommandFunction, Extension, Kind, Row, Sort, Tag, TestFunction

_OPTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*=[^\x00\n\r]*")
_IMPORTANCE: Final = {"1": 1, "2": 2, "3": 3}


def is_valid(uri: str) -> bool:
    """Say whether a notification method can be used (RFC 5435 §4)."""
    try:
        parse(uri)
    except MailtoProblem:
        return False
    return True


def is_automatic(run: Run) -> bool:
    """Say whether the message says that a program sent it (RFC 3834 §5)."""
    values = run.message.fields.values("Auto-Submitted")
    return any(value.partition(";")[0].partition("(")[0].strip().lower() != "no" for value in values)


def _notify(call: Call) -> CommandFunction:
    method, text, importance = call.text("method"), call.maybe_text("message"), call.maybe_text("importance")
    options = call.texts("options") if call.has("options") else None
    sender, fcc = check_sender(call, "from"), fcc_of(call)
    if importance is not None and importance.constant not in (*_IMPORTANCE, None):
        raise call.error("“:importance” is “1”, “2” or “3”", importance.position)
    for option in options or ():
        if option.constant is not None and not _OPTION.fullmatch(option.constant):
            raise call.error(f"“{option.constant[:40]}” is no option like “name=value”", option.position)

    def notify(run: Run) -> None:
        uri = method.of(run)
        try:
            parse(uri)
        except MailtoProblem as problem:
            raise run.error(f"the notification method “{uri[:80]}” {problem}") from None
        level = "2" if importance is None else importance.of(run)
        if level not in _IMPORTANCE:
            raise run.error(f"“{level[:20]}” is no importance: there are “1”, “2” and “3”")
        given = () if options is None else options.of(run)
        if not all(map(_OPTION.fullmatch, given)):
            raise run.error("an option of the notification is not like “name=value”")
        if is_automatic(run):
            run.note("do not notify: a program sent the message")  # RFC 5436 §2.7
            return
        action = Notify(
            uri,
            _IMPORTANCE[level],
            None if text is None else text.of(run),
            sender_of(run, sender),
            given,
            None if fcc is None else fcc(run),
            message_of(run).changed_fields(),
        )
        run.act(action)

    return notify


def _valid_method(call: Call) -> TestFunction:
    uris = call.texts("notification-uris")
    return lambda run: all(map(is_valid, uris.of(run)))


def _capability(call: Call) -> TestFunction:
    uri, name = call.text("notification-uri"), call.text("notification-capability")
    match = matching(call, "keys")

    def test(run: Run) -> bool:
        method, item = uri.of(run), name.of(run).lower()
        # RFC 8580 §6.1: for "fcc" the scheme is enough.
        if item == "fcc" and scheme_of(method) == "mailto":
            return match(run, ("yes",))
        # RFC 5436 §2.2: whether somebody is online, nobody knows. What is unknown matches nothing (RFC 5435 §5).
        return item == "online" and is_valid(method) and match(run, ("maybe",))

    return test


_STRING: Final = (Kind.STRING,)

EXTENSIONS: Final = (
    Extension(
        "enotify",
        rows=(
            Row(
                "notify",
                Sort.ACTION,
                _notify,
                (Argument("method", Kind.STRING),),
                (
                    Tag("from", _STRING),
                    Tag("importance", _STRING),
                    Tag("options", (Kind.STRINGS,)),
                    Tag("message", _STRING),
                    *FCC_TAGS,
                ),
            ),
            Row("valid_notify_method", Sort.TEST, _valid_method, (Argument("notification-uris", Kind.STRINGS),)),
            Row(
                "notify_method_capability",
                Sort.TEST,
                _capability,
                (
                    Argument("notification-uri", Kind.STRING),
                    Argument("notification-capability", Kind.STRING),
                    Argument("keys", Kind.STRINGS),
                ),
                MATCH_TAGS,
            ),
        ),
    ),
)
