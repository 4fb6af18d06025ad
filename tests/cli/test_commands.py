"""The command line's contract: what is printed, where it is kept, and how each failure ends."""

import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from minijmap.cli.running import read_settings
from minijmap.setting_kinds import Address
from tests.wire.running import ALICE, MINIJMAP, Running, environment, run

FREE = "127.0.0.1:0"


@pytest.fixture
def place(tmp_path):
    """Give a data folder that is not there yet."""
    return tmp_path / "data"


@pytest.fixture
def alice(place):
    """Give a data folder with Alice in it, whose password is “secret”."""
    run("--data", place, "user", "add", ALICE, "--name", "Alice", "--password-stdin", text="secret\n")
    return place


@pytest.fixture
def serving():
    """Start servers; those that still run at the end are killed."""
    started = []

    def begin(*arguments):
        started.append(Running(*arguments))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            server.kill()


def fails(*arguments, status=1, **options):
    """Run a command that fails with one clear line; return the line."""
    done = run(*arguments, check=False, **options)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    lines = done.stderr.rstrip("\n").split("\n")
    if status == 1:
        assert len(lines) == 1
        assert lines[0].startswith("minijmap: ")
    return lines[-1]


def test_help_tells_every_command():
    """`--help` of the program and of every command is written for a person."""
    shown = run("--help").stdout
    for name in ("dev", "serve", "user", "token", "methods"):
        assert f"  {name} " in shown
        assert len(run(name, "--help").stdout) > 100
    for words in (["user", "add"], ["user", "remove"], ["token", "add"], ["token", "revoke"]):
        assert "ADDRESS" in run(*words, "-h").stdout


@pytest.mark.parametrize("name", ["import", "export"])
def test_help_keeps_the_lines_of_its_lists(name):
    """Click's mark for that is understood, not shown."""
    shown = run(name, "--help").stdout
    assert "\\b" not in shown
    assert (
        len(
            [
                line
                for line in shown.splitlines()
                if line.startswith(("  Messages: ", "  mail/", "  Cards: ", "  blobs/"))
            ]
        )
        == 2
    )


def test_help_is_light():
    """Neither `--help` nor the start of a server imports what only later work needs."""
    heavy = "{'flask', 'waitress', 'aiosmtpd', 'dkim', 'dns', 'sqlite_utils', 'cryptography'}"
    code = f"import sys; from minijmap.cli import minijmap; minijmap(['--help'], standalone_mode=False); assert not {heavy} & set(sys.modules)"
    subprocess.run([MINIJMAP[0], "-c", code], check=True, capture_output=True, env=environment())
    heavy = "{'dkim', 'dns', 'sqlite_utils', 'cryptography'}"
    code = (
        "import sys, minijmap.server, minijmap.http.app, minijmap.http.serve, minijmap.smtp.listener, minijmap.cli.serve;"
        f"minijmap.server.families(); assert not {heavy} & set(sys.modules), sys.modules.keys() & {heavy}"
    )
    subprocess.run([MINIJMAP[0], "-c", code], check=True, capture_output=True, env=environment())


def test_user_add_by_stdin(place):
    """A password from standard input signs in, and is not repeated anywhere."""
    added = run(
        "--data", place, "user", "add", "Bob@Example.com", "--name", "Bob", "--password-stdin", text="pass word \n"
    )
    assert "pass word" not in added.stdout + added.stderr
    assert run("--data", place, "user", "list").stdout == "bob@example.com  Bob\n"


def test_user_add_makes_a_password(place, serving):
    """Without a terminal and without --password-stdin, one is made and printed alone on the last line."""
    made = run("--data", place, "user", "add", ALICE).stdout.splitlines()[-1]
    assert len(made) >= 16
    server = serving("serve", "--data", place)
    assert server.get("/jmap/session", password=made)


def test_users_come_and_go_while_the_server_runs(alice, serving):
    """Adding, a new password and removing take effect at once on a running server."""
    server = serving("--data", alice, "serve")
    run("--data", alice, "user", "add", "bob@example.com", "--password-stdin", text="one\n")
    assert server.get("/jmap/session", "bob@example.com", "one")
    run("--data", alice, "user", "password", "bob@example.com", "--password-stdin", text="two\n")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        server.get("/jmap/session", "bob@example.com", "one")
    assert server.get("/jmap/session", "bob@example.com", "two")
    run("--data", alice, "user", "remove", "bob@example.com")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        server.get("/jmap/session", "bob@example.com", "two")
    assert run("--data", alice, "user", "list").stdout == f"{ALICE}  Alice\n"


