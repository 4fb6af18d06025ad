"""The tests "spamtest" and "virustest": RFC 5235.

Owns what header fields of filters in front of this server say, mapped to the RFC's numbers. We score nothing ourselves:
what SpamAssassin, amavis, rspamd, Bogofilter and ClamAV write is read, and our own policy's verdict. Which fields come
from a filter and not from the sender, the host knows (§4).
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from minijmap.sieve.matching import MATCH_TAGS, matching
from minijmap.sieve.state import Run
from minijmap.sieve.table import Argument, Call, Extension, Kind, Row, Sort, Tag, TestFunction

DEFAULT_REQUIRED: Final = 5.0
"""The score that means spam where a filter does not say which: SpamAssassin's."""

POLICY_JUNK: Final = 0.8
"""How likely spam is what our policy puts into Junk (a DMARC failure): likely, and not certain."""

_NUMBER: Final = r"(-?\d{1,6}(?:\.\d{1,6})?)"
_RSPAMD: Final = re.compile(rf"\[\s*{_NUMBER}\s*/\s*{_NUMBER}\s*\]", re.ASCII)
_SCORE: Final = re.compile(rf"\b(?:score|hits)\s*=\s*{_NUMBER}", re.ASCII | re.IGNORECASE)
_REQUIRED: Final = re.compile(rf"\b(?:required|threshold)\s*=\s*{_NUMBER}", re.ASCII | re.IGNORECASE)
_LEADING: Final = re.compile(rf"\s*\+?{_NUMBER}(?![\d.])", re.ASCII)
_STARS: Final = re.compile(r"\s*([*+sx]{0,200})\s*\Z", re.IGNORECASE)
_SPAMICITY: Final = re.compile(r"\bspamicity=(\d(?:\.\d{1,6})?)", re.ASCII)
_YES: Final = re.compile(r"\s*(?:yes|true|spam)\b", re.IGNORECASE)
_NO: Final = re.compile(r"\s*(?:no|false|ham)\b", re.IGNORECASE)


def _ratio(score: str, required: str) -> float | None:
    threshold = float(required)
    return float(score) / threshold if threshold > 0 else None


def _rspamd(value: str) -> float | None:
    found = _RSPAMD.search(value)
    return _ratio(found[1], found[2]) if found else None


def _status(value: str) -> float | None:
    score, required = _SCORE.search(value), _REQUIRED.search(value)
    return _ratio(score[1], required[1]) if score and required else None


def _spamicity(value: str) -> float | None:
    found = _SPAMICITY.search(value)
    return float(found[1]) if found else None


def _number(value: str) -> float | None:
    found = _SCORE.search(value) or _LEADING.match(value)
    return float(found[1]) / DEFAULT_REQUIRED if found else None


def _level(value: str) -> float | None:
    found = _STARS.match(value)
    return len(found[1]) / DEFAULT_REQUIRED if found else None


def _flag(value: str) -> float | None:
    if _YES.match(value):
        return 1.0
    return 0.0 if _NO.match(value) else None


_SPAM: Final[tuple[tuple[str, Callable[[str], float | None]], ...]] = (
    ("x-spamd-result", _rspamd),
    ("x-spam-status", _status),
    ("x-bogosity", _spamicity),
    ("x-rspamd-score", _number),
    ("x-spam-score", _number),
    ("x-spam-status", _number),
    ("x-spam-level", _level),
    ("x-spam-flag", _flag),
    ("x-spam-status", _flag),
    ("x-spam", _flag),
    ("x-bogosity", _flag),
)
"""Fields and how they are read, the more exact before the less: a score with its own threshold, a score, a verdict.
What comes of them is the score as a part of the one from which on a message is spam."""

_POLICY: Final = "x-minijmap-policy"


def _values(run: Run, name: str) -> Iterator[str]:
    """The topmost field of the name, the nearest filter's, if the sender can't have written it."""
    values = run.message.fields.values(name)
    if values and run.host.trusts(name):
        yield values[0][:10_000]


