"""Scripts × messages → outcomes: what our interpreter decides, and what Pigeonhole's `sieve-test` does, in the same words.

An outcome is a list of words such as `keep`, `into Work`, `discard`, `redirect a@b.example`. A case whose outcome under
Pigeonhole is another, or that uses what it doesn't have, says why in `alone`; its outcome is then held by the
RFC's text alone.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from minijmap.sieve.actions import (
    Action,
    Discard,
    FileInto,
    Keep,
    Notify,
    Redirect,
    RedirectList,
    Reject,
    Vacation,
)
from minijmap.sieve.compiler import compile_script
from minijmap.sieve.errors import ScriptError
from minijmap.sieve.host import AloneHost, Envelope, Host
from minijmap.sieve.interpreter import Result, run
from minijmap.sieve.message import Message

SIEVE_TEST = shutil.which("sieve-test")

PLAIN = b"""\
Return-Path: <sender@example.com>
Received: from a.example by b.example for <user@example.org>; Tue, 5 Mar 2024 09:10:11 +0100
Received: from c.example by a.example; Tue, 5 Mar 2024 03:10:05 -0500
From: "A. Sender" <sender@example.com>
To: user@example.org, other@example.net
Cc: third@example.net
Date: Tue, 5 Mar 2024 00:10:00 -0800
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from here
Message-ID: <1@example.com>
X-Twice: first
X-Twice: second
X-Twice: third

Hello there,
this is a plain body.
""".replace(b"\n", b"\r\n")


@dataclass(frozen=True)
class Case:
    """One script over one message."""

    what: str
    script: str
    expect: str
    """Words of the outcome, separated by "; "; "error" when the script fails on the message, "refused" when it can't be
    stored."""
    message: bytes = PLAIN
    alone: str = ""
    """Why Pigeonhole is not asked."""
    envelope: Envelope = field(default=Envelope("sender@example.com", "user@example.org"))

    def __str__(self) -> str:
        return self.what


def decide(
    script: str, message: bytes = PLAIN, *, host: Host | None = None, envelope: Envelope | None = None
) -> Result:
    """Run a script over a message."""
    given = envelope or Envelope("sender@example.com", "user@example.org")
    return run(compile_script(script.encode(), tracing=True), Message(message), given, host or AloneHost())


def word(action: Action) -> str:
    """An action in words."""
    match action:
        case Keep():
            return f"keep{flagged(action.flags)}"
        case FileInto():
            return f"into {action.mailbox}{flagged(action.flags)}"
        case Redirect():
            return f"redirect {action.address}"
        case RedirectList():
            return f"redirect to list {action.uri}"
        case Discard():
            return "discard"
        case Reject():
            return f"reject {action.reason}"
        case Vacation():
            return f"vacation {action.seconds}"
        case Notify():
            return f"notify {action.message}"


def flagged(flags: Iterable[str]) -> str:
    """Flags in words, whose case and order say nothing (RFC 5232 §3)."""
    words = sorted(flag.lower() for flag in flags)
    return f" [{' '.join(words)}]" if words else ""


def outcome(case: Case, host: Host | None = None) -> str:
    """What ours decides, in words."""
    try:
        result = decide(case.script, case.message, host=host, envelope=case.envelope)
    except ScriptError:
        return "refused"
    return "error" if result.error else "; ".join(map(word, result.actions))


def agree(case: Case) -> None:
    """Assert that ours decides what a case expects, and Pigeonhole too where it is asked and installed."""
    assert outcome(case) == case.expect
    if SIEVE_TEST and not case.alone:
        assert pigeonhole(case.script, case.message, case.envelope) == case.expect


# --- the oracle -----------------------------------------------------------------------------------------------------

_CONFIG = """\
mail_location = maildir:{home}/mail
mail_uid = {uid}
mail_gid = {uid}
first_valid_uid = 0
first_valid_gid = 0
log_path = /dev/null
plugin {{
  sieve_extensions = +editheader +spamtest +spamtestplus +virustest +mboxmetadata +servermetadata +vacation-seconds +special-use
  sieve_vacation_min_period = 0
  sieve_spamtest_status_type = score
  sieve_spamtest_status_header = X-Spam-Status: [^,]*, score=(-?[[:digit:]]+\\.[[:digit:]]).*
  sieve_spamtest_max_header = X-Spam-Status: [^,]*, score=-?[[:digit:]]+\\.[[:digit:]] required=([[:digit:]]+\\.[[:digit:]])
  sieve_virustest_status_type = text
  sieve_virustest_status_header = X-Virus-Status: (.*)
  sieve_virustest_text_value1 = Clean
  sieve_virustest_text_value5 = Infected
}}
"""
_FLAGS = "+ add IMAP flags: "
_PATTERNS = (
    (re.compile(r"store message in folder: INBOX$"), "keep"),
    (re.compile(r"store message in folder: (.*)$"), r"into \1"),
    (re.compile(r"redirect message to: <(.*)>$"), r"redirect \1"),
    (re.compile(r"reject message with reason: (.*)$"), r"reject \1"),
    (re.compile(r"discard$"), "discard"),
    (re.compile(r"=> seconds : (\d+)$"), r"vacation \1"),
    (re.compile(r"=> subject      : (.*)$"), r"notify \1"),
)


def pigeonhole(script: str, message: bytes, envelope: Envelope) -> str:
    """What Pigeonhole decides, in words."""
    with _home() as home:
        return _asked(home, ["-C"], script, message, envelope)


def stored(script: str, message: bytes) -> list[bytes]:
    """The octets that Pigeonhole stores for a message in all mailboxes together, with LF line ends, sorted."""
    with _home() as home:
        _asked(home, ["-C", "-e"], script, message, Envelope("sender@example.com", "user@example.org"))
        found = [path.read_bytes() for path in (home / "mail").rglob("new/*")]
    return sorted(octets.replace(b"\r\n", b"\n") for octets in found)


@contextmanager
def _home() -> Iterator[Path]:
    """A folder for somebody who is not root, for `sieve-test` refuses to be: pytest's own are closed to others."""
    with TemporaryDirectory(prefix="sieve-test-") as name:
        yield Path(name)


