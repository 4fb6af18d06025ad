"""Whether a domain publishes what it should, and in plain words what to change.

Owns the comparison, record by record: another text that means the same is as good. What should be there is `zone`'s.
Blocks while DNS is asked; the resolver limits for how long.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minijmap.smtp import dmarc, spfcheck
from minijmap.smtp.resolver import LookupFailed, Questions
from minijmap.smtp.zone import OPTIONAL, Kind, Plan, Record

PUBLISHED, MISSING, WRONG, UNKNOWN = "published", "missing", "wrong", "unknown"
STRANGER = "192.0.2.1"
"""An address that nobody has (RFC 5737): who lets it send, lets everybody send."""
MOST_SHOWN = 200


@dataclass(frozen=True)
class Finding:
    """What became of one record. `sentence` is empty when all is well."""

    record: Record
    state: str
    sentence: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing needs to be done about it."""
        return self.state == PUBLISHED or self.record.level == OPTIONAL


@dataclass(frozen=True)
class _Checker:
    """What the checks share."""

    plan: Plan
    questions: Questions

    def mx(self, record: Record) -> Finding:
        """RFC 5321 §5.1: our host must be among those that mail goes to."""
        found = self.questions.mx(record.name)
        if any(host == self.plan.host for _, host in found):
            return Finding(record, PUBLISHED)
        listed = ", ".join(f"{preference} {host or '.'}" for preference, host in found)
        return _missing_or_wrong(record, f"Mail for {record.name} goes to {listed}." if found else "")

    def spf(self, record: Record) -> Finding:
        """RFC 7208 §4.5: there may be one record; by it this server may send, and not everybody."""
        texts = [one for one in self.questions.txt(record.name) if re.match(r"v=spf1(?: |\Z)", one, re.IGNORECASE)]
        if len(texts) > 1:
            return _wrong(record, f"There are {len(texts)} SPF records, and with more than one none counts: join them.")
        if not texts:
            return _missing_or_wrong(record)
        if _same(texts[0], record.data):
            return Finding(record, PUBLISHED)
        return self._spf_of(record, texts[0])

    def _spf_of(self, record: Record, text: str) -> Finding:
        shown = f"The SPF record is “{_shown(text)}”"
        stranger, reason = self._may_send(STRANGER)
        if stranger == "permerror":
            return _wrong(record, f"{shown}, which can't be used: {reason or 'it is malformed'}.")
        if stranger == "temperror":
            return Finding(record, UNKNOWN, f"{shown}, and what it refers to can't be looked up.")
        if stranger == "pass":
            return _wrong(record, f"{shown}, which lets everybody send.")
        if self.plan.settings.relay is not None:
            return Finding(record, PUBLISHED)  # from where a relay sends, only its provider knows
        refused = [ip for ip in self.questions.addresses(self.plan.host) if self._may_send(ip)[0] != "pass"]
        if refused:
            return _wrong(record, f"{shown}, which does not let {self.plan.host} ({refused[0]}) send.")
        return Finding(record, PUBLISHED)

    def _may_send(self, ip: str) -> tuple[str, str]:
        sender = f"postmaster@{self.plan.domain}"
        result, _ = spfcheck.check(self.questions, ip, sender, self.plan.host, self.plan.host)
        return result.value, result.reason

    def dkim(self, record: Record) -> Finding:
        """RFC 6376 §3.6.1: the key must be the one that signs."""
        texts = self.questions.txt(record.name)
        wanted = _tags(record.data)
        if len(texts) == 1 and _is_key(_tags(texts[0]), wanted):
            return Finding(record, PUBLISHED)
        if len(texts) > 1:
            return _wrong(record, f"There are {len(texts)} TXT records at {record.name}, and there may be one.")
        if not texts:
            return _missing_or_wrong(record)
        if not _tags(texts[0]).get("p"):
            return _wrong(record, f"The key at {record.name} is revoked, or there is none in “{_shown(texts[0])}”.")
        return _wrong(record, f"The key at {record.name} is another one than this server's.")

    def dmarc(self, record: Record) -> Finding:
        """RFC 7489 §6.6.3: there may be one record, with a policy of whatever kind."""
        texts = self.questions.texts(record.name)
        found = dmarc.read_record(texts)
        if found is not None and found.is_usable:
            return Finding(record, PUBLISHED)
        listed = " and ".join(f"“{_shown(one.decode(errors='replace'))}”" for one in texts)
        return _missing_or_wrong(record, f"At {record.name} there is {listed}." if texts else "")

    def text(self, record: Record) -> Finding:
        """RFC 8460 §3, RFC 8461 §3.1: there may be one record of the version."""
        version = record.data.partition(";")[0]
        texts = [one for one in self.questions.txt(record.name) if _same(one.partition(";")[0], version)]
        if len(texts) == 1:
            return Finding(record, PUBLISHED)
        return _missing_or_wrong(record, f"There are {len(texts)} of them, and there may be one." if texts else "")

    def srv(self, record: Record) -> Finding:
        """RFC 2782: the first choice must be the host and the port."""
        found = self.questions.srv(record.name)
        port, host = record.data.split()[2:]
        if any((one_port, one_host) == (int(port), host.rstrip(".")) for _, _, one_port, one_host in found):
            return Finding(record, PUBLISHED)
        listed = ", ".join(f"{one_host or '.'} port {one_port}" for _, _, one_port, one_host in found)
        return _missing_or_wrong(record, f"{record.name} leads to {listed}." if found else "")


