"""What is in a CMS object: signatures, certificates, the signed content (RFC 5652, RFC 8551 §2, RFC 3274).

Owns the reading, and whether a signature holds for a key. Whose the key is, `smimechain` judges.

asn1crypto reads and cryptography verifies, in this process; the `openssl` command was the other way to do it. Measured
on one core of a small server (OpenSSL 3.0, a signature by an RSA-2048 key): reading takes 0.3 ms, the whole verdict
with chain and addresses under 1 ms; a process of `openssl cms -verify` 4 ms with one trust anchor and 24 ms with the
system's 140, and two of them are needed, for a status now and one at delivery. On a Raspberry Pi a process costs no
less, relatively. `openssl` tells the first error it meets, as a text made for people, where all are wanted; and here
hostile octets meet Python and Rust, and no parser in C. The price is 4 MB of memory and 30 ms, once, when the first
S/MIME message comes: nothing is imported before. asn1crypto is given definite lengths only, in bounded number
(`smimeber`): left alone it takes 3 µs for each piece of a string in pieces, which is a minute for a hostile 50 MB, and
it refuses pieces of definite length, which BER allows.
"""

import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from minijmap.mail import smimeber

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.x509 import Certificate

MOST_SIGNERS: Final = 16
MOST_CERTIFICATES: Final = 100
MOST_DETACHED: Final = 2_000_000
"""Octets of a signature that stands by itself: it holds certificates and no content."""
MOST_UNPACKED: Final = 64_000_000
"""Octets that compressed data may become."""

SIGNED, ENCRYPTED, COMPRESSED, OTHER = "signed", "encrypted", "compressed", "other"
_KINDS: Final = {
    "1.2.840.113549.1.7.2": SIGNED,
    "1.2.840.113549.1.7.3": ENCRYPTED,
    "1.2.840.113549.1.7.6": ENCRYPTED,
    "1.2.840.113549.1.9.16.1.23": ENCRYPTED,
    "1.2.840.113549.1.9.16.1.9": COMPRESSED,
}
_DATA: Final = "1.2.840.113549.1.7.1"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_CERTIFICATE_2: Final = "1.2.840.113549.1.9.16.2.47"
_ONCE: Final = ("1.2.840.113549.1.9.15", "1.2.840.113549.1.9.16.2.11")
"""SMIMECapabilities and SMIMEEncryptionKeyPreference, which nobody here needs (RFC 8551 §2.5.2, §2.5.3)."""
_ZLIB: Final = "1.2.840.113549.1.9.16.3.8"

DIGESTS: Final = {
    "1.2.840.113549.2.5": "MD5",
    "1.3.14.3.2.26": "SHA1",
    "2.16.840.1.101.3.4.2.4": "SHA224",
    "2.16.840.1.101.3.4.2.1": "SHA256",
    "2.16.840.1.101.3.4.2.2": "SHA384",
    "2.16.840.1.101.3.4.2.3": "SHA512",
    "2.16.840.1.101.3.4.2.8": "SHA3_256",
    "2.16.840.1.101.3.4.2.9": "SHA3_384",
    "2.16.840.1.101.3.4.2.10": "SHA3_512",
}
"""Digest algorithms by their object identifier, under the names that cryptography has for them."""
WEAK: Final = frozenset(("MD5", "SHA1"))
"""Digests for which anybody may find two messages: “no longer considered secure” (RFC 8551 §3.5.3.2, §B)."""
RSA, PSS, ECDSA, ED25519, ED448 = "RSA", "RSASSA-PSS", "ECDSA", "Ed25519", "Ed448"
_SIGNATURES: Final = {
    # Algorithm, and the digest that it names itself; "": that of the SignerInfo.
    "1.2.840.113549.1.1.1": (RSA, ""),
    "1.2.840.113549.1.1.4": (RSA, "MD5"),
    "1.2.840.113549.1.1.5": (RSA, "SHA1"),
    "1.2.840.113549.1.1.14": (RSA, "SHA224"),
    "1.2.840.113549.1.1.11": (RSA, "SHA256"),
    "1.2.840.113549.1.1.12": (RSA, "SHA384"),
    "1.2.840.113549.1.1.13": (RSA, "SHA512"),
    "1.2.840.113549.1.1.10": (PSS, ""),
    "1.2.840.10045.2.1": (ECDSA, ""),
    "1.2.840.10045.4.1": (ECDSA, "SHA1"),
    "1.2.840.10045.4.3.1": (ECDSA, "SHA224"),
    "1.2.840.10045.4.3.2": (ECDSA, "SHA256"),
    "1.2.840.10045.4.3.3": (ECDSA, "SHA384"),
    "1.2.840.10045.4.3.4": (ECDSA, "SHA512"),
    "1.3.101.112": (ED25519, ""),
    "1.3.101.113": (ED448, ""),
}
FEWEST_RSA_BITS: Final = 2048  # RFC 8551 §4.3
MOST_RSA_BITS: Final = 16_384


