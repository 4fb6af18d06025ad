"""The way outside: MX order and what stands in for it, the relay, and what MTA-STS makes of it."""

import contextlib
import socket
import ssl
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijmap.config import Settings
from minijmap.setting_kinds import Relay
from minijmap.smtp.mtasts import CHECK_SECONDS, MOST_OCTETS, Policies, Policy
from minijmap.smtp.resolver import LookupFailed
from minijmap.smtp.route import OPPORTUNISTIC, REQUIRED, NoRoute, ToMx, ToRelay, a_labels
from minijmap.smtp.sending import connect
from tests.smtp.posting import Names, Post, authority, message, submit
from tests.smtp.sink import Sink

DEAD = "127.0.0.254"


class NoPolicies:
    """No domain has one."""

    def of(self, _):
        """Return none."""
        return


def to_mx(**names):
    """Return the way straight to the servers of what a resolver knows."""
    return ToMx(Names(**names), NoPolicies(), "mail.example.com", 2525)


def shown(route):
    """Return (name, addresses) of each server."""
    return [(host.name, host.addresses) for host in route.hosts]


def refused(way, domain):
    """Return the reply that says why there is no way."""
    with pytest.raises(NoRoute) as raised:
        way.find(domain)
    return raised.value.reply.text


# Straight to the MX


def test_servers_in_their_order_with_all_their_addresses():
    """IPv4 and IPv6; a server without an address is passed over; TLS is as good as it gets."""
    way = to_mx(
        mxs={"example.net": [(5, "a.example.net"), (10, "none.example.net"), (20, "b.example.net")]},
        hosts={"a.example.net": ["192.0.2.1", "2001:db8::1"], "b.example.net": ["192.0.2.2"]},
    )
    route = way.find("Example.NET")

    assert shown(route) == [("a.example.net", ("192.0.2.1", "2001:db8::1")), ("b.example.net", ("192.0.2.2",))]
    assert {(host.port, host.tls) for host in route.hosts} == {(2525, OPPORTUNISTIC)}


def test_without_mx_the_name_itself():
    """RFC 5321 §5.1; a domain in any script; an address literal."""
    way = to_mx(hosts={"xn--bcher-kva.example": ["192.0.2.3"]})

    assert shown(way.find("bücher.example")) == [("xn--bcher-kva.example", ("192.0.2.3",))]
    assert shown(way.find("[192.0.2.9]")) == [("[192.0.2.9]", ("192.0.2.9",))]
    assert shown(way.find("[IPv6:2001:db8::9]")) == [("[IPv6:2001:db8::9]", ("2001:db8::9",))]


def test_there_is_no_way():
    """Never: no server, null MX, an MX without address, a circle. Not now: a look-up that fails."""
    failure = LookupFailed("x", "no answer")
    way = to_mx(
        mxs={
            "null.example": [(0, "")],
            "void.example": [(10, "nowhere.example")],
            "here.example": [(10, "mail.example.com"), (20, "other.example")],
            "broken.example": failure,
            "half.example": [(10, "broken-host.example")],
        },
        hosts={"other.example": ["192.0.2.1"], "broken-host.example": failure},
    )

    assert refused(way, "gone.example").startswith("550 5.1.2 ")
    assert refused(way, "null.example").startswith("556 5.1.10 ")
    assert refused(way, "void.example").startswith("550 5.4.4 ")
    assert refused(way, "here.example").startswith("554 5.4.6 ")
    assert refused(way, "broken.example").startswith("451 4.4.3 ")
    assert refused(way, "half.example").startswith("451 4.4.3 ")
    assert refused(way, "[nonsense]").startswith("553 5.1.2 ")
    assert refused(way, f"{'ü' * 80}.example").startswith("553 5.1.2 ")


@given(st.text(max_size=80))
@settings(max_examples=200)
def test_any_domain_has_a_form_or_none(domain):
    """Whatever the text, it is ASCII in lower case, or refused."""
    try:
        name = a_labels(domain)
    except NoRoute:
        name = ""
    assert name.isascii()
    assert name == name.lower()


# The relay


def test_the_relay_is_the_way_for_all():
    """One group for every domain; a name that the DNS does not know is left to the system."""
    relay = Relay("relay.example.net", 587, "", "", implicit=False)
    way = ToRelay(relay, "opportunistic", Names(hosts={"relay.example.net": ["192.0.2.5"]}))
    assert way.group("a.example") == way.group("b.example")
    assert shown(way.find("")) == [("relay.example.net", ("192.0.2.5",))]
    for host in ("smarthost", "unknown.example", "127.0.0.1", "::1"):
        assert shown(ToRelay(Relay(host, 25, "", "", implicit=False), "none", Names()).find("")) == [(host, (host,))]


