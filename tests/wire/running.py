"""A real `minijmap` process over real sockets: started by the command line, spoken to by HTTP and SMTP, killed at will."""

import base64
import json
import os
import re
import signal
import smtplib
import subprocess
import sys
import urllib.request

MINIJMAP = (sys.executable, "-m", "minijmap")
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
ALICE = "alice@example.com"


def environment():
    """Return an environment in which no setting of the tester's own speaks, and nobody asks the world's DNS."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("MINIJMAP_")}
    return mine | {"MINIJMAP_POLICY": "off"}


def run(*arguments, check=True, text=""):
    """Run a minijmap command to its end and return it, with its output as text."""
    done = subprocess.run(
        [*MINIJMAP, *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


class Running:
    """A server process, from its first line of output to its end."""

    def __init__(self, *arguments, **settings):
        """Start it; `settings` go by the environment."""
        self.process = subprocess.Popen(
            [*MINIJMAP, *map(str, arguments), "--http", "127.0.0.1:0", "--smtp", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment() | {f"MINIJMAP_{name.upper()}": str(value) for name, value in settings.items()},
        )
        self.lines = []
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise AssertionError(f"it ended with {self.end()}: {self.lines}")
            self.lines.append(line.rstrip("\n"))
        said = "\n".join(self.lines)
        self.url = re.search(r"^http  (http://127\.0\.0\.1:\d+)$", said, re.MULTILINE)[1]
        self.smtp_port = int(re.search(r"^smtp  127\.0\.0\.1:(\d+)$", said, re.MULTILINE)[1])
        submission = re.search(r"^submission  127\.0\.0\.1:(\d+)$", said, re.MULTILINE)
        self.submission_port = int(submission[1]) if submission else None

    def get(self, path, user=ALICE, password="secret"):
        """Fetch a path of the server; return the octets."""
        with urllib.request.urlopen(self._request(path, None, user, password), timeout=30) as answer:
            return answer.read()

    def post(self, path, body, user=ALICE, password="secret", kind="application/json"):
        """Post octets to a path of the server; return the octets that come back."""
        request = self._request(path, body, user, password)
        request.add_header("Content-Type", kind)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def _request(self, path, body, user, password):
        secret = base64.b64encode(f"{user}:{password}".encode()).decode()
        return urllib.request.Request(self.url + path, body, {"Authorization": f"Basic {secret}"})

    def request(self, *calls, user=ALICE, password="secret"):
        """Make method calls; return `methodResponses`."""
        body = json.dumps({"using": USING, "methodCalls": calls}).encode()
        return json.loads(self.post("/jmap/api", body, user, password))["methodResponses"]

    def send(self, message, recipients=(ALICE,)):
        """Hand a message to the SMTP port; it is acknowledged when this returns."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=30) as smtp:
            smtp.sendmail("you@example.org", list(recipients), message)

    def subjects(self):
        """Return the subjects of all of Alice's Emails."""
        query, get = self.request(
            ["Email/query", {"accountId": "a1"}, "q"],
            [
                "Email/get",
                {
                    "accountId": "a1",
                    "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"},
                    "properties": ["subject"],
                },
                "g",
            ],
        )
        assert len(query[1]["ids"]) == len(get[1]["list"])
        return [email["subject"] for email in get[1]["list"]]

    def kill(self):
        """End it without a word, as a power cut would."""
        self.process.kill()
        self.end()

    def stop(self):
        """Ask it to stop; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self):
        """Wait for its end and return its exit status."""
        status = self.process.wait(timeout=10)
        self.process.stdout.close()
        return status
