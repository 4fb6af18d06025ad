"""The trust anchors of S/MIME: certificates that are believed because whoever runs the server says so.

Owns the file of the setting `smime_trust_anchors`, and where the system keeps its own. A file is read when it is first
needed and again when it has changed; until then nothing is, for most households never get signed mail.
"""

import hashlib
import logging
import ssl
import threading
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.x509 import Certificate, Name

    from minijmap.mail.smimecms import Known

MOST_OCTETS: Final = 20_000_000
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"
_SYSTEM: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep their trust anchors in one file, when Python does not know."""

log = logging.getLogger(__name__)


class TrustProblem(Exception):
    """The file of trust anchors can't be used. The sentence says which one, and why."""


@dataclass(frozen=True)
class Anchors:
    """Trust anchors, by their subject."""

    fingerprint: str = ""
    """Changes when the anchors do."""
    by_subject: "Mapping[Name, tuple[Certificate, ...]]" = field(default_factory=dict)

    @cached_property
    def known(self) -> "tuple[Known, ...]":
        """The anchors, with what a signature may name them by: somebody may be trusted themselves."""
        from cryptography.hazmat.primitives.serialization import Encoding

        from minijmap.mail.smimecms import known

        ders = (one.public_bytes(Encoding.DER) for group in self.by_subject.values() for one in group)
        return tuple(found for der in ders if (found := known(der)) is not None)

    def holds(self, certificate: "Certificate") -> bool:
        """Say whether a certificate is a trust anchor itself."""
        return certificate in self.by_subject.get(certificate.subject, ())


class TrustStore:
    """The file, and what was read of it. Safe to use from any thread."""

    def __init__(self, path: str | None = None) -> None:
        """`path` is that of a PEM file; None: the system's trust anchors."""
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[float, int] | None = None
        self._anchors = Anchors()

    def check(self) -> None:
        """Read a file of the household's own now. Raises TrustProblem."""
        if self._path is not None:
            self._read(Path(self._path))

    def anchors(self) -> Anchors:
        """Return the trust anchors of now. A file that has become unusable changes nothing, and is told in the log."""
        path = Path(self._path) if self._path is not None else _system_file()
        with self._lock:
            seen = _look(path)
            if seen != self._seen:
                self._seen = seen
                try:
                    self._anchors = self._read(path) if path is not None else Anchors()
                except TrustProblem as problem:
                    log.warning("%s S/MIME goes on with the trust anchors of before.", problem)
            return self._anchors

    def _read(self, path: Path) -> Anchors:
        try:
            with path.open("rb") as file:
                octets = file.read(MOST_OCTETS + 1)
        except OSError as error:
            raise TrustProblem(f"The trust anchors in {path} can't be read: {error.strerror}.") from error
        if len(octets) > MOST_OCTETS:
            raise TrustProblem(f"The file of trust anchors {path} has more than {MOST_OCTETS} bytes.")
        anchors = _anchors(octets)
        if not anchors.by_subject:
            raise TrustProblem(f"{path} holds no certificate in PEM form that could be a trust anchor.")
        return anchors


def _look(path: Path | None) -> tuple[float, int] | None:
    """Return what tells whether a file is another one by now, None when there is none."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_mtime, found.st_size) if found else None


def _system_file() -> Path | None:
    known = ssl.get_default_verify_paths().cafile
    return next((Path(one) for one in (known, *_SYSTEM) if one and Path(one).is_file()), None)


def _anchors(octets: bytes) -> Anchors:
    """Read the certificates of a PEM file; one that nobody can read is passed over, as the others are well."""
    from cryptography import x509

    found: dict[Name, list[Certificate]] = {}
    digests = []
    for piece in octets.split(_BEGIN)[1:]:
        body, end, _ = piece.partition(_END)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a root with an odd serial number: the owner trusts it all the same
                certificate = x509.load_pem_x509_certificate(_BEGIN + body + end + b"\n")
                subject = certificate.subject
        except ValueError:
            continue
        found.setdefault(subject, []).append(certificate)
        digests.append(hashlib.sha256(body).digest())
    fingerprint = hashlib.sha256(b"".join(sorted(set(digests)))).hexdigest() if found else ""
    return Anchors(fingerprint, {subject: tuple(one) for subject, one in found.items()})
