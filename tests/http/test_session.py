"""The Session resource (RFC 8620 §2, §2.2), sign-in as a client sees it, and the pages beside JMAP's."""

import pytest

from minijmap.store.accounts import add_token, revoke_token

BOTH = ["/.well-known/jmap", "/jmap/session"]


@pytest.mark.parametrize("path", BOTH)
def test_session_is_served_directly(site, path):
    """200 at both URLs, not to be cached, with URLs as the client reached the server."""
    answer = site.ask("GET", path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    session = answer.json()
    assert session["apiUrl"] == f"http://{site.address}/jmap/api"
    assert session["username"] == "alice@example.com"
    assert session["eventSourceUrl"].startswith(f"http://{site.address}/jmap/events?")


@pytest.mark.parametrize("path", BOTH)
def test_session_under_other_names(open_site, path):
    """The URLs follow the Host, a trusted proxy, or the settings; its state does not change with them."""
    site = open_site()
    plain = site.ask("GET", path, Host="mail.home:8080").json()
    assert plain["uploadUrl"] == "http://mail.home:8080/jmap/upload/{accountId}"
    ignored = site.ask("GET", path, Host="mail.home", X_Forwarded_Proto="https", X_Forwarded_Host="evil").json()
    assert ignored["apiUrl"] == "http://mail.home/jmap/api"
    assert plain["state"] == ignored["state"]


def test_session_behind_a_trusted_proxy(open_site):
    """What the configured proxy says is believed."""
    from ipaddress import ip_network

    site = open_site(trusted_proxies=(ip_network("127.0.0.0/8"),))
    told = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "mail.example.com", "X_Forwarded_For": "192.0.2.7"}
    assert site.ask("GET", "/jmap/session", **told).json()["apiUrl"] == "https://mail.example.com/jmap/api"
    forwarded = {"Forwarded": 'for="[2001:db8::7]";proto=https;host=mail.example.com'}
    assert site.ask("GET", "/jmap/session", **forwarded).json()["apiUrl"] == "https://mail.example.com/jmap/api"


def test_public_url(open_site):
    """The setting wins, with its path."""
    site = open_site(public_url="https://example.com/mail")
    assert site.ask("GET", "/jmap/session").json()["apiUrl"] == "https://example.com/mail/jmap/api"


def test_head(site):
    """HEAD has the headers and no body."""
    answer = site.ask("HEAD", "/jmap/session")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 100


EVERYWHERE = [
    ("GET", "/.well-known/jmap"),
    ("GET", "/jmap/session"),
    ("POST", "/jmap/api"),
    ("POST", "/jmap/upload/a1"),
    ("GET", "/jmap/download/a1/b/name"),
]


@pytest.mark.parametrize("header", [None, "wrong", "Bearer mj-nothing", "Digest x"])
def test_401_everywhere(site, header):
    """Each resource asks for sign-in with a problem document that says what is wrong, and both schemes."""
    for method, path in EVERYWHERE:
        authorization = site.basic(password="nope") if header == "wrong" else header
        answer = site.ask(method, path, authorization=authorization, signed_in=False)
        assert answer.status == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["status"], problem["title"]) == (401, "Unauthorized")
        assert len(problem["detail"]) > 20
        schemes = answer.headers.get_all("WWW-Authenticate")
        assert schemes[0] == 'Basic realm="minijmap", charset="UTF-8"'
        assert schemes[1].startswith('Bearer realm="minijmap"')
        assert ("invalid_token" in schemes[1]) == (header == "Bearer mj-nothing")


def test_app_password_everywhere(site):
    """The same app password by Basic and by Bearer, until it is revoked: then nowhere."""
    token = site.database.write(lambda tx: add_token(tx, site.user, "laptop", 0))
    both = [f"Bearer {token}", site.basic(password=token)]
    for authorization in both:
        assert site.ask("GET", "/jmap/session", authorization=authorization).status == 200
        assert site.api(["Core/echo", {}, "c"], authorization=authorization).status == 200
        assert site.ask("POST", "/jmap/upload/a1", b"x", authorization=authorization).status == 201
    site.database.write(lambda tx: revoke_token(tx, site.user, "laptop"))
    for authorization in both:
        assert site.ask("GET", "/jmap/session", authorization=authorization).status == 401


def test_slow_down_over_http(site):
    """Who guesses on is told to wait; who knows the password is not."""
    assert site.ask("GET", "/jmap/session").status == 200
    answers = [site.ask("GET", "/jmap/session", authorization=site.basic(password="guess")) for _ in range(9)]
    assert [answer.status for answer in answers] == [401] * 7 + [429] * 2
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[-1].headers["Content-Type"] == "application/problem+json"
    assert site.ask("GET", "/jmap/session").status == 200


def test_forwarded_address_is_slowed_not_the_proxy(open_site):
    """Behind a trusted proxy, the guesser is slowed at their own address, and the user at theirs is not."""
    from ipaddress import ip_network

    site = open_site(trusted_proxies=(ip_network("127.0.0.1"),))
    for _ in range(8):
        site.ask("GET", "/jmap/session", authorization=site.basic(password="guess"), X_Forwarded_For="192.0.2.66")
    assert site.ask("GET", "/jmap/session", X_Forwarded_For="192.0.2.66").status == 429
    assert site.ask("GET", "/jmap/session", X_Forwarded_For="192.0.2.7").status == 200


def test_healthz(site):
    """200 without sign-in."""
    answer = site.ask("GET", "/healthz", signed_in=False)
    assert (answer.status, answer.body) == (200, b"ok\n")


def test_front_page(site):
    """A person who opens the root learns what this is and where the Session lives."""
    answer = site.ask("GET", "/", signed_in=False)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert b"/.well-known/jmap" in answer.body
    assert b"JMAP server" in answer.body


def test_unknown_url_and_wrong_method(site):
    """404 and 405 are problem documents; a 405 says what the URL takes."""
    missing = site.ask("GET", "/jmap/nothing")
    assert (missing.status, missing.json()["title"]) == (404, "Not Found")
    wrong = site.ask("DELETE", "/jmap/api")
    assert (wrong.status, wrong.json()["status"]) == (405, 405)
    assert set(wrong.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_server_tells_no_versions(site):
    """The Server header is a name alone."""
    assert site.ask("GET", "/healthz").headers["Server"] == "minijmap"
