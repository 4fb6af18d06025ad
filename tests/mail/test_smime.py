"""The verdict on S/MIME signatures (RFC 9219 §4.1, RFC 8551, RFC 8550): who is believed, and why somebody is not."""

import base64
import hashlib
import shutil
import zlib

import pytest
from asn1crypto import cms, x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from tests.mail.smimekit import ALICE, BODY, MAIL, MALLORY, RSA, Workshop, errors, judged

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")
VERIFIED = ("signed/verified", None)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """Where certificates are made, once for all tests."""
    return Workshop(tmp_path_factory.mktemp("smime"))


@pytest.fixture(scope="session")
def trusted(workshop):
    """The file with the root that is trusted."""
    return workshop.anchors(workshop.root)


KINDS = {
    "rsa": (RSA, ()),
    "rsa-sha512": (RSA, ("-md", "sha512")),
    "pss": (RSA, ("-keyopt", "rsa_padding_mode:pss")),
    "p256": (("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ()),
    "p384": (("ec", "-pkeyopt", "ec_paramgen_curve:P-384"), ("-md", "sha384")),
}


FORMS = {"detached": (), "opaque": ("-nodetach",), "streamed": ("-nodetach", "-stream")}
COMBINED = [
    (kind, form) for kind in KINDS for form in FORMS if (kind, form) != ("pss", "streamed")
]  # openssl fails at it


@pytest.mark.parametrize(("kind", "form"), COMBINED)
def test_every_kind_of_key_and_form(workshop, trusted, kind, form):
    """RSA in both paddings and ECDSA; in a part of its own, opaque, and opaque with indefinite lengths."""
    key, options = KINDS[kind]
    alice = workshop.person(f"alice-{kind}", key=key)

    assert judged(workshop.sign(alice, *options, *FORMS[form]), trusted) == VERIFIED


@pytest.mark.parametrize("algorithm", ["ed25519", "ed448"])
def test_edwards_curves(workshop, trusted, algorithm):
    """The openssl of Debian 12 can't sign mail with them: the signature is put in by hand (RFC 8419 §3.1)."""
    alice = workshop.person(f"alice-{algorithm}", key=(algorithm,))

    def signed(told):
        key = load_pem_private_key(alice.key.read_bytes(), None)
        info = {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {"issuer_and_serial_number": {"issuer": told.issuer, "serial_number": told.serial_number}}
            ),
            "digest_algorithm": {"algorithm": "sha512"},
            "signed_attrs": [
                {"type": "content_type", "values": ["data"]},
                {"type": "message_digest", "values": [hashlib.sha512(BODY).digest()]},
            ],
            "signature_algorithm": {"algorithm": algorithm},
            "signature": b"",
        }
        attributes = cms.CMSAttributes(info["signed_attrs"]).dump()
        return {**info, "signature": key.sign(attributes)}

    raw = opaque(handmade(alice, signed))
    assert judged(raw, trusted) == VERIFIED
    assert errors(opaque(handmade(alice, signed).replace(b"noon", b"nine")), trusted) == [
        "The message was changed after it was signed."
    ]


def handmade(alice, signed):
    """Return a SignedData with one signature, made by `signed` from the signer's certificate."""
    der = load_pem_x509_certificate(alice.certificate.read_bytes()).public_bytes(Encoding.DER)
    certificate = x509.Certificate.load(der)
    content = {
        "version": "v1",
        "digest_algorithms": [],
        "encap_content_info": {"content_type": "data", "content": BODY},
        "certificates": [certificate],
        "signer_infos": [signed(certificate)],
    }
    return cms.ContentInfo({"content_type": "signed_data", "content": content}).dump()


def opaque(der, smime_type="signed-data"):
    """Return a message that is a CMS object."""
    head = f"From: {ALICE}\r\nContent-Type: application/pkcs7-mime; smime-type={smime_type}\r\n"
    return f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + base64.encodebytes(der)


@pytest.mark.parametrize(
    "options", [("-keyid",), ("-noattr",), ("-cades",), ("-nosmimecap",)], ids=["key-id", "bare", "cades", "plain"]
)
def test_what_a_signature_may_say(workshop, trusted, options):
    """The signer by key id, no signed attributes, the hash of the certificate beside it (RFC 5035)."""
    assert judged(workshop.sign(workshop.person(), *options), trusted) == VERIFIED


@pytest.mark.parametrize("form", [(), ("-nodetach",)], ids=["detached", "opaque"])
def test_an_altered_message(workshop, trusted, form):
    """One letter more, and the signature is worth nothing."""
    raw = workshop.sign(workshop.person(), *form)
    if form:
        head, _, coded = raw.partition(b"\r\n\r\n")
        altered = base64.b64decode(coded).replace(b"noon", b"nine")
        raw = head + b"\r\n\r\n" + base64.encodebytes(altered)
    else:
        raw = raw.replace(b"noon", b"nine")

    assert errors(raw, trusted) == ["The message was changed after it was signed."]


def test_line_ends_of_a_mail_file(workshop, trusted):
    """A message from a file with LF alone is the same message (RFC 8551 §3.1.1)."""
    assert judged(workshop.sign(workshop.person()).replace(b"\r\n", b"\n"), trusted) == VERIFIED


def test_inside_of_the_signed_part_every_octet_counts(workshop, trusted):
    """What is signed may be a multipart, with its preamble and what comes after its end."""
    body = (
        b'Content-Type: multipart/mixed; boundary="i"\r\n\r\npreamble\r\n--i\r\n\r\none\r\n--i\r\n'
        b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ntwo\r\n--i--\r\nthe end\r\n"
    )
    raw = workshop.sign(workshop.person(), body=body)

    assert judged(raw, trusted) == VERIFIED
    assert judged(raw.replace(b"--i--\r\nthe end", b"--i--\r\nThe end"), trusted)[0] == "signed/failed"
    assert judged(raw.replace(b"preamble", b"Preamble"), trusted)[0] == "signed/failed"


def test_a_protected_header(workshop, trusted):
    """A whole message inside of the signature (RFC 8551 §3.1) is as good as its body alone."""
    inner = b"Content-Type: message/rfc822\r\n\r\nFrom: alice@example.com\r\nSubject: Noon\r\n\r\nhello\r\n"

    assert judged(workshop.sign(workshop.person(), body=inner), trusted) == VERIFIED
    assert judged(workshop.sign(workshop.person(), "-nodetach", body=inner), trusted) == VERIFIED


ANOTHER = "The address in From is not that of the signer's certificate."


@pytest.mark.parametrize(
    ("certified", "sender", "is_good"),
    [
        (ALICE, "Alice <alice@EXAMPLE.com>", True),
        (ALICE, '"alice"@example.com', True),
        (ALICE, "Alice@example.com", False),  # RFC 5280 §7.5: letter by letter
        (ALICE, MALLORY, False),
        (ALICE, f'"{ALICE}" <{MALLORY}>', False),
        (ALICE, f"{ALICE}, {MALLORY}", False),
        (ALICE, f"Us: {ALICE}, {ALICE};", True),
        (f"{MALLORY},email:{ALICE}", ALICE, True),
        (f"{MALLORY},email:{ALICE}", f"{MALLORY}, {ALICE}", True),
    ],
)
def test_the_address_in_from(workshop, trusted, certified, sender, is_good):
    """The certificate must be for everybody in From (RFC 9219 §4.1)."""
    someone = workshop.person("two" if "," in certified else "alice", certified)
    found = judged(workshop.sign(someone, sender=sender), trusted)

    assert found == (VERIFIED if is_good else ("signed/failed", [ANOTHER]))


def test_every_from_field_counts(workshop, trusted):
    """Of two From fields readers show one or the other."""
    raw = workshop.sign(workshop.person())

    assert errors(f"From: {MALLORY}\r\n".encode() + raw, trusted) == [ANOTHER]
    assert errors(raw.replace(b"From: alice@example.com\r\n", b""), trusted) == ["The message has no author."]


def test_a_certificate_for_the_sender_alone(workshop, trusted):
    """The signer must be who is in From; Sender is whoever pressed the button."""
    raw = f"Sender: {ALICE}\r\n".encode() + workshop.sign(workshop.person(), sender=MALLORY)

    assert errors(raw, trusted) == [ANOTHER]
    assert judged(f"Sender: {MALLORY}\r\n".encode() + workshop.sign(workshop.person()), trusted) == VERIFIED


def test_addresses_in_other_places(workshop, trusted):
    """An emailAddress in the subject, and one beyond ASCII (RFC 8398); and a certificate with none at all."""
    plain = MAIL.rsplit("\n", 1)[0]
    in_subject = workshop.issue("subject", f"/CN=s/emailAddress={ALICE}", plain, workshop.root)
    beyond = plain + "\nsubjectAltName=@s\n[s]\notherName.0=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:jörg@exämple.com"
    joerg = workshop.issue("joerg", "/CN=joerg", beyond, workshop.root)
    nobody = workshop.issue("nobody", "/CN=nobody", plain, workshop.root)

    assert judged(workshop.sign(in_subject), trusted) == VERIFIED
    assert judged(workshop.sign(joerg, sender="jörg@exämple.com"), trusted) == VERIFIED
    assert judged(workshop.sign(joerg, sender="jörg@xn--exmple-cua.com"), trusted) == VERIFIED
    assert errors(workshop.sign(nobody), trusted) == [ANOTHER]


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_weak_digests(workshop, trusted, digest):
    """Whoever can make two messages with one digest can have a signature for the other."""
    alice = workshop.person("alice-rsa", key=RSA)
    found = errors(workshop.sign(alice, "-md", digest), trusted)

    assert found == [f"The signature rests on {digest.upper().replace('SHA', 'SHA-')}, which is not secure any more."]


def test_several_signers(workshop, trusted):
    """Those count who sign well; together they speak for everybody in From."""
    alice, mallory = workshop.person(), workshop.person("mallory", MALLORY)
    stranger = workshop.issue("stranger", "/CN=x", MAIL.format(ALICE), None)
    both = ("-signer", mallory.certificate, "-inkey", mallory.key)

    assert judged(workshop.sign(alice, *both), trusted) == VERIFIED
    assert judged(workshop.sign(alice, *both, sender=f"{ALICE}, {MALLORY}"), trusted) == VERIFIED
    assert judged(workshop.sign(stranger, *both), trusted)[0] == "signed/failed"
    assert judged(workshop.sign(alice, "-signer", stranger.certificate, "-inkey", stranger.key), trusted) == VERIFIED


def wrapped(inner, kind, more=b""):
    """Return a multipart with an entity and something after it."""
    return (
        b"From: alice@example.com\r\nContent-Type: multipart/%s; boundary=W\r\n\r\n--W\r\n" % kind
        + inner
        + b"\r\n--W\r\n\r\nfooter"
        + more
        + b"\r\n--W--\r\n"
    )


def test_a_part_of_the_message(workshop, trusted):
    """What a list adds below is not signed, and nobody sees from a status which part is."""
    signed = workshop.sign(workshop.person()).split(b"Subject: Noon\r\n", 1)[1]

    assert errors(wrapped(signed, b"mixed"), trusted) == ["Only a part of the message is signed."]
    assert errors(wrapped(signed.replace(b"noon", b"nine"), b"mixed"), trusted) == [
        "Only a part of the message is signed.",
        "The message was changed after it was signed.",
    ]
    attached = b"Content-Type: message/rfc822\r\n\r\n" + workshop.sign(workshop.person())
    assert judged(wrapped(attached, b"mixed"), trusted) == (None, None)


def test_signed_more_than_once(workshop, trusted):
    """Inside of another signature the author's own counts, as it is about all that is shown."""
    inner = workshop.sign(workshop.person(), "-nodetach").split(b"Subject: Noon\r\n", 1)[1]
    inner = inner.split(b"MIME-Version: 1.0\r\n", 1)[1]
    outer = workshop.sign(workshop.person("mallory", MALLORY), body=inner)

    assert judged(outer, trusted) == VERIFIED
    assert judged(outer.replace(ALICE.encode(), b"carol@example.com", 1), trusted) == ("signed/failed", [ANOTHER])


def test_compressed(workshop, trusted):
    """What is packed is looked into (RFC 8551 §3.7); by itself it is S/MIME, and not signed."""
    signed = workshop.sign(workshop.person()).split(b"Subject: Noon\r\n", 1)[1]
    # The openssl of most systems is built without zlib: the object is made here.
    assert judged(packed(signed), trusted) == VERIFIED
    assert judged(packed(BODY), trusted) == ("unknown", None)


def packed(entity):
    """Return a message with a CompressedData (RFC 3274 §1.1)."""
    made = cms.ContentInfo(
        {
            "content_type": "compressed_data",
            "content": {
                "version": "v0",
                "compression_algorithm": {"algorithm": "1.2.840.113549.1.9.16.3.8"},
                "encap_content_info": {"content_type": "data", "content": zlib.compress(entity)},
            },
        }
    ).dump()
    return opaque(made, "compressed-data")


def test_encrypted_messages_have_no_status(workshop, trusted):
    """Nobody can see whether they are signed; and what is signed around them is about the encrypted octets."""
    alice = workshop.person("alice-rsa", key=RSA)
    sealed = workshop.openssl("cms", "-encrypt", "-aes256", alice.certificate, stdin=BODY)
    head = b"From: alice@example.com\r\n"

    assert judged(head + sealed, trusted) == (None, None)
    assert judged(wrapped(sealed, b"mixed"), trusted) == (None, None)
    assert judged(workshop.sign(alice, body=sealed.split(b"\n", 1)[1].replace(b"\n", b"\r\n")), trusted) == VERIFIED


def test_what_is_signed_by_others_is_unknown(trusted):
    """OpenPGP is never called verified (RFC 9219 §4.1, “unknown”)."""
    raw = (
        b"From: alice@example.com\r\nContent-Type: multipart/signed; protocol=application/pgp-signature; boundary=b\r\n\r\n"
        b"--b\r\n\r\nhi\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n--b--\r\n"
    )

    assert judged(raw, trusted) == ("unknown", None)
    assert judged(wrapped(raw.split(b"\r\n", 1)[1], b"mixed"), trusted) == ("unknown", None)
    assert judged(raw.replace(b"protocol=application/pgp-signature; ", b""), trusted) == ("unknown", None)


def test_certificates_alone_are_unknown(workshop, trusted):
    """A message that only brings certificates is S/MIME, neither signed nor encrypted (RFC 8551 §3.8)."""
    alice = workshop.person()
    der = workshop.openssl("crl2pkcs7", "-nocrl", "-certfile", alice.certificate, "-outform", "DER")
    raw = b"From: alice@example.com\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\n"
    raw += b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(der)

    assert judged(raw, trusted) == ("unknown", None)


def test_by_the_names_of_files(workshop, trusted):
    """An octet-stream called smime.p7m is S/MIME where it is the whole message (RFC 8551 §3.10)."""
    raw = workshop.sign(workshop.person(), "-nodetach")
    nameless = raw.replace(b"application/pkcs7-mime; smime-type=signed-data;", b"application/octet-stream;")

    assert judged(nameless, trusted) == VERIFIED
    assert judged(nameless.replace(b"smime.p7m", b"smime.bin"), trusted) == (None, None)


def test_a_detached_signature_in_the_wrong_place(workshop, trusted):
    """A signature with its own content beside the message is about that content, and not about the message."""
    opaque = workshop.sign(workshop.person(), "-nodetach").partition(b"\r\n\r\n")[2]
    raw = (
        b"From: alice@example.com\r\nContent-Type: multipart/signed; protocol=application/pkcs7-signature; boundary=b\r\n"
        b"\r\n--b\r\n\r\nanother text\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + opaque + b"\r\n--b--\r\n"
    )

    assert errors(raw, trusted) == ["The signature and what it signs are not in their places."]
