"""The grammar of RFC 5228 §8: what is read, and errors that say where and what was expected; sievelib as second parser."""

import pytest
from sievelib.parser import Parser as SecondParser

from minijmap.sieve import syntax
from minijmap.sieve.compiler import compile_script
from minijmap.sieve.errors import ScriptError
from minijmap.sieve.limits import Limits
from minijmap.sieve.parser import parse
from minijmap.sieve.syntax import Command, Number, Position, Script, String, StringList, TagName


def one(source):
    """The only command of a script."""
    (command,) = parse(source if isinstance(source, bytes) else source.encode()).commands
    return command


def test_the_form_of_a_script():
    """Commands, tests, arguments and blocks, each with its position."""
    script = 'if not header :contains ["A", "B"] "c" {\n  stop;\n}\n'

    assert parse(script.encode()) == Script(
        (
            Command(
                "if",
                Position(1, 1),
                tests=(
                    syntax.Test(
                        "not",
                        Position(1, 4),
                        tests=(
                            syntax.Test(
                                "header",
                                Position(1, 8),
                                (
                                    TagName("contains", Position(1, 15)),
                                    StringList(
                                        (String("A", Position(1, 26)), String("B", Position(1, 31))), Position(1, 25)
                                    ),
                                    String("c", Position(1, 36)),
                                ),
                            ),
                        ),
                    ),
                ),
                block=(Command("stop", Position(2, 3)),),
            ),
        )
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0", 0),
        ("007", 7),
        ("1K", 1024),
        ("2m", 2 * 2**20),
        ("3G", 3 * 2**30),
        ("2147483647", 2**31 - 1),
        ("0" * 1000 + "1", 1),
    ],
)
def test_numbers(written, meant):
    """RFC 5228 §2.4.1."""
    assert one(f"x {written};").arguments == (Number(meant, Position(1, 3)),)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"a"', "a"),
        ('""', ""),
        (r'"\"\\\a"', '"\\a'),
        ('"a\nb"', "a\r\nb"),
        ('"a\r\nb"', "a\r\nb"),
        ('"# /* no comment"', "# /* no comment"),
        ('"ä"', "ä"),
        ("text:\na\n.\n", "a\r\n"),
        ("text:\r\na\r\n.\r\n", "a\r\n"),
        ("TEXT: \t# comment\na\n.\n", "a\r\n"),
        ("text:\n.\n", ""),
        ("text:\n..\n.x\n...\n.\n", ".\r\n.x\r\n..\r\n"),
        ('text:\n"\\" # as it is\n.\n', '"\\" # as it is\r\n'),
        ("text:\na\n.", "a\r\n"),
    ],
)
def test_strings(written, meant):
    """RFC 5228 §2.4.2, and §8.1 for texts of several lines."""
    # A dot in the last line of a script ends the text as well.
    end = "" if written.endswith("\n.") else ";"
    script = f"x {written}{end}"
    if not end:
        with pytest.raises(ScriptError, match="the end of the script"):
            one(script)
        return
    assert one(script).arguments[0].value == meant


@pytest.mark.parametrize(
    "script",
    ["x;# end", "x;/* a **/", "/***/x;", "# a\r\nx;", "x/* a */;", "x\t\r\n ;", "\ufeffx;", "/* * / */ x;"],
)
def test_white_space_and_comments(script):
    """RFC 5228 §2.2 and §2.3: both stand anywhere between tokens, the last line needs no end, a BOM is passed over."""
    assert one(script).name == "x"


