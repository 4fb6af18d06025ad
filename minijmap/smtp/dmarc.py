"""DMARC: whether anybody vouches for the domain in From who may, and what that domain asks for if not (RFC 7489).

Owns the record, policy discovery and alignment: draft-ietf-dmarc-dmarcbis where it differs from RFC 7489, so the tree
walk instead of one list, `np`, `psd` and `t`, and no `pct`. The list of public suffixes guards the walk: a name under
which anybody can register is never somebody's organisation, whether its record says so or not. Must not know how SPF
and DKIM came to their results, nor what is done about this one.
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from minijmap.smtp.resolver import LookupFailed, Questions

MOST_QUERIES = 8
"""Names of one tree walk (dmarcbis 4.10)."""
MOST_LOOKUPS = 60
POLICIES = ("none", "quarantine", "reject")
_RUA = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s,!]+")


@dataclass(frozen=True)
class Record:
    """A DMARC record. `sp` and `np` are None when they are not there; `is_usable` is False when `p` is no policy."""

    p: str = "none"
    sp: str | None = None
    np: str | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: str = "u"
    testing: bool = False
    is_usable: bool = True


@dataclass(frozen=True)
class Identifier:
    """A domain that somebody vouched for, or tried to: `value` is the result word of SPF or DKIM."""

    method: str
    domain: str
    value: str


@dataclass(frozen=True)
class Outcome:
    """What DMARC says of one From domain.

    `value` is none, pass, fail, temperror or permerror; `policy` what the domain asks for when it fails; `aligned` the
    methods that passed for it; `record_at` where its record is.
    """

    domain: str
    value: str
    policy: str = "none"
    aligned: tuple[str, ...] = ()
    record_at: str = ""
    reason: str = ""


class _Suffixes(Protocol):
    def is_public(self, domain: str) -> bool: ...


@functools.cache
def _suffixes() -> _Suffixes:
    from publicsuffixlist import PublicSuffixList

    found: _Suffixes = PublicSuffixList(accept_unknown=False)
    return found


def read_record(texts: Iterable[bytes]) -> Record | None:
    """Return the one DMARC record among TXT records; None when there is none, or more than one (dmarcbis 4.10)."""
    found = [text for text in texts if re.match(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)", text)]
    return _record(found[0].decode("ascii", "replace")) if len(found) == 1 else None


def _record(text: str) -> Record:
    tags: dict[str, str] = {}
    for part in text.split(";")[1:]:
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    wanted = {name: tags[name].lower() for name in ("p", "sp", "np") if name in tags}
    valid = "p" in wanted and all(value in POLICIES for value in wanted.values())
    if not valid:
        wanted = {"p": "none"}  # dmarcbis 4.10.1: if somebody wants reports, they at least want those
    psd = tags.get("psd", "u").lower()
    return Record(
        p=wanted["p"],
        sp=wanted.get("sp"),
        np=wanted.get("np"),
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
        psd=psd if psd in {"y", "n"} else "u",
        testing=tags.get("t", "n").lower() == "y",
        is_usable=valid or any(_RUA.fullmatch(uri.strip()) for uri in tags.get("rua", "").split(",")),
    )


def walk(questions: Questions, domain: str) -> list[tuple[str, Record]]:
    """Return the records on the way from a domain to the top, the longest name first (dmarcbis 4.10)."""
    found: list[tuple[str, Record]] = []
    for name in walked(domain):
        record = read_record(questions.texts(f"_dmarc.{name}"))
        if record is not None:
            found.append((name, record))
            if record.psd != "u" or _suffixes().is_public(name):
                break
    return found


def walked(domain: str) -> list[str]:
    """Return the names that a tree walk asks about, in order: never more than eight."""
    labels = domain.split(".")
    rest = labels[1:] if len(labels) < MOST_QUERIES else labels[-(MOST_QUERIES - 1) :]
    return [domain, *(".".join(rest[start:]) for start in range(len(rest)))]


def organisation(found: list[tuple[str, Record]], start: str) -> str:
    """Return the organisational domain, given the records of a walk that began at `start` (dmarcbis 4.10.2)."""
    for name, record in found:
        if record.psd == "n":
            return name
        if name != start and _is_suffix(name, record):
            below = start.split(".")[-(name.count(".") + 2) :]
            return ".".join(below)
    own = [name for name, record in found if not _is_suffix(name, record)]
    return own[-1] if own else start


def _is_suffix(name: str, record: Record) -> bool:
    return record.psd == "y" or (record.psd == "u" and _suffixes().is_public(name))


@dataclass(frozen=True)
class Policy:
    """What applies to a From domain: its record, where that is, its organisational domain, and what it asks for."""

    record: Record
    at: str
    organisation: str
    asks: str


def discover(questions: Questions, domain: str) -> Policy | None:
    """Return the policy for a From domain in A-labels, or None when there is none. Raises LookupFailed."""
    found = walk(questions, domain)
    if not found:
        return None
    org = organisation(found, domain)
    records = dict(found)
    # dmarcbis 4.10.1: the domain itself, its organisation, the public suffix above that. The last one must say that it
    # is one: else its record is about its own mail, not about that of everybody who registered a name there.
    suffix = next((name for name, record in found if record.psd == "y"), None)
    at = next((name for name in (domain, org, suffix) if name in records), None)
    if at is None:
        return None
    record = records[at]
    asks = record.p
    if at != domain:
        if record.np is not None and not _exists(questions, domain):
            asks = record.np
        elif record.sp is not None:
            asks = record.sp
    if record.testing:
        asks = POLICIES[max(POLICIES.index(asks) - 1, 0)]  # dmarcbis 4.7: one level below
    return Policy(record, at, org, asks)


def _exists(questions: Questions, domain: str) -> bool:
    """Say whether a domain has an address or takes mail: what is meant by existing here (dmarcbis 3.2)."""
    return any(questions.lookup(domain, kind) for kind in ("A", "AAAA", "MX"))


def may_align(policy: Policy | None, domain: str) -> bool:
    """Say whether an identifier's domain lies where it could be aligned: without this no look-up is worth it."""
    return policy is not None and (domain == policy.organisation or domain.endswith("." + policy.organisation))


