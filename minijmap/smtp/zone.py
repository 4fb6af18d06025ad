"""What a domain publishes so that mail finds this server and believes it: records, and how a zone file has them.

Owns which records there are, how much each matters, and their text: MX (RFC 5321 §5), SPF (RFC 7208), DKIM (RFC 6376
§3.6.2), DMARC (RFC 7489 §6.1), MTA-STS (RFC 8461 §3.1), TLS reports (RFC 8460 §3) and SRV (RFC 8620 §2.2, RFC 6186,
RFC 8314 §5.1). Whether they are published is `zonecheck`'s. Asks no DNS and opens no file.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from urllib.parse import urlsplit

from minijmap.config import Settings
from minijmap.setting_kinds import Address
from minijmap.smtp.dkimkeys import ACTIVE, NEXT, RSA, Key

TTL = 3600
MOST_STRING = 250
"""Octets of one string of a TXT record; a record may have several, which are joined (RFC 1035 §3.3)."""
REQUIRED, RECOMMENDED, OPTIONAL = LEVELS = ("required", "recommended", "optional")
STS_SECONDS = 604_800
SUBMISSION_PORT = 587


class Kind(Enum):
    """What a record is for."""

    MX = "MX"
    SPF = "SPF"
    DKIM = "DKIM"
    DMARC = "DMARC"
    STS = "MTA-STS"
    REPORTS = "TLS-RPT"
    SRV = "SRV"


@dataclass(frozen=True)
class Record:
    """One record to publish: `name` without its last dot, `data` the text of a TXT record, else as a zone file has it.

    `level` is one of LEVELS; `why` says what it is good for; `notes` are what else there is to do.
    """

    kind: Kind
    level: str
    name: str
    data: str
    why: str
    notes: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The type in the DNS."""
        return self.kind.value if self.kind in {Kind.MX, Kind.SRV} else "TXT"

    @property
    def line(self) -> str:
        """The record as a line of a zone file (RFC 1035 §5.1)."""
        return f"{self.name}. {TTL} IN {self.type} {quoted(self.data) if self.type == 'TXT' else self.data}"


