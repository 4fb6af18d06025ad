"""RFC 6609, include: other scripts, return, stop and global variables; and ihave with error (RFC 5463)."""

import pytest

from minijmap.sieve.compiler import compile_script
from minijmap.sieve.errors import ScriptError
from minijmap.sieve.host import AloneHost
from minijmap.sieve.limits import LIMITS
from tests.sieve.trials import Case, agree, decide, word

I = 'require ["include", "variables", "fileinto"];\n'  # noqa: E741


class Library(AloneHost):
    """A host with some scripts."""

    def __init__(self, **scripts):
        super().__init__()
        self.sources = scripts

    def include(self, name, *, personal):
        """A script, by its name; global ones have names in capitals."""
        source = self.sources.get(name if personal else name.upper())
        return None if source is None else compile_script(source.encode(), tracing=True)


def told(script, **scripts):
    """What a script with others decides, in words."""
    result = decide(script, host=Library(**scripts))
    return f"error: {result.error.sentence}" if result.error else "; ".join(map(word, result.actions))


def test_an_included_script_acts():
    """RFC 6609 §3.1: actions of included scripts count for the implicit keep."""
    assert told(I + 'include "a";', a="discard;") == "discard"
    assert told(I + 'include "a";', a="") == "keep"
    assert told(I + 'include "a"; fileinto "x";', a="keep;") == "keep; into x"


def test_where_scripts_are():
    """RFC 6609 §3.2: personal by default, global when asked for."""
    scripts = {"a": "keep;", "A": "discard;"}

    assert told(I + 'include "a";', **scripts) == "keep"
    assert told(I + 'include :personal "a";', **scripts) == "keep"
    assert told(I + 'include :global "a";', **scripts) == "discard"


def test_return_and_stop():
    """RFC 6609 §3.3: return ends the immediate script, stop ends all of them."""
    assert told(I + 'include "a"; fileinto "x";', a='require "include"; return; discard;') == "into x"
    assert told(I + 'include "a"; fileinto "x";', a="stop;") == "keep"
    assert told(I + "return; discard;") == "keep"


def test_a_missing_script():
    """RFC 6609 §3.2: it is an error when the script runs, unless it is optional."""
    assert told(I + 'include "none"; discard;').startswith("error: there is no script “none”")
    assert told(I + 'include :optional "none"; discard;') == "discard"


def test_recursion():
    """RFC 6609 §3.1: direct or indirect recursion is an error when the script runs, and never earlier."""
    loop = {"a": 'require "include"; include "b";', "b": 'require "include"; include "a";'}

    assert "includes itself" in told(I + 'include "a";', a='require "include"; include "a";')
    assert "includes itself" in told(I + 'include "a";', **loop)


def test_once():
    """RFC 6609 §3.2: with :once a script that has been included is passed over, were it recursive too."""
    scripts = {"a": 'require ["include", "fileinto"]; fileinto "x"; include :once "a";'}

    assert told(I + 'include :once "a"; include :once "a";', **scripts) == "into x"


def test_depth_and_number():
    """RFC 6609 §3.1: at least three levels are allowed, and there is an end."""
    chain = {f"s{level}": f'require "include"; include "s{level + 1}";' for level in range(50)}

    assert told(I + 'include "a";', a='require "include"; include "b";', b="discard;") == "discard"
    assert "inside of each other" in told(I + 'include "s0";', **chain)
    assert "are included" in told(I + 'include "a";' * (LIMITS.includes + 1), a="")


def test_variables_are_private():
    """RFC 6609 §3.4: each script has its own variables, match variables with them."""
    other = 'require ["variables", "fileinto"]; if true { fileinto "<${v}>"; } set "v" "inner";'

    assert told(I + 'set "v" "outer"; include "a"; fileinto "<${v}>";', a=other) == "into <>; into <outer>"
    matched = 'if header :matches "subject" "*" { include "a"; }'
    assert told(I + matched, a='require ["variables", "fileinto"]; fileinto "<${0}>";') == "into <>"


def test_global_variables():
    """RFC 6609 §3.4.1: a variable that several scripts declare global is one."""
    other = 'require ["include", "variables"]; global ["test", "box"]; set "box" "spam-${test}";'
    script = I + 'global "test"; global "BOX"; set "test" "$$"; include "a"; fileinto "${box}";'

    assert told(script, a=other) == "into spam-$$"
    undeclared = 'require ["variables"]; set "box" "other";'
    assert told(I + 'global "box"; set "box" "x"; include "a"; fileinto "${box}";', a=undeclared) == "into x"