def test_tokens(alice, serving):
    """The app password is alone on the last line; it signs in by Bearer until it is revoked."""
    server = serving("serve", "--data", alice)
    token = run("--data", alice, "token", "add", ALICE, "my phone").stdout.splitlines()[-1]
    request = urllib.request.Request(server.url + "/jmap/session", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    listed = run("--data", alice, "token", "list", ALICE).stdout
    assert listed.endswith("  my phone\n")
    assert token not in listed
    run("--data", alice, "token", "revoke", ALICE, "my phone")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=30)
    assert run("--data", alice, "token", "list", ALICE).stdout == ""


def test_failures_are_one_line(alice):
    """What can't be done is said in a line, with exit status 1."""
    assert "alice@example.com already" in fails("--data", alice, "user", "add", ALICE, "--password-stdin", text="x\n")
    assert "no user" in fails("--data", alice, "user", "password", "x@example.com", "--password-stdin", text="x\n")
    assert "no user" in fails("--data", alice, "user", "remove", "x@example.com")
    assert "no user" in fails("--data", alice, "token", "add", "x@example.com", "label")
    assert "no app password" in fails("--data", alice, "token", "revoke", ALICE, "label")
    run("--data", alice, "token", "add", ALICE, "label")
    assert "already" in fails("--data", alice, "token", "add", ALICE, "label")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command"),
        (["user"], ""),
        (["user", "add"], "Missing argument"),
        (["user", "add", "not an address"], "not a mail address"),
        (["user", "add", "a@example.com", "--name", "two\nlines"], "one line"),
        (["token", "add", "a@example.com", ""], "a label is"),
        (["serve", "--http", "nonsense"], "HOST:PORT"),
        (["serve", "--nonsense"], "No such option"),
    ],
)
def test_wrong_use_is_status_2(place, arguments, said):
    """Wrong use is exit status 2, and changes nothing."""
    assert said in fails("--data", place, *arguments, status=2) or arguments == ["user"]
    assert not place.exists()


def test_empty_and_endless_passwords(place):
    """A password that nobody could type is refused."""
    for text in ("\n", "", "x" * 2000 + "\n", "tab\there\n"):
        assert "password" in fails("--data", place, "user", "add", ALICE, "--password-stdin", status=2, text=text)


def test_data_folder_by_every_way(place, tmp_path):
    """--data before or after the command, then MINIJMAP_DATA, then ./data."""
    run("--data", place, "user", "add", ALICE)
    assert ALICE in run("user", "list", "--data", place).stdout
    by_variable = {**environment(), "MINIJMAP_DATA": str(place)}
    listed = subprocess.run([*MINIJMAP, "user", "list"], capture_output=True, text=True, env=by_variable, check=True)
    assert ALICE in listed.stdout
    listed = subprocess.run(
        [*MINIJMAP, "user", "list"], capture_output=True, text=True, env=environment(), cwd=tmp_path, check=True
    )
    assert ALICE in listed.stdout
    assert (place / "minijmap.sqlite3").exists()


def test_data_folder_is_private(place):
    """What is somebody's mail is readable by nobody else on the machine."""
    run("--data", place, "user", "add", ALICE)
    assert (place.stat().st_mode & 0o777, (place / "minijmap.sqlite3").stat().st_mode & 0o777) == (0o700, 0o600)


def test_foreign_files_are_refused(place):
    """A file of another program, or of a newer minijmap, is refused by name and left as it is."""
    place.mkdir()
    file = place / "minijmap.sqlite3"
    file.write_bytes(b"this is no database" * 100)
    assert str(file) in fails("--data", place, "serve")
    assert file.read_bytes() == b"this is no database" * 100
    file.unlink()
    run("--data", place, "user", "add", ALICE)
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO migration VALUES ('mail-999', 0)")
    connection.close()
    assert "newer minijmap" in fails("--data", place, "serve")


def test_bad_settings_stop_the_start(alice):
    """An unknown key, a bad value: one line with file, line and name."""
    (alice / "minijmap.toml").write_text('hostname = "mail.example.com"\nhtp = "127.0.0.1:1"\n')
    assert "line 2" in fails("--data", alice, "serve")
    other = alice / "other.toml"
    other.write_text("strict_using = 7\n")
    assert "strict_using" in fails("--data", alice, "serve", "--config", other)
    assert "absent.toml" in fails("--data", alice, "serve", "--config", alice / "absent.toml")


