"""The file of trust anchors: read when it is needed and when it changes, and told of when it is useless."""

import shutil

import pytest

from minijmap.mail.smimetrust import TrustProblem, TrustStore
from tests.mail.smimekit import Workshop


@pytest.fixture
def workshop(tmp_path):
    """Where certificates are made."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command")
    place = tmp_path / "workshop"
    place.mkdir()
    return Workshop(place)


def test_a_file_without_a_certificate(tmp_path):
    """Each way in which it can be useless is told."""
    path = tmp_path / "anchors.pem"
    with pytest.raises(TrustProblem, match=f"The trust anchors in {path} can't be read: No such file"):
        TrustStore(str(path)).check()
    path.write_bytes(b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n")
    with pytest.raises(TrustProblem, match="holds no certificate in PEM form"):
        TrustStore(str(path)).check()


def test_a_file_that_becomes_useless(workshop, tmp_path, caplog):
    """What was trusted is trusted on; the log tells."""
    path = tmp_path / "anchors.pem"
    path.write_bytes(b"# ours\n" + workshop.root.certificate.read_bytes())
    store = TrustStore(str(path))
    before = store.anchors()
    assert before.fingerprint
    path.write_bytes(b"oops")

    assert store.anchors() is before
    assert "S/MIME goes on with the trust anchors of before." in caplog.text


def test_the_systems_anchors():
    """Without a setting those of the system are trusted, if it has any."""
    anchors = TrustStore().anchors()

    assert bool(anchors.fingerprint) == bool(anchors.by_subject)
