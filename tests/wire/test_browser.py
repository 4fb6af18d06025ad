"""A real browser: EventSource and WebSocket from a page of another origin, signed in by tickets and by a subprotocol."""

import http.server
import json
import queue
import shutil
import subprocess
import threading

import pytest

from tests.push.listening import base64url
from tests.wire.running import ALICE, Running, run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 90
PAGE = """<!doctype html><meta charset="utf-8"><title>client</title><script type="module">
const {server, authorization, credentials} = await (await fetch("settings")).json();
const tell = (what) => fetch("told", {method: "POST", body: JSON.stringify(what)});
const signedIn = {headers: {Authorization: authorization}};
const fill = (template, values) => template.replace(/{(\\w+)}/g, (_, name) => encodeURIComponent(values[name]));
try {
  const session = await (await fetch(server + "/.well-known/jmap", signedIn)).json();
  const ticketUrl = session.capabilities["urn:x-minijmap:ticket"].ticketUrl;
  const newTicket = async () => (await (await fetch(ticketUrl, {method: "POST", ...signedIn})).json()).ticket;
  const told = {};

  const url = fill(session.eventSourceUrl, {types: "Email", closeafter: "no", ping: 1});
  const events = new EventSource(url + "&ticket=" + await newTicket());
  await new Promise((done, failed) => { events.onopen = done; events.onerror = () => failed(Error("EventSource")); });
  const ping = new Promise((done) => events.addEventListener("ping", (event) => done(JSON.parse(event.data))));
  const state = new Promise((done) => events.addEventListener("state", done, {once: true}));

  const ws = session.capabilities["urn:ietf:params:jmap:websocket"];
  const open = (...given) => new Promise((done, failed) => {
    const socket = new WebSocket(...given);
    socket.onopen = () => done(socket);
    socket.onclose = () => failed(Error("WebSocket"));
  });
  const ask = (socket, message) => new Promise((done) => {
    socket.onmessage = (event) => done(JSON.parse(event.data));
    socket.send(JSON.stringify(message));
  });
  const echo = {"@type": "Request", id: "R1", using: ["urn:ietf:params:jmap:core"],
                methodCalls: [["Core/echo", {text: "ä".repeat(5000)}, "c"]]};
  const byTicket = await open(ws.url + "?ticket=" + await newTicket(), "jmap");
  told.protocol = byTicket.protocol;
  told.extensions = byTicket.extensions;
  told.echo = (await ask(byTicket, echo)).methodResponses[0][1].text.length;
  const bySubprotocol = await open(ws.url, ["jmap", credentials]);
  told.second = bySubprotocol.protocol + (await ask(bySubprotocol, echo)).requestId;
  told.refused = await open(ws.url, ["jmap", "jmapauth.AAAA"]).then(() => "open", () => "refused");

  const pushed = ask(byTicket, {"@type": "WebSocketPushEnable", dataTypes: ["Email"]});
  await ask(bySubprotocol, echo);
  told.ping = await ping;
  await tell("ready");
  const event = await state;
  told.state = JSON.parse(event.data);
  told.id = event.lastEventId;
  told.pushed = await pushed;
  const ended = new Promise((done) => { byTicket.onclose = (event) => done([event.code, event.wasClean]); });
  await tell(told);
  told.ended = await ended;
  await tell(told.ended);
} catch (error) {
  await tell({error: String(error)});
}
</script>"""


class _Page(http.server.BaseHTTPRequestHandler):
    """Serves the page, and hears what it tells."""

    def do_GET(self):
        """Send the page or its settings."""
        settings = self.path.endswith("/settings")
        body = json.dumps(self.server.settings) if settings else PAGE
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if settings else "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self):
        """Take what it tells."""
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def page():
    """Give a web server of another origin."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.told = queue.SimpleQueue()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")
def test_a_page_in_chromium(tmp_path, page):
    """It hears of a new message by both ways, and that the server stops."""
    data = tmp_path / "data"
    run("--data", data, "user", "add", ALICE, "--password-stdin", text="secret\n")
    token = run("--data", data, "token", "add", ALICE, "browser").stdout.splitlines()[-1]
    server = Running("--data", data, "serve")
    page.settings = {
        "server": server.url,
        "authorization": f"Bearer {token}",
        "credentials": "base64url.bearer.authorization.jmap." + base64url(token),
    }
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"http://localhost:{page.server_port}/"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            assert page.told.get(timeout=SECONDS) == "ready"
            server.send(b"Subject: News\r\n\r\nHello.\r\n")
            told = page.told.get(timeout=SECONDS)
            assert server.stop() == 0
            ended = page.told.get(timeout=SECONDS)
        finally:
            if server.process.poll() is None:
                server.kill()
            browser.terminate()
    state = told.pop("state")
    assert list(state["changed"]["a1"]) == ["Email"]
    assert told.pop("pushed") == {**state, "pushState": told.pop("id")}
    assert "permessage-deflate" in told.pop("extensions")
    assert told == {"protocol": "jmap", "echo": 5000, "second": "jmapR1", "refused": "refused", "ping": {"interval": 1}}
    assert ended == [1001, True]
