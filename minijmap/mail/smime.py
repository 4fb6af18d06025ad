"""S/MIME signatures of a message: are they good, and are they the author's (RFC 9219 §4.1, RFC 8551, RFC 8550).

Owns the verdict. `examine` does all that costs time and does not hang on it; the `Findings` it returns then say, for
any moment, what the status is and why: now for `smimeStatus`, at arrival for `smimeStatusAtDelivery`. Where S/MIME is
in a message is `smimeform`'s, what a CMS object holds `smimecms`', who trusts whom `smimechain`'s.

Decided here, where the specifications leave room:
- “signed/verified” needs good signatures by everybody in From (RFC 9219 §4.1 asks for the From, so a certificate for
  the Sender alone is not enough). Of several signatures those that fail don't count: a signer may have added an older
  algorithm beside the one that holds (RFC 5652 §5.1).
- A signature over a part of the message alone is “signed/failed”: nobody can see from a status which part it is.
- An encrypted message has no status, for nobody can see whether it is signed. What is signed outside and encrypted
  inside has the status of its signature, which is about the encrypted octets (RFC 8551 §3.7).
- Signed again outside (by a list, say), a message is verified when one of the signatures is the author's and good: each
  is about all that is shown of it.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from minijmap.mail import headers, message, smimeform
from minijmap.mail.message import Part
from minijmap.mail.smimeform import FOREIGN
from minijmap.mail.smimetrust import Anchors

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from minijmap.mail.smimechain import Path
    from minijmap.mail.smimecms import Content, Known, SignedData, SignerInfo

UNKNOWN, SIGNED, VERIFIED, FAILED = "unknown", "signed", "signed/verified", "signed/failed"
MOST_LAYERS: Final = 4
"""Signed inside of signed, and compressed inside of that."""
MOST_CANDIDATES: Final = 4
"""Certificates with the key id that a signature names."""
MOST_ERRORS: Final = 16
LENIENCY_MS: Final = 3600 * 1000
"""How wrong the signer's clock may be."""
PARTIAL: Final = "Only a part of the message is signed."
UNREADABLE: Final = "The signature can't be read."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Signer:
    """One signature, with all that can be said of it without a moment in mind."""

    addresses: frozenset[tuple[str, str]]
    """Whose certificate it is, comparable."""
    problems: tuple[str, ...]
    signed_at: int | None
    """Milliseconds, by the signer's own clock."""
    since: int = 0
    until: int = 1 << 62
    """When the signer's certificate is valid, in milliseconds, both included."""
    paths: "tuple[Path, ...]" = ()

    def errors(self, at: int) -> list[str]:
        """Return what is wrong with it at a moment in milliseconds; nothing: it is good."""
        wrong = list(self.problems)
        if self.signed_at is not None:
            if self.signed_at > at + LENIENCY_MS:
                wrong.append("It was signed in the future.")
            if not self.since - LENIENCY_MS <= self.signed_at <= self.until + LENIENCY_MS:
                wrong.append("It was signed at a time when the signer's certificate was not valid.")
        if not self.since <= at <= self.until:
            wrong.append(f"The signer's certificate {'has expired' if at > self.until else 'is not valid yet'}.")
        return wrong + self._path_errors(at)

    def _path_errors(self, at: int) -> list[str]:
        """Return what is wrong with the best of the paths: one that is good at the moment, if there is any."""
        found = [
            [*path.problems, *(() if path.since <= at <= path.until else (self._untimely(path, at),))]
            for path in self.paths
        ]
        wrong = min(found, key=len, default=[])
        # What is wrong with the signer's own certificate has been said.
        return [one for one in wrong if one]

    def _untimely(self, path: "Path", at: int) -> str:
        if not self.since <= at <= self.until:
            return ""
        return f"An authority's certificate {'has expired' if at > path.until else 'is not valid yet'}."

    def moments(self) -> Iterator[int]:
        """Yield the moments at which what is wrong may change."""
        for since, until in ((self.since, self.until), *((one.since, one.until) for one in self.paths)):
            yield from (since, until + 1)
        if self.signed_at is not None:
            yield self.signed_at - LENIENCY_MS


