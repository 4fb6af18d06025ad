"""Certificates and signed messages, made by the `openssl` command: what S/MIME is tested with comes from elsewhere."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from minijmap.mail import message, smime
from minijmap.mail.smimetrust import TrustStore

BODY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe meeting is at noon.\r\n"
ALICE, MALLORY = "alice@example.com", "mallory@example.net"
CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash"
MAIL = (
    "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\n"
    "subjectKeyIdentifier=hash\nsubjectAltName=email:{}"
)
NOW = datetime.now(UTC)  # what openssl signs has the time of the machine
DAY_MS = 24 * 3600 * 1000
LATER = int(NOW.timestamp() * 1000) + DAY_MS


def day(number):
    """Return midnight of a day before or after today, as `openssl ca` takes it."""
    return (NOW + timedelta(days=number)).strftime("%Y%m%d000000Z")


RSA = ("rsa:2048",)
P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


@dataclass(frozen=True)
class Identity:
    """A key and its certificate, as files."""

    name: str
    key: Path
    certificate: Path


class Workshop:
    """Makes certificates and signs. What has been made once is there for all tests of a session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = self.authority("root")

    def openssl(self, *arguments, stdin=b""):
        """Run the command; return its output."""
        done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def authority(self, name, issuer=None, extensions=CA, key=P256, **more):
        """Return an authority, a root if nobody issues it."""
        return self.issue(name, f"/CN={name}", extensions, issuer, key, **more)

    def person(self, name="alice", address=ALICE, issuer=None, extensions=MAIL, key=P256, **more):
        """Return somebody with a certificate for mail."""
        return self.issue(name, f"/CN={name}", extensions.format(address), issuer or self.root, key, **more)

    def issue(self, name, subject, extensions, issuer, key=P256, since=-400, until=1500, md=()):
        """Make a key and a certificate for it."""
        made = Identity(name, self.folder / f"{name}.key", self.folder / f"{name}.pem")
        if made.certificate.exists():
            return made
        request = self.folder / f"{name}.csr"
        self.openssl("req", "-new", "-newkey", *key, "-nodes", "-keyout", made.key, "-out", request, "-subj", subject)
        database = self.folder / f"{name}.db"
        database.mkdir()
        (database / "index").touch()
        (database / "serial").write_text(f"{len(list(self.folder.iterdir())) + 4096:04x}")
        config = self.folder / f"{name}.cnf"
        config.write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}/index\nserial={database}/serial\nnew_certs_dir={database}\n"
            f"unique_subject=no\npolicy=p\ndefault_md=sha256\nemail_in_dn=yes\n[p]\ncommonName=optional\n"
            f"emailAddress=optional\n[e]\n{extensions}\n"
        )
        by = (
            ["-selfsign", "-keyfile", made.key]
            if issuer is None
            else ["-cert", issuer.certificate, "-keyfile", issuer.key]
        )
        self.openssl(
            *(
                "ca",
                "-batch",
                "-notext",
                "-config",
                config,
                "-in",
                request,
                "-out",
                made.certificate,
                "-extensions",
                "e",
            ),
            *("-startdate", day(since), "-enddate", day(until), "-preserveDN", *(["-md", *md] if md else []), *by),
        )
        return made

    def anchors(self, *identities):
        """Return the path of a file of trust anchors."""
        path = self.folder / f"anchors-{'-'.join(one.name for one in identities)}.pem"
        path.write_bytes(b"".join(one.certificate.read_bytes() for one in identities))
        return str(path)

    def verifies(self, raw, anchors):
        """Say what the command thinks of a message."""
        done = subprocess.run(
            ["openssl", "cms", "-verify", "-purpose", "smimesign", "-CAfile", anchors],
            input=raw,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def sign(self, who, *options, body=BODY, sender=ALICE, chain=()):
        """Return a message, signed in a part of its own (or opaque, with `-nodetach`)."""
        content = self.folder / "content"
        content.write_bytes(body)
        more = self.folder / "chain.pem"
        more.write_bytes(b"".join(one.certificate.read_bytes() for one in chain))
        signed = self.openssl(
            *("cms", "-sign", "-in", content, "-signer", who.certificate, "-inkey", who.key, "-md", "sha256"),
            *(["-certfile", more] if chain else []),
            *options,
        )
        return f"From: {sender}\r\nTo: bob@example.com\r\nSubject: Noon\r\n".encode() + signed.replace(
            b"\r\n", b"\n"
        ).replace(b"\n", b"\r\n")


def judged(raw, anchors, at=LATER):
    """Return status and errors of a message; (None, None) without a signature."""
    findings = smime.examine(raw, message.parse(raw), TrustStore(anchors).anchors())
    return (None, None) if findings is None else findings.judge(at)


def errors(raw, anchors, at=LATER):
    """Return why a message is not believed."""
    status, found = judged(raw, anchors, at)
    assert status == "signed/failed"
    return found
