"""Policy: what this server thinks of a message that arrives, and what it does about it.

Owns the order of the checks, the time that each may take, and the step from what was found to accepting, filing as junk
or refusing. Every check is a module of its own; this one makes one `Verdict` of them. Blocks for up to `SECONDS`: not
to be called on the loop's thread, nor inside a transaction.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minijmap.mail import message as mime
from minijmap.mail.headers import as_addresses, find_all
from minijmap.smtp import authresults, dkimcheck, dmarc, spfcheck
from minijmap.smtp.authresults import Result
from minijmap.smtp.dmarc import Identifier, Outcome
from minijmap.smtp.resolver import LookupFailed, Questions, Resolver
from minijmap.smtp.role import Envelope

SECONDS = 20.0
"""For everything about one message. What is not known by then is a temporary error, and refuses nothing."""
SHARES = {"discovery": 6.0, "spf": 6.0, "dkim": 4.0, "arc": 2.0, "alignment": 2.0}
"""Seconds of each step, so that a stranger's slow name servers use up no time but that of their own names."""
MOST_AUTHORS = 4
"""Domains in From that are evaluated. The worst outcome counts: each of them is shown to the reader."""
_SEVERITY = {"none": 0, "pass": 1, "permerror": 2, "temperror": 3, "fail": 4}


@dataclass(frozen=True)
class Verdict:
    """What was found, and what is to be done: `action` is "accept", "junk" or "reject", `sentence` says why."""

    results: tuple[Result, ...]
    dmarc: Outcome
    action: str = "accept"
    sentence: str = ""

    @property
    def is_junk(self) -> bool:
        """Whether the message belongs into the mailbox for junk."""
        return self.action == "junk"

    def fields(self, authserv_id: str) -> bytes:
        """Return the header fields that say so, to be put before the message."""
        fields = authresults.field(authserv_id, self.results)
        if self.sentence:
            fields += authresults.policy_field(self.action, self.sentence)
        return fields

    def refusal(self) -> str:
        """Return the reply for a message that is refused (RFC 3463 §3.8)."""
        return (
            f"550 5.7.1 {self.dmarc.domain} asks to refuse what is sent in its name without its consent,"
            " and neither SPF nor DKIM vouches for this message (DMARC)"
        )


class Judge:
    """Comes to verdicts. Safe to use from several threads."""

    def __init__(self, resolver: Resolver, hostname: str, setting: str, clock: Callable[[], float] = time.time) -> None:
        """`setting` is the setting `policy`: "report", "junk" or "reject"."""
        self._resolver = resolver
        self._hostname = hostname
        self._setting = setting
        self._clock = clock

    def judge(self, envelope: Envelope, octets: bytes, deadline: float | None = None) -> Verdict:
        """Return the verdict on a message as it came. `deadline`: when to be done by, on the clock `time.monotonic`.

        From's policy comes first and has time of its own: it must not depend on how long a stranger's names take.
        """
        deadline = time.monotonic() + SECONDS if deadline is None else deadline
        discovery = self._questions("discovery", deadline, dmarc.MOST_LOOKUPS)
        parts = dkimcheck.split(octets)
        authors = {domain: _discovered(discovery, domain) for domain in author_domains(octets)}
        questions = self._questions("spf", deadline, spfcheck.MOST_LOOKUPS)
        spf, spf_domain = spfcheck.check(questions, envelope.peer, envelope.sender, envelope.helo, self._hostname)
        signatures, chain = self._signatures(parts, authors, deadline)
        identifiers = [
            Identifier("spf", spf_domain, spf.value),
            *(Identifier("dkim", one.domain, one.result.value) for one in signatures),
        ]
        alignment = self._questions("alignment", deadline, dmarc.MOST_LOOKUPS)
        outcome = _worst([_outcome(alignment, domain, found, identifiers) for domain, found in authors.items()])
        dkim = [one.result for one in signatures] or [_no_signature(parts)]
        arc = [] if chain.result.value == "none" else [chain.result]
        results = (spf, *dkim, _dmarc_result(outcome), *arc)
        action, sentence = _decision(self._setting, outcome, chain)
        return Verdict(results, outcome, action, sentence)

    def _questions(self, step: str, deadline: float, lookups: int) -> Questions:
        return self._resolver.budget(min(SHARES[step], deadline - time.monotonic()), lookups)

    def _signatures(
        self, parts: dkimcheck.Message | None, authors: "dict[str, Found]", deadline: float
    ) -> tuple[Sequence[dkimcheck.Signature], dkimcheck.Chain]:
        if parts is None:
            return [], dkimcheck.Chain(Result("arc", "none"))
        policies = [found for found in authors.values() if isinstance(found, dmarc.Policy)]

        def first(domain: str) -> bool:
            return domain in authors or any(dmarc.may_align(policy, domain) for policy in policies)

        questions = self._questions("dkim", deadline, dkimcheck.MOST_LOOKUPS)
        signatures = dkimcheck.check(parts, questions, first, self._clock())
        return signatures, dkimcheck.check_chain(parts, self._questions("arc", deadline, dkimcheck.MOST_LOOKUPS))