class Unreadable(Exception):
    """The octets are no CMS object, or one beyond the limits. The sentence says why."""


@dataclass(frozen=True)
class SignerInfo:
    """One signature: by whom, over what, how."""

    issuer: bytes
    """The DER of the issuer of the signer's certificate, with `serial`; empty when `key_id` tells the certificate."""
    serial: int
    key_id: bytes
    digest: str
    """An object identifier, as the two below."""
    algorithm: str
    parameters: Any
    signature: bytes
    attributes: bytes | None
    """The signed attributes as they are signed: the DER of a SET OF. None without any."""
    told: dict[str, Any] = field(default_factory=dict)
    """By object identifier, what the signed attributes say that count here; None for one that stands there twice."""


@dataclass(frozen=True)
class SignedData:
    """A SignedData, or whatever else: `kind` tells."""

    kind: str
    content: bytes | None = None
    content_type: str = _DATA
    certificates: tuple[bytes, ...] = ()
    """DER, in the order they came, each once."""
    signers: tuple[SignerInfo, ...] = ()
    too_many: bool = False
    """There are more signers or certificates than are looked at."""


def read(octets: bytes) -> SignedData:
    """Read a CMS object. Raises Unreadable."""
    from asn1crypto import cms

    try:
        outer = cms.ContentInfo.load(smimeber.definite(octets))
        kind = _KINDS.get(outer["content_type"].dotted, OTHER)
        if kind == SIGNED:
            return _signed(outer["content"])
        return SignedData(kind, _unpacked(outer["content"]) if kind == COMPRESSED else None)
    except Unreadable:
        raise
    except Exception as error:
        # Whatever a parser makes of hostile octets: it is the sender's fault, and no one else's.
        raise Unreadable("The S/MIME object can't be read.") from error


def _signed(content: Any) -> SignedData:
    from asn1crypto import core

    encapsulated = content["encap_content_info"]
    inner = encapsulated["content"]
    certificates, signers = content["certificates"], content["signer_infos"]
    given = [] if isinstance(certificates, core.Void) else [certificates[n] for n in range(len(certificates))]
    ders = dict.fromkeys(one.chosen.dump() for one in given[: MOST_CERTIFICATES + 1] if one.name == "certificate")
    return SignedData(
        SIGNED,
        None if isinstance(inner, core.Void) or inner.contents is None else _octets(inner),
        encapsulated["content_type"].dotted,
        tuple(ders)[:MOST_CERTIFICATES],
        tuple(_signer(signers[n]) for n in range(min(len(signers), MOST_SIGNERS))),
        len(given) > MOST_CERTIFICATES or len(signers) > MOST_SIGNERS,
    )


def _octets(value: Any) -> bytes:
    """Return the octets of an OCTET STRING, whatever asn1crypto takes its content for."""
    from asn1crypto import core

    found = value if isinstance(value, core.OctetString) else value.parsed
    return bytes(found.native)


