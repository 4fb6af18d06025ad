"""Migrations: how a file comes into being, grows older and is brought up to date, and what is left alone."""

import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from minijmap.store.schema import (
    STORE_MIGRATIONS,
    Migration,
    NewerFile,
    NotOurFile,
    OlderFile,
    migrate,
    open_current,
)

ROOT = Path(__file__).resolve().parents[2]
ADD = Migration(
    "more-1", "CREATE TABLE more (a INTEGER) STRICT;\nINSERT INTO more VALUES (1); INSERT INTO more VALUES (2);"
)
BAD = Migration("more-2", "CREATE TABLE evenmore (a INTEGER) STRICT;\nINSERT INTO nowhere VALUES (1);")


def tables(path: Path) -> set[str]:
    """The names of a file's tables."""
    connection = sqlite3.connect(path)
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    connection.close()
    return names


def value(path: Path, sql: str):
    """The first column of the first row of a statement."""
    connection = sqlite3.connect(path)
    row = connection.execute(sql).fetchone()
    connection.close()
    return row[0]


def digest(path: Path) -> str:
    """What a file is."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_new_file_is_made(tmp_path):
    """All steps, in order, and no copy of nothing; so is a file that is there and empty."""
    empty = tmp_path / "empty.sqlite3"
    empty.touch()
    for path in (tmp_path / "new.sqlite3", empty):
        assert migrate(path, [*STORE_MIGRATIONS, ADD]) is None
        assert {"user", "account", "blob", "more"} <= tables(path)
        assert (
            value(path, "SELECT group_concat(name) FROM (SELECT name FROM migration ORDER BY rowid)")
            == "store-1,store-2,more-1"
        )
        assert value(path, "SELECT count(*) FROM more") == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["empty.sqlite3", "new.sqlite3"]


def test_nothing_to_do_does_nothing(tmp_path):
    """A file of this version is left as it is."""
    path = tmp_path / "a.sqlite3"
    migrate(path, STORE_MIGRATIONS)
    before = digest(path)

    assert migrate(path, STORE_MIGRATIONS) is None
    assert digest(path) == before


def test_an_older_file_is_copied_and_brought_up_to_date(tmp_path):
    """The copy is the file as it was, named for the step, and for nobody else's eyes."""
    path = tmp_path / "a.sqlite3"
    migrate(path, STORE_MIGRATIONS)
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO account (user, name) VALUES (1, 'kept')")
    connection.commit()
    connection.close()

    copy = migrate(path, [*STORE_MIGRATIONS, ADD])

    assert copy == tmp_path / "a.before-more-1.sqlite3"
    assert copy.stat().st_mode & 0o077 == 0
    for one in (path, copy):
        assert value(one, "SELECT name FROM account") == "kept"
    assert ("more" in tables(path), "more" in tables(copy)) == (True, False)
    assert value(copy, "PRAGMA integrity_check") == "ok"


def test_a_step_that_fails_undoes_all_of_them(tmp_path):
    """The file is as it was before the first of the pending steps; the copy stays; another try works."""
    path = tmp_path / "a.sqlite3"
    migrate(path, STORE_MIGRATIONS)

    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(path, [*STORE_MIGRATIONS, ADD, BAD])

    assert not tables(path) & {"more", "evenmore"}
    assert value(path, "SELECT group_concat(name) FROM migration") == "store-1,store-2"
    assert (tmp_path / "a.before-more-1.sqlite3").exists()
    assert migrate(path, [*STORE_MIGRATIONS, ADD]) is not None
    assert "more" in tables(path)


def test_a_first_step_that_fails_leaves_an_empty_file(tmp_path):
    """Not even the list of steps is there, so that it counts as new next time."""
    path = tmp_path / "a.sqlite3"
    with pytest.raises(sqlite3.OperationalError):
        migrate(path, [BAD])

    assert tables(path) == set()
    assert migrate(path, STORE_MIGRATIONS) is None


def test_a_newer_file_is_refused_by_name_and_left_alone(tmp_path):
    """The step that is not known is named."""
    path = tmp_path / "a.sqlite3"
    migrate(path, [*STORE_MIGRATIONS, ADD])
    before = digest(path)

    for opened in (migrate, open_current):
        with pytest.raises(NewerFile, match="more-1"):
            opened(path, STORE_MIGRATIONS)
    assert digest(path) == before


@pytest.mark.parametrize("kind", ["sqlite", "text", "migration"])
def test_what_is_not_ours_is_refused_and_left_alone(tmp_path, kind):
    """Another program's SQLite file, with a table named like ours too, and what is no SQLite file at all."""
    path = tmp_path / "theirs.sqlite3"
    if kind == "text":
        path.write_text("This is a letter.\n" * 100)
    else:
        connection = sqlite3.connect(path)
        table = "letters (a)" if kind == "sqlite" else "migration (version, applied)"
        connection.execute(f"CREATE TABLE {table}")
        connection.commit()
        connection.close()
    before = digest(path)

    for opened in (migrate, open_current):
        with pytest.raises(NotOurFile, match=r"theirs\.sqlite3"):
            opened(path, STORE_MIGRATIONS)
    assert digest(path) == before
    assert [one.name for one in tmp_path.iterdir()] == ["theirs.sqlite3"]


def test_a_folder_is_not_our_file(tmp_path):
    """Nor is a path into nowhere."""
    for path in (tmp_path, tmp_path / "no" / "where.sqlite3"):
        with pytest.raises(NotOurFile):
            migrate(path, STORE_MIGRATIONS)


def test_a_file_that_must_be_current(tmp_path):
    """`open_current` changes nothing: an older file is refused with what would bring it up to date."""
    path = tmp_path / "a.sqlite3"
    migrate(path, STORE_MIGRATIONS)
    before = digest(path)

    with pytest.raises(OlderFile, match="more-1"):
        open_current(path, [*STORE_MIGRATIONS, ADD])
    connection = open_current(path, STORE_MIGRATIONS)
    assert connection.execute("SELECT count(*) FROM user").fetchone() == (0,)
    connection.close()
    assert digest(path) == before


def test_a_semicolon_is_not_always_an_end(tmp_path):
    """Triggers, strings and comments hold some; a last statement may go without."""
    step = Migration(
        "odd-1",
        """
        -- a comment; with a semicolon
        CREATE TABLE odd (a TEXT DEFAULT ';');
        CREATE TRIGGER t AFTER INSERT ON odd BEGIN
            UPDATE odd SET a = 'x;y';
            DELETE FROM odd WHERE a = 'z';
        END;
        INSERT INTO odd VALUES (';
')
        """,
    )
    path = tmp_path / "a.sqlite3"
    migrate(path, [step])

    assert value(path, "SELECT a FROM odd") == "x;y"


def test_processes_that_start_at_once(tmp_path):
    """`user add` beside a `serve` that starts: one makes the file, the others find it made."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom minijmap.store.schema import *\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "for n in range(8):\n    migrate(Path(sys.argv[1]) / f'{n}.sqlite3', STORE_MIGRATIONS)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()

    assert [child.communicate(timeout=30)[1] for child in children] == ["", "", ""]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert {value(tmp_path / f"{n}.sqlite3", "SELECT count(*) FROM migration") for n in range(8)} == {
        len(STORE_MIGRATIONS)
    }
