"""Push over real sockets: a server process, mail by SMTP, a push service, a name server; a kill in the middle."""

import json
import time

import pytest

from tests.push.sink import HANG, Device, Sink, status
from tests.smtp.dnsserver import DnsServer
from tests.wire.running import ALICE, Running, run

HOST = "push.example"
MESSAGE = b"From: Carol <carol@example.org>\r\nTo: alice@example.com\r\nSubject: %b\r\n\r\nHello\r\n"
VAPID = "urn:ietf:params:jmap:webpush-vapid"


@pytest.fixture
def sink():
    """The push service."""
    with Sink() as sink:
        yield sink


@pytest.fixture
def dns():
    """A name server that knows the push service."""
    with DnsServer({(HOST, "A"): ["127.0.0.1"]}) as server:
        yield server


@pytest.fixture
def begin(folder, dns):
    """Give a function that starts the server, with push to private networks unless a test says otherwise."""
    started = []

    def start(**settings):
        settings = {"dns_server": dns.address, "push_to_private_networks": "true"} | settings
        started.append(Running("serve", "--data", folder, **settings))
        return started[-1]

    yield start
    for server in started:
        server.kill()


def create(server, url, user=ALICE, password="secret", **properties):
    """Create a push subscription; return the answer."""
    given = {"deviceClientId": "phone", "url": url, **properties}
    (answer,) = server.request(["PushSubscription/set", {"create": {"s": given}}, "c"], user=user, password=password)
    return answer[1]


def subscribe(server, sink, device, path="/push", **properties):
    """Create a push subscription and verify it; return its id."""
    answer = create(server, sink.url(path, HOST), keys=device.keys, **properties)
    which = answer["created"]["s"]["id"]
    code = sink.wait(1, path)[0].json(device)["verificationCode"]
    (answer,) = server.request(["PushSubscription/set", {"update": {which: {"verificationCode": code}}}, "c"])
    assert answer[1]["updated"] == {which: None}
    return which


def state(server, name="Email"):
    """Return the state that /get gives."""
    ((_, answer, _),) = server.request([f"{name}/get", {"accountId": "a1", "ids": []}, "g"])
    return answer["state"]


def subscriptions(server):
    """Return the ids of the subscriptions that there are."""
    ((_, answer, _),) = server.request(["PushSubscription/get", {"ids": None, "properties": ["id"]}, "g"])
    return [one["id"] for one in answer["list"]]


def eventually(is_so, seconds=15):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_message_reaches_a_phone(begin, sink):
    """SMTP in, encrypted pushes out: the notification first, then the states that /get gives."""
    device, server = Device(), begin()
    subscribe(server, sink, device, emailPush={"a1": {"properties": ["subject", "from"]}})
    server.send(MESSAGE % b"Dinner")
    _, mail, change = sink.wait(3)
    assert mail.json(device)["emails"] == [
        {"subject": "Dinner", "from": [{"name": "Carol", "email": "carol@example.org"}]}
    ]
    told = change.json(device)["changed"]["a1"]
    assert told["Email"] == state(server)
    assert told["Mailbox"] == state(server, "Mailbox")
    session = json.loads(server.get("/jmap/session"))
    for push in sink.pushes:
        claims, key = push.claims()
        assert key == session["capabilities"][VAPID]["applicationServerKey"]
        assert claims["aud"] == sink.url("", HOST)
        assert claims["sub"] == "mailto:postmaster@example.com"
    assert server.stop() == 0


def test_what_was_not_delivered_is_pushed_after_a_kill(begin, sink):
    """The process dies while a push hangs and mail comes: the next one pushes the newest states."""
    device, server = Device(), begin()
    subscribe(server, sink, device)
    sink.answers["/push"] = [HANG, status(201)]
    server.send(MESSAGE % b"One")
    sink.wait(2)
    server.send(MESSAGE % b"Two")
    server.kill()
    server = begin()
    change = sink.wait(3)[2].json(device)
    assert change["changed"]["a1"]["Email"] == state(server)


def test_a_server_with_a_hanging_push_stops_in_time(begin, sink):
    """SIGTERM with pushes under way."""
    server = begin()
    subscribe(server, sink, Device())
    sink.answers["/push"] = [HANG]
    server.send(MESSAGE % b"One")
    sink.wait(2)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5