def _asked(home: Path, options: list[str], script: str, message: bytes, envelope: Envelope) -> str:
    """Run `sieve-test`."""
    assert SIEVE_TEST is not None
    uid = os.getuid() or 65534
    for name, octets in (("s.sieve", script.encode()), ("m.eml", message)):
        (home / name).write_bytes(octets)
    (home / "dovecot.conf").write_text(_CONFIG.format(home=home, uid=uid))
    if not os.getuid():
        for path in (home, *home.iterdir()):
            os.chown(path, uid, uid)
    command = [SIEVE_TEST, "-c", str(home / "dovecot.conf"), *options, "-f", envelope.sender, "-r", envelope.recipient]
    done = subprocess.run(
        [*command, str(home / "s.sieve"), str(home / "m.eml")],
        capture_output=True,
        timeout=20,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "TZ": "UTC"},
        cwd=home,
        check=False,
    )
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    if "failed to compile" in text or "validation failed" in text:
        return "refused"
    if done.returncode:
        return "error"
    return "; ".join(words(text))


def words(text: str) -> list[str]:
    """The actions that `sieve-test` tells of."""
    performed, _, implicit = text.partition("Implicit keep:")
    found: list[str] = []
    for line in performed.splitlines():
        plain = line.strip(" *")
        found += [pattern.sub(replacement, plain) for pattern, replacement in _PATTERNS if pattern.match(plain)][:1]
        if plain.startswith(_FLAGS):
            found[-1] += flagged(plain.removeprefix(_FLAGS).split())
    if "store message in folder" in implicit:
        flags = [line.strip().removeprefix(_FLAGS).split() for line in implicit.splitlines() if _FLAGS in line]
        found.append(f"keep{flagged(flags[0] if flags else ())}")
    return found
