"""SPF: may this client send for this sender (RFC 7208)? The one module that knows pyspf.

Owns the seam: pyspf evaluates, every look-up goes through our resolver and its limits. Loopback is a client like any
other. Must not know what is done about the result.
"""

import ipaddress
import logging
import re
from typing import Any

import spf

from minijmap.smtp.authresults import Result
from minijmap.smtp.resolver import LookupFailed, Questions

MOST_LOOKUPS = 111
"""Ten terms, each an MX with ten hosts, and the record itself: what RFC 7208 §4.6.4 allows at most."""
RESULTS = frozenset({"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"})

log = logging.getLogger(__name__)
_LABEL = re.compile(r"[^\x00-\x20.@]{1,63}")


class _Query(spf.query):  # type: ignore[misc]
    """pyspf's evaluation with our look-ups."""

    def __init__(self, questions: Questions, ip: str, sender: str, helo: str, receiver: str) -> None:
        super().__init__(i=ip, s=sender, h=helo, receiver=receiver, strict=True)
        self._questions = questions
        # pyspf cuts at the first @, which may be a quoted one (RFC 5321 §4.1.2).
        self.l, _, self.o = sender.rpartition("@")
        self.d = self.o

    def dns(self, name: Any, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:  # noqa: ARG002
        """Look up; CNAMEs are the resolver's. What is missing counts as a void look-up (RFC 7208 §4.6.4)."""
        try:
            found = self._asked(str(name), qtype)
        except LookupFailed as failed:
            raise spf.TempError(f"DNS {failed.reason}") from failed
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"Void lookup limit of {spf.MAX_VOID_LOOKUPS} exceeded")
        return found

    def _asked(self, name: str, qtype: str) -> list[Any]:
        if qtype == "TXT":
            return [(octets,) for octets in self._questions.texts(name)]
        if qtype == "MX":
            return list(self._questions.mx(name))
        records = self._questions.lookup(name, qtype)
        if qtype == "PTR":
            return [str(record.target.to_text(omit_final_dot=True)).lower() for record in records]
        return [record.address for record in records]

    def dns_mx(self, domainname: str) -> list[str]:
        """Return the addresses of a domain's MX hosts; one of them without such an address is no void term."""
        exchanges = self.dns(domainname, "MX")
        if len(exchanges) > spf.MAX_MX:
            raise spf.PermError(f"More than {spf.MAX_MX} MX records returned")  # RFC 7208 §4.6.4
        return [address for _, host in exchanges if host for address in self.dns(host, self.A, ignore_void=True)]

    def validated_ptrs(self) -> list[str]:
        """Return the client's names that lead back to it; what fails is passed over (RFC 7208 §5.5)."""
        try:
            return [name for name in self.dns_ptr(self.i)[: spf.MAX_PTR] if self._leads_back(name)]
        except spf.TempError:
            return []

    def _leads_back(self, name: str) -> bool:
        try:
            addresses = self.dns(name, self.A, ignore_void=True)
        except spf.TempError:
            return False
        return bool(self.cidrmatch(addresses, self.cidrmax))

    def get_explanation(self, _spec: str) -> None:
        """Ask for no explanation: it would be a stranger's text in our words."""


def check(questions: Questions, ip: str, sender: str, helo: str, receiver: str) -> tuple[Result, str]:
    """Return the result, and the domain it speaks for in A-labels ("" when there is none).

    `sender` is the reverse-path; when it is empty, the name in HELO is checked (RFC 7208 §2.4). Raises nothing.
    """
    local, _, domain = sender.rpartition("@")
    name, about = (domain, "smtp.mailfrom") if sender else (helo, "smtp.helo")
    ascii_name = _name(name)
    if ascii_name is None:
        return Result("spf", "none", ((about, name),), "not a domain name"), ""
    try:
        client = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return Result("spf", "permerror", ((about, name),), "the client's address is unknown"), ascii_name
    value, reason = _evaluate(questions, str(client), f"{local or 'postmaster'}@{ascii_name}", helo, receiver)
    # RFC 8601 §2.7.2: the local part is not what was authenticated.
    return Result("spf", value, ((about, ascii_name),), reason), ascii_name


def _evaluate(questions: Questions, ip: str, sender: str, helo: str, receiver: str) -> tuple[str, str]:
    try:
        value, _, text = _Query(questions, ip, sender, helo, receiver).check()
    except Exception:
        # Ten years of records in the wild; what still trips the evaluation is not a record that can be used.
        log.exception("An SPF record could not be evaluated")
        return "permerror", "the record can't be evaluated"
    if value not in RESULTS:
        return "permerror", f"an unknown result {value}"
    return value, str(text) if value in {"temperror", "permerror"} else ""


def _name(name: str) -> str | None:
    """Return a domain in A-labels, or None when it is none that could have a record (RFC 7208 §4.3)."""
    name = name.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return None
    labels = name.split(".")
    fine = len(labels) > 1 and len(name) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return name if fine and not name.startswith("[") else None