@dataclass(frozen=True)
class Layer:
    """A signed entity: who has signed it, or why that can't be told."""

    signers: tuple[Signer, ...] = ()
    problems: tuple[str, ...] = ()

    def errors(self, authors: frozenset[tuple[str, str]], at: int) -> list[str]:
        """Return why it is not signed well by these authors at a moment; nothing: it is."""
        if self.problems or not authors:
            return [*self.problems, *(() if authors else ("The message has no author.",))]
        by_signer = [(signer, signer.errors(at)) for signer in self.signers]
        good = {address for signer, errors in by_signer if not errors for address in signer.addresses}
        if authors <= good:
            return []
        told = [error for _, errors in by_signer for error in errors]
        # Whose the signatures are, be they good or not: who is told of one fault is told of them all.
        signed_by = {address for signer, _ in by_signer for address in signer.addresses}
        if not authors <= signed_by:
            told.append("The address in From is not that of the signer's certificate.")
        return list(dict.fromkeys(told))


@dataclass(frozen=True)
class Findings:
    """What was found in a message. `layers` are the outermost first, none: there is S/MIME but no signature."""

    layers: tuple[Layer, ...]
    authors: frozenset[tuple[str, str]]
    is_whole: bool = True

    def judge(self, at: int) -> tuple[str, list[str] | None]:
        """Return `smimeStatus` and `smimeErrors` at a moment in milliseconds."""
        if not self.layers:
            return UNKNOWN, None
        by_layer = [layer.errors(self.authors, at) for layer in self.layers]
        wrong = [] if self.is_whole else [PARTIAL]
        if [] not in by_layer:
            wrong += by_layer[0]
        return (FAILED, wrong[:MOST_ERRORS]) if wrong else (VERIFIED, None)

    def next_change(self, after: int) -> int | None:
        """Return the next moment, in milliseconds, at which the status may be another; None if it never is again."""
        moments = (one for layer in self.layers for signer in layer.signers for one in signer.moments())
        return min((one for one in moments if one > after), default=None)


def examine(raw: bytes, root: Part, anchors: Anchors) -> Findings | None:
    """Return what there is of S/MIME in a message; None: no signature that anybody can see. Raises nothing."""
    place = smimeform.find(root)
    if place is None:
        return None
    authors = frozenset(_comparable(_authors(root)))
    if place.form == FOREIGN:
        return Findings((), authors, place.is_whole)
    try:
        layers = _layers(raw, place.part, anchors)
    except Exception:
        # Octets from anybody, read by parsers of others: the message comes in, and its signature is worth nothing.
        log.exception("A signature could not be examined")
        layers = [Layer(problems=(UNREADABLE,))]
    return None if layers is None else Findings(tuple(layers), authors, place.is_whole)


def _authors(root: Part) -> Iterator[str]:
    """Yield the addresses of every From there is: who reads the message sees one of them."""
    for field in headers.find_all(root.headers, "From"):
        yield from (one["email"] for one in headers.as_addresses(field))


def _comparable(addresses: Iterator[str] | Sequence[str]) -> Iterator[tuple[str, str]]:
    from minijmap.mail.smimechain import comparable

    return (comparable(one) for one in addresses)


