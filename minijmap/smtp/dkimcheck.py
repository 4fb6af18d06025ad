"""DKIM and ARC: are the signatures on a message good (RFC 6376, RFC 8301, RFC 8463, RFC 8617)? Knows dkimpy.

dkimpy reads tags, checks their syntax, follows an ARC chain and does the RSA. What it does in time that grows with the
square of a hostile message, or not at all, is here: the split into fields, both canonicalisations, the hash of the
header, the key records and Ed25519. Must not know whom a signature speaks for in the end: that is DMARC's.
"""

import base64
import binascii
import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dkim
from dkim.crypto import (
    HASH_ALGORITHMS,
    DigestTooLargeError,
    RSASSA_PKCS1_v1_5_verify,
    UnparsableKeyError,
    parse_public_key,
)
from dkim.util import InvalidTagValueList, parse_tag_value

from minijmap.smtp.authresults import Result
from minijmap.smtp.resolver import LookupFailed, Questions

MOST_SIGNATURES = 10
"""Signatures that are looked at (RFC 6376 §8.4); a message has one to three."""
MOST_INSTANCES = 50
"""ARC sets of a message (RFC 8617 §5.2)."""
MOST_FIELDS = 2000
MOST_HEADER = 1_000_000
MOST_SIGNATURE = 8192
"""Octets of one signature's field."""
MOST_SPACE = 100
"""White space in one piece in a signature's field: nobody folds so, and patterns of dkimpy's take its square."""
LEAST_RSA, MOST_RSA = 1024, 4096
"""Bits of a key (RFC 8301 §3.2)."""
MOST_LOOKUPS = 120
PIECE = 65_536
"""Octets of a body that are made canonical at once: a pattern lets no other thread run while it is at it."""
_FIELD = re.compile(rb"([!-9;-~]++[ \t]*+):([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
_SPACES = re.compile(rb"[ \t]{2,}+|\t")
_VISIBLE = re.compile(rb"[^ \t\r\n]")
_LONG_SPACE = re.compile(rb"\s{%d}" % MOST_SPACE)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_RELAXED_ARC = {b"c": b"relaxed/relaxed"}
_DOMAIN = re.compile(rb"[A-Za-z0-9._-]{1,253}")

logging.getLogger("dkimpy").propagate = False  # it tells of every bad signature as of an error of ours

Field = tuple[bytes, bytes]


@dataclass(frozen=True)
class Message:
    """A message in the two parts that are signed. The fields' values keep their folding and end with CRLF."""

    fields: Sequence[Field]
    body: bytes


@dataclass(frozen=True)
class Signature:
    """What became of one signature, and the domain that made it."""

    domain: str
    result: Result


@dataclass(frozen=True)
class Chain:
    """What became of the ARC chain, and what its first set says that DMARC found there, "" if nothing."""

    result: Result
    first_dmarc: str = ""


def split(octets: bytes) -> Message | None:
    """Return a message in parts, or None when its header is none or is larger than any that is verified."""
    fields: list[Field] = []
    position = 0
    while position < len(octets):
        if octets.startswith((b"\r\n", b"\n"), position):
            return Message(fields, octets[octets.index(b"\n", position) + 1 :])
        found = _FIELD.match(octets, position)
        if found is None or len(fields) == MOST_FIELDS or found.end() > MOST_HEADER:
            return None
        fields.append((found[1], _BARE_LF.sub(b"\r\n", found[2].removesuffix(b"\r")) + b"\r\n"))
        position = found.end()
    return Message(fields, b"")


def relaxed_body(body: bytes) -> bytes:
    """Return a body in relaxed canonical form (RFC 6376 §3.4.4), in time linear in its size."""
    body = simple_body(b"".join(_without_spaces(body)).removesuffix(b" "))
    return b"" if body == b"\r\n" else body


def _without_spaces(body: bytes) -> Iterator[bytes]:
    """Give a body in pieces, each space as one, none at the end of a line. Between pieces other threads have a turn."""
    start = 0
    while start < len(body):
        # A piece ends after something that is neither space nor line end, so that all of either is in one piece.
        cut = _VISIBLE.search(body, start + PIECE)
        end = cut.end() if cut else len(body)
        yield _SPACES.sub(b" ", body[start:end]).replace(b" \r\n", b"\r\n")
        start = end


def simple_body(body: bytes) -> bytes:
    """Return a body without empty lines at its end, but with a line end there (RFC 6376 §3.4.3)."""
    stripped = body.rstrip(b"\r\n")
    tail = body[len(stripped) :]
    if tail == b"\r\n" * (len(tail) // 2):
        return stripped + b"\r\n"
    # Only whole line ends are taken away: what is left of the tail ends where CR and LF stop to alternate.
    whole = max(tail.rfind(b"\r\r"), tail.rfind(b"\n\n")) + 1
    whole += tail[whole : whole + 1] == b"\n"
    if not tail.endswith(b"\n"):
        whole = len(tail)
    return stripped + tail[:whole] + b"\r\n"


def relaxed_field(field: Field) -> Field:
    """Return a field in relaxed canonical form (RFC 6376 §3.4.2)."""
    name, value = field
    return name.rstrip().lower(), _SPACES.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ") + b"\r\n"


def without_b(value: bytes) -> bytes:
    """Return a signature's value with an empty `b` tag and no line end (RFC 6376 §3.7)."""
    tags = value.removesuffix(b"\r\n").split(b";")
    for place, tag in enumerate(tags):
        name, equals, _ = tag.partition(b"=")
        if equals and name.strip() == b"b":
            tags[place] = name + b"="
    return b";".join(tags)


class _Hardened:
    """What replaces dkimpy's own handling of messages, of keys and of hashes, for DKIM and ARC alike."""

    message: Message
    questions: Questions
    headers: list[Field]
    body: bytes
    reason = ""

    def __init__(self, message: Message, questions: Questions, shared: "_Shared") -> None:
        self.message, self.questions, self._shared = message, questions, shared
        super().__init__(b"")  # type: ignore[call-arg]
        self.headers, self.body = list(message.fields), message.body

    def set_message(self, _message: bytes) -> None:
        """Leave it: the message was split already."""
        self.headers, self.body = [], b""

    def verify_sig(
        self, sig: Mapping[bytes, bytes], include_headers: list[bytes], sig_header: Field, _dnsfunc: object
    ) -> bool:
        """Verify one signature. Raises DKIMException when it can't be right, and LookupFailed."""
        key = self._shared.key(self.questions, sig)
        if not key.fits(sig):
            raise dkim.KeyFormatError("the key is not for this signature")
        header_form, body_form = _forms(sig)
        digest = HASH_ALGORITHMS[sig[b"a"]]
        if b"bh" in sig:
            self._check_body(sig, body_form)
        names = list(include_headers)
        if b"from" in names:
            names.append(b"from")  # one more From than was signed makes the signature a bad one (RFC 6376 §8.15)
        hasher = digest()
        for name, value in self._shared.chosen(self.message, names, header_form):
            hasher.update(name + b":" + value)
        name, value = sig_header
        bare = (name, without_b(value))
        name, value = relaxed_field(bare) if header_form == b"relaxed" else bare
        hasher.update(name + b":" + (value.removesuffix(b"\r\n") if header_form == b"relaxed" else value))
        if not key.verifies(hasher, _decoded(sig[b"b"])):
            self.reason = "bad signature"
            return False
        return True

    def _check_body(self, sig: Mapping[bytes, bytes], form: bytes) -> None:
        body = self._shared.body(self.message, form)
        if b"l" in sig and int(sig[b"l"]) != len(body):
            # What is after the signed part may be anybody's (RFC 6376 §8.2).
            raise _Unacceptable("the signature leaves a part of the body out")
        if self._shared.body_hash(self.message, form) != _decoded(sig[b"bh"]):
            self.reason = "body hash mismatch"
            raise _BadHash("body hash mismatch")


class _Unacceptable(dkim.DKIMException):  # type: ignore[misc]
    """The signature may be good, and is not good enough: `policy` (RFC 8601 §2.7.1)."""


class _BadHash(dkim.DKIMException):  # type: ignore[misc]
    """The body is not the one that was signed."""


class _Shared:
    """What several signatures of a message need, computed once."""

    def __init__(self) -> None:
        self._bodies: dict[bytes, bytes] = {}
        self._hashes: dict[bytes, bytes] = {}
        self._named: dict[bytes, Mapping[bytes, Sequence[Field]]] = {}
        self._keys: dict[bytes, Key] = {}

    def body(self, message: Message, form: bytes) -> bytes:
        """Return the body in a canonical form."""
        if form not in self._bodies:
            self._bodies[form] = relaxed_body(message.body) if form == b"relaxed" else simple_body(message.body)
        return self._bodies[form]

    def body_hash(self, message: Message, form: bytes) -> bytes:
        """Return the SHA-256 of the body in a canonical form."""
        if form not in self._hashes:
            self._hashes[form] = hashlib.sha256(self.body(message, form)).digest()
        return self._hashes[form]

    def chosen(self, message: Message, names: Sequence[bytes], form: bytes) -> list[Field]:
        """Return the fields that names stand for, each name the next one from below (RFC 6376 §5.4.2)."""
        if form not in self._named:
            named: defaultdict[bytes, list[Field]] = defaultdict(list)
            for field in message.fields:
                kept = relaxed_field(field) if form == b"relaxed" else field
                named[field[0].rstrip().lower()].append(kept)
            self._named[form] = named
        left = {name: list(self._named[form].get(name, ())) for name in set(names)}
        return [left[name].pop() for name in names if left[name]]

    def key(self, questions: Questions, sig: Mapping[bytes, bytes]) -> "Key":
        """Return the key a signature names. Raises LookupFailed, and KeyFormatError when there is none to use."""
        if not _DOMAIN.fullmatch(sig[b"s"]) or not _DOMAIN.fullmatch(sig[b"d"]):
            raise dkim.KeyFormatError("no key can have this name")
        name = sig[b"s"] + b"._domainkey." + sig[b"d"]
        if name not in self._keys:
            texts = questions.texts(name.decode("ascii"))
            if not texts:
                raise dkim.KeyFormatError("no key is published")
            self._keys[name] = read_key(texts[0])
        return self._keys[name]


@dataclass(frozen=True)
class Key:
    """A published key (RFC 6376 §3.6.1): its algorithm family, what verifies with it, and what it is restricted to."""

    family: bytes
    verifies: Callable[[Any, bytes], bool]
    hashes: tuple[bytes, ...]
    exact_domain: bool
    testing: bool

    def fits(self, sig: Mapping[bytes, bytes]) -> bool:
        """Say whether a signature may have been made with this key."""
        family, _, digest = sig[b"a"].partition(b"-")
        if family != self.family or (self.hashes and digest not in self.hashes):
            return False
        # An ARC set's `i` is a number, no identity (RFC 8617 §4.1.2).
        _, at, domain = sig.get(b"i", b"").rpartition(b"@")
        return not self.exact_domain or not at or domain.lower() == sig[b"d"].lower()


def read_key(text: bytes) -> Key:
    """Read a key record. Raises dkim.KeyFormatError."""
    try:
        tags = parse_tag_value(text)
    except InvalidTagValueList as error:
        raise dkim.KeyFormatError("the key record is malformed") from error
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or (b"v" in tags and next(iter(tags)) != b"v"):
        raise dkim.KeyFormatError("the key record has another version")
    if not {b"*", b"email"} & set(_listed(tags.get(b"s", b"*"))):
        raise dkim.KeyFormatError("the key is not for mail")
    if not tags.get(b"p"):
        raise dkim.KeyFormatError("the key is revoked" if b"p" in tags else "the key record has no key")
    family = tags.get(b"k", b"rsa")
    octets = _decoded(tags[b"p"])
    if family == b"rsa":
        verifies = _rsa(octets)
    elif family == b"ed25519":
        verifies = _ed25519(octets)
    else:
        raise dkim.KeyFormatError("the key has an unknown type")
    flags = _listed(tags.get(b"t", b""))
    hashes = tuple(_listed(tags[b"h"])) if b"h" in tags else ()
    return Key(family, verifies, hashes, b"s" in flags, b"y" in flags)


def _rsa(octets: bytes) -> Callable[[Any, bytes], bool]:
    try:
        key = parse_public_key(octets)
        bits, exponent = int(key["modulus"]).bit_length(), int(key["publicExponent"])
    except (UnparsableKeyError, KeyError, IndexError, ValueError, TypeError) as error:
        raise dkim.KeyFormatError("the key is malformed") from error
    if not LEAST_RSA <= bits <= MOST_RSA or exponent.bit_length() > 33:
        raise dkim.KeyFormatError(f"the key has {bits} bits")

    def verifies(hasher: Any, signature: bytes) -> bool:
        try:
            return bool(RSASSA_PKCS1_v1_5_verify(hasher, signature, key))
        except (DigestTooLargeError, ValueError, TypeError, IndexError):
            return False

    return verifies


def _ed25519(octets: bytes) -> Callable[[Any, bytes], bool]:
    # dkimpy would need PyNaCl for it; cryptography is here anyway, to sign.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(octets)
    except ValueError as error:
        raise dkim.KeyFormatError("the key is malformed") from error

    def verifies(hasher: Any, signature: bytes) -> bool:
        try:
            key.verify(signature, hasher.digest())  # RFC 8463 §3: the hash is what is signed
        except InvalidSignature:
            return False
        return True

    return verifies


def _listed(value: bytes) -> list[bytes]:
    return [item.strip().lower() for item in value.split(b":")]


def _decoded(value: bytes) -> bytes:
    try:
        return base64.b64decode(re.sub(rb"\s+", b"", value), validate=True)
    except binascii.Error as error:
        raise dkim.ValidationError("malformed base64") from error


def _forms(sig: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    header, _, body = sig.get(b"c", b"simple/simple").partition(b"/")
    forms = header, body or b"simple"
    if not set(forms) <= {b"simple", b"relaxed"}:
        raise dkim.ValidationError("unknown canonicalisation")
    return forms


class _Dkim(_Hardened, dkim.DKIM):  # type: ignore[misc]
    """dkimpy's verifier of DKIM signatures, hardened."""


class _Arc(_Hardened, dkim.ARC):  # type: ignore[misc]
    """dkimpy's verifier of ARC chains, hardened."""

    def __init__(self, message: Message, questions: Questions, shared: "_Shared") -> None:
        super().__init__(message, questions, shared)
        # dkimpy finds a set's signature by " i=N;", however the field was folded: to the relaxed form it is the same.
        self.headers = [_unfolded(field) for field in message.fields]


def _unfolded(field: Field) -> Field:
    name, value = field
    if name.rstrip().lower() != b"arc-message-signature" or _forms({**_RELAXED_ARC, **_tags(value)})[0] != b"relaxed":
        return field
    return name, b" " + relaxed_field(field)[1]


def check(message: Message, questions: Questions, first: Callable[[str], bool], now: float) -> list[Signature]:
    """Return what became of a message's DKIM signatures, at most ten: those whose domain is `first`, then the others.

    No signature at all is an empty list. Raises nothing.
    """
    fields = [field for field in message.fields if field[0].strip().lower() == b"dkim-signature"]
    tagged = [(field, _tags(field[1])) for field in fields[: 10 * MOST_SIGNATURES]]
    tagged.sort(key=lambda pair: not first(_text(pair[1].get(b"d", b""))))
    shared = _Shared()
    return [_signature(message, questions, shared, field, tags, now) for field, tags in tagged[:MOST_SIGNATURES]]


def _tags(value: bytes) -> Mapping[bytes, bytes]:
    """Return a signature's tags, nothing when it is malformed or has a form that nobody gives it."""
    if len(value) > MOST_SIGNATURE or _LONG_SPACE.search(value):
        return {}
    try:
        tags: Mapping[bytes, bytes] = parse_tag_value(value)
    except (InvalidTagValueList, UnicodeError):
        return {}
    return tags


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "replace").lower()


def _signature(
    message: Message, questions: Questions, shared: _Shared, field: Field, tags: Mapping[bytes, bytes], now: float
) -> Signature:
    domain = _text(tags.get(b"d", b""))
    value, reason = _verified(message, questions, shared, field, tags, now)
    properties = [("header.d", domain), ("header.s", _text(tags.get(b"s", b"")))]
    properties += [("header.a", _text(tags.get(b"a", b""))), ("header.b", _text_b(tags))]
    return Signature(domain, Result("dkim", value, tuple(properties), reason))


def _text_b(tags: Mapping[bytes, bytes]) -> str:
    """Return the first eight characters of a signature, which tell it from others (RFC 6008 §3)."""
    return re.sub(rb"\s+", b"", tags.get(b"b", b""))[:8].decode("ascii", "replace")


def _verified(
    message: Message, questions: Questions, shared: _Shared, field: Field, tags: Mapping[bytes, bytes], now: float
) -> tuple[str, str]:
    """Return the result word for one signature, and the reason if it is none to be glad of (RFC 8601 §2.7.1)."""
    if not tags:
        return "neutral", "the signature is malformed"
    try:
        dkim.validate_signature_fields(dict(tags) | {b"x": b"9999999999"} if b"x" in tags else tags)
        if tags[b"a"] == b"rsa-sha1":
            return "policy", "SHA-1 proves nothing"  # RFC 8301 §3.1
        if b"x" in tags and int(tags[b"x"]) < now:
            return "neutral", "the signature has expired"
        names = [name.strip().lower() for name in tags[b"h"].split(b":")]
        if b"from" not in names:
            return "permerror", "From is not signed"  # RFC 6376 §6.1.1
        verifier = _Dkim(message, questions, shared)
        if not verifier.verify_sig(tags, names, field, None):
            return "fail", verifier.reason
        return ("policy", "the key is for tests") if shared.key(questions, tags).testing else ("pass", "")
    except LookupFailed as failed:
        return "temperror", failed.reason
    except _Unacceptable as error:
        return "policy", str(error)
    except _BadHash as error:
        return "fail", str(error)
    except dkim.KeyFormatError as error:
        return "permerror", str(error)
    except (dkim.DKIMException, ValueError) as error:
        return "neutral", str(error)


def check_chain(message: Message, questions: Questions) -> Chain:
    """Return what became of the ARC chain (RFC 8617 §5.2). Every failure, of the DNS too, is final. Raises nothing."""
    names = dkim.ARC.ARC_HEADERS
    fields = [field for field in message.fields if field[0].strip().lower() in names]
    if not fields:
        return Chain(Result("arc", "none"))
    signatures = [value for name, value in fields if name.strip().lower() != b"arc-authentication-results"]
    if len(fields) > 3 * MOST_INSTANCES or not all(map(_tags, signatures)):
        return Chain(Result("arc", "fail", (), "the chain is malformed"))
    verifier = _Arc(message, questions, _Shared())
    try:
        value, sets, reason = verifier.verify()
    except (dkim.DKIMException, LookupFailed, ValueError, IndexError) as error:
        value, sets, reason = b"fail", [], str(error) or "the chain is malformed"
    if value != b"pass":
        return Chain(Result("arc", "fail", (), str(reason)))
    if any(one["instance"] > MOST_INSTANCES for one in sets):
        return Chain(Result("arc", "fail", (), "the chain is too long"))
    oldest = next((str(one["instance"] + 1) for one in sets if not one["ams-valid"]), "0")
    sealed = _text(sets[0]["as-domain"])
    first = re.search(rb";\s*dmarc\s*=\s*([a-z]+)", sets[-1]["aar-value"], re.IGNORECASE)
    properties = (("header.oldest-pass", oldest), ("header.d", sealed))
    return Chain(Result("arc", "pass", properties), _text(first[1]) if first else "")
