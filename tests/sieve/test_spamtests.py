"""spamtest and virustest (RFC 5235): what filters write, and the numbers that come of it."""

import pytest

from minijmap.sieve.host import AloneHost
from tests.sieve.trials import PLAIN, Case, agree, outcome

_R = 'require ["spamtest", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];\n'
_P = 'require ["spamtestplus", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];\n'
_V = 'require ["virustest", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];\n'
_VALUE = 'if spamtest :matches "*" { fileinto "${0}"; }'
_PERCENT = 'if spamtest :percent :matches "*" { fileinto "${0}"; }'
_VIRUS = 'if virustest :matches "*" { fileinto "${0}"; }'


def _with(field: str) -> bytes:
    return field.encode() + b"\r\n" + PLAIN


def _status(score: str) -> bytes:
    return _with(f"X-Spam-Status: No, score={score} required=5.0 tests=NONE")


def _alone(what: str, script: str, expect: str, field: str) -> Case:
    return Case(what, script, expect, _with(field), "Pigeonhole reads the one field it is told of")


CASES = [
    *(
        Case(f"score {score}", _R + _VALUE, f"into {value}", _status(score))
        for score, value in (
            ("-3.2", 1),
            ("0.0", 1),
            ("0.5", 1),
            ("1.0", 2),
            ("2.5", 5),
            ("4.9", 9),
            ("5.0", 10),
            ("17.3", 10),
        )
    ),
    *(
        Case(f"percent of score {score}", _P + _PERCENT, f"into {value}", _status(score))
        for score, value in (("-3.2", 0), ("0.0", 0), ("1.0", 20), ("2.6", 52), ("5.0", 100), ("17.3", 100))
    ),
    Case("not tested", _R + _VALUE, "into 0"),
    Case("not tested, in percent", _P + _PERCENT, "into 0"),
    Case(
        "count of none",
        _R + 'if spamtest :count "eq" :comparator "i;ascii-numeric" "0" { discard; }',
        "discard",
        alone="Pigeonhole counts 1",
    ),
    Case(
        "count of one",
        _R + 'if spamtest :count "eq" :comparator "i;ascii-numeric" "1" { discard; }',
        "discard",
        _status("1.0"),
    ),
    Case("count with percent", _P + 'if spamtest :percent :count "eq" "1" { discard; }', "discard", _status("-1.0")),
    Case(
        "value",
        _R + 'if spamtest :value "ge" :comparator "i;ascii-numeric" "3" { discard; }',
        "discard",
        _status("4.0"),
    ),
    Case("spamtestplus alone has spamtest", _P + 'if spamtest "2" { discard; }', "discard", _status("1.0")),
    Case(":percent needs spamtestplus", _R + _PERCENT, "refused"),
    Case("one string", _R + 'if spamtest ["1", "2"] { discard; }', "refused"),
    Case("needs require", 'if spamtest "1" { keep; }', "refused"),
    # --- other filters
    _alone("rspamd", _R + _VALUE, "into 5", "X-Spamd-Result: default: False [7.30 / 15.00];\r\n\tARC_NA(0.00)[]"),
    _alone("rspamd, refused", _P + _PERCENT, "into 100", "X-Spamd-Result: default: True [19.00 / 15.00]"),
    _alone(
        "rspamd goes before a score alone",
        _P + _PERCENT,
        "into 40",
        "X-Spam-Score: 6.0\r\nX-Spamd-Result: default: False [6.00 / 15.00]",
    ),
    _alone(
        "amavis",
        _P + _PERCENT,
        "into 50",
        "X-Spam-Status: No, score=3.1 tagged_above=-999 required=6.2\r\n\ttests=[BAYES_50=0.8]",
    ),
    _alone("hits", _P + _PERCENT, "into 60", "X-Spam-Status: No, hits=3.0 required=5.0"),
    _alone("a score alone is of SpamAssassin's five", _P + _PERCENT, "into 50", "X-Spam-Score: 2.5 (++)"),
    _alone("stars", _P + _PERCENT, "into 60", "X-Spam-Level: ***"),
    _alone("flag yes", _R + _VALUE, "into 10", "X-Spam-Flag: YES"),
    _alone("flag no", _R + _VALUE, "into 1", "X-Spam-Flag: NO"),
    _alone("X-Spam", _R + _VALUE, "into 10", "X-Spam: Yes"),
    _alone("a score goes before a flag", _P + _PERCENT, "into 80", "X-Spam-Flag: YES\r\nX-Spam-Score: 4.0"),
    _alone(
        "Bogofilter",
        _P + _PERCENT,
        "into 75",
        "X-Bogosity: Unsure, tests=bogofilter, spamicity=0.755555, version=1.2.5",
    ),
    _alone("the topmost of several", _P + _PERCENT, "into 20", "X-Spam-Score: 1.0\r\nX-Spam-Score: 99.0"),
    _alone(
        "nonsense", _R + _VALUE, "into 0", "X-Spam-Score: very much\r\nX-Spam-Status: maybe\r\nX-Spam-Flag: perhaps"
    ),
    _alone("a threshold of nothing", _R + _VALUE, "into 0", "X-Spamd-Result: default: False [1.00 / 0.00]"),
    _alone("our own policy", _R + _VALUE, "into 8", "X-Minijmap-Policy: junk; example.com asks for it"),
    _alone(
        "our own policy and a higher score", _P + _PERCENT, "into 100", "X-Spam-Score: 9\r\nX-Minijmap-Policy: junk; x"
    ),
    _alone("our own policy had no objection", _R + _VALUE, "into 0", "X-Minijmap-Policy: accept; x"),
    # --- viruses
    Case("virus not tested", _V + _VIRUS, "into 0"),
    Case(
        "virus count of none", _V + 'if virustest :count "eq" "0" { discard; }', "discard", alone="Pigeonhole counts 1"
    ),
    Case("clean", _V + _VIRUS, "into 1", _with("X-Virus-Status: Clean")),
    Case("infected", _V + _VIRUS, "into 5", _with("X-Virus-Status: Infected")),
    _alone("infected by a name", _V + _VIRUS, "into 5", "X-Virus-Status: Infected (Eicar-Test-Signature)"),
    _alone("scanned", _V + _VIRUS, "into 1", "X-Virus-Scanned: Debian amavisd-new at example.org"),
    _alone(
        "scanned and found",
        _V + _VIRUS,
        "into 5",
        "X-Virus-Scanned: ClamAV\r\nX-Amavis-Alert: INFECTED, message contains virus: Eicar",
    ),
    _alone("banned", _V + _VIRUS, "into 4", "X-Amavis-Alert: BANNED, message contains .exe"),
    _alone("rspamd's name", _V + _VIRUS, "into 5", "X-Virus: Eicar-Signature"),
    _alone("cured", _V + _VIRUS, "into 3", "X-Virus-Status: virus disinfected"),
    _alone("replaced", _V + _VIRUS, "into 2", "X-Virus-Status: infected part removed"),
    _alone("suspicious", _V + _VIRUS, "into 4", "X-Virus-Status: suspicious"),
    _alone("none", _V + _VIRUS, "into 1", "X-Virus-Status: no virus found"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_scores(case: Case):
    """A filter's words become the RFC's numbers, as under Pigeonhole where that reads the same field."""
    agree(case)


class Wary(AloneHost):
    """A host that trusts nothing but our own fields, as for mail that came straight from a stranger."""

    def trusts(self, field: str) -> bool:
        """Only what this server has written."""
        return field == "x-minijmap-policy"


def test_what_the_sender_wrote_is_not_believed():
    """A score that no trusted filter wrote is no score (RFC 5235 §4)."""
    message = _with("X-Spam-Score: -100\r\nX-Virus-Status: Clean\r\nX-Minijmap-Policy: junk; x")

    assert outcome(Case("", _R + _VALUE, "", message), Wary()) == "into 8"
    assert outcome(Case("", _V + _VIRUS, "", message), Wary()) == "into 0"