def evaluate(questions: Questions, domain: str, policy: Policy, identifiers: Iterable[Identifier]) -> Outcome:
    """Return what DMARC says, given what SPF and DKIM found (dmarcbis 5.3)."""
    if not policy.record.is_usable:
        return Outcome(domain, "permerror", record_at=policy.at, reason="the record has no valid policy")
    aligned: list[str] = []
    unknown = False
    for identifier in identifiers:
        if identifier.value not in {"pass", "temperror"}:
            continue
        strict = policy.record.strict_spf if identifier.method == "spf" else policy.record.strict_dkim
        verdict = _is_aligned(questions, domain, policy, identifier.domain, strict=strict)
        if verdict and identifier.value == "pass":
            aligned.append(identifier.method)
        elif verdict is not False:
            unknown = True  # what could have been a pass is not known
    if aligned:
        return Outcome(domain, "pass", policy.asks, tuple(dict.fromkeys(aligned)), policy.at)
    if unknown:
        return Outcome(domain, "temperror", policy.asks, (), policy.at, "a look-up failed")
    return Outcome(domain, "fail", policy.asks, (), policy.at)


def _is_aligned(questions: Questions, author: str, policy: Policy, domain: str, *, strict: bool) -> bool | None:
    """Say whether an identifier is aligned with the From domain, None when it can't be known."""
    if domain == author:
        return True
    if strict or not may_align(policy, domain):
        return False
    try:
        return organisation(walk(questions, domain), domain) == policy.organisation
    except LookupFailed:
        return None
