"""Message encryption for Web Push: RFC 8291, in the content coding aes128gcm of RFC 8188.

Owns how large a message may be and how it is encrypted. `cryptography` is loaded by the first message. Must not know
what a message says, nor how it is sent.
"""

import hmac
import os
from dataclasses import dataclass

from minijmap.push import p256

MOST_BODY = 4096
"""Octets that every push service takes (RFC 8030 §7.2)."""
HEADER_OCTETS, TAG_OCTETS = 86, 16
MOST_PLAINTEXT = MOST_BODY - HEADER_OCTETS - 1 - TAG_OCTETS
"""3993 octets (RFC 8291 §4)."""
AUTH_OCTETS = 16
SALT_OCTETS = 16
RECORD_SIZE = 4096
CONTENT_ENCODING = "aes128gcm"


@dataclass(frozen=True)
class ClientKeys:
    """What the client has made (RFC 8291 §2): its public key, an uncompressed point, and 16 octets that it shares."""

    p256dh: bytes
    auth: bytes


def encrypt(plaintext: bytes, keys: ClientKeys, *, secret: bytes | None = None, salt: bytes | None = None) -> bytes:
    """Return the body of a push message: one record, for these keys alone.

    `secret` (a private key) and `salt` are new for every message, but where an example gives them. Raises ValueError
    for a plaintext of more than MOST_PLAINTEXT octets.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if len(plaintext) > MOST_PLAINTEXT:
        raise ValueError(f"A push message has at most {MOST_PLAINTEXT} octets.")
    curve = ec.SECP256R1()
    sender = ec.generate_private_key(curve) if secret is None else ec.derive_private_key(_number(secret), curve)
    salt = salt or os.urandom(SALT_OCTETS)
    public = sender.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = sender.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, keys.p256dh))
    # RFC 8291 §3.4
    material = _expand(_extract(keys.auth, shared), b"WebPush: info\0" + keys.p256dh + public, 32)
    pseudorandom = _extract(salt, material)
    key = _expand(pseudorandom, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _expand(pseudorandom, b"Content-Encoding: nonce\0", 12)
    # RFC 8188 §2, §2.1: the only record is the last one, which ends with the delimiter 2.
    header = salt + RECORD_SIZE.to_bytes(4, "big") + bytes([p256.POINT_OCTETS]) + public
    return header + AESGCM(key).encrypt(nonce, plaintext + b"\x02", None)


def _number(secret: bytes) -> int:
    return int.from_bytes(secret, "big")


def _extract(salt: bytes, material: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 §2.2)."""
    return hmac.digest(salt, material, "sha256")


def _expand(key: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand to no more than one block (RFC 5869 §2.3)."""
    return hmac.digest(key, info + b"\x01", "sha256")[:size]