def test_a_password_makes_tls_required():
    """But for a relay on this machine, and where the user has said none."""
    for host, tls, wanted in (
        ("relay.example", "opportunistic", REQUIRED),
        ("127.0.0.1", "opportunistic", "opportunistic"),
        ("relay.example", "none", "none"),
        ("127.0.0.1", "required", REQUIRED),
    ):
        way = ToRelay(Relay(host, 25, "u", "p", implicit=False), tls, Names())
        assert way.find("").hosts[0].tls == wanted


# MTA-STS


POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.net\r\nmx: *.backup.example.net\r\nmax_age: 600\r\n"


def test_a_policy_is_read():
    """Its fields, and which servers it allows: a star is one label (RFC 8461 §4.1)."""
    policy = Policy.parse(POLICY)

    assert (policy.mode, policy.max_age) == ("enforce", 600)
    for host, allowed in (
        ("mx.example.net", True),
        ("MX.example.net.", True),
        ("a.backup.example.net", True),
        ("a.b.backup.example.net", False),
        ("backup.example.net", False),
        ("evil.example", False),
    ):
        assert policy.allows(host) is allowed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        POLICY.replace("STSv1", "STSv2"),
        POLICY.replace("enforce", "force"),
        "version: STSv1\nmode: enforce\nmax_age: 1",
        POLICY.replace("600", "x"),
        POLICY + "mx: a\n" * 200,
    ],
)
def test_a_policy_that_is_none(text):
    """Not valid: as good as no policy."""
    assert Policy.parse(text) is None


class PolicyHost:
    """An HTTPS server that says one thing, and a way to open connections that leads to it."""

    def __init__(self, context, answer):
        self.answer = answer
        self.asked = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def connect(self, address, port, seconds):
        """Open a connection: to us for HTTPS, as ever for all else."""
        if port == 443:
            return socket.create_connection(self._listener.getsockname(), seconds)
        return connect(address, port, seconds)

    def _serve(self):
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with plain, contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as secured:
                self.asked.append(secured.recv(4096).decode())
                secured.sendall(self.answer)

    def close(self):
        """End it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def http(text, status="200 OK", kind="text/plain"):
    """Return an answer of HTTP."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


@pytest.fixture
def policy_host(tmp_path):
    """Start a policy host; return it and the authority's file."""
    with contextlib.ExitStack() as stack:

        def start(answer, *names):
            cafile, context = authority(tmp_path, *(names or ("mta-sts.example.net",)))
            host = PolicyHost(context, answer)
            stack.callback(host.close)
            return host, cafile

        yield start


def names_with_policy(record="v=STSv1; id=1;"):
    """Return a resolver that knows example.net, with a policy."""
    return Names(
        mxs={"example.net": [(10, "evil.example"), (20, "localhost")]},
        hosts={"mta-sts.example.net": ["127.0.0.1"], "evil.example": ["127.0.0.1"], "localhost": ["127.0.0.1"]},
        texts_of={"_mta-sts.example.net": [record]},
    )


def policies(host, cafile, names, clock=lambda: 0.0):
    """Return policies that are fetched from a host."""
    return Policies(names, host.connect, lambda: ssl.create_default_context(cafile=cafile), clock)


def test_a_policy_is_fetched_once_and_again_when_it_changes(policy_host):
    """By its id; one that can't be fetched any more stays until its end (RFC 8461 §5.1)."""
    host, cafile = policy_host(http(POLICY))
    names, now = names_with_policy(), [0.0]
    known = policies(host, cafile, names, lambda: now[0])
    assert known.of("example.net").mode == "enforce"
    assert known.of("example.net").mode == "enforce"
    assert host.asked[0].startswith("GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: mta-sts.example.net\r\n")
    now[0] = CHECK_SECONDS + 1
    assert known.of("example.net").mode == "enforce"
    assert len(host.asked) == 1
    names.texts_of["_mta-sts.example.net"] = ["v=STSv1; id=2"]
    host.answer = http("", "404 Not Found")
    now[0] = 599
    assert known.of("example.net").mode == "enforce"
    now[0] = 599 + CHECK_SECONDS + 1
    assert known.of("example.net") is None
    host.answer = http(POLICY.replace("enforce", "testing"))
    now[0] += CHECK_SECONDS + 1
    assert known.of("example.net").mode == "testing"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense",
        http(POLICY, "301 Moved"),
        http(POLICY, kind="text/html"),
        http("x" * 2 * MOST_OCTETS),
        http(POLICY)[:-10],
    ],
)
def test_a_policy_that_can_not_be_had(policy_host, answer):
    """No 200, no plain text, too large, cut off: no policy."""
    host, cafile = policy_host(answer)
    assert policies(host, cafile, names_with_policy()).of("example.net") is None