def _signer(info: Any) -> SignerInfo:
    from asn1crypto import core

    identifier = info["sid"]
    by_serial = identifier.name == "issuer_and_serial_number"
    attributes = info["signed_attrs"]
    has_attributes = not isinstance(attributes, core.Void)
    algorithm = info["signature_algorithm"]
    return SignerInfo(
        identifier.chosen["issuer"].dump() if by_serial else b"",
        identifier.chosen["serial_number"].native if by_serial else 0,
        b"" if by_serial else bytes(identifier.chosen.native),
        info["digest_algorithm"]["algorithm"].dotted,
        algorithm["algorithm"].dotted,
        algorithm["parameters"].native,
        bytes(info["signature"].native),
        # RFC 5652 §5.4: signed is the SET OF itself, not its place in the SignerInfo.
        smimeber.encoded(b"\x31", attributes.contents) if has_attributes else None,
        _told(attributes) if has_attributes else {},
    )


def _told(attributes: Any) -> dict[str, Any]:
    from asn1crypto import tsp

    # Imported, that module has asn1crypto know two more attributes.
    _ = tsp.SigningCertificateV2
    readers: dict[str, Callable[[Any], Any]] = {
        _CONTENT_TYPE: lambda value: value.dotted,
        _MESSAGE_DIGEST: lambda value: bytes(value.native),
        _SIGNING_TIME: lambda value: _milliseconds(value.native),
        _CERTIFICATE: lambda value: _certificate_hash(value["certs"][0], "1.3.14.3.2.26"),
        _CERTIFICATE_2: lambda value: _certificate_hash(
            value["certs"][0], value["certs"][0]["hash_algorithm"]["algorithm"].dotted
        ),
        **dict.fromkeys(_ONCE, lambda value: value is not None),
    }
    told: dict[str, Any] = {}
    for number in range(len(attributes)):
        attribute = attributes[number]
        name, values = attribute["type"].dotted, attribute["values"]
        if name in readers:
            # RFC 5652 §11.1, §11.2, §11.3: one instance, one value.
            told[name] = None if name in told or len(values) != 1 else readers[name](values[0])
    return told


def _certificate_hash(first: Any, digest: str) -> tuple[str, bytes]:
    """Return the digest, and by which algorithm, of the certificate that was signed with (RFC 5035 §3, §5)."""
    return DIGESTS[digest], bytes(first["cert_hash"].native)


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)


@dataclass(frozen=True)
class Known:
    """A certificate, and by what a signature names it."""

    certificate: "Certificate"
    issuer: bytes
    serial: int
    key_id: bytes

    def is_of(self, info: SignerInfo) -> bool:
        """Say whether a signature names this certificate (RFC 5652 §5.3, sid)."""
        if info.key_id:
            return self.key_id == info.key_id
        return (self.issuer, self.serial) == (info.issuer, info.serial)


def known(der: bytes) -> Known | None:
    """Read a certificate; None for one that nobody can read: the others may do without it."""
    from asn1crypto import x509 as asn1
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.subject, certificate.issuer
        named = asn1.Certificate.load(der)
        # Not cryptography's: it warns of a serial number that is not positive, and is about to refuse it.
        return Known(certificate, named.issuer.dump(), named.serial_number, named.key_identifier or b"")
    except (ValueError, TypeError, KeyError):
        return None


def _unpacked(content: Any) -> bytes:
    """Return what was compressed (RFC 3274 §1.1)."""
    if content["compression_algorithm"]["algorithm"].dotted != _ZLIB:
        raise Unreadable("The message is compressed in an unknown way.")
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(bytes(content["encap_content_info"]["content"].native), MOST_UNPACKED)
    if unpacker.unconsumed_tail:
        raise Unreadable("The message is too large when it is unpacked.")
    return unpacked


# --- verifying ------------------------------------------------------------------------------------------------------


