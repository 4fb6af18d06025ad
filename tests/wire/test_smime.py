"""A signed message by SMTP into a running server: what a client is told of it, and what a bad setting does."""

import json
import shutil

import pytest

from tests.mail.smimekit import Workshop
from tests.wire.running import run

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:smimeverify"]


def test_a_signed_message_by_smtp(start, folder, tmp_path):
    """The trace that is put before it does not touch what is signed; trust comes from the setting."""
    workshop = Workshop(tmp_path)
    (folder / "minijmap.toml").write_text(f'smime_trust_anchors = "{workshop.anchors(workshop.root)}"\n')
    server = start()
    server.send(workshop.sign(workshop.person()))
    query = ["Email/query", {"accountId": "a1", "filter": {"hasVerifiedSmime": True}}, "q"]
    get = ["Email/get", {"accountId": "a1", "properties": ["subject", "smimeStatus", "smimeErrors"]}, "g"]
    get[1]["#ids"] = {"resultOf": "q", "name": "Email/query", "path": "/ids"}
    body = json.dumps({"using": USING, "methodCalls": [query, get]}).encode()
    answers = json.loads(server.post("/jmap/api", body))["methodResponses"]

    (shown,) = answers[1][1]["list"]
    assert shown == {"id": "e1", "subject": "Noon", "smimeStatus": "signed/verified", "smimeErrors": None}
    assert server.stop() == 0


def test_trust_anchors_that_are_not_there(tmp_path):
    """The start stops with one line that names the file."""
    config = tmp_path / "minijmap.toml"
    config.write_text(f'smime_trust_anchors = "{tmp_path}/none.pem"\n')
    done = run("--data", tmp_path, "serve", "--http", "127.0.0.1:0", "--smtp", "", "--submission", "", check=False)

    assert done.returncode == 1
    assert f"The trust anchors in {tmp_path}/none.pem can't be read" in done.stderr