def test_taken_port_is_one_line(alice):
    """A port in use stops the start, whichever listener wanted it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for name in ("http", "smtp", "submission"):
            free = [one for other in ("http", "smtp", "submission") if other != name for one in (f"--{other}", FREE)]
            line = fails("--data", alice, "serve", f"--{name}", address, *free)
            assert f"Can't listen for {name} on {address}: Address already in use" in line
    assert "nothing to serve" in fails("--data", alice, "serve", "--http", "", "--smtp", "", "--submission", "")


@pytest.mark.parametrize("listener", ["http", "smtp"])
def test_a_free_port_for_one_is_one_for_submission(alice, listener):
    """Two servers that ask for free ports do not meet at the default one, unless they are told to."""
    off = {"http": "", "smtp": ""}
    assert read_settings(alice, None, {}, off).submission == Address("127.0.0.1", 2587)
    flags = {**off, listener: FREE}
    assert read_settings(alice, None, {}, flags).submission == Address("127.0.0.1", 0)
    told = {"MINIJMAP_SUBMISSION": "127.0.0.1:2587"}
    assert read_settings(alice, None, told, flags).submission == Address("127.0.0.1", 2587)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_prints_and_stops(alice, serving, number):
    """One line for each listener, then `ready`; a signal stops it at once, with status 0 and not another word."""
    server = serving("serve", "--data", alice)
    assert [line.split()[0] for line in server.lines] == ["http", "smtp", "submission"]
    with urllib.request.urlopen(server.url + "/healthz", timeout=30) as answer:
        assert answer.status == 200
    begun = time.monotonic()
    server.process.send_signal(number)
    assert server.end() == 0
    assert time.monotonic() - begun < 5


def test_ctrl_c_of_a_background_job(alice):
    """A shell starts background jobs with SIGINT ignored; it stops the server all the same."""
    server = subprocess.Popen(
        [*MINIJMAP, "--data", alice, "serve", "--http", "127.0.0.1:0", "--smtp", "", "--submission", ""],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - nothing else runs here
    )
    with server.stdout:
        assert server.stdout.readline().startswith("http  http://127.0.0.1:")
        assert server.stdout.readline() == "ready\n"
        os.kill(server.pid, signal.SIGINT)
        assert server.wait(10) == 0


def test_first_start_says_what_comes_next(place):
    """A server without people says how to add one, on standard error; standard output keeps its form."""
    server = subprocess.Popen(
        [*MINIJMAP, "--data", place, "serve", "--http", "127.0.0.1:0", "--smtp", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    lines = [server.stdout.readline() for _ in range(4)]
    server.terminate()
    rest, hint = server.communicate(timeout=10)
    assert (lines[3], rest) == ("ready\n", "")
    assert "minijmap user add ADDRESS" in hint


def test_dev_has_people_and_mail(serving):
    """A throwaway server prints who can sign in, has mail, is strict, and keeps nothing."""
    server = serving("dev")
    accounts = [line.split() for line in server.lines if line.startswith("account")]
    assert [words[1] for words in accounts] == ["alice@example.com", "bob@example.com", "carol@example.com"]
    _, address, _, password = accounts[0]
    (query,) = server.request(
        ["Email/query", {"accountId": "a1", "calculateTotal": True}, "q"], user=address, password=password
    )
    assert query[1]["total"] > 100
    (strict,) = server.request(
        ["Email/query", {"accountId": "a1", "nonsense": 1}, "q"], user=address, password=password
    )
    assert strict[1]["type"] == "invalidArguments"
    assert server.stop() == 0


def test_dev_keeps_what_is_in_a_folder(place, serving):
    """With --data the demo mail is made once; a folder that has people in it is served as it is."""
    first = serving("dev", "--data", place)
    ask = ["Email/query", {"accountId": "a1", "calculateTotal": True}, "q"]
    (before,) = first.request(ask, password="alice")
    assert first.stop() == 0
    second = serving("--data", place, "dev")
    assert [line for line in second.lines if line.startswith("account")]
    (after,) = second.request(ask, password="alice")
    assert after[1]["total"] == before[1]["total"]


def test_dev_adds_nobody_to_real_mail(place, serving):
    """A folder with people of its own gets no demo accounts: everybody knows their passwords."""
    run("--data", place, "user", "add", "someone@example.net", "--password-stdin", text="x\n")
    server = serving("dev", "--data", place)
    assert not [line for line in server.lines if line.startswith("account")]
    assert server.stop() == 0
    assert run("--data", place, "user", "list").stdout == "someone@example.net\n"


def test_methods_are_those_that_answer():
    """The table of methods, capabilities and limits."""
    shown = run("methods").stdout
    for words in ("Core/echo", "Email/query", "urn:ietf:params:jmap:mail", "maxObjectsInGet"):
        assert words in shown