def check(plan: Plan, questions: Questions) -> list[Finding]:
    """Look up every record of a plan. Raises nothing: a look-up that fails is a finding."""
    checker = _Checker(plan, questions)
    checks: dict[Kind, Callable[[Record], Finding]] = {
        Kind.MX: checker.mx,
        Kind.SPF: checker.spf,
        Kind.DKIM: checker.dkim,
        Kind.DMARC: checker.dmarc,
        Kind.STS: checker.text,
        Kind.REPORTS: checker.text,
        Kind.SRV: checker.srv,
    }
    found = []
    for record in plan.records():
        try:
            found.append(checks[record.kind](record))
        except LookupFailed as failed:
            found.append(Finding(record, UNKNOWN, f"{failed.name} can't be looked up: {failed.reason}."))
    return found


def address_problem(plan: Plan, questions: Questions) -> str | None:
    """Return what is wrong with the server's own name, which no record here can mend, or None."""
    try:
        addresses = questions.addresses(plan.host)
    except LookupFailed as failed:
        return f"{plan.host} can't be looked up: {failed.reason}."
    if not addresses:
        return f"{plan.host} has no address: publish an A record with this machine's public address."
    return None


def report(findings: Sequence[Finding]) -> list[str]:
    """Return the findings as lines: state, level, type, name; under a bad one what is there and what would be right."""
    lines = []
    for one in findings:
        record = one.record
        lines.append(f"{one.state:<9}  {record.level:<11}  {record.kind.value:<7}  {record.name}")
        if one.state != PUBLISHED:
            lines.append(f"    {one.sentence} {'Right would be' if one.state == WRONG else 'Publish'}: {record.line}")
    return lines


def _missing_or_wrong(record: Record, instead: str = "") -> Finding:
    return _wrong(record, instead) if instead else Finding(record, MISSING, f"There is none at {record.name}.")


def _wrong(record: Record, sentence: str) -> Finding:
    return Finding(record, WRONG, sentence)


def _same(text: str, other: str) -> bool:
    """Compare texts as they are read: the case does not matter, nor how much space there is."""
    return "".join(text.lower().split()) == "".join(other.lower().split())


def _tags(text: str) -> dict[str, str]:
    """Read a tag list (RFC 6376 §3.2); space within a value is left out."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): "".join(value.split()) for name, equals, value in pairs if equals}


def _is_key(found: dict[str, str], wanted: dict[str, str]) -> bool:
    # RFC 6376 §3.6.1: v may be left out, k too if it is rsa.
    return (
        found.get("p") == wanted["p"]
        and found.get("k", "rsa") == wanted["k"]
        and found.get("v", "DKIM1") == "DKIM1"
        and found.get("h", "sha256").count("sha256") > 0
    )


def _shown(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text[:MOST_SHOWN])