def test_a_policy_from_somebody_else(policy_host):
    """The certificate must be for the name."""
    host, cafile = policy_host(http(POLICY), "evil.example")
    assert policies(host, cafile, names_with_policy()).of("example.net") is None
    assert host.asked == []


@pytest.mark.parametrize("record", ["v=STSv1", "v=STSv1; id=!", "v=spf1 -all", "v=STSv1; ID=1"])
def test_a_record_that_is_none(policy_host, record):
    """Nobody is asked then."""
    host, cafile = policy_host(http(POLICY))
    assert policies(host, cafile, names_with_policy(record)).of("example.net") is None
    assert host.asked == []


# All of it


def mx_post(house, sink, names, **options):
    """Return a household that sends straight to the servers, which are all at a sink's port."""
    return Post(house, names, Settings(hostname="mail.example.com", mx_port=sink.port), **options)


def test_the_next_server_gets_what_the_first_will_not(house):
    """One does not answer, one says 554 at once: the third takes it."""
    grumpy = Sink(host="127.0.0.2", answers={"connect": "554 5.3.2 No service here"})
    with contextlib.closing(grumpy):
        sink = Sink(host="127.0.0.1")
        with contextlib.closing(sink):
            names = Names(
                mxs={"example.net": [(1, "dead"), (2, "grumpy"), (3, "good")]},
                hosts={"dead": [DEAD], "grumpy": ["127.0.0.2"], "good": ["127.0.0.3", "127.0.0.1"]},
            )

            def steer(address, port, seconds):
                return connect(address, grumpy.port if address == "127.0.0.2" else port, seconds)

            post = mx_post(house, sink, names, connect=steer)
            submit(house, message())
            post.run()
            assert len(sink.taken) == 1
            assert grumpy.connections == 1


def test_each_domain_gets_a_transaction_of_its_own(house):
    """And one that does not exist comes back, alone."""
    with contextlib.closing(Sink()) as sink:
        hosts = {"a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"]}
        post = mx_post(house, sink, Names(hosts=hosts))
        submission = submit(house, message(), "x@a.example", "y@b.example", "z@A.example", "w@gone.example")
        post.run()

        assert sorted(one.recipients for one in sink.taken) == [["x@a.example", "z@A.example"], ["y@b.example"]]
        status = post.submission(submission)["deliveryStatus"]["w@gone.example"]
        assert status["smtpReply"] == "550 5.1.2 There is no mail server for gone.example"
        assert len(post.inbox()) == 1


def test_by_ipv6(house):
    """Where the machine has it."""
    try:
        sink = Sink(host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    with contextlib.closing(sink):
        post = mx_post(house, sink, Names(hosts={"example.net": ["::1"]}))
        submit(house, message())
        post.run()
        assert len(sink.taken) == 1


def test_an_enforced_policy_is_honoured(house, policy_host, tmp_path):
    """A server that the policy does not name gets nothing; the named one only with a good certificate."""
    policy = POLICY.replace("mx.example.net", "localhost")
    host, cafile = policy_host(http(policy), "mta-sts.example.net")
    with contextlib.closing(Sink()) as sink:
        post = mx_post(house, sink, names_with_policy(), connect=host.connect, cafile=cafile)
        submission = submit(house, message())
        post.run()
        assert sink.taken == []
        assert post.status(submission)[1]["smtpReply"].startswith("454 4.7.5 TLS is required")
        submit(house, message("TLS-Required: No", subject="lax"))
        post.run()
        # RFC 8689 §4.2.2: this one goes whatever the policy says.
        assert [b"Subject: lax" in one.octets for one in sink.taken] == [True]

    (tmp_path / "second").mkdir()
    cafile, context = authority(tmp_path / "second", "localhost", "mta-sts.example.net")
    second = PolicyHost(context, http(policy))
    with contextlib.closing(second), contextlib.closing(Sink(context=context)) as sink:
        house.now += 3600
        mx_post(house, sink, names_with_policy(), connect=second.connect, cafile=cafile).run()
        assert sink.taken[0].secured
