"""Message encryption: RFC 8291's own example, and a program that decrypts what ours encrypts."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.push import p256, webpush
from minijmap.push.webpush import ClientKeys
from tests.push.sink import Device

DEVICE = Device()
KEYS = ClientKeys(p256.decode(DEVICE.keys["p256dh"]), p256.decode(DEVICE.keys["auth"]))


def test_the_example_of_the_rfc():
    """RFC 8291 §5 and its appendix A: the same keys and salt give the same octets."""
    keys = ClientKeys(
        p256.decode("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        p256.decode("BTBZMqHH6r4Tts7J_aSIgg"),
    )
    body = webpush.encrypt(
        b"When I grow up, I want to be a watermelon",
        keys,
        secret=p256.decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        salt=p256.decode("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert p256.encode(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_y"
        "l95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert len(body) == 144


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=webpush.MOST_PLAINTEXT))
def test_another_program_decrypts_it(plaintext):
    """Whatever is pushed comes out at the other end, in a body that every push service takes."""
    body = webpush.encrypt(plaintext, KEYS)
    assert len(body) == len(plaintext) + 103 <= 4096
    assert DEVICE.decrypt(body) == plaintext


def test_a_record_is_the_only_one_and_larger_than_what_it_holds():
    """RFC 8291 §4: `rs` is greater than plaintext, delimiter and tag together; the key is the whole `keyid`."""
    body = webpush.encrypt(bytes(webpush.MOST_PLAINTEXT), KEYS)
    assert int.from_bytes(body[16:20], "big") > webpush.MOST_PLAINTEXT + 17
    assert body[20] == 65
    assert body[21] == 4


def test_no_two_messages_have_a_key_or_salt_in_common():
    """RFC 8291 §3.1: the key pair is new for each message; so is the salt."""
    bodies = [webpush.encrypt(b"same", KEYS) for _ in range(3)]
    assert len({body[:16] for body in bodies}) == 3
    assert len({body[21:86] for body in bodies}) == 3


def test_too_much_is_refused():
    """One octet more than fits into 4096."""
    with pytest.raises(ValueError, match="3993"):
        webpush.encrypt(bytes(webpush.MOST_PLAINTEXT + 1), KEYS)


def test_nothing_of_cryptography_is_loaded_by_the_modules_themselves():
    """A server without subscriptions stays small: the library is imported where it is used."""
    folder = Path(webpush.__file__).parent
    loaded = [
        path.name
        for path in folder.glob("*.py")
        if re.search(r"^(from|import) cryptography", path.read_text(), re.MULTILINE)
    ]
    assert loaded == []
