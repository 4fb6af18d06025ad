"""Checking scripts by the table of commands: sentences with positions, the table itself, and what hostile scripts cost."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minijmap.sieve import registry
from minijmap.sieve.actions import Keep
from minijmap.sieve.compiler import compile_script
from minijmap.sieve.errors import RunError, ScriptError
from minijmap.sieve.host import AloneHost, Envelope
from minijmap.sieve.interpreter import run
from minijmap.sieve.limits import LIMITS, Limits
from minijmap.sieve.message import Message
from minijmap.sieve.table import Inside, Kind
from tests.sieve.trials import PLAIN, decide

ENVELOPE = Envelope("sender@example.com", "user@example.org")


@pytest.mark.parametrize(
    ("script", "line", "column", "sentence"),
    [
        ('fileinto "a";', 1, 1, '“fileinto” needs require "fileinto"'),
        ('keep :flags "a";', 1, 6, '“:flags” needs require "imap4flags"'),
        ('\n  frobnicate "x";', 2, 3, "unknown command “frobnicate”"),
        ("if frobnicated { }", 1, 4, "unknown test “frobnicated”"),
        ('require ["fileinto", "nope"];', 1, 22, "the extension “nope” is not supported"),
        ("keep :nope;", 1, 6, "“keep” has no tag “:nope”"),
        ('if header :is :contains "a" "b" {}', 1, 15, "“:is” and “:contains” exclude each other"),
        ('if header :is :is "a" "b" {}', 1, 15, "“:is” is given twice"),
        ('if header "a" {}', 1, 4, "“header” needs header names (a string or a list of strings), keys"),
        ('if header "a" "b" "c" {}', 1, 19, "found a string more"),
        ('if header 5 "b" {}', 1, 11, "“header” needs a string or a list of strings for header names, found a number"),
        ('if header :comparator "i;octet" {}', 1, 4, "found 0 of them"),
        ("if header :comparator {}", 1, 11, "“:comparator” needs a string after it, found nothing"),
        ("if header :comparator 5 {}", 1, 23, "“:comparator” needs a string, found a number"),
        ('if header "a" "b" :is {}', 1, 19, "“:is” must stand before the other arguments"),
        ('if size :over "5" {}', 1, 15, "“size” needs a number for octets, found a string"),
        ("true;", 1, 1, "“true” is a test; a command is expected here"),
        ("if discard {}", 1, 4, "“discard” is an action; a test is expected here"),
        ("if stop {}", 1, 4, "“stop” is a control command; a test is expected here"),
        ("elsif true {}", 1, 1, "“elsif” must come right after “if” or “elsif”"),
        ("keep; else {}", 1, 7, "“else” must come right after “if” or “elsif”"),
        ("if true, {}", 1, 8, "found “,”"),
        ("keep keep;", 1, 6, "found “keep”, expected “;”"),
        ("if anyof (true false) {}", 1, 16, "found “false”, expected the end of the test"),
        ("if {}", 1, 1, "“if” takes one test, found no test"),
        ("keep {}", 1, 1, "“keep” ends with “;” and no block"),
        ("if true;", 1, 1, "“if” ends with a block in braces"),
        ("if anyof true {}", 1, 4, "“anyof” takes a list of tests in parentheses"),
        ("if not (true) {}", 1, 4, "“not” takes one test, found a list of tests in parentheses"),
        ('keep; require "copy";', 1, 7, "“require” must stand before every other command"),
        ('redirect "nobody";', 1, 10, "“nobody” is no mail address"),
    ],
)
def test_sentences(script, line, column, sentence):
    """What is wrong is said for a person, at the place where it is."""
    with pytest.raises(ScriptError) as caught:
        compile_script(script.encode())

    assert (caught.value.line, caught.value.column) == (line, column), caught.value
    assert sentence in caught.value.sentence


def test_every_capability_can_be_required():
    """A capability that is listed is one that a script can require, and what needs it is refused without."""
    for capability in registry.EXTENSIONS:
        compile_script(f'require "{capability}";'.encode())
    for entry in registry.ENTRIES.values():
        assert entry.capability in ("", *registry.EXTENSIONS)
        for tag in entry.tags.values():
            assert set(tag.requires) <= set(registry.EXTENSIONS), (entry.row.name, tag.name)


def test_a_program_serves_many_runs():
    """A program keeps nothing of a run: variables, flags and match variables begin anew."""
    script = (
        'require ["variables", "fileinto"]; if header :matches "subject" "a*" { set "v" "${1}"; } fileinto "<${v}>";'
    )
    program = compile_script(script.encode())

    def into(subject):
        return run(program, Message(f"Subject: {subject}\r\n\r\n".encode()), ENVELOPE, AloneHost()).actions[0].mailbox

    assert [into("abc"), into("x"), into("ab")] == ["<bc>", "<>", "<b>"]


# --- errors when it runs ----------------------------------------------------------------------------------------------


def test_an_error_undoes_everything():
    """RFC 5228 §2.10.6: after an error nothing is done but the implicit keep, and the error says where."""
    script = 'require ["fileinto", "ihave", "editheader"];\naddheader "X" "y"; fileinto "a"; discard;\nerror "because";'
    result = decide(script)

    assert result.actions == (Keep(implicit=True),)
    assert str(result.error) == "line 3: because"


def test_reject_and_storing_exclude_each_other():
    """RFC 5429 §2.4: a message is not both rejected and stored, sent on or answered."""
    for other in ("keep;", 'fileinto "x";', 'redirect "a@b.example";', 'vacation "x";'):
        for script in ('reject "no"; ' + other, other + ' reject "no";'):
            result = decide('require ["reject", "fileinto", "vacation"];' + script)
            assert result.error is not None, script
    assert decide('require "reject"; reject "no"; discard;').error is None
    assert decide('require ["reject", "ereject"]; reject "no"; ereject "no";').error is not None


@pytest.mark.parametrize(
    ("script", "limits", "sentence"),
    [
        ("keep;" * 11, Limits(steps=10), "more than 10 commands"),
        ('fileinto "1"; fileinto "2"; fileinto "3";', Limits(actions=2), "more than 2 actions"),
        (
            'redirect "1@b.example"; redirect "2@b.example"; redirect "3@b.example";',
            Limits(redirects=2),
            "more than 2 addresses",
        ),
        ("keep; keep;", Limits(seconds=0.0), "more than 0 seconds"),
    ],
)
def test_limits_of_a_run(script, limits, sentence):
    """Each limit stops the run with its sentence."""
    program = compile_script(b'require "fileinto";' + script.encode())
    result = run(program, Message(PLAIN), ENVELOPE, AloneHost(), limits)

    assert sentence in result.error.sentence
    assert result.actions == (Keep(implicit=True),)


def test_redirecting_twice_to_one_address_counts_once():
    """Only different addresses count."""
    script = b'redirect "a@b.example"; redirect "A@b.example"; redirect "<a@b.example>";'

    assert run(compile_script(script), Message(PLAIN), ENVELOPE, AloneHost(), Limits(redirects=1)).error is None


# --- hostile scripts --------------------------------------------------------------------------------------------------

HOSTILE = {
    "a megabyte": b"keep;" * 200_000,
    "a megabyte of nothing": b" " * 1_000_000,
    "blocks": b"if true {" * 20_000,
    "tests": b"if " + b"not " * 50_000 + b"true {}",
    "test lists": b"if " + b"anyof(" * 40_000,
    "brackets": b"x " + b"[" * 100_000,
    "strings": b"x [" + b'"",' * 80_000 + b'""];',
    "one line": b"keep;" * 19_000,
    "one string": b'x "' + b"a" * 250_000,
    "backslashes": b'x "' + b"\\" * 250_000,
    "comments": b"/*" * 120_000,
    "stars": b"/*" + b"*" * 250_000,
    "texts": b"x " + b"text:\n" * 40_000,
    "dots": b"x text:\n" + b"..\n" * 80_000 + b".\n;",
    "digits": b"x " + b"9" * 250_000 + b";",
    "variables": b'require ["variables"]; set "a" "' + b"${a}" * 60_000 + b'";',
    "half a variable": b'require ["variables"]; set "a" "' + b"${a." * 60_000 + b'";',
    "encoded": b'require ["encoded-character"]; redirect "' + b"${hex: " * 35_000 + b'";',
    "else": b"if true {}" + b"elsif true {}" * 9_000,
    "tags": b"keep " + b":x " * 80_000,
    "semicolons": b";" * 250_000,
    "names": b"a" * 250_000,
    "expressions": b'require "regex"; if header :regex "a" [' + b'"((a{255}){15})",' * 15_000 + b'"a"] {}',
    "lists that grow": b'require "variables"; set "a" "aaaaaaaaaaaaaaaa";'
    + b'set "a" "${a}${a}${a}${a}";' * 10
    + b'if header :is "b" ["'
    + b'", "'.join([b"${a}" * 60] * 900)
    + b'"] {}',
    "many patterns": b'if header :matches "received" ["' + b'", "'.join([b"*a?b*c??d*"] * 18_000) + b'"] {}',
    "many expressions": b'require "regex"; if header :regex "received" ["'
    + b'", "'.join([b"(a+)+b"] * 14_000)
    + b'"] {}',
}


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE)
def test_hostile_scripts(script):
    """Whatever a script is made of, it is accepted or refused with a sentence, in little time."""
    started = time.monotonic()
    program, error = compiled(script)
    if program is not None:
        run(program, Message(PLAIN), ENVELOPE, AloneHost())
    else:
        assert min(error.line, error.column) >= 1
        assert 0 < len(error.sentence) < 500
    assert time.monotonic() - started < 5


def compiled(script):
    """A program and None, or None and the error that refuses the script."""
    try:
        return compile_script(script), None
    except ScriptError as error:
        return None, error


@pytest.mark.parametrize("what", ["contains", "matches", "is", "regex"])
def test_hostile_values(what):
    """A message made to be slow to look at stops the script, or doesn't; either way the run has an end."""
    keys = '", "'.join(["x" * 50, "*x?x?x*y*", "(x|xx)+y"] * 500)
    capabilities = 'require ["body", "regex"]; ' if what != "is" else 'require "body"; '
    started = time.monotonic()
    result = decide(
        capabilities + f'if body :raw :{what} ["{keys if what != "regex" else "(x|xx)+y"}"] {{ discard; }}',
        b"Subject: x\r\n\r\n" + b"x" * 5_000_000,
    )

    assert result.error is None or "seconds" in result.error.sentence
    assert time.monotonic() - started < LIMITS.seconds + 3