class Content:
    """What was signed. Each digest of it is made once, however many have signed."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._digests: dict[str, bytes] = {}

    def digest(self, name: str) -> bytes:
        """Return its digest by an algorithm of DIGESTS."""
        from cryptography.hazmat.primitives import hashes

        if name not in self._digests:
            hasher = hashes.Hash(_hash(name))
            hasher.update(self.octets)
            self._digests[name] = hasher.finalize()
        return self._digests[name]


def _hash(name: str) -> "HashAlgorithm":
    from cryptography.hazmat.primitives import hashes

    made: HashAlgorithm = getattr(hashes, name)()
    return made


def signing_time(info: SignerInfo) -> int | None:
    """Return when a signer says that it was signed, in milliseconds, or None."""
    found: int | None = info.told.get(_SIGNING_TIME)
    return found


def problems(info: SignerInfo, certificate: "Certificate", content: Content, content_type: str) -> list[str]:
    """Return what is wrong with a signature, if this is the signer's certificate; nothing: it holds (RFC 5652 §5).

    Raises what cryptography raises for a key that it does not know.
    """
    key = certificate.public_key()
    digest = DIGESTS.get(info.digest)
    algorithm, named = _SIGNATURES.get(info.algorithm, ("", ""))
    if not algorithm or digest is None:
        return ["The message is signed with an unknown algorithm."]
    wrong = []
    if content_type != _DATA:
        wrong.append("What is signed is not a message.")  # RFC 8551 §2.4.1
    weak = [one for one in dict.fromkeys((digest, named)) if one in WEAK]
    wrong += [f"The signature rests on {one.replace('SHA1', 'SHA-1')}, which is not secure any more." for one in weak]
    wrong += _key_problems(key)
    if info.attributes is None:
        signed = content.octets
    else:
        signed = info.attributes
        if info.told.get(_CONTENT_TYPE) != content_type:
            wrong.append("The signature is for another kind of content.")
        if None in info.told.values():
            wrong.append("A signed attribute stands there more than once.")
        if not _is_meant(info, certificate):
            wrong.append("The signature is for another certificate of the signer.")
        if info.told.get(_MESSAGE_DIGEST) != content.digest(digest):
            return [*wrong, "The message was changed after it was signed."]
    if not _holds(info, key, algorithm, named or digest, signed):
        wrong.append("The signature does not fit the signer's key.")
    return wrong


def _is_meant(info: SignerInfo, certificate: "Certificate") -> bool:
    """Say whether a certificate is the one that was signed with, if the signature tells (RFC 5035 §3)."""
    hashes = (info.told.get(name) for name in (_CERTIFICATE, _CERTIFICATE_2))
    return all(certificate.fingerprint(_hash(name)) == value for name, value in filter(None, hashes))


def _key_problems(key: Any) -> list[str]:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(key, RSAPublicKey) and not FEWEST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
        return [f"The signer's RSA key has {key.key_size} bits; {FEWEST_RSA_BITS} are the fewest."]
    return []


def _holds(info: SignerInfo, key: Any, algorithm: str, digest: str, signed: bytes) -> bool:
    """Say whether a signature over octets was made with a key's private half."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

    try:
        if algorithm == RSA and isinstance(key, rsa.RSAPublicKey):
            key.verify(info.signature, signed, padding.PKCS1v15(), _hash(digest))
        elif algorithm == PSS and isinstance(key, rsa.RSAPublicKey):
            pss, its_digest = _pss(info.parameters)
            key.verify(info.signature, signed, pss, its_digest)
        elif algorithm == ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(info.signature, signed, ec.ECDSA(_hash(digest)))
        elif (algorithm == ED25519 and isinstance(key, ed25519.Ed25519PublicKey)) or (
            algorithm == ED448 and isinstance(key, ed448.Ed448PublicKey)
        ):
            key.verify(info.signature, signed)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def _pss(parameters: Any) -> tuple[Any, "HashAlgorithm"]:
    """Return the padding of RSASSA-PSS and its digest (RFC 4056 §2.2). Raises ValueError for a weak one."""
    from cryptography.hazmat.primitives.asymmetric import padding

    digest = parameters["hash_algorithm"]["algorithm"].upper()
    mask = parameters["mask_gen_algorithm"]["parameters"]["algorithm"].upper()
    if digest in WEAK or digest not in DIGESTS.values() or mask not in DIGESTS.values():
        raise ValueError(digest)
    return padding.PSS(padding.MGF1(_hash(mask)), parameters["salt_length"]), _hash(digest)
