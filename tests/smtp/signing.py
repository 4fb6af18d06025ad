"""Signed mail, made by dkimpy: keys, their records, DKIM signatures and ARC seals."""

import base64
import functools

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from minijmap.smtp import dkimcheck
from minijmap.smtp.resolver import Resolver

LETTER = (
    b"From: Bob <bob@remote.example>\r\n"
    b"To: alice@example.org\r\n"
    b"Subject: A letter,\r\n"
    b"\tfolded\r\n"
    b"Date: Tue, 14 Nov 2023 22:00:00 +0000\r\n"
    b"Message-ID: <1@remote.example>\r\n"
    b"\r\n"
    b"Dear  Alice, \r\n\r\nhow\tare you?\r\n\r\n\r\n"
)


@functools.cache
def private_key(bits):
    """Return a key of so many bits, made once, as dkimpy takes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


@functools.cache
def public_key(bits):
    """Return its public half in base64."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(private_key(bits), None).public_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def publish(dns, domain="remote.example", selector="s1", bits=2048, tags="v=DKIM1; k=rsa; "):
    """Publish the key."""
    dns.add(f"{selector}._domainkey.{domain}", "TXT", f"{tags}p={public_key(bits)}")


def signed(message=LETTER, domain="remote.example", selector="s1", bits=2048, form="relaxed/relaxed", **more):
    """Return a message with a DKIM signature before it."""
    forms = tuple(one.encode() for one in form.split("/"))
    header = dkim.sign(message, selector.encode(), domain.encode(), private_key(bits), canonicalize=forms, **more)
    return header + message


def sealed(message, domain="list.example", selector="s1", srv_id="list.example"):
    """Return a message with an ARC set before it, made of the Authentication-Results of `srv_id` in it."""
    lines = dkim.arc_sign(message, selector.encode(), domain.encode(), private_key(2048), srv_id.encode())
    return b"".join(lines) + message


def checked(dns, message, first=lambda _domain: False, now=1_700_000_000.0):
    """Return the results for each DKIM signature as (domain, value, reason)."""
    resolver = Resolver(dns.address, timeout=0.3)
    found = dkimcheck.check(dkimcheck.split(message), resolver.budget(5, 100), first, now)
    return [(one.domain, one.result.value, one.result.reason) for one in found]


def values(dns, message):
    """Return the result words for each DKIM signature."""
    return [value for _, value, _ in checked(dns, message)]
