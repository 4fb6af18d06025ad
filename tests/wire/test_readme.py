"""README is true: its commands are run, its tables are those of the code."""

import json
import mailbox
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from minijmap import config
from minijmap.cli import COMMANDS
from tests.wire.running import MINIJMAP, Running, environment, run

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text()


def block(word):
    """Return the one shell block that has a word in it."""
    (found,) = [one for one in BLOCKS if word in one]
    return found


@pytest.fixture(scope="module")
def demo():
    """The server that `make run` starts, on free ports."""
    server = Running("dev")
    yield server
    server.stop()


def shell(script, server):
    """Run a block as a person would paste it, with the ports of the test's server; return what it prints."""
    script = script.replace("http://127.0.0.1:8080", server.url).replace(
        '"127.0.0.1", 2525', f'"127.0.0.1", {server.smtp_port}'
    )
    script = script.replace("python3", shlex.quote(sys.executable))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_message_is_sent_and_read_by_the_commands_given(demo):
    """Paste by paste: smtplib sends, curl reads the Session, curl reads the message."""
    assert "8080" in block("make run")
    assert "2525" in block("make run")
    shell(block("smtplib"), demo)
    session = json.loads(shell(block(".well-known/jmap"), demo))
    assert session["primaryAccounts"]["urn:ietf:params:jmap:mail"] == "a1"
    answer = shell(block("Email/query"), demo)
    assert '"subject": "My first message"' in answer


def test_the_demo_prints_its_accounts(demo):
    """The accounts and passwords stand before the listeners."""
    assert demo.lines[0].split() == ["account", "alice@example.com", "password", "alice"]


def test_make_has_the_verbs_that_are_named():
    """`make run` and `make test` are targets."""
    for verb in re.findall(r"^make (\w+)", block("make run"), re.MULTILINE):
        assert re.search(rf"^{verb}:", MAKEFILE, re.MULTILINE)


def test_running_it_for_real_works_as_written(tmp_path):
    """The lines that add a user and serve, in a folder of the test's."""
    lines = [line for line in block("user add").splitlines() if line.startswith("minijmap")]
    add, serve = (shlex.split(line.replace("/var/lib/minijmap", str(tmp_path / "data"))) for line in lines)
    run(*add[1:])
    server = Running(*serve[1:])
    assert server.stop() == 0


def test_the_import_lines_work_as_written(tmp_path):
    """An mbox, a Maildir and .eml files, an address book, and a check after them."""
    place = tmp_path / "data"
    run("--data", place, "user", "add", "alice@example.com")
    text = b"From: you@example.org\nSubject: %s\n\nHello\n"
    box = mailbox.mbox(tmp_path / "old.mbox")
    box.add(text % b"mbox")
    box.close()
    mailbox.Maildir(tmp_path / "Maildir").add(text % b"Maildir")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one.eml").write_bytes(text % b"eml")
    (tmp_path / "contacts.vcf").write_bytes(b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Joe Bloggs\r\nEND:VCARD\r\n")
    script = block("import alice").replace("minijmap ", shlex.join(MINIJMAP) + " ")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**environment(), "MINIJMAP_DATA": str(place), "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "3 imported, 0 already there, 0 failed"
    assert done.stdout.splitlines()[1] == "1 imported, 0 already there, 0 failed"
    assert "3 Emails, 3 blobs, no problems." in done.stdout


def test_the_table_of_commands_is_complete():
    """Each command has its row, and there is no other."""
    rows = re.findall(r"^\| `minijmap (\w+)", README, re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)


def test_the_table_of_settings_is_the_schema():
    """The table is what `config` says; the message has the table to paste."""
    rows = "".join(
        f"| `{row.name}` | {row.help} | {row.default_text} | `{row.example}` |\n" for row in config.SETTINGS.values()
    )
    table = (
        f"<!-- settings -->\n| setting | what it is | default | example |\n|---|---|---|---|\n{rows}<!-- /settings -->"
    )
    assert table in README, table
