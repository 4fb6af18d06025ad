"""`minijmap sieve`: what it prints of a script that is right, of one that is not, and of what a script would do."""

import pytest

from tests.cli.test_commands import fails
from tests.wire.running import run

SCRIPT = """require ["fileinto", "envelope", "imap4flags", "include"];
if envelope "from" "boss@example.org" {
    addflag "\\\\Flagged";
    fileinto "Work";
} elsif header :contains "Subject" "sale" {
    discard;
}
"""
MESSAGE = "Return-Path: <list@example.org>\nFrom: Boss <boss@example.org>\nTo: Alice <alice@example.com>\nSubject: A sale\n\nHi.\n"


@pytest.fixture
def files(tmp_path):
    """A folder with a script and a message."""
    (tmp_path / "rules.sieve").write_text(SCRIPT)
    (tmp_path / "letter.eml").write_text(MESSAGE)
    return tmp_path


def test_a_script_that_is_right(files):
    """One line, and what it needs."""
    done = run("sieve", "check", files / "rules.sieve")

    needed = "envelope, fileinto, imap4flags, include"
    assert done.stdout == f"{files / 'rules.sieve'}: the script is valid, and requires {needed}.\n"


def test_a_script_that_is_wrong(files):
    """One sentence with the line and the column, and what was expected."""
    bad = files / "bad.sieve"
    bad.write_text("keep;\nfileinto;\n")
    line = fails("sieve", "check", bad)
    assert line.startswith(f"minijmap: {bad}: line 2, column 1: ")

    assert fails("sieve", "test", bad, files / "letter.eml") == line


@pytest.mark.parametrize(("script", "sentence"), [("", "empty"), ("#" * 300_000, "octets")])
def test_a_script_that_no_account_can_have(files, script, sentence):
    """It is judged as SieveScript/validate does."""
    bad = files / "bad.sieve"
    bad.write_text(script)

    assert sentence in fails("sieve", "check", bad)


def test_one_line_for_each_thing(files):
    """Whatever is in the message; what is included and what a variable gets is told."""
    (files / "own.sieve").write_text(
        'require ["body", "include", "variables"];\ninclude "part";\ninclude :optional "none";\n'
        'set :upper "x" "ab";\nif body :contains "two" { discard; }\nkeep;\n'
    )
    (files / "part.sieve").write_text('require "include";\nreturn;\n')
    (files / "lines.eml").write_text("Subject: x\n\none\ntwo\n")
    done = run("sieve", "test", files / "own.sieve", files / "lines.eml")

    assert done.stdout.splitlines()[1:] == [
        "  line 2: include the script “part”",
        "  part, line 2: return",
        "  line 3: there is no script “none” to include, which is no error here",
        '  line 4: set :upper "x" "ab"',
        "  line 4:   x is now “AB”",
        '  line 5:   body :contains "two" → true',
        "  line 5:     value: “one two ”",
        "  line 5: discard",
        "  line 6: keep",
        "Result:",
        "  throw it away, but for what is said here besides",
        "  keep it in the Inbox",
    ]


def test_files_that_are_not_there(files):
    """Are named."""
    assert fails("sieve", "check", files / "no.sieve") == f"minijmap: {files / 'no.sieve'}: No such file or directory."
    assert "no.eml" in fails("sieve", "test", files / "rules.sieve", files / "no.eml")


def test_what_would_happen_and_why(files):
    """Each test with its result, each action with its line, and in the end what is done."""
    done = run("sieve", "test", files / "rules.sieve", files / "letter.eml", "--from", "boss@example.org")

    lines = done.stdout.splitlines()
    assert lines[0] == f"From <boss@example.org> to <alice@example.com>, {len(MESSAGE)} octets"
    assert any("line 2" in line and line.endswith("→ true") for line in lines)
    assert any("line 4" in line and "fileinto" in line for line in lines)
    assert lines[-2:] == ["Result:", "  file it into “Work”, with the flags \\Flagged"]


def test_the_envelope_is_read_off_the_message(files):
    """Unless it is given: the sender of the Return-Path goes before the author."""
    done = run("sieve", "test", files / "rules.sieve", files / "letter.eml", "--to", "bob@example.com")

    lines = done.stdout.splitlines()
    assert lines[0] == f"From <list@example.org> to <bob@example.com>, {len(MESSAGE)} octets"
    assert lines[-1] == "  throw it away"


def test_a_script_that_fails_on_the_message(files):
    """What was decided before is shown, then the sentence; the exit status is 1."""
    (files / "fails.sieve").write_text('require "include";\nkeep;\ninclude "common";\ninclude "nowhere";\n')
    (files / "common.sieve").write_text("stop;\n")
    done = run("sieve", "test", files / "fails.sieve", files / "letter.eml")
    assert "keep it in the Inbox" in done.stdout

    (files / "common.sieve").write_text("return;\n".replace("return;", 'require "include";\nreturn;'))
    done = run("sieve", "test", files / "fails.sieve", files / "letter.eml", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"minijmap: {files / 'fails.sieve'}: line 4: ")
    assert done.stderr.endswith(". The message stays in the Inbox.\n")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "x/../common"])
def test_a_name_is_no_path(files, name):
    """What is included is a file of the same folder."""
    (files.parent / "outside.sieve").write_text("discard;")
    (files / "fails.sieve").write_text(f'require "include";\ninclude "{name}";\n')
    done = run("sieve", "test", files / "fails.sieve", files / "letter.eml", check=False)

    assert done.returncode == 1


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("keep;", "keep it in the Inbox"),
        ("", "keep it in the Inbox, as no action has said otherwise"),
        ('redirect "a@example.org";', "send it on to a@example.org"),
        ('require "reject"; reject "Not\n you.";', "refuse it: “Not you.”"),
        (
            'require ["vacation", "fcc"]; vacation :fcc "Sent" "x";',
            "answer the sender, if that was not done in the last 7 days, with a copy in “Sent”",
        ),
        (
            'require ["vacation", "vacation-seconds"]; vacation :seconds 5400 "x";',
            "answer the sender, if that was not done in the last 90 minutes",
        ),
        ('require "vacation-seconds"; vacation :seconds 0 "x";', "answer the sender\n"),
        ('require "enotify"; notify "mailto:a@example.org";', "notify mailto:a@example.org"),
        ('require ["fileinto", "mailbox"]; fileinto :create "A";', "file it into “A”, made if it is not there"),
        (
            'require "duplicate"; if duplicate :header "Subject" { discard; }',
            "remember for 7 days that this id was seen",
        ),
        ('require "editheader"; addheader "X" "y";', "as the script has changed it"),
        (
            'require ["fileinto", "special-use"]; fileinto :specialuse "\\\\Junk" "A";',
            "file it into “A” (first choice: the mailbox for \\Junk)",
        ),
        (
            'require ["fileinto", "mailboxid"]; fileinto :mailboxid "m1" "A";',
            "file it into “A” (first choice: the mailbox with the id m1)",
        ),
    ],
)
def test_every_action_is_told_in_words(files, script, told):
    """So that who wrote the script can check it."""
    (files / "one.sieve").write_text(script or "# nothing\n")
    done = run("sieve", "test", files / "one.sieve", files / "letter.eml", check=False)

    assert told in done.stdout
    assert "Traceback" not in done.stderr
