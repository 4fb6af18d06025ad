"""RFC 5229, variables, and encoded characters (RFC 5228 §2.4.2.4): scripts over messages, with Pigeonhole beside."""

import pytest

from minijmap.sieve.limits import LIMITS
from tests.sieve.trials import Case, agree, decide

V = 'require ["variables", "fileinto", "regex", "relational", "comparator-i;ascii-numeric"];\n'
E = 'require ["encoded-character", "fileinto"];\n'
MESSAGE = b"""\
From: wile@acme.example.com
To: coyote@ACME.Example.COM
Subject: [acme-users] [fwd] version 1.0 is out
List-ID: Announcements <announce@lists.example.org>
X-Upper: \xc3\x84BC

body
""".replace(b"\n", b"\r\n")


def value(what, script, expect, **more):
    """A case that files into “<value>” in angle brackets, so that empty values are seen."""
    return Case(what, f'{V}{script}\nfileinto "<${{v}}>";', f"into <{expect}>", MESSAGE, **more)


CASES = [
    value("set", 'set "v" "ACME";', "ACME"),
    value("unset", "", ""),
    value("names in any case", 'set "V" "ACME";', "ACME"),
    value("the last one", 'set "v" "1"; set "v" "2";', "2"),
    value("from itself", 'set "v" "1"; set "v" "${v}${v}";', "11"),
    value("no second pass", 'set "dollar" "$"; set "v" "${dollar}{v}";', "${v}"),
    value("an illegal name stays", 'set "v" "&%${}!${doh!}";', "&%${}!${doh!}"),
    value("the innermost", 'set "company" "ACME"; set "v" "${BAD${Company}";', "${BADACME"),
    value("around it", 'set "company" "ACME"; set "v" "${President, ${Company} Inc.}";', "${President, ACME Inc.}"),
    value("quoting comes first", 'set "foo" "x"; set "v" "${fo\\o}";', "x"),
    value("a backslash in a name", 'set "v" "${fo\\\\o}";', "${fo\\o}"),
    value("a backslash before", 'set "foo" "x"; set "v" "\\\\${foo}";', "\\x"),
    # modifiers, §4.1
    value("length", 'set "a" "juMBlEd lETteRS"; set :length "v" "${a}";', "15"),
    value("length in characters", 'set :length "v" "Grüße";', "5"),
    value("lower", 'set :lower "v" "juMBlEd lETteRS";', "jumbled letters"),
    value("upper", 'set :upper "v" "juMBlEd";', "JUMBLED"),
    value("upper leaves ü alone", 'set :upper "v" "aü";', "Aü"),
    value("upperfirst", 'set :upperfirst "v" "juMBlEd";', "JuMBlEd"),
    value("lowerfirst", 'set :lowerfirst "v" "JuMBlEd";', "juMBlEd"),
    value("first after all", 'set :upperfirst :lower "v" "juMBlEd";', "Jumbled"),
    value("whatever the order", 'set :lower :upperfirst "v" "juMBlEd";', "Jumbled"),
    value("quotewildcard", 'set :quotewildcard "v" "Rock*?\\\\";', "Rock\\*\\?\\\\"),
    value("length of what is quoted", 'set :length :quotewildcard "v" "Rock*";', "6"),
    # match variables, §3.2
    value("star", 'if header :matches "subject" "[*] *" { set "v" "${1}/${2}"; }', "acme-users/[fwd] version 1.0 is out"),
    value("whole", 'if header :matches "subject" "*" { set "v" "${0}"; }', "[acme-users] [fwd] version 1.0 is out"),
    value("as little as possible", 'if address :matches ["To", "Cc"] ["coyote@**.com", "wile@**.com"] { set "v" "${0},${1},${2}"; }', "coyote@ACME.Example.COM,,ACME.Example"),
    value("question marks", 'if header :matches "subject" "[????-*] *" { set "v" "${1}${2}${3}${4}-${5}"; }', "acme-users"),
    value("List-ID", 'if header :matches "List-ID" "*<*@*" { set "v" "${2}"; }', "announce"),
    value("beyond", 'if header :matches "subject" "*" { set "v" "${2}"; }', ""),
    value("leading zeroes", 'if header :matches "subject" "[*] *" { set "v" "${001}"; }', "acme-users"),
    value("a failed match leaves them", 'if header :matches "subject" "[*" {} if header :matches "subject" "x*" {} set "v" "${1}";', "acme-users] [fwd] version 1.0 is out"),
    value("other match types leave them", 'if header :matches "to" "*@*" {} if header :contains "subject" "fwd" {} set "v" "${1}";', "coyote"),
    value("what is not evaluated", 'if anyof (true, header :matches "to" "*@*") { set "v" "${1}"; }', ""),
    value("in the case of the message", 'if header :matches "to" "COYOTE@*" { set "v" "${1}"; }', "ACME.Example.COM"),
    Case("regex groups", V + 'if string :regex "xa-bcy" "(a)-(b)(c?)" { fileinto "${0},${1},${2},${3}"; }', "into a-bc,a,b,c"),
    # the test string, §5
    Case("string", V + 'set "s" "a pending b"; if string :matches " ${s} " "* pending *" { discard; }', "discard"),
    Case("string is", V + 'set "s" "ACME"; if string "${s}" ["x", "acme"] { discard; }', "discard", alone="compares octets by default"),
    Case("spaces are not stripped", V + 'if string :is " a" "a" { discard; }', "keep"),
    Case("count of strings", V + 'if string :count "eq" :comparator "i;ascii-numeric" ["a", "", "${no}", "b"] "2" { discard; }', "discard"),
    Case("keys are expanded", V + 'set "k" "from"; if header :contains "subject" "${k}" { discard; }', "discard"),
    Case("header names are expanded", V + 'set "h" "subject"; if header :contains "${h}" "from" { discard; }', "discard"),
    Case("patterns are expanded", V + 'set "p" "*from*"; if header :matches "subject" "${p}" { discard; }', "discard"),
    # what is refused
    Case("not required", 'set "a" "b";', "refused"),
    Case("not required, nothing is expanded", 'require "fileinto"; fileinto "${a}";', "into ${a}"),
    Case("a match variable can't be set", V + 'set "1" "b";', "refused"),
    Case("no name", V + 'set "a-b" "b";', "refused"),
    Case("a name with a variable", V + 'set "${a}" "b";', "refused"),
    Case("an unknown namespace", V + 'set "v" "${vnd.x}";', "refused", alone="leaves it as it is"),
    Case("to set in one", V + 'set "vnd.x" "a";', "refused"),
    Case("an unknown modifier", V + 'set :reverse "a" "b";', "refused"),
    Case("two of one precedence", V + 'set :lower :upper "a" "b";', "refused"),
    Case("a match variable too high", V + 'set "v" "${100}";', "refused", alone="takes it for empty"),
    # encoded characters, RFC 5228 §2.4.2.4
    *(
        Case(f"encoded {written}", f'{E}fileinto "<{written}>";', f"into <{meant}>")
        for written, meant in [
            ("$${hex:40}", "$@"),
            ("${hex: 40 }", "@"),
            ("${HEX: 40}", "@"),
            ("${hex:40", "${hex:40"),
            ("${hex:400}", "${hex:400}"),
            ("${hex:4${hex:30}}", "${hex:40}"),
            ("${unicode:40}", "@"),
            ("${ unicode:40}", "${ unicode:40}"),
            ("${UnICoDE:0000040}", "@"),
            ("${Unicode:Cool}", "${Unicode:Cool}"),
            ("${hex:c3 a4}", "ä"),
            ("${hex:c3}${hex:a4}", "ä"),
            ("${unicode:e4 20 20ac}", "ä €"),
        ]
    ),
    Case("encoded beyond Unicode", E + 'keep; fileinto "${unicode:200000}";', "refused"),
    Case("encoded surrogate", E + 'keep; fileinto "${Unicode:DF01}";', "refused"),
    Case("encoded and not required", 'require "fileinto"; fileinto "${hex:40}";', "into ${hex:40}"),
    Case("encoded, then variables", 'require ["encoded-character", "variables", "fileinto"]; set "name" "Ethelbert"; fileinto "dear${hex:20 24 7b 4e}ame}";', "into dear Ethelbert"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_outcomes(case):
    """Each script has the values that the RFCs say."""
    agree(case)


def variable(script, message=MESSAGE):
    """The name of the mailbox that a script files into."""
    return decide(V + script, message).actions[0].mailbox


def test_a_value_is_cut_at_the_limit():
    """RFC 5229 §6: a variable that grows too large while the script runs is cut, and that is no error."""
    double = 'set "v" "${v}${v}";' * 30
    script = f'set "v" "0123456789"; {double} set :length "n" "${{v}}"; fileinto "${{n}}";'

    assert variable(script) == str(LIMITS.variable_length)


def test_other_strings_may_not_grow_without_end():
    """A string that is no variable's value is never cut in silence."""
    double = 'set "v" "${v}${v}";' * 30
    many = "${v}" * 100
    found = decide(f'{V}set "v" "0123456789"; {double} if header :contains "subject" "{many}" {{ discard; }}')

    assert "grows beyond" in found.error.sentence


def test_there_are_enough_variables():
    """RFC 5229 §6: at least 128, with names of 32 characters and values of 4,000; more than the limit is an error."""
    names = [f"{'n' * 28}{number:04d}" for number in range(128)]
    fill = f'set "x" "{"x" * 4000}";' + "".join(f'set "{name}" "${{x}}";' for name in names[1:])
    assert variable(fill + f'set :length "l" "${{{names[-1]}}}"; fileinto "${{l}}";') == "4000"

    many = "".join(f'set "v{number}" "";' for number in range(LIMITS.variables + 1))
    assert "variables" in decide(V + many).error.sentence


def test_match_variables_by_octet():
    """RFC 5228 §2.7.1: under i;ascii-casemap "?" is one octet, and variables put octets together again."""
    script = 'if header :matches "x-upper" "??BC" { fileinto "${1}${2}"; }'

    assert variable(script) == "Ä"
