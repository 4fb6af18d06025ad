"""From a signer's certificate to a trust anchor (RFC 5280 §6, RFC 8550), and whose address a certificate is for.

Owns the building of paths, what a certificate may be used for, name constraints, addresses. Time is left open: a path
has the time in which all of its certificates are valid, and who asks says about when. Nothing is looked up: no missing
certificate is fetched, and whether one was revoked is not asked.

cryptography's own verifier is for the Web: it knows neither Ed25519 nor mail addresses, and says no more than that
something is wrong. So the path is built here, and each signature in it is verified there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from minijmap.mail.smimetrust import Anchors

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Extensions, ExtensionType

LONGEST_PATH: Final = 8
MOST_PATHS: Final = 8
MOST_LOOKS: Final = 64
"""Pairs of certificates of which a signature is verified, for one signer; no loop of certificates gets beyond that."""
_SMTP_UTF8: Final = "1.3.6.1.5.5.7.8.9"
_KNOWN: Final = frozenset(
    # Extensions that are looked at here, or that may be critical without any bearing on mail (RFC 5280 §4.2).
    ("2.5.29.15", "2.5.29.19", "2.5.29.17", "2.5.29.37", "2.5.29.30", "2.5.29.32", "2.5.29.14", "2.5.29.35")
)
UNTRUSTED: Final = "No trusted authority stands behind the signer's certificate."
_WEAK: Final = ("md5", "sha1")


@dataclass(frozen=True)
class Path:
    """A way from a signer to a trust anchor: when all of its certificates are valid, and what else is wrong with it."""

    since: int
    """Milliseconds; the path is valid from here to `until`, both included."""
    until: int
    problems: tuple[str, ...]


def paths(leaf: "Certificate", others: "Sequence[Certificate]", anchors: Anchors) -> tuple[list[Path], str]:
    """Return the ways from a signer's certificate to a trust anchor, over certificates that came with the message.

    Without any, the second value says why.
    """
    search = _Search(others, anchors)
    found = [_judged(chain) for chain in search.chains(leaf)]
    return found, "" if found else search.reason


class _Search:
    """A search in depth, with an end to everything."""

    def __init__(self, others: "Sequence[Certificate]", anchors: Anchors) -> None:
        self._others = others
        self._anchors = anchors
        self._looks = MOST_LOOKS
        self._found = 0
        self.reason = UNTRUSTED

    def chains(self, leaf: "Certificate") -> "Iterator[list[Certificate]]":
        yield from self._from([leaf])

    def _from(self, chain: "list[Certificate]") -> "Iterator[list[Certificate]]":
        last = chain[-1]
        if self._anchors.holds(last):
            self._found += 1
            yield chain
            return
        for issuer in self._issuers(last):
            if self._found >= MOST_PATHS or self._looks <= 0:
                return
            if issuer in chain or len(chain) >= LONGEST_PATH:
                continue
            self._looks -= 1
            if _has_issued(issuer, last):
                yield from self._from([*chain, issuer])
            else:
                self.reason = _weakness(last) or self.reason

    def _issuers(self, certificate: "Certificate") -> "Iterator[Certificate]":
        yield from self._anchors.by_subject.get(certificate.issuer, ())
        yield from (one for one in self._others if one.subject == certificate.issuer)


def _has_issued(issuer: "Certificate", certificate: "Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


# --- what a path must fulfil ----------------------------------------------------------------------------------------


def _judged(chain: "list[Certificate]") -> Path:
    wrong: list[str] = []
    for index, certificate in enumerate(chain):
        try:
            extensions = certificate.extensions
            if index:
                wrong += _authority_problems(certificate, extensions, below=chain[:index])
            wrong += _extension_problems(extensions)
        except ValueError:
            wrong.append(f"{'An authority' if index else 'The signer'}'s certificate is malformed.")
    return Path(
        max(_milliseconds(one.not_valid_before_utc) for one in chain),
        min(_milliseconds(one.not_valid_after_utc) for one in chain) + 999,
        tuple(dict.fromkeys(wrong)),
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _get(extensions: "Extensions", kind: "type[ExtensionType]") -> Any:
    """Return an extension's value, or None."""
    from cryptography.x509 import ExtensionNotFound

    try:
        return extensions.get_extension_for_class(kind).value
    except ExtensionNotFound:
        return None