Found = dmarc.Policy | LookupFailed | None
"""What the look-up of a From domain's policy came to."""


def author_domains(octets: bytes) -> list[str]:
    """Return the domains in From in A-labels, each once: of all addresses and fields that a reader may be shown."""
    root = mime.parse(_header_of(octets))
    domains: dict[str, None] = {}
    for value in find_all(root.headers, "From"):
        for address in as_addresses(value):
            domain = _domain(address["email"])
            if domain:
                domains[domain] = None
            if len(domains) == MOST_AUTHORS:
                return list(domains)
    return list(domains)


def _header_of(octets: bytes) -> bytes:
    """Return a message's header, or more when it has an odd form: what the reader's parser takes for the header."""
    ends = [end for end in (octets.find(b"\r\n\r\n"), octets.find(b"\n\n")) if end >= 0]
    return octets[: min(ends) + 4] if ends else octets


def _domain(address: str) -> str:
    """Return an address's domain in the form of a look-up, "" when there is none."""
    domain = address.rpartition("@")[2].strip().lower().removesuffix(".")
    try:
        domain = domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        return ""
    labels = domain.split(".")
    fine = "@" in address and len(domain) <= 253 and all(0 < len(label) < 64 for label in labels)
    return domain if fine and not domain.startswith("[") and domain.isprintable() and " " not in domain else ""


def _discovered(questions: Questions, domain: str) -> Found:
    try:
        return dmarc.discover(questions, domain)
    except LookupFailed as failed:
        return failed


def _outcome(questions: Questions, domain: str, found: Found, identifiers: Sequence[Identifier]) -> Outcome:
    if isinstance(found, LookupFailed):
        return Outcome(domain, "temperror", reason=found.reason)
    if found is None:
        return Outcome(domain, "none")
    return dmarc.evaluate(questions, domain, found, identifiers)


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    def severity(outcome: Outcome) -> tuple[int, int]:
        return _SEVERITY[outcome.value], dmarc.POLICIES.index(outcome.policy)

    return max(outcomes, key=severity, default=Outcome("", "none", reason="From names no domain"))


def _no_signature(parts: dkimcheck.Message | None) -> Result:
    if parts is None:
        return Result("dkim", "permerror", (), "the header is malformed or too large")
    return Result("dkim", "none")


def _dmarc_result(outcome: Outcome) -> Result:
    known = outcome.value in {"pass", "fail"}
    properties = (("header.from", outcome.domain), ("policy.dmarc", outcome.policy if known else ""))
    return Result("dmarc", outcome.value, properties, outcome.reason)


def _decision(setting: str, outcome: Outcome, chain: dkimcheck.Chain) -> tuple[str, str]:
    """Return what is done, and the sentence that says why, "" when nothing was found wanting."""
    if outcome.value == "temperror":
        return "accept", f"Whether {outcome.domain} vouches for this message is not known: {outcome.reason}."
    if outcome.value != "fail":
        return "accept", ""
    said = f"This message claims to be from {outcome.domain}, but neither SPF nor DKIM vouches for it"
    if outcome.policy == "none":
        return "accept", f"{said}. {outcome.domain} asks for nothing to be done about that."
    wanted = "to be refused" if outcome.policy == "reject" else "to be treated as suspicious"
    said += f", and {outcome.domain} asks for such mail {wanted}"
    if setting == "report":
        return "accept", f"{said}. This server only reports that (policy = report)."
    if setting == "junk" or outcome.policy == "quarantine":
        return "junk", f"{said}."
    # A list or a forwarder broke the signature, and tells what it was before. Anybody can seal such a chain, so it
    # does not take the message out of Junk; but a refusal would put the reader off the list (dmarcbis 7.4).
    if chain.result.value == "pass" and chain.first_dmarc == "pass":
        return "junk", f"{said}. It was forwarded, and an ARC chain says that it was good before."
    return "reject", f"{said}."
