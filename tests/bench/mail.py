"""Mail with the world outside, both ways, each in a store of its own: judged as it comes in, passed on to a relay.

The world is a name server and a relay on loopback, in this process. What is timed is held against its purpose: mail that
did not pass SPF, DKIM and DMARC, or did not leave once each, raises `RefusedError` instead of giving a number. Must import
nothing that only tests have: a benchmark runs with what the server needs.
"""

import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from tests.bench import server
from tests.bench.client import Client, RefusedError
from tests.bench.corpus import DOMAINS, Corpus, Message
from tests.bench.measure import deliver
from tests.smtp import signing
from tests.smtp.dnsserver import DnsServer
from tests.smtp.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "mx.bench.example"
SELECTOR = "s1"
PASSED = ("spf=pass", "dkim=pass", "dmarc=pass")
WARM_UP, JUDGED = 40, 200
FIRST, RELAYED, AT_ONCE = 1, 400, 100  # submissions: to open the way, timed, in one request
SUBJECT = b"\r\nSubject: "


@contextmanager
def fresh(**settings: object) -> "Iterator[tuple[server.Server, Client]]":
    """A server with these settings, a new store and one user, who has signed in."""
    with tempfile.TemporaryDirectory(prefix="minijmap-bench-mail-") as folder:
        data = Path(folder)
        server.run(data, "user", "add", server.ADDRESS, "--password-stdin", stdin=server.PASSWORD + "\n")
        with (
            server.serving(data, hostname=HOST, **settings) as running,
            closing(Client(running.url, server.ADDRESS, server.PASSWORD)) as client,
        ):
            yield running, client


def judged() -> float:
    """Messages per second over one SMTP connection, each judged by SPF, DKIM and DMARC; the look-ups are cached."""
    messages = [signed(message) for message, _ in zip(Corpus(), range(WARM_UP + JUDGED), strict=False)]
    with DnsServer() as dns, fresh(dns_server=dns.address, policy="reject") as (running, client):
        for domain in DOMAINS:
            dns.add(domain, "TXT", "v=spf1 ip4:127.0.0.1 -all")
            dns.add(f"_dmarc.{domain}", "TXT", "v=DMARC1; p=reject")
            signing.publish(dns, domain, SELECTOR)
        deliver(running.smtp, server.ADDRESS, messages[:WARM_UP])
        rate = deliver(running.smtp, server.ADDRESS, messages[WARM_UP:])
        passed = sum(all(word in verdict for word in PASSED) for verdict in verdicts(client))
    if passed != len(messages):
        raise RefusedError(f"{passed} of {len(messages)} messages passed")
    return rate


def signed(message: Message) -> Message:
    """The message with its author's domain's DKIM signature; with CRLF, which `Message.crlf` must not double."""
    octets = signing.signed(message.crlf(), message.sender.rpartition("@")[2], SELECTOR)
    return message._replace(raw=octets.replace(b"\r\n", b"\n"))


def verdicts(client: Client) -> list[str]:
    """The Authentication-Results of every Email (RFC 8601)."""
    account, name = {"accountId": client.account_id}, "header:Authentication-Results:asText"
    ids = {"resultOf": "0", "name": "Email/query", "path": "/ids"}
    _, got = client.ask(
        ("Email/query", account | {"limit": WARM_UP + JUDGED}),
        ("Email/get", account | {"#ids": ids, "properties": [name]}),
    )
    return [email[name] or "" for email in got["list"]]


def relayed() -> float:
    """Messages per second to a relay without TLS, from the moment at which it takes any to the last one."""
    sink, gate = Sink(), Event()
    with closing(sink), fresh(relay=f"smtp://127.0.0.1:{sink.port}", relay_tls="none") as (_, client):
        try:
            submit(client, range(FIRST))  # whatever is read, opened and made once
            sink.wait(FIRST)
            sink.answers = {"mail": lambda _: gate.wait() and None}  # nothing leaves until all of it is in the queue
            for begin in range(FIRST, FIRST + RELAYED, AT_ONCE):
                submit(client, range(begin, min(begin + AT_ONCE, FIRST + RELAYED)))
            started = time.perf_counter()
            gate.set()
            taken = sink.wait(FIRST + RELAYED)
            seconds = time.perf_counter() - started
        except AssertionError as error:  # the relay's patience
            raise RefusedError(f"{error} messages left") from None
        finally:
            gate.set()
        subjects = {one.octets.partition(SUBJECT)[2].partition(b"\r\n")[0] for one in taken}
    if len(subjects) != len(taken):
        raise RefusedError(f"{len(taken) - len(subjects)} messages left twice")
    return RELAYED / seconds


def submit(client: Client, numbers: range) -> None:
    """Write and submit one message for each number in one request (RFC 8621 §7.5)."""
    account = {"accountId": client.account_id}
    mailboxes, identities = client.ask(("Mailbox/get", account), ("Identity/get", account))
    drafts = next(mailbox["id"] for mailbox in mailboxes["list"] if mailbox["role"] == "drafts")
    identity = identities["list"][0]["id"]
    emails = {
        f"e{number}": {
            "mailboxIds": {drafts: True},
            "from": [{"email": server.ADDRESS}],
            "to": [{"email": f"reader{number}@elsewhere.example"}],
            "subject": f"Number {number}",
            "bodyStructure": {"type": "text/plain", "partId": "1"},
            "bodyValues": {"1": {"value": "Hello, there.\n" * 100}},
        }
        for number in numbers
    }
    submissions = {f"s{number}": {"identityId": identity, "emailId": f"#e{number}"} for number in numbers}
    client.ask(("Email/set", account | {"create": emails}), ("EmailSubmission/set", account | {"create": submissions}))