def _authority_problems(
    certificate: "Certificate", extensions: "Extensions", below: "Sequence[Certificate]"
) -> Iterator[str]:
    """Tell why a certificate may not have issued those below it, the signer's first (RFC 5280 §6.1.4)."""
    from cryptography import x509

    basic = _get(extensions, x509.BasicConstraints)
    # A root of before there were extensions is as good as the trust in it.
    if (basic is None and certificate.version == x509.Version.v3) or (basic is not None and not basic.ca):
        yield "A certificate was issued with one that is for no authority."
        return
    between = [one for one in below[1:] if one.subject != one.issuer]
    if basic is not None and basic.path_length is not None and len(between) > basic.path_length:
        yield "There are more authorities between the signer and the trusted one than that allows."
    usage = _get(extensions, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield "A certificate was issued with one that is not for issuing any."
    if not _is_for_mail(extensions):
        yield "An authority may issue no certificates for mail."
    constraints = _get(extensions, x509.NameConstraints)
    if constraints is not None and not all(_keeps_within(one, constraints) for one in below):
        yield "An authority has issued a certificate for a name that it is not for."


def _extension_problems(extensions: "Extensions") -> Iterator[str]:
    # RFC 5280 §4.2: a critical extension that is not understood refuses the certificate.
    if any(one.critical and one.oid.dotted_string not in _KNOWN for one in extensions):
        yield "A certificate has a critical extension that is not known."


def _weakness(certificate: "Certificate") -> str | None:
    """Return what is to be said of a certificate on whose digest nothing can rest: cryptography verifies none such."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        digest = certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return None
    if digest is None or digest.name not in _WEAK:
        return None
    return f"A certificate rests on {digest.name.upper().replace('SHA1', 'SHA-1')}, which is not secure any more."


def _is_for_mail(extensions: "Extensions") -> bool:
    """Say whether a key may be used for mail (RFC 8550 §4.4.4); without a word about it, it may for everything."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    purposes = _get(extensions, x509.ExtendedKeyUsage)
    wanted = (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    return purposes is None or any(one in purposes for one in wanted)


def signer_problems(certificate: "Certificate") -> list[str]:
    """Return why a certificate is not one to sign mail with, whatever is behind it (RFC 8550 §4.4)."""
    from cryptography import x509

    try:
        extensions = certificate.extensions
    except ValueError:
        return ["The signer's certificate is malformed."]
    wrong = []
    if not _is_for_mail(extensions):
        wrong.append("The signer's certificate is not for mail.")
    usage = _get(extensions, x509.KeyUsage)
    # RFC 8550 §4.4.2: “nonRepudiation” goes by the name of “contentCommitment” today.
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        wrong.append("The signer's certificate is not for signing.")
    return wrong


# --- names ----------------------------------------------------------------------------------------------------------


def addresses(certificate: "Certificate") -> tuple[str, ...]:
    """Return the mail addresses that a certificate is for (RFC 8550 §3, RFC 8398 §3)."""
    from cryptography import x509

    try:
        alternatives = _get(certificate.extensions, x509.SubjectAlternativeName) or ()
        found = [text for one in alternatives if (text := _address(one)) is not None]
        in_subject = certificate.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS)
    except ValueError:
        return ()
    return tuple(dict.fromkeys((*found, *(str(one.value) for one in in_subject))))


def _address(name: Any) -> str | None:
    from cryptography import x509

    if isinstance(name, x509.RFC822Name):
        return name.value
    if isinstance(name, x509.OtherName) and name.type_id.dotted_string == _SMTP_UTF8:
        return _utf8_string(name.value)
    return None


def _utf8_string(der: bytes) -> str | None:
    from asn1crypto import core

    try:
        text = core.UTF8String.load(der).native
    except ValueError:
        return None
    return str(text)


def comparable(address: str) -> tuple[str, str]:
    """Return an address in the form in which two are the same (RFC 5280 §7.5, RFC 8398 §5).

    The local part counts letter by letter, the domain whatever its case, and in A-labels if it has others.
    """
    local, _, domain = address.rpartition("@")
    if local[:1] == local[-1:] == '"' and len(local) > 1:
        local = local[1:-1].replace("\\", "")
    try:
        return local, domain.encode("idna").decode().lower()
    except UnicodeError:
        return local, domain.lower()


def _keeps_within(certificate: "Certificate", constraints: Any) -> bool:
    """Say whether the names of a certificate are such that an authority may issue (RFC 5280 §4.2.1.10)."""
    from cryptography import x509

    try:
        alternatives = list(_get(certificate.extensions, x509.SubjectAlternativeName) or ())
    except ValueError:
        return False
    names: list[Any] = [*alternatives]
    if certificate.subject.rdns:
        names.append(x509.DirectoryName(certificate.subject))
    names += [
        one
        for one in map(_as_rfc822, certificate.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS))
        if one is not None
    ]
    permitted, excluded = list(constraints.permitted_subtrees or ()), list(constraints.excluded_subtrees or ())
    for name in names:
        # RFC 8398 §6: an address beyond ASCII is held by the constraints on addresses.
        kind = x509.RFC822Name if _address(name) is not None else type(name)
        allowed = [one for one in permitted if isinstance(one, kind)]
        if allowed and not any(_is_within(name, one) for one in allowed):
            return False
        if any(_is_within(name, one) is not False for one in excluded if isinstance(one, kind)):
            return False
    return True


def _as_rfc822(attribute: Any) -> Any:
    """Return an address in a subject as a name of its own kind; one that is no address is nobody's."""
    from cryptography import x509

    try:
        return x509.RFC822Name(attribute.value)
    except (ValueError, TypeError):
        return None


def _is_within(name: Any, tree: Any) -> bool | None:
    """Say whether a name is in a subtree of its kind; None for kinds that nobody here can compare."""
    from cryptography import x509

    text = _address(name)
    if text is not None:
        return _is_address_within(text, tree.value)
    if isinstance(name, x509.DirectoryName):
        inner, outer = name.value.rdns, tree.value.rdns
        return bool(inner[: len(outer)] == outer)
    if isinstance(name, x509.DNSName):
        host, domain = name.value.lower(), tree.value.lower().removeprefix(".")
        return bool(not domain or host == domain or host.endswith(f".{domain}"))
    return None


def _is_address_within(address: str, tree: str) -> bool:
    """Compare an address with a constraint: an address, a host, or a domain after a dot (RFC 5280 §4.2.1.10)."""
    local, host = comparable(address)
    if "@" in tree:
        return comparable(tree) == (local, host)
    wanted = comparable(f"x@{tree}")[1] if not tree.startswith(".") else tree.lower()
    return host.endswith(wanted) if wanted.startswith(".") else host == wanted
