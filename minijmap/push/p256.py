"""The curve P-256 (FIPS 186-4 §D.1.2.3), as far as keys are made and checked: points, and their uncompressed form.

Plain integers: a server that has nothing to push should not load a library of 9 MB for one key and a few checks. What
is done with keys (ECDH, ECDSA) is `cryptography`'s. Must not know what a key is for.
"""

import base64
import re
import secrets

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
POINT_OCTETS, SECRET_OCTETS = 65, 32

Point = tuple[int, int] | None
"""Affine coordinates; None is the point at infinity."""

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")


def make_secret() -> bytes:
    """Return a new private key: 32 octets, an integer from 1 to the order less one."""
    return (secrets.randbelow(ORDER - 1) + 1).to_bytes(SECRET_OCTETS, "big")


def public_of(secret: bytes) -> bytes:
    """Return the public key of a private one, as an uncompressed point (SEC 1 §2.3.3).

    Takes milliseconds that depend on the key: for the moment in which it is made, and nowhere else.
    """
    scalar = int.from_bytes(secret, "big")
    total: Point = None
    power: Point = BASE
    while scalar:
        if scalar & 1:
            total = _add(total, power)
        power, scalar = _add(power, power), scalar >> 1
    if total is None:
        raise ValueError("The private key is zero.")
    return b"\x04" + total[0].to_bytes(SECRET_OCTETS, "big") + total[1].to_bytes(SECRET_OCTETS, "big")


def is_public_key(octets: bytes) -> bool:
    """Say whether octets are an uncompressed point of the curve (RFC 8291 §7: X9.62 §4.3.7)."""
    if len(octets) != POINT_OCTETS or octets[0] != 4:
        return False
    x, y = int.from_bytes(octets[1:33], "big"), int.from_bytes(octets[33:], "big")
    return x < P and y < P and (y * y - (x * x * x - 3 * x + B)) % P == 0


def encode(octets: bytes) -> str:
    """Return octets in base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the octets of base64url, with or without padding. Raises ValueError."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    bare = text.rstrip("=")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def _add(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return other if one is None else one
    (x1, y1), (x2, y2) = one, other
    if x1 == x2:
        if (y1 + y2) % P == 0:
            return None
        slope = 3 * (x1 * x1 - 1) * pow(2 * y1, -1, P) % P  # a = -3
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, P) % P
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P