def test_growing_variables_end():
    """A script that doubles a variable again and again stays small."""
    script = 'require ["variables"]; set "a" "aaaa";' + 'set "a" "${a}${a}${a}${a}";' * 5_000

    assert decide(script).error is None


# --- fuzzing ----------------------------------------------------------------------------------------------------------

WORDS = """
if elsif else keep discard stop require not anyof allof true header address size exists set fileinto redirect :is
:contains :matches :over :copy :comparator "i;octet" "a" "${a}" "fileinto" "variables" "*?" 5 5K { } ( ) [ ] , ; # /* */
text: . " \\ : é
"""
TOKENS = st.sampled_from([*WORDS.split(), "\n", "\0"])


@settings(max_examples=200, deadline=2000)
@given(
    st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
)
@example(b'"')
@example(b"text:")
@example(b"\xef\xbb\xbf")
def test_any_octets(script):
    """Octets of any kind are a script or a ScriptError."""
    _, error = compiled(script)

    assert error is None or min(error.line, error.column) >= 1


@settings(max_examples=200, deadline=2000)
@given(st.lists(TOKENS, max_size=30).map(" ".join))
def test_any_tokens(script):
    """Tokens in any order are a script or a ScriptError."""
    _, error = compiled(script.encode())

    assert error is None or error.line <= script.count("\n") + 1


