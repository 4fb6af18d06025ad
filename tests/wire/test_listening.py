"""Listening to a real process: what another process changes is heard, and who is removed there hears no more."""

import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from minijmap.setting_kinds import Address
from tests.push.listening import Stream
from tests.wire.running import ALICE, run

BOB = "bob@example.com"
QUERY = "types=*&closeafter=no&ping=0"


def listen(server, token, query=QUERY, **headers):
    """Open an event stream."""
    address = Address("127.0.0.1", int(server.url.rpartition(":")[2]))
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return Stream(
        address,
        f"GET /jmap/events?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{lines}\r\n".encode(),
    )


def test_what_another_process_does(start, folder, tmp_path):
    """An import is heard within seconds; a revoked app password and a removed user end what they had opened."""

    def command(*arguments, text=""):
        return run("--data", folder, *arguments, text=text).stdout

    command("user", "add", BOB, "--password-stdin", text="secret\n")
    tokens = [command("token", "add", *who).splitlines()[-1] for who in ((ALICE, "a"), (ALICE, "b"), (BOB, "c"))]
    server = start()
    message = tmp_path / "one.eml"
    message.write_bytes(b"Subject: one\n\nx\n")
    url = server.url.replace("http", "ws", 1) + "/jmap/ws"
    with (
        listen(server, tokens[0]) as stays,
        listen(server, tokens[1]) as revoked,
        listen(server, tokens[2]) as removed,
        connect(url, subprotocols=["jmap"], additional_headers={"Authorization": f"Bearer {tokens[2]}"}) as gone,
    ):
        command("import", ALICE, message)
        begun = time.monotonic()
        event, position, data = stays.event()
        assert event == "state"
        assert set(data["changed"]) == {"a1"}
        assert revoked.event() == (event, position, data)
        assert time.monotonic() - begun < 4
        state = server.request(["Email/get", {"accountId": "a1", "ids": []}, "c"])[0][1]["state"]
        assert data["changed"]["a1"]["Email"] == state
        command("token", "revoke", ALICE, "b")
        assert revoked.event() is None
        command("user", "remove", BOB)
        assert removed.event() is None
        with pytest.raises(ConnectionClosed) as closed:
            gone.recv(timeout=20)
        assert closed.value.rcvd.code == 1008
        server.send(b"Subject: two\r\n\r\nx\r\n")
        while stays.event()[2]["changed"]["a1"].get("Email", state) == state:
            pass


def test_a_stream_goes_on_after_a_restart(start, folder):
    """The last id of the process before says what was missed, though nobody was there to tell."""
    token = run("--data", folder, "token", "add", ALICE, "a").stdout.splitlines()[-1]
    server = start()
    with listen(server, token) as stream:
        server.send(b"Subject: one\r\n\r\nx\r\n")
        _, position, _ = stream.event()
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 5
        while stream.event() is not None:
            pass
    server = start()
    server.send(b"Subject: two\r\n\r\nx\r\n")
    with listen(server, token, Last_Event_ID=position) as stream:
        assert {"Email", "EmailDelivery", "Mailbox"} <= set(stream.event()[2]["changed"]["a1"])
