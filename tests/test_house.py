"""The house's own rules, enforced: who may import whom, how long code may grow, what may lie at the top level."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minijmap"
TESTS = ROOT / "tests"
CODE = sorted(PACKAGE.rglob("*.py"))
ALL_CODE = CODE + sorted(TESTS.rglob("*.py"))

FUNCTION_LINES = 60
FILE_LINES = 500
TOP_LEVEL = {".ci", ".gitignore", "LICENSE", "Makefile", "README.md", "minijmap", "pyproject.toml", "tests"}

# Who may import whom. A layer is the longest name here that a module's name starts with; it may always import itself.
TYPES = {"mail", "sieve", "contacts", "calendars", "sharing", "blob", "quota"}
MIME = {"mail.addresses", "mail.message", "mail.headers", "mail.body", "mail.text"}
EDGE = {"aio", "store", "jmap", "push", "config", "setting_kinds", "users", "signin"} | TYPES | MIME
MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "setting_kinds": set(),
    "config": {"setting_kinds"},
    "demo_texts": set(),
    "demo": {"demo_texts"},
    "aio": set(),
    "heap": set(),
    "store": {"store.transfer"},
    "store.transfer": set(),
    "jmap": {"store"},
    **{name: {"jmap", "store", "mail.archive", ""} | TYPES | MIME for name in sorted(TYPES)},
    **dict.fromkeys(sorted(MIME), MIME | {"store.transfer"}),
    "mail.archive": set(),
    "push": {"aio", "jmap", "store"},
    "users": {"jmap", "store"} | TYPES,
    "portable": {"jmap", "store"} | TYPES,
    "slowdown": set(),
    "signin": {"slowdown", "store"},
    "smtp": EDGE,
    "http": EDGE | {"web"},
    "web": set(),
    "server": EDGE | {"http", "smtp", "demo"},
    "cli": EDGE | {"portable", "heap", "http", "smtp", "demo", "server", "mail.archive", ""},
    "__main__": {"cli"},
}

# Libraries that shape the code around them stay in their rooms.
ROOMS = {
    "flask": {"http"},
    "werkzeug": {"http"},
    "waitress": {"http", "server"},
    "aiosmtpd": {"smtp", "server"},
    "click": {"cli", "__main__"},
}
DISTRIBUTES = {"sqlite-utils": "sqlite_utils", "dkimpy": "dkim", "pyspf": "spf", "dnspython": "dns"}


def module_name(path: Path) -> str:
    """``mail.email`` for minijmap/mail/email.py, ``mail`` for its __init__, ``""`` for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module: str) -> str:
    """The name in MAY_IMPORT that governs a module."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in MAY_IMPORT), module)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every (line, absolute module) that a file imports, wherever in the file; ``from x import y`` gives ``x.y``."""
    here = ["minijmap", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def ours(target: str) -> str | None:
    """The module inside the package that an import reaches, or None for somebody else's."""
    parts = target.split(".")
    if parts[0] != "minijmap":
        return None
    while parts[1:]:
        path = PACKAGE.joinpath(*parts[1:])
        if path.is_dir() or path.with_suffix(".py").is_file():
            break
        parts.pop()
    return ".".join(parts[1:])


def shown(path: Path, line: int, what: str) -> str:
    """A finding as an editor can jump to it."""
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def test_layers_import_only_what_lies_below():
    """A module imports only the layers that the design puts below it."""
    wrong = []
    for path in CODE:
        name = layer(module_name(path))
        for line, target in imported(path):
            reached = ours(target)
            if reached is not None and layer(reached) != name and layer(reached) not in MAY_IMPORT.get(name, set()):
                wrong.append(shown(path, line, f"{name or 'minijmap'} may not import {reached or 'minijmap'}"))

    assert wrong == []


def test_every_module_has_a_layer():
    """A new package or top-level module is placed in the table of layers before it is written."""
    homeless = [str(path.relative_to(ROOT)) for path in CODE if layer(module_name(path)) not in MAY_IMPORT]

    assert homeless == []


def test_libraries_stay_in_their_rooms():
    """The protocol and the types know no web framework, no SMTP server and no command line."""
    wrong = []
    for path in CODE:
        room = layer(module_name(path)).partition(".")[0]
        for line, target in imported(path):
            if room not in ROOMS.get(target.partition(".")[0], {room}):
                wrong.append(shown(path, line, f"{room} may not import {target}"))

    assert wrong == []


def test_every_library_is_declared():
    """The package imports the standard library, itself, and what pyproject.toml names or those bring along."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[<>=!~\[; ]", dependency)[0] for dependency in project["dependencies"]]
    known = {DISTRIBUTES.get(name, name) for name in names} | {"minijmap", "werkzeug"}
    wrong = [
        shown(path, line, target)
        for path in CODE
        for line, target in imported(path)
        if target.partition(".")[0] not in known | sys.stdlib_module_names
    ]

    assert wrong == []


def test_functions_stop_at_sixty_lines():
    """No function of the package is longer than the house allows."""
    long = [
        shown(path, node.lineno, f"{node.name} has {node.end_lineno - node.lineno + 1} lines")
        for path in CODE
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]

    assert long == []


def test_files_stop_at_five_hundred_lines():
    """No file of the package or of its tests is longer than the house allows."""
    counts = {path: len(path.read_bytes().splitlines()) for path in ALL_CODE}
    long = [shown(path, count, "too long") for path, count in counts.items() if count > FILE_LINES]

    assert long == []


def test_every_module_says_what_it_is():
    """Every module, of the package and of the tests, opens with a docstring."""
    silent = [
        str(path.relative_to(ROOT)) for path in ALL_CODE if not (ast.get_docstring(ast.parse(path.read_bytes())) or "")
    ]

    assert silent == []


def test_nothing_is_left_for_later():
    """No mark of unfinished work in the package, and none in a comment of the tests."""
    # Spelled apart, or this file would find itself.
    marks = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|NotImplemented" r"Error)\b")
    lines = [(path, number, line) for path in CODE for number, line in enumerate(path.read_text().splitlines(), 1)]
    lines += [(path, number, line) for path in sorted(TESTS.rglob("*.py")) for number, line in comments(path)]
    wrong = [shown(path, number, line.strip()) for path, number, line in lines if marks.search(line)]

    assert wrong == []


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Every (line, text) of a file's comments."""
    for token in tokenize.tokenize(io.BytesIO(path.read_bytes()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Every (line, text) of a file's comments and docstrings."""
    yield from comments(path)
    holders = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, holders) and node.body and ast.get_docstring(node):
            first = node.body[0]
            source = ast.get_source_segment(path.read_text(), first) or ""
            yield from enumerate(source.splitlines(), first.lineno)


MENTION = re.compile(r"\brfc[ -]?\d{4}\b", re.IGNORECASE)
FIXED = re.compile(r"RFC \d{4}(?: §(?:\d+|[A-Z])(?:\.\d+)*(?![\w§])|(?!,? ?(?:§|[Ss]ec\b|[Ss]ect\b|[Ss]ection)))")
BACKWARDS = re.compile(r"(?:§ ?|[Ss]ections? )[\d.]+ of RFC")


def citations_that_differ(text: str) -> list[str]:
    """The mentions of an RFC in a line of prose that aren't in the one form that a search can find."""
    wrong = [text[found.start() :] for found in MENTION.finditer(text) if not FIXED.match(text, found.start())]
    return wrong + [found.group() for found in BACKWARDS.finditer(text)]


@pytest.mark.parametrize(
    "text",
    [
        "# RFC 8621 §4.1.2",
        "# RFC 8620 §5.1: why, §5.2 too",
        "RFC 5322 owns this.",
        "RFC 6532 §A.1)",
        "RFC 6901 §3, §4",
    ],
)
def test_the_fixed_form_of_a_citation_is_accepted(text):
    """A citation is the number alone, or the number and one section."""
    assert citations_that_differ(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "RFC8621 §4",
        "rfc 8621 §4.1",
        "RFC-8621",
        "RFC 8621 section 4",
        "RFC 8621, §4",
        "RFC 8621 § 4",
        "RFC 8621§4",
        "§4.1 of RFC 8621",
    ],
)
def test_any_other_form_of_a_citation_is_refused(text):
    """Each way in which a citation has been seen to drift is found."""
    assert citations_that_differ(text) != []


def test_citations_have_the_fixed_form():
    """Every RFC is cited in one form, `RFC NNNN §x.y`, so that one search finds where a section is enforced."""
    wrong = [
        shown(path, line, found)
        for path in ALL_CODE
        if path != Path(__file__).resolve()
        for line, text in prose(path)
        for found in citations_that_differ(text)
    ]

    assert wrong == []


def test_top_level_holds_only_what_was_agreed():
    """Nothing lies at the top level that the design doesn't name."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")

    names = {name.partition("/")[0] for name in listing.decode().split("\0") if name}

    assert names <= TOP_LEVEL


def test_tests_mirror_the_package():
    """A folder of tests is named for a folder of the package, or is one of the two that drive the whole server."""
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir()}

    assert folders - packages <= {"wire", "bench"}