@dataclass(frozen=True)
class Plan:
    """What is known of a domain's mail: its name in A-labels, this server's public name, and the settings."""

    domain: str
    host: str
    settings: Settings
    keys: Sequence[Key]

    @classmethod
    def of(cls, domain: str, settings: Settings, keys: Sequence[Key]) -> "Plan":
        """Return the plan; a machine that has no public name yet is called mail.DOMAIN."""
        return cls(
            domain, settings.hostname.lower() if is_public(settings.hostname) else f"mail.{domain}", settings, keys
        )

    def records(self) -> list[Record]:
        """Return every record, the required ones first."""
        found = [*self._mail(), *self._signatures(), *self._services(), *self._transport()]
        return sorted(found, key=lambda record: LEVELS.index(record.level))

    def _mail(self) -> Iterator[Record]:
        yield Record(Kind.MX, REQUIRED, self.domain, f"10 {self.host}.", f"mail for {self.domain} comes to this server")
        relay = self.settings.relay
        if relay is None:
            yield Record(Kind.SPF, REQUIRED, self.domain, "v=spf1 mx -all", "this server, and no other, sends for it")
            return
        yield Record(
            Kind.SPF,
            REQUIRED,
            self.domain,
            f"v=spf1 mx {_of_relay(relay.host)} ~all",
            "this server and its relay send for it",
            ("A relay often sends from other machines: its provider tells what to put here, such as include:… .",),
        )

    def _signatures(self) -> Iterator[Record]:
        for key in self.keys:
            if key.state == ACTIVE:
                level = REQUIRED if key.algorithm == RSA else RECOMMENDED
                why = "the key that signs" if key.algorithm == RSA else "the second key that signs, shorter and newer"
            elif key.state == NEXT:
                level, why = RECOMMENDED, "the key that signs after the next: minijmap dkim rotate"
            else:
                level, why = OPTIONAL, "a key that signed until lately; a week after that it may go"
            yield Record(Kind.DKIM, level, key.record_name, key.record, why)
        yield Record(
            Kind.DMARC,
            RECOMMENDED,
            f"_dmarc.{self.domain}",
            "v=DMARC1; p=quarantine",
            "mail that neither SPF nor DKIM vouches for is not from here",
        )

    def _services(self) -> Iterator[Record]:
        host, port = self._jmap()
        if self.settings.http is not None:
            data = f"0 1 {port} {host}."
            yield Record(Kind.SRV, RECOMMENDED, f"_jmap._tcp.{self.domain}", data, "JMAP clients find this server")
        listening = self.settings.submission
        if listening is not None:
            data = f"0 1 {_public_port(listening)} {self.host}."
            yield Record(
                Kind.SRV, RECOMMENDED, f"_submission._tcp.{self.domain}", data, "mail programs find where to send"
            )
        else:
            yield Record(Kind.SRV, OPTIONAL, f"_submission._tcp.{self.domain}", "0 0 0 .", "there is no submission")
        why = "there is no submission with TLS from the start: it is STARTTLS here"
        yield Record(Kind.SRV, OPTIONAL, f"_submissions._tcp.{self.domain}", "0 0 0 .", why)

    def _transport(self) -> Iterator[Record]:
        policy = ("version: STSv1", "mode: enforce", f"mx: {self.host}", f"max_age: {STS_SECONDS}")
        # RFC 8461 §3.1: it changes with the policy.
        number = hashlib.sha256("\n".join(policy).encode()).hexdigest()[:20]
        notes = (
            f"Serve this at https://mta-sts.{self.domain}/.well-known/mta-sts.txt:",
            *(f"  {one}" for one in policy),
        )
        if self.settings.tls_certificate is None:
            notes = ("Only once tls_certificate is set, and good for the name above.", *notes)
        why = "mail on its way here is always under TLS"
        yield Record(Kind.STS, OPTIONAL, f"_mta-sts.{self.domain}", f"v=STSv1; id={number}", why, notes)
        data = f"v=TLSRPTv1; rua=mailto:postmaster@{self.domain}"
        yield Record(Kind.REPORTS, OPTIONAL, f"_smtp._tls.{self.domain}", data, "other servers report failing TLS")

    def _jmap(self) -> tuple[str, int]:
        """Return where JMAP clients come to: over TLS, whoever speaks it (RFC 8620 §2.2)."""
        parts = urlsplit(self.settings.public_url or "")
        if parts.scheme != "https" or parts.hostname is None or not is_public(parts.hostname):
            return self.host, 443
        return parts.hostname.lower(), parts.port or 443


def zone(plan: Plan, *, ours: bool = True) -> Iterator[str]:
    """Give a zone file, line by line: each record after a comment that begins with its level.

    `ours`: somebody here has an address in the domain.
    """
    yield f"; DNS records for {plan.domain}, whose mail this server is to take and to send."
    if not ours:
        yield f"; Nobody here has an address in {plan.domain} yet: minijmap user add …@{plan.domain}"
    if plan.host != plan.settings.hostname.lower():
        yield f'; The name of this server, "{plan.settings.hostname}", is not a public one. These records are for'
        yield f'; {plan.host}; if that is its name, set hostname = "{plan.host}" in minijmap.toml.'
    yield f"; {plan.host} itself needs an A record (and AAAA, if it has IPv6) with this machine's public address,"
    yield "; and the network's provider should have that address point back to the name (PTR)."
    for record in plan.records():
        yield f"; {record.level}: {record.why}"
        yield from (f";   {note}" for note in record.notes)
        yield record.line


def quoted(text: str) -> str:
    """Write a text as the strings of a TXT record."""
    pieces = [text[at : at + MOST_STRING] for at in range(0, len(text), MOST_STRING)]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)


def is_public(host: str) -> bool:
    """Say whether a name can be looked up by others: it has a domain, and is no IP address."""
    try:
        ip_address(host)
    except ValueError:
        domain = host.lower().rpartition(".")[2]
        return "." in host and domain not in {"local", "localdomain", "lan", "home", "internal", "localhost"}
    return False


def _of_relay(host: str) -> str:
    """Return the SPF mechanism for a host that may be an IP address."""
    try:
        ip = ip_address(host)
    except ValueError:
        return f"a:{host}"
    return f"ip{ip.version}:{ip}"


def _public_port(listening: Address) -> int:
    """Return the port that others use: one that only this machine can reach has another in front of it."""
    if listening.host in {"127.0.0.1", "::1", "localhost"} or not listening.port:
        return SUBMISSION_PORT
    return listening.port