def spam_ratio(run: Run) -> float | None:
    """How much of the score that means spam a message has, 0 to 1; None when nobody looked (RFC 5235 §3.2)."""
    found = (read(value) for name, read in _SPAM for value in _values(run, name))
    ratio = next((ratio for ratio in found if ratio is not None), None)
    if any(value.lower().startswith("junk;") for value in _values(run, _POLICY)):
        ratio = max(ratio or 0.0, POLICY_JUNK)
    return None if ratio is None else min(max(ratio, 0.0), 1.0)


# --- viruses --------------------------------------------------------------------------------------------------------

_VIRUS_WORDS: Final = (
    (re.compile(r"\b(?:replaced|removed|stripped|deleted)\b", re.IGNORECASE), 2),
    (re.compile(r"\b(?:cured|disinfected|cleaned|repaired)\b", re.IGNORECASE), 3),
    (re.compile(r"\b(?:suspicious|suspected|unknown|possibl[ey]|heuristic|banned)\b", re.IGNORECASE), 4),
    (re.compile(r"\b(?:infected|virus|malware|found|yes)\b", re.IGNORECASE), 5),
    (re.compile(r"\b(?:clean|no|none|ok|not)\b", re.IGNORECASE), 1),
)
"""What the word of a verdict means; the first that is there counts (RFC 5235 §3.3)."""


def _verdict(value: str) -> int | None:
    if re.match(r"\s*(?:clean|no|none|ok|not)\b", value, re.IGNORECASE):
        return 1
    return next((level for words, level in _VIRUS_WORDS if words.search(value)), None)


_VIRUS: Final[tuple[tuple[str, Callable[[str], int | None]], ...]] = (
    ("x-virus-status", _verdict),
    ("x-amavis-alert", _verdict),
    ("x-antivirus-status", _verdict),
    ("x-virus", lambda value: _verdict(value) or 5),  # rspamd: the name of what was found
    ("x-virus-scanned", lambda value: 1 if value else None),
)


def virus_level(run: Run) -> int:
    """0 to 5: what RFC 5235 §3.3 means by them; the worst that any trusted field says."""
    return max((read(value) or 0 for name, read in _VIRUS for value in _values(run, name)), default=0)


# --- tests ----------------------------------------------------------------------------------------------------------


def _build(call: Call, measure: Callable[[Run], str | None]) -> TestFunction:
    """The test that compares what is measured; None, which counts as nothing, is "0" otherwise (RFC 5235 §3.1)."""
    if len(call.texts("value").items) != 1:
        raise call.error(f"“{call.row.name}” takes one string", call.texts("value").position)
    match = matching(call, "value")

    def test(run: Run) -> bool:
        value = measure(run)
        if value is None:
            return match(run, () if match.counts else ("0",))
        return match(run, (value,))

    return test


def _spamtest(call: Call) -> TestFunction:
    percent = call.has("percent")

    def measure(run: Run) -> str | None:
        ratio = spam_ratio(run)
        if ratio is None:
            return None
        return str(int(ratio * 100)) if percent else str(1 + int(ratio * 9))

    return _build(call, measure)


def _virustest(call: Call) -> TestFunction:
    return _build(call, lambda run: str(virus_level(run) or "") or None)


_VALUE: Final = (Argument("value", Kind.STRINGS),)

EXTENSIONS: Final = (
    Extension(
        "spamtest",
        rows=(Row("spamtest", Sort.TEST, _spamtest, _VALUE, (*MATCH_TAGS, Tag("percent", (), ("spamtestplus",)))),),
    ),
    # RFC 5235 §3.2: either capability is enough for "spamtest".
    Extension("spamtestplus", implies=("spamtest",)),
    Extension("virustest", rows=(Row("virustest", Sort.TEST, _virustest, _VALUE, MATCH_TAGS),)),
)
