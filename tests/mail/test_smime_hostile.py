"""Hostile S/MIME: whatever comes is a status and never an error, at a bounded cost, and nothing altered is verified."""

import base64
import shutil
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minijmap.mail import message, smime, smimeber, smimecms, smimeform
from minijmap.mail.smimetrust import TrustStore
from tests.mail import smimekit
from tests.mail.smimekit import ALICE, CA, DAY_MS, MAIL, Workshop

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")
NOW = int(smimekit.NOW.timestamp() * 1000) + DAY_MS
DATA = bytes.fromhex("06092a864886f70d010701")
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Where certificates are made, once for all tests."""
    return Workshop(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def anchors(workshop):
    """The root that is trusted."""
    return TrustStore(workshop.anchors(workshop.root)).anchors()


@pytest.fixture(scope="module")
def messages(workshop):
    """One signed message of each form."""
    alice = workshop.person()
    return [workshop.sign(alice), workshop.sign(alice, "-nodetach"), workshop.sign(alice, "-nodetach", "-stream")]


def element(tag, *content):
    """Return an element of BER with a definite length."""
    return smimeber.encoded(bytes((tag,)), b"".join(content))


def signed_data(content=b"", certificates=b"", signers=b""):
    """Return a SignedData of the pieces."""
    inner = element(
        0x30, element(2, b"\1"), element(0x31), element(0x30, DATA, content), certificates, element(0x31, signers)
    )
    return element(0x30, SIGNED_DATA, element(0xA0, inner))


def opaque(der):
    """Return a message that is a CMS object."""
    head = f"From: {ALICE}\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\n"
    return f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + base64.encodebytes(der)


def judged(raw, anchors):
    """Return status and errors of a message, and how many seconds it took."""
    started = time.perf_counter()
    findings = smime.examine(raw, message.parse(raw), anchors)
    status, errors = (None, None) if findings is None else findings.judge(NOW)
    return status, errors, time.perf_counter() - started


def substance(raw):
    """Return what a signed message says: the octets that are signed, and by whom it claims to be."""
    root = message.parse(raw)
    place = smimeform.find(root)
    if place.form == smimeform.DETACHED:
        entity = smimeform.signed_entity(raw, place.part)
    else:
        entity = smimecms.read(smimeform.object_of(raw, place.part)).content
    return entity


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_altered_is_not_verified(messages, anchors, data):
    """Octets changed, cut out and put in anywhere: it never raises, and is verified only if what is signed is the same."""
    raw = data.draw(st.sampled_from(messages))
    changed = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        piece = data.draw(st.binary(max_size=3))
        changed[at : at + data.draw(st.integers(0, 3))] = piece
    status, errors, _ = judged(bytes(changed), anchors)

    assert status in (None, "unknown", "signed/verified", "signed/failed")
    assert (errors is None) == (status != "signed/failed")
    if status == "signed/verified":
        assert substance(bytes(changed)) == substance(raw)


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_altered_objects_are_not_verified(messages, anchors, data):
    """The same inside of the CMS object, where base64 does not hide what was done."""
    der = bytearray(smimeform.object_of(messages[1], smimeform.find(message.parse(messages[1])).part))
    before = smimecms.read(bytes(der))
    at = data.draw(st.integers(0, len(der) - 1))
    der[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=4))
    status, _, _ = judged(opaque(bytes(der)), anchors)

    if status == "signed/verified":
        assert smimecms.read(bytes(der)).content == before.content


@given(st.binary(max_size=200), st.sampled_from(["detached", "opaque"]))
@settings(max_examples=100, deadline=None)
def test_any_octets(octets, form):
    """Octets that are no CMS object at all."""
    from minijmap.mail.smimetrust import Anchors

    raw = opaque(octets)
    if form == "detached":
        raw = (
            b"From: alice@example.com\r\nContent-Type: multipart/signed; protocol=application/pkcs7-signature; boundary=b"
            b"\r\n\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(octets) + b"--b--\r\n"
        )
    status, errors, _ = judged(raw, Anchors())

    assert status == "signed/failed"
    assert errors


UNREADABLE = ["The S/MIME object can't be read."]


@pytest.mark.parametrize(
    "der",
    [
        b"",
        signed_data(element(0xA0, b"\x24\x80" * 100_000 + b"\0\0" * 100_000)),
        b"\x30\x80" * 100_000,
        signed_data(element(0xA0, b"\x24\x80" + element(4, b"x") * 1_000_000 + b"\0\0")),
        b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff",
        signed_data(element(0xA0, b"\x04\x84\x7f\xff\xff\xff")),
        b"\x04\x80\0\0",
        b"\x1f" + b"\xff" * 50_000,
    ],
    ids=["nothing", "deep", "endless", "in a million pieces", "huge", "longer than all", "indefinite", "long tag"],
)
def test_objects_that_would_cost_much(anchors, der):
    """Nesting, pieces and lengths beyond all measure are refused, in little time."""
    status, errors, seconds = judged(opaque(der), anchors)

    assert (status, errors) == ("signed/failed", UNREADABLE)
    assert seconds < 2


def test_thousands_of_certificates_and_signers(anchors, messages):
    """More than anybody needs are not looked at."""
    der = smimecms.read(smimeform.object_of(messages[1], smimeform.find(message.parse(messages[1])).part)).certificates[
        0
    ]
    content = element(0xA0, element(4, b"\r\nhi"))
    names = element(0x30, element(0x30), element(2, b"\1"))
    signer = element(
        0x30, element(2, b"\1"), names, element(0x30, bytes.fromhex("0609608648016503040201")),
        element(0x30, bytes.fromhex("06092a864886f70d010101")), element(4, b"x"),
    )  # fmt: skip
    too_many = ["There are more signatures or certificates than anybody needs."]

    status, errors, seconds = judged(opaque(signed_data(content, element(0xA0, der * 1000), signer)), anchors)
    assert (status, errors) == ("signed/failed", too_many)
    assert seconds < 2
    status, errors, seconds = judged(opaque(signed_data(content, b"", signer * 5000)), anchors)
    assert (status, errors) == ("signed/failed", too_many)
    assert seconds < 2
    status, errors, _ = judged(opaque(signed_data(content)), anchors)
    assert (status, errors) == ("signed/failed", ["Nobody has signed the message."])


def test_certificates_that_issue_each_other(workshop, anchors):
    """A loop of authorities, each with many certificates, leads nowhere, and that soon."""
    one, two = workshop.authority("loop"), workshop.authority("other-loop")
    made = []
    for number in range(12):
        for here, there in ((one, two), (two, one)):
            extensions = workshop.folder / f"loop{number}.ext"
            extensions.write_text(CA)
            request = workshop.folder / f"{here.name}.csr"
            made.append(workshop.folder / f"loop-{number}-{here.name}.pem")
            workshop.openssl(
                *("x509", "-req", "-in", request, "-CA", there.certificate, "-CAkey", there.key, "-days", "900"),
                *("-set_serial", str(1000 + number), "-extfile", extensions, "-out", made[-1]),
            )
    alice = workshop.person("in-the-loop", issuer=one)
    chain = workshop.folder / "loop-chain.pem"
    chain.write_bytes(b"".join(path.read_bytes() for path in made))
    status, errors, seconds = judged(workshop.sign(alice, "-certfile", chain), anchors)

    assert (status, errors) == ("signed/failed", ["No trusted authority stands behind the signer's certificate."])
    assert seconds < 1


def test_a_certificate_with_an_odd_serial_number(workshop, anchors):
    """A number that no authority may give is no reason to stumble."""
    request = workshop.folder / "odd.ext"
    request.write_text(MAIL.format(ALICE))
    alice = workshop.person()
    odd = smimekit.Identity("odd", alice.key, workshop.folder / "odd.pem")
    workshop.openssl(
        *("x509", "-req", "-in", workshop.folder / "alice.csr", "-CA", workshop.root.certificate, "-CAkey"),
        *(workshop.root.key, "-days", "900", "-set_serial", "-7", "-extfile", request, "-out", odd.certificate),
    )

    assert judged(workshop.sign(odd), anchors)[0] in ("signed/verified", "signed/failed")


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("3003020105", "3003020105"),
        ("30800201050000", "3003020105"),
        ("2480040161040162 0000", "04026162"),
        ("2406040161040162", "04026162"),
        ("a0802480040161 0000 0000", "a003040161"),
        ("30 81 03 020105", "3081 03020105"),
    ],
)
def test_definite_form(octets, expected):
    """Lengths become definite, strings whole; what is so already stays octet for octet."""
    assert smimeber.definite(bytes.fromhex(octets)) == bytes.fromhex(expected)


@pytest.mark.parametrize("octets", ["", "30", "3080", "30800201", "0480", "248002010500 00", "3005020105", "30ff"])
def test_no_ber(octets):
    """What breaks off, or is in the wrong place, is told as such."""
    with pytest.raises(smimeber.NotBER):
        smimeber.definite(bytes.fromhex(octets))