STRINGS = st.sampled_from(
    ["", "a", "*", "?*", "from", "subject", "X-Twice", "to", "${1}", "${v}", "a@b.example", "\\Seen x", "INBOX", "1", "eq",
     "i;octet", "i;ascii-numeric", "i;unicode-casemap", "(a|b)*", "([", "vnd.x", "year", "text/plain", "mailto:a@b.example"]
)  # fmt: skip


@st.composite
def some_arguments(draw, entry):
    """Arguments for a row, mostly of the right kinds."""
    words = []
    kinds = [argument.kind for argument in entry.row.arguments if not argument.optional or draw(st.booleans())]
    for tag in draw(st.lists(st.sampled_from(sorted(entry.tags)), max_size=3, unique=True)) if entry.tags else []:
        words += [f":{tag}", *(draw(some_value(kind)) for kind in entry.tags[tag].takes)]
    words += [draw(some_value(kind)) for kind in kinds]
    return " ".join(words)


@st.composite
def some_value(draw, kind):
    """A value of a kind."""
    if kind is Kind.NUMBER:
        return draw(st.sampled_from(["0", "1", "2", "1K", "3G"]))

    def quoted():
        text = draw(STRINGS).replace("\\", "\\\\")
        return f'"{text}"'

    if kind is Kind.STRINGS and draw(st.booleans()):
        return f"[{', '.join(quoted() for _ in range(draw(st.integers(1, 3))))}]"
    return quoted()


