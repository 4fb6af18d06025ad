"""Keys on P-256, held against cryptography's."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.push import p256


def public(secret):
    """Return the public key of a private one as cryptography has it."""
    key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, p256.ORDER - 1))
def test_public_keys_are_those_of_cryptography(number):
    """Any private key gives the same point."""
    secret = number.to_bytes(32, "big")
    assert p256.public_of(secret) == public(secret)


@pytest.mark.parametrize("number", [1, 2, 3, p256.ORDER - 1, p256.ORDER - 2])
def test_public_keys_at_the_edges(number):
    """Doubling, adding and the last multiples."""
    secret = number.to_bytes(32, "big")
    assert p256.public_of(secret) == public(secret)


def test_a_new_key_is_on_the_curve_and_new():
    """Two keys differ, and both can be used."""
    one, other = p256.make_secret(), p256.make_secret()
    assert one != other
    assert p256.is_public_key(p256.public_of(one))


def test_no_key_is_zero():
    """The point at infinity is no public key."""
    with pytest.raises(ValueError, match="zero"):
        p256.public_of(bytes(32))


@settings(max_examples=100, deadline=None)
@given(
    st.binary(min_size=60, max_size=70)
    | st.builds(lambda octets: b"\x04" + octets, st.binary(min_size=64, max_size=64))
)
def test_points_are_judged_as_cryptography_judges_them(octets):
    """What cryptography refuses is refused; compressed points, which it takes, are too (RFC 8291 §2.1)."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
        good = len(octets) == 65
    except ValueError:
        good = False
    assert p256.is_public_key(octets) == good


def test_a_point_beside_the_curve_is_refused():
    """One bit makes the difference, and so do coordinates that are not reduced."""
    point = bytearray(p256.public_of((5).to_bytes(32, "big")))
    assert p256.is_public_key(bytes(point))
    assert not p256.is_public_key(b"\x04" + p256.P.to_bytes(32, "big") + bytes(point[33:]))
    assert not p256.is_public_key(b"\x04" + bytes(64))
    point[64] ^= 1
    assert not p256.is_public_key(bytes(point))


@settings(max_examples=100)
@given(st.binary(max_size=70))
def test_base64url_goes_both_ways(octets):
    """Without padding when written; with or without when read."""
    text = p256.encode(octets)
    assert "=" not in text
    assert p256.decode(text) == octets
    assert p256.decode(text + "=" * (-len(text) % 4)) == octets


@pytest.mark.parametrize("text", ["a+b/", "a b", "é", "AAAA=AAA", "A", "AAAA\n"])
def test_what_is_not_base64url_is_refused(text):
    """The other alphabet, spaces, letters of elsewhere, padding in the middle, six bits."""
    with pytest.raises(ValueError, match=r"."):
        p256.decode(text)