def test_the_namespace_global():
    """RFC 6609 §3.4.2: global.x is the variable that “global "x"” declares."""
    assert told(I + 'set "global.x" "1"; global "x"; fileinto "${x}${global.x}";') == "into 11"
    assert told(I + 'set "x" "own"; set "global.x" "1"; fileinto "${x}${global.x}";') == "into own1"


def test_include_by_ihave():
    """RFC 5463 §4: include is no extension that changes how strings are read, so ihave may enable it."""
    script = 'require ["ihave", "variables", "fileinto"]; if ihave "include" { include "a"; fileinto "${global.x}"; }'

    assert told(script, a='require ["include", "variables"]; set "global.x" "1";') == "into 1"


def test_errors_name_the_script():
    """An error in an included script says in which one."""
    assert told(I + 'include "a";', a='require "ihave"; error "no";') == "error: in the included script “a”: no"
    assert "line 1, column 1: unknown command" in told(I + 'include "a";', a="frobnicate;")


REFUSED = [
    Case("include not required", 'include "a";', "refused"),
    Case("global without variables", 'require "include"; global "a";', "refused"),
    Case("global after set", I + 'set "a" "1"; global "a";', "refused"),
    Case("global of a match variable", I + 'global "1";', "refused"),
    Case("global with a namespace", I + 'global "global.a";', "refused"),
    Case("a namespace with two parts", I + 'set "global.data.from" "x";', "refused"),
    Case("a global match variable", I + 'set "global.12" "x";', "refused"),
    Case("global namespace without include", 'require "variables"; set "global.a" "x";', "refused"),
    Case("a name with a line end", I + 'include "a\r\nb";', "refused"),
    Case("two locations", I + 'include :personal :global "a";', "refused"),
]

H = 'require ["ihave"];\n'
IHAVE = [
    Case("ihave", H + 'if ihave "fileinto" { fileinto "x"; }', "into x"),
    Case("ihave not", H + 'if ihave "vnd.nobody" { frobnicate; } else { discard; }', "discard"),
    Case("one of two is not there", H + 'if ihave ["fileinto", "vnd.nobody"] { fileinto "x"; }', "keep"),
    Case("enabled to the end", H + 'if ihave "fileinto" { keep; } fileinto "x";', "keep; into x"),
    Case("used before", H + 'if false { if ihave "fileinto" {} } fileinto "x";', "error", alone="enables it while reading"),
    Case("unknown and not reached", H + 'if false { frobnicate "a" { keep; } } discard;', "discard", alone="wants to know every command"),
    Case("unknown test not reached", H + 'if allof (false, frobnicated "x") { keep; } discard;', "discard", alone="wants to know every test"),
    Case("a tag", H + 'if ihave "fileinto" { if ihave "copy" { fileinto :copy "x"; } }', "into x; keep"),
    Case("a comparator", H + 'if ihave "comparator-i;ascii-numeric" { if header :is :comparator "i;ascii-numeric" "x-n" "1" { discard; } }', "discard", b"X-N: 01\r\n\r\n"),
    Case("never variables", H + 'if ihave "variables" { discard; }', "keep"),
    Case("nor encoded characters", H + 'if ihave "encoded-character" { discard; }', "keep"),
    Case("unless required", 'require ["ihave", "variables"]; if ihave "variables" { discard; }', "discard", alone="is false even then"),
    Case("error", H + 'discard; error "for a reason";', "error"),
    Case("error not required", 'error "x";', "refused"),
    Case("ihave not required", 'if ihave "fileinto" { keep; }', "refused"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED + IHAVE, ids=str)
def test_outcomes(case):
    """Each script is refused, or decides, as the RFCs say."""
    agree(case)


def test_a_variable_is_no_name_of_a_capability():
    """RFC 5463 §4: the strings of ihave are constant."""
    with pytest.raises(ScriptError, match="variables"):
        compile_script(b'require ["ihave", "variables"]; if ihave "${x}" { keep; }')


def test_the_message_of_error_is_told():
    """RFC 5463 §5: the text is in the report."""
    assert decide(H + 'error "für einen Grund";').error.sentence == "für einen Grund"