def test_by_default_nothing_private_is_connected_to(begin, dns, sink):
    """A name that the DNS gives a private address: the URL is taken, and not one connection is made."""
    server = begin(push_to_private_networks="false")
    for url in (sink.url("/", HOST), f"https://127.0.0.1:{sink.port}/", f"https://localhost:{sink.port}/"):
        assert create(server, url)["notCreated"]["s"]["properties"] == ["url"]
    answer = create(server, f"https://{HOST}:{sink.port}/")
    assert answer["notCreated"] is None
    dns.wait(HOST)
    assert server.stop() == 0
    assert sink._open == []


def test_a_change_by_another_process_is_pushed(begin, folder, tmp_path, sink):
    """`minijmap import` while the server runs: within seconds."""
    device, server = Device(), begin()
    subscribe(server, sink, device)
    (tmp_path / "one.eml").write_bytes(MESSAGE % b"Old")
    run("--data", folder, "import", ALICE, tmp_path / "one.eml")
    change = sink.wait(2)[1].json(device)
    assert change["changed"]["a1"]["Email"] == state(server)


def test_push_list_and_revoke(begin, folder, sink):
    """A line each, with the app password that made it and never the URL; a revoked one is gone for everybody."""
    device, server = Device(), begin()
    which = subscribe(server, sink, device)
    secret = run("--data", folder, "token", "add", ALICE, "phone").stdout.splitlines()[-1]
    sink.answers["/secret"] = [status(500)]
    create(server, sink.url("/secret", HOST), password=secret)
    sink.wait(1, "/secret")
    first, second = run("--data", folder, "push", "list").stdout.splitlines()
    authority = f"{HOST}:{sink.port}"
    assert first.split("  ")[:4] == [which, ALICE, "password", authority]
    assert first.split("  ")[5:] == ["active", "phone"]
    assert second.split("  ")[:4] == ["P2", ALICE, "phone", authority]
    assert second.split("  ")[5:] == ["waiting", "phone"]
    assert "secret" not in second
    assert run("--data", folder, "push", "list", ALICE).stdout.count("\n") == 2
    assert run("--data", folder, "push", "list", "nobody@example.com", check=False).returncode == 1
    assert run("--data", folder, "push", "revoke", which).stdout == f"Revoked {which}.\n"
    assert subscriptions(server) == []
    again = run("--data", folder, "push", "revoke", which, check=False)
    assert (again.returncode, again.stderr) == (1, f"minijmap: There is no push subscription {which}.\n")
    assert run("--data", folder, "push", "revoke", "12", check=False).returncode == 2
    run("--data", folder, "token", "revoke", ALICE, "phone")
    assert run("--data", folder, "push", "list").stdout == ""


def test_vapid_show_and_rotate(begin, folder, sink):
    """A running server tells the new key within seconds; old subscriptions live on, or end with --now."""

    def announced():
        session = json.loads(server.get("/jmap/session"))
        return session["capabilities"][VAPID]["applicationServerKey"], session["state"]

    device, server = Device(), begin()
    old, before = announced()
    assert run("--data", folder, "vapid", "show").stdout.startswith(f"{old}  announced  ")
    which = subscribe(server, sink, device)
    lines = run("--data", folder, "vapid", "rotate").stdout.splitlines()
    assert lines[0].endswith(": 1 push subscription.")
    eventually(lambda: announced()[0] == lines[-1])
    assert announced()[1] != before
    new = subscribe(server, sink, device, "/new")
    assert sink.to("/new")[0].claims()[1] == lines[-1]
    server.send(MESSAGE % b"One")
    assert sink.wait(2)[1].claims()[1] == old
    shown = run("--data", folder, "vapid", "show").stdout.splitlines()
    assert [line.split("  ")[::3] for line in shown] == [
        [lines[-1], "1 push subscription"],
        [old, "1 push subscription"],
    ]
    assert subscriptions(server) == [which, new]
    lines = run("--data", folder, "vapid", "rotate", "--now").stdout.splitlines()
    assert lines[0] == "Ended: 2 push subscriptions."
    eventually(lambda: announced()[0] == lines[-1])
    assert subscriptions(server) == []
    assert run("--data", folder, "vapid", "show").stdout.count("\n") == 1