def _layers(raw: bytes, part: Part, anchors: Anchors) -> list[Layer] | None:
    """Return the signatures around an entity, the outermost first; None if it is encrypted, so that there are none."""
    from minijmap.mail import smimecms

    layers: list[Layer] = []
    for _ in range(MOST_LAYERS):
        is_detached = part.type == "multipart/signed"
        entity = smimeform.signed_entity(raw, part) if is_detached else b""
        if entity is None:
            layers.append(Layer(problems=("A signed message has two parts: what is signed, and the signature.",)))
            break
        try:
            found = _object(raw, part.parts[1] if is_detached else part, is_detached=is_detached)
        except smimecms.Unreadable as problem:
            if is_detached or smimeform.smime_type(part) == "signed-data":
                layers.append(Layer(problems=(str(problem),)))
            elif not layers and smimeform.smime_type(part) in ("enveloped-data", "authenveloped-data"):
                return None
            break
        if is_detached or (found.kind == smimecms.SIGNED and (found.signers or _claims_signature(part, found))):
            layers.append(_layer(found, entity if is_detached else found.content, anchors, is_detached=is_detached))
        elif found.kind == smimecms.ENCRYPTED and not layers:
            return None
        inside = entity if is_detached else found.content
        if not inside:
            break
        raw, part = inside, message.parse(inside)
        place = smimeform.find(part)
        if place is None or not place.is_whole or place.form == FOREIGN:
            break
    return layers


def _object(raw: bytes, part: Part, *, is_detached: bool) -> "SignedData":
    from minijmap.mail import smimecms

    octets = smimeform.object_of(raw, part)
    if is_detached and len(octets) > smimecms.MOST_DETACHED:
        raise smimecms.Unreadable("The signature is too large.")
    return smimecms.read(octets)


def _claims_signature(part: Part, found: "SignedData") -> bool:
    """Say whether a SignedData that nobody has signed is said to be a signature, and not certificates (§3.8)."""
    return found.content is not None and smimeform.smime_type(part) == "signed-data"


def _layer(found: "SignedData", octets: bytes | None, anchors: Anchors, *, is_detached: bool) -> Layer:
    from minijmap.mail import smimecms

    if found.kind != smimecms.SIGNED:
        return Layer(problems=("The signature is none: it is another kind of S/MIME object.",))
    if octets is None or (is_detached and found.content is not None):
        # RFC 8551 §3.5.3.1: beside the message there is no other content.
        return Layer(problems=("The signature and what it signs are not in their places.",))
    if found.too_many:
        return Layer(problems=("There are more signatures or certificates than anybody needs.",))
    if not found.signers:
        return Layer(problems=("Nobody has signed the message.",))
    known = [one for one in map(smimecms.known, found.certificates) if one is not None]
    content = smimecms.Content(octets)
    return Layer(tuple(_signer(info, known, content, found, anchors) for info in found.signers))


def _signer(
    info: "SignerInfo", known: "Sequence[Known]", content: "Content", found: "SignedData", anchors: Anchors
) -> Signer:
    """Judge one signature. A key id may be that of several certificates: each is tried (RFC 8551 §2.6)."""
    # What is trusted need not come along.
    candidates = [one for one in known if one.is_of(info)] or [one for one in anchors.known if one.is_of(info)]
    certificates = [one.certificate for one in known]
    judged = [
        _signer_by(one.certificate, info, certificates, content, found, anchors) for one in candidates[:MOST_CANDIDATES]
    ]
    missing = Signer(frozenset(), ("The signer's certificate did not come with the message.",), None)
    return min(judged, key=lambda one: len(one.problems), default=missing)


def _signer_by(
    certificate: "Certificate",
    info: "SignerInfo",
    certificates: "list[Certificate]",
    content: "Content",
    found: "SignedData",
    anchors: Anchors,
) -> Signer:
    from cryptography.exceptions import UnsupportedAlgorithm

    from minijmap.mail import smimechain, smimecms

    try:
        wrong = smimecms.problems(info, certificate, content, found.content_type)
    except (UnsupportedAlgorithm, ValueError, TypeError):
        wrong = ["The signer's key is of an unknown kind."]
    wrong += smimechain.signer_problems(certificate)
    paths, reason = smimechain.paths(certificate, certificates, anchors)
    if not paths:
        wrong.append(reason)
    return Signer(
        frozenset(_comparable(smimechain.addresses(certificate))),
        tuple(dict.fromkeys(wrong)),
        smimecms.signing_time(info),
        int(certificate.not_valid_before_utc.timestamp() * 1000),
        int(certificate.not_valid_after_utc.timestamp() * 1000) + 999,
        tuple(paths),
    )
