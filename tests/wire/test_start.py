"""What a server has loaded once it is up: what a feature needs, it loads when the feature is first used."""

import json
import sys

from tests.wire import running
from tests.wire.running import ALICE, run

LATER = (
    *("cryptography", "dkim", "dns", "spf", "publicsuffixlist", "asn1crypto", "websockets", "sqlite_utils"),
    *("minijmap.demo", "minijmap.portable", "minijmap.mail.archive", "minijmap.mail.importing"),
    *("minijmap.mail.compose", "minijmap.mail.mdnform", "minijmap.mail.mdnsend", "minijmap.mail.smimecms"),
    *("minijmap.mail.emailimport", "minijmap.mail.emailparse", "minijmap.mail.snippet", "minijmap.mail.reindex"),
    *("minijmap.contacts.vcardtocard", "minijmap.contacts.cardtovcard", "minijmap.contacts.importing"),
    *("minijmap.sieve.table", "minijmap.sieve.compiler", "minijmap.sieve.arrival", "minijmap.sieve.vacationscript"),
    *("minijmap.smtp.reception", "minijmap.smtp.delivering", "minijmap.smtp.policy", "minijmap.smtp.zone"),
    *("minijmap.smtp.sending", "minijmap.smtp.sender", "minijmap.smtp.client", "minijmap.smtp.dkimsign"),
    *("minijmap.push.websocket",),
)
"""Modules that neither the start nor the first Session may load."""


def test_nothing_is_loaded_before_it_is_needed(tmp_path, monkeypatch, capfd):
    """A server that was just started, and has answered once, has loaded what it needs for that and no more."""
    run("--data", tmp_path, "user", "add", ALICE, "--password-stdin", text="secret\n")
    monkeypatch.setattr(running, "MINIJMAP", (sys.executable, "-X", "importtime", "-m", "minijmap"))
    capfd.readouterr()
    server = running.Running("--data", tmp_path, "serve")
    try:
        assert json.loads(server.get("/jmap/session"))["username"] == ALICE
        told = capfd.readouterr().err
    finally:
        assert server.stop() == 0
    loaded = {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}
    assert {"minijmap.server", "minijmap.http.session", "minijmap.smtp.conversation"} <= loaded
    assert loaded.intersection(LATER) == set()