@st.composite
def some_test(draw, depth):
    """A test, as the table has them."""
    names = [name for name, entry in registry.ENTRIES.items() if entry.row.sort.name == "TEST"]
    entry = registry.ENTRIES[draw(st.sampled_from(sorted(names)))]
    words = f"{entry.row.name} {draw(some_arguments(entry))}"
    if entry.row.tests is Inside.NONE:
        return words
    if depth > 2:
        return "true"
    if entry.row.tests is Inside.ONE:
        return f"{words} {draw(some_test(depth + 1))}"
    inside = [draw(some_test(depth + 1)) for _ in range(draw(st.integers(1, 3)))]
    return f"{words} ({', '.join(inside)})"


@st.composite
def some_commands(draw, depth=0):
    """A block of commands, as the table has them."""
    names = [name for name, entry in registry.ENTRIES.items() if entry.row.sort.name != "TEST" and name != "require"]
    block = []
    for _ in range(draw(st.integers(0, 4))):
        entry = registry.ENTRIES[draw(st.sampled_from(sorted(names)))]
        if entry.row.follows:
            continue
        test = f" {draw(some_test(0))}" if entry.row.tests is Inside.ONE else ""
        end = f" {{ {draw(some_commands(depth + 1)) if depth < 3 else ''} }}" if entry.row.block else ";"
        block.append(f"{entry.row.name} {draw(some_arguments(entry))}{test}{end}")
    return "\n".join(block)


REQUIRE = "require [" + ", ".join(f'"{name}"' for name in registry.EXTENSIONS if name != "ihave") + "];\n"


@settings(max_examples=200, deadline=5000)
@given(some_commands(), st.sampled_from([REQUIRE, REQUIRE.replace("[", '["ihave", '), 'require "ihave";']))
def test_any_program(script, require):
    """Programs made from the table are refused with a ScriptError, or run, tracing or not, to one and the same result."""
    try:
        plain = compile_script((require + script).encode())
    except ScriptError:
        return
    host = AloneHost()
    result = run(plain, Message(PLAIN), ENVELOPE, host)
    assert result.error is None or isinstance(result.error, RunError)
    told = run(compile_script((require + script).encode(), tracing=True), Message(PLAIN), ENVELOPE, host)
    assert told.actions == result.actions
    assert str(told.error) == str(result.error)


def test_most_of_what_may_be_needed_is_allowed():
    """A script of a large household is no trouble: 2,000 rules, one after the other."""
    rules = "".join(f'if header :contains "subject" "word{number}" {{ discard; stop; }}\n' for number in range(2_000))

    assert len(rules) < LIMITS.script_size
    assert decide(rules).actions == (Keep(implicit=True),)