@pytest.mark.parametrize(
    ("script", "line", "column", "sentence"),
    [
        ("keep", 1, 5, "found the end of the script, expected “;” after “keep”"),
        ("keep keep", 1, 10, "expected a block in braces, or “;”, after “keep”"),
        (
            "if {",
            1,
            5,
            "found the end of the script, expected a command, or the “}” of the block that begins in line 1",
        ),
        ("if ;;", 1, 5, "found “;”, expected a command"),
        ("if true {\n  keep;\n", 3, 1, "expected a command, or the “}” of the block that begins in line 1"),
        ("keep; }", 1, 7, "found “}”, expected a command"),
        ('x ["a" "b"];', 1, 8, 'found the string "b", expected “,” and another string, or the “]” of the list'),
        ("x [];", 1, 4, "found “]”, expected a string"),
        ("x [1];", 1, 4, "found the number 1, expected a string"),
        ('x ["a",];', 1, 8, "found “]”, expected a string"),
        ("if anyof (true,) {}", 1, 16, "found “)”, expected a test"),
        ("if anyof () {}", 1, 11, "found “)”, expected a test"),
        ('x "abc', 1, 3, "a closing quotation mark is expected"),
        ("x\n\n  text:\nabc\n", 3, 3, "a line with a single dot is expected"),
        ("/* a", 1, 1, "“*/” is expected"),
        ("x :;", 1, 3, "expected the name of a tag"),
        ("x 5KB;", 1, 3, "only K, M or G may follow"),
        ("x 99999999999999999999;", 1, 3, "is too large"),
        ("x 9223372036854775807G;", 1, 3, "is too large"),
        ("ä;", 1, 1, "found “ä”"),
        ("x 'a';", 1, 3, "found “'”"),
        ('äöü "ä', 1, 1, "found “ä”"),
        ('x "ä", ?', 1, 6, "found “,”, expected “;” after “x”"),
        (b'x;\r\n"\xff";', 2, 2, "not UTF-8"),
        (b'x; "a\0b";', 1, 6, "NUL"),
        (b"\xef\xbb\xbfx; \xff", 1, 4, "not UTF-8"),
    ],
)
def test_errors_say_where_and_what(script, line, column, sentence):
    """An error names line, column, what was found and what was expected."""
    with pytest.raises(ScriptError) as caught:
        parse(script if isinstance(script, bytes) else script.encode())

    assert (caught.value.line, caught.value.column) == (line, column)
    assert sentence in caught.value.sentence
    assert str(caught.value).startswith(f"line {line}, column {column}: ")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (b"#" * 1001, "octets; 1000 is the most"),
        (b"if true {" * 20, "more than 15 blocks"),
        (b"if " + b"not " * 20 + b"true {}", "more than 15 tests"),
        (b"if " + b"anyof(" * 20, "more than 15 tests"),
        (b"x;" * 101, "more than 100 commands and tests"),
        (b"x [" + b'"",' * 101, "more than 100 strings"),
        (b"x " + b"1 " * 11, "more than 10 arguments"),
    ],
)
def test_limits(script, sentence):
    """Each limit has its sentence; RFC 5228 §2.10.7 asks for fifteen levels."""
    limits = Limits(script_size=1000, nesting=15, commands=100, strings=100, arguments=10)

    with pytest.raises(ScriptError, match=sentence):
        parse(script, limits)


def test_fifteen_levels():
    """RFC 5228 §2.10.7: fifteen blocks, and fifteen test lists."""
    parse(b"if true {" * 15 + b"}" * 15, Limits(nesting=15))
    parse(b"if " + b"anyof(" * 14 + b"true" + b")" * 14 + b"{}", Limits(nesting=15))


SAME = [
    'require ["fileinto", "reject"];\r\nif header :is "Sender" "a@b" { fileinto "filter"; } else { discard; }',
    "if size :over 500K { discard; }",
    'if anyof (exists ["From", "Date"], header :contains "from" "fool@example.edu") { discard; }',
    'if not header :contains "a" "b" { keep; stop; }',
    "if true { keep; ",
    "if anyof (true, { keep; }",
    "else { keep; }",
    'if header :is "a" "b" keep;',
    'require "fileinto"; fileinto ["a" "b"];',
]


@pytest.mark.parametrize("script", SAME)
def test_a_second_parser_agrees(script):
    """What sievelib accepts, ours accepts; what it refuses, ours refuses."""
    second = SecondParser()
    accepted = bool(second.parse(script))

    if accepted:
        compile_script(script.encode())
    else:
        with pytest.raises(ScriptError):
            compile_script(script.encode())
